"""Train a model on a cube; gives a bundle."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Samples, Spec, look_back
from xsm.contracts.operation import Kind, Param, operation
from xsm.contracts.registry import get_model
from xsm.data.cf import same_units
from xsm.data.grids import grid_of
from xsm.data.period import split_days
from xsm.data.scenarios import Scenario, get_scenario
from xsm.errors import DataError, UsageError, tell
from xsm.learning.calibration import Place, to_reference, to_stations
from xsm.learning.estimating import lead_days, load_model, surface_estimate
from xsm.learning.filling import SAMPLE_CELLS, check_series, fit_series, patterns_of, periods
from xsm.learning.predictors import (
    check_domain,
    domain,
    free_scenario,
    references,
    require,
    split_predictors,
    warn_of_leaks,
    with_units,
)
from xsm.learning.samples import Streamed, model_options, sample_cells
from xsm.learning.seasonal import Pattern
from xsm.learning.shipped import warn_of_shipped
from xsm.learning.values import check_values
from xsm.progress import quiet
from xsm.validation.matching import Sensors

log = logging.getLogger("xsm")
LOADED = 2**30
"""Bytes of predictors and references up to which a lazy cube is loaded once."""


class NothingToLearn(DataError):
    """Series whose gaps need no model."""


@operation(title="Train a model", group="Estimation", result=Kind.MODEL)
def fit(
    ds: Annotated[xr.Dataset, Param("Cube with the predictors and references.")],
    *,
    depth: Annotated[Literal[5, 25], Param("Depth of the estimate.", unit="cm")] = 5,
    scenario: Annotated[Literal[1, 2], Param("Scenario of the paper's Table 2.")] = 2,
    task: Annotated[Literal["estimate", "gapfill"], Param("What the model is for.", advanced=True)] = "estimate",
    model: Annotated[
        str | None, Param("Model; `xsm models` lists them. Default convlstm, or cru for gap filling.")
    ] = None,
    train: Annotated[Any, Param("Training days.", kind=Kind.PERIOD)] = None,
    validation: Annotated[Any, Param("Validation days.", kind=Kind.PERIOD)] = None,
    predictors: Annotated[
        tuple[str, ...] | None, Param("Other predictors than the scenario's; maps without time too.", advanced=True)
    ] = None,
    target: Annotated[str | None, Param("Other reference than the scenario's.", advanced=True)] = None,
    variables: Annotated[tuple[str, ...] | None, Param("Gap filling: variables to fill.", advanced=True)] = None,
    covariates: Annotated[tuple[str, ...], Param("Gap filling: driving series and maps.", advanced=True)] = (),
    allow_target_leak: Annotated[
        bool, Param("Gap filling: allow land-model soil moisture as a covariate.", advanced=True)
    ] = False,
    surface: Annotated[
        Any, Param("25 cm, scenario 2: the 5 cm bundle; trained too if absent.", kind=Kind.MODEL)
    ] = None,
    stations: Annotated[
        xr.Dataset | None, Param("Stations that the spread is calibrated to, on the validation days.", advanced=True)
    ] = None,
    seed: Annotated[int, Param("Seed of everything random.", minimum=0)] = 0,
    **options: Any,
) -> Bundle:
    """Train a model on a cube and return its bundle.

    Parameters
    ----------
    ds : xarray.Dataset
        Gap-free predictors and references with observed values, dims (time, y, x) on an EASE-Grid window; for gap
        filling and per-cell models any dims with ``time``.
    depth, scenario : int
        Which estimate (Table 2 of Rabiei et al. 2024).
    task : {"estimate", "gapfill"}
        What the model is for.
    model : str, optional
        Name of the model.
    train, validation : slice or array of bool, optional
        Days to learn from and to stop by; by default 2018-2020 and 2021, or the first 60 % and the next 20 %.
    predictors, target : optional
        Free predictors and reference beyond the scenarios; the target is a variable of the dataset.
    variables, covariates : sequence of str, optional
        Gap filling: what the model learns to fill, and the gap-free series and maps that help it.
    allow_target_leak : bool
        Gap filling: allow land-model soil moisture as a covariate.
    surface : Bundle or path, optional
        The 5 cm bundle that feeds 25 cm scenario 2; it becomes part of the result.
    stations : xarray.Dataset, optional
        ``soil_moisture(sensor, time)``: the estimate's ``_std`` is then the spread of the true value; without them it
        is that of the reference and called ``_reference_std``.
    seed : int
        Seed of sampling, initial weights and batches.
    **options
        Options of the model; see ``xsm models``.

    Returns
    -------
    xsm.Bundle
        Save it with ``bundle.save(path)``.

    Raises
    ------
    DataError
        For a missing predictor (named, with the scenario that needs it), predictors with gaps, infinite values, fill
        values or other units, dates outside the data.
    NothingToLearn
        Gap filling: a `DataError` where all variables are without gaps, fixed maps or fixed seasonal cycles.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=20)
    >>> cube.sm.fit(depth=5, scenario=1, model="ridge").card["inputs"][:3]
    ['tb_h', 'tb_v', 'albedo']
    >>> cube.sm.fit(model="ridge", predictors=["tb_h", "precipitation"], target="sm_noah_0_10").card["inputs"]
    ['tb_h', 'precipitation']
    """
    if task == "gapfill":
        return _fit_gapfill(ds, model or "cru", variables, covariates, allow_target_leak, train, seed, options)
    learner = get_model(model or "convlstm", "estimate")
    if predictors is not None or target is not None:
        chosen = free_scenario(ds, predictors, target, depth, scenario)
    else:
        chosen = get_scenario(depth, scenario)
    if surface is not None and not chosen.needs_surface:
        raise UsageError(
            f"surface= is for 25 cm scenario 2, not for {depth} cm scenario {scenario}.", hint="Leave it out."
        )
    checked = model_options(learner.info, options)
    own = replace(chosen, inputs=tuple(n for n in chosen.inputs if n != "sm_5cm")) if chosen.needs_surface else chosen
    require(ds, own, with_references=True)
    ds = with_units(ds, (*own.inputs, *own.statics, *own.references))
    split_predictors(ds, own)
    day = ds["time"].values.astype("M8[D]")
    used, held = split_days(day, train, validation)
    if stations is not None:
        Sensors(stations, day)
    fed = None
    if chosen.needs_surface:
        fed, ds = _with_surface(ds, surface, learner.info.name, train, validation, stations, seed, options)
    dynamic, static = split_predictors(ds, chosen)
    cells = domain(dynamic, static, ds.get("land")).compute()
    check_domain(dynamic, static, cells, chosen)
    made_by = {str(n): str(v.attrs.get("fill_training", "")) for n, v in dynamic.data_vars.items()}
    warn_of_leaks(made_by | ({"sm_5cm": fed.trained_on} if fed else {}), day[used])
    skip = lead_days(fed) if fed else 0
    back = look_back(learner.info, checked) - 1
    given = np.zeros(len(day), bool)
    for split in (used, held):
        given[_handed_over(split, skip, back)] = True
    check_values(dynamic.isel(time=given).assign(static.data_vars), cells, str(chosen))
    observed = references(ds, chosen)
    check_values(observed.isel(time=used | held), cells, str(chosen), what="references", gaps=True)
    warn_of_shipped(surface, "estimate")
    units = {n: str(ds[n].attrs.get("units", "")) for n in (*chosen.inputs, *chosen.statics, *chosen.references)}
    if target is not None and not same_units(units[target] or "m3 m-3", "m3 m-3"):
        raise DataError(
            f"The target '{target}' has the unit '{units[target]}', wanted soil moisture in m3 m-3.",
            hint="Estimates are soil moisture: choose such a reference.",
        )
    spec = Spec(
        task="estimate",
        inputs=chosen.inputs,
        statics=chosen.statics,
        targets=(chosen.target,),
        references=chosen.references,
        units=units | {chosen.target: units[chosen.references[0]] or "m3 m-3"},
        depth=depth,
        scenario=scenario,
        options=checked,
    )
    part = _samples_maker(ds, dynamic, static, observed, cells, day, skip, back)
    with quiet() as progress:
        bundle = learner.fit(
            part(used), spec, validation=part(held) if held.any() else None, seed=seed, progress=progress
        )
    made = _finish(bundle, ds, day, used, held, fed, chosen)
    return to_reference(made) if stations is None else to_stations(made, [Place(ds, stations, held)])


def _samples_maker(
    ds: xr.Dataset,
    dynamic: xr.Dataset,
    static: xr.Dataset,
    observed: xr.Dataset,
    cells: xr.DataArray,
    day: np.ndarray,
    skip: int,
    back: int,
) -> Any:
    """Make the function that cuts splits out of a cube.

    A lazy cube that is larger than `LOADED` stays so, and a model reads what it slices: such a cube should lie in a
    file, for what is computed lazily is computed at every read.
    """
    import dask

    small = sum(v.nbytes for d in (dynamic, static, observed) for v in d.data_vars.values()) <= LOADED

    def sliceable(variable: xr.DataArray) -> Any:
        return variable.values if small or variable.chunks is None else Streamed(variable.data)

    if small:
        dynamic, static, observed = dask.compute(dynamic, static, observed)

    def part(days_used: np.ndarray) -> Samples:
        """The days of a split with the lead-in days before each of its runs; references of other days are hidden."""
        cut = _handed_over(days_used, skip, back)
        hide = xr.DataArray(days_used[cut], dims="time")
        arrays = {}
        for name, variable in {**dynamic.data_vars, **static.data_vars, **observed.data_vars}.items():
            if "time" in variable.dims:
                variable = variable.isel(time=cut)
            variable = variable.transpose(*(d for d in ("time", *cells.dims) if d in variable.dims))
            if name in observed:
                variable = variable.where(hide).astype("f4")
            arrays[str(name)] = sliceable(variable)
        frozen = ds["frozen"].transpose("time", *cells.dims).isel(time=cut).astype(bool) if "frozen" in ds else None
        return Samples(arrays, day[cut], days_used[cut], cells.values, None if frozen is None else sliceable(~frozen))

    return part


def _handed_over(days_used: np.ndarray, skip: int, back: int) -> slice:
    """Days that a model gets for a split: from the lead-in of its first day to its last one."""
    at = np.flatnonzero(days_used)
    if not len(at):
        return slice(0, 0)
    return slice(min(max(at[0] - back, skip), at[-1]), at[-1] + 1)


def _with_surface(
    ds: xr.Dataset, surface: Any, model: str, train: Any, validation: Any, stations: xr.Dataset | None, seed: int,
    options: Mapping[str, Any],
) -> tuple[Bundle, xr.Dataset]:  # fmt: skip
    if surface is None:
        log.info("training the 5 cm bundle that feeds 25 cm scenario 2")
        surface = fit(ds, depth=5, scenario=2, model=model, train=train, validation=validation, stations=stations,
                      seed=seed, **options)  # fmt: skip
    surface = load_model(surface, 5, None)
    if "sm_5cm" in ds:
        if ds["sm_5cm"].attrs.get("model_hash") == surface.hash:
            return surface, ds
        tell(f"The cube's sm_5cm is not that of the 5 cm bundle {surface.hash} and is not used; it is estimated anew.")
    return surface, ds.assign(sm_5cm=surface_estimate(ds, surface))


def _finish(
    bundle: Bundle,
    ds: xr.Dataset,
    day: np.ndarray,
    used: np.ndarray,
    held: np.ndarray,
    surface: Bundle | None,
    chosen: Scenario,
) -> Bundle:
    def span(mask: np.ndarray) -> list[str]:
        return [str(day[mask][0]), str(day[mask][-1])] if mask.any() else []

    grid = grid_of(ds)
    extra = {
        "training": {"days": span(used), "periods": periods(day[used])},
        "validation": {"days": span(held)},
        "grid": None
        if grid is None
        else {"name": grid.name, "row0": grid.row0, "col0": grid.col0, "shape": list(grid.shape)},
        "synthetic": str(ds.attrs.get("synthetic", "")),
        "sources": {"history": str(ds.attrs.get("history", "")).split("\n")[:20]},
        "surface": None if surface is None else surface.hash,
        "licence": bundle.card.get("licence", "BSD-3-Clause"),
    }
    return Bundle({**bundle.card, **extra}, bundle.weights, surface)


def _fit_gapfill(
    ds: xr.Dataset,
    model: str,
    variables: Any,
    covariates: Sequence[str],
    allow_target_leak: bool,
    train: Any,
    seed: int,
    options: Mapping[str, Any],
) -> Bundle:
    names = check_series(ds, variables, covariates, allow_target_leak)
    sample = sample_cells(ds, names, covariates, SAMPLE_CELLS, seed)
    learn = [n for n, pattern in patterns_of(ds, names, sample).items() if pattern is Pattern.NONE]
    if not learn:
        raise NothingToLearn(f"{', '.join(names)} have no gaps or repeat every year: there is nothing to learn.")
    return fit_series(sample, get_model(model, "gapfill"), learn, covariates, train=train, seed=seed, options=options)
