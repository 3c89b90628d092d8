"""List hourly NLDAS-2 files from NASA's catalogue (documentation: Formats, NLDAS and Access)."""

from __future__ import annotations

import numpy as np
from xsm.plugin_api import Remote, search_earthdata

from xsm_nldas.files import HDF5_MAGIC, NAME


def hours(
    time: tuple[np.datetime64, np.datetime64], product: str = "NLDAS_NOAH0125_H", version: str = "2.0"
) -> list[Remote]:
    """List the files of the hours 00 to 23 of each UTC day.

    Parameters
    ----------
    time : tuple of datetime64
        First and last UTC day.
    product : {"NLDAS_NOAH0125_H", "NLDAS_FORA0125_H"}
        Land model or forcing.
    version : str
        As the catalogue writes it.
    """
    remotes = search_earthdata(product, version, time=time, suffix=".nc", magic=(HDF5_MAGIC,))
    first, last = (str(day).replace("-", "") for day in time)
    named = [(match, r) for r in remotes if (match := NAME.match(r.name))]
    return [r for match, r in sorted(named, key=lambda item: item[1].name) if first <= match[2] <= last]
