"""Results that are empty although their input is not: told once, with the reason; lazy ones when they are written."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.errors import tell

FEW = 0.01
"""Share of valid values below which a result is as good as empty."""
LOOKED_AT = 32
"""Blocks of a lazy input that are looked at where its result is as good as empty."""
REMEMBERED = 256
_inputs: OrderedDict[str, tuple[xr.Variable, str]] = OrderedDict()
"""Inputs of lazy results, and why a result may have fewer values, by the names of the results' arrays."""


@dataclass(frozen=True)
class Later:
    """A lazy variable, whose share of valid values is not known yet."""

    variable: xr.Variable


Share = float | Later | None


def valid_share(variable: xr.DataArray | xr.Variable) -> Share:
    """Share of finite values of a variable of floats; None for others."""
    if variable.dtype.kind != "f" or not variable.size:
        return None
    if variable.chunks is not None:
        return Later(variable.variable if isinstance(variable, xr.DataArray) else variable)
    return float(np.isfinite(variable.values).mean())


def tell_emptied(result: xr.Dataset, before: Mapping[str, Share], why: str, names: Iterable[str]) -> None:
    """Warn of variables that have no value, or hardly one where the input had more; ``before`` are the input's shares.

    Of lazy variables `tell_written` warns when they are written.

    Examples
    --------
    >>> from xsm.errors import hear
    >>> with hear() as heard:
    ...     tell_emptied(xr.Dataset({"v": ("x", [np.nan])}), {"v": 0.5}, "Its cells are too small.", ["v"])
    >>> str(heard[0])
    "'v' has no value in the result, and had values in 50 % of the input. Its cells are too small."
    """
    for name in names:
        share, first = valid_share(result[name]), before.get(name)
        if isinstance(share, float):
            _judge([name], share, first if isinstance(first, float) else None, why, "the result")
        elif isinstance(share, Later) and isinstance(first, Later):
            _inputs[share.variable.data.name] = first.variable, why
            while len(_inputs) > REMEMBERED:
                _inputs.popitem(last=False)


def tell_written(ds: xr.Dataset, written: Callable[[str], Iterator[np.ndarray]], where: str) -> None:
    """Warn of lazy variables that were written without values, or with hardly any where their input has more.

    Parameters
    ----------
    ds : Dataset
        What was written.
    written : callable
        Gives the blocks of a variable as they were written; of one with values a few are taken.
    where : str
        Name of the file.
    """
    lazy = [str(n) for n, v in ds.data_vars.items() if v.chunks is not None and v.dtype.kind == "f" and v.size]
    empty = []
    for name in lazy:
        share = _at_least(written(name), ds[name].size)
        source, why = _input_of(ds[name].data)
        if share < FEW and source is not None:
            _judge([name], share, _estimate(source), why, f"'{where}'")
        elif not share:
            empty.append(name)
    if empty:
        why = "Look at the region, the period and the quality flags of the input."
        _judge(empty, 0.0, None, why, f"'{where}'")


def _judge(names: list[str], share: float, first: float | None, why: str, where: str) -> None:
    if share >= FEW or (share > 0 and (first is None or first <= 2 * share)):
        return
    has = "has" if len(names) == 1 else "have"
    left = f"{has} no value in {where}" if not share else f"{has} values in {100 * share:.2g} % of {where} only"
    what = f"{', '.join(map(repr, names))} {left}"
    if first is None:
        tell(f"{what}. {why}")
    elif not first:
        tell(f"{what}, as in the input: look at the file, its region and its quality flags.")
    else:
        tell(f"{what}, and had values in {100 * first:.0f} % of the input. {why}")


def _at_least(blocks: Iterable[np.ndarray], size: int) -> float:
    """Share of finite values of all blocks, or of those after which it is known to be `FEW` or more."""
    valid = 0
    for block in blocks:
        valid += int(np.isfinite(block).sum())
        if valid >= FEW * size:
            break
    return valid / size


def _input_of(array: Any) -> tuple[xr.Variable | None, str]:
    """The input of the last resampling in the graph of a lazy array."""
    layers = array.dask.layers
    known = next((name for name in reversed(_inputs) if name in layers), None)
    return (None, "") if known is None else _inputs[known]


def _estimate(source: xr.Variable) -> float:
    """Share of valid values of a lazy variable, by some of its blocks."""
    spots = spread(list(itertools.product(*map(range, source.data.numblocks))))[:LOOKED_AT]
    some = [np.isfinite(np.asarray(source.data.blocks[spot])) for spot in spots]
    return float(sum(b.sum() for b in some) / max(sum(b.size for b in some), 1))


def spread(items: list[Any]) -> list[Any]:
    """Items in an order in which the first ones already come from everywhere.

    Examples
    --------
    >>> spread(list(range(7)))
    [0, 4, 1, 5, 2, 6, 3]
    """
    step = max(round(0.618 * len(items)), 1)
    while math.gcd(step, len(items) or 1) > 1:
        step += 1
    return [items[i * step % len(items)] for i in range(len(items))]
