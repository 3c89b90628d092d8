"""Updates that nobody looks at: one JSON line for each, a program that gets it, and the next one after a while."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xsm.atomic import fresh
from xsm.errors import UsageError, XsmError, tell
from xsm.study.config import load
from xsm.study.health import LAST, status_of
from xsm.study.updating import update_study

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PATIENCE = 60
"""Seconds that the program of ``--notify`` may take."""


def attempt(
    path: Path, *, fetch: bool = False, retrain: bool = False, processes: int = 1,
    step: Callable[[str], None] | None = None,
) -> tuple[dict[str, Any], XsmError | None]:  # fmt: skip
    """Update a study; returns what is to be said of it, and the error that ended it.

    The first has ``study``, ``began`` (UTC), ``ok`` and, where it ended well, the fields of
    `xsm.study.updating.Update` and the ``faults`` of `xsm.study.health.Status`; else ``error``, ``hint`` and
    ``exit_code``. It is also kept in the study's folder, for `status_of`.
    """
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line: dict[str, Any] = {"study": str(path), "began": began, "ok": True}
    failure: XsmError | None = None
    study = None
    try:
        study = load(path)
        update = update_study(study, fetch=fetch, retrain=retrain, processes=processes, step=step)
        _keep(study.out, line)
        line |= asdict(update) | {"faults": list(status_of(study).faults)}
    except XsmError as error:
        failure = error
        line |= {"ok": False, "error": error.message, "hint": error.hint, "exit_code": error.exit_code}
    if study is not None and (study.out / ".xsm").is_dir():
        _keep(study.out, line)
    return line, failure


def _keep(out: Path, line: dict[str, Any]) -> None:
    with fresh(out / ".xsm" / LAST, overwrite=True) as part:
        part.write_text(json.dumps(line) + "\n", encoding="utf-8")


def notify(command: str, line: str) -> None:
    """Start a program with a line of JSON on its standard input; a failure of its is a warning.

    Parameters
    ----------
    command : str
        Program and arguments, separated by spaces; quotes keep words together. No shell reads it.
    line : str
        What it gets.
    """
    words = shlex.split(command)
    try:
        done = subprocess.run(words, input=line + "\n", text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired, IndexError) as error:
        tell(f"'{command}' could not be notified ({error}).")
    else:
        if done.returncode:
            tell(f"'{command}' ended with exit code {done.returncode}.")


def seconds_in(text: str) -> int:
    """Seconds of a time span such as ``"90s"``, ``"30m"``, ``"1h"`` or ``"1d"``.

    Examples
    --------
    >>> seconds_in("1h"), seconds_in("90s")
    (3600, 90)
    """
    match = re.fullmatch(r"(\d+)\s*([smhd])", text.strip())
    if match is None or not int(match[1]):
        raise UsageError(f"The interval is '{text}', expected a number and s, m, h or d.",
                         hint="Write a span such as 1h.")  # fmt: skip
    return int(match[1]) * SECONDS[match[2]]
