"""Faults of processes: a run, a process that it began, a worker or a scheduler ends; two runs meet."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults_bench import LEARNED_WORLD, LONGER_WORLD, LONGEST, Bench, Tally, one_sentence


def kills(bench: Bench, rng: random.Random, count: int) -> Tally:
    """``kill -9`` at random moments, five in one folder before it may finish."""
    tally = Tally("kill -9 at a random moment of xsm run")
    while tally.injected < count:
        folder, faults = bench.study(), min(5, count - tally.injected)
        for _ in range(faults):
            run = bench.start(folder)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(rng.uniform(0.1, 0.5 * bench.seconds))
            run.kill()
            run.communicate()
            bench.check(tally, folder)
        tally.injected += faults
        bench.finish(tally, folder, faults)
    return tally


def kills_in_training(bench: Bench, rng: random.Random, count: int) -> Tally:
    """``kill -9`` while networks fill gaps and estimate, most of the time in their training."""
    networks = Bench(bench.folder / "networks", LEARNED_WORLD, ())
    tally = kills(networks, rng, count)
    tally.name = "kill -9 of a run with CRU and ConvLSTM"
    return tally


def kills_of_processes(bench: Bench, rng: random.Random, count: int) -> Tally:
    """``kill -9`` of a process that reads files (one sentence, then on), and of the run that it works for."""
    tally = Tally("kill -9 of a process that reads files, of their parent")
    pool = Bench(bench.folder / "pool", LONGER_WORLD, pool=True)
    for number in range(count):
        folder = pool.study()  # a run that goes on may have nothing left to read
        run = pool.start(folder)
        children: list[int] = []
        while run.poll() is None and not children:
            time.sleep(0.02)
            children = [c for c in _children(run.pid) if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
        if not children:
            tally.notes.append(f"no process was there to be killed: {run.communicate()[1][-500:]}")
            break
        time.sleep(rng.uniform(0, 3))
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid if number % 2 else rng.choice(children), signal.SIGKILL)
        _, told = run.communicate(timeout=LONGEST)
        if run.returncode > 0 and not one_sentence(told, "reader process was killed"):
            tally.notes.append(f"exit code {run.returncode}: {told[-500:]}")
        pool.check(tally, folder)
        tally.injected += 1
        pool.finish(tally, folder, 1)
    return tally


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def interrupts(bench: Bench, rng: random.Random, count: int) -> Tally:
    """Ctrl-C at random moments: exit code 130, then on."""
    tally = Tally("Ctrl-C at a random moment of xsm run")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored here is ignored by runs too
    folder = bench.study()
    for _ in range(count):
        run = bench.start(folder)
        time.sleep(rng.uniform(0.25, 0.5) * bench.seconds)
        ended = run.poll() is not None
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=LONGEST)
        if run.returncode != (0 if ended else 130) or "Traceback" in told:
            tally.notes.append(f"exit code {run.returncode}: {told[-500:]}")
        bench.check(tally, folder)
        tally.injected += 1
    bench.finish(tally, folder, count if not tally.notes else 0)
    return tally


def two_runs(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A second run in the folder of a running one is refused; the first ends as if alone."""
    tally = Tally("a second run in the same folder", injected=1)
    folder = bench.study()
    first = bench.start(folder)
    while not (folder / "results" / "data").exists() and first.poll() is None:
        time.sleep(0.05)
    second = bench.run(folder)
    first.communicate(timeout=LONGEST)
    if first.returncode == 0 and second.returncode == 1 and one_sentence(second.stderr, "Another run works"):
        bench.finish(tally, folder, 1)
    else:
        tally.notes.append(f"{first.returncode} {second.returncode} {second.stderr[-500:]}")
    return tally


def lost_workers(bench: Bench, rng: random.Random, count: int) -> Tally:
    """Workers of a cluster of processes killed at random moments while a study runs on it."""
    from distributed import LocalCluster

    tally = Tally("a worker of a dask cluster killed")
    with LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit="2GiB", processes=True, dashboard_address=None
    ) as cluster:
        folder = bench.study()
        run = bench.start(folder, "--scheduler", cluster.scheduler_address)
        for _ in range(count):
            time.sleep(rng.uniform(0.05, 0.3) * bench.seconds)
            workers = [n.process.pid for n in cluster.workers.values() if n.process is not None and n.process.pid]
            if run.poll() is None and workers:
                os.kill(rng.choice(workers), signal.SIGKILL)
                tally.injected += 1
        _, told = run.communicate(timeout=LONGEST)
    if run.returncode:
        tally.notes.append(told[-800:])
    bench.check(tally, folder)
    bench.finish(tally, folder, tally.injected if run.returncode == 0 else 0)
    return tally


def lost_scheduler(bench: Bench, rng: random.Random, count: int) -> Tally:
    """The scheduler itself is killed: one sentence; the study goes on without it."""
    tally = Tally("the scheduler of a dask cluster killed", injected=1)
    where = bench.folder / f"scheduler{next(bench.number)}.json"
    script = "import sys; from distributed.cli.dask_{0} import main; main(sys.argv[1:])"
    common = ["--scheduler-file", str(where), "--no-dashboard"]
    scheduler = subprocess.Popen(
        [sys.executable, "-c", script.format("scheduler"), *common, "--host", "127.0.0.1", "--port", "0"],
        stderr=subprocess.DEVNULL,
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script.format("worker"), *common, "--nthreads", "1", "--death-timeout", "20"],
        stderr=subprocess.DEVNULL,
    )
    try:
        while not where.exists():
            time.sleep(0.1)
        folder = bench.study()
        run = bench.start(folder, "--scheduler", json.loads(where.read_text())["address"])
        while not (folder / "results" / "data").exists() and run.poll() is None:
            time.sleep(0.1)
        scheduler.kill()
        _, told = run.communicate(timeout=LONGEST)
    finally:
        scheduler.kill()
        worker.terminate()
        worker.wait(30)
    bench.check(tally, folder)
    if run.returncode == 1 and one_sentence(told, "cluster"):
        bench.finish(tally, folder, 1)
    else:
        tally.notes.append(f"exit code {run.returncode}: {told[-800:]}")
    return tally
