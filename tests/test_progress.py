"""Progress: pace and its units, the bar in a real pseudo-terminal, events for programs, silence elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading

import dask.array as da
import pytest
import xarray as xr

from xsm.faces.progress_bar import Pace, show
from xsm.io import files
from xsm.progress import quiet

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
STUDY = """
import sys
import xsm, dask.array as da, xarray as xr
from xsm.faces.progress_bar import show
from xsm.progress import quiet
from xsm.faces.cli import say
with show(sys.argv[1], "xsm run") as begin:
    begin("1/2 train")
    xsm.example("smap", size=16, days=20).sm.gapfill_cru(variables=["tb_h"], epochs=20, cells=16)
    say("warning", "something is doubtful")
    begin("2/2 write")
    xsm.io.files.write(xr.Dataset({"a": (("y", "x"), da.ones((2000, 2000), chunks=200))}), sys.argv[2])
"""


@pytest.fixture
def clock():
    """A clock that is set by hand."""
    now = [100.0]

    def read():
        return now[0]

    read.set = lambda seconds: now.__setitem__(0, 100.0 + seconds)
    return read


def test_pace_tells_bytes_and_what_is_left(clock):
    pace = Pace(clock)
    for second in range(1, 6):
        clock.set(second)
        pace.step(second / 10, "", (3e6 * second, "byte"))
    assert str(pace) == "0:05, 0:05 left, 3 MB/s"
    clock.set(7)  # nothing came for two seconds
    assert str(pace) == "0:07, 0:03 left, 3 MB/s"


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("epoch {}/8: train 0.5", 90.0, "6:00, 6:00 left, 90 s/epoch"),
        ("tb_h: step {}/8: loss 0.1", 0.5, "0:02, 0:02 left, 2 steps/s"),
        ("boosting: fold {} of 8, 120 trees", 1.0, "0:04, 0:04 left, 1 folds/s"),
        ("member 2/3: epoch {}/8: train 0.5", 1200.0, "1:20:00, 1:20:00 left, 1.2e+03 s/epoch"),
        ("{} trees", 1.0, "0:04, 0:04 left"),
    ],
)
def test_pace_counts_what_a_text_counts(clock, text, seconds, shown):
    pace = Pace(clock)
    for number in range(1, 5):
        clock.set(number * seconds)
        pace.step(number / 8, text.format(number))
    assert str(pace) == shown


def test_counting_goes_on_over_members(clock):
    pace = Pace(clock)
    for k, number in enumerate((1, 2, 3, 1, 2, 3), 1):
        clock.set(2 * k)
        pace.step(k / 12, f"member {(k + 2) // 3}/4: epoch {number}/3")
    assert str(pace) == "0:12, 0:12 left, 2 s/epoch"


def test_another_piece_has_its_own_rest(clock):
    pace = Pace(clock)
    clock.set(60)
    pace.step(1.0, "")
    pace.restart(0.5)
    clock.set(61)
    pace.step(0.6, "")
    assert str(pace) == "1:01, 0:04 left"  # a tenth in a second, four are left


def test_the_rate_is_that_of_the_last_steps(clock):
    pace = Pace(clock)
    for k in range(1, 101):
        clock.set(k if k <= 50 else 50 + (k - 50) * 10)
        pace.step(k / 200, "", (1e3 * k, "byte"))
    assert str(pace).endswith("100 bytes/s")  # the first fifty were ten times as fast


def in_terminal(arguments, columns=100):
    """Run a command with its stderr in a pseudo-terminal; what came, without control codes, line by line."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    came = bytearray()

    def read():
        try:
            while block := os.read(ours, 4096):
                came.extend(block)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=read)
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")} | {"TERM": "xterm-256color"}
    with subprocess.Popen([sys.executable, *arguments], stderr=theirs, stdout=subprocess.DEVNULL, env=env) as run:
        os.close(theirs)
        reader.start()
        assert run.wait() == 0, came.decode()
    reader.join()
    os.close(ours)
    return re.split(r"[\r\n]+", CONTROL.sub("", came.decode()))


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_a_terminal_shows_stage_rate_and_rest(tmp_path):
    lines = in_terminal(["-c", STUDY, "auto", str(tmp_path / "a.nc")])
    train = [line for line in lines if line.startswith("1/2 train") and "%" in line]
    assert any(re.search(r"\d+% 0:\d\d, 0:\d\d left, [\d.]+ (steps/s|s/step) tb_h: step \d+/20", t) for t in train)
    write = [line for line in lines if line.startswith("2/2 write")]
    assert any(re.search(r"0:\d\d, (0:\d\d left, )?[\d.]+ [kMG]B/s", line) for line in write)
    assert "warning: something is doubtful" in [line.strip() for line in lines]  # on a line of its own
    assert all(len(line) <= 100 for line in lines)


def test_without_a_terminal_there_are_only_log_lines(tmp_path):
    command = [sys.executable, "-c", STUDY, "auto", str(tmp_path / "a.nc")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["warning: something is doubtful"]  # nobody has asked for the log
    assert done.stdout == ""


def test_events_for_programs_are_share_and_text(tmp_path):
    came = []
    ds = xr.Dataset({"a": (("y", "x"), da.ones((400, 400), chunks=50))})
    with show("json", "Write", came.append) as begin:
        begin("1/1 write")
        (ds + 1).compute()  # the progress of the file is counted by itself
        files.write(ds, tmp_path / "a.nc")
        with quiet() as advance:
            advance(0.25, "epoch 1/4")
            ds.compute()
            advance(0.5, "epoch 2/4", (3.0, "byte"))
    assert all(set(event) == {"event", "value", "text"} and event["event"] == "progress" for event in came)
    assert came[0] == {"event": "progress", "value": 0.0, "text": "1/1 write"}
    assert [(e["value"], e["text"]) for e in came[-2:]] == [(25.0, "epoch 1/4"), (50.0, "epoch 2/4")]
    assert [e["value"] for e in came].count(100.0) == 2
    assert json.dumps(came)
