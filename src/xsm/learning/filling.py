"""Fill the gaps of series: what is checked, which model learns from what, what is copied, how results are named."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.chunks import is_lazy
from xsm.compute.series import cells_of, map_series
from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Model
from xsm.contracts.registry import get_model
from xsm.data.cf import VARIABLES, add_history, check_units
from xsm.data.period import day_mask
from xsm.errors import DataError, UsageError, tell, unknown
from xsm.learning.samples import sample_cells, series_samples, series_spec
from xsm.learning.seasonal import Pattern, fill_pattern, find_pattern
from xsm.learning.shipped import shipped, shipped_name, warn_of_shipped
from xsm.learning.values import check_values
from xsm.progress import quiet

log = logging.getLogger("xsm")
LAND_MODEL = ("sm_noah_0_10", "sm_noah_10_40")
NEVER = (*LAND_MODEL, "soil_temperature_0_10", "soil_temperature_10_40", "air_temperature", "precipitation", "sm_5cm",
         "sm_25cm")  # fmt: skip
SAMPLE_CELLS = 384


def fill_gaps(
    ds: xr.Dataset,
    method: str,
    variables: Sequence[str] | None,
    covariates: Sequence[str],
    model: Any,
    mode: str,
    max_gap: int | None,
    denoise: bool,
    seed: int,
    train: Any,
    allow_target_leak: bool,
    options: dict[str, Any],
) -> xr.Dataset:
    """Fill gaps as `xsm.gapfill` is asked to."""
    names = check_series(ds, variables, covariates, allow_target_leak)
    filler = get_model(method, "gapfill")
    bundle = as_bundle(model)
    patterns = dict.fromkeys(names, Pattern.NONE)
    if unknown_to := [n for n in names if bundle is None or n not in bundle.card["targets"]]:
        sample = sample_cells(ds, names, covariates, SAMPLE_CELLS, seed)
        patterns |= patterns_of(ds, unknown_to, sample)
    learn = [n for n in names if patterns[n] is Pattern.NONE]
    if bundle is None and learn:
        log.info("training '%s' on %d of the cells for %s", method, sample.sizes["cell"], ", ".join(learn))
        bundle = fit_series(sample, filler, learn, covariates, mode=mode, train=train, seed=seed, options=options)
    elif bundle is not None:
        if bundle.card["model"] != method:
            raise DataError(
                f"The bundle is of model '{bundle.card['model']}', wanted '{method}'.",
                hint=f"Give <method={bundle.card['model']}>.",
            )
        if mode == "filter" and bundle.card["options"].get("mode", mode) != mode:
            raise DataError(
                "The bundle was trained as a smoother, wanted a filter.", hint="Train one with <mode=filter>."
            )
        covariates = [
            n for n in (*bundle.card["inputs"], *bundle.card.get("statics", ())) if n not in bundle.card["targets"]
        ]
        _refuse_leaks(covariates, allow_target_leak)
        lacking = [n for n in learn if n not in bundle.card["targets"]]
        told = f"The bundle fills {', '.join(bundle.card['targets'])}, not {', '.join(lacking)}"
        if lacking and (variables is not None or lacking == learn):
            raise DataError(f"{told}.", hint="Leave them out of <variables=>, or give another <model=>.")
        if lacking:
            tell(f"{told}: these stay as they are.")
        names, learn = ([n for n in found if n not in lacking] for found in (names, learn))
    out = ds
    for name in names:
        if patterns[name] is not Pattern.NONE:
            out = _fill_with_pattern(out, ds, name, patterns[name])
    if learn and bundle is not None:
        out = _fill_with_model(out, ds, filler, bundle, learn, max_gap, denoise)
    out = add_history(
        out, "gapfill", method=method, variables=list(names), covariates=covariates, max_gap=max_gap,
        mode=bundle.card["options"].get("mode") if bundle else None, seed=seed, model=bundle.hash if bundle else None,
        train=train,
    )  # fmt: skip
    warn_of_shipped(model, "gapfill")
    return (
        out.assign_attrs(gapfill_target_leak="land-model soil moisture was a covariate") if _leaks(covariates) else out
    )


def patterns_of(ds: xr.Dataset, names: Sequence[str], sample: xr.Dataset) -> dict[str, Pattern]:
    """Kinds of series by a sample of cells; where these have no gaps, all cells are looked at."""
    found = {n: find_pattern(sample[n].values, sample["time"].values) for n in names}
    for name in (n for n, p in found.items() if p is Pattern.COMPLETE):
        seen = abs(ds[name]) < np.inf
        found[name] = Pattern.NONE if bool((~seen & seen.any("time")).any()) else Pattern.COMPLETE
    return found


def fit_series(
    ds: xr.Dataset,
    filler: Model,
    targets: Sequence[str],
    covariates: Sequence[str],
    *,
    mode: str = "smoother",
    train: Any = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train a gap-filling model on series of the dims ``(time, cell)``; gives its bundle."""
    chosen = dict(options or {})
    if any(p.name == "mode" for p in filler.info.options):
        chosen.setdefault("mode", mode)
    spec = series_spec(ds, targets, covariates, filler.info, chosen)
    use = None if train is None else day_mask(ds["time"].values.astype("M8[D]"), train, "train")
    samples = series_samples(ds, targets, covariates, use)
    with quiet() as progress:
        bundle = filler.fit(samples, spec, validation=None, seed=seed, progress=progress)
    span = {"days": [str(samples.days[0]), str(samples.days[-1])], "periods": periods(samples.days[samples.use])}
    return Bundle({**bundle.card, "training": {**bundle.card.get("training", {}), **span}}, bundle.weights)


def periods(days: np.ndarray) -> list[str]:
    """Runs of days as text.

    Examples
    --------
    >>> periods(np.array(["2020-01-01", "2020-01-02", "2021-05-01"], "M8[D]"))
    ['2020-01-01 to 2020-01-02', '2021-05-01 to 2021-05-01']
    """
    runs = np.split(days, 1 + np.flatnonzero(np.diff(days) > np.timedelta64(1, "D")))
    return [f"{run[0]} to {run[-1]}" for run in runs]


def check_series(
    ds: xr.Dataset, variables: Sequence[str] | None, covariates: Sequence[str], allow_target_leak: bool = False
) -> list[str]:
    """Check what is to be filled and with what; gives the names to fill."""
    if "time" not in ds.dims:
        raise DataError(
            f"The dataset has the dims {tuple(ds.dims)}, wanted 'time' among them.", hint="Open daily data."
        )
    day = ds["time"].values
    if len(day) < 2 or not np.all(np.diff(day) > np.timedelta64(0, "ns")):
        raise DataError("The time axis is not sorted, has days twice or fewer than two days.", hint="Sort it first.")
    if np.any(np.diff(day.astype("M8[D]")) != np.timedelta64(1, "D")):
        raise DataError(
            "The time axis lacks days.", hint="Open the files with <open()>, which adds missing days as NaN."
        )
    names = list(variables) if variables is not None else _default_variables(ds)
    for name in (*names, *covariates):
        if name not in ds:
            raise unknown("variable", name, map(str, ds.data_vars))
    for name in names:
        if ds[name].dtype.kind != "f":
            raise DataError(f"'{name}' has the type {ds[name].dtype}; only continuous series can be filled.")
    if not names:
        raise DataError("The dataset holds no daily continuous variable to fill.", hint="Name them in <variables=>.")
    _refuse_leaks(covariates, allow_target_leak)
    check_units(ds, (*names, *covariates))
    cells = cells_of(ds, names)
    for name in covariates:
        if {str(d) for d in ds[name].dims} - {"time"} != set(cells):
            raise DataError(
                f"The covariate '{name}' has the dims {ds[name].dims}, wanted those of the series: {cells}.",
                hint="Bring it to the same grid first, with regrid_ease9km and cube.",
            )
    if not is_lazy(given := ds[[*names, *covariates]]):
        check_values(given, xr.DataArray(True), "Gap filling", what="series", gaps=True)
    return names


def as_bundle(model: Any) -> Bundle | None:
    """Make a bundle from what users give: a bundle, a folder, ``"pretrained"`` or None."""
    if model is None:
        return None
    if name := shipped_name(model, "gapfill"):
        return shipped(name)
    bundle = model if isinstance(model, Bundle) else Bundle.load(Path(model))
    if bundle.card["task"] != "gapfill":
        raise DataError(f"The bundle is for '{bundle.card['task']}', wanted 'gapfill'.", hint="See `xsm inspect`.")
    return bundle


def _default_variables(ds: xr.Dataset) -> list[str]:
    spread = ("_std", "_observed")
    order = {n: i for i, n in enumerate(VARIABLES)}
    return [
        str(n)
        for n, v in sorted(ds.data_vars.items(), key=lambda item: order.get(str(item[0]), len(order)))
        if "time" in v.dims and v.dtype.kind == "f" and n not in NEVER and not str(n).endswith(spread)
        and (n in VARIABLES or len(ds.data_vars) == 1)
    ]  # fmt: skip


def _refuse_leaks(covariates: Sequence[str], allowed: bool) -> None:
    if _leaks(covariates) and not allowed:
        raise UsageError(
            f"Land-model soil moisture ({', '.join(_leaks(covariates))}) as a covariate leaks the reference into it.",
            hint="Use precipitation and temperature, or give <allow_target_leak=True>.",
        )


def _leaks(covariates: Sequence[str]) -> list[str]:
    return [c for c in covariates if c in LAND_MODEL]


def _fill_with_pattern(out: xr.Dataset, ds: xr.Dataset, name: str, pattern: Pattern) -> xr.Dataset:
    day = ds["time"].values

    def block(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [fill_pattern(arrays[name], day, pattern)]

    (filled,) = map_series(block, ds, [name], [], 1)
    return _assign(out, ds, name, filled, filled * 0, filled * 0, f"{pattern} (copied, no spread)")


def _fill_with_model(
    out: xr.Dataset, ds: xr.Dataset, filler: Model, bundle: Bundle, names: Sequence[str],
    max_gap: int | None, denoise: bool,
) -> xr.Dataset:  # fmt: skip
    from xsm.options import device

    inputs = list(bundle.card["inputs"])
    statics = list(bundle.card.get("statics", ()))
    for needed in (*inputs, *statics):
        if needed not in ds:
            raise DataError(f"'{needed}' is missing; the gap-filling bundle needs it.", hint="Add it to the dataset.")
    driving = [n for n in inputs if n not in bundle.card["targets"]]
    scaling = bundle.card.get("normalisation", {})
    usual = {n: scaling.get(n, {}).get("center", 0.0) for n in driving}
    keys = [f"{n}{suffix}" for n in names for suffix in ("", "_std", "_obs_std")]

    day = ds["time"].values.astype("M8[D]")

    def block(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        arrays |= {"days": day}
        arrays |= {n: np.where(np.isfinite(arrays[n]).any(0), arrays[n], usual[n]) for n in driving}
        result = dict(filler.predict_block(arrays, bundle, device=device()))
        for name in names:
            observed = np.isfinite(arrays[name])
            if (spec := VARIABLES.get(name)) is not None:
                result[name] = np.clip(result[name], spec.low, spec.high)
            if not denoise:
                kept = _kept(arrays[name], result[f"{name}_std"], result[f"{name}_obs_std"])
                for key, value in zip((name, f"{name}_std", f"{name}_obs_std"), kept, strict=True):
                    result[key] = np.where(observed, value, result[key])
            if max_gap is not None:
                long = long_gaps(observed, max_gap)
                for suffix in ("", "_std", "_obs_std"):
                    result[name + suffix] = np.where(long, np.nan, result[name + suffix])
        return [result[k] for k in keys]

    series = [*inputs, *(n for n in names if n not in inputs)]
    made = dict(zip(keys, map_series(block, ds, series, statics, len(keys)), strict=True))
    mode = bundle.card["options"].get("mode", "")
    method = f"{bundle.card['model']} {mode} (model {bundle.hash})".replace("  ", " ")
    for name in names:
        out = _assign(out, ds, name, made[name], made[f"{name}_std"], made[f"{name}_obs_std"], method)
        if denoise:
            out[name].attrs["denoised"] = "observed values are replaced by estimates"
        if not is_lazy(ds[[name]]):
            empty = int((~np.isfinite(ds[name].values).any(ds[name].dims.index("time"))).sum())
            out[name].attrs["empty_cells"] = empty
            if empty:
                log.info("%d cells have no value of '%s' and stay empty", empty, name)
        if bundle.trained_on:
            out[name].attrs["fill_training"] = bundle.trained_on
    return out


def _kept(values: np.ndarray, std: np.ndarray, obs_std: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed values as they are: off the truth by the noise of the retrieval, off another observation by it twice.

    A model that does not tell noise from truth (``std`` equals ``obs_std``) keeps its spread, which is more than noise.
    """
    noise = np.sqrt(np.maximum(obs_std**2 - std**2, 0))
    own = np.where(noise > 0, noise, obs_std)
    return values, own, np.hypot(own, noise)


def long_gaps(observed: np.ndarray, max_gap: int) -> np.ndarray:
    """Days of gaps longer than ``max_gap`` in ``(time, cell)`` observations, bool."""
    index = np.arange(len(observed))[:, None]
    last = np.maximum.accumulate(np.where(observed, index, -1), 0)
    after = np.minimum.accumulate(np.where(observed, index, len(observed))[::-1], 0)[::-1]
    return ~observed & (after - last - 1 > max_gap)


def _assign(
    out: xr.Dataset,
    ds: xr.Dataset,
    name: str,
    filled: xr.DataArray,
    std: xr.DataArray,
    obs_std: xr.DataArray,
    method: str,
) -> xr.Dataset:
    source = ds[name]
    attrs = dict(source.attrs) | {
        "fill_method": method,
        "ancillary_variables": f"{name}_std {name}_obs_std {name}_observed",
    }
    long_name, units = attrs.get("long_name", name), {"units": attrs["units"]} if "units" in attrs else {}
    new = {
        name: filled.assign_attrs(attrs),
        f"{name}_std": std.assign_attrs(long_name=f"{long_name}: standard deviation of the true value", **units),
        f"{name}_obs_std": obs_std.assign_attrs(
            long_name=f"{long_name}: standard deviation of a would-be observation", **units
        ),
        f"{name}_observed": (abs(source) < np.inf)
        .drop_attrs()
        .assign_attrs(
            long_name=f"{long_name}: observed on that day", flag_values=[0, 1], flag_meanings="filled observed"
        ),
    }
    for key, array in new.items():
        new[key] = array.transpose(*source.dims)
        if "grid_mapping" in source.encoding:
            new[key].encoding["grid_mapping"] = source.encoding["grid_mapping"]
    return out.assign(new)
