"""Weights of a fusion: fixed ones that serve everywhere, and ones that stations correct."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SURFACE_SOURCES, ROOT_SOURCES = ("retrieval", "model_surface", "prediction"), ("model_root", "taught", "operator")
SURFACE_WEIGHTS = np.array([[0.0, 0.2, 0.8], [0.35, 0.2, 0.45]])
"""Of `SURFACE_SOURCES`, on days without and with a retrieval: a land model errs more than a retrieval, and what is
predicted from both least. Chosen on synthetic worlds; scores are flat around them (documentation: Results)."""
ROOT_WEIGHTS = np.array([0.5, 0.2, 0.3])
"""Of `ROOT_SOURCES`, chosen likewise."""
MODEL_MEAN = 0.5
"""Weight of the land model in the mean of a cell, that of the retrieval being the rest: which of them is nearer to the
truth differs from place to place, so that no other weight is as safe."""
SPREADS = {"spread_5cm": np.array([0.2, 0.12, 0.0006]), "spread_25cm": np.array([0.2, 0.19, 0.028])}
"""Shares of the variance of the truth about the fused map, chosen likewise. At 5 cm: of the spread of the prediction,
squared; of the lasting difference of retrieval and land model, squared; a constant. At 25 cm: of the spreads of the
taught model and of the prediction, squared, and of the value, squared."""
SUM = 1e3
"""How much heavier than the ridge an unequal sum of weights weighs."""
RIDGE = 1000.0
"""Station-days by which the fixed weights count."""


def fixed() -> dict[str, np.ndarray]:
    """Weights and spreads of a bundle that knows no stations, by the names that they have in it."""
    fixed_arrays = {"weights_5cm": SURFACE_WEIGHTS, "weights_25cm": ROOT_WEIGHTS} | SPREADS
    return {name: array.copy() for name, array in fixed_arrays.items()}


def spread_of(shares: np.ndarray, parts: Sequence[Any]) -> Any:
    """Standard deviation of the truth: the root of the summed shares of squared parts, numbers or arrays.

    Examples
    --------
    >>> float(spread_of(np.array([1.0, 1.0]), (3.0, 4.0)))
    5.0
    """
    total: Any = sum(share * part**2 for share, part in zip(shares, parts, strict=True))
    return total**0.5


def corrected(weights: np.ndarray, parts: np.ndarray, truth: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Weights that fit measurements, drawn to given ones; they sum to the same.

    Each place has a mean of its own, so that what a point differs from its cell by does not count.

    Parameters
    ----------
    weights : ndarray
        ``(source,)`` to start from.
    parts : ndarray
        ``(source, n)``; finite.
    truth, place : ndarray
        Measurements and the number of their place, ``(n,)``.

    Returns
    -------
    ndarray
        ``(source,)``; no weight below zero.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=20_000)
    >>> parts = truth + rng.normal(size=(2, 20_000)) * np.array([[1.0], [2.0]])
    >>> corrected(np.array([0.5, 0.5]), parts, truth, np.zeros(20_000, int)).round(1)
    array([0.8, 0.2])
    """
    positive = weights > 0
    if positive.sum() < 2 or not truth.size:
        return weights
    from scipy.optimize import nnls

    x, y = _departures(parts[positive], place), _departures(truth[None], place)[0]
    first, scale = weights[positive], RIDGE * np.mean(x.astype("f8") ** 2)
    lower = np.linalg.cholesky(x @ x.T + scale * np.eye(len(first)))
    sum_row = SUM * np.sqrt(scale) * np.ones(len(first))
    rows = np.vstack([lower.T, sum_row])
    right = np.append(np.linalg.solve(lower, x @ y + scale * first), sum_row @ first)
    better = nnls(rows, right)[0]
    out = np.zeros_like(weights)
    out[positive] = better * (first.sum() / better.sum())
    return out


def _departures(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values (n_series, n) without the means of their places."""
    _, at = np.unique(place, return_inverse=True)
    count = np.bincount(at)
    return np.stack([v - (np.bincount(at, v) / count)[at] for v in values.astype("f8")])
