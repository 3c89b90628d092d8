"""Files on the web, and the list of those that a folder contains completely."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from xsm.atomic import fresh
from xsm.errors import DataError, UsageError, tell

log = logging.getLogger("xsm")
NAME = "manifest.json"
FORMAT = "xsm-manifest-1"

Entry = dict[str, Any]
"""The record of a complete file: ``url``, ``bytes``, ``sha256``, ``time``."""


@dataclass(frozen=True)
class Remote:
    """A file on the web.

    Parameters
    ----------
    url : str
        http(s) address.
    name : str
        File name in the folder, without path.
    size : int, optional
        Bytes that it must have.
    about : int, optional
        Approximate bytes, where ``size`` is not known; for plans only.
    checksum : str, optional
        Algorithm and value, such as ``"md5:9e107d9d372bb6826bd81d3542a419d6"``; any algorithm of hashlib.
    magic : tuple of bytes
        Possible beginnings of its content.
    changes : bool
        Whether it still grows at the provider, so that a file that is already there is fetched again.

    Examples
    --------
    >>> Remote("https://example.org/a/sand.tif", "sand.tif", magic=(b"II*", b"MM")).host
    'example.org'
    """

    url: str
    name: str
    size: int | None = None
    about: int | None = None
    checksum: str | None = None
    magic: tuple[bytes, ...] = ()
    changes: bool = False

    def __post_init__(self) -> None:
        _check_url(self.url)
        if self.checksum is not None and self.checksum.partition(":")[0] not in hashlib.algorithms_available:
            raise UsageError(f"The checksum '{self.checksum}' is not algorithm:hex.", hint="Write for example md5:...")
        bad = set('/\\:*?"<>|') & set(self.name)
        if bad or not self.name.isprintable() or self.name.startswith(".") or self.name in ("", NAME):
            raise UsageError(
                f"'{self.name}' is not a name for a file to fetch.", hint="Give a plain name without a path."
            )

    @property
    def bytes(self) -> int | None:
        """Its length, exact or approximate."""
        return self.about if self.size is None else self.size

    @property
    def host(self) -> str:
        """Host that has it."""
        return host(self.url)


@dataclass(frozen=True)
class Manifest:
    """The files of a download, and which of them are complete in the folder.

    Parameters
    ----------
    dest : Path
        The folder.
    remotes : tuple of Remote
        All files.
    entries : mapping
        By name, for those that need not be fetched: ``url``, ``bytes``, ``sha256``, ``time``.

    Examples
    --------
    >>> len(Manifest(Path("SMAP"), (), {}).remotes)
    0
    """

    dest: Path
    remotes: tuple[Remote, ...]
    entries: Mapping[str, Entry] = field(default_factory=dict, repr=False)

    @property
    def paths(self) -> list[Path]:
        """The complete files, to be opened."""
        return [self.dest / r.name for r in self.remotes if r.name in self.entries]

    @property
    def missing(self) -> tuple[Remote, ...]:
        """The files still to be fetched."""
        return tuple(r for r in self.remotes if r.name not in self.entries)

    def __len__(self) -> int:
        return len(self.remotes)

    def __str__(self) -> str:
        missing = self.missing
        if not missing:
            size = human(sum(self.entries[r.name]["bytes"] for r in self.remotes))
            return f"{_files(len(self))}, {size} in {self.dest}, complete"
        there = f" ({len(self) - len(missing)} of {len(self)} are there)" if len(missing) < len(self) else ""
        lines = [f"{_count(missing)} to fetch into {self.dest}{there}"]
        lines += [f"  {r.name}  {_size(r)}" for r in missing[:5]]
        return "\n".join([*lines, f"  and {len(missing) - 5} more"] if len(missing) > 5 else lines)


def load(path: Path) -> dict[str, Entry]:
    """Read a manifest file; empty if there is none."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        return {name: entry for name, entry in content["files"].items() if isinstance(entry["bytes"], int)}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(
            f"'{path}' is not a manifest of xsm ({error}).", hint="Move it away, or fetch into another folder."
        ) from None


def complete(remote: Remote, dest: Path, known: Mapping[str, Entry]) -> bool:
    """Whether a file need not be fetched: recorded, as long as recorded, and of the size that it must have."""
    path = dest / remote.name
    if remote.changes or remote.name not in known or not path.is_file():
        return False
    size = path.stat().st_size
    if size != known[remote.name]["bytes"]:
        tell(f"'{path}' has changed since it was fetched; it is fetched again.")
        return False
    return remote.size in (None, size)


def save(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write a manifest file."""
    with fresh(path, overwrite=True) as part:
        part.write_text(json.dumps({"format": FORMAT, "files": entries}, indent=1), encoding="utf-8")


def plain(url: str) -> str:
    """Address without the query, which may contain a signature, and without name and password."""
    return urlsplit(url)._replace(netloc=host(url), query="", fragment="").geturl()


def host(url: str) -> str:
    """Host and port of an address, without name and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def human(size: float) -> str:
    """Bytes for people.

    Examples
    --------
    >>> human(337_000_000)
    '337 MB'
    """
    unit = "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


def _size(remote: Remote) -> str:
    if remote.bytes is None:
        return "unknown size"
    return f"{'about ' if remote.size is None else ''}{human(remote.bytes)}"


def _count(remotes: tuple[Remote, ...]) -> str:
    sizes = [r.bytes for r in remotes if r.bytes is not None]
    unknown, about = len(remotes) - len(sizes), any(r.size is None for r in remotes if r.bytes is not None)
    parts = [f"{'about ' if about else ''}{human(sum(sizes))}"] if sizes else []
    parts += [f"{unknown} of unknown size"] if unknown else []
    return f"{_files(len(remotes))}, {' and '.join(parts)}"


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"'{plain(url)}' is not an http(s) address.", hint="Give the address of a file.")
    if parts.username or parts.password:
        raise UsageError(f"The address on {parts.hostname} contains a user name.", hint="Put credentials into .netrc.")
