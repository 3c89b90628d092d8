"""Hours of a region from the Climate Data Store, through its own client (documentation: Formats, ERA5)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from xsm import FetchError, MissingPlugin, UsageError
from xsm.plugin_api import Area, Manifest, Remote, SourceInfo, closed_period, unknown

from xsm_era5 import LAYERS, TEMPERATURE, moisture

DATASETS = {"era5_land": "reanalysis-era5-land", "era5": "reanalysis-era5-single-levels"}
FORCING = {
    "precipitation": "total_precipitation", "air_temperature": "2m_temperature",
    "evaporation": "total_evaporation", "shortwave_radiation": "surface_solar_radiation_downwards",
}  # fmt: skip
HOURS = [f"{hour:02d}:00" for hour in range(24)]
HINT = "Put your key into ~/.cdsapirc, as the store's page 'CDSAPI setup' says, and accept the licence of the product."


def fetch(
    info: SourceInfo, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool,
    variables: tuple[str, ...] | None,
) -> Manifest:  # fmt: skip
    """Request an archive of each month, and the time 00 UTC after the last day, which amounts need.

    Parameters
    ----------
    info : SourceInfo
        ERA5-Land or ERA5.
    dest : Path
        Folder; archives that are there already are not requested again.
    region : Area
        What is cut out.
    time : slice
        First and last UTC day.
    dry_run : bool
        Only list the archives.
    variables : tuple of str, optional
        Names of the source.

    Raises
    ------
    FetchError
        Where the store refuses a request.
    """
    if region is None:
        raise UsageError("This download needs a region.", hint="Give <region=>.")
    requests = requests_of(info, region, closed_period(time), variables)
    url = f"{info.url}?tab=download"
    remotes = tuple(Remote(url, name) for name in requests)
    if not dry_run:
        dest.mkdir(parents=True, exist_ok=True)
        for name, request in requests.items():
            if not (dest / name).exists():
                _retrieve(DATASETS[info.name], request, dest / name)
    there = {name: {"url": url, "bytes": (dest / name).stat().st_size} for name in requests if (dest / name).exists()}
    return Manifest(dest, remotes, there)


def requests_of(
    info: SourceInfo, region: Area, period: tuple[np.datetime64, np.datetime64], variables: tuple[str, ...] | None
) -> dict[str, dict[str, Any]]:
    """Requests to the store by the name of their archive."""
    names = variables or (*moisture(info.name)[:2], TEMPERATURE[0], "precipitation", "air_temperature")
    west, south, east, north = region.bbox
    area = [min(round(north + 0.5, 2), 90.0), max(round(west - 0.5, 2), -180.0), max(round(south - 0.5, 2), -90.0),
            min(round(east + 0.5, 2), 180.0)]  # fmt: skip
    common = {"variable": [_long(name, info) for name in names], "area": area, "data_format": "netcdf",
              "download_format": "zip"}  # fmt: skip
    if info.name == "era5":
        common |= {"product_type": ["reanalysis"], "variable": [*common["variable"], "land_sea_mask"]}
    place = "_".join(f"{v:g}" for v in area)
    first, last = period
    requests = {}
    days = np.arange(first, last + 1)
    for month in np.unique(days.astype("M8[M]")):
        inside = days[days.astype("M8[M]") == month]
        requests[f"{info.name}_{inside[0]}_{inside[-1]}_{place}.zip"] = common | _when(inside, HOURS)
    if amounts := {"precipitation", "evaporation", "shortwave_radiation"}.intersection(names):
        end = {**common, "variable": sorted(_long(name, info) for name in amounts)}
        requests[f"{info.name}_{last + 1}T00_{place}.zip"] = end | _when(np.array([last + 1]), HOURS[:1])
    return requests


def _when(days: np.ndarray, hours: list[str]) -> dict[str, Any]:
    year, month, _ = str(days[0]).split("-")
    return {"year": year, "month": month, "day": [str(day)[-2:] for day in days], "time": hours}


def _long(name: str, info: SourceInfo) -> str:
    """Name of a variable in the forms of the store."""
    long = {n: f"volumetric_soil_water_layer_{i}" for i, n in enumerate(moisture(info.name), 1)}
    long |= {f"soil_temperature_{layer}": f"soil_temperature_level_{i}" for i, layer in enumerate(LAYERS, 1)}
    long |= FORCING | ({"evaporation": "evaporation"} if info.name == "era5" else {})
    if name not in long:
        raise unknown(f"variable of source '{info.name}'", name, long)
    return long[name]


def _retrieve(dataset: str, request: dict[str, Any], path: Path) -> None:
    try:
        import cdsapi
    except ImportError:
        raise MissingPlugin(
            "Downloads from the Climate Data Store need the package cdsapi.", hint="pip install cdsapi"
        ) from None
    part = path.with_name(f"{path.name}.part")
    try:
        cdsapi.Client(quiet=True, progress=False).retrieve(dataset, request, str(part))
    except Exception as error:  # the client raises plain exceptions
        reason = " ".join(str(error).split())[:300]
        raise FetchError(f"The Climate Data Store refuses '{path.name}' ({reason}).", hint=HINT) from None
    os.replace(part, path)
