"""Inject faults into runs of a study and count what is lost: `make faults ARGS="--kills 20 --only kills"`.

The same as `python -m tests.reliability.faults`. The study is a small synthetic world in the products' formats, run
from the command line with models of numpy, or with networks where the name says so. A fault is survived if the same
command, run again once the cause is gone, ends with the files of an uninterrupted run (values and attributes, except
times in histories), or if a wrong start is refused with one sentence and existing files stay. Files with a final name
that differ from those of the uninterrupted run are mutated. A run that ends well with other results, or a damaged file
that is neither listed nor harmless, is a silent error. The exit code is 1 if a fault was not survived.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.reliability.fault_files import can_mount, changes, damaged_files, full_disk, no_rights
from tests.reliability.fault_processes import (
    interrupts,
    kills,
    kills_in_training,
    kills_of_processes,
    lost_scheduler,
    lost_workers,
    two_runs,
)
from tests.reliability.fault_study import FaultStudy, Tally

SCENARIOS: dict[str, tuple[Callable[[FaultStudy, random.Random, int], Tally], int]] = {
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
    parser.add_argument("--kills", type=int, default=20, help="how often kill -9 is sent in the scenario of that name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=SCENARIOS, action="append")
    args = parser.parse_args()
    lost = False
    with tempfile.TemporaryDirectory(prefix="xsm-faults-") as folder:
        study = FaultStudy(Path(folder) / "study")
        print(f"an uninterrupted run: {study.seconds:.0f} s, {len(study.expected)} files and stores")
        print(f"{'fault':48} injected survived mutated silent", flush=True)
        for name in args.only or SCENARIOS:
            if name in MOUNTS and not can_mount():
                print(f"{name}: left out, since this process may not mount")
                continue
            scenario, count = SCENARIOS[name]
            tally = scenario(study, random.Random(f"{name} {args.seed}"), args.kills if name == "kills" else count)
            print(
                f"{tally.name:48} {tally.injected:8} {tally.survived:8} {tally.mutated:7} {tally.silent:6}", flush=True
            )
            lost |= not tally.well
            for note in tally.notes:
                print(f"    {note}", flush=True)
    return int(lost)


if __name__ == "__main__":
    sys.exit(main())
