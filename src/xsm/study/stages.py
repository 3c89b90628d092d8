"""Stages of a study: entered into a manifest when done, redone when what they rest on changed."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
ENDS = 2**16
"""Bytes at each end of a file by which it is known again."""


class Stages:
    """The stages of one study folder and their manifest."""

    def __init__(self, out: Path, step: Callable[[str], None], *, look: bool = False) -> None:
        self.out, self.step, self.look = out, step, look
        self.file = out / ".xsm" / "manifest.json"
        self.done = manifest(out)
        self.wanted: list[str] = []
        self.states: dict[str, str] = {}
        """`DONE`, `LOST` or `CHANGED`, by name."""

    def run(
        self, name: str, about: Any, rests_on: list[str], target: Path, work: Callable[[Path], Any], *,
        strict: bool = False,
    ) -> Path:  # fmt: skip
        """Do a stage unless it is done: ``work`` writes the file or folder it is given.

        ``about`` may be a function of no arguments, called when the stages are done that this one rests on. A Zarr
        store that an ended run left behind is gone on with, unless the stage has changed since. A ``strict`` stage is
        not done where files were left out. Who only has a ``look`` finds the state of each stage in ``states``.
        """
        self.wanted.append(name)
        about, digest, self.states[name] = self._found(name, about, rests_on, target, strict)
        if self.look:
            return target
        if self.states[name] == DONE:
            log.info("%-24s done before", name)
            return target
        start = time.monotonic()
        self.step(name)
        keep = digest if target.suffix == ".zarr" else ""
        _clear(target.parent, f".{target.name}.*.part", keep)
        with atomic.fresh(target, overwrite=True, keep=keep) as part, listen(hide=True) as left_out:
            work(part)
            lost = left_out()
            if part.is_dir():
                to_disk(part)
            if self.done.pop(name, None):  # what is entered is never older than the files
                self._save()
        seconds = round(time.monotonic() - start, 1)
        entry = {"digest": digest, "path": str(target.relative_to(self.out)), "seconds": seconds, "rests_on": rests_on}
        entry |= {"about": about, "versions": versions("xarray", "dask", "zarr"), "left_out": lost}
        entry["kept"] = _kept(target)
        self.done[name] = json.loads(json.dumps(entry, default=str))
        self._save()
        log.info("%-24s %6.1f s", name, seconds)
        return target

    def _found(self, name: str, about: Any, rests_on: list[str], target: Path, strict: bool) -> tuple[Any, str, str]:
        """What a stage depends on, the digest of that, and the state of the stage."""
        entry = self.done.get(name)
        below = [self.states.get(n) for n in rests_on] if self.look else []
        if self.look and (entry is None or CHANGED in below):
            return None, "", CHANGED
        try:
            about = about() if callable(about) else about
        except (DataError, OSError):
            if LOST not in below:
                raise
            return None, "", CHANGED  # a result that it reads is lost: who can tell
        digest = self._digest(about, rests_on)
        if entry is None or entry["digest"] != digest or (strict and entry["left_out"]):
            return about, digest, CHANGED
        return about, digest, DONE if _is_whole(target, entry) else LOST

    def left_out(self, names: Iterable[str]) -> list[str]:
        """Names of the files that stages left out because they could not be read."""
        return sorted({file for name in names for file in self.done[name]["left_out"]})

    def end(self) -> None:
        """Enter which stages this run wanted, in order: others stay, for a study that wants them again."""
        self.done = {name: self.done[name] for name in dict.fromkeys([*self.wanted, *self.done])}
        for name, entry in self.done.items():
            entry["wanted"] = name in self.wanted
        self._save()

    def _save(self) -> None:
        with atomic.fresh(self.file, overwrite=True) as part:
            part.write_text(json.dumps(self.done, indent=1) + "\n", encoding="utf-8")

    def _digest(self, about: Any, rests_on: list[str]) -> str:
        below = [self.done[name]["digest"] for name in rests_on]
        text = json.dumps([__version__, about, below], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kept(target: Path) -> list[int]:
    """Number and bytes of the files of a result."""
    if target.is_file():
        return [1, target.stat().st_size]
    sizes = [os.stat(Path(folder) / name).st_size for folder, _, names in os.walk(target) for name in names]
    return [len(sizes), sum(sizes)]


def _is_whole(target: Path, entry: dict[str, Any]) -> bool:
    """Whether a result is there with all that was written; other programs may have put files beside it."""
    if not target.exists():
        return False
    whole = all(is_ >= was for is_, was in zip(_kept(target), entry.get("kept", ()), strict=False))
    if not whole:
        tell(f"'{target}' is no longer whole and is made again.")
    return whole


def fingerprint(path: Path) -> tuple[int, int, str]:
    """What an input is known by: bytes, time, and the hash of both its ends (that of all of a small file).

    The whole of an archive of a terabyte is not read for it. The time does not count where all is hashed. One that
    cannot be read is known by that; its source tells of it.
    """
    try:
        stat = path.stat()
        if not path.is_file():
            return stat.st_size, stat.st_mtime_ns, ""
        with open(path, "rb") as file:
            ends = file.read(ENDS)
            file.seek(max(stat.st_size - ENDS, ENDS))
            ends += file.read(ENDS)
    except OSError as error:
        return 0, 0, str(error.strerror)
    small = stat.st_size <= len(ends)
    return stat.st_size, 0 if small else stat.st_mtime_ns, hashlib.sha256(ends).hexdigest()[:16]


def manifest(out: Path) -> dict[str, Any]:
    """What is entered of a study's stages, by name."""
    file = out / ".xsm" / "manifest.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
    except ValueError as error:
        raise DataError(f"'{file}' is damaged ({error}).", hint="Remove it: the stages are done again.") from None


def clear(out: Path) -> None:
    """Remove what ended runs left behind anywhere in a study's folder."""
    for folder in (out, *(out / name for name in ("data", "models", ".xsm"))):
        _clear(folder, ".*.part")


def left_out(out: Path) -> dict[str, str]:
    """What the stages of the last run left out because it could not be read, by file."""
    return {f: told for entry in manifest(out).values() if entry.get("wanted") for f, told in entry["left_out"].items()}


def _clear(folder: Path, pattern: str, keep: str = "") -> None:
    """Remove what ended runs left behind, but what carries the mark ``keep``."""
    for left in folder.glob(pattern):
        if not keep or not left.name.endswith(f".{keep}.part"):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Make the folder and hold its lock; a second run is refused, and a folder that holds other files."""
    own = out / ".xsm"
    try:
        if out.exists() and any(out.iterdir()) and not own.is_dir():
            raise DataError(f"The folder '{out}' holds other files.", hint="Choose another out = in the study file.")
        own.mkdir(parents=True, exist_ok=True)
        handle = os.open(own / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except (OSError, ValueError) as error:  # the latter for a NUL byte in the name
        if isinstance(error, DataError):
            raise
        told, shown = getattr(error, "strerror", error), str(out).replace("\0", "\\0")
        raise DataError(f"The folder '{shown}' cannot be used ({told}).", hint="Check its name and rights.") from None
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
            raise DataError(f"Another run works in '{out}'.", hint="Wait for it, or choose another folder.")
        yield
    finally:
        os.close(handle)
