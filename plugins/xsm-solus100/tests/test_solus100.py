from __future__ import annotations

import functools
import os
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from soil_layers import LEFT, TEXTURE, TOP, files, make, stored
from xsm import DataError, UsageError
from xsm.data.soil_values import share
from xsm.io.geotiff_bands import vsi_name
from xsm.plugin_api import Area
from xsm.testing import check_source, open_files
from xsm_solus100.backend import Solus100Backend
from xsm_solus100.source import Solus100Source

SOURCE = Solus100Source()
open_ = functools.partial(open_files, SOURCE)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in (*TEXTURE, "dbovendry"):
        for depth in (5, 30):
            values = stored(name)
            if depth == 30 and name == "claytotal":
                values[40:45] = 255  # a hole in one of the three only
            make(tmp_path / f"{name}_{depth}_cm_p.tif", values)
    return tmp_path


def test_values_scale_mask_and_sum(folder):
    ds = open_(files(folder))
    assert dict(ds.sizes) == {"soil_depth": 2, "y": 60, "x": 80}
    assert ds["soil_depth"].values.tolist() == [5, 30]
    raw = {n: np.where(stored(n) == 255, np.nan, stored(n).astype("f8")) for n in (*TEXTURE, "dbovendry")}
    total = sum(raw[n] for n in TEXTURE)
    assert {99, 100, 101} <= set(np.unique(total[np.isfinite(total)]))
    for name, prop in zip(("sand", "silt", "clay"), TEXTURE, strict=True):
        # float32 against float64: half an ulp in each of three roundings
        np.testing.assert_allclose(ds[name].sel(soil_depth=5), raw[prop] * 100 / total, rtol=3e-7)
    np.testing.assert_allclose(ds["bulk_density"].sel(soil_depth=5), raw["dbovendry"] / 100, rtol=1e-7)
    summed = (ds["sand"] + ds["silt"] + ds["clay"]).values
    np.testing.assert_allclose(summed[np.isfinite(summed)], 100, atol=3e-5)
    masks = [np.isnan(ds[n].values) for n in ("sand", "silt", "clay")]
    assert np.array_equal(masks[0], masks[1]) and np.array_equal(masks[0], masks[2])
    assert masks[0][1, 40:45].all() and not np.isnan(ds["bulk_density"].values[1, 40:45, 20:]).any()
    assert all(v.dtype == np.float32 for v in ds.data_vars.values())


def test_metadata_keeps_the_crs_of_the_file(folder):
    ds = open_(files(folder))
    assert ds["bulk_density"].attrs["units"] == "g cm-3" and ds["sand"].attrs["units"] == "percent"
    assert ds.rio.crs.to_epsg() == 5070
    assert ds.rio.transform() == from_origin(LEFT, TOP, 100, 100)
    assert ds["x"].values[:2].tolist() == [LEFT + 50, LEFT + 150] and ds["y"].values[0] == TOP - 50
    assert ds["x"].attrs["standard_name"] == "projection_x_coordinate" and ds["y"].attrs["axis"] == "Y"
    assert ds["sand"].encoding["grid_mapping"] == "spatial_ref"
    assert ds["soil_depth"].attrs["units"] == "cm"


def test_region_reads_a_window(folder, monkeypatch):
    with rasterio.open(folder / "sandtotal_5_cm_p.tif") as file:
        lon, lat = rasterio.warp.transform(file.crs, "EPSG:4326", [LEFT + 4000], [TOP - 3000])
    area = Area((lon[0] - 0.005, lat[0] - 0.005, lon[0] + 0.005, lat[0] + 0.005), types.SimpleNamespace())
    ds = open_(files(folder), region=area)
    assert ds.sizes["x"] < 40 and ds.sizes["y"] < 40
    whole = open_(files(folder))
    xr.testing.assert_equal(ds.compute(), whole.sel(x=ds["x"], y=ds["y"]).compute())
    assert ds.rio.transform()[2] == ds["x"].values[0] - 50
    box = rasterio.warp.transform_bounds("EPSG:4326", "EPSG:5070", *area.bbox, densify_pts=50)
    assert ds["x"].min() <= box[0] - 700 and ds["x"].max() >= box[2] + 700
    with pytest.raises(DataError, match="does not touch the region"):
        open_(files(folder), region=Area((-80, 40, -79, 41), types.SimpleNamespace()))


def test_lazy_and_chunks_lie_on_the_file(tmp_path, monkeypatch):
    for name in TEXTURE:
        values = np.full((2100, 2200), 33, "u1")
        make(tmp_path / f"{name}_5_cm_p.tif", values, tiled=True, blockxsize=512, blockysize=512)
    read = []
    real = rasterio.io.DatasetReader.read
    monkeypatch.setattr(
        rasterio.io.DatasetReader, "read", lambda self, *a, **k: (read.append(k["window"]), real(self, *a, **k))[1]
    )
    ds = open_(files(tmp_path), soil_depth=[5])
    assert not read
    assert ds["sand"].chunks == ((1,), (1024, 1024, 52), (1024, 1024, 152))
    ds["sand"][0, :10, :10].compute()
    assert len(read) == 3 and all(w.width <= 1024 and w.height <= 1024 for w in read)
    read.clear()
    ds.compute()
    assert len(read) == 3 * 9, "each block of each layer is read once for all three fractions"


@pytest.mark.parametrize("depth", [5, "5", [5], ("5",)])
def test_depths(folder, depth):
    assert open_(files(folder), soil_depth=depth)["soil_depth"].values.tolist() == [5]


def test_wrong_names_are_refused(folder):
    with pytest.raises(UsageError, match="no depth 25 cm"):
        open_(files(folder), soil_depth=[25])
    with pytest.raises(UsageError, match="no variable 'loam'"):
        open_(files(folder), variables=["loam"])
    with pytest.raises(DataError, match=r"dbovendry_60_cm_p.tif is not among the files"):
        open_(files(folder), variables=["bulk_density"], soil_depth=[60])
    shutil.copy(folder / "sandtotal_5_cm_p.tif", folder / "foo_5_cm_p.tif")
    with pytest.raises(DataError, match="property 'foo', whose scale xsm does not know"):
        open_(files(folder))
    with pytest.raises(DataError, match="None of the files is a prediction layer"):
        open_([folder / "sandtotal_5_cm_l.tif"])


def test_one_fraction_is_the_same_as_of_three(folder):
    xr.testing.assert_equal(open_(files(folder), variables=["clay"]), open_(files(folder))[["clay"]])
    alone = [p for p in files(folder) if p.name.startswith("clay")]
    with pytest.warns(UserWarning, match="not rescaled to 100, as sand, silt is missing"):
        ds = open_(alone)
    assert list(ds.data_vars) == ["clay"]


def test_dtype_and_nodata_are_those_of_each_file(folder):
    floats = np.where(stored("dbovendry") == 255, -9999, stored("dbovendry") + 0.5).astype("f4")
    make(folder / "dbovendry_5_cm_p.tif", floats, nodata=-9999)
    make(folder / "dbovendry_30_cm_p.tif", floats.astype("i2"), nodata=None)
    with pytest.warns(UserWarning, match="no nodata value"):
        ds = open_(files(folder), variables=["bulk_density"])
    with pytest.warns(UserWarning, match=r"dbovendry_30_cm_p.tif: 100 of 4800 values of 'bulk_density' are outside 0"):
        density = ds["bulk_density"].values
    assert np.isnan(density[:, 12, 6]).all()  # -9999 is impossible, also where the file does not call it nodata
    np.testing.assert_allclose(ds["bulk_density"][0, 30:], (stored("dbovendry")[30:] + 0.5) / 100, rtol=2e-7)


def test_doubtful_files_warn_by_name(folder):
    make(folder / "sandtotal_5_cm_p.tif", stored("sandtotal"), nodata=25)
    with pytest.warns(UserWarning, match=r"sandtotal_5_cm_p.tif' has the nodata value 25, expected 255"):
        ds = open_(files(folder), soil_depth=5)
    assert np.isnan(ds["sand"].values[0][(stored("sandtotal") == 25) | (stored("sandtotal") == 255)]).all()
    for path in files(folder):
        with rasterio.open(path) as file:
            values = file.read(1)
        make(path, values, left=LEFT + 30)
    with pytest.warns(UserWarning, match="not on the pixels of SOLUS100"):
        open_(files(folder), soil_depth=5)


def test_a_flipped_bit_is_detected_and_skipped(folder):
    """GDAL ignores the checksum of deflated tiles; xsm verifies it."""
    path = folder / "dbovendry_5_cm_p.tif"
    with rasterio.open(path) as file:
        place, size = (int(file.get_tag_item(f"BLOCK_{w}_0_0", "TIFF", bidx=1)) for w in ("OFFSET", "SIZE"))
    raw = bytearray(path.read_bytes())
    raw[place + size // 2] ^= 4
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"dbovendry_5_cm_p.tif' is damaged"):
        open_(files(folder), variables=["bulk_density"]).load()
    with pytest.warns(UserWarning, match=r"left out: .*dbovendry_5_cm_p.tif"):
        ds = open_(files(folder), variables=["bulk_density"], on_error="skip").load()
    assert ds["bulk_density"][0].isnull().all() and ds["bulk_density"][1].notnull().any()


def test_engine_puts_depths_and_properties_together(folder):
    ds = xr.open_mfdataset(files(folder), engine=Solus100Backend)
    assert ds["soil_depth"].values.tolist() == [5, 30] and set(ds.data_vars) == {"sand", "silt", "clay", "bulk_density"}
    wanted = np.where(stored("dbovendry") == 255, np.nan, stored("dbovendry").astype("f4") / np.float32(100))
    np.testing.assert_array_equal(ds["bulk_density"][1], wanted.astype("f4"))
    assert ds.rio.crs.to_epsg() == 5070


def test_layers_on_different_grids_are_refused(folder):
    make(folder / "silttotal_5_cm_p.tif", stored("silttotal"), left=LEFT + 100)
    with pytest.raises(DataError, match=r"silttotal_5_cm_p.tif' is on another grid"):
        open_(files(folder))


BAD = {
    "is an HTML page": lambda p: p.write_bytes(b"<!DOCTYPE html><html></html>"),
    "cannot be read": lambda p: p.write_bytes(b"II*\x00"),
    "does not exist": lambda p: p.unlink(),
    "is truncated": lambda p: p.write_bytes(p.read_bytes()[:-40]),
    "has no CRS": lambda p: make(p, stored("dbovendry"), crs=None),
    "has 3 bands": lambda p: make(p, stored("dbovendry"), count=3),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_named(folder, what):
    paths, bad = files(folder), folder / "dbovendry_30_cm_p.tif"
    BAD[what](bad)
    with pytest.raises(DataError, match=f"{bad.name}' {what}"):
        open_(paths)
    ds = open_(paths, on_error="skip")
    assert bad.name in ds.attrs["skipped"][0]
    assert np.isnan(ds["bulk_density"].values[1]).all() and np.isfinite(ds["bulk_density"].values[0, 30:]).all()


def test_damage_inside_a_file_is_named_when_it_is_read(folder):
    bad = folder / "dbovendry_5_cm_p.tif"
    with rasterio.open(bad) as file:
        at, size = (int(file.get_tag_item(f"BLOCK_{w}_0_0", "TIFF", bidx=1)) for w in ("OFFSET", "SIZE"))
    data = bytearray(bad.read_bytes())
    data[at : at + size] = bytes(size)
    bad.write_bytes(data)
    ds = open_(files(folder), variables=["bulk_density"])
    with pytest.raises(DataError, match=f"{bad.name}' is damaged"):
        ds.compute()


def test_identify():
    assert SOURCE.identify(Path("a/sandtotal_5_cm_p.tif")) and SOURCE.identify(Path("dbovendry_150_cm_p.tif"))
    for name in ("sandtotal_5_cm_l.tif", "foo_5_cm_p.tif", "resdept_all_cm_p.tif", "sandtotal_5_cm_p.part"):
        assert not SOURCE.identify(Path(name))


def test_web_addresses_survive_path():
    wanted = "/vsicurl/https://storage.googleapis.com/solus100pub/sandtotal_5_cm_p.tif"
    address = "https://storage.googleapis.com/solus100pub/sandtotal_5_cm_p.tif"
    assert vsi_name(address) == vsi_name(Path(address)) == wanted
    assert vsi_name(Path("/data/a.tif")) == "/data/a.tif"


def test_an_address_that_does_not_answer_is_named():
    address = "http://127.0.0.1:9/sandtotal_5_cm_p.tif"
    with pytest.raises(DataError, match=f"'{address}' cannot be read") as error:
        open_([Path(address)], variables=["sand"], soil_depth=5)
    assert "Check the connection" in str(error.value)


@given(st.lists(st.tuples(*[st.integers(0, 100)] * 3), min_size=1))
def test_shares_sum_to_hundred_and_keep_their_ratio(rows):
    parts = np.array(rows, "f4").T
    shares = np.array([share(*parts, i) for i in range(3)])
    empty = parts.sum(0) == 0
    assert np.isnan(shares[:, empty]).all()
    np.testing.assert_allclose(shares[:, ~empty].sum(0), 100, rtol=5e-7)
    np.testing.assert_allclose(shares * parts.sum(0), 100 * parts * ~empty / np.where(empty, np.nan, 1), rtol=5e-7)


@pytest.mark.skipif("XSM_TEST_DATA" not in os.environ, reason="XSM_TEST_DATA is not set")
def test_real_survey_rasters_under_the_names_of_the_product(tmp_path):
    survey = Path(os.environ["XSM_TEST_DATA"]) / "soil/ssurgo_iowa_derived_epsg5070"
    for prop in TEXTURE:
        shutil.copy(survey / f"{prop}_100m_epsg5070.tif", tmp_path / f"{prop}_5_cm_p.tif")
    ds = open_(files(tmp_path), soil_depth=5)
    raw = []
    for prop in TEXTURE:
        with rasterio.open(tmp_path / f"{prop}_5_cm_p.tif") as file:
            raw.append(file.read(1, masked=True).astype("f8").filled(np.nan))
            assert ds.rio.transform() == file.transform and ds.rio.crs == file.crs
    np.testing.assert_allclose(ds["sand"][0], raw[0] * 100 / sum(raw), rtol=3e-7)
    assert np.isfinite(ds["sand"].values).any()


@pytest.fixture
def world():
    def soil100(name, depth, x, y):
        east, north = np.meshgrid(x / 1e4, y / 1e4)
        sand, silt = 45 + 20 * np.sin(east) + depth / 10, 18 + 10 * np.cos(north)
        maps = {"sandtotal": sand, "silttotal": silt, "claytotal": 100 - sand - silt, "dbovendry": 1 + sand / 100}
        return np.where((east**2 + (north - 130) ** 2) < 0.5, np.nan, maps[name]).astype("f4")

    return types.SimpleNamespace(bbox=(-96.4, 34.4, -95.7, 34.9), seed=5, soil100=soil100)


def test_written_world_is_on_the_pixels_of_the_product(world, tmp_path):
    paths = SOURCE.write(world, tmp_path / "SOLUS")
    assert len(paths) == 8 and sorted(p.name for p in (tmp_path / "SOLUS").iterdir()) == sorted(p.name for p in paths)
    with rasterio.open(paths[0]) as file:
        assert (file.dtypes, file.nodata, file.crs.to_epsg()) == (("uint8",), 255, 5070)
        assert file.block_shapes == [(512, 512)] and file.compression.name == "deflate"
        assert file.res == (100, 100)
        assert (file.transform.c + 2540000) % 100 == 0 and (3258000 - file.transform.f) % 100 == 0
        left, bottom, right, top = rasterio.warp.transform_bounds("EPSG:4326", file.crs, *world.bbox, densify_pts=99)
        assert file.bounds.left <= left - 1900 and file.bounds.right >= right + 1900
        assert file.bounds.bottom <= bottom - 1900 and file.bounds.top >= top + 1900
        assert "twin" in file.tags()["synthetic"]
    raw = {p.name: rasterio.open(p).read(1) for p in paths}
    total = sum(raw[f"{n}_5_cm_p.tif"].astype(int) for n in TEXTURE)[raw["sandtotal_5_cm_p.tif"] != 255]
    assert set(np.unique(total)) == {99, 100, 101}
    bulk = raw["dbovendry_5_cm_p.tif"]
    assert bulk.min() >= 60 and bulk[bulk != 255].max() <= 180 and (bulk == 255).any()


def test_round_trip_of_a_world(world, tmp_path):
    ds = open_(SOURCE.write(world, tmp_path))
    assert "twin" in ds.attrs["synthetic"]
    for name, prop, step in (("sand", "sandtotal", 1), ("clay", "claytotal", 1), ("bulk_density", "dbovendry", 0.01)):
        truth = world.soil100(prop, 30, ds["x"].values, ds["y"].values)
        error = (ds[name].sel(soil_depth=30) - truth).values
        assert np.array_equal(np.isnan(error), np.isnan(truth))
        assert np.nanmax(np.abs(error)) <= 1.6 * step  # half a step of rounding, and up to 1 percent of rescaling


def test_contract_with_the_synthetic_twin(tmp_path):
    from xsm.twin import make_world

    check_source("solus100", world=make_world((-97.3, 35.9, -97.0, 36.2), days=2), tmp=tmp_path)
