"""`xsm doctor`: one line for each check, and an exit code that shows the result."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from xsm.faces.doctor import checks
from xsm.options import set_options


def doctor(**env):
    command = [sys.executable, "-m", "xsm", "doctor"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})


def test_this_installation_is_well():
    rows = {name: (ok, text) for name, ok, text in checks()}
    assert all(ok for ok, _ in rows.values()), rows
    assert {"PROJ and GDAL agree", "engines", "threads and memory", "cache", "cluster", "this folder"} <= set(rows)
    assert "GB that this process may use" in rows["threads and memory"][1]
    assert "smap" in rows["engines"][1] and "xarray" in rows["versions"][1]


@pytest.mark.parametrize("check", ["PROJ and GDAL agree", "cache"])
def test_what_is_broken_fails(check, tmp_path):
    (tmp_path / "proj.db").write_bytes(b"no database")
    env = {"PROJ_DATA": str(tmp_path), "PROJ_LIB": str(tmp_path)} if "PROJ" in check else {"XSM_CACHE": sys.executable}
    done = doctor(**env)
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert any(check in line for line in failed), done.stdout
    assert "Traceback" not in done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("next: correct ") and check in last and last.endswith("then: xsm doctor")


def test_a_device_that_is_not_there_fails():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with set_options(device="cuda"):
        rows = {name: ok for name, ok, _ in checks()}
    assert not rows["torch and GPU"]


def test_xsm_alone_says_what_to_do_next():
    done = subprocess.run([sys.executable, "-m", "xsm"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr
    from xsm.faces import tools
    from xsm.faces.cli import cli

    tools.add_to(cli)
    named = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  xsm")]
    assert len(named) >= 5 and all(name in cli.list_commands(None) for name in named if not name.startswith("-"))
