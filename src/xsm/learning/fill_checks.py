"""Series with gaps: which variables are filled, what is checked of them and of the covariates that help."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from xsm.compute.cell_blocks import cells_of
from xsm.compute.chunks import is_lazy
from xsm.data.cf import VARIABLES, check_units, kind
from xsm.data.families import is_moisture, same_series
from xsm.data.period import check_order
from xsm.data.roles import (
    ESTIMATE,
    FORCING,
    LAND_MODELS,
    PREDICTOR,
    QUANTITIES,
    RETRIEVAL,
    SOIL_TEMPERATURE,
    holders,
    role_of,
)
from xsm.errors import DataError, UsageError, render_hint, tell, unknown
from xsm.learning.seasonal import Pattern, find_pattern
from xsm.learning.values import check_values

MODELLED = LAND_MODELS | {ESTIMATE, FORCING, SOIL_TEMPERATURE, *QUANTITIES}
"""Roles of variables that are filled only where a user names them."""
SAMPLE_CELLS = 384
"""Cells that show how a variable varies, and that a model learns from."""


def check_series(
    ds: xr.Dataset, variables: Sequence[str] | None, covariates: Sequence[str], allow_target_leak: bool = False
) -> list[str]:
    """Check the series to fill and their covariates, and return the names of the variables to fill."""
    _check_days(ds)
    if variables is None:
        names = _default_variables(ds) or _whole_numbers(ds)
    else:
        by_role = holders(ds)
        names = list(dict.fromkeys(n if n in ds else by_role.get(n, n) for n in variables))
    for name in (*names, *covariates):
        if name not in ds:
            raise unknown("variable", name, map(str, ds.data_vars))
    for name in names:
        if ds[name].dtype.kind != "f":
            raise DataError(f"'{name}' has the type {ds[name].dtype}; only continuous series can be filled.",
                            hint="Convert it to float, with its missing values as NaN.")  # fmt: skip
    if not names:
        raise DataError(
            "The dataset contains no daily continuous variable to fill.", hint="Name the variables in <variables=>."
        )
    refuse_leaks(ds, covariates, allow_target_leak)
    check_units(ds, (*names, *covariates))
    cells = cells_of(ds, names)
    for name in covariates:
        if {str(d) for d in ds[name].dims} - {"time"} != set(cells):
            raise DataError(
                f"The covariate '{name}' has the dims {ds[name].dims}, expected those of the series: {cells}.",
                hint="Bring it to the same grid first, with regrid_ease9km and cube.",
            )
    _refuse_copies(ds, names, covariates)
    if not is_lazy(series := ds[[*names, *covariates]]):
        check_values(series, xr.DataArray(True), "Gap filling", what="series", gaps=True)
    return names


def _check_days(ds: xr.Dataset) -> None:
    if "time" not in ds.dims:
        raise DataError(
            f"The dataset has the dims {tuple(ds.dims)}, expected 'time' among them.", hint="Open daily data."
        )
    day = ds["time"].values.astype("M8[D]")
    if len(day) < 2:
        raise DataError(f"The dataset has {len(day)} days, expected two or more.", hint="Open a longer period.")
    check_order(day, "The dataset")
    if np.any(np.diff(day) != np.timedelta64(1, "D")):
        raise DataError(
            "The time axis lacks days.", hint="Open the files with <open()>, which adds missing days as NaN."
        )


def _default_variables(ds: xr.Dataset) -> list[str]:
    spread = ("_std", "_observed")
    order = {n: i for i, n in enumerate(VARIABLES)}
    return [
        str(n)
        for n, v in sorted(ds.data_vars.items(), key=lambda item: order.get(str(item[0]), len(order)))
        if "time" in v.dims and v.dtype.kind == "f" and not str(n).endswith(spread) and not _is_modelled(ds, str(n))
        and (n in VARIABLES or role_of(ds, str(n)) in (RETRIEVAL, PREDICTOR) or len(ds.data_vars) == 1)
    ]  # fmt: skip


def _is_modelled(ds: xr.Dataset, name: str) -> bool:
    return not MODELLED.isdisjoint((name, role_of(ds, name)))


def _whole_numbers(ds: xr.Dataset) -> list[str]:
    """Continuous variables that come as integers, which cannot be filled."""
    return [
        str(n)
        for n, v in ds.data_vars.items()
        if "time" in v.dims and v.dtype.kind in "iu" and n in VARIABLES and kind(v) == "continuous"
    ]


def refuse_leaks(ds: xr.Dataset, covariates: Sequence[str], allowed: bool) -> None:
    """Stop where land-model soil moisture is a covariate and not allowed; tell of moisture of an unknown role."""
    if allowed:
        return
    if leaky := leaks(ds, covariates):
        raise UsageError(
            f"Land-model soil moisture ({', '.join(leaky)}) as a covariate leaks the reference into the filled series.",
            hint="Use precipitation and temperature, or give <allow_target_leak=True>.",
        )
    if unknown_role := [n for n in covariates if is_moisture(ds, n) and not role_of(ds, n)]:
        tell(
            f"The covariates {', '.join(unknown_role)} are soil moisture of an unknown role: if a land model made "
            "them, they leak the reference of the estimates into the filled series. "
            + render_hint("Give them the attribute role ('retrieval', 'model_surface'), or <allow_target_leak=True>.")
        )


def leaks(ds: xr.Dataset, covariates: Sequence[str]) -> list[str]:
    """Covariates that are references of the soil moisture estimates: what a land model says of soil moisture."""
    return [c for c in covariates if is_moisture(ds, c) and role_of(ds, c) in LAND_MODELS | {ESTIMATE}]


def _refuse_copies(ds: xr.Dataset, names: Sequence[str], covariates: Sequence[str]) -> None:
    """Stop where a covariate is a series to fill under another name."""
    series = [n for n in covariates if "time" in ds[n].dims]
    if is_lazy(ds[[*names, *series]]):
        return
    for name in names:
        cut = {"time": slice(None, None, -(-ds.sizes["time"] // 60))}
        for other in series:
            both = [ds[n].isel(cut).transpose(*ds[name].dims).values for n in (name, other)]
            if other != name and both[0].shape == both[1].shape and same_series(*both):
                raise DataError(
                    f"The covariate '{other}' is the series '{name}' under another name: the model would copy it.",
                    hint=f"Leave '{other}' out of <covariates=>.",
                )


def patterns_of(ds: xr.Dataset, names: Sequence[str], sample: xr.Dataset) -> dict[str, Pattern]:
    """How variables vary in a sample of cells; those without gaps there are checked in all cells."""
    patterns = {n: find_pattern(sample[n].values, sample["time"].values) for n in names}
    for name in (n for n, p in patterns.items() if p is Pattern.COMPLETE):
        observed = abs(ds[name]) < np.inf
        patterns[name] = Pattern.NONE if bool((~observed & observed.any("time")).any()) else Pattern.COMPLETE
    return patterns
