"""Drought: classes of the US Drought Monitor, and the area in each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.ranges import checked
from xsm.data.series import days_of, series_names
from xsm.errors import UsageError
from xsm.series.drought import drought_of, percentile_names
from xsm.series.percentile import How, percentiles_of
from xsm.series.reference_period import period_mask, tell_too_few


@operation(title="Drought", group="Series", keeps_type=True)
def drought(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture of several years, or percentiles of it.")],
    *,
    method: Annotated[
        Literal["empirical", "beta"], Param("Percentiles by ranks, or by a fitted beta distribution.")
    ] = "empirical",
    window: Annotated[int, Param("Width of the window of days of year.", unit="days", minimum=1, maximum=365)] = 31,
    min_years: Annotated[int, Param("Fewest years with a value in the window.", minimum=1)] = 5,
    time: Annotated[Any, Param("Reference period, both days included; by default all.", kind=Kind.PERIOD)] = None,
    variables: Annotated[
        tuple[str, ...] | None, Param("Variables; by default all percentiles, else all soil moisture.")
    ] = None,
) -> xr.Dataset:
    """Classify days into the classes D0 to D4 of the US Drought Monitor, by their percentiles.

    D0 (abnormally dry) is up to 30 percent, D1 (moderate drought) up to 20, D2 (severe) up to 10, D3 (extreme) up to 5
    and D4 (exceptional) up to 2 percent (Svoboda et al., 2002).

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Results of `percentile`, or soil moisture, of which percentiles are computed. Lazy or not.
    method : {"empirical", "beta"}
        This and the next three are those of `percentile`; for percentiles leave them out.
    window : int
        Width in days of year.
    min_years : int
        Fewest years in the window.
    time : slice or str, optional
        Reference period.
    variables : sequence of str, optional
        By default all percentiles, or where there are none all soil moisture.

    Returns
    -------
    Dataset, DataArray, Series or DataFrame
        ``<v>_drought``, uint8: 0 none, 1 to 5 for D0 to D4, 255 where there is no percentile. Of maps and tables of
        cells also ``<v>_drought_area(time, drought_class)``: percent of the area with a class that is in this class or
        a worse one, so that D0 has all drought. Cells are weighted by their area on latitudes and longitudes and count
        the same elsewhere; the attribute ``comment`` says which.

    Raises
    ------
    DataError
        Where days come twice, or percentiles have another unit than percent.
    UsageError
        For options of `percentile` where the input has percentiles already, or an unknown variable.

    References
    ----------
    Svoboda, M. et al. (2002). Bulletin of the American Meteorological Society 83, 1181-1190.

    Examples
    --------
    >>> import pandas as pd, xsm
    >>> days = pd.date_range("2021-07-01", periods=4)
    >>> xsm.drought(pd.Series([50, 25, 9, 1], days, name="sm_percentile")).tolist()
    [0, 1, 3, 5]
    """
    ds, days = days_of(ds)
    ranked = [n for n in percentile_names(ds) if variables is None or n in variables]
    moist = [n for n in series_names(ds, variables) if n not in ranked] if variables or not ranked else []
    how = How(method, window, min_years)
    if not moist and (how != How() or time is not None):
        raise UsageError(
            f"{', '.join(map(repr, ranked))} {'are' if len(ranked) > 1 else 'is'} percentiles already.",
            hint="Leave <method=>, <window=>, <min_years=> and <time=> out, or give soil moisture.",
        )
    if moist:
        ds = checked(ds, moist)
        within = period_mask(days, time)
        ranks = percentiles_of(ds, days, within, moist, how)
        tell_too_few(ranks, ds, moist, "_percentile", days[within], window, min_years)
        ds = ds.assign(ranks.data_vars)
    out = drought_of(ds, [*ranked, *(f"{n}_percentile" for n in moist)])
    return add_history(out.assign_attrs(ds.attrs), "drought", method=method, window=window, min_years=min_years,
                       time=time, variables=variables)  # fmt: skip
