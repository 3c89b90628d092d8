"""What is known of a variable of the cube by its name: unit, names and range, and the part that it plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

MOISTURE = "volume_fraction_of_condensed_water_in_soil"
"""Standard name of soil moisture."""


@dataclass(frozen=True)
class Canonical:
    """A variable of the cube: unit, names, kind, physical range (values outside are clipped or refused).

    ``when_frozen``: values mean the same on frozen ground, so gap filling learns from them; retrievals do not.
    """

    units: str
    long_name: str
    standard_name: str = ""
    kind: Literal["continuous", "class", "flag"] = "continuous"
    low: float = -np.inf
    high: float = np.inf
    when_frozen: bool = False


@dataclass(frozen=True)
class Part:
    """The part that a variable plays: its role, the families that its errors rest on, and its layer of soil in cm.

    ``label`` is a short name for figures; see `xsm.data.roles` for roles and `xsm.data.families` for families.
    """

    role: str = ""
    family: str = ""
    depth: str = ""
    label: str = ""
