"""The verdict of a report: baselines, intervals, gains, seasons and regions, weights, and the data of every figure."""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from tests.report_page import AFTER, Tables
from xsm.ops.report import report
from xsm.ops.validate import validate
from xsm.reporting import baselines, labels, score_tables, verdict, weights
from xsm.reporting.scene import make_scene
from xsm.validation import contrasts

SCORES = hnp.arrays(float, st.integers(3, 30), elements=st.floats(-1, 1))


@given(SCORES)
def test_intervals_of_means_are_those_of_scipy(values: np.ndarray) -> None:
    mean, half = contrasts.mean_and_half(values)
    assert mean == pytest.approx(values.mean())
    if values.std() > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert (mean - half, mean + half) == pytest.approx((low, high), abs=1e-9)


@given(SCORES, st.floats(-0.5, 0.5))
def test_a_verdict_is_that_of_the_paired_t_test(values: np.ndarray, shift: float) -> None:
    rng = np.random.default_rng(0)
    other = values + shift + rng.normal(0, 0.1, len(values))
    one = contrasts.gain(values, other)
    p = stats.ttest_rel(values, other).pvalue
    if abs(p - 0.05) > 1e-6:
        assert (one.verdict in ("better", "worse")) == (p < 0.05)
    assert contrasts.gain(values, other, smaller_is_better=True).mean == pytest.approx(-one.mean)
    assert contrasts.gain(values[:2], other[:2]).verdict == "too few stations"


@given(hnp.arrays(float, (3, 20), elements=st.one_of(st.floats(0, 1), st.just(np.nan))))
def test_gaps_are_bridged_by_straight_lines(series: np.ndarray) -> None:
    out = baselines.bridge(series)
    expected = pd.DataFrame(series.T).interpolate(limit_direction="both").to_numpy().T
    np.testing.assert_allclose(out, expected, atol=1e-12)


def test_an_input_with_gaps_is_bridged_and_the_mean_is_that_of_the_inputs(
    estimates: xr.Dataset, cube: xr.Dataset
) -> None:
    raw = cube.assign(sm_dca=cube["sm_dca"].where(cube["sm_dca_observed"])).drop_vars("sm_dca_observed")
    for one in (raw, raw.chunk({"time": 30, "y": 12})):
        scene = make_scene(estimates, one)
        name = f"sm_dca{baselines.BRIDGED}"
        assert scene.inputs == {"surface": (name, "sm_noah_0_10", baselines.MEAN), "subsurface": ("sm_noah_10_40",)}
        series = raw["sm_dca"].values.reshape(len(raw["time"]), -1)
        whole = pd.DataFrame(series).interpolate(limit_direction="both").to_numpy().reshape(raw["sm_dca"].shape)
        np.testing.assert_allclose(scene.ds[name], whole, rtol=1e-5)
        np.testing.assert_allclose(scene.ds[baselines.MEAN], (whole + raw["sm_noah_0_10"]) / 2, rtol=1e-5)
    assert labels.label(name) == "SMAP DCA, gaps bridged"


def test_every_table_of_estimates_has_each_input_and_their_mean(full: Path) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    tables = [t for t in page.tables if {"Product", "Against"} & set(t[0])]
    assert len(tables) >= 5
    for table in tables:
        column = table[0].index("Against" if "Against" in table[0] else "Product")
        names = {row[column] for row in table[1:]}
        assert {"SMAP DCA", "Noah 0-10 cm", "Mean of inputs"} <= names, table[0]


def test_the_summary_has_three_numbers_and_the_verdict(
    full: Path, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    text = html.unescape(full.read_text(encoding="utf-8"))
    scene = make_scene(estimates, cube)
    table = score_tables.skill(scene, stations)
    cards = re.search(r'<div class="cards">(.*?)</div></div>', text)
    assert cards
    numbers = re.findall(r"<b>(.*?)</b>", cards[0])
    assert len(numbers) == 3
    r = table["r"].sel(product="sm_5cm_s2").values
    assert numbers[0].split("\xa0")[0] == f"{np.nanmean(r):.2f}" and numbers[2].endswith("%")
    best = max(("sm_dca", "sm_noah_0_10"), key=lambda n: float(table["r"].sel(product=n).mean()))
    one = stats.ttest_rel(r, table["r"].sel(product=best).values, nan_policy="omit")
    words = re.findall(r'<p class="verdict"><b>(.*?)</b>(.*?)</p>', text)
    assert "5 cm" in words[0][0] and labels.label(best) in words[0][0]
    difference = float((table["r"].sel(product="sm_5cm_s2") - table["r"].sel(product=best)).mean())
    assert f"R {difference:+.2f}".replace("-", "\u2212") in words[0][1].replace("\xa0", " ")
    said = words[0][1].partition("; ")[0]
    assert ("no clear difference" in said) == (one.pvalue >= 0.05)


def test_without_stations_the_skill_is_not_known(tmp_path: Path, estimates: xr.Dataset) -> None:
    text = report(estimates, tmp_path / "a.html").read_text(encoding="utf-8")
    assert "The skill of these maps is not known:" in text and 'class="cards"' not in text


def test_seasons_and_groups_are_those_of_validate(
    full: Path, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    page = Tables(full.read_text(encoding="utf-8"))
    scene = make_scene(estimates, cube)
    table = validate(
        scene.ds.drop_vars("obs_time", errors="ignore"), stations, variables=score_tables.rivals(scene),
        by=("season", "land_cover"), time=AFTER, min_days=20,
    )  # fmt: skip
    summer = table["r_by_season"].sel(season="JJA")
    for name, label in (("sm_5cm_s2", "Scenario 2"), (baselines.MEAN, "Mean of inputs")):
        (row,) = page.rows("June to August", "5 cm", label)
        assert row[3] == f"{float(summer.sel(product=name).mean()):.2f}"
    counts = pd.Series(score_tables.merged(table["land_cover"].values)).value_counts()
    if len(counts) > 1:
        rows = [r for r in page.rows("Land cover") if r[2:4] == ["5 cm", "Scenario 2"]]
        assert {r[1] for r in rows} <= set(counts.index)


def test_the_data_of_every_figure_lie_beside_it(full: Path, estimates: xr.Dataset) -> None:
    folder = full.parent / "figures"
    stems = {p.stem for p in folder.glob("*.png")}
    text = full.read_text(encoding="utf-8")
    for stem in stems:
        assert (folder / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
        with (folder / f"{stem}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1, stem
        for kind in ("csv", "svg", "pdf"):
            assert f'href="figures/{stem}.{kind}"' in text
    mean = pd.read_csv(folder / "report_mean_sm_5cm_s2.csv").set_index(["y", "x"])
    expected = estimates["sm_5cm_s2"].mean("time").to_series()
    assert len(mean) == int(expected.notna().sum())
    np.testing.assert_allclose(mean.iloc[:, -1], expected.to_numpy()[expected.notna().to_numpy()], rtol=1e-4)
    assert {"lat", "lon"} <= set(mean.columns)


def test_weights_are_those_of_the_maps_and_sum_to_one() -> None:
    ds = xr.Dataset(
        {"weights_5cm": (("retrieved", "source_5cm"), [[0.0, 0.2, 0.8], [0.35, 0.2, 0.45]]),
         "weights_25cm": (("source_25cm",), [0.5, 0.2, 0.3])},
        {"retrieved": [False, True], "source_5cm": ["retrieval", "model_surface", "prediction"],
         "source_25cm": ["model_root", "taught", "operator"]},
    )  # fmt: skip
    data = weights.weights_of(ds, 0.4)
    assert data.groupby(["depth", "days"])["weight"].sum().round(9).eq(1).all()
    mean = data[(data["days"] == "all days") & (data["source"] == "retrieval")]["weight"]
    assert mean.item() == pytest.approx(0.4 * 0.35)
    bars = [p for a in weights.weights_figure(data).axes for p in a.patches]
    assert sum(p.get_width() for p in bars) == pytest.approx(400)
    assert weights.weights_of(xr.Dataset(), 0.0).empty


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (("better", "better"), "better than"),
        (("worse", "worse"), "worse than"),
        (("no clear difference", "no clear difference"), "not clearly different from"),
        (("better", "no clear difference"), "better in R and not clearly different in ubRMSE, against"),
        (("too few stations", "too few stations"), "compared at too few stations for a verdict with"),
    ],
)
def test_verdicts_in_words(verdicts: tuple[str, str], words: str) -> None:
    halves = {"too few stations": np.nan, "no clear difference": 1.0}
    signs = {"worse": -0.1}
    one = {s: contrasts.Gain(signs.get(v, 0.1), halves.get(v, 0.01), 5, 3)
           for s, v in zip(("r", "ubrmse"), verdicts, strict=True)}  # fmt: skip
    assert verdict._overall([one, one]) == words
