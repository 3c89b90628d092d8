"""Scores of a fill at hidden observations, as in the scoring script beside the data, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

BANDS = ((1, 3), (4, 10), (11, 35))
ENOUGH = 50


@dataclass(frozen=True)
class Score:
    """RMSE, CRPS, share inside the 95 % interval, the same by band of distance; NaN without a spread."""

    rmse: float
    crps: float
    inside: float
    bands: tuple[float, ...]
    complete: bool
    training: float
    speed: float


def score(
    fill: np.ndarray, std: np.ndarray | None, truth: np.ndarray, masked: np.ndarray, hidden: np.ndarray,
    days: np.ndarray, training: float, seconds: float,
) -> Score:  # fmt: skip
    """Score a fill (time, cell) where ``hidden``; ``days`` to the nearest observation, ``seconds`` of filling."""
    complete = bool(np.isfinite(fill)[hidden].all())
    error = (np.where(np.isfinite(fill), fill, np.nanmean(masked, 0)) - truth)[hidden]
    rmse, speed = float(np.sqrt((error**2).mean())), fill.size / seconds
    if std is None:
        return Score(rmse, np.nan, np.nan, (np.nan,) * len(BANDS), complete, training, speed)
    spread, near = std[hidden], days[hidden]
    z = error / spread
    crps = spread * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    inside = np.abs(z) < 1.96
    picks = [(near >= low) & (near <= high) for low, high in BANDS]
    bands = tuple(float(inside[p].mean()) if p.sum() > ENOUGH else np.nan for p in picks)
    return Score(rmse, float(crps.mean()), float(inside.mean()), bands, complete, training, speed)


def table(rows: dict[str, Sequence[Score]]) -> str:
    """One row for each filler with its scores in the three experiments."""
    lines = [
        f"{'':26s} {'RMSE random block outage':25s} {'CRPS':24s} {'inside 95 %':18s} "
        f"{'inside by band (least-most)':28s} {'training s':>10s} {'pixel-days/s':>13s}"
    ]
    for name, scores in rows.items():
        bands = [b for s in scores for b in s.bands if np.isfinite(b)]
        lines.append(
            f"{name:26s} {' '.join(f'{s.rmse:.4f}' for s in scores):25s} {_each(scores, 'crps', 5):24s} "
            f"{_each(scores, 'inside', 3):18s} {f'{min(bands):.3f}-{max(bands):.3f}' if bands else '-':28s} "
            f"{sum(s.training for s in scores) / len(scores):10.1f} {np.median([s.speed for s in scores]):13,.0f}"
        )
    return "\n".join(lines)


def _each(scores: Sequence[Score], name: str, digits: int) -> str:
    values = [getattr(s, name) for s in scores]
    return " ".join(f"{v:.{digits}f}" for v in values) if np.isfinite(values).all() else "-"
