"""Runs of a real qgis_process for the tests (marker ``qgis``), with a profile of their own.

Each call costs about a second of QGIS itself and one or two of the core's imports.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from xsm.faces.qgis import plugin_folder

CLEAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # a virtual environment's python3 first on PATH crashes QGIS
NAMES = ("qgis_process.bin", "qgis_process")  # Debian 12's wrapper is broken


def start(argv: list, env: dict[str, str]) -> subprocess.CompletedProcess:
    """Run a command in an environment; returns what it printed."""
    kwargs = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 240}
    return subprocess.run([str(a) for a in argv], check=False, env=env, **kwargs)


@dataclass(frozen=True)
class QgisProcess:
    """Calls of qgis_process in one environment."""

    executable: str
    env: dict[str, str]

    def __call__(self, *args: str, **env: str) -> subprocess.CompletedProcess:
        """Run with these arguments; keywords are further environment variables."""
        return start([self.executable, *args], self.env | env)

    @staticmethod
    def arguments(algorithm: str, values: dict[str, Any]) -> list[str]:
        """Arguments that run an algorithm; a list repeats its parameter."""
        pairs = [(n, v) for n, value in values.items() for v in (value if isinstance(value, list) else [value])]
        return ["--json", "run", algorithm, "--", *(f"{name}={value}" for name, value in pairs)]

    def run(self, algorithm: str, **values: Any) -> subprocess.CompletedProcess:
        """Run an algorithm."""
        return self(*self.arguments(algorithm, values))

    def results(self, algorithm: str, **values: Any) -> dict[str, Any]:
        """Run an algorithm that must succeed; returns its results."""
        done = self.run(algorithm, **values)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout[done.stdout.index("{") :])["results"]


def most_seconds() -> float:
    """How long ending a run may take: 4 s on an idle machine, longer in proportion to its load."""
    return 4.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


INSIDE = """
import json, os, sys
from qgis.core import (Qgis, QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProject, QgsRasterLayer,
                       QgsVectorLayer, QgsProcessingParameterDefinition)
app = QgsApplication([], False)
app.initQgis()
sys.path += [os.path.join(QgsApplication.pkgDataPath(), "python", "plugins"), os.environ["QGIS_PLUGINPATH"]]
task = json.loads(sys.argv[1])
{body}
print("ANSWER" + json.dumps(answer))
"""


def inside(process: QgisProcess, body: str, task: Any = None) -> Any:
    """Run lines in QGIS's own Python, which read `task` and set `answer`; skips if PyQGIS is not importable."""
    python = shutil.which("python3", path=CLEAN_PATH)
    if python is None or start([python, "-c", "import qgis.core"], process.env).returncode:
        pytest.skip("PyQGIS is not importable from the system's python3")
    done = start([python, "-c", INSIDE.replace("{body}", body), json.dumps(task)], process.env)
    assert "ANSWER" in done.stdout, done.stderr
    return json.loads(done.stdout.split("ANSWER")[1].splitlines()[0])


def executable() -> str | None:
    """Path of qgis_process, by the variable QGIS_PROCESS or its usual names."""
    names = (os.environ.get("QGIS_PROCESS"), *NAMES)
    return next((path for n in names if n and (path := shutil.which(n))), None)


def environment(home: Path) -> dict[str, str]:
    """Make a profile with the plugin of this tree and this Python, poisoned as QGIS's launchers do."""
    home.chmod(0o700)
    for number in "34":
        ini = home / f"profiles/default/QGIS/QGIS{number}.ini"
        ini.parent.mkdir(parents=True, exist_ok=True)
        ini.write_text("[PythonPlugins]\nxsm_qgis=true\n")
    passed = {n: os.environ[n] for n in ("OMP_NUM_THREADS", "NUMBA_CACHE_DIR") if n in os.environ}
    return passed | {
        "PATH": CLEAN_PATH, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "QT_QPA_PLATFORM": "offscreen",
        "LANG": "C.UTF-8", "QGIS_CUSTOM_CONFIG_PATH": str(home), "QGIS_PLUGINPATH": str(plugin_folder().parent),
        "XSM_PYTHON": sys.executable, "PROJ_LIB": "/usr/share/proj", "GDAL_DATA": "/usr/share/gdal",
        "PYTHONEXECUTABLE": "/usr/bin/python3", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
