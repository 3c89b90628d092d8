"""The bank against a dense Gaussian process and against Kalman and Rauch-Tung-Striebel recursions in numpy, float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from xsm_cru.bank import filter_bank, smooth_bank
from xsm_cru.config import Config
from xsm_cru.features import cycle
from xsm_cru.network import BankUnit, solve
from xsm_cru.tensors import Inputs

EXACT = 1e-8


def _case(seed: int, modes: int, days: int, density: float):
    rng = np.random.default_rng(seed)
    observed = rng.random(days) < density
    observed[days // 3 : days // 3 + days // 5] = False
    observed[0] = True
    return (
        np.where(observed, rng.standard_normal(days), 0.0), observed, rng.uniform(0.05, 0.5, days),
        1 / np.geomspace(2, 200, modes), rng.uniform(0.2, 1.0, modes),
        np.r_[1.0, rng.choice([0.1, 1, 3, 46, 169], days - 1)],
    )  # fmt: skip


def _run(y, observed, noise, rates, variances, steps):
    t = lambda a: torch.tensor(np.asarray(a))  # noqa: E731
    return filter_bank(
        t(y)[:, None, None], t(observed)[:, None], t(noise)[:, None], t(rates)[:, None], t(variances)[:, None], t(steps)
    )


def _dense(y, observed, noise, rates, variances, steps):
    """Gaussian-process posterior mean and variance by one matrix inversion."""
    time = np.cumsum(steps)
    lag = np.abs(time[:, None] - time)
    cov = sum(v * np.exp(-r * lag) for r, v in zip(rates, variances, strict=True))
    gram = cov[np.ix_(observed, observed)] + np.diag(noise[observed])
    gain = np.linalg.solve(gram, cov[observed]).T
    return gain @ y[observed], np.diag(cov - gain @ cov[observed])


def _kalman(y, observed, noise, rates, variances, steps):
    """Textbook filter (means, covariances, predictions) and Rauch-Tung-Striebel smoother."""
    m, h = np.zeros(len(rates)), np.ones(len(rates))
    p = np.diag(variances)
    filtered, ahead, moves = [], [], []
    for t in range(len(y)):
        f = np.diag(np.exp(-rates * steps[t]))
        if t:
            m, p = f @ m, f @ p @ f.T + np.diag(variances * -np.expm1(-2 * rates * steps[t]))
        ahead.append((m, p))
        moves.append(f)
        if observed[t]:
            k = p @ h / (h @ p @ h + noise[t])
            m, p = m + k * (y[t] - h @ m), p - np.outer(k, h @ p)
        filtered.append((m, p))
    smoothed = [filtered[-1]]
    for t in reversed(range(len(y) - 1)):
        (m, p), (ma, pa), (ms, ps) = filtered[t], ahead[t + 1], smoothed[0]
        j = p @ moves[t + 1].T @ np.linalg.inv(pa)
        smoothed.insert(0, (m + j @ (ms - ma), p + j @ (ps - pa) @ j.T))
    return filtered, smoothed


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), modes=st.integers(1, 4), density=st.floats(0.05, 1))
def test_smoother_is_the_dense_gaussian_process(seed: int, modes: int, density: float) -> None:
    case = _case(seed, modes, 50, density)
    mean, variance = smooth_bank(_run(*case))
    want_mean, want_variance = _dense(*case)
    np.testing.assert_allclose(mean.sum(2)[:, 0, 0], want_mean, atol=EXACT)
    np.testing.assert_allclose(variance[:, 0], want_variance, atol=EXACT)


@pytest.mark.parametrize("modes", [1, 2, 4])
def test_filter_and_smoother_are_kalman_and_rts(modes: int) -> None:
    case = _case(3, modes, 80, 0.4)
    run = _run(*case)
    filtered, smoothed = _kalman(*case)
    np.testing.assert_allclose(run.mean[:, 0, :, 0], [m for m, _ in filtered], atol=EXACT)
    np.testing.assert_allclose(run.variance[:, 0], [p.sum() for _, p in filtered], atol=EXACT)
    mean, variance = smooth_bank(run)
    np.testing.assert_allclose(mean[:, 0, :, 0], [m for m, _ in smoothed], atol=EXACT)
    np.testing.assert_allclose(variance[:, 0], [p.sum() for _, p in smoothed], atol=EXACT)


def test_regression_in_the_bank_is_the_gaussian_process_with_a_linear_kernel() -> None:
    y, observed, noise, rates, variances, steps = _case(5, 2, 60, 0.5)
    rng = np.random.default_rng(1)
    design, prior, scale = rng.standard_normal((60, 3)), rng.standard_normal(3), rng.uniform(0.5, 2, 3)
    t = torch.tensor
    run = filter_bank(
        t(np.c_[y, design])[:, :, None], t(observed)[:, None], t(noise)[:, None], t(rates)[:, None],
        t(variances)[:, None], t(steps),
    )  # fmt: skip
    gram = torch.einsum("tpc,tqc->cpq", run.innovation * run.precision[:, None], run.innovation)
    weights, cholesky, _ = solve(gram, t(observed).sum()[None], t(prior)[None], t(1 / scale))
    mean, variance = (x.numpy() for x in smooth_bank(run))
    w = weights[0].numpy()
    time = np.cumsum(steps)
    cov = sum(v * np.exp(-r * np.abs(time[:, None] - time)) for r, v in zip(rates, variances, strict=True))
    cov = cov + design * scale @ design.T
    gain = np.linalg.solve(cov[np.ix_(observed, observed)] + np.diag(noise[observed]), cov[observed]).T
    want = design @ prior + gain @ (y - design @ prior)[observed]
    left = design - mean[:, 1:, :, 0].sum(2)
    np.testing.assert_allclose(design @ w + mean[:, 0, :, 0].sum(1) - mean[:, 1:, :, 0].sum(2) @ w, want, atol=EXACT)
    doubt = (np.linalg.solve(cholesky[0].numpy(), left.T) ** 2).sum(0)
    np.testing.assert_allclose(variance[:, 0] + doubt, np.diag(cov - gain @ cov[observed]), atol=EXACT)


def test_float32_stays_sound_over_169_days_without_observation() -> None:
    days = 400
    observed = torch.ones(days, 1, dtype=torch.bool)
    observed[100:269] = False
    y = torch.where(observed, torch.randn(days, 1, generator=torch.manual_seed(0)), 0.0)
    args = torch.full((1, 1), 0.1), torch.tensor([[1 / 8], [1 / 60]]), torch.full((2, 1), 0.5)
    mean, variance = smooth_bank(filter_bank(y[:, None], observed, *args))
    exact_mean, exact_variance = smooth_bank(filter_bank(y.double()[:, None], observed, *(a.double() for a in args)))
    assert (variance > 0.01).all() and variance[180] > 0.9
    # float32 carries 7 digits; 400 recursions may lose two of them
    np.testing.assert_allclose(mean, exact_mean, atol=2e-5)
    np.testing.assert_allclose(variance, exact_variance, atol=2e-5)


@pytest.mark.parametrize("mode", ["smoother", "filter"])
@pytest.mark.parametrize(("season", "revisit", "modes"), [(2, 8, 2), (0, 0, 3), (1, 3, 1)])
def test_compiled_kernel_equals_the_tensors(mode: str, season: int, revisit: int, modes: int) -> None:
    generator = torch.manual_seed(season + modes)
    config = Config(mode=mode, season=season, revisit=revisit, modes=modes)
    unit = BankUnit(config, 1, 1, 1)
    for parameter in unit.parameters():  # networks start at zero effect; here they must have one
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    days, cells = 150, 7
    observed = torch.rand(days, cells, generator=generator) < torch.linspace(0, 0.8, cells)
    observed[60:100] = False
    observed[5, 0] = True
    values = torch.where(observed, 0.2 + 0.05 * torch.randn(days, cells, generator=generator), 0.0)
    covariates = torch.rand(2, days, 1, cells, generator=generator)
    season_of = torch.tensor(cycle(np.datetime64("2020-03-01") + np.arange(days), season))
    inputs = Inputs(values, observed, covariates[0], covariates[1], torch.ones(1, cells), season_of)
    unit.learn_scales(inputs)
    slow = unit.latents(inputs)
    with torch.no_grad():
        fast = unit.latents(inputs)
    for name in ("linear", "spread", "size", "read"):
        # the tensors sum in float32, the kernel in float64
        want = getattr(slow, name).detach().expand_as(getattr(fast, name))
        np.testing.assert_allclose(getattr(fast, name), want, rtol=2e-3, atol=2e-3)
