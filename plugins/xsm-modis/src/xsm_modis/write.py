"""Synthetic worlds as MCD12Q1 land cover in the GeoTIFF layout of AppEEARS (documentation: Formats, Land cover)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from xsm_modis.layout import UNCLASSIFIED

MARGIN, STRIP = 10, 256


def write(world: Any, dest: Path, *, pixel: float = 1 / 240) -> list[Path]:
    """Write ``MCD12Q1.061_LC_Type1_doy{YYYY}001_aid0001.tif`` of the world's box, 10 pixels more on every side.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``bbox``, ``days`` (the year of the first) and ``land_cover_at(lon, lat)`` are used.
    dest : Path
        Folder; created if it does not exist.
    pixel : float
        Pixel size in degrees; 1/240 is that of AppEEARS.
    """
    dest.mkdir(parents=True, exist_ok=True)
    path = dest / f"MCD12Q1.061_LC_Type1_doy{str(world.days[0])[:4]}001_aid0001.tif"
    partial = path.with_suffix(".part")
    west, south, east, north = world.bbox
    col0, col1 = int(np.floor((west + 180) / pixel)) - MARGIN, int(np.ceil((east + 180) / pixel)) + MARGIN
    row0, row1 = int(np.floor((90 - north) / pixel)) - MARGIN, int(np.ceil((90 - south) / pixel)) + MARGIN
    lon = -180 + (np.arange(col0, col1) + 0.5) * pixel
    with rasterio.open(
        partial,
        "w",
        driver="GTiff",
        dtype="uint8",
        nodata=UNCLASSIFIED,
        count=1,
        width=col1 - col0,
        height=row1 - row0,
        crs="EPSG:4326",
        transform=from_origin(-180 + col0 * pixel, 90 - row0 * pixel, pixel, pixel),
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        zlevel=1,
    ) as file:
        file.update_tags(synthetic=f"twin world, seed {world.seed}: no observed land cover")
        for first in range(row0, row1, STRIP):
            last = min(first + STRIP, row1)
            lat = 90 - (np.arange(first, last) + 0.5) * pixel
            classes = world.land_cover_at(*np.meshgrid(lon, lat)).astype("u1")
            file.write(classes, 1, window=Window(0, first - row0, lon.size, last - first))
    os.replace(partial, path)
    return [path]
