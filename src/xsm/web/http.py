"""HTTP for unreliable servers: credentials that no third host sees, retries, one sentence for each way to fail.

requests speaks the protocol. Added here are log-ins whose credentials stay with their host, back-off that also covers a
body that is cut short, and a check of the first bytes, so that no log-in page is saved as data.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
import urllib3

from xsm._version import __version__
from xsm.data.first_bytes import WEB_PAGE, kind_of
from xsm.errors import FetchError
from xsm.options import get_option
from xsm.web.connection import Adapter, cut
from xsm.web.login import Keys
from xsm.web.manifest import host as host_of
from xsm.web.manifest import plain

log = logging.getLogger("xsm")
T = TypeVar("T")

DEFAULTS = {"workers": 4, "retries": 5, "timeout": 60}
CONNECT = 15
"""Seconds within which a connection must be made."""
BACKOFF, LONGEST = 1.0, 300.0
"""Seconds before the first retry, doubled for each further one; and the longest pause that a server may ask for."""
STALL = 5
"""A transfer is cut when no block has come for so many times the option ``timeout``: a server may drip for ever."""
REDIRECTS = 12
BLOCK, LISTING = 2**16, 2**26
LISTED = "Check the connection; no file was requested yet."
"""Hint where the list of files fails, which a dry run needs too."""
UNSURE = "unsure"
"""Tag of a part whose server sends nothing by which two versions of the file can be distinguished."""
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses that may be temporary."""


class OneFile(FetchError):
    """A failure that concerns one file; the others are still fetched."""


class Again(Exception):
    """A failure that may be temporary: its reason, and the seconds that the server asks to wait."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.wait = reason, wait


class Stopped(Exception):
    """The download was stopped, by a failure elsewhere or by the user."""


class Session(requests.Session):
    """A session that signs with its `Keys` alone: no netrc for other hosts, nothing carried over by a redirect."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self.keys = self.auth = keys
        self.max_redirects = REDIRECTS
        self.headers.update({"User-Agent": f"xsm/{__version__}", "Accept-Encoding": "identity"})
        for scheme in ("https://", "http://"):
            self.mount(scheme, Adapter(pool_maxsize=option("workers")))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request with time limits."""
        return super().request(*args, **{"timeout": (CONNECT, option("timeout")), **kwargs})

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Sign a redirected request again, for its new host and port."""
        prepared_request.headers.pop("Authorization", None)
        prepared_request.prepare_auth(self.keys)


def option(name: str) -> Any:
    """Value of an option of downloads."""
    value = get_option(name)
    return DEFAULTS[name] if value is None else value


def read_url(url: str, *, magic: tuple[bytes, ...] = ()) -> bytes:
    """Read a short text from the web, such as a listing or a table of stations, with the retries of downloads.

    Parameters
    ----------
    url : str
        http(s) address that needs no log-in.
    magic : tuple of bytes
        Possible beginnings of the text; a web page is refused unless ``b"<"`` is among them.

    Returns
    -------
    bytes

    Raises
    ------
    FetchError
        If the text cannot be had; says what the server answered.

    Examples
    --------
    >>> read_url("https://example.org/stations.csv")  # doctest: +SKIP
    """
    name = plain(url)
    with Session(Keys()) as session:

        def read() -> bytes:
            with get(session, url, name) as response, _within(STALL * option("timeout"), response):
                text = b""
                for block in response.iter_content(BLOCK):
                    text += block
                    if len(text) > LISTING:
                        raise FetchError(f"'{name}' is longer than {LISTING} bytes, expected a listing.")
                check_start(text, magic, name, response, session.keys)
                return text

        return persist(read, name, threading.Event())


@contextmanager
def _within(seconds: float, response: requests.Response) -> Iterator[None]:
    """Cut an answer that is not whole after so many seconds."""
    late = threading.Event()
    timer = threading.Timer(seconds, cut, (late, response.raw))
    timer.daemon = True
    timer.start()
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError):
        if late.is_set():
            raise Again(f"{host_of(response.url)} did not send all within {seconds:g} s") from None
        raise
    finally:
        timer.cancel()


@contextmanager
def get(session: Session, url: str, name: str, headers: Mapping[str, str] | None = None) -> Iterator[requests.Response]:
    """Request a file; yields the response (200, 206 or 416), its body not yet read."""
    try:
        response = session.get(url, headers=headers, stream=True)
    except requests.RequestException:
        raise
    except (urllib3.exceptions.HTTPError, ValueError):
        raise Again(f"{host_of(url)} sent an answer that is not valid HTTP") from None
    with response:
        if response.status_code not in (200, 206, 416):
            raise _refusal(response, name, session.keys)
        yield response


def persist(
    work: Callable[[], T], name: str, stop: threading.Event, done: Callable[[], int] = lambda: 0, hint: str = LISTED
) -> T:
    """Do network work, and repeat it after failures that may be temporary, with growing pauses.

    Only failures in a row count: after one that got further (``done`` says how far) the count begins again.
    """
    attempt, before = -1, done()
    while True:
        attempt += 1
        try:
            return work()
        except Again as error:
            reason, wait = error.reason, error.wait
        except requests.TooManyRedirects:
            raise FetchError(
                f"'{name}': more than {REDIRECTS} redirects.",
                hint="A log-in may have failed: open the address in a browser.",
            ) from None
        except (requests.exceptions.SSLError, requests.exceptions.InvalidSchema) as error:
            raise FetchError(
                f"'{name}': {_reason(error)}.", hint="Check the address, and the date of this machine."
            ) from None
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            reason, wait = _reason(error), None
        except requests.RequestException as error:
            raise FetchError(f"'{name}': {type(error).__name__}.", hint="Check the address.") from None
        if stop.is_set():
            raise Stopped
        if (now := done()) > before:
            attempt, before = 0, now
        if attempt >= option("retries"):
            often = f", {attempt + 1} times" if attempt else ""
            raise FetchError(f"'{name}': {reason}{often}.", hint=hint)
        pause = BACKOFF * 2**attempt * random.uniform(0.5, 1.5) if wait is None else wait
        if pause > LONGEST:
            raise FetchError(
                f"'{name}': {reason} and asks for a pause of {pause:.0f} s.", hint="Run again after that to continue."
            )
        log.info("%s: %s; again in %.1f s", name, reason, pause)
        if stop.wait(pause):
            raise Stopped


def check_start(head: bytes, magic: tuple[bytes, ...], name: str, response: requests.Response, keys: Keys) -> None:
    """Refuse a body that does not start as its format does, above all a web page sent with status 200."""
    if magic and head.startswith(magic):
        return
    host = host_of(response.url)
    if kind_of(head[:2048]) == WEB_PAGE:
        title = re.search(rb"<title[^>]*>([^<]{1,80})", head[:2048], re.IGNORECASE)
        heading = f" ('{_printable(title[1])}')" if title else ""
        if keys.is_login(response.url):
            raise keys.refused(f"'{name}': {host} sent a log-in page{heading}", approve="approve" in response.url)
        raise FetchError(
            f"'{name}': {host} sent a web page{heading} instead of the file.",
            hint=f"It may be a log-in, a proxy or a notice: open {plain(response.url)} in a browser.",
        )
    if magic:
        raise OneFile(
            f"'{name}': {host} sent something that starts with '{_printable(head[:60])}', expected {magic[0]!r}.",
            hint="The provider may have changed the format, or have a fault.",
        )


def total(response: requests.Response) -> int | None:
    """Length of the complete file, where the server sends it."""
    if response.status_code == 206:
        text = response.headers.get("Content-Range", "").rpartition("/")[2]
    elif response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    else:
        text = response.headers.get("Content-Length", "")
    return _number(text)


def has_end(response: requests.Response) -> bool:
    """Whether a body that is cut short can be distinguished from a complete one."""
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "")
    return chunked or _number(response.headers.get("Content-Length", "")) is not None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def start(response: requests.Response) -> int | None:
    """Byte at which a partial answer begins."""
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def tag(response: requests.Response, total: int | None) -> str:
    """Short hash of what identifies a version of the provider's file; `UNSURE` where nothing does."""
    etag = response.headers.get("ETag", "")
    state = response.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    if not state:
        return UNSURE
    return hashlib.sha256(f"{state} {total}".encode()).hexdigest()[:8]


def checksum_in(response: requests.Response) -> str | None:
    """The MD5 that Google's storage sends with a file."""
    match = re.search(r"md5=([A-Za-z0-9+/]{22}==)", response.headers.get("x-goog-hash", ""))
    return f"md5:{base64.b64decode(match[1]).hex()}" if match else None


def _refusal(response: requests.Response, name: str, keys: Keys) -> Exception:
    status, host = response.status_code, host_of(response.url)
    answer = f"'{name}': {host} answers {status} {_printable(response.reason or '')}".rstrip()
    if status in PASSING:
        return Again(f"{host} answers {status}", _retry_after(response))
    if keys.login is not None and (keys.is_login(response.url) or status in (401, 403)):
        return keys.refused(answer, approve=status == 403)
    match status:
        case 401:
            return FetchError(f"{answer}.", hint="It requires a log-in, which xsm does not support for this provider.")
        case 403:
            return FetchError(f"{answer}.", hint="The file may have been removed, or the provider blocks this machine.")
        case 404 | 410:
            return OneFile(f"{answer}.", hint="The file is not there, or no longer: check the period and the region.")
    return FetchError(f"{answer}.", hint=f"Open {plain(response.url)} in a browser.")


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not trusted"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "redirected to an address that is not http(s)"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT} s"
    if isinstance(error, requests.Timeout) or isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return f"nothing came for {option('timeout'):g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer was cut"
    return "no connection, or it was closed"


def _printable(text: str | bytes) -> str:
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    return "".join(c if c.isprintable() and c.isascii() else " " for c in text).strip()
