"""Take the values of single cells out of maps, without loading the maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.grids import grid_of
from xsm.data.period import day_mask
from xsm.data.positions import Along, axes_of, in_degrees, inside, positions
from xsm.data.ranges import bulk, impossible, range_of
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
        within = replace(range_of(near, name), low=-np.inf, high=np.inf)
        doubts: list[Warning | str] = [*impossible(values, within)]
        for one in [*doubts, *filter(None, [bulk(values, within)])]:
            tell(one)
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
    if y is None or x is None or not all(in_degrees(ds, n, limit) for n, limit in ((y, 90), (x, 360))):
        return None
    if ds[y].dims != ds[x].dims and not ds[y].size == ds[x].size == 1:
        return None
    lat, lon = xr.broadcast(ds[y].reset_coords(drop=True), ds[x].reset_coords(drop=True))
    return lat, lon


def _index(cells: np.ndarray) -> xr.DataArray:
    return xr.DataArray(cells.astype("i8"), dims="station")
