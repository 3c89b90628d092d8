"""The explorer's server and what it reads, without a browser: maps, series, percentiles, stations, access."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import xsm
from xsm.data.lines import KINDS
from xsm.errors import DataError, UsageError
from xsm.explorer import blocks as blocks_of
from xsm.explorer import places
from xsm.explorer.blocks import MISSING, Blocks, pack
from xsm.explorer.products import Catalogue, catalogue
from xsm.explorer.view import View
from xsm.io import files
from xsm.validation.metrics import NORMAL_95


def days(first: str, count: int) -> np.ndarray:
    return (np.datetime64(first) + np.arange(count)).astype("M8[ns]")


def maps(first: str = "2021-01-01", count: int = 90, *, south_first: bool = False, seed: int = 0) -> xr.Dataset:
    """Soil moisture with gaps and a spread on latitudes and longitudes."""
    rng = np.random.default_rng(seed)
    lat, lon = np.arange(40.5, 34, -1.0), np.arange(-104.5, -95, 1.0)
    lat = lat[::-1] if south_first else lat
    values = rng.uniform(0.05, 0.45, (count, len(lat), len(lon))).astype("f4")
    values[rng.random(values.shape) < 0.2] = np.nan
    dims, attrs = ("time", "lat", "lon"), {"units": "m3 m-3"}
    spread = (dims, np.full(values.shape, 0.03, "f4"), attrs)
    return xr.Dataset(
        {"sm_5cm": (dims, values, attrs), "sm_5cm_std": spread}, {"time": days(first, count), "lat": lat, "lon": lon}
    )


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return xsm.example("cube", size=16, days=90)


@pytest.fixture(scope="module")
def stations() -> xr.Dataset:
    return xsm.example("stations", size=16, days=90)


@pytest.fixture(scope="module")
def view(cube: xr.Dataset, stations: xr.Dataset) -> Iterator[View]:
    explorer = cube.sm.view(stations)
    yield explorer
    explorer.close()


def ask(view: View, path: str = "", **query: Any) -> Any:
    text = f"{view.url}{path}?{urlencode(query)}"
    return urllib.request.urlopen(text, timeout=60)


def map_of(view: View, **query: Any) -> np.ndarray:
    """A map as the page decodes it."""
    body = ask(view, "day", **query).read()
    scale, offset, rows, cols = struct.unpack("<ddII", body[:24])
    numbers = np.frombuffer(body[24:], "<u2").reshape(rows, cols)
    return np.where(numbers == MISSING, np.nan, offset + scale * numbers)


@given(
    arrays(
        "f4", st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(-1e3, 1e3, width=32) | st.just(np.nan)
    )
)
@settings(max_examples=60, deadline=None)
def test_packing_keeps_values_to_a_65534th_of_their_span(values: np.ndarray) -> None:
    back = pack(values.copy()).values()
    assert np.array_equal(np.isnan(back), np.isnan(values))
    span = np.nanmax(values) - np.nanmin(values) if np.isfinite(values).any() else 0.0
    np.testing.assert_allclose(back, values, atol=0.51 * span / 65534 + 1e-6 * np.nanmax(np.abs(values), initial=1))


def test_packing_keeps_classes_and_leaves_infinities_out() -> None:
    classes = np.array([[0, 5, 254], [1, 2, 3]], "u1")
    np.testing.assert_array_equal(pack(classes).values(), classes)
    np.testing.assert_array_equal(np.isnan(pack(np.array([[np.inf, 0.2], [-np.inf, 0.3]])).values()), [[1, 0], [1, 0]])


@pytest.mark.parametrize("south_first", [False, True])
def test_maps_have_north_up(south_first: bool) -> None:
    ds = maps(south_first=south_first)
    table = catalogue([("maps", ds)])
    reader = Blocks(table)
    product = table.products["sm_5cm"]
    day = int(product.days[70].astype(int))
    shown = reader.day(product, day).values()
    expected = ds["sm_5cm"].isel(time=70).sortby("lat", ascending=False).values
    np.testing.assert_allclose(shown, expected, atol=1e-5)
    assert table.grids[0].lat[0].mean() == pytest.approx(40.5, abs=1e-6)
    np.testing.assert_allclose(table.grids[0].lon[0], (-105, -104), atol=1e-6)
    reader.close()


def test_the_fusion_is_shown_first(cube: xr.Dataset) -> None:
    ds = cube[["sm_noah_0_10"]]
    for name in ("sm_5cm_s1", "sm_5cm", "sm_25cm"):
        ds[name] = cube["sm_noah_0_10"].assign_attrs(method="" if "_s" in name else "fuse")
    assert [*catalogue([("maps", ds)]).products] == ["sm_5cm", "sm_5cm_s1", "sm_noah_0_10", "sm_25cm"]


def test_edges_of_an_ease_grid_enclose_its_cells(cube: xr.Dataset) -> None:
    grid, window = catalogue([("cube", cube)]).grids[0], xsm.grid_of(cube)
    for pairs, centres in ((grid.lat, window.lat), (grid.lon, window.lon)):
        assert ((pairs.min(1) < centres) & (centres < pairs.max(1))).all()
        np.testing.assert_allclose(np.sort(pairs, 0)[1:, 0], np.sort(pairs, 0)[:-1, 1], atol=1e-9)


def test_percentiles_are_those_of_percentile() -> None:
    ds = maps("2016-01-01", 6 * 366)[["sm_5cm"]]
    table = catalogue([("maps", ds.chunk(time=50))])
    reader = Blocks(table)
    product = table.products["sm_5cm"]
    expected = xsm.percentile(ds)["sm_5cm_percentile"]
    for position in (0, 59, 700, 1500, 2195):
        shown = reader.day(product, int(product.days[position].astype(int)), "percentile").values()
        np.testing.assert_allclose(shown, expected.isel(time=position), atol=0.4)
    reader.close()


def test_few_years_have_no_percentiles(view: View) -> None:
    about = json.loads(ask(view, "about").read())
    assert {p["no_percentiles"] for p in about["products"]} == {"needs 5 years of this product, which has 1"}


def test_blocks_that_are_kept_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = maps(count=300)
    table = catalogue([("maps", ds.chunk(time=30))])
    monkeypatch.setattr(blocks_of, "KEPT_BYTES", 3 * 30 * 70 * 2)
    reader = Blocks(table)
    product = table.products["sm_5cm"]
    for day in product.days.astype(int):
        reader.day(product, int(day))
    assert len(reader._kept) <= 5
    reader.close()


def test_the_page_and_its_parts_are_served(view: View) -> None:
    page = ask(view)
    assert "text/html" in page.headers["Content-Type"]
    policy = page.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([\w-]+)'", policy)[1]
    text = page.read().decode()
    assert text.count(f'nonce="{nonce}"') == 2 and "unsafe" not in policy
    assert re.findall(r"https?:", text) == []
    for name in ("main.js", "style.css"):
        assert ask(view, name).read()


@pytest.mark.parametrize("path", ["../server.py", "page.py", "__init__.py", "main.js/", "nothing"])
def test_other_files_are_not_served(view: View, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(view, path)
    assert error.value.code == 400


def test_only_who_knows_the_token_gets_an_answer(view: View) -> None:
    base = view.url.rsplit("/", 2)[0]
    for url, headers in ((f"{base}/", {}), (f"{base}/wrong/about", {}), (f"{view.url}about", {"Host": "evil.example"})):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10)
        assert error.value.code == 403
    assert view._server.server_address[0] == "127.0.0.1"


def test_a_map_comes_as_it_is(view: View, cube: xr.Dataset) -> None:
    expected = cube["sm_noah_0_10"].isel(time=40)
    day = int(expected["time"].values.astype("M8[D]").astype(int))
    np.testing.assert_allclose(map_of(view, product="sm_noah_0_10", day=day), expected, atol=1e-5)
    part = map_of(view, product="sm_noah_0_10", day=day, window="2,12,4,16,3")
    np.testing.assert_allclose(part, expected[3:12:3, 5:16:3], atol=1e-5)
    assert ask(view, "day", product="sm_noah_0_10", day=1).read() == b""


def test_large_answers_are_compressed(view: View) -> None:
    request = urllib.request.Request(f"{view.url}about", headers={"Accept-Encoding": "gzip"})
    answer = urllib.request.urlopen(request, timeout=30)
    about = json.loads(gzip.decompress(answer.read()))
    assert answer.headers["Content-Encoding"] == "gzip"
    assert set(about["lines"]) == set(KINDS)
    assert {s["station"] for s in about["stations"]} >= {"Twin 01"}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("day", {"product": "none", "day": 1}), ("day", {"product": "sm_noah_0_10"}),
        ("day", {"product": "sm_noah_0_10", "day": 18720, "kind": "spread"}),
        ("day", {"product": "sm_noah_0_10", "day": "x"}), ("series", {"product": "sm_noah_0_10", "lon": "a", "lat": 1}),
        ("save", {"box": "0,0,1,1", "first": 0, "last": 1}),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said(view: View, path: str, query: dict[str, Any]) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(view, path, **query)
    assert error.value.code == 400 and json.loads(error.value.read())["error"]


def test_series_of_a_place_and_their_interval() -> None:
    ds = maps()
    product = catalogue([("maps", ds)]).products["sm_5cm"]
    out = places.series(product, -99.6, 37.4)
    one = ds.sel(lat=37.5, lon=-99.5)
    np.testing.assert_allclose(np.array(out["values"], "f8"), one["sm_5cm"], atol=1e-5)
    half = NORMAL_95 * one["sm_5cm_std"].where(one["sm_5cm"].notnull())
    np.testing.assert_allclose(np.array(out["high"], "f8"), one["sm_5cm"] + half, atol=2e-5)
    np.testing.assert_allclose(np.array(out["low"], "f8"), one["sm_5cm"] - half, atol=2e-5)
    assert places.series(product, 10.0, 50.0) == {}


def test_what_is_usual_is_the_climatology() -> None:
    ds = maps("2018-01-01", 3 * 365)
    product = catalogue([("maps", ds)]).products["sm_5cm"]
    out = places.usual(product, -99.5, 37.5)
    climate = xsm.climatology(ds[["sm_5cm"]], std=True).sel(lat=37.5, lon=-99.5)
    number = product.days[100:101].astype("M8[D]")
    day = int((number - number.astype("M8[Y]")).astype(int)[0]) + 2  # 11 April, after a 29 February of every year
    assert out["mean"][100] == pytest.approx(float(climate["sm_5cm_climatology"].sel(day_of_year=day)), abs=1e-5)
    width = float(climate["sm_5cm_climatology_std"].sel(day_of_year=day))
    assert out["high"][100] - out["low"][100] == pytest.approx(2 * width, abs=3e-5)
    assert places.usual(catalogue([("maps", maps())]).products["sm_5cm"], -99.5, 37.5) == {}


def test_stations_near_have_the_scores_of_validate(cube: xr.Dataset, stations: xr.Dataset, view: View) -> None:
    lon, lat = float(stations["lon"][0]), float(stations["lat"][0])
    rows = json.loads(ask(view, "stations", lon=lon, lat=lat).read())
    assert rows[0]["station"] == str(stations["station"].values[0]) and rows[0]["km"] == 0
    assert [r["km"] for r in rows] == sorted(r["km"] for r in rows) and rows[-1]["km"] <= 25
    near = stations.isel(sensor=np.flatnonzero((stations["lon"] == lon) & (stations["lat"] == lat)))
    table = cube.sm.validate(near, variables=["sm_noah_0_10", "sm_noah_10_40"])
    for score in rows[0]["scores"]:
        if score["product"].startswith("sm_noah"):
            assert score["n"] > 0
    scored = {s["product"] for s in rows[0]["scores"]}
    assert {"sm_noah_0_10", "sm_noah_10_40"} <= scored == scored & set(cube.data_vars)
    deep = next(s for s in rows[0]["scores"] if s["product"] == "sm_noah_10_40")
    assert deep["r"] == pytest.approx(float(table["r"].sel(product="sm_noah_10_40")[0]), abs=1e-3)
    assert set(rows[0]["series"]) == {"surface", "subsurface"}
    assert json.loads(ask(view, "stations", lon=0, lat=0).read()) == []


def test_maps_of_several_files_and_grids_stand_side_by_side(cube: xr.Dataset) -> None:
    table = catalogue([("a", cube), ("b", maps("2021-04-01", 60)), ("c", maps("2021-04-01", 60))])
    assert len(table.grids) == 2
    assert {"sm_5cm", "sm_5cm (c)", "sm_noah_0_10"} <= set(table.products)
    assert table.products["sm_5cm (c)"].grid == table.products["sm_5cm"].grid != table.products["sm_noah_0_10"].grid
    assert next(iter(table.products)) == "sm_noah_0_10"


def test_what_is_no_map_stops(stations: xr.Dataset) -> None:
    with pytest.raises(DataError, match="no map"):
        catalogue([("stations", stations)])
    with pytest.raises(DataError, match="time"):
        catalogue([("maps", maps().isel(time=0, drop=True))])
    with pytest.raises(UsageError, match="twice"):
        catalogue([("stations", stations), ("maps", maps())], stations)
    projected = maps().rename(lat="y", lon="x").assign_coords(x=np.arange(10) * 500.0, y=np.arange(7) * 500.0)
    with pytest.raises(DataError, match="EASE-Grid"):
        catalogue([("maps", projected)])


def stored(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!data:|#)', text) == []
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_a_saved_page_has_the_maps_of_its_window(tmp_path: Path, cube: xr.Dataset, stations: xr.Dataset) -> None:
    view = View({"<script>alert(1)</script>": maps("2021-04-01", 40)}, stations)
    path = view.save(tmp_path / "page.html", region=(-101, 35, -97, 38), time="2021-04-05/2021-04-09")
    with pytest.raises(UsageError, match="exists"):
        view.save(path)
    view.close()
    data = stored(path)
    about, ds = data["about"], maps("2021-04-01", 40)
    assert about["title"] == "<script>alert(1)</script>" and "<script>alert" not in path.read_text()
    (product,) = about["products"]
    packed = data["maps"]["sm_5cm\nvalue"]
    numbers = np.frombuffer(gzip.decompress(base64.b64decode(packed["numbers"])), "<u2").reshape(5, 3, 4)
    values = np.where(numbers == MISSING, np.nan, packed["offset"][0] + packed["scale"][0] * numbers)
    expected = ds["sm_5cm"].isel(time=slice(4, 9)).sel(lat=slice(38, 35), lon=slice(-101, -97))
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert len(product["days"]) == 5 and len(about["grids"][0]["lat"]) == 3
    assert all(-101 <= s["lon"] <= -97 for s in about["stations"])


def test_a_page_that_would_be_huge_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xsm.explorer import saved

    monkeypatch.setattr(saved, "MOST_BYTES", 1000)
    view = maps().sm.view()
    with pytest.raises(UsageError, match="at most"):
        view.save(tmp_path / "page.html")
    view.close()
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_stops(view: View, cube: xr.Dataset) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        cube.sm.view(port=int(view.url.split(":")[2].split("/")[0]))


def test_a_notebook_shows_the_page(view: View) -> None:
    assert f'<iframe src="{view.url}"' in view._repr_html_()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explorer") / "maps.zarr"
    files.write(maps().chunk(), path)
    return path


def test_the_command_serves_until_it_is_interrupted(store: Path) -> None:
    command = [sys.executable, "-m", "xsm", "view", str(store), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        about = json.loads(urllib.request.urlopen(f"{url}about", timeout=60).read())
        assert about["title"] == "maps" and [p["key"] for p in about["products"]] == ["sm_5cm"]
        process.send_signal(2)
        assert process.wait(60) == 0


def test_the_command_saves_a_page(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from xsm.faces.cli import main

    out = tmp_path / "page.html"
    with pytest.raises(SystemExit) as stop:
        main(["view", str(store), "--save", str(out), "--time", "2021-01-03/2021-01-04"])
    assert stop.value.code == 0 and capsys.readouterr().out.strip() == str(out)
    assert len(stored(out)["about"]["products"][0]["days"]) == 2


def test_a_catalogue_reads_nothing(store: Path) -> None:
    ds = files.read(store)
    table: Catalogue = catalogue([("maps", ds)])
    table.describe()
    assert ds["sm_5cm"].chunks is not None
