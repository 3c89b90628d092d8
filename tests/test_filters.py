"""Filters of series with gaps beside sums over all pairs of days."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate

from xsm.series import filters, recursive

SERIES = st.builds(
    lambda seed, days, cells, share: gappy(np.random.default_rng(seed), days, cells, share),
    st.integers(0, 2**32 - 1),
    st.integers(1, 90),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.3, 0.9, 1.0]),
)
DAYS = st.sampled_from([0.05, 0.7, 2.0, 5.0, 20.0, 400.0])
SIDES = st.sampled_from(["both", "past"])
ALL = {
    "exponential": lambda v, days, side: filters.exponential_filter(v, days),
    "antecedent": lambda v, days, side: filters.antecedent(v, days),
    "other": filters.other_days,
    "distance": lambda v, days, side: filters.distance(v, side),
}


def gappy(rng, days, cells, share):
    values = rng.normal(0.3, 0.1, (days, cells)).astype("f4")
    values[rng.random(values.shape) < share] = np.nan
    return values


def weighted(values, weights):
    """Mean over days by a matrix of weights (of a day, of another)."""
    visible_days = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return (weights @ np.where(visible_days, values, 0).astype("f8")) / (weights @ visible_days.astype("f8"))


def lags(values):
    """Days from a day (row) back to another (column)."""
    day = np.arange(len(values))
    return day[:, None] - day


@given(SERIES, DAYS)
@settings(max_examples=60, deadline=None)
def test_exponential_filter_is_the_weighted_mean_of_the_past(values, days):
    """Albergel et al. 2008, equation 1, with weights scaled to the last observed day so that none vanishes."""
    back, observed = lags(values), np.isfinite(values)
    last = np.maximum.accumulate(np.where(observed, np.arange(len(values))[:, None], -1), 0)
    for c in range(values.shape[1]):
        since = last[:, c, None] - np.arange(len(values))
        weights = np.where((back >= 0) & (since >= 0), np.exp(-np.maximum(since, 0) / days), 0)
        np.testing.assert_allclose(
            filters.exponential_filter(values, days)[:, c], weighted(values[:, [c]], weights)[:, 0], rtol=2e-6
        )


def test_exponential_filter_is_that_of_the_gains():
    """The recursion as published, day by day, at observed days."""
    values, days = gappy(np.random.default_rng(1), 400, 4, 0.5), 5.0
    result = filters.exponential_filter(values, days)
    for c in range(4):
        gain, mean, last = 1.0, None, 0
        for t in np.flatnonzero(np.isfinite(values[:, c])):
            if mean is None:
                mean = float(values[t, c])
            else:
                gain = gain / (gain + np.exp(-(t - last) / days))
                mean = mean + gain * (values[t, c] - mean)
            last = t
            assert result[t, c] == pytest.approx(mean, rel=1e-6)


@given(SERIES, DAYS)
@settings(max_examples=40, deadline=None)
def test_antecedent_sums_the_past(values, days):
    back = lags(values)
    weights = np.where(back >= 0, np.exp(-np.maximum(back, 0) / days), 0)
    expected = weights @ np.nan_to_num(values.astype("f8"))
    np.testing.assert_allclose(filters.antecedent(values, days), expected, rtol=1e-5, atol=1e-7)


@given(SERIES, DAYS, SIDES)
@settings(max_examples=80, deadline=None)
def test_other_days_leave_the_day_out(values, days, side):
    back = lags(values)
    apart = np.where(back == 0, np.inf, abs(back)) if side == "both" else np.where(back <= 0, np.inf, back)
    for c in range(values.shape[1]):
        away = np.where(np.isfinite(values[:, c]), apart, np.inf)
        nearest = away.min(1, keepdims=True)
        with np.errstate(invalid="ignore"):
            weights = np.where(np.isfinite(away), np.exp(-(away - nearest) / days), 0)
        np.testing.assert_allclose(
            filters.other_days(values, days, side)[:, c], weighted(values[:, [c]], weights)[:, 0], rtol=2e-6
        )
        np.testing.assert_array_equal(filters.distance(values, side)[:, c], np.minimum(nearest[:, 0], 60))


@given(SERIES, DAYS, SIDES, st.data())
@settings(max_examples=80, deadline=None)
def test_other_days_are_the_same_to_the_bit_whatever_the_day_says(values, days, side, data):
    t = data.draw(st.integers(0, len(values) - 1))
    changed = values.copy()
    changed[t] = data.draw(st.sampled_from([np.nan, np.inf, 0.0, -1e30, 0.31]))
    for name in ("other", "distance"):
        one, two = (ALL[name](v, days, side)[t] for v in (values, changed))
        assert one.tobytes() == two.tobytes()
    later = values.copy()
    later[t:] = changed[t]
    assert ALL["other"](values, days, "past")[t].tobytes() == ALL["other"](later, days, "past")[t].tobytes()


CONTINUED = {
    "exponential": filters.exponential_filter,
    "antecedent": filters.antecedent,
    "other": lambda v, days, state: filters.other_days(v, days, "past", state),
    "distance": lambda v, days, state: filters.distance(v, "past", state),
}


@pytest.mark.parametrize("name", CONTINUED)
@settings(max_examples=40, deadline=None)
@given(values=SERIES, days=DAYS, data=st.data())
def test_a_filter_that_continues_gives_the_whole_series_to_the_bit(name, values, days, data):
    whole = CONTINUED[name](values, days, None)
    cuts = data.draw(st.lists(st.integers(0, len(values)), max_size=6).map(sorted))
    state = recursive.new_state(values.shape[1])
    parts = [CONTINUED[name](part, days, state) for part in np.split(values, cuts)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("side", ["both", "past"])
def test_cells_do_not_depend_on_their_neighbours(name, side):
    """Also beyond the cells that are filtered at once, and whatever the layout in memory."""
    values = gappy(np.random.default_rng(2), 50, 2 * recursive.CELLS + 3, 0.5)
    whole = ALL[name](values, 3.0, side)
    for cells in (slice(0, 1), slice(7, 300), slice(recursive.CELLS, None, 5)):
        assert ALL[name](values[:, cells], 3.0, side).tobytes() == whole[:, cells].tobytes()
    assert ALL[name](np.asfortranarray(values), 3.0, side).tobytes() == whole.tobytes()


def test_long_gaps_are_bridged():
    """Weights of exp(-4000) vanish; the mean of the nearest observations does not."""
    values = np.full((4001, 1), np.nan, "f4")
    values[[0, 1, 4000]] = [[0.1], [0.2], [0.4]]
    mean = filters.other_days(values, 0.5)
    np.testing.assert_allclose(mean[[500, 1999, 3000, 4000], 0], [0.188, 0.188, 0.4, 0.188], atol=1e-3)
    assert np.isfinite(mean).all() and np.isfinite(filters.exponential_filter(values, 0.5)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 5, 9]))
@settings(max_examples=40, deadline=None)
def test_neighbours_leave_the_cell_out(seed, rows, columns, cells):
    values = gappy(np.random.default_rng(seed), 2 * rows, columns, 0.4).reshape(2, rows, columns)
    around = np.ones((cells, cells))
    around[cells // 2, cells // 2] = 0
    valid = np.isfinite(values)
    for result, frame, known in zip(filters.neighbour_mean(values, cells), values, valid, strict=True):
        total = correlate(np.where(known, frame, 0).astype("f8"), around, mode="constant")
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(
                result, total / correlate(known.astype("f8"), around, mode="constant"), rtol=1e-5
            )


@given(SERIES, st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_day_mean_is_that_of_the_days_in_use(values, seed):
    use = np.random.default_rng(seed).random(len(values)) < 0.6
    training_days = np.where(use[:, None], values, np.nan).astype("f8")
    with np.errstate(invalid="ignore"):
        expected = np.nansum(training_days, 0) / np.isfinite(training_days).sum(0)
    np.testing.assert_allclose(filters.day_mean(values, use), expected, rtol=1e-6)
