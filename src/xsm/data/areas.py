"""Transformers between CRS, and areas of other libraries: ``pyresample.AreaDefinition``, ``odc.geo.geobox.GeoBox``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from xsm.errors import DataError

if TYPE_CHECKING:
    from pyproj import CRS

DEGREES, EASE = "EPSG:4326", "EPSG:6933"
Frame = tuple[float, float, float, float, int, int]
"""Left and top edge, width and height of a cell in the units of the CRS, rows and columns."""


@functools.lru_cache(maxsize=32)
def transformer(source: CRS | str, target: CRS | str) -> Any:
    """Transformer between two CRS, x before y: `DEGREES`, `EASE`, or any that pyproj knows."""
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True)


def is_area(value: Any) -> bool:
    """Whether a value is an AreaDefinition or a GeoBox, neither of which needs to be imported for it.

    Examples
    --------
    >>> is_area((-100, 30, -90, 40))
    False
    """
    return hasattr(value, "crs") and (hasattr(value, "area_extent") or {"affine", "shape"} <= set(dir(value)))


def frame(area: Any) -> tuple[CRS, Frame]:
    """CRS, edges and shape of an AreaDefinition or a GeoBox; rows run from north to south.

    Examples
    --------
    >>> from pyresample import AreaDefinition
    >>> frame(AreaDefinition("a", "", "", "EPSG:6933", 20, 10, (0, 0, 200, 50)))[1]
    (0.0, 50.0, 10.0, 5.0, 10, 20)
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs = area.crs if isinstance(area.crs, CRS) else CRS.from_user_input(str(area.crs))
    except CRSError:
        raise DataError(f"The area has the CRS {area.crs}, expected one that PROJ knows.", hint="Correct it.") from None
    if hasattr(area, "area_extent"):
        left, bottom, right, top = (float(v) for v in area.area_extent)
        rows, cols = int(area.height), int(area.width)
        return crs, (left, top, (right - left) / cols, (top - bottom) / rows, rows, cols)
    rows, cols = (int(n) for n in area.shape)
    width, turn_x, left, turn_y, height, top = tuple(area.affine)[:6]
    if turn_x or turn_y:
        raise DataError("The area is rotated.", hint="Take one whose rows run from west to east.")
    return crs, (left, top, width, -height, rows, cols)


def is_ease(crs: CRS) -> bool:
    """Whether a CRS is that of the cylindrical EASE-Grid 2.0.

    Examples
    --------
    >>> from pyproj import CRS
    >>> [is_ease(CRS.from_user_input(text)) for text in ("EPSG:6933", "EPSG:4326", "+proj=cea +lat_ts=30")]
    [True, False, True]
    """
    from pyproj import CRS

    return bool(crs.equals(CRS.from_epsg(6933), ignore_axis_order=True)) or crs.to_epsg() == 6933
