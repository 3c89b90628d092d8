"""Anomalies: how far each day is from what is usual."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.series import series_of
from xsm.errors import UsageError
from xsm.ops.climatology import Variables
from xsm.series.anomaly import as_climatology, from_climatology, from_moving_mean, leap_rule
from xsm.series.climatology import How, climatology_of
from xsm.series.reference_period import period_mask, tell_base


@operation(title="Anomaly", group="Series", keeps_type=True)
def anomaly(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture, with gaps or without.")],
    *,
    method: Annotated[
        Literal["moving", "climatology"] | None,
        Param("From a moving mean or a climatology; by default a climatology where one is an input."),
    ] = None,
    window: Annotated[
        int, Param("Width of the moving mean, or of the climatology's window.", unit="days", minimum=1)
    ] = 35,
    climatology: Annotated[
        Any, Param("Climatology to compare with; by default that of the input.", kind=Kind.DATASET)
    ] = None,
    standardise: Annotated[bool, Param("Divide by the standard deviation.")] = False,
    min_obs: Annotated[int, Param("Fewest values of a mean.", minimum=1)] = 1,
    leap_days: Annotated[
        bool | None, Param("Count 29 February in every year; by default as the climatology does.", advanced=True)
    ] = None,
    time: Annotated[Any, Param("Reference period of the climatology; by default all.", kind=Kind.PERIOD)] = None,
    variables: Variables = None,
) -> xr.Dataset:
    """Compute anomalies from a moving mean or from a climatology.

    Short-term anomalies, from a moving mean of 35 days, show single storms and dry spells; those from a climatology
    show whole seasons that are wet or dry. Both give the numbers of ``pytesmo.time_series.anomaly.calc_anomaly``.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Daily values in time and any other dims; NaN and absent days are gaps. Lazy or not.
    method : {"moving", "climatology"}, optional
        By default ``"climatology"`` where one is an argument, else ``"moving"``.
    window : int
        Width in days of the moving mean, which is centred and cut at the ends; or of the window of the climatology that
        is computed from ``ds``.
    climatology : Dataset, DataArray, Series or DataFrame, optional
        Result of `climatology`, or any data with 366 days of year, of the same cells; by default that of ``ds``.
    standardise : bool
        Divide by the standard deviation: that of the values in the moving window (Albergel et al., 2009), or the
        climatology's.
    min_obs : int
        Fewest values in the moving window, or in the first smoothing of the climatology of ``ds``.
    leap_days : bool, optional
        How the climatology counts days, as for `climatology`; by default as its attribute says, else True.
    time : slice or str, optional
        Reference period of the climatology that is computed from ``ds``.
    variables : sequence of str, optional
        By default all soil moisture, or the only series.

    Returns
    -------
    Dataset, DataArray, Series or DataFrame
        ``<v>_anomaly`` in the unit of the variable, or without one (standardised). NaN where the value is.

    Raises
    ------
    DataError
        Where days come twice, or the climatology has other variables, cells or dims.
    UsageError
        For arguments that contradict each other, or an unknown variable.

    References
    ----------
    Albergel, C. et al. (2009). Hydrology and Earth System Sciences 13, 115-124.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("gappy_cube", size=16, days=60)
    >>> cube["sm_dca"].sm.anomaly(window=31).attrs["long_name"].split(" (")[0]
    'Anomaly from the moving mean of 31 days'
    """
    if method == "moving" and climatology is not None:
        raise UsageError("anomaly got a climatology for anomalies from a moving mean.", hint="Leave one of them out.")
    if climatology is not None and time is not None:
        raise UsageError("anomaly got a climatology and the reference period of another one.",
                         hint="Leave <time=> out, or compute the climatology of that period.")  # fmt: skip
    method = method or ("moving" if climatology is None else "climatology")
    if method == "moving" and (time is not None or leap_days is not None):
        raise UsageError("A moving mean has neither a reference period nor days of year.",
                         hint="Leave <time=> and <leap_days=> out, or choose <method=climatology>.")  # fmt: skip
    if method == "climatology" and window > 365:
        raise UsageError(f"'window' is {window}, expected at most 365 days of year.", hint="Choose a shorter one.")
    ds, days, names = series_of(ds, variables)
    if method == "moving":
        out = from_moving_mean(ds, days, names, window, standardise, min_obs)
        why = "Too few values lie in its windows, or all are the same."
    else:
        how = How(window=window, leap_days=leap_days is not False, min_obs=min_obs, std=standardise)
        if climatology is None:
            tell_base(method, days[period_mask(days, time)], "method")
        base = _base(ds, days, names, climatology, how, time)
        rule = leap_rule(base)
        if leap_days is not None and rule is not None and rule != leap_days:
            raise UsageError(f"The climatology was computed with leap_days={str(rule).lower()}.",
                             hint="Leave <leap_days=> out.")  # fmt: skip
        counted = next(r for r in (leap_days, rule, True) if r is not None)
        out = from_climatology(ds, days, names, base, counted, standardise)
        why = "The climatology has no value on its days."
    results = [f"{n}_anomaly" for n in names]
    tell_emptied(out, {f"{n}_anomaly": valid_share(ds[n]) for n in names}, why, results)
    return add_history(out.assign_attrs(ds.attrs), "anomaly", method=method, window=window, standardise=standardise,
                       min_obs=min_obs, time=time, variables=variables)  # fmt: skip


def _base(ds: xr.Dataset, days: np.ndarray, names: list[str], climatology: Any, how: How, time: Any) -> xr.Dataset:
    """The climatology that was an argument, or that of the data."""
    if climatology is not None:
        return as_climatology(climatology)
    return climatology_of(ds, days, period_mask(days, time), names, how)
