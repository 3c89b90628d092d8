"""``import xsm`` and ``xsm --help`` stay light, and a broken plugin breaks neither."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "numba", "dask", "rasterio", "matplotlib", "scipy", "pyresample")
HELP = """
from xsm.faces.cli import main
try:
    main(["--help"])
except SystemExit as stop:
    assert not stop.code
"""


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=120,
    )


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """Environment with an installed plugin that cannot be imported."""
    (tmp_path / "xsm_broken.py").write_text("raise RuntimeError('broken on purpose')\n")
    info = tmp_path / "xsm_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: xsm-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[xsm]\nbroken = xsm_broken\n")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "XSM_PLUGINS_STRICT": "0"}


@pytest.mark.parametrize(
    "code",
    ["import xsm", "import xsm; xsm.plugins(); xsm.sources(); xsm.operations()", HELP],
    ids=["xsm", "plugins", "help"],
)
def test_heavy_libraries_load_on_first_use(code: str) -> None:
    report = f"import sys; print('LOADED', *(m for m in {HEAVY!r} if m in sys.modules))"
    done = python(f"{code}\n{report}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_import_registers_the_accessor() -> None:
    done = python("import xsm, xarray; print(dir(xarray.Dataset().sm))")
    assert done.returncode == 0, done.stderr
    assert "'estimate'" in done.stdout


def test_help_works_with_a_broken_plugin(broken: dict[str, str]) -> None:
    done = python(HELP, **broken)
    assert done.returncode == 0, done.stderr
    assert "Usage: xsm" in done.stdout


def test_broken_plugin_is_reported_with_its_reason(broken: dict[str, str]) -> None:
    done = python("import xsm; p = xsm.plugins()['broken']; print(p.status, p.reason)", **broken)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("failed RuntimeError: broken on purpose (")
    assert "xsm_broken.py, line 1)" in done.stdout
