"""Self-supervised training on the data being filled: hide observations, fill, score the hidden ones."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from xsm.plugin_api import tell

from xsm_cru.config import Config
from xsm_cru.hide import distance, hide
from xsm_cru.layers import MEMBERS, Decoder
from xsm_cru.network import BankUnit
from xsm_cru.tensors import Filled, Inputs, Latents

log = logging.getLogger("xsm")
BANDS = (1, 2, 3, 5, 8, 13, 21, 34)
WINDOW = 400
BATCH = 160
DRAWS = 16
DECODER_STEPS = 600
DECODER_BATCH = 4096
STRETCH = 12


@dataclass(frozen=True)
class Outcome:
    """Result of training: spread factors by band (B,), and metrics for the card."""

    factors: np.ndarray
    metrics: dict[str, float]


def crps(error: Tensor, spread: Tensor) -> Tensor:
    """Continuous ranked probability score of Gaussian forecasts (Gneiting and Raftery 2007, equation 21)."""
    z = error / spread
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return spread * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))


def score(filled: Filled, values: Tensor, hidden: Tensor, unit: Tensor) -> Tensor:
    """Loss at hidden observations: CRPS plus half the squared error, in units of the shared scale."""
    error = ((filled.mean - values) / unit)[hidden]
    spread = (torch.sqrt(filled.latent + filled.noise) / unit)[hidden]
    return crps(error, spread).mean() + 0.5 * (error**2).mean()


def without(inputs: Inputs, hidden: Tensor) -> Inputs:
    """The series without some observations."""
    observed = inputs.observed & ~hidden
    return replace(inputs, observed=observed, values=torch.where(observed, inputs.values, 0.0))


def cut(inputs: Inputs, cells: Tensor | slice, days: slice = slice(None)) -> Inputs:
    """Some cells and days of the series."""
    return Inputs(
        inputs.values[days][:, cells], inputs.observed[days][:, cells], inputs.events[days][..., cells],
        inputs.others[days][..., cells], inputs.statics[:, cells], inputs.season[days],
    )  # fmt: skip


def train(
    unit: nn.Module,
    inputs: Inputs,
    check: Inputs | None,
    config: Config,
    seed: int,
    report: Callable[[float, str], None],
) -> Outcome:
    """Train a unit in place, keep its best state, and calibrate its spread.

    Parameters
    ----------
    unit : Module
        `BankUnit` or `PublishedUnit`.
    inputs : Inputs
        Series to learn from.
    check : Inputs, optional
        Series for early stopping; by default every fifth cell of ``inputs``, which then takes no part in the loss.
    seed : int
        Seed of hiding and of minibatches.
    report : callable
        Receives the share done and a line.
    """
    start = time.monotonic()
    ends = start + (config.budget or math.inf)
    rng = np.random.default_rng(seed)
    cells = inputs.values.shape[1]
    if check is None:
        spare = torch.arange(cells) % 5 == 4 if cells >= 10 else torch.zeros(cells, dtype=torch.bool)
        check = cut(inputs, torch.nonzero(spare if cells >= 10 else ~spare)[:, 0])
        learn = cut(inputs, torch.nonzero(~spare)[:, 0])
    else:
        learn = inputs
    judge = Judge(check, np.random.default_rng(seed + 1))
    first = judge(unit)
    unseen = None
    middle = best = _descend(unit, learn, judge, first, config, rng, ends, report)
    if isinstance(unit, BankUnit) and config.epochs:
        unseen = _decoder(unit, inputs, config, rng, ends)
        best = judge(unit)
    log.debug("cru: loss %.4f before, %.4f after the recursion, %.4f after the decoder", first, middle, best)
    if unseen is None:
        unseen = rehearse(unit, inputs, config, np.random.default_rng(seed + 2))
    factors, metrics = calibrate(unseen)
    metrics |= {"loss_start": first, "loss": best}
    log.info("cru: loss %.4f -> %.4f in %.0f s", first, best, time.monotonic() - start)
    return Outcome(factors, metrics)


class Judge:
    """Loss of a unit on one fixed hiding of the check series."""

    def __init__(self, check: Inputs, rng: np.random.Generator) -> None:
        self.truth = _window(check, rng)
        self.hidden = torch.as_tensor(hide(self.truth.observed.numpy(), rng))
        self.visible = without(self.truth, self.hidden)

    def __call__(self, unit: nn.Module) -> float:
        if not self.hidden.any():
            return 0.0
        with torch.no_grad():
            return float(score(unit(self.visible), self.truth.values, self.hidden, unit.level[1]))


def _some(inputs: Inputs, rng: np.random.Generator) -> Inputs:
    """A minibatch of cells; the daily regression of the filter needs much memory, which this limits."""
    return cut(inputs, torch.as_tensor(rng.permutation(inputs.values.shape[1])[:BATCH]))


def _window(inputs: Inputs, rng: np.random.Generator) -> Inputs:
    days = len(inputs.values)
    start = int(rng.integers(days - WINDOW + 1)) if days > WINDOW else 0
    return cut(inputs, slice(None), slice(start, start + WINDOW))


def _descend(
    unit: nn.Module, learn: Inputs, judge: Judge, best: float, config: Config, rng: np.random.Generator, ends: float,
    report: Callable[[float, str], None],
) -> float:  # fmt: skip
    """Adam through the whole recursion, keeping the best state on the check series."""
    if not config.epochs:
        return best
    learnt = [p for p in unit.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learnt, config.learning_rate, betas=(0.9, 0.98))
    plan = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        config.learning_rate,
        total_steps=config.epochs + 1,
        pct_start=0.19,  # no whole number of steps times 0.19 is 1
    )
    average = AveragedModel(unit, multi_avg_fn=get_ema_multi_avg_fn(min(0.95, 1 - 1 / config.epochs)))
    kept = copy.deepcopy(unit.state_dict())
    every = max(1, config.epochs // 10)
    for epoch in range(1, config.epochs + 1):
        piece = _window(_some(learn, rng), rng)
        hidden = torch.as_tensor(hide(piece.observed.numpy(), rng))
        if hidden.any():
            loss = score(unit(without(piece, hidden)), piece.values, hidden, unit.level[1])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(unit.parameters(), 1.0)
            optimiser.step()
            average.update_parameters(unit)
            plan.step()
        late = time.monotonic() > ends
        if epoch % every == 0 or epoch == config.epochs or late:
            now = judge(average.module)
            report(epoch / config.epochs, f"step {epoch}/{config.epochs}: loss {now:.4f}")
            if now < best:
                best, kept = now, copy.deepcopy(average.module.state_dict())
        if late:
            tell(f"cru: the training budget of {config.budget:g} s ended after {epoch} of {config.epochs} steps.")
            break
    unit.load_state_dict(kept)
    return best


def _decoder(unit: BankUnit, inputs: Inputs, config: Config, rng: np.random.Generator, ends: float) -> Residuals | None:
    """Train the decoder alone on latent states that stay fixed: pointwise, so many cheap steps.

    Each of `MEMBERS` decoders stops on stretches of days that it never learns from, so that none is rewarded for
    remembering dates; they are merged into one network, their mean. Returns the residuals of each member on those days.
    """
    rows, truths, dates, nears = [], [], [], []
    for _ in range(DRAWS):
        piece = _window(_some(inputs, rng) if config.mode == "filter" else inputs, rng)
        hidden = torch.as_tensor(hide(piece.observed.numpy(), rng))
        visible = without(piece, hidden)
        with torch.no_grad():
            rows.append(_rows(unit.latents(visible), hidden))
        nears.append(distance(visible.observed, config.mode == "filter")[hidden])
        truths.append(piece.values[hidden])
        dates.append(torch.nonzero(hidden)[:, 0])
        if time.monotonic() > ends:
            break
    pool = Latents(*(torch.cat(parts) for parts in zip(*(vars(r).values() for r in rows), strict=True)))
    truth, date, near = torch.cat(truths), torch.cat(dates), torch.cat(nears)
    members, residuals = [], []
    for fold in range(MEMBERS):
        spare = date // STRETCH % MEMBERS == fold
        if spare.all() or not spare.any():
            return None
        net = _member(unit, pool, truth, spare, min(DECODER_STEPS, 10 * config.epochs), rng)
        with torch.no_grad():
            filled = unit.decode(Latents(*(v[spare] for v in vars(pool).values())), net)
        residuals.append(Residuals.of(filled, truth[spare], near[spare]))
        members.append(net)
    unit.decoder.load_state_dict(merged(members))
    return Residuals.joined(residuals)


def _member(
    unit: BankUnit, pool: Latents, truth: Tensor, spare: Tensor, steps: int, rng: np.random.Generator
) -> nn.Module:
    """Train one small decoder, stopped early on the ``spare`` rows."""
    net = Decoder(unit.decoder.first.in_features, unit.config.hidden, unit.decoder.last.out_features, 1)
    best, kept = math.inf, copy.deepcopy(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), 0.004, weight_decay=0.05)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.004, total_steps=steps + 1, pct_start=0.1)
    net.center.copy_(pool.read.mean(0))
    net.spread.copy_(pool.read.std(0).clamp_min(1e-3))
    learn, check = np.flatnonzero(~spare.numpy()), torch.nonzero(spare)[:, 0]

    def loss(pick: Tensor) -> Tensor:
        batch = Latents(*(v[pick] for v in vars(pool).values()))
        everywhere = torch.ones(len(pick), dtype=torch.bool)
        return score(unit.decode(batch, net), truth[pick], everywhere, unit.level[1])

    for step in range(steps + 1):
        if step % 20 == 0:
            with torch.no_grad():
                now = float(loss(check))
            if now < best:
                best, kept = now, copy.deepcopy(net.state_dict())
        value = loss(torch.as_tensor(learn[rng.integers(len(learn), size=min(DECODER_BATCH, len(learn)))]))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        plan.step()
    net.load_state_dict(kept)
    return net


def merged(members: list[nn.Module]) -> dict[str, Tensor]:
    """State of the network that is the mean of its members."""
    states = [m.state_dict() for m in members]
    return {
        "center": states[0]["center"],
        "spread": states[0]["spread"],
        "first.weight": torch.cat([s["first.weight"] for s in states]),
        "first.bias": torch.cat([s["first.bias"] for s in states]),
        "weight": torch.cat([s["weight"] for s in states]),
        "bias": torch.cat([s["bias"] for s in states]),
        "last.weight": torch.cat([s["last.weight"] for s in states], 1) / len(states),
        "last.bias": torch.stack([s["last.bias"] for s in states]).mean(0),
    }


def _rows(latents: Latents, hidden: Tensor) -> Latents:
    """Latent states (N, ...) of the hidden days only."""
    shape = latents.linear.shape
    return Latents(**{k: v[hidden] if k == "read" else v.expand(shape)[hidden] for k, v in vars(latents).items()})


@dataclass(frozen=True)
class Residuals:
    """At hidden observations (N,): error, its size in units of the spread, days to the nearest observation."""

    error: np.ndarray
    ratio: np.ndarray
    near: np.ndarray

    @classmethod
    def of(cls, filled: Filled, truth: Tensor, near: Tensor) -> Residuals:
        """Residuals of a fill (N,)."""
        error = (filled.mean - truth).double()
        spread = torch.sqrt(filled.latent + filled.noise).double()
        return cls(error.numpy(), (error.abs() / spread).numpy(), near.numpy())

    @classmethod
    def joined(cls, parts: list[Residuals]) -> Residuals:
        """All of them together."""
        return cls(*(np.concatenate(a) for a in zip(*(vars(p).values() for p in parts), strict=True)))


def rehearse(unit: nn.Module, inputs: Inputs, config: Config, rng: np.random.Generator) -> Residuals:
    """Hide observations of the series again and fill them."""
    parts = []
    for _ in range(3 if config.epochs > 20 else 1):
        piece = _window(_some(inputs, rng) if config.mode == "filter" else inputs, rng)
        hidden = torch.as_tensor(hide(piece.observed.numpy(), rng))
        visible = without(piece, hidden)
        with torch.no_grad():
            filled = unit(visible)
        rows = Filled(*(v.expand(hidden.shape)[hidden] for v in vars(filled).values()))
        near = distance(visible.observed, config.mode == "filter")[hidden]
        parts.append(Residuals.of(rows, piece.values[hidden], near))
    return Residuals.joined(parts)


def calibrate(residuals: Residuals) -> tuple[np.ndarray, dict[str, float]]:
    """Factors of the spread by distance to the nearest observation, so that 95 % of hidden values fall inside 95 %.

    Returns
    -------
    factors : ndarray
        One for each band of `BANDS`; bands with fewer than 200 values take the overall factor.
    metrics : dict
        RMSE, share inside the 95 % interval before calibration, number of hidden values.
    """
    ratio, error = residuals.ratio, residuals.error
    if len(ratio) < 50:
        return np.ones(len(BANDS), np.float32), {"hidden": float(len(ratio))}
    band = np.searchsorted(BANDS, residuals.near, side="right") - 1
    factors = np.full(len(BANDS), np.quantile(ratio, 0.95) / 1.96)
    for i in range(len(BANDS)):
        if (band == i).sum() >= 200:
            factors[i] = np.quantile(ratio[band == i], 0.95) / 1.96
    metrics = {
        "rmse": float(np.sqrt((error**2).mean())),
        "inside_95_uncalibrated": float((ratio < 1.96).mean()),
        "hidden": float(len(ratio)),
    }
    return factors.clip(0.3, 3.0).astype(np.float32), metrics


def spread_factor(observed: Tensor, factors: Tensor, causal: bool) -> Tensor:
    """Factor of the spread (T, C) by distance to the nearest observation."""
    edges = torch.tensor(BANDS[1:], device=observed.device)
    return factors[torch.bucketize(distance(observed, causal), edges, right=True)]
