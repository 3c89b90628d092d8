"""A year and a spring of the synthetic world."""

from __future__ import annotations

import pytest

from xsm.twin import default_grid, make_world


@pytest.fixture(scope="package")
def year():
    return make_world(default_grid(32), slice("2021-01-01", "2021-12-31"), seed=0)


@pytest.fixture(scope="package")
def spring():
    return make_world(default_grid(24), 20, seed=3)
