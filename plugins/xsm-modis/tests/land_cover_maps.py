"""Small maps of land cover for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from xsm.testing import write_layer

NAME = "MCD12Q1.061_LC_Type1_doy2020001_aid0001.tif"


def classes(shape=(40, 50), low=0, high=18, seed=1) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape).astype("u1")


def make(path: Path, values, *, crs="EPSG:4326", left=-100.0, top=40.0, pixel=1 / 240, nodata=255, count=1) -> Path:
    return write_layer(path, values, crs, (left, top), pixel, nodata=nodata, count=count)
