"""The model ``lstm``: series of cells to soil moisture and its spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from xsm import Bundle, DataError
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

from xsm_lstm import INFO
from xsm_lstm.network import Network
from xsm_lstm.train import Series, channels, moments, train

CELLS_AT_ONCE = 1024


class LSTM:
    """One LSTM for all cells, fed with the weather of each cell and its static predictors (Kratzert et al. 2019).

    Examples
    --------
    >>> from xsm_lstm.model import LSTM
    >>> LSTM().info.task
    'estimate'
    """

    info = INFO

    def block(self, bundle: Bundle) -> Block:
        """Return whole series: cells are independent of each other."""
        return Block("series")

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Progress) -> Bundle:
        """Train on sequences of single cells to follow ``spec.references[0]``; weights of a member begin ``<member>.``.

        ``validation`` stops early and scales the spread; normalisation comes from the days of ``samples.use`` only.
        """
        options = series_settings(self.info, spec)
        cells = np.random.default_rng(seed).permutation(int(np.sum(samples.mask)))[: options["cells"]]
        norm: dict[str, Any] = moments(samples, spec, cells)
        series = _series(samples, spec, options, norm, cells)
        if not np.isfinite(series.y).any():
            raise DataError(
                f"The reference '{spec.references[0]}' is not observed on any training day.",
                hint="Check its period and its overlap with the inputs.",
            )
        norm["scaled target"] = {"mean": float(np.nanmean(series.y)), "std": float(np.nanstd(series.y)) or 1.0}
        checks = None if validation is None else _series(validation, spec, options, norm, cells)
        if checks is not None and not np.isfinite(checks.y).any():
            raise DataError(
                f"The reference '{spec.references[0]}' is not observed on any validation day.",
                hint="Choose other validation days.",
            )
        series, checks = _standard(series, norm), None if checks is None else _standard(checks, norm)
        members = options["members"]
        trained = []
        for k in range(members):

            def report(share: float, text: str, k: int = k) -> None:
                progress((k + share) / members, text if members == 1 else f"member {k + 1}, {text}")

            trained.append(train(series, checks, options, seed=seed + k, progress=report))
        ratios = np.concatenate([t.ratios for t in trained])
        target = spec.targets[0]
        norm[target] = {"spread_scale": conformal_factor(ratios)}
        card = make_card(
            spec,
            self.info.name,
            seed,
            "torch",
            options=options,
            normalisation=norm,
            history=trained[0].history,
            metrics={"epoch": trained[0].best, **trained[0].history[trained[0].best - 1]},
            limits=f"The spread is calibrated to {spec.references[0]}, not to the truth.",
        )
        return Bundle(card, {f"{k}.{n}": w for k, t in enumerate(trained) for n, w in t.weights.items()})

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Estimate whole series; the first weeks lack the memory of earlier weather.

        The spread includes that between members.
        """
        card, options = bundle.card, bundle.card["options"]
        norm, target, names = card["normalisation"], card["targets"][0], (card["inputs"], card["statics"])
        nets = load(bundle, device)
        days, cells = arrays[card["inputs"][0]].shape
        mean, spread = np.empty((days, cells), np.float32), np.empty((days, cells), np.float32)
        scaled = norm["scaled target"]
        for part in (slice(k, k + CELLS_AT_ONCE) for k in range(0, cells, CELLS_AT_ONCE)):
            some = {n: np.asarray(arrays[n])[..., part] for n in (*names[0], *names[1])}
            x = torch.from_numpy(channels(some, names, norm)).to(device)
            with torch.inference_mode():
                parts = [tuple(v.cpu().numpy() for v in net(x)) for net in nets]
            means, spreads = (np.stack(v) for v in zip(*parts, strict=True))
            middle, scale = centre_and_scale(some, options)
            mean[:, part] = middle + scale * (scaled["mean"] + scaled["std"] * means.mean(0))
            within = norm[target]["spread_scale"] * np.sqrt((spreads**2).mean(0))
            spread[:, part] = scale * scaled["std"] * np.sqrt(within**2 + means.var(0))
        return {target: clip_moisture(mean, card), f"{target}_std": spread}


def load(bundle: Bundle, device: str) -> list[Network]:
    """The networks of a bundle, ready to predict."""
    card = bundle.card
    options = card["options"]
    nets = []
    for k in range(options["members"]):
        with torch.device("meta"):
            net = Network(len(card["inputs"]) + len(card["statics"]), options["hidden"], 0.0, 0.0)
        state = {n.split(".", 1)[1]: torch.tensor(w) for n, w in bundle.weights.items() if n.startswith(f"{k}.")}
        try:
            net.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise DataError(
                f"The weights of the bundle do not fit its card ({str(error).splitlines()[-1].strip()}).",
                hint="Get or train the bundle again.",
            ) from None
        nets.append(net.to(device).eval())
    return nets


def _series(
    samples: Samples, spec: Spec, options: Mapping[str, Any], norm: Mapping[str, Any], cells: np.ndarray
) -> Series:
    arrays = {n: samples.series(n, cells) for n in (*spec.inputs, *spec.statics)}
    middle, scale = centre_and_scale(arrays, options)
    reference = spec.references[0]
    y = np.where(
        samples.counts(reference, cells), (samples.series(reference, cells) - middle) / scale, np.float32(np.nan)
    )
    return Series(channels(arrays, (spec.inputs, spec.statics), norm), y.astype("f4"))


def _standard(series: Series, norm: Mapping[str, Any]) -> Series:
    scaled = norm["scaled target"]
    return Series(series.x, ((series.y - scaled["mean"]) / scaled["std"]).astype("f4"))
