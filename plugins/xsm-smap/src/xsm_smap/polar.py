"""The northern polar grid of the two polar groups: EASE-Grid 2.0 North at 9 km (documentation: Formats, EASE-Grid)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from xsm import Grid

HALF = 9_000_000.0
"""Half the side of the grid in metres; the pole is its centre."""


@dataclass(frozen=True)
class PolarGrid(Grid):
    """A window of EASE2_N09: Lambert azimuthal equal-area, EPSG:6931, row 0 northernmost in the plane.

    Examples
    --------
    >>> EASE2_N09.region((-100, 60, -90, 70)).shape
    (64, 125)
    """

    epsg = 6931

    @property
    def x(self) -> np.ndarray:
        """Cell centres in metres."""
        return -HALF + (self.col + 0.5) * self.cell

    @property
    def y(self) -> np.ndarray:
        """Cell centres in metres, downwards."""
        return HALF - (self.row + 0.5) * self.cell

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Outer edges (left, bottom, right, top) in metres."""
        left, top = -HALF + self.col0 * self.cell, HALF - self.row0 * self.cell
        return left, top - self.rows * self.cell, left + self.cols * self.cell, top

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees of the box around the window."""
        return _transformer(False).transform_bounds(*self.bounds, densify_pts=21)

    def region(self, region: Any) -> PolarGrid:
        """Find the window around a box in degrees (west, south, east, north)."""
        west, south, east, north = region
        left, bottom, right, top = _transformer(True).transform_bounds(
            west, max(south, -80.0), east, north, densify_pts=101
        )
        row0, row1 = (HALF - top) / self.cell, (HALF - bottom) / self.cell
        col0, col1 = (left + HALF) / self.cell, (right + HALF) / self.cell
        return self.window(*(int(f(v)) for f, v in zip((np.floor, np.ceil) * 2, (row0, row1, col0, col1), strict=True)))

    def coords(self) -> dict[str, xr.Variable]:
        """CF coordinate variables ``y``, ``x`` and the scalar ``spatial_ref``."""
        axis = {
            d: {"axis": d.upper(), "units": "m", "standard_name": f"projection_{d}_coordinate",
                "long_name": f"{d} coordinate of projection"}
            for d in "yx"
        }  # fmt: skip
        geo = " ".join(repr(v) for v in self.geotransform)
        return {
            "y": xr.Variable("y", self.y, axis["y"]),
            "x": xr.Variable("x", self.x, axis["x"]),
            "spatial_ref": xr.Variable((), np.int64(0), {**_crs_attrs(), "GeoTransform": geo, "ease_grid": self.name}),
        }


EASE2_N09 = PolarGrid("EASE2_N09", 9000.0, (2000, 2000), 0, 0, 2000, 2000)


@functools.cache
def _transformer(to_metres: bool) -> Any:
    from pyproj import Transformer

    codes = ("EPSG:4326", "EPSG:6931") if to_metres else ("EPSG:6931", "EPSG:4326")
    return Transformer.from_crs(*codes, always_xy=True)


@functools.cache
def _crs_attrs() -> dict[str, Any]:
    from pyproj import CRS

    crs = CRS.from_epsg(6931)
    return {**crs.to_cf(), "spatial_ref": crs.to_wkt()}
