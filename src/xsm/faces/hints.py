"""Names in hints as the reader writes them: in Python, in the shell, or as a form shows them.

A hint has ``<gapfill_cru()>`` for an operation, ``<variables=>`` for a parameter or an option, ``<mode=filter>`` for
one with a value. The reader sees ``ds.sm.gapfill_cru()``, ``xsm gapfill-cru`` or ``'Fill gaps (CRU)'``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xsm.contracts.operation import Operation
from xsm.contracts.param import Kind, Param
from xsm.contracts.registry import operations
from xsm.errors import rendering, set_renderer

NAME = re.compile(r"<([a-z]\w*)(?:\(\)|=([^<>]*))>")


@contextmanager
def speaking(face: str) -> Iterator[None]:
    """Write hints for the readers of a face of `FACES` while the body runs."""
    with rendering(functools.partial(spoken, face=face)):
        yield


def spoken(text: str, face: str = "python") -> str:
    """Write the names in a text as a face writes them.

    Examples
    --------
    >>> hint = "Run <gapfill_cru()> first, or give <mode=filter>."
    >>> spoken(hint)
    "Run ds.sm.gapfill_cru() first, or give mode='filter'."
    >>> spoken(hint, "shell")
    'Run xsm gapfill-cru first, or give --mode filter.'
    >>> spoken(hint, "form")
    "Run 'Fill gaps (CRU)' first, or give 'Mode' = filter."
    """
    return NAME.sub(functools.partial(_written, face=face), text)


def _written(match: re.Match[str], *, face: str) -> str:
    name, value = match.groups()
    ops, (operation, parameter) = operations(), FACES[face]
    if value is None:
        return operation(ops[name]) if name in ops else name
    known = (p for op in ops.values() for p in op.params if p.name == name)
    return parameter(next(known, Param(name=name)), value)


def _python_operation(op: Operation) -> str:
    return f"{'ds.sm' if op.accessor else 'xsm'}.{op.id}()"


def _python(param: Param, value: str) -> str:
    if param.kind is Kind.MAPPING and value:
        key, _, text = value.partition("=")
        return f"""{param.name}={{"{key}": "{text}"}}"""
    plain = not value or value in ("True", "False") or re.fullmatch(r"-?[\d.]+", value)
    return f"{param.name}={value}" if plain else f"{param.name}='{value}'"


def _shell(param: Param, value: str) -> str:
    name = param.name.replace("_", "-")
    if param.kind is None:
        return f"-o {param.name}={value}"
    if value in ("True", "False"):
        return f"--{'' if value == 'True' else 'no-'}{name}"
    if param.kind is Kind.MAPPING and value:
        return f'--{name} "{value}"'
    return param.name.upper() if param.required else f"--{name} {value}".strip()


def _form(param: Param, value: str) -> str:
    setting = {"": "", "True": " = yes", "False": " = no"}.get(value, f" = {value}")
    return f"'{param.title}'{setting}"


FACES: dict[str, tuple[Callable[[Operation], str], Callable[[Param, str], str]]] = {
    "python": (_python_operation, _python),
    "shell": (lambda op: f"xsm {op.id.replace('_', '-')}", _shell),
    "form": (lambda op: f"'{op.title}'", _form),
}
"""How each face writes an operation, and a parameter with the value to give."""

set_renderer(spoken)
