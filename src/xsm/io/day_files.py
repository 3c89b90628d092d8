"""Products of one netCDF-4 file a day on latitude and longitude: lazy maps of a window, with every day present.

Files are named by their day and only checked for being HDF5 when they are opened; the headers of some are read. The
grid and the day of each file are compared with that when its values are read.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.source import Request
from xsm.data.first_bytes import WEB_PAGE, kind_of
from xsm.errors import DataError, SkippedFile, tell
from xsm.io.day_fields import DailyField, Stored, text_of
from xsm.io.hdf5 import check_hdf5
from xsm.io.lattice import touching

MAGIC = b"\x89HDF\r\n\x1a\n"
LOOKS = 5
"""Files whose headers are read, the first and the last among them."""
BLOCK_BYTES, BLOCK_DAYS = 2**25, 16
LARGEST = 50_000
"""Cells along an axis that a file may say it has."""
DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""What h5py raises where a file is damaged."""
AGAIN = "Get it again."


@dataclass(frozen=True)
class _Header:
    lat: np.ndarray
    lon: np.ndarray
    maps: frozenset[str]
    synthetic: str

    @property
    def kind(self) -> tuple[Any, ...]:
        return self.lat.tobytes(), self.lon.tobytes()


Day = tuple[np.datetime64, Path | None]


def open_day_files(
    files: Mapping[np.datetime64, Path],
    choose: Callable[[frozenset[str]], Mapping[str, DailyField]],
    request: Request,
) -> xr.Dataset:
    """Open files of a day each as lazy maps ``(time, lat, lon)``.

    Parameters
    ----------
    files : mapping of datetime64[D] to Path
        The file of each day.
    choose : callable
        Gives the fields to open by name, from the names of the maps in the files.
    request : Request
        Its region, read with a margin of 3 cells, its period and ``on_error`` count.

    Returns
    -------
    xarray.Dataset
        Every UTC day of the period is there. Attributes ``skipped`` and ``synthetic`` where there is something to say.

    Raises
    ------
    DataError
        For files that are missing, damaged, on other grids, or do not touch the region, and where no file is of the
        period.

    Examples
    --------
    >>> ds = xr.Dataset({"sm": (("time", "lat", "lon"), np.full((1, 4, 5), 0.2, "f4"))})
    >>> ds = ds.assign_coords(time=[np.datetime64("2021-06-01", "ns")], lat=36 + np.arange(4), lon=np.arange(5) - 98)
    >>> ds.to_netcdf("day.nc")
    >>> day = {np.datetime64("2021-06-01"): Path("day.nc")}
    >>> sm = DailyField(("sm",), lambda stored: stored["sm"].numbers())
    >>> dict(open_day_files(day, lambda names: {"soil_moisture": sm}, Request(())).sizes)
    {'time': 1, 'lat': 4, 'lon': 5}
    """
    period = request.time or slice(None)
    inside = {
        d: p for d, p in sorted(files.items())
        if (period.start is None or d >= period.start) and (period.stop is None or d <= period.stop)
    }  # fmt: skip
    if not inside:
        raise DataError("None of the files is of the period.", hint="Check the period and the paths.")
    header, usable, skipped = _look(inside, skip=request.on_error == "skip")
    if header is None:
        raise DataError(f"None of the {len(inside)} files can be read ({skipped[0]}).", hint="Check the paths.")
    fields = choose(header.maps)
    rows, cols = touching(header.lat, header.lon, request.region, next(iter(usable.values())))
    first, last = min(inside), max(inside)
    first = first if period.start is None else np.datetime64(period.start, "D")
    last = last if period.stop is None else np.datetime64(period.stop, "D")
    days = np.arange(first, last + 1)
    plan: list[Day] = [(day, usable.get(day)) for day in days]
    ds = xr.Dataset(
        {
            name: (("time", "lat", "lon"), _lazy(plan, one, header, (rows, cols), request.on_error), dict(one.attrs))
            for name, one in fields.items()
        },
        coords={
            "time": ("time", days.astype("M8[ns]"), {"standard_name": "time", "long_name": "UTC day", "axis": "T"}),
            "lat": ("lat", header.lat[rows], {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}),
            "lon": ("lon", header.lon[cols], {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}),
        },
    )
    notes = {"synthetic": header.synthetic, "skipped": skipped}
    return ds.assign_attrs({k: v for k, v in notes.items() if v})


def _look(
    files: Mapping[np.datetime64, Path], *, skip: bool
) -> tuple[_Header | None, dict[np.datetime64, Path], list[str]]:
    """The header that most of some files share, the files that can be read, and why others cannot."""
    usable, skipped = dict(files), list[str]()
    headers: dict[np.datetime64, _Header] = {}
    for day, path in files.items():
        try:
            _check_start(path)
        except DataError as error:
            _drop(usable, day, error, skipped, skip)
    while usable and not headers:
        known = list(usable)
        for day in (known[i] for i in np.unique(np.linspace(0, len(known) - 1, LOOKS).astype(int))):
            try:
                headers[day] = _header(usable[day])
            except DataError as error:
                _drop(usable, day, error, skipped, skip)
    if not headers:
        return None, usable, skipped
    common = Counter(h.kind for h in headers.values()).most_common(1)[0][0]
    alike = [h for h in headers.values() if h.kind == common]
    maps = Counter(h.maps for h in alike).most_common(1)[0][0]
    usual = next(h for h in alike if h.maps == maps)
    for day, header in headers.items():
        if header.kind != common:
            why = f"'{files[day]}' is on another grid than other files."
            _drop(usable, day, DataError(why, hint="Give files of one grid."), skipped, skip)
    return usual, usable, skipped


def _drop(
    usable: dict[np.datetime64, Path], day: np.datetime64, error: DataError, skipped: list[str], skip: bool
) -> None:
    if not skip:
        raise error
    skipped.append(str(error))
    usable.pop(day, None)


def _check_start(path: Path) -> None:
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).", hint="Check the path.") from None
    if not head.startswith(MAGIC):
        what = kind_of(head) or ("empty" if not head else "something else")
        hint = "Log in with the provider and get it again." if what == WEB_PAGE else AGAIN
        raise DataError(f"'{path}' is {what}, expected netCDF-4.", hint=hint)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    check_hdf5(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(f"'{path}' cannot be read ({error}).", hint=AGAIN) from error


def _header(path: Path) -> _Header:
    with _opened(path) as file:
        lat, lon = (_axis(file, path, name, limit) for name, limit in (("lat", 90), ("lon", 360)))
        shape = (1, lat.size, lon.size)
        maps = frozenset(n for n, v in file.items() if getattr(v, "shape", None) == shape and v.dtype.kind in "fiu")
        return _Header(lat, lon, maps, text_of(file.attrs.get("synthetic", "")))


def _axis(file: Any, path: Path, name: str, limit: float) -> np.ndarray:
    values = file[name]
    if getattr(values, "ndim", 0) != 1 or not 1 < values.size <= LARGEST or values.dtype.kind not in "fiu":
        raise DataError(f"'{path}' has an axis {name} that is none.", hint=AGAIN)
    values, at, half = values[:].astype("f8"), np.arange(values.size), values.size // 2
    step = np.round(np.median(values[half:] - values[:-half]) / half, 7)  # one wrong value counts little
    even = np.round(np.median(values - step * at), 5) + step * at
    if (
        not np.isfinite(values).all()
        or np.abs(values).max() > limit
        or not np.abs(values - even).max() <= 0.02 * abs(step)
    ):
        raise DataError(f"'{path}' has a {name} axis that is not regular.", hint=AGAIN)
    return even - 360 if name == "lon" and even.min() >= 180 else even


def _lazy(plan: Sequence[Day], one: DailyField, header: _Header, window: tuple[slice, slice], on_error: str) -> Any:
    import dask.array as da

    rows, cols = (s.stop - s.start for s in window)
    size = np.dtype(one.dtype).itemsize * rows * cols
    length = int(np.clip(BLOCK_BYTES // size, 1, BLOCK_DAYS))
    parts = [plan[i : i + length] for i in range(0, len(plan), length)]
    blocks = np.empty(len(parts), object)
    blocks[:] = parts
    read = functools.partial(_read_days, one=one, header=header, window=window, on_error=on_error)
    return da.map_blocks(
        lambda block: read(block[0]),
        da.from_array(blocks, chunks=1, name=False), dtype=one.dtype, meta=np.empty((0, 0, 0), one.dtype),
        new_axis=[1, 2], chunks=(tuple(map(len, parts)), (rows,), (cols,)),
    )  # fmt: skip


def _read_days(
    days: Sequence[Day], *, one: DailyField, header: _Header, window: tuple[slice, slice], on_error: str
) -> np.ndarray:
    out = np.full((len(days), *(s.stop - s.start for s in window)), one.empty, one.dtype)
    for i, (day, path) in enumerate(days):
        if path is None:
            continue
        try:
            with _opened(path) as file:
                _check_agrees(file, path, day, header)
                out[i] = one.make({name: _stored(file, path, name, header, window) for name in one.needs})
        except DataError as error:
            if on_error == "raise":
                raise
            tell(SkippedFile(path, error))
    return out


def _check_agrees(file: Any, path: Path, day: np.datetime64, header: _Header) -> None:
    for name, limit, expected in (("lat", 90, header.lat), ("lon", 360, header.lon)):
        if not np.array_equal(_axis(file, path, name, limit), expected):
            raise DataError(f"'{path}' has another {name} axis than other files.", hint="Give files of one grid.")
    attrs = {k: text_of(v) for k, v in file["time"].attrs.items() if k in ("units", "calendar")}
    time = xr.decode_cf(xr.Dataset({"time": ("time", np.ravel(file["time"][...]), attrs)}))["time"].values
    if time.shape != (1,) or time.dtype.kind != "M" or time.astype("M8[D]")[0] != day:
        raise DataError(f"'{path}' contains another day than its name says, {day}.", hint="Keep the product's names.")


def _stored(file: Any, path: Path, name: str, header: _Header, window: tuple[slice, slice]) -> Stored:
    data = file[name]
    if getattr(data, "shape", None) != (1, header.lat.size, header.lon.size) or data.dtype.kind not in "fiu":
        raise DataError(f"'{path}' has no map '{name}' of {header.lat.size} x {header.lon.size} numbers.", hint=AGAIN)
    return Stored(data[0, window[0], window[1]], dict(data.attrs), path)
