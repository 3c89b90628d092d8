"""The contract test of models, which `xsm.testing` offers to authors."""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xsm.compute.patches import BATCH
from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Model, Samples, Spec
from xsm.contracts.registry import get_model

FEW = 7
"""Cells of a block that are predicted once more alone."""
AWAY = 0.02
"""Mean difference of estimates, m3 m-3, from which on wrong references count as learnt; they are wrong by 0.5."""


def check_model(name: str, *, options: Mapping[str, Any] | None = None, tmp: Path | None = None) -> None:
    """Check a model against its contract: what it learns from, its bundle, its predictions and their spread.

    A bundle must come from the days, the cells and the weights of the samples that may be learnt from, in whatever
    order the arrays are, be all that a prediction needs, and be the same for the same seed. Estimates are in physical
    units, spreads of the size of errors, the cells of series independent of each other, and no argument is changed.
    The model is trained three times; options make that short.

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
    outside = _state(model)
    samples, spec = _partly_usable(*small_task(model, options or {}))
    shares: list[float] = []

    def fit(learnt: Samples, validation: Samples) -> Bundle:
        with _unchanged(name, "fit changes the arrays of the samples", learnt.arrays):
            return model.fit(
                learnt, spec, validation=validation, seed=3, progress=lambda share, _: shares.append(share)
            )

    bundle = fit(samples, samples)
    assert shares and min(shares) >= 0 and max(shares) <= 1, f"{name}: progress is a share from 0 to 1"
    json.dumps(dict(bundle.card))
    assert bundle.card["model"] == name and bundle.card["task"] == spec.task, (
        f"{name}: card names another model or task"
    )
    assert list(bundle.card["targets"]) == list(spec.targets), f"{name}: card has other targets"
    arrays, truth = _block(model, bundle, samples, spec)
    result = _check_prediction(name, model, bundle, spec, arrays, truth)
    _check_what_is_learnt(name, model, bundle, fit, samples, spec, arrays)
    with tempfile.TemporaryDirectory() as folder:
        stored = Bundle.load(bundle.save((tmp or Path(folder)) / "bundle"))
        assert stored.hash == bundle.hash, f"{name}: the bundle changes when it is saved"
        _restore(outside)
        try:
            again = get_model(name).predict_block(arrays, stored, device="cpu")
        except Exception as error:
            raise AssertionError(f"{name}: predict_block needs more than the bundle, which another process does not "
                                 f"have ({type(error).__name__}: {error})") from error  # fmt: skip
    assert _near(again, result), f"{name}: predict_block uses more than the bundle, which another process does not have"


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


def _partly_usable(samples: Samples, spec: Spec) -> tuple[Samples, Spec]:
    """The samples with a fifth of the days out of use and, where the task has them, masked cells and zero weights."""
    use, mask = samples.use.copy(), samples.mask.copy()
    use[24:36] = False
    if spec.task == "gapfill":
        return replace(samples, use=use), spec
    weight = np.ones(np.shape(samples.arrays[spec.references[0]]), bool)
    weight[:, 5:10] = False
    mask[:5] = spec.task != "estimate"
    return replace(samples, use=use, mask=mask, weight=weight), spec


def _spoilt(samples: Samples, spec: Spec, where: np.ndarray) -> Samples:
    """The samples with references that are wrong by half of a cubic metre, on average, where a mask says so."""
    wrong = 0.2 + 0.6 * np.random.default_rng(5).integers(0, 2, where.shape)
    refs = {n: (samples.arrays[n] + np.where(where, wrong, 0)).astype("f4") for n in spec.references}
    return replace(samples, arrays={**samples.arrays, **refs})


def _check_what_is_learnt(name: str, model: Model, bundle: Bundle, fit: Callable[[Samples, Samples], Bundle],
                          samples: Samples, spec: Spec, arrays: Mapping[str, np.ndarray]) -> None:  # fmt: skip
    """The bundle depends on what may be learnt from, and not on the order of arrays; validation shifts no estimate."""
    shape, target = np.shape(samples.arrays[spec.references[0]]), spec.targets[0]
    unusable = {
        "days that use excludes": np.broadcast_to(~samples.use.reshape(-1, *[1] * (len(shape) - 1)), shape),
        "cells outside of mask": np.broadcast_to(~samples.mask, shape),
        "places whose weight is zero": ~np.broadcast_to(True if samples.weight is None else samples.weight, shape),
    }

    def learnt(where: np.ndarray) -> Samples:
        spoilt = _spoilt(samples, spec, where)
        return replace(spoilt, arrays=dict(list(spoilt.arrays.items())[::-1]))

    def shift(other: Bundle) -> tuple[float, float]:
        a, b = (model.predict_block(dict(arrays), one, device="cpu") for one in (bundle, other))
        spreads = [float(np.median(r[f"{target}_std"])) for r in (a, b)]
        return float(np.mean(np.abs(a[target] - b[target]))), max(spreads) / max(min(spreads), 1e-9)

    if fit(learnt(np.any(list(unusable.values()), axis=0)), samples).hash != bundle.hash:
        assert fit(samples, samples).hash == bundle.hash, f"{name}: the same seed yields another bundle"
        away, _ = shift(fit(learnt(np.zeros(shape, bool)), samples))
        assert away < AWAY / 5, f"{name}: fit depends on the order of the arrays, expected that of spec.inputs"
        for what, where in unusable.items():
            away, ratio = shift(fit(learnt(where), samples))
            assert away < AWAY and ratio < 2, f"{name}: fit learns from {what}"
    other = _spoilt(samples, spec, np.ones(shape, bool))
    away, _ = shift(fit(samples, other))
    assert away < 4 * AWAY, f"{name}: fit learns its estimates from validation"


def _block(model: Model, bundle: Bundle, samples: Samples, spec: Spec) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """One block as the core cuts it, and the true values of its target; gap filling has a tenth of them hidden."""
    block, law = model.block(bundle), np.asarray(samples.arrays[spec.references[0]])
    if block.kind == "series":
        arrays = {n: np.array(samples.arrays[n]) for n in (*spec.inputs, *spec.statics)}
        if spec.task == "estimate":
            arrays = {n: a.reshape(len(a), -1) if a.ndim == 3 else a.reshape(-1) for n, a in arrays.items()}
            law = law.reshape(len(law), -1)
        if spec.task == "gapfill":
            hidden = np.random.default_rng(6).random(law.shape) < 0.1
            arrays = {n: np.where(hidden, np.nan, a) for n, a in arrays.items()} | {"days": samples.days}
            law = np.where(hidden, law, np.nan)
        return arrays, law
    cut = np.s_[..., : block.size, : block.size]
    arrays = {n: np.stack([np.asarray(samples.arrays[n])[:10][cut]] * BATCH) for n in spec.inputs}
    arrays |= {n: np.stack([np.asarray(samples.arrays[n])[cut]] * BATCH) for n in spec.statics}
    arrays = {n: _padded(a, block.size, 0) for n, a in arrays.items()}
    arrays["mask"] = np.ones((BATCH, block.size, block.size), bool)
    return arrays, _padded(np.stack([law[block.look_back - 1 : 10][cut]] * BATCH), block.size, np.nan)


def _padded(a: np.ndarray, size: int, value: float) -> np.ndarray:
    edges = [(0, 0)] * (a.ndim - 2) + [(0, size - s) for s in a.shape[-2:]]
    return np.pad(a, edges, constant_values=value)


def _check_prediction(
    name: str, model: Model, bundle: Bundle, spec: Spec, arrays: dict[str, np.ndarray], truth: np.ndarray
) -> Mapping[str, np.ndarray]:
    target, spreads = spec.targets[0], ("_std", "_obs_std") if spec.task == "gapfill" else ("_std",)
    with _unchanged(name, "predict_block changes its arrays", arrays):
        result = dict(model.predict_block(dict(arrays), bundle, device="cpu"))
    for key in (target, *(target + s for s in spreads)):
        assert key in result, f"{name}: no '{key}' in the prediction"
        assert np.shape(result[key]) == truth.shape, (
            f"{name}: '{key}' has the shape {np.shape(result[key])}, expected {truth.shape}"
        )
        assert np.isfinite(result[key]).all(), f"{name}: '{key}' has gaps"
    _check_size(name, result[target], [np.asarray(result[target + s]) for s in spreads], truth)
    again = model.predict_block(dict(arrays), bundle, device="cpu")
    assert np.array_equal(result[target], again[target]), f"{name}: the same block yields another result"
    turned = model.predict_block(dict(reversed(arrays.items())), bundle, device="cpu")
    assert _near(turned, result), f"{name}: predict_block depends on the order of its arrays, expected that of the card"
    if model.block(bundle).kind == "series":
        part = {n: a if n == "days" else a[..., :FEW] for n, a in arrays.items()}
        part = dict(model.predict_block(part, bundle, device="cpu"))
        assert _near(part, {n: a[..., :FEW] for n, a in result.items()}), (
            f"{name}: the cells of a series block depend on each other"
        )
    return result


def _check_size(name: str, value: np.ndarray, spreads: list[np.ndarray], truth: np.ndarray) -> None:
    """Estimates lie where the truth does, spreads are neither absurdly large nor small beside the errors."""
    known = np.isfinite(truth)
    low, high = truth[known].min(), truth[known].max()
    middle, error = float(np.median(value[known])), float(np.sqrt(np.mean((value - truth)[known] ** 2)))
    assert 2 * low - high <= middle <= 2 * high - low, (
        f"{name}: the median is {middle:.3g} where the truth is {low:.3g} to {high:.3g}: expected physical units"
    )
    scale = max(float(truth[known].std()), error)
    for spread in spreads:
        size = float(np.median(spread[known]))
        assert (spread >= 0).all(), f"{name}: negative spread"
        assert error / 20 <= size <= 5 * scale, (
            f"{name}: the spread is {size:.3g} where the errors are {error:.3g} and the values vary by {scale:.3g}"
        )


def _near(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(np.shape(a[n]) == np.shape(b[n]) and np.allclose(a[n], b[n], rtol=1e-3, atol=1e-4) for n in b)


@contextmanager
def _unchanged(name: str, rule: str, arrays: Mapping[str, Any]) -> Iterator[None]:
    before = {n: np.array(a) for n, a in arrays.items()}
    yield
    for n, a in arrays.items():
        assert n in before and np.array_equal(a, before[n], equal_nan=before[n].dtype.kind == "f"), (
            f"{name}: {rule} ('{n}')"
        )


def _state(model: Model) -> list[tuple[Any, dict[str, Any]]]:
    """What a model's classes and its module know before it learns, containers copied."""
    module = sys.modules[type(model).__module__]
    owners = [c for c in type(model).__mro__ if c.__module__ == module.__name__] + [module]
    kinds = (dict, list, set)
    return [(o, {n: copy.copy(v) if isinstance(v, kinds) else v for n, v in vars(o).items() if not n.startswith("__")})
            for o in owners]  # fmt: skip


def _restore(states: list[tuple[Any, dict[str, Any]]]) -> None:
    """Forget what classes and module have learnt since, as a process that only has the bundle."""
    for owner, before in states:
        for n in [n for n in vars(owner) if not n.startswith("__")]:
            if n not in before:
                delattr(owner, n)
            elif isinstance(before[n], (dict, list, set)) or vars(owner)[n] is not before[n]:
                setattr(owner, n, before[n])
