"""The source cell nearest to every place of a target, by the kd-tree of pyresample.

Nearest is nearest on the ground. How far is too far counts in cells of the target grid, which are square at 30 degrees
only: a circle on the ground would leave stripes between the 36 km cells of a half orbit at high latitudes.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xsm.atomic import fresh
from xsm.data.geometry import Scattered, turn
from xsm.data.grids import Grid
from xsm.data.targets import Sites, Target, identity, lon_lat, positions, rows_columns
from xsm.options import get_option

if TYPE_CHECKING:
    from pyresample.geometry import SwathDefinition

HALF_DIAGONAL = 0.7072
FEW, EVEN = 16, 1.5
"""Points that make a spacing, and by what factor the distances of most neighbours may differ where it is even."""
EARTH, POLE = 6.371e6, 7.3423e6
"""Radius of the Earth and northing of the pole in EPSG:6933, in metres."""


def nearest_cells(geo: Scattered, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Flat index of the source cell nearest to every place of a target, and its distance in cells of the target grid.

    A cell is near within half a diagonal of a target cell, or of the spacing of the source where that is even and
    larger; elsewhere the index is -1. Curvilinear cells are looked for twice as far.
    """
    from pyresample.geometry import GridDefinition, SwathDefinition
    from pyresample.kd_tree import get_neighbour_info

    grid = target.grid if isinstance(target, Sites) else target
    curved = geo.lon.ndim == 2
    row, col = (a.ravel() for a in positions(geo, grid))
    good = np.flatnonzero(np.isfinite(row) & np.isfinite(col))
    row, col = row[good], col[good]
    source = SwathDefinition(geo.lon.ravel()[good], geo.lat.ravel()[good])
    reach = HALF_DIAGONAL * max(1.0, spacing(source, row, col, grid, curved=curved)) * (2 if curved else 1)
    lon, lat = lon_lat(target)
    _, known, near, _ = get_neighbour_info(
        source, GridDefinition(lon, lat), _metres(reach * grid.cell, lat), neighbours=1, reduce_data=False
    )
    index = np.full(lon.shape, -1)
    index[known.reshape(lon.shape)] = np.where(near < len(good), near.astype("i8"), -1)
    at_row, at_col = rows_columns(target)
    away = np.hypot(row[index] - at_row, turn(col[index] - at_col, grid.shape_global[1]))
    away[(index < 0) | ~(away <= reach)] = np.inf
    return np.where(np.isfinite(away), good[index], -1), away


def spacing(source: SwathDefinition, row: np.ndarray, col: np.ndarray, grid: Grid, *, curved: bool) -> float:
    """Median distance of neighbours in cells of a grid; 0 for points that are few or spread unevenly."""
    from pyresample.geometry import SwathDefinition
    from pyresample.kd_tree import get_neighbour_info

    if not curved:
        _, first = np.unique(np.round(row, 3) + 1j * np.round(col, 3), return_index=True)
        source, row, col = SwathDefinition(source.lons[first], source.lats[first]), row[first], col[first]
    if len(row) < (2 if curved else FEW):
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are more than two neighbours
        pairs = get_neighbour_info(source, source, 4 * EARTH, neighbours=2, reduce_data=False)[2].astype("i8")
    away = np.hypot(np.diff(row[pairs])[:, 0], turn(np.diff(col[pairs])[:, 0], grid.shape_global[1]))
    low, middle, high = np.quantile(away, [0.1, 0.5, 0.9])
    return float(middle) if curved or high < EVEN * low else 0.0


def _metres(reach: float, lat: np.ndarray) -> float:
    """Radius on the ground, in metres, that surely contains all that lies within ``reach`` metres of EPSG:6933."""
    y = POLE * np.sin(np.radians(min(float(np.nanmax(np.abs(lat))), 90.0)))
    low, high = (np.arcsin(np.clip(v / POLE, -1, 1)) for v in (y - reach, y + reach))
    return float(1.5 * max(EARTH * (high - low), 1.2 * reach))


def nearest_index(geo: Scattered, target: Target) -> np.ndarray:
    """Index that `nearest_cells` gives, from the option ``cache`` where it is there."""
    return cached("nearest", geo, target, lambda: nearest_cells(geo, target)[0])


def cached(what: str, geo: Scattered, target: Target, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """An array about a source and a target, from the option ``cache`` where it is there."""
    folder = get_option("cache")
    if folder is None:
        return compute()
    key = hashlib.sha256(f"3 {what} {geo.digest} {identity(target)}".encode()).hexdigest()[:32]
    path = Path(folder) / "weights" / f"{what}-{key}.npy"
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        array = compute()
        with fresh(path, overwrite=True) as part:
            np.save(part, array)
        return array
