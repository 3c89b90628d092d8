"""The synthetic worlds of the benchmark of fusion: made, put on the grid and filled once, as a user would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from tools.train_bundles import gappy, world_cube
from xsm.data.period import split_days
from xsm.ops.gapfill import gapfill
from xsm.study.example import Size
from xsm.twin.errors_model import ERRORS, Hard

FILL = {"epochs": 12, "cells": 96}
"""Training of CRU: 40 epochs of 192 cells are no better (R of the filled retrieval in world 1: 0.838, so 0.849)."""
FULL, QUICK = Size(48, "2020-01-01", 600), Size(24, "2020-03-01", 200)


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
        """Indices of the days of the scores: the last fifth."""
        return np.flatnonzero(~self.training & ~self.validation)

    @property
    def split(self) -> dict[str, np.ndarray]:
        """Masks of the training and the validation days among those before the test days."""
        return {"train": self.training[: self.test[0]], "validation": self.validation[: self.test[0]]}

    @property
    def known_stations(self) -> xr.Dataset:
        """Records of the stations before the test days."""
        return self.stations.sel(time=self.stations["time"] < self.cube["time"].values[self.test[0]])

    def before(self, cube: xr.Dataset) -> xr.Dataset:
        """The part of a cube before the test days, which is all that a fit gets."""
        return cube.isel(time=slice(0, self.test[0]))


def prepare(seed: int, *, hard: bool = False, size: Size = FULL, fill: Mapping[str, Any] = FILL) -> Case:
    """Make a world, put its products on the grid and fill the gaps of SMAP; ``fill`` is the training of CRU."""
    cube, world = world_cube(size.grid, size.dates, seed, Hard if hard else ERRORS)
    training, validation = split_days(cube["time"].values.astype("M8[D]"), None, None)
    gaps = gappy(cube)
    bundle = cube.sm.fit(task="gapfill", variables=gaps, train=training, seed=seed, **fill)
    filled = gapfill(cube, "cru", variables=gaps, model=bundle).compute()
    return Case(seed, hard, filled, world.truth, world.stations, training, validation)
