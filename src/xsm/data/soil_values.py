"""Whether numbers of a soil map are those of its property, and fractions as parts of 100."""

from __future__ import annotations

import numpy as np

from xsm.data.cf import canonical_attrs
from xsm.data.units import same_units
from xsm.errors import DataError

TYPICAL = {"bulk_density": (0.05, 3.0)}
"""Medians that a map in g cm-3 can have, peat and rock included."""
SUMS = (90.0, 110.0)


def check_fits(values: np.ndarray, name: str, path: str, stored: str) -> None:
    """Refuse a layer whose values are typically none of its property: it has another unit, or was scaled before.

    Parameters
    ----------
    values : ndarray of float
        In the canonical unit, NaN where missing.
    name, path : str
        Canonical name and file.
    stored : str
        Unit of the product's stored numbers.

    Raises
    ------
    DataError
        For a median that no soil map has.

    Examples
    --------
    >>> check_fits(np.array([1.2, 1.4]), "bulk_density", "dbovendry_5_cm_p.tif", "cg cm-3")
    """
    known = values[np.isfinite(values)]
    low, high = TYPICAL.get(name, (0.0, 100.0))
    if not known.size or low <= (median := float(np.median(known))) <= high:
        return
    unit = canonical_attrs(name)["units"]
    likely = ("g cm-3" if median < low else "kg m-3") if name == "bulk_density" else "g kg-1"
    why = (
        f": it seems to be in {likely}{' already' if likely == unit else ''}" if not same_units(likely, stored) else ""
    )
    raise DataError(
        f"'{path}' gives {name} of {median:.3g} {unit} (median), expected {low:g} to {high:g}{why}.",
        hint=f"Give the product's own file, which contains {stored}, as distributed, or state the unit of its numbers: "
        f"<units={name}={likely}>.",
    )


def checked_share(sand: np.ndarray, silt: np.ndarray, clay: np.ndarray, which: int, where: str) -> np.ndarray:
    """The share of `share`, where the fractions of some files sum to about 100; else an error."""
    total = sand + silt + clay
    known = total[np.isfinite(total) & (total > 0)]
    if known.size and not SUMS[0] <= (median := float(np.median(known))) <= SUMS[1]:
        raise DataError(
            f"Sand, silt and clay of {where} sum to {median:.3g} (median), expected 100 percent.",
            hint="Give the product's own files, of one statistic and in their own unit.",
        )
    return share(sand, silt, clay, which)


def share(sand: np.ndarray, silt: np.ndarray, clay: np.ndarray, which: int) -> np.ndarray:
    """One of three fractions in percent of their sum; NaN where one is missing or the sum is 0.

    Examples
    --------
    >>> share(np.array([50.0]), np.array([30.0]), np.array([19.0]), 0).round(2)
    array([50.51])
    """
    total = sand + silt + clay
    part = (sand, silt, clay)[which]
    return np.divide(100 * part, total, out=np.full_like(total, np.nan), where=total > 0)
