"""The forms inside QGIS's own Python: parameters, what the core is sent, layers with their colours."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from pyproj import Transformer

import xsm
from tests.qgis_process import inside
from xsm.contracts.registry import operations
from xsm.io import files

pytestmark = pytest.mark.qgis

INSIDE = """
from xsm_qgis import algorithm, layers, opening, provider, styling
context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
forms, requests = {}, {}
project = QgsProject.instance()
context.setProject(project)
inside_project = QgsRasterLayer(task["layers"][1]["path"], "soil of the project")
project.addMapLayer(inside_project)
table = QgsVectorLayer(task["table"], "stations of the project")
project.addMapLayer(table)
described = provider.description()
for operation in opening.operations(described):
    form = algorithm.CoreAlgorithm(operation, {"version": "1", "digest": "2"}).create()
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    forms[operation["id"]] = {d.name(): [d.type(), bool(d.flags() & advanced), d.help(), d.defaultValue()]
                              for d in form.parameterDefinitions()}
    if operation["id"] in task["runs"]:
        inputs = task["runs"][operation["id"]]
        assert form.checkParameterValues(inputs, context)[0], form.checkParameterValues(inputs, context)
        assert form.prepareAlgorithm(inputs, context, feedback)
        requests[operation["id"]] = {**form.request, "output": form._output(inputs, context)}
project.removeAllMapLayers()
details = QgsProcessingContext.LayerDetails("Result", project, "OUTPUT")
context.addLayerToLoadOnCompletion("/out/unloadable.nc", details)
styling.load("A run", task["layers"], "/out/unloadable.nc", context)
assert not context.layersToLoadOnCompletion()
styling.load("A step", task["layers"], "/out/step.nc", context)
loaded = {}
for layer in project.mapLayers().values():
    time = layer.temporalProperties()
    ranges = time.fixedRangePerBand().values() if Qgis.QGIS_VERSION_INT >= 33800 else [time.fixedTemporalRange()]
    painted = layer.renderer()
    shown = layer.customProperty("xsm/days")
    loaded[layer.name()] = [shown, layer.isValid(), layer.crs().authid(), painted.type(), painted.usesBands(),
                            time.isActive() and [r.begin().toString("yyyy-MM-dd") for r in ranges]]
points = QgsVectorLayer(task["points"], "points", "delimitedtext")
table = open(layers.to_csv(points, context)).read()
tree = [[g.name(), g.isVisible(), len(g.findLayers())] for g in project.layerTreeRoot().findGroups()]
forms["version"] = Qgis.QGIS_VERSION_INT
plain = QgsRasterLayer(task["layers"][1]["path"], "plain")
styled = plain.renderer().type()
answer = [forms, requests, loaded, tree, table, styled]
"""

DAYS = ["2021-06-01", "2021-06-02", "2021-06-03", "2021-06-04"]
NAMES = ("Soil moisture [m³ m⁻³]", "Deviation [m³ m⁻³]")
RUNS = {
    "open": {
        "SOURCE": "nldas", "PATHS": "/data/NLDAS/*.nc", "REGION": "-99,-97,34,36 [EPSG:4326]",
        "TIME_START": "2021-04-01", "VARIABLES": "sm_noah_0_10, precipitation", "MARGIN": 3, "OPTIONS": "a=1\nb=2",
        "OUTPUT": "/out/nldas.nc",
    },
    "cube": {"FIRST": "/data/smap.zarr/zarr.json", "OTHERS": ["/a.nc", "/b.tif"], "OUTPUT": "/out/cube.zarr"},
    "fit": {"DS": "c.nc", "DEPTH": "25", "TRAIN_START": "2018-01-01", "TRAIN_END": "2020-12-31", "OUTPUT": "/out/25"},
    "fuse": {"DS": "c.nc", "MODE": "filter", "TRAIN_START": "2018-01-01", "TRAIN_END": "2020-12-31",
             "OUTPUT": "/out/fused.nc"},
    "regrid": {"DS": "soil of the project", "OUTPUT": "/out/9km.nc"},
    "open_solus100": {"PATHS_FILES": ["/data/a.tif", "/data/b.tif"], "OUTPUT": "/out/soil.nc"},
    "open_smap": {"PATHS": "/data/SMAP", "OVERPASS": "PM", "OUTPUT": "/out/smap.nc"},
    "texture": {"DS": 'NETCDF:"/data/soil.nc":sand', "OUTPUT": "/out/texture.tif"},
    "open_nldas": {"PATHS": "/data", "REGION_NAME": "conus", "OUTPUT": "/out/nldas.nc"},
    "validate": {"DS": "e.nc", "STATIONS": "/data/stations.csv", "OUTPUT": "/out/scores.csv"},
    "triple_collocation": {"DS": "e.nc", "STATIONS": "stations of the project", "OUTPUT": "/out/scores.csv"},
    "report": {"DS": "e.nc", "OUTPUT": "/out/report.html"},
    "fetch": {"SOURCE": "solus100", "REGION_NAME": "conus", "TIME_START": "2021-01-01", "TIME_END": "2021-01-31",
              "OPTIONS": "soil_depth=5", "WORKERS": 2, "DEST": "/out/SOLUS"},
}  # fmt: skip


def test_forms_and_their_values(checked, law_cube, tmp_path):
    """Inside QGIS's own Python: parameters of every operation, what the core is sent, layers with their colours."""
    checked.results("xsm:checkinstallation")  # other files leave another interpreter behind
    moisture = law_cube[["sm_noah_0_10"]].isel(time=slice(0, 4))
    written = [p for n in ("sm.nc", "sm.tif") for p in files.write(moisture, tmp_path / n)]
    shown = {"ramp": [[0.0, "#8c510a"], [0.5, "#01665e"]], "classes": [], "days": DAYS}
    shown |= {"units": "m³ m⁻³", "main": True, "first": DAYS[1]}
    layers = [
        {**shown, "path": str(written[0]), "variable": "sm_noah_0_10", "name": "Soil moisture", "role": "map"},
        {**shown, "path": str(written[1]), "variable": "", "name": "Deviation", "role": "spread"},
    ]
    (tmp_path / "points.csv").write_text("station;sm;x;y\nA;0.25;-10900000;4300000\n")
    points = f"file://{tmp_path}/points.csv?delimiter=;&xField=x&yField=y&crs=EPSG:3857"
    (tmp_path / "table.csv").write_text("station,sm\nA,0.25\n")
    task = {"table": str(tmp_path / "table.csv"), "runs": RUNS, "layers": layers, "points": points}
    forms, requests, loaded, tree, table, styled = inside(checked, INSIDE, task)
    for op in operations().values():
        form = forms[op.id]
        for param in op.params:
            names = [n for n in form if n == param.name.upper() or n.startswith(f"{param.name.upper()}_")]
            assert names, f"{op.id} has no form for {param.name}"
            assert form[names[0]][2].startswith("Extent") == (param.kind == "region")
            assert form[names[0]][2].endswith(param.help) or param.kind == "options"
            assert form[names[0]][2], f"{op.id} has no help for {param.name}"
            assert form[names[0]][1] == (param.advanced or param.kind == "options")
    assert forms["estimate"]["DEPTH"][0] == "enum"
    assert forms["estimate"]["DEPTH"][3] == "5"
    assert forms["report"]["OUTPUT"][0] == "fileDestination"
    assert forms["fit"]["OUTPUT"][0] == forms["fetch"]["DEST"][0] == "folderDestination"
    assert "solus100: variables, soil_depth." in forms["fetch"]["OPTIONS"][2]

    opened = requests["open"]
    assert (opened["version"], opened["digest"], opened["overwrite"]) == ("1", "2", True)
    assert opened["output"] == "/out/nldas.nc"
    expected = {
        "source": "nldas", "paths": ["/data/NLDAS/*.nc"], "time": ["2021-04-01", None], "options": ["a=1", "b=2"],
        "region": [-99.0, 34.0, -97.0, 36.0], "variables": "sm_noah_0_10, precipitation", "margin": 3,
    }  # fmt: skip
    assert expected.items() <= opened["values"].items()
    assert requests["cube"]["values"] == {"first": "/data/smap.zarr", "others": ["/a.nc", "/b.tif"]}
    assert requests["fit"]["values"]["train"] == ["2018-01-01", "2020-12-31"]
    assert requests["fit"]["values"]["depth"] == "25"
    assert "model" not in requests["fit"]["values"]
    fused = {"depth": "5, 25", "mode": "filter", "train": ["2018-01-01", "2020-12-31"], "seed": 0}
    assert {k: v for k, v in requests["fuse"]["values"].items() if k != "ds"} == fused
    assert requests["regrid"]["values"]["ds"] == str(written[1]), "a layer of the project"
    assert requests["triple_collocation"]["values"]["stations"] == task["table"], "a table of the project"
    assert requests["open_solus100"]["values"]["paths"] == ["/data/a.tif", "/data/b.tif"]
    assert forms["estimate"]["DS"][0] == "raster"
    assert requests["report"]["output"] is None
    assert requests["report"]["values"]["output"] == "/out/report.html"

    assert requests["fetch"]["output"] is None
    assert requests["fetch"]["values"] == {
        "source": "solus100", "dest": "/out/SOLUS", "region": "conus", "time": ["2021-01-01", "2021-01-31"],
        "dry_run": False, "workers": 2, "options": ["soil_depth=5"],
    }  # fmt: skip

    assert requests["open_smap"]["operation"] == "open"
    smap = {"source": "smap", "paths": ["/data/SMAP"], "margin": 32, "on_error": "raise"}
    assert requests["open_smap"]["values"].pop("options") == {
        "overpass": "PM", "quality": "successful", "projection": "global"
    }  # fmt: skip
    assert requests["open_smap"]["values"] == smap
    assert requests["open_nldas"]["values"]["region"] == "conus"
    assert requests["texture"]["values"] == {"ds": "/data/soil.nc"}
    assert requests["validate"]["values"]["stations"] == "/data/stations.csv"

    look = [True, "EPSG:6933", "singlebandpseudocolor", [1]]
    if forms["version"] >= 33800:
        assert loaded == {name: [",".join(DAYS), *look, DAYS] for name in NAMES}
    else:
        assert loaded == {name: [",".join(DAYS), *look, DAYS[:1]] for name in NAMES}
    assert tree == [[f"A run, {DAYS[0]} to {DAYS[-1]}", True, 2]]

    assert styled == "singlebandpseudocolor", "the style beside a GeoTIFF is read by QGIS"
    header, row = csv.reader(io.StringIO(table))
    place = Transformer.from_crs(3857, 4326, always_xy=True).transform(-10900000, 4300000)
    assert header == ["lat", "lon", "station", "sm", "x", "y"]
    np.testing.assert_allclose([float(row[1]), float(row[0])], place, atol=1e-9)
    assert row[2:4] == ["A", "0.25"]


PLAYING = """
from xsm_qgis import playing, styling
ramp = [[0.0, "#8c510a"], [0.5, "#01665e"]]
look = {"path": task["path"], "variable": "", "ramp": ramp, "classes": [], "days": task["days"]}
classes = {**look, "ramp": [], "classes": [[0, "#8c510a", "dry"], [1, "#01665e", "wet"]]}
whole = playing.period(task["days"])
answer = [[moment.toString("yyyy-MM-dd") for moment in (whole.begin(), whole.end())]]
for one in (look, classes):
    layer = styling.raster(one)
    layer.renderer().setOpacity(0.5)
    states = []
    for first, end in task["times"]:
        playing._show(layer, task["days"], first, end)
        states.append([layer.renderer().usesBands()[0], layer.renderer().opacity()])
    answer.append(states)
"""


def test_a_layer_shows_the_day_of_the_map_and_nothing_on_days_without_one(checked, law_cube, tmp_path):
    """Days with a gap; a frame of several days shows the last of them. The opacity of the analyst comes back."""
    (path,) = files.write(law_cube[["sm_noah_0_10"]].isel(time=[0, 1, 2, 5]), tmp_path / "sm.tif")
    days = ["2021-04-01", "2021-04-02", "2021-04-03", "2021-04-06"]
    frames = {
        ("2021-03-31T00:00", "2021-04-01T00:00"): [1, 0.0],
        ("2021-04-01T00:00", "2021-04-02T00:00"): [1, 0.5],
        ("2021-04-02T06:00", "2021-04-02T12:00"): [2, 0.5],
        ("2021-04-04T00:00", "2021-04-05T00:00"): [2, 0.0],
        ("2021-04-01T00:00", "2021-04-08T00:00"): [4, 0.5],
        ("2021-04-07T00:00", "2021-04-08T00:00"): [4, 0.0],
    }
    task = {"path": str(path), "days": days, "times": list(frames)}
    period, *shown = inside(checked, PLAYING, task)
    assert period == ["2021-04-01", "2021-04-07"]
    assert shown == [list(frames.values())] * 2


POLYGONS = """
from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsFeature, QgsGeometry, QgsRectangle
layer = QgsVectorLayer("Polygon?crs=EPSG:3857&field=name:string", "basins", "memory")
to_web = QgsCoordinateTransform(QgsCoordinateReferenceSystem("EPSG:4326"), layer.crs(), QgsProject.instance())
for name, box in task.items():
    feature = QgsFeature(layer.fields())
    outline = QgsGeometry.fromRect(QgsRectangle(*box))
    outline.transform(to_web)
    feature.setGeometry(outline)
    feature.setAttributes([name])
    layer.dataProvider().addFeature(feature)
from xsm_qgis import layers
with open(layers.to_geojson(layer, QgsProcessingContext())) as file:
    answer = json.load(file)
"""


def test_polygons_of_a_layer_in_any_crs_are_geojson_in_degrees(qgis):
    boxes = {"upper": [-98.2, 35.9, -98.0, 36.1], "lower": [-98.1, 35.7, -97.9, 35.9]}
    written = inside(qgis, POLYGONS, boxes)
    cube = xsm.example("cube", size=16, days=8)[["sm_noah_0_10"]]
    means = cube.sm.zonal(written)["sm_noah_0_10_mean"]
    expected = cube.sm.zonal({name: tuple(box) for name, box in boxes.items()})["sm_noah_0_10_mean"]
    assert means["region"].values.tolist() == list(boxes)
    np.testing.assert_allclose(means, expected, rtol=1e-4)
