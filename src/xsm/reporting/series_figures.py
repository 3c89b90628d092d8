"""Figures of availability, gaps and series, in colours that colour-blind readers can tell apart (Okabe and Ito)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm.data.roles import RETRIEVAL, role_of
from xsm.reporting import theme
from xsm.reporting.baselines import BRIDGED, MEAN
from xsm.reporting.labels import label, model_name, short
from xsm.reporting.map_figures import UNIT
from xsm.reporting.scene import COMPARISONS, ESTIMATE, GAP_NAMES, MODELS, Scene, foremost
from xsm.reporting.score_tables import DEPTHS
from xsm.reporting.theme import BLUE, GREEN, INDIGO, ORANGE, PINK, RED, SKY, SMALL, SOFT, dates, open_axes
from xsm.validation.metrics import NORMAL_95
from xsm.validation.products import layer_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LINES = {
    **{role: {"color": GREEN, "linestyle": "--", "linewidth": 0.9} for role in MODELS.values()},
    **{role: {"color": PINK, "linestyle": "-.", "linewidth": 0.9} for role in COMPARISONS.values()},
    RETRIEVAL: {"color": RED, "linestyle": ":", "linewidth": 1.0},
}
"""Colour and line by role."""


def look(name: str, ds: xr.Dataset | None = None) -> dict[str, Any]:
    """Colour and line of a product of maps or scores, the same in all figures."""
    if name == MEAN:
        return {"color": SOFT, "linestyle": "--", "linewidth": 1.0}
    base = name.partition(", ")[0]
    for product in (base, base.removesuffix(BRIDGED)):
        if (role := role_of(xr.Dataset() if ds is None else ds, product)) in LINES:
            return dict(LINES[role])
    if name.endswith("_s1"):
        return {"color": ORANGE, "linestyle": "-", "linewidth": 1.0}
    if ESTIMATE.fullmatch(name) and not name.endswith("_s2"):
        return {"color": INDIGO, "linestyle": "-", "linewidth": 1.3}
    return {"color": BLUE, "linestyle": "-", "linewidth": 1.1}


def availability(days: np.ndarray, share: np.ndarray, name: str) -> Figure:
    """Share of observed cells per day."""
    figure, axes = _figure(1.8)
    axes.fill_between(days, 0, share * 100, step="mid", color=SKY, linewidth=0, alpha=0.75)
    if len(days) >= 90:
        smooth = np.convolve(share, np.ones(31), "same") / np.convolve(np.ones(len(share)), np.ones(31), "same")
        axes.plot(days, smooth * 100, color="black", linewidth=1.1, label="31-day mean")
        axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 1.16), borderaxespad=0)
    axes.set(ylim=(0, 100), xlim=(days[0], days[-1]), ylabel="Cells observed (%)")
    axes.set_title(f"{name}: share of cells observed per day")
    dates(axes)
    return figure


def gap_lengths(gaps: np.ndarray, missing: np.ndarray) -> Figure:
    """Gaps by length: share of the gaps and of the missing cell-days."""
    figure, axes = _figure(2.0)
    place = np.arange(len(GAP_NAMES))
    for shift, counts, colour, name in ((-0.2, gaps, BLUE, "gaps"), (0.2, missing, ORANGE, "missing cell-days")):
        total = max(int(counts.sum()), 1)
        axes.bar(place + shift, counts / total * 100, 0.38, color=colour, label=f"share of {counts.sum():,} {name}")
    axes.set_xticks(place, GAP_NAMES)
    axes.set(xlabel="Length of the gap (days)", ylabel="Share (%)")
    axes.set_title("Gaps by their length")
    axes.legend(frameon=False)
    return figure


def series(scene: Scene, site: xr.Dataset, title: str) -> Figure:
    """Series of one station or cell: estimates, land model, station, observations, uncertainty, precipitation.

    For a station the distributions of its days stand beside them (Figure 7 of the paper).
    """
    from matplotlib.figure import Figure

    names = [n for n in (scene.moisture or scene.others[:1]) if np.isfinite(site[n].values).any()]
    layers = [la for la in DEPTHS if any((layer_of(scene.ds, n) or "surface") == la for n in names)]
    stations = any(_has(site, f"in_situ_{la}") for la in layers)
    figure = Figure(figsize=(theme.DOUBLE, 0.7 + 1.8 * len(layers)), dpi=theme.DPI, layout="constrained")
    shape = {"width_ratios": [5.2, 1]} if stations else {}
    grid = figure.subplots(len(layers), 2 if stations else 1, squeeze=False, sharey="row", gridspec_kw=shape)
    entries: dict[str, Any] = {}
    for layer, row in zip(layers, grid, strict=True):
        here = [n for n in names if (layer_of(scene.ds, n) or "surface") == layer]
        _draw(row[0], scene, site, layer, here, entries)
        if stations:
            _distributions(row[1], scene, site, layer, here)
    grid[0][0].set_title(title, fontweight="bold")
    if stations:
        grid[0][1].set_title("CDF", loc="center")
        grid[-1][1].set_xlabel("Share of days (%)")
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4, frameon=False)
    for row in grid:
        open_axes(row)
    return figure


def _draw(axes: Any, scene: Scene, site: xr.Dataset, layer: str, names: Sequence[str], entries: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    days = scene.days
    fall = scene.holders.get("precipitation", "")
    if layer == "surface" and _has(site, fall):
        rain = axes.twinx()
        amount = np.nan_to_num(site[fall].values)
        entries["Precipitation"] = rain.bar(days, amount, width=1.0, color=SKY, alpha=0.8)
        top = max(float(amount.max()), 10.0)
        rain.set_ylim(top * 3, 0)
        rain.set_yticks([v for v in MaxNLocator(2).tick_values(0, top) if v <= top])
        rain.set_ylabel("Rain (mm d⁻¹)", loc="top", fontsize=SMALL)
        rain.spines[["top", "left", "bottom"]].set_visible(False)
        axes.set_zorder(rain.get_zorder() + 1)
        axes.patch.set_visible(False)
    if "frozen" in site and (cold := np.nan_to_num(site["frozen"].values.astype("f4")) > 0).any():
        entries["Frozen"] = axes.fill_between(
            days, 0, 1, where=cold, step="mid", transform=axes.get_xaxis_transform(), color="#e4e4ee", linewidth=0
        )
    best = foremost(names) if scene.estimates else (names or [""])[-1]
    if best and f"{best}_std" in site:
        middle, half = site[best].values, NORMAL_95 * site[f"{best}_std"].values
        entries[f"95 % interval ({short(best, scene.ds)})"] = axes.fill_between(
            days, middle - half, middle + half, color=look(best, scene.ds)["color"], alpha=0.2, linewidth=0
        )
    if _has(site, f"in_situ_{layer}"):
        (entries["Station"],) = axes.plot(days, site[f"in_situ_{layer}"].values, color="black", linewidth=1.1)
    if (model := scene.models.get(layer, "")) and _has(site, model):
        (entries[model_name(model, scene.ds)],) = axes.plot(days, site[model].values, **look(model, scene.ds))
    for name in names:
        (entries[short(name, scene.ds)],) = axes.plot(days, site[name].values, **look(name, scene.ds))
    shown = scene.watched and scene.watched in (*names, scene.holders.get(RETRIEVAL))
    if layer == "surface" and shown and scene.watched in site:
        dots = np.where(site["observed"].values.astype(bool), site[scene.watched].values, np.nan)
        style = {"linestyle": "none", "marker": "o", "markersize": 2.4, "color": RED, "markeredgewidth": 0, "zorder": 5}
        (entries[f"{label(scene.watched, scene.ds)}, observed"],) = axes.plot(days, dots, **style)
    moisture = bool(scene.moisture)
    depth = DEPTHS[layer] if scene.estimates else (label(names[0], scene.ds) if names else "")
    axes.set_ylabel(f"{depth} ({UNIT})" if moisture else depth)
    axes.set_xlim(days[0], days[-1])
    if moisture:
        axes.set_ylim(bottom=0)
    dates(axes)


def _distributions(axes: Any, scene: Scene, site: xr.Dataset, layer: str, names: Sequence[str]) -> None:
    truth = site[f"in_situ_{layer}"].values
    drawn = [(n, look(n, scene.ds)) for n in (scene.models.get(layer, ""), *names)]
    shown = [(site[n].values, style) for n, style in drawn if n in site and _has(site, n)]
    use = np.isfinite(truth)
    if not use.any():
        return
    for values, style in [(truth, {"color": "black", "linewidth": 1.3}), *shown]:
        one = np.sort(values[use & np.isfinite(values)])
        axes.plot(np.arange(1, len(one) + 1) / max(len(one), 1) * 100, one, **style)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 50, 100])


def _has(site: xr.Dataset, name: str) -> bool:
    return name in site and bool(np.isfinite(site[name].values).any())


def _figure(height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(theme.DOUBLE, height), dpi=theme.DPI, layout="constrained")
    axes = figure.subplots()
    open_axes([axes])
    return figure, axes
