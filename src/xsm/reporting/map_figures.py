"""Figures of maps: true aspect, longitudes and latitudes at the edges, grey where there is no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from xsm.data import cf
from xsm.data.grids import grid_of
from xsm.data.soil_texture import CLASSES
from xsm.io.styles import RAMPS, TEXTURE, colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, DPI = 4.0, 150
STEPS = {"soil_moisture": 0.05, "uncertainty": 0.01}
"""Limits of colour scales are whole multiples of these."""
GREY = "#c8c8c8"
UNIT = "m³ m⁻³"
BARS = {"soil_moisture": f"Soil moisture ({UNIT})", "uncertainty": f"Standard deviation ({UNIT})"}


@dataclass(frozen=True)
class Frame:
    """Where a map lies on the page: extent (left, right, bottom, top), aspect, ticks as (position, label)."""

    extent: tuple[float, float, float, float]
    aspect: float
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    epsg: int | None
    dims: tuple[str, str]
    cell: float

    @property
    def tall(self) -> float:
        """Height over width as drawn."""
        left, right, bottom, top = self.extent
        return (top - bottom) * self.aspect / (right - left)

    def place(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of points in degrees."""
        if self.epsg is None:
            return np.asarray(lon), np.asarray(lat)
        from pyproj import Transformer

        return Transformer.from_crs(4326, self.epsg, always_xy=True).transform(lon, lat)


def frame_of(ds: xr.Dataset) -> Frame | None:
    """Frame of maps on an EASE-Grid 2.0 or on latitudes and longitudes; None for others."""
    grid = grid_of(ds)
    if grid is not None:
        left, bottom, right, top = grid.bounds
        box, dims, epsg = grid.bbox, ("y", "x"), grid.epsg
        extent, aspect = (left, right, bottom, top), 1.0
    else:
        y, x = cf.find_coord(ds, "y"), cf.find_coord(ds, "x")
        if y is None or x is None or ds[y].dims != (y,) or ds[x].dims != (x,) or min(ds[y].size, ds[x].size) < 2:
            return None
        (west, east), (south, north) = (_edges(ds[n].values) for n in (x, y))
        box, dims, epsg = (west, south, east, north), (y, x), None
        extent, aspect = (west, east, south, north), 1 / float(np.cos(np.radians((south + north) / 2)))
    cell = (extent[1] - extent[0]) / ds.sizes[dims[1]]
    bare = Frame(extent, aspect, [], [], epsg, dims, cell)
    lon, lat = round_degrees(box[0], box[2]), round_degrees(box[1], box[3])
    at_x, at_y = bare.place(lon, np.full_like(lon, box[1]))[0], bare.place(np.full_like(lat, box[0]), lat)[1]
    x_ticks = [(float(p), degrees(v, "E", "W")) for p, v in zip(at_x, lon, strict=True)]
    y_ticks = [(float(p), degrees(v, "N", "S")) for p, v in zip(at_y, lat, strict=True)]
    return Frame(extent, aspect, x_ticks, y_ticks, epsg, dims, cell)


def limits(panels: Iterable[ArrayLike], ramp: str) -> tuple[float, float]:
    """Limits that the panels of a figure share: their 1st and 99th percentile, rounded outwards (`STEPS`)."""
    every = np.concatenate([np.empty(0), *(np.ravel(p) for p in panels)])
    every = every[np.isfinite(every)]
    if not every.size:
        return (RAMPS[ramp][0][0], RAMPS[ramp][-1][0]) if ramp else (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(every, [1, 99]))
    if ramp not in STEPS:
        return low, high if high > low else low + 1
    step = STEPS[ramp]
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    return round(low, 6), round(max(high, low + step), 6)


def ends(values: ArrayLike, low: float, high: float) -> str:
    """Ends of a colour bar that get an arrow because values lie beyond them."""
    under, over = bool((np.asarray(values) < low).any()), bool((np.asarray(values) > high).any())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((under, over), "neither")


def value_maps(frame: Frame, panels: Mapping[str, xr.DataArray], ramp: str = "", bar: str = "") -> list[Figure]:
    """Maps by title, all on one scale: in a ramp of `xsm.io.styles`, or in viridis with a name for the colour bar."""
    low, high = limits(panels.values(), ramp)
    style = {"cmap": colours(ramp) if ramp else "viridis", "vmin": low, "vmax": high}
    bar = BARS.get(ramp, bar)
    return [_map(frame, values, title, bar, style, ends(values, low, high)) for title, values in panels.items()]


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
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = _oriented(frame, values)
    present = [c for c in classes if (shown == c[0]).any()]
    columns = 3 if max((len(word) for *_, word in present), default=0) <= 16 else 1
    lines = -(-(len(present) + (0 if sites is None else 2)) // columns)
    figure, axes = _figure(frame, title, extra=0.3 + 0.18 * lines)
    image = np.zeros((*shown.shape, 4))
    for value, colour, _ in present:
        image[shown == value] = to_rgba(colour)
    axes.imshow(image, extent=frame.extent, interpolation="nearest", aspect=frame.aspect)
    handles: list[Any] = [Patch(color=colour, label=word[:1].upper() + word[1:]) for _, colour, word in present]
    if sites is not None:
        for network, marker in zip(sorted(set(sites["network"].values.tolist())), "o^sDv*", strict=False):
            of = sites["network"].values == network
            x, y = frame.place(sites["lon"].values[of], sites["lat"].values[of])
            look: dict[str, Any] = {"marker": marker, "markersize": 6, "mfc": "white", "mec": "black"}
            axes.plot(x, y, linestyle="none", **look)
            handles.append(Line2D([], [], linestyle="none", label=network or "Station", **look))
    figure.legend(handles=handles, loc="lower center", ncols=columns, frameon=False, fontsize=8)
    return figure


def _map(frame: Frame, values: xr.DataArray, title: str, bar: str, style: dict[str, Any], extend: str) -> Figure:
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(frame, title, extra=0.62)
    image = axes.imshow(
        _oriented(frame, values), extent=frame.extent, interpolation="nearest", aspect=frame.aspect, **style
    )
    height = figure.get_figheight()
    cax = figure.add_axes((0.13, 0.4 / height, 0.82, 0.12 / height))
    figure.colorbar(image, cax=cax, orientation="horizontal", extend=extend, label=bar, ticks=MaxNLocator(5))
    return figure


def _figure(frame: Frame, title: str, extra: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    wide = WIDTH * 0.82
    tall = float(np.clip(wide * frame.tall, 1.6, 6.0))
    height = tall + 0.5 + extra
    columns = (frame.extent[1] - frame.extent[0]) / frame.cell
    figure = Figure(figsize=(WIDTH, height), dpi=DPI * max(1, int(np.ceil(columns / (wide * DPI)))))
    axes = figure.add_axes((0.13, (extra + 0.25) / height, 0.82, tall / height))
    axes.set_facecolor(GREY)
    axes.set_title(title, loc="left", fontsize=10)
    for ticks, axis in ((frame.x_ticks, axes.xaxis), (frame.y_ticks, axes.yaxis)):
        axis.set_ticks([p for p, _ in ticks], [t for _, t in ticks])
    axes.grid(color="black", alpha=0.18, linewidth=0.5)
    axes.tick_params(labelsize=8, length=3)
    for side in axes.spines.values():
        side.set_linewidth(0.6)
    return figure, axes


def _oriented(frame: Frame, values: xr.DataArray) -> np.ndarray:
    """Values with north up and west left."""
    y, x = frame.dims
    values = values.transpose(y, x)
    out: np.ndarray = values.values
    if values.sizes[y] > 1 and float(values[y][0]) < float(values[y][-1]):
        out = out[::-1]
    if values.sizes[x] > 1 and float(values[x][0]) > float(values[x][-1]):
        out = out[:, ::-1]
    return out


def _edges(axis: np.ndarray) -> tuple[float, float]:
    half = abs(float(axis[-1] - axis[0])) / (len(axis) - 1) / 2
    return float(axis.min()) - half, float(axis.max()) + half


def round_degrees(low: float, high: float) -> np.ndarray:
    """Up to five round numbers between two degrees."""
    from matplotlib.ticker import MaxNLocator

    ticks: Sequence[float] = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return np.array([t for t in ticks if low <= t <= high])


def degrees(value: float, positive: str, negative: str, digits: int = 4) -> str:
    """Degrees with the letter of their side."""
    return f"{abs(round(value, digits)):g}°{positive if value > 0 else negative if value < 0 else ''}"
