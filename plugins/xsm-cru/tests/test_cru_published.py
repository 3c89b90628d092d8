"""The published cell: against an independent dense Kalman filter where it is exact, with its error where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from xsm_cru.published import dense, noise_integral, smooth_step, symmetrised, transition, update

D = 3


def _basis(twist: float) -> torch.Tensor:
    eye = torch.eye(D, dtype=torch.float64)
    pairs = torch.cat([torch.cat([eye, eye], 1), torch.cat([eye, -eye], 1)]) / np.sqrt(2)
    skew = twist * torch.randn(2 * D, 2 * D, generator=torch.manual_seed(1), dtype=torch.float64)
    return pairs @ torch.linalg.matrix_exp(skew - skew.T)


def _series(twist: float, days: int = 120):
    rng = np.random.default_rng(4)
    return {
        "basis": _basis(twist), "rates": 1 / torch.tensor(np.geomspace(3, 60, 2 * D))[None],
        "diffusion": torch.tensor(rng.uniform(0.05, 0.2, 2 * D)),
        "y": torch.tensor(rng.standard_normal((days, 1, D))),
        "noise": torch.tensor(rng.uniform(0.1, 0.4, (days, 1, D))),
        "observed": torch.tensor(rng.random((days, 1)) < 0.4),
    }  # fmt: skip


def _unit(case):
    mean = torch.zeros(1, 2 * D, dtype=torch.float64)
    one = torch.ones(1, D, dtype=torch.float64)
    cov = (one, 0 * one, one)
    move, added = (
        transition(case["basis"], case["rates"], 1.0),
        noise_integral(case["basis"], case["rates"], case["diffusion"], 1.0),
    )
    ahead, kept = [], []
    for t in range(len(case["y"])):
        if t:
            mean = (move @ mean[..., None])[..., 0]
            cov = symmetrised(move @ dense(cov) @ move.transpose(1, 2) + added)
        ahead.append((mean, cov))
        mean, cov = update(mean, cov, case["y"][t], case["noise"][t], case["observed"][t])
        kept.append((mean, cov))
    smoothed = list(kept)
    for t in reversed(range(len(kept) - 1)):
        smoothed[t] = smooth_step(*kept[t], ahead[t + 1], smoothed[t + 1], move)
    return kept, smoothed


def _reference(case):
    a = (case["basis"] * -case["rates"]) @ case["basis"].T
    a, q = a.squeeze(0).numpy(), np.diag(case["diffusion"].numpy())
    loan = expm(np.block([[a, q], [np.zeros_like(a), -a.T]]))
    n = 2 * D
    f = loan[:n, :n]
    added, h = loan[:n, n:] @ f.T, np.eye(D, n)
    m, p = np.zeros(n), np.eye(n)
    filtered, ahead = [], []
    for t in range(len(case["y"])):
        if t:
            m, p = f @ m, f @ p @ f.T + added
        ahead.append((m, p))
        if case["observed"][t, 0]:
            k = p @ h.T @ np.linalg.inv(h @ p @ h.T + np.diag(case["noise"][t, 0].numpy()))
            m, p = m + k @ (case["y"][t, 0].numpy() - h @ m), p - k @ h @ p
        filtered.append((m, p))
    smoothed = [filtered[-1]]
    for t in reversed(range(len(filtered) - 1)):
        (m, p), (ma, pa), (ms, ps) = filtered[t], ahead[t + 1], smoothed[0]
        j = p @ f.T @ np.linalg.inv(pa)
        smoothed.insert(0, (m + j @ (ms - ma), p + j @ (ps - pa) @ j.T))
    return filtered, smoothed


def test_bandwidth_zero_is_exact() -> None:
    case = _series(0.0)
    case["rates"] = torch.cat([case["rates"][:, :D], 2 * case["rates"][:, :D]], 1)
    case["diffusion"] = case["diffusion"][:D].repeat(2)
    for got, want in zip(_unit(case), _reference(case), strict=True):
        np.testing.assert_allclose(torch.cat([m for m, _ in got]), [m for m, _ in want], atol=1e-8)
        np.testing.assert_allclose(torch.cat([dense(c) for _, c in got]), [p for _, p in want], atol=1e-8)


def test_coupled_basis_loses_covariance_and_stays_definite(record_property: pytest.FixtureRequest) -> None:
    case = _series(0.15)
    got, want = _unit(case)[1], _reference(case)[1]
    error = float(np.abs(torch.cat([m for m, _ in got]).numpy() - np.array([m for m, _ in want])).max())
    record_property("largest error of the smoothed mean", error)
    assert 1e-4 < error < 5, "three diagonals are an approximation here, and a bounded one"
    assert all(np.linalg.eigvalsh(dense(c)[0].numpy()).min() > 0 for _, c in got)


@pytest.mark.parametrize("step", [0.1, 3.0, 35.0, 46.0, 169.0])
def test_propagation_over_any_step(step: float) -> None:
    basis, rates = _basis(0.2), 1 / torch.tensor(np.geomspace(1, 60, 2 * D))[None]
    diffusion = torch.full((2 * D,), 0.1, dtype=torch.float64)
    a = ((basis * -rates) @ basis.T).numpy()
    pieces = 2 ** max(0, int(np.ceil(np.log2(2 * step))))
    q = np.diag(diffusion.numpy())
    loan = expm(np.block([[a, q], [np.zeros_like(a), -a.T]]) * step / pieces)
    f = loan[: 2 * D, : 2 * D]
    p = loan[: 2 * D, 2 * D :] @ f.T
    while pieces > 1:  # doubling (documentation: CRU, "The published cell")
        f, p, pieces = f @ f, f @ p @ f.T + p, pieces // 2
    np.testing.assert_allclose(transition(basis, rates, step)[0], f, atol=1e-10)
    np.testing.assert_allclose(noise_integral(basis, rates, diffusion, step)[0], p, atol=1e-10)
    single = noise_integral(basis.float(), rates.float(), diffusion.float(), step)[0]
    np.testing.assert_allclose(single, p, rtol=1e-4, atol=1e-5)
