"""The page: its content, what is absent and why, how it looks in a browser."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.report_page import SECTIONS, TRAINED, Tables, absent, sections
from xsm import DataError, UsageError
from xsm.ops.report import report
from xsm.ops.validate import validate


def test_the_file_contains_everything_and_loads_nothing(full: Path) -> None:
    text = full.read_text(encoding="utf-8")
    page = Tables(text)
    assert sections(text) == SECTIONS
    assert absent(text) == [
        "rows for a long outage of the satellite; the scored days contain none, or too few for a station.",
        "weights; the maps are not fused, or were kept without their weights.",
    ]
    assert not {"script", "link", "iframe", "object"} & page.tags
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:image/png;base64,|#|figures/)""", text)
    assert "url(" not in text and "@import" not in text
    assert all(image["alt"] for image in page.images)
    folder = full.parent / "figures"
    beside = sorted(p.read_bytes() for p in folder.glob("*.png"))
    for svg in folder.glob("*.svg"):
        assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert {p.stem for p in folder.glob("*.svg")} == {p.stem for p in folder.glob("*.png")}
    wanted = {"texture", "boxes_texture_group", "boxes_land_cover", "skill_maps", "scatter", "reliability", "series_1"}
    assert {f"report_{name}" for name in wanted} <= {p.stem for p in folder.iterdir()}
    inside = sorted(base64.b64decode(str(i["src"]).partition(",")[2]) for i in page.images)
    assert inside == beside and len(inside) >= 15
    assert all(image.startswith(b"\x89PNG") for image in inside)
    assert sorted(p.name for p in full.parent.iterdir()) == ["figures", "report.html"]
    for part in ("Synthetic data.", "EASE2_M09, 24 by 24 cells", "2021-04-01", "hash-of-sm_25cm_s2", TRAINED):
        assert part in text


def test_text_from_outside_is_escaped(full: Path) -> None:
    text = full.read_text(encoding="utf-8")
    assert "<h1>Demo &lt;script&gt;alert(1)&lt;/script&gt;</h1>" in text
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in text
    assert "<b>bold" not in text


def test_chosen_stations_are_shown(
    tmp_path: Path, cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset
) -> None:
    name = str(validate(cube, stations, variables=("sm_noah_0_10",), min_days=30)["station"].values[-1])
    small = estimates[["sm_5cm_s2", "sm_5cm_s2_std", "frozen"]]
    text = report(small, tmp_path / "a.html", cube=cube, stations=stations, sites=(name,)).read_text(encoding="utf-8")
    assert re.findall('Soil moisture series at ([^"]+?)(?:, [A-Z]+)?"', text) == [name]
    with pytest.raises(UsageError, match="Unknown station"):
        report(small, tmp_path / "b.html", cube=cube, stations=stations, sites=("nowhere",))


def test_without_stations_cells_are_shown_with_the_reasons(
    tmp_path: Path, estimates: xr.Dataset, cube: xr.Dataset
) -> None:
    text = report(estimates, tmp_path / "report.html", cube=cube).read_text(encoding="utf-8")
    assert sections(text) == SECTIONS
    assert len(re.findall("Soil moisture series at Cell at", text)) == 3
    reasons = absent(text)
    assert sum("no stations were given" in t for t in reasons) == len(reasons) - 1 == 3


def test_gap_filled_maps_alone(tmp_path: Path, cube: xr.Dataset) -> None:
    filled = xr.Dataset({"soil_moisture": cube["sm_dca"].assign_attrs(fill_method="cru smoother (model abc)")})
    filled["soil_moisture_std"] = xr.where(cube["sm_dca_observed"], 0.01, 0.03)
    filled["soil_moisture_obs_std"] = filled["soil_moisture_std"] * 2
    filled["soil_moisture_observed"] = cube["sm_dca_observed"]
    text = report(filled, tmp_path / "a.html").read_text(encoding="utf-8")
    assert sections(text) == SECTIONS
    reasons = " ".join(absent(text))
    assert "no soil maps" in reasons and "no stations were given" in reasons
    assert "cru smoother (model abc)" in text and "Synthetic" not in text
    assert (tmp_path / "figures" / "a_mean_soil_moisture.png").exists()
    assert (tmp_path / "figures" / "a_day_observed.png").exists()
    assert not list((tmp_path / "figures").glob("*obs_std*"))


def test_nothing_is_written_where_it_cannot_be(tmp_path: Path, cube: xr.Dataset, estimates: xr.Dataset) -> None:
    there = tmp_path / "there.html"
    there.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        report(estimates, there)
    with pytest.raises(DataError, match="no estimate and no gap-filled"):
        report(cube[["precipitation"]], tmp_path / "new.html")
    late = cube.assign_coords(time=cube["time"] + np.timedelta64(2000, "D"))
    with pytest.raises(DataError, match="no day of the maps"):
        report(estimates, tmp_path / "new.html", cube=late)
    assert there.read_text() == "mine" and list(tmp_path.iterdir()) == [there]


def test_stations_elsewhere_are_reported(tmp_path: Path, estimates: xr.Dataset, stations: xr.Dataset) -> None:
    away = stations.assign_coords(lon=stations["lon"] + 40)
    small = estimates[["sm_5cm_s2", "sm_5cm_s2_std", "frozen"]]
    text = report(small, tmp_path / "a.html", stations=away).read_text(encoding="utf-8")
    assert any("no station lies in the maps" in t for t in absent(text))
    assert "Soil moisture series at Cell at" in text


def test_cells_without_a_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0.1, 0.4, (60, 5)).astype("f4")
    ds = xr.Dataset({"soil_moisture": (("time", "cell"), values, {"units": "m3 m-3"})})
    ds["soil_moisture_std"] = ds["soil_moisture"] * 0 + 0.02
    ds["soil_moisture_observed"] = ("time", "cell"), rng.random((60, 5)) < 0.5
    ds = ds.assign_coords(time=pd.date_range("2020-01-01", periods=60))
    text = report(ds, tmp_path / "a.html").read_text(encoding="utf-8")
    assert any("the data are not maps (dims cell)" in t for t in absent(text))
    assert "series at Cell at cell" in text


WATCH = """<script>parent.postMessage([document.documentElement.scrollWidth, innerWidth, document.images.length,
[...document.images].filter(i => i.complete && i.naturalWidth > 0).length,
[...document.querySelectorAll(".scroll table")].filter(t => t.scrollWidth > t.parentNode.clientWidth).length
].join(" "), "*")</script>"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_report_without_complaint(full: Path, tmp_path: Path, width: int) -> None:
    """Headless Chromium: nothing on the console, every image drawn, no table or other part too wide."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    text = full.read_text(encoding="utf-8")
    (tmp_path / "inner.html").write_text(text.replace("</body>", WATCH + "</body>"), encoding="utf-8")
    frame = f'<iframe src="inner.html" width="{width}" height="800" style="border:0"></iframe>'
    listen = "<script>onmessage = e => { document.title = 'sizes ' + e.data; console.log('heard') }</script>"
    (tmp_path / "outer.html").write_text(f"<!DOCTYPE html><html><body>{listen}{frame}</body></html>")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=8000",
         "--window-size=1400,900", "--dump-dom", (tmp_path / "outer.html").as_uri()],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    title = re.search(r"<title>sizes (\d+) (\d+) (\d+) (\d+) (\d+)</title>", done.stdout)
    assert title, done.stdout[-500:] + done.stderr[-500:]
    wide, window, images, drawn, cut = map(int, title.groups())
    assert window == width and wide <= window
    assert images == drawn >= 15 and cut == 0
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert len(console) == 1 and "heard" in console[0], console  # shows that console lines arrive
