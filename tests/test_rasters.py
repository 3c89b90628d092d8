"""Rasters of users: what a GeoTIFF says of missing values, scales and classes is applied once, in every reader."""

from __future__ import annotations

import shutil
import subprocess
import uuid
import warnings

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

import xsm
from xsm.errors import DataError
from xsm.faces.cli import main
from xsm.io import files
from xsm.plugin_api import open_raster

DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
CONUS = from_origin(-100, 40, 0.05, 0.05)


def make(path, values, *, scale=1.0, offset=0.0, names=(), units=(), mask=None, tags=None, **profile):
    values = np.asarray(values)
    values = values if values.ndim == 3 else values[None]
    layout = {"crs": "EPSG:4326", "transform": CONUS, "dtype": values.dtype} | profile
    shape = dict(zip(("count", "height", "width"), values.shape, strict=True))
    with rasterio.open(path, "w", driver="GTiff", **shape, **layout) as file:
        file.write(values)
        if (scale, offset) != (1.0, 0.0):
            file.scales, file.offsets = [scale] * len(values), [offset] * len(values)
        for i, name in enumerate(names):
            file.set_band_description(i + 1, name)
        if units:
            file.units = units
        if mask is not None:
            file.write_mask(mask)
        if tags:
            file.update_tags(**tags)
    return path


def only(ds):
    (name,) = ds.data_vars
    return ds[name]


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    pick=st.sampled_from(["none", "low", "high", "zero"]),
    scale=st.sampled_from([1.0, 0.0001, 0.5, 10.0]),
    offset=st.sampled_from([0.0, 273.15, -3.0]),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_nodata_mask_scale_and_offset_of_every_type(tmp_path_factory, dtype, pick, scale, offset, masked, seed):
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo("f4")
    nodata = {"none": None, "low": limits.min, "high": limits.max, "zero": 0}[pick]
    stored = rng.integers(1, 100, (6, 7)).astype(kind)
    gone = rng.random((6, 7)) < 0.3
    if nodata is not None:
        stored[gone] = nodata
    hidden = rng.random((6, 7)) < 0.3 if masked else np.zeros((6, 7), bool)
    path = tmp_path_factory.mktemp("raster") / f"{uuid.uuid4().hex}.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=bool(seed % 2)):
        make(path, stored, scale=scale, offset=offset, nodata=nodata, mask=~hidden if masked else None)
    expected = np.where(hidden | (gone & (nodata is not None)), np.nan, stored.astype("f8") * scale + offset)
    for got in (only(files.read(path)), open_raster(path, None)):
        np.testing.assert_allclose(got.values, expected, rtol=1e-6 if kind.itemsize <= 4 else 1e-12)
        assert not {"scale_factor", "add_offset"} & set(got.attrs) and "scale_factor" not in got.encoding
    plain = nodata is None and not masked and (scale, offset) == (1.0, 0.0)
    assert only(files.read(path)).dtype == (kind if plain or kind.kind == "f" else "f4" if kind.itemsize <= 2 else "f8")


@pytest.mark.skipif(shutil.which("gdal_translate") is None, reason="gdal_translate is not installed")
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_values_are_those_of_gdal(tmp_path, dtype):
    values = np.arange(1, 43).reshape(6, 7).astype(dtype)
    values[2, 3] = 77
    path = make(tmp_path / "a.tif", values, scale=0.02, offset=-5, nodata=77)
    command = ["gdal_translate", "-q", "-unscale", "-ot", "Float64", path, tmp_path / "b.tif"]
    subprocess.run(command, check=True, timeout=60)
    got = only(files.read(path)).values
    with rasterio.open(tmp_path / "b.tif") as file:
        np.testing.assert_allclose(got[~np.isnan(got)], np.delete(file.read(1).ravel(), 2 * 7 + 3), rtol=1e-6)
    assert np.isnan(got[2, 3]) and np.isnan(got).sum() == 1


def test_a_value_of_9999_never_enters_an_average(tmp_path):
    """The same in Python, on the command line, and through regridding."""
    values = np.full((200, 200), 20, "i2")
    values[::2] = -9999
    path = make(tmp_path / "sm.tif", values, scale=0.01, nodata=-9999, units=["m3 m-3"])
    direct = only(xsm.regrid_ease9km(files.read(path)))
    with pytest.raises(SystemExit) as stop:
        main(["regrid-ease9km", str(path), str(tmp_path / "out.nc")])
    assert stop.value.code in (0, None)
    for got in (direct, only(files.read(tmp_path / "out.nc"))):
        known = got.values[~np.isnan(got.values)]
        assert known.size
        np.testing.assert_allclose(known, 0.2, rtol=1e-5)


def test_what_xsm_writes_comes_back(tmp_path):
    cube = xsm.example("cube", size=8, days=8)
    like = cube["sm_noah_0_10"]
    counts = xr.full_like(like.isel(time=0, drop=True), 0).astype("u1")
    counts = counts.copy(data=np.arange(counts.size, dtype="u1").reshape(counts.shape) % 250 + 6)
    counts.attrs, counts.encoding = {"long_name": "number of days"}, {}
    classes = counts.copy(data=counts.values % 3)
    classes.attrs = {"flag_values": np.array([1, 2], "u1"), "flag_meanings": "dry wet", "_FillValue": np.uint8(0)}
    ds = cube[[]].assign(counts=counts, classes=classes, dry=counts > 100, steps=(counts * 100).astype("i2"))
    for name in ds.data_vars:
        (path,) = files.write(ds[[name]], tmp_path / f"{name}.tif")
        back = files.read(path)[name]
        assert back.dtype == ds[name].dtype
        np.testing.assert_array_equal(back.values, ds[name].values)
    assert files.read(tmp_path / "classes.tif")["classes"].attrs["_FillValue"] == 0
    with rasterio.open(tmp_path / "counts.tif") as file:
        assert file.nodata is None


def test_tags_of_netcdf_count_for_integers_and_are_told_for_floats(tmp_path):
    tags = {"sm#scale_factor": "0.001", "sm#_FillValue": "-9999", "sm#missing_value": "{-8888}", "sm#units": "m3 m-3"}
    packed = np.array([[200, -9999, -8888, 350]], "i2")
    got = only(files.read(make(tmp_path / "a.tif", packed, tags=tags)))
    np.testing.assert_allclose(got.values, [[0.2, np.nan, np.nan, 0.35]], rtol=1e-6)
    assert got.attrs["units"] == "m3 m-3"
    path = make(tmp_path / "b.tif", np.array([[0.2, 0.35]], "f4"), tags=tags)
    with pytest.warns(UserWarning, match=r"scale_factor=0.001 .*not applied, for its numbers are float32"):
        np.testing.assert_allclose(only(files.read(path)).values, [[0.2, 0.35]], rtol=1e-6)


@pytest.mark.parametrize(("dtype", "fill"), [("i2", -9999), ("i2", -32768), ("f4", -9999), ("f4", -3.4028235e38)])
def test_fill_values_that_nobody_declared_are_told(tmp_path, dtype, fill):
    path = make(tmp_path / "a.tif", np.array([[20, fill]], dtype))
    with pytest.warns(UserWarning, match=r"looks like a fill value but is not declared.*gdal_edit.py -a_nodata"):
        only(files.read(path)).load()


def test_bands_that_are_no_dates_keep_their_names(tmp_path):
    values = np.arange(12, dtype="f4").reshape(3, 2, 2)
    got = only(files.read(make(tmp_path / "a.tif", values, names=("spring", "summer", "autumn"))))
    assert got.dims == ("band", "y", "x") and got["band"].values.tolist() == [1, 2, 3]
    assert got["band_name"].values.tolist() == ["spring", "summer", "autumn"]
    np.testing.assert_array_equal(got.values, values)


def test_bands_of_different_units_are_variables_of_their_own(tmp_path):
    path = make(
        tmp_path / "a.tif", np.ones((2, 2, 2), "f4"), names=("sm", "temperature"), units=("m3 m-3", "K"), nodata=-1
    )
    ds = files.read(path)
    assert {n: v.attrs["units"] for n, v in ds.data_vars.items()} == {"sm": "m3 m-3", "temperature": "K"}


def test_transparency_is_a_mask_and_no_band(tmp_path):
    values = np.stack([np.full((4, 4), 7, "u1"), np.repeat(np.array([0, 255], "u1"), 8).reshape(4, 4)])
    path = make(tmp_path / "a.tif", values, photometric="MINISBLACK", ALPHA="YES")
    with rasterio.open(path) as file:
        assert file.colorinterp[1] == ColorInterp.alpha
    got = only(files.read(path))
    assert got.dims == ("y", "x") and np.isnan(got.values[:2]).all() and (got.values[2:] == 7).all()


def test_a_palette_is_classes(tmp_path):
    values = np.array([[1, 2], [3, 255]], "u1")
    path = make(tmp_path / "soil.tif", values, nodata=255, photometric="PALETTE")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (255, 0, 0, 255), 2: (0, 255, 0, 255), 3: (0, 0, 255, 255)})
    got = only(files.read(path))
    assert got.dtype == np.uint8 and got.attrs["_FillValue"] == 255 and 3 in got.attrs["flag_values"]
    np.testing.assert_array_equal(got.values, values)
    raw = open_raster(path, None)
    assert raw.dtype == np.uint8 and raw.attrs["nodata"] == 255


def test_rasters_without_rows_and_columns_are_refused(tmp_path):
    values = np.ones((4, 4), "f4")
    turned = make(tmp_path / "turned.tif", values, transform=CONUS @ rasterio.Affine.rotation(20))
    points = [GroundControlPoint(r, c, -100 + c, 40 - r) for r, c in ((0, 0), (0, 4), (4, 0))]
    make(tmp_path / "points.tif", values, gcps=points, transform=None)
    for path, why in ((turned, "is rotated"), (tmp_path / "points.tif", "is placed by control points")):
        for reader in (files.read, lambda p: open_raster(p, None)):
            with pytest.raises(DataError, match=f"{path.name}' {why}.*gdalwarp"):
                reader(path)


def test_a_raster_stored_south_first_keeps_its_place(tmp_path):
    values = np.arange(6, dtype="f4").reshape(3, 2)
    path = make(tmp_path / "a.tif", values, transform=rasterio.Affine(1, 0, -100, 0, 1, 30))
    for got in (only(files.read(path)), open_raster(path, None)):
        assert got["y"].values.tolist() == [30.5, 31.5, 32.5]
        np.testing.assert_array_equal(got.values, values)


def test_damage_of_an_input_is_not_blamed_on_the_output(tmp_path):
    path = make(tmp_path / "a.tif", np.random.default_rng(1).random((64, 64), "f4"), compress="lzw", nodata=-1)
    raw = bytearray(path.read_bytes())
    with rasterio.open(path) as file:
        at, size = (int(file.get_tag_item(f"BLOCK_{w}_0_0", "TIFF", bidx=1)) for w in ("OFFSET", "SIZE"))
    raw[at : at + size] = b"\xff" * size
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a.tif' cannot be read"):
        files.write(files.read(path), tmp_path / "out.nc")


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
@pytest.mark.parametrize("out", [".nc", ".zarr", ".tif"])
def test_a_damaged_chunk_of_maps_is_not_blamed_on_the_output(tmp_path, ending, out):
    cube = xsm.example("cube", size=16, days=8)[["tb_h"]]
    (path,) = files.write(cube, tmp_path / f"a{ending}")
    if ending == ".nc":
        with h5py.File(path) as file:
            chunk = file["tb_h"].id.get_chunk_info(0)
        raw = bytearray(path.read_bytes())
        raw[chunk.byte_offset + 20 : chunk.byte_offset + chunk.size] = b"\xff" * (chunk.size - 20)
        path.write_bytes(raw)
    else:
        for chunk in (p for p in (path / "tb_h" / "c").rglob("*") if p.is_file()):
            chunk.write_bytes(chunk.read_bytes()[:-9] + b"\xff" * 9)
    with pytest.raises(
        DataError, match=rf"a\{ending}' cannot be read: values of 'tb_h' are damaged.*Get the file again"
    ):
        files.write(files.read(path), tmp_path / f"out{out}")


SOIL = np.random.default_rng(3).uniform(0.1, 0.4, (40, 40))


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(("fill", "dtype", "scale", "nodata"), [
    (-99, "i2", 1e-4, -9999), (-999, "i2", 1e-4, None), (-9998, "i2", 1e-4, None), (32767, "i2", 1e-4, None),
    (32766, "i2", 1e-4, 32767), (-32767, "i2", 1e-4, -32768), (255, "u1", 0.004, 0), (254, "u1", 0.003, 255),
    (65534, "u2", 1e-4, 65535), (2**31 - 1, "i4", 1e-4, None), (1 - 2**31, "i4", 1e-4, None),
    (2**32 - 2, "u4", 1e-4, None), (9.96921e36, "f4", 1.0, None), (1e30, "f4", 1.0, -9999), (-1e34, "f8", 1.0, None),
    (-77777, "i4", 1e-4, None),
])  # fmt: skip
@pytest.mark.parametrize("units", [["m3 m-3"], []])
def test_fills_of_every_type_and_their_neighbours_are_told(tmp_path, fill, dtype, scale, nodata, constant, units):
    values = np.rint((SOIL * 0 + 0.2 if constant else SOIL) / scale) if scale != 1 else SOIL
    values[10:20, 10:20] = fill
    path = make(tmp_path / "a.tif", values.astype(dtype), scale=scale, nodata=nodata, units=units)
    with pytest.warns(UserWarning, match="looks like a fill value|outside 0 to 1"):
        xsm.regrid_ease9km(files.read(path)).compute()


@pytest.mark.parametrize("values", [
    SOIL.astype("f4"), np.rint(SOIL * 600).astype("u1"), np.arange(256, dtype="u1").reshape(16, 16),
    np.random.default_rng(1).exponential(9, (90, 90)), np.arange(-100, 100, dtype="i2").reshape(10, 20),
    np.zeros((9, 9), "i2"), np.where(SOIL > 0.3, 99, 98).astype("i2"),
])  # fmt: skip
def test_measurements_are_no_fills(tmp_path, values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        only(files.read(make(tmp_path / "a.tif", values))).load()


def test_scales_that_contradict_are_refused_until_one_is_corrected(tmp_path):
    path = make(tmp_path / "a.tif", np.full((4, 4), 2000, "i2"), scale=1e-3, tags={"scale_factor": "0.0001"})
    with pytest.raises(DataError, match=r"scale 0.001 .*scale_factor=0.0001.*gdal_edit.py -scale 0.0001"):
        files.read(path)
    make(path, np.full((4, 4), 2000, "i2"), scale=1e-4, tags={"scale_factor": "0.0001"})
    np.testing.assert_allclose(only(files.read(path)).values, 0.2, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "scale", "tags"), [
    ("i2", 1e-3, {"valid_range": "0, 1000"}), ("i2", 1e-3, {"sm#valid_min": "0", "sm#valid_max": "1000"}),
    ("i2", 1e-3, {"valid_range": "{0,1}"}), ("i2", 1e-3, {"valid_range": "0.0, 0.6"}),
    ("i2", 1.0, {"valid_max": "500"}), ("f4", 1.0, {"valid_range": "0, 900"}),
])  # fmt: skip
def test_numbers_outside_the_valid_range_are_missing_and_told(tmp_path, dtype, scale, tags):
    values = np.full((4, 4), 200, dtype)
    values[0, 0] = 1200
    for reader in (lambda p: only(files.read(p)), lambda p: open_raster(p, None)):
        with pytest.warns(UserWarning, match=r"1 of 16 values \(1200 to 1200\).*valid range of its numbers"):
            got = reader(make(tmp_path / "a.tif", values, scale=scale, tags=tags)).values
        assert np.isnan(got[0, 0]) and np.isnan(got).sum() == 1
        np.testing.assert_allclose(got[1], 200 * scale, rtol=1e-6)
