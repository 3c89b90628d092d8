"""Estimate soil moisture maps with a trained model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.time import utc_times
from xsm.learning.estimating import estimate_maps, load_model
from xsm.learning.shipped import warn_of_shipped
from xsm.options import check_device


@operation(title="Estimate soil moisture", group="Estimation")
def estimate(
    ds: Annotated[xr.Dataset, Param("Cube with the gap-free predictors.")],
    *,
    depth: Annotated[Literal[5, 25], Param("Depth of the estimate.", unit="cm")] = 5,
    scenario: Annotated[
        Literal[1, 2], Param("2 adds soil properties at 5 cm and the 5 cm estimate at 25 cm to the predictors of 1.")
    ] = 2,
    model: Annotated[
        Any,
        Param(
            "Trained model or its folder, 'uscrn-depth' (25 cm from sm_5cm, trained on real stations); by default a "
            "shipped one, trained on synthetic data.",
            kind=Kind.MODEL,
        ),
    ] = None,
    dropout_passes: Annotated[
        int, Param("Passes with dropout that add to the spread (Monte Carlo).", minimum=0, maximum=200, advanced=True)
    ] = 0,
) -> xr.Dataset:
    """Estimate daily soil moisture at 5 or 25 cm with its standard deviation.

    Parameters
    ----------
    ds : xarray.Dataset
        Cube, dims (time, y, x) on an EASE-Grid window, predictors without temporal gaps; derived predictors of the
        model are made from it, and what is behind them may have gaps.
    depth, scenario : int
        Which estimate (Table 2 of Rabiei et al. 2024).
    model : Bundle or path, optional
        Trained model; without one the shipped bundle is used, with a warning. The 5 cm estimate that 25 cm scenario 2
        needs is taken from the cube where it has one by the same surface bundle. ``"uscrn-depth"`` makes 25 cm of a
        cube's ``sm_5cm`` (of any origin), ``precipitation`` and ``air_temperature``; its card (`xsm inspect`) has the
        stations that taught it, its scores and its limits.
    dropout_passes : int
        Monte Carlo dropout: average of that many passes with neurons left out, whose differences add to the spread; for
        models that have dropout. Takes that many times as long and is recorded in ``history`` and attributes. The
        spread was calibrated without dropout.

    Returns
    -------
    xarray.Dataset
        ``sm_5cm`` or ``sm_25cm`` (m3 m-3) and its standard deviation on (time, y, x), lazy where the cube is:
        ``..._std`` is that of the true value, calibrated to stations when the model was trained; ``..._reference_std``
        is that of the reference which the model learnt from, where there were no stations. ``mask_reason``
        (y, x), ``frozen``, and the coordinates ``land_cover`` and ``texture`` where the cube has them. The first
        ``warm_up_days`` days lack some of the days that the model looks back on; the first ``lead_in_days`` of them are
        empty. ``clipped_share`` of the estimate is the share of values that were clipped to 0.02 or the porosity,
        unless the cube is lazy or the model clips arrays of another shape.

    Raises
    ------
    DataError
        For a missing predictor, predictors with gaps, infinite values, fill values or other units, a bundle of another
        depth or scenario.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=20)
    >>> model = cube.sm.fit(depth=5, scenario=2, model="ridge")
    >>> sm5 = cube.sm.estimate(depth=5, scenario=2, model=model)
    >>> sm5["sm_5cm"].dims, sm5["sm_5cm_reference_std"].attrs["units"]
    (('time', 'y', 'x'), 'm3 m-3')
    """
    check_device()
    model = f"{depth}-{scenario}" if model is None else model
    bundle = load_model(model, depth, scenario)
    out = estimate_maps(utc_times(ds), bundle, depth, scenario, dropout_passes)
    warn_of_shipped(model, "estimate")
    passes = {"dropout_passes": dropout_passes} if dropout_passes else {}
    return add_history(
        out.assign_attrs(passes), "estimate", depth=depth, scenario=scenario, model=bundle.hash, **passes
    )
