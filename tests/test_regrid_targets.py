"""Targets of other libraries: areas and swaths of pyresample, boxes of odc-geo; pyresample as the reference."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from pyresample import AreaDefinition, SwathDefinition
from pyresample.bilinear import NumpyBilinearResampler
from pyresample.bucket import BucketResampler
from pyresample.kd_tree import resample_nearest

import xsm
from tests.regrid_reference import NLDAS_LAT, NLDAS_LON, geographic, patchy, projected
from xsm.data.grids import EASE2_M03, EASE2_M09, EASE2_M36, X0, Y0, Grid, grid_of
from xsm.errors import DataError, UsageError

WINDOWS = [
    EASE2_M09,
    EASE2_M36.window(0, 3, 0, 964),
    EASE2_M03.window(4800, 4872, 11500, 11568),
    EASE2_M09.region("conus"),
    EASE2_M36.window(405, 406, 963, 964),
]


def wave(lon, lat):
    return np.sin(np.radians(3 * lat)) * np.cos(np.radians(2 * lon))


def globe(step, first=-180.0):
    lat, lon = np.arange(-90 + step / 2, 90, step), first + step / 2 + np.arange(0, 360, step)
    return geographic(wave(lon, lat[:, None]), lat, lon)


# --- areas -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", WINDOWS, ids=str)
def test_a_window_is_an_area_and_comes_back(grid):
    area = grid.to_area()
    assert area.shape == grid.shape and area.crs.to_epsg() == 6933
    assert Grid.from_area(area) == grid
    x, y = area.get_proj_vectors()
    np.testing.assert_allclose(x, grid.x, atol=1e-6)
    np.testing.assert_allclose(y, grid.y, atol=1e-6)


def test_an_area_in_proj_words_is_the_same_window():
    grid = EASE2_M36.region("conus")
    words = {"proj": "cea", "lat_ts": 30, "lon_0": 0, "ellps": "WGS84", "units": "m"}
    area = AreaDefinition("a", "", "", words, grid.cols, grid.rows, grid.bounds)
    assert Grid.from_area(area) == grid


@pytest.mark.parametrize(
    ("crs", "shift", "cell", "says"),
    [
        ("EPSG:5070", 0, EASE2_M09.cell, "its CRS is NAD83 / Conus Albers"),
        ("EPSG:6933", 0, 9000.0, "its cells are 9000 m by 9000 m"),
        ("EPSG:6933", 0.3, EASE2_M09.cell, r"row 300\.000, column 700\.300 of EASE2_M09"),
        ("EPSG:6933", 3200, EASE2_M09.cell, "column 3900"),
    ],
)
def test_a_foreign_area_is_one_sentence(crs, shift, cell, says):
    left, top = X0 + (700 + shift) * EASE2_M09.cell, Y0 - 300 * EASE2_M09.cell
    area = AreaDefinition("a", "", "", crs, 20, 10, (left, top - 10 * cell, left + 20 * cell, top))
    with pytest.raises(DataError, match=says) as error:
        Grid.from_area(area)
    assert "\n" not in str(error.value) and error.value.hint
    with pytest.raises(DataError, match=says):
        xsm.regrid_ease9km(globe(2.0), like=area)


def test_an_area_gives_its_window():
    grid = EASE2_M09.window(400, 430, 800, 840)
    ds = geographic(patchy((60, 70)), NLDAS_LAT[:60], NLDAS_LON[:70])
    grid = grid_of(xsm.regrid_ease9km(ds)).grow(-3)
    out = xsm.regrid_ease9km(ds, like=grid.to_area())
    assert grid_of(out) == grid
    xr.testing.assert_equal(out, xsm.regrid_ease9km(ds, like=grid))
    with pytest.raises(UsageError, match="EASE2_M36, expected EASE2_M09"):
        xsm.regrid_ease9km(ds, like=EASE2_M36.region("conus").to_area())


def test_a_geobox_gives_its_window():
    geobox = pytest.importorskip("odc.geo.geobox")
    ds = geographic(patchy((60, 70)), NLDAS_LAT[:60], NLDAS_LON[:70])
    grid = grid_of(xsm.regrid_ease9km(ds)).grow(-3)
    affine = tuple(np.array(grid.geotransform)[[1, 2, 0, 4, 5, 3]])
    from affine import Affine

    box = geobox.GeoBox(grid.shape, Affine(*affine), "EPSG:6933")
    assert Grid.from_area(box) == grid == Grid.from_area(grid.to_area().to_odc_geobox())
    xr.testing.assert_equal(xsm.regrid_ease9km(ds, like=box), xsm.regrid_ease9km(ds, like=grid))
    with pytest.raises(DataError, match="rotated"):
        xsm.regrid_ease9km(ds, like=geobox.GeoBox(grid.shape, Affine(*affine) @ Affine.rotation(3), "EPSG:6933"))
    with pytest.raises(DataError, match="its CRS is WGS 84"):
        xsm.regrid_ease9km(ds, like=geobox.GeoBox.from_bbox((-100, 30, -90, 40), resolution=0.1))


# --- nearest points and means, against pyresample --------------------------------------------------------------------


@pytest.fixture
def half_orbit(real_data):
    import h5py

    with h5py.File(next((real_data / "smap_l2").glob("*L2_SM_P_*.h5"))) as file:
        cells = file["Soil_Moisture_Retrieval_Data"]
        lat, lon, tb = (cells[n][:].astype("f8") for n in ("latitude", "longitude", "tb_v_corrected"))
    keep = tb != -9999
    return xr.Dataset({"tb": ("cell", tb[keep])}, {"lat": ("cell", lat[keep]), "lon": ("cell", lon[keep])})


def test_a_half_orbit_takes_the_nearest_of_pyresample(half_orbit):
    grid = EASE2_M09
    ours = xsm.regrid(half_orbit, grid="EASE2_M09", like=grid, method="nearest")["tb"].values
    swath = SwathDefinition(half_orbit["lon"].values, half_orbit["lat"].values)
    theirs = resample_nearest(swath, half_orbit["tb"].values, grid.to_area(), 400e3, fill_value=np.nan)
    finite = np.isfinite(ours)
    assert finite.sum() > 200_000
    np.testing.assert_array_equal(ours[finite], theirs[finite])
    assert finite[:, [0, 1, -2, -1]].any(0).all()  # the orbit crosses the date line
    row, col = grid.rowcol(half_orbit["lon"], half_orbit["lat"])
    assert finite[row, col].all()


def test_points_are_averaged_like_the_buckets_of_pyresample():
    import dask.array as da

    rng = np.random.default_rng(2)
    n = 200_000
    lon, lat = (
        rng.uniform(160, 200, n),
        np.degrees(np.arcsin(rng.uniform(0.9, 1, n))),
    )  # across the date line, up to the pole
    lon = (lon + 180) % 360 - 180
    value = rng.normal(size=n)
    value[rng.random(n) < 0.3] = np.nan
    ds = xr.Dataset({"v": ("p", value)}, {"lon": ("p", lon), "lat": ("p", lat)})
    grid = EASE2_M36.window(0, 30, 0, 964)
    ours = xsm.regrid(ds, grid="EASE2_M36", like=grid, min_valid=0)["v"].values
    buckets = BucketResampler(grid.to_area(), *(da.from_array(a, chunks=n) for a in (lon, lat)))
    theirs = buckets.get_average(da.from_array(value, chunks=n)).compute()
    assert np.isfinite(theirs).sum() > 2000
    np.testing.assert_allclose(ours[np.isfinite(theirs)], theirs[np.isfinite(theirs)], rtol=1e-12)


def test_curvilinear_cells_across_the_date_line_and_at_the_edge_of_the_grid():
    j, i = np.meshgrid(np.arange(150), np.arange(200), indexing="ij")
    lon = (165 + 0.15 * i + 0.02 * j + 180) % 360 - 180
    lat = 70.0 + 0.11 * j - 0.01 * i  # beyond 85.04, where EPSG:6933 of the grid ends
    ds = xr.Dataset({"v": (("j", "i"), wave(lon, lat))}, {"lon": (("j", "i"), lon), "lat": (("j", "i"), lat)})
    grid = EASE2_M09.window(0, 60, 0, 3856)
    ours = xsm.regrid_ease9km(ds, like=grid, method="bilinear")["v"].values
    assert np.isfinite(ours[0]).any() and np.isfinite(ours[:, [0, -1]]).any(0).all()
    exact = wave(grid.lon, grid.lat[:, None])
    assert np.nanmax(np.abs(ours - exact)) < 2e-2
    turned = grid.lon % 360
    part = np.flatnonzero((turned > 170) & (turned < 190))
    assert np.isfinite(ours[5:40, part]).all()
    theirs = resample_nearest(SwathDefinition(lon, lat), ds["v"].values, grid.to_area(), 12e3, fill_value=np.nan)
    near = xsm.regrid_ease9km(ds, like=grid, method="nearest")["v"].values
    both = np.isfinite(near) & np.isfinite(theirs)
    assert both.sum() > 5000
    # the cell that contains a place: in a skewed grid of 3 x 12 km not always the one whose centre is nearest
    assert (near[both] == theirs[both]).mean() > 0.75
    assert np.abs(near[both] - theirs[both]).max() < 0.02


def test_a_real_curvilinear_file_is_that_of_pyresample(real_data):
    ds = xr.open_dataset(real_data / "lis_noahmp/LIS_HIST_201704010000.d01.nc", decode_times=False)
    values = ds["SoilMoist_inst"].isel(SoilMoist_profiles=0)
    lon, lat = ds["lon"].values.astype("f8"), ds["lat"].values.astype("f8")
    ours = xsm.regrid_ease9km(ds, method="bilinear")["SoilMoist_inst"].isel(SoilMoist_profiles=0)
    grid = grid_of(ours)
    resampler = NumpyBilinearResampler(SwathDefinition(lon, lat), grid.to_area(), 30e3, neighbours=16)
    resampler.get_bil_info()
    theirs = np.asarray(resampler.get_sample_from_bil_info(values.values.astype("f8"), fill_value=np.nan))
    both = np.isfinite(ours.values) & np.isfinite(theirs)
    assert both.sum() > 500
    error = np.abs(ours.values - theirs)[both]
    assert np.median(error) < 2e-3 and np.quantile(error, 0.9) < 0.02  # pyresample knows no gaps and no widening


# --- output on a swath -----------------------------------------------------------------------------------------------


def slanted(lon0=175.03, lat0=-10.03, shape=(60, 25), step=0.5):
    j, i = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return (lon0 + 0.41 * i + 0.13 * j + 180) % 360 - 180, lat0 + step * j - 0.107 * i


@pytest.mark.parametrize("first", [-180.0, 0.0])
def test_a_swath_takes_a_global_field_across_the_date_line(first):
    lon, lat = slanted()
    swath = SwathDefinition(xr.DataArray(lon, dims=("line", "beam")), xr.DataArray(lat, dims=("line", "beam")))
    ds = globe(0.25, first)
    for method, largest in (("bicubic", 5e-4), ("bilinear", 5e-4), ("nearest", 0.02)):
        out = xsm.regrid(ds, like=swath, method=method)
        assert out["v"].dims == ("line", "beam") and grid_of(out) is None
        assert out["lon"].attrs["units"] == "degrees_east"
        np.testing.assert_allclose(out["lat"], lat, atol=1e-12)
        inside = np.abs(lat) < 89.5
        error = np.abs(out["v"].values - wave(lon, lat))[inside]
        assert error.max() < largest
    area = AreaDefinition("g", "", "", "EPSG:4326", 1440, 720, (-180, -90, 180, 90))
    plain = globe(0.25)["v"].values[::-1]
    theirs = resample_nearest(area, plain, SwathDefinition(lon, lat), 40e3)
    near = xsm.regrid(ds, like=SwathDefinition(lon, lat), method="nearest")["v"].values
    # a cell that contains a place is its nearest but on edges
    assert np.isclose(near, theirs, rtol=0, atol=1e-12).mean() > 0.97


def test_points_and_blocks_of_a_swath():
    lon, lat = slanted(-122.03, 29.03, (9, 30), 2.437)
    lat = lat.clip(max=52)
    values = patchy((3, 224, 464), share=0.05)
    ds = geographic(values, NLDAS_LAT, NLDAS_LON)
    ds["land_cover"] = (("lat", "lon"), np.arange(224 * 464).reshape(224, 464).astype("u1") % 17)
    points = SwathDefinition(lon.ravel(), lat.ravel())
    whole = xsm.regrid(ds, like=points)
    assert whole["v"].dims == ("time", "points") and whole["land_cover"].dtype == "u1"
    lazy = xsm.regrid(ds.chunk(lat=50, lon=70, time=2), like=points, output_chunks=16)
    assert lazy["v"].chunks is not None
    xr.testing.assert_equal(lazy.compute(scheduler="sync"), whole)
    again = xsm.regrid(ds.isel(lat=slice(None, None, -1)), like=points)
    np.testing.assert_allclose(again["v"], whole["v"], rtol=1e-5)
    row, col = (
        np.rint((lat.ravel() - 25.0625) / 0.125).astype(int),
        np.rint((lon.ravel() + 124.9375) / 0.125).astype(int),
    )
    assert (whole["land_cover"].values == ds["land_cover"].values[row, col]).mean() > 0.97  # but on edges of cells
    with pytest.raises(DataError, match="'average' is not offered for positions"):
        xsm.regrid(ds, like=points, method="average")
    with pytest.raises(DataError, match="does not overlap"):
        xsm.regrid(ds, like=SwathDefinition([10.0, 11.0], [40.0, 41.0]))


def test_a_coarse_swath_does_not_alias():
    lon, lat = np.meshgrid(-100 + 0.5 * np.arange(8), 32 + 0.5 * np.arange(8))
    board = 1.0 - 2.0 * (np.add.outer(np.arange(224), np.arange(464)) % 2)
    out = xsm.regrid(geographic(board, NLDAS_LAT, NLDAS_LON), like=SwathDefinition(lon, lat), method="bilinear")
    assert np.abs(out["v"]).max() < 0.05


def test_unknown_positions_of_a_swath_stay_empty():
    lon, lat = slanted(-122.03, 29.03, (9, 30), 2.437)
    lat = lat.clip(max=52)
    lon[2, 3] = np.nan
    ds = geographic(np.ones((224, 464)), NLDAS_LAT, NLDAS_LON)
    out = xsm.regrid(ds, like=SwathDefinition(np.ma.masked_invalid(lon), np.ma.array(lat)))["v"].values
    assert np.isnan(out[2, 3]) and np.isfinite(out).sum() == out.size - 1


def test_projected_curvilinear_and_point_input_on_a_swath(half_orbit):
    x, y = 12_000.0 * np.arange(40), 2_200_000 - 12_000.0 * np.arange(35)
    ds = projected(np.add.outer(y, x) / 1e6, x, y)
    lon, lat = np.meshgrid(-94.5 + 0.1 * np.arange(12), 40.5 + 0.1 * np.arange(10))
    import pyproj

    at_x, at_y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True).transform(lon, lat)
    swath = SwathDefinition(lon, lat)
    np.testing.assert_allclose(xsm.regrid(ds, like=swath)["v"], (at_x + at_y) / 1e6, atol=1e-6)
    curved = xr.Dataset(
        {"v": (("j", "i"), wave(*np.meshgrid(NLDAS_LON, NLDAS_LAT)))},
        dict(zip(("lon", "lat"), ((("j", "i"), a) for a in np.meshgrid(NLDAS_LON, NLDAS_LAT)), strict=True)),
    )
    np.testing.assert_allclose(xsm.regrid(curved, like=swath)["v"], wave(lon, lat), atol=2e-5)
    back = SwathDefinition(half_orbit["lon"].values, half_orbit["lat"].values)
    np.testing.assert_array_equal(xsm.regrid(half_orbit, like=back)["tb"], half_orbit["tb"])
