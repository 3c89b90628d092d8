"""The model ``convlstm``: training to a bundle, blocks of patches to soil moisture and its spread."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from xsm import Bundle, DataError
from xsm.plugin_api import Block, Samples, Spec, clip_moisture, conformal_factor, make_card

from xsm_convlstm.config import INFO, Config
from xsm_convlstm.inference import able, estimate, estimate_on, flatten, thinned
from xsm_convlstm.network import Network
from xsm_convlstm.sequences import channels, ends, fixed_channels, joined, read, survey

BFLOAT16_ERROR = 0.001
"""Largest change of soil moisture (m3 m-3) on the compared sequences for which estimates use bfloat16: half of the
documented limit, because other sequences may change more."""
JUDGED, COMPARED = 64, 16
"""Maximum numbers of batches that scale the spread, and that are compared with bfloat16."""
HERE = ("checkpoints", "devices")
"""Options that do not change the result of a training; they are not written to the card."""
_LAST: dict[str, Any] = {}
PARTICLE_DENSITY = 2.65


class ConvLSTM:
    """Attention ConvLSTM of Rabiei et al. (2024), section 2.4.

    Decisions that the paper leaves open: documentation, Decisions, "Network".

    Examples
    --------
    >>> from xsm_convlstm.model import ConvLSTM
    >>> ConvLSTM().info.task
    'estimate'
    """

    info = INFO

    def block(self, bundle: Bundle) -> Block:
        """Return the patches that the bundle was trained with; a card that contradicts itself is refused."""
        card = bundle.card
        config = Config.from_options(card.get("options", {}))
        block = Block("patch", config.patch, config.stride, config.look_back)
        lacks = {*card["inputs"], *card["statics"], *card["targets"]} - set(card.get("normalisation", {}))
        if card.get("block") != asdict(block) or lacks:
            raise DataError(
                f"The card of the bundle has the block {card.get('block')}, its options say {asdict(block)}"
                f"{', and it lacks the normalisation of ' + ', '.join(sorted(lacks)) if lacks else ''}.",
                hint="Get or train the bundle again.",
            )
        return block

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Any) -> Bundle:
        """Train on sequences of patches.

        Inputs have no gaps inside the mask; normalisation comes from the days of ``samples.use`` only. Of the
        references the first (Noah) is that of the RMSE, the second (observed SMAP DCA), if any, that of R.
        ``validation`` stops early and scales the spread.
        """
        config = Config.from_options(spec.options)
        if len(spec.targets) != 1 or not spec.references or not spec.inputs:
            raise DataError(
                f"Got {len(spec.targets)} targets, {len(spec.references)} references and {len(spec.inputs)} inputs.",
                hint="Model 'convlstm' needs one target, at least one reference and at least one dynamic input.",
            )
        norm = survey(samples, spec, config)
        if validation is not None:
            survey(validation, spec, config)
        from xsm_convlstm.train import Task, train, validation_batches

        task = Task(samples, spec, config, norm)
        judge = None if validation is None else Task(validation, spec, config, norm)
        trained = []
        for k in range(config.members):
            folder = config.checkpoints and f"{config.checkpoints}/{spec.targets[0]}-{spec.scenario}-{k}"
            report = _part(progress, k, config.members)
            trained.append(train(task, judge, seed=_seed(seed, k), progress=report, folder=folder))
        first = trained[0]
        weights = _named([t.weights for t in trained])
        card = make_card(
            spec,
            self.info.name,
            seed,
            "xsm-convlstm",
            "torch",
            "pytorch-lightning",
            options={k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items() if k not in HERE},
            normalisation=norm,
            block=asdict(Block("patch", config.patch, config.stride, config.look_back)),
            training=_period(samples, config),
            validation={} if validation is None else _period(validation, config),
            history=first.history,
            metrics={"epoch": first.best, **first.history[first.best - 1]},
        )
        judge = judge or task
        rows = validation_batches(judge, seed)[:JUDGED]
        scale, error = measure(load(Bundle(card, weights)), judge, rows)
        norm[spec.targets[0]]["spread_scale"] = scale
        card["metrics"]["bfloat16_error"] = error
        return Bundle(card, weights)

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Estimate every day but the lead-in of a block of patches.

        Soil moisture is clipped to 0.02 and porosity (1 - bulk density / 2.65, else 0.6). Values outside the mask have
        no meaning.
        """
        card = bundle.card
        inputs, statics, target = tuple(card["inputs"]), tuple(card["statics"]), card["targets"][0]
        norm, back = card["normalisation"], card["block"]["look_back"]
        mask = np.asarray(arrays["mask"], bool)
        days = arrays[inputs[0]].shape[1] - back + 1
        if days < 1:
            raise DataError(f"Got {days + back - 1} days, expected at least {back}.", hint="Give a longer period.")
        moving = channels({n: np.asarray(arrays[n]).swapaxes(0, 1) for n in inputs}, inputs, mask, norm)
        still = fixed_channels({n: np.asarray(arrays[n]) for n in statics}, statics, mask, norm)
        passes = Config.from_options(card["options"]).dropout_passes
        kind = arithmetic_of(card, "cpu" if passes else device)
        mean, spread = ensemble(load(bundle, device), moving, still, mask, back, device, kind, passes)
        scale = norm[target]
        mean = scale["mean"] + scale["std"] * mean
        mean = clip_moisture(mean, card, _porosity(arrays, statics))
        return {target: mean, f"{target}_std": spread * np.float32(scale["std"] * scale["spread_scale"])}


def ensemble(
    nets: list[Network],
    moving: np.ndarray,
    still: np.ndarray,
    mask: np.ndarray,
    look_back: int,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    passes: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of networks, or of passes with dropout; the spread includes their differences."""
    pairs = []
    for net in nets:
        if device == "cpu" or passes:
            flat = flatten(net, moving.shape[-1], dtype)
            shape = (mask.shape[1], mask.shape[2])
            thin = [thinned(flat, net.dropout, k, look_back, shape) for k in range(passes)]
            pairs += [estimate(f, moving, still, mask, look_back) for f in thin or [flat]]
        else:
            pairs.append(estimate_on(device, net, joined(moving, still), mask, look_back, dtype))
    means, spreads = map(np.stack, zip(*pairs, strict=True))
    return means.mean(0), np.sqrt(np.square(spreads).mean(0) + means.var(0))


def measure(nets: list[Network], task: Any, rows: list[np.ndarray]) -> tuple[float, float]:
    """Scale the spread on sequences and measure what bfloat16 changes there.

    Returns
    -------
    scale : float
        Factor that makes the normal 95 % interval hold 95 % of the first reference (split conformal).
    error : float
        Largest change of the estimate by bfloat16, in units of the target.
    """
    target, moves = task.norm[task.spec.targets[0]], len(task.spec.inputs)
    scores, error = [np.empty(0)], 0.0
    for k, part in enumerate(rows):
        batch = read(task.samples, task.spec, task.config, task.norm, part)
        x, mask = batch.x.transpose(0, 1, 3, 4, 2), batch.mask[:, 0] > 0
        moving, still = x[..., :moves], x[0, ..., moves:]
        mean, spread = ensemble(nets, moving, still, mask, len(x))
        z = np.abs((batch.references[0][-1] - target["mean"]) / target["std"] - mean[:, 0]) / spread[:, 0]
        scores.append(z[np.isfinite(z)])
        if k < COMPARED:
            other, _ = ensemble(nets, moving, still, mask, len(x), dtype=torch.bfloat16)
            error = max(error, float(np.abs(other - mean)[:, 0][mask].max(initial=0.0) * target["std"]))
    return conformal_factor(np.concatenate(scores)), error


def arithmetic_of(card: Mapping[str, Any], device: str) -> torch.dtype:
    """Bfloat16 where the device supports it and it was measured to change little in the bundle, else float32."""
    error = card.get("metrics", {}).get("bfloat16_error", np.inf)
    return torch.bfloat16 if able(device) and error <= BFLOAT16_ERROR else torch.float32


def load(bundle: Bundle, device: str = "cpu") -> list[Network]:
    """The networks of a bundle, ready to predict; shapes are checked before anything is allocated.

    Those of the last bundle and device are cached, because the blocks of one estimate come one after the other.
    """
    kept = _LAST.get("bundle")
    if kept is None or kept() is not bundle or _LAST["device"] != device:
        _LAST.update(bundle=weakref.ref(bundle), device=device, nets=_load(bundle))
    nets: list[Network] = _LAST["nets"]
    return nets


def _load(bundle: Bundle) -> list[Network]:
    card = bundle.card
    config = Config.from_options(card["options"])
    return [_network(card, config, _of_member(bundle.weights, k, config.members)) for k in range(config.members)]


def _network(card: Mapping[str, Any], config: Config, weights: Mapping[str, np.ndarray]) -> Network:
    with torch.device("meta"):
        net = Network(len(card["inputs"]) + len(card["statics"]) + 1, config)
    try:
        net.load_state_dict({k: torch.tensor(v) for k, v in weights.items()}, assign=True)
    except RuntimeError as error:
        raise DataError(
            f"The weights of the bundle do not fit its card ({str(error).splitlines()[-1].strip()}).",
            hint="Get or train the bundle again.",
        ) from None
    return net.eval()


def _named(members: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Weights of all members in one mapping; those of a single member keep their names."""
    if len(members) == 1:
        return members[0]
    return {f"member{k}.{name}": v for k, member in enumerate(members) for name, v in member.items()}


def _of_member(weights: Mapping[str, np.ndarray], k: int, members: int) -> Mapping[str, np.ndarray]:
    start = f"member{k}."
    return weights if members == 1 else {n[len(start) :]: v for n, v in weights.items() if n.startswith(start)}


def _seed(seed: int, member: int) -> int:
    return seed if member == 0 else int(np.random.SeedSequence([seed, member, 0]).generate_state(1)[0])


def _part(progress: Any, member: int, members: int) -> Any:
    """Progress of one member as a part of the whole."""
    if members == 1:
        return progress
    return lambda share, text: progress((member + share) / members, f"member {member + 1}/{members}: {text}")


def _porosity(arrays: Mapping[str, np.ndarray], statics: tuple[str, ...]) -> np.ndarray | float:
    """Porosity from bulk density (g cm-3) and the density of mineral particles, ``(patch, 1, y, x)``."""
    if "bulk_density" not in statics:
        return np.nan
    return 1.0 - np.asarray(arrays["bulk_density"], np.float32)[:, None] / PARTICLE_DENSITY


def _period(samples: Samples, config: Config) -> dict[str, Any]:
    """First and last training day, number of days and cells."""
    last = np.asarray(samples.days)[ends(samples, config.look_back)]
    return {"first": str(last[0]), "last": str(last[-1]), "days": len(last), "cells": int(np.sum(samples.mask))}
