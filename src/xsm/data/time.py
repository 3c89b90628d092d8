"""The one check of every time axis that enters an operation: days in UTC afterwards, or a sentence."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from xsm.errors import DataError, tell

Data = TypeVar("Data", xr.Dataset, xr.DataArray)
FIRST, LAST = np.datetime64("1800-01-01"), np.datetime64("2200-12-31")
"""Days that any data can have; nanoseconds reach from 1678 to 2262 and start anew beyond."""
SHORT = np.timedelta64(1, "s")
"""Stamps that are short of an hour by less, as decoders of numbers leave them, are that hour."""
MONTH = 30.4375
"""Days of a mean month."""
SPARSE, LONG, YEARS = 5, 28, 350
"""Days between times from which on they are warned of as composites, refused as months, warned of as years."""
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_MONTH = re.compile(r"\s*\d{4}(-?\d{2})?\s*")
_ISO = re.compile(r"\s*\d{4}-?\d{2}-?\d{2}([T ].*)?\s*")
_OFFSET = re.compile(r"([T ]\d\d[\d:.]*)\s*(Z|[+-]\d\d(:?\d\d)?)\s*")
_DECODE = "Set its attribute units, such as 'days since 2021-01-01', and call xr.decode_cf."


def utc_times(data: Data, what: str = "The data", *, daily: bool = True, months: bool = False) -> Data:
    """Return data whose time axis is datetime64 in UTC.

    Time zones are converted, but midnights of a zone stay the day that they are; texts of ISO 8601 are parsed,
    calendars of cftime converted where their days are those of the standard one, and numbers with the attribute
    ``units`` decoded. A stamp that ends an interval, by the bounds that the axis names, is moved to its start, and one
    that is short of an hour by less than `SHORT` to that hour, so that a day stays itself.

    Parameters
    ----------
    data : Dataset or DataArray
        With or without a dim ``time``; without one it comes back as it is.
    what : str
        Who brought it, for errors.
    daily : bool
        Whether days are needed: a dim without coordinate and steps of months are refused, those of weeks warned of.
    months : bool
        Whether months (see `are_months`) will do as well.

    Raises
    ------
    DataError
        For an axis without coordinate, with numbers of no unit, missing times, another calendar, or months.

    Examples
    --------
    >>> da = xr.DataArray([0.2], {"time": ["2021-04-01T22:00-06:00"]}, "time")
    >>> utc_times(da)["time"].values.astype("M8[h]")
    array(['2021-04-02T04'], dtype='datetime64[h]')
    """
    if not isinstance(data, xr.Dataset | xr.DataArray) or not data.sizes.get("time"):
        return data
    if "time" not in data.coords:
        if not daily:
            return data
        raise DataError(
            f"{what} has a dim time without a coordinate, expected days.",
            hint="Give it a coordinate of days.",
        )
    coord = data["time"]
    plain = isinstance(coord.dtype, np.dtype) and coord.dtype.kind == "M"
    times = coord.values if plain else _datetimes(coord, what, months or not daily)
    if np.isnat(times).any():
        raise DataError(
            f"{what} has {int(np.isnat(times).sum())} missing times.",
            hint="Leave the missing times out.",
        )
    known = times.astype("M8[D]")
    if ((known < FIRST) | (known > LAST)).any():
        wrong = known[(known < FIRST) | (known > LAST)][0]
        raise DataError(
            f"{what} has the time {wrong}, expected days of {FIRST} to {LAST}.",
            hint="Check the attribute units of time: milliseconds may be called seconds.",
        )
    times = _starts(data, coord, whole_hours(times))
    if daily and not (months and are_months(times)):
        _refuse_months(times, what)
    if plain and np.array_equal(times, coord.values):
        return data
    attrs = {k: v for k, v in coord.attrs.items() if k not in ("units", "calendar", "bounds")}
    return data.assign_coords(time=("time", times.astype("M8[ns]"), attrs))


def whole_hours(times: np.ndarray) -> np.ndarray:
    """Times, of which those that are short of an hour by less than `SHORT` are that hour.

    Parameters
    ----------
    times : ndarray of datetime64
        Any shape and unit.

    Returns
    -------
    ndarray of datetime64

    Examples
    --------
    >>> whole_hours(np.array(["2021-03-31T23:59:59.999999", "2021-03-31T23:59:59"], "M8[us]")).astype("M8[s]")
    array(['2021-04-01T00:00:00', '2021-03-31T23:59:59'],
          dtype='datetime64[s]')
    """
    fine = times.astype("M8[ns]")
    hour = np.int64(3_600_000_000_000)
    missing = (-fine.astype("i8") % hour).astype("m8[ns]")
    short = (missing > np.timedelta64(0, "ns")) & (missing < SHORT) & ~np.isnat(fine)
    return np.where(short, fine + missing, fine) if short.any() else times


def _datetimes(coord: xr.DataArray, what: str, months: bool) -> np.ndarray:
    """Times of any other kind as datetime64 in UTC."""
    import pandas as pd

    index: Any = coord.to_index()
    if isinstance(index, pd.PeriodIndex):
        if index.freqstr[0] not in "DBHhTmin" and not (months and index.freqstr == "M"):
            raise _months(what, f"times that are periods of {index.freqstr}")
        return index.to_timestamp().to_numpy()
    if isinstance(index, pd.DatetimeIndex):
        return without_zone(index)
    if index.dtype.kind in "iuf" and coord.attrs.get("units"):
        try:
            decoded = xr.decode_cf(xr.Dataset({"time": ("time", coord.values, coord.attrs)}))["time"]
        except (ValueError, OverflowError):
            decoded = coord
        if decoded.dtype.kind != coord.dtype.kind:
            return decoded.values if decoded.dtype.kind == "M" else _datetimes(decoded, what, months)
    values = [v for v in index if v is not None and v == v]
    first = values[0] if values else None
    if first is not None and hasattr(first, "calendar"):
        return _standard(index, str(first.calendar), what)
    if isinstance(first, str):
        return _parsed(index, what)
    if first is not None and hasattr(first, "year"):  # datetime.datetime and date, pandas.Timestamp
        return without_zone(_index_of(list(index)))
    number = f"numbers ({first} first)" if index.dtype.kind in "iuf" else f"values of the type {index.dtype}"
    unit = coord.attrs.get("units")
    raise DataError(
        f"{what} has {number}{f' with the unit {unit!r}' if unit else ' without a unit'} as time, expected days.",
        hint=_DECODE,
    )


def without_zone(index: Any) -> np.ndarray:
    """Times of a pandas index without their zone: days of local midnights as these days, others in UTC.

    Examples
    --------
    >>> import pandas as pd
    >>> without_zone(pd.date_range("2021-04-01", periods=1, tz="Europe/Berlin")).astype("M8[h]")
    array(['2021-04-01T00'], dtype='datetime64[h]')
    >>> without_zone(pd.DatetimeIndex(["2021-04-01T06:00"], tz="Europe/Berlin")).astype("M8[h]")
    array(['2021-04-01T04'], dtype='datetime64[h]')
    """
    if index.tz is None:
        return index.to_numpy()
    if are_days(index):
        return index.tz_localize(None).normalize().to_numpy()
    return index.tz_convert("UTC").tz_localize(None).to_numpy()


def are_days(index: Any) -> bool:
    """Whether all times of a pandas index are the first of a day in their zone, also where its clock skips midnight."""
    days = index.tz_localize(None).normalize()
    return any((days.tz_localize(index.tz, nonexistent="shift_forward", ambiguous=np.full(len(days), summer)) == index)
               .all() for summer in (True, False))  # fmt: skip


def _index_of(times: list[Any]) -> Any:
    """Times of one zone in it, of several in UTC."""
    import pandas as pd

    try:
        return pd.DatetimeIndex(times)
    except (ValueError, TypeError):
        return pd.DatetimeIndex(pd.to_datetime(times, utc=True))


def _standard(index: Any, calendar: str, what: str) -> np.ndarray:
    if calendar not in _CALENDARS:
        raise DataError(
            f"{what} has times of the calendar '{calendar}', whose days are not those of measurements.",
            hint="Convert it to the standard calendar first, if you mean to; days that it lacks are then missing.",
        )
    return np.array([np.datetime64(v.isoformat(), "us") for v in index])


def _parsed(index: Any, what: str) -> np.ndarray:
    import pandas as pd

    texts = [str(v) for v in index]
    if all(_MONTH.fullmatch(text) for text in texts):
        raise _months(what, f"monthly times ('{texts[0]}')")
    try:
        if not all(_ISO.fullmatch(text) for text in texts):
            raise ValueError
        local = pd.DatetimeIndex(pd.to_datetime([_OFFSET.sub(r"\1", text) for text in texts], format="ISO8601"))
        utc = pd.DatetimeIndex(pd.to_datetime(texts, utc=True, format="ISO8601"))
        return (local if (local == local.normalize()).all() else utc.tz_localize(None)).to_numpy()
    except ValueError:
        wrong = next((text for text in texts if not _ISO.fullmatch(text)), texts[0])
        raise DataError(
            f"{what} has the time '{wrong}', expected dates such as 2021-04-01 or 2021-04-01T12:00Z.",
            hint="Write dates as 2021-04-01, or parse them first with a stated order of day and month.",
        ) from None


def _starts(data: xr.Dataset | xr.DataArray, coord: xr.DataArray, times: np.ndarray) -> np.ndarray:
    """Stamps at the end of their interval, by the bounds of the axis, moved to its start."""
    name = coord.attrs.get("bounds", coord.encoding.get("bounds"))
    known = data.variables if isinstance(data, xr.Dataset) else data.coords
    if not isinstance(name, str) or name not in known or "stamps" in coord.attrs:
        return times
    bounds = known[name].values
    if bounds.dtype.kind != "M" or bounds.shape != (len(times), 2):
        return times
    low, high = whole_hours(bounds).T
    ends = (times == high) & (low < high)
    if not ends.any():
        return times
    tell(f"{int(ends.sum())} times are the ends of their intervals ({name}) and are moved to the starts.")
    return np.where(ends, low, times)


def _refuse_months(times: np.ndarray, what: str) -> None:
    """Refuse times that are regular with a median step of four weeks or more; warn where that is a guess, or weeks."""
    days = np.unique(times.astype("M8[D]"))
    steps = np.diff(days).astype(int)
    if not len(steps):
        return
    middle = int(np.sort(steps)[(len(steps) - 1) // 2])
    monthly = _multiples(steps, MONTH, 0.1)
    regular = len(steps) > 1 and _multiples(steps, middle, 0.05)
    if YEARS > middle >= LONG and len(steps) > 1 and (monthly or regular):
        raise _months(what, f"times every {middle} days ({days[0]}, {days[1]}, {days[2]})")
    if middle >= LONG and monthly and len(steps) == 1:
        tell(f"{what} has two times, {days[0]} and {days[1]}, and takes each as one day: "
             "means of months or longer cannot be compared with days.")  # fmt: skip
    elif middle >= SPARSE and regular:
        tell(f"{what} has times every {middle} days and takes each as one day: "
             "composites and means of several days cannot be compared with days.")  # fmt: skip


def are_months(times: np.ndarray) -> bool:
    """Whether times in order are those of months, one for each; months may lack.

    Examples
    --------
    >>> are_months(np.array(["2021-01-31", "2021-02-28", "2021-04-30"], "M8[D]"))
    True
    """
    months = np.diff(times.astype("M8[M]")).astype(int)
    steps = np.diff(times.astype("M8[D]")).astype(int)
    return len(steps) > 1 and bool((months > 0).all() and _multiples(steps, MONTH, 0.1) and np.median(steps) < 2 * LONG)


def _multiples(steps: np.ndarray, step: float, tolerance: float) -> bool:
    """Whether all steps are whole multiples of a step, within a share of it."""
    ratio = steps / step
    return bool((np.abs(ratio - np.maximum(np.rint(ratio), 1)) <= tolerance).all())


def _months(what: str, times: str) -> DataError:
    return DataError(
        f"{what} has {times}, expected days.",
        hint="Give daily data: means of months or longer cannot be compared with days, filled or estimated from.",
    )
