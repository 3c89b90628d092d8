"""Regrid any horizontal grid to EASE-Grid 2.0 (documentation: Decisions, "Regridding")."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation, share_sections
from xsm.data import cf, grids
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.geometry import Regular, Scattered, geometry, window
from xsm.data.grids import Grid
from xsm.data.region import REGIONS
from xsm.data.targets import Sites, Target, target_of
from xsm.data.time import utc_times
from xsm.data.windows import take
from xsm.errors import DataError, UsageError, render_hint, tell

OLD_PLACE = ("crs", "crs_wkt", "epsg_code", "spatial_ref", "transform", "res")
"""Attributes that say where the source lay."""

Method = Literal["auto", "bicubic", "bilinear", "average", "nearest", "mode"]
_Input = Annotated[xr.Dataset, Param("Maps on any grid, or points.")]
_Like = Annotated[Any, Param("Dataset on an EASE-Grid 2.0 whose window is taken.", kind=Kind.DATASET)]
_Region = Annotated[
    Any,
    Param(
        "Name ('conus'), west,south,east,north in degrees or a GeoJSON file; that of the input if not given.",
        kind=Kind.REGION,
        choices=tuple(REGIONS),
    ),
]
_Method = Annotated[
    Method, Param("auto: bicubic for continuous variables, nearest for flags, mode for classes that get coarser.")
]
_MinValid = Annotated[
    float, Param("Smallest share of valid weight that makes a value.", minimum=0.0, maximum=1.0, advanced=True)
]
_Chunks = Annotated[
    int | None, Param("Cells per side of the blocks of a lazy result.", minimum=1, unit="cells", advanced=True)
]


@operation(title="Regrid to EASE-Grid 9 km", group="Data")
def regrid_ease9km(
    ds: _Input,
    *,
    like: _Like = None,
    region: _Region = None,
    method: _Method = "auto",
    min_valid: _MinValid = 0.5,
    output_chunks: _Chunks = None,
) -> xr.Dataset:
    """Regrid a dataset to the 9 km EASE-Grid 2.0 (EPSG:6933).

    The same as `regrid` with ``grid="EASE2_M09"``.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> lat, lon = np.arange(35.0625, 37, 0.125), np.arange(-97.9375, -95, 0.125)
    >>> ds = xr.Dataset({"t": (("lat", "lon"), lat[:, None] + 0 * lon)}, {"lat": lat, "lon": lon})
    >>> regrid_ease9km(ds)["t"].shape
    (24, 33)
    """
    return _regrid("regrid_ease9km", ds, grids.EASE2_M09, like, region, method, min_valid, output_chunks)


@operation(title="Regrid to EASE-Grid", group="Data")
def regrid(
    ds: _Input,
    *,
    grid: Annotated[
        Literal["EASE2_M09", "EASE2_M36", "EASE2_M03"], Param("Global EASE-Grid 2.0 of 9, 36 or 3 km.")
    ] = "EASE2_M09",
    like: _Like = None,
    region: _Region = None,
    method: _Method = "auto",
    min_valid: _MinValid = 0.5,
    output_chunks: _Chunks = None,
) -> xr.Dataset:
    """Regrid a dataset to a global cylindrical EASE-Grid 2.0 (EPSG:6933).

    Every variable with horizontal dims is resampled by its kind: continuous fields with the method, flags with
    ``nearest``, classes with ``mode`` where cells get coarser (else ``nearest``). Kernels are widened where the target
    is coarser than the source, so that nothing aliases. Results are clipped to the physical range of canonical
    variables; sand, silt and clay get one mask and are rescaled to 100 percent. Lazy for dask and equal to the last bit
    under every chunking. A cell without a point takes the nearest one within 0.71 of its side, or of the spacing of the
    points where that is even (a swath or a grid: the nearest neighbours of four fifths of them differ by less than
    half), so that a coarse swath stays closed and lone stations do not spread.

    Parameters
    ----------
    ds : xarray.Dataset
        On longitude and latitude (either row order, -180..180 or 0..360), any projection with a CRS, an EASE-Grid,
        2-D longitude and latitude, or points.
    grid : {"EASE2_M09", "EASE2_M36", "EASE2_M03"}
        Target grid.
    like : xarray.Dataset, Grid, AreaDefinition, GeoBox or SwathDefinition, optional
        Take the window of this dataset on the target grid, or that of an area of pyresample or odc-geo, which must be a
        window of the grid. With a ``SwathDefinition`` the result lies on its positions: dims and coordinates are those
        of the swath, ``average`` and ``mode`` are not offered, and points give the nearest one only.
    region : str, sequence of float, geometry, Path of GeoJSON or Grid, optional
        Take the window of this region; without ``like`` and ``region`` the window of the input.
    method : {"auto", "bicubic", "bilinear", "average", "nearest", "mode"}
        Kernel for continuous variables: Keys cubic with a = -1/2, triangle, share of area, or the cell at the target
        centre. ``"nearest"`` applies to every variable, ``"mode"`` to classes and flags (or, without any, to
        integers, or to all); a warning names the others. Of points in a cell, ``"average"`` takes the mean,
        ``"mode"`` the commonest; ``"auto"`` is ``"average"`` for continuous variables and ``"mode"`` for classes.
    min_valid : float
        Smallest share (0..1) of the signed weights that must lie on valid cells. Below it, bilinear and then nearest
        values stand in where the nearest source cell is valid, so that coasts are not eroded.
    output_chunks : int, optional
        Cells per side of the blocks of a lazy result, anchored to rows and columns of the global grid.

    Returns
    -------
    xarray.Dataset
        Dims ``(..., y, x)``; types and attributes kept. An eager variable that was clipped says so in
        ``clipped_cells``. Clipping to the physical range, and one mask and the sum 100 for sand, silt and clay (which
        become float), need the attribute ``units``. Where cells lie outside the source, integers without a missing
        value become float, classes and flags of uint8 and uint16 get the ``_FillValue`` 255 and 65534.

    Raises
    ------
    DataError
        For coordinates that do not form a grid, a missing CRS, an area that is not a window of the grid, no overlap
        with the target, complex or object variables, or a continuous method on classes and flags alone.

    Examples
    --------
    >>> import xsm
    >>> nldas = xsm.example("nldas", size=16, days=20)
    >>> coarse = nldas.sm.regrid(grid="EASE2_M36")
    >>> dict(coarse["precipitation"].sizes)
    {'time': 20, 'y': 6, 'x': 6}

    On the positions of a swath of pyresample:

    >>> from pyresample import SwathDefinition
    >>> swath = SwathDefinition([[-97.9, -97.8], [-97.9, -97.7]], [[35.2, 35.2], [35.3, 35.4]])
    >>> dict(nldas.sm.regrid(like=swath)["precipitation"].sizes)
    {'time': 20, 'y': 2, 'x': 2}
    """
    return _regrid("regrid", ds, grids.GRIDS[grid], like, region, method, min_valid, output_chunks)


share_sections(regrid, regrid_ease9km)


def _regrid(
    name: str, ds: xr.Dataset, globe: Grid, like: Any, region: Any, method: str, min_valid: float, chunks: int | None
) -> xr.Dataset:
    ds = utc_times(ds, daily=False) if "time" in ds.coords else ds
    geo = geometry(ds)
    target = _target(geo, globe, like, region)
    positions = _positions(ds, geo)
    names = [n for n, v in ds.variables.items() if set(geo.dims) <= set(v.dims) and n not in positions]
    if not names:
        raise DataError(f"No variable of the dataset has the dims {geo.dims}.", hint="Choose one that has.")
    _check_types(ds, names)
    _check_method(ds, names, method, geo, target)
    current = grids.grid_of(ds)
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
    grid = {} if name == "regrid_ease9km" else {"grid": target.name}
    return cf.add_history(result, name, **grid, method=method, min_valid=min_valid, shape=target.shape)


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
    from xsm.kernels.variables import SMOOTH, categorical

    if method in SMOOTH and all(categorical(ds[n].variable, str(n)) for n in names):
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
    from xsm.kernels import variables as kinds
    from xsm.kernels.apply import apply
    from xsm.kernels.plan import is_coarser, make_plan

    @functools.cache
    def covered(whole_cells: bool) -> bool:
        grid = target.grow(1) if whole_cells else target
        whole = slice(0, grid.rows), slice(0, grid.cols)
        plan = make_plan(geo, grid, "nearest", min_valid=min_valid)
        at = plan.window(*whole)
        return at is not None and all(bool((a >= 0).all()) for a in plan.nearest(at, *whole))

    variables = kinds.unrounded({n: ds[n].variable for n in names})
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
