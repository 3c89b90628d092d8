"""Rescaling to a reference: by moments, a regression, distributions, or quantiles that keep changes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.compute.jit import jit
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.families import is_moisture
from xsm.data.series import derived
from xsm.data.units import affine
from xsm.errors import DataError, tell
from xsm.series.alongside import FEWEST, common_deviations

BINS, IN_BIN = 100, 20
"""Most bins of CDF matching, and fewest values in one."""
Rows = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A function of rows ``(cell, time)`` and the reference on the days to learn from."""


def rescaled(
    ds: xr.Dataset, names: Sequence[str], reference: xr.DataArray, learning: np.ndarray | None, method: str
) -> xr.Dataset:
    """Some variables rescaled to a reference; ``learning`` marks the days to learn from; see `xsm.rescale`."""
    known = reference if learning is None else reference.where(xr.DataArray(learning, dims="time"))
    out = xr.Dataset()
    for name in names:
        values = ds[name]
        function, how = METHODS[method]
        if method == "qdm":
            values = _in_unit_of(values, reference)
            moist = is_moisture(ds, name)
            function, how = _ratios if moist else function, f"{how}, {'multiplicative' if moist else 'additive'}"
        result, together = along_time(functools.partial(_with_sign, function), values, known, outputs=[("time",), ()])
        result = result.astype(np.result_type(ds[name].dtype, np.float32))
        title, unit = f"{name}_rescaled", reference.attrs.get("units")
        out[title] = derived(result, ds, name, f"Rescaled to {reference.name}", units=unit, rescaling=how)
        if unit is None:
            del out[title].attrs["units"]
        _tell(ds[name], out, title, together, method)
    return out


def _in_unit_of(values: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    """Values in the unit of the reference, which changes of a quantile need."""
    here, there = (str(a.attrs.get("units", "")) for a in (values, reference))
    if not here or not there or here == there:
        return values
    try:
        factor, offset = affine(here, there)
    except DataError:
        raise DataError(
            f"'{values.name}' has the unit '{here}' and the reference '{there}'; expected one unit for qdm.",
            hint="Use <method=cdf>, which takes any units.",
        ) from None
    return (values * factor + offset).rename(values.name).assign_attrs(values.attrs)


def _tell(values: xr.DataArray, out: xr.Dataset, title: str, together: xr.DataArray, method: str) -> None:
    """Warn of cells that stay empty, and of those where data and reference run against each other."""
    why = f"they share fewer than {FEWEST} times with values with the reference, or one of both is constant"
    if out[title].chunks is not None:
        tell_emptied(out, {title: valid_share(values)}, f"In its cells {why[5:]}.", [title])
        return
    observed = values.notnull().any("time")
    empty = int((observed & out[title].isnull().all("time")).sum())
    if empty:
        tell(f"{empty} of {int(observed.sum())} series of '{values.name}' are not rescaled: {why}.")
    against = int((together < 0).sum())
    if against:
        flips = "; the regression turns them upside down" if method == "linreg" else ""
        tell(f"{against} of {int(observed.sum())} series of '{values.name}' run against the reference "
             f"(negative correlation){flips}. Is it the same quantity?")  # fmt: skip


def _together(rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sum of products of the deviations: negative where both run against each other."""
    _, _, one, two, count = common_deviations(rows, other)
    return np.where(np.isfinite(count), (one * two).sum(1), np.nan)


def _with_sign(function: Rows, rows: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return function(rows, other), _together(rows, other)


def _line(rows: np.ndarray, mean: np.ndarray, mean_other: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return (rows - mean[:, None]) * np.where(np.isfinite(slope), slope, np.nan)[:, None] + mean_other[:, None]


def _mean_std(rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    mean, mean_other, one, two, _ = common_deviations(rows, other)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _line(rows, mean, mean_other, np.sqrt((two**2).sum(1) / (one**2).sum(1)))


def _linreg(rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    mean, mean_other, one, two, _ = common_deviations(rows, other)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _line(rows, mean, mean_other, (one * two).sum(1) / (one**2).sum(1))


@jit()
def _cdf(rows: Any, other: Any) -> Any:
    out = np.full(rows.shape, np.nan)
    for cell in range(rows.shape[0]):
        both = np.isfinite(rows[cell]) & np.isfinite(other[cell])
        count = both.sum()
        if count < FEWEST:
            continue
        x, y = rows[cell][both], other[cell][both]
        bins = min(BINS, max(1, count // IN_BIN))
        if bins == 1:
            deviation = x - x.mean()
            if (deviation**2).sum() > 0:
                slope = (deviation * (y - y.mean())).sum() / (deviation**2).sum()
                out[cell] = y.mean() + slope * (rows[cell] - x.mean())
            continue
        x.sort()
        y.sort()
        percents = np.arange(bins + 1) / bins * 100
        at, to = _percentiles(x, percents), _percentiles(y, percents)
        if not (np.diff(at) > 0).all():
            continue
        low = _edge(x[x <= at[1]] - at[1], y[y <= to[1]] - to[1])
        high = _edge(x[x >= at[-2]] - at[-2], y[y >= to[-2]] - to[-2])
        to[0] = to[1] + low * (at[0] - at[1])
        to[-1] = to[-2] + high * (at[-1] - at[-2])
        out[cell] = _interpolated(at, to, rows[cell])
    return out


@jit()
def _percentiles(values: Any, percents: Any) -> Any:
    """Percentiles of sorted values, each of several equal ones but the first between its neighbours."""
    ranks = 100.0 * (np.arange(len(values)) + 0.5) / len(values)
    result = np.interp(percents, ranks, values)
    first = np.ones(len(result), np.bool_)
    first[1:] = result[1:] != result[:-1]
    distinct = first.sum()
    if distinct == len(result) or distinct < 2:
        return result
    at = percents[first]
    at[-1] = percents[-1]
    return _interpolated(at, result[first], percents)


@jit()
def _interpolated(at: Any, values: Any, where: Any) -> Any:
    """Linear between points of which ``at`` increases, and beyond them."""
    out = np.full(len(where), np.nan)
    for i in range(len(where)):
        if np.isfinite(where[i]):
            k = min(max(np.searchsorted(at, where[i], side="right") - 1, 0), len(at) - 2)
            out[i] = values[k] + (values[k + 1] - values[k]) * ((where[i] - at[k]) / (at[k + 1] - at[k]))
    return out


@jit()
def _edge(x: Any, y: Any) -> Any:
    """Slope through 0 of the sorted values of an outer bin of the reference on those of the data."""
    if len(x) != len(y):
        x = _percentiles(x, np.arange(len(y)) / (len(y) - 1) * 100.0)
    squares = (x * x).sum()
    return (x * y).sum() / squares if squares > 0 else 0.0


@jit()
def _quantiles(rows: Any, other: Any, ratio: Any) -> Any:
    """Quantile delta mapping: the reference's quantile, plus or times the change since the days of learning."""
    out = np.full(rows.shape, np.nan)
    for cell in range(rows.shape[0]):
        both = np.isfinite(rows[cell]) & np.isfinite(other[cell])
        x, y = np.sort(rows[cell][both]), np.sort(other[cell][both])
        if len(x) < FEWEST or x[0] == x[-1]:
            continue
        every = np.sort(rows[cell][np.isfinite(rows[cell])])
        for t in range(rows.shape[1]):
            value = rows[cell, t]
            if not np.isfinite(value):
                continue
            below, up_to = np.searchsorted(every, value, side="left"), np.searchsorted(every, value, side="right")
            share = 0.5 * (below + up_to) / len(every)
            before, goal = _quantile(x, share), _quantile(y, share)
            if ratio:
                out[cell, t] = goal * (value / before) if before > 0 else goal
            else:
                out[cell, t] = goal + (value - before)
    return out


@jit()
def _quantile(values: Any, share: Any) -> Any:
    """Quantile of sorted values, the k-th of n being that of the share (k - 0.5) / n (Hazen)."""
    place = min(max(share * len(values) - 0.5, 0.0), len(values) - 1.0)
    k = min(int(place), len(values) - 2)
    return values[k] + (values[k + 1] - values[k]) * (place - k)


def _differences(rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    return _quantiles(rows, other, False)


def _ratios(rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    return _quantiles(rows, other, True)


class Method(NamedTuple):
    """A function of rows ``(cell, time)`` and those of the reference, and what it is called."""

    function: Rows
    text: str


METHODS: Mapping[str, Method] = {
    "mean_std": Method(_mean_std, "mean and standard deviation"),
    "linreg": Method(_linreg, "linear regression"),
    "cdf": Method(_cdf, "CDF matching"),
    "qdm": Method(_differences, "quantile delta mapping"),
}
