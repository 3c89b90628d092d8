"""The mode bank compiled for prediction: what `BankUnit.latents` does by tensors, cell by cell in one pass each way.

A cell's recursion stays in the cache, days without observation cost a decay and nothing else, and sums are in float64.
Equal to `xsm_cru.bank` and `xsm_cru.network.solve` up to rounding, which the tests check.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from xsm.plugin_api import jit

RELAXED = {"contract", "reassoc", "nsz", "arcp"}


@jit(fastmath=RELAXED)
def _fill_columns(encoded, features, cycle, turn, column):  # type: ignore[no-untyped-def]
    days, known = features.shape
    for t in range(days):
        column[t, 0] = encoded[t]
        column[t, 1] = 1.0
        for k in range(known):
            column[t, 2 + k] = features[t, k]
        for k in range(turn):
            column[t, 2 + known + k] = 1.0 if t % turn == k else 0.0
        for k in range(cycle.shape[1]):
            column[t, 2 + known + turn + k] = cycle[t, k]


@jit(fastmath=RELAXED)
def _regress(gram, count, prior, precision, inverse, weights):  # type: ignore[no-untyped-def]
    """Posterior weights and the inverse Cholesky factor of their precision; gives the residual variance."""
    width = len(prior)
    for i in range(width):
        for j in range(i + 1):
            total = gram[i + 1, j + 1] + (precision[i] if i == j else 0.0)
            for k in range(j):
                total -= inverse[i, k] * inverse[j, k]
            inverse[i, j] = np.sqrt(total) if i == j else total / inverse[j, j]
    for j in range(width):
        inverse[j, j] = 1 / inverse[j, j]
        for i in range(j + 1, width):
            total = 0.0
            for k in range(j, i):
                total -= inverse[i, k] * inverse[k, j]
            inverse[i, j] = total / inverse[i, i]
    square = gram[0, 0]
    for i in range(width):
        square += precision[i] * prior[i] ** 2
        weights[i] = 0.0
    for i in range(width):
        part = 0.0
        for j in range(i + 1):
            part += inverse[i, j] * (gram[j + 1, 0] + precision[j] * prior[j])
        square -= part * part
        for j in range(i + 1):
            weights[j] += inverse[i, j] * part
    return (max(square, 0.0) + 10) / (count + 10)


@jit(fastmath=RELAXED)
def _describe_day(column, mean, weights, inverse, left, read):  # type: ignore[no-untyped-def]
    """Write modes and trend of a day to ``read``; gives the variance that the weights add."""
    count, width = mean.shape
    trend = 0.0
    for k in range(1, width):
        trend += weights[k - 1] * column[k]
        left[k - 1] = column[k]
    for i in range(count):
        mode = mean[i, 0]
        for k in range(1, width):
            mode -= weights[k - 1] * mean[i, k]
            left[k - 1] -= mean[i, k]
        read[i] = mode
    read[2 * count + 3] = trend
    doubt = 0.0
    for i in range(width - 1):
        part = 0.0
        for k in range(i + 1):
            part += inverse[i, k] * left[k]
        doubt += part * part
    return doubt


@jit(fastmath=RELAXED)
def _condition(encoded, observed, noise, rates, variances, features, prior, precision, cycle, turn, causal, read):  # type: ignore[no-untyped-def]
    cells, days = encoded.shape
    count, width = rates.shape[1], 2 + features.shape[2] + turn + cycle.shape[1]
    column, innovation = np.empty((days, width)), np.zeros((days, width))
    predicted, gain = np.empty((days, count, width)), np.empty((days, count))
    covariance, weight = np.empty((days, count, count)), np.empty(days)
    decay, across, taken = np.empty(count), np.empty(count), np.empty(count)
    mean, info = np.empty((count, width)), np.empty((count, count))
    cov, gram = np.empty((count, count)), np.empty((width, width))
    inverse, weights, left = np.zeros((width - 1, width - 1)), np.empty(width - 1), np.empty(width - 1)
    for c in range(cells):
        _fill_columns(encoded[c], features[c], cycle, turn, column)
        for i in range(count):
            decay[i] = np.exp(-rates[c, i])
        mean[:] = 0
        cov[:] = 0
        gram[:] = 0
        size, number = 1.0, 0
        for i in range(count):
            cov[i, i] = variances[c, i]
        if causal:
            size = _regress(gram, 0, prior[c], precision, inverse, weights)
        for t in range(days):
            total = 0.0
            for i in range(count):
                if t:
                    for k in range(width):
                        mean[i, k] *= decay[i]
                    for j in range(count):
                        cov[i, j] *= decay[i] * decay[j]
                    cov[i, i] += variances[c, i] * (1 - decay[i] * decay[i])
                across[i] = 0.0
                for j in range(count):
                    across[i] += cov[i, j]
                    covariance[t, i, j] = cov[i, j]
                total += across[i]
                predicted[t, i] = mean[i]
            weight[t] = 0.0
            spread = total
            if observed[c, t]:
                weight[t] = 1 / (total + noise[c, t])
                spread -= total * total * weight[t]
                for k in range(width):
                    error = column[t, k]
                    for i in range(count):
                        error -= mean[i, k]
                    innovation[t, k] = error
                for i in range(count):
                    gain[t, i] = across[i] * weight[t]
                    for k in range(width):
                        mean[i, k] += gain[t, i] * innovation[t, k]
                    for j in range(count):
                        cov[i, j] -= gain[t, i] * across[j]
                for k in range(width):
                    scaled = weight[t] * innovation[t, k]
                    for j in range(k + 1):
                        gram[k, j] += scaled * innovation[t, j]
                number += 1
                if causal:
                    size = _regress(gram, number, prior[c], precision, inverse, weights)
            read[c, t, 2 * count + 1] = 0.5 * np.log(total)
            if causal:
                for i in range(count):
                    read[c, t, count + i] = predicted[t, i, 0]
                    for k in range(1, width):
                        read[c, t, count + i] -= weights[k - 1] * predicted[t, i, k]
                spread += _describe_day(column[t], mean, weights, inverse, left, read[c, t])
                read[c, t, 2 * count] = 0.5 * np.log(max(spread, 0.0) + 1e-6)
                read[c, t, 2 * count + 2] = np.log(size)
        if causal:
            continue
        size = np.log(_regress(gram, number, prior[c], precision, inverse, weights))
        back = mean
        back[:] = 0
        info[:] = 0
        for t in range(days - 1, -1, -1):
            if t < days - 1:
                for i in range(count):
                    for k in range(width):
                        back[i, k] *= decay[i]
                    for j in range(count):
                        info[i, j] *= decay[i] * decay[j]
            if observed[c, t]:
                bent = 0.0
                for j in range(count):
                    taken[j] = 0.0
                    for i in range(count):
                        taken[j] += info[i, j] * gain[t, i]
                for j in range(count):
                    bent += taken[j] * gain[t, j]
                for i in range(count):
                    for j in range(count):
                        info[i, j] += weight[t] + bent - taken[i] - taken[j]
                for k in range(width):
                    step = weight[t] * innovation[t, k]
                    for i in range(count):
                        step -= gain[t, i] * back[i, k]
                    for i in range(count):
                        back[i, k] += step
            spread = 0.0
            for i in range(count):
                across[i] = 0.0
                before = predicted[t, i, 0]
                for k in range(1, width):
                    before -= weights[k - 1] * predicted[t, i, k]
                read[c, t, count + i] = before
                for j in range(count):
                    across[i] += covariance[t, i, j]
                    for k in range(width):
                        predicted[t, i, k] += covariance[t, i, j] * back[j, k]
                spread += across[i]
            for i in range(count):
                for j in range(count):
                    spread -= across[i] * info[i, j] * across[j]
            spread = max(spread, 0.0) + _describe_day(column[t], predicted[t], weights, inverse, left, read[c, t])
            read[c, t, 2 * count] = 0.5 * np.log(spread + 1e-6)
            read[c, t, 2 * count + 2] = size


class Series(NamedTuple):
    """Data of C cells over T days: arrays whose first axis is the cell.

    Latent observations, whether observed, and noise variances (C, T); rates and variances of the modes (C, m); driving
    input (C, T, F); prior means (C, P) of the weights of constant, driving input, orbits, cycle.
    """

    encoded: np.ndarray
    observed: np.ndarray
    noise: np.ndarray
    rates: np.ndarray
    variances: np.ndarray
    features: np.ndarray
    prior: np.ndarray


def condition(
    series: Series, cycle: np.ndarray, turn: int, precision: np.ndarray, *, causal: bool, threads: int
) -> np.ndarray:
    """Condition bank and regression on the observations of C cells, T days.

    Parameters
    ----------
    series : Series
        Observations and parameters by cell.
    cycle : ndarray
        (T, S) yearly cycle, shared.
    turn : int
        Days after which the orbit repeats; 0 for no indicators of it.
    precision : ndarray
        (P,) prior precisions of the weights, P = 1 + F + turn + S.
    causal : bool
        Filter instead of smoothing.
    threads : int
        Threads that share the cells.

    Returns
    -------
    ndarray
        (C, T, 2 m + 4 + F) float32: modes, modes before the day, logarithms of the spread, of the spread before the
        day and of the residual size, trend, features; the mean is trend plus modes.
    """
    cells, days = series.encoded.shape
    modes, width = series.rates.shape[1], series.features.shape[2]
    read = np.empty((cells, days, 2 * modes + 4 + width), np.float32)
    read[..., 2 * modes + 4 :] = series.features

    def run(part: slice) -> None:
        mine = (a[part] for a in series)
        _condition(*mine, precision, cycle, turn, causal, read[part])

    edges = np.linspace(0, cells, threads + 1).astype(int)
    parts = [slice(a, b) for a, b in itertools.pairwise(edges) if a < b]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, parts))
    return read
