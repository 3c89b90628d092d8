"""Hiding observations the way nature does, and the distance to those that are left."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def hide(observed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose observations to hide: single ones, a block for each cell, and outages that all cells share.

    Parameters
    ----------
    observed : ndarray
        (time, cell) bool.
    rng : Generator
        Random numbers.

    Returns
    -------
    ndarray
        (time, cell) bool, true where hidden; a cell always keeps at least half of its observations.
    """
    days, cells = observed.shape
    day = np.arange(days)[:, None]
    kind = rng.integers(3, size=cells)
    out = (rng.random((days, cells)) < rng.uniform(0.1, 0.35)) & (kind == 0)
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


def neighbours(values: Tensor, observed: Tensor, causal: bool = False) -> Tensor:
    """Two observations on either side of each day (``causal``: before it), the day itself left out.

    Returns
    -------
    Tensor
        (T, 8, C) or (T, 4, C): for each value (0 where there is none) and logarithm of the days to it, over 5, at most
        60 days.
    """
    days, cells = values.shape
    day = torch.arange(days, device=values.device)[:, None]
    parts = []
    for back in (False,) if causal else (False, True):
        value, valid = (values.flip(0), observed.flip(0)) if back else (values, observed)
        last = torch.where(valid, day, -1).cummax(0).values
        first = torch.cat([last.new_full((1, cells), -1), last[:-1]])
        second = torch.where(first < 0, -1, first.gather(0, first.clamp_min(0)))
        for index in (first, second):
            near = torch.where(index < 0, 0.0, value.gather(0, index.clamp_min(0)))
            far = torch.log(torch.where(index < 0, 60, (day - index).clamp_max(60)) / 5)
            parts += [x.flip(0) if back else x for x in (near, far)]
    return torch.stack(parts, 1)


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
