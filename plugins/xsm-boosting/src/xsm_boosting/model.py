"""The model ``boosting``: LightGBM on past weather, spread from errors on days that the trees did not learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from xsm import Bundle, DataError, UsageError
from xsm.plugin_api import (
    Block,
    Progress,
    Samples,
    Spec,
    centre_and_scale,
    clip_moisture,
    conformal_factor,
    make_card,
    series_settings,
)

from xsm_boosting import INFO
from xsm_boosting.features import features
from xsm_boosting.places import Maps, learn_places, maps_of, moments_at, place_moments

FOLDS, BLOCK, PATIENCE = 4, 30, 50
"""Folds of interleaved blocks of so many days (for new places: cells); rounds without improvement."""
MEAN_ABSOLUTE = float(np.sqrt(2 / np.pi))
"""Mean absolute value of a standard normal variable."""
PLACES = "places."
"""Begins the names of the weights that are of new places."""
CHUNK = 2**20
"""Values predicted at once; bounds memory."""


@dataclass(frozen=True)
class _Table:
    """One row for each value to learn from.

    Features, scaled target, number of the day and of the cell; static predictors, centre and scale of each cell.
    """

    x: np.ndarray
    y: np.ndarray
    day: np.ndarray
    cell: np.ndarray
    maps: Maps
    centre: np.ndarray
    scale: np.ndarray

    def misses(self, estimate: np.ndarray, places: Mapping[str, np.ndarray] | None, rows: Any = ...) -> np.ndarray:
        """Differences of scaled estimates from the target of rows, in units of the scale that places give them."""
        cell = self.cell[rows]
        if places is None:
            return estimate - self.y[rows]
        centre, scale = (v[cell] for v in moments_at(self.maps, places))
        value = self.centre[cell] + self.scale[cell] * self.y[rows]
        return estimate - (value - centre) / scale

    def places(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Learn the moments of new places from the cells of rows."""
        cells = np.unique(self.cell[rows])
        return learn_places(self.maps.of(cells), self.centre[cells], self.scale[cells])


class Boosting:
    """Gradient-boosted regression trees (Friedman 2001, in LightGBM) on the predictors of the last weeks.

    Examples
    --------
    >>> from xsm_boosting.model import Boosting
    >>> Boosting().info.task
    'estimate'
    """

    info = INFO

    def block(self, bundle: Bundle) -> Block:
        """Return whole series: cells are independent of each other."""
        return Block("series")

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Progress) -> Bundle:
        """Train on every value of the first reference that counts.

        The number of trees is chosen by four-fold cross-validation over blocks of 30 days inside the training days; its
        errors teach a second ensemble the size of the error, which is then scaled so that the 95 % interval holds 95 %
        of the reference on the validation days (without them: on the folds). With ``places`` the folds are blocks of
        cells, whose mean and spread are regressed as those of any place, and the spread is that of the folds.
        Weights are LightGBM's text form of each ensemble as bytes.
        """
        options = settings(spec)
        table = _table(samples, spec, options, seed)
        fold = _folds(table.cell if options["places"] else table.day)
        steps = FOLDS + options["members"] + 1
        error, rounds = np.empty_like(table.y), []
        for k in range(FOLDS):
            left_out = fold == k
            booster = _train(
                table.x[~left_out], table.y[~left_out], options, seed, (table.x[left_out], table.y[left_out])
            )
            rounds.append(booster.best_iteration or options["trees"])
            places = table.places(~left_out) if options["places"] else None
            error[left_out] = table.misses(np.asarray(booster.predict(table.x[left_out])), places, left_out)
            progress((k + 1) / steps, f"boosting: fold {k + 1} of {FOLDS}, {rounds[-1]} trees")
        best = options | {"trees": max(int(np.mean(rounds)), 1)}
        weights: dict[str, np.ndarray] = {}
        for k in range(options["members"]):
            weights[f"mean_{k}"] = _packed(_train(table.x, table.y, best, seed + 1 + k))
            progress((FOLDS + k + 1) / steps, f"boosting: ensemble {k + 1} of {options['members']}")
        calm = options | {
            "trees": min(options["trees"], 100),
            "learning_rate": 0.05,
            "leaves": min(options["leaves"], 15),
        }
        weights["spread"] = _packed(_train(table.x, np.abs(error) / MEAN_ABSOLUTE, calm, seed))
        if options["places"]:
            places = table.places(np.ones(len(table.y), bool))
            weights |= {f"{PLACES}{n}": w for n, w in places.items()}
        scale = moments_at(table.maps, places)[1] if places else table.scale
        target, rmse = spec.targets[0], float(np.sqrt(((error * scale[table.cell]) ** 2).mean()))
        card = make_card(
            spec,
            self.info.name,
            seed,
            "lightgbm",
            options={k: list(v) if isinstance(v, tuple) else v for k, v in best.items()},
            normalisation={target: {"spread_scale": 1.0, "floor": float(np.abs(error).mean()) * 0.1}},
            metrics={"folds": FOLDS, "rmse": rmse, "values": len(table.y)},
            limits=f"The spread is calibrated to {spec.references[0]}, not to the truth.",
        )
        boosters = _boosters(weights)
        if places:
            ratios = _left_out_ratios(table.x, error, fold, calm, seed, card)
        elif validation is None:
            ratios = np.abs(error) / _spread(boosters["spread"], table.x, card)
        else:
            table = _table(validation, spec, options, seed)
            mean, spread = _scaled(table.x, boosters, card)
            ratios = np.abs(mean - table.y) / spread
        card["normalisation"][target]["spread_scale"] = conformal_factor(ratios)
        progress(1.0, f"boosting: {best['trees']} trees, RMSE on unseen days {rmse:.4f}")
        return Bundle(card, weights)

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Estimate whole series on the processor."""
        card = bundle.card
        options, target, boosters = card["options"], card["targets"][0], _boosters(bundle.weights)
        places = {n.removeprefix(PLACES): w for n, w in bundle.weights.items() if n.startswith(PLACES)}
        days, cells = arrays[card["inputs"][0]].shape
        mean, spread = np.empty((days, cells), np.float32), np.empty((days, cells), np.float32)
        step = max(CHUNK // max(days, 1), 1)
        for part in (slice(k, k + step) for k in range(0, cells, step)):
            some = {n: np.asarray(arrays[n])[..., part] for n in (*card["inputs"], *card["statics"])}
            x = _features(some, card["inputs"], card["statics"], options)
            scaled = _scaled(x.reshape(-1, x.shape[-1]), boosters, card)
            middle, scale = (
                moments_at(_maps(some, card["statics"], options), places) if places else centre_and_scale(some, options)
            )
            mean[:, part] = middle + scale * scaled[0].reshape(days, -1)
            spread[:, part] = scale * scaled[1].reshape(days, -1) * card["normalisation"][target]["spread_scale"]
        return {target: clip_moisture(mean, card), f"{target}_std": spread}


def settings(spec: Spec) -> dict[str, Any]:
    """All options of a training, checked: the user's, else the defaults.

    Raises
    ------
    UsageError
        For memories that are not numbers, or a centre or scale that is not a static predictor.
    """
    options = series_settings(INFO, spec)
    try:
        options["memories"] = tuple(float(v) for v in options["memories"])
    except ValueError:
        raise UsageError(
            f"memories are {options['memories']}, expected numbers of days.", hint="For example 2,4,9,20,50."
        ) from None
    return options


def _features(
    arrays: Mapping[str, np.ndarray], inputs: Sequence[str], statics: Sequence[str], options: Mapping[str, Any]
) -> np.ndarray:
    return features(arrays, inputs, statics, lags=options["lags"], memories=options["memories"])


def _table(samples: Samples, spec: Spec, options: Mapping[str, Any], seed: int) -> _Table:
    """Rows of cells drawn at random, about ``samples`` values."""
    reference = spec.references[0]
    cells = np.random.default_rng(seed).permutation(int(np.sum(samples.mask)))
    cells = np.sort(cells[: -(-options["samples"] // max(int(np.sum(samples.use)), 1))])
    arrays = {n: samples.series(n, cells) for n in (*spec.inputs, *spec.statics)}
    counts = samples.counts(reference, cells)
    if counts.sum() < FOLDS:
        raise DataError(
            f"The reference '{reference}' has {counts.sum()} values on the training days, expected at least {FOLDS}.",
            hint="Check its period and its overlap with the inputs.",
        )
    values = samples.series(reference, cells)
    if options["places"]:
        centre, scale = place_moments(np.where(counts, values, np.nan))
        counts = counts & np.isfinite(centre)
        if not counts.any():
            raise DataError(
                f"No cell has enough values of '{reference}' to learn for other places.", hint="Take a longer period."
            )
    else:
        centre, scale = (np.broadcast_to(v, len(cells)) for v in centre_and_scale(arrays, options))
    day, cell = np.nonzero(counts)
    y = (values - centre) / scale
    x = _features(arrays, spec.inputs, spec.statics, options)
    number = np.asarray(samples.days).astype("M8[D]").astype("i8")
    return _Table(x[counts], y[counts], number[day], cell, _maps(arrays, spec.statics, options), centre, scale)


def _left_out_ratios(
    x: np.ndarray, error: np.ndarray, fold: np.ndarray, options: Mapping[str, Any], seed: int, card: Mapping[str, Any]
) -> np.ndarray:
    """Errors over the spread by trees that learnt from the errors of the other folds: maps tell which cell it is."""
    size, ratios = np.abs(error), np.empty_like(error)
    for k in range(FOLDS):
        left_out = fold == k
        booster = _train(x[~left_out], size[~left_out] / MEAN_ABSOLUTE, options, seed)
        ratios[left_out] = size[left_out] / _spread(booster, x[left_out], card)
    return ratios


def _maps(arrays: Mapping[str, np.ndarray], statics: Sequence[str], options: Mapping[str, Any]) -> Maps:
    return maps_of(arrays, statics, options["centre"], options["scale"])


def _folds(number: np.ndarray) -> np.ndarray:
    """Fold of each day or cell: interleaved blocks of 30, shorter where there are few."""
    all_numbers = np.unique(number)
    length = max(min(BLOCK, len(all_numbers) // (2 * FOLDS)), 1)
    return np.asarray((np.searchsorted(all_numbers, number) // length) % FOLDS)


def _train(
    x: np.ndarray,
    y: np.ndarray,
    options: Mapping[str, Any],
    seed: int,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
) -> lightgbm.Booster:
    from xsm.plugin_api import threads

    parameters = {
        "objective": "regression",
        "learning_rate": options["learning_rate"],
        "num_leaves": options["leaves"],
        "min_data_in_leaf": options["leaf_size"],
        "feature_fraction": 0.35,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "max_bin": 127,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": threads(),
        "verbose": -1,
    }
    data = lightgbm.Dataset(x, y, params={"max_bin": 127, "verbose": -1})
    if validation is None:
        return lightgbm.train(parameters, data, options["trees"])
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    check = lightgbm.Dataset(*validation, reference=data)
    return lightgbm.train(parameters, data, options["trees"], [check], callbacks=[stop])


def _boosters(weights: Mapping[str, np.ndarray]) -> dict[str, lightgbm.Booster]:
    packed = {n: w for n, w in weights.items() if not n.startswith(PLACES)}
    return {n: lightgbm.Booster(model_str=bytes(w).decode()) for n, w in packed.items()}


def _scaled(
    x: np.ndarray, boosters: Mapping[str, lightgbm.Booster], card: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the scaled target for rows of features; the spread before calibration."""
    means = [np.asarray(b.predict(x)) for n, b in boosters.items() if n != "spread"]
    return np.mean(means, 0), _spread(boosters["spread"], x, card)


def _spread(booster: lightgbm.Booster, x: np.ndarray, card: Mapping[str, Any]) -> np.ndarray:
    return np.maximum(np.asarray(booster.predict(x)), card["normalisation"][card["targets"][0]]["floor"])


def _packed(booster: lightgbm.Booster) -> np.ndarray:
    return np.frombuffer(booster.model_to_string(importance_type="gain").encode(), np.uint8)
