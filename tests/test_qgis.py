"""The QGIS toolbox: what the core generates and installs, the toolbox and its forms in a real QGIS."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from tests.qgis_process import CLEAN_PATH, QgisProcess, environment, start
from xsm import __version__, files, worker
from xsm.describe import builtin, describe, operations
from xsm.errors import UsageError
from xsm.execute import execute
from xsm.qgis import LARGEST_ZIP, build_zip, install, operations_json, plugin_folder
from xsm.source import sources
from xsm.styles import TEXTURE

PLUGIN = plugin_folder()


def ids() -> set[str]:
    """Algorithms that QGIS is to list."""
    names = {op.id for op in operations().values() if op.analyst} | {f"open_{name}" for name in sources()}
    return {f"xsm:{name.replace('_', '')}" for name in names} | {"xsm:checkinstallation"}


def algorithms(process: QgisProcess) -> dict:
    """What a QGIS lists of xsm."""
    done = process("--json", "list")
    return json.loads(done.stdout[done.stdout.index("{") :])["providers"]["xsm"]["algorithms"]


@pytest.fixture
def soil(law_cube, tmp_path) -> Path:
    """A file of soil fractions on a window of the 9 km EASE-Grid."""
    path = tmp_path / "soil.nc"
    files.write(law_cube[["sand", "silt", "clay"]], path)
    return path


def test_committed_operations_are_the_cores():
    committed = (PLUGIN / "operations.json").read_bytes()
    assert committed == operations_json().encode(), (
        "the operations changed: run `xsm qgis describe > qgis_provider/xsm_qgis/operations.json` and commit it"
    )


def test_ids_of_algorithms_are_fit_for_qgis():
    names = [op.id.replace("_", "") for op in operations().values() if op.analyst]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name.isalnum() and name.islower() for name in names)


def test_zip_has_one_top_folder_and_equal_bytes_each_time(tmp_path):
    path = build_zip(tmp_path / "a")
    assert path.name == f"xsm_qgis-{__version__}.zip"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert archive.read("xsm_qgis/operations.json") == (PLUGIN / "operations.json").read_bytes()
    assert {name.split("/")[0] for name in names} == {"xsm_qgis"}
    assert {f"xsm_qgis/{n}" for n in ("__init__.py", "metadata.txt", "LICENSE", "icon.svg", "runner.py")} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert path.stat().st_size < LARGEST_ZIP
    assert build_zip(tmp_path / "b").read_bytes() == path.read_bytes()


def test_install_copies_the_plugin_and_records_this_python(tmp_path, monkeypatch):
    monkeypatch.setenv("QGIS_CUSTOM_CONFIG_PATH", str(tmp_path))
    target = install("default", "3")
    assert target == tmp_path / "profiles/default/python/plugins/xsm_qgis"
    (target / "stale.py").write_text("left from an older version")
    assert install("default", "3") == target
    copied = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    shipped = {p.relative_to(PLUGIN).as_posix() for p in PLUGIN.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert copied == shipped
    assert json.loads((tmp_path / "profiles/default/xsm/python.json").read_text()) == {"python": sys.executable}
    assert [p.name for p in target.parent.iterdir()] == ["xsm_qgis"]


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
@pytest.mark.parametrize("version", ["3", "4"])
def test_install_finds_the_profile_of_each_qgis(tmp_path, monkeypatch, version):
    monkeypatch.delenv("QGIS_CUSTOM_CONFIG_PATH", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert install("default", version) == tmp_path / f"QGIS/QGIS{version}/profiles/default/python/plugins/xsm_qgis"


def test_install_refuses_an_unknown_profile_and_a_strange_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QGIS_CUSTOM_CONFIG_PATH", str(tmp_path))
    (tmp_path / "profiles/work").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"Unknown QGIS 3 profile 'wrok'.*Did you mean 'work'"):
        install("wrok", "3")
    mine = tmp_path / "profiles/work/python/plugins/xsm_qgis/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    with pytest.raises(UsageError, match="no QGIS plugin"):
        install("work", "3")
    assert mine.read_text() == "precious"


OLD_FORM = {"operation": "texture", "values": {}, "output": "out.nc", "version": "0.0.1", "digest": "another"}


def ask(request) -> list[dict]:
    """Events of the worker for one request, in this process."""
    events: list[dict] = []
    worker.run(json.dumps(request), events.append)
    return events


def test_worker_takes_the_form_of_another_version_where_it_fits(soil, tmp_path):
    events = ask(OLD_FORM | {"values": {"ds": str(soil)}, "output": str(tmp_path / "out.nc")})
    digest = describe(operations())["digest"]
    assert events[0] == {"event": "hello", "protocol": worker.PROTOCOL, "version": __version__, "digest": digest}
    assert events[-1]["outputs"] == [str(tmp_path / "out.nc")]
    (layer,) = events[-1]["layers"]
    assert (layer["path"], layer["variable"], layer["ramp"]) == (str(tmp_path / "out.nc"), "texture", [])
    assert layer["classes"][3] == (4, TEXTURE[3], "loam")
    assert layer["days"] == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"values": {"ds": "a.nc", "colour": 1}}, "does not know colour"),
        ({"operation": "texturise"}, "does not know texturise"),
    ],
)
def test_worker_tells_that_a_form_is_of_another_version(changed, told):
    error = ask(OLD_FORM | changed)[-1]
    assert (error["event"], error["type"]) == ("error", "UsageError")
    assert "made for xsm 0.0.1" in error["text"]
    assert told in error["text"]
    assert "Check the xsm installation" in error["hint"]
    same = ask(OLD_FORM | changed | {"digest": describe(operations())["digest"]})[-1]
    assert same["event"] == "error"
    assert "Unknown" in same["text"]


@pytest.mark.parametrize("line", ["", "[]", "not json", '{"operation": "texture"}'])
def test_worker_refuses_a_request_that_is_none(line):
    events: list[dict] = []
    assert worker.run(line, events.append) != 0
    assert events[-1]["event"] == "error"


def test_folder_of_somebody_else_is_never_replaced(law_cube, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="did not write"):
        execute(builtin()["texture"], {"ds": law_cube}, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()


@pytest.fixture(scope="module")
def checked(qgis) -> tuple[QgisProcess, dict]:
    """QGIS after the check of the installation, and what that gave."""
    return qgis, qgis.results("xsm:checkinstallation")


@pytest.mark.qgis
def test_toolbox_follows_the_environment(checked):
    """After the check of the installation every operation and every source has its algorithm."""
    qgis, told = checked
    assert told == {"PYTHON": sys.executable, "VERSION": __version__}
    listed = algorithms(qgis)
    assert set(listed) == ids()
    for op in operations().values():
        if op.analyst:
            algorithm = listed[f"xsm:{op.id.replace('_', '')}"]
            assert (algorithm["name"], algorithm["group"]) == (op.title, op.group)
    assert listed["xsm:opennldas"]["group"] == "Open a product"


STRANGER = """
from typing import Annotated
import xarray as xr
import xsm

@xsm.operation(title="Wetness of a stranger", group="Strange")
def wetness(ds: xr.Dataset, *, share: Annotated[float, xsm.Param("Share of wetness.")] = 0.5) -> xr.Dataset:
    "Give a share of all values."
    return ds * share

@xsm.hookimpl
def xsm_operations(register):
    register(wetness.operation)

@xsm.hookimpl
def xsm_sources(register):
    depth = xsm.Param("Depth of the sensor.", name="depth", kind=xsm.Kind.INTEGER, default=5)
    register(xsm.SourceInfo("stranger", "Stranger's files (*.strange)", "stranger:Source", options=(depth,)))
"""
POINTED = """#!/bin/sh
exec {python} -I -c 'import sys
sys.path.insert(0, "{folder}")
from xsm.worker import main
sys.exit(main(sys.argv[-1:]))' "$@"
"""


@pytest.mark.qgis
@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the interpreter")
def test_what_plugins_bring_appears_and_runs(qgis, soil, tmp_path):
    """An environment with somebody else's plugin: its operation and its source have forms after the check."""
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[xsm]\nstranger = stranger\n")
    (tmp_path / "stranger.py").write_text(STRANGER)
    python = tmp_path / "python"
    python.write_text(POINTED.format(python=sys.executable, folder=tmp_path))
    python.chmod(0o755)
    (tmp_path / "profile").mkdir()
    other = replace(qgis, env=environment(tmp_path / "profile") | {"XSM_PYTHON": str(python)})
    other.results("xsm:checkinstallation")
    listed = algorithms(other)
    assert listed["xsm:wetness"] == listed["xsm:wetness"] | {"name": "Wetness of a stranger", "group": "Strange"}
    assert listed["xsm:openstranger"]["name"] == "Open Stranger's files"
    other.results("xsm:wetness", DS=soil, SHARE=0.25, OUTPUT=tmp_path / "out.nc")
    np.testing.assert_array_equal(files.read(tmp_path / "out.nc")["clay"], 0.25 * files.read(soil)["clay"])


@pytest.mark.qgis
def test_installed_plugin_needs_nothing_else(qgis, soil, tmp_path, monkeypatch):
    """`xsm qgis install` alone, in a profile where nothing points at plugin or interpreter."""
    monkeypatch.setenv("QGIS_CUSTOM_CONFIG_PATH", str(tmp_path))
    install("default", "3")
    env = {n: v for n, v in qgis.env.items() if n not in ("XSM_PYTHON", "QGIS_PLUGINPATH")}
    installed = replace(qgis, env=env | {"QGIS_CUSTOM_CONFIG_PATH": str(tmp_path)})
    installed("plugins", "enable", "xsm_qgis")
    assert set(algorithms(installed)) == ids()
    installed.results("xsm:texture", DS=soil, OUTPUT=tmp_path / "out.nc")
    (tmp_path / "profiles/default/xsm/python.json").unlink()
    bundled = algorithms(installed)
    assert "xsm:estimate" in bundled, "the toolbox is complete before an interpreter is known"
    assert "xsm:opensmap" not in bundled
    done = installed.run("xsm:texture", DS=soil, OUTPUT=tmp_path / "again.nc")
    assert done.returncode == 1
    assert "xsm is not set up" in done.stderr


INSIDE = """
import json, os, sys
from qgis.core import (QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProcessingParameterDefinition,
                       QgsProject, QgsVectorLayer, Qgis)
app = QgsApplication([], False)
app.initQgis()
sys.path += [os.path.join(QgsApplication.pkgDataPath(), "python", "plugins"), os.environ["QGIS_PLUGINPATH"]]
from xsm_qgis import algorithm, layers, opening, provider, styling
asked = json.load(open(sys.argv[1]))
context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
found, requests = {}, {}
described = provider.description()
for operation in opening.operations(described):
    made = algorithm.CoreAlgorithm(operation, {"version": "1", "digest": "2"}).create()
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    found[operation["id"]] = {d.name(): [d.type(), bool(d.flags() & advanced), d.help(), d.defaultValue()]
                              for d in made.parameterDefinitions()}
    if operation["id"] in asked["runs"]:
        given = asked["runs"][operation["id"]]
        assert made.checkParameterValues(given, context)[0], made.checkParameterValues(given, context)
        assert made.prepareAlgorithm(given, context, feedback)
        requests[operation["id"]] = made.request
project = QgsProject.instance()
context.setProject(project)
styling.load(asked["layers"], context, feedback)
for key, details in context.layersToLoadOnCompletion().items():
    layer = context.temporaryLayerStore().takeMapLayer(context.temporaryLayerStore().mapLayer(key))
    project.addMapLayer(layer)
    details.postProcessor().postProcessLayer(layer, context, feedback)
loaded = {}
for layer in project.mapLayers().values():
    time = layer.temporalProperties()
    ranges = time.fixedRangePerBand().values() if Qgis.QGIS_VERSION_INT >= 33800 else [time.fixedTemporalRange()]
    painted = layer.renderer()
    loaded[layer.name()] = [layer.isValid(), layer.crs().authid(), painted.type(), painted.usesBands(),
                            time.isActive() and [r.begin().toString("yyyy-MM-dd") for r in ranges]]
points = QgsVectorLayer(asked["points"], "points", "delimitedtext")
table = open(layers.to_csv(points, context)).read()
tree = [[g.name(), g.isVisible(), len(g.findLayers())] for g in project.layerTreeRoot().findGroups()]
found["version"] = Qgis.QGIS_VERSION_INT
print("ANSWER" + json.dumps([found, requests, loaded, tree, table]))
"""

DAYS = ["2021-06-01", "2021-06-02", "2021-06-03", "2021-06-04"]
RUNS = {
    "open": {
        "SOURCE": "nldas", "PATHS": "/data/NLDAS/*.nc", "REGION": "-99,-97,34,36 [EPSG:4326]",
        "TIME_START": "2021-04-01", "VARIABLES": "sm_noah_0_10, precipitation", "MARGIN": 3, "OPTIONS": "a=1\nb=2",
        "OUTPUT": "/out/nldas.nc",
    },
    "cube": {"FIRST": "/data/smap.zarr/zarr.json", "OTHERS": ["/a.nc", "/b.tif"], "OUTPUT": "/out/cube.zarr"},
    "fit": {"DS": "c.nc", "DEPTH": "25", "TRAIN_START": "2018-01-01", "TRAIN_END": "2020-12-31", "OUTPUT": "/out/25"},
    "open_smap": {"PATHS": "/data/SMAP", "OVERPASS": "PM", "OUTPUT": "/out/smap.nc"},
    "texture": {"DS": 'NETCDF:"/data/soil.nc":sand', "OUTPUT": "/out/texture.tif"},
    "validate": {"DS": "e.nc", "STATIONS": "/data/stations.csv", "OUTPUT": "/out/scores.csv"},
    "report": {"DS": "e.nc", "OUTPUT": "/out/report.html"},
}  # fmt: skip


@pytest.mark.qgis
def test_forms_and_their_values(checked, law_cube, tmp_path):
    """Inside QGIS's own Python: parameters of every operation, what the core is sent, layers with their colours."""
    qgis, _ = checked
    python = shutil.which("python3", path=CLEAN_PATH)
    if python is None or start([python, "-c", "import qgis.core"], qgis.env).returncode:
        pytest.skip("PyQGIS is not importable from the system's python3")
    moisture = law_cube[["sm_noah_0_10"]].isel(time=slice(0, 4))
    written = [p for n in ("sm.nc", "sm.tif") for p in files.write(moisture, tmp_path / n)]
    shown = {"ramp": [[0.0, "#8c510a"], [0.5, "#01665e"]], "classes": [], "days": DAYS}
    layers = [
        {**shown, "path": str(written[0]), "variable": "sm_noah_0_10"},
        {**shown, "path": str(written[1]), "variable": ""},
    ]
    (tmp_path / "points.csv").write_text("station;sm;x;y\nA;0.25;-10900000;4300000\n")
    points = f"file://{tmp_path}/points.csv?delimiter=;&xField=x&yField=y&crs=EPSG:3857"
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps({"runs": RUNS, "layers": layers, "points": points}))
    script = tmp_path / "inside.py"
    script.write_text(INSIDE)
    done = start([python, script, asked], qgis.env)
    assert "ANSWER" in done.stdout, done.stderr
    forms, requests, loaded, tree, table = json.loads(done.stdout.split("ANSWER")[1].splitlines()[0])
    for op in operations().values():
        form = forms[op.id]
        for param in op.params:
            names = [n for n in form if n == param.name.upper() or n.startswith(f"{param.name.upper()}_")]
            assert names, f"{op.id} has no form for {param.name}"
            assert form[names[0]][2].startswith("Extent" if param.kind == "region" else param.help)
            assert form[names[0]][2], f"{op.id} tells nothing of {param.name}"
            assert form[names[0]][1] == (param.advanced or param.kind == "options")
    assert forms["estimate"]["DEPTH"][0] == "enum"
    assert forms["estimate"]["DEPTH"][3] == "5"
    assert forms["report"]["OUTPUT"][0] == "fileDestination"
    assert forms["fit"]["OUTPUT"][0] == "folderDestination"

    opened = requests["open"]
    assert (opened["version"], opened["digest"], opened["overwrite"]) == ("1", "2", True)
    assert opened["output"] == "/out/nldas.nc"
    wanted = {
        "source": "nldas", "paths": ["/data/NLDAS/*.nc"], "time": ["2021-04-01", None], "options": ["a=1", "b=2"],
        "region": [-99.0, 34.0, -97.0, 36.0], "variables": "sm_noah_0_10, precipitation", "margin": 3,
    }  # fmt: skip
    assert wanted.items() <= opened["values"].items()
    assert requests["cube"]["values"] == {"first": "/data/smap.zarr", "others": ["/a.nc", "/b.tif"]}
    assert requests["fit"]["values"]["train"] == ["2018-01-01", "2020-12-31"]
    assert requests["fit"]["values"]["depth"] == "25"
    assert "model" not in requests["fit"]["values"]
    assert requests["report"]["output"] is None
    assert requests["report"]["values"]["output"] == "/out/report.html"

    assert requests["open_smap"]["operation"] == "open"
    smap = {"source": "smap", "paths": ["/data/SMAP"], "margin": 32, "on_error": "raise"}
    assert requests["open_smap"]["values"].pop("options") == {
        "overpass": "PM", "quality": "successful", "projection": "global"
    }  # fmt: skip
    assert requests["open_smap"]["values"] == smap
    assert requests["texture"]["values"] == {"ds": "/data/soil.nc"}
    assert requests["validate"]["values"]["stations"] == "/data/stations.csv"

    names = ["sm.nc sm_noah_0_10", "sm.tif"]
    look = [True, "EPSG:6933", "singlebandpseudocolor"]
    if forms["version"] >= 33800:
        assert loaded == {name: [*look, [1], DAYS] for name in names}
    else:
        assert loaded == {
            f"{day} {variable}".strip(): [*look, [band], [day]]
            for variable in ("sm_noah_0_10", "")
            for band, day in enumerate(DAYS, 1)
        }
        assert sorted(tree) == [[names[0], True, len(DAYS)], [names[1], False, len(DAYS)]]

    header, row = csv.reader(io.StringIO(table))
    place = Transformer.from_crs(3857, 4326, always_xy=True).transform(-10900000, 4300000)
    assert header == ["lat", "lon", "station", "sm", "x", "y"]
    np.testing.assert_allclose([float(row[1]), float(row[0])], place, atol=1e-9)
    assert row[2:4] == ["A", "0.25"]
