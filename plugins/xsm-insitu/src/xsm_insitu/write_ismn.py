"""Write a synthetic world's stations as ISMN files, header+values or CEOP, one for each sensor.

Documentation: Formats, Stations, ISMN.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from xsm_insitu.layout import SYNTHETIC_NETWORK

SENSOR, NETWORK = "Twin", SYNTHETIC_NETWORK
_LETTERS = "CDGMU"


def write_stm(
    stations: xr.Dataset, dest: Path, *, form: Literal["header_values", "ceop"] = "header_values"
) -> list[Path]:
    """Write one file for each sensor; missing values have no row, as in the product.

    Parameters
    ----------
    stations : xarray.Dataset
        Dims ``(sensor, time)`` with ``soil_moisture`` and the coordinates that the documentation lists (Decisions,
        "Stations"); ISMN codes in ``flag``.
    dest : Path
        Folder; files go below ``dest/XSMTWIN/<station>``.
    form : {"header_values", "ceop"}
        Layout.

    Returns
    -------
    list of Path
        ``XSMTWIN_XSMTWIN_<station>_sm_<depth>_<depth>_Twin_<first>_<last>.stm``.
    """
    when = stations["time"].values.astype("M8[m]")
    texts = np.char.replace(np.char.replace(np.datetime_as_string(when, unit="m"), "-", "/"), "T", " ")
    first, last = (str(when[i].astype("M8[D]")).replace("-", "") for i in (0, -1))
    words = np.array(str(stations["flag"].attrs.get("flag_meanings", "")).split()) if "flag" in stations else None
    written = []
    for i in range(stations.sizes["sensor"]):
        one = stations.isel(sensor=i)
        name = str(one["station"].values).replace(" ", "-")
        depth, lat, lon = float(one["depth"]) / 100, float(one["lat"]), float(one["lon"])
        values = one["soil_moisture"].values
        flags = np.full(len(when), "G") if words is None else words[one["flag"].values]
        flags = np.where(np.isin(flags.astype("U1"), list(_LETTERS)), flags, "G")
        rows = np.flatnonzero(~np.isnan(values))
        place = f"{NETWORK:<10} {NETWORK:<10} {name:<20} {lat:10.5f} {lon:10.5f} 0.00 {depth:6.2f} {depth:6.2f}"
        if form == "ceop":
            lines = [f"{texts[k]} {texts[k]} {place} {values[k]:8.4f} {flags[k]} M" for k in rows]
        else:
            lines = [f"{place} {SENSOR}", *(f"{texts[k]} {values[k]:8.4f} {flags[k]} M" for k in rows)]
        stem = f"{NETWORK}_{NETWORK}_{name}_sm_{depth:.6f}_{depth:.6f}_{SENSOR}_{first}_{last}"
        path = dest / NETWORK / name / f"{stem}.stm"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text("\n".join([*lines, ""]), encoding="ascii", newline="\n")
        os.replace(part, path)
        written.append(path)
    return written
