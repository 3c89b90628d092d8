"""Anomalies beside pytesmo's, from moving means and from climatologies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pytesmo.time_series.anomaly import calc_anomaly, calc_climatology

import xsm
from tests.test_verbs import DAYS, series
from xsm.validation import metrics


def cell(seed=0):
    return series(seed=seed).isel(lat=1, lon=0).to_series()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), window=st.integers(1, 400), share=st.floats(0.01, 1))
def test_moving_mean_is_that_of_pytesmo(seed, window, share):
    data = cell(seed)[np.random.default_rng(seed).random(len(DAYS)) < share]
    if len(data):
        np.testing.assert_allclose(
            xsm.anomaly(data, window=window), calc_anomaly(data, window_size=window), atol=1e-9
        )  # fmt: skip


def test_absent_days_are_gaps():
    data = cell()
    pd.testing.assert_series_equal(xsm.anomaly(data.dropna()), xsm.anomaly(data).dropna(), check_freq=False)


@pytest.mark.parametrize("leap_days", [True, False])
def test_climatology_is_that_of_pytesmo(leap_days):
    data = cell()
    base = calc_climatology(data, respect_leap_years=not leap_days)
    expected = calc_anomaly(data, climatology=base, respect_leap_years=not leap_days)
    of_itself = xsm.anomaly(data, method="climatology", leap_days=leap_days)
    np.testing.assert_allclose(of_itself, expected, atol=1e-9)
    np.testing.assert_allclose(xsm.anomaly(data, climatology=base, leap_days=leap_days), expected, atol=1e-9)
    maps = series()
    got = xsm.anomaly(maps, climatology=xsm.climatology(maps, leap_days=leap_days))
    np.testing.assert_allclose(got.isel(lat=1, lon=0), expected, atol=1e-9)


@pytest.mark.parametrize("name", ["soil_moisture_5cm", "soil_moisture_20cm"])
def test_real_stations_are_those_of_pytesmo(real_data, name):
    with xr.open_dataset(real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc") as ds:
        data = ds[name].isel(station=slice(0, 92, 7)).load()
    moving = xsm.anomaly(data)
    seasonal = xsm.anomaly(data, method="climatology")
    for k in range(data.sizes["station"]):
        one = data.isel(station=k, drop=True).astype("f8").to_series()
        np.testing.assert_allclose(moving.isel(station=k), calc_anomaly(one), atol=1e-6)
        if one.notna().any():
            expected = calc_anomaly(one, climatology=calc_climatology(one), respect_leap_years=False)
            np.testing.assert_allclose(seasonal.isel(station=k), expected, atol=1e-6)


def test_standardised_by_the_values_in_the_window():
    data = cell()
    got = xsm.anomaly(data, standardise=True)
    for t in (0, 40, 500, len(data) - 1):
        near = data[max(t - 17, 0) : t + 18]
        if np.isfinite(data.iloc[t]):
            assert got.iloc[t] == pytest.approx((data.iloc[t] - near.mean()) / near.std())
    assert xsm.anomaly(series(), standardise=True).attrs["units"] == "1"


def test_standardised_by_the_climatology():
    data = series()
    base = xsm.climatology(data, std=True)
    number = DAYS.day_of_year.to_numpy() + (~DAYS.is_leap_year & (DAYS.day_of_year > 59))
    mean, std = (base[f"sm_dca_climatology{s}"].values[number - 1] for s in ("", "_std"))
    with np.errstate(invalid="ignore"):
        expected = (data.values - mean) / std
    np.testing.assert_allclose(xsm.anomaly(data, climatology=base, standardise=True), expected)
    of_itself = xsm.anomaly(data, method="climatology", standardise=True)
    np.testing.assert_allclose(of_itself, expected)


def test_constant_series_have_no_anomaly_and_no_standardised_one(recwarn):
    data = pd.Series(0.3, DAYS)
    assert (xsm.anomaly(data) == 0).all()
    assert not recwarn
    assert xsm.anomaly(data, standardise=True).isna().all()
    assert "all are the same" in str(recwarn[0].message)


def test_few_values_are_refused(recwarn):
    got = xsm.anomaly(cell(), window=5, min_obs=5)
    assert 0 < got.notna().sum() < cell().notna().sum() / 2
    assert xsm.anomaly(cell(), window=5, min_obs=6).isna().all()
    assert "Too few values" in str(recwarn[0].message)


def test_validation_has_the_same_anomalies():
    data = series().transpose("lat", "lon", "time")
    np.testing.assert_array_equal(metrics.anomalies(data.values), xsm.anomaly(data).values)
    assert metrics.anomalies(np.empty((2, 0))).shape == (2, 0)
    days = data["time"].values
    theirs = xsm.anomaly(data, method="climatology").values
    np.testing.assert_allclose(metrics.anomalies(data.values, days, "climatology"), theirs, atol=1e-15)


def test_validation_takes_anomalies_from_the_climatology_of_each_series():
    data = series().isel(lat=0, lon=0, drop=True)
    other = data + 0.02 * np.random.default_rng(3).standard_normal(data.shape)
    scores = xsm.validate(data, other, anomaly=True, anomaly_from="climatology")
    both = np.isfinite(data) & np.isfinite(other)
    pair = [xsm.anomaly(v.where(both), method="climatology") for v in (data, other)]
    np.testing.assert_allclose(scores["r_anomaly"].item(), float(xr.corr(*pair)), atol=1e-9)
    assert "climatology" in scores["r_anomaly"].attrs["long_name"]


def test_a_short_record_is_said_to_resemble_its_climatology():
    with pytest.warns(UserWarning, match="rests on 1 year only"):
        xsm.anomaly(series().sel(time="2019"), method="climatology")


def test_days_of_another_rule_are_matched_by_the_attribute():
    data = series()
    ordinal = xsm.climatology(data, leap_days=False)
    xr.testing.assert_identical(
        _bare(xsm.anomaly(data, climatology=ordinal)),
        _bare(xsm.anomaly(data, method="climatology", leap_days=False)),
    )
    with pytest.raises(xsm.UsageError, match="computed with leap_days=false"):
        xsm.anomaly(data, climatology=ordinal, leap_days=True)


def test_climatology_of_another_period_and_of_a_product_of_another_name():
    data = series()
    base = xsm.climatology(data, time="2018-01-01/2019-12-31")
    got = xsm.anomaly(data.rename("sm_noah_0_10"), climatology=base)
    xr.testing.assert_allclose(got, xsm.anomaly(data, method="climatology", time="2018-01-01/2019-12-31"))
    assert got.name == "sm_noah_0_10_anomaly"


def test_any_mean_by_day_of_year_is_a_climatology():
    data = series()
    base = data.groupby("time.dayofyear").mean().rename(dayofyear="day_of_year")
    got = xsm.anomaly(data, climatology=base, leap_days=False)
    xr.testing.assert_allclose(got.drop_vars("day_of_year", errors="ignore"),
                               (data.groupby("time.dayofyear") - data.groupby("time.dayofyear").mean())
                               .drop_vars("dayofyear"))  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "moving", "climatology": "of the data"}, "a climatology for anomalies from a moving mean"),
        ({"time": "2018"}, "neither a reference period"),
        ({"climatology": "of the data", "time": "2018"}, "the reference period of another one"),
        ({"climatology": "of other cells"}, "other values along 'lat'"),
        ({"climatology": "of a part"}, "has 1 cells along 'lat'"),
        ({"climatology": "without std", "standardise": True}, "no standard deviation"),
        ({"climatology": "the data"}, "expected 'day_of_year'"),
        ({"climatology": "a series of days"}, "expected days of year"),
        ({"climatology": "a number"}, "'climatology' is a float"),
        ({"method": "climatology", "window": 400}, "at most 365"),
        ({"window": -3}, "at least 1"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    data = series()
    base = xsm.climatology(data)
    known = {
        "of the data": base,
        "of other cells": base.assign_coords(lat=base["lat"] + 1),
        "of a part": base.isel(lat=[0]),
        "without std": base,
        "the data": data,
        "a series of days": cell(),
        "a number": 0.3,
    }
    arguments = {k: known.get(v, v) if k == "climatology" else v for k, v in arguments.items()}
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.anomaly(data, **arguments)


def test_swapped_arguments_and_several_variables_are_refused():
    data = series()
    base = xsm.climatology(data)
    with pytest.raises(xsm.DataError, match="no time"):
        xsm.anomaly(base, climatology=data)
    two = data.to_dataset().assign(sm_noah_0_10=data)
    with pytest.raises(xsm.DataError, match="has no 'sm_noah_0_10_climatology'"):
        xsm.anomaly(two, climatology=base)


def _bare(data):
    data = data.copy()
    data.attrs.pop("history", None)
    return data
