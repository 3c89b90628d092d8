"""The loss of equation 8 from sums over the batch, so that several processes can add theirs, and the spread's own term.

References are NaN where they do not count: not observed, frozen, outside the domain.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xsm_convlstm.config import Config

PAIRS = 8
"""Observed dates that the temporal R of a cell needs."""
EPS = 1e-12
Total = Callable[[Tensor], Tensor]
"""Turns the sums of one process into those of the whole batch."""


def error_sums(out: Tensor, reference: Tensor) -> Tensor:
    """Sums for the RMSE: number and squared errors, ``(2,)`` in float64."""
    valid = torch.isfinite(reference)
    error = torch.where(valid, out - reference, 0.0).double()
    return torch.stack([valid.sum().double(), error.square().sum()])


def rmse(sums: Tensor) -> Tensor:
    """Root mean square error from `error_sums`."""
    return torch.sqrt(sums[1] / sums[0].clamp(min=1.0) + EPS)


def pair_sums(out: Tensor, reference: Tensor, over: str) -> Tensor:
    """Sums for R: number, both values, their squares and product, in float64.

    Parameters
    ----------
    out, reference : Tensor
        (step, sample, y, x).
    over : {"batch", "cell"}
        Sum over everything, ``(6, 1, 1)``, or over the dates of each cell, ``(6, y, x)``.
    """
    valid = torch.isfinite(reference)
    a = torch.where(valid, out, 0.0).double()
    b = torch.where(valid, reference, 0.0).double()
    terms = torch.stack([valid.double(), a, b, a * a, b * b, a * b])
    return terms.sum((1, 2, 3, 4))[:, None, None] if over == "batch" else terms.sum((1, 2))


def signed_r2(sums: Tensor, over: str) -> Tensor:
    """``r |r|`` from `pair_sums`; over cells the mean of those with at least `PAIRS` dates, 0 where there is none."""
    n, a, b, aa, bb, ab = sums
    enough = n >= (2 if over == "batch" else PAIRS)
    n = n.clamp(min=1.0)
    var_a, var_b, cov = aa / n - (a / n) ** 2, bb / n - (b / n) ** 2, ab / n - a * b / n**2
    r = cov / torch.sqrt((var_a.clamp(min=0.0) + EPS) * (var_b.clamp(min=0.0) + EPS))
    return torch.where(enough, r * r.abs(), 0.0).sum() / enough.sum().clamp(min=1)


def alone(sums: Tensor) -> Tensor:
    """The sums of a batch that one process has whole."""
    return sums


def equation8(out: Tensor, references: tuple[Tensor, ...], config: Config, total: Total = alone) -> Tensor:
    """``alpha RMSE + beta (1 - r |r|)``: equation 8 of the article.

    Documentation: Decisions, "References and loss".

    RMSE is against the first reference (Noah). R is against the second one (SMAP DCA) where there is one, weighted
    with ``beta``; else against the first, weighted with ``beta25``. The sign keeps R from being rewarded below zero.

    Parameters
    ----------
    out : Tensor
        (step, sample, y, x), physical units.
    references : tuple of Tensor
        One or two, shaped like ``out``.
    total : callable, optional
        Adds the sums of all processes, gradients included; RMSE and R are then those of the whole batch.
    """
    loss = config.alpha * rmse(total(error_sums(out, references[0])))
    weight = config.beta if len(references) > 1 else config.beta25
    if weight:
        r2 = signed_r2(total(pair_sums(out, references[-1], config.r2_over)), config.r2_over)
        loss = loss + weight * (1.0 - r2)
    return loss


def spread_nll(spread: Tensor, residual: Tensor, total: Total = alone) -> Tensor:
    """Gaussian negative log-likelihood of detached residuals (NaN: none), from which only the spread learns."""
    residual = residual.detach()
    valid = torch.isfinite(residual)
    z = torch.where(valid, residual, 0.0) / spread
    nll = torch.where(valid, torch.log(spread) + 0.5 * z.square(), 0.0)
    sums = total(torch.stack([nll.double().sum(), valid.sum().double()]))
    return sums[0] / sums[1].clamp(min=1.0)
