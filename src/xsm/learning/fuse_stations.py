"""Stations in a fusion: weights are corrected on the training days, the spread is calibrated on the validation days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.data.masks import with_masks
from xsm.data.roles import RETRIEVAL, SURFACE
from xsm.errors import DataError, tell
from xsm.learning import fusing
from xsm.learning.calibration import (
    FEWEST_DAYS,
    FEWEST_STATIONS,
    LARGEST_SHARE,
    LAYERS,
    Place,
    conformal_factor,
    station_error,
)
from xsm.learning.fusion_weights import ROOT_SOURCES, SURFACE_SOURCES, corrected, spread_of

LIMITS = (
    "Weights and spread were corrected by the stations in 'sources'; what these points differ from their cells by, "
    "{:.3f} m3 m-3 by triple collocation at 5 cm, is not part of the spread, at 25 cm neither."
)
UPPER = (
    "Weights and spread were corrected by the stations in 'sources', whose difference from their cells is part of the "
    "spread, which is an upper bound."
)


LEVEL = "level"
"""Land model plus lasting difference, a soil moisture that can be paired; the difference may be negative."""
PRIOR = 0.4
"""Standard deviation of the squared factor of the spread between synthetic worlds."""


@dataclass(frozen=True)
class Beside:
    """Parts of a fused map (source, site, day) beside the stations' daily means (site, day), where both are there."""

    parts: dict[str, np.ndarray]
    truth: np.ndarray
    valid: np.ndarray
    names: list[str]

    @property
    def flat(self) -> xr.Dataset:
        """The parts as a dataset (site, time)."""
        return xr.Dataset({n: (("site", "time"), v) for n, v in self.parts.items()})

    def rows(self, days: np.ndarray, where: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """Index of the valid values of some days, as ``(site, day)`` arrays."""
        some = self.valid & days & (True if where is None else where)
        return np.nonzero(some)


def at_stations(
    bundle: Bundle, ds: xr.Dataset, stations: xr.Dataset, training: np.ndarray, validation: np.ndarray
) -> Bundle:
    """The bundle with weights and spread corrected by stations; unchanged, with a warning, where they are too few."""
    depths = [int(target[3:-2]) for target in bundle.card["targets"]]
    masks, known = with_masks(ds), training | validation
    context = {n: masks[n] for n in ("frozen", "spatial_ref") if n in masks}
    roles = fusing.inputs_of(ds, depths, known)
    parts = fusing.surface_parts(roles, bundle)
    error, weights, teachers = station_error([Place(masks, stations, known)], 5)[0], dict(bundle.weights), set()
    level = {LEVEL: parts[SURFACE] + parts["lasting"].fillna(0.0)}
    beside, why = _beside(parts.assign(context | level), stations, 5, [*SURFACE_SOURCES, "spread", LEVEL], known)
    if beside:
        beside.parts["lasting"] = beside.parts[LEVEL] - beside.parts[SURFACE]
        retrieved = np.isfinite(beside.parts[RETRIEVAL])
        weights["weights_5cm"] = np.stack([
            _corrected(row, beside, SURFACE_SOURCES, beside.rows(training, retrieved == bool(k)))
            for k, row in enumerate(weights["weights_5cm"])
        ])  # fmt: skip
        fused = fusing.merged_surface(beside.flat, weights["weights_5cm"]).values
        scale = fusing.surface_spread(beside.flat, weights["spread_5cm"]).values
        weights["spread_5cm"] = weights["spread_5cm"] * _factor(beside, fused, scale, validation, error) ** 2
        teachers |= set(beside.names)
    if 25 in depths:
        surface = fusing.merged_surface(parts, weights["weights_5cm"])
        deep = fusing.root_parts(roles, surface, bundle).assign(surface_spread=parts["spread"])
        beside, _ = _beside(deep.assign(context), stations, 25, [*ROOT_SOURCES, "spread", "surface_spread"], known)
        if beside:
            rows = beside.rows(training)
            weights["weights_25cm"] = _corrected(weights["weights_25cm"], beside, ROOT_SOURCES, rows)
            root = fusing.merged_root(beside.flat, weights["weights_25cm"]).values
            scale = spread_of(weights["spread_25cm"], (beside.parts["spread"], beside.parts["surface_spread"], root))
            weights["spread_25cm"] = weights["spread_25cm"] * _factor(beside, root, scale, validation, error) ** 2
            teachers |= set(beside.names)
    if not teachers:
        tell(f"The default weights and spread are used: {why}.")
        return bundle
    card: dict[str, Any] = {**bundle.card, "sources": {**bundle.card["sources"], "stations": sorted(teachers)}}
    card["limits"] = LIMITS.format(error) if np.isfinite(error) else UPPER
    return Bundle(card, weights)


def _beside(
    maps: xr.Dataset, stations: xr.Dataset, depth: int, names: list[str], days: np.ndarray
) -> tuple[Beside | None, str]:
    """Parts and stations side by side on some days, else None and why: too few stations have enough days."""
    from xsm.validation.matching import full_name
    from xsm.validation.pairing import pair

    layer, at = LAYERS[depth]
    maps = maps.assign({n: maps[n].assign_attrs(units="m3 m-3") for n in names})
    try:
        pairs = pair(maps, stations, {layer: names}, {layer: at})
    except DataError as error:
        return None, str(error).rstrip(".")
    series = pairs.layers[layer]
    needed = [k for k, n in enumerate(names) if n != RETRIEVAL]
    valid = series.valid[needed].all(0) & days
    valid &= (valid.sum(-1) >= FEWEST_DAYS)[:, None]
    if valid.any(-1).sum() < FEWEST_STATIONS:
        return None, f"fewer than {FEWEST_STATIONS} stations have {FEWEST_DAYS} days in the cube"
    confirmed = [site for site, some in zip(pairs.sites, valid.any(-1), strict=True) if some]
    teachers = [full_name(site.station, site.network) for site in confirmed]
    return Beside(dict(zip(names, series.x, strict=True)), series.y[needed[0]], valid, teachers), ""


def _corrected(
    weights: np.ndarray, beside: Beside, sources: tuple[str, ...], rows: tuple[np.ndarray, ...]
) -> np.ndarray:
    if not rows[0].size:
        return weights
    parts = np.stack([np.where(w > 0, beside.parts[n][rows], 0.0) for n, w in zip(sources, weights, strict=True)])
    return corrected(weights, parts, beside.truth[rows], rows[0])


def _factor(beside: Beside, fused: np.ndarray, spread: np.ndarray, days: np.ndarray, error: float) -> float:
    """Factor of the spread by the stations on some days; 1, with a warning, where too few have enough of these days.

    The variance that the stations' own error leaves is the difference of two large numbers; it moves the factor as far
    as the number of stations makes it certain (normal approximation, `PRIOR` of the square before).
    """
    site, day = beside.rows(days)
    enough = np.bincount(site, minlength=len(beside.truth)) >= FEWEST_DAYS
    if enough.sum() < FEWEST_STATIONS:
        tell(f"The spread is not calibrated: fewer than {FEWEST_STATIONS} stations have {FEWEST_DAYS} validation days.")
        return 1.0
    rows = site[enough[site]], day[enough[site]]
    misses, scale = np.abs(fused[rows] - beside.truth[rows]), spread[rows]
    square, around = np.mean(misses**2), np.mean(scale**2)
    if not error**2 <= LARGEST_SHARE * square:
        return conformal_factor(misses / scale)
    noise = np.sqrt(2 / enough.sum()) * square / around
    certain = PRIOR**2 / (PRIOR**2 + noise**2)
    return float(np.sqrt(1 + certain * ((square - error**2) / around - 1)))
