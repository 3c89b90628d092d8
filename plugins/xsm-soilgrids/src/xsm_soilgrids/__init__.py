"""SoilGrids 2.0 soil property maps (sand, silt, clay, bulk density; 250 m, global) for xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2

VARIABLES = ("sand", "silt", "clay", "bulk_density")
STATISTICS = ("mean", "Q0.5")
SOIL_DEPTH = Param(
    "Depths in cm, 1 to 200; each is that of the layer it lies in: 5 is 0-5 cm, 25 and 30 are 15-30 cm.",
    name="soil_depth",
    kind=Kind.STRINGS,
    default=(5, 25),
    unit="cm",
)
STATISTIC = Param(
    "Mean or median of the predictions.", name="statistic", kind=Kind.CHOICE, choices=STATISTICS, default="mean"
)

INFO = SourceInfo(
    name="soilgrids",
    title="SoilGrids 2.0 soil maps, 250 m, GeoTIFF and VRT ({property}_{layer}cm_{statistic}.vrt)",
    factory="xsm_soilgrids.source:SoilGridsSource",
    options=(SOIL_DEPTH, STATISTIC),
    fetch_options=(
        Param("What to fetch.", name="variables", kind=Kind.STRINGS, default=VARIABLES),
        SOIL_DEPTH,
        STATISTIC,
    ),
    variables=VARIABLES,
    roles=dict.fromkeys(VARIABLES, "soil"),
    requires=("rasterio", "rioxarray"),
    url="https://soilgrids.org",
    doi="10.5194/soil-7-217-2021",
    licence="CC BY 4.0",
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the source "soilgrids"."""
    register(INFO)
