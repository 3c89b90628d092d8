"""Load results into the project, with colours and times. Does nothing under qgis_process, which has no project."""

from __future__ import annotations

import collections
import math
import os

from qgis.core import (
    Qgis,
    QgsColorRampShader,
    QgsDateTimeRange,
    QgsInterval,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime
from qgis.PyQt.QtGui import QColor
from qgis.utils import iface

MOST_LAYERS, MOST_STEPS = 4, 60
PER_BAND = 33800
"""First QGIS in which a raster layer can have a time for each band."""
PLAIN = ("#fde725", "#7ad151", "#22a884", "#2a788e", "#414487", "#440154")
"""Viridis, for variables without a ramp of their own."""
_kept = collections.deque(maxlen=256)
"""Post-processors, which QGIS does not keep alive; those of the steps of a model run at its end."""


class Look(QgsProcessingLayerPostProcessorInterface):
    """Gives a layer its colours and its times; before QGIS 3.38 a group with one layer a day takes its place."""

    def __init__(self, look, name, shown):
        super().__init__()
        self.look, self.name, self.shown = look, name, shown

    def postProcessLayer(self, layer, context, feedback):
        layer.setName(self.name)
        paint(layer, self.look)
        days = self.look["days"]
        if days and Qgis.QGIS_VERSION_INT >= PER_BAND:
            properties = layer.temporalProperties()
            properties.setMode(Qgis.RasterTemporalMode.FixedRangePerBand)
            properties.setFixedRangePerBand({band: _range(day, day) for band, day in enumerate(days, 1)})
            properties.setIsActive(True)
            show_time(context.project(), days)
        node = context.project().layerTreeRoot().findLayer(layer.id())
        if days and Qgis.QGIS_VERSION_INT < PER_BAND:
            node = spread(layer, self.look, context.project())
            show_time(context.project(), days)
        if node is not None:
            node.setItemVisibilityChecked(self.shown)
            node.setExpanded(self.shown and node.children() == [])


def load(layers, context, feedback):
    """Add the maps of a result to the project: those with a ramp, else with classes, else all; the first is shown.

    Parameters
    ----------
    layers : list of dict
        ``path``, ``variable`` (empty if the file has only one), ``ramp`` (value and colour), ``classes`` (value, colour
        and meaning) and ``days``, one for each band.
    context : QgsProcessingContext
    feedback : QgsProcessingFeedback
    """
    if context.project() is None:
        return
    styled = [layer for layer in layers if layer["ramp"]] or [layer for layer in layers if layer["classes"]]
    for i, layer in enumerate((styled or layers)[:MOST_LAYERS]):
        path, variable = layer["path"], layer["variable"]
        name = os.path.basename(path) + (f" {variable}" if variable else "")
        uri = f'NETCDF:"{path}":{variable}' if variable else path  # which QGIS 3.22 opens as a layer, not by its text
        added = context.temporaryLayerStore().addMapLayer(QgsRasterLayer(uri, name))
        details = QgsProcessingContext.LayerDetails(name, context.project(), name, QgsProcessingUtils.LayerHint.Raster)
        _kept.append(Look(layer, name, shown=i == 0))
        details.setPostProcessor(_kept[-1])
        context.addLayerToLoadOnCompletion(added.id(), details)
        if len(layer["days"]) > MOST_STEPS and Qgis.QGIS_VERSION_INT < PER_BAND:
            feedback.pushWarning(
                f"{name}: this QGIS shows the first {MOST_STEPS} of {len(layer['days'])} days; QGIS 3.38 shows all."
            )


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
        shader = QgsRasterShader(ramp[0][0], ramp[-1][0])
        shader.setRasterShaderFunction(colours)
        renderer = QgsSingleBandPseudoColorRenderer(provider, band, shader)
        renderer.setClassificationMin(ramp[0][0])
        renderer.setClassificationMax(ramp[-1][0])
    layer.setRenderer(renderer)
    layer.triggerRepaint()


def spread(layer, look, project):
    """Replace a layer, which shows its first day only, by a folded group with one layer a day; returns the group."""
    days = look["days"][:MOST_STEPS]
    root = project.layerTreeRoot()
    group = root.insertGroup(0, layer.name())
    group.setExpanded(False)
    look = {**look, "ramp": look["ramp"] or _between(layer.dataProvider().bandStatistics(1))}
    steps = [layer.clone() for _ in days[1:]]
    for band, (step, day) in enumerate(zip([layer, *steps], days), 1):
        paint(step, look, band)
        step.temporalProperties().setMode(Qgis.RasterTemporalMode.FixedTemporalRange)
        step.temporalProperties().setFixedTemporalRange(_range(day, day))
        step.temporalProperties().setIsActive(True)
        step.setName(f"{day} {look['variable']}".strip())
        if step is not layer:
            project.addMapLayer(step, False)
        former = root.findLayer(step.id())
        group.addLayer(step).setExpanded(step is layer)
        if former is not None:
            former.parent().removeChildNode(former)
    return group


def show_time(project, days):
    """Set the period of a project without one, and of the temporal controller, to the days, in steps of a day."""
    whole = _range(days[0], days[-1])
    if not project.timeSettings().temporalRange().isInfinite():
        return
    project.timeSettings().setTemporalRange(whole)
    controller = iface.mapCanvas().temporalController() if iface else None
    if controller is not None:
        controller.setTemporalExtents(whole)
        controller.setFrameDuration(QgsInterval(0, 0, 0, 1, 0, 0, 0))


def _range(first, last):
    """From the start of a UTC day to the end of another one, which is excluded."""
    start, end = (
        QDateTime(QDate.fromString(day, Qt.DateFormat.ISODate), QTime(0, 0), Qt.TimeSpec.UTC) for day in (first, last)
    )
    return QgsDateTimeRange(start, end.addDays(1), True, False)


def _between(statistics):
    low, high = statistics.minimumValue, statistics.maximumValue
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        low, high = 0.0, 1.0
    return [(low + (high - low) * i / (len(PLAIN) - 1), colour) for i, colour in enumerate(PLAIN)]
