"""Lagged correlations beside pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm
from tests.test_verbs import DAYS, REFERENCE, series
from xsm.errors import hear


def by_pandas(a, b, largest):
    """``corr(shift())`` on every day of both."""
    days = pd.date_range(min(a.index[0], b.index[0]), max(a.index[-1], b.index[-1]))
    a, b = a.reindex(days), b.reindex(days)
    return np.array([a.corr(b.shift(-k), min_periods=30) for k in range(-largest, largest + 1)])


@settings(max_examples=30, deadline=None)
@given(st.integers(40, 300), st.floats(0, 0.5), st.integers(0, 10**6), st.integers(1, 20))
def test_equal_to_pandas_with_any_gaps(count, gaps, seed, largest):
    rng = np.random.default_rng(seed)
    days = pd.date_range("2020-01-01", periods=count)
    a, b = (pd.Series(rng.normal(0.2, 0.05, count), days, name=n) for n in ("sm", "other"))
    a, b = a[rng.random(count) > gaps], b.where(rng.random(count) > gaps)
    if len(a) < 30:
        return
    got = xsm.lag(a, b, max_lag=largest)["sm_lag_r"]
    expected = by_pandas(a, b, largest)
    inner = np.asarray(got.groupby(level="lag").first() if hasattr(got, "groupby") else got)
    np.testing.assert_allclose(inner, expected, atol=1e-9)


@pytest.mark.parametrize("shift", [-7, 0, 4])
def test_lag_is_positive_where_the_reference_follows(shift):
    data = series()
    follows = data.shift(time=shift).rename("deep")
    result = xsm.lag(data, follows, max_lag=10)
    observed = np.isfinite(data).any("time")
    assert (result["sm_dca_lag"].where(observed, shift) == shift).all()
    assert "positive: the reference follows the variable" in result["sm_dca_lag"].attrs["comment"]
    assert result["sm_dca_lag_r"].dims[0] == "lag"
    np.testing.assert_allclose(result["sm_dca_lag_r"].sel(lag=shift).values[observed], 1)


def test_deep_soil_follows_the_surface_at_real_stations(real_data):
    with xr.open_dataset(real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc") as ds:
        ds = ds[["soil_moisture_5cm", "soil_moisture_50cm"]].astype("f8").load()
    for variable in ds.data_vars.values():
        variable.attrs["units"] = "m3 m-3"
    result = xsm.lag(ds, to="soil_moisture_50cm", max_lag=15)
    assert float(result["soil_moisture_5cm_lag"].median()) > 0
    for station in ds["station"].values[::9]:
        a, b = (ds[n].sel(station=station).to_series() for n in ds.data_vars)
        got = result["soil_moisture_5cm_lag_r"].sel(station=station)
        np.testing.assert_allclose(got, by_pandas(a, b, 15), atol=1e-9)


def test_days_of_the_reference_around_the_data_count():
    data = series()[:, 0, 0]
    part = data[100:140].rename("sm")
    got = xsm.lag(part, data.rename("whole"), max_lag=20)
    assert np.isfinite(got["sm_lag_r"]).all()
    assert int(got["sm_lag"]) == 0


def test_few_pairs_and_constants_have_no_correlation():
    data = series()[:, 0, 0]
    got = xsm.lag(data[:32], data.rename("other")[:32], max_lag=5)["sm_dca_lag_r"]
    assert np.isfinite(got).sum() == 5
    with hear() as heard:
        constant = xsm.lag(data, xr.full_like(data, 0.2).rename("constant"), max_lag=2)
    assert np.isnan(constant["sm_dca_lag"])
    assert "one of both is constant" in str(heard[0])


def test_other_depth_of_the_same_data():
    ds = series().to_dataset().assign(sm_25cm=series().shift(time=3))
    result = xsm.lag(ds, to="sm_25cm", max_lag=5)
    assert list(result.data_vars) == ["sm_dca_lag", "sm_dca_lag_r"]
    assert float(result["sm_dca_lag"][0, 0]) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "There is no reference"),
        ({"to": "sm_50"}, "Unknown variable 'sm_50'"),
        ({"reference": REFERENCE, "max_lag": 0}, "'max_lag' is 0, expected at least 1"),
        ({"reference": REFERENCE, "max_lag": 2.5}, "'max_lag' is 2.5, expected a whole number"),
        ({"reference": REFERENCE.assign_coords(time=DAYS + pd.Timedelta("9000D"))}, "no day in common"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.lag(series(), **arguments)
