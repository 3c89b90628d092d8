"""Days of year: two rules for leap years, and the values of a series around each of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from xsm.compute.jit import jit

DIM, LENGTH = "day_of_year", 366
RULES = {
    True: "29 February is day 60 and 1 March day 61 of every year",
    False: "days count from 1 January; 1 March is day 60, or 61 in leap years",
}
"""Attribute ``leap_days`` of the coordinate, by the argument of that name."""


def day_of_year(days: np.ndarray, leap_days: bool = True) -> np.ndarray:
    """Day of year, 1 to 366.

    Parameters
    ----------
    days : ndarray of datetime64[D]
        Dates.
    leap_days : bool
        Count 29 February in every year, so that a date has the same number in all years.

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> days = np.array(["2019-03-01", "2020-02-29", "2020-03-01"], "M8[D]")
    >>> day_of_year(days), day_of_year(days, leap_days=False)
    (array([61, 60, 61]), array([60, 60, 61]))
    """
    years = days.astype("M8[Y]")
    number = (days - years.astype("M8[D]")).astype(int) + 1
    if not leap_days:
        return number
    common = ((years + 1).astype("M8[D]") - years.astype("M8[D]")).astype(int) == 365
    return number + (common & (number > 59))


def coordinate(leap_days: bool) -> xr.DataArray:
    """The coordinate ``day_of_year`` of a climatology."""
    attrs = {"long_name": "Day of year", "units": "1", "leap_days": RULES[leap_days]}
    return xr.DataArray(np.arange(1, LENGTH + 1), dims=DIM, attrs=attrs)


class Around(NamedTuple):
    """The days of a series around each day of year, over the year's end: ``order[begin[d]:end[d]]`` for ``d + 1``."""

    order: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    year: np.ndarray
    """Number of the year of each entry of the order, from 0 on."""


def around(days: np.ndarray, window: int, *, leap_days: bool = True, within: np.ndarray | None = None) -> Around:
    """Which days lie at most half a window of days of year from each day of year, sorted by day of year.

    Parameters
    ----------
    days : ndarray of datetime64[D]
        Days of the series.
    window : int
        Width in days of year, less than a year.
    leap_days : bool
        As for `day_of_year`.
    within : ndarray of bool, optional
        Days that count.

    Examples
    --------
    >>> some = around(np.array(["2020-01-01", "2020-12-31", "2021-01-01"], "M8[D]"), 3)
    >>> some.order[some.begin[0] : some.end[0]]
    array([1, 0, 2])
    """
    half = window // 2
    number, year = day_of_year(days, leap_days), days.astype("M8[Y]").astype(int)
    those = np.arange(len(days)) if within is None else np.flatnonzero(within)
    order = those[np.argsort(number[those], kind="stable")]
    sorted_number = number[order]
    late, early = sorted_number > LENGTH - half, sorted_number <= half
    index = np.concatenate([order[late], order, order[early]])
    position = np.concatenate([sorted_number[late] - LENGTH, sorted_number, sorted_number[early] + LENGTH])
    day = np.arange(1, LENGTH + 1)
    first = year.min() if len(year) else 0
    begin, end = np.searchsorted(position, day - half, "left"), np.searchsorted(position, day + half, "right")
    return Around(index, begin, end, year[index] - first)


def years_around(rows: np.ndarray, near: Around) -> np.ndarray:
    """Number of years that have a finite value around each day of year: ``(cell, 366)``.

    Examples
    --------
    >>> days = np.array(["2020-01-01", "2020-12-31", "2021-01-01"], "M8[D]")
    >>> years_around(np.array([[0.1, 0.2, np.nan]]), around(days, 3))[0, [0, 100, 365]]
    array([1., 0., 1.])
    """
    out = np.empty((len(rows), LENGTH))
    _years(rows, *near, int(near.year.max(initial=0)) + 1, out)
    return out


@jit()
def _years(rows, index, begin, end, year, years, out):  # type: ignore[no-untyped-def]
    """A day of year shares most values with the one before: values are added at one side, taken off at the other."""
    count = np.zeros(years, np.int64)
    for c in range(len(rows)):
        count[:] = 0
        distinct, b, e = 0, begin[0], begin[0]
        for d in range(len(begin)):
            while e < end[d]:
                if math.isfinite(rows[c, index[e]]):
                    count[year[e]] += 1
                    distinct += count[year[e]] == 1
                e += 1
            while b < begin[d]:
                if math.isfinite(rows[c, index[b]]):
                    count[year[b]] -= 1
                    distinct -= count[year[b]] == 0
                b += 1
            out[c, d] = distinct
