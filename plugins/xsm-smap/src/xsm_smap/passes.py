"""Values of the windows of a file, pass by pass."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from xsm import DataError, Grid

from xsm_smap import layout
from xsm_smap.granule import Granule
from xsm_smap.l2 import scatter
from xsm_smap.maps import cut, dataset_of, in_units, is_turned, upright
from xsm_smap.points import read_points
from xsm_smap.read import Owners, check_rows, decode, opened, window


def values(
    granule: Granule, variables: Sequence[str], grid: Grid, *, overpass: str, quality: str, day: np.datetime64
) -> list[dict[str, np.ndarray]]:
    """Read one window of every expected pass of a granule.

    Returns
    -------
    list of dict
        One mapping of canonical name to array ``(grid.rows, grid.cols)`` for each pass that the file has.
    """
    with opened(granule.path) as file:
        if granule.level == "points":
            return [{v: read_points(file, v, grid, overpass, granule.name) for v in variables}]
        passes = [p for p in granule.passes if overpass in (p, "both")]
        if granule.level == "L3":
            return [_read_l3(file, granule, p, variables, grid, quality) for p in passes]
        return [_read_l2(file, granule, variables, grid, quality, day) for _ in passes]


def _read_l3(
    file: Any, granule: Granule, overpass: str, variables: Sequence[str], grid: Grid, quality: str
) -> dict[str, np.ndarray]:
    group = file[layout.GROUPS[granule.projection][overpass]]

    suffix = layout.SUFFIX[overpass]
    observed = group.get(layout.OBSERVED + suffix)
    owners: Owners = {}

    @functools.cache
    def raw(dataset: str) -> np.ndarray:
        dataset_read = dataset_of(group, dataset, granule.level, suffix, granule.crid, granule.path)
        if granule.place is not None or is_turned(dataset_read, granule.frame):
            return cut(in_units(dataset_read, upright(dataset_read, granule.frame), dataset), granule.place, grid)
        check_rows(owners, dataset_read, (grid.row0, grid.row0 + grid.rows - 1))
        alike = observed is not None and (observed.shape, observed.chunks) == (dataset_read.shape, dataset_read.chunks)
        return in_units(dataset_read, window(dataset_read, grid, observed if alike else None), dataset)

    return {v: decode(raw, v, quality, where=granule.name, day=granule.days[0]) for v in variables}


def _read_l2(
    file: Any, granule: Granule, variables: Sequence[str], grid: Grid, quality: str, day: np.datetime64
) -> dict[str, np.ndarray]:
    group = file[layout.L2_GROUP]
    if granule.place is None:
        row, col = group["EASE_row_index"][:], group["EASE_column_index"][:]
        for name, index, size in zip(("row", "column"), (row, col), grid.shape_global, strict=True):
            if ((index >= size) & (index != layout.NO_FLAG)).any():
                raise DataError(f"'{granule.path}' has a {name} index of {index.max()}, expected less than {size}.")

    @functools.cache
    def raw(dataset: str) -> np.ndarray:
        dataset_read = dataset_of(group, dataset, granule.level, "", granule.crid, granule.path)
        if granule.place is not None:
            return granule.place.put(in_units(dataset_read, upright(dataset_read, granule.frame), dataset), grid)
        return scatter(in_units(dataset_read, dataset_read[:], dataset), row, col, grid)

    place: dict[str, Any] = {"where": granule.name, "day": granule.days[0]}
    variables_read = {v: decode(raw, v, quality, **place) for v in variables}
    if len(granule.days) > 1:
        other = decode(raw, "obs_time", quality, **place).astype("M8[D]") != day
        for v in variables:
            variables_read[v][other] = layout.empty(v, ())
    return variables_read
