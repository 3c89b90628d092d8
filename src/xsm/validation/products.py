"""Which variables of a dataset are soil moisture that stations can judge, and at which depth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import xarray as xr

from xsm.data.families import is_moisture
from xsm.data.roles import DEPTHS, ESTIMATE, RETRIEVAL, ROOT, SURFACE, in_order, role_of
from xsm.data.series import of_table, series_names
from xsm.errors import DataError, UsageError, unknown
from xsm.validation.depths import Depth, read_depth, read_pair

LAYERS = {5: "surface", 25: "subsurface"}
"""Layer of the stations that judges what is asked at a depth in cm."""
ORDER = {5: (ESTIMATE, SURFACE, RETRIEVAL, "comparison_surface"), 25: (ESTIMATE, ROOT, "comparison_root")}
"""Roles of what is compared where nothing is named, by depth, in their order."""
ESTIMATES = {"sm_5cm": 5, "sm_25cm": 25}


def layer_of(ds: xr.Dataset, name: str) -> str | None:
    """``"surface"`` or ``"subsurface"`` for estimates by name and for products by role; None for others.

    A scenario at the end of a name (``_s1``) does not matter.

    Examples
    --------
    >>> layer_of(xr.Dataset(), "sm_25cm_s2"), layer_of(xr.Dataset(), "sm_25cm_s2_std")
    ('subsurface', None)
    """
    return LAYERS.get(_kind(ds, name)[0])


def _kind(ds: xr.Dataset, name: str) -> tuple[int, str]:
    """Depth in cm that is asked of a product, 0 where none is known, and its role."""
    role = ESTIMATE if _plain(name) in ESTIMATES else role_of(ds, name)
    return ESTIMATES.get(_plain(name)) or DEPTHS.get(role, 0), role


def _plain(name: str) -> str:
    return re.sub(r"_s\d+$", "", name)


def is_estimate(ds: xr.Dataset, name: str) -> bool:
    """Whether a variable is the estimate of a model, by its name or its attribute ``model_hash``."""
    return _plain(name) in ESTIMATES or "model_hash" in ds[name].attrs


Layers = tuple[dict[str, list[str]], dict[str, Depth]]
"""Products by layer, and the depth of each layer."""


def layers_of(
    ds: xr.Dataset,
    variables: Sequence[str] | None,
    *,
    surface: str = "5",
    subsurface: str = "20",
    depth: Sequence[Any] | None = None,
    method: Literal["nearest", "interpolate"] = "nearest",
    free: bool = False,
) -> Layers:
    """Soil moisture variables by the depth at which stations judge them, in the order of `ORDER` if none are named.

    Parameters
    ----------
    ds : xarray.Dataset
        Data.
    variables : sequence of str, optional
        Names.
    surface, subsurface : str
        Depths of the known products and of those whose attribute ``depth`` is 5 or 25.
    depth : sequence, optional
        One depth or range for all products, or one for each; it goes before what is known of a product.
    method : {"nearest", "interpolate"}
        Whether single depths in ``depth`` are interpolated.
    free : bool
        Whether products may have no depth, because their reference has none.

    Returns
    -------
    dict, dict
        Names by layer and depths by layer: ``"surface"``, ``"subsurface"``, or the depth as text.

    Examples
    --------
    >>> ds = xr.Dataset({"sm_dca": ("time", [0.2]), "deep": ("time", [0.3], {"depth": "0-100 cm"})})
    >>> layers_of(ds, ["sm_dca", "deep"])[0]
    {'surface': ['sm_dca'], '0-100 cm': ['deep']}
    """
    names = list(dict.fromkeys(variables)) if variables is not None else _default(ds, bool(depth) or free)
    for name in names:
        if name not in ds:
            raise unknown("variable", name, [str(n) for n in ds.data_vars])
    if not names:
        raise DataError(
            f"None of the variables ({', '.join(map(str, ds.data_vars)) or 'none'}) is soil moisture of a known depth.",
            hint="Name the soil moisture in <variables=>, with <depth=5> where its depth is not known.",
        )
    if depth and len(depth) not in (1, len(names)):
        raise UsageError(f"There are {len(depth)} depths for {len(names)} products ({', '.join(names)}).",
                         hint="Give one depth for all, or one for each.")  # fmt: skip
    usual = {"surface": read_pair(surface), "subsurface": read_pair(subsurface)}
    products: dict[str, list[str]] = {"surface": [], "subsurface": []}
    depths = dict(usual)
    for i, name in enumerate(names):
        if depth:
            at = read_depth(depth[i % len(depth)], method)
            layer = str(at)
        else:
            layer, at = _layer(ds, name, usual, free)
        products.setdefault(layer, []).append(name)
        depths[layer] = at
    filled = {layer: names for layer, names in products.items() if names}
    return filled, {layer: depths[layer] for layer in filled}


def _default(ds: xr.Dataset, any_depth: bool) -> list[str]:
    """Names of known products; without one all soil moisture, if its depth does not matter or is an attribute."""
    order = [(depth, role) for depth, roles in ORDER.items() for role in roles]
    kinds = {str(n): _kind(ds, str(n)) for n in ds.data_vars}
    names = sorted(in_order(ds, (n for n, kind in kinds.items() if kind in order)), key=lambda n: order.index(kinds[n]))
    if names or any_depth:
        return names or series_names(ds)
    return [str(n) for n in ds.data_vars if is_moisture(ds, str(n)) and ds[n].attrs.get("depth")]


def every_series(ds: xr.Dataset) -> list[str]:
    """All soil moisture; where nothing has a unit, as in tables, every series of numbers."""
    series = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims and v.dtype.kind == "f"]
    plain = not any(ds[n].attrs.get("units") for n in series)
    return of_table(series) if plain and len(series) > 1 else series_names(ds)


def _layer(ds: xr.Dataset, name: str, usual: dict[str, Depth], free: bool) -> tuple[str, Depth]:
    text = str(ds[name].attrs.get("depth", "")).removesuffix("cm").strip()
    layer = layer_of(ds, name) or {"5": "surface", "25": "subsurface"}.get(text.removesuffix(".0"))
    if layer is not None:
        return layer, usual[layer]
    try:
        at = read_depth(text)
    except UsageError:
        if free:
            return "series", Depth(rule="any")
        raise UsageError(
            f"'{name}' is not a known soil moisture variable and has no attribute depth (cm).",
            hint=f"Give <depth=5>, or '{name}' the attribute depth, or role ({', '.join(DEPTHS)}).",
        ) from None
    return str(at), at


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
