"""The contract of sources, and the filter against its sum."""

import numpy as np
import xarray as xr
import xsm
from xsm.testing import check_source
from xsm.twin import default_grid, make_world


def test_contract(tmp_path):
    check_source("cgls_swi", world=make_world(default_grid(16), 4, seed=0), tmp=tmp_path)


def test_bytes_become_percent_and_flags_gaps(tmp_path):
    byte = np.array([[0, 81], [200, 241]], "u1")
    path = tmp_path / "c_gls_SWI_202106011200_GLOBE_ASCAT_V3.1.1.nc"
    coords = {"time": [np.datetime64("2021-06-01T12", "ns")], "lat": [36.05, 35.95], "lon": [-98.05, -97.95]}
    xr.Dataset({"SWI_010": (("time", "lat", "lon"), byte[None])}, coords).to_netcdf(path)
    swi = xsm.open("cgls_swi", path)["swi"]
    np.testing.assert_array_equal(swi.values[0], np.array([[0, 40.5], [100, np.nan]], "f4"))


def test_filter_is_the_weighted_mean_of_the_past():
    values = np.random.default_rng(0).random(40)
    ds = xr.Dataset({"sm_dca": ("time", values, {"units": "m3 m-3"})})
    age = np.arange(40)[::-1]
    expected = (values * np.exp(-age / 7)).sum() / np.exp(-age / 7).sum()
    got = ds.sm.soil_water_index(scale=7)["swi"]
    np.testing.assert_allclose(got[-1], expected, rtol=1e-5)
    chunked = ds.chunk(time=10).sm.soil_water_index(scale=7)["swi"]
    np.testing.assert_array_equal(chunked, got)


def test_filter_over_gaps_weighs_by_age():
    values = np.random.default_rng(1).random(60)
    values[[3, 4, 10, 11, 12, 30]] = np.nan
    ds = xr.Dataset({"sm_dca": ("time", values, {"units": "m3 m-3"})})
    observed, age = np.isfinite(values), np.arange(60)[::-1]
    expected = (values * np.exp(-age / 5))[observed].sum() / np.exp(-age / 5)[observed].sum()
    np.testing.assert_allclose(ds.sm.soil_water_index(scale=5)["swi"][-1], expected, rtol=1e-5)
