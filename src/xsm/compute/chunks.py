"""Chunks of lazy arrays: where they are cut, how they are joined, which of them all parts of a result share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr

from xsm.options import threads

SHARED = "xsm_shared"
"""Annotation of a layer of a graph: chunks and type of an array that all parts of a result need."""


def anchored(first: int, size: int, step: int) -> tuple[int, ...]:
    """Chunk sizes of ``first:first + size`` cut at multiples of ``step``.

    Examples
    --------
    >>> anchored(10, 100, 64)
    (54, 46)
    """
    edges = [first, *range((first // step + 1) * step, first + size, step), first + size]
    return tuple(b - a for a, b in itertools.pairwise(edges))


def gathered(parts: list[Any], cuts: list[slice]) -> np.ndarray:
    """Join nested lists of chunks along their last axes, taking only ``cuts`` of each axis."""
    axis, offset, pieces = -len(cuts), 0, []
    for part in parts:
        leaf = part
        while isinstance(leaf, list):
            leaf = leaf[0]
        low, high = max(cuts[0].start - offset, 0), min(cuts[0].stop - offset, leaf.shape[axis])
        if low < high:
            whole = gathered(part, cuts[1:]) if len(cuts) > 1 else part
            pieces.append(np.moveaxis(np.moveaxis(whole, axis, 0)[low:high], 0, axis))
        offset += leaf.shape[axis]
    return np.concatenate(pieces, axis)


def in_threads(work: Callable[[Any], Any], parts: Iterable[Any]) -> list[Any]:
    """Do parts of eager work side by side in the block threads; returns the results in order."""
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(work, parts))


def is_lazy(ds: xr.Dataset) -> bool:
    """Whether any variable of the dataset is a dask array."""
    return any(v.chunks is not None for v in ds.variables.values())


def shared(array: xr.DataArray) -> xr.DataArray:
    """Mark an array that every part of a result needs whole: `xsm.compute.zarr_regions` computes it once."""
    if array.chunks is None:
        return array
    import dask
    import dask.array as da

    with dask.annotate(**{SHARED: (array.chunks, array.dtype)}):
        return array.copy(data=da.map_blocks(_same, array.data, dtype=array.dtype, meta=array.data._meta))


def _same(block: np.ndarray) -> np.ndarray:
    return block
