"""Climatology: what is usual on each day of the year."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.series import series_of
from xsm.errors import UsageError
from xsm.series.climatology import How, climatology_of
from xsm.series.reference_period import period_mask, tell_too_few

Variables = Annotated[tuple[str, ...] | None, Param("Variables; by default all soil moisture of the input.")]


@operation(title="Climatology", group="Series", keeps_type=True)
def climatology(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture of several years, with gaps or without.")],
    *,
    method: Annotated[
        Literal["window", "harmonic"], Param("Moving window over days of year, or fitted waves.")
    ] = "window",
    window: Annotated[int, Param("Width of the window of days of year.", unit="days", minimum=1, maximum=365)] = 35,
    smooth: Annotated[
        int, Param("Width of the moving mean that the series is smoothed with first.", unit="days", minimum=1)
    ] = 5,
    statistic: Annotated[Literal["mean", "median"], Param("Statistic over the years of a day of year.")] = "mean",
    harmonics: Annotated[int, Param("Number of waves of the harmonic method.", minimum=1, maximum=12)] = 2,
    leap_days: Annotated[
        bool, Param("Count 29 February in every year, so that a date has one day of year in all years.")
    ] = True,
    std: Annotated[bool, Param("Add the standard deviation over the years.")] = False,
    min_obs: Annotated[int, Param("Fewest values of a smoothed day, or of a harmonic fit.", minimum=1)] = 1,
    min_years: Annotated[int, Param("Fewest years with a value in the window of a day of year.", minimum=1)] = 1,
    time: Annotated[Any, Param("Reference period, both days included; by default all.", kind=Kind.PERIOD)] = None,
    variables: Variables = None,
) -> xr.Dataset:
    """Compute what is usual on each day of the year.

    ``window`` is the method of ``pytesmo.time_series.anomaly.calc_climatology`` and gives its numbers: the series is
    smoothed, averaged over the years and smoothed again over days of year, from December on into January. ``harmonic``
    fits a mean and waves of a year, half a year and so on by least squares.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Daily values in time and any other dims. Lazy or not.
    method : {"window", "harmonic"}
        See above.
    window : int
        Width of the window over days of year (pytesmo's ``moving_avg_clim``); of the harmonic method only ``min_years``
        looks at it.
    smooth : int
        Width in days of the first smoothing (``moving_avg_orig``), which also fills days that are NaN; 1 for none. Not
        used by the harmonic method.
    statistic : {"mean", "median"}
        Statistic over the years, of the window method.
    harmonics : int
        Number of waves.
    leap_days : bool
        True: 29 February is day 60 and 1 March day 61 of every year (pytesmo's ``respect_leap_years=False``). False:
        days count from 1 January, and 1 March is day 61 in leap years only. In pytesmo the default of
        ``calc_climatology`` is the former and that of ``calc_anomaly`` the latter: give both the same.
    std : bool
        Adds the standard deviation over the years of the (smoothed) values of a day of year.
    min_obs : int
        Fewest values in the first smoothing's window (``min_obs_orig``), or in a harmonic fit.
    min_years : int
        Days of year with values from fewer years in their window are NaN.
    time : slice or str, optional
        Reference period such as ``"2015-01-01/2020-12-31"``.
    variables : sequence of str, optional
        By default all soil moisture, or the only series.

    Returns
    -------
    Dataset, DataArray, Series or DataFrame
        ``<v>_climatology``, on request ``<v>_climatology_std``, with a dim ``day_of_year`` of 366 in the place of time;
        its attribute ``leap_days`` says how days are counted.

    Raises
    ------
    DataError
        Where days come twice, times are months, or the reference period has no day of the data.
    UsageError
        For a median of harmonics, or an unknown variable.

    Examples
    --------
    >>> import numpy as np, pandas as pd, xsm
    >>> days = pd.date_range("2018-01-01", "2020-12-31")
    >>> sm = pd.Series(0.25 + 0.1 * np.cos(days.day_of_year / 58), days, name="sm")
    >>> xsm.climatology(sm).loc[[1, 183]].round(2).tolist()
    [0.35, 0.15]
    """
    if method == "harmonic" and statistic == "median":
        raise UsageError("A harmonic fit has no median.", hint="Leave <statistic=> out, or choose <method=window>.")
    ds, days, names = series_of(ds, variables)
    within = period_mask(days, time)
    how = How(method, window, smooth, statistic, harmonics, leap_days, min_obs, min_years, std)
    out = climatology_of(ds, days, within, names, how)
    tell_too_few(out, ds, names, "_climatology", days[within], window, min_years)
    return add_history(
        out.assign_attrs(ds.attrs), "climatology", **how._asdict(), time=time, variables=variables
    )  # fmt: skip
