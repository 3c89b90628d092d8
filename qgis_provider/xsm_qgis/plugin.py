"""The plugin: adds the provider to Processing and takes it away."""

from __future__ import annotations

from qgis.core import QgsApplication

from .provider import XsmProvider


class XsmPlugin:
    """What QGIS (``initGui``) and qgis_process (``initProcessing``) start."""

    def __init__(self):
        self.provider = None

    def initProcessing(self):
        self.provider = XsmProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        self.initProcessing()

    def unload(self):
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
