"""Depths at which stations are compared: which sensors of a station are needed, and their weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from xsm.errors import UsageError

TOLERANCE, INCHES = 1.0, 0.02
"""Centimetres, or share of the depth if that is more: 5.08 counts as 5, 20.32 as 20, 101.6 (40 inches) as 100."""
FARTHEST, SHARE = 10.0, 2 / 3
"""How far a part of a range may be from a sensor: centimetres or share of its thickness, whichever is more."""
_TEXT = re.compile(r"\s*(\d+\.?\d*)\s*(?:(?:-|to)\s*(\d+\.?\d*)\s*)?(?:cm)?\s*")


@dataclass(frozen=True)
class Depth:
    """A depth, or several, in cm, and what of a station stands for it.

    ``rule`` is ``"sensors"`` (one at each depth, averaged), ``"interpolate"`` (linearly between the sensors around the
    depth), ``"range"`` (the sensors between two depths, weighted by the layer that each represents) or ``"any"`` (the
    depth is not known: whatever there is).

    Examples
    --------
    >>> Depth((0, 30), "range").sensors([5, 10, 20, 50])
    {5.0: 0.25, 10.0: 0.25, 20.0: 0.5}
    >>> Depth((15,), "interpolate").sensors([5, 10, 20])
    {10.0: 0.5, 20.0: 0.5}
    """

    cm: tuple[float, ...] = ()
    rule: Literal["sensors", "interpolate", "range", "any"] = "sensors"

    def __str__(self) -> str:
        return f"{'-'.join(f'{d:g}' for d in self.cm)} cm" if self.cm else "depth not stated"

    def near(self, depths: np.ndarray) -> np.ndarray:
        """Which sensors could be of use."""
        if self.rule in ("any", "interpolate"):
            return np.full(len(depths), True)
        if self.rule == "range":
            return (depths >= self.cm[0] - TOLERANCE) & ((depths <= self.cm[1]) | is_at(depths, self.cm[1]))
        return np.any([is_at(depths, d) for d in self.cm], axis=0)

    def sensors(self, depths: Any) -> dict[float, float]:
        """Depths at which a station with sensors at ``depths`` is taken, with weights; empty where it cannot be."""
        if self.rule == "sensors":
            return dict.fromkeys(self.cm, 1 / len(self.cm))
        there = _distinct(np.asarray(depths, "f8"))
        if self.rule == "any":
            return {there[0]: 1.0}
        return _around(there, self.cm[0]) if self.rule == "interpolate" else _inside(there, *self.cm)


def is_at(depth: Any, other: float) -> Any:
    """Whether a sensor counts as being at another depth.

    Examples
    --------
    >>> is_at(20.32, 20), is_at(6.5, 5)
    (True, False)
    """
    return abs(depth - other) <= max(TOLERANCE, INCHES * other)


def read_depth(value: Any, method: Literal["nearest", "interpolate"] = "nearest") -> Depth:
    """Depth of a number or a text such as ``"20"``, ``"20 cm"``, ``"0-100"``.

    Examples
    --------
    >>> read_depth("0-100 cm")
    Depth(cm=(0.0, 100.0), rule='range')
    """
    match = _TEXT.fullmatch(str(value))
    if match is None or (match[2] is not None and not float(match[1]) < float(match[2])):
        raise UsageError(f"The depth is '{value}', expected centimetres.", hint="Give <depth=20>, or <depth=0-100>.")
    if match[2] is not None:
        return Depth((float(match[1]), float(match[2])), "range")
    return Depth((float(match[1]),), "sensors" if method == "nearest" else "interpolate")


def read_pair(value: str | Depth) -> Depth:
    """Depth of one or two sensors that are averaged, such as ``"10-20"``.

    Examples
    --------
    >>> read_pair("10-20")
    Depth(cm=(10.0, 20.0), rule='sensors')
    """
    return value if isinstance(value, Depth) else Depth(tuple(float(d) for d in value.split("-")))


def _distinct(depths: np.ndarray) -> list[float]:
    """Depths of different sensors, upwards; those within the tolerance of the one above are one."""
    distinct: list[float] = []
    for depth in np.sort(depths).tolist():
        if not distinct or not is_at(depth, distinct[-1]):
            distinct.append(depth)
    return distinct


def _around(there: list[float], depth: float) -> dict[float, float]:
    nearest = min(there, key=lambda d: abs(d - depth))
    if is_at(nearest, depth):
        return {nearest: 1.0}
    above, below = [d for d in there if d < depth], [d for d in there if d > depth]
    if not above or not below:
        return {}
    share = (depth - above[-1]) / (below[0] - above[-1])
    return {above[-1]: 1 - share, below[0]: share}


def _inside(there: list[float], top: float, bottom: float) -> dict[float, float]:
    inside = [d for d, near in zip(there, Depth((top, bottom), "range").near(np.array(there)), strict=True) if near]
    if not inside:
        return {}
    middles = [(a + b) / 2 for a, b in pairwise(inside)]
    away = max(inside[0] - top, bottom - inside[-1], *(m - d for d, m in zip(inside, middles, strict=False)))
    if away > max(FARTHEST, SHARE * (bottom - top)):
        return {}
    thickness = np.diff([top, *np.clip(middles, top, bottom), bottom]) / (bottom - top)
    return dict(zip(inside, thickness.tolist(), strict=True))
