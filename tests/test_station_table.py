"""Stations from a CSV: what is read, what is refused, and that scores are those of the same stations in NetCDF."""

from __future__ import annotations

import numpy as np
import pytest

import xsm
from xsm.errors import DataError
from xsm.io import files, station_table

HEAD = "Station,Date,Latitude,Longitude,Depth,SM\n"


def table(tmp_path, text: str):
    """Read a text as a CSV of stations."""
    path = tmp_path / "stations.csv"
    path.write_text(text, encoding="utf-8")
    return files.read(path)


def test_rows_of_any_order_become_sensors(tmp_path):
    ds = table(
        tmp_path, HEAD + "B,2021-06-02,36,-98,20,0.3\nA,2021-06-01T12:00:00Z,35,-97,5,0.2\nA,2021-06-02,35,-97,5,\n"
    )
    assert ds["station"].values.tolist() == ["A", "B"]
    assert ds["depth"].values.tolist() == [5, 20]
    assert ds["lat"].values.tolist() == [35, 36]
    assert ds["time"].values.astype("M8[h]").tolist() == np.array(["2021-06-01T12", "2021-06-02T00"], "M8[h]").tolist()
    np.testing.assert_array_equal(ds["soil_moisture"].values, np.array([[0.2, np.nan], [np.nan, 0.3]], "f4"))
    assert ds["soil_moisture"].attrs["units"] == "m3 m-3"


def test_semicolons_other_columns_and_no_depth(tmp_path):
    with pytest.warns(UserWarning, match="no column depth: 5 cm"):
        ds = table(tmp_path, "\ufeffname;time;y;x;value;remark\nA;2021-06-01;36.5;-98;0.25;fine\n")
    assert float(ds["soil_moisture"][0, 0]) == 0.25
    assert (float(ds["lat"][0]), float(ds["depth"][0])) == (36.5, 5.0)


@pytest.mark.parametrize("name", ["NA", "nan", "None", "null", "007"])
def test_station_keeps_its_name_and_words_for_missing_numbers_count(tmp_path, name):
    """Spreadsheets and R write NA for a missing number; Namibia's stations may be called so."""
    ds = table(
        tmp_path, HEAD + f"{name},2021-06-01,36,-98,5,0.2\n{name},2021-06-02,36,-98,5,NA\nB,2021-06-02,36,-97,5,nan\n"
    )
    assert ds["station"].values.tolist() == sorted([name, "B"])
    np.testing.assert_array_equal(ds.sel(time="2021-06-02")["soil_moisture"].values, np.full(2, np.nan, "f4"))


def test_rows_that_are_left_out_are_counted(tmp_path):
    row = "A,2021-06-01,36,-98,5,0.2\n"
    with pytest.warns(UserWarning, match="2 of 3 rows of .* lack station"):
        ds = table(tmp_path, HEAD + row + row.replace("A", "") + row.replace("36", "NA"))
    assert ds["station"].values.tolist() == ["A"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Station,Date,SM\nA,2021-06-01,0.2\n", "lat, lon is missing.*A CSV of stations needs"),
        (HEAD + "A,2021-06-01,36,-98,5,wet\n", "'wet' as soil_moisture in row 2, expected a number"),
        (HEAD + "A,yesterday,36,-98,5,0.2\n", "'yesterday' as time in row 2, expected a time"),
        (HEAD + "A,2021-06-01,4300000,-98,5,0.2\n", "outside the globe.*EPSG:4326"),
        (HEAD + "A,2021-06-01,36,-98,5,0.2\nA,2021-06-01,36,-98,5,0.3\n", "1 rows that repeat a time"),
        (HEAD, "contains no row"),
        ("", "cannot be read as CSV"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"(?s){message}"):
        table(tmp_path, text)


def test_written_stations_come_back(tmp_path):
    stations = xsm.example("stations", size=16, days=30)
    files.write(stations, tmp_path / "stations.csv")
    back = station_table.read(tmp_path / "stations.csv")
    assert back["soil_moisture"].attrs["units"] == stations["soil_moisture"].attrs["units"]
    words = str(stations["flag"].attrs["flag_meanings"]).split()
    for station, depth in zip(back["station"].values, back["depth"].values, strict=True):
        mine = (stations["station"].values == station) & (stations["depth"].values == depth)
        theirs = (back["station"].values == station) & (back["depth"].values == depth)
        ours = stations["soil_moisture"].values[mine][0]
        flag = stations["flag"].values[mine][0]
        good = np.isin(flag, [i for i, word in enumerate(words) if word[0] not in "CDM"])
        np.testing.assert_array_equal(back["soil_moisture"].values[theirs][0], np.where(good, ours, np.nan))


def test_a_series_without_a_place_is_a_series(tmp_path):
    path = tmp_path / "probe.csv"
    path.write_text("Date;SM [%];flag\n2021-06-01;21;G\n2021-06-02;20;D01\n2021-06-03;19;G\n")
    series = files.read(path)
    assert dict(series.sizes) == {"time": 3}
    assert set(series.coords) == {"time"}
    np.testing.assert_allclose(series["soil_moisture"], [0.21, np.nan, 0.19], rtol=1e-6)
