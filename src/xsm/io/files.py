"""Read and write the files of users: NetCDF, Zarr, GeoTIFF, CSV. Nothing is ever half written."""

from __future__ import annotations

import errno
import functools
import glob
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import AbstractDataStore, H5NetCDFStore, NetCDF4DataStore, ZarrStore

from xsm.atomic import fresh
from xsm.compute.zarr_regions import CHUNKS, write_groups
from xsm.contracts.registry import get_source, sources
from xsm.data.cf import NO_CLASS, NO_FLAG, clean_encoding, fill_of
from xsm.data.emptiness import tell_written
from xsm.data.first_bytes import WEB_PAGE, kind_of
from xsm.data.skipped import listed, listen, with_skipped
from xsm.errors import DataError, UsageError, XsmError
from xsm.io.hdf5 import check_hdf5
from xsm.io.named import NamedStore
from xsm.io.written import check_written
from xsm.io.zarr_store import check_zarr
from xsm.progress import quiet

READ = ".nc, .zarr, .tif or (stations) .csv"
NEARLY_FULL = 1 << 24
MOST_CELLS, MOST_CHUNKS, MOST_ALONG = 2e11, 1e7, 1e8
"""Fifty years of the globe at 9 km are fewer: 1.1e11 cells in 1.8e6 chunks. Coordinates of dims are loaded whole."""
UNITS = {"D": "days", "s": "seconds", "ms": "milliseconds", "us": "microseconds"}
"""Units of times in files; those of maps (``obs_time``) have milliseconds."""
FLAGS = {"uint8": "flag_values", "uint16": "flag_masks"}
"""Attribute that tells classes and flags, which have a fill value of their type, from other numbers."""
NO_TIME = np.int64(np.iinfo("i8").min)
_MAGIC = {b"\x89HDF": "netcdf", b"CDF\x01": "netcdf", b"CDF\x02": "netcdf", b"CDF\x05": "netcdf"}


def read(path: str | Path) -> xr.Dataset:
    """Open a NetCDF, Zarr or GeoTIFF file lazily as a dataset, or a CSV of stations.

    A GeoTIFF with ISO dates as band names gets a dim ``time``; a CSV is read by `xsm.io.station_table`.
    """
    path = _one(path)
    try:
        if path.is_dir():
            if not (path / "zarr.json").exists() and not (path / ".zgroup").exists():
                raise DataError(f"The folder '{path}' is not a Zarr store.", hint="Granules are read with <open()>.")
            check_zarr(path)
            _check_sizes(ZarrStore.open_group(path, mode="r", consolidated=False), path)
            with without_advice_of_zarr():
                return _in_order(opened(ZarrStore.open_group(path, mode="r", consolidated=False), path))
        if path.suffix.lower() in (".tif", ".tiff"):
            from xsm.io import geotiff_read

            return geotiff_read.read(path)
        if path.suffix.lower() == ".csv":
            from xsm.io import station_table

            return station_table.read(path)
        head = path.open("rb").read(512)
        if not any(head.startswith(m) for m in _MAGIC):
            what = f"{WEB_PAGE} (a login page?)" if kind_of(head) == WEB_PAGE else "not a NetCDF file"
            if head.startswith(b"GRIB"):
                raise DataError(f"'{path}' is a GRIB file, expected {READ}.", hint="Run `gdal_translate` to a .tif.")
            if source := _source_of(path):
                raise DataError(f"'{path}' is a file of the source '{source}', expected {READ}.",
                                hint=f"Open it with <open()> and '{source}' as source.")  # fmt: skip
            raise DataError(f"'{path}' is {what}.", hint="Get the file again, or convert it.")
        hdf5 = head[:4] == b"\x89HDF"
        check_hdf5(path)
        store = partial(H5NetCDFStore.open, phony_dims="sort") if hdf5 else NetCDF4DataStore.open
        with closing(store(path)) as raw:
            _check_sizes(raw, path)
        return opened(store(path), path)
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"'{path}' cannot be read ({_first(error)}).", hint="It may be truncated; get it again."
        ) from None


def _one(path: Any) -> Path:
    """The path of a file or a store that exists; not a list, and not a pattern."""
    hint = "Read each with <read()> and join them with xarray.concat, or give files of a product to <open()>."
    if not isinstance(path, str | os.PathLike):
        what = f"a list of {len(path)} files" if isinstance(path, list | tuple) else f"a {type(path).__name__}"
        raise UsageError(f"The path is {what}, expected one file.", hint=hint)
    if not (path := Path(path)).exists():
        if glob.has_magic(str(path)):
            raise UsageError(f"'{path}' is a pattern, expected one file.", hint=hint)
        raise DataError(f"'{path}' does not exist.", hint=f"Give a {READ} file.")
    return path


def _source_of(path: Path) -> str:
    """Name of the source whose file it is; empty where there is none."""
    for name in sources():
        with suppress(XsmError):
            if get_source(name).identify(path):
                return name
    return ""


def read_all(path: str | Path) -> xr.Dataset:
    """The same, with the variables that `xsm.io.geotiff.write` put beside a GeoTIFF."""
    ds = read(path)
    path = Path(path)
    if path.suffix.lower() in (".tif", ".tiff"):
        from xsm.io.geotiff import siblings

        for file in siblings(path):
            other = read(file)
            same = all(other[d].equals(ds[d]) for d in ("time", "y", "x") if d in other.dims and d in ds.dims)
            if same and not set(other.data_vars) & set(ds.data_vars):
                ds = ds.merge(other, compat="override", combine_attrs="override")
    return ds


def write(ds: xr.Dataset, path: str | Path, *, overwrite: bool = False, processes: int = 1) -> list[Path]:
    """Write a dataset to the format of the path's ending, block by block where it is lazy; returns the files.

    A ``.tif`` is one file for each variable (see `xsm.io.geotiff.write`). Files that cannot be read meanwhile and are
    left out (``on_error="skip"``) are listed in warnings and in the attribute ``skipped`` of the result. A Zarr store
    of data from files is written by at most so many ``processes``, for which the caller's main module must be
    importable (a script needs ``if __name__ == "__main__"``), or by the workers of an active `dask.distributed` client;
    the result is the same.
    """
    path = Path(path)
    kind = path.suffix.lower()
    writers: dict[str, Callable[[xr.Dataset, Path], None]] = {
        ".nc": _write_netcdf,
        ".zarr": functools.partial(write_zarr, processes=processes),
        ".csv": _write_csv,
    }
    if kind in (".tif", ".tiff"):
        from xsm.io import geotiff

        return geotiff.write(ds, path, overwrite=overwrite)
    if kind not in writers:
        raise UsageError(
            f"'{path}' ends with '{kind}', expected .nc, .zarr, .tif or .csv.", hint="Change the name of the output."
        )
    with fresh(path, overwrite) as part, listen() as lost:
        writers[kind](ds, part)
        if lost():
            _record_skipped(part, with_skipped(ds.attrs, lost())["skipped"])
    return [path]


def _check_sizes(store: AbstractDataStore, path: Path) -> None:
    """Refuse a file that claims more cells or chunks than any grid of daily maps has, before memory is allocated."""
    for name, variable in store.get_variables().items():
        most = MOST_ALONG if variable.dims == (name,) else MOST_CELLS
        sizes = variable.encoding.get("chunks") or variable.encoding.get("chunksizes") or variable.shape
        chunks = math.prod(-(-n // max(size, 1)) for n, size in zip(variable.shape, sizes, strict=True))
        if variable.size > most or chunks > MOST_CHUNKS:
            raise DataError(
                f"'{path}' claims {variable.size:.3g} cells in {chunks:.3g} chunks for '{name}', expected at most "
                f"{most:.0e} in {MOST_CHUNKS:.0e}.",
                hint="It is damaged, or not a file for xsm.",
            )


def opened(store: AbstractDataStore, path: Path) -> xr.Dataset:
    """A dataset of an open store, lazy and decoded."""
    return _decoded(xr.open_dataset(NamedStore(store, path), chunks={}, decode_coords="all"))


def _in_order(ds: xr.Dataset) -> xr.Dataset:
    """The dataset of a store, whose file system lists variables in any order: floats first, then by name."""
    names = sorted(ds.data_vars, key=lambda n: (ds[n].dtype.kind != "f", str(n)))
    return ds[names].assign_coords(ds.coords)


def _decoded(ds: xr.Dataset) -> xr.Dataset:
    ds = ds.set_coords([n for n in ("land_cover", "texture") if n in ds.data_vars])
    if "skipped" in ds.attrs:  # NetCDF turns a list of one line into a text
        ds.attrs["skipped"] = listed(ds.attrs)
    for name, variable in ds.variables.items():
        if "flag_masks" in variable.attrs and variable.dtype.kind == "f":
            ds[name] = variable.fillna(NO_FLAG).astype("u2")
        elif (
            "flag_values" in variable.attrs
            and variable.dtype.kind == "f"
            and variable.encoding.get("_FillValue") == NO_CLASS
        ):
            ds[name] = variable.fillna(NO_CLASS).astype("u1")
    return ds


def _write_netcdf(ds: xr.Dataset, part: Path) -> None:
    import dask

    ds, encoding = encodings(ds)
    for name, variable in ds.variables.items():
        if variable.ndim >= 2 and variable.dtype.kind in "fiu":
            size = [min(s, 64 if d == "time" else 256) for d, s in zip(variable.dims, variable.shape, strict=True)]
            encoding[str(name)] |= {"zlib": True, "complevel": 2, "shuffle": True, "chunksizes": size}
    try:
        # The workers of a cluster cannot share an HDF5 file.
        with quiet(ds.nbytes), dask.config.set(scheduler="threads"):
            ds.to_netcdf(part, engine="netcdf4", encoding=encoding)
        check_written(ds, part)
    except RuntimeError as error:  # which the library raises for any trouble with the disk
        if not str(error).startswith("NetCDF:"):
            raise
        full = shutil.disk_usage(part.parent).free < NEARLY_FULL
        raise OSError(errno.ENOSPC if full else errno.EIO, "No space left on device" if full else str(error)) from error


def write_zarr(
    ds: xr.Dataset, part: Path, processes: int = 1, journal: Path | None = None, strict: bool = False
) -> None:
    """Write a Zarr store; with a journal, continue the one that is there (see `xsm.compute.zarr_regions`).

    Its metadata are also put into one file, by which others open the store at an address, where no folder is listed.
    """
    import zarr

    ds, encoding = encodings(ds)
    for name, variable in ds.data_vars.items():
        encoding[str(name)]["chunks"] = tuple(
            min(s, CHUNKS.get(str(d), s)) or 1 for d, s in zip(variable.dims, variable.shape, strict=True)
        )
    layout: dict[str, Any] = {"zarr_format": 3, "consolidated": False, "encoding": encoding}
    with without_advice_of_zarr():
        write_groups(ds, part, layout, processes=processes, journal=journal, strict=strict)
        zarr.consolidate_metadata(part)
    check_written(ds, part)


@contextmanager
def without_advice_of_zarr() -> Iterator[None]:
    """Hide a warning: names of sources and stations are texts, whose type Zarr 3 does not specify."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Zarr (format 3|V3 specification).*")
        yield


def _write_csv(ds: xr.Dataset, part: Path) -> None:
    from xsm.validation.scoring import to_frame

    table = {"product", "station"} <= set(ds.dims) or "pair" in ds.dims
    frame = to_frame(ds) if table else ds.to_dataframe().reset_index()
    for name in [n for n in ds.data_vars if "sensor" in ds[n].dims and "flag_meanings" in ds[n].attrs]:
        words = str(ds[name].attrs["flag_meanings"]).split()
        values = np.atleast_1d(ds[name].attrs.get("flag_values", np.arange(len(words))))
        frame[name] = frame[name].map(dict(zip(values.tolist(), words, strict=False))).fillna("unknown")
    frame.to_csv(part, index=False)
    columns = {str(n): frame[n].to_numpy() for n in ds.data_vars if n in frame}
    tell_written(ds[list(columns)], lambda name: iter([columns[name]]), part.name)


def _record_skipped(part: Path, skipped: list[str]) -> None:
    """Set the attribute ``skipped`` of a file that was just written."""
    if part.suffix.lower() == ".nc":
        import netCDF4

        with netCDF4.Dataset(part, "a") as file:
            file.skipped = skipped
    elif part.suffix.lower() == ".zarr":
        import zarr

        zarr.open_group(part, mode="r+").attrs["skipped"] = skipped


def encodings(ds: xr.Dataset) -> tuple[xr.Dataset, dict[str, dict[str, Any]]]:
    """The dataset with clean encodings, and what each variable is written with."""
    ds = clean_encoding(ds)
    for text in [n for n, v in ds.variables.items() if v.dtype == object]:
        ds[text] = ds[text].astype(str)
    for moment in [n for n, v in ds.variables.items() if v.dtype.kind == "M" and n not in ("time", *ds.dims)]:
        ds[moment] = ds[moment].astype("M8[ms]")
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        how: dict[str, Any] = {}
        kind = variable.dtype.kind
        if kind == "f" and name not in ds.dims:
            how["_FillValue"] = np.nan
        elif name in ("x", "y", "lat", "lon"):
            how["_FillValue"] = None
        elif FLAGS.get(str(variable.dtype)) in variable.attrs:
            how["_FillValue"] = fill_of(variable.dtype)
        if name in ("time", *ds.dims) and kind == "M":
            how |= _units(variable.values)
        elif kind == "M":
            how |= {"units": "milliseconds since 1970-01-01", "dtype": "i8", "_FillValue": NO_TIME}
        for key in {"flag_values", "flag_masks"} & set(variable.attrs):  # CF wants them of the type of the variable
            variable.attrs[key] = np.asarray(variable.attrs[key]).astype("i1" if kind == "b" else variable.dtype)
        if "grid_mapping" in variable.encoding:
            how["grid_mapping"] = variable.encoding["grid_mapping"]
        elif "spatial_ref" in ds.coords and {"y", "x"} <= {*variable.dims} and "grid_mapping" not in variable.attrs:
            how["grid_mapping"] = "spatial_ref"
        encoding[str(name)] = how
        variable.attrs.pop("_FillValue", None)
    return ds, encoding


def _units(time: np.ndarray) -> dict[str, Any]:
    """Integers of the longest unit in which every time is whole; those of a dim have no fill value, as CF requires."""
    known = time[~np.isnat(time)]
    unit = next((u for u in UNITS if (known.astype(f"M8[{u}]") == known).all()), "ns")
    how = {"units": f"{UNITS.get(unit, 'nanoseconds')} since 1970-01-01", "dtype": "i4" if unit == "D" else "i8"}
    return how if known.size == time.size else how | {"dtype": "i8", "_FillValue": NO_TIME}


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
