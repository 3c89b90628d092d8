"""Fetch files from the web into a folder: resumed, checked, atomic, recorded in ``manifest.json``.

Sources list what there is as `Remote`; the rest is done here (which files, how many at a time), in `xsm.web.transfer`
(one file) and in `xsm.web.http` (requests, retries, refusals).
"""

from __future__ import annotations

import functools
import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from xsm.errors import DataError, FetchError, UsageError
from xsm.progress import Done, quiet
from xsm.web import http as web
from xsm.web.login import Login, find_keys
from xsm.web.manifest import NAME, Entry, Manifest, Remote, complete, human, load, plain, save
from xsm.web.transfer import Transfers

log = logging.getLogger("xsm")
SAVE_EVERY, LOOK_EVERY = 5.0, 0.2
"""Seconds."""
KEPT = "Complete files stay; run again later to continue."


def download(
    remotes: Iterable[Remote], dest: str | Path, *, login: Login | None = None, dry_run: bool = False
) -> Manifest:
    """Fetch files into a folder.

    A file gets its name only when it is complete and checked: length, checksum where one is known, first bytes. A
    transfer that was cut is kept as ``<name>.<tag>.part`` and continued by the next call, if the provider's file is
    still the same. ``manifest.json`` lists the complete files, which are not fetched again. The options ``workers``,
    ``retries`` and ``timeout`` (`xsm.set_options`) set how many files are fetched at a time, how often each is tried
    again, and how long a silent server is waited for.

    Parameters
    ----------
    remotes : iterable of Remote
        What to fetch; duplicates count once.
    dest : str or Path
        Folder; created if it does not exist.
    login : Login, optional
        Where credentials are needed: whose.
    dry_run : bool
        Only list what would be fetched; no request is sent and nothing is written.

    Returns
    -------
    Manifest

    Raises
    ------
    FetchError
        Where a file cannot be fetched. After a failure that concerns one file (not there, wrong content) the others are
        still fetched; any other failure stops the download at once.
    UsageError
        For two files of the same name, or a folder that is a file.
    DataError
        For a ``manifest.json`` that cannot be read, or too little free space.

    Examples
    --------
    >>> print(download([Remote("https://example.org/a.nc", "a.nc", size=5000)], "folder", dry_run=True))
    1 file, 5 kB to fetch into folder
      a.nc  5 kB
    """
    dest = Path(dest)
    unique = tuple(dict.fromkeys(remotes))
    _check_names(unique)
    if dest.exists() and not dest.is_dir():
        raise UsageError(f"'{dest}' is a file, expected a folder.", hint="Give another name.")
    known = load(dest / NAME)
    plan = Manifest(dest, unique, {r.name: known[r.name] for r in unique if complete(r, dest, known)})
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
    return Manifest(dest, unique, {r.name: job.entries[r.name] for r in unique})


class _Job:
    """One run of `download`: its threads share the transfers, the list of complete files and the counters."""

    def __init__(self, session: web.Session, dest: Path, entries: dict[str, Entry]) -> None:
        self.dest, self.entries, self.lock = dest, entries, threading.Lock()
        self.transfers = Transfers(session, dest, entries)
        self.failed: list[web.OneFile] = []
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

    def _pool(self, waiting: queue.SimpleQueue[Remote], workers: int, report: Callable[[], None]) -> None:
        with ThreadPoolExecutor(max(workers, 1), "xsm-fetch") as pool:
            running = {pool.submit(self._work, waiting) for _ in range(workers)}
            try:
                while running:
                    finished, running = wait(running, LOOK_EVERY, FIRST_EXCEPTION)
                    for future in finished:
                        future.result()
                    report()
                    self.transfers.cut(web.STALL * web.option("timeout"))
                    if time.monotonic() - self.saved > SAVE_EVERY:
                        self._save()
            except BaseException:
                self._halt()
                log.info("stopped after %d files; run again to continue.", self.files - len(self.failed))
                raise

    def _halt(self) -> None:
        """Stop the threads, also those that wait for a silent server."""
        self.transfers.stop.set()
        self.transfers.cut(0)

    def _state(self, files: int, total: int | None) -> tuple[float, str, Done]:
        size = self.bytes + sum(list(self.transfers.received.values()))
        share = size / total if total else self.files / files
        return min(share, 1.0), f"{self.files} of {files} files, {human(size)}", (size, "byte")

    def _save(self) -> None:
        with self.lock:
            entries = dict(self.entries)
        save(self.dest / NAME, entries)
        self.saved = time.monotonic()

    def _work(self, waiting: queue.SimpleQueue[Remote]) -> None:
        while not self.transfers.stop.is_set():
            try:
                remote = waiting.get_nowait()
            except queue.Empty:
                return
            entry = None
            try:
                entry = web.persist(
                    functools.partial(self.transfers.fetch, remote),
                    remote.name,
                    self.transfers.stop,
                    functools.partial(self.transfers.kept, remote),
                    KEPT,
                )
            except web.OneFile as error:
                log.info("%s", error)
                self.failed.append(error)
            except web.Stopped:
                return
            except OSError as error:
                path, why = self.dest / remote.name, error.strerror or error
                raise FetchError(
                    f"'{path}' cannot be written ({why}).", hint="Check free space and permissions."
                ) from None
            with self.lock:
                self.transfers.received.pop(remote.name, None)
                self.files += 1
                if entry is not None:
                    self.entries[remote.name] = entry
                    self.bytes += entry["bytes"]


def _check_names(remotes: tuple[Remote, ...]) -> None:
    if not remotes:
        raise FetchError("There is no file to fetch.", hint="Check the region, the period and the options.")
    by_name: dict[str, Remote] = {}
    for remote in remotes:
        other = by_name.setdefault(remote.name.casefold(), remote)
        if other is not remote:
            raise UsageError(
                f"{plain(other.url)} and {plain(remote.url)} would both be '{remote.name}'.",
                hint="Fetch them into different folders.",
            )


def _check_space(manifest: Manifest) -> None:
    need, free = sum(r.bytes or 0 for r in manifest.missing), shutil.disk_usage(manifest.dest).free
    if need > free:
        raise DataError(
            f"The download needs {human(need)}, '{manifest.dest}' has {human(free)} free.",
            hint="Choose a shorter period or another disk.",
        )
