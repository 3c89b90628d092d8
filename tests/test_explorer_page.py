"""The explorer's page in a real Chromium: what people click, read and hear, on a wide and a narrow screen."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.explorer.view import View

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def data() -> tuple[xr.Dataset, xr.Dataset]:
    """Six years of estimates at two depths with their spread, a land model, and stations."""
    cube, stations = (xsm.example(n, size=16, days=90) for n in ("cube", "stations"))
    rng = np.random.default_rng(1)
    time = np.arange("2016-01-01", "2021-07-01", dtype="M8[D]").astype("M8[ns]")
    season = 0.22 + 0.08 * np.cos(np.arange(len(time)) / 58)[:, None, None]
    attrs = {"units": "m3 m-3"}
    maps = xr.Dataset(coords={"time": time}).assign_coords({n: cube[n] for n in ("y", "x", "spatial_ref")})
    for name, wetter in (("sm_5cm_s2", 0.0), ("sm_25cm_s2", 0.05), ("sm_noah_0_10", 0.02), ("sm_noah_10_40", 0.06)):
        noise = 0.03 * rng.standard_normal((len(time), 16, 16))
        maps[name] = ("time", "y", "x"), (season + wetter + noise).astype("f4"), attrs
        if "cm" in name:
            maps[f"{name}_std"] = ("time", "y", "x"), np.full(noise.shape, 0.04, "f4"), attrs
    return maps, stations


@pytest.fixture(scope="module")
def view(data: tuple[xr.Dataset, xr.Dataset]) -> Iterator[View]:
    explorer = View({"estimates": data[0]}, data[1])
    yield explorer
    explorer.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=root)
        yield chromium
        chromium.close()


@contextlib.contextmanager
def opened(browser: Any, url: str, size: dict[str, int] = WIDE, **context: Any) -> Iterator[Any]:
    """A page that is ready; errors of its scripts and requests to anywhere else fail the test."""
    tab = browser.new_context(viewport=size, accept_downloads=True, **context)
    page = tab.new_page()
    page.set_default_timeout(40_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
    home = url.partition("#")[0]
    page.on("request", lambda r: None if r.url.startswith((home, "blob:", "data:")) else troubles.append(r.url))
    page.goto(url)
    page.wait_for_selector("html[data-ready]", state="attached")
    yield page
    tab.close()
    assert troubles == []


def shown(page: Any, product: str, mode: str, day: str) -> None:
    """Wait until a map is on the screen."""
    page.wait_for_selector(f"#map[data-shown='{product} {mode} {day}']")


def go(page: Any, stations: xr.Dataset) -> None:
    """Choose the place of the first station, and wait for its scores."""
    page.fill("#position", f"{float(stations['lat'][0])}, {float(stations['lon'][0])}")
    page.click("#goto button")
    page.wait_for_selector("#stations tr:nth-child(5)")
    page.wait_for_selector("path.usual", state="attached")


def colours(page: Any) -> int:
    """Number of different colours on the map."""
    return page.evaluate(
        "() => { const c = document.getElementById('map'), p = new Uint32Array(c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data.buffer); return new Set(p).size; }"
    )


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_first_view(browser: Any, view: View, size: dict[str, int]) -> None:
    with opened(browser, view.url, size) as page:
        shown(page, "sm_5cm_s2", "value", "2021-06-30")
        assert page.inner_text("h1") == "Soil moisture: estimates"
        assert colours(page) > 30
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert "30 June 2021, mean 0." in page.get_attribute("#map", "aria-label")
        box = page.locator("#map").bounding_box()
        assert box["width"] > 0.55 * size["width"] and box["height"] > 200


def test_days_change_by_every_control(browser: Any, view: View) -> None:
    with opened(browser, view.url) as page:
        page.click("#before")
        shown(page, "sm_5cm_s2", "value", "2021-06-29")
        page.focus("#slider")
        page.keyboard.press("ArrowLeft")
        shown(page, "sm_5cm_s2", "value", "2021-06-28")
        assert page.get_attribute("#slider", "aria-valuetext") == "28 June 2021"
        page.keyboard.press("Home")
        shown(page, "sm_5cm_s2", "value", "2016-01-01")
        page.fill("#date", "2019-02-03")
        shown(page, "sm_5cm_s2", "value", "2019-02-03")
        page.click("#play")
        shown(page, "sm_5cm_s2", "value", "2019-02-06")
        page.get_by_role("button", name="Stop").click()
        assert page.get_attribute("#play", "aria-pressed") == "false"


def test_products_depths_and_modes(browser: Any, view: View) -> None:
    with opened(browser, f"{view.url}#d=2019-06-01") as page:
        page.get_by_text("Subsurface", exact=True).first.click()
        shown(page, "sm_25cm_s2", "value", "2019-06-01")
        for mode in ("spread", "difference", "percentile", "drought"):
            page.select_option("#mode", mode)
            shown(page, "sm_25cm_s2", mode, "2019-06-01")
            if mode == "drought":
                assert page.locator("#ticks span").all_inner_texts() == ["D4", "D3", "D2", "D1", "D0", "none"]
            if mode == "difference":
                assert page.inner_text("#bar-name") == "25 cm, scenario 2 minus Noah 10-40 cm (m³ m⁻³)"
        page.select_option("#product", "sm_noah_10_40")
        shown(page, "sm_noah_10_40", "drought", "2019-06-01")
        assert page.locator("#mode option[value=spread]").is_disabled()


def test_values_under_the_pointer(browser: Any, view: View, data: tuple[xr.Dataset, xr.Dataset]) -> None:
    with opened(browser, view.url) as page:
        box = page.locator("#map").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2 + 5, box["y"] + box["height"] / 2 + 5)
        text = page.inner_text("#readout")
    lat, lon, value = map(float, re.match(r"([\d.]+)° N, ([\d.]+)° W: ([\d.]+) m³ m⁻³", text).groups())
    grid = xsm.grid_of(data[0])
    row, col = np.abs(grid.lat - lat).argmin(), np.abs(grid.lon + lon).argmin()
    assert value == pytest.approx(float(data[0]["sm_5cm_s2"][-1, row, col]), abs=6e-4)


def test_a_place_shows_series_stations_and_what_is_usual(
    browser: Any, view: View, data: tuple[xr.Dataset, xr.Dataset]
) -> None:
    maps, stations = data
    with opened(browser, view.url) as page:
        go(page, stations)
        assert page.locator("figure.chart").count() == 2
        assert page.locator("path.series").count() == 4 and page.locator("path.band").count() == 2
        assert page.locator("path.station").count() >= 2
        rows = page.locator("#values tr").all_inner_texts()
        cell = maps.sel(
            {d: maps[d][np.abs(maps[d] - v).argmin()] for d, v in zip("xy", _ease(stations), strict=True)}
        ).isel(time=-1)
        value = float(cell["sm_5cm_s2"])
        assert f"{value:.3f}" in rows[0] and f"{value - 1.96 * 0.04:.3f} to {value + 1.96 * 0.04:.3f}" in rows[0]
        head = page.locator("#stations th").first.inner_text()
        assert head.startswith(str(stations["station"].values[0])) and head.endswith("0 km away")
        label = page.locator("figure.chart svg").first.get_attribute("aria-label")
        assert label.startswith("Surface") and "5 cm, scenario 2" in label and "Noah 0-10 cm" in label
        page.locator("#values input").first.uncheck()
        assert page.locator("path.series").count() == 3


def _ease(stations: xr.Dataset) -> tuple[float, float]:
    from xsm.data.areas import DEGREES, EASE, transformer

    return transformer(DEGREES, EASE).transform(float(stations["lon"][0]), float(stations["lat"][0]))


def test_a_chart_chooses_days_and_zooms(browser: Any, view: View, data: tuple[xr.Dataset, xr.Dataset]) -> None:
    with opened(browser, view.url) as page:
        go(page, data[1])
        box = page.locator("figure.chart svg").first.bounding_box()
        y = box["y"] + 90
        page.mouse.click(box["x"] + box["width"] / 2, y)
        page.wait_for_timeout(300)
        assert page.get_attribute("#map", "data-shown").split()[-1][:4] in ("2018", "2019")
        page.mouse.move(box["x"] + 100, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 200, y, steps=4)
        page.mouse.up()
        assert "s=" in page.evaluate("location.hash")
        page.mouse.dblclick(box["x"] + 150, y)
        assert "s=" not in page.evaluate("location.hash")


def test_the_address_keeps_everything(browser: Any, view: View, data: tuple[xr.Dataset, xr.Dataset]) -> None:
    with opened(browser, view.url) as page:
        go(page, data[1])
        page.select_option("#product", "sm_noah_10_40")
        page.select_option("#mode", "difference")
        page.fill("#date", "2018-05-06")
        shown(page, "sm_noah_10_40", "difference", "2018-05-06")
        page.fill("#low", "-0.2")
        page.press("#low", "Enter")
        page.click("#in")
        page.wait_for_timeout(400)
        address = page.url
    entries = parse_qs(address.split("#")[1])
    assert {"p", "d", "m", "o", "v", "at", "r"} <= set(entries)
    with opened(browser, address) as page:
        shown(page, "sm_noah_10_40", "difference", "2018-05-06")
        page.wait_for_selector("#values tr")
        assert page.input_value("#low").startswith("-0.2")
        assert page.evaluate("location.hash") == f"#{address.split('#')[1]}"


def test_the_map_by_keyboard(browser: Any, view: View) -> None:
    with opened(browser, view.url) as page:
        page.focus("#map")
        for key in ("+", "+", "ArrowRight", "ArrowUp"):
            page.keyboard.press(key)
        page.wait_for_timeout(400)
        assert "v=" in page.evaluate("location.hash")
        page.keyboard.press("Enter")
        page.wait_for_selector("path.series", state="attached")
        page.keyboard.press("0")
        page.wait_for_timeout(400)
        assert "v=" not in page.evaluate("location.hash")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.ariaLabel") == "Zoom in"


def test_everything_has_a_name_for_screen_readers(
    browser: Any, view: View, data: tuple[xr.Dataset, xr.Dataset]
) -> None:
    with opened(browser, view.url, NARROW) as page:
        go(page, data[1])
        unnamed = page.evaluate(
            "() => [...document.querySelectorAll('button, select, input, canvas[tabindex], svg, [role=region]')]"
            ".filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim() || e.ariaLabelledByElements?.length"
            " || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)"
        )
        assert unnamed == []
        assert page.locator("h1").count() == 1 and page.locator("main").count() == 1
        small = page.evaluate(
            "() => [...document.querySelectorAll('button, select')].filter(e => e.offsetHeight && e.offsetHeight < 24)"
            ".map(e => e.id)"
        )
        assert small == []


def test_what_is_no_place_and_what_lies_outside(browser: Any, view: View) -> None:
    with opened(browser, view.url) as page:
        page.fill("#position", "here")
        page.click("#goto button")
        page.get_by_text("is no place").wait_for()
        page.fill("#position", "10, 20")
        page.click("#goto button")
        page.get_by_text("No map covers this place").wait_for()


def test_files_to_take_away(browser: Any, view: View, data: tuple[xr.Dataset, xr.Dataset], tmp_path: Path) -> None:
    maps, stations = data
    with opened(browser, f"{view.url}#d=2020-03-04") as page:
        go(page, stations)
        with page.expect_download() as download:
            page.click("#png")
        download.value.save_as(tmp_path / "map.png")
        with page.expect_download() as download:
            page.click("#csv")
        download.value.save_as(tmp_path / "series.csv")
        page.click("#page")
        with page.expect_download() as download:
            page.click("#dialog .main")
        download.value.save_as(tmp_path / "page.html")
    assert (tmp_path / "map.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with (tmp_path / "series.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == maps.sizes["time"] and {"date", "sm_5cm_s2", "sm_5cm_s2 low95", "sm_noah_10_40"} <= set(rows[0])
    with opened(browser, f"file://{tmp_path / 'page.html'}", offline=True) as page:
        shown(page, "sm_5cm_s2", "value", "2020-03-04")
        assert colours(page) > 30
        page.wait_for_selector("path.series", state="attached")
        day = next(r for r in rows if r["date"] == "2020-03-04")
        row = page.locator("#values tr").first.inner_text()
        assert f"{float(day['sm_5cm_s2']):.3f}" in row and f"{float(day['sm_5cm_s2 low95']):.3f}" in row
        assert page.locator("#stations tr").count() > 1
        page.click("#after")
        shown(page, "sm_5cm_s2", "value", "2020-03-05")
        page.select_option("#mode", "spread")
        shown(page, "sm_5cm_s2", "spread", "2020-03-05")


def test_an_end_of_the_server_is_said(browser: Any, data: tuple[xr.Dataset, xr.Dataset]) -> None:
    explorer = View({"estimates": data[0]})
    page = browser.new_page(viewport=WIDE)
    page.goto(explorer.url)
    page.wait_for_selector("html[data-ready]", state="attached")
    explorer.close()
    page.fill("#date", "2017-01-01")
    page.get_by_text("start xsm view again").wait_for()
    page.close()
