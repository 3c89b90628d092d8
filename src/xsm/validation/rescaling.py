"""Products brought to the level of a station before they are scored, along the last axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xsm.validation.metrics import Array, paired


def mean_std(x: ArrayLike, y: ArrayLike) -> Array:
    """Give ``x`` the mean and the standard deviation that ``y`` has in their pairs; NaN where there is no pair.

    Examples
    --------
    >>> mean_std([0.1, 0.2, 0.3], [0.2, 0.4, 0.6]).round(3)
    array([0.2, 0.4, 0.6])
    """
    return _moved(x, y, lambda a, b: np.sqrt((b**2).sum(-1) / (a**2).sum(-1)))


def linreg(x: ArrayLike, y: ArrayLike) -> Array:
    """Least squares estimate of ``y`` from ``x`` by their pairs; NaN where there is no pair.

    Examples
    --------
    >>> linreg([0.1, 0.2, 0.3], [0.6, 0.4, 0.2]).round(3)
    array([0.6, 0.4, 0.2])
    """
    return _moved(x, y, lambda a, b: (a * b).sum(-1) / (a**2).sum(-1))


def _moved(x: ArrayLike, y: ArrayLike, slope: Any) -> Array:
    pairs = paired(x, y)
    known = np.isfinite(pairs[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [np.where(known, v, 0.0).sum(-1) / known.sum(-1) for v in pairs]
        around = [np.where(known, v - mean[..., None], 0.0) for v, mean in zip(pairs, means, strict=True)]
        return means[1][..., None] + slope(*around)[..., None] * (pairs[0] - means[0][..., None])


RESCALINGS: Mapping[str, Callable[[ArrayLike, ArrayLike], Array]] = {"mean_std": mean_std, "linreg": linreg}
