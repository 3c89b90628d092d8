"""Names in hints as the reader writes them: in Python, in the shell, or as a form shows them.

A hint has ``<gapfill_cru()>`` for an operation, ``<variables=>`` for a parameter or an option, ``<mode=filter>`` for
one with a value. The reader finds ``ds.sm.gapfill_cru()``, ``xsm gapfill-cru`` or ``'Fill gaps (CRU)'``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xsm.describe import Operation, Param

NAME = re.compile(r"<([a-z]\w*)(?:\(\)|=([^<>]*))>")
_speaking = ["python"]


@contextmanager
def speaking(face: str) -> Iterator[None]:
    """Speak to readers of a face of `FACES` in the body."""
    _speaking.append(face)
    try:
        yield
    finally:
        _speaking.pop()


def spoken(text: str) -> str:
    """Write the names in a text as the face that speaks writes them.

    Examples
    --------
    >>> spoken("Run <gapfill_cru()> first, or give <mode=filter>.")
    "Run ds.sm.gapfill_cru() first, or give mode='filter'."
    >>> with speaking("shell"):
    ...     spoken("Run <gapfill_cru()> first, or give <mode=filter>.")
    'Run xsm gapfill-cru first, or give --mode filter.'
    >>> with speaking("form"):
    ...     spoken("Run <gapfill_cru()> first, or give <mode=filter>.")
    "Run 'Fill gaps (CRU)' first, or give 'Mode' = filter."
    """
    return NAME.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    from xsm.describe import Param, operations

    name, value = found.groups()
    ops, (operation, parameter) = operations(), FACES[_speaking[-1]]
    if value is None:
        return operation(ops[name]) if name in ops else name
    known = (p for op in ops.values() for p in op.params if p.name == name)
    return parameter(next(known, Param(name=name)), value)


def _python_operation(op: Operation) -> str:
    return f"{'ds.sm' if op.accessor else 'xsm'}.{op.id}()"


def _python(param: Param, value: str) -> str:
    plain = not value or value in ("True", "False") or re.fullmatch(r"-?[\d.]+", value)
    return f"{param.name}={value}" if plain else f"{param.name}='{value}'"


def _shell(param: Param, value: str) -> str:
    name = param.name.replace("_", "-")
    if param.kind is None:
        return f"-o {param.name}={value}"
    if value in ("True", "False"):
        return f"--{'' if value == 'True' else 'no-'}{name}"
    return param.name.upper() if param.required else f"--{name} {value}".strip()


def _form(param: Param, value: str) -> str:
    told = {"": "", "True": " = yes", "False": " = no"}.get(value, f" = {value}")
    return f"'{param.title}'{told}"


FACES: dict[str, tuple[Callable[[Operation], str], Callable[[Param, str], str]]] = {
    "python": (_python_operation, _python),
    "shell": (lambda op: f"xsm {op.id.replace('_', '-')}", _shell),
    "form": (lambda op: f"'{op.title}'", _form),
}
"""How each face writes an operation, and a parameter with the value to give."""
