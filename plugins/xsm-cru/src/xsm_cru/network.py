"""The unit with a mode bank: encoder, linear SDE, regression on driving input, smoother or filter, decoder.

Networks start at zero effect: before training the unit is the exact Gaussian-process posterior of the bank.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from xsm_cru.bank import Filtered, filter_bank, smooth_bank
from xsm_cru.config import Config
from xsm_cru.features import Reservoirs
from xsm_cru.hide import neighbours
from xsm_cru.layers import MEMBERS, Decoder, Small
from xsm_cru.scaling import center_scale, describe, describe_width, standard, standardise
from xsm_cru.tensors import Evidence, Filled, Inputs, Latents

SEASON_ROUNDS = 5


class BankUnit(nn.Module):
    """Mode bank with encoder, cell parameters, driving input and decoder."""

    def __init__(self, config: Config, statics: int, events: int, others: int) -> None:
        super().__init__()
        self.config = config
        m, hidden = config.modes, config.hidden
        self.reservoirs = Reservoirs(events, others)
        width = self.reservoirs.width
        driven = width > 0
        scales = np.geomspace(8, 60, m) if m > 1 else np.array([20.0])
        share = (0.4 if driven else 1.0) / m
        self.log_rate = nn.Parameter(torch.tensor(-np.log(scales), dtype=torch.float32))
        self.log_variance = nn.Parameter(torch.full((m,), float(np.log(share))))
        self.log_noise = nn.Parameter(torch.tensor(float(np.log(0.36 * 0.4 if driven else 0.16))))
        self.prior = nn.Parameter(torch.zeros(1 + width))
        self.log_prior = nn.Parameter(torch.full((1 + width,), float(np.log(0.2 if driven else 0.05))))
        self.season_prior = nn.Parameter(torch.zeros(2 * config.season))
        self.season_basis = nn.Parameter(0.3 * torch.eye(2 * config.season))
        self.log_revisit = nn.Parameter(torch.tensor(float(np.log(0.02 * m * share))))
        if config.mode == "filter":
            self.log_prior.data[0] = float(np.log(2.0))
        known = describe_width(statics, events, others, config)
        self.register_buffer("level", torch.tensor([0.0, 1.0]))
        self.register_buffer("known_center", torch.zeros(known))
        self.register_buffer("known_spread", torch.ones(known))
        self.cell = Small(max(known, 1), hidden, 2 * m + 1 + 1 + width)
        self.encoder = Small(1 + width, hidden, 2)
        around = 4 if config.mode == "filter" else 8
        self.decoder = Decoder(2 * m + 4 + width + around, hidden, 3, MEMBERS)
        self.decoder.requires_grad_(False)  # its members are trained one by one; the recursion stays linear

    @torch.no_grad()
    def learn_scales(self, inputs: Inputs) -> None:
        """Set all statistics of standardisation from training data."""
        center, scale = center_scale(inputs)
        self.level.copy_(torch.stack([center, scale]))
        values, _, _ = standardise(inputs, self.level, self.config)
        known = describe(values, inputs, self.config)
        if known.shape[1]:
            self.known_center.copy_(known.mean(0))
            self.known_spread.copy_(known.std(0, unbiased=False).clamp_min(1e-3))
        features = self.reservoirs.raw(inputs.events, inputs.others, self._start(inputs))
        if features.shape[1]:
            self.reservoirs.center.copy_(features.mean((0, 2)))
            self.reservoirs.spread.copy_(features.std((0, 2), unbiased=False).clamp_min(1e-6))
        if self.config.season:
            self._learn_season(inputs)

    def _learn_season(self, inputs: Inputs) -> None:
        """Start the prior of the yearly cycle at its empirical Bayes estimate, by expectation and maximisation."""
        season = slice(-2 * self.config.season, None)
        for _ in range(SEASON_ROUNDS):
            evidence = self._evidence(inputs)
            filtered = filter_bank(
                evidence.columns, inputs.observed, evidence.noise, evidence.rates, evidence.variances
            )
            gram = torch.einsum("tpc,tqc->cpq", filtered.innovation * filtered.precision[:, None], filtered.innovation)
            weights, cholesky, _ = solve(gram, inputs.observed.sum(0), *self._prior(evidence.shift))
            cycle = weights[:, season] @ self.season_basis.T
            doubt = torch.cholesky_inverse(cholesky)[:, season, season].mean(0)
            center = cycle.mean(0)
            spread = (cycle - center).T @ (cycle - center) / len(cycle)
            spread = spread + self.season_basis @ doubt @ self.season_basis.T
            basis = torch.linalg.cholesky(spread + 1e-4 * torch.eye(len(center)))
            self.season_basis.copy_(basis)
            self.season_prior.copy_(torch.linalg.solve_triangular(basis, center[:, None], upper=False)[:, 0])

    def _start(self, inputs: Inputs) -> Tensor:
        if self.config.mode == "filter":
            return torch.ones_like(inputs.events[0])
        return inputs.events.mean(0)

    def _orbits(self, values: Tensor) -> Tensor:
        """Indicators (T, R, C) of the orbit of each day, whose geometry gives an offset of its own."""
        days, cells = values.shape
        if not self.config.revisit:
            return values.new_zeros(days, 0, cells)
        turn = torch.arange(days, device=values.device) % self.config.revisit
        return nn.functional.one_hot(turn, self.config.revisit).to(values.dtype)[:, :, None].expand(-1, -1, cells)

    def forward(self, inputs: Inputs) -> Filled:
        """Fill series (T, C); physical units."""
        return self.decode(self.latents(inputs))

    def _evidence(self, inputs: Inputs) -> Evidence:
        """Encode the observations and what is known of each cell: everything that the bank is conditioned on."""
        m = self.config.modes
        values, center, scale = standardise(inputs, self.level, self.config)
        known = (describe(values, inputs, self.config) - self.known_center) / self.known_spread
        if not known.shape[1]:
            known = known.new_zeros(len(known), 1)
        adapt = self.cell(known.clamp(-4, 4)).T
        base = self.log_noise + adapt[2 * m]
        features = self.reservoirs(inputs.events, inputs.others, self._start(inputs))
        if self.config.mode == "smoother":
            features = standard(features)
        encoded = values.new_zeros(*values.shape, 2)
        encoded[inputs.observed] = self.encoder(
            torch.cat([values[:, None], features], 1).movedim(1, 2)[inputs.observed]
        )
        encoded_values = torch.where(inputs.observed, values + 0.3 * torch.tanh(encoded[..., 0]), 0.0)
        near = neighbours(values, inputs.observed, self.config.mode == "filter")
        cycle = (inputs.season @ self.season_basis)[:, :, None].expand(-1, -1, values.shape[1])
        columns = [encoded_values[:, None], torch.ones_like(values)[:, None], features, self._orbits(values), cycle]
        return Evidence(
            torch.cat(columns, 1), torch.exp(base + 2 * torch.tanh(encoded[..., 1] / 2)),
            torch.exp(self.log_rate[:, None] + adapt[:m]), torch.exp(self.log_variance[:, None] + adapt[m : 2 * m]),
            base, adapt[2 * m + 1 :], features, near.movedim(1, 2), center, scale,
        )  # fmt: skip

    def latents(self, inputs: Inputs) -> Latents:
        """Condition the linear part on the observations: encoder, bank and regression."""
        evidence = self._evidence(inputs)
        if not torch.is_grad_enabled() and inputs.values.device.type == "cpu":
            return self._compiled(inputs, evidence)
        filtered = filter_bank(evidence.columns, inputs.observed, evidence.noise, evidence.rates, evidence.variances)
        modes, before, trend, variance, size = self._regress(filtered, evidence, inputs.observed)
        spread = torch.sqrt(variance + 1e-6)
        logs = torch.stack([spread.log(), 0.5 * filtered.predicted_variance.log(), size.log().expand_as(spread)], 1)
        read = torch.cat([modes, before, logs, trend[:, None], evidence.features], 1).movedim(1, 2)
        read = torch.cat([read, evidence.near], 2)
        return Latents(trend + modes.sum(1), spread, evidence.base, size, read, evidence.center, evidence.scale)

    def _compiled(self, inputs: Inputs, evidence: Evidence) -> Latents:
        """Latent states by the compiled kernel: the same values, much faster, without gradients."""
        from xsm_cru.kernel import Series, condition

        m, orbits, prior = self.config.modes, self.config.revisit, self._prior(evidence.shift)
        by_cell = (evidence.columns[:, 0], inputs.observed, evidence.noise, evidence.rates, evidence.variances)
        encoded, observed, noise, rates, variances = (a.T.contiguous().numpy() for a in by_cell)
        features = evidence.features.permute(2, 0, 1).contiguous().numpy()
        series = Series(encoded, observed, noise, rates, variances, features, prior[0].contiguous().numpy())
        cycle = (inputs.season @ self.season_basis).numpy()
        causal, threads = self.config.mode == "filter", torch.get_num_threads()
        rows = condition(series, cycle, orbits, prior[1].numpy(), causal=causal, threads=threads)
        read = torch.from_numpy(rows).transpose(0, 1)
        spread, size = torch.exp(read[..., 2 * m]), torch.exp(read[..., 2 * m + 2])
        linear = read[..., 2 * m + 3] + read[..., :m].sum(-1)
        read = torch.cat([read, evidence.near], 2)
        return Latents(linear, spread, evidence.base, size, read, evidence.center, evidence.scale)

    def decode(self, latents: Latents, decoder: nn.Module | None = None) -> Filled:
        """Map latent states to mean and variances; linear before training."""
        mean, latent, noise = (2 * torch.tanh(c / 2) for c in (decoder or self.decoder)(latents.read).unbind(-1))
        square = latents.scale**2 * latents.size
        return Filled(
            latents.center + latents.scale * (latents.linear + latents.spread * mean),
            square * latents.spread**2 * torch.exp(latent),
            square * torch.exp(latents.base + noise),
        )

    def _prior(self, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Prior means (C, Q) and precisions (Q,) of the regression weights."""
        cells = shift.shape[1]
        orbits, cycle = shift.new_zeros(cells, self.config.revisit), self.season_prior.expand(cells, -1)
        mean = torch.cat([(self.prior[:, None] + shift).T, orbits, cycle], 1)
        logs = [self.log_prior, self.log_revisit.expand(self.config.revisit), torch.zeros_like(self.season_prior)]
        return mean, torch.exp(-torch.cat(logs))

    def _regress(self, filtered: Filtered, evidence: Evidence, observed: Tensor) -> tuple[Tensor, ...]:
        """Posterior of modes and regression weights together: exact for the linear part."""
        design = evidence.columns[:, 1:]
        prior, precision = self._prior(evidence.shift)
        whitened = filtered.innovation * filtered.precision[:, None]
        if self.config.mode == "filter":
            gram = torch.einsum("tpc,tqc->tcpq", whitened, filtered.innovation).cumsum(0)
            weights, cholesky, size = solve(gram, observed.cumsum(0), prior, precision)
            mean, variance = filtered.mean, filtered.variance
            w = weights.movedim(-1, 1)
        else:
            gram = torch.einsum("tpc,tqc->cpq", whitened, filtered.innovation)
            weights, cholesky, size = solve(gram, observed.sum(0), prior, precision)
            mean, variance = smooth_bank(filtered)
            w = weights.T[None]
        left = (design - mean[:, 1:].sum(2)).movedim(1, 2)[..., None]
        doubt = (torch.linalg.solve_triangular(cholesky, left, upper=False) ** 2).sum((2, 3))
        modes = mean[:, 0] - (w[:, :, None] * mean[:, 1:]).sum(1)
        before = filtered.predicted[:, 0] - (w[:, :, None] * filtered.predicted[:, 1:]).sum(1)
        return modes, before, (w * design).sum(1), variance + doubt, size


def solve(gram: Tensor, count: Tensor, prior: Tensor, precision: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bayesian regression on whitened columns ``[y, A]``.

    Parameters
    ----------
    gram : Tensor
        (..., C, Q, Q) sums of products of the whitened columns.
    count : Tensor
        (..., C) number of observations.
    prior, precision : Tensor
        (C, Q - 1) prior means and (Q - 1,) prior precisions of the weights.

    Returns
    -------
    weights (..., C, Q - 1), Cholesky factor of their posterior precision, residual variance (..., C) shrunk to 1.
    """
    total = gram[..., 1:, 1:] + torch.diag_embed(precision.expand_as(prior))
    right = gram[..., 1:, 0] + precision * prior
    cholesky = torch.linalg.cholesky(total)
    weights = torch.cholesky_solve(right.unsqueeze(-1), cholesky).squeeze(-1)
    square = gram[..., 0, 0] + (precision * prior**2).sum(-1) - (weights * right).sum(-1)
    size = (square.clamp_min(0) + 10) / (count + 10)
    return weights, cholesky, size
