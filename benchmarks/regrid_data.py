"""Input of the regridding benchmark: arrays of the products' shapes, exact references, child processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import xarray as xr

from xsm.data.grids import X0, Y0, Grid

ALBERS = "EPSG:5070"
NLDAS_LAT, NLDAS_LON = 25.0625 + 0.125 * np.arange(224), -124.9375 + 0.125 * np.arange(464)
SOLUS_LEFT, SOLUS_TOP, SOLUS_SHAPE = -2540000, 3258000, (31390, 49810)


def best(work: Callable[[], Any], repeats: int = 5) -> float:
    """Shortest wall time of some runs, in seconds; the first, which compiles and warms up, does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def nldas_like(days: int, data: Path | None, factor: int = 1) -> xr.Dataset:
    """Soil moisture on the NLDAS grid with its land mask as NaN; ``factor`` refines the grid."""
    step = 0.125 / factor
    lat = 25 + step * (np.arange(224 * factor) + 0.5)
    lon = -125 + step * (np.arange(464 * factor) + 0.5)
    rng = np.random.default_rng(0)
    values = rng.normal(0.25, 0.05, (days, len(lat), len(lon))).astype("f4")
    if data is not None:
        land = np.load(data / "nldas/landmask_nldas_14km_conus.npy").reshape(224, 464) > 0
    else:
        land = np.hypot((NLDAS_LAT[:, None] - 39) / 13, (NLDAS_LON + 96) / 28) < 1
    values[:, ~np.kron(land, np.ones((factor, factor), bool))] = np.nan
    return xr.Dataset({"sm": (("time", "lat", "lon"), values)}, {"time": np.arange(days), "lat": lat, "lon": lon})


def soil_like(size: int, *, left: float = -500_000, top: float = 1_800_000) -> xr.Dataset:
    """A percentage on 100 m pixels of EPSG:5070: hills, catenas and noise, with holes."""
    x, y = left + 100.0 * (np.arange(size) + 0.5), top - 100.0 * (np.arange(size) + 0.5)
    rng = np.random.default_rng(1)
    values = (35 + 15 * np.sin(x / 4e4) * np.cos(y[:, None] / 3e4) + 8 * np.sin((x + y[:, None]) / 2e3)).astype("f4")
    values += rng.normal(0, 4, values.shape).astype("f4")
    values[rng.random(values.shape, "f4") < 0.02] = np.nan
    values[size // 4 : size // 3, size // 4 : size // 3] = np.nan
    crs = ((), 0, {"crs_wkt": pyproj.CRS.from_user_input(ALBERS).to_wkt()})
    return xr.Dataset({"sand": (("y", "x"), values)}, {"x": x, "y": y, "spatial_ref": crs})


def keys(t: np.ndarray) -> np.ndarray:
    """Keys cubic kernel, a = -1/2."""
    t = np.abs(t)
    return np.where(t < 1, (1.5 * t - 2.5) * t * t + 1, np.where(t < 2, ((-0.5 * t + 2.5) * t - 4) * t + 2, 0))


def exact_reduction(ds: xr.Dataset, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Anti-aliased bicubic in float64: every pixel at its exact position, kernel in target space.

    Returns
    -------
    value, share : ndarray (rows, cols)
        Weighted mean, and the signed weight of the valid pixels relative to that of a cell full of pixels.
    """
    to_ease = pyproj.Transformer.from_crs(ALBERS, "EPSG:6933", always_xy=True)
    sums = np.zeros((3, grid.rows * grid.cols))
    for first in range(0, ds.sizes["y"], 256):
        part = ds["sand"][first : first + 256]
        east, north = to_ease.transform(*np.meshgrid(part["x"].values, part["y"].values))
        col, row = (east - X0) / grid.cell - 0.5 - grid.col0, (Y0 - north) / grid.cell - 0.5 - grid.row0
        value = part.values.astype("f8")
        valid = np.isfinite(value)
        for i in range(-1, 3):
            for j in range(-1, 3):
                r, c = np.floor(row).astype(int) + i, np.floor(col).astype(int) + j
                inside = (r >= 0) & (r < grid.rows) & (c >= 0) & (c < grid.cols)
                w = keys(row - r) * keys(col - c)
                at = (r * grid.cols + c)[inside]
                for k, v in enumerate((w * np.where(valid, value, 0), w * valid, w)):
                    sums[k] += np.bincount(at, v[inside], sums.shape[1])
    num, den, full = sums.reshape(3, *grid.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        return num / den, den / np.median(full[full > 0.5 * full.max()])


def write_solus_layer(path: Path) -> None:
    """Write a whole SOLUS100 layer as a tiled DEFLATE GeoTIFF of bytes, 255 missing, strip by strip."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    rows, cols = SOLUS_SHAPE
    rng = np.random.default_rng(2)
    noise = rng.integers(-4, 5, (512, cols), dtype="i2")
    x = np.arange(cols)
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": 255, "height": rows, "width": cols, "crs": ALBERS,
        "transform": from_origin(SOLUS_LEFT, SOLUS_TOP, 100, 100), "tiled": True, "blockxsize": 512,
        "blockysize": 512, "compress": "deflate", "zlevel": 1, "num_threads": os.cpu_count(),
    }  # fmt: skip
    across, envelope = 15 * np.sin(x / 400), ((x - cols / 2) / (0.47 * cols)) ** 2
    with rasterio.open(path, "w", **profile) as file:
        for first in range(0, rows, 512):
            y = np.arange(first, min(first + 512, rows))[:, None]
            values = (40 + across * np.cos(y / 300)).astype("i2") + np.roll(noise, 97 * first, 1)[: len(y)]
            values[envelope + ((y - rows / 2) / (0.47 * rows)) ** 2 > 1] = 255
            file.write(values.clip(0, 255).astype("u1"), 1, window=Window(0, first, cols, len(y)))


def measured(command: list[str]) -> tuple[float, float, str]:
    """Run a child process; return its wall seconds, its peak memory in GB and its output."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"'{' '.join(command[:4])} ...' ended with status {status}")
    return seconds, usage.ru_maxrss / 1e6, printed


def child(name: str, *args: object) -> tuple[float, float, Any]:
    """Run a function of this module in a child process; return its seconds, peak memory in GB and result."""
    _, memory, printed = measured([sys.executable, "-m", "benchmarks.regrid_data", name, *map(str, args)])
    answer = json.loads(printed.splitlines()[-1])
    return answer["seconds"], memory, answer["result"]


def regrid_layer(path: str) -> dict[str, int]:
    """Open a SOLUS100 layer, regrid it, keep the 9 km map."""
    import xsm

    out = xsm.open("solus100", path, variables=["sand"], soil_depth=[5]).sm.regrid_ease9km()
    name = next(n for n, v in out.data_vars.items() if {"y", "x"} <= set(v.dims))
    values = out[name].compute(scheduler="threads").values
    return {"cells": int(np.isfinite(values).sum())}


def grow(factor: str, days: str, lazy: str) -> dict[str, float]:
    """Regrid a growing dataset, lazily (summed block by block) or in memory."""
    import dask.array as da

    import xsm

    if lazy == "lazy":
        blocks = [
            da.from_delayed(_frames(int(factor), k, min(16, int(days) - k)), (min(16, int(days) - k), 224 * int(factor),
                            464 * int(factor)), "f4") for k in range(0, int(days), 16)
        ]  # fmt: skip
        empty = nldas_like(1, None, int(factor))
        ds = xr.Dataset({"sm": (("time", "lat", "lon"), da.concatenate(blocks))}, {"lat": empty.lat, "lon": empty.lon})
    else:
        ds = nldas_like(int(days), None, int(factor))
    xsm.regrid_ease9km(nldas_like(2, None), region="conus")
    start = time.perf_counter()
    out = xsm.regrid_ease9km(ds, region="conus")["sm"]
    total = float(out.sum().compute(scheduler="threads"))
    return {"inner": time.perf_counter() - start, "total": total}


def _frames(factor: int, first: int, days: int) -> Any:
    import dask

    @dask.delayed
    def make() -> np.ndarray:
        return nldas_like(days, None, factor)["sm"].values + np.float32(first)

    return make()


if __name__ == "__main__":
    begin = time.perf_counter()
    result = {"regrid_layer": regrid_layer, "grow": grow}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({"seconds": result.pop("inner", time.perf_counter() - begin), "result": result}))
