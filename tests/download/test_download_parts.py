"""Transfers that are cut continue where they were cut, with the same file and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import xsm
from tests.web_server import BODY, HALF, KEPT, cut, failure, in_turn, names, one, parts, ranged, reply, status
from xsm.plugin_api import download


def test_stall_is_noticed_and_the_rest_is_fetched(server, tmp_path):
    server.routes["/x.bin"] = in_turn(cut(wait=lambda: time.sleep(1)), ranged())
    with xsm.set_options(timeout=0.3):
        download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    server.routes["/y.bin"] = lambda request: time.sleep(1)
    with xsm.set_options(timeout=0.2, retries=1):
        assert "nothing came for 0.2 s, 2 times" in str(failure([one(server, "y.bin")], tmp_path))
    assert names(tmp_path) == ["x.bin"]


def test_cut_transfer_goes_on_where_it_was_cut(server, tmp_path):
    server.routes["/x.bin"] = in_turn(cut(), ranged())
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert server.headers("Range") == [None, f"bytes={KEPT}-"]
    assert names(tmp_path) == ["x.bin"]


def test_next_run_goes_on_with_the_part(server, tmp_path):
    server.routes["/x.bin"] = cut()
    with xsm.set_options(retries=0):
        assert "the transfer was cut" in str(failure([one(server)], tmp_path))
    assert [p.stat().st_size for p in parts(tmp_path)] == [KEPT]
    server.routes["/x.bin"] = ranged()
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert server.headers("Range")[-1] == f"bytes={KEPT}-"


@pytest.mark.parametrize("other", ['"two"', 'W/"one"', None])
def test_part_of_another_state_of_the_file_is_not_continued(server, tmp_path, other):
    """The provider replaced the file between two runs, or sends nothing by which to recognize it."""
    new = BODY[::-1]
    server.routes["/x.bin"] = in_turn(cut(), ranged(new, other))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == new
    assert names(tmp_path) == ["x.bin"]


def test_weak_tag_does_not_vouch_for_bytes(server, tmp_path):
    """W/ says that two states mean the same, not that they are the same bytes; the date tells them apart."""
    new, weak = BODY[::-1], {"ETag": 'W/"one"'}
    old = status(200, BODY[:HALF], **weak, Content_Length=len(BODY), Last_Modified="Mon, 01 Jun 2020 00:00:00 GMT")
    date, rest = "Tue, 02 Jun 2020 00:00:00 GMT", f"bytes {KEPT}-{len(BODY) - 1}/{len(BODY)}"
    answers = (status(206, new[KEPT:], **weak, Last_Modified=date, Content_Range=rest),
           status(200, new, **weak, Last_Modified=date))  # fmt: skip

    def first(request):
        old(request)
        request.close_connection = True

    server.routes["/x.bin"] = in_turn(first, *answers)
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == new


def test_server_that_ignores_ranges_sends_all_again(server, tmp_path):
    server.routes["/x.bin"] = in_turn(cut(), lambda request: reply(request, BODY, ETag='"one"'))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY


def test_server_that_goes_on_at_another_place_is_asked_again(server, tmp_path):
    last = 100 + len(BODY) - KEPT
    wrong = status(206, BODY[100:last], ETag='"one"', Content_Range=f"bytes 100-{last - 1}/{len(BODY)}")
    server.routes["/x.bin"] = in_turn(cut(), wrong, ranged())
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY


def test_part_longer_than_the_file_is_given_up(server, tmp_path):
    server.routes["/x.bin"] = in_turn(cut(), ranged(BODY[:1000], '"one"'))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY[:1000]


SCRIPT = """
import sys
import xsm_insitu.fetch as fetch
from xsm.faces.cli import main
fetch.PRODUCTS = sys.argv[1]
main(["fetch", "uscrn", sys.argv[2], "--time", "2021-01-01/2021-01-02"])
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to another process")
def test_interrupt_leaves_parts_that_the_next_run_continues(server, tmp_path):
    """A real signal to a real process that waits for a silent server."""
    name, row = "CRNH0203-2021-OK_Goodwell_2_E.txt", b"03055 20210101 0100" + BODY
    server.routes["/hourly02/2021/"] = lambda r: reply(r, f'<a href="{name}">x</a>'.encode())
    silent = [True]
    server.routes[f"/hourly02/2021/{name}"] = cut(row, wait=lambda: [time.sleep(0.05) for _ in range(400) if silent[0]])
    command = [sys.executable, "-c", SCRIPT, server.url, str(tmp_path / "d")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        while not list((tmp_path / "d").glob("*.part")) or parts(tmp_path / "d")[0].stat().st_size < KEPT:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
    silent[0] = False
    assert process.returncode == 130, output
    assert time.monotonic() - begun < 5
    assert "interrupted" in output and "Traceback" not in output and "run again to continue" in output
    assert len(parts(tmp_path / "d")) == 1
    server.routes[f"/hourly02/2021/{name}"] = ranged(row)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "d" / name).read_bytes() == row
    assert server.headers("Range")[-1] == f"bytes={KEPT}-"
