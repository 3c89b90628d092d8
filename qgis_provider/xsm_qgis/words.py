"""Texts of the plugin in the language of QGIS; those without a translation stay English."""

from __future__ import annotations

import functools
import json
import os

from qgis.core import QgsApplication

FOLDER = os.path.join(os.path.dirname(__file__), "words")


def tr(text):
    """A text in the language of QGIS."""
    return catalogue(QgsApplication.locale()[:2]).get(text, text)


@functools.cache
def catalogue(language):
    """Translations of a language by their English text; empty for English and languages without a file."""
    path = os.path.join(FOLDER, f"{language}.json")
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)
