"""Connections on which an answer begins within the time limit: a server that drips its head would hold one for ever."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from contextlib import suppress
from typing import Any

import requests
import urllib3

LONGEST = 300.0
"""Seconds, where a connection has no limit of its own."""
logging.getLogger("urllib3.connection").addFilter(lambda record: "(url=" not in str(record.msg))  # with signatures


class _Dated:
    """A connection on which the head of an answer must be complete within the time limit, however it drips in."""

    sock: Any
    timeout: Any

    def getresponse(self) -> Any:
        """Read the head of an answer."""
        late = threading.Event()
        timer = threading.Timer(self.timeout or LONGEST, cut, (late, self.sock))
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()  # type: ignore[misc]
        except (OSError, ValueError, http.client.HTTPException):
            if late.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
        if late.is_set():  # a head that ends early passes for a whole one
            raise TimeoutError
        return response


class _Connection(_Dated, urllib3.connection.HTTPConnection):
    pass


class _SafeConnection(_Dated, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SafePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SafeConnection


class Adapter(requests.adapters.HTTPAdapter):
    """Makes connections whose answers have a time limit."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections to servers."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SafePool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make connections through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SafePool}
        return manager


def cut(late: threading.Event, place: Any) -> None:
    """End a connection or an answer that is late."""
    late.set()
    with suppress(OSError, ValueError, RuntimeError):
        place.shutdown(*[socket.SHUT_RDWR] * isinstance(place, socket.socket))
