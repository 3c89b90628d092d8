"""The model ``cru`` of the contract `xsm.plugin_api.Model`: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from xsm import Bundle, DataError
from xsm.plugin_api import Block, ModelInfo, Samples, Spec, tell

from xsm_cru.config import OPTIONS, Config
from xsm_cru.features import cycle
from xsm_cru.network import BankUnit, Inputs
from xsm_cru.training import spread_factor, train

MEMORY = 48 * 1024**2
SEASON_DAYS = 330
CELL_DAYS, FEWEST_CELLS = 200_000, 48
"""Days of all cells that are learnt from: long periods take as long as a year of 512 cells; cells at least."""


class CRU:
    """Continuous recurrent unit for gap filling; see `xsm_cru.network` and `xsm_cru.published` for the mathematics.

    Each cell is filled from its own series, its own covariates and own maps; only parameters of the unit are shared.

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
        """Whole series, cells independent."""
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

        Parameters
        ----------
        samples : Samples
            Series with gaps (NaN) in physical units; ``(time, cell)`` or ``(time, y, x)``.
        spec : Spec
            ``inputs`` beyond the targets are gap-free dynamic covariates, ``statics`` maps.
        validation : Samples, optional
            Series for early stopping; without it every fifth cell is kept back for that.
        seed : int
            Seed; two fits with one seed and one number of threads agree, unless the option ``budget`` ends one early.
        progress : callable
            Receives the share done and a line.

        Raises
        ------
        DataError
            If nothing is observed, or a covariate has gaps where a target is observed.
        """
        config = Config.of(spec.options)
        if int(np.asarray(samples.use, bool).sum()) < SEASON_DAYS:
            config = replace(config, season=0)
        covariates = tuple(v for v in spec.inputs if v not in spec.targets)
        cells = _choose(samples, spec, config.cells)
        given = {v: _series(samples, v, cells) for v in covariates} | {v: _map(samples, v, cells) for v in spec.statics}
        scaling = {v: _dynamic(given[v]) for v in covariates} | {v: _static(given[v]) for v in spec.statics}
        weights: dict[str, np.ndarray] = {}
        metrics: dict[str, Any] = {}
        for i, target in enumerate(spec.targets):
            observed = _targets(samples, target, cells)
            if not np.isfinite(observed).any():
                raise DataError(f"'{target}' has no observation to learn from.", hint="Check its masks and the period.")
            season = cycle(samples.days, config.season)
            inputs = _inputs(observed, given, scaling, covariates, spec.statics, target, season)
            check = None
            if validation is not None:
                everywhere = _choose(validation, spec, config.cells)
                theirs = {v: _series(validation, v, everywhere) for v in covariates}
                theirs |= {v: _map(validation, v, everywhere) for v in spec.statics}
                values = _targets(validation, target, everywhere)
                season = cycle(validation.days, config.season)
                check = _inputs(values, theirs, scaling, covariates, spec.statics, target, season)

            def tell(share: float, text: str, i: int = i, target: str = target) -> None:
                progress((i + share) / len(spec.targets), f"{target}: {text}")

            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                unit = _unit(config, scaling, covariates, spec.statics)
                unit.learn_scales(inputs)
                outcome = train(unit, inputs, check, config, seed, tell)
            progress((i + 1) / len(spec.targets), f"{target}: trained")
            weights |= {f"{target}/{k}": v.detach().numpy() for k, v in unit.state_dict().items()}
            weights[f"{target}/factors"] = outcome.factors
            metrics[target] = outcome.metrics
        return Bundle(_card(samples, spec, config, scaling, metrics, seed, int(cells.sum())), weights)

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Fill whole series of a block of cells.

        Parameters
        ----------
        arrays : mapping
            Targets and covariates ``(time, cell)``, maps ``(cell,)``, physical units; NaN or infinite = not observed.
            ``days`` (time,), datetime64[D], where the bundle knows the season.
        bundle : Bundle
            From `fit`.
        device : str
            "cpu", "cuda", ...

        Returns
        -------
        mapping
            ``v``, ``v_std`` and ``v_obs_std`` (time, cell) float32 for each target, NaN in cells without observation.

        Raises
        ------
        DataError
            If a covariate has gaps in a cell that is to be filled, the card asks for a mode it was not trained for, or
            the bundle is of a version with another unit.
        """
        card = bundle.card
        config = Config.of(card["options"])
        trained = card["training"]["mode"]
        if config.mode != trained:
            raise DataError(
                f"The bundle was trained with mode '{trained}', wanted mode '{config.mode}'.",
                hint=f"Give <mode={trained}> or train anew.",
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
                given = {v: np.asarray(arrays[v])[..., part] for v in (*covariates, *statics)}
                scaling = card["normalisation"]
                inputs = _inputs(values[:, part], given, scaling, covariates, statics, target, season, device)
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
    """Give a unit its weights; those of an older one do not fit."""
    try:
        unit.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    except RuntimeError:
        odd = sorted(set(unit.state_dict()) ^ set(state)) or ["their shapes"]
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise DataError(
            f"The bundle's weights for '{target}' are not those of this model 'cru', from which they differ in "
            f"{', '.join(odd[:3])}{more}.",
            hint="Another version of xsm-cru made it: train it anew with <fit()>.",
        ) from None


def _inputs(
    values: np.ndarray, given: Mapping[str, np.ndarray], scaling: Mapping[str, Any], covariates: tuple[str, ...],
    statics: tuple[str, ...], target: str, season: np.ndarray, device: str = "cpu",
) -> Inputs:  # fmt: skip
    observed = np.isfinite(values)
    used = observed.any(0)
    scaled: dict[str, list[np.ndarray]] = {"event": [], "level": [], "static": []}
    for name in (*covariates, *statics):
        s = scaling[name]
        array = (np.asarray(given[name], np.float32) - np.float32(s["center"])) / np.float32(s["scale"])
        if s["kind"] == "static":
            array = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
        elif not np.isfinite(array[:, used]).all():
            count = int((~np.isfinite(array[:, used])).any(0).sum())
            raise DataError(
                f"The covariate '{name}' has gaps in {count} cells where '{target}' is to be filled.",
                hint="Fill it first or leave it out of covariates.",
            )
        scaled[s["kind"]].append(np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0))
    days, cells = values.shape

    def stack(kind: str) -> Tensor:
        parts = scaled[kind]
        axis = 0 if kind == "static" else 1
        empty = (0, cells) if kind == "static" else (days, 0, cells)
        return torch.tensor(np.stack(parts, axis) if parts else np.zeros(empty, np.float32), device=device)

    return Inputs(
        torch.tensor(np.where(observed, values, 0).astype(np.float32), device=device),
        torch.tensor(observed, device=device),
        stack("event"), stack("level"), stack("static"),
        torch.tensor(season if season.shape[1] else np.zeros((days, 0), np.float32), device=device),
    )  # fmt: skip


def _parts(cells: np.ndarray, days: int, floats: int) -> list[np.ndarray]:
    """Cut cells into pieces whose working memory stays small."""
    size = max(16, MEMORY // (days * floats * 4))
    return [cells[i : i + size] for i in range(0, len(cells), size)]


def _choose(samples: Samples, spec: Spec, limit: int) -> np.ndarray:
    """Return the cells to learn from: of the domain, with an observation, evenly thinned; fewer of long series."""
    mask = np.asarray(samples.mask, bool).ravel()
    seen = np.zeros_like(mask)
    for target in spec.targets:
        array = samples.arrays[target]
        for start in range(0, len(samples.days), 128):
            piece = np.asarray(array[start : start + 128])
            seen |= np.isfinite(piece).reshape(len(piece), -1).any(0)
    cells = np.flatnonzero(mask & seen)
    if not len(cells):
        raise DataError(
            f"No cell has an observation of {', '.join(spec.targets)}.", hint="Check the masks and the period."
        )
    chosen = np.zeros_like(mask)
    count = min(limit, len(cells), max(CELL_DAYS // len(samples.days), FEWEST_CELLS))
    chosen[cells[np.linspace(0, len(cells) - 1, count).round().astype(int)]] = True
    return chosen


def _series(samples: Samples, name: str, cells: np.ndarray) -> np.ndarray:
    array = samples.arrays[name]
    days = len(samples.days)
    step = max(1, 2**24 // max(1, cells.size))
    return np.concatenate(
        [np.asarray(array[t : t + step], np.float32).reshape(-1, cells.size)[:, cells] for t in range(0, days, step)]
    )


def _map(samples: Samples, name: str, cells: np.ndarray) -> np.ndarray:
    return np.asarray(samples.arrays[name], np.float32).reshape(-1)[cells]


def _targets(samples: Samples, name: str, cells: np.ndarray) -> np.ndarray:
    values = _series(samples, name, cells)
    infinite = np.isinf(values)
    if infinite.any():
        tell(f"{int(infinite.sum())} infinite values of '{name}' are taken as not observed.")
    wanted = np.isfinite(values) & np.asarray(samples.use, bool)[:, None]
    if samples.weight is not None:
        weight = Samples({"weight": samples.weight}, samples.days, samples.use, samples.mask)
        wanted &= _series(weight, "weight", cells) > 0
    return np.where(wanted, values, np.nan)


def _dynamic(array: np.ndarray) -> dict[str, Any]:
    """Scaling of a covariate; one that is never negative and scatters more than its mean comes in events."""
    good = array[np.isfinite(array)].astype("f8")
    if not len(good):
        return {"kind": "level", "center": 0.0, "scale": 1.0}
    if good.min() >= 0 and good.std() > good.mean() > 0:
        return {"kind": "event", "center": 0.0, "scale": float(good.mean())}
    return {"kind": "level", "center": float(good.mean()), "scale": float(good.std() or 1.0)}


def _static(array: np.ndarray) -> dict[str, Any]:
    good = array[np.isfinite(array)].astype("f8")
    center, scale = (float(good.mean()), float(good.std()) or 1.0) if len(good) else (0.0, 1.0)
    return {"kind": "static", "center": center, "scale": scale}


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

    used = np.asarray(samples.days)[np.asarray(samples.use, bool)]
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
            "period": [str(used[0]), str(used[-1])],
            "cells": cells,
            "mode": config.mode,
        },
        "metrics": metrics,
        "seed": seed,
        "versions": versions("xsm-cru", "torch"),
        "limits": "Learnt from the series of its training period; spread calibrated on hidden observations of it.",
    }
