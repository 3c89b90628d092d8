"""What products are called in figures and tables, and the roles that they have there."""

from __future__ import annotations

import re

import xarray as xr

from xsm.data.roles import named_in, part_by_name, role_of
from xsm.reporting.scene import ESTIMATE, is_fused

LABELS = {"soil_moisture": "Soil moisture"}
LABELLED = "labels"
"""Attribute of scores with the labels of products, ``"name=label; ..."``."""


def label(name: str, ds: xr.Dataset | None = None) -> str:
    """Name of a product for people; maps or scores (``ds``) tell whether an estimate is a fusion."""
    base, comma, days = name.partition(", ")
    match = ESTIMATE.fullmatch(base)
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
    pairs = (
        text.partition("=") for text in str(scores.attrs.get(LABELLED, "") if scores is not None else "").split("; ")
    )
    return {name: text for name, _, text in pairs if text}


def role_in(ds: xr.Dataset | None, name: str) -> str:
    """Role of a product of maps or scores."""
    named = {n: role for role, n in named_in(ds).items()} if ds is not None and name not in ds.variables else {}
    return named.get(name) or role_of(xr.Dataset() if ds is None else ds, name)


def model_name(name: str, ds: xr.Dataset | None = None) -> str:
    """Name of a land model without the layer."""
    return re.sub(r" [\d.]+-[\d.]+ cm$", "", label(name, ds))


def short(name: str, ds: xr.Dataset | None = None) -> str:
    """Name of a product where its depth is known from the context."""
    full = label(name, ds)
    return full.split(", ")[-1].capitalize() if ESTIMATE.fullmatch(name) and ", " in full else full
