"""Interpolation at any positions in source cell indices: projected and curvilinear input that is not much finer."""

from __future__ import annotations

import math

import numpy as np

from xsm.compute.jit import jit


@jit()
def gather(values, v, u, scale_v, scale_u, cubic, min_valid, coarser, out):  # type: ignore[no-untyped-def]
    """Interpolate one frame with a kernel along the source axes, widened by ``scale`` (at least 1).

    Parameters
    ----------
    values : (h, w) float
        Source window.
    v, u : (rows, cols) float
        Row and column of the target centres in the window, fractional; NaN where there is none.
    scale_v, scale_u : (rows, cols) float
        Widening of the kernel in source cells.
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
