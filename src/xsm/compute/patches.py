"""Blocks of patches of maps: predicted and blended tile by tile and group of days by group of days.

Reasons: "Principles" and "Patches and splits" among the decisions of the documentation; where the patches lie:
`xsm.compute.tiles`.
"""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.chunks import gathered, is_lazy
from xsm.compute.model_node import PREDICT_LOCK, model_node
from xsm.compute.tiles import DAY_GROUP, Tile, day_groups, taper, tiles
from xsm.contracts.model import Block
from xsm.data.grids import Grid

BATCH = 8
"""Patches that a model gets at once, at most."""

Arrays = Mapping[str, np.ndarray]


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

    ``predict`` takes ``inputs`` (patch, time, y, x), ``statics`` and ``mask`` (patch, y, x) by name, at most `BATCH`
    patches at once, and returns (patch, day, y, x) for each of ``outputs``. ``ds`` lies on the window ``grid``,
    ``mask`` is the domain (y, x), and the predictors of the first ``skip`` days are not used. The result is float32
    (time, y, x), NaN outside the domain and on the lead-in days.
    """
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    rows, cols = tiles(grid.row0, grid.rows, block), tiles(grid.col0, grid.cols, block)
    groups = day_groups(ds.sizes["time"])
    sizes = [tuple(t.stop - t.start for t in axis) for axis in (rows, cols)]
    sizes = [tuple(stop - start for start, stop in groups), *sizes]
    dynamic = da.stack([da.asarray(ds[n].transpose("time", "y", "x").data).astype("f4") for n in inputs])
    dynamic = dynamic.rechunk((-1, *sizes))
    maps = [da.asarray(ds[n].transpose("y", "x").data).astype("f4") for n in statics]
    static = (da.stack(maps) if maps else da.zeros((0, *grid.shape), "f4")).rechunk((-1, *sizes[1:]))
    domain = da.asarray(mask.transpose("y", "x").data).rechunk(tuple(sizes[1:]))
    job = model_node(functools.partial(_predict_tile, predict, block, (tuple(inputs), tuple(statics), tuple(outputs))))
    name = f"patches-{uuid.uuid4().hex}"
    layer: dict[Any, Any] = {}
    for g, i, j in itertools.product(range(len(groups)), range(len(rows)), range(len(cols))):
        near = [range(max(k - 1, 0), min(k + 2, n)) for k, n in ((i, len(rows)), (j, len(cols)))]
        back = range(max(g - 1 - block.look_back // DAY_GROUP, 0), g + 1)
        first, (start, stop) = groups[back[0]][0], groups[g]
        tile = Tile(
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


def _predict_tile(
    predict: Callable[[dict[str, np.ndarray]], Arrays],
    block: Block,
    names: tuple[Sequence[str], Sequence[str], Sequence[str]],
    tile: Tile,
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
    n_days = tile.days[1] - begin
    total = np.full((len(outputs), tile.days[1] - tile.days[0], *dom.shape), np.nan, "f4")
    estimates = total[:, total.shape[1] - n_days :]
    estimates[:] = 0
    norm = np.zeros(dom.shape, "f4")
    for start in range(0, len(cuts) if n_days else 0, BATCH):
        batch = cuts[start : start + BATCH]
        result = _predict_batch(predict, batch, dyn, sta, dom, names)
        for k, spot in enumerate(batch):
            norm[spot] += weight
            estimates[(slice(None), slice(None), *spot)] += result[:, k] * weight
    with np.errstate(invalid="ignore", divide="ignore"):
        blended = np.where(dom, total / norm, np.float32(np.nan))
    return np.ascontiguousarray(blended[..., tile.row.cells, tile.col.cells])


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
