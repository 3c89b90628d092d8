"""Results in the project: one group for a run, its maps with colours, units and days."""

from __future__ import annotations

import math
import os

from qgis.core import (
    QgsColorRampLegendNodeSettings,
    QgsColorRampShader,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal, pyqtSlot
from qgis.PyQt.QtGui import QColor

from . import layers as files
from . import playing
from .words import tr

MOST_LAYERS = 8
RESULT = tr("Result")
"""Name of a result that nobody has named."""
ROLES = {"map": "", "spread": tr("Spread"), "flags": tr("Flags")}
"""What a map shows, in the order of the layers, and the title of the folded group that all but the first get."""
PLAIN = ("#fde725", "#7ad151", "#22a884", "#2a788e", "#414487", "#440154")
"""Viridis, for variables without a ramp of their own."""


class MainThread(QObject):
    """Takes results to the main thread, where alone layers are built.

    A model runs its steps in a thread that ends with it. QGIS caches coordinate systems and transforms of each thread;
    what a layer that was built there refers to is gone some time later, and with it every map of that system.
    """

    ready = pyqtSignal(object)

    def __init__(self):
        super().__init__()
        self.moveToThread(QCoreApplication.instance().thread())
        self.ready.connect(self.take)

    @pyqtSlot(object)
    def take(self, call):
        """Called in the main thread, at once if that is where the results come from."""
        call()


_main_thread = MainThread()


def in_main_thread(call):
    """Call something in the main thread, soon or at once."""
    _main_thread.ready.emit(call)


def load(title, layers, destination, context):
    """Load the maps of a run in place of its file, if QGIS is to load that: no step of a model, nothing unchecked.

    Parameters
    ----------
    title : str
        Of the group, if the result has no name of its own.
    layers : list of dict
        ``path``, ``variable`` (empty if the file has only one), ``name``, ``units``, ``role``, ``main``, ``ramp``
        (value and colour), ``classes`` (value, colour and meaning), ``days``, one for each band, and ``inputs``.
    destination : str or None
        File of the result, by which QGIS knows what it is to load.
    context : QgsProcessingContext
    """
    waiting = context.layersToLoadOnCompletion()
    details = waiting.pop(destination, None)
    if details is None:
        return
    context.setLayersToLoadOnCompletion(waiting)
    if details.project is None:
        return
    name = title if details.name in ("", RESULT) else details.name
    project = details.project
    if layers:
        in_main_thread(lambda: add(name, layers, project))
    elif destination.lower().endswith(".csv"):
        in_main_thread(lambda: add_table(name, destination, project))


def add(title, layers, project):
    """Add a group with the maps of a run on top of the project; its first map is shown."""
    looks = selection(layers)
    timed = next((look for look in looks if look["days"]), {"days": []})
    days = timed["days"]
    span = ", " + tr("{} to {}").format(days[0], days[-1]) if len(days) > 1 else f", {days[0]}" if days else ""
    group = project.layerTreeRoot().insertGroup(0, title + span)
    folded = {}
    for i, look in enumerate(looks):
        layer = raster(look)
        project.addMapLayer(layer, False)
        role = look.get("role", "map")
        if role == looks[0].get("role", "map"):
            node = group.addLayer(layer)
        else:
            if role not in folded:
                folded[role] = group.addGroup(ROLES[role])
            node = folded[role].addLayer(layer)
        node.setItemVisibilityChecked(i == 0)
        node.setExpanded(i == 0)
        playing.label(layer, look["days"][0] if look["days"] else look.get("units") or layer.name())
    for inner in folded.values():
        inner.setExpanded(False)
    group.setExpanded(False)
    group.setExpanded(True)  # the view of a new group is folded, although the group is not
    if days:
        playing.open_controller(project, days, timed.get("first") or days[0])


def add_table(title, path, project):
    """Add a table on top of the project."""
    table = QgsVectorLayer(f"{path}|option:AUTODETECT_TYPE=YES", title, "ogr")
    project.addMapLayer(table, False)
    project.layerTreeRoot().insertLayer(0, table)


def uri_of(look):
    """Address of a map for QGIS."""
    return f'NETCDF:"{look["path"]}":{look["variable"]}' if look["variable"] else look["path"]


def first_map(layers, context, as_layer):
    """Address of the first map, or the id of a temporary layer: in QGIS 3.22 steps of a model open files alone."""
    look = selection(layers)[0]
    if not as_layer:
        return uri_of(look)
    layer = QgsRasterLayer(uri_of(look), look["name"])
    context.temporaryLayerStore().addMapLayer(layer)
    return layer.id()


def selection(layers):
    """Layers to show, at most MOST_LAYERS: soil moisture, else all; maps before their spread before flags."""
    order = list(ROLES)
    looks = [look for look in layers if look.get("main")] or layers
    return sorted(looks, key=lambda look: order.index(look.get("role", "map")))[:MOST_LAYERS]


def raster(look):
    """Raster layer of a map with its name, colours and days."""
    path, variable, units = look["path"], look["variable"], look.get("units", "")
    name = look.get("name") or os.path.basename(path) + (f" {variable}" if variable else "")
    layer = QgsRasterLayer(uri_of(look), f"{name} [{units}]" if units else name)
    paint(layer, look)
    files.set_inputs(layer, look.get("inputs", {}))
    if look["days"]:
        playing.set_days(layer, look["days"])
    return layer


def paint(layer, look, band=1):
    """Colour a band of a raster layer by its classes or its ramp, else between its extremes."""
    provider = layer.dataProvider()
    if look["classes"]:
        classes = [QgsPalettedRasterRenderer.Class(v, QColor(c), meaning) for v, c, meaning in look["classes"]]
        renderer = QgsPalettedRasterRenderer(provider, band, classes)
    else:
        ramp = look["ramp"] or _between(provider.bandStatistics(band))
        kind, mode = QgsColorRampShader.Type.Interpolated, QgsColorRampShader.ClassificationMode.Continuous
        colours = QgsColorRampShader(ramp[0][0], ramp[-1][0], None, kind, mode)
        colours.setColorRampItemList([QgsColorRampShader.ColorRampItem(v, QColor(c), f"{v:.4g}") for v, c in ramp])
        if look.get("units"):
            legend = QgsColorRampLegendNodeSettings()
            legend.setSuffix(f" {look['units']}")
            colours.setLegendSettings(legend)
        shader = QgsRasterShader(ramp[0][0], ramp[-1][0])
        shader.setRasterShaderFunction(colours)
        renderer = QgsSingleBandPseudoColorRenderer(provider, band, shader)
        renderer.setClassificationMin(ramp[0][0])
        renderer.setClassificationMax(ramp[-1][0])
    layer.setRenderer(renderer)


def _between(statistics):
    low, high = statistics.minimumValue, statistics.maximumValue
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        low, high = 0.0, 1.0
    return [(low + (high - low) * i / (len(PLAIN) - 1), colour) for i, colour in enumerate(PLAIN)]
