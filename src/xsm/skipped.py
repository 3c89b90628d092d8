"""What was left out because it could not be read (``on_error="skip"``): heard, told in attributes, marked by day.

A file whose damage shows when it is opened is in the attribute ``skipped``. Reading is lazy, so that damage in the
middle of a file shows later: then a warning that starts with `SKIPPED` names it, and who writes files listens to those.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr

LEFT_OUT = "files_left_out"
SKIPPED = "left out: "
DATED = re.compile(r"[\w.-]*?(?<!\d)((?:19|20)\d{2}[01]\d[0-3]\d)(?!\d)[\w.-]*")
"""A file's name with its date."""


@contextmanager
def listen(*, hide: bool = False) -> Iterator[Callable[[], list[str]]]:
    """Hear what the body says it leaves out; gives a function that lists it, each file once.

    All warnings are given again at the end, with ``hide`` except those of files that are left out.
    """
    heard: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", UserWarning)
            yield lambda: _once([t for t in map(_text, heard) if _is_skipped(t)])
    finally:
        for warning in heard:
            if not (hide and _is_skipped(_text(warning))):
                warnings.warn(_text(warning), warning.category, stacklevel=4)


def _once(texts: list[str]) -> list[str]:
    texts = list(dict.fromkeys(texts))
    return [t for t in texts if not any(t[len(SKIPPED) :] in other for other in texts if other != t)]


def _is_skipped(text: str) -> bool:
    return text.lower().startswith(SKIPPED)


def _text(warning: warnings.WarningMessage) -> str:
    return str(warning.message)


def tell_skipped(ds: xr.Dataset) -> None:
    """Warn of each file in the attribute ``skipped``."""
    for item in _listed(ds.attrs):
        warnings.warn(f"{SKIPPED}{item}", stacklevel=3)


def with_skipped(attrs: Mapping[Any, Any], lost: list[str]) -> dict[Any, Any]:
    """Attributes whose ``skipped`` lists also what was left out later, one line each."""
    told = [*_listed(attrs), *(line[len(SKIPPED) :] for line in lost)]
    return {**attrs, **({"skipped": "\n".join(dict.fromkeys(told))} if lost else {})}


def _listed(attrs: Mapping[Any, Any]) -> list[str]:
    skipped = attrs.get("skipped", [])
    return [s for s in re.split(r"\n|; ", skipped) if s] if isinstance(skipped, str) else list(skipped)


def mark(cube: xr.Dataset, lost: list[str]) -> xr.Dataset:
    """Add ``files_left_out`` (time): how many files of a day could not be read, by the dates in their names."""
    if not lost:
        return cube
    named = {found.group(): found[1] for line in lost for found in DATED.finditer(line)}
    days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in named.values()]
    count = [days.count(day) for day in cube["time"].values.astype("M8[D]")]
    about = {"long_name": "Files of the day that could not be read", "units": "1"}
    return cube.assign({LEFT_OUT: ("time", np.array(count, "i4"), about)})
