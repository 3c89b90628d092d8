"""A STAC catalogue of a study's maps: one item a day, with the GeoTIFFs of the day and the archive they come from."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm.data.grids import Grid, grid_of
from xsm.errors import DataError, MissingPlugin
from xsm.io import day_store, files

if TYPE_CHECKING:
    import pystac

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
MEDIA = {".tif": "image/tiff; application=geotiff; profile=cloud-optimized", ".nc": "application/x-netcdf",
         ".zarr": "application/vnd.zarr; version=3"}  # fmt: skip


def check_stac() -> None:
    """Stop before any work where the library that writes catalogues is not installed."""
    try:
        import pystac  # noqa: F401
    except ImportError:
        raise MissingPlugin("stac = true needs pystac, which is not installed.",
                            hint="Install it with: pip install 'xsm[stac]'") from None  # fmt: skip


def write_stac(
    title: str, names: Sequence[str], maps: Path, geotiffs: Path, target: Path, part: Path,
    days: Collection[str] = (), todo: Sequence[str] | None = None,
) -> None:  # fmt: skip
    """Write ``catalog.json``, a collection and an item for each day that has a GeoTIFF.

    Parameters
    ----------
    title : str
        Title of the study.
    names : sequence of str
        Variables that were written as GeoTIFF, ``<name>_<day>.tif`` or, where they have no time, ``<name>.tif``.
    maps : Path
        File or store of all maps, ``(time, y, x)`` on an EASE-Grid.
    geotiffs : Path
        Folder of the GeoTIFFs.
    target, part : Path
        The folder's final name, from which the links lead to the maps, and the one it has while it is written.
    days, todo : sequence of str, optional
        All days of an archive and those to write: the items of the others stay as they are, and the collection lists
        them. By default all items are written.
    """
    import pystac
    from pystac.layout import TemplateLayoutStrategy

    ds = files.read(maps) if todo is None else day_store.read(maps)
    grid = grid_of(ds)
    if grid is None:
        raise DataError(f"'{maps}' is on no EASE-Grid, which the catalogue describes.", hint="Leave out stac = true.")
    about = {name: _asset_fields(ds[name]) for name in names}
    by_day = _maps_of(names, geotiffs, todo)
    written = {day: path for day in days if day not in by_day and (path := _item(target, day)).is_file()}
    if not (by_day or written):
        raise DataError(f"'{geotiffs}' has no maps of days.", hint="Name maps with time in geotiff = [...].")
    status, known = _status(ds), [*by_day, *written]
    period = [_moment(min(known)), _moment(max(known), 1)]
    extent = pystac.Extent(pystac.SpatialExtent([list(grid.bbox)]), pystac.TemporalExtent([period]))
    whole = {"archive": pystac.Asset(str(maps), "All days", media_type=MEDIA[maps.suffix], roles=["data"])}
    fixed = {n: _asset(geotiffs / f"{n}.tif", about[n]) for n in names if (geotiffs / f"{n}.tif").exists()}
    collection = pystac.Collection(
        "maps", str(ds.attrs.get("title", title)), extent, title=title, license="other", keywords=["soil moisture"],
        assets=whole | fixed,
    )  # fmt: skip
    for day, paths in sorted(by_day.items()):
        item = pystac.Item(
            day, _outline(grid), list(grid.bbox), _moment(day),
            {"title": f"{title}, {day}", **_place(grid), **status.get(day, {})},
            start_datetime=_moment(day), end_datetime=_moment(day, 1), stac_extensions=[PROJECTION],
            assets={name: _asset(path, about[name]) for name, path in paths.items()} | _copied(whole),
        )  # fmt: skip
        collection.add_item(item)
    catalog = pystac.Catalog("xsm", f"Maps of the study '{title}'", title)
    catalog.add_child(collection)
    catalog.normalize_hrefs(str(target), strategy=TemplateLayoutStrategy(item_template="${year}"))
    catalog.make_all_asset_hrefs_relative()
    for path in written.values():
        collection.add_link(pystac.Link("item", str(path), pystac.MediaType.GEOJSON))
    collection.links.sort(key=lambda link: (link.rel == "item", link.absolute_href))
    catalog.save(pystac.CatalogType.SELF_CONTAINED, dest_href=str(part))


def _maps_of(names: Sequence[str], geotiffs: Path, days: Sequence[str] | None) -> dict[str, dict[str, Path]]:
    """GeoTIFFs by day and variable, of some days or of all that there are."""
    if days is None:
        days = sorted({p.stem[-10:] for n in names for p in geotiffs.glob(f"{n}_????-??-??.tif")})
    by_day = {day: {n: geotiffs / f"{n}_{day}.tif" for n in names} for day in days}
    there = {day: {n: path for n, path in paths.items() if path.is_file()} for day, paths in by_day.items()}
    return {day: paths for day, paths in there.items() if paths}


def _item(target: Path, day: str) -> Path:
    """Where the item of a day lies in a catalogue, as the layout of `write_stac` has it."""
    return target / "maps" / day[:4] / f"{day}.json"


def _moment(day: str, after: int = 0) -> datetime.datetime:
    """The first moment of a UTC day, or the last one ``after`` so many days from it."""
    start = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC)
    return start + after * datetime.timedelta(days=1) - bool(after) * datetime.timedelta(seconds=1)


def _outline(grid: Grid) -> dict[str, Any]:
    west, south, east, north = grid.bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _place(grid: Grid) -> dict[str, Any]:
    """Where the pixels are, so that a client need not open a file to know (projection extension)."""
    left, width, _, top, _, height = grid.geotransform
    return {"proj:code": f"EPSG:{grid.epsg}", "proj:shape": [grid.rows, grid.cols],
            "proj:transform": [width, 0.0, left, 0.0, height, top, 0.0, 0.0, 1.0]}  # fmt: skip


def _status(ds: xr.Dataset) -> dict[str, dict[str, str]]:
    """Whether each day of an archive is provisional or final."""
    if "day_status" not in ds:
        return {}
    words = dict(zip(np.atleast_1d(ds["day_status"].attrs["flag_values"]).tolist(),
                     str(ds["day_status"].attrs["flag_meanings"]).split(), strict=True))  # fmt: skip
    days = ds["time"].values.astype("M8[D]").astype(str)
    return {day: {"xsm:status": words[int(v)]} for day, v in zip(days, ds["day_status"].values, strict=True)}


def _asset_fields(array: xr.DataArray) -> dict[str, Any]:
    kind = {"b": "uint8"}.get(array.dtype.kind, str(array.dtype))
    band = {"name": str(array.name), "description": str(array.attrs.get("long_name", array.name)), "data_type": kind}
    return band | ({"unit": array.attrs["units"]} if array.attrs.get("units") else {}) | (
        {"nodata": "nan"} if array.dtype.kind == "f" else {}
    )  # fmt: skip


def _asset(path: Path, band: Mapping[str, Any]) -> pystac.Asset:
    import pystac

    return pystac.Asset(str(path), band["description"], media_type=MEDIA[".tif"], roles=["data"],
                        extra_fields={"bands": [dict(band)]})  # fmt: skip


def _copied(assets: Mapping[str, pystac.Asset]) -> dict[str, pystac.Asset]:
    return {name: asset.clone() for name, asset in assets.items()}
