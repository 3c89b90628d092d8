"""Results in the window of a real QGIS, run from the toolbox's own dialog in a background thread."""

from __future__ import annotations

import pytest

import xsm
from tests.qgis_window import window
from xsm.io import files

pytestmark = pytest.mark.qgis
DAYS = 12
DAY = "2021-04-03"
"""First day that the example has an estimate for."""


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """An example cube."""
    path = tmp_path_factory.mktemp("window") / "cube.nc"
    files.write(xsm.example("cube", size=32, days=DAYS), path)
    return path


STAYING = """
dialog = run("xsm:estimate", DS=task["cube"], DEPTH="5", OUTPUT=task["output"])
yield ended(dialog)
close(dialog)
layer = next(iter(project.mapLayers().values()))
zoom(layer)
yield 1
before, _ = pixels()
QThreadPool.globalInstance().setExpiryTimeout(task["expiry"])
yield task["seconds"]
web = QgsCoordinateReferenceSystem("EPSG:3857")
transform = QgsCoordinateTransform(QgsCoordinateReferenceSystem("EPSG:6933"), web, project)
try:
    moved = transform.transform(QgsPointXY(-9e6, 4e6)).x()
except QgsCsException:
    moved = 0.0
after, _ = pixels()
for other in project.layerTreeRoot().findLayers():
    other.setItemVisibilityChecked(False)
yield 1
empty, _ = pixels()
answer = [before, after, empty, transform.isValid(), moved]
"""


@pytest.mark.parametrize(("seconds", "expiry"), [(3, 300), pytest.param(60, 30000, marks=pytest.mark.slow)])
def test_results_stay_on_the_map(qgis, cube, tmp_path, seconds, expiry):
    """QGIS ends idle threads after 30 s; the coordinate systems that it cached in them go with them."""
    task = {"cube": str(cube), "output": str(tmp_path / "out.nc"), "seconds": seconds, "expiry": expiry}
    before, after, empty, valid, moved = window(qgis, STAYING, tmp_path / "window", task)
    assert valid
    assert moved == pytest.approx(-10384000, rel=1e-3)
    assert empty == 0
    assert before == after > 0.05


CHECKING = """
pulse["longest"] = 0.0
dialog = run("xsm:checkinstallation")
yield ended(dialog)
results = dialog.results()
from processing.core.ProcessingResults import resultsList
pages = [open(r.filename).read() for r in resultsList.getResults()]
answer = [results, pages, pulse["longest"]]
"""


def test_check_of_the_installation_is_a_page_and_blocks_nothing(qgis, tmp_path):
    results, (page,), blocked = window(qgis, CHECKING, tmp_path / "window")
    assert results["VERSION"] == xsm.__version__
    assert "<h2>Everything works.</h2>" in page
    assert results["PYTHON"] in page
    assert blocked < 5


FOLLOWING = """
dialog = run("xsm:estimate", DS=task["cube"], DEPTH="5", OUTPUT=task["output"])
yield ended(dialog)
close(dialog)
yield 1
root, controller = project.layerTreeRoot(), canvas.temporalController()
state = {"first": [canvas.temporalRange().begin().toString("yyyy-MM-dd"), controller.totalFrameCount()]}
group = root.children()[0]
state["group"] = [group.name(), [n.name() for n in group.children()], [n.name() for n in group.findLayers()]]
state["visible"] = [l.name() for l in root.checkedLayers()]
state["dock"] = window.findChild(QDockWidget, "Temporal Controller").isVisible()
layer = group.findLayers()[0].layer()
zoom(layer)
yield 1
prints, labels = [], []
for frame in range(task["days"]):
    controller.setCurrentFrameNumber(frame)
    yield 0.3
    prints.append(pixels())
    labels.append(iface.layerTreeView().layerTreeModel().layerLegendNodes(group.findLayers()[0])[0].data(Qt.DisplayRole))
state["frames"], state["drawn"], state["labels"] = len({p[1] for p in prints}), [p[0] for p in prints], labels
renderer = layer.renderer()
state["stretch"] = [renderer.classificationMin(), renderer.classificationMax()]
keep("follow")

iface.layerTreeView().setCurrentIndex(iface.layerTreeView().node2index(group.findLayers()[0]))
dialog = run("xsm:texture", DS=task["cube"], OUTPUT=task["texture"])
yield ended(dialog)
close(dialog)
state["above"] = [[n.name(), [m.name() for m in n.findLayers()]] for n in root.children()]

dialog = processing.createAlgorithmDialog("xsm:texture", {"DS": task["cube"], "OUTPUT": task["unseen"]})
for box in dialog.findChildren(QCheckBox):
    if box.text().startswith("Open output file"):
        box.setChecked(False)
dialog.runButton().click()
yield ended(dialog)
close(dialog)
state["unseen"] = [os.path.exists(task["unseen"]), len(root.children())]
answer = state
"""


def test_layers_follow_the_temporal_controller_in_groups(qgis, cube, tmp_path):
    """One layer for a product, on top and named; steps of a model and unchecked results are not loaded."""
    task = {
        "cube": str(cube),
        "days": DAYS,
        "output": str(tmp_path / "out.nc"),
        "texture": str(tmp_path / "texture.tif"),
    }
    state = window(qgis, FOLLOWING, tmp_path / "window", task | {"unseen": str(tmp_path / "unseen.tif")})
    assert state["first"] == [DAY, DAYS], "the first day that is not empty"
    assert state["dock"]
    name = "Soil moisture at 5 cm"
    names = [f"{name} [m³ m⁻³]", f"{name}: standard deviation of the true value [m³ m⁻³]"]
    period = "2021-04-01 to 2021-04-12"
    assert state["group"] == [f"Estimate soil moisture, {period}", [names[0], "Spread"], names]
    assert state["visible"] == names[:1]
    assert state["frames"] == DAYS - 1, "two of the days are empty"
    assert state["drawn"] == [0, 0] + (DAYS - 2) * state["drawn"][-1:]
    assert state["drawn"][-1] > 0.05
    assert state["labels"] == [f"2021-04-{day:02}" for day in range(1, DAYS + 1)]
    low, high = state["stretch"]
    assert 0.05 < low < high < 0.45
    soil = ["Soil texture class", ["USDA soil texture class"]]
    assert state["above"] == [soil, [state["group"][0], names]]
    assert state["unseen"] == [True, 2]


STEPS = """
from processing.modeler.ModelerUtils import ModelerUtils
model = QgsProcessingModelAlgorithm("two steps", "test")
example = QgsProcessingModelChildAlgorithm("xsm:example")
static = QgsProcessingModelChildParameterSource.fromStaticValue
for name, value in {"NAME": "cube", "SIZE": 12, "DAYS": 10}.items():
    example.addParameterSources(name, [static(value)])
first = model.addChildAlgorithm(example)
texture = QgsProcessingModelChildAlgorithm("xsm:texture")
texture.setChildId("soil")
texture.addParameterSources("DS", [QgsProcessingModelChildParameterSource.fromChildOutput(first, "OUTPUT")])
final = QgsProcessingModelOutput("Soil of the model", "Soil of the model")
final.setChildOutputName("OUTPUT")
final.setChildId("soil")
texture.setModelOutputs({"Soil of the model": final})
model.addChildAlgorithm(texture)
model.updateDestinationParameters()
model.toFile(os.path.join(ModelerUtils.modelsFolders()[0], "two.model3"))
QgsApplication.processingRegistry().providerById("model").refreshAlgorithms()
dialog = run("model:two steps")
yield ended(dialog)
yield 1
close(dialog)
answer = [[n.name(), [m.name() for m in n.findLayers()]] for n in project.layerTreeRoot().children()]
"""


@pytest.mark.slow
def test_steps_of_a_model_are_not_loaded(qgis, tmp_path):
    """The result of a model has the name that the model gives it."""
    assert window(qgis, STEPS, tmp_path / "window") == [["Soil of the model", ["USDA soil texture class"]]]


HELPING = """
registry = QgsApplication.processingRegistry()
addresses = {a.id(): a.helpUrl() for a in registry.providerById("xsm").algorithms()}
pages = {name: open(QUrl(address).toLocalFile()).read() for name, address in addresses.items() if address}
icons = {a.id() for a in registry.providerById("xsm").algorithms() if not os.path.exists(a.svgIconPath())}
answer = [sorted(set(addresses) - set(pages)), pages["xsm:estimate"], sorted(icons)]
"""


def test_each_algorithm_has_a_page_of_help_and_an_icon(qgis, tmp_path):
    without, page, no_icon = window(qgis, HELPING, tmp_path / "window")
    assert without == ["xsm:checkinstallation"]
    assert no_icon == []
    assert "<h1>Estimate soil moisture</h1>" in page
    assert "One of 5, 25. Default: 5." in page
    assert "qgis_process run xsm:estimate -- DS=... OUTPUT=..." in page
