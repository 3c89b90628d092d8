"""The trees of the fusion: their contract, gaps in predictors, a law that they find, spread, bad bundles."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import xsm
from xsm import testing
from xsm.plugin_api import Samples, Spec
from xsm_fuse.model import Trees

SHORT = {"trees": 120, "learning_rate": 0.2, "leaf_size": 30}
UNITS = {"drive": "1", "retrieval": "m3 m-3"}


@pytest.fixture(autouse=True)
def one_thread():
    """Tests run side by side; threads that wait for each other on busy cores are slow."""
    with xsm.set_options(threads=1):
        yield


def noisy(noise, seed=0, gaps=0.0):
    """A step in one predictor with noise of two sizes, by the sign of the other."""
    rng = np.random.default_rng(seed)
    drive, kind = rng.normal(size=(2, 400, 30)).astype("f4")
    truth = 0.2 + 0.1 * (drive > 0)
    y = truth + noise * np.where(kind > 0, 3.0, 1.0) * rng.normal(size=drive.shape)
    drive = np.where(rng.random(drive.shape) < gaps, np.nan, drive)
    days = np.datetime64("2020-01-01") + np.arange(400)
    samples = Samples({"drive": drive, "kind": kind, "retrieval": y}, days, np.ones(400, bool), np.ones(30, bool))
    spec = Spec("fuse", ("drive", "kind"), ("retrieval",), (), ("retrieval",), UNITS, options=SHORT)
    return samples, spec, truth, kind


def learnt(samples, spec):
    bundle = Trees().fit(samples, spec, validation=None, seed=1, progress=lambda share, text: None)
    return bundle, Trees().predict_block(samples.arrays, bundle, device="cpu")


def test_they_keep_the_contract(tmp_path):
    testing.check_model("trees", options=SHORT, tmp=tmp_path)


def test_they_find_a_law_and_the_size_of_its_noise():
    samples, spec, truth, kind = noisy(0.01)
    _, result = learnt(samples, spec)
    assert np.abs(result["retrieval"] - truth).mean() < 0.004  # noise of 0.02 over leaves of 10 values and more
    spread = result["retrieval_std"]
    np.testing.assert_allclose(spread[kind > 0.3].mean(), 0.03, rtol=0.2)
    np.testing.assert_allclose(spread[kind < -0.3].mean(), 0.01, rtol=0.3)


def test_predictors_may_be_missing():
    samples, spec, truth, _ = noisy(0.01, gaps=0.4)
    _, result = learnt(samples, spec)
    there = np.isfinite(samples.arrays["drive"])
    assert np.isfinite(result["retrieval"]).all()
    assert np.abs(result["retrieval"] - truth)[there].mean() < 0.006  # the step is 0.1, the noise 0.02
    np.testing.assert_allclose(result["retrieval"][~there].mean(), 0.25, atol=0.01)  # the mean of both sides


def test_only_days_in_use_are_learnt_from():
    samples, spec, _, _ = noisy(0.01)
    use = np.arange(400) < 200
    other = samples.arrays["retrieval"].copy()
    other[~use] = 9.0
    bundles = [
        learnt(Samples({**samples.arrays, "retrieval": y}, samples.days, use, samples.mask), spec)[0]
        for y in (samples.arrays["retrieval"], other)
    ]
    assert bundles[0].hash == bundles[1].hash


def test_a_reference_without_values_is_refused():
    samples, spec, _, _ = noisy(0.01)
    empty = np.full((400, 30), np.nan)
    with pytest.raises(xsm.DataError, match="has 0 values on the training days"):
        learnt(Samples({**samples.arrays, "retrieval": empty}, samples.days, samples.use, samples.mask), spec)


def test_a_bundle_that_expands_without_end_is_refused():
    samples, spec, _, _ = noisy(0.01)
    bundle, _ = learnt(samples, spec)
    bomb = np.frombuffer(zlib.compress(b"tree\n" * 10_000_000, 9), np.uint8)
    broken = xsm.Bundle(bundle.card, {**bundle.weights, "mean": bomb})
    with pytest.raises(xsm.DataError, match="cannot be read"):
        Trees().predict_block(samples.arrays, broken, device="cpu")
