"""Figures of scores at stations: boxplots by group, maps with histograms, pooled scatter, coverage of the spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm.io.styles import colours
from xsm.reporting.labels import label, model_name, role_in, short
from xsm.reporting.map_figures import DPI, UNIT, degrees, ends, limits, round_degrees
from xsm.reporting.scene import ESTIMATE, MODELS, foremost
from xsm.reporting.score_tables import DEPTHS, METRICS, SCORED, merged
from xsm.reporting.series_figures import BLUE, WIDE, look, open_axes
from xsm.validation import metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOX_NEEDS = 5
"""Groups with fewer stations are shown as points."""
FEW = 4
"""Most names of groups that fit side by side; more are rotated."""
GROUPS: Mapping[str, Sequence[str]] = {"texture_group": ("fine", "medium", "coarse")}
"""Order of the groups of a grouping; others go by their number of stations."""
MAPPED = ("r", "ubrmse", "bias")
LEVELS = np.array([0.05, *np.arange(0.1, 0.91, 0.1), 0.95, 0.99])


def best(table: xr.Dataset) -> list[str]:
    """The foremost estimate at each depth; the first product of a depth without an estimate."""
    names_by_depth = []
    for layer in dict.fromkeys(table["layer"].values.tolist()):
        names = [str(p) for p in table["product"].values[table["layer"].values == layer]]
        names_by_depth.append(foremost([n for n in names if ESTIMATE.fullmatch(n)] or names[:1]))
    return names_by_depth


def groups_of(table: xr.Dataset, grouping: str) -> tuple[np.ndarray, list[str]]:
    """Group of each station, open and closed shrublands merged, and the groups in the order of the figure."""
    labels = merged(table[grouping].values) if grouping == "land_cover" else table[grouping].values.astype(str)
    names, counts = np.unique(labels, return_counts=True)
    by_size = [str(n) for n in names[np.argsort(-counts, kind="stable")]]
    order = GROUPS.get(grouping, by_size)
    return labels, [n for n in order if n in by_size]


def boxes(table: xr.Dataset, grouping: str) -> Figure:
    """Boxplots of the scores over the stations of groups, both depths (Figures 3 and 4 of the paper)."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    layers = list(dict.fromkeys(table["layer"].values.tolist()))
    labels, groups = groups_of(table, grouping)
    figure = Figure(figsize=(WIDE, 8.2), dpi=DPI, layout="constrained")
    grid = figure.subplots(len(SCORED), len(layers), squeeze=False, sharey="row", sharex="col")
    entries: dict[str, Any] = {}
    for column, layer in enumerate(layers):
        names = [str(p) for p in table["product"].values[table["layer"].values == layer]]
        width = 0.8 / len(names)
        for row, (score, (title, unit, _)) in enumerate(zip(SCORED, METRICS, strict=True)):
            axes = grid[row][column]
            for k, name in enumerate(names):
                values = table[score].sel(product=name).values
                parts = [values[(labels == g) & np.isfinite(values)] for g in groups]
                place = np.arange(len(groups)) + (k - (len(names) - 1) / 2) * width
                colour = look(name, table)["color"]
                _boxplot(axes, parts, place, width * 0.85, colour)
                model = role_in(table, name) in MODELS.values()
                text = model_name(name, table) if model else short(name, table)
                entries[text] = Patch(facecolor=colour, alpha=0.75)
            if score == "bias":
                axes.axhline(0, color="black", linewidth=0.8)
            axes.set_ylabel(_with_unit(title, unit) if column == 0 else "")
            axes.grid(axis="y", alpha=0.3)
        scored = (table["n"].sel(product=names).values > 0).any(0)
        counts = [int(((labels == g) & scored).sum()) for g in groups]
        if len(groups) <= FEW:
            ticks = [f"{_folded(g)}\n({n})" for g, n in zip(groups, counts, strict=True)]
            grid[-1][column].set_xticks(np.arange(len(groups)), ticks)
        else:
            ticks = [f"{g.capitalize()} ({n})" for g, n in zip(groups, counts, strict=True)]
            turned: dict[str, Any] = {"rotation": 70, "ha": "right", "rotation_mode": "anchor", "fontsize": 7.5}
            grid[-1][column].set_xticks(np.arange(len(groups)), ticks, **turned)
        grid[0][column].set_title(DEPTHS.get(layer, layer), loc="left", fontsize=10)
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=5, frameon=False)
    open_axes(grid.ravel())
    return figure


def _boxplot(axes: Any, parts: Sequence[np.ndarray], place: np.ndarray, width: float, colour: str) -> None:
    for part, x in zip(parts, place, strict=True):
        if len(part) < BOX_NEEDS:
            axes.plot(np.full(len(part), x), part, "o", color=colour, markeredgecolor="black", markersize=5)
    axes.boxplot(
        [p if len(p) >= BOX_NEEDS else [] for p in parts], positions=place, widths=width, patch_artist=True,
        manage_ticks=False, boxprops={"facecolor": colour, "alpha": 0.75},
        medianprops={"color": "black", "linewidth": 1.4}, flierprops={"markersize": 3},
    )  # fmt: skip


def skill_maps(table: xr.Dataset, products: Sequence[str]) -> Figure:
    """Maps of R, ubRMSE and bias at the stations with histograms and medians (Figure 5 of the paper)."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    where = _window(table)
    scales = {score: _scale(score, table[score].sel(product=list(products)).values) for score in MAPPED}
    titles = dict(zip(SCORED, METRICS, strict=True))
    tall = float(np.clip(2.7 * where[2] / where[3], 1.4, 4.2))
    figure = Figure(figsize=(WIDE, len(products) * (tall + 2.3)), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(hspace=0.06)  # type: ignore[union-attr, call-arg]
    rows = figure.subplots(
        2 * len(products), len(MAPPED), squeeze=False, gridspec_kw={"height_ratios": [tall, 1.1] * len(products)}
    )
    for k, product in enumerate(products):
        for column, score in enumerate(MAPPED):
            title, unit, _ = titles[score]
            values = table[score].sel(product=product).values
            use = np.isfinite(values)
            axes = rows[2 * k][column]
            _draw_window(axes, where)
            size = float(np.clip(2500 / max(use.sum(), 1), 9, 26))
            dots = axes.scatter(
                table["lon"].values[use], table["lat"].values[use], c=values[use], s=size, edgecolors="black",
                linewidths=0.4, zorder=3, **scales[score],
            )  # fmt: skip
            axes.set_title(f"{label(product, table)}: {title}", loc="left", fontsize=9)
            arrows = ends(values[use], *dots.get_clim())
            bar = figure.colorbar(dots, ax=axes, orientation="horizontal", shrink=0.9, pad=0.03, extend=arrows)
            bar.ax.tick_params(labelsize=7)
            bar.locator = MaxNLocator(5)
            bar.update_ticks()
            bar.set_label(_with_unit(title, unit), fontsize=8)
            _histogram(rows[2 * k + 1][column], values[use], title, unit)
    return figure


def _window(table: xr.Dataset) -> tuple[tuple[float, float], tuple[float, float], float, float]:
    """Longitudes, latitudes, height and width as drawn."""
    lon, lat = table["lon"].values, table["lat"].values
    pad = max(0.06 * float(max(np.ptp(lon), np.ptp(lat))), 0.1)
    x, y = (lon.min() - pad, lon.max() + pad), (lat.min() - pad, lat.max() + pad)
    return x, y, float(y[1] - y[0]), float((x[1] - x[0]) * np.cos(np.radians(np.mean(y))))


def _draw_window(axes: Any, where: tuple[tuple[float, float], tuple[float, float], float, float]) -> None:
    x, y, _, _ = where
    axes.set(xlim=x, ylim=y, aspect=1 / np.cos(np.radians(np.mean(y))), facecolor="#f2f2f2")
    lon, lat = round_degrees(*x), round_degrees(*y)
    axes.set_xticks(lon[:: 1 + len(lon) // 4], [degrees(v, "E", "W") for v in lon[:: 1 + len(lon) // 4]])
    axes.set_yticks(lat, [degrees(v, "N", "S") for v in lat])
    axes.tick_params(labelsize=7, length=2)
    axes.grid(color="black", alpha=0.18, linewidth=0.5)


def _scale(score: str, values: np.ndarray) -> dict[str, Any]:
    """Colours of a score, the same for all maps of it: R from 0 to 1, white below; the bias about 0."""
    from matplotlib import colormaps

    if score == "r":
        return {"cmap": colormaps["viridis"].with_extremes(under="white"), "vmin": 0.0, "vmax": 1.0}
    if score == "bias":
        _, edge = limits([np.abs(values)], "soil_moisture")
        return {"cmap": colours("bias"), "vmin": -edge, "vmax": edge}
    return dict(zip(("cmap", "vmin", "vmax"), (colours("uncertainty"), *limits([values], "uncertainty")), strict=True))


def _with_unit(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title


def _histogram(axes: Any, values: np.ndarray, title: str, unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.hist(values, bins=min(20, max(5, len(values) // 4)), color=BLUE, alpha=0.75)
    middle = float(np.median(values)) if len(values) else np.nan
    axes.axvline(middle, color="black", linewidth=1.3)
    form = next(form for name, _, form in METRICS if name == title)
    axes.set_title(f"median {middle:{form}}".replace("-", "\u2212"), fontsize=8, loc="right", pad=2)
    axes.set_xlabel(_with_unit(title, unit), fontsize=8)
    axes.set_ylabel("Stations", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.get_major_locator().set_params(integer=True)
    open_axes([axes])


def scatter(
    pooled: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = "", ds: xr.Dataset | None = None
) -> Figure:
    """Density of station days, map against station, with pooled scores (Figure 6 of the paper)."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    high = float(np.ceil(max(np.percentile(np.concatenate(pair), 99.8) for pair in pooled.values()) * 20) / 20)
    figure = Figure(figsize=(WIDE * len(pooled) / 2, WIDE / 2 - 0.8), dpi=DPI, layout="compressed")
    figure.suptitle(title, fontsize=8)
    for axes, (name, (x, y)) in zip(figure.subplots(1, len(pooled), squeeze=False)[0], pooled.items(), strict=True):
        counts, edges, _ = np.histogram2d(y, x, bins=80, range=[[0, high], [0, high]])
        shown = np.where(counts > 0, counts, np.nan).T
        most = max(counts.max(), 2)
        image = axes.pcolormesh(edges, edges, shown, cmap="viridis_r", norm=LogNorm(1, most), rasterized=True)
        axes.plot([0, high], [0, high], color="black", linewidth=0.9, linestyle="--")
        r, rmse, bias, ub = (float(f(x, y)) for f in (metrics.pearson, metrics.rmse, metrics.bias, metrics.ubrmse))
        text = f"pooled\nR {r:.2f}\nRMSE {rmse:.3f}\nbias {bias:+.3f}\nubRMSE {ub:.3f}\nn {len(x):,}".replace(
            "-", "\u2212"
        )
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2}
        axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=8.5, bbox=box)
        axes.set(xlim=(0, high), ylim=(0, high), aspect="equal")
        axes.set(xlabel=f"Station ({UNIT})", ylabel=f"{label(name, ds)} ({UNIT})")
        bar = figure.colorbar(image, ax=axes, label="Station days", format=ScalarFormatter())
        bar.ax.minorticks_off()
        bar.set_ticks([t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000) if t <= most])
    return figure


def reliability(shares: Mapping[str, np.ndarray], ds: xr.Dataset | None = None) -> Figure:
    """Share of station days inside intervals of growing width, against the nominal share."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color="black", linewidth=0.9, linestyle="--", label="perfect")
    for (name, share), mark in zip(shares.items(), "os^Dv<>", strict=False):
        style = look(name, ds) | {"linestyle": ":" if "25cm" in name else "-"}
        axes.plot(LEVELS * 100, share * 100, marker=mark, markersize=4, label=label(name, ds), **style)
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="Interval of the map (nominal %)", ylabel="Station days inside (%)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    open_axes([axes])
    return figure


def _folded(name: str) -> str:
    """A group's name in lines of about twelve letters."""
    lines = [""]
    for word in name.capitalize().split():
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < 12 else [*lines, word]
    return "\n".join(line for line in lines if line)
