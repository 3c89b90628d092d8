"""The soil water index beside pytesmo's filter, sums over all days and a search by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pytesmo.time_series.filters import exp_filter

import xsm
from tests.test_verbs import DAYS, series


@pytest.mark.parametrize("days", [1.0, 10.0, 60.0])
def test_equal_to_pytesmo_on_observed_days(days):
    data = series().isel(lat=1, lon=0)
    expected = exp_filter(data.values.copy(), DAYS.to_julian_date().to_numpy(), ctime=days, nan=np.nan)
    observed = np.isfinite(data.values)
    got = xsm.swi(data, days).values
    np.testing.assert_allclose(got[observed], expected[observed], atol=1e-6)
    assert np.isfinite(got[np.flatnonzero(observed)[0] :]).all()


def test_absent_days_are_gaps():
    data = series().isel(lat=1, lon=0)
    absent = data.dropna("time")
    np.testing.assert_array_equal(xsm.swi(absent, 10).values, xsm.swi(data, 10).sel(time=absent["time"]).values)


def test_quality_is_the_share_of_the_weights():
    data = series().isel(lat=1, lon=0)
    got = xsm.swi(data, 5, quality=True)["sm_dca_swi_quality"].values
    for t in (0, 10, 400):
        weights = np.exp(-np.arange(t + 1)[::-1] / 5)
        assert got[t] == pytest.approx(100 * weights[np.isfinite(data.values[: t + 1])].sum() / weights.sum(), abs=1e-3)


def test_learnt_constant_is_the_best_by_hand():
    data = series()
    deep = xsm.swi(data, 20).rename("sm_noah_10_40")
    learnt = xsm.swi(data.to_dataset(), reference=deep)
    observed = np.isfinite(data).any("time")
    assert (learnt["sm_dca_swi_days"].where(observed, 20) == 20).all()
    np.testing.assert_allclose(learnt["sm_dca_swi"], deep, atol=1e-6)
    assert float(learnt["sm_dca_swi_r"].max()) == pytest.approx(1)


def test_constant_of_a_texture_class_goes_to_cells_without_a_reference():
    data = series()
    texture = xr.DataArray(np.array([[1, 1, 1], [3, 3, 3]], "u1"), dims=("lat", "lon"))
    deep = xr.concat([xsm.swi(data.isel(lat=[0]), 5), xsm.swi(data.isel(lat=[1]), 30)], "lat").transpose(*data.dims)
    deep = deep.where(deep["lon"] > deep["lon"][0])
    ds = data.to_dataset().assign(texture=texture)
    learnt = xsm.swi(ds, reference=deep.rename("deep"))
    assert learnt["sm_dca_swi_days"].values[:, 0].tolist() == [5, 30]
    assert learnt["sm_dca_swi_days_by_texture"].sel(texture_class="sand") == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "neither a time constant nor a reference"),
        ({"days": 5, "to": "sm_dca"}, "a time constant and a reference"),
        ({"to": "sm_noah"}, "Unknown variable 'sm_noah'"),
        ({"days": 5, "variables": ["sm_dac"]}, "Did you mean 'sm_dca'"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.swi(series().to_dataset(), **arguments)


def test_other_days_and_cells_of_the_reference_are_refused():
    data = series()
    with pytest.raises(xsm.DataError, match="no day in common"):
        xsm.swi(data, reference=data.assign_coords(time=DAYS + pd.Timedelta("8000D")))
    with pytest.raises(xsm.DataError, match="other values along 'lat'"):
        xsm.swi(data, reference=data.assign_coords(lat=data["lat"] + 1))


def test_a_table_without_times_is_refused():
    with pytest.raises(xsm.UsageError, match="index of the type int64, expected times"):
        xsm.swi(pd.Series([0.1, 0.2]), 5)
