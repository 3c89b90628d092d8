"""Latitude/longitude or EASE axes, where EASE columns depend on one axis and rows on the other: two 1-D passes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xsm.compute.jit import jit
from xsm.data.geometry import Axis, Regular
from xsm.data.grids import X0, Grid
from xsm.kernels import weights
from xsm.kernels.interpolated import Window


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
        resample(frames, *tables, self.min_valid, self.fallback, self.coarser, out)
        return out

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.majority`."""
        y, x = self.y.local(rows, at[0]), self.x.local(cols, at[2])
        out = np.empty((len(codes), len(y[0]), len(x[0])), codes.dtype)
        majority(codes, y, x, classes, self.min_valid, out)
        return out


def make_plan(geo: Regular, grid: Grid, method: str, min_valid: float, coarser: bool) -> Separable:
    """Weights of both axes for a window of the target."""
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
            taps = back = weights.nearest(axis, mid)
        elif method in weights.RADIUS:
            taps = weights.interpolation(method, axis, mid, high - low)
        else:
            taps = weights.overlap(axis, mid, low, high, _measure(geo, axis is geo.y))
        tables.append((taps, back))
    (y, back_y), (x, back_x) = tables
    return Separable(y, x, back_y, back_x, coarser, method in weights.RADIUS, min_valid)


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


def _typed(taps: tuple[np.ndarray, np.ndarray, np.ndarray], dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return taps[0], taps[1].astype(dtype), taps[2]


@jit()
def resample(values, y, x, fallback_y, fallback_x, min_valid, fallback, coarser, out):  # type: ignore[no-untyped-def]
    """Resample frames with renormalisation over valid (finite) source cells.

    Parameters
    ----------
    values : (n, h, w) float
        Source window.
    y, x : tuple of start (m,), weight (m, taps), nearest (m,)
        Tables of the rows and columns, weights in the type of ``values`` (`xsm.kernels.weights.Taps.local`).
    fallback_y, fallback_x : the same
        Bilinear tables, for cells whose valid weight is below ``min_valid`` but whose nearest source cell is valid.
    out : (n, rows, cols) float
        Result, NaN where there is none.
    """
    n, h, w = values.shape
    _, rows, cols = out.shape
    filled = np.zeros((h, w), values.dtype)
    mask = np.full((h, w), -1, values.dtype)
    half = np.empty((h, cols), values.dtype)
    den = np.empty((rows, cols), values.dtype)
    for f in range(n):
        changed = f == 0
        for r in range(h):
            for c in range(w):
                v = values[f, r, c]
                ok = v - v == 0
                m = 1.0 if ok else 0.0
                changed |= m != mask[r, c]
                mask[r, c] = m
                filled[r, c] = v if ok else 0.0
        if changed:
            _across(mask, x[0], x[1], half)
            _down(half, y[0], y[1], den)
        _across(filled, x[0], x[1], half)
        _down(half, y[0], y[1], out[f])
        for i in range(rows):
            for j in range(cols):
                if den[i, j] > 0 and den[i, j] >= min_valid:
                    out[f, i, j] /= den[i, j]
                else:
                    out[f, i, j] = math.nan
                    if fallback and y[2][i] >= 0 and x[2][j] >= 0 and mask[y[2][i], x[2][j]] == 1:
                        out[f, i, j] = _cell(filled, mask, fallback_y, fallback_x, i, j, min_valid, coarser)


@jit()
def _across(source, start, weight, out):  # type: ignore[no-untyped-def]
    """Along rows: out[r, j] = sum over k of weight[j, k] source[r, start[j] + k]; four rows share each weight."""
    last, taps = source.shape[0] - 1, weight.shape[1]
    for r in range(0, last + 1, 4):
        r1, r2, r3 = min(r + 1, last), min(r + 2, last), min(r + 3, last)
        for j in range(out.shape[1]):
            s, w = start[j], weight[j, 0]
            t0, t1, t2, t3 = w * source[r, s], w * source[r1, s], w * source[r2, s], w * source[r3, s]
            for k in range(1, taps):
                c, w = s + k, weight[j, k]
                t0 += w * source[r, c]
                t1 += w * source[r1, c]
                t2 += w * source[r2, c]
                t3 += w * source[r3, c]
            out[r, j], out[r1, j], out[r2, j], out[r3, j] = t0, t1, t2, t3


@jit()
def _down(source, start, weight, out):  # type: ignore[no-untyped-def]
    """Along columns: out[i, j] = sum over k of weight[i, k] source[start[i] + k, j]."""
    for i in range(out.shape[0]):
        for k in range(weight.shape[1]):
            w, line = weight[i, k], source[start[i] + k]
            if k == 0:
                for j in range(out.shape[1]):
                    out[i, j] = w * line[j]
            else:
                for j in range(out.shape[1]):
                    out[i, j] += w * line[j]


@jit()
def _cell(filled, mask, y, x, i, j, min_valid, coarser):  # type: ignore[no-untyped-def]
    """Bilinear over valid cells; the nearest cell where too little of it is valid."""
    num = den = 0.0
    for a in range(y[1].shape[1]):
        for b in range(x[1].shape[1]):
            r, c = y[0][i] + a, x[0][j] + b
            w = y[1][i, a] * x[1][j, b] * mask[r, c]
            num += w * filled[r, c]
            den += w
    if den > 0 and (coarser or den >= min_valid):
        return num / den
    return filled[y[2][i], x[2][j]]


@jit()
def majority(codes, y, x, classes, min_valid, out):  # type: ignore[no-untyped-def]
    """The class that covers most of each target cell; ties go to the smaller code.

    Parameters
    ----------
    codes : (n, h, w) int
        Index of the class, -1 where missing.
    y, x : tuple
        Overlap tables (`xsm.kernels.weights.overlap`).
    classes : int
        Number of classes.
    out : (n, rows, cols) int
        Index of the class; -1 where less than ``min_valid`` is covered and the centre lies in no valid cell.
    """
    share = np.empty(classes)
    for f in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                share[:] = 0.0
                total = 0.0
                for a in range(y[1].shape[1]):
                    for b in range(x[1].shape[1]):
                        w = y[1][i, a] * x[1][j, b]
                        code = codes[f, y[0][i] + a, x[0][j] + b]
                        if w > 0 and code >= 0:
                            share[code] += w
                            total += w
                centre = y[2][i] >= 0 and x[2][j] >= 0 and codes[f, y[2][i], x[2][j]] >= 0
                out[f, i, j] = np.argmax(share) if total > 0 and (total >= min_valid or centre) else -1
