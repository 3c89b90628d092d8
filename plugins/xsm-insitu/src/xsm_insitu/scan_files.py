"""Read SCAN's files: JSON of the AWDB service and CSV of the Report Generator.

The formats: docs/design/formats/stations.md, SCAN.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from xsm import DataError
from xsm.plugin_api import tell

from xsm_insitu import series as sensors

DAMAGE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
DEEPEST = -250
"""Inches; negative below ground."""
_TRIPLET = re.compile(r"^(?P<id>\w+):(?P<state>[A-Z]{2}):(?P<network>\w+)$")
_SITE = re.compile(r"^#\s+(?P<network>[A-Z]+) (?P<id>\w+): (?P<name>.+), (?P<state>[A-Z]{2})\s*$")
_COLUMN = re.compile(
    r"(?:\((?P<id>\w+)\) )?Soil (?P<what>Moisture Percent|Temperature Observed) (?P<inches>-?\d+)in "
    r"\((?P<unit>\w+)\)(?: (?P<stat>.+))?$"
)


@dataclass(frozen=True)
class Column:
    """Values of one element at one depth under their local times, as a file has them."""

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


def is_table(path: Path) -> bool:
    """Whether a JSON file is a table of stations rather than values."""
    try:
        with path.open("rb") as file:
            head = file.read(16384)
    except OSError:
        return False
    return b'"stationTriplet"' in head and re.search(rb'"(data|stationElement)"\s*:', head) is None


def read_json(path: Path) -> list[Column]:
    """Read an answer of the AWDB service to ``data``."""
    try:
        answer = json.loads(path.read_bytes())
        return [_column(path, station, part) for station in answer for part in station["data"]]
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    except DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"'{path}' is not an answer of the AWDB service ({type(error).__name__}: {sensors.reason(error)}).",
            hint="Expected JSON: [{stationTriplet, data: [{stationElement, values}]}].",
        ) from None


def _column(path: Path, station: Mapping[str, Any], part: Mapping[str, Any]) -> Column:
    element, values = part["stationElement"], part["values"]
    code, inches = element["elementCode"], element.get("heightDepth")
    if code not in ("SMS", "STO") or not isinstance(inches, int | float):
        raise ValueError(f"element {code} at {inches}, expected SMS or STO at a depth")
    if not DEEPEST <= inches < 0:
        raise ValueError(f"a depth of {inches} inches")
    rows = [v for v in values if v.get("value") is not None]
    if any(isinstance(v["value"], bool) or not isinstance(v["value"], int | float) for v in rows):
        raise ValueError("a value that is not a number")
    unit = element.get("storedUnitCode") or ("pct" if code == "SMS" else "degF")
    return Column(
        triplet=known(station["stationTriplet"]),
        name="",
        element=code,
        inches=float(inches),
        id=str(element.get("ordinal", 1)),
        unit=str(unit),
        daily=element.get("durationName", "HOURLY") == "DAILY",
        time=_stamps([v["date"] for v in rows]),
        value=np.array([v["value"] for v in rows], "f8"),
        flag=np.array([v.get("qcFlag") or "" for v in rows], "U1"),
    )


def read_csv(path: Path) -> list[Column]:
    """Read a CSV of the Report Generator: comments of any number, one header line, rows."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read ({sensors.reason(error)}).") from None
    start = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    sites = {m["id"]: m for m in map(_SITE.match, lines[:start]) if m}
    try:
        if not sites or start == len(lines):
            raise ValueError("no site among the comments, or no table")
        header = next(csv.reader(lines[start : start + 1]))
        columns = {name: m for name in header[1:] if (m := _COLUMN.search(name))}
        if header[0] != "Date" or not any(m["what"] == "Moisture Percent" for m in columns.values()):
            raise ValueError(f"the header starts with '{','.join(header)[:60]}'")
        if any(row and len(row) != len(header) for row in csv.reader(lines[start + 1 :])):
            raise ValueError(f"a row does not have {len(header)} fields")
        types: dict[Any, Any] = {"Date": str} | dict.fromkeys(columns, "f8")
        table = pd.read_csv(io.StringIO("\n".join(lines[start:])), usecols=list(types), dtype=types)
        if table["Date"].isna().any():
            raise ValueError("a row has no date")
        steps = np.diff(_stamps(table["Date"].tolist()))
        if len(steps) and (steps != steps[0]).any():
            tell(f"'{path}' lacks times between its first and its last.")
        return [_csv_column(table, name, m, sites) for name, m in columns.items()]
    except (*DAMAGE, csv.Error) as error:
        raise DataError(
            f"'{path}' is not a CSV of the Report Generator ({sensors.reason(error)}).",
            hint="Expected comments with the sites, then 'Date,Soil Moisture Percent -2in (pct),...'.",
        ) from None


def _csv_column(table: pd.DataFrame, name: str, match: re.Match[str], sites: dict[str, re.Match[str]]) -> Column:
    if match["id"] is None and len(sites) > 1:
        raise ValueError(f"the column '{name}' does not name its site")
    site = sites[match["id"] or next(iter(sites))]
    there = table[name].notna().to_numpy()
    dates = table["Date"].to_numpy()
    return Column(
        triplet=known(f"{site['id']}:{site['state']}:{site['network']}"),
        name=site["name"],
        element="SMS" if match["what"].startswith("Moisture") else "STO",
        inches=float(match["inches"]),
        id=match["stat"] or "1",
        unit=match["unit"],
        daily=len(dates) > 0 and len(dates[0]) == 10,
        time=_stamps(dates[there].tolist()),
        value=table[name].to_numpy()[there],
        flag=np.full(int(there.sum()), "", "U1"),
    )


def known(triplet: str) -> str:
    """Return a station triplet, or refuse anything else."""
    if not _TRIPLET.match(triplet):
        raise ValueError(f"'{triplet}' is not a station triplet")
    return triplet


def _stamps(dates: list[str]) -> np.ndarray:
    """Local times; the service writes a blank or a T between day and hour."""
    if any(re.fullmatch(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?", d) is None for d in dates):
        raise ValueError("a date that does not exist")
    when = np.array([d.replace(" ", "T") for d in dates], "M8[ns]")
    if ((when - when.astype("M8[h]")) != np.timedelta64(0)).any():
        raise ValueError("a time that is not a full hour")
    return when
