"""Which series of a dataset a verb acts on, their days, and what its results are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.families import families_of, is_about_another, is_moisture, spaced
from xsm.data.ranges import checked
from xsm.data.roles import SOURCE
from xsm.data.time import utc_times
from xsm.errors import DataError, UsageError, unknown

MOIST = re.compile(r"\b(s?sm|swc|vwc|theta|swvl\d|soil ?(moisture|water)|moisture)\b")
OTHER = re.compile(
    r"(\b(air|soil|surface) )?\b(rain|rainfall|precip|precipitation|prcp|snow|snowfall|swe|temperature|temp|humidity|"
    r"wind|radiation|pressure|evaporation|evapotranspiration|runoff|ndvi|lai)\b( (mm|c|k|\d+ ?cm))?"
)
"""Words of names of columns, apart by spaces: soil moisture, and quantities that are none."""

ONCE = (
    "Leave one of them out, in Python with series[~series.index.duplicated()] or ds.drop_duplicates('time'); of a "
    "table with a row for each station and day make one with a column for each, with table.pivot(columns='station')."
)
"""What to do about times that come twice."""


def series_of(
    ds: xr.Dataset, variables: Sequence[str] | None = None, *, months: bool = False
) -> tuple[xr.Dataset, np.ndarray, list[str]]:
    """The dataset in order, its days and the names of the series that a verb acts on, whose values are checked.

    See `days_of`, `series_names` and `xsm.data.ranges.checked`.
    """
    ds, days = days_of(ds, months=months)
    names = series_names(ds, variables)
    return checked(ds, names), days, names


def series_names(ds: xr.Dataset, variables: Sequence[str] | None = None) -> list[str]:
    """Names of the series that a verb acts on.

    Parameters
    ----------
    ds : xarray.Dataset
        With a dim ``time``.
    variables : sequence of str, optional
        Names; by default all soil moisture (by name, standard name or unit) that is neither a spread nor derived; the
        only series; or of a table in which none has a unit every series that `of_table` leaves.

    Returns
    -------
    list of str

    Raises
    ------
    DataError
        For a variable without time or of another type than numbers, or where none is found.
    UsageError
        For an unknown name.

    Examples
    --------
    >>> days = ("time", [0.2, 0.3], {"units": "m3 m-3"})
    >>> series_names(xr.Dataset({"sm_5cm": days, "sm_5cm_std": days}))
    ['sm_5cm']
    """
    series = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims and v.dtype.kind in "fiu"]
    if variables:
        for name in variables:
            if name not in ds.variables:
                raise unknown("variable", name, series)
            if name not in series:
                raise DataError(
                    f"'{name}' has the dims {ds[name].dims} and the type {ds[name].dtype}, expected numbers in time.",
                    hint=f"Name another variable{f': {chr(44).join(series)}' if series else ''}.",
                )
        return list(variables)
    moist = [n for n in series if is_moisture(ds, n) and not n.endswith("_std") and SOURCE not in ds[n].attrs]
    plain = not any(ds[n].attrs.get("units") for n in series)
    names = moist or (series if len(series) == 1 else of_table(series) if plain else [])
    if not names:
        raise UsageError(
            f"None of the variables ({', '.join(map(str, ds.data_vars)) or 'none'}) is soil moisture in time.",
            hint=f"Name them: <variables={','.join(series[:3]) or 'NAME'}>.",
        )
    return names


def of_table(names: Sequence[str]) -> list[str]:
    """Columns of a table without units that may be soil moisture: neither rain nor temperature nor a flag by name.

    Names of stations may be any words; those of other quantities count as parts of a name where another name says soil
    moisture, else as a whole one.

    Examples
    --------
    >>> of_table(["sm_5cm", "sm_5cm_flag", "rain_mm"]), of_table(["Snow Lake", "Tucson", "precipitation"])
    (['sm_5cm'], ['Snow Lake', 'Tucson'])
    """
    matches = OTHER.search if any(MOIST.search(spaced(n)) for n in names) else OTHER.fullmatch
    return [n for n in names if not matches(spaced(n)) and not is_about_another(n, {})]


def days_of(ds: xr.Dataset, what: str = "The data", *, months: bool = False) -> tuple[xr.Dataset, np.ndarray]:
    """The dataset with UTC times in order and its days, each of which comes once; days may lack.

    With ``months`` also times of months will do, whose days are those of their stamps.

    Raises
    ------
    DataError
        Without times, or where a day comes twice.

    Examples
    --------
    >>> ds, days = days_of(xr.Dataset(coords={"time": np.array(["2021-04-02", "2021-04-01"], "M8[ns]")}))
    >>> days
    array(['2021-04-01', '2021-04-02'], dtype='datetime64[D]')
    """
    ds = utc_times(ds, what, months=months)
    if not ds.sizes.get("time"):
        raise DataError(f"{what} has no time (dims {dict(ds.sizes)}).", hint="Expected one step per day.")
    days = ds["time"].values.astype("M8[D]")
    if (np.diff(days).astype(int) < 0).any():
        ds = ds.isel(time=np.argsort(days, kind="stable"))
        days = ds["time"].values.astype("M8[D]")
    if len(days) > 1 and (np.diff(days).astype(int) == 0).any():
        twice = days[1:][np.diff(days).astype(int) == 0][0]
        same = (np.diff(np.sort(ds["time"].values)) == np.timedelta64(0)).any()
        means = "Make daily means first, with <to_daily()>; <min_hours=0> keeps days of few values."
        raise DataError(
            f"{what} has {'one time twice, on' if same else 'several times on'} {twice}, expected one for each day.",
            hint=ONCE if same else means,
        )
    return ds, days


def derived(array: xr.DataArray, ds: xr.Dataset, name: str, long_name: str, **attrs: Any) -> xr.DataArray:
    """A result with the attributes of what is derived from a variable: names, unit, source and grid mapping.

    Parameters
    ----------
    array : DataArray
        Result.
    ds : xarray.Dataset
        Dataset that has the variable.
    name : str
        That variable.
    long_name : str
        What the result is; the variable's own long name follows in brackets.
    **attrs
        Others; ``units`` are by default those of the variable.
    """
    source = ds[name].attrs
    kept = {k: source[k] for k in ("units", "grid_mapping") if k in source}
    if families := families_of(ds, name):
        kept["family"] = "; ".join(sorted(families))
    of = source.get("long_name", name)
    out = array.copy(deep=False)
    out.attrs = {**kept, "long_name": f"{long_name} ({of})", SOURCE: name, **attrs}
    return out
