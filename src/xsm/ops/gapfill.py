"""Fill the gaps of daily series, with a spread; a model from the registry does the filling."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation, share_sections
from xsm.data.time import utc_times
from xsm.learning.filling import Filling, fill_gaps
from xsm.options import check_device

Variables = Annotated[
    tuple[str, ...] | None,
    Param(
        "Variables to fill, such as 'retrieval', the satellite's soil moisture; left out or empty, all daily satellite "
        "variables, which takes longer."
    ),
]
Covariates = Annotated[tuple[str, ...], Param("Gap-free series (precipitation, ...) or maps that help.")]
ModelArg = Annotated[
    Any,
    Param(
        "Trained model or its folder, 'pretrained' for the shipped one; by default trained on the data.",
        kind=Kind.MODEL,
    ),
]
Mode = Annotated[
    Literal["smoother", "filter"],
    Param("Smoother uses later days too; filter uses earlier days alone, as in the article."),
]
MaxGap = Annotated[int | None, Param("Leave gaps longer than this empty.", unit="days", minimum=1)]
Denoise = Annotated[bool, Param("Replace observed values, too, by the estimate of the true value.", advanced=True)]
Seed = Annotated[int, Param("Seed of sampling and training.", minimum=0, advanced=True)]
Train = Annotated[
    slice | None,
    Param("Days to learn from; set it where the fill feeds a fit.", kind=Kind.PERIOD, advanced=True),
]
Leak = Annotated[
    bool,
    Param(
        "Allow land-model soil moisture as a covariate (recorded).", label="Allow land-model covariates", advanced=True
    ),
]


@operation(title="Fill gaps (CRU)", group="Gap filling")
def gapfill_cru(
    ds: Annotated[xr.Dataset, Param("Daily series with gaps.")],
    *,
    variables: Variables = None,
    covariates: Covariates = (),
    model: ModelArg = None,
    mode: Mode = "smoother",
    max_gap: MaxGap = None,
    denoise: Denoise = False,
    seed: Seed = 0,
    train: Train = None,
    allow_target_leak: Leak = False,
    **options: Any,
) -> xr.Dataset:
    """Fill gaps with continuous recurrent units (Schirmer et al. 2022).

    The same as ``gapfill(ds, "cru", ...)``. The default ``model=None`` trains on the data when called, which takes
    seconds to minutes.

    Examples
    --------
    >>> import xsm
    >>> smap = xsm.example("smap", size=16, days=20)
    >>> filled = smap.sm.gapfill_cru(variables=["tb_h"], epochs=1, cells=16)
    >>> sorted(filled[["tb_h", "tb_h_std", "tb_h_obs_std", "tb_h_observed"]])
    ['tb_h', 'tb_h_obs_std', 'tb_h_observed', 'tb_h_std']
    """
    return gapfill(ds, "cru", variables=variables, covariates=covariates, model=model, mode=mode, max_gap=max_gap,
                   denoise=denoise, seed=seed, train=train, allow_target_leak=allow_target_leak, **options)  # fmt: skip


@operation(title="Fill gaps (choose a model)", group="Gap filling")
def gapfill(
    ds: Annotated[xr.Dataset, Param("Daily series with gaps.")],
    method: Annotated[str, Param("Model of task 'gapfill'; `xsm models` lists them.")] = "cru",
    *,
    variables: Variables = None,
    covariates: Covariates = (),
    model: ModelArg = None,
    mode: Mode = "smoother",
    max_gap: MaxGap = None,
    denoise: Denoise = False,
    seed: Seed = 0,
    train: Train = None,
    allow_target_leak: Leak = False,
    **options: Any,
) -> xr.Dataset:
    """Fill the gaps of daily series with a model of the registry.

    Parameters
    ----------
    ds : xarray.Dataset
        Variables with ``time`` (days in order) and any further dims.
    method : str
        Name of the model.
    variables : sequence of str, optional
        What to fill, by name or role (``"retrieval"``); by default all continuous satellite variables with ``time``.
    covariates : sequence of str
        Gap-free driving series, or maps without ``time``.
    model : Bundle, path, "pretrained" or None
        None trains on the data when called; with a bundle the result is lazy where the data are.
    mode : {"smoother", "filter"}
        Whether later observations are used; fixed when a model is trained, so a bundle has its own.
    max_gap : int, optional
        Longest gap (days) that is filled.
    denoise : bool
        Whether the estimate of the true value replaces observed values too; otherwise they stay as they are.
    seed : int
        Seed of sampling and training.
    train : slice, optional
        Days to learn from.
    allow_target_leak : bool
        Allow land-model soil moisture as covariate; recorded in the attributes.
    **options
        Options of the model; see ``xsm models``.

    Returns
    -------
    xarray.Dataset
        For each filled ``v`` also ``v_std`` (spread of the true value about ``v``: on observed days that of the
        retrieval noise, unless ``denoise``), ``v_obs_std`` (spread of an observation that day about ``v``) and
        ``v_observed``; ``v`` has the attribute ``fill_method``. Cells without any value stay empty; their number is
        the attribute ``empty_cells`` unless the input is lazy. In cells without covariates (over water, say) these are
        taken at their usual value. Variables that are fixed maps or fixed seasonal cycles are copied or looked up, with
        zero spread.

    Raises
    ------
    UsageError
        For an unknown variable, method or option, or land-model soil moisture as covariate without
        ``allow_target_leak``.
    DataError
        For days that are not in order, covariates with gaps, or a bundle for another task, method or mode.

    Examples
    --------
    >>> import xsm
    >>> smap = xsm.example("smap", size=16, days=20)
    >>> filled = smap.sm.gapfill("linear", variables=["tb_h"])
    >>> filled["tb_h"].attrs["fill_method"].split()[0]
    'linear'
    """
    check_device()
    filling = Filling(
        method=method, variables=variables, covariates=covariates, model=model, mode=mode, max_gap=max_gap,
        denoise=denoise, seed=seed, train=train, allow_target_leak=allow_target_leak, options=options,
    )  # fmt: skip
    return fill_gaps(utc_times(ds), filling)


share_sections(gapfill, gapfill_cru)
