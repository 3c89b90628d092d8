"""Regridding of projected rasters that a horizon limits, that hold a pole, or that end at a cut meridian."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr

import xsm
from tests.regrid_reference import projected
from xsm.data.grids import grid_of

GOES_EAST = "+proj=geos +h=35785831 +lon_0=-75 +sweep=x +ellps=GRS80"
GOES_WEST = "+proj=geos +h=35785831 +lon_0=-137 +sweep=x +ellps=GRS80"
FULL_DISK = 5_434_895.0


def field(lon, lat):
    return 300 + 10 * np.sin(np.deg2rad(6 * lat)) * np.cos(np.deg2rad(5 * lon))


def raster(crs, half, n):
    """A square raster around the centre of a projection, NaN off the Earth."""
    step = 2 * half / n
    x = -half + step * (np.arange(n) + 0.5)
    lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, -x))
    visible = np.isfinite(lon)
    values = np.where(visible, field(np.where(visible, lon, 0), np.where(visible, lat, 0)), np.nan)
    return projected(values, x, -x, crs)


def holds(crs, half, n, grid):
    """Whether the pixel that holds a target centre lies on the Earth with its own centre."""
    step = 2 * half / n
    forth = pyproj.Transformer.from_crs("EPSG:6933", crs, always_xy=True)
    x, y = (np.asarray(a) for a in forth.transform(*np.meshgrid(grid.x, grid.y)))
    visible = np.isfinite(x) & (np.abs(x) < half) & (np.abs(y) < half)
    x, y = (np.where(visible, (np.floor(np.where(visible, a, 0) / step) + 0.5) * step, np.inf) for a in (x, y))
    back = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)[0]
    return visible, visible & np.isfinite(back)


@pytest.mark.parametrize(
    ("crs", "half", "n"), [(GOES_WEST, FULL_DISK, 1500), ("+proj=ortho +lat_0=40 +lon_0=-100", 6.4e6, 500)]
)
@pytest.mark.parametrize("method", ["auto", "average", "nearest"])
def test_a_full_disk_is_right_wherever_the_earth_is_seen(crs, half, method, n):
    ds = raster(crs, half, n)
    out = xsm.regrid(ds, grid="EASE2_M36", method=method)["v"]
    grid = grid_of(out)
    visible, covered = holds(crs, half, n, grid)
    finite = np.isfinite(out.values)
    assert not finite[~visible].any()
    assert finite[covered].mean() > (0.998 if method == "average" else 0.999)
    error = np.abs(out.values - field(grid.lon, grid.lat[:, None]))
    # 0.4 a cell of 36 km is the steepest slope; pixels of the nearest ones are up to 22 km and longer at the horizon
    assert np.nanmedian(error) < 0.08
    assert np.nanquantile(error, 0.95) < 0.5
    lazy = xsm.regrid(ds.chunk(y=211, x=187), grid="EASE2_M36", method=method, output_chunks=50)["v"]
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), out)


@pytest.mark.parametrize(("method", "largest"), [("auto", 3e-3), ("bilinear", 0.015), ("average", 0.06)])
def test_a_full_disk_gives_conus(method, largest):
    out = xsm.regrid_ease9km(raster(GOES_EAST, FULL_DISK, 1500), region="conus", method=method)["v"]
    grid = grid_of(out)
    # of 0.09 a cell of 9 km; pixels are about as large, up to 7 x 20 km, where weights of bilinear begin to be coarse
    np.testing.assert_allclose(out, field(grid.lon, grid.lat[:, None]), atol=largest, rtol=0)


@pytest.mark.parametrize(
    ("crs", "half", "n"),
    [
        ("+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45", 6e6, 480),
        ("+proj=laea +lat_0=90 +lon_0=0", 9e6, 720),
        ("+proj=moll +lon_0=0", 18_040_096.0, 1500),
        ("+proj=moll +lon_0=77", 18_040_096.0, 1500),
    ],
)
@pytest.mark.parametrize("method", ["average", "auto"])
def test_global_rasters_have_no_seam(crs, half, n, method):
    ds = raster(crs, half, n)
    out = xsm.regrid(ds, grid="EASE2_M36", method=method)["v"]
    grid = grid_of(out)
    assert grid.cols == grid.shape_global[1]
    _, covered = holds(crs, half, n, grid)
    assert covered[:, [0, -1]].any(0).all()
    missing = covered & np.isnan(out.values)
    assert not missing[:, [0, 1, -2, -1]].any()
    assert missing.mean() < 1e-4
    middle = np.abs(grid.lat) < 70  # beyond, cells are more than 90 km high and hold a mean, not a point
    error = np.abs(out.values - field(grid.lon, grid.lat[:, None]))[middle]
    edge = np.r_[0:3, -3:0]
    assert np.nanmax(error[:, edge]) < 2 * np.nanmax(error[:, 3:-3])
    assert np.nanquantile(error, 0.99) < 0.1
    lazy = xsm.regrid(ds.chunk(y=200, x=300), grid="EASE2_M36", method=method, output_chunks=160)["v"]
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), out)


def test_classes_have_no_seam():
    n, half, crs = 1200, 6e6, "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45"
    ds = raster(crs, half, n)
    ds["land_cover"] = ds["v"].fillna(255).astype("u1").clip(max=250) // 10
    ds["land_cover"].attrs["_FillValue"] = np.uint8(255)
    out = xsm.regrid(ds, grid="EASE2_M36")["land_cover"]
    grid = grid_of(out)
    _, covered = holds(crs, half, n, grid)
    assert covered[:, [0, -1]].any(0).all()
    assert (out.values[covered] != 255).all()


def test_longitudes_that_jump_from_180_to_minus_180() -> None:
    lat, lon = 40 - 0.1 * np.arange(20), 179.05 + 0.1 * np.arange(20)
    ds = xr.Dataset({"sm": (("lat", "lon"), np.add.outer(lat, lon))}, {"lat": lat, "lon": lon})
    jumping = ds.assign_coords(lon=(lon + 180) % 360 - 180)
    for region in ((178, 38.2, 179.9, 39.8), (-179.9, 38.2, -179.2, 39.8)):
        a, b = (xsm.regrid_ease9km(d, region=region)["sm"] for d in (ds, jumping))
        np.testing.assert_allclose(a, b, atol=1e-9)
        assert np.isfinite(b).any()
