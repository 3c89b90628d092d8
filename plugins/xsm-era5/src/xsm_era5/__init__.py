"""ERA5-Land and ERA5 of ECMWF, hourly from the Climate Data Store, for xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import MIN_HOURS, Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2
LAYERS = ("0_7", "7_28", "28_100", "100_289")
"""Tops and bottoms of the layers of soil in cm."""
FORCING = ("precipitation", "air_temperature", "evaporation", "shortwave_radiation")
TEMPERATURE = tuple(f"soil_temperature_{layer}" for layer in LAYERS)


def moisture(source: str) -> tuple[str, ...]:
    """Names of the soil moisture of the four layers.

    Examples
    --------
    >>> moisture("era5")[0]
    'sm_era5_0_7'
    """
    return tuple(f"sm_{source}_{layer}" for layer in LAYERS)


def _info(name: str, title: str, url: str, doi: str) -> SourceInfo:
    return SourceInfo(
        name=name,
        title=title,
        factory=f"xsm_era5.source:{'Era5Land' if name == 'era5_land' else 'Era5'}",
        options=(MIN_HOURS,),
        variables=(*moisture(name), *TEMPERATURE, *FORCING),
        families=dict.fromkeys((*moisture(name), *TEMPERATURE), "HTESSEL"),
        roles={
            **dict.fromkeys(moisture(name), "land model"),
            moisture(name)[0]: "model_surface",
            moisture(name)[1]: "model_root",
            **dict.fromkeys((*TEMPERATURE, *FORCING), "forcing"),
            TEMPERATURE[0]: "soil_temperature",
        },
        depths={
            n: layer.replace("_", "-") for n, layer in zip((*moisture(name), *TEMPERATURE), LAYERS * 2, strict=True)
        },
        requires=("netCDF4",),
        url=url,
        doi=doi,
        licence="CC-BY-4.0",
        fetch_options=(
            Param("Variables, each a name of the source; by default both upper layers of soil, their temperature, "
                  "precipitation and air temperature.", name="variables", kind=Kind.STRINGS, default=None),
        ),
    )  # fmt: skip


LAND = _info(
    "era5_land",
    "ERA5-Land hourly, 0.1 degree, all land (netCDF or zip of the Climate Data Store)",
    "https://cds.climate.copernicus.eu/datasets/reanalysis-era5-land",
    "10.24381/cds.e2161bac",
)
GLOBE = _info(
    "era5",
    "ERA5 hourly on single levels, 0.25 degree (netCDF or zip of the Climate Data Store)",
    "https://cds.climate.copernicus.eu/datasets/reanalysis-era5-single-levels",
    "10.24381/cds.adbb2d47",
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the sources "era5_land" and "era5"."""
    register(LAND)
    register(GLOBE)
