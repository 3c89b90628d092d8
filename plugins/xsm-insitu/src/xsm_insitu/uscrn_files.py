"""Lines of USCRN's files: the layouts of the products, headers, rows and their times.

Documentation: Formats, Stations, USCRN.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from xsm import DataError
from xsm.plugin_api import read_stamps

from xsm_insitu import series as sensors
from xsm_insitu.layout import DEPTHS
from xsm_insitu.rows import EmptyFile, leave_out

LOOK = 20
"""Lines of which one must be sound, to know what a file is."""
LOCAL = (3, 4)
"""Columns of the local standard day and time in files that have both clocks."""
_HEADERS = (b"WBANNO", b"XXXXX", b"1 2 3 4")
"""How the lines of NCEI's headers start: names, units, numbers of the columns."""
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
NAME = re.compile(r"^CRN[HDS]\d{4}(?:-05)?-(?P<year>\d{4})-(?P<state>[A-Z]{2})_(?P<name>.+)\.txt$")


@dataclass(frozen=True)
class Layout:
    """Which columns of a product contain what; the soil columns follow each other, one per depth."""

    name: str
    step: np.timedelta64
    wban: int | str
    day: int | str
    clock: int | None
    lon: int | str
    lat: int | str
    moisture: tuple[int | str, ...]
    temperature: tuple[int | str, ...]


def _columns(first: int, count: int = 5) -> tuple[int, ...]:
    return tuple(range(first, first + count))


LAYOUTS = {
    38: Layout("hourly02", sensors.HOUR, 0, 1, 2, 6, 7, _columns(28), _columns(33)),
    28: Layout("daily01", np.timedelta64(1, "D"), 0, 1, None, 3, 4, _columns(18), _columns(23)),
    23: Layout("subhourly01", np.timedelta64(5, "m"), 0, 1, 2, 6, 7, _columns(17, 1), _columns(18, 1)),
}
CSV = Layout(
    "daily01", np.timedelta64(1, "D"), "wban", "lst_date", None, "longitude", "latitude",
    tuple(f"soil_moisture_{d:.0f}_daily" for d in DEPTHS), tuple(f"soil_temp_{d:.0f}_daily" for d in DEPTHS),
)  # fmt: skip


def layout_of(path: Path) -> Layout:
    """Tell the product by the number of columns."""
    if ".csv" in path.suffixes:
        return CSV
    try:
        with path.open("rb") as file:
            widths = [len(line.split()) for line in itertools.islice(filter(_holds_values, file), LOOK)]
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    count = next((n for n in widths if n in LAYOUTS), widths[0] if widths else 0)
    if not count:
        raise EmptyFile(f"'{path}' contains no rows.")
    if count not in LAYOUTS:
        raise DataError(
            f"'{path}' has {count} columns, expected 38 (hourly02), 28 (daily01) or 23 (subhourly01).",
            hint="Download the file again; a web page may have been saved instead.",
        )
    return LAYOUTS[count]


def _holds_values(line: bytes) -> bool:
    """Whether a line is no header, no comment and not blank."""
    return bool(line.strip()) and not line.lstrip(b"\xef\xbb\xbf \t").startswith((b"#", *_HEADERS))


def read_table(path: Path, layout: Layout, warm: bool) -> tuple[pd.DataFrame, int]:
    """Rows and the number of headers; what is slow is done only where a line is no row."""
    places = (layout.lon, layout.lat, *layout.moisture, *(layout.temperature if warm else ()))
    texts = (layout.wban, layout.day, *(() if layout.clock is None else (layout.clock, *LOCAL)))
    if layout is CSV:
        return _csv(path, texts, places), 1
    raw = path.read_bytes()
    try:
        return _frame(raw, layout, texts, places), 1
    except ValueError as error:
        why = error
    width, good, bad, total, headers = _width(layout), [], [], 0, 0
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"\n").split(b"\n"), 1):
        fields = line.split()
        if not _holds_values(line):
            headers += bool(fields) and fields[0] == _HEADERS[0]
            _check_header(path, layout, fields)
            continue
        total += 1
        if len(fields) == width and all(map(_NUMBER.fullmatch, (fields[c] for c in (*texts, *places, width - 1)))):
            good.append(line)
        else:
            bad.append(number)
    try:
        leave_out(path, bad, total)
    except DataError:
        raise why from None
    return _frame(b"\n".join(good), layout, texts, places), max(headers, 1)


def _width(layout: Layout) -> int:
    return next(n for n, known in LAYOUTS.items() if known is layout)


def _check_header(path: Path, layout: Layout, fields: Sequence[bytes]) -> None:
    """Names and units of a header must be those of the layout, in its order."""
    if not fields or fields[0] not in _HEADERS[:2] or len(fields) != _width(layout):
        return
    for part, columns in (("SOIL_MOISTURE", layout.moisture), ("SOIL_TEMP", layout.temperature)):
        for column, depth in zip(columns, DEPTHS, strict=False):
            name = fields[int(column)].decode("latin-1")
            if fields[0] == _HEADERS[0] and not re.match(rf"{part}_{depth:.0f}(_DAILY)?$", name):
                raise DataError(
                    f"its header has '{name}' as column {int(column) + 1}, expected {part}_{depth:.0f}.",
                    hint="Put the columns into the order of NCEI's readme.",
                )
            if fields[0] == _HEADERS[1] and part == "SOIL_MOISTURE" and re.search("%|percent|pct", name, re.I):
                raise DataError(
                    f"its header has the unit '{name}' for soil moisture, expected m3 m-3.", hint="Divide it by 100."
                )


def _frame(raw: bytes, layout: Layout, texts: Sequence[Any], places: Sequence[Any]) -> pd.DataFrame:
    types: dict[Any, Any] = dict.fromkeys(texts, str) | dict.fromkeys(places, "f8")
    width = _width(layout)
    types[width - 1] = str
    table = pd.read_csv(
        io.BytesIO(raw), sep=r"\s+", header=None, names=range(width), index_col=False, usecols=list(types), dtype=types
    )
    short = table[width - 1].isna().to_numpy()
    if short.any() or len(raw.split()) != width * len(table):
        where = f"row {int(short.argmax()) + 1}" if short.any() else "a row"
        raise ValueError(f"{where} has not {width} columns; the file may be cut or damaged")
    return table.astype({width - 1: "f8"})


def _csv(path: Path, texts: Sequence[Any], places: Sequence[Any]) -> pd.DataFrame:
    """The daily table, by the names of its columns."""
    expected = [*texts, *places]
    table = pd.read_csv(path, dtype=str, header=None, skip_blank_lines=True, comment="#", encoding="utf-8-sig")
    names = [str(n).strip().lower() for n in table.iloc[0]]
    for name in expected:
        if names.count(name) != 1:
            raise ValueError(f"it has {names.count(name)} columns '{name}', expected one")
    table = table.iloc[1:, [names.index(n) for n in expected]].set_axis(expected, axis=1)
    table = table[(table[expected[0]].str.strip().str.lower() != expected[0]).to_numpy()]
    numbers = table[list(places)].apply(pd.to_numeric, errors="coerce")
    wrong = (numbers.isna() & table[list(places)].notna()).any(axis=1) | table[list(texts)].isna().any(axis=1)
    leave_out(path, (table.index[wrong.to_numpy()] + 1).tolist(), len(table))
    table = table.assign(**{n: numbers[n] for n in places})
    return table[~wrong.to_numpy()].reset_index(drop=True)


def read_times(
    path: Path, table: pd.DataFrame, layout: Layout, name: re.Match[str] | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows and their stamps; UTC and local time must keep the distance that most rows have.

    The year must be that of the name.
    """
    when = _clock(table, layout.day, layout.clock, layout)
    wrong = np.isnat(when)
    if layout.clock is not None:
        apart = when - _clock(table, *LOCAL, layout)
        known, count = np.unique(apart[~np.isnat(apart)], return_counts=True)
        if not len(known) or abs(usual := known[count.argmax()]) > np.timedelta64(14, "h"):
            raise ValueError("the UTC and local times of row 1 do not agree; the file may be damaged")
        wrong |= apart != usual
        clock, lon = -usual / np.timedelta64(1, "h"), float(np.nanmedian(table[layout.lon].to_numpy("f8")))
        if abs(lon) <= 360 and sensors.astray(clock, lon):
            raise ValueError(f"its clock is {clock:+g} hours from UTC, and its station lies at {lon:g} degrees east")
    leave_out(path, (np.flatnonzero(wrong) + 1).tolist(), len(table), "row")
    table, when = table[~wrong].reset_index(drop=True), when[~wrong]
    if name is not None and len(when):
        inner = when[:-1] if len(when) > 1 else when - np.timedelta64(1, "m")
        years = np.unique(inner.astype("M8[Y]").astype(int) + 1970)
        if abs(years - int(name["year"])).max() > (layout.clock is not None):
            raise ValueError(f"it contains times of {years.min()} to {years.max()}, its name says {name['year']}")
    return table, when


def _clock(table: pd.DataFrame, day: int | str, clock: int | None, layout: Layout) -> np.ndarray:
    """Stamps; NaT where a day or a time of the day is none."""
    days = table[day].astype("category")
    if layout is CSV:
        first = read_stamps(days.cat.categories.tolist(), f"column {day}").time
    else:
        first = pd.to_datetime(days.cat.categories, format="%Y%m%d", errors="coerce").to_numpy("M8[ns]")
    when = first[days.cat.codes.to_numpy()]
    if clock is None:
        return when
    clocks = table[clock].astype("category")
    minutes = np.array(
        [
            int(c[:2]) * 60 + int(c[2:]) if re.fullmatch(r"([01]\d|2[0-3])[0-5]\d|2400", c) else np.timedelta64("NaT")
            for c in clocks.cat.categories
        ],
        "m8[m]",
    )
    return when + minutes[clocks.cat.codes.to_numpy()]
