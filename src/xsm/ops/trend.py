"""Trends of soil moisture over years."""

from __future__ import annotations

from typing import Annotated, Literal

import xarray as xr

from xsm.contracts.operation import Param, operation
from xsm.data.cf import add_history
from xsm.data.series import series_of
from xsm.ops.climatology import Variables
from xsm.series.trends import trends


@operation(title="Trend", group="Series", keeps_type=True)
def trend(
    ds: Annotated[xr.Dataset, Param("Series of several years, with gaps or without.")],
    by: Annotated[Literal["year", "month", "day"], Param("Steps that are compared.", label="Group by")] = "year",
    *,
    test: Annotated[
        Literal["hamed_rao", "plain"], Param("Mann-Kendall test with a correction for autocorrelation, or without.")
    ] = "hamed_rao",
    per: Annotated[Literal["decade", "year"], Param("Unit of time of the slope.")] = "decade",
    min_share: Annotated[float, Param("Share of its days that a year or month needs.", minimum=0, maximum=1)] = 0.3,
    min_years: Annotated[int, Param("Fewest years of a trend.", minimum=3)] = 5,
    variables: Variables = None,
) -> xr.Dataset:
    """Estimate robust trends with an interval and a test.

    The slope of Theil and Sen is the median of the slopes of all pairs of years, or of all pairs of the same month.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Daily values, or one of each month, in time and any other dims; NaN and absent times are gaps. Lazy or not.
    by : str
        ``"year"``: yearly means. ``"month"``: monthly means, compared within each month of the year, so that the
        season and winters without data do no harm. ``"day"``: all days; the time grows with their square.
    test : str
        ``"hamed_rao"`` corrects the variance of Mann-Kendall for autocorrelation; its p is NaN where the correction
        leaves no variance. ``"plain"`` does not. Months are tested by the seasonal Kendall test in either case.
    per : str
        Slopes ``"decade-1"`` or ``"year-1"``.
    min_share : float
        Share of its days, or of the months of monthly data, with values that a year or month needs; years and months of
        which the record covers less than 90 % are left out anyway. The default suits satellites that pass every three
        days.
    min_years : int
        Years with that share that a series needs.
    variables : sequence of str, optional
        By default all soil moisture, or the only series.

    Returns
    -------
    Dataset, DataArray, Series or DataFrame
        ``<v>_trend`` with the bounds of its 95 % interval ``<v>_trend_low`` and ``<v>_trend_high`` (Sen 1968, not
        corrected for autocorrelation), ``<v>_trend_p`` (two-sided), ``<v>_trend_intercept`` (the line at the first
        step), ``<v>_trend_n`` (steps with values).

    Raises
    ------
    DataError
        For a record of fewer whole years than ``min_years``.
    UsageError
        For trends of days of monthly data.

    References
    ----------
    Sen, P. K. (1968). Journal of the American Statistical Association 63, 1379-1389.
    Hamed, K. H., Rao, A. R. (1998). Journal of Hydrology 204, 182-196.
    Hirsch, R. M., Slack, J. R. (1984). Water Resources Research 20, 727-732.

    Examples
    --------
    >>> import pandas as pd
    >>> import xsm
    >>> days = pd.date_range("2011-01-01", "2020-12-31")
    >>> drying = pd.Series(0.3 - 0.002 * (days.year - 2011), days, name="sm")
    >>> round(float(xsm.trend(drying)["sm_trend"]), 4)
    -0.02
    """
    ds, dates, names = series_of(ds, variables, months=True)
    out = trends(ds, dates, names, by, test == "plain", per, min_share, min_years)
    return add_history(out.assign_attrs(ds.attrs), "trend", by=by, test=test, per=per, min_share=min_share,
                       variables=variables)  # fmt: skip
