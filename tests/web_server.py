"""Web servers on this machine that behave as a test says, and what tests of downloads look for in a folder."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from xsm.errors import FetchError
from xsm.plugin_api import Remote, download
from xsm.web.http import BLOCK

BODY = np.random.default_rng(5).bytes(300_000)
HALF = 170_000
KEPT = HALF // BLOCK * BLOCK
"""What is kept of a transfer cut after HALF: whole blocks."""
PAGE = b"<!DOCTYPE html><html><head><title>Earthdata Login</title></head><body>Please log in</body></html>"


def names(folder):
    """Files of a folder, without the manifest."""
    return sorted(p.name for p in folder.iterdir() if p.name != "manifest.json") if folder.exists() else []


def parts(folder):
    """The parts in a folder; asserts that there is nothing else."""
    assert all(name.endswith(".part") for name in names(folder)), names(folder)
    return list(folder.glob("*.part"))


def ranged(body=BODY, etag='"one"'):
    """A server that continues where it is asked to."""

    def answer(request):
        start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(body):
            return reply(request, b"", 416, Content_Range=f"bytes */{len(body)}")
        where = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        return reply(request, body[start:], 206 if start else 200, ETag=etag, **where)

    return answer


def cut(body=BODY, at=HALF, etag='"one"', wait=None):
    """A server that announces all, sends less, and closes or falls silent."""

    def answer(request):
        reply(request, body[:at], Content_Length=len(body), ETag=etag)
        request.wfile.flush()
        if wait is not None:
            wait()
        request.close_connection = True

    return answer


def in_turn(*answers):
    """One answer after the other; the last one again and again."""
    left = list(answers)

    def answer(request):
        (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


class Server:
    """An HTTP server of this machine: ``routes`` maps paths to answers, ``requests`` records paths and headers."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.routes: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.requests.append((self.path, dict(self.headers)))
                answer = server.routes.get(self.path.partition("?")[0], status(404))
                with contextlib.suppress(ConnectionError):
                    answer(self)

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://{host}:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def headers(self, name: str) -> list[str | None]:
        """One header of all requests."""
        return [headers.get(name) for _, headers in self.requests]


def reply(request, body=b"", status=200, **headers):
    """Answer whole; header names with underscores."""
    request.send_response(status)
    for name, value in {"Content_Length": len(body), **headers}.items():
        if value is not None:
            request.send_header(name.replace("_", "-"), str(value))
    request.end_headers()
    request.wfile.write(body)


def status(code, body=b"no", **headers):
    """Answer with a status."""
    return lambda request: reply(request, body, code, **headers)


def one(server, name="x.bin", **kw):
    return Remote(f"{server.url}/{name}", name, **kw)


def failure(remotes, dest, **kw):
    """The error of a download."""
    with pytest.raises(FetchError) as caught:
        download(remotes, dest, **kw)
    return caught.value
