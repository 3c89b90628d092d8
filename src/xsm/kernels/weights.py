"""One-dimensional resampling weights: Keys cubic, triangle and box, widened where cells get coarser.

A kernel is a function of the distance in source cells, divided by ``scale = max(1, target cell / source cell)``, so
that a coarser target is free of aliasing and a finer one is interpolated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xsm.data.geometry import Axis

RADIUS = {"bicubic": 2.0, "bilinear": 1.0}


def keys(t: np.ndarray) -> np.ndarray:
    """Keys cubic convolution kernel, a = -1/2 (Keys 1981, equation 15)."""
    t = np.abs(t)
    near = (1.5 * t - 2.5) * t * t + 1.0
    far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def triangle(t: np.ndarray) -> np.ndarray:
    """Linear interpolation kernel."""
    return np.maximum(1.0 - np.abs(t), 0.0)


KERNEL = {"bicubic": keys, "bilinear": triangle}


@dataclass(frozen=True)
class Taps:
    """Weights of one axis: target ``i`` takes source cells ``start[i] + k`` with ``weight[i, k]``.

    Weights of all cells of the full kernel sum to 1; those beyond the source are left out, so that a smaller sum shows
    missing support. On a closed axis ``start`` runs outside ``0:size`` instead. ``nearest`` holds where ``inside``.
    """

    start: np.ndarray
    weight: np.ndarray
    nearest: np.ndarray
    inside: np.ndarray

    def window(self, part: slice) -> tuple[int, int]:
        """Source cells ``first:stop`` that the targets of ``part`` take."""
        start = self.start[part]
        return int(start.min()), int(start.max()) + self.weight.shape[1]

    def local(self, part: slice, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Start, weight and nearest cell (-1: none) of the targets of ``part`` in a window that begins at ``first``."""
        nearest = np.where(self.inside[part], self.nearest[part] - first, -1)
        return self.start[part] - first, np.ascontiguousarray(self.weight[part]), nearest


def interpolation(method: str, axis: Axis, centre: np.ndarray, width: np.ndarray) -> Taps:
    """Weights of ``"bicubic"`` or ``"bilinear"``: centres of the target cells in source cell indices, widths in source
    cells.
    """
    kernel, scale = KERNEL[method], np.maximum(np.abs(width), 1.0)
    reach = RADIUS[method] * scale
    first = np.ceil(centre - reach).astype("i8")
    count = int(np.ceil(2 * reach.max()))
    full = kernel((first[:, None] + np.arange(count) - centre[:, None]) / scale[:, None]).sum(1)
    start, taps = _clip(first, count, axis)
    weight = kernel((start[:, None] + np.arange(taps) - centre[:, None]) / scale[:, None]) / full[:, None]
    return Taps(start, weight, *_nearest(axis, centre))


def overlap(
    axis: Axis, centre: np.ndarray, low: np.ndarray, high: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]
) -> Taps:
    """Share of each target cell ``low..high`` (source cell indices) that each source cell covers.

    ``measure`` turns source cell indices into target metres, so that shares are shares of area on the equal-area grid.
    """
    first = np.floor(low + 0.5).astype("i8")
    count = int((np.ceil(high - 0.5).astype("i8") - first).max()) + 1
    start, taps = _clip(first, count, axis)
    cell = start[:, None] + np.arange(taps)
    left, right = np.maximum(cell - 0.5, low[:, None]), np.minimum(cell + 0.5, high[:, None])
    covered = np.where(right > left, np.abs(measure(right) - measure(left)), 0.0)
    weight = covered / np.abs(measure(high) - measure(low))[:, None]
    return Taps(start, weight, *_nearest(axis, centre))


def nearest(axis: Axis, centre: np.ndarray) -> Taps:
    """The source cell that holds each target centre, as a table with one weight."""
    cell, inside = _nearest(axis, centre)
    start, _ = _clip(cell, 1, axis)
    return Taps(start, np.ones((len(centre), 1)), cell, inside)


def _nearest(axis: Axis, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cell = np.floor(centre + 0.5).astype("i8")
    return cell, np.ones(len(cell), bool) if axis.period else (cell >= 0) & (cell < axis.size)


def _clip(first: np.ndarray, count: int, axis: Axis) -> tuple[np.ndarray, int]:
    if axis.period:
        return first, count
    taps = min(count, axis.size)
    return np.clip(first, 0, axis.size - taps), taps
