"""NLDAS files: whether they are complete, what is in their headers, and reading a window of some hours.

netCDF-4 is HDF5, and a day is 24 small files: they are read through the low-level interface of h5py, in less than half
of the time that netCDF4 takes.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from h5py import h5d, h5f, h5p, h5s
from xsm import DataError
from xsm.plugin_api import SHORT, check_hdf5, whole_hours

from xsm_nldas import grib
from xsm_nldas.decode import count_of, decode, exact, is_number, order_of, scale_of, text_of, units_of
from xsm_nldas.names import check_name, check_product

NAME = re.compile(r"NLDAS_(NOAH|FORA)0125_H\.A(\d{8})\.(\d\d)00\.(\d{3})\.")
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
LARGEST = 4096
"""Cells along an axis that a file may say it has."""
DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""What h5py raises where a file is damaged."""


@dataclass(frozen=True)
class Header:
    """Grid, units of the maps, and hours (since 1970, UTC) of a file.

    ``zero`` is the hour 0 of a time in hours, ``orders`` the dims of the maps that are not (time, lat, lon).
    """

    lat: np.ndarray
    lon: np.ndarray
    units: dict[str, str]
    hours: np.ndarray
    synthetic: str
    path: Path
    zero: int | None = None
    orders: dict[str, tuple[int, ...]] = field(default_factory=dict)


def near(hour: int, stamp: int, path: Path) -> bool:
    """Whether a file's hour is that of its name; accumulations of version 002 may be stamped an hour before."""
    return abs(hour - stamp) <= (1 if path.suffix == ".grb" else 0)


def check_whole(path: Path) -> None:
    """Stop with a sentence if a file is not a complete HDF5 file; reads 64 bytes. GRIB is checked section by section.

    A name that tells another model or monthly means stops too.
    The end-of-file address of the superblock is compared with the size of the file.
    """
    check_name(path)
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
            kind, hint = "an HTML page", "Approve 'NASA GESDISC DATA ARCHIVE' in Earthdata and download it again."
        elif head[:4] == grib.MAGIC:
            grib.layers(path)
            return
        elif head[:3] == b"CDF":
            kind, hint = "netCDF-3", "Convert it with `nccopy -k nc4`."
        elif path.suffix.lower() in (".csv", ".txt", ".asc"):
            kind, hint = "a table, perhaps a time series of one point", "Give hourly maps, NLDAS_NOAH0125_H as netCDF."
        elif head[:4] in (b"II*\0", b"MM\0*"):
            kind, hint = "a TIFF file", "Give hourly maps, NLDAS_NOAH0125_H as netCDF."
        raise DataError(f"'{path}' is {kind}, expected NLDAS-2 netCDF-4.", hint=hint)
    if size < 64:
        raise DataError(f"'{path}' is truncated ({size} bytes).", hint="Download it again.")
    at, width = (28, head[9]) if head[8] >= 2 else (40 + 4 * head[8], head[13])
    expected = int.from_bytes(head[at : at + width], "little")
    if size < expected:
        raise DataError(f"'{path}' is truncated ({size} of {expected} bytes).", hint="Download it again.")


def read_header(path: Path) -> Header:
    """Read grid, hours and storage of the variables of one file."""
    if grib.is_grib(path):
        layers = grib.layers(path)
        units = {n: "K" if n in ("Tair", "SoilT_0_10cm", "SoilT_10_40cm") else "kg m-2" for n in layers.bands}
        return Header(layers.lat, layers.lon, units, np.array([layers.hour]), "", path)
    check_hdf5(path)
    try:
        with h5py.File(path) as file:
            absent = [n for n in ("time", "lat", "lon") if n not in file]
            if absent:
                raise DataError(
                    f"'{path}' has no coordinate {', '.join(absent)} (it contains {', '.join(file) or 'nothing'}).",
                    hint="Expected NLDAS-2 Noah or forcing files of version 2.0.",
                )
            shape = tuple(_length(path, file[n]) for n in ("time", "lat", "lon"))
            lat, lon = (_axis(path, n, file[n][:], limit) for n, limit in (("lat", 90), ("lon", 360)))
            times = _decode_hours(file["time"])
            steps = np.sign(np.diff(times))
            if not len(times) or {-1, 1} <= set(steps.tolist()) or not 0 < times.min() <= times.max() < 10**6:
                raise DataError(f"'{path}' has times that are in no order.", hint="Sort it, or download it again.")
            check_product(path, {k: text_of(v) for k, v in file.attrs.items() if np.size(v)})
            orders = {n: axes for n, v in file.items() if (axes := order_of(v, shape)) is not None}
            units = {n: units_of(file[n].id) for n in orders}
            orders = {n: axes for n, axes in orders.items() if axes != (0, 1, 2)}
            synthetic = text_of(file.attrs.get("synthetic", ""))
            hourly = text_of(file["time"].attrs.get("units", "")).startswith("hours since")
            zero = int(times[0]) - _hour(file["time"][0]) if hourly else None
            return Header(lat, lon, units, times, synthetic, path, zero, orders)
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
    path: Path,
    steps: Sequence[int],
    names: Sequence[str],
    header: Header,
    window: tuple[slice, slice],
    stated: Mapping[str, str] | None = None,
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
    stated : mapping of str to str, optional
        Units that the user states.

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
        layers = grib.layers(path)
        if not (np.array_equal(layers.lat, header.lat) and np.array_equal(layers.lon, header.lon)):
            raise DataError(
                f"'{path}' is on another grid than other files.", hint="Give the files of one region at a time."
            )
        match = NAME.match(path.name)
        if match is not None and not near(layers.hour, hour_of(match[2], match[3]), path):
            raise DataError(f"'{path}' contains another hour than its name says.", hint="Download it again.")
        return grib.read(path, list(names), window)[:, None]
    check_hdf5(path)
    rows, cols = window
    first, count = steps[0], steps[-1] - steps[0] + 1
    shape = (count, rows.stop - rows.start, cols.stop - cols.start)
    out = np.empty((len(names), *shape), "f4")
    try:
        file = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, _access())
        try:
            _check_grid(path, file, header)
            for i, name in enumerate(names):
                dataset = h5d.open(file, name.encode())
                space, axes = dataset.get_space(), header.orders.get(name, (0, 1, 2))
                lengths = (count_of(file), header.lat.size, header.lon.size)
                if len(set(lengths)) < 3:  # the shape does not tell which axis is which
                    axes = order_of(h5py.Dataset(dataset), lengths) or axes
                if space.shape != tuple(lengths[a] for a in axes) or not is_number(dataset):
                    raise DataError(
                        f"'{path}': {name} is {dataset.dtype} of shape {dataset.shape}, expected numbers on "
                        f"(time, lat, lon) of {lengths}.",
                        hint="Give files of one download at a time.",
                    )
                part = [(slice(first, first + count), *window)[a] for a in axes]
                if _lacks_a_chunk(dataset, tuple(part)):
                    raise DataError(f"'{path}': a part of {name} is lost.", hint="Download it again.")
                block = np.empty(tuple(p.stop - p.start for p in part), exact(dataset))
                space.select_hyperslab(tuple(p.start for p in part), block.shape)
                dataset.read(h5s.create_simple(block.shape), space, block)
                scale = scale_of(units_of(dataset), name, path, stated or {})
                out[i] = decode(block, dataset, scale).transpose([axes.index(a) for a in range(3)])
        finally:
            file.close()
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(f"'{path}' cannot be read ({error}).", hint="Check or download it again.") from error
    return out[:, np.subtract(steps, first)] if count != len(steps) else out


def _check_grid(path: Path, file: Any, header: Header) -> None:
    for name, expected in (("lat", header.lat), ("lon", header.lon)):
        dataset = h5d.open(file, name.encode())
        same = dataset.shape == expected.shape
        if same:
            got = np.empty_like(expected)
            dataset.read(h5s.ALL, h5s.ALL, got)
            same = bool(np.array_equal(got, expected))
        if not same:
            raise DataError(
                f"'{path}' has another {name} axis ({dataset.shape[0]}) than other files ({expected.size}).",
                hint="Give the files of one region at a time.",
            )
    match = NAME.match(path.name)
    if match is not None and match[4] == "020" and header.zero is not None:
        hour = np.empty(1)
        dataset = h5d.open(file, b"time")
        if dataset.shape != (1,):
            raise DataError(f"'{path}' has {dataset.shape} times, expected one.", hint="Download it again.")
        dataset.read(h5s.ALL, h5s.ALL, hour)
        if _hour(hour[0]) + header.zero != hour_of(match[2], match[3]):
            raise DataError(f"'{path}' contains another hour than its name says.", hint="Download it again.")


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


def _hour(number: float) -> int:
    """The whole hours of a time in hours, as `whole_hours` has them."""
    return math.ceil(number + SHORT / np.timedelta64(1, "h")) - 1


def _decode_hours(variable: h5py.Dataset) -> np.ndarray:
    """Hours since 1970; a stamp within an hour belongs to that hour, so that no half hour leaves its day."""
    attrs = {k: text_of(variable.attrs[k]) for k in ("units", "calendar") if k in variable.attrs}
    where = variable.file.filename
    try:
        times = xr.decode_cf(xr.Dataset({"time": ("time", variable[:], attrs)}))["time"].values
    except (ValueError, OverflowError):
        times = np.empty(0)
    if times.dtype.kind != "M":
        raise DataError(
            f"'{where}' has times with {attrs or 'no unit'}, expected 'hours since ...' in the standard calendar.",
            hint="Give the files as the data centre has them, or set units and calendar of time.",
        )
    hours = whole_hours(times).astype("M8[h]").astype("i8")
    steps = np.diff(hours)
    if len(steps) and steps.min() >= 24:
        kind = "monthly" if steps.min() >= 28 * 24 else "daily or coarser"
        raise DataError(
            f"'{where}' contains {kind} maps, expected hourly ones.",
            hint="Download NLDAS_NOAH0125_H, the hourly product.",
        )
    return hours
