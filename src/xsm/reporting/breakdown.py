"""Scores by season and by region: land cover, soil texture and network, always beside the inputs and their mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from xsm.reporting import theme
from xsm.reporting.baselines import best_input, of_layer
from xsm.reporting.labels import short
from xsm.reporting.map_figures import UNIT
from xsm.reporting.scene import Scene
from xsm.reporting.score_figures import MARKS, groups_of
from xsm.reporting.score_tables import DEPTHS, METRICS, SCORED, Cell, Table
from xsm.reporting.series_figures import look
from xsm.reporting.verdict import estimates_of
from xsm.validation import contrasts
from xsm.validation.scoring import SEASONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPINGS = {"land_cover": "Land cover", "texture_group": "Soil texture", "network": "Network"}
SEASON_WORDS = {"DJF": "December to February", "MAM": "March to May", "JJA": "June to August",
                "SON": "September to November"}  # fmt: skip
COLUMNS = [(f"{name} mean", unit, form) for name, unit, form in METRICS]


def compared(table: xr.Dataset, scene: Scene) -> dict[str, list[str]]:
    """The foremost estimate of each depth and its baselines, by layer."""
    by_layer = {}
    for name in estimates_of(table):
        layer = str(table["layer"].sel(product=name).values)
        by_layer[layer] = [name, *of_layer(table, scene.inputs, layer)]
    return by_layer


def season_table(table: xr.Dataset, scene: Scene) -> Table:
    """Means over the stations by season, depth and product."""
    rows: list[list[Cell]] = []
    for season in SEASONS:
        part = xr.Dataset({s: table[f"{s}_by_season"].sel(season=season) for s in SCORED})
        rows += [[SEASON_WORDS[season], *row] for row in _rows(part, table, scene)]
    caption = (
        "Scores by season: means over the stations ± half the 95 % interval, "
        f"{table['r_by_season'].attrs['long_name'].partition(', ')[2]} at a station."
    )
    return Table([("Season", "", ""), *_head()], rows, caption)


def group_table(table: xr.Dataset, scene: Scene) -> Table:
    """Means over the stations of each land cover, soil texture and network, by depth and product."""
    rows: list[list[Cell]] = []
    for grouping, words in GROUPINGS.items():
        if grouping not in table.coords:
            continue
        labels, groups = groups_of(table, grouping)
        for group in groups if len(groups) > 1 else ():
            inside = labels == group
            part = table[list(SCORED)].isel(station=inside)
            rows += [[words, group.capitalize() if grouping != "network" else group, *row]
                     for row in _rows(part, table.isel(station=inside), scene)]  # fmt: skip
    caption = (
        "Scores by land cover, soil texture and network: means over the stations of a group ± half the 95 % interval; "
        "the gain in R is that over the best input of the group."
    )
    return Table([("Grouping", "", ""), ("Group", "", ""), *_head()], rows, caption)


def _head() -> list[tuple[str, str, str]]:
    return [("Depth", "", ""), ("Product", "", ""), *COLUMNS, ("Stations", "n", "d"), ("Gain in R", "", "+.2f")]


def _rows(part: xr.Dataset, table: xr.Dataset, scene: Scene) -> list[list[Cell]]:
    """Rows of the foremost estimates and their baselines, for scores on (product, station)."""
    rows: list[list[Cell]] = []
    for layer, names in compared(table, scene).items():
        estimate, *baselines = names
        best = best_input(part, baselines)
        for name in names:
            values = {s: part[s].sel(product=name).values for s in SCORED}
            count = int(np.isfinite(values["rmse"]).sum())
            if not count:
                continue
            more = (np.nan, np.nan)
            if name == estimate and best:
                one = contrasts.gain(values["r"], part["r"].sel(product=best).values)
                more = one.mean, one.half
            means = [contrasts.mean_and_half(v) for v in values.values()]
            rows.append([DEPTHS[layer], short(name, table), *means, count, more])
    return rows


def season_data(table: xr.Dataset, scene: Scene) -> pd.DataFrame:
    """Means over the stations and half their intervals by layer, product and season."""
    rows: list[dict[str, Any]] = []
    for layer, names in compared(table, scene).items():
        for name in names:
            for season in SEASONS:
                for score in ("r", "ubrmse", "bias"):
                    values = table[f"{score}_by_season"].sel(product=name, season=season).values
                    mean, half = contrasts.mean_and_half(values)
                    about = {"layer": layer, "product": name, "season": season, "score": score}
                    rows.append(about | {"mean": mean, "half": half, "stations": int(np.isfinite(values).sum())})
    data = pd.DataFrame(rows)
    return data[data["season"].isin(data["season"][data["stations"] > 0])]


def season_figure(data: pd.DataFrame, table: xr.Dataset) -> Figure:
    """Scores by season with their intervals: one column for each depth."""
    from matplotlib.figure import Figure

    layers = list(dict.fromkeys(data["layer"]))
    scores = {"r": "R", "ubrmse": f"ubRMSE ({UNIT})", "bias": f"Bias ({UNIT})"}
    seasons = [s for s in SEASONS if s in set(data["season"])]
    wide = theme.DOUBLE if len(layers) > 1 else theme.SINGLE
    figure = Figure(figsize=(wide, 5.0), dpi=theme.DPI, layout="constrained")
    grid = figure.subplots(len(scores), len(layers), squeeze=False, sharey="row", sharex=True)
    entries: dict[str, Any] = {}
    for column, layer in enumerate(layers):
        here = data[data["layer"] == layer]
        names = list(dict.fromkeys(here["product"]))
        for row, (score, words) in enumerate(scores.items()):
            axes = grid[row][column]
            for k, name in enumerate(names):
                one = here[(here["product"] == name) & (here["score"] == score)]
                place = np.arange(len(seasons)) + (k - (len(names) - 1) / 2) * 0.16
                style = {"color": look(name, table)["color"], "marker": MARKS[k], "markersize": 4, "capsize": 2}
                known = one["mean"].notna().values
                half = one["half"].fillna(0)[known]
                bars = axes.errorbar(place[known], one["mean"][known], half, linestyle="none", elinewidth=0.9, **style)
                entries.setdefault(short(name, table), bars)
            if score == "bias":
                axes.axhline(0, color="black", linewidth=0.7)
            axes.grid(axis="y", alpha=0.3)
            axes.set_ylabel(words if column == 0 else "")
        grid[-1][column].set_xticks(np.arange(len(seasons)), [SEASON_WORDS[s] for s in seasons])
        grid[0][column].set_title(DEPTHS.get(layer, layer))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4, frameon=False)
    theme.open_axes(grid.ravel())
    return figure


def outcomes(table: xr.Dataset, names: Sequence[str]) -> pd.DataFrame:
    """Scores of some products at the stations, one row for each product and station."""
    frame = table[[*SCORED, "n"]].sel(product=list(names)).to_dataframe().reset_index()
    frame = frame[frame["n"] > 0]
    return frame[[c for c in frame.columns if c not in ("layer", "reference", "matching")]]
