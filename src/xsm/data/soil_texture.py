"""USDA soil texture classes of sand, silt and clay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.errors import DataError

CLASSES = (
    "sand", "loamy sand", "sandy loam", "loam", "silt loam", "silt",
    "sandy clay loam", "clay loam", "silty clay loam", "sandy clay", "silty clay", "clay",
)  # fmt: skip
"""Names of the classes 1 to 12."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "coarse": ("sand", "loamy sand", "sandy loam"),
    "medium": ("loam", "silt loam", "silt", "sandy clay loam", "clay loam", "silty clay loam"),
    "fine": ("sandy clay", "silty clay", "clay"),
}
"""The three groups of Rabiei et al. (2024, section 3.2)."""


def classify(sand: np.ndarray, silt: np.ndarray, clay: np.ndarray) -> np.ndarray:
    """Classes of arrays of fractions in any one unit; exact on the borders of the triangle.

    The fractions are rounded to 0.0001 percent and compared as integers; sand is the rest, so that exactly one rule
    holds everywhere.
    """
    s, i, c = (np.asarray(v, "f8") for v in np.broadcast_arrays(sand, silt, clay))
    with np.errstate(invalid="ignore", divide="ignore"):
        total = s + i + c
        known = (s >= 0) & (i >= 0) & (c >= 0) & (total > 0) & np.isfinite(total)
        i, c = (np.where(known, np.rint(v / total * 1e6), 0).astype("i8") for v in (i, c))
    s = 1_000_000 - i - c
    p = 10_000
    rules = (
        2 * i + 3 * c < 30 * p,
        i + 2 * c < 30 * p,
        ((c >= 7 * p) & (c < 20 * p) & (s > 52 * p)) | ((c < 7 * p) & (i < 50 * p)),
        (c >= 7 * p) & (c < 27 * p) & (i >= 28 * p) & (i < 50 * p) & (s <= 52 * p),
        ((i >= 50 * p) & (c >= 12 * p) & (c < 27 * p)) | ((i >= 50 * p) & (i < 80 * p) & (c < 12 * p)),
        (i >= 80 * p) & (c < 12 * p),
        (c >= 20 * p) & (c < 35 * p) & (i < 28 * p) & (s > 45 * p),
        (c >= 27 * p) & (c < 40 * p) & (s > 20 * p) & (s <= 45 * p),
        (c >= 27 * p) & (c < 40 * p) & (s <= 20 * p),
        (c >= 35 * p) & (s > 45 * p),
        (c >= 40 * p) & (i >= 40 * p),
        (c >= 40 * p) & (s <= 45 * p) & (i < 40 * p),
    )
    classes = np.select(rules, np.arange(1, 13, dtype=np.uint8), cf.NO_CLASS)
    return np.where(known, classes, cf.NO_CLASS)


def group_of(name: str) -> str:
    """Return ``"coarse"``, ``"medium"`` or ``"fine"`` for a class name; empty for an unknown one."""
    return next((group for group, names in GROUPS.items() if name in names), "")


def texture_of(ds: xr.Dataset) -> xr.DataArray:
    """USDA texture classes of the fractions of a dataset, lazy where they are; see `xsm.texture`."""
    missing = [name for name in cf.SOIL_FRACTIONS if name not in ds]
    if missing:
        raise DataError(
            f"Soil texture needs sand, silt and clay; {', '.join(missing)} is not in the dataset.",
            hint="Open soil maps with <open()>; `xsm sources` lists who has sand, silt and clay.",
        )
    units = {name: ds[name].attrs["units"] for name in cf.SOIL_FRACTIONS if "units" in ds[name].attrs}
    if any(not cf.same_units(a, b) for a in units.values() for b in units.values()):
        raise DataError(f"Sand, silt and clay have different units ({units}).", hint="Convert them to percent.")
    out = xr.apply_ufunc(
        classify,
        *(ds[name] for name in cf.SOIL_FRACTIONS),
        dask="parallelized",
        output_dtypes=[np.uint8],
    )
    out.attrs = {
        "long_name": "USDA soil texture class",
        "flag_values": np.arange(1, 13, dtype=np.uint8),
        "flag_meanings": " ".join(name.replace(" ", "_") for name in CLASSES),
    }
    out.encoding = {"_FillValue": cf.NO_CLASS}
    if "grid_mapping" in ds["sand"].encoding:
        out.encoding["grid_mapping"] = ds["sand"].encoding["grid_mapping"]
    return out
