"""Zarr stores written region by region: in bounded memory, side by side, and on from where a run ended.

A region is one chunk along time and whole maps, or one chunk along y and x and whole series, so that no two regions
touch one file. Who makes them: threads; processes, where files are read (the HDF5 library lets one thread in at a
time); or the workers of an active `dask.distributed` client, which must see the same folders. The result is the same.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Container, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.atomic import replace, to_disk
from xsm.compute.blocks import SHARED
from xsm.compute.workers import HELD, Crew, Region, bytes_of, client, crew, memory, workers_for
from xsm.errors import SkippedFile, hear, tell
from xsm.options import memory_limit
from xsm.progress import quiet

log = logging.getLogger("xsm")
CHUNKS = {"time": 64, "y": 64, "x": 64}


def write_regions(
    ds: xr.Dataset, store: Path, layout: Mapping[str, Any], *, processes: int = 1, journal: Path | None = None,
    strict: bool = False,
) -> None:  # fmt: skip
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
        Tells which units (chunks of days and of rows, or of rows and columns) of the store are whole; those are left
        alone, whatever the memory. A line is written when a region of them is closed and on the disk.
    strict : bool
        Do not go on with a journal that tells of files that were left out.

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
    limit = memory_limit() if cluster is None else memory(cluster)
    every = sum(map(len, map(units, regions(part, dims, limit))))
    done = _Journal(journal, [list(dims), every, sorted(map(str, cut))], strict)
    if not done.begun:
        ds.to_zarr(store, compute=False, mode="w", safe_chunks=False, **layout)
        done.begin()
    for warning in done.told:
        tell(warning)
    left = regions(part, dims, limit, done.names)
    if done.names:
        log.info("%.0f %% of '%s' were written before", 100 * len(done.names) / every, store.name)
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


def regions(ds: xr.Dataset, dims: tuple[str, ...], limit: int, done: Container[str] = ()) -> list[Region]:
    """Regions of whole chunks that are not ``done``: units, or bands of them that need ``limit`` bytes at most."""
    bands = dims == ("time",) and "y" in ds.dims
    cuts = [[(d, slice(a, min(a + CHUNKS[d], ds.sizes[d]))) for a in range(0, ds.sizes[d], CHUNKS[d])]
            for d in (*dims, *(["y"] if bands else []))]  # fmt: skip
    left = [r for r in map(dict, itertools.product(*cuts)) if units(r)[0] not in done]
    if not bands:
        return left
    row = HELD * ds.nbytes * min(CHUNKS["time"] / max(ds.sizes["time"], 1), 1) / max(ds.sizes["y"], 1)
    rows, joined = max(limit // max(row, 1), CHUNKS["y"]), list[Region]()
    for unit in left:
        last = joined[-1] if joined else unit
        start, stop = last["y"].start, unit["y"].stop
        if last["time"] == unit["time"] and last["y"].stop == unit["y"].start and stop - start <= rows:
            last["y"] = slice(start, stop)
        else:
            joined.append(unit)
    return joined


def units(region: Region) -> list[str]:
    """Names of the chunks along the dims of a region."""
    cuts = [[f"{d}={a}:{min(a + CHUNKS[d], s.stop)}" for a in range(s.start, s.stop, CHUNKS[d])]
            for d, s in region.items()]  # fmt: skip
    return [" ".join(spot) for spot in itertools.product(*cuts)]


def held(ds: xr.Dataset, wanted: int) -> int:
    """Bytes that writing a dataset holds at a time, at most, with so many workers."""
    dims, lazy = cut_dims(ds), ds[[n for n, v in ds.variables.items() if v.chunks is not None]]
    every = regions(lazy, dims, memory_limit()) if dims else [{}]
    return HELD * max(bytes_of(lazy, r) for r in every) * workers_for(lazy, every, wanted)


class _Journal:
    """Which units of a store are whole, those of a region in one JSON line; without a file nothing is remembered."""

    def __init__(self, path: Path | None, about: Any, strict: bool) -> None:
        self.path, self.head = path, {"about": about}
        self.lines: list[Any] = []
        for line in path.read_bytes().splitlines() if path and path.exists() else ():
            try:
                self.lines.append(json.loads(line))
            except ValueError:  # the line that was being written
                break
        before = [line for line in self.lines[1:] if self.lines[0] == self.head]
        self.told = _unlike(_warning(*w) for line in before for w in line["told"])
        refused = strict and any(isinstance(w, SkippedFile) for w in self.told)
        self.begun = self.lines[:1] == [self.head] and not refused
        self.names = {name for line in before for name in line["done"]} if self.begun else set()

    def begin(self) -> None:
        """Enter that the store is laid out."""
        self.lines, self.told = [self.head], []
        self._save()

    def close(self, region: Region, told: list[Warning]) -> None:
        """Enter a region that is whole."""
        heard = [[w.file, w.reason] if isinstance(w, SkippedFile) else ["", str(w)] for w in told]
        self.lines.append({"done": units(region), "told": heard})
        self._save()

    def _save(self) -> None:
        if self.path is not None:
            part = self.path.with_suffix(".new")
            part.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
            to_disk(self.path.parent)
            to_disk(part)
            replace(part, self.path)


def _warning(file: str, text: str) -> Warning:
    return SkippedFile(file, text) if file else UserWarning(text)


def _unlike(told: Iterable[Warning]) -> list[Warning]:
    """Each warning once, by its text."""
    return list({str(w): w for w in told}.values())


def _computed(ds: xr.Dataset, names: list[Any]) -> tuple[xr.Dataset, dict[str, tuple[Any, np.ndarray]]]:
    """Compute variables that all regions share; also gives all shared arrays and their values by name."""
    import dask

    arrays = {n: ds[n].data for n in names}
    every = [*arrays.values(), *_marked(ds)]
    values = dask.compute(*every)
    known = {array.name: (array, value) for array, value in zip(every, values, strict=True)}
    return ds.assign({n: ds[n].copy(data=known[a.name][1]) for n, a in arrays.items()}), known


def _marked(ds: xr.Dataset) -> list[Any]:
    """Arrays of the graphs of a dataset that are marked by `xsm.compute.blocks.shared`."""
    import dask.array as da

    found = {}
    for variable in ds.variables.values():
        graph = variable.data.dask if variable.chunks is not None else None
        for name, layer in graph.layers.items() if graph is not None else ():
            if told := (layer.annotations or {}).get(SHARED):
                found[name] = da.Array(graph, name, told[0], dtype=told[1])
    return list(found.values())


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
    told: list[Warning] = []
    waiting: dict[Future[list[Warning]], tuple[Region, int]] = {}
    written = 0
    alone = ds.isel(left[0]).nbytes if len(left) == 1 else 0
    with quiet(alone) as progress, hear() as heard:
        todo = iter(left)
        for finished in range(1, len(left) + 1):
            for region in itertools.islice(todo, max(those.ahead() - len(waiting), 0)):
                part = ds.isel(region)
                waiting[those.submit(part, store, region)] = region, part.nbytes
            wait(waiting, return_when=FIRST_COMPLETED)
            future = next(f for f in waiting if f.done())
            new = _unlike([*future.result(), *heard])
            heard.clear()
            told += new
            region, size = waiting.pop(future)
            done.close(region, new)
            written += size
            progress(finished / len(left), "", (written, "byte"))
    for warning in _unlike(told):
        tell(warning)
