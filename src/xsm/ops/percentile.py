"""Percentiles: how wet each day is among the same days of other years."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.series import series_of
from xsm.ops.climatology import Variables
from xsm.series.percentile import How, percentiles_of
from xsm.series.reference_period import period_mask, tell_too_few


@operation(title="Percentile", group="Series", keeps_type=True)
def percentile(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture of several years, with gaps or without.")],
    *,
    method: Annotated[Literal["empirical", "beta"], Param("Ranks, or a fitted beta distribution.")] = "empirical",
    window: Annotated[int, Param("Width of the window of days of year.", unit="days", minimum=1, maximum=365)] = 31,
    min_years: Annotated[int, Param("Fewest years with a value in the window.", minimum=1)] = 5,
    time: Annotated[Any, Param("Reference period, both days included; by default all.", kind=Kind.PERIOD)] = None,
    variables: Variables = None,
) -> xr.Dataset:
    """Rank each day among the days of all years around its day of year, in percent.

    Each value is compared with all values of the reference period at most half a window of days of year away, from
    December on into January. 29 February is day 60 of a year of 366 days, so that a date has one day of year.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Daily values in time and any other dims, in any unit. Lazy or not.
    method : {"empirical", "beta"}
        ``"empirical"``: the share of smaller values and half of the equal ones, among which is the value itself where
        its day is in the reference period (``scipy.stats.percentileofscore``, ``kind="mean"``). ``"beta"``: the
        distribution function of a beta distribution on 0 to 1 with the mean and variance of these values (Sheffield et
        al., 2004), for volume fractions only.
    window : int
        Width in days of year; an even number counts as the next odd one.
    min_years : int
        Days of year with values from fewer years in their window are NaN. Classes of drought need decades: of five
        years none shows the driest 2 percent of all.
    time : slice or str, optional
        Reference period such as ``"1991-01-01/2020-12-31"``; days outside of it are ranked too.
    variables : sequence of str, optional
        By default all soil moisture, or the only series.

    Returns
    -------
    Dataset, DataArray, Series or DataFrame
        ``<v>_percentile``, 0 (driest) to 100.

    Raises
    ------
    DataError
        Where days come twice, the reference period has no day of the data, or a beta distribution is asked of other
        quantities than volume fractions.
    UsageError
        For an unknown variable.

    References
    ----------
    Sheffield, J., Goteti, G., Wen, F., Wood, E. F. (2004). Journal of Geophysical Research 109, D24108.

    Examples
    --------
    >>> import numpy as np, pandas as pd, xsm
    >>> days = pd.date_range("2015-01-01", "2020-12-31")
    >>> sm = pd.Series(0.2 + 0.01 * (days.year - 2015), days, name="sm")
    >>> xsm.percentile(sm)["2015-07-01"].round(2), xsm.percentile(sm)["2020-07-01"].round(2)
    (np.float64(8.33), np.float64(91.67))
    """
    ds, days, names = series_of(ds, variables)
    within = period_mask(days, time)
    out = percentiles_of(ds, days, within, names, How(method, window, min_years))
    tell_too_few(out, ds, names, "_percentile", days[within], window, min_years)
    return add_history(out.assign_attrs(ds.attrs), "percentile", method=method, window=window, min_years=min_years,
                       time=time, variables=variables)  # fmt: skip
