"""L-band emission of land (tau-omega) and its inversion: single and dual channel retrieval of soil moisture.

Flat-surface reflectivity by Fresnel over the dielectric constant of Mironov et al. (2009), roughness by Wang and
Choudhury (1981) with the polarization mixing of the dual channel algorithm, vegetation by the zeroth-order tau-omega
model (Mo et al. 1982).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FREQUENCY = 1.41e9
INCIDENCE = np.radians(40.0)
SLANT = float(1 / np.cos(INCIDENCE))
"""Opacity along the line of sight, the ``vegetation_opacity`` of the products, over that at nadir used here."""
_COS, _SIN2 = np.float32(np.cos(INCIDENCE)), np.float32(np.sin(INCIDENCE) ** 2)


def _refraction(static: np.ndarray, relaxation: np.ndarray, conductivity: np.ndarray) -> np.ndarray:
    """Complex refractive index of soil water (Debye)."""
    turn = 2 * np.pi * FREQUENCY * relaxation
    loss = (static - 4.9) * turn / (1 + turn**2) + conductivity / (2 * np.pi * FREQUENCY * 8.854e-12)
    return np.sqrt(4.9 + (static - 4.9) / (1 + turn**2) + 1j * loss)


class Spectrum(NamedTuple):
    """Refractive index of a soil: dry, gain per bound and per free water (complex64), most bound water (m3 m-3)."""

    dry: np.ndarray
    bound: np.ndarray
    free: np.ndarray
    most: np.ndarray


def spectrum(clay: np.ndarray | float) -> Spectrum:
    """Refractive index parameters at 1.41 GHz of clay in percent (Mironov et al. 2009, equations 14 to 25)."""
    c = np.asarray(clay, "f8")
    dry = 1.634 - 0.539e-2 * c + 0.2748e-4 * c**2 + 1j * (0.03952 - 0.04038e-2 * c)
    bound = _refraction(79.8 - 85.4e-2 * c + 32.7e-4 * c**2, 1.062e-11 + 3.450e-14 * c, 0.3112 + 0.467e-2 * c)
    free = _refraction(np.full_like(c, 100.0), np.asarray(8.5e-12), 0.3631 + 1.217e-2 * c)
    most = (0.02863 + 0.30673e-2 * c).astype("f4")
    return Spectrum(dry.astype("c8"), (bound - 1).astype("c8"), (free - 1).astype("c8"), most)


def mironov(moisture: np.ndarray | float, clay: np.ndarray | float | Spectrum) -> np.ndarray:
    """Complex dielectric constant of moist soil (Mironov et al. 2009, equations 11 to 13).

    Parameters
    ----------
    moisture : array_like
        Liquid soil moisture, m3 m-3.
    clay : array_like or Spectrum
        Percent, or its `spectrum`.

    Returns
    -------
    numpy.ndarray
        complex64 for float32 moisture.

    Examples
    --------
    >>> bool(2 < mironov(0.02, 20.0).real < 4 < 15 < mironov(0.35, 20.0).real < 25)
    True
    """
    soil = clay if isinstance(clay, Spectrum) else spectrum(clay)
    m = np.asarray(moisture)
    index = soil.dry + soil.bound * np.minimum(m, soil.most) + soil.free * np.maximum(m - soil.most, 0)
    return index**2


def fresnel(dielectric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power reflectivity of a flat surface at 40 degrees, H and V."""
    root = np.sqrt(dielectric - _SIN2)
    h = np.abs((_COS - root) / (_COS + root)) ** 2
    v = np.abs((dielectric * _COS - root) / (dielectric * _COS + root)) ** 2
    return h, v


def reflectivity(
    moisture: np.ndarray, clay: np.ndarray | Spectrum, roughness: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Reflectivity of a rough surface, H and V: mixing Q = 0.1771 h, attenuation exp(-h cos(angle)**2)."""
    h, v = fresnel(mironov(moisture, clay))
    mix, fade = 0.1771 * roughness, np.exp(-roughness * _COS**2)
    return ((1 - mix) * h + mix * v) * fade, ((1 - mix) * v + mix * h) * fade


def emission(reflection: np.ndarray, opacity: np.ndarray, albedo: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Brightness temperature of soil under vegetation in K, tau-omega with one temperature; opacity at nadir."""
    passes = np.exp(-opacity / _COS)
    canopy = (1 - albedo) * (1 - passes) * (1 + reflection * passes)
    return temperature * ((1 - reflection) * passes + canopy)


def brightness(
    moisture: np.ndarray,
    clay: np.ndarray | Spectrum,
    roughness: np.ndarray,
    opacity: np.ndarray,
    albedo: np.ndarray,
    temperature: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Brightness temperatures H and V in K of any equal shapes (m3 m-3, percent, 1, 1, 1, K)."""
    h, v = reflectivity(moisture, clay, roughness)
    return emission(h, opacity, albedo, temperature), emission(v, opacity, albedo, temperature)


def retrieve_single(
    tb: np.ndarray,
    polarization: str,
    clay: np.ndarray | Spectrum,
    roughness: np.ndarray,
    opacity: np.ndarray,
    albedo: np.ndarray,
    temperature: np.ndarray,
    iterations: int = 6,
    flattest: float = 5.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Soil moisture by the single channel algorithm: known opacity, one polarization ("h" or "v"), Newton's method.

    ``flattest`` is the smallest slope, K per m3 m-3, that a step divides by. Returns the moisture and the size of
    the last step.
    """
    which = "hv".index(polarization)
    clay = clay if isinstance(clay, Spectrum) else spectrum(clay)
    moisture = np.full(np.shape(tb), 0.2, tb.dtype)
    for _ in range(iterations):
        now = emission(reflectivity(moisture, clay, roughness)[which], opacity, albedo, temperature)
        beyond = emission(reflectivity(moisture + 0.004, clay, roughness)[which], opacity, albedo, temperature)
        slope = np.minimum((beyond - now) / 0.004, -flattest)
        step = np.clip((tb - now) / slope, -0.15, 0.15)
        moisture = np.clip(moisture + step, 0.0, 0.8).astype(tb.dtype)
    return moisture, np.abs(step)


def retrieve_dual(
    tb_h: np.ndarray,
    tb_v: np.ndarray,
    clay: np.ndarray | Spectrum,
    roughness: np.ndarray,
    opacity: np.ndarray,
    albedo: np.ndarray,
    temperature: np.ndarray,
    *,
    weight: float = 20.0,
    iterations: int = 8,
    damping: float = 30.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Soil moisture and opacity by the regularized dual channel algorithm, by Gauss-Newton steps.

    Minimizes ``(tb_h - H)**2 + (tb_v - V)**2 + weight**2 (tau - opacity)**2`` (Chaubell et al. 2020,
    doi:10.1109/TGRS.2019.2959949).

    Parameters
    ----------
    tb_h, tb_v, temperature : numpy.ndarray
        K.
    opacity : numpy.ndarray
        Climatological opacity towards which the solution is drawn.
    weight : float
        K per unit of opacity; 0 leaves both unknowns to the observations.
    damping : float
        Added to the squared slope of moisture, K2; it slows the steps where the soil hardly shows.

    Returns
    -------
    tuple of numpy.ndarray
        Moisture, opacity, and the size of the last step of moisture.
    """
    clay = clay if isinstance(clay, Spectrum) else spectrum(clay)
    moisture, tau = np.full(np.shape(tb_h), 0.2, tb_h.dtype), np.array(opacity, tb_h.dtype, copy=True)
    for _ in range(iterations):
        here = reflectivity(moisture, clay, roughness)
        beyond = reflectivity(moisture + 0.004, clay, roughness)
        passes = np.exp(-tau / _COS)
        a = b = c = g0 = g1 = np.float32(0)
        for tb, r, further in zip((tb_h, tb_v), here, beyond, strict=True):
            miss = tb - emission(r, tau, albedo, temperature)
            to_r = temperature * passes * ((1 - albedo) * (1 - passes) - 1)
            to_pass = temperature * ((1 - r) + (1 - albedo) * (r - 1 - 2 * r * passes))
            j0, j1 = to_r * (further - r) / 0.004, -to_pass * passes / _COS
            a, b, c = a + j0 * j0, b + j0 * j1, c + j1 * j1
            g0, g1 = g0 + j0 * miss, g1 + j1 * miss
        a, c, g1 = a + damping, c + weight**2 + 1e-3, g1 + weight**2 * (opacity - tau)
        det = a * c - b * b
        step = np.clip((c * g0 - b * g1) / det, -0.12, 0.12)
        moisture = np.clip(moisture + step, 0.0, 0.8).astype(tb_h.dtype)
        tau = np.clip(tau + np.clip((a * g1 - b * g0) / det, -0.3, 0.3), 0.0, 4.0).astype(tb_h.dtype)
    return moisture, tau, np.abs(step)
