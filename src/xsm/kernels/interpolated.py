"""Interpolation at source positions: curvilinear input, projected input that is not much finer, output at points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from xsm.compute.jit import jit
from xsm.data.geometry import Regular, ease_of, turn
from xsm.data.grids import X0, Y0, Grid
from xsm.data.targets import Sites, Target, lon_lat
from xsm.kernels import weights

Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Located:
    """Positions of target centres in source cell indices: a kernel along the source axes (`xsm.kernels.plan.Plan`).

    ``table`` contains row, column and the widths of the target cells in source rows and columns for the whole target
    (curvilinear input, output at points); without it they come from the projection of ``geo``, block by block.
    ``around`` is the number of source columns around the globe where they close, else 0.
    """

    geo: Regular | None
    grid: Target
    size: tuple[int, int]
    method: str
    min_valid: float
    coarser: bool
    table: np.ndarray | None = None
    around: int = 0

    def window(self, rows: slice, cols: slice) -> Window | None:
        """See `Plan.window`."""
        v, u, dv, du = self.position(rows, cols)
        good = np.isfinite(v)
        if not good.any():
            return None
        reach = weights.RADIUS.get("bicubic" if self.method == "bicubic" else "bilinear", 1.0)
        spans: list[int] = []
        for a, d, size in ((v, dv, self.size[0]), (u, du, self.size[1])):
            r = reach * np.maximum(d[good], 1.0) + 1
            span = int(np.floor((a[good] - r).min())), int(np.ceil((a[good] + r).max())) + 1
            spans += span if self.around and a is u else (max(span[0], 0), min(span[1], size))
        r0, r1, c0, c1 = spans
        return (r0, r1, c0, c1) if r1 > r0 and c1 > c0 else None

    def nearest(self, at: Window, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `Plan.nearest`."""
        v, u = self.table[:2, rows, cols] if self.table is not None else self._centres(rows, cols)
        return inside(v, u, (self.size[0], np.inf if self.around else self.size[1]), at)

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
        return source_index(cast(Regular, self.geo), cast(Grid, self.grid), *np.meshgrid(*lines, indexing="ij"))


def gathered(
    frames: np.ndarray, position: np.ndarray, at: Window, cubic: bool, min_valid: float, coarser: bool
) -> np.ndarray:
    """Interpolate frames (n, h, w) of a window at what `Located.position` gives."""
    v, u, dv, du = position
    out = np.empty((len(frames), *v.shape), frames.dtype)
    for frame, result in zip(frames, out, strict=True):
        gather(frame, v - at[0], u - at[2], dv, du, cubic, min_valid, coarser, result)
    return out


def _change(a: np.ndarray) -> np.ndarray:
    """Change per cell along the last axis, the smaller of both sides: a map may be cut or end between two cells."""
    step = np.abs(np.diff(a))
    return np.nan_to_num(np.fmin(step[:, 1:], step[:, :-1]))


def source_index(geo: Regular, grid: Grid, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fractional source row and column of fractional rows and columns of a target window; NaN where there is none."""
    return _index(geo, X0 + (grid.col0 + col + 0.5) * grid.cell, Y0 - (grid.row0 + row + 0.5) * grid.cell)


def _index(geo: Regular, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fractional source row and column of EPSG:6933 metres; NaN where there is none."""
    east, north = geo.from_ease(x, y)
    v, u = geo.y.index(north), geo.x.index(east)
    good = np.isfinite(v) & np.isfinite(u)
    return np.where(good, v, np.nan), np.where(good, u, np.nan)


def inside(v: np.ndarray, u: np.ndarray, size: tuple[float, float], at: Window) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, in a window, of the source cells that contain fractional indices; -1 outside the source."""
    good = (v >= -0.5) & (v < size[0] - 0.5) & (u >= -0.5) & (u < size[1] - 0.5)
    r, c = (
        np.where(good, np.floor(np.where(good, a, 0.0) + 0.5).astype("i8") - first, -1)
        for a, first in ((v, at[0]), (u, at[2]))
    )
    return r, c


def at_nearest(values: np.ndarray, row: np.ndarray, col: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (..., h, w) at rows and columns, and where there are any (neither index is -1)."""
    inside_source = (row >= 0) & (col >= 0)
    return values[..., np.where(inside_source, row, 0), np.where(inside_source, col, 0)], inside_source


def at_sites(geo: Regular, sites: Sites) -> np.ndarray:
    """Table of `Located` (without widths) for positions in a source on regular axes."""
    lon, lat = lon_lat(sites)
    v, u = _index(geo, *ease_of(lon, lat))
    if geo.crs is None and not geo.ease:  # longitudes of both conventions
        middle = (geo.x.size - 1) / 2
        u = np.mod(u, geo.x.period) if geo.x.period else middle + turn(u - middle, 360.0 / abs(geo.x.step))
    return np.stack([v, u])


def with_widths(position: np.ndarray, around: int) -> np.ndarray:
    """Add the widths in source rows and columns of a swath's cells, from its neighbours; 1 for a list of points."""
    v, u = position[:2]
    widths = np.ones((2, *v.shape))
    if min(v.shape) > 1:
        for a, turns, width in ((v, 0, widths[0]), (u, around, widths[1])):
            width[...] = np.hypot(*(_step(a, axis, turns) for axis in (0, 1)))
    return np.concatenate([[v, u], np.maximum(widths, 1.0)])


def _step(a: np.ndarray, axis: int, around: int) -> np.ndarray:
    """Change per place along an axis, the smaller of both sides; 0 where neither is known."""
    step = np.diff(a, axis=axis)
    step = np.moveaxis(np.abs(turn(step, around)), axis, -1)
    ends = np.full((*step.shape[:-1], 1), np.nan)
    return np.moveaxis(np.nan_to_num(np.fmin(np.append(ends, step, -1), np.append(step, ends, -1))), -1, axis)


def is_coarser(table: np.ndarray) -> bool:
    """Whether most target cells of a table of `Located` are larger than source cells."""
    inside_source = np.isfinite(table[0])
    return bool(inside_source.any() and np.median((table[2] * table[3])[inside_source]) > 1 + 1e-6)


@jit()
def gather(values, v, u, scale_v, scale_u, cubic, min_valid, coarser, out):  # type: ignore[no-untyped-def]
    """Interpolate one frame with a kernel along the source axes, widened by ``scale`` (at least 1).

    Parameters
    ----------
    values : (h, w) float
        Source window.
    v, u, scale_v, scale_u : (rows, cols) float
        Row and column of the target centres in the window, NaN where there is none; widening in source cells.
    cubic : bool
        Keys cubic with bilinear and nearest as fallback, else bilinear with nearest.
    out : (rows, cols) float
        Result, NaN where there is none.
    """
    h, w = values.shape
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = math.nan
            if not (v[i, j] > -3 and v[i, j] < h + 2 and u[i, j] > -3 and u[i, j] < w + 2):
                continue
            s, t = max(scale_v[i, j], 1.0), max(scale_u[i, j], 1.0)
            if cubic:
                num, den = _point(values, v[i, j], u[i, j], s, t, True)
                if den > 0 and den >= min_valid:
                    out[i, j] = num / den
                    continue
            r, c = math.floor(v[i, j] + 0.5), math.floor(u[i, j] + 0.5)
            near = values[r, c] if r >= 0 and r < h and c >= 0 and c < w else math.nan
            known = near - near == 0
            num, den = _point(values, v[i, j], u[i, j], s, t, False)
            if den > 0 and (known or not cubic) and (den >= min_valid or (known and coarser)):
                out[i, j] = num / den
            elif known:
                out[i, j] = near


@jit()
def _point(values, v, u, s, t, cubic):  # type: ignore[no-untyped-def]
    radius = 2.0 if cubic else 1.0
    r0, c0 = math.ceil(v - radius * s), math.ceil(u - radius * t)
    rows, cols = math.ceil(2 * radius * s), math.ceil(2 * radius * t)
    across = np.empty(cols)
    full_u = full_v = num = den = 0.0
    for b in range(cols):
        across[b] = _weight((c0 + b - u) / t, cubic)
        full_u += across[b]
    for a in range(rows):
        wv = _weight((r0 + a - v) / s, cubic)
        full_v += wv
        if r0 + a < 0 or r0 + a >= values.shape[0]:
            continue
        for b in range(max(0, -c0), min(cols, values.shape[1] - c0)):
            value = values[r0 + a, c0 + b]
            if value - value == 0:
                num += wv * across[b] * value
                den += wv * across[b]
    full = full_u * full_v
    return num / full, den / full


@jit()
def _weight(d, cubic):  # type: ignore[no-untyped-def]
    d = abs(d)
    if not cubic:
        return max(1.0 - d, 0.0)
    if d < 1:
        return (1.5 * d - 2.5) * d * d + 1.0
    return ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0 if d < 2 else 0.0
