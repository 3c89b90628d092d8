"""Impossible values: missing where they must not be, infinite, fill values, another unit, out of their range."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.chunks import is_lazy
from xsm.data.cf import VARIABLES, Canonical
from xsm.errors import DataError, tell

LARGEST = float(np.finfo("f4").max)
SLACK, ABSURD = 1e-6, 0.5
"""Shares of a range's width: values may lie outside the range by the first; beyond the second they are fill values or
have another unit."""


def check_values(
    ds: xr.Dataset, cells: xr.DataArray, who: str, *, what: str = "predictors", gaps: bool = False
) -> None:
    """Stop where values inside the domain are missing, infinite or absurd; warn of others outside their range.

    Parameters
    ----------
    ds : xarray.Dataset
        Variables on the dims of ``cells``, with and without ``time``.
    cells : xarray.DataArray
        Domain, bool.
    who, what : str
        Who needs what, for messages: ``"5 cm scenario 2"`` and ``"predictors"``.
    gaps : bool
        Whether missing and infinite values are allowed.
    """
    inside = {n: cells & np.isfinite(v) if gaps else cells for n, v in ds.data_vars.items()}
    count = xr.Dataset({n: (~_within(v, SLACK) & inside[n]).sum() for n, v in ds.data_vars.items()}).compute()
    doubtful = {n: v for n, v in ds.data_vars.items() if int(count[n])}
    for wrong, text, hint in FAULTS:
        if counts := {n: c for n, v in doubtful.items() if (c := _counted(v, wrong(v) & inside[n]))}:
            series = ",".join(str(n) for n in counts if "time" in doubtful[n].dims)
            fill = f"run <gapfill_cru()> with <variables={series}>" if series else "leave these cells out"
            raise DataError(f"{who} needs {what} {text} {', '.join(counts.values())}.", hint=f"{hint} {fill}.".strip())
    if doubtful:
        outside = ", ".join(f"{n} ({int(count[n])} outside {_range(n)})" for n in doubtful)
        tell(f"The {what} have values outside the range of their quantity: {outside}; check units and fill values.")


def checked_values(predictors: xr.Dataset, cells: xr.DataArray, who: str, since: np.datetime64) -> xr.Dataset:
    """Check values from a day on: at once, or block by block when lazy ones are computed."""
    if not is_lazy(predictors) and cells.chunks is None:
        check_values(predictors.sel(time=slice(since, None)), cells, who)
        return predictors
    cells, checked = cells.reset_coords(drop=True), {}
    for name, variable in predictors.reset_coords(drop=True).data_vars.items():
        times = [d for d in variable.dims if d == "time"]
        variable = variable.transpose(*times, *cells.dims)
        inputs = [variable, cells, *(variable[t] for t in times)]
        work = functools.partial(_checked_block, name, variable.dims, cells.dims, who, since)
        checked[name] = xr.apply_ufunc(
            work, *inputs, dask="parallelized", output_dtypes=[variable.dtype], keep_attrs="override"
        )
    return predictors.assign(checked)


def _checked_block(
    name: Hashable, dims: tuple[Hashable, ...], flat: tuple[Hashable, ...], who: str, since: np.datetime64,
    values: np.ndarray, cells: np.ndarray, *days: np.ndarray,
) -> np.ndarray:  # fmt: skip
    block = xr.Dataset({name: (dims, values)}, {"time": days[0].ravel()} if days else {})
    domain = xr.DataArray(cells.reshape(cells.shape[cells.ndim - len(flat) :]), dims=flat)
    check_values(block.sel(time=slice(since, None)) if days else block, domain, who)
    return values


def _usual(name: Any) -> Canonical:
    return VARIABLES.get(str(name), Canonical("", ""))


def _within(variable: xr.DataArray, share: float) -> xr.DataArray:
    """Where values are in the range of their quantity, or outside it by at most a share of its width; False for NaN."""
    usual = _usual(variable.name)
    more = share * (usual.high - usual.low)
    return (variable >= max(usual.low - more, -LARGEST)) & (variable <= min(usual.high + more, LARGEST))


FAULTS: tuple[tuple[Callable[[xr.DataArray], xr.DataArray], str, str], ...] = (
    (xr.DataArray.isnull, "without gaps, but there are some in", "First"),
    (
        np.isinf,
        "that are finite, but there are infinite values in",
        "Set them to missing, and",
    ),
    (
        lambda variable: ~_within(variable, ABSURD),
        "in their range, but there are fill values or another unit in",
        "Convert the unit, or set fill values to missing and",
    ),
)
"""What is refused, how it is said and what to do before the gaps are filled; the first that applies is reported."""


def _counted(variable: xr.DataArray, wrong: xr.DataArray) -> str:
    """Describe how many values are wrong, since when, and what they are; empty where there are none."""
    count = int(wrong.sum())
    if not count:
        return ""
    text = f"{count} cells"
    if "time" in wrong.dims:
        days = wrong["time"].values[wrong.any([d for d in wrong.dims if d != "time"]).values]
        text = f"{count} cell-days, the first on {days[0].astype('M8[D]')}"
    low, high = (float(v) for v in (variable.where(wrong).min(), variable.where(wrong).max()))
    if np.isfinite(high - low):
        text += f", with {low:g} to {high:g} instead of {_range(variable.name)}"
    return f"{variable.name} ({text})"


def _range(name: Any) -> str:
    usual = _usual(name)
    return f"{usual.low:g} to {usual.high:g} {usual.units.removeprefix('1')}".strip()
