"""Rows and columns of a grid of latitude and longitude that touch a region, wherever its longitudes begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xsm.contracts.source import Area
from xsm.errors import DataError

SAME = 1e-3
"""Degrees by which the same cell may differ between files."""
MARGIN = 3
"""Cells beside a region, for bicubic interpolation."""


@dataclass(frozen=True)
class Window:
    """A part of a grid: its axes, the slice of rows, and the slices of columns that follow each other on Earth."""

    lat: np.ndarray
    lon: np.ndarray
    rows: slice
    columns: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.lat), len(self.lon)


def east(lon: np.ndarray) -> np.ndarray:
    """Longitudes from -180 up to 180.

    Examples
    --------
    >>> east(np.array([0.0, 180.0, 359.75, -179.875]))
    array([   0.   , -180.   ,   -0.25 , -179.875])
    """
    return np.where((lon >= 180) | (lon < -180), (lon + 180) % 360 - 180, lon)


def degrees(axis: np.ndarray) -> np.ndarray:
    """Degrees as they are meant: 45.1 where single precision has 45.099998."""
    return axis.astype("f8").round(4) if axis.dtype == np.float32 else axis.astype("f8")


def is_even(axis: np.ndarray) -> bool:
    """Whether an axis has equal steps, which may count on from 360 or 180 degrees.

    Examples
    --------
    >>> is_even(np.array([359.5, 0.0, 0.5])), is_even(np.array([0.0, 0.5, 1.6]))
    (True, False)
    """
    steps = (np.diff(axis) + 180) % 360 - 180
    return axis.size < 2 or bool(np.abs(steps - np.median(steps)).max() < SAME)


def window_of(lat: np.ndarray, lon: np.ndarray, region: Area | None, path: Path) -> Window:
    """The window of a grid that touches a region, with a margin; all of it without one.

    Parameters
    ----------
    lat, lon : ndarray
        Axes in degrees, rows in either order, longitudes from -180.
    region : Area, optional
    path : Path
        File, for errors.

    Examples
    --------
    >>> lat, lon = 90 - np.arange(181.0), east(np.arange(360.0))
    >>> window = window_of(lat, lon, None, Path("a.nc"))
    >>> window.columns, float(window.lon[0])
    ((slice(180, 360, None), slice(0, 180, None)), -180.0)
    """
    order = np.argsort(lon, kind="stable")
    rows, columns = touching(lat, lon[order], region, path)
    at = order[columns]
    pieces = np.split(at, np.flatnonzero(np.diff(at) != 1) + 1)
    return Window(lat[rows], lon[at], rows, tuple(slice(int(p[0]), int(p[-1]) + 1) for p in pieces))


def touching(lat: np.ndarray, lon: np.ndarray, region: Area | None, path: Path) -> tuple[slice, slice]:
    """Rows and columns of axes in order that touch a region, with a margin; all of them without one.

    Examples
    --------
    >>> touching(90 - np.arange(181.0), np.arange(-180.0, 180.0), None, Path("a.nc"))
    (slice(0, 181, None), slice(0, 360, None))
    """
    if region is None:
        return slice(0, lat.size), slice(0, lon.size)
    west, south, east_, north = region.bbox
    rows, columns = _touching(lat, south, north), _touching(lon, west, east_)
    if rows is None or columns is None:
        raise DataError(
            f"'{path}' covers {lon.min():g} to {lon.max():g} degrees east and {lat.min():g} to {lat.max():g} north, "
            f"which does not touch the region ({west:g}, {south:g}, {east_:g}, {north:g}).",
            hint="Check the region.",
        )
    return rows, columns


def _touching(centres: np.ndarray, low: float, high: float) -> slice | None:
    half = float(np.median(np.abs(np.diff(centres)))) / 2 if centres.size > 1 else 0.0
    inside = np.flatnonzero((centres + half > low) & (centres - half < high))
    if not inside.size:
        return None
    return slice(max(int(inside[0]) - MARGIN, 0), min(int(inside[-1]) + 1 + MARGIN, centres.size))
