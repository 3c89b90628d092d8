"""Hourly files as the product has them, written by netCDF4 without xsm."""

from __future__ import annotations

import functools
from pathlib import Path

import netCDF4
import numpy as np
from xsm.testing import open_files
from xsm_nldas.source import NldasSource

LAT = 35.0625 + 0.125 * np.arange(12)
LON = -100.9375 + 0.125 * np.arange(16)
UNITS = {"SoilM_0_10cm": "kg m-2", "SoilM_10_40cm": "kg m-2", "SoilT_0_10cm": "K", "Rainf": "kg m-2", "Snowf": "kg m-2"}
SOURCE = NldasSource()
open_ = functools.partial(open_files, SOURCE)


def values(name: str, hour: int) -> np.ndarray:
    """Random field of an hour (since 1970) with a lake of fill values."""
    rng = np.random.default_rng([hour, sum(map(ord, name))])
    low, high = {"K": (260, 300)}.get(UNITS.get(name, "K"), (0, 99))
    field = rng.uniform(low, high, (LAT.size, LON.size)).astype("f4")
    field[:2, :3] = -9999
    return field


def make(path: Path, hours, names=tuple(UNITS), lat=LAT, lon=LON, units=UNITS, scale=None) -> Path:
    """A file by netCDF4, compressed and chunked, with scale, offset and both fill attributes."""
    with netCDF4.Dataset(path, "w") as nc:
        for name, axis in (("time", hours), ("lat", lat), ("lon", lon)):
            nc.createDimension(name, len(axis))
        time = nc.createVariable("time", "f8", ("time",))
        time.units = "hours since 1979-01-01 00:00:00"
        time[:] = np.asarray(hours) - 78888  # hours from 1970 to 1979
        for name, axis in (("lat", lat), ("lon", lon)):
            nc.createVariable(name, "f8", (name,))[:] = axis
        for name in names:
            v = nc.createVariable(name, "f4", ("time", "lat", "lon"), fill_value=-9999.0, zlib=True, complevel=1)
            v.set_auto_maskandscale(False)
            v.setncatts({"units": units.get(name, "K"), "missing_value": np.float32(-9999), "long_name": name})
            v.setncatts({"scale_factor": np.float32(1) if scale is None else scale, "add_offset": np.float32(0)})
            rate = units.get(name) == "kg m-2 s-1"
            fields = np.stack([values(name, h)[: len(lat), : len(lon)] for h in hours])
            v[:] = np.where(fields == -9999, -9999, fields / 3600) if rate else fields
    return path


def hourly(folder: Path, first: str, count: int, product="NOAH", **kwargs) -> list[Path]:
    start = int(np.datetime64(first, "h").astype(int))
    return [make(folder / name(h, product), [h], **kwargs) for h in range(start, start + count)]


def name(hour: int, product: str = "NOAH") -> str:
    text = str(np.datetime64(hour, "h")).replace("-", "")
    return f"NLDAS_{product}0125_H.A{text[:8]}.{text[9:]}00.020.nc"


def read(path: Path, variable: str) -> np.ndarray:
    with netCDF4.Dataset(path) as nc:
        return np.ma.filled(nc[variable][0].astype("f8"), np.nan)
