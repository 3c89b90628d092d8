"""Writing in processes: the bytes of serial writing, errors and warnings carried back, nothing left when ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import xsm
from xsm import files
from xsm.apart import processes_for
from xsm.errors import DataError
from xsm.options import set_options
from xsm.source import get_source
from xsm.twin import default_grid, make_world

DAYS = 70  # two runs of 64 days


@pytest.fixture(scope="module")
def granules(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("granules")
    get_source("smap").write(make_world(default_grid(8), DAYS, seed=1), folder)
    return folder


@pytest.fixture(autouse=True)
def worth_it(monkeypatch):
    monkeypatch.setattr("xsm.apart.WORTH", 0)


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
    with pytest.raises(DataError, match=f"{last.name} cannot be read as HDF5.*download it again"):
        files.write(ds, tmp_path / "out.zarr", processes=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["granules"]
    with pytest.warns(UserWarning, match=f"left out: {last.name}"):
        files.write(skipping, tmp_path / "out.zarr", processes=2)
    assert np.isnan(files.read(tmp_path / "out.zarr")["tb_h"].isel(time=-1)).all()


def test_a_process_that_is_killed_is_told(tmp_path):
    lazy = da.map_blocks(lambda: os._exit(9), chunks=((1,) * DAYS,), dtype="f4", meta=np.empty(0, "f4"))
    ds = xr.Dataset({"a": ("time", lazy)}, {"time": np.arange(DAYS).astype("M8[D]").astype("M8[ns]")})
    with pytest.raises(DataError, match=r"ended from outside.*--threads"):
        files.write(ds, tmp_path / "out.zarr", processes=2)
    assert not list(tmp_path.iterdir())


def test_processes_are_bounded_by_days_and_memory():
    days = np.arange(640).astype("M8[D]").astype("M8[ns]")
    ds = xr.Dataset({"a": (("time", "x"), da.zeros((640, 1000), chunks=(1, 1000)))}, {"time": days})
    assert processes_for(ds, 64, 4) == 4 and processes_for(ds, 64, 64) == 10
    assert (
        processes_for(ds, 64, 1)
        == processes_for(ds.isel(time=slice(64)), 64, 4)
        == processes_for(ds.load(), 64, 4)
        == 1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xsm.apart.WORTH", ds.nbytes + 1)
        assert processes_for(ds.chunk(time=1), 64, 4) == 1
    with set_options(memory_limit=3 * 64 * 1000 * 8 * 2 + 64 * 8 * 2 * 10):
        assert processes_for(ds.chunk(time=1), 64, 8) == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_and_no_output(granules, tmp_path, sent):
    many = tmp_path / "many"
    many.mkdir()
    first = min(granules.glob("*.h5"))
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
        assert sorted(p.name for p in tmp_path.iterdir()) == ["many"]
    while time.monotonic() < deadline:  # the processes notice that their parent is gone
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("processes are left")
    assert not (tmp_path / "out.zarr").exists()
