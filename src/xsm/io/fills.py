"""Fill values that a raster does not declare, by their size and by their distance from its other numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from xsm.errors import tell

LIKELY_FILLS = (-9999.0, -99999.0, -32768.0, -2147483648.0, 65535.0)
"""Extremes of a band that are rather a fill value than a measurement."""
POSSIBLE_FILLS = {
    *(sign * v for v in (99, 999, 9999, 99999, 999999, 9998, 8888, 888, 88, 77, 777, 7777) for sign in (-1, 1)),
    *(limit - step for limit in (127, 255, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**32 - 1) for step in range(6)),
    *(step - limit for limit in (127, 2**15, 2**31) for step in range(6)),
}  # fmt: skip
"""Extremes that are fill values where they lie apart from the others; those of every type and their neighbours."""
HUGE, APART = 1e15, 10
"""Size of a number that is no measurement; distance of a repeated extreme from the others, in ranges of theirs."""


def warn_of_fills(stored: np.ndarray, path: Path | str) -> None:
    """Warn of an extreme that looks like a fill value which the file does not declare."""
    finite = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored.ravel()
    if not finite.size:
        return
    for extreme in dict.fromkeys((finite.min(), finite.max())):
        if looks_like_a_fill(extreme, finite):
            tell(
                f"'{path}' contains {extreme:g}, which looks like a fill value but is not declared as one, and counts "
                f"as a value; declare it with `gdal_edit.py -a_nodata {extreme:.9g}`."
            )


def looks_like_a_fill(extreme: Any, values: np.ndarray) -> bool:
    """Whether the smallest or largest of some numbers is rather a fill value, by itself and its distance from others.

    Examples
    --------
    >>> soil = np.r_[np.arange(500, 4500), -99]
    >>> looks_like_a_fill(soil.min(), soil), looks_like_a_fill(soil.max(), soil)
    (True, False)
    """
    value = float(extreme)
    if abs(value) >= HUGE or (value in LIKELY_FILLS and not (value == 65535 and values.dtype != np.uint16)):
        return True
    others = values[values != extreme]
    if not value or not others.size:
        return False
    low, high = float(others.min()), float(others.max())
    gap, reach = max(low - value, value - high), high - low
    if any(np.isclose(value, v, rtol=1e-9, atol=0) for v in POSSIBLE_FILLS):
        apart = gap > max(reach, max(abs(low), abs(high)) / 4)
        return (apart and (low, high) != (0, 0)) or value < 0 <= low
    return gap > APART * (reach or abs(high)) > 0 and values.size - others.size > 1
