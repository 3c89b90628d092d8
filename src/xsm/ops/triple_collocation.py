"""Errors of three products without a truth (triple collocation)."""

from __future__ import annotations

from typing import Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data import cf
from xsm.data.roles import with_roles
from xsm.io.tables import as_data, as_reference
from xsm.ops.cube import Roles
from xsm.ops.validate import AnomalyFrom, AtDepth, Data, Period
from xsm.validation.collocation import collocate, collocate_products


@operation(title="Triple collocation", group="Validation", result=Kind.TABLE)
def triple_collocation(
    ds: Data,
    stations: Annotated[
        Any, Param("Stations, one more product; without them three products are needed.", kind=Kind.STATIONS)
    ] = None,
    *,
    variables: Annotated[
        tuple[str, ...] | None,
        Param("Products: by default retrieval and land model beside stations, without stations all soil moisture."),
    ] = None,
    depth: AtDepth = None,
    anomaly: Annotated[bool, Param("Compare anomalies from a moving mean of 35 days.")] = False,
    anomaly_from: AnomalyFrom = "moving",
    min_days: Annotated[
        int | None,
        Param("Fewest days that all products have; by default 100, or a third of a shorter period.", minimum=10),
    ] = None,
    intervals: Annotated[
        bool | None,
        Param("Intervals by a block bootstrap; by default for stations and for up to 1000 cells.", advanced=True),
    ] = None,
    time: Period = None,
    roles: Roles = None,
) -> xr.Dataset:
    """Estimate the errors of three or more products without a truth.

    The covariances of products whose errors are independent give the error variance of each (Gruber et al., 2016;
    McColl et al., 2014; `xsm.validation.metrics.triple_collocation`). With more than three products all covariances
    are used at once, by least squares of their logarithms. Only the observed days of a gap-filled variable count, and
    frozen days take no part.

    Parameters
    ----------
    ds : Dataset, DataFrame
        Products of soil moisture, one step per UTC day: maps ``(time, y, x)`` or ``(time, lat, lon)``, ``(time, cell)``
        or series.
    stations : Dataset, DataFrame or Series, optional
        One more product, as of `validate`: at 5 cm, or at 20 cm for products of the subsurface; at the hour of the
        overpass where one of the products is a retrieval. Without stations the products are compared in every cell.
    variables : sequence of str, optional
        Two or more products of one layer beside stations, three or more without. Two that rest on the same data are
        refused, and so is an estimate beside what it was trained on.
    depth : str, optional
        Depth of the stations, as of `validate`.
    anomaly : bool
        Compare anomalies from a moving mean of 35 days, so that a common season is not taken for agreement;
        or as ``anomaly_from`` says.
    anomaly_from : {"moving", "climatology"}
        Short-term anomalies from the moving mean, or those from the `climatology` of each series on the days that are
        compared, which also show whole seasons that are wet or dry.
    min_days : int, optional
        Fewest days that all have; 100 by default, or a third of a period of less than 300 days, with a warning: errors
        from so few days are uncertain, as their intervals show.
    intervals : bool, optional
        Whether to add intervals, which take about 0.1 s for each cell.
    time : slice, optional
        First and last day.
    roles : mapping of str to str, optional
        Variables that hold a role where several could, or none says so: ``{"model_surface": "swvl1"}``; see
        `xsm.data.roles`.

    Returns
    -------
    xarray.Dataset
        ``error_std`` (in each product's own unit), ``snr``, ``r_truth`` and ``scale`` with dims ``(product, station)``,
        or product and the dims of the cells; ``_low`` and ``_high`` of a 95 percent block bootstrap (30 days, 1000
        draws) where there is a value; ``n``, the number of days; ``note``, why a result is missing: a text of each
        station or of series, a flag of each cell. A negative error variance leaves a product without error, but with
        ``scale``. With stations also ``_median`` over them, and ``excluded`` and ``remarks`` as of `validate`. Lazy
        where maps are.

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
    data = with_roles(as_data(ds), roles)
    how: dict[str, Any] = {
        "anomaly": anomaly_from if anomaly else None,
        "min_days": min_days,
        "time": time,
        "interval": intervals,
    }
    if stations is None:
        table = collocate_products(data, variables, **how)
        products = table["product"].values.tolist()
    else:
        table = collocate(data, as_reference(stations), variables, depth=depth, **how)
        products = table["product"].values.tolist()[:-1]
    return cf.add_history(table, "triple_collocation", variables=tuple(products), anomaly=anomaly,
                          anomaly_from=anomaly_from if anomaly else None,
                          min_days=table.attrs["min_days"], time=time)  # fmt: skip
