"""Speed of `xsm-convlstm` beside a ConvLSTM as it is commonly written, same weights, same patches, one process."""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import xsm
from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Samples, Spec
from xsm.data.scenarios import scenario_of

CONUS = (307, 622)
GOAL, GOAL_STEP, GOAL_ERROR = 5.0, 1.5, 0.002
STEPS = {False: 300, True: 40}
"""Training steps before anything is measured: an untrained network returns the same everywhere, without any error."""
PRECISIONS = {"bfloat16": 0.0, "float32": np.inf}
"""Errors written into the card: a model takes bfloat16 if the error is small."""


class Plain(nn.Module):
    """Input and state joined in one float32 convolution a step, from a zero state, one step after the other."""

    def __init__(self, channels: int, filters: tuple[int, ...], attention: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        sizes = (channels, *filters)
        self.gates = nn.ModuleList(nn.Conv2d(a + b, 4 * b, 3, padding=1) for a, b in zip(sizes, filters, strict=False))
        self.peepholes = nn.ParameterList(nn.Parameter(torch.zeros(3, 1, b, 1, 1)) for b in filters)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in filters)
        self.attention = nn.ModuleDict(
            {
                str(k): nn.Sequential(
                    nn.Linear(filters[k - 1], filters[k - 1] // 4),
                    nn.ReLU(),
                    nn.Linear(filters[k - 1] // 4, filters[k - 1]),
                    nn.Sigmoid(),
                )
                for k in attention
            }
        )
        self.dropout = dropout
        self.output, self.spread = nn.Conv2d(sizes[-1], 1, 1), nn.Conv2d(sizes[-1], 1, 1)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate the last step of ``(time, sample, channel, y, x)``."""
        steps = list(x)
        for k, (gates, peephole, norm) in enumerate(zip(self.gates, self.peepholes, self.norms, strict=True), 1):
            h = c = x.new_zeros(x.shape[1], norm.num_features, *x.shape[-2:])
            out = []
            for step in steps:
                i, f, o, g = gates(torch.cat([step, h], 1)).chunk(4, 1)
                i, f = torch.sigmoid(i + peephole[0] * c), torch.sigmoid(f + peephole[1] * c)
                c = f * c + i * torch.tanh(g)
                h = torch.sigmoid(o + peephole[2] * c) * torch.tanh(c)
                y = F.dropout(norm(h), self.dropout, self.training)
                if str(k) in self.attention:
                    mean = (y * mask).sum((-2, -1)) / mask.sum((-2, -1))
                    y = y * self.attention[str(k)](mean)[..., None, None]
                out.append(y)
            steps = out
        last = steps[-1]
        return self.output(last)[:, 0], F.softplus(self.spread(last))[:, 0] + 1e-3

    @classmethod
    def of(cls, net: Any) -> Plain:
        """A plain network with the weights of a network of xsm."""
        filters = tuple(layer.filters for layer in net.layers)
        plain = cls(net.layers[0].input.in_channels, filters, tuple(map(int, net.attention)), net.dropout)
        with torch.no_grad():
            for gates, peephole, layer in zip(plain.gates, plain.peepholes, net.layers, strict=True):
                gates.weight.copy_(torch.cat([layer.input.weight, layer.recurrent.weight], 1))
                gates.bias.copy_(layer.input.bias)
                peephole.copy_(layer.peephole[:, None])
        plain.norms.load_state_dict(net.norms.state_dict())
        for k, block in net.attention.items():
            plain.attention[k][0].load_state_dict(block.reduce.state_dict())
            plain.attention[k][2].load_state_dict(block.restore.state_dict())
        plain.output.load_state_dict(net.output.state_dict())
        plain.spread.load_state_dict(net.spread.state_dict())
        return plain.eval()


def example_task(preset: str, size: int, steps: int) -> tuple[Samples, Spec]:
    """Samples of all days of a synthetic cube, and the specification of 5 cm, scenario 2."""
    cube = xsm.example("cube", size=size, days=40)
    of = scenario_of(cube, 5, 2)
    soil = cube[list(of.statics)].sel(soil_depth=of.soil_depth)
    arrays = {n: cube[n].values for n in (*of.inputs, *of.references)} | {n: soil[n].values for n in soil}
    days = cube["time"].values.astype("M8[D]")
    mask = np.all([np.isfinite(arrays[n]).all(0) for n in of.inputs], 0)
    mask &= np.all([np.isfinite(arrays[n]) for n in of.statics], 0)
    options = {"preset": preset, "epochs": 1, "steps_per_epoch": steps, "validation_steps": 4, "batch_size": 2}
    spec = Spec("estimate", of.inputs, (of.target,), of.statics, of.references, depth=5, scenario=2,
                options=options)  # fmt: skip
    return Samples(arrays, days, np.arange(len(days)) >= 2, mask), spec


def patches(samples: Samples, spec: Spec, size: int, count: int, days: int) -> dict[str, np.ndarray]:
    """Cut patches at random places and days, in the form in which a model receives them."""
    rng, whole = np.random.default_rng(0), samples.mask.shape[0]
    spots = [(slice(r, r + size), slice(c, c + size)) for r, c in rng.integers(0, whole - size + 1, (count, 2))]
    first = rng.integers(0, len(samples.days) - days - 1, count)
    arrays = {
        n: np.stack([samples.arrays[n][t : t + days + 2, *spot] for t, spot in zip(first, spots, strict=True)])
        for n in spec.inputs
    }
    arrays |= {n: np.stack([samples.arrays[n][spot] for spot in spots]) for n in spec.statics}
    arrays["mask"] = np.stack([samples.mask[spot] for spot in spots])
    return {n: np.where(np.isfinite(v), v, 0).astype(v.dtype) for n, v in arrays.items()}


def run(quick: bool, preset: str = "rabiei2024") -> bool:
    """Print the table; return whether all goals are met."""
    from xsm_convlstm.config import Config
    from xsm_convlstm.inference import able
    from xsm_convlstm.model import ConvLSTM, load

    config = Config.from_options({"preset": preset})
    samples, spec = example_task(preset, config.patch + 8, STEPS[quick])
    model = ConvLSTM()
    bundle = model.fit(samples, spec, validation=None, seed=0, progress=lambda share, text: None)
    measured = bundle.card["metrics"]["bfloat16_error"]
    arrays = patches(samples, spec, config.patch, 2 if quick and config.patch > 32 else 8, 1)
    plain = Plain.of(load(bundle)[0])
    norm = bundle.card["normalisation"]

    def theirs() -> np.ndarray:
        x, mask = plain_input(arrays, spec, norm)
        with torch.inference_mode():
            mean = plain(x, mask)[0].numpy()
        porosity = 1 - arrays["bulk_density"] / 2.65
        return np.clip(norm["sm_5cm"]["mean"] + norm["sm_5cm"]["std"] * mean, 0.02, porosity)

    def ours(precision: str) -> np.ndarray:
        bundle.card["metrics"]["bfloat16_error"] = PRECISIONS[precision]
        return np.asarray(model.predict_block(arrays, bundle, device="cpu")["sm_5cm"])[:, 0]

    expected = theirs()[arrays["mask"]]
    errors = {name: float(np.abs(ours(name)[arrays["mask"]] - expected).max()) for name in PRECISIONS}
    work = {"plain float32": theirs} | {name: functools.partial(ours, name) for name in PRECISIONS}
    seconds = [{name: _seconds(each) for name, each in work.items()} for _ in range(2 if quick else 5)]
    best = {name: min(each[name] for each in seconds) / len(arrays["mask"]) for name in work}
    ratios = {name: best["plain float32"] / best[name] for name in PRECISIONS}
    step_fast, step_slow = training_steps(samples, spec, plain, 3 if quick else 8)
    sizes = [("without overlap", config.patch), ("with overlap", config.stride)]
    counts = {what: int(np.prod([-(-(side + config.patch - s) // s) for side in CONUS])) for what, s in sizes}
    print(
        f"\n## Speed: preset {preset}, {torch.get_num_threads()} threads, bfloat16 {'used' if able() else 'absent'}"
        f", {STEPS[quick]} training steps\n"
    )
    print(f"| | {' | '.join(f'CONUS day {what}, s' for what in counts)} | ratio (goal {GOAL:.0f}) | "
          f"largest difference (goal {GOAL_ERROR}) |\n" + "| --- " * 5 + "|")  # fmt: skip
    for name, each in best.items():
        columns = f"{ratios[name]:.1f} | {errors[name]:.5f}" if name in ratios else "1 | "
        print(f"| {name} | {' | '.join(f'{each * n:.1f}' for n in counts.values())} | {columns} |")
    print(f"\nPatches of {config.patch}: {', '.join(f'{n} {what}' for what, n in counts.items())}.")
    print(
        f"Error of bfloat16 when trained: {measured:.5f} m3 m-3; `estimate` takes bfloat16 where it is at most 0.001."
    )
    print(f"Training step {step_fast * 1e3:.0f} against {step_slow * 1e3:.0f} ms: {step_slow / step_fast:.1f} times "
          f"(goal {GOAL_STEP}). Peak memory {_memory():.2f} GiB.")  # fmt: skip
    ratio = max((ratios[n] for n in ratios if errors[n] < GOAL_ERROR), default=0.0)
    if torch.cuda.is_available():
        on_gpu(model, bundle, arrays, plain, samples, spec)
    return ratio >= GOAL and step_slow / step_fast >= GOAL_STEP


def plain_input(arrays: dict[str, np.ndarray], spec: Spec, norm: Any) -> tuple[Tensor, Tensor]:
    """Channels and mask of the last sequence in each patch, by numpy."""
    mask = arrays["mask"]
    maps = [(arrays[n][:, -3:] - norm[n]["mean"]) / norm[n]["std"] for n in spec.inputs]
    maps += [np.repeat(((arrays[n] - norm[n]["mean"]) / norm[n]["std"])[:, None], 3, 1) for n in spec.statics]
    x = np.stack([*maps, np.repeat(mask[:, None], 3, 1)], 2) * mask[:, None, None]
    return torch.from_numpy(x.swapaxes(0, 1).astype("f4")), torch.from_numpy(mask[:, None].astype("f4"))


def training_steps(samples: Samples, spec: Spec, plain: Plain, times: int, device: str = "cpu") -> tuple[float, float]:
    """Seconds of one training step of xsm and of the plain network, from arrays to new weights, with the same loss."""
    from xsm_convlstm.config import Config
    from xsm_convlstm.loss import equation8, spread_nll
    from xsm_convlstm.sequences import survey, windows
    from xsm_convlstm.train import Learner, Task, halved

    config = Config.from_options(dict(spec.options) | {"precision": "auto"})
    task = Task(samples, spec, config, survey(samples, spec, config))
    learner = Learner(task, None, 0, None).to(device)
    learner.net.train()
    plain = plain.to(device).train()
    rows = windows(samples, config)[: config.batch_size]
    x, mask, references = task.load(rows)
    x, mask, references = x.to(device), mask.to(device), tuple(r.to(device) for r in references)
    contiguous = x.contiguous()
    adam = [torch.optim.Adam(net.parameters(), lr=1e-4) for net in (learner.net, plain)]

    def ours() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=halved(config, device)):
            loss = sum(learner.both_losses((x, mask, references)))
        _update(adam[0], loss)

    def theirs() -> None:
        out, spread = task.physical(*(v[None] for v in plain(contiguous, mask)))
        _update(adam[1], equation8(out, references, config) + spread_nll(spread, references[0] - out))

    ours(), theirs()
    both = [(_seconds(ours), _seconds(theirs)) for _ in range(times)]
    plain.eval()
    return min(a for a, _ in both), min(b for _, b in both)


def on_gpu(
    model: Any, bundle: Bundle, arrays: dict[str, np.ndarray], plain: Plain, samples: Samples, spec: Spec
) -> None:
    """Print seconds per CONUS day and samples per second in training on a GPU, from and to arrays in memory."""
    x, mask = plain_input(arrays, spec, bundle.card["normalisation"])
    plain = plain.to("cuda").eval()

    @torch.inference_mode()
    def theirs() -> np.ndarray:
        return np.asarray(plain(x.cuda(), mask.cuda())[0].cpu())

    def ours() -> Any:
        return model.predict_block(arrays, bundle, device="cuda")

    ours(), theirs()
    n = int(np.prod([-(-side // mask.shape[-1]) for side in CONUS])) / len(mask)
    fast, slow = (min(_seconds(work) for _ in range(5)) * n for work in (ours, theirs))
    step_fast, step_slow = training_steps(samples, spec, plain, 5, "cuda")
    size = spec.options["batch_size"]
    print(f"| GPU: CONUS day without overlap, s | {fast:.2f} | {slow:.2f} | {slow / fast:.1f} | |")
    print(f"| GPU: samples/s in training | {size / step_fast:.1f} | {size / step_slow:.1f} | "
          f"{step_slow / step_fast:.1f} | |")  # fmt: skip


def _update(adam: torch.optim.Optimizer, loss: Any) -> None:
    adam.zero_grad()
    loss.backward()
    adam.step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
