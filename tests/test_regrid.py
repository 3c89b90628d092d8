"""Regridding: gaps, classes, chunks against the whole bit for bit, metadata."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xsm
from tests.regrid_reference import (
    NLDAS_LAT,
    NLDAS_LON,
    albers_100m,
    geographic,
    keys,
    patchy,
    projected,
    quick,
    reference,
    to_ease,
)
from xsm.data.grids import X0, Y0, grid_of
from xsm.kernels import apply

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
    ds["sand"].attrs["units"] = "percent"
    out = xsm.regrid_ease9km(ds)
    assert out["sand"].min() == 0 and out["sand"].max() == 100
    assert out["sand"].attrs["clipped_cells"] > 10
    for units in ({"units": "g kg-1"}, {}):
        ds["sand"].attrs = units
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
@given(
    st.integers(150, 700),
    st.integers(150, 700),
    st.integers(3, 9),
    st.sampled_from(["auto", "average"]),
    st.sampled_from([0, apply.WHOLE_CELLS]),
)
def test_chunks_do_not_matter_on_projected_rasters(rows, cols, side, method, whole_cells):
    values, x, y, _, _ = albers_100m()
    ds = projected(values.astype("f4"), x, y)
    ds["land_cover"] = (("y", "x"), (values.astype("f4") > 40).astype("u1"))
    whole = xsm.regrid_ease9km(ds, method=method)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "WHOLE_CELLS", whole_cells)
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

    blocks = []

    def note(block, block_info=None):
        blocks.append(block_info[None]["chunk-location"])
        return block

    lazy = da.zeros((224, 464), chunks=16, dtype="f4").map_blocks(note, dtype="f4", meta=np.empty((0, 0), "f4"))
    out = xsm.regrid_ease9km(geographic(lazy, NLDAS_LAT, NLDAS_LON), output_chunks=20)
    out["v"][100:105, 100:105].compute(scheduler="sync")
    assert 0 < len(blocks) <= 16  # of 406


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


def test_a_threshold_of_zero_leaves_holes_empty():
    values = np.ones((40, 50))
    values[10:30, 10:40] = np.nan
    ds = geographic(values, NLDAS_LAT[:40], NLDAS_LON[:50])
    x, y = 300_000 + 500.0 * np.arange(300), 2_000_000 - 500.0 * np.arange(300)
    raster = np.ones((300, 300))
    raster[60:240, 60:240] = np.nan
    coarse = projected(values, 100_000 + 12_000.0 * np.arange(50), 2_200_000 - 12_000.0 * np.arange(40))
    for source in (ds, projected(raster, x, y), coarse):
        out = xsm.regrid_ease9km(source, method="bicubic", min_valid=0)["v"].values
        assert np.isnan(out[out.shape[0] // 2, out.shape[1] // 2])
        np.testing.assert_allclose(out[np.isfinite(out)], 1, atol=1e-6)


def test_lazy_results_of_other_thresholds_have_other_keys():
    ds = geographic(patchy((60, 70)), NLDAS_LAT[:60], NLDAS_LON[:70]).chunk()
    one, other = (xsm.regrid_ease9km(ds, min_valid=share)["v"] for share in (0.2, 0.9))
    assert one.data.name != other.data.name
    together = float(np.isfinite(one - other).sum())
    assert together == float((np.isfinite(one.compute()) & np.isfinite(other.compute())).sum())
