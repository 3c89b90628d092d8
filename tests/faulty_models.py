"""A model that keeps its contract, and one for each way to break it, for the test of the testing kit."""

from __future__ import annotations

import numpy as np

from xsm import Bundle
from xsm.plugin_api import Block, ModelInfo, make_card

GLOBAL = {}


class Sound:
    """A regression of the reference on the predictors; each step is a method, which a faulty model replaces."""

    info = ModelInfo("planted", "Regression", "estimate", f"{__name__}:Sound")
    finds = ""

    def block(self, bundle):
        return Block("series")

    def fit(self, samples, spec, *, validation, seed, progress):
        y = self.reference(samples, spec, validation)
        x = np.stack([self.column(samples, n, y.shape, validation) for n in (*spec.inputs, *spec.statics)], -1)
        keep = np.isfinite(y) & self.counts(samples, spec, y.shape)
        a = np.c_[np.ones(keep.sum()), x[keep]]
        w = np.linalg.lstsq(a, y[keep], rcond=None)[0]
        spread = np.array([np.sqrt(np.mean((a @ w - y[keep]) ** 2)) + 1e-3])
        progress(1.0, "done")
        return self.bundle(spec, seed, {"w": w, "spread": spread})

    def reference(self, samples, spec, validation):
        return np.asarray(samples.arrays[spec.references[0]], "f8")

    def column(self, samples, name, shape, validation):
        return np.broadcast_to(np.asarray(samples.arrays[name], "f8"), shape)

    def counts(self, samples, spec, shape):
        return self.days(samples)[:, None, None] & samples.mask & self.weight(samples, shape)

    def days(self, samples):
        return samples.use

    def weight(self, samples, shape):
        return np.ones(shape, bool) if samples.weight is None else np.asarray(samples.weight, bool)

    def bundle(self, spec, seed, weights):
        return Bundle(make_card(spec, "planted", seed), weights)

    def weights(self, bundle):
        return bundle.weights

    def names(self, arrays, card):
        return (*card["inputs"], *card["statics"])

    def predict_block(self, arrays, bundle, *, device):
        weights, target = self.weights(bundle), bundle.card["targets"][0]
        value = weights["w"][0] + sum(
            w * arrays[n] for w, n in zip(weights["w"][1:], self.names(arrays, bundle.card), strict=True)
        )
        return {target: value, f"{target}_std": self.spread(value, weights["spread"][0])}

    def spread(self, value, spread):
        return np.full(value.shape, spread)


class LearnsFromValidation(Sound):
    finds = "validation"

    def reference(self, samples, spec, validation):
        return np.concatenate([Sound.reference(self, s, spec, None) for s in (samples, validation)])

    def column(self, samples, name, shape, validation):
        part = (len(samples.days), *shape[1:])
        return np.concatenate([Sound.column(self, s, name, part, None) for s in (samples, validation)])

    def counts(self, samples, spec, shape):
        return np.concatenate([super().counts(samples, spec, (len(samples.days), *shape[1:]))] * 2)


class LearnsFromValidationAlone(Sound):
    finds = "validation"

    def fit(self, samples, spec, *, validation, seed, progress):
        return super().fit(validation, spec, validation=None, seed=seed, progress=progress)


class IgnoresUse(Sound):
    finds = "use"

    def days(self, samples):
        return np.ones_like(samples.use)


class IgnoresMask(Sound):
    finds = "mask"

    def counts(self, samples, spec, shape):
        return self.days(samples)[:, None, None] & self.weight(samples, shape)


class IgnoresWeight(Sound):
    finds = "weight"

    def weight(self, samples, shape):
        return np.ones(shape, bool)


class ChangesSamples(Sound):
    finds = "fit changes"

    def reference(self, samples, spec, validation):
        samples.arrays[spec.references[0]][~samples.use] = 0.0
        return super().reference(samples, spec, validation)


class ChangesBlocks(Sound):
    finds = "predict_block changes"

    def predict_block(self, arrays, bundle, *, device):
        arrays["tb_h"] *= 1.0
        arrays["tb_h"] += 0.0
        arrays["tb_h"][0] = 0.0
        return super().predict_block(arrays, bundle, device=device)


class KeepsStateInTheClass(Sound):
    finds = "bundle"

    def bundle(self, spec, seed, weights):
        type(self).kept = weights
        return super().bundle(spec, seed, {"w": np.zeros(1)})

    def weights(self, bundle):
        return self.kept


class KeepsStateInTheModule(Sound):
    finds = "bundle"

    def bundle(self, spec, seed, weights):
        GLOBAL["weights"] = weights
        return super().bundle(spec, seed, {"w": np.zeros(1)})

    def weights(self, bundle):
        return GLOBAL["weights"]


class KeepsStateInTheInstance(Sound):
    finds = "bundle"

    def bundle(self, spec, seed, weights):
        self.kept = weights
        return super().bundle(spec, seed, {"w": np.zeros(1)})

    def weights(self, bundle):
        return self.kept


class HugeSpread(Sound):
    finds = "spread"

    def spread(self, value, spread):
        return np.full(value.shape, 10.0)


class NoSpread(Sound):
    finds = "spread"

    def reference(self, samples, spec, validation):
        return super().reference(samples, spec, None) + 0.05 * np.random.default_rng(0).normal(size=(60, 40, 40))

    def spread(self, value, spread):
        return np.zeros(value.shape)


class NegativeSpread(Sound):
    finds = "spread"

    def spread(self, value, spread):
        return np.full(value.shape, -spread)


class SpreadMissing(Sound):
    finds = "sm_5cm_std"

    def predict_block(self, arrays, bundle, *, device):
        return {"sm_5cm": super().predict_block(arrays, bundle, device=device)["sm_5cm"]}


class OtherUnits(Sound):
    finds = "physical units"

    def predict_block(self, arrays, bundle, *, device):
        out = super().predict_block(arrays, bundle, device=device)
        return {**out, "sm_5cm": 100 * out["sm_5cm"]}


class OtherShape(Sound):
    finds = "shape"

    def predict_block(self, arrays, bundle, *, device):
        return {n: v[1:] for n, v in super().predict_block(arrays, bundle, device=device).items()}


class ChanceInFit(Sound):
    finds = "seed"

    def bundle(self, spec, seed, weights):
        return super().bundle(spec, seed, {**weights, "w": weights["w"] + 1e-6 * np.random.default_rng().normal()})


class ChanceInPrediction(Sound):
    finds = "same block"

    def predict_block(self, arrays, bundle, *, device):
        out = super().predict_block(arrays, bundle, device=device)
        return {**out, "sm_5cm": out["sm_5cm"] + 1e-4 * np.random.default_rng().normal()}


class OrderOfArrays(Sound):
    finds = "order"

    def names(self, arrays, card):
        return tuple(arrays)


class CellsDependOnEachOther(Sound):
    finds = "cells"

    def predict_block(self, arrays, bundle, *, device):
        sand = arrays["sand"] - arrays["sand"].mean() + 35
        return super().predict_block({**arrays, "sand": sand}, bundle, device=device)


class OtherCard(Sound):
    finds = "card"

    def bundle(self, spec, seed, weights):
        return Bundle(make_card(spec, "another", seed), weights)


class ProgressInPercent(Sound):
    finds = "progress"

    def fit(self, samples, spec, *, validation, seed, progress):
        progress(50.0, "half")
        return super().fit(samples, spec, validation=validation, seed=seed, progress=progress)


FAULTS = {kind.__name__: kind for kind in Sound.__subclasses__()}
