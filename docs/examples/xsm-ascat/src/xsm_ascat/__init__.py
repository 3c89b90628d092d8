"""ASCAT soil water index for xsm: registration only; the reader loads on first use."""

import xsm

from xsm_ascat.index import soil_water_index

XSM_PLUGIN_API = 1
INFO = xsm.plugin_api.SourceInfo(
    name="ascat",
    title="ASCAT soil water index, daily, 0.1 degree (netCDF)",
    factory="xsm_ascat.source:Ascat",
    options=(
        xsm.plugin_api.Param(
            "Time scale of the index.",
            name="scale",
            kind=xsm.plugin_api.Kind.CHOICE,
            choices=(1, 5, 10, 20),
            default=10,
        ),
    ),
    variables=("swi",),
    url="https://land.copernicus.eu",
    licence="full, free and open access",
)


@xsm.plugin_api.hookimpl
def xsm_sources(register):
    """Register the source."""
    register(INFO)


@xsm.plugin_api.hookimpl
def xsm_operations(register):
    """Register the operation."""
    register(soil_water_index.operation)
