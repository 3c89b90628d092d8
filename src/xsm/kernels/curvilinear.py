"""Curvilinear input (2-D longitude and latitude): where target places lie in it, by inverting its positions."""

from __future__ import annotations

import numpy as np

from xsm.data.geometry import Scattered, turn
from xsm.data.targets import Sites, Target, positions, rows_columns
from xsm.kernels.neighbours import HALF_DIAGONAL, cached, nearest_cells


def located(geo: Scattered, target: Target) -> np.ndarray:
    """Table that `locate` gives, from the option ``cache`` where it is there."""
    return cached("located", geo, target, lambda: locate(geo, target))


def locate(geo: Scattered, target: Target) -> np.ndarray:
    """Invert a curvilinear grid by Newton steps from the nearest source cell.

    Returns
    -------
    table : (4, rows, cols) float64
        Source row and column of the target centres (NaN outside), widths of target cells in source rows and columns.
    """
    grid = target.grid if isinstance(target, Sites) else target
    row, col = positions(geo, grid)
    row, col = (np.where(np.isfinite(a), a, np.nan) for a in (row, col))
    around = grid.shape_global[1]
    index, distance = nearest_cells(geo, target)
    r, c = np.divmod(np.maximum(index, 0), col.shape[1])
    col_v, col_u = (_slope(col, axis, around)[r, c] for axis in (0, 1))
    row_v, row_u = (_slope(row, axis, 0)[r, c] for axis in (0, 1))
    target_row, target_col = rows_columns(target)
    v, u = r.astype("f8"), c.astype("f8")
    with np.errstate(invalid="ignore", divide="ignore"):
        det = col_v * row_u - col_u * row_v
        for step in range(4):
            at_row, at_col = (row[r, c], col[r, c]) if step == 0 else (_at(row, v, u, 0), _at(col, v, u, around))
            dr, dc = target_row - at_row, turn(target_col - at_col, around)
            dv, du = (dc * row_u - dr * col_u) / det, (dr * col_v - dc * row_v) / det
            moved = np.isfinite(dv) & np.isfinite(du)
            v, u = np.where(moved, v + dv, v), np.where(moved, u + du, u)
        lonely = ~np.isfinite(det) & (distance > HALF_DIAGONAL)
        wrong = (index < 0) | lonely | (np.abs(v - r) > 2) | (np.abs(u - c) > 2)
        wide_v, wide_u = np.hypot(row_u, col_u) / np.abs(det), np.hypot(row_v, col_v) / np.abs(det)
    wide_v, wide_u = (np.where(np.isfinite(w) & ~wrong, w, 1.0) for w in (wide_v, wide_u))
    return np.stack([np.where(wrong, np.nan, v), np.where(wrong, np.nan, u), wide_v, wide_u])


def _slope(a: np.ndarray, axis: int, around: int) -> np.ndarray:
    """Change of a field per cell; one-sided at edges and beside unknown cells."""
    ahead = turn(np.diff(a, axis=axis), around)
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
    down, right, both = (turn(a[v0 + i, u0 + j] - corner, around) for i, j in ((1, 0), (0, 1), (1, 1)))
    return corner + p * (1 - q) * down + q * (1 - p) * right + p * q * both
