"""Which variables of a dataset are soil moisture that stations can judge, and at which depth."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import xarray as xr

from xsm.errors import DataError, UsageError, unknown

PRODUCTS: Mapping[str, str] = {
    "sm_5cm": "surface",
    "sm_noah_0_10": "surface",
    "sm_dca": "surface",
    "sm_scav": "surface",
    "sm_scah": "surface",
    "sm_surface": "surface",
    "sm_25cm": "subsurface",
    "sm_noah_10_40": "subsurface",
    "sm_rootzone": "subsurface",
}
"""What is compared, and with which layer of the stations; a scenario at the end of a name (``_s1``) does not matter.
``sm_surface`` and ``sm_rootzone`` are SMAP Level 4, 0-5 and 0-100 cm."""


def layer_of(name: str) -> str | None:
    """Return ``"surface"`` or ``"subsurface"`` for a name in `PRODUCTS`, with or without a scenario; None for others.

    Examples
    --------
    >>> layer_of("sm_25cm_s2"), layer_of("sm_25cm_s2_std")
    ('subsurface', None)
    """
    return PRODUCTS.get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"_s\d+$", "", name)


def is_estimate(ds: xr.Dataset, name: str) -> bool:
    """Whether a variable is the estimate of a model, by its name or its attribute ``model_hash``."""
    return _plain(name) in ("sm_5cm", "sm_25cm") or "model_hash" in ds[name].attrs


def products_of(ds: xr.Dataset, variables: Sequence[str] | None) -> dict[str, list[str]]:
    """Soil moisture variables by layer, in the order of `PRODUCTS` where none are named."""
    if variables is None:
        order = list(PRODUCTS)
        names = sorted((str(n) for n in ds.data_vars if layer_of(str(n))), key=lambda n: order.index(_plain(n)))
    else:
        names = list(dict.fromkeys(variables))
    layers: dict[str, list[str]] = {"surface": [], "subsurface": []}
    for name in names:
        if name not in ds:
            raise unknown("variable", name, [str(n) for n in ds.data_vars])
        depth = str(ds[name].attrs.get("depth", "")).removesuffix("cm").strip()
        layer = layer_of(name) or {"5": "surface", "25": "subsurface"}.get(depth.removesuffix(".0"))
        if layer is None:
            raise UsageError(
                f"'{name}' is not a known soil moisture variable and has no attribute depth of 5 or 25 (cm).",
                hint=f"Give '{name}' the attribute depth, or rename it to one of {', '.join(PRODUCTS)}.",
            )
        layers[layer].append(name)
    if not names:
        raise DataError(
            f"The dataset has none of {', '.join(PRODUCTS)}.", hint="Name the soil moisture in <variables=>."
        )
    return {layer: names for layer, names in layers.items() if names}


def only_observed(ds: xr.Dataset, variables: Sequence[str]) -> xr.Dataset:
    """Make the gap-filled days of some variables missing."""
    for name in variables:
        if f"{name}_observed" in ds:
            ds = ds.assign({name: ds[name].where(ds[f"{name}_observed"].astype(bool))})
        elif "fill_method" in ds[name].attrs:
            raise DataError(
                f"'{name}' was gap-filled, and without '{name}_observed' the observed days are not known.",
                hint=f"Keep '{name}_observed', or give the product before gap filling.",
            )
    return ds
