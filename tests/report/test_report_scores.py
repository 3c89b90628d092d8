"""Scores and counts of the report against `validate` and against their definitions."""

from __future__ import annotations

import html
import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tests.report_page import AFTER, TRAINED, Tables, shown
from xsm.data.grids import grid_of
from xsm.ops.report import report
from xsm.ops.validate import validate
from xsm.reporting import labels, score_figures, score_tables, station_days
from xsm.reporting.scene import days_after_training, make_scene, station_series
from xsm.validation.products import layer_of


def test_scores_are_those_of_validate_after_the_training_days(
    full: Path, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    scene = make_scene(estimates, cube)
    ds, names = scene.ds, score_tables.rivals(scene)
    period = slice(*map(np.datetime64, ("2021-05-11", "2021-07-09")))
    table = validate(ds, stations, variables=names, time=period, min_days=20)
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
    for name, label in zip(names, ("SMAP DCA", "Noah 0-10 cm"), strict=True):
        row = next(r for r in page.rows("All") if r[2] == label)
        assert row[3:7] == shown([float(table[f"{s}_mean"].sel(product=name)) for s in ("r", "rmse", "bias", "ubrmse")])
        for cover, network in {*zip(table["land_cover"].values, table["network"].values, strict=True)}:
            inside = (table["land_cover"] == cover) & (table["network"] == network)
            (row,) = page.rows(str(cover).capitalize(), str(network), label)
            means = [float(table[s].sel(product=name)[inside].mean()) for s in ("r", "rmse", "bias", "ubrmse")]
            assert row[3:7] == shown(means)
            assert row[7] == str(int(inside.sum()))


def test_the_share_inside_the_interval_is_counted(
    full: Path, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> None:
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
        dca = cube["sm_dca"].isel(y=int(row) - grid.row0, x=int(col) - grid.col0)
        values = {"e": cell["sm_5cm_s2"], "s": cell["sm_5cm_s2_std"], "cold": cell["frozen"], "dca": dca}
        frame = pd.DataFrame(values, means.index)
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
    scene = make_scene(late[0], late[1])
    by_kind = score_tables.skill_by_days(scene, late[2])
    assert list(by_kind) == ["observed", "not observed", "outage 2022-08-06 to 2022-09-20"]
    table = by_kind["outage 2022-08-06 to 2022-09-20"]
    cut = validate(
        scene.ds, late[2], variables=score_tables.rivals(scene), min_days=15,
        time=slice(np.datetime64("2022-08-06"), np.datetime64("2022-09-20")),
    )  # fmt: skip
    assert int(table["n"].max()) <= 46
    xr.testing.assert_allclose(table["rmse"], cut["rmse"])


def test_level_4_is_a_row_where_the_cube_has_it(cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset) -> None:
    rng = np.random.default_rng(1)
    more = cube.assign(sm_surface=cube["sm_noah_0_10"] + rng.normal(0, 0.02, cube["sm_noah_0_10"].shape).astype("f4"))
    scene = make_scene(estimates, more)
    table = score_tables.skill(scene, stations)
    rows = score_tables.skill_table(table, "").rows
    (row,) = [r for r in rows if r[2] == "SMAP L4 0-5 cm"]
    mean = float(table["r_mean"].sel(product="sm_surface"))
    assert row[0] == "5 cm" and isinstance(row[3], tuple) and row[3][0] == pytest.approx(mean)


def test_gap_filling_is_scored_by_the_length_of_the_gap(
    full: Path, cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset
) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    x, y, length = [], [], []
    grid = grid_of(estimates)
    assert grid is not None
    scene = make_scene(estimates, cube)
    series = station_series(scene, stations)
    for i in range(series.sizes["site"]):
        row, col = grid.rowcol(float(series["lon"][i]), float(series["lat"][i]))
        at = {"y": int(row) - grid.row0, "x": int(col) - grid.col0}
        observed = cube["sm_dca_observed"].isel(at).values
        if not observed.any():
            continue
        runs = [len(list(run)) * [0 if mark else -1] for mark, run in itertools.groupby(observed)]
        lengths = [0 if v == 0 else len(run) for run in runs for v in run]
        a, b = cube["sm_dca"].isel(at).values.astype("f8"), series["in_situ_surface"].values[i].astype("f8")
        use = np.isfinite(a) & np.isfinite(b) & ~cube["frozen"].isel(at).values
        use &= np.isfinite(estimates["sm_5cm_s2"].isel(at).values)  # all rows of a gap have the same days
        if use.any():
            x.append(np.where(use, a, np.nan))
            y.append(np.where(use, b, np.nan))
            length.append(np.array(lengths))
    a, b, n = np.array(x), np.array(y), np.array(length)
    about = [v - np.nanmean(v, 1, keepdims=True) for v in (a, b)]
    compared = 0
    for gap, low, high in (("observed", 0, 0), ("1", 1, 1), ("2", 2, 2), ("3", 3, 3)):
        here = np.isfinite(a) & (n >= low) & (n <= high)
        if here.sum() < 10:
            continue
        compared += 1
        (row,) = (r for r in page.rows(gap, "SMAP DCA") if len(r) == 8)
        r = np.corrcoef(about[0][here], about[1][here])[0, 1]
        rmse, ub = (np.sqrt(np.mean((p[here] - q[here]) ** 2)) for p, q in ((a, b), about))
        assert row[2:5] == [f"{r:.2f}", f"{rmse:.3f}", f"{ub:.3f}"] and row[7] == str(int(here.sum()))
    assert compared >= 3


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_every_day_knows_the_length_of_its_gap(observed: list[bool]) -> None:
    expected = [0 if mark else size for mark, run in itertools.groupby(observed) for size in [len(list(run))] * 1
                for _ in range(size)]  # fmt: skip
    assert station_days.gap_lengths(np.array([observed]))[0].tolist() == expected


def test_the_pooled_scatter_shows_the_scored_days(
    cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset
) -> None:
    scene = make_scene(estimates, cube)
    table, series = score_tables.skill(scene, stations), station_series(scene, stations)
    pooled = station_days.pairs(scene, series, table)
    assert list(pooled) == ["sm_5cm_s2", "sm_25cm_s2"]
    for name, (x, y) in pooled.items():
        assert len(x) == len(y) == int(table["n"].sel(product=name).sum())


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


def test_every_sensor_that_takes_no_part_is_listed_once_for_each_reason(
    full: Path, cube: xr.Dataset, estimates: xr.Dataset, stations: xr.Dataset
) -> None:
    scene = make_scene(estimates, cube)
    both = [score_tables.teachers(scene, stations), score_tables.skill(scene, stations)]
    by_reason = score_tables.left_out(both)
    sensors = {
        reason: {(row[1], float(depth)) for row in table.rows for depth in str(row[2]).split(", ")}
        for reason, (_, table) in by_reason.items()
    }
    assert {reason: len(which) for reason, which in sensors.items()} == {r: n for r, (n, _) in by_reason.items()}
    names = [*zip(stations["station"].values.astype(str), stations["depth"].values.astype(float), strict=True)]
    out = {n for n, *why in zip(names, *(t["excluded"].values for t in both), strict=True) if all(map(str, why))}
    assert out and out <= set.union(*sensors.values())
    assert sensors["depth is not compared"] == {n for n in names if n[1] in (10, 50, 100)}
    text = full.read_text(encoding="utf-8")
    folds = re.findall(r"<summary>(\d+) sensors?: (.*?)</summary>", text)
    assert [(int(n), html.unescape(reason)) for n, reason in folds] == [
        (n, reason) for reason, (n, _) in by_reason.items()
    ]
    assert len({reason for _, reason in folds}) == len(folds)
    compared = len(names) - sum(all(map(str, why)) for why in zip(*(t["excluded"].values for t in both), strict=True))
    assert f"{compared} of {len(names)} sensors take part" in text
    page = Tables(text)
    for _, table in by_reason.values():
        assert all([*map(str, row)] in page.rows(*map(str, row[:2])) for row in table.rows)


def test_remarks_of_sensors_are_counted_by_what_they_say() -> None:
    coords = {f"sensor_{k}": ("sensor", v) for k, v in
              {"network": ["N"] * 3, "station": ["A", "A", "B"], "depth": [5, 20, 5]}.items()}  # fmt: skip
    remarks = ["values outside 0 to 1 m3 m-3 are left out (3)", "", "values outside 0 to 1 m3 m-3 are left out (7)"]
    reasons = ["fewer than 60 days (20 left: sm_dca 20)", "depth is not compared (20 cm)", ""]
    table = xr.Dataset({"excluded": ("sensor", reasons), "remarks": ("sensor", remarks)}, coords)
    by_reason = score_tables.left_out([table, table])
    assert {reason: n for reason, (n, _) in by_reason.items()} == {
        "fewer than 60 days": 1, "values outside 0 to 1 m3 m-3 are left out": 2, "depth is not compared": 1,
    }  # fmt: skip
    assert by_reason["values outside 0 to 1 m3 m-3 are left out"][1].rows == [
        ["N", "A", "5", "3"],
        ["N", "B", "5", "7"],
    ]
    assert by_reason["fewer than 60 days"][1].rows == [["N", "A", "5", "20 left: sm_dca 20"]]
    assert "depth is not compared" not in score_tables.left_out(
        [table, table.assign(excluded=("sensor", ["", "", ""]))]
    )


def test_open_and_closed_shrublands_are_one_group() -> None:
    names = np.array(["open shrublands", "closed shrublands", "grasslands", "grasslands", "open shrublands"])
    table = xr.Dataset(coords={"land_cover": ("station", names)})
    labels, groups = score_figures.groups_of(table, "land_cover")
    assert labels.tolist() == ["Open and closed shrublands"] * 2 + ["Grasslands"] * 2 + ["Open and closed shrublands"]
    assert groups == ["Open and closed shrublands", "Grasslands"]


def test_days_after_training() -> None:
    attrs = {"model_training": TRAINED, "model_validation": "2021-05-11 to 2021-05-31"}
    assert days_after_training(attrs) == slice(np.datetime64("2021-06-01"), None)
    assert days_after_training({"model_training": "unknown"}, {}) is None


def test_scenarios_of_a_product_share_its_layer() -> None:
    layers = {name: layer_of(xr.Dataset(), name) for name in ("sm_5cm", "sm_5cm_s1", "sm_25cm_s2")}
    assert layers == {"sm_5cm": "surface", "sm_5cm_s1": "surface", "sm_25cm_s2": "subsurface"}
    assert not any(layer_of(xr.Dataset(), name) for name in ("sm_5cm_s1_std", "sm_5cm_std"))


def test_a_fusion_is_scored_beside_its_inputs_and_called_by_its_name(
    tmp_path: Path, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    names = {f"{n}_s2{end}": f"{n}{end}" for n in ("sm_5cm", "sm_25cm") for end in ("", "_std")}
    ds = estimates.rename(names)
    ds = ds.assign({n: ds[n].assign_attrs(method="fuse") for n in ("sm_5cm", "sm_25cm")})
    cube = cube.assign(sm_dca=cube["sm_dca"].assign_attrs(fill_method="linear"))
    text = report(ds, tmp_path / "report.html", cube=cube, stations=stations).read_text(encoding="utf-8")
    page = Tables(text)
    table = validate(
        ds.assign({n: cube[n] for n in ("sm_noah_0_10", "sm_dca")}), stations, time=slice("2021-05-11", "2021-07-09"),
        variables=["sm_5cm_s1", "sm_5cm", "sm_noah_0_10", "sm_dca"], min_days=20,
    )  # fmt: skip
    for name, product in (("sm_5cm", "Fusion"), ("sm_dca", "SMAP DCA")):
        (row,) = page.rows("5 cm", "5 cm", product)
        assert row[3:7] == shown([float(table[f"{s}_mean"].sel(product=name)) for s in ("r", "rmse", "bias", "ubrmse")])
    assert len(page.rows("25 cm", "20 cm", "Fusion")) == 1 and len(page.rows("5 cm", "5 cm", "Scenario 1")) == 1
    names_shown = ("5 cm, fusion (sm_5cm)", "5 cm, scenario 1 (sm_5cm_s1)", "SMAP DCA is gap-filled.")
    for words in (*names_shown, "Method: fusion of retrieval, land model and weather"):
        assert words in html.unescape(text), words
    scene = make_scene(ds, cube)
    assert scene.best == "sm_5cm"
    assert list(station_days.pairs(scene, station_series(scene, stations), score_tables.skill(scene, stations))) == [
        "sm_5cm",
        "sm_25cm",
    ]


@pytest.mark.parametrize(("attrs", "expected"), [({}, "5 cm"), ({"method": "fuse"}, "5 cm, fusion")])
def test_only_a_fusion_is_called_one(attrs: dict[str, str], expected: str) -> None:
    maps = xr.Dataset({"sm_5cm": 0.0, "sm_5cm_s1": 0.0})
    for ds in (maps.assign_attrs(attrs), maps.assign(sm_5cm=maps["sm_5cm"].assign_attrs(attrs))):
        assert labels.label("sm_5cm", ds) == expected
        assert labels.label("sm_5cm_s1", ds) == "5 cm, scenario 1"
    assert labels.label("sm_5cm") == "5 cm"
