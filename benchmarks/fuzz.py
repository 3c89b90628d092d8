"""Damage files of every format and see what the readers do: `python -m benchmarks.fuzz [--cases 500] [--only NAME]`.

Each file is read in a child process with a time limit, so that a crash or a hang of a library is counted. What a
reader may do with a damaged file:

- refused: an `XsmError` that names the file;
- equal: the damage lies where nothing is read;
- missing: some values are missing that were there, all others equal;
- told: other values, but a warning names the file;
- changed: other values inside the physical range and without a checksum: nothing can tell.

What it may not do: silent (other values although a checksum, the range, or the structure can tell), unnamed (another
error, or one that does not name the file), crash, hang. The exit code is 1 where one of these is found.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.fuzz_base import Format, area
from benchmarks.fuzz_formats import FORMATS
from xsm.contracts.registry import get_source
from xsm.data.cf import VARIABLES
from xsm.errors import XsmError
from xsm.testing import open_files

GOOD = ("refused", "equal", "missing", "told", "changed")
BAD = ("silent", "unnamed", "crash", "hang")
SECONDS = 60
MEMORY = 12 * 2**30
"""Address space of a child: a reader that believes a header of 10**12 cells runs into it."""


def truncated(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw))]


def flipped(raw: bytes, rng: random.Random, *, within: int | None = None) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.randint(1, 8)):
        out[rng.randrange(min(within or len(out), len(out)))] ^= 1 << rng.randrange(8)
    return bytes(out)


def overwritten(raw: bytes, rng: random.Random) -> bytes:
    size = min(rng.choice([16, 512, 4096]), len(raw))
    at = rng.randrange(len(raw) - size + 1)
    block = bytes(size) if rng.random() < 0.5 else rng.randbytes(size)
    return raw[:at] + block + raw[at + size :]


def shifted(raw: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(raw)), rng.randint(1, 16)
    return raw[:at] + (rng.randbytes(size) + raw[at:] if rng.random() < 0.5 else raw[at + size :])


def moved(raw: bytes, rng: random.Random) -> bytes:
    """Two blocks change places."""
    size = max(1, min(512, len(raw) // 8))
    a, b = sorted(rng.sample(range(len(raw) // size), 2))
    blocks = [raw[i : i + size] for i in range(0, len(raw), size)]
    blocks[a], blocks[b] = blocks[b], blocks[a]
    return b"".join(blocks)


RAW: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": truncated,
    "bits": flipped,
    "bits of the head": lambda raw, rng: flipped(raw, rng, within=2048),
    "overwritten": overwritten,
    "shifted": shifted,
    "moved": moved,
    "empty": lambda raw, rng: b"",
    "page": lambda raw, rng: b"<!DOCTYPE html><html><title>Earthdata Login</title></html>",
}
WEIGHTS = {"truncated": 3, "bits": 6, "bits of the head": 4, "overwritten": 3, "shifted": 2, "moved": 2}


def damage(name: str, path: Path, case: int) -> str:
    """Damage a file in one way, chosen by the number of the case; return the name of the way."""
    rng = random.Random(zlib.crc32(f"{name} {case}".encode()))
    ways = {**RAW, **FORMATS[name].damage}
    way = rng.choices(list(ways), [WEIGHTS.get(w, 1) for w in ways])[0]
    if way in RAW:
        path.write_bytes(RAW[way](path.read_bytes(), rng))
    else:
        FORMATS[name].damage[way](path, rng)
    return way


def read(name: str, paths: list[Path]) -> xr.Dataset:
    form = FORMATS[name]
    source: Any = get_source(form.source)
    region = area() if form.window else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning)
        ds = open_files(source, paths, region=region, **form.options)
        return ds.load(scheduler="sync")


def aligned(wanted: xr.Dataset, got: xr.Dataset) -> xr.Dataset | None:
    """The new dataset on the axes of the sound one, or None where it has other cells, sensors or times."""
    if "sensor" not in wanted.dims:
        axes = [n for n in wanted.dims if n in wanted.coords]
        if any(n not in got.coords or not set(got[n].values) <= set(wanted[n].values) for n in axes):
            return None
        fill = {n: {"u2": 65534, "u1": 255}.get(v.dtype.str[1:], np.nan) for n, v in got.data_vars.items()}
        return got.reindex({n: wanted[n] for n in axes}, fill_value=fill)
    old, new = (_keys(ds) for ds in (wanted, got))
    place = [
        max(range(len(old)), key=lambda i, k=key: sum(a == b for a, b in zip(old[i], k, strict=True))) for key in new
    ]
    if len(set(place)) < len(new) or not set(got["time"].values) <= set(wanted["time"].values):
        return None
    order = [place.index(i) if i in place else -1 for i in range(len(old))]
    out = got.isel(sensor=[max(i, 0) for i in order])
    gone = np.array(order) < 0
    for name in out.data_vars:
        out[name][gone] = 0 if name == "flag" else np.nan
    filled = {n: 0 if n == "flag" else np.nan for n in out.data_vars}
    return out.reindex(time=wanted["time"], fill_value=filled)


def _keys(ds: xr.Dataset) -> list[tuple[Any, ...]]:
    names = ("station", "lat", "lon", "depth", "instrument" if "instrument" in ds.coords else "wban")
    return list(zip(*(ds[n].values.tolist() for n in names), strict=True))


def compare(wanted: xr.Dataset, got: xr.Dataset, checked: bool, told: bool) -> str:
    """Say what became of the values."""
    placed = aligned(wanted, got)
    changed, lost = placed is None, False
    if placed is not None and "sensor" in wanted.dims:
        changed = not set(_keys(got)) <= set(_keys(wanted))
    for name, variable in wanted.data_vars.items():
        if placed is None or name not in placed:
            lost = True
            continue
        old, new = variable.values, placed[name].values
        if old.shape != new.shape:
            changed = True
            continue
        gone = _missing(new) & ~_missing(old)
        other = ~_equal(old, new) & ~gone
        if name == "flag" and "sensor" in wanted.dims:  # of a value that became missing
            other &= ~np.isnan(placed["soil_moisture"].values)
        lost |= bool(gone.any())
        changed |= bool(other.any())
        if not told and _impossible(str(name), new):
            return "silent"
    if not changed:
        return "missing" if lost else "equal"
    return "told" if told else "silent" if checked or placed is None else "changed"


def _missing(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    return values == {"uint16": 65534, "uint8": 255}.get(str(values.dtype), -1)


def _equal(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return (old == new) | (_missing(old) & _missing(new))


def _impossible(name: str, values: np.ndarray) -> bool:
    spec = VARIABLES.get(name)
    if spec is None or values.dtype.kind != "f":
        return False
    slack = 1e-5 * max(1.0, abs(spec.high)) if np.isfinite(spec.high) else 0
    return bool(((values < spec.low - slack) | (values > spec.high + slack)).any())


def outcome(name: str, paths: list[Path], bad: Path, wanted: xr.Dataset) -> tuple[str, str]:
    """Read files of which one is damaged."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            got = read(name, paths)
        except XsmError as error:
            return ("refused" if bad.name in str(error) else "unnamed"), str(error)
        except Exception as error:
            return "unnamed", f"{type(error).__name__}: {error}"
    told = any(bad.name in str(w.message) and issubclass(w.category, UserWarning) for w in caught)
    return compare(wanted, got, FORMATS[name].checked, told), ""


def worker(name: str, folder: Path) -> None:
    """Answer each line of the input, a number of a case, by a line of JSON."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries print there
    order = json.loads((folder / "order.json").read_text())
    paths = [folder / "sound" / p for p in order]
    wanted = read(name, paths)
    for line in sys.stdin:
        case = int(line)
        place = folder / f"case{case}"
        shutil.copytree(folder / "sound", place)
        targets = FORMATS[name].targets
        bad = place / order[targets[case % len(targets)]]
        way = damage(name, bad, case)
        paths = [place / p for p in order]
        result, text = outcome(name, paths, bad, wanted)
        shutil.rmtree(place)
        print(json.dumps({"case": case, "way": way, "result": result, "text": text[:300]}), file=answers, flush=True)


class Pool:
    """One child for a format, started anew after a crash or a hang."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.child: subprocess.Popen[str] | None = None

    def ask(self, case: int) -> dict[str, Any]:
        if self.child is None or self.child.poll() is not None:
            command = [sys.executable, "-m", "benchmarks.fuzz", "--worker", self.name, "--folder", str(self.folder)]
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
    """Read ``cases`` damaged files of a format; each result is a mapping of case, way, result and text."""
    form: Format = FORMATS[name]
    with tempfile.TemporaryDirectory(prefix="xsm-fuzz-") as temporary:
        folder = Path(temporary)
        (folder / "sound").mkdir()
        order = [str(p.relative_to(folder / "sound")) for p in form.make(folder / "sound")]
        (folder / "order.json").write_text(json.dumps(order))
        pool = Pool(name, folder)
        try:
            for case in range(first, first + cases):
                yield pool.ask(case)
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
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
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
