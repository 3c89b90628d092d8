"""The pairs of values of products and stations that are scored."""

from __future__ import annotations

from typing import Annotated

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data import cf
from xsm.io.tables import as_pair
from xsm.ops.validate import (
    AtDepth,
    Common,
    Data,
    DepthMethod,
    Method,
    MinDays,
    Period,
    Reference,
    Rescale,
    Tolerance,
    Variables,
)
from xsm.validation.matched import match, pair_table


@operation(title="Match with stations", group="Validation", result=Kind.TABLE)
def matchup(
    ds: Data,
    stations: Reference,
    *,
    variables: Variables = None,
    method: Method = "nearest",
    depth: AtDepth = None,
    depth_method: DepthMethod = "nearest",
    tolerance: Tolerance = None,
    rescale: Rescale = "none",
    min_days: MinDays = None,
    common: Common = True,
    time: Period = None,
    include_training_stations: Annotated[
        bool, Param("Also take stations that the maps learnt from.", advanced=True)
    ] = False,
) -> xr.Dataset:
    """List the pairs of product and station that `validate` scores with the same arguments.

    Parameters
    ----------
    ds, stations, variables, method, depth, depth_method, tolerance, rescale, min_days, common, time
        As for `validate`; ``min_days=3`` keeps stations with few days.
    include_training_stations : bool
        Also take stations that the maps learnt from.

    Returns
    -------
    xarray.Dataset
        One dim ``pair``: ``product``, ``station``, ``network``, ``time`` (the UTC day), ``value`` and ``reference``
        (m3 m-3), ``depth``, ``matching``, ``lat`` and ``lon`` of the station, ``distance`` to the centre of its cell
        (km). The attribute ``left_out`` counts the sensors that take no part. `to_frame` gives a data frame, and the
        command line writes a CSV.

    Raises
    ------
    DataError, UsageError
        As `validate`.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> pairs = cube.sm.matchup(stations, variables=["sm_noah_0_10"], min_days=10)
    >>> pairs["value"].dims, xsm.to_frame(pairs).columns[:4].tolist()
    (('pair',), ['product', 'station', 'network', 'time'])
    """
    data, reference, names = as_pair(ds, stations, variables)
    matched = match(data, reference, variables=names, method=method, depth=depth, depth_method=depth_method,
                    tolerance=tolerance, rescale=rescale, min_days=min_days, common=common, time=time,
                    leave_out=() if include_training_stations else None)  # fmt: skip
    table = pair_table(matched, reference, data)
    return cf.add_history(table, "matchup", variables=variables, method=method, depth=depth, tolerance=tolerance,
                          rescale=None if rescale == "none" else rescale, min_days=matched.min_days, common=common,
                          time=time)  # fmt: skip
