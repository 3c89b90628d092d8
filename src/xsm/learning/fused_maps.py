"""Fused maps: a bundle of the task ``fuse`` applied to a cube."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from xsm.compute.chunks import is_lazy
from xsm.contracts.bundle import Bundle
from xsm.data.cf import canonical_attrs
from xsm.data.derived_text import memory_days
from xsm.data.masks import with_masks
from xsm.data.roles import ESTIMATE, RETRIEVAL, SURFACE
from xsm.data.scenarios import get_scenario
from xsm.errors import DataError, UsageError, render_hint, tell
from xsm.learning import fusing
from xsm.learning.derived import Carry
from xsm.learning.estimating import trim, with_context
from xsm.learning.fitting_fuse import fit_fuse
from xsm.learning.fuse_inputs import check_information, checked_cube, in_roles, taken
from xsm.learning.fused_products import check_products
from xsm.learning.fusion_weights import ROOT_SOURCES, SURFACE_SOURCES
from xsm.learning.shipped import load_bundle

DEPTHS = (5, 25)
WEIGHTS = {5: ("weights_5cm", "spread_5cm"), 25: ("weights_25cm", "filter_25cm", "spread_25cm")}
"""Arrays that a bundle needs for a depth, beside those of its models."""
log = logging.getLogger("xsm")


def fusion_bundle(
    ds: xr.Dataset, model: Any, depths: Sequence[int], *, mode: str, stations: xr.Dataset | None, **training: Any
) -> Bundle:
    """The bundle that a user names, else one trained on the cube."""
    if model is None:
        checked_cube(ds, depths)
        log.info("training a fusion on the cube; %s", render_hint("give <model=> to use one again"))
        return fit_fuse(ds, model=None, stations=stations, options={"mode": mode}, **training)
    roles = in_roles(ds)
    if not is_lazy(roles[[RETRIEVAL, SURFACE]]):
        check_information(roles, taken(ds))
    if lost := [n for n, v in {"stations": stations, **training}.items() if n != "seed" and v is not None]:
        raise UsageError(f"{', '.join(lost)} only matter for training, but a model was given.", hint="Leave them out.")
    if not isinstance(model, Bundle | str | Path):
        raise UsageError(f"model is a {type(model).__name__}, expected a bundle, its folder or 'pretrained'.")
    bundle = load_bundle(model, "fuse")
    if lost := [n for d in depths for n in WEIGHTS[d] if n not in bundle.weights]:
        raise DataError(f"The fusion bundle lacks {', '.join(lost)}.", hint="Train it again with this version of xsm.")
    trained = bundle.card["options"]["mode"]
    if mode == "filter" and trained != mode:
        raise DataError(
            "The bundle was trained as a smoother, expected a filter.", hint="Train one with <mode=filter>."
        )
    return bundle


def checked_depths(depth: Iterable[Any] | None) -> tuple[int, ...]:
    """Depths in cm as numbers, in order."""
    depths = tuple(depth) if depth else ()
    if not depths or any(str(d) not in map(str, DEPTHS) for d in depths):
        raise UsageError(f"depth is {', '.join(map(str, depths)) or 'empty'}, expected 5, 25 or both.")
    return tuple(sorted({int(d) for d in depths}))


def fused_maps(ds: xr.Dataset, bundle: Bundle, depths: Sequence[int], carry: Carry | None = None) -> xr.Dataset:
    """Fused soil moisture with its spread, weights and masks; see `xsm.fuse`. With ``carry``, of days that follow."""
    ds, reason = checked_cube(ds, depths)
    names = taken(ds, depths)
    check_products(ds, names, bundle, depths)
    components = bundle.card["options"]["components"].values()
    of_maps = any("neighbours(" in name for card in components for name in card["inputs"])
    if of_maps and not {"y", "x"} <= set(ds[names[SURFACE]].dims):
        raise DataError(
            f"The fusion bundle was trained on maps, the cube has the dims {ds[names[SURFACE]].dims}.",
            hint="Fuse maps (y, x), or train a bundle on these series: leave <model=> out.",
        )
    masks, inside = with_masks(ds), reason == 0
    roles = fusing.inputs_of(ds, depths)
    parts = fusing.surface_parts(roles, bundle, carry)
    if carry is None and not is_lazy(parts[[RETRIEVAL]]) and not parts[RETRIEVAL].notnull().any():
        tell("No day has a retrieval on thawed ground: the maps rest on the land model and the weather alone.")
    fused = fusing.merged_surface(parts, bundle.weights["weights_5cm"])
    maps: dict[int, tuple[xr.DataArray, xr.DataArray]] = {}
    if 5 in depths:
        maps[5] = fused, fusing.surface_spread(parts, bundle.weights["spread_5cm"])
    if 25 in depths:
        deep = fusing.root_parts(roles, fused, bundle, carry)
        root = fusing.merged_root(deep, bundle.weights["weights_25cm"])
        maps[25] = root, fusing.root_spread(deep, root, parts, bundle.weights["spread_25cm"])
    out = xr.Dataset(coords=ds[names[SURFACE]].coords)
    for depth, (mean, spread) in maps.items():
        out = out.assign(_named(depth, mean.where(inside), spread.where(inside), bundle))
    observed = (
        parts[RETRIEVAL].notnull().assign_attrs(long_name="Whether the satellite retrieved soil moisture on that day")
    )
    out = out.assign({**_weights(bundle, depths), "retrieval_observed": observed, "mask_reason": reason})
    if "frozen" in masks:
        out = out.assign(frozen=masks["frozen"])
    out = trim(with_context(out, ds, get_scenario(5, 2)), ds.attrs.get("xsm_region"))
    about = {
        "title": "Soil moisture from satellite, land model and weather",
        "method": "fuse",
        "mode": bundle.card["options"]["mode"],
        "model_hash": bundle.hash,
        "training_data": "; ".join(bundle.card["sources"]["families"]),
        "training_stations": ", ".join(bundle.card["sources"]["stations"]),
        "warm_up_days": warm_up(bundle, depths),
        "synthetic": ds.attrs.get("synthetic") or bundle.card.get("synthetic", ""),
        "history": ds.attrs.get("history", ""),
    }
    return out.assign_attrs({k: v for k, v in about.items() if v})


def warm_up(bundle: Bundle, depths: Sequence[int]) -> int:
    """Days at the start of a period whose maps lack some of what the memories look back on."""
    names = {fusing.PREDICTION: 5, fusing.TAUGHT: 25, fusing.OPERATOR: 25}
    cards = bundle.card["options"]["components"]
    inputs = [n for name, depth in names.items() if depth <= max(depths) for n in cards[name]["inputs"]]
    return memory_days(n for n in inputs if not n.startswith("others("))


def _named(depth: int, mean: xr.DataArray, spread: xr.DataArray, bundle: Bundle) -> dict[str, xr.DataArray]:
    name = f"sm_{depth}cm"
    grid = {"units": "m3 m-3", "grid_mapping": "spatial_ref"}
    of_mean = {
        **canonical_attrs(name),
        **grid,
        "ancillary_variables": f"{name}_std mask_reason",
        "family": "; ".join(bundle.card["sources"]["families"]),
        "role": ESTIMATE,
        "model_hash": bundle.hash,
        "training_stations": ", ".join(bundle.card["sources"]["stations"]),
    }
    of_spread = {
        "long_name": f"Soil moisture at {depth} cm: standard deviation of the true value",
        "comment": bundle.card["limits"],
        **grid,
    }
    mean, spread = mean.astype("f4"), spread.astype("f4")
    return {
        name: mean.assign_attrs({k: v for k, v in of_mean.items() if v}),
        f"{name}_std": spread.assign_attrs(of_spread),
    }


def _weights(bundle: Bundle, depths: Sequence[int]) -> dict[str, xr.DataArray]:
    """What each map rests on, as small tables."""
    out = {}
    retrieved = "retrieved", [False, True], {"long_name": "Whether the satellite retrieved soil moisture on the day"}
    if 5 in depths:
        out["weights_5cm"] = xr.DataArray(
            bundle.weights["weights_5cm"],
            {"retrieved": retrieved, "source_5cm": list(SURFACE_SOURCES)},
            attrs={"long_name": "Weights of the sources at 5 cm, on days without and with a retrieval", "units": "1"},
        )
    if 25 in depths:
        out["weights_25cm"] = xr.DataArray(
            bundle.weights["weights_25cm"],
            {"source_25cm": list(ROOT_SOURCES)},
            attrs={"long_name": "Weights of the sources at 25 cm", "units": "1"},
        )
    return out
