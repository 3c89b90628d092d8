"""The plugin: adds the provider to Processing and takes it away."""

from __future__ import annotations

import os

from qgis.core import Qgis, QgsApplication, QgsMessageLog

from .provider import XsmProvider


class XsmPlugin:
    """What QGIS (``initGui``) and qgis_process (``initProcessing``) start."""

    def __init__(self):
        self.provider = None

    def initProcessing(self):
        registry = QgsApplication.processingRegistry()
        if registry.providerById("xsm") is None:
            self.provider = XsmProvider()
            registry.addProvider(self.provider)
        elif self.provider is None:
            told = (
                f"The toolbox XSM comes from another copy of the plugin; that in {os.path.dirname(__file__)} is idle."
            )
            QgsMessageLog.logMessage(f"{told} Remove one of them.", "XSM", Qgis.MessageLevel.Warning)

    def initGui(self):
        self.initProcessing()

    def unload(self):
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
