"""The synthetic worlds of the benchmark of fusion: made, put on the grid and filled once, as a user would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from tools.train_bundles import FILL, gappy, world_cube
from xsm.data.period import split_days
from xsm.ops.gapfill import gapfill
from xsm.study.example import Size
from xsm.twin.errors_model import ERRORS, Hard


@dataclass(frozen=True)
class Case:
    """A prepared world.

    Parameters
    ----------
    seed : int
    hard : bool
        Whether the world has the errors of `xsm.twin.Hard`.
    cube : xarray.Dataset
        All products on the grid; SMAP filled by CRU, which learned from the training days.
    truth, stations : xarray.Dataset
        See `xsm.twin.World`.
    training, validation : numpy.ndarray
        Boolean masks of days; the other days are those of the scores.
    """

    seed: int
    hard: bool
    cube: xr.Dataset
    truth: xr.Dataset
    stations: xr.Dataset
    training: np.ndarray
    validation: np.ndarray

    @property
    def test(self) -> np.ndarray:
        """Indices of the days of the scores."""
        return np.flatnonzero(~self.training & ~self.validation)


def prepare(seed: int, *, hard: bool = False, cells: int = 48, days: int = 600) -> Case:
    """Make a world, put its products on the grid and fill the gaps of SMAP."""
    size = Size(cells, "2020-01-01", days)
    cube, world = world_cube(size.grid, size.dates, seed, Hard if hard else ERRORS)
    training, validation = split_days(cube["time"].values.astype("M8[D]"), None, None)
    fill = cube.sm.fit(task="gapfill", variables=gappy(cube), train=training, seed=seed, **FILL)
    cube = gapfill(cube, "cru", variables=gappy(cube), model=fill).compute()
    return Case(seed, hard, cube, world.truth, world.stations, training, validation)
