"""Coasts, borders, states and lakes for maps: Natural Earth 1:50 million (public domain), in hundredths of a degree.

`tools/make_lines.py` made the file. Coasts and borders cover the world, states the United States, Canada, Brazil and
Australia, lakes the large ones.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from xsm.errors import unknown

FILE = Path(str(files("xsm") / "data" / "lines.npz"))
KINDS = ("coast", "lake", "border", "state")
STEP = 0.01
"""Degrees of a step of the stored whole numbers."""


def lines(kind: str, box: tuple[float, float, float, float] | None = None) -> list[np.ndarray]:
    """Lines of one kind in degrees.

    Parameters
    ----------
    kind : {"coast", "lake", "border", "state"}
        What the lines are.
    box : tuple of float, optional
        West, south, east and north in degrees: only lines that come near it; longitudes may run beyond 180.

    Returns
    -------
    list of ndarray
        Each (point, 2): longitude in -180 to 180 (or where the box lies), and latitude.

    Examples
    --------
    >>> chad = lines("border", (13, 7, 24, 24))
    >>> len(chad) > 3, chad[0].shape[1]
    (True, 2)
    """
    if kind not in KINDS:
        raise unknown("kind of line", kind, KINDS)
    points, ends = (_stored()[f"{kind}_{part}"] for part in ("points", "ends"))
    parts = np.split(points * STEP, ends[:-1])
    if box is None:
        return parts
    west, south, east, north = box
    turns = [np.array((turn, 0.0)) for turn in (-360, 0, 360) if turn - 180 < east and turn + 180 > west]
    shifted = [part + turn for turn in turns for part in parts]
    return [p for p in shifted if (p.max(0) >= (west, south)).all() and (p.min(0) <= (east, north)).all()]


@functools.cache
def _stored() -> dict[str, Any]:
    with np.load(FILE, allow_pickle=False) as stored:
        return dict(stored)
