"""Places without values: mean and spread of the target in a cell, learnt as functions of its static predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

PENALTY = 2.0
"""Of the ridge regressions, in cells: their static predictors are standardised."""
FEWEST = 30
"""Values that a cell needs so that its mean and spread count."""
NARROWEST = 0.005
"""Least spread of a cell, m3 m-3."""


def place_moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each cell; NaN where it has fewer than `FEWEST` values.

    Parameters
    ----------
    values : ndarray
        ``(time, cell)``, NaN where missing.

    Returns
    -------
    mean, spread : ndarray
        ``(cell,)``, float64.

    Examples
    --------
    >>> mean, spread = place_moments(np.tile([[0.1, np.nan], [0.3, np.nan]], (20, 1)))
    >>> mean.round(2), spread.round(2)
    (array([0.2, nan]), array([0.1, nan]))
    """
    known = np.isfinite(values)
    count = known.sum(0)
    number = np.where(count >= FEWEST, count, np.nan)
    mean = np.where(known, values, 0.0).sum(0, dtype="f8") / number
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(0, dtype="f8") / number)
    return mean, np.maximum(spread, NARROWEST)


class Maps(NamedTuple):
    """What the mean and the spread of places follow from, ``(cell, predictor)``, and what the spread scales with."""

    of_mean: np.ndarray
    of_spread: np.ndarray
    scale: np.ndarray

    def of(self, cells: np.ndarray) -> Maps:
        """Return those of some cells."""
        return Maps(*(v[cells] for v in self))


def maps_of(arrays: Mapping[str, np.ndarray], statics: Sequence[str], centre: str | None, scale: str | None) -> Maps:
    """Maps that the moments follow from: a line in ``centre`` and in proportion to ``scale``, else all static ones."""
    cells = next(iter(arrays.values())).shape[-1]
    of_mean, of_spread = (
        [arrays[n] for n in names] for names in ([centre] if centre else statics, [] if scale else statics)
    )
    mean, spread = (np.stack(v, -1).astype("f8") if v else np.empty((cells, 0)) for v in (of_mean, of_spread))
    return Maps(mean, spread, np.maximum(arrays[scale].astype("f8"), NARROWEST) if scale else np.ones(cells))


def learn_places(maps: Maps, mean: np.ndarray, spread: np.ndarray) -> dict[str, np.ndarray]:
    """Regress the mean, and the logarithm of the spread over its scale, on static predictors (ridge).

    Parameters
    ----------
    maps : Maps
        Finite.
    mean, spread : ndarray
        From `place_moments`; cells without them do not count.

    Returns
    -------
    dict of str to ndarray
        ``mean`` and ``spread``: middle, width and slope ``(3, 1 + predictor)``, the first column for the constant.

    Examples
    --------
    >>> wet = np.linspace(0.1, 0.4, 500)
    >>> maps = maps_of({"m": wet, "s": wet}, ["m", "s"], "m", "s")
    >>> mean, spread = moments_at(maps, learn_places(maps, 0.9 * wet, 0.5 * wet))
    >>> mean[[0, -1]].round(2), spread[[0, -1]].round(2)
    (array([0.09, 0.36]), array([0.05, 0.2 ]))
    """
    known = np.isfinite(mean)
    maps, mean, spread = maps.of(known), mean[known], np.log(spread[known])
    of_spread = _line(maps.of_spread, spread - np.log(maps.scale))
    rest = spread - np.log(maps.scale) - _at(maps.of_spread, of_spread)
    of_spread[2, 0] += rest.var() / 2  # of a lognormal, so that spreads are right on average
    return {"mean": _line(maps.of_mean, mean), "spread": of_spread}


def moments_at(maps: Maps, places: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the target in cells, from `learn_places`."""
    return _at(maps.of_mean, places["mean"]), maps.scale * np.exp(_at(maps.of_spread, places["spread"]))


def _line(maps: np.ndarray, values: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones(len(maps)), maps])
    middle, width = design.mean(0), design.std(0)
    middle[0], width[width == 0] = 0.0, 1.0
    design = (design - middle) / width
    penalty = PENALTY * np.diag(np.arange(design.shape[1]) > 0)
    return np.stack([middle, width, np.linalg.solve(design.T @ design + penalty, design.T @ values)])


def _at(maps: np.ndarray, line: np.ndarray) -> np.ndarray:
    middle, width, slope = line
    return np.asarray((np.column_stack([np.ones(len(maps)), maps]) - middle) / width @ slope)
