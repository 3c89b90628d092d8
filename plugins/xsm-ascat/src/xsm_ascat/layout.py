"""Names of ASCAT files and of their datasets, and which observations count."""

from __future__ import annotations

import re

import numpy as np

SWATH_NAME = re.compile(
    r"W_IT-HSAF-ROME,SAT,SSM-ASCAT-METOP(?P<satellite>[ABC])-(?P<sampling>6\.25|12\.5)(?:km)?-(?P<product>H\d+)_C_LIIB_"
    r"(?P<written>\d{14})_(?P<start>\d{14})_(?P<end>\d{14})____\.nc$"
)
SWI_NAME = re.compile(r"c_gls_SWI_(?P<date>\d{8})\d{4}_(?P<area>[A-Z]+)_ASCAT_V(?P<version>[\d.]+)\.nc$")

MOISTURE = ("surface_soil_moisture", "soil_moisture")
NOISE = ("surface_soil_moisture_noise", "soil_moisture_noise")
BITS = {"surface_flag": 1, "processing_flag": 3, "backscatter40_flag": 4}
"""Bits of flags that make an observation unusable: open water; no model or backscatter; noisy backscatter."""
SHARES = {
    "wetland_fraction": 10, "topographic_complexity": 10, "subsurface_scattering_probability": 10,
    "snow_cover_probability": 50, "frozen_soil_probability": 50,
}  # fmt: skip
"""Percent from which an observation is left out."""
DESCENDING = 1
"""Value of ``as_des_pass`` where the file does not tell."""
HIGHEST, STEP = 200, 0.5
"""Of the soil water index: bytes above are flags, and percent of a byte."""


def stamp(text: str) -> np.datetime64:
    """Time of a name, such as 20210601093000."""
    return np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:{text[12:14]}", "s")
