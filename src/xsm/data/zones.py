"""Zones: polygons with names, from GeoJSON, tables of geometries, geometries, names of regions or boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xsm.data import region
from xsm.errors import DataError, UsageError, tell

NAMES = ("name", "label", "title", "id", "code")
"""Properties that name a polygon, upper or lower case; the first that all have counts."""
HINT = "Give a GeoJSON file, a GeoDataFrame, geometries, or names of regions."


@dataclass(frozen=True)
class Zones:
    """Names and polygons of shapely in degrees."""

    names: np.ndarray
    polygons: np.ndarray


def zones_of(regions: Any, name: str | None = None) -> Zones:
    """Polygons in degrees and their names.

    Parameters
    ----------
    regions : path, mapping, GeoDataFrame, geometry, str or sequence of these
        GeoJSON as a file or a mapping, a mapping of names to geometries, anything with ``__geo_interface__``, or what
        `xsm.data.region.region_bbox` takes.
    name : str, optional
        Property that names the polygons; by default the first of `NAMES`, else they are counted.

    Raises
    ------
    UsageError
        For what is no region.
    DataError
        For geometries without an area or outside of degrees, and for names that come twice.

    Examples
    --------
    >>> zones_of([(-100, 30, -98, 31), "conus"]).names.tolist()
    ['1', 'conus']
    """
    import shapely

    features = list(_features(regions))
    if not features:
        raise DataError("The regions contain no polygon.", hint=HINT)
    names = _names([label or properties for label, properties, _ in features], name)
    polygons = [_polygon(geometry, label) for label, (_, _, geometry) in zip(names, features, strict=True)]
    mended = np.array([not shapely.is_valid(p) for p in polygons])
    if mended.any():
        tell(f"{int(mended.sum())} polygons, such as {np.array(names)[mended][0]}, cross themselves and are repaired.")
    whole = np.empty(len(polygons), object)
    whole[:] = [_area_only(shapely.make_valid(p)) if bad else p for p, bad in zip(polygons, mended, strict=True)]
    return Zones(np.array(names), whole)


def _features(regions: Any) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Name, where it has one of its own, properties and geometry of each polygon."""
    if isinstance(regions, str | Path):
        text = str(regions)
        if text.lower() not in region.REGIONS and region.looks_like_file(text):
            yield from _features(region.read_geojson(Path(regions))[0])
        elif text.lower() in region.REGIONS or "," not in text:
            yield text, {}, _box(text)
        else:
            try:
                yield "", {}, _box(text)
            except UsageError:
                for part in text.split(","):
                    yield from _features(part.strip())
    elif isinstance(regions, Mapping):
        yield from _of_mapping(regions)
    elif hasattr(regions, "__geo_interface__"):
        crs = getattr(regions, "crs", None)
        degrees = regions.to_crs("EPSG:4326") if crs is not None and hasattr(regions, "to_crs") else regions
        yield from _features(degrees.__geo_interface__)
    elif isinstance(getattr(regions, "bbox", None), tuple):
        yield getattr(regions, "name", ""), {}, _box(regions)
    elif isinstance(regions, Sequence | np.ndarray) and len(regions) == 4 and all(map(_is_number, regions)):
        yield "", {}, _box(regions)
    elif isinstance(regions, Sequence | np.ndarray) and not any(map(_is_number, regions)):
        for part in regions:
            yield from _features(part)
    else:
        raise UsageError(f"{type(regions).__name__} {str(regions)[:60]} is not a region.", hint=HINT)


def _of_mapping(regions: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    import shapely.geometry

    if "type" not in regions:
        for label, part in regions.items():
            many = list(_features(part))
            if len(many) != 1:
                raise DataError(f"The region '{label}' has {len(many)} polygons, expected one.", hint=HINT)
            yield str(label), {}, many[0][2]
    elif regions["type"] == "FeatureCollection":
        for feature in regions.get("features") or ():
            yield from _of_mapping(feature)
    elif regions["type"] == "Feature":
        if regions.get("geometry"):
            number = {"id": regions["id"]} if regions.get("id") is not None else {}
            properties = number | dict(regions.get("properties") or {})
            yield from (("", properties, shape) for _, _, shape in _of_mapping(regions["geometry"]))
    else:
        try:
            yield "", {}, shapely.geometry.shape(regions)
        except Exception as error:
            raise DataError(
                f"A geometry of the type '{regions['type']}' is not GeoJSON ({str(error)[:80]}).", hint=HINT
            ) from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _box(text: Any) -> Any:
    import shapely

    bbox = region.region_bbox(text)
    return shapely.box(*(bbox if bbox is not None else region.REGIONS["global"]))


def _names(about: list[Any], name: str | None) -> list[str]:
    """A name for each polygon: its own, that of a property, or its number."""
    properties = [{} if isinstance(a, str) else dict(a) for a in about]
    keys = {str(k) for p in properties for k in p}
    if name is not None and name not in keys:
        raise UsageError(f"The polygons have no property '{name}'.",
                         hint=f"They have: {', '.join(sorted(keys)) or 'none'}.")  # fmt: skip
    key = name or next(
        (k for n in NAMES for k in keys if k.lower() == n and all(p.get(k) not in (None, "") for p in properties)), None
    )
    names = [a if isinstance(a, str) else str(p.get(key, i)) if key else str(i)
             for i, (a, p) in enumerate(zip(about, properties, strict=True), 1)]  # fmt: skip
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        others = sorted(k for k in keys if len({str(p.get(k)) for p in properties}) == len(properties))
        raise DataError(
            f"{names.count(twice[0])} polygons are called '{twice[0]}'.",
            hint=f"Name them by another property: <name={others[0]}>." if others else "Give them different names.",
        )
    return names


def _polygon(geometry: Any, name: str) -> Any:
    import shapely

    if not shapely.is_geometry(geometry) or geometry.geom_type not in ("Polygon", "MultiPolygon") or geometry.is_empty:
        what = f"a {geometry.geom_type}" if shapely.is_geometry(geometry) else "nothing"
        raise DataError(
            f"The region '{name}' is {what}, expected a polygon.",
            hint="Series of points are those of <at()>.",
        )
    west, south, east, north = geometry.bounds
    if west < -360 or east > 360 or south < -90 or north > 90:
        raise DataError(
            f"The region '{name}' spans {west:g} to {east:g} and {south:g} to {north:g}, expected degrees.",
            hint="Convert it to WGS 84 (EPSG:4326), with x before y.",
        )
    return geometry


def _area_only(geometry: Any) -> Any:
    """The polygons of a repaired geometry."""
    import shapely

    parts = [p for p in shapely.get_parts(shapely.get_parts(geometry)) if p.geom_type == "Polygon"]
    return shapely.union_all(parts)
