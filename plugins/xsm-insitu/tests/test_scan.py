"""SCAN: answers of the AWDB service and CSV of the Report Generator."""

from __future__ import annotations

import functools
import json
import os
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from xsm import EASE2_M09, DataError, UsageError
from xsm.plugin_api import Area
from xsm.testing import check_source, open_files
from xsm.twin import make_world
from xsm_insitu.scan import ScanSource

SOURCE = ScanSource()
open_ = functools.partial(open_files, SOURCE)
TABLE = [
    {"stationTriplet": "2057:AL:SCAN", "name": "AAMU-JTG", "latitude": 34.78534, "longitude": -86.55906,
     "dataTimeZone": -6.0},
    {"stationTriplet": "2031:IA:SCAN", "name": "Ames", "latitude": 42.02, "longitude": -93.73},
]  # fmt: skip


def element(code: str, inches: int, values: list[Any], *, duration: str = "HOURLY", **more: Any) -> dict[str, Any]:
    units = {"SMS": {"storedUnitCode": "pct"}, "STO": {"storedUnitCode": "degF"}}.get(code, {})
    element = {"elementCode": code, "ordinal": 1, "heightDepth": inches, "durationName": duration, **units, **more}
    return {"stationElement": element, "values": values}


def hour(clock: str, value: Any, flag: str = "V") -> dict[str, Any]:
    return {"date": f"2022-06-01{clock}", "value": value, "qcFlag": flag, "qaFlag": "P"}


MOISTURE = [
    hour(" 00:00", 21.5), hour(" 01:00", 22.0, "S"), hour(" 02:00", None), hour("T03:00", 131.0),
    hour(" 04:00", 23.0, ""),
]  # fmt: skip
WARMTH = [hour(" 00:00", 68.0), hour(" 01:00", 32.0), hour(" 04:00", -99.9)]


def put(folder: Path, data: Any, name: str = "SCAN_2057_AL_2022-01-01_2023-01-01.json", table: Any = TABLE) -> Path:
    if table is not None:
        (folder / "stations.json").write_text(json.dumps(table))
    path = folder / name
    path.write_text(json.dumps(data))
    return path


def answer(*elements: dict[str, Any], triplet: str = "2057:AL:SCAN") -> list[dict[str, Any]]:
    return [{"stationTriplet": triplet, "data": list(elements)}]


def test_values_units_and_utc(tmp_path: Path) -> None:
    path = put(
        tmp_path, answer(element("SMS", -2, MOISTURE), element("SMS", -8, MOISTURE[:1]), element("STO", -2, WARMTH))
    )
    ds = open_([path])
    assert ds.sizes == {"sensor": 2, "time": 5} and list(ds["depth"].values) == [5.08, 20.32]
    assert ds["time"].values[0] == np.datetime64("2022-06-01T06") and ds["time"].attrs["stamps"] == "instant"
    np.testing.assert_allclose(ds["soil_moisture"][0], [0.215, np.nan, np.nan, np.nan, 0.23], rtol=1e-6)
    assert ds["flag"].values[0].tolist() == [1, 4, 0, 3, 2]  # good, dubious, missing, out of range, unknown
    # -99.9 degree F, which the network writes for a dead sensor, is colder than any soil
    np.testing.assert_allclose(ds["soil_temperature"][0], [293.15, 273.15, np.nan, np.nan, np.nan], rtol=1e-6)
    assert (ds["station"].values[0], ds["network"].values[0], ds["lat"].values[0]) == ("AAMU-JTG", "SCAN", 34.78534)
    kept = open_([path], keep=["V", "S"])["soil_moisture"].values[0]
    assert kept[1] == np.float32(0.22)
    with pytest.raises(UsageError, match="code to keep is 'Q'"):
        open_([path], keep=["Q"])


def test_unknown_clock_or_place_warns_and_stays_local(tmp_path: Path) -> None:
    path = put(tmp_path, answer(element("SMS", -2, MOISTURE), triplet="2031:IA:SCAN"))
    with pytest.warns(UserWarning, match="clock of 2031:IA:SCAN is not known .*stations.json"):
        ds = open_([path])
    assert ds["time"].values[0] == np.datetime64("2022-06-01T00")
    (tmp_path / "stations.json").unlink()
    with pytest.warns(UserWarning, match="place of 2031:IA:SCAN is not known"):
        assert np.isnan(open_([path])["lat"].values[0])


def test_region_time_and_a_table_given_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    path = put(tmp_path / "a", answer(element("SMS", -2, MOISTURE)), table=None)
    table = put(tmp_path, {r["stationTriplet"]: r for r in TABLE}, "mine.json", table=None)
    box = (-90.0, 30.0, -80.0, 40.0)
    assert open_([path, table], region=Area(box, EASE2_M09.region(box))).sizes["sensor"] == 1
    away = (-100.0, 40.0, -90.0, 50.0)
    with pytest.raises(DataError, match="contain no soil moisture"):
        open_([path, table], region=Area(away, EASE2_M09.region(away)))
    with pytest.raises(DataError, match="from 2023-01-01"):
        open_([path, table], time=slice(np.datetime64("2023-01-01"), None))


def test_daily_values_keep_their_local_day(tmp_path: Path) -> None:
    days = [{"date": f"2022-06-0{d}", "value": 20.0 + d, "qcFlag": "V"} for d in (1, 2, 4)]
    path = put(tmp_path, answer(element("SMS", -2, days, duration="DAILY")))
    with pytest.warns(UserWarning, match="local standard days"):
        ds = open_([path])
    assert ds.sizes["time"] == 4 and np.isnan(ds["soil_moisture"].values[0, 2])
    other = put(tmp_path, answer(element("SMS", -2, MOISTURE)), "b.json")
    with pytest.raises(DataError, match="hourly and daily"), warnings.catch_warnings(action="ignore"):
        open_([path, other])


CSV = """\
#------------------------------------------------- WARNING ------------------------------------------------
#
# Reporting Frequency: Hourly; Date Range: 2022-06-01 00:00 to 2022-06-01 03:00
#
# Data for the following site(s) are contained in this file:
#
#    SCAN 2057: AAMU-JTG, AL
#
# QA flags   Flag Name        Description
#
Date,Soil Moisture Percent -2in (pct) Start of Hour Values,Soil Moisture Percent -20in (pct),\
Soil Temperature Observed -20in (degC)
2022-06-01 00:00,21.5,30.1,20.0
2022-06-01 01:00,,30.2,
2022-06-01 02:00,22.5,30.3,21.0
"""


def test_report_generator_csv(tmp_path: Path) -> None:
    (tmp_path / "stations.json").write_text(json.dumps(TABLE))
    path = tmp_path / "report.csv"
    path.write_text(CSV)
    assert SOURCE.identify(path)
    ds = open_([path])
    assert list(ds["depth"].values) == [5.08, 50.8] and ds["time"].values[0] == np.datetime64("2022-06-01T06")
    np.testing.assert_allclose(ds["soil_moisture"], [[0.215, np.nan, 0.225], [0.301, 0.302, 0.303]], rtol=1e-6)
    np.testing.assert_allclose(ds["soil_temperature"][1], [293.15, np.nan, 294.15], rtol=1e-6)


def test_report_of_several_sites(tmp_path: Path) -> None:
    (tmp_path / "stations.json").write_text(json.dumps([TABLE[0], TABLE[1] | {"dataTimeZone": -6}]))
    path = tmp_path / "report.csv"
    text = CSV.replace("AAMU-JTG, AL\n", "AAMU-JTG, AL\n#    SCAN 2031: Ames, IA\n")
    head = "Date,AAMU-JTG (2057) Soil Moisture Percent -2in (pct),Ames (2031) Soil Moisture Percent -2in (pct)"
    path.write_text(text[: text.index("\nDate") + 1] + head + "\n2022-06-01 00:00,20.0,40.0\n")
    ds = open_([path])
    assert dict(zip(ds["station"].values, ds["soil_moisture"].values[:, 0], strict=True)) == {
        "AAMU-JTG": np.float32(0.2), "Ames": np.float32(0.4)
    }  # fmt: skip


GOOD = json.dumps(answer(element("SMS", -2, MOISTURE)))
BAD = {
    "page.json": "<!DOCTYPE html>",
    "empty.json": "",
    "cut.json": GOOD[:-20],
    "other.json": '{"stationTriplet": 1, "data": 2}',
    "falling.json": GOOD.replace("01 01:00", "01 23:00"),
    "date.json": GOOD.replace("01 01:00", "41 01:00"),
    "minute.json": GOOD.replace("01 01:00", "01 01:12"),
    "text.json": GOOD.replace("22.0", '"x"'),
    "deep.json": "[" * 100_000,
    "page.csv": "<!DOCTYPE html>",
    "cut.csv": CSV[: CSV.index("2in")],
    "columns.csv": CSV.replace(",,30.2,", ",30.2,"),
    "text.csv": CSV.replace("22.5", "2x.5"),
    "date.csv": CSV.replace("2022-06-01 01", "2022-06-01 77"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_and_skipped(tmp_path: Path, name: str) -> None:
    good = put(tmp_path, answer(element("SMS", -2, MOISTURE)))
    bad = tmp_path / name
    bad.write_text(BAD[name])
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        open_([good, bad])
    ds = open_([good, bad], on_error="skip")
    assert name in ds.attrs["skipped"][0] and ds.sizes["sensor"] == 1


def test_a_table_of_stations_alone_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "list.json"
    table.write_text(json.dumps([{"stationTriplet": "2031:IA:SCAN", "latitude": 42.0, "longitude": -93.7}]))
    with pytest.raises(DataError, match=r"1 files are tables of stations \(list\.json\)"):
        open_([table])


@pytest.fixture(scope="module")
def stations() -> xr.Dataset:
    return make_world((-98.0, 35.5, -96.8, 36.5), days=5).stations


def test_round_trip_to_the_precision_of_the_service(stations: xr.Dataset, tmp_path: Path) -> None:
    paths = SOURCE.write(SimpleNamespace(stations=stations), tmp_path)  # type: ignore[arg-type]
    ds = open_(paths)
    assert ds.sizes["sensor"] == stations.sizes["sensor"]
    key = {(s, round(d)): i for i, (s, d) in enumerate(zip(ds["station"].values, ds["depth"].values, strict=True))}
    words = str(stations["flag"].attrs["flag_meanings"]).split()
    for i in range(stations.sizes["sensor"]):
        one = stations.isel(sensor=i)
        depth = {50: 51, 100: 102}.get(int(one["depth"]), int(one["depth"]))
        mine = ds.isel(sensor=key[str(one["station"].values), depth])
        wanted = one["soil_moisture"].where([words[f][0] not in "CM" and words[f] != "D06" for f in one["flag"].values])
        got = mine["soil_moisture"].reindex(time=one["time"])
        np.testing.assert_allclose(got, wanted, atol=5.01e-4)  # 0.1 percent
        there = np.isfinite(wanted.values) & np.isfinite(one["soil_temperature"].values)
        heat = mine["soil_temperature"].reindex(time=one["time"]).values[there]
        np.testing.assert_allclose(heat, one["soil_temperature"].values[there], atol=0.029)  # 0.1 degree F


def test_contract(tmp_path: Path) -> None:
    check_source("scan", world=make_world((-98.0, 35.5, -96.8, 36.5), days=3), tmp=tmp_path)


def test_real_table_of_stations(tmp_path: Path) -> None:
    folder = os.environ.get("XSM_TEST_DATA")
    if not folder:
        pytest.skip("XSM_TEST_DATA is not set: the real table of stations is not here")
    table = Path(folder) / "insitu" / "scan-stations_SCAN_CSCAN_only.json"
    assert SOURCE.identify(table)
    path = put(tmp_path, answer(element("SMS", -2, MOISTURE)), table=None)
    ds = open_([path, table])
    assert ds["station"].values[0] == "AAMU-JTG" and ds["lon"].values[0] == -86.55906
    assert ds["time"].values[0] == np.datetime64("2022-06-01T06")
