"""Files that are whole under their final name, and on the disk before they have it; and a lock."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xsm.errors import DataError, UsageError


def to_disk(path: Path) -> None:
    """Wait until a file is on the disk, or for a folder until all that was written is."""
    if path.is_dir():
        if hasattr(os, "sync"):
            os.sync()
        return
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(part: Path, path: Path) -> None:
    """Rename, and wait until the new name is on the disk where the system can do so."""
    os.replace(part, path)
    with contextlib.suppress(OSError):  # Windows opens no folder, and some file systems sync none
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def lock(handle: int) -> bool:
    """Lock an open file until it is closed or the process ends; False where another process has the lock.

    Raises
    ------
    OSError
        Where the file system has no locks.
    """
    from filelock import lock_descriptor

    return lock_descriptor(handle, blocking=False)


IN_WORK = ".in-work"
"""File in a temporary folder that is locked while a process works there, however the process ends."""
PATIENCE = 10.0
"""Seconds to wait for other processes that rename in the same folder."""
_unfinished: set[Path] = set()


@contextmanager
def fresh(
    path: Path, overwrite: bool = False, *, keep: str = "", put: Callable[[Path], None] | None = None
) -> Iterator[Path]:
    """Yield a temporary name beside a path, which replaces the path when the body succeeds and is removed otherwise.

    What a killed process left there for the same path is removed first.

    With ``keep`` the temporary folder has this mark in its name and stays when the body fails: the next body with the
    same mark continues with it. ``put`` takes what is complete to its place where it does not replace the path.
    """
    check_output(path, overwrite)
    before = _identity(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        folder = path.parent / f".{path.name}.{keep}.part"
        if keep:
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.{os.getpid()}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise _not_written(path, error) from error
    part, handle = folder / path.name, None if keep else _locked(folder / IN_WORK, new=True)
    if not keep:
        _unfinished.add(folder)
    try:
        yield part
        if part.is_file():
            to_disk(part)
        with _alone(path.parent):
            _put(part, path, before, folder / "replaced") if put is None else put(part)
        keep = ""
    except (OSError, RuntimeError) as error:
        if isinstance(error, DataError) or not (isinstance(error, OSError) or _of_reading(error)):
            raise
        raise _not_written(path, error) from error
    finally:
        if handle is not None:
            os.close(handle)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        _unfinished.discard(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time rename in a folder, where the system locks folders; wait for the others a while."""
    handle = None
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        until = time.monotonic() + PATIENCE
        while not lock(handle) and time.monotonic() < until:
            time.sleep(0.01)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _put(part: Path, path: Path, before: tuple[int, int, int] | None, aside: Path) -> None:
    """Give what is complete its name, unless another process has changed what ``before`` was there."""
    if _identity(path) != before:
        raise _taken(path)
    if path.is_dir():
        os.replace(path, aside)
    try:
        if before is None:
            _claim(part, path)
        else:
            replace(part, path)
    except OSError:
        if aside.is_dir():
            os.replace(aside, path)
        raise


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What distinguishes a file from one that another process puts in its place."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return (state.st_dev, state.st_ino, 0 if path.is_dir() else state.st_mtime_ns)


def _claim(part: Path, path: Path) -> None:
    """Give a file or folder its name if nobody else has taken it meanwhile; only one of several writers can."""
    if part.is_dir() or not hasattr(os, "link"):
        try:
            return replace(part, path)
        except OSError:
            if path.exists():
                raise _taken(path) from None
            raise
    try:
        os.link(part, path)
    except FileExistsError:
        raise _taken(path) from None
    except OSError:  # a file system without hard links
        return replace(part, path)
    part.unlink()
    return replace(path, path)


def _taken(path: Path) -> DataError:
    return DataError(
        f"'{path}' was written by another process in the meantime; its result is kept, this one is discarded.",
        hint="Give each run an output of its own.",
    )


def _sweep(path: Path) -> None:
    """Remove the temporary folders of a path whose process has ended."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part/{IN_WORK}"):
        if (handle := _locked(left)) is not None:
            begun = os.fstat(handle).st_size > 0
            os.close(handle)
            if begun:
                shutil.rmtree(left.parent, ignore_errors=True)


def _locked(file: Path, *, new: bool = False) -> int | None:
    """Lock a file; None where another process has the lock, or the file system has no locks.

    A new file is empty until it is locked, so that nobody takes it for one whose process has ended.
    """
    with suppress(OSError):
        handle = os.open(file, os.O_RDWR | (os.O_CREAT if new else 0), 0o600)
        with suppress(OSError):
            if lock(handle):
                os.write(handle, b"1" if new else b"")
                return handle
        os.close(handle)
    return None


def abandon() -> None:
    """Remove the temporary folders of `fresh`; for a process that ends at once, without unwinding its stack."""
    for folder in list(_unfinished):
        shutil.rmtree(folder, ignore_errors=True)


def _of_reading(error: Exception) -> bool:
    """Whether an error is that of a library which cannot decode an input, and not of the system that writes."""
    return getattr(error, "errno", None) is None and bool(re.search(r"\bread\b|decompress|checksum", str(error), re.I))


def _not_written(path: Path, error: OSError | RuntimeError) -> DataError:
    if _of_reading(error):
        return DataError(
            f"An input cannot be read while '{path.name}' is made ({str(error).strip()[:200]}).",
            hint="A file of the input is damaged; get it again.",
        )
    if isinstance(error, PermissionError) and path.exists() and os.access(path.parent, os.W_OK):
        return DataError(
            f"'{path}' cannot be replaced ({error.strerror or error}): a program has it open, or it is protected.",
            hint="Remove its layers from QGIS, close it elsewhere, or give another name.",
        )
    return DataError(
        f"'{path}' cannot be written ({getattr(error, 'strerror', None) or error}).",
        hint="Check free space and permissions.",
    )


def check_output(path: Path, overwrite: bool = False) -> None:
    """Refuse, before any work is done, an output that exists and may not or cannot be replaced."""
    if "\0" in str(path):
        raise UsageError(
            f"The output {str(path)!r} contains a NUL byte, which names must not.", hint="Give another name."
        )
    if path.exists() and not overwrite:
        raise UsageError(f"'{path}' exists already.", hint="Give another name, or <overwrite=True>.")
    if path.exists():
        try:
            os.rename(path, path)  # which Windows refuses while a program has it open
        except OSError as error:
            raise _not_written(path, error) from error
