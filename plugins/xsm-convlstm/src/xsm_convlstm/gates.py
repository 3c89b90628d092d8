"""The gates of one time step in one pass over memory (numba), for inference on a processor.

Arrays are ``(cell, channel)``, channels last. Values are float32, or bfloat16 as its bits (uint16); arithmetic is
float32. Imported on first use: numba compiles on the first call and keeps the result on disk. Output arrays need
`MARGIN` unused bytes around them: from coarse bounds the compiled loop concludes that they do not overlap the input,
and it is five times slower where it cannot.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

F = np.float32
MARGIN = 4096
Array = np.ndarray
HALF, ONE, TWO, LOG2E = F(0.5), F(1.0), F(2.0), F(1.4426950408889634)
EXP2 = tuple(F(v) for v in (6.93147188e-1, 2.40226508e-1, 5.55035711e-2, 9.61808256e-3, 1.33908634e-3, 1.54531629e-4))
"""2^r = 1 + r (c1 + r (c2 + ...)) for |r| <= 1/2 to 1e-7, by interpolation at Chebyshev's points."""


def _load(value: Any) -> Any: ...


def _round(value: Any, like: Any) -> Any: ...


@overload(_load, inline="always")
def _load_typed(value: Any) -> Any:
    def bits(value: Any) -> Any:
        return np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)

    def plain(value: Any) -> Any:
        return value

    return bits if value == types.uint16 else plain


@overload(_round, inline="always")
def _round_typed(value: Any, like: Any) -> Any:
    def bits(value: Any, like: Any) -> Any:
        whole = np.float32(value).view(np.uint32)
        even = (whole >> np.uint32(16)) & np.uint32(1)
        return np.uint16((whole + np.uint32(0x7FFF) + even) >> np.uint32(16))

    def plain(value: Any, like: Any) -> Any:
        return value

    return bits if like == types.uint16 else plain


@numba.njit(inline="always")
def _sigmoid(x: Any) -> Any:
    """Logistic function to 1e-7, without branches, so that the loop over channels is vectorised."""
    z = min(max(-LOG2E * x, F(-126.0)), F(126.0))
    n = np.floor(z + HALF)
    r = z - n
    power = ONE + r * (EXP2[0] + r * (EXP2[1] + r * (EXP2[2] + r * (EXP2[3] + r * (EXP2[4] + r * EXP2[5])))))
    scale = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return ONE / (ONE + power * scale)


@numba.njit(inline="always")
def _tanh(x: Any) -> Any:
    return TWO * _sigmoid(TWO * x) - ONE


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def first_step(
    drive: Array, peephole: Array, scale: Array, shift: Array, tanh: bool, c: Array, h: Array, y: Array
) -> None:
    """Run the first step, from a zero state; arguments as in `next_step`."""
    filters = c.shape[1]
    for k in range(c.shape[0]):
        d, states, hiddens, outs = drive[k], c[k], h[k], y[k]
        for j in range(filters):
            i, g = _sigmoid(_load(d[j])), _load(d[3 * filters + j])
            state = i * (_tanh(g) if tanh else _sigmoid(g))
            hidden = _sigmoid(_load(d[2 * filters + j]) + peephole[2, j] * state) * _tanh(state)
            states[j] = state
            hiddens[j] = _round(hidden, hiddens[j])
            outs[j] = _round(scale[j] * hidden + shift[j], outs[j])


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def next_step(
    drive: Array, recurrent: Array, peephole: Array, scale: Array, shift: Array, tanh: bool, c: Array, h: Array,
    y: Array,
) -> None:  # fmt: skip
    """Run one step of equations 1 to 6 and the batch norm that follows.

    Parameters
    ----------
    drive, recurrent : ndarray
        (cell, 4 filter): convolutions of the input (with bias) and of the last hidden state; gates i, f, o, candidate.
    peephole : ndarray
        (3, filter) float32.
    scale, shift : ndarray
        (filter,) float32: batch norm with its running statistics.
    tanh : bool
        Activation of the candidate: tanh, else the logistic function.
    c : ndarray
        (cell, filter) float32, cell state, updated.
    h, y : ndarray
        (cell, filter), hidden state and normalised output, written.
    """
    filters = c.shape[1]
    for k in range(c.shape[0]):
        d, r, states, hiddens, outs = drive[k], recurrent[k], c[k], h[k], y[k]
        for j in range(filters):
            before = states[j]
            i = _sigmoid(_load(d[j]) + _load(r[j]) + peephole[0, j] * before)
            f = _sigmoid(_load(d[filters + j]) + _load(r[filters + j]) + peephole[1, j] * before)
            g = _load(d[3 * filters + j]) + _load(r[3 * filters + j])
            state = f * before + i * (_tanh(g) if tanh else _sigmoid(g))
            o = _load(d[2 * filters + j]) + _load(r[2 * filters + j])
            hidden = _sigmoid(o + peephole[2, j] * state) * _tanh(state)
            states[j] = state
            hiddens[j] = _round(hidden, hiddens[j])
            outs[j] = _round(scale[j] * hidden + shift[j], outs[j])


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def forward_step(
    drive: Array, recurrent: Array, before: Array, gates: Array, c: Array, h: Array, peephole: Array, tanh: bool
) -> None:
    """Run one step for training: as `next_step`, with the gates' values kept and no batch norm."""
    filters = c.shape[1]
    for k in range(c.shape[0]):
        d, r, olds, kept, states, hiddens = drive[k], recurrent[k], before[k], gates[k], c[k], h[k]
        for j in range(filters):
            i = _sigmoid(_load(d[j]) + _load(r[j]) + peephole[0, j] * olds[j])
            f = _sigmoid(_load(d[filters + j]) + _load(r[filters + j]) + peephole[1, j] * olds[j])
            g = _load(d[3 * filters + j]) + _load(r[3 * filters + j])
            g = _tanh(g) if tanh else _sigmoid(g)
            state = f * olds[j] + i * g
            o = _sigmoid(_load(d[2 * filters + j]) + _load(r[2 * filters + j]) + peephole[2, j] * state)
            kept[j] = _round(i, kept[j])
            kept[filters + j] = _round(f, kept[j])
            kept[2 * filters + j] = _round(o, kept[j])
            kept[3 * filters + j] = _round(g, kept[j])
            states[j] = state
            hiddens[j] = _round(o * _tanh(state), hiddens[j])


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def backward_step(
    gates: Array, before: Array, c: Array, dh: Array, dc: Array, out: Array, peephole: Array, tanh: bool
) -> Array:
    """Run one step back: gradients of the four gates' sums to ``out``, of the last cell state to ``dc``.

    Returns
    -------
    ndarray
        Gradient of the peepholes, (3, filter) float64.
    """
    filters = c.shape[1]
    total = np.zeros((3, filters))
    part = np.zeros((3, filters), np.float32)
    for k in range(c.shape[0]):
        kept, olds, states, dhs, dcs, outs = gates[k], before[k], c[k], dh[k], dc[k], out[k]
        for j in range(filters):
            i, f = _load(kept[j]), _load(kept[filters + j])
            o, g = _load(kept[2 * filters + j]), _load(kept[3 * filters + j])
            squashed, error = _tanh(states[j]), _load(dhs[j])
            do = error * squashed * o * (ONE - o)
            ds = dcs[j] + error * o * (ONE - squashed * squashed) + do * peephole[2, j]
            di, df = ds * g * i * (ONE - i), ds * olds[j] * f * (ONE - f)
            dg = ds * i * ((ONE - g * g) if tanh else g * (ONE - g))
            dcs[j] = ds * f + di * peephole[0, j] + df * peephole[1, j]
            part[0, j] += di * olds[j]
            part[1, j] += df * olds[j]
            part[2, j] += do * states[j]
            outs[j] = _round(di, outs[j])
            outs[filters + j] = _round(df, outs[j])
            outs[2 * filters + j] = _round(do, outs[j])
            outs[3 * filters + j] = _round(dg, outs[j])
        if k % 256 == 255:
            total += part
            part[:] = F(0.0)
    return total + part
