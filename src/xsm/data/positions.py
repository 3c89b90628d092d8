"""Where points lie on the axes of maps: the cell of each by the values of its coordinates, in any order and spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.geometry import find_crs
from xsm.data.grids import GRIDS, ON_EDGE, X0, Y0, grid_of
from xsm.errors import DataError


@dataclass(frozen=True)
class Along:
    """Points along one axis of maps, by the values of its coordinate, which may be uneven or in any order.

    ``nearest`` is the index of the cell, ``inside`` whether the point lies in it; ``before`` and ``after`` are the
    cells around it and ``share`` the weight of the second.
    """

    dim: str
    nearest: np.ndarray
    inside: np.ndarray
    before: np.ndarray
    after: np.ndarray
    share: np.ndarray

    def take(self, which: Sequence[int]) -> Along:
        """Some of the points."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "dim"})


def positions(ds: xr.Dataset, lon: np.ndarray, lat: np.ndarray) -> tuple[Along, Along, str]:
    """Cells of points in degrees along the rows and the columns of maps, and the box of the maps as text."""
    y_name, x_name, cell = axes_of(ds)
    y, x = (ds[n].values.astype("f8") for n in (y_name, x_name))
    lon, lat = np.asarray(lon, "f8"), np.asarray(lat, "f8")
    points = transformer(DEGREES, EASE).transform(lon, lat) if cell else (lon, lat)
    steps = (cell, cell) if cell else _steps(y, y_name, x, x_name)
    rows = _along(str(ds[y_name].dims[0]), y, points[1], steps[0])
    cols = _along(str(ds[x_name].dims[0]), x, points[0], steps[1], 0.0 if cell else 360.0)
    (south, north), (west, east) = ((a.min() - s / 2, a.max() + s / 2) for a, s in zip((y, x), steps, strict=True))
    if cell:
        west, south, east, north = transformer(DEGREES, EASE).transform_bounds(
            west, south, east, north, direction="INVERSE"
        )
    return rows, cols, f"longitude {west:.2f} to {east:.2f}, latitude {south:.2f} to {north:.2f}"


def inside(rows: Along, cols: Along) -> np.ndarray:
    """Whether points lie in a cell of the maps."""
    return rows.inside & cols.inside


def axes_of(ds: xr.Dataset) -> tuple[str, str, float]:
    """Names of the coordinates of rows and columns, and the side of a cell in EASE metres; 0 for degrees."""
    grid = grid_of(ds)
    if grid is not None:
        return "y", "x", grid.cell
    y, x = _axis_of(ds, "y"), _axis_of(ds, "x")
    if y and x and ds[y].dims != ds[x].dims:
        if cell := _ease_cell(ds, y, x):
            return y, x, cell
        if all(in_degrees(ds, n, limit) for n, limit in ((y, 90), (x, 360))):
            return y, x, 0.0
    raise DataError(
        f"The maps (dims {dict(ds.sizes)}) are neither on an EASE-Grid 2.0 nor on latitudes and longitudes.",
        hint="Run <regrid_ease9km()> first, or name degrees lat and lon.",
    )


def _ease_cell(ds: xr.Dataset, y: str, x: str) -> float:
    """Side of the cells where all coordinates are centres of an EASE-Grid, some of which are left out; else 0."""
    named = ds["spatial_ref"].attrs.get("ease_grid") if "spatial_ref" in ds.coords else None
    if max(float(np.abs(ds[n]).max()) for n in (y, x)) <= 360:
        return 0.0
    for grid in sorted(GRIDS.values(), key=lambda g: g.name != named):
        places = (Y0 - ds[y].values) / grid.cell - 0.5, (ds[x].values - X0) / grid.cell - 0.5
        if all(np.abs(p - np.rint(p)).max() < ON_EDGE for p in places):
            return grid.cell
    return 0.0


def in_degrees(ds: xr.Dataset, name: str, limit: float) -> bool:
    """Whether a coordinate is in degrees, by its name, its unit or the coordinate system."""
    attrs = ds[name].attrs
    named = {name.lower(), str(attrs.get("standard_name", "")).lower()} & _DEGREES
    degrees = named or str(attrs.get("units", "")).startswith("degree")
    if not degrees and (crs := find_crs(ds)) is not None:
        degrees = crs.is_geographic
    return bool(degrees and np.abs(ds[name]).max() <= limit)


_DEGREES = {"lon", "lat", "longitude", "latitude", "nav_lon", "nav_lat"}


def _axis_of(ds: xr.Dataset, axis: Literal["x", "y"]) -> str | None:
    """The one-dimensional coordinate of an axis, a dim's own first."""
    flat = ds.drop_vars([n for n, c in ds.coords.items() if c.ndim != 1 or c.dtype.kind not in "fiu"])
    axes = flat.drop_vars([n for n in flat.coords if n not in flat.dims])
    return cf.find_coord(axes, axis) or cf.find_coord(flat, axis)


def _steps(y: np.ndarray, y_name: str, x: np.ndarray, x_name: str) -> tuple[float, float]:
    """Smallest steps of both axes; one of a single value has that of the other."""
    if len(y) == 1 != len(x) or len(x) == 1 != len(y):
        step = _step(y, y_name) if len(y) > 1 else _step(x, x_name)
        return step, step
    return _step(y, y_name), _step(x, x_name)


def _step(axis: np.ndarray, name: str) -> float:
    """Smallest step of an axis, in any order, of which some values may have been left out."""
    if len(axis) < 2 or not np.isfinite(axis).all() or not np.diff(np.sort(axis)).min() > 0:
        raise DataError(
            f"The coordinate '{name}' has {len(axis)} values, {len(np.unique(axis[np.isfinite(axis)]))} of them "
            "different, expected two or more, each once.",
            hint="Select a larger region, and leave out repeated and missing coordinates.",
        )
    return float(np.diff(np.sort(axis)).min())


EDGE, SAME_STEP, GAP = 0.01, 0.1, 1.75
"""Shares of a step: how far outside its cell a point may lie, how much the steps of a regular axis differ, and from how
many steps on two cells are not neighbours."""


def _along(dim: str, axis: np.ndarray, points: np.ndarray, step: float, period: float = 0.0) -> Along:
    """Place points on an axis by value; cells are as wide as the steps around them, and gaps belong to no cell."""
    values, points = axis, np.asarray(points, "f8")
    if period:
        values = np.unwrap(axis, period=period) if np.ptp(axis) > period / 2 else axis
        points = points - period * np.round((points - (values.max() + values.min()) / 2) / period)
    sign = -1.0 if values[-1] < values[0] else 1.0
    order = np.argsort(sign * values)
    values, points = sign * values[order], np.where(np.isfinite(points), sign * points, np.nan)
    if period and len(values) > 2:
        order = np.concatenate([order[-1:], order, order[:1]])
        values = np.concatenate([values[-1:] - period, values, values[:1] + period])
    halves, least = _halves(values, step)
    low, high = (half + EDGE * least for half in halves)
    known = np.nan_to_num(points, nan=values[0])
    left = np.clip(np.searchsorted(values, known, "right") - 1, 0, max(len(values) - 2, 0))
    right = np.minimum(left + 1, len(values) - 1)
    width = np.where(right > left, values[right] - values[left], 1.0)
    share = np.clip((known - values[left]) / width, 0, 1)
    near = np.where(share >= 0.5, right, left)
    away = points - values[near]
    within = (away >= -low[near]) & (away <= high[near])
    return Along(dim, order[near], within, order[left], order[right], share)


def _halves(values: np.ndarray, step: float) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """How far the cells of a rising axis reach to either side, and their size without a gap beside them."""
    steps = np.diff(values)
    count = steps / step
    regular = (np.abs(count - np.rint(count)) < SAME_STEP * np.rint(count)).all()
    sides = np.concatenate([steps[:1], steps, steps[-1:]]) if len(steps) else np.full(2, step)
    before, after = sides[:-1], sides[1:]
    least = np.full(len(values), step) if regular else np.minimum(before, after)
    low, high = (np.where(side < GAP * least, side, least) / 2 for side in (before, after))
    return (low, high), least


def edges(ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the cells of maps in metres of the EASE-Grid, which keeps areas: (row, 2) and (column, 2), low first.

    Columns of maps on degrees may run beyond half of the globe's circumference, as their longitudes do beyond 180.

    Examples
    --------
    >>> ds = xr.Dataset(coords={"lat": [1.0, 0.0], "lon": [0.0, 1.0]})
    >>> rows, cols = edges(ds)
    >>> (cols / 1e3).round().tolist()
    [[-48.0, 48.0], [48.0, 145.0]]
    """
    y_name, x_name, cell = axes_of(ds)
    out = []
    for name, period in ((y_name, 0.0), (x_name, 360.0)):
        axis = ds[name].values.astype("f8")
        step = cell or _step(axis, name)
        values = np.unwrap(axis, period=period) if period and not cell and np.ptp(axis) > period / 2 else axis
        order = np.argsort(values)
        (low, high), _ = _halves(values[order], step)
        sides = np.empty((len(values), 2))
        sides[order] = np.stack([values[order] - low, values[order] + high], 1)
        out.append(sides)
    rows, cols = out
    if cell:
        return rows, cols
    metres = transformer(DEGREES, EASE)
    rows = metres.transform(np.zeros_like(rows), np.clip(rows, -90, 90))[1]
    scale = metres.transform(1.0, 0.0)[0]
    return rows, cols * scale
