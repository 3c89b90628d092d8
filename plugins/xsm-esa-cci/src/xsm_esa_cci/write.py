"""Synthetic worlds as daily files of ESA CCI soil moisture, COMBINED (documentation: Formats, ESA CCI)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

SHAPE, STEP = (720, 1440), 0.25
LAT, LON = 89.875 - STEP * np.arange(SHAPE[0]), -179.875 + STEP * np.arange(SHAPE[1])
FILL, FREEZING = -9999.0, 273.15
ERROR, COVERED = 0.04, 0.7
"""Standard deviation of the retrieval in m3 m-3, and the share of cells that are observed on a day."""
UNITS = {
    "SSMV": ("m3 m-3", 1.0, "Volumetric Soil Moisture"),
    "SSMS": ("percent", 100.0, "Percent of Saturation Soil Moisture"),
}


def write(world: Any, dest: Path, *, product: str = "COMBINED") -> list[Path]:
    """Write a global file for every day of a world: its surface soil moisture with random errors and gaps.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``truth`` and ``days`` are used.
    dest : Path
        Folder; created if it does not exist.
    product : {"COMBINED", "PASSIVE", "ACTIVE"}
        ACTIVE is the share of the pores that is filled, in percent.

    Returns
    -------
    list of Path
        ``ESACCI-SOILMOISTURE-L3S-SSM[V|S]-<product>-<yyyymmdd>000000-fv09.1.nc``, by day.
    """
    dest.mkdir(parents=True, exist_ok=True)
    truth, kind = world.truth, "SSMS" if product == "ACTIVE" else "SSMV"
    row = np.floor((90 - world.grid.lat) / STEP).astype(int)[:, None]
    col = np.floor((world.grid.lon + 180) / STEP).astype(int)[None, :]
    cell = row * SHAPE[1] + col
    moist = truth["sm_5cm"].transpose("time", "y", "x").values
    if kind == "SSMS":
        moist = moist / truth["porosity"].isel(soil_depth=0).values
    cold = truth["soil_temperature_0_10"].transpose("time", "y", "x").values < FREEZING
    paths = []
    for i, day in enumerate(world.days):
        land = np.isfinite(moist[i])
        count = np.bincount(cell[land], minlength=SHAPE[0] * SHAPE[1]).reshape(SHAPE)
        with np.errstate(invalid="ignore"):
            mean = np.bincount(cell[land], moist[i][land], SHAPE[0] * SHAPE[1]).reshape(SHAPE) / count
            frozen = np.bincount(cell[land], cold[i][land], SHAPE[0] * SHAPE[1]).reshape(SHAPE) / count > 0.5
        name = f"ESACCI-SOILMOISTURE-L3S-{kind}-{product}-{str(day).replace('-', '')}000000-fv09.1.nc"
        paths.append(_file(dest / name, mean, frozen, count > 0, day, kind, world))
    return paths


def _file(
    path: Path, mean: np.ndarray, frozen: np.ndarray, land: np.ndarray, day: np.datetime64, kind: str, world: Any
) -> Path:
    rng = np.random.default_rng([world.seed, int(day.astype(int)), len(kind), 2021])
    unit, scale, long_name = UNITS[kind]
    hours = rng.uniform(5, 8, SHAPE)
    value = np.clip(mean + rng.normal(0, ERROR, SHAPE), 0, 1)
    observed = land & ~frozen & (rng.random(SHAPE) < COVERED)
    flag = np.where(land, frozen, 127).astype("i1")
    start = float(day.astype("M8[D]").astype(int))

    def filled(values: Any, dtype: str = "f4") -> np.ndarray:
        return np.where(observed, values, FILL).astype(dtype)[None]

    dims = ("time", "lat", "lon")
    since = "days since 1970-01-01 00:00:00 UTC"
    ds = xr.Dataset(
        {
            "sm": (dims, filled(value * scale), {"long_name": long_name, "units": unit}),
            "sm_uncertainty": (dims, filled(ERROR * scale), {"long_name": f"{long_name} Uncertainty", "units": unit}),
            "flag": (dims, flag[None], {"long_name": "Flag"}),
            "t0": (dims, filled(start + hours / 24, "f8"), {"long_name": "Observation Timestamp", "units": since}),
        },
        {
            "time": ("time", [start], {"standard_name": "time", "units": since, "calendar": "standard"}),
            "lat": ("lat", LAT.astype("f4"), {"standard_name": "latitude", "units": "degrees_north"}),
            "lon": ("lon", LON.astype("f4"), {"standard_name": "longitude", "units": "degrees_east"}),
        },
        {
            "title": "ESA CCI Surface Soil Moisture, synthetic",
            "synthetic": f"twin world, seed {world.seed}: not observed",
        },
    )
    packed: dict[str, Any] = {"zlib": True, "complevel": 1, "chunksizes": (1, *SHAPE)}
    encoding = {n: packed | {"_FillValue": 127 if n == "flag" else FILL} for n in ds.data_vars}
    encoding |= {n: {"_FillValue": None} for n in ds.coords}
    ds.to_netcdf(path.with_suffix(".part"), engine="netcdf4", encoding=encoding)
    os.replace(path.with_suffix(".part"), path)
    return path
