from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from xsm import DataError, metrics


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
        ours_low, ours_high = metrics.r_interval(x[i], y[i], n=both.sum())
        assert (ours_low, ours_high) == pytest.approx((low, high), abs=1e-10)


@pytest.mark.parametrize("n", [3, 4, 10, 365])
def test_p_value_is_that_of_scipy(n: int) -> None:
    x, y = series(n, (n,), gaps=0)
    expected = stats.pearsonr(x, y)
    assert metrics.p_value(metrics.pearson(x, y), n) == pytest.approx(expected.pvalue, rel=1e-9)


def test_gaps_are_left_out_in_pairs() -> None:
    x = np.array([0.1, np.nan, 0.3, 0.2, np.inf])
    y = np.array([0.2, 0.9, 0.3, np.nan, 0.1])
    assert metrics.n_pairs(x, y) == 2
    assert metrics.bias(x, y) == pytest.approx(-0.05)
    assert metrics.rmse(x, y) == pytest.approx(np.sqrt(0.005))


@pytest.mark.filterwarnings("error")
def test_empty_and_constant_series_have_no_correlation() -> None:
    nothing = np.full((2, 5), np.nan)
    told = metrics.scores(nothing, nothing)
    assert (told.pop("n") == 0).all() and (told.pop("n_eff") == 0).all()
    assert all(np.isnan(value).all() for value in told.values())
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
    assert (metrics.n_effective(x, y) <= metrics.n_pairs(x, y)).all()


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
    first = metrics.r_interval(x, y, method="bootstrap", block=1, seed=7)
    assert first == metrics.r_interval(x, y, method="bootstrap", block=1, seed=7)
    assert first != metrics.r_interval(x, y, method="bootstrap", block=1, seed=8)
    # percentiles of 1000 draws scatter by about 0.01
    assert first == pytest.approx(metrics.r_interval(x, y, n=metrics.n_pairs(x, y)), abs=0.03)


def test_intervals_hold_the_true_correlation() -> None:
    rng = np.random.default_rng(5)
    y = ar1(rng, 0.8, (200, 300))
    x = 0.6 * y + 0.8 * ar1(rng, 0.8, (200, 300))
    low, high = metrics.r_interval(x, y)
    assert 0.88 < ((low < 0.6) & (high > 0.6)).mean() <= 1  # 95 percent wanted, standard error 1.5
    low, high = metrics.r_interval(x[:40], y[:40], method="bootstrap", draws=200)
    assert ((low < 0.6) & (high > 0.6)).mean() > 0.75  # 40 series; percentile blocks are a little short


def test_bad_input_is_told() -> None:
    with pytest.raises(DataError, match="cannot be paired"):
        metrics.rmse(np.zeros(3), np.zeros(4))
    with pytest.raises(DataError, match="between 0 and 1"):
        metrics.r_interval([1.0, 2], [1.0, 2], level=95)
