"""Errors of products without a truth, by triple collocation of their common days, with stations or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.data import cf
from xsm.data.article import TEACHERS
from xsm.data.cells import daily
from xsm.data.emptiness import tell_emptied
from xsm.data.families import families_of, origin, same_series, shared
from xsm.data.period import days as period
from xsm.data.ranges import checked
from xsm.data.roles import RETRIEVAL, SURFACE, holders
from xsm.errors import DataError, UsageError, render_hint, tell, unknown
from xsm.series.reference_period import tell_base
from xsm.validation import matching, metrics
from xsm.validation.pairing import pair
from xsm.validation.products import Layers, every_series, is_estimate, layers_of, only_observed
from xsm.validation.references import as_stations

RESULTS = {
    "error_std": ("Standard deviation of the error", "m3 m-3"),
    "snr": ("Signal-to-noise ratio", "dB"),
    "r_truth": ("Correlation with the unknown truth", "1"),
    "scale": ("Factor that gives the product the spread of the truth in the first product", "1"),
}
MIN_DAYS = 100
NO_SIGNAL = "the products do not all vary together"
NEGATIVE = "an error variance is negative: errors depend on each other, or there are too few days"
NOTES = ("result", "too_few_days", "no_common_variation", "negative_error_variance")
"""Meanings of the flag ``note`` of cells."""
_NOTE = {"long_name": "Why a product lacks a result"}
USUAL = (RETRIEVAL, SURFACE)
"""Roles of the products that are compared with stations where none are named."""
FEW_CELLS = 1000
"""Number of cells up to which intervals are computed unless asked otherwise."""
PICKED = 200
"""Number of cells at which products are compared to find one under two names."""


def collocate(
    ds: xr.Dataset,
    stations: xr.Dataset,
    variables: Sequence[str] | None,
    *,
    anomaly: str | None = None,
    min_days: int | None = None,
    time: Any = None,
    depth: Sequence[Any] | None = None,
    interval: bool | None = None,
) -> xr.Dataset:
    """Errors of products and of the stations; see `xsm.triple_collocation`."""
    names = holders(ds)
    variables = _named(ds, variables, [names[role] for role in USUAL if role in names], 2)
    stations = as_stations(stations, ds, depth)
    free = bool(np.isnan(stations["depth"].values.astype("f8")).all()) if "depth" in stations.variables else False
    layers, depths = _one_layer(layers_of(ds, variables, depth=depth, free=free))
    _check_independent(ds, variables)
    ds = only_observed(ds, variables)
    pairs = pair(ds, stations, layers, depths, time=None if time is None else period(time))
    ((layer, series),) = pairs.layers.items()
    hourly = next((i for i, name in enumerate(series.names) if name in pairs.hourly), 0)
    least = _least(min_days, len(pairs.days), "stations")
    valid = series.valid.all(0)
    count = valid.sum(-1)
    counts = dict(zip(series.names, series.valid.sum(-1), strict=True))
    matching.exclude_short(pairs.sensors, pairs.sites, layer, counts, np.stack([count] * len(series.names)), least)
    use = np.flatnonzero(count >= least)
    if not len(use):
        raise matching.nothing_left(pairs.sensors.reasons, int(count.max()))
    several = [np.where(valid, v, np.nan)[use].astype("f8") for v in (*series.x, series.y[hourly])]
    _refuse_same([*series.names, "station"], several)
    if anomaly:
        tell_base(anomaly, pairs.days)
        several = [metrics.anomalies(v, pairs.days, anomaly) for v in several]
    place = {k: ("station", v[use]) for k, v in matching.site_coords(pairs.sites).items()}
    table = _table({"product": [*series.names, "station"], **place}, several, count[use], interval is not False)
    table = pairs.annotate(table, "Triple collocation of soil moisture", stations, ds)
    return table.assign_attrs(matching=pairs.matching(series.names[hourly]), values=_values(anomaly), min_days=least)


def collocate_products(
    ds: xr.Dataset,
    variables: Sequence[str] | None,
    *,
    anomaly: str | None = None,
    min_days: int | None = None,
    time: Any = None,
    interval: bool | None = None,
) -> xr.Dataset:
    """Errors of three or more products of every cell; see `xsm.triple_collocation`."""
    variables = _named(ds, variables, (), 3)
    _check_independent(ds, variables)
    cf.check_units(ds, variables)
    _one_layer(layers_of(ds, variables, free=True))
    ds, days = daily(checked(only_observed(ds, variables), variables), None if time is None else period(time))
    least = _least(min_days, len(days), "cells")
    if anomaly:
        tell_base(anomaly, days)
    arrays = [ds[name] for name in variables]
    if "frozen" in ds:
        arrays = [a.where(~ds["frozen"].astype(bool)) for a in arrays]
    arrays = list(xr.broadcast(*arrays))
    cells = arrays[0].isel(time=0).size
    with_ends = interval if interval is not None else cells <= FEW_CELLS
    lazy = any(a.chunks is not None for a in arrays)
    if not lazy:
        flat = [a.transpose(..., "time").values.reshape(cells, -1)[:: max(cells // PICKED, 1)] for a in arrays]
        _refuse_same(variables, flat)

    def errors(*rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        valid = np.isfinite(np.stack(rows)).all(0)
        count = valid.sum(-1)
        use = valid & (count >= least)[:, None]
        series = [np.where(use, row, np.nan) for row in rows]
        series = [metrics.anomalies(v, days, anomaly) for v in series] if anomaly else series
        return np.moveaxis(np.concatenate([*_parts(series, with_ends).values()]), -1, 0), count.astype("f8")

    ends = ("", "_low", "_high") if with_ends else ("",)
    sizes = {"result": len(ends) * len(RESULTS), "product": len(arrays)}
    results, count = along_time(errors, *arrays, outputs=[("result", "product"), ()], sizes=sizes)
    table = xr.Dataset(
        coords={"product": list(variables)} | {k: v for k, v in ds.coords.items() if "time" not in v.dims}
    )
    names = [(name, end) for end in ends for name in RESULTS]
    for i, (name, end) in enumerate(names):
        table[name + end] = results.isel(result=i).transpose("product", ...).assign_attrs(_about(name, end))
    table["n"] = count.astype("i4").assign_attrs(long_name="Number of days", units="1")
    table["note"] = _flag(table, least)
    if not lazy:
        if not int(count.max()) >= least:
            most = int(count.max())
            hint = f"Take a longer period, or give <min_days={most}>." if most >= matching.LEAST_DAYS else (
                "Look at the days of each product, and leave out one that has few.")  # fmt: skip
            raise DataError(f"The products have {most} days in common at most, fewer than {least}.", hint=hint)
        if not table["n"].ndim:
            table["note"] = (), _why(table), _NOTE
            if why := _why(table):
                tell(f"Not every product has an error: {why}.")
        else:
            tell_emptied(table, {}, f"In every cell {NO_SIGNAL}, or {NEGATIVE}.", ["r_truth"])
    frozen = "frozen days left out" if "frozen" in ds else "frozen days not left out"
    about = {"title": "Triple collocation of soil moisture", "period": f"{days[0]}/{days[-1]}", "days": frozen}
    kept = {k: v for k, v in ds.attrs.items() if k == "synthetic"}
    table.attrs = {**kept, **about, "values": _values(anomaly), "min_days": least}
    return table


def _named(ds: xr.Dataset, variables: Sequence[str] | None, usual: Sequence[str], fewest: int) -> list[str]:
    """The products, by default the usual ones or all soil moisture; fewer than enough stop."""
    if variables is None:
        variables = usual if len(usual) == len(USUAL) else every_series(ds)
    names = list(variables)
    for name in names:
        if name not in ds:
            raise unknown("variable", name, [str(n) for n in ds.data_vars])
    if len(names) < fewest or len(set(names)) < len(names):
        count = "two beside the stations, or more" if fewest == 2 else "three or more, as there are no stations"
        raise UsageError(
            f"Triple collocation got {', '.join(names) or 'no product'}, expected {count}.",
            hint=f"Name each product once: <variables={','.join(every_series(ds)[:fewest])}>.",
        )
    return names


def _one_layer(layers: Layers) -> Layers:
    """The only layer; products whose depth is not known belong to it."""
    products = {layer: names for layer, names in layers[0].items() if layer != "series"} or layers[0]
    if len(products) > 1:
        one, other = (names[0] for names in list(products.values())[:2])
        raise UsageError(f"'{one}' and '{other}' are of different depths.", hint="Compare products of one layer.")
    ((layer, names),) = products.items()
    unknown_depth = [name for name in layers[0].get("series", ()) if layer != "series"]
    return {layer: [*names, *unknown_depth]}, {layer: layers[1][layer]}


def _least(min_days: int | None, days: int, what: str) -> int:
    least = matching.fewest(min_days, MIN_DAYS, days)
    if min_days is None and least < MIN_DAYS:
        tell(
            f"The period has {days} days, so {what} need {least} days of all products, where "
            f"{MIN_DAYS} are usual: look at the intervals, or give {render_hint('<min_days=>')}."
        )
    return least


def _values(anomaly: str | None) -> str:
    return f"anomalies from {metrics.BASES[anomaly]}" if anomaly else "values"


def _about(name: str, end: str) -> dict[str, str]:
    long_name, units = RESULTS[name]
    ending = f", {end[1:]} end of the 95 percent interval" if end else ""
    return {"long_name": f"{long_name}{ending}", "units": units}


def _table(coords: Mapping[str, Any], series: Sequence[np.ndarray], count: np.ndarray, with_ends: bool) -> xr.Dataset:
    """Results of series (station, day) with intervals and medians, and a note where there is none."""
    table = xr.Dataset(coords=coords)
    parts = _parts(series, with_ends)
    for i, (name, (long_name, units)) in enumerate(RESULTS.items()):
        for end, values in parts.items():
            table[name + end] = ("product", "station"), values[i], _about(name, end)
        table[f"{name}_median"] = (
            table[name].median("station").assign_attrs(long_name=f"{long_name}, median of the stations", units=units)
        )
    table["n"] = "station", count.astype("i4"), {"long_name": "Number of days", "units": "1"}
    notes = [_why(table.isel(station=i)) for i in range(table.sizes["station"])]
    table["note"] = "station", np.array(notes, str), _NOTE
    return table


def _why(table: xr.Dataset) -> str:
    """Why products of one place have no error; empty where all have."""
    lacking = table["product"].values[table["error_std"].isnull().values]
    if table["scale"].isnull().all():
        return NO_SIGNAL
    return (
        NEGATIVE.replace("an error variance", f"the error variance of {' and '.join(lacking)}") if len(lacking) else ""
    )


def _flag(table: xr.Dataset, least: int) -> xr.DataArray:
    """Why products of a cell have no error, as a number of `NOTES`."""
    number = xr.where(table["error_std"].isnull().any("product"), 3, 0)
    number = xr.where(table["scale"].isnull().all("product"), 2, number)
    number = xr.where(table["n"] < least, 1, number).astype("u1")
    meanings = {"flag_values": np.arange(len(NOTES), dtype="u1"), "flag_meanings": " ".join(NOTES)}
    return number.assign_attrs(_NOTE | meanings)


def _parts(series: Sequence[np.ndarray], with_ends: bool) -> dict[str, np.ndarray]:
    """Results by the ending of their names; intervals only of what has a value."""
    values = _results(*series)
    ends = metrics.bootstrap(_results, *series) if with_ends else ()
    return {"": values} | {
        name: np.where(np.isfinite(values), end, np.nan) for name, end in zip(("_low", "_high"), ends, strict=False)
    }


def _results(*series: np.ndarray) -> np.ndarray:
    """Results in the order of `RESULTS`, (result, product, ...)."""
    errors = metrics.triple_collocation(*series)
    return np.stack([errors[name] for name in RESULTS])


def _check_independent(ds: xr.Dataset, variables: Sequence[str]) -> None:
    """Stop where two products share a family, by their attributes or names; warn where a family is not known."""
    for couple in combinations(variables, 2):
        for one, other in (couple, couple[::-1]):
            families = families_of(ds, one) or TEACHERS
            common = shared(families, families_of(ds, other) or {other})
            if is_estimate(ds, one) and (common or is_estimate(ds, other)):
                words = " and ".join(sorted(f.removesuffix(" brightness temperatures") for f in families)[::-1])
                raise UsageError(
                    f"'{one}' was trained on {words}, so its errors are not independent of those of '{other}'.",
                    hint="Compare it with a product that took no part in the training, or use validate.",
                )
        one, other = couple
        common = shared(families_of(ds, one), families_of(ds, other))
        if not common and origin(ds, one) == origin(ds, other):
            common = frozenset({f"'{origin(ds, one)}'"})
        if common:
            raise UsageError(
                f"'{one}' and '{other}' both rest on {', '.join(sorted(common))}, so their errors are not independent.",
                hint="Give one of them and another product.",
            )
    if bare := [n for n in variables if not families_of(ds, n) and not is_estimate(ds, n)]:
        tell(
            f"What {', '.join(bare)} rests on is not known, so whether its errors are independent of the other "
            "product's cannot be checked. "
            + render_hint("Give it the attribute family, the name of its product or model.")
        )


def _refuse_same(names: Sequence[str], series: Sequence[np.ndarray]) -> None:
    for i, j in combinations(range(len(names)), 2):
        if same_series(series[i], series[j], scaled=True):
            raise UsageError(
                f"'{names[i]}' and '{names[j]}' are one series under two names, so their errors are not independent.",
                hint="Give one of them and another product.",
            )
