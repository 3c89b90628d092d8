"""Ask the core while a window is open: one process answers one question after the other, and QGIS goes on."""

from __future__ import annotations

import json

from qgis.PyQt.QtCore import QObject, QProcess, QProcessEnvironment

from . import runner, settings

VERB = "ask"


class Core(QObject):
    """The core behind a window.

    It is started with the first question and ends with the window: its stdin is closed then, also when QGIS crashes.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        self.process, self.waiting, self.number, self.rest, self.printed = None, {}, 0, b"", ""

    def start(self):
        """Start the process, if there is none, so that its imports are done when the first question comes."""
        if self.process is not None:
            return
        program, *arguments = runner.worker(settings.python(), VERB)
        environment = QProcessEnvironment()
        for name, value in runner.clean_env().items():
            environment.insert(name, value)
        self.rest, self.printed = b"", ""
        self.process = QProcess(self)
        self.process.setProcessEnvironment(environment)
        self.process.readyReadStandardOutput.connect(self._read)
        self.process.readyReadStandardError.connect(self._keep_printed)
        self.process.errorOccurred.connect(self._ended)
        self.process.finished.connect(self._ended)
        self.process.start(program, arguments)

    def ask(self, name, values, then, failed):
        """Ask a question; ``then`` is called with its answer, or ``failed`` with one sentence, later in this thread."""
        try:
            self.start()
        except runner.CoreError as error:
            failed(str(error))
            return
        self.number += 1
        self.waiting[self.number] = then, failed
        self.process.write(json.dumps({"id": self.number, "ask": name, "of": values}).encode("utf-8") + b"\n")

    def stop(self):
        """End the process; questions without an answer are forgotten."""
        process, self.process, self.waiting = self.process, None, {}
        if process is not None:
            process.blockSignals(True)
            process.closeWriteChannel()
            process.kill()
            process.waitForFinished(1000)
            process.deleteLater()

    def _read(self):
        *lines, self.rest = (self.rest + bytes(self.process.readAllStandardOutput())).split(b"\n")
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            self._take(event)

    def _take(self, event):
        kind = event.get("event")
        if kind == "hello":
            try:
                runner.same_protocol(event)
            except runner.CoreError as error:
                self._fail_all(str(error))
                self.stop()
            return
        then, failed = self.waiting.pop(event.get("id"), (None, None))
        if kind == "answer" and then is not None:
            then(event)
        elif kind == "error":
            sentence = f"{event.get('text', '')} {event.get('hint', '')}".strip()
            if failed is not None:
                failed(sentence)
            else:
                self._fail_all(sentence)

    def _keep_printed(self):
        lines = bytes(self.process.readAllStandardError()).decode("utf-8", "replace").split("\n")
        self.printed = next((line for line in reversed(lines) if line.strip()), self.printed)

    def _ended(self, *_):
        if self.process is None:
            return
        why = f": {self.printed}" if self.printed else ""
        self.process.deleteLater()
        self.process = None
        self._fail_all(f"The core ended without an answer{why}. Run 'Check the xsm installation'.")

    def _fail_all(self, sentence):
        waiting, self.waiting = self.waiting, {}
        for _, failed in waiting.values():
            failed(sentence)
