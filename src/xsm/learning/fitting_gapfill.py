"""The task ``gapfill``: a model learns to fill the gaps of series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Model
from xsm.contracts.registry import get_model
from xsm.data.period import day_mask
from xsm.errors import DataError
from xsm.learning.fill_checks import SAMPLE_CELLS, check_series, patterns_of
from xsm.learning.samples import periods, sample_cells, series_samples, series_spec
from xsm.learning.seasonal import Pattern
from xsm.progress import quiet


class NothingToLearn(DataError):
    """Series whose gaps need no model."""


def fit_gapfill(
    ds: xr.Dataset,
    *,
    model: str | None,
    train: Any,
    variables: Sequence[str] | None,
    covariates: Sequence[str],
    allow_target_leak: bool,
    seed: int,
    options: Mapping[str, Any],
) -> Bundle:
    """Train a model that fills gaps; see `xsm.fit`."""
    names = check_series(ds, variables, covariates, allow_target_leak)
    sample = sample_cells(ds, names, covariates, SAMPLE_CELLS, seed)
    learn = [n for n, pattern in patterns_of(ds, names, sample).items() if pattern is Pattern.NONE]
    if not learn:
        raise NothingToLearn(f"{', '.join(names)} have no gaps or repeat every year: there is nothing to learn.")
    filler = get_model(model or "cru", "gapfill")
    return fit_series(sample, filler, learn, covariates, train=train, seed=seed, options=options)


def fit_series(
    ds: xr.Dataset,
    filler: Model,
    targets: Sequence[str],
    covariates: Sequence[str],
    *,
    mode: str = "smoother",
    train: Any = None,
    seed: int = 0,
    options: Mapping[str, Any],
) -> Bundle:
    """Train a gap-filling model on series with the dims ``(time, cell)``."""
    takes_mode = any(p.name == "mode" for p in filler.info.options)
    spec = series_spec(ds, targets, covariates, filler.info, ({"mode": mode} if takes_mode else {}) | dict(options))
    use = None if train is None else day_mask(ds["time"].values.astype("M8[D]"), train, "train")
    samples = series_samples(ds, targets, covariates, use)
    with quiet() as progress:
        bundle = filler.fit(samples, spec, validation=None, seed=seed, progress=progress)
    span = {"days": [str(samples.days[0]), str(samples.days[-1])], "periods": periods(samples.days[samples.use])}
    return Bundle({**bundle.card, "training": {**bundle.card.get("training", {}), **span}}, bundle.weights)
