"""Files, folders and patterns as users name them, turned into the files of a source."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xsm.contracts.source import DataSource
from xsm.data.skipped import day_in
from xsm.errors import DataError, tell


def expand(paths: Any, source: DataSource, *, skip: bool = False) -> list[Path]:
    """Turn files, folders and patterns into a list of files; URLs stay as they are; no file is an error.

    With ``skip`` a folder without files of the source is left out, with a warning, if others have some.
    """
    files: list[Any] = []
    empty: list[DataError] = []
    for item in [paths] if isinstance(paths, str | Path) or not isinstance(paths, Sequence) else paths:
        if isinstance(item, str) and "://" in item:
            files.append(item)
            continue
        path = Path(item).expanduser()
        matches = [path] if path.exists() else _matches(path)
        if not matches:
            raise DataError(f"'{item}' does not exist.", hint="Give a file, a folder or a pattern that matches files.")
        matching: list[Path] = []
        for match in matches:
            inside = _inside(match, source) if match.is_dir() else [match]
            if not inside:
                problem = f"'{match}' contains no file of source '{source.info.name}'."
                empty.append(DataError(problem, hint=source.info.title + "."))
            matching += inside
        files += dict.fromkeys(matching)  # '**' gives a folder and what lies in it
    if empty and not (skip and files):
        raise empty[0]
    for error in empty:
        tell(f"{error.message.rstrip('.')} and is left out.")
    return files


def _matches(pattern: Path) -> list[Path]:
    """Files that match a pattern; brackets in the name of a folder that exists stand for themselves.

    Where nothing matches, all brackets stand for themselves.
    """
    there = next((p for p in pattern.parents if p.exists()), Path())
    rest = str(pattern.relative_to(there))
    for last in (rest, re.sub(r"\[", "[[]", rest)):
        if files := sorted(glob.glob(os.path.join(glob.escape(str(there)), last), recursive=True)):
            return [Path(f) for f in files]
    return []


def _inside(folder: Path, source: DataSource) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if not p.is_dir() and source.identify(p))


def other_days(paths: Sequence[Any], period: slice | None) -> str:
    """A sentence with the days in the names of files, if none of them is near the period."""
    dates = [day_in(Path(str(p)).name) for p in paths]
    known = sorted(day for day in dates if day is not None)
    if period is None or len(known) < len(dates) or not known:
        return ""
    near = [
        (period.start is None or day >= period.start - 1) and (period.stop is None or day <= period.stop + 1)
        for day in known
    ]
    return "" if any(near) else f" By their names the files are of {known[0]} to {known[-1]}."


def in_history(files: Sequence[Any]) -> dict[str, str]:
    """Files in a few words for the history: number, first and last name, and a hash of all names and sizes."""
    known = sorted((Path(str(f)).name, size_of(f)) for f in files)
    first = known[0][0] if len(known) == 1 else f"{len(known)} from {known[0][0]}"
    last = {"to": known[-1][0]} if len(known) > 1 else {}
    return {"files": first, **last, "files_hash": hashlib.sha256(repr(known).encode()).hexdigest()[:16]}


def size_of(path: Any) -> int:
    """Bytes of a file; 0 of anything else and of what cannot be accessed."""
    try:
        return path.stat().st_size if isinstance(path, Path) and path.is_file() else 0
    except OSError:
        return 0
