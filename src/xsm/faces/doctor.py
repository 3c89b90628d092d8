"""Checks of an installation, one line each."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from xsm import options

Check = tuple[str, bool, str]
LEAST_FREE = 100_000_000
EASE2_CELL = (331, 872)
"""Row and column of 98.5 W, 36.25 N on EASE2_M09."""


def checks(*, quick: bool = False) -> list[Check]:
    """Run all checks (``quick``: only what every operation needs); returns name, whether it passed, and a detail."""
    from xsm._version import __version__

    needed = {"EPSG:6933 in pyproj": _pyproj, "EPSG:6933 in rasterio": _rasterio}
    if quick:
        return [_guarded(name, check) for name, check in needed.items()]
    rows: list[Check] = [("xsm", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")]
    more = {
        "PROJ and GDAL agree": _agree, "versions": _versions, "HDF5 and netCDF4": _netcdf, "engines": _engines,
        "numba": _numba, "torch and GPU": _torch, "threads and memory": _machine, "cluster": _cluster,
        "cache": _cache, "temporary folder": _temporary, "this folder": _here,
    }  # fmt: skip
    rows += [_guarded(name, check) for name, check in (needed | more).items()]
    return rows + _plugins()


def _guarded(name: str, check: Callable[[], str]) -> Check:
    try:
        return name, True, check()
    except Exception as error:
        return name, False, f"{type(error).__name__}: {error}".split("\n")[0]


def _pyproj() -> str:
    import pyproj

    crs = pyproj.CRS.from_epsg(6933)
    return f"{crs.name}, PROJ {pyproj.proj_version_str}"


def _rasterio() -> str:
    import rasterio
    from rasterio.crs import CRS

    CRS.from_epsg(6933).to_wkt()
    return f"resolves, GDAL {rasterio.__gdal_version__}"


def _agree() -> str:
    """Project one point to EPSG:6933 with pyproj and with rasterio, whose PROJ libraries may have two databases."""
    import pyproj
    from rasterio.warp import transform

    from xsm.data.grids import EASE2_M09

    lon, lat = -98.5, 36.25
    ours = pyproj.Transformer.from_crs(4326, 6933, always_xy=True).transform(lon, lat)
    theirs = [v[0] for v in transform("EPSG:4326", "EPSG:6933", [lon], [lat])]
    apart = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    row, col = (int(v) for v in EASE2_M09.rowcol(lon, lat))
    if apart > 0.01 or (row, col) != EASE2_CELL:
        raise RuntimeError(f"{apart:.3f} m apart, row {row}, column {col}; expected {EASE2_CELL}")
    return f"{apart:.0e} m apart"


def _versions() -> str:
    from xsm.contracts.installed import show_versions

    shown = ("numpy", "pandas", "xarray", "dask", "zarr", "scipy", "safetensors")
    return ", ".join(f"{name} {version}" for name, version in show_versions().items() if name in shown)


def _netcdf() -> str:
    import h5netcdf
    import netCDF4

    return f"netCDF4 {netCDF4.__version__} with HDF5 {netCDF4.__hdf5libversion__}, h5netcdf {h5netcdf.__version__}"


def _engines() -> str:
    import xarray as xr

    engines = xr.backends.list_engines()
    if lacking := [name for name in ("h5netcdf", "netcdf4", "zarr", "rasterio") if name not in engines]:
        raise RuntimeError(f"xarray lacks {', '.join(lacking)}")
    return ", ".join(sorted(engines))


def _numba() -> str:
    import numba
    import numpy as np

    @numba.njit
    def total(values: np.ndarray) -> float:
        return values.sum()

    if total(np.arange(4.0)) != 6:
        raise RuntimeError("compiled code gives a wrong sum")
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if folder and Path(folder).exists() and not os.access(folder, os.W_OK):
        raise RuntimeError(f"NUMBA_CACHE_DIR={folder} cannot be written")
    return f"{numba.__version__} compiles, cache {folder or 'beside the package'}"


def _torch() -> str:
    if find_spec("torch") is None:
        return "not installed (needed by the models cru and convlstm)"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpu = ", ".join(torch.cuda.get_device_name(i) for i in range(count)) or "no GPU"
    from xsm.options import device

    torch.empty(0, device=device())
    return f"{torch.__version__}, {torch.get_num_threads()} threads, {gpu}; device '{device()}'"


def _machine() -> str:
    from xsm.options import cores, memory_limit, threads

    most = f"{options.memory() / 1e9:.1f} GB that this process may use"
    return f"{threads()} threads of {cores()} cores, memory_limit {memory_limit() / 1e9:.1f} GB of the {most}"


def _cluster() -> str:
    from xsm.compute.cluster import block_threads
    from xsm.options import get_option

    if find_spec("distributed") is None:
        return "not installed (pip install xsm[distributed])"
    import distributed

    address = get_option("scheduler")
    if address is None:
        return f"distributed {distributed.__version__}, no --scheduler given"
    with block_threads():
        worker_threads = distributed.default_client().nthreads()
    return f"{address}: {len(worker_threads)} workers, {sum(worker_threads.values())} threads"


def _cache() -> str:
    from xsm.options import get_option

    folder = get_option("cache")
    return "no cache" if folder is None else _room(Path(folder), create=True)


def _temporary() -> str:
    import tempfile

    return _room(Path(tempfile.gettempdir()))


def _here() -> str:
    return _room(Path.cwd())


def _room(folder: Path, *, create: bool = False) -> str:
    """Free space of a folder, after writing and removing a file there."""
    import tempfile

    if create:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(4096))
        file.flush()
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise RuntimeError(f"{free / 1e6:.0f} MB free in {folder}")
    return f"{free / 1e9:.0f} GB free in {folder}"


def _plugins() -> list[Check]:
    from xsm.contracts.registry import plugins

    bad = ("failed", "incompatible")
    return [
        (f"plugin {p.name}", p.status not in bad, f"{p.version} {p.status} {p.reason}".strip())
        for p in plugins().values()
    ]
