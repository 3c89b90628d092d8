"""Statistics of maps over polygons: the exact share of each cell in each polygon once, then sparse products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.positions import axes_of, edges
from xsm.data.zones import Zones
from xsm.errors import DataError, tell

REGION = "region"
BEND = 0.25
"""Degrees between the points of an edge: straight on degrees, it is slightly bent on the equal-area plane."""
BLOCK = 2**24
"""Values of a block of maps that one product takes."""
SHOWN = 3


@dataclass(frozen=True)
class Shares:
    """Area in square metres of each cell (row, column) of maps in each of some polygons, and areas of the polygons.

    ``zone``, ``row`` and ``col`` are the indices of each ``area``; ``whole`` (zone,) includes what lies off the maps.
    """

    zone: np.ndarray
    row: np.ndarray
    col: np.ndarray
    area: np.ndarray
    whole: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """Share of each polygon that lies on the maps."""
        return np.bincount(self.zone, self.area, len(self.whole)) / self.whole


def shares_of(ds: xr.Dataset, zones: Zones) -> Shares:
    """Areas that polygons in degrees have in common with the cells of maps, on the plane of the EASE-Grid."""
    import shapely

    rows, cols = edges(ds)
    around = transformer(DEGREES, EASE).transform(1.0, 0.0)[0] * 360
    parts, whole = [], np.empty(len(zones.polygons))
    for k, polygon in enumerate(zones.polygons):
        plane = shapely.transform(shapely.segmentize(polygon, BEND), _flat)
        whole[k] = plane.area
        for turn in (-around, 0.0, around):
            here = shapely.transform(plane, lambda p, turn=turn: p + np.array([turn, 0.0]))
            row, col, area = _in_cells(here, rows, cols)
            parts.append((np.full(len(area), k), row, col, area))
    zone, row, col, area = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Shares(zone, row, col, area, whole)


def _flat(points: np.ndarray) -> np.ndarray:
    """Degrees on the equal-area plane, without a jump at 180."""
    metres = transformer(DEGREES, EASE)
    return np.stack(
        [points[:, 0] * metres.transform(1.0, 0.0)[0], metres.transform(points[:, 0] * 0, points[:, 1])[1]], 1
    )


def _in_cells(polygon: Any, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and area of each cell that shares area with a polygon, which is cut by rows first: cuts are short."""
    import shapely

    west, south, east, north = polygon.bounds
    row = np.flatnonzero((rows[:, 1] > south) & (rows[:, 0] < north))
    col = np.flatnonzero((cols[:, 1] > west) & (cols[:, 0] < east))
    if not row.size or not col.size:
        return row[:0], col[:0], np.empty(0)
    strips = shapely.intersection(polygon, shapely.box(west, rows[row, 0], east, rows[row, 1]))
    shapely.prepare(strips)
    at = np.repeat(np.arange(len(row)), len(col)), np.tile(np.arange(len(col)), len(row))
    boxes = shapely.box(cols[col[at[1]], 0], rows[row[at[0]], 0], cols[col[at[1]], 1], rows[row[at[0]], 1])
    touch = shapely.intersects(strips[at[0]], boxes)
    strip, boxes = strips[at[0][touch]], boxes[touch]
    inside = shapely.contains(strip, boxes)
    area = shapely.area(boxes)
    area[~inside] = shapely.area(shapely.intersection(strip[~inside], boxes[~inside]))
    some = area > 0
    return row[at[0][touch][some]], col[at[1][touch][some]], area[some]


def zonal_statistics(
    ds: xr.Dataset, zones: Zones, names: Sequence[str], statistics: Sequence[str], min_share: float
) -> xr.Dataset:
    """Statistics of some maps over polygons; see `xsm.zonal`."""
    y, x, _ = axes_of(ds)
    shares = shares_of(ds, zones)
    _check_covered(shares.covered, zones.names)
    dims = str(ds[y].dims[0]), str(ds[x].dims[0])
    row, col = (np.unique(v) for v in (shares.row, shares.col))
    window = {d: slice(int(v[0]), int(v[-1]) + 1) for d, v in zip(dims, (row, col), strict=True)}
    shape = tuple(s.stop - s.start for s in window.values())
    cell = np.ravel_multi_index((shares.row - row[0], shares.col - col[0]), shape)
    cells, place = np.unique(cell, return_inverse=True)
    share = shares.area / shares.whole[shares.zone]
    matrix = _sparse(share, shares.zone, place, (len(zones.names), len(cells)))
    out = xr.Dataset(coords={
        REGION: zones.names,
        "area": (REGION, shares.whole / 1e6, {"long_name": "Area of the region", "units": "km2"}),
    })  # fmt: skip
    for name in names:
        maps = _blocks(ds[name].isel(window), dims)
        results = xr.apply_ufunc(
            _statistics, maps,
            kwargs={"cells": cells, "matrix": matrix, "statistics": tuple(statistics), "min_share": min_share},
            input_core_dims=[list(dims)], output_core_dims=[[REGION]] * len(statistics), dask="parallelized",
            output_dtypes=["f8"] * len(statistics), dask_gufunc_kwargs={"output_sizes": {REGION: len(zones.names)}},
        )  # fmt: skip
        for statistic, result in zip(statistics, results if len(statistics) > 1 else [results], strict=True):
            out[f"{name}_{statistic}"] = result.drop_vars([n for n in result.coords if n not in result.dims])
    return out.transpose("time", ..., REGION, missing_dims="ignore")


def _sparse(share: np.ndarray, zone: np.ndarray, place: np.ndarray, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array

    return csr_array((share, (zone, place)), shape=shape)


def _blocks(maps: xr.DataArray, dims: tuple[str, str]) -> xr.DataArray:
    """Whole maps, few enough at once."""
    if maps.chunks is None:
        return maps
    size = int(np.prod([maps.sizes[d] for d in dims]))
    others = [d for d in maps.dims if d not in dims]
    most = max(BLOCK // max(size, 1), 1)
    cut = {d: tuple(p for c in maps.chunksizes[d] for p in _parts(c, most)) for d in others[:1]}
    return maps.chunk({**dict.fromkeys(dims, -1), **cut})


def _parts(length: int, most: int) -> list[int]:
    return [min(most, length - k) for k in range(0, length, most)]


def _statistics(
    maps: np.ndarray, *, cells: np.ndarray, matrix: Any, statistics: tuple[str, ...], min_share: float
) -> Any:
    """Statistics (..., region) of maps (..., row, column), each step in its own right."""
    steps, regions = maps.shape[:-2], matrix.shape[0]
    flat = maps.reshape(-1, maps.shape[-2] * maps.shape[-1])
    out = np.full((len(statistics), len(flat), regions), np.nan)
    every = max(BLOCK // max(len(cells), 1), 1)
    for first in range(0, len(flat), every):
        values = np.ascontiguousarray(flat[first : first + every, cells], "f8")
        valid = np.isfinite(values)
        share = (matrix @ valid.T.astype("f8")).T
        enough = (share > 0) & (share >= min_share - 1e-9)
        count = valid.sum(1, keepdims=True)
        base = np.where(valid, values, 0).sum(1, keepdims=True) / np.maximum(count, 1)
        away = np.where(valid, values - base, 0)
        weight = np.where(enough, share, np.nan)
        mean = (matrix @ away.T).T / weight
        results = {"share": share, "mean": base + mean}
        if "std" in statistics:
            results["std"] = np.sqrt(np.maximum((matrix @ (away**2).T).T / weight - mean**2, 0))
        for k, statistic in enumerate(statistics):
            out[k, first : first + every] = results[statistic]
    shaped = [o.reshape(*steps, regions) for o in out]
    return tuple(shaped) if len(shaped) > 1 else shaped[0]


def _check_covered(covered: np.ndarray, names: np.ndarray) -> None:
    off = covered == 0
    if off.all():
        raise DataError(
            f"{'The region' if len(names) == 1 else f'None of the {len(names)} regions, such as'} '{names[0]}' "
            f"{'does not lie' if len(names) == 1 else 'lies'} on the maps.",
            hint="Check the region of the maps, and that x stands before y in degrees.",
        )
    if off.any():
        tell(f"{int(off.sum())} of {len(names)} regions do not lie on the maps and are missing: {_some(names[off])}.")
    partly = ~off & (covered < 0.999)
    if partly.any():
        least = names[partly][covered[partly].argmin()]
        tell(f"{int(partly.sum())} of {len(names)} regions lie only partly on the maps, '{least}' with "
             f"{covered[partly].min():.0%} of its area.")  # fmt: skip


def _some(names: np.ndarray) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
