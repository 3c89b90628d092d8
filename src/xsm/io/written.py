"""Blocks of variables as they lie in a file that was just written."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.emptiness import spread, tell_written


def check_written(ds: xr.Dataset, path: Path) -> None:
    """Warn of lazy variables that have no or hardly a value in the NetCDF file or the Zarr store written from them.

    Parameters
    ----------
    ds : Dataset
        What was written.
    path : Path
        Where; its name may still be a temporary one of the same ending.
    """
    if not any(v.chunks is not None for v in ds.data_vars.values()):
        return
    if path.suffix.lower() == ".zarr":
        import zarr

        tell_written(ds, functools.partial(_blocks, zarr.open_group(path, mode="r")), path.name)
        return
    import netCDF4

    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        tell_written(ds, functools.partial(_blocks, file), path.name)


def _blocks(file: Any, name: str) -> Iterator[np.ndarray]:
    array = file[name]
    sizes = array.chunks if hasattr(array, "chunks") else array.chunking()
    sizes = array.shape if isinstance(sizes, str) else sizes
    starts = [range(0, n, max(step, 1)) for n, step in zip(array.shape, sizes, strict=True)]
    for corner in spread(list(itertools.product(*starts))):
        yield np.asarray(array[tuple(slice(a, a + step) for a, step in zip(corner, sizes, strict=True))])
