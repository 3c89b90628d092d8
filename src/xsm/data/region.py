"""Boxes of GeoJSON: of files, and of what objects give as ``__geo_interface__``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xsm.errors import DataError, UsageError

ENDINGS = (".geojson", ".json")
WGS84 = re.compile(r"(?i)(CRS84|EPSG:+4326)$")
PATHLIKE = re.compile(r"[/\\]|\.[A-Za-z]\w{1,8}$")
"""What only a path holds: a separator, or an ending at its end."""


def looks_like_file(text: str) -> bool:
    """Whether a text is the path of a file rather than a name or numbers.

    Examples
    --------
    >>> [looks_like_file(t) for t in ("maps/box", "box.geojson", "conus", "-98.6,35.4")]
    [True, True, False, False]
    """
    return PATHLIKE.search(text) is not None


def read(path: Path) -> list[float]:
    """Box of a GeoJSON file (feature collection, feature or geometry) in WGS 84: west, south, east, north."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"'{path}' is no file of a region, wanted GeoJSON ({' or '.join(ENDINGS)}).",
            hint="Export it as GeoJSON in WGS 84 (EPSG:4326), or give west,south,east,north in degrees.",
        )
    try:
        found = json.loads(path.expanduser().read_text(encoding="utf-8-sig"))
        crs = found["crs"]["properties"]["name"] if found.get("crs") else "CRS84"
        box = bounds(found)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).", hint="Check the path of the region.") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DataError(
            f"'{path}' is no GeoJSON ({type(error).__name__}: {str(error)[:80]}).",
            hint="Wanted a feature collection, a feature or a geometry.",
        ) from None
    if not WGS84.search(str(crs)):
        raise DataError(f"'{path}' has the CRS {crs}, wanted WGS 84.", hint="Export it with the CRS EPSG:4326.")
    return box


def bounds(geo: Mapping[str, Any]) -> list[float]:
    """West, south, east, north of GeoJSON; it stops where there is no position.

    Examples
    --------
    >>> bounds({"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[-98, 35], [-97, 36]]}})
    [-98.0, 35.0, -97.0, 36.0]
    """
    places = [(float(p[0]), float(p[1])) for p in _positions(geo)]
    if not places or not all(map(math.isfinite, (v for place in places for v in place))):
        raise UsageError("The geometry has no positions in degrees.")
    lon, lat = zip(*places, strict=True)
    return [min(lon), min(lat), max(lon), max(lat)]


def _positions(geo: Any) -> Iterator[Any]:
    if geo is None:  # the geometry of a feature that lies nowhere
        return
    if isinstance(geo, Mapping):
        inner = next(geo[k] for k in ("features", "geometries", "geometry", "coordinates", "type") if k in geo)
        yield from _positions(inner)
    elif geo and isinstance(geo[0], int | float):
        yield geo
    elif not isinstance(geo, str):
        for part in geo:
            yield from _positions(part)
    else:
        raise UsageError(f"'{geo[:40]}' has no coordinates.")
