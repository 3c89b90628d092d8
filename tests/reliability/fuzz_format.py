"""What a format under test is, and the small synthetic world in its files."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xsm.contracts.source import Area
from xsm.data.grids import EASE2_M09
from xsm.twin import make_world

Damage = Callable[[Path, random.Random], None]


@dataclass(frozen=True)
class Format:
    """A format under test.

    ``make`` writes sound files and returns their paths; the one at an index of ``targets`` is damaged. ``checked``: a
    checksum covers the values, so none of them may change unnoticed. ``lies`` are changes that the rest of the file
    contradicts: they may change no value unnoticed either.
    """

    source: str
    make: Callable[[Path], list[Path]]
    damage: Mapping[str, Damage]
    targets: tuple[int, ...] = (0,)
    options: Mapping[str, Any] = field(default_factory=dict)
    window: bool = False
    checked: bool = False
    lies: Mapping[str, Damage] = field(default_factory=dict)


def small_world() -> Any:
    grid = EASE2_M09.window(330, 338, 880, 889)
    return make_world(grid, days=slice("2021-05-01", "2021-05-01"), seed=4)


def area() -> Area:
    world = small_world()
    return Area(world.bbox, world.grid)
