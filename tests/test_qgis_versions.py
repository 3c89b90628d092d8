"""QGIS plugin and core of different versions: one sentence with `xsm qgis install`, whichever is older."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xsm import __version__
from xsm.faces.qgis import plugin_folder
from xsm.faces.worker import PROTOCOL

ORIGIN = "6b8f2a3"
"""Last commit with a plugin of protocol 1, which starts ``python -m xsm.worker``."""


def modules(package):
    """Runner and interpreter of a plugin."""
    return [importlib.import_module(f"{package}.{name}") for name in ("runner", "interpreter")]


@pytest.fixture(scope="module")
def present():
    """Runner and interpreter of the plugin of this tree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(plugin_folder().parent))
        yield modules("xsm_qgis")


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """Runner and interpreter of the plugin of protocol 1, from the history of the repository."""
    folder = tmp_path_factory.mktemp("older") / "older_qgis"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name in ("runner.py", "interpreter.py"):
        argv = ["git", "show", f"{ORIGIN}:qgis_provider/xsm_qgis/{name}"]
        shown = subprocess.run(argv, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        if shown.returncode:
            pytest.skip("needs a checkout of the repository with its history")
        (folder / name).write_text(shown.stdout)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder.parent))
        yield modules("older_qgis")


@pytest.mark.parametrize("verb", ["describe", "run", "check"])
def test_an_older_plugin_asks_to_be_installed_again(older, tmp_path, verb):
    runner, interpreter = older
    with pytest.raises(runner.CoreError) as error:
        if verb == "describe":
            interpreter.check(sys.executable, tmp_path)
        else:
            runner.run(runner.worker(sys.executable, verb), {}, print, lambda: False)
    assert str(error.value) == (
        f"This plugin speaks protocol 1, xsm {__version__} speaks {PROTOCOL}. "
        "Run `xsm qgis install` in the environment of the newer xsm."
    )


OLDER_CORE = """#!/bin/sh
echo "error: Unknown command 'worker'." >&2
echo "hint: Known: cube, demo, doctor." >&2
exit 2
"""


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the interpreter")
@pytest.mark.parametrize("verb", ["describe", "run", "check"])
def test_a_plugin_asks_to_update_an_older_core(present, tmp_path, verb):
    """A core of protocol 1 does not know the command ``worker``."""
    runner, interpreter = present
    python = tmp_path / "python"
    python.write_text(OLDER_CORE)
    python.chmod(0o755)
    with pytest.raises(runner.OtherVersion) as error:
        if verb == "describe":
            interpreter.check(str(python), tmp_path)
        else:
            runner.run(runner.worker(str(python), verb), {}, print, lambda: False)
    assert str(error.value) == (
        "This plugin is newer than xsm in the Python environment. "
        "Update xsm there, run `xsm qgis install` and restart QGIS."
    )


def test_the_command_line_of_the_worker_does_not_change(present):
    """Plugins of all versions from protocol 2 on start the worker in this way."""
    assert present[0].worker("python", "run") == ["python", "-I", "-X", "utf8", "-m", "xsm", "worker", "run"]
