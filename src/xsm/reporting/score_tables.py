"""Scores of a report, all of them those of `xsm.validate`, and the tables that show them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.data import article
from xsm.data.families import families_of
from xsm.data.roles import NAMED, RETRIEVAL, SURFACE, part_by_name, role_of
from xsm.errors import DataError
from xsm.reporting.baselines import BRIDGED, MEAN
from xsm.reporting.labels import LABELLED, label, long_label, short
from xsm.reporting.map_figures import UNIT
from xsm.reporting.scene import COMPARISONS, Scene, days_after_training, is_fused
from xsm.validation import matching
from xsm.validation.contrasts import mean_and_half
from xsm.validation.matched import MIN_DAYS
from xsm.validation.products import layer_of
from xsm.validation.scoring import SEASON, score_maps

Cell = str | float | int | tuple[float, float]
"""A value of a table: words, a number, or a mean and half its 95 percent interval."""
METRICS = (("R", "", ".2f"), ("RMSE", UNIT, ".3f"), ("Bias", UNIT, "+.3f"), ("ubRMSE", UNIT, ".3f"))
MEANS = tuple((f"{name} mean", unit, form) for name, unit, form in METRICS)
VARIATION = (("SD ratio mean", "", ".2f"), ("KGE mean", "", ".2f"))
SCORED = ("r", "rmse", "bias", "ubrmse")
DEPTHS = {"surface": "5 cm", "subsurface": "25 cm"}
OTHER_DEPTH = "depth is not compared"
SHRUBS = ("Open shrublands", "Closed shrublands")


@dataclass(frozen=True)
class Table:
    """A table: columns as (name, unit, format), rows of numbers and words, a caption."""

    columns: Sequence[tuple[str, str, str]]
    rows: Sequence[Sequence[Cell]]
    caption: str


def teachers(scene: Scene, stations: xr.Dataset) -> xr.Dataset:
    """Score the observed retrieval and the land model at the surface on the same days and stations, all days."""
    ds, retrieval = scene.ds, scene.holders[RETRIEVAL]
    if (mark := f"{retrieval}_observed") in ds:
        ds = ds.assign({retrieval: ds[retrieval].where(ds[mark].astype(bool))})
    names = (retrieval, scene.holders[SURFACE], *([MEAN] if MEAN in ds else []))
    return _scored(scene, ds, stations, variables=names, by=("land_cover",) if "land_cover" in ds else ())


def _scored(scene: Scene, ds: xr.Dataset, stations: xr.Dataset, **how: Any) -> xr.Dataset:
    """Scores, with the roles and labels of products that their names do not tell, and whether estimates are fused."""
    table = score_maps(ds, stations, **how)
    others = [str(p) for p in table["product"].values if str(p) in ds and not part_by_name(str(p)).role]
    roles = {n: role_of(ds, n.removesuffix(BRIDGED)) for n in others}
    labels = {n.removesuffix(BRIDGED): long_label(n, ds) for n in others}
    texts = {NAMED: [f"{r}={n}" for n, r in roles.items() if r], LABELLED: [f"{n}={w}" for n, w in labels.items() if w]}
    return table.assign_attrs({k: "; ".join(v) for k, v in texts.items() if v} | _method(scene))


def skill(scene: Scene, stations: xr.Dataset) -> xr.Dataset:
    """Score the estimates and their inputs on the same days and stations, after the training where that is known.

    Without estimates the gap-filled soil moisture is scored on all, on observed and on filled days.
    """
    ds = scene.ds
    by = tuple(g for g, map_ in (("land_cover", "land_cover"), ("texture_group", "texture")) if map_ in ds)
    if "sand" in ds and "texture_group" not in by:
        by = (*by, "texture_group")
    if not scene.estimates:
        ds = _filled(scene)
        names = tuple(str(n) for n in ds.data_vars if ", " in str(n))
        return _scored(scene, ds, stations, variables=names, by=by, common=False)
    by = (*by, SEASON)
    return _scored(scene, _whole_days(ds), stations, variables=rivals(scene), by=by, time=after_training(scene))


def _whole_days(ds: xr.Dataset) -> xr.Dataset:
    """Maps without the hour of the observation, which filled days of a retrieval do not have."""
    return ds.drop_vars("obs_time", errors="ignore")


def _method(scene: Scene) -> dict[str, str]:
    """The attribute by which scores tell fused maps from others, as maps do (`xsm.reporting.scene.is_fused`)."""
    return {"method": "fuse"} if any(is_fused(scene.ds, n) for n in scene.estimates) else {}


def rivals(scene: Scene) -> tuple[str, ...]:
    """The estimates and what they are compared with in the same layers: inputs, their mean, comparison."""
    layers, names = dict.fromkeys(layer_of(scene.ds, n) or "surface" for n in scene.estimates), scene.holders
    others = [n for la in layers for n in (*scene.inputs.get(la, ()), names.get(COMPARISONS.get(la, ""), ""))]
    return (*scene.estimates, *(n for n in others if n in scene.ds))


def after_training(scene: Scene) -> slice | None:
    """Days after the training days, where known and at least 20 of them are in the maps."""
    after = days_after_training(scene.ds.attrs, *(scene.ds[n].attrs for n in scene.estimates))
    return after if after is not None and (scene.days >= after.start).sum() >= 20 else None


def teacher_table(table: xr.Dataset) -> Table:
    """Means over stations by land cover and network, and over all stations (Table 1 of the paper)."""
    classes = merged(table["land_cover"].values) if "land_cover" in table.coords else None
    networks = table["network"].values
    groups = [] if classes is None else sorted({(c, n) for c, n in zip(classes, networks, strict=True)})
    rows: list[list[Cell]] = []
    for cover, network in groups:
        inside = (classes == cover) & (networks == network)
        for p in table["product"].values:
            one = table.sel(product=p).isel(station=inside)
            rows.append([cover, str(network), label(str(p), table), *_means(one), *_variation(one)])
    every = ", ".join(sorted({str(n) for n in networks if str(n)})) or "all"
    rows += [
        ["All", every, label(str(p), table), *_means(table.sel(product=p)), *_variation(table.sel(product=p))]
        for p in table["product"].values
    ]
    words = [("Land cover", "", ""), ("Network", "", ""), ("Product", "", "")]
    columns = [*words, *MEANS, ("Stations", "n", "d"), *VARIATION]
    caption = (
        "The two references of the training against stations: means over the stations of a land cover (as Table 1 of "
        f"Rabiei et al., 2024). The retrieval on observed days only, both products on the same days and stations. "
        f"{terms(table)}"
    )
    return Table(columns, rows, caption)


def skill_table(table: xr.Dataset, what: str) -> Table:
    """Means over stations by depth and product (Table 3 of the paper), medians and number of days beside them."""
    rows: list[list[Cell]] = []
    for product in _by_layer(table):
        one = table.sel(product=product)
        n = one["n"].values
        days = int(np.median(n[n > 0])) if (n > 0).any() else 0
        *means, count = _means(one)
        medians = [float(one["r_median"]), float(one["ubrmse_median"])]
        words = DEPTHS[str(one["layer"].values)], str(one["reference"].values), short(product, table)
        rows.append([*words, *means, *medians, count, days, *_variation(one)])
    columns = [
        ("Depth", "", ""), ("Stations at", "", ""), ("Product", "", ""), *MEANS,
        ("R median", "", ".2f"), ("ubRMSE median", UNIT, ".3f"), ("Stations", "n", "d"), ("Days", "median n", "d"),
        *VARIATION,
    ]  # fmt: skip
    return Table(columns, rows, f"{what} {terms(table)}")


def skill_by_days(scene: Scene, stations: xr.Dataset) -> dict[str, xr.Dataset]:
    """Score as in `skill` on observed days, on days without observation and in long outages.

    A day counts as observed where ``observed`` marks the cell. What cannot be scored is left out.
    """
    period = after_training(scene) or slice(None, None)
    days = scene.days[scene.days >= period.start] if period.start is not None else scene.days
    marks = {"observed": scene.ds["observed"], "not observed": ~scene.ds["observed"]} if scene.watched else {}
    for first, last in outages(scene):
        inside = (scene.days >= np.datetime64(first)) & (scene.days <= np.datetime64(last))
        if inside.any():
            marks[f"outage {first} to {last}"] = xr.DataArray(inside, dims="time")
    by_kind = {}
    for kind, mark in marks.items():
        count = len(days) if "time" not in mark.dims or mark.ndim > 1 else int(mark.values[-len(days) :].sum())
        shown = {n: scene.ds[n].where(mark).assign_attrs(scene.ds[n].attrs) for n in scene.estimates}
        ds = _whole_days(scene.ds.assign(shown))
        least = matching.fewest(None, MIN_DAYS, count // 2 if mark.ndim > 1 else count)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the table of all days has raised them
            try:
                by_kind[kind] = _scored(
                    scene, ds, stations, variables=rivals(scene), min_days=least, time=after_training(scene)
                )
            except DataError:
                continue
    return by_kind


def outages(scene: Scene) -> list[tuple[str, str]]:
    """Weeks without the satellite that the maps rest on, as first and last day."""
    names = (*scene.estimates, *([scene.watched] if scene.watched else []))
    families = frozenset[str]().union(*(families_of(scene.ds, n) for n in names)) or article.TEACHERS
    return [weeks for family, all_weeks in article.OUTAGES.items() if family in families for weeks in all_weeks]


def days_table(tables: Mapping[str, xr.Dataset]) -> Table:
    """Means over stations by kind of day, depth and product."""
    rows: list[list[Cell]] = []
    for kind, table in tables.items():
        for product in _by_layer(table):
            one = table.sel(product=product)
            n = one["n"].values
            if (n > 0).any():
                words = kind, DEPTHS[str(one["layer"].values)], short(product, table)
                rows.append([*words, *_means(one), int(np.median(n[n > 0])), *_variation(one)])
    columns = [("Days", "", ""), ("Depth", "", ""), ("Product", "", ""), *MEANS, ("Stations", "n", "d"),
               ("Days", "median n", "d"), *VARIATION]  # fmt: skip
    least = ", ".join(f"{table.attrs['min_days']} ({kind})" for kind, table in tables.items())
    caption = (
        "The same by kind of day: means over the stations, same days and stations within a depth and kind. A day is "
        f"observed where an overpass of the cell was kept. Least number of days per station: {least}."
    )
    return Table(columns, rows, caption)


def left_out(tables: Sequence[xr.Dataset]) -> dict[str, tuple[int, Table]]:
    """Sensors that take no part in a table, or not with all values: their number and a table by reason.

    A depth that one table does not compare but another does is not a reason.
    """
    by_reason: dict[str, dict[tuple[str, str, float], list[str]]] = {}
    for table in tables:
        names = [table[f"sensor_{k}"].values for k in ("network", "station", "depth")]
        texts = (table["excluded"].values, table["remarks"].values)
        for network, station, depth, *both in zip(*names, *texts, strict=True):
            key = str(network), str(station), float(depth)
            for reason, details in (one for text in both for one in matching.reasons_of(str(text))):
                by_reason.setdefault(reason, {}).setdefault(key, []).append(details)
    if OTHER_DEPTH in by_reason:
        everywhere = {k: [""] for k, details in by_reason[OTHER_DEPTH].items() if len(details) == len(tables)}
        by_reason = {reason: everywhere if reason == OTHER_DEPTH else which for reason, which in by_reason.items()}
    return {reason: (len(which), _by_station(which)) for reason, which in by_reason.items() if which}


def _by_station(sensors: Mapping[tuple[str, str, float], Sequence[str]]) -> Table:
    stations: dict[tuple[str, str], list[tuple[float, Sequence[str]]]] = {}
    for (network, station, depth), details in sensors.items():
        stations.setdefault((network, station), []).append((depth, details))
    rows: list[list[Cell]] = []
    for key, depths in stations.items():
        once = dict.fromkeys(one for _, details in depths for one in details if one)
        rows.append([*key, ", ".join(f"{depth:g}" for depth, _ in depths), "; ".join(once)])
    columns = [("Network", "", ""), ("Station", "", ""), ("Depth", "cm", ""), ("Details", "", "")]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(columns, rows, "")


def terms(table: xr.Dataset) -> str:
    """Period, least number of days and matching of a validation in words."""
    least = table.attrs["min_days"]
    ways = sorted({str(m) for m in table["matching"].values})
    period = str(table.attrs["period"]).replace("/", " to ")
    days = f"at least {least} days per station, {table.attrs['days']}"
    return f"{period}, {days}; matched with the {' or the '.join(ways)}."


def _filled(scene: Scene) -> xr.Dataset:
    ds = scene.ds
    out = ds.drop_vars([n for n in ds.data_vars if n in scene.moisture])
    for name in scene.filled:
        values = ds[name]
        parts = {"all days": values}
        if f"{name}_observed" in ds:
            observed = ds[f"{name}_observed"].astype(bool)
            parts |= {"observed days": values.where(observed), "filled days": values.where(~observed)}
        depth = values.attrs.get("depth", 25 if layer_of(ds, name) == "subsurface" else 5)
        out = out.assign({f"{name}, {k}": v.assign_attrs(values.attrs, depth=depth) for k, v in parts.items()})
    return out


def _by_layer(table: xr.Dataset) -> list[str]:
    return [str(p) for layer in dict.fromkeys(table["layer"].values)
            for p in table["product"].values[table["layer"].values == layer]]  # fmt: skip


def merged(classes: np.ndarray) -> np.ndarray:
    """Names of land cover classes, open and closed shrublands as one."""
    names = [str(c).capitalize() for c in classes]
    return np.array(["Open and closed shrublands" if n in SHRUBS else n for n in names])


def _means(one: xr.Dataset) -> list[Any]:
    scored = one["n"].values > 0
    return [*(mean_and_half(one[s].values[scored]) for s in SCORED), int(scored.sum())]


def _variation(one: xr.Dataset) -> list[float]:
    """Means over the stations of the ratio of standard deviations and of the Kling-Gupta efficiency."""
    scored = one["n"].values > 0
    return [float(np.nanmean(one[s].values[scored])) if scored.any() else np.nan for s in ("std_ratio", "kge")]
