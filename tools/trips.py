"""Rooms of `src/xsm` whose functions three trips call: `python -m tools.trips`, or with the names of some of them.

The ground does not count, and neither do modules that are only imported.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import xsm
from xsm.study.config import load
from xsm.study.pipeline import run_study
from xsm.study.template import write_template

HOME = Path(xsm.__file__).parent


def rooms(trip: Callable[[], Any]) -> list[str]:
    """Names of the rooms that a trip enters."""
    files: set[str] = set()

    def enter(frame: FrameType, event: str, _: Any) -> None:
        if frame.f_code.co_name != "<module>":
            files.add(frame.f_code.co_filename)

    threading.settrace(enter)
    sys.settrace(enter)
    try:
        trip()
    finally:
        sys.settrace(None)
        threading.settrace(None)
    inside = (Path(file).relative_to(HOME) for file in files if Path(file).is_relative_to(HOME))
    return sorted({path.parts[0] for path in inside if len(path.parts) > 1})


def study(folder: Path) -> Callable[[], Any]:
    """A study on synthetic data, whose files are written before the trip."""
    file = write_template(folder / "study.toml", example=True)
    return lambda: run_study(load(file))


if __name__ == "__main__":
    cube, gappy = (xsm.example(name, size=16, days=30) for name in ("cube", "gappy_cube"))
    with tempfile.TemporaryDirectory() as scratch:
        trips: dict[str, Callable[[], Callable[[], Any]]] = {
            "fit": lambda: lambda: cube.sm.fit(depth=5, scenario=2, model="ridge"),
            "gapfill": lambda: lambda: gappy[["tb_h"]].sm.gapfill("linear", variables=["tb_h"]),
            "run": lambda: study(Path(scratch)),
        }
        for name in sys.argv[1:] or trips:
            entered = rooms(trips[name]())
            print(f"{name}: {len(entered)} rooms: {', '.join(entered)}", flush=True)
