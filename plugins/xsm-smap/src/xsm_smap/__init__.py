"""SMAP Level-3 (and Level-2) radiometer soil moisture for xsm: SPL3SMP_E (9 km), SPL3SMP (36 km), SPL2SMP."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, Param, SourceInfo, hookimpl

XSM_PLUGIN_API = 2
OVERPASSES = ("AM", "PM", "both")
PROJECTIONS = ("global", "polar")
QUALITIES = ("successful", "recommended", "attempted", "none")
MEASURED = (
    "tb_h",
    "tb_v",
    "albedo",
    "roughness",
    "vegetation_opacity",
    "vegetation_water_content",
    "surface_temperature",
)
VERSIONS = {"SPL3SMP_E": "006", "SPL3SMP": "009"}
"""Products that are fetched, and their latest version."""

INFO = SourceInfo(
    name="smap",
    title="SMAP radiometer soil moisture, Level 3 (9 and 36 km) and Level 2 half orbits",
    factory="xsm_smap.source:SmapSource",
    options=(
        Param(
            name="overpass",
            label="Overpass",
            kind=Kind.CHOICE,
            choices=OVERPASSES,
            default="AM",
            help="AM (descending, 06:00 local solar time), PM (ascending, 18:00), or both: per cell the pass nearest "
            "12 UTC, never an average.",
        ),
        Param(
            name="quality",
            label="Retrieval quality",
            kind=Kind.CHOICE,
            choices=QUALITIES,
            default="successful",
            help="Which retrievals are kept, each soil moisture under its own flag: successful, of recommended "
            "quality, attempted, or none (no flag is looked at, brightness temperatures included).",
        ),
        Param(
            name="projection",
            label="Projection",
            kind=Kind.CHOICE,
            choices=PROJECTIONS,
            default="global",
            advanced=True,
            help="Groups of the global cylindrical grid, or the two polar groups of SPL3SMP_E (EASE-Grid 2.0 North).",
        ),
    ),
    variables=(
        *MEASURED,
        "sm_dca",
        "sm_scav",
        "sm_scah",
        "retrieval_flag",
        "surface_flag",
        "obs_time",
    ),
    families={
        **dict.fromkeys(("tb_h", "tb_v", "albedo", "roughness", "vegetation_opacity"), "SMAP brightness temperatures"),
        **dict.fromkeys(("sm_dca", "sm_scav", "sm_scah", "obs_time"), "SMAP brightness temperatures"),
    },
    roles={
        **dict.fromkeys(("sm_dca", "sm_scav", "sm_scah"), "retrieval"),
        **dict.fromkeys(MEASURED, "predictor"),
    },
    depths=dict.fromkeys(("sm_dca", "sm_scav", "sm_scah"), "0-5"),
    requires=("h5py", "dask"),
    url="https://nsidc.org/data/spl3smp_e",
    doi="10.5067/4DQ54OUIJ9DL",
    licence="NASA open data, no restrictions",
    fetch_options=(
        Param(
            "SPL3SMP_E (9 km) or SPL3SMP (36 km).",
            name="product",
            kind=Kind.CHOICE,
            choices=tuple(VERSIONS),
            default="SPL3SMP_E",
        ),
        Param(
            f"Version as the catalogue writes it; the latest by default ({', '.join(VERSIONS.values())}).",
            name="version",
            kind=Kind.STRING,
        ),
    ),
)


L4_INFO = SourceInfo(
    name="smap_l4",
    title="SMAP Level 4 surface and root zone soil moisture (SPL4SMGP), daily means, to compare with",
    factory="xsm_smap.l4:SmapL4Source",
    options=(
        Param(
            "3-hourly files that a UTC day needs to count; a day with fewer is missing.",
            name="min_steps",
            kind=Kind.INTEGER,
            default=7,
            minimum=1,
            maximum=8,
            advanced=True,
        ),
    ),
    variables=("sm_surface", "sm_rootzone"),
    families=dict.fromkeys(("sm_surface", "sm_rootzone"), "SMAP brightness temperatures; Catchment"),
    roles={"sm_surface": "comparison_surface", "sm_rootzone": "comparison_root"},
    depths={"sm_surface": "0-5", "sm_rootzone": "0-100"},
    requires=("h5py", "dask"),
    url="https://nsidc.org/data/spl4smgp",
    doi="10.5067/EVKPQZ4AFC4D",
    licence="NASA open data, no restrictions",
)


@hookimpl
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register the sources ``smap`` and ``smap_l4``."""
    register(INFO)
    register(L4_INFO)
