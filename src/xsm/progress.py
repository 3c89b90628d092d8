"""Progress of long work: a bar on stderr for people, JSON lines for programs, nothing otherwise."""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from xsm.model import Progress
from xsm.training import report_progress

Mode = Literal["auto", "bar", "json", "off"]
Emit = Callable[[dict[str, Any]], None]


@functools.cache
def console() -> Any:
    """The terminal for people (stderr), shared by bars and log lines so that they do not disturb each other."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def show(mode: Mode, title: str, emit: Emit | None = None) -> Iterator[Progress]:
    """Show the progress of the body: training by its own report, lazy work by its finished tasks.

    ``auto`` is a bar where stderr is a terminal and nothing elsewhere; ``json`` sends events to ``emit`` or stderr.
    """
    if mode == "auto":
        mode = "bar" if sys.stderr.isatty() else "off"
    if mode == "off":
        yield _nothing
    elif mode == "json":
        with _watch(_throttled(emit or _to_stderr)) as progress:
            yield progress
    else:
        with _bar(title) as progress, _watch(progress):
            yield progress


def _nothing(share: float, text: str) -> None:
    return None


def _to_stderr(event: dict[str, Any]) -> None:
    print(json.dumps(event), file=sys.stderr, flush=True)


def _throttled(emit: Emit, every: float = 0.2) -> Progress:
    last: list[Any] = [0.0, ""]

    def progress(share: float, text: str) -> None:
        now = time.monotonic()
        if now - last[0] >= every or text != last[1] or share >= 1:
            last[:] = [now, text]
            emit({"event": "progress", "value": round(100 * share, 1), "text": text})

    return progress


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console(), transient=True) as bar:
        task = bar.add_task(title, total=1.0)

        def progress(share: float, text: str) -> None:
            bar.update(task, completed=share, description=f"{title}: {text}" if text else title)

        yield progress


@contextmanager
def _watch(progress: Progress) -> Iterator[Progress]:
    """Report training and dask's finished tasks of the body through one function."""
    from dask.callbacks import Callback

    lock, counts = threading.Lock(), {"done": 0, "all": 0}

    class Tasks(Callback):
        """Counts finished tasks of the graphs computed inside."""

        def _start_state(self, dsk: Any, state: Any) -> None:
            with lock:
                counts["all"] += len(state["ready"]) + len(state["waiting"])

        def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker_id: Any) -> None:
            with lock:
                counts["done"] += 1
                share = counts["done"] / max(counts["all"], 1)
            progress(min(share, 1.0), "")

    with report_progress(progress), Tasks():
        yield progress
