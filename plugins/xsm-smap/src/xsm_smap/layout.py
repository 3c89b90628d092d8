"""What the SMAP files look like to a reader, as data: names, groups, flags, fills (documentation: Formats, SMAP)."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from xsm import EASE2_M09, EASE2_M36, Grid
from xsm.plugin_api import Kind, Param, canonical_attrs

from xsm_smap.polar import EASE2_N09

MAGIC = b"\x89HDF\r\n\x1a\n"
FILL = -9999.0
NO_FLAG = np.uint16(65534)
EPOCH = np.datetime64("2000-01-01T12:00:00", "ms")
"""Zero of ``tb_time_seconds``: noon, UTC without leap seconds (smap.md, Time; the files' epoch attribute is wrong)."""

GRIDS: Mapping[str, Mapping[tuple[int, int], Grid]] = {
    "global": {g.shape_global: g for g in (EASE2_M09, EASE2_M36)},
    "polar": {EASE2_N09.shape_global: EASE2_N09},
}
"""Grids by projection and shape of the datasets."""
L3_GROUPS = {"AM": "Soil_Moisture_Retrieval_Data_AM", "PM": "Soil_Moisture_Retrieval_Data_PM"}
POLAR_GROUPS = {"AM": "Soil_Moisture_Retrieval_Data_Polar_AM", "PM": "Soil_Moisture_Retrieval_Data_Polar_PM"}
GROUPS: Mapping[str, Mapping[str, str]] = {"global": L3_GROUPS, "polar": POLAR_GROUPS}
"""Retrieval groups by projection and pass (smap.md, Groups)."""
L2_GROUP = "Soil_Moisture_Retrieval_Data"
SUFFIX = {"AM": "", "PM": "_pm"}
OBSERVED = "EASE_row_index"
LAND = "grid_surface_status"

L3_NAME = re.compile(
    r"^SMAP_L3_SM_P(?:_E)?_(?P<date>\d{8})_(?P<crid>R\d{5})_(?P<counter>\d{3})(?P<service>_.+)?\.(?:h5|nc|nc4)$"
)
L2_NAME = re.compile(
    r"^SMAP_L2_SM_P(?:_E)?_(?P<orbit>\d{5})_(?P<node>[AD])_(?P<date>\d{8})T\d{6}_(?P<crid>R\d{5})_(?P<counter>\d{3})"
    r"(?P<service>_.+)?\.(?:h5|nc|nc4)$"
)
POINTS_NAME = re.compile(r"_(?P<date>\d{4}-\d{2}-\d{2})\.(?:nc|nc4|h5)$")


@dataclass(frozen=True)
class Field:
    """Where a canonical variable is: dataset, kind, the flag it stands under and the group it is read with."""

    dataset: str
    kind: Literal["float", "tb", "retrieval", "flag", "time"] = "float"
    flag: str = ""
    group: str = "ancillary"


FIELDS: Mapping[str, Field] = {
    "tb_h": Field("tb_h_corrected", "tb", "tb_qual_flag_h", "brightness"),
    "tb_v": Field("tb_v_corrected", "tb", "tb_qual_flag_v", "brightness"),
    "albedo": Field("albedo_dca"),
    "roughness": Field("roughness_coefficient_dca"),
    "vegetation_opacity": Field("vegetation_opacity_dca"),
    "vegetation_water_content": Field("vegetation_water_content"),
    "surface_temperature": Field("surface_temperature"),
    "sm_dca": Field("soil_moisture_dca", "retrieval", "retrieval_qual_flag_dca", "retrieval"),
    "sm_scav": Field("soil_moisture_scav", "retrieval", "retrieval_qual_flag_scav", "retrieval"),
    "sm_scah": Field("soil_moisture_scah", "retrieval", "retrieval_qual_flag_scah", "retrieval"),
    "retrieval_flag": Field("retrieval_qual_flag_dca", "flag", group="flags"),
    "surface_flag": Field("surface_flag", "flag", group="flags"),
    "obs_time": Field("tb_time_seconds", "time", group="time"),
}
BAD_BITS: Mapping[str, int] = {"successful": 0b110, "recommended": 0b001, "attempted": 0b010, "none": 0}
"""Bits of ``retrieval_qual_flag`` that must be 0 (smap.md, Flags)."""

L2_OPTIONS = {"_dca": "_option3", "_scav": "_option2", "_scah": "_option1"}
DTYPES = {"flag": np.dtype("u2"), "time": np.dtype("M8[ns]")}

FLAGS = {
    "retrieval_flag": (
        "retrieval_not_recommended",
        "retrieval_skipped",
        "retrieval_not_successful",
        "freeze_thaw_retrieval_not_successful",
    ),
    "surface_flag": (
        "static_water_body",
        "radar_water_body_detection",
        "coastal_proximity",
        "urban_area",
        "precipitation",
        "snow_or_ice",
        "permanent_snow_or_ice",
        "radiometer_frozen_ground",
        "model_frozen_ground",
        "mountainous_terrain",
        "dense_vegetation",
        "nadir_region",
    ),
}


def dtype(variable: str) -> np.dtype:
    """Type of a canonical variable as it leaves the reader."""
    return DTYPES.get(FIELDS[variable].kind, np.dtype("f4"))


def empty(variable: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array without any observation: NaN, NaT or 65534."""
    fill: dict[str, Any] = {"f": np.nan, "u": NO_FLAG, "M": np.datetime64("NaT")}
    return np.full(shape, fill[dtype(variable).kind], dtype(variable))


def attrs(variable: str) -> dict[str, Any]:
    """CF attributes of a canonical variable, those of the bit flags included."""
    attributes = canonical_attrs(variable)
    if variable in FLAGS:
        meanings = FLAGS[variable]
        attributes["flag_masks"] = (1 << np.arange(len(meanings))).astype("u2")
        attributes["flag_meanings"] = " ".join(meanings)
        attributes["comment"] = "65534: not observed"
    return attributes


def check_variables(names: Any) -> tuple[str, ...]:
    """Return the requested canonical names, all for None; stop at an unknown one with the nearest known."""
    choice = Param(name="SMAP variable", kind=Kind.CHOICE, choices=tuple(FIELDS))
    return tuple(FIELDS) if names is None else tuple(dict.fromkeys(choice.check(str(n)) for n in names))


def needs(variable: str, *, quality: str) -> tuple[str, ...]:
    """Datasets that a canonical variable is computed from."""
    field = FIELDS[variable]
    if field.kind == "flag":
        return field.dataset, OBSERVED
    if quality == "none" or not field.flag:
        return (field.dataset,)
    return (field.dataset, field.flag, LAND) if field.kind == "tb" else (field.dataset, field.flag)


def type_class(dataset: str) -> str:
    """Class of type, "f" or "u", that a dataset of `needs` must have."""
    return "u" if "flag" in dataset or dataset.startswith("EASE_") or dataset == LAND else "f"


def resolve(dataset: str, present: Container[str], *, level: str, suffix: str, crid: str) -> str | None:
    """Name of a dataset in a file, or None if it is absent.

    ``*_dca`` is sought under its own name; the generic name stands for it only from R18 on, where the files make
    it a hard link to DCA (in R16 and R17 it was the single channel algorithm). Level 2 numbers the algorithms.
    """
    name = dataset
    if level == "L2":
        for algorithm, option in L2_OPTIONS.items():
            name = name.removesuffix(algorithm) + option if name.endswith(algorithm) else name
    if name + suffix in present:
        return name + suffix
    generic = dataset.removesuffix("_dca") + suffix
    if dataset.endswith("_dca") and generic in present and crid[:1] == "R" and crid[1:3] >= "18":
        return generic
    return None


GROUP = "Geophysical_Data"


STEPS = 8
