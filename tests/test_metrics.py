from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

import xsm
from xsm import DataError
from xsm.validation import metrics


def series(seed: int, shape: tuple[int, ...] = (4, 200), gaps: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.uniform(0.05, 0.4, shape)
    x = 0.7 * y + rng.normal(0.05, 0.03, shape)
    x[rng.random(shape) < gaps] = np.nan
    y[rng.random(shape) < gaps] = np.nan
    return x, y


def test_equal_to_pytesmo() -> None:
    theirs = pytest.importorskip("pytesmo.metrics", reason="pytesmo is not installed")
    x, y = series(1)
    for i in range(len(x)):
        both = np.isfinite(x[i]) & np.isfinite(y[i])
        a, b = x[i][both], y[i][both]
        expected = {
            metrics.pearson: theirs.pearson_r(a, b),
            metrics.spearman: theirs.spearman_r(a, b),
            metrics.rmse: theirs.rmsd(a, b),
            metrics.ubrmse: theirs.ubrmsd(a, b),
            metrics.bias: theirs.bias(a, b),
        }
        for ours, value in expected.items():
            assert ours(x, y)[i] == pytest.approx(value, abs=1e-10), ours.__name__
        low, high = theirs.pairwise.pearson_r_ci(a, b, theirs.pearson_r(a, b), alpha=0.05)
        ours_low, ours_high = metrics.fisher(metrics.pearson(x[i], y[i]), both.sum())
        assert (ours_low, ours_high) == pytest.approx((low, high), abs=1e-10)


@pytest.mark.parametrize("n", [3, 4, 10, 365])
def test_p_value_is_that_of_scipy(n: int) -> None:
    x, y = series(n, (n,), gaps=0)
    expected = stats.pearsonr(x, y)
    assert metrics.p_value(metrics.pearson(x, y), n) == pytest.approx(expected.pvalue, rel=1e-9)


@given(
    hnp.arrays(
        "f8",
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.one_of(st.floats(-1, 1), st.sampled_from([np.nan, -0.0, 0.0, 0.25, 1e9, -1e9, np.inf, -np.inf])),
    )
)
@settings(max_examples=200, deadline=None)
def test_ranks_are_those_of_scipy(values: np.ndarray) -> None:
    from xsm.validation.pair_loops import ranks

    out = np.empty(values.shape)
    ranks(values, out)
    np.testing.assert_array_equal(out, stats.rankdata(values, axis=-1, nan_policy="omit"))


@pytest.mark.parametrize("scale", [1.0, 5e-324, 1e-310, 1e307])
@pytest.mark.parametrize("odd", [1e9, np.inf, -np.inf, np.nan, 0.5])
def test_ranks_of_series_that_fill_one_bucket(scale: float, odd: float) -> None:
    from xsm.validation.pair_loops import ranks

    values = np.random.default_rng(0).uniform(0, 1, (3, 3000)) * scale
    values[1] = np.round(np.random.default_rng(1).uniform(-9, 9, 3000)) * scale  # numbers next to each other
    values[:, 7] = odd  # one far away puts everything else into one bucket: sorted another way
    values[2, 9:40] = np.nan
    out = np.empty(values.shape)
    ranks(values, out)
    np.testing.assert_array_equal(out, stats.rankdata(values, axis=-1, nan_policy="omit"))


def test_kling_gupta_efficiency_word_by_word() -> None:
    x, y = series(2)
    for i in range(len(x)):
        both = np.isfinite(x[i]) & np.isfinite(y[i])
        a, b = x[i][both], y[i][both]
        terms = np.corrcoef(a, b)[0, 1], a.std() / b.std(), a.mean() / b.mean()
        expected = 1 - np.sqrt(sum((t - 1) ** 2 for t in terms))
        assert metrics.kge(x, y)[i] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(metrics.kge(np.arange(5.0), np.full(5, 0.3)))


@pytest.mark.parametrize("every", [1, 3])
def test_anomalies_are_those_of_pytesmo(every: int) -> None:
    theirs = pytest.importorskip("pytesmo.time_series.anomaly", reason="pytesmo is not installed")
    x, _ = series(4, (3, 300))
    days = np.arange(0, 300 * every, every)
    index = pd.DatetimeIndex(np.datetime64("2019-01-01") + days)
    ours = metrics.anomalies(x, days)
    for i in range(len(x)):
        expected = theirs.calc_anomaly(pd.Series(x[i], index), window_size=35)
        np.testing.assert_allclose(ours[i], expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(metrics.anomalies(x), metrics.anomalies(x, np.arange(300)))


def test_triple_collocation_is_that_of_pytesmo() -> None:
    theirs = pytest.importorskip("pytesmo.metrics", reason="pytesmo is not installed")
    rng = np.random.default_rng(9)
    truth = 0.25 + 0.05 * rng.normal(size=(4, 500))
    spreads, factors = (0.02, 0.03, 0.04), (1.0, 0.6, 1.3)
    x, y, z = (k * truth + rng.normal(0, s, truth.shape) for s, k in zip(spreads, factors, strict=True))
    z[rng.random(z.shape) < 0.2] = np.nan
    errors = metrics.triple_collocation(x, y, z)
    for i in range(len(x)):
        known = np.isfinite(z[i])
        snr, scaled, scale = theirs.tcol_metrics(x[i][known], y[i][known], z[i][known])
        np.testing.assert_allclose(errors["snr"][:, i], snr, rtol=0, atol=1e-10)
        np.testing.assert_allclose(errors["error_std_scaled"][:, i], scaled, rtol=0, atol=1e-10)
        np.testing.assert_allclose(errors["scale"][:, i], scale, rtol=0, atol=1e-10)
    # 500 days: an error of 0.02 to 0.04 is known to about a tenth
    np.testing.assert_allclose(errors["error_std"].mean(1), spreads, rtol=0.15)
    expected = [0.05 * k / np.hypot(0.05 * k, s) for s, k in zip(spreads, factors, strict=True)]
    np.testing.assert_allclose(errors["r_truth"].mean(1), expected, atol=0.03)


@pytest.mark.filterwarnings("error")
def test_triple_collocation_without_a_common_signal_has_no_errors() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    errors = metrics.triple_collocation(x, -x + rng.normal(0, 0.1, 300), rng.normal(size=300))
    assert all(np.isnan(value).all() for value in errors.values())
    assert np.isnan(metrics.triple_collocation(x, x, np.full(300, np.nan))["snr"]).all()


def test_bootstrap_of_several_statistics_keeps_the_memory() -> None:
    rng = np.random.default_rng(2)
    x = ar1(rng, 0.9, (30, 400))
    means = [metrics.bootstrap(lambda a: a.mean(-1), x, block=block) for block in (1, 60)]
    inside = [((low < 0) & (high > 0)).mean() for low, high in means]
    # the mean of 400 days with that memory is worth 21 days: single days give a far too narrow interval
    assert inside[0] < 0.7 < inside[1]
    low, high = metrics.bootstrap(lambda a, b: np.stack([metrics.bias(a, b), metrics.rmse(a, b)]), x, x + 1, draws=50)
    assert low.shape == high.shape == (2, 30)
    np.testing.assert_allclose(low, [[-1] * 30, [1] * 30])


def test_bootstrap_of_a_short_series_is_no_rotation_of_it() -> None:
    x = ar1(np.random.default_rng(3), 0.5, (200, 30))
    low, high = metrics.bootstrap(lambda a: a.mean(-1), x, draws=200)
    # blocks as long as the series would give the mean itself; 95 percent wanted, few blocks are somewhat short
    assert 0.75 < ((low < 0) & (high > 0)).mean() <= 1


def test_gaps_are_left_out_in_pairs() -> None:
    x = np.array([0.1, np.nan, 0.3, 0.2, np.inf])
    y = np.array([0.2, 0.9, 0.3, np.nan, 0.1])
    assert metrics.scores(x, y)["n"] == 2
    assert metrics.bias(x, y) == pytest.approx(-0.05)
    assert metrics.rmse(x, y) == pytest.approx(np.sqrt(0.005))


@pytest.mark.filterwarnings("error")
def test_empty_and_constant_series_have_no_correlation() -> None:
    nothing = np.full((2, 5), np.nan)
    empty = metrics.scores(nothing, nothing)
    assert (empty.pop("n") == 0).all() and (empty.pop("n_eff") == 0).all()
    assert all(np.isnan(value).all() for value in empty.values())
    constant = metrics.scores(np.full(50, 0.3, "f4"), np.linspace(0.1, 0.4, 50))
    assert np.isnan(constant["r"]) and np.isnan(constant["spearman"]) and np.isfinite(constant["rmse"])
    assert np.isnan(metrics.pearson(np.zeros((3, 0)), np.zeros((3, 0)))).all()


@given(
    hnp.arrays("f8", (2, 3, 12), elements=st.one_of(st.floats(0, 1).map(lambda v: round(v, 3)), st.just(np.nan))),
    st.floats(-0.5, 0.5),
)
@settings(max_examples=60, deadline=None)
def test_identities(xy: np.ndarray, shift: float) -> None:
    x, y = xy
    assert np.allclose(metrics.rmse(x, y) ** 2, metrics.bias(x, y) ** 2 + metrics.ubrmse(x, y) ** 2, equal_nan=True)
    assert np.allclose(metrics.ubrmse(x + shift, y), metrics.ubrmse(x, y), equal_nan=True, atol=1e-12)
    assert np.allclose(metrics.bias(x, y), -metrics.bias(y, x), equal_nan=True, atol=1e-12)
    r = metrics.pearson(x, y)
    assert not (np.abs(r) > 1).any()
    assert (metrics.n_effective(x, y) <= metrics.scores(x, y)["n"]).all()


def ar1(rng: np.random.Generator, memory: float, shape: tuple[int, int]) -> np.ndarray:
    noise = rng.normal(size=shape)
    for t in range(1, shape[1]):
        noise[:, t] = memory * noise[:, t - 1] + np.sqrt(1 - memory**2) * noise[:, t]
    return noise


def test_effective_number_makes_p_values_honest() -> None:
    """Unrelated series with a memory: p < 0.05 must come up near 5 percent, not in most of them."""
    rng = np.random.default_rng(0)
    x, y = ar1(rng, 0.9, (400, 365)), ar1(rng, 0.9, (400, 365))
    r = metrics.pearson(x, y)
    naive = (metrics.p_value(r, 365) < 0.05).mean()
    honest = (metrics.p_value(r, metrics.n_effective(x, y)) < 0.05).mean()
    # 400 draws: standard error of 5 percent is 1.1; the lag-one estimate itself is a little too sure
    assert naive > 0.4
    assert honest < 0.10


def test_bootstrap_is_seeded_and_agrees_with_fisher_on_independent_pairs() -> None:
    x, y = series(3, (300,), gaps=0.1)
    first = metrics.bootstrap(metrics.pearson, x, y, block=1, seed=7)
    assert first == metrics.bootstrap(metrics.pearson, x, y, block=1, seed=7)
    assert first != metrics.bootstrap(metrics.pearson, x, y, block=1, seed=8)
    # percentiles of 1000 draws scatter by about 0.01
    assert first == pytest.approx(metrics.fisher(metrics.pearson(x, y), metrics.scores(x, y)["n"]), abs=0.03)


def test_intervals_hold_the_true_correlation() -> None:
    rng = np.random.default_rng(5)
    y = ar1(rng, 0.8, (200, 300))
    x = 0.6 * y + 0.8 * ar1(rng, 0.8, (200, 300))
    low, high = (metrics.scores(x, y)[n] for n in ("r_low", "r_high"))
    assert 0.88 < ((low < 0.6) & (high > 0.6)).mean() <= 1  # 95 percent wanted, standard error 1.5
    low, high = metrics.bootstrap(metrics.pearson, x[:40], y[:40], draws=200)
    assert ((low < 0.6) & (high > 0.6)).mean() > 0.75  # 40 series; percentile blocks are a little short


def test_bad_input_is_told() -> None:
    with pytest.raises(DataError, match="cannot be paired"):
        metrics.rmse(np.zeros(3), np.zeros(4))


def test_real_series_are_scored_as_by_pytesmo() -> None:
    """SCAN Waimea Plain against GLDAS Noah and itself at 10 cm, hourly, 2017 and 2018."""
    root = os.environ.get("XSM_TEST_DATA")
    if not root:
        pytest.skip("XSM_TEST_DATA is not set (real files of the agencies)")
    theirs = pytest.importorskip("pytesmo.metrics", reason="pytesmo is not installed")
    pytest.importorskip("xsm_insitu")
    stations = xsm.open("ismn", Path(root) / "insitu/ismn/SCAN/WaimeaPlain", time="2017-01-01/2018-12-31")
    five, ten = (stations["soil_moisture"].values[i].astype("f8") for i in (0, 3))
    with xr.open_dataset(Path(root) / "gldas_noah/hawaii_0165.nc") as gldas:
        water = gldas["SoilMoi0_10cm_inst"].isel(locations=12).to_series() / 100
    noah = water.reindex(stations["time"].values).to_numpy()
    both = np.isfinite(five) & np.isfinite(ten) & np.isfinite(noah)
    assert both.sum() > 4000
    for x in (noah, ten):
        a, b = x[both], five[both]
        expected = {"r": theirs.pearson_r(a, b), "spearman": theirs.spearman_r(a, b), "rmse": theirs.rmsd(a, b),
                    "bias": theirs.bias(a, b), "ubrmse": theirs.ubrmsd(a, b)}  # fmt: skip
        scores = metrics.scores(np.where(both, x, np.nan), five)
        assert {k: float(scores[k]) for k in expected} == pytest.approx(expected, abs=1e-10)
    snr, scaled, scale = theirs.tcol_metrics(noah[both], ten[both], five[both])
    triple = metrics.triple_collocation(noah, ten, five)
    for name, value in (("snr", snr), ("error_std_scaled", scaled), ("scale", scale)):
        np.testing.assert_allclose(triple[name], np.where(np.isnan(triple["snr"]), np.nan, value), rtol=0, atol=1e-10)
