"""Trends: the slope of Theil and Sen with its interval, and the test of Mann and Kendall."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.compute.jit import jit
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.series import derived
from xsm.data.time import are_months
from xsm.errors import DataError, UsageError

Z = 1.959963984540054
"""Quantile of the standard normal distribution for an interval of 95 %, and for a correlation of ranks to count."""
COVERED = 0.9
"""Share of the days of a year or month that must lie within the record."""
SUFFIXES = ("", "_low", "_high", "_p", "_intercept", "_n")


def trends(
    ds: xr.Dataset, days: np.ndarray, names: Sequence[str], by: str, plain: bool, per: str, share: float, years: int
) -> xr.Dataset:
    """Trends of some variables; see `xsm.trend`."""
    if are_months(days):
        days = days.astype("M8[M]")
        if by == "day":
            raise UsageError("The data have times of months, expected days for a trend of days.",
                             hint="Choose <by=month> or <by=year>.")  # fmt: skip
    whole = int(_periods(days, "Y")[2].sum())
    if whole < years:
        raise DataError(
            f"The data cover {whole} whole years ({days[0]} to {days[-1]}), expected at least {years} for a trend.",
            hint=f"Give a longer record, or allow fewer with <min_years={max(whole, 3)}>.",
        )
    function = functools.partial(_trend, days=days, by=by, plain=plain, share=share, years=years)
    factor, unit = (10, "decade-1") if per == "decade" else (1, "year-1")
    by_months = "Kendall test by seasons (Hirsch and Slack 1984), months taken as independent"
    test = by_months if by == "month" else TESTS[plain]
    out = xr.Dataset()
    for name in names:
        results = along_time(function, ds[name], outputs=[()] * len(SUFFIXES))
        of_unit = f"{ds[name].attrs.get('units', '')} {unit}".strip()
        slope = f"Slope of Theil and Sen, by {by}"
        about: list[tuple[str, dict[str, Any]]] = [
            (slope, {"units": of_unit}),
            (f"{slope}, lower bound of 95 %", {"units": of_unit}),
            (f"{slope}, upper bound of 95 %", {"units": of_unit}),
            ("Probability of such a trend by chance", {"units": "1", "test": test}),
            (f"Line of the trend at the first {by}", {}),
            (f"Number of {by}s with values", {"units": "1"}),
        ]
        for suffix, result, (title, attrs) in zip(SUFFIXES, results, about, strict=True):
            scaled = result * result.dtype.type(factor) if of_unit == attrs.get("units") else result
            out[f"{name}_trend{suffix}"] = derived(scaled, ds, name, title, **attrs)
        why = f"No series has {years} years with values on at least {100 * share:g} % of their days."
        tell_emptied(out, {f"{name}_trend": valid_share(ds[name])}, why, [f"{name}_trend"])
    return out


TESTS = {
    False: "Mann-Kendall, variance corrected for autocorrelation (Hamed and Rao 1998)",
    True: "Mann-Kendall",
}


def _trend(
    rows: np.ndarray, days: np.ndarray, by: str, plain: bool, share: float, years: int
) -> tuple[np.ndarray, ...]:
    """Results in the order of the suffixes, slopes per year, for rows ``(cell, time)``."""
    yearly = _means(rows, days, "Y", share)
    if by == "day":
        steps = np.full((len(rows), (days[-1] - days[0]).astype(int) + 1), np.nan)
        steps[:, (days - days[0]).astype(int)] = rows
    else:
        steps = yearly if by == "year" else _means(rows, days, "M", share)
    few = np.isfinite(yearly).sum(1) < years
    table = _fits(steps, 12 if by == "month" else 1, plain or by == "month")
    table[few, :-1] = np.nan
    if by == "day":
        table[:, :3] *= 365.25
    return tuple(table.T)


def _means(rows: np.ndarray, days: np.ndarray, unit: str, share: float) -> np.ndarray:
    """Means of the years or months (cell, period) that have enough days, NaN for others."""
    group, lengths, whole = _periods(days, unit)
    periods, starts = np.unique(group, return_index=True)
    valid = np.isfinite(rows)
    count = np.add.reduceat(valid.astype("f8"), starts, axis=1)
    least = np.where(valid, rows, np.inf).min(1, keepdims=True)  # so that means of equal values are equal
    with np.errstate(invalid="ignore"):
        total = np.add.reduceat(np.where(valid, rows - least, 0.0), starts, axis=1)
    enough = (count > 0) & (count >= share * lengths[periods]) & whole[periods]
    out = np.full((len(rows), len(lengths)), np.nan)
    out[:, periods] = np.where(enough, least + total / np.maximum(count, 1), np.nan)
    return out


def _periods(days: np.ndarray, unit: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each day or month the position of its year ("Y") or month ("M"), their lengths, and if all of it is there."""
    period = days.astype(f"M8[{unit}]")
    group = (period - period[0]).astype(int)
    bounds = (period[0] + np.arange(group[-1] + 2)).astype(days.dtype)
    lengths = np.diff(bounds).astype("f8")
    inside = np.minimum(bounds[1:], days[-1] + 1) - np.maximum(bounds[:-1], days[0])
    return group, lengths, inside.astype("f8") >= COVERED * lengths


@jit()
def _fits(steps: Any, period: int, plain: bool) -> Any:
    """Slope, its bounds, p, intercept and number of values of each row; ``period`` steps are one unit of time."""
    table = np.full((steps.shape[0], 6), np.nan)
    for cell in range(steps.shape[0]):
        row = steps[cell]
        valid = np.isfinite(row)
        table[cell, 5] = valid.sum()
        slopes, score, variance = _pairs(row, period)
        if not len(slopes):
            continue
        slopes.sort()
        slope = np.median(slopes)
        half = Z * math.sqrt(variance)
        low = max(int(np.rint((len(slopes) - half) / 2)) - 1, 0)
        high = min(int(np.rint((len(slopes) + half) / 2)), len(slopes) - 1)
        if not plain:
            variance *= _correction(row[valid], slope)
        table[cell, 0], table[cell, 1], table[cell, 2] = slope, slopes[low], slopes[high]
        table[cell, 4] = np.median(row[valid]) - np.median(np.flatnonzero(valid)) / period * slope
        if score == 0:
            table[cell, 3] = 1.0
        elif variance > 0:
            table[cell, 3] = math.erfc((abs(score) - 1) / math.sqrt(2 * variance))
    return table


@jit()
def _pairs(row: Any, period: int) -> Any:
    """Slopes of all pairs of one season, the score of Kendall and its variance, ties counted."""
    steps = len(row) // period + 1
    slopes, count, score, variance = np.empty(period * steps * steps // 2 + 1), 0, 0.0, 0.0
    for season in range(min(period, len(row))):
        at = np.arange(season, len(row), period)
        at = at[np.isfinite(row[at])]
        values = row[at]
        for i in range(len(at)):
            for j in range(i + 1, len(at)):
                slopes[count] = (values[j] - values[i]) / ((at[j] - at[i]) // period)
                score += np.sign(values[j] - values[i])
                count += 1
        variance += _spread(len(at))
        values.sort()
        ties = 1
        for i in range(1, len(values) + 1):
            if i < len(values) and values[i] == values[i - 1]:
                ties += 1
            else:
                variance -= _spread(ties)
                ties = 1
    return slopes[:count], score, variance


@jit()
def _spread(count: int) -> float:
    """Variance of the score of so many values without ties; what that many equal ones take from it."""
    return count * (count - 1) * (2.0 * count + 5) / 18


@jit()
def _correction(values: Any, slope: float) -> float:
    """Factor of the variance by the autocorrelation of the ranks without the trend (Hamed and Rao 1998)."""
    n = len(values)
    if n < 3:
        return 1.0
    rest = values - np.arange(1, n + 1) * slope
    ordered = np.sort(rest)
    ranks = (np.searchsorted(ordered, rest, side="left") + np.searchsorted(ordered, rest, side="right") + 1) / 2
    ranks = ranks - ranks.mean()
    squares = (ranks * ranks).sum()
    total = 0.0
    for lag in range(1, n):
        r = (ranks[lag:] * ranks[:-lag]).sum() / squares if squares > 0 else 0.0
        if abs(r) > Z / math.sqrt(n):
            total += (n - lag) * (n - lag - 1.0) * (n - lag - 2.0) * r
    return 1 + 2 * total / (n * (n - 1.0) * (n - 2.0))
