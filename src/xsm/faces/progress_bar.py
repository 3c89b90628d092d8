"""Progress of long work: a bar on stderr in a terminal, JSON lines for programs, nothing otherwise."""

from __future__ import annotations

import functools
import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from xsm.progress import Advance, Done, report_progress
from xsm.web.manifest import human

Mode = Literal["auto", "bar", "json", "off"]
Emit = Callable[[dict[str, Any]], None]
Begin = Callable[[str], None]
COUNTED = re.compile(r"([a-z]+) (\d+)(?:/| of )\d+")
"""A count in a text, such as ``epoch 3/20`` or ``fold 2 of 5``."""
EVERY = 0.2
"""Seconds between two events, and between two points of a rate."""
POINTS = 50


@functools.cache
def console() -> Any:
    """The terminal (stderr), shared by bars and log lines so that they do not disturb each other."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def show(mode: Mode, title: str, emit: Emit | None = None) -> Iterator[Begin]:
    """Show the progress of the body: what training, writing and fetching report, otherwise finished dask tasks.

    ``auto`` is a bar if stderr is a terminal, otherwise nothing; ``json`` sends events to ``emit`` or stderr. The body
    receives a function that names its next stage.
    """
    if mode == "auto":
        mode = "bar" if sys.stderr.isatty() else "off"
    if mode == "off":
        yield lambda name: None
    elif mode == "json":
        advance = _throttled(emit or _to_stderr)
        with _watch(advance):
            yield lambda name: advance(0.0, name)
    else:
        with _bar(title) as (begin, advance, pace), _watch(advance, pace.restart):
            yield begin


def _to_stderr(event: dict[str, Any]) -> None:
    with suppress(OSError, ValueError):  # nobody listens any more
        print(json.dumps(event), file=sys.stderr, flush=True)


def _throttled(emit: Emit) -> Advance:
    last: list[Any] = [0.0, ""]

    def advance(share: float, text: str, done: Done | None = None) -> None:
        now = time.monotonic()
        if now - last[0] >= EVERY or text != last[1] or share >= 1:
            last[:] = [now, text]
            emit({"event": "progress", "value": round(100 * share, 1), "text": text})

    return advance


class Pace:
    """How fast work goes: time of the stage, time left for its current piece, rate over the last steps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.begin()

    def begin(self) -> None:
        """Begin another stage."""
        self.start = self.clock()
        self.restart()

    def restart(self, share: float = 0.0) -> None:
        """Begin another piece of the stage."""
        self.unit, self.counted, self.number = "", 0, 0
        self.points = deque([(self.clock(), share, 0.0)], POINTS)

    def step(self, share: float, text: str, done: Done | None = None) -> None:
        """Record a step."""
        if done is None and (counts := COUNTED.findall(text)):
            (unit, number), last = counts[-1], self.number
            self.number = int(number)
            self.counted += self.number - last if self.number >= last else self.number
            done = self.counted, unit
        count, self.unit = done or (0.0, "")
        now = self.clock()
        if len(self.points) > 1 and now - self.points[-2][0] < EVERY:
            self.points.pop()
        self.points.append((now, share, count))

    def __str__(self) -> str:
        (first, share0, done0), (last, share1, done1), now = self.points[0], self.points[-1], self.clock()
        parts, took = [_clock(now - self.start)], last - first
        if took > 0 and share0 < share1 < 1:
            parts.append(f"{_clock(max((1 - share1) * took / (share1 - share0) - (now - last), 0))} left")
        if took > 0 and done1 > done0:
            parts.append(_rate((done1 - done0) / took, self.unit))
        return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _rate(speed: float, unit: str) -> str:
    if unit == "byte":
        return f"{human(speed)}/s"
    return f"{speed:.3g} {unit}s/s" if speed >= 1 else f"{1 / speed:.3g} s/{unit}"


@contextmanager
def _bar(title: str) -> Iterator[tuple[Begin, Advance, Pace]]:
    """A bar that pulses while it is unknown how much is left."""
    from rich.progress import BarColumn, ProgressColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column
    from rich.text import Text

    class Shown(ProgressColumn):
        """Shows the pace."""

        def render(self, task: Any) -> Text:
            """Time, what is left, rate."""
            return Text(str(pace), no_wrap=True)

    pace, rest = Pace(), Column(no_wrap=True, overflow="ellipsis", ratio=1)
    name = TextColumn("{task.description}", table_column=Column(no_wrap=True))
    columns = (name, BarColumn(16), TaskProgressColumn(), Shown(), TextColumn("{task.fields[text]}", table_column=rest))
    with Bar(*columns, console=console(), transient=True, expand=True) as bar:
        task = bar.add_task(title, total=None, text="")

        def put(share: float, **shown: Any) -> None:
            bar.tasks[0].total = 1.0 if 0 < share < 1 else None
            bar.update(task, completed=share, **shown)

        def begin(name: str) -> None:
            pace.begin()
            put(0.0, description=name, text="")

        def advance(share: float, text: str, done: Done | None = None) -> None:
            pace.step(share, text, done)
            put(share, text=text)

        yield begin, advance, pace


@contextmanager
def _watch(advance: Advance, restart: Callable[[float], None] = lambda share: None) -> Iterator[None]:
    """Report the progress of the body: what its work reports itself, otherwise finished dask tasks."""
    from dask.callbacks import Callback

    lock, counts = threading.Lock(), {"done": 0, "all": 0}

    def share() -> float:
        return min(counts["done"] / max(counts["all"], 1), 1.0)

    class Tasks(Callback):
        """Counts finished tasks of the graphs computed inside."""

        def _start_state(self, dsk: Any, state: Any) -> None:
            with lock:
                if report.size:
                    counts.update(done=0, all=0)
                counts["all"] += len(state["ready"]) + len(state["waiting"])
                if not report.reporting:
                    restart(share())

        def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker_id: Any) -> None:
            with lock:
                counts["done"] += 1
                now = share()
            if not report.reporting:
                advance(now, "", (now * report.size, "byte") if report.size else None)

    with report_progress(advance, restart) as report, Tasks():
        yield
