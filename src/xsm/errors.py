"""The errors and warnings of xsm: one sentence, a hint, an exit code.

The sentence says what was got and what was expected; the hint says what to do. A hint writes operations and parameters
neutrally, ``<gapfill_cru()>`` and ``<mode=filter>``; the face that shows it renders them. The command line
turns the class into the process's exit code, the QGIS provider into a ``QgsProcessingException``. What is said while
data are made goes through `tell`: Python's ``catch_warnings`` loses warnings of other threads.
"""

from __future__ import annotations

import difflib
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from types import FrameType

Renderer = Callable[[str], str]
_RENDERERS: list[Renderer] = [str]
"""How the face in use writes operations and parameters; the last one is in force."""
LIBRARIES = {"xsm", "xarray", "dask", "functools", "contextlib", "click", "concurrent", "threading", "runpy"}
"""Packages whose lines no warning points at: xsm, and what calls it on behalf of users."""
_EARS: dict[int | None, list[Warning]] = {}
"""Who listens in a thread, or (None) in all the others."""


class XsmError(Exception):
    """Base of all errors that xsm raises on purpose.

    Parameters
    ----------
    message : str
        One sentence: what was got, what was wanted.
    hint : str, optional
        What to do about it; ``<gapfill_cru()>`` names an operation, ``<mode=filter>`` a parameter.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self._hint = hint

    @property
    def hint(self) -> str:
        """What to do about it, in the words of the face that asks."""
        return render_hint(self._hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def set_renderer(render: Renderer) -> None:
    """Set how hints are written where no `rendering` is in force."""
    _RENDERERS[0] = render


@contextmanager
def rendering(render: Renderer) -> Iterator[None]:
    """Write hints in the body as another face does."""
    _RENDERERS.append(render)
    try:
        yield
    finally:
        _RENDERERS.pop()


def render_hint(text: str) -> str:
    """Write the operations and parameters that a text names as the face in use writes them."""
    return _RENDERERS[-1](text)


class DataError(XsmError, ValueError):
    """Data that cannot be used as they are (exit code 1)."""


class UsageError(XsmError, ValueError):
    """An argument that xsm does not know or take (exit code 2)."""

    exit_code = 2


class MissingPlugin(XsmError, ImportError):
    """A plugin or an optional dependency that is not installed (exit code 3)."""

    exit_code = 3


class FetchError(XsmError):
    """A download that failed (exit code 1); what was fetched before stays."""


class QualityError(XsmError):
    """A quality check that failed (exit code 4)."""

    exit_code = 4


LEFT_OUT = "left out: "


class SkippedFile(UserWarning):
    """A file that is left out because it cannot be read (``on_error="skip"``).

    Parameters
    ----------
    file : str or path-like
        The file, of which the name is kept.
    reason : object
        The error, or a sentence.

    Examples
    --------
    >>> print(SkippedFile("SMAP/a.h5", "'SMAP/a.h5' is truncated."))
    left out: 'SMAP/a.h5' is truncated.
    """

    def __init__(self, file: str | PurePath, reason: object = "") -> None:
        self.file, self.reason = PurePath(file).name, str(reason)
        super().__init__(self.file, self.reason)

    def __str__(self) -> str:
        named = self.file in self.reason
        return LEFT_OUT + (self.reason if named else ": ".join(filter(None, (self.file, self.reason))))


def tell(warning: Warning | str) -> None:
    """Warn the line of the user that led here, also from tasks in other threads or processes.

    The one way in which xsm and its plugins warn. Inside `hear` the warning is collected; otherwise `warnings.warn`
    gets it with the first line of the call stack that belongs neither to xsm, a plugin nor a library that calls them.

    Parameters
    ----------
    warning : Warning or str
        A `SkippedFile` for a file that is left out, or a sentence.

    Returns
    -------
    None

    Examples
    --------
    >>> with hear() as heard:
    ...     tell(SkippedFile("a.h5", "a.h5 is truncated."))
    >>> heard[0].file
    'a.h5'
    """
    warning = UserWarning(warning) if isinstance(warning, str) else warning
    ear = _EARS.get(threading.get_ident(), _EARS.get(None))
    if ear is None:
        warnings.warn(warning, stacklevel=_users_level())
    else:
        ear.append(warning)


def _users_level() -> int:
    """Stack level, as `tell` counts it, of the first frame outside of `LIBRARIES` and the plugins."""
    frame: FrameType | None = sys._getframe(2)
    level = 2
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in LIBRARIES and not package.startswith("xsm_"):
            return level
        frame, level = frame.f_back, level + 1
    return 2


def listened() -> bool:
    """Whether what this thread tells is collected by someone."""
    return threading.get_ident() in _EARS or None in _EARS


@contextmanager
def hear(*, thread: bool = False) -> Iterator[list[Warning]]:
    """Collect what the body tells: in all threads that have no ear of their own, or in this ``thread`` alone."""
    key, heard = threading.get_ident() if thread else None, list[Warning]()
    before = _EARS.get(key)
    _EARS[key] = heard
    try:
        yield heard
    finally:
        if before is None:
            del _EARS[key]
        else:
            _EARS[key] = before


def unknown(kind: str, got: object, known: Iterable[str]) -> UsageError:
    """Make the error for an unknown name, with the nearest known one.

    Parameters
    ----------
    kind : str
        What the name is of.
    got : object
        The name that was given.
    known : iterable of str
        The names that there are.

    Returns
    -------
    UsageError
        To be raised.

    Examples
    --------
    >>> print(unknown("source", "smapp", ["smap", "nldas"]))
    Unknown source 'smapp'. Did you mean 'smap'? Known: nldas, smap.
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(got), names, n=1)
    guess = f"Did you mean '{near[0]}'? " if near else ""
    return UsageError(f"Unknown {kind} '{got}'.", hint=f"{guess}Known: {', '.join(names) or 'none'}.")
