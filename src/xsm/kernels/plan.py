"""Which kernel takes which input: a `Plan` per pair of grids and method.

A plan knows the source window of every target block and resamples that window. What it computes for a cell depends on
the two grids alone, never on the block, so results are equal to the last bit under every chunking.
"""

from __future__ import annotations

import functools
from typing import Protocol, cast

import numpy as np

from xsm.data.geometry import Regular, Scattered, turn
from xsm.data.grids import Grid
from xsm.data.targets import Sites, Target
from xsm.kernels import curvilinear, latlon, neighbours, points, projected_tiles, weights
from xsm.kernels.interpolated import Located, Window, at_sites, with_widths
from xsm.kernels.interpolated import is_coarser as is_coarser_table
from xsm.kernels.projected import Reduced

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
        """Row and column, in the window, of the source cell that contains each target centre; -1 outside the source."""

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """Resample float frames (n, h, w) of a window; NaN is missing."""

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """Find the class code that covers most of each cell; -1 is missing."""


@functools.lru_cache(maxsize=16)
def make_plan(geo: Regular | Scattered, target: Target, method: str, min_valid: float) -> Plan:
    """Choose the kernel of a source, a target and a method (``"nearest"`` and ``"mode"`` included)."""
    min_valid = max(min_valid - ROUNDING, 0.0)
    if isinstance(geo, Scattered) and geo.lon.ndim == 1:
        return points.Points(neighbours.nearest_index(geo, target), points.cells_of(geo, target), min_valid)
    if isinstance(geo, Scattered) or isinstance(target, Sites):
        return _table_plan(geo, target, method, min_valid)
    ratio = _ratio(geo, target)
    if geo.separable:
        return latlon.make_plan(geo, target, method, min_valid, ratio > SAME)
    if method in ("average", "mode") or (method in weights.RADIUS and ratio >= COARSE):
        return Reduced(geo, target, method, max(min_valid - INEXACT, 0.0), ratio, ratio > SAME)
    return Located(geo, target, (geo.y.size, geo.x.size), method, min_valid, ratio > SAME)


def is_coarser(geo: Regular | Scattered, target: Target) -> bool:
    """Whether target cells are larger than those of a regular source."""
    return isinstance(geo, Regular) and isinstance(target, Grid) and _ratio(geo, target) > SAME


def _table_plan(geo: Regular | Scattered, target: Target, method: str, min_valid: float) -> Located:
    if isinstance(geo, Scattered):
        size, around = (geo.lon.shape[0], geo.lon.shape[1]), 0
        table = curvilinear.located(geo, target)
    else:
        size, around = (geo.y.size, geo.x.size), geo.x.period
        table = at_sites(geo, cast(Sites, target))
    if isinstance(target, Sites):
        table = with_widths(table, around)
    return Located(None, target, size, method, min_valid, is_coarser_table(table), table, around)


def _ratio(geo: Regular, grid: Grid) -> float:
    """Source cells per side of a target cell, the median of nine places in the source."""
    lines = [(n - 1) * np.array([1, 3, 5]) / 6 for n in (geo.y.size, geo.x.size)]
    v, u = (a.ravel()[:, None] for a in np.meshgrid(*lines, indexing="ij"))
    x, y = projected_tiles.place(geo, grid, v + np.array([0, 1, 0]), u + np.array([0, 0, 1]))
    along_v, along_u = (turn(x[:, k] - x[:, 0], grid.shape_global[1]) for k in (1, 2))
    area = np.abs(along_v * (y[:, 2] - y[:, 0]) - along_u * (y[:, 1] - y[:, 0]))
    area = area[np.isfinite(area) & (area > 0)]
    return float(1 / np.sqrt(np.median(area))) if area.size else 1.0
