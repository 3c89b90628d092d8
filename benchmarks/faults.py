"""Put faults into runs of a study and see what is lost: `python -m benchmarks.faults [--kills 20] [--only NAME]`.

A small synthetic world in true formats and the command line; models of numpy, or networks where the name says so. A
fault counts as survived where the same command, run again once the cause is gone, ends with the files of an
uninterrupted run (values and attributes, but times in histories), or where a wrong start is refused with one sentence
and leaves what was there. Files that carry a final name but are not those of the uninterrupted run are mutated; a run
that ends well with other results, or a damaged file that is neither told nor harmless, is a silent error. The exit code
is 1 where a fault was not survived.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults_bench import Bench, Tally
from benchmarks.faults_ends import (
    interrupts,
    kills,
    kills_in_training,
    kills_of_processes,
    lost_scheduler,
    lost_workers,
    two_runs,
)
from benchmarks.faults_files import can_mount, changes, damaged_files, full_disk, no_rights

SCENARIOS: dict[str, tuple[Callable[[Bench, random.Random, int], Tally], int]] = {
    "kills": (kills, 20),
    "kills_in_training": (kills_in_training, 10),
    "kills_of_processes": (kills_of_processes, 4),
    "interrupts": (interrupts, 4),
    "full_disk": (full_disk, 8),
    "no_rights": (no_rights, 4),
    "damaged_files": (damaged_files, 1),
    "changes": (changes, 1),
    "two_runs": (two_runs, 1),
    "lost_workers": (lost_workers, 4),
    "lost_scheduler": (lost_scheduler, 1),
}
MOUNTS = ("full_disk", "no_rights")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="moments of kill -9")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=SCENARIOS, action="append")
    args = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="xsm-faults-") as folder:
        bench = Bench(Path(folder) / "bench")
        print(f"an uninterrupted run: {bench.seconds:.0f} s, {len(bench.wanted)} files and stores")
        print(f"{'fault':48} injected survived mutated silent", flush=True)
        for name in args.only or SCENARIOS:
            if name in MOUNTS and not can_mount():
                print(f"{name}: left out, this process may not mount")
                continue
            work, count = SCENARIOS[name]
            tally = work(bench, random.Random(f"{name} {args.seed}"), args.kills if name == "kills" else count)
            print(
                f"{tally.name:48} {tally.injected:8} {tally.survived:8} {tally.mutated:7} {tally.silent:6}", flush=True
            )
            bad += not tally.well
            for note in tally.notes:
                print(f"    {note}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
