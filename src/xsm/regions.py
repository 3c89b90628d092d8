"""Zarr stores written region by region: in bounded memory, side by side, and on from where a run ended.

A region is one chunk along time and whole maps, or one chunk along y and x and whole series, so that no two regions
touch one file. Who makes them: threads; processes, where files are read (the HDF5 library lets one thread in at a
time); or the workers of an active `dask.distributed` client, which must see the same folders. The result is the same.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.crew import HELD, Crew, Region, client, crew, memory, messages, workers_for
from xsm.options import memory_limit
from xsm.training import quiet

log = logging.getLogger("xsm")
CHUNKS = {"time": 64, "y": 64, "x": 64}


def write_regions(
    ds: xr.Dataset, store: Path, layout: Mapping[str, Any], *, processes: int = 1, journal: Path | None = None
) -> None:
    """Write a dataset as Zarr, region by region where it is lazy and `cut_dims` allows it.

    Parameters
    ----------
    ds : xarray.Dataset
        ``layout`` gives it chunks of `CHUNKS`.
    store : Path
        The store to make, or to go on with.
    layout : mapping
        Arguments of ``to_zarr``.
    processes : int
        Processes at most, for data that come from files.
    journal : Path, optional
        Tells which regions of the store are whole; those are left alone. A line is written when a region is closed.

    Raises
    ------
    DataError
        What making a region raised, or a process or worker that was ended from outside.
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
    limit = memory_limit() if cluster is None else min(memory(cluster))
    every = regions(part, dims, limit)
    done = _Journal(journal, [len(every), sorted(map(str, cut))])
    if not done.begun:
        ds.to_zarr(store, compute=False, mode="w", safe_chunks=False, **layout)
        done.begin()
    for message in done.told:
        warnings.warn(message, UserWarning, stacklevel=3)
    left = [r for r in every if _name(r) not in done]
    if len(left) < len(every):
        log.info("%d of %d regions of '%s' were written before", len(every) - len(left), len(every), store.name)
    if left:
        with crew(part, left, processes, cluster) as those:
            _write_all(those, part, store, left, done)


def cut_dims(ds: xr.Dataset) -> tuple[str, ...]:
    """Dims along which a lazy dataset can be made apart without making anything twice.

    ``time`` where no block has more days than a chunk, ``y, x`` where none is wider, else none.
    """
    blocks = [dict(zip(v.dims, v.chunks, strict=True)) for v in ds.variables.values() if v.chunks and "time" in v.dims]
    for dims in (("time",), ("y", "x")):
        if blocks and set(dims) <= set(ds.dims) and all(max(b.get(d, (0,))) <= CHUNKS[d] for b in blocks for d in dims):
            return dims
    return ()


def regions(ds: xr.Dataset, dims: tuple[str, ...], limit: int) -> list[Region]:
    """Regions of whole chunks; bands of rows where whole maps of 64 days are more than ``limit`` bytes."""
    if dims == ("time",) and "y" in ds.dims:
        row = HELD * ds.nbytes * min(CHUNKS["time"] / max(ds.sizes["time"], 1), 1) / max(ds.sizes["y"], 1)
        rows = max(int(limit // max(row, 1)) // CHUNKS["y"], 1) * CHUNKS["y"]
        steps = {"time": CHUNKS["time"], **({"y": rows} if rows < ds.sizes["y"] else {})}
    else:
        steps = {d: CHUNKS.get(d, ds.sizes[d]) for d in dims}
    cuts = [[(d, slice(a, min(a + step, ds.sizes[d]))) for a in range(0, ds.sizes[d], step)]
            for d, step in steps.items()]  # fmt: skip
    return [dict(spot) for spot in itertools.product(*cuts)]


def held(ds: xr.Dataset, wanted: int) -> int:
    """Bytes that writing a dataset holds at a time, at most, with so many workers."""
    lazy = [n for n, v in ds.variables.items() if v.chunks is not None]
    dims = cut_dims(ds)
    every = regions(ds[lazy], dims, memory_limit()) if dims else [{}]
    return HELD * max(ds[lazy].isel(r).nbytes for r in every) * workers_for(ds[lazy], every, wanted)


class _Journal:
    """Which regions of a store are whole, one JSON line each; without a file nothing is remembered."""

    def __init__(self, path: Path | None, about: Any) -> None:
        self.path, self.head = path, {"about": about}
        self.lines: list[Any] = []
        for line in path.read_bytes().splitlines() if path and path.exists() else ():
            try:
                self.lines.append(json.loads(line))
            except ValueError:  # the line that was being written
                break
        self.begun = self.lines[:1] == [self.head]
        self.names = {line["done"] for line in self.lines[1:]} if self.begun else set()
        self.told = dict.fromkeys(m for line in self.lines[1:] for m in line["told"]) if self.begun else {}

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def begin(self) -> None:
        """Enter that the store is laid out."""
        self.lines = [self.head]
        self._save()

    def close(self, region: Region, told: list[str]) -> None:
        """Enter a region that is whole."""
        self.lines.append({"done": _name(region), "told": told})
        self._save()

    def _save(self) -> None:
        if self.path is not None:
            part = self.path.with_suffix(".new")
            part.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
            os.replace(part, self.path)


def _name(region: Region) -> str:
    return " ".join(f"{d}={s.start}:{s.stop}" for d, s in region.items())


def _computed(ds: xr.Dataset, names: list[Any]) -> tuple[xr.Dataset, dict[str, tuple[Any, np.ndarray]]]:
    """Compute variables that all regions share; also gives their dask arrays and values by name."""
    import dask

    arrays = {n: ds[n].data for n in names}
    values = dict(zip(arrays, dask.compute(*arrays.values()), strict=True))
    known = {arrays[n].name: (arrays[n], values[n]) for n in names}
    return ds.assign({n: ds[n].copy(data=values[n]) for n in names}), known


def _with_known(ds: xr.Dataset, known: Mapping[str, tuple[Any, np.ndarray]]) -> xr.Dataset:
    """Put values in the place of the tasks that made them, so that no region makes them again."""
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


def _write_all(those: Crew, ds: xr.Dataset, store: Path, left: list[Region], done: _Journal) -> None:
    told: dict[str, None] = {}
    waiting: dict[Future[list[str]], tuple[Region, int]] = {}
    written = 0
    alone = ds.isel(left[0]).nbytes if len(left) == 1 else 0
    with quiet(alone) as progress, warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        todo = iter(left)
        for finished in range(1, len(left) + 1):
            for region in itertools.islice(todo, those.ahead - len(waiting)):
                part = ds.isel(region)
                waiting[those.submit(part, store, region)] = region, part.nbytes
            future = next(as_completed(waiting))
            lost = [*future.result(), *messages(heard)]
            heard.clear()
            told |= dict.fromkeys(lost)
            region, size = waiting.pop(future)
            done.close(region, lost)
            written += size
            progress(finished / len(left), "", (written, "byte"))
    for message in told:
        warnings.warn(message, UserWarning, stacklevel=4)
