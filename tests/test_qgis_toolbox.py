"""The toolbox in a real QGIS: it shows what the environment has, also after installing alone."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.qgis_process import QgisProcess, environment, inside
from xsm.contracts.registry import operations, sources
from xsm.faces.qgis import install
from xsm.io import files

pytestmark = pytest.mark.qgis


def ids() -> set[str]:
    """Algorithms that QGIS is to list."""
    names = {op.id for op in operations().values() if op.analyst} | {f"open_{name}" for name in sources()}
    return {f"xsm:{name.replace('_', '')}" for name in names} | {"xsm:checkinstallation"}


def algorithms(process: QgisProcess) -> dict:
    """What a QGIS lists of xsm."""
    done = process("--json", "list")
    return json.loads(done.stdout[done.stdout.index("{") :])["providers"]["xsm"]["algorithms"]


def test_toolbox_follows_the_environment(checked):
    """After the check of the installation every operation and every source has its algorithm."""
    listed = algorithms(checked)
    assert set(listed) == ids()
    for op in operations().values():
        if op.analyst:
            algorithm = listed[f"xsm:{op.id.replace('_', '')}"]
            assert (algorithm["name"], algorithm["group"]) == (op.title, op.group)
    assert listed["xsm:opennldas"]["group"] == "Open a product"


STRANGER = """
from typing import Annotated
import xarray as xr
import xsm

@xsm.plugin_api.operation(title="Wetness of a stranger", group="Strange")
def wetness(ds: xr.Dataset, *, share: Annotated[float, xsm.plugin_api.Param("Share of wetness.")] = 0.5) -> xr.Dataset:
    "Give a share of all values."
    return ds * share

@xsm.plugin_api.hookimpl
def xsm_operations(register):
    register(wetness.operation)

@xsm.plugin_api.hookimpl
def xsm_sources(register):
    depth = xsm.plugin_api.Param("Depth of the sensor.", name="depth", kind=xsm.plugin_api.Kind.INTEGER, default=5)
    register(xsm.plugin_api.SourceInfo("stranger", "Stranger's files (*.strange)", "stranger:Source", options=(depth,)))
"""
POINTED = """#!/bin/sh
exec {python} -I -c 'import sys
sys.path.insert(0, "{folder}")
from xsm.faces.worker import main
sys.exit(main(sys.argv[-1:]))' "$@"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the interpreter")
def test_what_plugins_bring_appears_and_runs(qgis, soil, tmp_path):
    """An environment with somebody else's plugin: its operation and its source have forms after the check."""
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[xsm]\nstranger = stranger\n")
    (tmp_path / "stranger.py").write_text(STRANGER)
    python = tmp_path / "python"
    python.write_text(POINTED.format(python=sys.executable, folder=tmp_path))
    python.chmod(0o755)
    (tmp_path / "profile").mkdir()
    other = replace(qgis, env=environment(tmp_path / "profile") | {"XSM_PYTHON": str(python)})
    other.results("xsm:checkinstallation")
    listed = algorithms(other)
    assert listed["xsm:wetness"] == listed["xsm:wetness"] | {"name": "Wetness of a stranger", "group": "Strange"}
    assert listed["xsm:openstranger"]["name"] == "Open Stranger's files"
    other.results("xsm:wetness", DS=soil, SHARE=0.25, OUTPUT=tmp_path / "out.nc")
    np.testing.assert_array_equal(files.read(tmp_path / "out.nc")["clay"], 0.25 * files.read(soil)["clay"])


TWICE = """
from xsm_qgis import opening, plugin, provider
from qgis.core import QgsProcessingRegistry
registry, messages = QgsApplication.processingRegistry(), []
QgsApplication.messageLog().messageReceived.connect(lambda text, *_: messages.append(text))
first, second = plugin.XsmPlugin(), plugin.XsmPlugin()
first.initProcessing()
first.initProcessing()
quiet = list(messages)
second.initProcessing()
second.unload()
known = registry.providerById("xsm")
names = [a.name() for a in known.algorithms()]
described = provider.description()
described["operations"] += [{**op, "title": "Another"} for op in described["operations"]]
provider.description = lambda: described
known.refreshAlgorithms()
again = [a.name() for a in known.algorithms() if a.displayName() != "Another"]
first.unload()
answer = [quiet, messages, sorted(names), sorted(again), registry.providerById("xsm") is None]
"""


def test_neither_toolbox_nor_algorithm_is_there_twice(checked):
    """Two copies of the plugin, as from the store and from a checkout; operations of one name."""
    quiet, messages, names, again, gone = inside(checked, TWICE)
    assert not [text for text in quiet if "copy" in text]
    assert [text for text in messages if "comes from another copy of the plugin" in text]
    assert {f"xsm:{name}" for name in names} == ids()
    assert again == names
    assert gone


def test_installed_plugin_needs_nothing_else(qgis, soil, tmp_path, monkeypatch):
    """`xsm qgis install` alone, in a profile where nothing points at plugin or interpreter."""
    monkeypatch.setenv("QGIS_CUSTOM_CONFIG_PATH", str(tmp_path))
    install("default", "3")
    env = {n: v for n, v in qgis.env.items() if n not in ("XSM_PYTHON", "QGIS_PLUGINPATH")}
    installed = replace(qgis, env=env | {"QGIS_CUSTOM_CONFIG_PATH": str(tmp_path)})
    installed("plugins", "enable", "xsm_qgis")
    assert set(algorithms(installed)) == ids()
    installed.results("xsm:texture", DS=soil, OUTPUT=tmp_path / "out.nc")
    (tmp_path / "profiles/default/xsm/python.json").unlink()
    bundled = algorithms(installed)
    assert "xsm:estimate" in bundled, "the toolbox is complete before an interpreter is known"
    assert "xsm:opensmap" not in bundled
    done = installed.run("xsm:texture", DS=soil, OUTPUT=tmp_path / "again.nc")
    assert done.returncode == 1
    assert "xsm is not set up" in done.stderr
