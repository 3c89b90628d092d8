"""The task ``estimate``: a model learns soil moisture from the gap-free predictors of a cube."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Spec, look_back, split_memory
from xsm.contracts.registry import get_model, model_info
from xsm.data.cf import same_units
from xsm.data.derived_text import behind
from xsm.data.families import families_behind
from xsm.data.grids import grid_of
from xsm.data.period import Splits, split_days
from xsm.data.scenarios import Scenario, scenario_of
from xsm.data.variation import map_ratios, tell_flat
from xsm.errors import DataError, UsageError, hear, tell
from xsm.learning.calibration import Place, to_reference, to_stations
from xsm.learning.cube_samples import LearningCube, load_if_small, span, split_samples
from xsm.learning.derived import with_derived
from xsm.learning.estimating import estimate_maps, lead_days, load_model, surface_estimate
from xsm.learning.predictors import (
    check_domain,
    domain,
    fallbacks,
    free_scenario,
    looked_through,
    references,
    refuse_renamed,
    require,
    split_predictors,
    warn_of_leaks,
    with_fallbacks,
    with_units,
)
from xsm.learning.samples import model_options, periods
from xsm.learning.shipped import warn_of_shipped
from xsm.learning.values import check_values
from xsm.progress import quiet
from xsm.validation.matching import Sensors

SHOWN_DAYS, SHOWN_CELLS = 40, 64
"""Training days and cells on a side that show whether an estimate varies as its references do."""
CUBE = "cube"
"""Stands for a 5 cm bundle where the ``sm_5cm`` of the cube is taken as it is."""
log = logging.getLogger("xsm")


def fit_estimate(
    ds: xr.Dataset,
    *,
    depth: int,
    scenario: int,
    model: str | None,
    train: Any,
    validation: Any,
    stations: xr.Dataset | None,
    seed: int,
    options: Mapping[str, Any],
    predictors: Sequence[str] | None = None,
    target: str | None = None,
    surface: Any = None,
) -> Bundle:
    """Train a model that estimates soil moisture; see `xsm.fit`."""
    info = model_info(model or "convlstm", "estimate")
    learner = get_model(info.name, "estimate")
    memory, checked = split_memory(info, model_options(info, options))
    case = scenario_of(ds, depth, scenario)
    if predictors is not None or target is not None or memory:
        case = free_scenario(ds, predictors, target, depth, scenario, memory)
    if surface is not None and not case.needs_surface:
        raise UsageError(
            f"surface= is for 25 cm scenario 2, not for {depth} cm scenario {scenario}.", hint="Leave it out."
        )
    ds = _with_checked_predictors(ds, case)
    day = ds["time"].values.astype("M8[D]")
    splits = training_days, validation_days = split_days(day, train, validation)
    if stations is not None:
        Sensors(stations, day)
    bundle_5cm = None
    if case.needs_surface and surface != CUBE:
        if surface is None:
            log.info("training the 5 cm bundle that feeds 25 cm scenario 2")
            surface = fit_estimate(
                ds, depth=5, scenario=2, model=info.name, train=train, validation=validation,
                stations=stations, seed=seed, options={**options, **({"memory": ()} if memory else {})},
            )  # fmt: skip
        bundle_5cm = load_model(surface, 5, None)
        ds = _with_surface(ds, bundle_5cm)
    ds = with_derived(ds, (*case.inputs, *case.statics), train=training_days)
    cube = _learning_cube(ds, case, bundle_5cm, splits, look_back(learner.info, checked) - 1)
    warn_of_shipped(bundle_5cm and surface, "estimate")
    spec = _spec(ds, case, target, checked)
    cube = load_if_small(cube)
    with quiet() as progress:
        bundle = learner.fit(
            split_samples(cube, training_days),
            spec,
            validation=split_samples(cube, validation_days) if validation_days.any() else None,
            seed=seed,
            progress=progress,
        )
    bundle = _with_origin(bundle, ds, case, splits, cube.fallback, bundle_5cm)
    bundle = _with_variation(bundle, ds, case, cube.domain, training_days)
    return (
        to_reference(bundle)
        if stations is None
        else to_stations(bundle, [Place(ds, stations, validation_days, training_days)])
    )


def _with_checked_predictors(ds: xr.Dataset, case: Scenario) -> xr.Dataset:
    """The cube with the units of its predictors and references, all of which it must have but the 5 cm estimate."""
    case = looked_through(case)
    require(ds, case, with_references=True)
    ds = with_units(ds, (*case.inputs, *case.statics, *case.references))
    split_predictors(ds, case)
    return ds


def _with_surface(ds: xr.Dataset, surface: Bundle) -> xr.Dataset:
    """The cube with the estimate of its 5 cm bundle."""
    if "sm_5cm" in ds:
        if ds["sm_5cm"].attrs.get("model_hash") == surface.hash:
            return ds
        tell(f"The cube's sm_5cm is not from the 5 cm bundle {surface.hash}; it is replaced by a new estimate.")
    return ds.assign(sm_5cm=surface_estimate(ds, surface))


def _learning_cube(
    ds: xr.Dataset, case: Scenario, surface: Bundle | None, splits: Splits, lead_in: int
) -> LearningCube:
    """Check the values that a model learns from on the days that it gets."""
    dynamic, static = split_predictors(ds, case)
    cells = domain(dynamic, static, ds.get("land")).compute()
    check_domain(dynamic, static, cells, case)
    training_days, validation_days = splits
    fill_periods = {str(n): str(v.attrs.get("fill_training", "")) for n, v in dynamic.data_vars.items()}
    fill_periods |= {"sm_5cm": surface.trained_on} if surface else {}
    warn_of_leaks(fill_periods, ds["time"].values.astype("M8[D]")[training_days])
    first_day = lead_days(surface) if surface else 0
    fallback = fallbacks(dynamic, cells, training_days)
    dynamic = with_fallbacks(dynamic, fallback)
    cube = LearningCube(dynamic, static, references(ds, case), ds.get("frozen"), cells, first_day, lead_in, fallback)
    read = np.zeros(ds.sizes["time"], bool)
    for split in splits:
        read[span(cube, split)] = True
    check_values(dynamic.isel(time=read).assign(static.data_vars), cells, str(case))
    observed = cube.observed.isel(time=training_days | validation_days)
    check_values(observed, cells, str(case), what="references", gaps=True)
    refuse_renamed(dynamic, cube.observed)
    return cube


def _spec(ds: xr.Dataset, case: Scenario, target: str | None, options: Mapping[str, Any]) -> Spec:
    units = {n: str(ds[n].attrs.get("units", "")) for n in (*case.inputs, *case.statics, *case.references)}
    if target is not None and not same_units(units[target] or "m3 m-3", "m3 m-3"):
        raise DataError(
            f"The target '{target}' has the unit '{units[target]}', expected soil moisture in m3 m-3.",
            hint="Estimates are soil moisture: choose such a reference.",
        )
    return Spec(
        task="estimate",
        inputs=case.inputs,
        statics=case.statics,
        targets=(case.target,),
        references=case.references,
        units=units | {case.target: units[case.references[0]] or "m3 m-3"},
        depth=case.depth,
        scenario=case.number,
        options=options,
    )


def _with_variation(
    bundle: Bundle, ds: xr.Dataset, case: Scenario, cells: xr.DataArray, training_days: np.ndarray
) -> Bundle:
    """The bundle with how much its estimate varies beside the references, on some training days in a window; tells."""
    part = {"time": slice(max(0, np.flatnonzero(training_days)[-1] + 1 - SHOWN_DAYS - lead_days(bundle)), None)}
    part["time"] = slice(part["time"].start, np.flatnonzero(training_days)[-1] + 1)
    for dim, at in zip(cells.dims, np.nonzero(cells.values), strict=True):
        first = int(np.clip(np.median(at) - SHOWN_CELLS // 2, 0, max(0, cells.sizes[dim] - SHOWN_CELLS)))
        part[str(dim)] = slice(first, first + SHOWN_CELLS)
    names = (*case.inputs, *case.statics, *case.references, "land", "spatial_ref")
    needed = list(dict.fromkeys(v for n in names for v in (n, behind(n)) if v in ds))
    some = (
        ds[needed + [f"{n}_observed" for n in case.references if f"{n}_observed" in ds]]
        .isel(part)
        .drop_attrs(deep=False)
    )
    with hear(thread=True):
        maps = estimate_maps(some.compute(), bundle, case.depth, case.number)[case.target]
    shares = map_ratios(maps, references(some, case).compute())
    tell_flat(f"The estimate of '{bundle.card['model']}'", shares, " and ".join(case.references))
    noted = {**(bundle.card.get("metrics") or {}), **{f"std_ratio_{k}": v for k, v in shares.items()}}
    return Bundle({**bundle.card, "metrics": noted}, bundle.weights, bundle.surface)


def _with_origin(
    bundle: Bundle,
    ds: xr.Dataset,
    case: Scenario,
    splits: Splits,
    fallback: Mapping[str, float],
    surface: Bundle | None,
) -> Bundle:
    """The bundle with what its card says of the data: days, grid, history, what stands in for missing predictors."""
    day = ds["time"].values.astype("M8[D]")
    training, validation = (day[split] for split in splits)

    def bounds(days: np.ndarray) -> list[str]:
        return [str(days[0]), str(days[-1])] if days.size else []

    grid = grid_of(ds)
    origin = {
        "training": {"days": bounds(training), "periods": periods(training)},
        "validation": {"days": bounds(validation)},
        "grid": None
        if grid is None
        else {"name": grid.name, "row0": grid.row0, "col0": grid.col0, "shape": list(grid.shape)},
        "synthetic": str(ds.attrs.get("synthetic", "")),
        "sources": {
            "history": str(ds.attrs.get("history", "")).split("\n"),
            "families": families_behind(ds, (*case.references, *case.inputs)),
        },
        "surface": None if surface is None else surface.hash,
        **({"fallback": dict(fallback)} if fallback else {}),
        "licence": bundle.card.get("licence", "BSD-3-Clause"),
    }
    return Bundle({**bundle.card, **origin}, bundle.weights, surface)
