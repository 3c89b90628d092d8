"""CPU time and peak memory of one more day of a study, by stage, with archives of different lengths.

    python -m benchmarks.bench_update [--days 30,90,180] [--cells 6] [--large 30]

A synthetic study grows from one length to the next; at each length one day comes, and the update is measured in a
process of its own: seconds of CPU and the peak of the memory of each stage. The same is done at the shortest length
on a larger window. CONUS is extrapolated from the difference between the two windows, by cells; what the archive
costs more at its longest than at its shortest is in the column before.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import xsm
from xsm.study import template
from xsm.study.config import load
from xsm.study.example import Size, make_files, study_changes
from xsm.study.health import status_of
from xsm.study.updating import update_study

FIRST, TRAINED = "2021-04-01", 20
STAGES = ("look", "open smap", "open nldas", "cube", "fuse", "archive", "geotiff", "stac", "status")
Measured = dict[str, tuple[float, float]]
"""Seconds of CPU and peak of the memory in MB by stage."""


class Growing:
    """A study whose granules of days come when they are asked for."""

    def __init__(self, folder: Path, cells: int, days: int) -> None:
        self.folder, self.size = folder, Size(cells, FIRST, days)
        make_files(folder / "later", self.size, seed=1)
        (folder / "later").rename(folder / "files")
        (folder / "later").mkdir()
        for path in [p for name in ("SMAP", "NLDAS") for p in (folder / "files" / name).iterdir()]:
            path.rename(folder / "later" / path.name)
        text = template.template(**study_changes(self.size, "files")).split("[gapfill]")[0]
        lines = [line for line in text.splitlines() if "uscrn" not in line.lower()]
        lines = [f'time = "{FIRST}/"' if line.startswith("time") else line for line in lines]
        span = f"{FIRST}/{self.size.dates[TRAINED - 1]}"
        more = (
            f'[fuse]\nmode = "filter"\ntrain = "{span}"\noptions = {{ trees = 20 }}\n[update]\nreference = "{span}"\n'
        )
        (folder / "study.toml").write_text("stac = true\n" + "\n".join(lines) + "\n" + more)

    def arrive(self, days: np.ndarray) -> None:
        """Move the granules of days to where the study looks for them."""
        stamps = {str(day).replace("-", "") for day in days}
        for path in [p for p in (self.folder / "later").iterdir() if any(stamp in p.name for stamp in stamps)]:
            path.rename(self.folder / "files" / path.name.partition("_")[0] / path.name)

    def update(self) -> Measured:
        """Update in a process of its own."""
        command = [sys.executable, "-m", "benchmarks.bench_update", "--measure", str(self.folder / "study.toml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return {name: (float(seconds), float(memory)) for name, seconds, memory in rows}


def measured(folder: Path, cells: int, lengths: list[int]) -> list[Measured]:
    """One more day at each length of the archive; it begins with the next-to-last day so that it ends with a pass."""
    study, out = Growing(folder, cells, max(lengths) + 1), list[Measured]()
    for before, length in zip([0, *(n + 1 for n in lengths)], lengths, strict=False):
        study.arrive(study.size.dates[before:length])
        study.update()
        study.arrive(study.size.dates[length : length + 1])
        out.append(study.update())
    return out


def measure(study: Path) -> None:
    """Update a study in this process, and print a line for each stage."""
    begun = ""

    def begin(name: str) -> None:
        nonlocal begun, at
        if begun:
            print(begun, time.process_time() - at, peak(), sep="\t")
        begun, at = name.partition(" ")[2], time.process_time()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here

    at = 0.0
    begin("0 look")
    update_study(load(study), step=begin)
    begin("0 status")
    status_of(load(study))
    begin("0 end")


def peak() -> float:
    """Peak of the memory of this process since it was last forgotten, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", default="30,90,180")
    parser.add_argument("--cells", type=int, default=6, help="of one side of the window")
    parser.add_argument("--large", type=int, default=30, help="of one side of the larger window")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return measure(args.measure)
    os.environ["OMP_NUM_THREADS"] = "1"
    lengths = [int(n) for n in args.days.split(",")]
    conus = int(np.prod(xsm.EASE2_M09.region("conus").shape))
    with tempfile.TemporaryDirectory(prefix="xsm-bench-") as folder:
        small = measured(Path(folder) / "small", args.cells, lengths)
        large = measured(Path(folder) / "large", args.large, lengths[:1])[0]
    factor = (conus - args.cells**2) / (args.large**2 - args.cells**2)
    print(f"one more day: CPU s and peak MB; windows of {args.cells}x{args.cells} and {args.large}x{args.large} cells")
    print("stage".ljust(12), *(f"{n} days".rjust(14) for n in lengths), "growth".rjust(8), "large".rjust(14),
          f"CONUS ({conus} cells)".rjust(22))  # fmt: skip
    total = np.zeros(len(lengths) + 2)
    for stage in STAGES:
        rows = [some.get(stage, (0.0, 0.0)) for some in (*small, large)]
        conus_s, conus_mb = (a + factor * max(b - a, 0.0) for a, b in zip(rows[0], rows[-1], strict=True))
        total += [*(row[0] for row in rows), conus_s]
        cells = [f"{s:6.2f} {mb:7.0f}" for s, mb in rows]
        print(stage.ljust(12), *cells[:-1], f"{rows[-2][0] - rows[0][0]:8.2f}", cells[-1],
              f"{conus_s:14.0f} {conus_mb:7.0f}")  # fmt: skip
    print("sum".ljust(12), *(f"{s:6.2f}".ljust(14) for s in total[:-2]), f"{total[-3] - total[0]:8.2f}",
          f"{total[-2]:6.2f}".ljust(14), f"{total[-1]:14.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
