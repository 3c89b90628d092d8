"""Filters of series with gaps: means of days and neighbours; those that run along time are in `recursive`.

Arrays are ``(time, cell)`` with one step per day; what is not finite is missing. Each cell is computed by itself and in
the order of its days, so that results do not depend on which cells lie beside it.
"""

from __future__ import annotations

import math

import numpy as np

from xsm.compute.jit import jit
from xsm.series.recursive import antecedent, distance, exponential_filter, other_days

__all__ = [
    "antecedent", "day_mean", "day_spread", "distance", "exponential_filter", "neighbour_mean", "other_days",
    "standardised",
]  # fmt: skip


def day_mean(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Mean of the observed values of some days.

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``, NaN where not observed.
    use : ndarray of bool
        Days ``(time,)`` that count.

    Returns
    -------
    ndarray
        Float32 ``(cell,)``; NaN where none of these days was observed.

    Examples
    --------
    >>> day_mean(np.array([[0.1], [0.3], [0.8]]), np.array([True, True, False]))
    array([0.2], dtype=float32)
    """
    out = np.empty(values.shape[1], np.float32)
    _day_mean(values, use, out)
    return out


def day_spread(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Standard deviation of the observed values of some days; as `day_mean`.

    Examples
    --------
    >>> day_spread(np.array([[0.1], [0.3], [0.8]]), np.array([True, True, False])).round(2)
    array([0.1], dtype=float32)
    """
    return day_mean((values - day_mean(values, use)) ** 2, use) ** np.float32(0.5)


def standardised(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Departures from the mean of some days, in units of their standard deviation.

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``, NaN where not observed.
    use : ndarray of bool
        Days ``(time,)`` that count.

    Returns
    -------
    ndarray
        Float32 ``(time, cell)``; NaN where a cell does not vary on these days.

    Examples
    --------
    >>> standardised(np.array([[0.1], [0.3], [0.4]]), np.array([True, True, False])).ravel().round(2)
    array([-1.,  1.,  2.], dtype=float32)
    """
    spread = day_spread(values, use)
    return ((values - day_mean(values, use)) / np.where(spread > 0, spread, np.nan)).astype("f4")


def neighbour_mean(values: np.ndarray, cells: int) -> np.ndarray:
    """Mean of the values in a square around each cell, without the cell itself.

    Parameters
    ----------
    values : ndarray
        ``(n, y, x)``, NaN where missing.
    cells : int
        Width of the square, odd.

    Returns
    -------
    ndarray
        Float32 ``(n, y, x)``; NaN where no neighbour has a value.

    Examples
    --------
    >>> neighbour_mean(np.array([[[0.1, 0.9, 0.3]]]), 3)[0, 0].round(2)
    array([0.9, 0.2, 0.9], dtype=float32)
    """
    out = np.empty(values.shape, np.float32)
    _neighbour_mean(values, cells // 2, out)
    return out


@jit()
def _day_mean(values, use, out):  # type: ignore[no-untyped-def]
    days, cells = values.shape
    total, count = np.zeros(cells), np.zeros(cells)
    for t in range(days):
        for c in range(cells):
            if use[t] and math.isfinite(values[t, c]):
                total[c] += values[t, c]
                count[c] += 1
    for c in range(cells):
        out[c] = total[c] / count[c] if count[c] > 0 else math.nan


@jit()
def _neighbour_mean(values, half, out):  # type: ignore[no-untyped-def]
    count, rows, columns = values.shape
    for n in range(count):
        for i in range(rows):
            for j in range(columns):
                total, weight = 0.0, 0
                for y in range(max(i - half, 0), min(i + half + 1, rows)):
                    for x in range(max(j - half, 0), min(j + half + 1, columns)):
                        if (y != i or x != j) and math.isfinite(values[n, y, x]):
                            total += values[n, y, x]
                            weight += 1
                out[n, i, j] = total / weight if weight else math.nan
