"""What makes the groups of a Zarr store: threads, processes of this run, or the workers of a cluster."""

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
COPIES = 4
"""Bytes in memory while a group is made, in bytes of the group: inputs, results, what is being compressed."""
WORTH = 1 << 28
"""Bytes below which starting processes costs more than it saves."""
QUEUED = 64
"""Groups that wait at the scheduler of a cluster, beyond two for each of its threads."""
log = logging.getLogger("xsm")
_FREED, _IN_WORK = threading.Condition(), list[int]()
"""Bytes of the groups that the threads of this process are making as a worker."""

ChunkGroup = dict[str, slice]


def bytes_of(ds: xr.Dataset, group: ChunkGroup) -> int:
    """Bytes of a group of a dataset; cutting each out of a lazy one would take long where there are many.

    Examples
    --------
    >>> ds = xr.Dataset({"a": (("time", "x"), [[1.0, 2.0]] * 3), "b": ("x", [1, 2])})
    >>> bytes_of(ds, {"time": slice(0, 2)}), ds.isel(time=slice(0, 2)).nbytes
    (48, 48)
    """

    def along(dim: Any, size: int) -> int:
        return len(range(*group[dim].indices(size))) if dim in group else size

    every = ds.variables.values()
    return sum(v.dtype.itemsize * math.prod(along(d, n) for d, n in v.sizes.items()) for v in every)


def workers_for(ds: xr.Dataset, every: list[ChunkGroup], most: int) -> int:
    """How many groups are made at a time: at most ``most``, as there are, and as fit into the memory."""
    largest = max(bytes_of(ds, r) for r in every)
    return int(max(min(most, len(every), memory_limit() // max(COPIES * largest, 1)), 1))


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
        active = default_client()
    except ValueError:
        return None
    return active if active.status == "running" else None


@dataclass(frozen=True)
class Crew:
    """Workers of one kind: how a group is submitted to them, and how many are submitted ahead.

    The result of a group is the warnings that `xsm.errors.hear` in this process cannot collect.
    """

    submit: Callable[[xr.Dataset, Path, ChunkGroup], Future[list[Warning]]]
    ahead: Callable[[], int]


@contextmanager
def crew(ds: xr.Dataset, left: list[ChunkGroup], processes: int, cluster: Any) -> Iterator[Crew]:
    """The workers for the groups of a dataset that are left: those of a cluster, else processes, else threads."""
    workers: AbstractContextManager[Crew]
    if cluster is not None:
        workers = _on_cluster(cluster, ds, left)
    elif processes > 1 and ds.nbytes >= WORTH and (count := workers_for(ds, left, processes)) > 1:
        workers = _in_processes(count)
    else:
        workers = _in_threads(workers_for(ds, left, threads()), alone=len(left) == 1)
    with workers as crew:
        yield crew


@contextmanager
def _in_threads(count: int, *, alone: bool) -> Iterator[Crew]:
    """Threads of this process; an error or an interruption stops them before their next task."""
    from dask.callbacks import Callback

    stop, pool, each = threading.Event(), ThreadPoolExecutor(count), max(threads() // count, 1)

    def before(*_: Any) -> None:  # called for each task
        if stop.is_set():
            raise CancelledError

    watching = ((None, None, before, None, None), *(Callback.active if alone else ()))
    how = {"scheduler": "threads" if each > 1 else "synchronous", "num_workers": each, "callbacks": watching}
    try:
        yield Crew(lambda *what: pool.submit(_write_group, how, *what), lambda: 2 * count)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _in_processes(count: int) -> Iterator[Crew]:
    """Processes of this run; they end when the pipe to them is closed, on purpose or because this process is gone."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, context, initializer=_prepare, initargs=(theirs,))
    try:
        yield Crew(functools.partial(_submit, pool, None, 0), lambda: 2 * count)
    except BrokenProcessPool:
        raise DataError(
            "A reader process was killed.",
            hint="The memory may have run out: use fewer threads, a smaller memory_limit or a smaller region.",
        ) from None
    finally:
        ours.close()
        pool.shutdown(wait=True, cancel_futures=True)
        theirs.close()


@contextmanager
def _on_cluster(cluster: Any, ds: xr.Dataset, left: list[ChunkGroup]) -> Iterator[Crew]:
    """The workers of a cluster, those that come later too; the models go to each of them once.

    More groups are submitted than there are threads, so that an adaptive cluster grows. A worker makes as many at a
    time as its memory allows.
    """
    from distributed import KilledWorker

    _, models = pack(ds.isel(left[0]))
    there = {name: cluster.submit(_same, model, pure=False) for name, model in models.items()}
    need = COPIES * max(bytes_of(ds, r) for r in left)
    executor = cluster.get_executor(pure=False)
    try:
        submit = functools.partial(_submit, executor, there, need)
        yield Crew(submit, lambda: 2 * sum(cluster.nthreads().values()) + QUEUED)
    except KilledWorker as error:
        raise DataError(
            f"The cluster lost one worker after another, the last at {error.last_worker.address}.",
            hint="Give them more memory or fewer threads, then run again to continue.",
        ) from None
    finally:
        executor.shutdown(wait=False)


def _same(model: Bundle) -> Bundle:
    """A model as the result of a task, which another worker repeats where the one that had it is lost."""
    return model


def _submit(
    executor: Any, there: Mapping[str, Any] | None, need: int, part: xr.Dataset, store: Path, group: ChunkGroup
) -> Any:
    """Submit a group; its models are ``there`` already, or go with it."""
    packed, models = pack(part)
    return executor.submit(_write_packed, packed, str(store), group, models if there is None else there, need)


def pack(part: xr.Dataset) -> tuple[bytes, dict[str, Bundle]]:
    """Pickle a lazy dataset for another process of this run; it only names its models, which are returned beside it."""
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
    """Undo `pack`; called only with bytes that a process of this run packed."""

    class Unpacker(pickle.Unpickler):
        """Finds bundles by name."""

        def persistent_load(self, pid: Any) -> Bundle:
            """Bundle of a name."""
            return models[pid]

    part: xr.Dataset = Unpacker(io.BytesIO(packed)).load()
    return part


def _write_packed(
    packed: bytes, store: str, group: ChunkGroup, models: Mapping[str, Bundle], need: int
) -> list[Warning]:
    """Make a group in another process, or (with the bytes that are needed) in a worker; returns its warnings."""
    if not (Path(store) / "zarr.json").exists():
        raise DataError(f"A worker cannot see '{store}'.", hint="Workers need the same folders as this process.")
    with hear(thread=True) as heard, _room(need):
        _write_group({"scheduler": "synchronous"}, unpack(packed, models), Path(store), group)
    return heard


@contextmanager
def _room(need: int) -> Iterator[None]:
    """Wait until the group fits into the worker's memory, beside those of its other threads; one alone always does."""
    limit = _memory_here() if need else 0
    with _FREED:
        _FREED.wait_for(lambda: not sum(_IN_WORK) or sum(_IN_WORK) + need <= limit)
        _IN_WORK.append(need)
    try:
        yield
    finally:
        with _FREED:
            _IN_WORK.remove(need)
            _FREED.notify_all()


def _write_group(how: Mapping[str, Any], part: xr.Dataset, store: Path, group: ChunkGroup) -> list[Warning]:
    part = part.load(**how)
    for dims in {v.dims for v in part.data_vars.values()}:
        names = [n for n, v in part.data_vars.items() if v.dims == dims]
        here = {d: s for d, s in group.items() if d in dims}
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
