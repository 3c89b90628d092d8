"""Cells with their own longitude and latitude: nearest points, and the inverse of a curvilinear grid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xsm.atomic import fresh
from xsm.data.geometry import Scattered, ease_of
from xsm.data.grids import X0, Y0, Grid
from xsm.kernels.located import Window
from xsm.options import get_option

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

HALF_DIAGONAL = 0.7072
FEW, EVEN = 16, 1.5
"""Points that make a spacing, and by what factor the distances of most neighbours may differ where it is even."""
FAR = 1e4  # keeps rows beyond the grid positive, as the periodic tree wants


@dataclass(frozen=True)
class Points:
    """Points without neighbours, as frames of one row (`xsm.kernels.plan.Plan`): those in a cell, else the nearest.

    ``index`` (rows, cols) is the nearest point of each target cell, -1 where none is near; ``cell`` (points, 2) the row
    and column in the target that hold each point, -1 outside.
    """

    index: np.ndarray
    cell: np.ndarray
    min_valid: float
    coarser: bool = False

    def window(self, rows: slice, cols: slice) -> Window | None:
        """See `Plan.window`."""
        return (0, 1, 0, len(self.cell)) if (self.index[rows, cols] >= 0).any() else None

    def nearest(self, at: Window, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `Plan.nearest`."""
        index = self.index[rows, cols]
        return np.minimum(index, 0), index

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.interpolate`."""
        index = self.index[rows, cols]
        out = np.where(index >= 0, frames[:, 0, index], np.nan).astype(frames.dtype, copy=False)
        point, spot, count = self._held(rows, cols)
        for frame, result in zip(frames[:, 0, point], out, strict=True):
            valid = np.isfinite(frame)
            number = np.bincount(spot[valid], minlength=index.size).reshape(index.shape)
            total = np.bincount(spot[valid], frame[valid], index.size).reshape(index.shape)
            enough = (number > 0) & (number >= self.min_valid * count)
            result[enough] = total[enough] / number[enough]
        return out

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.majority`."""
        index = self.index[rows, cols]
        out = np.where(index >= 0, codes[:, 0, index], -1)
        point, spot, count = self._held(rows, cols)
        for frame, result in zip(codes[:, 0, point], out, strict=True):
            valid = frame >= 0
            share = np.bincount(spot[valid] * classes + frame[valid], minlength=index.size * classes)
            share = share.reshape(*index.shape, classes)
            number = share.sum(-1)
            enough = (number > 0) & (number >= self.min_valid * count)
            result[enough] = share.argmax(-1)[enough]
        return out

    def _held(self, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points in the cells of a block, the cell that holds each, and how many each cell holds."""
        low, high = (rows.start, cols.start), (rows.stop, cols.stop)
        point = np.flatnonzero(((self.cell >= low) & (self.cell < high)).all(1))
        shape = high[0] - low[0], high[1] - low[1]
        spot = np.ravel_multi_index(tuple((self.cell[point] - low).T), shape)
        return point, spot, np.bincount(spot, minlength=shape[0] * shape[1]).reshape(shape)


def cells_of(geo: Scattered, grid: Grid) -> np.ndarray:
    """Row and column (points, 2) in a target window that hold each point; -1 outside."""
    row, col = grid.rowcol(geo.lon, geo.lat)
    found = np.column_stack([row - grid.row0, col - grid.col0])
    found[(row < 0) | (found < 0).any(1) | (found >= grid.shape).any(1)] = -1
    return found


def positions(geo: Scattered, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Fractional global row and column of the source cells; not finite where their position is unknown."""
    x, y = ease_of(geo.lon, geo.lat)
    return (Y0 - y) / grid.cell - 0.5, (x - X0) / grid.cell - 0.5


def nearest_cells(geo: Scattered, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Flat index of the source cell nearest to every target centre, and its distance in target cells.

    A cell is nearest within half a diagonal of a target cell, or of the spacing of the source where that is even and
    larger; elsewhere the index is -1. Curvilinear cells are looked for twice as far.
    """
    from scipy.spatial import cKDTree

    row, col = (a.ravel() for a in positions(geo, grid))
    around = float(grid.shape_global[1])
    good = np.flatnonzero(np.isfinite(row) & np.isfinite(col))
    turned = np.mod(col[good] + 0.5, around)
    places = np.column_stack([row[good] + FAR, np.where(turned < around, turned, 0.0)])
    tree = cKDTree(places, boxsize=[0, around])
    reach = HALF_DIAGONAL * max(1.0, _spacing(tree, curved=geo.lon.ndim == 2)) * (1 if geo.lon.ndim == 1 else 2)
    target = np.stack(np.meshgrid(grid.row + FAR, grid.col + 0.5, indexing="ij"), axis=-1)
    distance, near = tree.query(target, distance_upper_bound=reach)
    return np.append(good, -1)[near], distance


def _spacing(tree: cKDTree, curved: bool) -> float:
    """Median distance of neighbours; 0 for points that are few or spread unevenly."""
    from scipy.spatial import cKDTree

    places = tree.data if curved else np.unique(np.round(tree.data, 3), axis=0)
    if len(places) < (2 if curved else FEW):
        return 0.0
    own = tree if curved else cKDTree(places, boxsize=tree.boxsize)
    low, middle, high = np.quantile(own.query(places, k=2)[0][:, 1], [0.1, 0.5, 0.9])
    return float(middle) if curved or high < EVEN * low else 0.0


def nearest_index(geo: Scattered, grid: Grid) -> np.ndarray:
    """Index that `nearest_cells` gives, from the option ``cache`` where it is there."""
    return _kept("nearest", geo, grid, lambda: nearest_cells(geo, grid)[0])


def located(geo: Scattered, grid: Grid) -> np.ndarray:
    """Table that `locate` gives, from the option ``cache`` where it is there."""
    return _kept("located", geo, grid, lambda: locate(geo, grid))


def _kept(what: str, geo: Scattered, grid: Grid, make: Callable[[], np.ndarray]) -> np.ndarray:
    folder = get_option("cache")
    if folder is None:
        return make()
    key = hashlib.sha256(f"2 {what} {geo.digest} {grid}".encode()).hexdigest()[:32]
    path = Path(folder) / "weights" / f"{what}-{key}.npy"
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        made = make()
        with fresh(path, overwrite=True) as part:
            np.save(part, made)
        return made


def is_coarser(table: np.ndarray) -> bool:
    """Whether most target cells that `locate` found are larger than source cells."""
    found = np.isfinite(table[0])
    return bool(found.any() and np.median((table[2] * table[3])[found]) > 1 + 1e-6)


def locate(geo: Scattered, grid: Grid) -> np.ndarray:
    """Invert a curvilinear grid by Newton steps from the nearest source cell.

    Returns
    -------
    table : (4, rows, cols) float64
        Source row and column of the target centres (NaN outside), widths of target cells in source rows and columns.
    """
    row, col = positions(geo, grid)
    row, col = (np.where(np.isfinite(a), a, np.nan) for a in (row, col))
    around = grid.shape_global[1]
    index, distance = nearest_cells(geo, grid)
    r, c = np.divmod(np.maximum(index, 0), col.shape[1])
    col_v, col_u = (_slope(col, axis, around)[r, c] for axis in (0, 1))
    row_v, row_u = (_slope(row, axis, 0)[r, c] for axis in (0, 1))
    target_row, target_col = np.meshgrid(grid.row, grid.col, indexing="ij")
    v, u = r.astype("f8"), c.astype("f8")
    with np.errstate(invalid="ignore", divide="ignore"):
        det = col_v * row_u - col_u * row_v
        for step in range(4):
            at_row, at_col = (row[r, c], col[r, c]) if step == 0 else (_at(row, v, u, 0), _at(col, v, u, around))
            dr, dc = target_row - at_row, _turn(target_col - at_col, around)
            dv, du = (dc * row_u - dr * col_u) / det, (dr * col_v - dc * row_v) / det
            moved = np.isfinite(dv) & np.isfinite(du)
            v, u = np.where(moved, v + dv, v), np.where(moved, u + du, u)
        lonely = ~np.isfinite(det) & (distance > HALF_DIAGONAL)
        wrong = (index < 0) | lonely | (np.abs(v - r) > 2) | (np.abs(u - c) > 2)
        wide_v, wide_u = np.hypot(row_u, col_u) / np.abs(det), np.hypot(row_v, col_v) / np.abs(det)
    wide_v, wide_u = (np.where(np.isfinite(w) & ~wrong, w, 1.0) for w in (wide_v, wide_u))
    return np.stack([np.where(wrong, np.nan, v), np.where(wrong, np.nan, u), wide_v, wide_u])


def _turn(d: np.ndarray, around: int) -> np.ndarray:
    """The shorter way around the globe."""
    return d - around * np.round(d / around) if around else d


def _slope(a: np.ndarray, axis: int, around: int) -> np.ndarray:
    """Change of a field per cell; one-sided at edges and beside unknown cells."""
    ahead = _turn(np.diff(a, axis=axis), around)
    before, after = (
        np.pad(ahead, [side if k == axis else (0, 0) for k in (0, 1)], constant_values=np.nan)
        for side in ((1, 0), (0, 1))
    )
    return 0.5 * (np.where(np.isfinite(before), before, after) + np.where(np.isfinite(after), after, before))


def _at(a: np.ndarray, v: np.ndarray, u: np.ndarray, around: int) -> np.ndarray:
    """Bilinear value of a field at fractional indices, extrapolated from the edge cells."""
    v0, u0 = (np.clip(np.floor(p), 0, n - 2).astype("i8") for p, n in zip((v, u), a.shape, strict=True))
    p, q = v - v0, u - u0
    corner = a[v0, u0]
    down, right, both = (_turn(a[v0 + i, u0 + j] - corner, around) for i, j in ((1, 0), (0, 1), (1, 1)))
    return corner + p * (1 - q) * down + q * (1 - p) * right + p * q * both
