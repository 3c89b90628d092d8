"""Hiding observations the way nature does, and the distance to what is left."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def hide(observed: np.ndarray, rng: np.random.Generator, share: tuple[float, float] = (0.1, 0.35)) -> np.ndarray:
    """Choose observations to hide: single ones, a block for each cell, and outages that all cells share.

    Parameters
    ----------
    observed : ndarray
        (time, cell) bool.
    rng : Generator
        Source of chance.
    share : tuple of float
        Range of the share hidden at random.

    Returns
    -------
    ndarray
        (time, cell) bool, true where hidden; always leaves a cell at least half of its observations.
    """
    days, cells = observed.shape
    day = np.arange(days)[:, None]
    kind = rng.integers(3, size=cells)
    out = (rng.random((days, cells)) < rng.uniform(*share)) & (kind == 0)
    length = rng.integers(10, 56, size=cells)
    start = (rng.random(cells) * (days + length)).astype(int) - length
    out |= (day >= start) & (day < start + length) & (kind == 1)
    for third in range(3):
        silent = int(rng.integers(20, 46))
        first = int((third + rng.random()) * days / 3) - silent // 2
        out |= (day >= first) & (day < first + silent) & (kind == 2)
    out &= observed
    out &= 2 * out.sum(0) <= observed.sum(0)
    return out


def distance(observed: Tensor, causal: bool = False) -> Tensor:
    """Days (T, C) to the nearest observation (``causal``: the last one); T where there is none."""
    days = observed.shape[0]
    day = torch.arange(days, device=observed.device)[:, None]
    last = torch.where(observed, day, -days).cummax(0).values
    past = (day - last).clamp_max(days)
    if causal:
        return past
    ahead = torch.where(observed, day, 2 * days).flip(0).cummin(0).values.flip(0)
    return torch.minimum(past, (ahead - day).clamp_max(days))
