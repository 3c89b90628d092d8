"""The journal of a Zarr store that is written in chunk groups: which units are on the disk, and their warnings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xsm.atomic import replace, to_disk
from xsm.errors import SkippedFile


class Journal:
    """Which units of a store are complete; those of a group share a line of JSON. Without a file nothing is kept.

    Parameters
    ----------
    path : Path, optional
        The file.
    about : object
        What the store is made of, as JSON; a journal of another one is ignored.
    strict : bool
        Ignore a journal that records files that were left out.

    Examples
    --------
    >>> journal = Journal(None, "a store", strict=False)
    >>> journal.begun, journal.units
    (False, set())
    """

    def __init__(self, path: Path | None, about: Any, strict: bool) -> None:
        self._path, self._head = path, {"about": about}
        self._lines: list[Any] = []
        for line in path.read_bytes().splitlines() if path and path.exists() else ():
            try:
                self._lines.append(json.loads(line))
            except ValueError:  # the line that was being written
                break
        before = [line for line in self._lines[1:] if self._lines[0] == self._head]
        self.warnings = unlike(_warning(*w) for line in before for w in line["told"])
        refused = strict and any(isinstance(w, SkippedFile) for w in self.warnings)
        self.begun = self._lines[:1] == [self._head] and not refused
        self.units = {name for line in before for name in line["done"]} if self.begun else set()

    def begin(self) -> None:
        """Record that the store is laid out."""
        self._lines, self.warnings = [self._head], []
        self._save()

    def close(self, units: list[str], warnings: list[Warning]) -> None:
        """Record the units of a group that is complete, and the warnings that came while it was made."""
        texts = [[w.file, w.reason] if isinstance(w, SkippedFile) else ["", str(w)] for w in warnings]
        self._lines.append({"done": units, "told": texts})
        self._save()

    def _save(self) -> None:
        if self._path is not None:
            part = self._path.with_suffix(".new")
            part.write_text("".join(json.dumps(line) + "\n" for line in self._lines), encoding="utf-8")
            to_disk(self._path.parent)
            to_disk(part)
            replace(part, self._path)


def unlike(warnings: Iterable[Warning]) -> list[Warning]:
    """Each warning once, by its text."""
    return list({str(w): w for w in warnings}.values())


def _warning(file: str, text: str) -> Warning:
    return SkippedFile(file, text) if file else UserWarning(text)
