"""Train the bundles that come with xsm, on synthetic worlds only.

    python -m tools.train_bundles [--out src/xsm/_bundles] [--cells 48] [--days 600] [--fusion]

Four worlds side by side, each with its own weather and soil, provide training days (first 60 %) and validation days
(next 20 %). Gaps of the predictors are filled with CRU from their own series, trained on the training days of the first
world; that gap-filling bundle is shipped too. A shipped model is used where it was not trained: its spread is
calibrated to the stations of other worlds, filled with the same bundle. The truth of the worlds is never read.
Provisional: preset ``small``. ``--fusion`` trains the bundle of the fusion alone, which needs no filling.
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
from xsm.contracts.bundle import Bundle
from xsm.data.grids import EASE2_M09, Grid
from xsm.data.period import split_days
from xsm.data.scenarios import PREDICTORS
from xsm.learning.calibration import Place, to_stations
from xsm.ops.gapfill import gapfill
from xsm.study.example import Size
from xsm.twin import World, make_world
from xsm.twin.errors_model import ERRORS, Errors

SEED = 2021
SEEDS, OTHERS = ((2021, 2025), (2026, 2027)), (2022, 2023, 2024)
"""Seeds of the worlds to train on, as they lie, and of those that the spread is calibrated to."""
FILL = {"epochs": 40, "cells": 192}


def main() -> None:
    """Create the worlds, fill them, train the four estimation bundles and save all bundles."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(xsm.__file__).parent / "_bundles")
    parser.add_argument("--cells", type=int, default=48)
    parser.add_argument("--days", type=int, default=600)
    parser.add_argument("--fusion", action="store_true")
    options = parser.parse_args()
    begin = time.monotonic()
    size = Size(options.cells, "2020-01-01", options.days)
    _once(options.out / "fuse", lambda: side_by_side(size, None).sm.fit(task="fuse", seed=SEED))
    if options.fusion:
        return
    first, _ = world_cube(size.grid, size.dates, SEED)
    training_days, _ = split_days(first["time"].values.astype("M8[D]"), None, None)
    fill = _once(
        options.out / "gapfill",
        lambda: first.sm.fit(task="gapfill", variables=gappy(first), train=training_days, seed=SEED, **FILL),
    )
    cube = side_by_side(size, fill)
    places = [unseen(size, seed, fill)[0] for seed in OTHERS]
    surface = None
    for depth, number in ((5, 1), (5, 2), (25, 1), (25, 2)):
        feeds = {"surface": surface} if (depth, number) == (25, 2) else {}
        train = functools.partial(_calibrated, cube, places, depth=depth, scenario=number, seed=SEED, **feeds)
        bundle = _once(options.out / f"{depth}-{number}", train)
        surface = bundle if (depth, number) == (5, 2) else surface
        stored = sum(p.stat().st_size for p in (options.out / f"{depth}-{number}").rglob("*") if p.is_file())
        print(f"{depth} cm scenario {number}: {bundle.hash}, {stored / 1e3:.0f} kB, {time.monotonic() - begin:.0f} s")


def _once(path: Path, train: Callable[[], Bundle]) -> Bundle:
    """Load a bundle that exists, else train and save it: remove a folder to train it again."""
    return Bundle.load(path if path.exists() else train().save(path))


def gappy(cube: xr.Dataset) -> list[str]:
    """Variables of a cube that come from SMAP and have gaps."""
    return [str(n) for n in cube.data_vars if n in (*PREDICTORS, "sm_dca")]


def _calibrated(cube: xr.Dataset, places: list[Place], **what: Any) -> Bundle:
    return to_stations(cube.sm.fit(**what), places)


def side_by_side(size: Size, fill: Bundle | None) -> xr.Dataset:
    """The worlds to train on, in windows next to each other, with their gaps filled by a bundle or left."""
    grid, n = size.grid, size.cells
    rows = []
    for i, seeds in enumerate(SEEDS):
        row = grid.row0 + i * n
        windows = [EASE2_M09.window(row, row + n, col, col + n) for col in grid.col0 + n * np.arange(len(seeds))]
        cubes = [_filled(world_cube(w, size.dates, seed)[0], fill) for w, seed in zip(windows, seeds, strict=True)]
        rows.append(_joined(cubes, "x"))
    return _joined(rows, "y")


def _joined(cubes: list[xr.Dataset], dim: str) -> xr.Dataset:
    note = " ".join(cube.attrs["synthetic"] for cube in cubes)
    return xr.concat(cubes, dim, combine_attrs="drop_conflicts").assign_attrs(synthetic=note)


def unseen(size: Size, seed: int, fill: Bundle) -> tuple[Place, World]:
    """A world that was not trained on, with its gaps filled by a bundle."""
    cube, world = world_cube(size.grid, size.dates, seed)
    return Place(_filled(cube, fill), world.stations, np.ones(size.days, bool)), world


def _filled(cube: xr.Dataset, fill: Bundle | None) -> xr.Dataset:
    if fill is None:
        return cube
    return gapfill(cube, "cru", variables=gappy(cube), model=fill).compute()


def world_cube(grid: Grid, dates: np.ndarray, seed: int, errors: Errors = ERRORS) -> tuple[xr.Dataset, World]:
    """The cube of a synthetic world as readers would return it, without writing files, and the world."""
    world = make_world(grid, np.asarray(dates), seed, errors=errors)
    soil = world.truth[["sand", "silt", "clay", "bulk_density"]]
    cover = world.truth[["land_cover"]]
    nldas = world.nldas_daily.sm.regrid_ease9km(region=grid)
    return xsm.cube(world.smap, nldas, grid.assign(soil), grid.assign(cover)), world


if __name__ == "__main__":
    main()
