"""Numbers as JSON takes them, for charts of a browser and of QGIS."""

from __future__ import annotations

import math

import numpy as np

DIGITS = 5
"""Decimals: more than a map of soil moisture or a place in degrees needs."""


def json_numbers(values: np.ndarray, digits: int = DIGITS) -> list[float | None]:
    """Rounded numbers, None for those that are not finite, which JSON has no word for.

    Examples
    --------
    >>> json_numbers(np.array([0.1234567, np.nan, np.inf]))
    [0.12346, None, None]
    """
    return [round(v, digits) if math.isfinite(v) else None for v in values.astype("f8").tolist()]
