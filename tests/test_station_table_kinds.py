"""Tables of stations as users write them: headings, units, times, repeated and unreadable rows."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from xsm.data.stamps import read_stamps
from xsm.errors import DataError, hear
from xsm.io import station_table

HEAD = ["station", "time", "lat", "lon", "depth", "soil_moisture"]
VALUES = (0.200 + 0.001 * np.arange(24)).astype("f4")
HOURS = np.datetime64("2021-04-13T00") + np.arange(24)
ROWS = [["A", f"{h}:00", "36.0", "-98.0", "5", f"{v:.3f}"] for h, v in zip(HOURS, VALUES, strict=True)]


def text(head=HEAD, rows=ROWS, comma=","):
    return "".join(comma.join(row) + "\n" for row in [head, *rows])


def read(folder, content, encoding="utf-8"):
    """The dataset and what was told."""
    path = folder / "stations.csv"
    path.write_bytes(content.encode(encoding))
    with hear() as heard:
        ds = station_table.read(path)
    return ds, [str(w) for w in heard]


def column(number, values, heading=None):
    """The table with another column."""
    head = [*HEAD]
    head[number] = heading or head[number]
    return text(head, [[*r[:number], v, *r[number + 1 :]] for r, v in zip(ROWS, values, strict=True)])


@pytest.mark.parametrize(
    ("heading", "factor"),
    [("soil_moisture_percent", 100), ("SM [%]", 100), ("sm (pct)", 100), ("Soil moisture (percent)", 100),
     ("soil_moisture_pct", 100), ("sm [m3/m3]", 1), ("sm (cm3 cm-3)", 1), ("value (m^3/m^3)", 1), ("SM_m3m3", 1)],
)  # fmt: skip
def test_units_of_soil_moisture_are_read_from_the_heading(tmp_path, heading, factor):
    ds, said = read(tmp_path, column(5, [f"{v * factor:.4f}" for v in VALUES], heading))
    np.testing.assert_allclose(ds["soil_moisture"][0], VALUES, rtol=1e-4)
    assert not said


@pytest.mark.parametrize(
    ("heading", "value", "cm"),
    [
        ("depth_cm", "5", 5),
        ("depth_m", "0.05", 5),
        ("Depth [m]", "0.05", 5),
        ("depth (in)", "2", 5.08),
        ("depth_mm", "50", 5),
    ],
)
def test_units_of_depth_are_read_from_the_heading(tmp_path, heading, value, cm):
    ds, _ = read(tmp_path, column(4, [value] * 24, heading))
    assert ds["depth"].values.tolist() == [pytest.approx(cm)]


REFUSED = {
    "percent": (column(5, [f"{100 * v:.1f}" for v in VALUES]), "median of 21.*soil_moisture_percent"),
    "other unit": (column(5, ["0.2"] * 24, "sm [kg m-2]"), "unit 'kg m-2' cannot become"),
    "two columns": (text([*HEAD, "SM"], [[*r, "0.1"] for r in ROWS]), "for soil_moisture: 'soil_moisture' and 'SM'"),
    "same column": (text([*HEAD, "Lat"], [[*r, "1"] for r in ROWS]), "two columns for lat: 'lat' and 'Lat'"),
    "local time": (text(["station", "time (local)", *HEAD[2:]]), "expected times in UTC"),
    "ambiguous": (column(1, ["04/05/2021"] * 24), "whether the day or month is first"),
    "month": (column(1, [f"2021-{m:02}" for m in range(1, 13)] * 2), "a month or a year"),
    "zone": (column(1, [f"{r[1]} CDT" for r in ROWS]), "time zone 'CDT'"),
    "above ground": (column(4, ["-5"] * 24), "depth -5 cm"),
    "other place": (text(rows=[*ROWS[:9], ["A", *ROWS[9][1:2], "37.0", *ROWS[9][3:]], *ROWS[10:]]), "0.02 degrees"),
    "other value": (text(rows=[*ROWS, [*ROWS[3][:5], "0.5"]]), "repeat a time.*2021-04-13 03:00 has 0.203 and 0.5"),
    "bad rows": (column(5, ["wet"] * 9 + ["0.2"] * 15), "'wet' as soil_moisture in row 2"),
    "units": (text([*HEAD, "unit"], [[*r, "%" if i else "m3/m3"] for i, r in enumerate(ROWS)]), "several units"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path, name):
    content, match = REFUSED[name]
    with pytest.raises(DataError, match=match):
        read(tmp_path, content)


SPELLINGS = {
    "blank lines": text().replace("\n", "\n\n"),
    "BOM": "\ufeff" + text(),
    "CRLF": text().replace("\n", "\r\n"),
    "trailing commas": text().replace("\n", ",,\n"),
    "comments": "# from a logger, of 2021\n" + text().replace("\nA,2021-04-13T05", "\n# a, remark\nA,2021-04-13T05"),
    "header again": text(rows=[*ROWS[:9], HEAD, *ROWS[9:]]),
    "quoted": text([f'"{h}"' for h in HEAD], [[f'"{f}"' for f in r] for r in ROWS]),
    "semicolons": text(rows=[[f.replace(".", ",") for f in r] for r in ROWS], comma=";"),
    "tabs": text(comma="\t"),
    "other order": text(HEAD[::-1], [r[::-1] for r in ROWS[::-1]]),
    "offsets": column(1, [f"{h - 6}:00-06:00" for h in HOURS]),
    "half hours": column(1, [f"{np.datetime64(h, 'm') + 330}+05:30" for h in HOURS]),
    "UTC": column(1, [f"{h}:00".replace("T", " ") + " UTC" for h in HOURS], "time_utc"),
    "12 hours": column(1, [f"4/13/2021 {(h - 1) % 12 + 1}:00 {'AP'[h > 11]}M" for h in range(24)]),
    "day first": column(1, [f"13/04/2021 {h:02}:00" for h in range(24)]),
    "points": column(1, [f"13.04.2021 {h:02}:00" for h in range(24)]),
    "date and time": text(
        ["station", "date", *HEAD[2:], "time"], [[r[0], "2021-04-13", *r[2:], r[1][11:]] for r in ROWS]
    ),
    "unit column": text([*HEAD[:5], "value", "unit"], [[*r[:5], f"{100 * float(r[5]):.1f}", "%"] for r in ROWS]),
    "longitude 262": column(3, ["262.0"] * 24),
    "identical rows": text(rows=[*ROWS, *ROWS[:3]]),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_give_the_same_values(tmp_path, name):
    ds, said = read(tmp_path, SPELLINGS[name])
    np.testing.assert_allclose(ds["soil_moisture"][0], VALUES, rtol=1e-5)
    assert (ds["time"].values == HOURS).all() and ds["lon"].values.tolist() == [-98.0]
    assert [("repeats 3 rows" in t) for t in said] == [True] * (name == "identical rows")


def test_a_table_of_utf_16(tmp_path):
    assert read(tmp_path, text(), "utf-16")[0].sizes["time"] == 24


@pytest.mark.parametrize("bad", ["wet", "0.2,1", "", None])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 23))
def test_one_bad_row_is_left_out(tmp_path, bad, at):
    changed = ROWS[at][:3] if bad is None else [*ROWS[at][:5], bad]
    ds, said = read(tmp_path, text(rows=[*ROWS[:at], changed, *ROWS[at + 1 :]]))
    got = ds["soil_moisture"][0].reindex(time=HOURS)
    np.testing.assert_allclose(got, np.where(np.arange(24) == at, np.nan, VALUES), rtol=1e-5)
    assert bad == "" or any(f"row {at + 2}" in t.lower() and "1 of 24" in t for t in said)


def test_missing_values_written_as_numbers_and_impossible_ones(tmp_path):
    ds, said = read(tmp_path, column(5, ["-9999", "-99.9", "1.7", *(f"{v:.3f}" for v in VALUES[3:])]))
    assert np.isnan(ds["soil_moisture"][0]).values.tolist() == [True] * 3 + [False] * 21
    assert any("outside 0 to 1" in t for t in said)


def test_doubtful_times_and_depths_are_told(tmp_path):
    assert any("with and without an offset" in t for t in read(tmp_path, text().replace("T05:00", "T05:00Z"))[1])
    assert any("if they are metres" in t for t in read(tmp_path, column(4, ["0.05"] * 24))[1])


@settings(max_examples=200, deadline=None)
@given(
    when=st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2090, 1, 1)),
    form=st.sampled_from(["%Y-%m-%d %H:%M", "%Y/%m/%dT%H:%M", "%Y%m%d %H%M", "%d %b %Y %H:%M", "%b %d, %Y %I:%M %p",
                          "%Y-%b-%d %H:%M", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d %I:%M %p"]),
)  # fmt: skip
def test_times_in_any_unambiguous_form(when, form):
    assume(not form.startswith("%d.%m") or when.day > 12 or when.day == when.month)
    assert read_stamps([when.strftime(form)], "a").time[0] == np.datetime64(when, "m")


@pytest.mark.parametrize(
    "bad", ["2021-02-30", "2021-04-01 25:00", "2021-04-01 12:60", "44287", "13:00 PM", "2021-04-01 13:00 PM", ""]
)
def test_times_that_are_none(bad):
    assert np.isnat(read_stamps([bad, "2021-04-01"], "a").time).tolist() == [True, False]
