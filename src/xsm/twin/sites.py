"""Where the synthetic stations stand."""

from __future__ import annotations

import numpy as np

from xsm.twin.fields import rng
from xsm.twin.soil import WATER, Ground


def choose_sites(seed: int, ground: Ground, inner: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """Choose the cells of stations: dry land inside the window, one for about 80 cells, at least 4 and at most 30."""
    height, width = ground.land_cover.shape
    free = np.zeros((height, width), bool)
    free[inner] = (ground.water < 0.1)[inner]
    row, col = np.nonzero(free if free.any() else ground.land_cover != WATER)
    count = min(max(free[inner].size // 80, 4), 30, len(row))
    picks = rng(seed, "sites").choice(len(row), count, replace=False)
    return row[picks], col[picks]
