"""Positions of target cells in a projected source, and interpolation there: input that is not much finer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from xsm.data.geometry import Regular
from xsm.data.grids import X0, Y0, Grid
from xsm.kernels import gather, weights

Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Located:
    """Positions of target centres in source cell indices: a kernel along the source axes (`xsm.kernels.plan.Plan`).

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
        v, u, dv, du = self.position(rows, cols)
        good = np.isfinite(v)
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
        v, u = self.table[:2, rows, cols] if self.table is not None else self._centres(rows, cols)
        return inside(v, u, self.size, at)

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.interpolate`."""
        position = self.position(rows, cols)
        return gathered(frames, position, at, self.method == "bicubic", self.min_valid, self.coarser)

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.majority`."""
        raise NotImplementedError

    def position(self, rows: slice, cols: slice) -> np.ndarray:
        """Row, column (NaN outside the projection) and widths of the target cells in source rows and columns."""
        if self.table is not None:
            return self.table[:, rows, cols]
        v, u = self._centres(*(slice(p.start - 1, p.stop + 1) for p in (rows, cols)))
        dv, du = (np.hypot(_change(a[:, 1:-1].T).T, _change(a[1:-1])) for a in (v, u))
        return np.stack([v[1:-1, 1:-1], u[1:-1, 1:-1], dv, du])

    def _centres(self, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        lines = np.arange(rows.start, rows.stop), np.arange(cols.start, cols.stop)
        return source_index(cast(Regular, self.geo), self.grid, *np.meshgrid(*lines, indexing="ij"))


def gathered(
    frames: np.ndarray, position: np.ndarray, at: Window, cubic: bool, min_valid: float, coarser: bool
) -> np.ndarray:
    """Interpolate frames (n, h, w) of a window at what `Located.position` gives."""
    v, u, dv, du = position
    out = np.empty((len(frames), *v.shape), frames.dtype)
    for frame, result in zip(frames, out, strict=True):
        gather.gather(frame, v - at[0], u - at[2], dv, du, cubic, min_valid, coarser, result)
    return out


def _change(a: np.ndarray) -> np.ndarray:
    """Change per cell along the last axis, the smaller of both sides: a map may be cut or end between two cells."""
    step = np.abs(np.diff(a))
    return np.nan_to_num(np.fmin(step[:, 1:], step[:, :-1]))


def source_index(geo: Regular, grid: Grid, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fractional source row and column of fractional rows and columns of a target window; NaN where there is none."""
    x, y = X0 + (grid.col0 + col + 0.5) * grid.cell, Y0 - (grid.row0 + row + 0.5) * grid.cell
    own_x, own_y = geo.from_ease(x, y)
    v, u = geo.y.index(own_y), geo.x.index(own_x)
    good = np.isfinite(v) & np.isfinite(u)
    return np.where(good, v, np.nan), np.where(good, u, np.nan)


def inside(v: np.ndarray, u: np.ndarray, size: tuple[int, int], at: Window) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, in a window, of the source cells that hold fractional indices; -1 outside the source."""
    good = (v >= -0.5) & (v < size[0] - 0.5) & (u >= -0.5) & (u < size[1] - 0.5)
    r, c = (
        np.where(good, np.floor(np.where(good, a, 0.0) + 0.5).astype("i8") - first, -1)
        for a, first in ((v, at[0]), (u, at[2]))
    )
    return r, c


def at_nearest(values: np.ndarray, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (..., h, w) at rows and columns, and where there are any (neither index is -1)."""
    found = (row >= 0) & (col >= 0)
    return values[..., np.where(found, row, 0), np.where(found, col, 0)], found
