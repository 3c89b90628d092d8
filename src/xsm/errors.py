"""The errors and warnings of xsm: one sentence, a hint, an exit code.

The sentence says what was got and what was expected; the hint says what to do. Hints write operations and parameters
neutrally, ``<gapfill_cru()>`` and ``<mode=filter>``; the face that shows a hint renders them. The command line
turns the class into the process's exit code, the QGIS provider into a ``QgsProcessingException``. Every warning goes
through `tell`, because Python's ``catch_warnings`` loses those of other threads.
"""

from __future__ import annotations

import difflib
import itertools
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from types import FrameType
from typing import Any

Renderer = Callable[[str], str]
_RENDERERS: list[Renderer] = [str]
"""How the current face writes operations and parameters; the last one counts."""
LIBRARIES = {
    "xsm", "xarray", "dask", "distributed", "numpy", "pandas", "functools", "contextlib", "concurrent", "threading",
    "queue", "multiprocessing", "asyncio", "tornado", "click", "pluggy", "importlib", "runpy",
}  # fmt: skip
"""Packages and modules whose lines no warning points at: xsm, loaded plugins, and what calls them for users."""
_EARS: dict[int | None, list[Warning]] = {}
"""Lists that collect the warnings of a thread, or (None) of all the others."""


class XsmError(Exception):
    """Base of all errors that xsm raises on purpose.

    Parameters
    ----------
    message : str
        One sentence: what was got, what was expected.
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
        """What to do about it, as the current face writes it."""
        return render_hint(self._hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def set_renderer(render: Renderer) -> None:
    """Set how hints are written outside of `rendering`."""
    _RENDERERS[0] = render


@contextmanager
def rendering(render: Renderer) -> Iterator[None]:
    """Write hints as another face does while the body runs."""
    _RENDERERS.append(render)
    try:
        yield
    finally:
        _RENDERERS.pop()


def render_hint(text: str) -> str:
    """Write the operations and parameters that a text names as the current face writes them."""
    return _RENDERERS[-1](text)


class DataError(XsmError, ValueError):
    """Data that cannot be used (exit code 1)."""


class UsageError(XsmError, ValueError):
    """An unknown argument or a value that is not allowed (exit code 2)."""

    exit_code = 2


class MissingPlugin(XsmError, ImportError):
    """A plugin or an optional dependency that is not installed (exit code 3)."""

    exit_code = 3


class FetchError(XsmError):
    """A download that failed (exit code 1); files that are complete stay."""


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


class Counted(UserWarning):
    """Values that are counted block by block; `merged` adds up those of one sentence.

    Parameters
    ----------
    what : str
        Of what the values are, and what is wrong with them.
    wrong, total : int
        Values that are wrong, and all of the block.
    low, high : float
        Range of the wrong ones.

    Examples
    --------
    >>> print(*merged([Counted("'sm' are clipped.", 2, 100, 1.5, 3.0), Counted("'sm' are clipped.", 1, 100, 2.0, 9.0)]))
    3 of 200 values (1.5 to 9) of 'sm' are clipped.
    """

    def __init__(self, what: str, wrong: int, total: int, low: float, high: float) -> None:
        self.what, self.wrong, self.total, self.low, self.high = what, wrong, total, low, high
        super().__init__(what, wrong, total, low, high)

    def __str__(self) -> str:
        return f"{self.wrong} of {self.total} values ({self.low:g} to {self.high:g}) of {self.what}"


def merged(warnings: Iterable[Warning]) -> list[Warning]:
    """Each warning once, by its text; counts of one thing as their sum."""
    out: dict[str, Warning] = {}
    for warning in warnings:
        key = warning.what if isinstance(warning, Counted) else str(warning)
        before = out.get(key)
        if isinstance(warning, Counted) and isinstance(before, Counted):
            low, high = min(before.low, warning.low), max(before.high, warning.high)
            warning = Counted(key, before.wrong + warning.wrong, before.total + warning.total, low, high)
        out[key] = warning
    return list(out.values())


def tell(warning: Warning | str) -> None:
    """Warn, pointing at the user's line that led here, also from other threads.

    This is the only way in which xsm and its plugins warn. Inside `hear` the warning is collected. Otherwise it points
    at the innermost line that belongs neither to xsm, nor to a plugin, nor to a library that calls them; a thread of a
    pool, which no line of the user called, points at the line on which the main thread is waiting.

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
        frame = _users_frame(sys._getframe(1))
        registry = frame.f_globals.setdefault("__warningregistry__", {})
        place = (frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", "<string>"))
        warnings.warn_explicit(warning, type(warning), *place, registry)
    else:
        ear.append(warning)


def _users_frame(caller: FrameType) -> FrameType:
    """Innermost frame outside of `LIBRARIES` and plugins: in this thread, else in the main thread, else the caller."""
    main_thread = sys._current_frames().get(threading.main_thread().ident or 0)
    for innermost in (caller, main_thread):
        frame = innermost
        while frame is not None:
            if not _is_library(frame.f_globals):
                return frame
            frame = frame.f_back
    return caller


def _is_library(module: Mapping[str, Any]) -> bool:
    """Whether the globals of a module are those of a library; ``python -m`` names a module in its spec alone."""
    name = getattr(module.get("__spec__"), "name", None) or module.get("__name__", "")
    packages = set(itertools.accumulate(name.split("."), "{}.{}".format))
    return name.startswith("xsm_") or not LIBRARIES.isdisjoint(packages)


def listened() -> bool:
    """Whether someone collects the warnings of this thread."""
    return threading.get_ident() in _EARS or None in _EARS


@contextmanager
def hear(*, thread: bool = False) -> Iterator[list[Warning]]:
    """Collect the warnings of the body: of all threads that collect none themselves, or of this ``thread`` alone."""
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
    """Return the error for an unknown name, which suggests the nearest known one.

    Parameters
    ----------
    kind : str
        What the name stands for.
    got : object
        The unknown name.
    known : iterable of str
        The known names.

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
