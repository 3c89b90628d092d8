"""The algorithm 'Check the xsm installation': which interpreter works for QGIS, and whether all is well there."""

from __future__ import annotations

from html import escape

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
)
from qgis.PyQt.QtGui import QIcon

from . import interpreter, settings
from .algorithm import ICON, carry_out, fail, failures_shown, is_cancelled
from .words import tr

REPORT = "REPORT"


class CheckAlgorithm(QgsProcessingAlgorithm):
    """Repeats the handshake with the core and shows its checks; the toolbox then lists the core's operations."""

    def __init__(self, edition):
        super().__init__()
        self.edition, self.changed = edition, False

    def createInstance(self):
        return CheckAlgorithm(self.edition)

    def name(self):
        return "checkinstallation"

    def displayName(self):
        return tr("Check the xsm installation")

    def group(self):
        return tr("Setup")

    def groupId(self):
        return "setup"

    def shortHelpString(self):
        return (
            "<p>Shows which Python environment does the work, checks its versions, coordinate systems and plugins, "
            "and updates the list of algorithms from it.</p>"
        )

    def icon(self):
        return QIcon(ICON)

    def svgIconPath(self):
        return ICON

    def initAlgorithm(self, configuration=None):
        self.addParameter(
            QgsProcessingParameterFileDestination(REPORT, tr("State of the installation"), "HTML (*.html)", None, True)
        )
        self.addOutput(QgsProcessingOutputString("PYTHON", "Interpreter of the xsm environment"))
        self.addOutput(QgsProcessingOutputString("VERSION", "Version of xsm"))

    def processAlgorithm(self, inputs, context, feedback):
        rows = []

        def state(name, text, good=True):
            rows.append((name, text, good))
            (feedback.pushInfo if good else feedback.pushWarning)(f"{name}: {text}")

        state("QGIS", Qgis.QGIS_VERSION)
        state("Plugin", f"for xsm {self.edition['version']}")
        with failures_shown(feedback):
            python = settings.python()
            state("Interpreter", python)
            before = interpreter.remembered(python, settings.folder())
            core = interpreter.check(python, settings.folder(), lambda: is_cancelled(feedback), again=True)
        self.changed = core != before
        same = core["version"] == self.edition["version"]
        hint = "" if same else ": run `xsm qgis install` in its environment and restart QGIS"
        state("xsm", core["version"] + hint, same)
        state("Data sources", ", ".join(core["sources"]))
        state("Models", ", ".join(core["models"]))
        answer = carry_out("check", {}, feedback)
        rows += [(row["name"], row["detail"], row["ok"]) for row in answer.get("checks", [])]
        failed = answer["failed"]
        verdict = f"The installation has problems: {', '.join(failed)}." if failed else "Everything works."
        page = self.parameterAsFileOutput(inputs, REPORT, context)
        if page:
            write(page, verdict, rows)
        if failed:
            fail(verdict)
        feedback.pushInfo(verdict)
        return {"PYTHON": python, "VERSION": core["version"], **({REPORT: page} if page else {})}

    def postProcessAlgorithm(self, context, feedback):
        """Show the operations of the environment, on the main thread; the toolbox folds its groups then."""
        provider = QgsApplication.processingRegistry().providerById("xsm")
        if provider is not None and self.changed:
            provider.refreshAlgorithms()
        return {}


def write(path, verdict, rows):
    """Write the checks as a page for the results viewer."""
    cells = "".join(
        f"<tr><td>{'&#10003;' if good else '<b>&#10007;</b>'}</td><td>{escape(name)}</td><td>{escape(text)}</td></tr>"
        for name, text, good in rows
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>xsm</title></head><body style="font-family: '
            f'sans-serif"><h2>{escape(verdict)}</h2><table cellpadding="4">{cells}</table></body></html>'
        )
