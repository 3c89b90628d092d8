"""Resample one variable with a plan: types, missing values, physical range; whole for numpy, in blocks for dask."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import dask
import numpy as np
import xarray as xr

from xsm.compute.chunks import anchored, gathered, in_threads
from xsm.data.geometry import Regular, Scattered
from xsm.data.ranges import impossible
from xsm.data.targets import Target, identity
from xsm.errors import DataError, hear, merged, tell
from xsm.kernels.interpolated import Window, at_nearest
from xsm.kernels.plan import Plan
from xsm.kernels.variables import Job
from xsm.options import threads

BLOCK_CELLS = 2**24
"""Source cells (leading dims of a chunk included) that one block may take by default: 64 MB of float32."""

WHOLE_CELLS = 2**27
"""Source cells of a frame above which a block reads its window itself, so no scheduler keeps the frame (512 MB)."""

EAGER_CELLS = 2**21
"""Target cells that a piece of a variable in memory has: 8 MB of float32, about what a core's cache holds."""

MOST_CLASSES = 1024


def apply(
    variable: xr.Variable, geo: Regular | Scattered, grid: Target, plan: Plan, job: Job, chunks: int | None = None
) -> xr.Variable:
    """Resample a variable with all dims of ``geo`` to a grid: dims ``(..., "y", "x")``, attributes of the input, dask
    where it is.

    ``chunks`` are the cells per side of the blocks of a lazy result.
    """
    lead = tuple(d for d in variable.dims if d not in geo.dims)
    source = variable.transpose(*lead, *geo.dims)
    attrs = dict(variable.attrs)
    if variable.chunks is None:
        out, clipped = _eager(source, geo, grid, plan, job)
        if clipped:
            attrs["clipped_cells"] = clipped
        return xr.Variable((*lead, "y", "x"), out, attrs)
    return xr.Variable((*lead, "y", "x"), _lazy(source, geo, grid, plan, job, chunks), attrs)


def _eager(source: xr.Variable, geo: Regular | Scattered, grid: Target, plan: Plan, job: Job) -> tuple[np.ndarray, int]:
    """Resample in pieces side by side: of the leading dims where there are many, else of the target's rows."""
    shape = tuple(source.sizes[d] for d in source.dims if d not in geo.dims)
    frames, cols = math.prod(shape), slice(0, grid.cols)
    reach = plan.window(slice(0, grid.rows), cols)
    if reach is None:
        return np.full((*shape, *grid.shape), job.fill, job.dtype), 0
    top, bottom, left, right = reach
    values = _cut(source, geo, reach).values.reshape(frames, bottom - top, right - left)
    whole = np.empty((frames, *grid.shape), job.dtype)

    def piece(part: tuple[slice, slice]) -> int:
        some, rows = part
        at = plan.window(rows, cols)
        if at is None:
            whole[some, rows] = job.fill
            return 0
        source = values[some, at[0] - top : at[1] - top, at[2] - left : at[3] - left]
        raw = _resample(source, plan, job, at, rows, cols)
        whole[some, rows] = _finish(raw, job)
        return int(np.count_nonzero((raw < job.low) | (raw > job.high))) if math.isfinite(job.high) else 0

    bands = 2 * threads() if frames == 1 else 1
    at_once = max(1, min(EAGER_CELLS // max(grid.rows * grid.cols, 1), -(-frames // threads())))
    parts = itertools.product(_cuts(frames, at_once), _cuts(grid.rows, -(-grid.rows // bands)))
    with hear() as heard:
        clipped = sum(in_threads(piece, parts))
    for warning in merged(heard):
        tell(warning)
    return whole.reshape(*shape, *grid.shape), clipped


def _cuts(size: int, step: int) -> list[slice]:
    return [slice(a, min(a + step, size)) for a in range(0, size, max(step, 1))]


def _lazy(source: xr.Variable, geo: Regular | Scattered, grid: Target, plan: Plan, job: Job, chunks: int | None) -> Any:
    """Resample block by block, each a single task on the source chunks under it, so that few are in memory at once."""
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    lead = source.data.chunks[: -len(geo.dims)]
    side = chunks or _side(plan, grid, math.prod(max(c) for c in lead))
    about = (identity(grid), job, type(plan).__name__, getattr(plan, "min_valid", None), side)
    name = f"regrid-{tokenize(source.data.name, _identity(geo), *about)}"
    rows, cols = (anchored(first, size, side) for first, size in ((grid.row0, grid.rows), (grid.col0, grid.cols)))
    layer: dict[Any, Any] = {}
    needed: dict[str, Any] = {}
    alone = math.prod(source.shape[len(lead) :]) > WHOLE_CELLS
    for (i, r), (j, c) in itertools.product(_slices(rows), _slices(cols)):
        at = plan.window(r, c)
        if at is None:
            size = r.stop - r.start, c.stop - c.start
            for k in itertools.product(*(range(len(n)) for n in lead)):
                shape = (*(n[m] for n, m in zip(lead, k, strict=True)), *size)
                layer[(name, *k, i, j)] = (functools.partial(np.full, shape, job.fill, job.dtype),)
            continue
        array, cuts = source.data, (slice(*at[:2]), slice(*at[2:]))[-len(geo.dims) :]
        if alone or (isinstance(geo, Regular) and geo.x.period):
            array = _cut(source, geo, at).data
            cuts = tuple(slice(0, n) for n in array.shape[len(lead) :])
        spots = [_chunks_under(sizes, cut) for sizes, cut in zip(array.chunks[len(lead) :], cuts, strict=True)]
        inner = [slice(cut.start - first, cut.stop - first) for cut, (_, first) in zip(cuts, spots, strict=True)]
        work = functools.partial(_block, dims=len(geo.dims), plan=plan, job=job, at=at, rows=r, cols=c)
        for k in itertools.product(*(range(len(n)) for n in lead)):
            if alone:
                values = functools.partial(_computed, *dask.optimize(array.blocks[k]))
                layer[(name, *k, i, j)] = (work, (values,))
            else:
                needed[array.name] = array
                values = functools.partial(gathered, cuts=inner)
                layer[(name, *k, i, j)] = (work, (values, _keys((array.name, *k), [numbers for numbers, _ in spots])))
    graph = HighLevelGraph.from_collections(name, layer, dependencies=list(needed.values()))
    return da.Array(graph, name, (*lead, rows, cols), meta=np.empty((0,) * (len(lead) + 2), job.dtype))


def _computed(array: Any) -> np.ndarray:
    """Compute an array inside the task that needs it."""
    return array.compute(scheduler="sync")


def _chunks_under(sizes: tuple[int, ...], cut: slice) -> tuple[range, int]:
    """Numbers of the chunks that a slice touches, and the first cell of the first of them."""
    edges = np.cumsum([0, *sizes])
    first = int(np.searchsorted(edges, cut.start, "right")) - 1
    return range(first, int(np.searchsorted(edges, cut.stop, "left"))), int(edges[first])


def _keys(start: tuple[Any, ...], levels: list[range]) -> Any:
    return [_keys((*start, k), levels[1:]) for k in levels[0]] if levels else start


def _side(plan: Plan, grid: Target, lead: int) -> int:
    """Cells per side of a block, a power of two, so that its source window holds about `BLOCK_CELLS`."""
    at = plan.window(slice(0, grid.rows), slice(0, grid.cols))
    if at is None:
        return 1024
    dense = max((at[1] - at[0]) * (at[3] - at[2]) / (grid.rows * grid.cols), 1e-6) * max(lead, 1)
    side = math.sqrt(BLOCK_CELLS / dense)
    return 2 ** min(max(int(math.log2(side)), 4), 10)


def _slices(sizes: tuple[int, ...]) -> list[tuple[int, slice]]:
    edges = np.cumsum([0, *sizes]).tolist()
    return [(k, slice(a, b)) for k, (a, b) in enumerate(itertools.pairwise(edges))]


def _identity(geo: Regular | Scattered) -> Any:
    if isinstance(geo, Scattered):
        return geo.digest
    return geo.y, geo.x, geo.ease, None if geo.crs is None else geo.crs.to_wkt()


def _cut(source: xr.Variable, geo: Regular | Scattered, at: Window) -> xr.Variable:
    """Take a source window; columns beyond a closed axis go around the globe."""
    if len(geo.dims) == 1:
        return source.isel({geo.dims[0]: slice(at[2], at[3])})
    y, x = geo.dims
    cut = source.isel({y: slice(at[0], at[1])})
    if not (isinstance(geo, Regular) and geo.x.period):
        return cut.isel({x: slice(at[2], at[3])})
    parts, first, n = [], at[2], geo.x.size
    while first < at[3]:
        begin = first % n
        stop = min(at[3], first + n - begin)
        parts.append(cut.isel({x: slice(begin, begin + stop - first)}))
        first = stop
    return parts[0] if len(parts) == 1 else xr.Variable.concat(parts, x)


def _block(values: np.ndarray, *, dims: int, plan: Plan, job: Job, at: Window, rows: slice, cols: slice) -> np.ndarray:
    return _finish(_resample(values if dims == 2 else values[..., None, :], plan, job, at, rows, cols), job)


def _resample(values: np.ndarray, plan: Plan, job: Job, at: Window, rows: slice, cols: slice) -> np.ndarray:
    """Resample a window (..., h, w), floats not yet clipped or rounded."""
    height, width = at[1] - at[0], at[3] - at[2]
    lead = values.shape[:-2] if values.shape[-2:] == (height, width) else values.shape[:-1]
    frames = values.reshape(-1, height, width)
    for doubt in impossible(frames, job.within, job.missing):
        tell(doubt)
    if job.method == "nearest":
        values, inside = at_nearest(frames, *plan.nearest(at, rows, cols))
        if job.missing and job.dtype.kind == "f":
            inside = inside & ~np.isin(values, job.missing)
        out = np.where(inside, values, job.fill)
    elif job.method == "mode":
        out = _mode(frames, plan, job, at, rows, cols)
    else:
        small = frames.dtype.itemsize <= (2 if frames.dtype.kind in "iu" else 4)
        floats = frames.astype("f4" if small else "f8", copy=False)
        if job.missing:
            floats = np.where(np.isin(frames, job.missing), np.nan, floats).astype(floats.dtype, copy=False)
        out = plan.interpolate(np.ascontiguousarray(floats), at, rows, cols)
    return out.reshape(*lead, *out.shape[-2:])


def _mode(frames: np.ndarray, plan: Plan, job: Job, at: Window, rows: slice, cols: slice) -> np.ndarray:
    valid = np.ones(frames.shape, bool) if frames.dtype.kind != "f" else np.isfinite(frames)
    if job.missing:
        valid &= ~np.isin(frames, job.missing)
    classes = np.unique(frames[valid])
    if not len(classes):
        return np.full((len(frames), rows.stop - rows.start, cols.stop - cols.start), job.fill, job.dtype)
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"method='mode' got {len(classes)} different values, expected classes (at most {MOST_CLASSES}).",
            hint="Use 'average' or 'bicubic' for continuous variables.",
        )
    codes = np.where(valid, np.searchsorted(classes, frames).clip(max=len(classes) - 1), -1).astype("i4")
    winner = plan.majority(codes, len(classes), at, rows, cols)
    return np.where(winner >= 0, classes[np.maximum(winner, 0)], np.asarray(job.fill, job.dtype))


def _finish(out: np.ndarray, job: Job) -> np.ndarray:
    """Clip to the physical range and give the type of the result; integers are rounded."""
    if job.method in ("nearest", "mode"):
        return out.astype(job.dtype, copy=False)
    if math.isfinite(job.low) or math.isfinite(job.high):
        out = np.clip(out, out.dtype.type(job.low), out.dtype.type(job.high))
    if job.dtype.kind in "iu":
        return np.where(np.isfinite(out), np.rint(out), job.fill).astype(job.dtype)
    return out.astype(job.dtype, copy=False)
