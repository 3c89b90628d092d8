"""Version 002 in GRIB edition 1: written here, decoded by GDAL and by bare arithmetic."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from xsm import DataError
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm.twin import World, make_world
from xsm_nldas import grib
from xsm_nldas.backend import NldasBackend
from xsm_nldas.source import NldasSource
from xsm_nldas.write_grib import write

open_ = functools.partial(open_files, NldasSource())


@pytest.fixture(scope="module")
def world() -> World:
    return make_world((-98.0, 35.5, -97.0, 36.5), days=1)


@pytest.fixture(scope="module")
def files(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(world, tmp_path_factory.mktemp("grib"))


def ibm(octets: bytes) -> float:
    sign = -1 if octets[0] & 0x80 else 1
    return sign * int.from_bytes(octets[1:4]) / 2**24 * 16.0 ** ((octets[0] & 0x7F) - 64)


def decode(raw: bytes) -> dict[tuple[int, ...], np.ndarray]:
    """All fields of a file, bit by bit from the definition of simple packing (WMO FM 92 GRIB edition 1)."""
    fields, at = {}, 0
    while at < len(raw):
        size = int.from_bytes(raw[at + 4 : at + 7])
        pds = at + 8
        gds = pds + int.from_bytes(raw[pds : pds + 3])
        bms = gds + int.from_bytes(raw[gds : gds + 3])
        bds = bms + int.from_bytes(raw[bms : bms + 3])
        cols, rows = int.from_bytes(raw[gds + 6 : gds + 8]), int.from_bytes(raw[gds + 8 : gds + 10])
        mask = np.unpackbits(np.frombuffer(raw[bms + 6 : bds], "u1"), count=rows * cols).astype(bool)
        width, scale = raw[bds + 10], int.from_bytes(raw[pds + 26 : pds + 28])
        bits = "".join(f"{b:08b}" for b in raw[bds + 11 : at + size - 4])
        packed = [int(bits[width * i : width * (i + 1)] or "0", 2) for i in range(mask.sum())]
        field = np.full(rows * cols, np.nan)
        power = int.from_bytes(raw[bds + 4 : bds + 6])
        step = 2.0 ** (-(power & 0x7FFF) if power & 0x8000 else power)
        field[mask] = (ibm(raw[bds + 6 : bds + 10]) + np.array(packed, "f8") * step) / 10.0**scale
        fields[tuple(raw[pds + 8 : pds + 12])] = field.reshape(rows, cols)
        at += size
    return fields


def test_days_equal_a_bare_decoding(files: list[Path]) -> None:
    got = open_(files)
    fields = [decode(p.read_bytes()) for p in files]
    close = {"rtol": 3e-7, "equal_nan": True}  # float32 of the values, of their mean, of its product
    np.testing.assert_allclose(got["sm_noah_0_10"][0], np.mean([f[86, 112, 0, 10] for f in fields], 0) / 100, **close)
    np.testing.assert_allclose(
        got["soil_temperature_10_40"][0], np.mean([f[85, 112, 10, 40] for f in fields], 0), **close
    )
    rain = np.sum([f[162, 1, 0, 0] + f[161, 1, 0, 0] for f in fields], 0)
    np.testing.assert_allclose(got["precipitation"][0], rain, rtol=1e-6, atol=1e-6, equal_nan=True)
    assert (np.diff(got["lat"]) > 0).all()


def test_round_trip_to_the_precision_of_the_packing(files: list[Path], world: World) -> None:
    got = open_(files, variables=["sm_noah_0_10", "soil_temperature_0_10"])
    hours = world.nldas_hours(world.days[0])
    np.testing.assert_array_equal(got["lat"], hours["lat"])
    mean = hours.mean("time", skipna=False)
    # values are kept to 0.001 of their unit: the mean of 24 is within half of that
    np.testing.assert_allclose(got["sm_noah_0_10"][0] * 100, mean["SoilM_0_10cm"], atol=6e-4)
    np.testing.assert_allclose(got["soil_temperature_0_10"][0], mean["SoilT_0_10cm"], atol=6e-4)


def test_region_and_engine(files: list[Path]) -> None:
    whole = open_(files)
    part = open_(files, region=Area((-97.6, 35.9, -97.5, 36.0), None))
    at = {"lat": part["lat"], "lon": part["lon"]}
    xr.testing.assert_equal(part.compute(), whole.sel(at).compute())
    assert part.sizes["lat"] < whole.sizes["lat"]
    steps = xr.open_mfdataset(files[:2], engine=NldasBackend)
    assert steps.sizes["time"] == 2
    np.testing.assert_array_equal(steps["SoilM_0_10cm"][1], decode(files[1].read_bytes())[86, 112, 0, 10].astype("f4"))


SPOILT = {
    "cut": lambda raw: raw[:-1],
    "edition": lambda raw: raw[:7] + b"\x02" + raw[8:],
    "bitmap": lambda raw: raw[: 8 + 28 + 32 + 3] + b"\x07" + raw[8 + 28 + 32 + 4 :],
    "a thousand million cells": lambda raw: raw[: 8 + 28 + 6] + b"\xff\xff\xff\xff" + raw[8 + 28 + 10 :],
    "no message": lambda raw: b"GRIB",
    "another day": lambda raw: raw[: 8 + 14] + b"\x1c" + raw[8 + 15 :],
}


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_files_are_named(files: list[Path], tmp_path: Path, how: str) -> None:
    bad = tmp_path / files[0].name
    bad.write_bytes(SPOILT[how](files[0].read_bytes()))
    with pytest.raises(DataError, match=bad.name.replace(".", r"\.")):
        open_([bad, *files[1:]])
    with warnings.catch_warnings(action="ignore"):
        got = open_([bad, *files[1:]], on_error="skip")
    assert bad.name in got.attrs["skipped"][0] and got["sm_noah_0_10"].notnull().any()


def test_real_elevation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A true NLDAS GRIB1 file has the values that GDAL reads, with rows from south to north."""
    folder = os.environ.get("XSM_TEST_DATA")
    if not folder:
        pytest.skip("XSM_TEST_DATA is not set: the real NLDAS file is not here")
    path = tmp_path / "elevation.grb"  # heads are cached by path
    path.write_bytes((Path(folder) / "nldas" / "NLDAS_ELEVATION.grb").read_bytes())
    monkeypatch.setitem(grib.NAMES, (7, 1, 0, 0), "elevation")
    layers = grib.layers(path)
    assert layers.lat[[0, -1]].tolist() == [25.0625, 52.9375] and layers.lon[[0, -1]].tolist() == [-124.9375, -67.0625]
    got = grib.read(path, ["elevation"], (slice(0, 224), slice(0, 464)))[0]
    with rasterio.open(path) as file:
        wanted = file.read(1, masked=True).filled(np.nan)[::-1]
    np.testing.assert_array_equal(got, wanted.astype("f4"))
    np.testing.assert_allclose(got, decode(path.read_bytes())[7, 1, 0, 0], rtol=1e-6)
    part = grib.read(path, ["elevation"], (slice(50, 60), slice(100, 120)))[0]
    np.testing.assert_array_equal(part, got[50:60, 100:120])
