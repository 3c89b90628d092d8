"""Which kernel takes which input: a `Plan` per pair of grids and method.

A plan knows the source window of every target block and resamples that window. What it computes for a cell depends on
the two grids alone, never on the block, so results are equal to the last bit under every chunking.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xsm.data.geometry import Axis, Regular, Scattered
from xsm.data.grids import X0, Grid
from xsm.kernels import scattered, separable, tiles, weights
from xsm.kernels.located import Located, Window
from xsm.kernels.reduced import Reduced

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


@functools.lru_cache(maxsize=16)
def make_plan(geo: Regular | Scattered, grid: Grid, method: str, min_valid: float) -> Plan:
    """Choose the kernel of a pair of grids and a method (``"nearest"`` and ``"mode"`` included); kept by both grids."""
    min_valid = max(min_valid - ROUNDING, 0.0)
    if isinstance(geo, Scattered) and geo.lon.ndim == 1:
        return scattered.Points(scattered.nearest_index(geo, grid), scattered.cells_of(geo, grid), min_valid)
    if isinstance(geo, Scattered):
        table = scattered.located(geo, grid)
        coarser = scattered.is_coarser(table)
        return Located(None, grid, (geo.lon.shape[0], geo.lon.shape[1]), method, min_valid, coarser, table)
    if geo.separable:
        return _separable_plan(geo, grid, method, min_valid)
    ratio = _ratio(geo, grid)
    if method in ("average", "mode") or (method in weights.RADIUS and ratio >= COARSE):
        return Reduced(geo, grid, method, max(min_valid - INEXACT, 0.0), ratio, ratio > SAME)
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


def _ratio(geo: Regular, grid: Grid) -> float:
    """Source cells per side of a target cell, the median of nine places in the source."""
    lines = [(n - 1) * np.array([1, 3, 5]) / 6 for n in (geo.y.size, geo.x.size)]
    v, u = (a.ravel()[:, None] for a in np.meshgrid(*lines, indexing="ij"))
    x, y = tiles.place(geo, grid, v + np.array([0, 1, 0]), u + np.array([0, 0, 1]))
    along_v, along_u = (tiles.turn(x[:, k] - x[:, 0], grid.shape_global[1]) for k in (1, 2))
    area = np.abs(along_v * (y[:, 2] - y[:, 0]) - along_u * (y[:, 1] - y[:, 0]))
    area = area[np.isfinite(area) & (area > 0)]
    return float(1 / np.sqrt(np.median(area))) if area.size else 1.0


def _typed(taps: tuple[np.ndarray, np.ndarray, np.ndarray], dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return taps[0], taps[1].astype(dtype), taps[2]
