"""Synthetic worlds as GLDAS_NOAH025_3H files of version 2.1 (documentation: Formats, GLDAS, Synthetic files)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from xsm_gldas import LAYERS

EPOCH = np.datetime64("2000-01-01T03:00", "m")
FILL = np.float32(-9999)
SPACING, SOUTH, STEP = 0.25, -60.0, 3
FLUXES = ("Rainf_tavg", "Snowf_tavg", "Rainf_f_tavg")


def write(world: Any, dest: Path) -> list[Path]:
    """Write eight files of a region for each day, and the one of 00 UTC after the last day, which ends its fluxes.

    The land model's 10-40 cm stand for the layers below, too; cells are the nearest ones.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``days``, ``attrs`` and ``nldas_hours(day)`` are used.
    dest : Path
        Folder; created if it does not exist.

    Returns
    -------
    list of Path
        ``GLDAS_NOAH025_3H.A{YYYYMMDD}.{HH}00.021.nc4``, by time.
    """
    dest.mkdir(parents=True, exist_ok=True)
    first = world.nldas_hours(world.days[0])
    lat, lon = _axis(first["lat"].values, SOUTH), _axis(first["lon"].values, -180.0)
    before = {n: np.full((len(lat), len(lon)), np.nan) for n in FLUXES}
    paths = []
    for day in world.days:
        hours = world.nldas_hours(day).sel(lat=lat, lon=lon, method="nearest")
        states, fluxes = _states(hours), _fluxes(hours)
        for step in range(24 // STEP):
            maps = {n: v[STEP * step] for n, v in states.items()} | before
            paths.append(_write(dest, day.astype("M8[h]") + STEP * step, lat, lon, maps, world))
            before = {n: v[step] for n, v in fluxes.items()}
    last = {n: v[-1] for n, v in states.items()} | before
    return [*paths, _write(dest, (world.days[-1] + 1).astype("M8[h]"), lat, lon, last, world)]


def _axis(centres: np.ndarray, edge: float) -> np.ndarray:
    """Centres of the product's cells within those of the land model."""
    low, high = ((float(v) - edge) / SPACING - 0.5 for v in (centres.min(), centres.max()))
    return edge + (np.arange(np.ceil(low), np.floor(high) + 1) + 0.5) * SPACING


def _states(hours: xr.Dataset) -> dict[str, np.ndarray]:
    maps = {"Tair_f_inst": hours["Tair"]}
    for layer in LAYERS:
        top, bottom = map(int, layer.split("_"))
        known = layer if layer in LAYERS[:2] else LAYERS[1]
        above, below = map(int, known.split("_"))
        maps[f"SoilMoi{layer}cm_inst"] = hours[f"SoilM_{known}cm"] * ((bottom - top) / (below - above))
        maps[f"SoilTMP{layer}cm_inst"] = hours[f"SoilT_{known}cm"]
    return {n: v.values for n, v in maps.items()}


def _fluxes(hours: xr.Dataset) -> dict[str, np.ndarray]:
    """Means of three hours in kg m-2 s-1."""
    rain, snow = (hours[n].values.reshape(-1, STEP, *hours[n].shape[1:]).mean(1) / 3600 for n in ("Rainf", "Snowf"))
    return {"Rainf_tavg": rain, "Snowf_tavg": snow, "Rainf_f_tavg": rain + snow}


def _write(
    dest: Path, stamp: np.datetime64, lat: np.ndarray, lon: np.ndarray, maps: dict[str, np.ndarray], world: Any
) -> Path:
    text = str(stamp).replace("-", "")
    path = dest / f"GLDAS_NOAH025_3H.A{text[:8]}.{text[9:11]}00.021.nc4"
    partial = path.with_suffix(".part")
    with netCDF4.Dataset(partial, "w", format="NETCDF4") as file:
        file.setncatts({"title": "GLDAS2.1 LIS land surface model output", "source": "Noah_v3.6", "missing_value": FILL,
                        "synthetic": str(world.attrs["synthetic"])})  # fmt: skip
        minutes = (stamp.astype("M8[m]") - EPOCH).astype("f8")
        for name, values, units in (("time", [minutes], " minutes since 2000-01-01 03:00:00"),
                                    ("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):  # fmt: skip
            file.createDimension(name, len(values))
            axis = file.createVariable(name, "f8" if name == "time" else "f4", (name,))
            axis.units = units
            axis[:] = values
        file.createDimension("bnds", 2)
        file["time"].bounds = "time_bnds"
        file.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = [[minutes - 60 * STEP, minutes]]
        for name, values in maps.items():
            variable = file.createVariable(name, "f4", ("time", "lat", "lon"), fill_value=FILL, zlib=True, complevel=1)
            unit = "kg m-2" if name.startswith("SoilMoi") else "kg m-2 s-1" if name in FLUXES else "K"
            variable.setncatts({"units": unit, "missing_value": FILL, "scale_factor": np.float32(1),
                                "add_offset": np.float32(0),
                                "cell_methods": "time: mean" if name in FLUXES else "time: point"})  # fmt: skip
            variable[:] = np.where(np.isnan(values), FILL, values)[None]
    os.replace(partial, path)
    return path
