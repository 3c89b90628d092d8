"""Writing in processes: the bytes of serial writing, errors and warnings carried back, nothing left when ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from xsm_convlstm.model import ConvLSTM

import xsm
from xsm.compute.workers import COPIES, pack, unpack, workers_for
from xsm.compute.zarr_regions import CHUNKS, chunk_groups, cut_dims
from xsm.contracts.bundle import Bundle
from xsm.contracts.registry import get_source
from xsm.data.grids import grid_of
from xsm.errors import DataError
from xsm.io import files
from xsm.options import set_options
from xsm.twin import default_grid, make_world

DAYS = 70  # two runs of 64 days


@pytest.fixture(scope="module")
def granules(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("granules")
    get_source("smap").write(make_world(default_grid(8), DAYS, seed=1), folder)
    return folder


@pytest.fixture(autouse=True)
def worth_it(monkeypatch):
    monkeypatch.setattr("xsm.compute.workers.WORTH", 0)


def opened(folder: Path, **options) -> xr.Dataset:
    return xsm.open("smap", folder, region=default_grid(8), margin=0, **options)


def stored(store: Path) -> dict[str, bytes]:
    return {str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def test_processes_write_the_bytes_of_one(granules, tmp_path):
    ds = opened(granules)
    ds["still"] = ("y", "x"), da.ones((8, 8), chunks=4, dtype="f4")
    ds["known"] = "time", np.arange(ds.sizes["time"], dtype="f4")
    one, two = (files.write(ds, tmp_path / f"{n}.zarr", processes=n)[0] for n in (1, 2))
    assert stored(one) == stored(two)
    back = files.read(two)
    assert back["time"].size > 64 and back["tb_h"].encoding["chunks"][0] == 64
    assert float(np.isfinite(back["tb_h"]).mean()) > 0.2 and float(back["still"].min()) == 1


def test_processes_regrid_as_one_does(tmp_path):
    nldas = xsm.example("nldas", size=8, days=66)[["sm_noah_0_10", "precipitation"]].chunk(time=1)
    ds = nldas.sm.regrid_ease9km(region=default_grid(8))
    one, two = (files.write(ds, tmp_path / f"{n}.zarr", processes=n)[0] for n in (1, 2))
    assert stored(one) == stored(two) and float(np.isfinite(files.read(two)["sm_noah_0_10"]).mean()) > 0.5


def test_errors_and_warnings_come_back(granules, tmp_path):
    bad = tmp_path / "granules"
    bad.mkdir()
    for path in granules.glob("*.h5"):
        os.link(path, bad / path.name)
    last = sorted(bad.glob("*.h5"))[-1]
    ds = opened(bad)
    skipping = opened(bad, on_error="skip")
    last.unlink()
    last.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    with pytest.raises(DataError, match=f"{last.name}' cannot be read as HDF5.*download it again"):
        files.write(ds, tmp_path / "out.zarr", processes=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["granules"]
    for kind in ("zarr", "nc", "tif"):
        with pytest.warns(UserWarning, match=f"left out: '{last}'"):
            written = files.write(skipping[["tb_h"]], tmp_path / f"out.{kind}", processes=2)
        back = files.read(written[0])
        assert back.attrs["skipped"][0].startswith(f"'{last}' cannot be read") and back.attrs["crid"] == "R19240"
        assert np.isnan(back["tb_h"].isel(time=-1)).all() and np.isfinite(back["tb_h"]).any()


def test_a_process_that_is_killed_is_one_sentence(tmp_path):
    lazy = da.map_blocks(lambda: os._exit(9), chunks=((1,) * DAYS,), dtype="f4", meta=np.empty(0, "f4"))
    ds = xr.Dataset({"a": ("time", lazy)}, {"time": np.arange(DAYS).astype("M8[D]").astype("M8[ns]")})
    with pytest.raises(DataError, match=r"reader process was killed.*fewer threads"):
        files.write(ds, tmp_path / "out.zarr", processes=2)
    assert not list(tmp_path.iterdir())


def lazy(days=640, chunks=(1, 100, 1000), y=100, x=1000):
    time = np.arange(days).astype("M8[D]").astype("M8[ns]")
    return xr.Dataset({"a": (("time", "y", "x"), da.zeros((days, y, x), chunks=chunks, dtype="f4"))}, {"time": time})


@pytest.mark.parametrize(
    ("chunks", "dims"),
    [((1, 100, 1000), ("time",)), ((64, 64, 64), ("time",)), ((640, 64, 64), ("y", "x")), ((640, 100, 64), ())],
)
def test_data_are_cut_where_no_block_is_made_twice(chunks, dims):
    assert cut_dims(lazy(chunks=chunks)) == dims


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 200), st.integers(14, 26))
def test_chunk_groups_are_whole_chunks_that_fill_the_store_and_fit_the_memory(days, y, x, power):
    ds = lazy(days, (64, 64, 64), y, x)
    for dims in (("time",), ("y", "x")):
        every = chunk_groups(ds, dims, 2**power)
        covers = np.zeros(ds["a"].shape, "i4")
        for region in every:
            covers[tuple(region.get(d, slice(None)) for d in ds["a"].dims)] += 1
            assert all(s.start % CHUNKS[d] == 0 and (s.stop % CHUNKS[d] == 0 or s.stop == ds.sizes[d])
                       for d, s in region.items())  # fmt: skip
            part = ds.isel(region)
            if dims == ("time",) and part.sizes["y"] > CHUNKS["y"]:
                assert COPIES * part["a"].nbytes <= 2**power
        assert (covers == 1).all()


def test_workers_are_bounded_by_groups_and_memory():
    ds = lazy()
    every = chunk_groups(ds, ("time",), 1 << 40)
    need = COPIES * ds.isel(every[0]).nbytes
    with set_options(memory_limit=100 * need):
        assert workers_for(ds, every, 4) == 4 and workers_for(ds, every, 64) == 10
    with set_options(memory_limit=3 * need + 10):
        assert workers_for(ds, every, 8) == 3
    with set_options(memory_limit=10):
        assert workers_for(ds, every, 8) == 1


def test_a_writer_goes_on_where_it_ended(tmp_path):
    blocks = []

    def block(array, fail):
        if fail and len(blocks) == 2:
            raise DataError("no more.")
        blocks.append(1)
        return array + 1

    def write(fail, **how):
        ds = lazy(200, (64, 8, 8), 8, 8)
        ds["a"].data = da.map_blocks(block, ds["a"].data, fail, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
        ds["mean"] = ds["a"].mean("time")
        files.write_zarr(ds.drop_vars("mean"), tmp_path / "a.zarr", **how)

    with set_options(threads=1):
        with pytest.raises(DataError, match="no more"):
            write(True, journal=tmp_path / "journal")
        assert len((tmp_path / "journal").read_text().splitlines()) == 3
        with (tmp_path / "journal").open("a") as file:
            file.write('{"done": "time=128')  # a line that was being written
        write(False, journal=tmp_path / "journal")
    assert len(blocks) == 4
    assert (files.read(tmp_path / "a.zarr")["a"] == 1).all()


def test_what_all_groups_share_is_made_once(tmp_path):
    blocks = []

    def block(array):
        blocks.append(1)
        return array + 1

    ds = lazy(200, (64, 8, 8), 8, 8)
    base = da.map_blocks(block, ds["a"].data, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    mean = ("y", "x"), base.mean(0)
    ds = ds.assign(mean=mean)
    ds["a"] = ds["a"] + ds["mean"]
    files.write(ds, tmp_path / "a.zarr")
    assert len(blocks) == 4
    back = files.read(tmp_path / "a.zarr")
    assert (back["a"] == 1).all() and (back["mean"] == 1).all()


def test_models_are_named_not_packed():
    card = {"format": 1, "task": "gapfill", "model": "x", "inputs": ["a"], "targets": ["a"], "units": {}}
    bundle = Bundle(card, {"w": np.arange(100_000, dtype="f4")})
    ds = lazy(4, (1, 8, 8), 8, 8)
    ds["a"].data = da.map_blocks(lambda a, b: a + b.weights["w"][7], ds["a"].data, bundle, dtype="f4")
    packed, models = pack(ds)
    assert len(packed) < 100_000 and list(models.values()) == [bundle]
    again = Bundle(card, {"w": np.full(8, 3, "f4")})
    assert (unpack(packed, dict.fromkeys(models, again))["a"] == 3).all()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_and_no_output(granules, tmp_path, sent):
    many = tmp_path / "many"
    many.mkdir()
    first = shutil.copy(min(granules.glob("*.h5")), tmp_path / "first.h5")
    with h5py.File(first, "r+") as file:  # the days share a file that does not name its own
        del file["Metadata/Extent"].attrs["rangeBeginningDateTime"]
    for day in np.datetime64("2015-04-01") + np.arange(300):
        os.link(first, many / f"SMAP_L3_SM_P_E_{str(day).replace('-', '')}_R19240_001.h5")
    command = [sys.executable, "-m", "xsm", "open", "smap", str(many), str(tmp_path / "out.zarr"), "--region", "conus",
               "--threads", "2"]  # fmt: skip
    run = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out.zarr.*/out.zarr/tb_h/c/*")):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(run.pid, sent)
    assert run.wait(30) == (130 if sent is signal.SIGINT else -sent)
    if sent is signal.SIGINT:
        assert sorted(p.name for p in tmp_path.iterdir()) == ["first.h5", "many"]
    while time.monotonic() < deadline:  # the processes notice that their parent is gone
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("processes are left")
    assert not (tmp_path / "out.zarr").exists()


def test_what_all_groups_need_is_made_once(tmp_path, monkeypatch):
    """The domain rests on all days: each region read all of them where maps were trimmed or a surface was estimated."""
    cube, reads, predicted, model = xsm.example("cube", size=16, days=140), Counter(), Counter(), ConvLSTM.predict_block
    values = cube["tb_h"].transpose("time", "y", "x").values

    def read(block_info):
        spot = block_info[None]["array-location"]
        reads[spot[0]] += 1
        return values[tuple(slice(*cut) for cut in spot)]

    def predict(self, arrays, bundle, *, device):
        predicted[bundle.card["targets"][0]] += 1
        return model(self, arrays, bundle, device=device)

    monkeypatch.setattr(ConvLSTM, "predict_block", predict)
    lazy = da.map_blocks(read, chunks=((64, 64, 12), (16,), (16,)), dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    cube["tb_h"] = ("time", "y", "x"), lazy, cube["tb_h"].attrs
    grid = grid_of(cube)
    cube.attrs["xsm_region"] = f"{grid.row0 + 2} {grid.row0 + 14} {grid.col0 + 2} {grid.col0 + 14}"
    with pytest.warns(UserWarning, match="synthetic"):
        estimates = cube.sm.estimate(depth=25, scenario=2)
    files.write(estimates, tmp_path / "a.zarr")
    assert max(reads.values()) <= 3  # the domain, the region, and the next one's look-back
    assert predicted["sm_5cm"] <= 1.5 * predicted["sm_25cm"]  # the surface was estimated once more to see where it is


def test_processes_get_the_models_of_estimates(tmp_path):
    files.write(xsm.example("cube", size=8, days=80), tmp_path / "cube.zarr")
    with pytest.warns(UserWarning, match="synthetic"):
        estimates = files.read(tmp_path / "cube.zarr").sm.estimate()
    one, two = (files.write(estimates, tmp_path / f"{n}.zarr", processes=n)[0] for n in (1, 2))
    assert stored(one) == stored(two)
