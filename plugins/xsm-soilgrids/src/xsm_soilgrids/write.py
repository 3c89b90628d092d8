"""Synthetic worlds as SoilGrids layers: a VRT of int16 GeoTIFF tiles on the product's pixel grid.

Documentation: Formats, SoilGrids.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform, transform_bounds
from xsm.plugin_api import convert

from xsm_soilgrids.layout import IGH, LAYERS, LEFT, NODATA, PIXEL, PROPERTIES, SHAPE, SIDE, TILE, TOP, UNITS, layer_of

MARGIN = 10
TWIN = {"sand": "sandtotal", "silt": "silttotal", "clay": "claytotal", "bulk_density": "dbovendry"}
PERCENT = {"bulk_density": "g cm-3"}


def write(world: Any, dest: Path, *, depths: tuple[int, ...] = (5, 25)) -> list[Path]:
    """Write sand, silt, clay and bulk density of the world's box, 10 pixels more on every side.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``bbox`` and ``soil_at(name, depth, lon, lat)`` are used, at the middle of a layer.
    dest : Path
        Folder; created if it does not exist.
    depths : tuple of int
        Depths in cm, which choose the layers.

    Returns
    -------
    list of Path
        ``{property}_{layer}cm_mean.vrt`` for every property and layer; their tiles lie in folders beside them.
    """
    west, south, east, north = transform_bounds("EPSG:4326", IGH, *world.bbox, densify_pts=101)
    col0, col1 = int((west - LEFT) // PIXEL) - MARGIN, int((east - LEFT) // PIXEL) + MARGIN
    row0, row1 = int((TOP - north) // PIXEL) - MARGIN, int((TOP - south) // PIXEL) + MARGIN
    x, y = LEFT + PIXEL * (np.arange(col0, col1) + 0.5), TOP - PIXEL * (np.arange(row0, row1) + 0.5)
    points = transform(IGH, "EPSG:4326", *(a.ravel() for a in np.meshgrid(x, y)))
    lon, lat = (np.reshape(p, (len(y), len(x))) for p in points)
    paths = []
    for (name, prop), layer in itertools.product(PROPERTIES.items(), dict.fromkeys(map(layer_of, depths))):
        values = world.soil_at(TWIN[name], sum(LAYERS[layer]) / 2, lon, lat)
        stored = convert(values, PERCENT.get(name, "percent"), UNITS[name])
        stored = np.where(np.isnan(values), NODATA, np.rint(stored)).astype("i2")
        paths.append(_layer(dest, f"{prop}_{layer}cm_mean", stored, (row0, col0), f"twin world, seed {world.seed}"))
    return paths


def _layer(dest: Path, name: str, stored: np.ndarray, corner: tuple[int, int], synthetic: str) -> Path:
    """Write the tiles that an array touches, and the VRT that lists them."""
    ends = [c + n for c, n in zip(corner, stored.shape, strict=True)]
    sources = []
    for i, j in itertools.product(*(range(c // TILE, (e - 1) // TILE + 1) for c, e in zip(corner, ends, strict=True))):
        tile = np.full((TILE, TILE), NODATA, "i2")
        rows, cols = (
            slice(max(k * TILE, c), min((k + 1) * TILE, e)) for k, c, e in zip((i, j), corner, ends, strict=True)
        )
        tile[rows.start - i * TILE : rows.stop - i * TILE, cols.start - j * TILE : cols.stop - j * TILE] = stored[
            rows.start - corner[0] : rows.stop - corner[0], cols.start - corner[1] : cols.stop - corner[1]
        ]
        folder = f"tileSG-{i // SIDE:03d}-{j // SIDE:03d}"
        inside = f"{name}/{folder}/{folder}_{i % SIDE + 1}-{j % SIDE + 1}.tif"
        _tile(dest / inside, tile, (i, j))
        sources.append(
            f'    <ComplexSource>\n      <SourceFilename relativeToVRT="1">{inside}</SourceFilename>\n'
            f"      <SourceBand>1</SourceBand>\n"
            f'      <SourceProperties RasterXSize="{TILE}" RasterYSize="{TILE}" DataType="Int16"/>\n'
            f'      <SrcRect xOff="0" yOff="0" xSize="{TILE}" ySize="{TILE}"/>\n'
            f'      <DstRect xOff="{j * TILE}" yOff="{i * TILE}" xSize="{TILE}" ySize="{TILE}"/>\n'
            f"      <NODATA>{NODATA}</NODATA>\n    </ComplexSource>\n"
        )
    path = dest / f"{name}.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{SHAPE[1]}" rasterYSize="{SHAPE[0]}">\n  <SRS>{escape(IGH)}</SRS>\n'
        f"  <GeoTransform>{LEFT}.0, {PIXEL}.0, 0.0, {TOP}.0, 0.0, -{PIXEL}.0</GeoTransform>\n"
        f'  <Metadata>\n    <MDI key="synthetic">{escape(synthetic)}: no soil survey</MDI>\n  </Metadata>\n'
        f'  <VRTRasterBand dataType="Int16" band="1">\n    <NoDataValue>{NODATA}</NoDataValue>\n'
        f"{''.join(sources)}  </VRTRasterBand>\n</VRTDataset>\n",
        encoding="utf-8",
    )
    return path


def _tile(path: Path, values: np.ndarray, place: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    profile: dict[str, Any] = {
        "driver": "GTiff", "dtype": "int16", "nodata": NODATA, "count": 1, "width": TILE, "height": TILE, "crs": IGH,
        "transform": from_origin(LEFT + PIXEL * TILE * place[1], TOP - PIXEL * TILE * place[0], PIXEL, PIXEL),
        "compress": "deflate", "zlevel": 1,
    }  # fmt: skip
    with rasterio.open(part, "w", **profile) as file:
        file.write(values, 1)
    os.replace(part, path)
