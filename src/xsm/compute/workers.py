"""Those who make regions of a Zarr store: threads, processes of this run, or the workers of a cluster."""

from __future__ import annotations

import functools
import io
import logging
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.errors import DataError, hear
from xsm.options import memory_limit, threads

CANCELLED = 130
HELD = 4
"""Bytes held while a region is made, in bytes of the region: inputs, results, what is being compressed."""
WORTH = 1 << 28
"""Bytes below which the start of processes costs more than they save."""
QUEUED = 64
"""Regions that wait at the scheduler of a cluster beyond those of the threads that there are."""
log = logging.getLogger("xsm")
_FREED, _HELD_HERE = threading.Condition(), list[int]()
"""Bytes of the regions that the threads of this process make as a worker."""

Region = dict[str, slice]


def bytes_of(ds: xr.Dataset, region: Region) -> int:
    """Bytes of a region of a dataset; cutting each out of a lazy one would take long where there are many.

    Examples
    --------
    >>> ds = xr.Dataset({"a": (("time", "x"), [[1.0, 2.0]] * 3), "b": ("x", [1, 2])})
    >>> bytes_of(ds, {"time": slice(0, 2)}), ds.isel(time=slice(0, 2)).nbytes
    (48, 48)
    """

    def along(dim: Any, size: int) -> int:
        return len(range(*region[dim].indices(size))) if dim in region else size

    every = ds.variables.values()
    return sum(v.dtype.itemsize * math.prod(along(d, n) for d, n in v.sizes.items()) for v in every)


def workers_for(ds: xr.Dataset, every: list[Region], wanted: int) -> int:
    """How many regions are made side by side: no more than there are, and than fit into the memory."""
    largest = max(bytes_of(ds, r) for r in every)
    return int(max(min(wanted, len(every), memory_limit() // max(HELD * largest, 1)), 1))


def memory(cluster: Any) -> int:
    """Bytes that any worker of a cluster may use; waits for a first worker."""
    if not cluster.nthreads():
        log.info("waiting for a first worker of the cluster")
    first = cluster.submit(_memory_here, pure=False).result()  # a cluster that adapts starts workers for tasks alone
    workers = cluster.scheduler_info(n_workers=-1)["workers"].values()
    return min([first, *(w["memory_limit"] or first for w in workers)])


def _memory_here() -> int:
    from distributed import get_worker

    return get_worker().memory_manager.memory_limit or memory_limit()


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


@dataclass(frozen=True)
class Crew:
    """Those who make regions: how a part is handed to them, and how many are handed out at a time.

    What is handed out gives the warnings that this process has not heard.
    """

    submit: Callable[[xr.Dataset, Path, Region], Future[list[Warning]]]
    ahead: Callable[[], int]


@contextmanager
def crew(ds: xr.Dataset, left: list[Region], processes: int, cluster: Any) -> Iterator[Crew]:
    """Those who make the regions of a dataset that are left: a cluster's workers, processes, or threads."""
    chosen: AbstractContextManager[Crew]
    if cluster is not None:
        chosen = _on_cluster(cluster, ds, left)
    elif processes > 1 and ds.nbytes >= WORTH and (count := workers_for(ds, left, processes)) > 1:
        chosen = _in_processes(count)
    else:
        chosen = _in_threads(workers_for(ds, left, threads()), alone=len(left) == 1)
    with chosen as crew:
        yield crew


@contextmanager
def _in_threads(count: int, *, alone: bool) -> Iterator[Crew]:
    """Threads of this process; an error or an interruption stops them before their next task."""
    from dask.callbacks import Callback

    stop, pool, each = threading.Event(), ThreadPoolExecutor(count), max(threads() // count, 1)

    def before(*_: Any) -> None:  # told of each task
        if stop.is_set():
            raise CancelledError

    watching = ((None, None, before, None, None), *(Callback.active if alone else ()))
    how = {"scheduler": "threads" if each > 1 else "synchronous", "num_workers": each, "callbacks": watching}
    try:
        yield Crew(lambda *what: pool.submit(_write_region, how, *what), lambda: 2 * count)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _in_processes(count: int) -> Iterator[Crew]:
    """Processes of this run alone; they end when the pipe to them is closed, by intent or with this process."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, context, initializer=_prepare, initargs=(theirs,))
    try:
        yield Crew(functools.partial(_submit, pool, None, 0), lambda: 2 * count)
    except BrokenProcessPool:
        raise DataError(
            "A process that read files was ended from outside.",
            hint="Memory may be short: use fewer threads, a smaller memory_limit or a smaller region.",
        ) from None
    finally:
        ours.close()
        pool.shutdown(wait=True, cancel_futures=True)
        theirs.close()


@contextmanager
def _on_cluster(cluster: Any, ds: xr.Dataset, left: list[Region]) -> Iterator[Crew]:
    """The workers of a cluster, those that come later too; the models go to each of them once.

    More regions are handed out than there are threads, so that a cluster that adapts grows. A worker makes as many at a
    time as its memory allows.
    """
    from distributed import KilledWorker

    _, models = pack(ds.isel(left[0]))
    there = {name: cluster.submit(_same, model, pure=False) for name, model in models.items()}
    need = HELD * max(bytes_of(ds, r) for r in left)
    executor = cluster.get_executor(pure=False)
    try:
        submit = functools.partial(_submit, executor, there, need)
        yield Crew(submit, lambda: 2 * sum(cluster.nthreads().values()) + QUEUED)
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


def _submit(
    executor: Any, there: Mapping[str, Any] | None, need: int, part: xr.Dataset, store: Path, region: Region
) -> Any:
    """Hand out a region; its models are ``there`` already, or go with it."""
    packed, models = pack(part)
    return executor.submit(_write_packed, packed, str(store), region, models if there is None else there, need)


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


def _write_packed(packed: bytes, store: str, region: Region, models: Mapping[str, Bundle], need: int) -> list[Warning]:
    """Make a region in another process, which is a worker's where it says how many bytes are needed; gives warnings."""
    if not (Path(store) / "zarr.json").exists():
        raise DataError(f"A worker does not see '{store}'.", hint="Workers need the same folders as this process.")
    with hear(thread=True) as heard, _room(need):
        _write_region({"scheduler": "synchronous"}, unpack(packed, models), Path(store), region)
    return heard


@contextmanager
def _room(need: int) -> Iterator[None]:
    """Wait until what the threads of a worker make at a time fits into its memory; one region always does."""
    limit = _memory_here() if need else 0
    with _FREED:
        _FREED.wait_for(lambda: not sum(_HELD_HERE) or sum(_HELD_HERE) + need <= limit)
        _HELD_HERE.append(need)
    try:
        yield
    finally:
        with _FREED:
            _HELD_HERE.remove(need)
            _FREED.notify_all()


def _write_region(how: Mapping[str, Any], part: xr.Dataset, store: Path, region: Region) -> list[Warning]:
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
