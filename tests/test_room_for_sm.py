"""``ds.sm`` of a dataset with a variable ``sm`` is that variable and the accessor; ``ds.xsm`` is the accessor alone."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from xarray.testing import assert_equal, assert_identical

import xsm
from xsm.contracts.registry import operations


@pytest.fixture
def ds():
    """As files of C3S and ESA CCI: a variable ``sm`` (time, lat, lon)."""
    rng = np.random.default_rng(1)
    values = rng.uniform(0.05, 0.45, (40, 3, 4)).astype("f4")
    values[rng.random(values.shape) < 0.2] = np.nan
    coords = {"time": pd.date_range("2021-01-01", periods=40), "lat": [40.0, 39.75, 39.5],
              "lon": [-100.0, -99.75, -99.5, -99.25]}  # fmt: skip
    attrs = {"units": "m3 m-3", "long_name": "Volumetric Soil Moisture", "valid_range": [0.0, 1.0]}
    spread = (("time", "lat", "lon"), values / 10, {"units": "m3 m-3"})
    return xr.Dataset({"sm": (("time", "lat", "lon"), values, attrs), "sm_uncertainty": spread}, coords)


@pytest.fixture(params=["memory", "dask"])
def both(request, ds):
    return ds if request.param == "memory" else ds.chunk({"time": 10})


METHODS = {
    "mean": lambda v: v.mean("time"),
    "reduce": lambda v: v.reduce(np.nanmax, dim="time"),
    "isel": lambda v: v.isel(lat=0),
    "sel": lambda v: v.sel(lat=39.8, lon=-100, method="nearest"),
    "getitem": lambda v: v[3, :, 1:],
    "getitem by dim": lambda v: v[{"time": 3}],
    "loc": lambda v: v.loc["2021-01-05":"2021-01-09"],
    "coordinate": lambda v: v["lat"],
    "where": lambda v: v.where(v > 0.2),
    "resample": lambda v: v.resample(time="7D").mean(),
    "groupby": lambda v: v.groupby("time.dayofweek").mean(),
    "groupby and subtract": lambda v: v.groupby("time.month") - v.groupby("time.month").mean(),
    "rolling": lambda v: v.rolling(time=5, min_periods=1).mean(),
    "coarsen": lambda v: v.coarsen(lat=3).mean(),
    "weighted": lambda v: v.weighted(np.cos(np.deg2rad(v.lat))).mean(("lat", "lon")),
    "interp": lambda v: v.compute().interp(lat=39.6),
    "quantile": lambda v: v.compute().quantile(0.5, "time"),
    "diff": lambda v: v.diff("time"),
    "transpose": lambda v: v.T,
    "rename": lambda v: v.rename("soil_moisture"),
    "assign_coords": lambda v: v.assign_coords(lon=v.lon % 360),
    "to_dataframe": lambda v: v.to_dataframe().to_xarray(),
    "chunk": lambda v: v.chunk({"time": 5}),
    "pipe": lambda v: v.pipe(lambda x: x + 1),
    "to_dataset": lambda v: v.to_dataset(name="moisture"),
    "copy": lambda v: v.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "ufunc": np.sqrt,
    "apply_ufunc": lambda v: xr.apply_ufunc(np.square, v, dask="parallelized"),
    "xr.where": lambda v: xr.where(v > 0.2, 1, 0),
    "xr.concat": lambda v: xr.concat([v, v], "product"),
    "xr.zeros_like": xr.zeros_like,
    "xr.corr": lambda v: xr.corr(v, v * 2, "time"),
    "xr.broadcast": lambda v: xr.broadcast(v, v["lat"])[0],
    "xr.merge": lambda v: xr.merge([v, v.rename("other")]),
    "xr.Dataset": lambda v: xr.Dataset({"a": v}),
    "round": lambda v: v.round(1),
    "unary": lambda v: -abs(v),
    "chain": lambda v: 1 - (v * 100 // 3) ** 2 % 5,
    "astype": lambda v: v.astype("f8"),
    "dt": lambda v: v.time.dt.month,
}


@pytest.mark.parametrize("name", METHODS)
def test_what_is_done_to_it_is_done_to_the_variable(both, name):
    expected, got = METHODS[name](both["sm"]), METHODS[name](both.sm)
    assert type(got) is type(expected)
    assert_identical(got, expected)


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge"]
)
@pytest.mark.parametrize("other", [0.2, np.float32(0.2), np.full((40, 3, 4), 0.2, "f4"), "lat", "itself"])
def test_operators_on_both_sides(both, name, other):
    other = {"lat": both["lat"], "itself": both["sm"]}.get(other, other) if isinstance(other, str) else other
    op = getattr(operator, name)
    for got, expected in ((op(both.sm, other), op(both["sm"], other)), (op(other, both.sm), op(other, both["sm"]))):
        assert type(got) is xr.DataArray
        assert_identical(got, expected)
    assert_identical(op(both.sm, both.sm), op(both["sm"], both["sm"]))


def test_logical_operators(ds):
    assert_identical((ds.sm > 0.2) & ~(ds.sm > 0.3), (ds["sm"] > 0.2) & ~(ds["sm"] > 0.3))


def test_values_attributes_and_protocols(both):
    sm, variable = both.sm, both["sm"]
    assert (sm.dims, sm.shape, sm.size, sm.dtype, sm.name, sm.attrs) == (
        variable.dims, variable.shape, variable.size, variable.dtype, "sm", variable.attrs)  # fmt: skip
    assert sm.units == "m3 m-3"
    assert_identical(sm.lat, both["lat"])
    np.testing.assert_array_equal(sm.values, variable.values)
    np.testing.assert_array_equal(np.asarray(sm), variable.values)
    assert sm.chunks == variable.chunks
    assert len(sm) == 40
    assert all(type(day) is xr.DataArray for day in sm)
    assert float(variable.max()) in both.compute().sm
    assert isinstance(sm, xr.DataArray)
    pd.testing.assert_frame_equal(sm.to_dataframe(), variable.to_dataframe())


def test_a_single_value_is_a_number():
    ds = xr.Dataset({"sm": 0.25})
    assert (float(ds.sm), bool(ds.sm), f"{ds.sm:.1f}", int(ds.sm)) == (0.25, True, "0.2", 0)
    with pytest.raises(TypeError, match="unhashable"):
        hash(ds.sm)


def test_assignment_goes_to_the_variable(ds):
    ds.sm.attrs["comment"] = "mine"
    ds.sm.encoding["dtype"] = "f4"
    ds.sm[0, 0, 0] = 0.5
    ds.sm.values[0, 0, 1] = 0.25
    ds.sm.loc[{"lat": 39.5}] = 0.1
    assert ds["sm"].attrs["comment"] == "mine"
    assert ds["sm"].encoding["dtype"] == "f4"
    assert ds["sm"].values[0, 0, :2].tolist() == [0.5, 0.25]
    assert (ds["sm"].sel(lat=39.5) == np.float32(0.1)).all()
    with pytest.raises(AttributeError, match=r"'sm' is read-only|cannot set attribute 'sm'"):
        ds.sm = ds["sm"] * 2
    with pytest.raises(AttributeError, match="cannot set attribute 'mine'"):
        ds.sm.mine = 1
    assert_identical(ds.assign(x=ds.sm * 2)["x"], (ds["sm"] * 2).rename("x"))
    assert_identical(ds.assign(x=ds.sm)["x"], ds["sm"].rename("x"))
    ds["y"] = ds.sm
    assert_identical(ds["y"], ds["sm"].rename("y"))


def test_pickle_keeps_both(ds):
    again = pickle.loads(pickle.dumps(ds.sm))
    assert_identical(again.copy(), ds["sm"])
    xr.testing.assert_equal(again.swi(10), ds.sm.swi(10))


def test_operations_win_and_act_on_the_dataset(ds):
    assert "sm_swi" in ds.sm.swi(10)
    assert_equal(ds.sm.swi(10), ds.xsm.swi(10))
    assert_equal(ds.sm.swi(10), xsm.swi(ds, 10))
    assert_equal(xsm.swi(ds.sm, 10), ds.sm.swi(10)["sm_swi"])
    assert set(ds.sm.regrid_ease9km().data_vars) == set(ds.xsm.regrid_ease9km().data_vars) == {*ds.data_vars}
    for op in operations().values():
        if op.accessor:
            assert getattr(ds.sm, op.id).__doc__ == getattr(ds.xsm, op.id).__doc__ == op.function.__doc__


def test_no_operation_has_the_name_of_a_method_of_a_data_array():
    assert not {op.id for op in operations().values() if op.accessor} & set(dir(xr.DataArray))


def test_plot_is_the_variables_own(ds):
    assert isinstance(ds.sm.plot, type(ds["sm"].plot))
    assert "plot_map" in dir(ds.sm)
    lines = ds.sm.isel(lat=0, lon=0).plot()
    np.testing.assert_array_equal(lines[0].get_ydata(), ds["sm"].values[:, 0, 0])


def test_print_shows_both_and_computes_nothing(ds):
    for text in (repr(ds.sm), ds.sm._repr_html_()):
        assert "3 lat x 4 lon" in text
        assert 'ds["sm"]' in text.replace("&quot;", '"')
        assert "Volumetric Soil Moisture" in text
    lazy = xr.Dataset({"sm": ("x", xr.DataArray([1.0], dims="x").chunk().data.map_blocks(_fail, dtype="f8"))})
    assert "dask.array" in repr(lazy.sm)
    assert "coordinate" in repr(ds.set_coords("sm").sm).split("\n\n")[0]


def _fail(block):
    raise AssertionError("computed")


def test_dir_lists_both(ds):
    assert {"mean", "sel", "plot", "lat", "units", "swi", "regrid", "plot_map"} <= set(dir(ds.sm))
    assert "mean" not in dir(ds.xsm)


def test_ds_xsm_never_falls_through(ds):
    for accessor in (ds.xsm, ds["sm"].xsm, ds.drop_vars("sm").xsm):
        with pytest.raises(AttributeError, match=r"Unknown operation of ds\.sm 'mean'"):
            accessor.mean()
    assert repr(ds.xsm).startswith("<ds.sm: 2021-01-01")
    assert_equal(ds["sm"].xsm.swi(10), ds["sm"].sm.swi(10))


def test_other_datasets_are_as_ever(ds):
    other = ds.rename(sm="sm_dca")
    with pytest.raises(AttributeError, match=r"Unknown operation of ds\.sm 'mean'"):
        other.sm.mean()
    with pytest.raises(TypeError, match="unsupported operand"):
        other.sm * 2
    assert type(other.sm) is type(ds.xsm)
    assert xr.Dataset.sm is xr.Dataset.xsm
    assert xr.DataArray.sm is xr.DataArray.xsm


def test_an_unknown_name_says_where_it_was_looked_for(ds):
    with pytest.raises(AttributeError, match="no operation, and no attribute of the variable 'sm'"):
        ds.sm.maen("time")
    assert not hasattr(ds.sm, "__dataframe__")
    assert getattr(ds.sm, "nothing", None) is None


def test_a_variable_may_come_and_go(ds):
    other = ds.drop_vars("sm")
    assert "mean" not in dir(other.sm)
    other["sm"] = ds["sm"]
    assert_identical(other.sm.mean(), ds["sm"].mean())
    del other["sm"]
    assert not hasattr(other.sm, "mean")


def test_coordinates_and_data_arrays(ds):
    coord = ds.set_coords("sm")
    assert_identical(coord.sm.mean("time"), coord["sm"].mean("time"))
    along = xr.Dataset({"theta": ("sm", [1.0, 2.0])}, {"sm": [0.1, 0.2]})
    assert_identical(along.sm + 1, along["sm"] + 1)
    assert along.sm.values.tolist() == along["theta"].sm.values.tolist() == [0.1, 0.2]
    assert type(ds["sm"].sm) is type(ds["sm"].xsm)
    assert type(ds.sm.sm) is type(ds["sm"].sm)
    assert_equal(ds.sm.sm.swi(10), ds["sm"].sm.swi(10))
    assert ds.sm.sm.swi(10).name == "sm_swi"


def test_computing_it_gives_a_data_array(ds):
    import dask

    lazy = ds.chunk({"time": 10})
    for got in (lazy.sm.compute(), lazy.sm.persist(), lazy.sm.load(), *dask.compute(lazy.sm)):
        assert_identical(got.copy(), ds["sm"])


def test_writing_it(ds, tmp_path):
    ds.sm.to_netcdf(tmp_path / "sm.nc")
    assert_equal(xr.open_dataarray(tmp_path / "sm.nc"), ds["sm"])
