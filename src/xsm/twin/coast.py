"""The seas beside North America: a coarse real coastline with a fractal shore, so that worlds have coasts."""

from __future__ import annotations

import numpy as np

from xsm.twin.fields import rough
from xsm.twin.projection import to_albers

ATLANTIC = (
    (-64.5, 60.3), (-60.5, 55.5), (-56.0, 53.0), (-57.0, 51.4), (-60.0, 50.2), (-66.0, 50.2), (-68.5, 48.8),
    (-65.0, 49.2), (-64.5, 48.2), (-65.0, 47.2), (-64.2, 46.2), (-60.0, 46.0), (-61.5, 45.2), (-63.5, 44.6),
    (-65.6, 43.5), (-66.2, 44.2), (-64.8, 45.3), (-67.0, 44.8), (-68.8, 44.2), (-70.2, 43.6), (-70.8, 42.8),
    (-70.9, 42.3), (-70.0, 41.8), (-70.7, 41.5), (-71.9, 41.1), (-73.9, 40.5), (-74.1, 39.8), (-74.9, 38.9),
    (-75.1, 38.4), (-75.9, 37.1), (-76.0, 36.5), (-75.5, 35.3), (-76.5, 34.7), (-77.9, 33.9), (-79.2, 33.2),
    (-80.5, 32.3), (-81.3, 31.2), (-81.4, 30.4), (-80.6, 28.5), (-80.0, 26.8), (-80.4, 25.2), (-81.2, 25.2),
    (-81.8, 26.2), (-82.6, 27.5), (-82.8, 28.9), (-83.9, 30.0), (-85.3, 29.7), (-86.5, 30.4), (-88.1, 30.3),
    (-89.3, 30.3), (-89.4, 29.2), (-90.8, 29.1), (-92.3, 29.6), (-94.0, 29.7), (-95.0, 29.1), (-96.8, 28.2),
    (-97.3, 27.3), (-97.2, 25.9), (-97.7, 24.0), (-97.8, 22.3), (-96.4, 19.2), (-94.5, 18.2), (-92.0, 18.6),
    (-90.5, 20.0), (-90.3, 21.1), (-87.0, 21.5), (-87.5, 18.5), (-60.0, 18.0), (-45.0, 30.0), (-45.0, 60.0),
)  # fmt: skip
PACIFIC = (
    (-140.0, 59.8), (-136.5, 58.0), (-133.5, 55.0), (-130.5, 54.5), (-128.2, 51.5), (-128.0, 50.8), (-125.2, 48.7),
    (-124.7, 48.4), (-124.1, 46.9), (-124.0, 46.0), (-124.1, 44.6), (-124.5, 42.8), (-124.2, 41.8), (-124.3, 40.4),
    (-123.7, 38.9), (-122.5, 37.8), (-121.9, 36.6), (-120.6, 34.6), (-118.5, 34.0), (-117.2, 32.7), (-116.7, 31.6),
    (-115.8, 30.3), (-114.2, 28.2), (-112.3, 26.0), (-110.0, 23.0), (-109.4, 23.1), (-105.6, 20.5), (-102.0, 18.0),
    (-97.0, 15.8), (-97.0, 10.0), (-150.0, 10.0), (-150.0, 60.0),
)  # fmt: skip
"""Longitude and latitude along the shore (to about a quarter of a degree), closed through the open sea."""
SHORE = 10e3
"""Metres, standard deviation of the shore about the coarse line."""


def ocean(seed: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mark points (EPSG:5070 metres, any equal shapes) in the Atlantic, the Gulf or the Pacific."""
    inside = np.zeros(x.shape, bool)
    for sea in (ATLANTIC, PACIFIC):
        corners = np.stack(to_albers(*np.array(sea).T), 1)
        edges = np.stack([corners, np.roll(corners, -1, 0)])
        near = (edges.max(0) > np.array([x.min(), y.min()]) - 6 * SHORE).all(1)
        near &= (edges.min(0) < np.array([x.max(), y.max()]) + 6 * SHORE).all(1)
        if not near.any():
            inside |= _within(edges, np.array([x.flat[0]]), np.array([y.flat[0]]))[0]
            continue
        east, north = (SHORE * rough(seed, f"shore {way}", 60e3).at(x, y) for way in ("east", "north"))
        inside |= _within(edges, x + east, y + north)
    return inside


def _within(edges: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd rule over the edges (2, edge, 2) of a polygon."""
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in edges.swapaxes(0, 1):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
