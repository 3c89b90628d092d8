"""What is asked of the operating system: data that outlast a power cut, and a lock."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xsm.errors import DataError, UsageError

HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
"""What a lock that another process holds is told by."""


def to_disk(path: Path) -> None:
    """Wait until a file, or all that was written (for a folder), is on the disk."""
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
    """Rename, and wait until the new name is on the disk where the system can tell."""
    os.replace(part, path)
    with contextlib.suppress(OSError):  # a folder cannot be opened on Windows, and not be synced on some file systems
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def lock(handle: int) -> bool:
    """Lock an open file until it is closed; whether no other process has it.

    Raises
    ------
    OSError
        Where the file system knows no locks.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in HELD:
            raise
        return False
    return True


IN_WORK = ".in-work"
"""File in a temporary folder that is locked while a process works there, however the process ends."""


_unfinished: set[Path] = set()


@contextmanager
def fresh(path: Path, overwrite: bool = False, *, keep: str = "") -> Iterator[Path]:
    """Give a temporary name beside a path; it takes the path's place when the body ends well, else it is removed.

    What a process that was killed has left there for the same path is removed first.

    With ``keep`` the temporary folder has this mark in its name and stays when the body fails: the next body that has
    the same mark goes on with it.
    """
    check_output(path, overwrite)
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
        if path.is_dir():
            os.replace(path, folder / "replaced")
        try:
            replace(part, path)
        except OSError:
            if (folder / "replaced").is_dir():
                os.replace(folder / "replaced", path)
            raise
        keep = ""
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise _not_written(path, error) from error
    finally:
        if handle is not None:
            os.close(handle)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        _unfinished.discard(folder)


def _sweep(path: Path) -> None:
    """Remove the temporary folders of a path whose process is gone."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part/{IN_WORK}"):
        if (handle := _locked(left)) is not None:
            begun = os.fstat(handle).st_size > 0
            os.close(handle)
            if begun:
                shutil.rmtree(left.parent, ignore_errors=True)


def _locked(file: Path, *, new: bool = False) -> int | None:
    """Lock a file; None where another process has it, or the file system knows no locks.

    A new one is empty until it is locked, so that nobody takes it for one whose process is gone.
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
    """Remove what `fresh` has begun and not ended; for a process that ends at once and unwinds no more."""
    for folder in list(_unfinished):
        shutil.rmtree(folder, ignore_errors=True)


def _not_written(path: Path, error: OSError) -> DataError:
    if isinstance(error, PermissionError) and path.exists() and os.access(path.parent, os.W_OK):
        return DataError(
            f"'{path}' cannot be replaced ({error.strerror or error}): a program has it open, or it is protected.",
            hint="Remove its layers from QGIS, close it elsewhere, or give another name.",
        )
    return DataError(f"'{path}' cannot be written ({error.strerror or error}).", hint="Check space and rights.")


def check_output(path: Path, overwrite: bool = False) -> None:
    """Refuse an output that exists and is not to be or cannot be replaced, before any work is done."""
    if "\0" in str(path):
        raise UsageError(f"The output {str(path)!r} has a NUL byte, which no name may have.", hint="Name another.")
    if path.exists() and not overwrite:
        raise UsageError(f"'{path}' exists already.", hint="Give another name, or <overwrite=True>.")
    if path.exists():
        try:
            os.rename(path, path)  # which Windows refuses while a program has it open
        except OSError as error:
            raise _not_written(path, error) from error
