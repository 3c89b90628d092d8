"""Climatologies beside pytesmo's and beside least squares by numpy, on made-up and on real series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pytesmo.time_series.anomaly import calc_climatology

import xsm
from tests.test_verbs import DAYS, series
from xsm.series.day_of_year import RULES, around, day_of_year, years_around


def expected(data, *, std=False, statistic="mean", window=35, smooth=5, leap_days=True, min_obs=1, time=None):
    """The same by pytesmo."""
    table = calc_climatology(
        data, moving_avg_orig=smooth, moving_avg_clim=window, median=statistic == "median", std=std,
        timespan=time, respect_leap_years=not leap_days, min_obs_orig=min_obs,
    )  # fmt: skip
    return table if std else table.to_frame("climatology")


def cell(seed=0):
    return series(seed=seed).isel(lat=1, lon=0).to_series()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"leap_days": False},
        {"statistic": "median"},
        {"std": True},
        {"std": True, "statistic": "median", "leap_days": False},
        {"window": 1, "smooth": 1},
        {"window": 30, "smooth": 4},
        {"window": 365, "smooth": 40},
        {"min_obs": 3},
    ],
)
@pytest.mark.parametrize("absent", [False, True], ids=["NaN", "absent"])
def test_window_is_that_of_pytesmo(options, absent):
    data = cell().dropna() if absent else cell()
    table = expected(data, **options)
    got = xsm.climatology(data, **options)
    got = got.to_frame() if isinstance(got, pd.Series) else got
    assert list(got.index) == list(range(1, 367))
    np.testing.assert_allclose(got.to_numpy(), table.to_numpy(), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    window=st.integers(1, 120),
    smooth=st.integers(1, 60),
    share=st.floats(0.02, 1),
    leap_days=st.booleans(),
)
def test_window_is_that_of_pytesmo_for_any_window_and_gaps(seed, window, smooth, share, leap_days):
    rng = np.random.default_rng(seed)
    data = cell(seed).where(rng.random(len(DAYS)) < share)
    data = data[rng.random(len(DAYS)) < 0.9]
    options = {"window": window, "smooth": smooth, "leap_days": leap_days}
    np.testing.assert_allclose(xsm.climatology(data, **options), expected(data, **options)["climatology"], atol=1e-9)


def test_reference_period_is_that_of_pytesmo():
    data = cell()
    table = expected(data, time=["2019-01-01", "2020-03-01"])
    np.testing.assert_allclose(
        xsm.climatology(data, time="2019-01-01/2020-03-01"), table["climatology"], atol=1e-9
    )  # fmt: skip


@pytest.mark.parametrize("name", ["soil_moisture_5cm", "soil_moisture_50cm"])
def test_real_stations_are_those_of_pytesmo(real_data, name):
    with xr.open_dataset(real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc") as ds:
        data = ds[name].isel(station=slice(0, 92, 7)).load()
    data.attrs["units"] = "m3 m-3"
    got = xsm.climatology(data, std=True)
    for k in range(data.sizes["station"]):
        one = data.isel(station=k, drop=True).astype("f8").to_series()
        if one.notna().any():
            table = expected(one, std=True)
            np.testing.assert_allclose(got[f"{name}_climatology"].isel(station=k), table["climatology"], atol=1e-6)
            np.testing.assert_allclose(got[f"{name}_climatology_std"].isel(station=k), table["std"], atol=1e-6)


@pytest.mark.parametrize("leap_days", [True, False])
@pytest.mark.parametrize("harmonics", [1, 2, 4])
def test_harmonics_are_the_least_squares_fit(harmonics, leap_days):
    data = cell().dropna()
    period = 366 if leap_days else 365.25

    def design(day):
        angle = 2 * np.pi * np.outer(day, np.arange(1, harmonics + 1)) / period
        return np.hstack([np.ones((len(day), 1)), np.cos(angle), np.sin(angle)])

    number = data.index.day_of_year.to_numpy()
    if leap_days:
        number = number + (~data.index.is_leap_year & (number > 59))
    weights = np.linalg.lstsq(design(number), data.to_numpy(), rcond=None)[0]
    got = xsm.climatology(data, method="harmonic", harmonics=harmonics, leap_days=leap_days)
    np.testing.assert_allclose(got, design(np.arange(1, 367)) @ weights, atol=1e-9)


def test_harmonics_do_not_reach_into_a_season_without_values():
    data = cell()
    data[data.index.month < 4] = np.nan
    got = xsm.climatology(data, method="harmonic")
    assert got.loc[20:70].isna().all()
    assert got.loc[110:340].notna().all()
    assert xsm.climatology(data[:3], method="harmonic").isna().all()


def test_days_of_year_are_those_of_a_calendar():
    days = pd.date_range("1999-01-01", "2004-12-31")
    number = day_of_year(days.to_numpy().astype("M8[D]"), leap_days=False)
    np.testing.assert_array_equal(number, days.day_of_year)
    dates = pd.date_range("2000-01-01", "2000-12-31").strftime("%m-%d")
    by_date = dict(zip(dates, range(1, 367), strict=True))
    expected_number = [by_date[d] for d in days.strftime("%m-%d")]
    np.testing.assert_array_equal(day_of_year(days.to_numpy().astype("M8[D]")), expected_number)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), window=st.integers(1, 365))
def test_years_around_a_day_are_counted(seed, window):
    rng = np.random.default_rng(seed)
    days = DAYS[rng.random(len(DAYS)) < 0.05]
    number = day_of_year(days.to_numpy().astype("M8[D]"))
    got = years_around(np.zeros((1, len(days))), around(days.to_numpy().astype("M8[D]"), window))[0]
    for day in (1, 2, 60, 200, 366):
        apart = np.abs(number - day)
        near = np.minimum(apart, 366 - apart) <= window // 2
        assert got[day - 1] == len(set(days.year[near]))


def test_days_with_too_few_years_are_missing():
    data = cell()
    data[(data.index.month == 7) & (data.index.year < 2020)] = np.nan
    got = xsm.climatology(data, min_years=2, window=5, smooth=1)
    assert got.loc[187:210].isna().all()
    assert got.loc[:180].notna().all()


def test_too_few_years_warn(recwarn):
    got = xsm.climatology(cell(), min_years=4)
    assert got.isna().all()
    assert "has 3 years around a day of year, fewer than 4" in str(recwarn[0].message)
    lazy = xsm.climatology(series().chunk({"lon": 1}), min_years=4)
    assert lazy.chunks is not None
    assert len(recwarn) == 2


def test_result_takes_the_place_of_time_and_says_how_days_count():
    got = xsm.climatology(series().transpose("lat", "time", "lon"), leap_days=False)
    assert got.dims == ("lat", "day_of_year", "lon")
    assert got["day_of_year"].attrs["leap_days"] == RULES[False]


def test_result_survives_a_file(tmp_path):
    xsm.climatology(series().to_dataset(), std=True).to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as ds:
        xr.testing.assert_allclose(ds, xsm.climatology(series().to_dataset(), std=True))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "harmonics"}, "Did you mean 'harmonic'"),
        ({"method": "harmonic", "statistic": "median"}, "no median"),
        ({"window": 0}, "at least 1"),
        ({"window": 12.5}, "whole number"),
        ({"time": "2031-01-01/2032-01-01"}, "No day of the data"),
        ({"time": "2020-12-31/2019-01-01"}, "Swap the dates"),
        ({"variables": ["sm"]}, "Unknown variable 'sm'"),
        ({"respect_leap_years": True}, "Unknown argument of climatology"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.climatology(series().to_dataset(), **arguments)


def test_wrong_data_end_in_one_sentence():
    data = series()
    with pytest.raises(xsm.DataError, match="times every 31 days"):
        xsm.climatology(data.resample(time="MS").mean())
    with pytest.raises(xsm.DataError, match="one time twice, on 2018-01-01"):
        xsm.climatology(xr.concat([data, data], "time"))
    with pytest.raises(xsm.UsageError, match="is a list"):
        xsm.climatology([0.1, 0.2])
    with pytest.raises(xsm.DataError, match="no value along 'time'"):
        xsm.climatology(data.isel(time=slice(0)))
