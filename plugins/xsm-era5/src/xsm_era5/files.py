"""Files of the Climate Data Store, old and new: netCDF, and zip archives of it (documentation: Formats, ERA5)."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import xarray as xr
from xsm import DataError
from xsm.plugin_api import check_hdf5, maps_of

HDF5, CLASSIC, ZIP, GRIB = b"\x89HDF", b"CDF", b"PK\x03\x04", b"GRIB"
SUFFIXES = (".nc", ".nc4", ".zip", ".grib", ".grb", ".grib2")
NAMED = re.compile(r"era[-_ ]?5|adaptor\.mars|data_stream-|reanalysis", re.IGNORECASE)
NAMED_LAND = re.compile(r"era[-_ ]?5[-_ ]?land|reanalysis-era5-land", re.IGNORECASE)
ECMWF = 98
"""Number of the centre in GRIB."""
START = 1 << 16
"""Bytes of a file that are searched for the names of the centre."""
VERSIONS = ("expver", "step")
"""Dims of which every index is a part: final and preliminary data (old store), and steps of a forecast (cfgrib)."""


def is_ours(path: Path) -> bool:
    """Whether a file is of ECMWF, by its suffix and its name or first bytes; the store gives files any name."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    if NAMED.search(path.name):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError:
        return False
    if start[:4] == GRIB:
        return ECMWF in (start[12], int.from_bytes(start[21:23])) if len(start) > 23 else False
    return start[:4] in (HDF5, ZIP, CLASSIC + b"\x01", CLASSIC + b"\x02") and any(
        word in start for word in (b"ecmf", b"ECMWF", b"ecmwf", b"data_stream-", b"mars")
    )


def open_parts(path: Path) -> list[xr.Dataset]:
    """The maps of a file, lazily: one part for each member of an archive, and for each of `VERSIONS`."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == ZIP:
        return _members(path)
    if start == GRIB:
        raise DataError(f"'{path}' is GRIB, expected netCDF or an archive of it.",
                        hint="Request the format netcdf, or convert the file with grib_to_netcdf.")  # fmt: skip
    if start != HDF5 and start[:3] != CLASSIC:
        page = "a web page, as after a failed login" if start.lstrip()[:1] == b"<" else "no netCDF or zip file"
        raise DataError(f"'{path}' is {page}.", hint="Get the file again.")
    check_hdf5(path)
    return split(xr.open_dataset(path, engine="netcdf4"), path)


def split(ds: xr.Dataset, path: Path) -> list[xr.Dataset]:
    """Parts of a dataset with the dims ``(time, lat, lon)``; final data before preliminary ones."""
    if ds.sizes.get("number", 1) > 1:
        raise DataError(f"'{path}' is an ensemble of {ds.sizes['number']} members, expected one.",
                        hint="Get the product type reanalysis.")  # fmt: skip
    for dim in VERSIONS:
        if dim in ds.dims:
            order = range(ds.sizes[dim])
            if dim in ds.coords:
                order = ds[dim].argsort().values.tolist()
            return [part for i in order for part in split(ds.isel({dim: i}).drop_vars(dim, errors="ignore"), path)]
    if "valid_time" in ds.coords and "valid_time" not in ds.dims:
        ds = ds.drop_vars("time") if "time" not in ds.dims else ds
        ds = ds.expand_dims("valid_time") if not ds["valid_time"].ndim else ds.swap_dims(time="valid_time")
        ds = ds.drop_vars("time", errors="ignore")
    for variable in ds.data_vars.values():
        variable.attrs["units"] = str(variable.attrs.get("units", "")).removesuffix(" of water equivalent")
    return [maps_of(ds, path)]


def _members(path: Path) -> list[xr.Dataset]:
    """Members of an archive, unpacked while they are open."""
    folder = Path(tempfile.mkdtemp(prefix="xsm-era5-"))
    parts: list[xr.Dataset] = []
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [i for i in archive.infolist() if Path(i.filename).suffix.lower() in SUFFIXES[:2]]
            if not inside:
                raise DataError(f"'{path}' contains no netCDF file.", hint="Get the file again.")
            if sum(i.file_size for i in inside) > shutil.disk_usage(folder).free:
                raise DataError(f"'{path}' does not fit into '{folder.parent}' unpacked.", hint="Unpack it yourself.")
            for number, info in enumerate(inside):
                member = folder / f"{number}{Path(info.filename).suffix.lower()}"
                with archive.open(info) as source, member.open("wb") as target:
                    shutil.copyfileobj(source, target)
                parts += open_parts(member)
    except BaseException:
        shutil.rmtree(folder)
        raise
    last = parts[-1]._close

    def leave() -> None:
        if last is not None:
            last()
        shutil.rmtree(folder, ignore_errors=True)

    parts[-1].set_close(leave)
    return parts
