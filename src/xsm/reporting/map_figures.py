"""Figures of maps: true aspect, degrees at the edges, coast and borders, grey where there is no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from xsm.data.soil_texture import CLASSES
from xsm.io.styles import FIXED, RAMPS, TEXTURE, colours
from xsm.reporting import theme
from xsm.reporting.frames import Frame, draw_lines, oriented
from xsm.reporting.theme import MISSING, SMALL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = {"soil_moisture": 0.05, "uncertainty": 0.01}
"""Limits of colour scales are whole multiples of these."""
UNIT = "m³ m⁻³"
BARS = {"soil_moisture": f"Soil moisture ({UNIT})", "uncertainty": f"Standard deviation ({UNIT})"}
LEFT, ACROSS = 0.13, 0.82
"""Left edge and width of a map, shares of the figure."""
LEAST, MOST = 1.3, 5.4
"""Least and largest height of a map in inches."""
NO_VALUE = "No value"


def limits(
    panels: Iterable[ArrayLike],
    ramp: str,
    vmin: float | None = None,
    vmax: float | None = None,
    *,
    robust: bool = True,
) -> tuple[float, float]:
    """Limits that panels share: the ramp's (`FIXED`), or their 1st and 99th percentile, rounded outwards (`STEPS`).

    Those of departures (``"bias"``) lie as far on both sides of zero. ``robust=False`` takes the least and the largest
    value; ``vmin`` and ``vmax`` replace one end.
    """
    low, high = _limits(panels, ramp, robust)
    if ramp == "bias" and (vmin is None) != (vmax is None):
        edge = abs(vmin if vmin is not None else vmax or 0.0)
        return -edge, edge
    low, high = low if vmin is None else vmin, high if vmax is None else vmax
    return low, high if high > low or None not in (vmin, vmax) else low + abs(high - low or 1)


def _limits(panels: Iterable[ArrayLike], ramp: str, robust: bool) -> tuple[float, float]:
    if ramp in FIXED:
        return RAMPS[ramp][0][0], RAMPS[ramp][-1][0]
    every = np.concatenate([np.empty(0), *(np.ravel(p) for p in panels)])
    every = every[np.isfinite(every)]
    if not every.size:
        return (RAMPS[ramp][0][0], RAMPS[ramp][-1][0]) if ramp else (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(every, [1, 99] if robust else [0, 100]))
    if ramp == "bias":
        edge = max(abs(low), abs(high)) or 1.0
        return -edge, edge
    if ramp not in STEPS:
        return low, high if high > low else low + 1
    step = STEPS[ramp]
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    return round(low, 6), round(max(high, low + step), 6)


def ends(values: ArrayLike, low: float, high: float) -> str:
    """Ends of a colour bar that get an arrow because values lie beyond them."""
    under, over = bool((np.asarray(values) < low).any()), bool((np.asarray(values) > high).any())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((under, over), "neither")


def value_maps(
    frame: Frame,
    panels: Mapping[str, xr.DataArray],
    ramp: str = "",
    bar: str = "",
    scale: tuple[float, float] | None = None,
    sites: xr.Dataset | None = None,
) -> list[Figure]:
    """Maps by title, all on one scale: in a ramp of `xsm.io.styles`, or in viridis with a name for the colour bar."""
    low, high = scale or limits(panels.values(), ramp)
    style = {"cmap": colours(ramp) if ramp else "viridis", "vmin": low, "vmax": high}
    bar = bar or BARS.get(ramp, "")
    return [_map(frame, values, title, bar, style, sites) for title, values in panels.items()]


def texture_map(frame: Frame, values: xr.DataArray, sites: xr.Dataset | None) -> Figure:
    """USDA texture classes and the stations (Figure 2 of the paper)."""
    classes = [(k + 1, colour, word) for k, (colour, word) in enumerate(zip(TEXTURE, CLASSES, strict=True))]
    return class_map(frame, values, "USDA texture class", classes, sites)


def class_map(
    frame: Frame,
    values: xr.DataArray,
    title: str,
    classes: Sequence[tuple[int, str, str]],
    sites: xr.Dataset | None = None,
) -> Figure:
    """Map of classes ``(value, colour, meaning)`` with a legend of those that are there, and the stations."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    shown = oriented(frame, values)
    present = [c for c in classes if (shown == c[0]).any()]
    columns = 3 if max((len(word) for *_, word in present), default=0) <= 16 else 1
    lines = -(-(len(present) + 1 + (0 if sites is None else 2)) // columns)
    figure, axes = _figure(frame, title, extra=0.08 + 0.165 * lines)
    image = np.zeros((*shown.shape, 4))
    for value, colour, _ in present:
        image[shown == value] = to_rgba(colour)
    axes.imshow(image, extent=frame.extent, interpolation="nearest", aspect=frame.aspect)
    handles: list[Any] = [Patch(color=colour, label=word[:1].upper() + word[1:]) for _, colour, word in present]
    if not (image[..., 3] > 0).all():
        handles.append(Patch(color=MISSING, label=NO_VALUE))
    _say_empty(axes, not present)
    draw_lines(axes, frame)
    handles += [] if sites is None else draw_sites(axes, frame, sites)
    figure.legend(handles=handles, loc="lower center", ncols=columns, frameon=False)
    return figure


def draw_sites(axes: Any, frame: Frame, sites: xr.Dataset) -> list[Any]:
    """Mark stations by network; returns the entries of a legend."""
    from matplotlib.lines import Line2D

    handles = []
    for network, marker in zip(sorted(set(sites["network"].values.tolist())), "o^sDv*", strict=False):
        of = sites["network"].values == network
        x, y = frame.place(sites["lon"].values[of], sites["lat"].values[of])
        look: dict[str, Any] = {"marker": marker, "markersize": 4.5, "mfc": "white", "mec": "black", "mew": 0.7}
        axes.plot(x, y, linestyle="none", zorder=3, **look)
        handles.append(Line2D([], [], linestyle="none", label=network or "Station", **look))
    return handles


def _map(
    frame: Frame, values: xr.DataArray, title: str, bar: str, style: dict[str, Any], sites: xr.Dataset | None
) -> Figure:
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(frame, title, extra=0.56)
    shown = oriented(frame, values)
    image = axes.imshow(shown, extent=frame.extent, interpolation="nearest", aspect=frame.aspect, **style)
    draw_lines(axes, frame)
    handles = [] if sites is None else draw_sites(axes, frame, sites)
    missing = ~np.isfinite(shown)
    _say_empty(axes, bool(missing.all()))
    if missing.any():
        handles.append(Patch(facecolor=MISSING, edgecolor="black", linewidth=0.4, label=NO_VALUE))
    height, across = figure.get_figheight(), ACROSS - 0.22 * bool(handles)
    cax = figure.add_axes((LEFT, 0.4 / height, across, 0.1 / height))
    extend = ends(shown, style["vmin"], style["vmax"])
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10])
    figure.colorbar(image, cax=cax, orientation="horizontal", extend=extend, label=bar, ticks=ticks)
    if handles:
        place: dict[str, Any] = {"loc": "upper right", "bbox_to_anchor": (LEFT + ACROSS + 0.01, 0.56 / height)}
        figure.legend(handles=handles, frameon=False, handlelength=1.2, borderpad=0, borderaxespad=0, **place)
    return figure


def _say_empty(axes: Any, empty: bool) -> None:
    if empty:
        axes.text(0.5, 0.5, "No cell has a value", ha="center", va="center", transform=axes.transAxes, zorder=4)


def _figure(frame: Frame, title: str, extra: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    wide = theme.SINGLE * ACROSS
    tall = float(np.clip(wide * frame.tall, LEAST, MOST))
    below = 0.22 + 0.16 * bool(frame.names[0])
    height = tall + 0.26 + below + extra
    columns = (frame.extent[1] - frame.extent[0]) / frame.cell
    sharp = theme.DPI * max(1, int(np.ceil(columns / (wide * theme.DPI))))
    figure = Figure(figsize=(theme.SINGLE, height), dpi=sharp)
    axes = figure.add_axes((LEFT + 0.03 * bool(frame.names[1]), (extra + below) / height, ACROSS, tall / height))
    axes.set_facecolor(MISSING)
    axes.set_title(title)
    for ticks, axis in ((frame.x_ticks, axes.xaxis), (frame.y_ticks, axes.yaxis)):
        axis.set_ticks([p for p, _ in ticks], [t for _, t in ticks])
    axes.set(xlabel=frame.names[0], ylabel=frame.names[1])
    axes.tick_params(labelsize=SMALL)
    return figure, axes
