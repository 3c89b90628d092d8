"""Train the bundles that come with xsm, on synthetic worlds only.

    python -m benchmarks.make_bundles [--out src/xsm/_bundles] [--cells 48] [--days 600]

One world (seed 2021) gives training days (first 60 %) and validation days (next 20 %). Gaps of the predictors are
filled with CRU from their own series, trained on the training days; that gap-filling bundle is shipped too. A shipped
model is used where it was not trained: the spread is calibrated to the stations of other worlds, filled with the same
bundle. The truth of no world is looked at.
Provisional: preset ``small``.
"""

from __future__ import annotations

import argparse
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xsm
from xsm.bundle import Bundle
from xsm.calibrate import Place, to_stations
from xsm.demo import Size
from xsm.ops.gapfill import gapfill
from xsm.scenarios import SMAP_ANCILLARY
from xsm.training import split_days
from xsm.twin import World, make_world

SEED, OTHERS = 2021, (2022, 2023, 2024)
FILL = {"epochs": 40, "cells": 192}


def main() -> None:
    """Make the world, fill it, train the four estimation bundles and save all of them."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(xsm.__file__).parent / "_bundles")
    parser.add_argument("--cells", type=int, default=48)
    parser.add_argument("--days", type=int, default=600)
    options = parser.parse_args()
    begin = time.monotonic()
    cube, _ = world_cube(Size(options.cells, "2020-01-01", options.days), SEED)
    used, _ = split_days(cube["time"].values.astype("M8[D]"), None, None)
    fill = _once(
        options.out / "gapfill",
        lambda: cube.sm.fit(task="gapfill", variables=gappy(cube), train=used, seed=SEED, **FILL),
    )
    cube = gapfill(cube, "cru", variables=gappy(cube), model=fill)
    places = [unseen(Size(options.cells, "2020-01-01", options.days), seed, fill)[0] for seed in OTHERS]
    surface = None
    for depth, number in ((5, 1), (5, 2), (25, 1), (25, 2)):
        feeds = {"surface": surface} if (depth, number) == (25, 2) else {}
        train = functools.partial(_calibrated, cube, places, depth=depth, scenario=number, seed=SEED, **feeds)
        bundle = _once(options.out / f"{depth}-{number}", train)
        surface = bundle if (depth, number) == (5, 2) else surface
        size = sum(p.stat().st_size for p in (options.out / f"{depth}-{number}").rglob("*") if p.is_file())
        print(f"{depth} cm scenario {number}: {bundle.hash}, {size / 1e3:.0f} kB, {time.monotonic() - begin:.0f} s")


def _once(path: Path, train: Callable[[], Bundle]) -> Bundle:
    """Load a bundle that is there, else train and save it: remove a folder to train it anew."""
    return Bundle.load(path if path.exists() else train().save(path))


def gappy(cube: xr.Dataset) -> list[str]:
    """Variables of SMAP that a cube holds and that have gaps."""
    return [str(n) for n in cube.data_vars if n in (*SMAP_ANCILLARY, "sm_dca")]


def _calibrated(cube: xr.Dataset, places: list[Place], **what: Any) -> Bundle:
    return to_stations(cube.sm.fit(**what), places)


def unseen(size: Size, seed: int, fill: Bundle) -> tuple[Place, World]:
    """A world of which no day was learnt from, its gaps filled by a bundle."""
    cube, world = world_cube(size, seed)
    filled = gapfill(cube, "cru", variables=gappy(cube), model=fill).compute()
    return Place(filled, world.stations, np.ones(size.days, bool)), world


def world_cube(size: Size, seed: int) -> tuple[xr.Dataset, World]:
    """The cube of a synthetic world as the readers would give it, without the way through files; and the world."""
    world = make_world(size.grid, np.asarray(size.dates), seed)
    soil = world.truth[["sand", "silt", "clay", "bulk_density"]]
    cover = world.truth[["land_cover"]]
    nldas = world.nldas_daily.sm.regrid_ease9km(region=size.grid)
    return xsm.cube(world.smap, nldas, size.grid.assign(soil), size.grid.assign(cover)), world


if __name__ == "__main__":
    main()
