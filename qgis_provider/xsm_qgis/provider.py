"""The provider ``xsm``: one algorithm for each operation of the description."""

from __future__ import annotations

import json
import os

from qgis.core import Qgis, QgsMessageLog, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import interpreter, opening, settings
from .algorithm import ICON, CoreAlgorithm
from .check import CheckAlgorithm
from .runner import PROTOCOL, CoreError
from .words import tr

BUNDLED = os.path.join(os.path.dirname(__file__), "operations.json")


class XsmProvider(QgsProcessingProvider):
    """The toolbox XSM: complete before any interpreter is known; starts no process when QGIS starts."""

    def id(self):
        return "xsm"

    def name(self):
        return "XSM"

    def longName(self):
        return tr("XSM (soil moisture)")

    def versionInfo(self):
        return description()["version"]

    def icon(self):
        return QIcon(ICON)

    def svgIconPath(self):
        return ICON

    def supportsNonFileBasedOutput(self):
        return False

    def supportedOutputRasterLayerExtensions(self):
        return ["nc", "tif", "tiff", "zarr", "csv"]

    def defaultRasterFileExtension(self):
        return "nc"

    def load(self):
        settings.add(self.name(), self.icon())
        self.refreshAlgorithms()
        return True

    def unload(self):
        settings.remove()

    def loadAlgorithms(self):
        described = description()
        edition = {"version": described["version"], "digest": described["digest"]}
        self.addAlgorithm(CheckAlgorithm(edition))
        for operation in opening.operations(described):
            if not operation["analyst"]:
                continue
            try:
                self.addAlgorithm(CoreAlgorithm(operation, edition))
            except Exception as error:
                text = f"The operation {operation.get('id')} cannot be shown: {error}"
                QgsMessageLog.logMessage(text, "XSM", Qgis.MessageLevel.Critical)


def description():
    """Operations that the last handshake with the current interpreter reported, else those shipped with the plugin."""
    try:
        known = interpreter.remembered(settings.python(), settings.folder())
    except CoreError:
        known = None
    if known is not None and known.get("protocol") == PROTOCOL:
        return known
    with open(BUNDLED, encoding="utf-8") as file:
        return json.load(file)
