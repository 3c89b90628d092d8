"""What a GeoTIFF tells about where it comes from, and that no result takes the place of its input."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401
import xarray as xr

import xsm
from xsm import atomic
from xsm.contracts.registry import operations
from xsm.errors import DataError, UsageError
from xsm.faces.execute import execute
from xsm.io import files

SHARES = {"sand": 40.0, "silt": 40.0, "clay": 20.0}


def test_attributes_come_back_from_a_geotiff(tmp_path):
    cube = xsm.example("cube", size=8, days=8)[["sm_noah_0_10"]].assign_attrs(scenario=2, levels=np.array([1, 2]))
    (path,) = files.write(cube, tmp_path / "noah.tif")
    back = files.read(path)
    assert back.attrs["synthetic"] == cube.attrs["synthetic"] and back.attrs["scenario"] == 2
    assert back.attrs["levels"] == [1, 2]
    assert back["sm_noah_0_10"].attrs["units"] == "m3 m-3"
    assert back["sm_noah_0_10"].attrs["long_name"] == cube["sm_noah_0_10"].attrs["long_name"]


@pytest.fixture
def maps():
    return xsm.example("cube", size=8, days=8)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_first_variable_has_the_name_that_was_given_and_old_ones_go(maps, tmp_path):
    """Files of two runs never lie side by side as if they were of one; what somebody else named so stays."""
    both = maps[["sm_noah_0_10", "sm_noah_10_40"]]
    path, second = tmp_path / "x.tif", tmp_path / "x_sm_noah_10_40.tif"
    assert files.write(both, path) == [path, second]
    np.testing.assert_array_equal(files.read(path)["sm_noah_0_10"].values, both["sm_noah_0_10"].values)
    files.write(maps[["precipitation"]], tmp_path / "x_else.tif")
    (tmp_path / "x_text.tif").write_text("no raster")
    mine = ["x_else.qml", "x_else.tif", "x_text.tif"]
    assert names(tmp_path) == sorted(["x.qml", "x.tif", "x_sm_noah_10_40.qml", "x_sm_noah_10_40.tif", *mine])
    path.unlink()
    with pytest.raises(UsageError, match=r"x_sm_noah_10_40\.tif' exists already"):
        files.write(maps[["tb_h"]], path)
    second.with_name("x_sm_noah_10_40.tif.aux.xml").write_text("<PAMDataset/>")
    assert files.write(maps[["tb_h"]], path, overwrite=True) == [path]
    assert names(tmp_path) == sorted(["x.qml", "x.tif", *mine])


def test_what_was_computed_from_an_old_file_goes_with_it(maps, tmp_path):
    path = tmp_path / "x.tif"
    files.write(maps[["tb_h"]], path)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as file:
        file.build_overviews([2])
    assert (tmp_path / "x.tif.ovr").exists()
    (tmp_path / "x.tif.aux.xml").write_text("<PAMDataset/>")
    files.write(maps[["tb_v"]], path, overwrite=True)
    assert names(tmp_path) == ["x.qml", "x.tif"]


def test_style_that_somebody_changed_stays(maps, tmp_path, caplog):
    path, style = tmp_path / "x.tif", tmp_path / "x.qml"
    files.write(maps[["sm_noah_0_10"]], path)
    first = style.read_text()
    files.write(maps[["tb_h"]], path, overwrite=True)
    assert style.read_text() != first, "a style of xsm follows the data"
    changed = style.read_text().replace('opacity="1"', 'opacity="0.5"')
    style.write_text(changed)
    with caplog.at_level("INFO", "xsm"):
        files.write(maps[["sm_noah_0_10"]], path, overwrite=True)
    assert style.read_text() == changed
    assert "'x.qml' was changed by somebody and stays" in caplog.text


def test_result_that_cannot_be_replaced_has_its_sentence(maps, tmp_path):
    """A file that another program holds, as on Windows; here one that the file system protects."""
    path = tmp_path / "x.tif"
    files.write(maps[["tb_h"]], path)
    chattr = shutil.which("chattr")
    if chattr is None or subprocess.run([chattr, "+i", path], capture_output=True, check=False).returncode:
        pytest.skip("no file can be protected here")
    try:
        with pytest.raises(DataError, match=r"cannot be replaced.*has it open.*Remove its layers from QGIS"):
            files.write(maps[["tb_v"]], path, overwrite=True)
    finally:
        subprocess.run([chattr, "-i", path], check=True)
    assert names(tmp_path) == ["x.qml", "x.tif"]
    assert "tb_h" in files.read(path)


@pytest.mark.skipif(os.name != "nt", reason="only Windows keeps others from replacing an open file")
def test_open_file_is_refused_before_the_work(tmp_path):
    (tmp_path / "x.tif").write_bytes(b"")
    with (tmp_path / "x.tif").open(), pytest.raises(DataError, match="cannot be replaced"):
        atomic.check_output(tmp_path / "x.tif", overwrite=True)


@pytest.mark.parametrize("name", ["x.tif", "x_tb_h.tif"])
def test_geotiff_does_not_replace_its_input(maps, tmp_path, name):
    files.write(maps[["tb_h"]], tmp_path / name)
    with pytest.raises(UsageError, match="is an input and would be replaced"):
        execute(
            operations()["gapfill"], {"ds": tmp_path / name, "method": "linear"}, tmp_path / "x.tif", overwrite=True
        )


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_result_does_not_replace_its_input(tmp_path, overwrite):
    path = tmp_path / "cube.nc"
    files.write(xsm.example("cube", size=8, days=8), path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="is an input and would be replaced"):
        execute(operations()["regrid_ease9km"], {"ds": str(path)}, path, overwrite=overwrite)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("epsg", "step"), [(5070, 100.0), (32614, 30.0), (4326, 0.125)])
def test_map_keeps_its_own_crs_and_place(tmp_path, epsg, step):
    """Soil on the grid of its product and what is computed from it, as GDAL reads them."""
    y, x = 40 - step * np.arange(6.0), -99 + step * np.arange(8.0)
    shares = {n: (("y", "x"), np.full((6, 8), v, "f4"), {"units": "percent"}) for n, v in SHARES.items()}
    soil = xr.Dataset(shares, {"y": y, "x": x}).rio.write_crs(epsg).rio.write_coordinate_system()
    for ds in (soil[["clay"]], xsm.texture(soil)[["texture"]]):
        (path,) = files.write(ds, tmp_path / f"{next(iter(ds))}.tif")
        with rasterio.open(path) as file:
            assert file.crs.to_epsg() == epsg
            np.testing.assert_allclose(file.xy(0, 0), (x[0], y[0]))
            np.testing.assert_allclose(file.xy(5, 7), (x[-1], y[-1]))
            np.testing.assert_array_equal(file.read(1), ds[next(iter(ds))])
        again = files.read(path)
        np.testing.assert_allclose(again["x"], x)
        np.testing.assert_allclose(again["y"], y)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ds: ds.drop_vars("spatial_ref"), "has no CRS and is not on an EASE-Grid"),
        (lambda ds: ds.isel(y=slice(None, None, -1)), "expected north up"),
        (lambda ds: ds.isel(x=[0, 1, 3]), "without one distance between them"),
        (lambda ds: ds.isel(x=[0]), "has 1 coordinates 'x'"),
    ],
)
def test_map_without_a_place_is_refused(tmp_path, change, sentence):
    ds = xr.Dataset({"clay": (("y", "x"), np.ones((4, 5), "f4"))}, {"y": 40 - np.arange(4.0), "x": np.arange(5.0)})
    with pytest.raises(DataError, match=sentence):
        files.write(change(ds.rio.write_crs(4326)), tmp_path / "out.tif")
    assert not list(tmp_path.iterdir())
