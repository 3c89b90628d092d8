"""Percentiles beside scipy's, by ranks and by a beta distribution fitted by moments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import xsm
from tests.test_verbs import DAYS, series


def cell(seed=0):
    return series(seed=seed).isel(lat=1, lon=0).to_series()


def near(data, day, window):
    """Values of a series around a day of year, by the calendar of a leap year."""
    number = data.index.day_of_year + (~data.index.is_leap_year & (data.index.day_of_year > 59))
    centre = day.day_of_year + (not day.is_leap_year and day.day_of_year > 59)
    apart = np.abs(number - centre)
    return data[np.minimum(apart, 366 - apart) <= window // 2].dropna()


def by_scipy(data, window=31, reference=None):
    base = data if reference is None else data[reference]
    return [
        stats.percentileofscore(near(base, day, window), v, kind="mean") if np.isfinite(v) else np.nan
        for day, v in data.items()
    ]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), window=st.integers(1, 365), share=st.floats(0.02, 1), digits=st.integers(2, 9))
def test_ranks_are_those_of_scipy_for_any_window_gaps_and_ties(seed, window, share, digits):
    data = cell(seed).round(digits)[np.random.default_rng(seed).random(len(DAYS)) < share]
    if data.notna().any():
        got = xsm.percentile(data, window=window, min_years=1)
        np.testing.assert_allclose(got, by_scipy(data, window), atol=1e-9)


def test_reference_period():
    data = cell()
    got = xsm.percentile(data, time="2018-01-01/2019-06-30", min_years=1)
    np.testing.assert_allclose(got, by_scipy(data, reference=slice("2018-01-01", "2019-06-30")), atol=1e-9)


def test_beta_is_that_of_scipy():
    data = cell()
    got = xsm.percentile(data, method="beta", min_years=3)
    for day in DAYS[::97]:
        some = near(data, day, 31)
        mean, variance = some.mean(), some.var(ddof=0)
        size = mean * (1 - mean) / variance - 1
        expected = 100 * stats.beta.cdf(data[day], mean * size, (1 - mean) * size)
        assert got[day] == pytest.approx(expected, abs=1e-6, nan_ok=True)
    by_moments = stats.beta.fit(near(data, DAYS[400], 31), method="MM", floc=0, fscale=1)
    assert got.iloc[400] == pytest.approx(100 * stats.beta.cdf(data.iloc[400], *by_moments), abs=1e-3, nan_ok=True)


def test_beta_knows_units():
    data = series()
    expected = xsm.percentile(data, method="beta", min_years=3)
    percent = (100 * data).assign_attrs(units="percent")
    xr.testing.assert_allclose(xsm.percentile(percent, method="beta", min_years=3), expected)
    with pytest.raises(xsm.DataError, match="has the unit 'kg m-2'"):
        xsm.percentile(data.assign_attrs(units="kg m-2"), method="beta")
    with pytest.raises(xsm.DataError, match="a beta distribution needs 0 to 1"):
        xsm.percentile((100 * data).rename("wetness"), method="beta")


@pytest.mark.parametrize("name", ["soil_moisture_5cm", "soil_moisture_100cm"])
def test_real_stations_are_those_of_scipy(real_data, name):
    with xr.open_dataset(real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc") as ds:
        data = ds[name].isel(station=[0, 40, 80]).load()
    got = xsm.percentile(data, min_years=1)
    for k in range(data.sizes["station"]):
        one = data.isel(station=k, drop=True).to_series()
        expected = by_scipy(one)
        np.testing.assert_allclose(got.isel(station=k), expected, atol=1e-4)


def test_few_years_are_missing_and_nothing_left_warns(recwarn):
    data = cell()
    data[(data.index.month == 7) & (data.index.year < 2020)] = np.nan
    got = xsm.percentile(data, min_years=2, window=5)
    assert got["2020-07-05":"2020-07-25"].isna().all()
    assert got["2020-05":"2020-06-15"].notna().sum() == data["2020-05":"2020-06-15"].notna().sum()
    assert not recwarn
    assert xsm.percentile(data).isna().all()
    assert "has 3 years around a day of year, fewer than 5" in str(recwarn[0].message)
    sparse = cell().where(DAYS.month == 1 + DAYS.year % 3)
    assert xsm.percentile(sparse, min_years=3, window=5).isna().all()
    assert "fewer than min_years=3 years in their window are missing" in str(recwarn[1].message)


@pytest.mark.parametrize("method", ["empirical", "beta"])
def test_infinite_values_are_missing(method):
    data = cell()
    infinite = data.copy()
    infinite[data.isna()] = np.inf
    if method == "empirical":
        got, expected = (xsm.percentile(d, min_years=3) for d in (infinite, data))
        pd.testing.assert_series_equal(got, expected)


def test_constant_series_lie_in_the_middle():
    data = pd.Series(0.3, DAYS)
    assert (xsm.percentile(data, min_years=3) == 50).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "gamma"}, "Unknown method 'gamma'"),
        ({"window": 366}, "at most 365"),
        ({"min_years": 0}, "at least 1"),
        ({"time": "1991/2020"}, None),
        ({"time": "1981/2010"}, "No day of the data"),
        ({"variables": "sm_dac"}, "Did you mean 'sm_dca'"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    if sentence is None:
        xsm.percentile(series().to_dataset(), min_years=3, **arguments)
        return
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.percentile(series().to_dataset(), **arguments)
