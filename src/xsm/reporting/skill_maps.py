"""Maps of scores at the stations with histograms, and of what an estimate gains over its best input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm.io.styles import colours
from xsm.reporting import theme
from xsm.reporting.frames import Frame, degree_frame, draw_lines
from xsm.reporting.labels import label
from xsm.reporting.map_figures import ends, limits
from xsm.reporting.score_figures import median_text
from xsm.reporting.score_tables import METRICS, SCORED
from xsm.reporting.theme import BLUE, SMALL, open_axes, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAPPED = ("r", "ubrmse", "bias")
LAND = "#f2f2f2"
Scale = dict[str, Any]


def skill_maps(table: xr.Dataset, products: Sequence[str]) -> Figure:
    """Maps of R, ubRMSE and bias at the stations with histograms and medians (Figure 5 of the paper)."""
    scales = {score: _scale(score, table[score].sel(product=list(products)).values) for score in MAPPED}
    words = {score: (title, unit, form) for score, (title, unit, form) in zip(SCORED, METRICS, strict=True)}
    rows = [
        [(f"{label(p, table)}: {words[s][0]}", table[s].sel(product=p).values, scales[s], *words[s]) for s in MAPPED]
        for p in products
    ]
    return _grid(table, rows)


def gain_maps(table: xr.Dataset, gains: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Maps of what products gain over their best input at the stations: product to score (R, ubRMSE) to gain."""
    words = {"r": ("Gain in R", "", "+.2f"), "ubrmse": ("Less ubRMSE", "m³ m⁻³", "+.3f")}
    scales = {}
    for score in words:
        _, edge = limits([np.abs(g[score]) for g in gains.values()], "")
        scales[score] = {"cmap": colours("bias"), "vmin": -edge, "vmax": edge}
    rows = [
        [(f"{label(p, table)}: {words[s][0]}", values, scales[s], *words[s]) for s, values in gain.items()]
        for p, gain in gains.items()
    ]
    return _grid(table, rows)


def _grid(table: xr.Dataset, rows: Sequence[Sequence[tuple[str, np.ndarray, Scale, str, str, str]]]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    frame = _window(table)
    columns = max(map(len, rows))
    tall = float(np.clip((theme.DOUBLE / columns - 0.4) * frame.tall, 1.0, 2.6))
    figure = Figure(figsize=(theme.DOUBLE, len(rows) * (tall + 1.75)), dpi=theme.DPI, layout="constrained")
    figure.get_layout_engine().set(hspace=0.06)  # type: ignore[union-attr, call-arg]
    shape = {"height_ratios": [tall, 0.85] * len(rows)}
    grid = figure.subplots(2 * len(rows), columns, squeeze=False, gridspec_kw=shape)
    for k, row in enumerate(rows):
        for column, (title, values, scale, score, unit, form) in enumerate(row):
            use = np.isfinite(values)
            axes = grid[2 * k][column]
            axes.set_facecolor(LAND)
            draw_lines(axes, frame)
            axes.set(aspect=frame.aspect)
            axes.set_xticks([p for p, _ in frame.x_ticks][::2], [t for _, t in frame.x_ticks][::2])
            axes.set_yticks([p for p, _ in frame.y_ticks], [t for _, t in frame.y_ticks])
            size = float(np.clip(1800 / max(use.sum(), 1), 6, 20))
            dots = axes.scatter(
                table["lon"].values[use], table["lat"].values[use], c=values[use], s=size, edgecolors="black",
                linewidths=0.4, zorder=3, **scale,
            )  # fmt: skip
            axes.set_title(title)
            arrows = ends(values[use], *dots.get_clim())
            bar = figure.colorbar(dots, ax=axes, orientation="horizontal", shrink=0.9, pad=0.03, extend=arrows)
            bar.ax.tick_params(labelsize=SMALL)
            bar.locator = MaxNLocator(4, steps=[1, 2, 5, 10])
            bar.update_ticks()
            bar.set_label(with_unit(score, unit))
            _histogram(grid[2 * k + 1][column], values[use], score, unit, form)
    return figure


def _window(table: xr.Dataset) -> Frame:
    """Frame around the stations; its longitudes and latitudes are at least a few degrees apart."""
    lon, lat = table["lon"].values, table["lat"].values
    pad = max(0.06 * float(max(np.ptp(lon), np.ptp(lat))), 0.1)
    return degree_frame(lon.min() - pad, lat.min() - pad, lon.max() + pad, lat.max() + pad)


def _scale(score: str, values: np.ndarray) -> Scale:
    """Colours of a score, the same for all maps of it: R from 0 to 1, white below; the bias about 0."""
    from matplotlib import colormaps

    if score == "r":
        return {"cmap": colormaps["viridis"].with_extremes(under="white"), "vmin": 0.0, "vmax": 1.0}
    if score == "bias":
        _, edge = limits([np.abs(values)], "soil_moisture")
        return {"cmap": colours("bias"), "vmin": -edge, "vmax": edge}
    return dict(zip(("cmap", "vmin", "vmax"), (colours("uncertainty"), *limits([values], "uncertainty")), strict=True))


def _histogram(axes: Any, values: np.ndarray, title: str, unit: str, form: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.hist(values, bins=min(20, max(5, len(values) // 4)), color=BLUE, alpha=0.75)
    if len(values):
        axes.axvline(float(np.median(values)), color="black", linewidth=1.1)
    axes.set_title(median_text(values, form), fontsize=SMALL, loc="right", pad=2)
    axes.set_xlabel(with_unit(title, unit))
    axes.set_ylabel("Stations")
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.get_major_locator().set_params(integer=True)
    open_axes([axes])
