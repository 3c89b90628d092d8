"""Scores of gridded soil moisture against stations (Rabiei et al., 2024, sections 2.6 and 3)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data import cf
from xsm.data.roles import with_roles
from xsm.io.tables import as_pair
from xsm.ops.cube import Roles
from xsm.validation.scoring import GROUPINGS, score_maps

Data = Annotated[Any, Param("Daily soil moisture: maps or series.", label="Maps", kind=Kind.DATASET)]
Reference = Annotated[
    Any,
    Param(
        "Stations as opened from ISMN or another network, or a CSV with station, time, soil_moisture, lat, lon, depth.",
        kind=Kind.STATIONS,
    ),
]
Variables = Annotated[tuple[str, ...] | None, Param("Soil moisture to score; by default every known variable.")]
Method = Annotated[
    Literal["nearest", "bilinear"], Param("How a station's value is taken from the cells.", advanced=True)
]
AtDepth = Annotated[
    tuple[str, ...] | None,
    Param("Depth or range of the stations, such as 20 or 0-100: one for all products, or one for each.", unit="cm"),
]
DepthMethod = Annotated[
    Literal["nearest", "interpolate"],
    Param("Sensors within 1 cm of a depth, or interpolated from those around it.", advanced=True),
]
Tolerance = Annotated[
    float | None,
    Param("Longest time between a retrieval and the station's value; by default the nearest hour.", unit="h",
          minimum=0, maximum=48, advanced=True),
]  # fmt: skip
Rescale = Annotated[
    Literal["none", "mean_std", "linreg", "cdf"], Param("Bring each product to the level of the station first.")
]
MinDays = Annotated[
    int | None, Param("Fewest days that a station needs; by default 60, or a third of a shorter period.", minimum=3)
]
Common = Annotated[bool, Param("Score all products of a layer on the same days and stations.", advanced=True)]
AnomalyFrom = Annotated[
    Literal["moving", "climatology"],
    Param("What anomalies are taken from: the moving mean, or the climatology of each series.", advanced=True),
]
Period = Annotated[slice | None, Param("Period, both days included.", kind=Kind.PERIOD)]


@operation(title="Validate against stations", group="Validation", result=Kind.TABLE)
def validate(
    ds: Data,
    stations: Reference,
    *,
    variables: Variables = None,
    by: Annotated[tuple[str, ...], Param(f"Group means: {', '.join(GROUPINGS)}.", label="Group by")] = (),
    method: Method = "nearest",
    subsurface: Annotated[
        Literal["20", "10-20"], Param("Depth of the subsurface reference.", unit="cm", advanced=True)
    ] = "20",
    surface: Annotated[Literal["5", "5-10"], Param("Depth of the surface reference.", unit="cm", advanced=True)] = "5",
    depth: AtDepth = None,
    depth_method: DepthMethod = "nearest",
    tolerance: Tolerance = None,
    rescale: Rescale = "none",
    min_days: MinDays = None,
    interval: Annotated[
        Literal["fisher", "bootstrap"],
        Param("Confidence intervals: of R, or of all by a block bootstrap.", advanced=True),
    ] = "fisher",
    anomaly: Annotated[bool, Param("Also correlate the anomalies from a moving mean of 35 days.")] = False,
    anomaly_from: AnomalyFrom = "moving",
    common: Common = True,
    time: Period = None,
    include_training_stations: Annotated[
        bool, Param("Also score at stations that the maps learnt from.", advanced=True)
    ] = False,
    roles: Roles = None,
) -> xr.Dataset:
    """Score soil moisture, maps or series, against stations or other series.

    Estimates and land model are compared with UTC-day means of the stations (at least 20 of 24 hours), retrievals with
    the station's hour nearest to ``obs_time``, or the day where either has no hours. Days that ``frozen`` marks in
    the cell, and hours below 273.15 K in the station's own soil, take no part.

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Soil moisture in m3 m-3, one step per UTC day: maps ``(time, y, x)`` on an EASE-Grid 2.0 or
        ``(time, lat, lon)``, cells ``(time, cell)``, or a series. Of maps only the stations' cells are computed. A cell
        whose size cannot be known (a single one, or a list) is compared with stations up to 25 km from its centre.
    stations : Dataset, DataArray, Series or DataFrame
        ``soil_moisture`` (m3 m-3) with dims ``(sensor, time)``, flagged values NaN (documentation: Decisions,
        "Stations"), or a table with the columns ``station``, ``time``, ``soil_moisture``, ``lat``, ``lon`` and
        ``depth``. Of several sensors at one depth of a station the one with the most values is used. Also a series, or
        a table with times as its index and a column for each series: they need no place, and those of ``(time, cell)``
        belong to the cells of ``ds`` of the same label. Stations ``(time, station)`` with ``lat`` and ``lon`` are taken
        at their places, at the depth in their attribute ``depth`` or else at ``depth``. Where ``ds`` and ``stations``
        are tables with several columns of the same names, these are compared with each other.
    variables : sequence of str, optional
        Estimates, variables whose attribute ``role`` says what they are, with an attribute ``depth`` (cm, or a range
        such as ``"0-100"``), or any with ``depth``.
    by : sequence of str
        Groupings: ``network``, ``land_cover``, ``texture`` (USDA class of the upper layer), ``texture_group``; and
        ``season`` for the scores of December to February and so on.
    method : {"nearest", "bilinear"}
        The station's cell, or the four around it where that cell is valid.
    subsurface, surface : str
        Depths in cm of products that are known by name; two depths are averaged where the station has both.
    depth : str or sequence of str, optional
        Depth at which the stations are taken, instead of the above: ``20``, or a range ``"0-100"``, for all products or
        one for each. Of a range the sensors inside are averaged, each with the weight of the layer that it represents;
        no part of it may be further from a sensor than 10 cm or two thirds of its thickness.
    depth_method : {"nearest", "interpolate"}
        A sensor within 1 cm of ``depth`` (2 percent below 50 cm), else none; or linearly between the sensors around.
    tolerance : float, optional
        Hours between ``obs_time`` and the nearest value of the station, at most; also where the stations have fewer
        than 24 values per day, and for variables whose attribute ``role`` is ``retrieval``.
    rescale : {"none", "mean_std", "linreg", "cdf"}
        Give each product the mean and standard deviation of the station, regress the station on it, or match their
        distributions, on the days that are scored, of which 30 are needed; see `rescale`. The bias is then about zero.
    min_days : int, optional
        Fewest days for a score; 60 by default, or a third of a period of less than 180 days. The attribute
        ``min_days`` of the result says which.
    interval : {"fisher", "bootstrap"}
        95 percent intervals: Fisher's of R with the effective number of days, or of R, RMSE, bias and ubRMSE by a block
        bootstrap (30 days, 1000 draws), which takes about 50 ms per product and station.
    anomaly : bool
        Adds ``r_anomaly``, the correlation of the anomalies from a moving mean of 35 days, or as ``anomaly_from`` says.
    anomaly_from : {"moving", "climatology"}
        Short-term anomalies from the moving mean, or those from the `climatology` of each series on the days that are
        compared, which also show whole seasons that are wet or dry.
    common : bool
        Whether all products of a layer share days and stations.
    time : slice, optional
        First and last day.
    include_training_stations : bool
        Fused maps that learnt from stations are not scored there unless this says so, with a warning.
    roles : mapping of str to str, optional
        Variables that hold a role where several could, or none says so: ``{"model_surface": "swvl1"}``; see
        `xsm.data.roles`. A retrieval is judged at 5 cm, a land model at the depth of its role.

    Returns
    -------
    xarray.Dataset
        Scores (see `SCORES`, `OPTIONAL`) with dims ``(product, station)``; their ``<score>_mean`` and
        ``<score>_median`` over the stations and ``<score>_by_<grouping>`` with ``count_by_<grouping>``;
        ``<score>_by_season`` with dims ``(product, station, season)``; ``reference(product)``, the depth of the
        stations; ``excluded(sensor)``, which says why a sensor takes no part ("" where it does), and
        ``remarks(sensor)``, which says what of a sensor was left out or is doubtful: values outside 0 to 1, values
        above the porosity of the cell's soil. `to_frame` turns the scores into a tidy table.

    Raises
    ------
    DataError
        For wrong units, dates that do not overlap, or when no station is left.
    UsageError
        For unknown variables or groupings, swapped arguments, or depths that are none.

    See Also
    --------
    matchup : The pairs of values that are scored.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> scores = cube.sm.validate(stations, variables=["sm_noah_0_10"], min_days=10)
    >>> scores["r"].dims, bool(scores["rmse_median"][0] < 0.2)
    (('product', 'station'), True)
    >>> one = cube["sm_noah_0_10"].isel(y=5, x=5, drop=True)
    >>> xsm.validate(one, one * 0.9)["r"].values.round(3)
    array([[1.]])
    """
    data, reference, names = as_pair(ds, stations, variables)
    table = score_maps(
        with_roles(data, roles), reference,
        variables=names, by=by, method=method, subsurface=subsurface, surface=surface, depth=depth,
        depth_method=depth_method, tolerance=tolerance, rescale=rescale,
        min_days=min_days, interval=interval, anomaly=anomaly_from if anomaly else None, common=common, time=time,
        include_training_stations=include_training_stations,
    )  # fmt: skip
    return cf.add_history(table, "validate", variables=variables, by=by, method=method, surface=surface,
                          subsurface=subsurface, depth=depth, tolerance=tolerance,
                          rescale=None if rescale == "none" else rescale,
                          min_days=table.attrs["min_days"], interval=interval, anomaly=anomaly,
                          anomaly_from=anomaly_from if anomaly else None,
                          common=common, time=time,
                          include_training_stations=include_training_stations or None, roles=roles)  # fmt: skip
