"""Regridding of every kind of grid, and of input that is none."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.regrid_reference import (
    NLDAS_LAT,
    NLDAS_LON,
    geographic,
    patchy,
)
from xsm.data.grids import EASE2_M09, EASE2_M36, grid_of
from xsm.errors import DataError, UsageError


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
    from xsm.kernels import curvilinear, neighbours, plan

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
            for module, name in ((curvilinear, "locate"), (neighbours, "nearest_cells")):
                monkeypatch.setattr(module, name, lambda *_: pytest.fail("searched again"))
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


@pytest.mark.parametrize("method", ["auto", "mode"])
def test_the_convention_of_longitudes_does_not_matter_to_classes(method):
    classes = np.random.default_rng(0).integers(1, 17, (180, 360)).astype("u1")
    lat = -89.5 + np.arange(180.0)
    plain = xr.Dataset({"land_cover": (("lat", "lon"), classes)}, {"lat": lat, "lon": -179.5 + np.arange(360.0)})
    turned = xr.Dataset(
        {"land_cover": (("lat", "lon"), np.roll(classes, -180, 1))}, {"lat": lat, "lon": 0.5 + np.arange(360.0)}
    )
    one, other = (xsm.regrid(ds, grid="EASE2_M36", method=method)["land_cover"] for ds in (plain, turned))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", ["nearest", "bicubic"])
def test_every_value_that_is_called_missing_is(method):
    values = np.full((40, 50), 0.25, "f4")
    values[5:9], values[20:24] = -9999.9, -1.0
    ds = geographic(values, NLDAS_LAT[:40], NLDAS_LON[:50])
    ds["v"].attrs.update(_FillValue=np.float32(-1), missing_value=np.float64(-9999.9))
    out = xsm.regrid_ease9km(ds, method=method)["v"]
    assert out.min() >= 0.25 - 1e-6 and out.max() <= 0.25 + 1e-6


def test_a_missing_value_that_the_type_cannot_hold_is_told():
    ds = geographic(np.ones((20, 20), "u1"), NLDAS_LAT[:20], NLDAS_LON[:20])
    ds["v"].attrs["_FillValue"] = -1
    with pytest.raises(DataError, match="is uint8 and calls -1 missing"):
        xsm.regrid_ease9km(ds, method="nearest")


@pytest.mark.parametrize("method", ["bicubic", "average"])
def test_without_gaps_min_valid_does_not_matter(method):
    ds = geographic(np.random.default_rng(0).normal(size=(60, 70)), NLDAS_LAT[:60], NLDAS_LON[:70])
    west, east, south, north = NLDAS_LON[10], NLDAS_LON[60], NLDAS_LAT[10], NLDAS_LAT[50]
    whole, half = (
        xsm.regrid_ease9km(ds, region=(west, south, east, north), method=method, min_valid=v)["v"] for v in (1.0, 0.5)
    )
    np.testing.assert_array_equal(whole, half)


def test_old_places_are_forgotten():
    ds = geographic(np.ones((20, 20)), NLDAS_LAT[:20], NLDAS_LON[:20]).assign_attrs(crs="EPSG:4326", title="t")
    ds["v"].attrs["transform"] = [1, 2]
    out = xsm.regrid_ease9km(ds)
    assert "crs" not in out.attrs and out.attrs["title"] == "t" and "transform" not in out["v"].attrs


@pytest.mark.parametrize("layout", ["axes", "fields", "points"])
def test_swapped_latitudes_and_longitudes_are_named(layout):
    lat, lon = np.arange(-102, -80.0, 2), np.arange(30, 52.0, 2)
    if layout == "axes":
        ds = xr.Dataset({"sm": (("lat", "lon"), np.full((11, 11), 0.2))}, {"lat": lat, "lon": lon})
    else:
        dims = ("p",) if layout == "points" else ("j", "i")
        north, east = (lat, lon) if layout == "points" else np.meshgrid(lat, lon, indexing="ij")
        ds = xr.Dataset({"sm": (dims, 0 * north + 0.2)}, {"lat": (dims, north), "lon": (dims, east)})
    with pytest.raises(DataError, match=r"'lat' has the latitude -102, expected .* Is it swapped with 'lon'"):
        xsm.regrid_ease9km(ds)


def test_axes_in_metres_under_names_of_degrees_are_refused():
    axis = np.arange(10) * 1000.0
    ds = xr.Dataset({"sm": (("lat", "lon"), np.full((10, 10), 0.2))}, {"lat": axis / 1e4, "lon": axis})
    with pytest.raises(DataError, match="has the longitude 1000, expected -180 to 360"):
        xsm.regrid_ease9km(ds)
