"""Scores of gridded soil moisture against stations (Rabiei et al., 2024, sections 2.6 and 3)."""

from __future__ import annotations

from typing import Annotated, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data import cf
from xsm.data.time import utc_times
from xsm.validation.scoring import GROUPINGS, score_maps


@operation(title="Validate against stations", group="Validation", result=Kind.TABLE)
def validate(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture maps.", label="Maps")],
    stations: Annotated[
        xr.Dataset,
        Param(
            "Stations as opened from USCRN, SCAN or ISMN, or a CSV with station, time, soil_moisture, lat, lon, depth.",
            kind=Kind.STATIONS,
        ),
    ],
    *,
    variables: Annotated[
        tuple[str, ...] | None, Param("Soil moisture to score; by default every known variable.")
    ] = None,
    by: Annotated[tuple[str, ...], Param(f"Group means: {', '.join(GROUPINGS)}.", label="Group by")] = (),
    method: Annotated[
        Literal["nearest", "bilinear"], Param("How a station's value is taken from the cells.", advanced=True)
    ] = "nearest",
    subsurface: Annotated[
        Literal["20", "10-20"], Param("Depth of the subsurface reference.", unit="cm", advanced=True)
    ] = "20",
    surface: Annotated[Literal["5", "5-10"], Param("Depth of the surface reference.", unit="cm", advanced=True)] = "5",
    min_days: Annotated[
        int | None, Param("Fewest days that a station needs; by default 60, or a third of a shorter period.", minimum=3)
    ] = None,
    interval: Annotated[
        Literal["fisher", "bootstrap"],
        Param("Confidence intervals: of R, or of all by a block bootstrap.", advanced=True),
    ] = "fisher",
    anomaly: Annotated[bool, Param("Also correlate the anomalies from a moving mean of 35 days.")] = False,
    common: Annotated[
        bool, Param("Score all products of a layer on the same days and stations.", advanced=True)
    ] = True,
    time: Annotated[slice | None, Param("Period, both days included.", kind=Kind.PERIOD)] = None,
    include_training_stations: Annotated[
        bool, Param("Also score at stations that the maps learnt from.", advanced=True)
    ] = False,
) -> xr.Dataset:
    """Score gridded soil moisture against stations.

    Estimates and land model are compared with UTC-day means of the stations (at least 20 of 24 hours), SMAP retrievals
    with the station's hour nearest to ``obs_time``, or the day where either has no hours. Days that ``frozen`` marks in
    the cell, and hours below 273.15 K in the station's own soil, take no part.

    Parameters
    ----------
    ds : xarray.Dataset
        Dims ``(time, y, x)`` on an EASE-Grid 2.0 or ``(time, lat, lon)``, one step per UTC day, m3 m-3. Only the
        stations' cells are computed.
    stations : xarray.Dataset
        ``soil_moisture`` (m3 m-3) with dims ``(sensor, time)``, flagged values NaN (documentation: Decisions,
        "Stations"). Of several sensors at one depth of a station the one with the most values is used.
    variables : sequence of str, optional
        Names in `PRODUCTS`, or variables with an attribute ``depth`` of 5 or 25 (cm).
    by : sequence of str
        Groupings: ``network``, ``land_cover``, ``texture`` (USDA class of the upper layer), ``texture_group``.
    method : {"nearest", "bilinear"}
        The station's cell, or the four around it where that cell is valid.
    subsurface, surface : str
        Depths in cm; two depths are averaged where the station has both.
    min_days : int, optional
        Fewest days for a score; 60 by default, or a third of a period of less than 180 days. The attribute
        ``min_days`` of the result says which.
    interval : {"fisher", "bootstrap"}
        95 percent intervals: Fisher's of R with the effective number of days, or of R, RMSE, bias and ubRMSE by a block
        bootstrap (30 days, 1000 draws), which takes about 50 ms per product and station.
    anomaly : bool
        Adds ``r_anomaly``, the correlation of the anomalies from a moving mean of 35 days.
    common : bool
        Whether all products of a layer share days and stations.
    time : slice, optional
        First and last day.
    include_training_stations : bool
        Fused maps that learnt from stations are not scored there unless this says so, with a warning.

    Returns
    -------
    xarray.Dataset
        Scores (see `SCORES`, `OPTIONAL`) with dims ``(product, station)``; their ``<score>_mean`` and
        ``<score>_median`` over the stations and ``<score>_by_<grouping>`` with ``count_by_<grouping>``;
        ``excluded(sensor)``, which says why a sensor takes no part ("" where it does), and ``remarks(sensor)``, which
        says what of a sensor was left out or is doubtful: values outside 0 to 1, values above the porosity of the
        cell's soil. `to_frame` turns the scores into a tidy table.

    Raises
    ------
    DataError
        For wrong units, dates that do not overlap, or when no station is left.
    UsageError
        For unknown variables or groupings.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> scores = cube.sm.validate(stations, variables=["sm_noah_0_10"], min_days=10)
    >>> scores["r"].dims, bool(scores["rmse_median"][0] < 0.2)
    (('product', 'station'), True)
    """
    table = score_maps(
        utc_times(ds), utc_times(stations, "The stations"),
        variables=variables, by=by, method=method, subsurface=subsurface, surface=surface,
        min_days=min_days, interval=interval, anomaly=anomaly, common=common, time=time,
        include_training_stations=include_training_stations,
    )  # fmt: skip
    return cf.add_history(table, "validate", variables=variables, by=by, method=method, surface=surface,
                          subsurface=subsurface, min_days=table.attrs["min_days"], interval=interval, anomaly=anomaly,
                          common=common, time=time,
                          include_training_stations=include_training_stations or None)  # fmt: skip
