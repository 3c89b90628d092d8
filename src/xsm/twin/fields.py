"""Random fields as sums of plane waves: functions of position and time that can be evaluated on any grid.

A field is the same wherever and however it is evaluated, so that maps of 100 m, 9 km and 0.125 degree agree with each
other, and neighbouring windows fit together.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Field = Callable[[float], np.ndarray]
SHORTEST = 400.0
"""Shortest wavelength of a rough field in metres: the Nyquist length of at least 100 m pixels."""


def rng(seed: int, *names: str | int) -> np.random.Generator:
    """Make the random generator of one purpose; other purposes do not disturb it."""
    return np.random.default_rng([seed, *(zlib.crc32(str(n).encode()) for n in names)])


@dataclass(frozen=True)
class Waves:
    """A stationary Gaussian field of unit variance.

    Parameters
    ----------
    kx, ky : numpy.ndarray, shape (n,)
        Wave numbers in radians per metre.
    omega : numpy.ndarray, shape (n,)
        Angular frequencies in radians per day.
    phase : numpy.ndarray, shape (n,)
    """

    kx: np.ndarray
    ky: np.ndarray
    omega: np.ndarray
    phase: np.ndarray

    def on(self, x: np.ndarray, y: np.ndarray) -> Field:
        """Return the function of time (days) that gives the field on the grid of 1-D ``x`` and ``y``, float32."""
        down, across = np.outer(y, self.ky) + self.phase, np.outer(self.kx, x)
        right = np.concatenate([np.cos(across), np.sin(across)]).astype("f4")
        scale = np.float32(np.sqrt(2 / len(self.kx)))

        def at(time: float) -> np.ndarray:
            turned = np.remainder(down - self.omega * time, 2 * np.pi).astype("f4")
            return scale * np.concatenate([np.cos(turned), -np.sin(turned)], 1) @ right

        return at

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Evaluate the field of day 0 at scattered points of any shape, float32."""
        points = np.stack([np.ravel(x), np.ravel(y), np.ones(np.size(x))], 1).astype("f4")
        waves = np.stack([self.kx, self.ky, self.phase]).astype("f4")
        parts = [np.cos(points[i : i + 16384] @ waves).sum(1) for i in range(0, len(points), 16384)]
        return np.concatenate(parts).reshape(np.shape(x)) * np.float32(np.sqrt(2 / len(self.kx)))


def smooth(
    seed: int, name: str, length: float, days: float = np.inf, drift: tuple[float, float] = (0.0, 0.0), n: int = 128
) -> Waves:
    """Make a smooth field: correlation ``exp(-(d / length)**2) exp(-t / days)``, carried along by ``drift`` (m/day)."""
    generator = rng(seed, name)
    kx, ky = generator.standard_normal((2, n)) * np.sqrt(2) / length
    omega = generator.standard_cauchy(n) / days + kx * drift[0] + ky * drift[1]
    return Waves(kx, ky, omega, generator.uniform(0, 2 * np.pi, n))


def rough(seed: int, name: str, length: float, n: int = 128) -> Waves:
    """Make a static field with structure at every scale: correlation ``exp(-d / length)`` above `SHORTEST`."""
    generator = rng(seed, name)
    k = generator.standard_normal((2, n)) / np.abs(generator.standard_normal(n)) / length
    k *= np.minimum(1, 2 * np.pi / SHORTEST / np.hypot(*k))
    return Waves(k[0], k[1], np.zeros(n), generator.uniform(0, 2 * np.pi, n))
