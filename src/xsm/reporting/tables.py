"""Scores of a report, all of them from `xsm.validate`, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.ops.validate import layer_of, validate
from xsm.reporting.gather import ESTIMATE, NOAH, Scene, held_out
from xsm.reporting.maps import UNIT

Cell = str | float | int
MIN_DAYS = 60
Z95 = 1.959963984540054
METRICS = (("R", "", ".2f"), ("RMSE", UNIT, ".3f"), ("Bias", UNIT, "+.3f"), ("ubRMSE", UNIT, ".3f"))
SCORED = ("r", "rmse", "bias", "ubrmse")
LABELS = {
    "sm_dca": "SMAP DCA",
    "sm_scav": "SMAP SCA-V",
    "sm_scah": "SMAP SCA-H",
    "sm_noah_0_10": "Noah 0-10 cm",
    "sm_noah_10_40": "Noah 10-40 cm",
    "soil_moisture": "Soil moisture",
}
SHRUBS = ("Open shrublands", "Closed shrublands")


@dataclass(frozen=True)
class Table:
    """A table: columns as (name, unit, format), rows of numbers and words, a caption."""

    columns: Sequence[tuple[str, str, str]]
    rows: Sequence[Sequence[Cell]]
    caption: str


def label(name: str) -> str:
    """Name of a product for people."""
    base, comma, days = name.partition(", ")
    match = ESTIMATE.fullmatch(base)
    if match:
        number = (match[2] or "").removeprefix("_s")
        return f"{match[1]} cm, scenario {number}" if number else f"{match[1]} cm"
    return LABELS.get(base, base) + comma + days


def short(name: str) -> str:
    """Name of a product where its depth is told already."""
    found = label(name)
    return found.split(", ")[-1].capitalize() if ESTIMATE.fullmatch(name) and ", " in found else found


def min_days(count: int) -> int:
    """Fewest days that a station needs in a period: 60, or a third of a shorter period."""
    return max(10, min(MIN_DAYS, count // 3))


def teachers(scene: Scene, stations: xr.Dataset) -> xr.Dataset:
    """Score observed DCA and Noah at the surface on the same days and stations, all days."""
    ds = scene.ds
    if "sm_dca_observed" in ds:
        ds = ds.assign(sm_dca=ds["sm_dca"].where(ds["sm_dca_observed"].astype(bool)))
    names = tuple(n for n in ("sm_dca", "sm_noah_0_10") if n in ds)
    by = ("land_cover",) if "land_cover" in ds else ()
    least = min_days(len(scene.days))
    return validate(ds, stations, variables=names, by=by, min_days=least).assign_attrs(min_days=least)


def skill(scene: Scene, stations: xr.Dataset) -> xr.Dataset:
    """Score the estimates and Noah on the same days and stations, after the training days where those are known.

    Without estimates the gap-filled soil moisture is scored on all, on observed and on filled days.
    """
    ds = scene.ds
    by = tuple(g for g, map_ in (("land_cover", "land_cover"), ("texture_group", "texture")) if map_ in ds)
    if "sand" in ds and "texture_group" not in by:
        by = (*by, "texture_group")
    if not scene.estimates:
        ds, least = _filled(scene), min_days(len(scene.days))
        names = tuple(str(n) for n in ds.data_vars if ", " in str(n))
        scores = validate(ds, stations, variables=names, by=by, min_days=least, common=False)
        return scores.assign_attrs(min_days=least)
    layers = dict.fromkeys(layer_of(n) for n in scene.estimates)
    names = (*scene.estimates, *(n for layer, n in NOAH.items() if layer in layers and n in ds))
    after = after_training(scene)
    count = len(scene.days) if after is None else int((scene.days >= after.start).sum())
    least = min_days(count)
    return validate(ds, stations, variables=names, by=by, min_days=least, time=after).assign_attrs(min_days=least)


def after_training(scene: Scene) -> slice | None:
    """Days after the training days, where known and at least 20 of them are in the maps."""
    after = held_out(scene.ds.attrs, *(scene.ds[n].attrs for n in scene.estimates))
    return after if after is not None and (scene.days >= after.start).sum() >= 20 else None


def teacher_table(table: xr.Dataset) -> Table:
    """Means over stations by land cover and network, and over all stations (Table 1 of the paper)."""
    classes = _merged(table["land_cover"].values) if "land_cover" in table.coords else None
    networks = table["network"].values
    groups = [] if classes is None else sorted({(c, n) for c, n in zip(classes, networks, strict=True)})
    rows: list[list[Cell]] = []
    for cover, network in groups:
        inside = (classes == cover) & (networks == network)
        rows += [[cover, str(network), label(str(p)), *_means(table.sel(product=p).isel(station=inside))]
                 for p in table["product"].values]  # fmt: skip
    every = ", ".join(sorted({str(n) for n in networks if str(n)})) or "all"
    rows += [["All", every, label(str(p)), *_means(table.sel(product=p))] for p in table["product"].values]
    columns = [("Land cover", "", ""), ("Network", "", ""), ("Product", "", ""), *METRICS, ("Stations", "n", "d")]
    caption = (
        "The two references of the training against stations: means over the stations of a land cover (as Table 1 of "
        f"Rabiei et al., 2024). DCA on observed days only, both products on the same days and stations. {told(table)}"
    )
    return Table(columns, rows, caption)


def skill_table(table: xr.Dataset, what: str) -> Table:
    """Means over stations by depth and product (Table 3 of the paper), medians and number of days beside them."""
    rows: list[list[Cell]] = []
    for product in _by_layer(table):
        one = table.sel(product=product)
        n = one["n"].values
        days = int(np.median(n[n > 0])) if (n > 0).any() else 0
        means = [float(one[f"{s}_mean"]) for s in SCORED]
        medians = [float(one["r_median"]), float(one["ubrmse_median"])]
        depth = {"surface": "5 cm", "subsurface": "25 cm"}[str(one["layer"].values)]
        rows.append([depth, str(one["reference"].values), short(product), *means, *medians, int(one["count"]), days])
    columns = [
        ("Depth", "", ""), ("Stations at", "", ""), ("Product", "", ""), *((f"{n} mean", u, f) for n, u, f in METRICS),
        ("R median", "", ".2f"), ("ubRMSE median", UNIT, ".3f"), ("Stations", "n", "d"), ("Days", "median n", "d"),
    ]  # fmt: skip
    return Table(columns, rows, f"{what} {told(table)}")


def coverage(scene: Scene, series: xr.Dataset, table: xr.Dataset) -> Table:
    """Share of station days inside the 95 percent interval of each map with a standard deviation."""
    rows: list[list[Cell]] = []
    stations = {str(s): i for i, s in enumerate(series["station"].values)}
    for name in scene.moisture:
        layer = layer_of(name) or "surface"
        product = name if name in table["product"].values else f"{name}, all days"
        if f"{name}_std" not in series or product not in table["product"].values:
            continue
        counted = table["station"].values[table["n"].sel(product=product).values > 0]
        some = [stations[str(s)] for s in counted if str(s) in stations]
        error = (series[name] - series[f"in_situ_{layer}"]).values[some]
        spread = series[f"{name}_std"].values[some]
        use = np.isfinite(error) & np.isfinite(spread)
        if "frozen" in series:
            use &= ~np.nan_to_num(series["frozen"].values[some].astype("f4")).astype(bool)
        if (after := after_training(scene)) is not None:
            use &= scene.days >= after.start
        if not use.any():
            continue
        error, spread = np.where(use, error, np.nan), np.where(use, spread, np.nan)
        anomaly = error - np.nanmean(error, -1, keepdims=True, where=use.any(-1)[:, None])
        inside, about = (float((np.abs(e) <= Z95 * spread)[use].mean()) * 100 for e in (error, anomaly))
        rms = float(np.sqrt(np.nanmean(anomaly**2)))
        rows.append([label(name), inside, about, float(np.nanmean(spread)), rms, int(use.sum())])
    columns = [
        ("Map", "", ""), ("Inside", "% of days", ".0f"), ("Inside, station means removed", "% of days", ".0f"),
        ("Mean standard deviation", UNIT, ".3f"), ("ubRMSE, pooled", UNIT, ".3f"), ("Station days", "n", "d"),
    ]  # fmt: skip
    caption = (
        "Station days inside the 95 % interval (map ± 1.96 standard deviations), pooled over the stations of the table "
        "above; 95 % is the aim. The standard deviation is that of the 9 km cell, so what a point differs from "
        "its cell counts against it."
    )
    return Table(columns, rows, caption)


def excluded(tables: Sequence[xr.Dataset | None]) -> Table:
    """Sensors that take no part in any table, with the reasons."""
    found: dict[tuple[str, str, float], list[str]] = {}
    for table in tables:
        if table is None:
            continue
        names = (table[f"sensor_{k}"].values for k in ("network", "station", "depth"))
        for network, station, depth, reason in zip(*names, table["excluded"].values, strict=True):
            reasons = found.setdefault((str(network), str(station), float(depth)), [])
            if str(reason) and str(reason) not in reasons:
                reasons.append(str(reason))
    rows: list[list[Cell]] = [[*key, "; ".join(reasons)] for key, reasons in found.items() if reasons]
    columns = [("Network", "", ""), ("Station", "", ""), ("Depth", "cm", "g"), ("Reason", "", "")]
    return Table(columns, rows, "")


def told(table: xr.Dataset) -> str:
    """The terms of a validation in words."""
    least = table.attrs["min_days"]
    ways = sorted({str(m) for m in table["matching"].values})
    period = str(table.attrs["period"]).replace("/", " to ")
    terms = f"at least {least} days per station, {table.attrs['days']}"
    return f"{period}, {terms}; matched with the {' or the '.join(ways)}."


def _filled(scene: Scene) -> xr.Dataset:
    ds = scene.ds
    out = ds.drop_vars([n for n in ds.data_vars if n in scene.moisture])
    for name in scene.filled:
        values = ds[name]
        parts = {"all days": values}
        if f"{name}_observed" in ds:
            seen = ds[f"{name}_observed"].astype(bool)
            parts |= {"observed days": values.where(seen), "filled days": values.where(~seen)}
        depth = values.attrs.get("depth", 25 if layer_of(name) == "subsurface" else 5)
        out = out.assign({f"{name}, {k}": v.assign_attrs(values.attrs, depth=depth) for k, v in parts.items()})
    return out


def _by_layer(table: xr.Dataset) -> list[str]:
    return [str(p) for layer in dict.fromkeys(table["layer"].values)
            for p in table["product"].values[table["layer"].values == layer]]  # fmt: skip


def _merged(classes: np.ndarray) -> np.ndarray:
    names = [str(c).capitalize() for c in classes]
    return np.array(["Open and closed shrublands" if n in SHRUBS else n for n in names])


def _means(one: xr.Dataset) -> list[Any]:
    used = one["n"].values > 0
    return [*(float(np.nanmean(one[s].values[used])) if used.any() else np.nan for s in SCORED), int(used.sum())]
