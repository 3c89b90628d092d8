"""MODIS land cover (MCD12Q1, MCD12C1; IGBP classes) for xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2

INFO = SourceInfo(
    name="modis_landcover",
    title="MODIS land cover, IGBP classes, HDF4 or GeoTIFF (MCD12Q1 LC_Type1, MCD12C1)",
    factory="xsm_modis.source:LandCoverSource",
    options=(
        Param("Year of the map; the latest by default.", name="year", kind=Kind.INTEGER, minimum=2001),
        Param(
            "Numbering of the classes, where file names do not show it: 1 to 17 (MCD12Q1) or 0 to 16 (MCD12C1).",
            name="legend",
            kind=Kind.CHOICE,
            choices=("MCD12Q1", "MCD12C1"),
            advanced=True,
        ),
    ),
    variables=("land_cover",),
    roles={"land_cover": "land_cover"},
    requires=("rasterio", "rioxarray"),
    fetch_options=(Param("Version as the catalogue writes it.", name="version", kind=Kind.STRING, default="061"),),
    url="https://lpdaac.usgs.gov/products/mcd12q1v061/",
    doi="10.5067/MODIS/MCD12Q1.061",
    licence="NASA open data",
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the source "modis_landcover"."""
    register(INFO)
