"""What every result of an operation keeps of its inputs' attributes and encodings: only what is still true of it."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xsm.data.cf import STALE, VARIABLES

POINTERS = ("ancillary_variables", "coordinates", "bounds", "grid_mapping")
"""Attributes whose words are names of other variables."""
OF_NUMBERS = ("units", "_FillValue", "missing_value", "valid_range", "valid_min", "valid_max", "cell_methods",
              "actual_range")  # fmt: skip
"""Attributes that say nothing true of a mask."""


def tidy(ds: xr.Dataset) -> xr.Dataset:
    """Drop encodings of earlier files, units of masks and flags, and names of variables that are not there; lazy.

    Examples
    --------
    >>> import numpy as np
    >>> ds = xr.Dataset({"frozen": ("x", [True], {"units": "K"}), "v": ("x", [np.nan], {"ancillary_variables": "w"})})
    >>> ds["v"].encoding = {"dtype": "int16", "scale_factor": 0.1}
    >>> clean = tidy(ds)
    >>> clean["frozen"].attrs, clean["v"].attrs, clean["v"].encoding
    ({}, {}, {})
    """
    ds = ds.copy()
    names = {str(n) for n in ds.variables}
    for name, variable in ds.variables.items():
        attrs = {k: v for k, v in variable.attrs.items() if k not in _untrue(str(name), variable)}
        variable.attrs = _pointing(attrs, names)
        variable.encoding = _pointing(_encoding(variable), names)
    return ds


def tidy_array(array: xr.DataArray) -> xr.DataArray:
    """The same for a single variable, whose pointers lead to its coordinates only."""
    array = array.copy(deep=False)
    array.attrs = _pointing(dict(array.attrs), {str(n) for n in array.coords})
    array.encoding = _pointing(_encoding(array.variable), {str(n) for n in array.coords})
    return array


def _untrue(name: str, variable: xr.Variable) -> set[str]:
    """Attributes that cannot be true of a variable of this type."""
    if variable.dtype.kind == "b":
        spec = VARIABLES.get(name)
        other = spec is not None and variable.attrs.get("standard_name") != spec.standard_name
        return {*OF_NUMBERS, *(("standard_name",) if other else ())}
    if {"flag_values", "flag_masks"} & set(variable.attrs) and variable.attrs.get("units") != "1":
        return {"units"}
    return {"_FillValue", "missing_value"} if variable.dtype.kind == "f" else set()


def _encoding(variable: xr.Variable) -> dict[str, Any]:
    """The encoding without what would pack, cut or shift the values of a result; whole numbers keep their fill."""
    kept = {k: v for k, v in variable.encoding.items() if k not in STALE}
    if variable.dtype.kind == "M":
        return {k: v for k, v in kept.items() if k in ("units", "calendar")}
    if variable.dtype.kind in "iu" and "_FillValue" in variable.encoding and "_FillValue" not in variable.attrs:
        kept["_FillValue"] = variable.encoding["_FillValue"]
    return kept


def _pointing(attrs: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Attributes of which each pointer names variables that are there."""
    for key in POINTERS:
        text = attrs.get(key)
        if not isinstance(text, str):
            continue
        words = text.split()
        there = [w for w in words if w in names]
        if key == "grid_mapping" and ":" in text:
            there = words if all(w.rstrip(":") in names for w in words) else []
        if there:
            attrs[key] = " ".join(there)
        else:
            del attrs[key]
    return attrs
