"""The algorithm 'Check the xsm installation': which interpreter works for QGIS, and whether all is well there."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingOutputString,
)
from qgis.PyQt.QtGui import QIcon

from . import interpreter, settings
from .algorithm import ICON, carry_out, fail, failures_shown, is_cancelled


class CheckAlgorithm(QgsProcessingAlgorithm):
    """Repeats the handshake with the core and shows its checks; the toolbox then lists the core's operations."""

    def __init__(self, edition):
        super().__init__()
        self.edition = edition

    def createInstance(self):
        return CheckAlgorithm(self.edition)

    def name(self):
        return "checkinstallation"

    def displayName(self):
        return "Check the xsm installation"

    def group(self):
        return "Setup"

    def groupId(self):
        return "setup"

    def shortHelpString(self):
        return (
            "<p>Shows which Python environment does the work, checks its versions, coordinate systems and plugins, "
            "and updates the list of algorithms from it.</p>"
        )

    def icon(self):
        return QIcon(ICON)

    def initAlgorithm(self, configuration=None):
        self.addOutput(QgsProcessingOutputString("PYTHON", "Interpreter of the xsm environment"))
        self.addOutput(QgsProcessingOutputString("VERSION", "Version of xsm"))

    def processAlgorithm(self, inputs, context, feedback):
        feedback.pushInfo(f"QGIS {Qgis.QGIS_VERSION}, plugin for xsm {self.edition['version']}")
        with failures_shown(feedback):
            python = settings.python()
            feedback.pushInfo(f"Interpreter: {python}")
            core = interpreter.check(python, settings.folder(), lambda: is_cancelled(feedback), again=True)
        if core["version"] != self.edition["version"]:
            feedback.pushWarning(f"The environment has xsm {core['version']}: run `xsm qgis install` in it.")
        feedback.pushInfo(f"Data sources: {', '.join(core['sources'])}")
        feedback.pushInfo(f"Models: {', '.join(core['models'])}")
        failed = carry_out("check", {}, feedback)["failed"]
        if failed:
            fail(f"The installation has problems: {', '.join(failed)}.")
        feedback.pushInfo("Everything works.")
        return {"PYTHON": python, "VERSION": core["version"]}

    def postProcessAlgorithm(self, context, feedback):
        """Show the operations of the environment, on the main thread."""
        provider = QgsApplication.processingRegistry().providerById("xsm")
        if provider is not None:
            provider.refreshAlgorithms()
        return {}
