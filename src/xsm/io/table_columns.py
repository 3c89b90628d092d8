"""Which column of a table of stations is what, and the units that its headings or a row of units state."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from xsm.errors import DataError, tell

COLUMNS = {
    "station": ("station", "station_name", "name", "site", "id"),
    "time": ("time", "datetime", "date_time", "timestamp", "date", "day"),
    "soil_moisture": ("soil_moisture", "sm", "value"),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "longitude", "x"),
    "depth": ("depth",),
    "network": ("network",),
    "unit": ("unit", "units"),
    "variable": ("variable", "variable_name", "parameter", "quantity", "element", "observed_property"),
}
"""Names of the columns, upper or lower case; the first that a table has counts. The last four may be absent.

A unit may follow: ``sm_percent``, ``depth_m``, ``Soil moisture [%]``, ``time_utc``, ``lon (degrees west)``.
"""
OPTIONAL = ("depth", "network", "unit", "variable")
DATES = ("date", "day")
CLOCKS = ("time", "hour", "hr", "hh", "hhmm", "hour_minute", "time_of_day")
"""Names of a column with the hours of a column of dates."""
ZONES = (
    "timezone", "time_zone", "tz", "utc_offset", "utcoffset", "offset_utc", "offset_from_utc", "gmt_offset",
    "tz_offset", "timezone_offset", "time_zone_offset", "time_offset", "time_reference",
)  # fmt: skip
"""Names of a column that says of which zone the times are."""
BESIDE = ("sensor", "soil_temperature", "air_temperature", "precipitation", "wban")
"""Columns that xsm writes beside those it reads."""
MISSING = ("", "na", "n/a", "nan", "nat", "null", "none", "<na>")
"""Words for a missing number or time, upper or lower case; a station may have such a name."""
_FLAG = re.compile(
    r"(?:(?:soil_moisture|sm|value|data|ismn|quality|qc|qa)_)*"
    r"(?:flags?|qc|qf|qa|qaqc|qcflag|qualifiers?|quality|(?:quality|qc)_(?:code|status|level))(?:_(?:sm|soil_moisture))?"
)
_BRACKETS = re.compile(r"(?P<name>[^\[(]+?)\s*[\[(](?P<unit>[^\])]*(?:\([^)]*\))?)[\])]")
_WORLD = (
    "utc|gmt|z|local|local_time|local_standard|lst|ldt|lt|cet|eet|wet|msk|(?:utc|gmt)[+-].+|"
    "(?:[ecmpahnbijk]|ak|ce|ee|we|ac|ae|aw|nz|ms)[sd]t"
)
_DEGREES = "(?:deg|degrees|dd)?_?(?:n|s|e|w|north|south|east|west)?|rad|radians|m|km|ft"
_SUFFIXES = {
    "soil_moisture": "percent|pct|%|m3m3|m3_m3|m3_m-3",
    "depth": "cm|mm|m|in|inches|ft|feet",
    "time": _WORLD,
    "lat": _DEGREES,
    "lon": _DEGREES,
    "zone": "h|hr|hours|min|minutes|s|sec|seconds",
}
"""What may follow a name after an underscore and is its unit."""
_SPELT = {"m3m3": "m3 m-3", "m3_m3": "m3 m-3", "m3_m-3": "m3 m-3"}


@dataclass
class Columns:
    """Where a table has what: positions of columns by name, their units, and those that only some tables have."""

    header: Sequence[str]
    places: dict[str, int] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    dates: list[int] = field(default_factory=list)
    clocks: list[int] = field(default_factory=list)
    zones: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    stated: dict[int, str] = field(default_factory=dict)
    """Units of all columns that have one, by position."""


def is_series(header: Sequence[str]) -> bool:
    """Whether a table has soil moisture in time, but neither a station nor a place or a depth.

    Examples
    --------
    >>> is_series(["Date", "SM [%]"]), is_series(["Date", "SM [%]", "lat"])
    (True, False)
    """
    kinds = {_kind(heading(text)[0]) for text in header}
    return {"time", "soil_moisture"} <= kinds and kinds.isdisjoint(("station", "lat", "lon", "depth"))


def find_columns(path: object, header: Sequence[str]) -> Columns:
    """Find the columns of a table; those that mean nothing here are named in one warning.

    Raises
    ------
    DataError
        For a column that is missing, or there twice.

    Examples
    --------
    >>> columns = find_columns("a.csv", ["Station", "time_utc", "SM [%]", "lat", "lon", "depth (m)"])
    >>> columns.places["soil_moisture"], columns.units["soil_moisture"], columns.units["depth"]
    (2, '%', 'm')
    """
    plain = [heading(h) for h in header]
    names = [name for name, _ in plain]
    out = Columns(header, stated={i: unit for i, (_, unit) in enumerate(plain) if unit})
    for name, alias in COLUMNS.items():
        hits = [i for a in alias for i, p in enumerate(names) if p == a]
        if name == "time" and (in_utc := [i for i in hits if plain[i][1] in ("utc", "gmt", "z")]):
            hits = in_utc
        if name == "soil_moisture":
            same = [i for i in hits if names[i] != "value"]
        else:
            same = [i for i in hits if names[i] == names[hits[0]]]
        if len(same) > 1:
            raise DataError(
                f"'{path}' has two columns for {name}: '{header[same[0]]}' and '{header[same[1]]}'.",
                hint="Delete or rename the one that is not meant.",
            )
        if hits:
            out.places[name], out.units[name] = hits[0], plain[hits[0]][1]
    absent = [n for n in COLUMNS if n not in out.places and n not in OPTIONAL]
    if absent:
        raise DataError(
            f"'{path}' has the columns {', '.join(header)}; {', '.join(absent)} is missing.",
            hint="A CSV of stations needs station, time, soil_moisture (m3 m-3), lat, lon and should have depth (cm); "
            "a single series needs time and soil_moisture.",
        )
    same_clock = sorted(range(len(names)), key=lambda i: plain[i][1] != out.units["time"])
    out.dates = [i for i in same_clock if names[i] in DATES]
    out.clocks = [i for i in same_clock if names[i] in CLOCKS]
    out.zones = [i for i, n in enumerate(names) if n in ZONES]
    out.flags = [i for i, n in enumerate(names) if _FLAG.fullmatch(n)]
    known = {*out.places.values(), *out.dates, *out.clocks, *out.zones, *out.flags}
    if unread := [h for i, h in enumerate(header) if i not in known and names[i] not in {"", *BESIDE}]:
        one = len(unread) == 1
        tell(f"'{path}': the column{'' if one else 's'} {', '.join(unread)} {'is' if one else 'are'} not read.")
    return out


def heading(text: str) -> tuple[str, str]:
    """Name and unit of a heading.

    Examples
    --------
    >>> heading("Soil moisture [%]"), heading("depth_m"), heading("LST_DATE"), heading("sm_5")
    (('soil_moisture', '%'), ('depth', 'm'), ('date', 'lst'), ('sm_5', ''))
    """
    low = " ".join(text.split()).lower()
    if (match := _BRACKETS.fullmatch(low)) and _kind(name := match["name"].strip().replace(" ", "_")):
        return name, _SPELT.get(match["unit"], match["unit"].strip())
    low = low.replace(" ", "_")
    if _kind(low):
        return low, ""
    for at in (i for i, letter in enumerate(low) if letter == "_"):
        name, unit = low[:at], low[at + 1 :]
        if (kind := _kind(name)) and re.fullmatch(_SUFFIXES.get(kind, ""), unit):
            return name, _SPELT.get(unit, unit.replace("_", " "))
        if _kind(unit) == "time" and re.fullmatch(_WORLD, name):
            return unit, name
    return low, ""


def _kind(name: str) -> str:
    """What a name is a column of; empty where it is none."""
    if name in CLOCKS:
        return "time"
    if name in ZONES:
        return "zone"
    return next((kind for kind, alias in COLUMNS.items() if name in alias), "")


def without_units_row(columns: Columns, lines: list[int], rows: list[list[str]]) -> tuple[list[int], list[list[str]]]:
    """The rows without a first one that states units, which the columns take over where their headings state none."""
    if not rows:
        return lines, rows
    words = {
        n: rows[0][at] for n, at in columns.places.items() if n in ("soil_moisture", "lat", "lon", "depth", "time")
    }
    numbers = {n for n, text in words.items() if re.match(r"\d" if n == "time" else r"[-+]?\.?\d", text)}
    if numbers - {"soil_moisture"} or all(t.lower() in MISSING or n in numbers for n, t in words.items()):
        return lines, rows
    for at, text in enumerate(rows[0]):
        unit = " ".join(text.lower().split())
        if unit not in ("", "-") and at not in columns.stated:
            columns.stated[at] = _SPELT.get(unit, unit)
    columns.units = {n: columns.stated.get(at, "") for n, at in columns.places.items()}
    return lines[1:], rows[1:]
