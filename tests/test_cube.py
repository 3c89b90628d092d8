"""The cube: placement by integer row and column, days, masks, sentences."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.data.grids import EASE2_M09, grid_of
from xsm.data.windows import take
from xsm.errors import DataError

GRID = EASE2_M09.window(300, 308, 900, 910)


def product(name, grid=GRID, first="2021-01-01", days=5, value=None, dtype="f4", units="K"):
    day = (np.datetime64(first) + np.arange(days)).astype("M8[ns]")
    rows, cols = np.meshgrid(grid.row, grid.col, indexing="ij")
    field = np.broadcast_to(rows * 1000 + cols if value is None else np.full(grid.shape, value), (days, *grid.shape))
    return grid.assign(xr.Dataset({name: (("time", "y", "x"), field.astype(dtype), {"units": units})}, {"time": day}))


def test_products_meet_by_row_and_column_never_by_float():
    wide = product("tb_v", EASE2_M09.window(295, 312, 890, 920))
    wide = wide.assign_coords(x=wide["x"] + 1e-4)
    cube = xsm.cube(product("tb_h"), wide)
    np.testing.assert_array_equal(cube["tb_v"].values, cube["tb_h"].values)
    assert grid_of(cube) == GRID
    np.testing.assert_array_equal(cube["x"].values, GRID.x)


def test_uncovered_cells_and_days_are_empty_and_counted():
    part = product("tb_v", EASE2_M09.window(302, 308, 900, 910), first="2021-01-02", days=3)
    with pytest.warns(UserWarning) as warned:
        cube = xsm.cube(product("tb_h"), part)
    texts = " ".join(str(w.message) for w in warned)
    assert "20 of 80 cells" in texts
    assert "2 of 5 days" in texts
    assert np.isnan(cube["tb_v"].values[:, :2]).all()
    assert np.isnan(cube["tb_v"].values[[0, 4]]).all()
    assert np.isfinite(cube["tb_v"].values[1:4, 2:]).all()


def test_flags_keep_their_type_and_fill():
    flag = product("retrieval_flag", EASE2_M09.window(300, 304, 900, 910), days=3, value=3, dtype="u2", units="")
    with pytest.warns(UserWarning):
        cube = xsm.cube(product("tb_h"), flag)
    assert cube["retrieval_flag"].dtype == np.uint16
    assert (cube["retrieval_flag"].values[:, 4:] == 65534).all()
    assert (cube["retrieval_flag"].values[3:] == 65534).all()


def test_missing_days_are_added_empty():
    gap = product("tb_h").isel(time=[0, 1, 4])
    cube = xsm.cube(gap)
    assert cube.sizes["time"] == 5
    assert np.isnan(cube["tb_h"].values[2:4]).all()


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (product("tb_v", EASE2_M09.window(500, 508, 900, 910)), "does not overlap"),
        (product("tb_v", first="2019-01-01"), "no day in common"),
        (product("tb_h"), "again"),
        (product("surface_temperature", units="degC"), "unit 'degC'"),
        (xr.Dataset({"tb_v": (("lat", "lon"), np.zeros((2, 2)))}), "not on an EASE-Grid"),
    ],
)
def test_wrong_products_are_refused_with_a_sentence(other, text):
    with pytest.raises(DataError, match=text):
        xsm.cube(product("tb_h"), other)


def test_frozen_and_land_follow_their_definition():
    day = product("soil_temperature_0_10", value=280.0)
    day["soil_temperature_0_10"][1] = 270.0
    flag = product("surface_flag", value=0, dtype="u2", units="")
    flag["surface_flag"][2, 0, 0] = 1 << 8
    flag["surface_flag"][2, 0, 1] = 65534
    cover = GRID.assign(xr.Dataset({"land_cover": (("y", "x"), np.full(GRID.shape, 10, "u1"))}))
    cover["land_cover"][0, 0] = 17
    cube = xsm.cube(product("tb_h"), day, flag, cover)
    frozen = cube["frozen"].values
    assert frozen[1].all()
    assert frozen[2].sum() == 1
    assert frozen[2, 0, 0]
    assert not cube["land"].values[0, 0]
    assert cube["land"].values.sum() == 79


def test_take_is_lazy_and_keeps_other_dims():
    soil = GRID.assign(
        xr.Dataset({"sand": (("soil_depth", "y", "x"), np.ones((2, *GRID.shape), "f4"))}, {"soil_depth": [5, 30]})
    )
    moved = take(soil.chunk(), EASE2_M09.window(298, 306, 902, 915))
    assert moved["sand"].chunks is not None
    assert moved["sand"].dims == ("soil_depth", "y", "x")
    assert int(moved["sand"].isel(soil_depth=0).count()) == 6 * 8


@pytest.mark.parametrize(("dtype", "expected", "kind"), [("i2", None, "f8"), ("u1", 255, "u1"), ("u2", 65534, "u2")])
def test_missing_days_and_cells_of_integers_are_no_values(dtype, expected, kind):
    classes = product("classes", EASE2_M09.window(302, 306, 900, 910), first="2021-01-02", days=2, value=7, dtype=dtype)
    with pytest.warns(UserWarning):
        cube = xsm.cube(product("tb_h"), classes)
    values = cube["classes"].values
    assert values.dtype == kind
    for place in (values[0], values[1, 0]):
        assert (np.isnan(place) if expected is None else place == expected).all()
    assert (values[1, 2:6] == 7).all()
