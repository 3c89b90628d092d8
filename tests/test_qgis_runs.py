"""Real runs of qgis_process: the chain equals the command line's, each failure has its sentence, nothing stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

import xsm
from tests.qgis_process import CLEAN_PATH, inside, most_seconds, start
from xsm.faces.cli import main
from xsm.faces.hints import speaking
from xsm.io import files
from xsm.io.geotiff import map_names
from xsm.io.styles import style_of

pytestmark = pytest.mark.qgis
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX and /proc")


@pytest.fixture(scope="module")
def cube(tmp_path_factory) -> Path:
    """An example cube that takes some seconds to estimate."""
    path = tmp_path_factory.mktemp("cube") / "cube.nc"
    files.write(xsm.example("cube", size=40, days=60), path)
    return path


def command(*args: object) -> None:
    """Run a command of xsm in this process."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in args])
    assert stop.value.code == 0


def assert_equal(one: Path, other: Path) -> None:
    """Same variables, coordinates, values, units and CRS in two files."""
    left, right = files.read(one), files.read(other)
    assert set(left.variables) == set(right.variables)
    for name, variable in left.variables.items():
        np.testing.assert_array_equal(variable.values, right[name].values, err_msg=f"{name} of {one.name}")
        assert variable.attrs.get("units") == right[name].attrs.get("units")
    assert left["spatial_ref"].attrs["crs_wkt"] == right["spatial_ref"].attrs["crs_wkt"]


def epsg(source: str) -> str:
    """What GDAL outside of this environment takes a raster's CRS for."""
    gdalsrsinfo = shutil.which("gdalsrsinfo", path=CLEAN_PATH)
    if gdalsrsinfo is None:
        pytest.skip("gdalsrsinfo not found: apt-get install gdal-bin")
    return start([gdalsrsinfo, "-o", "epsg", source], {"PATH": CLEAN_PATH}).stdout.strip()


FILLED = "tb_h,tb_v,albedo,roughness,vegetation_opacity,vegetation_water_content,surface_temperature"
BOX = (-98.775, 35.336, -97.283, 36.725)


@pytest.mark.slow
def test_whole_chain_equals_the_command_line(qgis, tmp_path):
    """From granules to scores by qgis_process alone, and again by commands: every file holds the same arrays."""
    granules = tmp_path / "granules"
    qgis.results("xsm:examplefiles", SIZE=16, DAYS=24, OUTPUT=granules)
    qgis.results("xsm:checkinstallation")
    q, c = tmp_path / "qgis", tmp_path / "cli"
    q.mkdir()
    c.mkdir()
    west, south, east, north = BOX
    extent, region = f"{west},{east},{south},{north} [EPSG:4326]", ",".join(map(str, BOX))

    qgis.results("xsm:opensmap", PATHS=granules / "SMAP", REGION=extent, MARGIN=0, OUTPUT=q / "smap.nc")
    command("open", "smap", granules / "SMAP", c / "smap.nc", f"--region={region}", "--margin=0")
    options = {"REGION": extent, "MARGIN": 8}
    qgis.results("xsm:open", SOURCE="nldas", PATHS=granules / "NLDAS", **options, OUTPUT=q / "nldas.nc")
    command("open", "nldas", granules / "NLDAS", c / "nldas.nc", f"--region={region}", "--margin=8")
    options = {"REGION": extent, "MARGIN": 0, "SOIL_DEPTH": "5,30"}
    qgis.results("xsm:opensolus100", PATHS=granules / "SOLUS100", **options, OUTPUT=q / "soil.zarr")
    command("open", "solus100", granules / "SOLUS100", c / "soil.zarr", f"--region={region}", "--margin=0",
            "-o", "soil_depth=5,30")  # fmt: skip
    qgis.results("xsm:openuscrn", PATHS=granules / "USCRN", OUTPUT=q / "stations.csv")
    command("open", "uscrn", granules / "USCRN", c / "stations.csv")
    for name in ("nldas.nc", "soil.zarr"):
        target = f"{Path(name).stem}_9km.nc"
        qgis.results("xsm:regridease9km", DS=q / name, LIKE=q / "smap.nc", OUTPUT=q / target)
        command("regrid-ease9km", c / name, c / target, "--like", c / "smap.nc")
    filling = {"VARIABLES": FILLED, "MODEL": "pretrained"}
    qgis.results("xsm:gapfillcru", DS=q / "smap.nc", **filling, OUTPUT=q / "filled.nc")
    command("gapfill-cru", c / "smap.nc", c / "filled.nc", "--variables", FILLED, "--model", "pretrained")
    others = [q / "nldas_9km.nc", q / "soil_9km.nc"]
    qgis.results("xsm:cube", FIRST=q / "filled.nc", OTHERS=others, OUTPUT=q / "cube.nc")
    command("cube", c / "filled.nc", c / "nldas_9km.nc", c / "soil_9km.nc", c / "cube.nc")
    for depth in ("5", "25"):
        qgis.results("xsm:estimate", DS=q / "cube.nc", DEPTH=depth, OUTPUT=q / f"sm{depth}.nc")
        command("estimate", c / "cube.nc", c / f"sm{depth}.nc", "--depth", depth)
        few = {"STATIONS": q / "stations.csv", "MIN_DAYS": 10}
        qgis.results("xsm:validate", DS=q / f"sm{depth}.nc", **few, OUTPUT=q / f"scores{depth}.csv")
        command("validate", c / f"sm{depth}.nc", c / "stations.csv", c / f"scores{depth}.csv", "--min-days", 10)

    maps = ("smap.nc", "nldas_9km.nc", "soil_9km.nc", "filled.nc", "cube.nc", "sm5.nc", "sm25.nc")
    for name in maps:
        assert_equal(q / name, c / name)
    assert np.isfinite(files.read(q / "sm25.nc")["sm_25cm"].values).mean() > 0.5
    for name in ("stations.csv", "scores5.csv", "scores25.csv"):
        assert (q / name).read_bytes() == (c / name).read_bytes()
    assert epsg(f'NETCDF:"{q / "sm25.nc"}":sm_25cm') == "EPSG:6933"


CHAIN = """
from processing.core.Processing import Processing
from xsm_qgis.provider import XsmProvider
Processing.initialize()
known = XsmProvider()
QgsApplication.processingRegistry().addProvider(known)
from qgis.core import (QgsProcessingModelAlgorithm, QgsProcessingModelChildAlgorithm, QgsProcessingModelOutput,
                       QgsProcessingModelChildParameterSource as Source)
model = QgsProcessingModelAlgorithm("chain", "test")
estimate = QgsProcessingModelChildAlgorithm("xsm:estimate")
estimate.addParameterSources("DS", [Source.fromStaticValue(task["cube"])])
first = model.addChildAlgorithm(estimate)
warp = QgsProcessingModelChildAlgorithm("gdal:warpreproject")
warp.setChildId("warp")
warp.addParameterSources("INPUT", [Source.fromChildOutput(first, "MAP")])
warp.addParameterSources("TARGET_CRS", [Source.fromStaticValue("EPSG:4326")])
warp.addParameterSources("OUTPUT", [Source.fromStaticValue(task["warped"])])
model.addChildAlgorithm(warp)
answer = model.toFile(task["model"])
"""


@pytest.mark.slow
def test_the_first_map_goes_on_to_a_step_of_another_provider(qgis, tmp_path):
    """A file of several variables has no map that QGIS opens; MAP is one of them."""
    files.write(xsm.example("cube", size=12, days=12), tmp_path / "cube.nc")
    task = {"cube": str(tmp_path / "cube.nc"), "warped": str(tmp_path / "out.tif"), "model": str(tmp_path / "a.model3")}
    assert inside(qgis, CHAIN, task)
    done = qgis("--json", "run", task["model"])
    assert done.returncode == 0, done.stderr
    with rasterio.open(task["warped"]) as file:
        assert (file.count, file.crs.to_epsg()) == (12, 4326)
        assert 0.05 < np.nanmean(file.read(masked=True).filled(np.nan)) < 0.5


def test_geotiff_of_an_estimate(qgis, tmp_path):
    """Days as band names, units, statistics and a style, all that QGIS needs to write nothing beside the file."""
    cube = tmp_path / "cube.nc"
    files.write(xsm.example("cube", size=16, days=12), cube)
    by_qgis = tmp_path / "out.tif"
    results = qgis.results("xsm:estimate", DS=cube, OUTPUT=by_qgis)
    assert results["OUTPUT"] == results["FILES"][0] == str(by_qgis)
    assert str(tmp_path / "out_sm_5cm_std.tif") in results["FILES"]
    assert set(results["FILES"]) == {str(p) for p in tmp_path.glob("*.tif")}
    command("estimate", cube, tmp_path / "cli.nc")
    expected = files.read(tmp_path / "cli.nc")["sm_5cm"]
    with rasterio.open(by_qgis) as file:
        np.testing.assert_array_equal(file.read(), expected.values)
        assert file.descriptions == tuple(expected["time"].values.astype("M8[D]").astype(str))
        assert set(file.units) == {"m3 m-3"}
        tags = file.tags(12)
    day = expected.values[11].astype("f8")
    for name, value in (("MINIMUM", np.nanmin(day)), ("MEAN", np.nanmean(day)), ("STDDEV", np.nanstd(day))):
        assert float(tags[f"STATISTICS_{name}"]) == pytest.approx(value, rel=1e-12)
    assert "singlebandpseudocolor" in (tmp_path / "out.qml").read_text()
    assert epsg(str(by_qgis)) == "EPSG:6933"
    (tmp_path / "out.tif.aux.xml").write_text("<PAMDataset/>")
    qgis.results("xsm:texture", DS=cube, OUTPUT=by_qgis)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == ["cli.nc", "cube.nc", "out.qml", "out.tif"], "nothing of the first run stays beside the second"
    assert "paletted" in (tmp_path / "out.qml").read_text()


@pytest.mark.slow
def test_a_fusion_equals_the_command_line_and_is_loaded_as_maps(qgis, tmp_path):
    """The form's own defaults, from a file in which land cover is a coordinate."""
    pytest.importorskip("lightgbm")
    cube = tmp_path / "cube.nc"
    files.write(xsm.example("cube", size=12, days=60), cube)
    results = qgis.results("xsm:fuse", DS=cube, OUTPUT=tmp_path / "qgis.nc")
    assert results["OUTPUT"] == str(tmp_path / "qgis.nc")
    command("fuse", cube, tmp_path / "cli.nc")
    assert_equal(tmp_path / "qgis.nc", tmp_path / "cli.nc")
    fused = files.read(tmp_path / "qgis.nc")
    assert fused.attrs["method"] == "fuse"
    assert float(fused["sm_25cm"].notnull().mean()) > 0.9
    coloured = {name for name in map_names(fused) if style_of(name)}
    assert coloured == {"sm_5cm", "sm_5cm_std", "sm_25cm", "sm_25cm_std"}


@pytest.mark.parametrize(
    ("algorithm", "values", "sentence"),
    [
        ("texture", {"DS": "missing.nc", "OUTPUT": "out.nc"}, "missing.nc' does not exist. Give a .nc"),
        ("texture", {"DS": "text.nc", "OUTPUT": "out.nc"}, "text.nc' is not a NetCDF file. Get the file again"),
        ("texture", {"DS": "text.nc", "OUTPUT": "out.xyz"}, "“.xyz” files are not supported"),
        ("texture", {"DS": "missing.nc", "OUTPUT": "text.nc/out.nc"}, "missing.nc' does not exist"),
        ("texture", {"OUTPUT": "out.nc"}, "DS"),
        ("estimate", {"DS": "text.nc", "DEPTH": 7, "OUTPUT": "out.nc"}, "DEPTH"),
        ("estimate", {"DS": "text.nc", "SCENARO": 2, "OUTPUT": "out.nc"}, "Unknown parameter SCENARO of xsm:estimate"),
        ("validate", {"DS": "text.nc", "STATIONS": "text.nc", "MIN_DAYS": 1, "OUTPUT": "o.csv"}, "MIN_DAYS"),
        ("validate", {"DS": "good.nc", "OUTPUT": "o.csv"}, "STATIONS"),
        ("open", {"SOURCE": "smpa", "PATHS": ".", "OUTPUT": "out.nc"}, "Unknown source 'smpa'. Did you mean 'smap'?"),
        ("open", {"SOURCE": "smap", "PATHS": ".", "REGION_NAME": "conu", "OUTPUT": "o.nc"}, "Did you mean 'conus'?"),
        (
            "open",
            {"SOURCE": "smap", "PATHS": ".", "REGION": "-99,-98,35,36", "REGION_NAME": "conus", "OUTPUT": "o.nc"},
            "REGION and REGION_NAME are both set",
        ),
        ("nothing", {}, "xsm:nothing"),
    ],
    ids=lambda v: v if isinstance(v, str) else None,
)
def test_failure_ends_with_its_sentence(qgis, cube, tmp_path, algorithm, values, sentence):
    """Exit code 1, one sentence and no output, whatever QGIS or the core refuses."""
    (tmp_path / "text.nc").write_text("some text")
    values = {n: cube if v == "good.nc" else v for n, v in values.items()}
    inputs = {n: tmp_path / v if n in ("DS", "STATIONS", "OUTPUT") else v for n, v in values.items()}
    done = qgis.run(f"xsm:{algorithm}", **inputs)
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stdout + done.stderr).count(sentence) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["text.nc"]


CRASHES = """#!/bin/sh
case "$*" in
  *run) {crash} ;;
  *) exec {python} "$@" ;;
esac
"""


@posix
@pytest.mark.parametrize(
    ("crash", "sentence"),
    [
        ("kill -SEGV $$", "The core was killed by SIGSEGV without a result"),
        ("kill -KILL $$", "The core was killed by SIGKILL (out of memory?) without a result"),
        ("echo last words >&2; exit 3", "The core ended with exit code 3 without a result: last words"),
    ],
    ids=["segmentation fault", "out of memory", "exit"],
)
def test_crashing_core_is_reported(qgis, tmp_path, crash, sentence):
    python = tmp_path / "python"
    python.write_text(CRASHES.format(crash=crash, python=sys.executable))
    python.chmod(0o755)
    other = replace(qgis, env=qgis.env | {"XSM_PYTHON": str(python)})
    done = other.run("xsm:texture", DS=tmp_path / "a.nc", OUTPUT=tmp_path / "out.nc")
    assert done.returncode == 1
    assert sentence in done.stderr


@posix
@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("/nowhere/python", "There is no Python at '/nowhere/python', which the environment variable XSM_PYTHON names"),
        ("/usr/bin/false", "'/usr/bin/false' cannot run xsm. The core ended with exit code 1"),
        ("broken", "The core ended with exit code 3 without a result: last words"),
    ],
)
def test_wrong_interpreter_is_reported(qgis, tmp_path, python, sentence):
    if python == "broken":
        python = tmp_path / python
        python.write_text("#!/bin/sh\necho what came before >&2\necho last words >&2\nexit 3\n")
        python.chmod(0o755)
    other = replace(qgis, env=qgis.env | {"XSM_PYTHON": str(python)})
    for algorithm in ("checkinstallation", "texture"):
        values = {} if algorithm == "checkinstallation" else {"DS": tmp_path / "a.nc", "OUTPUT": tmp_path / "b.nc"}
        done = other(*other.arguments(f"xsm:{algorithm}", values)[1:])
        assert done.returncode == 1
        assert sentence in done.stdout + done.stderr
        assert "xsm qgis install" in done.stdout + done.stderr
        assert ("what came before" in done.stdout) == (python == tmp_path / "broken"), "the details are in the log"


def processes(mark: str, text: bytes = b"") -> list[int]:
    """Processes that have a mark in their environment, with a text in their command line: QGIS, core and children."""
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if state[0] != "Z" and text in (entry / "cmdline").read_bytes():
                    pids.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return pids


@pytest.fixture(scope="module")
def granules(tmp_path_factory) -> Path:
    """SMAP granules of the whole globe, which processes of their own read into a Zarr store."""
    folder = tmp_path_factory.mktemp("granules") / "made"
    xsm.example_files(folder, size=16, days=8)
    return folder / "SMAP"


def test_reading_the_globe_warns(granules):
    """The granules are global: without a region somebody may wait for what was not meant."""
    with speaking("form"), pytest.warns(UserWarning, match="All cells are read, 2.3 GB: give 'Region' to read less"):
        xsm.open("smap", granules)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="All cells")
        xsm.open("smap", granules, region="conus", variables=["tb_h"])


EAGER = """#!/bin/sh
exec {python} -I -c 'import sys, xsm.compute.workers, xsm.compute.zarr_regions
xsm.compute.workers.WORTH, xsm.compute.zarr_regions.CHUNKS["time"] = 0, 1
from xsm.faces.worker import main
sys.exit(main(sys.argv[-1:]))' "$@"
"""


@pytest.fixture(scope="module")
def eager(tmp_path_factory) -> Path:
    """This Python, with a core that takes processes for few data too."""
    python = tmp_path_factory.mktemp("eager") / "python"
    python.write_text(EAGER.format(python=sys.executable))
    python.chmod(0o755)
    return python


@posix
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["cancelled", "QGIS killed"])
@pytest.mark.parametrize("work", ["estimate", "open with children"])
def test_stopped_run_leaves_no_process_and_no_file(qgis, cube, granules, eager, tmp_path, work, how, record_property):
    """Stop a run that has begun to write; Ctrl+C is what qgis_process has for the button Cancel."""
    algorithm, values, children = {
        "estimate": ("xsm:estimate", {"DS": cube, "OUTPUT": tmp_path / "out.nc"}, 0),
        "open with children": (
            "xsm:open",
            {"SOURCE": "smap", "PATHS": granules, "VARIABLES": "tb_h,tb_v", "OUTPUT": tmp_path / "out.zarr"},
            2,
        ),
    }[work]
    argv = [qgis.executable, *qgis.arguments(algorithm, values)]
    mark, pipe = f"XSM_TEST_MARK={tmp_path}", subprocess.PIPE
    env = qgis.env | {"XSM_TEST_MARK": str(tmp_path), "XSM_THREADS": "2", "XSM_PYTHON": str(eager)}
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        wait_for(lambda: any(tmp_path.iterdir()) and len(processes(mark, b"spawn_main")) >= children, 120)
        assert processes(mark, b"xsm worker".replace(b" ", bytes(1)))
        begun, limit = time.monotonic(), most_seconds()
        process.send_signal(how)
        _, printed = process.communicate(timeout=60)
        wait_for(lambda: not processes(mark), limit - (time.monotonic() - begun))
        record_property("seconds", round(time.monotonic() - begun, 2))
        print(f"{work}, {how.name}: all processes gone after {time.monotonic() - begun:.2f} s of {limit:.1f} s")
    assert list(tmp_path.iterdir()) == []
    if how == signal.SIGINT:
        assert process.returncode == 1
        assert "cancelled" in printed


def wait_for(condition, limit: float) -> None:
    """Wait until something is so; not within the limit is a failure."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
