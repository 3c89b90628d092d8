"""Faults of processes: a run, one of its processes, a worker or a scheduler is killed; two runs in one folder."""

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

from tests.reliability.fault_study import LEARNED_WORLD, LONGER_WORLD, LONGEST, FaultStudy, Tally, one_sentence


def kills(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """``kill -9`` at random moments, five times in a folder before the run may finish."""
    tally = Tally("kill -9 at a random moment of xsm run")
    while tally.injected < count:
        folder, faults = study.study(), min(5, count - tally.injected)
        for _ in range(faults):
            run = study.start(folder)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(rng.uniform(0.1, 0.5 * study.seconds))
            run.kill()
            run.communicate()
            study.check(tally, folder)
        tally.injected += faults
        study.finish(tally, folder, faults)
    return tally


def kills_in_training(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """``kill -9`` while networks fill gaps and estimate, mostly during their training."""
    networks = FaultStudy(study.folder / "networks", LEARNED_WORLD, ())
    tally = kills(networks, rng, count)
    tally.name = "kill -9 of a run with CRU and ConvLSTM"
    return tally


def kills_of_processes(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """``kill -9`` of a process that reads files (the run stops with one sentence), and of the run that started it."""
    tally = Tally("kill -9 of a process that reads files, of their parent")
    pool = FaultStudy(study.folder / "pool", LONGER_WORLD, pool=True)
    for number in range(count):
        folder = pool.study()  # a run that continues may have nothing left to read
        run = pool.start(folder)
        children: list[int] = []
        while run.poll() is None and not children:
            time.sleep(0.02)
            children = [c for c in _children(run.pid) if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
        if not children:
            tally.notes.append(f"there was no process to kill: {run.communicate()[1][-500:]}")
            break
        time.sleep(rng.uniform(0, 3))
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid if number % 2 else rng.choice(children), signal.SIGKILL)
        _, text = run.communicate(timeout=LONGEST)
        if run.returncode > 0 and not one_sentence(text, "process"):
            tally.notes.append(f"exit code {run.returncode}: {text[-500:]}")
        pool.check(tally, folder)
        tally.injected += 1
        pool.finish(tally, folder, 1)
    return tally


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def interrupts(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """Ctrl-C at random moments: exit code 130, and the next run continues."""
    tally = Tally("Ctrl-C at a random moment of xsm run")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a signal that is ignored here is ignored by the runs too
    folder = study.study()
    for _ in range(count):
        run = study.start(folder)
        time.sleep(rng.uniform(0.25, 0.5) * study.seconds)
        ended = run.poll() is not None
        run.send_signal(signal.SIGINT)
        _, text = run.communicate(timeout=LONGEST)
        if run.returncode != (0 if ended else 130) or "Traceback" in text:
            tally.notes.append(f"exit code {run.returncode}: {text[-500:]}")
        study.check(tally, folder)
        tally.injected += 1
    study.finish(tally, folder, count if not tally.notes else 0)
    return tally


def two_runs(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """A second run in the folder of a running one is refused; the first ends as if it were alone."""
    tally = Tally("a second run in the same folder", injected=1)
    folder = study.study()
    first = study.start(folder)
    while not (folder / "results" / "data").exists() and first.poll() is None:
        time.sleep(0.05)
    second = study.run(folder)
    first.communicate(timeout=LONGEST)
    if first.returncode == 0 and second.returncode == 1 and one_sentence(second.stderr, "nother run"):
        study.finish(tally, folder, 1)
    else:
        tally.notes.append(f"{first.returncode} {second.returncode} {second.stderr[-500:]}")
    return tally


def lost_workers(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """Workers of a cluster of processes killed at random moments while a study runs on it."""
    from distributed import LocalCluster

    tally = Tally("a worker of a dask cluster killed")
    with LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit="2GiB", processes=True, dashboard_address=None
    ) as cluster:
        folder = study.study()
        run = study.start(folder, "--scheduler", cluster.scheduler_address)
        for _ in range(count):
            time.sleep(rng.uniform(0.05, 0.3) * study.seconds)
            workers = [n.process.pid for n in cluster.workers.values() if n.process is not None and n.process.pid]
            if run.poll() is None and workers:
                os.kill(rng.choice(workers), signal.SIGKILL)
                tally.injected += 1
        _, text = run.communicate(timeout=LONGEST)
    if run.returncode:
        tally.notes.append(text[-800:])
    study.check(tally, folder)
    study.finish(tally, folder, tally.injected if run.returncode == 0 else 0)
    return tally


def lost_scheduler(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """The scheduler is killed: the run stops with one sentence, and the study continues without a cluster."""
    tally = Tally("the scheduler of a dask cluster killed", injected=1)
    where = study.folder / f"scheduler{next(study.number)}.json"
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
        folder = study.study()
        run = study.start(folder, "--scheduler", json.loads(where.read_text())["address"])
        while not (folder / "results" / "data").exists() and run.poll() is None:
            time.sleep(0.1)
        scheduler.kill()
        _, text = run.communicate(timeout=LONGEST)
    finally:
        scheduler.kill()
        worker.terminate()
        worker.wait(30)
    study.check(tally, folder)
    if run.returncode == 1 and one_sentence(text, "cluster"):
        study.finish(tally, folder, 1)
    else:
        tally.notes.append(f"exit code {run.returncode}: {text[-800:]}")
    return tally
