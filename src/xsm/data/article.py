"""The article's products and scenarios as data (Rabiei et al., 2024): the only place in the core that names products.

What others call their variables, and which parts these play, their sources declare (`xsm.data.roles`).
"""

from __future__ import annotations

from collections.abc import Mapping

from xsm.data.canonical import MOISTURE, Canonical, Part

SATELLITE, NOAH, CATCHMENT = "SMAP brightness temperatures", "Noah", "Catchment"
PREDICTORS = ("tb_h", "tb_v", "albedo", "roughness", "vegetation_opacity", "vegetation_water_content",
              "surface_temperature")  # fmt: skip
"""What the satellite measures and retrieves beside soil moisture."""
VARIABLES: Mapping[str, Canonical] = {
    "tb_h": Canonical(
        "K", "Brightness temperature, horizontal polarization", "brightness_temperature", low=0, high=340
    ),
    "tb_v": Canonical("K", "Brightness temperature, vertical polarization", "brightness_temperature", low=0, high=340),
    "albedo": Canonical("1", "Single-scattering albedo (DCA)", low=0, high=1),
    "roughness": Canonical("1", "Roughness coefficient (DCA)", low=0, high=5),
    "vegetation_opacity": Canonical("1", "Vegetation opacity along the line of sight (DCA)", low=0, high=5),
    "vegetation_water_content": Canonical("kg m-2", "Vegetation water content", low=0, high=30, when_frozen=True),
    "surface_temperature": Canonical(
        "K", "Effective surface temperature", "surface_temperature", low=200, high=350, when_frozen=True
    ),
    "sm_dca": Canonical("m3 m-3", "Soil moisture, dual channel algorithm", MOISTURE, low=0, high=1),
    "sm_scav": Canonical("m3 m-3", "Soil moisture, single channel algorithm, V", MOISTURE, low=0, high=1),
    "sm_scah": Canonical("m3 m-3", "Soil moisture, single channel algorithm, H", MOISTURE, low=0, high=1),
    "retrieval_flag": Canonical("", "Retrieval quality flag (DCA)", kind="flag"),
    "surface_flag": Canonical("", "Surface condition flag", kind="flag"),
    "sm_noah_0_10": Canonical("m3 m-3", "Soil moisture, Noah, 0-10 cm", MOISTURE, low=0, high=1),
    "sm_noah_10_40": Canonical("m3 m-3", "Soil moisture, Noah, 10-40 cm", MOISTURE, low=0, high=1),
    "soil_temperature_0_10": Canonical(
        "K", "Soil temperature, 0-10 cm", "soil_temperature", low=200, high=350, when_frozen=True
    ),
    "soil_temperature_10_40": Canonical(
        "K", "Soil temperature, 10-40 cm", "soil_temperature", low=200, high=350, when_frozen=True
    ),
    "sm_surface": Canonical("m3 m-3", "Soil moisture, SMAP Level 4, 0-5 cm", MOISTURE, low=0, high=1),
    "sm_rootzone": Canonical("m3 m-3", "Soil moisture, SMAP Level 4, 0-100 cm", MOISTURE, low=0, high=1),
}
PARTS: Mapping[str, Part] = {
    "sm_dca": Part("retrieval", SATELLITE, "0-5", "SMAP DCA"),
    "sm_scav": Part("retrieval", SATELLITE, "0-5", "SMAP SCA-V"),
    "sm_scah": Part("retrieval", SATELLITE, "0-5", "SMAP SCA-H"),
    **{n: Part("predictor", SATELLITE) for n in PREDICTORS[:5]},
    **{n: Part("predictor") for n in PREDICTORS[5:]},
    "obs_time": Part("", SATELLITE),
    "sm_noah_0_10": Part("model_surface", NOAH, "0-10", "Noah 0-10 cm"),
    "sm_noah_10_40": Part("model_root", NOAH, "10-40", "Noah 10-40 cm"),
    "soil_temperature_0_10": Part("soil_temperature", NOAH, "0-10"),
    "soil_temperature_10_40": Part("forcing", NOAH, "10-40"),
    "sm_surface": Part("comparison_surface", f"{SATELLITE}; {CATCHMENT}", "0-5", "SMAP L4 0-5 cm"),
    "sm_rootzone": Part("comparison_root", f"{SATELLITE}; {CATCHMENT}", "0-100", "SMAP L4 0-100 cm"),
}
"""Parts of variables by name, where no attribute says otherwise; the first one of a role holds it."""
ALIASES = {"noah": "noah", "smap": "smap", "catchment": "catchment", "clsm": "catchment"}
"""Starts of words that stand for a family, with or without what is attached to them (``NOAH0125``, ``NoahLSM``)."""
COLLECTIONS = {"nldas", "gldas"}
"""Names of collections, which do not tell which model one of their products rests on."""
TEACHERS = frozenset({SATELLITE, NOAH})
"""What an estimate rests on that does not say so."""
FROZEN_BITS = {"surface_flag": (1 << 7) | (1 << 8)}
"""Bits that mean frozen ground, by the radiometer and by the model, in flags that do not say so."""
OUTAGES: Mapping[str, tuple[tuple[str, str], ...]] = {
    SATELLITE: (("2019-06-19", "2019-07-23"), ("2022-08-06", "2022-09-20"))
}
"""Weeks without a satellite, by family (documentation: SMAP, Outages)."""
REGION = {"conus": (-125.0, 25.0, -67.0, 53.0)}
"""The article's region, the box of NLDAS-2, in degrees."""
SOIL = ("sand", "silt", "clay", "bulk_density")
SCENARIOS = (
    (5, 1, PREDICTORS, (), ("model_surface", "retrieval"), 5, 2),
    (5, 2, PREDICTORS, SOIL, ("model_surface", "retrieval"), 5, 2),
    (25, 1, PREDICTORS, SOIL, ("model_root",), 30, 2),
    (25, 2, (*PREDICTORS, "sm_5cm"), SOIL, ("model_root",), 30, 4),
)
"""Table 2 of the article, as the fields of `xsm.data.scenarios.Scenario`; references by role."""
