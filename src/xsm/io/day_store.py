"""Zarr stores that grow by days: each day has chunks of its own, and an update of days is moved in as one.

An update is a second store beside the first, on all days but with the chunks of the new and changed ones only. When it
is on the disk, it is marked as whole and its chunks are moved into the store (`absorb`). A crash leaves either no mark,
and the store as it was, or a mark, and the move is finished later: it can be repeated. New days become visible at once,
with the consolidated metadata of the store.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import ZarrStore

from xsm.atomic import replace, to_disk
from xsm.compute.journal import Journal
from xsm.errors import DataError, hear, merged, tell
from xsm.io import files

SIDE, ALONG = 1024, 4096
"""Chunks along y and x, and that of the coordinate ``time``."""
META = "zarr.json"


def read(store: Path) -> xr.Dataset:
    """Open a store of days that xsm itself wrote, lazily: it is not searched for what a stranger may have put in."""
    with files.without_advice_of_zarr():
        return files.opened(ZarrStore.open_group(store, mode="r", consolidated=False), store)


def write_days(
    part: Path, axis: np.ndarray, days: np.ndarray, make: Callable[[np.ndarray], xr.Dataset], *, most: int = 32,
    about: Any = None, strict: bool = False,
) -> None:  # fmt: skip
    """Write days of a store, or continue to do so.

    Parameters
    ----------
    part : Path
        The store; beside it lies a journal of the days that are complete.
    axis : ndarray of datetime64[D]
        All days of the store, one after the other.
    days : ndarray of datetime64[D]
        Those to write, in order.
    make : callable
        Gives the dataset of at most ``most`` days that follow each other, lazy or not. Variables without time are
        written once.
    about : object
        What the days rest on, as JSON; what another one left is not continued.
    strict : bool
        Do not continue what left files out.
    """
    journal = Journal(part.with_suffix(".journal"), [about, *map(str, (axis[0], len(axis), len(days)))], strict)
    left = days[~np.isin(days.astype(str), sorted(journal.units))]
    for warning in journal.warnings:
        tell(warning)
    warned, begun = list[Warning](), journal.begun
    for run in runs(left, most):
        with hear() as heard:
            ds = make(run)
            if not begun:
                _lay_out(ds, part, axis)
                journal.begin()
                begun = True
            _put(ds, part, int((run[0] - axis[0]).astype(int)))
        journal.close([str(day) for day in run], merged(heard))
        warned += heard
    for warning in merged(warned):
        tell(warning)


def runs(days: np.ndarray, most: int) -> list[np.ndarray]:
    """Days that follow each other, at most so many at once; cut before days whose number divides by ``most``.

    Examples
    --------
    >>> [len(run) for run in runs(np.array([1, 2, 3, 5, 8, 9, 10], "M8[D]"), 4)]
    [3, 1, 3]
    """
    if not len(days):
        return []
    number = days.astype("M8[D]").astype(int)
    return np.split(days, np.flatnonzero((np.diff(number) > 1) | (np.diff(number // most) > 0)) + 1)


def grows(store: Path) -> bool:
    """Whether a store has a chunk for each day, as `write_days` makes it."""
    return "consolidated_metadata" in json.loads((store / META).read_text())


def absorb(part: Path, store: Path) -> None:
    """Move the days of an update into a store, or its files into a folder; may be repeated after a crash."""
    if store.suffix != ".zarr":
        return _move(part, store)
    size = json.loads((part / "time" / META).read_text())["shape"][0]
    arrays = [p.parent for p in sorted(store.glob(f"*/{META}"))]
    timed = [a for a in arrays if "time" in json.loads((a / META).read_text()).get("dimension_names", ())]
    for array in timed:
        _check_kind(part / array.name / META, array / META)
    for array in timed:
        _move(part / array.name / "c", array / "c")
    to_disk(store)
    for array in timed:
        about = json.loads((array / META).read_text())
        at = about["dimension_names"].index("time")
        before, about["shape"][at] = about["shape"][at], size
        _save(array / META, about)
        if array.name != "time":
            for day in range(size, before):
                shutil.rmtree(array / "c" / str(day), ignore_errors=True)
    consolidate(store)


def consolidate(store: Path) -> None:
    """Put the metadata of all arrays into the file of the store, which readers of xarray take them from."""
    about = json.loads((store / META).read_text())
    arrays = {p.parent.name: json.loads(p.read_text()) for p in sorted(store.glob(f"*/{META}"))}
    about["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": arrays}
    _save(store / META, about)


def _lay_out(ds: xr.Dataset, part: Path, axis: np.ndarray) -> None:
    """A store on all days without values; what has no time is written."""
    import dask.array as da

    ds, encoding = files.encodings(ds.assign_coords(time=ds["time"].astype("M8[ns]")))
    put: dict[Any, Any] = {}
    for name, variable in ds.variables.items():
        sides = [1 if d == "time" else min(n, SIDE) or 1 for d, n in variable.sizes.items()]
        encoding[str(name)]["chunks"] = tuple(sides if name != "time" else [ALONG])
        if "time" in variable.dims and name != "time":
            shape = tuple(len(axis) if d == "time" else n for d, n in variable.sizes.items())
            put[name] = (variable.dims, da.zeros(shape, dtype=variable.dtype, chunks=shape), variable.attrs)
    time = ("time", axis.astype("M8[ns]"), ds["time"].attrs)
    coords = {n: v for n, v in put.items() if n in ds.coords}
    bare = ds.drop_vars([*put, "time"])
    whole = bare.assign({n: v for n, v in put.items() if n not in coords}).assign_coords({"time": time} | coords)
    for name in put:
        whole[name].encoding = ds[name].encoding
    shutil.rmtree(part, ignore_errors=True)
    layout: dict[str, Any] = {"zarr_format": 3, "consolidated": False, "encoding": encoding, "safe_chunks": False}
    with files.without_advice_of_zarr():
        whole.assign({n: v.load() for n, v in bare.data_vars.items()}).to_zarr(part, compute=False, mode="w", **layout)
    consolidate(part)


def _put(ds: xr.Dataset, part: Path, first: int) -> None:
    """Write days; every chunk, since one of the same day may be there already when it is moved."""
    import zarr

    timed = [n for n, v in ds.variables.items() if "time" in v.dims and n != "time"]
    block = ds.reset_coords([n for n in timed if n in ds.coords])[timed]
    block = files.encodings(block.drop_vars([n for n in block.coords if n not in timed]).load())[0]
    where = {"time": slice(first, first + ds.sizes["time"])}
    with files.without_advice_of_zarr(), zarr.config.set({"array.write_empty_chunks": True}):
        block.to_zarr(part, region=where, zarr_format=3, consolidated=False)


def _check_kind(new: Path, old: Path) -> None:
    """Stop before anything is moved where a variable would change its type or its chunks."""
    kinds = [
        {k: v for k, v in json.loads(path.read_text()).items() if k not in ("shape", "attributes")}
        for path in (new, old)
        if path.is_file()
    ]
    if kinds[:-1] not in ([], kinds[1:]):
        types = [f"{kind['data_type']} {kind['chunk_grid']['configuration']['chunk_shape']}" for kind in kinds]
        raise DataError(
            f"The new days of '{old.parent.name}' have the type and chunks {types[0]}, expected {types[1]}.",
            hint=f"Remove '{old.parent.parent}'; it is then made from all granules.",
        )


def _move(source: Path, target: Path) -> None:
    """Move files into a folder, the deepest first: what lists others comes after them."""
    for folder, _, names in os.walk(source, topdown=False):
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(Path(folder) / name, there / name)


def _save(path: Path, about: Any) -> None:
    part = path.with_suffix(".new")
    part.write_text(json.dumps(about), encoding="utf-8")
    to_disk(part)
    replace(part, path)
