"""A band of a GeoTIFF, or of a mosaic of them, as a lazy array that reads only the windows it needs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rioxarray  # noqa: F401
import xarray as xr
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from xsm.contracts.source import Area
from xsm.errors import DataError, SkippedFile, tell
from xsm.io.geotiff_bands import Band, bands_of, check_place, is_classes, open_tiff, stored_window, values_of
from xsm.io.vrt import is_vrt, open_vrt

CHUNK = 1024
Read = Callable[[Window], tuple[np.ndarray, np.ndarray | None]]
"""Reads the stored numbers of a window, and where they stand for nothing."""


def open_raster(
    path: Path | str,
    area: Area | None,
    *,
    margin: int = 8,
    on_error: Literal["raise", "skip"] = "raise",
    decode: bool = True,
) -> xr.DataArray | None:
    """Open the only band of a GeoTIFF, or of a VRT that puts GeoTIFFs beside it together, lazily.

    Chunks are aligned with the file, so that no internal tile is decoded twice.

    Parameters
    ----------
    path : Path or str
        Local file, or an http(s) address, which is read by range requests. Of the tiles of a VRT (``.vrt``) those are
        opened that the area touches.
    area : Area, optional
        What to read: the pixels of its box in the raster's CRS, and ``margin`` more on each side.
    margin : int
        Pixels.
    on_error : {"raise", "skip"}
        Effect of damage that shows only when a block is read: an error, or a warning and missing values in the block
        (where integers are kept, the file's nodata value, or 255 in bytes; in other files without one an error).
    decode : bool
        Apply the file's nodata value, mask, scale and offset: floats, NaN where missing. Integers of which every one
        counts as it is keep their type, as do classes (a palette). False: the stored numbers; where a mask says that
        they are missing, the file's nodata value, or 255 in bytes.

    Returns
    -------
    xarray.DataArray or None
        Dims (y, x) with its CRS; attributes ``nodata`` (the value that is missing: NaN in what was decoded, None where
        there is none), ``scale`` and ``offset`` (which are still to be applied, else 1 and 0), ``units`` of the band
        and ``synthetic``. None if the file does not touch the area.

    Raises
    ------
    DataError
        For a file that is missing, damaged, no GeoTIFF, not single-band, rotated or without CRS.

    Examples
    --------
    >>> import numpy as np, rioxarray, xarray as xr
    >>> layer = xr.DataArray(np.ones((4, 5), "f4"), {"y": 36 - np.arange(4.0), "x": -98 + np.arange(5.0)}, ("y", "x"))
    >>> layer.rio.write_crs("EPSG:4326").rio.to_raster("layer.tif")
    >>> open_raster("layer.tif", None).shape
    (4, 5)
    """
    raster = _open_mosaic(path) if is_vrt(path) else _open_file(path)
    window = raster_window(raster.crs, raster.transform, raster.shape, area, margin=margin)
    if window is None:
        return None
    band, (rows, cols), step = raster.band, window, raster.transform
    decode = decode and not raster.classes
    floats = decode and band.out().kind == "f"
    nodata = band.missing[0] if band.missing else 255 if band.masked and band.dtype == "uint8" else None
    nodata = np.nan if decode and not band.plain() else nodata
    stand_in = np.nan if floats else 255 if nodata is None and band.dtype == "uint8" else nodata
    left, top = step.c + cols.start * step.a, step.f + rows.start * step.e
    transform = from_origin(left, top, step.a, -step.e)
    array = xr.DataArray(
        lazy_band(path, band, rows, cols, decode, stand_in if on_error == "skip" else None, nodata, read=raster.read),
        coords={
            "y": top + (np.arange(rows.stop - rows.start) + 0.5) * transform.e,
            "x": left + (np.arange(cols.stop - cols.start) + 0.5) * transform.a,
        },
        dims=("y", "x"),
        attrs={
            "nodata": nodata,
            "scale": 1.0 if decode else band.scale,
            "offset": 0.0 if decode else band.offset,
            "units": raster.units,
            "synthetic": raster.synthetic,
        },
    )
    return array.rio.write_crs(raster.crs).rio.write_transform(transform).rio.write_coordinate_system()


@dataclass(frozen=True)
class _Raster:
    """Where a band lies, and how its windows are read."""

    crs: Any
    transform: Any
    shape: tuple[int, int]
    band: Band
    read: Read
    units: str = ""
    synthetic: str = ""
    classes: bool = False


def _open_file(path: Path | str) -> _Raster:
    with open_tiff(path) as file:
        bands = bands_of(file)
        if len(bands) != 1:
            raise DataError(f"'{path}' has {len(bands)} bands, expected one.", hint="Give the product's own files.")
        check_place(file, path)
        if file.crs is None:
            raise DataError(f"'{path}' has no CRS.", hint="Set it with `gdal_edit.py -a_srs`.")
        (band,) = bands
        return _Raster(
            file.crs,
            file.transform,
            file.shape,
            band,
            functools.partial(stored_window, path, band),
            file.units[band.number - 1] or "",
            file.tags().get("synthetic", ""),
            is_classes(file, band),
        )


def _open_mosaic(path: Path | str) -> _Raster:
    mosaic = open_vrt(path)
    return _Raster(mosaic.crs, mosaic.transform, mosaic.shape, mosaic.band, mosaic.read, synthetic=mosaic.synthetic)


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


def lazy_band(
    path: Path | str,
    band: Band,
    rows: slice,
    cols: slice,
    decode: bool,
    stand_in: float | None = None,
    fill: float | None = None,
    *,
    read: Read | None = None,
) -> Any:
    """A window of a band as a lazy array: decoded, or the stored numbers with ``fill`` where they are missing.

    A block that cannot be read is filled with ``stand_in``, with a warning; without one it is an error.
    """
    import dask.array as da

    dtype = band.out() if decode else np.dtype(band.dtype)
    window_of = read or functools.partial(stored_window, path, band)

    def block(block_info: Any = None) -> np.ndarray:
        (r0, r1), (c0, c1) = block_info[None]["array-location"]
        try:
            stored, missing = window_of(Window(cols.start + c0, rows.start + r0, c1 - c0, r1 - r0))
        except DataError as error:
            if stand_in is None:
                raise
            tell(SkippedFile(str(path), error))
            return np.full((r1 - r0, c1 - c0), stand_in, dtype)
        if decode:
            return values_of(stored, missing, band, path)
        if band.masked and missing is not None and missing.any():
            if fill is None:
                raise DataError(
                    f"'{path}' has a mask but no nodata value, expected one for numbers as they are stored.",
                    hint="Convert it with `gdal_translate -a_nodata`.",
                )
            stored[missing] = fill
        return stored

    chunks = tuple(tuple(_sizes(span)) for span in (rows, cols))
    return da.map_blocks(block, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype))


def _sizes(span: slice) -> list[int]:
    edges = [span.start, *range((span.start // CHUNK + 1) * CHUNK, span.stop, CHUNK), span.stop]
    return np.diff(edges).tolist()
