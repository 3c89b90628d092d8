"""A small synthetic law to learn: soil moisture drives the brightness temperature, the references are noisy views."""

from __future__ import annotations

import numpy as np
from xsm.plugin_api import Samples, Spec
from xsm_convlstm.model import ConvLSTM

MODEL = ConvLSTM()
QUIET = {"validation": None, "seed": 0, "progress": lambda share, text: None}
TINY = {
    "filters": (6, 6),
    "attention": (2,),
    "dropout": 0.0,
    "patch": 12,
    "stride": 8,
    "learning_rate": 1e-2,
    "batch_size": 8,
    "epochs": 6,
    "steps_per_epoch": 12,
    "validation_steps": 4,
}


def law(days: int = 160, n: int = 20, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    bulk = rng.uniform(1.2, 1.6, (n, n))
    wet = np.full((n, n), 0.2)
    truth = np.empty((days, n, n))
    for t in range(days):
        storm = 0.12 * rng.random() * (rng.random() < 0.3)
        wet = np.clip(wet * (0.9 + 0.05 * (bulk - 1.4)) + storm + 0.01 * rng.normal(size=(n, n)), 0.03, 0.45)
        truth[t] = wet
    dca = truth + 0.03 * rng.normal(size=truth.shape)
    dca[rng.random(truth.shape) > 0.4] = np.nan
    arrays = {
        "tb_h": 280 - 200 * truth + 2 * rng.normal(size=truth.shape),
        "surface_temperature": 290 + 5 * rng.normal(size=truth.shape),
        "bulk_density": bulk,
        "sm_noah_0_10": 0.8 * truth + 0.05 + 0.01 * rng.normal(size=truth.shape),
        "sm_dca": dca,
    }
    return {k: v.astype(np.float32) for k, v in arrays.items()}


def samples(arrays: dict[str, np.ndarray], first: int, last: int) -> Samples:
    t, n = len(arrays["tb_h"]), arrays["bulk_density"].shape[0]
    mask = np.ones((n, n), bool)
    mask[:5, :7] = False
    days = np.datetime64("2018-01-01") + np.arange(t)
    return Samples(arrays, days, (np.arange(t) >= first) & (np.arange(t) < last), mask)


def spec(**options: object) -> Spec:
    return Spec(
        task="estimate",
        inputs=("tb_h", "surface_temperature"),
        statics=("bulk_density",),
        targets=("sm_5cm",),
        references=("sm_noah_0_10", "sm_dca"),
        units={"tb_h": "K", "surface_temperature": "K", "bulk_density": "g cm-3", "sm_5cm": "m3 m-3"},
        depth=5,
        scenario=2,
        options=TINY | options,
    )


def block(arrays, first: int, last: int) -> dict[str, np.ndarray]:
    """Two overlapping patches of 12 x 12 cells."""
    corners = ((0, 0), (8, 8))
    cut = {
        k: np.stack([v[..., r : r + 12, c : c + 12] for r, c in corners])
        for k, v in arrays.items()
        if not k.startswith("sm_")
    }
    for name in ("tb_h", "surface_temperature"):
        cut[name] = cut[name][:, first:last]
    mask = samples(arrays, 0, 1).mask
    return cut | {"mask": np.stack([mask[r : r + 12, c : c + 12] for r, c in corners])}


def predict(bundle, arrays):
    return MODEL.predict_block(arrays, bundle, device="cpu")
