"""Files: round trips through NetCDF, Zarr and GeoTIFF with CRS, flags and dates; nothing half written."""

from __future__ import annotations

import subprocess
import sys

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr

import xsm
from xsm import atomic
from xsm.contracts.bundle import Bundle
from xsm.data.grids import EASE2_M09, grid_of
from xsm.errors import DataError, UsageError
from xsm.io import files, geotiff

GRID = EASE2_M09.window(300, 310, 900, 912)


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    day = np.arange("2021-01-01", "2021-01-05", dtype="M8[D]").astype("M8[ns]")
    sm = rng.random((4, *GRID.shape)).astype("f4")
    sm[0, 0, 0] = np.nan
    flag = rng.integers(0, 16, (4, *GRID.shape)).astype("u2")
    flag[1, 1] = 65534
    cover = rng.integers(1, 18, GRID.shape).astype("u1")
    cover[0, 1] = 255
    return GRID.assign(
        xr.Dataset(
            {
                "sm_5cm": (("time", "y", "x"), sm, {"units": "m3 m-3", "long_name": "Soil moisture"}),
                "retrieval_flag": (
                    ("time", "y", "x"),
                    flag,
                    {"flag_masks": np.array([1, 2, 4, 8], "u2"), "flag_meanings": "a b c d"},
                ),
                "frozen": (("time", "y", "x"), sm > 0.9),
            },
            {
                "time": day,
                "land_cover": (("y", "x"), cover, {"flag_values": np.arange(1, 18, dtype="u1"), "flag_meanings": "x"}),
            },
            {"history": "made"},
        )
    )


@pytest.mark.parametrize("ending", [".nc", ".zarr", ".tif", ".csv"])
def test_a_nul_byte_in_an_outputs_name_is_one_sentence(maps, tmp_path, ending):
    with pytest.raises(UsageError, match=r"a\\x00b\.\w+' contains a NUL byte"):
        files.write(maps[["sm_5cm"]], tmp_path / f"a\0b{ending}")


def test_maps_that_were_computed_without_a_grid_mapping_get_that_of_the_grid(maps, tmp_path):
    for name in maps.data_vars:
        maps[name].encoding.pop("grid_mapping", None)
    files.write(maps, tmp_path / "maps.nc")
    with xr.open_dataset(tmp_path / "maps.nc", decode_coords="all") as back:
        assert {v.encoding.get("grid_mapping") for v in back.data_vars.values() if {"y", "x"} <= {*v.dims}} == {
            "spatial_ref"
        }


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
@pytest.mark.parametrize("lazy", [False, True])
def test_round_trip_keeps_values_types_grid_and_encoding(maps, tmp_path, ending, lazy):
    path = tmp_path / f"maps{ending}"
    cube = maps.chunk(time=2, y=7) if lazy else maps
    assert files.write(cube, path) == [path]
    back = files.read(path)
    for name in maps.data_vars:
        assert back[name].dtype == maps[name].dtype, name
        np.testing.assert_array_equal(back[name].values, maps[name].values)
    np.testing.assert_array_equal(back["land_cover"].values, maps["land_cover"].values)
    assert back["land_cover"].dtype == np.uint8
    assert grid_of(back) == GRID
    assert back["sm_5cm"].encoding["grid_mapping"] == "spatial_ref"
    assert back.attrs["history"] == "made"
    again = tmp_path / f"again{ending}"
    files.write(back, again)
    np.testing.assert_array_equal(files.read(again)["sm_5cm"].values, maps["sm_5cm"].values)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, again.name])


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("unit", ["days", "seconds", "milliseconds"])
def test_times_are_integers_of_units_that_other_tools_read(maps, tmp_path, ending, lazy, unit):
    path, step = tmp_path / f"maps{ending}", {"days": 86_400_000, "seconds": 300_000, "milliseconds": 7}[unit]
    obs_time = maps["time"].values[:, None, None] + np.arange(120).reshape(GRID.shape) * np.timedelta64(60_001, "ms")
    obs_time[:, 3] = np.datetime64("NaT")
    cube = maps.assign(obs_time=(("time", "y", "x"), obs_time)).assign_coords(
        time=maps["time"].values[0] + np.arange(4) * np.timedelta64(step, "ms")
    )
    files.write(cube.chunk(time=2, y=7) if lazy else cube, path)
    options = {} if ending == ".nc" else {"engine": "zarr", "consolidated": False}
    with xr.open_dataset(path, **options) as back:
        np.testing.assert_array_equal(back["obs_time"].values, obs_time)
        np.testing.assert_array_equal(back["time"].values, cube["time"].values)
    with xr.open_dataset(path, decode_cf=False, **options) as raw:
        assert {raw[n].dtype.kind for n in ("time", "obs_time")} == {"i"}
        assert raw["time"].attrs["units"] == f"{unit} since 1970-01-01"
        assert raw["obs_time"].attrs["units"] == "milliseconds since 1970-01-01"
        assert raw["obs_time"].attrs["_FillValue"] == raw["obs_time"].values[0, 3, 0]
        assert "_FillValue" not in raw["time"].attrs
    if ending == ".nc":
        with netCDF4.Dataset(path) as file:
            dates = netCDF4.num2date(file["obs_time"][:], file["obs_time"].units)
        assert dates.mask[:, 3].all() and str(dates[0, 0, 1]) == "2021-01-01 00:01:00.001000"


@pytest.mark.parametrize("names", [["b", "frozen", "a"], ["a", "b", "frozen"], ["frozen", "a", "b"]])
def test_variables_of_a_store_come_in_one_order(names, maps, tmp_path):
    """Whatever the order in which a file system lists the folder of a Zarr store."""
    values = next(iter(maps.data_vars.values()))
    by_name = {"a": values, "b": values, "frozen": values.isnull()}
    files.write(xr.Dataset({n: by_name[n] for n in names}), tmp_path / "m.zarr")
    assert list(files.read(tmp_path / "m.zarr").data_vars) == ["a", "b", "frozen"]
    alone = xr.Dataset(coords={"land_cover": values.isel(time=0, drop=True).fillna(0).astype("u1")})
    files.write(alone, tmp_path / "coords.zarr")
    xr.testing.assert_equal(files.read(tmp_path / "coords.zarr").load(), alone)


def test_gdal_sees_the_crs_and_place_of_a_netcdf(maps, tmp_path):
    files.write(maps, tmp_path / "maps.nc")
    with rasterio.open(f"NETCDF:{tmp_path / 'maps.nc'}:sm_5cm") as file:
        assert file.crs.to_epsg() == 6933
        np.testing.assert_allclose(file.transform.to_gdal(), GRID.geotransform, rtol=0, atol=1e-6)


def test_geotiff_has_dates_units_crs_and_style(maps, tmp_path):
    (path,) = files.write(maps[["sm_5cm"]], tmp_path / "sm.tif")
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 6933
        assert file.descriptions == ("2021-01-01", "2021-01-02", "2021-01-03", "2021-01-04")
        assert set(file.units) == {"m3 m-3"}
        np.testing.assert_array_equal(file.read(1), maps["sm_5cm"].values[0])
        np.testing.assert_allclose(file.transform.to_gdal(), GRID.geotransform, rtol=0, atol=1e-9)
    assert "singlebandpseudocolor" in (tmp_path / "sm.qml").read_text()
    back = files.read(path)
    np.testing.assert_array_equal(back["sm_5cm"].values, maps["sm_5cm"].values)
    np.testing.assert_array_equal(back["time"].values, maps["time"].values)
    assert grid_of(back) == GRID
    daily = geotiff.write(maps[["sm_5cm"]], tmp_path / "day.tif", daily=True)
    assert [p.name for p in daily][:2] == ["day_2021-01-01.tif", "day_2021-01-02.tif"]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("login.nc", b"<!DOCTYPE html><html>log in</html>", "login page"),
        ("cut.nc", b"\x89HDF\r\n\x1a\n" + bytes(40), "cannot be read"),
        ("text.nc", b"hello", "not a NetCDF"),
        ("bad.tif", b"II*\x00", "cannot be read"),
    ],
)
def test_broken_files_are_named_with_the_reason(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=text) as error:
        files.read(tmp_path / name)
    assert name in str(error.value)


def test_missing_file_and_wrong_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        files.read(tmp_path / "none.nc")
    with pytest.raises(DataError, match="not a Zarr"):
        files.read(tmp_path)


@pytest.mark.parametrize(
    ("path", "text"),
    [(["a.nc", "b.nc"], "a list of 2 files"), ("data/*.nc", "is a pattern"), ("sm_20[12].nc", "is a pattern"),
     (3, "a int"), (None, "a NoneType")],
)  # fmt: skip
def test_one_file_is_read_at_a_time(path, text):
    with pytest.raises(UsageError, match=f"{text}.*expected one file") as error:
        xsm.read(path)
    assert "xsm.read()" in error.value.hint
    assert "xsm.open()" in error.value.hint


def test_a_file_of_a_source_says_which(tmp_path):
    path = tmp_path / "N_N_S_sm_0.050000_0.050000_probe_20200101_20210101.stm"
    path.write_text("2020/01/01 00:00 N N S 36.0 -98.0 300.0 0.05 0.05 0.2 G M\n")
    with pytest.raises(DataError, match="is a file of the source 'ismn'") as error:
        xsm.read(path)
    assert "xsm.open()" in error.value.hint


def test_nothing_half_written_and_nothing_lost(maps, tmp_path):
    path = tmp_path / "maps.nc"
    path.write_bytes(b"old")
    with pytest.raises(UsageError, match="exists already"):
        files.write(maps, path)
    broken = maps.chunk(time=1).map(lambda v: v)
    broken["sm_5cm"] = broken["sm_5cm"].copy(data=broken["sm_5cm"].data.map_blocks(fails, dtype="f4"))
    with pytest.raises(RuntimeError, match="in the middle"):
        files.write(broken, path, overwrite=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["maps.nc"]
    files.write(maps, path, overwrite=True)
    assert files.read(path).sizes["time"] == 4


def test_what_is_just_begun_is_not_taken_for_left_behind(tmp_path):
    """Between the making of its mark and the lock on it, another writer of the same path removed the folder."""
    begun = tmp_path / ".a.nc.7.x.part" / atomic.IN_WORK
    begun.parent.mkdir()
    begun.touch()
    files.write(xr.Dataset({"a": ("x", [1.0])}), tmp_path / "a.nc")
    assert begun.exists()


@pytest.mark.parametrize("name", ["a.nc", "model"])
def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path, name):
    """And nothing of a process that is still at work."""
    half = f"with atomic.fresh(pathlib.Path({str(tmp_path / name)!r})) as part:\n    part.write_text('half')\n    "
    start = "import os, pathlib, sys\nfrom xsm import atomic\n"
    subprocess.run([sys.executable, "-c", start + half + "os.kill(os.getpid(), 9)"], check=False)
    (killed,) = tmp_path.iterdir()
    alive = subprocess.Popen(
        [sys.executable, "-c", start + half + "print('', flush=True); sys.stdin.read(); part.unlink(); os._exit(0)"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert alive.stdout.readline()
        assert killed not in tmp_path.iterdir()
        if name == "model":
            card = {"format": 1, "task": "gapfill", "model": "x", "inputs": ["a"], "targets": ["a"], "units": {}}
            Bundle(card, {"w": np.zeros(2)}).save(tmp_path / name)
        else:
            files.write(xr.Dataset({"a": ("x", [1.0])}), tmp_path / name)
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        alive.communicate(b"")
    with atomic.fresh(tmp_path / name, overwrite=True) as part:
        part.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def fails(block):
    """A block that cannot be computed."""
    if block.size:
        raise RuntimeError("in the middle")
    return block
