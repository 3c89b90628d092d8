"""What `check_model` finds: faults planted one by one into a model that keeps its contract."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import faulty_models
from tests.faulty_models import FAULTS, Sound
from xsm.contracts.loading import manager
from xsm.testing import check_model


@pytest.fixture
def planted(monkeypatch):
    """Register a class as the model ``planted``."""

    def register(kind):
        described = replace(Sound.info, factory=f"{kind.__module__}:{kind.__name__}")
        monkeypatch.setattr(kind, "info", described)
        monkeypatch.setattr(faulty_models, "GLOBAL", {})
        monkeypatch.setitem(manager().models, "planted", described)

    return register


def test_a_sound_model_passes(planted, tmp_path):
    planted(Sound)
    check_model("planted", tmp=tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, planted):
    planted(FAULTS[fault])
    with pytest.raises(AssertionError, match=FAULTS[fault].finds):
        check_model("planted")
