"""Coordinates and attributes that all datasets of the twin share."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.data.cf import IGBP, canonical_attrs
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
