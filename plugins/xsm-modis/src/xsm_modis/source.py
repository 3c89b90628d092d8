"""MODIS land cover as one map of IGBP classes on the grid of its files (documentation: Formats, Land cover)."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import DataError, UsageError
from xsm.plugin_api import Area, Request, canonical_attrs, tell

from xsm_modis import INFO
from xsm_modis.hdf4 import open_hdf4
from xsm_modis.layout import UNCLASSIFIED, YEAR
from xsm_modis.names import is_igbp, is_netcdf, only_igbp

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest

PRODUCT = re.compile(r"MCD12(Q1|C1)\.", re.IGNORECASE)
PLACE = re.compile(r"\.h\d\dv\d\d\.")
VERSION = re.compile(r"\.0(\d)(\d)(?:\.(\d{13}))?[._]")
"""Version (006, 061) and time of production."""
OLD_VERSION = re.compile(r"\.0(?:05|51)[._]")
CLASSES = (
    "evergreen_needleleaf_forests", "evergreen_broadleaf_forests", "deciduous_needleleaf_forests",
    "deciduous_broadleaf_forests", "mixed_forests", "closed_shrublands", "open_shrublands", "woody_savannas",
    "savannas", "grasslands", "permanent_wetlands", "croplands", "urban_and_built_up_lands",
    "cropland_natural_vegetation_mosaics", "permanent_snow_and_ice", "barren", "water_bodies",
)  # fmt: skip
"""IGBP classes 1 to 17."""


class LandCoverSource:
    """MCD12Q1 tiles and MCD12C1 maps: HDF4 as distributed, or GeoTIFF as AppEEARS and GDAL write it."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Return by its name whether a file contains IGBP classes of MCD12Q1 or MCD12C1."""
        return is_igbp(Path(path).name) or is_netcdf(Path(path).name)

    def open(self, request: Request) -> xr.Dataset:
        """Open the land cover of one year as a lazy map; tiles of the year are put together.

        Of several files of one tile the highest version, then the latest production is read, with a warning.

        Parameters
        ----------
        request : Request
            Files such as ``MCD12Q1.A2020001.h08v05.061.2022171160153.hdf``, or GeoTIFF such as
            ``MCD12Q1.061_LC_Type1_doy2020001_aid0001.tif`` in any CRS. The region is read with a margin of 8 pixels.
            Its time has no effect; choose the ``year``. Options:

            year : int, optional
                The latest of the files, with a warning where there are several.
            legend : {"MCD12Q1", "MCD12C1"}, optional
                Classes 1 to 17, or 0 to 16 with 0 for water; by default that of the file name.

        Returns
        -------
        xarray.Dataset
            ``land_cover`` uint8 (y, x): IGBP 1 to 17 (17 water), 255 unclassified or outside the files.

        Raises
        ------
        DataError
            For damaged files, a year that is not there, or files that do not touch the region.
        MissingPlugin
            For HDF4 files without pyhdf.
        """
        if unknown := [v for v in request.variables or () if v != "land_cover"]:
            raise UsageError(f"MODIS land cover has no variable '{unknown[0]}'.", hint="It has: land_cover.")
        if request.units.get("land_cover") is not None:
            raise UsageError("Land cover is classes, which have no unit.", hint="Leave 'land_cover' out of <units=>.")
        igbp = only_igbp([Path(p) for p in request.paths])
        files, year = _of_year(igbp, request.options["year"])
        files = _latest(files)
        tiles, skipped = [], []
        for path in files:
            try:
                tiles += _open_tile(path, request)
            except DataError as error:
                if request.on_error == "raise":
                    raise
                skipped.append(str(error))
        if not tiles:
            region = request.region
            why = "can be read" if region is None or skipped else f"touches the region {region.bbox}"
            first = skipped[0] if skipped else f"'{files[0]}'."
            raise DataError(f"None of {len(files)} files {why}, the first: {first}", hint="Check region and paths.")
        tiles = _without_older(tiles)
        land_cover = mosaic(tiles)
        synthetic = tiles[0].attrs["synthetic"]
        land_cover.attrs = canonical_attrs("land_cover") | {
            "flag_values": np.arange(1, 18, dtype="u1"),
            "flag_meanings": " ".join(CLASSES),
            "_FillValue": np.uint8(UNCLASSIFIED),
        }
        land_cover.encoding = {"grid_mapping": "spatial_ref"}
        attrs = {
            "title": "MODIS land cover, IGBP classes",
            "source": ", ".join(sorted({p.name[:7].upper() for p in files if PRODUCT.match(p.name)}))
            or request.options["legend"],
            "references": f"https://doi.org/{INFO.doi}",
            "year": year,
            "synthetic": synthetic,
            "skipped": skipped,
        }
        return land_cover.to_dataset(name="land_cover").assign_attrs({k: v for k, v in attrs.items() if v})

    def fetch(
        self, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool, version: str = "061"
    ) -> Manifest:
        """Fetch the MCD12Q1 tiles of a region, of every year of the period; see `xsm_modis.fetch.tiles`."""
        from xsm.plugin_api import EARTHDATA, closed_period, download

        from xsm_modis.fetch import tiles

        return download(tiles(closed_period(time), region, version), dest, login=EARTHDATA, dry_run=dry_run)

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as an AppEEARS GeoTIFF; see `xsm_modis.write.write`."""
        from xsm_modis.write import write

        return write(world, dest)


def lookup(legend: str, nodata: float | None) -> np.ndarray:
    """Table of 256 from stored values to IGBP 1 to 17; all else is 255.

    Examples
    --------
    >>> lookup("MCD12C1", 255)[[0, 16, 17, 255]]
    array([ 17,  16, 255, 255], dtype=uint8)
    """
    table = np.full(256, UNCLASSIFIED, "u1")
    table[1:17] = np.arange(1, 17)
    table[17 if legend == "MCD12Q1" else 0] = 17
    if nodata is not None and 0 <= nodata <= UNCLASSIFIED:
        table[int(nodata)] = UNCLASSIFIED
    return table


def legend_of(path: Path) -> str:
    """The legend by the product in a file name; versions 5 and 5.1 of MCD12Q1 count from 0 too."""
    match = PRODUCT.match(path.name)
    if match is None:
        raise DataError(
            f"The name of '{path}' does not say its legend.", hint="Give <legend=MCD12Q1> or <legend=MCD12C1>."
        )
    return "MCD12Q1" if match[1].upper() == "Q1" and not OLD_VERSION.search(path.name) else "MCD12C1"


def mosaic(tiles: Sequence[xr.DataArray]) -> xr.DataArray:
    """Put tiles of one pixel lattice together; where they overlap the first classified one counts.

    Raises
    ------
    DataError
        For tiles in different CRS or off each other's pixels.
    """
    import dask.array as da
    from rasterio.transform import from_origin

    if len(tiles) == 1:
        return tiles[0]
    first = tiles[0].rio.transform()
    places = [_place(tile, tiles[0]) for tile in tiles]
    row0, col0 = min(r for r, _ in places), min(c for _, c in places)
    rows = max(r + t.shape[0] for (r, _), t in zip(places, tiles, strict=True)) - row0
    cols = max(c + t.shape[1] for (_, c), t in zip(places, tiles, strict=True)) - col0
    layers = [
        da.pad(
            tile.data,
            ((r - row0, rows - (r - row0) - tile.shape[0]), (c - col0, cols - (c - col0) - tile.shape[1])),
            constant_values=UNCLASSIFIED,
        ).rechunk(2048)
        for (r, c), tile in zip(places, tiles, strict=True)
    ]
    data = functools.reduce(lambda above, below: da.map_blocks(_over, above, below, dtype="u1"), layers)
    left, top = first.c + col0 * first.a, first.f + row0 * first.e
    whole = xr.DataArray(
        data,
        dims=("y", "x"),
        coords={
            "y": top + (np.arange(rows) + 0.5) * first.e,
            "x": left + (np.arange(cols) + 0.5) * first.a,
        },
    )
    return (
        whole.rio.write_crs(tiles[0].rio.crs)
        .rio.write_transform(from_origin(left, top, first.a, -first.e))
        .rio.write_coordinate_system()
    )


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The classes of the upper tile, and of the lower one where it has none; tells where they contradict."""
    differ = (above != UNCLASSIFIED) & (below != UNCLASSIFIED) & (above != below)
    if differ.any():
        tell(f"{int(differ.sum())} pixels have other classes in another file; those of the file given first are used.")
    return np.where(above == UNCLASSIFIED, below, above)


def _place(tile: xr.DataArray, first: xr.DataArray) -> tuple[int, int]:
    expected, place = first.rio.transform(), tile.rio.transform()
    col, row = (place.c - expected.c) / expected.a, (place.f - expected.f) / expected.e
    same_pixel = np.allclose((place.a, place.e), (expected.a, expected.e), rtol=1e-6)
    if tile.rio.crs != first.rio.crs or not same_pixel or max(abs(col - round(col)), abs(row - round(row))) > 0.01:
        raise DataError("The tiles are not on one pixel lattice.", hint="Warp them to one grid, or give one file.")
    return round(row), round(col)


def _open_tile(path: Path, request: Request) -> list[xr.DataArray]:
    from xsm.plugin_api import open_raster

    table_of = request.options["legend"] or legend_of(path)
    hdf4 = path.suffix.lower() in (".hdf", ".hdf4")
    opener = open_hdf4 if hdf4 else functools.partial(open_raster, decode=False)
    raster = opener(path, request.region, on_error=request.on_error)
    if raster is None:
        return []
    if raster.dtype != np.uint8:
        raise DataError(f"'{path}' contains {raster.dtype}, expected uint8 classes.", hint="Give LC_Type1 as it is.")
    at = raster.rio.transform()
    if abs(at.a + at.e) > 1e-6 * at.a or (at.c, at.f) == (0, 0):
        tell(f"'{path}' has pixels of {at.a:g} x {-at.e:g} from ({at.c:g}, {at.f:g}): its place is doubtful.")
    if (raster.attrs.get("scale", 1.0), raster.attrs.get("offset", 0.0)) != (1.0, 0.0):
        raise DataError(f"'{path}' has a scale, expected classes as they are.", hint="Give LC_Type1 as it is.")
    known = functools.partial(classified, legend=table_of, nodata=raster.attrs["nodata"], path=str(path))
    raster.attrs["path"] = path
    return [raster.copy(data=raster.data.map_blocks(known, dtype="u1", meta=np.empty((0, 0), "u1")))]


def classified(stored: np.ndarray, *, legend: str, nodata: float | None, path: str) -> np.ndarray:
    """Turn stored numbers into IGBP 1 to 17; numbers that are no class in any legend stop, those of the other are told.

    Examples
    --------
    >>> classified(np.array([0, 16, 255], "u1"), legend="MCD12C1", nodata=255, path="a.tif")
    array([ 17,  16, 255], dtype=uint8)
    """
    numbers = np.flatnonzero(np.bincount(stored.ravel(), minlength=256))
    numbers = numbers[numbers != nodata]
    if (none := numbers[(numbers > 17) & (numbers < 254)]).size:
        raise DataError(
            f"'{path}' contains {none[-1]}, which is not an IGBP class (0 to 17).",
            hint="Give LC_Type1 or Majority_Land_Cover_Type_1; percentages and other layers are not classes.",
        )
    wrong, other = (0, "MCD12C1") if legend == "MCD12Q1" else (17, "MCD12Q1")
    if wrong in numbers:
        tell(
            f"'{path}' contains {wrong}, which is not a class of {legend}; these pixels become missing. If they are "
            f"water, the legend is {other}."
        )
    return lookup(legend, nodata).take(stored)


def _of_year(paths: Sequence[Path], year: int | None) -> tuple[list[Path], int | None]:
    by_year: dict[int | None, list[Path]] = {}
    for path in paths:
        match = YEAR.search(path.name)
        by_year.setdefault(int(match[1]) if match else None, []).append(path)
    known = sorted(y for y in by_year if y is not None)
    if year is None and known:
        year = known[-1]
        if len(known) > 1:
            tell(f"There is land cover of {', '.join(map(str, known))}; that of {year} is read.")
    if year is not None and known and year not in known:
        raise DataError(f"There is no land cover of {year}.", hint=f"Available: {', '.join(map(str, known))}.")
    if year is not None and year in by_year and None in by_year:
        tell(f"The name of '{by_year[None][0].name}' contains no year; it is left out, as others are of {year}.")
    return (by_year[year], year) if year in by_year else (by_year.get(None, []), year)


def _latest(paths: Sequence[Path]) -> list[Path]:
    """Leave out files of a tile of which there is a later version or production."""
    best: dict[tuple[str, str], tuple[int, int, str]] = {}
    for path in paths:
        best[_place_of(path)] = max(best.get(_place_of(path), (0, 0, "")), _rank(path))
    older = [p for p in paths if _rank(p) < best[_place_of(p)]]
    _tell_older(older)
    return [p for p in paths if p not in older]


def _without_older(tiles: Sequence[xr.DataArray]) -> list[xr.DataArray]:
    """Leave out maps of which a later version covers a part; names of areas (aid0001) do not tell where they are."""
    older = [
        t
        for t in tiles
        if any(
            _rank(t.attrs["path"]) < _rank(o.attrs["path"]) and _overlap(t, o) and _same_product(t, o) for o in tiles
        )
    ]
    _tell_older([t.attrs["path"] for t in older])
    return [t for t in tiles if not any(t is o for o in older)]


def _same_product(one: xr.DataArray, other: xr.DataArray) -> bool:
    first, second = (PRODUCT.match(t.attrs["path"].name) for t in (one, other))
    return first is not None and second is not None and first[1].upper() == second[1].upper()


def _overlap(one: xr.DataArray, other: xr.DataArray) -> bool:
    if one.rio.crs != other.rio.crs:
        return False
    (left, bottom, right, top), (west, south, east, north) = one.rio.bounds(), other.rio.bounds()
    slack = abs(one.rio.transform().a) / 2
    return bool(left < east - slack and west < right - slack and bottom < north - slack and south < top - slack)


def _tell_older(older: Sequence[Path]) -> None:
    if older:
        tell(
            f"{len(older)} files are not read, because there is a later version of the same tile, the first: "
            f"'{older[0].name}'."
        )


def _place_of(path: Path) -> tuple[str, str]:
    product, place = PRODUCT.match(path.name), PLACE.search(path.name)
    return (product[1].upper(), place[0]) if product and place else ("", str(path))


def _rank(path: Path) -> tuple[int, int, str]:
    """Version 6.1, written 061, is above 6 (006), which is above 5.1 (051)."""
    version = VERSION.search(path.name)
    if version is None:
        return 0, 0, ""
    whole, part = (version[1], version[2]) if version[1] != "0" else (version[2], "0")
    return int(whole), int(part), version[3] or ""
