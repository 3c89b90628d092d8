"""Calibrate the spread of an estimate: to the truth where there are stations, else to the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xsm.contracts.bundle import Bundle, spread_name
from xsm.data.roles import RETRIEVAL, SURFACE, holders
from xsm.errors import DataError, tell
from xsm.learning.derived import with_predictors
from xsm.learning.estimating import estimate_maps, lead_days

INTERVAL, NORMAL_95 = 0.95, 1.959964
FEWEST_STATIONS, FEWEST_DAYS = 3, 30
FEWEST_TRIPLES, LARGEST_SHARE = 300, 0.9
"""Station-days that the stations' error is estimated from, and its largest share of the mean squared difference."""
TRIPLE = {5: (RETRIEVAL, SURFACE)}
"""Roles of two products, independent of each other and of the stations, by depth; none is known at 25 cm."""
LAYERS = {5: ("surface", "5"), 25: ("subsurface", "20")}


class Place(NamedTuple):
    """A cube, its stations ``soil_moisture(sensor, time)``, and which of its days (bool) validate and train a model."""

    cube: xr.Dataset
    stations: xr.Dataset
    validation_days: np.ndarray
    training_days: np.ndarray | None = None

    @property
    def known_days(self) -> np.ndarray:
        """Days that are not kept for a test."""
        return self.validation_days if self.training_days is None else self.validation_days | self.training_days


def conformal_factor(ratios: np.ndarray) -> float:
    """Factor of a spread that makes the normal 95 % interval hold 95 % of the values (split conformal).

    Parameters
    ----------
    ratios : ndarray
        Absolute errors divided by the spread, on data that the model has not learnt from; finite.

    Returns
    -------
    float
        1 where there are no ratios.

    Examples
    --------
    >>> round(conformal_factor(np.abs(np.random.default_rng(0).normal(0, 2, 100_000))), 1)
    2.0
    """
    return float(np.quantile(ratios, INTERVAL) / NORMAL_95) if ratios.size else 1.0


def factor_beside(misses: np.ndarray, spread: np.ndarray, other: float) -> float:
    """Factor of a spread that, with another error added in quadrature, makes the 95 % interval hold 95 % of the values.

    Parameters
    ----------
    misses, spread : ndarray
        Absolute differences from measurements that have an error of their own, and the spread; finite.
    other : float
        Standard deviation of that error.

    Returns
    -------
    float
        NaN where the other error is unknown or leaves nothing for the spread.

    Examples
    --------
    >>> misses = np.abs(np.random.default_rng(0).normal(0, np.hypot(0.03, 0.04), 100_000))
    >>> round(factor_beside(misses, np.full(misses.size, 0.01), 0.04), 1)
    3.0
    """
    if not other**2 <= LARGEST_SHARE * np.mean(misses**2):
        return np.nan
    low, high = 0.0, conformal_factor(misses / spread)
    for _ in range(50):
        middle = (low + high) / 2
        too_wide = np.quantile(misses / np.hypot(middle * spread, other), INTERVAL) < NORMAL_95
        low, high = (low, middle) if too_wide else (middle, high)
    return high


def station_error(places: Sequence[Place], depth: int) -> tuple[float, int]:
    """The stations' representativeness error, by triple collocation with an observed retrieval and a land model.

    All station-days of all places are pooled and means are not removed, because most of the difference between a point
    and its cell is constant in time. Estimates take no part.

    Parameters
    ----------
    places : sequence of Place
        Their cubes have both products; days that neither train nor validate do not count.
    depth : {5, 25}
        At 25 cm there is no third product.

    Returns
    -------
    float, int
        Standard deviation in m3 m-3, NaN where it cannot be estimated; number of station-days.
    """
    from xsm.validation.metrics import triple_collocation

    triples = [t for place in places if (t := _triples(place, depth)) is not None]
    stations = sum(len(np.unique(where)) for where, _ in triples)
    days = sum(len(where) for where, _ in triples)
    if days < FEWEST_TRIPLES or stations < FEWEST_STATIONS:
        return np.nan, days
    return float(triple_collocation(*np.concatenate([values for _, values in triples], 1))["error_std"][0]), days


def _triples(place: Place, depth: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Index of the station, and the values of station, retrieval and land model, on every day that has all three."""
    from xsm.validation.pairing import pair
    from xsm.validation.products import only_observed

    known_names = holders(place.cube)
    names = [known_names[role] for role in TRIPLE.get(depth, ()) if role in known_names]
    if len(names) < 2:
        return None
    layer, at = LAYERS[depth]
    observed = only_observed(place.cube, names)
    known = xr.DataArray(place.known_days, dims="time")
    try:
        pairs = pair(observed.assign({n: observed[n].where(known) for n in names}), place.stations, {layer: names},
                     {layer: at}).layers[layer]  # fmt: skip
    except DataError:
        return None
    valid = pairs.valid.all(0)
    return np.nonzero(valid)[0], np.stack([pairs.y[-1][valid], *(x[valid] for x in pairs.x)])


def to_reference(bundle: Bundle) -> Bundle:
    """Record in the card that the spread is that of the reference which the model learnt from."""
    reference = bundle.card.get("references", ["the reference"])[0]
    return _with_spread(bundle, {"of": reference, "factor": 1.0})


def to_stations(bundle: Bundle, places: Sequence[Place]) -> Bundle:
    """Scale the spread so that the 95 % interval contains 95 % of the stations' values on the validation days.

    Split conformal: the model has learnt neither from the stations nor, except for stopping, from those days. A station
    is a point in its cell: its representativeness error (`station_error`) is added in quadrature, so that the spread is
    that of the cell. Where that error cannot be estimated it is part of the spread, which is then an upper bound.

    Parameters
    ----------
    bundle : Bundle
        Trained.
    places : sequence of Place
        The cube that it was trained on with its validation days, or regions that it was not trained on.

    Returns
    -------
    Bundle
        Its spread is that of the truth; that of the reference, with a warning, where there are too few stations.
    """
    places = [place for place in places if place.validation_days.any()]
    if not places:
        return _too_few(bundle, "there is no validation day")
    parts: list[tuple[int, np.ndarray, np.ndarray]] = []
    why = f"none has {FEWEST_DAYS} validation days in the cube"
    for place in places:
        maps = _validation_estimate(bundle, place)
        try:
            parts.append(_misses(bundle, place, maps))
        except DataError as error:
            why = str(error).rstrip(".")
    n_stations = sum(n for n, _, _ in parts)
    if n_stations < FEWEST_STATIONS:
        return _too_few(bundle, f"{n_stations} have {FEWEST_DAYS} validation days in the cube" if n_stations else why)
    misses, spread = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
    error_std, triples = station_error(places, bundle.card["depth"])
    factor = factor_beside(misses, spread, error_std)
    days = np.concatenate([place.cube["time"].values[place.validation_days] for place in places]).astype("M8[D]")
    calibration = {
        "of": "truth",
        "factor": factor if np.isfinite(factor) else conformal_factor(misses / spread),
        "station_error": error_std if np.isfinite(factor) else None,
        "triples": triples,
        "stations": n_stations,
        "pairs": len(misses),
        "days": [str(days.min()), str(days.max())],
    }
    return _with_spread(bundle, calibration)


def _validation_estimate(bundle: Bundle, place: Place) -> xr.Dataset:
    """The estimate of a place on its validation days, with the spread as the model gives it."""
    depth, spread = bundle.card["depth"], f"{bundle.card['targets'][0]}_std"
    days = np.flatnonzero(place.validation_days)
    near = slice(max(days[0] - lead_days(bundle), 0), days[-1] + 1)
    bare = _with_spread(bundle, {"of": "truth", "factor": 1.0})
    part = with_predictors(place.cube, bundle.card).isel(time=near)
    part.attrs.pop("xsm_region", None)
    maps = estimate_maps(part, bare, depth, bundle.card["scenario"])
    maps = maps.isel(time=place.validation_days[near])
    maps[spread] = maps[spread].assign_attrs(depth=f"{depth} cm")
    return maps


def _misses(bundle: Bundle, place: Place, maps: xr.Dataset) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of stations with enough validation days, their absolute differences from the estimate, its spread."""
    from xsm.validation.pairing import pair

    target, (layer, at) = bundle.card["targets"][0], LAYERS[bundle.card["depth"]]
    values = pair(maps, place.stations, {layer: [target, f"{target}_std"]}, {layer: at}).layers[layer]
    valid = values.valid.all(0)
    valid &= (valid.sum(-1) >= FEWEST_DAYS)[:, None]
    return int(valid.any(-1).sum()), np.abs(values.x[0] - values.y[0])[valid], values.x[1][valid]


def _too_few(bundle: Bundle, why: str) -> Bundle:
    bundle = to_reference(bundle)
    tell(
        f"The spread is not calibrated to the stations, of which at least {FEWEST_STATIONS} are needed ({why}); it is "
        f"that of {bundle.card['spread']['of']} and called {spread_name(bundle)}."
    )
    return bundle


def _with_spread(bundle: Bundle, spread: dict[str, Any]) -> Bundle:
    if spread.get("station_error"):
        limits = (
            "The spread is calibrated to stations, without their representativeness error of "
            f"{spread['station_error']:.3f} m3 m-3, which triple collocation with a retrieval and a land model gave."
        )
    elif spread["of"] == "truth":
        limits = (
            "The spread is calibrated to stations and includes their representativeness error, so it is an upper bound."
        )
    else:
        limits = f"The spread is that of {spread['of']}, not of the truth: no stations were given."
    return Bundle({**bundle.card, "spread": spread, "limits": limits}, bundle.weights, bundle.surface)
