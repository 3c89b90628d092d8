"""Stations and their scores in the project: points coloured by each score, with their series in the map tip."""

from __future__ import annotations

import json
import os
from html import escape

from qgis.core import (
    QgsEditorWidgetSetup,
    QgsGraduatedSymbolRenderer,
    QgsMarkerSymbol,
    QgsRendererRange,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice, QSize
from qgis.utils import iface

from . import chart, layers
from .runner import CoreError
from .words import tr

PICTURE, SERIES = QSize(420, 170), "series"
END = "_points.geojson"
MARKER = {"name": "circle", "size": "3.6", "outline_color": "#222222", "outline_width": "0.3"}
PLAIN = "#0072b2"


def write(answer, output, inputs):
    """Write the points of an answer beside its output; called in the algorithm's thread.

    Parameters
    ----------
    answer : dict
        ``rows``, ``groups``, ``scores`` and ``series``, see `xsm.faces.points`.
    output : str
        File of the result; ``scores.csv`` gets ``scores_points.geojson``.
    inputs : dict
        Files of the run.

    Returns
    -------
    dict
        What `add` needs: ``path``, ``groups``, ``scores``, ``inputs`` and ``names`` of the fields.
    """
    rows = answer["rows"]
    if not rows:
        return {}
    path = os.path.splitext(output)[0] + END
    drawn = answer["series"] or [[]] * len(rows)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [row["lon"], row["lat"]]},
            "properties": {**row, SERIES: _address(series)},
        }
        for row, series in zip(rows, drawn)
    ]
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"type": "FeatureCollection", "features": features}, file)
    except OSError as error:
        raise CoreError(f"'{path}' cannot be written ({error.strerror}).", "Give another output.") from error
    return {"path": path, "inputs": inputs, "names": list(rows[0]), **{n: answer[n] for n in ("groups", "scores")}}


def add(title, shown, project):
    """Add a group of point layers on top of the project: for each product one layer for each score."""
    root = project.layerTreeRoot().insertGroup(0, title)
    first = None
    for name in shown["groups"] or [""]:
        group = root.addGroup(name) if name else root
        for score in shown["scores"] or [None]:
            layer = _layer(shown, name, score)
            project.addMapLayer(layer, False)
            node = group.addLayer(layer)
            node.setItemVisibilityChecked(first is None)
            node.setExpanded(first is None)
            first = first or layer
        if name:
            group.setExpanded(name == shown["groups"][0])
    if iface is not None:
        iface.setActiveLayer(first)
        iface.actionMapTips().setChecked(True)


def _layer(shown, product, score):
    title = score["title"] if score else tr("Stations")
    layer = QgsVectorLayer(shown["path"], f"{title}, {product}" if product else title, "ogr")
    if product:
        quoted = product.replace("'", "''")
        layer.setSubsetString(f"\"product\" = '{quoted}'")
    layer.setRenderer(_renderer(score))
    layer.setMapTipTemplate(_tip(shown["names"], with_picture=bool(score)))
    layer.setDisplayExpression('"station"')
    layer.setEditorWidgetSetup(layer.fields().indexOf(SERIES), QgsEditorWidgetSetup("Hidden", {}))
    layers.set_inputs(layer, shown["inputs"])
    return layer


def _renderer(score):
    if score is None:
        return QgsSingleSymbolRenderer(QgsMarkerSymbol.createSimple({**MARKER, "color": PLAIN}))
    ranges = []
    for low, high, colour in score["classes"]:
        first, last = (
            (low, high, colour) == tuple(score["classes"][0]),
            (low, high, colour) == tuple(score["classes"][-1]),
        )
        text = (tr("up to {1:g}") if first else tr("over {0:g}") if last else tr("{0:g} to {1:g}")).format(low, high)
        ranges.append(QgsRendererRange(low, high, QgsMarkerSymbol.createSimple({**MARKER, "color": colour}), text))
    return QgsGraduatedSymbolRenderer(score["field"], ranges)


def _tip(names, with_picture):
    """The map tip: what is known of the station, its scores, and the picture of its series."""
    numbers = [n for n in names if n in ("r", "ubrmse", "bias", "rmse", "n")]
    scores = ", ".join(f'{escape(n)} [% round("{n}", 3) %]' for n in numbers)
    words = [n for n in ("network", "product", "depths") if n in names]
    about = ", ".join(f'[% "{n}" %]' + (" cm" if n == "depths" else "") for n in words)
    picture = f'<br><img width="{PICTURE.width()}" src="[% "{SERIES}" %]">' if with_picture else ""
    return f'<b>[% "station" %]</b>, {about}' + (f"<br>{scores}" if scores else "") + picture


def _address(series):
    """The picture of series as an address that contains it; empty without series."""
    if not series:
        return ""
    kept = QByteArray()
    buffer = QBuffer(kept)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    chart.picture(PICTURE, [{"series": series}], scale=1.0).save(buffer, "PNG")
    buffer.close()
    return "data:image/png;base64," + bytes(kept.toBase64()).decode("ascii")
