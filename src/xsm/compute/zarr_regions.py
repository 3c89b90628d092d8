"""Zarr stores written in chunk groups: in bounded memory, in parallel, continued where an earlier run ended.

A chunk group is one chunk along time and whole maps, or one chunk along y and x and whole series, so that no two groups
touch the same file. Groups are made by threads; by processes, where files are read (the HDF5 library lets one thread
in at a time); or by the workers of an active `dask.distributed` client, which must see the same folders. The result is
the same.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Container, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.chunks import SHARED
from xsm.compute.journal import Journal, unlike
from xsm.compute.workers import COPIES, ChunkGroup, Crew, bytes_of, client, crew, memory, workers_for
from xsm.errors import hear, tell
from xsm.options import memory_limit
from xsm.progress import quiet

log = logging.getLogger("xsm")
CHUNKS = {"time": 64, "y": 64, "x": 64}


def write_groups(
    ds: xr.Dataset, store: Path, layout: Mapping[str, Any], *, processes: int = 1, journal: Path | None = None,
    strict: bool = False,
) -> None:  # fmt: skip
    """Write a dataset as Zarr, in chunk groups where it is lazy and can be cut (see `cut_dims`).

    ``layout`` are arguments of ``to_zarr``, in which the chunks are `CHUNKS`; at most so many ``processes`` make groups
    of data that come from files. The ``journal`` records which units (chunks of days and of rows, or of rows and
    columns) are complete; those are not written again, whatever the memory. ``strict`` ignores a journal that records
    files that were left out. What is raised while a group is made is raised here, as is the death of a process.
    """
    lazy = [n for n, v in ds.variables.items() if v.chunks is not None]
    dims, cluster = cut_dims(ds), client()
    if not dims:
        ds = ds.chunk({d: CHUNKS.get(str(d), -1) for d in ds.dims}) if lazy else ds
        ds.to_zarr(store, mode="w", **layout)
        return
    cut = [n for n in lazy if set(dims) & set(ds[n].dims)]
    ds, known = _computed(ds, [n for n in lazy if n not in cut])
    part = ds[cut]
    part = _with_known(part.drop_vars([n for n in part.coords if n not in cut]).reset_coords(), known)
    limit = memory_limit() if cluster is None else memory(cluster)
    every = sum(map(len, map(units, chunk_groups(part, dims, limit))))
    done = Journal(journal, [list(dims), every, sorted(map(str, cut))], strict)
    if not done.begun:
        ds.to_zarr(store, compute=False, mode="w", safe_chunks=False, **layout)
        done.begin()
    for warning in done.warnings:
        tell(warning)
    left = chunk_groups(part, dims, limit, done.units)
    if done.units:
        log.info("%.0f %% of '%s' were written before", 100 * len(done.units) / every, store.name)
    if left:
        with crew(part, left, processes, cluster) as workers:
            _write_all(workers, part, store, left, done)


def cut_dims(ds: xr.Dataset) -> tuple[str, ...]:
    """Dims along which a lazy dataset can be cut so that no block is computed twice.

    ``time`` where no block has more days than a chunk, ``y, x`` where none is wider, else none.
    """
    blocks = [dict(zip(v.dims, v.chunks, strict=True)) for v in ds.variables.values() if v.chunks and "time" in v.dims]
    for dims in (("time",), ("y", "x")):
        if blocks and set(dims) <= set(ds.dims) and all(max(b.get(d, (0,))) <= CHUNKS[d] for b in blocks for d in dims):
            return dims
    return ()


def chunk_groups(ds: xr.Dataset, dims: tuple[str, ...], limit: int, done: Container[str] = ()) -> list[ChunkGroup]:
    """Groups of whole chunks that are not ``done``: units, or bands of them that need ``limit`` bytes at most."""
    bands = dims == ("time",) and "y" in ds.dims
    cuts = [[(d, slice(a, min(a + CHUNKS[d], ds.sizes[d]))) for a in range(0, ds.sizes[d], CHUNKS[d])]
            for d in (*dims, *(["y"] if bands else []))]  # fmt: skip
    left = [r for r in map(dict, itertools.product(*cuts)) if units(r)[0] not in done]
    if not bands:
        return left
    row = COPIES * ds.nbytes * min(CHUNKS["time"] / max(ds.sizes["time"], 1), 1) / max(ds.sizes["y"], 1)
    rows, joined = max(limit // max(row, 1), CHUNKS["y"]), list[ChunkGroup]()
    for unit in left:
        last = joined[-1] if joined else unit
        start, stop = last["y"].start, unit["y"].stop
        if last["time"] == unit["time"] and last["y"].stop == unit["y"].start and stop - start <= rows:
            last["y"] = slice(start, stop)
        else:
            joined.append(unit)
    return joined


def units(group: ChunkGroup) -> list[str]:
    """Names of the chunks along the dims of a group."""
    cuts = [[f"{d}={a}:{min(a + CHUNKS[d], s.stop)}" for a in range(s.start, s.stop, CHUNKS[d])]
            for d, s in group.items()]  # fmt: skip
    return [" ".join(spot) for spot in itertools.product(*cuts)]


def memory_to_write(ds: xr.Dataset, workers: int) -> int:
    """Bytes that are in memory at a time, at most, while so many workers write a dataset."""
    dims, lazy = cut_dims(ds), ds[[n for n, v in ds.variables.items() if v.chunks is not None]]
    every = chunk_groups(lazy, dims, memory_limit()) if dims else [{}]
    return COPIES * max(bytes_of(lazy, r) for r in every) * workers_for(lazy, every, workers)


def _computed(ds: xr.Dataset, names: list[Any]) -> tuple[xr.Dataset, dict[str, tuple[Any, np.ndarray]]]:
    """Compute the variables that all groups share; also returns all shared arrays and their values by name."""
    import dask

    arrays = {n: ds[n].data for n in names}
    every = [*arrays.values(), *_marked(ds)]
    values = dask.compute(*every)
    known = {array.name: (array, value) for array, value in zip(every, values, strict=True)}
    return ds.assign({n: ds[n].copy(data=known[a.name][1]) for n, a in arrays.items()}), known


def _marked(ds: xr.Dataset) -> list[Any]:
    """Arrays in the graphs of a dataset that `xsm.compute.chunks.shared` has marked."""
    import dask.array as da

    arrays = {}
    for variable in ds.variables.values():
        graph = variable.data.dask if variable.chunks is not None else None
        for name, layer in graph.layers.items() if graph is not None else ():
            if mark := (layer.annotations or {}).get(SHARED):
                chunks, dtype = mark
                arrays[name] = da.Array(graph, name, chunks, dtype=dtype)
    return list(arrays.values())


def _with_known(ds: xr.Dataset, known: Mapping[str, tuple[Any, np.ndarray]]) -> xr.Dataset:
    """Put values in place of the tasks that computed them, so that no group computes them again."""
    import dask.array as da
    from dask.array.core import slices_from_chunks
    from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

    if not known:
        return ds
    layers = {
        name: MaterializedLayer(
            {
                (name, *spot): values[cut]
                for spot, cut in zip(np.ndindex(array.numblocks), slices_from_chunks(array.chunks), strict=True)
            }
        )
        for name, (array, values) in known.items()
    }

    def settled(array: Any) -> Any:
        graph = array.dask
        mine = {n: layer for n, layer in layers.items() if n in graph.layers}
        below = {**graph.dependencies, **{n: set() for n in mine}}
        return da.Array(HighLevelGraph({**graph.layers, **mine}, below), array.name, array.chunks, meta=array._meta)

    return ds.assign({n: v.copy(data=settled(v.data)) for n, v in ds.data_vars.items() if v.chunks is not None})


def _write_all(workers: Crew, ds: xr.Dataset, store: Path, left: list[ChunkGroup], done: Journal) -> None:
    warnings: list[Warning] = []
    waiting: dict[Future[list[Warning]], tuple[ChunkGroup, int]] = {}
    written = 0
    alone = ds.isel(left[0]).nbytes if len(left) == 1 else 0
    with quiet(alone) as progress, hear() as heard:
        todo = iter(left)
        for finished in range(1, len(left) + 1):
            for group in itertools.islice(todo, max(workers.ahead() - len(waiting), 0)):
                part = ds.isel(group)
                waiting[workers.submit(part, store, group)] = group, part.nbytes
            wait(waiting, return_when=FIRST_COMPLETED)
            future = next(f for f in waiting if f.done())
            new = unlike([*future.result(), *heard])
            heard.clear()
            warnings += new
            group, size = waiting.pop(future)
            done.close(units(group), new)
            written += size
            progress(finished / len(left), "", (written, "byte"))
    for warning in unlike(warnings):
        tell(warning)
