"""Time a day and peak memory of each stage for CONUS at 9 km over 10, 20 and 40 days, and five years from them.

    python -m benchmarks.bench_scale [--days 10,20,40] [--threads 1,2] [--quick] [--folder DIR]

Files have full size: two synthetic SMAP granules of `make bench-ingest` are linked under the names of all days, and one
synthetic day of NLDAS is copied to all of them. Soil maps are random and on the grid, since they cost the same for any
period (`make bench-regrid` times them). Each stage is a command; memory is that of its largest process. `xsm estimate`
of 25 cm computes the 5 cm estimate again; `xsm run` reuses it, which has a row of its own and is what the sum counts.
The models are those that come with xsm (preset small, one member, overlap and spread included). Five years: the slope
between the shortest and the longest period times 1,826 days, beside the goal of three hours.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

import xsm
from benchmarks.ingest_granules import TEN, write_granule
from xsm.contracts.registry import get_source
from xsm.twin import make_world

FIVE_YEARS, TARGET_H = 1826, 3.0
FIRST = np.datetime64("2021-06-01")
QUICK = "-100,35,-94,40"
ALONE = "25 cm alone"
"""The stage that no study needs; the sum leaves it out."""


def make_inputs(folder: Path, days: int, region: str) -> None:
    """Write the files of a period; what all periods share lies in ``folder/shared``."""
    shared = folder / "shared"
    shared.mkdir(exist_ok=True)
    granules = [shared / f"granule{i}.h5" for i in range(2)]
    for i, path in enumerate(granules):
        if not path.exists():
            write_granule(path, i)
    window = xsm.EASE2_M09.region(region)
    if not (shared / "NLDAS").exists():
        get_source("nldas").write(make_world(window, FIRST + np.arange(1), 1), shared / "NLDAS")
    hours = sorted((shared / "NLDAS").rglob("*.nc"))
    for name in ("SMAP", "NLDAS"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
    for i in range(days):
        day = str(FIRST + i).replace("-", "")
        os.link(granules[i % 2], folder / "SMAP" / f"SMAP_L3_SM_P_E_{day}_R19240_001.h5")
        for path in hours:
            copy = folder / "NLDAS" / path.name.replace(str(FIRST).replace("-", ""), day)
            shutil.copyfile(path, copy)
            with h5py.File(copy, "r+") as file:
                file["time"][...] += 24 * i
    g, shape = np.random.default_rng(0), (2, *window.shape)
    sand, silt = g.uniform(20, 40, shape), g.uniform(20, 40, shape)
    soil = {"sand": sand, "silt": silt, "clay": 100 - sand - silt, "bulk_density": np.full(shape, 1.3)}
    units = {"bulk_density": "g cm-3"}
    ds = xr.Dataset(
        {n: (("soil_depth", "y", "x"), v.astype("f4"), {"units": units.get(n, "percent")}) for n, v in soil.items()},
        {"soil_depth": [5, 30]},
    )
    xsm.io.files.write(window.assign(ds), folder / "soil.nc", overwrite=True)


def stages(folder: Path, region: str, threads: int) -> dict[str, list[str]]:
    """The command of each stage, in order."""
    commands = {
        name: ["xsm", *command, "--overwrite", "--threads", str(threads), "--quiet"]
        for name, command in _commands(folder, region).items()
    }
    deep = [str(folder / f"{n}.zarr") for n in ("filled", "sm5", "sm25")]
    return commands | {"25 cm from 5 cm": ["benchmarks.scale_deep", *deep, str(threads)]}


def _commands(folder: Path, region: str) -> dict[str, list[str]]:
    at, zarr = ["--region", region, "--margin", "0"], {n: str(folder / f"{n}.zarr") for n in (
        "smap", "nldas", "noah", "cube", "filled", "sm5", "sm25")}  # fmt: skip
    return {
        "ingest SMAP": ["open", "smap", str(folder / "SMAP"), zarr["smap"], *at, "--variables", ",".join(TEN)],
        "ingest NLDAS": ["open", "nldas", str(folder / "NLDAS"), zarr["nldas"], *at],
        "regrid NLDAS": ["regrid-ease9km", zarr["nldas"], zarr["noah"], "--region", region],
        "cube": ["cube", zarr["smap"], zarr["noah"], str(folder / "soil.nc"), zarr["cube"]],
        "gap fill": ["gapfill-cru", zarr["cube"], zarr["filled"], "--model", "pretrained"],
        "estimate 5 cm": ["estimate", zarr["filled"], zarr["sm5"], "--depth", "5", "--scenario", "2"],
        ALONE: ["estimate", zarr["filled"], zarr["sm25"], "--depth", "25", "--scenario", "2"],
    }


def measure(command: list[str], threads: int) -> tuple[float, float, float]:
    """Run a module of Python: seconds, seconds of CPU, GB of its largest process."""
    start = time.perf_counter()
    run = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert run.stderr is not None
    errors = run.stderr.read().decode()
    _, status, usage = os.wait4(run.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: {errors}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", default="10,20,40")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--quick", action="store_true", help=f"only the region {QUICK}")
    parser.add_argument("--folder", type=Path, help="keep and reuse the granules here")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="bench-scale-"))
    folder.mkdir(exist_ok=True)
    region = QUICK if args.quick else "conus"
    periods = [int(n) for n in args.days.split(",")]
    try:
        for threads in (int(n) for n in args.threads.split(",")):
            print(f"{threads} worker{'s' * (threads > 1)}, {region}: seconds a day (GB of the largest process)")
            print(f"{'days':16}" + "".join(f"{d:>16}" for d in periods) + f"{'five years, h':>16}", flush=True)
            took: dict[str, list[float]] = {}
            rows: dict[str, str] = {}
            for days in periods:
                make_inputs(folder, days, region)
                for name, command in stages(folder, region, threads).items():
                    seconds, _, memory = measure(command, threads)
                    took.setdefault(name, []).append(seconds)
                    rows[name] = rows.get(name, f"{name:16}") + f"{f'{seconds / days:.2f} ({memory:.2f})':>16}"
            total = 0.0
            for name, spent in took.items():
                slope = (
                    (spent[-1] - spent[0]) / (periods[-1] - periods[0]) if len(periods) > 1 else spent[0] / periods[0]
                )
                hours = slope * FIVE_YEARS / 3600
                total += hours if name != ALONE else 0
                print(f"{rows[name]}{hours:16.2f}", flush=True)
            print(
                f"{'all':16}{'':{16 * len(periods)}}{total:16.2f}  (goal {TARGET_H:.0f} h on two cores)\n", flush=True
            )
    finally:
        if args.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
