"""Synthetic worlds as swaths of H SAF H121 and as the soil water index (documentation: Formats, ASCAT)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

POINTS = 1_650_000
"""Half the number of points of the spiral that stands for the 12.5 km grid."""
GOLDEN = (1 + 5**0.5) / 2
NOISE, COVERED, FREEZING = 6.0, 0.8, 273.15
"""Percent, share of the passes that see the world, K."""
PASSES = {"descending": (9.5, 1), "ascending": (21.5, 0)}
"""Local solar hour and ``as_des_pass``."""
PASS_FLAG = {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "ascending descending"}
PACKED = {"scale_factor": 0.01, "units": "percent"}
FILLS = {"i2": -32768, "i1": -128, "u1": 255}


def write(world: Any, dest: Path) -> list[Path]:
    """Write the passes of one satellite over a world: the share of its pores that is filled, with random errors.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``truth``, ``grid`` and ``days`` are used.
    dest : Path
        Folder; created if it does not exist.

    Returns
    -------
    list of Path
        ``W_IT-HSAF-ROME,SAT,SSM-ASCAT-METOPB-12.5km-H121_C_LIIB_<made>_<start>_<end>____.nc``, by time.
    """
    dest.mkdir(parents=True, exist_ok=True)
    lon, lat, number = spiral(world.bbox)
    row, col = world.grid.rowcol(lon, lat)
    row, col = row - world.grid.row0, col - world.grid.col0
    here = (row >= 0) & (row < world.grid.rows) & (col >= 0) & (col < world.grid.cols)
    lon, lat, number, row, col = (a[here] for a in (lon, lat, number, row, col))
    share = world.truth["sm_5cm"] / world.truth["porosity"].isel(soil_depth=0)
    share = share.transpose("time", "y", "x").values[:, row, col]
    cold = world.truth["soil_temperature_0_10"].transpose("time", "y", "x").values[:, row, col] < FREEZING
    paths: list[Path] = []
    for i, day in enumerate(world.days):
        for hour, flag in PASSES.values():
            rng = np.random.default_rng([world.seed, int(day.astype(int)), flag, 13])
            start = day.astype("M8[s]") + round((hour - float(world.grid.lon.mean()) / 15) % 24 * 3600)
            if rng.random() < COVERED or len(paths) == 0:
                percent = np.clip(100 * share[i] + rng.normal(0, NOISE, len(lon)), 0, 100)
                paths.append(_file(dest, start, flag, (lon, lat, number), percent, cold[i], world))
    return paths


def spiral(bbox: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Longitude, latitude and number of the points of a Fibonacci spiral in a box."""
    west, south, east, north = bbox
    low, high = (round(np.sin(np.radians(v)) * (2 * POINTS + 1) / 2) for v in (south, north))
    i = np.arange(max(low, -POINTS), min(high, POINTS) + 1)
    lat = np.degrees(np.arcsin(2 * i / (2 * POINTS + 1)))
    lon = (i * 360 / GOLDEN + 180) % 360 - 180
    inside = (lon >= west) & (lon <= east)
    return lon[inside], lat[inside], (i + POINTS)[inside]


def _file(
    dest: Path,
    start: np.datetime64,
    flag: int,
    points: tuple[np.ndarray, ...],
    percent: np.ndarray,
    cold: np.ndarray,
    world: Any,
) -> Path:
    lon, lat, number = points
    end = start + np.timedelta64(3599, "s")
    stamps = [
        str(t).replace("-", "").replace(":", "").replace("T", "")
        for t in (np.datetime64("2024-10-15T13:49:56"), start, end)
    ]
    days = (start - np.datetime64("1970-01-01", "s")) / np.timedelta64(1, "D") + np.linspace(0, 0.005, len(lon))
    known = np.isfinite(percent)
    hundredths = np.where(known, np.rint(100 * np.where(known, percent, 0)), FILLS["i2"])
    datasets: dict[str, tuple[np.ndarray, str, dict[str, Any]]] = {
        "location_id": (number, "i4", {}),
        "latitude": (np.rint(lat * 1e6), "i4", {"scale_factor": 1e-6, "units": "degrees_north"}),
        "longitude": (np.rint(lon * 1e6), "i4", {"scale_factor": 1e-6, "units": "degrees_east"}),
        "time": (days, "f8", {"units": "days since 1970-01-01 00:00:00"}),
        "as_des_pass": (np.full(len(lon), flag), "i1", PASS_FLAG),
        "surface_soil_moisture": (hundredths, "i2", PACKED),
        "surface_soil_moisture_noise": (np.where(known, 100 * NOISE, FILLS["i2"]), "i2", PACKED),
        "surface_flag": (np.where(known, 0, 1), "u1", {}),
        "processing_flag": (np.zeros(len(lon)), "u1", {}),
        "wetland_fraction": (np.zeros(len(lon)), "i1", {"units": "percent"}),
        "topographic_complexity": (np.zeros(len(lon)), "i1", {"units": "percent"}),
        "frozen_soil_probability": (np.where(cold, 100, 0), "i1", {"units": "percent"}),
    }  # fmt: skip
    attrs = {
        "title": "H SAF ASCAT surface soil moisture, synthetic",
        "synthetic": f"twin world, seed {world.seed}: not observed",
    }
    ds = xr.Dataset(attrs=attrs)
    for name, (values, dtype, about) in datasets.items():
        fill = {"_FillValue": np.dtype(dtype).type(FILLS[dtype])} if dtype in FILLS else {}
        ds[name] = "obs", values.astype(dtype), {**about, **fill}
    path = dest / f"W_IT-HSAF-ROME,SAT,SSM-ASCAT-METOPB-12.5km-H121_C_LIIB_{'_'.join(stamps)}____.nc"
    encoding = {n: {"zlib": True, "complevel": 1} for n in ds.data_vars}
    ds.to_netcdf(path.with_suffix(".part"), engine="netcdf4", encoding=encoding)
    os.replace(path.with_suffix(".part"), path)
    return path


def write_index(world: Any, dest: Path) -> list[Path]:
    """Write a world as daily files of the soil water index: bytes of half a percent on 0.1 degree around the world.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``truth``, ``grid`` and ``days`` are used.
    dest : Path
        Folder; created if it does not exist.

    Returns
    -------
    list of Path
        ``c_gls_SWI_<yyyymmdd>1200_GLOBE_ASCAT_V3.1.1.nc``, by day.
    """
    dest.mkdir(parents=True, exist_ok=True)
    west, south, east, north = world.bbox
    lon = np.arange(np.ceil(west * 10), np.floor(east * 10)) / 10 + 0.05
    lat = np.arange(np.floor(north * 10), np.ceil(south * 10), -1) / 10 - 0.05
    row, col = world.grid.rowcol(*np.meshgrid(lon, lat))
    row, col = row - world.grid.row0, col - world.grid.col0
    inside = (row >= 0) & (row < world.grid.rows) & (col >= 0) & (col < world.grid.cols)
    share = (world.truth["sm_25cm"] / world.truth["porosity"].isel(soil_depth=1)).transpose("time", "y", "x").values
    paths = []
    for day, values in zip(world.days, share, strict=True):
        cell = values[np.where(inside, row, 0), np.where(inside, col, 0)]
        byte = np.where(inside & np.isfinite(cell), np.rint(200 * np.where(np.isfinite(cell), cell, 0)), 255).clip(
            0, 255
        )
        ds = xr.Dataset(
            {f"SWI_{n:03d}": (("time", "lat", "lon"), byte.astype("u1")[None]) for n in (1, 5, 10, 20)},
            {"time": [day.astype("M8[ns]") + np.timedelta64(12, "h")], "lat": lat, "lon": lon},
            {"synthetic": f"twin world, seed {world.seed}: not observed"},
        )
        path = dest / f"c_gls_SWI_{str(day).replace('-', '')}1200_GLOBE_ASCAT_V3.1.1.nc"
        ds.to_netcdf(path.with_suffix(".part"), engine="netcdf4")
        os.replace(path.with_suffix(".part"), path)
        paths.append(path)
    return paths
