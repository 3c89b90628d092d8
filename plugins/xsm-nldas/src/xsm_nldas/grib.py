"""The retired version 002: GRIB edition 1, checked section by section here, decoded by GDAL.

Documentation: Formats, NLDAS, GRIB1 files of version 002.

The layers get the names that version 2.0 has for them, and rows run from south to north as there. The data centre
documents the parameter numbers 85 and 86; those of rain, snow and the forcing are NCEP's table 130 and unconfirmed.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from xsm import DataError

MAGIC = b"GRIB"
CELL = 0.125
LARGEST = (224, 464)
SURFACE, ABOVE_GROUND, LAYER = 1, 105, 112
NAMES = {
    (86, LAYER, 0, 10): "SoilM_0_10cm",
    (86, LAYER, 10, 40): "SoilM_10_40cm",
    (85, LAYER, 0, 10): "SoilT_0_10cm",
    (85, LAYER, 10, 40): "SoilT_10_40cm",
    (161, SURFACE, 0, 0): "Snowf",
    (162, SURFACE, 0, 0): "Rainf",
    (61, SURFACE, 0, 0): "Rainf",
    (11, ABOVE_GROUND, 0, 2): "Tair",
}
"""Name in version 2.0 by parameter, type of level and its two octets."""


@dataclass(frozen=True)
class Layers:
    """Contents of a file: the GDAL band of each known layer, its axes (degrees) and its hour (since 1970, UTC)."""

    bands: dict[str, int]
    lat: np.ndarray
    lon: np.ndarray
    hour: int


def is_grib(path: Path) -> bool:
    """Whether a file starts as GRIB does."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == MAGIC
    except OSError:
        return False


def layers(path: Path) -> Layers:
    """Check every section of every message of a file and find the layers that are known.

    Raises
    ------
    DataError
        For another edition, sections that do not fit each other, messages on different grids, a file that is cut.
    """
    stat = os.stat(path)
    return _layers(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _layers(path: Path, _time: int, _size: int) -> Layers:
    raw = path.read_bytes()
    bands: dict[str, int] = {}
    grids: set[bytes] = set()
    hours: set[int] = set()
    at = number = 0
    try:
        while at < len(raw):
            number += 1
            size = int.from_bytes(raw[at + 4 : at + 7])
            message = raw[at : at + size]
            if message[:4] != MAGIC or message[7] != 1 or message[-4:] != b"7777" or len(message) != size:
                raise ValueError("is not a message of GRIB edition 1, or is cut short")
            product, grid = _check(message)
            grids.add(grid)
            key = (product[8], product[9], product[10], product[11])
            if key in NAMES:
                if NAMES[key] in bands:
                    raise ValueError(f"contains {NAMES[key]} a second time")
                bands[NAMES[key]] = number
                hours.add(_hour(product))
            at += size
        if len(grids) != 1 or len(hours) > 1:
            raise ValueError(f"and those before it are on {len(grids)} grids and of {len(hours)} hours")
        lat, lon = _axes(grids.pop())
    except (ValueError, IndexError) as error:
        raise DataError(
            f"'{path}' is not a complete NLDAS-2 GRIB1 file: message {number} {error}.", hint="Download it again."
        ) from None
    if not bands:
        raise DataError(
            f"'{path}' contains {number} GRIB messages, but no layer that xsm knows.", hint="Expected Noah or FORA."
        )
    return Layers(bands, lat, lon, hours.pop())


def read(path: Path, names: list[str], window: tuple[slice, slice]) -> np.ndarray:
    """Read a window of some layers: float32 (name, row, column), rows south first, NaN where missing."""
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    stored = layers(path)
    absent = [n for n in names if n not in stored.bands]
    if absent:
        raise DataError(f"'{path}' has no {absent[0]} (it has {', '.join(stored.bands)}).", hint="Download it again.")
    rows, cols = window
    north = stored.lat.size - rows.stop
    place = Window(cols.start, north, cols.stop - cols.start, rows.stop - rows.start)
    try:
        with rasterio.Env(GRIB_NORMALIZE_UNITS="NO", GRIB_USE_IDX="NO"), rasterio.open(path, driver="GRIB") as file:
            if (file.height, file.width) != (stored.lat.size, stored.lon.size) or file.transform.e >= 0:
                raise DataError(f"'{path}' has another grid for GDAL ({file.width} x {file.height}).")
            bands = [stored.bands[n] for n in names]
            values = file.read(bands, window=place, masked=True)
    except RasterioError as error:
        raise DataError(f"'{path}' cannot be read ({error}).", hint="Download it again.") from None
    return np.ma.filled(values.astype("f4"), np.nan)[:, ::-1]


def _check(message: bytes) -> tuple[bytes, bytes]:
    """Walk the sections of a message; return the product definition and the grid definition."""
    at, sections = 8, []
    for present in (True, *(bool(message[15] & bit) for bit in (0x80, 0x40)), True):
        size = int.from_bytes(message[at : at + 3]) if present else 0
        if present and (size < 11 or at + size > len(message) - 4):
            raise ValueError("has a section that does not fit")
        sections.append(message[at : at + size])
        at += size
    product, grid, bitmap, data = sections
    if at != len(message) - 4 or len(product) < 28 or len(grid) < 28:
        raise ValueError("has sections that do not fill it")
    cols, rows = int.from_bytes(grid[6:8]), int.from_bytes(grid[8:10])
    if not (0 < rows <= LARGEST[0] and 0 < cols <= LARGEST[1]):
        raise ValueError(f"says {rows} x {cols} cells, expected at most {LARGEST[0]} x {LARGEST[1]}")
    count = rows * cols
    if bitmap:
        if len(bitmap) * 8 - 48 - bitmap[3] != count or bitmap[4:6] != b"\0\0":
            raise ValueError("has a bitmap of another size than its grid")
        count = int(np.unpackbits(np.frombuffer(bitmap, "u1")[6:], count=count).sum())
    width = data[10]
    if data[3] & 0xF0 or width > 32 or (width and len(data) * 8 - 88 - (data[3] & 0x0F) != width * count):
        raise ValueError("has data that do not fill its grid")
    return product, grid


def _axes(grid: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Cell centres of the 0.125 degree lattice; the section has them rounded to 0.001 degree."""
    rows, cols = int.from_bytes(grid[8:10]), int.from_bytes(grid[6:8])
    south, north = sorted((_signed(grid[10:13]), _signed(grid[17:20])))
    west, east = _signed(grid[13:16]), _signed(grid[20:23])
    steps = int.from_bytes(grid[23:25]), int.from_bytes(grid[25:27])
    whole = abs(north - south - 125 * (rows - 1)) <= 1 and abs(east - west - 125 * (cols - 1)) <= 1
    if grid[5] != 0 or grid[27] & 0xA0 or steps != (125, 125) or not whole:
        raise ValueError("is on no regular grid of 0.125 degree")
    first = [np.floor(edge / 1000 / CELL) for edge in (south, west)]
    return tuple((f + 0.5 + np.arange(n)) * CELL for f, n in zip(first, (rows, cols), strict=True))


def _signed(octets: bytes) -> int:
    value = int.from_bytes(octets)
    return -(value & 0x7FFFFF) if value & 0x800000 else value


def _hour(product: bytes) -> int:
    """Valid hour of a message (its end, for an accumulation)."""
    year, month, day, hour = (product[24] - 1) * 100 + product[12], *product[13:16]
    step = product[19] if product[20] in (2, 3, 4, 5) else product[18]
    stamp = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}", "h")
    if product[17] != 1 and step:
        raise ValueError(f"counts time in unit {product[17]}, expected hours")
    return int(stamp.astype(int)) + step
