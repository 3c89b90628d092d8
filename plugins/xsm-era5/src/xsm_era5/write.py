"""Synthetic worlds as archives of the Climate Data Store (documentation: Formats, ERA5, Synthetic files)."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

EPOCH = np.datetime64("1970-01-01", "s")
SPACING = {"era5_land": 0.1, "era5": 0.25}
INSTANT, ACCUM = "data_stream-oper_stepType-instant.nc", "data_stream-oper_stepType-accum.nc"
UNITS = {"swvl": "m**3 m**-3", "stl": "K", "t2m": "K", "lsm": "(0 - 1)", "tp": "m"}


def write(world: Any, dest: Path, source: str) -> list[Path]:
    """Write an archive for each month, and one of 00 UTC after the last day, which ends its amounts.

    The land model's 0-10 cm stand for the first layer, its 10-40 cm for the others; cells are the nearest ones.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``days``, ``attrs`` and ``nldas_hours(day)`` are used.
    dest : Path
        Folder; created if it does not exist.
    source : {"era5_land", "era5"}
        Product.

    Returns
    -------
    list of Path
        ``<source>_<first day>_<last day>.zip``.
    """
    dest.mkdir(parents=True, exist_ok=True)
    lat, lon = _axes(world.nldas_hours(world.days[0]), SPACING[source])
    paths, before = [], np.full((lat.size, lon.size), np.nan)
    for month in np.unique(world.days.astype("M8[M]")):
        days = world.days[world.days.astype("M8[M]") == month]
        stamps = np.concatenate([day.astype("M8[h]") + np.arange(24) for day in days])
        files = {
            INSTANT: _create(dest / f".{INSTANT}", stamps, lat, lon, _instants(source), world),
            ACCUM: _create(dest / f".{ACCUM}", stamps, lat, lon, ("tp",), world),
        }
        for i, day in enumerate(days):
            part = slice(24 * i, 24 * i + 24)
            hours = world.nldas_hours(day).sel(lat=lat, lon=lon, method="nearest")
            for name, values in _states(hours, source).items():
                files[INSTANT][name][part] = values
            rain = ((hours["Rainf"] + hours["Snowf"]) / 1000).values.astype("f8")
            amounts = rain.cumsum(0) if source == "era5_land" else rain
            files[ACCUM]["tp"][part] = np.concatenate([before[None], amounts[:-1]])
            before = amounts[-1]
        paths.append(_archive(dest / f"{source}_{days[0]}_{days[-1]}.zip", files, dest))
    end = world.days[-1:] + 1
    file = _create(dest / f".{ACCUM}", end.astype("M8[h]"), lat, lon, ("tp",), world)
    file["tp"][:] = before[None]
    return [*paths, _archive(dest / f"{source}_{end[0]}T00.zip", {ACCUM: file}, dest)]


def _axes(hours: xr.Dataset, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes, north first, and longitudes of the product within the land model's."""
    lat, lon = (
        np.arange(np.ceil(float(hours[n].min()) / spacing), np.floor(float(hours[n].max()) / spacing) + 1) * spacing
        for n in ("lat", "lon")
    )
    return lat[::-1].round(6), lon.round(6)


def _instants(source: str) -> tuple[str, ...]:
    layers = tuple(f"{name}{i}" for name in ("swvl", "stl") for i in (1, 2, 3, 4))
    return (*layers, "t2m", *(("lsm",) if source == "era5" else ()))


def _states(hours: xr.Dataset, source: str) -> dict[str, np.ndarray]:
    upper, lower = hours["SoilM_0_10cm"] / 100, hours["SoilM_10_40cm"] / 300
    states = {"swvl1": upper, **{f"swvl{i}": lower for i in (2, 3, 4)}, "stl1": hours["SoilT_0_10cm"],
              **{f"stl{i}": hours["SoilT_10_40cm"] for i in (2, 3, 4)}, "t2m": hours["Tair"]}  # fmt: skip
    values = {name: v.values.astype("f4") for name, v in states.items()}
    if source == "era5":  # which has numbers over the sea
        land = np.isfinite(values["swvl1"])
        values = {n: np.where(land, v, 0 if n.startswith("swvl") else 285) for n, v in values.items()}
        values["lsm"] = land.astype("f4")
    return values


def _create(
    path: Path, stamps: np.ndarray, lat: np.ndarray, lon: np.ndarray, names: Iterable[str], world: Any
) -> netCDF4.Dataset:
    """A file in the layout of the new store: ``valid_time``, ``expver`` of each time, north first, deflated floats."""
    file = netCDF4.Dataset(path, "w", format="NETCDF4")
    file.setncatts({"GRIB_centre": "ecmf", "Conventions": "CF-1.7", "synthetic": str(world.attrs["synthetic"]),
                    "institution": "European Centre for Medium-Range Weather Forecasts"})  # fmt: skip
    axes = {
        "valid_time": ("i8", (stamps.astype("M8[s]") - EPOCH).astype("i8"), "time", "seconds since 1970-01-01"),
        "latitude": ("f8", lat, "latitude", "degrees_north"),
        "longitude": ("f8", lon, "longitude", "degrees_east"),
    }
    for name, (kind, values, standard, units) in axes.items():
        file.createDimension(name, len(values))
        axis = file.createVariable(name, kind, (name,))
        axis.setncatts({"units": units, "standard_name": standard, "long_name": standard})
        axis[:] = values
    file["valid_time"].calendar = "proleptic_gregorian"
    file.createVariable("number", "i8", ()).standard_name = "realization"
    file.createVariable("expver", str, ("valid_time",))[:] = np.full(len(stamps), "0001", object)
    for name in names:
        variable = file.createVariable(
            name, "f4", tuple(axes), fill_value=np.float32(np.nan), zlib=True, complevel=1,
            chunksizes=(min(24, len(stamps)), len(lat), len(lon)),
        )  # fmt: skip
        variable.setncatts({"units": UNITS[name.rstrip("1234")], "GRIB_shortName": name,
                            "coordinates": "number valid_time latitude longitude expver"})  # fmt: skip
    return file


def _archive(path: Path, files: dict[str, netCDF4.Dataset], folder: Path) -> Path:
    partial = path.with_suffix(".part")
    with zipfile.ZipFile(partial, "w") as archive:
        for name, file in files.items():
            file.close()
            archive.write(folder / f".{name}", name)
            (folder / f".{name}").unlink()
    os.replace(partial, path)
    return path
