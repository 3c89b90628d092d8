"""The dock of series, points of scores, files that are dropped and the form for downloads, in a real window of QGIS."""

from __future__ import annotations

import csv

import pytest

import xsm
from tests.qgis_process import most_seconds
from tests.qgis_window import window
from xsm.io import files

pytestmark = pytest.mark.qgis

CELLS = """
dialog = run("xsm:estimate", DS=task["cube"], DEPTH="5", OUTPUT=task["maps"])
yield ended(dialog)
close(dialog)
layer = next(iter(project.mapLayers().values()))
zoom(layer)
yield 1
from qgis.utils import plugins
dock = plugins["xsm_qgis"].desk.dock
dock.setVisible(True)
dock.stations.append(task["stations"])
yield 1
pulse["longest"], pulse["last"] = 0.0, time.monotonic()
web = QgsCoordinateTransform(QgsCoordinateReferenceSystem("EPSG:4326"), canvas.mapSettings().destinationCrs(), project)
state = {"stalls": []}
lat, lon = task["place"]
for place, key in (((lat, lon), Qt.NoModifier), ((lat - 0.3, lon - 0.4), Qt.ControlModifier)):
    dock.pick(web.transform(QgsPointXY(place[1], place[0])), modifiers=key)
    yield lambda: dock.question is None
    state["stalls"].append(pulse["longest"])
    state["cells"] = [[s["name"] for s in c["series"]] for c in dock.chart.cells]
    state["outlines"] = [b.asGeometry().area() > 0 for b in dock.bands]
    if key == Qt.NoModifier:
        yield 0.3
        keep("one")
        state["one"] = state["cells"]
canvas.temporalController().setCurrentFrameNumber(5)
yield 0.5
state["day"] = dock.chart.day
middle = dock.chart.drawing.panels[0].center().x()
dock.chart.day_clicked.emit(dock.chart.drawing.day_at(middle))
yield 0.5
state["moved"] = [canvas.temporalRange().begin().toUTC().toString("yyyy-MM-dd"), dock.chart.drawing.day_at(middle)]
state["stalls"].append(pulse["longest"])
keep("two")
dock.save_picture(task["picture"])
dock.save_table(task["table"])
state["picture"] = os.path.getsize(task["picture"])
dock.clear()
state["cleared"] = [dock.chart.cells, dock.bands]
state["note"] = dock.note.text()
answer = state
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Files of a cube and its stations, and the place of one of these."""
    folder = tmp_path_factory.mktemp("dock")
    cube, stations = (xsm.example(name, size=32, days=40) for name in ("cube", "stations"))
    files.write(cube, folder / "cube.nc")
    files.write(stations, folder / "stations.nc")
    place = float(stations["lat"][0]), float(stations["lon"][0])
    return {"cube": str(folder / "cube.nc"), "stations": str(folder / "stations.nc"), "place": place}


def test_a_click_shows_the_series_of_cells_while_qgis_goes_on(qgis, world, tmp_path):
    task = world | {n: str(tmp_path / n) for n in ("maps.nc", "picture.png", "table.csv")}
    task |= {"maps": task["maps.nc"], "picture": task["picture.png"], "table": task["table.csv"]}
    state = window(qgis, CELLS, tmp_path / "window", task)
    (one,) = state["one"]
    assert one[0] == "5 cm, scenario 2" or one[0].startswith("5 cm"), "the estimate"
    assert {"SMAP DCA", "Noah 0-10 cm", "Noah 10-40 cm", "Twin 01, 0 km"} <= set(one), (
        "inputs of the run, and a station"
    )
    assert len(state["cells"]) == 2
    assert state["outlines"] == [True, True]
    assert state["day"] == "2021-04-06"
    assert state["moved"][0] == state["moved"][1]
    assert state["picture"] > 10_000
    assert state["cleared"] == [[], []]
    assert "Click a cell" in state["note"]
    with open(task["table"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["series"] for r in rows} >= {"SMAP DCA", "Noah 0-10 cm"}
    assert all(0 < float(r["soil_moisture"]) < 1 for r in rows)
    assert max(state["stalls"]) < most_seconds() / 8, state["stalls"]


POINTS = """
state = {}
dialog = run("xsm:validate", DS=task["cube"], STATIONS=task["stations"], VARIABLES="sm_noah_0_10,sm_dca", MIN_DAYS=8,
             OUTPUT=task["scores"])
yield ended(dialog)
close(dialog)
yield lambda: project.mapLayers()
group = project.layerTreeRoot().children()[0]
state["group"] = [group.name(), [[g.name(), [n.name() for n in g.findLayers()]] for g in group.findGroups()]]
layer = iface.activeLayer()
zoom(layer)
canvas.zoomByFactor(2)
yield 1
state["rows"] = layer.featureCount()
state["drawn"] = pixels()[0]
feature = next(layer.getFeatures())
state["picture"] = feature["series"][:22]
context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
context.setFeature(feature)
yield 1
state["tip"] = QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context).split("<img")[0]
state["legend"] = [r.label() for r in layer.renderer().ranges()]
state["tips"] = iface.actionMapTips().isChecked()
keep("points")

from qgis.utils import plugins
desk = plugins["xsm_qgis"].desk
data = QMimeData()
data.setUrls([QUrl.fromLocalFile(path) for path in task["granules"]])
state["taken"] = [desk.drops.handleMimeDataV2(data)]
form = desk.drops.form
state["form"] = [form.algorithm().id(), form.createProcessingParameters()["PATHS"].split(";")]
keep("form")
form.close()
data.setUrls([QUrl.fromLocalFile(task["cube"])])
state["taken"].append(desk.drops.handleMimeDataV2(data))
item = QgsDataItem(Qgis.BrowserItemType.Custom, None, "granule", task["granules"][0], "gdal")
menu = QMenu()
desk.entries.populateContextMenu(item, menu, [item], QgsDataItemGuiContext())
state["menu"] = [action.text() for action in menu.actions()]
state["opens"] = desk.entries.handleDoubleClick(item, QgsDataItemGuiContext())
desk.entries.form.close()
native = QgsDataItem(Qgis.BrowserItemType.Custom, None, "cube", task["cube"], "gdal")
state["native"] = desk.entries.handleDoubleClick(native, QgsDataItemGuiContext())

desk.download()
form = desk.form
form.source.setCurrentIndex(form.source.findData("solus100"))
form.folder.setFilePath(task["downloads"])
form.options.setPlainText("soil_depth=5")
form.extent.setChecked(False)
pulse["longest"], pulse["last"] = 0.0, time.monotonic()
form.plan()
yield lambda: form.plan_button.isEnabled()
yield lambda: form.login.text() != "…"
state["plan"], state["login"] = form.answer.toPlainText(), form.login.text()
state["stall"] = pulse["longest"]
form.grab().save(os.path.join(request["folder"], "download.png"))
form.close()
answer = state
"""


def test_scores_are_points_and_files_of_a_product_are_dropped(checked, world, tmp_path):
    folder = tmp_path / "granules"
    folder.mkdir()
    granules = [folder / f"SMAP_L3_SM_P_E_2021040{day}_R19240_001.h5" for day in (1, 2)]
    for path in granules:
        path.write_bytes(b"")
    task = world | {"scores": str(tmp_path / "scores.csv"), "downloads": str(tmp_path / "S")}
    task |= {"granules": [str(p) for p in granules]}
    state = window(checked, POINTS, tmp_path / "window", task)
    title, groups = state["group"]
    assert title == "Validate against stations"
    names = [[f"{s}, {p}" for s in ("R", "ubRMSE [m³ m⁻³]", "Bias [m³ m⁻³]")] for p in ("Noah 0-10 cm", "SMAP DCA")]
    assert groups == [["Noah 0-10 cm", names[0]], ["SMAP DCA", names[1]]]
    assert state["rows"] == 12
    assert state["drawn"] > 0
    assert state["picture"] == "data:image/png;base64,"
    assert state["tip"].startswith("<b>Twin 0")
    assert "ubrmse 0." in state["tip"]
    assert state["legend"][0] == "up to 0.4"
    assert state["tips"]
    assert state["taken"] == [True, False], "a granule is taken, a cube is left to QGIS"
    assert state["form"] == ["xsm:opensmap", task["granules"]]
    assert state["menu"] == ["Open with XSM…"]
    assert (state["opens"], state["native"]) == (True, False)
    assert "4 files" in state["plan"]
    assert "Earthdata" in state["login"]
    assert state["stall"] < most_seconds() / 8
