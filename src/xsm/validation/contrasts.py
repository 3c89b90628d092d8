"""Means over stations with their intervals, and what one product gains over another at the same stations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LEAST = 3
"""Fewest stations of an interval."""


@dataclass(frozen=True)
class Gain:
    """Mean gain of a product over another at the same stations, its 95 percent interval, and how often it gains.

    ``verdict`` is ``"better"`` or ``"worse"`` where the interval excludes zero, ``"no clear difference"`` where it does
    not, and ``"too few stations"`` where there is none.
    """

    mean: float
    half: float
    stations: int
    gaining: int

    @property
    def verdict(self) -> str:
        """What the interval says."""
        if not np.isfinite(self.half):
            return "too few stations"
        if abs(self.mean) <= self.half:
            return "no clear difference"
        return "better" if self.mean > 0 else "worse"


def mean_and_half(values: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Mean of stations, and half the width of its interval by Student's t; NaN with fewer than `LEAST` stations.

    Stations count as independent: neighbours that share their weather make the true interval wider.

    Examples
    --------
    >>> mean, half = mean_and_half([0.6, 0.7, 0.8, np.nan])
    >>> round(mean, 3), round(half, 3)
    (0.7, 0.248)
    """
    from scipy.special import stdtrit

    known = np.asarray(values, "f8").ravel()
    known = known[np.isfinite(known)]
    if len(known) < LEAST:
        return (float(known.mean()) if len(known) else np.nan), np.nan
    free = len(known) - 1
    half = stdtrit(free, 0.5 + level / 2) * known.std(ddof=1) / np.sqrt(len(known))
    return float(known.mean()), float(half)


def gain(one: ArrayLike, other: ArrayLike, *, smaller_is_better: bool = False) -> Gain:
    """What one product gains over another: scores of both at the same stations; positive is better.

    Examples
    --------
    >>> gain([0.8, 0.7, 0.9, 0.8], [0.7, 0.6, 0.7, 0.75]).verdict
    'better'
    >>> gain([0.03, 0.04, 0.05], [0.04, 0.03, 0.05], smaller_is_better=True).verdict
    'no clear difference'
    """
    more = np.asarray(one, "f8") - np.asarray(other, "f8")
    more = -more if smaller_is_better else more
    mean, half = mean_and_half(more)
    return Gain(mean, half, int(np.isfinite(more).sum()), int((more > 0).sum()))
