"""Figures of maps: true aspect, longitudes and latitudes at the edges, grey where there is no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from xsm.data import cf
from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.positions import axes_of
from xsm.data.soil_texture import CLASSES
from xsm.errors import DataError
from xsm.io.styles import FIXED, RAMPS, TEXTURE, colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, DPI = 4.0, 150
STEPS = {"soil_moisture": 0.05, "uncertainty": 0.01}
"""Limits of colour scales are whole multiples of these."""
UNEVEN, MOST_ROWS = 0.2, 4000
"""Share of a step by which steps may differ on an even axis, and the most rows that an uneven one becomes."""
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
        return transformer(DEGREES, EASE).transform(lon, lat)


def frame_of(ds: xr.Dataset) -> Frame | None:
    """Frame of maps on an EASE-Grid 2.0, on latitudes and longitudes or on any two axes; None for others."""
    try:
        y, x, cell = axes_of(ds)
    except DataError:
        return _plain_frame(ds)
    if min(ds[y].size, ds[x].size) < 2 and not cell:
        return None
    (west, east), (south, north) = (_edges(ds[n].values, cell) for n in (x, y))
    box, extent, epsg, aspect = (west, south, east, north), (west, east, south, north), None, 1.0
    if cell:
        box, epsg = transformer(DEGREES, EASE).transform_bounds(*box, direction="INVERSE"), 6933
    else:
        aspect = 1 / float(np.cos(np.radians((south + north) / 2)))
    dims = str(ds[y].dims[0]), str(ds[x].dims[0])
    cell = (extent[1] - extent[0]) / ds.sizes[dims[1]]
    bare = Frame(extent, aspect, [], [], epsg, dims, cell)
    lon, lat = round_degrees(box[0], box[2]), round_degrees(box[1], box[3])
    at_x, at_y = bare.place(lon, np.full_like(lon, box[1]))[0], bare.place(np.full_like(lat, box[0]), lat)[1]
    x_ticks = [(float(p), degrees(v, "E", "W")) for p, v in zip(at_x, lon, strict=True)]
    y_ticks = [(float(p), degrees(v, "N", "S")) for p, v in zip(at_y, lat, strict=True)]
    return Frame(extent, aspect, x_ticks, y_ticks, epsg, dims, cell)


def _plain_frame(ds: xr.Dataset) -> Frame | None:
    """Frame on axes whose CRS is not known: kilometres where the unit is metres, else the numbers themselves."""
    y, x = cf.find_coord(ds, "y"), cf.find_coord(ds, "x")
    if y is None or x is None or ds[y].dims != (y,) or ds[x].dims != (x,) or min(ds[y].size, ds[x].size) < 2:
        return None
    (west, east), (south, north) = (_edges(ds[n].values, 0.0) for n in (x, y))
    metres = max(abs(west), abs(east), abs(south), abs(north)) > 1000
    factor, unit = (1000.0, " km") if metres else (1.0, "")
    x_ticks, y_ticks = (
        [(float(t * factor), f"{t:g}{unit}") for t in round_degrees(low / factor, high / factor)]
        for low, high in ((west, east), (south, north))
    )
    cell = (east - west) / ds.sizes[x]
    return Frame((west, east, south, north), 1.0, x_ticks, y_ticks, None, (y, x), cell)


def limits(panels: Iterable[ArrayLike], ramp: str) -> tuple[float, float]:
    """Limits that panels share: the ramp's (`FIXED`), or their 1st and 99th percentile, rounded outwards (`STEPS`).

    Those of departures (``"bias"``) lie as far on both sides of zero.
    """
    if ramp in FIXED:
        return RAMPS[ramp][0][0], RAMPS[ramp][-1][0]
    every = np.concatenate([np.empty(0), *(np.ravel(p) for p in panels)])
    every = every[np.isfinite(every)]
    if not every.size:
        return (RAMPS[ramp][0][0], RAMPS[ramp][-1][0]) if ramp else (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(every, [1, 99]))
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
    """Values with north up and west left, on even rows and columns."""
    values = values.transpose(*frame.dims)
    for dim, ascending in zip(frame.dims, (False, True), strict=True):
        values = _even(values, dim)
        if values.sizes[dim] > 1:
            values = values.sortby(dim, ascending=ascending)
    out: np.ndarray = values.values
    return out


def _even(values: xr.DataArray, dim: str) -> xr.DataArray:
    """Values on an even axis, nearest by value; rows and columns that are left out become missing."""
    axis = np.sort(values[dim].values.astype("f8")) if dim in values.coords else np.empty(0)
    steps = np.diff(axis)
    if not len(steps) or np.ptp(steps) <= UNEVEN * steps.min():
        return values
    count = min(round(float(np.ptp(axis) / steps.min())) + 1, MOST_ROWS)
    even, reach = np.linspace(axis[0], axis[-1], count), float(steps.min()) * (0.5 + UNEVEN)
    fill = {} if values.dtype.kind == "f" else {"fill_value": values.dtype.type(0)}
    return values.sortby(dim).reindex({dim: even}, method="nearest", tolerance=reach, **fill)


def _edges(axis: np.ndarray, cell: float) -> tuple[float, float]:
    half = (cell or float(np.diff(np.sort(axis)).min())) / 2
    return float(axis.min()) - half, float(axis.max()) + half


def round_degrees(low: float, high: float) -> np.ndarray:
    """Up to five round numbers between two degrees."""
    from matplotlib.ticker import MaxNLocator

    ticks: Sequence[float] = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return np.array([t for t in ticks if low <= t <= high])


def degrees(value: float, positive: str, negative: str, digits: int = 4) -> str:
    """Degrees with the letter of their side."""
    return f"{abs(round(value, digits)):g}°{positive if value > 0 else negative if value < 0 else ''}"
