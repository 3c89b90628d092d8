"""Errors of three products without a truth (triple collocation)."""

from __future__ import annotations

from typing import Annotated

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data import cf
from xsm.data.time import utc_times
from xsm.errors import UsageError
from xsm.validation.collocation import collocate


@operation(title="Triple collocation", group="Validation", result=Kind.TABLE)
def triple_collocation(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture maps.", label="Maps")],
    stations: Annotated[xr.Dataset, Param("Stations, the third product.", kind=Kind.STATIONS)],
    *,
    variables: Annotated[tuple[str, ...], Param("The two products beside the stations.")] = ("sm_dca", "sm_noah_0_10"),
    anomaly: Annotated[bool, Param("Compare anomalies from a moving mean of 35 days.")] = False,
    min_days: Annotated[
        int | None,
        Param("Fewest days that all three have; by default 100, or a third of a shorter period.", minimum=10),
    ] = None,
    time: Annotated[slice | None, Param("Period, both days included.", kind=Kind.PERIOD)] = None,
) -> xr.Dataset:
    """Estimate the errors of two products and of the stations without a truth.

    The covariances of three products whose errors are independent give the error variance of each (Gruber et al.,
    2016; `xsm.validation.metrics.triple_collocation`). Only the observed days of a gap-filled variable count, and
    frozen days take no part.

    Parameters
    ----------
    ds : xarray.Dataset
        Dims ``(time, y, x)`` or ``(time, lat, lon)``, one step per UTC day, m3 m-3.
    stations : xarray.Dataset
        ``soil_moisture`` (m3 m-3) with dims ``(sensor, time)``: at 5 cm, or at 20 cm for products of the subsurface; at
        the hour of the overpass where one of the products is a retrieval.
    variables : sequence of str
        Two products of one layer. Two that rest on the same data are refused, and so is an estimate beside what it was
        trained on.
    anomaly : bool
        Compare anomalies from a moving mean of 35 days, so that a common season is not taken for agreement.
    min_days : int, optional
        Fewest days that all three have; 100 by default, or a third of a period of less than 300 days, with a warning:
        errors from so few days are uncertain, as their intervals show.
    time : slice, optional
        First and last day.

    Returns
    -------
    xarray.Dataset
        ``error_std``, ``snr``, ``r_truth`` and ``scale`` with dims ``(product, station)``, ``_low`` and ``_high`` of a
        95 percent block bootstrap (30 days, 1000 draws) and ``_median`` over the stations; ``n(station)``;
        ``note(station)`` where there is no result; ``excluded`` and ``remarks`` as of `validate`.

    Raises
    ------
    UsageError
        For products that are not independent or not of one layer.
    DataError
        When no station is left.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=60) for n in ("gappy_cube", "stations"))
    >>> errors = cube.sm.triple_collocation(stations, min_days=10)
    >>> errors["product"].values.tolist()
    ['sm_dca', 'sm_noah_0_10', 'station']
    """
    if len(variables) != 2 or len(set(variables)) != 2:
        raise UsageError(
            f"Triple collocation got {', '.join(variables) or 'no product'}, expected two beside the stations.",
            hint="Give <variables=sm_dca,sm_noah_0_10>.",
        )
    table = collocate(
        utc_times(ds), utc_times(stations, "The stations"), variables, anomaly=anomaly, min_days=min_days, time=time
    )
    return cf.add_history(table, "triple_collocation", variables=variables, anomaly=anomaly,
                          min_days=table.attrs["min_days"], time=time)  # fmt: skip
