"""GLDAS-2 Noah land model output (GLDAS_NOAH025_3H and its 1 degree form, versions 2.0 and 2.1) for xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import MIN_HOURS, Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2
LAYERS = ("0_10", "10_40", "40_100", "100_200")
"""Tops and bottoms of Noah's layers of soil in cm."""
FORCING = ("precipitation", "air_temperature", "evaporation", "shortwave_radiation")
MOISTURE, TEMPERATURE = (tuple(f"{name}_{layer}" for layer in LAYERS) for name in ("sm_gldas", "soil_temperature"))

INFO = SourceInfo(
    name="gldas",
    title="GLDAS-2 Noah 3-hourly land model output, 0.25 degree, all land north of 60 S (GLDAS_NOAH025_3H)",
    factory="xsm_gldas.source:GldasSource",
    options=(MIN_HOURS,),
    variables=(*MOISTURE, *TEMPERATURE, *FORCING),
    families=dict.fromkeys((*MOISTURE, *TEMPERATURE), "Noah"),
    roles={
        **dict.fromkeys(MOISTURE, "land model"),
        MOISTURE[0]: "model_surface",
        MOISTURE[1]: "model_root",
        **dict.fromkeys((*TEMPERATURE, *FORCING), "forcing"),
        TEMPERATURE[0]: "soil_temperature",
    },
    depths={n: layer.replace("_", "-") for n, layer in zip((*MOISTURE, *TEMPERATURE), LAYERS * 2, strict=True)},
    requires=("netCDF4",),
    url="https://disc.gsfc.nasa.gov/datasets/GLDAS_NOAH025_3H_2.1/summary",
    doi="10.5067/E7TYRXPJKWOQ",
    licence="NASA open data",
    fetch_options=(
        Param(
            "Collection as the catalogue writes it.",
            name="product",
            kind=Kind.CHOICE,
            choices=("GLDAS_NOAH025_3H", "GLDAS_NOAH025_3H_EP", "GLDAS_NOAH10_3H"),
            default="GLDAS_NOAH025_3H",
        ),
        Param("Version as the catalogue writes it: 2.1, or 2.0 before 2000.", name="version", kind=Kind.STRING,
              default="2.1"),
    ),
)  # fmt: skip


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the source "gldas"."""
    register(INFO)
