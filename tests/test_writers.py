"""``to_geotiff`` and ``read``: what is written comes back, and the files are those of the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

import xsm
from tests.test_faces import cli_run
from xsm.io import files

GRID = xsm.EASE2_M09.window(330, 340, 880, 892)


def maps(days=4):
    """Maps of every kind: days with gaps, a map without time, classes, a mask."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.05, 0.5, (days, *GRID.shape)).astype("f4")
    values[rng.random(values.shape) < 0.3] = np.nan
    kind = {"flag_values": np.array([1, 2, 3], "u1"), "flag_meanings": "sand loam clay", "long_name": "Texture"}
    ds = xr.Dataset(
        {
            "sm_dca": (("time", "y", "x"), values, {"units": "m3 m-3", "long_name": "Soil moisture"}),
            "tb_h": (("time", "y", "x"), 250 + 10 * values, {"units": "K", "long_name": "Brightness"}),
            "sand": (
                ("y", "x"),
                rng.uniform(0, 100, GRID.shape).astype("f4"),
                {"units": "percent", "long_name": "Sand"},
            ),
            "soil": (("y", "x"), rng.integers(1, 4, GRID.shape).astype("u1"), kind),
            "land": (("y", "x"), rng.random(GRID.shape) < 0.8, {"long_name": "Land"}),
        },
        {"time": pd.date_range("2021-04-01", periods=days)},
        {"title": "Maps", "source": "twin"},
    )
    return GRID.assign(ds)


@pytest.mark.parametrize("chunks", [None, {"time": 1, "y": 4}], ids=["memory", "lazy"])
def test_round_trip(tmp_path, chunks):
    ds = maps()
    written = (ds if chunks is None else ds.chunk(chunks)).sm.to_geotiff(tmp_path / "maps.tif")
    assert [p.name for p in written] == ["maps.tif", *(f"maps_{n}.tif" for n in list(ds.data_vars)[1:])]
    assert all(p.exists() for p in written)
    got = xsm.read(tmp_path / "maps.tif")
    assert got["sm_dca"].chunks is not None
    assert set(got.data_vars) == set(ds.data_vars)
    for name in ds.data_vars:
        xr.testing.assert_equal(got[name].drop_vars(set(got[name].coords) - set(ds[name].coords)).compute(), ds[name])
        assert got[name].dtype == ds[name].dtype
        for key in ("units", "long_name", "flag_meanings"):
            assert got[name].attrs.get(key) == ds[name].attrs.get(key)
    assert xsm.grid_of(got) == GRID
    assert got.attrs["title"] == "Maps"
    np.testing.assert_array_equal(got["time"], ds["time"])


def test_bands_are_named_and_styled(tmp_path):
    maps()[["sm_dca"]].sm.to_geotiff(tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.descriptions == ("2021-04-01", "2021-04-02", "2021-04-03", "2021-04-04")
        assert set(file.units) == {"m3 m-3"}
        assert np.isnan(file.nodata)
        assert file.crs.to_epsg() == 6933
    assert (tmp_path / "a.qml").exists()


def test_equal_to_the_command_line(tmp_path):
    files.write(maps(), tmp_path / "maps.nc")
    maps().sm.to_geotiff(str(tmp_path / "python.tif"))
    assert cli_run("to-geotiff", tmp_path / "maps.nc", tmp_path / "shell.tif") == 0
    assert cli_run("read", tmp_path / "maps.nc", tmp_path / "converted.tif") == 0
    for name in ("shell", "converted"):
        xr.testing.assert_identical(xsm.read(tmp_path / f"{name}.tif").compute(),
                                    xsm.read(tmp_path / "python.tif").compute())  # fmt: skip


def test_one_variable_and_one_file_for_each_day(tmp_path):
    array = maps()["sm_dca"]
    assert array.sm.to_geotiff(tmp_path / "one.tif") == [tmp_path / "one.tif"]
    np.testing.assert_array_equal(xsm.read(tmp_path / "one.tif")["sm_dca"], array)
    days = array.sm.to_geotiff(tmp_path / "day.tif", daily=True)
    assert [p.name for p in days] == [f"day_2021-04-0{k}.tif" for k in (1, 2, 3, 4)]
    np.testing.assert_array_equal(xsm.read(days[2])["sm_dca"].squeeze(), array.isel(time=2))


def test_variables_of_another_result_are_not_read(tmp_path):
    maps()[["sm_dca", "sand"]].sm.to_geotiff(tmp_path / "a.tif")
    maps()[["tb_h"]].sm.to_geotiff(tmp_path / "a_other.tif")
    assert set(xsm.read(tmp_path / "a.tif").data_vars) == {"sm_dca", "sand"}
    maps()[["sm_dca"]].sm.to_geotiff(tmp_path / "a.tif", overwrite=True)
    assert set(xsm.read(tmp_path / "a.tif").data_vars) == {"sm_dca"}


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_read_of_what_every_operation_writes(tmp_path, ending):
    files.write(maps(), tmp_path / f"a.{ending}")
    got = xsm.read(str(tmp_path / f"a.{ending}"))
    assert got["sm_dca"].chunks is not None
    assert got["time"].dtype.kind == "M"
    for name in maps().data_vars:
        np.testing.assert_array_equal(got[name], maps()[name])
        assert got[name].attrs.get("units") == maps()[name].attrs.get("units")


def test_read_of_packed_values_and_of_stations(tmp_path):
    ds = maps()[["sm_dca"]]
    packing = {"dtype": "i2", "scale_factor": 1e-4, "_FillValue": -9999}
    ds.to_netcdf(tmp_path / "packed.nc", encoding={"sm_dca": packing})
    np.testing.assert_allclose(xsm.read(tmp_path / "packed.nc")["sm_dca"], ds["sm_dca"], atol=5.1e-5)
    (tmp_path / "s.csv").write_text("station,time,lat,lon,depth,sm\na,2021-04-01,36,-98,5,0.2\n")
    assert xsm.read(tmp_path / "s.csv")["soil_moisture"].values.tolist() == [[np.float32(0.2)]]


def test_read_of_a_file_with_a_variable_sm(tmp_path):
    """The way of C3S: read, average, write."""
    ds = maps()[["sm_dca"]].rename(sm_dca="sm")
    files.write(ds, tmp_path / "c3s.nc")
    got = xsm.read(tmp_path / "c3s.nc")
    np.testing.assert_allclose(got.sm.mean("time"), ds["sm"].mean("time"), rtol=1e-6)
    got.sm.to_geotiff(tmp_path / "c3s.tif")
    np.testing.assert_array_equal(xsm.read(tmp_path / "c3s.tif")["sm"], ds["sm"])


@pytest.mark.parametrize(
    ("change", "name", "sentence"),
    [
        (lambda ds: ds, "a.nc", r"ends with '\.nc', expected \.tif"),
        (lambda ds: ds.drop_vars(["x", "y", "spatial_ref"]), "a.tif", "has no CRS and is not on an EASE-Grid"),
        (lambda ds: ds[["x", "y"]], "a.tif", "no map of numbers"),
        (lambda ds: ds, "there.tif", "exists"),
    ],
)
def test_writing_fails_in_one_sentence(tmp_path, change, name, sentence):
    (tmp_path / "there.tif").write_bytes(b"mine")
    with pytest.raises(xsm.XsmError, match=sentence):
        change(maps()).sm.to_geotiff(tmp_path / name)
    assert (tmp_path / "there.tif").read_bytes() == b"mine"
    assert {p.name for p in tmp_path.iterdir()} == {"there.tif"}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.nc", None, "does not exist"),
        ("page.nc", b"<!DOCTYPE html><html>", "is an HTML page"),
        ("text.nc", b"hello", "not a NetCDF file"),
        ("cut.tif", b"II*\0", "cut.tif"),
        ("empty.csv", b"", "empty.csv"),
    ],
)
def test_reading_fails_in_one_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.read(tmp_path / name)
