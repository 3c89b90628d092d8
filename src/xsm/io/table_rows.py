"""The rows of a CSV of stations, and which of them are measurements of soil moisture of good quality."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xsm.errors import DataError, tell
from xsm.io.table_columns import MISSING, Columns

SHARE = 0.1
"""Share of rows that may contain something other than a number or time; a table with more is refused."""
SHOWN = 5
GOOD = (
    "g", "u", "v", "a", "p", "good", "ok", "okay", "pass", "passed", "valid", "accepted", "approved", "provisional",
    "unknown", "unflagged", "not flagged", "unchecked", "no flag", "-",
)  # fmt: skip
"""Flags of values that are kept: good and unknown as in ISMN, valid in AWDB, approved and provisional in USGS."""
_ISMN_GOOD = re.compile(r"[gu]\d*")
MOISTURE = re.compile(
    r"sm|swc|vwc|theta|(?:surface_)?soil_moisture|soil_(?:moisture|water)(?:_content)?|"
    r"volumetric_(?:soil_)?(?:water|moisture)(?:_content)?|volume_fraction_of_condensed_water_in_soil"
)
"""Names of soil moisture in a column ``variable``, in lower case."""


class Rows(NamedTuple):
    """Fields of the header and of the rows, with the rows' numbers in the file, and comments before or among them."""

    header: list[str]
    lines: list[int]
    rows: list[list[str]]
    comments: list[str]


def read_rows(path: Path) -> Rows:
    """The rows of a CSV without comments, blank ones and repeated headers.

    Rows with more or fewer fields than the header are left out with a warning.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        all_lines = text.splitlines(keepends=True)
        comments = [line.strip() for line in all_lines if line.lstrip()[:1] == "#"]
        content = [line for line in all_lines if line.strip() and line.lstrip()[0] != "#"]
        if not content:
            raise ValueError("it is empty")
        comma = max(",;\t|", key=content[0].count)
        reader = csv.reader(all_lines, delimiter=comma, skipinitialspace=True)
        header: list[str] = []
        lines, rows, bad = [], [], []
        for row in reader:
            if not any(f.strip() for f in row) or row[0].lstrip().startswith("#"):
                continue
            fields = [f.strip() for f in row]
            if not header:
                header = [f.lstrip("\ufeff") for f in fields]
                while not header[-1]:
                    header.pop()
            elif fields[: len(header)] != header:
                if len(fields) < len(header) or any(fields[len(header) :]):
                    bad.append(reader.line_num)
                    continue
                if comma != ",":
                    fields = [re.sub(r"^([-+]?\d+),(\d+)$", r"\1.\2", f) for f in fields]
                lines.append(reader.line_num)
                rows.append(fields)
    except (ValueError, OSError, csv.Error) as error:  # ValueError: also wrong text encodings
        raise DataError(f"'{path}' cannot be read as CSV ({error}).", hint="Save it as CSV, UTF-8.") from None
    if bad:
        message = f"Row {bad[0]} of '{path}' has other than {len(header)} fields"
        if len(bad) > SHARE * (len(rows) + len(bad)):
            raise DataError(f"{message}.", hint="Correct the table; texts with commas need quotes.")
        tell(f"{message}; {len(bad)} of {len(rows) + len(bad)} rows cannot be read and are left out.")
    return Rows(header, lines, rows, comments)


def of_moisture(path: object, columns: Columns, table: Rows) -> Rows:
    """The rows of soil moisture, in a table with a column that names the variable of each row.

    Raises
    ------
    DataError
        Where no row is of soil moisture.
    """
    at = columns.places.get("variable")
    if at is None:
        return table
    names = [row[at] for row in table.rows]
    moist = [bool(MOISTURE.fullmatch("_".join(n.lower().split()))) for n in names]
    others = Counter(n for n, m in zip(names, moist, strict=True) if not m)
    if names and not any(moist):
        raise DataError(
            f"'{path}' has no soil moisture in the column '{columns.header[at]}' ({_listed(others)}).",
            hint="Write soil_moisture there in the rows that are soil moisture.",
        )
    if others:
        tell(f"'{path}' has rows of other variables, which are left out: {_listed(others)}.")
    return table._replace(
        lines=[n for n, m in zip(table.lines, moist, strict=True) if m],
        rows=[row for row, m in zip(table.rows, moist, strict=True) if m],
    )


def flagged(path: object, columns: Columns, table: Rows) -> np.ndarray:
    """Which rows a column of quality flags does not call good or of unknown quality; others are told and left out.

    Raises
    ------
    DataError
        For numbers, whose meaning a table does not state, other than zeros alone.
    """
    out = np.zeros(len(table.rows), bool)
    at_value = columns.places["soil_moisture"]
    for at in columns.flags:
        texts = [" ".join(row[at].lower().split()) for row in table.rows]
        there = [row[at_value].lower() not in MISSING for row in table.rows]
        words = {t for t, value in zip(texts, there, strict=True) if value and t not in MISSING}
        numbers = sorted(t for t in words if re.fullmatch(r"[-+]?\d*\.?\d+|true|false", t))
        if numbers and any(n not in ("0", "0.0") for n in numbers):
            raise DataError(
                f"'{path}' has {', '.join(numbers[:SHOWN])} in the column '{columns.header[at]}', expected quality "
                "flags in words, for a number may call a value good or bad.",
                hint="Write G for good and D for dubious values, or rename the column if it is no flag of the values.",
            )
        bad = {t for t in words if not _good(t)} - set(numbers)
        wrong = np.array([value and t in bad for t, value in zip(texts, there, strict=True)], bool)
        if wrong.any():
            count = Counter(table.rows[i][at] for i in np.flatnonzero(wrong))
            tell(f"'{path}': {int(wrong.sum())} of {sum(there)} values are not good by the column "
                 f"'{columns.header[at]}' and are left out: {_listed(count)}.")  # fmt: skip
        out |= wrong
    return out


def _good(text: str) -> bool:
    """Whether a flag, or each of a list such as ``G,U``, is good or unknown."""
    return text in GOOD or all(t in GOOD or _ISMN_GOOD.fullmatch(t) for t in re.split(r"[,;/| ]+", text) if t)


def _listed(count: Counter[str]) -> str:
    """Words with their numbers, the commonest first."""
    more = ", ..." if len(count) > SHOWN else ""
    return ", ".join(f"{word or 'nothing'} {number}" for word, number in count.most_common(SHOWN)) + more
