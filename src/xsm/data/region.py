"""Regions: names, boxes, geometries and GeoJSON files as west, south, east, north in degrees."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xsm.data import article
from xsm.errors import DataError, UsageError, unknown

BBox = tuple[float, float, float, float]

REGIONS: dict[str, BBox] = {
    "global": (-180.0, -85.0445664, 180.0, 85.0445664),
    **article.REGION,
}
"""Named regions as (west, south, east, north) in degrees; sources may declare others."""

ENDINGS = (".geojson", ".json")
WGS84 = re.compile(r"(?i)(CRS84|EPSG:+4326)$")
PATHLIKE = re.compile(r"[/\\]|\.[A-Za-z]\w{1,8}$")
"""What only a path contains: a separator, or a file ending."""


def region_bbox(region: Any) -> BBox | None:
    """Resolve a region to (west, south, east, north) in degrees; None means everywhere."""
    if region is None:
        return None
    if isinstance(getattr(region, "bbox", None), tuple):
        return region.bbox
    if isinstance(region, str):
        if region.lower() in REGIONS:
            return REGIONS[region.lower()]
        parts = region.replace(",", " ").split()
        try:
            return region_bbox([float(p) for p in parts])
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            if looks_like_file(region):
                return region_bbox(read(Path(region)))
            other = unknown("region", region, REGIONS)
            raise UsageError(
                other.message, hint=f"{other.hint} Or give west,south,east,north in degrees, or a GeoJSON file."
            ) from None
    if isinstance(region, Path):
        return region_bbox(read(region))
    if hasattr(region, "total_bounds") or hasattr(region, "bounds"):
        edges = region.total_bounds if hasattr(region, "total_bounds") else region.bounds
        return region_bbox([float(v) for v in edges])
    if hasattr(region, "__geo_interface__"):
        return region_bbox(bounds(region.__geo_interface__))
    if isinstance(region, Sequence | np.ndarray) and len(region) == 4:
        try:
            west, south, east, north = (float(v) for v in region)
        except (TypeError, ValueError):
            raise UsageError(
                f"The region is {str(list(region))[:80]}, expected four numbers in degrees.",
                hint="Give west, south, east, north, such as -125, 25, -67, 53.",
            ) from None
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise UsageError(
                f"The region ({west:g}, {south:g}, {east:g}, {north:g}) is not west, south, east, north in degrees.",
                hint="Give west < east within -180..180 and south < north within -90..90.",
            )
        return west, south, east, north
    raise UsageError(
        f"{type(region).__name__} {str(region)[:60]} is not a region.",
        hint=f"Give a name ({', '.join(REGIONS)}), west,south,east,north in degrees, a geometry, a GeoJSON file or "
        "a Grid.",
    )


def looks_like_file(text: str) -> bool:
    """Whether a text is the path of a file rather than a name or numbers.

    Examples
    --------
    >>> [looks_like_file(t) for t in ("maps/box", "box.geojson", "conus", "-98.6,35.4")]
    [True, True, False, False]
    """
    return PATHLIKE.search(text) is not None


def read(path: Path) -> list[float]:
    """West, south, east, north of a GeoJSON file (feature collection, feature or geometry) in WGS 84."""
    return read_geojson(path)[1]


def read_geojson(path: Path) -> tuple[Mapping[str, Any], list[float]]:
    """Content of a GeoJSON file in WGS 84, and its west, south, east, north."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"'{path}' cannot be read as a region, expected GeoJSON ({' or '.join(ENDINGS)}).",
            hint="Export it as GeoJSON in WGS 84 (EPSG:4326), or give west,south,east,north in degrees.",
        )
    try:
        content = json.loads(path.expanduser().read_text(encoding="utf-8-sig"))
        crs = content["crs"]["properties"]["name"] if content.get("crs") else "CRS84"
        box = bounds(content)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).", hint="Check the path of the region.") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DataError(
            f"'{path}' is not GeoJSON ({type(error).__name__}: {str(error)[:80]}).",
            hint="Expected a feature collection, a feature or a geometry.",
        ) from None
    if not WGS84.search(str(crs)):
        raise DataError(f"'{path}' has the CRS {crs}, expected WGS 84.", hint="Export it with the CRS EPSG:4326.")
    return content, box


def bounds(geo: Mapping[str, Any]) -> list[float]:
    """West, south, east, north of GeoJSON; an error where it contains no position.

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
    if geo is None:  # a feature without a geometry
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
