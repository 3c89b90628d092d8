"""Cell, attention and masks against literal transcriptions of the paper's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from xsm_convlstm.cell import PeepholeConvLSTM
from xsm_convlstm.config import Config
from xsm_convlstm.inference import estimate, flatten
from xsm_convlstm.network import Attention, Network
from xsm_convlstm.sequences import joined


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
        hidden = cell(x).numpy()
    for sample in range(2):
        expected = equations_1_to_6(x[:, sample].numpy(), weights, 5, function)
        np.testing.assert_allclose(hidden[:, sample], expected, atol=1e-10)


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
        weighted = block(h, mask.double()).numpy()
    assert np.isfinite(weighted).all()
    for t in range(3):
        mean = h[t, 0].numpy()[:, mask[0, 0].numpy()].mean(1)
        weight = sigmoid(w2 @ np.maximum(w1 @ mean + b1, 0) + b2)
        np.testing.assert_allclose(weighted[t, 0], h[t, 0].numpy() * weight[:, None, None], atol=1e-12)


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


@pytest.mark.parametrize("candidate", ["tanh", "sigmoid"])
def test_fused_gates_are_the_written_out_ones_and_so_are_their_gradients(candidate):
    """Float32 goes through the compiled step, float64 through torch; also filters that do not fill a vector."""
    torch.manual_seed(3)
    for filters in (16, 5):
        cell = PeepholeConvLSTM(3, filters, candidate=candidate)
        for parameter in cell.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        x, weight = torch.randn(3, 2, 3, 48, 50), torch.randn(3, 2, filters, 48, 50)
        results = []
        for kind in (torch.float64, torch.float32):
            cell.to(kind).zero_grad()
            inputs = x.to(kind).requires_grad_()
            h = cell(inputs)
            (h * weight.to(kind)).sum().backward()
            results.append([h.detach(), inputs.grad, *(p.grad.clone() for p in cell.parameters())])
        for expected, fused in zip(*results, strict=True):
            scale = float(expected.abs().max())
            torch.testing.assert_close(fused.double(), expected, atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 0.1)])
def test_flat_network_is_the_network(kind, tolerance):
    """Normalised units; bfloat16 keeps 8 bits through four layers, three steps and a batch norm each."""
    torch.manual_seed(4)
    net = Network(7, Config(filters=(6, 16, 20, 8), attention=(1, 3), candidate="sigmoid")).eval()
    for module in net.layers:
        torch.nn.init.normal_(module.peephole, std=0.3)
    for norm in net.norms:
        norm.running_mean.normal_(0.2, 0.1)
        norm.running_var.uniform_(0.05, 0.2)
        norm.weight.data.normal_(1.0, 0.2)
        norm.bias.data.normal_(0.0, 0.2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3, 20, 24, 4)).astype(np.float32)
    still = rng.normal(size=(3, 20, 24, 3)).astype(np.float32)
    mask = rng.random((3, 20, 24)) < 0.8
    mean, spread = estimate(flatten(net, 4, kind), x, still, mask, 3)
    whole = torch.from_numpy(joined(x, still))
    for day in range(4):
        with torch.no_grad():
            expected = net(whole[day : day + 3], torch.from_numpy(mask)[:, None].float())
        np.testing.assert_allclose(mean[:, day], expected[0][0], atol=tolerance)
        np.testing.assert_allclose(spread[:, day], expected[1][0], atol=tolerance)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_an_estimate_does_not_depend_on_its_neighbours_in_a_call(kind):
    torch.manual_seed(5)
    net = Network(5, Config(filters=(16, 32), attention=(1,))).eval()
    rng = np.random.default_rng(1)
    x, still = rng.normal(size=(9, 7, 16, 16, 3)).astype("f4"), rng.normal(size=(7, 16, 16, 2)).astype("f4")
    mask = np.ones((7, 16, 16), bool)
    flat = flatten(net, 3, kind)
    whole = estimate(flat, x, still, mask, 3)
    threads = torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        part = estimate(flat, x[4:8, 5:6], still[5:6], mask[5:6], 3)
        for a, b in zip(whole, part, strict=True):
            np.testing.assert_array_equal(a[5:6, 4:6], b)
    torch.set_num_threads(threads)
