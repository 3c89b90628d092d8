"""The contract tests that every plugin runs, ours and those of others.

Examples
--------
>>> from xsm.testing import check_model
>>> check_model("linear")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.source_test import check_canonical, check_source, open_files, raise_if_computes
from xsm.data.grids import EASE2_M09, Grid
from xsm.learning.contract_test import check_model, small_task

__all__ = ["check_canonical", "check_model", "check_source", "leaky_series", "open_files", "raise_if_computes",
           "small_task", "window", "write_layer"]  # fmt: skip


def write_layer(
    path: Path, values: np.ndarray, crs: str, corner: tuple[float, float], pixel: float, **profile: Any
) -> Path:
    """Write a map (row, column) as a GeoTIFF of one band, or of several equal ones; returns the path.

    Parameters
    ----------
    path, values, crs : Path, ndarray, str
        The file, the map, north first, and its CRS.
    corner, pixel : tuple of float, float
        Left and top edge, and the side of a pixel, in the unit of the CRS.
    **profile
        More of rasterio's profile, such as ``nodata`` and ``count``.

    Examples
    --------
    >>> write_layer(Path("layer.tif"), np.ones((4, 5), "u1"), "EPSG:5070", (0.0, 400.0), 100.0, nodata=255).name
    'layer.tif'
    """
    import rasterio
    from rasterio.transform import from_origin

    layout = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype} | profile
    with rasterio.open(
        path, "w", driver="GTiff", crs=crs, transform=from_origin(*corner, pixel, pixel), **layout
    ) as file:
        file.write(np.broadcast_to(values, (layout["count"], *values.shape)))
    return path


def leaky_series(cells: int = 40, days: int = 240, seed: int = 3) -> xr.Dataset:
    """Series of soil moisture that depend on ten days of rain, which no model of the day's rain alone can follow.

    Parameters
    ----------
    cells, days : int
        Number of series and their length from 2020-01-01.
    seed : int
        Seed of rain, errors and gaps.

    Returns
    -------
    xarray.Dataset
        ``precipitation`` (kg m-2) and ``soil_moisture`` (m3 m-3, three in ten days missing, errors of 0.005), dims
        ``(time, cell)``, and ``sand`` (percent), dim ``cell``; no grid.

    Examples
    --------
    >>> leaky_series(cells=3, days=5)["soil_moisture"].shape
    (5, 3)
    """
    rng = np.random.default_rng(seed)
    rain = np.where(rng.random((days, cells)) < 0.2, rng.gamma(1.0, 8.0, (days, cells)), 0.0)
    wet = np.zeros((days, cells))
    for t in range(1, days):
        wet[t] = 0.9 * wet[t - 1] + 0.1 * rain[t]
    sand = np.linspace(20, 80, cells)
    moisture = 0.1 + 0.03 * wet + 0.001 * (80 - sand) + rng.normal(0, 0.005, rain.shape)
    moisture[rng.random(moisture.shape) < 0.3] = np.nan
    return xr.Dataset(
        {
            "precipitation": (("time", "cell"), rain, {"units": "kg m-2"}),
            "soil_moisture": (("time", "cell"), moisture, {"units": "m3 m-3"}),
            "sand": ("cell", sand, {"units": "percent"}),
        },
        {"time": np.datetime64("2020-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")},
    )


def window(rows: int = 8, cols: int = 9) -> Grid:
    """A small window of EASE2_M09 on the Great Plains for tests.

    Examples
    --------
    >>> window(2, 3).shape
    (2, 3)
    """
    return EASE2_M09.window(330, 330 + rows, 880, 880 + cols)
