"""Damaged files of every format: read, or refused by name; never a crash, a hang or a silent wrong value.

A few of each format here, 500 of each in the slow test; `python -m benchmarks.fuzz` prints the table of the counts.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import fuzz
from benchmarks.fuzz_base import area
from benchmarks.fuzz_formats import FORMATS
from xsm.contracts.registry import get_source
from xsm.data.skipped import tell_skipped
from xsm.errors import DataError, SkippedFile
from xsm.testing import open_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the children are watched with select and resource")


def read_damaged(name: str, cases: int) -> Counter[str]:
    answers = list(fuzz.run(name, cases))
    bad = [a for a in answers if a["result"] in fuzz.BAD]
    assert not bad, f"{name}: {bad[:5]}"
    return Counter(a["result"] for a in answers)


@pytest.mark.parametrize("name", [n for n in FORMATS if "HDF4" not in n])
def test_some_damaged_files(name: str) -> None:
    counts = read_damaged(name, 8)
    assert counts.total() == 8 and counts["refused"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FORMATS)
def test_five_hundred_damaged_files(name: str) -> None:
    assert read_damaged(name, 500).total() == 500


def test_a_crash_and_a_hang_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that kill themselves, sleep, or answer: the pool tells them apart."""
    monkeypatch.setattr(fuzz, "SECONDS", 2)
    programs = {
        "crash": "import os; input(); os.kill(os.getpid(), 11)",
        "hang": "import time; input(); time.sleep(60)",
        "equal": 'input(); print(\'{"result": "equal"}\', flush=True); input()',
    }
    popen = fuzz.subprocess.Popen
    for result, program in programs.items():
        monkeypatch.setattr(
            fuzz.subprocess, "Popen", lambda command, program=program, **k: popen([sys.executable, "-c", program], **k)
        )
        pool = fuzz.Pool("USCRN hourly02", tmp_path)
        assert pool.ask(0)["result"] == result
        pool.close()


def test_a_changed_value_is_told_from_a_missing_one(tmp_path: Path) -> None:
    """The judge itself: equal, missing, changed, outside the range, on other axes."""
    wanted = fuzz.read("USCRN daily01", FORMATS["USCRN daily01"].make(tmp_path))
    judge = {checked: lambda got, c=checked: fuzz.compare(wanted, got, c, told=False) for checked in (True, False)}
    assert judge[True](wanted.copy(deep=True)) == "equal"
    for value, plain, summed in (
        (float("nan"), "missing", "missing"),
        (0.123, "changed", "silent"),
        (7, "silent", "silent"),
    ):
        got = wanted.copy(deep=True)
        got["soil_moisture"][2, 3] = value
        assert (judge[False](got), judge[True](got)) == (plain, summed)
    assert judge[False](wanted.isel(time=slice(3, 20), sensor=[1, 2])) == "missing"
    moved = wanted.assign_coords(lat=wanted["lat"] + 1)
    assert (judge[False](moved), judge[True](moved)) == ("changed", "silent")


SKIPPING = {n: f for n, f in FORMATS.items() if n not in ("NLDAS netCDF-4 deflated", "MCD12C1 HDF4")}


@pytest.mark.parametrize("name", SKIPPING)
def test_skip_tells_what_was_left_out(name: str, tmp_path: Path) -> None:
    """Of a sound file and a login page under the name of another, the sound one is read."""
    form = FORMATS[name]
    paths = form.make(tmp_path)
    sound = [p for p in paths if p.name != "stations.json"]
    bad = sound[-1] if len(sound) > 1 else _another(sound[0])
    bad.write_text("<!DOCTYPE html><html>log in</html>")
    files = list(dict.fromkeys([*paths, bad]))
    source = get_source(form.source)
    told = {"region": area() if form.window else None, **form.options}
    with warnings.catch_warnings(action="ignore"), pytest.raises(DataError, match=bad.name.replace("+", r"\+")):
        open_files(source, files, on_error="raise", **told)
    with warnings.catch_warnings(action="ignore"):
        ds = open_files(source, files, on_error="skip", **told)
    with pytest.warns(SkippedFile) as caught:  # as `xsm.open` tells it
        tell_skipped(ds, files)
    assert any(bad.name in str(w.message) for w in caught)
    assert bad.name in str(ds.attrs["skipped"]) and len(ds.data_vars)


def _another(path: Path) -> Path:
    """A second file of the product beside its only one."""
    for old, new in (
        ("_001.h5", "_002.h5"),
        (".h10v05.", ".h11v05."),
        ("aid0001", "aid0002"),
        ("20210501_", "20210601_"),
    ):
        if old in path.name:
            return path.with_name(path.name.replace(old, new, 1))
    return path.with_name(f"other_{path.name}")
