"""Reads the steps of some days from files, and makes daily values of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.cf import VARIABLES, drop_impossible
from xsm.data.netcdf_lock import NETCDF
from xsm.data.plausible import check_bulk
from xsm.data.time import whole_hours
from xsm.data.units import affine, unit_of
from xsm.errors import DataError, SkippedFile, XsmError, tell
from xsm.io.day_plan import DailyMap, Step
from xsm.io.lattice import SAME, Window, degrees, east
from xsm.series.daily import daily_mean

BLOCK_BYTES, BLOCK_DAYS = 2**25, 16
OpenParts = Callable[[Path], Sequence[xr.Dataset]]
Day = Sequence[Sequence[Step]]
"""The steps of a day for each variable."""


@dataclass(frozen=True)
class Reader:
    """What reading a day needs: variables, files, window, hours of a step, and the rules of the request."""

    maps: tuple[DailyMap, ...]
    parts: tuple[tuple[Path, int], ...]
    window: Window
    hours: tuple[float, ...]
    min_hours: float
    open_parts: OpenParts
    land: str
    units: Mapping[str, str]
    skip: bool

    def lazily(self, days: Sequence[Day]) -> Any:
        """All days as a lazy array (variable, day, row, column), float32, in blocks of some days."""
        import dask
        import dask.array as da

        size = 4 * len(self.maps) * self.window.shape[0] * self.window.shape[1]
        length = int(np.clip(BLOCK_BYTES // size, 1, BLOCK_DAYS))
        read = dask.delayed(Reader.read, pure=False)
        reader = dask.delayed(self, traverse=False)
        blocks = [
            da.from_delayed(read(reader, dask.delayed(part, traverse=False)),
                            (len(self.maps), len(part), *self.window.shape), "f4")
            for part in (days[i : i + length] for i in range(0, len(days), length))
        ]  # fmt: skip
        return da.concatenate(blocks, axis=1)

    def read(self, days: Sequence[Day]) -> np.ndarray:
        """Daily values of some days: float32 (variable, day, row, column); a file stays open while it is needed."""
        files: dict[Path, Sequence[xr.Dataset]] = {}
        values = []
        try:
            for number, day in enumerate(days, 1):
                values.append(self._day(day, files))
                later = {self.parts[p][0] for p in _places(days[number])} if number < len(days) else set()
                with NETCDF:
                    for path in set(files) - later:
                        close(files.pop(path))
        finally:
            with NETCDF:
                for parts in files.values():
                    close(parts)
        return np.stack(values, axis=1)

    def _day(self, day: Day, files: dict[Path, Sequence[xr.Dataset]]) -> np.ndarray:
        steps = [np.full((len(s), *self.window.shape), np.nan, "f4") for s in day]
        for part, places in _places(day).items():
            path, number = self.parts[part]
            try:
                with NETCDF, reading(path):
                    if path not in files:
                        files[path] = self.open_parts(path)
                    self._fill(steps, day, files[path][number], path, places)
            except DataError as error:
                if not self.skip:
                    raise
                tell(SkippedFile(path, error))
        return np.stack([self._daily(*each) for each in zip(self.maps, day, steps, self.hours, strict=True)])

    def _fill(
        self, steps: list[np.ndarray], day: Day, ds: xr.Dataset, path: Path, places: Sequence[tuple[int, int, int]]
    ) -> None:
        """Put the values of a part into the steps that have none yet."""
        land: np.ndarray | None = None
        times = whole_hours(ds["time"].values)
        self._check_axes(ds, path)
        if self.land in ds:
            land = np.isnan(self._cut(ds[self.land], [0])[0]) | (self._cut(ds[self.land], [0])[0] >= 0.5)
        for which in dict.fromkeys(which for which, _, _ in places):
            rows, at = (list(v) for v in zip(*((r, a) for w, r, a in places if w == which), strict=True))
            planned = np.array([day[which][row].time for row in rows])
            if (wrong := planned != times[at]).any():
                raise other_time(path, planned[wrong][0], times[at][wrong][0])
            one = self.maps[which]
            total = sum(self._input(ds, one, name, at, path) for name in one.inputs)
            values = np.where(total <= one.above, np.nan, total) if np.isfinite(one.above) else total
            values = values if land is None else np.where(land, values, np.nan)
            target = steps[which][rows]
            steps[which][rows] = np.where(np.isnan(target), values, target)

    def _check_axes(self, ds: xr.Dataset, path: Path) -> None:
        lat, lon = degrees(ds["lat"].values), east(degrees(ds["lon"].values))
        window = self.window
        ours = np.concatenate([lat[window.rows], *(lon[c] for c in window.columns)])
        theirs = np.concatenate([window.lat, window.lon])
        if ours.shape != theirs.shape or not np.abs(ours - theirs).max() < SAME:
            raise DataError(f"'{path}' is on another grid than the others.", hint="Open files of one area at a time.")

    def _input(self, ds: xr.Dataset, one: DailyMap, name: str, at: Sequence[int], path: Path) -> Any:
        slope, offset = scale_of(str(ds[name].attrs.get("units", "")), one, name, path, self.units)
        return self._cut(ds[name], at) * np.float32(slope * one.factor) + np.float32(offset * one.factor)

    def _cut(self, array: xr.DataArray, at: Sequence[int]) -> np.ndarray:
        """Some steps of a variable in the window: float32 (step, row, column)."""
        where: Any = slice(at[0], at[-1] + 1) if list(at) == list(range(at[0], at[-1] + 1)) else list(at)
        array = array.transpose("time", "lat", "lon").isel(time=where, lat=self.window.rows)
        return np.concatenate([array.isel(lon=c).values.astype("f4") for c in self.window.columns], axis=2)

    def _daily(self, one: DailyMap, day: Sequence[Step], values: np.ndarray, hours: float) -> np.ndarray:
        if not day:
            return np.full(self.window.shape, np.nan, "f4")
        where = f"{day[0].time.astype('M8[D]')}"
        like = one.like or one.name
        if one.steps == "day so far":
            enough = day[-1].hours >= min(self.min_hours, 24)
            out = values[-1] * np.float32(24 / day[-1].hours) if enough else np.full_like(values[-1], np.nan)
        else:
            least = max(int(np.ceil(min(self.min_hours, 24) / hours - 1e-9)), 1)
            out = daily_mean(values, least).astype("f4") * np.float32(24 / hours if one.steps == "sum" else 1)
        if like not in VARIABLES:
            return out
        spec = VARIABLES[like]
        check_bulk(out, like, spec.units, f"the {where}")
        drop_impossible(out, like, where)
        return np.maximum(out, np.float32(spec.low)) if np.isfinite(spec.low) else out


def scale_of(unit: str, one: DailyMap, name: str, path: Path, stated: Mapping[str, str]) -> tuple[float, float]:
    """Factor and offset from the unit of a file, or the one that the user states, to the unit of a variable."""
    unit = unit_of(unit, name, path, stated, known=one.name, example=one.units)
    try:
        return affine(unit, one.units)
    except DataError:
        raise DataError(
            f"In '{path}' '{name}' has the unit '{unit}', expected {one.units}.",
            hint="Convert it, or leave the file out.",
        ) from None


def other_time(path: Path, planned: np.datetime64, time: np.datetime64) -> DataError:
    """The error of a file that is of another time than its name says."""
    return DataError(f"'{path}' should be of {planned.astype('M8[m]')} and says {time.astype('M8[m]')}.",
                     hint="Restore its name, or get it again.")  # fmt: skip


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a library raises at a damaged file into a `DataError` that names it.

    Examples
    --------
    >>> with reading(Path("a.nc")):
    ...     raise OSError("truncated")
    Traceback (most recent call last):
    xsm.errors.DataError: 'a.nc' cannot be read (truncated). Get the file again.
    """
    try:
        yield
    except XsmError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).strip("'\"").split("\n")[0][:200]
        raise DataError(f"'{path}' cannot be read ({reason}).", hint="Get the file again.") from None


def close(parts: Sequence[xr.Dataset]) -> None:
    """Close the parts of a file."""
    for part in parts:
        part.close()


def _places(day: Day) -> dict[int, list[tuple[int, int, int]]]:
    """What a day needs of each part: variable, row among the steps of the day, step in the part."""
    places: dict[int, list[tuple[int, int, int]]] = {}
    for which, steps in enumerate(day):
        for row, step in enumerate(steps):
            for part, at in step.places:
                places.setdefault(part, []).append((which, row, at))
    return places
