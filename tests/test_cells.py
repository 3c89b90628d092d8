"""What a GIS shows of a cell and of stations, beside numpy; questions and their answers."""

from __future__ import annotations

import io
import itertools
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xsm
from xsm.errors import DataError
from xsm.faces.cells import cells
from xsm.faces.execute import Outcome
from xsm.faces.points import points_of
from xsm.faces.questions import answer, answer_all
from xsm.io import files


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A cube, its stations, and the files of both."""
    folder = tmp_path_factory.mktemp("cells")
    cube, stations = (xsm.example(name, size=16, days=20) for name in ("cube", "stations"))
    files.write(cube, folder / "cube.nc")
    files.write(stations, folder / "stations.nc")
    return cube, stations, str(folder / "cube.nc"), str(folder / "stations.nc")


def series_of(cell, name):
    return next(s for s in cell["series"] if s["name"] == name)


def test_series_are_those_of_the_cell_and_its_outline_contains_the_place(world):
    cube, _, path, _ = world
    lat, lon = 35.9, -98.1
    (cell,) = cells([path], [(lat, lon)])["cells"]
    expected = cube.sm.at(lat, lon)
    noah = series_of(cell, "Noah 0-10 cm")
    np.testing.assert_allclose(noah["values"], expected["sm_noah_0_10"], atol=1e-5)
    assert noah["days"] == [str(d)[:10] for d in cube["time"].values]
    assert series_of(cell, "Noah 10-40 cm")["depth"] == "25 cm"
    x, y = np.array(cell["outline"]).T
    assert x.min() < lon < x.max()
    assert y.min() < lat < y.max()
    assert len(cell["outline"]) == 5
    assert cell["outline"][0] == cell["outline"][-1]


def test_stations_within_reach_are_daily_means(world):
    _, stations, maps, path = world
    place = float(stations["lat"][0]), float(stations["lon"][0])
    (cell,) = cells([maps], [place], [path], reach=5)["cells"]
    near = [s for s in cell["series"] if s["kind"] == "station"]
    assert [(s["name"], s["depth"]) for s in near] == [("Twin 01, 0 km", "5 cm"), ("Twin 01, 0 km", "25 cm")]
    sensor = stations.isel(sensor=int(np.flatnonzero(stations["depth"].values == 5)[0]))
    good = (sensor["soil_temperature"] > 273.15) & (sensor["flag"] == 0)
    hours = sensor["soil_moisture"].where(good).to_series()
    hours.index -= pd.Timedelta(int(sensor["time"].attrs.get("stamps") == "end of hour"), "ns")
    daily = hours.groupby(hours.index.floor("D")).mean()
    means = pd.Series(near[0]["values"], pd.DatetimeIndex(near[0]["days"]), dtype=float).dropna()
    assert len(means) > 10
    np.testing.assert_allclose(means, daily.reindex(means.index), atol=1e-4)
    (far,) = cells([maps], [(place[0], place[1] - 0.5)], [path], reach=1)["cells"]
    assert not [s for s in far["series"] if s["kind"] == "station"]


def test_intervals_and_droughts_come_with_the_maps(tmp_path):
    days = pd.date_range("2015-01-01", "2020-12-31")
    grid = xsm.example("cube", size=16, days=8).isel(time=0, drop=True)
    values = np.random.default_rng(0).uniform(0.1, 0.4, (len(days), 16, 16)).astype("f4")
    attrs = {"units": "m3 m-3"}
    maps = xr.Dataset(
        {"sm_5cm": (("time", "y", "x"), values, attrs), "sm_5cm_std": (("time", "y", "x"), values / 10, attrs)},
        {"time": days, "y": grid["y"], "x": grid["x"], "spatial_ref": grid["spatial_ref"]},
    )
    files.write(maps, tmp_path / "maps.nc")
    answered = cells([str(tmp_path / "maps.nc")], [(35.9, -98.1)])
    (series,) = answered["cells"][0]["series"]
    at = maps.sm.at(35.9, -98.1)
    np.testing.assert_allclose(series["half"], 1.959964 * at["sm_5cm_std"], atol=2e-5)
    expected = xsm.drought(at["sm_5cm"].drop_vars(["lat", "lon", "distance"]))
    assert series["drought"] == expected.values.tolist()
    assert [name for _, name in answered["classes"]] == ["", "D0", "D1", "D2", "D3", "D4"]
    assert {answered["classes"][n][1] for n in series["drought"]} == {"", "D0", "D1", "D2", "D3", "D4"}


def test_places_without_maps_are_an_error_and_others_stay(world):
    _, _, path, _ = world
    with pytest.raises(DataError, match="None of the maps"):
        cells([path], [(0.0, 0.0)])
    inside, outside = cells([path], [(35.9, -98.1), (0.0, 0.0)])["cells"]
    assert inside["series"]
    assert outside["series"] == []


def test_a_failed_question_ends_only_itself(world):
    _, _, path, _ = world
    lines = [b'{"id": 1, "ask": "cells", "of": {"maps": ["none.nc"], "places": [[0, 0]]}}\n', b"nonsense\n"]
    lines.append(json.dumps({"id": 3, "ask": "cells", "of": {"maps": [path], "places": [[35.9, -98.1]]}}).encode())
    events: list[dict] = []
    answer_all(events.append, io.BytesIO(b"".join(lines)))
    assert [(e["event"], e["id"]) for e in events] == [("error", 1), ("error", None), ("answer", 3)]
    assert "Unknown question 'weather'" in answer(b'{"id": 1, "ask": "weather"}')["text"]


def test_plan_counts_what_a_download_would_bring(tmp_path):
    of = {"source": "solus100", "dest": str(tmp_path / "S"), "options": {"soil_depth": "5"}}
    assert "4 files" in answer(json.dumps({"id": 1, "ask": "plan", "of": of}).encode())["text"]
    assert not (tmp_path / "S").exists()


@pytest.mark.parametrize("known", [True, False])
def test_login_says_where_credentials_are(monkeypatch, tmp_path, known):
    for name in ("TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"EARTHDATA_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    if known:
        monkeypatch.setenv("EARTHDATA_TOKEN", "abc")
    said = answer(b'{"id": 1, "ask": "login"}')
    assert said["known"] is known
    assert ("EARTHDATA_TOKEN." if known else "Register at") in said["text"]
    assert "abc" not in json.dumps(said)


def test_points_are_the_scores_with_their_series(world, tmp_path):
    cube, stations, maps, path = world
    values = {"ds": maps, "stations": path, "variables": ["sm_noah_0_10"], "min_days": 5}
    table = cube.sm.validate(stations, variables=["sm_noah_0_10"], min_days=5)
    points = points_of(values, Outcome(table, [tmp_path / "scores.csv"]))
    assert points["groups"] == ["Noah 0-10 cm"]
    by_station = {row["station"]: row for row in points["rows"]}
    assert set(by_station) == set(table["station"].values)
    for station, row in by_station.items():
        one = table.sel(station=station).isel(product=0)
        assert all(row[n] == pytest.approx(float(one[n])) for n in ("r", "ubrmse", "bias", "lat", "lon", "n"))
    first = points["series"][0]
    pairs = cube.sm.matchup(stations, variables=["sm_noah_0_10"], min_days=5)
    here = pairs["station"].values == points["rows"][0]["station"]
    assert [s["name"] for s in first] == ["Station", "Noah 0-10 cm"]
    np.testing.assert_allclose([v for v in first[1]["values"] if v is not None], pairs["value"].values[here], atol=1e-4)
    for score in points["scores"]:
        classes = score["classes"]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(classes)), "classes without gaps"


def test_points_of_stations_have_their_depths(world, tmp_path):
    _, stations, _, _ = world
    points = points_of({}, Outcome(stations, [tmp_path / "stations.nc"]))
    assert len(points["rows"]) == len(np.unique(stations["station"]))
    assert points["rows"][0]["depths"].split(", ")[:2] == ["5", "10"]
    assert points_of({}, Outcome(xsm.example("cube", size=16, days=8), [tmp_path / "cube.nc"])) == {}
