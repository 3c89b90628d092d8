"""The fusing engine: what a satellite would retrieve on a day, merged with what it did retrieve and a land model.

Three steps are learnt, none of them from a truth: ``prediction``, the retrieval of a day from the weather, the land
model and retrievals of other days; ``taught``, the land model's second layer from the fused surface; ``operator``, how
the land model itself turns its first layer into its second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.cell_blocks import map_series
from xsm.contracts.bundle import Bundle
from xsm.contracts.model import DRIEST, WETTEST, Model
from xsm.contracts.registry import get_model
from xsm.data.derived_text import behind, is_derived
from xsm.data.roles import RETRIEVAL, ROOT, SURFACE
from xsm.errors import DataError
from xsm.learning.derived import Carry, with_derived
from xsm.learning.fuse_inputs import in_roles
from xsm.learning.fusion_weights import MODEL_MEAN, ROOT_SOURCES, SURFACE_SOURCES, spread_of

PREDICTION, TAUGHT, OPERATOR = "prediction", "taught", "operator"
INNOVATION, FUSED, CHANGE = "innovation", "fused", "change"
WINDOWS = (5, 9)
MEMORIES = (1, 3, 6, 12, 25, 50)
RIDGE_SHARE = 1e-3
"""Of the mean variance of the filters, in the regression of the second layer on them."""
LASTING = 100
"""Days of the mean difference of retrieval and land model that counts as lasting: what a season leaves of it too."""
UNKNOWN = 0.06
"""Lasting difference, m3 m-3, that the spread of a cell without any retrieval takes: a large one."""
LONG = 1000
"""Days of a memory that stands for the mean of all other days."""
SOIL = ("sand", "clay", "land_cover")


def cross_predictors(ds: xr.Dataset, mode: str) -> tuple[list[str], list[str]]:
    """Predictors of a day's retrieval, series and maps, none of which contains a retrieval of that day.

    Parameters
    ----------
    ds : xarray.Dataset
        Variables by role; without weather and soil there are fewer predictors.
    mode : {"smoother", "filter"}
        Whether later retrievals take part.
    """
    maps = "y" in ds[SURFACE].dims
    series = [SURFACE, *(f"memory({SURFACE}, {days})" for days in (1, 5, 30))]
    series += ["precipitation", *(f"antecedent(precipitation, {days})" for days in (1, 2, 5, 20))]
    series += ["air_temperature", "memory(air_temperature, 10)"]
    series += [others_of(name, days, mode) for name in (RETRIEVAL, INNOVATION) for days in (2, 15, LONG)]
    series += [f'distance({INNOVATION}, side="past")' if mode == "filter" else f"distance({INNOVATION})"]
    series += [others_of(f"neighbours({INNOVATION}, {w})", days, mode) for w in WINDOWS for days in (1, 3) if maps]
    return [n for n in series if behind(n) in {*map(str, ds), INNOVATION}], [n for n in SOIL if n in ds]


def others_of(name: str, days: int, mode: str) -> str:
    """The text of the other days' mean of a variable, in a smoother or a filter."""
    return f'others({name}, {days}, side="past")' if mode == "filter" else f"others({name}, {days})"


def depth_predictors(surface: str, ds: xr.Dataset) -> tuple[list[str], list[str]]:
    """Predictors of the second layer: memories of a surface series, and maps of soil.

    Weather is left out: the land model, which is learnt from, has the errors of its weather.
    """
    return [f"memory({surface}, {d})" for d in MEMORIES], [n for n in SOIL if n in ds]


def inputs_of(ds: xr.Dataset, depths: Sequence[int] = (5,), days: np.ndarray | None = None) -> xr.Dataset:
    """Variables by role, with what a retrieval says beside the land model; retrievals of some days (bool) only."""
    roles = in_roles(ds, needed=(RETRIEVAL, SURFACE, *((ROOT,) if 25 in depths else ())))
    if days is not None:
        roles = roles.assign({RETRIEVAL: roles[RETRIEVAL].where(xr.DataArray(days, dims="time"))})
    innovation = (roles[RETRIEVAL] - roles[SURFACE]).astype("f4").drop_attrs()
    named = {"units": "m3 m-3", "long_name": "Retrieval minus land model"}
    return roles.assign({INNOVATION: innovation.assign_attrs(named)})


def component(bundle: Bundle, name: str) -> Bundle:
    """One of the three models that a fusion's bundle consists of."""
    head = f"{name}/"
    weights = {k.removeprefix(head): w for k, w in bundle.weights.items() if k.startswith(head)}
    if not weights:
        raise DataError(
            f"The fusion bundle has no model '{name}'; it was trained for another depth.", hint="Train it for both."
        )
    return Bundle({**bundle.card["options"]["components"][name], "format": bundle.card["format"]}, weights)


def predict(
    ds: xr.Dataset, bundle: Bundle, name: str, *, rename: Mapping[str, str] | None = None, carry: Carry | None = None
) -> list[xr.DataArray]:
    """Prediction of a component and the spread of what it learnt from, lazy where the dataset is.

    ``rename`` gives the variables of the dataset that stand for its predictors where they have other names.
    """
    part = component(bundle, name)
    model: Model = get_model(bundle.card["model"], "fuse")
    inputs, statics = list(part.card["inputs"]), list(part.card["statics"])
    named = {n: (rename or {}).get(n, n) for n in (*inputs, *statics)}
    if missing := [n for n in dict.fromkeys(behind(v) for v in named.values()) if n not in ds]:
        raise DataError(
            f"The fusion bundle needs {', '.join(missing)}, which the cube lacks.",
            hint="Add them with <cube()>, or train a bundle on this cube.",
        )
    ds = with_derived(ds, named.values(), carry=carry)
    arrays = xr.Dataset({n: ds[v] for n, v in named.items()})
    target = part.card["targets"][0]

    def block(values: dict[str, np.ndarray]) -> list[np.ndarray]:
        out = model.predict_block(values, part, device="cpu")
        return [out[target], out[f"{target}_std"]]

    return map_series(block, arrays, inputs, statics, 2)


def surface_parts(ds: xr.Dataset, bundle: Bundle, carry: Carry | None = None) -> xr.Dataset:
    """What the fused surface is merged from: `SURFACE_SOURCES`, the spread of the prediction, the mean's correction."""
    mean, spread = predict(ds, bundle, PREDICTION, carry=carry)
    dims = ds[SURFACE].dims
    lasting = others_of(INNOVATION, LASTING, bundle.card["options"]["mode"])
    parts = {RETRIEVAL: ds[RETRIEVAL], SURFACE: ds[SURFACE], PREDICTION: mean, "spread": spread}
    parts["lasting"] = with_derived(ds, [lasting], carry=carry)[lasting]
    return xr.Dataset({n: v.transpose(*dims).drop_attrs() for n, v in parts.items()})


def merged_surface(parts: xr.Dataset, weights: np.ndarray) -> xr.DataArray:
    """The fused surface by weights ``(2, source)``, without and with a retrieval on the day."""
    observed = parts[RETRIEVAL].notnull()
    sums = [sum(w * parts[n] for n, w in zip(SURFACE_SOURCES, row, strict=True) if w) for row in weights]
    share = xr.where(observed, *(weights[k][SURFACE_SOURCES.index(SURFACE)] for k in (1, 0)))
    fused = xr.where(observed, sums[1], sums[0]) - (MODEL_MEAN - share) * parts["lasting"].fillna(0.0)
    return fused.clip(DRIEST, WETTEST).astype("f4").transpose(*parts[SURFACE].dims)


def surface_spread(parts: xr.Dataset, shares: np.ndarray) -> Any:
    """Standard deviation of the truth about the fused surface."""
    return spread_of(shares, (parts["spread"], parts["lasting"].fillna(UNKNOWN), 1.0))


def root_spread(parts: xr.Dataset, fused: Any, surface: Any, shares: np.ndarray) -> Any:
    """Standard deviation of the truth about the fused second layer, from its parts and those of the surface."""
    return spread_of(shares, (parts["spread"], surface["spread"], fused))


def depth_filter(sample: xr.Dataset, days: np.ndarray) -> np.ndarray:
    """Shares of `MEMORIES` of the first layer that make the land model's second one, by ridge regression.

    Departures from the means of the cells on some days (bool), thawed ground, all cells at once.
    """
    names = [f"memory({SURFACE}, {d})" for d in MEMORIES]
    sample = with_derived(sample, names)
    thawed = ~sample["frozen"].astype(bool) if "frozen" in sample else xr.ones_like(sample[ROOT], bool)
    columns = [sample[n].where(thawed).isel(time=days) for n in (*names, ROOT)]
    departures = np.stack([(c - c.mean("time")).transpose("time", ...).values.ravel() for c in columns]).astype("f8")
    departures = departures[:, np.isfinite(departures).all(0)]
    x, y = departures[:-1], departures[-1]
    gram = x @ x.T
    return np.linalg.solve(gram + RIDGE_SHARE * np.trace(gram) / len(gram) * np.eye(len(gram)), x @ y)


def root_parts(ds: xr.Dataset, fused: xr.DataArray, bundle: Bundle, carry: Carry | None = None) -> xr.Dataset:
    """Parts of the fused second layer (`fusion_weights.ROOT_SOURCES`) and the spread of the taught one."""
    change = (fused - ds[SURFACE]).drop_attrs().assign_attrs(units="m3 m-3", long_name="Fusion minus land model")
    ds = ds.assign({FUSED: fused.assign_attrs(units="m3 m-3", long_name="Fused soil moisture"), CHANGE: change})
    filters = [f"memory({CHANGE}, {d})" for d in MEMORIES]
    of_change = with_derived(ds, filters, carry=carry)
    shift: Any = sum(k * of_change[n] for k, n in zip(bundle.weights["filter_25cm"], filters, strict=True))
    taught, spread = predict(ds, bundle, TAUGHT, carry=carry)
    inputs = component(bundle, OPERATOR).card["inputs"]
    of_fused = {n: n.replace(SURFACE, FUSED) for n in inputs if is_derived(n)}
    operator, _ = predict(ds, bundle, OPERATOR, rename=of_fused, carry=carry)
    dims = ds[SURFACE].dims
    parts = {"model_root": ds[ROOT] + shift, "taught": taught, "operator": operator, "spread": spread}
    return xr.Dataset({n: v.transpose(*dims).drop_attrs().astype("f4") for n, v in parts.items()})


def merged_root(parts: xr.Dataset, weights: np.ndarray) -> xr.DataArray:
    """The fused second layer by weights of `xsm.learning.fusion_weights.ROOT_SOURCES`."""
    total: Any = sum(w * parts[n] for n, w in zip(ROOT_SOURCES, weights, strict=True))
    return total.clip(DRIEST, WETTEST).astype("f4")
