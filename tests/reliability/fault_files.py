"""Faults of files: a full disk, missing rights, damaged granules, and files that change between two runs."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import xsm
from tests.reliability.fault_study import FaultStudy, Tally, contents, one_sentence
from xsm.io import files
from xsm.study.stages import left_out

AS_OWNER = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
"""Root may read and write anything, so runs drop that right."""


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A file system in memory; yields a function that changes its options."""
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


def full_disk(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """A disk that is full at a random moment and then gets more room."""
    tally = Tally("disk full (a tmpfs of random size)")
    size = sum(p.stat().st_blocks * 512 for p in (study.reference / "results").rglob("*") if p.is_file())
    for _ in range(count):
        folder = study.folder / f"disk{next(study.number)}"
        with mounted(folder, f"size={int(size * rng.uniform(0.02, 0.95)) // 4096 * 4096}") as change:
            study.study(folder)
            done = study.run(folder)
            study.check(tally, folder)
            tally.injected += 1
            if done.returncode == 0:
                tally.silent += contents(folder / "results") != study.expected
            elif done.returncode != 1 or not one_sentence(done.stderr, "No space left"):
                tally.notes.append(f"exit code {done.returncode}: {done.stderr[-500:]}")
                continue
            change("size=1g")
            study.finish(tally, folder, 1)
    return tally


def no_rights(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """A read-only file system, and folders without the right to write: refused, and existing files stay."""
    tally = Tally("read-only file system, no right to write")
    changed = ("seed = 0", "seed = 1")
    folder = study.folder / f"disk{next(study.number)}"
    with mounted(folder, "size=200m") as change:
        shutil.copytree(study.reference / "results", folder / "results")
        study.study(folder, changed)
        change("ro")
        _refused(study, tally, folder, (), "cannot be used (Read-only file system)")
    other_pass, elsewhere = ('overpass = "AM"', 'overpass = "PM"'), ("out = ", "out = 'locked/new' # ")
    for name, change_of_study, word in (
        (".xsm", changed, "cannot be used"),
        ("data", other_pass, "cannot be written"),
        (".", elsewhere, ""),
    ):
        folder = study.copy()
        study.study(folder, change_of_study)
        locked = folder / "results" / name if name != "." else folder / "locked"
        locked.mkdir(exist_ok=True)
        for path in (locked / "lock", locked):
            if path.exists():
                path.chmod(0o555 if path.is_dir() else 0o444)
        _refused(study, tally, folder, AS_OWNER, f"{word} (Permission denied)" if word else "Permission denied")
        locked.chmod(0o755)
    return tally


def _refused(study: FaultStudy, tally: Tally, folder: Path, before: tuple[str, ...], word: str) -> None:
    tally.injected += 1
    done = study.run(folder, before=before)
    study.check(tally, folder)
    if done.returncode == 1 and one_sentence(done.stderr, word):
        tally.survived += 1
    else:
        tally.notes.append(f"exit code {done.returncode}: {done.stderr[-500:]}")


def damaged_files(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """5 % of the granules cut short, zeroed, replaced by a web page or unreadable, with ``on_error = "skip"``."""
    tally = Tally('5 % of the granules damaged, on_error = "skip"')
    folder = study.study(None, ('on_error = "raise"', 'on_error = "skip"'), (f'"{study.folder}/files/', '"files/'))
    shutil.copytree(study.folder / "files", folder / "files", copy_function=os.link)
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
    done = study.run(folder, before=AS_OWNER)
    if done.returncode != 1 or "Traceback" in done.stderr:
        tally.notes.append(f"exit code {done.returncode}: {done.stderr[-800:]}")
    listed = left_out(folder / "results")
    marked = files.read(folder / "results" / "estimates.nc")["files_left_out"]
    for path in victims:
        day = np.datetime64("-".join(re.search(r"(20\d\d)([01]\d)([0-3]\d)", path.name).groups()))
        noted = path.name in listed, int(marked.sel(time=day)) >= 1
        whole = study.folder / path.relative_to(folder)
        if all(noted) or (not noted[0] and _harmless("smap" if path.suffix == ".h5" else "nldas", path, whole)):
            tally.survived += 1
        else:
            tally.silent += 1
            tally.notes.append(f"not listed or not marked: {path.name}")
    days = {str(d) for d in marked["time"].values[marked.values > 0].astype("M8[D]")}
    changed = [s for s in ("smap", "nldas") if not _equal_elsewhere(study, folder, s, days)]
    tally.silent += len(changed)
    tally.notes += [f"other days of {s} differ" for s in changed]
    if study.run(folder, "--allow-skipped", before=AS_OWNER).returncode:
        tally.notes.append("--allow-skipped does not end well")
        tally.survived = 0
    return tally


def _harmless(source: str, path: Path, whole: Path) -> bool:
    """Whether a damaged file still yields all values of the sound one: some are padded at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        damaged, sound = (
            xsm.open(source, [p], **({"min_hours": 1} if source == "nldas" else {})).load() for p in (path, whole)
        )
    return damaged.equals(sound)


def _equal_elsewhere(study: FaultStudy, folder: Path, source: str, days: set[str]) -> bool:
    """Whether a source's days without damaged files are those of the uninterrupted run."""
    mine, theirs = (files.read(f / "results" / "data" / f"{source}.zarr").load() for f in (folder, study.reference))
    keep = [str(d) not in days for d in mine["time"].values.astype("M8[D]")]
    return mine.isel(time=keep).equals(theirs.isel(time=keep))


RESULTS = {"estimate", "geotiff", "report"}
CHANGES = {
    "nothing": ((), set()),
    "the title": (('title = "', 'title = "Another '), {"report"}),
    "maps written": (('["sm_5cm", "sm_25cm"]', '["sm_5cm_s2"]'), {"geotiff"}),
    "the list of estimates": (
        ('["5-1", "5-2", "25-1", "25-2"]', '["5-1", "5-2", "25-2"]'),
        RESULTS,
    ),
    "how gaps are filled": (
        ('mode = "smoother"                      # "filter" is', 'mode = "filter"  # it is'),
        {"fill", "train", *RESULTS},
    ),
    "how maps are fused": (("stations = false", "options = { trees = 40 }"), {"train fuse", "fuse", *RESULTS}),
    "a granule": ("SMAP", {"open smap", "cube", "fill", "train", "fuse", *RESULTS}),
    "a station file": ("USCRN", {"open stations", "train", *RESULTS}),
    "a lost result": ("estimates.nc", {"estimate"}),
}
ALONE = ("the list of estimates", "how maps are fused")
"""Changes that do not make single estimates again."""


def changes(study: FaultStudy, rng: random.Random, count: int) -> Tally:
    """After a change of the study or an input, everything that depends on it is computed again, and nothing else."""
    tally = Tally("changed study, changed input, lost result")
    for what, (change, expected) in CHANGES.items():
        tally.injected += 1
        folder, touched = study.copy(), None
        if what == "a lost result":
            (folder / "results" / change).unlink()
        elif isinstance(change, str):
            path = next(p for p in (study.folder / "files" / change).rglob("*") if p.is_file())
            touched = path, path.stat()
            os.utime(path)
        elif change:
            study.study(folder, change)
        before = json.loads((folder / "results" / ".xsm" / "manifest.json").read_text())
        done = study.run(folder, "-v")
        redone = {line.split("  ")[0] for line in done.stderr.splitlines() if re.search(r"\d s$", line)}
        if touched:
            path, stat = touched
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        due = {n for n in before if n in expected or n.split()[0] in expected}
        due = {"estimate"} if what == "a lost result" else due
        due -= {n for n in due if n.startswith("estimate ")} if what in ALONE else set()
        due -= {f"train {n}" for n in ("fill", "fuse") if n not in expected}
        if done.returncode == 0 and redone == due:
            tally.survived += 1
        else:
            tally.notes.append(f"{what}: redone {sorted(redone)}, expected {sorted(due)} {done.stderr[-300:]}")
    return tally
