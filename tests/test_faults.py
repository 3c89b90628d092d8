"""Faults in runs of a study: nothing lost, nothing half written, nothing wrong in silence.

The slow part is `benchmarks.faults`, which puts real faults into real runs and prints the table of docs/reliability.md;
the fast part are the rules that it rests on.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import warnings

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from benchmarks import faults
from tests.web_server import BODY, cut, in_turn, names, one, ranged
from xsm import download, files
from xsm.bundle import Bundle
from xsm.errors import DataError
from xsm.options import set_options
from xsm.skipped import LEFT_OUT, mark
from xsm.stages import Stages, alone, clear, left_out


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
        for text in ("left out: x_20210602.h5 is cut", "left out: x_20210602.h5", "Left out: A20210602.0300.nc", "odd"):
            warnings.warn(text, stacklevel=1)
        warnings.warn_explicit("old", DeprecationWarning, "library.py", 7)
        part.write_text("x")

    with pytest.warns(UserWarning, match="odd") as heard:
        stages(out).run("open", 1, [], out / "a.txt", work)
    assert [(str(w.message), w.filename) for w in heard] == [("odd", __file__), ("old", "library.py")]
    lost = left_out(out)
    assert lost == ["left out: x_20210602.h5 is cut", "Left out: A20210602.0300.nc"]
    days = np.arange("2021-06-01", "2021-06-04", dtype="M8[D]").astype("M8[ns]")
    marked = mark(xr.Dataset(coords={"time": days}), lost)
    assert marked[LEFT_OUT].values.tolist() == [0, 2, 0]
    assert LEFT_OUT not in mark(xr.Dataset(coords={"time": days}), [])


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
    return faults.Bench(tmp_path_factory.mktemp("faults") / "bench")


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
