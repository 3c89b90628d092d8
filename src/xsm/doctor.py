"""Checks of an installation, one line each."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

Check = tuple[str, bool, str]


def checks(*, quick: bool = False) -> list[Check]:
    """Run all checks (``quick``: only what every operation needs); gives name, whether it is well, what was found."""
    from xsm import __version__

    needed = {"EPSG:6933 in pyproj": _pyproj, "EPSG:6933 in rasterio": _rasterio}
    if quick:
        return [_guarded(name, check) for name, check in needed.items()]
    rows: list[Check] = [("xsm", True, f"{__version__}, Python {platform.python_version()}")]
    more = {"HDF5 and netCDF4": _netcdf, "numba": _numba, "torch": _torch, "temporary folder": _disk}
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


def _netcdf() -> str:
    import netCDF4

    return f"netCDF4 {netCDF4.__version__}, HDF5 {netCDF4.__hdf5libversion__}"


def _numba() -> str:
    import numba

    return f"{numba.__version__}, cache {os.environ.get('NUMBA_CACHE_DIR', 'beside the package')}"


def _torch() -> str:
    if find_spec("torch") is None:
        return "not installed (needed by the models cru and convlstm)"
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return f"{torch.__version__}, {torch.get_num_threads()} threads, {gpu}"


def _disk() -> str:
    import tempfile

    folder = Path(tempfile.gettempdir())
    return f"{shutil.disk_usage(folder).free / 1e9:.0f} GB free"


def _plugins() -> list[Check]:
    from xsm.plugin import plugins

    bad = ("failed", "incompatible")
    return [
        (f"plugin {p.name}", p.status not in bad, f"{p.version} {p.status} {p.reason}".strip())
        for p in plugins().values()
    ]
