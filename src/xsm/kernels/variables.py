"""How each variable is resampled: method, type of the result, what stands for missing, physical range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.geometry import Regular, Scattered
from xsm.data.ranges import Range, range_of
from xsm.errors import DataError, tell

CLIPPED = "the result is clipped to it, so check units and fill values"
NOTHING_KNOWN = Range("", "")
SMOOTH = ("bicubic", "bilinear", "average")


@dataclass(frozen=True)
class Job:
    """How one variable is resampled: method, type of the result, missing values of the source, fill, range."""

    method: str
    dtype: np.dtype
    missing: tuple[Any, ...] = ()
    fill: Any = np.nan
    low: float = -math.inf
    high: float = math.inf
    within: Range = NOTHING_KNOWN
    """What the values of the source may be."""


def categorical(variable: xr.Variable, name: str) -> bool:
    """Whether values are classes, flags or times, which no mean suits."""
    return variable.dtype.kind in "bmM" or cf.kind(variable, name) != "continuous"


def methods(
    variables: Mapping[Hashable, xr.Variable], method: str, geo: Regular | Scattered, coarser: bool
) -> dict[Hashable, str]:
    """Choose the method of each variable; a warning says where ``"mode"`` does not fit."""
    fits = {n for n, v in variables.items() if categorical(v, str(n))}
    fits = fits or {n for n, v in variables.items() if v.dtype.kind in "iu"} or set(variables)
    by_name = {
        n: _method(v, str(n), "auto" if method == "mode" and n not in fits else method, geo, coarser)
        for n, v in variables.items()
    }
    if method == "mode" and len(fits) < len(variables):
        others = ", ".join(f"{n} ({by_name[n]})" for n in variables if n not in fits)
        tell(f"method='mode' is for classes; these are continuous and regridded otherwise: {others}.")
    return by_name


def _method(variable: xr.Variable, name: str, method: str, geo: Regular | Scattered, coarser: bool) -> str:
    points = isinstance(geo, Scattered) and geo.lon.ndim == 1
    if variable.dtype.kind in "mM":
        return "nearest"
    if method in ("nearest", "mode"):
        return method
    if categorical(variable, name):
        is_class = variable.dtype.kind == "b" or cf.kind(variable, name) == "class"
        return "mode" if is_class and (points or (coarser and isinstance(geo, Regular))) else "nearest"
    if points:
        return "average"
    return "bicubic" if method == "auto" else method


def missing_of(variable: xr.Variable, name: str) -> tuple[Any, ...]:
    """Values that the attributes of a variable call missing, in its type; NaN is missing anyway."""
    values = [v for key in ("_FillValue", "missing_value") for v in np.ravel(variable.attrs.get(key, ()))]
    values = [v for v in values if v == v]
    if variable.dtype.kind in "iu":
        limits = np.iinfo(variable.dtype)
        for value in values:
            if not (limits.min <= value <= limits.max and value == int(value)):
                raise DataError(
                    f"'{name}' is {variable.dtype} and calls {value} missing, which that type cannot represent.",
                    hint="Correct _FillValue and missing_value, or decode the file with xarray.",
                )
    return tuple(np.asarray(values).astype(variable.dtype)) if values else ()


def make_job(variable: xr.Variable, name: str, method: str, covered: Callable[[bool], bool]) -> Job:
    """Make the job of a variable.

    Integers without a missing value keep their type where no cell can be left empty, which ``covered`` says (True: of
    whole cells, not only of their centres). Elsewhere classes and flags take the fill of their type, the rest is float.
    """
    dtype, missing = variable.dtype, missing_of(variable, name)
    fill = missing[0] if missing and dtype.kind != "f" else cf.fill_of(dtype)
    smooth = method in SMOOTH
    if dtype.kind in "iu" and not missing and (fill is None or smooth or not categorical(variable, name)):
        if covered(method == "average"):
            fill = 0
        else:
            dtype, fill = np.dtype("f4" if dtype.itemsize <= 2 else "f8"), np.nan
    low, high = -math.inf, math.inf
    if smooth:
        spec = cf.VARIABLES.get(name)
        if spec is not None and not packed(variable) and cf.same_units(variable.attrs.get("units", ""), spec.units):
            low, high = spec.low, spec.high
        if dtype.kind in "iu":
            low, high = max(low, np.iinfo(dtype).min), min(high, np.iinfo(dtype).max)
    within = range_of(variable, name)
    if smooth and math.isfinite(high) and dtype.kind == "f":
        within = dataclasses.replace(within, advice=CLIPPED)
    return Job(method, dtype, missing, fill, low, high, within)


def attributes(variable: xr.Variable, job: Job, covered: Callable[[bool], bool]) -> dict[str, Any]:
    """Attributes about missing values that a result needs: a fill that its integers did not have before."""
    if job.dtype.kind in "iu" and not job.missing and not covered(False):
        return {"_FillValue": job.dtype.type(job.fill)}
    return {}


def packed(variable: xr.Variable) -> bool:
    """Whether values still wait for a scale or an offset."""
    return bool({"scale_factor", "add_offset"} & set(variable.attrs))


def _are_shares(variables: Mapping[Hashable, xr.Variable]) -> bool:
    shares = [variables[n] for n in cf.SOIL_FRACTIONS if n in variables]
    percent = all(cf.same_units(v.attrs.get("units", ""), "percent") and not packed(v) for v in shares)
    return len(shares) == len(cf.SOIL_FRACTIONS) and percent and len({(v.dims, v.shape) for v in shares}) == 1


def unrounded(variables: dict[Hashable, xr.Variable]) -> dict[Hashable, xr.Variable]:
    """Make integer percentages of sand, silt and clay float32: rescaled to 100 they are not integers."""
    if not _are_shares(variables):
        return variables
    floats: dict[Hashable, xr.Variable] = {}
    for n in cf.SOIL_FRACTIONS:
        variable = variables[n]
        if variable.dtype.kind in "iu":
            floats[n] = variable.astype("f4", keep_attrs=True)
            for value in missing_of(variable, n):
                floats[n] = floats[n].where(variable != value)
            floats[n].attrs = {k: v for k, v in variable.attrs.items() if k not in ("_FillValue", "missing_value")}
    return {**variables, **floats}


def one_sum(variables: dict[Hashable, xr.Variable]) -> dict[Hashable, xr.Variable]:
    """Give sand, silt and clay one mask and the sum 100."""
    if not _are_shares(variables):
        return variables
    sand, silt, clay = (variables[n] for n in cf.SOIL_FRACTIONS)
    total = sand + silt + clay
    factor = 100.0 / total.where(total > 0)
    shares: dict[Hashable, xr.Variable] = {}
    for n in cf.SOIL_FRACTIONS:
        share = variables[n]
        shares[n] = xr.Variable(share.dims, (share * factor).data, share.attrs, share.encoding)
    return {**variables, **shares}
