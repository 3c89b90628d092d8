"""A synthetic leaky bucket with rain, and short ways to train on it and to fill it."""

from __future__ import annotations

import numpy as np
import xarray as xr
from xsm.plugin_api import Samples, Spec
from xsm_cru.model import CRU

DAYS = np.arange("2019-01-01", "2019-07-20", dtype="datetime64[D]")
WEATHER = ("precipitation", "air_temperature")
QUICK = {"epochs": 2, "budget": 60.0}


def make_world(cells: int = 24, seed: int = 0) -> dict[str, np.ndarray]:
    """A leaky bucket with rain, observed with noise on 45 % of the days, and two outages of all cells."""
    rng = np.random.default_rng(seed)
    shape = (len(DAYS), cells)
    rain = np.where(rng.random(shape) < 0.2, rng.gamma(0.8, 12, shape), 0)
    warmth = 285 + 10 * np.sin(np.arange(shape[0]) / 58)[:, None] + rng.normal(0, 2, shape)
    water = np.full(shape, 20.0)
    for t in range(1, shape[0]):
        water[t] = 0.93 * water[t - 1] + 0.5 * rain[t]
    sm = 0.1 + 0.004 * water + rng.normal(0, 0.012, shape)
    hidden = rng.random(shape) < 0.55
    hidden[60:95] = hidden[160:172] = True
    return {
        "sm_dca": np.where(hidden, np.nan, sm).astype("f4"), "precipitation": rain.astype("f4"),
        "air_temperature": warmth.astype("f4"), "sand": rng.uniform(10, 90, cells).astype("f4"), "whole": sm,
    }  # fmt: skip


def fit(world, weather=True, statics=("sand",), seed=0, use=None, mask=None, **options):
    inputs = ("sm_dca", *WEATHER) if weather else ("sm_dca",)
    spec = Spec("gapfill", inputs, ("sm_dca",), statics, units={"sm_dca": "m3 m-3"}, options=QUICK | options)
    days, cells = world["sm_dca"].shape
    use = np.ones(days, bool) if use is None else use
    samples = Samples(world, DAYS[:days], use, np.ones(cells, bool) if mask is None else mask)
    return CRU().fit(samples, spec, validation=None, seed=seed, progress=lambda share, text: None)


def fill(world, bundle, **change):
    return CRU().predict_block(world | change, bundle, device="cpu")


def dataset(name: str, values: np.ndarray, units: str) -> xr.Dataset:
    time = DAYS[0].astype("M8[ns]") + np.arange(len(values)) * np.timedelta64(1, "D")
    return xr.Dataset({name: (("time", "cell"), values.astype("f4"), {"units": units})}, {"time": time})
