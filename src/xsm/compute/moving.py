"""Moving means and standard deviations of series with gaps, by windows of days."""

from __future__ import annotations

import math

import numpy as np

from xsm.compute.jit import jit


def bounds_of(days: np.ndarray, window: float) -> tuple[np.ndarray, np.ndarray]:
    """First index and index after the last of the days at most half a window away, for each day.

    Examples
    --------
    >>> bounds_of(np.array([0, 1, 5]), 3)
    (array([0, 0, 2]), array([2, 2, 3]))
    """
    return np.searchsorted(days, days - window / 2, "left"), np.searchsorted(days, days + window / 2, "right")


def moving_mean(rows: np.ndarray, days: np.ndarray, window: float, min_obs: int = 1) -> np.ndarray:
    """Mean of the finite values at most half a window away, also on days without a value.

    Parameters
    ----------
    rows : ndarray
        ``(cell, time)`` of float64.
    days : ndarray
        Day numbers in ascending order.
    window : float
        Width of the centred window in days; it is cut at both ends of the series.
    min_obs : int
        Fewest values; NaN with fewer.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> moving_mean(np.array([[1.0, np.nan, 3.0, 8.0]]), np.arange(4), 3)
    array([[1. , 2. , 5.5, 5.5]])
    """
    out = np.empty(rows.shape)
    _means(rows, *bounds_of(days, window), max(min_obs, 1), out)
    return out


def moving_std(rows: np.ndarray, days: np.ndarray, window: float, min_obs: int = 1) -> np.ndarray:
    """Sample standard deviation in the same windows; NaN where fewer than two values lie.

    Examples
    --------
    >>> moving_std(np.array([[1.0, np.nan, 3.0, 3.0]]), np.arange(4), 3).round(2)
    array([[ nan, 1.41, 0.  , 0.  ]])
    """
    out = np.empty(rows.shape)
    _stds(rows, *bounds_of(days, window), max(min_obs, 2), out)
    return out


@jit()
def _means(rows, begin, end, fewest, out):  # type: ignore[no-untyped-def]
    """Sums run along the series, of differences from its first value: those of a constant series are exact."""
    cells, days = rows.shape
    for c in range(cells):
        first, total, count, b, e = math.nan, 0.0, 0, 0, 0
        for t in range(days):
            while e < end[t]:
                v = rows[c, e]
                if math.isfinite(v):
                    if math.isnan(first):
                        first = v
                    total += v - first
                    count += 1
                e += 1
            while b < begin[t]:
                v = rows[c, b]
                if math.isfinite(v):
                    total -= v - first
                    count -= 1
                b += 1
            if count == 0:
                total = 0.0
            out[c, t] = first + total / count if count >= fewest else math.nan


@jit()
def _stds(rows, begin, end, fewest, out):  # type: ignore[no-untyped-def]
    for c in range(len(rows)):
        for t in range(len(begin)):
            _, variance, count = mean_and_variance(rows[c, begin[t] : end[t]])
            out[c, t] = math.sqrt(variance * count / (count - 1)) if count >= fewest else math.nan


@jit()
def mean_and_variance(values):  # type: ignore[no-untyped-def]
    """Mean, variance and number of the finite values; exact where they are all the same."""
    first, total, squares, count = math.nan, 0.0, 0.0, 0
    for v in values:
        if math.isfinite(v):
            if count == 0:
                first = v
            total += v - first
            count += 1
    if count == 0:
        return math.nan, math.nan, 0
    for v in values:
        if math.isfinite(v):
            squares += (v - first - total / count) ** 2
    return first + total / count, squares / count, count
