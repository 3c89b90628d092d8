"""From a parameter as the core describes it to QGIS parameters, and from their values to the request for the core.

A QGIS parameter has the name of the core's, in upper case. A period becomes two dates, ``<NAME>_START`` and
``<NAME>_END``; a region an extent or ``<NAME>_NAME``; the paths of a product a folder or files ``<NAME>_FILES``. Maps
are a raster layer, stations a vector layer; each may be a file that QGIS itself cannot load. ``<NAME>_LAYER`` of
stations is for models that were stored when it was the only one for layers. QGIS 3.22 requires files and extents even
where they have a default; they are optional here, and the core applies the default.
"""

from __future__ import annotations

import os

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)

from . import layers
from .runner import CoreError
from .styling import RESULT
from .words import tr

OUTPUT = "OUTPUT"
BETWEEN = ";"
"""Stands between files in the field of a folder: the forms of QGIS 3.22 cannot fill in a list of files."""
DATA_FILES = "Tables (*.nc *.csv zarr.json);;All files (*)"
WRITTEN = {
    "table": "CSV (*.csv);;NetCDF (*.nc)",
    "figure": "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)",
    "path": "HTML (*.html)",
}
PERIOD = (("_START", tr("first day")), ("_END", tr("last day")))
ENDINGS = {
    "period": [end for end, _ in PERIOD],
    "stations": ["", "_LAYER"],
    "region": ["", "_NAME"],
    "paths": ["", "_FILES"],
}
LAYERS = ("dataset", "datasets", "stations", "polygons", "places")
"""Kinds that are layers or files; the core reads more files than QGIS can load."""


def destination(operation):
    """Return the parameter for the result of an operation, or None if one of its own parameters is the output."""
    result = operation["result"]
    if result == "model":
        return QgsProcessingParameterFolderDestination(OUTPUT, tr("Trained model"))
    if result == "dataset":
        return QgsProcessingParameterRasterDestination(OUTPUT, RESULT)
    if result in ("table", "figure"):
        return QgsProcessingParameterFileDestination(OUTPUT, RESULT, WRITTEN[result])
    return None


HELP = {
    "region": "Extent: west, east, south, north, with a CRS in brackets where it is not the project's. ",
    "dataset": "A layer stands for all variables of its file. ",
    "polygons": "A layer of polygons in any CRS. ",
    "places": "A layer of points in any CRS. ",
}
"""What QGIS expects in another form than the core."""


def help_of(param):
    """Help of a parameter for its QGIS form."""
    return HELP.get(param["kind"], "") + param["help"]


def make(param, result=""):
    """Return the QGIS parameters of one parameter; an unknown kind is shown as text."""
    definitions = _output(param) if names_output(param, result) else MAKE.get(param["kind"], _string)(param)
    for definition in definitions:
        definition.setHelp(help_of(param))
        if param["advanced"] or param["kind"] == "options":
            definition.setFlags(definition.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return definitions


def names(param):
    """Names of the QGIS parameters of one parameter."""
    return [param["name"].upper() + end for end in ENDINGS.get(param["kind"], [""])]


def names_output(param, result):
    """Whether a parameter is the file or the folder that the operation writes."""
    if result == "folder":
        return param["kind"] == "folder"
    return result == "path" and param["kind"] in ("path", "folder") and param["name"] == "output"


def read(algorithm, param, inputs, context, result=""):
    """Return the value for the core, or None if there is none."""
    if param["default"] is None and all(is_empty(inputs.get(name)) for name in names(param)):
        return None
    reader = _read_output if names_output(param, result) else READ.get(param["kind"], _read_text)
    value = reader(algorithm, param["name"].upper(), inputs, context)
    return None if is_empty(value) else value


def is_empty(value):
    return value is None or value == NULL or value == "" or value == []


def _common(param):
    unit = f" [{param['unit']}]" if param["unit"] else ""
    return param["name"].upper(), param["label"] + unit


def _optional(param):
    return not param["required"]


def _file(param):
    name, label = _common(param)
    behavior = QgsProcessingParameterFile.Behavior.File
    return [QgsProcessingParameterFile(name, label, behavior, "", None, _optional(param), DATA_FILES)]


def _layer(param):
    name, label = _common(param)
    return [QgsProcessingParameterRasterLayer(name, label, None, _optional(param))]


def _paths(param):
    name, label = _common(param)
    kind, single = QgsProcessing.SourceType.TypeFile, f"{label}: {tr('or single files')}"
    (folder,) = _folder({**param, "label": f"{param['label']}: {tr('a folder')}", "required": False})
    return [folder, QgsProcessingParameterMultipleLayers(f"{name}_FILES", single, kind, None, True)]


def _folder(param):
    name, label = _common(param)
    behavior = QgsProcessingParameterFile.Behavior.Folder
    return [QgsProcessingParameterFile(name, label, behavior, "", None, _optional(param))]


def _stations(param):
    name, label = _common(param)
    vector, points = QgsProcessing.SourceType.TypeVector, QgsProcessing.SourceType.TypeVectorPoint
    former = QgsProcessingParameterVectorLayer(f"{name}_LAYER", label, [points], None, True)
    former.setFlags(former.flags() | QgsProcessingParameterDefinition.Flag.FlagHidden)
    return [QgsProcessingParameterVectorLayer(name, label, [vector], None, _optional(param)), former]


def _features(param):
    name, label = _common(param)
    kinds = {"polygons": QgsProcessing.SourceType.TypeVectorPolygon, "places": QgsProcessing.SourceType.TypeVectorPoint}
    return [QgsProcessingParameterVectorLayer(name, label, [kinds[param["kind"]]], None, _optional(param))]


def _layers(param):
    name, label = _common(param)
    kind = QgsProcessing.SourceType.TypeRaster
    return [QgsProcessingParameterMultipleLayers(name, label, kind, None, _optional(param))]


def _output(param):
    name, label = _common(param)
    if param["kind"] == "folder":
        return [QgsProcessingParameterFolderDestination(name, label, None, _optional(param))]
    return [QgsProcessingParameterFileDestination(name, label, WRITTEN["path"], None, _optional(param))]


def _choice(param):
    name, label = _common(param)
    default = None if param["default"] is None else str(param["default"])
    choices = [str(choice) for choice in param["choices"]]
    return [QgsProcessingParameterEnum(name, label, choices, False, default, default is None, True)]


def _number(param, kind=QgsProcessingParameterNumber.Type.Double):
    name, label = _common(param)
    definition = QgsProcessingParameterNumber(name, label, kind, param["default"], _optional(param))
    if param["minimum"] is not None:
        definition.setMinimum(param["minimum"])
    if param["maximum"] is not None:
        definition.setMaximum(param["maximum"])
    return [definition]


def _integer(param):
    return _number(param, QgsProcessingParameterNumber.Type.Integer)


def _boolean(param):
    name, label = _common(param)
    return [QgsProcessingParameterBoolean(name, label, param["default"], _optional(param))]


def _string(param, lines=False):
    name, label = _common(param)
    default = param["default"]
    if isinstance(default, (list, tuple)):
        default = ", ".join(str(v) for v in default)
    definition = QgsProcessingParameterString(name, label, default, lines, _optional(param))
    if param["choices"] and param["kind"] != "strings":
        hints = [str(choice) for choice in param["choices"]]
        definition.setMetadata({"widget_wrapper": {"value_hints": hints if param["required"] else ["", *hints]}})
    return [definition]


def _options(param):
    return _string({**param, "label": f"{param['label']} (name=value, one a line)", "required": False}, lines=True)


def _period(param):
    kind = QgsProcessingParameterDateTime.Type.Date
    return [
        QgsProcessingParameterDateTime(name, f"{param['label']}: {which}", kind, None, _optional(param))
        for name, (_, which) in zip(names(param), PERIOD)
    ]


def _region(param):
    name, label = _common(param)
    other = {"name": f"{param['name']}_name", "label": f"{label}: {tr('or its name')}", "required": False}
    (named,) = _string({**param, **other})
    return [QgsProcessingParameterExtent(name, label, None, _optional(param)), named]


def _read_output(algorithm, name, inputs, context):
    return algorithm.parameterAsFileOutput(inputs, name, context)


def _read_file(algorithm, name, inputs, context):
    return layers.store(algorithm.parameterAsFile(inputs, name, context))


def _read_layer(algorithm, name, inputs, context):
    value = inputs.get(name)
    if not isinstance(value, QgsMapLayer):
        value = algorithm.parameterAsString(inputs, name, context)
    return layers.store(layers.path_of(value, context))


def _read_stations(algorithm, name, inputs, context):
    name = f"{name}_LAYER" if is_empty(inputs.get(name)) else name
    return _read_places(algorithm, name, inputs, context)


def _read_polygons(algorithm, name, inputs, context):
    path = algorithm.parameterAsString(inputs, name, context)
    if os.path.exists(path) and not path.lower().endswith(("json", ".csv")):
        polygons = algorithm.parameterAsVectorLayer(inputs, name, context)
        return path if polygons is None else layers.to_geojson(polygons, context)
    return _read_features(algorithm, name, inputs, context, layers.to_geojson)


def _read_places(algorithm, name, inputs, context):
    return _read_features(algorithm, name, inputs, context, layers.to_csv)


def _read_features(algorithm, name, inputs, context, write):
    features = layers.features_of(inputs[name], algorithm.parameterAsString(inputs, name, context), context)
    return _read_layer(algorithm, name, inputs, context) if features is None else write(features, context)


def _read_paths(algorithm, name, inputs, context):
    path = algorithm.parameterAsFile(inputs, name, context)
    paths = [path] if os.path.exists(path) else [one.strip() for one in path.split(BETWEEN)]
    files = algorithm.parameterAsFileList(inputs, f"{name}_FILES", context)
    return [one for one in (*paths, *files) if one]


def _read_layers(algorithm, name, inputs, context):
    value = inputs.get(name)
    values = value if isinstance(value, (list, tuple)) else str(value).split(";")
    return [layers.store(layers.path_of(one, context)) for one in values if not is_empty(one)]


def _by(method):
    """A reader that calls a method of the algorithm."""
    return lambda algorithm, name, inputs, context: getattr(algorithm, method)(inputs, name, context)


def _read_options(algorithm, name, inputs, context):
    lines = algorithm.parameterAsString(inputs, name, context).replace(";", "\n").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _read_period(algorithm, name, inputs, context):
    days = [algorithm.parameterAsDateTime(inputs, name + end, context) for end, _ in PERIOD]
    return [day.toString("yyyy-MM-dd") if day.isValid() else None for day in days]


def _read_region(algorithm, name, inputs, context):
    named = algorithm.parameterAsString(inputs, f"{name}_NAME", context).strip()
    if named and not is_empty(inputs.get(name)):
        raise CoreError(f"{name} and {name}_NAME are both set. Leave one of them empty.")
    if named:
        return named
    box = algorithm.parameterAsExtent(inputs, name, context, QgsCoordinateReferenceSystem("EPSG:4326"))
    return [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]


_read_text = _by("parameterAsString")

MAKE = {
    "dataset": _layer, "table": _file, "figure": _file, "path": _file, "paths": _paths, "model": _folder,
    "folder": _folder,
    "datasets": _layers, "stations": _stations, "polygons": _features, "places": _features,
    "choice": _choice, "integer": _integer, "number": _number, "boolean": _boolean, "string": _string,
    "strings": _string, "mapping": _string, "options": _options, "period": _period, "region": _region,
}  # fmt: skip
READ = {
    "dataset": _read_layer, "table": _read_file, "figure": _read_file, "path": _read_file, "folder": _read_file,
    "paths": _read_paths, "datasets": _read_layers, "stations": _read_stations, "polygons": _read_polygons,
    "places": _read_places, "options": _read_options, "period": _read_period, "region": _read_region,
    "choice": _by("parameterAsEnumString"), "integer": _by("parameterAsInt"), "number": _by("parameterAsDouble"),
    "boolean": _by("parameterAsBool"),
    "model": _read_text, "string": _read_text, "strings": _read_text, "mapping": _read_text,
}  # fmt: skip
