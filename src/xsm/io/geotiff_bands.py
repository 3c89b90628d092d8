"""GeoTIFF of anybody, opened as GeoTIFF and as nothing else, and what its bands mean.

A file that is named .tif can be a text that makes GDAL open other files and addresses (VRT, WMS). So the first bytes
choose the driver, here and for the files beside it that GDAL follows (masks, overviews).
"""

from __future__ import annotations

import itertools
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Compression, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from xsm.data.first_bytes import WEB_PAGE, kind_of
from xsm.errors import Counted, DataError, tell
from xsm.io.fills import warn_of_fills

PIECE = 2**20
"""Bytes by which a tile is inflated at a time, so that no stream can fill the memory."""
WEB = "/vsicurl/"
OFFLINE = "Check the connection and the address."
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SIDECARS = (".msk", ".ovr")


@dataclass(frozen=True)
class Band:
    """How the stored numbers of a band become values."""

    number: int
    dtype: str
    """Of the stored numbers."""
    missing: tuple[float, ...] = ()
    """Stored numbers that stand for nothing."""
    scale: float = 1.0
    offset: float = 0.0
    valid: tuple[float, float] = (-np.inf, np.inf)
    """Stored numbers outside are missing, by the tags ``valid_range``, ``valid_min`` and ``valid_max``."""
    masked: bool = False
    """Whether a mask (internal, .msk, or a band of transparency) marks more missing pixels."""

    def out(self) -> np.dtype:
        """Floats that hold the values, float32 for up to 16 bits; the type as it is where each number is a value."""
        stored = np.dtype(self.dtype)
        if stored.kind == "f" or self.plain():
            return stored
        return np.dtype("f4" if stored.itemsize <= 2 else "f8")

    def plain(self) -> bool:
        """Whether every stored number is a value as it is."""
        bounded = np.isfinite(self.valid).any()
        return not (self.missing or self.masked or bounded) and (self.scale, self.offset) == (1.0, 0.0)


def vsi_name(path: Path | str) -> str:
    """Name for GDAL; an http(s) address, also one squeezed through ``Path``, is read through /vsicurl/.

    Examples
    --------
    >>> vsi_name(Path("https://example.org/a.tif"))
    '/vsicurl/https://example.org/a.tif'
    """
    return re.sub(r"^(https?):/+", rf"{WEB}\1://", str(path))


def address_and_hint(name: str, hint: str) -> tuple[str, str]:
    """The path or address that a name for GDAL stands for, and what to do if it cannot be read: ``hint`` for a path."""
    return name.removeprefix(WEB), OFFLINE if name.startswith(WEB) else hint


@contextmanager
def open_tiff(path: Path | str) -> Iterator[Any]:
    """Open a local GeoTIFF, or one at an address, as a GeoTIFF.

    Raises
    ------
    DataError
        For what is missing, damaged or another format, and for a file that names others as its overviews or masks.

    Examples
    --------
    >>> with open_tiff("layer.tif") as file:  # doctest: +SKIP
    ...     file.crs
    """
    name = vsi_name(path)
    web = name.startswith(WEB)
    if not web:
        _check_start(Path(path))
    try:
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR" if web else "FALSE"),
            rasterio.open(name, driver="GTiff") as file,
        ):
            if file.tags(ns="OVERVIEWS"):
                raise DataError(f"'{path}' names other files as its overviews.", hint="Copy it with gdal_translate.")
            yield file
    except RasterioError as error:
        where, hint = address_and_hint(name, "It may be truncated; get it again.")
        expected = "" if web else ", expected a GeoTIFF"
        raise DataError(f"'{where}' cannot be read{expected} ({error}).", hint=hint) from None


def _check_start(path: Path) -> None:
    """Refuse what is not a TIFF by its first bytes, and files beside it that GDAL would follow and are not."""
    if not path.is_file():
        raise DataError(f"'{path}' does not exist.", hint="Check the path.")
    try:
        head = _head(path)
        beside = [
            Path(entry.path)
            for entry in os.scandir(path.absolute().parent)
            if entry.name.lower().startswith(f"{path.name.lower()}.") and entry.name.lower().endswith(SIDECARS)
        ]
        wrong = [p for p in beside if not _head(p).startswith(TIFF)]
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).", hint="Check its permissions.") from None
    if not head.startswith(TIFF):
        what = kind_of(head)
        hint = "Get it again." if what in (WEB_PAGE, "") else "Give the GeoTIFF itself, or convert it."
        raise DataError(f"'{path}' {f'is {what}' if what else 'cannot be read'}, expected a GeoTIFF.", hint=hint)
    if wrong:
        raise DataError(
            f"'{wrong[0].name}' beside '{path}' is not a GeoTIFF, as a mask or overview must be.", hint="Remove it."
        )


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(1024)


def check_place(file: Any, path: Path | str) -> None:
    """Refuse a file whose pixels are not rows and columns of its CRS, and one that is cut short."""
    if file.gcps[0]:
        raise DataError(
            f"'{path}' is placed by control points, expected rows and columns of a CRS.",
            hint="Warp it with gdalwarp.",
        )
    if file.transform.b or file.transform.d:
        raise DataError(f"'{path}' is rotated, expected rows along x.", hint="Warp it with gdalwarp.")
    if Path(path).exists():
        height, width = file.block_shapes[-1]
        last = f"{(file.width - 1) // width}_{(file.height - 1) // height}"
        place, size = (file.get_tag_item(f"BLOCK_{w}_{last}", "TIFF", bidx=file.count) for w in ("OFFSET", "SIZE"))
        if place and size and int(place) + int(size) > os.path.getsize(path):
            raise DataError(f"'{path}' is truncated.", hint="Get it again.")


def bands_of(file: Any) -> list[Band]:
    """How each band is stored; a band of transparency is not a band but a mask of the others.

    A scale, an offset and fill values count from GDAL's own fields, and from the tags ``scale_factor``, ``add_offset``,
    ``_FillValue`` and ``missing_value`` of integers, which come from NetCDF.
    """
    numbers = [i for i, c in zip(file.indexes, file.colorinterp, strict=True) if c != ColorInterp.alpha]
    return [_band(file, number) for number in numbers]


def _band(file: Any, number: int) -> Band:
    dtype, tags = file.dtypes[number - 1], tags_of(file, number)
    nodata = [] if file.nodatavals[number - 1] is None else [float(file.nodatavals[number - 1])]
    named = [v for key in ("_FillValue", "missing_value") for v in numbers_in(tags.get(key, ""))]
    scale, offset = file.scales[number - 1], file.offsets[number - 1]
    in_tags = [(numbers_in(tags.get(k, "")) or [d])[0] for k, d in (("scale_factor", 1.0), ("add_offset", 0.0))]
    if (scale, offset) == (1.0, 0.0) and in_tags != [1.0, 0.0]:
        if np.dtype(dtype).kind in "iu":
            scale, offset = in_tags
        else:
            tell(
                f"'{file.name}' has the tag scale_factor={in_tags[0]:g} (add_offset={in_tags[1]:g}), which is not "
                f"applied, for its numbers are {dtype}."
            )
    elif in_tags not in ([1.0, 0.0], [scale, offset]) and not np.allclose(in_tags, [scale, offset], rtol=1e-6, atol=0):
        raise DataError(
            f"'{file.name}' has the scale {scale:g} and the offset {offset:g} in band {number}, but the tags "
            f"scale_factor={in_tags[0]:g} and add_offset={in_tags[1]:g}.",
            hint=f"If the tags are right: `gdal_edit.py -scale {in_tags[0]:g} -offset {in_tags[1]:g}`; if the scale "
            "is: `gdal_translate -unscale -ot Float32`.",
        )
    if scale == 0 or not np.isfinite([scale, offset]).all():
        raise DataError(
            f"'{file.name}' has the scale {scale:g} and the offset {offset:g} in band {number}, expected numbers "
            "other than 0.",
            hint="Correct them with `gdal_edit.py -scale 1 -offset 0`.",
        )
    flags = set(file.mask_flag_enums[number - 1])
    masked = bool(flags & {MaskFlags.per_dataset, MaskFlags.alpha}) or (
        MaskFlags.all_valid not in flags and MaskFlags.nodata not in flags
    )
    missing = tuple(dict.fromkeys(nodata + named))
    valid = _valid_range(tags, float(scale), float(offset))
    return Band(number, dtype, missing, float(scale), float(offset), valid, masked)


def _valid_range(tags: Mapping[str, str], scale: float, offset: float) -> tuple[float, float]:
    """Smallest and largest stored number that counts; fractions, and a range of 1 or less, are of values."""
    ends = numbers_in(tags.get("valid_range", ""))
    if len(ends) != 2:
        ends = [(numbers_in(tags.get(k, "")) or [d])[0] for k, d in (("valid_min", -np.inf), ("valid_max", np.inf))]
    low, high = ends
    if any(np.isfinite(v) and v % 1 for v in ends) or high - low <= 1:
        low, high = sorted((v - offset) / scale for v in ends)
    return (low, high) if low < high else (-np.inf, np.inf)


def is_classes(file: Any, band: Band) -> bool:
    """Whether a band is a map of classes, whose numbers are names: one with a palette."""
    return file.colorinterp[band.number - 1] == ColorInterp.palette and (band.scale, band.offset) == (1.0, 0.0)


def tags_of(file: Any, number: int) -> dict[str, str]:
    """Tags of a band, and those of the file for it, without the name of a NetCDF variable (``sm#units``)."""
    both = {**file.tags(), **file.tags(number)}
    return {str(k).rpartition("#")[2]: str(v) for k, v in both.items()}


def numbers_in(text: str) -> list[float]:
    """Numbers of a tag, such as ``{0,1,2}`` or ``-9999.0f``; empty if it has anything else.

    Examples
    --------
    >>> numbers_in("{0, 1.5}"), numbers_in("none")
    ([0.0, 1.5], [])
    """
    try:
        return [float(re.sub(r"(?<=[\d.])[fbsul]+$", "", p)) for p in re.split(r"[,\s]+", text.strip(" {}[]")) if p]
    except ValueError:
        return []


def stored_window(path: Path | str, band: Band, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the stored numbers of a window, and where they stand for nothing (None: nowhere)."""
    try:
        with open_tiff(path) as file:
            _check_streams(file, band.number, window)
            stored = file.read(band.number, window=window)
            missing = file.read_masks(band.number, window=window) == 0 if band.masked else None
    except (ValueError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"'{path}' cannot be read ({error}).", hint="It may be truncated; get it again.") from error
    for value in band.missing:
        equal = (
            np.isnan(stored) if value != value and stored.dtype.kind == "f" else stored == _like(value, stored.dtype)
        )
        missing = equal if missing is None else missing | equal
    invalid = _invalid(stored, missing, band, path)
    return stored, missing if invalid is None else invalid if missing is None else missing | invalid


def _invalid(stored: np.ndarray, missing: np.ndarray | None, band: Band, path: Path | str) -> np.ndarray | None:
    """Where numbers that are not missing lie outside the band's valid range, which a warning counts."""
    low, high = band.valid
    if not np.isfinite(band.valid).any():
        return None
    invalid = (stored < low) | (stored > high)
    invalid &= True if missing is None else ~missing
    if invalid.any():
        what = f"'{path}' are outside {low:g} to {high:g}, the valid range of its numbers, and become missing."
        wrong = stored[invalid]
        tell(Counted(what, wrong.size, stored.size, float(wrong.min()), float(wrong.max())))
    return invalid


def _like(value: float, dtype: np.dtype) -> Any:
    """A fill value in the type of the numbers, as -3.4e38 that was written with fewer digits."""
    if dtype.kind != "f":
        return value
    with np.errstate(over="ignore"):
        near = np.asarray(value).astype(dtype)
    return np.clip(near, np.finfo(dtype).min, np.finfo(dtype).max)


def values_of(stored: np.ndarray, missing: np.ndarray | None, band: Band, path: Path | str) -> np.ndarray:
    """Decode stored numbers: floats, NaN where missing, with scale and offset."""
    warn_of_fills(stored if missing is None else stored[~missing], path)
    values = stored.astype(band.out(), copy=False)
    if (band.scale, band.offset) != (1.0, 0.0):
        values = (stored.astype("f8") * band.scale + band.offset).astype(band.out())
    if missing is not None:
        values[missing] = np.nan
    return values


def _check_streams(file: Any, band: int, window: Window) -> None:
    """Inflate the tiles under a window of a local file, since GDAL ignores the checksum at their end."""
    if file.compression != Compression.deflate or not Path(file.name).is_file():
        return
    height, width = file.block_shapes[band - 1]
    first_row, first_col = window.row_off // height, window.col_off // width
    last_row = (window.row_off + window.height - 1) // height
    last_col = (window.col_off + window.width - 1) // width
    with open(file.name, "rb") as raw:
        for row, col in itertools.product(range(first_row, last_row + 1), range(first_col, last_col + 1)):
            place, size = (
                file.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band) for what in ("OFFSET", "SIZE")
            )
            if not place or not size:  # a tile that was never written
                continue
            raw.seek(int(place))
            stream = zlib.decompressobj()
            try:
                packed = raw.read(int(size))
                while packed and not stream.eof:
                    stream.decompress(packed, PIECE)
                    packed = stream.unconsumed_tail
            except zlib.error as error:
                raise DataError(f"'{file.name}' is damaged ({error}).", hint="Get it again.") from None
            if not stream.eof:
                raise DataError(f"'{file.name}' has a tile that is cut short.", hint="Get it again.")
