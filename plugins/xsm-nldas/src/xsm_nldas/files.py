"""NLDAS files: whether they are whole, what their headers tell, and reading a window of some hours.

netCDF-4 is HDF5, and a day is 24 small files: they are read through the low-level interface of h5py, in less than half
of the time that netCDF4 takes.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from h5py import h5a, h5d, h5f, h5p, h5s, h5t
from xsm import DataError
from xsm.plugin_api import check_hdf5

from xsm_nldas import grib

NAME = re.compile(r"NLDAS_(NOAH|FORA)0125_H\.A(\d{8})\.(\d\d)00\.(\d{3})\.")
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
FILL = -9999.0
UNITS = {"": 1.0, "K": 1.0} | dict.fromkeys(("kg m-2", "kg/m^2", "kg/m2", "mm"), 1.0) | {"kg m-2 s-1": 3600.0}
"""Factor to kg m-2 (of the hour) or K of the units that the products use."""
LARGEST = 4096
"""Cells along an axis that a file may say it has."""
DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""What h5py raises where a file is damaged."""


@dataclass(frozen=True)
class Header:
    """Grid, units of the maps, and hours (since 1970, UTC) of a file; ``zero`` is the hour 0 of a time in hours."""

    lat: np.ndarray
    lon: np.ndarray
    units: dict[str, str]
    hours: np.ndarray
    synthetic: str
    path: Path
    zero: int | None = None


def near(hour: int, stamp: int, path: Path) -> bool:
    """Whether a file's hour is that of its name; accumulations of version 002 may be stamped an hour before."""
    return abs(hour - stamp) <= (1 if path.suffix == ".grb" else 0)


def check_whole(path: Path) -> None:
    """Stop with a sentence where a file is no whole HDF5 file; reads 64 bytes. GRIB is checked section by section.

    The end-of-file address of the superblock is compared with the size of the file.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).", hint="Check the path.") from None
    if head[:8] != HDF5_MAGIC:
        kind, hint = "neither netCDF-4 nor HDF5", "Download it again."
        if not size:
            kind = "empty"
        elif head.lstrip()[:1] == b"<":
            kind, hint = "an HTML page", "Approve 'NASA GESDISC DATA ARCHIVE' in Earthdata, download again."
        elif head[:4] == grib.MAGIC:
            grib.layers(path)
            return
        elif head[:3] == b"CDF":
            kind, hint = "netCDF-3", "Convert it with `nccopy -k nc4`."
        raise DataError(f"'{path}' is {kind}, wanted NLDAS-2 netCDF-4.", hint=hint)
    if size < 64:
        raise DataError(f"'{path}' is truncated ({size} bytes).", hint="Download it again.")
    at, width = (28, head[9]) if head[8] >= 2 else (40 + 4 * head[8], head[13])
    wanted = int.from_bytes(head[at : at + width], "little")
    if size < wanted:
        raise DataError(f"'{path}' is truncated ({size} of {wanted} bytes).", hint="Download it again.")


def read_header(path: Path) -> Header:
    """Read grid, hours and storage of the variables of one file."""
    if grib.is_grib(path):
        found = grib.layers(path)
        units = {n: "K" if n in ("Tair", "SoilT_0_10cm", "SoilT_10_40cm") else "kg m-2" for n in found.bands}
        return Header(found.lat, found.lon, units, np.array([found.hour]), "", path)
    check_hdf5(path)
    try:
        with h5py.File(path) as file:
            absent = [n for n in ("time", "lat", "lon") if n not in file]
            if absent:
                raise DataError(
                    f"'{path}' has no coordinate {', '.join(absent)} (it holds {', '.join(file) or 'nothing'}).",
                    hint="Wanted NLDAS-2 Noah or forcing files of version 2.0.",
                )
            shape = tuple(_length(path, file[n]) for n in ("time", "lat", "lon"))
            lat, lon = (_axis(path, n, file[n][:], limit) for n, limit in (("lat", 90), ("lon", 360)))
            times = _decode_hours(file["time"])
            if not len(times) or (np.diff(times) <= 0).any() or not 0 < times[0] <= times[-1] < 10**6:
                raise DataError(f"'{path}' has times that do not rise.", hint="Download it again.")
            units = {n: _units(v.id) for n, v in file.items() if isinstance(v, h5py.Dataset) and v.shape == shape}
            synthetic = _text(file.attrs.get("synthetic", ""))
            hourly = _text(file["time"].attrs.get("units", "")).startswith("hours since")
            zero = int(times[0]) - round(float(file["time"][0])) if hourly else None
            return Header(lat, lon, units, times, synthetic, path, zero)
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(f"'{path}' cannot be read ({error}).", hint="Download it again.") from error


def _length(path: Path, axis: h5py.Dataset) -> int:
    if (
        axis.ndim != 1
        or not 0 < axis.size <= LARGEST * (256 if axis.name == "/time" else 1)
        or axis.dtype.kind not in "fiu"
    ):
        raise DataError(f"'{path}' has an axis {axis.name} of shape {axis.shape}.", hint="Download it again.")
    return axis.size


def _axis(path: Path, name: str, values: np.ndarray, limit: float) -> np.ndarray:
    """Check that cell centres are where a regular grid has them."""
    step = (values[-1] - values[0]) / max(values.size - 1, 1)
    even = values[0] + step * np.arange(values.size)
    if not np.isfinite(values).all() or np.abs(values).max() > limit or np.abs(values - even).max() > 1e-3 * abs(step):
        raise DataError(f"'{path}' has a {name} axis that is not regular.", hint="Download it again.")
    return values


def read_hours(
    path: Path, steps: Sequence[int], names: Sequence[str], header: Header, window: tuple[slice, slice]
) -> np.ndarray:
    """Read a window of some time steps.

    Parameters
    ----------
    path : Path
        File of one or several hours.
    steps : sequence of int
        Time steps, ascending.
    names : sequence of str
        Variables of the product.
    header : Header
        Grid that the file must agree with.
    window : tuple of slice
        Rows and columns.

    Returns
    -------
    numpy.ndarray
        float32 (variable, step, lat, lon) in kg m-2 (of the hour) or K, by the file's own packing and units; NaN where
        missing.

    Raises
    ------
    DataError
        For a file that cannot be read, has another grid or an unknown unit, or lacks a variable.
    """
    if grib.is_grib(path):
        found = grib.layers(path)
        if not (np.array_equal(found.lat, header.lat) and np.array_equal(found.lon, header.lon)):
            raise DataError(
                f"'{path}' is on another grid than other files.", hint="Give the files of one region at a time."
            )
        match = NAME.match(path.name)
        if match is not None and not near(found.hour, hour_of(match[2], match[3]), path):
            raise DataError(f"'{path}' holds another hour than its name tells.", hint="Download it again.")
        return grib.read(path, list(names), window)[:, None]
    check_hdf5(path)
    rows, cols = window
    first, count = steps[0], steps[-1] - steps[0] + 1
    shape = (count, rows.stop - rows.start, cols.stop - cols.start)
    out = np.empty((len(names), *shape), "f4")
    memory = h5s.create_simple(shape)
    try:
        file = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, _access())
        try:
            _check_grid(path, file, header)
            for i, name in enumerate(names):
                dataset = h5d.open(file, name.encode())
                space = dataset.get_space()
                if space.shape[1:] != (header.lat.size, header.lon.size) or not _is_float(dataset):
                    raise DataError(
                        f"'{path}': {name} is {dataset.dtype} of shape {dataset.shape}, wanted floats (time, "
                        f"{header.lat.size}, {header.lon.size}).",
                        hint="Download it again.",
                    )
                if _lacks_a_chunk(dataset, (slice(first, first + count), *window)):
                    raise DataError(f"'{path}': a part of {name} is lost.", hint="Download it again.")
                space.select_hyperslab((first, rows.start, cols.start), shape)
                dataset.read(memory, space, out[i])
                _decode(out[i], dataset, factor_of(_units(dataset), name, path))
        finally:
            file.close()
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(f"'{path}' cannot be read ({error}).", hint="Check or download it again.") from error
    return out[:, np.subtract(steps, first)] if count != len(steps) else out


def factor_of(units: str, name: str, path: Path) -> np.float32:
    """Factor from a unit to kg m-2 (of the hour) or K; an unknown one stops."""
    if units not in UNITS:
        raise DataError(
            f"In '{path}' '{name}' has the unit '{units}', wanted one of: {', '.join(filter(None, UNITS))}.",
            hint="Convert it, or leave the file out.",
        )
    return np.float32(UNITS[units])


def _decode(values: np.ndarray, dataset: Any, factor: np.float32) -> None:
    fill = _number(dataset, FILL, b"_FillValue", b"missing_value")
    scale, offset = _number(dataset, 1.0, b"scale_factor"), _number(dataset, 0.0, b"add_offset")
    if not math.isfinite(scale) or not math.isfinite(offset):
        raise ValueError(f"scale_factor {scale}, add_offset {offset}")
    values[(values == np.float32(fill)) | (values == np.float32(FILL))] = np.nan
    if scale != 1:
        values *= np.float32(scale)
    if offset != 0:
        values += np.float32(offset)
    if factor != 1:
        values *= factor


def _check_grid(path: Path, file: Any, header: Header) -> None:
    for name, wanted in (("lat", header.lat), ("lon", header.lon)):
        dataset = h5d.open(file, name.encode())
        same = dataset.shape == wanted.shape
        if same:
            got = np.empty_like(wanted)
            dataset.read(h5s.ALL, h5s.ALL, got)
            same = bool(np.array_equal(got, wanted))
        if not same:
            raise DataError(
                f"'{path}' has another {name} axis ({dataset.shape[0]}) than other files ({wanted.size}).",
                hint="Give the files of one region at a time.",
            )
    match = NAME.match(path.name)
    if match is not None and match[4] == "020" and header.zero is not None:
        hour = np.empty(1)
        dataset = h5d.open(file, b"time")
        if dataset.shape != (1,):
            raise DataError(f"'{path}' has {dataset.shape} times, wanted one.", hint="Download it again.")
        dataset.read(h5s.ALL, h5s.ALL, hour)
        if hour[0] + header.zero != hour_of(match[2], match[3]):
            raise DataError(f"'{path}' holds another hour than its name tells.", hint="Download it again.")


def _is_float(dataset: Any) -> bool:
    return any(dataset.get_type().equal(t) for t in (h5t.IEEE_F32LE, h5t.IEEE_F64LE, h5t.IEEE_F32BE, h5t.IEEE_F64BE))


def _lacks_a_chunk(dataset: Any, window: tuple[slice, ...]) -> bool:
    """Whether a part of a window was never written, or its place was lost: it would read as fill."""
    layout = dataset.get_create_plist()
    if layout.get_layout() != h5d.CHUNKED:
        return dataset.get_storage_size() == 0
    sizes = layout.get_chunk()
    starts = (range(w.start // c * c, w.stop, c) for w, c in zip(window, sizes, strict=True))
    return any(dataset.get_chunk_info_by_coord(at).byte_offset is None for at in itertools.product(*starts))


@functools.cache
def _access() -> Any:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    access.set_file_locking(False, True)
    return access


def hour_of(day: str, hour: str) -> int:
    """Hours since 1970 of the day and hour in a name."""
    return int(np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour}", "h").astype(int))


def _decode_hours(variable: h5py.Dataset) -> np.ndarray:
    attrs = {k: _text(variable.attrs[k]) for k in ("units", "calendar") if k in variable.attrs}
    times = xr.decode_cf(xr.Dataset({"time": ("time", variable[:], attrs)}))["time"].values
    if times.dtype.kind != "M":
        raise DataError(f"'{variable.file.filename}' has times without a unit that could be read ({attrs}).")
    return np.rint(times.astype("M8[s]").astype("i8") / 3600).astype("i8")


def _attribute(dataset: Any, *names: bytes) -> Any:
    """Open the first of these attributes that is there."""
    for name in names:
        with contextlib.suppress(KeyError):
            return h5a.open(dataset, name)
    return None


def _number(dataset: Any, default: float, *names: bytes) -> float:
    """First value of an attribute of at most 8 bytes, so of at most 8 values: its shape takes as long as all else."""
    attribute, value = _attribute(dataset, *names), np.empty(8)
    if attribute is None:
        return default
    if not 0 < attribute.get_storage_size() <= value.size:
        raise ValueError(f"its {names[0].decode()} has {attribute.get_storage_size()} bytes")
    attribute.read(value, h5t.NATIVE_DOUBLE)
    return float(value[0])


def _units(dataset: Any) -> str:
    """Attribute ``units``; one that is no text of at most 64 bytes is told in brackets."""
    attribute, value = _attribute(dataset, b"units"), np.zeros(64, "S64")
    if attribute is None:
        return ""
    if attribute.get_storage_size() > value.size:
        return f"({attribute.get_storage_size()} bytes)"
    try:
        attribute.read(value, _text_type())
    except (OSError, TypeError):
        return "(no text)"
    return _text(value)


@functools.cache
def _text_type() -> Any:
    kind = h5t.C_S1.copy()
    kind.set_size(64)
    kind.set_strpad(h5t.STR_NULLPAD)
    return kind


def _text(value: Any) -> str:
    value = np.ravel(value)[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
