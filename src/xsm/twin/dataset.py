"""Datasets of the twin under canonical names."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.data.cf import canonical_attrs
from xsm.twin.soil import COVERS


def time_coord(days: np.ndarray) -> xr.Variable:
    """CF time coordinate of UTC days."""
    return xr.Variable("time", days.astype("datetime64[ns]"), {"standard_name": "time", "axis": "T"})


def canonical(ds: xr.Dataset) -> xr.Dataset:
    """Give every canonical variable its CF attributes."""
    for name in ds.data_vars:
        ds[name].attrs = {**canonical_attrs(str(name)), **ds[name].attrs}
    if "land_cover" in ds:
        ds["land_cover"].attrs |= {
            "flag_values": np.array(sorted(COVERS), "u1"),
            "flag_meanings": " ".join(IGBP),
        }
    return ds


IGBP = (
    "evergreen_needleleaf_forests", "evergreen_broadleaf_forests", "deciduous_needleleaf_forests",
    "deciduous_broadleaf_forests", "mixed_forests", "closed_shrublands", "open_shrublands", "woody_savannas",
    "savannas", "grasslands", "permanent_wetlands", "croplands", "urban_and_built_up_lands",
    "cropland_natural_vegetation_mosaics", "permanent_snow_and_ice", "barren", "water_bodies",
)  # fmt: skip
