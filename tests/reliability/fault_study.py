"""A small study for the injection of faults, and its files after an uninterrupted run."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import rasterio
import xarray as xr

from xsm.study import template
from xsm.study.example import Size, make_files, study_changes

WORLD = Size(8, "2021-04-01", 70, split=(45, 10))
LONGER_WORLD = Size(8, "2021-04-01", 135, split=(90, 20))
"""Three regions along time."""
LEARNED_WORLD = Size(16, "2021-04-01", 60, fill="epochs = 2, cells = 32", fit=", epochs = 2", split=(40, 10))
NUMPY = (
    ('method = "cru"', 'method = "linear"'),
    ('model = "convlstm"', 'model = "ridge"'),
    ('covariates = ["precipitation", "air_temperature"]\n', ""),
    ('options = { preset = "small" }', ""),
)
"""Edits of a study that replace networks by models that train in no time."""
LINE = re.compile(rb"\d{4}-\d\d-\d\dT[\d:]+Z( xsm [^\n\"<\\]*)(?:\\n|\n)?")
"""A line of a history, in text or JSON."""
STAMP = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?")
POOL = "from xsm.compute import workers; from xsm.faces import cli; workers.WORTH = 0; cli.main()"
"""The command line, which then reads even small files in processes of its own."""
LONGEST = 280
"""Seconds after which a run is given up."""


@dataclass
class Tally:
    """Counts of one kind of fault."""

    name: str
    injected: int = 0
    survived: int = 0
    mutated: int = 0
    silent: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing was lost."""
        return self.injected > 0 and self.survived == self.injected and not self.mutated and not self.silent


class FaultStudy:
    """The files of a synthetic world, a study of them, and the files of an uninterrupted run."""

    def __init__(
        self, folder: Path, world: Size = WORLD, edits: tuple[tuple[str, str], ...] = NUMPY, *, pool: bool = False
    ) -> None:
        self.folder, self.pool = folder, pool
        folder.mkdir()
        make_files(folder / "files", world, seed=1)
        text = template.template(**study_changes(world, "files"))
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        self.text = text.replace('"files/', f'"{folder}/files/')
        self.number = itertools.count()
        start = time.monotonic()
        self.reference = self.study()
        done = self.run(self.reference)
        assert done.returncode == 0, done.stderr
        self.seconds = time.monotonic() - start
        self.expected = contents(self.reference / "results")

    def study(self, folder: Path | None = None, *changes: tuple[str, str]) -> Path:
        """A new folder with the study file, or a changed one in a folder."""
        folder = folder or self.folder / f"run{next(self.number)}"
        folder.mkdir(exist_ok=True)
        text = self.text
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (folder / "study.toml").write_text(text)
        return folder

    def copy(self) -> Path:
        """A new folder with the files of the uninterrupted run."""
        folder = self.study()
        shutil.copytree(self.reference / "results", folder / "results")
        return folder

    def command(self, folder: Path, *more: str) -> list[str]:
        """The command line of a run."""
        how = ["-c", POOL] if self.pool else ["-m", "xsm"]
        threads = ["--threads", "2"] if self.pool else []
        return [sys.executable, *how, "run", str(folder / "study.toml"), *threads, *more]

    def start(self, folder: Path, *more: str) -> subprocess.Popen[str]:
        """Begin a run."""
        return subprocess.Popen(
            self.command(folder, *more), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    def run(self, folder: Path, *more: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        return subprocess.run(
            [*before, *self.command(folder, *more)], check=False, capture_output=True, text=True, timeout=LONGEST
        )

    def check(self, tally: Tally, folder: Path) -> None:
        """Count files with a final name that are not those of the uninterrupted run."""
        wrong = {n: h for n, h in contents(folder / "results").items() if self.expected.get(n) != h}
        tally.mutated += len(wrong)
        tally.notes += [f"differs: {n}" for n in list(wrong)[:5]]

    def finish(self, tally: Tally, folder: Path, faults: int) -> None:
        """Run the same command again; the faults are survived if all files are there and equal."""
        done = self.run(folder)
        stored = contents(folder / "results")
        if done.returncode:
            tally.notes.append(done.stderr[-500:])
        elif stored != self.expected:
            tally.silent += 1
            tally.notes += [f"lacks {sorted(set(self.expected) - set(stored))[:5]}"]
            self.check(tally, folder)
        else:
            tally.survived += faults
        left = [str(p) for p in (folder / "results").rglob(".*.part")]
        tally.notes += [f"left: {name}" for name in left[:3]]
        tally.mutated += len(left)


def contents(out: Path) -> dict[str, str]:
    """Hashes of final files by name, without times: a Zarr store as one, NetCDF and GeoTIFF by their contents."""
    hashes: dict[str, str] = {}
    for path in sorted(out.rglob("*")) if out.exists() else []:
        name = path.relative_to(out)
        if not path.is_file() or any(part.endswith(".part") or part == ".xsm" for part in name.parts):
            continue
        key = str(next((p for p in (*reversed(name.parents), name) if p.suffix == ".zarr"), name))
        data = {".nc": _dataset, ".tif": _raster}.get(path.suffix, _bytes)(path)
        hashes[key] = hashlib.sha256((hashes.get(key, "") + str(name)).encode() + data).hexdigest()[:16]
    return hashes


def _bytes(path: Path) -> bytes:
    return _timeless(path.read_bytes())


def _timeless(text: bytes) -> bytes:
    """Text without times; each line of a history once, since equal lines of the same second are joined."""
    lines = sorted(set(LINE.findall(text)))
    return STAMP.sub(b"", LINE.sub(b"", text)) + b"".join(lines)


def _dataset(path: Path) -> bytes:
    with xr.open_dataset(path, decode_cf=False) as ds:
        lines = [repr(_timeless(json.dumps(sorted(ds.attrs.items()), default=str).encode()))]
        lines += [f"{n} {v.dims} {v.dtype} {sorted(v.attrs.items())}" for n, v in sorted(ds.variables.items())]
        return "\n".join(lines).encode() + b"".join(v.values.tobytes() for _, v in sorted(ds.variables.items()))


def _raster(path: Path) -> bytes:
    """Values, georeference and all tags, not raw bytes: these move with the length of a history."""
    with rasterio.open(path) as file:
        lines = [str((file.profile, file.descriptions, file.units, file.scales, file.offsets))]
        names = sorted(set(file.tag_namespaces()) - {"DERIVED_SUBDATASETS"})  # which contains the path
        spaces = [file.tags(), *(file.tags(ns=name) for name in names)]
        spaces += [tags for band in file.indexes for tags in (file.tags(band), file.tags(band, ns="IMAGE_STRUCTURE"))]
        lines += [f"{name}={value}" for tags in spaces for name, value in sorted(tags.items())]
        return _timeless("\n".join(lines).encode()) + file.read().tobytes()


def one_sentence(text: str, *words: str) -> bool:
    """Whether a command failed with an error and a hint of xsm that contain these words, without a traceback."""
    return "error:" in text and "hint:" in text and "Traceback" not in text and all(w in text for w in words)
