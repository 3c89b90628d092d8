"""EASE-Grid 2.0 as value objects: windows, row/column, coordinates, CRS attributes.

Every coordinate is generated from an integer row or column and the constants of the grid definition
(documentation: EASE-Grid 2.0), never accumulated and never read from a file.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm.data import areas
from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.region import BBox, region_bbox
from xsm.errors import DataError, UsageError

if TYPE_CHECKING:
    from pyresample.geometry import AreaDefinition

X0, Y0 = -17367530.4451615, 7314540.8306386
ON_EDGE = 1e-3
"""Share of a cell by which coordinates may miss those of the grid."""


@dataclass(frozen=True)
class Grid:
    """A window of a global cylindrical EASE-Grid 2.0 (EPSG:6933).

    Parameters
    ----------
    name : str
        Name of the global grid, for example ``"EASE2_M09"``.
    cell : float
        Cell size in metres.
    shape_global : tuple of int
        Rows and columns of the global grid.
    row0, col0 : int
        First row and column of the window in the global grid; row 0 is the northernmost.
    rows, cols : int
        Size of the window.

    Examples
    --------
    >>> EASE2_M09.region("conus").shape
    (307, 622)
    """

    name: str
    cell: float
    shape_global: tuple[int, int]
    row0: int = 0
    col0: int = 0
    rows: int = 0
    cols: int = 0

    epsg = 6933

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.rows, self.cols

    @property
    def row(self) -> np.ndarray:
        """Global row indices of the window, int64."""
        return np.arange(self.row0, self.row0 + self.rows)

    @property
    def col(self) -> np.ndarray:
        """Global column indices of the window, int64."""
        return np.arange(self.col0, self.col0 + self.cols)

    @property
    def x(self) -> np.ndarray:
        """Cell centres in metres, west to east."""
        return X0 + (self.col + 0.5) * self.cell

    @property
    def y(self) -> np.ndarray:
        """Cell centres in metres, north to south."""
        return Y0 - (self.row + 0.5) * self.cell

    @property
    def lon(self) -> np.ndarray:
        """Longitude of the columns in degrees."""
        return transformer(EASE, DEGREES).transform(self.x, np.zeros(self.cols))[0]

    @property
    def lat(self) -> np.ndarray:
        """Latitude of the rows in degrees."""
        return transformer(EASE, DEGREES).transform(np.zeros(self.rows), self.y)[1]

    @property
    def bounds(self) -> BBox:
        """Outer edges (left, bottom, right, top) in metres."""
        left, top = X0 + self.col0 * self.cell, Y0 - self.row0 * self.cell
        return left, top - self.rows * self.cell, left + self.cols * self.cell, top

    @property
    def bbox(self) -> BBox:
        """Outer edges (west, south, east, north) in degrees."""
        left, bottom, right, top = self.bounds
        lon, lat = transformer(EASE, DEGREES).transform([left, right], [bottom, top])
        return lon[0], lat[0], lon[1], lat[1]

    @property
    def geotransform(self) -> tuple[float, float, float, float, float, float]:
        """GDAL geotransform of the window."""
        left, _, _, top = self.bounds
        return left, self.cell, 0.0, top, 0.0, -self.cell

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Grid:
        """Take rows ``row0:row1`` and columns ``col0:col1`` of the global grid, cut at its edges.

        Examples
        --------
        >>> EASE2_M09.window(-2, 2, 880, 889).shape
        (2, 9)
        """
        row0, col0 = max(row0, 0), max(col0, 0)
        row1, col1 = min(row1, self.shape_global[0]), min(col1, self.shape_global[1])
        if row1 <= row0 or col1 <= col0:
            raise UsageError(
                f"The window rows {row0}:{row1}, columns {col0}:{col1} contains no cell of {self.name}.",
                hint="Choose a region inside the grid.",
            )
        return replace(self, row0=row0, col0=col0, rows=row1 - row0, cols=col1 - col0)

    def grow(self, cells: int) -> Grid:
        """Add a margin of ``cells`` on every side, cut at the edges of the global grid."""
        return self.window(
            self.row0 - cells, self.row0 + self.rows + cells, self.col0 - cells, self.col0 + self.cols + cells
        )

    def region(self, region: Any) -> Grid:
        """Find the window of all cells that touch a region.

        Parameters
        ----------
        region : str, sequence of four floats, Grid, geometry or None
            Name in `REGIONS`, (west, south, east, north) in degrees, another grid, an object with ``bounds`` or
            ``__geo_interface__``, a GeoJSON file (WGS 84), or None for the whole global grid.

        Returns
        -------
        Grid
            Raises `xsm.UsageError` for what is not a region, and where no cell touches it.

        Examples
        --------
        >>> EASE2_M09.region((-98, 36, -97, 37)).shape
        (13, 12)
        """
        bbox = region_bbox(region)
        if bbox is None:
            return self.window(0, self.shape_global[0], 0, self.shape_global[1])
        west, south, east, north = bbox
        x, y = transformer(DEGREES, EASE).transform([west, east], [south, north])
        row1, row0 = (Y0 - np.asarray(y)) / self.cell
        col0, col1 = (np.asarray(x) - X0) / self.cell
        tiny = 1e-3  # edges that coincide with cell edges add no cell
        return self.window(
            int(np.floor(row0 + tiny)), int(np.ceil(row1 - tiny)), int(np.floor(col0 + tiny)), int(np.ceil(col1 - tiny))
        )

    def to_area(self) -> AreaDefinition:
        """Describe the window as an area of pyresample.

        Returns
        -------
        pyresample.AreaDefinition
            The same cells in EPSG:6933, rows from north to south.

        Examples
        --------
        >>> area = EASE2_M09.region("conus").to_area()
        >>> area.shape
        (307, 622)
        """
        from pyresample.geometry import AreaDefinition

        return AreaDefinition(self.name, self.name, self.name, f"EPSG:{self.epsg}", self.cols, self.rows, self.bounds)

    @classmethod
    def from_area(cls, area: Any) -> Grid:
        """Find the EASE-Grid 2.0 window whose cells are those of an area of another library.

        Parameters
        ----------
        area : pyresample.AreaDefinition or odc.geo.geobox.GeoBox
            In EPSG:6933, with edges on those of the cells of 3, 9 or 36 km.

        Returns
        -------
        Grid
            Anchored to whole rows and columns.

        Raises
        ------
        DataError
            For another CRS, other cells, and edges beside those of the grid or beyond the globe.

        Examples
        --------
        >>> window = EASE2_M09.window(330, 338, 880, 889)
        >>> Grid.from_area(window.to_area()) == window
        True
        """
        crs, (left, top, width, height, rows, cols) = areas.frame(area)
        problem = f"its CRS is {crs.name}"
        if areas.is_ease(crs):
            problem = f"its cells are {width:.10g} m by {height:.10g} m"
            for grid in GRIDS.values():
                if abs(width - grid.cell) * cols < ON_EDGE * grid.cell > abs(height - grid.cell) * rows:
                    row, col = (Y0 - top) / grid.cell, (left - X0) / grid.cell
                    row0, col0 = round(row), round(col)
                    inside = 0 <= row0 <= grid.shape_global[0] - rows and 0 <= col0 <= grid.shape_global[1] - cols
                    if inside and max(abs(row - row0), abs(col - col0)) < ON_EDGE:
                        return replace(grid, row0=row0, col0=col0, rows=rows, cols=cols)
                    problem = f"its top left corner is at row {row:.3f}, column {col:.3f} of {grid.name}"
        raise DataError(
            f"The area of {rows} x {cols} cells is not a window of an EASE-Grid 2.0: {problem}.",
            hint="Build it with Grid.to_area, or give a SwathDefinition of its longitudes and latitudes.",
        )

    def rowcol(self, lon: Any, lat: Any) -> tuple[np.ndarray, np.ndarray]:
        """Global row and column of the cells that contain points; -1 outside the global grid.

        Parameters
        ----------
        lon, lat : array_like
            Degrees, any equal shape.

        Returns
        -------
        tuple of ndarray of int64
            Rows and columns, shaped like the points.

        Examples
        --------
        >>> [int(v[0]) for v in EASE2_M09.rowcol([-98.0], [36.0])]
        [334, 878]
        """
        x, y = transformer(DEGREES, EASE).transform(np.asarray(lon, "f8"), np.asarray(lat, "f8"))
        with np.errstate(invalid="ignore"):
            row = np.floor((Y0 - np.asarray(y)) / self.cell)
            col = np.floor((np.asarray(x) - X0) / self.cell)
            inside = (row >= 0) & (row < self.shape_global[0]) & (col >= 0) & (col < self.shape_global[1])
        return np.where(inside, row, -1).astype("i8"), np.where(inside, col, -1).astype("i8")

    def coords(self) -> dict[str, xr.Variable]:
        """CF coordinate variables ``y``, ``x`` and the scalar ``spatial_ref``."""
        geo = " ".join(repr(v) for v in self.geotransform)
        return {
            "y": xr.Variable("y", self.y, _axis("y")),
            "x": xr.Variable("x", self.x, _axis("x")),
            "spatial_ref": xr.Variable((), np.int64(0), {**_crs_attrs(), "GeoTransform": geo, "ease_grid": self.name}),
        }

    def assign(self, ds: xr.Dataset) -> xr.Dataset:
        """Give a dataset this grid's coordinates and grid mapping; its ``y``, ``x`` sizes must fit."""
        ds = ds.drop_vars([n for n in ("x", "y", "spatial_ref") if n in ds.variables]).assign_coords(self.coords())
        for name, variable in ds.variables.items():
            if "x" in variable.dims and "y" in variable.dims:
                variable.attrs.pop("grid_mapping", None)
                variable.encoding["grid_mapping"] = "spatial_ref"
                if name in ds.coords:
                    variable.encoding.pop("coordinates", None)
        return ds


EASE2_M36 = Grid("EASE2_M36", 36032.220840584, (406, 964), 0, 0, 406, 964)
EASE2_M09 = Grid("EASE2_M09", 9008.055210146, (1624, 3856), 0, 0, 1624, 3856)
EASE2_M03 = Grid("EASE2_M03", 3002.6850700487, (4872, 11568), 0, 0, 4872, 11568)
GRIDS: Mapping[str, Grid] = {g.name: g for g in (EASE2_M36, EASE2_M09, EASE2_M03)}


def grid_of(ds: xr.Dataset | xr.DataArray) -> Grid | None:
    """Find the EASE-Grid 2.0 window of a dataset from its ``x`` and ``y``.

    Parameters
    ----------
    ds : xarray.Dataset or DataArray
        With 1-D ``x`` and ``y`` in metres.

    Returns
    -------
    Grid or None
        None where it is on no such grid.

    Examples
    --------
    >>> window = EASE2_M09.window(330, 338, 880, 889)
    >>> grid_of(window.assign(xr.Dataset())) == window
    True
    """
    if not {"x", "y"} <= set(ds.coords) or ds["x"].ndim != 1 or ds["y"].ndim != 1:
        return None
    x, y = np.asarray(ds["x"], "f8"), np.asarray(ds["y"], "f8")
    if not len(x) or not len(y):
        return None
    named = ds["spatial_ref"].attrs.get("ease_grid") if "spatial_ref" in ds.coords else None
    for grid in sorted(GRIDS.values(), key=lambda g: g.name != named):  # one cell fits several nested grids
        col, row = (x - X0) / grid.cell - 0.5, (Y0 - y) / grid.cell - 0.5
        first_row, first_col = np.rint(row[0]), np.rint(col[0])
        exact = np.abs(row - first_row - np.arange(len(row))).max() < ON_EDGE
        if exact and np.abs(col - first_col - np.arange(len(col))).max() < ON_EDGE:
            return replace(grid, row0=int(first_row), col0=int(first_col), rows=len(row), cols=len(col))
    return None


def require_grid(ds: xr.Dataset | xr.DataArray, what: str) -> Grid:
    """Return the EASE-Grid window of a dataset or stop with a sentence."""
    grid = grid_of(ds)
    if grid is None:
        raise DataError(
            f"{what} is not on an EASE-Grid 2.0 (dims {dict(ds.sizes)}).",
            hint="Run <regrid_ease9km()> first.",
        )
    return grid


def _axis(dim: str) -> dict[str, str]:
    return {
        "axis": dim.upper(),
        "units": "m",
        "standard_name": f"projection_{dim}_coordinate",
        "long_name": f"{dim} coordinate of projection",
    }


@functools.cache
def _crs_attrs() -> dict[str, Any]:
    from pyproj import CRS

    crs = CRS.from_epsg(6933)
    return {**crs.to_cf(), "spatial_ref": crs.to_wkt()}
