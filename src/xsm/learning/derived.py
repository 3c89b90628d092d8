"""Derived predictors: text such as ``memory(tb_h, 20)`` becomes a variable that is made from another one.

The text is the name of the variable; how it is written: `xsm.data.derived_text`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.cell_blocks import SERIES_CELLS, SERIES_POINTS
from xsm.compute.chunks import anchored
from xsm.data.cf import VARIABLES, kind
from xsm.data.derived_text import AFTER, FORMS, OF_TRAINING_DAYS, Derived, behind, canonical, is_derived, parse
from xsm.data.families import families_of
from xsm.data.period import check_days
from xsm.data.roles import role_of
from xsm.errors import DataError, tell
from xsm.learning.samples import days_within

__all__ = ["Carry", "canonical", "with_derived", "with_predictors"]


@dataclass(frozen=True)
class Carry:
    """States of predictors at the end of one run of days, from which the next one continues.

    Parameters
    ----------
    before : mapping of str to ndarray
        Float64 ``(3, ...)`` by the predictor's text, as `xsm.series.recursive.new_state` makes them; those that are
        missing begin.
    after : dict of str to ndarray
        Is filled with the states after the last day.
    """

    before: Mapping[str, np.ndarray] = field(default_factory=dict)
    after: dict[str, np.ndarray] = field(default_factory=dict)

    def state(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The state of a predictor on cells of some shape, to be changed in place."""
        from xsm.series.recursive import new_state

        state = self.before.get(name)
        flat = new_state(int(np.prod(shape))) if state is None else state.reshape(3, -1).astype("f8")
        self.after[name] = flat.reshape(3, *shape)
        return flat


def with_derived(
    ds: xr.Dataset, names: Iterable[str], *, train: np.ndarray | Sequence[str] | None = None, carry: Carry | None = None
) -> xr.Dataset:
    """Add derived predictors under their canonical text as names.

    Values do not depend on chunks. Where nothing that enters was observed they are missing: ``memory`` before the first
    observation, ``others`` where no other day was observed, ``neighbours`` without any. Of a filled variable ``v`` with
    ``v_observed``, ``others`` and ``distance`` take the observed values alone, because a filled value contains the
    observations of other days.

    Parameters
    ----------
    ds : xarray.Dataset
        One step per day; dims ``(time, y, x)``, ``(time, cell)`` or ``(time,)``, in any order. Lazy stays lazy.
    names : iterable of str
        Derived predictors; those that the dataset has, and other names, are passed over.
    train : ndarray of bool or sequence of str, optional
        Days of ``mean``, ``spread`` and ``standard``, or their periods as a bundle's card has them; all days by
        default, and, with a warning, where the dataset has none of them.
    carry : Carry, optional
        States from which predictors of earlier days continue, for a dataset in memory; the others stop.

    Returns
    -------
    xarray.Dataset
        Float32 variables with units and a long name.

    Raises
    ------
    DataError
        For a variable that is missing, is no quantity, or has no days or cells around where the form needs them.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=20)
    >>> with_derived(cube, ["memory(tb_h, 5)"])["memory(tb_h, 5)"].attrs["units"]
    'K'
    """
    trees = [parse(n) for n in names if is_derived(n) and n not in ds]
    trees = [tree for tree in dict.fromkeys(trees) if str(tree) not in ds]
    if trees and "time" in ds.dims:
        check_days(ds)
    use = _training_days(ds, [tree for tree in trees if OF_TRAINING_DAYS & set(tree.forms)], train)
    return ds.assign({str(tree): _derived(ds, tree, use, carry) for tree in trees})


def with_predictors(ds: xr.Dataset, card: Mapping[str, Any]) -> xr.Dataset:
    """The dataset with the derived predictors that a bundle's card names, as far as it has what is behind them."""
    names = [n for n in (*card["inputs"], *card["statics"]) if behind(n) in ds]
    return with_derived(ds, names, train=card.get("training", {}).get("periods", ()))


def _training_days(ds: xr.Dataset, trees: Sequence[Derived], train: Any) -> np.ndarray:
    """Days that the predictors among ``trees`` are made from; one warning where the dataset has none of them."""
    every = np.ones(ds.sizes.get("time", 0), bool)
    if train is None or not trees or "time" not in ds.dims:
        return every
    mask = np.asarray(train)
    if mask.dtype != bool:
        mask = np.isin(ds["time"].values.astype("M8[D]"), days_within(train))
    if not mask.any():
        names = ", ".join(f"'{tree}'" for tree in trees)
        tell(f"The dataset has none of the training days of {names}; its own days take their place.")
        return every
    return mask


def _derived(ds: xr.Dataset, tree: Derived, use: np.ndarray, carry: Carry | None) -> xr.DataArray:
    """A derived variable with its attributes."""
    source = _source(ds, tree)
    out = _applied(ds, tree, use, tree.observed, carry)
    units = str(source.attrs.get("units", "")) or getattr(VARIABLES.get(tree.variable), "units", "")
    name = source.attrs.get("long_name") or tree.variable
    inner = f" of {tree.of}" if isinstance(tree.of, Derived) else ""
    number = f", {tree.days:g} days" if tree.days else f", {tree.cells} x {tree.cells}" if tree.cells else ""
    away = "distance" in tree.forms
    attrs = {
        "long_name": f"{name}: {FORMS[tree.form].words}{inner}{number}{', past only' if tree.side == 'past' else ''}",
        "units": "day" if away else "1" if "standard" in tree.forms else units,
        "family": "; ".join(sorted(families_of(ds, tree.variable))),
        "role": "" if away else role_of(ds, tree.variable),
        "fill_training": "" if tree.observed else source.attrs.get("fill_training", ""),
        "grid_mapping": source.attrs.get("grid_mapping", ""),
    }
    return out.assign_attrs({k: v for k, v in attrs.items() if v})


def _source(ds: xr.Dataset, tree: Derived) -> xr.DataArray:
    name = tree.variable
    if name not in ds:
        raise DataError(f"'{tree}' needs '{name}', which the dataset lacks.", hint=f"It has {', '.join(map(str, ds))}.")
    variable = ds[name]
    if kind(variable, name) != "continuous" or variable.dtype.kind not in "fiu":
        raise DataError(f"'{tree}' needs a quantity, '{name}' contains bits, classes or times.")
    if tree.observed and "denoised" in variable.attrs:
        raise DataError(
            f"'{tree}' needs the observations of '{name}', which was denoised and no longer contains them.",
            hint="Fill with <denoise=False>.",
        )
    if tree.observed and "fill_method" in variable.attrs and f"{name}_observed" not in ds:
        raise DataError(
            f"'{tree}' needs '{name}_observed', which says where the filled '{name}' was observed.",
            hint="Add it to the cube.",
        )
    return variable


def _applied(ds: xr.Dataset, tree: Derived | str, use: np.ndarray, observed: bool, carry: Carry | None) -> xr.DataArray:
    """Values of a predictor without attributes; ``observed`` leaves the filled values of its variable out."""
    if isinstance(tree, str):
        variable, mark = ds[tree].drop_attrs(), f"{tree}_observed"
        return variable.where(ds[mark] == 1) if observed and mark in ds else variable
    from xsm.series import filters

    of = _applied(ds, tree.of, use, observed, carry)
    if tree.form == "neighbours":
        return _over_cells(of, tree)
    if "time" not in of.dims:
        raise DataError(f"'{tree}' needs a series, '{tree.of}' has the dims {of.dims}.", hint="Leave it out.")
    more = {} if carry is None else {"state": _state(of, tree, carry)}
    match tree.form:
        case "memory":
            return _along_time(of, functools.partial(filters.exponential_filter, days=tree.days, **more))
        case "others":
            return _along_time(of, functools.partial(filters.other_days, days=tree.days, side=tree.side, **more))
        case "distance":
            return _along_time(of, functools.partial(filters.distance, side=tree.side, **more))
        case "antecedent":
            return _along_time(of, functools.partial(filters.antecedent, days=tree.days, **more))
        case "mean":
            return _along_time(of, functools.partial(filters.day_mean, use=use), keep=False)
        case "spread":
            return _along_time(of, functools.partial(filters.day_spread, use=use), keep=False)
    return _along_time(of, functools.partial(filters.standardised, use=use))


def _state(of: xr.DataArray, tree: Derived, carry: Carry) -> np.ndarray:
    """State of a predictor, which must need nothing of later days."""
    if AFTER in Derived(tree.form, tree.variable, side=tree.side).reach:
        raise DataError(
            f"'{tree}' rests on later days and cannot be continued from day to day.", hint="Fuse with <mode=filter>."
        )
    return carry.state(str(tree), tuple(n for d, n in of.sizes.items() if d != "time"))


def _along_time(variable: xr.DataArray, kernel: Any, keep: bool = True) -> xr.DataArray:
    """Apply a kernel of ``(time, cell)``; it gives series, or values of cells where time is not kept."""
    series = variable.transpose("time", ...).astype("f4")
    work, dims = functools.partial(_flat, kernel), series.dims if keep else series.dims[1:]
    if series.chunks is None:
        values = work(series.values)
    else:
        side = SERIES_POINTS if series.ndim == 2 else SERIES_CELLS
        chunks = (series.shape[:1], *(anchored(0, size, side) for size in series.shape[1:]))
        values = series.data.rechunk(chunks).map_blocks(
            work, dtype="f4", drop_axis=None if keep else 0, meta=np.empty((0,) * len(dims), "f4")
        )
    coords = {n: c for n, c in series.coords.items() if set(c.dims) <= set(dims)}
    return xr.DataArray(values, coords, dims).transpose(*(d for d in variable.dims if d in dims))


def _flat(kernel: Any, values: np.ndarray) -> np.ndarray:
    out = kernel(values.reshape(len(values), -1))
    return np.asarray(out.reshape(values.shape if out.ndim == 2 else values.shape[1:]))


def _over_cells(variable: xr.DataArray, tree: Derived) -> xr.DataArray:
    if not {"y", "x"} <= set(variable.dims):
        raise DataError(
            f"'{tree}' needs maps with y and x, '{tree.of}' has the dims {variable.dims}.", hint="Leave it out."
        )
    maps = variable.transpose(..., "y", "x").astype("f4")
    work = functools.partial(_window, tree.cells)
    if maps.chunks is None:
        values = work(maps.values)
    else:
        depth = {maps.ndim - k: min(tree.cells // 2, maps.shape[-k]) for k in (1, 2)}
        values = maps.data.map_overlap(
            work, depth=depth, boundary=np.nan, dtype="f4", meta=np.empty((0,) * maps.ndim, "f4")
        )
    return xr.DataArray(values, maps.coords, maps.dims).transpose(*variable.dims)


def _window(cells: int, values: np.ndarray) -> np.ndarray:
    from xsm.series import filters

    return filters.neighbour_mean(values.reshape(-1, *values.shape[-2:]), cells).reshape(values.shape)
