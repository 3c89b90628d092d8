"""Blocks of series: a function of whole series, applied to cells side by side.

Blocks begin with the window, as the chunks of a Zarr store do, so that a chunk group is made of whole
blocks.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.chunks import anchored, is_lazy
from xsm.compute.model_node import PREDICT_LOCK, model_node
from xsm.errors import DataError

SERIES_CELLS = 64
SERIES_POINTS = 4096


def cells_of(ds: xr.Dataset, names: Sequence[str]) -> tuple[str, ...]:
    """The dims of a series dataset besides time, in order; every named variable must have them."""
    dims: tuple[str, ...] = ()
    for name in names:
        cell_dims = tuple(str(d) for d in ds[name].dims if d != "time")
        if "time" not in ds[name].dims:
            raise DataError(f"'{name}' has the dims {ds[name].dims}, expected one of them to be 'time'.")
        dims = dims or cell_dims
        if cell_dims != dims:
            raise DataError(
                f"'{name}' has the dims {cell_dims} besides time, the others {dims}.", hint="Give them the same dims."
            )
    return dims


def map_series(
    function: Callable[[dict[str, np.ndarray]], Sequence[np.ndarray]],
    ds: xr.Dataset,
    series: Sequence[str],
    statics: Sequence[str],
    outputs: int,
) -> list[xr.DataArray]:
    """Apply a function of whole series to blocks of cells.

    ``function`` takes float32 arrays by name, ``series`` (time, cell) and ``statics`` (cell,), and returns as many
    arrays (time, cell) as ``outputs``. The result is float32 on the dims ``(time, ...)``, dask where the dataset is.
    """
    import dask.array as da

    dims = cells_of(ds, series)
    side = SERIES_POINTS if len(dims) == 1 else SERIES_CELLS
    chunks = tuple(anchored(0, ds.sizes[d], side) for d in dims)
    days = ds.sizes["time"]

    def stack(name: str, has_time: bool) -> Any:
        variable = ds[name].transpose(*(("time",) if has_time else ()), *dims).data
        array = da.asarray(variable).astype("f4")
        return array.rechunk(((days,), *chunks)) if has_time else array.rechunk(chunks)[None]

    inputs = [stack(n, True) for n in series] + [stack(n, False) for n in statics]
    stacked = da.map_blocks(
        _run_series,
        *inputs,
        job=model_node(functools.partial(_one_at_a_time, function, tuple(series), tuple(statics))),
        name=f"series-{uuid.uuid4().hex}",
        dtype="f4",
        new_axis=0,
        chunks=((outputs,), (days,), *chunks),
        meta=np.empty((0,) * (2 + len(dims)), "f4"),
    )
    if not is_lazy(ds[[*series, *statics]]):
        stacked = stacked.compute(scheduler="threads")
    coords = {n: c for n, c in ds[series[0]].coords.items() if set(c.dims) <= {"time", *dims}}
    return [xr.DataArray(stacked[i], coords, ("time", *dims)) for i in range(outputs)]


def _run_series(*arrays: np.ndarray, job: Callable[..., np.ndarray]) -> np.ndarray:
    return job(*arrays)


def _one_at_a_time(
    function: Callable[[dict[str, np.ndarray]], Sequence[np.ndarray]],
    series: tuple[str, ...],
    statics: tuple[str, ...],
    *arrays: np.ndarray,
) -> np.ndarray:
    days, *shape = arrays[0].shape
    flat = {n: a.reshape(len(a), -1) for n, a in zip((*series, *statics), arrays, strict=True)}
    for name in statics:
        flat[name] = flat[name][0]
    with PREDICT_LOCK:
        result = function(flat)
    return np.stack([np.asarray(r, "f4").reshape(days, *shape) for r in result])
