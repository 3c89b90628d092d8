"""Rescaling to the climate of a reference."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.period import day_mask
from xsm.data.series import days_of
from xsm.ops.climatology import Variables
from xsm.series.alongside import compared
from xsm.series.rescaling import rescaled


@operation(title="Rescale to a reference", group="Series", keeps_type=True)
def rescale(
    ds: Annotated[xr.Dataset, Param("Series to rescale, with gaps or without.")],
    reference: Annotated[Any, Param("Data that have the reference.", kind=Kind.DATASET)] = None,
    *,
    to: Annotated[
        str | None, Param("Variable of the reference; of the input itself where no reference is given.")
    ] = None,
    method: Annotated[
        Literal["mean_std", "linreg", "cdf", "qdm"], Param("What of the reference the result shall have.")
    ] = "mean_std",
    time: Annotated[Any, Param("Period to learn from, both days included.", kind=Kind.PERIOD)] = None,
    variables: Variables = None,
) -> xr.Dataset:
    """Rescale series to the mean, the spread or the distribution of a reference.

    In each cell the parameters are learnt on the days that both have, and applied to all days. Results are not clipped.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Values of days or months in time and any other dims; NaN and absent times are gaps. Lazy or not.
    reference : Dataset, DataArray, Series or DataFrame, optional
        Series of the same cells, or one for all of them, of days where the data are of days, else of months.
    to : str, optional
        The reference's variable; without ``reference`` one of ``ds``.
    method : str
        ``"mean_std"``: mean and standard deviation. ``"linreg"``: least squares of the reference on the data, which
        damps what does not agree. ``"cdf"``: piecewise linear matching of up to 100 quantiles with at least 20 values
        each, the outer bins by regression (Moesinger et al. 2020), as in pytesmo. ``"qdm"``: quantile delta mapping
        (Cannon et al. 2015), which keeps the change of each quantile between the common days and all days, also beyond
        the learnt range; multiplicative for soil moisture, which cannot be negative, additive for other quantities.
    time : slice or str, optional
        Period to learn from, such as ``"2015/2019"``; by default all common days.
    variables : sequence of str, optional
        By default all soil moisture, or the only series.

    Returns
    -------
    Dataset, DataArray, Series or DataFrame
        ``<v>_rescaled`` in the unit of the reference; the attribute ``rescaling`` names the method. NaN where fewer
        than 30 days (months) are common, or one of both is constant on them.

    Raises
    ------
    UsageError
        Without a reference.
    DataError
        Where the reference has other days or cells, or no common day lies in the period.

    References
    ----------
    Moesinger, L. et al. (2020). Earth System Science Data 12, 177-196.
    Cannon, A. J., Sobie, S. R., Murdock, T. Q. (2015). Journal of Climate 28, 6938-6959.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("gappy_cube", size=16, days=90)
    >>> result = cube.sm.rescale(to="sm_noah_0_10", method="linreg", variables=["sm_dca"])
    >>> list(result), result["sm_dca_rescaled"].attrs["rescaling"]
    (['sm_dca_rescaled'], 'linear regression')
    """
    ds, dates = days_of(ds, months=True)
    ds, names, other = compared(ds, reference, to, variables)
    learning = None if time is None else day_mask(dates, time, "time")
    out = rescaled(ds, names, other, learning, method)
    return add_history(out.assign_attrs(ds.attrs), "rescale", to=to, method=method, time=time, variables=variables)
