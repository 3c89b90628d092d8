"""Cell, attention and masks against literal transcriptions of the paper's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from xsm_convlstm.cell import PeepholeConvLSTM
from xsm_convlstm.config import Config
from xsm_convlstm.network import Attention, Network


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def conv(weight, x):
    """``W * x`` with zeros beyond the map: weight (out, in, k, k), x (in, y, x)."""
    return np.stack([sum(correlate(x[c], w[c], mode="same") for c in range(len(x))) for w in weight])


def equations_1_to_6(x, p, filters, candidate):
    """The paper's equations for one sequence (time, channel, y, x), every term written out, from h = C = 0."""
    w_xi, w_xf, w_xo, w_xc = np.split(p["input.weight"], 4)
    w_hi, w_hf, w_ho, w_hc = np.split(p["recurrent.weight"], 4)
    b_i, b_f, b_o, b_c = np.split(p["input.bias"][:, None, None], 4)
    w_ci, w_cf, w_co = p["peephole"]
    h = c = np.zeros((filters, *x.shape[2:]))
    states = []
    for x_t in x:
        i = sigmoid(conv(w_xi, x_t) + conv(w_hi, h) + w_ci * c + b_i)
        f = sigmoid(conv(w_xf, x_t) + conv(w_hf, h) + w_cf * c + b_f)
        g = candidate(conv(w_xc, x_t) + conv(w_hc, h) + b_c)
        c = f * c + i * g
        o = sigmoid(conv(w_xo, x_t) + conv(w_ho, h) + w_co * c + b_o)
        h = o * np.tanh(c)
        states.append(h)
    return np.stack(states)


@pytest.mark.parametrize(("name", "function"), [("tanh", np.tanh), ("sigmoid", sigmoid)])
def test_cell_is_the_papers_equations(name, function):
    torch.manual_seed(0)
    cell = PeepholeConvLSTM(3, 5, candidate=name).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.4)  # peepholes and biases too: every term must matter
    x = torch.randn(4, 2, 3, 7, 6, dtype=torch.float64)
    weights = {k: v.numpy() for k, v in cell.state_dict().items()}
    with torch.no_grad():
        found = cell(x).numpy()
    for sample in range(2):
        wanted = equations_1_to_6(x[:, sample].numpy(), weights, 5, function)
        np.testing.assert_allclose(found[:, sample], wanted, atol=1e-10)


def test_peepholes_are_one_per_channel_and_all_are_learnt():
    cell = PeepholeConvLSTM(2, 4)
    assert cell.peephole.shape == (3, 4, 1, 1)
    cell(torch.randn(3, 1, 2, 5, 5)).square().mean().backward()
    assert (cell.peephole.grad != 0).all()


def test_attention_averages_valid_cells_only():
    torch.manual_seed(1)
    block = Attention(8, 4).double()
    h = torch.randn(3, 2, 8, 5, 4, dtype=torch.float64)
    mask = torch.rand(2, 1, 5, 4) > 0.4
    mask[1] = False  # a patch without any valid cell must not give NaN
    w1, b1, w2, b2 = (v.numpy() for v in block.state_dict().values())
    with torch.no_grad():
        found = block(h, mask.double()).numpy()
    assert np.isfinite(found).all()
    for t in range(3):
        mean = h[t, 0].numpy()[:, mask[0, 0].numpy()].mean(1)
        weight = sigmoid(w2 @ np.maximum(w1 @ mean + b1, 0) + b2)
        np.testing.assert_allclose(found[t, 0], h[t, 0].numpy() * weight[:, None, None], atol=1e-12)


def test_network_has_the_papers_layers():
    net = Network(12, Config())
    assert [layer.filters for layer in net.layers] == [16, 16, 16, 32, 32, 32, 48, 48, 64, 64]
    assert list(net.attention) == ["2", "5"]
    assert net.attention["2"].reduce.out_features == 4
    assert net.output.kernel_size == (1, 1)


def test_the_last_step_is_the_last_of_all_steps():
    torch.manual_seed(2)
    net = Network(3, Config(filters=(4, 4), attention=(1,))).eval()
    x, mask = torch.randn(3, 2, 3, 8, 8), torch.ones(2, 1, 8, 8)
    with torch.no_grad():
        last, every = net(x, mask), net(x, mask, steps=3)
    assert every[0].shape == (3, 2, 8, 8)
    torch.testing.assert_close(last[0][0], every[0][-1])
    torch.testing.assert_close(last[1][0], every[1][-1])


def test_spread_does_not_teach_the_mean():
    net = Network(3, Config(filters=(4, 4), attention=(1,)))
    _, spread = net(torch.randn(3, 2, 3, 8, 8), torch.ones(2, 1, 8, 8))
    spread.sum().backward()
    taught = {k for k, v in net.named_parameters() if v.grad is not None}
    assert taught == {"spread.weight", "spread.bias"}
