"""Read and write the files of people: NetCDF, Zarr, GeoTIFF, CSV, model bundles. Nothing is ever half written."""

from __future__ import annotations

import errno
import functools
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.cf import clean_encoding
from xsm.errors import DataError, UsageError
from xsm.grids import grid_of, require_grid
from xsm.regions import CHUNKS, write_regions

READ = ".nc, .zarr or .tif"
DAYS_AT_ONCE = 64
NEARLY_FULL = 1 << 24
MOST_CELLS, MOST_CHUNKS = 2e11, 1e7
"""Fifty years of the globe at 9 km, 1.1e11 cells in 1.8e6 chunks, are below."""
_MAGIC = {b"\x89HDF": "netcdf", b"CDF\x01": "netcdf", b"CDF\x02": "netcdf", b"CDF\x05": "netcdf"}


def read(path: str | Path) -> xr.Dataset:
    """Open a NetCDF, Zarr or GeoTIFF file lazily as a dataset.

    Parameters
    ----------
    path : str or Path
        ``.nc``, ``.zarr`` (folder) or ``.tif``; a GeoTIFF with ISO dates as band names gets a ``time`` dim.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"'{path}' does not exist.", hint=f"Give a {READ} file.")
    try:
        if path.is_dir():
            if not (path / "zarr.json").exists() and not (path / ".zgroup").exists():
                raise DataError(f"The folder '{path}' is no Zarr store.", hint="Granules are read with `xsm open`.")
            with xr.open_zarr(path, consolidated=False, chunks=None, decode_cf=False) as raw:
                _check_sizes(raw, path)
            return _decoded(xr.open_zarr(path, consolidated=False, decode_coords="all"))
        if path.suffix.lower() in (".tif", ".tiff"):
            return _read_geotiff(path)
        head = path.open("rb").read(512)
        if not any(head.startswith(m) for m in _MAGIC):
            what = (
                "an HTML page (a login page?)" if b"<html" in head.lower() or b"<!doc" in head.lower() else "no NetCDF"
            )
            raise DataError(f"'{path}' is {what}.", hint="Get the file again, or convert it.")
        engine = "h5netcdf" if head[:4] == b"\x89HDF" else "netcdf4"
        names: dict[str, Any] = {"phony_dims": "sort"} if engine == "h5netcdf" else {}
        with xr.open_dataset(path, engine=engine, decode_cf=False, **names) as raw:
            _check_sizes(raw, path)
        return _decoded(xr.open_dataset(path, engine=engine, chunks={}, decode_coords="all"))
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"'{path}' cannot be read ({_first(error)}).", hint="It may be truncated; get it again."
        ) from None


def write(ds: xr.Dataset, path: str | Path, *, overwrite: bool = False, processes: int = 1) -> list[Path]:
    """Write a dataset to the format of the path's ending.

    Parameters
    ----------
    ds : xarray.Dataset
        What to write; computed block by block where it is lazy.
    path : str or Path
        ``.nc``, ``.zarr``, ``.tif`` (one file for each variable and its dates as bands) or ``.csv``.
    overwrite : bool
        Replace an existing file; otherwise it is refused.
    processes : int
        For Zarr and data that come from files: so many processes read and write at most. The result is the same. The
        caller's main module must be importable (a script needs ``if __name__ == "__main__"``). Where a
        `dask.distributed` client is active, its workers write.

    Returns
    -------
    list of Path
        The files written.
    """
    path = Path(path)
    kind = path.suffix.lower()
    writers: dict[str, Callable[[xr.Dataset, Path], None]] = {
        ".nc": _write_netcdf,
        ".zarr": functools.partial(write_zarr, processes=processes),
        ".csv": _write_csv,
    }
    if kind in (".tif", ".tiff"):
        return write_geotiffs(ds, path, overwrite=overwrite)
    if kind not in writers:
        raise UsageError(
            f"'{path}' ends with '{kind}', wanted .nc, .zarr, .tif or .csv.", hint="Change the output's name."
        )
    with fresh(path, overwrite) as part:
        writers[kind](ds, part)
    return [path]


@contextmanager
def fresh(path: Path, overwrite: bool = False, *, keep: str = "") -> Iterator[Path]:
    """Give a temporary name beside a path; it takes the path's place when the body ends well, else it is removed.

    With ``keep`` the temporary folder has this mark in its name and stays when the body fails: the next body that has
    the same mark goes on with it.
    """
    check_output(path, overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = path.parent / f".{path.name}.{keep}.part"
        if keep:
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise _not_written(path, error) from error
    part = folder / path.name
    try:
        yield part
        if path.is_dir():
            os.replace(path, folder / "replaced")
        try:
            os.replace(part, path)
        except OSError:
            if (folder / "replaced").is_dir():
                os.replace(folder / "replaced", path)
            raise
        keep = ""
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise _not_written(path, error) from error
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _not_written(path: Path, error: OSError) -> DataError:
    return DataError(f"'{path}' cannot be written ({error.strerror or error}).", hint="Check space and rights.")


def check_output(path: Path, overwrite: bool = False) -> None:
    """Refuse an output that exists, before any work is done."""
    if path.exists() and not overwrite:
        raise UsageError(f"'{path}' exists already.", hint="Give another name, or --overwrite.")


def _check_sizes(ds: xr.Dataset, path: Path) -> None:
    """Refuse a file that claims more cells or chunks than any grid of daily maps has, before anything is laid out."""
    for name, variable in ds.variables.items():
        sizes = variable.encoding.get("chunks") or variable.encoding.get("chunksizes") or variable.shape
        chunks = math.prod(-(-n // max(size, 1)) for n, size in zip(variable.shape, sizes, strict=True))
        if variable.size > MOST_CELLS or chunks > MOST_CHUNKS:
            raise DataError(
                f"'{path}' claims {variable.size:.3g} cells in {chunks:.3g} chunks for '{name}', wanted at most "
                f"{MOST_CELLS:.0e} in {MOST_CHUNKS:.0e}.",
                hint="It is damaged, or no file for xsm.",
            )


def _decoded(ds: xr.Dataset) -> xr.Dataset:
    ds = ds.set_coords([n for n in ("land_cover", "texture") if n in ds.data_vars])
    for name, variable in ds.variables.items():
        if "flag_masks" in variable.attrs and variable.dtype.kind == "f":
            ds[name] = variable.fillna(65534).astype("u2")
        elif (
            "flag_values" in variable.attrs
            and variable.dtype.kind == "f"
            and variable.encoding.get("_FillValue") == 255
        ):
            ds[name] = variable.fillna(255).astype("u1")
    return ds


def _write_netcdf(ds: xr.Dataset, part: Path) -> None:
    import dask

    ds, encoding = _encodings(ds)
    for name, variable in ds.variables.items():
        if variable.ndim >= 2 and variable.dtype.kind in "fiu":
            size = [min(s, 64 if d == "time" else 256) for d, s in zip(variable.dims, variable.shape, strict=True)]
            encoding[str(name)] |= {"zlib": True, "complevel": 2, "shuffle": True, "chunksizes": size}
    try:
        with dask.config.set(scheduler="threads"):  # the workers of a cluster cannot share a file of HDF5
            ds.to_netcdf(part, engine="netcdf4", encoding=encoding)
    except RuntimeError as error:  # how the library tells of any trouble with the disk
        if not str(error).startswith("NetCDF:"):
            raise
        full = shutil.disk_usage(part.parent).free < NEARLY_FULL
        raise OSError(errno.ENOSPC if full else errno.EIO, "No space left on device" if full else str(error)) from error


def write_zarr(ds: xr.Dataset, part: Path, processes: int = 1, journal: Path | None = None) -> None:
    """Write a Zarr store; with a journal, go on with the one that is there (see `xsm.regions`)."""
    ds, encoding = _encodings(ds)
    for name, variable in ds.data_vars.items():
        encoding[str(name)]["chunks"] = tuple(
            min(s, CHUNKS.get(str(d), s)) or 1 for d, s in zip(variable.dims, variable.shape, strict=True)
        )
    layout: dict[str, Any] = {"zarr_format": 3, "consolidated": False, "encoding": encoding}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Zarr format 3.*")
        write_regions(ds, part, layout, processes=processes, journal=journal)


def _write_csv(ds: xr.Dataset, part: Path) -> None:
    from xsm.ops.validate import to_frame

    frame = to_frame(ds) if {"product", "station"} <= set(ds.dims) else ds.to_dataframe().reset_index()
    frame.to_csv(part, index=False)


def _encodings(ds: xr.Dataset) -> tuple[xr.Dataset, dict[str, dict[str, Any]]]:
    """The dataset with clean encodings, and what each variable is written with."""
    ds = clean_encoding(ds)
    for text in [n for n, v in ds.variables.items() if v.dtype == object]:
        ds[text] = ds[text].astype(str)
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        own: dict[str, Any] = {}
        if variable.dtype.kind == "f" and name not in ds.dims:
            own["_FillValue"] = np.nan
        elif name in ("x", "y", "lat", "lon"):
            own["_FillValue"] = None
        elif variable.dtype == np.uint8 and "flag_values" in variable.attrs:
            own["_FillValue"] = np.uint8(255)
        elif variable.dtype == np.uint16 and "flag_masks" in variable.attrs:
            own["_FillValue"] = np.uint16(65534)
        if variable.dtype.kind == "M" and name == "time":
            own |= {"units": "days since 1970-01-01", "dtype": "f8" if _sub_daily(variable.values) else "i4"}
        if "grid_mapping" in variable.encoding:
            own["grid_mapping"] = variable.encoding["grid_mapping"]
        encoding[str(name)] = own
        variable.attrs.pop("_FillValue", None)
    return ds, encoding


def _sub_daily(time: np.ndarray) -> bool:
    return bool((time.astype("M8[D]") != time).any())


def write_geotiffs(ds: xr.Dataset, path: Path, *, overwrite: bool = False, daily: bool = False) -> list[Path]:
    """Write each map variable as a GeoTIFF, the dates as bands with ISO names, or (``daily``) one file for each day.

    One variable gets the path itself, several ``<stem>_<variable>.tif``; a styled ``.qml`` lies beside soil moisture.
    """
    grid = grid_of(ds)
    if grid is None:
        raise DataError("Only maps on an EASE-Grid can be written as GeoTIFF.", hint="Write .nc or .zarr instead.")
    names = [str(n) for n, v in ds.data_vars.items() if {"y", "x"} <= set(v.dims) and v.dtype.kind in "fiub"]
    if not names:
        raise DataError("The dataset holds no map of numbers.", hint="Write .nc or .zarr instead.")
    if other := sorted({str(n) for n in ds.data_vars} - set(names)):
        warnings.warn(f"{', '.join(other)} are no maps of numbers and are not in the GeoTIFF.", stacklevel=3)
    stems = {n: path if len(names) == 1 else path.with_name(f"{path.stem}_{n}.tif") for n in names}
    if not daily:
        for stem in stems.values():
            check_output(stem, overwrite)
    made = []
    for name, stem in stems.items():
        array = ds[name]
        if daily and "time" in array.dims:
            for first in range(0, array.sizes["time"], DAYS_AT_ONCE):
                part = array.isel(time=slice(first, first + DAYS_AT_ONCE)).load()
                for day in part["time"].values:
                    made.append(stem.with_name(f"{stem.stem}_{day.astype('M8[D]')}.tif"))
                    _write_geotiff(part.sel(time=[day]), made[-1], overwrite)
        else:
            made.append(stem)
            _write_geotiff(array, stem, overwrite)
    return made


def _write_geotiff(array: xr.DataArray, path: Path, overwrite: bool) -> None:
    import rasterio
    from rasterio.transform import Affine

    from xsm.styles import qml

    grid = require_grid(array, f"'{array.name}'")
    extra = [str(d) for d in array.dims if d not in ("y", "x")]
    array = array.stack(band=extra, create_index=False) if extra else array.expand_dims("band")
    array = array.transpose("band", "y", "x")
    if array.dtype == bool:
        array = array.astype("u1")
    fill = {"f": np.nan, "u": {"uint8": 255, "uint16": 65534}.get(str(array.dtype))}.get(array.dtype.kind)
    labels = [_label(array, extra, i) for i in range(array.sizes["band"])]
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.rows,
        "width": grid.cols,
        "count": len(labels),
        "dtype": array.dtype,
        "nodata": fill,
        "crs": f"EPSG:{grid.epsg}",
        "transform": Affine.from_gdal(*grid.geotransform),
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "interleave": "band",
        "predictor": 3 if array.dtype.kind == "f" else 2,
    }
    with fresh(path, overwrite) as part, rasterio.open(part, "w", **profile) as file:
        for i, label in enumerate(labels):
            file.write(np.asarray(array.isel(band=i).values), i + 1)
            file.set_band_description(i + 1, label)
        told = {"units": array.attrs.get("units", ""), "long_name": array.attrs.get("long_name", str(array.name))}
        file.update_tags(variable=str(array.name), **told, history=str(array.attrs.get("history", "")))
        file.units = [array.attrs.get("units", "")] * len(labels)
    style = qml(str(array.name), labels)
    if style:
        with fresh(path.with_suffix(".qml"), overwrite=True) as part:
            part.write_text(style, encoding="utf-8")


def _label(array: xr.DataArray, extra: list[str], i: int) -> str:
    parts = []
    for dim in extra:
        value = array[dim].values[i]
        parts.append(str(value.astype("M8[D]")) if array[dim].dtype.kind == "M" else f"{dim} {value}")
    return ", ".join(parts) or str(array.name)


def _read_geotiff(path: Path) -> xr.Dataset:
    import rioxarray

    array = rioxarray.open_rasterio(path, masked=False, chunks={"band": 1})
    if not isinstance(array, xr.DataArray):
        raise DataError(f"'{path}' holds several rasters.", hint="Give one of them.")
    name = str(array.attrs.pop("variable", "") or path.stem)
    labels = array.attrs.pop("long_name", ())
    labels = [labels] if isinstance(labels, str) else list(labels)
    nodata = array.rio.nodata
    if nodata is not None and array.dtype.kind == "f":
        array = array.where(array != nodata)
    if labels and all(_is_date(text) for text in labels):
        dates = np.array(labels, "M8[D]").astype("M8[ns]")
        array = array.rename(band="time").assign_coords(time=("time", dates, {"standard_name": "time", "axis": "T"}))
    elif array.sizes["band"] == 1:
        array = array.squeeze("band", drop=True)
    keep = {k: v for k, v in array.attrs.items() if k in ("units", "flag_values", "flag_meanings")}
    if isinstance(keep.get("units"), tuple | list):
        keep["units"] = keep["units"][0]
    array.attrs = keep
    ds = array.to_dataset(name=name)
    grid = grid_of(ds)
    return ds if grid is None else grid.assign(ds)


def _is_date(text: str) -> bool:
    try:
        np.datetime64(text, "D")
    except ValueError:
        return False
    return len(text) == 10


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
