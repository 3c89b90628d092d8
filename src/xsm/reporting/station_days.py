"""Values pooled over station days: scatter, coverage of the spread, gap filling by the length of the gap."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.reporting.labels import label, short
from xsm.reporting.map_figures import UNIT
from xsm.reporting.scene import GAP_EDGES, GAP_NAMES, Scene, foremost, gap_lengths
from xsm.reporting.score_figures import LEVELS
from xsm.reporting.score_tables import Cell, Table, after_training
from xsm.validation import metrics
from xsm.validation.metrics import NORMAL_95
from xsm.validation.products import layer_of
from xsm.validation.scoring import SEASONS, season_of


def station_days(scene: Scene, series: xr.Dataset, table: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of a map and of the stations that are scored in a table, on the days that count, else NaN (site, day).

    Days count that are not frozen, lie after the training and have a value of every map and of its inputs.
    """
    layer = layer_of(scene.ds, name) or "surface"
    some = _counted(series, table, name)
    same = [n for n in scene.moisture if (layer_of(scene.ds, n) or "surface") == layer]
    same += [n for n in scene.inputs.get(layer, ()) if n in series]
    x, y = series[name].values[some].astype("f8"), series[f"in_situ_{layer}"].values[some].astype("f8")
    use = np.isfinite(y) & np.all([np.isfinite(series[n].values[some]) for n in same], axis=0)
    if "frozen" in series:
        use &= ~np.nan_to_num(series["frozen"].values[some].astype("f4")).astype(bool)
    if (after := after_training(scene)) is not None:
        use &= scene.days >= after.start
    return np.where(use, x, np.nan), np.where(use, y, np.nan)


def pairs(scene: Scene, series: xr.Dataset, table: xr.Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pooled station days (map, station) of the foremost map of each depth."""
    by_map = {}
    for layer in ("surface", "subsurface"):
        names = [n for n in scene.moisture if (layer_of(scene.ds, n) or "surface") == layer]
        if names and scored(table, name := foremost(names)):
            x, y = station_days(scene, series, table, name)
            use = np.isfinite(x) & np.isfinite(y)
            if use.any():
                by_map[name] = x[use], y[use]
    return by_map


def scored(table: xr.Dataset, name: str) -> bool:
    """Whether a map has a station in a table."""
    return any(
        bool((table["n"].sel(product=p) > 0).any()) for p in (name, f"{name}, all days") if p in table["product"]
    )


def coverage(scene: Scene, series: xr.Dataset, table: xr.Dataset) -> tuple[Table, dict[str, np.ndarray]]:
    """Station days inside the 95 percent interval of each map, and their shares inside others (`LEVELS`)."""
    from scipy.special import ndtri

    rows: list[list[Cell]] = []
    shares = {}
    season = season_of(scene.days)
    after = after_training(scene)
    seasons = np.unique(season if after is None else season[scene.days >= after.start])
    for name in scene.moisture:
        if f"{name}_std" not in series or not scored(table, name):
            continue
        x, y = station_days(scene, series, table, name)
        error, spread = x - y, series[f"{name}_std"].values[_counted(series, table, name)]
        use = np.isfinite(error) & np.isfinite(spread)
        if not use.any():
            continue
        error, spread = np.where(use, error, np.nan), np.where(use, spread, np.nan)
        anomaly = error - np.nanmean(error, -1, keepdims=True, where=use.any(-1)[:, None])
        inside, about = (float((np.abs(e) <= NORMAL_95 * spread)[use].mean()) * 100 for e in (error, anomaly))
        rms = float(np.sqrt(np.nanmean(anomaly**2)))
        within = np.abs(error) <= NORMAL_95 * spread
        by_season = [float(within[use & (season == s)].mean()) * 100 if (use & (season == s)).any() else np.nan
                     for s in seasons]  # fmt: skip
        words = label(name, scene.ds)
        rows.append([words, inside, about, *by_season, float(np.nanmean(spread)), rms, int(use.sum())])
        ratio = np.abs(error / spread)[use]
        shares[name] = np.array([(ratio <= z).mean() for z in ndtri(0.5 + LEVELS / 2)])
    columns = [
        ("Map", "", ""), ("Inside, pooled", "% of days", ".0f"),
        ("Inside, station means removed, pooled", "% of days", ".0f"),
        *((f"Inside, {SEASONS[s]}", "% of days", ".0f") for s in seasons),
        ("Standard deviation, mean", UNIT, ".3f"), ("RMSE, station means removed, pooled", UNIT, ".3f"),
        ("Station days", "n", "d"),
    ]  # fmt: skip
    caption = (
        "Station days inside the 95 % interval (map ± 1.96 standard deviations), pooled over the stations of the table "
        "above; 95 % is the aim. The standard deviation is that of the 9 km cell, so the difference between a "
        "point and its cell counts against it."
    )
    return Table(columns, rows, caption), shares


def gap_skill(scene: Scene, series: xr.Dataset) -> Table | None:
    """Gap-filled observations against stations by the length of the gap, beside the observed days; None without any."""
    name = scene.watched
    layer = layer_of(scene.ds, name) or "surface"
    truth = series.get(f"in_situ_{layer}")
    if not name or name not in series or truth is None:
        return None
    estimates = [n for n in scene.estimates if (layer_of(scene.ds, n) or "surface") == layer]
    best = [foremost(estimates)] if estimates else []
    names = [name, *dict.fromkeys(n for n in (*scene.inputs.get(layer, ()), *best) if n in series and n != name)]
    values = {n: series[n].values.astype("f8") for n in names}
    y = truth.values.astype("f8")
    observed = series["observed"].values.astype(bool)
    use: np.ndarray = np.isfinite(y) & np.all([np.isfinite(v) for v in values.values()], axis=0)
    use &= observed.any(1, keepdims=True)
    if "frozen" in series:
        use &= ~np.nan_to_num(series["frozen"].values.astype("f4")).astype(bool)
    if not (use & ~observed).any():
        return None
    about_y = np.where(use, y - _means(np.where(use, y, np.nan)), np.nan)
    bins = np.where(observed, -1, np.searchsorted(GAP_EDGES, gap_lengths(observed), side="right") - 1)
    rows: list[list[Cell]] = []
    for number, gap in ((-1, "observed"), *enumerate(GAP_NAMES)):
        here = use & (bins == number)
        if here.sum() < 10:
            continue
        for product, x in values.items():
            about_x = x - _means(np.where(use, x, np.nan))
            a, b = about_x[here], about_y[here]
            std = float(np.nanmean(series[f"{product}_std"].values[here])) if f"{product}_std" in series else np.nan
            row = float(metrics.pearson(a, b)), float(metrics.rmse(x[here], y[here])), float(metrics.rmse(a, b)), std
            rows.append([gap, short(product, scene.ds), *row, int(here.any(1).sum()), int(here.sum())])
    columns = [
        ("Length of the gap", "days", ""), ("Product", "", ""), ("R, pooled", "", ".2f"), ("RMSE, pooled", UNIT, ".3f"),
        ("ubRMSE, pooled", UNIT, ".3f"), ("Standard deviation, mean", UNIT, ".3f"), ("Stations", "n", "d"),
        ("Station days", "n", "d"),
    ]  # fmt: skip
    others = ", beside the other inputs, their mean and the estimate on the same days" if len(names) > 1 else ""
    caption = (
        f"{label(name, scene.ds)} after gap filling against the stations' UTC-day means, by the length of the gap that "
        f"a day lies in{others}; all days, those of training among them, pooled over stations after each station's "
        "means are removed (R, ubRMSE). Rows of fewer than 10 station days are left out. The stations took no part in "
        "the filling."
    )
    return Table(columns, rows, caption)


def _means(values: np.ndarray) -> np.ndarray:
    count = np.isfinite(values).sum(1, keepdims=True)
    return np.nansum(values, 1, keepdims=True) / np.maximum(count, 1)


def _counted(series: xr.Dataset, table: xr.Dataset, name: str) -> list[int]:
    """Positions in the series of the stations that are scored for a map."""
    product = name if name in table["product"].values else f"{name}, all days"
    at = {str(s): i for i, s in enumerate(series["station"].values)}
    counted = table["station"].values[table["n"].sel(product=product).values > 0]
    return [at[str(s)] for s in counted if str(s) in at]
