"""Equation 8 against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from xsm_convlstm.config import Config
from xsm_convlstm.loss import PAIRS, equation8, error_sums, pair_sums, rmse, signed_r2, spread_nll


def fields(seed: int, shape=(1, 40, 4, 3), sign: float = 1.0):
    rng = np.random.default_rng(seed)
    out = 0.25 + 0.08 * rng.normal(size=shape)
    noah = out + 0.05 + 0.03 * rng.normal(size=shape)
    dca = 0.3 + sign * (out - 0.25) + 0.06 * rng.normal(size=shape)
    noah[rng.random(shape) < 0.1] = np.nan
    dca[rng.random(shape) < 0.6] = np.nan
    return out.astype(np.float32), noah.astype(np.float32), dca.astype(np.float32)


def r_abs_r(a, b):
    ok = np.isfinite(b)
    r = np.corrcoef(a[ok].astype(float), b[ok].astype(float))[0, 1]
    return r * abs(r)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_batch_loss_is_equation_8(sign):
    out, noah, dca = fields(0, sign=sign)
    ok = np.isfinite(noah)
    expected = 0.7 * np.sqrt(np.mean((out - noah)[ok].astype(float) ** 2)) + 1.3 * (1 - r_abs_r(out, dca))
    tensors = torch.from_numpy(out), (torch.from_numpy(noah), torch.from_numpy(dca))
    loss = equation8(*tensors, Config(alpha=0.7, beta=1.3))
    assert loss.item() == pytest.approx(expected, abs=1e-6)  # float32 differences inside, float64 sums


def test_cell_loss_is_the_mean_temporal_r():
    out, noah, dca = fields(1)
    dca[:, :, 0, 0] = np.nan
    dca[0, : PAIRS - 1, 0, 0] = 0.2  # one date too few: this cell does not count
    r2 = [r_abs_r(out[0, :, y, x], dca[0, :, y, x]) for y in range(4) for x in range(3) if (y, x) != (0, 0)]
    config = Config(alpha=0.0, r2_over="cell", batch_size=40)
    loss = equation8(torch.from_numpy(out), (torch.from_numpy(noah), torch.from_numpy(dca)), config)
    assert loss.item() == pytest.approx(1 - np.mean(r2), abs=1e-6)


def test_subsurface_is_rmse_and_optionally_r_of_one_reference():
    out, noah, _ = fields(2)
    tensors = torch.from_numpy(out), (torch.from_numpy(noah),)
    alone = equation8(*tensors, Config()).item()
    both = equation8(*tensors, Config(beta25=1.0)).item()
    assert alone == pytest.approx(np.sqrt(np.nanmean((out - noah).astype(float) ** 2)), abs=1e-6)
    assert both - alone == pytest.approx(1 - r_abs_r(out, noah), abs=1e-6)


def test_nothing_observed_gives_no_gradient_and_no_nan():
    out = torch.full((1, 2, 3, 3), 0.3, requires_grad=True)
    none = torch.full((1, 2, 3, 3), torch.nan)
    for over in ("batch", "cell"):
        loss = equation8(out, (none, none), Config(r2_over=over, batch_size=32))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.equal(out.grad, torch.zeros_like(out))


def test_constant_output_has_a_finite_gradient():
    out = torch.full((1, 2, 3, 3), 0.3, requires_grad=True)
    reference = torch.rand(1, 2, 3, 3)
    equation8(out, (reference, reference), Config()).backward()
    assert torch.isfinite(out.grad).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 39))
def test_sums_of_parts_are_the_sums_of_the_whole(seed, cut):
    """Several processes may add their sums: RMSE and R are those of the whole batch."""
    out, noah, dca = map(torch.from_numpy, fields(seed))
    parts = slice(None, cut), slice(cut, None)
    errors = sum(error_sums(out[:, p], noah[:, p]) for p in parts)
    assert rmse(errors).item() == pytest.approx(rmse(error_sums(out, noah)).item(), rel=1e-12)
    for over in ("batch", "cell"):
        pairs = sum(pair_sums(out[:, p], dca[:, p], over) for p in parts)
        whole = signed_r2(pair_sums(out, dca, over), over).item()
        assert signed_r2(pairs, over).item() == pytest.approx(whole, abs=1e-9)


def test_spread_term_is_least_at_the_residuals_spread():
    residual = torch.randn(20000, generator=torch.Generator().manual_seed(0)) * 0.04
    residual[::7] = torch.nan
    losses = {s: spread_nll(torch.full_like(residual, s), residual).item() for s in (0.03, 0.04, 0.05)}
    assert min(losses, key=losses.get) == 0.04
