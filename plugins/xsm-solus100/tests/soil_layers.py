"""Small layers of SOLUS100 for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from xsm.testing import write_layer

SHAPE = (60, 80)
LEFT, TOP = -200000, 1900000
TEXTURE = ("sandtotal", "silttotal", "claytotal")


def stored(name: str, shape=SHAPE) -> np.ndarray:
    """Whole percents whose sum is 99 to 101, with a lake."""
    rng = np.random.default_rng(3)
    shares = rng.dirichlet([4, 3, 2], shape) * 100
    layers = dict(zip(TEXTURE, np.moveaxis(np.rint(shares), -1, 0), strict=True))
    layers["dbovendry"] = rng.integers(60, 180, shape)
    out = layers[name].astype("u1")
    out[10:20, 5:15] = 255
    return out


def make(path: Path, values: np.ndarray, *, nodata=255, crs="EPSG:5070", left=LEFT, count=1, **kwargs) -> Path:
    more = {"nodata": nodata, "count": count, "compress": "deflate"} | kwargs
    return write_layer(path, values, crs, (left, TOP), 100, **more)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tif"))
