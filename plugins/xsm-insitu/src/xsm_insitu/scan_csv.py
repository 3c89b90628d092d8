"""SCAN's CSV files: reports of the Report Generator, and the older files of one station and year.

Documentation: Formats, Stations, SCAN.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from xsm import DataError
from xsm.plugin_api import read_stamps, tell

from xsm_insitu import series as sensors
from xsm_insitu.rows import EmptyFile, leave_out
from xsm_insitu.scan_files import DAMAGE, Column, known, merged, whole_hours

_SITE = re.compile(r'^"?#\s+(?P<network>[A-Z]+) (?P<id>\w+): (?P<name>.+), (?P<state>[A-Z]{2})[\s,";]*$')
_OLD_SITE = re.compile(r"^(?P<id>\d+)[,;\t](?P<name>.+?)\s*\((?P<network>[A-Z]+)\)\s*[,;\t].*$")
_DEPTH = r"(?P<inches>-\d+(?:\.\d+)?) ?in"
_HEADING = re.compile(
    rf"(?:.+ \((?P<id>\w+)\) )?Soil (?P<what>Moisture Percent|Temperature Observed) {_DEPTH}"
    r"(?: \((?P<unit>[^()]*)\))?(?: (?P<tail>.+))?",
    re.I,
)
_OLD_HEADING = re.compile(
    r"(?P<what>SMS|STO)\.I-(?P<ordinal>\d+):(?P<inches>-\d+(?:\.\d+)?) ?(?:\((?P<unit>[^()]*)\))?(?: ?\([^()]*\))?",
    re.I,
)
_VALUE = re.compile(r"(?:Start|End) of (?:Hour|Day) Values?|Values?", re.I)
_MEAN = re.compile(r"(?:Mean|Average) of Hourly Values?", re.I)
_SOIL = re.compile(r"soil moisture|soil temperature|\bS[MT]\w\.", re.I)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MISSING = ("", "na", "nan", "null", "none", "-")
_OLD_MISSING = -99.0
"""Values at or below are missing."""


@dataclass
class _Part:
    """A header and the rows below it: number of the line, fields."""

    header: list[str]
    rows: list[tuple[int, list[str]]] = field(default_factory=list)


def is_report(head: bytes) -> bool:
    """Whether the first kilobytes are those of a report with soil moisture or of an older file."""
    text = head.decode("utf-8-sig", "replace").lstrip().lstrip('"')
    old = re.search(r"^\"?Site Id\"?[,;\t]\"?Date", text, re.M | re.I) is not None and _SOIL.search(text) is not None
    return (text[:1] == "#" and "soil moisture" in text.lower()) or old


def read_csv(path: Path, others: set[str]) -> list[Column]:
    """Read a report, or several that were put together: comments, header lines, rows.

    Columns of soil that are no values of a sensor (changes, extremes, deviations) are added to ``others``.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read ({sensors.reason(error)}).", hint="Save it as UTF-8.") from None
    try:
        sites, parts = _parts(text.splitlines())
        if not sites or not parts:
            raise ValueError("no site among the comments" if parts else "no header line that starts with 'Date'")
        columns = [c for part in parts for c in _columns(path, part, sites, others)]
        if not any(c.element == "SMS" for c in columns):
            raise ValueError(
                f"the header starts with '{','.join(parts[0].header)[:60]}', without a column of soil moisture values"
            )
        if not any(part.rows for part in parts):
            raise EmptyFile(f"'{path}' has a header and no rows.")
        return merged(columns)
    except (*DAMAGE, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"'{path}' is not a CSV file of the Report Generator ({sensors.reason(error)}).",
            hint="Expected comments with the sites, then 'Date,Soil Moisture Percent -2in (pct),...'.",
        ) from None


def _parts(lines: Sequence[str]) -> tuple[dict[str, re.Match[str]], list[_Part]]:
    """Sites by number, and the tables."""
    sites: dict[str, re.Match[str]] = {}
    parts: list[_Part] = []
    comma = ","
    for number, line in enumerate(lines, 1):
        plain = line.strip().lstrip("\ufeff")
        if not plain.strip(',;\t" '):
            continue
        if plain.lstrip('"').startswith("#"):
            if match := _SITE.match(plain):
                sites[match["id"]] = match
            continue
        if re.match(r'"?(Date|Site Id)"?\s*[,;\t]', plain, re.I):
            comma = max(",;\t", key=plain.count)
            header = [" ".join(h.split()) for h in _fields(line, comma)]
            while header and not header[-1]:
                header.pop()
            parts.append(_Part(header))
        elif old := _OLD_SITE.match(plain):
            sites[old["id"]] = old
        elif parts:
            fields = _fields(line, comma)
            if comma != ",":
                fields = [re.sub(r"^([-+]?\d+),(\d+)$", r"\1.\2", f) for f in fields]
            parts[-1].rows.append((number, fields))
        else:
            raise ValueError(f"line {number} is '{plain[:40]}'")
    return sites, parts


def _fields(line: str, comma: str) -> list[str]:
    return [f.strip() for f in next(csv.reader([line], delimiter=comma))]


def _columns(path: Path, part: _Part, sites: dict[str, re.Match[str]], others: set[str]) -> Iterator[Column]:
    """The sensors of a table; several columns for one sensor stop."""
    header = part.header
    old = header[0].lower() == "site id"
    columns = _sensors(path, header, old, sites, others)
    wide = len(header)
    names = [h.lower() for h in header]
    day, clock = (names.index("date"), names.index("time") if "time" in names else None) if old else (0, None)
    rows = part.rows
    texts = [_date(fields, day, clock) for _, fields in rows]
    stamps = read_stamps(texts, path)
    sound = ~np.isnat(stamps.time) & np.array([len(f) >= wide and not any(f[wide:]) for _, f in rows], bool)
    good = np.flatnonzero(sound)
    if len(set(stamps.clock[good])) > 1 or len(set(stamps.zoned[good])) > 1:
        raise ValueError("some times have a clock or an offset from UTC and others have none")
    daily, utc = bool(len(good)) and not stamps.clock[good].any(), bool(stamps.zoned[good].any())
    sound &= whole_hours(stamps.time)
    values = np.full((len(rows), wide), np.nan)
    for i in np.flatnonzero(sound):
        for place in columns:
            text = rows[i][1][place]
            if _NUMBER.fullmatch(text):
                values[i, place] = float(text)
            elif text.lower() not in _MISSING:
                sound[i] = False
    leave_out(path, [n for (n, _), s in zip(rows, sound, strict=True) if not s], len(rows))
    values[values <= _OLD_MISSING] = np.nan
    steps = np.diff(stamps.time[sound])
    if len(steps) and (steps > steps.min()).any() and steps.min() > np.timedelta64(0):
        tell(f"'{path}' does not contain every time between its first and its last.")
    for place, (site, element, inches, ordinal, unit) in columns.items():
        mine = sound & ~np.isnan(values[:, place])
        if old:
            mine &= [f[0] == site["id"] for _, f in rows]
        state = site.groupdict().get("state") or "-"
        yield Column(
            triplet=known(f"{site['id']}:{state}:{site['network']}"),
            name=" ".join(site["name"].split()),
            element=element,
            inches=inches,
            id=ordinal,
            unit=unit,
            daily=daily,
            time=stamps.time[mine],
            value=values[mine, place],
            flag=np.full(int(mine.sum()), "", "U1"),
            heading=header[place],
            utc=utc,
        )
    if old and (foreign := Counter(f[0] for (_, f), s in zip(rows, sound, strict=True) if s and f[0] not in sites)):
        raise ValueError(f"rows of the site '{next(iter(foreign))}', which no line before the header names")


def _date(fields: Sequence[str], day: int, clock: int | None) -> str:
    date = fields[day] if day < len(fields) else ""
    return f"{date} {fields[clock]}".strip() if clock is not None and clock < len(fields) else date


Sensor = tuple[Any, Literal["SMS", "STO"], float, str, str]


def _sensors(
    path: Path, header: Sequence[str], old: bool, sites: dict[str, re.Match[str]], others: set[str]
) -> dict[int, Sensor]:
    """What each column contains that is one of a sensor: site, element, inches, number, unit."""
    places: dict[tuple[str, str, float, str], int] = {}
    sensors_: dict[int, Sensor] = {}
    means: list[str] = []
    rank = {
        i: 1 if (m := _HEADING.fullmatch(h)) and _MEAN.fullmatch(m["tail"] or "") else 0 for i, h in enumerate(header)
    }
    for place in sorted(range(1, len(header)), key=rank.__getitem__):
        heading = header[place]
        match = (_OLD_HEADING if old else _HEADING).fullmatch(heading)
        tail = "" if match is None or old else match["tail"] or ""
        if match is None or (tail and not _VALUE.fullmatch(tail) and not rank[place]):
            if heading.lower() not in ("date", "time"):
                others.add(heading)
            continue
        site = _site(heading, None if old else match["id"], sites)
        element: Literal["SMS", "STO"] = "SMS" if match["what"].upper() in ("SMS", "MOISTURE PERCENT") else "STO"
        ordinal = match["ordinal"] if old else "1"
        key = (site["id"], element, float(match["inches"]), ordinal)
        if key in places:
            if rank[place] and not rank[places[key]]:
                others.add(heading)
                continue
            raise DataError(
                f"'{path}' has two columns for one sensor: '{header[places[key]]}' and '{heading}'.",
                hint="Delete the one that is not meant.",
            )
        if rank[place]:
            means.append(heading)
        places[key] = place
        sensors_[place] = (site, element, float(match["inches"]), ordinal, match["unit"] or "")
    if means:
        tell(f"'{path}' has means and no values of {len(means)} sensors, such as '{means[0]}': they are read.")
    return sensors_


def _site(heading: str, number: str | None, sites: dict[str, re.Match[str]]) -> re.Match[str]:
    if number is None and len(sites) > 1:
        raise ValueError(f"the column '{heading}' does not say its site")
    if number is not None and number not in sites:
        raise ValueError(f"the column '{heading}' is of the site {number}, which the comments do not name")
    return sites[number or next(iter(sites))]
