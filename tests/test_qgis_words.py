"""The plugin's texts in other languages: complete, with the same places to fill in, and shown by a real QGIS."""

from __future__ import annotations

import ast
import json
import string

import pytest

from tests.qgis_process import inside
from xsm.contracts.registry import operations
from xsm.faces.qgis import plugin_folder

PLUGIN = plugin_folder()
LANGUAGES = sorted(path.stem for path in (PLUGIN / "words").glob("*.json"))


def texts() -> set[str]:
    """Every text that the plugin translates: those in its modules, titles and groups of the algorithms."""
    every = {"Open a product"}
    for path in PLUGIN.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
                every |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    ours = [op for op in operations().values() if op.analyst and op.function.__module__.startswith("xsm.")]
    return every | {op.title for op in ours} | {op.group for op in ours}


def places(text: str) -> list[str | None]:
    return [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_complete(language):
    words = json.loads((PLUGIN / f"words/{language}.json").read_text(encoding="utf-8"))
    assert set(words) == texts()
    assert all(translated.strip() for translated in words.values())
    assert {text: places(text) for text in words} == {text: places(words[text]) for text in words}


SPANISH = """
from xsm_qgis import provider, words
QgsApplication.setLocale(__import__("qgis.PyQt.QtCore", fromlist=["QLocale"]).QLocale(task))
registry = QgsApplication.processingRegistry()
known = provider.XsmProvider()
registry.addProvider(known)
answer = [{a.name(): [a.displayName(), a.group(), a.groupId()] for a in known.algorithms()}, words.tr("Unknown text")]
"""


@pytest.mark.qgis
@pytest.mark.parametrize(("language", "title"), [("es", "Sequía"), ("fr", "Sécheresse"), ("de", "Drought")])
def test_the_toolbox_speaks_the_language_of_qgis(qgis, language, title):
    shown, unknown = inside(qgis, SPANISH, language)
    assert shown["drought"][0] == title
    assert shown["drought"][2] == "series"
    assert unknown == "Unknown text"
