"""ASCAT soil water index for xsm: registration only; the reader loads on first use."""

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

from xsm_cgls_swi.index import soil_water_index

XSM_PLUGIN_API = 2
INFO = SourceInfo(
    name="cgls_swi",
    title="ASCAT soil water index, daily, 0.1 degree (netCDF)",
    factory="xsm_cgls_swi.source:SoilWaterIndex",
    options=(
        Param("Time scale of the index, days.", name="scale", kind=Kind.CHOICE, choices=(1, 5, 10, 20), default=10),
    ),
    variables=("swi",),
    url="https://land.copernicus.eu",
    licence="full, free and open access",
)


@hookimpl
def xsm_sources(register):
    """Register the source."""
    register(INFO)


@hookimpl
def xsm_operations(register):
    """Register the operation."""
    register(soil_water_index.operation)
