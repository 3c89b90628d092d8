"""Soil moisture stations for xsm: the sources ``uscrn``, ``scan`` and ``ismn``."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2

USCRN = SourceInfo(
    name="uscrn",
    title="USCRN stations (hourly02, daily01 and subhourly01 text files, daily CSV)",
    factory="xsm_insitu.uscrn:UscrnSource",
    variables=("soil_moisture", "soil_temperature"),
    stations=True,
    requires=("pandas",),
    fetch_options=(
        Param(
            "Hourly, daily or 5-minute files; only hourly ones have five depths and UTC days.",
            name="product",
            kind=Kind.CHOICE,
            choices=("hourly02", "daily01", "subhourly01"),
            default="hourly02",
        ),
    ),
    url="https://www.ncei.noaa.gov/pub/data/uscrn/products/",
    doi="10.1175/BAMS-D-12-00170.1",
    licence="public domain",
)
SCAN = SourceInfo(
    name="scan",
    title="SCAN stations (JSON of the AWDB service, CSV of the Report Generator)",
    factory="xsm_insitu.scan:ScanSource",
    options=(
        Param(
            "Quality codes to keep: V valid, E edited, N no profile, S suspect; B, K, X estimates.",
            name="keep",
            kind=Kind.STRINGS,
            default=("V", "E", "N"),
        ),
    ),
    variables=("soil_moisture", "soil_temperature"),
    stations=True,
    requires=("pandas",),
    url="https://www.nrcs.usda.gov/resources/data-and-reports/soil-climate-analysis-network",
    licence="public domain",
)
ISMN = SourceInfo(
    name="ismn",
    title="ISMN stations (*.stm files or their zip archives, header+values or CEOP)",
    factory="xsm_insitu.ismn:IsmnSource",
    options=(
        Param(
            "First letters of the quality flags to keep: G good, U unknown, C out of range, D dubious, M missing.",
            name="keep",
            kind=Kind.STRINGS,
            default=("G", "U"),
        ),
    ),
    variables=("soil_moisture", "soil_temperature"),
    stations=True,
    requires=("pandas",),
    url="https://ismn.earth",
    doi="10.5194/hess-25-5749-2021",
    licence="terms of each network",
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the station sources."""
    register(USCRN)
    register(SCAN)
    register(ISMN)
