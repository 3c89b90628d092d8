"""The plugin: adds the provider to Processing, a dock, a form and drops to the window, and takes them away."""

from __future__ import annotations

import os

from qgis.core import Qgis, QgsApplication, QgsMessageLog
from qgis.utils import iface as window

from . import playing
from .provider import XsmProvider


class XsmPlugin:
    """Started by QGIS (``initGui``) and qgis_process (``initProcessing``)."""

    def __init__(self):
        self.provider = self.desk = None

    def initProcessing(self):
        registry = QgsApplication.processingRegistry()
        if registry.providerById("xsm") is None:
            self.provider = XsmProvider()
            registry.addProvider(self.provider)
        elif self.provider is None:
            folder = os.path.dirname(__file__)
            text = f"The toolbox XSM comes from another copy of the plugin; the one in {folder} is idle. Remove one."
            QgsMessageLog.logMessage(text, "XSM", Qgis.MessageLevel.Warning)

    def initGui(self):
        self.initProcessing()
        if self.provider is not None:
            from .desk import Desk

            playing.start()
            self.desk = Desk(window)

    def unload(self):
        if self.provider is not None:
            self.desk.close() if self.desk else None
            playing.stop()
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = self.desk = None
