"""The mode bank: a sum of Ornstein-Uhlenbeck modes, conditioned exactly on what was observed.

``x(t) = sum_i z_i(t)`` with ``dz_i = -rate_i z_i dt + dW_i`` started at its stationary variance is the Gaussian process
with covariance ``sum_i variance_i exp(-rate_i |t - s|)``. The filter keeps the full ``modes x modes`` covariance; the
smoother is the fixed-interval recursion of Bryson and Frazier, which equals Rauch-Tung-Striebel without inverting the
predicted covariance. Covariances do not depend on values, so several columns (the series, a constant, covariates) run
through one filter; their whitened innovations give the generalised least squares of a regression with a Gaussian prior
(de Jong's augmented filter). Everything is elementwise over cells: no cell can touch another.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Filtered:
    """Results of the forward pass; T days, Q columns, m modes, C cells.

    ``predicted`` (T, Q, m, C) and ``covariance`` (T, m, m, C) before the update of the day, ``innovation`` (T, Q, C),
    ``precision`` (T, C) one over the innovation variance and 0 without observation, ``gain`` (T, m, C), ``decay`` the
    transition factors into each day (m, C).
    """

    predicted: Tensor
    covariance: Tensor
    innovation: Tensor
    precision: Tensor
    gain: Tensor
    decay: list[Tensor]

    @property
    def mean(self) -> Tensor:
        """Mode means after the update of the day (T, Q, m, C)."""
        return self.predicted + self.gain[:, None] * self.innovation[:, :, None]

    @property
    def predicted_variance(self) -> Tensor:
        """Variance of the sum of modes before the update of the day (T, C)."""
        return self.covariance.sum((1, 2))

    @property
    def variance(self) -> Tensor:
        """Variance of the sum of modes after the update of the day (T, C)."""
        before = self.predicted_variance
        return before - before**2 * self.precision


def filter_bank(
    columns: Tensor, observed: Tensor, noise: Tensor, rates: Tensor, variances: Tensor, steps: Tensor | None = None
) -> Filtered:
    """Run the Kalman filter of the mode bank.

    Parameters
    ----------
    columns : Tensor
        (T, Q, C) values; those without an observation are ignored but must be finite.
    observed : Tensor
        (T, C) bool.
    noise : Tensor
        (T, C) or (1, C) observation variance.
    rates, variances : Tensor
        (m, C) rates per day (positive) and stationary variances of the modes.
    steps : Tensor, optional
        (T,) days since the entry before (the first is ignored); default one day each.

    Returns
    -------
    Filtered

    Notes
    -----
    "The bank of modes" (documentation: CRU): H is ones, A is diagonal, the start stationary; the covariance after a
    step of any length is ``F S F' + V - F V F'`` with ``V = diag(variances)``, so no gap is too long.
    """
    days, width, cells = columns.shape
    count = rates.shape[0]
    noise = noise.expand(days, cells)
    stationary = torch.diag_embed(variances.T).permute(1, 2, 0)
    decay = torch.exp(-rates)
    mean = columns.new_zeros(width, count, cells)
    covariance = stationary
    weight = observed.to(columns.dtype)
    square = decay[:, None] * decay[None]
    drive = stationary * (1 - square)
    kept: list[list[Tensor]] = [[], [], [], [], []]
    decays = []
    for t in range(days):
        if steps is not None:
            decay = torch.exp(-rates * steps[t])
        if t:
            if steps is not None:
                square = decay[:, None] * decay[None]
                drive = stationary * (1 - square)
            mean = decay * mean
            covariance = square * covariance + drive
        across = covariance.sum(1)
        precision = weight[t] / (across.sum(0) + noise[t])
        gain = across * precision
        innovation = columns[t] - mean.sum(1)
        for store, item in zip(kept, (mean, covariance, innovation, precision, gain), strict=True):
            store.append(item)
        decays.append(decay)
        mean = mean + gain * innovation[:, None]
        covariance = covariance - gain[:, None] * across[None]
    means, covariances, innovations, precisions, gains = (torch.stack(k) for k in kept)
    return Filtered(means, covariances, innovations, precisions, gains, decays)


def smooth_bank(filtered: Filtered) -> tuple[Tensor, Tensor]:
    """Smooth backward over the stored filter results.

    Returns
    -------
    mean : Tensor
        (T, Q, m, C) mode means given all observations.
    variance : Tensor
        (T, C) variance of the sum of modes given all observations.
    """
    f = filtered
    days = f.precision.shape[0]
    weighted = f.innovation * f.precision[:, None]
    adjoint = torch.zeros_like(f.predicted[0])
    information = torch.zeros_like(f.covariance[0])
    adjoints, informations = [], []
    square = None
    for t in reversed(range(days)):
        if t < days - 1:
            decay = f.decay[t + 1]
            if square is None or decay is not f.decay[-1]:
                square = decay[:, None] * decay[None]
            adjoint = decay * adjoint
            information = square * information
        gain = f.gain[t]
        adjoint = adjoint + (weighted[t] - (gain * adjoint).sum(1))[:, None]
        taken = (information * gain).sum(1)
        information = information - taken[:, None] - taken[None] + (f.precision[t] + (taken * gain).sum(0))
        adjoints.append(adjoint)
        informations.append(information)
    back, info = torch.stack(adjoints[::-1]), torch.stack(informations[::-1])
    mean = f.predicted + (f.covariance[:, None] * back[:, :, None]).sum(3)
    across = f.covariance.sum(2)
    variance = across.sum(1) - (across[:, :, None] * info * across[:, None]).sum((1, 2))
    return mean, variance.clamp_min(0)
