"""Synthetic worlds as hourly NLDAS_NOAH0125_H files in the format of version 2.0.

Documentation: Formats, NLDAS, Hourly netCDF-4 files and Synthetic files.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xsm.twin import NETCDF

from xsm_nldas.decode import FILL

EPOCH = np.datetime64("1979-01-01T00", "h")
LONG_NAMES = {
    "SoilM_0_10cm": "Soil moisture content (0-10cm)",
    "SoilM_10_40cm": "Soil moisture content (10-40cm)",
    "SoilT_0_10cm": "Soil temperature (0-10cm)",
    "SoilT_10_40cm": "Soil temperature (10-40cm)",
    "Rainf": "Rainfall",
    "Snowf": "Snowfall",
    "Tair": "Air temperature",
}


def write(world: Any, dest: Path) -> list[Path]:
    """Write ``NLDAS_NOAH0125_H.A{YYYYMMDD}.{HH}00.020.nc`` files of a region with few variables.

    The netCDF-4 image is composed once, with contiguous variables; of each hour only the values are put in.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``days`` and ``nldas_hours(day)`` are used.
    dest : Path
        Folder; created if it does not exist.

    Returns
    -------
    list of Path
        24 files for every day.
    """
    dest.mkdir(parents=True, exist_ok=True)
    image, places = bytearray(), dict[str, int]()
    paths = []
    for day in world.days:
        hours = world.nldas_hours(day)
        names = [n for n in hours.data_vars if n in LONG_NAMES]
        if not image:
            with NETCDF:
                image, places = compose(
                    hours[names], f"twin world, seed {world.seed}: no measurement and no model output"
                )
        stamps = hours["time"].values.astype("M8[h]")
        values = {n: _filled(hours[n]) for n in names}
        for step, stamp in enumerate(stamps):
            put(image, places["time"], np.array([(stamp - EPOCH).astype("i8")], "<f8"))
            for name in names:
                put(image, places[name], values[name][step])
            text = str(stamp).replace("-", "")
            path = dest / f"NLDAS_NOAH0125_H.A{text[:8]}.{text[9:11]}00.020.nc"
            partial = path.with_suffix(".part")
            partial.write_bytes(image)
            os.replace(partial, path)
            paths.append(path)
    return paths


def compose(hours: xr.Dataset, synthetic: str) -> tuple[bytearray, dict[str, int]]:
    """Make the netCDF-4 image of one hour and find where in it each variable's values lie."""
    import h5py
    import netCDF4

    nc = netCDF4.Dataset("image.nc", "w", format="NETCDF4", memory=2**20)
    nc.title = "NLDAS_NOAH0125_H version 2.0, synthetic"
    nc.Conventions = "CF-1.6"
    nc.synthetic = synthetic
    axes = {
        "time": (np.zeros(1), {"units": "hours since 1979-01-01 00:00:00", "calendar": "standard"}),
        "lat": (hours["lat"].values, {"units": "degrees_north"}),
        "lon": (hours["lon"].values, {"units": "degrees_east"}),
    }
    for (name, (values, attrs)), standard in zip(axes.items(), ("time", "latitude", "longitude"), strict=True):
        nc.createDimension(name, len(values))
        variable = nc.createVariable(name, "f8", (name,), contiguous=True)
        variable.setncatts({"standard_name": standard, "long_name": standard, **attrs})
        variable[:] = values
    for name in map(str, hours.data_vars):
        variable = nc.createVariable(name, "<f4", ("time", "lat", "lon"), fill_value=np.float32(FILL), contiguous=True)
        variable.set_auto_maskandscale(False)
        variable.setncatts(
            {
                "units": hours[name].attrs.get("units", "K" if name.startswith(("SoilT", "Tair")) else "kg m-2"),
                "long_name": LONG_NAMES[name],
                "missing_value": np.float32(FILL),
                "scale_factor": np.float32(1),
                "add_offset": np.float32(0),
            }
        )
        variable[:] = np.float32(FILL)
    image = bytearray(nc.close())
    del image[int.from_bytes(image[28:36], "little") :]  # the end of the file; what follows fills up the memory block
    with h5py.File(io.BytesIO(image), "r") as file:
        return image, {name: file[name].id.get_offset() for name in ("time", *map(str, hours.data_vars))}


def put(image: bytearray, place: int, values: np.ndarray) -> None:
    """Put values into a file image."""
    image[place : place + values.nbytes] = values.tobytes()


def _filled(variable: xr.DataArray) -> np.ndarray:
    values = variable.transpose("time", "lat", "lon").values.astype("<f4")
    return np.where(np.isnan(values), np.float32(FILL), values)
