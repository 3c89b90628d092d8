"""Training: Adam on squared error and on the likelihood of the spread, early stopping on the validation samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from xsm import DataError
from xsm.plugin_api import Samples, Spec
from xsm.plugin_api import device as device_name

from xsm_lstm.network import Network

WARM_UP = 0.1


@dataclass(frozen=True)
class Series:
    """Training data: ``x (time, cell, channel)`` and ``y (time, cell)``, NaN where it does not count."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Trained:
    """Weights by name, the learning curve, the best epoch, and |error| / spread on the validation samples."""

    weights: dict[str, np.ndarray]
    history: list[dict[str, float]]
    best: int
    ratios: np.ndarray


def channels(arrays: Mapping[str, np.ndarray], spec_names: tuple[Any, Any], norm: Mapping[str, Any]) -> np.ndarray:
    """Normalised inputs and statics, float32 ``(time, cell, channel)``; 0 where missing."""
    inputs, statics = spec_names
    days, cells = arrays[inputs[0]].shape
    out = np.empty((days, cells, len(inputs) + len(statics)), np.float32)
    for k, name in enumerate((*inputs, *statics)):
        out[..., k] = (arrays[name] - norm[name]["mean"]) / norm[name]["std"]
    return np.nan_to_num(out, copy=False)


def moments(samples: Samples, spec: Spec, cells: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of each predictor over cells and the days to learn from."""
    result = {}
    for name in (*spec.inputs, *spec.statics):
        values = samples.series(name, cells)
        values = (values[np.asarray(samples.use)] if values.ndim == 2 else values).astype("f8")
        result[name] = {"mean": float(np.nanmean(values)), "std": float(np.nanstd(values)) or 1.0}
    return result


def train(
    series: Series,
    validation: Series | None,
    options: Mapping[str, Any],
    *,
    seed: int,
    progress: Callable[[float, str], None],
) -> Trained:
    """Train one network; every random number comes from ``(seed, epoch)``."""
    device = torch.device(device_name())
    history: list[dict[str, float]] = []
    best, best_loss, weights = 0, math.inf, {}
    epochs = options["epochs"]
    with torch.random.fork_rng():
        torch.manual_seed(_derived(seed, 0))
        net = Network(series.x.shape[-1], options["hidden"], options["dropout"], options["weight_dropout"]).to(device)
        optimizer = torch.optim.Adam(net.parameters())
        for epoch in range(1, epochs + 1):
            torch.manual_seed(_derived(seed, epoch))
            optimizer.param_groups[0]["lr"] = options["learning_rate"] * _rate(epoch / epochs)
            batches = _batches(series, options, np.random.default_rng([seed, epoch]))
            entry = {"epoch": epoch, "train": _epoch(net, optimizer, series, batches, device)}
            if validation is not None:
                entry["validation"] = float(np.sqrt(np.nanmean((_run(net, validation, device)[0] - validation.y) ** 2)))
            history.append(entry)
            text = ", ".join(f"{k} {v:.4f}" for k, v in entry.items() if k != "epoch")
            progress(epoch / epochs, f"epoch {epoch}/{epochs}: {text}")
            if not all(map(math.isfinite, entry.values())):
                raise DataError(f"Training diverged in epoch {epoch} ({text}).", hint="Lower learning_rate.")
            if validation is None or entry["validation"] < best_loss:
                best, best_loss = epoch, entry.get("validation", math.inf)
                weights = {k: v.detach().clone() for k, v in net.state_dict().items()}
            elif epoch - best >= options["patience"]:
                break
    net.load_state_dict(weights)
    judged = series if validation is None else validation
    mean, spread = _run(net, judged, device)
    ratios = np.abs(mean - judged.y) / spread
    return Trained({k: v.cpu().numpy() for k, v in weights.items()}, history, best, ratios[np.isfinite(ratios)])


def _batches(
    series: Series, options: Mapping[str, Any], rng: np.random.Generator
) -> Iterator[tuple[slice, np.ndarray]]:
    days, length = len(series.y), options["look_back"]
    cells = rng.permutation(series.y.shape[1])
    for part in np.array_split(cells, -(-len(cells) // options["batch_size"])):
        start = int(rng.integers(0, max(days - length, 0) + 1))
        yield slice(start, start + length), part


def _epoch(net: Network, optimizer: Any, series: Series, batches: Any, device: torch.device) -> float:
    net.train()
    losses = []
    for days, cells in batches:
        y = torch.from_numpy(series.y[days, cells]).to(device)
        counts = torch.isfinite(y)
        if not counts.any():
            continue
        mean, spread = net(torch.from_numpy(series.x[days, cells]).to(device))
        error, spread = (mean - y.nan_to_num())[counts], spread[counts]
        squared = (error**2).mean()
        likelihood = (torch.log(spread) + 0.5 * (error.detach() / spread) ** 2).mean()
        optimizer.zero_grad()
        (squared + likelihood).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(squared.item())
    return float(np.sqrt(np.mean(losses))) if losses else math.nan


@torch.inference_mode()
def _run(net: Network, series: Series, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    net.eval()
    mean, spread = net(torch.from_numpy(series.x).to(device))
    return mean.cpu().numpy(), spread.cpu().numpy()


def _derived(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _rate(done: float) -> float:
    """Share of the largest step: linear warm-up, then a cosine to 0."""
    return done / WARM_UP if done < WARM_UP else 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
