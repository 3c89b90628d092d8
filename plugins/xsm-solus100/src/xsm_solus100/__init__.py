"""SOLUS100 soil property maps (sand, silt, clay, bulk density; 100 m) for xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2

VARIABLES = ("sand", "silt", "clay", "bulk_density")
SOIL_DEPTH = Param(
    "Depths in cm: 0, 5, 15, 30, 60, 100, 150.", name="soil_depth", kind=Kind.STRINGS, default=(5, 30), unit="cm"
)

INFO = SourceInfo(
    name="solus100",
    title="SOLUS100 soil maps, 100 m GeoTIFF ({property}_{depth}_cm_p.tif)",
    factory="xsm_solus100.source:Solus100Source",
    options=(SOIL_DEPTH,),
    fetch_options=(Param("What to fetch.", name="variables", kind=Kind.STRINGS, default=VARIABLES), SOIL_DEPTH),
    variables=VARIABLES,
    roles=dict.fromkeys(VARIABLES, "soil"),
    requires=("rasterio", "rioxarray"),
    url="https://storage.googleapis.com/solus100pub/index.html",
    doi="10.15482/USDA.ADC/25033856",
    licence="USDA-NRCS public data; cite the DOI",
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the source "solus100"."""
    register(INFO)
