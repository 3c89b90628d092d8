"""Stored numbers of SOLUS100 as physical values, checked to be those of their property."""

from __future__ import annotations

from typing import Any

import numpy as np
from xsm import DataError
from xsm.plugin_api import canonical_attrs, convert, drop_impossible

from xsm_solus100.layout import NODATA, PROPERTIES, SCALARS

TYPICAL = {"bulk_density": (0.05, 3.0)}
"""Medians that a map in g cm-3 can have, peat and rock included."""
SUMS = (90.0, 110.0)


def decoded(stored: np.ndarray, about: dict[str, Any], name: str) -> np.ndarray:
    """Values in the canonical unit; a scale of the file, or a unit that the user states, replaces the product's."""
    unit, scaled = about.get("stated", ""), (about["scale"], about["offset"]) != (1.0, 0.0)
    values = decode(stored, about["nodata"], 1 if scaled or unit else SCALARS[PROPERTIES[name]])
    if scaled:
        values = values * np.float32(about["scale"]) + np.float32(about["offset"])
    if unit:
        values = convert(values, unit, canonical_attrs(name)["units"])
    check_fits(values, name, about["path"])
    return drop_impossible(values, name, about["path"])


def check_fits(values: np.ndarray, name: str, path: str) -> None:
    """Refuse a layer whose values are typically none of its property: it has another unit, or was scaled before.

    Raises
    ------
    DataError
        For a median that no soil map has.

    Examples
    --------
    >>> check_fits(np.array([1.2, 1.4]), "bulk_density", "dbovendry_5_cm_p.tif")
    """
    known = values[np.isfinite(values)]
    low, high = TYPICAL.get(name, (0.0, 100.0))
    if not known.size or low <= (median := float(np.median(known))) <= high:
        return
    unit = canonical_attrs(name)["units"]
    if name == "bulk_density":
        stated = "g cm-3" if median < low else "kg m-3"
        why = f"it seems to be in {stated}{' already' if median < low else ''}"
        expected = "g cm-3 times 100, as distributed"
    else:
        stated, why, expected = "g kg-1", "it seems to be in g kg-1", "percent, as distributed"
    raise DataError(
        f"'{path}' gives {name} of {median:.3g} {unit} (median), expected {low:g} to {high:g}: {why}.",
        hint=f"Give the product's own file, which contains {expected}, or state the unit of its numbers: "
        f"<units={name}={stated}>.",
    )


def decode(stored: np.ndarray, nodata: float | None, scalar: int) -> np.ndarray:
    """Turn stored integers into float32 physical values, NaN for nodata.

    Examples
    --------
    >>> decode(np.array([130, 255], "u1"), 255, 100)
    array([1.3, nan], dtype=float32)
    """
    values = stored.astype("f4") / np.float32(scalar)
    if nodata is not None:
        values[stored == nodata] = np.nan
    if stored.dtype == np.uint8 or nodata is None:
        values[stored == NODATA] = np.nan
    return values


def checked_share(sand: np.ndarray, silt: np.ndarray, clay: np.ndarray, which: int, where: str) -> np.ndarray:
    """The share of `share`, where the fractions of some files sum to about 100; else an error."""
    total = sand + silt + clay
    known = total[np.isfinite(total)]
    if known.size and not SUMS[0] <= (median := float(np.median(known))) <= SUMS[1]:
        raise DataError(
            f"Sand, silt and clay of {where} sum to {median:.3g} (median), expected 100 percent.",
            hint="Give the product's own files, of one statistic and in percent.",
        )
    return share(sand, silt, clay, which)


def share(sand: np.ndarray, silt: np.ndarray, clay: np.ndarray, which: int) -> np.ndarray:
    """One of three fractions in percent of their sum; NaN where one is missing or the sum is 0."""
    total = sand + silt + clay
    part = (sand, silt, clay)[which]
    return np.divide(100 * part, total, out=np.full_like(total, np.nan), where=total > 0)
