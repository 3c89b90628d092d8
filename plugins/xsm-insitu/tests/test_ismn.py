from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from xsm import EASE2_M09, DataError, UsageError
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_insitu.ismn import IsmnSource

SOURCE = IsmnSource()
open_ = functools.partial(open_files, SOURCE)
HEADER = "SCAN       SCAN            Adams_Ranch_#1    34.25000  -105.41700 1882.14    0.05    0.05 Hydraprobe Analog_A"
ROWS = [
    "2022/01/01 00:00   0.1370 G M ",
    "2022/01/01 01:00   0.1380 U      ",  # no provider flag
    "2022/01/01 02:00   0.1390 D02,D03 M",
    "2022/01/01 03:00   0.7000 C02 V",
    "2022/01/01 05:00  -9999.0 M M",
    "2022/01/01 06:00      NaN G M",
    "2022/01/01 07:00   0.1410 G V",
]
EXPECTED = [0.137, 0.138, np.nan, np.nan, np.nan, np.nan, np.nan, 0.141]
FLAGS = [1, 2, 4, 3, 0, 0, 0, 1]


@pytest.fixture(scope="module")
def real() -> Path:
    root = os.environ.get("XSM_TEST_DATA")
    if not root:
        pytest.skip("XSM_TEST_DATA is not set (real files of the agencies)")
    return Path(root) / "insitu" / "ismn"


def put(folder: Path, text: bytes, *, var: str = "sm", depth: str = "0.050800", sensor: str = "Hydraprobe_A") -> Path:
    folder = folder / "SCAN" / "AdamsRanch#1"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"SCAN_SCAN_AdamsRanch#1_{var}_{depth}_{depth}_{sensor}_20220101_20221231.stm"
    path.write_bytes(text)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\r"])
def test_every_kind_of_line_end(tmp_path: Path, end: str) -> None:
    ds = open_([put(tmp_path, end.join([HEADER, *ROWS, ""]).encode())])
    np.testing.assert_allclose(ds["soil_moisture"].values[0], EXPECTED, rtol=1e-6)
    assert list(ds["flag"].values[0]) == FLAGS
    assert ds["depth"].values[0] == 5.08  # of the file name; the header says 0.05 m
    assert (ds["station"].values[0], ds["network"].values[0]) == ("Adams_Ranch_#1", "SCAN")
    assert ds["instrument"].values[0] == "Hydraprobe Analog_A"
    assert ds["time"].values[0] == np.datetime64("2022-01-01T00") and ds["time"].attrs["stamps"] == "instant"


def test_ceop_rows(tmp_path: Path) -> None:
    rows = [
        f"{r[:16]} {r[:16]} SCAN SCAN Adams_Ranch_#1 34.25 -105.417 1882.14 0.05 0.05 {r[16:].strip()}" for r in ROWS
    ]
    ds = open_([put(tmp_path, "\n".join(rows).encode())])
    np.testing.assert_allclose(ds["soil_moisture"].values[0], EXPECTED, rtol=1e-6)
    assert (ds["lat"].values[0], ds["lon"].values[0], ds["depth"].values[0]) == (34.25, -105.417, 5.08)
    assert ds["instrument"].values[0] == "Hydraprobe_A"


def test_flags_to_keep(tmp_path: Path) -> None:
    path = put(tmp_path, "\n".join([HEADER, *ROWS]).encode())
    only_good = open_([path], keep=("G",))["soil_moisture"].values[0]
    assert np.isfinite(only_good).tolist() == [True, *[False] * 6, True]
    dubious = open_([path], keep=("G", "D"))["soil_moisture"].values[0]
    assert np.isfinite(dubious).tolist() == [True, False, True, *[False] * 4, True]
    with pytest.raises(UsageError, match="flag to keep is 'X'"):
        open_([path], keep=("X",))


def test_temperature_joins_its_depth_and_sensors_stay_apart(tmp_path: Path) -> None:
    one = put(tmp_path, "\n".join([HEADER, *ROWS]).encode(), sensor="A")
    two = put(tmp_path, "\n".join([HEADER.replace("Analog_A", "Analog_B"), *ROWS[3:]]).encode(), sensor="B")
    deep = put(tmp_path, "\n".join([HEADER.replace("0.05", "0.20"), *ROWS]).encode(), depth="0.203200")
    warm = ["2022/01/01 00:00 -1.50 G M", "2022/01/01 01:00 2.5 C01 M", "2022/01/01 07:00 3.0 G M"]
    heat = put(tmp_path, "\n".join([HEADER, *warm]).encode(), var="ts")
    rain = put(tmp_path, b"not read", var="p")
    assert [SOURCE.identify(p) for p in (one, heat, rain, tmp_path / "a.csv")] == [True, True, False, False]
    ds = open_([one, two, deep, heat])
    assert ds.sizes == {"sensor": 3, "time": 8}
    assert list(ds["instrument"].values) == ["Hydraprobe Analog_A", "Hydraprobe Analog_B", "Hydraprobe Analog_A"]
    assert list(ds["depth"].values) == [5.08, 5.08, 20.32]
    (series,) = [n for n, v in ds.variables.items() if v.attrs.get("cf_role") == "timeseries_id"]
    assert ds[series].dims == ("sensor",) and len(set(ds[series].values)) == 3  # the station's name was no identifier
    assert ds["instrument"].attrs["long_name"] and "cf_role" not in ds["station"].attrs
    np.testing.assert_allclose(ds["soil_temperature"][0], [271.65, *[np.nan] * 6, 276.15])
    assert np.isnan(ds["soil_temperature"][2]).all()
    assert "soil_temperature" not in open_([one, heat], variables=["soil_moisture"])


def test_region_and_time(tmp_path: Path) -> None:
    path = put(tmp_path, "\n".join([HEADER, *ROWS]).encode())
    box = (0.0, 30.0, 10.0, 40.0)
    with pytest.raises(DataError, match="no soil moisture in longitude 0"):
        open_([path], region=Area(box, EASE2_M09.region(box)))
    with pytest.raises(DataError, match="from 2023-01-01"):
        open_([path], time=slice(np.datetime64("2023-01-01"), None))


def test_damaged_files_are_reported(tmp_path: Path) -> None:
    good = put(tmp_path, "\n".join([HEADER, *ROWS]).encode())
    for number, (text, match) in enumerate(
        [
            (b"<!DOCTYPE html>\n<html>", "expected an ISMN header"),
            (b"", "expected an ISMN header"),
            (HEADER.encode(), "no rows"),
            ("\n".join([HEADER, ROWS[0], "2022/01/01 01:00"]).encode(), "an incomplete row"),
            ("\n".join([HEADER, "2022/13/01 01:00 0.1 G M"]).encode(), "cannot be read as an ISMN file"),
            ("\n".join([HEADER, "2022/01/01 01:00 0.1x G M"]).encode(), "cannot be read as an ISMN file"),
        ]
    ):
        bad = put(tmp_path, text, sensor=f"bad{number}")
        with pytest.raises(DataError, match=match):
            open_([bad])
        ds = open_([good, bad], on_error="skip")
        assert ds.sizes["sensor"] == 1 and bad.name in ds.attrs["skipped"][0]


def naive(path: Path) -> dict[np.datetime64, float]:
    """Token by token, as slowly as can be: the values that keep G and U."""
    values = {}
    for line in path.read_bytes().splitlines()[1:]:
        tokens = line.decode("latin-1").split()
        if tokens and all(part[0] in "GU" for part in tokens[3].split(",")):
            stamp = np.datetime64(tokens[0].replace("/", "-") + "T" + tokens[1])
            values[stamp] = float(tokens[2])
    return values


def test_real_files(real: Path) -> None:
    paths = sorted(p for p in real.rglob("*") if p.is_file() and SOURCE.identify(p))
    assert len(paths) == 7
    ds = open_(paths)
    assert ds.sizes["sensor"] == 7
    assert sorted(ds["depth"].values) == [5.08] * 4 + [10.16, 30.48, 50.8]
    assert {"Adams_Ranch_#1", "Waimea_Plain"} == set(ds["station"].values)
    assert not ((ds["soil_moisture"] < 0) | (ds["soil_moisture"] > 0.8)).any()
    for path in paths:
        one = open_([path])
        expected = naive(path)
        got = one["soil_moisture"].values[0]
        stamps = np.array(list(expected), "M8[ns]")
        at = np.searchsorted(one["time"].values, stamps)
        np.testing.assert_allclose(got[at], list(expected.values()), rtol=1e-6)
        assert np.isfinite(got).sum() == len(expected)
