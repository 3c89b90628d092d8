"""What `check_source` finds: faults planted one by one into a source that keeps its contract."""

from __future__ import annotations

import pytest

from tests.faulty_sources import FAULTS, Sound, write_files
from xsm.contracts.loading import manager
from xsm.testing import check_source


@pytest.fixture
def planted(monkeypatch):
    """Register a class as the source ``planted``."""

    def register(kind, info=Sound.info):
        factory = f"{kind.__module__}:{kind.__name__}"
        described = Sound.info.__class__(**{**vars(info), "factory": factory})
        monkeypatch.setattr(kind, "info", described)
        monkeypatch.setitem(manager().sources, "planted", described)

    return register


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("planted"))


def test_a_sound_source_passes(planted, files):
    planted(Sound)
    check_source("planted", files=files)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, planted, files):
    planted(FAULTS[fault])
    with pytest.raises(AssertionError, match="planted"):
        check_source("planted", files=files)
