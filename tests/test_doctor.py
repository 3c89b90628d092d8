"""`xsm doctor`: one line for each check, and an exit code that shows the result."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from xsm.faces.cli import SECTIONS, cli
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
    assert "checks failed" in done.stdout.splitlines()[-1]


def test_every_command_stands_in_a_section_of_the_help():
    done = subprocess.run([sys.executable, "-m", "xsm", "--help"], capture_output=True, text=True, check=True)
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    with click.Context(cli) as ctx:
        assert set(cli.list_commands(ctx)) <= set(listed)
    for tool in (*SECTIONS["Studies"][:3], "inspect", "doctor"):
        assert listed.count(tool) == 1
    assert "First steps" in done.stdout


def test_a_device_that_is_not_there_fails():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with set_options(device="cuda"):
        rows = {name: ok for name, ok, _ in checks()}
    assert not rows["torch and GPU"]
