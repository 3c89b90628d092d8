"""What a table of stations says of its clock, places, flags and variables: it is used, or refused with a way out."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import xsm
from xsm.errors import DataError, hear
from xsm.io import files, station_table

HOURS = np.datetime64("2021-04-13T00", "h") + np.arange(96)
VALUES = (0.200 + 0.001 * np.arange(96)).astype("f4")
REST = ["0.200", "36", "-98", "5"]


def read(folder, head, rows, before=""):
    """The dataset and what was told."""
    path = folder / "stations.csv"
    path.write_text(before + "".join(",".join(row) + "\n" for row in [head, *rows]))
    with hear() as heard:
        ds = station_table.read(path)
    return ds, [str(w) for w in heard]


def hourly(statement, place):
    """Header, rows and comments of a table whose clock is stated in a place."""
    rest = ["sm", "lat", "lon", "depth"]
    day, clock = zip(*(str(np.datetime64(h, "m")).split("T") for h in HOURS), strict=True)
    values = [[f"{v:.3f}", "36", "-98", "5"] for v in VALUES]
    one = [["A", f"{d} {c}", *v] for d, c, v in zip(day, clock, values, strict=True)]
    two = [["A", d, c, *v] for d, c, v in zip(day, clock, values, strict=True)]
    beside = [[*r, statement] for r in one]
    return {
        "heading": (["station", f"time ({statement})", *rest], one, ""),
        "brackets": (["station", f"DateTime [{statement}]", *rest], one, ""),
        "heading of the date": (["station", f"Date ({statement})", "Time", *rest], two, ""),
        "heading of the clock": (["station", "date", f"time ({statement})", *rest], two, ""),
        "suffix": (["station", f"time_{statement}", *rest], one, ""),
        "prefix": (["station", f"{statement}_time", *rest], one, ""),
        "suffix of the date": (["station", f"date_{statement}", "time", *rest], two, ""),
        "column timezone": (["station", "time", *rest, "timezone"], beside, ""),
        "column utc_offset": (["station", "time", *rest, "UTC_offset"], beside, ""),
        "row of units": (["station", "time", *rest], [["", statement, "m3/m3", "deg", "deg", "cm"], *one], ""),
        "row of units of the date": (
            ["station", "date", "time", *rest], [["-", statement, "hh:mm", "-", "", "", "cm"], *two], ""
        ),
        "comment": (["station", "time", *rest], one, f"# from a logger\n# Time zone: {statement}\n"),
        "behind each": (["station", "time", *rest], [[r[0], f"{r[1]} {statement}", *r[2:]] for r in one], ""),
    }[place]  # fmt: skip


ANYWHERE = ("heading", "brackets", "heading of the date", "heading of the clock", "column timezone",
            "column utc_offset", "row of units", "row of units of the date", "comment")  # fmt: skip
SUFFIX = ("suffix", "prefix", "suffix of the date")
OFFSETS = {"UTC": 0, "GMT": 0, "Z": 0, "UTC-6": 6, "UTC-06:00": 6, "-06:00": 6, "-0600": 6, "UTC+5:30": -5.5,
           "CST (UTC-6)": 6}  # fmt: skip
NAMES = ("CST", "local", "LST", "America/Chicago", "Etc/GMT+6", "Central Standard Time", "MST", "PDT")


@pytest.mark.parametrize(("place", "statement"), [
    *itertools.product(ANYWHERE, OFFSETS), *itertools.product(SUFFIX, ["utc", "GMT", "UTC-6"]),
    *itertools.product(["column utc_offset", "comment"], ["-6", "-6.0"]), ("behind each", "-06:00"),
    ("behind each", "UTC"),
])  # fmt: skip
def test_a_clock_whose_offset_is_stated_becomes_utc(tmp_path, place, statement):
    ds, said = read(tmp_path, *hourly(statement, place))
    hours = {**OFFSETS, "utc": 0, "-6": 6, "-6.0": 6}[statement]
    np.testing.assert_array_equal(ds["time"].values, HOURS + np.timedelta64(int(60 * hours), "m"))
    np.testing.assert_array_equal(ds["soil_moisture"][0], VALUES)
    assert not ds["time"].attrs
    assert [("local clock" in t) for t in said] == [True] * (hours != 0 and place.startswith(("col", "com")))


@pytest.mark.parametrize(("place", "statement"), [
    *itertools.product(ANYWHERE, NAMES), *itertools.product(SUFFIX, ["CST", "local", "lst", "CEST", "mst"]),
    ("column utc_offset", "-360"), ("behind each", "CST"),
])  # fmt: skip
def test_a_clock_of_a_name_is_refused_and_every_way_out_works(tmp_path, place, statement):
    head, rows, before = hourly(statement, place)
    with pytest.raises(DataError, match=r"expected (times in UTC or their offset|an offset from UTC)") as error:
        read(tmp_path, head, rows, before)
    if place == "behind each":
        return
    assert "utc_offset (-6)" in error.value.hint and "name the column time_utc" in error.value.hint
    ds, _ = read(tmp_path, *hourly("-06:00", "behind each"))
    assert ds["time"].values[0] == HOURS[0] + 6
    if not place.startswith("col"):
        ds, said = read(tmp_path, [*head, "utc_offset"], [[*r, "-6" if r[1][:1] == "2" else ""] for r in rows])
        assert ds["time"].values[0] == HOURS[0] + 6 and len(said) == 1
    utc = {"date": "date_utc", "time": "time_utc"}
    for name, new in utc.items():
        at = [
            i for i, h in enumerate(head) if name in h.lower() and not ("zone" in h.lower() or "datetime" in h.lower())
        ]
        if at and (name == "date" or "date" not in ",".join(head).lower()) and "units" not in place:
            renamed = [new if i == at[0] else "time" if i == at[0] + 1 and name == "date" else h
                       for i, h in enumerate(head)]  # fmt: skip
            ds, said = read(tmp_path, renamed, rows, before)
            assert ds["time"].values[0] == HOURS[0] and not said


def test_what_contradicts_itself_is_refused_and_utc_beside_local_counts(tmp_path):
    head, rows, _ = hourly("UTC-6", "heading")
    with pytest.raises(DataError, match=r"two things of its clock: the column 'time .UTC-6.' and the column 'tz'"):
        read(tmp_path, [*head, "tz"], [[*r, "-5"] for r in rows])
    with pytest.raises(DataError, match="two things of its clock"):
        read(tmp_path, ["station", "time", *head[2:], "tz", "utc_offset"], [[*r, "-5", "-6"] for r in rows])
    both = ["station", "time_local", "time_utc", *head[2:]]
    ds, _ = read(tmp_path, both, [[r[0], "2021-04-12 18:00", *r[1:]] for r in rows])
    np.testing.assert_array_equal(ds["time"].values, HOURS)
    ds, _ = read(tmp_path, ["station", "time_utc", *head[2:], "timezone"], [[*r, "CST"] for r in rows])
    np.testing.assert_array_equal(ds["time"].values, HOURS)


def test_offsets_of_rows_and_minutes(tmp_path):
    head, rows, _ = hourly("", "column utc_offset")
    each = [[*r[:-1], "-5" if i > 24 else "-6"] for i, r in enumerate(rows)]
    ds, _ = read(tmp_path, head, [r for i, r in enumerate(each) if i != 24])
    assert ds["time"].values[[0, -1]].tolist() == (HOURS[[0, -1]] + [6, 5]).astype("M8[ns]").tolist()
    ds, _ = read(tmp_path, [*head[:-1], "utc_offset_minutes"], [[*r[:-1], "-360"] for r in rows])
    assert ds["time"].values[0] == HOURS[0] + 6
    ds, said = read(tmp_path, head, [[*r[:-1], "" if i == 7 else "-6"] for i, r in enumerate(rows)])
    assert ds.sizes["time"] == 95 and any("1 of 96 rows" in t for t in said)


def test_a_comment_of_local_time_is_told(tmp_path):
    head, rows, _ = hourly("", "comment")
    assert "says 'local time' in a comment" in read(tmp_path, head, rows, "# All times are local time\n")[1][0]
    assert not read(tmp_path, head, rows, "# local time was converted to UTC\n")[1]
    assert not read(tmp_path, [*head, "tz"], [[*r, "NA"] for r in rows], "# Time zone: none\n")[1]


def days(kind, count=20):
    stamps = [str(d) for d in np.datetime64("2021-04-13") + np.arange(count)]
    return [["A", f"{d}{kind}", f"0.{i + 10}", "36", "-98", "5"] for i, d in enumerate(stamps)]


HEAD = ["station", "time", "sm", "lat", "lon", "depth"]


@pytest.mark.parametrize("kind", ["", " 24:00", "T24:00:00", " 2400", " 24:00Z"])
def test_a_day_that_ends_at_24_is_itself(tmp_path, kind):
    ds, said = read(tmp_path, HEAD, days(kind))
    np.testing.assert_array_equal(ds["time"].values.astype("M8[D]"), np.datetime64("2021-04-13") + np.arange(20))
    assert not said


@pytest.mark.parametrize("offset", ["-6", "+9", "5.5"])
@pytest.mark.parametrize("kind", ["", " 24:00"])
def test_days_of_a_local_clock_stay_days(tmp_path, kind, offset):
    ds, said = read(tmp_path, [*HEAD, "utc_offset"], [[*r, offset] for r in days(kind)])
    np.testing.assert_array_equal(ds["time"].values, np.datetime64("2021-04-13") + np.arange(20))
    assert ds["time"].attrs["stamps"] == "local day" and "days of a local clock" in " ".join(said)


def pair(hours, name="hour"):
    """Day and clock in two columns."""
    rows = [["A", str(np.datetime64(h, "D")), c, f"{v:.3f}", "36", "-98", "5"]
            for h, c, v in zip(HOURS, hours, VALUES, strict=True)]  # fmt: skip
    return ["station", "date", name, *HEAD[2:]], rows


CLOCKS = {
    "0 to 23": ("hour", [str(h % 24) for h in range(96)]),
    "00 to 23": ("Hour", [f"{h % 24:02}" for h in range(96)]),
    "floats": ("hour", [f"{h % 24}.0" for h in range(96)]),
    "hours as time": ("time", [str(h % 24) for h in range(96)]),
    "0600": ("time", [f"{h % 24:02}00" for h in range(96)]),
    "600": ("time", [str(h % 24 * 100) for h in range(96)]),
    "hhmm": ("HHMM", [f"{h % 24:02}00" for h in range(96)]),
    "seconds": ("time", [f"{h % 24:02}0000" for h in range(96)]),
    "colons": ("time", [f"{h % 24}:00" for h in range(96)]),
    "12 hours": ("time", [f"{(h % 24 - 1) % 12 + 1}:00 {'AP'[h % 24 > 11]}M" for h in range(96)]),
    "offsets": ("time", [f"{h % 24:02}:00+00:00" for h in range(96)]),
    "UTC": ("hour_utc", [str(h % 24) for h in range(96)]),
}


@pytest.mark.parametrize("kind", CLOCKS)
def test_a_day_and_its_clock_in_two_columns(tmp_path, kind):
    name, hours = CLOCKS[kind]
    ds, said = read(tmp_path, *pair(hours, name))
    np.testing.assert_array_equal(ds["time"].values, HOURS)
    np.testing.assert_array_equal(ds["soil_moisture"][0], VALUES)
    assert not said and not ds["time"].attrs


@pytest.mark.parametrize("name", ["hour", "time"])
@pytest.mark.parametrize("form", ["{}", "{:02}00", "{:02}:00"])
def test_hours_of_1_to_24_end_in_their_own_day(tmp_path, name, form):
    ds, _ = read(tmp_path, *pair([form.format(h % 24 + 1) for h in range(96)], name))
    np.testing.assert_array_equal(ds["time"].values, HOURS + 1)
    assert ds["time"].attrs["stamps"] == "end of hour"
    maps = xr_maps(np.unique(HOURS.astype("M8[D]")), VALUES.reshape(-1, 24).mean(1))
    scores = xsm.validate(maps, ds, min_days=3)
    assert scores["n"].values.ravel().tolist() == [4] and float(scores["ubrmse"].max()) < 1e-6


def xr_maps(time, values):
    import xarray as xr

    data = np.tile(np.asarray(values, "f4")[:, None, None], (1, 4, 4))
    return xr.Dataset(
        {"sm_noah_0_10": (("time", "lat", "lon"), data, {"units": "m3 m-3"})},
        {"time": time.astype("M8[ns]"), "lat": [37.0, 36.5, 36.0, 35.5], "lon": [-99.0, -98.5, -98.0, -97.5]},
    )


@pytest.mark.parametrize("bad", ["25", "100", "99", "2500", "x"])
def test_one_wrong_hour_is_left_out(tmp_path, bad):
    ds, said = read(tmp_path, *pair([bad if h == 30 else str(h % 24) for h in range(96)]))
    np.testing.assert_array_equal(ds["time"].values, np.delete(HOURS, 30))
    assert len(said) == 1 and "1 of 96 rows cannot be read" in said[0]


def test_clocks_without_days_are_called_so(tmp_path):
    with pytest.raises(DataError, match=r"'0600', a clock without a day.*column date"):
        read(tmp_path, HEAD, [["A", "0600", *REST], ["A", "1200", *REST]])


KEPT = ["G", "U", "V", "A", "P", "g", "good", "OK", "pass", "", "NA", "G,U", "unknown", "0"]
LEFT = ["BAD", "D01", "spike", "C03", "C03,D02", "M", "dubious", "out_of_range", "suspect", "G,D02", "fail", "S", "X"]
FLAGS = ["flag", "qc_flag", "quality", "Quality Flag", "QC", "sm_flag", "soil_moisture_qc", "ismn_flag", "qualifier"]


@pytest.mark.parametrize("name", FLAGS)
def test_flags_are_applied(tmp_path, name):
    for kept in KEPT:
        ds, said = read(tmp_path, [*HEAD, name], [[*r, f'"{kept}"'] for r in days("")])
        assert np.isfinite(ds["soil_moisture"]).all() and not said, kept
    for flag in LEFT:
        rows = [[*r, f'"{flag}"' if i % 4 == 0 else "G"] for i, r in enumerate(days(""))]
        ds, said = read(tmp_path, [*HEAD, name], rows)
        assert np.isnan(ds["soil_moisture"][0]).values.tolist() == [i % 4 == 0 for i in range(20)], flag
        assert said == [said[0]] and "5 of 20 values are not good" in said[0] and f"{flag} 5" in said[0]


@pytest.mark.parametrize("flags", [["0", "1"], ["1"], ["1", "4"], ["0.9"], ["True", "False"]])
def test_flags_of_numbers_are_refused(tmp_path, flags):
    rows = [[*r, f] for r, f in zip(days(""), itertools.cycle(flags), strict=False)]
    with pytest.raises(DataError, match=r"expected quality flags in words.*rename the column"):
        read(tmp_path, [*HEAD, "flag"], rows)


def test_columns_without_a_meaning_and_tables_without_a_value_are_told_once(tmp_path):
    _, said = read(tmp_path, [*HEAD, "elevation", "valid_max"], [[*r, "300", "1"] for r in days("")])
    assert said == [f"'{tmp_path / 'stations.csv'}': the columns elevation, valid_max are not read."]
    for missing in ("", "NA", "-9999"):
        _, said = read(tmp_path, HEAD, [[*r[:2], missing, *r[3:]] for r in days("")])
        assert len(said) == 1 and "has no value of soil moisture" in said[0]


PLACES = {
    ("lat", "lon (degrees west)"): ("36", "98"),
    ("lat", "lon_west"): ("36", "98"),
    ("lat", "Longitude [°W]"): ("36", "98"),
    ("lat (degrees_north)", "lon (degrees_east)"): ("36", "-98"),
    ("lat (°N)", "lon (°E)"): ("36", "-98"),
    ("latitude_deg", "longitude (decimal degrees)"): ("36", "-98"),
    ("lat [deg S]", "lon"): ("-36", "-98"),
    ("y (EPSG:4326)", "x (WGS 84)"): ("36", "-98"),
    ("lat (rad)", "lon_radians"): (f"{np.deg2rad(36):.9f}", f"{np.deg2rad(-98):.9f}"),
}  # fmt: skip


@pytest.mark.parametrize("names", PLACES)
def test_units_of_places(tmp_path, names):
    lat, lon = PLACES[names]
    if "S]" in names[0]:
        with pytest.raises(DataError, match="below zero, which is the other side"):
            read(tmp_path, ["station", "time", "sm", *names, "depth"], [["A", "2021-04-13", "0.2", lat, lon, "5"]])
        lat = "36"
    ds, _ = read(tmp_path, ["station", "time", "sm", *names, "depth"], [["A", "2021-04-13", "0.2", lat, lon, "5"]])
    np.testing.assert_allclose(ds["lat"], -36 if "S]" in names[0] else 36)
    np.testing.assert_allclose(ds["lon"], -98)
    ds, _ = read(
        tmp_path, ["station", "time", "sm", "lat", "lon", "depth"],
        [["", "", "", "deg N", "deg W", ""], ["A", "2021-04-13", "0.2", "36", "98", "5"]],
    )  # fmt: skip
    assert (float(ds["lat"][0]), float(ds["lon"][0])) == (36, -98)


@pytest.mark.parametrize("names", [("y (m)", "x (m)"), ("lat (km)", "lon"), ("lat_m", "lon"), ("lat (deg E)", "lon"),
                                   ("lat", "lon (dms)"), ("y (US feet)", "x")])  # fmt: skip
def test_places_in_other_units_are_refused(tmp_path, names):
    with pytest.raises(DataError, match=r"expected degrees (north|east).*EPSG:4326"):
        read(tmp_path, ["station", "time", "sm", *names, "depth"], [["A", "2021-04-13", "0.2", "36", "98", "5"]])


@pytest.mark.parametrize("name", ["soil_moisture", "SM", "Soil moisture", "VWC", "volumetric water content"])
@pytest.mark.parametrize("column", ["variable", "Parameter", "element"])
def test_only_soil_moisture_of_a_long_table_is_read(tmp_path, name, column):
    head = ["station", "time", column, "value", "lat", "lon", "depth", "unit"]
    rows = [[r[0], r[1], v, x, "36", "-98", "5", u] for r in days("")
            for v, x, u in ((name, r[2], "m3/m3"), ("precipitation", "1.0", "mm"))]  # fmt: skip
    ds, said = read(tmp_path, head, rows)
    np.testing.assert_allclose(ds["soil_moisture"][0], [float(r[2]) for r in days("")], rtol=1e-6)
    assert len(said) == 1 and "other variables, which are left out: precipitation 20" in said[0]
    with pytest.raises(DataError, match=r"no soil moisture in the column.*precipitation 20.*Write soil_moisture"):
        read(tmp_path, head, rows[1::2])


@pytest.mark.parametrize("mark", ["/", ".", "-"])
def test_days_that_could_be_months_are_refused_with_any_mark(tmp_path, mark):
    def rows(*dates):
        return [["A", d.replace("/", mark), f"0.{20 + i}", *REST[1:]] for i, d in enumerate(dates)]

    with pytest.raises(DataError, match="whether the day or month is first"):
        read(tmp_path, HEAD, rows(*(f"6/{d}/2021" for d in range(1, 13))))
    for dates in (("13/6/2021", "1/6/2021"), ("6/13/2021", "6/1/2021")):
        ds, _ = read(tmp_path, HEAD, rows(*dates))
        assert ds["time"].values.astype("M8[D]").astype(str).tolist() == ["2021-06-01", "2021-06-13"]
    assert read(tmp_path, HEAD, rows("6/6/2021"))[0]["time"].values[0] == np.datetime64("2021-06-06")


def test_tables_in_memory_say_the_same(tmp_path):
    frame = pd.DataFrame({"station": "A", "date": "2021-04-13", "hour": range(24), "lat": 36, "lon": -98, "depth": 5,
                          "sm": VALUES[:24], "flag": ["D01", *["G"] * 23], "utc_offset": -6})  # fmt: skip
    ds = station_table.of_frame(frame)
    np.testing.assert_array_equal(ds["time"].values, HOURS[:24] + 6)
    assert np.isnan(ds["soil_moisture"][0]).sum() == 1
    with pytest.raises(DataError, match="expected times in UTC"):
        station_table.of_frame(frame.assign(utc_offset="CST"))


def test_flags_are_written_as_words(tmp_path):
    stations = xsm.example("stations", size=16, days=30)
    files.write(stations, tmp_path / "a.csv")
    meanings = str(stations["flag"].attrs["flag_meanings"]).split()
    assert set(pd.read_csv(tmp_path / "a.csv")["flag"]) <= set(meanings)
