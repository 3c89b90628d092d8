"""The folder of a study, which one run at a time may use."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xsm.atomic import lock
from xsm.errors import DataError


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Create the folder and lock it; a second run is refused, and a folder with other files."""
    settings = out / ".xsm"
    try:
        if out.exists() and any(out.iterdir()) and not settings.is_dir():
            raise DataError(f"The folder '{out}' contains other files.", hint="Choose another out = in the study file.")
        settings.mkdir(parents=True, exist_ok=True)
        handle = os.open(settings / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except (OSError, ValueError) as error:  # the latter for a NUL byte in the name
        if isinstance(error, DataError):
            raise
        reason, name = getattr(error, "strerror", error), str(out).replace("\0", "\\0")
        raise DataError(
            f"The folder '{name}' cannot be used ({reason}).", hint="Check its name and permissions."
        ) from None
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
            raise DataError(f"Another run is using '{out}'.", hint="Wait for it, or choose another folder.")
        yield
    finally:
        os.close(handle)
