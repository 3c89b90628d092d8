"""Constants of the SOLUS100 layers: grid, names, scales, fill value."""

from __future__ import annotations

SCALARS = {
    "sandtotal": 1, "silttotal": 1, "claytotal": 1, "dbovendry": 100, "soc": 1000, "cec7": 10, "ecec": 10, "ec": 10,
    "gypsum": 10, "ph1to1h2o": 100, "caco3": 1, "fragvol": 1, "sar": 1, "sandvc": 1, "sandco": 1, "sandmed": 1,
    "sandfine": 1, "sandvf": 1,
}  # fmt: skip
"""Divisors of the stored integers, from the product's table of layers; they are not in the files."""
PROPERTIES = {"sand": "sandtotal", "silt": "silttotal", "clay": "claytotal", "bulk_density": "dbovendry"}
EPSG, LEFT, TOP, PIXEL = 5070, -2540000, 3258000, 100
NODATA = 255
"""Fill value of the byte layers."""
