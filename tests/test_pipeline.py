"""`xsm run`: the whole workflow on a small twin with the numpy models; restart, change, two runs, error messages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import xsm
from xsm.compute.zarr_regions import memory_to_write
from xsm.contracts.bundle import Bundle
from xsm.data.grids import grid_of
from xsm.errors import DataError, UsageError
from xsm.faces.cli import main
from xsm.faces.demo import FORMS, ROWS, print_table, score
from xsm.io import files
from xsm.study import config, template
from xsm.study.example import Size, make_files, study_changes
from xsm.study.forecast import forecast, outlook, plan
from xsm.study.inputs import fingerprint
from xsm.study.locked import alone
from xsm.study.maps import filled_names
from xsm.study.pipeline import run_study, stage_names, stages_of
from xsm.study.stages import manifest

SMALL = Size(12, "2021-06-01", 60, split=(32, 8))


def with_quick_models(text):
    """A study file with models that need no training to speak of."""
    text = text.replace('method = "cru"', 'method = "linear"').replace('model = "convlstm"', 'model = "ridge"')
    return re.sub(r"(?m)^(covariates|options = \{ (epochs|preset)) .*\n", "", text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small world's files and its study file, run once."""
    base = tmp_path_factory.mktemp("study")
    base.joinpath("world").mkdir()
    world = make_files(base / "files", SMALL, seed=1)
    (base / "study.toml").write_text(with_quick_models(template.template(**study_changes(SMALL, "files"))))
    world.truth.to_netcdf(base / "world" / "truth.nc")
    run_study(config.load(base / "study.toml"))
    return base


def stamps(out):
    return {
        str(p.relative_to(out)): p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and ".xsm" not in str(p)
    }


def test_results_are_complete_and_georeferenced(folder):
    out = folder / "results"
    estimates = files.read(out / "estimates.nc")
    assert grid_of(estimates) == SMALL.grid
    for name in ("sm_5cm_s1", "sm_5cm_s2", "sm_25cm_s1", "sm_25cm_s2"):
        valued = estimates[name].isel(time=slice(4, None)).notnull().mean()
        assert float(valued) > 0.8, name
        assert f"{name}_std" not in estimates  # 8 validation days are too few to calibrate to stations
        assert float(estimates[f"{name}_reference_std"].min()) > 0
    with rasterio.open(next((out / "geotiff").glob("sm_5cm_2021-06-20.tif"))) as file:
        assert file.crs.to_epsg() == 6933
        np.testing.assert_array_equal(file.read(1), estimates["sm_5cm"].sel(time="2021-06-20").values.squeeze())
    assert (out / "report" / "report.html").stat().st_size > 10_000
    assert '<a href="maps.html">Explore the maps' in (out / "report" / "report.html").read_text(encoding="utf-8")
    assert 'id="data">{"about": ' in (out / "report" / "maps.html").read_text(encoding="utf-8")
    cube = files.read(out / "data" / "filled.zarr")
    assert bool((cube["sm_dca_observed"] == cube["sm_dca"].notnull()).any())
    assert estimates.attrs["synthetic"]


def test_scores_against_the_truth_are_sane(folder):
    study = config.load(folder / "study.toml")
    rows = score(folder / "results", xr.open_dataset(folder / "world" / "truth.nc"), study)
    assert list(rows) == list(ROWS)
    for row in rows.values():
        assert 0 < row["RMSE"] < 0.2
        assert row["cells"] > 50
    for depth in ("sm_5cm", "sm_25cm"):
        (days,) = {rows[row]["cell_days"] for row, (_, of_depth) in ROWS.items() if of_depth == depth}
    estimates, cube = files.read(folder / "results" / "estimates.nc"), files.read(folder / "results/data/filled.zarr")
    tested = slice("2021-07-11", "2021-07-30")
    truth = xr.open_dataset(folder / "world" / "truth.nc")["sm_25cm"].sel(time=tested).values
    names = {"sm_25cm_s1": estimates, "sm_25cm_s2": estimates, "sm_25cm": estimates, "sm_noah_10_40": cube}
    maps = {name: ds[name].sel(time=tested).values for name, ds in names.items()}
    use = np.isfinite([truth, *maps.values()]).all(0) & ~cube["frozen"].sel(time=tested).values.astype(bool)
    assert use.sum() == days
    miss = (maps["sm_25cm"] - truth)[use]
    assert rows["xsm 25 cm fusion"]["RMSE"] == pytest.approx(np.sqrt(np.mean(miss**2)), abs=1e-4)


def test_the_demo_marks_the_best_score_of_each_depth(capsys):
    rng = np.random.default_rng(0)
    rows = {row: dict(zip(FORMS, rng.uniform(0.1, 0.9, 4) * (1, 1, 1, -1), strict=True)) for row in ROWS}
    print_table(rows, Path("demo"), Path("results"), 1.0)
    lines = {line[:40].strip(): line[40:] for line in capsys.readouterr().out.splitlines()}
    for depth in ("sm_5cm", "sm_25cm"):
        names = [row for row, (_, of_depth) in ROWS.items() if of_depth == depth]
        marked = np.array([re.findall(r"[\d.]+( \*)?", lines[name]) for name in names]) == " *"
        scores = np.array([[abs(v) * (-1 if s == "R" else 1) for s, v in rows[name].items()] for name in names])
        np.testing.assert_array_equal(marked, scores == scores.min(0))


def test_the_fusion_of_a_study_is_that_of_its_cube(folder):
    """From the retrieval as observed and the days of [fit], beside the scenarios and cut like them."""
    out = folder / "results"
    cube, bundle = files.read(out / "data" / "cube.zarr"), Bundle.load(out / "models" / "fuse")
    cube.attrs.pop("xsm_region", None)
    expected = cube.load().sm.fuse(model=bundle)
    estimates = files.read(out / "estimates.nc")
    for name in ("sm_5cm", "sm_5cm_std", "sm_25cm", "sm_25cm_std", "mask_reason", "retrieval_observed"):
        inside = expected[name].sel(x=estimates["x"], y=estimates["y"])
        np.testing.assert_allclose(estimates[name].values, inside.values, rtol=1e-5, err_msg=name)
    np.testing.assert_array_equal(estimates["weights_5cm"], bundle.weights["weights_5cm"])
    fusion, scenario = estimates["sm_5cm"].attrs, estimates["sm_5cm_s1"].attrs
    assert fusion["method"] == "fuse" and fusion["model_hash"] == bundle.hash and "method" not in scenario
    for key in ("model_training", "model_validation"):
        assert fusion[key] == scenario[key] == estimates.attrs[key]
    assert not {"method", "scenario", "model_hash"} & set(estimates.attrs)


@pytest.mark.slow
def test_a_fusion_alone_needs_neither_filling_nor_scenarios(folder, tmp_path):
    text = (folder / "study.toml").read_text().replace("files/", f"{folder}/files/")
    head = text.split("[gapfill]")[0]
    out = tmp_path / "results"
    shutil.copytree(folder / "results", out)
    (tmp_path / "alone.toml").write_text(head + '[fuse]\nmode = "filter"\ntrain = "2021-06-01/2021-07-02"\n')
    study = config.load(tmp_path / "alone.toml")
    assert (study.gapfill, study.fit) == (None, None)
    steps = ["train fuse", "fuse", "archive", "estimate", "geotiff", "report"]
    assert [n for n in stage_names(study) if not n.startswith("open")] == ["cube", *steps]
    assert done_again(study) == [n for n in stage_names(study) if n != "open stations"]  # now by days
    estimates = files.read(out / "estimates.nc")
    assert {"sm_5cm", "sm_25cm_std"} <= set(estimates) and not [n for n in estimates if "_s1" in str(n)]
    assert (estimates.attrs["method"], estimates.attrs["mode"]) == ("fuse", "filter")
    assert "scenario" not in (out / "report" / "report.html").read_text().split("<pre>")[0]
    again = replace(study, fuse=replace(study.fuse, mode="smoother", model=str(out / "models" / "fuse")))
    assert "fuse: " in plan(again) and "train fuse" not in stage_names(again)
    assert done_again(again) == ["fuse", "estimate", "geotiff", "report"]


def test_a_fusion_leaves_the_rest_of_a_study_as_it_was(folder, tmp_path):
    """A study without it has the stages, and their digests, that it had before there was fusion."""
    out = tmp_path / "results"
    shutil.copytree(folder / "results", out)
    both = replace(config.load(folder / "study.toml"), out=out)
    old = replace(both, fuse=None, geotiff=())
    pairs = ["5-1", "5-2", "25-1", "25-2"]
    last = next(stage for stage in stages_of(old) if stage.name == "estimate")
    assert (last.about(), last.rests_on) == (pairs, [f"estimate {pair}" for pair in pairs])
    assert done_again(old) == ["estimate", "report"]
    assert "sm_5cm" not in files.read(out / "estimates.nc")
    assert done_again(both) == ["estimate", "report"]  # the GeoTIFFs are still those of this study
    other = replace(both, fuse=replace(both.fuse, options={"trees": 20}))
    assert done_again(other) == ["train fuse", "fuse", "estimate", "geotiff", "report"]


def test_stations_of_a_fusion_enter_its_training_alone(folder):
    study = config.load(folder / "study.toml")
    taught = replace(study, fuse=replace(study.fuse, stations=True))
    for one, expected in ((study, ["cube"]), (taught, ["cube", "open stations"])):
        stages = {stage.name: stage for stage in stages_of(one)}
        assert stages["train fuse"].rests_on == expected and "open stations" not in stages["fuse"].rests_on
    assert "with stations" in plan(taught) and "with stations" not in plan(study)


def test_a_second_run_does_nothing(folder):
    before = stamps(folder / "results")
    run_study(config.load(folder / "study.toml"))
    assert stamps(folder / "results") == before


def test_a_change_redoes_what_depends_on_it_and_only_that(folder):
    before = stamps(folder / "results")
    text = (folder / "study.toml").read_text()
    text = text.replace('estimates = ["5-1", "5-2", "25-1", "25-2"]', 'estimates = ["5-1", "5-2"]')
    (folder / "changed.toml").write_text(text.replace('["sm_5cm", "sm_25cm"]', '["sm_5cm_s2"]'))
    run_study(config.load(folder / "changed.toml"))
    after = stamps(folder / "results")
    same = [n for n in before if before[n] == after.get(n)]
    assert any(n.startswith("data/") for n in same)
    assert "estimates.nc" not in same
    assert "sm_25cm_s1" not in files.read(folder / "results" / "estimates.nc")
    run_study(config.load(folder / "study.toml"))


def done_again(study):
    done: list[str] = []
    run_study(study, lambda name: done.append(name.split(" ", 1)[1]))
    return done


@pytest.mark.slow
def test_what_is_estimated_does_not_train_other_models_again(folder, tmp_path):
    out = tmp_path / "results"
    shutil.copytree(folder / "results", out)
    study = replace(config.load(folder / "study.toml"), out=out, geotiff=())
    done_again(study)
    fewer = replace(study, fit=replace(study.fit, estimates=("5-2", "5-1")))
    assert done_again(fewer) == ["estimate", "report"]
    longer = replace(study, gapfill=replace(study.gapfill, options={"max_gap": 20}))
    again = done_again(longer)
    assert "fill gaps" in again and "train fill" not in again


def test_a_folder_that_is_moved_is_the_same_study(folder, tmp_path):
    shutil.copytree(folder / "files", tmp_path / "files", copy_function=os.link)
    shutil.copytree(folder / "results", tmp_path / "results")
    shutil.copy(folder / "study.toml", tmp_path)
    assert done_again(config.load(tmp_path / "study.toml")) == []


def test_a_result_that_lost_a_part_is_made_again(folder, tmp_path):
    out = tmp_path / "results"
    shutil.copytree(folder / "results", out)
    study = replace(config.load(folder / "study.toml"), out=out)
    (out / "geotiff" / "sm_5cm.tif.aux.xml").write_text("what a GIS puts there")
    assert done_again(study) == []
    next(p for p in (out / "data" / "cube.zarr" / "tb_h" / "c").rglob("*") if p.is_file()).unlink()
    (out / "estimates.nc").write_bytes(b"")
    (out / "report" / "report.html").unlink()
    with pytest.warns(UserWarning, match=r"cube\.zarr' is incomplete"):
        assert done_again(study) == ["cube", "estimate", "report"]


def test_a_lost_result_is_made_again_to_the_same_values(folder):
    path = folder / "results" / "estimates.nc"
    first = files.read(path).load()
    path.unlink()
    run_study(config.load(folder / "study.toml"))
    again = files.read(path).load()
    for name in first.data_vars:
        np.testing.assert_array_equal(again[name].values, first[name].values)
    assert {k: v for k, v in again.attrs.items() if k != "history"} == {
        k: v for k, v in first.attrs.items() if k != "history"
    }


def xsm_in(*arguments):
    """Run the command in a process of its own, in the current folder."""
    subprocess.run([sys.executable, "-m", "xsm", *arguments], check=True)


def xsm_here(*arguments):
    """Run the command in this process, in the current folder."""
    with pytest.raises(SystemExit) as stop:
        main([*arguments])
    assert stop.value.code == 0


def init_and_run(run, edit=lambda text: text):
    """As the page says it, in an empty folder: `xsm init rabiei2024 --example`, then `xsm run rabiei2024.toml`."""
    run("init", "rabiei2024", "--example")
    study = Path("rabiei2024.toml")
    study.write_text(edit(study.read_text()))
    run("run", "rabiei2024.toml")
    assert {p.name for p in Path().iterdir()} == {"rabiei2024.toml", "rabiei2024-data", "results"}
    estimates = files.read("results/estimates.nc")
    assert "synthetic" in str(estimates.attrs).lower()
    for name in ("sm_5cm", "sm_5cm_s1", "sm_5cm_s2", "sm_25cm", "sm_25cm_s1", "sm_25cm_s2"):
        assert float(estimates[name].isel(time=slice(4, None)).notnull().mean()) > 0.8, name
    assert Path("results/report/report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_the_example_study_runs_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    init_and_run(xsm_in)


@pytest.mark.slow
def test_a_smaller_example_study_runs_with_quick_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("xsm.study.example.QUICK", Size(12, "2021-06-01", 30, split=(16, 7)))
    init_and_run(xsm_here, with_quick_models)


def test_a_second_process_is_refused(folder):
    with (
        alone(folder / "results"),
        pytest.raises(DataError, match="Another run"),
        alone(folder / "results"),
    ):
        pass


def test_filled_maps_have_one_order_however_the_store_lists_them(tmp_path):
    names = ["tb_h", "albedo", "albedo_std", "tb_h_std", "clay"]
    for order in (names, names[::-1]):
        files.write(xr.Dataset({name: ("x", [1.0]) for name in order}), tmp_path / "a.zarr", overwrite=True)
        maps = filled_names(tmp_path / "a.zarr")
        assert [n for n in maps if n in names] == ["albedo", "albedo_std", "tb_h", "tb_h_std"]


def test_plan_describes_and_writes_nothing(folder):
    text = plan(config.load(folder / "study.toml"))
    assert "open smap" in text
    assert "1440 files" in text


def states_in_plan(study):
    """Stages that the plan calls done, and those still to do."""
    rows = plan(study).split("of a run in")[1].splitlines()[1:]
    named = {row[2:26].strip(): row[26:].strip() for row in rows}
    assert list(named) == stage_names(study)
    return [[n for n, state in named.items() if state == wanted] for wanted in ("done", "to do")]


@pytest.mark.parametrize(
    ("part", "change", "text"),
    [
        ("fit", {"model": "nope"}, "nope"),
        ("fit", {"options": {"penalti": 3}}, "penalti"),
        ("fit", {"train": "1999-01-01/1999-02-01"}, "train=1999-01-01/1999-02-01"),
        ("gapfill", {"method": "cru", "options": {"epoks": 3}}, "epoks"),
        ("fuse", {"method": "nope"}, "nope"),
        ("fuse", {"options": {"treez": 3}}, "treez"),
        ("fuse", {"validation": "2021-06-01/2021-06-09"}, "both training and validation"),
    ],
)
def test_models_options_and_days_are_checked_before_anything_is_opened(folder, tmp_path, part, change, text):
    study = config.load(folder / "study.toml")
    wrong = replace(study, out=tmp_path / "out", **{part: replace(getattr(study, part), **change)})
    for work in (plan, run_study):
        with pytest.raises((UsageError, DataError), match=text):
            work(wrong)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_plan_names_what_a_run_does_again(folder, tmp_path, monkeypatch):
    out = tmp_path / "results"
    shutil.copytree(folder / "results", out)
    study = replace(config.load(folder / "study.toml"), out=out)
    done_again(study)
    before = stamps(out), (out / ".xsm" / "manifest.json").read_bytes()
    assert states_in_plan(study) == [stage_names(study), []]
    titled, longer = replace(study, title="x"), replace(study, gapfill=replace(study.gapfill, options={"max_gap": 20}))
    earlier = replace(study, time="2021-06-01/2021-07-25")
    wanted = {"title": titled, "gaps": longer, "time": earlier}
    predicted = {name: states_in_plan(changed)[1] for name, changed in wanted.items()}
    assert predicted["title"] == ["report"] and predicted["gaps"][:2] == ["fill gaps", "train 5-1"]
    assert predicted["time"] == stage_names(study)
    assert (stamps(out), (out / ".xsm" / "manifest.json").read_bytes()) == before
    assert done_again(longer) == predicted["gaps"]
    (out / "estimates.nc").write_bytes(b"")
    shutil.rmtree(out / "models" / "fill")
    predicted = states_in_plan(longer)[1]
    assert {"train fill", "fill gaps", "estimate", "report"} <= set(predicted) and "cube" not in predicted
    assert set(done_again(longer)) <= set(predicted)
    assert "of a run" not in plan(replace(study, out=tmp_path / "none"))


def test_stages_are_named_before_they_run(folder):
    study = config.load(folder / "study.toml")
    assert list(manifest(study.out)) == stage_names(study)
    assert stage_names(replace(study, fit=None, fuse=None, stations={}, geotiff=()))[-3:] == [
        "fill gaps",
        "maps",
        "report",
    ]
    begun = []
    run_study(replace(study, title="Another title"), begun.append)
    assert begun == [f"{len(stage_names(study))}/{len(stage_names(study))} report"]


def test_sizes_are_predicted_from_the_files_alone(folder, monkeypatch):
    study = config.load(folder / "study.toml")
    predicted = outlook(study)
    data = study.out / "data"
    for name, entry in manifest(study.out).items():
        if name.startswith(("open", "cube", "fill", "fuse", "estimate")) and name != "open stations":
            size = files.read(study.out / entry["path"]).nbytes
            assert predicted.bytes[name] == pytest.approx(size, rel=0.1), name
    assert predicted.bytes["cube"] == files.read(data / "cube.zarr").nbytes  # the very arrays, not a rule of thumb
    assert set(stage_names(study)) - set(predicted.bytes) == {n for n in stage_names(study) if n[:5] == "train"} | {
        "open stations",
        "report",
    }
    wide = files.read(data / "cube.zarr").isel(time=slice(40)).pad(y=(0, 500), x=(0, 500), mode="edge")
    with xsm.set_options(memory_limit=10**9):
        assert 0.1e9 < memory_to_write(wide.chunk(time=20), 2) <= 1e9


def test_a_shorter_study_predicts_a_longer_one(folder):
    study = config.load(folder / "study.toml")
    same = forecast(study, folder / "results")
    size = sum(p.stat().st_size for p in (folder / "results").rglob("*") if p.is_file() and ".xsm" not in p.parts)
    assert 0.99 * size < sum(same.bytes.values()) <= size
    done = json.loads((folder / "results" / ".xsm" / "manifest.json").read_text())
    assert sum(same.seconds.values()) == pytest.approx(sum(e["seconds"] for e in done.values()))
    longer = forecast(replace(study, time="2021-06-01/2021-09-28"), folder / "results")  # 120 days for 60
    assert (
        longer.bytes["cube"] == 2 * same.bytes["cube"] and longer.seconds["fill gaps"] == 2 * same.seconds["fill gaps"]
    )
    assert (
        longer.bytes["open solus100"] == same.bytes["open solus100"] and longer.bytes["report"] == same.bytes["report"]
    )
    assert "in all" in str(longer)
    fewer = forecast(replace(study, geotiff=()), folder / "results")
    assert set(same.bytes) - set(fewer.bytes) == {"geotiff"}
    another = replace(study, inputs={**study.inputs, "smap_l4": study.inputs["smap"]})
    with pytest.raises(DataError, match="has no stage open smap_l4, which this one has"):
        forecast(another, folder / "results")
    with pytest.raises(DataError, match="contains no finished study"):
        forecast(study, folder)
    with pytest.raises(UsageError, match="no region"):
        forecast(replace(study, time=None), folder / "results")


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("title = ", DataError, "not valid TOML"),
        ("regoin = 'conus'\n[inputs.smap]\npaths='x'", UsageError, "Did you mean 'region'"),
        ("title = 'x'", UsageError, "names no inputs"),
        ("[inputs.smap]\npath='x'", UsageError, "Did you mean 'paths'"),
        ("[inputs.smap]\npaths='x'\n[fit]\nestimates=['5-3']", UsageError, "Did you mean '5-"),
        ("geotiff=['5-2']\n[inputs.smap]\npaths='x'\n[fit]", UsageError, "Unknown map in geotiff '5-2'.*sm_5cm_s2"),
        ("geotiff=['sm_5cm']\n[inputs.smap]\npaths='x'\n[fit]", UsageError, "Unknown map in geotiff 'sm_5cm'"),
        ("geotiff=['sm_5cm_s1']\n[inputs.smap]\npaths='x'\n[fuse]", UsageError, "Did you mean 'sm_5cm'"),
        ("[inputs.smap]\npaths='x'\n[fuse]\nmode='both'", UsageError, r"Unknown mode of \[fuse\] 'both'.*smoother"),
        ("[inputs.smap]\npaths='x'\n[fuse]\nstations='uscrn'", UsageError, "'stations' .* expected true or false"),
        ("[inputs.smap]\npaths='x'\n[fuse]\nstations=true", UsageError, "the study names no stations"),
        (
            "[inputs.smap]\npaths='x'\n[stations.uscrn]\npaths='y'\n[fuse]\nstations=true\nmodel='z'",
            UsageError,
            "both a trained model and stations",
        ),
        ("[inputs.smap]\npaths='x'\n[gapfill]\nmehtod='cru'", UsageError, "Did you mean 'method'"),
        ("out = 5\n[inputs.smap]\npaths='x'", UsageError, r"'out' of \[study\] is 5, expected text in quotes"),
        ("seed = 'x'\n[inputs.smap]\npaths='x'", UsageError, "'seed' .* 'x', expected a whole number"),
        ("time = 2021-04-01\n[inputs.smap]\npaths='x'", UsageError, "'time' .* 2021-04-01, expected text in quotes"),
        ("geotiff = [1]\n[inputs.smap]\npaths='x'\n[fit]", UsageError, "'geotiff' .* expected a list of texts"),
        ("inputs = 'smap'", UsageError, "'inputs' .* expected a table"),
        ("[inputs.smap]\npaths = 5", UsageError, r"'paths' of \[smap\] is \[5\], expected a list of texts"),
        ("[inputs.smap]\npaths='x'\noptions='y'", UsageError, "'options' .* expected a table"),
        ("[inputs.smap]\npaths='x'\n[gapfill]\nmodel=5", UsageError, "'model' .* expected text in quotes"),
        ("[inputs.smap]\npaths='x'\n[fit]\nestimates='5-1'", UsageError, "'estimates' .* expected a list of texts"),
        ("[inputs.smap]\npaths='x'\n[fit]\nbundles={5-1 = 3}", UsageError, "'5-1' .* expected text in quotes"),
        ("a = " + "[" * 5000, DataError, "not valid TOML"),
    ],
)
def test_wrong_study_files_stop_with_a_sentence(tmp_path, text, error, match):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(error, match=match):
        config.load(path)


def test_missing_files_are_named(tmp_path):
    (tmp_path / "study.toml").write_text("[inputs.smap]\npaths = 'nowhere/*.h5'")
    with pytest.raises(DataError, match="nowhere"):
        run_study(config.load(tmp_path / "study.toml"))
    with pytest.raises(DataError, match="does not exist"):
        config.load(tmp_path / "none.toml")


def test_template_is_a_valid_study(tmp_path):
    template.write_template(tmp_path / "rabiei2024.toml")
    study = config.load(tmp_path / "rabiei2024.toml")
    assert study.region == "conus"
    assert study.fit.train == "2018-01-01/2020-12-31"
    assert study.fit.options["preset"] == "rabiei2024"
    assert (study.fuse.train, study.fuse.validation) == (study.fit.train, study.fit.validation)
    with pytest.raises(UsageError, match="exists already"):
        template.write_template(tmp_path / "rabiei2024.toml")


def test_manifest_names_every_stage(folder):
    done = json.loads((folder / "results" / ".xsm" / "manifest.json").read_text())
    assert {"open smap", "cube", "fill gaps", "train 25-2", "estimate", "report"} <= set(done)


@pytest.mark.parametrize("size", [0, 1000, 131_072, 131_073, 500_000])
def test_an_input_is_recognised_by_its_size_time_and_ends(tmp_path, size):
    path = tmp_path / "input.bin"
    body = np.random.default_rng(1).bytes(size)
    path.write_bytes(body)
    before, when = fingerprint(path), path.stat().st_mtime_ns
    os.utime(path, ns=(when, when + 10**9))
    assert (fingerprint(path) == before) == (size <= 131_072)
    for place in (0, size - 1) if size else ():
        changed = bytearray(body)
        changed[place] ^= 1
        path.write_bytes(changed)
        os.utime(path, ns=(when, when))
        assert fingerprint(path) != before


def test_a_folder_that_is_not_a_bundle_stops_the_gap_filling(folder, tmp_path):
    """An empty folder is what "train fill" leaves where there is nothing to learn; in a study file it is a mistake."""
    study = config.load(folder / "study.toml")
    with pytest.raises(DataError, match="bundle"):
        run_study(replace(study, gapfill=replace(study.gapfill, model=str(tmp_path))))
