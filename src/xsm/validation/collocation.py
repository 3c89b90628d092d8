"""Errors of two products and of stations without a truth, by triple collocation of their common days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.families import NOAH, SMAP, families_of, same_series
from xsm.data.period import days as period
from xsm.errors import UsageError, render_hint, tell
from xsm.validation import matching, metrics
from xsm.validation.pairing import RETRIEVALS, pair
from xsm.validation.products import is_estimate, only_observed, products_of

UNKNOWN_ESTIMATE = frozenset({SMAP, NOAH})
"""What an estimate rests on that does not say so."""
RESULTS = {
    "error_std": ("Standard deviation of the error", "m3 m-3"),
    "snr": ("Signal-to-noise ratio", "dB"),
    "r_truth": ("Correlation with the unknown truth", "1"),
    "scale": ("Factor that gives the product the spread of the truth in the first product", "1"),
}
MIN_DAYS = 100
NO_SIGNAL = "the three products do not all vary together"
NEGATIVE = "an error variance is negative: errors depend on each other, or there are too few days"


def collocate(
    ds: xr.Dataset,
    stations: xr.Dataset,
    variables: Sequence[str],
    *,
    anomaly: bool = False,
    min_days: int | None = None,
    time: Any = None,
) -> xr.Dataset:
    """Errors of two products and of the stations; see `xsm.triple_collocation`."""
    layers = products_of(ds, variables)
    if len(layers) != 1:
        raise UsageError(
            f"'{variables[0]}' and '{variables[1]}' are of different depths.", hint="Compare products of one layer."
        )
    _check_independent(ds, variables)
    ds = only_observed(ds, variables)
    pairs = pair(
        ds, stations, layers, {"surface": "5", "subsurface": "20"}, time=None if time is None else period(time)
    )
    ((layer, series),) = pairs.layers.items()
    hourly = next((i for i, name in enumerate(series.names) if name in RETRIEVALS), 0)
    least = matching.fewest(min_days, MIN_DAYS, len(pairs.days))
    if min_days is None and least < MIN_DAYS:
        tell(
            f"The period has {len(pairs.days)} days, so stations need {least} days of all three products, where "
            f"{MIN_DAYS} are usual: look at the intervals, or give {render_hint('<min_days=>')}."
        )
    valid = series.valid.all(0)
    count = valid.sum(-1)
    counts = dict(zip(series.names, series.valid.sum(-1), strict=True))
    matching.exclude_short(pairs.sensors, pairs.sites, layer, counts, np.stack([count, count]), least)
    use = np.flatnonzero(count >= least)
    if not len(use):
        raise matching.nothing_left(pairs.sensors.reasons, int(count.max()))
    three = [np.where(valid, v, np.nan)[use].astype("f8") for v in (*series.x, series.y[hourly])]
    _refuse_same([*series.names, "station"], three)
    if anomaly:
        number = (pairs.days - pairs.days[0]).astype("f8")
        three = [metrics.anomalies(v, number) for v in three]
    place = {k: ("station", v[use]) for k, v in matching.site_coords(pairs.sites).items()}
    table = _table({"product": [*series.names, "station"], **place}, three, count[use])
    table = pairs.annotate(table, "Triple collocation of soil moisture", stations, ds)
    values = "anomalies" if anomaly else "values"
    table.attrs |= {"matching": pairs.matching(series.names[hourly]), "values": values, "min_days": least}
    return table


def _table(coords: Mapping[str, Any], three: Sequence[np.ndarray], count: np.ndarray) -> xr.Dataset:
    """Results of three series (station, day) with intervals and medians, and a note where there is none."""
    table = xr.Dataset(coords=coords)
    low, high = metrics.bootstrap(_results, *three)
    for name, values, *ends in zip(RESULTS, _results(*three), low, high, strict=True):
        long_name, units = RESULTS[name]
        for end, value in zip(("", "_low", "_high"), (values, *ends), strict=True):
            full = f"{long_name}{f', {end[1:]} end of the 95 percent interval' if end else ''}"
            table[name + end] = ("product", "station"), value, {"long_name": full, "units": units}
        table[f"{name}_median"] = (
            table[name]
            .median("station")
            .assign_attrs(long_name=f"{long_name}, median of the stations", units=units, cell_methods="station: median")
        )
    table["n"] = "station", count.astype("i4"), {"long_name": "Number of days", "units": "1"}
    none = table["error_std"].isnull()
    notes = np.where(none.all("product"), NO_SIGNAL, np.where(none.any("product"), NEGATIVE, ""))
    table["note"] = "station", notes.astype(str), {"long_name": "Why a station has no result"}
    return table


def _results(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Results in the order of `RESULTS`, (result, product, ...)."""
    errors = metrics.triple_collocation(x, y, z)
    return np.stack([errors[name] for name in RESULTS])


def _check_independent(ds: xr.Dataset, variables: Sequence[str]) -> None:
    """Stop where two products share a family, by their attributes or names; warn where a family is not known."""
    for one, other in (variables, variables[::-1]):
        families = families_of(ds, one) or UNKNOWN_ESTIMATE
        shared = families & (families_of(ds, other) or {other})
        if is_estimate(ds, one) and (shared or is_estimate(ds, other)):
            words = " and ".join(sorted(f.removesuffix(" brightness temperatures") for f in families)[::-1])
            raise UsageError(
                f"'{one}' was trained on {words}, so its errors are not independent of those of '{other}'.",
                hint="Compare it with a product that took no part in the training, or use validate.",
            )
    one, other = variables
    if shared := families_of(ds, one) & families_of(ds, other):
        raise UsageError(
            f"'{one}' and '{other}' both rest on {', '.join(sorted(shared))}, so their errors are not independent.",
            hint="Give one of them and another product.",
        )
    if bare := [n for n in variables if not families_of(ds, n) and not is_estimate(ds, n)]:
        tell(
            f"What {', '.join(bare)} rests on is not known, so whether its errors are independent of the other "
            "product's cannot be checked. "
            + render_hint("Give it the attribute family, the name of its product or model.")
        )


def _refuse_same(names: Sequence[str], series: Sequence[np.ndarray]) -> None:
    for i, j in ((0, 1), (0, 2), (1, 2)):
        if same_series(series[i], series[j], scaled=True):
            raise UsageError(
                f"'{names[i]}' and '{names[j]}' are one series under two names, so their errors are not independent.",
                hint="Give one of them and another product.",
            )
