"""Zarr stores written region by region: in bounded memory, side by side, and on from where a run ended.

A region is one chunk along time and whole maps, or one chunk along y and x and whole series, so that no two regions
touch one file. Who makes them: threads; processes, where files are read (the HDF5 library lets one thread in at a
time); or the workers of an active `dask.distributed` client, which must see the same folders. The result is the same.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.bundle import Bundle
from xsm.errors import DataError
from xsm.options import memory_limit, threads
from xsm.training import quiet

log = logging.getLogger("xsm")
CHUNKS = {"time": 64, "y": 64, "x": 64}
CANCELLED = 130
HELD = 4
"""Bytes held while a region is made, in bytes of the region: inputs, results, what is being compressed."""
WORTH = 1 << 28
"""Bytes below which the start of processes costs more than they save."""

Region = dict[str, slice]


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
    limit = memory_limit() if cluster is None else min(_memory(cluster))
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
        with _crew(part, left, processes, cluster) as crew:
            _write_all(crew, part, store, left, done)


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


def workers_for(ds: xr.Dataset, every: list[Region], wanted: int) -> int:
    """How many regions are made side by side: no more than there are, and than fit into the memory."""
    largest = max(ds.isel(r).nbytes for r in every)
    return int(max(min(wanted, len(every), memory_limit() // max(HELD * largest, 1)), 1))


def _memory(cluster: Any) -> list[int]:
    """Bytes that each worker of a cluster may use."""
    workers = cluster.scheduler_info(n_workers=-1)["workers"].values()
    return [w["memory_limit"] or memory_limit() for w in workers] or [memory_limit()]


def client() -> Any:
    """The active `dask.distributed` client, or None."""
    if "distributed" not in sys.modules:
        return None
    from distributed import default_client

    try:
        found = default_client()
    except ValueError:
        return None
    return found if found.status == "running" else None


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


def _write_all(crew: _Crew, ds: xr.Dataset, store: Path, left: list[Region], done: _Journal) -> None:
    told: dict[str, None] = {}
    waiting: dict[Future[list[str]], Region] = {}
    with quiet() as progress, warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        todo = iter(left)
        for finished in range(1, len(left) + 1):
            for region in itertools.islice(todo, crew.ahead - len(waiting)):
                waiting[crew.submit(ds.isel(region), store, region)] = region
            future = next(as_completed(waiting))
            messages = [*future.result(), *_messages(heard)]
            heard.clear()
            told |= dict.fromkeys(messages)
            done.close(waiting.pop(future), messages)
            progress(finished / len(left), "")
    for message in told:
        warnings.warn(message, UserWarning, stacklevel=4)


def _messages(heard: list[warnings.WarningMessage]) -> list[str]:
    return [str(w.message) for w in heard if w.category is UserWarning]


@dataclass(frozen=True)
class _Crew:
    """Those who make regions: how a part is handed to them, and how many are handed out ahead."""

    submit: Callable[[xr.Dataset, Path, Region], Future[list[str]]]
    ahead: int


@contextmanager
def _crew(ds: xr.Dataset, left: list[Region], processes: int, cluster: Any) -> Iterator[_Crew]:
    chosen: AbstractContextManager[_Crew]
    if cluster is not None:
        chosen = _on_cluster(cluster, ds, left)
    elif processes > 1 and ds.nbytes >= WORTH and (count := workers_for(ds, left, processes)) > 1:
        chosen = _in_processes(count)
    else:
        chosen = _in_threads(workers_for(ds, left, threads()), alone=len(left) == 1)
    with chosen as crew:
        yield crew


@contextmanager
def _in_threads(count: int, *, alone: bool) -> Iterator[_Crew]:
    """Threads of this process; an error or an interruption stops them before their next task."""
    from dask.callbacks import Callback

    stop, pool, each = threading.Event(), ThreadPoolExecutor(count), max(threads() // count, 1)

    def before(*_: Any) -> None:  # told of each task
        if stop.is_set():
            raise CancelledError

    watching = ((None, None, before, None, None), *(Callback.active if alone else ()))
    how = {"scheduler": "threads" if each > 1 else "synchronous", "num_workers": each, "callbacks": watching}
    try:
        yield _Crew(lambda *what: pool.submit(_write_region, how, *what), 2 * count)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _in_processes(count: int) -> Iterator[_Crew]:
    """Processes of this run alone; they end when the pipe to them is closed, by intent or with this process."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, context, initializer=_prepare, initargs=(theirs,))
    try:
        yield _Crew(functools.partial(_submit, pool, {}), 2 * count)
    except BrokenProcessPool:
        raise DataError(
            "A process that read files was ended from outside.",
            hint="Memory may be short: give fewer --threads, a smaller memory_limit or a smaller region.",
        ) from None
    finally:
        ours.close()
        pool.shutdown(wait=True, cancel_futures=True)
        theirs.close()


@contextmanager
def _on_cluster(cluster: Any, ds: xr.Dataset, left: list[Region]) -> Iterator[_Crew]:
    """The workers of a cluster, as many at a time as their memory allows; the models go to each of them once."""
    from distributed import KilledWorker

    _, models = pack(ds.isel(left[0]))
    there = {name: cluster.submit(_same, model, pure=False) for name, model in models.items()}
    need = HELD * max(ds.isel(r).nbytes for r in left)
    at_once = min(sum(cluster.nthreads().values()), sum(max(m // max(need, 1), 1) for m in _memory(cluster)))
    executor = cluster.get_executor(pure=False)
    try:
        yield _Crew(functools.partial(_submit, executor, there), max(at_once, 1))
    except KilledWorker as error:
        raise DataError(
            f"The workers of the cluster were lost again and again ({error.last_worker.address}).",
            hint="Give them more memory or fewer threads, then run again to continue.",
        ) from None
    finally:
        executor.shutdown(wait=False)


def _same(model: Bundle) -> Bundle:
    """A model as the result of a task, which is made again where the worker that held it is lost."""
    return model


def _submit(executor: Any, models: Mapping[str, Any], part: xr.Dataset, store: Path, region: Region) -> Any:
    packed, _ = pack(part)
    return executor.submit(_write_packed, packed, str(store), region, models)


def pack(part: xr.Dataset) -> tuple[bytes, dict[str, Bundle]]:
    """A lazy dataset for another process of this run, and the models in it, which it only names."""
    import cloudpickle
    import dask

    (part,) = dask.optimize(part)
    models: dict[str, Bundle] = {}

    class Packer(cloudpickle.Pickler):
        """Names bundles instead of packing them."""

        def persistent_id(self, value: Any) -> str | None:
            """Name of a bundle."""
            if not isinstance(value, Bundle):
                return None
            return next((n for n, b in models.items() if b is value), None) or _new(models, value)

    stream = io.BytesIO()
    Packer(stream).dump(part)
    return stream.getvalue(), models


def _new(models: dict[str, Bundle], bundle: Bundle) -> str:
    name = f"{len(models)}-{bundle.hash}"
    models[name] = bundle
    return name


def unpack(packed: bytes, models: Mapping[str, Bundle]) -> xr.Dataset:
    """Undo `pack`; only ever given what a process of this run packed."""

    class Unpacker(pickle.Unpickler):
        """Finds bundles by name."""

        def persistent_load(self, pid: Any) -> Bundle:
            """Bundle of a name."""
            return models[pid]

    part: xr.Dataset = Unpacker(io.BytesIO(packed)).load()
    return part


def _write_packed(packed: bytes, store: str, region: Region, models: Mapping[str, Bundle]) -> list[str]:
    """Make a region in a process; gives the warnings."""
    if not (Path(store) / "zarr.json").exists():
        raise DataError(f"A worker does not see '{store}'.", hint="Workers need the same folders as this process.")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        _write_region({"scheduler": "synchronous"}, unpack(packed, models), Path(store), region)
    return _messages(heard)


def _write_region(how: Mapping[str, Any], part: xr.Dataset, store: Path, region: Region) -> list[str]:
    part = part.load(**how)
    for dims in {v.dims for v in part.data_vars.values()}:
        names = [n for n, v in part.data_vars.items() if v.dims == dims]
        here = {d: s for d, s in region.items() if d in dims}
        part[names].to_zarr(store, region=here, zarr_format=3, consolidated=False)
    return []


def _prepare(pipe: Any) -> None:
    """Leave interruptions to the parent and end with the pipe to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()


def _end_with(pipe: Any) -> None:
    try:
        pipe.recv_bytes()
    except (EOFError, OSError):
        os._exit(CANCELLED)
