"""Servers that send too little or too slowly: no tag, no date, no end, malformed headers, a drip."""

from __future__ import annotations

import gzip
import hashlib
import threading

import pytest

import xsm
from tests.web_server import BODY, HALF, KEPT, failure, in_turn, names, one, parts, reply
from xsm.plugin_api import download

NEW = BODY[::-1]


@pytest.fixture
def server(serve):
    return serve()


def unsure(body, at=None):
    """The file, or its first bytes, without tag and date; continues wherever it is asked to."""

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


def test_each_attempt_that_gets_further_counts_again(server, tmp_path):
    """A line that breaks every 70 kB brings a file of 300 kB with one retry."""

    def answer(request):
        start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        where = {"Content_Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"} if start else {}
        headers = {"Content_Length": len(BODY) - start, "ETag": '"one"', **where}
        reply(request, BODY[start : start + 70_000], 206 if start else 200, **headers)
        request.close_connection = True

    server.routes["/x.bin"] = answer
    with xsm.set_options(retries=1):
        download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert len(server.requests) >= 4


def test_a_drip_is_a_stall(server, tmp_path):
    stop = threading.Event()

    def drip(request):
        reply(request, BODY[:600], Content_Length=len(BODY), ETag='"one"')
        for i in range(600, len(BODY)):
            request.wfile.write(BODY[i : i + 1])
            request.wfile.flush()
            if stop.wait(0.05):
                break
        request.close_connection = True

    server.routes["/x.bin"] = drip
    try:
        with xsm.set_options(timeout=0.2, retries=0):
            assert "the transfer was cut" in str(failure([one(server)], tmp_path))
    finally:
        stop.set()


@pytest.mark.parametrize("encoding", [{}, {"Content_Encoding": "gzip"}])
def test_a_body_without_an_end_is_refused(server, tmp_path, encoding):
    def answer(request):
        request.send_response(200)
        for name, value in encoding.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(gzip.compress(BODY)[:1000] if encoding else BODY[:1000])
        request.close_connection = True

    server.routes["/x.bin"] = answer
    assert "does not say where the file ends" in str(failure([one(server)], tmp_path))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 302 F\r\nLocation: http://.example.com/a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 F\r\nLocation: http://[::1/a\r\nContent-Length: 0\r\n\r\n",
        f"HTTP/1.1 302 F\r\nLocation: http://{'a' * 70}.com/a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 F\r\nLocation: http://\xff\xfe/a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nabcdef",
    ],
)
def test_malformed_headers_are_one_sentence(server, tmp_path, head):
    def answer(request):
        request.wfile.write(head.encode("latin-1"))
        request.close_connection = True

    server.routes["/x.bin"] = answer
    with xsm.set_options(retries=0):
        assert "x.bin" in str(failure([one(server)], tmp_path))
    assert names(tmp_path) == []
