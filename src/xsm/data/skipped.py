"""Files left out because they could not be read (``on_error="skip"``): collected, listed in attributes, counted by day.

A file whose damage shows when it is opened is in the attribute ``skipped``. Reading is lazy, so damage in the middle of
a file shows later: a `SkippedFile` warning names it then, and the writers of files collect these warnings.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.cf import fill_of, with_room
from xsm.errors import LEFT_OUT as PREFIX
from xsm.errors import SkippedFile, hear, listened, merged, tell

LEFT_OUT = "files_left_out"
DATED = re.compile(r"(?<!\d)((?:19|20)\d{2})(-?)([01]\d)\2([0-3]\d)(?:\d{6})?(?!\d)")
"""The date in a file's name, also one with the time of day."""
ITEMS = re.compile(r"\n|; (?=\S*\.\w)")
"""Between items of a text: the end of a line, or a semicolon before a file name; other semicolons are in sentences."""
SHOWN = 10
"""Lines of a long list that are shown."""


@contextmanager
def listen(*, hide: bool = False, thread: bool = False) -> Iterator[Callable[[], dict[str, str]]]:
    """Collect which files the body leaves out; yields a function that returns their warnings, one for each file.

    At the end all warnings are issued again, with ``hide`` only those that are not about files; people get the start of
    a long list. Collected are the warnings of all threads, or of this ``thread`` alone.
    """
    heard: list[Warning] = []
    try:
        with hear(thread=thread) as heard:
            yield lambda: {file: str(warning) for file, warning in _files(heard).items()}
    finally:
        others = merged(w for w in heard if not isinstance(w, SkippedFile))
        lost = [] if hide else list(_files(heard).values())
        for warning in (*(lost if listened() else folded(lost, "the attribute 'skipped'")), *others):
            tell(warning)


def folded(items: Sequence[Any], where: str) -> list[Any]:
    """The first items of a long list, and a line that says where the others are.

    Examples
    --------
    >>> folded(range(12), "the manifest")[9:]
    [9, 'and 2 more; all of them are in the manifest']
    """
    more = len(items) - SHOWN
    return [*items[:SHOWN], *[f"and {more} more; all of them are in {where}"] * (more > 0)]


def _files(heard: list[Warning]) -> dict[str, SkippedFile]:
    """The first warning of each file, in their order."""
    by_file: dict[str, SkippedFile] = {}
    for warning in heard:
        if isinstance(warning, SkippedFile):
            by_file.setdefault(warning.file, warning)
    return by_file


def tell_skipped(ds: xr.Dataset, paths: Sequence[Any]) -> None:
    """Warn of each file in the attribute ``skipped``."""
    for file, item in _by_file(ds, paths):
        tell(SkippedFile(file or item, item))


def settled(ds: xr.Dataset, paths: Sequence[Any], time: slice | None = None) -> xr.Dataset:
    """A dataset of a source, with ``skipped`` as a list and, in daily maps, empty days for files that were left out."""
    if "skipped" not in ds.attrs:
        return ds
    ds = ds.assign_attrs(skipped=listed(ds.attrs))
    lost = [day for day in (day_in(file) for file, _ in _by_file(ds, paths)) if day is not None]
    if not lost or "time" not in ds.dims or "sensor" in ds.dims:
        return ds
    days = ds["time"].values.astype("M8[D]")
    if (days != ds["time"].values).any():
        return ds
    start, stop = (None, None) if time is None else (time.start, time.stop)
    first = min([days[0], *lost]) if start is None else days[0]
    last = max([days[-1], *lost]) if stop is None else days[-1]
    return _with_days(ds, np.arange(first, days[0]), np.arange(days[-1] + 1, last + 1))


def _with_days(ds: xr.Dataset, before: np.ndarray, after: np.ndarray) -> xr.Dataset:
    """Put empty days before and after maps; a lazy one reads nothing and has the chunks of one day."""
    if not len(before) and not len(after):
        return ds
    ds, _ = with_room(ds)
    time = np.concatenate([before.astype("M8[ns]"), ds["time"].values, after.astype("M8[ns]")])

    def empty(variable: xr.Variable, days: int) -> xr.Variable:
        axis, fill = variable.get_axis_num("time"), fill_of(variable.dtype)
        shape = tuple(days if i == axis else n for i, n in enumerate(variable.shape))
        if variable.chunks is None:
            return xr.Variable(variable.dims, np.full(shape, fill, variable.dtype))
        import dask.array as da

        chunks = tuple((1,) * days if i == axis else c for i, c in enumerate(variable.chunks))
        return xr.Variable(variable.dims, da.full(shape, fill, dtype=variable.dtype, chunks=chunks))

    put = {}
    for name, variable in ds.variables.items():
        if "time" in variable.dims and name != "time":
            parts = [[empty(variable, len(days))] if len(days) else [] for days in (before, after)]
            put[name] = xr.Variable.concat([*parts[0], variable, *parts[1]], "time")
            put[name].attrs, put[name].encoding = variable.attrs, variable.encoding
    coords = {n: v for n, v in put.items() if n in ds.coords}
    coords["time"] = xr.Variable("time", time, ds["time"].attrs)
    data = {n: put.get(n, v.variable) for n, v in ds.data_vars.items()}
    return ds.drop_vars([*ds.data_vars, *coords]).assign_coords(coords).assign(data)


def with_skipped(attrs: Mapping[Any, Any], lost: Mapping[str, str]) -> dict[Any, Any]:
    """Attributes with what was left out later added to ``skipped``."""
    if not lost:
        return dict(attrs)
    lines = [*listed(attrs), *(line.removeprefix(PREFIX) for line in lost.values())]
    return {**attrs, "skipped": list(dict.fromkeys(lines))}


def listed(attrs: Mapping[Any, Any]) -> list[str]:
    """The attribute ``skipped`` as a list of lines, in whatever form a source or a file has it."""
    skipped = attrs.get("skipped", [])
    items = ITEMS.split(skipped) if isinstance(skipped, str) else map(str, skipped)
    return [" ".join(item.split()) for item in items if item]


def _by_file(ds: xr.Dataset, paths: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Name of the file (or an empty text) and line of each item of ``skipped``."""
    names = {Path(str(p)).name for p in paths}
    for item in listed(ds.attrs):
        yield next((word for word in re.findall(r"[\w.+-]+", item) if word in names), ""), item


def day_in(name: str) -> np.datetime64 | None:
    """Day in the name of a file, of several the first.

    Examples
    --------
    >>> print(day_in("SMAP_L3_SM_P_E_20210412_R19240_001.h5"), day_in("sandtotal_5_cm_p.tif"))
    2021-04-12 None
    """
    return next(iter(days_in(name)), None)


def days_in(name: str) -> list[np.datetime64]:
    """Days in the name of a file; a date that does not exist is none.

    Examples
    --------
    >>> [str(day) for day in days_in("era5_land_2021-05-01_2021-05-31.zip")]
    ['2021-05-01', '2021-05-31']
    """
    days: list[np.datetime64] = []
    for year, _, month, day in DATED.findall(name):
        with contextlib.suppress(ValueError):
            days.append(np.datetime64(f"{year}-{month}-{day}", "D"))
    return days


def mark(cube: xr.Dataset, lost: Collection[str]) -> xr.Dataset:
    """Add ``files_left_out`` (time): how many files of a day could not be read, by the dates in their names."""
    if not lost:
        return cube
    days = [day_in(name) for name in lost]
    count = [days.count(day) for day in cube["time"].values.astype("M8[D]")]
    about = {"long_name": "Files of the day that could not be read", "units": "1"}
    return cube.assign({LEFT_OUT: ("time", np.array(count, "i4"), about)})
