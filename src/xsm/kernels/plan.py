"""Which kernel takes which input: a `Plan` per pair of grids and method.

A plan knows the source window of every target block and resamples that window. What it computes for a cell depends on
the two grids alone, never on the block, so results are equal to the last bit under every chunking.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from xsm.geometry import Axis, Regular, Scattered
from xsm.grids import X0, Y0, Grid
from xsm.kernels import gather, projected, scattered, separable, weights

Window = tuple[int, int, int, int]
SAME = 1 + 1e-6
COARSE = 3.0
"""Pixels per target cell side from which a projected raster is reduced in target space instead of interpolated."""
ROUNDING, INEXACT = 1e-4, 1e-3
"""What sums of weights may miss of 1 without a gap: by rounding, and by counting pixels of projected rasters."""


class Plan(Protocol):
    """A pair of grids and a method."""

    @property
    def coarser(self) -> bool:
        """Whether target cells are larger than source cells."""

    def window(self, rows: slice, cols: slice) -> Window | None:
        """Source rows ``r0:r1`` and columns ``c0:c1`` that a target block takes; None where it takes none."""

    def nearest(self, at: Window, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """Row and column, in the window, of the source cell that holds each target centre; -1 outside the source."""

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """Resample float frames (n, h, w) of a window; NaN is missing."""

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """Find the class code that covers most of each cell; -1 is missing."""


@dataclass(frozen=True)
class Separable:
    """Latitude/longitude or EASE axes: two 1-D passes."""

    y: weights.Taps
    x: weights.Taps
    back_y: weights.Taps
    back_x: weights.Taps
    coarser: bool
    fallback: bool
    min_valid: float

    def window(self, rows: slice, cols: slice) -> Window | None:
        """See `Plan.window`."""
        return *self.y.window(rows), *self.x.window(cols)

    def nearest(self, at: Window, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `Plan.nearest`."""
        row, col = self.y.local(rows, at[0])[2], self.x.local(cols, at[2])[2]
        return row[:, None], col[None, :]

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.interpolate`."""
        tables = [
            _typed(taps.local(part, first), frames.dtype)
            for taps, part, first in (
                (self.y, rows, at[0]),
                (self.x, cols, at[2]),
                (self.back_y, rows, at[0]),
                (self.back_x, cols, at[2]),
            )
        ]
        out = np.empty((len(frames), len(tables[0][0]), len(tables[1][0])), frames.dtype)
        separable.resample(frames, *tables, self.min_valid, self.fallback, self.coarser, out)
        return out

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.majority`."""
        y, x = self.y.local(rows, at[0]), self.x.local(cols, at[2])
        out = np.empty((len(codes), len(y[0]), len(x[0])), codes.dtype)
        separable.majority(codes, y, x, classes, self.min_valid, out)
        return out


@dataclass(frozen=True)
class Reduced:
    """A projected raster finer than the target, or any share of area: one pass over the pixels in target space."""

    geo: Regular
    grid: Grid
    method: str
    min_valid: float
    ratio: float

    @property
    def coarser(self) -> bool:
        """See `Plan.coarser`."""
        return self.ratio > SAME

    @property
    def tile(self) -> int:
        """Pixels between exact positions."""
        return projected.tile_of(self.ratio)

    def window(self, rows: slice, cols: slice) -> Window | None:
        """See `Plan.window`."""
        halo = 2.5 if self.method in weights.RADIUS else 1.0
        halo += 0.0 if self.coarser else 1.0 / self.ratio
        r0, r1, c0, c1 = rows.start - halo, rows.stop + halo, cols.start - halo, cols.stop + halo
        edge_r, edge_c = (np.linspace(a, b, max(int(b - a), 2) + 1) for a, b in ((r0, r1), (c0, c1)))
        row = np.concatenate([edge_r, edge_r, np.full_like(edge_c, r0), np.full_like(edge_c, r1)])
        col = np.concatenate([np.full_like(edge_r, c0), np.full_like(edge_r, c1), edge_c, edge_c])
        v, u = _source_index(self.geo, self.grid, row - 0.5, col - 0.5)
        good = np.isfinite(v) & np.isfinite(u)
        if not good.any():
            return None
        tile = self.tile
        first_r, first_c = (max(int(np.floor(a[good].min())) - 1, 0) // tile * tile for a in (v, u))
        last_r, last_c = (
            min((int(np.ceil(a[good].max())) + 2 + tile - 1) // tile * tile, size)
            for a, size in ((v, self.geo.y.size), (u, self.geo.x.size))
        )
        return (first_r, last_r, first_c, last_c) if last_r > first_r and last_c > first_c else None

    def nearest(self, at: Window, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `Plan.nearest`."""
        return _inside(*_centres(self.geo, self.grid, rows, cols), (self.geo.y.size, self.geo.x.size), at)

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.interpolate`."""
        node_x, node_y = self._nodes(at)
        row0, col0 = self.grid.row0 + rows.start, self.grid.col0 + cols.start
        full = self._pixels(rows, cols)
        out = np.empty((len(frames), *full.shape), frames.dtype)
        if self.method == "average":
            for frame, result in zip(frames, out, strict=True):
                codes = np.isfinite(frame).astype("i4") - 1
                sums = np.zeros((*full.shape, 1, 2))
                projected.overlap(frame, codes, node_x, node_y, self.tile, row0, col0, sums)
                num, den = sums[..., 0, 0], sums[..., 0, 1]
                with np.errstate(invalid="ignore", divide="ignore"):
                    result[...] = np.where(den >= self.min_valid * full, num / den, np.nan)
            return out
        near, inside = at_nearest(frames, *self.nearest(at, rows, cols))
        for frame, centre, result in zip(frames, near, out, strict=True):
            known = inside & np.isfinite(centre)
            sums = np.zeros((full.shape[0] + 3, full.shape[1] + 3, 32))
            projected.moments(frame, node_x, node_y, self.tile, row0 - 2, col0 - 2, sums)
            projected.combine(sums, self.method == "bicubic", full, known, self.min_valid, result)
        return out

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.majority`."""
        node_x, node_y = self._nodes(at)
        full = self._pixels(rows, cols)
        near, inside = at_nearest(codes, *self.nearest(at, rows, cols))
        out = np.empty((len(codes), *full.shape), codes.dtype)
        ones = np.ones(codes.shape[1:], "f4")
        for frame, centre, result in zip(codes, near, out, strict=True):
            sums = np.zeros((*full.shape, classes, 2))
            row0, col0 = self.grid.row0 + rows.start, self.grid.col0 + cols.start
            projected.overlap(ones, frame, node_x, node_y, self.tile, row0, col0, sums)
            area = sums[..., 1]
            enough = (area.sum(-1) >= self.min_valid * full) | (inside & (centre >= 0))
            result[...] = np.where(enough & (area.sum(-1) > 0), area.argmax(-1), -1)
        return out

    def _nodes(self, at: Window) -> tuple[np.ndarray, np.ndarray]:
        """Target column and row of the pixels at multiples of ``tile`` of a window."""
        row, col = (np.arange(a, b + 2 * self.tile, self.tile) for a, b in (at[:2], at[2:]))
        x, y = self.geo.to_ease(*np.meshgrid(self.geo.x.value(col), self.geo.y.value(row)))
        return (x - X0) / self.grid.cell - 0.5, (Y0 - y) / self.grid.cell - 0.5

    def _pixels(self, rows: slice, cols: slice) -> np.ndarray:
        """Pixels per target cell, from the cells' corners."""
        row, col = (np.arange(p.start, p.stop + 1) - 0.5 for p in (rows, cols))
        v, u = _source_index(self.geo, self.grid, *np.meshgrid(row, col, indexing="ij"))
        dv, du = v[1:, 1:] - v[:-1, :-1], u[1:, 1:] - u[:-1, :-1]
        ev, eu = v[:-1, 1:] - v[1:, :-1], u[:-1, 1:] - u[1:, :-1]
        full = 0.5 * np.abs(dv * eu - du * ev)
        return np.where(np.isfinite(full), full, np.inf)


@dataclass(frozen=True)
class Located:
    """Positions of target centres in source cell indices: a kernel along the source axes.

    ``table`` holds row, column and the widths of the target cells in source rows and columns for the whole target
    (curvilinear input); without it they come from the projection of ``geo``, block by block.
    """

    geo: Regular | None
    grid: Grid
    size: tuple[int, int]
    method: str
    min_valid: float
    coarser: bool
    table: np.ndarray | None = None

    def window(self, rows: slice, cols: slice) -> Window | None:
        """See `Plan.window`."""
        v, u, dv, du = self._position(rows, cols)
        good = np.isfinite(v) & np.isfinite(u)
        if not good.any():
            return None
        reach = weights.RADIUS.get("bicubic" if self.method == "bicubic" else "bilinear", 1.0)
        spans = []
        for a, d, size in ((v, dv, self.size[0]), (u, du, self.size[1])):
            r = reach * np.maximum(d[good], 1.0) + 1
            spans += [max(int(np.floor((a[good] - r).min())), 0), min(int(np.ceil((a[good] + r).max())) + 1, size)]
        r0, r1, c0, c1 = spans
        return (r0, r1, c0, c1) if r1 > r0 and c1 > c0 else None

    def nearest(self, at: Window, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `Plan.nearest`."""
        v, u, _, _ = self._position(rows, cols)
        return _inside(v, u, self.size, at)

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.interpolate`."""
        v, u, dv, du = self._position(rows, cols)
        out = np.empty((len(frames), *v.shape), frames.dtype)
        for frame, result in zip(frames, out, strict=True):
            gather.gather(
                frame, v - at[0], u - at[2], dv, du, self.method == "bicubic", self.min_valid, self.coarser, result
            )
        return out

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.majority`."""
        raise NotImplementedError

    def _position(self, rows: slice, cols: slice) -> np.ndarray:
        if self.table is not None:
            return self.table[:, rows, cols]
        grown = (slice(p.start - 1, p.stop + 1) for p in (rows, cols))
        v, u = _centres(cast(Regular, self.geo), self.grid, *grown)
        dv, du = (0.5 * np.hypot(a[2:, 1:-1] - a[:-2, 1:-1], a[1:-1, 2:] - a[1:-1, :-2]) for a in (v, u))
        return np.stack([v[1:-1, 1:-1], u[1:-1, 1:-1], dv, du])


@functools.lru_cache(maxsize=16)
def make_plan(geo: Regular | Scattered, grid: Grid, method: str, min_valid: float) -> Plan:
    """Choose the kernel of a pair of grids and a method (``"nearest"`` and ``"mode"`` included); kept by both grids."""
    if isinstance(geo, Scattered) and geo.lon.ndim == 1:
        return scattered.Points(scattered.nearest_index(geo, grid), geo.lon.size)
    if isinstance(geo, Scattered):
        table = scattered.located(geo, grid)
        coarser = scattered.is_coarser(table)
        return Located(None, grid, (geo.lon.shape[0], geo.lon.shape[1]), method, min_valid, coarser, table)
    min_valid = max(min_valid - ROUNDING, 0.0)
    if geo.separable:
        return _separable_plan(geo, grid, method, min_valid)
    ratio = _ratio(geo, grid)
    if method in ("average", "mode") or (method in weights.RADIUS and ratio >= COARSE):
        return Reduced(geo, grid, method, max(min_valid - INEXACT, 0.0), ratio)
    return Located(geo, grid, (geo.y.size, geo.x.size), method, min_valid, ratio > SAME)


def is_coarser(geo: Regular | Scattered, grid: Grid) -> bool:
    """Whether target cells are larger than those of a regular source."""
    return isinstance(geo, Regular) and _ratio(geo, grid) > SAME


def _separable_plan(geo: Regular, grid: Grid, method: str, min_valid: float) -> Separable:
    edge = np.arange(grid.rows + 1), np.arange(grid.cols + 1)
    left, _, _, top = grid.bounds
    edge_y, edge_x = top - edge[0] * grid.cell, left + edge[1] * grid.cell
    centre = (
        geo.y.index(geo.from_ease(np.zeros(grid.rows), grid.y)[1]),
        geo.x.index(geo.from_ease(grid.x, np.zeros(grid.cols))[0]),
    )
    sides = (
        geo.y.index(geo.from_ease(np.zeros_like(edge_y), edge_y)[1]),
        geo.x.index(geo.from_ease(edge_x, np.zeros_like(edge_x))[0]),
    )
    tables = []
    for axis, mid, side in zip((geo.y, geo.x), centre, sides, strict=True):
        low, high = np.minimum(side[:-1], side[1:]), np.maximum(side[:-1], side[1:])
        if axis is geo.x and geo.crs is None and not geo.ease and not axis.period:
            turn = 360.0 / abs(axis.step)
            shift = turn * np.round((mid - (axis.size - 1) / 2) / turn)
            mid, low, high = mid - shift, low - shift, high - shift
        back = weights.interpolation("bilinear", axis, mid, high - low)
        if method == "nearest":
            own = back = weights.nearest(axis, mid)
        elif method in weights.RADIUS:
            own = weights.interpolation(method, axis, mid, high - low)
        else:
            own = weights.overlap(axis, mid, low, high, _measure(geo, axis is geo.y))
        tables.append((own, back))
    (y, back_y), (x, back_x) = tables
    return Separable(y, x, back_y, back_x, is_coarser(geo, grid), method in weights.RADIUS, min_valid)


def _measure(geo: Regular, vertical: bool):  # type: ignore[no-untyped-def]
    """Function from source cell indices to EASE metres along one axis."""

    def measure(index: np.ndarray) -> np.ndarray:
        axis: Axis = geo.y if vertical else geo.x
        value = axis.value(index)
        if geo.ease:
            return value
        if not vertical:
            return value * (-X0 / 180.0)
        return geo.to_ease(np.zeros_like(value), np.clip(value, -90, 90))[1]

    return measure


def _source_index(geo: Regular, grid: Grid, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fractional source row and column of fractional rows and columns of a target window; not finite where none."""
    x, y = X0 + (grid.col0 + col + 0.5) * grid.cell, Y0 - (grid.row0 + row + 0.5) * grid.cell
    own_x, own_y = geo.from_ease(x, y)
    return geo.y.index(own_y), geo.x.index(own_x)


def _centres(geo: Regular, grid: Grid, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
    row, col = np.arange(rows.start, rows.stop), np.arange(cols.start, cols.stop)
    return _source_index(geo, grid, *np.meshgrid(row, col, indexing="ij"))


def _inside(v: np.ndarray, u: np.ndarray, size: tuple[int, int], at: Window) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore"):
        good = (v >= -0.5) & (v < size[0] - 0.5) & (u >= -0.5) & (u < size[1] - 0.5)
    r, c = (
        np.where(good, np.floor(np.where(good, a, 0.0) + 0.5).astype("i8") - first, -1)
        for a, first in ((v, at[0]), (u, at[2]))
    )
    return r, c


def at_nearest(values: np.ndarray, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (..., h, w) at rows and columns, and where there are any (neither index is -1)."""
    inside = (row >= 0) & (col >= 0)
    return values[..., np.where(inside, row, 0), np.where(inside, col, 0)], inside


def _ratio(geo: Regular, grid: Grid) -> float:
    """Source cells per side of a target cell at the centre of the source."""
    v, u = (geo.y.size - 1) / 2 + np.array([0, 1, 0]), (geo.x.size - 1) / 2 + np.array([0, 0, 1])
    x, y = (np.asarray(a) / grid.cell for a in geo.to_ease(geo.x.value(u), geo.y.value(v)))
    turn = grid.shape_global[1]
    along_y, along_x = (d - turn * np.round(d / turn) for d in (x[1] - x[0], x[2] - x[0]))
    area = abs(along_y * (y[2] - y[0]) - along_x * (y[1] - y[0]))
    return float(1 / np.sqrt(area)) if np.isfinite(area) and area > 0 else 1.0


def _typed(taps: tuple[np.ndarray, np.ndarray, np.ndarray], dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return taps[0], taps[1].astype(dtype), taps[2]
