"""Which variable of a cube plays which part in a fusion: retrieval, land model at two depths, weather, soil."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from xsm.data.masks import with_masks
from xsm.errors import DataError

RETRIEVAL, SURFACE, ROOT = "retrieval", "model_surface", "model_root"
HOLDERS: Mapping[str, str] = {
    RETRIEVAL: "sm_dca",
    SURFACE: "sm_noah_0_10",
    ROOT: "sm_noah_10_40",
    "precipitation": "precipitation",
    "air_temperature": "air_temperature",
    "sand": "sand",
    "clay": "clay",
    "land_cover": "land_cover",
}
"""The variable that holds each role."""
FILLED = ("fill_method", "fill_training", "ancillary_variables")
"""Attributes of a filled variable that are not true of its observed values."""
SOIL_DEPTH = 5
"""Depth in cm of the soil maps."""


def as_variables(ds: xr.Dataset) -> xr.Dataset:
    """The cube with holders of roles as variables: land cover may come as a coordinate."""
    return ds.reset_coords([name for name in HOLDERS.values() if name in ds.coords])


def in_roles(ds: xr.Dataset, *, needed: tuple[str, ...] = (RETRIEVAL, SURFACE)) -> xr.Dataset:
    """The variables of a cube under the names of their roles, as far as the cube has them.

    The retrieval is as observed on thawed ground: filled values are left out.

    Parameters
    ----------
    ds : xarray.Dataset
        Cube, dims ``(time, y, x)``.
    needed : tuple of str
        Roles that must be held.

    Returns
    -------
    xarray.Dataset
        Without ``land`` and ``frozen``, which `xsm.data.masks.with_masks` gives; lazy where the cube is.

    Examples
    --------
    >>> import xsm
    >>> sorted(in_roles(xsm.example("cube", size=16, days=20)).data_vars)[:3]
    ['air_temperature', 'clay', 'land_cover']
    """
    missing = [f"{HOLDERS[role]} ({role.replace('_', ' ')})" for role in needed if HOLDERS[role] not in ds]
    if missing:
        raise DataError(
            f"Fusion needs {', '.join(missing)}, which the cube lacks.",
            hint="Merge satellite and land model with <cube()>.",
        )
    out = {role: ds[name] for role, name in HOLDERS.items() if name in ds}
    for role, variable in out.items():
        if "soil_depth" in variable.dims:
            at = int(np.abs(ds["soil_depth"].values - SOIL_DEPTH).argmin())
            out[role] = variable.isel(soil_depth=at)
    if RETRIEVAL in out:
        out[RETRIEVAL] = _observed(ds, HOLDERS[RETRIEVAL])
    return xr.Dataset(out).drop_vars("soil_depth", errors="ignore").assign_attrs(ds.attrs)


def _observed(ds: xr.Dataset, name: str) -> xr.DataArray:
    retrieval, mark = ds[name].where(abs(ds[name]) < np.inf), f"{name}_observed"
    if "denoised" in retrieval.attrs:
        raise DataError(
            f"'{name}' was denoised and no longer contains its observations.", hint="Fill with <denoise=False>."
        )
    if "fill_method" in retrieval.attrs and mark not in ds:
        raise DataError(
            f"'{name}' is filled, but '{mark}', which says where it was observed, is missing.",
            hint="Add it to the cube, or give the retrieval with its gaps.",
        )
    if mark in ds:
        retrieval = retrieval.where(ds[mark] == 1)
    retrieval = retrieval.drop_attrs().assign_attrs({k: v for k, v in retrieval.attrs.items() if k not in FILLED})
    masks = with_masks(ds)
    return retrieval.where(~masks["frozen"].astype(bool)) if "frozen" in masks else retrieval
