"""The one place that knows dask: EASE-anchored macro-blocks, masks, batches, blending.

Decisions and reasons: docs/design/decisions.md, "Principles" and "Patches and splits".

Patches are anchored to the rows and columns of the global grid, so that a cell's estimate depends neither on the chunks
of the input nor, where all covering patches lie in the data, on the window. Blocks of series and groups of days begin
with the window and its first day, as the chunks of a Zarr store do, so that a region of whole chunks is made of whole
blocks. The model is one node of the graph: a cluster ships it once to each worker.
"""

from __future__ import annotations

import functools
import itertools
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.model import Block
from xsm.data.grids import Grid
from xsm.errors import DataError
from xsm.options import threads

SERIES_CELLS = 64
SERIES_POINTS = 4096
TILE_PATCHES = 6
DAY_GROUP = 16
BATCH = 8
SHARED = "xsm_shared"
"""Annotation of a layer of a graph: chunks and type of an array that all parts of a result need."""
PREDICT_LOCK = threading.Lock()
"""Held while a model predicts: one prediction at a time in a process, with all of its own threads."""

Arrays = Mapping[str, np.ndarray]


def anchored(first: int, size: int, step: int) -> tuple[int, ...]:
    """Chunk sizes of ``first:first + size`` cut at multiples of ``step``.

    Examples
    --------
    >>> anchored(10, 100, 64)
    (54, 46)
    """
    edges = [first, *range((first // step + 1) * step, first + size, step), first + size]
    return tuple(b - a for a, b in itertools.pairwise(edges))


def in_threads(work: Callable[[Any], Any], parts: Iterable[Any]) -> list[Any]:
    """Do parts of eager work side by side in the block threads; gives the results in order."""
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(work, parts))


def is_lazy(ds: xr.Dataset) -> bool:
    """Whether any variable of the dataset is a dask array."""
    return any(v.chunks is not None for v in ds.variables.values())


def shared(array: xr.DataArray) -> xr.DataArray:
    """Mark what every part of a result needs whole: `xsm.compute.zarr_regions` makes it once."""
    if array.chunks is None:
        return array
    import dask
    import dask.array as da

    with dask.annotate(**{SHARED: (array.chunks, array.dtype)}):
        return array.copy(data=da.map_blocks(_same, array.data, dtype=array.dtype, meta=array.data._meta))


def _same(block: np.ndarray) -> np.ndarray:
    return block


def cells_of(ds: xr.Dataset, names: Sequence[str]) -> tuple[str, ...]:
    """The dims of a series dataset besides time, in order; every named variable must have them."""
    dims: tuple[str, ...] = ()
    for name in names:
        own = tuple(str(d) for d in ds[name].dims if d != "time")
        if "time" not in ds[name].dims:
            raise DataError(f"'{name}' has the dims {ds[name].dims}, wanted one of them to be 'time'.")
        dims = dims or own
        if own != dims:
            raise DataError(
                f"'{name}' has the dims {own} beside time, the others {dims}.", hint="Give them the same dims."
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

    Parameters
    ----------
    function : callable
        Takes ``(time, cell)`` and ``(cell,)`` float32 arrays by name, gives ``outputs`` arrays ``(time, cell)``.
    ds : xarray.Dataset
        Variables with ``time`` and any further dims; dask or numpy.
    series, statics : sequence of str
        Variables with and without ``time``.
    outputs : int
        Number of arrays that the function gives.

    Returns
    -------
    list of xarray.DataArray
        Float32 on the dims ``(time, ...)``; dask where the input is dask, else numpy.
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
        job=_node(functools.partial(_one_at_a_time, function, tuple(series), tuple(statics))),
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


def _node(work: Callable[..., Any]) -> Any:
    """Work as a node of a graph, which tasks refer to instead of each holding a copy."""
    import dask

    return dask.delayed(work, name=f"model-{uuid.uuid4().hex}", traverse=False)


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


@dataclass(frozen=True)
class _Axis:
    """One axis of a tile: its cells, the cells of the patches that cover it, and the patches' origins (global)."""

    start: int
    stop: int
    first: int
    last: int
    origins: tuple[int, ...]

    def within(self, chunk: int, first: int, size: int) -> _Local:
        """The same inside chunks that begin at cell ``chunk``, in a window of ``size`` cells from ``first``."""
        low, high = max(self.first, first), min(self.last, first + size)
        return _Local(
            slice(low - chunk, high - chunk),
            (low - self.first, self.last - high),
            tuple(o - self.first for o in self.origins),
            slice(self.start - self.first, self.stop - self.first),
        )


def _tiles(first: int, size: int, block: Block) -> list[_Axis]:
    tile, tiles = block.stride * TILE_PATCHES, []
    start = first
    for length in anchored(first, size, tile):
        origins = range(
            -((block.size - 1 - start) // block.stride) * block.stride, start + length, block.stride
        )  # every k * stride with k * stride + size > start
        tiles.append(_Axis(start, start + length, origins[0], origins[-1] + block.size, tuple(origins)))
        start += length
    return tiles


def taper(block: Block) -> np.ndarray:
    """Blending weight of a patch along one axis: ramps over the overlap, 1 inside, never 0."""
    overlap = block.size - block.stride
    ramp = np.minimum(1.0, (np.arange(block.size) + 1) / (overlap + 1))
    return (ramp * ramp[::-1]).astype("f4")


def covered(grid: Grid, *blocks: Block) -> np.ndarray:
    """Cells of the window for which every covering patch lies inside it, bool (y, x).

    Of several blocks, each works on what the one before made: its patches must lie in the cells covered by that one.
    """

    def axis(first: int, size: int) -> np.ndarray:
        cells, end = np.arange(first, first + size), first + size
        inside = np.ones(size, bool)
        for block in blocks:
            low = -((block.size - 1 - cells) // block.stride) * block.stride
            high = cells // block.stride * block.stride + block.size
            inside &= (low >= first) & (high <= end)
            if not inside.any():
                break
            first, end = cells[inside][0], cells[inside][-1] + 1
        return inside

    return axis(grid.row0, grid.rows)[:, None] & axis(grid.col0, grid.cols)


def map_patches(
    predict: Callable[[dict[str, np.ndarray]], Arrays],
    ds: xr.Dataset,
    grid: Grid,
    block: Block,
    *,
    inputs: Sequence[str],
    statics: Sequence[str],
    mask: xr.DataArray,
    outputs: Sequence[str],
    skip: int = 0,
) -> dict[str, xr.DataArray]:
    """Predict patches of maps and blend them, lazily, tile by tile and group of days by group of days.

    Parameters
    ----------
    predict : callable
        Takes ``(patch, time, y, x)``, ``(patch, y, x)`` arrays and ``mask``; gives ``(patch, day, y, x)`` for each of
        ``outputs``. Called with at most `BATCH` patches.
    ds : xarray.Dataset
        ``inputs`` on (time, y, x), ``statics`` on (y, x), on the window ``grid``.
    block : Block
        Patch size, stride and look-back.
    mask : xarray.DataArray
        Domain (y, x), bool.
    skip : int
        Days at the start whose predictors are not used.

    Returns
    -------
    dict of str to xarray.DataArray
        Float32 (time, y, x), NaN outside the domain and on the lead-in days.
    """
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    rows, cols = _tiles(grid.row0, grid.rows, block), _tiles(grid.col0, grid.cols, block)
    groups = _day_groups(ds.sizes["time"])
    sizes = [tuple(t.stop - t.start for t in axis) for axis in (rows, cols)]
    sizes = [tuple(stop - start for start, stop in groups), *sizes]
    dynamic = da.stack([da.asarray(ds[n].transpose("time", "y", "x").data).astype("f4") for n in inputs])
    dynamic = dynamic.rechunk((-1, *sizes))
    maps = [da.asarray(ds[n].transpose("y", "x").data).astype("f4") for n in statics]
    static = (da.stack(maps) if maps else da.zeros((0, *grid.shape), "f4")).rechunk((-1, *sizes[1:]))
    domain = da.asarray(mask.transpose("y", "x").data).rechunk(tuple(sizes[1:]))
    job = _node(functools.partial(_predict_tile, predict, block, (tuple(inputs), tuple(statics), tuple(outputs))))
    name = f"patches-{uuid.uuid4().hex}"
    layer: dict[Any, Any] = {}
    for g, i, j in itertools.product(range(len(groups)), range(len(rows)), range(len(cols))):
        near = [range(max(k - 1, 0), min(k + 2, n)) for k, n in ((i, len(rows)), (j, len(cols)))]
        back = range(max(g - 1 - block.look_back // DAY_GROUP, 0), g + 1)
        first, (start, stop) = groups[back[0]][0], groups[g]
        tile = _Tile(
            rows[i].within(rows[near[0][0]].start, grid.row0, grid.rows),
            cols[j].within(cols[near[1][0]].start, grid.col0, grid.cols),
            (start - first, stop - first),
            min(max(start, skip + block.look_back - 1), stop) - first,
        )
        layer[name, 0, g, i, j] = (
            _call,
            job.key,
            tile,
            [[[(dynamic.name, 0, t, r, c) for c in near[1]] for r in near[0]] for t in back],
            [[(static.name, 0, r, c) for c in near[1]] for r in near[0]],
            [[(domain.name, r, c) for c in near[1]] for r in near[0]],
        )
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[dynamic, static, domain, job])
    stacked = da.Array(graph, name, ((len(outputs),), *sizes), dtype="f4")
    if not is_lazy(ds[[*inputs, *statics]]) and mask.chunks is None:
        stacked = stacked.compute(scheduler="threads")
    coords = {n: ds[n] for n in ("time", "y", "x")}
    return {output: xr.DataArray(stacked[k], coords, ("time", "y", "x")) for k, output in enumerate(outputs)}


def _call(job: Callable[..., np.ndarray], *args: Any) -> np.ndarray:
    return job(*args)


def _day_groups(count: int) -> list[tuple[int, int]]:
    return [(first, min(first + DAY_GROUP, count)) for first in range(0, count, DAY_GROUP)]


@dataclass(frozen=True)
class _Local:
    """One axis of a tile inside its chunks: what to cut, how much to pad, where the patches and cells are."""

    cut: slice
    pad: tuple[int, int]
    patches: tuple[int, ...]
    cells: slice


@dataclass(frozen=True)
class _Tile:
    """A tile inside the chunks it is given: its first day, the day after its last, and the first with an estimate."""

    row: _Local
    col: _Local
    days: tuple[int, int]
    begin: int


def _predict_tile(
    predict: Callable[[dict[str, np.ndarray]], Arrays],
    block: Block,
    names: tuple[Sequence[str], Sequence[str], Sequence[str]],
    tile: _Tile,
    dynamic: list[Any],
    static: list[Any],
    domain: list[Any],
) -> np.ndarray:
    outputs, lead = names[2], block.look_back - 1
    cut = [tile.row.cut, tile.col.cut]
    pad = (tile.row.pad, tile.col.pad)
    begin = tile.begin
    late = [slice(min(begin - lead, tile.days[1] - 1), tile.days[1])]
    dyn = np.pad(gathered(dynamic, late + cut), ((0, 0), (0, 0), *pad))
    sta, dom = np.pad(gathered(static, cut), ((0, 0), *pad)), np.pad(gathered(domain, cut), pad)
    spots = itertools.product(tile.row.patches, tile.col.patches)
    cuts = [np.s_[r : r + block.size, c : c + block.size] for r, c in spots]
    cuts = [spot for spot in cuts if dom[spot].any()]
    weight = taper(block)[:, None] * taper(block)
    made = tile.days[1] - begin
    total = np.full((len(outputs), tile.days[1] - tile.days[0], *dom.shape), np.nan, "f4")
    given = total[:, total.shape[1] - made :]
    given[:] = 0
    norm = np.zeros(dom.shape, "f4")
    for start in range(0, len(cuts) if made else 0, BATCH):
        batch = cuts[start : start + BATCH]
        result = _predict_batch(predict, batch, dyn, sta, dom, names)
        for k, spot in enumerate(batch):
            norm[spot] += weight
            given[(slice(None), slice(None), *spot)] += result[:, k] * weight
    with np.errstate(invalid="ignore", divide="ignore"):
        blended = np.where(dom, total / norm, np.float32(np.nan))
    return np.ascontiguousarray(blended[..., tile.row.cells, tile.col.cells])


def gathered(parts: list[Any], cuts: list[slice]) -> np.ndarray:
    """Join nested lists of chunks along their last axes, taking only ``cuts`` of each axis."""
    axis, offset, pieces = -len(cuts), 0, []
    for part in parts:
        leaf = part
        while isinstance(leaf, list):
            leaf = leaf[0]
        low, high = max(cuts[0].start - offset, 0), min(cuts[0].stop - offset, leaf.shape[axis])
        if low < high:
            whole = gathered(part, cuts[1:]) if len(cuts) > 1 else part
            pieces.append(np.moveaxis(np.moveaxis(whole, axis, 0)[low:high], 0, axis))
        offset += leaf.shape[axis]
    return np.concatenate(pieces, axis)


def _predict_batch(
    predict: Callable[[dict[str, np.ndarray]], Arrays],
    cuts: list[tuple[slice, slice]],
    dyn: np.ndarray,
    sta: np.ndarray,
    dom: np.ndarray,
    names: tuple[Sequence[str], Sequence[str], Sequence[str]],
) -> np.ndarray:
    inputs, statics, outputs = names

    def gather(array: np.ndarray) -> np.ndarray:
        return np.stack([array[(..., *cut)] for cut in cuts])

    mask = gather(dom)
    arrays = {n: np.where(mask[:, None], gather(dyn[i]), 0) for i, n in enumerate(inputs)}
    for i, name in enumerate(statics):
        arrays[name] = np.where(mask, gather(sta[i]), 0)
    with PREDICT_LOCK:
        result = predict({**arrays, "mask": mask})
    return np.stack([result[n] for n in outputs])
