"""Questions that a window of QGIS asks while it is open, one JSON object a line, and their answers.

``{"id": 1, "ask": "cells", "of": {...}}`` is answered by an event ``answer`` or ``error`` with the same ``id``. The
process ends with its stdin.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from xsm.errors import XsmError, unknown

Emit = Callable[[dict[str, Any]], None]


def answer_all(emit: Emit, lines: BinaryIO | None = None) -> int:
    """Answer the questions of stdin until it ends; a failure ends no more than its own question."""
    from xsm.faces.hints import speaking

    with speaking("form"):
        for line in lines or sys.stdin.buffer:
            emit(answer(line))
    return 0


def answer(line: bytes) -> dict[str, Any]:
    """The event that answers one question.

    Examples
    --------
    >>> answer(b'{"id": 3, "ask": "weather", "of": {}}')["text"]
    "Unknown question 'weather'."
    """
    number = None
    try:
        question = json.loads(line)
        number = question.get("id")
        return {"event": "answer", "id": number, **_question(question["ask"])(**question.get("of", {}))}
    except XsmError as error:
        return {"event": "error", "id": number, "text": error.message, "hint": error.hint}
    except Exception as error:
        text, hint = f"{type(error).__name__}: {error}".split("\n")[0], "Please report this with the traceback."
        return {"event": "error", "id": number, "text": text, "hint": hint, "traceback": traceback.format_exc()}


def plan(
    source: str, dest: str, region: Any = None, time: Any = None, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Say what a download would bring, in files and bytes."""
    from xsm.ops.fetch import fetch

    period = slice(*time) if isinstance(time, list) else time
    return {"text": str(fetch(source, dest, region=region, time=period, dry_run=True, **(options or {})))}


def login() -> dict[str, Any]:
    """Say where the credentials for NASA Earthdata are, or how to store them; nothing is sent."""
    from xsm.errors import FetchError
    from xsm.web.login import EARTHDATA, find_keys

    try:
        return {"known": True, "text": f"{EARTHDATA.name}: found in {find_keys(EARTHDATA).origin}."}
    except FetchError as error:
        return {"known": False, "text": f"{error.message} {error.hint}"}


def _cells(**values: Any) -> dict[str, Any]:
    from xsm.faces.cells import cells

    return cells(**values)


QUESTIONS: dict[str, Callable[..., dict[str, Any]]] = {"cells": _cells, "login": login, "plan": plan}


def _question(name: str) -> Callable[..., dict[str, Any]]:
    if name not in QUESTIONS:
        raise unknown("question", name, QUESTIONS)
    return QUESTIONS[name]
