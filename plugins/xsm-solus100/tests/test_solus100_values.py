"""Layers of SOLUS100 that were rescaled, renamed or converted by people."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from soil_layers import SHAPE, TEXTURE, files, make, stored
from xsm import DataError
from xsm.data.soil_values import check_fits
from xsm.testing import open_files
from xsm_solus100.source import Solus100Source

open_ = functools.partial(open_files, Solus100Source())


@pytest.mark.parametrize(
    ("factor", "dtype", "why"),
    [(0.01, "f4", "in g cm-3 already"), (0.01, "f8", "in g cm-3 already"), (10, "i2", "kg m-3"), (10, "f4", "kg m-3")],
)
def test_density_that_was_scaled_before_is_refused(tmp_path, factor, dtype, why):
    values = stored("dbovendry").astype("f8")
    scaled = np.where(values == 255, -9999, values * factor).astype(dtype)
    path = make(tmp_path / "dbovendry_5_cm_p.tif", scaled, nodata=-9999)
    with pytest.raises(DataError, match=f"{path.name}' gives bulk_density of .*median.*expected 0.05 to 3: .*{why}"):
        open_([path], soil_depth=5).load()


@given(st.integers(8, 220), st.integers(0, 40))
def test_every_density_of_the_product_is_accepted(middle, spread):
    values = np.clip(np.random.default_rng(spread).normal(middle, spread, 50), 6, 250).astype("u1")
    check_fits(values / 100, "bulk_density", "a.tif", "cg cm-3")


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4"])
def test_a_scale_in_the_file_takes_the_place_of_the_products(tmp_path, dtype):
    path = make(tmp_path / "dbovendry_5_cm_p.tif", stored("dbovendry").astype(dtype))
    plain = open_([path], soil_depth=5)["bulk_density"].values
    with rasterio.open(path, "r+") as file:
        file.scales = [0.01]
    np.testing.assert_allclose(open_([path], soil_depth=5)["bulk_density"].values, plain, rtol=1e-6)
    np.testing.assert_allclose(plain[0, 30:], stored("dbovendry")[30:] / 100, rtol=1e-6)


@pytest.mark.parametrize(("factor", "text"), [(0.01, "sum to 1 \\("), (10, "(sand|silt|clay) of .*g kg-1")])
def test_fractions_in_other_units_are_refused(tmp_path, factor, text):
    for name in TEXTURE:
        values = stored(name).astype("f8")
        scaled = np.where(values == 255, -9999, values * factor).astype("f4")
        make(tmp_path / f"{name}_5_cm_p.tif", scaled, nodata=-9999)
    with pytest.raises(DataError, match=text):
        open_(files(tmp_path), soil_depth=5).load()


@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_the_fill_of_bytes_in_a_copy_without_nodata_is_no_density(tmp_path, dtype):
    path = make(tmp_path / "dbovendry_5_cm_p.tif", stored("dbovendry").astype(dtype), nodata=None)
    with pytest.warns(UserWarning, match="no nodata value; every pixel but 255 counts"):
        density = open_([path], soil_depth=5)["bulk_density"].values[0]
    assert np.array_equal(np.isnan(density), stored("dbovendry") == 255)


@pytest.mark.parametrize(
    "name", ["dbovendry_5_cm_l.tif", "dbovendry_5_cm_h.tif", "dbovendry_5_cm_rpi.tif", "my_dbovendry_5_cm_p.tif",
             "dbovendry_5_cm_p (1).tif", "dbovendry_5_cm_p_old.tif"]
)  # fmt: skip
def test_other_layers_are_left_out_and_told(tmp_path, name):
    make(tmp_path / "dbovendry_5_cm_p.tif", stored("dbovendry"))
    wrong = make(tmp_path / name, np.full(SHAPE, 99, "u1"))
    paths = [tmp_path / "dbovendry_5_cm_p.tif", wrong]
    with pytest.warns(UserWarning, match="not named as prediction layers and are left out, the first: '"):
        density = open_(paths, soil_depth=5)["bulk_density"].values[0]
    np.testing.assert_allclose(density[30:], stored("dbovendry")[30:] / 100, rtol=1e-6)
    with pytest.raises(DataError, match="None of the files is a prediction layer"):
        open_([wrong], soil_depth=5)
