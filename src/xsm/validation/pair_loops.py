"""Compiled loops behind `metrics`: moments and ranks of many pairs of series at once."""

from __future__ import annotations

import math

import numpy as np

from xsm.compute.jit import jit

N, MEAN_X, MEAN_Y, XX, YY, XY, DD, UU, MEMORY = range(9)
"""Columns of `moments`: number of pairs, means, sums of squared and of mixed anomalies, sums of squared differences of
values and of anomalies, product of the two lag-one autocorrelations of successive pairs (between 0 and 1)."""


@jit()
def moments(x, y, out):  # type: ignore[no-untyped-def]
    """Moments of the pairs of each row.

    Parameters
    ----------
    x, y : (series, time) float
        Pairs; a pair with a value that is not finite does not count.
    out : (series, 9) float
        Result, NaN without a pair; ``XX`` and ``YY`` are exactly zero where the series is constant.
    """
    for i in range(x.shape[0]):
        n, sum_x, sum_y = 0, 0.0, 0.0
        low_x, high_x, low_y, high_y = math.inf, -math.inf, math.inf, -math.inf
        for t in range(x.shape[1]):
            a, b = x[i, t], y[i, t]
            if math.isfinite(a) and math.isfinite(b):
                n += 1
                sum_x += a
                sum_y += b
                low_x, high_x = min(low_x, a), max(high_x, a)
                low_y, high_y = min(low_y, b), max(high_y, b)
        out[i, :] = math.nan
        out[i, N] = n
        if n == 0:
            continue
        mean_x, mean_y = sum_x / n, sum_y / n
        xx, yy, xy, dd, uu, lag_x, lag_y = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        first_x, first_y, last_x, last_y = math.nan, math.nan, 0.0, 0.0
        for t in range(x.shape[1]):
            a, b = x[i, t], y[i, t]
            if math.isfinite(a) and math.isfinite(b):
                dd += (a - b) * (a - b)
                a, b = a - mean_x, b - mean_y
                if math.isnan(first_x):
                    first_x, first_y = a, b
                xx += a * a
                yy += b * b
                xy += a * b
                uu += (a - b) * (a - b)
                lag_x += a * last_x
                lag_y += b * last_y
                last_x, last_y = a, b
        if low_x == high_x:
            xx, xy = 0.0, 0.0
        if low_y == high_y:
            yy, xy = 0.0, 0.0
        out[i, MEAN_X], out[i, MEAN_Y] = mean_x, mean_y
        out[i, XX], out[i, YY], out[i, XY], out[i, DD], out[i, UU] = xx, yy, xy, dd, uu
        memory = _lag_one(n, xx, lag_x, first_x, last_x) * _lag_one(n, yy, lag_y, first_y, last_y)
        out[i, MEMORY] = min(max(memory, 0.0), 1.0)


@jit()
def _lag_one(n, squares, products, first, last):  # type: ignore[no-untyped-def]
    """Correlation of a series without its last with the one without its first value, 0 where there is none."""
    if n < 3 or squares == 0.0:
        return 0.0
    shared = first * last / (n - 1)
    late = squares - first * first - first * first / (n - 1)
    early = squares - last * last - last * last / (n - 1)
    return (products - shared) / math.sqrt(late * early) if late > 0 and early > 0 else 0.0


@jit()
def ranks(values, out):  # type: ignore[no-untyped-def]
    """Ranks from 1 of each row, ties by average rank.

    Values are dealt into buckets of equal width, which leaves them almost in order, and then put right one by one.

    Parameters
    ----------
    values : (series, time) float
        Values; NaN has no rank.
    out : (series, time) float
        Result, NaN where the value is.
    """
    count = values.shape[1]
    order = np.empty(count, np.int64)
    starts = np.empty(2 * count + 2, np.int64)
    for i in range(values.shape[0]):
        n = _deal(values[i], starts, order)
        if not _put_right(values[i], n, order):
            order[:] = np.argsort(values[i])
        out[i, :] = math.nan
        start = 0
        while start < n:
            value, end = values[i, order[start]], start + 1
            while end < n and values[i, order[end]] == value:
                end += 1
            for k in range(start, end):
                out[i, order[k]] = (start + end + 1) / 2
            start = end


@jit()
def _deal(row, starts, order):  # type: ignore[no-untyped-def]
    """Positions of the values by bucket; returns the number of values."""
    n, low, high = 0, math.inf, -math.inf
    for value in row:
        if not math.isnan(value):
            n += 1
            low, high = min(low, value), max(high, value)
    buckets = 2 * n
    width = (buckets - 1) / (high - low) if high > low else 0.0
    if not math.isfinite(width):  # the values lie closer together than floats can resolve
        width = 0.0
    starts[: buckets + 1] = 0
    for value in row:
        if not math.isnan(value):
            starts[int((value - low) * width) + 1 if width else 1] += 1
    for k in range(buckets):
        starts[k + 1] += starts[k]
    for t in range(len(row)):
        if not math.isnan(row[t]):
            k = int((row[t] - low) * width) if width else 0
            order[starts[k]] = t
            starts[k] += 1
    return n


@jit()
def _put_right(row, n, order):  # type: ignore[no-untyped-def]
    """Sort positions that are almost sorted; False where that takes too long."""
    moves = 0
    for k in range(n):
        at, j = order[k], k
        while j > 0 and row[order[j - 1]] > row[at]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = at
        moves += k - j
        if moves > 32 * n:
            return False
    return True
