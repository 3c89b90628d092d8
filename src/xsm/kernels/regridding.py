"""A dataset on another grid: window or positions of the result, what is resampled, what is kept."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any

import xarray as xr

from xsm.data import cf
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.geometry import Regular, Scattered, geometry, window
from xsm.data.grids import Grid, grid_of
from xsm.data.ranges import bulk, range_of
from xsm.data.targets import Sites, Target, target_of
from xsm.data.windows import take
from xsm.errors import DataError, UsageError, render_hint, tell
from xsm.kernels import variables as kinds
from xsm.kernels.apply import apply
from xsm.kernels.plan import is_coarser, make_plan

OLD_PLACE = ("crs", "crs_wkt", "epsg_code", "spatial_ref", "transform", "res")
"""Attributes that say where the source lay."""


def resample(
    ds: xr.Dataset, globe: Grid, like: Any, region: Any, method: str, min_valid: float, chunks: int | None
) -> tuple[xr.Dataset, Target]:
    """Resample all maps of a dataset, and say where to; the arguments are those of `xsm.regrid`."""
    geo = geometry(ds)
    target = _target(geo, globe, like, region)
    positions = _positions(ds, geo)
    names = [n for n, v in ds.variables.items() if set(geo.dims) <= set(v.dims) and n not in positions]
    if not names:
        raise DataError(f"No variable of the dataset has the dims {geo.dims}.", hint="Choose one that has.")
    _check_types(ds, names)
    _check_method(ds, names, method, geo, target)
    current = grid_of(ds)
    same = current is not None and current.name == target.name and geo.dims == ("y", "x")
    if same and isinstance(target, Grid):
        result = take(ds, target)
    else:
        result = _resampled(ds, names, positions, geo, target, method, min_valid, chunks)
    result = target.assign(cf.clean_encoding(result))
    floats = [str(n) for n in names if n in result.data_vars]
    why = (
        "Its values lie outside the target, or fill less of every target cell than <min_valid=> asks for: the source's "
        "cells may be few or smaller than a target cell; give a smaller <min_valid=> or <method=nearest>."
    )
    tell_emptied(result, {n: valid_share(ds[n]) for n in floats}, render_hint(why), floats)
    return result, target


def _target(geo: Regular | Scattered, globe: Grid, like: Any, region: Any) -> Target:
    source = window(geo, globe)
    if like is not None and region is not None:
        raise UsageError("Both 'like' and 'region' are given.", hint="Give one of them.")
    if like is not None:
        target = target_of(like, globe)
        if isinstance(target, Grid) and target.name != globe.name:
            raise UsageError(
                f"'like' is on {target.name}, expected {globe.name}.", hint=f"Run <regrid()> with <grid={target.name}>."
            )
    else:
        target = source if region is None else globe.region(region)
    cover = window(target.geo, globe) if isinstance(target, Sites) else target
    apart = (
        source.row0 >= cover.row0 + cover.rows
        or cover.row0 >= source.row0 + source.rows
        or source.col0 >= cover.col0 + cover.cols
        or cover.col0 >= source.col0 + source.cols
    )
    if apart:
        here, there = (", ".join(f"{v:.2f}" for v in g.bbox) for g in (source, cover))
        raise DataError(
            f"The dataset (west, south, east, north: {here}) does not overlap the target ({there}).",
            hint="Check region, like and the CRS of the dataset.",
        )
    return target


def _positions(ds: xr.Dataset, geo: Regular | Scattered) -> set[Hashable]:
    """Variables that say where cells are, which the result replaces: longitude and latitude fields, axes."""
    standard = {"longitude", "latitude", "projection_x_coordinate", "projection_y_coordinate"}
    names = {"lon", "lat", "longitude", "latitude", "nav_lon", "nav_lat"}
    return {
        n
        for n, v in ds.variables.items()
        if set(v.dims) <= set(geo.dims)
        and v.ndim
        and (n in geo.dims or v.attrs.get("standard_name") in standard or str(n).lower() in names)
    }


def _check_types(ds: xr.Dataset, names: list[Hashable]) -> None:
    for n in names:
        if ds[n].dtype.kind not in "fiubmM":
            raise DataError(
                f"'{n}' has the type {ds[n].dtype}, expected numbers, booleans or times.",
                hint="Convert it or leave it out.",
            )


def _check_method(ds: xr.Dataset, names: list[Hashable], method: str, geo: Regular | Scattered, target: Target) -> None:
    if method in kinds.SMOOTH and all(kinds.categorical(ds[n].variable, str(n)) for n in names):
        raise DataError(
            f"method='{method}' would average classes or flags, and {sorted(map(str, names))} are nothing else.",
            hint="Use 'auto', 'mode' or 'nearest'.",
        )
    points = isinstance(geo, Scattered) and geo.lon.ndim == 1
    what = "points" if points else "2-D longitude and latitude"
    allowed = ["auto", "nearest", *(("average", "mode") if points else ("bilinear", "bicubic"))]
    if isinstance(target, Sites):
        what = f"{what} as input and positions as target" if isinstance(geo, Scattered) else "positions as target"
        allowed = [m for m in allowed if m not in ("average", "mode")]
    elif isinstance(geo, Regular):
        return
    if method not in allowed:
        raise DataError(f"method='{method}' is not offered for {what}.", hint=f"Use one of: {', '.join(allowed)}.")


def _resampled(
    ds: xr.Dataset,
    names: list[Hashable],
    positions: set[Hashable],
    geo: Regular | Scattered,
    target: Target,
    method: str,
    min_valid: float,
    chunks: int | None,
) -> xr.Dataset:
    @functools.cache
    def covered(whole_cells: bool) -> bool:
        grid = target.grow(1) if whole_cells else target
        whole = slice(0, grid.rows), slice(0, grid.cols)
        plan = make_plan(geo, grid, "nearest", min_valid=min_valid)
        at = plan.window(*whole)
        return at is not None and all(bool((a >= 0).all()) for a in plan.nearest(at, *whole))

    variables = kinds.unrounded({n: ds[n].variable for n in names})
    for n, v in variables.items():
        if v.chunks is None and v.dtype.kind == "f" and (doubt := bulk(v.values, range_of(v, str(n)))):
            tell(doubt)
    resampled = {}
    for n, kernel in kinds.methods(variables, method, geo, is_coarser(geo, target)).items():
        variable = variables[n]
        job = kinds.make_job(variable, str(n), kernel, covered)
        out = apply(variable, geo, target, make_plan(geo, target, kernel, min_valid=min_valid), job, chunks)
        drop = {"grid_mapping", "coordinates", "actual_range", *OLD_PLACE}
        drop |= {"_FillValue", "missing_value"} if out.dtype.kind == "f" else set()
        out.attrs = {k: v for k, v in out.attrs.items() if k not in drop}
        out.attrs |= kinds.attributes(variable, job, covered)
        out.encoding = dict(variable.encoding)
        resampled[n] = out
    return _rebuilt(ds, kinds.one_sum(resampled), positions, geo)


def _rebuilt(
    ds: xr.Dataset, resampled: dict[Hashable, xr.Variable], positions: set[Hashable], geo: Regular | Scattered
) -> xr.Dataset:
    """The dataset with resampled variables in place; what has no horizontal dims is carried through."""
    bounds = {ds[n].attrs.get("bounds") for n in positions}
    mappings = {v.encoding.get("grid_mapping", v.attrs.get("grid_mapping")) for v in ds.variables.values()}
    lost = {n for n, v in ds.variables.items() if set(geo.dims) & set(v.dims)} - set(resampled)
    left_out = sorted(str(n) for n in lost - positions - bounds - set(ds.dims))
    if left_out:
        tell(f"{left_out} have only one of the dims {geo.dims} and are left out.")
    gone = lost | positions | (({"spatial_ref", "crs"} | mappings) & set(ds.variables))
    rest = ds.drop_vars(gone - set(resampled))
    kept = {n: resampled.get(n, rest.variables.get(n)) for n in ds.variables if n in resampled or n in rest.variables}
    coords = {n: v for n, v in kept.items() if n in ds.coords}
    about = {k: v for k, v in ds.attrs.items() if k not in OLD_PLACE}
    return xr.Dataset({n: v for n, v in kept.items() if n not in coords}, coords, about)
