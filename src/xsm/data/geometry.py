"""The horizontal grid of an input: regular axes (geographic, projected, EASE), curvilinear 2-D cells, or points.

`geometry` reads coordinates and CRS only, never a data variable, and stops with one sentence where they cannot be used.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm.data import grids
from xsm.data.areas import DEGREES, EASE, is_ease, transformer
from xsm.data.degrees import check_degrees
from xsm.errors import DataError

if TYPE_CHECKING:
    from pyproj import CRS

REGULAR_TOLERANCE = 0.02
"""Share of a cell by which a coordinate may differ from its regular axis (float32 axes of 1 km cells need 0.2 %)."""


@dataclass(frozen=True)
class Axis:
    """A regular axis: centre of cell ``k`` is ``first + k * step``.

    ``period`` is the number of cells around the globe where the axis closes on itself, else 0.
    """

    dim: str
    first: float
    step: float
    size: int
    period: int = 0

    def index(self, value: Any) -> np.ndarray:
        """Fractional cell index of coordinate values; 0 is the centre of the first cell."""
        return (np.asarray(value, "f8") - self.first) / self.step

    def value(self, index: Any) -> np.ndarray:
        """Coordinate of fractional cell indices."""
        return self.first + np.asarray(index, "f8") * self.step


@dataclass(frozen=True)
class Regular:
    """Cells on two regular axes.

    ``crs`` is None for longitude and latitude in degrees; ``ease`` says that the axes are EPSG:6933 metres.
    """

    y: Axis
    x: Axis
    crs: CRS | None = None
    ease: bool = False

    @property
    def dims(self) -> tuple[str, str]:
        """Names of the vertical and the horizontal dimension."""
        return self.y.dim, self.x.dim

    @property
    def separable(self) -> bool:
        """Whether EASE columns depend on ``x`` alone and rows on ``y`` alone."""
        return self.crs is None or self.ease

    def to_ease(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """EPSG:6933 metres of coordinates in the grid's own CRS; inf where there are none."""
        if self.ease:
            return np.asarray(x, "f8"), np.asarray(y, "f8")
        return transformer(self.crs or DEGREES, EASE).transform(np.asarray(x, "f8"), np.asarray(y, "f8"))

    def from_ease(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates in the grid's own CRS of EPSG:6933 metres; inf where there are none."""
        if self.ease:
            return np.asarray(x, "f8"), np.asarray(y, "f8")
        return transformer(EASE, self.crs or DEGREES).transform(np.asarray(x, "f8"), np.asarray(y, "f8"))


@dataclass(frozen=True, eq=False)
class Scattered:
    """Cells with their own longitude and latitude each: 2-D (curvilinear, swath) or 1-D (points); NaN where unknown."""

    dims: tuple[str, ...]
    lon: np.ndarray
    lat: np.ndarray

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of shape and positions."""
        digest = hashlib.sha256(repr((self.dims, self.lon.shape)).encode())
        for positions in (self.lon, self.lat):
            digest.update(np.ascontiguousarray(positions).data)
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scattered) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def geometry(ds: xr.Dataset) -> Regular | Scattered:
    """Find the horizontal grid of a dataset.

    Parameters
    ----------
    ds : Dataset
        With 1-D ``x``/``y`` and a CRS (``grid_mapping``, ``spatial_ref`` or ``crs`` attributes), or longitude and
        latitude as 1-D axes, 2-D fields or points.

    Raises
    ------
    DataError
        No coordinates, no CRS, NaN, duplicated or irregular axes.
    """
    lon, lat = (
        _find(ds, ("lon", "longitude", "nav_lon"), "degrees_east"),
        _find(ds, ("lat", "latitude", "nav_lat"), "degrees_north"),
    )
    x = _axis_name(ds, ("x", "easting", "projection_x_coordinate"), "projection_x_coordinate", "X", (lon, lat))
    y = _axis_name(ds, ("y", "northing", "projection_y_coordinate"), "projection_y_coordinate", "Y", (lon, lat))
    cells = lon is not None and lat is not None and ds[lon].dims == ds[lat].dims
    if x and y and not (cells and find_crs(ds) is None):
        return _projected(ds, x, y)
    if lon is None or lat is None:
        raise DataError(
            f"The dataset has no horizontal coordinates: dims {dict(ds.sizes)}, coordinates {[*map(str, ds.coords)]}.",
            hint="Give it longitude and latitude, or x and y with a CRS.",
        )
    if ds[lon].ndim == 1 and ds[lat].ndim == 1 and ds[lon].dims != ds[lat].dims:
        check_degrees(ds[lon], ds[lat])
        return Regular(_axis(ds[lat]), _axis(ds[lon], period=360.0))
    if cells:
        return scattered(ds[lon], ds[lat])
    raise DataError(
        f"'{lon}' has the dims {ds[lon].dims} and '{lat}' {ds[lat].dims}, expected one axis each or the same dims.",
        hint="Broadcast them to the same dims, or select a single cell list.",
    )


def _find(ds: xr.Dataset, names: Iterable[str], units: str) -> str | None:
    """Longitude or latitude: an axis first, then a coordinate, then a data variable."""
    standard = {"degrees_east": "longitude", "degrees_north": "latitude"}[units]
    matches = [
        str(n)
        for n, v in ds.variables.items()
        if v.ndim in (1, 2)
        and v.dtype.kind in "fiu"
        and (v.attrs.get("standard_name") == standard or str(n).lower() in names or v.attrs.get("units") == units)
    ]
    rank = {True: 0, False: 1}
    matches.sort(key=lambda n: (rank[n in ds.dims], rank[n in ds.coords], rank[n.lower() in names]))
    return matches[0] if matches else None


def _axis_name(
    ds: xr.Dataset, names: Iterable[str], standard: str, axis: str, taken: tuple[str | None, ...]
) -> str | None:
    for n in ds.dims:
        if n not in ds.coords or n in taken or ds[n].ndim != 1:
            continue
        attrs = ds[n].attrs
        if attrs.get("standard_name") == standard or str(n).lower() in names or attrs.get("axis") == axis:
            return str(n)
    return None


def _projected(ds: xr.Dataset, x: str, y: str) -> Regular:
    axes = _axis(ds[y]), _axis(ds[x])
    crs = find_crs(ds)
    if crs is None and grids.grid_of(xr.Dataset(coords={"x": ("x", ds[x].values), "y": ("y", ds[y].values)})):
        return Regular(*axes, ease=True)
    if crs is None:
        raise DataError(
            f"The dataset has '{x}' and '{y}' but no CRS.",
            hint="Give the file one with rioxarray or 'Assign projection' of QGIS.",
        )
    if crs.is_geographic and not crs.is_derived:
        return Regular(axes[0], _axis(ds[x], period=360.0))
    return Regular(*axes, crs=crs, ease=is_ease(crs))


def find_crs(ds: xr.Dataset) -> CRS | None:
    """Find the CRS of a dataset: grid mapping variable, then the attributes ``crs`` and ``spatial_ref``."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    named = [v.encoding.get("grid_mapping") or v.attrs.get("grid_mapping") for v in ds.variables.values()]
    names = [n for n in (*named, "spatial_ref", "crs") if n and n in ds.variables]
    for attrs in (*(ds.variables[n].attrs for n in dict.fromkeys(names)), ds.attrs):
        for key in ("crs_wkt", "spatial_ref", "crs", "epsg_code"):
            if attrs.get(key):
                try:
                    return CRS.from_user_input(attrs[key])
                except CRSError:
                    continue
        if "grid_mapping_name" in attrs:
            try:
                return CRS.from_cf(attrs)
            except (CRSError, KeyError) as error:
                raise DataError(
                    f"The grid mapping '{attrs['grid_mapping_name']}' cannot be read: {error}.",
                    hint="Give the file one with rioxarray or 'Assign projection' of QGIS.",
                ) from None
    return None


def _axis(coord: xr.DataArray, period: float = 0.0) -> Axis:
    """Read a regular axis, or say why a coordinate is not one."""
    name, v = coord.name, np.asarray(coord.values)
    if v.dtype.kind not in "fiu":
        raise DataError(f"The coordinate '{name}' has the type {v.dtype}, expected numbers.", hint="Decode it first.")
    v = v.astype("f8")
    if v.size < 2:
        raise DataError(
            f"The coordinate '{name}' has {v.size} value, expected at least 2.", hint="Select a larger region."
        )
    if not np.isfinite(v).all():
        raise DataError(
            f"The coordinate '{name}' has {int((~np.isfinite(v)).sum())} missing values of {v.size}.",
            hint="Drop them or restore them from the product's grid definition.",
        )
    if np.unique(v).size < v.size:
        raise DataError(
            f"The coordinate '{name}' repeats {v.size - np.unique(v).size} of its {v.size} values.",
            hint="Leave them out.",
        )
    if period:
        v = np.unwrap(v, period=period)  # longitudes that jump from 180 to -180
    step = (v[-1] - v[0]) / (v.size - 1)
    off = np.abs(v - (v[0] + step * np.arange(v.size))).max()
    if off > REGULAR_TOLERANCE * abs(step):
        raise DataError(
            f"The axis '{name}' is not regular: its values differ by up to {off:.3g} from even steps of {step:.6g}.",
            hint="Sort it, or give longitude and latitude as 2-D fields.",
        )
    around = round(period / abs(step)) if period else 0
    closed = around == v.size and abs(around * abs(step) - period) < REGULAR_TOLERANCE * abs(step)
    return Axis(str(coord.dims[0]), float(v[0]), float(step), v.size, around if closed else 0)


def scattered(lon: xr.DataArray, lat: xr.DataArray) -> Scattered:
    """Cells at longitudes and latitudes in degrees; NaN where a position is unknown or impossible."""
    check_degrees(lon, lat)
    east, north = (np.asarray(v.values, "f8") for v in (lon, lat))
    good = np.isfinite(east) & np.isfinite(north) & (np.abs(north) <= 90) & (np.abs(east) <= 360)
    if not good.any():
        raise DataError(
            f"'{lon.name}' and '{lat.name}' contain no position in degrees.",
            hint="Restore them from the geolocation file.",
        )
    east = (east + 180) % 360 - 180
    return Scattered(tuple(map(str, lon.dims)), np.where(good, east, np.nan), np.where(good, north, np.nan))


def ease_of(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """EPSG:6933 metres of longitudes and latitudes in degrees; not finite where there are none."""
    return transformer(DEGREES, EASE).transform(lon, lat)


def extent(geo: Regular | Scattered) -> tuple[float, float, float, float]:
    """Outer edges (left, bottom, right, top) of a horizontal grid in EPSG:6933 metres, cut at the global EASE-Grid."""
    if isinstance(geo, Scattered):
        x, y = ease_of(geo.lon, geo.lat)
        pad_x, pad_y = (_half_cell(v) for v in (x, y))
    else:
        v, u = np.linspace(-0.5, geo.y.size - 0.5, 257), np.linspace(-0.5, geo.x.size - 0.5, 257)
        y, x = geo.y.value(v)[:, None], geo.x.value(u)[None, :]
        if geo.crs is None and not geo.ease:
            x, y = _inside_globe(x, geo.x), np.clip(y, -90, 90)
        x, y = geo.to_ease(*np.broadcast_arrays(x, y))
        pad_x = pad_y = 0.0
    good = np.isfinite(x) & np.isfinite(y)
    if isinstance(geo, Regular) and not geo.separable and _goes_around(np.where(good, x, np.nan)):
        pad_x = 2 * abs(grids.X0)
    x, y = np.asarray(x)[good], np.asarray(y)[good]
    if isinstance(geo, Regular) and not good.all():
        inner_x, inner_y = _inner_nodes(geo)
        x, y = np.concatenate([x, inner_x]), np.concatenate([y, inner_y])
    if not x.size:
        raise DataError("No cell of the dataset lies on the Earth.", hint="Check its CRS and its coordinates.")
    edge_x, edge_y = -grids.X0, grids.Y0
    return (
        max(float(x.min()) - pad_x, -edge_x),
        max(float(y.min()) - pad_y, -edge_y),
        min(float(x.max()) + pad_x, edge_x),
        min(float(y.max()) + pad_y, edge_y),
    )


def _inner_nodes(geo: Regular) -> tuple[np.ndarray, np.ndarray]:
    """EPSG:6933 metres of the nodes of the 36 km grid that lie in a raster, which a horizon may limit."""
    cells = grids.EASE2_M36
    x, y = np.meshgrid(cells.x[:-1] + cells.cell / 2, cells.y[:-1] - cells.cell / 2)
    u, v = (axis.index(value) for axis, value in zip((geo.x, geo.y), geo.from_ease(x, y), strict=True))
    inside = (np.abs(2 * u - geo.x.size + 1) <= geo.x.size) & (np.abs(2 * v - geo.y.size + 1) <= geo.y.size)
    return x[inside], y[inside]


def window(geo: Regular | Scattered, grid: grids.Grid) -> grids.Grid:
    """Find the window of all cells of a global grid that touch a horizontal grid."""
    left, bottom, right, top = extent(geo)
    tiny = 1e-6  # edges that coincide with cell edges add no cell
    row0, row1 = (grids.Y0 - top) / grid.cell + tiny, (grids.Y0 - bottom) / grid.cell - tiny
    col0, col1 = (left - grids.X0) / grid.cell + tiny, (right - grids.X0) / grid.cell - tiny
    return grid.window(*(int(v) for v in (np.floor(row0), np.ceil(row1), np.floor(col0), np.ceil(col1))))


def _goes_around(x: np.ndarray) -> bool:
    """Whether metres of a raster jump from one side of the date line to the other."""
    return any((np.abs(np.diff(x, axis=axis)) > abs(grids.X0)).any() for axis in (0, 1))


def _half_cell(v: np.ndarray) -> float:
    """Half the spacing of curvilinear cells; points have no size."""
    if v.ndim < 2:
        return 0.0
    steps = [np.abs(np.diff(v, axis=a)) for a in range(v.ndim) if v.shape[a] > 1]
    return 0.5 * max((float(np.nanmedian(s)) for s in steps if np.isfinite(s).any()), default=0.0)


def _inside_globe(lon: np.ndarray, axis: Axis) -> np.ndarray:
    """Longitudes of an outline within -180..180; the whole circle where the axis closes or crosses 180 degrees."""
    low, high = float(lon.min()), float(lon.max())
    turn = 360.0 * np.floor((0.5 * (low + high) + 180) / 360)
    low, high = low - turn, high - turn
    if axis.period or low < -180 or high > 180:
        return np.linspace(-180, 180, lon.size).reshape(lon.shape)
    return lon - turn


def turn(d: Any, around: float) -> Any:
    """The shorter way around the globe of differences in columns; the same where ``around`` is 0."""
    return d - around * np.round(d / around) if around else d
