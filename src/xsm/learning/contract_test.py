"""The contract test of models, which `xsm.testing` offers to authors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xsm.compute.patches import BATCH
from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Model, Samples, Spec
from xsm.contracts.registry import get_model


def check_model(name: str, *, options: Mapping[str, Any] | None = None, tmp: Path | None = None) -> None:
    """Check a model against its contract: fit, bundle, prediction, shapes, repeatability.

    Parameters
    ----------
    name : str
        Registered name.
    options : mapping, optional
        Options that make training short.
    tmp : Path, optional
        Folder in which a bundle is saved and read back.

    Raises
    ------
    AssertionError
        Says which rule is broken.

    Examples
    --------
    >>> check_model("ridge", options={"penalty": 2.0})
    """
    model = get_model(name)
    assert isinstance(model, Model), f"{name}: lacks info, block, fit or predict_block"
    samples, spec = small_task(model, options or {})
    shares: list[float] = []
    bundle = model.fit(samples, spec, validation=samples, seed=3, progress=lambda share, text: shares.append(share))
    assert shares and max(shares) <= 1.0, f"{name}: progress is a share from 0 to 1"
    json.dumps(dict(bundle.card))
    assert bundle.card["model"] == name and bundle.card["task"] == spec.task, (
        f"{name}: card names another model or task"
    )
    assert list(bundle.card["targets"]) == list(spec.targets), f"{name}: card has other targets"
    again = model.fit(samples, spec, validation=samples, seed=3, progress=lambda share, text: None)
    assert again.hash == bundle.hash, f"{name}: the same seed yields another bundle"
    if tmp is not None:
        bundle = Bundle.load(bundle.save(tmp / "bundle"))
        assert bundle.hash == again.hash, f"{name}: the bundle changes when it is saved"
    _check_prediction(name, model, bundle, samples, spec)


def small_task(model: Model, options: Mapping[str, Any]) -> tuple[Samples, Spec]:
    """A small task with a known law for a model of any task.

    Gap filling has 60 days of 24 series, fusion too, with gaps in its predictors, an estimate 60 days of 40 x 40 cells.

    Examples
    --------
    >>> samples, spec = small_task(get_model("linear"), {})
    >>> spec.task, samples.arrays["soil_moisture"].shape
    ('gapfill', (60, 24))
    """
    rng = np.random.default_rng(1)
    days = np.datetime64("2021-01-01") + np.arange(60)
    if model.info.task == "gapfill":
        wave = 0.25 + 0.08 * np.sin(np.arange(60)[:, None] / 6 + rng.uniform(0, 6, 24))
        series = np.where(rng.random(wave.shape) < 0.6, wave + 0.01 * rng.normal(size=wave.shape), np.nan).astype("f4")
        spec = Spec("gapfill", ("soil_moisture",), ("soil_moisture",), references=("soil_moisture",),
                    units={"soil_moisture": "m3 m-3"}, options=dict(options))  # fmt: skip
        return Samples({"soil_moisture": series}, days, np.ones(60, bool), np.ones(24, bool)), spec
    if model.info.task == "fuse":
        drive, soil = rng.normal(size=(60, 24)).astype("f4"), np.linspace(10, 60, 24, dtype="f4")
        law = 0.25 + 0.04 * drive - 0.001 * soil
        arrays = {"drive": np.where(rng.random(drive.shape) < 0.9, drive, np.nan), "sand": soil, "retrieval": law}
        spec = Spec("fuse", ("drive",), ("retrieval",), ("sand",), ("retrieval",),
                    {"drive": "1", "sand": "percent", "retrieval": "m3 m-3"}, options=dict(options))  # fmt: skip
        return Samples(arrays, days, np.ones(60, bool), np.ones(24, bool)), spec
    shape = (60, 40, 40)
    drive = rng.normal(size=shape).astype("f4")
    soil = np.broadcast_to(np.linspace(10, 60, 40, dtype="f4"), shape[1:]).copy()
    law = (0.25 + 0.04 * drive - 0.001 * soil).astype("f4")
    arrays = {"tb_h": 240 + 10 * drive, "sand": soil, "layer": law, "retrieved": law + 0.01}
    spec = Spec("estimate", ("tb_h",), ("sm_5cm",), ("sand",), ("layer", "retrieved"),
                {"tb_h": "K", "sand": "percent", "layer": "m3 m-3", "retrieved": "m3 m-3", "sm_5cm": "m3 m-3"}, 5,
                2, dict(options))  # fmt: skip
    use = np.arange(60) >= 2
    return Samples(arrays, days, use, np.ones(shape[1:], bool), np.ones(shape, bool)), spec


def _check_prediction(name: str, model: Model, bundle: Bundle, samples: Samples, spec: Spec) -> None:
    block = model.block(bundle)
    target = spec.targets[0]
    if block.kind == "series":
        arrays = {n: np.asarray(samples.arrays[n]) for n in (*spec.inputs, *spec.statics)}
        if spec.task == "estimate":
            arrays = {n: a.reshape(len(a), -1) if a.ndim == 3 else a.reshape(-1) for n, a in arrays.items()}
        shape = arrays[spec.inputs[0]].shape
        if spec.task == "gapfill":
            arrays["days"] = samples.days
    else:
        cut = np.s_[..., : block.size, : block.size]
        arrays = {n: np.stack([np.asarray(samples.arrays[n])[:10][cut]] * BATCH) for n in spec.inputs}
        arrays |= {n: np.stack([np.asarray(samples.arrays[n])[cut]] * BATCH) for n in spec.statics}
        arrays = {
            n: np.pad(a, [(0, 0)] * (a.ndim - 2) + [(0, block.size - s) for s in a.shape[-2:]])
            for n, a in arrays.items()
        }
        arrays["mask"] = np.ones((BATCH, block.size, block.size), bool)
        shape = (BATCH, 10 - block.look_back + 1, block.size, block.size)
    result = model.predict_block(arrays, bundle, device="cpu")
    spreads = ("_std", "_obs_std") if spec.task == "gapfill" else ("_std",)
    for key in (target, *(target + s for s in spreads)):
        assert key in result, f"{name}: no '{key}' in the prediction"
        assert np.shape(result[key]) == shape, (
            f"{name}: '{key}' has the shape {np.shape(result[key])}, expected {shape}"
        )
        assert np.isfinite(result[key]).all(), f"{name}: '{key}' has gaps"
    for spread in spreads:
        assert (np.asarray(result[target + spread]) >= 0).all(), f"{name}: negative spread"
    second = model.predict_block(arrays, bundle, device="cpu")
    assert np.array_equal(result[target], second[target]), f"{name}: the same block yields another result"
