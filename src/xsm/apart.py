"""Days that do not depend on each other, read and written by processes: the HDF5 library lets one thread in at a time.

The parent lays out the Zarr store; each process loads whole chunks of days and writes their regions, so no two touch
one file. An error, a warning or an interruption in a process is the parent's.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import xarray as xr

from xsm.errors import DataError
from xsm.options import memory_limit
from xsm.training import quiet

CANCELLED = 130
WORTH = 1 << 28
"""Bytes below which the start of processes costs more than they save."""


def processes_for(ds: xr.Dataset, days: int, wanted: int) -> int:
    """How many processes are worth while and fit into memory; each holds ``days`` days of ``ds`` twice."""
    count = ds.sizes.get("time", 0)
    if wanted < 2 or count <= days or ds.nbytes < WORTH or not any(v.chunks for v in ds.variables.values()):
        return 1
    held = 2 * ds.nbytes * days // count
    return max(min(wanted, -(-count // days), memory_limit() // max(held, 1)), 1)


def write_regions(ds: xr.Dataset, store: Path, layout: Mapping[str, Any], days: int, processes: int) -> None:
    """Write a lazy dataset as Zarr, ``days`` days at a time, in processes.

    Parameters
    ----------
    ds : xarray.Dataset
        Lazy, with ``time``; its days are computed apart from each other.
    store : Path
        The store to make.
    layout : mapping
        Arguments of ``to_zarr``; the chunks of the encoding hold ``days`` days.
    days, processes : int

    Raises
    ------
    DataError
        What reading a file raised, or a process that was killed.
    """
    import cloudpickle
    import dask

    lazy = [n for n, v in ds.variables.items() if v.chunks is not None]
    daily = ds[[n for n in lazy if "time" in ds[n].dims]]
    daily = daily.drop_vars([n for n in daily.coords if n not in lazy])
    ds = ds.assign({n: ds[n].compute() for n in lazy if n not in daily.variables})
    ds.to_zarr(store, compute=False, mode="w", safe_chunks=False, **layout)
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_prepare) as pool:
        try:
            waiting = []
            for first in range(0, ds.sizes["time"], days):
                (part,) = dask.optimize(daily.isel(time=slice(first, first + days)))
                waiting.append(pool.submit(_write_region, cloudpickle.dumps(part), str(store), first))
            with quiet() as progress:
                for done, future in enumerate(as_completed(waiting), 1):
                    for message in future.result():
                        warnings.warn(message, UserWarning, stacklevel=2)
                    progress(done / len(waiting), "")
        except BaseException as error:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            if isinstance(error, BrokenProcessPool):
                raise DataError(
                    "A process that read files was ended from outside.",
                    hint="Memory may be short: give fewer --threads or a smaller region.",
                ) from None
            raise


def _write_region(packed: bytes, store: str, first: int) -> list[str]:
    """Compute one run of days and write it; gives the warnings."""
    import cloudpickle
    import dask

    with warnings.catch_warnings(record=True) as told, dask.config.set(scheduler="synchronous"):
        warnings.simplefilter("always", UserWarning)
        part = cloudpickle.loads(packed).load()
        region = {"time": slice(first, first + part.sizes["time"])}
        part.to_zarr(store, region=region, zarr_format=3, consolidated=False)
    return [str(w.message) for w in told if w.category is UserWarning]


def _prepare() -> None:
    """Leave interruptions to the parent and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(CANCELLED)
