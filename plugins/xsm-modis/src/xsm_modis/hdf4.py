"""MCD12Q1 tiles and global MCD12C1 maps in HDF4 (HDF-EOS2), as lazy rasters (documentation: Formats, Land cover).

The grid comes from the constants of the product; the metadata in the file must agree with it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from xsm import DataError, MissingPlugin, SkippedFile
from xsm.plugin_api import Area, raster_window, tell

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
LEFT, TOP, TILE = -20015109.354, 10007554.677, 1111950.5197
TILES = (18, 36)
SECONDS = 120
"""Longest time for one reading; a whole tile takes a tenth of a second."""

_TILE = re.compile(r"\.h(?P<h>\d\d)v(?P<v>\d\d)\.")
_CORNER = re.compile(r"(UpperLeftPointMtrs|LowerRightMtrs)=\((-?[\d.]+),(-?[\d.]+)\)")
FILL = 255


@dataclass(frozen=True)
class Product:
    """Dataset and shape of a product."""

    dataset: str
    shape: tuple[int, int]


PRODUCTS: Mapping[str, Product] = {
    "Q1": Product("LC_Type1", (2400, 2400)),
    "C1": Product("Majority_Land_Cover_Type_1", (3600, 7200)),
}


def open_hdf4(path: Path, area: Area | None, *, on_error: Literal["raise", "skip"] = "raise") -> xr.DataArray | None:
    """Open the IGBP classes of one file lazily, as `xsm.plugin_api.open_raster` does for GeoTIFF.

    Returns
    -------
    xarray.DataArray or None
        uint8 (y, x) with its CRS, attributes ``nodata`` and ``synthetic``; None where it does not touch the area.

    Raises
    ------
    MissingPlugin
        Without pyhdf.
    DataError
        For a file that the HDF4 library cannot read (or that makes it crash or hang), or another structure.
    """
    import dask.array as da
    import rioxarray  # noqa: F401
    from rasterio.transform import from_origin

    if importlib.util.find_spec("pyhdf") is None:
        raise MissingPlugin(
            f"'{path}' is HDF4, which needs pyhdf.",
            hint='Install "xsm-modis[hdf4]", or order GeoTIFF from AppEEARS.',
        )
    product, structure = _head(path)
    rows = product.shape[0]
    if product is PRODUCTS["Q1"]:
        crs, (left, top), pixel = SINUSOIDAL, _corner(path, structure), TILE / rows
    else:
        _check_global(path, structure)
        crs, (left, top), pixel = "EPSG:4326", (-180.0, 90.0), 180.0 / rows
    window = raster_window(crs, from_origin(left, top, pixel, pixel), product.shape, area)
    if window is None:
        return None
    (r0, r1), (c0, c1) = ((s.start, s.stop) for s in window)
    data = da.map_blocks(
        _read, str(path), product.dataset, (r0, r1, c0, c1), on_error,
        chunks=((r1 - r0,), (c1 - c0,)), dtype="u1", meta=np.empty((0, 0), "u1"),
    )  # fmt: skip
    transform = from_origin(left + c0 * pixel, top - r0 * pixel, pixel, pixel)
    array = xr.DataArray(
        data,
        dims=("y", "x"),
        coords={
            "y": transform.f - (np.arange(r1 - r0) + 0.5) * pixel,
            "x": transform.c + (np.arange(c1 - c0) + 0.5) * pixel,
        },
        attrs={"nodata": FILL, "synthetic": "twin world" if "synthetic" in structure else ""},
    )
    return array.rio.write_crs(crs).rio.write_transform(transform).rio.write_coordinate_system()


def _head(path: Path) -> tuple[Product, str]:
    try:
        head = json.loads(_child(path))
        datasets, structure = dict(head["datasets"]), str(head["structure"])
    except (ValueError, LookupError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"'{path}' cannot be read as HDF4 ({error}).", hint="Download it again.") from None
    product = next((p for p in PRODUCTS.values() if p.dataset in datasets), None)
    if product is None:
        names = " or ".join(p.dataset for p in PRODUCTS.values())
        raise DataError(
            f"'{path}' contains {', '.join(datasets)[:200] or 'nothing'}, expected {names}.", hint="Download it again."
        )
    shape, kind = datasets[product.dataset]
    if tuple(shape) != product.shape or kind != head["uint8"]:
        raise DataError(
            f"'{path}': {product.dataset} has the shape {tuple(shape)} and the HDF4 type {kind}, expected bytes of "
            f"{product.shape}.",
            hint="Download it again.",
        )
    return product, structure


def _corner(path: Path, structure: str) -> tuple[float, float]:
    """Upper left corner of a tile; the corners in the metadata and the name must be of the same tile."""
    corners = {name: (float(x), float(y)) for name, x, y in _CORNER.findall(structure)}
    if set(corners) != {"UpperLeftPointMtrs", "LowerRightMtrs"} or "GCTP_SNSOID" not in structure:
        raise DataError(
            f"'{path}' does not say where its tile lies (StructMetadata.0).", hint="Expected MCD12Q1 as distributed."
        )
    (left, top), (right, bottom) = corners["UpperLeftPointMtrs"], corners["LowerRightMtrs"]
    h, v = round((left - LEFT) / TILE), round((TOP - top) / TILE)
    exact = (LEFT + h * TILE, TOP - v * TILE, LEFT + (h + 1) * TILE, TOP - (v + 1) * TILE)
    named = _TILE.search(path.name)
    wrong = np.abs(np.subtract((left, top, right, bottom), exact)).max() > 1
    if (
        wrong
        or not (0 <= v < TILES[0] and 0 <= h < TILES[1])
        or (named and (int(named["h"]), int(named["v"])) != (h, v))
    ):
        raise DataError(
            f"'{path}' has the corner ({left:g}, {top:g}), which is not that of its tile.", hint="Download it again."
        )
    return exact[0], exact[1]


def _check_global(path: Path, structure: str) -> None:
    """Refuse a map whose metadata tell corners other than those of the globe, in degrees or packed DDDMMMSSS."""
    expected = {"UpperLeftPointMtrs": (-180, 90), "LowerRightMtrs": (180, -90)}
    for name, x, y in _CORNER.findall(structure):
        corner = float(x), float(y)
        if not any(np.allclose(corner, np.multiply(expected[name], unit)) for unit in (1, 1e6)):
            raise DataError(
                f"'{path}' has the corner ({corner[0]:g}, {corner[1]:g}), expected the globe from 180 W and 90 N.",
                hint="Expected MCD12C1 as distributed; give a part of it as GeoTIFF.",
            )


def _read(path: str, dataset: str, window: tuple[int, int, int, int], on_error: str) -> np.ndarray:
    r0, r1, c0, c1 = window
    try:
        raw = _child(Path(path), dataset, *map(str, window))
        if len(raw) != (r1 - r0) * (c1 - c0):
            raise DataError(f"'{path}' has only {len(raw)} bytes of {dataset}.", hint="Download it again.")
    except DataError as error:
        if on_error == "raise":
            raise
        tell(SkippedFile(path, error))
        return np.full((r1 - r0, c1 - c0), FILL, "u1")
    return np.frombuffer(raw, "u1").reshape(r1 - r0, c1 - c0)


def _child(path: Path, *request: str) -> bytes:
    """Run the HDF4 library in a separate process and return its output."""
    if not path.is_file():
        raise DataError(f"'{path}' does not exist.", hint="Check the path.")
    program = Path(__file__).with_name("hdf4_child.py")
    command = [sys.executable, "-P", str(program), str(path.absolute()), *request]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise DataError(f"'{path}' could not be read within {SECONDS} s.", hint="Download it again.") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [""]
        reason = lines[-1][:200] if done.returncode > 0 else f"the library crashed, signal {-done.returncode}"
        raise DataError(f"'{path}' cannot be read as HDF4 ({reason}).", hint="Download it again.")
    return done.stdout


def structure(h: int, v: int, **more: Any) -> str:
    """The attribute ``StructMetadata.0`` of a MCD12Q1 tile."""
    left, top = LEFT + h * TILE, TOP - v * TILE
    extra = "".join(f'\n\t\t{k}="{text}"' for k, text in more.items())
    return (
        'GROUP=SwathStructure\nEND_GROUP=SwathStructure\nGROUP=GridStructure\n\tGROUP=GRID_1\n\t\tGridName="MCD12Q1"\n'
        f"\t\tXDim=2400\n\t\tYDim=2400\n\t\tUpperLeftPointMtrs=({left:.6f},{top:.6f})\n"
        f"\t\tLowerRightMtrs=({left + TILE:.6f},{top - TILE:.6f})\n\t\tProjection=GCTP_SNSOID\n"
        f"\t\tProjParams=(6371007.181000,0,0,0,0,0,0,0,0,0,0,0,0)\n\t\tSphereCode=-1{extra}\n\tEND_GROUP=GRID_1\n"
        "END_GROUP=GridStructure\nEND\n"
    )
