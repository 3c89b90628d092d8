"""The model ``convlstm``: training to a bundle, blocks of patches to soil moisture and its spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from xsm import Block, Bundle, DataError, Samples, Spec

from xsm_convlstm.config import INFO, Config
from xsm_convlstm.inference import able, estimate, estimate_on, flatten
from xsm_convlstm.network import Network
from xsm_convlstm.sequences import channels, ends, fixed_channels, joined, survey
from xsm_convlstm.train import train

FORMAT = 1
BFLOAT16_ERROR = 0.002
"""Largest change of soil moisture (m3 m-3) for which estimates are made with bfloat16."""
DRIEST, POROSITY, PARTICLE_DENSITY = 0.02, 0.6, 2.65


class ConvLSTM:
    """Attention ConvLSTM of Rabiei et al. (2024), section 2.4, with the decisions of DESIGN.md section 7.

    Examples
    --------
    >>> from xsm_convlstm.model import ConvLSTM
    >>> ConvLSTM().info.task
    'estimate'
    """

    info = INFO

    def block(self, bundle: Bundle) -> Block:
        """Return the patches that the bundle was trained with."""
        return Block(**bundle.card["block"])

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Any) -> Bundle:
        """Train on sequences of patches.

        Parameters
        ----------
        samples : Samples
            Dynamic ``(time, y, x)`` and static ``(y, x)``; no gaps in inputs inside the mask. Normalisation comes from
            the days of ``samples.use`` only.
        spec : Spec
            One target; ``references[0]`` is what RMSE is against (Noah), ``references[1]``, if any, what R is against
            (observed SMAP DCA). ``options`` are a ``preset`` and hyperparameters over it.
        validation : Samples, optional
            For early stopping and the scale of the spread.
        seed : int
            Same seed, same weights.
        progress : callable
            Called with the share done and a sentence after each epoch.

        Returns
        -------
        Bundle
            Without ``grid``, ``sources`` and ``synthetic``, which only the caller knows.
        """
        config = Config.from_options(spec.options)
        if len(spec.targets) != 1 or not spec.references or not spec.inputs:
            raise DataError(
                f"Got {len(spec.targets)} targets, {len(spec.references)} references and {len(spec.inputs)} inputs.",
                hint="Model 'convlstm' wants one target, at least one reference and at least one dynamic input.",
            )
        norm = survey(samples, spec, config)
        if validation is not None:
            survey(validation, spec, config)
        trained = train(samples, validation, spec, config, norm, seed=seed, progress=progress)
        norm[spec.targets[0]]["spread_scale"] = trained.spread_scale
        held = "training" if validation is None else "validation"
        card = {
            "format": FORMAT,
            "task": "estimate",
            "model": self.info.name,
            "depth": spec.depth,
            "scenario": spec.scenario,
            "inputs": list(spec.inputs),
            "statics": list(spec.statics),
            "targets": list(spec.targets),
            "references": list(spec.references),
            "units": dict(spec.units),
            "options": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()},
            "normalisation": norm,
            "block": asdict(Block("patch", config.patch, config.stride, config.look_back)),
            "training": _period(samples, config),
            "validation": None if validation is None else _period(validation, config),
            "history": trained.history,
            "metrics": {"epoch": trained.best, **trained.history[trained.best - 1]},
            "seed": seed,
            "versions": {m: version(m) for m in ("xsm", "xsm-convlstm", "numpy", "torch")},
            "limits": f"The spread is calibrated to {spec.references[0]} on {held} days, not to the truth.",
        }
        return Bundle(card, trained.weights)

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Estimate every day but the lead-in of a block of patches.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Dynamic ``(patch, time, y, x)``, static ``(patch, y, x)`` in the card's units, ``mask (patch, y, x)``.
        bundle : Bundle
            From `fit`.
        device : str
            Torch device.

        Returns
        -------
        mapping of str to ndarray
            Target and ``<target>_std``, float32 ``(patch, time - look_back + 1, y, x)``. Soil moisture is clipped to
            0.02 and porosity (1 - bulk density / 2.65, else 0.6). Values outside the mask mean nothing.
        """
        card = bundle.card
        inputs, statics, target = tuple(card["inputs"]), tuple(card["statics"]), card["targets"][0]
        norm, back = card["normalisation"], card["block"]["look_back"]
        mask = np.asarray(arrays["mask"], bool)
        days = arrays[inputs[0]].shape[1] - back + 1
        if days < 1:
            raise DataError(f"Got {days + back - 1} days, wanted at least {back}.", hint="Give a longer period.")
        moving = channels({n: np.asarray(arrays[n]).swapaxes(0, 1) for n in inputs}, inputs, mask, norm)
        still = fixed_channels({n: np.asarray(arrays[n]) for n in statics}, statics, mask, norm)
        net = load(bundle)
        if device == "cpu":
            flat = flatten(net, len(inputs), arithmetic_of(card))
            mean, spread = estimate(flat, moving, still, mask, back)
        else:
            mean, spread = estimate_on(device, net, joined(moving, still), mask, back)
        scale = norm[target]
        mean = scale["mean"] + scale["std"] * mean
        if card["units"].get(target, "m3 m-3") == "m3 m-3":
            mean = np.clip(mean, DRIEST, _porosity(arrays, statics))
        return {target: mean, f"{target}_std": spread * np.float32(scale["std"] * scale["spread_scale"])}


def arithmetic_of(card: Mapping[str, Any]) -> torch.dtype:
    """Give bfloat16 where this processor computes it and the bundle was measured to bear it, else float32."""
    error = card.get("metrics", {}).get("bfloat16_error", np.inf)
    return torch.bfloat16 if able() and error <= BFLOAT16_ERROR else torch.float32


def load(bundle: Bundle) -> Network:
    """Make the network of a bundle, ready to predict; shapes are checked before anything is allocated."""
    card = bundle.card
    config = Config.from_options(card["options"])
    with torch.device("meta"):
        net = Network(len(card["inputs"]) + len(card["statics"]) + 1, config)
    try:
        net.load_state_dict({k: torch.tensor(v) for k, v in bundle.weights.items()}, assign=True)
    except RuntimeError as error:
        raise DataError(
            f"The weights of the bundle do not fit its card ({str(error).splitlines()[-1].strip()}).",
            hint="Get or train it anew.",
        ) from None
    return net.eval()


def _porosity(arrays: Mapping[str, np.ndarray], statics: tuple[str, ...]) -> np.ndarray | float:
    """Porosity from bulk density (g cm-3) and the density of mineral particles, ``(patch, 1, y, x)``."""
    if "bulk_density" not in statics:
        return POROSITY
    porosity = 1.0 - np.asarray(arrays["bulk_density"], np.float32)[:, None] / PARTICLE_DENSITY
    return np.where(np.isfinite(porosity), porosity, POROSITY).clip(DRIEST)


def _period(samples: Samples, config: Config) -> dict[str, Any]:
    """First and last day learnt from, and how many."""
    last = np.asarray(samples.days)[ends(samples, config.look_back)]
    return {"first": str(last[0]), "last": str(last[-1]), "days": len(last), "cells": int(np.sum(samples.mask))}
