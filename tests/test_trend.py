"""Trends beside scipy and pymannkendall."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymannkendall
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import xsm
from tests.test_verbs import series
from xsm.errors import hear

PARTS = ("", "_low", "_high", "_p", "_intercept", "_n")


def record(years=8, seed=0, first="2011-01-01"):
    """A daily series with a season, a memory of months, a trend and gaps."""
    rng = np.random.default_rng(seed)
    days = pd.date_range(first, periods=round(365.25 * years))
    noise = pd.Series(rng.normal(0, 0.05, len(days))).ewm(halflife=120).mean().to_numpy()
    values = 0.25 + 0.06 * np.cos(2 * np.pi * days.day_of_year / 365.25) + noise * 3 + 4e-6 * np.arange(len(days))
    return pd.Series(np.where(rng.random(len(days)) < 0.4, np.nan, values), days, name="sm")


def by_libraries(steps, period, plain):
    """Slope per year, its bounds, p, intercept and count of yearly or monthly steps, as the libraries compute them."""
    valid = np.isfinite(steps)
    if period == 12:
        test = pymannkendall.seasonal_test(steps, period=12)
        return np.array([test.slope, np.nan, np.nan, test.p, test.intercept, valid.sum()])
    test = (pymannkendall.original_test if plain else pymannkendall.hamed_rao_modification_test)(steps)
    sen = stats.theilslopes(steps[valid], np.flatnonzero(valid))
    np.testing.assert_allclose([sen.slope, sen.intercept], [test.slope, test.intercept], atol=1e-12)
    return np.array([sen.slope, sen.low_slope, sen.high_slope, test.p, sen.intercept, valid.sum()])


def ours(data, name="sm", **arguments):
    result = xsm.trend(data, per="year", **arguments)
    return np.array([float(result[f"{name}_trend{part}"]) for part in PARTS])


def compare(got, expected):
    known = np.isfinite(expected)
    np.testing.assert_allclose(got[known], expected[known], rtol=1e-6, atol=1e-12)
    assert np.isnan(got[3]) == np.isnan(expected[3])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("by", ["year", "month", "day"])
@pytest.mark.parametrize("test", ["hamed_rao", "plain"])
def test_equal_to_scipy_and_pymannkendall(by, test, seed):
    data = record(seed=seed, years=5 if by == "day" else 8)
    if by == "day":
        data = data[::7].resample("D").mean()
        steps = data.to_numpy()
    else:
        steps = data.resample("YS" if by == "year" else "MS").mean().to_numpy()
    expected = by_libraries(steps, 12 if by == "month" else 1, test == "plain")
    if by == "day":
        expected[:3] *= 365.25
    compare(ours(data, by=by, test=test, min_share=0.02), expected)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:.*no value:UserWarning")
@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.one_of(st.just(np.nan), st.integers(0, 30), st.floats(0, 1)), min_size=5, max_size=40),
    st.booleans(),
)
def test_yearly_values_with_ties_and_gaps_are_those_of_the_libraries(values, plain):
    years = np.array(values, "f8")
    if np.isfinite(years).sum() < 5 or np.unique(years[np.isfinite(years)]).size < 2:
        return
    index = pd.to_datetime([f"{1980 + i}-01-01" for i in range(len(years))])
    data = pd.concat([pd.Series(years, index, name="sm"), pd.Series(np.nan, [index[-1] + pd.Timedelta("364D")])])
    got = ours(data.rename("sm"), test="plain" if plain else "hamed_rao", min_share=0)
    compare(got, by_libraries(years, 1, plain))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("by", ["year", "month"])
def test_equal_to_the_libraries_on_real_stations(by, real_data):
    with xr.open_dataset(real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc") as ds:
        data = ds["soil_moisture_5cm"].astype("f8").load().assign_attrs(units="m3 m-3")
    result = xsm.trend(data, by, per="year", min_years=5, min_share=0.5)
    compared = 0
    for station in data["station"].values:
        row = data.sel(station=station).to_series()
        groups = row.resample("YS" if by == "year" else "MS")
        steps = groups.mean().where(groups.count() >= 0.5 * groups.size()).to_numpy()
        yearly = row.resample("YS")
        if (yearly.count() >= 0.5 * yearly.size()).sum() >= 5:
            got = np.array([float(result[f"soil_moisture_5cm_trend{p}"].sel(station=station)) for p in PARTS])
            compare(got, by_libraries(steps, 12 if by == "month" else 1, False))
            compared += 1
        else:
            assert np.isnan(result["soil_moisture_5cm_trend"].sel(station=station))
    assert compared > 50


def test_seasonal_interval_contains_the_slope_and_is_that_of_sen_for_a_single_season():
    data = record()
    got = ours(data, by="month")
    assert got[1] < got[0] < got[2]
    july = data[data.index.month == 7]
    single = ours(july, by="month", min_share=0.01)
    steps = july.resample("YS").mean().to_numpy()
    sen = stats.theilslopes(steps)
    np.testing.assert_allclose(single[:3], [sen.slope, sen.low_slope, sen.high_slope], rtol=1e-9)


def test_decade_is_ten_years_and_attributes_say_the_unit_and_the_test():
    data = record().to_xarray().rename(index="time").assign_attrs(units="m3 m-3")
    year, decade = (xsm.trend(data, per=per) for per in ("year", "decade"))
    assert year["sm_trend"].attrs["units"] == "m3 m-3 year-1"
    assert decade["sm_trend_low"].attrs["units"] == "m3 m-3 decade-1"
    assert decade["sm_trend_intercept"].attrs["units"] == "m3 m-3"
    for part in ("", "_low", "_high"):
        np.testing.assert_allclose(decade[f"sm_trend{part}"], 10 * year[f"sm_trend{part}"])
    xr.testing.assert_equal(decade["sm_trend_p"], year["sm_trend_p"])
    assert "Hamed and Rao" in decade["sm_trend_p"].attrs["test"]


def test_years_that_the_record_covers_in_part_are_left_out():
    """A record from 31 March, as that of SMAP, has no mean of its first year."""
    data = record(years=8, first="2011-03-31")
    whole = data["2012-01-01":"2018-12-31"]
    got, expected = ours(data, by="year"), ours(whole, by="year")
    assert got[5] == 7
    np.testing.assert_allclose(got[[0, 1, 2, 3]], expected[[0, 1, 2, 3]])


def test_years_with_too_few_days_are_left_out():
    data = record()
    data["2014-02-01":"2014-12-31"] = np.nan
    assert ours(data)[5] == 7
    assert ours(data, min_share=0.01)[5] == 8


def test_absent_days_are_gaps():
    data = record()
    np.testing.assert_allclose(ours(data.dropna(), by="month"), ours(data, by="month"), rtol=1e-9)


def test_constant_series_have_no_trend_and_p_one():
    days = pd.date_range("2011-01-01", "2018-12-31")
    got = ours(pd.Series(0.2, days, name="sm"))
    np.testing.assert_allclose(got, [0, 0, 0, 1, 0.2, 8], atol=1e-15)


def test_a_record_of_a_few_years_is_refused_and_a_cell_with_few_years_is_empty_with_a_warning():
    with pytest.raises(xsm.DataError, match=r"cover 3 whole years \(2018-01-01 to 2020-12-31\), expected at least 5"):
        xsm.trend(series())
    few = record().where(record().index.year < 2014)
    with hear() as heard:
        result = xsm.trend(few)
    assert np.isnan(result["sm_trend"])
    assert result["sm_trend_n"] == 3
    assert "No series has 5 years with values on at least 30 % of their days" in str(heard[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"by": "years"}, "Unknown by 'years'. Did you mean 'year'"),
        ({"test": "mk"}, "Unknown test 'mk'"),
        ({"min_share": 30}, "'min_share' is 30, expected at least 0 and at most 1"),
        ({"min_years": 2}, "'min_years' is 2, expected at least 3"),
        ({"variables": ["s"]}, "Unknown variable 's'"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.trend(record(), **arguments)


@pytest.mark.parametrize("by", ["month", "year"])
@pytest.mark.parametrize("freq", ["MS", "ME", "period"])
def test_means_of_months_have_the_trend_of_their_days(by, freq):
    days = record()
    days = days[days.notna().groupby([days.index.year, days.index.month]).transform("mean") > 0.3]
    months = days.resample("MS" if freq == "period" else freq).mean().dropna()
    months.index = months.index.to_period("M") if freq == "period" else months.index
    got = xsm.trend(months, by, min_share=0.1)
    if by == "month":
        expected = xsm.trend(days, by)
        np.testing.assert_allclose(got.to_numpy(float), expected.to_numpy(float), rtol=1e-6)
    else:
        years = months.groupby(months.index.year).mean()
        slope = stats.theilslopes(years, years.index)
        np.testing.assert_allclose(got.iloc[:3].to_numpy(float), [10 * v for v in (slope[0], *slope[2:])], rtol=1e-6)


def test_days_of_months_and_arrays_are_refused():
    with pytest.raises(xsm.UsageError, match="times of months, expected days for a trend of days"):
        xsm.trend(record().resample("MS").mean(), "day")
    with pytest.raises(xsm.DataError, match="times every 91 days"):
        xsm.trend(record().resample("QS").mean())
    with pytest.raises(xsm.XsmError, match="array"):
        xsm.trend(np.arange(3000.0))
