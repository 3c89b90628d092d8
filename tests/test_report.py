from __future__ import annotations

import base64
import html
import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xsm
from xsm import DataError, UsageError
from xsm.grids import EASE2_M09, grid_of
from xsm.ops.report import report
from xsm.ops.validate import layer_of, validate
from xsm.reporting import charts, gather, maps, pooled, skill, tables

DAYS = 100
TRAINED = "2021-04-01 to 2021-05-10"
AFTER = slice("2021-05-11", None)
SECTIONS = ["summary", "maps", "soil", "gaps", "series", "scores", "uncertainty", "provenance"]


class Tables(HTMLParser):
    """Rows of all tables of a page as text, images as attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = True
        elif tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[-1][-1][-1] += data

    def rows(self, *starts: str) -> list[list[str]]:
        return [row for table in self.tables for row in table if tuple(row[: len(starts)]) == starts]


@pytest.fixture(scope="module", autouse=True)
def _coarse_images() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "DPI", 40)
        patch.setattr(charts, "DPI", 40)
        patch.setattr(skill, "DPI", 40)
        yield


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    cube = xsm.example("cube", size=24, days=DAYS).drop_vars("obs_time")  # else filled days drop out for want of a time
    cube["sm_dca"][:, :3, :3] = np.nan  # never observed
    cube["frozen"][70:74] = True
    cube["sm_dca_observed"] = np.isfinite(cube["sm_dca"])
    filled = cube["sm_dca"].interpolate_na("time")  # what a gap filling leaves: no longer what was observed
    cube["sm_dca"] = filled.assign_attrs(cube["sm_dca"].attrs)
    return cube


@pytest.fixture(scope="module")
def stations() -> xr.Dataset:
    stations = xsm.example("stations", size=24, days=DAYS)
    good = stations["flag"] == 0
    return stations.assign(soil_moisture=stations["soil_moisture"].where(good).assign_attrs(units="m3 m-3"))


@pytest.fixture(scope="module")
def estimates(cube: xr.Dataset) -> xr.Dataset:
    truth = xsm.example("truth", size=24, days=DAYS)
    rng = np.random.default_rng(0)
    told = {"model_training": TRAINED, "note": "<b>bold</b> & more"}
    out = xr.Dataset(attrs={"synthetic": cube.attrs["synthetic"], **told})
    for name, noise in (("sm_5cm_s1", 0.05), ("sm_5cm_s2", 0.04), ("sm_25cm_s1", 0.04), ("sm_25cm_s2", 0.03)):
        values = truth[name[:-3]] + rng.normal(0, noise, truth["sm_5cm"].shape)
        values[:2] = np.nan  # the look-back
        out[name] = values.clip(0.02, 0.6).astype("f4").assign_attrs(units="m3 m-3", model_hash=f"hash-of-{name}")
        out[f"{name}_std"] = xr.full_like(out[name], noise).where(np.isfinite(out[name]))
    return grid_of(cube).assign(out.assign(frozen=cube["frozen"]))  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def full(
    tmp_path_factory: pytest.TempPathFactory, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> Path:
    lazy = {"time": 40, "y": 12, "x": 12}
    folder = tmp_path_factory.mktemp("full")
    return report(
        estimates.chunk(lazy), folder / "new" / "report.html", cube=cube.chunk(lazy), stations=stations,
        title="Demo <script>alert(1)</script>",
    )  # fmt: skip


def sections(text: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', text)


def absent(text: str) -> list[str]:
    return re.findall(r'<p class="absent">Not here: (.*?)</p>', text)


def test_the_file_holds_everything_and_loads_nothing(full: Path) -> None:
    text = full.read_text(encoding="utf-8")
    page = Tables(text)
    assert sections(text) == SECTIONS
    assert absent(text) == ["rows for a long outage of SMAP; the scored days hold none, or too few for a station."]
    assert not {"script", "link", "iframe", "object"} & page.tags
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:image/png;base64,|#)""", text)
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
    for told in ("Synthetic data.", "EASE2_M09, 24 by 24 cells", "2021-04-01", "hash-of-sm_25cm_s2", TRAINED):
        assert told in text


def test_text_from_outside_is_escaped(full: Path) -> None:
    text = full.read_text(encoding="utf-8")
    assert "<h1>Demo &lt;script&gt;alert(1)&lt;/script&gt;</h1>" in text
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in text
    assert "<b>bold" not in text


def shown(values: list[float], forms: tuple[str, ...] = (".2f", ".3f", "+.3f", ".3f")) -> list[str]:
    return [format(v, f).replace("-", "\u2212") for v, f in zip(values, forms, strict=True)]


def test_scores_are_those_of_validate_after_the_training_days(
    full: Path, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    ds = estimates.assign({n: cube[n] for n in ("sm_noah_0_10", "sm_noah_10_40")})
    table = validate(ds, stations, time=slice(*map(np.datetime64, ("2021-05-11", "2021-07-09"))), min_days=20)
    assert table.sizes["station"] >= 6
    names = {
        "sm_5cm_s1": ("5 cm", "5 cm", "Scenario 1"),
        "sm_25cm_s2": ("25 cm", "20 cm", "Scenario 2"),
        "sm_noah_0_10": ("5 cm", "5 cm", "Noah 0-10 cm"),
        "sm_noah_10_40": ("25 cm", "20 cm", "Noah 10-40 cm"),
    }
    for name, starts in names.items():
        (row,) = page.rows(*starts)
        one = table.sel(product=name)
        assert row[3:7] == shown([float(one[f"{s}_mean"]) for s in ("r", "rmse", "bias", "ubrmse")])
        assert row[7:9] == shown([float(one["r_median"]), float(one["ubrmse_median"])], (".2f", ".3f"))
        assert row[9] == str(int(one["count"]))


def test_the_teachers_are_scored_on_observed_days_by_land_cover(
    full: Path, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    observed = cube.assign(sm_dca=cube["sm_dca"].where(cube["sm_dca_observed"]))
    names = ("sm_dca", "sm_noah_0_10")
    table = validate(observed, stations, variables=names, by=("land_cover",), min_days=33)
    assert int(table["n"].max()) < 80  # of 100 days: filled days do not count
    for name, told in zip(names, ("SMAP DCA", "Noah 0-10 cm"), strict=True):
        row = next(r for r in page.rows("All") if r[2] == told)
        assert row[3:7] == shown([float(table[f"{s}_mean"].sel(product=name)) for s in ("r", "rmse", "bias", "ubrmse")])
        for cover, network in {*zip(table["land_cover"].values, table["network"].values, strict=True)}:
            inside = (table["land_cover"] == cover) & (table["network"] == network)
            (row,) = page.rows(str(cover).capitalize(), str(network), told)
            means = [float(table[s].sel(product=name)[inside].mean()) for s in ("r", "rmse", "bias", "ubrmse")]
            assert row[3:7] == shown(means)
            assert row[7] == str(int(inside.sum()))


def test_the_share_inside_the_interval_is_counted(full: Path, estimates: xr.Dataset, stations: xr.Dataset) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    grid = grid_of(estimates)
    assert grid is not None
    inside, count = 0, 0
    for i in np.flatnonzero(stations["depth"].values == 5):
        one = stations.isel(sensor=i)
        hours = one["soil_moisture"].where(one["soil_temperature"] > 273.15).to_series()
        means = hours.resample("1D").mean().where(hours.resample("1D").count() >= 20)
        row, col = grid.rowcol(float(one["lon"]), float(one["lat"]))
        cell = estimates.isel(y=int(row) - grid.row0, x=int(col) - grid.col0)
        frame = pd.DataFrame({"e": cell["sm_5cm_s2"], "s": cell["sm_5cm_s2_std"], "cold": cell["frozen"]}, means.index)
        frame = frame.assign(y=means).dropna().loc[AFTER.start :].query("~cold")
        if len(frame) >= 20:
            inside += int(((frame["e"] - frame["y"]).abs() <= 1.96 * frame["s"]).sum())
            count += len(frame)
    (row,) = page.rows("5 cm, scenario 2", f"{inside / count * 100:.0f}")
    assert row[-1] == str(count)


def test_rows_by_kind_of_day_are_those_of_validate(
    full: Path, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    noah = {n: cube[n] for n in ("sm_noah_0_10", "sm_noah_10_40")}
    names = ("sm_5cm_s1", "sm_5cm_s2", "sm_25cm_s1", "sm_25cm_s2")
    for kind, mark in (("observed", cube["sm_dca_observed"]), ("not observed", ~cube["sm_dca_observed"])):
        ds = estimates.assign(noah | {n: estimates[n].where(mark) for n in names})
        table = validate(ds, stations, time=slice(*map(np.datetime64, ("2021-05-11", "2021-07-09"))), min_days=10)
        for name, starts in (("sm_5cm_s2", ("5 cm", "Scenario 2")), ("sm_noah_10_40", ("25 cm", "Noah 10-40 cm"))):
            (row,) = page.rows(kind, *starts)
            one = table.sel(product=name)
            assert row[3:7] == shown([float(one[f"{s}_mean"]) for s in ("r", "rmse", "bias", "ubrmse")])
            assert row[7] == str(int(one["count"]))


def test_the_outage_of_2022_has_its_rows(cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset) -> None:
    shift = np.datetime64("2022-07-01") - np.datetime64("2021-04-01")
    late = [ds.assign_coords(time=ds["time"] + shift) for ds in (estimates, cube, stations)]
    late[0].attrs.pop("model_training")
    scene = gather.scene(late[0], late[1])
    found = tables.skill_by_days(scene, late[2])
    assert list(found) == ["observed", "not observed", "outage 2022-08-06 to 2022-09-20"]
    table = found["outage 2022-08-06 to 2022-09-20"]
    cut = validate(
        scene.ds, late[2], variables=tables.rivals(scene), min_days=15,
        time=slice(np.datetime64("2022-08-06"), np.datetime64("2022-09-20")),
    )  # fmt: skip
    assert int(table["n"].max()) <= 46
    xr.testing.assert_allclose(table["rmse"], cut["rmse"])


def test_level_4_is_a_row_where_the_cube_has_it(cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset) -> None:
    rng = np.random.default_rng(1)
    more = cube.assign(sm_surface=cube["sm_noah_0_10"] + rng.normal(0, 0.02, cube["sm_noah_0_10"].shape).astype("f4"))
    scene = gather.scene(estimates, more)
    table = tables.skill(scene, stations)
    rows = tables.skill_table(table, "").rows
    (row,) = [r for r in rows if r[2] == "SMAP L4 0-5 cm"]
    assert row[0] == "5 cm" and row[3] == pytest.approx(float(table["r_mean"].sel(product="sm_surface")))


def test_gap_filling_is_told_by_the_length_of_the_gap(
    full: Path, cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset
) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    x, y, length = [], [], []
    grid = grid_of(estimates)
    assert grid is not None
    scene = gather.scene(estimates, cube)
    series = gather.station_series(scene, stations)
    for i in range(series.sizes["site"]):
        row, col = grid.rowcol(float(series["lon"][i]), float(series["lat"][i]))
        at = {"y": int(row) - grid.row0, "x": int(col) - grid.col0}
        seen = cube["sm_dca_observed"].isel(at).values
        if not seen.any():
            continue
        runs = [len(list(run)) * [0 if mark else -1] for mark, run in itertools.groupby(seen)]
        lengths = [0 if v == 0 else len(run) for run in runs for v in run]
        a, b = cube["sm_dca"].isel(at).values.astype("f8"), series["in_situ_surface"].values[i].astype("f8")
        use = np.isfinite(a) & np.isfinite(b) & ~cube["frozen"].isel(at).values
        if use.any():
            x.append(np.where(use, a, np.nan))
            y.append(np.where(use, b, np.nan))
            length.append(np.array(lengths))
    a, b, n = np.array(x), np.array(y), np.array(length)
    about = [v - np.nanmean(v, 1, keepdims=True) for v in (a, b)]
    compared = 0
    for told, low, high in (("observed", 0, 0), ("1", 1, 1), ("2", 2, 2), ("3", 3, 3)):
        here = np.isfinite(a) & (n >= low) & (n <= high)
        if here.sum() < 10:
            continue
        compared += 1
        row = next(r for r in page.rows(told) if len(r) == 7)
        r = np.corrcoef(about[0][here], about[1][here])[0, 1]
        rmse, ub = (np.sqrt(np.mean((p[here] - q[here]) ** 2)) for p, q in ((a, b), about))
        assert row[1:4] == [f"{r:.2f}", f"{rmse:.3f}", f"{ub:.3f}"] and row[6] == str(int(here.sum()))
    assert compared >= 3


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_every_day_knows_the_length_of_its_gap(seen: list[bool]) -> None:
    expected = [0 if mark else size for mark, run in itertools.groupby(seen) for size in [len(list(run))] * 1
                for _ in range(size)]  # fmt: skip
    assert pooled.gap_lengths(np.array([seen]))[0].tolist() == expected


def test_the_pooled_scatter_holds_the_scored_days(
    cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset
) -> None:
    scene = gather.scene(estimates, cube)
    table, series = tables.skill(scene, stations), gather.station_series(scene, stations)
    found = pooled.pairs(scene, series, table)
    assert list(found) == ["sm_5cm_s2", "sm_25cm_s2"]
    for name, (x, y) in found.items():
        assert len(x) == len(y) == int(table["n"].sel(product=name).sum())


def test_chosen_stations_are_shown(
    tmp_path: Path, cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset
) -> None:
    name = str(validate(cube, stations, variables=("sm_noah_0_10",), min_days=30)["station"].values[-1])
    small = estimates[["sm_5cm_s2", "sm_5cm_s2_std", "frozen"]]
    text = report(small, tmp_path / "a.html", cube=cube, stations=stations, sites=(name,)).read_text(encoding="utf-8")
    assert re.findall('Soil moisture series at ([^"]+?)(?:, [A-Z]+)?"', text) == [name]
    with pytest.raises(UsageError, match="Unknown station"):
        report(small, tmp_path / "b.html", cube=cube, stations=stations, sites=("nowhere",))


def test_without_stations_cells_are_shown_and_reasons_told(
    tmp_path: Path, estimates: xr.Dataset, cube: xr.Dataset
) -> None:
    text = report(estimates, tmp_path / "report.html", cube=cube).read_text(encoding="utf-8")
    assert sections(text) == SECTIONS
    assert len(re.findall("Soil moisture series at Cell at", text)) == 3
    told = absent(text)
    assert len(told) == 3 and all("no stations were given" in t for t in told)


def test_gap_filled_maps_alone(tmp_path: Path, cube: xr.Dataset) -> None:
    filled = xr.Dataset({"soil_moisture": cube["sm_dca"].assign_attrs(fill_method="cru smoother (model abc)")})
    filled["soil_moisture_std"] = xr.where(cube["sm_dca_observed"], 0.01, 0.03)
    filled["soil_moisture_obs_std"] = filled["soil_moisture_std"] * 2
    filled["soil_moisture_observed"] = cube["sm_dca_observed"]
    text = report(filled, tmp_path / "a.html").read_text(encoding="utf-8")
    assert sections(text) == SECTIONS
    told = " ".join(absent(text))
    assert "no soil maps" in told and "no stations were given" in told
    assert "cru smoother (model abc)" in text and "Synthetic" not in text
    assert (tmp_path / "figures" / "a_mean_soil_moisture.png").exists()
    assert (tmp_path / "figures" / "a_day_observed.png").exists()
    assert not list((tmp_path / "figures").glob("*obs_std*"))


def test_gap_filled_maps_are_scored_on_observed_and_filled_days(
    tmp_path: Path, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    filled = cube[["sm_dca", "sm_dca_observed", "frozen"]].assign(sm_dca_std=xr.full_like(cube["sm_dca"], 0.04))
    with_land = filled.assign_coords(land_cover=cube["land_cover"])
    page = Tables(report(with_land, tmp_path / "a.html", stations=stations).read_text(encoding="utf-8"))
    rows = {row[2]: row for row in page.rows("5 cm", "5 cm")}
    assert set(rows) == {"SMAP DCA, all days", "SMAP DCA, observed days", "SMAP DCA, filled days"}
    renamed = filled.rename(sm_dca="all")
    renamed["all"].attrs["depth"] = 5
    table = validate(renamed, stations, variables=("all",), min_days=33)
    assert rows["SMAP DCA, all days"][3] == f"{float(table['r_mean'][0]):.2f}"
    days = [int(rows[f"SMAP DCA, {k} days"][10]) for k in ("all", "observed", "filled")]
    assert days[1] < days[0] and days[2] < days[0]


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


def test_stations_elsewhere_are_told(tmp_path: Path, estimates: xr.Dataset, stations: xr.Dataset) -> None:
    away = stations.assign_coords(lon=stations["lon"] + 40)
    small = estimates[["sm_5cm_s2", "sm_5cm_s2_std", "frozen"]]
    text = report(small, tmp_path / "a.html", stations=away).read_text(encoding="utf-8")
    assert any("no station lies in the maps" in t for t in absent(text))
    assert "Soil moisture series at Cell at" in text


def test_a_cube_of_a_larger_window_and_period_is_cut(cube: xr.Dataset, estimates: xr.Dataset) -> None:
    inner = estimates.isel(time=slice(10, 60), y=slice(4, 16), x=slice(3, 20))
    scene = gather.scene(inner, cube)
    expected = cube["sm_dca"].isel(time=slice(10, 60), y=slice(4, 16), x=slice(3, 20))
    np.testing.assert_array_equal(scene.ds["sm_dca"].values, expected.values)
    assert scene.watched == "sm_dca" and scene.best == "sm_5cm_s2"
    longer = gather.scene(estimates, cube.isel(time=slice(0, 50)))
    assert longer.ds["seen"].dtype == bool and not longer.ds["seen"][50:].any()


def test_cells_without_a_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0.1, 0.4, (60, 5)).astype("f4")
    ds = xr.Dataset({"soil_moisture": (("time", "cell"), values, {"units": "m3 m-3"})})
    ds["soil_moisture_std"] = ds["soil_moisture"] * 0 + 0.02
    ds["soil_moisture_observed"] = ("time", "cell"), rng.random((60, 5)) < 0.5
    ds = ds.assign_coords(time=pd.date_range("2020-01-01", periods=60))
    text = report(ds, tmp_path / "a.html").read_text(encoding="utf-8")
    assert any("the data are no maps (dims cell)" in t for t in absent(text))
    assert "series at Cell at cell" in text


@given(st.lists(st.booleans(), min_size=1, max_size=120))
def test_gaps_are_counted_by_length(seen: list[bool]) -> None:
    lengths = [len(run) for run in "".join("x" if s else "." for s in seen).split("x") if run]
    bins = [(1, 1), (2, 2), (3, 3), (4, 7), (8, 14), (15, 30), (31, 90), (91, 999)]
    gaps = [sum(low <= n <= high for n in lengths) for low, high in bins]
    days = [sum(n for n in lengths if low <= n <= high) for low, high in bins]
    both = np.array([seen, [True] * len(seen)])
    counts = gather.gap_counts(both)
    assert counts[0].tolist() == [gaps, days] and not counts[1].any()


def test_counts_are_the_same_under_every_chunking(cube: xr.Dataset, estimates: xr.Dataset) -> None:
    whole = gather.overview(gather.scene(estimates, cube))
    small = {"time": 17, "y": 10, "x": 24}
    parts = gather.overview(gather.scene(estimates.chunk(small), cube.chunk(small)))
    xr.testing.assert_allclose(whole, parts, rtol=1e-6)  # float32 means, summed in another order
    counts = ["gaps", "missing", "seen_days", "share"]
    xr.testing.assert_equal(whole[counts], parts[counts])
    seen = cube["sm_dca_observed"]
    assert int((whole["seen_days"] == 0).sum()) >= 9
    np.testing.assert_allclose(whole["share"], seen.sum(["y", "x"]) / seen.any("time").sum())
    assert int(whole["missing"].sum()) == int((~seen.where(seen.any("time"), True)).sum())
    day = gather.gap_day(whole)
    share = whole["share"].values
    assert day is not None and day >= 2 and share[day] == share[2:][share[2:] > gather.LEAST_SHARE].min()


def test_maps_have_north_up_and_true_aspect() -> None:
    lat, lon = np.array([40.0, 40.5, 41.0]), np.array([-100.0, -99.5])
    field = xr.DataArray(np.arange(6.0).reshape(3, 2), {"lat": lat, "lon": lon}, ("lat", "lon"))
    frame = maps.frame_of(field.to_dataset(name="a"))
    assert frame is not None and frame.extent == (-100.25, -99.25, 39.75, 41.25)
    assert frame.aspect == pytest.approx(1 / np.cos(np.radians(40.5)))
    image = maps.value_maps(frame, {"title": field}, bar="K")[0].axes[0].images[0]
    assert np.asarray(image.get_array()).tolist() == [[4, 5], [2, 3], [0, 1]]
    grid = EASE2_M09.window(300, 320, 800, 840)
    ease = maps.frame_of(grid.assign(xr.Dataset({"a": (("y", "x"), np.zeros(grid.shape))})))
    assert ease is not None and ease.tall == pytest.approx(0.5)
    x, y = ease.place(grid.lon[[3]], grid.lat[[7]])
    assert (x[0], y[0]) == pytest.approx((grid.x[3], grid.y[7]), abs=1e-3)
    for position, label in ease.x_ticks:
        wanted = float(label.strip("°WE")) * (-1 if label.endswith("W") else 1)
        # np.interp holds the outer half cells (0.047 degrees) at the border
        assert np.interp(position, grid.x, grid.lon) == pytest.approx(wanted, abs=0.05)


def test_maps_of_a_figure_share_a_scale_that_the_data_set() -> None:
    grid = EASE2_M09.window(300, 320, 800, 840)
    frame = maps.frame_of(grid.assign(xr.Dataset({"a": (("y", "x"), np.zeros(grid.shape))})))
    assert frame is not None
    rng = np.random.default_rng(0)
    one, two = (
        xr.DataArray(rng.uniform(*ends, grid.shape), dims=("y", "x")) for ends in ((0.061, 0.079), (0.05, 0.06))
    )
    two[0, 0] = 0.4  # an outlier does not set the scale
    figures = maps.value_maps(frame, {"one": one, "two": two}, "uncertainty")
    for figure in figures:
        image, bar = figure.axes[0].images[0], figure.axes[1]
        assert image.get_clim() == (0.05, 0.08) and bar.get_xlabel() == "Standard deviation (m³ m⁻³)"
    luminance = figures[0].axes[0].images[0].to_rgba(0.08)[:3] @ np.array([0.2126, 0.7152, 0.0722])
    assert luminance > 0.1  # lines on the darkest colour can be seen
    plain = maps.value_maps(frame, {"one": one * 1000, "two": two * 1000}, bar="K")
    assert len({f.axes[0].images[0].get_clim() for f in plain}) == 1
    assert maps.limits([np.full(3, np.nan)], "uncertainty") == (0, 0.1) and maps.limits([np.ones(3)], "") == (1, 2)


def test_every_sensor_that_takes_no_part_is_told_once_for_each_reason(
    full: Path, cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset
) -> None:
    scene = gather.scene(estimates, cube)
    both = [tables.teachers(scene, stations), tables.skill(scene, stations)]
    found = tables.left_out(both)
    sensors = {
        reason: {(row[1], float(depth)) for row in table.rows for depth in str(row[2]).split(", ")}
        for reason, (_, table) in found.items()
    }
    assert {reason: len(which) for reason, which in sensors.items()} == {r: n for r, (n, _) in found.items()}
    names = [*zip(stations["station"].values.astype(str), stations["depth"].values.astype(float), strict=True)]
    out = {n for n, *why in zip(names, *(t["excluded"].values for t in both), strict=True) if all(map(str, why))}
    assert out and out <= set.union(*sensors.values())
    assert sensors["depth is not compared"] == {n for n in names if n[1] in (10, 50, 100)}
    text = full.read_text(encoding="utf-8")
    folds = re.findall(r"<summary>(\d+) sensors?: (.*?)</summary>", text)
    assert [(int(n), html.unescape(reason)) for n, reason in folds] == [(n, reason) for reason, (n, _) in found.items()]
    assert len({reason for _, reason in folds}) == len(folds)
    used = len(names) - sum(all(map(str, why)) for why in zip(*(t["excluded"].values for t in both), strict=True))
    assert f"{used} of {len(names)} sensors take part" in text
    page = Tables(text)
    for _, table in found.values():
        assert all([*map(str, row)] in page.rows(*map(str, row[:2])) for row in table.rows)


def test_remarks_of_sensors_are_counted_by_what_they_say() -> None:
    coords = {f"sensor_{k}": ("sensor", v) for k, v in
              {"network": ["N"] * 3, "station": ["A", "A", "B"], "depth": [5, 20, 5]}.items()}  # fmt: skip
    remarks = ["values outside 0 to 1 m3 m-3 are left out (3)", "", "values outside 0 to 1 m3 m-3 are left out (7)"]
    reasons = ["fewer than 60 days (20 left: sm_dca 20)", "depth is not compared (20 cm)", ""]
    table = xr.Dataset({"excluded": ("sensor", reasons), "remarks": ("sensor", remarks)}, coords)
    found = tables.left_out([table, table])
    assert {reason: n for reason, (n, _) in found.items()} == {
        "fewer than 60 days": 1, "values outside 0 to 1 m3 m-3 are left out": 2, "depth is not compared": 1,
    }  # fmt: skip
    assert found["values outside 0 to 1 m3 m-3 are left out"][1].rows == [["N", "A", "5", "3"], ["N", "B", "5", "7"]]
    assert found["fewer than 60 days"][1].rows == [["N", "A", "5", "20 left: sm_dca 20"]]
    assert "depth is not compared" not in tables.left_out([table, table.assign(excluded=("sensor", ["", "", ""]))])


def test_open_and_closed_shrublands_are_one_group() -> None:
    names = np.array(["open shrublands", "closed shrublands", "grasslands", "grasslands", "open shrublands"])
    table = xr.Dataset(coords={"land_cover": ("station", names)})
    labels, groups = skill.groups_of(table, "land_cover")
    assert labels.tolist() == ["Open and closed shrublands"] * 2 + ["Grasslands"] * 2 + ["Open and closed shrublands"]
    assert groups == ["Open and closed shrublands", "Grasslands"]


def test_days_after_training() -> None:
    told = {"model_training": TRAINED, "model_validation": "2021-05-11 to 2021-05-31"}
    assert gather.held_out(told) == slice(np.datetime64("2021-06-01"), None)
    assert gather.held_out({"model_training": "unknown"}, {}) is None


def test_scenarios_of_a_product_share_its_layer() -> None:
    assert layer_of("sm_5cm_s1") == layer_of("sm_5cm") == "surface"
    assert layer_of("sm_25cm_s2") == "subsurface"
    assert layer_of("sm_5cm_s1_std") is None and layer_of("sm_5cm_std") is None


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
    listen = "<script>onmessage = e => { document.title = 'told ' + e.data; console.log('heard') }</script>"
    (tmp_path / "outer.html").write_text(f"<!DOCTYPE html><html><body>{listen}{frame}</body></html>")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=8000",
         "--window-size=1400,900", "--dump-dom", (tmp_path / "outer.html").as_uri()],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = re.search(r"<title>told (\d+) (\d+) (\d+) (\d+) (\d+)</title>", done.stdout)
    assert found, done.stdout[-500:] + done.stderr[-500:]
    wide, window, images, drawn, cut = map(int, found.groups())
    assert window == width and wide <= window
    assert images == drawn >= 15 and cut == 0
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert len(console) == 1 and "heard" in console[0], console  # the line that shows that the console is listened to
