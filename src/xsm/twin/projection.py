"""The projections of the twin."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np


def to_albers(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project degrees to EPSG:5070 metres."""
    return transformer("EPSG:4326", "EPSG:5070").transform(lon, lat)


@functools.cache
def transformer(source: str, target: str) -> Any:
    """Make a pyproj transformer once."""
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True)
