"""Figures of scores at stations: boxplots by group, density of station days, coverage of the spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm.data.roles import role_of
from xsm.reporting import theme
from xsm.reporting.labels import label, model_name, short
from xsm.reporting.map_figures import UNIT
from xsm.reporting.scene import ESTIMATE, MODELS, foremost
from xsm.reporting.score_tables import DEPTHS, METRICS, SCORED, merged
from xsm.reporting.series_figures import look
from xsm.reporting.theme import open_axes, signed, with_unit
from xsm.validation import metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOX_NEEDS = 5
"""Groups with fewer stations are shown as points."""
FEW, ROOM = 4, 0.5
"""Most names of groups that fit side by side; more are rotated. Least width of a group in inches."""
GROUPS: Mapping[str, Sequence[str]] = {"texture_group": ("fine", "medium", "coarse")}
"""Order of the groups of a grouping; others go by their number of stations."""
LEVELS = np.array([0.05, *np.arange(0.1, 0.91, 0.1), 0.95, 0.99])
BINS, MOST_POINTS = 100, 20_000
"""Cells of the density on each side, and the most station days that are drawn as points."""
MARKS = "os^Dv<>P"


def best(table: xr.Dataset) -> list[str]:
    """The foremost estimate at each depth; the first product of a depth without an estimate."""
    names_by_depth = []
    for layer in dict.fromkeys(table["layer"].values.tolist()):
        names = [str(p) for p in table["product"].values[table["layer"].values == layer]]
        names_by_depth.append(foremost([n for n in names if ESTIMATE.fullmatch(n)] or names[:1]))
    return names_by_depth


def groups_of(table: xr.Dataset, grouping: str) -> tuple[np.ndarray, list[str]]:
    """Group of each station, open and closed shrublands merged, and the groups in the order of the figure.

    Groups without a scored station are left out.
    """
    labels = merged(table[grouping].values) if grouping == "land_cover" else table[grouping].values.astype(str)
    scored = (table["n"].values > 0).any(0) if "n" in table else np.ones(len(labels), bool)
    names, counts = np.unique(labels[scored], return_counts=True)
    by_size = [str(n) for n in names[np.argsort(-counts, kind="stable")]]
    order = GROUPS.get(grouping, by_size)
    return labels, [n for n in order if n in by_size]


def boxes(table: xr.Dataset, grouping: str) -> Figure:
    """Boxplots of the scores over the stations of groups, both depths (Figures 3 and 4 of the paper)."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    scored = table["n"].values > 0
    layers = [la for la in dict.fromkeys(table["layer"].values.tolist()) if scored[table["layer"].values == la].any()]
    labels, _ = groups_of(table, grouping)
    columns = []
    for layer in layers:
        names = [str(p) for p in table["product"].values[table["layer"].values == layer]]
        here = (table["n"].sel(product=names).values > 0).any(0)
        columns.append((layer, names, here, groups_of(table.isel(station=here), grouping)[1]))
    room = [max(len(groups), 1) for *_, groups in columns]
    most = max(len(names) for _, names, *_ in columns)
    wide = float(np.clip(0.9 + sum(n * max(ROOM, 0.16 * most) for n in room), theme.SINGLE, theme.DOUBLE))
    figure = Figure(figsize=(wide, 6.6), dpi=theme.DPI, layout="constrained")
    shape = {"width_ratios": room}
    grid = figure.subplots(len(SCORED), len(layers), squeeze=False, sharey="row", sharex="col", gridspec_kw=shape)
    entries: dict[str, Any] = {}
    points = False
    for column, (layer, names, here, groups) in enumerate(columns):
        width = 0.8 / len(names)
        for row, (score, (title, unit, _)) in enumerate(zip(SCORED, METRICS, strict=True)):
            axes = grid[row][column]
            for k, name in enumerate(names):
                values = table[score].sel(product=name).values
                parts = [values[(labels == g) & np.isfinite(values)] for g in groups]
                place = np.arange(len(groups)) + (k - (len(names) - 1) / 2) * width
                colour, mark = look(name, table)["color"], MARKS[k % len(MARKS)]
                points |= _boxplot(axes, parts, place, width * 0.85, colour, mark)
                model = role_of(table, name) in MODELS.values()
                text = model_name(name, table) if model else short(name, table)
                entries[text] = Patch(facecolor=colour, alpha=0.75)
            if score == "bias":
                axes.axhline(0, color="black", linewidth=0.7)
            axes.set_ylabel(with_unit(title, unit) if column == 0 else "")
            axes.grid(axis="y", alpha=0.3)
            axes.set_xlim(-0.6, len(groups) - 0.4)
        counts = [int(((labels == g) & here).sum()) for g in groups]
        if len(groups) <= FEW:
            ticks = [f"{_folded(g)}\n({n})" for g, n in zip(groups, counts, strict=True)]
            grid[-1][column].set_xticks(np.arange(len(groups)), ticks)
        else:
            ticks = [f"{_folded(g)} ({n})" for g, n in zip(groups, counts, strict=True)]
            turned: dict[str, Any] = {"rotation": 50, "ha": "right", "rotation_mode": "anchor"}
            grid[-1][column].set_xticks(np.arange(len(groups)), ticks, **turned)
        grid[0][column].set_title(DEPTHS.get(layer, layer))
    if points:
        entries[f"One station (fewer than {BOX_NEEDS})"] = Line2D(
            [], [], linestyle="none", marker="o", color="white", markeredgecolor="black", markersize=4
        )
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=int(wide / 1.4), frameon=False)
    open_axes(grid.ravel())
    return figure


def _boxplot(axes: Any, parts: Sequence[np.ndarray], place: np.ndarray, width: float, colour: str, mark: str) -> bool:
    """Boxes of the groups that have enough stations, points of the others; whether there were points."""
    few = [(p, x) for p, x in zip(parts, place, strict=True) if 0 < len(p) < BOX_NEEDS]
    for part, x in few:
        axes.plot(np.full(len(part), x), part, mark, color=colour, markeredgecolor="black", markersize=4, mew=0.6)
    boxed = [(p, x) for p, x in zip(parts, place, strict=True) if len(p) >= BOX_NEEDS]
    if boxed:
        axes.boxplot(
            [p for p, _ in boxed], positions=[x for _, x in boxed], widths=width, patch_artist=True,
            manage_ticks=False, boxprops={"facecolor": colour, "alpha": 0.75, "linewidth": 0.6},
            medianprops={"color": "black", "linewidth": 1.2}, flierprops={"markersize": 2.5, "markeredgewidth": 0.5},
            whiskerprops={"linewidth": 0.6}, capprops={"linewidth": 0.6},
        )  # fmt: skip
    return bool(few)


def scatter(
    pooled: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = "", ds: xr.Dataset | None = None
) -> Figure:
    """Station days, map against station, coloured by their density, with pooled scores (Figure 6 of the paper)."""
    from matplotlib.figure import Figure

    high = float(np.ceil(max(np.percentile(np.concatenate(pair), 99.8) for pair in pooled.values()) * 20) / 20)
    wide = theme.DOUBLE * (len(pooled) if len(pooled) > 1 else 1.1) / 2
    figure = Figure(figsize=(wide, theme.DOUBLE / 2 - 0.9), dpi=theme.DPI, layout="compressed")
    if title:
        figure.suptitle(title, fontsize=theme.SMALL)
    grid = figure.subplots(1, len(pooled), squeeze=False)[0]
    for axes, (name, (x, y)) in zip(grid, pooled.items(), strict=True):
        values = density(x, y, high)
        shown = np.argsort(values)[:: max(1, -(-len(values) // MOST_POINTS))]
        size = float(np.clip(3e4 / max(len(shown), 1), 2, 12))
        dots = axes.scatter(y[shown], x[shown], c=values[shown], s=size, cmap="viridis", linewidths=0, rasterized=True,
                            vmin=0)  # fmt: skip
        axes.plot([0, high], [0, high], color="black", linewidth=0.8, linestyle="--")
        if np.std(y) > 0:
            slope = float(np.cov(x, y)[0, 1] / np.var(y, ddof=1))
            ends = np.percentile(y, [1, 99])
            axes.plot(ends, np.mean(x) + slope * (ends - np.mean(y)), color=theme.RED, linewidth=1.2)
        r, rmse, bias, ub = (float(f(x, y)) for f in (metrics.pearson, metrics.rmse, metrics.bias, metrics.ubrmse))
        text = f"pooled\nR {r:.2f}\nRMSE {rmse:.3f}\nbias {bias:+.3f}\nubRMSE {ub:.3f}\nn {len(x):,}"
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2}
        axes.text(0.03, 0.97, text.replace("-", "\u2212"), transform=axes.transAxes, va="top", fontsize=theme.SMALL,
                  bbox=box)  # fmt: skip
        axes.set(xlim=(0, high), ylim=(0, high), aspect="equal")
        axes.set(xlabel=f"Station ({UNIT})", ylabel=f"{label(name, ds)} ({UNIT})")
        figure.colorbar(dots, ax=axes, label="Density (% of days per square of 0.01 m³ m⁻³)")
    open_axes(grid)
    return figure


def density(x: np.ndarray, y: np.ndarray, high: float) -> np.ndarray:
    """Density of points at the points: percent of them per square of 0.01 m3 m-3, by a Gaussian kernel.

    The width of the kernel is that of Scott (1992) for two dimensions, from the standard deviation of each series; the
    sum of the density over the plane is 100 %.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(0.3, 0.05, (2, 50_000))
    >>> peak = density(a, b, 0.6).max()
    >>> bool(0.9 < peak / (100 * 1e-4 / (2 * np.pi * 0.05**2)) < 1.05)
    True
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    step = high / BINS
    edges = np.arange(-BINS // 4, BINS + BINS // 4 + 1) * step
    counts, _, _ = np.histogram2d(y, x, bins=[edges, edges])
    widths = [max(float(np.std(v)) * len(v) ** (-1 / 6) / step, 0.7) for v in (y, x)]
    smooth = gaussian_filter(counts, widths, mode="constant") / max(len(x), 1) / step**2 * 100 * 1e-4
    at = [np.clip((v - edges[0]) / step - 0.5, 0, len(edges) - 2) for v in (y, x)]
    out: np.ndarray = map_coordinates(smooth, at, order=1)
    return out


def reliability(shares: Mapping[str, np.ndarray], ds: xr.Dataset | None = None) -> Figure:
    """Share of station days inside intervals of growing width, against the nominal share."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(theme.SINGLE * 1.4, theme.SINGLE * 0.92), dpi=theme.DPI, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color="black", linewidth=0.8, linestyle="--", label="perfect")
    for (name, share), mark in zip(shares.items(), MARKS, strict=False):
        style = look(name, ds) | {"linestyle": ":" if "25cm" in name else "-"}
        axes.plot(LEVELS * 100, share * 100, marker=mark, markersize=3, label=label(name, ds), **style)
    axes.text(97, 3, "spread too small", ha="right", color=theme.SOFT, fontsize=theme.SMALL)
    axes.text(3, 97, "spread too large", color=theme.SOFT, fontsize=theme.SMALL, va="top")
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="Interval of the map (nominal %)", ylabel="Station days inside (%)")
    axes.grid(alpha=0.3)
    figure.legend(frameon=False, loc="outside right upper")
    axes.set_aspect("equal")
    open_axes([axes])
    return figure


def _folded(name: str) -> str:
    """A group's name in lines of about twelve letters."""
    lines = [""]
    for word in name.capitalize().split():
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < 12 else [*lines, word]
    return "\n".join(line for line in lines if line)


def median_text(values: np.ndarray, form: str) -> str:
    """The median of a histogram in words."""
    return f"median {signed(float(np.median(values)), form)}" if len(values) else "no station"
