"""The task ``fuse``: models, weights and spread are learnt from a cube, and from stations if there are any."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.bundle import BUNDLE_FORMAT, Bundle, versions
from xsm.contracts.model import Model, Progress, Samples, Spec
from xsm.contracts.registry import get_model
from xsm.data.families import families_behind
from xsm.data.masks import with_masks
from xsm.data.period import split_days
from xsm.data.roles import RETRIEVAL, ROOT, SURFACE, bounds_of, holders
from xsm.errors import DataError, UsageError, render_hint, tell
from xsm.learning import fusing, fusion_weights
from xsm.learning.derived import with_derived
from xsm.learning.fuse_inputs import check_information, check_thawed, checked_cube, taken
from xsm.learning.fuse_stations import at_stations
from xsm.learning.samples import model_options, periods, sample_cells
from xsm.progress import quiet

DEFAULT = "trees"
CELLS = 2500
"""Cells to learn from."""
FEWEST_DAYS, USUAL_DAYS = 10, 30
"""Training days: with fewer it stops, or warns."""
LIMITS = (
    "Weights and spread are fixed ones, chosen on synthetic worlds. Errors that satellite and land model share are not "
    "seen; the mean of a cell rests on both."
)
MODES = ("smoother", "filter")
log = logging.getLogger("xsm")


def fit_fuse(
    ds: xr.Dataset,
    *,
    model: str | None,
    train: Any,
    validation: Any,
    stations: xr.Dataset | None,
    seed: int,
    options: Mapping[str, Any],
) -> Bundle:
    """Train a fusion; see `xsm.fit`. Its weights are the fixed ones unless there are stations."""
    options = dict(options)
    mode = options.pop("mode", MODES[0])
    if mode not in MODES:
        raise UsageError(f"mode is '{mode}', expected one of {', '.join(MODES)}.")
    learner = get_model(model or DEFAULT, "fuse")
    checked = model_options(learner.info, options)
    depths = (5, 25) if ROOT in holders(ds) else (5,)
    ds, _ = checked_cube(ds, depths)
    day = ds["time"].values.astype("M8[D]")
    training, validation_days = split_days(day, train, validation)
    _check_length(int(training.sum()), len(day))
    roles = fusing.inputs_of(ds, depths, training)
    inputs, statics = fusing.cross_predictors(roles, mode)
    try:
        sample = _sample(ds, roles, inputs, statics, seed)
    except DataError:
        check_thawed(ds)
        raise
    check_information(sample.isel(time=training), holders(ds))
    log.info("training the fusion on %d cells and %d days", sample.sizes.get("cell", 1), training.sum())
    with quiet() as progress:
        learn = partial(_learn, learner, checked, training, seed, progress)
        join = partial(_joined, learner, ds, mode, seed, training, validation_days, depths)
        parts = {fusing.PREDICTION: learn(sample, RETRIEVAL, inputs, statics)}
        bundle = join(parts)
        if 25 in depths:
            surface = fusing.surface_parts(sample, bundle)
            fused = fusing.merged_surface(surface, fusion_weights.SURFACE_WEIGHTS)
            sample = sample.assign({fusing.FUSED: fused.assign_attrs(units="m3 m-3")})
            for name, series in ((fusing.TAUGHT, fusing.FUSED), (fusing.OPERATOR, SURFACE)):
                parts[name] = learn(sample, ROOT, *fusing.depth_predictors(series, roles))
            bundle = join(parts)
            bundle = Bundle(bundle.card, {**bundle.weights, "filter_25cm": fusing.depth_filter(sample, training)})
    return bundle if stations is None else at_stations(bundle, ds, stations, training, validation_days)


def _check_length(days: int, of: int) -> None:
    if days < FEWEST_DAYS:
        raise DataError(
            f"The fusion has {days} training days (of {of}), expected {USUAL_DAYS} or more.",
            hint="Take a longer period, or a trained bundle: <model=pretrained>.",
        )
    if days < USUAL_DAYS:
        tell(
            f"The fusion has {days} training days only (of {of}), fewer than {USUAL_DAYS}: what retrieval, weather and "
            "land model have to do with each other is hardly known. "
            + render_hint("Take a longer period, or <model=pretrained>.")
        )


def _sample(ds: xr.Dataset, roles: xr.Dataset, inputs: list[str], statics: list[str], seed: int) -> xr.Dataset:
    """Series of some cells with all predictors of the retrieval; only the chosen cells are loaded."""
    dims = [str(d) for d in roles[SURFACE].dims if d != "time"]
    shape = [roles.sizes[d] for d in dims]
    number = xr.DataArray(np.arange(int(np.prod(shape))).reshape(shape), dims=dims)
    cells = roles[[RETRIEVAL, SURFACE, *statics]].assign(number=number)
    cell = sample_cells(cells, [RETRIEVAL], [SURFACE, *statics, "number"], CELLS, seed)["number"].values
    at = {d: xr.DataArray(k, dims="cell") for d, k in zip(dims, np.unravel_index(cell, shape), strict=True)}
    derived, masks = with_derived(roles, inputs), with_masks(ds)
    frozen = {"frozen": masks["frozen"]} if "frozen" in masks else {}
    keep = dict.fromkeys((RETRIEVAL, *inputs, fusing.INNOVATION, SURFACE, ROOT, *statics))
    sample = derived[[n for n in keep if n in derived]].assign(frozen).reset_coords(drop=True).isel(at)
    return sample.transpose("time", "cell", ...).load()


def _learn(
    model: Model, options: Mapping[str, Any], use: np.ndarray, seed: int, progress: Progress,
    sample: xr.Dataset, target: str, inputs: list[str], statics: list[str],
) -> Bundle:  # fmt: skip
    """Train a component on the cells of a sample, on the days ``use``."""
    sample = with_derived(sample, inputs)
    arrays = {n: sample[n].transpose("time", ...).values.astype("f4") for n in (*inputs, target)}
    arrays |= {n: sample[n].values.astype("f4") for n in statics}
    thawed = ~sample["frozen"].transpose("time", ...).values.astype(bool) if "frozen" in sample else None
    day = sample["time"].values.astype("M8[D]")
    samples = Samples(arrays, day, use, np.ones(arrays[target].shape[1:], bool), thawed)
    spec = Spec(
        "fuse", tuple(inputs), (target,), tuple(statics), (target,),
        {n: str(sample[n].attrs.get("units", "")) for n in (*inputs, *statics, target)}, options=options,
    )  # fmt: skip
    return model.fit(samples, spec, validation=None, seed=seed, progress=progress)


def _joined(
    learner: Model, ds: xr.Dataset, mode: str, seed: int, training: np.ndarray, validation: np.ndarray,
    depths: Sequence[int], parts: Mapping[str, Bundle],
) -> Bundle:  # fmt: skip
    """One bundle of all components, with fixed weights and the spread that goes with them."""
    day = ds["time"].values.astype("M8[D]")
    names = taken(ds)
    variables = list(names.values())
    weights = {f"{name}/{key}": w for name, part in parts.items() for key, w in part.weights.items()}
    card = {
        "format": BUNDLE_FORMAT,
        "task": "fuse",
        "model": learner.info.name,
        "inputs": [n for n in variables if "time" in ds[n].dims],
        "statics": [n for n in variables if "time" not in ds[n].dims],
        "targets": [f"sm_{d}cm" for d in depths],
        "references": [names[RETRIEVAL], *([names[ROOT]] if 25 in depths else [])],
        "units": {n: str(ds[n].attrs.get("units", "")) for n in variables} | {f"sm_{d}cm": "m3 m-3" for d in depths},
        "options": {"mode": mode, "components": {n: _without_origin(p.card) for n, p in parts.items()}},
        "training": {"days": _bounds(day[training]), "periods": periods(day[training])},
        "validation": {"days": _bounds(day[validation])},
        "metrics": {f"rmse_{n}": p.card["metrics"]["rmse"] for n, p in parts.items() if "rmse" in p.card["metrics"]},
        "sources": {
            "history": str(ds.attrs.get("history", "")).split("\n"),
            "families": families_behind(ds, variables),
            "roles": {role: _about(ds, name) for role, name in names.items()},
            "stations": [],
        },
        "synthetic": str(ds.attrs.get("synthetic", "")),
        "seed": seed,
        "versions": dict(next(iter(parts.values())).card.get("versions") or versions()),
        "licence": "BSD-3-Clause",
        "spread": {"of": "truth"},
        "limits": LIMITS,
    }
    return Bundle(card, weights | fusion_weights.fixed())


def _about(ds: xr.Dataset, name: str) -> dict[str, Any]:
    """What a card says of the variable that held a role: its name, its families and its layer in cm."""
    layer = bounds_of(ds, name)
    return {"name": name, "families": families_behind(ds, [name]), **({"layer": list(layer)} if layer else {})}


def _without_origin(card: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in card.items() if k not in ("format", "versions", "seed", "history")}


def _bounds(days: np.ndarray) -> list[str]:
    return [str(days[0]), str(days[-1])] if days.size else []
