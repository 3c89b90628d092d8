"""Time from full-size SMAP granules to arrays: ``xsm.open``, h5py by hand, ``xr.open_dataset``; then worker processes.

    python -m benchmarks.bench_ingest [--granules 2] [--days 128] [--repeats 7] [--folder DIR]

Writes synthetic SPL3SMP_E granules of full size (1624 x 3856, 53 datasets in each of two groups, rows as chunks, gzip
2, global swaths, noise that compresses as badly as the product's) into a temporary folder, reads the CONUS window of
ten variables from each and removes them. "By hand" is h5py with the same masks and types, checked to be equal; the bare
slicing of the ten datasets without any mask stands beside it. Cold: the file's pages are dropped before each read
(Linux). The scaling writes ``--days`` days (hard links of the granules) to Zarr through the command line.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from xsm_smap.layout import L3_GROUPS

import xsm
from benchmarks.ingest_granules import COLS, CONUS, FLOATS, ROWS, TEN, write_granule
from xsm.data.cf import VARIABLES

GROUP = L3_GROUPS["AM"]


def through_xsm(path: Path, scheduler: str = "synchronous") -> dict[str, np.ndarray]:
    ds = xsm.open("smap", path, region="conus", margin=0, variables=TEN).compute(scheduler=scheduler)
    return {n: ds[n].values[0] for n in TEN}


def by_hand(path: Path) -> dict[str, np.ndarray]:
    """What a careful user writes with h5py: the same variables, flags and types."""
    with h5py.File(path) as file:
        group = file[GROUP]
        flags = {n: group[f"retrieval_qual_flag_{n[3:]}"][ROWS, COLS] for n in ("sm_dca", "sm_scav")}
        water = group["grid_surface_status"][ROWS, COLS] != 0
        out = {}
        for name, dataset in FLOATS.items():
            values = group[dataset][ROWS, COLS]
            low, high = VARIABLES[name].low, VARIABLES[name].high
            values[~np.isfinite(values) | (values == -9999) | (values < low) | (values > high)] = np.nan
            if name in flags:
                values[flags[name] & 0b110 != 0] = np.nan
            if name.startswith("tb"):
                values[(group[f"tb_qual_flag_{name[-1]}"][ROWS, COLS] & 1 != 0) | water] = np.nan
            out[name] = values
        flag = flags["sm_dca"]
        flag[group["EASE_row_index"][ROWS, COLS] == 65534] = 65534
    return out | {"retrieval_flag": flag}


def bare(path: Path) -> None:
    """Slice ten datasets, no masks."""
    with h5py.File(path) as file:
        for dataset in (*FLOATS.values(), "retrieval_qual_flag_dca"):
            file[GROUP][dataset][ROWS, COLS]


def through_xarray(path: Path) -> None:
    """Slice ten datasets of the group, fills to NaN by xarray, no flags."""
    dims = {"phony_dim_0": ROWS, "phony_dim_1": COLS}
    with xr.open_dataset(path, group=GROUP, engine="h5netcdf", phony_dims="sort", decode_times=False) as ds:
        ds[[*FLOATS.values(), "retrieval_qual_flag_dca"]].isel(dims).load()


METHODS: dict[str, Callable[[Path], object]] = {
    "h5py by hand": by_hand,
    "xsm.open, one thread": through_xsm,
    "xsm.open, all threads": functools.partial(through_xsm, scheduler="threads"),
    "h5py, bare slices": bare,
    "xr.open_dataset": through_xarray,
}


def forget(path: Path) -> None:
    """Drop the pages of a file from the cache, where the system can."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def per_granule(paths: list[Path], repeats: int) -> None:
    expected, ours = by_hand(paths[0]), through_xsm(paths[0])
    for name in TEN:
        np.testing.assert_array_equal(expected[name], ours[name], err_msg=name)
        assert expected[name].dtype == ours[name].dtype
    best = {name: dict.fromkeys(("cold", "warm", "CPU"), np.inf) for name in METHODS}
    for path in paths * repeats:
        for name, read in METHODS.items():
            for state in ("cold", "warm"):
                if state == "cold":
                    forget(path)
                start, busy = time.perf_counter(), time.process_time()
                read(path)
                took = {state: time.perf_counter() - start, "CPU": time.process_time() - busy}
                best[name] |= {k: min(v, best[name][k]) for k, v in took.items()}
    print("seconds a granule (minimum)      cold     warm      CPU   warm and CPU against h5py by hand")
    hand = best["h5py by hand"]
    for name, seconds in best.items():
        times = " ".join(f"{seconds[k]:8.3f}" for k in ("cold", "warm", "CPU"))
        print(
            f"{name:28s} {times}   {seconds['warm'] / hand['warm']:.2f} {seconds['CPU'] / hand['CPU']:.2f}", flush=True
        )


def scaling(folder: Path, paths: list[Path], days: int, workers: int) -> None:
    """Command line to Zarr with 1 and more workers."""
    linked = folder / "days"
    linked.mkdir()
    for i, day in enumerate(np.datetime64("2021-01-01") + np.arange(days)):
        os.link(paths[i % len(paths)], linked / f"SMAP_L3_SM_P_E_{str(day).replace('-', '')}_R19240_001.h5")
    seconds = {}
    for count in range(1, workers + 1):
        out = folder / f"out-{count}.zarr"
        command = [sys.executable, "-m", "xsm", "open", "smap", str(linked), str(out), "--region", "conus",
                   "--margin", "0", "--variables", ",".join(TEN), "--threads", str(count), "--quiet"]  # fmt: skip
        start, before = time.perf_counter(), os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds[count], after = time.perf_counter() - start, os.times()
        busy = after.children_user + after.children_system - before.children_user - before.children_system
        print(
            f"xsm open, {days} days to Zarr, {count} worker{'s' * (count > 1)}: {seconds[count]:.1f} s, "
            f"{seconds[count] / days:.3f} s a granule, {seconds[1] / seconds[count]:.2f} times as fast as one, "
            f"{busy:.1f} s of CPU",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--granules", type=int, default=2)
    parser.add_argument("--days", type=int, default=128, help="days of the scaling; 0 leaves it out")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--folder", type=Path, help="keep and reuse the granules here")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="bench-ingest-"))
    folder.mkdir(exist_ok=True)
    try:
        paths = []
        for i in range(args.granules):
            paths.append(folder / f"SMAP_L3_SM_P_E_2021060{i + 1}_R19240_001.h5")
            if not paths[-1].exists():
                write_granule(paths[-1], i)
        sizes = ", ".join(f"{p.stat().st_size / 1e6:.0f} MB" for p in paths)
        print(f"{len(paths)} granules of {sizes}; CONUS window {CONUS.rows} x {CONUS.cols}, {len(TEN)} variables")
        per_granule(paths, args.repeats)
        if args.days:
            scratch = Path(tempfile.mkdtemp(dir=folder))
            try:
                scaling(scratch, paths, args.days, args.workers)
            finally:
                shutil.rmtree(scratch)
    finally:
        if args.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
