"""A band of a GeoTIFF as a lazy array that reads only the windows it needs."""

from __future__ import annotations

import itertools
import os
import re
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rioxarray  # noqa: F401
import xarray as xr
from rasterio.enums import Compression
from rasterio.errors import RasterioError
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from xsm.contracts.source import Area
from xsm.errors import DataError, SkippedFile, tell

CHUNK = 1024
PIECE = 2**20
"""Bytes by which a tile is inflated at a time, so that no stream can fill the memory."""
WEB = "/vsicurl/"
OFFLINE = "Check the connection and the address."


def open_raster(
    path: Path | str, area: Area | None, *, margin: int = 8, on_error: Literal["raise", "skip"] = "raise"
) -> xr.DataArray | None:
    """Open the only band of a GeoTIFF lazily.

    Chunks are aligned with the file, so that no internal tile is decoded twice.

    Parameters
    ----------
    path : Path or str
        Local file, or an http(s) address, which is read by range requests.
    area : Area, optional
        What to read: the pixels of its box in the raster's CRS, and ``margin`` more on each side.
    margin : int
        Pixels.
    on_error : {"raise", "skip"}
        Effect of damage that shows only when a block is read: an error, or a warning and the file's nodata value in the
        block (255 in files of bytes that have none; in other files without one an error).

    Returns
    -------
    xarray.DataArray or None
        Dims (y, x) in the file's dtype, with its CRS; attributes ``nodata`` (None where the file has none) and
        ``synthetic``. None if the file does not touch the area.

    Raises
    ------
    DataError
        For a file that is missing, damaged, not single-band, rotated or without CRS.

    Examples
    --------
    >>> import numpy as np, rioxarray, xarray as xr
    >>> layer = xr.DataArray(np.ones((4, 5), "f4"), {"y": 36 - np.arange(4.0), "x": -98 + np.arange(5.0)}, ("y", "x"))
    >>> layer.rio.write_crs("EPSG:4326").rio.to_raster("layer.tif")
    >>> open_raster("layer.tif", None).shape
    (4, 5)
    """
    name = vsi_name(path)
    try:
        with rasterio.open(name) as file:
            _check(file, path)
            window = raster_window(file.crs, file.transform, file.shape, area, margin=margin)
            if window is None:
                return None
            rows, cols = window
            left, top = (
                file.transform.c + cols.start * file.transform.a,
                file.transform.f + rows.start * file.transform.e,
            )
            transform = from_origin(left, top, file.transform.a, -file.transform.e)
            array = xr.DataArray(
                _lazy(name, rows, cols, file.dtypes[0], _stand_in(file) if on_error == "skip" else None),
                coords={
                    "y": top + (np.arange(rows.stop - rows.start) + 0.5) * transform.e,
                    "x": left + (np.arange(cols.stop - cols.start) + 0.5) * transform.a,
                },
                dims=("y", "x"),
                attrs={"nodata": file.nodata, "synthetic": file.tags().get("synthetic", "")},
            )
            return array.rio.write_crs(file.crs).rio.write_transform(transform).rio.write_coordinate_system()
    except RasterioError as error:
        where, hint = _address_and_hint(name, "Get it again.")
        raise DataError(f"'{where}' {_damage(path)}, expected a GeoTIFF ({error}).", hint=hint) from None


def vsi_name(path: Path | str) -> str:
    """Name for GDAL; an http(s) address, also one squeezed through ``Path``, is read through /vsicurl/.

    Examples
    --------
    >>> vsi_name(Path("https://example.org/a.tif"))
    '/vsicurl/https://example.org/a.tif'
    """
    return re.sub(r"^(https?):/+", rf"{WEB}\1://", str(path))


def _address_and_hint(name: str, hint: str) -> tuple[str, str]:
    """The path or address that a name for GDAL stands for, and what to do if it cannot be read: ``hint`` for a path."""
    return name.removeprefix(WEB), OFFLINE if name.startswith(WEB) else hint


def _check(file: Any, path: Path | str) -> None:
    if file.count != 1:
        raise DataError(f"'{path}' has {file.count} bands, expected one.", hint="Give the product's own files.")
    if file.crs is None:
        raise DataError(f"'{path}' has no CRS.", hint="Set it with `gdal_edit.py -a_srs`.")
    if file.transform.b or file.transform.d:
        raise DataError(f"'{path}' is rotated, expected rows along x.", hint="Warp it with gdalwarp.")
    if Path(path).exists():
        height, width = file.block_shapes[0]
        last = f"{(file.width - 1) // width}_{(file.height - 1) // height}"
        place, size = (file.get_tag_item(f"BLOCK_{what}_{last}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE"))
        if place and size and int(place) + int(size) > os.path.getsize(path):
            raise DataError(f"'{path}' is truncated.", hint="Get it again.")


def _check_streams(file: Any, window: Window) -> None:
    """Inflate the tiles under a window of a local file, since GDAL ignores the checksum at their end."""
    if file.compression != Compression.deflate or not Path(file.name).is_file():
        return
    height, width = file.block_shapes[0]
    first_row, first_col = window.row_off // height, window.col_off // width
    last_row = (window.row_off + window.height - 1) // height
    last_col = (window.col_off + window.width - 1) // width
    with open(file.name, "rb") as raw:
        for row, col in itertools.product(range(first_row, last_row + 1), range(first_col, last_col + 1)):
            place, size = (
                file.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE")
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


def raster_window(
    crs: Any, transform: Any, shape: tuple[int, int], area: Area | None, *, margin: int = 8
) -> tuple[slice, slice] | None:
    """Find the rows and columns of a raster that cover an area's box, and ``margin`` pixels more on each side.

    Parameters
    ----------
    crs : rasterio.crs.CRS or str
        Of the raster.
    transform : affine.Affine
        Of the raster, not rotated.
    shape : tuple of int
        Rows and columns of the raster.
    area : Area, optional
        The whole raster by default.
    margin : int
        Pixels.

    Returns
    -------
    tuple of slice or None
        None if the raster does not touch the area.

    Examples
    --------
    >>> from affine import Affine
    >>> raster_window("EPSG:4326", Affine(1, 0, -100, 0, -1, 40), (10, 20), None)
    (slice(0, 10, None), slice(0, 20, None))
    """
    if area is None:
        return slice(0, shape[0]), slice(0, shape[1])
    west, south, east, north = transform_bounds("EPSG:4326", crs, *area.bbox, densify_pts=101)
    rows = _span(north, south, transform.f, transform.e, shape[0], margin)
    cols = _span(west, east, transform.c, transform.a, shape[1], margin)
    return None if rows is None or cols is None else (rows, cols)


def _span(first: float, last: float, origin: float, step: float, size: int, margin: int) -> slice | None:
    if not np.isfinite([first, last]).all():  # outside of the projection
        return slice(0, size)
    low, high = sorted(((first - origin) / step, (last - origin) / step))
    if high <= 0 or low >= size:
        return None
    return slice(max(int(np.floor(low)) - margin, 0), min(int(np.ceil(high)) + margin, size))


def _stand_in(file: Any) -> float | None:
    """The value for a block that cannot be read; None if the file has no such value."""
    return file.nodata if file.nodata is not None or file.dtypes[0] != "uint8" else 255


def _lazy(name: str, rows: slice, cols: slice, dtype: str, stand_in: float | None) -> Any:
    import dask.array as da

    def read(block_info: Any = None) -> np.ndarray:
        (r0, r1), (c0, c1) = block_info[None]["array-location"]
        try:
            return _block(name, Window(cols.start + c0, rows.start + r0, c1 - c0, r1 - r0))
        except DataError as error:
            if stand_in is None:
                raise
            tell(SkippedFile(name, error))
            return np.full((r1 - r0, c1 - c0), stand_in, dtype)

    chunks = tuple(tuple(_sizes(span)) for span in (rows, cols))
    return da.map_blocks(read, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype))


def _block(name: str, window: Window) -> np.ndarray:
    try:
        with rasterio.open(name) as file:
            _check_streams(file, window)
            return file.read(1, window=window)
    except (RasterioError, ValueError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        where, hint = _address_and_hint(name, "It may be truncated; get it again.")
        raise DataError(f"'{where}' cannot be read ({error}).", hint=hint) from error


def _sizes(span: slice) -> list[int]:
    edges = [span.start, *range((span.start // CHUNK + 1) * CHUNK, span.stop, CHUNK), span.stop]
    return np.diff(edges).tolist()


def _damage(path: Path | str) -> str:
    if vsi_name(path) != str(path):
        return "cannot be read"
    if not Path(path).is_file():
        return "does not exist"
    try:
        with open(path, "rb") as file:
            head = file.read(512).lower()
    except OSError:
        return "cannot be read"
    return "is an HTML page" if b"<html" in head or b"<!doctype" in head else "cannot be read"
