"""Soil moisture from brightness temperatures: the forward model of the twin inverted, for any data."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from xsm.data.cf import NO_FLAG, canonical_attrs
from xsm.errors import UsageError, unknown
from xsm.twin import radiometry
from xsm.twin.errors_model import ERRORS

LOWEST = 0.02
"""m3 m-3, as in the product."""
LARGEST_MISFIT = 5.0
"""K; brightness temperatures farther from the best fit are not those of moist soil under vegetation."""
STEPS = 60
LAST_STEP = 1e-5
"""m3 m-3; a search whose last step is larger has not converged."""
FLATTEST, DAMPING = 0.1, 1e-3
"""K per m3 m-3, K2: the search goes on in whole steps where the soil hardly shows through the canopy."""
SKIPPED, FAILED = np.uint16(0b111), np.uint16(0b101)
MEANINGS = "not_recommended skipped not_successful"


def retrieve(
    tb_h: Any,
    tb_v: Any,
    *,
    clay: Any,
    roughness: Any,
    vegetation_opacity: Any,
    albedo: Any,
    surface_temperature: Any,
    porosity: Any = 0.6,
    algorithm: Literal["dca", "scav"] = "dca",
    weight: float = ERRORS.smap.opacity_weight,
) -> xr.Dataset:
    """Retrieve soil moisture with the single (V) or the dual channel algorithm of SMAP.

    The forward model is `xsm.twin.brightness` at 40 degrees. SCA-V solves ``V(moisture) = tb_v`` with the given
    opacity; DCA minimizes ``(tb_h - H)**2 + (tb_v - V)**2 + weight**2 (tau - given)**2`` over moisture and ``tau``, the
    opacity at nadir.

    Parameters
    ----------
    tb_h, tb_v : DataArray or array_like
        Brightness temperatures corrected for water bodies, K; any dims, numpy or dask, NaN where not observed. SCA-V
        only checks that there is a ``tb_h``.
    clay : DataArray or array_like
        Percent.
    roughness, vegetation_opacity, albedo : DataArray or array_like
        The roughness coefficient, the climatological opacity and the single scattering albedo, 1. Opacity is that along
        the line of sight at 40 degrees, as in the products: 1.305 times that at nadir.
    surface_temperature : DataArray or array_like
        Effective temperature of soil and canopy, K.
    porosity : DataArray or array_like
        Upper bound, m3 m-3; the lower one is 0.02.
    algorithm : {"dca", "scav"}
    weight : float
        K per unit of opacity at nadir; 0 leaves DCA's opacity to the observations alone.

    Returns
    -------
    xarray.Dataset
        ``sm_dca`` or ``sm_scav`` (float32), for DCA the retrieved ``vegetation_opacity``, and ``retrieval_flag``
        (uint16): 0 retrieved; 5 where no soil moisture within the bounds explains the brightness temperatures (SCA-V:
        exactly; DCA: to 5 K) or the canopy hides the soil; 7 where an ancillary value is missing;
        65534 where nothing was observed. Soil moisture is NaN unless 0.

    Raises
    ------
    UsageError
        For another algorithm, or arrays without dims beside DataArrays.

    References
    ----------
    O'Neill et al. (2021), SMAP ATBD of the L2/L3 passive products, JPL D-66480; Chaubell et al. (2020),
    doi:10.1109/TGRS.2019.2959949.

    Examples
    --------
    >>> land = dict(clay=20.0, roughness=0.3, vegetation_opacity=0.25, albedo=0.06, surface_temperature=290.0)
    >>> tb_h, tb_v = brightness(np.array([0.1, 0.3]), 20.0, 0.3, 0.25, 0.06, 290.0)
    >>> retrieve(tb_h, tb_v, **land)["sm_dca"].values.round(4)
    array([0.1, 0.3], dtype=float32)
    >>> retrieve([120.0], [130.0], algorithm="scav", **land)["retrieval_flag"].item()
    5
    """
    if algorithm not in ("dca", "scav"):
        raise unknown("algorithm", algorithm, ("dca", "scav"))
    inputs = (tb_h, tb_v, clay, roughness, vegetation_opacity, albedo, surface_temperature, porosity)
    named = any(isinstance(v, xr.DataArray) for v in inputs)
    if named and any(np.ndim(v) and not isinstance(v, xr.DataArray) for v in inputs):
        raise UsageError(
            "Some inputs are DataArrays and some are arrays without names of dims.", hint="Give maps as DataArrays."
        )
    moisture, opacity, flag = xr.apply_ufunc(
        _retrieve,
        *(v if isinstance(v, xr.DataArray) else xr.DataArray(v) for v in inputs),
        kwargs={"algorithm": algorithm, "weight": weight},
        output_core_dims=[[], [], []],
        dask="parallelized",
        output_dtypes=["f4", "f4", "u2"],
    )
    name = f"sm_{algorithm}"
    out = xr.Dataset({name: moisture.assign_attrs(canonical_attrs(name))})
    if algorithm == "dca":
        out["vegetation_opacity"] = opacity.assign_attrs(canonical_attrs("vegetation_opacity"))
    masks = {"flag_masks": np.array([1, 2, 4], "u2"), "flag_meanings": MEANINGS}
    out["retrieval_flag"] = flag.assign_attrs(canonical_attrs("retrieval_flag") | masks)
    return out


def brightness(
    moisture: Any, clay: Any, roughness: Any, opacity: Any, albedo: Any, temperature: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Brightness temperatures H and V at 1.41 GHz and 40 degrees by tau-omega, in float64.

    Parameters
    ----------
    moisture : array_like
        Liquid soil moisture, m3 m-3; all arrays broadcast against each other.
    clay : array_like
        Percent (Mironov et al. 2009).
    roughness, opacity, albedo : array_like
        1; opacity along the line of sight, as in the products (1.305 times that at nadir).
    temperature : array_like
        Of soil and canopy, K.

    Returns
    -------
    tuple of numpy.ndarray
        K.

    Examples
    --------
    >>> [round(float(tb), 1) for tb in brightness(0.2, 20.0, 0.3, 0.25, 0.06, 290.0)]
    [232.9, 257.6]
    """
    at_nadir = np.asarray(opacity, "f8") / radiometry.SLANT
    return radiometry.brightness(
        *(np.asarray(v, "f8") for v in (moisture, clay, roughness, at_nadir, albedo, temperature))
    )


def _retrieve(*inputs: np.ndarray, algorithm: str, weight: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = np.broadcast_shapes(*(np.shape(v) for v in inputs))
    arrays = [np.broadcast_to(np.asarray(v, "f8"), shape).ravel() for v in inputs]
    observed = np.isfinite(arrays[0]) & np.isfinite(arrays[1])
    known = observed & np.all([np.isfinite(v) for v in arrays[2:]], axis=0)
    tb_h, tb_v, clay, rough, tau, albedo, temperature, most = (v[known] for v in arrays)
    soil, tau, rest = radiometry.spectrum(clay), tau / radiometry.SLANT, (albedo, temperature)
    if algorithm == "scav":
        liquid, step = radiometry.retrieve_single(
            tb_v, "v", soil, rough, tau, *rest, iterations=STEPS, flattest=FLATTEST
        )
        tb_h, limit = radiometry.brightness(liquid, soil, rough, tau, *rest)[0], 1e-3
    else:
        liquid, tau, step = radiometry.retrieve_dual(
            tb_h, tb_v, soil, rough, tau, *rest, weight=weight, iterations=STEPS, damping=DAMPING
        )
        limit = LARGEST_MISFIT
    h, v = radiometry.brightness(liquid, soil, rough, tau, *rest)
    good = (np.maximum(np.abs(tb_h - h), np.abs(tb_v - v)) <= limit) & (step <= LAST_STEP)
    good &= (liquid >= LOWEST - 1e-6) & (liquid <= most + 1e-6)

    moisture, opacity = np.full((2, observed.size), np.nan, "f4")
    flag = np.where(observed, SKIPPED, NO_FLAG).astype("u2")
    moisture[known], opacity[known] = np.where(good, [liquid, tau * radiometry.SLANT], np.nan)
    flag[known] = np.where(good, 0, FAILED)
    return moisture.reshape(shape), opacity.reshape(shape), flag.reshape(shape)
