"""Values of a netCDF-4 variable: order of its dims, packing, missing values and units, at the low level of h5py."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5t
from xsm import DataError
from xsm.plugin_api import affine, unit_of

FILL = -9999.0
THICKNESS = {"SoilM_0_10cm": 100.0, "SoilM_10_40cm": 300.0}
"""Millimetres of the layers, which volumetric values are multiplied by."""
KNOWN = {
    "SoilM_0_10cm": "sm_noah_0_10", "SoilM_10_40cm": "sm_noah_10_40", "SoilT_0_10cm": "soil_temperature_0_10",
    "SoilT_10_40cm": "soil_temperature_10_40", "Rainf": "precipitation", "Snowf": "precipitation",
    "Tair": "air_temperature",
}  # fmt: skip
"""Canonical names by the product's."""
AXES = ("time", "lat", "lon")


def order_of(variable: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Place of each dim of a map in (time, lat, lon), by the names of its dims; None for what is no map.

    Where the file names no dims, the shape must be that of (time, lat, lon).
    """
    if not isinstance(variable, h5py.Dataset) or variable.ndim != 3:
        return None
    names = [scales[0].name.rsplit("/", 1)[-1] if len(scales) else "" for scales in variable.dims]
    if not any(names):
        return (0, 1, 2) if variable.shape == shape else None
    if sorted(names) != sorted(AXES):
        return None
    axes = tuple(AXES.index(n) for n in names)
    return axes if variable.shape == tuple(shape[a] for a in axes) else None


def count_of(file: Any) -> int:
    """Time steps of a file."""
    return int(h5d.open(file, b"time").shape[0])


def is_number(dataset: Any) -> bool:
    """Whether a variable is of floats or of integers."""
    return isinstance(dataset.get_type(), h5t.TypeFloatID | h5t.TypeIntegerID)


def exact(dataset: Any) -> str:
    """Type in which the stored numbers are exact: float32, or float64 for integers of four bytes and more."""
    stored = dataset.get_type()
    return "f8" if isinstance(stored, h5t.TypeIntegerID) and stored.get_size() > 2 else "f4"


def scale_of(units: str, name: str, path: Path, stated: Mapping[str, str]) -> tuple[float, float]:
    """Factor and offset from the unit of a variable to kg m-2 (of the hour) or K; one that is unknown or absent stops.

    Volumetric soil moisture is taken where the user states it.
    """
    canonical = KNOWN.get(name, "")
    example = "K" if name.startswith(("SoilT", "Tair")) else "kg m-2"
    unit = unit_of(units, name, path, stated, known=canonical, example=example)
    return _scale(unit, name, str(path), name in stated or canonical in stated)


@functools.lru_cache(maxsize=1024)
def _scale(unit: str, name: str, path: str, stated: bool) -> tuple[float, float]:
    temperature = name.startswith(("SoilT", "Tair"))
    accepted = "K, degC" if temperature else "kg m-2, mm" + ("" if name in THICKNESS else ", kg m-2 s-1, mm/h")
    volume = THICKNESS.get(name) if stated else None
    try:
        if temperature:
            return affine(unit, "K")
        if name in THICKNESS and affine(unit, "kg m-2", "hour") != affine(unit, "kg m-2", "day"):
            raise DataError("")
        return affine(unit, "kg m-2", "hour")
    except DataError:
        with contextlib.suppress(DataError):
            if volume is not None:
                return affine(unit, "m3 m-3")[0] * volume, 0.0
        raise DataError(
            f"In '{path}' '{name}' has the unit '{unit}', expected one of: {accepted}.",
            hint=f"Leave the file out; if its values really are in it, state it: <units={name}={unit}>."
            if name in THICKNESS and not stated
            else "Convert it, or leave the file out.",
        ) from None


def decode(values: np.ndarray, dataset: Any, unit: tuple[float, float]) -> np.ndarray:
    """Stored numbers as float32 in the expected unit; NaN where missing."""
    fills = [_number(dataset, math.nan, name) for name in (b"_FillValue", b"missing_value")]
    if isinstance(dataset.get_type(), h5t.TypeFloatID):
        fills.append(FILL)
    scale, offset = _number(dataset, 1.0, b"scale_factor"), _number(dataset, 0.0, b"add_offset")
    if not math.isfinite(scale) or not math.isfinite(offset):
        raise ValueError(f"scale_factor {scale}, add_offset {offset}")
    missing = np.zeros(values.shape, bool)
    for fill in fills:
        missing |= values == values.dtype.type(fill)
    if _flag(dataset, b"_Unsigned") == "true":
        values = np.where(values < 0, values + 2.0 ** (8 * dataset.get_type().get_size()), values)
    values[missing] = np.nan
    for factor, more in ((scale, offset), unit):
        if factor != 1:
            values *= values.dtype.type(factor)
        if more != 0:
            values += values.dtype.type(more)
    return values.astype("f4", copy=False)


def _attribute(dataset: Any, name: bytes) -> Any:
    with contextlib.suppress(KeyError):
        return h5a.open(dataset, name)
    return None


def _number(dataset: Any, default: float, name: bytes) -> float:
    """First value of an attribute of at most 8 bytes, so of at most 8 values: its shape takes as long as all else."""
    attribute, value = _attribute(dataset, name), np.empty(8)
    if attribute is None:
        return default
    if not 0 < attribute.get_storage_size() <= value.size:
        raise ValueError(f"its {name.decode()} has {attribute.get_storage_size()} bytes")
    attribute.read(value, h5t.NATIVE_DOUBLE)
    return float(value[0])


def units_of(dataset: Any) -> str:
    """Attribute ``units``; one that is no text of at most 64 bytes is described in brackets."""
    return _flag(dataset, b"units")


def _flag(dataset: Any, name: bytes) -> str:
    attribute, value = _attribute(dataset, name), np.zeros(64, "S64")
    if attribute is None:
        return ""
    if attribute.get_storage_size() > value.size:
        return f"({attribute.get_storage_size()} bytes)"
    try:
        attribute.read(value, _text_type())
    except (OSError, TypeError):
        return "(no text)"
    return text_of(value)


@functools.cache
def _text_type() -> Any:
    kind = h5t.C_S1.copy()
    kind.set_size(64)
    kind.set_strpad(h5t.STR_NULLPAD)
    return kind


def text_of(value: Any) -> str:
    """First element of an attribute as text."""
    value = np.ravel(value)[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
