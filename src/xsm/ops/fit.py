"""Train a model on a cube."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.contracts.operation import Kind, Param, operation
from xsm.data.roles import as_variables, with_roles
from xsm.data.time import utc_times
from xsm.learning.fitting import fit_task
from xsm.ops.cube import Roles
from xsm.options import check_device


@operation(title="Train a model", group="Estimation", result=Kind.MODEL)
def fit(
    ds: Annotated[xr.Dataset, Param("Cube with the predictors and references.")],
    *,
    depth: Annotated[Literal[5, 25], Param("Estimate: depth.", unit="cm")] = 5,
    scenario: Annotated[
        Literal[1, 2],
        Param("Estimate: 2 adds soil properties at 5 cm and the 5 cm estimate at 25 cm to the predictors of 1."),
    ] = 2,
    task: Annotated[
        Literal["estimate", "gapfill", "fuse"], Param("What the model is for.", advanced=True)
    ] = "estimate",
    model: Annotated[
        str | None, Param("Model; `xsm models` lists them. Default convlstm, cru for gap filling, trees for fusion.")
    ] = None,
    train: Annotated[Any, Param("Training days.", kind=Kind.PERIOD)] = None,
    validation: Annotated[Any, Param("Validation days of an estimate or a fusion.", kind=Kind.PERIOD)] = None,
    predictors: Annotated[
        tuple[str, ...] | None,
        Param("Estimate: predictors instead of the scenario's, series or maps.", advanced=True),
    ] = None,
    target: Annotated[str | None, Param("Estimate: reference instead of the scenario's.", advanced=True)] = None,
    variables: Annotated[tuple[str, ...] | None, Param("Gap filling: variables to fill.", advanced=True)] = None,
    covariates: Annotated[tuple[str, ...], Param("Gap filling: driving series and maps.", advanced=True)] = (),
    allow_target_leak: Annotated[
        bool, Param("Gap filling: allow land-model soil moisture as a covariate.", advanced=True)
    ] = False,
    surface: Annotated[
        Any,
        Param(
            "Estimate at 25 cm, scenario 2: the model for 5 cm, trained if absent; 'cube' for the cube's sm_5cm.",
            kind=Kind.MODEL,
        ),
    ] = None,
    stations: Annotated[
        xr.Dataset | None,
        Param(
            "Stations that the spread is calibrated to, on the validation days; not for gap filling.",
            kind=Kind.STATIONS,
            advanced=True,
        ),
    ] = None,
    seed: Annotated[int, Param("Seed of everything random.", minimum=0)] = 0,
    roles: Roles = None,
    **options: Any,
) -> Bundle:
    """Train a model on a cube.

    Parameters
    ----------
    ds : xarray.Dataset
        Gap-free predictors and references with observed values, dims (time, y, x) on an EASE-Grid window; for gap
        filling and per-cell models any dims with ``time``.
    depth, scenario : int
        Estimate: which one (Table 2 of Rabiei et al. 2024).
    task : {"estimate", "gapfill", "fuse"}
        What the model is for. An argument that belongs to other tasks only is refused.
    model : str, optional
        Name of the model; by default ``convlstm``, for gap filling ``cru``, for fusion ``trees``.
    train : slice or array of bool, optional
        Days to learn from. For an estimate or a fusion by default 2018-2020, or the first 60 % of the days; for gap
        filling all days.
    validation : slice or array of bool, optional
        Estimate: days to stop by; fusion: days that calibrate the spread. By default 2021, or the 20 % of the days
        after the first 60 %.
    predictors, target : optional
        Estimate: predictors and reference instead of the scenario's; the target is a variable of the dataset. A
        predictor is a variable or derived from one: ``"memory(v, days)"``, an exponential filter;
        ``"antecedent(v, days)"``, a decaying sum; ``"others(v, days)"`` and ``"distance(v)"``, the values observed on
        other days and how far these are, with ``side="past"`` for earlier ones alone; ``"mean(v)"`` of the training
        days; ``"neighbours(v, cells)"``. They nest, and ``v`` may have gaps. The target may enter by its other days.
    variables, covariates : sequence of str, optional
        Gap filling: what the model learns to fill, and the gap-free series and maps that help it.
    allow_target_leak : bool
        Gap filling: allow land-model soil moisture as a covariate.
    surface : Bundle, path or "cube", optional
        Estimate at 25 cm, scenario 2: the 5 cm bundle that feeds it; it becomes part of the result. ``"cube"`` takes
        the cube's ``sm_5cm`` as it is, wherever it comes from; then a cube must have it for estimates too.
    stations : xarray.Dataset, optional
        Estimate: ``soil_moisture(sensor, time)``; its ``_std`` is then the spread of the true value. Without stations
        it is that of the reference and called ``_reference_std``. Fusion: they also correct the weights.
    seed : int
        Seed of sampling, initial weights and batches.
    roles : mapping of str to str, optional
        Variables that hold a role where several could, or none says so: ``{"model_surface": "swvl1"}``; see
        `xsm.data.roles`.
    **options
        Options of the model; see ``xsm models``. All that estimate have ``memory``, days of exponential filters that
        are predictors too: of the retrieval, or of every daily predictor where the cube lacks it or it is a reference.
        Fusion has ``mode="smoother"`` or ``"filter"``.

    Returns
    -------
    xsm.Bundle
        Save it with ``bundle.save(path)``.

    Raises
    ------
    UsageError
        For an argument that belongs to another task.
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
    >>> cube.sm.fit(model="ridge", predictors=["tb_h", "memory(sm_dca, 5)"], target="sm_noah_0_10").card["inputs"]
    ['tb_h', 'memory(sm_dca, 5)']
    """
    check_device()
    ds = with_roles(utc_times(ds) if task != "fuse" else as_variables(utc_times(ds)), roles)
    stations = None if stations is None else utc_times(stations, "The stations")
    arguments = {
        "depth": depth, "scenario": scenario, "model": model, "train": train, "validation": validation,
        "predictors": predictors, "target": target, "variables": variables, "covariates": covariates,
        "allow_target_leak": allow_target_leak, "surface": surface, "stations": stations, "seed": seed,
    }  # fmt: skip
    defaults = {name: parameter.default for name, parameter in inspect.signature(fit).parameters.items()}
    return fit_task(task, ds, arguments, defaults, options)
