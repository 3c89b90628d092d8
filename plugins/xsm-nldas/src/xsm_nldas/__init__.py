"""NLDAS-2 Noah land model output (NLDAS_NOAH0125_H and NLDAS_FORA0125_H, version 2.0) for xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2

INFO = SourceInfo(
    name="nldas",
    title="NLDAS-2 Noah hourly land model output, 0.125 degree, netCDF-4 version 2.0 or GRIB1 (NLDAS_NOAH0125_H)",
    factory="xsm_nldas.source:NldasSource",
    options=(
        Param(
            "Hours that a UTC day needs to count; a day with fewer is missing.",
            name="min_hours",
            kind=Kind.INTEGER,
            default=20,
            minimum=1,
            maximum=24,
            unit="h",
            advanced=True,
        ),
    ),
    variables=(
        "sm_noah_0_10",
        "sm_noah_10_40",
        "soil_temperature_0_10",
        "soil_temperature_10_40",
        "precipitation",
        "air_temperature",
    ),
    families=dict.fromkeys(
        ("sm_noah_0_10", "sm_noah_10_40", "soil_temperature_0_10", "soil_temperature_10_40"), "Noah"
    ),
    roles={
        "sm_noah_0_10": "model_surface",
        "sm_noah_10_40": "model_root",
        "soil_temperature_0_10": "soil_temperature",
        "soil_temperature_10_40": "forcing",
        "precipitation": "forcing",
        "air_temperature": "forcing",
    },
    depths={
        "sm_noah_0_10": "0-10",
        "sm_noah_10_40": "10-40",
        "soil_temperature_0_10": "0-10",
        "soil_temperature_10_40": "10-40",
    },
    requires=("h5py", "netCDF4", "rasterio"),
    url="https://disc.gsfc.nasa.gov/datasets/NLDAS_NOAH0125_H_2.0/summary",
    doi="10.5067/T4OW83T8EXDO",
    licence="NASA open data",
    fetch_options=(
        Param(
            "Noah land model, or the forcing for what its files lack.",
            name="product",
            kind=Kind.CHOICE,
            choices=("NLDAS_NOAH0125_H", "NLDAS_FORA0125_H"),
            default="NLDAS_NOAH0125_H",
        ),
        Param("Version as the catalogue writes it.", name="version", kind=Kind.STRING, default="2.0"),
    ),
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the source "nldas"."""
    register(INFO)
