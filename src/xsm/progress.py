"""The progress protocol: work reports its progress to the function in force, or to none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

Done = tuple[float, str]
"""Amount that is done and its unit, such as ``(3e6, "byte")``."""


class Advance(Protocol):
    """Receives progress: a share from 0 to 1, a text, and the amount that is done if it is known."""

    def __call__(self, share: float, text: str, done: Done | None = None) -> None: ...


@dataclass
class Report:
    """The receiver of progress, and what is going on."""

    advance: Advance
    restart: Callable[[float], None]
    """Called when another piece of work begins, with the share at which it begins."""
    reporting: int = 0
    """Number of running pieces of work that report their own progress."""
    size: int = 0
    """Bytes of the file that is being written."""


_REPORT: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def report_progress(advance: Advance, restart: Callable[[float], None] = lambda share: None) -> Iterator[Report]:
    """Send the progress of training, writing and fetching in the body to a function."""
    report = Report(advance, restart)
    token = _REPORT.set(report)
    try:
        yield report
    finally:
        _REPORT.reset(token)


@contextmanager
def quiet(size: int = 0) -> Iterator[Advance]:
    """Give a piece of work the function in force, which may do nothing.

    The work reports its own progress. With ``size``, its dask tasks report it; they write that many bytes in total.
    """
    report = _REPORT.get() or Report(lambda share, text, done=None: None, lambda share: None)
    report.restart(0.0)
    report.size, report.reporting = size, report.reporting + (not size)
    try:
        yield report.advance
    finally:
        report.size, report.reporting = 0, report.reporting - (not size)
