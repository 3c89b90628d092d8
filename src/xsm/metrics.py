"""Scores of soil moisture estimates against a reference: numpy, over the last axis, pairs with a NaN left out.

Definitions follow Rabiei et al. (2024, section 2.6) and agree with ``pytesmo.metrics``: the bias is estimate minus
reference, the unbiased RMSE is the RMSE after both means are taken away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from xsm.errors import DataError

Array = np.ndarray[Any, np.dtype[np.float64]]


def paired(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Broadcast two arrays as float64 and blank both where either is not finite."""
    try:
        a, b = np.broadcast_arrays(np.asarray(x, "f8"), np.asarray(y, "f8"))
    except ValueError:
        raise DataError(
            f"Arrays of shape {np.shape(x)} and {np.shape(y)} cannot be paired.", hint="Match them in time first."
        ) from None
    valid = np.isfinite(a) & np.isfinite(b)
    return np.where(valid, a, np.nan), np.where(valid, b, np.nan)


def n_pairs(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Number of pairs, int64."""
    return np.isfinite(paired(x, y)[0]).sum(-1)


def bias(x: ArrayLike, y: ArrayLike) -> Array:
    """Mean of ``x - y``, in their unit; NaN without a pair."""
    a, b = paired(x, y)
    return _mean(a - b)


def rmse(x: ArrayLike, y: ArrayLike) -> Array:
    """Root mean squared difference, in their unit; NaN without a pair."""
    a, b = paired(x, y)
    return np.sqrt(_mean((a - b) ** 2))


def ubrmse(x: ArrayLike, y: ArrayLike) -> Array:
    """Root mean squared difference after each mean is taken away; ``rmse**2 == bias**2 + ubrmse**2``."""
    a, b = paired(x, y)
    return np.sqrt(_mean((_anomaly(a) - _anomaly(b)) ** 2))


def pearson(x: ArrayLike, y: ArrayLike) -> Array:
    """Pearson correlation; NaN where a series is constant or fewer than two pairs are left.

    Examples
    --------
    >>> float(pearson([0.1, 0.2, 0.3, np.nan], [0.2, 0.3, 0.5, 0.1]).round(4))
    0.982
    """
    a, b = paired(x, y)
    da, db = _anomaly(a), _anomaly(b)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = _sum(da * db) / np.sqrt(_sum(da * da) * _sum(db * db))
    return np.where(np.logical_or(_constant(a), _constant(b)), np.nan, np.clip(r, -1, 1))


def spearman(x: ArrayLike, y: ArrayLike) -> Array:
    """Spearman rank correlation, ties by average rank; NaN as for `pearson`."""
    from scipy.stats import rankdata

    a, b = paired(x, y)
    return pearson(*(rankdata(v, axis=-1, nan_policy="omit") if v.size else v for v in (a, b)))


def p_value(r: ArrayLike, n: ArrayLike) -> Array:
    """Two-sided p-value of a Pearson correlation of ``n`` independent pairs (Student's t); NaN where ``n <= 2``."""
    from scipy.special import betainc

    r, n = np.broadcast_arrays(np.asarray(r, "f8"), np.asarray(n, "f8"))
    free = np.where(n > 2, n - 2, np.nan)
    return betainc(free / 2, 0.5, 1 - r**2)


def n_effective(x: ArrayLike, y: ArrayLike) -> Array:
    """Number of independent pairs that two autocorrelated series are worth.

    Daily soil moisture remembers weeks, so p-values and intervals from the plain number of days are far too sure. This
    is ``n (1 - a b) / (1 + a b)`` with the lag-one autocorrelations ``a`` and ``b`` of successive pairs (Bretherton et
    al., 1999, Journal of Climate 12, 1990-2009), never more than ``n``.
    """
    a, b = (_compressed(v) for v in paired(x, y))
    memory = np.clip(np.nan_to_num(pearson(a[..., 1:], a[..., :-1]) * pearson(b[..., 1:], b[..., :-1])), 0, 1)
    return n_pairs(x, y) * (1 - memory) / (1 + memory)


def r_interval(
    x: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.95,
    method: Literal["fisher", "bootstrap"] = "fisher",
    n: ArrayLike | None = None,
    block: int = 30,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Confidence interval of the Pearson correlation.

    Parameters
    ----------
    x, y : array_like
        Series along the last axis.
    level : float
        Confidence level between 0 and 1.
    method : {"fisher", "bootstrap"}
        Fisher's z transform, or percentiles of a circular block bootstrap of the pairs, which keeps the memory of the
        series within a block.
    n : array_like, optional
        Number of independent pairs for Fisher's interval; default `n_effective`.
    block, draws, seed : int
        Pairs per block, resamplings and seed of the bootstrap.

    Returns
    -------
    low, high : ndarray
        NaN where no correlation exists or fewer than four independent pairs are left.
    """
    if not 0 < level < 1:
        raise DataError(f"The confidence level is {level:g}, wanted a number between 0 and 1.")
    if method == "bootstrap":
        return _bootstrap(*paired(x, y), level, block, draws, np.random.default_rng(seed))
    from scipy.special import ndtri

    count = np.asarray(n_effective(x, y) if n is None else n, "f8")
    with np.errstate(divide="ignore"):
        z = np.arctanh(pearson(x, y))
    half = ndtri(0.5 + level / 2) / np.sqrt(np.where(count > 3, count - 3, np.nan))
    return np.tanh(z - half), np.tanh(z + half)


def scores(x: ArrayLike, y: ArrayLike) -> dict[str, np.ndarray]:
    """All scores of ``x`` against the reference ``y``; p-value and interval by the effective number of pairs.

    Returns
    -------
    dict of ndarray
        ``r``, ``r_low``, ``r_high`` (95 percent), ``p_value``, ``spearman``, ``rmse``, ``bias``, ``ubrmse``, ``n``,
        ``n_eff``.
    """
    r, effective = pearson(x, y), n_effective(x, y)
    low, high = r_interval(x, y, n=effective)
    simple: dict[str, Callable[[ArrayLike, ArrayLike], np.ndarray]] = {
        "spearman": spearman, "rmse": rmse, "bias": bias, "ubrmse": ubrmse, "n": n_pairs
    }  # fmt: skip
    told = {"r": r, "r_low": low, "r_high": high, "p_value": p_value(r, effective)}
    return told | {name: function(x, y) for name, function in simple.items()} | {"n_eff": effective}


def _sum(a: Array) -> Array:
    return np.nansum(a, -1)


def _mean(a: Array) -> Array:
    count = np.isfinite(a).sum(-1)
    return _sum(a) / np.where(count, count, np.nan)


def _anomaly(a: Array) -> Array:
    return a - _mean(a)[..., None]


def _constant(a: Array) -> np.ndarray:
    if not a.shape[-1]:
        return np.ones(a.shape[:-1], bool)
    return np.fmin.reduce(a, -1) == np.fmax.reduce(a, -1)


def _compressed(a: Array) -> Array:
    """Valid values first, in their order."""
    return np.take_along_axis(a, np.argsort(np.isnan(a), axis=-1, kind="stable"), -1)


def _bootstrap(
    a: Array, b: Array, level: float, block: int, draws: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    limits = np.full((2, *a.shape[:-1]), np.nan)
    for i in np.ndindex(a.shape[:-1]):
        x, y = (v[i][np.isfinite(v[i])] for v in (a, b))
        if len(x) < 4 or not np.isfinite(pearson(x, y)):
            continue
        length = min(block, len(x))
        starts = rng.integers(0, len(x), (draws, -(-len(x) // length), 1))
        pick = ((starts + np.arange(length)) % len(x)).reshape(draws, -1)[:, : len(x)]
        limits[(slice(None), *i)] = np.nanquantile(pearson(x[pick], y[pick]), [0.5 - level / 2, 0.5 + level / 2])
    return limits[0], limits[1]
