"""What a scenario needs from a cube: predictors, statics, references, domain, and the sentences when it lacks them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.errors import DataError
from xsm.scenarios import Scenario

REASONS = ("estimated", "estimated near the edge of the data", "no land", "a predictor has no value at all")


def require(ds: xr.Dataset, scenario: Scenario, *, with_references: bool = False) -> None:
    """Stop where a cube lacks variables of a scenario; names them and what brings them."""
    wanted = (*scenario.inputs, *scenario.statics, *(scenario.references if with_references else ()))
    missing = [n for n in wanted if n not in ds]
    if missing:
        raise DataError(
            f"{scenario.depth} cm scenario {scenario.number} needs {', '.join(missing)}, which the cube lacks.",
            hint="Add them with <cube()>: SMAP, NLDAS-2 Noah and SOLUS100 bring them.",
        )
    if "time" not in ds.dims or ds.sizes["time"] <= scenario.lead_in:
        raise DataError(
            f"The cube has {ds.sizes.get('time', 0)} days, wanted more than {scenario.lead_in} (the look-back).",
            hint="Open a longer period.",
        )
    check_days(ds)


def check_days(ds: xr.Dataset) -> None:
    """Stop where the days of a cube do not follow each other: a model would take neighbours for consecutive days."""
    day = ds["time"].values.astype("M8[D]")
    step = np.diff(day).astype(int)
    if (step < 1).any():
        at = np.flatnonzero(step < 1)[0]
        raise DataError(
            f"The cube has days twice or out of order ({day[at + 1]} after {day[at]}), wanted every day once.",
            hint="Sort it by time, or make daily means first.",
        )
    if (step > 1).any():
        at = np.flatnonzero(step > 1)[0]
        raise DataError(
            f"The cube lacks {int((step - 1).sum())} days (the first after {day[at]}), wanted every day of its period.",
            hint="<cube()> adds them as empty days, to be filled; choose days to learn from by <train=>.",
        )


def split_predictors(ds: xr.Dataset, scenario: Scenario) -> tuple[xr.Dataset, xr.Dataset]:
    """Dynamic predictors (time, y, x) and static ones (y, x) at the scenario's soil depth."""
    statics = {}
    for name in scenario.statics:
        variable = ds[name]
        if "soil_depth" in variable.dims:
            if scenario.soil_depth not in ds["soil_depth"].values:
                raise DataError(
                    f"'{name}' has the soil depths {ds['soil_depth'].values.tolist()} cm, "
                    f"{scenario.depth} cm scenario {scenario.number} needs {scenario.soil_depth}.",
                    hint="Open SOLUS100 with <soil_depth=5,30>.",
                )
            variable = variable.sel(soil_depth=scenario.soil_depth, drop=True)
        statics[name] = variable
    return ds[list(scenario.inputs)], xr.Dataset(statics)


def references(ds: xr.Dataset, scenario: Scenario) -> xr.Dataset:
    """References as observed: a filled DCA soil moisture counts only where ``sm_dca_observed`` says so."""
    found = {}
    for name in scenario.references:
        if "denoised" in ds[name].attrs:
            raise DataError(
                f"The reference '{name}' was denoised, so its observations are gone.", hint="Fill with <denoise=False>."
            )
        mark = f"{name}_observed"
        found[name] = ds[name].where(ds[mark]) if mark in ds else ds[name]
    return xr.Dataset(found)


def reasons(
    dynamic: xr.Dataset, static: xr.Dataset, land: xr.DataArray | None, covered: np.ndarray | None
) -> xr.DataArray:
    """Kind of a cell's estimate, or why it has none, uint8 (y, x): index in `REASONS`; lazy."""
    valued = [v.notnull().any("time") for v in dynamic.data_vars.values()] + [
        v.notnull() for v in static.data_vars.values()
    ]
    every = xr.concat(valued, "predictor", coords="minimal", compat="override").all("predictor")
    code = xr.where(every, np.uint8(0), np.uint8(3))
    if covered is not None:
        code = code.where((code != 0) | covered, np.uint8(1))
    if land is not None:
        code = code.where(land.astype(bool), np.uint8(2))
    return code.astype("u1").assign_attrs(
        long_name="Kind of estimate, or why there is none",
        flag_values=np.arange(len(REASONS), dtype="u1"),
        flag_meanings=" ".join(r.replace(" ", "_") for r in REASONS),
    )


def domain(dynamic: xr.Dataset, static: xr.Dataset, land: xr.DataArray | None = None) -> xr.DataArray:
    """Cells (y, x) that have a value of every predictor and are land, bool; lazy."""
    return reasons(dynamic, static, land, None) == 0


def check_gaps(dynamic: xr.Dataset, cells: xr.DataArray, scenario: Scenario, days: np.ndarray | None = None) -> None:
    """Stop where a predictor has temporal gaps inside the domain."""
    part = dynamic if days is None else dynamic.isel(time=np.flatnonzero(days))
    count = {n: (v.isnull() & cells).sum() for n, v in part.data_vars.items()}
    found = {n: int(c) for n, c in xr.Dataset(count).compute().items() if int(c)}
    if found:
        told = ", ".join(f"{n} ({c} cell-days)" for n, c in found.items())
        raise DataError(
            f"{scenario.depth} cm scenario {scenario.number} needs predictors without gaps, but some are in {told}.",
            hint="Run <gapfill_cru()> first.",
        )
