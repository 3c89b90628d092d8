"""The estimating engine: a bundle applied to a cube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.chunks import is_lazy, shared
from xsm.compute.patches import map_patches
from xsm.compute.series import map_series
from xsm.compute.tiles import covered
from xsm.contracts.bundle import Bundle, spread_name
from xsm.contracts.model import Block, Model, clips, look_back
from xsm.contracts.registry import get_model
from xsm.data.cf import canonical_attrs, check_units, same_units
from xsm.data.grids import EASE2_M09, grid_of, require_grid
from xsm.data.scenarios import Scenario, get_scenario
from xsm.data.soil_texture import texture_of
from xsm.data.windows import take
from xsm.errors import DataError, UsageError
from xsm.learning.predictors import reasons, require, split_predictors, with_units
from xsm.learning.shipped import shipped, shipped_name
from xsm.learning.values import checked_values


def estimate_maps(ds: xr.Dataset, bundle: Bundle, depth: int, scenario: int, dropout_passes: int = 0) -> xr.Dataset:
    """Estimate with a bundle of this depth and scenario; see `xsm.estimate`."""
    chosen = _scenario(bundle, depth, scenario)
    fed = [n for b in (bundle, bundle.surface) if b for n in (*b.card["inputs"], *b.card["statics"])]
    ds, fed_cells = with_units(ds, dict.fromkeys(n for n in fed if n in ds)), None
    if chosen.needs_surface:
        if bundle.surface is None:
            raise DataError("The 25 cm scenario 2 bundle lacks its 5 cm bundle ('surface').", hint="Train it anew.")
        made_by = ds["sm_5cm"].attrs.get("model_hash") if "sm_5cm" in ds else bundle.surface.hash
        if made_by != bundle.surface.hash:
            raise DataError(
                f"The cube's sm_5cm comes from {f'the bundle {made_by}' if made_by else 'no bundle'}, wanted "
                f"{bundle.surface.hash}, which this 25 cm bundle was trained with.",
                hint="Leave sm_5cm out (it is then estimated), or make it with model.surface.",
            )
        if "sm_5cm" not in ds:
            surface = _surface(ds, bundle.surface)
            ds, fed_cells = ds.assign(sm_5cm=surface["sm_5cm"]), surface["mask_reason"] <= 1
    out = _run(ds, bundle, chosen, dropout_passes, fed_cells)
    out = trim(_with_context(out, ds, chosen), ds.attrs.get("xsm_region"))
    out = out.assign_attrs(_told(ds, bundle, chosen))
    return out.assign_attrs(history=ds.attrs.get("history", ""))


def lead_days(bundle: Bundle) -> int:
    """Days at the start of a period that a bundle cannot estimate, its surface bundle's included."""
    own = get_model(bundle.card["model"], "estimate").block(bundle).look_back - 1
    return own + (lead_days(bundle.surface) if bundle.surface else 0)


def warm_up_days(bundle: Bundle) -> int:
    """Days at the start of a period whose estimates lack some of what the model looks back on, or are empty."""
    own = look_back(get_model(bundle.card["model"], "estimate").info, bundle.card["options"]) - 1
    return own + (warm_up_days(bundle.surface) if bundle.surface else 0)


def _blocks(bundle: Bundle) -> list[Block]:
    """Blocks of a bundle after that of the surface bundle that feeds it."""
    own = get_model(bundle.card["model"], "estimate").block(bundle)
    return [*(_blocks(bundle.surface) if bundle.surface else ()), own]


def surface_estimate(ds: xr.Dataset, surface: Bundle) -> xr.DataArray:
    """The whole 5 cm estimate (margin included) that feeds 25 cm scenario 2."""
    return _surface(ds, surface)["sm_5cm"]


def _surface(ds: xr.Dataset, surface: Bundle) -> xr.Dataset:
    return _run(ds, surface, _scenario(surface, 5, surface.card["scenario"]))


def load_model(model: Any, depth: int, number: int | None) -> Bundle:
    """Make a bundle from a bundle, a folder or the name of a shipped one; refuses another depth or scenario."""
    if isinstance(model, Bundle):
        bundle = model
    elif name := shipped_name(model, "estimate"):
        bundle = shipped(name)
    else:
        bundle = Bundle.load(Path(model))
    card = bundle.card
    if card["task"] != "estimate":
        raise DataError(f"The bundle is for '{card['task']}', wanted 'estimate'.", hint="See `xsm inspect`.")
    own = card.get("depth"), card.get("scenario")
    if own[0] != depth or (number is not None and own[1] != number):
        raise DataError(
            f"The bundle is for {own[0]} cm scenario {own[1]}, wanted {depth} cm"
            f"{'' if number is None else f' scenario {number}'}.",
            hint="Choose its depth and scenario, or another bundle.",
        )
    return bundle


def _scenario(bundle: Bundle, depth: int, number: int) -> Scenario:
    base = get_scenario(depth, number)
    card = bundle.card
    return Scenario(
        depth, number, tuple(card["inputs"]), tuple(card["statics"]), base.references, base.soil_depth,
        lead_days(bundle),
    )  # fmt: skip


def _run(
    ds: xr.Dataset, bundle: Bundle, chosen: Scenario, dropout_passes: int = 0, fed_cells: xr.DataArray | None = None
) -> xr.Dataset:
    """Estimate the whole window; ``fed_cells`` are those of a surface that is made here, which is not made to see."""
    from xsm.options import device

    model = get_model(bundle.card["model"], "estimate")
    asked = bundle if not dropout_passes else _with_dropout(bundle, model, dropout_passes)
    _check(ds, bundle, chosen)
    dynamic, static = split_predictors(ds, chosen)
    lead = lead_days(bundle.surface) if chosen.needs_surface and bundle.surface else 0
    dynamic = dynamic.isel(time=slice(lead, None))
    block = model.block(bundle)
    grid = grid_of(ds)
    patches = [b for b in _blocks(bundle) if b.kind == "patch"]
    whole = covered(require_grid(ds, "The cube"), *patches) if patches else None
    given = dynamic if fed_cells is None else dynamic.drop_vars("sm_5cm")
    why = reasons(given, static, ds.get("land"), whole, fed_cells)
    if not is_lazy(ds[list(dynamic.data_vars)]):
        why = why.compute()
    inside = shared(why <= 1)
    target = chosen.target
    names = [target, spread_name(bundle)]
    factor = np.float32(bundle.card.get("spread", {}).get("factor", 1.0))
    merged = ds[list(dynamic.data_vars)].assign(static.data_vars)
    merged = checked_values(merged, inside, str(chosen), ds["time"].values[lead])
    counted = np.zeros(2)

    def predict(arrays: dict[str, np.ndarray]) -> Any:
        with clips() as clipped:
            made = model.predict_block(arrays, asked, device=device())
        mask = arrays["mask"] if arrays["mask"].ndim == 1 else arrays["mask"][:, None]
        for where in (c for c in clipped if c.shape == made[target].shape):
            counted[:] += (where & mask).sum(), np.broadcast_to(mask, where.shape).sum()
        return {target: made[target], names[1]: made[f"{target}_std"] * factor}

    if block.kind == "patch":
        made = map_patches(
            predict,
            merged,
            require_grid(ds, "The cube"),
            block,
            inputs=chosen.inputs,
            statics=chosen.statics,
            mask=inside,
            outputs=names,
            skip=lead,
        )
    else:
        made = _series(predict, merged.isel(time=slice(lead, None)), chosen, inside, names)
    units = {"units": "m3 m-3", "grid_mapping": "spatial_ref"} if grid is not None else {"units": "m3 m-3"}
    made[target].attrs = {
        **canonical_attrs(target),
        **units,
        "ancillary_variables": f"{names[1]} mask_reason",
        "model_hash": bundle.hash,
    }
    if counted[1]:
        made[target].attrs["clipped_share"] = round(float(counted[0] / counted[1]), 6)
    made[names[1]].attrs = {
        "long_name": f"Soil moisture at {chosen.depth} cm: standard deviation of the "
        f"{'true value' if names[1] == f'{target}_std' else 'reference'}",
        "comment": bundle.card.get("limits", ""),
        **units,
    }
    out = xr.Dataset({**made, "mask_reason": why}).reindex(time=ds["time"].values)
    out["time"].attrs = ds["time"].attrs
    return out


def _with_dropout(bundle: Bundle, model: Model, passes: int) -> Bundle:
    if "dropout_passes" not in {p.name for p in model.info.options}:
        raise UsageError(f"Model '{model.info.name}' has no dropout.", hint="Leave dropout_passes out.")
    options = {**bundle.card["options"], "dropout_passes": passes}
    return Bundle({**bundle.card, "options": options}, bundle.weights, bundle.surface)


def _series(
    predict: Any, ds: xr.Dataset, chosen: Scenario, inside: xr.DataArray, names: list[str]
) -> dict[str, xr.DataArray]:
    def block(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        result = predict({**arrays, "mask": arrays["mask"] > 0})
        return [result[n] for n in names]

    masked = ds.assign(mask=inside)
    made = map_series(block, masked, list(chosen.inputs), [*chosen.statics, "mask"], len(names))
    return {n: a.where(inside) for n, a in zip(names, made, strict=True)}


def _check(ds: xr.Dataset, bundle: Bundle, chosen: Scenario) -> None:
    require(ds, chosen)
    check_units(ds, (*chosen.inputs, *chosen.statics))
    for name in (*chosen.inputs, *chosen.statics):
        got, wanted = str(ds[name].attrs.get("units", "")), bundle.card["units"].get(name, "")
        if got and wanted and not same_units(got, wanted):
            raise DataError(
                f"'{name}' has the unit '{got}', the bundle was trained with '{wanted}'.", hint="Convert it."
            )
    own, made = grid_of(ds), bundle.card.get("grid")
    if own is not None and made and own.name != made["name"]:
        raise DataError(
            f"The cube is on {own.name}, the bundle was trained on {made['name']}.", hint="Regrid the cube."
        )


def _with_context(out: xr.Dataset, ds: xr.Dataset, chosen: Scenario) -> xr.Dataset:
    if "frozen" in ds:
        out = out.assign(frozen=ds["frozen"])
    if "land_cover" in ds:
        out = out.assign_coords(land_cover=ds["land_cover"])
    if {"sand", "silt", "clay"} <= set(ds.data_vars):
        soil = ds[["sand", "silt", "clay"]].reset_coords(drop=True)
        if "soil_depth" in soil.dims:
            soil = soil.sel(soil_depth=chosen.soil_depth, drop=True)
        out = out.assign_coords(texture=texture_of(soil))
    grid = grid_of(ds)
    return out if grid is None else grid.assign(out)


def trim(out: xr.Dataset, region: str | None) -> xr.Dataset:
    """Cut maps to the region that was opened (attribute ``xsm_region``), leaving the margin away."""
    grid = grid_of(out)
    if not region or grid is None or grid.name != EASE2_M09.name:
        return out
    row0, row1, col0, col1 = (int(v) for v in str(region).split())
    window = grid.window(
        max(row0, grid.row0), min(row1, grid.row0 + grid.rows), max(col0, grid.col0), min(col1, grid.col0 + grid.cols)
    )
    return take(out, window)


def _told(ds: xr.Dataset, bundle: Bundle, chosen: Scenario) -> dict[str, Any]:
    card = bundle.card
    told = {
        "title": f"Soil moisture at {chosen.depth} cm, scenario {chosen.number}",
        "depth": f"{chosen.depth} cm",
        "scenario": chosen.number,
        "model": card["model"],
        "model_hash": bundle.hash,
        "model_training": bundle.trained_on or "unknown",
        "model_validation": " to ".join(card.get("validation", {}).get("days", [])) or "unknown",
        "lead_in_days": lead_days(bundle),
        "warm_up_days": warm_up_days(bundle),
        "references": "Rabiei et al. (2024), doi:10.20944/preprints202412.1356.v1",
    }
    if card.get("synthetic"):
        told["model_synthetic"] = str(card["synthetic"])
    if ds.attrs.get("synthetic"):
        told["synthetic"] = ds.attrs["synthetic"]
    return told
