"""How much a field varies in time and in space beside its reference: a model that learnt nothing gives a constant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from xsm.errors import tell

LEAST = 0.2
"""Ratio of standard deviations below which an estimate hardly follows its reference."""
FEWEST_DAYS, FEWEST_CELLS = 5, 5
WORDS = {"time": "from day to day", "space": "from cell to cell"}


def ratios(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Standard deviations of an estimate, as shares of the reference's, on the values (day, cell) that both have.

    Examples
    --------
    >>> reference = np.arange(60.0).reshape(6, 10)
    >>> ratios(reference / 2, reference)
    {'time': 0.5, 'space': 0.5}
    """
    both = np.isfinite(estimate) & np.isfinite(reference)
    cells = both.sum(0) >= FEWEST_DAYS
    parts = [np.where(both, v, np.nan)[:, cells].astype("f8") for v in (estimate, reference)]
    if not cells.any():
        return {}
    in_time = [float(np.sqrt(np.nanvar(v, axis=0).mean())) for v in parts]
    in_space = [float(np.nanmean(v, axis=0).std()) for v in parts] if cells.sum() >= FEWEST_CELLS else [0.0, 0.0]
    both_ways = {"time": in_time, "space": in_space}
    return {k: round(mine / other, 4) for k, (mine, other) in both_ways.items() if other > 0}


def map_ratios(estimate: xr.DataArray, references: xr.Dataset) -> dict[str, float]:
    """The ratios beside the reference that varies least, over all cells of maps."""
    each = []
    for reference in references.data_vars.values():
        one, other = (
            v.transpose("time", ...).values for v in xr.broadcast(estimate, reference.reset_coords(drop=True))
        )
        each.append(ratios(one.reshape(len(one), -1), other.reshape(len(other), -1)))
    return {k: max(r[k] for r in each if k in r) for k in WORDS if any(k in r for r in each)}


def tell_flat(what: str, shares: Mapping[str, float], reference: str, *, model: bool = True) -> str:
    """Warn of ratios below `LEAST` in one sentence, which is returned; empty where there are none."""
    low = {k: v for k, v in shares.items() if k in WORDS and v < LEAST}
    if not low:
        return ""
    parts = " and ".join(f"{WORDS[k]} is {v:.2g}" for k, v in low.items())
    advice = "The model has learnt next to nothing: train it longer, or check its predictors."
    sentence = (
        f"{what} hardly varies: its standard deviation {parts} times that of {reference} (less than {LEAST:g}), so "
        f"correlations say little about it. {advice if model else 'Look at its unit and its values.'}"
    )
    tell(sentence)
    return sentence
