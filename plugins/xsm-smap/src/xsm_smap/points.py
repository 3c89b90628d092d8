"""Daily point files: SMAP L3 cells kept as ``latitude``, ``longitude``, ``soil_moisture_dca`` along one dimension.

The AM cells come first, the PM cells after them, each in row-major order; nothing in the file says which pass a cell is
from where it occurs once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from xsm import EASE2_M09, EASE2_M36, DataError, Grid
from xsm.plugin_api import drop_impossible

from xsm_smap.layout import FILL, empty

DATASETS = {"sm_dca": "soil_moisture_dca"}
TOLERANCE = 1e-3
"""Degrees between a point and the centre of its cell; float32 coordinates are within 1e-5."""


def grid_of_points(lon: np.ndarray, lat: np.ndarray, name: str) -> Grid | None:
    """Find the window that the points fill, on the grid whose cell centres they are; None without points."""
    if not len(lon):
        return None
    for grid in (EASE2_M09, EASE2_M36):
        row, col = grid.rowcol(lon, lat)
        if (row < 0).any():
            break
        window = grid.window(int(row.min()), int(row.max()) + 1, int(col.min()), int(col.max()) + 1)
        off_lat, off_lon = np.abs(window.lat[row - window.row0] - lat), np.abs(window.lon[col - window.col0] - lon)
        if max(off_lat.max(), off_lon.max()) < TOLERANCE:
            return window
    raise DataError(
        f"The points of {name} are not cell centres of the 9 km or the 36 km EASE-Grid 2.0.",
        hint="Only points cut from SPL3SMP_E or SPL3SMP can be placed without interpolation.",
    )


def read_points(file: Any, variable: str, grid: Grid, overpass: str, name: str) -> np.ndarray:
    """Place one variable on a window, shape (grid.rows, grid.cols).

    Where a cell has two values, AM takes the first and PM the last; ``"both"`` the one whose nominal time (06:00 or
    18:00 local solar time) is nearest 12 UTC. What is physically impossible is missing, with a warning that has the
    ``name`` of the file.
    """
    lon, lat = file["longitude"][:].astype("f8"), file["latitude"][:].astype("f8")
    with np.errstate(over="ignore"):
        values = file[DATASETS[variable]][:].astype("f4")
    values = drop_impossible(np.where(values == FILL, np.nan, values), variable, name)
    row, col = grid.rowcol(lon, lat)
    r, c = row - grid.row0, col - grid.col0
    inside = (r >= 0) & (r < grid.rows) & (c >= 0) & (c < grid.cols) & np.isfinite(values)
    cell, values = (r * grid.cols + c)[inside], values[inside]
    first, last = (empty(variable, grid.shape) for _ in range(2))
    at, back = (np.unique(order, return_index=True)[1] for order in (cell, cell[::-1]))
    first.flat[cell[at]] = values[at]
    last.flat[cell[::-1][back]] = values[::-1][back]
    if overpass == "both":
        am, pm = (6 - grid.lon / 15) % 24, (18 - grid.lon / 15) % 24
        return np.where(np.abs(pm - 12) < np.abs(am - 12), last, first)
    return last if overpass == "PM" else first
