"""Damaged files of every format are read or refused by name: never a crash, a hang or a wrong value without a warning.

A few of each format here, 500 of each in the slow test; `make fuzz` prints the table of the counts.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

from tests.reliability import fuzz
from tests.reliability.fuzz import FORMATS
from tests.reliability.fuzz_format import area
from tests.reliability.fuzz_verdict import compare
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


def test_a_crash_and_a_hang_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool distinguishes children that kill themselves, sleep or answer."""
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
        assert pool.read(0)["result"] == result
        pool.close()


def test_the_verdict_distinguishes_changed_from_missing_values(tmp_path: Path) -> None:
    """Equal, missing, changed, outside the range, on other axes."""
    sound = fuzz.read("USCRN daily01", FORMATS["USCRN daily01"].make(tmp_path))
    judge = {c: lambda got, c=c: compare(sound, got, checked=c, warned=False) for c in (True, False)}
    assert judge[True](sound.copy(deep=True)) == "equal"
    for value, plain, summed in (
        (float("nan"), "missing", "missing"),
        (0.123, "changed", "silent"),
        (7, "silent", "silent"),
    ):
        got = sound.copy(deep=True)
        got["soil_moisture"][2, 3] = value
        assert (judge[False](got), judge[True](got)) == (plain, summed)
    assert judge[False](sound.isel(time=slice(3, 20), sensor=[1, 2])) == "missing"
    moved = sound.assign_coords(lat=sound["lat"] + 1)
    assert (judge[False](moved), judge[True](moved)) == ("changed", "silent")


SKIPPING = {n: f for n, f in FORMATS.items() if n not in ("NLDAS netCDF-4 deflated", "MCD12C1 HDF4")}


@pytest.mark.parametrize("name", SKIPPING)
def test_skip_names_the_file_that_was_left_out(name: str, tmp_path: Path) -> None:
    """A login page is saved under the name of a second file: the sound file is read."""
    form = FORMATS[name]
    paths = form.make(tmp_path)
    sound = [p for p in paths if p.name != "stations.json"]
    bad = sound[-1] if len(sound) > 1 else _another(sound[0])
    bad.write_text("<!DOCTYPE html><html>log in</html>")
    files = list(dict.fromkeys([*paths, bad]))
    source = get_source(form.source)
    request = {"region": area() if form.window else None, **form.options}
    with warnings.catch_warnings(action="ignore"), pytest.raises(DataError, match=bad.name.replace("+", r"\+")):
        open_files(source, files, on_error="raise", **request)
    with warnings.catch_warnings(action="ignore"):
        ds = open_files(source, files, on_error="skip", **request)
    with pytest.warns(SkippedFile) as caught:  # as in `xsm.open`
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
