"""What was left out because it could not be read (``on_error="skip"``): heard, told in attributes, marked by day.

A file whose damage shows when it is opened is in the attribute ``skipped``. Reading is lazy, so that damage in the
middle of a file shows later: then a `SkippedFile` is told, and who writes files listens to those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.errors import LEFT_OUT as PREFIX
from xsm.errors import SkippedFile, hear, tell

LEFT_OUT = "files_left_out"
DATED = re.compile(r"(?<!\d)(?:19|20)\d{2}[01]\d[0-3]\d(?!\d)")
"""The date in a file's name."""
ITEMS = re.compile(r"\n|; (?=\S*\.\w)")
"""Between items of a text: a line's end, or a semicolon before a file's name; other semicolons are in sentences."""


@contextmanager
def listen(*, hide: bool = False) -> Iterator[Callable[[], dict[str, str]]]:
    """Hear which files the body leaves out; gives a function that lists them with what was told, each once.

    What was told is told again at the end, with ``hide`` except of files.
    """
    heard: list[Warning] = []
    try:
        with hear() as heard:
            yield lambda: {file: str(warning) for file, warning in _files(heard).items()}
    finally:
        others = {str(w): w for w in heard if not isinstance(w, SkippedFile)}
        for warning in (*(() if hide else _files(heard).values()), *others.values()):
            tell(warning, stacklevel=4)


def _files(heard: list[Warning]) -> dict[str, SkippedFile]:
    return {w.file: w for w in reversed(heard) if isinstance(w, SkippedFile)}


def tell_skipped(ds: xr.Dataset, paths: Sequence[Any]) -> None:
    """Tell of each file in the attribute ``skipped``, which is a list or a text of items."""
    names = {Path(str(p)).name for p in paths}
    for item in _listed(ds.attrs):
        file = next((word for word in re.findall(r"[\w.+-]+", item) if word in names), item)
        tell(SkippedFile(file, item), stacklevel=3)


def with_skipped(attrs: Mapping[Any, Any], lost: Mapping[str, str]) -> dict[Any, Any]:
    """Attributes whose ``skipped`` lists also what was left out later, one line each."""
    if not lost:
        return dict(attrs)
    told = [*_listed(attrs), *(line.removeprefix(PREFIX) for line in lost.values())]
    return {**attrs, "skipped": "\n".join(dict.fromkeys(told))}


def _listed(attrs: Mapping[Any, Any]) -> list[str]:
    skipped = attrs.get("skipped", [])
    return [s for s in ITEMS.split(skipped) if s] if isinstance(skipped, str) else list(skipped)


def mark(cube: xr.Dataset, lost: Collection[str]) -> xr.Dataset:
    """Add ``files_left_out`` (time): how many files of a day could not be read, by the dates in their names."""
    if not lost:
        return cube
    dates = [found.group() for found in map(DATED.search, lost) if found]
    days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in dates]
    count = [days.count(day) for day in cube["time"].values.astype("M8[D]")]
    about = {"long_name": "Files of the day that could not be read", "units": "1"}
    return cube.assign({LEFT_OUT: ("time", np.array(count, "i4"), about)})
