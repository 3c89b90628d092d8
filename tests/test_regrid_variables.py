"""What becomes of each variable: integers, classes beside continuous fields, soil shares, points that share a cell."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.regrid_reference import NLDAS_LAT, NLDAS_LON, geographic, projected
from xsm.data.grids import EASE2_M09, EASE2_M36, grid_of

BEYOND = (-126, 24, -119, 30)
WITHIN = (-122, 27, -119, 30)


def whole(dtype, **attrs):
    values = (100 + np.arange(60 * 70).reshape(60, 70) % 90).astype(dtype)
    return geographic(values, NLDAS_LAT[:60], NLDAS_LON[:70], **attrs)


@pytest.mark.parametrize("method", ["bicubic", "average", "nearest", "mode"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "u2"])
def test_integers_without_a_missing_value_are_not_filled_with_one_that_means_something(dtype, method):
    ds = whole(dtype)
    out = xsm.regrid_ease9km(ds, region=BEYOND, method=method)["v"]
    assert out.dtype == ("f4" if np.dtype(dtype).itemsize <= 2 else "f8")
    exact = xsm.regrid_ease9km(ds.astype("f8"), region=BEYOND, method=method)["v"]
    assert 0 < np.isnan(exact).sum() < exact.size
    np.testing.assert_array_equal(np.isfinite(out), np.isfinite(exact))
    np.testing.assert_allclose(out, exact, rtol=1e-5)
    lazy = xsm.regrid_ease9km(ds.chunk(lat=20, lon=30), region=BEYOND, method=method, output_chunks=16)["v"]
    assert lazy.dtype == out.dtype
    np.testing.assert_array_equal(lazy, out)
    assert xsm.regrid_ease9km(ds, region=WITHIN, method=method)["v"].dtype == dtype


@pytest.mark.parametrize(("dtype", "fill"), [("u1", 255), ("u2", 65534), ("i2", None)])
def test_classes_outside_the_source_say_what_missing_is(dtype, fill):
    ds = whole(dtype, flag_values=np.arange(100, 190).astype(dtype))
    out = xsm.regrid_ease9km(ds, region=BEYOND)["v"]
    exact = xsm.regrid_ease9km(ds.astype("f8"), region=BEYOND)["v"]
    if fill is None:
        assert out.dtype == "f4" and "_FillValue" not in out.attrs
        np.testing.assert_array_equal(out, exact)
    else:
        assert out.dtype == dtype and out.attrs["_FillValue"] == fill
        np.testing.assert_array_equal(out, exact.fillna(fill))
    inside = xsm.regrid_ease9km(ds, region=WITHIN)["v"]
    assert inside.dtype == dtype and "_FillValue" not in inside.attrs


def test_an_average_of_integers_keeps_to_min_valid():
    ds = whole("i4")
    for min_valid in (0.2, 0.9):
        out = xsm.regrid(ds, grid="EASE2_M36", method="average", min_valid=min_valid)["v"]
        exact = xsm.regrid(ds.astype("f8"), grid="EASE2_M36", method="average", min_valid=min_valid)["v"]
        np.testing.assert_array_equal(np.isfinite(out), np.isfinite(exact))
        assert float(out.min()) >= 100


@pytest.mark.parametrize("method", ["bicubic", "bilinear"])
def test_without_gaps_min_valid_does_not_matter_to_curvilinear_cells(method):
    lon, lat = np.meshgrid(NLDAS_LON[:60], NLDAS_LAT[:50])
    where = {"lat": (("j", "i"), lat), "lon": (("j", "i"), lon)}
    ds = xr.Dataset({"v": (("j", "i"), np.random.default_rng(0).normal(size=lat.shape).astype("f4"))}, where)
    box = (NLDAS_LON[10], NLDAS_LAT[10], NLDAS_LON[50], NLDAS_LAT[40])
    one, half = (xsm.regrid_ease9km(ds, region=box, method=method, min_valid=v)["v"] for v in (1.0, 0.5))
    assert np.isfinite(half).all()
    np.testing.assert_array_equal(one, half)


def test_the_mode_goes_to_classes_and_the_rest_is_told():
    rng = np.random.default_rng(1)
    lat, lon = 30 + 0.01 * np.arange(200), -99 + 0.01 * np.arange(200)
    ds = geographic(rng.normal(size=(200, 200)), lat, lon).rename(v="height")
    ds["land_cover"] = (("lat", "lon"), rng.integers(1, 17, (200, 200)).astype("u1"))
    with pytest.warns(UserWarning, match=r"classes.*height \(bicubic\)"):
        out = xsm.regrid_ease9km(ds, method="mode")
    for n in ("height", "land_cover"):
        np.testing.assert_array_equal(out[n], xsm.regrid_ease9km(ds)[n])
    kinds = geographic(ds["land_cover"].values, lat, lon)  # classes that no attribute tells
    np.testing.assert_array_equal(xsm.regrid_ease9km(kinds, method="mode")["v"].fillna(255), out["land_cover"])


@pytest.mark.parametrize("chunks", [None, {"y": 210, "x": 190}])
def test_integer_percentages_of_soil_share_mask_and_sum(chunks):
    rng = np.random.default_rng(0)
    x, y = 300_050 + 100.0 * np.arange(500), 1_999_950 - 100.0 * np.arange(500)
    sand = (np.where(np.arange(500) < 250, 5, 90) + rng.integers(-3, 3, (500, 500))).astype("u1")
    soil = {"sand": sand, "silt": np.full((500, 500), 4, "u1"), "clay": (96 - sand).astype("u1")}
    soil["clay"][:200, :200] = 255
    ds = projected(sand, x, y).drop_vars("v")
    about = {"units": "percent", "_FillValue": np.uint8(255)}
    ds = ds.assign({n: (("y", "x"), v, about) for n, v in soil.items()})
    out = xsm.regrid_ease9km(ds if chunks is None else ds.chunk(chunks))
    floats = ds.map(lambda v: v.where(v != 255).astype("f4") if v.ndim else v, keep_attrs=True)
    exact = xsm.regrid_ease9km(floats)
    total = out["sand"] + out["silt"] + out["clay"]
    assert 10 < np.isfinite(total).sum() < total.size
    np.testing.assert_allclose(total.values[np.isfinite(total)], 100, rtol=1e-6)
    for n in soil:
        assert out[n].dtype == "f4" and "_FillValue" not in out[n].attrs
        np.testing.assert_array_equal(out[n], exact[n])


# --- points ----------------------------------------------------------------------------------------------------------


def at(grid, row, col, **variables):
    """Points at fractional rows and columns of a window (0 the centre of its first cell)."""
    lon = np.interp(col, np.arange(grid.cols), grid.lon)
    lat = np.interp(row, np.arange(grid.rows), grid.lat)
    data = {n: ("p", np.asarray(v)) for n, v in variables.items()}
    return xr.Dataset(data, {"lon": ("p", lon), "lat": ("p", lat)})


def test_points_in_one_cell_are_averaged_or_the_commonest_is_taken():
    grid = EASE2_M09.window(500, 520, 700, 730)
    rng = np.random.default_rng(4)
    row, col = rng.uniform(0, 19, 400), rng.uniform(0, 29, 400)
    values, kinds = rng.normal(size=400), rng.integers(1, 5, 400).astype("u1")
    values[::7] = np.nan
    ds = at(grid, row, col, v=values, land_cover=kinds)
    out = xsm.regrid_ease9km(ds, like=grid)
    cells = np.rint(row).astype(int) * grid.cols + np.rint(col).astype(int)
    several = 0
    for cell in np.unique(cells):
        values_in_cell = values[cells == cell]
        valid = values_in_cell[np.isfinite(values_in_cell)]
        spot = divmod(int(cell), grid.cols)
        if len(valid) >= 0.5 * len(values_in_cell):
            np.testing.assert_allclose(out["v"].values[spot], valid.mean(), rtol=1e-12)
        assert out["land_cover"].values[spot] == np.bincount(kinds[cells == cell]).argmax()
        several += len(values_in_cell) > 1
    assert several > 50
    lazy = xsm.regrid_ease9km(ds.chunk(p=90), like=grid, output_chunks=8)
    for n in ("v", "land_cover"):
        np.testing.assert_array_equal(lazy[n], out[n])
    strict = xsm.regrid_ease9km(ds, like=grid, min_valid=1.0)["v"]
    assert np.isfinite(strict).sum() < np.isfinite(out["v"]).sum()


def test_lone_stations_do_not_spread():
    grid = EASE2_M09.window(400, 500, 700, 850)
    rng = np.random.default_rng(5)
    row, col = rng.uniform(0, 99, 40), rng.uniform(0, 149, 40)
    out = xsm.regrid_ease9km(at(grid, row, col, v=np.arange(40.0)), like=grid)["v"].values
    i, j = np.nonzero(np.isfinite(out))
    distance = np.hypot(i[:, None] - row, j[:, None] - col).min(1)
    assert distance.max() < 0.75  # half a diagonal is 0.707, latitudes were interpolated
    assert len(np.unique(np.rint(row) * 1000 + np.rint(col))) <= len(i) < 2.5 * 40


def test_a_coarse_swath_stays_closed():
    grid = EASE2_M36.window(100, 130, 200, 215)
    lon, lat = np.meshgrid(grid.lon, grid.lat)
    value = np.random.default_rng(6).random(grid.shape)
    ds = xr.Dataset({"v": ("p", value.ravel())}, {"lon": ("p", lon.ravel()), "lat": ("p", lat.ravel())})
    np.testing.assert_array_equal(xsm.regrid(ds, grid="EASE2_M36", region=grid)["v"], value)
    fine = xsm.regrid_ease9km(ds, like=EASE2_M09.window(400, 520, 800, 860))["v"]
    np.testing.assert_array_equal(fine, np.kron(value, np.ones((4, 4))))


def test_a_real_half_orbit_comes_back_on_its_own_grid(real_data):
    import h5py

    with h5py.File(next((real_data / "smap_l2").glob("*L2_SM_P_*.h5"))) as file:
        cells = file["Soil_Moisture_Retrieval_Data"]
        names = ("latitude", "longitude", "tb_v_corrected", "EASE_row_index", "EASE_column_index")
        lat, lon, tb, row, col = (cells[n][:] for n in names)
    ds = xr.Dataset({"tb": ("cell", np.where(tb == -9999, np.nan, tb))}, {"lat": ("cell", lat), "lon": ("cell", lon)})
    out = xsm.regrid(ds, grid="EASE2_M36")["tb"]
    grid = grid_of(out)
    np.testing.assert_array_equal(out.values[row - grid.row0, col - grid.col0], ds["tb"])
    lone = np.ones(grid.shape, bool)
    lone[row - grid.row0, col - grid.col0] = False
    assert np.isnan(out.values[lone]).all()
    fine = xsm.regrid_ease9km(ds)["tb"]
    share = np.isfinite(fine).sum() / np.isfinite(tb[tb != -9999]).sum()
    assert 15.5 < float(share) < 18  # 16 cells each, and a rim where half a diagonal reaches beyond
