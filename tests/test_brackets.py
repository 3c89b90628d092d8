"""Paths with brackets and other characters that patterns, addresses and shells give a meaning."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

import xsm
from xsm.contracts.registry import get_source
from xsm.errors import DataError
from xsm.io import files
from xsm.io.paths import expand

FOLDERS = ["SMAP [old]", "[2021]", "a[!b]c", "x (1)", "50% done", "no #1", "{a}", "é ü", "it's", "a;b&c", "]["]


@pytest.fixture(params=FOLDERS)
def folder(request, tmp_path):
    (tmp_path / request.param / "in [1]").mkdir(parents=True)
    return tmp_path / request.param / "in [1]"


def layer(path):
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=1, height=40, width=50, crs="EPSG:5070",
        transform=from_origin(-200000, 1900000, 100, 100), nodata=255,
    ) as file:  # fmt: skip
        file.write(np.full((40, 50), 130, "u1"), 1)
    return path


@pytest.mark.parametrize(
    "pattern", ["", "*.tif", "*_5_cm_?.tif", "dbovendry_[5]_cm_p.tif", "dbovendry_5_cm_p.tif", "**"]
)
def test_files_folders_and_patterns_are_found(folder, pattern):
    path = layer(folder / "dbovendry_5_cm_p.tif")
    assert expand(str(folder / pattern), get_source("solus100")) == [path]
    got = xsm.open("solus100", folder / pattern, soil_depth=5)["bulk_density"]
    np.testing.assert_allclose(got.values, 1.3, rtol=1e-6)


def test_brackets_of_a_file_stand_for_themselves_where_nothing_matches(tmp_path):
    (tmp_path / "a").mkdir()
    path = layer(tmp_path / "a" / "x [1].tif")
    assert expand(str(tmp_path / "*" / "x [1].tif"), get_source("solus100")) == [path]
    both = [layer(tmp_path / "a" / f"x{n}.tif") for n in (1, 2)]
    assert expand(str(tmp_path / "a" / "x[12].tif"), get_source("solus100")) == both
    with pytest.raises(DataError, match="does not exist"):
        expand(str(tmp_path / "a [b]" / "*.tif"), get_source("solus100"))


@pytest.mark.parametrize("ending", [".nc", ".zarr", ".tif"])
def test_every_format_is_written_and_read(folder, ending):
    cube = xsm.example("cube", size=8, days=8)[["tb_h", "tb_v"]]
    path = folder / f"cube [v1] #2{ending}"
    files.write(cube, path)
    files.write(cube, path, overwrite=True)
    xr.testing.assert_equal(
        files.read(path)["tb_h"].load().drop_vars("spatial_ref"), cube["tb_h"].drop_vars("spatial_ref")
    )
    assert not [p for p in folder.iterdir() if p.name.endswith(".part")]
