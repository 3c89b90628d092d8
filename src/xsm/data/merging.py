"""Products on one window of the EASE-Grid and one run of days: placed by integer row, column and day."""

from __future__ import annotations

import logging

import numpy as np
import xarray as xr

from xsm.data.cf import check_units, with_room
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.grids import Grid, require_grid
from xsm.data.masks import with_masks
from xsm.data.skipped import listed, with_skipped
from xsm.data.windows import take
from xsm.errors import DataError, tell

log = logging.getLogger("xsm")


def merge_products(first: xr.Dataset, *others: xr.Dataset) -> xr.Dataset:
    """Merge products on the window and days of the first, and add the masks; see `xsm.cube`."""
    grid = require_grid(first, "The first product")
    merged = _daily(first, "The first product")
    for number, other in enumerate(others, start=2):
        placed = _place(other, grid, merged, f"Product {number}")
        double = sorted({str(n) for n in placed.data_vars} & {str(n) for n in merged.data_vars})
        if double:
            raise DataError(
                f"Product {number} contains {', '.join(double)} again.", hint="Drop it from one of the two."
            )
        merged = merged.assign(placed.data_vars).assign_coords(
            {n: c for n, c in placed.coords.items() if n not in merged.coords}
        )
        attrs = {k: v for k, v in other.attrs.items() if k not in ("history", "xsm_region", "Conventions")}
        merged.attrs = with_skipped(attrs | merged.attrs, {line: line for line in listed(other.attrs)})
        merged.attrs["history"] = "\n".join(t for t in (merged.attrs.get("history"), other.attrs.get("history")) if t)
    check_units(merged, [str(n) for n in merged.data_vars])
    shares = {str(n): valid_share(ds[n]) for ds in (first, *others) for n in ds.data_vars}
    why = "The cells or days in which it has values are not those of the first product."
    tell_emptied(merged, shares, why, [str(n) for n in merged.data_vars])
    return grid.assign(with_masks(merged))


def _daily(ds: xr.Dataset, what: str) -> xr.Dataset:
    if "time" not in ds.dims:
        raise DataError(f"{what} has no dimension 'time'.", hint="Give the daily product first.")
    day = ds["time"].values.astype("M8[D]")
    if len(np.unique(day)) != len(day) or not np.all(np.diff(day) > np.timedelta64(0, "D")):
        raise DataError(
            f"{what} has days that are repeated or out of order.",
            hint="Sort it, or make daily means with <to_daily()>.",
        )
    every = np.arange(day[0], day[-1] + 1) if len(day) else day
    if len(every) != len(day):
        log.info("%s: %d missing days are added as empty days", what, len(every) - len(day))
    attrs = {"standard_name": "time", "axis": "T", "long_name": "UTC day"}
    ds = ds.assign_coords(time=("time", day.astype("M8[ns]"), attrs))
    return ds if len(every) == len(day) else on_days(ds, every.astype("M8[ns]"))


def _place(other: xr.Dataset, grid: Grid, cube: xr.Dataset, what: str) -> xr.Dataset:
    window = require_grid(other, what)
    placed = take(other, grid)
    rows = min(window.row0 + window.rows, grid.row0 + grid.rows) - max(window.row0, grid.row0)
    cols = min(window.col0 + window.cols, grid.col0 + grid.cols) - max(window.col0, grid.col0)
    empty = grid.rows * grid.cols - rows * cols
    if empty:
        names = ", ".join(map(str, list(other.data_vars)[:4]))
        tell(f"{what} ({names}) leaves {empty} of {grid.rows * grid.cols} cells empty.")
    placed = placed.drop_vars([n for n in placed.coords if n in cube.data_vars])
    if "time" not in placed.dims:
        return placed
    placed = _daily(placed, what)
    days = cube["time"].values
    common = np.isin(days, placed["time"].values).sum()
    if not common:
        raise DataError(
            f"{what} ({_span(placed)}) has no day in common with the first product ({_span(cube)}).",
            hint="Open the same period of both.",
        )
    if common < len(days):
        tell(f"{what} lacks {len(days) - common} of {len(days)} days; they are empty.")
    return placed if np.array_equal(days, placed["time"].values) else on_days(placed, days)


def on_days(ds: xr.Dataset, days: np.ndarray) -> xr.Dataset:
    """The dataset on certain days; those that it lacks are empty."""
    ds, fill = with_room(ds)
    moved = ds.reindex(time=days, fill_value=fill)
    moved["time"].attrs = ds["time"].attrs
    return moved


def _span(ds: xr.Dataset) -> str:
    days = ds["time"].values.astype("M8[D]")
    return f"{days[0]} to {days[-1]}"
