"""The algorithm 'Check the xsm installation': which interpreter is used, what is installed there, does it work."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingOutputString,
)
from qgis.PyQt.QtGui import QIcon

from . import interpreter, settings
from .algorithm import ICON, carry_out, fail, is_cancelled, told


class CheckAlgorithm(QgsProcessingAlgorithm):
    """Shakes hands with the core anew and shows its checks; the toolbox then follows its operations."""

    def __init__(self, made):
        super().__init__()
        self.made = made

    def createInstance(self):
        return CheckAlgorithm(self.made)

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
            "<p>Shows which Python environment does the work, checks versions, coordinate systems and plugins in it, "
            "and renews the list of algorithms from it.</p>"
        )

    def icon(self):
        return QIcon(ICON)

    def initAlgorithm(self, configuration=None):
        self.addOutput(QgsProcessingOutputString("PYTHON", "Interpreter of the xsm environment"))
        self.addOutput(QgsProcessingOutputString("VERSION", "Version of xsm"))

    def processAlgorithm(self, given, context, feedback):
        feedback.pushInfo(f"QGIS {Qgis.QGIS_VERSION}, plugin for xsm {self.made['version']}")
        with told(feedback):
            python = settings.python()
            feedback.pushInfo(f"Interpreter: {python}")
            found = interpreter.check(python, settings.folder(), lambda: is_cancelled(feedback), again=True)
        if found["version"] != self.made["version"]:
            feedback.pushWarning(f"The environment has xsm {found['version']}: run `xsm qgis install` in it.")
        feedback.pushInfo(f"Data sources: {', '.join(found['sources'])}")
        feedback.pushInfo(f"Models: {', '.join(found['models'])}")
        failed = carry_out("check", {}, feedback)["failed"]
        if failed:
            fail(f"The installation has problems: {', '.join(failed)}.")
        feedback.pushInfo("Everything is well.")
        return {"PYTHON": python, "VERSION": found["version"]}

    def postProcessAlgorithm(self, context, feedback):
        """Show the operations of the environment, on the main thread."""
        provider = QgsApplication.processingRegistry().providerById("xsm")
        if provider is not None:
            provider.refreshAlgorithms()
        return {}
