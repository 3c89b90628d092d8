"""Hours of a world as files of the retired version 002: GRIB edition 1 with simple packing and a bitmap."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm_nldas.grib import MAGIC, NAMES

DECIMALS = 3
"""Decimal scale: values are kept to 0.001 of their unit."""

NCEP, TABLE = 7, 130


def write(world: Any, dest: Path) -> list[Path]:
    """Write ``NLDAS_NOAH0125_H.A{YYYYMMDD}.{HH}00.002.grb``, one file for each hour.

    Parameters
    ----------
    world : xsm.twin.World
        Its ``days`` and ``nldas_hours(day)`` are used.
    dest : Path
        Folder; created if it does not exist.
    """
    dest.mkdir(parents=True, exist_ok=True)
    paths = []
    for day in world.days:
        hours = world.nldas_hours(day)
        for step, stamp in enumerate(hours["time"].values.astype("M8[h]")):
            text = str(stamp).replace("-", "")
            path = dest / f"NLDAS_NOAH0125_H.A{text[:8]}.{text[9:11]}00.002.grb"
            partial = path.with_suffix(".part")
            partial.write_bytes(encode(hours.isel(time=step), stamp))
            os.replace(partial, path)
            paths.append(path)
    return paths


def encode(hour: xr.Dataset, stamp: np.datetime64) -> bytes:
    """Encode the known layers of one hour, rows south first, as messages of GRIB edition 1."""
    codes = {name: key for key, name in reversed(NAMES.items())}
    codes |= {"Rainf": (162, 1, 0, 0)}
    grid = _grid(hour["lat"].values, hour["lon"].values)
    return b"".join(
        _message(_product(codes[str(n)], stamp), grid, np.asarray(v.values, "f8"))
        for n, v in hour.data_vars.items()
        if n in codes
    )


def _message(product: bytes, grid: bytes, values: np.ndarray) -> bytes:
    valid = ~np.isnan(values.ravel())
    bits = np.packbits(valid).tobytes()
    bitmap = _section(bytes([len(bits) * 8 - valid.size, 0, 0]) + bits)
    body = product + grid + bitmap + _data(values.ravel()[valid])
    return MAGIC + (len(body) + 12).to_bytes(3) + b"\x01" + body + b"7777"


def _product(code: tuple[int, int, int, int], stamp: np.datetime64) -> bytes:
    moment = stamp.astype("M8[h]").item()
    century, year = divmod(moment.year - 1, 100)
    time = bytes([year + 1, moment.month, moment.day, moment.hour, 0, 1, 0, 0, 0, 0, 0, 0, century + 1, 0])
    scale = DECIMALS.to_bytes(2)
    return _section(bytes([TABLE, NCEP, 140, 110, 0xC0, *code]) + time + scale)


def _grid(lat: np.ndarray, lon: np.ndarray) -> bytes:
    def angle(degrees: float) -> bytes:
        value = round(abs(degrees) * 1000)
        return (value | 0x800000 if degrees < 0 else value).to_bytes(3)

    size = lon.size.to_bytes(2) + lat.size.to_bytes(2)
    corners = angle(lat[0]) + angle(lon[0]) + b"\x80" + angle(lat[-1]) + angle(lon[-1])
    return _section(bytes([0, 255, 0]) + size + corners + (125).to_bytes(2) * 2 + b"\x40" + bytes(4))


def _data(values: np.ndarray) -> bytes:
    whole = np.rint(values * 10.0**DECIMALS).astype("i8")
    low = int(whole.min()) if whole.size else 0
    width = int(whole.max() - low).bit_length() if whole.size else 0
    bits = (((whole - low)[:, None] >> np.arange(width - 1, -1, -1)) & 1).astype("u1")
    packed = np.packbits(bits).tobytes()
    packed += b"\0" * (len(packed) % 2 == 0)  # sections have an even length: 11 octets and these
    unused = len(packed) * 8 - whole.size * width if width else 0
    head = bytes([unused & 0x0F]) + b"\0\0" + _ibm(float(low)) + bytes([width])
    return _section(head + packed)


def _ibm(value: float) -> bytes:
    """IBM single precision: sign, exponent of 16 plus 64, fraction of 24 bits; whole numbers below 2**24 are exact."""
    if value == 0:
        return bytes(4)
    exponent = 64
    fraction = abs(value)
    while fraction >= 1:
        fraction, exponent = fraction / 16, exponent + 1
    while fraction < 1 / 16:
        fraction, exponent = fraction * 16, exponent - 1
    return bytes([exponent | (0x80 if value < 0 else 0)]) + round(fraction * 2**24).to_bytes(3)


def _section(body: bytes) -> bytes:
    return (len(body) + 3).to_bytes(3) + body
