"""`xsm update`: days that come, change, are late or get lost, beside one run of them all."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from tests.reliability.fault_files import can_mount, mounted
from xsm.data.roles import named_in
from xsm.errors import DataError, FetchError, hear
from xsm.faces.cli import main
from xsm.io import day_store, files
from xsm.study import config, template
from xsm.study.example import Size, make_files, study_changes
from xsm.study.locked import alone
from xsm.study.pipeline import run_study, stages_of
from xsm.study.stages import run_stages
from xsm.study.updating import update_study

SIZE = Size(6, "2021-05-01", 30)
TRAINED = 26
LATE, LAGS = "2021-05-23", ("2021-05-28", "2021-05-29")
"""A day whose SMAP granule comes late, and days for which NLDAS is not there at first."""
TEXT = """
[fuse]
mode = "filter"
train = "2021-05-01/2021-05-20"
options = { trees = 10 }
[update]
provisional = 10
reference = "2021-05-01/2021-05-20"
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Files of all days, the results of one run of them, and those without the last days, as they are then."""
    base = tmp_path_factory.mktemp("updating")
    make_files(base / "files", SIZE, seed=1)
    text = template.template(**study_changes(SIZE, "files")).split("[gapfill]")[0]
    lines = [line for line in text.splitlines() if "uscrn" not in line.lower()]
    lines = ['time = "2021-05-01/"' if line.startswith("time") else line for line in lines]
    (base / "study.toml").write_text("stac = true\n" + "\n".join(lines) + TEXT)
    with hear():
        update_study(replace(study_in(base), out=base / "whole"))
        shutil.move(base / "files", base / "every")
        arrive(base, SIZE.dates[:TRAINED])
        shutil.copytree(base / "whole", base / "begun")
        update_study(replace(study_in(base), out=base / "begun"))
    assert str(day_store.read(base / "begun" / "archive.zarr")["time"].values[-1])[:10] == str(SIZE.dates[TRAINED - 1])
    return base


def study_in(base):
    return config.load(base / "study.toml")


def arrive(base, days):
    """Copy the granules of some days, and all files without a day, to where the study looks for them."""
    stamps = [str(day).replace("-", "") for day in days]
    for path in sorted(p for p in (base / "every").rglob("*.*") if p.is_file()):
        there = base / "files" / path.relative_to(base / "every")
        wanted = path.parent.name not in ("SMAP", "NLDAS") or any(stamp in path.name for stamp in stamps)
        if wanted and not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, there)


def granules_of(base, product, day):
    return sorted((base / "files" / product).glob(f"*{day.replace('-', '')}*"))


@pytest.fixture
def begun(world, tmp_path):
    """A study that was run on the first days, whose granules may be touched."""
    shutil.copytree(world / "begun", tmp_path / "results")
    shutil.copytree(world / "files", tmp_path / "files", copy_function=os.link)
    (tmp_path / "every").symlink_to(world / "every")
    shutil.copy2(world / "study.toml", tmp_path)
    return tmp_path


def update(base, **more):
    with hear():
        return update_study(replace(study_in(base), out=base / "results"), **more)


def code_of(*command):
    """Exit code of a command."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in command])
    return stop.value.code


def archive(out):
    return day_store.read(out / "archive.zarr").load()


def catalogue(out):
    """Everything in a STAC catalogue, by path; the collection lists each day with an item once."""
    files = {str(p.relative_to(out)): json.loads(p.read_text()) for p in (out / "stac").rglob("*.json")}
    links = files["stac/maps/collection.json"]["links"]
    days = [link["href"][-15:-5] for link in links if link["rel"] == "item"]
    assert days == sorted(path[-15:-5] for path in files if path[-15:-11].isdigit())
    return files


def same(got, expected, days=slice(None)):
    """Whether archives are equal to the bit, apart from what a day is beside its status."""
    for name in expected.data_vars:
        if "time" in expected[name].dims and name != "day_status":
            a, b = (ds[name].sel(time=days).values for ds in (got, expected))
            np.testing.assert_array_equal(a, b, err_msg=str(name))


def test_days_that_come_one_by_one_make_the_archive_of_one_run(world, begun):
    for day in SIZE.dates[TRAINED:]:
        arrive(begun, [day])
        result = update(begun)
        assert result.added == [str(day)] and result.newest == str(day)
        assert result.products["nldas"] == str(day)
        assert set(result.changed) == {str(day - 10)}  # which became final
        assert (result.provisional, result.final) == (
            10,
            (day - SIZE.dates[0]).astype(int) - 10,
        )  # no pass on the first day
    got, expected = archive(begun / "results"), archive(world / "whole")
    same(got, expected)
    np.testing.assert_array_equal(got["day_status"], expected["day_status"])
    assert got["day_status"].attrs["flag_meanings"] == "provisional final"
    assert {"sm_5cm_percentile", "sm_25cm_anomaly", "sm_5cm_std"} <= set(got.data_vars)
    nothing = update(begun)
    assert (nothing.added, nothing.changed) == ([], {}) and nothing.newest == str(SIZE.dates[-1])
    journal = (begun / "results" / ".xsm" / "updates.jsonl").read_text().splitlines()
    assert [json.loads(line)["newest"] for line in journal[-2:]] == [str(SIZE.dates[-1])] * 2
    assert (begun / "results" / "geotiff" / f"sm_25cm_{SIZE.dates[-1]}.tif").is_file()
    assert catalogue(begun / "results") == catalogue(world / "whole")


@pytest.mark.slow
def test_a_late_granule_redoes_its_day_and_those_that_rest_on_it(world, begun):
    for path in granules_of(begun, "SMAP", LATE):
        path.unlink()
    arrive(begun, SIZE.dates[TRAINED:])
    for path in granules_of(begun, "SMAP", LATE):
        path.unlink()
    removed = update(begun)
    assert removed.changed[LATE].startswith("granules of smap") and "2021-05-22" not in removed.changed
    before = archive(begun / "results")
    same(before, archive(world / "whole"), slice(None, "2021-05-22"))
    assert bool((before["sm_5cm"] != archive(world / "whole")["sm_5cm"]).sel(time=slice(LATE, None)).any())
    arrive(begun, [np.datetime64(LATE)])
    late = update(begun)
    assert late.added == [] and min(late.changed) == LATE and late.changed["2021-05-30"] == "an earlier day changed"
    same(archive(begun / "results"), archive(world / "whole"))


@pytest.mark.slow
def test_a_product_that_lags_does_not_stop_the_day(world, begun):
    arrive(begun, SIZE.dates[TRAINED:])
    for day in LAGS:
        for path in granules_of(begun, "NLDAS", day):
            path.unlink()
    for path in granules_of(begun, "NLDAS", "2021-05-30"):
        path.unlink()
    result = update(begun)
    assert result.newest == "2021-05-29" and result.products["nldas"] == "2021-05-27"
    without, whole = archive(begun / "results"), archive(world / "whole")
    same(without, whole, slice(None, "2021-05-27"))
    last = {"time": "2021-05-29"}
    assert bool((without["sm_5cm"].sel(last).notnull() == whole["sm_5cm"].sel(last).notnull()).all())
    for name in ("sm_5cm_std", "sm_25cm_std"):
        spreads = [float(without[name].sel(time=day).mean()) for day in ("2021-05-27", *LAGS)]
        assert spreads == sorted(spreads) and spreads[-1] > spreads[0], name
    arrive(begun, SIZE.dates[-3:])
    update(begun)
    same(archive(begun / "results"), whole)


@pytest.mark.slow
def test_a_crash_while_days_are_moved_in_is_finished_by_the_next_run(world, begun, monkeypatch):
    arrive(begun, SIZE.dates[TRAINED:])
    real, count = os.replace, 0

    def dies(*paths):
        nonlocal count
        count += "archive.zarr" in str(paths[1]) and "/c/" in str(paths[1]) and ".part" not in str(paths[1])
        if count == 20:
            raise KeyboardInterrupt
        real(*paths)

    monkeypatch.setattr(os, "replace", dies)
    monkeypatch.setattr(shutil, "rmtree", lambda *a, **k: None)  # as where the process was killed
    with pytest.raises(KeyboardInterrupt):
        update(begun)
    monkeypatch.undo()
    assert xr.open_zarr(begun / "results" / "archive.zarr").sizes["time"] == TRAINED - 1
    update(begun)
    same(archive(begun / "results"), archive(world / "whole"))
    assert not list((begun / "results").rglob("*.part"))


@pytest.mark.slow
def test_clock_zone_and_copies_of_granules_change_nothing(world, begun, monkeypatch):
    arrive(begun, SIZE.dates[TRAINED:])
    update(begun)
    for path in (begun / "files").rglob("*.h5"):
        os.utime(path, (2_000_000_000, 1))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        result = update(begun)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (result.added, result.changed) == ([], {})


@pytest.mark.slow
@pytest.mark.parametrize("share", (0.1, 0.5, 0.95))
def test_a_full_disk_leaves_the_archive_as_it_was(world, begun, share):
    """A disk with room for a share of what the update adds, and then more."""
    if not can_mount():
        pytest.skip("this process may not mount")
    arrive(begun, SIZE.dates[TRAINED:])
    before, after = blocks(begun / "results"), blocks(world / "whole")
    size = int(before + share * (after - before)) // 4096 * 4096
    with mounted(begun / "disk", f"size={size}") as change:
        shutil.copytree(begun / "results", begun / "disk" / "results")
        on_disk = replace(study_in(begun), out=begun / "disk" / "results")
        with hear(), pytest.raises(DataError, match="No space left"):
            update_study(on_disk)
        same(archive(on_disk.out), archive(begun / "results"))
        change("size=1g")
        with hear():
            update_study(on_disk)
        same(archive(on_disk.out), archive(world / "whole"))
        assert not list(on_disk.out.rglob("*.part"))


def blocks(folder):
    """Room that the files of a folder take in blocks of 4096 bytes."""
    return 4096 * sum(-(-p.stat().st_size // 4096) for p in folder.rglob("*") if p.is_file())


def test_a_second_update_at_once_is_refused(begun):
    with alone(begun / "results"), pytest.raises(DataError, match="Another run is using"):
        update(begun)


@pytest.mark.slow
def test_the_models_are_trained_again_on_request_alone(world, begun, capsys):
    trained = (begun / "results" / "models" / "fuse" / "card.json").read_text()
    path = granules_of(begun, "SMAP", "2021-05-12")[0]
    path.unlink()
    arrive(begun, SIZE.dates[TRAINED:])
    result = update(begun)
    assert result.changed["2021-05-12"].startswith("granules of smap")
    assert (begun / "results" / "models" / "fuse" / "card.json").read_text() == trained
    out = ["out = 'results'" if line.startswith("out =") else line
           for line in (begun / "study.toml").read_text().splitlines()]  # fmt: skip
    (begun / "study.toml").write_text("\n".join(out))
    assert code_of("update", begun / "study.toml", "--retrain", "--json") == 0
    line = json.loads(capsys.readouterr().out)
    assert line["newest"] == str(SIZE.dates[-1]) and "trained again" in str(line["changed"])
    assert (begun / "results" / "models" / "fuse" / "card.json").read_text() != trained
    assert code_of("update", begun / "study.toml") == 0
    assert "newest of smap" in capsys.readouterr().out


@pytest.mark.slow
def test_a_longer_period_costs_only_the_new_days(world, begun):
    """`xsm run` and `xsm update` share one engine, and the fusion is that of the whole cube."""
    arrive(begun, SIZE.dates[TRAINED:])
    before = {p: p.stat().st_mtime_ns for p in (begun / "results" / "data" / "cube.zarr").rglob("c/*/0/0")}
    with hear():
        run_study(replace(study_in(begun), out=begun / "results"))
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    same(archive(begun / "results"), archive(world / "whole"))
    estimates, cube = (files.read(begun / "results" / name) for name in ("estimates.nc", "data/cube.zarr"))
    same(estimates.load(), archive(begun / "results")[["sm_5cm", "sm_25cm_std"]])
    cube.attrs.pop("xsm_region", None)
    with hear():
        fused = cube.load().sm.fuse(model=begun / "results" / "models" / "fuse", mode="filter")
        ranks = fused.sm.percentile(time="2021-05-01/2021-05-20", min_years=1)
    for name in ("sm_5cm", "sm_25cm_std"):
        inside = fused[name].sel(x=estimates["x"], y=estimates["y"])
        np.testing.assert_array_equal(estimates[name].values, inside.values)
    for name in ("sm_5cm_percentile", "sm_25cm_percentile"):
        inside = ranks[name].sel(x=estimates["x"], y=estimates["y"])
        np.testing.assert_allclose(archive(begun / "results")[name].values, inside.values, atol=1e-4)


@pytest.mark.slow
def test_results_about_the_whole_period_do_not_look_current(world, begun):
    """The report says that the maps went on, until a run writes it anew."""
    with hear():
        run_study(replace(study_in(begun), out=begun / "results"))
    page = begun / "results" / "report" / "report.html"
    assert update(begun).outdated == [] and "since this report" not in page.read_text()
    arrive(begun, SIZE.dates[TRAINED:])
    for _ in range(2):  # it stays so where an update has nothing to do
        assert update(begun).outdated == ["estimates.nc", "report"]
        assert page.read_text().count("since this report") == 1
    with hear():
        run_study(replace(study_in(begun), out=begun / "results"))
    assert update(begun).outdated == [] and "since this report" not in page.read_text()


def test_a_cube_made_by_days_has_the_roles_that_the_study_names(begun):
    named = replace(study_in(begun), out=begun / "results", roles={"retrieval": "sm_scav"})
    with hear():
        run_stages([s for s in stages_of(named) if s.name == "cube" or s.name.startswith("open ")], named.out)
    assert named_in(day_store.read(named.out / "data" / "cube.zarr"))["retrieval"] == "sm_scav"


@pytest.mark.slow
def test_new_granules_are_fetched_and_what_cannot_be_is_told(world, begun, monkeypatch):
    """Each input of days from ``provisional`` days before its newest granule until today, into its folder."""
    requests = []

    def provider(name, folder, *, region, time, **options):
        requests.append((name, folder.name, time.split("/")[0]))
        if name == "nldas":
            raise FetchError("The catalogue does not answer.")
        arrive(begun, SIZE.dates[TRAINED:])
        for path in (begun / "files" / "NLDAS").glob("*2021053*"):
            path.unlink()

    monkeypatch.setattr("xsm.study.updating.download", provider)
    with hear() as heard:
        result = update_study(replace(study_in(begun), out=begun / "results"), fetch=True)
    before, then = SIZE.dates[TRAINED - 1], SIZE.dates[-2]
    assert requests == [("smap", "SMAP", str(before - 10)), ("nldas", "NLDAS", str(then - 10))]
    assert result.newest == str(then) and any("could not be fetched" in str(w) for w in heard)
