"""Level-2 half orbits: 1-D cells placed on the EASE-Grid by their row and column index."""

from __future__ import annotations

import numpy as np
from xsm import Grid

from xsm_smap.layout import FILL, NO_FLAG


def scatter(values: np.ndarray, row: np.ndarray, col: np.ndarray, grid: Grid) -> np.ndarray:
    """Place 1-D cells on a window; cells outside are left out.

    Should a cell occur more than once, continuous values (floats) are averaged and flags (integers) take the last.

    Parameters
    ----------
    values : ndarray, shape (cell,)
        Raw values, fill included.
    row, col : ndarray, shape (cell,)
        Indices in the global grid, 65534 where there is none.
    grid : Grid
        The window.

    Returns
    -------
    ndarray, shape (grid.rows, grid.cols)
        In the type of ``values``; -9999 (floats) or 65534 (flags) where no cell falls.
    """
    r, c = row.astype("i8") - grid.row0, col.astype("i8") - grid.col0
    inside = (r >= 0) & (r < grid.rows) & (c >= 0) & (c < grid.cols)
    if values.dtype.kind != "f":
        out = np.full(grid.shape, NO_FLAG, values.dtype)
        out[r[inside], c[inside]] = values[inside]
        return out
    inside &= np.isfinite(values) & (values != FILL)
    cell = r[inside] * grid.cols + c[inside]
    size = grid.rows * grid.cols
    count = np.bincount(cell, minlength=size)
    total = np.bincount(cell, values[inside].astype("f8"), minlength=size)
    mean = np.divide(total, count, out=np.full(size, FILL), where=count > 0)
    return mean.reshape(grid.shape).astype(values.dtype)
