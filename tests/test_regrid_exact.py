"""Regridding against direct float64 sums, GDAL and analytic fields."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

import xsm
from tests.regrid_reference import (
    ALBERS,
    NLDAS_LAT,
    NLDAS_LON,
    albers_100m,
    brute,
    gdal,
    geographic,
    keys,
    patchy,
    projected,
    reference,
    to_ease,
    triangle,
)
from xsm.data.grids import EASE2_M09, grid_of


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
    ds = (
        projected(soil["sand"], x, y)
        .drop_vars("v")
        .assign({n: (("y", "x"), v, {"units": "percent"}) for n, v in soil.items()})
    )
    out = xsm.regrid_ease9km(ds.assign(bulk_density=(("y", "x"), np.full((500, 500), 1.3, "f4"))))
    total = out["sand"] + out["silt"] + out["clay"]
    assert np.isfinite(total).sum() > 10
    np.testing.assert_allclose(total.values[np.isfinite(total)], 100, rtol=1e-6)
    for n in soil:
        np.testing.assert_array_equal(np.isfinite(out[n]), np.isfinite(total))
        assert 0 <= np.nanmin(out[n]) <= np.nanmax(out[n]) <= 100
    assert out["clay"].attrs["clipped_cells"] > 0 or out["sand"].attrs["clipped_cells"] > 0
    np.testing.assert_allclose(out["bulk_density"].values[np.isfinite(out["bulk_density"])], 1.3, rtol=1e-6)


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
