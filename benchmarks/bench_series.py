"""Anomalies, climatologies and percentiles of a stack of maps, beside pytesmo and scipy, series by series, in one run.

    python -m benchmarks.bench_series [--size 128] [--years 5] [--sample 3] [--store] [--whole]

The stack is a part of CONUS, ``size`` x ``size`` cells, in memory or (``--store``) in a Zarr store to which results are
written too; seconds are extrapolated to its 307 x 622 cells. Blocks of 64 x 64 cells run in threads. ``--whole``
computes all of CONUS: 1.4 GB of float32 in five years, and three times that at the peak. The libraries take one series
at a time; ``sample`` of them are measured and compared value by value.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pytesmo.time_series.anomaly import calc_anomaly, calc_climatology
from scipy import stats

import xsm

CONUS = (307, 622)
CHUNK = 64
Peer = Callable[[pd.Series], Any]


def stack(shape: tuple[int, int], years: int) -> xr.Dataset:
    """Soil moisture (time, y, x) with a season, a memory of ten days and 30 percent of gaps."""
    days = pd.date_range("2017-01-01", periods=round(365.25 * years))
    rng = np.random.default_rng(0)
    values = np.empty((len(days), *shape), "f4")
    season = 0.06 * np.cos(2 * np.pi * days.day_of_year.to_numpy() / 365.25)
    state = np.zeros(shape, "f4")
    for t in range(len(days)):
        state = 0.9 * state + rng.normal(0, 0.02, shape).astype("f4")
        values[t] = np.clip(0.25 + season[t] + state, 0.02, 0.6)
        values[t][rng.random(shape, "f4") < 0.3] = np.nan
    return xr.Dataset({"sm": (("time", "y", "x"), values, {"units": "m3 m-3"})}, {"time": days})


def ranks(data: pd.Series) -> np.ndarray:
    """Percentiles of each day by scipy, among all days within 15 days of year."""
    late = ~data.index.is_leap_year & (data.index.day_of_year > 59)
    number, values = (data.index.day_of_year + late).to_numpy(), data.to_numpy()
    out = np.full(len(values), np.nan)
    for day in np.unique(number):
        apart = np.abs(number - day)
        near = values[np.minimum(apart, 366 - apart) <= 15]
        those = np.flatnonzero((number == day) & np.isfinite(values))
        out[those] = stats.percentileofscore(near[np.isfinite(near)], values[those], kind="mean")
    return out


def beta(data: pd.Series) -> np.ndarray:
    """Percentiles of each day by a beta distribution of scipy, fitted by moments."""
    late = ~data.index.is_leap_year & (data.index.day_of_year > 59)
    number, values = (data.index.day_of_year + late).to_numpy(), data.to_numpy()
    out = np.full(len(values), np.nan)
    for day in np.unique(number):
        apart = np.abs(number - day)
        near = values[np.minimum(apart, 366 - apart) <= 15]
        mean, variance = np.nanmean(near), np.nanvar(near)
        size = mean * (1 - mean) / variance - 1
        out[number == day] = 100 * stats.beta.cdf(values[number == day], mean * size, (1 - mean) * size)
    return out


VERBS: dict[str, tuple[str, dict[str, Any], Peer]] = {
    "anomaly, moving mean": ("anomaly", {}, calc_anomaly),
    "anomaly, climatology": (
        "anomaly",
        {"method": "climatology"},
        lambda s: calc_anomaly(s, climatology=calc_climatology(s), respect_leap_years=False),
    ),
    "climatology": ("climatology", {}, calc_climatology),
    "percentile, empirical": ("percentile", {"min_years": 1}, ranks),
    "percentile, beta": ("percentile", {"method": "beta", "min_years": 1}, beta),
}


def peer(ds: xr.Dataset, function: Peer, sample: int) -> tuple[float, list[tuple[int, int]], list[np.ndarray]]:
    """Seconds per series of a library, the cells that it computed, and its results."""
    rng = np.random.default_rng(1)
    cells = [(int(rng.integers(ds.sizes["y"])), int(rng.integers(ds.sizes["x"]))) for _ in range(sample)]
    series = [ds["sm"].isel(y=y, x=x, drop=True).to_series().astype("f8") for y, x in cells]
    start = time.perf_counter()
    results = [np.asarray(function(s)) for s in series]
    return (time.perf_counter() - start) / sample, cells, results


def computed(ds: xr.Dataset, verb: str, options: dict[str, Any], place: Path | None) -> xr.DataArray:
    """Result of a verb, in memory or as it was written."""
    result = getattr(xsm, verb)(ds, **options)
    if place is not None:
        result.to_zarr(place, mode="w", consolidated=False)
        result = xr.open_zarr(place, consolidated=False)
    return result[next(iter(result.data_vars))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--sample", type=int, default=3, help="series that the libraries compute")
    parser.add_argument("--store", action="store_true", help="from a Zarr store to another one")
    parser.add_argument("--whole", action="store_true", help="all cells of CONUS")
    args = parser.parse_args()
    shape = CONUS if args.whole else (args.size, args.size)
    ds = stack(shape, args.years)
    cells, scale = int(np.prod(shape)), np.prod(CONUS) / np.prod(shape)
    print(f"{ds.sizes['time']} days, {shape[0]} x {shape[1]} cells, {'Zarr' if args.store else 'memory'}")
    print("\n| verb | seconds | CONUS, s | CONUS, s of CPU | library, ms | xsm, ms a series | times faster | apart |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "result.zarr" if args.store else None
        source = ds
        if args.store:
            ds.chunk({"y": CHUNK, "x": CHUNK, "time": -1}).to_zarr(Path(folder) / "stack.zarr", consolidated=False)
            source = xr.open_zarr(Path(folder) / "stack.zarr", consolidated=False)
        for name, (verb, options, function) in VERBS.items():
            getattr(xsm, verb)(ds.isel(y=slice(2), x=slice(2)), **options)  # compiles
            start, before = time.perf_counter(), time.process_time()
            result = computed(source, verb, options, place)
            seconds, cpu = time.perf_counter() - start, time.process_time() - before
            alone, some, expected = peer(ds, function, args.sample)
            apart = max(
                float(np.nanmax(np.abs(result.isel(y=y, x=x).values - e)))
                for (y, x), e in zip(some, expected, strict=True)
            )
            del result
            each = seconds / cells
            print(
                f"| {name} | {seconds:.2f} | {seconds * scale:.0f} | {cpu * scale:.0f} | {1e3 * alone:.3g} | "
                f"{1e3 * each:.3g} | {alone / each:.0f} | {apart:.0e} |",
                flush=True,
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"\nPeak memory {peak / 1e9:.1f} GB, the stack itself {ds['sm'].nbytes / 1e9:.2f} GB.")


if __name__ == "__main__":
    main()
