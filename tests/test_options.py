"""Options: from Python, from the environment, and wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys

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


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_job_bound_to_one_core_has_one_thread():
    bind = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    code = f"{bind}; from xsm import options; print(options.threads())"
    env = {k: v for k, v in os.environ.items() if k != "XSM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "1"
