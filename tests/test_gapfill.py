"""Gap filling through the core, with the numpy baseline as model: contract, patterns, laziness, sentences."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm
from xsm.errors import DataError, UsageError
from xsm.learning.filling import long_gaps
from xsm.learning.samples import mix, sample_cells
from xsm.learning.seasonal import Pattern, calendar_day, fill_pattern, find_pattern
from xsm.testing import raise_if_computes


def test_fill_is_complete_and_keeps_observations(gappy):
    filled = gappy.sm.gapfill(method="linear")
    observed = gappy["tb_h"].notnull().values
    np.testing.assert_array_equal(filled["tb_h"].values[observed], gappy["tb_h"].values[observed])
    np.testing.assert_array_equal(filled["tb_h_observed"].values, observed)
    has = observed.any(0)
    assert np.isfinite(filled["tb_h"].values[:, has]).all()
    assert np.isnan(filled["tb_h"].values[:, ~has]).all()
    assert filled["tb_h"].attrs["empty_cells"] == (~has).sum() > 0
    for spread in ("tb_h_std", "tb_h_obs_std"):
        assert (filled[spread].values[:, has] > 0).all()
        assert filled[spread].attrs["units"] == "K"
    assert "linear" in filled["tb_h"].attrs["fill_method"]
    assert "gapfill" in filled.attrs["history"]
    assert filled["tb_h"].encoding["grid_mapping"] == "spatial_ref"


def test_a_role_names_what_is_filled():
    smap = xsm.example("smap", size=12, days=20)
    filled = smap.sm.gapfill("linear", variables=["retrieval", "sm_dca"])
    xr.testing.assert_equal(filled, smap.sm.gapfill("linear", variables=["sm_dca"]))
    assert "tb_h_std" not in filled


@pytest.mark.parametrize(
    ("train", "text"),
    [
        (slice("2021-02-01", None), "train=2021-02-01/)"),
        (slice(None, np.datetime64("2021-03-01")), "train=/2021-03-01)"),
        ("2021-02/2021-03", "train=2021-02/2021-03)"),
    ],
)
def test_history_has_periods(gappy, train, text):
    history = gappy[["tb_h"]].sm.gapfill("linear", train=train).attrs["history"]
    assert history.endswith(text) and "slice" not in history


def test_fixed_maps_are_copied_without_spread(gappy):
    filled = gappy.sm.gapfill(method="linear")
    assert "static" in filled["albedo"].attrs["fill_method"]
    expected = np.broadcast_to(np.linspace(0.03, 0.09, 11, dtype="f4"), filled["albedo"].shape)
    has = gappy["albedo"].notnull().any("time").values
    np.testing.assert_allclose(filled["albedo"].values[:, has], expected[:, has], rtol=1e-6)
    assert (filled["albedo_std"].values[:, has] == 0).all()


def test_seasonal_cycles_are_looked_up():
    time = np.arange("2020-01-01", "2022-01-01", dtype="M8[D]")
    cycle = np.sin(2 * np.pi * calendar_day(time) / 366)[:, None] * np.linspace(1, 2, 6) + 3
    rng = np.random.default_rng(0)
    gaps = np.where(rng.random(cycle.shape) < 0.5, cycle, np.nan)
    assert find_pattern(gaps, time) is Pattern.PERIODIC
    filled = fill_pattern(gaps, time, Pattern.PERIODIC)
    assert np.abs(filled - cycle).max() < 0.01  # a day observed in no year is interpolated over at most a few days
    noisy = gaps + 0.05 * rng.normal(size=gaps.shape)
    assert find_pattern(noisy, time) is Pattern.NONE


def test_calendar_days_keep_their_date_in_leap_years():
    days = calendar_day(
        np.array(["2020-02-28", "2020-02-29", "2020-03-01", "2021-02-28", "2021-03-01", "2021-12-31"], "M8[D]")
    )
    assert days.tolist() == [58, 59, 60, 58, 60, 365]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(1, 20))
def test_long_gaps_against_a_loop(observed, limit):
    observed = np.array(observed)[:, None]
    brute = np.zeros(len(observed), bool)
    start = 0
    while start < len(observed):
        stop = start
        while stop < len(observed) and not observed[stop]:
            stop += 1
        if stop - start > limit:
            brute[start:stop] = True
        start = max(stop, start + 1)
    np.testing.assert_array_equal(long_gaps(observed, limit)[:, 0], brute)


def test_lazy_equals_eager_to_the_bit_and_builds_without_computing(gappy):
    bundle = gappy.sm.fit(task="gapfill", model="linear", variables=["tb_h"])
    eager = gappy.sm.gapfill(method="linear", variables=["tb_h"], model=bundle)
    for chunks in ({"time": 7}, {"y": 5, "x": 4}, {"time": 50, "x": 3}):
        lazy = gappy.chunk(chunks).sm.gapfill(method="linear", variables=["tb_h"], model=bundle)
        assert lazy["tb_h"].chunks is not None
        for name in ("tb_h", "tb_h_std"):
            np.testing.assert_array_equal(lazy[name].compute().values, eager[name].values)


def test_points_without_crs_are_filled(gappy):
    series = gappy[["tb_h"]].stack(cell=("y", "x"), create_index=False).drop_vars(["spatial_ref", "x", "y"])
    filled = series.sm.gapfill(method="linear")
    assert set(filled["tb_h"].dims) == {"time", "cell"}


def test_max_gap_leaves_long_gaps_empty(gappy):
    hidden = gappy.copy(deep=True)
    hidden["tb_h"][30:60] = np.nan
    filled = hidden.sm.gapfill(method="linear", variables=["tb_h"], max_gap=10)
    assert np.isnan(filled["tb_h"].values[35:55]).all()
    assert np.isnan(filled["tb_h_std"].values[35:55]).all()


def test_infinite_values_are_gaps_and_nothing_is_invented(gappy):
    odd = gappy.copy(deep=True)
    odd["tb_h"][5, 3, 3] = np.inf
    filled = odd.sm.gapfill(method="linear", variables=["tb_h"])
    assert np.isfinite(filled["tb_h"].values[5, 3, 3])
    assert not filled["tb_h_observed"].values[5, 3, 3]
    whole = xr.ones_like(gappy[["tb_h"]]) * 250
    whole["tb_h"][5, 3, 3] = np.inf
    assert np.isfinite(whole.sm.gapfill(method="linear", variables=["tb_h"])["tb_h"].values).all()


def test_only_cells_with_three_observations_show_that_a_map_is_fixed():
    time = np.arange("2021-01-01", "2021-01-31", dtype="M8[D]")
    rng = np.random.default_rng(0)
    once = np.full((30, 40), np.nan)
    once[rng.integers(0, 30, 40), np.arange(40)] = rng.normal(size=40)
    assert find_pattern(once, time) is Pattern.NONE
    fixed = np.where(rng.random((30, 40)) < 0.5, rng.normal(size=40), np.nan)
    assert find_pattern(fixed, time) is Pattern.STATIC
    assert find_pattern(np.where(np.arange(40) < 30, once, fixed), time) is Pattern.NONE, (
        "a quarter of the cells shows it"
    )
    assert find_pattern(np.where(np.arange(40) < 10, once, fixed), time) is Pattern.STATIC


@pytest.mark.parametrize("mask", ["frozen", "surface_temperature"])
def test_frozen_days_teach_temperatures_alone(gappy, mask):
    cold = gappy["tb_h"].isel(y=0, x=0, drop=True).copy(data=np.arange(gappy.sizes["time"]) % 40 < 20)
    cold = cold.astype(bool).broadcast_like(gappy["tb_h"])
    observed = gappy["tb_h"].notnull()
    warmth = (xr.where(cold, 262.0, 285.0) + 0 * gappy["tb_h"]).assign_attrs(units="K")
    ds = gappy[["tb_h"]].assign({mask: {"frozen": cold, "surface_temperature": warmth}[mask]})
    spoiled = ds.assign(tb_h=ds["tb_h"].where(~(cold & observed), 10.0).assign_attrs(units="K"))
    learnt, again = (d.sm.fit(task="gapfill", model="linear", variables=["tb_h"]) for d in (ds, spoiled))
    np.testing.assert_array_equal(learnt.weights["tb_h"], again.weights["tb_h"])
    filled = spoiled.sm.gapfill(method="linear", variables=["tb_h"])
    assert again.hash in filled["tb_h"].attrs["fill_method"], "a fill without a bundle trains as fit does"
    warm = ds.assign(surface_temperature=warmth).sm.fit(
        task="gapfill", model="linear", variables=["surface_temperature"]
    )
    assert warm.weights["surface_temperature"].max() > 5, "jumps of 23 K between frozen and thawed days are errors"
    with pytest.raises(DataError, match="'tb_h' has no observation on thawed ground"):
        ds.assign(frozen=xr.ones_like(cold)).sm.fit(task="gapfill", model="linear", variables=["tb_h"])


def test_observed_values_stay_even_outside_the_physical_range(gappy):
    odd = gappy.copy(deep=True)
    odd["tb_h"][5, 3, 3] = 400
    assert odd.sm.gapfill(method="linear", variables=["tb_h"])["tb_h"].values[5, 3, 3] == 400


@pytest.mark.parametrize(
    ("change", "kwargs", "error", "text"),
    [
        (lambda d: d, {"method": "linaer"}, UsageError, "Did you mean 'linear'"),
        (lambda d: d, {"variables": ["tb_q"]}, UsageError, "Did you mean 'tb_"),
        (lambda d: d.isel(time=slice(None, None, -1)), {}, DataError, "repeated or out of order"),
        (lambda d: d.isel(time=[0, 1, 5]), {}, DataError, "lacks days"),
        (lambda d: d.isel(time=0, drop=True), {}, DataError, "'time'"),
        (lambda d: d * np.nan, {"variables": ["tb_h"]}, DataError, "No cell has any value"),
        (lambda d: d.assign(tb_h=d["tb_h"].assign_attrs(units="degC")), {}, DataError, "unit 'degC'"),
        (lambda d: d, {"variables": ["tb_h"], "covariates": ["albedo"]}, DataError, "has gaps"),
        (lambda d: d.assign(sm_noah_0_10=d["tb_h"]), {"covariates": ["sm_noah_0_10"]}, UsageError, "leaks"),
        (
            lambda d: d.assign(rain=d["tb_h"].fillna(0).rename(y="lat", x="lon").drop_vars(["lat", "lon"])),
            {"covariates": ["rain"]},
            DataError,
            "expected those of the series",
        ),
        (lambda d: d.isel(time=[0, 1, 1, 2]), {}, DataError, "repeated or out of order"),
        (lambda d: d, {"mode": "both"}, UsageError, "smoother"),
        (lambda d: d, {"max_gap": 0}, UsageError, "at least 1"),
        (lambda d: d, {"epochs": 3}, UsageError, "Unknown option of model 'linear'"),
    ],
)
def test_wrong_input_stops_with_a_sentence(gappy, change, kwargs, error, text):
    with pytest.raises(error, match=text):
        xsm.gapfill(change(gappy), **{"method": "linear", **kwargs})


def test_cells_are_sampled_by_row_and_column_whatever_the_chunks(gappy):
    whole = sample_cells(gappy, ["tb_h"], [], 20, seed=1)
    chunked = sample_cells(gappy.chunk(y=5, x=3, time=11), ["tb_h"], [], 20, seed=1)
    xr.testing.assert_identical(whole.drop_attrs(), chunked.drop_attrs())
    other = sample_cells(gappy, ["tb_h"], [], 20, seed=2)
    assert not np.array_equal(whole["tb_h"].values, other["tb_h"].values, equal_nan=True)
    shuffled = mix(np.arange(1000), np.zeros(1000, int), 0)
    assert len(np.unique(shuffled)) == 1000


def test_training_sees_training_days_only(gappy):
    spoiled = gappy.copy(deep=True)
    spoiled["tb_h"][80:] += 40
    train = slice("2021-01-01", "2021-03-21")
    options = {"task": "gapfill", "model": "linear", "variables": ["tb_h"], "train": train}
    assert gappy.sm.fit(**options).weights["tb_h"] == pytest.approx(spoiled.sm.fit(**options).weights["tb_h"])


@pytest.mark.parametrize(
    ("fill", "honest"),
    [
        (np.s_[50:100], True),
        (np.s_[50:90], True),
        (np.s_[50:101], False),
        (np.s_[49:100], False),
        (np.s_[0:120], False),
        ([*range(50, 60), *range(80, 100)], True),
    ],
)
def test_fit_warns_of_a_fill_that_learnt_from_other_days(gappy, fill, honest, recwarn):
    use = np.zeros((2, gappy.sizes["time"]), bool)
    use[0, fill], use[1, 50:100] = True, True
    _warns(gappy, use, honest, recwarn)


def test_fit_warns_of_a_fill_that_learnt_from_days_between_the_training_days(gappy, recwarn):
    use = np.zeros((2, gappy.sizes["time"]), bool)
    use[:, 20:50] = use[:, 80:110] = True
    _warns(gappy, use, True, recwarn)
    use[0, 60] = True
    _warns(gappy, use, False, recwarn)


def _warns(ds, use, honest, recwarn):
    bundle = ds.sm.fit(task="gapfill", model="linear", variables=["tb_h"], train=use[0])
    filled = ds.sm.gapfill("linear", variables=["tb_h"], model=bundle)
    law = (0.2 + (filled["tb_h"] - 240) / 1000).assign_attrs(units="m3 m-3")
    filled.assign(sm_noah_0_10=law).sm.fit(model="ridge", predictors=["tb_h"], target="sm_noah_0_10", train=use[1])
    warnings = [str(w.message) for w in recwarn if "learnt from days other than the training days" in str(w.message)]
    assert len(warnings) == (not honest), warnings


def test_a_fill_with_a_bundle_is_lazy_at_once(gappy):
    bundle = gappy.sm.fit(task="gapfill", model="linear", variables=["tb_h"])
    with raise_if_computes():
        filled = gappy.chunk().sm.gapfill(method="linear", variables=["tb_h"], model=bundle)
        with pytest.raises(AssertionError, match="computed"):
            filled["tb_h"].load()


@pytest.mark.parametrize("method", ["linear", "cru"])
def test_fill_values_and_other_units_are_not_filled_from(method):
    smap = xsm.example("smap", size=8, days=24)
    celsius = smap.assign(surface_temperature=(smap["surface_temperature"] - 273.15).assign_attrs(units="K"))
    for ds, name in ((celsius, "surface_temperature"), (smap.assign(tb_h=smap["tb_h"].fillna(-9999.0)), "tb_h")):
        with pytest.raises(DataError, match=f"Gap filling needs series in their range, but .* in {name} "):
            ds.sm.gapfill(method, variables=["surface_temperature", "tb_h"])
