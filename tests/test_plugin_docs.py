"""What the plugin pages tell works: their files, written word by word, are installed and tested as outsiders would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
FILES = re.compile(r"^```\{code-block\} \w+\n:caption: '`(\S+)`'\n(.*?)^```", re.M | re.S)

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="needs a checkout of the repository")


def files_of(page: str) -> dict[str, str]:
    return dict(FILES.findall((DOCS / "plugins" / page).read_text(encoding="utf-8")))


def run(*command: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run([str(c) for c in command], env=env, cwd=cwd, capture_output=True, text=True, timeout=240)  # noqa: PLW1510
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def install(project: Path, site: Path) -> dict[str, str]:
    """Install a distribution into a folder; gives the environment in which it is seen."""
    pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps")
    run(*pip, "--no-build-isolation", "--target", site, project)
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


@pytest.mark.parametrize(
    ("page", "listing", "name"), [("source.md", "sources", "acme"), ("model.md", "models", "cycle")]
)
def test_plugin_written_from_the_page_keeps_the_contract(page, listing, name, tmp_path):
    for path, text in files_of(page).items():
        target = tmp_path / "project" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    env = install(tmp_path / "project", tmp_path / "site")
    listed = json.loads(run(sys.executable, "-m", "xsm", listing, "--json", env=env))
    assert name in [row["name"] for row in listed]
    tests = tmp_path / "project" / "tests"
    told = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, env=env, cwd=tmp_path)
    assert " passed" in told


def test_first_source_has_forty_lines():
    code = [text for path, text in files_of("source.md").items() if path.startswith("src/")]
    lines = [line for text in code for line in text.splitlines() if line.strip()]
    assert len(code) == 2
    assert len(lines) <= 40, len(lines)


def test_third_sensor_goes_all_the_way(tmp_path):
    """docs/examples/xsm-ascat: its own tests, the example, the command line, and what QGIS is told."""
    project = DOCS / "examples" / "xsm-ascat"
    env = install(project, tmp_path / "site")
    tests = project / "tests"
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, env=env, cwd=tmp_path)
    told = run(sys.executable, "-W", "ignore", project / "example.py", tmp_path / "data", env=env, cwd=tmp_path)
    assert told.splitlines()[0] == "['tb_h', 'tb_v', 'swi'] percent"
    assert int(told.splitlines()[1].split()[0]) > 5000
    xsm = (sys.executable, "-m", "xsm")
    run(*xsm, "open", "ascat", tmp_path / "data/ASCAT", tmp_path / "swi.nc", "-o", "scale=5", env=env)
    run(*xsm, "open", "smap", tmp_path / "data/SMAP", tmp_path / "smap.nc", "--region=-98.6,35.4,-97.4,36.4", env=env)
    out = tmp_path / "index.nc"
    run(*xsm, "soil-water-index", tmp_path / "smap.nc", out, "--variable", "sm_dca", "--scale", "5", env=env)
    assert out.exists()
    described = json.loads(run(sys.executable, "-m", "xsm", "worker", "describe", env=env))
    assert described["sources"]["ascat"]["options"][0]["name"] == "scale"
    operation = next(op for op in described["operations"] if op["id"] == "soil_water_index")
    assert operation["analyst"]
    assert [p["name"] for p in operation["params"]] == ["ds", "variable", "scale"]
