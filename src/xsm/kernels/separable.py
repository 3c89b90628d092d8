"""Resampling where EASE columns depend on one source axis alone and rows on the other: two 1-D passes."""

from __future__ import annotations

import math

import numpy as np

from xsm.compute.jit import jit


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
