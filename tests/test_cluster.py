"""A cluster of separate processes with a memory limit each: the values of this process, models shipped once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from unittest import mock

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.compute import cluster as connecting
from xsm.compute.cluster import block_threads
from xsm.compute.workers import client
from xsm.contracts.bundle import Bundle
from xsm.errors import SkippedFile, UsageError, hear, tell
from xsm.io import files
from xsm.options import set_options

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
ARRIVED: list[int] = []


class Arrival:
    """Counts in each process how often it arrives there."""

    def __reduce__(self):
        return _arrive, ()


def _arrive():
    ARRIVED.append(1)
    return Arrival()


def _arrived():
    return len(ARRIVED)


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit="3GiB", processes=True, dashboard_address=None
    ) as local:
        yield local


@pytest.fixture
def active(cluster):
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture(scope="module")
def cube():
    """140 days of a 180 x 180 window: three regions along time, nine along y and x."""
    rng = np.random.default_rng(0)
    grid = xsm.EASE2_M09.window(300, 480, 1000, 1180)
    time = np.arange("2021-04-01", "2021-08-19", dtype="M8[D]").astype("M8[ns]")
    shape = (len(time), *grid.shape)
    wave = 250 + 10 * np.sin(np.arange(len(time))[:, None, None] / 9 + rng.uniform(0, 6, (1, *grid.shape)))
    values = np.where(rng.random(shape) < 0.45, wave, np.nan).astype("f4")
    return grid.assign(xr.Dataset({"tb_h": (("time", "y", "x"), values, {"units": "K"})}, {"time": time}))


def stored(store):
    return {
        str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file() and p.name != "zarr.json"
    }


def counted(bundle):
    copy = Bundle(bundle.card, bundle.weights)
    object.__setattr__(copy, "arrival", Arrival())
    return copy


def test_writing_and_computing_give_the_bytes_of_this_process(cube, cluster, tmp_path):
    lazy = cube.chunk(time=1)
    bundle = cube.sm.fit(task="gapfill", model="linear", variables=["tb_h"])
    with distributed.Client(cluster) as active:
        active.wait_for_workers(2)
        shipped = counted(bundle)
        start = active.run(_arrived)
        far = files.write(lazy, tmp_path / "cube.zarr")[0]
        filled = files.read(far).sm.gapfill("linear", variables=["tb_h"], model=shipped)
        files.write(filled, tmp_path / "filled.zarr")
        times = {w: n - start[w] for w, n in active.run(_arrived).items()}
        assert set(times.values()) <= {1, 2}, times  # once for each worker (twice if it was spilled), for nine regions
        computed = filled["tb_h"].compute()
        again = {w: n - start[w] for w, n in active.run(_arrived).items()}
        assert max(again.values()) <= 4, again
    assert client() is None
    near = files.write(lazy, tmp_path / "near.zarr")[0]
    here = files.read(near).sm.gapfill("linear", variables=["tb_h"], model=bundle)
    files.write(here, tmp_path / "near-filled.zarr")
    assert stored(near) == stored(far)
    assert stored(tmp_path / "near-filled.zarr") == stored(tmp_path / "filled.zarr")
    np.testing.assert_array_equal(computed, here["tb_h"].compute())


def test_maps_are_estimated_the_same(law_cube, cluster, tmp_path):
    model = law_cube.sm.fit(depth=5, scenario=2, model="ridge")
    results = {}
    for where, address in (("far", cluster.scheduler_address), ("near", None)):
        with set_options(scheduler=address), block_threads():
            assert (client() is not None) == (where == "far")
            estimates = law_cube.chunk(time=13, y=9).sm.estimate(depth=5, scenario=2, model=model)
            results[where] = estimates.compute(), files.write(estimates, tmp_path / f"{where}.zarr")[0]
    xr.testing.assert_equal(results["far"][0], results["near"][0])
    assert stored(results["far"][1]) == stored(results["near"][1])


def test_command_line_computes_on_a_cluster(cube, cluster, tmp_path):
    cube.to_netcdf(tmp_path / "cube.nc")
    for out, more in (("far", ["--scheduler", cluster.scheduler_address]), ("near", [])):
        command = [sys.executable, "-m", "xsm", "gapfill", str(tmp_path / "cube.nc")]
        run = [*command, str(tmp_path / f"{out}.zarr"), "--method", "linear", "--variables", "tb_h", *more]
        subprocess.run(run, check=True, capture_output=True)
    assert stored(tmp_path / "far.zarr") == stored(tmp_path / "near.zarr")


def test_a_worker_that_is_killed_is_replaced(cube, cluster, active, tmp_path):
    def slow(array):
        time.sleep(0.05)
        return array + 1

    lazy = cube.chunk(time=1)
    lazy["tb_h"].data = lazy["tb_h"].data.map_blocks(slow, dtype="f4")
    pids = active.run(os.getpid)
    import threading

    def kill():
        time.sleep(1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(min(pids.values()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    files.write(lazy, tmp_path / "a.zarr")
    killer.join()
    np.testing.assert_array_equal(files.read(tmp_path / "a.zarr")["tb_h"], cube["tb_h"] + 1)
    assert set(active.run(os.getpid).values()) != set(pids.values())


def dataset_of(regions, work):
    """A dataset of regions along time, each computed by ``work`` from its first day."""

    def block(block_info):
        values = np.empty(block_info[None]["chunk-shape"], "f4")
        values[:] = work(block_info[None]["array-location"][0][0])
        return values

    array = da.map_blocks(block, chunks=((64,) * regions, (4,)), dtype="f4", meta=np.empty((0, 0), "f4"))
    return xr.Dataset({"a": (("time", "x"), array)}, {"time": np.arange(64 * regions).astype("M8[D]").astype("M8[ns]")})


def test_a_cluster_that_adapts_grows(tmp_path):
    def work(first):
        time.sleep(1.5)
        return os.getpid() % 2**24

    with distributed.LocalCluster(
        n_workers=0, threads_per_worker=1, memory_limit="1GiB", processes=True, dashboard_address=None
    ) as local:
        local.adapt(minimum=0, maximum=2, interval="200ms")
        with distributed.Client(local):
            files.write(dataset_of(16, work), tmp_path / "a.zarr")
    assert len(np.unique(files.read(tmp_path / "a.zarr")["a"])) == 2


def test_workers_with_threads_lose_no_warning_and_keep_their_memory(tmp_path):
    def work(first):
        begun = time.time()
        with warnings.catch_warnings():  # as libraries do, which is not safe in threads
            warnings.simplefilter("ignore")
            time.sleep(0.02 * (first // 64 % 7))
        tell(SkippedFile(f"granule_{first}", "is cut"))
        (tmp_path / f"{first}.span").write_text(f"{begun} {time.time()}")
        return first

    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=4, memory_limit="1GiB", processes=True, dashboard_address=None
        ) as local,
        distributed.Client(local),
    ):
        for need, most in ((1 << 20, 4), (1 << 29, 2)):
            ds = dataset_of(16, work)
            with mock.patch("xsm.compute.workers.COPIES", need // (64 * 4 * 4)), hear() as heard:
                files.write(ds, tmp_path / f"{most}.zarr")
            assert {w.file for w in heard} == {f"granule_{first}" for first in range(0, 1024, 64)}
            times = np.array([p.read_text().split() for p in tmp_path.glob("*.span")], "f8")
            beside = [((times[:, 0] <= t) & (times[:, 1] > t)).sum() for t in times[:, 0]]
            assert max(beside) <= most
    np.testing.assert_array_equal(files.read(tmp_path / "2.zarr")["a"][::64, 0], range(0, 1024, 64))


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_what_takes_a_connection_and_never_answers_is_no_scheduler(scheme, monkeypatch):
    monkeypatch.setattr(connecting, "CONNECT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        with set_options(scheduler=address), pytest.raises(UsageError, match="No scheduler answers"), block_threads():
            pass


@pytest.fixture
def lonely(tmp_path):
    """A scheduler and a worker, each a process of its own; gives the scheduler's process and its address."""
    where = tmp_path / "scheduler.json"
    script = "import sys; from distributed.cli.dask_{0} import main; main(sys.argv[1:])"
    more = {"scheduler": ["--host", "127.0.0.1", "--port", "0"], "worker": ["--nthreads", "1", "--death-timeout", "20"]}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script.format(name), "--scheduler-file", str(where), "--no-dashboard", *options],
            stderr=subprocess.DEVNULL,
        )
        for name, options in more.items()
    ]
    try:
        while not where.exists():
            time.sleep(0.1)
        yield processes[0], json.loads(where.read_text())["address"]
    finally:
        for process in processes:
            process.kill()
            process.wait()


LOSE = """
import logging, os, signal, sys, time
import click, dask, distributed
from xsm.compute.cluster import block_threads
from xsm.faces import tools
from xsm.faces.cli import main
from xsm.options import set_options

@click.command("lose")
def lose():
    with set_options(scheduler=sys.argv[1]), block_threads():
        slow = dask.delayed(time.sleep)(60)
        future = distributed.default_client().compute(slow)
        os.kill(int(sys.argv[2]), signal.SIGKILL)
        future.result()

tools.TOOLS = (*tools.TOOLS, lose)
names = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")
before = [logging.getLogger(n).level for n in names]
try:
    main(["lose", *sys.argv[3:]])
finally:
    after = [logging.getLogger(n).level for n in names]
    print("as before" if after == before else after)
"""


@pytest.mark.parametrize("loud", [False, True])
def test_a_lost_scheduler_is_one_sentence(lonely, loud):
    """It was buried under tracebacks that dask's client logs."""
    scheduler, address = lonely
    command = [sys.executable, "-c", LOSE, address, str(scheduler.pid), *["-vv"] * loud]
    env = {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1 and done.stdout.strip() == "as before"
    assert f"error: The cluster at '{address}' was lost" in " ".join(done.stderr.split())
    assert (len(done.stderr.splitlines()) > 2) == loud, done.stderr


def test_no_scheduler_is_one_sentence(tmp_path, monkeypatch):
    command = [sys.executable, "-m", "xsm", "doctor", "--scheduler", "tcp://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "XSM_TIMEOUT": "2"})
    assert done.returncode == 1 and "No scheduler answers at 'tcp://127.0.0.1:9'" in done.stdout
