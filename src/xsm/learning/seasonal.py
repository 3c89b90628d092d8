"""Series that are fixed maps or fixed seasonal cycles: detected, then copied or looked up instead of learnt."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

TINY = 1e-4
CYCLE = 5e-3
SHARE = 0.98
MIN_PAIRS = 3
MIN_OBSERVATIONS = 3


class Pattern(StrEnum):
    """How a variable varies in time."""

    NONE = "none"
    COMPLETE = "complete"
    STATIC = "static"
    PERIODIC = "periodic"


def find_pattern(values: np.ndarray, time: np.ndarray) -> Pattern:
    """Find out whether series ``(time, cell)`` with gaps are constant, repeat every year, or neither.

    A variable is static where at least 98 % of the cells vary by less than 1e-4 of its spread over all cells and days,
    and periodic where they repeat on the same calendar day of other years to 0.5 % of it. Only cells with at least 3
    observations, or with 3 calendar days observed in two years, count, and at least half of the cells must count.
    Series without a gap in any cell that has values are complete.
    """
    with np.errstate(invalid="ignore"):
        has = np.isfinite(values).any(0)
        if not has.any():
            return Pattern.STATIC
        values = values[:, has].astype("f8")
        if np.isfinite(values).all():
            return Pattern.COMPLETE
        scale = np.nanstd(values) or 1.0
        spread = np.nanmax(values, 0) - np.nanmin(values, 0)
        fixed = spread <= TINY * max(scale, np.nanmax(np.abs(values)) * 1e-3)
        if _most(fixed, np.isfinite(values).sum(0) >= MIN_OBSERVATIONS):
            return Pattern.STATIC
        repeats, close = _repeats(values, calendar_day(time), CYCLE * scale)
    return Pattern.PERIODIC if _most(close >= SHARE, repeats >= MIN_PAIRS) else Pattern.NONE


def _most(agree: np.ndarray, enough: np.ndarray) -> bool:
    """Whether at least half of the cells have enough observations, and nearly all of these agree."""
    return bool(enough.mean() >= 0.5 and agree[enough].mean() >= SHARE)


def fill_pattern(values: np.ndarray, time: np.ndarray, pattern: Pattern) -> np.ndarray:
    """Fill ``(time, cell)`` by its fixed value or its fixed seasonal cycle; cells without a value stay NaN."""
    if pattern is Pattern.COMPLETE:
        return values
    observed = np.isfinite(values)
    count = observed.sum(0)
    if pattern is Pattern.STATIC:
        with np.errstate(invalid="ignore", divide="ignore"):
            fixed = np.where(observed, values, 0).sum(0, dtype="f8") / count
        return np.where(observed, values, fixed).astype(values.dtype)
    day = calendar_day(time)
    out = values.copy()
    cycle = np.full((366, values.shape[1]), np.nan)
    for d in np.unique(day):
        rows = values[day == d]
        finite = np.isfinite(rows)
        first = np.argmax(finite, 0)
        cycle[d] = np.where(finite.any(0), rows[first, np.arange(rows.shape[1])], np.nan)
    known = np.isfinite(cycle)
    around = np.arange(366)
    for cell in np.flatnonzero(count):
        k = known[:, cell]
        full = np.interp(around, around[k], cycle[k, cell], period=366)
        gaps = ~observed[:, cell]
        out[gaps, cell] = full[day[gaps]]
    return out


def calendar_day(time: np.ndarray) -> np.ndarray:
    """Index 0..365 of the calendar day; 29 February has its own, so that dates keep theirs in every year."""
    day = np.asarray(time).astype("M8[D]")
    month = day.astype("M8[M]")
    start = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])
    return start[month.astype(int) % 12] + (day - month.astype("M8[D]")).astype(int)


def _repeats(values: np.ndarray, day: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """For each cell: the number of calendar days observed in two years, and the share of them that agree."""
    pairs, agree = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for d in np.unique(day):
        rows = values[day == d]
        twice = np.isfinite(rows).sum(0) >= 2
        if not twice.any():
            continue
        spread = np.nanmax(rows[:, twice], 0) - np.nanmin(rows[:, twice], 0)
        pairs[twice] += 1
        agree[twice] += spread <= tolerance
    return pairs, np.divide(agree, pairs, out=np.zeros_like(agree), where=pairs > 0)
