"""Scales of series, and what is known of each cell."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from xsm_cru.config import Config
from xsm_cru.tensors import Inputs

LAGS = (1, 2, 3, 5, 8, 16, 32)
PRIOR_COUNT = 2.0


def center_scale(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Mean of all observations, and the mean standard deviation within cells (never zero).

    The latter is shrunk towards that over all cells, the only one that exists where cells have one observation.
    """
    count = inputs.observed.sum(0)
    center = inputs.values.sum(0) / count.clamp_min(1)
    level = inputs.values.sum() / count.sum().clamp_min(1)
    within, overall = (torch.where(inputs.observed, inputs.values - c, 0.0).square().sum() for c in (center, level))
    prior = PRIOR_COUNT * overall / count.sum().clamp_min(1)
    scale = torch.sqrt((within + prior) / ((count - 1).clamp_min(0).sum() + PRIOR_COUNT))
    return level, scale.clamp_min(float(level.abs()) * 1e-4 + 1e-6)


def standardise(inputs: Inputs, level: Tensor, config: Config) -> tuple[Tensor, Tensor, Tensor]:
    """Standardised values (T, C), center (C,) and scale (C,): of each cell, in filter mode the shared ``level``."""
    cells = inputs.values.shape[1]
    if config.mode == "filter":
        center, scale = level[0].expand(cells), level[1].expand(cells)
    else:
        count = inputs.observed.sum(0)
        center = inputs.values.sum(0) / count.clamp_min(1)
        left = torch.where(inputs.observed, inputs.values - center, 0.0)
        scale = torch.sqrt(((left**2).sum(0) + PRIOR_COUNT * level[1] ** 2) / (count + PRIOR_COUNT))
    return torch.where(inputs.observed, (inputs.values - center) / scale, 0.0), center, scale


def standard(features: Tensor) -> Tensor:
    """Features (T, P, C) of zero mean and about unit spread in each cell."""
    if not features.shape[1]:
        return features
    return (features - features.mean(0)) / (features.std(0, unbiased=False) + 0.1)


def describe(values: Tensor, inputs: Inputs, config: Config) -> Tensor:
    """Descriptors of each cell (C, D): its maps, and for the smoother its variogram, skewness, density and climate."""
    parts = [inputs.statics]
    if config.mode == "smoother":
        observed = inputs.observed
        for lag in LAGS:
            both = observed[lag:] & observed[:-lag]
            half = 0.5 * (torch.where(both, values[lag:] - values[:-lag], 0.0) ** 2).sum(0)
            expected = 1.1 - float(np.exp(-lag / 20))
            parts.append(torch.log((half + 3 * expected) / (both.sum(0) + 3))[None])
        count = observed.sum(0)
        parts.append(((values**3).sum(0) / (count + 10))[None])
        parts.append(torch.log((count + 1) / (len(observed) + 1))[None])
        parts += [inputs.events.mean(0), inputs.others.mean(0)]
    return torch.cat(parts).T


def describe_width(statics: int, events: int, others: int, config: Config) -> int:
    """Number of descriptors of a cell."""
    return statics + (len(LAGS) + 2 + events + others if config.mode == "smoother" else 0)
