"""Standard streams that are closed, full or of a small alphabet: they must not end work, nor lose what it made."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Output:
    """Standard output that remembers the first failure instead of raising it."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.failure = stream, None  # type: tuple[Any, OSError | None]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write, unless writing has failed before."""
        return self._attempt(self.stream.write, text) or 0

    def flush(self) -> None:
        """Flush, unless writing has failed before."""
        self._attempt(self.stream.flush)

    def _attempt(self, work: Any, *args: Any) -> Any:
        if self.failure is None:
            try:
                return work(*args)
            except OSError as error:
                self.failure = error
                self._silence()
            except ValueError:  # closed by the program
                self.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
        return None

    def _silence(self) -> None:
        """Let what is still buffered go nowhere, so that the end of the process does not fail on it."""
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    @property
    def lost(self) -> str:
        """Why something was not written; empty where all was, or where the reader needs no more."""
        return "" if self.failure is None or self.failure.errno == errno.EPIPE else str(self.failure.strerror)


def open_closed() -> None:
    """Take the numbers of standard streams that are closed, or the next file that is opened would be printed into."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, mode)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # writing fails, as it should
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


@contextmanager
def guarded() -> Iterator[Output]:
    """Make standard output one that never fails the body; characters that it does not have are escaped."""
    before = sys.stdout
    if getattr(before, "errors", "") == "strict" and hasattr(before, "reconfigure"):
        before.reconfigure(errors="backslashreplace")
    sys.stdout = output = Output(before)
    try:
        yield output
        output.flush()
    finally:
        sys.stdout = before


def speak_utf8() -> None:
    """Start again in UTF-8 mode where names of files are taken for ASCII, which has no accents (``LC_ALL=C``)."""
    if os.name == "posix" and sys.getfilesystemencoding() == "ascii" and "utf8" not in sys._xoptions:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
