"""List MCD12Q1 tiles from NASA's catalogue (documentation: Formats, Land cover and Access)."""

from __future__ import annotations

import numpy as np
from xsm.plugin_api import Area, Remote, search_earthdata

from xsm_modis.layout import YEAR

HDF4_MAGIC = b"\x0e\x03\x13\x01"


def tiles(time: tuple[np.datetime64, np.datetime64], region: Area | None, version: str = "061") -> list[Remote]:
    """List the tiles that touch a region, of every year that the period touches.

    Parameters
    ----------
    time : tuple of datetime64
        First and last day.
    region : Area, optional
        Where; the whole earth by default.
    version : str
        As the catalogue writes it.
    """
    first, last = (str(day)[:4] for day in time)
    whole = np.datetime64(f"{first}-01-01"), np.datetime64(f"{last}-12-31")
    remotes = search_earthdata(
        "MCD12Q1", version, time=whole, suffix=".hdf", magic=(HDF4_MAGIC,), bbox=region.bbox if region else None
    )
    return [r for r in remotes if (match := YEAR.search(r.name)) and first <= match[1] <= last]
