"""Fuse satellite, land model and weather into soil moisture at two depths."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.roles import as_variables, with_roles
from xsm.data.time import utc_times
from xsm.learning.fused_maps import checked_depths, fused_maps, fusion_bundle
from xsm.learning.shipped import warn_of_shipped
from xsm.ops.cube import Roles


@operation(title="Fuse satellite, land model and weather", group="Estimation")
def fuse(
    ds: Annotated[xr.Dataset, Param("Cube with a retrieval (gaps may stay), a land model and weather.")],
    *,
    depth: Annotated[tuple[str, ...], Param("Depths in cm: 5, 25 or both.")] = ("5", "25"),
    stations: Annotated[
        xr.Dataset | None,
        Param("Stations that correct the weights and calibrate the spread.", kind=Kind.STATIONS),
    ] = None,
    mode: Annotated[
        Literal["smoother", "filter"], Param("Smoother uses later retrievals too; filter is for the latest day.")
    ] = "smoother",
    model: Annotated[
        Any,
        Param(
            "Trained model or its folder, 'pretrained' for the shipped one; by default trained on the cube.",
            kind=Kind.MODEL,
        ),
    ] = None,
    train: Annotated[Any, Param("Days to learn from.", kind=Kind.PERIOD, advanced=True)] = None,
    validation: Annotated[Any, Param("Days that calibrate the spread.", kind=Kind.PERIOD, advanced=True)] = None,
    seed: Annotated[int, Param("Seed of sampling and training.", minimum=0, advanced=True)] = 0,
    roles: Roles = None,
) -> xr.Dataset:
    """Fuse satellite, land model and weather into daily soil moisture at 5 and 25 cm with its spread.

    A model predicts the retrieval of a day from the weather, the land model and the retrievals of other days. That
    prediction, the day's retrieval where there is one, and the land model err nearly independently of each other: their
    weighted mean is better than each of them. Soil moisture at 25 cm is the mean of the land model's second layer,
    corrected by what the fused surface says, and of two models that turn the fused surface into it.

    Parameters
    ----------
    ds : xarray.Dataset
        Cube, dims (time, y, x), with variables of the roles ``retrieval``, with gaps or filled (only its observed
        values are used), ``model_surface``, and for 25 cm ``model_root``; better with ``precipitation``,
        ``air_temperature``, ``sand``, ``clay`` and ``land_cover``. Land model and weather without gaps.
    depth : sequence of int
        5, 25 or both, in cm.
    stations : xarray.Dataset, optional
        ``soil_moisture(sensor, time)``: corrects the weights on the training days and calibrates the spread on the
        validation days. The result lists these stations.
    mode : {"smoother", "filter"}
        Whether retrievals of later days take part in what is trained here; a filter's bundle stays a filter.
    model : Bundle or path, optional
        From ``fit(task="fuse")``; ``"pretrained"`` is the shipped one, trained on the twin. Without one it is trained
        here, which takes about a minute.
    train, validation : slice or array of bool, optional
        Days of the training that happens here, as in `xsm.fit`.
    seed : int
        Seed of that training.
    roles : mapping of str to str, optional
        Variables that hold a role where several could, or none says so: ``{"model_surface": "swvl1"}``; see
        `xsm.data.roles`.

    Returns
    -------
    xarray.Dataset
        ``sm_5cm`` and ``sm_25cm`` (m3 m-3), ``_std`` of the true value beside each; ``weights_5cm`` of the three
        sources on days with and without a retrieval, ``weights_25cm``; ``retrieval_observed``, ``mask_reason`` and
        ``frozen``. Lazy where the cube is.

    Raises
    ------
    DataError
        For a missing role, gaps or impossible values, a bundle for other depths, a smoother's bundle for a filter.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=60)
    >>> fused = cube.sm.fuse(depth=5)
    >>> fused["sm_5cm"].dims, fused["sm_5cm_std"].attrs["units"]
    (('time', 'y', 'x'), 'm3 m-3')
    """
    ds = with_roles(as_variables(utc_times(ds)), roles)
    stations = None if stations is None else utc_times(stations, "The stations")
    depths = checked_depths(depth)
    bundle = fusion_bundle(
        ds, model, depths, mode=mode, stations=stations, train=train, validation=validation, seed=seed
    )
    days = {
        "model_training": bundle.trained_on,
        "model_validation": " to ".join(bundle.card.get("validation", {}).get("days", [])),
    }
    out = fused_maps(ds, bundle, depths).assign_attrs({k: v for k, v in days.items() if v})
    warn_of_shipped(model, "fuse")
    return add_history(out, "fuse", depth=list(depths), mode=bundle.card["options"]["mode"], model=bundle.hash)
