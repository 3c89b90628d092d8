"""What is wrong with a plugin is said with its name, the file and the line, and harms nothing else."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, distributions

import pytest

from tests.test_plugins import GOOD
from xsm.contracts import loading
from xsm.contracts.registering import TOOLS
from xsm.errors import MissingPlugin
from xsm.faces import cli, tools

OPERATION = '''
import xarray as xr
from xsm.plugin_api import hookimpl, operation
XSM_PLUGIN_API = 2

@operation(title="Mine", group="Test")
def {name}(ds: xr.Dataset) -> xr.Dataset:
    """Do nothing."""
    return ds

@hookimpl
def xsm_operations(register):
    register({item})
'''
SOUND = GOOD.format(api=2, name="mine")
INFO = 'SourceInfo(name="mine", title="t", factory="nowhere:Nothing", variables=("tb_h",))'
REGISTER = f"register({INFO})"
FAILURES = {
    "forgotten hookimpl": (SOUND.replace("@hookimpl\n", ""), r"xsm_sources lacks @hookimpl \(.*xp_bad\.py, line 5\)"),
    "misspelt hook": (SOUND.replace("def xsm_sources", "def xsm_source"), r"hook 'xsm_source' \(.*xp_bad\.py, line"),
    "syntax": (SOUND + "\ndef f(:\n", r"SyntaxError: .*xp_bad\.py, line \d+"),
    "import": ("import numpy\nimport not_there\n", r"not_there.*xp_bad\.py, line 2\)"),
    "exception in the module": ("x = {}\nx['sm']\n", r"KeyError: 'sm' \(.*xp_bad\.py, line 2\)"),
    "exception in a hook": (SOUND.replace(REGISTER, "1 / 0"), r"ZeroDivisionError: .*xp_bad\.py, line 7\)"),
    "exit": ("import sys\nsys.exit(3)\n", r"SystemExit: 3 \(.*xp_bad\.py, line 2\)"),
    "name with blanks": (SOUND.replace('"mine"', '"My Sensor"'), r"'My Sensor' has a name that cannot be one.*line 7"),
    "no text as a name": (SOUND.replace('"mine"', "None"), r"'None' has a name that cannot be one"),
    "variables as a text": (SOUND.replace('("tb_h",)', '"tb_h"'), r"variables='tb_h', expected a tuple of texts.*tb_h"),
    "factory without a class": (SOUND.replace("nowhere:Nothing", "nowhere"), r"'nowhere', expected .*module:Class"),
    "a class in place of a description": (SOUND.replace(REGISTER, "register(SourceInfo)"), "got SourceInfo, expected"),
    "a missing argument": (SOUND.replace('title="t", ', ""), r"TypeError: .*'title' \(.*line 7\)"),
    "a function in place of its description": (OPERATION.format(name="mine", item="mine"), "got mine, expected"),
    **{f"tool {name}": (OPERATION.format(name=name, item=f"{name}.operation"), f"'{name}' has the name of a tool")
       for name in ("doctor", "plugins", "run")},
}  # fmt: skip


@pytest.mark.parametrize("fault", FAILURES)
def test_a_fault_is_named_with_file_and_line(fault, write_plugin):
    text, reason = FAILURES[fault]
    loaded = loading.load([write_plugin("xp_bad", text), write_plugin("xp_good", GOOD.format(api=2, name="other"))])
    assert loaded.plugins["xp_bad"].status == "failed"
    assert re.search(reason, loaded.plugins["xp_bad"].reason), loaded.plugins["xp_bad"].reason
    assert loaded.plugins["xp_bad"].registers == {}
    assert set(loaded.sources) == {"tiny", "other"}
    assert loaded.operations == {}


@pytest.mark.parametrize("api", ["3", "'2'", "None", "2.5"])
def test_an_unknown_api_is_named_as_it_is_written(api, write_plugin):
    plugin = loading.load([write_plugin("xp_bad", GOOD.format(api=api, name="mine"))]).plugins["xp_bad"]
    assert plugin.status == "incompatible"
    assert f"plugin API {api}, this xsm has 2" in plugin.reason
    assert "xp_bad.py" in plugin.reason


def test_a_missing_api_is_remarked(write_plugin):
    loaded = loading.load([write_plugin("xp_bad", SOUND.replace("XSM_PLUGIN_API = 2\n", ""))])
    assert loaded.plugins["xp_bad"].status == "ok"
    assert "names no XSM_PLUGIN_API, 2 is assumed" in loaded.plugins["xp_bad"].reason
    assert "mine" in loaded.sources


BUSY = "import time\nend = time.thread_time() + 0.15\nwhile time.thread_time() < end: pass\n"


def test_a_slow_import_is_remarked(write_plugin, tmp_path, monkeypatch):
    monkeypatch.setattr("xsm.contracts.registering.SLOW", 0.1)
    (tmp_path / "xp_heavy.py").write_text(BUSY)
    plugin = loading.load([write_plugin("xp_slow", "import xp_heavy\n" + SOUND)]).plugins["xp_slow"]
    assert plugin.status == "ok"
    assert "to import (xp_heavy): import what is heavy" in plugin.reason


def test_nothing_registered_is_remarked(write_plugin):
    assert (
        loading.load([write_plugin("xp_none", "XSM_PLUGIN_API = 2")]).plugins["xp_none"].reason == "registers nothing"
    )


def test_requirements_that_are_not_met_are_named(write_plugin, tmp_path):
    write_plugin("xp_needs", SOUND)
    info = tmp_path / "xp_needs-1.0.dist-info"
    info.mkdir()
    needs = ("numpy>=99", "not-there-at-all", "other-thing; extra == 'more'")
    lines = ["Metadata-Version: 2.1", "Name: xp-needs", "Version: 1.0", *(f"Requires-Dist: {n}" for n in needs)]
    (info / "METADATA").write_text("\n".join(lines))
    (info / "entry_points.txt").write_text("[xsm]\nneeds = xp_needs\n")
    (dist,) = (d for d in distributions(path=[str(tmp_path)]) if d.name == "xp-needs")
    plugin = loading.load(dist.entry_points).plugins["needs"]
    assert plugin.status == "ok"
    assert "needs numpy>=99 (version" in plugin.reason
    assert "not-there-at-all (not installed)" in plugin.reason
    assert "other-thing" not in plugin.reason


def test_a_dotted_requirement_that_is_absent_is_named():
    with pytest.raises(MissingPlugin, match=r"not_there\.at_all"):
        loading.load_factory("json:JSONDecoder", "thing", ["not_there.at_all"])


def test_tools_are_those_of_the_command_line():
    tools.add_to(cli.cli)
    assert set(cli.cli.commands) <= set(TOOLS)


THIRD = SOUND.replace("nowhere:Nothing", "xp_third.reader:Reader").replace(f"register({INFO})", "register(INFO)")
THIRD = THIRD.replace("@hookimpl", f"INFO = {INFO}\n\n@hookimpl".replace("nowhere:Nothing", "xp_third.reader:Reader"))
READER = """
import json
import xp_third

class Reader:
    info = xp_third.INFO

    def identify(self, path):
        return True
"""
FAULTY = {
    "in the plugin": ("    def open(self, request):\n        {}['sm']", "'xp_third' failed: KeyError: 'sm' ("),
    "in a library": (
        "    def open(self, request):\n        json.loads('x')",
        "line 12). hint: Report it to the authors",
    ),
    "no dataset": ("    def open(self, request):\n        return None", "returned a NoneType"),
    "no open": ("    pass", "lacks info, identify or open"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_an_exception_of_a_source_names_its_plugin(fault, write_plugin, tmp_path, monkeypatch, capsys):
    body, expected = FAULTY[fault]
    write_plugin("xp_third.reader", f"{READER}\n{body}\n")
    write_plugin("xp_third.__init__", THIRD)
    loaded = loading.load([EntryPoint("xp_third", "xp_third", "xsm")])
    monkeypatch.setattr("xsm.contracts.registry.manager", lambda: loaded)
    (tmp_path / "a.nc").write_bytes(b"x")
    with pytest.raises(SystemExit) as stop:
        cli.main(["open", "mine", str(tmp_path / "a.nc"), str(tmp_path / "out.nc")])
    printed = " ".join(capsys.readouterr().err.split())
    assert stop.value.code
    assert expected in printed
    assert "bug in xsm" not in printed
