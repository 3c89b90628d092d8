"""Stages of a study: entered into a manifest when done, done again when what they rest on changed."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xsm import atomic
from xsm._version import __version__
from xsm.atomic import lock, to_disk
from xsm.contracts.bundle import versions
from xsm.data.skipped import listen
from xsm.errors import DataError, tell

log = logging.getLogger("xsm")
DONE, LOST, CHANGED = "done", "lost", "changed"
"""States of a stage: done; done, but its result is no longer whole; to be done."""
Manifest = dict[str, dict[str, Any]]
"""Entries of the stages that are done, by name."""


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
        Writes the result under the temporary name that it receives.
    strict : bool
        The stage does not count as done where files were left out.
    """

    name: str
    rests_on: Sequence[str]
    about: Callable[[], Any]
    target: Path
    work: Callable[[Path], Any]
    strict: bool = False


def run_stages(table: Sequence[Stage], out: Path, begin: Callable[[str], None] | None = None) -> None:
    """Do the stages of a table that are not done; each stands below those that it rests on.

    Entries of other stages stay in the manifest of the folder ``out``, for a study that wants them again. ``begin`` is
    called with each stage that begins, such as ``"6/17 fill gaps"``.
    """
    done = manifest(out)
    for number, stage in enumerate(table, 1):
        about = stage.about()
        digest = _digest(stage, about, done)
        if _state(stage, digest, done) == DONE:
            log.info("%-24s done before", stage.name)
            continue
        if begin is not None:
            begin(f"{number}/{len(table)} {stage.name}")
        _do(stage, about, digest, out, done)
    names = [stage.name for stage in table]
    done = {name: done[name] | {"wanted": name in names} for name in dict.fromkeys([*names, *done])}
    save_manifest(out, done)


def states_of(table: Sequence[Stage], out: Path) -> dict[str, str]:
    """State of each stage, by name, as a run would find it; nothing is written."""
    done, states = manifest(out), dict[str, str]()
    for stage in table:
        below = {states.get(name) for name in stage.rests_on}
        to_do = stage.name not in done or CHANGED in below
        states[stage.name] = CHANGED if to_do else _foreseen(stage, done, LOST in below)
    return states


def _foreseen(stage: Stage, done: Manifest, lost_below: bool) -> str:
    try:
        about = stage.about()
    except (DataError, OSError):
        if not lost_below:
            raise
        return CHANGED  # it depends on a result that is lost
    return _state(stage, _digest(stage, about, done), done)


def _state(stage: Stage, digest: str, done: Manifest) -> str:
    entry = done.get(stage.name)
    if entry is None or entry["digest"] != digest or (stage.strict and entry["left_out"]):
        return CHANGED
    return DONE if _is_whole(stage.target, entry) else LOST


def _digest(stage: Stage, about: Any, done: Manifest) -> str:
    below = [done[name]["digest"] for name in stage.rests_on]
    text = json.dumps([__version__, about, below], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _do(stage: Stage, about: Any, digest: str, out: Path, done: Manifest) -> None:
    """Do a stage and enter it; its earlier entry leaves the manifest before its files are replaced."""
    start, target = time.monotonic(), stage.target
    keep = digest if target.suffix == ".zarr" else ""
    _clear(target.parent, f".{target.name}.*.part", keep)
    with atomic.fresh(target, overwrite=True, keep=keep) as part, listen(hide=True) as skipped:
        stage.work(part)
        skipped_files = skipped()
        if part.is_dir():
            to_disk(part)
        if done.pop(stage.name, None):
            save_manifest(out, done)
    seconds = round(time.monotonic() - start, 1)
    entry = {
        "digest": digest, "path": str(target.relative_to(out)), "seconds": seconds, "rests_on": list(stage.rests_on),
        "about": about, "versions": versions("xarray", "dask", "zarr"), "left_out": skipped_files,
        "kept": _size(target),
    }  # fmt: skip
    done[stage.name] = json.loads(json.dumps(entry, default=str))
    save_manifest(out, done)
    log.info("%-24s %6.1f s", stage.name, seconds)


def _size(target: Path) -> list[int]:
    """Number and bytes of the files of a result."""
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
    for folder in (out, *(out / name for name in ("data", "models", ".xsm"))):
        _clear(folder, ".*.part")


def _clear(folder: Path, pattern: str, keep: str = "") -> None:
    """Remove what interrupted runs left behind, except what carries the mark ``keep``."""
    for left in folder.glob(pattern):
        if not keep or not left.name.endswith(f".{keep}.part"):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Create the folder and lock it; a second run is refused, and a folder with other files."""
    settings = out / ".xsm"
    try:
        if out.exists() and any(out.iterdir()) and not settings.is_dir():
            raise DataError(f"The folder '{out}' contains other files.", hint="Choose another out = in the study file.")
        settings.mkdir(parents=True, exist_ok=True)
        handle = os.open(settings / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except (OSError, ValueError) as error:  # the latter for a NUL byte in the name
        if isinstance(error, DataError):
            raise
        reason, name = getattr(error, "strerror", error), str(out).replace("\0", "\\0")
        raise DataError(
            f"The folder '{name}' cannot be used ({reason}).", hint="Check its name and permissions."
        ) from None
    try:
        try:
            free = lock(handle)
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, "")
            raise DataError(
                f"The folder '{out}' cannot be locked ({error.strerror}, {code}).",
                hint="Choose an out = on a file system with locks (flock).",
            ) from None
        if not free:
            raise DataError(f"Another run is using '{out}'.", hint="Wait for it, or choose another folder.")
        yield
    finally:
        os.close(handle)
