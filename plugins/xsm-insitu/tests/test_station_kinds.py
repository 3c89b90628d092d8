"""ISMN and USCRN files as users' reports describe them: headers, repeated and unreadable rows, units, equal probes."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from station_texts import heard
from xsm import EASE2_M09, DataError
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_insitu.ismn import IsmnSource
from xsm_insitu.uscrn import UscrnSource

ISMN, USCRN = IsmnSource(), UscrnSource()
EXPECTED = (0.200 + 0.001 * np.arange(24)).astype("f4")
TIMES = np.datetime64("2021-04-01T00") + np.arange(24)
HEADER = "NETX NETX ST1 40.0 -100.0 500.0 0.05 0.05 EC5"
STM = [f"2021/04/01 {h:02}:00 {v:.4f} G M" for h, v in enumerate(EXPECTED)]
PLACE = "NETX NETX ST1 40.0 -100.0 500.0 0.05 0.05"
CEOP = [f"{r[:16]} {r[:16]} {PLACE} {r[17:]}" for r in STM]
HOURLY = [
    f"53926 20210401 {h:02}00 {20210331 if h < 6 else 20210401} {(h - 6) % 24:02}00 2.622 -99.00 35.00 "
    + "10.0 10.0 10.1 9.9 0.0 0 0 0 0 0 0 C 12.0 0 12.1 0 11.9 0 60 0 "
    + f"{v:.3f} 0.250 0.300 0.310 0.320 14.0 14.1 14.2 14.3 14.4"
    for h, v in enumerate(EXPECTED)
]
NAMES = (
    "WBANNO UTC_DATE UTC_TIME LST_DATE LST_TIME CRX_VN LONGITUDE LATITUDE T_CALC T_HR_AVG T_MAX T_MIN P_CALC SOLARAD "
    "SOLARAD_FLAG SOLARAD_MAX SOLARAD_MAX_FLAG SOLARAD_MIN SOLARAD_MIN_FLAG SUR_TEMP_TYPE SUR_TEMP SUR_TEMP_FLAG "
    "SUR_TEMP_MAX SUR_TEMP_MAX_FLAG SUR_TEMP_MIN SUR_TEMP_MIN_FLAG RH_HR_AVG RH_HR_AVG_FLAG SOIL_MOISTURE_5 "
    "SOIL_MOISTURE_10 SOIL_MOISTURE_20 SOIL_MOISTURE_50 SOIL_MOISTURE_100 SOIL_TEMP_5 SOIL_TEMP_10 SOIL_TEMP_20 "
    "SOIL_TEMP_50 SOIL_TEMP_100"
)
UNITS = (
    "XXXXX YYYYMMDD HHmm YYYYMMDD HHmm XXXXXX Decimal_degrees Decimal_degrees " + "X " * 20 + "m^3/m^3 " * 5 + "C " * 5
)
NUMBERS = " ".join(map(str, range(1, 39)))
FORMATS: dict[str, tuple[list[str], list[str]]] = {
    "stm": ([HEADER], STM),
    "ceop": ([], CEOP),
    "uscrn": ([], HOURLY),
    "uscrn header": ([NUMBERS, NAMES, UNITS], HOURLY),
}


def stm(folder: Path, lines: list[str] | str, *, station: str = "ST1", sensor: str = "EC5") -> Path:
    path = folder / f"NETX_NETX_{station}_sm_0.050000_0.050000_{sensor}_20210401_20210402.stm"
    path.write_text(lines if isinstance(lines, str) else "\n".join([*lines, ""]), newline="")
    return path


def read(folder: Path, kind: str, text: str) -> xr.Dataset:
    if not kind.startswith("uscrn"):
        return open_files(ISMN, [stm(folder, text)])
    path = folder / "CRNH0203-2021-OK_Test_2_N.txt"
    path.write_text(text, newline="")
    return open_files(USCRN, [path])


def joined(head: list[str], rows: list[str]) -> str:
    return "\n".join([*head, *rows, ""])


CHANGES: dict[str, Callable[[list[str], list[str]], str]] = {
    "as it is": joined,
    "blank lines": lambda head, rows: joined(head, rows).replace("\n", "\n\n"),
    "BOM": lambda head, rows: "\ufeff" + joined(head, rows),
    "CRLF": lambda head, rows: joined(head, rows).replace("\n", "\r\n"),
    "comments": lambda head, rows: joined(["# one comment with words", *head], [*rows[:3], "# another", *rows[3:]]),
    "header again": lambda head, rows: joined(head, [*rows[:9], *head, *rows[9:]]),
    "all twice": lambda head, rows: joined(head, [*rows, *head, *rows]),
    "a row twice": lambda head, rows: joined(head, [*rows[:9], rows[8], *rows[9:]]),
    "newest first": lambda head, rows: joined(head, rows[::-1]),
    "no last line end": lambda head, rows: joined(head, rows).rstrip("\n"),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("change", CHANGES)
def test_spellings_give_the_same_values(tmp_path: Path, kind: str, change: str) -> None:
    with heard() as texts:
        ds = read(tmp_path, kind, CHANGES[change](*FORMATS[kind]))
    np.testing.assert_allclose(ds["soil_moisture"][0], EXPECTED, rtol=1e-5)
    assert (ds["time"].values == TIMES).all()
    assert any("repeats" in t for t in texts) == ("twice" in change)
    assert not any("cannot be read" in t for t in texts)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("bad", ["cut", "word", "date", "garbage"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 23))
def test_one_bad_row_is_left_out(tmp_path: Path, kind: str, bad: str, at: int) -> None:
    head, rows = FORMATS[kind]
    value = f" {EXPECTED[at]:.4f} " if not kind.startswith("uscrn") else f" {EXPECTED[at]:.3f} "
    changed = {"cut": rows[at][:14], "word": rows[at].replace(value, " 0.x "), "garbage": "%% ?? 12",
               "date": rows[at].replace("2021/04/01", "2021/02/30").replace("20210401", "20210230")}[bad]  # fmt: skip
    with heard() as texts:
        ds = read(tmp_path, kind, joined(head, [*rows[:at], changed, *rows[at + 1 :]]))
    got = ds["soil_moisture"][0].reindex(time=TIMES)
    np.testing.assert_allclose(got, np.where(np.arange(24) == at, np.nan, EXPECTED), rtol=1e-5)
    assert any("1 of 24" in t and "left out" in t for t in texts)


@pytest.mark.parametrize("kind", FORMATS)
def test_other_values_at_one_time_stop(tmp_path: Path, kind: str) -> None:
    head, rows = FORMATS[kind]
    with pytest.raises(DataError, match=r"time 2021-04-01 08:00 twice, .*0\.208 in row 9 and 0\.555 in row 10"):
        read(tmp_path, kind, joined(head, [*rows[:9], rows[8].replace(" 0.208", " 0.555"), *rows[9:]]))


@pytest.mark.parametrize("kind", FORMATS)
def test_percent_is_refused(tmp_path: Path, kind: str) -> None:
    head, rows = FORMATS[kind]
    rows = [r.replace(" 0.2", " 2.2").replace(" 0.3", " 30.") for r in rows]
    with pytest.raises(DataError, match=r"expected 0 to 1 m3 m-3.*If they are percent, say so with units="):
        read(tmp_path, kind, joined(head, rows))


@pytest.mark.parametrize("kind", FORMATS)
def test_swapped_rows_are_refused(tmp_path: Path, kind: str) -> None:
    head, rows = FORMATS[kind]
    with pytest.raises(DataError, match="do not rise"):
        read(tmp_path, kind, joined(head[-1:], [*rows[:5], rows[8], *rows[6:8], rows[5], *rows[9:]]))


def test_a_uscrn_header_of_other_columns_or_units_is_refused(tmp_path: Path) -> None:
    for old, new, match in (
        ("SOIL_MOISTURE_5 SOIL_MOISTURE_10", "SOIL_MOISTURE_10 SOIL_MOISTURE_5", "'SOIL_MOISTURE_10' as column 29"),
        ("m^3/m^3", "percent", "unit 'percent'"),
    ):
        with pytest.raises(DataError, match=match):
            read(tmp_path, "uscrn", joined([NAMES, UNITS], HOURLY).replace(old, new))


def test_an_hour_24_ends_its_day(tmp_path: Path) -> None:
    ds = open_files(ISMN, [stm(tmp_path, [HEADER, *STM[1:], "2021/04/01 24:00 0.2300 G M"])])
    assert ds["time"].values[-1] == np.datetime64("2021-04-02T00")


def test_empty_files_are_left_out(tmp_path: Path) -> None:
    good, empty = stm(tmp_path, [HEADER, *STM]), stm(tmp_path, [HEADER.replace("ST1", "ST9")], station="ST9")
    ds = open_files(ISMN, [good, empty])
    assert ds.sizes["sensor"] == 1 and empty.name in ds.attrs["skipped"][0]
    blank = tmp_path / "CRNH0203-2021-OK_Blank_2_N.txt"
    blank.write_text(NAMES + "\n")
    (tmp_path / "CRNH0203-2021-OK_Test_2_N.txt").write_text(joined([], HOURLY))
    ds = open_files(USCRN, [blank, tmp_path / "CRNH0203-2021-OK_Test_2_N.txt"])
    assert ds.sizes["sensor"] == 5 and blank.name in ds.attrs["skipped"][0]


def test_probes_with_equal_headers_stay_apart(tmp_path: Path) -> None:
    one = stm(tmp_path, [HEADER, *STM])
    two = stm(tmp_path, [HEADER, *(r.replace(" 0.2", " 0.4") for r in STM)], sensor="EC5-1")
    with heard() as texts:
        ds = open_files(ISMN, [one, two])
    assert ds["instrument"].values.tolist() == ["EC5 (EC5)", "EC5 (EC5-1)"]
    np.testing.assert_allclose(ds["soil_moisture"], [EXPECTED, EXPECTED + np.float32(0.2)], rtol=1e-5)
    assert any("told apart by the names of the files" in t for t in texts)


def test_files_of_one_probe_that_differ_stop(tmp_path: Path) -> None:
    one = stm(tmp_path, [HEADER, *STM])
    (tmp_path / "b").mkdir()
    with heard() as texts:
        ds = open_files(ISMN, [one, stm(tmp_path / "b", [HEADER, *STM])])
    assert ds.sizes["sensor"] == 1 and any("24 values are in several files" in t for t in texts)
    other = stm(tmp_path / "b", [HEADER, *(r.replace(" 0.2", " 0.4") for r in STM)])
    with pytest.raises(DataError, match=r"NETX:ST1:5\.0 cm:EC5 at 2021-04-01T00:00: 0\.2 and 0\.4"):
        open_files(ISMN, [one, other])


def test_an_archive_of_many_members_is_opened_in_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "Data_separate_files_20210401_20210402.zip"
    text = "\n".join([HEADER, *STM, ""])
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_000):
            station = f"ST{number}"
            name = f"NETX/{station}/NETX_NETX_{station}_sm_0.050000_0.050000_EC5_20210401_20210402.stm"
            archive.writestr(name, text.replace("ST1", station).replace("40.0", "40.0" if number < 10 else "10.0"))
    box, start = (-101.0, 39.0, -99.0, 41.0), time.monotonic()
    assert ISMN.identify(path)
    ds = open_files(ISMN, [path], region=Area(box, EASE2_M09.region(box)))
    assert ds.sizes["sensor"] == 10 and time.monotonic() - start < 30


def test_files_of_which_no_value_is_kept_are_told(tmp_path: Path) -> None:
    with heard() as texts:
        ds = read(tmp_path, "stm", joined([HEADER], [r.replace(" G ", " D01 ") for r in STM]))
    assert ds["soil_moisture"].isnull().all()
    assert any("No value of soil moisture is left; by their flags they are: 24 dubious" in t for t in texts)


def test_the_time_of_an_archive_grows_with_its_members_inside_the_region(tmp_path: Path) -> None:
    """Each member takes the same time: 2000 take no more than six times as long as 500, and a second."""

    def seconds(count: int) -> float:
        path = tmp_path / f"{count}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for i in range(count):
                head = HEADER.replace("ST1", f"ST{i}")
                name = f"NET/ST{i}/NETX_NETX_ST{i}_sm_0.050000_0.050000_EC5_20210401_20210402.stm"
                archive.writestr(name, "\n".join([head, *STM]))
        window = EASE2_M09.region((-101, 39, -99, 41))
        begun = time.process_time()
        assert open_files(ISMN, [path], region=Area(window.bbox, window)).sizes["sensor"] == count
        return time.process_time() - begun

    seconds(10)
    few = seconds(500)
    assert seconds(2000) < 6 * few + 1


@pytest.mark.parametrize("lon", ["99.00", "-9.00", "-179.00"])
def test_a_clock_of_another_longitude_is_refused(tmp_path: Path, lon: str) -> None:
    with pytest.raises(DataError, match=r"clock is -6 hours from UTC, and its station lies at"):
        read(tmp_path, "uscrn", joined([], [r.replace("-99.00", lon) for r in HOURLY]))


def test_longitudes_that_count_to_360_are_those_of_the_region(tmp_path: Path) -> None:
    path = tmp_path / "NETX_NETX_ST1_sm_0.050000_0.050000_EC5_20210401_20210402.stm"
    path.write_text(joined([HEADER.replace("-100.0", "260.0")], STM))
    box = (-101.0, 39.0, -99.0, 41.0)
    ds = open_files(ISMN, [path], region=Area(box, EASE2_M09.region(box)))
    assert ds["lon"].values.tolist() == [-100.0]
