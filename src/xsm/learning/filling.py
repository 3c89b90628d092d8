"""Fill the gaps of series: which model learns from what, what is copied, how results are named."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.cell_blocks import map_series
from xsm.compute.chunks import is_lazy
from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Model
from xsm.contracts.registry import get_model
from xsm.data.cf import VARIABLES, add_history
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.ranges import checked
from xsm.errors import DataError, tell
from xsm.learning.fill_checks import SAMPLE_CELLS, check_series, leaks, patterns_of, refuse_leaks
from xsm.learning.fitting_gapfill import fit_series
from xsm.learning.samples import sample_cells
from xsm.learning.seasonal import Pattern, fill_pattern
from xsm.learning.shipped import load_bundle, warn_of_shipped

log = logging.getLogger("xsm")


@dataclass(frozen=True)
class Filling:
    """One request to fill gaps; the arguments of `xsm.gapfill` by name.

    Parameters
    ----------
    method : str
        Name of the model.
    variables : sequence of str, optional
        What to fill; None stands for all daily satellite variables.
    covariates : sequence of str
        Gap-free series and maps that help.
    model : Bundle, path, "pretrained" or None
        Trained model; None trains one.
    mode : {"smoother", "filter"}
        Whether later observations count.
    max_gap : int, optional
        Longest gap (days) that is filled.
    denoise : bool
        Whether observed values are replaced too.
    seed : int
        Seed of sampling and training.
    train : slice, optional
        Days that training may see.
    allow_target_leak : bool
        Whether land-model soil moisture may be a covariate.
    options : mapping
        Options of the model.
    """

    method: str
    variables: Sequence[str] | None
    covariates: Sequence[str]
    model: Any
    mode: str
    max_gap: int | None
    denoise: bool
    seed: int
    train: Any
    allow_target_leak: bool
    options: Mapping[str, Any]


def fill_gaps(ds: xr.Dataset, filling: Filling) -> xr.Dataset:
    """Fill the gaps of series; see `xsm.gapfill`."""
    names = check_series(ds, filling.variables, filling.covariates, filling.allow_target_leak)
    ds = checked(ds, [n for n in (*names, *filling.covariates) if n not in VARIABLES or is_lazy(ds[[n]])])
    filler = get_model(filling.method, "gapfill")
    bundle = None if filling.model is None else load_bundle(filling.model, "gapfill")
    targets = bundle.card["targets"] if bundle else ()
    patterns = dict.fromkeys(names, Pattern.NONE)
    if unknown_to := [n for n in names if n not in targets]:
        sample = sample_cells(ds, names, filling.covariates, SAMPLE_CELLS, filling.seed)
        patterns |= patterns_of(ds, unknown_to, sample)
    learn = [n for n in names if patterns[n] is Pattern.NONE]
    covariates = filling.covariates
    if bundle is not None:
        covariates = _covariates_of(ds, bundle, filling)
        skipped = _not_filled(bundle, filling, learn)
        names, learn = ([n for n in some if n not in skipped] for some in (names, learn))
    elif learn:
        log.info("training '%s' on %d of the cells for %s", filling.method, sample.sizes["cell"], ", ".join(learn))
        bundle = fit_series(
            sample, filler, learn, covariates, mode=filling.mode, train=filling.train, seed=filling.seed,
            options=filling.options,
        )  # fmt: skip
    out = ds
    for name in names:
        if patterns[name] is not Pattern.NONE:
            out = _fill_with_pattern(out, ds, name, patterns[name])
    if learn and bundle is not None:
        out = _fill_with_model(out, ds, filler, bundle, learn, filling.max_gap, filling.denoise)
    tell_emptied(out, {n: valid_share(ds[n]) for n in names}, "Its gaps are longer than the largest gap.", names)
    out = add_history(
        out, "gapfill", method=filling.method, variables=list(names), covariates=covariates, max_gap=filling.max_gap,
        mode=bundle.card["options"].get("mode") if bundle else None, seed=filling.seed,
        model=bundle.hash if bundle else None, train=filling.train,
    )  # fmt: skip
    warn_of_shipped(filling.model, "gapfill")
    leak = {"gapfill_target_leak": "land-model soil moisture was a covariate"} if leaks(ds, covariates) else {}
    return out.assign_attrs(leak)


def _covariates_of(ds: xr.Dataset, bundle: Bundle, filling: Filling) -> list[str]:
    """Covariates of a bundle, which must be of the method and the mode of the request."""
    card = bundle.card
    if card["model"] != filling.method:
        raise DataError(
            f"The bundle is of model '{card['model']}', expected '{filling.method}'.",
            hint=f"Give <method={card['model']}>.",
        )
    if filling.mode == "filter" and card["options"].get("mode", filling.mode) != filling.mode:
        raise DataError(
            "The bundle was trained as a smoother, expected a filter.", hint="Train one with <mode=filter>."
        )
    covariates = [n for n in (*card["inputs"], *card.get("statics", ())) if n not in card["targets"]]
    refuse_leaks(ds, covariates, filling.allow_target_leak)
    return covariates


def _not_filled(bundle: Bundle, filling: Filling, learn: Sequence[str]) -> list[str]:
    """Variables that need a model and that the bundle does not fill; refused where a user named them."""
    targets = bundle.card["targets"]
    skipped = [n for n in learn if n not in targets]
    text = f"The bundle fills {', '.join(targets)}, not {', '.join(skipped)}"
    if skipped and (filling.variables is not None or skipped == learn):
        raise DataError(f"{text}.", hint="Leave them out of <variables=>, or give another <model=>.")
    if skipped:
        tell(f"{text}: these stay as they are.")
    return skipped


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
            if (canonical := VARIABLES.get(name)) is not None:
                result[name] = np.clip(result[name], canonical.low, canonical.high)
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
    filled = dict(zip(keys, map_series(block, ds, series, statics, len(keys)), strict=True))
    mode = bundle.card["options"].get("mode", "")
    method = f"{bundle.card['model']} {mode} (model {bundle.hash})".replace("  ", " ")
    for name in names:
        out = _assign(out, ds, name, filled[name], filled[f"{name}_std"], filled[f"{name}_obs_std"], method)
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
    """Observed values as they are: off the truth by the retrieval noise, off another observation by twice its variance.

    A model that does not separate noise from truth (``std`` equals ``obs_std``) keeps its spread, which exceeds noise.
    """
    noise = np.sqrt(np.maximum(obs_std**2 - std**2, 0))
    spread = np.where(noise > 0, noise, obs_std)
    return values, spread, np.hypot(spread, noise)


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
