"""What a study does with models: fill the gaps of its cube, train, estimate, and fuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.contracts.registry import get_model, model_info
from xsm.data.period import days, split_days
from xsm.data.roles import FUSED, RETRIEVAL, holders
from xsm.data.skipped import LEFT_OUT
from xsm.errors import tell
from xsm.io import files
from xsm.learning.fitting_gapfill import NothingToLearn
from xsm.learning.samples import model_options
from xsm.learning.shipped import load_bundle, warn_of_shipped
from xsm.ops.estimate import estimate
from xsm.ops.fit import fit
from xsm.ops.fuse import fuse
from xsm.ops.gapfill import gapfill
from xsm.study.config import Fill, Fit, Fuse, Study, depth_and_scenario
from xsm.study.inputs import write_store
from xsm.study.parts import check_parts

WHEN_APPLIED = ("max_gap", "denoise")
"""Options of a study's [gapfill] that do not bear on the training of its model."""
AT_FILLING = (*WHEN_APPLIED, "allow_target_leak")
"""Options of a study's [gapfill] that are not the model's."""
OF_THE_FIT = ("predictors", "target")
"""Options of [fit] that are no options of its model."""


def check_models(study: Study) -> None:
    """Stop at variables, models, options and training days that there are not, before anything is opened."""
    check_parts(study)
    fill, config, fusion = study.gapfill, study.fit, study.fuse
    if fill and fill.model is None:
        model_options(model_info(fill.method, "gapfill"), _model_options(fill))
    if config and not {*config.estimates} <= {*config.bundles}:
        options = {k: v for k, v in config.options.items() if k not in OF_THE_FIT}
        model_options(model_info(config.model, "estimate"), options)
        _check_split(study, config)
    if fusion and fusion.model is None:
        model_options(model_info(fusion.method, "fuse"), dict(fusion.options))
        _check_split(study, fusion)


def _check_split(study: Study, config: Fit | Fuse) -> None:
    period = days(study.time) if study.time else slice(None)
    if period.start is not None and period.stop is not None:
        split_days(np.arange(period.start, period.stop + 1), config.train, config.validation)


def _model_options(fill: Fill) -> dict[str, Any]:
    return {k: v for k, v in fill.options.items() if k not in AT_FILLING}


def _about_settings(config: Fill | Fit) -> dict[str, Any]:
    """Settings that a training depends on: not what else is estimated, nor how the model is applied."""
    settings = {k: v for k, v in asdict(config).items() if k not in ("estimates", "bundles")}
    return settings | {"options": {k: v for k, v in config.options.items() if k not in WHEN_APPLIED}}


def about_filling_model(study: Study, fill: Fill) -> Any:
    """What the model of the gap filling depends on besides the cube."""
    split = study.fit and [study.fit.train, study.fit.validation]
    return [_about_settings(fill), study.seed, split]


def train_filling_model(study: Study, fill: Fill, cube: Path, part: Path) -> None:
    """Train the model of the gap filling; the folder stays empty where the series need none."""
    ds, options, training_days = _to_fill(fill, cube), _model_options(fill), None
    if study.fit:
        training_days, _ = split_days(ds["time"].values.astype("M8[D]"), study.fit.train, study.fit.validation)
    if any(p.name == "mode" for p in get_model(fill.method, "gapfill").info.options):
        options = {"mode": fill.mode} | options
    try:
        bundle = fit(
            ds, task="gapfill", model=fill.method, variables=fill.variables, covariates=fill.covariates,
            train=training_days, seed=study.seed, allow_target_leak=fill.options.get("allow_target_leak", False),
            **options,
        )  # fmt: skip
    except NothingToLearn:
        part.mkdir()
    else:
        bundle.save(part)


def _filling_model(fill: Fill, trained: Path | None) -> Bundle | None:
    """The model that the study file names, or the one that was trained; None where series need none."""
    if trained is None:
        return None if fill.model is None else load_bundle(fill.model, "gapfill")
    return Bundle.load(trained) if any(trained.iterdir()) else None


def about_filling(study: Study, fill: Fill, trained: Path | None) -> Any:
    """What a filled cube depends on besides the cube."""
    model = _filling_model(fill, trained)
    return [asdict(replace(fill, model=None)), None if model is None else model.hash, study.seed]


def write_filling(study: Study, fill: Fill, cube: Path, trained: Path | None, part: Path) -> None:
    """Write the cube without gaps."""
    filled = gapfill(
        _to_fill(fill, cube), fill.method, variables=fill.variables, covariates=fill.covariates, mode=fill.mode,
        model=_filling_model(fill, trained), seed=study.seed,
        **{k: v for k, v in fill.options.items() if k in AT_FILLING or fill.model},
    )  # fmt: skip
    warn_of_shipped(fill.model, "gapfill")
    write_store(filled, part)


def _to_fill(fill: Fill, path: Path) -> xr.Dataset:
    return _with_all_days(files.read(path), fill.covariates, "The covariates")


def _with_all_days(cube: xr.Dataset, names: Iterable[str], what: str, late: bool = False) -> xr.Dataset:
    """The cube; where files were left out or late, series of these names that lack days are interpolated in time."""
    some = names if late or LEFT_OUT in cube else ()
    series = {n: cube[n] for n in some if n in cube and "time" in cube[n].dims}
    gappy = [n for n, v in series.items() if bool((v.isnull() & v.notnull().any("time")).any())]
    if not gappy:
        return cube
    tell(f"{what} {', '.join(gappy)} lack days because files were left out or missing; they are interpolated in time.")
    whole = gapfill(cube[gappy], "linear", variables=gappy)
    return cube.assign({n: whole[n] for n in gappy})


def with_surface(cube: Path, surface: Path | None) -> xr.Dataset:
    """Read the cube without its region mark, with the 5 cm estimate where there is one."""
    ds = files.read(cube)
    ds.attrs.pop("xsm_region", None)
    if surface is None:
        return ds
    return ds.assign(sm_5cm=files.read(surface)["sm_5cm"].reset_coords(drop=True))


def hash_of(bundle: Path) -> str:
    """Hash of a model bundle."""
    return Bundle.load(bundle).hash


def about_model(study: Study, config: Fit, pair: str, surface: Path | None) -> Any:
    """What the model of a depth and scenario depends on besides the cube; ``surface`` is the bundle for 5 cm."""
    return [pair, _about_settings(config), study.seed, None if surface is None else hash_of(surface)]


def train_model(
    study: Study, config: Fit, pair: str, cube: Callable[[], xr.Dataset], surface: Path | None, stations: Path | None,
    part: Path, span: Sequence[str] | None,
) -> None:  # fmt: skip
    """Train the model of a depth and scenario."""
    depth, scenario = depth_and_scenario(pair)
    bundle = fit(
        _within(cube(), span), depth=depth, scenario=scenario, model=config.model, train=config.train,
        validation=config.validation,
        surface=surface, stations=None if stations is None else files.read(stations), seed=study.seed,
        **dict(config.options),
    )  # fmt: skip
    bundle.save(part)


def _within(cube: xr.Dataset, span: Sequence[str] | None) -> xr.Dataset:
    """The cube on the days from which is learnt: the first and the last of them, or all."""
    return cube if span is None else cube.sel(time=slice(*span))


def write_estimate(pair: str, cube: Callable[[], xr.Dataset], bundle: Path, part: Path) -> None:
    """Write the estimate of a depth and scenario."""
    depth, scenario = depth_and_scenario(pair)
    write_store(estimate(cube(), depth=depth, scenario=scenario, model=Bundle.load(bundle)), part)


def about_fusion_model(study: Study, config: Fuse) -> Any:
    """What the models of the fusion depend on besides the cube."""
    return [asdict(config), study.seed]


def train_fusion(
    study: Study, config: Fuse, cube: Path, stations: Path | None, part: Path, span: Sequence[str] | None
) -> None:
    """Train the models of the fusion, with stations where the study says so."""
    bundle = fit(
        _within(_to_fuse(cube, late=span is not None), span), task="fuse", model=config.method, train=config.train,
        validation=config.validation,
        stations=None if stations is None else files.read(stations), seed=study.seed, mode=config.mode,
        **dict(config.options),
    )  # fmt: skip
    bundle.save(part)


def fusion_model(config: Fuse, trained: Path | None) -> Bundle:
    """The bundle that the study file names, or the one that was trained."""
    return load_bundle(config.model, "fuse") if trained is None else Bundle.load(trained)


def about_fusion(config: Fuse, trained: Path | None) -> Any:
    """What the fused maps depend on besides the cube."""
    return [fusion_model(config, trained).hash, config.mode]


def write_fusion(config: Fuse, cube: Path, trained: Path | None, part: Path) -> None:
    """Write the fused maps of all depths that the bundle has."""
    bundle = fusion_model(config, trained)
    depths = tuple(name.removeprefix("sm_").removesuffix("cm") for name in bundle.card["targets"])
    fused = fuse(_to_fuse(cube), depth=depths, mode=config.mode, model=bundle)
    warn_of_shipped(config.model, "fuse")
    write_store(fused, part)


def _to_fuse(path: Path, late: bool = False) -> xr.Dataset:
    """The cube with gaps in the retrieval alone; it is cut to the region of the study later, as the estimates are.

    Days are looked for that are missing because files were left out or, where they may be ``late``, not there.
    """
    cube = with_surface(path, None)
    names = [name for role, name in holders(cube).items() if role in FUSED and role != RETRIEVAL]
    return _with_all_days(cube, names, "Land model and weather:", late)
