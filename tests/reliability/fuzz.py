"""Damage files of every format and count what the readers do: `make fuzz ARGS="--cases 500 --only 'USCRN hourly02'"`.

The same as `python -m tests.reliability.fuzz`. Each file is read in a child process with a time limit, so that a crash
or a hang of a library is counted. What a reader may do with a damaged file:

- refused: an `XsmError` names the file;
- equal: the damage lies where nothing is read;
- missing: some values are missing, all others are equal;
- warned: values differ, and a warning names the file;
- changed: values differ, but lie in the physical range and have no checksum: nothing shows the damage.

What it must not do: silent (values differ without a warning although a checksum, the range or the structure shows it),
unnamed (another error, or one that does not name the file), crash, hang. The exit code is 1 if one of these occurs.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xarray as xr

from tests.reliability.fuzz_damage import damage
from tests.reliability.fuzz_format import Format, area
from tests.reliability.fuzz_gridded import GRIDDED
from tests.reliability.fuzz_stations import STATIONS
from tests.reliability.fuzz_verdict import compare
from xsm.contracts.registry import get_source
from xsm.data.cf import check_maps
from xsm.errors import XsmError
from xsm.testing import open_files

FORMATS = {**GRIDDED, **STATIONS}
GOOD = ("refused", "equal", "missing", "warned", "changed")
BAD = ("silent", "unnamed", "crash", "hang")
SECONDS = 60
MEMORY = 12 * 2**30
"""Address space of a child: a reader that believes a header of 10**12 cells runs into it."""


def read(name: str, paths: list[Path]) -> xr.Dataset:
    form = FORMATS[name]
    source: Any = get_source(form.source)
    region = area() if form.window else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning)
        ds = check_maps(open_files(source, paths, region=region, **form.options), form.source, skip=False)
        return ds.load(scheduler="sync")


def outcome(name: str, paths: list[Path], bad: Path, sound: xr.Dataset, *, checked: bool) -> tuple[str, str]:
    """Read files of which one, ``bad``, is damaged; return the result and the text of an error.

    The bulk of values is checked over all files, so that its error names the source.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            got = read(name, paths)
        except XsmError as error:
            named = bad.name in str(error) or f"of source '{FORMATS[name].source}' cannot be in" in str(error)
            return ("refused" if named else "unnamed"), str(error)
        except Exception as error:
            return "unnamed", f"{type(error).__name__}: {error}"
    warned = any(bad.name in str(w.message) and issubclass(w.category, UserWarning) for w in caught)
    return compare(sound, got, checked=checked, warned=warned), ""


def worker(name: str, folder: Path) -> None:
    """Answer each line of the input, the number of a case, with a line of JSON."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where libraries print
    order = json.loads((folder / "order.json").read_text())
    paths = [folder / "sound" / p for p in order]
    sound = read(name, paths)
    for line in sys.stdin:
        case = int(line)
        place = folder / f"case{case}"
        shutil.copytree(folder / "sound", place)
        targets = FORMATS[name].targets
        bad = place / order[targets[case % len(targets)]]
        way = damage(name, FORMATS[name].damage, bad, case, FORMATS[name].lies)
        paths = [place / p for p in order]
        checked = FORMATS[name].checked or way in FORMATS[name].lies
        result, text = outcome(name, paths, bad, sound, checked=checked)
        shutil.rmtree(place)
        print(json.dumps({"case": case, "way": way, "result": result, "text": text[:300]}), file=answers, flush=True)


class Pool:
    """One child process for a format, started again after a crash or a hang."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.child: subprocess.Popen[str] | None = None

    def read(self, case: int) -> dict[str, Any]:
        if self.child is None or self.child.poll() is not None:
            command = [
                sys.executable,
                "-m",
                "tests.reliability.fuzz",
                "--worker",
                self.name,
                "--folder",
                str(self.folder),
            ]
            with (self.folder / "stderr").open("w") as errors:
                self.child = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
                )
        assert self.child.stdin and self.child.stdout
        try:
            self.child.stdin.write(f"{case}\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass
        ready, _, _ = select.select([self.child.stdout], [], [], SECONDS)
        line = self.child.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        result = "crash" if ready else "hang"
        self.child.kill()
        self.child.communicate()
        text = f"exit {self.child.returncode} {(self.folder / 'stderr').read_text()[-300:]}"
        self.child = None
        return {"case": case, "way": "", "result": result, "text": text}

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.communicate()


def run(name: str, cases: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Read ``cases`` damaged files of a format; yields a mapping of case, way, result and text for each."""
    form: Format = FORMATS[name]
    with tempfile.TemporaryDirectory(prefix="xsm-fuzz-") as temporary:
        folder = Path(temporary)
        (folder / "sound").mkdir()
        order = [str(p.relative_to(folder / "sound")) for p in form.make(folder / "sound")]
        (folder / "order.json").write_text(json.dumps(order))
        pool = Pool(name, folder)
        try:
            for case in range(first, first + cases):
                yield pool.read(case)
        finally:
            pool.close()


def table(counts: dict[str, Counter[str]]) -> str:
    heads = [*GOOD, *BAD, "files"]
    lines = ["| format | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    for name, count in counts.items():
        lines.append("| " + " | ".join([name, *(str(count[h]) for h in heads[:-1]), str(count.total())]) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500, help="damaged files of each format")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", action="append", choices=list(FORMATS))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.folder)
        return 0
    counts: dict[str, Counter[str]] = {}
    for name in args.only or FORMATS:
        counts[name] = Counter()
        for answer in run(name, args.cases, args.first):
            counts[name][answer["result"]] += 1
            if answer["result"] in BAD:
                print(
                    f"{name}: case {answer['case']} ({answer['way']}): {answer['result']} {answer['text']}", flush=True
                )
    print(table(counts))
    return int(any(count[bad] for count in counts.values() for bad in BAD))


if __name__ == "__main__":
    raise SystemExit(main())
