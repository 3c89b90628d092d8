"""Where in a package an error happened: the error in one line, with file and line."""

from __future__ import annotations

import traceback


def reason(error: BaseException, module: str) -> str:
    """The error in one line, with the innermost file and line that belongs to the package of a module, if any does.

    Examples
    --------
    >>> reason(KeyError("sm"), "xsm_acme")
    "KeyError: 'sm'"
    """
    text = f"{type(error).__name__}: {error}".split("\n")[0]
    where = _syntax(error) or line_of(error, module)
    return f"{text} ({where[0]}, line {where[1]})" if where else text


def _syntax(error: BaseException) -> tuple[str, int] | None:
    return (
        (error.filename, error.lineno) if isinstance(error, SyntaxError) and error.filename and error.lineno else None
    )


def line_of(error: BaseException, module: str) -> tuple[str, int] | None:
    """File and line of the innermost frame in the package of a module, if there is one."""
    package = module.split(".", maxsplit=1)[0]
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__", "")).split(".")[0] == package:
            return frame.f_code.co_filename, line
    return None
