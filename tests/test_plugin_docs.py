"""What the plugin pages show works: their files are written word for word, installed and tested as a reader would."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.outsider import files_of, install, run, write

DOCS = Path(__file__).parents[1] / "docs"
PAGES = DOCS / "plugins"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="needs a checkout of the repository")


@pytest.mark.parametrize(
    ("page", "listing", "name"), [("source.md", "sources", "acme"), ("model.md", "models", "cycle")]
)
def test_plugin_written_from_the_page_keeps_the_contract(page, listing, name, tmp_path):
    project = write(PAGES / page, tmp_path / "project")
    env = install(tmp_path / "site", project)
    listed = json.loads(run(sys.executable, "-m", "xsm", listing, "--json", env=env))
    assert name in [row["name"] for row in listed]
    tests = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", project / "tests")
    assert " passed" in run(*tests, env=env, cwd=tmp_path)


def test_first_source_has_forty_lines():
    code = [text for path, text in files_of(PAGES / "source.md").items() if path.startswith("src/")]
    lines = [line for text in code for line in text.splitlines() if line.strip()]
    assert len(code) == 2
    assert len(lines) <= 40, len(lines)


@pytest.mark.slow
def test_third_sensor_goes_all_the_way(tmp_path):
    """docs/examples/xsm-cgls-swi: its own tests, the example, the command line, and what QGIS gets."""
    project = DOCS / "examples" / "xsm-cgls-swi"
    env = install(tmp_path / "site", project)
    tests = project / "tests"
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, env=env, cwd=tmp_path)
    printed = run(sys.executable, "-W", "ignore", project / "example.py", tmp_path / "data", env=env, cwd=tmp_path)
    assert printed.splitlines()[0] == "['tb_h', 'tb_v', 'swi'] percent"
    assert int(printed.splitlines()[1].split()[0]) > 5000
    xsm = (sys.executable, "-m", "xsm")
    run(*xsm, "open", "cgls_swi", tmp_path / "data/CGLS_SWI", tmp_path / "swi.nc", "-o", "scale=5", env=env)
    run(*xsm, "open", "smap", tmp_path / "data/SMAP", tmp_path / "smap.nc", "--region=-98.6,35.4,-97.4,36.4", env=env)
    out = tmp_path / "index.nc"
    run(*xsm, "soil-water-index", tmp_path / "smap.nc", out, "--variable", "sm_dca", "--scale", "5", env=env)
    assert out.exists()
    described = json.loads(run(sys.executable, "-m", "xsm", "worker", "describe", env=env))
    assert described["sources"]["cgls_swi"]["options"][0]["name"] == "scale"
    operation = next(op for op in described["operations"] if op["id"] == "soil_water_index")
    assert operation["analyst"]
    assert [p["name"] for p in operation["params"]] == ["ds", "variable", "scale"]
