"""What is asked of the operating system: data that outlast a power cut, and a lock."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

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
