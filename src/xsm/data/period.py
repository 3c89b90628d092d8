"""Periods and days: parsing, checks, the split into training and validation days."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import xarray as xr

from xsm.errors import DataError, UsageError

Splits = tuple[np.ndarray, np.ndarray]


def split_days(days: np.ndarray, train: Any, validation: Any) -> Splits:
    """Boolean masks of the training and the validation days.

    By default 2018-2020 and 2021 if the data reach from 2018 into 2022 (as in the paper), otherwise the first 60 % and
    the next 20 % of the days.
    """
    if train is None and validation is None:
        if days[0] <= np.datetime64("2018-12-31") and days[-1] >= np.datetime64("2022-01-01"):
            train, validation = slice("2018-01-01", "2020-12-31"), slice("2021-01-01", "2021-12-31")
        else:
            share = np.arange(len(days)) / len(days)
            return share < 0.6, (share >= 0.6) & (share < 0.8)
    training_days, validation_days = np.zeros((2, len(days)), bool)
    if train is not None:
        training_days = day_mask(days, train, "train")
    if validation is not None:
        validation_days = day_mask(days, validation, "validation")
    if train is None:
        training_days = ~validation_days & (days < days[validation_days][0])
    both = training_days & validation_days
    if both.any():
        raise DataError(f"{both.sum()} days are both training and validation days.", hint="Split by date.")
    if not training_days.any():
        raise DataError("There is no training day.", hint="Give the days of <train=>.")
    return training_days, validation_days


def day_mask(calendar: np.ndarray, part: Any, what: str) -> np.ndarray:
    """Boolean mask of a period (slice or text) or of one value for each day; ``what`` names the argument in errors."""
    if isinstance(part, slice | str):
        bounds = days(part)
        mask = np.ones(len(calendar), bool)
        if bounds.start is not None:
            mask &= calendar >= bounds.start
        if bounds.stop is not None:
            mask &= calendar <= bounds.stop
        period = f"{bounds.start or ''}/{bounds.stop or ''}"
    else:
        mask = np.asarray(part)
        if mask.dtype != bool:
            raise UsageError(
                f"{what}= has values of the type {mask.dtype}, expected True or False for each day.",
                hint="Give a period such as 2018-01-01/2020-12-31, or a boolean mask.",
            )
        if mask.shape != calendar.shape:
            raise DataError(
                f"{what}= has {mask.shape} values, the data have {len(calendar)} days.",
                hint="Give one value for each day.",
            )
        period = "marks"
    if not mask.any():
        span = f"{calendar[0]} to {calendar[-1]}"
        raise DataError(f"No day of the data ({span}) lies in {what}={period}.", hint="Check the dates.")
    return mask


FIRST_DAY, LAST_DAY = np.datetime64("1900-01-01"), np.datetime64("2100-12-31")
"""First and last day that a period may have; every day of a period becomes a part of the data."""


def day_of(text: str) -> np.datetime64:
    """Read one day, written as 2018-12-31."""
    try:
        return np.datetime64(text, "D")
    except ValueError:
        raise UsageError(f"'{text}' is not a date.", hint="Write it as 2018-12-31.") from None


def days(period: Any) -> slice:
    """Normalise a period to a slice of ``datetime64[D]`` (or None) bounds, both included; one day is a period too.

    Examples
    --------
    >>> days("2018-01/2018-02")
    slice(np.datetime64('2018-01-01'), np.datetime64('2018-02-28'), None)
    >>> days("2018-01/")
    slice(np.datetime64('2018-01-01'), None, None)
    """
    if isinstance(period, str):
        first, slash, last = period.partition("/")
        bounds: list[Any] = [first, last if slash else first]
    elif isinstance(period, slice):
        bounds = [period.start, period.stop] if period.step is None else []
    elif isinstance(period, np.datetime64 | date):
        bounds = [period, period]
    else:
        bounds = list(period) if np.iterable(period) else []
    try:
        if len(bounds) != 2:
            raise ValueError
        start = None if bounds[0] in (None, "") else np.datetime64(bounds[0], "D")
        stop = None if bounds[1] in (None, "") else np.datetime64(bounds[1])
    except (ValueError, TypeError):
        raise UsageError(
            f"The period {period!r} is not a pair of dates.", hint="Write 2018-01-01/2018-12-31."
        ) from None
    if stop is not None:
        unit = np.datetime_data(stop.dtype)[0]
        stop = (stop + 1).astype("M8[D]") - 1 if unit in ("Y", "M", "W") else stop.astype("M8[D]")
    for bound in (start, stop):
        if bound is not None and not FIRST_DAY <= bound <= LAST_DAY:
            raise UsageError(
                f"The period has the day {bound}, expected days from {FIRST_DAY} to {LAST_DAY}.",
                hint="Leave a bound out to take all days: 2018-01-01/ or /2018-12-31.",
            )
    if start is not None and stop is not None and stop < start:
        raise UsageError(f"The period ends on {stop}, before it starts on {start}.", hint="Swap the dates.")
    return slice(start, stop)


def check_order(day: np.ndarray, what: str = "The cube") -> None:
    """Stop where days come twice or out of order."""
    wrong = np.flatnonzero(np.diff(day).astype(int) < 1)
    if len(wrong):
        before, after = day[wrong[0]], day[wrong[0] + 1]
        raise DataError(
            f"{what} has days that are repeated or out of order ({after} after {before}), expected each once.",
            hint="Sort it by time and leave one of each day; <to_daily()> makes days of hours.",
        )


def check_days(ds: xr.Dataset) -> None:
    """Stop where the days of a cube are not consecutive: a model would take them to be."""
    if "time" not in ds.dims or not ds.sizes["time"]:
        raise DataError("The cube has no days, expected the dimension 'time'.", hint="Open a period of several days.")
    day = ds["time"].values.astype("M8[D]")
    check_order(day)
    step = np.diff(day).astype(int)
    if (step > 1).any():
        at = np.flatnonzero(step > 1)[0]
        raise DataError(
            f"The cube lacks {(step - 1).sum()} days (the first after {day[at]}), expected every day of its period.",
            hint="<cube()> adds them as empty days, which can be filled; choose the days to learn from with <train=>.",
        )
