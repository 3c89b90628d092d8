"""Percentiles of each day among the values of all years around its day of year."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.compute.jit import jit
from xsm.compute.moving import mean_and_variance
from xsm.data.series import derived
from xsm.data.units import affine
from xsm.errors import DataError
from xsm.series.day_of_year import LENGTH, around, day_of_year, years_around


class How(NamedTuple):
    """Settings of percentiles; see `xsm.percentile`."""

    method: str = "empirical"
    window: int = 31
    min_years: int = 5


def percentiles_of(
    ds: xr.Dataset, days: np.ndarray, within: np.ndarray, names: Sequence[str], how: How
) -> xr.Dataset:  # fmt: skip
    """Percentiles of some variables among the days that count; see `xsm.percentile`."""
    out = xr.Dataset()
    for name in names:
        scale = _scale(ds, name) if how.method == "beta" else 1.0
        (ranks,) = along_time(lambda rows, s=scale: _rows(rows * s, days, within, how), ds[name])
        text = f"Percentile of the day of year, {how.method}, {how.window} days"
        out[f"{name}_percentile"] = derived(ranks, ds, name, text, units="percent")
    return out


def _rows(rows: np.ndarray, days: np.ndarray, within: np.ndarray, how: How) -> np.ndarray:
    near = around(days, how.window, within=within)
    enough = years_around(rows, near) >= how.min_years
    number = day_of_year(days) - 1
    out = np.empty(rows.shape)
    if how.method == "empirical":
        _ranks(rows, number, *near[:3], enough, out)
        return out
    from scipy.special import betainc

    moments = np.empty((2, len(rows), LENGTH))
    _moments(rows, *near[:3], *moments)
    mean, variance = np.where(enough, moments, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = mean * (1 - mean) / np.where(variance > 0, variance, np.nan) - 1
        return 100 * betainc((mean * size)[:, number], ((1 - mean) * size)[:, number], rows, out=out)


def _scale(ds: xr.Dataset, name: str) -> float:
    """Factor from a variable to shares of the volume, which a beta distribution is about."""
    units, hint = ds[name].attrs.get("units"), "Convert it to m3 m-3, or choose <method=empirical>, which takes any."
    try:
        scale = affine(str(units), "m3 m-3")[0] if units else 1.0
    except DataError:
        raise DataError(f"'{name}' has the unit '{units}', a beta distribution needs volume fractions.",
                        hint=hint) from None  # fmt: skip
    if not ds[name].chunks and ds[name].size:
        low, high = (float(v) * scale for v in (ds[name].min(), ds[name].max()))
        if low < 0 or high > 1:
            raise DataError(
                f"'{name}' has values from {low:g} to {high:g}, a beta distribution needs 0 to 1.", hint=hint
            )
    return scale


@jit()
def _ranks(rows, number, index, begin, end, enough, out):  # type: ignore[no-untyped-def]
    """Values are sorted by day of year, so that those of a window lie side by side and are counted at once."""
    cells, days = rows.shape
    some, count = np.empty(len(index)), np.zeros(len(index) + 1, np.int64)
    for c in range(cells):
        for k in range(len(index)):
            v = rows[c, index[k]]
            some[k] = v if math.isfinite(v) else math.nan
            count[k + 1] = count[k] + math.isfinite(v)
        for t in range(days):
            d, v = number[t], rows[c, t]
            n = count[end[d]] - count[begin[d]]
            if n == 0 or not enough[c, d] or not math.isfinite(v):
                out[c, t] = math.nan
                continue
            below, above = 0, 0
            for w in some[begin[d] : end[d]]:
                below += w < v
                above += w > v
            out[c, t] = 50.0 * (n + below - above) / n


@jit()
def _moments(rows, index, begin, end, mean, variance):  # type: ignore[no-untyped-def]
    for c in range(len(rows)):
        some = rows[c][index]
        for d in range(len(begin)):
            mean[c, d], variance[c, d], _ = mean_and_variance(some[begin[d] : end[d]])
