"""Two baselines in numpy, so that the core is useful, testable and comparable without torch.

``linear`` fills gaps by straight lines, ``ridge`` estimates soil moisture by one linear regression for all cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xsm.contracts.bundle import Bundle
from xsm.contracts.hookspecs import hookimpl
from xsm.contracts.model import Block, ModelInfo, Progress, Samples, Spec, clip_moisture, make_card
from xsm.contracts.operation import Kind, Param
from xsm.errors import DataError

XSM_PLUGIN_API = 2
LINEAR = ModelInfo("linear", "Linear interpolation in time", "gapfill", "xsm.contracts.defaults.baseline:Linear")
RIDGE = ModelInfo(
    "ridge",
    "Ridge regression on the predictors of the day",
    "estimate",
    "xsm.contracts.defaults.baseline:Ridge",
    (Param("Strength of the shrinkage.", name="penalty", kind=Kind.NUMBER, default=1.0, minimum=0),),
)
MAX_DISTANCE = 60


@hookimpl
def xsm_models(register: Any) -> None:
    """Register both baselines."""
    register(LINEAR)
    register(RIDGE)


def distance_to_observation(observed: np.ndarray) -> np.ndarray:
    """Days to the nearest observation for ``(time, cell)``, int; large where a cell has none."""
    index = np.arange(len(observed))[:, None]
    last = np.maximum.accumulate(np.where(observed, index, -(10**6)), 0)
    after = np.minimum.accumulate(np.where(observed, index, 10**6)[::-1], 0)[::-1]
    return np.minimum(index - last, after - index)


def interpolate(values: np.ndarray) -> np.ndarray:
    """Fill ``(time, cell)`` by straight lines, ends by the nearest value; cells without a value stay NaN."""
    out = values.copy()
    index = np.arange(len(values))
    for cell in np.flatnonzero(np.isfinite(values).any(0)):
        observed = np.isfinite(values[:, cell])
        out[~observed, cell] = np.interp(index[~observed], index[observed], values[observed, cell])
    return out


class Linear:
    """Gap filling by straight lines; the spread is that of its errors at hidden observations, by distance."""

    info = LINEAR

    def block(self, bundle: Bundle) -> Block:
        """Whole series."""
        return Block("series")

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Progress) -> Bundle:
        """Hide blocks of observations of the samples and tabulate the error by distance to the nearest one left."""
        rng = np.random.default_rng(seed)
        weights = {}
        for name in spec.targets:
            values = np.where(samples.use[:, None], np.asarray(samples.arrays[name], "f8"), np.nan)
            hide = np.zeros(values.shape, bool)
            for cell in range(values.shape[1]):
                for length in (1, 1, 2, 4, 8, 16, 32):
                    start = rng.integers(0, max(len(values) - length, 1))
                    hide[start : start + length, cell] = True
            kept = np.where(hide, np.nan, values)
            error = (interpolate(kept) - values)[hide & np.isfinite(values)]
            away = distance_to_observation(np.isfinite(kept))[hide & np.isfinite(values)]
            weights[name] = _by_distance(error, away, float(np.nanstd(values)))
        progress(1.0, "linear interpolation")
        limits = "no skill beyond straight lines; spread from hidden blocks"
        return Bundle(make_card(spec, "linear", seed, limits=limits), weights)

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Interpolate, and take the spread from the table."""
        out: dict[str, np.ndarray] = {}
        for name in bundle.card["targets"]:
            filled = interpolate(arrays[name])
            away = distance_to_observation(np.isfinite(arrays[name])).clip(0, MAX_DISTANCE)
            std = np.where(np.isfinite(filled), bundle.weights[name][away], np.nan)
            out |= {name: filled, f"{name}_std": std, f"{name}_obs_std": std}
        return out


def _by_distance(error: np.ndarray, away: np.ndarray, scale: float) -> np.ndarray:
    table = np.full(MAX_DISTANCE + 1, np.nan)
    for d in range(1, MAX_DISTANCE + 1):
        near = np.abs(away - d) <= max(1, d // 4)
        if near.sum() >= 30:
            table[d] = np.sqrt((error[near] ** 2).mean())
    known = np.flatnonzero(np.isfinite(table))
    if not len(known):
        return np.full(MAX_DISTANCE + 1, max(scale, 1e-6), "f4")
    filled = np.interp(np.arange(MAX_DISTANCE + 1), known, np.maximum.accumulate(table[known]))
    return np.maximum(filled, 1e-6).astype("f4")


class Ridge:
    """One linear regression of the first reference on the predictors of the day, for all cells and days."""

    info = RIDGE

    def block(self, bundle: Bundle) -> Block:
        """Cells and days are independent of each other."""
        return Block("series")

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Progress) -> Bundle:
        """Solve the normal equations of the training days."""
        names = (*spec.inputs, *spec.statics)
        target = np.asarray(samples.arrays[spec.references[0]], "f8")
        use = np.isfinite(target) & samples.use.reshape(-1, *(1,) * (target.ndim - 1)) & samples.mask
        if samples.weight is not None:
            use &= np.asarray(samples.weight, bool)
        columns = [np.broadcast_to(np.asarray(samples.arrays[n], "f8"), target.shape)[use] for n in names]
        x, y = np.stack(columns, -1), target[use]
        keep = np.isfinite(x).all(-1)
        x, y = x[keep], y[keep]
        if not len(y):
            raise DataError(
                f"The reference '{spec.references[0]}' is nowhere observed on thawed days to learn from.",
                hint="Check its period and its overlap with the predictors.",
            )
        mean, std = x.mean(0), x.std(0) + 1e-9
        a = np.c_[np.ones(len(x)), (x - mean) / std]
        penalty = float(spec.options.get("penalty", 1.0))
        w = np.linalg.solve(a.T @ a + penalty * np.eye(a.shape[1]), a.T @ y)
        spread = float(np.sqrt(((y - a @ w) ** 2).mean()))
        progress(1.0, "ridge regression")
        weights = {"mean": mean, "std": std, "weights": w, "spread": np.array([spread])}
        return Bundle(
            make_card(spec, "ridge", seed, limits="spread calibrated to the reference, not to truth"), weights
        )

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Apply the regression."""
        card, weights = bundle.card, bundle.weights
        names = (*card["inputs"], *card["statics"])
        sizes = {n: weights[n].shape if n in weights else None for n in ("mean", "std", "weights", "spread")}
        if list(sizes.values()) != [(len(names),), (len(names),), (len(names) + 1,), (1,)]:
            raise DataError(
                f"The weights of the bundle do not fit its card ({len(names)} predictors, shapes {sizes}).",
                hint="Get or train it again.",
            )
        total: Any = weights["weights"][0]
        for i, name in enumerate(names):
            total = total + (arrays[name] - weights["mean"][i]) / weights["std"][i] * weights["weights"][i + 1]
        target = card["targets"][0]
        value = clip_moisture(total, card)
        return {target: value, f"{target}_std": np.where(np.isfinite(value), weights["spread"][0], np.nan)}
