"""Canonical names, units and ranges; dims discovery, encoding clean-up, history.

The contract behind the names: "Data contract" among the decisions of the documentation.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr

from xsm._version import __version__
from xsm.data import article
from xsm.data.canonical import MOISTURE, Canonical
from xsm.data.plausible import check_bulk, watched
from xsm.data.units import affine, same_units
from xsm.errors import DataError, tell

__all__ = [
    "IGBP", "NO_CLASS", "NO_FLAG", "SOIL_FRACTIONS", "STALE", "VARIABLES", "Canonical", "add_history",
    "canonical_attrs", "check_units", "clean_encoding", "drop_impossible", "fill_of", "find_coord", "kind",
    "same_units", "with_room",
]  # fmt: skip
log = logging.getLogger("xsm")


VARIABLES: Mapping[str, Canonical] = {
    **article.VARIABLES,
    "obs_time": Canonical("", "Mean time of the observations in the cell", "time"),
    "air_temperature": Canonical("K", "Air temperature at 2 m", "air_temperature", low=180, high=340, when_frozen=True),
    "precipitation": Canonical(
        "kg m-2", "Precipitation of the UTC day", "precipitation_amount", low=0, high=3000, when_frozen=True
    ),
    "sand": Canonical("percent", "Sand, mass share of the fine earth", low=0, high=100),
    "silt": Canonical("percent", "Silt, mass share of the fine earth", low=0, high=100),
    "clay": Canonical("percent", "Clay, mass share of the fine earth", low=0, high=100),
    "bulk_density": Canonical("g cm-3", "Oven-dry bulk density of the fine earth", low=0, high=2.65),
    "land_cover": Canonical("", "IGBP land cover class", kind="class"),
    "land": Canonical("", "Land mask", kind="class"),
    "frozen": Canonical("", "Frozen ground", kind="class"),
    "sm_5cm": Canonical("m3 m-3", "Soil moisture at 5 cm", MOISTURE, low=0, high=1),
    "sm_25cm": Canonical("m3 m-3", "Soil moisture at 25 cm", MOISTURE, low=0, high=1),
    "soil_moisture": Canonical("m3 m-3", "Soil moisture", MOISTURE, low=0, high=1),
}
"""Names of products are those of the article; what others are called is theirs to say."""
SOIL_FRACTIONS = ("sand", "silt", "clay")
IGBP = (
    "evergreen_needleleaf_forests", "evergreen_broadleaf_forests", "deciduous_needleleaf_forests",
    "deciduous_broadleaf_forests", "mixed_forests", "closed_shrublands", "open_shrublands", "woody_savannas",
    "savannas", "grasslands", "permanent_wetlands", "croplands", "urban_and_built_up_lands",
    "cropland_natural_vegetation_mosaics", "permanent_snow_and_ice", "barren", "water_bodies",
)  # fmt: skip
"""Meanings of the land cover classes 1 to 17."""
NO_CLASS, NO_FLAG = np.uint8(255), np.uint16(65534)


def canonical_attrs(name: str) -> dict[str, Any]:
    """CF attributes of a canonical variable.

    Parameters
    ----------
    name : str
        Such as ``"tb_h"``; see `VARIABLES`.

    Returns
    -------
    dict of str to str
        Empty for a name that is not canonical.

    Examples
    --------
    >>> canonical_attrs("sm_5cm")["units"]
    'm3 m-3'
    """
    spec = VARIABLES.get(name)
    if spec is None:
        return {}
    attrs = {"long_name": spec.long_name, "standard_name": spec.standard_name, "units": spec.units}
    return {k: v for k, v in attrs.items() if v}


def drop_impossible(values: np.ndarray, name: str, where: object, *, scale: float = 1.0) -> np.ndarray:
    """Make values outside the physical range of a canonical variable missing, and count them in a warning.

    Where most are outside, because the unit or the scale is another one, this stops and names the likely reason.

    Parameters
    ----------
    values : ndarray of float
        Any shape, NaN where missing; changed in place where it is not read-only.
    name : str
        Canonical name; its range is that of `VARIABLES`.
    where : object
        File or day for the warning.
    scale : float
        Factor from ``values`` to the canonical unit.

    Returns
    -------
    ndarray
        The same values; those outside are NaN.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     drop_impossible(np.array([0.2, 1e20]), "sm_dca", "a.h5")
    array([0.2, nan])
    """
    spec = VARIABLES[name]
    slack = 1e-6 * max(1.0, abs(spec.high))
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = values if scale == 1 else values * np.float64(scale)
        wrong = (scaled < spec.low - slack) | (scaled > spec.high + slack)
    if not wrong.any():
        return values
    if 2 * wrong.sum() > np.isfinite(scaled).sum():
        check_bulk(scaled, name, spec.units, where)
    tell(
        f"{where}: {int(wrong.sum())} of {wrong.size} values of '{name}' are outside {spec.low:g} to {spec.high:g} "
        f"{spec.units} and become missing; the file may be damaged."
    )
    out = values if values.flags.writeable else values.copy()
    out[wrong] = np.nan
    return out


def check_units(ds: xr.Dataset, names: Iterable[str], like: Mapping[str, str] | None = None) -> None:
    """Stop with a sentence where a variable has another unit than its canonical one, or than that which it is like."""
    for name in names:
        spec, got = VARIABLES.get((like or {}).get(name, name)), ds[name].attrs.get("units")
        expected = spec.units if spec else ""
        if not expected or got is None:
            continue
        try:
            slope, offset = affine(str(got) or "1", expected)
        except DataError:
            slope = offset = np.nan
        if (slope, offset) == (1, 0):
            continue
        how = f"multiply it by {slope:.6g}{f' and add {offset:g}' if offset else ''}" if slope > 0 else "Convert it"
        raise DataError(
            f"'{name}' has the unit '{got}', expected '{expected}'.",
            hint=f"{how[0].upper()}{how[1:]}, and set attrs['units'] to '{expected}'.",
        )


def kind(variable: xr.DataArray | xr.Variable, name: str = "") -> str:
    """Whether a variable is ``"continuous"``, a ``"class"`` or a ``"flag"``: by name, attributes, then dtype."""
    spec = VARIABLES.get(name or str(getattr(variable, "name", "") or ""))
    if spec is not None:
        return spec.kind
    if "flag_masks" in variable.attrs:
        return "flag"
    if "flag_values" in variable.attrs or variable.dtype.kind == "b":
        return "class"
    return "continuous"


_AXES = {
    "x": ({"X"}, {"projection_x_coordinate", "longitude"}, ("x", "lon", "longitude", "easting")),
    "y": ({"Y"}, {"projection_y_coordinate", "latitude"}, ("y", "lat", "latitude", "northing")),
    "time": ({"T"}, {"time"}, ("time", "date", "valid_time")),
}


def find_coord(ds: xr.Dataset, axis: Literal["x", "y", "time"]) -> str | None:
    """Find the coordinate of an axis: CF attributes first, then usual names; None where there is none."""
    axes, standard, names = _AXES[axis]
    for name, coord in ds.coords.items():
        if coord.attrs.get("axis") in axes or coord.attrs.get("standard_name") in standard:
            return str(name)
    lower = {str(n).lower(): str(n) for n in ds.coords}
    return next((lower[n] for n in names if n in lower), None)


STALE = (
    "_FillValue", "missing_value", "scale_factor", "add_offset", "chunksizes", "preferred_chunks", "original_shape",
    "contiguous", "chunks", "source", "dtype", "fletcher32", "shuffle", "zlib", "complevel", "szip", "zstd", "bzip2",
    "blosc", "compression", "compressors", "filters", "shards", "coordinates", "rasterio_dtype",
)  # fmt: skip
"""Entries of an encoding that belong to the file that was read."""


def clean_encoding(ds: xr.Dataset) -> xr.Dataset:
    """Drop what an earlier file left in the encodings; grid mapping and time units stay."""
    ds = ds.copy()
    for variable in ds.variables.values():
        keep = {k: v for k, v in variable.encoding.items() if k not in STALE}
        if np.issubdtype(variable.dtype, np.datetime64):
            keep = {k: v for k, v in keep.items() if k in ("units", "calendar")}
        if variable.attrs.get("grid_mapping"):
            keep["grid_mapping"] = variable.attrs["grid_mapping"]
            variable.attrs = {k: v for k, v in variable.attrs.items() if k != "grid_mapping"}
        variable.encoding = keep
    ds.encoding = {}
    return ds


def fill_of(dtype: np.dtype) -> Any:
    """The missing value of a type; None for an integer type that has none.

    Examples
    --------
    >>> fill_of(np.dtype("u2")), fill_of(np.dtype("i4")) is None
    (65534, True)
    """
    if dtype.kind == "f":
        return np.nan
    if dtype.kind in "mM":
        return np.datetime64("NaT") if dtype.kind == "M" else np.timedelta64("NaT")
    return {"bool": False, "uint8": int(NO_CLASS), "uint16": int(NO_FLAG)}.get(str(dtype))


def with_room(ds: xr.Dataset) -> tuple[xr.Dataset, dict[str, Any]]:
    """Make integers without a missing value float64; returns the dataset and the fill of each variable."""
    ds = ds.assign({n: v.astype("f8") for n, v in ds.data_vars.items() if fill_of(v.dtype) is None})
    return ds, {str(n): fill_of(v.dtype) for n, v in ds.data_vars.items()}


def add_history(ds: xr.Dataset, what: str, **details: Any) -> xr.Dataset:
    """Return the dataset with one more ``history`` line: time, operation, parameters (never arrays).

    Parameters
    ----------
    ds : xarray.Dataset
        Its attributes are copied, not changed.
    what : str
        Operation.
    **details
        Parameters worth recording.

    Returns
    -------
    xarray.Dataset

    Examples
    --------
    >>> add_history(xr.Dataset(), "smooth", window=31).attrs["history"].endswith("window=31)")
    True
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    arguments = ", ".join(f"{k}={_short(v)}" for k, v in details.items() if _worth_noting(v))
    line = f"{now} xsm {__version__}: {what}({arguments})"
    before = ds.attrs.get("history", "")
    return ds.assign_attrs(Conventions="CF-1.10", history=f"{before}\n{line}".strip())


def _worth_noting(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (value is not None and value not in ((), {}))


LISTED, NOTED = 50, 2000
"""Items of a list and characters of a value that a line of history holds."""


def _short(value: Any) -> str:
    if isinstance(value, xr.Dataset | xr.DataArray | np.ndarray):
        return "..."
    if isinstance(value, slice):
        return "/".join("" if end is None else str(end) for end in (value.start, value.stop))
    if isinstance(value, list | tuple) and len(value) > LISTED:
        return f"[{', '.join(map(str, value[:LISTED]))} and {len(value) - LISTED} more]"
    text = " ".join(str(value).split())
    return text if len(text) <= NOTED else f"{text[: NOTED - 3]}..."


def check_maps(ds: xr.Dataset, source: str, *, skip: bool) -> xr.Dataset:
    """Check by their distribution that values can be in the unit of their quantity; lazy ones when they are read."""
    checked = {}
    for name, variable in ds.data_vars.items():
        spec = VARIABLES.get("soil_temperature_0_10" if name == "soil_temperature" else str(name))
        if spec is not None and spec.kind == "continuous" and variable.dtype.kind == "f":
            checked[name] = watched(variable.variable, str(name), spec.units, f"source '{source}'", skip=skip)
    return ds.assign(checked)
