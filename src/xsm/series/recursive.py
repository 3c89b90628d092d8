"""Filters that run along the days of series with gaps, and that can be continued: exponential filter, antecedent sum,
mean of the other days, distance to them.

Arrays are ``(time, cell)`` with one step per day; what is not finite is missing. Each cell is computed by itself and in
the order of its days, so that results depend neither on the cells beside it nor on where a series is cut: a filter that
continues from its state gives the values of the whole series to the bit.
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
NEVER = -(2**40)
"""Day of the last observation where there was none."""


def new_state(cells: int) -> np.ndarray:
    """State of a filter before the first day: gain or weight, mean or sum, days since the last observation.

    Parameters
    ----------
    cells : int
        Number of cells.

    Returns
    -------
    ndarray
        Float64 ``(3, cell)``; the days are -1 where nothing was observed.

    Examples
    --------
    >>> state, values = new_state(1), np.array([[0.1], [np.nan], [0.3]])
    >>> parts = [exponential_filter(part, 5.0, state) for part in (values[:1], values[1:])]
    >>> bool((np.concatenate(parts) == exponential_filter(values, 5.0)).all())
    True
    """
    return np.stack([np.ones(cells), np.zeros(cells), np.full(cells, -1.0)])


def exponential_filter(values: np.ndarray, days: float, state: np.ndarray | None = None) -> np.ndarray:
    """Recursive exponential filter of the observed values (Wagner et al. 1999, Albergel et al. 2008).

    The gain of an observation is ``K / (K + exp(-dt / T))``, with the gain ``K`` of the one before, ``dt`` days ago;
    the first one has the gain 1.

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``, NaN where not observed.
    days : float
        Time constant ``T``, positive.
    state : ndarray, optional
        As `new_state` makes it; the filter continues from it and leaves in it what the next day needs.

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
    return _filtered(_exponential_filter, values, state, days)


def antecedent(values: np.ndarray, days: float, state: np.ndarray | None = None) -> np.ndarray:
    """Antecedent precipitation index: ``s[t] = s[t - 1] exp(-1 / T) + p[t]`` (Kohler and Linsley 1951).

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``; a missing value counts as 0.
    days : float
        Time constant ``T``, positive.
    state : ndarray, optional
        As `new_state` makes it; the filter continues from it and leaves in it what the next day needs.

    Returns
    -------
    ndarray
        Float32 ``(time, cell)``; nothing is left from before the first day.

    Examples
    --------
    >>> antecedent(np.array([[10.0], [0.0], [np.nan]]), 2.0).ravel().round(2)
    array([10.  ,  6.07,  3.68], dtype=float32)
    """
    return _filtered(_antecedent, values, state, days)


def other_days(values: np.ndarray, days: float, side: Side = "both", state: np.ndarray | None = None) -> np.ndarray:
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
    state : ndarray, optional
        Of the past side, as `new_state` makes it; the filter continues from it and leaves in it what the next day
        needs.

    Returns
    -------
    ndarray
        Float32 ``(time, cell)``; NaN where no other day was observed.

    Examples
    --------
    >>> other_days(np.array([[0.1], [0.9], [0.3]]), 5.0).ravel().round(2)
    array([0.63, 0.2 , 0.54], dtype=float32)
    """
    return _filtered(_other_days, values, state, days, side == "past")


def distance(values: np.ndarray, side: Side = "both", state: np.ndarray | None = None) -> np.ndarray:
    """Days to the nearest other day that was observed.

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``, NaN where not observed.
    side : {"both", "past"}
        Days before and after, or only before.
    state : ndarray, optional
        Of the past side, as `new_state` makes it; the filter continues from it and leaves in it what the next day
        needs.

    Returns
    -------
    ndarray
        Float32 ``(time, cell)``, at most 60, which also stands for no such day.

    Examples
    --------
    >>> distance(np.array([[0.1], [np.nan], [np.nan], [0.3]])).ravel()
    array([3., 1., 1., 3.], dtype=float32)
    """
    return _filtered(_distance, values, state, 1.0, side == "past")


def _filtered(kernel, values, state, days, *arguments):  # type: ignore[no-untyped-def]
    out = np.empty(values.shape, np.float32)
    state = new_state(values.shape[1]) if state is None else state
    decay = np.exp(-np.arange(len(values) + 2 + int(state[2].max(initial=0))) / days)
    for part in (slice(k, k + CELLS) for k in range(0, values.shape[1], CELLS)):
        kernel(values[:, part], decay, *arguments, state[:, part], out[:, part])
    return out


@jit()
def _exponential_filter(values, decay, state, out):  # type: ignore[no-untyped-def]
    days, cells = values.shape
    gain, mean, last = state[0], state[1], _last(state)
    for t in range(days):
        for c in range(cells):
            v = values[t, c]
            if math.isfinite(v):
                if last[c] == NEVER:
                    gain[c], mean[c] = 1.0, v
                else:
                    gain[c] /= gain[c] + decay[t - last[c]]
                    mean[c] += gain[c] * (v - mean[c])
                last[c] = t
            out[t, c] = math.nan if last[c] == NEVER else mean[c]
    _keep(last, days, state)


@jit()
def _antecedent(values, decay, state, out):  # type: ignore[no-untyped-def]
    total = state[1]
    for t in range(values.shape[0]):
        for c in range(values.shape[1]):
            v = values[t, c]
            total[c] = total[c] * decay[1] + (v if math.isfinite(v) else 0.0)
            out[t, c] = total[c]


@jit()
def _other_days(values, decay, past, state, out):  # type: ignore[no-untyped-def]
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
    weight, mean, last = state[0], state[1], _last(state)
    for t in range(days):
        for c in range(cells):
            before, after = last[c], -1 if past else lasts[t, c]
            if before == NEVER and after < 0:
                out[t, c] = math.nan
            elif after < 0:
                out[t, c] = mean[c]
            elif before == NEVER:
                out[t, c] = means[t, c]
            else:
                nearest = min(t - before, after - t)
                a = weight[c] * decay[t - before - nearest]
                b = weights[t, c] * decay[after - t - nearest]
                out[t, c] = (a * mean[c] + b * means[t, c]) / (a + b)
            v = values[t, c]
            if math.isfinite(v):
                weight[c] = 1.0 if before == NEVER else weight[c] * decay[t - before] + 1.0
                mean[c] += (v - mean[c]) / weight[c]
                last[c] = t
    _keep(last, days, state)


@jit()
def _distance(values, decay, past, state, out):  # type: ignore[no-untyped-def]
    days, cells = values.shape
    last = _last(state)
    for t in range(days):
        for c in range(cells):
            out[t, c] = min(t - last[c], FARTHEST)
            if math.isfinite(values[t, c]):
                last[c] = t
    _keep(last, days, state)
    away = np.full(cells, FARTHEST)
    for t in range(0 if past else days):
        for c in range(cells):
            out[days - 1 - t, c] = min(out[days - 1 - t, c], away[c])
            away[c] = 1 if math.isfinite(values[days - 1 - t, c]) else min(away[c] + 1, FARTHEST)


@jit()
def _last(state):  # type: ignore[no-untyped-def]
    """Day of the last observation of each cell, counted from the first day of the values."""
    last = np.empty(state.shape[1], np.int64)
    for c in range(len(last)):
        last[c] = NEVER if state[2, c] < 0 else -np.int64(state[2, c])
    return last


@jit()
def _keep(last, days, state):  # type: ignore[no-untyped-def]
    for c in range(len(last)):
        state[2, c] = -1.0 if last[c] == NEVER else days - last[c]
