"""Where the pixels of a projected raster lie in the target, tile by tile.

A tile is a square of pixels. Where the Earth goes on through all of it, its pixels lie between its four corner nodes
(*plain*). Where it is cut (a horizon, the outline of a world map, a pole), each of its pixels is placed exactly.
Positions are fractional rows and columns of the global target grid, 0 the centre of the first cell.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from xsm.compute.chunks import in_threads
from xsm.data.geometry import Regular, turn
from xsm.data.grids import X0, Y0, Grid
from xsm.kernels.interpolated import Window, source_index

WIDEST = 1 / 32
"""Share of the way around the globe that a plain tile may span."""
STRIP = 2**17
"""Nodes that are placed at once."""


@dataclass(frozen=True)
class Pixels:
    """Pixels of tiles that are not plain: source row and column, target column and row, half widths in target cells."""

    r: np.ndarray
    c: np.ndarray
    x: np.ndarray
    y: np.ndarray
    half_x: np.ndarray
    half_y: np.ndarray


def place(geo: Regular, grid: Grid, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Target column and row of source rows and columns; NaN off the Earth."""
    x, y = geo.to_ease(geo.x.value(col), geo.y.value(row))
    good = np.isfinite(x) & np.isfinite(y)
    return np.where(good, (x - X0) / grid.cell - 0.5, np.nan), np.where(good, (Y0 - y) / grid.cell - 0.5, np.nan)


def nodes(geo: Regular, grid: Grid, tile: int, at: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target column and row of the corners of the tiles of a window, and which tiles are plain."""
    row, col = (np.arange(a, b + tile, tile) for a, b in ((at[0], _up(at[1], tile)), (at[2], _up(at[3], tile))))
    x, y = place(geo, grid, *np.meshgrid(row, col, indexing="ij"))
    around = grid.shape_global[1]
    wide = (np.diff(x[:-1]), np.diff(x[1:]), np.diff(x[:, :-1], axis=0))
    return x, y, np.all([np.abs(turn(a, around)) < WIDEST * around for a in wide], 0)


def pixels(geo: Regular, grid: Grid, tile: int, at: Window, plain: np.ndarray) -> Pixels:
    """Place every pixel of the tiles of a window that are not plain; those off the Earth are left out."""
    a, b = np.nonzero(~plain)
    k = np.arange(-1, tile + 1)
    r, c = at[0] + a[:, None, None] * tile + k[:, None], at[2] + b[:, None, None] * tile + k
    x, y = place(geo, grid, *np.broadcast_arrays(r, c))
    around = grid.shape_global[1]
    half_x, half_y = (
        0.5 * np.hypot(_smaller(p[:, 1:-1], -1, turns), _smaller(p[:, :, 1:-1], -2, turns))
        for p, turns in ((x, around), (y, 0))
    )
    r, c, x, y = (p[:, 1:-1, 1:-1] for p in np.broadcast_arrays(r, c, x, y))
    good = np.isfinite(x) & (half_x > 0) & (half_y > 0) & (r < geo.y.size) & (c < geo.x.size)
    return Pixels(*(p[good] for p in (r, c, x, y, half_x, half_y)))


def _smaller(p: np.ndarray, axis: int, around: int) -> np.ndarray:
    """Change to the next pixel along an axis, the smaller of both sides; 0 where neither is on the Earth."""
    step = np.diff(p, axis=axis)
    step = np.moveaxis(np.abs(turn(step, around) if around else step), axis, -1)
    return np.moveaxis(np.nan_to_num(np.fmin(step[..., 1:], step[..., :-1])), -1, axis)


@dataclass(frozen=True)
class Reach:
    """Target rows and columns (low, high) that the tiles of a source window touch; NaN where a tile touches none."""

    first: tuple[int, int]
    rows: np.ndarray
    cols: np.ndarray

    def touching(self, grid: Grid, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """Row and column numbers of the tiles that touch a target block."""
        low, high = grid.row0 + rows.start, grid.row0 + rows.stop - 1
        touched = (self.rows[0] <= high) & (self.rows[1] >= low)
        low, high = grid.col0 + cols.start, grid.col0 + cols.stop - 1
        around = grid.shape_global[1]
        touched &= np.any([(self.cols[0] + k <= high) & (self.cols[1] + k >= low) for k in (-around, 0, around)], 0)
        a, b = np.nonzero(touched)
        return a + self.first[0], b + self.first[1]


@functools.lru_cache(maxsize=8)
def reach(geo: Regular, grid: Grid, tile: int, halo: float, spread: bool) -> Reach:
    """Find what the tiles that a target window may need touch, with ``halo`` cells, and half a pixel if ``spread``."""
    top, bottom, left, right = _bounds(geo, grid, tile)
    lines = max(STRIP * tile // max(right - left, 1), 1) * tile
    strips = [(a, min(a + lines, bottom), left, right) for a in range(top, bottom, lines)]
    parts = list(in_threads(functools.partial(_touched, geo, grid, tile, halo, spread), strips))
    rows, cols = (np.concatenate([part[k] for part in parts], 1) for k in (0, 1))
    return Reach((top // tile, left // tile), rows, cols)


def _touched(
    geo: Regular, grid: Grid, tile: int, halo: float, spread: bool, at: Window
) -> tuple[np.ndarray, np.ndarray]:
    x, y, plain = nodes(geo, grid, tile, at)
    around = grid.shape_global[1]
    corners_x = np.stack([x[i : i + plain.shape[0], j : j + plain.shape[1]] for i, j in _CORNERS])
    corners_x = corners_x[0] + turn(corners_x - corners_x[0], around)
    corners_y = np.stack([y[i : i + plain.shape[0], j : j + plain.shape[1]] for i, j in _CORNERS])
    spans = []
    for p in (corners_y, corners_x):
        p[:, ~plain] = np.nan
        wide = np.hypot(np.maximum(abs(p[1] - p[0]), abs(p[3] - p[2])), p[2] - p[0]) / (2 * tile) if spread else 0.0
        spans.append(np.stack([p.min(0) - wide - halo, p.max(0) + wide + halo]))
    if not plain.all():
        cut = pixels(geo, grid, tile, at, plain)
        a, b = (cut.r - at[0]) // tile, (cut.c - at[2]) // tile
        for span, p, half in zip(spans, (cut.y, cut.x), (cut.half_y, cut.half_x), strict=True):
            half = half * spread + halo
            np.fmin.at(span[0], (a, b), p - half)
            np.fmax.at(span[1], (a, b), p + half)
    return spans[0].astype("f4"), spans[1].astype("f4")


_CORNERS = tuple(itertools.product((0, 1), (0, 1)))


def _bounds(geo: Regular, grid: Grid, tile: int) -> Window:
    """Source window, whole tiles, that holds all that the target may need: from every so many of its cells."""
    row, col = (np.linspace(-4, n + 3, min(n + 8, 257)) for n in grid.shape)
    spans: list[int] = []
    for a, size in zip(
        source_index(geo, grid, *np.meshgrid(row, col, indexing="ij")), (geo.y.size, geo.x.size), strict=True
    ):
        if not np.isfinite(a).any():
            return 0, 0, 0, 0
        steps = [np.abs(np.diff(a, axis=k)).ravel() for k in (0, 1)]
        pad = np.nanmax(np.concatenate([*steps, [0.0]])) + 2 * tile
        low, high = max(int(np.nanmin(a) - pad), 0), min(int(np.nanmax(a) + pad) + 1, size)
        spans += [low // tile * tile, min(_up(high, tile), size)]
    top, bottom, left, right = spans
    return (top, bottom, left, right) if bottom > top and right > left else (0, 0, 0, 0)


def _up(size: int, tile: int) -> int:
    return -(-size // tile) * tile
