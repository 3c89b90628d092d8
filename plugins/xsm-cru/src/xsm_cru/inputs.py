"""From samples in physical units to the scaled tensors of the unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from xsm import DataError
from xsm.plugin_api import Samples, Spec, tell

from xsm_cru.tensors import Inputs

CELL_DAYS, FEWEST_CELLS = 200_000, 48
"""Cell-days to learn from, so that long periods take as long as a year of 512 cells; fewest cells."""


def training_cells(samples: Samples, spec: Spec, limit: int) -> np.ndarray:
    """Cells to learn from: of the domain, with an observation, evenly thinned; fewer where series are long."""
    mask = np.asarray(samples.mask, bool).ravel()
    observed = np.zeros_like(mask)
    for target in spec.targets:
        array = samples.arrays[target]
        for start in range(0, len(samples.days), 128):
            piece = np.asarray(array[start : start + 128])
            observed |= np.isfinite(piece).reshape(len(piece), -1).any(0)
    cells = np.flatnonzero(mask & observed)
    if not len(cells):
        raise DataError(
            f"No cell has an observation of {', '.join(spec.targets)}.", hint="Check the masks and the period."
        )
    sample = np.zeros_like(mask)
    count = min(limit, len(cells), max(CELL_DAYS // len(samples.days), FEWEST_CELLS))
    sample[cells[np.linspace(0, len(cells) - 1, count).round().astype(int)]] = True
    return sample


def make_inputs(
    values: np.ndarray, drivers: Mapping[str, np.ndarray], scaling: Mapping[str, Any], covariates: tuple[str, ...],
    statics: tuple[str, ...], target: str, season: np.ndarray, device: str = "cpu",
) -> Inputs:  # fmt: skip
    """Tensors of one target and its scaled covariates and maps; covariates need values wherever a cell is filled."""
    observed = np.isfinite(values)
    filled = observed.any(0)
    scaled: dict[str, list[np.ndarray]] = {"event": [], "level": [], "static": []}
    for name in (*covariates, *statics):
        s = scaling[name]
        array = (np.asarray(drivers[name], np.float32) - np.float32(s["center"])) / np.float32(s["scale"])
        if s["kind"] == "static":
            array = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
        elif not np.isfinite(array[:, filled]).all():
            count = int((~np.isfinite(array[:, filled])).any(0).sum())
            raise DataError(
                f"The covariate '{name}' has gaps in {count} cells where '{target}' is to be filled.",
                hint="Fill it first or leave it out of covariates.",
            )
        scaled[s["kind"]].append(np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0))
    days, cells = values.shape

    def stack(kind: str) -> Tensor:
        parts = scaled[kind]
        axis = 0 if kind == "static" else 1
        empty = (0, cells) if kind == "static" else (days, 0, cells)
        return torch.tensor(np.stack(parts, axis) if parts else np.zeros(empty, np.float32), device=device)

    return Inputs(
        torch.tensor(np.where(observed, values, 0).astype(np.float32), device=device),
        torch.tensor(observed, device=device),
        stack("event"), stack("level"), stack("static"),
        torch.tensor(season if season.shape[1] else np.zeros((days, 0), np.float32), device=device),
    )  # fmt: skip


def series_of(samples: Samples, name: str, cells: np.ndarray) -> np.ndarray:
    """Series (T, C) of some cells (bool), read in pieces."""
    array = samples.arrays[name]
    days = len(samples.days)
    step = max(1, 2**24 // max(1, cells.size))
    return np.concatenate(
        [np.asarray(array[t : t + step], np.float32).reshape(-1, cells.size)[:, cells] for t in range(0, days, step)]
    )


def map_of(samples: Samples, name: str, cells: np.ndarray) -> np.ndarray:
    """Values (C,) of a map in some cells (bool)."""
    return np.asarray(samples.arrays[name], np.float32).reshape(-1)[cells]


def targets_of(samples: Samples, name: str, cells: np.ndarray) -> np.ndarray:
    """Observations (T, C) that count, else NaN."""
    values = series_of(samples, name, cells)
    infinite = np.isinf(values)
    if infinite.any():
        tell(f"{int(infinite.sum())} infinite values of '{name}' are treated as not observed.")
    counts = np.isfinite(values) & np.asarray(samples.use, bool)[:, None]
    if samples.weight is not None:
        weight = Samples({"weight": samples.weight}, samples.days, samples.use, samples.mask)
        counts &= series_of(weight, "weight", cells) > 0
    return np.where(counts, values, np.nan)


def dynamic_scaling(array: np.ndarray) -> dict[str, Any]:
    """Scaling of a covariate; one that is never negative and varies more than its mean consists of events."""
    good = array[np.isfinite(array)].astype("f8")
    if not len(good):
        return {"kind": "level", "center": 0.0, "scale": 1.0}
    if good.min() >= 0 and good.std() > good.mean() > 0:
        return {"kind": "event", "center": 0.0, "scale": float(good.mean())}
    return {"kind": "level", "center": float(good.mean()), "scale": float(good.std() or 1.0)}


def static_scaling(array: np.ndarray) -> dict[str, Any]:
    """Scaling of a map."""
    good = array[np.isfinite(array)].astype("f8")
    center, scale = (float(good.mean()), float(good.std()) or 1.0) if len(good) else (0.0, 1.0)
    return {"kind": "static", "center": center, "scale": scale}
