"""The explorer's server: it listens on this machine alone, and answers only who knows the token in the address."""

from __future__ import annotations

import gzip
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from xsm.errors import UsageError, XsmError
from xsm.explorer import places, saved
from xsm.explorer.blocks import Blocks, Window
from xsm.explorer.page import NONCE, SCRIPTS, html, part
from xsm.explorer.products import Catalogue, Product

log = logging.getLogger("xsm")
HOST = "127.0.0.1"
LEAST_ZIPPED = 20_000
KINDS = {"js": "text/javascript", "css": "text/css", "html": "text/html"}
Answer = tuple[str, bytes]
"""Content type and content."""


class Explorer(ThreadingHTTPServer):
    """Serves the page and what it asks for; ``url`` has the token."""

    daemon_threads = True

    def __init__(self, catalogue: Catalogue, port: int = 0) -> None:
        self.catalogue, self.blocks = catalogue, Blocks(catalogue)
        super().__init__((HOST, port), _Handler)
        self.token = secrets.token_urlsafe(16)
        self.ended = False
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    @cached_property
    def described(self) -> bytes:
        """What the page needs to know, as JSON."""
        return _json(self.catalogue.describe())

    def server_close(self) -> None:
        """Close the socket and stop reading."""
        self.ended = True
        self.blocks.close()
        super().server_close()

    def product(self, query: Mapping[str, str]) -> Product:
        """The product that a query names."""
        product = self.catalogue.products.get(query.get("product", ""))
        if product is None:
            raise UsageError(f"There is no product '{query.get('product', '')}'.", hint="Reload the page.")
        return product


def _day(server: Explorer, query: Mapping[str, str]) -> Answer:
    """One map: packed numbers, or nothing where the product has no such day."""
    product = server.product(query)
    packed = server.blocks.day(product, int(query["day"]), query.get("kind", "value"), _window(query))
    return "application/octet-stream", packed.to_bytes() if packed else b""


def _window(query: Mapping[str, str]) -> Window | None:
    if "window" not in query:
        return None
    top, bottom, left, right, step = map(int, query["window"].split(","))
    return slice(top + step // 2, bottom, step), slice(left + step // 2, right, step)


def _place(read: Callable[..., Any]) -> Callable[[Explorer, Mapping[str, str]], Answer]:
    def answer(server: Explorer, query: Mapping[str, str]) -> Answer:
        what = server.product(query) if "product" in query else server.catalogue
        return "application/json", _json(read(what, float(query["lon"]), float(query["lat"])))

    return answer


def _save(server: Explorer, query: Mapping[str, str]) -> Answer:
    box = [float(v) for v in query["box"].split(",")]
    return "text/html", saved.page(
        server.catalogue, server.blocks, (box[0], box[1], box[2], box[3]), int(query["first"]), int(query["last"]),
        query.get("products", "").split("|"), query.get("state", ""),
    ).encode()  # fmt: skip


ROUTES: dict[str, Callable[[Explorer, Mapping[str, str]], Answer]] = {
    "about": lambda server, _: ("application/json", server.described),
    "day": _day,
    "series": _place(places.series),
    "usual": _place(places.usual),
    "stations": _place(places.stations_near),
    "save": _save,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Explorer

    def do_GET(self) -> None:
        """Answer a request of the page."""
        if self.server.ended:  # over a connection that the browser has kept open
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        _, token, *rest = [*parts.path.split("/", 2), ""]
        if self.headers.get("Host") not in self.server.hosts or not hmac.compare_digest(
            token.encode(), self.server.token.encode()
        ):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"This address lacks the token that xsm view has printed.")
            return
        try:
            nonce = secrets.token_urlsafe(16)
            kind, body = self._answer(rest[0], dict(parse_qsl(parts.query)), nonce)
        except XsmError as error:
            body = _json({"error": error.message, "hint": error.hint or ""})
            self._send(HTTPStatus.BAD_REQUEST, "application/json", body)
        except (KeyError, ValueError) as error:
            self._send(HTTPStatus.BAD_REQUEST, "application/json", _json({"error": f"Not understood: {error}."}))
        except Exception as error:
            log.exception("The explorer could not answer.")
            text = f"{type(error).__name__}: {error}"[:300]
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "application/json", _json({"error": text}))
        else:
            self._send(HTTPStatus.OK, kind, body, nonce)

    def _answer(self, path: str, query: Mapping[str, str], nonce: str) -> Answer:
        if path == "":
            return "text/html", html(SCRIPTS, nonce=nonce).encode()
        if path in ROUTES:
            return ROUTES[path](self.server, query)
        return KINDS[path.rpartition(".")[2]], part(path).encode()

    def _send(self, status: HTTPStatus, kind: str, body: bytes, nonce: str = "") -> None:
        zipped = len(body) >= LEAST_ZIPPED and "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(body, 1) if zipped else body
        with suppress(ConnectionError):  # the page no longer waits
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind != "application/octet-stream" else kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in _HEADERS.items():
                self.send_header(name, value.replace(NONCE, nonce))
            if zipped:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on the terminal."""
        log.debug(format, *args)


_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self' 'nonce-{NONCE}'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=float).encode()
