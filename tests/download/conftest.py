"""A server with one good file."""

from __future__ import annotations

import pytest

from tests.web_server import ranged


@pytest.fixture
def server(serve):
    """A server with one good file."""
    http_server = serve()
    http_server.routes["/good.bin"] = ranged()
    return http_server
