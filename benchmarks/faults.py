"""Put faults into runs of a study and see what is lost: `python -m benchmarks.faults [--kills 20] [--only NAME]`.

A small synthetic world in true formats and the command line; models of numpy, or networks where the name says so. A
fault counts as survived where the same command, run again once the cause is gone, ends with the files of an
uninterrupted run (values and attributes, but times in histories), or where a wrong start is refused with one sentence
and leaves what was there. Files that carry a final name but are not those of the uninterrupted run are mutated; a run
that ends well with other results, or a damaged file that is neither told nor harmless, is a silent error. The exit code
is 1 where a fault was not survived.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import xsm
from benchmarks.faults_bench import LEARNED_WORLD, LONGER_WORLD, LONGEST, Bench, Tally, contents, one_sentence
from xsm import files

AS_OWNER = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
"""Root may read and write anything; its files' owner may not."""


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
    folder = pool.study()
    for number in range(count):
        run = pool.start(folder)
        children: list[int] = []
        while run.poll() is None and not children:
            time.sleep(0.02)
            children = [c for c in _children(run.pid) if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
        if not children:
            tally.notes.append("no process was there to be killed")
            run.communicate()
            break
        time.sleep(rng.uniform(0, 3))
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid if number % 2 else rng.choice(children), signal.SIGKILL)
        _, told = run.communicate(timeout=LONGEST)
        if run.returncode > 0 and not one_sentence(told, "ended from outside"):
            tally.notes.append(f"exit code {run.returncode}: {told[-500:]}")
        pool.check(tally, folder)
        tally.injected += 1
    pool.finish(tally, folder, tally.injected if not tally.notes else 0)
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


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A file system in memory of its own; gives what changes its options."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True)
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,{more}", folder], check=True) and None
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount() -> bool:
    """Whether this process may mount."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(Path(folder) / "m", "size=1m"):
                return True
        except (subprocess.CalledProcessError, FileNotFoundError):
            return False


def full_disk(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A disk that is full at a random moment; then there is room."""
    tally = Tally("disk full (a tmpfs of random size)")
    size = sum(p.stat().st_blocks * 512 for p in (bench.reference / "results").rglob("*") if p.is_file())
    for _ in range(count):
        folder = bench.folder / f"disk{next(bench.number)}"
        with mounted(folder, f"size={int(size * rng.uniform(0.02, 0.95)) // 4096 * 4096}") as change:
            bench.study(folder)
            done = bench.run(folder)
            bench.check(tally, folder)
            tally.injected += 1
            if done.returncode == 0:
                tally.silent += contents(folder / "results") != bench.wanted
            elif done.returncode != 1 or not one_sentence(done.stderr, "No space left"):
                tally.notes.append(f"exit code {done.returncode}: {done.stderr[-500:]}")
                continue
            change("size=1g")
            bench.finish(tally, folder, 1)
    return tally


def no_rights(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A read-only file system, and folders without the right to write: refused, and what was there stays."""
    tally = Tally("read-only file system, no right to write")
    changed = ("seed = 0", "seed = 1")
    folder = bench.folder / f"disk{next(bench.number)}"
    with mounted(folder, "size=200m") as change:
        shutil.copytree(bench.reference / "results", folder / "results")
        bench.study(folder, changed)
        change("ro")
        _refused(bench, tally, folder, (), "cannot be used (Read-only file system)")
    for name, word in ((".xsm", "cannot be used"), ("data", "cannot be written"), (".", "")):
        folder = bench.copy()
        bench.study(folder, changed if name != "." else ("out = ", "out = 'locked/new' # "))
        locked = folder / "results" / name if name != "." else folder / "locked"
        locked.mkdir(exist_ok=True)
        for path in (locked / "lock", locked):
            if path.exists():
                path.chmod(0o555 if path.is_dir() else 0o444)
        _refused(bench, tally, folder, AS_OWNER, f"{word} (Permission denied)" if word else "Permission denied")
        locked.chmod(0o755)
    return tally


def _refused(bench: Bench, tally: Tally, folder: Path, before: tuple[str, ...], word: str) -> None:
    tally.injected += 1
    done = bench.run(folder, before=before)
    bench.check(tally, folder)
    if done.returncode == 1 and one_sentence(done.stderr, word):
        tally.survived += 1
    else:
        tally.notes.append(f"exit code {done.returncode}: {done.stderr[-500:]}")


def damaged_files(bench: Bench, rng: random.Random, count: int) -> Tally:
    """5 % of the granules cut short, zeroed, replaced by a web page, or not to be read, and ``on_error = "skip"``."""
    tally = Tally('5 % of the granules damaged, on_error = "skip"')
    folder = bench.study(None, ('on_error = "raise"', 'on_error = "skip"'), (f'"{bench.folder}/files/', '"files/'))
    shutil.copytree(bench.folder / "files", folder / "files", copy_function=os.link)
    victims = []
    for product in ("SMAP", "NLDAS"):
        there = sorted(p for p in (folder / "files" / product).rglob("*") if p.suffix in (".h5", ".nc"))
        victims += rng.sample(there, max(len(there) // 20, 2))
    locked, gone = victims[0], victims[-1]
    for path in victims:
        raw = path.read_bytes()
        path.unlink()
        if path == gone:
            path.symlink_to("nowhere")
            continue
        ways = (raw[: rng.randrange(len(raw))], bytes(len(raw)), b"<!DOCTYPE html><html>Please log in</html>", b"")
        path.write_bytes(rng.choice(ways) if path != locked else raw)
    locked.chmod(0)
    tally.injected = len(victims)
    done = bench.run(folder, before=AS_OWNER)
    if done.returncode != 1 or "Traceback" in done.stderr:
        tally.notes.append(f"exit code {done.returncode}: {done.stderr[-800:]}")
    told = done.stderr.split("error:")[0]
    marked = files.read(folder / "results" / "estimates.nc")["files_left_out"]
    for path in victims:
        day = np.datetime64("-".join(re.search(r"(20\d\d)([01]\d)([0-3]\d)", path.name).groups()))
        seen = path.name in told, int(marked.sel(time=day)) >= 1
        whole = bench.folder / path.relative_to(folder)
        if all(seen) or (not seen[0] and _harmless("smap" if path.suffix == ".h5" else "nldas", path, whole)):
            tally.survived += 1
        else:
            tally.silent += 1
            tally.notes.append(f"not told or not marked: {path.name}")
    days = {str(d) for d in marked["time"].values[marked.values > 0].astype("M8[D]")}
    good = [s for s in ("smap", "nldas") if not _equal_elsewhere(bench, folder, s, days)]
    tally.silent += len(good)
    tally.notes += [f"other days of {s} differ" for s in good]
    if bench.run(folder, "--allow-skipped", before=AS_OWNER).returncode:
        tally.notes.append("--allow-skipped does not end well")
        tally.survived = 0
    return tally


def _harmless(source: str, path: Path, whole: Path) -> bool:
    """Whether a damaged file still gives all values of the whole one: some are padded at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [xsm.open(source, [p], **({"min_hours": 1} if source == "nldas" else {})).load() for p in (path, whole)]
    return found[0].equals(found[1])


def _equal_elsewhere(bench: Bench, folder: Path, source: str, days: set[str]) -> bool:
    """Whether a source's days without damaged files are those of the uninterrupted run."""
    mine, theirs = (files.read(f / "results" / "data" / f"{source}.zarr").load() for f in (folder, bench.reference))
    keep = [str(d) not in days for d in mine["time"].values.astype("M8[D]")]
    return mine.isel(time=keep).equals(theirs.isel(time=keep))


CHANGES = {
    "nothing": ((), set()),
    "the title": (('title = "', 'title = "Another '), {"report"}),
    "maps written": (('["sm_5cm_s2", "sm_25cm_s2"]', '["sm_5cm_s2"]'), {"geotiff"}),
    "estimates wanted": (
        ('["5-1", "5-2", "25-1", "25-2"]', '["5-1", "5-2", "25-2"]'),
        {"train", "estimate", "geotiff", "report"},
    ),
    "how gaps are filled": (
        ('mode = "smoother"', 'mode = "filter"'),
        {"fill", "train", "estimate", "geotiff", "report"},
    ),
    "a granule": ("SMAP", {"open smap", "cube", "fill", "train", "estimate", "geotiff", "report"}),
    "a station file": ("USCRN", {"open stations", "train", "estimate", "geotiff", "report"}),
    "a lost result": ("estimates.nc", {"estimate"}),
}


def changes(bench: Bench, rng: random.Random, count: int) -> Tally:
    """A changed study or input redoes what rests on it, and nothing else."""
    tally = Tally("changed study, changed input, lost result")
    for what, (change, expected) in CHANGES.items():
        tally.injected += 1
        folder, held = bench.copy(), None
        if what == "a lost result":
            (folder / "results" / change).unlink()
        elif isinstance(change, str):
            path = next(p for p in (bench.folder / "files" / change).rglob("*") if p.is_file())
            held = path, path.stat()
            os.utime(path)
        elif change:
            bench.study(folder, change)
        before = json.loads((folder / "results" / ".xsm" / "manifest.json").read_text())
        done = bench.run(folder, "-v")
        redone = {line.split("  ")[0] for line in done.stderr.splitlines() if re.search(r"\d s$", line)}
        if held:
            os.utime(held[0], ns=(held[1].st_atime_ns, held[1].st_mtime_ns))
        wanted = {n for n in before if n in expected or n.split()[0] in expected}
        wanted = {"estimate"} if what == "a lost result" else wanted
        wanted -= {"train 25-1", "estimate 25-1"} if what == "estimates wanted" else set()
        wanted -= {"train fill"} if "fill" not in expected else set()
        if done.returncode == 0 and redone == wanted:
            tally.survived += 1
        else:
            tally.notes.append(f"{what}: redone {sorted(redone)}, wanted {sorted(wanted)} {done.stderr[-300:]}")
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


SCENARIOS: dict[str, tuple[Callable[[Bench, random.Random, int], Tally], int]] = {
    "kills": (kills, 20),
    "kills_in_training": (kills_in_training, 10),
    "kills_of_processes": (kills_of_processes, 4),
    "interrupts": (interrupts, 4),
    "full_disk": (full_disk, 8),
    "no_rights": (no_rights, 4),
    "damaged_files": (damaged_files, 1),
    "changes": (changes, 1),
    "two_runs": (two_runs, 1),
    "lost_workers": (lost_workers, 4),
    "lost_scheduler": (lost_scheduler, 1),
}
MOUNTS = ("full_disk", "no_rights")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="moments of kill -9")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=SCENARIOS, action="append")
    args = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="xsm-faults-") as folder:
        bench = Bench(Path(folder) / "bench")
        print(f"an uninterrupted run: {bench.seconds:.0f} s, {len(bench.wanted)} files and stores")
        print(f"{'fault':48} injected survived mutated silent", flush=True)
        for name in args.only or SCENARIOS:
            if name in MOUNTS and not can_mount():
                print(f"{name}: left out, this process may not mount")
                continue
            work, count = SCENARIOS[name]
            tally = work(bench, random.Random(f"{name} {args.seed}"), args.kills if name == "kills" else count)
            print(
                f"{tally.name:48} {tally.injected:8} {tally.survived:8} {tally.mutated:7} {tally.silent:6}", flush=True
            )
            bad += not tally.well
            for note in tally.notes:
                print(f"    {note}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
