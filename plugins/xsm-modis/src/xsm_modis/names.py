"""What the name of a file tells of its layer: only names that say IGBP classes count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from xsm import DataError
from xsm.plugin_api import tell

IGBP = {"Q1": ("LC_Type1", "Land_Cover_Type_1"), "C1": ("Majority_Land_Cover_Type_1",)}
"""Layers of IGBP classes of the two products, of all versions."""
AS_DISTRIBUTED = re.compile(
    r"MCD12(?P<product>Q1|C1)\.A\d{7}(?:\.h\d\dv\d\d)?\.\d{3}(?:\.\d+)?"
    r"(?:[._:-]+(?:MCD12\w\w[._:-]+)?(?P<layer>[^.]+))?\.(?:tiff?|hdf4?)$",
    re.IGNORECASE,
)
APPEEARS = re.compile(
    r"MCD12(?P<product>Q1|C1)\.\d{3}_(?P<layer>\w+?)_doy\d{7}(?:\d{6})?(?!\d)[^.]*\.tiff?$", re.IGNORECASE
)
NETCDF = re.compile(r"MCD12(?:Q1|C1)\.\d{3}_.*aid\d+.*\.nc4?$", re.IGNORECASE)
OTHER = re.compile(r"(\w+)\.\d{3}_.*_aid\d{4}\.\w+$")
ORDER = "Order GeoTIFF, layer LC_Type1 (of MCD12C1: Majority_Land_Cover_Type_1), or take the HDF4 files."


def is_igbp(name: str) -> bool:
    """Whether a name is that of IGBP classes, as distributed, or as AppEEARS names them.

    Examples
    --------
    >>> is_igbp("MCD12C1.061_Majority_Land_Cover_Type_1_doy2020001_aid0001.tif")
    True
    >>> is_igbp("MCD12C1.061_Land_Cover_Type_1_Percent_Class_10_doy2020001_aid0001.tif")
    False
    """
    match = AS_DISTRIBUTED.match(name) or APPEEARS.match(name)
    if match is None:
        return False
    layers = [layer.lower() for layer in IGBP[match["product"].upper()]]
    return match["layer"] is None or match["layer"].lower() in layers


def is_netcdf(name: str) -> bool:
    """Whether a name is that of NetCDF by AppEEARS, which is refused by name."""
    return bool(NETCDF.match(name))


def _check_kind(path: Path) -> None:
    """Stop where a name is that of a table, of netCDF, or of another product by AppEEARS."""
    product = OTHER.match(path.name)
    if product and not is_igbp(path.name):
        raise DataError(f"'{path}' is by its name of {product[1]}, expected MCD12Q1 or MCD12C1.", hint=ORDER)
    if path.suffix.lower() in (".csv", ".txt", ".json", ".nc", ".nc4", ".h5", ".zip"):
        raise DataError(f"'{path}' ends with '{path.suffix}', expected GeoTIFF or HDF4.", hint=ORDER)


def only_igbp(paths: Sequence[Path]) -> list[Path]:
    """Leave out files that are named as other layers, with a warning, where others are of IGBP classes; else refuse.

    Files that are not named as the products at all are the business of who gives their legend.
    """
    named = re.compile(r"MCD12(Q1|C1)\.", re.IGNORECASE)
    good = [p for p in paths if is_igbp(p.name) or not named.match(p.name)]
    others = [p for p in paths if p not in good]
    if good and others:
        tell(f"{len(others)} files of other layers than IGBP classes are left out, the first: '{others[0].name}'.")
    for path in good:
        _check_kind(path)
    if good or not others:
        return good
    if is_netcdf(others[0].name):
        raise DataError(f"'{others[0]}' is NetCDF of AppEEARS, expected GeoTIFF or HDF4.", hint=ORDER)
    raise DataError(
        f"'{others[0]}' is by its name another layer than IGBP, expected LC_Type1.",
        hint=f"{ORDER} A map of your own needs a name that does not begin as the product's, and <legend=MCD12Q1>.",
    )
