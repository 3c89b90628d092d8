"""Times as people and agencies write them in tables of stations."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from xsm.errors import DataError

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_WORD = r"[A-Za-z]{3,9}\.?"
_STAMP = re.compile(
    r"(?P<date>\d{8}|\d{4}(?P<sep>[-/.])\d{1,2}(?P=sep)\d{1,2}|\d{1,2}(?P<mark>[-/.])\d{1,2}(?P=mark)\d{4}"
    rf"|\d{{1,2}}[- ]{_WORD}[- ,]\s?\d{{4}}|{_WORD} \d{{1,2}},? \d{{4}}|\d{{4}}[- ]{_WORD}[- ]\d{{1,2}})"
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2})(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?|[A-Z]{2,4}T)?)?"
)
_MONTH = re.compile(rf"\d{{4}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{4}}|\d{{4}}|{_WORD}[- ]\d{{4}}|\d{{4}}[- ]{_WORD}")
_HOUR = 3600
_DAY = 86400


class Stamps(NamedTuple):
    """Times in the order of their texts: NaT where a text is none; those with a zone are UTC; 24:00 ends its day."""

    time: np.ndarray
    clock: np.ndarray
    zoned: np.ndarray
    ends: np.ndarray


def read_stamps(texts: Sequence[str], where: object) -> Stamps:
    """Read times that are written in any unambiguous way.

    Parameters
    ----------
    texts : sequence of str
        ISO 8601 with ``-``, ``/``, ``.`` or nothing between the numbers, days or months first where the texts
        themselves tell which, names of months, clocks of 12 or 24 hours (24:00 ends a day), offsets from UTC.
    where : object
        File, for errors.

    Returns
    -------
    Stamps

    Raises
    ------
    DataError
        For days that could be months, for months, and for time zones that have only a name.

    Examples
    --------
    >>> read_stamps(["2021-06-01T12:00-06:00", "13/06/2021 1:30 PM", "yesterday"], "a.csv").time.astype("M8[m]")
    array(['2021-06-01T18:00', '2021-06-13T13:30',              'NaT'],
          dtype='datetime64[m]')
    """
    matches = [_STAMP.fullmatch(text.strip()) for text in texts]
    for text, match in zip(texts, matches, strict=True):
        if match is None and _MONTH.fullmatch(text.strip()):
            if re.fullmatch("0[0-9]{3}", text.strip()):
                raise DataError(
                    f"'{where}' has the time '{text}', a clock without a day; expected days or hours.",
                    hint="Give the days in a column date beside it.",
                )
            raise DataError(
                f"'{where}' has the time '{text}', a month or a year; expected days or hours.",
                hint="Request hourly or daily values.",
            )
    day_first = _day_first({m["date"] for m in matches if m and m["mark"]}, where)
    known: dict[str, int | None] = {}
    seconds = np.full(len(texts), np.iinfo("i8").min, "i8")
    part = np.zeros(len(texts), "i8")
    clock, zoned, ends = np.zeros((3, len(texts)), bool)
    for i, match in enumerate(matches):
        if match is None:
            continue
        date, zone = match["date"], match["zone"]
        if date not in known:
            known[date] = _day(date, day_first)
        day, moment = known[date], _moment(match)
        if day is None or moment is None:
            continue
        seconds[i] = day * _DAY + moment - _offset(zone, where)
        part[i] = int((match["part"] or "0").ljust(9, "0"))
        clock[i], zoned[i], ends[i] = match["hour"] is not None, zone is not None, moment == _DAY
    lost = seconds == np.iinfo("i8").min
    time = np.where(lost, 0, seconds).astype("M8[s]").astype("M8[ns]") + part.astype("m8[ns]")
    time[lost] = np.datetime64("NaT")
    return Stamps(time, clock, zoned, ends)


def _day_first(dates: Iterable[str], where: object) -> bool:
    """Whether the day stands before the month, in dates that both precede the year."""
    pairs = [tuple(map(int, re.split("[-/.]", d)[:2])) for d in dates]
    first, second = any(12 < a <= 31 for a, _ in pairs), any(12 < b <= 31 for _, b in pairs)
    if first == second and any(a != b for a, b in pairs):
        why = "some have the day first, some the month" if first else "nothing tells whether the day or month is first"
        raise DataError(
            f"'{where}' has dates such as '{min(dates)}', of which {why}; expected the order year, month, day.",
            hint="Write dates as 2021-06-01.",
        )
    return first


def _day(date: str, day_first: bool) -> int | None:
    """Days since 1970, or None for an impossible date."""
    if date.isdigit():
        numbers = [int(date[:4]), int(date[4:6]), int(date[6:])]
    else:
        words = [w for w in re.split(r"[-/., ]+", date) if w]
        plain = [_MONTHS.get(w[:3].lower(), 0) if w[0].isalpha() else int(w) for w in words]
        if any(w[0].isalpha() for w in words):
            month = next(n for n, w in zip(plain, words, strict=True) if w[0].isalpha())
            year = next(n for n, w in zip(plain, words, strict=True) if len(w) == 4 and w.isdigit())
            rest = [n for n, w in zip(plain, words, strict=True) if w.isdigit() and len(w) < 4]
            numbers = [year, month, rest[0] if rest else 0]
        elif len(words[0]) == 4:
            numbers = plain
        elif day_first:
            numbers = plain[::-1]
        else:
            numbers = [plain[2], plain[0], plain[1]]
    try:
        day = datetime.date(*numbers)
    except ValueError:
        return None
    return (day - datetime.date(1970, 1, 1)).days if 1800 <= day.year <= 2200 else None


def _moment(match: re.Match[str]) -> int | None:
    """Seconds of the day, or None for an impossible time."""
    hour, minute, second = (int(match[n] or 0) for n in ("hour", "minute", "second"))
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"][0] in "pP" else 0)
    moment = hour * _HOUR + minute * 60 + second
    return moment if minute < 60 and second < 60 and moment <= _DAY else None


def _offset(zone: str | None, where: object) -> int:
    if zone is None or zone in ("Z", "UTC", "GMT"):
        return 0
    if zone[0] not in "+-":
        raise DataError(
            f"'{where}' has the time zone '{zone}', expected an offset from UTC such as -06:00.",
            hint="Write the offset, or UTC times.",
        )
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (int(digits[:2]) * _HOUR + int(digits[2:]) * 60) * (-1 if zone[0] == "-" else 1)
