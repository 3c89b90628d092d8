"""Soil moisture of the radar ASCAT (H SAF swaths, soil water index of Copernicus Land) for xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2

SWATH = ("saturation", "saturation_std", "obs_time")

INFO = SourceInfo(
    name="ascat",
    title="ASCAT soil moisture: swaths of H SAF (W_IT-HSAF-ROME,SAT,SSM-ASCAT-*.nc), soil water index (c_gls_SWI_*.nc)",
    factory="xsm_ascat.source:AscatSource",
    options=(
        Param(
            "Pass: descending near 09:30, ascending near 21:30 local time, or of both the one nearest 12 UTC.",
            name="overpass",
            kind=Kind.CHOICE,
            choices=("both", "descending", "ascending"),
            default="both",
        ),
        Param(
            "Leave out water, frost, snow, wetlands, mountains and what the flags call unusable, or read all.",
            name="quality",
            kind=Kind.CHOICE,
            choices=("recommended", "all"),
            default="recommended",
        ),
        Param(
            "Share of pores in the soil, which makes soil moisture of the degree of saturation.",
            name="porosity",
            kind=Kind.NUMBER,
            default=None,
            minimum=0.1,
            maximum=0.9,
            unit="m3 m-3",
            advanced=True,
        ),
        Param(
            "Time scale of the soil water index.",
            name="scale",
            kind=Kind.CHOICE,
            choices=(1, 5, 10, 15, 20, 40, 60, 100),
            default=10,
            unit="days",
        ),
    ),
    variables=(*SWATH, "soil_moisture", "soil_moisture_std", "swi"),
    families=dict.fromkeys((*SWATH, "soil_moisture", "swi"), "ASCAT backscatter"),
    roles={"soil_moisture": "retrieval"},
    depths={"soil_moisture": "0-5", "saturation": "0-5"},
    requires=("h5py", "netCDF4", "scipy"),
    url="https://hsaf.meteoam.it",
    doi="10.1127/0941-2948/2013/0399",
    licence="free for registered users",
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the source "ascat"."""
    register(INFO)
