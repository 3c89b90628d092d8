from __future__ import annotations

from pathlib import Path

import pytest
from nldas_files import hourly


@pytest.fixture(scope="module")
def two_days(tmp_path_factory) -> list[Path]:
    return hourly(tmp_path_factory.mktemp("nldas"), "2018-03-01", 48)
