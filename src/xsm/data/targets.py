"""Where a result of regridding goes: a window of an EASE-Grid, or positions of their own such as a swath's."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.areas import is_area
from xsm.data.geometry import Scattered, ease_of, scattered
from xsm.data.grids import X0, Y0, Grid, require_grid

AXES = {"lon": ("longitude", "degrees_east"), "lat": ("latitude", "degrees_north")}


@dataclass(frozen=True)
class Sites:
    """Positions without cells, to the kernels one block of rows and columns; ``grid`` measures distances."""

    geo: Scattered
    grid: Grid

    name, row0, col0 = "points", 0, 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns; a list of points is one row."""
        size = self.geo.lon.shape
        return (1, size[0]) if len(size) == 1 else (size[0], size[1])

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.shape[0]

    @property
    def cols(self) -> int:
        """Number of columns."""
        return self.shape[1]

    def grow(self, cells: int) -> Sites:
        """Positions have no surroundings: the same."""
        return self

    def assign(self, ds: xr.Dataset) -> xr.Dataset:
        """Turn the kernels' dims ``y`` and ``x`` into those of the positions, with their longitude and latitude."""
        dims = self.geo.dims
        ds = ds.isel(y=0).rename(x=dims[0]) if len(dims) == 1 else ds.rename(y=dims[0], x=dims[1])
        places = {"lon": self.geo.lon, "lat": self.geo.lat}
        for name, (standard, units) in AXES.items():
            ds = ds.assign_coords({name: (dims, places[name], {"standard_name": standard, "units": units})})
        return ds


Target = Grid | Sites


def identity(place: Target | Scattered) -> Hashable:
    """Short, hashable and the same in every process."""
    if isinstance(place, Sites):
        return place.geo.digest, place.grid
    return place.digest if isinstance(place, Scattered) else place


def target_of(like: Any, globe: Grid) -> Target:
    """Window or positions that ``like=`` of `xsm.regrid` describes.

    Parameters
    ----------
    like : Dataset, DataArray, Grid, AreaDefinition, GeoBox or SwathDefinition
        On an EASE-Grid, or with ``lons`` and ``lats`` of its own.
    globe : Grid
        The global grid of the result, which measures distances from positions.

    Examples
    --------
    >>> from pyresample import SwathDefinition
    >>> from xsm.data.grids import EASE2_M09
    >>> swath = SwathDefinition([[-98.0, -97.5], [-98.1, -97.6]], [[35.0, 35.1], [35.5, 35.6]])
    >>> target_of(swath, EASE2_M09).shape
    (2, 2)
    """
    if isinstance(like, Grid):
        return like
    if isinstance(like, xr.Dataset | xr.DataArray):
        return require_grid(like, "'like'")
    if is_area(like):
        return Grid.from_area(like)
    if hasattr(like, "lons") and hasattr(like, "lats"):
        return Sites(_positions(like), globe)
    return require_grid(like, "'like'")


def _positions(swath: Any) -> Scattered:
    dims = getattr(swath.lons, "dims", ("y", "x")[: np.ndim(swath.lons)] if np.ndim(swath.lons) > 1 else ("points",))
    lon, lat = (
        xr.DataArray(np.ma.filled(np.ma.asarray(getattr(a, "values", a)).astype("f8"), np.nan), dims=dims, name=name)
        for a, name in ((swath.lons, "lons"), (swath.lats, "lats"))
    )
    return scattered(lon, lat)


def positions(geo: Scattered, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Fractional row and column in a global grid, 0 the centre of its first cell; not finite where unknown."""
    x, y = ease_of(geo.lon, geo.lat)
    return (Y0 - y) / grid.cell - 0.5, (x - X0) / grid.cell - 0.5


def rows_columns(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Fractional row and column in the global grid of every place of a target, shaped like it."""
    if isinstance(target, Sites):
        row, col = positions(target.geo, target.grid)
        return row.reshape(target.shape), col.reshape(target.shape)
    row, col = np.broadcast_arrays(target.row[:, None].astype("f8"), target.col.astype("f8"))
    return row, col


def lon_lat(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of every place of a target, shaped like it."""
    if isinstance(target, Sites):
        return target.geo.lon.reshape(target.shape), target.geo.lat.reshape(target.shape)
    lon, lat = np.broadcast_arrays(target.lon, target.lat[:, None])
    return lon, lat
