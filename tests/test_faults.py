"""Faults in runs of a study: nothing lost, nothing half written, nothing wrong in silence.

The slow part is `make faults`, which injects real faults into real runs and prints the table of docs/results.md;
the fast part are the rules that it rests on.
"""

from __future__ import annotations

import errno
import os
import random
import sys
import threading
import time
import warnings
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import xsm
from tests.reliability import faults
from tests.reliability.fault_study import FaultStudy, contents
from tests.web_server import BODY, cut, in_turn, names, one, ranged
from xsm.compute import zarr_regions as regions
from xsm.contracts.bundle import Bundle
from xsm.contracts.registry import get_source
from xsm.data.skipped import LEFT_OUT, mark, tell_skipped
from xsm.errors import DataError, SkippedFile, hear, tell
from xsm.faces.cli import main
from xsm.io import files
from xsm.options import set_options
from xsm.plugin_api import download
from xsm.study import pipeline
from xsm.study.config import Fill, Source, Study
from xsm.study.forecast import plan
from xsm.study.pipeline import run_study
from xsm.study.stages import Stages, alone, clear, fingerprint, left_out
from xsm.twin import default_grid, make_world


@pytest.fixture
def out(tmp_path):
    (tmp_path / ".xsm").mkdir()
    return tmp_path


def stages(out):
    return Stages(out, lambda name: None)


def lazy(fail_at=None, made=None):
    """Three regions of days; making one of them can fail."""
    days = np.arange(150).astype("M8[D]").astype("M8[ns]")

    def block(block_info):
        first = block_info[None]["array-location"][0][0]
        if made is not None:
            made.append(first)
        if first == fail_at:
            raise DataError("a fault.")
        return np.full(block_info[None]["chunk-shape"], first, "f4")

    array = da.map_blocks(block, chunks=((64, 64, 22), (4,)), dtype="f4", meta=np.empty((0, 0), "f4"))
    return xr.Dataset({"a": (("time", "x"), array)}, {"time": days})


def write(ds):
    return lambda part: files.write_zarr(ds, part, journal=part.with_suffix(".journal"))


def test_a_stage_goes_on_after_its_last_whole_region(out):
    made: list[int] = []
    with set_options(threads=1):
        with pytest.raises(DataError, match="a fault"):
            stages(out).run("a", 1, [], out / "a.zarr", write(lazy(128, made)))
        assert not (out / "a.zarr").exists() and not stages(out).done
        stages(out).run("a", 1, [], out / "a.zarr", write(lazy(None, made)))
        assert made == [0, 64, 128, 128]
        stages(out).run("a", 1, [], out / "a.zarr", write(lazy(0)))  # done: not made again
        np.testing.assert_array_equal(files.read(out / "a.zarr")["a"][:, 0], np.repeat([0, 64, 128], [64, 64, 22]))
        assert sorted(p.name for p in out.iterdir()) == [".xsm", "a.zarr"]


def test_a_changed_stage_starts_anew_and_keeps_the_old_result_until_then(out):
    made: list[int] = []
    with set_options(threads=1):
        stages(out).run("a", 1, [], out / "a.zarr", write(lazy() * 0))
        with pytest.raises(DataError, match="a fault"):
            stages(out).run("a", 2, [], out / "a.zarr", write(lazy(128)))
        assert (files.read(out / "a.zarr")["a"] == 0).all()
        stages(out).run("a", 3, [], out / "a.zarr", write(lazy(None, made)))
    assert made == [0, 64, 128]
    assert not list(out.glob(".*.part"))


def test_what_rests_on_a_changed_stage_is_done_again(out):
    def run(about):
        steps = []
        made = Stages(out, steps.append)
        for name, rests_on, told in (("a", [], about), ("b", ["a"], 0), ("c", [], 0)):
            made.run(name, told, rests_on, out / f"{name}.txt", lambda part: part.write_text("x"))
        return steps

    assert run(1) == ["a", "b", "c"]
    assert run(1) == []
    assert run(2) == ["a", "b"]


def test_files_left_out_are_listed_once_and_mark_their_days(out):
    def work(part):
        tell(SkippedFile("in/x_20210602.h5", "x_20210602.h5 is cut"))
        tell_skipped(xr.Dataset(attrs={"skipped": "x_20210602.h5; in/A20210602.0300.nc: no HDF5"}), names)
        tell("odd")
        tell("3 station values lie outside 0 to 1 m3 m-3 and are left out.")
        tell("2 files are left out, the first: x_20210602.h5")
        warnings.warn_explicit("old", DeprecationWarning, "library.py", 7)
        part.write_text("x")

    names = ["in/x_20210602.h5", "in/A20210602.0300.nc"]
    made = stages(out)
    with pytest.warns(UserWarning, match="odd") as told:
        made.run("open", 1, [], out / "a.txt", work)
    assert ("old", "library.py") in [(str(w.message), w.filename) for w in told]
    made.end()
    lost = left_out(out)
    assert lost == {
        "x_20210602.h5": "left out: x_20210602.h5 is cut",
        "A20210602.0300.nc": "left out: in/A20210602.0300.nc: no HDF5",
    }
    assert made.left_out(["open"]) == sorted(lost)
    days = np.arange("2021-06-01", "2021-06-04", dtype="M8[D]").astype("M8[ns]")
    marked = mark(xr.Dataset(coords={"time": days}), lost)
    assert marked[LEFT_OUT].values.tolist() == [0, 2, 0]
    assert LEFT_OUT not in mark(xr.Dataset(coords={"time": days}), [])
    other = stages(out)  # of a study that wants this stage no more
    other.run("cube", 1, [], out / "b.txt", lambda part: part.write_text("x"))
    other.end()
    assert left_out(out) == {} and "open" in stages(out).done


def test_a_crash_before_the_manifest_is_written_does_not_pass_for_the_old_result(out, monkeypatch):
    def run(mode):
        steps = []
        made = Stages(out, steps.append)
        made.run("fill", mode, [], out / "a.txt", lambda part: part.write_text(mode))
        return steps

    run("smoother")
    save = Stages._save

    def killed(self):
        if "fill" in self.done:
            raise SystemExit(9)
        save(self)

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(Stages, "_save", killed)
        run("filter")
    assert (out / "a.txt").read_text() == "filter"
    assert run("smoother") == ["fill"] and (out / "a.txt").read_text() == "smoother"


def test_a_smaller_memory_limit_keeps_what_is_written(out):
    def maps(fail_at=None):
        def block(block_info):
            (first, _), (row, _), _ = block_info[None]["array-location"]
            if (first, row) == fail_at:
                raise DataError("a fault.")
            made.append((first, row))
            return np.full(block_info[None]["chunk-shape"], first + row, "f4")

        shape = ((64, 64), (64, 64, 64, 8), (64,))
        array = da.map_blocks(block, chunks=shape, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
        return xr.Dataset({"a": (("time", "y", "x"), array)}, {"time": np.arange(128).astype("M8[D]").astype("M8[ns]")})

    row, made = 16 * 64 * 64, list[tuple[int, int]]()
    with set_options(threads=1, memory_limit=128 * row), pytest.raises(DataError, match="a fault"):
        stages(out).run("a", 1, [], out / "a.zarr", write(maps((64, 128))))
    for limit in (64 * row, 1024 * row):  # less memory, then more
        with set_options(threads=1, memory_limit=limit), pytest.raises(DataError, match="a fault"):
            stages(out).run("a", 1, [], out / "a.zarr", write(maps((64, 192))))
    with set_options(threads=1, memory_limit=64 * row):
        stages(out).run("a", 1, [], out / "a.zarr", write(maps()))
    assert {made.count(place) for place in ((0, 0), (0, 192), (64, 64), (64, 128))} == {1}
    stored = files.read(out / "a.zarr")["a"][::64, ::64, 0]
    np.testing.assert_array_equal(stored, [[0, 64, 128, 192], [64, 128, 192, 256]])


def test_files_that_stop_a_run_are_settled_only_where_some_were_left_out(out):
    def run(strict, lost=None):
        steps = []
        made = Stages(out, steps.append)
        work = lambda part: (lost and tell(SkippedFile(lost, "is cut")), part.write_text("x"))  # noqa: E731
        made.run("open", 1, [], out / "a.txt", work, strict=strict)
        return steps

    assert run(True) == ["open"] and run(False) == []
    (out / "a.txt").unlink()
    assert run(False, "x.h5") == ["open"] and run(False) == [] and run(True) == ["open"]


def test_a_journal_that_tells_of_files_left_out_is_not_for_a_strict_run(tmp_path):
    part, journal, made = tmp_path / "a.zarr", tmp_path / "a.journal", []

    def block(array, fail):
        made.append(1)
        if fail and len(made) == 2:
            raise DataError("a fault.")
        tell(SkippedFile("x.h5", "is cut"))
        return array

    def store(fail, strict):
        ds = lazy()
        ds["a"].data = ds["a"].data.map_blocks(block, fail, dtype="f4", meta=np.empty((0, 0), "f4"))
        with set_options(threads=1), hear() as heard:
            files.write_zarr(ds, part, journal=journal, strict=strict)
        return [w.file for w in heard]

    with pytest.raises(DataError, match="a fault"):
        store(True, False)
    assert store(False, False).count("x.h5") >= 1 and len(made) == 4  # the first region is there, and told of
    assert store(False, False) == ["x.h5"] and len(made) == 4
    store(False, True)
    assert len(made) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_an_input_that_cannot_be_read_is_its_sources_matter(tmp_path):
    get_source("smap").write(make_world(default_grid(8), 8, seed=1), tmp_path / "SMAP")
    there = sorted((tmp_path / "SMAP").rglob("*.h5"))
    gone = there[1]
    gone.unlink()
    gone.symlink_to("nowhere")
    assert fingerprint(gone) == (0, 0, "No such file or directory")
    study = Study(tmp_path / "out", {"smap": Source([tmp_path / "SMAP"])}, gapfill=Fill("linear", variables=("tb_h",)))
    study = replace(study, region=default_grid(8), margin=0)
    assert f"open smap: {len(there)} files" in plan(study)
    with pytest.raises(DataError, match=f"{gone.name} cannot be opened"):
        run_study(study)
    run_study(replace(study, on_error="skip"))
    assert list(left_out(study.out)) == [gone.name]
    assert files.read(study.out / "maps.nc")[LEFT_OUT].values.sum() == 1


@pytest.mark.parametrize("lost", [5, 24])
def test_a_day_of_covariates_that_was_left_out_does_not_stop_a_study(tmp_path, lost):
    """With more than 4 hours lost NLDAS has no mean of the day, with which the gaps of SMAP are to be filled."""
    world = make_world(default_grid(8), 8, seed=1)
    for name in ("smap", "nldas"):
        get_source(name).write(world, tmp_path / name)
    day = str(world.truth["time"].values[3].astype("M8[D]")).replace("-", "")
    for path in sorted(p for p in (tmp_path / "nldas").rglob("*.nc") if f"A{day}" in p.name and "NOAH" in p.name)[
        :lost
    ]:
        path.write_bytes(b"")
    fill = Fill("cru", variables=("tb_h",), covariates=("soil_temperature_0_10",), options={"epochs": 1})
    inputs = {name: Source([tmp_path / name]) for name in ("smap", "nldas")}
    study = Study(tmp_path / "out", inputs, gapfill=fill, region=default_grid(8), margin=0, on_error="skip")
    with pytest.warns(UserWarning, match="soil_temperature_0_10 lack days, whose files were left out"):
        run_study(study)
    maps = files.read(study.out / "maps.nc")
    assert bool(maps["tb_h"].notnull().all("time").any())
    assert int(maps[LEFT_OUT].sum()) == lost


STATIONS = """
region = {region}
margin = 0
on_error = "skip"
[inputs.smap]
paths = "SMAP/*"
[stations.uscrn]
paths = "USCRN"
[gapfill]
method = "linear"
variables = ["tb_h"]
"""


def test_each_file_left_out_is_told_once_and_a_long_list_is_folded(tmp_path, capsys):
    """A bad file of stations was told three times, and an empty folder of a pattern stopped the run."""
    world = make_world(default_grid(8), 8, seed=1)
    for number, path in enumerate(get_source("smap").write(world, tmp_path / "all")):
        (tmp_path / "SMAP" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "SMAP" / str(number % 2) / path.name)
    (tmp_path / "SMAP" / "empty").mkdir()
    get_source("uscrn").write(world, tmp_path / "USCRN")
    bad = [tmp_path / "USCRN" / f"CRNH0203-2021-ZZ_{number:02}.txt" for number in range(14)]
    for path in bad:
        path.write_text("<html>\n<body>Not found</body>")
    (tmp_path / "study.toml").write_text(STATIONS.format(region=[float(v) for v in default_grid(8).bbox]))
    with pytest.raises(SystemExit) as stop:
        main(["run", str(tmp_path / "study.toml")])
    told = capsys.readouterr().err
    assert stop.value.code == 1 and "but for 14 files left out" in " ".join(told.split())
    assert [told.count(path.name) for path in bad] == [1] * 10 + [0] * 4
    assert f"and 4 more; all of them are in '{tmp_path / 'study' / '.xsm' / 'manifest.json'}'" in told
    assert told.count("empty' holds no file of source 'smap' and is left out") == 1
    assert sorted(left_out(tmp_path / "study")) == sorted(path.name for path in bad)
    skipped = files.read(tmp_path / "study" / "data" / "stations.nc").attrs["skipped"]
    assert len(skipped) == 14


def test_a_folder_with_a_nul_byte_in_its_name_is_refused(tmp_path):
    study = Study(tmp_path / "a\0b", {"smap": Source([tmp_path])})
    with pytest.raises(DataError, match=r"a\\0b' cannot be used \(embedded null byte\)"):
        run_study(study)


def test_a_gap_fill_that_goes_on_has_one_model(tmp_path, monkeypatch):
    """Training is made to differ from call to call, as it does where a clock ends it."""
    rng, grid = np.random.default_rng(0), xsm.EASE2_M09.window(300, 308, 1000, 1140)
    days = np.arange("2021-04-01", "2021-05-11", dtype="M8[D]").astype("M8[ns]")
    values = np.where(rng.random((40, *grid.shape)) < 0.5, rng.normal(250, 9, (40, *grid.shape)), np.nan).astype("f4")
    cube = grid.assign(xr.Dataset({"tb_h": (("time", "y", "x"), values, {"units": "K"})}, {"time": days}))
    files.write(cube, tmp_path / "cube.zarr")
    out = tmp_path / "out"
    (out / ".xsm").mkdir(parents=True)
    study, trained = Study(out, {}, gapfill=Fill("linear", variables=("tb_h",))), []

    def fit(*args, **options):
        bundle = pipeline_fit(*args, **options)
        trained.append(Bundle({**bundle.card, "seed": len(trained)}, bundle.weights))
        return trained[-1]

    def killed(self, *args):
        close(self, *args)
        raise SystemExit(9)

    pipeline_fit, close = pipeline.fit, regions._Journal.close
    monkeypatch.setattr(pipeline, "fit", fit)

    def fill():
        made = stages(out)
        made.run("cube", 1, [], out / "cube.txt", lambda part: part.write_text("x"))
        with set_options(threads=1):
            return pipeline._filled(study, study.gapfill, made, tmp_path / "cube.zarr")

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(regions._Journal, "close", killed)
        fill()
    filled = files.read(fill())
    assert len(trained) == 1 and Bundle.load(out / "models" / "fill").hash == trained[0].hash
    assert trained[0].hash in filled["tb_h"].attrs["fill_method"] and trained[0].hash in filled.attrs["history"]
    assert not filled["tb_h"].isnull().any()


def test_series_that_need_no_model_have_none(tmp_path):
    get_source("smap").write(make_world(default_grid(8), 4, seed=1), tmp_path / "SMAP")
    opened = xsm.open("smap", tmp_path / "SMAP", region=default_grid(8), margin=0, variables=["albedo"]).load()
    files.write(opened.fillna(0.05), tmp_path / "cube.zarr")
    (tmp_path / "out" / ".xsm").mkdir(parents=True)
    made = stages(tmp_path / "out")
    made.run("cube", 1, [], tmp_path / "out" / "cube.txt", lambda part: part.write_text("x"))
    fill = Fill("linear", variables=("albedo",))
    store = pipeline._filled(Study(made.out, {}, gapfill=fill), fill, made, tmp_path / "cube.zarr")
    assert not list((made.out / "models" / "fill").iterdir()) and files.read(store)["albedo"].notnull().all()


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_a_file_system_without_locks_is_named(out, monkeypatch):
    import fcntl

    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(DataError, match=r"cannot be locked \(Function not implemented, ENOSYS\)"), alone(out):
        pass


def test_files_are_on_the_disk_before_they_have_their_names(out, monkeypatch):
    done = []
    for name in ("fsync", "replace", "sync"):
        true = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, true=true, name=name: (done.append(name), true(*a))[1])
    files.write(xr.Dataset({"a": ("x", [1.0])}), out / "a.nc")
    assert done == ["fsync", "replace", "fsync"]
    done.clear()
    with set_options(threads=1):
        stages(out).run("a", 1, [], out / "a.zarr", write(lazy()))
    last_of_journal, store = ["sync", "fsync", "replace", "fsync"], ["sync", "replace", "fsync"]
    assert done[-10:] == [*last_of_journal, *store, "fsync", "replace", "fsync"]  # then the manifest


def test_a_damaged_manifest_and_a_strange_folder_are_one_sentence(out, tmp_path):
    (out / ".xsm" / "manifest.json").write_text('{"open": ')
    with pytest.raises(DataError, match=r"manifest\.json' is damaged .* Remove it"):
        stages(out)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").touch()
    with pytest.raises(DataError, match="holds other files"), alone(strange):
        pass
    with alone(out), pytest.raises(DataError, match="Another run works"), alone(out):
        pass
    (out / ".a.zarr.x.part").mkdir()
    clear(out)
    assert not list(out.glob(".*.part"))


def test_a_model_has_one_name_whenever_it_is_made():
    card = {"format": 1, "task": "gapfill", "model": "x", "inputs": ["a"], "targets": ["a"], "units": {}}

    def made(when, what="cube()"):
        return Bundle({**card, "sources": {"history": [f"{when} xsm 0.1.0: {what}"]}}, {"w": np.zeros(2)}).hash

    assert made("2026-11-24T18:13:23Z") == made("2026-11-25T09:00:00Z") != made("2026-11-24T18:13:23Z", "open()")


def test_a_stalled_server_costs_nothing(serve, tmp_path):
    """It falls silent again and again after half of the file; what came is kept, and the file is whole in the end."""
    server, gone = serve(), threading.Event()
    server.routes["/x.bin"] = in_turn(*(cut(wait=lambda: gone.wait(5)) for _ in range(2)), ranged())
    with set_options(timeout=0.3):
        start = time.monotonic()
        made = download([one(server, size=len(BODY))], tmp_path)
    gone.set()
    assert made.paths[0].read_bytes() == BODY and names(tmp_path) == ["x.bin"]
    assert time.monotonic() - start < 60


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return FaultStudy(tmp_path_factory.mktemp("faults") / "study")


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif(sys.platform == "win32", reason="signals and mounts of POSIX")
@pytest.mark.parametrize("name", faults.SCENARIOS)
def test_faults_are_survived(bench, name):
    if name in faults.MOUNTS and not faults.can_mount():
        pytest.skip("this process may not mount a file system")
    if name.startswith("lost"):
        pytest.importorskip("distributed")
    work, count = faults.SCENARIOS[name]
    tally = work(bench, random.Random(name), count)
    assert tally.well, tally


def test_contents_are_values_and_tags_but_no_times(tmp_path):
    """A GeoTIFF whose history falls into other seconds is the same, one with another value or tag is not."""
    maps = xsm.example("cube", size=16, days=8)[["tb_h"]].compute()

    def written(name, **attrs):
        folder = tmp_path / name
        xsm.io.files.write(maps.assign_attrs(attrs), folder / "a.tif")
        return contents(folder)["a.tif"]

    lines = [f"2026-01-01T00:00:0{n}Z xsm 0.1.0: open(x=1)" for n in (1, 2)]
    once, twice = written("once", history=lines[0]), written("twice", history="\n".join(lines))
    assert once == twice
    assert once != written("tag", history=lines[0], title="other")
    assert once != written("line", history=lines[0].replace("x=1", "x=2"))
    maps["tb_h"][0, 5, 5] = 200.0
    assert once != written("value", history=lines[0])
