"""Derived predictors: text such as ``memory(tb_h, 20)`` becomes a variable that is made from another one.

The text is the name of the variable. What is made from which days decides whether a target may enter: `reach`.
"""

from __future__ import annotations

import ast
import functools
import keyword
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.chunks import anchored
from xsm.compute.series import SERIES_CELLS, SERIES_POINTS
from xsm.data.cf import VARIABLES, kind
from xsm.data.families import families_of, role_of
from xsm.data.period import check_days
from xsm.errors import DataError, UsageError, tell
from xsm.learning.samples import days_within

BEFORE, TODAY, AFTER = -1, 0, 1
LONGEST_TEXT, LONGEST_DAYS, WIDEST = 200, 3650, 99


@dataclass(frozen=True)
class Form:
    """A way of making a predictor.

    Parameters
    ----------
    usage : str
        How it is written.
    words : str
        What it is, after the name of the variable.
    parameters : tuple of str
        Names of the values after the variable.
    reach : tuple of int
        Which days enter a day's value: earlier ones (-1), the day itself (0), later ones (1).
    observed : bool
        Whether only the observed values of a filled variable enter.
    """

    usage: str
    words: str
    parameters: tuple[str, ...]
    reach: tuple[int, ...]
    observed: bool = False


FORMS: Mapping[str, Form] = {
    "memory": Form("memory(v, days)", "exponential filter", ("days",), (BEFORE, TODAY)),
    "others": Form(
        'others(v, days, side="both")', "mean of the other days", ("days", "side"), (BEFORE, AFTER), observed=True
    ),
    "distance": Form(
        'distance(v, side="both")', "days to the nearest other observation", ("side",), (BEFORE, AFTER), observed=True
    ),
    "antecedent": Form("antecedent(v, days)", "antecedent sum", ("days",), (BEFORE, TODAY)),
    "mean": Form("mean(v)", "mean of the training days", (), (BEFORE, TODAY, AFTER)),
    "neighbours": Form("neighbours(v, cells)", "mean of the cells around", ("cells",), (TODAY,)),
}


@dataclass(frozen=True)
class Derived:
    """A derived predictor; ``str`` gives its one spelling.

    Parameters
    ----------
    form : str
        Name in `FORMS`.
    of : Derived or str
        What it is made from; a str is a variable.
    days, cells : float, int
        Time constant and width of the window, where the form has them.
    side : {"both", "past"}
        Days that enter, where the form has sides.
    """

    form: str
    of: Derived | str
    days: float = 0.0
    cells: int = 0
    side: str = "both"

    def __str__(self) -> str:
        bare = isinstance(self.of, Derived) or (self.of.isidentifier() and not keyword.iskeyword(self.of))
        parts = [str(self.of) if bare else repr(self.of)]
        parts += [f"{self.days:.0f}" if self.days == int(self.days) else repr(self.days)] if self.days else []
        parts += [str(self.cells)] if self.cells else []
        parts += ['side="past"'] if self.side == "past" else []
        return f"{self.form}({', '.join(parts)})"

    @property
    def reach(self) -> frozenset[int]:
        """Which days of the variable behind it enter a day's value: -1, 0, 1 for earlier, the same and later ones."""
        days = {BEFORE} if self.side == "past" else set(FORMS[self.form].reach)
        inner = self.of.reach if isinstance(self.of, Derived) else {TODAY}
        return frozenset(c for a in days for b in inner for c in _sums(a, b))

    @property
    def warm_up(self) -> float:
        """Days before a day without which its value is not yet what it becomes."""
        looks_back = AFTER not in FORMS[self.form].reach or self.side == "past"
        return self.days * looks_back + (self.of.warm_up if isinstance(self.of, Derived) else 0.0)

    @property
    def forms(self) -> tuple[str, ...]:
        """Names of its forms from the outside in."""
        return (self.form, *(self.of.forms if isinstance(self.of, Derived) else ()))

    @property
    def observed(self) -> bool:
        """Whether only the observed values of a filled variable enter."""
        return any(FORMS[form].observed for form in self.forms)

    @property
    def variable(self) -> str:
        """Name of the variable behind it."""
        return self.of.variable if isinstance(self.of, Derived) else self.of


def _sums(a: int, b: int) -> tuple[int, ...]:
    """Signs that the sum of two differences of days with these signs can have."""
    return (BEFORE, TODAY, AFTER) if a * b < 0 else (a or b,)


def is_derived(name: str) -> bool:
    """Whether a name begins as a derived predictor does.

    Examples
    --------
    >>> is_derived("memory(tb_h, 20)"), is_derived("tb_h"), is_derived("height (m)")
    (True, False, False)
    """
    head, bracket, _ = str(name).partition("(")
    return bool(bracket) and head.strip() in FORMS


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Derived:
    """Read a derived predictor.

    Parameters
    ----------
    text : str
        One of `FORMS`, whose ``v`` is a variable or another derived predictor; a name that is no identifier stands in
        quotation marks.

    Returns
    -------
    Derived

    Raises
    ------
    UsageError
        For anything else.

    Examples
    --------
    >>> parse("others(neighbours(sm_dca, 3), 5)").variable
    'sm_dca'
    """
    if len(text) > LONGEST_TEXT:
        raise _refusal(text[:20] + "...", f"has {len(text)} letters, expected at most {LONGEST_TEXT}")
    try:
        tree = _read(ast.parse(text.strip(), mode="eval").body, text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, UsageError):
            raise
        raise _refusal(text, "cannot be read") from None
    if isinstance(tree, str):
        raise _refusal(text, "is a variable, expected a derived predictor")
    return tree


def canonical(text: str) -> str:
    """The one spelling of a predictor; a variable keeps its name.

    Examples
    --------
    >>> canonical("others( sm_dca,5.0 , side='past')"), canonical("tb_h")
    ('others(sm_dca, 5, side="past")', 'tb_h')
    """
    return str(parse(text)) if is_derived(text) else text


def behind(name: str) -> str:
    """The variable behind a predictor: itself, or what it is derived from.

    Examples
    --------
    >>> behind("others(neighbours(sm_dca, 3), 5)"), behind("tb_h")
    ('sm_dca', 'tb_h')
    """
    return parse(name).variable if is_derived(name) else name


def reach(name: str) -> frozenset[int]:
    """Which days of the variable behind a predictor enter a day's value: earlier (-1), the same (0), later ones (1).

    Examples
    --------
    >>> sorted(reach("memory(sm_dca, 5)")), sorted(reach("others(sm_dca, 5)")), sorted(reach("sm_dca"))
    ([-1, 0], [-1, 1], [0])
    >>> sorted(reach("memory(others(sm_dca, 5), 20)"))  # yesterday's other days include today
    [-1, 0, 1]
    """
    return parse(name).reach if is_derived(name) else frozenset({TODAY})


def memory_days(names: Iterable[str]) -> int:
    """The longest memory among predictors in days; 0 where there is none.

    Examples
    --------
    >>> memory_days(["tb_h", "memory(tb_h, 20)", "others(sm_dca, 5)"])
    20
    """
    return math.ceil(max((parse(n).warm_up for n in names if is_derived(n)), default=0.0))


def with_derived(
    ds: xr.Dataset, names: Iterable[str], *, train: np.ndarray | Sequence[str] | None = None
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
        Days of ``mean``, or their periods as a bundle's card has them; all days by default, and, with a warning, where
        the dataset has none of them.

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
    return ds.assign({str(tree): _derived(ds, tree, _training_days(ds, tree, train)) for tree in trees})


def _training_days(ds: xr.Dataset, tree: Derived, train: Any) -> np.ndarray | None:
    if "mean" not in tree.forms or "time" not in ds.dims:
        return None
    if train is None:
        return np.ones(ds.sizes["time"], bool)
    mask = np.asarray(train)
    if mask.dtype != bool:
        mask = np.isin(ds["time"].values.astype("M8[D]"), days_within(train))
    if not mask.any():
        tell(f"The dataset has none of the training days of '{tree}'; the mean is that of its own days.")
        return np.ones(ds.sizes["time"], bool)
    return mask


def _derived(ds: xr.Dataset, tree: Derived, use: np.ndarray | None) -> xr.DataArray:
    """A derived variable with its attributes."""
    source = _source(ds, tree)
    out = _applied(ds, tree, use, tree.observed)
    units = str(source.attrs.get("units", "")) or getattr(VARIABLES.get(tree.variable), "units", "")
    name = source.attrs.get("long_name") or tree.variable
    inner = f" of {tree.of}" if isinstance(tree.of, Derived) else ""
    number = f", {tree.days:g} days" if tree.days else f", {tree.cells} x {tree.cells}" if tree.cells else ""
    away = "distance" in tree.forms
    attrs = {
        "long_name": f"{name}: {FORMS[tree.form].words}{inner}{number}{', past only' if tree.side == 'past' else ''}",
        "units": "day" if away else units,
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


def _applied(ds: xr.Dataset, tree: Derived | str, use: np.ndarray | None, observed: bool) -> xr.DataArray:
    """Values of a predictor without attributes; ``observed`` leaves the filled values of its variable out."""
    if isinstance(tree, str):
        variable, mark = ds[tree].drop_attrs(), f"{tree}_observed"
        return variable.where(ds[mark] == 1) if observed and mark in ds else variable
    from xsm.learning import filters

    of = _applied(ds, tree.of, use, observed)
    if tree.form == "neighbours":
        return _over_cells(of, tree)
    if "time" not in of.dims:
        raise DataError(f"'{tree}' needs a series, '{tree.of}' has the dims {of.dims}.", hint="Leave it out.")
    match tree.form:
        case "memory":
            return _along_time(of, functools.partial(filters.exponential_filter, days=tree.days))
        case "others":
            return _along_time(of, functools.partial(filters.other_days, days=tree.days, side=tree.side))
        case "distance":
            return _along_time(of, functools.partial(filters.distance, side=tree.side))
        case "antecedent":
            return _along_time(of, functools.partial(filters.antecedent, days=tree.days))
    return _along_time(of, functools.partial(filters.day_mean, use=use), keep=False)


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
    from xsm.learning import filters

    return filters.neighbour_mean(values.reshape(-1, *values.shape[-2:]), cells).reshape(values.shape)


def _read(node: ast.AST, text: str) -> Derived | str:
    match node:
        case ast.Name(id=name) | ast.Constant(value=str(name)):
            return name
        case ast.Call(func=ast.Name(id=form), args=[of, *values], keywords=keywords) if form in FORMS:
            names = FORMS[form].parameters
            pairs = [*zip(names, values, strict=False), *((k.arg or "", k.value) for k in keywords)]
            arguments = {name: getattr(value, "value", None) for name, value in pairs}
            if len(values) > len(names) or len(pairs) > len(arguments) or set(arguments) - set(names):
                raise _refusal(text, f"has other values than {FORMS[form].usage}")
            if lacking := [n for n in names if n != "side" and n not in arguments]:
                raise _refusal(text, f"lacks the {lacking[0]} of {FORMS[form].usage}")
            return Derived(form, _read(of, text), **{n: _checked(n, v, text) for n, v in arguments.items()})
    raise _refusal(text, "is not a derived predictor")


def _checked(name: str, value: Any, text: str) -> Any:
    number = type(value) in (int, float)
    if name == "days" and number and 0 < value <= LONGEST_DAYS:
        return float(value)
    if name == "cells" and number and value in range(3, WIDEST + 1, 2):
        return int(value)
    if name == "side" and value in ("both", "past"):
        return value
    expected = {
        "days": f"days above 0 and up to {LONGEST_DAYS}",
        "cells": f"an odd number of cells from 3 to {WIDEST}",
        "side": '"both" or "past" as side',
    }
    raise _refusal(text, f"has {value!r}, expected {expected[name]}")


def _refusal(text: str, why: str) -> UsageError:
    forms = ", ".join(form.usage for form in FORMS.values())
    return UsageError(f"'{text}' {why}.", hint=f"Derived predictors are {forms}.")
