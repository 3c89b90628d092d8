"""Datasets for the tests of regridding, and references straight from the definitions."""

from __future__ import annotations

import numpy as np
import pyproj
import xarray as xr
from hypothesis import HealthCheck, settings

from xsm.data.grids import X0, Y0

NLDAS_LAT, NLDAS_LON = 25.0625 + 0.125 * np.arange(224), -124.9375 + 0.125 * np.arange(464)
ALBERS = "EPSG:5070"
NLDAS_LAT, NLDAS_LON = 25.0625 + 0.125 * np.arange(224), -124.9375 + 0.125 * np.arange(464)
quick = settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))


def keys(t):
    t = np.abs(t)
    return np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0))


def triangle(t):
    return np.maximum(1 - np.abs(t), 0)


def geographic(values, lat, lon, **attrs):
    dims = ("time", "lat", "lon")[-np.ndim(values) :]
    return xr.Dataset({"v": (dims, values, attrs)}, {"lat": lat, "lon": lon})


def projected(values, x, y, crs=ALBERS, **attrs):
    wkt = pyproj.CRS.from_user_input(crs).to_wkt()
    return xr.Dataset({"v": (("y", "x"), values, attrs)}, {"x": x, "y": y, "spatial_ref": ((), 0, {"crs_wkt": wkt})})


def to_ease(x, y, crs=ALBERS):
    return pyproj.Transformer.from_crs(crs, "EPSG:6933", always_xy=True).transform(*np.meshgrid(x, y))


def patchy(shape, seed=0, share=0.2, dtype="f4"):
    rng = np.random.default_rng(seed)
    values = rng.normal(300, 20, shape).astype(dtype)
    values[..., rng.random(shape[-2:]) < share] = np.nan
    values[..., 5:15, 8:20] = np.nan
    return values


def axis_weights(kernel, radius, source, target, width):
    """Weights (target, source) and the sums of the unclipped kernels, straight from the definition."""
    step = source[1] - source[0]
    u, scale = (target - source[0]) / step, np.maximum(np.abs(width / step), 1)
    k = np.arange(-40, len(source) + 40)
    w = kernel((k - u[:, None]) / scale[:, None])
    return (w / w.sum(1, keepdims=True))[:, 40:-40]


def reference(values, grid, kernel, min_valid=0.5):
    """Direct two-dimensional sums in float64, without fallback."""
    left, bottom, right, top = grid.bounds
    inverse = pyproj.Transformer.from_crs("EPSG:6933", "EPSG:4326", always_xy=True)
    lon = inverse.transform(np.linspace(left, right, grid.cols + 1), np.zeros(grid.cols + 1))[0]
    lat = inverse.transform(np.zeros(grid.rows + 1), np.linspace(top, bottom, grid.rows + 1))[1]
    ny, nx = values.shape
    wy = axis_weights(kernel, 2, NLDAS_LAT[:ny], grid.lat, np.diff(lat))
    wx = axis_weights(kernel, 2, NLDAS_LON[:nx], grid.lon, np.diff(lon))
    valid = np.isfinite(values)
    num, den = wy @ np.where(valid, values, 0).astype("f8") @ wx.T, wy @ valid @ wx.T
    return num, den


def gdal(values, transform, crs, grid):
    """GDAL's cubic warp with exact positions (its default interpolates them, up to an eighth of a pixel wrong)."""
    from rasterio.io import MemoryFile
    from rasterio.transform import Affine
    from rasterio.vrt import WarpedVRT
    from rasterio.warp import Resampling

    profile = {"driver": "GTiff", "dtype": values.dtype, "count": 1, "nodata": np.nan, "crs": crs}
    size = {"height": values.shape[0], "width": values.shape[1], "transform": Affine.from_gdal(*transform)}
    target = {"height": grid.rows, "width": grid.cols, "transform": Affine.from_gdal(*grid.geotransform)}
    with MemoryFile() as memory:
        with memory.open(**profile, **size) as f:
            f.write(np.ascontiguousarray(values), 1)
        with (
            memory.open() as f,
            WarpedVRT(
                f, crs="EPSG:6933", resampling=Resampling.cubic, tolerance=1e-9, nodata=np.nan, **target
            ) as warped,
        ):
            return warped.read(1)


def albers_100m(n=700, seed=0, missing=0.2):
    x, y = 300_050 + 100.0 * np.arange(n), 1_999_950 - 100.0 * np.arange(n - 60)
    east, north = to_ease(x, y)
    rng = np.random.default_rng(seed)
    field = 40 + 20 * np.sin(east / 3e4) * np.cos(north / 2e4) + rng.normal(0, 3, east.shape)
    field[rng.random(field.shape) < missing] = np.nan
    field[100:200, 200:330] = np.nan
    return field, x, y, east, north


def brute(values, east, north, grid, kernel):
    """Target-space kernel sums over all pixels at their exact positions."""
    col, row = (east - X0) / grid.cell - 0.5 - grid.col0, (Y0 - north) / grid.cell - 0.5 - grid.row0
    valid = np.isfinite(values)
    num, den = np.zeros(grid.shape), np.zeros(grid.shape)
    for i in range(grid.rows):
        for j in range(grid.cols):
            near = (np.abs(row - i) < 2) & (np.abs(col - j) < 2) & valid
            w = kernel(row[near] - i) * kernel(col[near] - j)
            num[i, j], den[i, j] = (w * values[near]).sum(), w.sum()
    return num, den
