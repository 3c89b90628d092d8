"""Errors of three products without a truth (triple collocation)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data import cf
from xsm.data.period import days as period
from xsm.errors import UsageError, render_hint, tell
from xsm.validation import matching, metrics
from xsm.validation.pairing import RETRIEVALS, pair
from xsm.validation.products import is_estimate, only_observed, products_of

SHARED = {
    "SMAP brightness temperatures": (*RETRIEVALS, "sm_surface", "sm_rootzone"),
    "Noah": ("sm_noah_0_10", "sm_noah_10_40"),
}
"""Products that rest on the same data, so that their errors are not independent; estimates of xsm rest on both."""

RESULTS = {
    "error_std": ("Standard deviation of the error", "m3 m-3"),
    "snr": ("Signal-to-noise ratio", "dB"),
    "r_truth": ("Correlation with the unknown truth", "1"),
    "scale": ("Factor that gives the product the spread of the truth in the first product", "1"),
}


MIN_DAYS = 100
NO_SIGNAL = "the three products do not all vary together"
NEGATIVE = "an error variance is negative: errors depend on each other, or there are too few days"


@operation(title="Triple collocation", group="Validation", result=Kind.TABLE)
def triple_collocation(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture maps.", label="Maps")],
    stations: Annotated[xr.Dataset, Param("Stations, the third product.", kind=Kind.STATIONS)],
    *,
    variables: Annotated[tuple[str, ...], Param("The two products beside the stations.")] = ("sm_dca", "sm_noah_0_10"),
    anomaly: Annotated[bool, Param("Compare anomalies from a moving mean of 35 days.")] = False,
    min_days: Annotated[
        int | None,
        Param("Fewest days that all three have; 100, or a third of a shorter period, otherwise.", minimum=10),
    ] = None,
    time: Annotated[slice | None, Param("Period, both days included.", kind=Kind.PERIOD)] = None,
) -> xr.Dataset:
    """Tell the errors of two products and of the stations without a truth.

    Three products whose errors are independent tell each other's error variance by their covariances (Gruber et al.,
    2016; `xsm.validation.metrics.triple_collocation`). Of a gap-filled variable only the observed days count, and
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
        Compare anomalies from a moving mean of 35 days, so that a common season does not pass for agreement.
    min_days : int, optional
        Fewest days that all three have; 100 otherwise, or a third of a period of less than 300 days, with a warning:
        the errors of so few days are rough, as their intervals show.
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
            f"Triple collocation got {', '.join(variables) or 'no product'}, wanted two beside the stations.",
            hint="Give <variables=sm_dca,sm_noah_0_10>.",
        )
    layers = products_of(ds, variables)
    if len(layers) != 1:
        raise UsageError(
            f"'{variables[0]}' and '{variables[1]}' are of different depths.", hint="Compare products of one layer."
        )
    _independent(ds, variables)
    ds = only_observed(ds, variables)
    pairs = pair(
        ds, stations, layers, {"surface": "5", "subsurface": "20"}, time=None if time is None else period(time)
    )
    ((layer, found),) = pairs.layers.items()
    hourly = next((i for i, name in enumerate(found.names) if name in RETRIEVALS), 0)
    least = matching.fewest(min_days, MIN_DAYS, len(pairs.days))
    if min_days is None and least < MIN_DAYS:
        tell(
            f"The period has {len(pairs.days)} days, so stations with {least} days of all three take part, where "
            f"{MIN_DAYS} are usual: look at the intervals, or give {render_hint('<min_days=>')}."
        )
    valid = found.valid.all(0)
    count = valid.sum(-1)
    counts = dict(zip(found.names, found.valid.sum(-1), strict=True))
    matching.tell_short(pairs.sensors, pairs.sites, layer, counts, np.stack([count, count]), least)
    use = np.flatnonzero(count >= least)
    if not len(use):
        raise matching.nothing_left(pairs.sensors.reasons, int(count.max()))
    series = [np.where(valid, v, np.nan)[use].astype("f8") for v in (*found.x, found.y[hourly])]
    if anomaly:
        number = (pairs.days - pairs.days[0]).astype("f8")
        series = [metrics.anomalies(v, number) for v in series]
    place = {k: ("station", v[use]) for k, v in matching.site_coords(pairs.sites).items()}
    table = xr.Dataset(coords={"product": [*found.names, "station"], **place})
    low, high = metrics.bootstrap(_all, *series)
    for name, values, *ends in zip(RESULTS, _all(*series), low, high, strict=True):
        long_name, units = RESULTS[name]
        for end, value in zip(("", "_low", "_high"), (values, *ends), strict=True):
            told = f"{long_name}{f', {end[1:]} end of the 95 percent interval' if end else ''}"
            table[name + end] = ("product", "station"), value, {"long_name": told, "units": units}
        table[f"{name}_median"] = (
            table[name]
            .median("station")
            .assign_attrs(long_name=f"{long_name}, median of the stations", units=units, cell_methods="station: median")
        )
    table["n"] = "station", count[use].astype("i4"), {"long_name": "Number of days", "units": "1"}
    none = table["error_std"].isnull()
    notes = np.where(none.all("product"), NO_SIGNAL, np.where(none.any("product"), NEGATIVE, ""))
    table["note"] = "station", notes.astype(str), {"long_name": "Why a station has no result"}
    table = pairs.annotate(table, "Triple collocation of soil moisture", stations, ds)
    values = "anomalies" if anomaly else "values"
    table.attrs |= {"matching": pairs.matching(found.names[hourly]), "values": values, "min_days": least}
    return cf.add_history(table, "triple_collocation", variables=variables, anomaly=anomaly, min_days=least, time=time)


def _all(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Results in the order of `RESULTS`, (result, product, ...)."""
    found = metrics.triple_collocation(x, y, z)
    return np.stack([found[name] for name in RESULTS])


def _independent(ds: xr.Dataset, variables: tuple[str, ...]) -> None:
    for one, other in (variables, variables[::-1]):
        if is_estimate(ds, one) and (is_estimate(ds, other) or any(other in names for names in SHARED.values())):
            raise UsageError(
                f"'{one}' was trained on SMAP and Noah, so its errors are not independent of those of '{other}'.",
                hint="Compare it with a product that took no part in the training, or use validate.",
            )
    for source, names in SHARED.items():
        if set(variables) <= set(names):
            raise UsageError(
                f"'{variables[0]}' and '{variables[1]}' both rest on {source}, so their errors are not independent.",
                hint="Give one of them and another product.",
            )
