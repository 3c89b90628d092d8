"""What a scenario needs from a cube: predictors, statics, references, domain, and messages where they are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.registry import providers
from xsm.data.cf import VARIABLES, check_units, kind, same_units
from xsm.data.derived_text import HINT, STATIC, TODAY, behind, canonical, is_derived, parse, reach
from xsm.data.families import families_of, is_moisture, same_series, shared
from xsm.data.period import check_days
from xsm.data.roles import RETRIEVAL, holders, soil_bounds, soil_slice
from xsm.data.scenarios import Scenario, scenario_of
from xsm.errors import DataError, render_hint, tell
from xsm.learning.samples import days_within

REASONS = ("estimated", "estimated near the edge of the data", "no land", "a predictor has no value at all")
"""Flag meanings of ``mask_reason``."""
MISSING = 0.1
"""Share of a derived predictor that may be missing without a warning."""


def require(ds: xr.Dataset, scenario: Scenario, *, with_references: bool = False) -> None:
    """Stop where a cube lacks variables of a scenario, with their names and the products that contain them."""
    needed = (*scenario.inputs, *scenario.statics, *(scenario.references if with_references else ()))
    missing = list(dict.fromkeys(behind(n) for n in needed if n not in ds and behind(n) not in ds))
    if missing:
        raise DataError(
            f"{scenario.depth} cm scenario {scenario.number} needs {', '.join(missing)}, which the cube lacks.",
            hint=f"Add them with <cube()>{_from(providers(missing))}, or name others with <predictors=> or <roles=>.",
        )
    if "time" not in ds.dims or ds.sizes["time"] <= scenario.lead_in:
        raise DataError(
            f"The cube has {ds.sizes.get('time', 0)} days, expected more than {scenario.lead_in} (the look-back).",
            hint="Open a longer period.",
        )
    check_days(ds)


def _from(sources: Sequence[str]) -> str:
    return f" from {' or '.join(sources)}" if sources else ""


def split_predictors(ds: xr.Dataset, scenario: Scenario) -> tuple[xr.Dataset, xr.Dataset]:
    """Dynamic predictors (time, y, x) and static ones (y, x) at the scenario's soil depth."""
    statics = {}
    for name in scenario.statics:
        layers = "soil_depth" in ds[name].dims and soil_bounds(ds) is not None
        if "soil_depth" in ds[name].dims and not layers and scenario.soil_depth not in ds["soil_depth"].values:
            raise DataError(
                f"'{name}' has the soil depths {ds['soil_depth'].values.tolist()} cm, "
                f"{scenario.depth} cm scenario {scenario.number} needs {scenario.soil_depth}.",
                hint="Open the soil maps with <soil_depth=5,30>.",
            )
        statics[name] = soil_slice(ds, name, scenario.depth if layers else scenario.soil_depth)
    return ds[list(scenario.inputs)], xr.Dataset(statics)


def references(ds: xr.Dataset, scenario: Scenario) -> xr.Dataset:
    """References as observed: a filled retrieval counts only where its ``_observed`` says so."""
    observed = {}
    for name in scenario.references:
        if "denoised" in ds[name].attrs:
            raise DataError(
                f"The reference '{name}' was denoised and no longer contains its observations.",
                hint="Fill with <denoise=False>.",
            )
        mark = f"{name}_observed"
        observed[name] = ds[name].where(ds[mark]) if mark in ds else ds[name]
    return xr.Dataset(observed)


def reasons(
    dynamic: xr.Dataset, static: xr.Dataset, land: xr.DataArray | None, covered: np.ndarray | None,
    surface_cells: xr.DataArray | None = None,
) -> xr.DataArray:  # fmt: skip
    """Kind of a cell's estimate, or why it has none, uint8 (y, x): index in `REASONS`; lazy.

    ``surface_cells`` are the cells that have values of ``sm_5cm`` where it is not among ``dynamic``.
    """
    valued = [v.notnull().any("time") for v in dynamic.data_vars.values()] + [
        v.notnull() for v in static.data_vars.values()
    ]
    valued += [] if surface_cells is None else [surface_cells]
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


def with_units(ds: xr.Dataset, names: Iterable[str], like: Mapping[str, str] | None = None) -> xr.Dataset:
    """Check the units of variables; one without units gets those of its canonical name, with a warning.

    ``like`` gives the canonical variables whose units others have. There is no warning for dimensionless numbers, which
    need no units in CF.
    """
    canonical_names = {n: (like or {}).get(n, n) for n in names}
    check_units(ds, canonical_names, like)
    bare = {n: VARIABLES[c].units for n, c in canonical_names.items() if c in VARIABLES and "units" not in ds[n].attrs}
    if assumed := ", ".join(f"{n} ({u})" for n, u in bare.items() if not same_units(u, "")):
        tell(f"These variables have no 'units' and are assumed to be in the units in brackets: {assumed}.")
    return ds.assign({n: ds[n].assign_attrs(units=u) for n, u in bare.items() if u})


def looked_through(scenario: Scenario) -> Scenario:
    """The scenario with the variables behind its predictors that a cube must have; an estimate of 5 cm is none."""
    inputs, statics = (
        tuple(v for v in dict.fromkeys(map(behind, names)) if v != "sm_5cm")
        for names in (scenario.inputs, scenario.statics)
    )
    return replace(scenario, inputs=inputs, statics=statics)


def fallbacks(dynamic: xr.Dataset, cells: xr.DataArray, use: np.ndarray) -> dict[str, float]:
    """Means of the derived predictors over the domain and the days in ``use``: they stand in where one is missing.

    A predictor may be missing before the first observation, or where no other day was observed.
    """
    import dask

    names = [n for n in dynamic.data_vars if is_derived(str(n))]
    if not names:
        return {}
    some = dynamic[names].isel(time=use).where(cells)
    means, counts = dask.compute(some.mean(dtype="f8"), some.count())
    missing = {n: 1 - int(counts[n]) / (int(cells.sum()) * int(np.sum(use))) for n in names}
    if empty := ", ".join(str(n) for n in names if not counts[n]):
        raise DataError(
            f"{empty} has no value on the training days.", hint="Check the period of the variable behind it."
        )
    if few := ", ".join(f"{n} ({share:.0%})" for n, share in missing.items() if share > MISSING):
        tell(
            f"These predictors are missing on more than {MISSING:.0%} of the training cell-days, where their means "
            f"replace them: {few}."
        )
    return {str(n): float(f"{float(means[n]):.4g}") for n in names}


def with_fallbacks(ds: xr.Dataset, fallback: Mapping[str, float]) -> xr.Dataset:
    """Derived predictors without gaps; see `fallbacks`."""
    return ds.assign({n: ds[n].fillna(np.float32(mean)) for n, mean in fallback.items() if n in ds})


def check_domain(dynamic: xr.Dataset, static: xr.Dataset, cells: xr.DataArray, scenario: Scenario) -> None:
    """Stop where no cell has a value of all predictors."""
    if cells.any():
        return
    empty = [str(n) for ds in (dynamic, static) for n, v in ds.data_vars.items() if not bool(v.notnull().any())]
    why = f"{', '.join(empty)} have no value at all" if empty else "no cell has a value of all of them"
    raise DataError(
        f"No cell can be used for training: of the predictors for {scenario.depth} cm, {why}.",
        hint="Compare the regions and periods of the products.",
    )


def warn_of_leaks(fill_periods: Mapping[str, str], training_days: np.ndarray) -> None:
    """Warn of predictors whose own model learnt from days other than the training days.

    ``fill_periods`` are the periods that those models were trained on, by predictor.
    """
    leaky = []
    for name, periods in fill_periods.items():
        if not np.isin(days_within([periods]), training_days).all():
            leaky.append(name)
    if leaky:
        tell(
            f"The model behind {', '.join(leaky)} learnt from days other than the training days ({training_days[0]} to "
            f"{training_days[-1]}); " + render_hint("give both the same <train=> for an honest test.")
        )


def free_scenario(
    ds: xr.Dataset,
    predictors: Sequence[str] | None,
    target: str | None,
    depth: int,
    number: int,
    memory: Sequence[Any] = (),
) -> Scenario:
    """A scenario with other predictors or another reference, both of which are checked, and filters of ``memory`` days.

    The filters are those of the retrieval where the dataset has one that is no reference, else those of all series.
    """
    base = scenario_of(ds, depth, number)
    names = (*base.inputs, *base.statics) if predictors is None else predictors
    names = tuple(dict.fromkeys(n if n in ds else canonical(n) for n in names))
    references = base.references if target is None else (target,)
    estimated = ("sm_5cm",) if base.needs_surface else ()
    for name in names:
        if name not in ds and behind(name) not in ds and behind(name) not in estimated:
            raise DataError(
                f"The predictor '{name}' is not in the dataset.",
                hint=f"It contains {', '.join(map(str, ds))}." + (f" {HINT}" if "(" in name else ""),
            )
    if coded := [n for n in names if n in ds and (kind(ds[n], n) == "flag" or ds[n].dtype.kind not in "fiub")]:
        raise DataError(
            f"The predictors {', '.join(coded)} are bits or times, expected quantities.",
            hint="Leave them out, or convert them to quantities.",
        )
    dynamic = tuple(n for n in names if _is_series(ds, n))
    if not dynamic:
        raise DataError(
            f"None of the predictors ({', '.join(names) or 'no names'}) changes with time, expected at least one.",
            hint="Name one with the dimension time.",
        )
    retrieval = [n for role, n in holders(ds).items() if role == RETRIEVAL and n not in references]
    filtered = retrieval or [n for n in dynamic if not is_derived(n)]
    filters = [canonical(f"memory({name!r}, {days})") for name in filtered for days in memory]
    dynamic = tuple(dict.fromkeys((*dynamic, *filters)))
    _check_copies(ds, (*names, *filters), references)
    return Scenario(
        depth, number, dynamic, tuple(n for n in names if n not in dynamic), references, base.soil_depth, base.lead_in
    )


def _is_series(ds: xr.Dataset, name: str) -> bool:
    """Whether a predictor changes with time; what is not in the dataset is an estimate or derived."""
    if name not in ds and is_derived(name) and STATIC & set(parse(name).forms):
        return False
    variable = name if name in ds else behind(name)
    return variable not in ds or "time" in ds[variable].dims


def _check_copies(ds: xr.Dataset, predictors: Sequence[str], references: Sequence[str]) -> None:
    """Refuse the reference's value of the day as a predictor; warn of a predictor that is nearly the same."""
    today = {n: behind(n) for n in predictors if TODAY in reach(n)}
    for name in (n for n, variable in today.items() if variable == references[0]):
        what = f"contains the day's value of the reference '{references[0]}'"
        raise DataError(
            f"'{name}' {what if is_derived(name) else 'is both predictor and reference'}: the model would learn to "
            "copy it.",
            hint=f"Leave it out of the predictors, take others({references[0]}, 5), which is made from other days, or "
            "choose another target.",
        )
    taught = families_of(ds, references[0]) if is_moisture(ds, references[0]) else frozenset()
    alike = [
        n for n, v in today.items() if v in references or (is_moisture(ds, v) and shared(taught, families_of(ds, v)))
    ]
    if alike:
        tell(
            f"The predictors {', '.join(alike)} come from the product of a reference ({', '.join(references)}), which "
            "the model may learn to copy."
        )


def refuse_renamed(dynamic: xr.Dataset, observed: xr.Dataset) -> None:
    """Stop where a predictor is a reference under another name, as about 20 of the days show."""
    some = {"time": slice(None, None, max(1, dynamic.sizes["time"] // 20))}
    taught = {n: v.isel(some).transpose(..., *dynamic.dims, missing_dims="ignore").values for n, v in observed.items()}
    for name, predictor in dynamic.items():
        values = predictor.isel(some).transpose(..., *dynamic.dims, missing_dims="ignore").values
        for reference, truth in taught.items():
            if name != reference and values.shape == truth.shape and same_series(values, truth):
                raise DataError(
                    f"The predictor '{name}' is the reference '{reference}' under another name: the model would copy "
                    "it.",
                    hint=f"Leave '{name}' out of the predictors, or choose another target.",
                )
