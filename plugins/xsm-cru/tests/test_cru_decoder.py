"""The decoder: nothing before training, the mean of its members after, no memory of dates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from xsm_cru import layers
from xsm_cru.config import Config
from xsm_cru.layers import Decoder
from xsm_cru.network import BankUnit
from xsm_cru.tensors import Inputs
from xsm_cru.training import merged, train


def member(seed: int) -> Decoder:
    torch.manual_seed(seed)
    net = Decoder(5, 6, 3, 1)
    for value in net.parameters():
        value.data.normal_()
    net.center.fill_(0.3)
    net.spread.fill_(2.0)
    return net


def literal(net: Decoder, x: np.ndarray) -> np.ndarray:
    """Two hidden layers with SiLU, written out."""
    s = {k: v.detach().numpy().astype("f8") for k, v in net.state_dict().items()}

    def silu(z: np.ndarray) -> np.ndarray:
        return z / (1 + np.exp(-z))

    hidden = silu((x - s["center"]) / s["spread"] @ s["first.weight"].T + s["first.bias"])
    return silu(hidden @ s["weight"][0] + s["bias"][0]) @ s["last.weight"].T + s["last.bias"]


def test_a_member_is_two_dense_layers() -> None:
    x = np.random.default_rng(0).standard_normal((7, 4, 5)).astype("f4")
    with torch.no_grad():
        output = member(1)(torch.tensor(x)).numpy()
    np.testing.assert_allclose(output, literal(member(1), x), atol=1e-5)  # float32 against float64


def test_merged_members_give_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [member(k) for k in range(4)]
    one = Decoder(5, 6, 3, 4)
    one.load_state_dict(merged(members))
    x = torch.randn(40, 5)
    with torch.no_grad():
        mean = torch.stack([m(x) for m in members]).mean(0)
        torch.testing.assert_close(one(x), mean, atol=1e-5, rtol=1e-5)
        monkeypatch.setattr(layers, "DECODED", 7)
        torch.testing.assert_close(one(x), mean, atol=1e-5, rtol=1e-5)


def test_an_untrained_decoder_is_silent() -> None:
    assert not Decoder(5, 6, 3, 4)(torch.randn(9, 5)).any()


def test_the_decoder_learns_what_no_gaussian_process_can() -> None:
    """Rain lifts a series at once and it dries slowly: a time-reversible process misses that."""
    rng = np.random.default_rng(0)
    days, cells = 240, 50
    rain = (rng.random((days, cells)) < 0.06) * rng.exponential(1.0, (days, cells))
    wet = np.zeros((days, cells))
    for t in range(1, days):
        wet[t] = 0.85 * wet[t - 1] + rain[t]
    observed = rng.random(wet.shape) < 0.5
    values = torch.tensor(np.where(observed, wet, 0), dtype=torch.float32)
    nothing = torch.zeros(days, 0, cells)
    inputs = Inputs(values, torch.tensor(observed), nothing, nothing, torch.zeros(0, cells), torch.zeros(days, 0))
    torch.manual_seed(0)
    config = Config(season=0, revisit=0, epochs=20)
    unit = BankUnit(config, 0, 0, 0)
    unit.learn_scales(inputs)
    train(unit, inputs, None, config, 0, lambda share, text: None)
    hidden = torch.tensor(~observed)
    with torch.no_grad():
        latents = unit.latents(inputs)
        full = unit.decode(latents).mean
        linear = latents.center + latents.scale * latents.linear
    truth = torch.tensor(wet, dtype=torch.float32)
    lost = [float(((v - truth)[hidden] ** 2).mean().sqrt()) for v in (full, linear)]
    assert lost[0] < 0.985 * lost[1], "most of the error is rain that was not observed; the rest is how soil dries"
