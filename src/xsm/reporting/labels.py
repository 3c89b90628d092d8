"""What products are called in figures and tables, and the roles that they have there."""

from __future__ import annotations

import re

import xarray as xr

from xsm.data.roles import part_by_name
from xsm.reporting.baselines import BRIDGED, MEAN
from xsm.reporting.scene import ESTIMATE, is_fused

LABELS = {"sm": "Soil moisture", "soil_moisture": "Soil moisture", MEAN: "Mean of inputs"}
LABELLED = "labels"
"""Attribute of scores with the labels of products, ``"name=label; ..."``."""


def label(name: str, ds: xr.Dataset | None = None) -> str:
    """Name of a product for people; maps or scores (``ds``) tell whether an estimate is a fusion."""
    base, comma, days = name.partition(", ")
    match = ESTIMATE.fullmatch(base)
    if base.endswith(BRIDGED):
        return f"{label(base.removesuffix(BRIDGED), ds)}, gaps bridged"
    if match:
        number = (match[2] or "").removeprefix("_s")
        kind = f", scenario {number}" if number else ", fusion" if ds is not None and is_fused(ds, base) else ""
        return f"{match[1]} cm{kind}"
    return (part_by_name(base).label or long_label(base, ds) or LABELS.get(base, base)) + comma + days


def long_label(name: str, ds: xr.Dataset | None) -> str:
    """What a product is called in maps, by its long name ``Soil moisture, MODEL, 0-7 cm``, or in scores."""
    if ds is None or name not in ds.variables:
        return labels_in(ds).get(name, "")
    what, _, rest = str(ds[name].attrs.get("long_name", "")).partition(", ")
    return rest.replace(", ", " ") if what == "Soil moisture" else ""


def labels_in(scores: xr.Dataset | None) -> dict[str, str]:
    """Labels of products that their names do not tell, as scores carry them."""
    texts = "" if scores is None else str(scores.attrs.get(LABELLED, ""))
    pairs = (text.partition("=") for text in texts.split("; "))
    return {name: text for name, _, text in pairs if text}


def model_name(name: str, ds: xr.Dataset | None = None) -> str:
    """Name of a land model without the layer."""
    return re.sub(r" [\d.]+-[\d.]+ cm$", "", label(name, ds))


def short(name: str, ds: xr.Dataset | None = None) -> str:
    """Name of a product where its depth is known from the context."""
    full = label(name, ds)
    return full.split(", ")[-1].capitalize() if ESTIMATE.fullmatch(name) and ", " in full else full
