"""Scores of soil moisture estimates against a reference: numpy, over the last axis, pairs with a NaN left out.

Definitions follow Rabiei et al. (2024, section 2.6) and agree with ``pytesmo.metrics``: the bias is estimate minus
reference, the unbiased RMSE is the RMSE after both means are taken away.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xsm.errors import DataError

Array = np.ndarray[Any, np.dtype[np.float64]]
NORMAL_95 = 1.959963984540054
"""Standard deviations on each side of the mean that 95 % of a normal distribution lie in."""
WINDOW = 35
"""Days of the centred moving mean that anomalies are taken from; at the ends of a series it is cut."""
MOVING, CLIMATOLOGY = "moving", "climatology"
BASES = {MOVING: f"the moving mean of {WINDOW} days", CLIMATOLOGY: "the climatology of each series"}
"""What anomalies are taken from."""
BLOCKS = 5
"""Fewest blocks that a bootstrap draws from a series."""


def paired(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Broadcast two arrays as float64 and blank both where either is not finite."""
    a, b = _broadcast(x, y)
    valid = np.isfinite(a) & np.isfinite(b)
    if valid.all():
        return a, b
    return np.where(valid, a, np.nan), np.where(valid, b, np.nan)


def bias(x: ArrayLike, y: ArrayLike) -> Array:
    """Mean of ``x - y``, in their unit; NaN without a pair."""
    return _Moments(x, y).bias


def rmse(x: ArrayLike, y: ArrayLike) -> Array:
    """Root mean squared difference, in their unit; NaN without a pair."""
    return _Moments(x, y).rmse


def ubrmse(x: ArrayLike, y: ArrayLike) -> Array:
    """Root mean squared difference after each mean is taken away; ``rmse**2 == bias**2 + ubrmse**2``."""
    return _Moments(x, y).ubrmse


def pearson(x: ArrayLike, y: ArrayLike) -> Array:
    """Pearson correlation; NaN where a series is constant or fewer than two pairs are left.

    Examples
    --------
    >>> float(pearson([0.1, 0.2, 0.3, np.nan], [0.2, 0.3, 0.5, 0.1]).round(4))
    0.982
    """
    return _Moments(x, y).r


def spearman(x: ArrayLike, y: ArrayLike) -> Array:
    """Spearman rank correlation, ties by average rank; NaN as for `pearson`."""
    from xsm.validation.pair_loops import ranks

    ordered = []
    for values in paired(x, y):
        ordered.append(np.empty(values.shape))
        ranks(*(np.ascontiguousarray(_rows(v)) for v in (values, ordered[-1])))
    return pearson(*ordered)


def kge(x: ArrayLike, y: ArrayLike) -> Array:
    """Kling-Gupta efficiency of ``x`` against the reference ``y`` (Gupta et al., 2009, J. Hydrol. 377, 80-91).

    One minus the distance of correlation, ratio of standard deviations and ratio of means from one; 1 is perfect.

    Examples
    --------
    >>> float(kge([0.2, 0.4, 0.6], [0.1, 0.2, 0.3]).round(4))  # twice the spread, twice the mean
    -0.4142
    """
    return _Moments(x, y).kge


def anomalies(x: ArrayLike, days: ArrayLike | None = None, base: str = MOVING) -> Array:
    """Take the moving mean of `WINDOW` days away (Dorigo et al., 2015; ``pytesmo.time_series.anomaly``).

    Parameters
    ----------
    x : array_like
        Series along the last axis.
    days : array_like, optional
        Dates or day numbers in ascending order; default one value per day.
    base : {"moving", "climatology"}
        The moving mean, or the climatology of `xsm.climatology`, for which ``days`` must be dates.

    Returns
    -------
    ndarray
        In the unit of ``x``; NaN stays NaN.
    """
    from xsm.compute.moving import moving_mean
    from xsm.series.climatology import usual

    a = np.asarray(x, "f8")
    rows = np.ascontiguousarray(_rows(a))
    if base == CLIMATOLOGY:
        return a - usual(rows, np.asarray(days, "M8[D]")).reshape(a.shape)
    dates = np.arange(a.shape[-1]) if days is None else np.asarray(days)
    number = dates.astype("M8[D]").astype("f8") if dates.dtype.kind == "M" else dates.astype("f8")
    return a - moving_mean(rows, number, WINDOW).reshape(a.shape)


def p_value(r: ArrayLike, n: ArrayLike) -> Array:
    """Two-sided p-value of a Pearson correlation of ``n`` independent pairs (Student's t); NaN where ``n <= 2``."""
    from scipy.special import betainc

    r, n = np.broadcast_arrays(np.asarray(r, "f8"), np.asarray(n, "f8"))
    free = np.where(n > 2, n - 2, np.nan)
    return betainc(free / 2, 0.5, 1 - r**2)


def n_effective(x: ArrayLike, y: ArrayLike) -> Array:
    """Number of independent pairs that two autocorrelated series are worth.

    Daily soil moisture has a memory of weeks, so p-values and intervals from the plain number of days are far too
    optimistic. This is ``n (1 - a b) / (1 + a b)`` with the lag-one autocorrelations ``a`` and ``b`` of successive
    pairs (Bretherton et al., 1999, Journal of Climate 12, 1990-2009), never more than ``n``.
    """
    return _Moments(x, y).n_eff


def fisher(r: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> tuple[Array, Array]:
    """Confidence interval of a Pearson correlation of ``n`` independent pairs by Fisher's z; NaN where ``n <= 3``."""
    from scipy.special import ndtri

    count = np.asarray(n, "f8")
    with np.errstate(divide="ignore"):
        z = np.arctanh(r)
    half = ndtri(0.5 + level / 2) / np.sqrt(np.where(count > 3, count - 3, np.nan))
    return np.tanh(z - half), np.tanh(z + half)


def bootstrap(
    statistic: Callable[..., Array], *series: ArrayLike, level: float = 0.95, block: int = 30, draws: int = 1000,
    seed: int = 0,
) -> tuple[Array, Array]:  # fmt: skip
    """Percentile interval of a statistic of series with a memory, by a circular block bootstrap.

    Parameters
    ----------
    statistic : callable
        Takes as many arrays ``(draws, n)`` and returns ``(draws,)``, or several results ``(k, draws)``.
    *series : array_like
        Series of one shape along the last axis; days without a value in one of them are left out.
    level : float
        Confidence level between 0 and 1.
    block, draws, seed : int
        Days per block (at most a fifth of them: one block as long as the series would make all draws alike),
        resamplings and seed.

    Returns
    -------
    low, high : ndarray
        Without the last axis, ``(k, ...)`` for several results; NaN where fewer than four days are left.
    """
    rng = np.random.default_rng(seed)
    arrays = np.broadcast_arrays(*(np.asarray(s, "f8") for s in series))
    known: np.ndarray = np.isfinite(np.stack(arrays)).all(0)
    kinds = np.shape(statistic(*(np.ones((2, 3)) for _ in arrays)))[:-1]
    limits = np.full((2, *kinds, *known.shape[:-1]), np.nan)
    for i in np.ndindex(known.shape[:-1]):
        days = [a[i][known[i]] for a in arrays]
        count = len(days[0])
        if count < 4:
            continue
        length = max(1, min(block, count // BLOCKS))
        starts = rng.integers(0, count, (draws, -(-count // length), 1))
        pick = ((starts + np.arange(length)) % count).reshape(draws, -1)[:, :count]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a series whose statistic is never defined
            ends = np.nanquantile(statistic(*(d[pick] for d in days)), [0.5 - level / 2, 0.5 + level / 2], axis=-1)
        limits[(slice(None), ..., *i)] = ends
    return limits[0], limits[1]


def scores(x: ArrayLike, y: ArrayLike) -> dict[str, np.ndarray]:
    """All scores of ``x`` against the reference ``y``; p-value and interval by the effective number of pairs.

    Returns
    -------
    dict of ndarray
        ``r``, ``r_low``, ``r_high`` (95 percent), ``p_value``, ``spearman``, ``rmse``, ``bias``, ``ubrmse``, ``kge``,
        ``std_ratio``, ``n``, ``n_eff``.
    """
    pairs = _Moments(x, y)
    low, high = fisher(pairs.r, pairs.n_eff)
    return {
        "r": pairs.r, "r_low": low, "r_high": high, "p_value": p_value(pairs.r, pairs.n_eff),
        "spearman": spearman(x, y), "rmse": pairs.rmse, "bias": pairs.bias, "ubrmse": pairs.ubrmse, "kge": pairs.kge,
        "std_ratio": pairs.std_ratio,
        "n": pairs.n.astype("i8"), "n_eff": pairs.n_eff,
    }  # fmt: skip


def triple_collocation(*products: ArrayLike) -> dict[str, Array]:
    """Errors of three or more products whose errors are independent of each other and of the truth.

    By covariances (Gruber et al., 2016, Int. J. Appl. Earth Obs. 45, 200-211; McColl et al., 2014, Geophys. Res. Lett.
    41, 6229-6236). With more than three products there are more covariances than unknowns, and the spread of the truth
    in each product is the least squares solution of the logarithms of all of them; with three it is exact.

    Parameters
    ----------
    *products : array_like
        Three or more series of one shape along the last axis; days without a value in one of them are left out.

    Returns
    -------
    dict of ndarray
        With a first axis for the products: ``error_std`` in each product's own unit, ``error_std_scaled`` in that of
        the first, ``scale`` (a product times it has the truth's spread in the first), ``snr`` in dB and ``r_truth``,
        the correlation with the unknown truth. NaN where a covariance is not positive; where only the error variance of
        a product is negative, its ``scale`` is known all the same.

    Examples
    --------
    >>> truth = np.sin(np.arange(3000) / 50) / 10
    >>> rng = np.random.default_rng(0)
    >>> errors = triple_collocation(*(truth + rng.normal(0, s, 3000) for s in (0.02, 0.03, 0.04)))
    >>> errors["error_std"].round(3)
    array([0.02, 0.03, 0.04])
    """
    a = np.stack(np.broadcast_arrays(*(np.asarray(v, "f8") for v in products)))
    a = np.where(np.isfinite(a).all(0), a, np.nan)
    count, number = np.isfinite(a[0]).sum(-1), len(a)
    anomaly = np.nan_to_num(a - _mean(a)[..., None])
    with np.errstate(invalid="ignore", divide="ignore"):
        cov = np.einsum("i...t,j...t->ij...", anomaly, anomaly) / np.where(count > 1, count - 1, np.nan)
        total = np.stack([cov[i, i] for i in range(number)])
        logs = np.where(cov > 0, np.log(np.where(cov > 0, cov, 1.0)), np.nan)
        logs[np.arange(number), np.arange(number)] = 0.0
        sums = logs.sum(1)
        truth = np.exp(2 * (sums - sums.sum(0) / (2 * (number - 1))) / (number - 2))
        error = np.sqrt(total - truth)
        scale = np.sqrt(truth[0] / truth)
        truth = np.where(np.isnan(error), np.nan, truth)
        return {
            "error_std": error, "error_std_scaled": error * scale, "scale": scale,
            "snr": 10 * np.log10(truth / error**2), "r_truth": np.sqrt(truth / total),
        }  # fmt: skip


class _Moments:
    """Moments of pairs along the last axis and the scores that follow from them."""

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        from xsm.validation.pair_loops import DD, MEAN_X, MEAN_Y, MEMORY, UU, XX, XY, YY, N, moments

        a, b = (np.ascontiguousarray(v) for v in _broadcast(x, y))
        out = np.empty((*a.shape[:-1], 9))
        moments(_rows(a), _rows(b), _rows(out))
        self.n, self.xx, self.yy = out[..., N], out[..., XX], out[..., YY]
        count = np.where(self.n > 0, self.n, np.nan)
        self.mean_x, self.mean_y = out[..., MEAN_X], out[..., MEAN_Y]
        self.bias = self.mean_x - self.mean_y
        self.rmse = np.sqrt(out[..., DD] / count)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.r = np.clip(out[..., XY] / np.sqrt(self.xx * self.yy), -1, 1)
            self.r = np.where((self.xx > 0) & (self.yy > 0), self.r, np.nan)
        self.ubrmse = np.sqrt(out[..., UU] / count)
        memory = np.nan_to_num(out[..., MEMORY])
        self.n_eff = self.n * (1 - memory) / (1 + memory)

    @property
    def std_ratio(self) -> Array:
        """Ratio of the standard deviations."""
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.sqrt(self.xx / self.yy)
        return np.where(np.isfinite(value), value, np.nan)

    @property
    def kge(self) -> Array:
        """Kling-Gupta efficiency."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.sqrt(self.xx / self.yy), self.mean_x / self.mean_y
            value = 1 - np.sqrt((self.r - 1) ** 2 + (ratios[0] - 1) ** 2 + (ratios[1] - 1) ** 2)
        return np.where(np.isfinite(value), value, np.nan)


def _rows(a: Array) -> Array:
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _broadcast(x: ArrayLike, y: ArrayLike) -> list[Array]:
    try:
        return list(np.broadcast_arrays(np.asarray(x, "f8"), np.asarray(y, "f8")))
    except ValueError:
        raise DataError(
            f"Arrays of shape {np.shape(x)} and {np.shape(y)} cannot be paired.", hint="Match them in time first."
        ) from None


def _mean(a: Array) -> Array:
    count = np.isfinite(a).sum(-1)
    return np.nansum(a, -1) / np.where(count, count, np.nan)
