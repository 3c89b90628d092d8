"""Stages of a study: continued, done again when something changed, never half done, one run at a time."""

from __future__ import annotations

import errno
import os
import sys

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from xsm.errors import DataError, SkippedFile, hear, tell
from xsm.io import files
from xsm.options import set_options
from xsm.study import stages
from xsm.study.config import Source, Study
from xsm.study.locked import alone
from xsm.study.pipeline import run_study
from xsm.study.stages import Stage, clear, manifest, run_stages


@pytest.fixture
def out(tmp_path):
    (tmp_path / ".xsm").mkdir()
    return tmp_path


def run(out, *table):
    """Run a table of stages; names of those that were not done before."""
    begun: list[str] = []
    run_stages(table, out, lambda text: begun.append(text.split(" ", 1)[1]))
    return begun


def store(out, ds, about=1):
    """A stage that writes a Zarr store which an interrupted run continues."""

    def work(part):
        files.write_zarr(ds, part, journal=part.with_suffix(".journal"))

    return Stage("a", [], lambda: about, out / "a.zarr", work)


def text(out, name, about=0, rests_on=(), **more):
    """A stage that writes what it is about into a file."""
    return Stage(name, rests_on, lambda: about, out / f"{name}.txt", lambda part: part.write_text(str(about)), **more)


def lazy(fail_at=None, blocks=None):
    """Three regions of days; the computation of one can fail, and each is noted in ``blocks``."""
    days = np.arange(150).astype("M8[D]").astype("M8[ns]")

    def block(block_info):
        first = block_info[None]["array-location"][0][0]
        if blocks is not None:
            blocks.append(first)
        if first == fail_at:
            raise DataError("a fault.")
        return np.full(block_info[None]["chunk-shape"], first, "f4")

    array = da.map_blocks(block, chunks=((64, 64, 22), (4,)), dtype="f4", meta=np.empty((0, 0), "f4"))
    return xr.Dataset({"a": (("time", "x"), array)}, {"time": days})


def test_a_stage_continues_after_its_last_whole_region(out):
    blocks: list[int] = []
    with set_options(threads=1):
        with pytest.raises(DataError, match="a fault"):
            run(out, store(out, lazy(128, blocks)))
        assert not (out / "a.zarr").exists() and not manifest(out)
        run(out, store(out, lazy(None, blocks)))
        assert blocks == [0, 64, 128, 128]
        assert run(out, store(out, lazy(0))) == []
        np.testing.assert_array_equal(files.read(out / "a.zarr")["a"][:, 0], np.repeat([0, 64, 128], [64, 64, 22]))
        assert sorted(p.name for p in out.iterdir()) == [".xsm", "a.zarr"]


def test_a_changed_stage_starts_again_and_keeps_the_old_result_until_then(out):
    blocks: list[int] = []
    with set_options(threads=1):
        run(out, store(out, lazy() * 0))
        with pytest.raises(DataError, match="a fault"):
            run(out, store(out, lazy(128), about=2))
        assert (files.read(out / "a.zarr")["a"] == 0).all()
        run(out, store(out, lazy(None, blocks), about=3))
    assert blocks == [0, 64, 128]
    assert not list(out.glob(".*.part"))


def test_what_rests_on_a_changed_stage_is_done_again(out):
    def again(about):
        return run(out, text(out, "a", about), text(out, "b", rests_on=["a"]), text(out, "c"))

    assert again(1) == ["a", "b", "c"]
    assert again(1) == []
    assert again(2) == ["a", "b"]


def test_a_crash_before_the_manifest_is_written_does_not_pass_for_the_old_result(out, monkeypatch):
    save = stages.save_manifest

    def killed(folder, done):
        if "fill" in done:
            raise SystemExit(9)
        save(folder, done)

    run(out, text(out, "fill", "smoother"))
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(stages, "save_manifest", killed)
        run(out, text(out, "fill", "filter"))
    assert (out / "fill.txt").read_text() == "filter"
    assert run(out, text(out, "fill", "smoother")) == ["fill"] and (out / "fill.txt").read_text() == "smoother"


def test_a_smaller_memory_limit_keeps_what_is_written(out):
    def maps(fail_at=None):
        def block(block_info):
            (first, _), (row, _), _ = block_info[None]["array-location"]
            if (first, row) == fail_at:
                raise DataError("a fault.")
            blocks.append((first, row))
            return np.full(block_info[None]["chunk-shape"], first + row, "f4")

        shape = ((64, 64), (64, 64, 64, 8), (64,))
        array = da.map_blocks(block, chunks=shape, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
        return xr.Dataset({"a": (("time", "y", "x"), array)}, {"time": np.arange(128).astype("M8[D]").astype("M8[ns]")})

    row, blocks = 16 * 64 * 64, list[tuple[int, int]]()
    with set_options(threads=1, memory_limit=128 * row), pytest.raises(DataError, match="a fault"):
        run(out, store(out, maps((64, 128))))
    for limit in (64 * row, 1024 * row):  # less memory, then more
        with set_options(threads=1, memory_limit=limit), pytest.raises(DataError, match="a fault"):
            run(out, store(out, maps((64, 192))))
    with set_options(threads=1, memory_limit=64 * row):
        run(out, store(out, maps()))
    assert {blocks.count(place) for place in ((0, 0), (0, 192), (64, 64), (64, 128))} == {1}
    values = files.read(out / "a.zarr")["a"][::64, ::64, 0]
    np.testing.assert_array_equal(values, [[0, 64, 128, 192], [64, 128, 192, 256]])


def test_a_stage_that_left_out_files_is_not_done_for_a_strict_run(out):
    def again(strict, file=None):
        def work(part):
            if file:
                tell(SkippedFile(file, "is cut"))
            part.write_text("x")

        return run(out, Stage("open", [], lambda: 1, out / "a.txt", work, strict))

    assert again(True) == ["open"] and again(False) == []
    (out / "a.txt").unlink()
    assert again(False, "x.h5") == ["open"] and again(False) == [] and again(True) == ["open"]


def test_a_strict_run_does_not_continue_a_store_that_left_out_files(tmp_path):
    part, journal, calls = tmp_path / "a.zarr", tmp_path / "a.journal", []

    def block(array, fail):
        calls.append(1)
        if fail and len(calls) == 2:
            raise DataError("a fault.")
        tell(SkippedFile("x.h5", "is cut"))
        return array

    def skipped_files(fail, strict):
        ds = lazy()
        ds["a"].data = ds["a"].data.map_blocks(block, fail, dtype="f4", meta=np.empty((0, 0), "f4"))
        with set_options(threads=1), hear() as heard:
            files.write_zarr(ds, part, journal=journal, strict=strict)
        return [w.file for w in heard]

    with pytest.raises(DataError, match="a fault"):
        skipped_files(True, False)
    assert (
        skipped_files(False, False).count("x.h5") >= 1 and len(calls) == 4
    )  # the first region is there, and its warning
    assert skipped_files(False, False) == ["x.h5"] and len(calls) == 4
    skipped_files(False, True)
    assert len(calls) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_a_file_system_without_locks_is_named(out, monkeypatch):
    import fcntl

    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(DataError, match=r"cannot be locked \(Function not implemented, ENOSYS\)"), alone(out):
        pass


def test_files_are_on_the_disk_before_they_have_their_names(out, monkeypatch):
    calls = []
    for name in ("fsync", "replace", "sync"):
        true = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, true=true, name=name: (calls.append(name), true(*a))[1])
    files.write(xr.Dataset({"a": ("x", [1.0])}), out / "a.nc")
    assert calls == ["fsync", "replace", "fsync"]
    calls.clear()
    with set_options(threads=1):
        run(out, store(out, lazy()))
    last_of_journal = ["sync", "fsync", "replace", "fsync"]
    of_store = ["replace", "sync", "replace", "fsync"]  # the first one is that of the consolidated metadata
    of_manifest = ["fsync", "replace", "fsync"]
    assert calls[-14:] == [*last_of_journal, *of_store, *of_manifest, *of_manifest]


def test_a_damaged_manifest_and_a_strange_folder_are_one_sentence(out, tmp_path):
    (out / ".xsm" / "manifest.json").write_text('{"open": ')
    with pytest.raises(DataError, match=r"manifest\.json' is damaged .* Remove it"):
        manifest(out)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").touch()
    with pytest.raises(DataError, match="contains other files"), alone(strange):
        pass
    with alone(out), pytest.raises(DataError, match="Another run is using"), alone(out):
        pass
    (out / ".a.zarr.x.part").mkdir()
    clear(out)
    assert not list(out.glob(".*.part"))


def test_a_folder_with_a_nul_byte_in_its_name_is_refused(tmp_path):
    study = Study(tmp_path / "a\0b", {"smap": Source([tmp_path])})
    with pytest.raises(DataError, match=r"a\\0b' cannot be used \(embedded null byte\)"):
        run_study(study)
