"""Mosaics of GeoTIFF that a VRT lists: read tile by tile, without GDAL's driver for it.

A VRT can name any file of the machine and any address. Here it may name GeoTIFFs below its own folder alone, each for a
rectangle of pixels; everything else in it (expressions, warping, other formats) is refused.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import Affine
from rasterio.warp import transform
from rasterio.windows import Window

from xsm.errors import DataError
from xsm.io.geotiff_bands import Band, open_tiff, stored_window

START = (b"<VRTDataset",)
ASIDE = 0.6
"""Pixels of the mosaic by which a corner of a tile may lie aside; some coarse tiles of SoilGrids do by a half."""
LARGEST = 2**27
"""Bytes of a VRT; that of a global layer of SoilGrids has a few million."""
_GDAL = {"Byte": "uint8", **{f"{k}Int{b}": f"{k.lower()}int{b}" for k in ("", "U") for b in (16, 32)},
         **{f"Float{b}": f"float{b}" for b in (32, 64)}}  # fmt: skip


@dataclass(frozen=True)
class Tile:
    """A GeoTIFF of a mosaic: its rectangle of pixels (column, row, width, height) in the file and in the mosaic."""

    path: str
    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]

    def overlap(self, window: Window) -> tuple[slice, slice] | None:
        """Rows and columns of the mosaic that lie in both; None where there are none."""
        col, row, width, height = self.target
        rows = slice(max(row, window.row_off), min(row + height, window.row_off + window.height))
        cols = slice(max(col, window.col_off), min(col + width, window.col_off + window.width))
        return (rows, cols) if rows.start < rows.stop and cols.start < cols.stop else None


@dataclass(frozen=True)
class Mosaic:
    """Tiles on one lattice of pixels; where none lies, and where one says so, there is ``nodata``."""

    crs: CRS
    transform: Affine
    shape: tuple[int, int]
    band: Band
    tiles: tuple[Tile, ...]
    synthetic: str = ""
    path: str = ""

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """Read the stored numbers of a window, and where they stand for nothing; later tiles lie above earlier ones."""
        (fill,) = self.band.missing
        out = np.full((window.height, window.width), fill, self.band.dtype)
        for tile in self.tiles:
            part = tile.overlap(window)
            if part is None:
                continue
            try:
                values = self._values(tile, part)
            except DataError as error:
                message = f"{error.message.rstrip('.')}; it is a tile of '{self.path}'."
                raise DataError(message, hint=error.hint) from None
            rows, cols = (
                slice(p.start - o, p.stop - o) for p, o in zip(part, (window.row_off, window.col_off), strict=True)
            )
            out[rows, cols] = np.where(values == fill, out[rows, cols], values)
        return out, out == fill

    def _values(self, tile: Tile, part: tuple[slice, slice]) -> np.ndarray:
        """The pixels of a tile in a part of the mosaic; those of a coarser tile are repeated."""
        fill, dtype = self.band.missing[0], self.band.dtype
        (left, top, width, height), (col, row, across, down) = tile.source, tile.target
        rows = top + np.floor((np.arange(part[0].start, part[0].stop) - row + 0.5) * height / down).astype(int)
        cols = left + np.floor((np.arange(part[1].start, part[1].stop) - col + 0.5) * width / across).astype(int)
        with open_tiff(tile.path) as file:
            fits = rows[-1] < file.height and cols[-1] < file.width and file.count == 1 and file.dtypes[0] == dtype
            if not fits or not self._agrees(tile, file):
                raise DataError(
                    f"'{tile.path}' has other pixels, or lies elsewhere, than its VRT says.", hint="Get both again."
                )
            theirs = file.nodata
        window = Window(cols[0], rows[0], cols[-1] - cols[0] + 1, rows[-1] - rows[0] + 1)
        stored, _ = stored_window(tile.path, self.band, window)
        if theirs is not None and theirs != fill:
            stored[stored == theirs] = fill
        return stored[np.ix_(rows - rows[0], cols - cols[0])]

    def _agrees(self, tile: Tile, file: Any) -> bool:
        """Whether the corners of a tile lie, by its own place and CRS, where the mosaic has them."""
        (left, top, width, height), (col, row, across, down) = tile.source, tile.target
        theirs = [file.transform @ at for at in ((left, top), (left + width, top + height))]
        ours = [self.transform @ at for at in ((col, row), (col + across, row + down))]
        if file.crs != self.crs:
            if file.crs is None:
                return False
            theirs = list(zip(*transform(file.crs, self.crs, *zip(*theirs, strict=True)), strict=True))
        return bool(np.abs(np.subtract(theirs, ours)).max() <= ASIDE * self.transform.a)


def is_vrt(path: Path | str) -> bool:
    """Whether a name is that of a VRT.

    Examples
    --------
    >>> is_vrt("clay_0-5cm_mean.vrt")
    True
    """
    return str(path).lower().endswith(".vrt")


def open_vrt(path: Path | str) -> Mosaic:
    """Read which tiles a VRT lists; the tiles are opened when they are read.

    Parameters
    ----------
    path : Path or str
        Local file, or an http(s) address.

    Returns
    -------
    Mosaic

    Raises
    ------
    DataError
        For a file that is missing, no VRT, damaged, or more than a mosaic of the GeoTIFFs below its folder.
    """
    name = re.sub(r"^(https?):/+", r"\1://", str(path))
    try:
        state = None if "://" in name else os.stat(name)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).", hint="Check the path.") from None
    return _open(name, 0 if state is None else state.st_size, 0 if state is None else state.st_mtime_ns)


@functools.lru_cache(32)
def _open(name: str, size: int, _: int) -> Mosaic:
    text = _text(name, size)
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities are refused by `_text`
        (band,) = root.findall("VRTRasterBand")
        dtype = _GDAL[band.get("dataType", "Byte")]
        left, across, turn, top, lean, down = map(float, (root.findtext("GeoTransform") or "").split(","))
        shape = int(root.attrib["rasterYSize"]), int(root.attrib["rasterXSize"])
        crs = CRS.from_user_input((root.findtext("SRS") or "").strip())
        fill = float(band.findtext("NoDataValue") or "nan")
        tiles = tuple(_tiles(name, band))
    except (ElementTree.ParseError, ValueError, KeyError, TypeError, CRSError) as error:
        raise DataError(
            f"'{name}' is not a VRT that xsm reads ({error}).",
            hint="Give a mosaic of GeoTIFFs of one band, as `gdalbuildvrt` makes it, or convert it to GeoTIFF.",
        ) from None
    if turn or lean or across <= 0 or down >= 0 or np.isnan(fill) or not tiles or min(shape) < 1:
        raise DataError(
            f"'{name}' is rotated, or has no nodata value or no tile; expected rows along x, north first.",
            hint="Convert it with gdalwarp to a GeoTIFF.",
        )
    lattice = Affine(across, turn, left, lean, down, top)
    tags = {e.get("key"): e.text or "" for e in root.findall("Metadata/MDI")}
    return Mosaic(crs, lattice, shape, Band(1, dtype, (fill,)), tiles, tags.get("synthetic", ""), name)


def _text(name: str, size: int) -> bytes:
    if "://" in name:
        from xsm.web.http import read_url

        text = read_url(name, magic=START)
    elif size > LARGEST:
        raise DataError(f"'{name}' has {size} bytes, too many for a VRT.", hint="Check the file.")
    else:
        text = Path(name).read_bytes()
    if not text.lstrip().startswith(START) or b"<!" in text:
        raise DataError(f"'{name}' is not a VRT (it starts with {text[:20]!r}).", hint="Get it again.")
    return text


def _tiles(name: str, band: ElementTree.Element) -> Iterator[Tile]:
    folder = name.rpartition("/")[0] if "://" in name else str(Path(name).parent)
    for source in band:
        if source.tag in ("SimpleSource", "ComplexSource"):
            file = source.find("SourceFilename")
            inside = "" if file is None else (file.text or "").strip()
            plain = re.sub(r"^(\./)+", "", inside)
            relative = file is not None and file.get("relativeToVRT") == "1"
            if not relative or not re.fullmatch(r"[\w. +-]+(/[\w. +-]+)*\.tiff?", plain) or ".." in plain.split("/"):
                raise ValueError(f"it names '{inside}', expected GeoTIFFs below its folder")
            if source.findtext("SourceBand", "1") != "1":
                raise ValueError("it names another band than the first")
            if any(source.find(tag) is not None for tag in ("LUT", "ScaleRatio", "ScaleOffset", "Exponent")):
                raise ValueError("it changes values")
            yield Tile(f"{folder}/{plain}", _rectangle(source, "SrcRect"), _rectangle(source, "DstRect"))
        elif source.tag in ("KernelFilteredSource", "AveragedSource", "ArraySource") or "Function" in source.tag:
            raise ValueError(f"it has a {source.tag}")


def _rectangle(source: ElementTree.Element, tag: str) -> tuple[int, int, int, int]:
    element = source.find(tag)
    if element is None:
        raise ValueError(f"a tile has no {tag}")
    left, top, width, height = (round(float(element.attrib[k])) for k in ("xOff", "yOff", "xSize", "ySize"))
    if min(left, top) < 0 or min(width, height) < 1:
        raise ValueError(f"a tile has the {tag} {left}, {top}, {width}, {height}")
    return left, top, width, height
