"""The form for downloads: what there is, whether the log-in is known, and the run itself as an algorithm."""

from __future__ import annotations

import processing
from qgis.core import QgsCoordinateReferenceSystem, QgsProject
from qgis.gui import QgsDateTimeEdit, QgsExtentGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import QDate
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
)

from . import provider
from .asking import Core
from .words import tr

TITLE = tr("Download files of a product")
ISO = "yyyy-MM-dd"


class Download(QDialog):
    """Source, period, region and folder; the plan shows files and bytes before anything is fetched."""

    def __init__(self, iface):
        super().__init__(iface.mainWindow())
        self.setWindowTitle(TITLE)
        self.resize(520, 560)
        self.iface, self.core, self.run = iface, Core(self), None
        self.source, self.folder = QComboBox(), QgsFileWidget()
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.first, self.last = QgsDateTimeEdit(), QgsDateTimeEdit()
        for edit, day in ((self.first, QDate(2021, 4, 1)), (self.last, QDate(2021, 4, 30))):
            edit.setDisplayFormat(ISO)
            edit.setDate(day)
        self.extent = QgsExtentGroupBox()
        self.options, self.login, self.answer = QPlainTextEdit(), QLabel("…"), QPlainTextEdit()
        self._fill()
        self.source.currentIndexChanged.connect(self._show_options)

    def _fill(self):
        for name, about in provider.description().get("sources", {}).items():
            self.source.addItem(about["title"], name)
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        canvas = self.iface.mapCanvas()
        self.extent.setOutputCrs(degrees)
        self.extent.setCurrentExtent(canvas.extent(), canvas.mapSettings().destinationCrs())
        self.extent.setMapCanvas(canvas)
        self.extent.setCheckable(True)
        if QgsProject.instance().mapLayers():
            self.extent.setOutputExtentFromCurrent()
        self.extent.setChecked(bool(QgsProject.instance().mapLayers()))
        for box in (self.login, self.answer):
            box.setToolTip(tr("Nothing is sent before you press Download."))
        self.login.setWordWrap(True)
        self.answer.setReadOnly(True)
        self.options.setMaximumHeight(56)
        rows = QFormLayout()
        for label, widget in (
            (tr("Product"), self.source), (tr("First day"), self.first), (tr("Last day"), self.last),
            (tr("Folder"), self.folder), (tr("Options, name=value"), self.options), (tr("Log-in"), self.login),
        ):  # fmt: skip
            rows.addRow(label, widget)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.plan_button, self.run_button = QPushButton(tr("Plan")), QPushButton(tr("Download"))
        for button, act in ((self.plan_button, self.plan), (self.run_button, self.download)):
            buttons.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
            button.clicked.connect(lambda _=False, act=act: act())
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.addLayout(rows)
        for widget in (self.extent, self.answer, buttons):
            column.addWidget(widget)
        self._show_options()

    def showEvent(self, event):
        super().showEvent(event)
        self.core.ask("login", {}, lambda answer: self.login.setText(answer["text"]), self.login.setText)

    def plan(self):
        """Show how many files and bytes there are."""
        self.plan_button.setEnabled(False)
        self.answer.setPlainText(tr("Asking the provider's catalogue …"))
        names = {"SOURCE": "source", "DEST": "dest"}
        values = {names[n]: v for n, v in self.values().items() if n in names}
        box = self._box()
        values |= {"region": box, "time": self._days(), "options": self._options()}
        self.core.ask("plan", values, lambda answer: self._show(answer["text"]), self._show)

    def download(self):
        """Run the algorithm, with its progress and its button to cancel."""
        self.run = processing.createAlgorithmDialog("xsm:fetch", self.values())
        self.run.show()
        self.run.runButton().click()

    def values(self):
        """The form as parameters of the algorithm."""
        first, last = self._days()
        box, folder = self._box(), self.folder.filePath()
        return {
            "SOURCE": self.source.currentData(), "DEST": folder, "TIME_START": first, "TIME_END": last,
            "OPTIONS": "\n".join(self._options_text()), **({"REGION_NAME": ",".join(map(str, box))} if box else {}),
        }  # fmt: skip

    def end(self):
        """End the process; called when the plugin is unloaded."""
        self.core.stop()
        self.deleteLater()

    def closeEvent(self, event):
        self.core.stop()
        super().closeEvent(event)

    def _days(self):
        return [edit.date().toString(ISO) for edit in (self.first, self.last)]

    def _box(self):
        if not self.extent.isChecked():
            return None
        box = self.extent.outputExtent()
        return [round(v, 4) for v in (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())]

    def _options_text(self):
        return [line.strip() for line in self.options.toPlainText().splitlines() if "=" in line]

    def _options(self):
        return {name.strip(): value.strip() for name, _, value in (t.partition("=") for t in self._options_text())}

    def _show(self, text):
        self.plan_button.setEnabled(True)
        self.answer.setPlainText(text)

    def _show_options(self):
        about = provider.description().get("sources", {}).get(self.source.currentData(), {})
        lines = [f"{o['name']}: {o['help']}" for o in about.get("fetch_options", ())]
        self.options.setPlaceholderText("\n".join(lines))
        self.options.setToolTip("\n".join(lines))
