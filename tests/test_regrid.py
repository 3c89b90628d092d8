"""Regridding against direct float64 sums, GDAL and analytic fields; chunked against whole, bit for bit."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xsm
from xsm.errors import DataError, UsageError
from xsm.grids import EASE2_M09, EASE2_M36, X0, Y0, grid_of

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


# --- separable input: latitude and longitude -------------------------------------------------------------------------


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


@pytest.mark.parametrize("grid", ["EASE2_M09", "EASE2_M36"])
@pytest.mark.parametrize(("method", "kernel"), [("bicubic", keys), ("bilinear", triangle)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("f4", 1e-6), ("f8", 1e-12)])
def test_kernels_are_their_definition(grid, method, kernel, dtype, tolerance):
    values = patchy((60, 70), dtype=dtype)
    out = xsm.regrid(geographic(values, NLDAS_LAT[:60], NLDAS_LON[:70]), grid=grid, method=method)
    num, den = reference(values, grid_of(out), kernel)
    sure = den > 0.5 + 1e-4  # below, the fallback answers; at the threshold rounding decides
    assert sure.mean() > 0.5
    assert out["v"].dtype == dtype
    scale = np.abs(num[sure]).max() / den[sure].min()
    np.testing.assert_allclose(out["v"].values[sure], (num / np.where(sure, den, 1))[sure], atol=tolerance * scale)


def test_an_average_is_weighted_by_area():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(24, 40))
    values[3:6, 4:9] = np.nan
    lat, lon = NLDAS_LAT[:24], NLDAS_LON[:40]
    out = xsm.regrid(geographic(values, lat, lon), grid="EASE2_M36", method="average")
    grid = grid_of(out)
    edge_lat, edge_lon = np.linspace(25, 28, 24 * 200 + 1), np.linspace(-125, -120, 40 * 200 + 1)
    fine_lat, fine_lon = (0.5 * (e[1:] + e[:-1]) for e in (edge_lat, edge_lon))
    row = grid.rowcol(np.full(fine_lat.size, -124.0), fine_lat)[0] - grid.row0
    col = grid.rowcol(fine_lon, np.full(fine_lon.size, 26.0))[1] - grid.col0
    area = np.cos(np.deg2rad(fine_lat))
    wy, wx = np.zeros((grid.rows, 24)), np.zeros((grid.cols, 40))
    np.add.at(wy, (row, np.arange(row.size) // 200), area)
    np.add.at(wx, (col, np.arange(col.size) // 200), 1.0)
    valid = np.isfinite(values)
    mean = (wy @ np.where(valid, values, 0) @ wx.T) / np.maximum(wy @ valid @ wx.T, 1e-9)
    full = (wy @ valid @ wx.T) / (wy.sum(1).max() * wx.sum(1).max()) > 0.6
    # the brute force cuts cells into 200 x 200 pieces, each in one target cell: 1/200 of a cell at each edge
    np.testing.assert_allclose(out["v"].values[full], mean[full], atol=0.02)
    assert full.sum() > 50


@pytest.mark.parametrize("north_first", [False, True])
@pytest.mark.parametrize("turn", [0.0, 360.0])
def test_a_plane_is_exact(north_first, turn):
    lat = NLDAS_LAT[::-1] if north_first else NLDAS_LAT
    plane = 3 * lat[:, None] - 2 * NLDAS_LON
    out = xsm.regrid_ease9km(geographic(plane.astype("f4"), lat, NLDAS_LON + turn))
    grid = grid_of(out)
    assert grid.shape == (307, 622)
    inner = (slice(4, -4), slice(4, -4))
    expected = 3 * grid.lat[:, None] - 2 * grid.lon
    np.testing.assert_allclose(out["v"].values[inner], expected[inner], rtol=1e-6)


def test_smooth_fields_converge_with_the_third_order():
    """Keys interpolation has an error of the order h^3; at half the step the error falls at least sevenfold."""
    errors = []
    for step in (1.0, 0.5):
        lat, lon = np.arange(20, 50, step), np.arange(-120, -80, step)
        field = np.sin(lat[:, None] / 4) * np.cos(lon / 3)
        out = xsm.regrid_ease9km(geographic(field, lat, lon), region=(-110, 30, -90, 40))
        grid = grid_of(out)
        errors.append(np.abs(out["v"] - np.sin(grid.lat[:, None] / 4) * np.cos(grid.lon / 3)).max().item())
    assert errors[0] / errors[1] > 7
    assert errors[1] < 1e-3


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


def test_a_smooth_field_agrees_with_gdal():
    field = 300 + 10 * np.sin(NLDAS_LAT[:, None] / 2) * np.cos(NLDAS_LON / 3)
    out = xsm.regrid_ease9km(geographic(field, NLDAS_LAT, NLDAS_LON))
    theirs = gdal(field[::-1], (-125, 0.125, 0, 53, 0, -0.125), "EPSG:4326", grid_of(out))
    inner = (slice(5, -5), slice(5, -5))
    # both are the same Keys kernel at the same positions
    np.testing.assert_allclose(out["v"].values[inner], theirs[inner], atol=1e-6)


def test_real_elevation_agrees_with_gdal(real_data):
    import rasterio

    with rasterio.open(real_data / "nldas/NLDAS_ELEVATION.grb") as f:
        height = f.read(1).astype("f8")
    height[height == 9999] = np.nan
    assert height.shape == (224, 464)
    out = xsm.regrid_ease9km(geographic(height, NLDAS_LAT[::-1], NLDAS_LON))
    theirs = gdal(height, (-125, 0.125, 0, 53, 0, -0.125), "EPSG:4326", grid_of(out))
    full = xsm.regrid_ease9km(geographic(np.isfinite(height).astype("f8"), NLDAS_LAT[::-1], NLDAS_LON))["v"].values
    inner = np.zeros(full.shape, bool)
    inner[5:-5, 5:-5] = (
        np.abs(full[5:-5, 5:-5] - 1) < 1e-9
    )  # where a neighbour is missing the two renormalise differently
    assert inner.sum() > 100_000
    np.testing.assert_allclose(out["v"].values[inner], theirs[inner], atol=2e-4)  # metres, of up to 3500


# --- projected input -------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("method", "kernel"), [("bicubic", keys), ("bilinear", triangle)])
def test_a_fine_raster_is_reduced_by_the_exact_kernel(method, kernel):
    values, x, y, east, north = albers_100m()
    out = xsm.regrid_ease9km(projected(values, x, y), method=method)
    grid = grid_of(out)
    num, den = brute(values, east, north, grid, kernel)
    sure = den > 0.55 * (grid.cell / 100) ** 2
    assert sure.sum() > 20
    # positions are interpolated between nodes 6.4 km apart: below 2 m, 2e-4 of a cell, at up to 6 per cell
    np.testing.assert_allclose(out["v"].values[sure], (num / np.where(den == 0, 1, den))[sure], atol=8e-4)
    single = xsm.regrid_ease9km(projected(values.astype("f4"), x, y), method=method)["v"]
    assert single.dtype == "f4"
    np.testing.assert_allclose(single.values[sure], out["v"].values[sure], rtol=1e-5)


def test_a_plane_survives_the_reduction():
    n = 1000
    x, y = 300_050 + 100.0 * np.arange(n), 1_999_950 - 100.0 * np.arange(n)
    east, north = to_ease(x, y)
    out = xsm.regrid_ease9km(projected((east + 0.5 * north) / EASE2_M09.cell, x, y))
    grid, (r, c) = grid_of(out), np.array(out["v"].shape) // 2
    inner = (slice(r - 2, r + 2), slice(c - 1, c + 2))
    expected = (grid.x + 0.5 * grid.y[:, None]) / grid.cell
    # in target cells: gradient 1 per cell, positions good to 2e-4 of a cell
    np.testing.assert_allclose(out["v"].values[inner], expected[inner], atol=2e-4)


def test_coarse_projected_input_agrees_with_gdal():
    x, y = 100_000 + 12_000.0 * np.arange(80), 2_200_000 - 12_000.0 * np.arange(70)
    east, north = to_ease(x, y)
    field = 300 + 10 * np.sin(east / 1e5) * np.cos(north / 1.2e5)
    out = xsm.regrid_ease9km(projected(field, x, y))
    grid = grid_of(out)
    theirs = gdal(field, (94_000, 12_000, 0, 2_206_000, 0, -12_000), ALBERS, grid)
    exact = 300 + 10 * np.sin(grid.x / 1e5) * np.cos(grid.y[:, None] / 1.2e5)
    inverse = pyproj.Transformer.from_crs("EPSG:6933", ALBERS, always_xy=True)
    at_x, at_y = inverse.transform(*np.meshgrid(grid.x, grid.y))
    inner = (at_x > x[2]) & (at_x < x[-3]) & (at_y < y[2]) & (at_y > y[-3])
    assert inner.sum() > 5000
    ours, gdals = (np.abs(v - exact)[inner].max() for v in (out["v"].values, theirs))
    assert ours < 1.2 * gdals < 1e-3
    np.testing.assert_allclose(out["v"].values[inner], theirs[inner], atol=1e-6)


def test_the_mean_of_a_soil_layer_is_kept():
    values, x, y, east, north = albers_100m(900, missing=0.0)
    values = np.nan_to_num(values, nan=35.0)
    for method, tolerance in (("bicubic", 0.05), ("average", 0.02)):
        out = xsm.regrid_ease9km(projected(values.astype("f4"), x, y), method=method)["v"]
        grid = grid_of(out)
        whole = slice(3, -3), slice(3, -3)
        left, right = grid.x[3] - grid.cell / 2, grid.x[-4] + grid.cell / 2
        top, bottom = grid.y[3] + grid.cell / 2, grid.y[-4] - grid.cell / 2
        pixels = values[(east > left) & (east < right) & (north < top) & (north > bottom)]
        # an interior block: the average keeps its mean, the cubic one exchanges a cell with its surroundings
        assert abs(out.values[whole].mean() - pixels.mean()) < (tolerance if method == "average" else 1.0)


def test_sand_silt_and_clay_share_mask_and_sum():
    rng = np.random.default_rng(0)
    x, y = 300_050 + 100.0 * np.arange(500), 1_999_950 - 100.0 * np.arange(500)
    sand = np.where(np.arange(500) < 250, 5, 95) + rng.integers(-3, 3, (500, 500))
    silt = np.full((500, 500), 3.0)
    soil = {"sand": sand.astype("f4"), "silt": silt.astype("f4"), "clay": (97.0 - sand).astype("f4")}
    soil["clay"][:200, :200] = np.nan
    ds = projected(soil["sand"], x, y).drop_vars("v").assign({n: (("y", "x"), v) for n, v in soil.items()})
    out = xsm.regrid_ease9km(ds.assign(bulk_density=(("y", "x"), np.full((500, 500), 1.3, "f4"))))
    total = out["sand"] + out["silt"] + out["clay"]
    assert np.isfinite(total).sum() > 10
    np.testing.assert_allclose(total.values[np.isfinite(total)], 100, rtol=1e-6)
    for n in soil:
        np.testing.assert_array_equal(np.isfinite(out[n]), np.isfinite(total))
        assert 0 <= np.nanmin(out[n]) <= np.nanmax(out[n]) <= 100
    assert out["clay"].attrs["clipped_cells"] > 0 or out["sand"].attrs["clipped_cells"] > 0
    np.testing.assert_allclose(out["bulk_density"].values[np.isfinite(out["bulk_density"])], 1.3, rtol=1e-6)


def test_a_crs_without_epsg_code_is_read(real_data):
    import rasterio.warp
    import rioxarray

    with rioxarray.open_rasterio(real_data / "soil/gssurgo_illinois/IL.tif", masked=True) as tile:
        out = tile.squeeze("band", drop=True).to_dataset(name="v").sm.regrid_ease9km(method="average", min_valid=0)
        assert tile.rio.crs.to_epsg() is None
        (lon,), (lat,) = rasterio.warp.transform(tile.rio.crs, "EPSG:4326", [float(tile.x[150])], [float(tile.y[100])])
        west, south, east, north = grid_of(out).bbox
        assert west < lon < east and south < lat < north
        finite = out["v"].values[np.isfinite(out["v"].values)]
        assert finite.size and tile.min() - 1e-3 <= finite.min() <= finite.max() <= tile.max() + 1e-3


# --- missing values and categories -----------------------------------------------------------------------------------


def test_coasts_are_not_eroded_and_do_not_grow():
    values = patchy((60, 70), share=0.3)
    ds = geographic(values, NLDAS_LAT[:60], NLDAS_LON[:70])
    cubic, near = (xsm.regrid_ease9km(ds, method=m)["v"].values for m in ("bicubic", "nearest"))
    assert np.isfinite(cubic[np.isfinite(near)]).all()
    _, den = reference(values, grid_of(xsm.regrid_ease9km(ds)), keys)
    assert np.isnan(cubic[np.isnan(near) & (den < 0.5 - 1e-4)]).all()
    low, high = np.nanmin(values), np.nanmax(values)
    assert np.nanmin(cubic) > low - (high - low) and np.nanmax(cubic) < high + (high - low)


def test_infinite_values_are_missing():
    values = np.ones((40, 40), "f4")
    values[20, 20] = np.inf
    out = xsm.regrid_ease9km(geographic(values, NLDAS_LAT[:40], NLDAS_LON[:40]))["v"].values
    np.testing.assert_allclose(out[np.isfinite(out)], 1, rtol=1e-6)
    assert not np.isinf(out).any()


def test_results_stay_in_the_physical_range():
    step = np.where(np.arange(60) < 30, 0.0, 100.0) * np.ones((50, 1))
    ds = geographic(step, NLDAS_LAT[:50], NLDAS_LON[:60]).rename(v="sand")
    out = xsm.regrid_ease9km(ds)
    assert out["sand"].min() == 0 and out["sand"].max() == 100
    assert out["sand"].attrs["clipped_cells"] > 10
    ds["sand"].attrs["units"] = "g kg-1"
    assert xsm.regrid_ease9km(ds)["sand"].max() > 101


@pytest.mark.parametrize("crs", ["geographic", "projected"])
def test_classes_are_the_majority(crs):
    rng = np.random.default_rng(2)
    if crs == "geographic":
        lat, lon = 30.005 + 0.01 * np.arange(120), -99.995 + 0.01 * np.arange(150)
        codes = np.kron(rng.integers(1, 18, (24, 30)), np.ones((5, 5))).astype("u1")
        ds = geographic(codes, lat, lon).rename(v="land_cover")
        east, north = to_ease(lon, lat, "EPSG:4326")
    else:
        x, y = 300_050 + 500.0 * np.arange(150), 1_999_950 - 500.0 * np.arange(120)
        codes = np.kron(rng.integers(1, 18, (10, 12)), np.ones((12, 13))).astype("u1")[:120, :150]
        ds = projected(codes, x, y).rename(v="land_cover")
        east, north = to_ease(x, y)
    out = xsm.regrid_ease9km(ds)
    grid = grid_of(out)
    assert out["land_cover"].dtype == "u1"
    col, row = np.floor((east - X0) / grid.cell) - grid.col0, np.floor((Y0 - north) / grid.cell) - grid.row0
    sure = 0
    for i in range(1, grid.rows - 1):
        for j in range(1, grid.cols - 1):
            counts = np.bincount(codes[(row == i) & (col == j)], minlength=18)
            best, second = np.sort(counts)[::-1][:2]
            if best > second + 0.25 * counts.sum():  # pixels on the edge of a cell count by their share
                assert out["land_cover"].values[i, j] == counts.argmax()
                sure += 1
    assert sure > 10


def test_flags_take_the_cell_at_the_centre():
    rng = np.random.default_rng(3)
    flags = rng.integers(0, 16, (100, 120)).astype("u2")
    lat, lon = 30.025 + 0.05 * np.arange(100), -99.975 + 0.05 * np.arange(120)
    time = np.datetime64("2020-01-01", "ns") + rng.integers(0, 10**9, (100, 120)).astype("m8[ns]")
    ds = (
        geographic(flags, lat, lon, flag_masks=[1, 2, 4])
        .rename(v="retrieval_flag")
        .assign(obs_time=(("lat", "lon"), time))
    )
    out = xsm.regrid_ease9km(ds, region=(-101, 31, -95, 34))
    grid = grid_of(out)
    r, c = np.rint((grid.lat - lat[0]) / 0.05).astype(int), np.rint((grid.lon - lon[0]) / 0.05).astype(int)
    inside = (c >= 0) & (c < 120)
    assert 0 < (~inside).sum() < grid.cols and ((r >= 0) & (r < 100)).all()
    np.testing.assert_array_equal(out["retrieval_flag"].values[:, inside], flags[np.ix_(r, c[inside])])
    np.testing.assert_array_equal(out["obs_time"].values[:, inside], time[np.ix_(r, c[inside])])
    assert (out["retrieval_flag"].values[:, ~inside] == 65534).all()
    assert np.isnat(out["obs_time"].values[:, ~inside]).all()


def test_integers_keep_their_type():
    values = np.arange(60 * 70).reshape(60, 70).astype("i2")
    ds = geographic(values, NLDAS_LAT[:60], NLDAS_LON[:70])
    inside = xsm.regrid_ease9km(ds, region=(-122, 27, -119, 30))["v"]
    assert inside.dtype == "i2"
    exact = xsm.regrid_ease9km(ds.astype("f8"), region=(-122, 27, -119, 30))["v"]
    assert np.abs(inside - exact).max() <= 0.5 + 1e-3
    assert xsm.regrid_ease9km(ds, region=(-126, 27, -119, 30))["v"].dtype == "f4"  # cells without a value need NaN
    ds["v"].attrs["_FillValue"] = np.int16(-1)
    ds["v"].values[:20] = -1
    filled = xsm.regrid_ease9km(ds, region=(-126, 24, -119, 30))["v"]
    assert filled.dtype == "i2" and (filled == -1).any() and filled.where(filled != -1).min() > 1000


# --- chunks, laziness, metadata --------------------------------------------------------------------------------------


@quick
@given(st.integers(5, 31), st.integers(5, 41), st.integers(1, 3), st.integers(8, 60), st.sampled_from(["f4", "f8"]))
def test_chunks_do_not_matter_on_latitude_and_longitude(rows, cols, days, side, dtype):
    ds = geographic(patchy((3, 30, 40), dtype=dtype), NLDAS_LAT[:30], NLDAS_LON[:40])
    ds["land_cover"] = (("lat", "lon"), np.arange(30 * 40).reshape(30, 40).astype("u1") % 17)
    for grid in ("EASE2_M09", "EASE2_M36"):
        whole = xsm.regrid(ds, grid=grid)
        lazy = xsm.regrid(ds.chunk(lat=rows, lon=cols, time=days), grid=grid, output_chunks=side)
        computed = lazy.compute(scheduler="sync")
        for n in ds.data_vars:
            assert lazy[n].chunks is not None
            np.testing.assert_array_equal(computed[n], whole[n])
            assert computed[n].dtype == lazy[n].dtype == whole[n].dtype


@quick
@given(st.integers(150, 700), st.integers(150, 700), st.integers(3, 9), st.sampled_from(["auto", "average"]))
def test_chunks_do_not_matter_on_projected_rasters(rows, cols, side, method):
    values, x, y, _, _ = albers_100m()
    ds = projected(values.astype("f4"), x, y)
    ds["land_cover"] = (("y", "x"), (values.astype("f4") > 40).astype("u1"))
    whole = xsm.regrid_ease9km(ds, method=method)
    lazy = xsm.regrid_ease9km(ds.chunk(y=rows, x=cols), output_chunks=side, method=method)
    for n in ds.data_vars:
        np.testing.assert_array_equal(lazy[n].compute(scheduler="sync"), whole[n])


@quick
@given(st.integers(5, 40), st.integers(5, 40), st.integers(11, 60))
def test_chunks_do_not_matter_when_interpolating_projected_rasters(rows, cols, side):
    x, y = 100_000 + 12_000.0 * np.arange(40), 2_200_000 - 12_000.0 * np.arange(35)
    ds = projected(patchy((35, 40)), x, y)
    lazy = xsm.regrid_ease9km(ds.chunk(y=rows, x=cols), output_chunks=side)
    np.testing.assert_array_equal(lazy["v"].compute(scheduler="sync"), xsm.regrid_ease9km(ds)["v"])


def test_a_region_is_a_cut_of_the_whole():
    ds = geographic(patchy((60, 70)), NLDAS_LAT[:60], NLDAS_LON[:70])
    whole, part = xsm.regrid_ease9km(ds), xsm.regrid_ease9km(ds, region=(-122, 27, -119, 30))
    np.testing.assert_array_equal(part["v"], xsm.take(whole, grid_of(part))["v"])
    np.testing.assert_array_equal(part["v"], xsm.regrid_ease9km(ds, like=part)["v"])


def test_nothing_is_computed_while_the_graph_is_built():
    import dask
    import dask.array as da

    def refuse(block):
        raise AssertionError("computed")

    lazy = da.zeros((4, 60, 70), chunks=(2, 30, 35), dtype="f4").map_blocks(
        refuse, dtype="f4", meta=np.empty((0, 0, 0), "f4")
    )
    with dask.config.set(scheduler="sync"):
        out = xsm.regrid_ease9km(geographic(lazy, NLDAS_LAT[:60], NLDAS_LON[:70]))
        assert out["v"].chunks is not None
        with pytest.raises(AssertionError, match="computed"):
            out["v"].compute()


def test_a_block_takes_only_its_window():
    import dask.array as da

    seen = []

    def note(block, block_info=None):
        seen.append(block_info[None]["chunk-location"])
        return block

    lazy = da.zeros((224, 464), chunks=16, dtype="f4").map_blocks(note, dtype="f4", meta=np.empty((0, 0), "f4"))
    out = xsm.regrid_ease9km(geographic(lazy, NLDAS_LAT, NLDAS_LON), output_chunks=20)
    out["v"][100:105, 100:105].compute(scheduler="sync")
    assert 0 < len(seen) <= 16  # of 406


def test_dims_attributes_and_carried_variables():
    values = np.random.default_rng(0).random((2, 60, 3, 70)).astype("f4")
    ds = xr.Dataset(
        {
            "soil_temperature_0_10": (("time", "latitude", "soil_depth", "longitude"), values + 280, {"units": "K"}),
            "note": ("time", ["a", "b"]),
            "lat_bnds": (("latitude", "bnds"), np.zeros((60, 2))),
        },
        {
            "latitude": ("latitude", NLDAS_LAT[:60], {"units": "degrees_north", "bounds": "lat_bnds"}),
            "longitude": ("longitude", NLDAS_LON[:70], {"units": "degrees_east"}),
            "time": np.array(["2020-01-01", "2020-01-02"], "M8[ns]"),
            "soil_depth": [5, 10, 30],
        },
        {"title": "t", "history": "before"},
    )
    ds["soil_temperature_0_10"].encoding = {"chunksizes": (1, 60, 3, 70), "_FillValue": -9999.0, "grid_mapping": "crs"}
    before = ds.copy(deep=True)
    out = ds.sm.regrid_ease9km()
    assert out["soil_temperature_0_10"].dims == ("time", "soil_depth", "y", "x")
    assert out["soil_temperature_0_10"].attrs == {"units": "K"}
    assert out["soil_temperature_0_10"].encoding == {"grid_mapping": "spatial_ref"}
    assert out["note"].values.tolist() == ["a", "b"]
    assert set(out.coords) == {"time", "soil_depth", "x", "y", "spatial_ref"}
    assert set(out.data_vars) == {"soil_temperature_0_10", "note"}
    assert out.attrs["title"] == "t"
    assert out.attrs["history"].splitlines()[0] == "before"
    assert "regrid_ease9km(" in out.attrs["history"].splitlines()[1]
    xr.testing.assert_identical(ds, before)


# --- other grids -----------------------------------------------------------------------------------------------------


def test_the_same_grid_is_the_identity():
    grid = EASE2_M09.window(500, 540, 700, 760)
    ds = grid.assign(xr.Dataset({"v": (("y", "x"), patchy(grid.shape))}))
    np.testing.assert_array_equal(xsm.regrid_ease9km(ds)["v"], ds["v"])
    moved = EASE2_M09.window(510, 550, 690, 720)
    np.testing.assert_array_equal(xsm.regrid_ease9km(ds, region=moved)["v"], xsm.take(ds, moved)["v"])


def test_nested_ease_grids_average_exactly():
    grid = EASE2_M09.window(400, 480, 800, 880)
    values = np.random.default_rng(0).random(grid.shape)
    out = xsm.regrid(grid.assign(xr.Dataset({"v": (("y", "x"), values)})), grid="EASE2_M36", method="average")
    assert grid_of(out) == EASE2_M36.window(100, 120, 200, 220)
    np.testing.assert_allclose(out["v"], values.reshape(20, 4, 20, 4).mean((1, 3)), rtol=1e-9)
    back = xsm.regrid_ease9km(out, like=grid)
    assert grid_of(back) == grid


@pytest.mark.parametrize("first", [-179.75, 0.25])
def test_a_global_grid_closes_at_the_date_line(first):
    lat, lon = np.arange(-89.75, 90, 0.5), first + 0.5 * np.arange(720)
    field = np.cos(np.deg2rad(3 * lon)) * np.cos(np.deg2rad(lat))[:, None]
    ds = geographic(field, lat, lon)
    out = xsm.regrid(ds, grid="EASE2_M36")
    grid = grid_of(out)
    assert grid.shape == grid.shape_global
    exact = np.cos(np.deg2rad(3 * grid.lon)) * np.cos(np.deg2rad(grid.lat))[:, None]
    # towards the poles cells are up to ten source rows high and hold a mean, not a point: 2e-4 of curvature
    np.testing.assert_allclose(out["v"], exact, atol=3e-4)
    np.testing.assert_allclose(out["v"][100:300], exact[100:300], atol=5e-6)
    lazy = xsm.regrid(ds.chunk(lat=100, lon=123), grid="EASE2_M36", output_chunks=300)
    np.testing.assert_array_equal(lazy["v"], out["v"])


def test_a_region_across_the_date_line():
    lon = 170.25 + 0.5 * np.arange(40)
    lat = np.arange(0.25, 20, 0.5)
    out = xsm.regrid(geographic(lat[:, None] + 0 * lon, lat, lon), grid="EASE2_M36")
    columns = np.isfinite(out["v"].values).any(0)
    turned = grid_of(out).lon % 360
    np.testing.assert_array_equal(columns, (turned >= 170) & (turned < 190))


def test_curvilinear_input_is_the_regular_one():
    values = patchy((60, 70), share=0.02)
    lon, lat = np.meshgrid(NLDAS_LON[:70], NLDAS_LAT[:60])
    curved = xr.Dataset({"v": (("j", "i"), values), "lat": (("j", "i"), lat), "lon": (("j", "i"), lon)})
    for method in ("bicubic", "bilinear", "nearest"):
        out = xsm.regrid_ease9km(curved, method=method)
        regular = xsm.regrid_ease9km(geographic(values, NLDAS_LAT[:60], NLDAS_LON[:70]), like=out, method=method)
        assert set(out.data_vars) == {"v"}
        inner = (slice(3, -3), slice(3, -3))
        a, b = out["v"].values[inner], regular["v"].values[inner]
        # latitude is not linear in EASE rows: the inverse is good to 1e-4 of a cell of 0.125 degree
        assert (np.isfinite(a) == np.isfinite(b)).mean() > 0.999
        both = np.isfinite(a) & np.isfinite(b)
        assert np.quantile(np.abs(a - b)[both], 0.999) < 0.05
    lazy = xsm.regrid_ease9km(curved.chunk(j=13, i=29), output_chunks=21)
    np.testing.assert_array_equal(lazy["v"], xsm.regrid_ease9km(curved)["v"])


def test_weights_of_scattered_cells_are_kept(tmp_path, monkeypatch):
    from xsm.kernels import plan, scattered

    rng = np.random.default_rng(3)
    lon, lat = np.meshgrid(-100 + 0.2 * np.arange(20), 35 + 0.2 * np.arange(16))
    twisted = {"lon": (("j", "i"), lon + 0.05 * lat), "lat": (("j", "i"), lat - 0.03 * lon)}
    cells = xr.Dataset({"v": (("j", "i"), rng.normal(size=lon.shape))}, twisted)
    points = xr.Dataset(
        {"v": ("p", rng.normal(size=50))},
        {"lon": ("p", rng.uniform(-99, -97, 50)), "lat": ("p", np.linspace(35, 37, 50))},
    )
    for ds in (cells, points):
        plan.make_plan.cache_clear()
        before = xsm.regrid_ease9km(ds)
        with xsm.set_options(cache=tmp_path):
            plan.make_plan.cache_clear()
            first = xsm.regrid_ease9km(ds)
            plan.make_plan.cache_clear()
            for name in ("locate", "nearest_cells"):
                monkeypatch.setattr(scattered, name, lambda *_: pytest.fail("searched again"))
            again = xsm.regrid_ease9km(ds)
            xsm.regrid_ease9km(ds * 2)  # the process remembers too
            monkeypatch.undo()
        assert before["v"].identical(first["v"])
        assert first["v"].identical(again["v"])
    kept = sorted(tmp_path.rglob("*.npy"))
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    kept[1].write_bytes(kept[1].read_bytes()[:100])
    with xsm.set_options(cache=tmp_path):
        plan.make_plan.cache_clear()
        assert xsm.regrid_ease9km(points)["v"].identical(again["v"])


@pytest.mark.parametrize("pixel", [2500, 900, 250])
def test_rasters_of_any_fineness_are_reduced_exactly(pixel):
    n = 250_000 // pixel
    x, y = 300_000 + pixel * (np.arange(n) + 0.5), 2_000_000 - pixel * (np.arange(n) + 0.5)
    east, north = to_ease(x, y)
    values = 40 + 20 * np.sin(east / 3e4) * np.cos(north / 2e4)
    out = xsm.regrid_ease9km(projected(values, x, y))
    grid = grid_of(out)
    num, den = brute(values, east, north, grid, keys)
    sure = den > 0.98 * np.median(den)
    assert sure.sum() > 100
    # positions between nodes are good to 2e-4 of a cell; the field changes by up to 9 a cell
    np.testing.assert_allclose(out["v"].values[sure], (num / np.where(den == 0, 1, den))[sure], atol=2e-3)


def test_real_curvilinear_files(real_data):
    ds = xr.open_dataset(real_data / "lis_noahmp/LIS_HIST_201704010000.d01.nc", decode_times=False)
    out = ds.sm.regrid_ease9km()
    assert out["SoilMoist_inst"].dims == ("SoilMoist_profiles", "y", "x")
    low, high = float(ds["SoilMoist_inst"].min()), float(ds["SoilMoist_inst"].max())
    values = out["SoilMoist_inst"].values
    assert np.isfinite(values).mean() > 0.3
    assert np.nanmean((values >= low) & (values <= high)) > 0.3
    grid, lat, lon = grid_of(out), ds["lat"].values, ds["lon"].values
    i, j = 40, 30
    row, col = grid.rowcol(lon[i, j], lat[i, j])
    near = xsm.regrid_ease9km(ds, method="nearest")["SoilMoist_inst"].values[0, row - grid.row0, col - grid.col0]
    np.testing.assert_array_equal(near, ds["SoilMoist_inst"].values[0, i, j])


def test_points_on_cells_come_back():
    grid = EASE2_M09.window(500, 540, 700, 760)
    rng = np.random.default_rng(0)
    keep = rng.permutation(grid.rows * grid.cols)[:900]
    lon, lat = (v.ravel()[keep] for v in np.meshgrid(grid.lon, grid.lat))
    value = rng.random((2, 900)).astype("f4")
    ds = xr.Dataset({"v": (("time", "cell"), value)}, {"lon": ("cell", lon), "lat": ("cell", lat)})
    expected = np.full((2, *grid.shape), np.nan, "f4")
    expected.reshape(2, -1)[:, keep] = value
    np.testing.assert_array_equal(xsm.regrid_ease9km(ds, like=grid)["v"], expected)
    np.testing.assert_array_equal(xsm.regrid_ease9km(ds.chunk(cell=100), like=grid, output_chunks=16)["v"], expected)
    with pytest.raises(DataError, match="points"):
        xsm.regrid_ease9km(ds, method="bicubic")


# --- bad input -------------------------------------------------------------------------------------------------------


def good():
    return geographic(np.zeros((40, 50), "f4"), NLDAS_LAT[:40], NLDAS_LON[:50])


def with_axis(name, change):
    ds = good()
    values = ds[name].values.copy()
    change(values)
    return ds.assign_coords({name: values})


@pytest.mark.parametrize(
    ("ds", "says"),
    [
        (lambda: good().drop_vars(["lat", "lon"]), "no horizontal coordinates"),
        (lambda: good().rename(lat="y", lon="x"), "no CRS"),
        (lambda: with_axis("lat", lambda v: v.__setitem__(7, v[7] + 0.06)), "not regular"),
        (lambda: with_axis("lon", lambda v: v.__setitem__(7, np.nan)), "missing values"),
        (lambda: with_axis("lon", lambda v: v.__setitem__(7, v[8])), "repeats 1"),
        (lambda: good().isel(lat=[0]), "at least 2"),
        (lambda: good().astype("c8"), "complex64"),
        (lambda: good().astype(object), "object"),
        (lambda: good().drop_vars("v"), "No variable"),
        (lambda: xr.Dataset({"v": ("n", [1.0])}, {"lat": ("n", [np.nan]), "lon": ("n", [1.0])}), "no position"),
    ],
)
def test_bad_input_is_one_sentence(ds, says):
    with pytest.raises(DataError, match=says) as error:
        xsm.regrid_ease9km(ds())
    assert "\n" not in str(error.value)
    assert error.value.hint


def test_no_overlap_is_an_error():
    with pytest.raises(DataError, match="does not overlap"):
        xsm.regrid_ease9km(good(), region=(10, 40, 20, 50))
    with pytest.raises(UsageError, match="Both"):
        xsm.regrid_ease9km(good(), region=(10, 40, 20, 50), like=good())
    with pytest.raises(UsageError, match="EASE2_M36"):
        xsm.regrid_ease9km(good(), like=EASE2_M36)


def test_categories_are_not_interpolated():
    ds = good().astype("u1").rename(v="land_cover")
    with pytest.raises(DataError, match="classes or flags"):
        xsm.regrid_ease9km(ds, method="bicubic")
    assert xsm.regrid_ease9km(ds)["land_cover"].dtype == "u1"


def test_mode_of_a_continuous_field_is_refused():
    ds = geographic(
        np.random.default_rng(0).random((100, 100)), 30 + 0.01 * np.arange(100), -99 + 0.01 * np.arange(100)
    )
    with pytest.raises(DataError, match="different values"):
        xsm.regrid_ease9km(ds, method="mode")
