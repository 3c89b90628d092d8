"""The estimating engine: a bundle applied to a cube."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.cell_blocks import map_series
from xsm.compute.chunks import is_lazy, shared
from xsm.compute.patches import map_patches
from xsm.compute.tiles import covered
from xsm.contracts.bundle import Bundle, spread_name
from xsm.contracts.model import Block, Model, clips, look_back
from xsm.contracts.registry import get_model
from xsm.data.cf import canonical_attrs, check_units, same_units
from xsm.data.derived_text import behind, memory_days
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.families import families_behind
from xsm.data.grids import EASE2_M09, grid_of, require_grid
from xsm.data.roles import ESTIMATE
from xsm.data.scenarios import Scenario, get_scenario
from xsm.data.soil_texture import texture_of
from xsm.data.variation import WORDS, map_ratios, tell_flat
from xsm.data.windows import take
from xsm.errors import DataError, UsageError
from xsm.learning.derived import with_predictors
from xsm.learning.predictors import REASONS, reasons, require, split_predictors, with_fallbacks, with_units
from xsm.learning.shipped import load_bundle
from xsm.learning.values import checked_values


def estimate_maps(ds: xr.Dataset, bundle: Bundle, depth: int, number: int, dropout_passes: int = 0) -> xr.Dataset:
    """Estimate with a bundle of this depth and scenario number; see `xsm.estimate`."""
    scenario, surface, surface_cells = _scenario(bundle, depth, number), bundle.surface, None
    ds = with_units(ds, _predictors_in(ds, *(b for b in (bundle, surface) if b)))
    if scenario.needs_surface and (surface or bundle.card.get("surface")):
        if surface is None:
            raise DataError(
                "The 25 cm scenario 2 bundle lacks its 5 cm bundle ('surface').", hint="Train the bundle again."
            )
        _check_surface(ds, surface)
        if "sm_5cm" not in ds:
            maps = _run(ds, surface, _surface_scenario(surface))
            ds, surface_cells = ds.assign(sm_5cm=maps["sm_5cm"]), maps["mask_reason"] <= 1
    out = _run(ds, bundle, scenario, dropout_passes, surface_cells)
    _tell_flat(out[scenario.target], ds, bundle)
    _tell_empty(out, ds, scenario)
    out = trim(with_context(out, ds, scenario), ds.attrs.get("xsm_region"))
    return out.assign_attrs(_origin(ds, bundle, scenario), history=ds.attrs.get("history", ""))


def lead_days(bundle: Bundle) -> int:
    """Days at the start of a period that a bundle cannot estimate, those of its surface bundle included."""
    days = _block(bundle).look_back - 1
    return days + (lead_days(bundle.surface) if bundle.surface else 0)


def warm_up_days(bundle: Bundle) -> int:
    """Days at the start of a period whose estimates lack some of what the model looks back on, or are empty."""
    days = look_back(get_model(bundle.card["model"], "estimate").info, bundle.card["options"]) - 1
    days += memory_days(bundle.card["inputs"])
    return days + (warm_up_days(bundle.surface) if bundle.surface else 0)


def surface_estimate(ds: xr.Dataset, surface: Bundle) -> xr.DataArray:
    """The whole 5 cm estimate (margin included) that feeds 25 cm scenario 2."""
    check_units(ds, _predictors_in(ds, surface))
    return _run(ds, surface, _surface_scenario(surface))["sm_5cm"]


def load_model(model: Any, depth: int, number: int | None) -> Bundle:
    """Return a bundle, also by its folder or the name of a shipped one; another depth or scenario is refused."""
    bundle = load_bundle(model, "estimate")
    card = bundle.card
    if card.get("depth") != depth or (number is not None and card.get("scenario") != number):
        raise DataError(
            f"The bundle is for {card.get('depth')} cm scenario {card.get('scenario')}, expected {depth} cm"
            f"{'' if number is None else f' scenario {number}'}.",
            hint="Choose its depth and scenario, or another bundle.",
        )
    return bundle


def _block(bundle: Bundle) -> Block:
    return get_model(bundle.card["model"], "estimate").block(bundle)


def _blocks(bundle: Bundle) -> list[Block]:
    """Blocks of a bundle after that of the surface bundle that feeds it."""
    return [*(_blocks(bundle.surface) if bundle.surface else ()), _block(bundle)]


def _predictors_in(ds: xr.Dataset, *bundles: Bundle) -> list[str]:
    names = (behind(n) for b in bundles for n in (*b.card["inputs"], *b.card["statics"]))
    return [n for n in dict.fromkeys(names) if n in ds]


def _scenario(bundle: Bundle, depth: int, number: int) -> Scenario:
    base, card = get_scenario(depth, number), bundle.card
    return replace(base, inputs=tuple(card["inputs"]), statics=tuple(card["statics"]), lead_in=lead_days(bundle))


def _surface_scenario(surface: Bundle) -> Scenario:
    return _scenario(surface, 5, surface.card["scenario"])


def _check_surface(ds: xr.Dataset, surface: Bundle) -> None:
    """Stop where the cube has a 5 cm estimate of another bundle."""
    source = ds["sm_5cm"].attrs.get("model_hash") if "sm_5cm" in ds else surface.hash
    if source != surface.hash:
        raise DataError(
            f"The cube's sm_5cm comes from {f'the bundle {source}' if source else 'no bundle'}, expected "
            f"{surface.hash}, which this 25 cm bundle was trained with.",
            hint="Leave sm_5cm out (it is then estimated), or estimate it with model.surface.",
        )


def _run(
    ds: xr.Dataset,
    bundle: Bundle,
    scenario: Scenario,
    dropout_passes: int = 0,
    surface_cells: xr.DataArray | None = None,
) -> xr.Dataset:
    """Estimate the whole window.

    ``surface_cells`` are the cells that have ``sm_5cm`` where it is estimated here; it then need not be computed to
    know them.
    """
    model = get_model(bundle.card["model"], "estimate")
    options = _dropout_options(model, dropout_passes) if dropout_passes else {}
    require(ds, scenario)
    ds = with_predictors(ds, bundle.card)
    _check(ds, bundle, scenario)
    lead = lead_days(bundle.surface) if scenario.needs_surface and bundle.surface else 0
    dynamic, static = split_predictors(ds, scenario)
    reason = _reasons(ds, bundle, dynamic.isel(time=slice(lead, None)), static, surface_cells)
    inside = shared(reason <= 1)
    predictors = with_fallbacks(dynamic, bundle.card.get("fallback", {})).assign(static.data_vars)
    predictors = checked_values(predictors, inside, str(scenario), ds["time"].values[lead])
    names, counts = [scenario.target, spread_name(bundle)], np.zeros(2)
    predict = _predictor(model, bundle, options, names, counts)
    if (block := model.block(bundle)).kind == "patch":
        maps = map_patches(
            predict,
            predictors,
            require_grid(ds, "The cube"),
            block,
            inputs=scenario.inputs,
            statics=scenario.statics,
            mask=inside,
            outputs=names,
            skip=lead,
        )
    else:
        maps = _map_cells(predict, predictors.isel(time=slice(lead, None)), scenario, inside, names)
    _describe(maps, names, bundle, grid_of(ds) is not None, counts)
    out = xr.Dataset({**maps, "mask_reason": reason}).reindex(time=ds["time"].values)
    out["time"].attrs = ds["time"].attrs
    return out


def _reasons(
    ds: xr.Dataset, bundle: Bundle, dynamic: xr.Dataset, static: xr.Dataset, surface_cells: xr.DataArray | None
) -> xr.DataArray:
    """Kind of each cell's estimate, or why it has none; computed unless the predictors are lazy."""
    patches = [b for b in _blocks(bundle) if b.kind == "patch"]
    whole = covered(require_grid(ds, "The cube"), *patches) if patches else None
    if surface_cells is not None:
        dynamic, static = (part[[n for n in part if behind(str(n)) != "sm_5cm"]] for part in (dynamic, static))
    reason = reasons(dynamic, static, ds.get("land"), whole, surface_cells)
    return reason if is_lazy(dynamic) else reason.compute()


def _predictor(
    model: Model, bundle: Bundle, options: dict[str, Any], names: list[str], counts: np.ndarray
) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """The function that estimates a block; it adds the clipped and all values of the domain to ``counts``."""
    from xsm.options import device

    target, spread = names
    card = {**bundle.card, "options": {**bundle.card["options"], **options}}
    applied = Bundle(card, bundle.weights, bundle.surface) if options else bundle
    factor = np.float32(bundle.card.get("spread", {}).get("factor", 1.0))

    def predict(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with clips() as clipped:
            values = model.predict_block(arrays, applied, device=device())
        mask = arrays["mask"] if arrays["mask"].ndim == 1 else arrays["mask"][:, None]
        for where in (c for c in clipped if c.shape == values[target].shape):
            counts[:] += (where & mask).sum(), np.broadcast_to(mask, where.shape).sum()
        return {target: values[target], spread: values[f"{target}_std"] * factor}

    return predict


def _describe(
    maps: dict[str, xr.DataArray], names: list[str], bundle: Bundle, on_grid: bool, counts: np.ndarray
) -> None:
    """Give the estimate and its spread their attributes."""
    target, spread = names
    units = {"units": "m3 m-3"} | ({"grid_mapping": "spatial_ref"} if on_grid else {})
    maps[target].attrs = {
        **canonical_attrs(target),
        **units,
        "ancillary_variables": f"{spread} mask_reason",
        "family": "; ".join(_families(bundle)),
        "role": ESTIMATE,
        "model_hash": bundle.hash,
    }
    maps[target].attrs |= {f"std_ratio_{k}": v for k, v in variation_of(bundle).items()}
    if counts[1]:
        maps[target].attrs["clipped_share"] = round(float(counts[0] / counts[1]), 6)
    maps[spread].attrs = {
        "long_name": f"Soil moisture at {bundle.card['depth']} cm: standard deviation of the "
        f"{'true value' if spread == f'{target}_std' else 'reference'}",
        "comment": bundle.card.get("limits", ""),
        **units,
    }


def _tell_flat(maps: xr.DataArray, ds: xr.Dataset, bundle: Bundle) -> None:
    """Warn of an estimate that hardly varies: beside the references in the cube, else by what the training noted."""
    card, beside = bundle.card, [n for n in bundle.card.get("references", ()) if n in ds]
    shares, reference = variation_of(bundle), "its reference in training"
    if maps.chunks is None and beside and not is_lazy(ds[beside]):
        shares, reference = map_ratios(maps, ds[beside]), " and ".join(beside)
    tell_flat(f"The estimate of '{card['model']}' ({bundle.hash})", shares, reference)


def _tell_empty(out: xr.Dataset, ds: xr.Dataset, scenario: Scenario) -> None:
    """Warn of an estimate without values, with how many cells have which reason."""
    before = (valid_share(ds[scenario.inputs[0]]) if scenario.inputs[0] in ds else None) or None
    if out["mask_reason"].chunks is not None:
        return
    numbers, counts = np.unique(out["mask_reason"].values, return_counts=True)
    cells = ", ".join(f"{REASONS[n]}: {count}" for n, count in zip(numbers, counts, strict=True))
    tell_emptied(out, {scenario.target: before}, f"Cells by reason (mask_reason): {cells}.", [scenario.target])


def variation_of(bundle: Bundle) -> dict[str, float]:
    """Ratios of standard deviations that the training noted; empty where it noted none."""
    metrics = bundle.card.get("metrics") or {}
    names = {k: metrics.get(f"std_ratio_{k}") for k in WORDS}
    return {k: float(v) for k, v in names.items() if isinstance(v, int | float)}


def _families(bundle: Bundle) -> list[str]:
    """Families that an estimate rests on: those that its training noted, else those of its canonical names."""
    card = bundle.card
    sources = card.get("sources")
    noted = sources.get("families") if isinstance(sources, Mapping) else None
    names = noted or families_behind(xr.Dataset(), (*card.get("references", ()), *card["inputs"]))
    return sorted({*map(str, names), *(_families(bundle.surface) if bundle.surface else ())})


def _dropout_options(model: Model, passes: int) -> dict[str, Any]:
    if "dropout_passes" not in {p.name for p in model.info.options}:
        raise UsageError(f"Model '{model.info.name}' has no dropout.", hint="Leave dropout_passes out.")
    return {"dropout_passes": passes}


def _map_cells(
    predict: Any, ds: xr.Dataset, scenario: Scenario, inside: xr.DataArray, names: list[str]
) -> dict[str, xr.DataArray]:
    def block(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        result = predict({**arrays, "mask": arrays["mask"] > 0})
        return [result[n] for n in names]

    masked = ds.assign(mask=inside)
    series = map_series(block, masked, list(scenario.inputs), [*scenario.statics, "mask"], len(names))
    return {n: a.where(inside) for n, a in zip(names, series, strict=True)}


def _check(ds: xr.Dataset, bundle: Bundle, scenario: Scenario) -> None:
    """Stop where the units or the grid of a cube are not those that the bundle was trained with."""
    for name in (*scenario.inputs, *scenario.statics):
        unit, trained = str(ds[name].attrs.get("units", "")), bundle.card["units"].get(name, "")
        if unit and trained and not same_units(unit, trained):
            raise DataError(
                f"'{name}' has the unit '{unit}', the bundle was trained with '{trained}'.", hint="Convert it."
            )
    grid, trained = grid_of(ds), bundle.card.get("grid")
    if grid is not None and trained and grid.name != trained["name"]:
        raise DataError(
            f"The cube is on {grid.name}, the bundle was trained on {trained['name']}.", hint="Regrid the cube."
        )


def with_context(out: xr.Dataset, ds: xr.Dataset, scenario: Scenario) -> xr.Dataset:
    """Add to maps what rides along: frozen ground, land cover, texture, grid."""
    if "frozen" in ds:
        out = out.assign(frozen=ds["frozen"])
    if "land_cover" in ds:
        out = out.assign_coords(land_cover=ds["land_cover"])
    if {"sand", "silt", "clay"} <= set(ds.data_vars):
        soil = ds[["sand", "silt", "clay"]].reset_coords(drop=True)
        if "soil_depth" in soil.dims:
            soil = soil.sel(soil_depth=scenario.soil_depth, method="nearest", drop=True)
        out = out.assign_coords(texture=texture_of(soil))
    grid = grid_of(ds)
    return out if grid is None else grid.assign(out)


def trim(out: xr.Dataset, region: str | None) -> xr.Dataset:
    """Cut maps to the region that was opened (attribute ``xsm_region``), without its margin."""
    grid = grid_of(out)
    if not region or grid is None or grid.name != EASE2_M09.name:
        return out
    row0, row1, col0, col1 = (int(v) for v in str(region).split())
    window = grid.window(
        max(row0, grid.row0), min(row1, grid.row0 + grid.rows), max(col0, grid.col0), min(col1, grid.col0 + grid.cols)
    )
    return take(out, window)


def _origin(ds: xr.Dataset, bundle: Bundle, scenario: Scenario) -> dict[str, Any]:
    """Attributes of the estimate: model, training, references."""
    card = bundle.card
    attrs = {
        "title": f"Soil moisture at {scenario.depth} cm, scenario {scenario.number}",
        "depth": f"{scenario.depth} cm",
        "scenario": scenario.number,
        "model": card["model"],
        "model_hash": bundle.hash,
        "model_training": bundle.trained_on or "unknown",
        "model_validation": " to ".join(card.get("validation", {}).get("days", [])) or "unknown",
        "lead_in_days": lead_days(bundle),
        "warm_up_days": warm_up_days(bundle),
        "references": "Rabiei et al. (2024), doi:10.20944/preprints202412.1356.v1",
    }
    if card.get("synthetic"):
        attrs["model_synthetic"] = str(card["synthetic"])
    if ds.attrs.get("synthetic"):
        attrs["synthetic"] = ds.attrs["synthetic"]
    return attrs
