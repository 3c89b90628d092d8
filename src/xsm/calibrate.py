"""Whose spread an estimate's standard deviation tells: the truth's where stations say so, else the reference's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from xsm.bundle import Bundle
from xsm.errors import DataError

INTERVAL, NORMAL_95 = 0.95, 1.959964
FEWEST_STATIONS, FEWEST_DAYS = 3, 30
LAYERS = {5: ("surface", "5"), 25: ("subsurface", "20")}


def conformal_factor(ratios: np.ndarray) -> float:
    """Factor of a spread that makes the normal 95 % interval hold 95 % of the values (split conformal).

    Parameters
    ----------
    ratios : ndarray
        Sizes of the errors over the spread, on data that were not learnt from; finite.

    Returns
    -------
    float
        1 where there are none.

    Examples
    --------
    >>> round(conformal_factor(np.abs(np.random.default_rng(0).normal(0, 2, 100_000))), 1)
    2.0
    """
    return float(np.quantile(ratios, INTERVAL) / NORMAL_95) if ratios.size else 1.0


def spread_name(bundle: Bundle) -> str:
    """Name of the spread beside the estimate: ``..._std`` of the true value, ``..._reference_std`` of the reference.

    A bundle that tells nothing is taken at its word: the contract of models says that ``_std`` is the truth's.
    """
    target = bundle.card["targets"][0]
    return f"{target}_std" if bundle.card.get("spread", {}).get("of", "truth") == "truth" else f"{target}_reference_std"


def to_reference(bundle: Bundle) -> Bundle:
    """Say in the card that the spread is that of the reference which the model learnt from."""
    reference = bundle.card.get("references", ["the reference"])[0]
    return _with_spread(bundle, {"of": reference, "factor": 1.0})


def to_stations(bundle: Bundle, ds: xr.Dataset, stations: xr.Dataset, held: np.ndarray) -> Bundle:
    """Scale the spread so that the 95 % interval holds 95 % of the stations' values on the validation days.

    Split conformal: the model has seen neither the stations nor, but for stopping, those days. A station is a point
    in its cell; what it differs from the cell's mean is part of the spread.

    Parameters
    ----------
    bundle : Bundle
        Trained.
    ds : xarray.Dataset
        The cube that it was trained on.
    stations : xarray.Dataset
        ``soil_moisture(sensor, time)``.
    held : ndarray
        Validation days of the cube, bool.

    Returns
    -------
    Bundle
        Its spread is of the truth; of the reference, with a warning, where stations are too few.
    """
    from xsm.ops.estimate import estimate, lead_days
    from xsm.pairs import pair

    card = bundle.card
    depth, target = card["depth"], card["targets"][0]
    layer, at = LAYERS[depth]
    days = np.flatnonzero(held)
    if not len(days):
        return _too_few(bundle, "there is no validation day")
    near = slice(max(days[0] - lead_days(bundle), 0), days[-1] + 1)
    bare = _with_spread(bundle, {"of": "truth", "factor": 1.0})
    part = ds.isel(time=near)
    part.attrs.pop("xsm_region", None)
    maps = estimate(part, depth=depth, scenario=card["scenario"], model=bare)
    maps = maps.isel(time=held[near])
    spread = f"{target}_std"
    maps[spread] = maps[spread].assign_attrs(depth=f"{depth} cm")
    try:
        found = pair(maps, stations, {layer: [target, spread]}, {layer: at})
    except DataError as error:
        return _too_few(bundle, str(error).rstrip("."))
    values = found.layers[layer]
    valid = values.valid.all(0)
    valid &= (valid.sum(-1) >= FEWEST_DAYS)[:, None]
    used = int(valid.any(-1).sum())
    if used < FEWEST_STATIONS:
        return _too_few(bundle, f"{used} have {FEWEST_DAYS} validation days in the cube")
    score = np.abs(values.x[0] - values.y[0])[valid] / values.x[1][valid]
    told = {
        "of": "truth",
        "factor": conformal_factor(score),
        "stations": used,
        "pairs": int(valid.sum()),
        "days": [str(maps["time"].values[k].astype("M8[D]")) for k in (0, -1)],
    }
    return _with_spread(bundle, told)


def _too_few(bundle: Bundle, why: str) -> Bundle:
    made = to_reference(bundle)
    warnings.warn(
        f"The spread is not calibrated to the stations, of which at least {FEWEST_STATIONS} are wanted ({why}); it is "
        f"that of {made.card['spread']['of']} and called {spread_name(made)}.",
        stacklevel=4,
    )
    return made


def _with_spread(bundle: Bundle, spread: dict[str, Any]) -> Bundle:
    if spread["of"] == "truth":
        limits = "The spread is calibrated to stations: points, whose difference from a cell's mean is part of it."
    else:
        limits = f"The spread is that of {spread['of']}, not of the truth: no stations were given."
    return Bundle({**bundle.card, "spread": spread, "limits": limits}, bundle.weights, bundle.surface)
