"""Rescaling beside pytesmo, and quantile delta mapping beside scipy and numpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pytesmo import scaling
from pytesmo.cdf_matching import CDFMatching
from scipy import stats

import xsm
from tests.test_verbs import REFERENCE, series
from xsm.errors import hear

METHODS = ("mean_std", "linreg", "cdf", "qdm")
LEARNT = slice("2018", "2019")


def reference(seed=1):
    """Another product of the same cells: other mean and spread, a share of the same moisture, other gaps."""
    rng = np.random.default_rng(seed)
    other = 0.1 + 0.6 * series() + rng.normal(0, 0.01, series().shape)
    return other.where(rng.random(other.shape) < 0.8).rename("sm_noah").assign_attrs(units="m3 m-3")


def by_pytesmo(method, x, y):
    """Values of all days of x, with parameters of the common days."""
    both = np.isfinite(x) & np.isfinite(y)
    if method == "cdf":
        matcher = CDFMatching(nbins=100, minobs=20, linear_edge_scaling=True, combine_invalid=True)
        return matcher.fit(x, y).predict(x)
    if method == "linreg":
        slope, intercept = scaling.linreg_params(x[both], y[both])
        return scaling.linreg_stored_params(x, slope, intercept)
    scaled = scaling.mean_std(x[both], y[both])
    slope, intercept = np.polyfit(x[both], scaled, 1)
    return slope * x + intercept


def by_quantiles(x, y, multiplicative):
    """Cannon et al. (2015), equations 3 to 6, with all days as the projection and Hazen's quantiles."""
    both = np.isfinite(x) & np.isfinite(y)
    out, valid = np.full(x.shape, np.nan), np.isfinite(x)
    share = (stats.rankdata(x[valid]) - 0.5) / valid.sum()
    before, goal = (np.quantile(v[both], share, method="hazen") for v in (x, y))
    out[valid] = goal * x[valid] / before if multiplicative else goal + x[valid] - before
    return out


@pytest.mark.filterwarnings("ignore:The bins have been resized")
@pytest.mark.parametrize("method", METHODS[:3])
def test_equal_to_pytesmo(method):
    data, other = series(), reference()
    got = xsm.rescale(data, other, method=method)
    for cell in [(0, 0), (0, 2), (1, 1)]:
        x, y = data.values[:, *cell], other.values[:, *cell]
        np.testing.assert_allclose(got.values[:, *cell], by_pytesmo(method, x, y), atol=1e-6)


@pytest.mark.filterwarnings("ignore:The bins have been resized")
@pytest.mark.parametrize("method", METHODS[:3])
def test_equal_to_pytesmo_on_real_stations(method, real_data):
    """Measured values have three decimals: many are equal."""
    path = real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc"
    with xr.open_dataset(path) as ds:
        ds = ds[["soil_moisture_5cm", "soil_moisture_20cm"]].astype("f8").load()
    for variable in ds.data_vars.values():
        variable.attrs["units"] = "m3 m-3"
    got = xsm.rescale(ds, to="soil_moisture_20cm", method=method)["soil_moisture_5cm_rescaled"]
    compared = 0
    for station in ds["station"].values:
        x, y = (ds[n].sel(station=station).values for n in ds.data_vars)
        if (np.isfinite(x) & np.isfinite(y)).sum() >= 30:
            np.testing.assert_allclose(got.sel(station=station), by_pytesmo(method, x, y), atol=1e-6, err_msg=station)
            compared += 1
    assert compared > 60


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None)
@given(st.integers(30, 2600), st.integers(1, 4), st.floats(0, 0.6), st.integers(0, 10**6))
def test_cdf_matching_is_that_of_pytesmo_for_any_number_of_values_and_ties(count, decimals, gaps, seed):
    rng = np.random.default_rng(seed)
    x = np.round(rng.beta(2, 5, count), decimals)
    y = np.round(0.5 * x + rng.beta(2, 3, count), decimals)
    x[rng.random(count) < gaps] = np.nan
    if (np.isfinite(x) & np.isfinite(y)).sum() < 30 or np.unique(x[np.isfinite(x)]).size < 5:
        return
    days = pd.date_range("2015-01-01", periods=count)
    got = xsm.rescale(pd.Series(x, days), pd.Series(y, days), method="cdf")
    try:
        expected = by_pytesmo("cdf", x, y)
    except np.linalg.LinAlgError:  # pytesmo cannot fit an outer bin of a single value, which ours keeps flat
        assert np.isfinite(got[np.isfinite(x)]).all()
    else:
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_qdm_is_multiplicative_for_soil_moisture_and_additive_for_others():
    data, other = series(), reference()
    for name, units, multiplicative in (("sm_dca", "m3 m-3", True), ("temperature", "K", False)):
        named = data.rename(name).assign_attrs(units=units)
        got = xsm.rescale(named, other.assign_attrs(units=units), method="qdm", time=LEARNT)
        assert got.attrs["rescaling"].endswith("multiplicative" if multiplicative else "additive")
        known = other.where(other["time"].dt.year < 2020)
        for cell in [(0, 0), (1, 1)]:
            expected = by_quantiles(data.values[:, *cell], known.values[:, *cell], multiplicative)
            np.testing.assert_allclose(got.values[:, *cell], expected, atol=1e-9)


def test_qdm_keeps_a_change_after_the_period_of_learning_which_cdf_matching_takes_for_an_error_of_its_tail():
    days = pd.date_range("2015-01-01", periods=2000)
    rng = np.random.default_rng(0)
    other = pd.Series(rng.uniform(0.1, 0.3, 2000), days)
    wetter = other + 0.1 * (np.arange(2000) >= 1000)
    got = xsm.rescale(wetter, other, method="qdm", time="2015-01-01/2017-09-26")
    assert (got - wetter).abs().max() < 0.03
    assert got.max() > 0.37


@pytest.mark.parametrize("method", METHODS)
def test_parameters_come_from_the_period_alone(method):
    data, other = series(), reference()
    changed = other.where(other["time"].dt.year < 2020, 0.9)
    xr.testing.assert_equal(
        xsm.rescale(data, other, method=method, time=LEARNT), xsm.rescale(data, changed, method=method, time=LEARNT)
    )
    assert np.isfinite(xsm.rescale(data, other, method=method, time=LEARNT).sel(time="2020")[:, 0, 0]).all()


def test_result_has_the_unit_of_the_reference():
    percent = (100 * reference()).assign_attrs(units="percent")
    for method in METHODS:
        got = xsm.rescale(series(), percent, method=method)
        assert got.attrs["units"] == "percent"
        np.testing.assert_allclose(got, 100 * xsm.rescale(series(), reference(), method=method), rtol=1e-6)
    assert "units" not in xsm.rescale(series(), percent.drop_attrs()).attrs


def test_one_station_serves_all_cells_and_one_variable_another():
    ds = series().to_dataset().assign(sm_noah=reference())
    assert list(xsm.rescale(ds, to="sm_noah")) == ["sm_dca_rescaled"]
    for_all = xsm.rescale(series(), REFERENCE)
    cell = xsm.rescale(series()[:, 1, 1], REFERENCE)
    np.testing.assert_allclose(for_all[:, 1, 1], cell)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stamps", ["MS", "ME", "period"])
def test_months_are_rescaled_to_months_whatever_their_stamps(method, stamps):
    months = pd.date_range("2010-01-01", periods=90, freq="MS")
    rng = np.random.default_rng(0)
    days = pd.date_range("2010-01-01", periods=90)
    one, two = rng.uniform(0.1, 0.4, 90), rng.uniform(0.1, 0.3, 90)
    expected = xsm.rescale(pd.Series(one, days, name="sm"), pd.Series(two, days, name="ref"), method=method)
    index = months.to_period("M") if stamps == "period" else pd.date_range("2010-01-01", periods=90, freq=stamps)
    got = xsm.rescale(pd.Series(one, index, name="sm"), pd.Series(two, months, name="ref"), method=method)
    np.testing.assert_array_equal(got, expected)
    assert got.index.equals(index)


def test_months_and_days_are_not_rescaled_to_each_other():
    days = pd.Series(np.linspace(0.1, 0.3, 1000), pd.date_range("2018-01-01", periods=1000), name="sm")
    months = days.resample("MS").mean()
    with pytest.raises(xsm.DataError, match="times of days, the data have months"):
        xsm.rescale(months, days)
    with pytest.raises(xsm.DataError, match=r"The reference has times every 31 days.*expected days"):
        xsm.rescale(days, months)
    with pytest.raises(xsm.DataError, match=r"times every 91 days.*expected days"):
        xsm.rescale(days.resample("QS").mean(), days)


def test_too_few_days_and_opposite_signs_are_stated():
    data, other = series(), reference()
    few = other.where((other["lon"] != other["lon"][1]) | (other["time"].dt.dayofyear < 8))
    with hear() as heard:
        got = xsm.rescale(data, few)
    assert "2 of 5 series of 'sm_dca' are not rescaled: they share fewer than 30 times" in str(heard[0])
    assert np.isnan(got[:, :, 1]).all()
    with hear() as heard:
        xsm.rescale(data, (-other).rename("dry_anomaly"), method="linreg")
    assert "5 of 5 series of 'sm_dca' run against the reference" in str(heard[0])
    assert "turns them upside down" in str(heard[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "There is no reference"),
        ({"to": "sm_naoh"}, "Did you mean 'sm_noah'"),
        ({"to": "sm_noah", "method": "cdf_match"}, "Unknown method 'cdf_match'. Known: cdf, linreg"),
        ({"to": "sm_noah", "time": "2025"}, "No day of the data"),
        ({"reference": [0.1, 0.2]}, "'reference' is a list, expected data with times"),
        ({"to": "sm_noah", "variables": ["sm_dac"]}, "Did you mean 'sm_dca'"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.rescale(series().to_dataset().assign(sm_noah=reference()), **arguments)


def test_wrong_data_end_in_one_sentence():
    data = series()
    with pytest.raises(xsm.DataError, match="expected one unit for qdm"):
        xsm.rescale(data.assign_attrs(units="K"), reference(), method="qdm")
    with pytest.raises(xsm.UsageError, match="The input has no other series than 'sm_dca'"):
        xsm.rescale(data.to_dataset(), to="sm_dca")
    with pytest.raises(xsm.XsmError, match="list"):
        xsm.rescale([0.1, 0.2], data)
    with pytest.raises(xsm.DataError, match="one time twice, on 2018-01-01"):
        xsm.rescale(xr.concat([data[:1], data], "time"), reference())
    with pytest.raises(xsm.DataError, match="3 cells along 'lon', the data 2"):
        xsm.rescale(data[..., :2], reference())
