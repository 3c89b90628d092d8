"""Masks of a cube: land and frozen ground (documentation: Decisions, "Masks")."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.data import article
from xsm.data.cf import NO_CLASS, NO_FLAG, canonical_attrs
from xsm.data.roles import PREDICTOR, RETRIEVAL, SOIL_TEMPERATURE, SURFACE, holders, with_role

FREEZING = 273.15
FROZEN = "frozen"
"""Part of the meaning of a bit that says that the ground is frozen."""
SKIN = "surface_temperature"
"""Standard name of the temperature that a satellite measures."""
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
    names = holders(ds)
    if "land_cover" in names:
        return ~ds[names["land_cover"]].isin([0, WATER, NO_CLASS])
    signs = (*(names[r] for r in ("sand", SURFACE, RETRIEVAL) if r in names), *_temperatures(ds))
    return next((ds[n].notnull().any([d for d in ds[n].dims if d not in ("y", "x")]) for n in signs), None)


def _temperatures(ds: xr.Dataset) -> list[str]:
    """Temperatures of the upper soil: those of a model, and what a satellite measures beside soil moisture."""
    measured = [
        n for n in with_role(ds, PREDICTOR)
        if ds[n].attrs.get("standard_name", canonical_attrs(n).get("standard_name")) == SKIN
    ]  # fmt: skip
    return [*with_role(ds, SOIL_TEMPERATURE), *measured]


def _frozen(ds: xr.Dataset) -> xr.DataArray | None:
    signs = [ds[n] < FREEZING for n in _temperatures(ds)]
    flags = [(v, bits) for n, v in ds.data_vars.items() if (bits := _frozen_bits(v, str(n)))]
    signs += [(flag != NO_FLAG) & ((flag & flag.dtype.type(bits)) != 0) for flag, bits in flags]
    return None if not signs else xr.concat(signs, "sign", coords="minimal", compat="override").any("sign")


def _frozen_bits(flag: xr.DataArray, name: str) -> int:
    """Bits of a flag that mean frozen ground, by its attributes, else by its name."""
    if flag.dtype.kind not in "iu":
        return 0
    masks, meanings = np.ravel(flag.attrs.get("flag_masks", ())), str(flag.attrs.get("flag_meanings", "")).split()
    if len(masks) != len(meanings) or not meanings:
        return article.FROZEN_BITS.get(name, 0)
    return sum(int(bit) for bit, meaning in zip(masks, meanings, strict=True) if FROZEN in meaning)
