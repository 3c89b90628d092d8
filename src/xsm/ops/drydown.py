"""E-folding times of drying soil."""

from __future__ import annotations

from typing import Annotated

import xarray as xr

from xsm.contracts.operation import Param, operation
from xsm.data.cf import add_history
from xsm.data.series import series_of
from xsm.ops.climatology import Variables
from xsm.series.drydowns import drydowns


@operation(title="Drydowns", group="Series", keeps_type=True)
def drydown(
    ds: Annotated[xr.Dataset, Param("Daily series, with gaps or without.")],
    *,
    min_values: Annotated[int, Param("Fewest values of an event.", minimum=4)] = 4,
    max_gap: Annotated[int, Param("Longest time between two values of an event.", unit="days", minimum=1)] = 5,
    rise: Annotated[float, Param("Rise before an event, as a share of the series' range.", minimum=0, maximum=1)] = 0.1,
    noise: Annotated[
        float, Param("Rise that does not end an event, as a share of the series' range.", minimum=0, maximum=1)
    ] = 0.02,
    min_r2: Annotated[float, Param("Least share of the variance that a fit explains.", minimum=0, maximum=1)] = 0.7,
    events: Annotated[bool, Param("Add a table of the events.")] = False,
    variables: Variables = None,
) -> xr.Dataset:
    """Measure how fast soil dries after rain, event by event.

    An event starts at the peak of a rise and lasts as long as the values fall, up to the noise; a gap of more than
    ``max_gap`` days ends it. To each event ``a exp(-t / tau) + floor`` is fitted by least squares, with the floor
    between the series' smallest value and the event's last (McColl et al. 2017, Shellito et al. 2016). Events whose tau
    is not determined within 0.1 to 200 days, or whose fit explains less than ``min_r2``, are left out.
    In a short record that never dries out, the smallest value is too high a floor and tau comes out too short.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Daily values in time and any other dims; NaN and absent days are gaps. Lazy or not.
    min_values : int
        Values that an event needs, the peak included.
    max_gap : int
        Days between two values.
    rise, noise : float
        Shares of the range of the series between its 5th and 95th percentile, so that any unit will do.
    min_r2 : float
        Least share of the variance.
    events : bool
        Adds variables of single events along the dim ``event``, as long as needed, or as possible for lazy data.
    variables : sequence of str, optional
        By default all soil moisture, or the only series.

    Returns
    -------
    Dataset or DataFrame
        ``<v>_drydown``: median of tau (days), with the quartiles ``<v>_drydown_low`` and ``<v>_drydown_high``;
        ``<v>_drydown_n``: number of events; ``<v>_drydown_floor`` and ``<v>_drydown_r2``: medians. NaN for fewer than 3
        events. On request ``<v>_drydown_event_start`` (date), ``<v>_drydown_event_length`` and
        ``<v>_drydown_event_tau`` (days), ``<v>_drydown_event_amplitude``, ``<v>_drydown_event_floor`` and
        ``<v>_drydown_event_r2``.

    Raises
    ------
    DataError
        For monthly data, or where days come twice.

    References
    ----------
    McColl, K. A. et al. (2017). Geophysical Research Letters 44, 3682-3690.
    Shellito, P. J. et al. (2016). Geophysical Research Letters 43, 9668-9675.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import xsm
    >>> drying = np.tile(0.1 + 0.2 * np.exp(-np.arange(60) / 6), 5)
    >>> series = pd.Series(drying, pd.date_range("2021-04-01", periods=300), name="sm")
    >>> round(float(xsm.drydown(series)["sm_drydown"]), 1)
    6.0
    """
    ds, dates, names = series_of(ds, variables)
    out = drydowns(ds, dates, names, (min_values, max_gap, rise, noise, min_r2), events)
    return add_history(out.assign_attrs(ds.attrs), "drydown", min_values=min_values, max_gap=max_gap, rise=rise,
                       noise=noise, min_r2=min_r2, variables=variables)  # fmt: skip
