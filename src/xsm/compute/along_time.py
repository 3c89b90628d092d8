"""A function of whole series, applied to every cell of arrays of any dims: maps, tables of cells, single series."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.chunks import anchored
from xsm.options import threads

SIDE, POINTS = 64, 4096
"""Cells of a block along each of two dims, and along a single one."""
SMALL = 1_000_000
"""Number of values up to which arrays in memory are not cut into blocks."""
Dims = tuple[str, ...]


def along_time(
    function: Callable[..., Any],
    *arrays: xr.DataArray,
    outputs: Sequence[Dims] = (("time",),),
    sizes: Mapping[str, int] | None = None,
) -> list[xr.DataArray]:
    """Apply a function of whole series to every cell.

    Parameters
    ----------
    function : callable
        Takes a float64 array ``(cell, time)`` for each array with time and ``(cell,)`` for each without, and returns an
        array ``(cell, *dims)`` for each of the outputs. A cell's result must not depend on the others.
    *arrays : DataArray
        With the same days; dims besides time are broadcast. Lazy or not, in any order of dims.
    outputs : sequence of tuple of str
        Dims of each output besides those of the cells.
    sizes : mapping of str to int, optional
        Lengths of those dims that the arrays do not have.

    Returns
    -------
    list of DataArray
        In float32 where all arrays with time are, else in float64; lazy where an array is. Dims are in the order of the
        first array, new ones last; there are no attributes.

    Examples
    --------
    >>> maps = xr.DataArray(np.arange(6.0).reshape(3, 2), dims=("time", "x"))
    >>> (largest,) = along_time(lambda series: series.max(1), maps, outputs=[()])
    >>> largest.values
    array([4., 5.])
    """
    lazy = any(a.chunks is not None for a in arrays)
    blocks = arrays if not lazy and sum(a.size for a in arrays) <= SMALL else [_blocks(a) for a in arrays]
    double = any(a.dtype != np.float32 for a in arrays if "time" in a.dims)
    dtype = np.dtype("f8" if double else "f4")
    timed = ["time" in a.dims for a in arrays]
    results = xr.apply_ufunc(
        functools.partial(_rows, function, tuple(timed), dtype, len(outputs)),
        *blocks,
        input_core_dims=[["time"] if t else [] for t in timed],
        output_core_dims=[list(dims) for dims in outputs],
        dask="parallelized",
        output_dtypes=[dtype] * len(outputs),
        dask_gufunc_kwargs={"output_sizes": dict(sizes or {})},
    )
    several = list(results) if len(outputs) > 1 else [results]
    if not lazy:
        several = list(_computed(several))
    order = [str(d) for d in arrays[0].dims]
    return [r.transpose(*(d for d in order if d in r.dims), *(d for d in r.dims if d not in order)) for r in several]


def _computed(arrays: list[xr.DataArray]) -> Sequence[xr.DataArray]:
    import dask

    return dask.compute(*arrays, scheduler="threads", num_workers=threads())


def _blocks(array: xr.DataArray) -> xr.DataArray:
    """The array in blocks of whole series."""
    cells = [str(d) for d in array.dims if d != "time"]
    sides = [*[1] * (len(cells) - 2), SIDE, SIDE] if len(cells) > 1 else [POINTS] * len(cells)
    cuts = {d: anchored(0, array.sizes[d], side) for d, side in zip(cells, sides, strict=True)}
    return array.chunk(cuts | ({"time": -1} if "time" in array.dims else {}))


def _rows(
    function: Callable[..., Any], timed: tuple[bool, ...], dtype: np.dtype, count: int, *blocks: np.ndarray
) -> Any:
    """Call the function on blocks whose last axis is time, if they have one, as rows of cells."""
    shape = np.broadcast_shapes(*(b.shape[:-1] if t else b.shape for b, t in zip(blocks, timed, strict=True)))
    rows = []
    for block, has_time in zip(blocks, timed, strict=True):
        whole = np.broadcast_to(block, (*shape, block.shape[-1]) if has_time else shape)
        flat = whole.reshape(-1, whole.shape[-1]) if has_time else whole.reshape(-1)
        rows.append(np.ascontiguousarray(flat, dtype="f8"))
    results = function(*rows)
    parts = [np.asarray(r, dtype).reshape((*shape, *np.shape(r)[1:])) for r in (results if count > 1 else (results,))]
    return tuple(parts) if count > 1 else parts[0]
