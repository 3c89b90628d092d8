"""The transfer of one file: continue its part or begin again, check what came, give it its name."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import requests

from xsm.web import http as web
from xsm.web.manifest import Entry, Remote, plain

log = logging.getLogger("xsm")
HEAD = 512
"""Bytes that are checked before anything is written."""
_PART = re.compile(r"^(?P<name>.+)\.(?P<tag>[0-9a-f]{8}|unsure)\.part$")


class Transfers:
    """The transfers into a folder, each in its own thread; ``entries`` is what the folder's manifest records."""

    def __init__(self, session: web.Session, dest: Path, entries: dict[str, Entry]) -> None:
        self._session, self._dest, self._entries = session, dest, entries
        self._parts = {m["name"]: p for p in dest.glob("*.part") if (m := _PART.match(p.name))}
        self._open: dict[str, tuple[requests.Response, float]] = {}
        self.stop = threading.Event()
        self.received: dict[str, int] = {}  # bytes of the files that are not complete

    def kept(self, remote: Remote) -> int:
        """Bytes of a file that a next attempt can continue from."""
        part = self._parts.get(remote.name)
        return part.stat().st_size if part is not None and part.exists() else 0

    def cut(self, longest: float) -> None:
        """Cut the transfers of which no block has come for so many seconds."""
        for response, moved in list(self._open.values()):
            if time.monotonic() - moved >= longest:
                with contextlib.suppress(ValueError, RuntimeError, OSError):
                    response.raw.shutdown()

    def fetch(self, remote: Remote) -> Entry:
        """Make one attempt at a file; returns what the manifest records of it."""
        path, part = self._dest / remote.name, self._parts.get(remote.name)
        sure = part is not None and (remote.checksum is not None or not part.name.endswith(f".{web.UNSURE}.part"))
        offset = part.stat().st_size if part is not None and sure else 0
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with web.get(self._session, remote.url, remote.name, headers) as response:
            total = web.total(response)
            target = self._dest / f"{remote.name}.{web.tag(response, total)}.part"
            if response.status_code != 200 and (part != target or web.start(response) != offset):
                self._drop(remote)
                raise web.Again("the file has changed, or the server cannot continue it", 0.0)
            if total is not None:
                if response.status_code == 200 and total and remote.size not in (None, total):  # most often a web page
                    head = next(response.iter_content(web.BLOCK), b"")
                    web.check_start(head, remote.magic, remote.name, response, self._session.keys)
                self._check_length(remote, total)
            checksum = remote.checksum or web.checksum_in(response)
            if not (web.has_end(response) or checksum or remote.size):
                raise web.OneFile(
                    f"'{remote.name}': {remote.host} does not say where the file ends.",
                    hint="A file that is cut short would look like a complete one: fetch it by hand.",
                )
            foreign = path.exists() and remote.name not in self._entries
            if foreign and (total is not None or checksum is not None):
                return _adopt(remote, path, total, checksum)
            if response.status_code == 200:
                self._drop(remote)
                offset = 0
            try:
                self._receive(response, remote, target, offset)
            finally:
                del self._open[remote.name]
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
        del self._parts[remote.name]
        return entry

    def _receive(self, response: requests.Response, remote: Remote, target: Path, offset: int) -> None:
        blocks = response.iter_content(web.BLOCK)
        self._open[remote.name] = response, time.monotonic()
        if not offset:
            head = b""
            while len(head) < HEAD and (block := next(blocks, b"")):
                head += block
            if not head:
                raise web.OneFile(f"'{remote.name}' is empty at {remote.host}.", hint="Ask the provider.")
            web.check_start(head, remote.magic, remote.name, response, self._session.keys)
            blocks = itertools.chain([head], blocks)
        self._parts[remote.name] = target
        self.received[remote.name] = offset
        with open(target, "ab" if offset else "wb") as file:
            for block in blocks:
                self._open[remote.name] = response, time.monotonic()
                if self.stop.is_set():
                    raise web.Stopped
                file.write(block)
                self.received[remote.name] += len(block)

    def _check_length(self, remote: Remote, length: int) -> None:
        if remote.size not in (None, length):
            self._drop(remote)
            raise web.OneFile(
                f"'{remote.name}' has {length} bytes at {remote.host}, expected {remote.size} from the catalogue.",
                hint="The catalogue may be out of date; try again later.",
            )

    def _drop(self, remote: Remote) -> None:
        part = self._parts.pop(remote.name, None)
        if part is not None:
            part.unlink(missing_ok=True)


def _adopt(remote: Remote, path: Path, total: int | None, checksum: str | None) -> Entry:
    """Take a file that is in the folder but not in the manifest for the provider's if length and checksum agree."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        fits = not remote.magic or file.read(HEAD).startswith(remote.magic)
    if checksum is not None:
        algorithm, _, expected = checksum.partition(":")
        fits = fits and _digest(path, algorithm) == expected.lower()
    if total not in (None, size) or not fits:
        raise web.OneFile(
            f"'{path}' exists already and is not the provider's file ({size} bytes, there "
            f"{'other ones' if total in (None, size) else total}).",
            hint="Move it away.",
        )
    log.info("%s was there already", remote.name)
    return _verified(remote, path, None)


def _verified(remote: Remote, path: Path, checksum: str | None) -> Entry:
    """What the manifest records of a complete file; a checksum that differs is an error."""
    sha256 = _digest(path, "sha256")
    if checksum is not None:
        algorithm, _, expected = checksum.partition(":")
        got = sha256 if algorithm == "sha256" else _digest(path, algorithm)
        if got != expected.lower():
            raise web.OneFile(
                f"'{remote.name}' has the {algorithm} {got}, expected {expected}.",
                hint="It was damaged on the way: run again to fetch it once more.",
            )
    return {
        "url": plain(remote.url),
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _digest(path: Path, algorithm: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
