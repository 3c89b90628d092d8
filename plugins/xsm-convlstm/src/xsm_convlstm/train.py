"""Training: Adam on equation 8, early stopping on the validation samples, one scale for the spread.

Every random number comes from ``(seed, epoch)``: the same seed gives the same weights on the same machine.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from xsm import DataError, Samples, Spec

from xsm_convlstm.config import Config
from xsm_convlstm.loss import equation8, spread_nll
from xsm_convlstm.network import Network, arithmetic
from xsm_convlstm.sequences import Normalisation, batches, read, windows

log = logging.getLogger("xsm")
INTERVAL = 0.95
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Trained:
    """What training gives: weights by name, the learning curve, the best epoch and the scale of the spread."""

    weights: dict[str, np.ndarray]
    history: list[dict[str, float]]
    best: int
    spread_scale: float


@dataclass(frozen=True)
class Task:
    """Samples, what to learn from them, and how they are normalised."""

    samples: Samples
    spec: Spec
    config: Config
    norm: Normalisation
    device: torch.device

    def load(self, rows: np.ndarray) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Give channels, mask and references of the sequences ``rows`` on the device."""
        batch = read(self.samples, self.spec, self.config, self.norm, rows)
        x, mask, *references = (torch.from_numpy(a).to(self.device) for a in (batch.x, batch.mask, *batch.references))
        return x, mask, tuple(references)

    def run(self, net: Network, rows: np.ndarray) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Give estimate and unscaled spread in physical units, and the references."""
        x, mask, references = self.load(rows)
        with arithmetic(self.config.precision, self.device.type):
            mean, spread = net(x, mask, steps=len(references[0]))
        target = self.norm[self.spec.targets[0]]
        return target["mean"] + target["std"] * mean, target["std"] * spread, references


def train(
    samples: Samples,
    validation: Samples | None,
    spec: Spec,
    config: Config,
    norm: Normalisation,
    *,
    seed: int,
    progress: Callable[[float, str], None],
) -> Trained:
    """Train one network.

    Without validation samples every epoch runs, the last weights stay and the spread is scaled on training samples.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = Task(samples, spec, config, norm, device)
    held = task if validation is None else Task(validation, spec, config, norm, device)
    index = windows(samples, config)
    held_index = index if validation is None else windows(held.samples, config)
    held_batches = list(batches(held_index, config, np.random.default_rng(seed), config.validation_steps))
    history: list[dict[str, float]] = []
    best, best_loss = 0, math.inf
    with torch.random.fork_rng():
        torch.manual_seed(_derived(seed, 0))
        net = Network(len(spec.inputs) + len(spec.statics) + 1, config).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate)
        for epoch in range(1, config.epochs + 1):
            torch.manual_seed(_derived(seed, epoch))
            optimizer.param_groups[0]["lr"] = _learning_rate(epoch, config)
            rows = batches(index, config, np.random.default_rng([seed, epoch]), config.steps_per_epoch)
            entry = {"epoch": epoch, "train": _epoch(net, optimizer, task, rows)}
            if validation is not None:
                entry["validation"] = _evaluate(net, held, held_batches)
            history.append(entry)
            text = ", ".join(f"{k} {v:.4f}" for k, v in entry.items() if k != "epoch")
            progress(epoch / config.epochs, f"epoch {epoch}/{config.epochs}: {text}")
            if not all(map(math.isfinite, entry.values())):
                raise DataError(f"Training diverged in epoch {epoch} ({text}).", hint="Lower learning_rate.")
            if validation is None or entry["validation"] < best_loss:
                best, best_loss = epoch, entry.get("validation", math.inf)
                weights = {k: v.detach().clone() for k, v in net.state_dict().items()}
            elif epoch - best >= config.patience:
                log.info("convlstm: no improvement since epoch %d, stopped after %d", best, epoch)
                break
    net.load_state_dict(weights)
    scale = _spread_scale(net, held, held_batches)
    return Trained({k: v.cpu().numpy() for k, v in weights.items()}, history, best, scale)


def _epoch(net: Network, optimizer: torch.optim.Optimizer, task: Task, rows: Iterable[np.ndarray]) -> float:
    net.train()
    losses = []
    for batch in rows:
        out, spread, references = task.run(net, batch)
        loss = equation8(out, references, task.config)
        optimizer.zero_grad()
        (loss + spread_nll(spread, references[0] - out)).backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


@torch.inference_mode()
def _evaluate(net: Network, task: Task, rows: list[np.ndarray]) -> float:
    net.eval()
    losses = []
    for batch in rows:
        out, _, references = task.run(net, batch)
        losses.append(equation8(out, references, task.config).item())
    return float(np.mean(losses))


@torch.inference_mode()
def _spread_scale(net: Network, task: Task, rows: list[np.ndarray]) -> float:
    """Factor that makes the normal 95 % interval hold 95 % of the first reference (split conformal)."""
    net.eval()
    scores = []
    for batch in rows:
        out, spread, references = task.run(net, batch)
        z = (references[0] - out).abs() / spread
        scores.append(z[torch.isfinite(z)].cpu().numpy())
    found = np.concatenate(scores)
    return float(np.quantile(found, INTERVAL) / NORMAL_95) if found.size else 1.0


def _derived(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _learning_rate(epoch: int, config: Config) -> float:
    """Cosine from ``learning_rate`` to ``decay`` times it at the last epoch."""
    done = (epoch - 1) / max(config.epochs - 1, 1)
    return config.learning_rate * (config.decay + (1.0 - config.decay) * 0.5 * (1.0 + math.cos(math.pi * done)))
