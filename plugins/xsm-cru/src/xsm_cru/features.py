"""Driving input: gap-free covariates as linear reservoirs with several memories.

A covariate that comes in events (rain: never negative, more scattered than its mean) fills reservoirs that drain at
learned rates, faster or slower with the other covariates (evaporation); the rest enters as it is and as a running mean.
In a linear SDE the answer to a known input ``B u`` is such a sum, so the weights of these features are the rows of
``B``; the logarithm of a reservoir lets wet soil answer less (documentation: CRU, "Driving input").
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

KEEP = (0.5, 0.8, 0.9, 0.95, 0.98)
SLOW = 0.9


def cycle(days: np.ndarray, harmonics: int) -> np.ndarray:
    """Sines and cosines (T, 2 * harmonics) of the time of year of datetime64[D] days; smooth, so no date stands out."""
    angle = 2 * np.pi * days.astype("M8[D]").astype("f8") / 365.2425 * np.arange(1, harmonics + 1)[:, None]
    return np.concatenate([np.sin(angle), np.cos(angle)]).T.astype(np.float32)


class Reservoirs(nn.Module):
    """Features (T, P, C) from events (T, E, C) and other covariates (T, O, C), all scaled.

    Every event gives its day, the day before and five memories; every other covariate its day and a running mean.
    """

    def __init__(self, events: int, others: int) -> None:
        super().__init__()
        self.events, self.others = events, others
        k = len(KEEP)
        self.log_rate = nn.Parameter(torch.tensor(np.log(-np.log(KEEP)), dtype=torch.float32).repeat(events, 1))
        self.log_size = nn.Parameter(torch.ones(events, k + 2))
        self.today = nn.Parameter(torch.zeros(events, k) + 0.5)
        self.drying = nn.Parameter(torch.zeros(events, k, others))
        self.log_slow = nn.Parameter(torch.full((others,), float(np.log(-np.log(SLOW)))))
        self.register_buffer("center", torch.zeros(self.width))
        self.register_buffer("spread", torch.ones(self.width))

    @property
    def width(self) -> int:
        """Number of features."""
        return self.events * (len(KEEP) + 2) + 2 * self.others

    def raw(self, events: Tensor, others: Tensor, start: Tensor) -> Tensor:
        """Features before scaling; reservoirs start filled to the long-term mean ``start`` (E, C)."""
        days, _, cells = events.shape
        if not self.width:
            return events.new_zeros(days, 0, cells)
        before = torch.cat([events[:1], events[:-1]])
        mix = torch.sigmoid(self.today)[:, :, None]
        inflow = mix * events[:, :, None] + (1 - mix) * before[:, :, None]
        rate = torch.exp(self.log_rate)[:, :, None]
        if self.others:
            hasten = torch.tanh(torch.einsum("eko,toc->tekc", self.drying, others))
            keep = torch.exp(-rate * torch.exp(1.5 * hasten))
        else:
            keep = torch.exp(-rate).expand(days, -1, -1, cells)
        slow = torch.exp(-torch.exp(self.log_slow))[:, None]
        water, running = start[:, None] / (1 - torch.exp(-rate)), others[0]
        waters, runnings = [], []
        for t in range(days):
            water = keep[t] * water + inflow[t]
            running = slow * running + (1 - slow) * others[t]
            waters.append(water)
            runnings.append(running)
        size = torch.exp(self.log_size)[:, :, None]
        stores = torch.cat([events[:, :, None], before[:, :, None], torch.stack(waters)], 2)
        return torch.cat([torch.log1p(size * stores).flatten(1, 2), others, torch.stack(runnings)], 1)

    def forward(self, events: Tensor, others: Tensor, start: Tensor) -> Tensor:
        """Features of zero mean and unit spread over the training cells."""
        return (self.raw(events, others, start) - self.center[:, None]) / self.spread[:, None]
