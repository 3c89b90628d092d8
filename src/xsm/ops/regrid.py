"""Regrid any horizontal grid to EASE-Grid 2.0 (documentation: Decisions, "Regridding")."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation, share_sections
from xsm.data import cf
from xsm.data.grids import EASE2_M09, GRIDS, Grid
from xsm.data.region import REGIONS
from xsm.data.time import utc_times

Method = Literal["auto", "bicubic", "bilinear", "average", "nearest", "mode"]
_Input = Annotated[xr.Dataset, Param("Maps on any grid, or points.")]
_Like = Annotated[Any, Param("Dataset on an EASE-Grid 2.0 whose window is taken.", kind=Kind.DATASET)]
_Region = Annotated[
    Any,
    Param(
        "Name ('global'), west,south,east,north in degrees or a GeoJSON file; that of the input if not given.",
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
    int | None,
    Param("Cells per side of the blocks in which the result is computed.", minimum=1, unit="cells", advanced=True),
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
    return _regrid("regrid_ease9km", ds, EASE2_M09, like, region, method, min_valid, output_chunks)


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
    return _regrid("regrid", ds, GRIDS[grid], like, region, method, min_valid, output_chunks)


share_sections(regrid, regrid_ease9km)


def _regrid(
    name: str, ds: xr.Dataset, globe: Grid, like: Any, region: Any, method: str, min_valid: float, chunks: int | None
) -> xr.Dataset:
    from xsm.kernels.regridding import resample

    ds = utc_times(ds, daily=False) if "time" in ds.coords else ds
    result, target = resample(ds, globe, like, region, method, min_valid, chunks)
    grid = {} if name == "regrid_ease9km" else {"grid": target.name}
    return cf.add_history(result, name, **grid, method=method, min_valid=min_valid, shape=target.shape)
