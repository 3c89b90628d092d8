"""SCAN files as users' reports describe them: other columns, units, clocks, repeated and unreadable rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from station_texts import heard
from xsm import DataError
from xsm.testing import open_files
from xsm_insitu.scan import ScanSource

SOURCE = ScanSource()
TABLE = [{"stationTriplet": "2031:IA:SCAN", "name": "Ames", "latitude": 42.0, "longitude": -93.7, "dataTimeZone": -6.0}]
COMMENTS = "#---- WARNING ----\n#\n#    SCAN 2031: Ames, IA\n#\n"
VALUE = "Soil Moisture Percent -2in (pct)"
HOURS = [f"2021-04-01 {h:02}:00" for h in range(24)]
EXPECTED = (0.200 + 0.001 * np.arange(24)).astype("f4")
PERCENT = [f"{20 + 0.1 * h:.1f}" for h in range(24)]


def report(columns: dict[str, Sequence[Any]], dates: Sequence[str] = HOURS, comma: str = ",") -> str:
    rows = zip(dates, *columns.values(), strict=True)
    return COMMENTS + comma.join(["Date", *columns]) + "\n" + "".join(comma.join(map(str, r)) + "\n" for r in rows)


def read(folder: Path, text: str | bytes, name: str = "report.csv") -> xr.Dataset:
    (folder / "stations.json").write_text(json.dumps(TABLE))
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert SOURCE.identify(path)
    return open_files(SOURCE, [path])


STATISTICS = [
    "Change In Soil Moisture Percent -2in (pct)", "Average Soil Moisture Percent -2in (pct)",
    "Soil Moisture Percent Minimum -2in (pct)", "Soil Moisture Percent -2in (pct) Maximum of Hourly Values",
    "Soil Moisture Percent -2in (pct) Standard Deviation", "Delta Soil Moisture Percent -2in (pct)",
    "Soil Moisture Percent -2in (pct) Median (1991-2020)", "Soil Moisture Percent -2in (pct) % of Average",
    "Ames (2031) Change In Soil Moisture Percent -2in (pct)", "Soil Moisture Percent -2in (pct) Mean of Hourly Values",
    "Soil Moisture Percent 2in (pct)", "Precipitation Increment (in)",
]  # fmt: skip


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("heading", STATISTICS)
def test_statistics_are_no_sensors(tmp_path: Path, heading: str, first: bool) -> None:
    columns = {VALUE: PERCENT, heading: ["0.1"] * 24}
    with heard() as texts:
        ds = read(tmp_path, report(dict(reversed(columns.items())) if first else columns))
    np.testing.assert_allclose(ds["soil_moisture"], EXPECTED[None], rtol=1e-6)
    assert any(heading in t for t in texts)


@pytest.mark.parametrize("heading", STATISTICS[:9])
def test_a_report_of_statistics_alone_is_refused(tmp_path: Path, heading: str) -> None:
    with pytest.raises(DataError, match="without a column of soil moisture values"):
        read(tmp_path, report({heading: PERCENT}))


def test_two_columns_for_one_sensor_stop(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"two columns for one sensor: '.*-2in \(pct\)' and '.*Start of Hour Values'"):
        read(tmp_path, report({VALUE: PERCENT, f"{VALUE} Start of Hour Values": PERCENT}))


PLAIN = report({VALUE: PERCENT})
LINES = PLAIN.splitlines()
SPELLINGS = {
    "blank lines": PLAIN.replace("\n", "\n\n"),
    "BOM": "\ufeff" + PLAIN,
    "CRLF": PLAIN.replace("\n", "\r\n"),
    "trailing commas": PLAIN.replace("\n", ",,\n"),
    "trailing commas of rows": "\n".join([*LINES[:5], *(line + "," for line in LINES[5:])]),
    "comments below": "\n".join([*LINES[:9], "# a remark", *LINES[9:], "# end"]),
    "two reports": PLAIN.replace("2021-04-01 12:00", COMMENTS + f"Date,{VALUE}\n2021-04-01 12:00"),
    "the later report first": COMMENTS + "\n".join([LINES[4], *LINES[17:], *LINES[4:17]]),
    "newest first": "\n".join([*LINES[:5], *reversed(LINES[5:])]),
    "quoted": report({f'"{VALUE}"': [f'"{p}"' for p in PERCENT]}, [f'"{h}"' for h in HOURS]),
    "semicolons": report({VALUE: [p.replace(".", ",") for p in PERCENT]}, comma=";"),
    "lower case": PLAIN.replace("Soil Moisture Percent", "soil moisture percent"),
    "slashes": PLAIN.replace("2021-04-01", "2021/04/01"),
    "names of months": PLAIN.replace("2021-04-01", "01-Apr-2021"),
    "12 hours": report({VALUE: PERCENT}, [f"2021-04-01 {(h - 1) % 12 + 1}:00 {'AP'[h > 11]}M" for h in range(24)]),
    "UTC": report({VALUE: PERCENT}, [f"{np.datetime64('2021-04-01T06') + h}:00Z" for h in range(24)]),
    "offsets": report({VALUE: PERCENT}, [f"{h}-06:00" for h in HOURS]),
    "fraction": report({VALUE.replace("pct", "m3/m3"): EXPECTED}),
    "identical rows": "\n".join([*LINES[:9], LINES[8], *LINES[9:]]),
    "all twice": PLAIN + "\n".join(LINES[5:]),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_give_the_same_values(tmp_path: Path, name: str) -> None:
    with heard() as texts:
        ds = read(tmp_path, SPELLINGS[name])
    np.testing.assert_allclose(ds["soil_moisture"], EXPECTED[None], rtol=1e-5)
    assert ds["time"].values[0] == np.datetime64("2021-04-01T06") and ds["depth"].values.tolist() == [5.08]
    assert any("repeats" in t for t in texts) == (name in ("identical rows", "all twice"))


def test_days_first_are_read_where_the_file_tells(tmp_path: Path) -> None:
    dates = [f"{day:02}/04/2021" for day in range(1, 25)]
    with heard():
        ds = read(tmp_path, report({VALUE: PERCENT}, dates))
    assert ds["time"].values[-1] == np.datetime64("2021-04-24")


REFUSED = {
    "other value": ("\n".join([*LINES[:9], LINES[8].replace("20.3", "20.9"), *LINES[9:]]), "20.3 in row 4 and 20.9"),
    "ambiguous": (PLAIN.replace("2021-04-01", "04/01/2021"), "whether the day or month is first"),
    "months": (report({VALUE: ["20", "21"]}, ["2021-04", "2021-05"]), "a month or a year"),
    "zone": (PLAIN.replace(":00,", ":00 CST,"), "time zone 'CST'"),
    "no unit": (PLAIN.replace(" (pct)", ""), "soil_moisture' has no unit.*units="),
    "other unit": (PLAIN.replace("(pct)", "(in)"), "in 'in', expected m3 m-3 or percent"),
    "percent as fraction": (PLAIN.replace("(pct)", "(m3/m3)"), "median of 21.*correct the unit"),
    "many bad rows": (PLAIN.replace("01 1", "xx 1"), "10 of 24 lines.*first is line 16"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    text, match = REFUSED[name]
    with pytest.raises(DataError, match=match):
        read(tmp_path, text)


@pytest.mark.parametrize("bad", ["2021-04-01 03:00", "2021-04-01 03:00,wet", "2021-04-41 03:00,20.3", ",20.3", "xx"])
def test_one_bad_row_is_left_out(tmp_path: Path, bad: str) -> None:
    with heard() as texts:
        ds = read(tmp_path, PLAIN.replace("2021-04-01 03:00,20.3", bad))
    np.testing.assert_allclose(ds["soil_moisture"][0], np.where(np.arange(24) == 3, np.nan, EXPECTED), rtol=1e-6)
    assert any("1 of 24 lines" in t and "line 9" in t for t in texts)


def test_percent_that_looks_like_fractions_is_told(tmp_path: Path) -> None:
    with heard() as texts:
        read(tmp_path, report({VALUE: [f"{v:.3f}" for v in EXPECTED]}))
    assert any("if its values are fractions" in t for t in texts)


OLD = "2031,Ames  (SCAN),Iowa\n\n\nSite Id,Date,Time,SMS.I-1:-2 (pct)  (silt),SMS.X-1:-2 (pct),STO.I-1:-2 (degC) ,\n"


def test_older_csv(tmp_path: Path) -> None:
    rows = "".join(
        f"2031,{h.replace(' ', ',')},{p},99.0,{-99.9 if h[-5:-3] == '02' else 10.0},\n"
        for h, p in zip(HOURS, PERCENT, strict=True)
    )
    ds = read(tmp_path, OLD + rows.replace("20.4", "-99.9"), "2031_SOILM_YEAR=2021.csv")
    np.testing.assert_allclose(ds["soil_moisture"][0], np.where(np.arange(24) == 4, np.nan, EXPECTED), rtol=1e-6)
    assert np.isnan(ds["soil_temperature"][0, 2]) and abs(float(ds["soil_temperature"][0, 3]) - 283.15) < 1e-3
    assert ds["lat"].values[0] == 42.0 and ds["time"].values[0] == np.datetime64("2021-04-01T06")


def element(code: str, values: list[dict[str, Any]], depth: float | None = -2, **more: Any) -> dict[str, Any]:
    return {
        "stationElement": {"elementCode": code, "ordinal": 1, "heightDepth": depth, "durationName": "HOURLY",
                           "storedUnitCode": "pct"} | more,
        "values": values,
    }  # fmt: skip


VALUES = [{"date": h, "value": float(p), "qcFlag": "V"} for h, p in zip(HOURS, PERCENT, strict=True)]


def answer(*parts: dict[str, Any]) -> str:
    return json.dumps([{"stationTriplet": "2031:IA:SCAN", "data": list(parts)}])


@pytest.mark.parametrize("code", ["PRCP", "TOBS", "SMX", "SMN", "SMV", "SMSX", "SMS2", "sms avg"])
@pytest.mark.parametrize("depth", [None, -2])
def test_other_elements_are_left_out(tmp_path: Path, code: str, depth: float | None) -> None:
    with heard() as texts:
        ds = read(tmp_path, answer(element(code, VALUES[:3], depth), element("SMS", VALUES)), "data.json")
    np.testing.assert_allclose(ds["soil_moisture"], EXPECTED[None], rtol=1e-6)
    assert any(f"'{code}'" in t for t in texts)


@pytest.mark.parametrize(
    "bad", [{"date": "2021-04-41 03:00"}, {"value": "wet"}, {"date": "2021-04-01 03:17"}, {"date": None}]
)
def test_one_bad_value_of_an_answer_is_left_out(tmp_path: Path, bad: dict[str, Any]) -> None:
    with heard() as texts:
        ds = read(tmp_path, answer(element("SMS", [*VALUES[:3], VALUES[3] | bad, *VALUES[4:]])), "data.json")
    np.testing.assert_allclose(ds["soil_moisture"][0], np.where(np.arange(24) == 3, np.nan, EXPECTED), rtol=1e-6)
    assert any("1 of 24 SMS values" in t for t in texts)


def test_answers_that_follow_each_other_and_repeat_values(tmp_path: Path) -> None:
    both = answer(element("SMS", VALUES[12:])) + "\n" + answer(element("SMS", VALUES[:14]))
    with heard() as texts:
        ds = read(tmp_path, both, "data.json")
    np.testing.assert_allclose(ds["soil_moisture"], EXPECTED[None], rtol=1e-6)
    assert any("repeats 2 rows" in t for t in texts)
    with pytest.raises(DataError, match=r"twice, with the SMS at -2 in, ordinal 1 20.3 .* and 30.0"):
        read(tmp_path, answer(element("SMS", [*VALUES, VALUES[3] | {"value": 30.0}])), "data.json")


@pytest.mark.parametrize(
    ("more", "match"),
    [({"durationName": "MONTHLY"}, "duration MONTHLY"), ({"storedUnitCode": "in"}, "in 'in', expected"),
     ({"heightDepth": 2}, "depth of 2 inches")],
)  # fmt: skip
def test_answers_that_are_refused(tmp_path: Path, more: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        read(tmp_path, answer(element("SMS", VALUES, **more)), "data.json")


@pytest.mark.parametrize(("unit", "value"), [("degF", 50.0), ("degC", 10.0), ("fahrenheit", 50.0), ("K", 283.15)])
def test_units_of_temperature(tmp_path: Path, unit: str, value: float) -> None:
    heat = [v | {"value": value} for v in VALUES]
    text = answer(element("SMS", VALUES), element("STO", heat, storedUnitCode=unit))
    np.testing.assert_allclose(read(tmp_path, text, "data.json")["soil_temperature"], 283.15, rtol=1e-6)


def test_empty_answers_are_left_out(tmp_path: Path) -> None:
    read(tmp_path, answer(element("SMS", VALUES)), "data.json")
    for name, text in (
        ("a.json", answer()),
        ("b.json", answer(element("SMS", []))),
        ("c.csv", report({VALUE: []}, [])),
    ):
        (tmp_path / name).write_text(text)
        ds = open_files(SOURCE, [tmp_path / "data.json", tmp_path / name])
        assert name in ds.attrs["skipped"][0] and ds.sizes["sensor"] == 1
    (tmp_path / "error.json").write_text(json.dumps({"message": "stationTriplet unknown", "data": 1}))
    with pytest.raises(DataError, match="contains 'stationTriplet unknown'"):
        open_files(SOURCE, [tmp_path / "error.json"])
