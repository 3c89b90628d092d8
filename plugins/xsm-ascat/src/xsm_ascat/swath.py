"""Swaths of H SAF: observations of a day in a window, each cell with the nearest one of a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from xsm import DataError, Grid, SkippedFile
from xsm.plugin_api import check_hdf5, convert_in, tell, text_of, unit_of

from xsm_ascat.layout import BITS, DESCENDING, MOISTURE, NOISE, SHARES, SWATH_NAME, stamp

DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
EARTH = 6371.0
REACH = 0.75
"""Of the sampling: how far from a cell an observation may lie."""
AROUND = 0.2
"""Degrees around a window that are read."""
SLACK = 1 / 24
"""Days by which times may lie outside those of the name."""
LARGEST = 10_000_000
"""Observations that a file may say it has."""


class Observations(NamedTuple):
    """What of a swath counts: degrees, days since 1970, percent."""

    lon: np.ndarray
    lat: np.ndarray
    day: np.ndarray
    saturation: np.ndarray
    noise: np.ndarray


def read_day(
    day: np.datetime64,
    files: Sequence[tuple[Path, float]],
    grid: Grid,
    options: Mapping[str, Any],
    stated: Mapping[str, str],
    on_error: str,
) -> np.ndarray:
    """Place the observations of a UTC day on a window.

    Parameters
    ----------
    day : datetime64[D]
        UTC day.
    files : sequence of (Path, float)
        Swaths that touch the day, and their sampling in km.
    grid : Grid
        The window.
    options : mapping
        ``overpass`` and ``quality``.
    stated : mapping of str to str
        Units that the user states.
    on_error : {"raise", "skip"}

    Returns
    -------
    numpy.ndarray
        float64 (3, row, column): saturation and its noise in percent, days since 1970; NaN where nothing was observed.
        Of several passes the one nearest 12 UTC counts.
    """
    out = np.full((3, *grid.shape), np.nan)
    noon = day.astype("M8[D]").astype(int) + 0.5
    for path, sampling in files:
        try:
            swath = read_swath(path, grid, options, stated)
        except DataError as error:
            if on_error == "raise":
                raise
            tell(SkippedFile(path, error))
            continue
        today = np.floor(swath.day) == noon - 0.5
        placed = place(Observations(*(a[today] for a in swath)), grid, sampling)
        nearer = np.isfinite(placed[0]) & ~(np.abs(out[2] - noon) <= np.abs(placed[2] - noon))
        out[:, nearer] = placed[:, nearer]
    return out


def place(swath: Observations, grid: Grid, sampling: float) -> np.ndarray:
    """Give each cell the nearest observation within three quarters of the sampling: float64 (3, row, column)."""
    from scipy.spatial import cKDTree

    out = np.full((3, grid.rows * grid.cols), np.nan)
    if swath.lon.size:
        lon, lat = (a.ravel() for a in np.meshgrid(grid.lon, grid.lat))
        far, which = cKDTree(_vectors(swath.lon, swath.lat)).query(
            _vectors(lon, lat), distance_upper_bound=REACH * sampling / EARTH
        )
        near = np.isfinite(far)
        for row, values in enumerate((swath.saturation, swath.noise, swath.day)):
            out[row, near] = values[which[near]]
    return out.reshape(3, *grid.shape)


def _vectors(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)


def read_swath(path: Path, grid: Grid, options: Mapping[str, Any], stated: Mapping[str, str]) -> Observations:
    """Read the observations in and around a window that count.

    Raises
    ------
    DataError
        For a file that is damaged, lacks a dataset or has another unit than percent.
    """
    check_start(path)
    check_hdf5(path)
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path, grid, options, stated)
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(f"'{path}' cannot be read ({error}).", hint="Get it again.") from error


def check_start(path: Path) -> None:
    """Stop with a sentence if a file is not HDF5."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}).", hint="Check the path.") from None
    if not head.startswith(b"\x89HDF"):
        what = "an HTML page" if head.lstrip()[:1] == b"<" else "not netCDF-4"
        raise DataError(f"'{path}' is {what}, expected netCDF-4 of H SAF.", hint="Get it again.")


def _read(file: Any, path: Path, grid: Grid, options: Mapping[str, Any], stated: Mapping[str, str]) -> Observations:
    moisture = next((n for n in MOISTURE if n in file), None)
    noise = next((n for n in NOISE if n in file), None)
    absent = [n for n in ("latitude", "longitude", "time") if n not in file]
    absent += [] if moisture else [MOISTURE[0]]
    if absent or moisture is None:
        raise DataError(f"'{path}' has no {', '.join(absent)}.", hint="Expected swaths of H SAF as netCDF.")
    size = file[moisture].shape
    if len(size) != 1 or size[0] > LARGEST:
        raise DataError(
            f"'{path}': {moisture} has the shape {size}, expected one of observations.", hint="Get it again."
        )
    lat, lon = _numbers(file, "latitude", size, path), _numbers(file, "longitude", size, path)
    west, south, east, north = grid.bbox
    across = AROUND / np.cos(np.radians(min(80, max(abs(south), abs(north)))))
    inside = (lat > south - AROUND) & (lat < north + AROUND) & (lon > west - across) & (lon < east + across)
    if not inside.any():
        return Observations(*(np.empty(0) for _ in range(5)))
    where = slice(int(inside.argmax()), int(inside.size - inside[::-1].argmax()))
    part = inside[where]
    unit = unit_of(text_of(file[moisture].attrs.get("units", "percent")), moisture, path, stated, known="saturation")
    saturation = convert_in(path, moisture, _numbers(file, moisture, size, path, where)[part], unit, "percent")
    if (saturation > 100.5).sum() * 2 > np.isfinite(saturation).sum() > 0:
        raise DataError(
            f"'{path}' has a {moisture} of {np.nanmedian(saturation):.3g} percent (median), expected 0 to 100.",
            hint=f"State the unit of its numbers: <units={moisture}=percent>.",
        )
    spread = np.full(part.sum(), np.nan) if noise is None else _numbers(file, noise, size, path, where)[part]
    day = _days(file, size, path, where)[part]
    counts = np.isfinite(saturation) & (saturation >= 0) & (saturation <= 100) & np.isfinite(day)
    if options["quality"] == "recommended":
        for name, bits in BITS.items():
            if name in file:
                counts &= (_stored(file, name, size, path, where)[part].astype("i8") & bits) == 0
        for name, most in SHARES.items():
            if name in file:
                counts &= ~(_numbers(file, name, size, path, where)[part] >= most)
    if options["overpass"] != "both":
        counts &= _descends(file, size, path, where)[part] == (options["overpass"] == "descending")
    lon, lat = lon[where][part], lat[where][part]
    return Observations(*(a[counts] for a in (lon, lat, day, saturation, spread)))


def _descends(file: Any, size: tuple[int, ...], path: Path, where: slice) -> np.ndarray:
    """Whether each observation is of a descending pass, by the meanings that the file gives."""
    if "as_des_pass" not in file:
        raise DataError(
            f"'{path}' does not tell ascending from descending passes.", hint="Open it with <overpass=both>."
        )
    data = file["as_des_pass"]
    meanings = text_of(data.attrs.get("flag_meanings", "")).lower().replace(",", " ").split()
    numbers = np.ravel(data.attrs.get("flag_values", np.arange(len(meanings))))
    by_meaning = {m: int(v) for m, v in zip(meanings, numbers, strict=False) if m.startswith(("asc", "desc"))}
    down = next((v for m, v in by_meaning.items() if m.startswith("desc")), DESCENDING)
    return _stored(file, "as_des_pass", size, path, where) == down


def _stored(file: Any, name: str, size: tuple[int, ...], path: Path, where: slice = slice(None)) -> np.ndarray:
    data = file[name]
    if getattr(data, "shape", None) != size or data.dtype.kind not in "fiu":
        raise DataError(f"'{path}': '{name}' is not a number for each observation.", hint="Get it again.")
    return data[where]


def _numbers(file: Any, name: str, size: tuple[int, ...], path: Path, where: slice = slice(None)) -> np.ndarray:
    """float64 with the packing of CF applied; NaN for fill values."""
    stored, attrs = _stored(file, name, size, path, where), file[name].attrs
    values = stored.astype("f8")
    for key in ("_FillValue", "missing_value"):
        for fill in np.ravel(attrs.get(key, [])):
            values[stored == fill] = np.nan
    scale, offset = (float(np.ravel(attrs.get(k, d))[0]) for k, d in (("scale_factor", 1), ("add_offset", 0)))
    if not scale or not np.isfinite([scale, offset]).all():
        raise ValueError(f"scale_factor {scale}, add_offset {offset}")
    return values * scale + offset


def _days(file: Any, size: tuple[int, ...], path: Path, where: slice) -> np.ndarray:
    unit = text_of(file["time"].attrs.get("units", "")).strip()
    if not unit.startswith("days since 1970-01-01"):
        raise DataError(
            f"'{path}' has the unit '{unit}' of time, expected 'days since 1970-01-01 00:00:00'.", hint="Get it again."
        )
    days = _numbers(file, "time", size, path, where)
    match = SWATH_NAME.match(path.name)
    assert match is not None  # noqa: S101 - swaths are chosen by their names
    first, last = stamp(match["start"]), stamp(match["end"])
    low, high = ((t - np.datetime64("1970-01-01", "s")) / np.timedelta64(1, "D") for t in (first, last))
    if not low - SLACK <= np.nanmedian(days) <= high + SLACK:
        raise DataError(f"'{path}' contains other times than its name says.", hint="Keep the product's names.")
    return days
