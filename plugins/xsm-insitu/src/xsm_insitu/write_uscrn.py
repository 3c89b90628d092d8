"""Write a synthetic world's stations as USCRN hourly02 files: 38 fields in the fixed columns of the product."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from xsm import DataError

from xsm_insitu.layout import DEPTHS, SYNTHETIC_STATE
from xsm_insitu.series import KELVIN

# fields 1-12, 13-28 and 29-38 of the product's readme
_ROW = (
    "%s %s %s %s %s %6s %7.2f %7.2f %7.1f %7.1f %7.1f %7.1f "
    "%7.1f -99999 0 -99999 0 -99999 0 C -9999.0 0 -9999.0 0 -9999.0 0 -9999 0 "
    "%7.3f %7.3f %7.3f %7.3f %7.3f %7.1f %7.1f %7.1f %7.1f %7.1f\n"
)
_NO_TEMPERATURE, _NO_MOISTURE = -9999.0, -99.0
_SPIKE = re.compile(r"C\d\d|D0[4-9]|D10|M")


def write_hourly(stations: xr.Dataset, dest: Path) -> list[Path]:
    """Write one file per station and year; the stamps are taken as the ends of hours in UTC.

    Parameters
    ----------
    stations : xarray.Dataset
        Dims ``(sensor, time)``, hourly, with the coordinates that the documentation lists (Decisions, "Stations"),
        and ``wban``;
        ``soil_temperature``, ``air_temperature`` (K) and ``precipitation`` (kg m-2) are written where they are there.
        Spikes and impossible values (ISMN codes in ``flag``) become missing, as in the product; frozen soil stays.
    dest : Path
        Folder; files go below ``dest/YYYY`` as at NCEI.

    Returns
    -------
    list of Path
        ``CRNH0203-YYYY-ZZ_Name.txt``.
    """
    when = stations["time"].values.astype("M8[m]")
    if len(when) > 1 and not (np.diff(when) == np.timedelta64(60, "m")).all():
        raise DataError("The stations' times are not hourly.", hint="hourly02 files need one value per hour.")
    year = (when - np.timedelta64(1, "m")).astype("M8[Y]")
    names = stations["station"].values.astype(str)
    written = []
    for name in dict.fromkeys(names):
        rows = list(_rows(stations.isel(sensor=np.flatnonzero(names == name)), when))
        for y in np.unique(year):
            first, last = np.searchsorted(year, y), np.searchsorted(year, y, side="right")
            path = dest / str(y) / f"CRNH0203-{y}-{SYNTHETIC_STATE}_{name.replace(' ', '_')}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".part")
            temporary.write_text("".join(rows[first:last]), encoding="ascii", newline="\n")
            os.replace(temporary, path)
            written.append(path)
    return written


def _rows(station: xr.Dataset, when: np.ndarray) -> Iterator[str]:
    lon, lat = float(station["lon"][0]), float(station["lat"][0])
    wban = f"{str(station['wban'].values[0]) if 'wban' in station else '99999':0>5}"
    local = when + np.timedelta64(round(lon / 15), "h")
    day, clock, local_day, local_clock = (t for stamps in (when, local) for t in _texts(stamps))
    air = _temperature(station, "air_temperature", 0)
    rain = station["precipitation"].values[0] if "precipitation" in station else np.full(len(when), np.nan)
    rain = np.where(np.isnan(rain), _NO_TEMPERATURE, rain)
    depths, values = station["depth"].values.astype("f8"), readings(station, _NO_MOISTURE)
    moisture, warmth = [], []
    for depth in DEPTHS:
        at = np.flatnonzero(np.abs(depths - depth) < 1)
        moisture.append(values[at[0]].tolist() if len(at) else [_NO_MOISTURE] * len(when))
        warmth.append(_temperature(station, "soil_temperature", at[0] if len(at) else None))
    columns = (day, clock, local_day, local_clock, air, rain.tolist(), *moisture, *warmth)
    for d, c, ld, lc, t, p, *soil in zip(*columns, strict=True):
        yield _ROW % (wban, d, c, ld, lc, "0.000", lon, lat, t, t, t, t, p, *soil)


def _texts(stamps: np.ndarray) -> tuple[list[str], list[str]]:
    texts = np.char.replace(np.datetime_as_string(stamps, unit="m"), "-", "")
    days, clocks = np.char.partition(texts, "T").T[[0, 2]]
    return days.tolist(), np.char.replace(clocks, ":", "").tolist()


def readings(station: xr.Dataset, missing: float) -> np.ndarray:
    """Soil moisture, or the product's missing value where there is none or a spike."""
    values = station["soil_moisture"].values
    gone = np.isnan(values)
    if "flag" in station:
        words = str(station["flag"].attrs.get("flag_meanings", "")).split()
        gone |= np.isin(station["flag"].values, [k for k, word in enumerate(words) if _SPIKE.fullmatch(word)])
    return np.where(gone, missing, values)


def _temperature(station: xr.Dataset, name: str, at: int | None) -> list[float]:
    """Celsius, or the product's missing value."""
    if name not in station or at is None:
        return [_NO_TEMPERATURE] * station.sizes["time"]
    values = station[name].values[at] - np.float32(KELVIN)
    return np.where(np.isnan(values), _NO_TEMPERATURE, values).tolist()
