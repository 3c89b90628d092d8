"""Place a dataset on another window of its grid."""

from __future__ import annotations

import xarray as xr

from xsm.data.cf import fill_of, with_room
from xsm.data.grids import Grid, require_grid
from xsm.errors import DataError


def take(ds: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Place a dataset on another window of its source grid by integer row and column.

    Lazy for dask. Cells outside the dataset become NaN (uint8: 255, uint16: 65534, booleans: False; other integers
    become float).

    Parameters
    ----------
    ds : xarray.Dataset
        On an EASE-Grid 2.0.
    grid : Grid
        Window of the same grid.

    Returns
    -------
    xarray.Dataset
        On the window.

    Raises
    ------
    DataError
        For another grid, or where the two do not overlap.

    Examples
    --------
    >>> import xsm
    >>> smap = xsm.example("smap", size=16, days=20)
    >>> dict(take(smap, xsm.grid_of(smap).grow(2)).sizes)
    {'time': 20, 'y': 20, 'x': 20}
    """
    source = require_grid(ds, "The dataset")
    if source == grid:
        return ds
    if source.name != grid.name:
        raise DataError(f"The dataset is on {source.name}, expected {grid.name}.", hint="Regrid it first.")
    r0, r1 = max(source.row0, grid.row0), min(source.row0 + source.rows, grid.row0 + grid.rows)
    c0, c1 = max(source.col0, grid.col0), min(source.col0 + source.cols, grid.col0 + grid.cols)
    if r0 >= r1 or c0 >= c1:
        raise DataError(
            f"The dataset ({_span(source)}) does not overlap the window ({_span(grid)}).",
            hint="Check the region of both.",
        )
    cut = ds.isel(y=slice(r0 - source.row0, r1 - source.row0), x=slice(c0 - source.col0, c1 - source.col0))
    before = {"y": r0 - grid.row0, "x": c0 - grid.col0}
    after = {"y": grid.row0 + grid.rows - r1, "x": grid.col0 + grid.cols - c1}
    if any((*before.values(), *after.values())):
        cut, _ = with_room(cut)
        fill = {
            n: fill_of(v.dtype) for n, v in cut.variables.items() if {"x", "y"} & set(v.dims) and n not in ("x", "y")
        }
        cut = cut.drop_vars(["x", "y"]).pad(
            {d: (before[d], after[d]) for d in ("y", "x")}, constant_values=fill, keep_attrs=True
        )
    return grid.assign(cut)


def _span(grid: Grid) -> str:
    return f"rows {grid.row0}:{grid.row0 + grid.rows}, columns {grid.col0}:{grid.col0 + grid.cols}"
