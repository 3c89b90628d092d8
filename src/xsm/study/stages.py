"""Stages of a study: entered into a manifest when done, done again when what they rest on changed.

A stage whose result has days is done again on those days alone that are new or rest on something else than before: it
has a digest of each. New and changed days are written beside the result and moved in as one (`xsm.io.day_store`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from xsm import atomic
from xsm._version import __version__
from xsm.atomic import to_disk
from xsm.contracts.bundle import versions
from xsm.data.skipped import day_in, listen
from xsm.errors import DataError, tell
from xsm.io import day_store

log = logging.getLogger("xsm")
DONE, LOST, CHANGED = "done", "lost", "changed"
"""States of a stage: done; done, but its result is no longer whole; to be done."""
Manifest = dict[str, dict[str, Any]]
"""Entries of the stages that are done, by name."""
Days = Mapping[str, str]
"""Digests of days, by the day such as ``"2021-06-30"``, in order."""
Models = Literal["follow", "keep", "renew"]
"""What becomes of trained models: trained again where their training days changed, never, or on all days."""
ENTRY = "whole.json"
"""File that marks an update of days as whole, with the entry of its stage."""


@dataclass(frozen=True)
class Stage:
    """One row in the table of a study: what a result depends on, and apart from it the work that writes the result.

    Parameters
    ----------
    name : str
        Such as ``"fill gaps"``.
    rests_on : sequence of str
        Stages above this one whose results it reads.
    about : callable
        Returns what else the result depends on: parameters, input files, hashes of models, as JSON takes them. It only
        reads, and is called when the stages that this one rests on are done.
    target : Path
        File or folder of the result. A Zarr store that an interrupted run left unfinished is continued, unless the
        stage has changed since.
    work : callable
        Writes the result under the temporary name that it receives. One with ``days`` also receives the digests of all
        its days and the days to write; one that ``trains`` the first and the last day to learn from.
    strict : bool
        The stage does not count as done where files were left out.
    days : callable, optional
        Gets the digests of days of those stages it rests on that have some, by name, and returns those of its own days.
    trains : bool
        Whether it learns: from the days of its first training, whatever days come later.
    """

    name: str
    rests_on: Sequence[str]
    about: Callable[[], Any]
    target: Path
    work: Callable[..., Any]
    strict: bool = False
    days: Callable[[Mapping[str, Days]], Days] | None = None
    trains: bool = False


@dataclass(frozen=True)
class Task:
    """What a stage has to do: its state, what it is ``about``, the digest of all that it depends on except days.

    ``span`` are the first and the last day that it learns from, ``days`` and ``before`` the digests of its days now and
    before, ``todo`` those to write; ``added`` says whether the others stay as they are.
    """

    state: str
    about: Any
    digest: str
    span: tuple[str, str] | None = None
    days: Days = field(default_factory=dict)
    todo: Sequence[str] = ()
    before: Days = field(default_factory=dict)
    added: bool = False


def run_stages(
    table: Sequence[Stage], out: Path, begin: Callable[[str], None] | None = None, *, models: Models = "follow"
) -> dict[str, Task]:
    """Do the stages of a table that are not done; each stands below those that it rests on.

    Entries of other stages stay in the manifest of the folder ``out``, for a study that wants them again. ``begin`` is
    called with each stage that begins, such as ``"6/17 fill gaps"``. Returns what was done, by stage.
    """
    finish(out)
    done, tasks = manifest(out), dict[str, Task]()
    for number, stage in enumerate(table, 1):
        task = _task(stage, done, models)
        if task.state == DONE:
            log.info("%-24s done before", stage.name)
            continue
        if begin is not None:
            begin(f"{number}/{len(table)} {stage.name}")
        _do(stage, task, out, done)
        tasks[stage.name] = task
    names = [stage.name for stage in table]
    done = {name: done[name] | {"wanted": name in names} for name in dict.fromkeys([*names, *done])}
    save_manifest(out, done)
    return tasks


def states_of(table: Sequence[Stage], out: Path) -> dict[str, str]:
    """State of each stage, by name, as a run would find it; nothing is written."""
    done, states = manifest(out), dict[str, str]()
    for stage in table:
        reads = [name for name in stage.rests_on if not (stage.trains and "days" in done.get(name, {}))]
        below = {states.get(name) for name in reads}
        to_do = stage.name not in done or CHANGED in below
        states[stage.name] = CHANGED if to_do else _foreseen(stage, done, LOST in below)
    return states


def outdated(table: Sequence[Stage], out: Path) -> list[Stage]:
    """Those of some stages whose results are there, but rest on other days than now."""
    done, old = manifest(out), dict[str, Stage]()
    for stage in (stage for stage in table if stage.name in done):
        about = json.loads(json.dumps(stage.about(), default=str))
        if old.keys() & {*stage.rests_on} or _digest(stage, about, done, None) != done[stage.name]["digest"]:
            old[stage.name] = stage
    return [*old.values()]


def _foreseen(stage: Stage, done: Manifest, lost_below: bool) -> str:
    try:
        return _task(stage, done, "follow").state
    except (DataError, OSError):
        if not lost_below:
            raise
        return CHANGED  # it depends on a result that is lost


def _task(stage: Stage, done: Manifest, models: Models) -> Task:
    """What a stage has to do, the stages that it rests on being done."""
    about, entry = json.loads(json.dumps(stage.about(), default=str)), done.get(stage.name)
    with_days = {name: done[name]["days"] for name in stage.rests_on if "days" in done[name]}
    span = _span(entry, with_days, models) if stage.trains else None
    digest = _digest(stage, about, done, span)
    days = {} if stage.days is None else dict(stage.days(with_days))
    task = partial(Task, about=about, digest=digest, span=span, days=days)
    kept = stage.trains and models == "keep" and entry is not None and entry["about"] == about
    if entry is None or (entry["digest"] != digest and not kept) or (stage.strict and entry["left_out"]):
        return task(CHANGED, todo=[*days], before=(entry or {}).get("days", {}))
    if not _is_whole(stage.target, entry):
        return task(LOST, todo=[*days])
    before = entry.get("days", {})
    if days == before:
        return task(DONE, before=before)
    if next(iter(days), "") != next(iter(before), ""):
        return task(CHANGED, todo=[*days], before=before)
    todo = [day for day, mark in days.items() if before.get(day) != mark]
    return task(CHANGED, todo=todo or [*days][-1:], before=before, added=True)


def _span(entry: dict[str, Any] | None, below: Mapping[str, Days], models: Models) -> tuple[str, str] | None:
    """First and last day to learn from: those of the first training, unless all are asked for."""
    if entry is not None and entry.get("span") and models != "renew":
        return tuple(entry["span"])
    days = [day for some in below.values() for day in some]
    return (min(days), max(days)) if days else None


def _digest(stage: Stage, about: Any, done: Manifest, span: tuple[str, str] | None) -> str:
    first, last = span or ("", "9")
    below = [done[name]["digest"] for name in stage.rests_on]
    if stage.days is None:
        of_days = [done[name]["days"].items() for name in stage.rests_on if "days" in done[name]]
        below += [short([pair for pair in some if first <= pair[0] <= last]) for some in of_days]
    return short([__version__, about, below])


def short(of: Any) -> str:
    """Digest of anything that JSON takes."""
    return hashlib.sha256(json.dumps(of, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _do(stage: Stage, task: Task, out: Path, done: Manifest) -> None:
    """Do a stage and enter it; where all is made again, its earlier entry leaves the manifest before its files go."""
    start, target = time.monotonic(), stage.target
    keep = short([task.digest, task.days]) if target.suffix == ".zarr" or task.added else ""
    _clear(target.parent, f".{target.name}.*.part", keep)
    more = [task.days, task.todo] if stage.days else [task.span] if stage.trains else []

    def entry(skipped: Mapping[str, str]) -> dict[str, Any]:
        before = done[stage.name]["left_out"] if task.added else {}
        lost = {file: why for file, why in before.items() if str(day_in(Path(file).name)) not in task.todo}
        values = {
            "digest": task.digest, "path": str(target.relative_to(out)),
            "seconds": round(time.monotonic() - start, 1), "rests_on": list(stage.rests_on), "about": task.about,
            "versions": versions("xarray", "dask", "zarr"), "left_out": lost | dict(skipped),
        } | ({"days": task.days} if stage.days else {}) | ({"span": task.span} if stage.trains else {})  # fmt: skip
        return dict(json.loads(json.dumps(values, default=str)))

    def put(part: Path) -> None:
        mark = part.parent / ENTRY
        mark.with_suffix(".new").write_text(json.dumps([stage.name, entry(skipped_files)]), encoding="utf-8")
        to_disk(mark.with_suffix(".new"))
        atomic.replace(mark.with_suffix(".new"), mark)
        _absorb(mark, out, done)

    how = {"put": put} if task.added else {}
    with atomic.fresh(target, overwrite=True, keep=keep, **how) as part, listen(hide=True) as skipped:
        stage.work(part, *more)
        skipped_files = skipped()
        if part.is_dir():
            to_disk(part)
        if not task.added and done.pop(stage.name, {}):
            save_manifest(out, done)
    if not task.added:
        done[stage.name] = entry(skipped_files) | {"kept": _size(target)}
        save_manifest(out, done)
    log.info("%-24s %6.1f s", stage.name, time.monotonic() - start)


def _absorb(mark: Path, out: Path, done: Manifest) -> None:
    """Move the days of an update that is whole into the result of its stage, and enter them."""
    name, entry = json.loads(mark.read_text(encoding="utf-8"))
    target = out / entry["path"]
    day_store.absorb(mark.parent / target.name, target)
    done[name] = entry | {"kept": _size(target)}
    save_manifest(out, done)


def finish(out: Path) -> None:
    """Finish the updates of days that are whole and that a crash kept from their places."""
    for mark in sorted(path for folder in (out, out / "data") for path in folder.glob(f".*.part/{ENTRY}")):
        _absorb(mark, out, manifest(out))
        shutil.rmtree(mark.parent)


def _size(target: Path) -> list[int]:
    """Number and bytes of the files of a result, of one that grows by days their number alone: days are replaced."""
    if (target / "time").is_dir() and day_store.grows(target):
        return [sum(len(names) for _, _, names in os.walk(target))]
    if target.is_file():
        return [1, target.stat().st_size]
    sizes = [os.stat(Path(folder) / name).st_size for folder, _, names in os.walk(target) for name in names]
    return [len(sizes), sum(sizes)]


def _is_whole(target: Path, entry: dict[str, Any]) -> bool:
    """Whether a result still has all that was written; other programs may have put files beside it."""
    if not target.exists():
        return False
    whole = all(now >= before for now, before in zip(_size(target), entry.get("kept", ()), strict=False))
    if not whole:
        tell(f"'{target}' is incomplete and is made again.")
    return whole


def manifest(out: Path) -> Manifest:
    """What is entered of a study's stages, by name."""
    file = _manifest_file(out)
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
    except ValueError as error:
        raise DataError(f"'{file}' is damaged ({error}).", hint="Remove it; the stages then run again.") from None


def save_manifest(out: Path, done: Manifest) -> None:
    """Replace the manifest of a study."""
    with atomic.fresh(_manifest_file(out), overwrite=True) as part:
        part.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def _manifest_file(out: Path) -> Path:
    return out / ".xsm" / "manifest.json"


def left_out(out: Path) -> dict[str, str]:
    """What the stages of the last run left out because it could not be read, by file."""
    entries = (entry for entry in manifest(out).values() if entry.get("wanted"))
    return {file: reason for entry in entries for file, reason in entry["left_out"].items()}


def left_out_by(out: Path, names: Iterable[str]) -> list[str]:
    """Names of the files that certain stages left out because they could not be read."""
    done = manifest(out)
    return sorted({file for name in names for file in done[name]["left_out"]})


def clear(out: Path) -> None:
    """Remove what interrupted runs left behind anywhere in a study's folder."""
    for folder in (out, *(out / name for name in ("data", "models", ".xsm", ".xsm/states"))):
        _clear(folder, ".*.part")


def _clear(folder: Path, pattern: str, keep: str = "") -> None:
    """Remove what interrupted runs left behind, except what carries the mark ``keep``."""
    for left in folder.glob(pattern):
        if not keep or not left.name.endswith(f".{keep}.part"):
            shutil.rmtree(left, ignore_errors=True)
