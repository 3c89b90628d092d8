"""The times of a table of stations in UTC: days and clocks of two columns, and what the table says of its clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from xsm.data.stamps import Stamps, read_stamps
from xsm.data.time import whole_hours
from xsm.errors import DataError, tell
from xsm.io.table_columns import DATES, MISSING, ZONES, Columns, heading

HOUR = 3600
_UTC = re.compile(r"utc|gmt|z|zulu|(?:coordinated )?universal time|ut|utc time|greenwich mean time", re.I)
_OFFSET = re.compile(
    r"(?P<zone>utc|gmt|z)?\s*(?P<sign>[-+\u2212]?)\s*(?P<hour>\d{1,2}?)(?::?(?P<minute>[0-5]\d)|\.(?P<part>\d+))?"
    r"\s*(?:h|hr|hours?)?",
    re.I,
)
_WITHIN = re.compile(r"(?<![a-z/])(?:utc|gmt)\s*[-+\u2212]\s*\d{1,2}(?::?[0-5]\d)?(?!\d)", re.I)
_FORMAT = re.compile(
    r"(?=.*(?:yy|hh|%[yh]))(?:[ymdhst:/.,_ %-]|am|pm|24)+|iso ?8601|datetime|date|time|timestamp|string|text|ts", re.I
)
"""How a time is written, which says nothing of its zone."""
_REMARK = re.compile(r"\b(local (?:standard |civil )?time|local clock|lst|ldt|daylight saving|summer time)\b", re.I)
_STATED = re.compile(r"#+\s*(?P<name>[\w /-]+?)\s*[:=]\s*(?P<value>.+?)\s*,*")
_WAY_OUT = (
    "Convert them, write their offset behind each (2021-06-01 12:00-06:00), give it in a column utc_offset (-6), "
    "or name the column time_utc if they are UTC."
)


class Times(NamedTuple):
    """Times in UTC (NaT where there is none), the texts they were read from, and what their stamps are (or nothing)."""

    time: np.ndarray
    texts: list[str]
    stamps: str


def read_times(path: object, columns: Columns, rows: Sequence[Sequence[str]], comments: Sequence[str]) -> Times:
    """Read the times of a table.

    A clock of which the table states the offset is converted, by the heading, a row of units, a column of offsets or a
    comment; one that has only a name is refused. Days of a local clock stay days.

    Raises
    ------
    DataError
        For local clocks of an unknown offset and statements that contradict each other.
    """
    texts, at = _texts(columns, rows)
    stamps = read_stamps(["" if t.lower() in MISSING else t for t in texts], path)
    valid = ~np.isnat(stamps.time)
    if 0 < stamps.zoned[valid].sum() < valid.sum():
        tell(f"'{path}' has times with and without an offset from UTC; those without are taken as UTC.")
    plain = valid & ~stamps.zoned
    seconds = np.zeros(len(texts))
    if plain.any():
        seconds = _seconds(path, columns, at, rows, comments, plain)
    daily = not (stamps.clock & ~stamps.ends)[valid].any()
    time = stamps.time - np.where(stamps.ends & daily, np.timedelta64(1, "D"), np.timedelta64(0, "D"))
    local = bool(daily and np.nan_to_num(seconds[plain]).any())
    if local:
        tell(f"'{path}' has days of a local clock; they are taken as they are, for no day of UTC has the same hours.")
        seconds = np.where(np.isnan(seconds), np.nan, 0.0)
    shift = np.where(plain, seconds, 0.0)
    time = time - np.nan_to_num(shift).astype("i8").astype("m8[s]")
    time[np.isnan(shift)] = np.datetime64("NaT")
    ends = stamps.ends.any() and not daily and not _midnights(stamps).any()
    return Times(whole_hours(time), texts, "local day" if local else "end of hour" if ends else "")


def _midnights(stamps: Stamps) -> np.ndarray:
    """Where a stamp is the 00:00 of its own day, with the same offset as those of 24:00."""
    into = (stamps.time - stamps.time.astype("M8[D]")).astype("i8")
    first = into[stamps.ends][0]
    return stamps.clock & ~stamps.ends & ~np.isnat(stamps.time) & (into == first)


def _texts(columns: Columns, rows: Sequence[Sequence[str]]) -> tuple[list[str], list[int]]:
    """Texts of the times, in which a day and a clock of two columns are together, and those columns."""
    at = columns.places["time"]
    texts = [row[at] for row in rows]
    is_date = heading(columns.header[at])[0] in DATES
    partner = next((i for i in (columns.clocks if is_date else columns.dates) if i != at), None)
    if partner is None:
        return texts, [at]
    days, clocks = ([row[i] for row in rows] for i in ((at, partner) if is_date else (partner, at)))
    clocks = _clocks(clocks)
    if not any(re.match(r"\d{1,2}:\d\d", t) for t in clocks) or any(re.search(r"\d:\d\d", d) for d in days):
        return texts, [at]
    return [f"{day} {t}" if t.lower() not in MISSING else "" for day, t in zip(days, clocks, strict=True)], [
        at,
        partner,
    ]


def _clocks(texts: Sequence[str]) -> list[str]:
    """Clocks with a colon: hours (7), hours and minutes (730, 0730), with seconds (073000); others as they are.

    Their middle length decides which, so that one wrong clock does not turn hours into minutes; it stays unreadable.

    Examples
    --------
    >>> _clocks(["0", "30", "1200", "1230"]), _clocks(["0", "23"]), _clocks(["6:30", "NA"])
    (['00:00', '00:30', '12:00', '12:30'], ['00:00', '23:00'], ['6:30', 'NA'])
    """
    plain = [re.sub(r"\.0*$", "", t) for t in texts]
    digits = [t for t in plain if re.fullmatch(r"\d{1,6}", t)]
    if not digits:
        return list(texts)
    middle = np.median([len(t) for t in digits])
    width = 2 if middle <= 2 else 4 if middle <= 4 else 6
    fits = re.compile(rf"\d{{1,{width}}}")
    colons = [":".join(re.findall("..", t.zfill(width))) + ":00" * (width == 2) for t in plain]
    return [
        new if fits.fullmatch(t) else f"{text} h" if t.isdigit() else text
        for new, t, text in zip(colons, plain, texts, strict=True)
    ]


def _seconds(
    path: object, columns: Columns, at: Sequence[int], rows: Sequence[Sequence[str]], comments: Sequence[str],
    plain: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Seconds that the clock of each row is ahead of UTC; NaN where a column of offsets lacks it."""
    stated = [
        (_name(columns, i), offset_of(unit))
        for i in at
        if (unit := columns.stated.get(i)) and not _FORMAT.fullmatch(unit)
    ]
    beside = [*_columns_of_zones(columns, rows), *_comments_of_zones(comments, len(rows))]
    beside = [(name, seconds) for name, seconds in beside if seconds is None or len(seconds)]
    if stated and None not in (offsets := [offset for _, offset in stated]):
        if len(set(offsets)) > 1:
            raise _contradiction(path, f"{stated[0][0]} and {stated[1][0]}")
        out = np.full(len(rows), float(offsets[0] or 0))
        wrong = [name for name, s in beside if s is not None and (_differ(out, s) & plain).any()]
        if offsets[0] and wrong:
            raise _contradiction(path, f"{stated[0][0]} and {wrong[0]}")
        return out
    known = [(name, seconds) for name, seconds in beside if seconds is not None]
    if known:
        name, first = known[0]
        for other, seconds in known[1:]:
            if (_differ(first, seconds) & plain).any():
                raise _contradiction(path, f"{name} and {other}")
            first = np.where(np.isnan(first), seconds, first)
        if np.nan_to_num(first).any():
            tell(f"'{path}' has times of a local clock, which become UTC by {name}.")
        return first
    if stated or beside:
        what = stated[0][0] if stated else beside[0][0]
        raise DataError(f"'{path}' has {what}, expected times in UTC or their offset from it.", hint=_WAY_OUT)
    if remark := next((m[0] for c in comments if (m := _REMARK.search(c)) and "utc" not in c.lower()), ""):
        tell(f"'{path}' says '{remark}' in a comment, and its times are taken as UTC. If they are not: {_WAY_OUT}")
    return np.zeros(len(rows))


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.isfinite(a) & np.isfinite(b) & (a != b)


def _name(columns: Columns, at: int) -> str:
    """How a column states its clock: in its heading, or by the row of units."""
    title, unit = columns.header[at], columns.stated[at]
    return f"the column '{title}'" if heading(title)[1] else f"the unit '{unit}' under '{title}'"


def _columns_of_zones(columns: Columns, rows: Sequence[Sequence[str]]) -> list[tuple[str, np.ndarray | None]]:
    """Columns that state the zone of each row: what they are, and seconds ahead of UTC (None for names of zones)."""
    return [
        (f"the column '{columns.header[at]}'", _known([row[at] for row in rows], columns.stated.get(at, "")))
        for at in columns.zones
    ]


def _comments_of_zones(comments: Sequence[str], count: int) -> list[tuple[str, np.ndarray | None]]:
    matches = [m for c in comments if (m := _STATED.fullmatch(c.strip()))]
    return [
        (f"the comment '{m[0].lstrip('# ')}'", _known([m["value"]] * count, unit))
        for m in matches
        for name, unit in [heading(m["name"])]
        if name in ZONES
    ]


def _known(texts: Sequence[str], unit: str) -> np.ndarray | None:
    """Seconds ahead of UTC by texts: NaN where a text is empty, nothing where all are, None where one is a name."""
    each = {t: np.nan if t.lower() in MISSING else offset_of(t, unit) for t in set(texts)}
    if None in each.values():
        return None
    seconds = np.array([each[t] for t in texts], float)
    return seconds if np.isfinite(seconds).any() else np.empty(0)


def offset_of(text: str, unit: str = "") -> float | None:
    """Seconds that a clock is ahead of UTC, or None where the text does not tell.

    Examples
    --------
    >>> [offset_of(t) for t in ("UTC", "UTC-06:00", "-6", "+5.5", "+0530", "CST (UTC-6)", "CST", "Etc/GMT+6")]
    [0.0, -21600.0, -21600.0, 19800.0, 19800.0, -21600.0, None, None]
    >>> offset_of("-360", "minutes")
    -21600.0
    """
    text = text.strip()
    if _UTC.fullmatch(text):
        return 0.0
    if unit.startswith(("m", "s")) and re.fullmatch(r"[-+]?\d+(\.0*)?", text):
        seconds = float(text) * (60 if unit[0] == "m" else 1)
        return seconds if abs(seconds) <= 14 * HOUR else None
    match = _OFFSET.fullmatch(text) or ((m := _WITHIN.search(text)) and _OFFSET.fullmatch(m[0]))
    if not match or (match["minute"] and (not match["sign"] or not re.search(r"\d\d\d\d|:", match[0]))):
        return None
    hours = int(match["hour"]) + int(match["minute"] or 0) / 60 + float(f"0.{match['part'] or 0}")
    return (-1 if match["sign"] in ("-", "\u2212") else 1) * hours * HOUR if hours <= 14 else None


def _contradiction(path: object, what: str) -> DataError:
    return DataError(f"'{path}' says two things of its clock: {what}.", hint=_WAY_OUT)
