"""Fetch files from the web into a folder: resumed, checked, atomic, recorded in ``manifest.json``.

Sources say what there is as a list of `Remote`; everything else about a download is here and in `xsm.web.http`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import logging
import os
import queue
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

import requests

from xsm.errors import DataError, FetchError, UsageError
from xsm.progress import Done, quiet
from xsm.web import http as web
from xsm.web.login import Login, find_keys
from xsm.web.manifest import NAME, Entry, Manifest, Remote, complete, human, load, plain, save

log = logging.getLogger("xsm")
SAVE_EVERY, LOOK_EVERY = 5.0, 0.2
"""Seconds."""
HEAD = 512
"""Bytes that are looked at before anything is written."""
STALL = 5
"""A transfer of which no block comes for so many times the option ``timeout`` is cut: a server may drip for ever."""
KEPT = "What is complete stays; run again later to go on."
_PART = re.compile(r"^(?P<name>.+)\.(?P<tag>[0-9a-f]{8}|unsure)\.part$")


def download(
    remotes: Iterable[Remote], dest: str | Path, *, login: Login | None = None, dry_run: bool = False
) -> Manifest:
    """Fetch files into a folder.

    A file has its name only when it is whole and checked: length, checksum where one is known, first bytes. What was
    cut short waits as ``<name>.<tag>.part`` and is continued by the next call, if the provider's file is still the
    same. ``manifest.json`` lists what is complete, and these are not fetched again. The options ``workers``,
    ``retries`` and ``timeout`` (`xsm.set_options`) say how many files at once, how often again, and after how long.

    Parameters
    ----------
    remotes : iterable of Remote
        What to fetch; the same one twice counts once.
    dest : str or Path
        Folder; made where it does not exist.
    login : Login, optional
        Whose credentials are needed.
    dry_run : bool
        Only find out what would be fetched; no request is sent and nothing is written.

    Returns
    -------
    Manifest

    Raises
    ------
    FetchError
        Where a file cannot be fetched. Failures that concern one file (not there, wrong content) let the others be
        fetched first; all other failures stop at once.
    UsageError
        For two files of one name, or a folder that cannot be one.
    DataError
        For a ``manifest.json`` that cannot be read, or too little space.

    Examples
    --------
    >>> print(download([Remote("https://example.org/a.nc", "a.nc", size=5000)], "folder", dry_run=True))
    1 file, 5 kB to fetch into folder
      a.nc  5 kB
    """
    dest = Path(dest)
    wanted = tuple(dict.fromkeys(remotes))
    _check_names(wanted)
    if dest.exists() and not dest.is_dir():
        raise UsageError(f"'{dest}' is a file, wanted a folder.", hint="Give another name.")
    known = load(dest / NAME)
    plan = Manifest(dest, wanted, {r.name: known[r.name] for r in wanted if complete(r, dest, known)})
    if dry_run or not plan.missing:
        return plan
    keys = find_keys(login)
    dest.mkdir(parents=True, exist_ok=True)
    _check_space(plan)
    with web.Session(keys) as session:
        job = _Job(session, dest, known)
        job.run(plan.missing)
    if job.failed:
        first = job.failed[0]
        many = f"{len(job.failed)} of {len(plan.missing)} files failed, the first: " if len(job.failed) > 1 else ""
        raise FetchError(f"{many}{first.message}", hint=first.hint)
    return Manifest(dest, wanted, {r.name: job.entries[r.name] for r in wanted})


class _Job:
    """One run of `download`: its threads share the session, the list of complete files and the counters."""

    def __init__(self, session: web.Session, dest: Path, entries: dict[str, Entry]) -> None:
        self.session, self.dest, self.entries = session, dest, entries
        self.parts = {m["name"]: p for p in dest.glob("*.part") if (m := _PART.match(p.name))}
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.failed: list[web.OneFile] = []
        self.coming: dict[str, int] = {}
        self.open: dict[str, tuple[requests.Response, float]] = {}
        self.files = self.bytes = 0

    def run(self, remotes: tuple[Remote, ...]) -> None:
        """Fetch all; the first alone, so that a wrong password is sent once and not by every thread."""
        sizes = [r.bytes for r in remotes]
        total = sum(s for s in sizes if s is not None) if None not in sizes else None
        self.saved = time.monotonic()
        try:
            with quiet() as progress:
                for batch, workers in ((remotes[:1], 1), (remotes[1:], web.option("workers"))):
                    waiting: queue.SimpleQueue[Remote] = queue.SimpleQueue()
                    for remote in batch:
                        waiting.put(remote)
                    self._pool(waiting, min(workers, len(batch)), lambda: progress(*self._state(len(remotes), total)))
        finally:
            self._save()

    def _pool(self, waiting: queue.SimpleQueue[Remote], workers: int, tell: Callable[[], None]) -> None:
        with ThreadPoolExecutor(max(workers, 1), "xsm-fetch") as pool:
            running = {pool.submit(self._work, waiting) for _ in range(workers)}
            try:
                while running:
                    finished, running = wait(running, LOOK_EVERY, FIRST_EXCEPTION)
                    for future in finished:
                        future.result()
                    tell()
                    self._cut(STALL * web.option("timeout"))
                    if time.monotonic() - self.saved > SAVE_EVERY:
                        self._save()
            except BaseException:
                self._halt()
                log.info("stopped after %d files; run again to continue.", self.files - len(self.failed))
                raise

    def _halt(self) -> None:
        """Stop the threads, also those that wait for a silent server."""
        self.stop.set()
        self._cut(0)

    def _cut(self, longest: float) -> None:
        """Cut transfers of which no block came for so many seconds."""
        for response, moved in list(self.open.values()):
            if time.monotonic() - moved >= longest:
                with contextlib.suppress(ValueError, RuntimeError, OSError):
                    response.raw.shutdown()

    def _state(self, files: int, total: int | None) -> tuple[float, str, Done]:
        came = self.bytes + sum(list(self.coming.values()))
        share = came / total if total else self.files / files
        return min(share, 1.0), f"{self.files} of {files} files, {human(came)}", (came, "byte")

    def _save(self) -> None:
        with self.lock:
            entries = dict(self.entries)
        save(self.dest / NAME, entries)
        self.saved = time.monotonic()

    def _work(self, waiting: queue.SimpleQueue[Remote]) -> None:
        while not self.stop.is_set():
            try:
                remote = waiting.get_nowait()
            except queue.Empty:
                return
            entry = None
            try:
                entry = web.persist(
                    functools.partial(self._fetch, remote),
                    remote.name,
                    self.stop,
                    functools.partial(self._kept, remote),
                    KEPT,
                )
            except web.OneFile as error:
                log.info("%s", error)
                self.failed.append(error)
            except web.Stopped:
                return
            except OSError as error:
                path, why = self.dest / remote.name, error.strerror or error
                raise FetchError(f"'{path}' cannot be written ({why}).", hint="Check space and rights.") from None
            with self.lock:
                self.coming.pop(remote.name, None)
                self.files += 1
                if entry is not None:
                    self.entries[remote.name] = entry
                    self.bytes += entry["bytes"]

    def _fetch(self, remote: Remote) -> Entry:
        """One attempt at one file: continue its part or begin anew, check it, give it its name."""
        path, part = self.dest / remote.name, self.parts.get(remote.name)
        sure = part is not None and (remote.checksum is not None or not part.name.endswith(f".{web.UNSURE}.part"))
        offset = part.stat().st_size if part is not None and sure else 0
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with web.get(self.session, remote.url, remote.name, headers) as response:
            total = web.total(response)
            target = self.dest / f"{remote.name}.{web.tag(response, total)}.part"
            if response.status_code != 200 and (part != target or web.start(response) != offset):
                self._drop(remote)
                raise web.Again("the file is another one now, or the server cannot go on in it", 0.0)
            if total is not None:
                if response.status_code == 200 and total and remote.size not in (None, total):  # a page, by and large
                    head = next(response.iter_content(web.BLOCK), b"")
                    web.check_start(head, remote.magic, remote.name, response, self.session.keys)
                self._check_length(remote, total)
            checksum = remote.checksum or web.checksum_in(response)
            if not (web.tells_its_end(response) or checksum or remote.size):
                raise web.OneFile(
                    f"'{remote.name}': {remote.host} does not tell where the file ends.",
                    hint="What is cut short could not be told from the whole: fetch it by hand.",
                )
            foreign = path.exists() and remote.name not in self.entries
            if foreign and (total is not None or checksum is not None):
                return _adopt(remote, path, total, checksum)
            if response.status_code == 200:
                self._drop(remote)
                offset = 0
            try:
                self._receive(response, remote, target, offset)
            finally:
                del self.open[remote.name]
        try:
            size = target.stat().st_size
            if total is not None and size != total:
                raise web.Again(f"{size} bytes came, {total} were announced")
            self._check_length(remote, size)
            entry = _verified(remote, target, checksum)
            if foreign:
                _adopt(remote, path, size, f"sha256:{entry['sha256']}")
        except (web.OneFile, web.Again):
            self._drop(remote)
            raise
        os.replace(target, path)
        del self.parts[remote.name]
        return entry

    def _receive(self, response: requests.Response, remote: Remote, target: Path, offset: int) -> None:
        blocks = response.iter_content(web.BLOCK)
        self.open[remote.name] = response, time.monotonic()
        if not offset:
            head = b""
            while len(head) < HEAD and (block := next(blocks, b"")):
                head += block
            if not head:
                raise web.OneFile(f"'{remote.name}' is empty at {remote.host}.", hint="Ask the provider.")
            web.check_start(head, remote.magic, remote.name, response, self.session.keys)
            blocks = itertools.chain([head], blocks)
        self.parts[remote.name] = target
        self.coming[remote.name] = offset
        with open(target, "ab" if offset else "wb") as file:
            for block in blocks:
                self.open[remote.name] = response, time.monotonic()
                if self.stop.is_set():
                    raise web.Stopped
                file.write(block)
                self.coming[remote.name] += len(block)

    def _check_length(self, remote: Remote, length: int) -> None:
        if remote.size not in (None, length):
            self._drop(remote)
            raise web.OneFile(
                f"'{remote.name}' has {length} bytes at {remote.host}, wanted {remote.size} by the catalogue.",
                hint="The catalogue may lag behind; try again later.",
            )

    def _kept(self, remote: Remote) -> int:
        part = self.parts.get(remote.name)
        return part.stat().st_size if part is not None and part.exists() else 0

    def _drop(self, remote: Remote) -> None:
        part = self.parts.pop(remote.name, None)
        if part is not None:
            part.unlink(missing_ok=True)


def _adopt(remote: Remote, path: Path, total: int | None, checksum: str | None) -> Entry:
    """Take a file that lies there, but not in the manifest, for the provider's if length and checksum agree."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        fits = not remote.magic or file.read(HEAD).startswith(remote.magic)
    if checksum is not None:
        algorithm, _, wanted = checksum.partition(":")
        fits = fits and _digest(path, algorithm) == wanted.lower()
    if total not in (None, size) or not fits:
        raise web.OneFile(
            f"'{path}' exists already and is not the provider's file ({size} bytes, there "
            f"{'other ones' if total in (None, size) else total}).",
            hint="Move it away.",
        )
    log.info("%s was there already", remote.name)
    return _verified(remote, path, None)


def _verified(remote: Remote, path: Path, checksum: str | None) -> Entry:
    """What the manifest says of a complete file; a checksum that differs is an error."""
    sha256 = _digest(path, "sha256")
    if checksum is not None:
        algorithm, _, wanted = checksum.partition(":")
        got = sha256 if algorithm == "sha256" else _digest(path, algorithm)
        if got != wanted.lower():
            raise web.OneFile(
                f"'{remote.name}' has the {algorithm} {got}, wanted {wanted}.",
                hint="It was damaged on its way: run again to get it once more.",
            )
    return {
        "url": remote.url,
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _digest(path: Path, algorithm: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _check_names(remotes: tuple[Remote, ...]) -> None:
    if not remotes:
        raise FetchError("There is no file to fetch.", hint="Check region, period and options.")
    by_name: dict[str, Remote] = {}
    for remote in remotes:
        other = by_name.setdefault(remote.name.casefold(), remote)
        if other is not remote:
            raise UsageError(
                f"{plain(other.url)} and {plain(remote.url)} would both be '{remote.name}'.",
                hint="Fetch them into two folders.",
            )


def _check_space(manifest: Manifest) -> None:
    need, free = sum(r.bytes or 0 for r in manifest.missing), shutil.disk_usage(manifest.dest).free
    if need > free:
        raise DataError(
            f"The download needs {human(need)}, '{manifest.dest}' has {human(free)} free.",
            hint="Choose a shorter period or another disk.",
        )
