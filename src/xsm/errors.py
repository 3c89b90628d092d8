"""The errors of xsm: one sentence, a hint, an exit code.

The sentence says what was got and what was wanted; the hint says what to do. The command line turns the class into the
process's exit code, the QGIS provider into a ``QgsProcessingException``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from xsm.faces import spoken


class XsmError(Exception):
    """Base of all errors that xsm raises on purpose.

    Parameters
    ----------
    message : str
        One sentence: what was got, what was wanted.
    hint : str, optional
        What to do about it; names of operations and parameters as in `xsm.faces`.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self._hint = hint

    @property
    def hint(self) -> str:
        """What to do about it, in the words of the face that asks."""
        return spoken(self._hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


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
