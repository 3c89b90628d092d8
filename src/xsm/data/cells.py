"""Take the values of single cells out of maps, without loading the maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.geometry import find_crs
from xsm.data.grids import GRIDS, ON_EDGE, X0, Y0, grid_of
from xsm.data.period import day_mask
from xsm.errors import DataError, tell

HOUR = np.timedelta64(1, "h")


def daily(ds: xr.Dataset, period: slice | None) -> tuple[xr.Dataset, np.ndarray]:
    """Cut maps to a period; return them in order of time with their UTC days."""
    if "time" not in ds.dims or not ds.sizes["time"]:
        raise DataError(f"The data have no time (dims {dict(ds.sizes)}).", hint="Expected one step per UTC day.")
    order = np.argsort(ds["time"].values)
    days = ds["time"].values[order].astype("M8[D]")
    if len(np.unique(days)) < len(days):
        raise DataError("The data have several times in one UTC day.", hint="Make daily means, with <to_daily()>.")
    if period is not None:
        keep = day_mask(days, period, "time")
        order, days = order[keep], days[keep]
    return ds.isel(time=order), days


class Cells:
    """The cells of the stations, computed together; the rest of the maps is never loaded."""

    def __init__(
        self,
        ds: xr.Dataset,
        names: Sequence[str],
        extra: Sequence[str],
        spots: Spots,
        method: Literal["nearest", "bilinear"],
    ) -> None:
        import dask

        near = {dim: _index(cells) for dim, cells in spots.index.items()}
        at = ds.reset_coords()[[*names, *(n for n in extra if n in ds.variables and n not in names)]].isel(near)
        if not near:
            at = at.expand_dims(station=len(spots.inside))
        around = None
        if method == "bilinear" and spots.along:
            rows, cols = spots.along
            corners = [(r, c) for r in (0, 1) for c in (0, 1)]
            weights = [np.abs(1 - r - rows.share) * np.abs(1 - c - cols.share) for r, c in corners]
            self.weights = xr.DataArray(np.stack(weights), dims=("corner", "station"))
            index = {
                rows.dim: xr.concat([_index((rows.before, rows.after)[r]) for r, _ in corners], "corner"),
                cols.dim: xr.concat([_index((cols.before, cols.after)[c]) for _, c in corners], "corner"),
            }
            around = ds[list(names)].isel(index)
        self.at, self.around = dask.compute(at, around)

    def has(self, name: str) -> bool:
        """Whether the maps have a variable."""
        return name in self.at

    def values(self, name: str) -> np.ndarray:
        """Values (station, day); values outside 0 to 1 are left out."""
        near = self.at[name]
        if self.around is not None:
            weights = self.weights.where(self.around[name].notnull())
            mean = (self.around[name] * weights).sum("corner") / weights.sum("corner")
            near = mean.where(near.notnull())
        values = near.transpose("station", "time").values.astype("f4")
        if np.isfinite(values).any() and np.nanmedian(values) > 1:
            raise DataError(
                f"'{name}' has a median of {np.nanmedian(values):.3g} at the stations, expected m3 m-3.",
                hint="Divide percent by 100, kg m-2 by the thickness of the layer in mm.",
            )
        wrong = (values < 0) | (values > 1)
        if wrong.any():
            tell(f"{int(wrong.sum())} values of '{name}' outside 0 to 1 m3 m-3 are left out.")
        return np.where(wrong, np.nan, values)

    def frozen(self) -> np.ndarray:
        """Whether a cell is frozen, (station, day); all False where the maps do not say."""
        if not self.has("frozen"):
            tell("The maps have no 'frozen': frozen days of the cells are not left out.")
            return np.zeros((), bool)
        return np.nan_to_num(self.at["frozen"].transpose("station", "time").values.astype("f4")) != 0

    def hours(self, start: np.datetime64) -> np.ndarray | None:
        """Times of observation in hours since ``start``, (station, day), NaN where none; None without ``obs_time``."""
        if not self.has("obs_time"):
            return None
        times = self.at["obs_time"].transpose("station", "time").values
        hours = (times - start.astype(times.dtype)) / HOUR
        return np.where(np.isnat(times), np.nan, hours)

    def static(self, name: str) -> np.ndarray:
        """Values of a map without time (station,), of the layer nearest to 5 cm where it has several."""
        values = self.at[name]
        if "soil_depth" in values.dims:
            values = values.isel(soil_depth=int(np.abs(values["soil_depth"].values - 5).argmin()))
        return values.values.astype("f8")


NO_PLACE = "no place"


@dataclass(frozen=True)
class Spots:
    """Where points lie in data: the cell of each, by dim, and whether the point lies in it.

    ``lat`` and ``lon`` are the centres of these cells in degrees, NaN where the data have no place; ``box`` says in
    words where the data lie; ``along`` are rows and columns, of grids only.
    """

    index: Mapping[str, np.ndarray]
    inside: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    box: str = NO_PLACE
    along: tuple[Along, ...] = ()

    @property
    def placed(self) -> bool:
        """Whether the data have a place."""
        return self.box != NO_PLACE

    def take(self, which: Sequence[int]) -> Spots:
        """Some of the points."""
        return Spots({d: cells[which] for d, cells in self.index.items()}, self.inside[which], self.lat[which],
                     self.lon[which], self.box, tuple(a.take(which) for a in self.along))  # fmt: skip


LIMIT_KM = 25.0
"""How far a point may be from the centre of a cell whose size is not known."""


def spots_of(ds: xr.Dataset, lon: np.ndarray, lat: np.ndarray) -> Spots:
    """Cells of points in degrees: on a grid those that contain them, else the nearest within `LIMIT_KM`."""
    lon, lat = np.asarray(lon, "f8"), np.asarray(lat, "f8")
    lone = _lone_cells(ds)
    if lone is None:
        rows, cols, box = positions(ds, lon, lat)
        y_name, x_name, cell = axes_of(ds)
        y, x = ds[y_name].values[rows.nearest], ds[x_name].values[cols.nearest]
        east, north = transformer(EASE, DEGREES).transform(x, y) if cell else (x, y)
        index = {rows.dim: rows.nearest, cols.dim: cols.nearest}
        return Spots(index, inside(rows, cols), np.asarray(north, "f8"), np.asarray(east, "f8"), box, (rows, cols))
    cells_lat, cells_lon = lone
    flat = cells_lat.values.ravel().astype("f8"), cells_lon.values.ravel().astype("f8")
    away = distance_km(lat[:, None], lon[:, None], *flat)
    nearest = np.nan_to_num(away, nan=np.inf).argmin(1)
    away = away[np.arange(len(nearest)), nearest]
    near = away <= LIMIT_KM
    box = f"{'one point' if len(flat[0]) == 1 else f'{len(flat[0])} points'}, latitude {flat[0].min():.2f}"
    box += f" to {flat[0].max():.2f}, longitude {flat[1].min():.2f} to {flat[1].max():.2f}"
    if near.any() or np.isfinite(away).any():
        tell(f"The size of the cells is not known ({box}): points up to {LIMIT_KM:g} km from their centre count, "
             f"the nearest is {np.nanmin(away):.1f} km away.")  # fmt: skip
    places = np.unravel_index(nearest, cells_lat.shape) if cells_lat.ndim else ()
    index = dict(zip(map(str, cells_lat.dims), places, strict=True))
    return Spots(index, near, flat[0][nearest], flat[1][nearest], box)


def distance_km(lat: np.ndarray, lon: np.ndarray, other_lat: np.ndarray, other_lon: np.ndarray) -> np.ndarray:
    """Distance of points in degrees on a sphere (haversine).

    Examples
    --------
    >>> float(distance_km(0, 0, 0, 1).round(1))
    111.2
    """
    a, b, c, d = (np.radians(v) for v in (lat, lon, other_lat, other_lon))
    half = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return 2 * 6371.0088 * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def _lone_cells(ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Latitudes and longitudes of cells that form no grid: one cell, or a list of them; None for a grid."""
    if grid_of(ds) is not None:
        return None
    plain = ds.drop_vars([n for n, c in ds.coords.items() if c.ndim > 1 or c.dtype.kind not in "fiu"])
    y, x = cf.find_coord(plain, "y"), cf.find_coord(plain, "x")
    if y is None or x is None or not all(_in_degrees(ds, n, limit) for n, limit in ((y, 90), (x, 360))):
        return None
    if ds[y].dims != ds[x].dims and not ds[y].size == ds[x].size == 1:
        return None
    lat, lon = xr.broadcast(ds[y].reset_coords(drop=True), ds[x].reset_coords(drop=True))
    return lat, lon


@dataclass(frozen=True)
class Along:
    """Points along one axis of maps, by the values of its coordinate, which may be uneven or in any order.

    ``nearest`` is the index of the cell, ``inside`` whether the point lies in it; ``before`` and ``after`` are the
    cells around it and ``share`` the weight of the second.
    """

    dim: str
    nearest: np.ndarray
    inside: np.ndarray
    before: np.ndarray
    after: np.ndarray
    share: np.ndarray

    def take(self, which: Sequence[int]) -> Along:
        """Some of the points."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "dim"})


def positions(ds: xr.Dataset, lon: np.ndarray, lat: np.ndarray) -> tuple[Along, Along, str]:
    """Cells of points in degrees along the rows and the columns of maps, and the box of the maps as text."""
    y_name, x_name, cell = axes_of(ds)
    y, x = (ds[n].values.astype("f8") for n in (y_name, x_name))
    lon, lat = np.asarray(lon, "f8"), np.asarray(lat, "f8")
    points = transformer(DEGREES, EASE).transform(lon, lat) if cell else (lon, lat)
    steps = (cell, cell) if cell else _steps(y, y_name, x, x_name)
    rows = _along(str(ds[y_name].dims[0]), y, points[1], steps[0])
    cols = _along(str(ds[x_name].dims[0]), x, points[0], steps[1], 0.0 if cell else 360.0)
    (south, north), (west, east) = ((a.min() - s / 2, a.max() + s / 2) for a, s in zip((y, x), steps, strict=True))
    if cell:
        west, south, east, north = transformer(DEGREES, EASE).transform_bounds(
            west, south, east, north, direction="INVERSE"
        )
    return rows, cols, f"longitude {west:.2f} to {east:.2f}, latitude {south:.2f} to {north:.2f}"


def inside(rows: Along, cols: Along) -> np.ndarray:
    """Whether points lie in a cell of the maps."""
    return rows.inside & cols.inside


def axes_of(ds: xr.Dataset) -> tuple[str, str, float]:
    """Names of the coordinates of rows and columns, and the side of a cell in EASE metres; 0 for degrees."""
    grid = grid_of(ds)
    if grid is not None:
        return "y", "x", grid.cell
    y, x = _axis_of(ds, "y"), _axis_of(ds, "x")
    if y and x and ds[y].dims != ds[x].dims:
        if cell := _ease_cell(ds, y, x):
            return y, x, cell
        if all(_in_degrees(ds, n, limit) for n, limit in ((y, 90), (x, 360))):
            return y, x, 0.0
    raise DataError(
        f"The maps (dims {dict(ds.sizes)}) are neither on an EASE-Grid 2.0 nor on latitudes and longitudes.",
        hint="Run <regrid_ease9km()> first, or name degrees lat and lon.",
    )


def _ease_cell(ds: xr.Dataset, y: str, x: str) -> float:
    """Side of the cells where all coordinates are centres of an EASE-Grid, some of which are left out; else 0."""
    named = ds["spatial_ref"].attrs.get("ease_grid") if "spatial_ref" in ds.coords else None
    if max(float(np.abs(ds[n]).max()) for n in (y, x)) <= 360:
        return 0.0
    for grid in sorted(GRIDS.values(), key=lambda g: g.name != named):
        places = (Y0 - ds[y].values) / grid.cell - 0.5, (ds[x].values - X0) / grid.cell - 0.5
        if all(np.abs(p - np.rint(p)).max() < ON_EDGE for p in places):
            return grid.cell
    return 0.0


def _in_degrees(ds: xr.Dataset, name: str, limit: float) -> bool:
    attrs = ds[name].attrs
    named = {name.lower(), str(attrs.get("standard_name", "")).lower()} & _DEGREES
    degrees = named or str(attrs.get("units", "")).startswith("degree")
    if not degrees and (crs := find_crs(ds)) is not None:
        degrees = crs.is_geographic
    return bool(degrees and np.abs(ds[name]).max() <= limit)


_DEGREES = {"lon", "lat", "longitude", "latitude", "nav_lon", "nav_lat"}


def _axis_of(ds: xr.Dataset, axis: Literal["x", "y"]) -> str | None:
    """The one-dimensional coordinate of an axis, a dim's own first."""
    flat = ds.drop_vars([n for n, c in ds.coords.items() if c.ndim != 1 or c.dtype.kind not in "fiu"])
    axes = flat.drop_vars([n for n in flat.coords if n not in flat.dims])
    return cf.find_coord(axes, axis) or cf.find_coord(flat, axis)


def _steps(y: np.ndarray, y_name: str, x: np.ndarray, x_name: str) -> tuple[float, float]:
    """Smallest steps of both axes; one of a single value has that of the other."""
    if len(y) == 1 != len(x) or len(x) == 1 != len(y):
        step = _step(y, y_name) if len(y) > 1 else _step(x, x_name)
        return step, step
    return _step(y, y_name), _step(x, x_name)


def _step(axis: np.ndarray, name: str) -> float:
    """Smallest step of an axis, in any order, of which some values may have been left out."""
    if len(axis) < 2 or not np.isfinite(axis).all() or not np.diff(np.sort(axis)).min() > 0:
        raise DataError(
            f"The coordinate '{name}' has {len(axis)} values, {len(np.unique(axis[np.isfinite(axis)]))} of them "
            "different, expected two or more, each once.",
            hint="Select a larger region, and leave out repeated and missing coordinates.",
        )
    return float(np.diff(np.sort(axis)).min())


EDGE, SAME_STEP, GAP = 0.01, 0.1, 1.75
"""Shares of a step: how far outside its cell a point may lie, how much the steps of a regular axis differ, and from how
many steps on two cells are not neighbours."""


def _along(dim: str, axis: np.ndarray, points: np.ndarray, step: float, period: float = 0.0) -> Along:
    """Place points on an axis by value; cells are as wide as the steps around them, and gaps belong to no cell."""
    values, points = axis, np.asarray(points, "f8")
    if period:
        values = np.unwrap(axis, period=period) if np.ptp(axis) > period / 2 else axis
        points = points - period * np.round((points - (values.max() + values.min()) / 2) / period)
    sign = -1.0 if values[-1] < values[0] else 1.0
    order = np.argsort(sign * values)
    values, points = sign * values[order], np.where(np.isfinite(points), sign * points, np.nan)
    if period and len(values) > 2:
        order = np.concatenate([order[-1:], order, order[:1]])
        values = np.concatenate([values[-1:] - period, values, values[:1] + period])
    halves, least = _halves(values, step)
    low, high = (half + EDGE * least for half in halves)
    known = np.nan_to_num(points, nan=values[0])
    left = np.clip(np.searchsorted(values, known, "right") - 1, 0, max(len(values) - 2, 0))
    right = np.minimum(left + 1, len(values) - 1)
    width = np.where(right > left, values[right] - values[left], 1.0)
    share = np.clip((known - values[left]) / width, 0, 1)
    near = np.where(share >= 0.5, right, left)
    away = points - values[near]
    within = (away >= -low[near]) & (away <= high[near])
    return Along(dim, order[near], within, order[left], order[right], share)


def _halves(values: np.ndarray, step: float) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """How far the cells of a rising axis reach to either side, and their size without a gap beside them."""
    steps = np.diff(values)
    count = steps / step
    regular = (np.abs(count - np.rint(count)) < SAME_STEP * np.rint(count)).all()
    sides = np.concatenate([steps[:1], steps, steps[-1:]]) if len(steps) else np.full(2, step)
    before, after = sides[:-1], sides[1:]
    least = np.full(len(values), step) if regular else np.minimum(before, after)
    low, high = (np.where(side < GAP * least, side, least) / 2 for side in (before, after))
    return (low, high), least


def edges(ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the cells of maps in metres of the EASE-Grid, which keeps areas: (row, 2) and (column, 2), low first.

    Columns of maps on degrees may run beyond half of the globe's circumference, as their longitudes do beyond 180.

    Examples
    --------
    >>> ds = xr.Dataset(coords={"lat": [1.0, 0.0], "lon": [0.0, 1.0]})
    >>> rows, cols = edges(ds)
    >>> (cols / 1e3).round().tolist()
    [[-48.0, 48.0], [48.0, 145.0]]
    """
    y_name, x_name, cell = axes_of(ds)
    out = []
    for name, period in ((y_name, 0.0), (x_name, 360.0)):
        axis = ds[name].values.astype("f8")
        step = cell or _step(axis, name)
        values = np.unwrap(axis, period=period) if period and not cell and np.ptp(axis) > period / 2 else axis
        order = np.argsort(values)
        (low, high), _ = _halves(values[order], step)
        sides = np.empty((len(values), 2))
        sides[order] = np.stack([values[order] - low, values[order] + high], 1)
        out.append(sides)
    rows, cols = out
    if cell:
        return rows, cols
    metres = transformer(DEGREES, EASE)
    rows = metres.transform(np.zeros_like(rows), np.clip(rows, -90, 90))[1]
    scale = metres.transform(1.0, 0.0)[0]
    return rows, cols * scale


def _index(cells: np.ndarray) -> xr.DataArray:
    return xr.DataArray(cells.astype("i8"), dims="station")
