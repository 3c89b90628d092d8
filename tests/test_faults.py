"""Faults in runs of a study: nothing lost, nothing half written, nothing wrong in silence.

The slow part is `make faults`, which injects real faults into real runs and prints the table of docs/results.md;
the rules that it rests on are tested here, in test_stages.py and in test_left_out.py.
"""

from __future__ import annotations

import random
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.reliability import faults
from tests.reliability.fault_study import FaultStudy, contents
from tests.web_server import BODY, cut, in_turn, names, one, ranged
from xsm.contracts.bundle import Bundle
from xsm.contracts.registry import get_source
from xsm.io import files
from xsm.options import set_options
from xsm.plugin_api import download
from xsm.progress import report_progress
from xsm.study import modelling
from xsm.study.config import Fill, Study
from xsm.study.pipeline import stages_of
from xsm.study.stages import Stage, run_stages
from xsm.twin import default_grid, make_world


def fill_gaps(study, cube):
    """Run the stages of a study that fill the gaps of a cube; the filled cube."""
    joined = Stage("cube", [], lambda: 1, study.out / "data" / "cube.zarr", lambda part: files.write(cube, part))
    (study.out / ".xsm").mkdir(parents=True, exist_ok=True)
    run_stages([joined, *(s for s in stages_of(study) if s.name in ("train fill", "fill gaps"))], study.out)
    return files.read(study.out / "data" / "filled.zarr")


def test_an_interrupted_gap_filling_has_one_model(tmp_path, monkeypatch):
    """Training differs from call to call here, as it does where a clock ends it."""
    rng, grid = np.random.default_rng(0), xsm.EASE2_M09.window(300, 308, 1000, 1140)
    days = np.arange("2021-04-01", "2021-05-11", dtype="M8[D]").astype("M8[ns]")
    values = np.where(rng.random((40, *grid.shape)) < 0.5, rng.normal(250, 9, (40, *grid.shape)), np.nan).astype("f4")
    cube = grid.assign(xr.Dataset({"tb_h": (("time", "y", "x"), values, {"units": "K"})}, {"time": days}))
    study, trained = Study(tmp_path / "out", {}, gapfill=Fill("linear", variables=("tb_h",))), []
    fit_once = modelling.fit

    def fit(*args, **options):
        bundle = fit_once(*args, **options)
        trained.append(Bundle({**bundle.card, "seed": len(trained)}, bundle.weights))
        return trained[-1]

    def killed(share, text, done=None):
        if done is not None:  # the first region is written
            raise SystemExit(9)

    monkeypatch.setattr(modelling, "fit", fit)
    with set_options(threads=1):
        with report_progress(killed), pytest.raises(SystemExit):
            fill_gaps(study, cube)
        assert not (study.out / "data" / "filled.zarr").exists()
        filled = fill_gaps(study, cube)
    assert len(trained) == 1 and Bundle.load(study.out / "models" / "fill").hash == trained[0].hash
    assert trained[0].hash in filled["tb_h"].attrs["fill_method"] and trained[0].hash in filled.attrs["history"]
    assert not filled["tb_h"].isnull().any()


def test_series_that_need_no_model_have_none(tmp_path):
    get_source("smap").write(make_world(default_grid(8), 4, seed=1), tmp_path / "SMAP")
    opened = xsm.open("smap", tmp_path / "SMAP", region=default_grid(8), margin=0, variables=["albedo"]).load()
    study = Study(tmp_path / "out", {}, gapfill=Fill("linear", variables=("albedo",)))
    filled = fill_gaps(study, opened.fillna(0.05))
    assert not list((study.out / "models" / "fill").iterdir()) and filled["albedo"].notnull().all()


def test_the_hash_of_a_model_does_not_depend_on_the_time_of_training():
    card = {"format": 1, "task": "gapfill", "model": "x", "inputs": ["a"], "targets": ["a"], "units": {}}

    def hash_at(when, what="cube()"):
        return Bundle({**card, "sources": {"history": [f"{when} xsm 0.1.0: {what}"]}}, {"w": np.zeros(2)}).hash

    assert (
        hash_at("2026-11-24T18:13:23Z") == hash_at("2026-11-25T09:00:00Z") != hash_at("2026-11-24T18:13:23Z", "open()")
    )


def test_a_stalled_server_costs_nothing(serve, tmp_path):
    """It falls silent twice after half of the file; what arrived is kept, and the file is whole in the end."""
    server, gone = serve(), threading.Event()
    server.routes["/x.bin"] = in_turn(*(cut(wait=lambda: gone.wait(5)) for _ in range(2)), ranged())
    with set_options(timeout=0.3):
        start = time.monotonic()
        result = download([one(server, size=len(BODY))], tmp_path)
    gone.set()
    assert result.paths[0].read_bytes() == BODY and names(tmp_path) == ["x.bin"]
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
