"""Places without values: mean and spread of the target in a cell, regressed on the static predictors of the cell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

PENALTY = 5.0
"""Of the ridge regressions, in cells: their static predictors are standardised."""
FEWEST = 30
"""Values that a cell needs so that its mean and spread count."""
NARROWEST = 0.005
"""Least spread of a cell, m3 m-3."""


def own_moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    >>> mean, spread = own_moments(np.tile([[0.1, np.nan], [0.3, np.nan]], (20, 1)))
    >>> mean.round(2), spread.round(2)
    (array([0.2, nan]), array([0.1, nan]))
    """
    known = np.isfinite(values)
    count = known.sum(0)
    number = np.where(count >= FEWEST, count, np.nan)
    mean = np.where(known, values, 0.0).sum(0, dtype="f8") / number
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(0, dtype="f8") / number)
    return mean, np.maximum(spread, NARROWEST)


def learn_places(maps: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> dict[str, np.ndarray]:
    """Regress the mean and the logarithm of the spread on static predictors (ridge).

    Parameters
    ----------
    maps : ndarray
        Static predictors ``(cell, predictor)``, finite.
    mean, spread : ndarray
        From `own_moments`; cells without them do not count.

    Returns
    -------
    dict of str to ndarray
        ``middle`` and ``width (predictor,)`` of the predictors, ``lines (1 + predictor, 2)``.

    Examples
    --------
    >>> wet = np.linspace(0.1, 0.4, 500)
    >>> lines = learn_places(wet[:, None], 0.9 * wet, np.full(500, 0.05))
    >>> mean, spread = moments_at(np.array([[0.25]]), lines)
    >>> mean.round(3), spread.round(3)
    (array([0.225]), array([0.05]))
    """
    known = np.isfinite(mean)
    x, y = maps[known].astype("f8"), np.stack([mean, np.log(spread)], -1)[known]
    middle, width = x.mean(0), x.std(0)
    width = np.where(width > 0, width, 1.0)
    design = np.column_stack([np.ones(len(x)), (x - middle) / width])
    penalty = PENALTY * np.diag([0.0] + [1.0] * x.shape[1])
    lines = np.linalg.solve(design.T @ design + penalty, design.T @ y)
    lines[0, 1] += (y - design @ lines)[:, 1].var() / 2  # of a lognormal, so that spreads are right on average
    return {"middle": middle, "width": width, "lines": lines}


def moments_at(maps: np.ndarray, places: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the target in cells, from `learn_places`; ``maps (cell, predictor)``."""
    design = np.column_stack([np.ones(len(maps)), (maps - places["middle"]) / places["width"]])
    mean, spread = (design @ places["lines"]).T
    return mean, np.exp(spread)
