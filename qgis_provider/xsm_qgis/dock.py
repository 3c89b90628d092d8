"""The dock 'Soil moisture of a cell': series of the cells that are clicked, drawn while QGIS goes on."""

from __future__ import annotations

import csv
import os

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsDockWidget, QgsMapToolEmitPoint, QgsRubberBand
from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QPainter
from qgis.PyQt.QtWidgets import QFileDialog, QLabel, QMessageBox, QToolBar, QToolTip, QVBoxLayout, QWidget

from . import chart, layers, playing
from .asking import Core
from .words import tr

TITLE = tr("Soil moisture of a cell")
HOW = tr("Click a cell of the map; Ctrl+click compares further cells.")
DEGREES = "EPSG:4326"
PICTURE = QSize(1000, 560)
MOST_CELLS = len(chart.COMPARED)


class Chart(QWidget):
    """The drawing; a click on a name hides or shows its series, one on a day is sent on."""

    day_clicked = pyqtSignal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.cells, self.classes, self.day, self.changed = [], [], None, set()
        self.drawing = chart.Drawing()
        self.setMinimumSize(260, 160)
        self.setMouseTracking(True)

    def show_cells(self, cells, classes):
        self.cells, self.classes = cells, classes
        self.update()

    def show_day(self, day):
        if day != self.day:
            self.day = day
            self.update()

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("white"))
        self.drawing = chart.draw(painter, self.size(), self.cells, self.classes, self.day, self.changed)
        painter.end()

    def mousePressEvent(self, event):
        name = next((name for box, name in self.drawing.legend if box.contains(event.pos())), None)
        if name is not None:
            self.changed ^= {name}
            self.update()
        elif (day := self.drawing.day_at(event.pos().x())) is not None:
            self.day_clicked.emit(day)

    def mouseMoveEvent(self, event):
        day = self.drawing.day_at(event.pos().x())
        lines = [] if day is None else values_on(chart.curves(self.cells, self.changed), day, self.classes)
        QToolTip.showText(self.mapToGlobal(event.pos()), "\n".join([day, *lines]) if lines else "", self)


class Dock(QgsDockWidget):
    """Series of cells beside the map.

    Files come from the layers of the project, from the inputs of the runs that made these, and by the buttons.
    """

    def __init__(self, iface):
        super().__init__(TITLE, iface.mainWindow())
        self.setObjectName("XsmCell")
        self.iface, self.canvas = iface, iface.mapCanvas()
        self.core = Core(self)
        self.places, self.bands, self.maps, self.stations = [], [], [], []
        self.question = self.next = None
        self.tool = QgsMapToolEmitPoint(self.canvas)
        self.tool.canvasClicked.connect(self.pick)
        self.chart, self.note = Chart(), QLabel(HOW)
        self.note.setWordWrap(True)
        self.setWidget(self._body())
        self.chart.day_clicked.connect(self._go_to)
        self.canvas.temporalRangeChanged.connect(self._follow)
        self.visibilityChanged.connect(self._shown)

    def _body(self):
        bar = QToolBar()
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.picking = bar.addAction(tr("Pick"))
        self.picking.setCheckable(True)
        self.picking.toggled.connect(self._pick_or_not)
        self.tool.setAction(self.picking)
        for text, tip, act in (
            (tr("Clear"), tr("Remove all cells"), self.clear),
            (tr("Maps…"), tr("Show further maps of soil moisture, such as the cube"), lambda: self._add(self.maps)),
            (tr("Stations…"), tr("Show stations around the cell"), lambda: self._add(self.stations)),
            (tr("Picture…"), tr("Save the chart"), self._save_picture),
            (tr("Table…"), tr("Save the series as CSV"), self._save_table),
        ):
            action = bar.addAction(text)
            action.setToolTip(tip)
            action.triggered.connect(lambda _=False, act=act: act())
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(4, 0, 4, 4)
        for widget in (bar, self.note):
            column.addWidget(widget)
        column.addWidget(self.chart, 1)
        return body

    def pick(self, point, button=Qt.MouseButton.LeftButton, modifiers=None):
        """Show the cell at a point of the map, beside the others if Ctrl is pressed."""
        from qgis.PyQt.QtWidgets import QApplication

        modifiers = QApplication.keyboardModifiers() if modifiers is None else modifiers
        source = self.canvas.mapSettings().destinationCrs()
        to_degrees = QgsCoordinateTransform(source, QgsCoordinateReferenceSystem(DEGREES), QgsProject.instance())
        place = to_degrees.transform(QgsPointXY(point))
        several = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        self.places = [*(self.places if several else [])[-MOST_CELLS + 1 :], (place.y(), place.x())]
        self.refresh()

    def refresh(self):
        """Ask for the series of all places; while a question is open only the last one waits."""
        if not self.places:
            return
        maps, stations = files_of(QgsProject.instance())
        values = {"maps": [*maps, *self.maps], "places": self.places, "stations": [*stations, *self.stations]}
        if not values["maps"]:
            self._say(
                tr("The project has no map of soil moisture: run 'Fuse' or 'Estimate', or add a file with 'Maps…'.")
            )
        elif self.question is not None:
            self.next = values
        else:
            self._ask(values)

    def clear(self):
        """Remove the cells from chart and map."""
        self.places, self.next = [], None
        self._show({"cells": [], "classes": []})
        self._say(HOW)

    def end(self):
        """End the process and give the map's tool back; called when the plugin is unloaded."""
        self.canvas.temporalRangeChanged.disconnect(self._follow)
        self.canvas.unsetMapTool(self.tool)
        self.clear()
        self.core.stop()

    def _ask(self, values):
        self.question = values
        self._say(tr("Reading …"))
        self.core.ask("cells", values, self._answered, self._failed)

    def _answered(self, answer):
        if self.places:
            self._say("; ".join(
                f"{'ABCDEF'[i]}: {c['lat']:.3f}°, {c['lon']:.3f}°" + ("" if c["series"] else f" ({tr('no data')})")
                for i, c in enumerate(answer["cells"])
            ))  # fmt: skip
            self._show(answer)
            self._follow()
        self._go_on()

    def _failed(self, sentence):
        self._say(sentence)
        self._go_on()

    def _go_on(self):
        self.question, values, self.next = None, self.next, None
        if values is not None:
            self._ask(values)

    def _show(self, answer):
        self.chart.show_cells(answer["cells"], answer["classes"])
        for band in self.bands:
            self.canvas.scene().removeItem(band)
        self.bands = []
        degrees = QgsCoordinateReferenceSystem(DEGREES)
        for number, cell in enumerate(answer["cells"]):
            ring = [QgsPointXY(x, y) for x, y in cell["outline"]]
            band = QgsRubberBand(self.canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
            band.setToGeometry(QgsGeometry.fromPolygonXY([ring]), degrees)
            band.setStrokeColor(QColor(chart.COMPARED[number % MOST_CELLS]))
            band.setFillColor(QColor(0, 0, 0, 0))
            band.setWidth(3)
            self.bands.append(band)

    def _say(self, text):
        self.note.setText(text)

    def _pick_or_not(self, on):
        if on:
            self.canvas.setMapTool(self.tool)
        else:
            self.canvas.unsetMapTool(self.tool)

    def _shown(self, visible):
        """Start the core's imports as soon as the dock is open."""
        if not visible:
            return
        try:
            self.core.start()
        except Exception as error:
            self._say(str(error))
        self.picking.setChecked(True)

    def _follow(self):
        self.chart.show_day(playing.current_day(self.canvas))

    def _go_to(self, day):
        playing.go_to(self.canvas, day)
        self.chart.show_day(day)

    def _add(self, kept):
        paths, _ = QFileDialog.getOpenFileNames(self, tr("Files"), "", layers.FILTER)
        kept += [layers.store(path) for path in paths if layers.store(path) not in kept]
        self.refresh()

    def _save_picture(self):
        path, _ = QFileDialog.getSaveFileName(self, tr("Picture"), "", "PNG (*.png)")
        if path:
            self.save_picture(path if path.lower().endswith(".png") else f"{path}.png")

    def save_picture(self, path):
        """Write the chart as PNG, larger than it is on the screen."""
        shown = self.chart
        if not chart.picture(PICTURE, shown.cells, shown.classes, shown.day, shown.changed).save(path):
            QMessageBox.warning(self, TITLE, tr("'{}' cannot be written.").format(path))

    def _save_table(self):
        path, _ = QFileDialog.getSaveFileName(self, tr("Table"), "", "CSV (*.csv)")
        if path:
            self.save_table(path if path.lower().endswith(".csv") else f"{path}.csv")

    def save_table(self, path):
        """Write all series, a row for each place, series and day with a value."""
        try:
            with open(path, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(rows_of(self.chart.cells, self.chart.classes))
        except OSError as error:
            QMessageBox.warning(self, TITLE, tr("'{}' cannot be written ({}).").format(path, error.strerror))


def files_of(project):
    """Files of maps and of stations behind the layers of a project, and the inputs of the runs that made them."""
    maps, stations = [], []
    for layer in project.mapLayers().values():
        inputs = layers.inputs_of(layer)
        path = layers.file_of(layer)
        maps += [path] if path and isinstance(layer, QgsRasterLayer) else []
        maps += inputs.get("maps", [])
        stations += inputs.get("stations", [])
    return [[path for path in dict.fromkeys(paths) if os.path.exists(path)] for paths in (maps, stations)]


def values_on(curves, day, classes):
    """Lines with the value of each visible series on a day."""
    lines = []
    for curve in curves:
        place = curve["days"].index(day) if curve["visible"] and day in curve["days"] else None
        value = None if place is None else curve["values"][place]
        if value is None:
            continue
        half = curve["half"][place] if curve["half"] else None
        drought = classes[curve["drought"][place]][1] if curve["drought"] and curve["drought"][place] < 6 else ""
        lines.append(
            f"{curve['name']}: {value:.3f}" + (f" ± {half:.3f}" if half else "") + (f", {drought}" * bool(drought))
        )
    return lines


def rows_of(cells, classes):
    """The series as rows of a table, its head first."""
    yield ["lat", "lon", "series", "depth", "time", "soil_moisture", "half_width_95", "drought"]
    for cell in cells:
        for series in cell["series"]:
            half, drought = (series[n] or [""] * len(series["days"]) for n in ("half", "drought"))
            for day, value, width, number in zip(series["days"], series["values"], half, drought):
                if value is not None:
                    name = classes[number][1] if number != "" and number < len(classes) else ""
                    yield [cell["lat"], cell["lon"], series["name"], series["depth"], day, value, width, name]
