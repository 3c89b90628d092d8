"""Lines of ISMN's ``.stm`` files: the header, and the rows below it or with it (CEOP).

Documentation: Formats, Stations, ISMN.
"""

from __future__ import annotations

import datetime
import functools
import io
import logging
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from xsm import DataError
from xsm.plugin_api import tell

from xsm_insitu import series as sensors
from xsm_insitu.rows import EmptyFile, leave_out

DAMAGE = (OSError, EOFError, RuntimeError, LookupError, ValueError, zlib.error, zipfile.BadZipFile)
NAME = re.compile(
    r"_(?P<variable>[a-z]+)_(?P<top>-?\d+\.\d+)_(?P<bottom>-?\d+\.\d+)_(?P<sensor>.+)_(?P<first>\d{8})_(?P<last>\d{8})\.stm$"
)
LOOK = 20
"""Lines of which one must be sound, to know what a file is."""
_LARGEST = 2**28
"""Bytes of a member of an archive; 60 years of minutes are less."""
Item = Path | zipfile.Path
_DATE = re.compile(r"\d{4}[/-]\d\d[/-]\d\d$")
_STAMP = rb"(?P<day>\d{4}[/-]\d\d[/-]\d\d)\s+(?P<hour>[01]\d|2[0-4]):(?P<minute>[0-5]\d)(?::00)?"
_VALUE = rb"\s+(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|nan)\s+(?P<flag>[A-Za-z]\S*)(?:\s+\S+)?"
_ROW = re.compile(_STAMP + _VALUE)
_CEOP_ROW = re.compile(_STAMP + rb"(?P<place>(?:\s+\S+){10})" + _VALUE)
SMALL = 1 << 16
"""Bytes below which looking at each line is faster than a table of pandas."""
log = logging.getLogger("xsm")


@dataclass(frozen=True)
class Rows:
    """Times, values and flags."""

    time: np.ndarray
    value: np.ndarray
    flag: np.ndarray


@dataclass(frozen=True)
class Header:
    """What a file says of its sensor; ``first`` is the column of the value, ``skip`` the header lines."""

    network: str
    station: str
    lat: float
    lon: float
    depth: float
    sensor: str
    variable: str
    first: int
    skip: int


def _bytes(item: Item) -> bytes:
    try:
        if isinstance(item, zipfile.Path) and item.root.getinfo(item.at).file_size > _LARGEST:
            raise DataError(f"'{item}' claims to have more than {_LARGEST} bytes.", hint="Unpack the archive by hand.")
        return item.read_bytes()
    except DAMAGE as error:
        raise DataError(f"'{item}' cannot be read: {sensors.reason(error)}.", hint="Download it again.") from None


def read_header(path: Item) -> tuple[Header, bytes]:
    """Read a file with its line ends made one kind, and the header from its first line and its name.

    Comments before the header are skipped, as are headers and comments further below.
    """
    raw = _bytes(path).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip()
    while raw.startswith(b"#"):
        raw = raw.partition(b"\n")[2].lstrip()
    lines = raw.split(b"\n", LOOK)[:LOOK]
    line = next(filter(_CEOP_ROW.fullmatch, lines), lines[0]).decode("latin-1")
    tokens = line.split()
    ceop = bool(tokens) and _DATE.match(tokens[0]) is not None
    start = 4 if ceop else 0
    try:
        network, station = tokens[start + 1 : start + 3]
        lat, lon, _, top, bottom = (float(t) for t in tokens[start + 3 : start + 8])
    except ValueError:
        raise DataError(
            f"'{path}' starts with '{line[:60]}', expected an ISMN header (network, station, lat, lon, elevation, "
            "depths) or CEOP rows.",
            hint="Download the file again or check that it is an ISMN .stm file.",
        ) from None
    name = NAME.search(path.name)
    sensors.check_place(path, lon, lat)
    if name is not None and not path.name.startswith(f"{tokens[start]}_{network}_"):
        tell(f"'{path}' is of the network '{network}' by its header, not by its name.")
    if name is not None:  # the header rounds the depths
        if max(abs(top - float(name["top"])), abs(bottom - float(name["bottom"]))) > 0.01:
            raise DataError(
                f"'{path}' says {top:g} to {bottom:g} m in its header and other depths in its name.",
                hint="Download the file again.",
            )
        top, bottom = float(name["top"]), float(name["bottom"])
    sensor = (name["sensor"] if name else "") if ceop else " ".join(tokens[8:])
    header = Header(
        network,
        station,
        lat,
        lon,
        depth=round((top + bottom) * 50, 4),
        sensor=sensor,
        variable=name["variable"] if name else "sm",
        first=12 if ceop else 2,
        skip=0 if ceop else 1,
    )
    return header, raw


def read_rows(path: Item, header: Header, raw: bytes) -> tuple[Rows, int]:
    """Rows, and the number of headers; a large file is taken as a whole first, lines are looked at where that fails."""
    body = raw.partition(b"\n")[2] if header.skip else raw
    if not body.strip():
        raise EmptyFile(f"'{path}' has a header and no rows.")
    if len(body) > SMALL:
        try:
            return _frame(path, header, body), 1
        except (ValueError, AttributeError, LookupError, OverflowError, pd.errors.ParserError) as error:
            log.debug("%s: %s", path, error)
    pattern = _ROW if header.skip else _CEOP_ROW
    top = raw.partition(b"\n")[0].split()
    matches, bad, headers, why = [], [], 1, ""
    for number, line in enumerate(body.split(b"\n"), 1 + header.skip):
        line = line.strip(b" \t,;")
        if not line or line[:1] == b"#":
            continue
        match = pattern.fullmatch(line)
        if match is not None and _is_day(match["day"]):
            matches.append(match)
        elif header.skip and line.split() == top:
            headers += 1
        else:
            bad.append(number)
            cut = "an incomplete row, " if len(line.split()) < header.first + 2 else ""
            why = why or f"{cut}line {number} is '{line[:60].decode('latin-1')}'"
    try:
        leave_out(path, bad, len(matches) + len(bad))
    except DataError as error:
        raise DataError(
            f"'{path}' cannot be read as an ISMN file: {why}.", hint=f"{error.message} {error.hint}"
        ) from None
    if not header.skip and len({tuple(m["place"].split()[2:]) for m in matches}) > 1:
        raise _mixed(path)
    stamps = [f"{_plain_day(m['day'])}T00" for m in matches]
    minutes = np.array([int(m["hour"]) * 60 + int(m["minute"]) for m in matches], "m8[m]")
    return Rows(
        np.array(stamps, "M8[ns]") + minutes,
        np.array([float(m["value"]) for m in matches]),
        np.array([m["flag"].decode("latin-1") for m in matches], object),
    ), headers


def _mixed(path: Item) -> DataError:
    return DataError(f"'{path}' has rows of other stations or places.", hint="Keep the rows of one, or download again.")


@functools.lru_cache(maxsize=4096)
def _plain_day(text: bytes) -> str:
    return text.decode().replace("/", "-")


@functools.lru_cache(maxsize=4096)
def _is_day(text: bytes) -> bool:
    try:
        datetime.date(int(text[:4]), int(text[5:7]), int(text[8:]))
    except ValueError:
        return False
    return True


def _frame(path: Item, header: Header, body: bytes) -> Rows:
    value, flag = header.first, header.first + 1
    types: dict[Any, Any] = {0: "category", 1: "category", value: "f8", flag: "category"}
    places = range(4, value) if not header.skip else ()  # CEOP says in each row where it is
    types |= dict.fromkeys(places, "category")
    table = pd.read_csv(
        io.BytesIO(body),
        sep=r"\s+",
        header=None,
        names=range(header.first + 3),
        index_col=False,
        usecols=list(types),
        dtype=types,
        quoting=3,
        encoding="latin-1",
    )
    if not len(table) or table[[0, 1, flag]].isna().to_numpy().any():
        raise ValueError("an incomplete row")
    if any(not re.fullmatch(r"([01]\d|2[0-4]):[0-5]\d", c) for c in table[1].cat.categories):
        raise ValueError("a time that is none")
    days = pd.to_datetime(table[0].cat.categories, format="%Y/%m/%d").to_numpy("M8[ns]")
    clocks = pd.to_timedelta(table[1].cat.categories + ":00").to_numpy("m8[ns]")
    if any(len(table[i].cat.categories) != 1 or table[i].isna().any() for i in places):
        raise ValueError("rows of other places")
    flags = table[flag].cat
    return Rows(
        days[table[0].cat.codes] + clocks[table[1].cat.codes],
        table[value].to_numpy(),
        flags.categories.to_numpy(object)[flags.codes],
    )
