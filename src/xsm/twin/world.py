"""`World`: a synthetic truth with what SMAP, a land model and stations report of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.grids import EASE2_M09, Grid
from xsm.errors import UsageError
from xsm.twin import land_model, smap, stations
from xsm.twin.errors_model import ERRORS, Errors
from xsm.twin.land import Land
from xsm.twin.land_model import LandModel


@dataclass
class World(Land):
    """A synthetic world: truth, SMAP, land model, soil maps, land cover and stations that agree with each other.

    Make one with `make_world`.

    Parameters
    ----------
    grid : Grid
        Window of EASE2_M09.
    days : numpy.ndarray
        Contiguous UTC days, datetime64[D].
    seed : int
    errors : Errors
        Error sizes of all observing systems.
    """

    @functools.cached_property
    def smap(self) -> xr.Dataset:
        """SMAP L3 enhanced, morning pass, from the instrument and the retrievals; see `smap.simulate`."""
        return smap.simulate(self)

    @functools.cached_property
    def land_model(self) -> LandModel:
        """The land model's own run on its 0.125 degree cells."""
        return land_model.simulate(self)

    @functools.cached_property
    def nldas_daily(self) -> xr.Dataset:
        """Daily canonical fields of the land model, (time, lat, lon)."""
        return land_model.nldas_daily(self, self.land_model)

    def nldas_hours(self, day: np.datetime64 | str) -> xr.Dataset:
        """24 hours of one day under the names and units of the NLDAS-2 Noah product; see `land_model.nldas_hours`."""
        return land_model.nldas_hours(self, self.land_model, np.datetime64(day).astype("M8[D]"))

    @functools.cached_property
    def stations(self) -> xr.Dataset:
        """Hourly records of stations, (sensor, time); see `stations.records`."""
        return stations.records(self)


def default_grid(size: int = 32, lon: float = -98.0, lat: float = 36.0) -> Grid:
    """Square window of ``size`` cells around a point, by default in the southern Great Plains."""
    row, col = (int(v) - size // 2 for v in EASE2_M09.rowcol(lon, lat))
    return EASE2_M09.window(row, row + size, col, col + size)


def make_world(region: Any = None, days: Any = 120, seed: int = 0, *, errors: Errors = ERRORS) -> World:
    """Make a synthetic world.

    Parameters
    ----------
    region : optional
        Anything that `xsm.Grid.region` takes; by default 32 x 32 cells at 36 N, 98 W.
    days : int, slice or array of datetime64
        Number of days from 2021-04-01, first and last day as a slice, or the days themselves.
    seed : int
        Another seed is another world.
    errors : Errors
        Error sizes, by default those of `xsm.twin.errors_model`; `xsm.twin.Hard` for a land model with more errors.

    Examples
    --------
    >>> world = make_world(days=slice("2022-07-01", "2022-07-10"))
    >>> dict(world.truth["sm_5cm"].sizes)
    {'time': 10, 'y': 32, 'x': 32}
    >>> from xsm.twin import Hard
    >>> hard = make_world(days=slice("2022-07-01", "2022-07-10"), errors=Hard)  # the same truth
    >>> hard.truth["sm_5cm"].equals(world.truth["sm_5cm"])
    True
    """
    grid = default_grid() if region is None else region if isinstance(region, Grid) else EASE2_M09.region(region)
    if grid.name != EASE2_M09.name:
        raise UsageError(f"The region is on {grid.name}, expected {EASE2_M09.name}.", hint="Give a 9 km window.")
    if isinstance(days, slice):
        days = np.arange(np.datetime64(days.start, "D"), np.datetime64(days.stop, "D") + 1)
    elif np.ndim(days) == 0:
        days = np.datetime64("2021-04-01") + np.arange(int(days))
    days = np.asarray(days).astype("datetime64[D]")
    if len(days) < 1 or (np.diff(days).astype(int) != 1).any():
        raise UsageError(
            f"The {len(days)} days are not contiguous.", hint="Give a number of days, a slice or every day."
        )
    return World(grid, days, int(seed), errors)
