"""Time lags between products or depths."""

from __future__ import annotations

from typing import Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.series import days_of
from xsm.ops.climatology import Variables
from xsm.series.alongside import compared
from xsm.series.lags import lagged, on_days_around


@operation(title="Lagged correlation", group="Series", keeps_type=True)
def lag(
    ds: Annotated[xr.Dataset, Param("Daily series, with gaps or without.")],
    reference: Annotated[Any, Param("Data that have the other series.", kind=Kind.DATASET)] = None,
    *,
    to: Annotated[
        str | None, Param("Variable of the reference; of the input itself where no reference is given.")
    ] = None,
    max_lag: Annotated[int, Param("Largest lag.", unit="days", minimum=1, maximum=366)] = 30,
    variables: Variables = None,
) -> xr.Dataset:
    """Correlate series with a reference some days earlier and later.

    A positive lag means that the reference follows the variable: deep soil follows the surface. The correlation at the
    lag k is that of the variable at t with the reference at t + k, which in pandas is ``v.corr(reference.shift(-k))``.
    A common season makes all lags alike; subtract it first where days matter.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Daily values in time and any other dims; NaN and absent days are gaps. Lazy or not.
    reference : Dataset, DataArray, Series or DataFrame, optional
        Series of the same cells, or one for all of them; days around those of ``ds`` count too.
    to : str, optional
        The reference's variable; without ``reference`` one of ``ds``.
    max_lag : int
        Lags from ``-max_lag`` to ``max_lag`` days.
    variables : sequence of str, optional
        By default all soil moisture, or the only series.

    Returns
    -------
    Dataset or DataFrame
        ``<v>_lag``: days with the largest correlation; at either end of the range, ``max_lag`` is too small.
        ``<v>_lag_r`` ``(lag, ...)``: Pearson correlation of at least 30 pairs of days.

    Raises
    ------
    UsageError
        Without a reference.
    DataError
        For monthly data, or where the reference has other days or cells.

    Examples
    --------
    >>> import xsm
    >>> truth = xsm.example("truth", size=16, days=90)
    >>> deep = truth.sm.lag(to="sm_25cm", variables=["sm_5cm"], max_lag=10)
    >>> int(deep["sm_5cm_lag"].median()) > 0, deep["sm_5cm_lag_r"].sizes["lag"]
    (True, 21)
    """
    ds, dates = days_of(ds)
    wide, _ = on_days_around(ds, dates, max_lag)
    wide, names, other = compared(wide, reference, to, variables)
    out = lagged(wide, names, other, max_lag)
    return add_history(out.assign_attrs(ds.attrs), "lag", to=to, max_lag=max_lag, variables=variables)
