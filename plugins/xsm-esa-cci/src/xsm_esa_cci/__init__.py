"""Soil moisture of ESA CCI and C3S (0.25 degree, daily) for xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2

ROOT_ZONE = ("rzsm_0_10", "rzsm_10_40", "rzsm_40_100", "rzsm_0_100")
VARIABLES = (
    "soil_moisture",
    *ROOT_ZONE,
    "soil_moisture_std",
    "saturation",
    "saturation_std",
    "obs_time",
    "flag",
    "gap_filled",
)

INFO = SourceInfo(
    name="esa_cci_sm",
    title="ESA CCI and C3S soil moisture, daily, 0.25 degree (ESACCI-SOILMOISTURE-*.nc, C3S-*-DAILY-*.nc)",
    factory="xsm_esa_cci.source:EsaCciSource",
    options=(
        Param(
            "Leave out values that a flag calls unreliable, or read all.",
            name="quality",
            kind=Kind.CHOICE,
            choices=("recommended", "all"),
            default="recommended",
        ),
        Param(
            "Share of pores in the soil, which makes soil moisture of the degree of saturation (ACTIVE).",
            name="porosity",
            kind=Kind.NUMBER,
            default=None,
            minimum=0.1,
            maximum=0.9,
            unit="m3 m-3",
            advanced=True,
        ),
    ),
    variables=VARIABLES,
    roles={"soil_moisture": "retrieval", "rzsm_0_10": "comparison_surface", "rzsm_10_40": "comparison_root"},
    depths={"soil_moisture": "0-5", **{n: n.removeprefix("rzsm_").replace("_", "-") for n in ROOT_ZONE}},
    requires=("h5py", "netCDF4"),
    url="https://climate.esa.int/projects/soil-moisture/",
    doi="10.1016/j.rse.2017.07.001",
    licence="free and open; cite the references",
    fetch_options=(
        Param(
            "Which product.",
            name="product",
            kind=Kind.CHOICE,
            choices=("COMBINED", "PASSIVE", "ACTIVE"),
            default="COMBINED",
        ),
        Param("Version as CEDA writes it.", name="version", kind=Kind.STRING, default="v09.2"),
    ),
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the source "esa_cci_sm"."""
    register(INFO)
