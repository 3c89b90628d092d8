"""Runs inside the desktop of QGIS, see `qgis_picture.py`: estimate, look at layers, play the time, keep a picture."""

import json
import os
import traceback

import processing
from qgis.core import Qgis, QgsProject
from qgis.PyQt.QtCore import QSize, Qt, QTimer
from qgis.PyQt.QtWidgets import QDockWidget, QTreeView
from qgis.utils import iface

REQUEST = json.loads(os.environ["XSM_DESKTOP"])


def tell(text, ending="json"):
    """Leave an answer for the script that started QGIS."""
    with open(f"{REQUEST['answer']}.{ending}", "w", encoding="utf-8") as file:
        file.write(text)


def guarded(step):
    """Run a step; where it fails, tell why and leave QGIS."""

    def run():
        try:
            step()
        except BaseException:
            tell(traceback.format_exc(), "error")
            os._exit(1)

    return run


def estimate():
    """Run the estimate as the dialog does, results loaded; then set the window up."""
    iface.mainWindow().resize(QSize(1400, 860))
    processing.runAndLoadResults("xsm:estimate", {"DS": REQUEST["cube"], "DEPTH": "5", "OUTPUT": REQUEST["output"]})
    for dock in iface.mainWindow().findChildren(QDockWidget):
        dock.setVisible(dock.objectName() in ("Layers", "ProcessingToolbox", "Temporal Controller"))
    layers, toolbox = (iface.mainWindow().findChild(QDockWidget, name) for name in ("Layers", "ProcessingToolbox"))
    iface.mainWindow().resizeDocks([layers, toolbox], [380, 270], Qt.Orientation.Horizontal)
    tree = toolbox.findChild(QTreeView, "algorithmTree") or toolbox.findChildren(QTreeView)[0]
    tree.collapseAll()
    model = tree.model()
    for row in range(model.rowCount()):
        index = model.index(row, 0)
        if str(index.data()).startswith("XSM"):
            tree.expand(index)
            for group in range(model.rowCount(index)):
                tree.expand(model.index(group, 0, index))
            tree.scrollTo(index, QTreeView.ScrollHint.PositionAtTop)
    QTimer.singleShot(1500, guarded(play))


def play():
    """Move the temporal controller and count how the map changes from day to day."""
    layers = list(QgsProject.instance().mapLayers().values())
    moving = [layer for layer in layers if layer.temporalProperties().isActive()]
    canvas = iface.mapCanvas()
    canvas.setExtent(canvas.mapSettings().layerExtentToOutputExtent(layers[0], layers[0].extent()))
    canvas.zoomByFactor(1.1)
    frames = []
    for day in range(REQUEST["days"]):
        canvas.temporalController().setCurrentFrameNumber(day)
        canvas.refresh()
        canvas.waitWhileRendering()
        frames.append(hash(bytes(_bits(canvas.grab().toImage()))))
    state = {
        "version": Qgis.QGIS_VERSION,
        "layers": sorted(layer.name() for layer in layers),
        "crs": sorted({layer.crs().authid() for layer in layers}),
        "renderers": sorted({layer.renderer().type() for layer in layers}),
        "moving": len(moving),
        "frames": len(set(frames)),
        "groups": [group.name() for group in QgsProject.instance().layerTreeRoot().findGroups()],
        "period": [
            canvas.temporalController().temporalExtents().begin().toString("yyyy-MM-dd"),
            canvas.temporalController().temporalExtents().end().toString("yyyy-MM-dd"),
        ],
        "visible": sorted(layer.name() for layer in QgsProject.instance().layerTreeRoot().checkedLayers()),
    }
    tell(json.dumps(state))
    QTimer.singleShot(1500, guarded(leave))


def _bits(image):
    pointer = image.constBits()
    pointer.setsize(image.sizeInBytes())
    return pointer


def leave():
    """Save the picture and end QGIS without questions."""
    iface.mainWindow().grab().save(REQUEST["answer"] + ".png")
    os._exit(0)


QTimer.singleShot(3000, guarded(estimate))
