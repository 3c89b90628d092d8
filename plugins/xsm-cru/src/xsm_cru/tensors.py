"""What goes into the unit, what it passes on, and what comes out, as named tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """One block of series; T days, C cells.

    ``values`` (T, C) with 0 where ``observed`` (T, C) is false, ``events`` (T, E, C) and ``others`` (T, O, C) scaled
    covariates, ``statics`` (S, C) standardised maps, ``season`` (T, H) harmonics of the yearly cycle.
    """

    values: Tensor
    observed: Tensor
    events: Tensor
    others: Tensor
    statics: Tensor
    season: Tensor


@dataclass(frozen=True)
class Evidence:
    """What the bank is conditioned on.

    Columns (T, Q, C) of series and design, noise (T, C), rates and variances (m, C), logarithm of the noise without
    encoder, shift of the prior of each cell, features (T, P, C), neighbouring observations (T, C, N), scaling.
    """

    columns: Tensor
    noise: Tensor
    rates: Tensor
    variances: Tensor
    base: Tensor
    shift: Tensor
    features: Tensor
    near: Tensor
    center: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Latents:
    """Posterior of the linear part: mean, spread (T, C), noise, size by cell, and inputs of the decoder (T, C, F)."""

    linear: Tensor
    spread: Tensor
    base: Tensor
    size: Tensor
    read: Tensor
    center: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Filled:
    """Mean (T, C) and the variances (T, C) of the true value and of the retrieval noise."""

    mean: Tensor
    latent: Tensor
    noise: Tensor
