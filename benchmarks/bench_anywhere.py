"""Fusion on other continents, from synthetic files of SMAP, ERA5-Land and SoilGrids, against the truth.

    python -m benchmarks.bench_anywhere [--cells 48] [--days 600] [--seed 1] [--places iberia,east_africa]
                                        [--retrieval smap] [--model era5_land] [--quick] [--strict]

For each place a world is written in the products' formats, opened, joined and fused. The fit gets the days before the
last fifth and never the truth; scores are those of the last fifth, on thawed cell-days that every product has: medians
over cells of R and ubRMSE, pooled RMSE. The retrieval beside its fusion and in the mean of the inputs is filled by CRU,
which learns from the same days. *Noah as NLDAS-2* is the land model of the twin as it would be written for North
America. ``--strict`` ends with code 4 where a target is missed; ``--quick`` runs 12 x 12 cells and 80 days.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

import xsm
from benchmarks.estimate_twin import SCORES, scores
from xsm.data.masks import with_masks
from xsm.data.period import split_days
from xsm.data.roles import holders
from xsm.twin import World, default_grid, make_world, write_world

PLACES = {"iberia": (-5.6, 38.8), "east_africa": (37.4, -0.2), "australia": (147.0, -33.0), "plains": (-98.0, 36.0)}
"""Longitude and latitude of the middle of each window."""
SKILL = {5: ("mean of inputs", 0.03, 0.88, 0.92), 25: ("land model", 0.05, 0.90, 0.88)}
"""Targets of fusion: product to beat, gain in R, factors on ubRMSE and RMSE."""
FILL = {"epochs": 12, "cells": 96}
Rows = dict[int, dict[str, xr.DataArray]]


def cube_of(world: World, retrieval: str, model: str, folder: Path) -> xr.Dataset:
    """The products of a world from its files, joined on the 9 km grid and loaded."""
    write_world(world, folder, (retrieval, model, "soilgrids"))
    grid = world.grid
    opened = [xsm.open(name, folder / name.upper(), region=grid, margin=0) for name in (retrieval, model, "soilgrids")]
    return xsm.cube(*(ds.sm.regrid_ease9km(region=grid) for ds in opened)).load()


def products(cube: xr.Dataset, world: World, training: np.ndarray, validation: np.ndarray, seed: int) -> Rows:
    """The fused maps and what they were made from, by depth (cm) and name, each (time, y, x)."""
    names = holders(cube)
    retrieval, surface, root = (names[role] for role in ("retrieval", "model_surface", "model_root"))
    known = int(np.flatnonzero(~training & ~validation)[0])
    split = {"train": training[:known], "validation": validation[:known]}
    bundle = xsm.fit(cube.isel(time=slice(0, known)), task="fuse", seed=seed, **split)
    fused = xsm.fuse(cube, model=bundle)
    filling = xsm.fit(cube, task="gapfill", variables=[retrieval], train=training, seed=seed, **FILL)
    filled = xsm.gapfill(cube, "cru", variables=[retrieval], model=filling)[retrieval]
    noah = world.nldas_daily.sm.regrid_ease9km(region=world.grid)
    return {
        5: {
            "fuse": fused["sm_5cm"], "mean of inputs": (filled + cube[surface]) / 2, "retrieval, filled": filled,
            "land model": cube[surface], "Noah as NLDAS-2": noah["sm_noah_0_10"],
        },
        25: {"fuse": fused["sm_25cm"], "land model": cube[root], "Noah as NLDAS-2": noah["sm_noah_10_40"]},
    }  # fmt: skip


def evaluate(rows: Rows, world: World, frozen: xr.DataArray, test: np.ndarray) -> dict[int, dict[str, np.ndarray]]:
    """Scores of each product on the test days, on the thawed cell-days that all of a depth have."""
    thawed, out = ~frozen.astype(bool), {}
    for depth, group in rows.items():
        truth = world.truth[f"sm_{depth}cm"]
        counts = thawed & truth.notnull()
        for values in group.values():
            counts = counts & values.notnull()

        def series(values: xr.DataArray, counts: xr.DataArray = counts) -> np.ndarray:
            return values.where(counts).transpose("time", "y", "x").values[test].reshape(int(test.sum()), -1)

        out[depth] = {name: scores(series(values), series(truth)) for name, values in group.items()}
    return out


def show(place: str, table: dict[int, dict[str, np.ndarray]]) -> bool:
    """Print the scores and the targets of a place; return whether all are met."""
    good = True
    for depth, rows in table.items():
        print(f"\n| {place}, {depth} cm | {' | '.join(SCORES)} |\n| --- | --- | --- | --- |")
        for name, (r, ubrmse, rmse) in rows.items():
            print(f"| {name} | {r:.3f} | {ubrmse:.4f} | {rmse:.4f} |")
        other, gain, less, factor = SKILL[depth]
        got, base = rows["fuse"], rows[other]
        checks = {
            f"R {got[0] - base[0]:+.3f} to {other} (target {gain:+})": got[0] >= base[0] + gain,
            f"ubRMSE x {got[1] / base[1]:.3f} (target {less})": got[1] <= less * base[1],
            f"RMSE x {got[2] / base[2]:.3f} (target {factor})": got[2] <= factor * base[2],
        }
        print()
        for what, met in checks.items():
            print(f"- {'yes' if met else 'NO '} {what}")
        good &= all(checks.values())
    sys.stdout.flush()
    return good


def main() -> None:
    """Make the worlds one by one and print what fusion reaches in them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=48)
    parser.add_argument("--days", type=int, default=600)
    parser.add_argument("--start", default="2020-01-01")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--places", default="iberia,east_africa", help=f"of {', '.join(PLACES)}")
    parser.add_argument("--retrieval", default="smap")
    parser.add_argument("--model", default="era5_land")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--strict", action="store_true")
    args = parser.parse_args()
    cells, count, start = (12, 80, "2020-06-01") if args.quick else (args.cells, args.days, args.start)
    days, good = np.datetime64(start) + np.arange(count), True
    for place in args.places.split(","):
        begin = time.monotonic()
        world = make_world(default_grid(cells, *PLACES[place]), days, args.seed)
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            cube = cube_of(world, args.retrieval, args.model, Path(folder))
            training, validation = split_days(cube["time"].values.astype("M8[D]"), None, None)
            rows = products(cube, world, training, validation, args.seed)
            table = evaluate(rows, world, with_masks(cube)["frozen"], ~training & ~validation)
        seconds = time.monotonic() - begin
        print(f"\n## {place}: {args.retrieval}, {args.model}, seed {args.seed}, {cells} x {cells} cells, {count} days, "
              f"{seconds:.0f} s")  # fmt: skip
        good &= show(place, table)
    sys.exit(4 if args.strict and not good else 0)


if __name__ == "__main__":
    main()
