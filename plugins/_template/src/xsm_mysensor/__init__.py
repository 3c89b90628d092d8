"""The data source 'mysensor' for xsm; registration only, the reader loads on first use."""

from xsm.plugin_api import SourceInfo, hookimpl

XSM_PLUGIN_API = 2
INFO = SourceInfo(
    name="mysensor",
    title="Daily soil moisture of mysensor, netCDF on a latitude/longitude grid",
    factory="xsm_mysensor.source:Source",
    variables=("soil_moisture",),
    roles={"soil_moisture": "retrieval"},
)


@hookimpl
def xsm_sources(register):
    """Register the source."""
    register(INFO)
