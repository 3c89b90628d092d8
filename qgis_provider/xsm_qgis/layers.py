"""Layers as the files that the core reads."""

from __future__ import annotations

import csv
import json
import os
import re

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsMapLayer,
    QgsProcessingUtils,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt

from .runner import CoreError

PLACE = ("lat", "lon")
FILTER = "Maps and tables (*.nc *.tif *.tiff *.csv zarr.json);;All files (*)"
INPUTS = "xsm/inputs"
"""Property of a layer: files that the run which made it was given."""
ZARR_MARKS = ("zarr.json", ".zgroup", ".zattrs")


def path_of(value, context):
    """File behind a layer, or behind the id or the name of one; any other text is a path itself."""
    layer = value if isinstance(value, QgsMapLayer) else None if os.path.exists(value) else context.getMapLayer(value)
    if layer is None:
        return value
    path = layer.source().split("|")[0]
    if layer.providerType() not in ("gdal", "ogr", "mdal"):
        raise CoreError(f"The layer '{layer.name()}' is not a file on this machine.", "Export it to a GeoTIFF first.")
    return path


def store(path):
    """Path of the data behind the path of a form: the folder of a Zarr store, the file of a layer."""
    within = re.fullmatch(r'(?:NETCDF|HDF5|ZARR):"?(.+?)"?:[^:"]*', path)
    path = within[1] if within else path
    folder, last = os.path.split(path)
    return folder if last in ZARR_MARKS else path


def file_of(layer):
    """File behind a layer of the project; empty if it has none."""
    known = layer.providerType() in ("gdal", "mdal")
    return store(layer.source().split("|")[0]) if known else ""


def inputs_of(layer):
    """Files of ``maps`` and ``stations`` that the run which made a layer was given."""
    return json.loads(layer.customProperty(INPUTS) or "{}")


def set_inputs(layer, inputs):
    """Note in a layer what its run was given."""
    layer.setCustomProperty(INPUTS, json.dumps(inputs))


def features_of(value, text, context):
    """The vector layer with geometries that a parameter names; None for a file, or for a table that comes from one."""
    layer = value if isinstance(value, QgsMapLayer) else None if os.path.exists(text) else context.getMapLayer(text)
    return layer if isinstance(layer, QgsVectorLayer) and layer.isSpatial() else None


def to_csv(layer, context):
    """Write the fields of a point layer and its coordinates in degrees to a temporary CSV; returns its path."""
    fields = [field.name() for field in layer.fields()]
    kept = [i for i, name in enumerate(fields) if name.lower() not in PLACE]
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    to_degrees = QgsCoordinateTransform(layer.crs(), degrees, context.transformContext())
    path = QgsProcessingUtils.generateTempFilename("stations.csv")
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([*PLACE, *(fields[i] for i in kept)])
        for feature in layer.getFeatures():
            points = [] if feature.geometry().isNull() else list(feature.geometry().vertices())
            if len(points) != 1:
                raise CoreError(
                    f"Feature {feature.id()} of the layer '{layer.name()}' has {len(points)} points, expected one. "
                    "Split it with 'Multipart to singleparts', or remove it."
                )
            place = to_degrees.transform(points[0].x(), points[0].y())
            values = feature.attributes()
            rows.writerow([place.y(), place.x(), *(_text(values[i]) for i in kept)])
    return path


def to_geojson(layer, context):
    """Write the polygons of a layer in WGS 84 to a temporary GeoJSON; returns its path."""
    to_degrees = QgsCoordinateTransform(
        layer.crs(), QgsCoordinateReferenceSystem("EPSG:4326"), context.transformContext()
    )
    names = [field.name() for field in layer.fields()]
    features = []
    for feature in layer.getFeatures():
        geometry = feature.geometry()
        if geometry.isNull():
            continue
        geometry.transform(to_degrees)
        known = {name: _text(value) for name, value in zip(names, feature.attributes())}
        features.append({"type": "Feature", "properties": known, "geometry": json.loads(geometry.asJson(9))})
    path = QgsProcessingUtils.generateTempFilename("polygons.geojson")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"type": "FeatureCollection", "features": features}, file, default=str)
    return path


def _text(value):
    if value is None or value == NULL:
        return ""
    return value.toString(Qt.DateFormat.ISODate) if hasattr(value, "toString") else value
