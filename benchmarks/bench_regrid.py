"""Regridding beside its rivals, in one process and on the same arrays.

    python -m benchmarks.bench_regrid [--part speed|raster|layer|accuracy|growth] [--days 365] [--size 9000]

speed: NLDAS shape to the CONUS window. raster: 100 m Albers to 9 km, with the error against an exact float64 reference.
layer: a whole SOLUS100 layer (31390 x 49810, tiled DEFLATE) end to end, against gdalwarp. accuracy: real and analytic
fields. growth: time and memory over pixels and time steps. Two threads everywhere. Without ``XSM_TEST_DATA`` the real
fields are left out and the land mask is an ellipse.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xsm
from benchmarks import regrid_data as data
from xsm.data.grids import EASE2_M09, Grid

THREADS = 2


def speed(days: int, folder: Path | None) -> Iterator[str]:
    """NLDAS shape to CONUS: millions of target pixels per second."""
    ds, grid = data.nldas_like(days, folder), EASE2_M09.region("conus")
    source = ds["sm"].values
    into = np.zeros((days, *grid.shape), "f4")
    few = slice(0, max(days // 10, 1))
    yield f"NLDAS {source.shape} to EASE-Grid 9 km {grid.shape}, {THREADS} threads"
    yield f"{'':34s} {'Mpx/s':>8s} {'x GDAL':>8s} {'lost':>8s} {'made up':>8s}"
    north = np.ascontiguousarray(source[:, ::-1])
    known = np.isfinite(xsm.regrid_ease9km(ds.isel(time=[0]), region=grid, method="nearest")["sm"].values[0])
    rivals: dict[str, tuple[Callable[[], Any], int]] = {
        "GDAL cubic (rasterio, 2 threads)": (lambda: gdal(north, into, NLDAS, "EPSG:4326", grid), days),
        "xsm bicubic": (lambda: xsm.regrid_ease9km(ds, region=grid), days),
        "xsm bilinear": (lambda: xsm.regrid_ease9km(ds, region=grid, method="bilinear"), days),
        "xsm average": (lambda: xsm.regrid_ease9km(ds, region=grid, method="average"), days),
        "xsm bicubic, dask into an array": (lambda: stored(ds.chunk(time=32), grid, into), days),
        "pyresample bilinear": (pyresample_bilinear(source[few], grid), few.stop),
        "scipy map_coordinates, cubic spline *": (scipy_spline(source[few], grid), few.stop),
        "OpenCV remap, cubic *": (opencv_cubic(source[few], grid), few.stop),
        "copy of the same bytes": (lambda: copied(source, into), days),
    }
    rate: dict[str, float] = {}
    for name, (work, frames) in rivals.items():
        rate[name] = frames * grid.rows * grid.cols / data.best(work) / 1e6
        line = f"{name:34s} {rate[name]:8.1f} {rate[name] / rate['GDAL cubic (rasterio, 2 threads)']:8.1f}"
        first = _first_map(work(), into)
        yield (
            line
            if name.startswith("copy")
            else f"{line} {_lost(first, known):8d} {_lost(known, np.isfinite(first)):8d}"
        )
    share = rate["xsm bicubic"] / rate["copy of the same bytes"]
    yield f"lost: cells of the first day without a value, of {known.sum()} whose source cell has one; made up: reverse"
    yield f"xsm bicubic reaches {share:.0%} of a copy.   * one thread; gaps are set to 0, no renormalisation"


def _first_map(result: Any, into: np.ndarray) -> np.ndarray:
    """The first map of a rival, which returns its maps or writes them into an array."""
    if result is None:
        return into[0]
    return np.asarray(result["sm"].values if isinstance(result, xr.Dataset) else result)[0]


def _lost(values: np.ndarray, expected: np.ndarray) -> int:
    """Count cells that are expected but have no value (NaN or False)."""
    return int((expected & ~(values if values.dtype == bool else np.isfinite(values))).sum())


NLDAS = (-125, 0.125, 0, 53, 0, -0.125)


def gdal(source: np.ndarray, into: np.ndarray, transform: tuple[float, ...], crs: str, grid: Grid) -> None:
    """Warp with rasterio, cubic."""
    from rasterio.transform import Affine
    from rasterio.warp import Resampling, reproject

    reproject(
        source, into, src_transform=Affine.from_gdal(*transform), src_crs=crs, dst_crs="EPSG:6933",
        dst_transform=Affine.from_gdal(*grid.geotransform), src_nodata=np.nan, dst_nodata=np.nan,
        resampling=Resampling.cubic, num_threads=THREADS,
    )  # fmt: skip


def stored(ds: xr.Dataset, grid: Grid, into: np.ndarray) -> None:
    """Regrid lazily and store block by block into an existing array, as a writer does."""
    import dask.array as da

    da.store(xsm.regrid_ease9km(ds, region=grid)["sm"].data, into, lock=False, scheduler="threads", num_workers=THREADS)


def copied(source: np.ndarray, into: np.ndarray) -> None:
    """Read every source byte and write every target byte once, in as many threads as the rivals have."""

    def part(k: int) -> None:
        source[k::THREADS].sum()
        into[k::THREADS] = np.float32(1)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(part, range(THREADS)))


def pyresample_bilinear(source: np.ndarray, grid: Grid) -> Callable[[], Any]:
    """The bilinear resampler of pyresample, with its weights computed beforehand."""
    from pyresample.bilinear import NumpyBilinearResampler
    from pyresample.geometry import AreaDefinition

    west, south, east, north = grid.bounds
    target = AreaDefinition("ease", "", "", "EPSG:6933", grid.cols, grid.rows, (west, south, east, north))
    origin = AreaDefinition("nldas", "", "", "EPSG:4326", 464, 224, (-125, 25, -67, 53))
    resampler = NumpyBilinearResampler(origin, target, 30e3)
    resampler.get_bil_info()
    return lambda: [resampler.get_sample_from_bil_info(frame[::-1]) for frame in source]


def scipy_spline(source: np.ndarray, grid: Grid) -> Callable[[], Any]:
    """Cubic spline interpolation at the target centres, gaps as 0."""
    from scipy.ndimage import map_coordinates

    where = np.meshgrid((grid.lat - 25.0625) / 0.125, (grid.lon + 124.9375) / 0.125, indexing="ij")
    return lambda: [map_coordinates(np.nan_to_num(frame), where, order=3) for frame in source]


def opencv_cubic(source: np.ndarray, grid: Grid) -> Callable[[], Any]:
    """OpenCV's cubic remap (a = -0.75) at the target centres, gaps as 0."""
    import cv2

    row, col = np.meshgrid((grid.lat - 25.0625) / 0.125, (grid.lon + 124.9375) / 0.125, indexing="ij")
    maps = cv2.convertMaps(col.astype("f4"), row.astype("f4"), cv2.CV_32FC1)
    return lambda: [cv2.remap(np.nan_to_num(frame), *maps, cv2.INTER_CUBIC) for frame in source]


def raster(size: int) -> Iterator[str]:
    """100 m Albers to 9 km: millions of source pixels per second, and the error of a part against the exact kernel."""
    ds = data.soil_like(size)
    values = ds["sand"].values
    grid = xsm.grid_of(xsm.regrid_ease9km(ds))
    transform = (-500_000, 100, 0, 1_800_000, 0, -100)
    into = np.zeros(grid.shape, "f4")
    yield f"100 m EPSG:5070 {values.shape} to EASE-Grid 9 km {grid.shape}, {THREADS} threads"
    yield f"{'':34s} {'Mpx/s':>8s} {'x GDAL':>8s}"
    base = values.size / data.best(lambda: gdal(values, into, transform, data.ALBERS, grid), 3) / 1e6
    yield f"{'GDAL cubic (rasterio, 2 threads)':34s} {base:8.1f} {1:8.1f}"
    for method in ("bicubic", "bilinear", "average"):
        rate = values.size / data.best(lambda m=method: xsm.regrid_ease9km(ds, method=m), 3) / 1e6
        yield f"{f'xsm {method}':34s} {rate:8.1f} {rate / base:8.1f}"
    part = data.soil_like(min(size, 2500))
    ours = xsm.regrid_ease9km(part)
    grid = xsm.grid_of(ours)
    exact, share = data.exact_reduction(part, grid)
    theirs = np.full(grid.shape, np.nan, "f4")
    gdal(part["sand"].values, theirs, transform, data.ALBERS, grid)
    sure = (share > 0.9) & np.isfinite(theirs)
    known = share >= 0.5
    sure[:3] = sure[-3:] = sure[:, :3] = sure[:, -3:] = False
    yield f"error against the exact anti-aliased bicubic in float64, {sure.sum()} cells, percent of sand"
    for name, result in (("GDAL cubic", theirs), ("xsm bicubic", ours["sand"].values)):
        error = np.abs(result - exact)[sure]
        line = f"{name:34s} rms {np.sqrt((error**2).mean()):.2e}  largest {error.max():.2e}"
        yield f"{line}  {_lost(result, known)} of {known.sum()} cells lost"


def layer() -> Iterator[str]:
    """A whole SOLUS100 layer, from file to 9 km map: seconds and peak memory of a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sandtotal_5_cm_p.tif")
        data.write_solus_layer(path)
        rows, cols = data.SOLUS_SHAPE
        yield f"SOLUS100 layer {data.SOLUS_SHAPE}, {path.stat().st_size / 1e9:.2f} GB of tiled DEFLATE"
        seconds, memory, result = data.child("regrid_layer", path)
        mine = f"{'xsm.open + regrid_ease9km':34s} {seconds:6.1f} s  {rows * cols / seconds / 1e6:6.0f} Mpx/s"
        yield f"{mine}  {memory:.2f} GB  {result['cells']} cells"
        if shutil.which("gdalwarp"):
            grid = EASE2_M09.region((-128, 22, -63, 52))
            west, south, east, north = grid.bounds
            seconds, memory, _ = data.measured(
                ["gdalwarp", "-q", "-r", "cubic", "-multi", "-wo", f"NUM_THREADS={THREADS}", "-wm", "500", "-ot",
                 "Float32", "-dstnodata", "nan", "-t_srs", "EPSG:6933", "-te", *map(str, (west, south, east, north)),
                 "-ts", str(grid.cols), str(grid.rows), str(path), str(Path(folder, "gdal.tif"))]
            )  # fmt: skip
            theirs = f"{'gdalwarp -r cubic -multi':34s} {seconds:6.1f} s  {rows * cols / seconds / 1e6:6.0f} Mpx/s"
            yield f"{theirs}  {memory:.2f} GB"


def accuracy(folder: Path | None) -> Iterator[str]:
    """Analytic fields, and real ones beside GDAL."""
    yield f"{'field':44s} {'rms':>9s} {'largest':>9s}"
    lat, lon, grid = data.NLDAS_LAT, data.NLDAS_LON, EASE2_M09.region((-120, 27, -72, 50))

    def against(name: str, field: xr.Dataset, truth: np.ndarray, method: str = "bicubic") -> str:
        error = np.abs(xsm.regrid_ease9km(field, region=grid, method=method)["v"].values - truth)
        return f"{name:44s} {np.sqrt(np.nanmean(error**2)):9.1e} {np.nanmax(error):9.1e}"

    def on(values: np.ndarray, lat: np.ndarray = lat, lon: np.ndarray = lon) -> xr.Dataset:
        return xr.Dataset({"v": (("lat", "lon"), values)}, {"lat": lat, "lon": lon})

    def plane(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        return 0.01 * lat[:, None] - 0.02 * lon

    def wave(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        return np.sin(np.radians(8 * lat))[:, None] * np.cos(np.radians(10 * lon))

    yield against("plane, 0.125 degree, float64", on(plane(lat, lon)), plane(grid.lat, grid.lon))
    before = None
    for step in (0.5, 0.25, 0.125):
        axes = [np.arange(a + step / 2, b, step) for a, b in ((20, 60), (-130, -60))]
        line = against(f"harmonics, {step} degree", on(wave(*axes), *axes), wave(grid.lat, grid.lon))
        now = float(line.split()[-1])
        yield line + (f"   order {np.log2(before / now):.1f}" if before else "")
        before = now
    if folder is None:
        return
    import rasterio

    with rasterio.open(folder / "nldas/NLDAS_ELEVATION.grb") as f:
        height = f.read(1).astype("f8")
    height[height == 9999] = np.nan
    green = np.load(folder / "nldas/gvf_stats.npy").reshape(-1, 224, 464)[0].astype("f8")
    green[green < 0] = np.nan
    fields = {"NLDAS elevation (real, m)": height, "NLDAS green fraction (real)": green[::-1]}
    with xr.open_dataset(folder / "era5/ERA5_Texas_2024_09_01_03.nc") as era:
        swvl = era["swvl1"].isel({era["swvl1"].dims[0]: 0}).squeeze()
        texas = swvl.values.astype("f8"), float(swvl.longitude[0]), float(swvl.latitude[0])
    for name, values in fields.items():
        yield real(name, values, (-125, 0.125, 0, 53, 0, -0.125), data.NLDAS_LAT[::-1], data.NLDAS_LON)
    values, west, north = texas
    step = float(abs(swvl.longitude[1] - swvl.longitude[0]))
    box = (west - step / 2, step, 0, north + step / 2, 0, -step)
    yield real("ERA5 soil moisture, Texas (real)", values, box, swvl.latitude.values, swvl.longitude.values)
    kinds = np.load(folder / "nldas/vegtype_nldas_14km_conus.npy").reshape(224, 464).astype("u1")
    ds = xr.Dataset(
        {"v": (("lat", "lon"), kinds, {"flag_values": np.unique(kinds)})},
        {"lat": data.NLDAS_LAT, "lon": data.NLDAS_LON},
    )
    out = xsm.regrid(ds, grid="EASE2_M36", method="mode")["v"]
    yield f"{'NLDAS vegetation class to 36 km, mode':44s} {majority_agreement(kinds, out):.2%} equal to brute force"


def real(name: str, values: np.ndarray, transform: tuple[float, ...], lat: np.ndarray, lon: np.ndarray) -> str:
    """Difference from GDAL where neither renormalises over missing neighbours."""
    ours = xsm.regrid_ease9km(xr.Dataset({"v": (("lat", "lon"), values)}, {"lat": lat, "lon": lon}))
    grid = xsm.grid_of(ours)
    theirs = np.full(grid.shape, np.nan)
    gdal(values, theirs, transform, "EPSG:4326", grid)
    whole = np.isfinite(values).astype("f8")
    share = xsm.regrid_ease9km(xr.Dataset({"v": (("lat", "lon"), whole)}, {"lat": lat, "lon": lon}))["v"].values
    inner = np.abs(share - 1) < 1e-9
    inner[:5] = inner[-5:] = inner[:, :5] = inner[:, -5:] = False
    error = np.abs(ours["v"].values - theirs)[inner]
    return f"{name + ', against GDAL':44s} {np.sqrt(np.nanmean(error**2)):9.1e} {np.nanmax(error):9.1e}"


def majority_agreement(kinds: np.ndarray, out: xr.DataArray) -> float:
    """Share of cells whose class covers most of the cell, areas summed class by class on 1/80 degree pieces."""
    grid = xsm.grid_of(out)
    fine = np.kron(kinds, np.ones((10, 10), "u1"))
    lat, lon = 25 + 0.0125 * (np.arange(2240) + 0.5), -125 + 0.0125 * (np.arange(4640) + 0.5)
    row, col = grid.rowcol(*(a.ravel() for a in np.meshgrid(lon, lat)))
    row, col = row.reshape(fine.shape) - grid.row0, col.reshape(fine.shape) - grid.col0
    inside = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols)
    area = np.broadcast_to(np.cos(np.radians(lat))[:, None], fine.shape)
    share = np.stack(
        [
            np.bincount(
                (row * grid.cols + col)[inside & (fine == k)], area[inside & (fine == k)], grid.rows * grid.cols
            )
            for k in np.unique(kinds)
        ]
    )
    top = np.sort(share, 0)[-2:]
    clear = (top[1] > top[0] * 1.05) & (share.sum(0) > 0.99 * share.sum(0).max())
    return float((np.unique(kinds)[share.argmax(0)] == out.values.ravel())[clear].mean())


def growth() -> Iterator[str]:
    """Seconds and peak memory, each in a process of its own."""
    yield f"{'NLDAS grid x days':34s} {'in memory':>20s} {'lazy':>20s}"
    for factor, days in ((1, 64), (2, 64), (4, 64), (1, 256), (1, 1024)):
        cells = []
        for how in ("eager", "lazy"):
            seconds, memory, _ = data.child("grow", factor, days, how)
            cells.append(f"{seconds:8.2f} s {memory:6.2f} GB")
        yield f"{f'{factor**2} x the cells, {days} days':34s} {cells[0]:>20s} {cells[1]:>20s}"


def main() -> None:
    """Print the parts that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=["speed", "raster", "layer", "accuracy", "growth"])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--size", type=int, default=9000)
    args = parser.parse_args()
    folder = Path(os.environ["XSM_TEST_DATA"]) if os.environ.get("XSM_TEST_DATA") else None
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "speed": lambda: speed(args.days, folder),
        "raster": lambda: raster(args.size),
        "layer": layer,
        "accuracy": lambda: accuracy(folder),
        "growth": growth,
    }
    with xsm.set_options(threads=THREADS):
        for name in args.part or parts:
            print(f"\n== {name}")
            for line in parts[name]():
                print(line, flush=True)


if __name__ == "__main__":
    main()
