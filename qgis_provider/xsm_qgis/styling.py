"""Load results into the project with the core's colours. Does nothing under qgis_process, which has no project."""

from __future__ import annotations

import os

from qgis.core import (
    QgsColorRampShader,
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingUtils,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

MOST_LAYERS = 4
_kept = []
"""Post-processors, which QGIS does not keep alive."""


class Style(QgsProcessingLayerPostProcessorInterface):
    """Gives a layer its colours; without a ramp, those of the ``.qml`` beside its file."""

    def __init__(self, ramp):
        super().__init__()
        self.ramp = ramp

    def postProcessLayer(self, layer, context, feedback):
        if self.ramp:
            paint(layer, self.ramp)
        else:
            layer.loadDefaultStyle()


def load(layers, context):
    """Add the maps that a result names to the project: those with colours, else the first.

    Parameters
    ----------
    layers : list of dict
        ``path``, ``variable`` (empty for a file of one) and ``ramp``, a list of value and colour.
    context : QgsProcessingContext
    """
    if context.project() is None:
        return
    coloured = [layer for layer in layers if layer["ramp"]]
    _kept.clear()
    for layer in (coloured or layers[:1])[:MOST_LAYERS]:
        path, variable = layer["path"], layer["variable"]
        name = os.path.basename(path) + (f" {variable}" if variable else "")
        details = QgsProcessingContext.LayerDetails(name, context.project(), name, QgsProcessingUtils.LayerHint.Raster)
        _kept.append(Style(layer["ramp"] if variable else []))
        details.setPostProcessor(_kept[-1])
        context.addLayerToLoadOnCompletion(f'NETCDF:"{path}":{variable}' if variable else path, details)


def paint(layer, ramp):
    """Colour the first band of a raster layer by a ramp."""
    kind, mode = QgsColorRampShader.Type.Interpolated, QgsColorRampShader.ClassificationMode.Continuous
    colours = QgsColorRampShader(ramp[0][0], ramp[-1][0], None, kind, mode)
    colours.setColorRampItemList([QgsColorRampShader.ColorRampItem(v, QColor(c), f"{v:g}") for v, c in ramp])
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(colours)
    layer.setRenderer(QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader))
    layer.triggerRepaint()
