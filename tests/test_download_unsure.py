"""Servers that tell nothing by which to know one state of a file from the next: no tag, no date, no length."""

from __future__ import annotations

import hashlib

import pytest

import xsm
from tests.web_server import BODY, HALF, KEPT, failure, in_turn, names, one, parts, reply
from xsm import download

NEW = BODY[::-1]


@pytest.fixture
def server(serve):
    return serve()


def unsure(body, at=None):
    """The file, or its first bytes, without tag and date; goes on wherever it is asked to."""

    def answer(request):
        start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        where = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        end = {} if at is None else {"Content_Length": len(body)}
        reply(request, body[start:at], 206 if start else 200, **where, **end)
        request.close_connection = at is not None

    return answer


def test_part_is_not_spliced_with_another_state_of_the_file(server, tmp_path):
    server.routes["/x.bin"] = unsure(BODY, HALF)
    with xsm.set_options(retries=0):
        failure([one(server)], tmp_path)
    assert len(parts(tmp_path)) == 1
    server.routes["/x.bin"] = unsure(NEW)
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == NEW
    assert names(tmp_path) == ["x.bin"]


def test_known_checksum_vouches_for_the_part(server, tmp_path):
    remote = one(server, checksum=f"sha256:{hashlib.sha256(BODY).hexdigest()}")
    server.routes["/x.bin"] = in_turn(unsure(BODY, HALF), unsure(BODY))
    download([remote], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert server.headers("Range") == [None, f"bytes={KEPT}-"]


@pytest.mark.parametrize("there", [BODY, NEW])
def test_file_of_unknown_length_that_lies_there_is_compared(server, tmp_path, there):
    def chunked(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n")

    server.routes["/x.bin"] = chunked
    (tmp_path / "x.bin").write_bytes(there)
    if there == BODY:
        assert download([one(server)], tmp_path).paths == [tmp_path / "x.bin"]
    else:
        assert "is not the provider's file (300000 bytes, there other ones)" in str(failure([one(server)], tmp_path))
    assert (tmp_path / "x.bin").read_bytes() == there
    assert names(tmp_path) == ["x.bin"]
