"""Whether longitudes and latitudes are degrees, and not each other."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.errors import DataError

POLE = 1e-3
"""Degrees by which rounding may put the centre of a cell beyond a pole."""


def check_degrees(lon: xr.DataArray, lat: xr.DataArray) -> None:
    """Refuse latitudes beyond the poles, and longitudes beyond two turns; fills of 2-D fields are no latitudes."""
    east, north = (np.asarray(v.values, "f8") for v in (lon, lat))
    beyond = north[np.isfinite(north) & (np.abs(north) > 90 + POLE)]
    if lat.ndim > 1 or lat.dims == lon.dims:
        beyond = beyond[np.abs(beyond) <= 360]
        beyond = beyond if np.unique(beyond).size > 1 else beyond[:0]
    elif (far := east[np.isfinite(east) & (np.abs(east) > 720)]).size and not beyond.size:
        raise DataError(
            f"'{lon.name}' has the longitude {far[0]:g}, expected -180 to 360 degrees.",
            hint="Give degrees, or name the axes x and y and state their CRS.",
        )
    if beyond.size:
        inside = np.isfinite(east) & (np.abs(east) <= 90)
        swapped = np.abs(beyond).max() <= 360 and inside.sum() >= 0.5 * east.size
        raise DataError(
            f"'{lat.name}' has the latitude {beyond[0]:g}, expected -90 to 90 degrees.",
            hint=f"Is it swapped with '{lon.name}'? Rename both."
            if swapped
            else "Give degrees, or x and y with their CRS.",
        )
