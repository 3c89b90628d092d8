"""What SCAN's files hold: JSON of the AWDB service; the CSV files are read in `xsm_insitu.scan_csv`.

Documentation: Formats, Stations, SCAN.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from xsm import DataError
from xsm.plugin_api import read_stamps

from xsm_insitu import series as sensors
from xsm_insitu.rows import leave_out

DAMAGE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
DEEPEST = -250
"""Inches; negative below ground."""
DURATIONS = {"HOURLY": False, "DAILY": True}
_TRIPLET = re.compile(r"^(?P<id>\w+):(?P<state>[A-Z]{2}|-):(?P<network>\w+)$")


@dataclass(frozen=True)
class Column:
    """Values of one element at one depth under their local times (UTC where ``utc``), as a file has them.

    ``heading`` is what the file calls it, ``headers`` how many parts the file was put together from.
    """

    triplet: str
    name: str
    element: Literal["SMS", "STO"]
    inches: float
    id: str
    unit: str
    daily: bool
    time: np.ndarray
    value: np.ndarray
    flag: np.ndarray
    heading: str = ""
    utc: bool = False
    headers: int = 1

    @property
    def key(self) -> tuple[str, str, float, str]:
        """Station, element, depth and number of the sensor."""
        return self.triplet, self.element, self.inches, self.id


def is_table(path: Path) -> bool:
    """Whether a JSON file is a table of stations rather than values."""
    try:
        with path.open("rb") as file:
            head = file.read(16384)
    except OSError:
        return False
    return b'"stationTriplet"' in head and re.search(rb'"(data|stationElement)"\s*:', head) is None


def read_json(path: Path, others: set[str]) -> list[Column]:
    """Read an answer of the AWDB service to ``data``, or several that follow each other.

    Elements that are neither soil moisture nor soil temperature are added to ``others``.
    """
    try:
        columns = []
        for answer in _answers(path.read_bytes().decode("utf-8-sig")):
            if isinstance(answer, dict) and "stationTriplet" not in answer:
                message = next((str(answer[n]) for n in ("message", "error") if n in answer), "")
                raise ValueError(
                    f"it contains {message!r} instead of stations" if message else "it contains no stations"
                )
            for station in [answer] if isinstance(answer, dict) else answer:
                triplet = known(station["stationTriplet"])
                for part in station.get("data") or ():
                    if (column := _column(path, triplet, part, others)) is not None:
                        columns.append(column)
        return merged(columns)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.", hint="Check its permissions.") from None
    except DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"'{path}' is not an answer of the AWDB service ({type(error).__name__}: {sensors.reason(error)}).",
            hint="Expected JSON: [{stationTriplet, data: [{stationElement, values}]}].",
        ) from None


def _answers(text: str) -> Iterable[Any]:
    decoder, at = json.JSONDecoder(), 0
    text = text.strip()
    while at < len(text) or not at:
        answer, end = decoder.raw_decode(text, at)
        yield answer
        at = end + len(text[end:]) - len(text[end:].lstrip())


def _column(path: Path, triplet: str, part: Mapping[str, Any], others: set[str]) -> Column | None:
    element, values = part["stationElement"], part["values"]
    code, inches = element["elementCode"], element.get("heightDepth")
    if code not in ("SMS", "STO"):
        others.add(str(code))
        return None
    if not isinstance(inches, int | float):
        others.add(f"{code} without depth")
        return None
    if not DEEPEST <= inches < 0:
        raise ValueError(f"a depth of {inches} inches")
    rows = [v for v in values if v.get("value") is not None]
    if rows and not any("date" in v for v in rows):
        raise ValueError("values without 'date', perhaps of months")
    stamps = read_stamps([str(v.get("date")) for v in rows], path)
    numbers = [v["value"] for v in rows]
    good = ~np.isnat(stamps.time) & np.array(
        [isinstance(n, int | float) and not isinstance(n, bool) for n in numbers], bool
    )
    daily = _daily(path, element.get("durationName"), stamps.time)
    good &= whole_hours(stamps.time)
    leave_out(path, (np.flatnonzero(~good) + 1).tolist(), len(rows), f"{code} value")
    there = np.flatnonzero(good)
    if len(set(stamps.zoned[there])) > 1:
        raise ValueError("times with and without an offset from UTC")
    value = np.array([numbers[i] for i in there], "f8")
    return Column(
        triplet=triplet,
        name="",
        element=code,
        inches=float(inches),
        id=str(element.get("ordinal", 1)),
        unit=str(element.get("storedUnitCode") or ""),
        daily=daily,
        time=stamps.time[there],
        value=value,
        flag=np.array([rows[i].get("qcFlag") or "" for i in there], "U1"),
        heading=f"{code} at {inches} in, ordinal {element.get('ordinal', 1)}",
        utc=bool(stamps.zoned[there].any()),
    )


def _daily(path: Path, duration: str | None, when: np.ndarray) -> bool:
    """Whether values are daily; without a name of the duration, by their times."""
    if duration is None:
        return len(when) > 1 and bool((when == when.astype("M8[D]")).all())
    if duration not in DURATIONS:
        raise DataError(
            f"'{path}' has values of the duration {duration}, expected HOURLY or DAILY.",
            hint="Request hourly values.",
        )
    return DURATIONS[duration]


def merged(columns: Sequence[Column]) -> list[Column]:
    """Join the parts of each sensor; two headings of one part for one sensor stop."""
    parts: dict[tuple[str, str, float, str], list[Column]] = {}
    for column in columns:
        parts.setdefault(column.key, []).append(column)
    joined = []
    for same in parts.values():
        if len({(c.unit.lower(), c.daily, c.utc) for c in same}) > 1:
            raise ValueError(f"{same[0].triplet} has '{same[0].heading}' in several units, durations or clocks")
        fields: dict[str, Any] = {n: np.concatenate([getattr(c, n) for c in same]) for n in ("time", "value", "flag")}
        joined.append(replace(same[0], headers=max(len(same), same[0].headers), **fields))
    return joined


def whole_hours(when: np.ndarray) -> np.ndarray:
    """Which times have the minutes that most have; hours that all end at a half are as good as whole ones."""
    minutes = when - when.astype("M8[h]")
    there = minutes[~np.isnat(when)]
    if not len(there):
        return np.zeros(len(when), bool)
    known, count = np.unique(there, return_counts=True)
    usual = known[count.argmax()] if count.max() > 1 or len(there) == 1 else np.timedelta64(0)
    return minutes == usual


def known(triplet: str) -> str:
    """Return a station triplet, or refuse what is none."""
    if not _TRIPLET.match(triplet):
        raise ValueError(f"'{triplet}' is no station triplet")
    return triplet
