"""Drydowns beside scipy's fit of the same decay and a search for events by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit, lsq_linear

import xsm
from tests.test_verbs import series
from xsm.errors import hear

TOLERANCE = 1e-3
"""Relative difference between our tau and scipy's."""


def decay(t, a, tau, floor):
    return a * np.exp(-t / tau) + floor


def rains(taus, days=25, noise=0.0, seed=0):
    """A series of drydowns of the given times, one after the other, from different peaks to one floor."""
    rng = np.random.default_rng(seed)
    t = np.arange(days)
    events = [decay(t, rng.uniform(0.1, 0.2), tau, 0.08) for tau in taus]
    values = np.concatenate([[0.08], *events]) + rng.normal(0, noise, 1 + days * len(taus))
    return pd.Series(values, pd.date_range("2021-04-01", periods=len(values)), name="sm")


def test_exact_decays_come_back():
    taus = [3.0, 5.0, 8.0, 12.0]
    result = xsm.drydown(rains(taus), events=True)
    np.testing.assert_allclose(result["sm_drydown_event_tau"], taus, rtol=1e-5)
    np.testing.assert_allclose(result["sm_drydown_event_floor"], 0.08, atol=1e-6)
    np.testing.assert_allclose(result["sm_drydown_event_r2"], 1)
    assert result["sm_drydown_event_start"].tolist() == list(pd.date_range("2021-04-02", periods=4, freq="25D"))
    assert result["sm_drydown_event_length"].tolist() == [24] * 4
    np.testing.assert_allclose(
        result[["sm_drydown", "sm_drydown_low", "sm_drydown_high"]].iloc[0], np.percentile(taus, [50, 25, 75])
    )
    assert result["sm_drydown_n"].iloc[0] == 4


def check_fits(data, result, rtol=TOLERANCE):
    """Every event of a result beside scipy's bounded least squares of the same days; their number."""
    values = data.dropna()
    for k in range(result.sizes["event"]):
        event = {
            c: result[f"{data.name}_drydown_event_{c}"].values[k]
            for c in ("start", "length", "tau", "amplitude", "floor", "r2")
        }
        part = values[event["start"] : event["start"] + pd.Timedelta(event["length"], "D")]
        t = (part.index - part.index[0]).days.to_numpy("f8")
        y = part.to_numpy()
        bounds = ([-np.inf, 0.1, values.min() - 1e-15], [np.inf, 200, max(y[-1], values.min() + 1e-12)])
        starts = [(np.ptp(y), tau, min(max(y.min(), bounds[0][2]), bounds[1][2])) for tau in (2, 6, 20)]
        errors = {}
        for start in starts:
            fit, _ = curve_fit(decay, t, y, start, bounds=bounds, ftol=1e-14, xtol=1e-14, gtol=1e-14, max_nfev=20000)
            errors[((y - decay(t, *fit)) ** 2).sum()] = fit
        error, fit = min(errors.items())
        error_here = ((y - decay(t, event["amplitude"], event["tau"], event["floor"])) ** 2).sum()
        assert error_here <= error * (1 + 1e-6) + 1e-16
        if error_here >= error * (1 - 1e-6):
            np.testing.assert_allclose(event["tau"], fit[1], rtol=rtol)
        assert event["r2"] == pytest.approx(1 - error_here / ((y - y.mean()) ** 2).sum(), abs=1e-9)
    return result.sizes["event"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(1.5, 15), min_size=3, max_size=6), st.floats(0.0002, 0.003), st.integers(0, 10**6))
def test_fits_are_those_of_scipy(taus, noise, seed):
    data = rains(taus, noise=noise, seed=seed)
    check_fits(data, xsm.drydown(data.to_xarray().rename(index="time"), events=True))


def test_fits_at_a_real_station_are_those_of_scipy(real_data):
    with xr.open_dataset(real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc") as ds:
        data = ds["soil_moisture_5cm"].astype("f8").load().assign_attrs(units="m3 m-3")
    maps = xsm.drydown(data)
    assert 2 < float(maps["soil_moisture_5cm_drydown"].median()) < 20
    compared = 0
    for station in data["station"].values[[3, 60]]:
        row = data.sel(station=station)
        result = xsm.drydown(row, events=True)
        compared += check_fits(row.to_series(), result, rtol=0.02)
        taus = result["soil_moisture_5cm_drydown_event_tau"]
        if len(taus) >= 3:
            assert float(maps["soil_moisture_5cm_drydown"].sel(station=station)) == pytest.approx(float(taus.median()))
    assert compared > 20


def by_hand(values, fewest, gap, rise, noise):
    """Start and end of events as positions, by plain loops over a list of (day, value)."""
    points = [(d, v) for d, v in enumerate(values) if np.isfinite(v)]
    series_ = sorted(v for _, v in points)
    extent = series_[int(0.95 * (len(points) - 1))] - series_[int(0.05 * (len(points) - 1))]
    out, i = [], 1
    while i < len(points) - 1:
        run = [points[i]]
        for before, after in zip(points[i:], points[i + 1 :], strict=False):
            low = min(v for _, v in run)
            if after[0] - before[0] > gap or after[1] > low + (noise * extent if len(run) > 1 else -1e-300):
                break
            run.append(after)
        while run[-1][1] > min(v for _, v in run):
            run.pop()
        k = i
        while k > 0 and points[k - 1][1] < points[k][1] and points[k][0] - points[k - 1][0] <= gap:
            k -= 1
        if len(run) >= fewest and points[i][1] - points[k][1] >= rise * extent:
            out.append((run[0][0], run[-1][0]))
            i = points.index(run[-1])
        else:
            i += 1
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 6), st.integers(1, 5), st.floats(0.02, 0.3), st.floats(0, 0.1))
def test_events_are_those_by_hand(seed, fewest, gap, rise, noise):
    rng = np.random.default_rng(seed)
    values = np.zeros(200)
    for t in range(1, 200):
        values[t] = 0.85 * values[t - 1] + (rng.random() < 0.1) * rng.gamma(2, 0.05) + rng.normal(0, 0.003)
    values[rng.random(200) < 0.2] = np.nan
    rules = {"min_values": fewest, "max_gap": gap, "rise": rise, "noise": noise}
    data = xr.DataArray(values + 0.1, {"time": pd.date_range("2021-01-01", periods=200)}, "time", "sm")
    result = xsm.drydown(data, events=True, min_r2=0, **rules)
    starts = (result["sm_drydown_event_start"].values - data["time"].values[0]).astype("m8[D]").astype(int)
    ends = starts + result["sm_drydown_event_length"].values.astype(int)
    ours, expected = {*zip(starts.tolist(), ends.tolist(), strict=True)}, {*by_hand(values, fewest, gap, rise, noise)}
    assert ours <= expected
    assert not [event for event in expected - ours if determined(values, *event)]


def determined(values, start, end):
    """Whether the best of many e-folding times is neither the shortest nor the longest and better than the mean."""
    t = np.flatnonzero(np.isfinite(values[start : end + 1]))
    y = values[start + t]
    taus = np.geomspace(0.1, 200, 61)
    low, high = np.nanmin(values), max(y[-1], np.nanmin(values) + 1e-12)
    fits = [
        lsq_linear(
            np.stack([np.exp(-t / tau), np.ones(len(t))], 1), y, ([-np.inf, low - 1e-12], [np.inf, high]), tol=1e-14
        )
        for tau in taus
    ]
    errors = 2 * np.array([fit.cost for fit in fits])
    best = int(errors.argmin())
    margin = min(errors[0], errors[-1]) - errors[best]
    return margin > 1e-4 * errors[best] and errors[best] < 0.99 * ((y - y.mean()) ** 2).sum()


def test_units_do_not_matter():
    data = rains([3.0, 5.0, 8.0], noise=0.001)
    one, hundred = xsm.drydown(data), xsm.drydown(100 * data)
    for part in ("", "_n", "_r2"):
        assert one[f"sm_drydown{part}"] == pytest.approx(hundred[f"sm_drydown{part}"], rel=1e-5)


def test_a_long_gap_ends_an_event_and_small_noise_does_not():
    data = rains([6.0, 6.0, 6.0])
    data.iloc[10:17] = np.nan
    assert xsm.drydown(data, events=True)["sm_drydown_event_length"].tolist() == [8, 24, 24]
    assert xsm.drydown(data, events=True, max_gap=8)["sm_drydown_event_length"].tolist() == [24, 24, 24]
    bumped = rains([6.0, 6.0, 6.0])
    bumped.iloc[20] = bumped.iloc[19] + 0.001
    assert xsm.drydown(bumped, events=True)["sm_drydown_event_length"].tolist() == [24, 24, 24]
    assert xsm.drydown(bumped, events=True, noise=0)["sm_drydown_event_length"].iloc[0] == 18


def test_lazy_events_have_all_the_room_they_may_need():
    data = series()
    eager, lazy = xsm.drydown(data, events=True), xsm.drydown(data.chunk(lat=1), events=True)
    assert lazy["sm_dca_drydown_event_start"].chunks is not None
    assert lazy.sizes["event"] >= eager.sizes["event"]
    cut = lazy.compute().isel(event=slice(eager.sizes["event"]))
    xr.testing.assert_equal(cut, eager)
    assert np.isnat(eager["sm_dca_drydown_event_start"].values[-1, -1]).all()


def test_a_series_without_drydowns_is_empty_with_a_warning():
    days = pd.date_range("2021-01-01", periods=200)
    with hear() as heard:
        result = xsm.drydown(pd.Series(0.2, days, name="sm"))
    assert np.isnan(result["sm_drydown"])
    assert result["sm_drydown_n"] == 0
    assert "No series has 3 drydowns that a decay fits" in str(heard[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"min_values": 2}, "'min_values' is 2, expected at least 4"),
        ({"noise": 5}, "'noise' is 5, expected at least 0 and at most 1"),
        ({"max_gap": "week"}, "'max_gap' is 'week', expected a number"),
        ({"depth": 5}, "Unknown argument of drydown"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.drydown(rains([4.0, 5.0]), **arguments)
