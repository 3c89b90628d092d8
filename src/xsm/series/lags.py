"""Correlation of two series at lags of days."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.compute.jit import jit
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.series import derived
from xsm.series.alongside import FEWEST

SIGN = "positive: the reference follows the variable, r(lag) = corr(variable at t, reference at t + lag)"


def on_days_around(ds: xr.Dataset, days: np.ndarray, margin: int) -> tuple[xr.Dataset, np.ndarray]:
    """The dataset on every day of its period and so many around it, NaN where it has none."""
    every = np.arange(days[0] - margin, days[-1] + margin + 1)
    timed = [n for n, v in ds.data_vars.items() if "time" in v.dims]
    at_midnight = ds[timed].assign_coords(time=days.astype("M8[ns]"))
    return ds.drop_vars(timed).drop_vars("time").assign(at_midnight.reindex(time=every.astype("M8[ns]"))), every


def lagged(ds: xr.Dataset, names: Sequence[str], reference: xr.DataArray, largest: int) -> xr.Dataset:
    """Lags and lagged correlations of some variables on all days with a reference; see `xsm.lag`."""
    lags = np.arange(-largest, largest + 1)
    out = xr.Dataset()
    for name in names:
        best, r = along_time(functools.partial(_best, largest=largest), ds[name], reference,
                             outputs=[(), ("lag",)], sizes={"lag": len(lags)})  # fmt: skip
        best, r = (a.astype(np.result_type(ds[name].dtype, np.float32)) for a in (best, r))
        r = r.transpose("lag", ...).assign_coords(lag=("lag", lags, {"units": "days", "comment": SIGN}))
        title = f"Lag of {reference.name} with the largest correlation"
        out[f"{name}_lag"] = derived(best, ds, name, title, units="days", comment=SIGN)
        out[f"{name}_lag_r"] = derived(
            r, ds, name, f"Correlation with {reference.name} at lags", units="1", comment=SIGN
        )
        why = f"No series has {FEWEST} pairs of days with the reference, or one of both is constant."
        tell_emptied(out, {f"{name}_lag": valid_share(ds[name])}, why, [f"{name}_lag"])
    return out


def _best(rows: np.ndarray, other: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Lag with the largest correlation, the shortest of several, and the correlations (cell, lag)."""
    r = _correlations(rows, other, largest)
    lags = np.arange(-largest, largest + 1)
    order = np.argsort(np.abs(lags), kind="stable")
    best = lags[order][np.where(np.isfinite(r), r, -np.inf)[:, order].argmax(1)]
    return np.where(np.isfinite(r).any(1), best, np.nan), r


@jit()
def _correlations(rows: Any, other: Any, largest: int) -> Any:
    """Pearson correlation of the rows with the reference ``lag`` days later, NaN for too few pairs."""
    cells, days = rows.shape
    out = np.full((cells, 2 * largest + 1), np.nan)
    b, known = np.zeros(days + 2 * largest), np.zeros(days + 2 * largest)
    for cell in range(cells):
        here, there = np.isfinite(rows[cell]), np.isfinite(other[cell])
        if here.sum() < FEWEST or there.sum() < FEWEST:
            continue
        at = np.flatnonzero(here)
        a = rows[cell][here] - rows[cell][here].mean()
        middle = other[cell][there].mean()
        for t in range(days):
            known[t + largest] = 1.0 if there[t] else 0.0
            b[t + largest] = other[cell, t] - middle if there[t] else 0.0
        tiny = 1e-20 * (rows[cell][here].mean() ** 2 + (a * a).mean()), 1e-20 * (middle**2 + (b * b).mean())
        for k in range(2 * largest + 1):
            count, sa, sb, saa, sbb, sab = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for i in range(len(at)):
                one, two = a[i] * known[at[i] + k], b[at[i] + k]
                count += known[at[i] + k]
                sa += one
                sb += two
                saa += one * one
                sbb += two * two
                sab += one * two
            if count >= FEWEST:
                aa, bb = saa / count - (sa / count) ** 2, sbb / count - (sb / count) ** 2
                if aa > tiny[0] and bb > tiny[1]:
                    out[cell, k] = (sab / count - sa * sb / count**2) / math.sqrt(aa * bb)
    return out
