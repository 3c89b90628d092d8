"""Features of the trees: predictors of the day and of earlier days, their running means, static predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.signal import lfilter


def running_mean(values: np.ndarray, days: float) -> np.ndarray:
    """Mean of the past with weights that fall by a factor e in ``days`` days, the day itself included.

    Parameters
    ----------
    values : ndarray
        ``(time, ...)``; it starts from the mean of the first ``days`` days.
    days : float
        Time scale.

    Returns
    -------
    ndarray
        Float64, the shape of ``values``.

    Examples
    --------
    >>> running_mean(np.array([0.0, 0.0, 1.0, 0.0]), 1.0).round(2)
    array([0.  , 0.  , 0.63, 0.23])
    """
    keep = float(np.exp(-1.0 / days))
    start = np.asarray(values[: max(int(days), 1)], np.float64).mean(0)
    return np.asarray(lfilter([1.0 - keep], [1.0, -keep], values, axis=0, zi=keep * start[None])[0])


def features(
    arrays: Mapping[str, np.ndarray],
    inputs: Sequence[str],
    statics: Sequence[str],
    *,
    lags: int,
    memories: Sequence[float],
) -> np.ndarray:
    """Stack the features of the trees.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        ``inputs`` as ``(time, cell)``, ``statics`` as ``(cell,)``.
    lags : int
        Earlier days taken as they are; the first day is repeated before itself.
    memories : sequence of float
        Time scales of the running means in days.

    Returns
    -------
    ndarray
        ``(time, cell, feature)`` float32.
    """
    days, cells = arrays[inputs[0]].shape
    per_input = 1 + lags + len(memories)
    out = np.empty((days, cells, len(inputs) * per_input + len(statics)), np.float32)
    for k, name in enumerate(inputs):
        values, first = np.asarray(arrays[name]), k * per_input
        for lag in range(lags + 1):
            out[..., first + lag] = values[np.maximum(np.arange(days) - lag, 0)]
        for m, memory in enumerate(memories):
            out[..., first + 1 + lags + m] = running_mean(values, memory)
    for k, name in enumerate(statics):
        out[..., len(inputs) * per_input + k] = arrays[name]
    return out
