"""Written maps as layers of a GIS: names, units, colours over the whole period, days of the bands."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.roles import part_by_name
from xsm.faces.execute import Outcome
from xsm.io import files
from xsm.io.geotiff import map_names
from xsm.io.styles import classes_of, ramp_between, style_of

SHARES = (0.02, 0.98)
"""Quantiles between which colours are stretched."""
NEARLY = 0.8
MOST_DAYS, MOST_SIDE = 12, 400
"""Days, rows and columns of the sample from which the quantiles are estimated."""
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def layers_of(outcome: Outcome) -> list[dict[str, Any]]:
    """Maps among the written files that GDAL can read, each as a layer.

    Returns
    -------
    list of dict
        ``path``, ``variable`` (netCDF only), ``name``, ``units``, ``role`` (``"map"``, ``"spread"`` or ``"flags"``),
        ``main`` (whether soil moisture or its spread), ``ramp`` (value, colour), ``classes`` (value, colour, meaning),
        ``days``, one for each band, and ``first``, the day to begin with.
    """
    ds = outcome.value
    if not isinstance(ds, xr.Dataset) or not outcome.written:
        return []
    names = map_names(ds)
    suffix = outcome.written[0].suffix
    if suffix == ".nc":
        places = [(outcome.written[0], n, n) for n in names if ds[n].dtype.kind != "b"]
    elif suffix in (".tif", ".tiff"):
        places = [(path, "", n) for path, n in zip(outcome.written, names, strict=True)]
    else:
        places = []
    return [_layer(path, variable, ds[name]) for path, variable, name in places]


def readable(units: str) -> str:
    """A unit with exponents as a reader expects them; empty for numbers without a unit.

    Examples
    --------
    >>> readable("m3 m-3"), readable("percent"), readable("1")
    ('m³ m⁻³', '%', '')
    """
    plain = {"1": "", "percent": "%"}
    if units in plain:
        return plain[units]
    return re.sub(r"(?<=[A-Za-z])-?\d+", lambda match: match[0].translate(SUPERSCRIPT), units)


def _layer(path: Path, variable: str, array: xr.DataArray) -> dict[str, Any]:
    name = str(array.name)
    classes = classes_of(name, array.attrs)
    flags = bool(classes) or array.dtype.kind == "b" or "flag_masks" in array.attrs
    sample = _sample(path, variable)
    return {
        "path": str(path),
        "variable": variable,
        "name": part_by_name(name).label or str(array.attrs.get("long_name") or name.replace("_", " ")),
        "units": readable(str(array.attrs.get("units", ""))),
        "role": "flags" if flags else "spread" if name.endswith("_std") else "map",
        "main": bool(style_of(name)),
        "ramp": [] if classes else ramp_between(name, *_limits(sample)),
        "classes": classes,
        "first": _first_day(sample),
        "days": array["time"].values.astype("M8[D]").astype(str).tolist() if "time" in array.dims else [],
    }


def _sample(path: Path, variable: str) -> xr.DataArray:
    """A part of a written map, in memory: its first days and some of all others."""
    ds = files.read(path)
    array = ds[variable or next(iter(ds.data_vars))]
    for dim, size in array.sizes.items():
        most, first = (MOST_SIDE, 0) if dim in ("y", "x") else (MOST_DAYS, MOST_DAYS)
        spread = np.linspace(0, size - 1, min(size, most)).astype(int)
        array = array.isel({dim: np.union1d(spread, np.arange(min(first, size)))})
    return array.load()


def _limits(array: xr.DataArray) -> tuple[float, float]:
    """Quantiles of a map over its whole period, rounded outwards to two digits of their distance."""
    values = array.values[np.isfinite(array.values)].astype("f8")
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, SHARES)
    if not high > low:
        low, high = values.min(), values.max()
    if not high > low:
        return float(low), float(low + 1)
    step = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    return round(math.floor(low / step) * step, 12), round(math.ceil(high / step) * step, 12)


def _first_day(sample: xr.DataArray) -> str:
    """The first day of a sample whose map is nearly as complete as any; empty without time."""
    if "time" not in sample.dims or not sample.size:
        return ""
    cells = sample.notnull().sum([d for d in sample.dims if d != "time"]).values
    return str(sample["time"].values[np.argmax(cells >= NEARLY * cells.max())].astype("M8[D]"))
