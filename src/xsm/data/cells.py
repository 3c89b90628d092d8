"""Take the values of single cells out of maps, without loading the maps."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.grids import X0, Y0, grid_of
from xsm.errors import DataError, tell

HOUR = np.timedelta64(1, "h")


def daily(ds: xr.Dataset, period: slice | None) -> tuple[xr.Dataset, np.ndarray]:
    """Cut maps to a period; return them in order of time with their UTC days."""
    if "time" not in ds.dims or not ds.sizes["time"]:
        raise DataError(f"The maps have no time (dims {dict(ds.sizes)}).", hint="Expected one map per UTC day.")
    order = np.argsort(ds["time"].values)
    days = ds["time"].values[order].astype("M8[D]")
    if len(np.unique(days)) < len(days):
        raise DataError("The maps have several times in one UTC day, expected one.", hint="Average them to days first.")
    if period is not None:
        keep = np.ones(len(days), bool)
        keep &= True if period.start is None else days >= period.start
        keep &= True if period.stop is None else days <= period.stop
        if not keep.any():
            raise DataError(
                f"The maps ({days[0]} to {days[-1]}) have no day from {period.start} to {period.stop}.",
                hint="Choose another time.",
            )
        order, days = order[keep], days[keep]
    return ds.isel(time=order), days


class Cells:
    """The cells of the stations, computed together; the rest of the maps is never loaded."""

    def __init__(
        self,
        ds: xr.Dataset,
        names: Sequence[str],
        extra: Sequence[str],
        lon: np.ndarray,
        lat: np.ndarray,
        method: Literal["nearest", "bilinear"],
    ) -> None:
        import dask

        rows, cols, shape, _ = positions(ds, lon, lat)
        y, x = map_dims(ds)
        near = {y: _index(rows + 0.5, shape[0]), x: _index(cols + 0.5, shape[1])}
        at = ds.reset_coords()[[*names, *(n for n in extra if n in ds.variables and n not in names)]].isel(near)
        around = None
        if method == "bilinear":
            top, left = np.floor(rows), np.floor(cols)
            corners = [(r, c) for r in (0, 1) for c in (0, 1)]
            weights = [np.abs(1 - r - (rows - top)) * np.abs(1 - c - (cols - left)) for r, c in corners]
            self.weights = xr.DataArray(np.stack(weights), dims=("corner", "station"))
            index = {
                y: xr.concat([_index(top + r, shape[0]) for r, _ in corners], "corner"),
                x: xr.concat([_index(left + c, shape[1]) for _, c in corners], "corner"),
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


def positions(ds: xr.Dataset, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, int], str]:
    """Fractional row and column of points (cell centres are whole numbers), the window's shape and its box as text."""
    grid = grid_of(ds)
    if grid is not None:
        x, y = _to_ease().transform(lon, lat)
        west, south, east, north = grid.bbox
        rows = (Y0 - np.asarray(y)) / grid.cell - 0.5 - grid.row0
        cols = (np.asarray(x) - X0) / grid.cell - 0.5 - grid.col0
        shape = grid.shape
    else:
        y_name, x_name = map_dims(ds)
        rows, north, south = _along(ds[y_name].values.astype("f8"), lat)
        cols, east, west = _along(ds[x_name].values.astype("f8"), lon)
        shape = ds.sizes[y_name], ds.sizes[x_name]
    box = f"longitude {west:.2f} to {east:.2f}, latitude {south:.2f} to {north:.2f}"
    return rows, cols, shape, box


@functools.cache
def _to_ease() -> Any:
    from pyproj import Transformer

    return Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)


def map_dims(ds: xr.Dataset) -> tuple[str, str]:
    """Names of the dims of maps, rows first."""
    if grid_of(ds) is not None:
        return "y", "x"
    y, x = cf.find_coord(ds, "y"), cf.find_coord(ds, "x")
    regular = x and y and ds[x].dims == (x,) and ds[y].dims == (y,) and min(ds[x].size, ds[y].size) > 1
    if not regular or np.abs(ds[x]).max() > 360:
        raise DataError(
            f"The maps (dims {dict(ds.sizes)}) are neither on an EASE-Grid 2.0 nor on latitudes and longitudes.",
            hint="Run <regrid_ease9km()> first.",
        )
    return str(y), str(x)


def _along(axis: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, float, float]:
    step = (axis[-1] - axis[0]) / (len(axis) - 1)
    half = abs(step) / 2
    return (points - axis[0]) / step, axis.max() + half, axis.min() - half


def _index(position: np.ndarray, size: int) -> xr.DataArray:
    return xr.DataArray(np.clip(np.floor(position), 0, size - 1).astype("i8"), dims="station")
