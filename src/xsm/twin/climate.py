"""The climate of a place: the longitude in North America where as much rain falls, which rain and land cover follow."""

from __future__ import annotations

import numpy as np

from xsm.twin.projection import transformer

PLACES = (
    (-77, -12, 20), (-68, -16, 600), (-70, -33, 350), (-74, 5, 900), (-67, 10, 900), (-60, -3, 2200),
    (-48, -16, 1500), (-39, -9, 500), (-47, -23, 1400), (-58, -35, 1100), (-64, -31, 750), (-69, -46, 250),
    (-9, 39, 750), (-5, 40, 450), (2, 49, 650), (0, 52, 600), (10, 45, 800), (13, 52, 580), (22, 40, 500),
    (27, 50, 620), (38, 56, 690), (18, 60, 550), (33, 39, 400), (50, 33, 250), (69, 41, 420), (83, 55, 430),
    (107, 48, 270), (-8, 32, 280), (5, 25, 30), (31, 28, 30), (-15, 14, 500), (2, 13, 550), (3, 7, 1400),
    (15, -4, 1450), (32, 15, 150), (39, 9, 1150), (37, -1, 900), (45, 2, 420), (35, -15, 1000), (17, -22, 360),
    (28, -26, 700), (18, -34, 500), (47, 24, 100), (77, 28, 780), (73, 26, 350), (79, 17, 850), (90, 24, 2000),
    (101, 14, 1400), (106, 10, 1900), (107, -7, 1800), (102, 36, 350), (116, 40, 560), (113, 28, 1350),
    (121, 31, 1170), (127, 37, 1400), (140, 36, 1550), (121, 15, 2100), (131, -12, 1700), (134, -24, 280),
    (116, -32, 750), (141, -34, 290), (145, -38, 630), (151, -34, 1150), (147, -19, 1100), (175, -37, 1200),
)  # fmt: skip
"""Longitude, latitude and rain of a year (mm), rounded, of the order of the normals of 1991 to 2020."""
USUAL = 880.0
"""Rain of a year in mm at `MIDDLE`, whence it grows by e in `GROWTH` degrees eastward."""
MIDDLE, GROWTH = -97.0, 14.0


def climate_longitude(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Longitude in North America with the climate of a place: in North America its own.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        Degrees, any equal shapes.

    Examples
    --------
    >>> climate_longitude(np.array([-98.0, -5.0, 134.0]), np.array([36.0, 40.0, -24.0])).round().tolist()
    [-98.0, -106.0, -113.0]
    """
    lon, lat = np.asarray(lon, "f8"), np.asarray(lat, "f8")
    out, away = lon.copy(), ~((lon > -170) & (lon < -50) & (lat > 14))
    if away.any():
        total, log_rain = np.zeros((2, int(away.sum())))
        here = _unit(lon[away], lat[away])
        for *place, rain in PLACES:
            weight = 1 / (((here - _unit(*np.array(place, "f8"))[:, None]) ** 2).sum(0) + 1e-4) ** 2
            total += weight
            log_rain += weight * np.log(rain / USUAL)
        out[away] = MIDDLE + GROWTH * log_rain / total
    return out


def rain_factor(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Rain of a place relative to that of the middle of North America, 0.3 to 1.6."""
    return np.clip(np.exp((climate_longitude(lon, lat) - MIDDLE) / GROWTH), 0.3, 1.6)


def climate_east(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """EPSG:5070 metres east in North America with the climate of points (EPSG:5070 metres, any equal shapes)."""
    x, y = np.broadcast_arrays(np.asarray(x, "f8"), np.asarray(y, "f8"))
    if (np.abs(x) < 3e6).all() and (np.abs(y - 2e6) < 2e6).all():
        return x
    lon, lat = transformer("EPSG:5070", "EPSG:4326").transform(x, y)
    like = climate_longitude(lon, lat)
    return np.where(like == lon, x, (like + 96) * 88e3)


def _unit(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
