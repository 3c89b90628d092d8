"""What a scenario needs from a cube: predictors, statics, references, domain, and the sentences when it lacks them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from xsm.data.cf import VARIABLES, check_units, kind, same_units
from xsm.data.scenarios import Scenario, get_scenario
from xsm.errors import DataError, render_hint, tell
from xsm.learning.filling import LAND_MODEL

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
    dynamic: xr.Dataset, static: xr.Dataset, land: xr.DataArray | None, covered: np.ndarray | None,
    fed: xr.DataArray | None = None,
) -> xr.DataArray:  # fmt: skip
    """Kind of a cell's estimate, or why it has none, uint8 (y, x): index in `REASONS`; lazy.

    ``fed`` are the cells that have values of a predictor which is not among ``dynamic``.
    """
    valued = [v.notnull().any("time") for v in dynamic.data_vars.values()] + [
        v.notnull() for v in static.data_vars.values()
    ]
    valued += [] if fed is None else [fed]
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


def with_units(ds: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """Check the units of variables; one that has none gets that of the cube, with a warning.

    CF lets numbers without dimension go without.
    """
    names = list(names)
    check_units(ds, names)
    bare = {n: VARIABLES[n].units for n in names if n in VARIABLES and "units" not in ds[n].attrs}
    if told := ", ".join(f"{n} ({u})" for n, u in bare.items() if not same_units(u, "")):
        tell(f"The units in brackets are assumed of variables without 'units': {told}.")
    return ds.assign({n: ds[n].assign_attrs(units=u) for n, u in bare.items() if u})


def check_domain(dynamic: xr.Dataset, static: xr.Dataset, cells: xr.DataArray, chosen: Scenario) -> None:
    """Stop where no cell has a value of all predictors."""
    if cells.any():
        return
    empty = [str(n) for ds in (dynamic, static) for n, v in ds.data_vars.items() if not bool(v.notnull().any())]
    told = f"{', '.join(empty)} hold no value at all" if empty else "no cell has a value of all of them"
    raise DataError(
        f"No cell can be trained on: of the predictors of {chosen.depth} cm, {told}.",
        hint="Compare region and period of the products.",
    )


def warn_of_leaks(made_by: Mapping[str, str], used: np.ndarray) -> None:
    """Warn of predictors from models that saw other days than the training days; ``made_by`` has their periods."""
    more = []
    for name, periods in made_by.items():
        ends = re.findall(r"\d{4}-\d\d-\d\d", periods)
        runs = [np.arange(a, b + 1) for a, b in np.array(ends, "M8[D]").reshape(-1, 2)]
        if not np.isin(np.concatenate([used[:0], *runs]), used).all():
            more.append(name)
    if more:
        tell(
            f"The model behind {', '.join(more)} saw other days than the training days ({used[0]} to {used[-1]}); "
            + render_hint("give both the same <train=> for an honest test.")
        )


def free_scenario(
    ds: xr.Dataset, predictors: Sequence[str] | None, target: str | None, depth: int, number: int
) -> Scenario:
    """Make a scenario of other predictors or another reference; both are checked."""
    base = get_scenario(depth, number)
    names = (*base.inputs, *base.statics) if predictors is None else tuple(dict.fromkeys(predictors))
    made_here = ("sm_5cm",) if base.needs_surface else ()
    for name in names:
        if name not in ds and name not in made_here:
            raise DataError(
                f"The predictor '{name}' is not in the dataset.", hint=f"It holds {', '.join(map(str, ds))}."
            )
    if coded := [n for n in names if n in ds and (kind(ds[n], n) == "flag" or ds[n].dtype.kind not in "fiub")]:
        raise DataError(
            f"The predictors {', '.join(coded)} are no quantities but bits or times, wanted numbers.",
            hint="Leave them out, or make a quantity of them.",
        )
    dynamic = tuple(n for n in names if n in made_here or "time" in ds[n].dims)
    if not dynamic:
        raise DataError(
            f"None of the predictors ({', '.join(names) or 'none given'}) changes with time, wanted at least one.",
            hint="Name one with the dimension time.",
        )
    references = base.references if target is None else (target,)
    _check_copies(names, references)
    return Scenario(
        depth, number, dynamic, tuple(n for n in names if n not in dynamic), references, base.soil_depth, base.lead_in
    )


def _check_copies(predictors: Sequence[str], references: Sequence[str]) -> None:
    """Refuse the reference as its own predictor; warn of one that says nearly the same."""
    if references[0] in predictors:
        raise DataError(
            f"'{references[0]}' is both predictor and reference: the model would learn to copy it.",
            hint="Leave it out of the predictors, or choose another target.",
        )
    alike = [n for n in predictors if n in references or (n in LAND_MODEL and references[0] in LAND_MODEL)]
    if alike:
        tell(
            f"The predictors {', '.join(alike)} come from the product of a reference ({', '.join(references)}), which "
            "the model may learn to copy."
        )
