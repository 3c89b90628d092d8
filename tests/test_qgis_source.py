"""The source of the QGIS plugin, without QGIS: fit for every version, complete, all kinds of parameters drawn."""

from __future__ import annotations

import ast
import configparser
import re
import sys
import tomllib

import pytest

from xsm import __version__
from xsm.contracts.operation import Kind
from xsm.faces.qgis import plugin_folder

PLUGIN = plugin_folder()
FEATURES = {"regions": "polygons", "points": "places"}
"""Kinds that only the forms have."""
SOURCES = sorted(PLUGIN.glob("*.py"))
STDLIB_ONLY = ("__init__.py", "runner.py", "interpreter.py", "opening.py")
QGIS_ONLY = ("qgis", "processing")


def unfit(text: str, name: str = "algorithm.py") -> list[str]:
    """What would break a module of the plugin in some QGIS: heavy imports, Qt by its version, unscoped enums."""
    tree = ast.parse(text, feature_version=(3, 9))
    misfits = []
    allowed = set(sys.stdlib_module_names) | (set() if name in STDLIB_ONLY else set(QGIS_ONLY))
    outer = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            misfits += [alias.name for alias in node.names if alias.name.split(".")[0] not in allowed]
        elif isinstance(node, ast.ImportFrom):
            if not node.level and node.module.split(".")[0] not in allowed:
                misfits.append(node.module)
            misfits += [alias.name for alias in node.names if alias.name == "QVariant"]
        elif isinstance(node, ast.Call):
            func = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            misfits += [func] if func in ("__import__", "import_module", "exec_") else []
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            enum = re.fullmatch(r"(?!QGIS_)[A-Z]\w*", node.attr) and id(node) not in outer | called
            if enum and (owner == "self" or re.match(r"Qt$|Qgis$|Q[A-Z]|Qgs", owner)):
                misfits.append(f"{owner}.{node.attr}")
    return misfits


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_source_is_python_39_and_fit_for_qt_5_and_6(path):
    assert unfit(path.read_text(encoding="utf-8"), path.name) == []


@pytest.mark.parametrize(
    ("text", "misfit"),
    [
        ("import numpy as np", "numpy"),
        ("def f():\n    import xarray", "xarray"),
        ("from xsm import files", "xsm"),
        ("from osgeo import gdal", "osgeo"),
        ("from PyQt5.QtCore import Qt", "PyQt5.QtCore"),
        ("import PyQt6.QtCore", "PyQt6.QtCore"),
        ("__import__('numpy')", "__import__"),
        ("importlib.import_module('numpy')", "import_module"),
        ("from qgis.PyQt.QtCore import QVariant", "QVariant"),
        ("dialog.exec_()", "exec_"),
        ("f(QgsProcessing.TypeFile)", "QgsProcessing.TypeFile"),
        ("t.toTimeSpec(Qt.UTC)", "Qt.UTC"),
        ("x = Qgis.Warning", "Qgis.Warning"),
        ("x = self.FlagNoThreading", "self.FlagNoThreading"),
        ("f(QgsProcessing.SourceType.TypeFile)", None),
        ("QgsProcessingContext.LayerDetails(1)", None),
        ("Qgis.QGIS_VERSION_INT >= 33800", None),
        ("from qgis.PyQt.QtCore import Qt", None),
        ("from . import runner\nimport os.path", None),
    ],
)
def test_what_is_unfit_is_seen(text, misfit):
    assert unfit(text) == ([] if misfit is None else [misfit])


@pytest.mark.parametrize("text", ["match x:\n    case 1: pass", "def f[T](x: T): pass", "type X = int"])
def test_newer_syntax_is_refused(text):
    with pytest.raises(SyntaxError):
        unfit(text)


@pytest.mark.parametrize("name", STDLIB_ONLY)
def test_import_of_qgis_is_seen_where_there_is_to_be_none(name):
    assert unfit("from qgis.core import Qgis", name) == ["qgis.core"]


def test_metadata_is_complete_and_fits_the_core():
    parser = configparser.ConfigParser()
    parser.read(PLUGIN / "metadata.txt", encoding="utf-8")
    general = parser["general"]
    for key in ("name", "description", "about", "author", "tags", "category", "license"):
        assert general[key].strip(), key
    assert general["version"] == __version__
    assert general["qgisminimumversion"] == "3.22"
    assert general["qgismaximumversion"].startswith("4.")
    assert general["supportsqt6"] == "True"
    assert general["hasprocessingprovider"] == "yes"
    assert (PLUGIN / general["icon"]).is_file()


def test_metadata_names_the_places_of_the_project():
    """What [project.urls] names as Repository and Issues, once there are such places."""
    project = PLUGIN.parents[1] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("needs a checkout of the repository")
    urls = tomllib.loads(project.read_text(encoding="utf-8"))["project"].get("urls", {})
    parser = configparser.ConfigParser()
    parser.read(PLUGIN / "metadata.txt", encoding="utf-8")
    places = {name: parser["general"].get(key) for name, key in (("Repository", "repository"), ("Issues", "tracker"))}
    assert places == {name: urls.get(name) for name in places}


def test_plugin_carries_the_licence_of_the_core():
    licence = PLUGIN.parents[1] / "LICENSE"
    if not licence.is_file():
        pytest.skip("needs a checkout of the repository")
    assert (PLUGIN / "LICENSE").read_text() == licence.read_text()


def test_every_kind_of_parameter_can_be_drawn_and_read():
    tree = ast.parse((PLUGIN / "parameters.py").read_text(encoding="utf-8"))
    tables = {
        node.targets[0].id: {key.value for key in node.value.keys}
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("MAKE", "READ")
    }
    assert tables["MAKE"] == tables["READ"] == {str(kind) for kind in Kind} | set(FEATURES.values())
