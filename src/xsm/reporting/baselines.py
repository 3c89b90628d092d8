"""What an estimate has to beat: each of its inputs on every day, and their mean.

An input with gaps is filled along time, so that all products are scored on the same days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.roles import RETRIEVAL, ROOT, SURFACE, holders
from xsm.validation import contrasts
from xsm.validation.contrasts import Gain

MEAN = "mean_of_inputs"
BRIDGED = "_bridged"
"""End of the name of an input whose gaps are bridged by straight lines."""
ROLES: Mapping[str, tuple[str, ...]] = {"surface": (RETRIEVAL, SURFACE), "subsurface": (ROOT,)}
"""Roles of the inputs of each layer."""
OBSERVED = ("ancillary_variables", "role")
"""Attributes of an input that are not true where its gaps are bridged."""
COMPARED = {"r": False, "ubrmse": True, "rmse": True}
"""Scores that are compared, and whether smaller is better."""


def with_baselines(ds: xr.Dataset, layers: Iterable[str]) -> tuple[xr.Dataset, dict[str, tuple[str, ...]]]:
    """The maps with inputs on every day and their mean; the names of both by layer, the mean last.

    Parameters
    ----------
    ds : xarray.Dataset
        Maps and cube, dims ``(time, y, x)``; what is added is lazy where they are.
    layers : iterable of str
        Layers of the estimates.
    """
    names: dict[str, tuple[str, ...]] = {}
    known = holders(ds)
    for layer in layers:
        inputs = []
        for name in (known[role] for role in ROLES.get(layer, ()) if role in known):
            if name == known.get(RETRIEVAL) and not _is_filled(ds, name):
                ds = ds.assign({f"{name}{BRIDGED}": _bridged(ds[name])})
                name += BRIDGED
            inputs.append(name)
        if len(inputs) > 1:
            total: Any = sum(ds[n] for n in inputs)
            mean = (total / len(inputs)).astype("f4").drop_attrs()
            ds = ds.assign({MEAN: mean.assign_attrs(units="m3 m-3", depth=5, long_name="Mean of the inputs")})
            inputs.append(MEAN)
        names[layer] = tuple(inputs)
    return ds, names


def _is_filled(ds: xr.Dataset, name: str) -> bool:
    return f"{name}_observed" in ds or "fill_method" in ds[name].attrs


def _bridged(values: xr.DataArray) -> xr.DataArray:
    """Series without gaps: straight lines between observations, the nearest one before the first and after the last."""
    whole = values.chunk({"time": -1}) if values.chunks is not None else values
    out = xr.apply_ufunc(
        bridge, whole, input_core_dims=[["time"]], output_core_dims=[["time"]], dask="parallelized",
        output_dtypes=[values.dtype],
    ).transpose(*values.dims)  # fmt: skip
    return out.assign_attrs({k: v for k, v in values.attrs.items() if k not in OBSERVED} | {"depth": 5})


def bridge(series: np.ndarray) -> np.ndarray:
    """Fill gaps along the last axis by straight lines; a series without a value stays as it is.

    Examples
    --------
    >>> bridge(np.array([[np.nan, 1.0, np.nan, 3.0, np.nan]])).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0]]
    """
    flat = series.reshape(-1, series.shape[-1]).copy()
    days = np.arange(series.shape[-1])
    for row in flat:
        known = np.isfinite(row)
        if known.any() and not known.all():
            row[~known] = np.interp(days[~known], days[known], row[known])
    return flat.reshape(series.shape)


def of_layer(table: xr.Dataset, baselines: Mapping[str, Sequence[str]], layer: str) -> list[str]:
    """Baselines of a layer that a table of scores has."""
    known = {str(p) for p in table["product"].values}
    return [n for n in baselines.get(layer, ()) if n in known]


def best_input(table: xr.Dataset, names: Sequence[str], score: str = "r") -> str:
    """The single input with the best mean of a score over the stations; empty without one."""
    inputs = [n for n in names if n != MEAN and bool(table[score].sel(product=n).notnull().any())]
    means = {n: float(table[score].sel(product=n).mean()) for n in inputs}
    order = sorted(means, key=means.__getitem__, reverse=not COMPARED[score])
    return order[0] if order else ""


def gain_over(table: xr.Dataset, product: str, rival: str, score: str) -> Gain:
    """What a product gains in a score over another one, at the stations of a table."""
    mine, other = (table[score].sel(product=n).values for n in (product, rival))
    return contrasts.gain(mine, other, smaller_is_better=COMPARED[score])
