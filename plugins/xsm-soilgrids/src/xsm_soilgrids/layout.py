"""Constants of the SoilGrids 2.0 layers: names, units, depths, grid, fill value."""

from __future__ import annotations

import re

PROPERTIES = {"sand": "sand", "silt": "silt", "clay": "clay", "bulk_density": "bdod"}
UNITS = {**dict.fromkeys(("sand", "silt", "clay"), "g kg-1"), "bulk_density": "cg cm-3"}
"""Units of the stored numbers, by the product's table of properties; they are not in the files."""
LAYERS = {
    "0-5": (0, 5),
    "5-15": (5, 15),
    "15-30": (15, 30),
    "30-60": (30, 60),
    "60-100": (60, 100),
    "100-200": (100, 200),
}
"""Top and bottom in cm."""
NODATA = -32768
NAME = re.compile(
    r"(?P<property>[a-z0-9]+)_(?P<layer>\d+-\d+)cm_(?P<statistic>mean|Q0\.05|Q0\.5|Q0\.95|uncertainty)"
    r"(?:_\d+)*\.(?:tiff?|vrt)$"
)
IGH = (
    'PROJCS["Interrupted_Goode_Homolosine",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Interrupted_Goode_Homolosine"],'
    'PARAMETER["central_meridian",0],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'
)
LEFT, TOP, PIXEL = -19949750, 8361000, 250
SHAPE = (58034, 159246)
TILE, SIDE = 450, 4
"""Pixels of a tile, and tiles along a side of the folder that they lie in."""


def layer_of(depth: int) -> str:
    """The layer that a depth in cm lies in; its lower boundary belongs to it.

    Examples
    --------
    >>> layer_of(5), layer_of(25), layer_of(30), layer_of(31)
    ('0-5', '15-30', '15-30', '30-60')
    """
    return next(name for name, (top, bottom) in LAYERS.items() if top < depth <= bottom)
