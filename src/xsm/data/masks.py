"""Masks of a cube: land and frozen ground (documentation: Decisions, "Masks")."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.data.cf import NO_CLASS, NO_FLAG, canonical_attrs

FREEZING = 273.15
FROZEN_BITS = (1 << 7) | (1 << 8)
"""Of ``surface_flag``: frozen ground by the radiometer and by the model."""
WATER = 17


def with_masks(ds: xr.Dataset) -> xr.Dataset:
    """Add ``land`` and ``frozen`` where they are missing and can be derived; lazy."""
    if "land" not in ds and (land := _land(ds)) is not None:
        names = {"flag_values": [0, 1], "flag_meanings": "water land"}
        ds = ds.assign(land=land.drop_attrs(deep=False).assign_attrs(canonical_attrs("land") | names))
    if "frozen" not in ds and (frozen := _frozen(ds)) is not None:
        names = {"flag_values": [0, 1], "flag_meanings": "thawed frozen"}
        ds = ds.assign(frozen=frozen.drop_attrs(deep=False).assign_attrs(canonical_attrs("frozen") | names))
    return ds


def _land(ds: xr.Dataset) -> xr.DataArray | None:
    if "land_cover" in ds:
        return ~ds["land_cover"].isin([0, WATER, NO_CLASS])
    for name in ("sand", "sm_noah_0_10", "sm_dca", "surface_temperature"):
        if name in ds:
            return ds[name].notnull().any([d for d in ds[name].dims if d not in ("y", "x")])
    return None


def _frozen(ds: xr.Dataset) -> xr.DataArray | None:
    signs = [ds[n] < FREEZING for n in ("soil_temperature_0_10", "surface_temperature") if n in ds]
    if "surface_flag" in ds:
        flag = ds["surface_flag"]
        signs.append((flag != NO_FLAG) & ((flag & np.uint16(FROZEN_BITS)) != 0))
    return None if not signs else xr.concat(signs, "sign", coords="minimal", compat="override").any("sign")
