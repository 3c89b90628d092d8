"""The model ``trees``: LightGBM on predictors that may have gaps, spread from errors on days left out."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
from xsm import Bundle, DataError
from xsm.plugin_api import Block, Progress, Samples, Spec, make_card

from xsm_fuse import INFO

FOLDS, BLOCK_DAYS = 4, 30
"""Every fourth block of 30 days is left out where the spread is learnt."""
CALM = {"trees": 40, "leaves": 15, "learning_rate": 0.12}
MEAN_ABSOLUTE = float(np.sqrt(2 / np.pi))
"""Mean absolute value of a standard normal variable."""
LARGEST_TEXT = 2**25
"""Bytes of an ensemble's text; more is refused before it is unpacked."""
ROWS = 2**18
"""Values predicted at once; bounds memory."""


class Trees:
    """Gradient-boosted regression trees (Friedman 2001, in LightGBM), which take missing predictors as they are.

    Examples
    --------
    >>> from xsm_fuse.model import Trees
    >>> Trees().info.task
    'fuse'
    """

    info = INFO

    def block(self, bundle: Bundle) -> Block:
        """Return whole series: cells are independent of each other."""
        return Block("series")

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Progress) -> Bundle:
        """Learn ``spec.references[0]`` from the predictors of the same day, which may have gaps.

        Weights are LightGBM's text form of each ensemble, compressed, as bytes. ``validation`` is not used.
        """
        options = {p.name: p.default for p in INFO.options} | dict(spec.options)
        x, y, day = _rows(samples, spec, options["samples"], seed)
        left_out = _blocks(day) % FOLDS == seed % FOLDS
        if left_out.all() or not left_out.any():
            raise DataError(
                f"The reference '{spec.references[0]}' has values on {len(np.unique(day))} training days, expected "
                f"some in each of {FOLDS} blocks of days.",
                hint="Train on a longer period.",
            )
        first = _train(x[~left_out], y[~left_out], options, seed)
        error = y[left_out] - np.asarray(first.predict(x[left_out], num_threads=_threads()))
        progress(0.5, f"trees: RMSE of {spec.references[0]} on days left out {np.sqrt((error**2).mean()):.4f}")
        weights = {
            "mean": _packed(_train(x, y, options, seed)),
            "spread": _packed(_train(x[left_out], np.abs(error) / MEAN_ABSOLUTE, options | CALM, seed)),
        }
        progress(1.0, f"trees: {len(y)} values of {spec.references[0]}")
        card = make_card(
            spec, INFO.name, seed, "lightgbm", options=options,
            metrics={"rmse": float(np.sqrt((error**2).mean())), "values": len(y)},
        )  # fmt: skip
        return Bundle(card, weights)

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Predict whole series on the processor, with the spread of the reference.

        Cells without any value of the first predictor, such as those at sea, stay empty.
        """
        card, target = bundle.card, bundle.card["targets"][0]
        inputs, statics = card["inputs"], card["statics"]
        days, cells = arrays[inputs[0]].shape
        mean, spread = np.full((2, days, cells), np.nan, np.float32)
        valued = np.flatnonzero(np.isfinite(arrays[inputs[0]]).any(0))
        step = max(ROWS // max(days, 1), 1)
        for part in (valued[k : k + step] for k in range(0, len(valued), step)):
            x = _stacked({n: np.asarray(arrays[n])[..., part] for n in (*inputs, *statics)}, inputs, statics)
            rows = x.reshape(-1, x.shape[-1])
            for out, name in ((mean, "mean"), (spread, "spread")):
                values = _booster(bytes(bundle.weights[name])).predict(rows, num_threads=_threads())
                out[:, part] = np.asarray(values).reshape(days, -1)
        return {target: mean, f"{target}_std": np.maximum(spread, 0)}


def _rows(samples: Samples, spec: Spec, most: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictors, reference and day of values drawn at random."""
    counts = samples.counts(spec.references[0])
    at = np.flatnonzero(counts)
    if len(at) < 10 * FOLDS:
        raise DataError(
            f"The reference '{spec.references[0]}' has {len(at)} values on the training days, expected at least "
            f"{10 * FOLDS}.",
            hint="Check its period and its overlap with the inputs.",
        )
    at = np.sort(np.random.default_rng(seed).permutation(at)[:most])
    time, cell = np.unravel_index(at, counts.shape)
    columns = [samples.series(n)[time, cell] for n in spec.inputs]
    columns += [samples.series(n)[cell] for n in spec.statics]
    return np.stack(columns, -1), samples.series(spec.references[0])[time, cell], np.asarray(samples.days)[time]


def _stacked(arrays: Mapping[str, np.ndarray], inputs: list[str], statics: list[str]) -> np.ndarray:
    shape = arrays[inputs[0]].shape
    columns = [arrays[n] for n in inputs] + [np.broadcast_to(arrays[n], shape) for n in statics]
    return np.stack(columns, -1, dtype=np.float32)


def _blocks(day: np.ndarray) -> np.ndarray:
    """Number of the block of each day; blocks are shorter where the period is short."""
    days = np.unique(day)
    return np.asarray(np.searchsorted(days, day) // max(min(BLOCK_DAYS, len(days) // (2 * FOLDS)), 1))


def _train(x: np.ndarray, y: np.ndarray, options: Mapping[str, Any], seed: int) -> lightgbm.Booster:
    parameters = {
        "objective": "regression",
        "learning_rate": options["learning_rate"],
        "num_leaves": options["leaves"],
        "min_data_in_leaf": options["leaf_size"],
        "feature_fraction": 0.4,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "max_bin": 127,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": _threads(),
        "verbose": -1,
    }
    data = lightgbm.Dataset(x, y, params={"max_bin": 127, "verbose": -1})
    return lightgbm.train(parameters, data, options["trees"])


def _threads() -> int:
    from xsm.plugin_api import threads

    return threads()


def _packed(booster: lightgbm.Booster) -> np.ndarray:
    return np.frombuffer(zlib.compress(booster.model_to_string().encode(), 9), np.uint8)


@functools.lru_cache(maxsize=16)
def _booster(packed: bytes) -> lightgbm.Booster:
    try:
        text = zlib.decompressobj().decompress(packed, LARGEST_TEXT).decode()
        if len(text) == LARGEST_TEXT:
            raise ValueError
        return lightgbm.Booster(model_str=text)
    except (zlib.error, ValueError, lightgbm.basic.LightGBMError) as error:
        raise DataError("The trees of the fusion bundle cannot be read.", hint="Get or train it again.") from error
