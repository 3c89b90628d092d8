"""Peers of the gap-filling benchmark: DCT-PLS as in pytesmo, and a continuous recurrent unit written step by step."""

from __future__ import annotations

import time
import warnings

import numpy as np
import torch
from torch import Tensor, nn


def dct_pls(masked: np.ndarray) -> np.ndarray:
    """Fill series (time, cell) by Garcia's penalised least squares (2010), one series at a time, as pytesmo does."""
    from pytesmo.interpolate.dctpls import smoothn

    out = np.empty_like(masked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each series, from the search for the smoothing parameter
        for cell in range(masked.shape[1]):
            out[:, cell] = smoothn(masked[:, cell], isrobust=False)[0]
    return out


class PlainCRU(nn.Module):
    """The unit of Schirmer et al. (2022), fast variant: forward filter, one step of tensors for each day.

    Latent state of 2D entries, K mixed transitions with a shared orthogonal eigenbasis, covariance of three diagonals.
    """

    def __init__(self, latent: int = 5, mixtures: int = 15, hidden: int = 24) -> None:
        super().__init__()
        self.size = latent
        self.encoder = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(2 * latent, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.spread = nn.Sequential(nn.Linear(3 * latent, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.turn = nn.Parameter(0.1 * torch.randn(2 * latent, 2 * latent))
        self.rates = nn.Parameter(torch.randn(mixtures, 2 * latent) - 2.5)
        self.mix = nn.Linear(2 * latent, mixtures)
        self.noise = nn.Parameter(torch.full((2 * latent,), -2.0))
        self.start = nn.Parameter(torch.zeros(2, latent))

    def forward(self, values: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (T, C) of standardised series, from the past and the observations of the day itself."""
        d, cells = self.size, values.shape[1]
        basis = torch.linalg.matrix_exp(self.turn - self.turn.T)
        inner = basis.T @ torch.diag(torch.exp(self.noise)) @ basis
        mean = values.new_zeros(cells, 2 * d)
        upper, lower = torch.exp(self.start)[:, None].expand(2, cells, d)
        side = torch.zeros_like(upper)
        means, spreads = [], []
        for value, here in zip(values, observed, strict=True):
            rate = torch.softmax(self.mix(mean), 1) @ nn.functional.softplus(self.rates)
            move = (basis * torch.exp(-rate)[:, None]) @ basis.T
            both = rate[:, :, None] + rate[:, None]
            added = basis @ (inner * -torch.expm1(-both) / both) @ basis.T
            cov = torch.cat(
                [
                    torch.cat([torch.diag_embed(upper), torch.diag_embed(side)], 2),
                    torch.cat([torch.diag_embed(side), torch.diag_embed(lower)], 2),
                ],
                1,
            )
            mean = (move @ mean[..., None])[..., 0]
            cov = move @ cov @ move.transpose(1, 2) + added
            upper = cov[:, :d, :d].diagonal(dim1=1, dim2=2).clamp_min(1e-6)
            lower = cov[:, d:, d:].diagonal(dim1=1, dim2=2).clamp_min(1e-6)
            most = 0.999 * torch.sqrt(upper * lower)
            side = torch.maximum(torch.minimum(cov[:, :d, d:].diagonal(dim1=1, dim2=2), most), -most)
            latent, width = self.encoder(value[:, None]).chunk(2, 1)
            gain = here[:, None] / (upper + nn.functional.softplus(width) + 1e-3)
            error = latent - mean[:, :d]
            mean = mean + torch.cat([gain * upper * error, gain * side * error], 1)
            upper, side, lower = upper - gain * upper**2, side - gain * upper * side, lower - gain * side**2
            means.append(self.decoder(mean)[:, 0])
            spreads.append(nn.functional.softplus(self.spread(torch.cat([upper, side, lower], 1))[:, 0]) + 1e-3)
        return torch.stack(means), torch.stack(spreads)


def plain_cru(
    masked: np.ndarray, seed: int, steps: int = 60, latent: int = 5
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Train the plain unit on the masked series and fill them: mean, spread, seconds of training and of filling."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    begin = time.perf_counter()
    center, scale = np.nanmean(masked, 0), np.nanstd(masked, 0) + 1e-3
    observed = torch.tensor(np.isfinite(masked))
    values = torch.tensor(np.nan_to_num((masked - center) / scale).astype("f4"))
    unit = PlainCRU(latent)
    optimiser = torch.optim.Adam(unit.parameters(), 0.01)
    for _ in range(steps):
        pick = torch.as_tensor(rng.permutation(masked.shape[1])[:100])
        some, kept = values[:, pick], observed[:, pick]
        hidden = kept & torch.as_tensor(rng.random(kept.shape) < 0.3)
        mean, variance = unit(torch.where(hidden, 0.0, some), (kept & ~hidden).float())
        loss = (0.5 * ((mean - some) ** 2 / variance + torch.log(variance)))[kept].mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(unit.parameters(), 1.0)
        optimiser.step()
    trained = time.perf_counter()
    with torch.no_grad():
        mean, variance = unit(values, observed.float())
    filled = time.perf_counter()
    return center + scale * mean.numpy(), scale * variance.sqrt().numpy(), trained - begin, filled - trained
