"""Options: from Python, from the environment, and wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import xsm
from xsm import options
from xsm.errors import UsageError
from xsm.options import device, get_option, memory_limit, threads


def test_the_environment_sets_what_python_did_not(monkeypatch):
    monkeypatch.setenv("XSM_DEVICE", "cpu")
    monkeypatch.setenv("XSM_THREADS", "3")
    assert (device(), threads()) == ("cpu", 3)
    with xsm.set_options(threads=1):
        assert threads() == 1
    assert threads() == 3


@pytest.mark.parametrize(("name", "text"), [("threads", "x"), ("threads", "0"), ("device", "gpu"), ("timeout", "-1")])
def test_wrong_variables_are_named(monkeypatch, name, text):
    monkeypatch.setenv(f"XSM_{name.upper()}", text)
    with pytest.raises(UsageError, match=f"XSM_{name.upper()} is '{text}', expected "):
        get_option(name)


@pytest.mark.parametrize(("text", "size"), [("4GB", 4 * 10**9), ("4 GiB", 4 << 30), ("8000000000", 8 * 10**9)])
def test_a_memory_limit_may_have_a_unit(monkeypatch, text, size):
    monkeypatch.setenv("XSM_MEMORY_LIMIT", text)
    assert memory_limit() == size


def test_an_address_without_a_scheme_is_refused():
    with pytest.raises(UsageError, match=r"'scheduler' is '10\.0\.0\.1:8786', expected an address such as tcp://"):
        xsm.set_options(scheduler="10.0.0.1:8786")


V1, V2 = "memory.limit_in_bytes", "memory.max"


@pytest.mark.parametrize(
    ("groups", "limits", "wanted"),
    [
        (
            "0::/system.slice/job_7/step_0",
            {f"system.slice/job_7/{V2}": "3000000", f"system.slice/{V2}": "max"},
            3000000,
        ),
        ("0::/job/step", {f"job/{V2}": "2000000", f"job/step/{V2}": "5000000"}, 2000000),
        ("0::/", {V2: "1000000"}, 1000000),
        ("9:cpuset:/\n4:memory:/slurm/job_7\n0::/", {f"memory/slurm/job_7/{V1}": "4000000"}, 4000000),
        ("4:cpu,memory:/docker/abc", {f"memory/{V1}": "6000000"}, 6000000),  # a container sees its own group at the top
        ("4:memory:/other", {f"memory/{V1}": str(2**63 - 4096), f"memory/mine/{V1}": "7"}, None),
        (None, {V2: "7"}, None),
    ],
)
def test_the_limit_of_a_job_or_container_bounds_the_memory(tmp_path, monkeypatch, groups, limits, wanted):
    for name, text in limits.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    if groups is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(f"{groups}\n")
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else options.UNKNOWN
    assert options.memory(tmp_path) == (wanted or whole)
    monkeypatch.delenv("XSM_MEMORY_LIMIT", raising=False)
    assert memory_limit() == options.memory() // 4 <= whole // 4


def test_unknown_options_are_named():
    with pytest.raises(UsageError, match="Did you mean 'threads'"):
        xsm.set_options(thread=2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_job_bound_to_one_core_has_one_thread():
    bind = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    code = f"{bind}; from xsm import options; print(options.threads())"
    env = {k: v for k, v in os.environ.items() if k != "XSM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "1"
