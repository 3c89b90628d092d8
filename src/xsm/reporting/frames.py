"""Where a map lies on the page: its extent in any CRS, meridians and parallels, coast and borders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.geometry import Scattered, find_crs, geometry
from xsm.data.lines import lines
from xsm.data.positions import axes_of
from xsm.errors import DataError

UNEVEN, MOST_ROWS = 0.2, 4000
"""Share of a step by which steps may differ on an even axis, and the most rows that an uneven one becomes."""
NODES, BEYOND = 181, 0.02
"""Points along a meridian or parallel, and the share of its length by which it is drawn beyond the map."""
REACH = 1.5
"""Steps from a pixel to the nearest cell of a curvilinear grid, from which on the pixel has no value."""
Line = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Frame:
    """Where a map lies on the page: extent (left, right, bottom, top), aspect, ticks as (position, label).

    ``crs`` is None where it is not known, ``graticule`` are meridians and parallels. Cells of a curvilinear grid go to
    the pixels of an even raster by ``picks``: (row, column) to the flat index of a cell, -1 for none.
    """

    extent: tuple[float, float, float, float]
    aspect: float
    crs: Any
    dims: tuple[str, str]
    cell: float
    x_ticks: Sequence[tuple[float, str]] = ()
    y_ticks: Sequence[tuple[float, str]] = ()
    names: tuple[str, str] = ("", "")
    graticule: Sequence[Line] = ()
    box: tuple[float, float, float, float] | None = None
    picks: np.ndarray | None = None

    @property
    def tall(self) -> float:
        """Height over width as drawn."""
        left, right, bottom, top = self.extent
        return (top - bottom) * self.aspect / (right - left)

    def place(self, lon: np.ndarray, lat: np.ndarray) -> Line:
        """Positions of points in degrees."""
        if self.crs in (None, DEGREES):
            return np.asarray(lon, "f8"), np.asarray(lat, "f8")
        x, y = transformer(DEGREES, self.crs).transform(lon, lat)
        return np.where(np.isfinite(x), x, np.nan), np.where(np.isfinite(y), y, np.nan)


LOOKS: dict[str, dict[str, Any]] = {
    "state": {"color": "#1b1f24", "linewidth": 0.3},
    "lake": {"color": "#1b1f24", "linewidth": 0.3},
    "border": {"color": "#1b1f24", "linewidth": 0.5},
    "coast": {"color": "#1b1f24", "linewidth": 0.6},
}
"""Lines on maps, the later ones above; a light rim makes them visible on dark colours."""
RIM = 0.7


def frame_of(ds: xr.Dataset) -> Frame | None:
    """Frame of maps on an EASE-Grid 2.0, on degrees, on a CRS, on any two axes, or on 2-D longitudes and latitudes.

    None for data that are not maps.
    """
    try:
        y, x, cell = axes_of(ds)
        crs = EASE if cell else DEGREES
    except DataError:
        crs = _crs(ds)
        names, cell = (cf.find_coord(ds, "y"), cf.find_coord(ds, "x")), 0.0
        if None in names or any(ds[n].dims != (n,) for n in names) or min(ds[n].size for n in names) < 2:
            return _curvilinear(ds)
        y, x = map(str, names)
    if min(ds[y].size, ds[x].size) < 2 and not cell:
        return None
    (left, right), (bottom, top) = (_edges(ds[n].values, cell) for n in (x, y))
    aspect = 1 / float(np.cos(np.radians((bottom + top) / 2))) if crs == DEGREES else 1.0
    dims = str(ds[y].dims[0]), str(ds[x].dims[0])
    bare = Frame((left, right, bottom, top), aspect, crs, dims, (right - left) / ds.sizes[dims[1]])
    titles = [str(ds[n].attrs.get("long_name") or n) for n in (x, y)]
    return _labelled(bare, titles)


def degree_frame(west: float, south: float, east: float, north: float) -> Frame:
    """Frame around some places in degrees."""
    aspect = 1 / float(np.cos(np.radians((south + north) / 2)))
    return _labelled(Frame((west, east, south, north), aspect, DEGREES, ("lat", "lon"), east - west), ("", ""))


def _crs(ds: xr.Dataset) -> Any:
    try:
        return find_crs(ds)
    except DataError:
        return None


def _labelled(bare: Frame, titles: Sequence[str]) -> Frame:
    """A frame with its graticule; with plain numbers, or kilometres, where the CRS is not known or shows no degrees."""
    if bare.crs is not None and (box := _box(bare)) is not None:
        west, south, east, north = box
        graticule, ticks = [], []
        left, _, bottom, _ = bare.extent
        count = 4 if bare.crs in (DEGREES, EASE) else 7  # of slanted meridians fewer reach an edge
        for values, (low, high), is_lon in ((round_degrees(west, east, count), (south, north), True),
                                            (round_degrees(south, north, count), (west, east), False)):  # fmt: skip
            pad = BEYOND * (high - low)
            span = np.linspace(low - pad, high + pad, NODES)
            span = np.clip(span, -90, 90) if is_lon and bare.crs != DEGREES else span
            marks = []
            for value in values:
                same = np.full(NODES, value)
                x, y = bare.place(same, span) if is_lon else bare.place(span, same)
                graticule.append((x, y))
                across, along, level = (x, y, bottom) if is_lon else (y, x, left)
                at = _crossing(along, across, level, bare.extent[:2] if is_lon else bare.extent[2:])
                text = degrees(value, "E", "W") if is_lon else degrees(value, "N", "S")
                marks += [(at, text)] if at is not None else []
            ticks.append(marks)
        if all(ticks):
            return replace(bare, x_ticks=ticks[0], y_ticks=ticks[1], graticule=graticule, box=box)
    left, right, bottom, top = bare.extent
    factor, unit = (1000.0, "km") if max(map(abs, bare.extent)) > 1000 else (1.0, "")
    x_ticks, y_ticks = (
        [(float(t * factor), f"{t:g}") for t in round_degrees(low / factor, high / factor)]
        for low, high in ((left, right), (bottom, top))
    )
    x_name, y_name = (f"{title} ({unit})" if unit else title for title in titles)
    return replace(bare, x_ticks=x_ticks, y_ticks=y_ticks, names=(x_name, y_name), box=_box(bare) if bare.crs else None)


def _box(frame: Frame) -> tuple[float, float, float, float] | None:
    """West, south, east and north of a frame in degrees; longitudes may run beyond 180. None where PROJ knows none."""
    left, right, bottom, top = frame.extent
    if frame.crs == DEGREES:
        return left, max(bottom, -90.0), right, min(top, 90.0)
    x, y = np.meshgrid(np.linspace(left, right, 41), np.linspace(bottom, top, 41))
    lon, lat = transformer(frame.crs, DEGREES).transform(x, y)
    good = np.isfinite(lon) & np.isfinite(lat)
    if not good.any():
        return None
    middle = lon[20, 20] if good[20, 20] else lon[good][0]
    lon = middle + (lon[good] - middle + 180) % 360 - 180
    return float(lon.min()), float(lat[good].min()), float(lon.max()), float(lat[good].max())


def _crossing(along: np.ndarray, across: np.ndarray, level: float, limits: tuple[float, float]) -> float | None:
    """Where a line first reaches an edge of the map, between the limits of that edge."""
    side = along >= level
    for k in np.flatnonzero((side[1:] != side[:-1]) & np.isfinite(along[1:] + along[:-1])):
        share = (level - along[k]) / (along[k + 1] - along[k])
        at = float(across[k] + share * (across[k + 1] - across[k]))
        if limits[0] <= at <= limits[1]:
            return at
    return None


def _curvilinear(ds: xr.Dataset) -> Frame | None:
    """Frame of cells at 2-D longitudes and latitudes: an even raster in degrees, each pixel from its nearest cell."""
    from scipy.spatial import cKDTree

    try:
        cells = geometry(ds)
    except DataError:
        return None
    if not isinstance(cells, Scattered) or cells.lon.ndim != 2 or min(cells.lon.shape) < 2:
        return None
    good = np.isfinite(cells.lon)
    middle = float(np.nanmedian(cells.lon))
    lon, lat = middle + (cells.lon - middle + 180) % 360 - 180, cells.lat
    step = float(np.nanmedian(np.hypot(np.diff(lat, axis=0), np.diff(lon, axis=0) * np.cos(np.radians(lat[1:])))))
    shrink = float(np.cos(np.radians(np.nanmean(lat))))
    west, east = np.nanmin(lon) - step / shrink / 2, np.nanmax(lon) + step / shrink / 2
    south, north = np.nanmin(lat) - step / 2, np.nanmax(lat) + step / 2
    rows, cols = (min(max(round(n), 2), MOST_ROWS) for n in ((north - south) / step, (east - west) * shrink / step))
    y, x = (np.linspace(a, b, 2 * n + 1)[1::2] for a, b, n in ((north, south, rows), (west, east, cols)))
    tree = cKDTree(np.stack([lon[good] * shrink, lat[good]], 1))
    pixels = np.stack([v.ravel() for v in np.meshgrid(x * shrink, y)], 1)
    away, index = tree.query(pixels, distance_upper_bound=REACH * step)
    picks = np.where(np.isfinite(away), np.append(np.flatnonzero(good), -1)[index], -1).reshape(rows, cols)
    bare = Frame((west, east, south, north), 1 / shrink, DEGREES, cells.dims, (east - west) / cols, picks=picks)  # type: ignore[arg-type]
    return _labelled(bare, ("", ""))


def oriented(frame: Frame, values: xr.DataArray) -> np.ndarray:
    """Values with north up and west left, on even rows and columns."""
    values = values.transpose(*frame.dims)
    if frame.picks is not None:
        flat = values.values.ravel()
        none = np.nan if flat.dtype.kind == "f" else flat.dtype.type(0)
        return np.where(frame.picks >= 0, flat[frame.picks], none)
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


def round_degrees(low: float, high: float, count: int = 4) -> np.ndarray:
    """Round numbers between two degrees, about as many as ``count``."""
    from matplotlib.ticker import MaxNLocator

    ticks: Sequence[float] = MaxNLocator(count, steps=[1, 2, 2.5, 3, 5, 10]).tick_values(low, high)
    return np.array([t for t in ticks if low <= t <= high])


def degrees(value: float, positive: str, negative: str, digits: int = 4) -> str:
    """Degrees with the letter of their side.

    Examples
    --------
    >>> degrees(-97.5, "E", "W"), degrees(190, "E", "W"), degrees(0, "N", "S"), degrees(180, "E", "W")
    ('97.5°W', '170°W', '0°', '180°')
    """
    value = round(value if abs(value) <= 180 else (value + 180) % 360 - 180, digits)
    side = positive if value > 0 else negative if value < 0 else ""
    return f"{abs(value):g}°{side if abs(value) != 180 else ''}"


def draw_lines(axes: Any, frame: Frame) -> None:
    """Meridians and parallels, coast, borders and states."""
    left, right, bottom, top = frame.extent
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import Normal, Stroke

    dashes: dict[str, Any] = {"color": "black", "alpha": 0.25, "linewidth": 0.3, "linestyle": (0, (4, 4))}
    axes.add_collection(LineCollection([np.stack(line, 1) for line in frame.graticule], zorder=2, **dashes))
    if not frame.graticule:
        axes.grid(color="black", alpha=0.18, linewidth=0.4)
    for kind, look in LOOKS.items():
        rim = [Stroke(linewidth=look["linewidth"] + RIM, foreground="white", alpha=0.6), Normal()]
        parts = [np.stack(line, 1) for line in _lines(frame, kind)]
        axes.add_collection(LineCollection(parts, zorder=2.5, path_effects=rim, **look), autolim=False)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _lines(frame: Frame, kind: str) -> Iterator[Line]:
    """Lines of a kind that reach into a frame, in its coordinates."""
    if frame.box is not None:
        for line in lines(kind, frame.box):
            yield frame.place(line[:, 0], line[:, 1])
