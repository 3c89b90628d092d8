"""Synthetic worlds as MCD12Q1 tiles and MCD12C1 maps in HDF4, through pyhdf (documentation: Formats, Land cover)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from xsm_modis.hdf4 import FILL, LEFT, PRODUCTS, SINUSOIDAL, TILE, TOP, structure

MARGIN = 10


def write_tiles(world: Any, dest: Path) -> list[Path]:
    """Write the MCD12Q1 tiles that the world's box touches; pixels outside of the box are unclassified.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``bbox``, ``days`` (the year of the first), ``seed`` and ``land_cover_at(lon, lat)`` are used.
    dest : Path
        Folder; created if it does not exist.

    Returns
    -------
    list of Path
        ``MCD12Q1.A{YYYY}001.h{HH}v{VV}.061.{YYYY}365000000.hdf``.
    """
    from rasterio.warp import transform_bounds

    dest.mkdir(parents=True, exist_ok=True)
    size = PRODUCTS["Q1"].shape[0]
    pixel = TILE / size
    west, south, east, north = transform_bounds("EPSG:4326", SINUSOIDAL, *world.bbox, densify_pts=101)
    row0, row1 = int((TOP - north) // pixel) - MARGIN, int((TOP - south) // pixel) + MARGIN
    col0, col1 = int((west - LEFT) // pixel) - MARGIN, int((east - LEFT) // pixel) + MARGIN
    lon, lat = _degrees(LEFT + (np.arange(col0, col1) + 0.5) * pixel, TOP - (np.arange(row0, row1) + 0.5) * pixel)
    classes = np.asarray(world.land_cover_at(lon, lat)).astype("u1")
    year, paths = str(world.days[0])[:4], []
    for v in range(row0 // size, (row1 - 1) // size + 1):
        for h in range(col0 // size, (col1 - 1) // size + 1):
            tile = np.full((size, size), FILL, "u1")
            r, c = v * size, h * size
            top, left = max(row0, r), max(col0, c)
            part = classes[top - row0 : r + size - row0, left - col0 : c + size - col0]
            tile[top - r : top - r + part.shape[0], left - c : left - c + part.shape[1]] = part
            path = dest / f"MCD12Q1.A{year}001.h{h:02d}v{v:02d}.061.{year}365000000.hdf"
            metadata = structure(h, v, synthetic=f"twin world, seed {world.seed}: no observed land cover")
            paths.append(write_dataset(path, PRODUCTS["Q1"].dataset, tile, metadata))
    return paths


def write_global(world: Any, dest: Path) -> list[Path]:
    """Write one MCD12C1 map (water is 0): the class in the middle of each cell of 0.05 degree, else unclassified."""
    dest.mkdir(parents=True, exist_ok=True)
    rows, cols = PRODUCTS["C1"].shape
    west, south, east, north = world.bbox
    row = np.arange(max(int((90 - north) * 20) - MARGIN, 0), min(int((90 - south) * 20) + MARGIN, rows))
    col = np.arange(max(int((west + 180) * 20) - MARGIN, 0), min(int((east + 180) * 20) + MARGIN, cols))
    classes = np.asarray(world.land_cover_at(*np.meshgrid((col + 0.5) / 20 - 180, 90 - (row + 0.5) / 20)))
    whole = np.full((rows, cols), FILL, "u1")
    whole[np.ix_(row, col)] = np.where(classes == 17, 0, classes)
    year = str(world.days[0])[:4]
    path = dest / f"MCD12C1.A{year}001.061.{year}365000000.hdf"
    metadata = f'GROUP=GridStructure\n\tsynthetic="seed {world.seed}"\nEND\n'
    return [write_dataset(path, PRODUCTS["C1"].dataset, whole, metadata)]


def write_dataset(path: Path, name: str, values: np.ndarray, metadata: str) -> Path:
    """Write one dataset of bytes and its ``StructMetadata.0`` to an HDF4 file."""
    from pyhdf.SD import SD, SDC

    partial = path.with_suffix(".part")
    file = SD(str(partial), SDC.WRITE | SDC.CREATE | SDC.TRUNC)
    dataset = file.create(name, SDC.UINT8, values.shape)
    dataset.setcompress(SDC.COMP_DEFLATE, 5)
    dataset.setfillvalue(FILL)
    dataset[:] = values
    dataset.endaccess()
    file.attr("StructMetadata.0").set(SDC.CHAR, metadata)
    file.end()
    os.replace(partial, path)
    return path


def _degrees(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of a sinusoidal lattice, shape (y, x)."""
    from pyproj import Transformer

    return Transformer.from_crs(SINUSOIDAL, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
