"""The model ``cru`` of the contract `xsm.plugin_api.Model`: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from xsm import Bundle, DataError
from xsm.plugin_api import Block, ModelInfo, Samples, Spec

from xsm_cru.config import OPTIONS, Config
from xsm_cru.features import cycle
from xsm_cru.inputs import dynamic_scaling, make_inputs, map_of, series_of, static_scaling, targets_of, training_cells
from xsm_cru.network import BankUnit
from xsm_cru.training import spread_factor, train

MEMORY = 48 * 1024**2
SEASON_DAYS = 330


class CRU:
    """Continuous recurrent unit for gap filling; see `xsm_cru.network` and `xsm_cru.published` for the mathematics.

    Each cell is filled from its own series, covariates and maps; only the parameters of the unit are shared.

    Examples
    --------
    >>> import numpy as np
    >>> from xsm.plugin_api import Samples, Spec
    >>> rng = np.random.default_rng(0)
    >>> sm = 0.25 + 0.05 * np.sin(np.arange(120) / 9)[:, None] + 0.01 * rng.standard_normal((120, 4))
    >>> sm[rng.random(sm.shape) < 0.5] = np.nan
    >>> spec = Spec("gapfill", ("sm_dca",), ("sm_dca",), units={"sm_dca": "m3 m-3"}, options={"epochs": 0})
    >>> days = np.arange("2020-01-01", "2020-04-30", dtype="datetime64[D]")
    >>> samples = Samples({"sm_dca": sm}, days, np.ones(120, bool), np.ones(4, bool))
    >>> bundle = CRU().fit(samples, spec, validation=None, seed=0, progress=lambda share, text: None)
    >>> filled = CRU().predict_block({"sm_dca": sm}, bundle, device="cpu")
    >>> sorted(filled), bool(np.isfinite(filled["sm_dca"]).all())
    (['sm_dca', 'sm_dca_obs_std', 'sm_dca_std'], True)
    """

    info = ModelInfo("cru", "Continuous recurrent unit", "gapfill", "xsm_cru.model:CRU", OPTIONS, requires=("torch",))

    def block(self, bundle: Bundle) -> Block:
        """Whole series; cells are independent of each other."""
        return Block("series")

    def fit(
        self,
        samples: Samples,
        spec: Spec,
        *,
        validation: Samples | None,
        seed: int,
        progress: Callable[[float, str], None],
    ) -> Bundle:
        """Learn to fill ``spec.targets`` from the observations of ``samples`` alone.

        Other ``spec.inputs`` are covariates without gaps. Without ``validation`` every fifth cell is kept for early
        stopping. Two fits with the same seed and number of threads agree, unless the option ``budget`` ends one early.
        """
        config = Config.of(spec.options)
        if int(np.asarray(samples.use, bool).sum()) < SEASON_DAYS:
            config = replace(config, season=0)
        covariates = tuple(v for v in spec.inputs if v not in spec.targets)
        cells = training_cells(samples, spec, config.cells)
        drivers = {v: series_of(samples, v, cells) for v in covariates} | {
            v: map_of(samples, v, cells) for v in spec.statics
        }
        scaling = {v: dynamic_scaling(drivers[v]) for v in covariates} | {
            v: static_scaling(drivers[v]) for v in spec.statics
        }
        weights: dict[str, np.ndarray] = {}
        metrics: dict[str, Any] = {}
        for i, target in enumerate(spec.targets):
            observed = targets_of(samples, target, cells)
            if not np.isfinite(observed).any():
                raise DataError(f"'{target}' has no observation to learn from.", hint="Check its masks and the period.")
            season = cycle(samples.days, config.season)
            inputs = make_inputs(observed, drivers, scaling, covariates, spec.statics, target, season)
            check = None
            if validation is not None:
                everywhere = training_cells(validation, spec, config.cells)
                theirs = {v: series_of(validation, v, everywhere) for v in covariates}
                theirs |= {v: map_of(validation, v, everywhere) for v in spec.statics}
                values = targets_of(validation, target, everywhere)
                season = cycle(validation.days, config.season)
                check = make_inputs(values, theirs, scaling, covariates, spec.statics, target, season)

            def report(share: float, text: str, i: int = i, target: str = target) -> None:
                progress((i + share) / len(spec.targets), f"{target}: {text}")

            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                unit = _unit(config, scaling, covariates, spec.statics)
                unit.learn_scales(inputs)
                outcome = train(unit, inputs, check, config, seed, report)
            progress((i + 1) / len(spec.targets), f"{target}: trained")
            weights |= {f"{target}/{k}": v.detach().numpy() for k, v in unit.state_dict().items()}
            weights[f"{target}/factors"] = outcome.factors
            metrics[target] = outcome.metrics
        return Bundle(_card(samples, spec, config, scaling, metrics, seed, int(cells.sum())), weights)

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Fill whole series of a block of cells.

        Infinite values count as not observed, and cells without an observation stay empty. ``days`` are needed where
        the bundle knows the season.
        """
        card = bundle.card
        config = Config.of(card["options"])
        trained = card["training"]["mode"]
        if config.mode != trained:
            raise DataError(
                f"The bundle was trained with mode '{trained}', expected mode '{config.mode}'.",
                hint=f"Give <mode={trained}>, or train another bundle.",
            )
        covariates = tuple(v for v in card["inputs"] if v not in card["targets"])
        statics = tuple(card["statics"])
        if config.season and "days" not in arrays:
            raise DataError(
                "The bundle knows the season, but the block has no 'days'.", hint="Add 'days' (time,), datetime64[D]."
            )
        season = cycle(np.asarray(arrays.get("days", ())), config.season)
        out: dict[str, np.ndarray] = {}
        for target in card["targets"]:
            state = {k.split("/", 1)[1]: v for k, v in bundle.weights.items() if k.startswith(f"{target}/")}
            factors = torch.tensor(state.pop("factors"), device=device)
            unit = _unit(config, card["normalisation"], covariates, statics)
            _restore(unit, state, target)
            unit.to(device)
            values = np.asarray(arrays[target], np.float32)
            filled = {name: np.full(values.shape, np.nan, np.float32) for name in ("", "_std", "_obs_std")}
            width = 2 + config.revisit + 2 * config.season + unit.reservoirs.width
            some = np.flatnonzero(np.isfinite(values).any(0))
            for part in _parts(some, len(values), width * (width if config.mode == "filter" else 2)):
                drivers = {v: np.asarray(arrays[v])[..., part] for v in (*covariates, *statics)}
                scaling = card["normalisation"]
                inputs = make_inputs(values[:, part], drivers, scaling, covariates, statics, target, season, device)
                with torch.no_grad():
                    result = unit(inputs)
                factor = spread_factor(inputs.observed, factors, config.mode == "filter")
                noise = result.latent + result.noise
                filled[""][:, part] = result.mean.cpu().numpy()
                filled["_std"][:, part] = (factor * result.latent.sqrt()).cpu().numpy()
                filled["_obs_std"][:, part] = (factor * noise.sqrt()).cpu().numpy()
            out |= {target + suffix: array for suffix, array in filled.items()}
        return out


def _unit(
    config: Config, scaling: Mapping[str, Any], covariates: tuple[str, ...], statics: tuple[str, ...]
) -> nn.Module:
    events = sum(scaling[v]["kind"] == "event" for v in covariates)
    if config.cell == "published":
        from xsm_cru.published import PublishedUnit

        return PublishedUnit(config, len(statics), events, len(covariates) - events)
    return BankUnit(config, len(statics), events, len(covariates) - events)


def _restore(unit: nn.Module, state: Mapping[str, np.ndarray], target: str) -> None:
    """Give a unit its weights; those of an older version do not fit."""
    try:
        unit.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    except RuntimeError:
        odd = sorted(set(unit.state_dict()) ^ set(state)) or ["their shapes"]
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise DataError(
            f"The bundle's weights for '{target}' are not those of this model 'cru', from which they differ in "
            f"{', '.join(odd[:3])}{more}.",
            hint="It comes from another version of xsm-cru: train it again with <fit()>.",
        ) from None


def _parts(cells: np.ndarray, days: int, floats: int) -> list[np.ndarray]:
    """Cut cells into pieces whose working memory stays small."""
    size = max(16, MEMORY // (days * floats * 4))
    return [cells[i : i + size] for i in range(0, len(cells), size)]


def _card(
    samples: Samples,
    spec: Spec,
    config: Config,
    scaling: Mapping[str, Any],
    metrics: dict[str, Any],
    seed: int,
    cells: int,
) -> dict[str, Any]:
    from xsm.plugin_api import BUNDLE_FORMAT, versions

    days = np.asarray(samples.days)[np.asarray(samples.use, bool)]
    return {
        "format": BUNDLE_FORMAT,
        "task": "gapfill",
        "model": "cru",
        "inputs": list(spec.inputs),
        "statics": list(spec.statics),
        "targets": list(spec.targets),
        "references": list(spec.references or spec.targets),
        "units": dict(spec.units),
        "options": config.to_json(),
        "normalisation": dict(scaling),
        "block": {"kind": "series"},
        "training": {
            "period": [str(days[0]), str(days[-1])],
            "cells": cells,
            "mode": config.mode,
        },
        "metrics": metrics,
        "seed": seed,
        "versions": versions("xsm-cru", "torch"),
        "limits": "Learnt from the series of its training period; spread calibrated on hidden observations of it.",
    }
