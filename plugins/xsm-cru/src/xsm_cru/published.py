"""The published unit (Schirmer et al. 2022, arXiv:2111.11344), in the eigenvalue form, with smoothing added.

State ``z`` of 2D entries, the first D observed; covariance kept as three diagonals ``(upper, side, lower)``; transition
``A = E diag(l) E'`` with one orthogonal E and eigenvalues mixed from K vectors by the state. Keeping three diagonals is
exact only while E couples only the pairs ``(i, i + D)``; `symmetrised` guards it otherwise (documentation: CRU,
"What is exact").
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from xsm_cru.config import Config
from xsm_cru.features import Reservoirs
from xsm_cru.scaling import center_scale, standard, standardise
from xsm_cru.tensors import Filled, Inputs

Diagonals = tuple[Tensor, Tensor, Tensor]


def update(mean: Tensor, cov: Diagonals, value: Tensor, noise: Tensor, observed: Tensor) -> tuple[Tensor, Diagonals]:
    """Condition on an observation of the upper half: ``mean`` (C, 2D), the rest (C, D), ``observed`` (C,)."""
    upper, side, lower = cov
    weight = observed[:, None].to(mean.dtype)
    first, second = weight * upper / (upper + noise), weight * side / (upper + noise)
    error = value - mean[:, : upper.shape[1]]
    mean = mean + torch.cat([first * error, second * error], 1)
    return mean, (upper - first * upper, side - first * side, lower - second * side)


def dense(cov: Diagonals) -> Tensor:
    """Full covariance (C, 2D, 2D) of three diagonals (C, D)."""
    upper, side, lower = (torch.diag_embed(c) for c in cov)
    return torch.cat([torch.cat([upper, side], 2), torch.cat([side, lower], 2)], 1)


def symmetrised(cov: Tensor, floor: float = 1e-8) -> Diagonals:
    """Keep three diagonals of a full covariance and make them positive definite."""
    half = cov.shape[1] // 2
    upper = torch.diagonal(cov[:, :half, :half], dim1=1, dim2=2).clamp_min(floor)
    lower = torch.diagonal(cov[:, half:, half:], dim1=1, dim2=2).clamp_min(floor)
    side = torch.diagonal(cov[:, :half, half:], dim1=1, dim2=2)
    most = 0.999999 * torch.sqrt(upper * lower)
    return upper, torch.maximum(torch.minimum(side, most), -most), lower


def transition(basis: Tensor, rates: Tensor, step: float) -> Tensor:
    """``exp(A step)`` (C, M, M) from the orthogonal ``basis`` (M, M) and eigenvalues ``-rates`` (C, M)."""
    return (basis * torch.exp(-rates * step)[:, None]) @ basis.T


def noise_integral(basis: Tensor, rates: Tensor, diffusion: Tensor, step: float) -> Tensor:
    """Covariance (C, M, M) that a step adds; ``diffusion`` (M,) is the diagonal of G Q G'. Stable for any step."""
    inner = basis.T @ (diffusion[:, None] * basis)
    both = rates[:, :, None] + rates[:, None]
    grown = torch.where(
        both * step < 1e-6, torch.full_like(both, step), -torch.expm1(-both * step) / both.clamp_min(1e-12)
    )
    return basis @ (inner * grown) @ basis.T


def smooth_step(
    mean: Tensor, cov: Diagonals, ahead: tuple[Tensor, Diagonals], later: tuple[Tensor, Diagonals], move: Tensor
) -> tuple[Tensor, Diagonals]:
    """One step of Rauch, Tung and Striebel with the transition that the forward pass kept.

    ``mean, cov`` filtered today, ``ahead`` predicted for tomorrow, ``later`` smoothed tomorrow, ``move`` (C, M, M).
    """
    predicted, (upper, side, lower) = ahead
    smoothed, future = later
    determinant = (upper * lower - side**2).clamp_min(1e-12)
    inverse = dense((lower / determinant, -side / determinant, upper / determinant))
    today = dense(cov)
    gain = today @ move.transpose(1, 2) @ inverse
    mean = mean + (gain @ (smoothed - predicted)[..., None])[..., 0]
    change = dense((future[0] - upper, future[1] - side, future[2] - lower))
    return mean, symmetrised(today + gain @ change @ gain.transpose(1, 2))


class PublishedUnit(nn.Module):
    """Encoder, three-diagonal cell with driving input, decoder; ``mixtures`` transitions mixed by the state."""

    def __init__(self, config: Config, statics: int, events: int, others: int) -> None:
        super().__init__()
        self.config = config
        d, hidden = config.latent, config.hidden
        self.reservoirs = Reservoirs(events, others)
        width = self.reservoirs.width
        self.register_buffer("level", torch.tensor([0.0, 1.0]))
        self.encoder = nn.Sequential(nn.Linear(1 + width + statics, hidden), nn.Tanh(), nn.Linear(hidden, 2 * d))
        pairs = torch.eye(d)
        self.register_buffer(
            "pairs", torch.cat([torch.cat([pairs, pairs], 1), torch.cat([pairs, -pairs], 1)]) / math.sqrt(2)
        )
        self.twist = nn.Parameter(torch.zeros(2 * d, 2 * d))
        scales = torch.cat([torch.logspace(0.5, 1.3, d), torch.logspace(1.3, 2, d)])
        self.log_rates = nn.Parameter(
            -torch.log(scales).repeat(config.mixtures, 1) + 0.1 * torch.randn(config.mixtures, 2 * d)
        )
        self.mixing = nn.Linear(2 * d, config.mixtures)
        self.log_diffusion = nn.Parameter(torch.full((2 * d,), -2.5))
        self.log_start = nn.Parameter(torch.zeros(2, d))
        self.drive = nn.Parameter(torch.zeros(2 * d, width + statics))
        self.mean = nn.Sequential(nn.Linear(2 * d + width + statics, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.spread = nn.Sequential(nn.Linear(3 * d, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.log_noise = nn.Parameter(torch.tensor(-1.8))

    @torch.no_grad()
    def learn_scales(self, inputs: Inputs) -> None:
        """Set all statistics of standardisation from training data."""
        self.level.copy_(torch.stack(center_scale(inputs)))

    def forward(self, inputs: Inputs) -> Filled:
        """Fill series (T, C); physical units."""
        causal = self.config.mode == "filter"
        values, center, scale = standardise(inputs, self.level, self.config)
        start = torch.ones_like(inputs.events[0]) if causal else inputs.events.mean(0)
        features = self.reservoirs(inputs.events, inputs.others, start)
        features = features if causal else standard(features)
        maps = inputs.statics.T.expand(len(values), -1, -1)
        known = torch.cat([features.movedim(1, 2), maps], 2)
        encoded, width = self.encoder(torch.cat([values[..., None], known], 2)).chunk(2, 2)
        means, covs = self._states(
            encoded, nn.functional.softplus(width) + 1e-3, inputs.observed, known @ self.drive.T, causal
        )
        guess = self.mean(torch.cat([means, known], 2))[..., 0]
        latent = nn.functional.softplus(self.spread(torch.log(covs.abs() + 1e-6))[..., 0]) + 1e-4
        noise = torch.exp(self.log_noise).expand_as(latent)
        return Filled(center + scale * guess, scale**2 * latent, scale**2 * noise)

    def _states(
        self, encoded: Tensor, noise: Tensor, observed: Tensor, drive: Tensor, causal: bool
    ) -> tuple[Tensor, Tensor]:
        days, cells, d = encoded.shape
        basis = self.pairs @ torch.linalg.matrix_exp(self.twist - self.twist.T)
        diffusion = torch.exp(self.log_diffusion)
        mean = encoded.new_zeros(cells, 2 * d)
        upper, lower = torch.exp(self.log_start)[:, None].expand(2, cells, d)
        cov: Diagonals = (upper, torch.zeros_like(upper), lower)
        kept: list[tuple[Tensor, Diagonals]] = []
        ahead: list[tuple[Tensor, Diagonals]] = []
        moves: list[Tensor] = []
        for t in range(days):
            if t:
                share = torch.softmax(self.mixing(mean), 1)
                rates = share @ torch.exp(self.log_rates)
                move = transition(basis, rates, 1.0)
                response = -torch.expm1(-rates) / rates
                push = ((drive[t] @ basis) * response) @ basis.T
                mean = (move @ mean[..., None])[..., 0] + push
                cov = symmetrised(
                    move @ dense(cov) @ move.transpose(1, 2) + noise_integral(basis, rates, diffusion, 1.0)
                )
                moves.append(move)
            ahead.append((mean, cov))
            mean, cov = update(mean, cov, encoded[t], noise[t], observed[t])
            kept.append((mean, cov))
        if not causal:
            for t in reversed(range(days - 1)):
                kept[t] = smooth_step(*kept[t], ahead[t + 1], kept[t + 1], moves[t])
        return torch.stack([m for m, _ in kept]), torch.stack([torch.cat(c, 1) for _, c in kept])
