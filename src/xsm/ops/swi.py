"""Soil water index: from the surface to the root zone by an exponential filter."""

from __future__ import annotations

from typing import Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.series import days_of, series_of
from xsm.errors import UsageError
from xsm.ops.climatology import Variables
from xsm.series.alongside import compared
from xsm.series.swi import soil_water_index


@operation(title="Soil water index", group="Series", keeps_type=True)
def swi(
    ds: Annotated[xr.Dataset, Param("Soil moisture of the surface, with gaps or without.")],
    days: Annotated[float | None, Param("Time constant.", unit="days", minimum=0.1, maximum=400)] = None,
    *,
    reference: Annotated[
        Any, Param("Data to learn the time constant from, such as root-zone moisture.", kind=Kind.DATASET)
    ] = None,
    to: Annotated[
        str | None, Param("Variable of the reference; of the input itself where no reference is given.")
    ] = None,
    variables: Variables = None,
    quality: Annotated[bool, Param("Add how much of the filter's weight lies on observed days.")] = False,
) -> xr.Dataset:
    """Filter surface soil moisture exponentially into a soil water index.

    The recursive filter of Wagner et al. (1999) and Albergel et al. (2008) follows the moisture of a deeper layer. Days
    without a value carry the last index on.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Daily values in time and any other dims; NaN and absent days are gaps. Lazy or not.
    days : float, optional
        Time constant T in days: the larger, the deeper and slower. 5 to 10 days suit 20 cm, 20 days the upper metre.
    reference : Dataset, DataArray, Series or DataFrame, optional
        With it T is learnt in each cell: that of 1 to 100 days with the largest correlation on at least 30 days.
    to : str, optional
        The reference's variable; without ``reference`` one of ``ds``.
    variables : sequence of str, optional
        By default all soil moisture, or the only series.
    quality : bool
        Adds ``<v>_swi_quality``: how much of the filter's weight lies on observed days.

    Returns
    -------
    Dataset, DataArray, Series or DataFrame
        ``<v>_swi`` in the unit of the variable, on request ``<v>_swi_quality`` (percent). Where T is learnt also
        ``<v>_swi_days`` and ``<v>_swi_r`` of each cell and, if the dataset has ``texture``,
        ``<v>_swi_days_by_texture``, which cells without a reference take.

    Raises
    ------
    UsageError
        Where neither a time constant nor a reference is given, or both.
    DataError
        Where days come twice, or the reference has other days or cells.

    References
    ----------
    Wagner, W., Lemoine, G., Rott, H. (1999). Remote Sensing of Environment 70, 191-207.
    Albergel, C. et al. (2008). Hydrology and Earth System Sciences 12, 1323-1337.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("gappy_cube", size=16, days=60)
    >>> cube.sm.swi(10, variables=["sm_dca"])["sm_dca_swi"].dims
    ('time', 'y', 'x')
    >>> cube["sm_dca"].sm.swi(10).name
    'sm_dca_swi'
    """
    to_learn = reference is not None or to is not None
    if (days is None) != to_learn:
        raise UsageError(
            f"swi got {'a time constant and a reference' if to_learn else 'neither a time constant nor a reference'}.",
            hint="Give <days=10>, or data to learn it from with <reference=> or <to=>.",
        )
    other: xr.DataArray | None = None
    if to_learn:
        ds, dates = days_of(ds)
        ds, names, other = compared(ds, reference, to, variables)
    else:
        ds, dates, names = series_of(ds, variables)
    out = soil_water_index(ds, dates, names, days, other, quality)
    return add_history(out.assign_attrs(ds.attrs), "swi", days=days, to=to, variables=variables)
