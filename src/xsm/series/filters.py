"""Filters of series with gaps: exponential filter, antecedent sum, other days, neighbours.

Arrays are ``(time, cell)`` with one step per day; what is not finite is missing. Each cell is computed by itself and in
the order of its days, so that results do not depend on which cells lie beside it.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from xsm.compute.jit import jit

Side = Literal["both", "past"]
FARTHEST = 60
"""Largest distance in days; it also stands for none."""
CELLS = 256
"""Cells filtered at once where a filter remembers its way back; bounds memory."""


def exponential_filter(values: np.ndarray, days: float) -> np.ndarray:
    """Recursive exponential filter of the observed values (Wagner et al. 1999, Albergel et al. 2008).

    The gain of an observation is ``K / (K + exp(-dt / T))``, with the gain ``K`` of the one before, ``dt`` days ago;
    the first one has the gain 1.

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``, NaN where not observed.
    days : float
        Time constant ``T``, positive.

    Returns
    -------
    ndarray
        Float32 ``(time, cell)``; carried through gaps, NaN before the first observation.

    References
    ----------
    Wagner, W., Lemoine, G., Rott, H. (1999). Remote Sensing of Environment 70, 191-207.
    Albergel, C. et al. (2008). Hydrology and Earth System Sciences 12, 1323-1337.

    Examples
    --------
    >>> exponential_filter(np.array([[np.nan], [0.1], [np.nan], [0.3]]), 5.0).ravel().round(3)
    array([ nan, 0.1 , 0.1 , 0.22], dtype=float32)
    """
    return _filtered(_exponential_filter, values, _decay(values, days))


def antecedent(values: np.ndarray, days: float) -> np.ndarray:
    """Antecedent precipitation index: ``s[t] = s[t - 1] exp(-1 / T) + p[t]`` (Kohler and Linsley 1951).

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``; a missing value counts as 0.
    days : float
        Time constant ``T``, positive.

    Returns
    -------
    ndarray
        Float32 ``(time, cell)``; nothing is left from before the first day.

    Examples
    --------
    >>> antecedent(np.array([[10.0], [0.0], [np.nan]]), 2.0).ravel().round(2)
    array([10.  ,  6.07,  3.68], dtype=float32)
    """
    return _filtered(_antecedent, values, _decay(values, days))


def other_days(values: np.ndarray, days: float, side: Side = "both") -> np.ndarray:
    """Mean of the values observed on other days, with weights ``exp(-|dt| / T)``.

    A day's own value never takes part: the sums of the days before and of the days after it are made apart, and the
    result is the same to the bit whatever the day's value is.

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``, NaN where not observed.
    days : float
        Time constant ``T``, positive.
    side : {"both", "past"}
        Days before and after, or only before.

    Returns
    -------
    ndarray
        Float32 ``(time, cell)``; NaN where no other day was observed.

    Examples
    --------
    >>> other_days(np.array([[0.1], [0.9], [0.3]]), 5.0).ravel().round(2)
    array([0.63, 0.2 , 0.54], dtype=float32)
    """
    return _filtered(_other_days, values, _decay(values, days), side == "past")


def distance(values: np.ndarray, side: Side = "both") -> np.ndarray:
    """Days to the nearest other day that was observed.

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``, NaN where not observed.
    side : {"both", "past"}
        Days before and after, or only before.

    Returns
    -------
    ndarray
        Float32 ``(time, cell)``, at most 60, which also stands for no such day.

    Examples
    --------
    >>> distance(np.array([[0.1], [np.nan], [np.nan], [0.3]])).ravel()
    array([3., 1., 1., 3.], dtype=float32)
    """
    return _filtered(_distance, values, side == "past", FARTHEST)


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


def _decay(values: np.ndarray, days: float) -> np.ndarray:
    """Weights ``exp(-n / T)`` of all differences of days in a series."""
    return np.exp(-np.arange(len(values) + 1) / days)


def _filtered(kernel, values, *arguments):  # type: ignore[no-untyped-def]
    out = np.empty(values.shape, np.float32)
    for part in (slice(k, k + CELLS) for k in range(0, values.shape[1], CELLS)):
        kernel(values[:, part], *arguments, out[:, part])
    return out


@jit()
def _exponential_filter(values, decay, out):  # type: ignore[no-untyped-def]
    days, cells = values.shape
    gain, mean, last = np.ones(cells), np.full(cells, np.nan), np.full(cells, -1)
    for t in range(days):
        for c in range(cells):
            v = values[t, c]
            if math.isfinite(v):
                if last[c] < 0:
                    mean[c] = v
                else:
                    gain[c] /= gain[c] + decay[t - last[c]]
                    mean[c] += gain[c] * (v - mean[c])
                last[c] = t
            out[t, c] = mean[c]


@jit()
def _antecedent(values, decay, out):  # type: ignore[no-untyped-def]
    days, cells = values.shape
    total = np.zeros(cells)
    for t in range(days):
        for c in range(cells):
            v = values[t, c]
            total[c] = total[c] * decay[1] + (v if math.isfinite(v) else 0.0)
            out[t, c] = total[c]


@jit()
def _other_days(values, decay, past, out):  # type: ignore[no-untyped-def]
    """Means are updated, and weights are those of the last observed day: neither vanishes in long gaps."""
    days, cells = values.shape
    mean, weight, last = np.zeros(cells), np.zeros(cells), np.full(cells, -1)
    later = 0 if past else days
    means, weights, lasts = np.zeros((later, cells)), np.zeros((later, cells)), np.full((later, cells), -1)
    for t in range(later - 1, -1, -1):
        for c in range(cells):
            means[t, c], weights[t, c], lasts[t, c] = mean[c], weight[c], last[c]
            v = values[t, c]
            if math.isfinite(v):
                weight[c] = 1.0 if last[c] < 0 else weight[c] * decay[last[c] - t] + 1.0
                mean[c] += (v - mean[c]) / weight[c]
                last[c] = t
    mean[:], weight[:], last[:] = 0.0, 0.0, -1
    for t in range(days):
        for c in range(cells):
            before, after = last[c], -1 if past else lasts[t, c]
            if before < 0 and after < 0:
                out[t, c] = math.nan
            elif after < 0:
                out[t, c] = mean[c]
            elif before < 0:
                out[t, c] = means[t, c]
            else:
                nearest = min(t - before, after - t)
                a = weight[c] * decay[t - before - nearest]
                b = weights[t, c] * decay[after - t - nearest]
                out[t, c] = (a * mean[c] + b * means[t, c]) / (a + b)
            v = values[t, c]
            if math.isfinite(v):
                weight[c] = 1.0 if before < 0 else weight[c] * decay[t - before] + 1.0
                mean[c] += (v - mean[c]) / weight[c]
                last[c] = t


@jit()
def _distance(values, past, farthest, out):  # type: ignore[no-untyped-def]
    days, cells = values.shape
    away = np.full(cells, farthest)
    for t in range(days):
        for c in range(cells):
            out[t, c] = away[c]
            away[c] = 1 if math.isfinite(values[t, c]) else min(away[c] + 1, farthest)
    away[:] = farthest
    for t in range(0 if past else days):
        for c in range(cells):
            out[days - 1 - t, c] = min(out[days - 1 - t, c], away[c])
            away[c] = 1 if math.isfinite(values[days - 1 - t, c]) else min(away[c] + 1, farthest)


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
