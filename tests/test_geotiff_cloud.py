"""GeoTIFF that others read from a server: cloud-optimized, by the checks of `rio cogeo validate`."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import xarray as xr
from rio_cogeo.cogeo import cog_validate

from xsm.data.grids import EASE2_M09
from xsm.io import files, geotiff

CLASSES = {"flag_values": np.array([1, 2, 7], "u1"), "flag_meanings": "a b c"}
KINDS = {
    "sm_5cm": ("f4", {"units": "m3 m-3"}),
    "depth": ("f8", {"units": "m"}),
    "land_cover": ("u1", CLASSES),
    "surface_flag": ("u2", {"flag_masks": np.array([1, 2, 4], "u2")}),
    "frozen": ("bool", {}),
    "count": ("i4", {"units": "1"}),
}


def maps(rows, cols, name, days=2):
    dtype, attrs = KINDS[name]
    values = np.random.default_rng(rows).choice([1, 2, 7], (days, rows, cols)).astype(dtype)
    if values.dtype.kind == "f":
        values[:, : rows // 3] = np.nan
    time = np.datetime64("2021-06-01", "ns") + np.arange(days).astype("m8[D]")
    return EASE2_M09.window(200, 200 + rows, 400, 400 + cols).assign(
        xr.Dataset({name: (("time", "y", "x"), values, attrs)}, {"time": time})
    )


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("rows", "cols", "levels"), [(9, 12, []), (300, 256, [2]), (257, 1030, [2, 4, 8])])
def test_every_file_is_cloud_optimized(tmp_path, rows, cols, levels, name):
    ds = maps(rows, cols, name)
    (path,) = files.write(ds, tmp_path / "a.tif")
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.overviews(1) == file.overviews(2) == levels
        assert file.descriptions == ("2021-06-01", "2021-06-02")
        small = [file.read(2, out_shape=(rows // n, cols // n)) for n in levels]
    np.testing.assert_array_equal(files.read(path)[name], ds[name])
    if ds[name].dtype.kind not in "fi":
        for values in small:
            assert set(np.unique(values)) <= set(np.unique(ds[name]).astype(values.dtype)), "classes are not averaged"


def test_overviews_of_values_are_means_of_what_is_there(tmp_path):
    ds = maps(400, 600, "sm_5cm", days=1)
    (path,) = geotiff.write(ds, tmp_path / "a.tif", daily=True)
    with rasterio.open(path) as file:
        half = file.read(1, out_shape=(200, 300))
    with np.errstate(invalid="ignore"):
        quads = ds["sm_5cm"].values[0].reshape(200, 2, 300, 2)
        counts = np.isfinite(quads).sum((1, 3))
        expected = np.nansum(quads, (1, 3)) / counts
    np.testing.assert_allclose(half, expected, rtol=1e-6)
