"""One generic algorithm for every operation of a description; the core does the work in its own process."""

from __future__ import annotations

import contextlib
import difflib
import os
from html import escape

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsMessageLog,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingOutputRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon
from qgis.utils import iface

from . import interpreter, manual, opening, parameters, points, runner, settings, styling
from .words import tr

ICON = os.path.join(os.path.dirname(__file__), "icon.svg")
SHOWN_LINES = 200
FILES = "FILES"
"""All files of a result; a GeoTIFF has one for each variable."""
MAP = "MAP"
"""The first map of a result, for steps of other providers: they cannot open a file of several variables."""


class CoreAlgorithm(QgsProcessingAlgorithm):
    """An operation of the core.

    Parameters
    ----------
    operation : dict
        One of the ``operations`` of a description.
    edition : dict
        ``version`` and ``digest`` of that description.
    """

    def __init__(self, operation, edition):
        super().__init__()
        self.operation, self.edition = operation, edition
        self.request, self.layers, self.points = {}, [], {}

    def createInstance(self):
        return CoreAlgorithm(self.operation, self.edition)

    def name(self):
        return self.operation["id"].replace("_", "")

    def displayName(self):
        source = self.operation.get("source")
        return tr("Open {}").format(source["title"]) if source else tr(self.operation["title"])

    def group(self):
        return tr(self.operation["group"])

    def groupId(self):
        return "".join(c for c in self.operation["group"].lower() if c.isalnum())

    def shortDescription(self):
        return self.operation["summary"]

    def shortHelpString(self):
        items = "".join(
            f"<li><b>{escape(p['label'])}</b>: {escape(parameters.help_of(p))}</li>"
            for p in self.operation["params"]
            if p["help"]
        )
        return f"<p>{escape(self.operation['summary'])}</p><ul>{items}</ul>"

    def helpUrl(self):
        """Address of the page of help, which QGIS opens for the button Help; nobody reads it under qgis_process."""
        if iface is None:
            return ""
        try:
            return manual.url(self.operation, self.id(), os.path.join(settings.folder(), "help"))
        except OSError:
            return ""

    def tags(self):
        return ["soil moisture", "xsm", self.operation["id"]]

    def icon(self):
        return QIcon(ICON)

    def svgIconPath(self):
        return ICON

    def initAlgorithm(self, configuration=None):
        for param in self.operation["params"]:
            for definition in parameters.make(param, self.operation["result"]):
                self.addParameter(definition)
        target = parameters.destination(self.operation)
        if target is not None:
            self.addParameter(target)
        if self.operation["result"] == "dataset":
            self.addOutput(QgsProcessingOutputMultipleLayers(FILES, tr("All files written")))
            self.addOutput(QgsProcessingOutputRasterLayer(MAP, tr("First map of the result")))

    def canExecute(self):
        try:
            settings.python()
        except runner.CoreError as error:
            return False, str(error)
        return True, ""

    def checkParameterValues(self, inputs, context):
        known = [definition.name() for definition in self.parameterDefinitions()]
        for name in inputs:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                guess = f" Did you mean {near[0]}?" if near else ""
                return False, f"Unknown parameter {name} of {self.id()}.{guess}"
        files = {p["name"].upper() for p in self.operation["params"] if p["kind"] in parameters.LAYERS}
        for definition in self.parameterDefinitions():
            name = definition.name()
            value = inputs.get(name)
            if name in files and not all(parameters.is_empty(inputs.get(n)) for n in (name, f"{name}_LAYER")):
                continue
            if not definition.checkValueIsAcceptable(value, context):
                return False, f"Incorrect parameter value for {name} ({definition.description()})."
            if definition.isDestination() and not parameters.is_empty(value):
                good, reason = definition.isSupportedOutputValue(value, context)
                if not good:
                    return False, reason
        return True, ""

    def prepareAlgorithm(self, inputs, context, feedback):
        """Read the values on the main thread."""
        with failures_shown(feedback):
            self.request = self._request(inputs, context)
        return True

    def _request(self, inputs, context):
        result = self.operation["result"]
        values = {p["name"]: parameters.read(self, p, inputs, context, result) for p in self.operation["params"]}
        name, values = opening.request(self.operation, {n: v for n, v in values.items() if v is not None})
        return {"operation": name, "values": values, "overwrite": True, **self.edition}

    def _output(self, inputs, context):
        """File for the result; QGIS notes here, and before version 3.38 in this thread alone, what it is to load."""
        if parameters.destination(self.operation) is None:
            return None
        as_path = self.parameterAsOutputLayer if self.operation["result"] == "dataset" else self.parameterAsFileOutput
        return as_path(inputs, parameters.OUTPUT, context)

    def processAlgorithm(self, inputs, context, feedback):
        self.request["output"] = self._output(inputs, context)
        self.request["points"] = iface is not None and not is_step(feedback)
        answer = carry_out("run", self.request, feedback)
        for path in answer["outputs"]:
            feedback.pushInfo(f"Wrote {path}")
        inputs = self._inputs()
        self.layers = [{**look, "inputs": inputs} for look in answer.get("layers", [])]
        if answer.get("points"):
            with failures_shown(feedback):
                self.points = points.write(answer["points"], self.request["output"], inputs)
        results = {parameters.OUTPUT: self.request["output"]} if self.request["output"] else {}
        for param in self.operation["params"]:
            if parameters.names_output(param, self.operation["result"]):
                results[param["name"].upper()] = self.request["values"].get(param["name"])
        if self.outputDefinition(FILES):
            results[FILES] = answer["outputs"]
            results |= {MAP: styling.first_map(self.layers, context, is_step(feedback))} if self.layers else {}
        return results

    def _inputs(self):
        """Files of maps and stations that the run was given."""
        files = {"maps": [], "stations": []}
        for param in self.operation["params"]:
            value = self.request["values"].get(param["name"])
            kind = {"dataset": "maps", "datasets": "maps", "stations": "stations"}.get(param["kind"])
            if kind and value:
                files[kind] += value if isinstance(value, list) else [value]
        return files

    def postProcessAlgorithm(self, context, feedback):
        """Show maps and points; called in the main thread, or for a step of a model in that of the model."""
        styling.load(self.displayName(), self.layers, self.request["output"], context)
        if self.points and context.project() is not None:
            shown, project = self.points, context.project()
            styling.in_main_thread(lambda: points.add(self.displayName(), shown, project))
        return {}


def is_step(feedback):
    """Whether a model runs the algorithm."""
    return feedback.metaObject().className() == "QgsProcessingMultiStepFeedback"  # Python sees its parent class


def is_cancelled(feedback):
    """Whether to stop; qgis_process, which has no event loop beside the algorithm, notices Ctrl+C only here."""
    if iface is None:
        QCoreApplication.processEvents()
    return feedback.isCanceled()


def carry_out(verb, request, feedback):
    """Run the core with the analyst's interpreter and show its events; failures raise QgsProcessingException."""
    shown = 0
    push = {"warning": feedback.pushWarning, "error": feedback.reportError}

    def show(event):
        nonlocal shown
        kind, text = event["event"], str(event.get("text", ""))
        if kind == "progress":
            feedback.setProgress(float(event["value"]))
            if text:
                feedback.setProgressText(text)
        elif kind == "log":
            push.get(event.get("level"), feedback.pushInfo)(text)
        elif kind == "stderr" and shown < SHOWN_LINES:
            shown += 1
            feedback.pushConsoleInfo(text)

    def cancelled():
        return is_cancelled(feedback)

    with failures_shown(feedback):
        python = settings.python()
        interpreter.check(python, settings.folder(), cancelled)
        return runner.run(runner.worker(python, verb), request, show, cancelled)


@contextlib.contextmanager
def failures_shown(feedback):
    """Stop the algorithm with the sentence of what stopped the body; details go to the log."""
    try:
        yield
    except runner.Cancelled:
        fail("cancelled")
    except runner.CoreError as error:
        if error.details:
            feedback.pushConsoleInfo(error.details)
        fail(str(error))


def fail(text):
    """Stop an algorithm; of the three copies of an exception that qgis_process writes, two are suppressed."""
    if os.path.basename(QCoreApplication.applicationFilePath()).startswith("qgis_process"):
        QgsMessageLog.logMessage(text, "XSM", Qgis.MessageLevel.Critical)
        QgsApplication.messageLog().blockSignals(True)
    raise QgsProcessingException(text)
