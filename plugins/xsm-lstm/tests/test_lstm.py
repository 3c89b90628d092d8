"""The LSTM: its contract, its equations in numpy, series without a grid, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xsm
from xsm import testing
from xsm_lstm.network import Network

SHORT = {"epochs": 3, "hidden": 8, "look_back": 30}


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def test_it_keeps_the_contract(tmp_path):
    testing.check_model("lstm", options=SHORT, tmp=tmp_path)


def test_the_network_has_the_equations_of_an_lstm():
    torch.manual_seed(0)
    net = Network(3, 5, 0.3, 0.3).double().eval()
    w = {k: v.numpy() for k, v in net.state_dict().items()}
    x = np.random.default_rng(0).normal(size=(7, 2, 3))
    h = c = np.zeros((2, 5))
    for t in range(7):
        e = np.maximum(x[t] @ w["encode.weight"].T + w["encode.bias"], 0)
        gates = (
            e @ w["lstm.weight_ih_l0"].T + w["lstm.bias_ih_l0"] + h @ w["lstm.weight_hh_l0"].T + w["lstm.bias_hh_l0"]
        )
        i, f, g, o = np.split(gates, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        head = h @ w["head.weight"].T + w["head.bias"]
        with torch.no_grad():
            mean, spread = net(torch.from_numpy(x))
        np.testing.assert_allclose(mean[t], head[:, 0], atol=1e-12)
        np.testing.assert_allclose(spread[t], np.log1p(np.exp(head[:, 1])) + 1e-3, atol=1e-12)


def test_memory_is_learnt_from_series_without_a_grid():
    ds = testing.leaky_series()
    train, rest = slice(None, "2020-06-30"), slice("2020-07-01", None)
    free = {"predictors": ("precipitation", "sand"), "target": "soil_moisture", "train": train}
    scores = {}
    for model, options in {
        "lstm": {"epochs": 60, "hidden": 16, "batch_size": 10, "learning_rate": 1e-2},
        "ridge": {},
    }.items():
        bundle = ds.sm.fit(model=model, **free, **options)
        maps = ds.sm.estimate(model=bundle)
        assert maps["sm_5cm"].dims == ("time", "cell")
        error = (maps["sm_5cm"] - ds["soil_moisture"]).sel(time=rest)
        scores[model] = float(np.sqrt((error**2).mean()))
        inside = abs(error) < 1.96 * maps["sm_5cm_reference_std"].sel(time=rest)
    assert scores["lstm"] < 0.5 * scores["ridge"]
    assert inside.where(np.isfinite(error)).mean() > 0.7


def test_other_days_do_not_matter_to_training():
    """Soil moisture after the training days may not leak into the weights."""
    ds = testing.leaky_series(12, 120)
    free = {"predictors": ("precipitation", "sand"), "target": "soil_moisture", "train": slice(None, "2020-03-15")}
    other = ds.assign(soil_moisture=ds["soil_moisture"].where(ds["time"] <= np.datetime64("2020-03-15"), 0.5))
    hashes = {d.sm.fit(model="lstm", **free, **SHORT).hash for d in (ds, other)}
    assert len(hashes) == 1


def test_validation_days_without_the_reference_are_refused():
    ds = testing.leaky_series(12, 60)
    bare = ds.assign(soil_moisture=ds["soil_moisture"].where(ds["time"] < ds["time"][36]))
    with pytest.raises(xsm.DataError, match="not observed on any validation day"):
        bare.sm.fit(model="lstm", predictors=("precipitation", "sand"), target="soil_moisture", **SHORT)


def test_a_centre_that_is_not_a_predictor_is_refused():
    with pytest.raises(xsm.UsageError, match="centre is 'mean', expected one of the static predictors"):
        testing.leaky_series(12, 60).sm.fit(
            model="lstm", predictors=("precipitation", "sand"), target="soil_moisture", centre="mean", **SHORT
        )


def test_weights_that_do_not_fit_are_refused():
    ds = testing.leaky_series(12, 60)
    bundle = ds.sm.fit(model="lstm", predictors=("precipitation", "sand"), target="soil_moisture", **SHORT)
    broken = xsm.Bundle(bundle.card, {k: v[..., :-1] for k, v in bundle.weights.items()})
    with pytest.raises(xsm.DataError, match="do not fit its card"):
        ds.sm.estimate(model=broken)
