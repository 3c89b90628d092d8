"""The QGIS toolbox: what the core generates and installs, and real runs of qgis_process (marker ``qgis``).

Each call of qgis_process costs about a second of QGIS itself and one of the core's imports.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from xsm import __version__, files, worker
from xsm.cli import main
from xsm.describe import builtin, describe, operations
from xsm.errors import UsageError
from xsm.execute import execute
from xsm.qgis import LARGEST_ZIP, build_zip, install, operations_json, plugin_folder

PLUGIN = plugin_folder()
CLEAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # a virtual environment's python3 first on PATH crashes QGIS


def ids() -> set[str]:
    """Algorithms that QGIS is to list."""
    return {f"xsm:{op.id.replace('_', '')}" for op in operations().values() if op.analyst} | {"xsm:checkinstallation"}


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
    assert events[-1]["layers"] == [{"path": str(tmp_path / "out.nc"), "variable": "texture", "ramp": []}]


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


def start(argv: list, env: dict[str, str]) -> subprocess.CompletedProcess:
    """Run a command in an environment; gives what it printed."""
    kwargs = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 120}
    return subprocess.run([str(a) for a in argv], check=False, env=env, **kwargs)


class QgisProcess:
    """Runs qgis_process with a profile of its own."""

    def __init__(self, executable: str, env: dict[str, str]):
        self.executable, self.env = executable, env

    def __call__(self, *args: str) -> subprocess.CompletedProcess:
        return start([self.executable, *args], self.env)

    def run(self, algorithm: str, **values: object) -> subprocess.CompletedProcess:
        return self("--json", "run", algorithm, "--", *(f"{name}={value}" for name, value in values.items()))


@pytest.fixture(scope="module")
def qgis(tmp_path_factory) -> QgisProcess:
    """Qgis_process with the plugin of this tree, this Python, and an environment poisoned as QGIS's launchers do."""
    names = (os.environ.get("QGIS_PROCESS"), "qgis_process.bin", "qgis_process")  # Debian 12's wrapper is broken
    executable = next((shutil.which(n) for n in names if n and shutil.which(n)), None)
    if executable is None:
        if os.environ.get("XSM_REQUIRE_QGIS"):
            pytest.fail("qgis_process not found but XSM_REQUIRE_QGIS is set")
        pytest.skip("qgis_process not found: install QGIS, or set QGIS_PROCESS")
    home = tmp_path_factory.mktemp("qgis")
    home.chmod(0o700)
    for number in "34":
        ini = home / f"profiles/default/QGIS/QGIS{number}.ini"
        ini.parent.mkdir(parents=True, exist_ok=True)
        ini.write_text("[PythonPlugins]\nxsm_qgis=true\n")
    env = {
        "PATH": CLEAN_PATH, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "QT_QPA_PLATFORM": "offscreen",
        "LANG": "C.UTF-8", "QGIS_CUSTOM_CONFIG_PATH": str(home), "QGIS_PLUGINPATH": str(PLUGIN.parent),
        "XSM_PYTHON": sys.executable, "PROJ_LIB": "/usr/share/proj", "PYTHONEXECUTABLE": "/usr/bin/python3",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    process = QgisProcess(executable, env)
    done = process("plugins")
    if "* xsm_qgis" not in done.stdout:
        pytest.fail(f"the plugin did not load:\n{done.stdout}\n{done.stderr}")
    return process


@pytest.mark.qgis
def test_toolbox_lists_every_operation(qgis):
    done = qgis("--json", "list")
    listed = json.loads(done.stdout[done.stdout.index("{") :])["providers"]["xsm"]["algorithms"]
    assert set(listed) == ids()
    for op in operations().values():
        if op.analyst:
            algorithm = listed[f"xsm:{op.id.replace('_', '')}"]
            assert (algorithm["name"], algorithm["group"]) == (op.title, op.group)


@pytest.mark.qgis
def test_run_equals_the_command_line_and_has_a_crs(qgis, soil, tmp_path):
    output = tmp_path / "by qgis.nc"
    done = qgis.run("xsm:texture", DS=soil, OUTPUT=output)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout[done.stdout.index("{") :])["results"]["OUTPUT"] == str(output)
    with pytest.raises(SystemExit) as stop:
        main(["texture", str(soil), str(tmp_path / "by cli.nc")])
    assert stop.value.code == 0
    by_qgis, by_cli = (files.read(path)["texture"] for path in (output, tmp_path / "by cli.nc"))
    np.testing.assert_array_equal(by_qgis.values, by_cli.values)
    assert np.unique(by_qgis.values).size > 1
    gdalsrsinfo = shutil.which("gdalsrsinfo", path=CLEAN_PATH)
    if gdalsrsinfo is None:
        pytest.skip("gdalsrsinfo not found: apt-get install gdal-bin")
    asked = [gdalsrsinfo, "-o", "epsg", f'NETCDF:"{output}":texture']
    told = start(asked, {"PATH": CLEAN_PATH})
    assert told.stdout.strip() == "EPSG:6933"


@pytest.mark.qgis
def test_failing_run_ends_with_one_and_the_cores_sentence(qgis, tmp_path):
    done = qgis.run("xsm:texture", DS=tmp_path / "missing.nc", OUTPUT=tmp_path / "out.nc")
    assert done.returncode == 1
    assert f"'{tmp_path / 'missing.nc'}' does not exist. Give a .nc, .zarr or .tif file." in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.qgis
def test_misspelt_parameter_is_refused(qgis, soil, tmp_path):
    done = qgis.run("xsm:estimate", DS=soil, SCENARO=2, OUTPUT=tmp_path / "out.nc")
    assert done.returncode == 1
    assert "Unknown parameter SCENARO of xsm:estimate. Did you mean SCENARIO?" in done.stdout + done.stderr


@pytest.mark.qgis
def test_check_of_the_installation_is_well(qgis):
    done = qgis.run("xsm:checkinstallation")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout[done.stdout.index("{") :])["results"]
    assert results == {"PYTHON": sys.executable, "VERSION": __version__}


INSIDE = """
import json, os, sys
from qgis.core import (QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProcessingParameterDefinition,
                       QgsProject, QgsRasterLayer)
app = QgsApplication([], False)
app.initQgis()
sys.path += [os.path.join(QgsApplication.pkgDataPath(), "python", "plugins"), os.environ["QGIS_PLUGINPATH"]]
from xsm_qgis import algorithm, provider, styling
asked = json.load(open(sys.argv[1]))
context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
found, requests = {}, {}
described = provider.description()
for operation in described["operations"]:
    made = algorithm.CoreAlgorithm(operation, {"version": "1", "digest": "2"}).create()
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    found[operation["id"]] = {d.name(): [d.type(), bool(d.flags() & advanced), d.help(), d.defaultValue()]
                              for d in made.parameterDefinitions()}
    if operation["id"] in asked["runs"]:
        given = asked["runs"][operation["id"]]
        assert made.checkParameterValues(given, context)[0], made.checkParameterValues(given, context)
        assert made.prepareAlgorithm(given, context, feedback)
        requests[operation["id"]] = made.request
context.setProject(QgsProject.instance())
styling.load(asked["layers"], context)
loaded = {}
for uri, details in context.layersToLoadOnCompletion().items():
    layer = QgsRasterLayer(uri, details.name)
    details.postProcessor().postProcessLayer(layer, context, feedback)
    loaded[details.name] = [layer.isValid(), layer.crs().authid(), layer.renderer().type()]
print("ANSWER" + json.dumps([found, requests, loaded]))
"""

RUNS = {
    "open": {
        "SOURCE": "nldas", "PATHS": "/data/NLDAS/*.nc", "REGION": "-99,-97,34,36 [EPSG:4326]",
        "TIME_START": "2021-04-01", "VARIABLES": "sm_noah_0_10, precipitation", "MARGIN": 3, "OPTIONS": "a=1\nb=2",
        "OUTPUT": "/out/nldas.nc",
    },
    "cube": {"FIRST": "/data/smap.zarr/zarr.json", "OTHERS": ["/a.nc", "/b.tif"], "OUTPUT": "/out/cube.zarr"},
    "fit": {"DS": "c.nc", "DEPTH": "25", "TRAIN_START": "2018-01-01", "TRAIN_END": "2020-12-31", "OUTPUT": "/out/25"},
    "report": {"DS": "e.nc", "OUTPUT": "/out/report.html"},
}  # fmt: skip


@pytest.mark.qgis
def test_forms_and_their_values(qgis, law_cube, tmp_path):
    """Inside QGIS's own Python: parameters of every operation, what the core is sent, layers with their colours."""
    python = shutil.which("python3", path=CLEAN_PATH)
    if python is None or start([python, "-c", "import qgis.core"], qgis.env).returncode:
        pytest.skip("PyQGIS is not importable from the system's python3")
    moisture = law_cube[["sm_noah_0_10"]].isel(time=slice(0, 4))
    written = [p for n in ("sm.nc", "sm.tif") for p in files.write(moisture, tmp_path / n)]
    layers = [
        {"path": str(written[0]), "variable": "sm_noah_0_10", "ramp": [[0.0, "#8c510a"], [0.5, "#01665e"]]},
        {"path": str(written[1]), "variable": "", "ramp": [[0.0, "#8c510a"], [0.5, "#01665e"]]},
    ]
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps({"runs": RUNS, "layers": layers}))
    script = tmp_path / "inside.py"
    script.write_text(INSIDE)
    done = start([python, script, asked], qgis.env)
    assert "ANSWER" in done.stdout, done.stderr
    forms, requests, loaded = json.loads(done.stdout.split("ANSWER")[1].splitlines()[0])
    for op in operations().values():
        form = forms[op.id]
        for param in op.params:
            names = [n for n in form if n == param.name.upper() or n.startswith(f"{param.name.upper()}_")]
            assert names, f"{op.id} has no form for {param.name}"
            assert form[names[0]][2] == param.help
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

    assert loaded == {
        "sm.nc sm_noah_0_10": [True, "EPSG:6933", "singlebandpseudocolor"],
        "sm.tif": [True, "EPSG:6933", "singlebandpseudocolor"],
    }
