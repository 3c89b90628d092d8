"""Synthetic worlds as SOLUS100 layers: tiled uint8 GeoTIFF on the product's pixel grid.

Documentation: Formats, SOLUS100.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from xsm.plugin_api import threads

from xsm_solus100.layout import LEFT, NODATA, PIXEL, PROPERTIES, SCALARS, TOP

MARGIN, STRIP = 20, 512


def write(world: Any, dest: Path, *, depths: tuple[int, ...] = (5, 30)) -> list[Path]:
    """Write sand, silt, clay and bulk density of the world's box, 20 pixels more on every side.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``bbox`` and ``soil100(name, depth, x, y)`` are used.
    dest : Path
        Folder; strips where it does not exist.
    depths : tuple of int
        Depths in cm.

    Returns
    -------
    list of Path
        ``{property}_{depth}_cm_p.tif`` for every property and depth.
    """
    dest.mkdir(parents=True, exist_ok=True)
    west, south, east, north = transform_bounds("EPSG:4326", "EPSG:5070", *world.bbox, densify_pts=101)
    col0, col1 = int((west - LEFT) // PIXEL) - MARGIN, int(-((LEFT - east) // PIXEL)) + MARGIN
    row0, row1 = int((TOP - north) // PIXEL) - MARGIN, int(-((south - TOP) // PIXEL)) + MARGIN
    layers = list(itertools.product(PROPERTIES.values(), depths))
    paths = [dest / f"{prop}_{depth}_cm_p.tif" for prop, depth in layers]
    x = LEFT + PIXEL * (np.arange(col0, col1) + 0.5)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "uint8",
        "nodata": NODATA,
        "count": 1,
        "width": col1 - col0,
        "height": row1 - row0,
        "crs": "EPSG:5070",
        "transform": from_origin(LEFT + PIXEL * col0, TOP - PIXEL * row0, PIXEL, PIXEL),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 1,
    }

    def strip(first: int) -> list[np.ndarray]:
        y = TOP - PIXEL * (np.arange(row0 + first, min(row0 + first + STRIP, row1)) + 0.5)
        return [_stored(np.asarray(world.soil100(prop, depth, x, y)) * SCALARS[prop]) for prop, depth in layers]

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(threads()))
        files = [stack.enter_context(rasterio.open(p.with_suffix(".part"), "w", **profile)) for p in paths]
        for file in files:
            file.update_tags(synthetic=f"twin world, seed {world.seed}: no soil survey")
        firsts = range(0, row1 - row0, STRIP)
        for first, strips in zip(firsts, pool.map(strip, firsts), strict=True):
            for file, values in zip(files, strips, strict=True):
                file.write(values, 1, window=Window(0, first, values.shape[1], values.shape[0]))
    for path in paths:
        os.replace(path.with_suffix(".part"), path)
    return paths


def _stored(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), NODATA, np.rint(values).clip(0, NODATA - 1)).astype("u1")
