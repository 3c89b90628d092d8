"""Options: from Python, from the environment, and wrong ones."""

from __future__ import annotations

import pytest

import xsm
from xsm.errors import UsageError
from xsm.options import device, get_option, threads


def test_the_environment_gives_what_python_did_not(monkeypatch):
    monkeypatch.setenv("XSM_DEVICE", "cpu")
    monkeypatch.setenv("XSM_THREADS", "3")
    assert (device(), threads()) == ("cpu", 3)
    with xsm.set_options(threads=1):
        assert threads() == 1
    assert threads() == 3


@pytest.mark.parametrize(("name", "text"), [("threads", "x"), ("threads", "0"), ("device", "gpu"), ("timeout", "-1")])
def test_wrong_variables_are_named(monkeypatch, name, text):
    monkeypatch.setenv(f"XSM_{name.upper()}", text)
    with pytest.raises(UsageError, match=f"XSM_{name.upper()} is '{text}'"):
        get_option(name)


def test_unknown_options_are_told():
    with pytest.raises(UsageError, match="Did you mean 'threads'"):
        xsm.set_options(thread=2)
