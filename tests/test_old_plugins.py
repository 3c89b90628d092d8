"""Plugins written for plugin API 1, unchanged: they are installed, listed, and their sources and models work."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.outsider import install, run, write
from xsm.contracts.loading import load
from xsm.twin import default_grid, make_world, write_world

PAGES = Path(__file__).parent / "old_plugin"
XSM = (sys.executable, "-m", "xsm")
ADAPTED = "written for plugin API 1, runs through an adapter until the next minor release"


@pytest.fixture(scope="module")
def projects(tmp_path_factory) -> list[Path]:
    return [write(page, tmp_path_factory.mktemp(page.stem)) for page in sorted(PAGES.glob("*.md"))]


@pytest.fixture(scope="module")
def env(projects, tmp_path_factory) -> dict[str, str]:
    """Environment with a source, a source with an option and an operation, and a model of API 1."""
    return install(tmp_path_factory.mktemp("site"), *projects)


@pytest.fixture(scope="module")
def sensor(tmp_path_factory) -> Path:
    """Two files of the template's product, a day apart."""
    folder = tmp_path_factory.mktemp("sensor")
    for day, value in (("2021-06-01", 0.2), ("2021-06-03", 0.3)):
        ds = xr.Dataset(
            {"soil_moisture": (("time", "lat", "lon"), np.full((1, 4, 5), value, "f4"), {"units": "m3 m-3"})},
            {"time": [np.datetime64(day, "ns")], "lat": 35 + 0.5 * np.arange(4), "lon": -99 + 0.5 * np.arange(5)},
        )
        ds.to_netcdf(folder / f"mysensor_{day}.nc")
    return folder


def test_they_are_listed_with_the_adapter(env):
    rows = {row["name"]: row for row in json.loads(run(*XSM, "plugins", "--json", env=env))}
    for name in ("mysensor", "cgls_swi", "cycle"):
        assert (rows[name]["status"], rows[name]["reason"]) == ("ok", ADAPTED)
    assert rows["tiny"]["reason"] == ""


def test_their_own_tests_pass(env, projects, tmp_path):
    """The contract of sources and models among them."""
    tests = [project / "tests" for project in projects]
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, env=env, cwd=tmp_path)


def test_source_opens_in_python_and_in_the_shell(env, sensor, tmp_path):
    code = f"""
import xsm
ds = xsm.open("mysensor", {str(sensor)!r}, region=(-98.2, 35.4, -97.4, 36.1), margin=0, time="2021-06-02/2021-06-03")
print(dict(ds.sizes), float(ds["soil_moisture"].max()))
"""
    opened = run(sys.executable, "-W", "ignore", "-c", code, env=env)
    assert opened.split("}") == ["{'time': 2, 'lat': 2, 'lon': 2", f" {np.float32(0.3).item()}\n"]
    run(*XSM, "open", "mysensor", sensor, tmp_path / "cube.nc", env=env)
    with xr.open_dataset(tmp_path / "cube.nc") as ds:
        assert ds["soil_moisture"].isel(time=1).isnull().all() and ds.sizes["time"] == 3


def test_option_of_a_source_and_its_operation(env, tmp_path):
    code = f"""
from xsm.twin import default_grid, make_world, write_world
write_world(make_world(default_grid(8), 3, seed=0), {str(tmp_path)!r}, ["cgls_swi"])
"""
    run(sys.executable, "-W", "ignore", "-c", code, env=env)
    run(*XSM, "open", "cgls_swi", tmp_path / "CGLS_SWI", tmp_path / "swi.nc", "-o", "scale=5", env=env)
    with xr.open_dataset(tmp_path / "swi.nc") as ds:
        assert ds["swi"].attrs["long_name"] == "Soil water index, 005 days"
    run(*XSM, "soil-water-index", tmp_path / "swi.nc", tmp_path / "index.nc", "--variable", "swi", env=env)
    assert (tmp_path / "index.nc").exists()


def test_model_fills_gaps_in_the_shell(env, tmp_path):
    write_world(make_world(default_grid(8), 30, seed=0), tmp_path, ["smap"])
    smap = xsm.open("smap", tmp_path / "SMAP", region=default_grid(8), margin=0, variables=["tb_h"])
    smap.to_netcdf(tmp_path / "smap.nc")
    run(*XSM, "gapfill", tmp_path / "smap.nc", tmp_path / "filled.nc", "--method", "cycle", env=env)
    with xr.open_dataset(tmp_path / "filled.nc") as ds:
        assert ds["tb_h"].notnull().sum() > 0.9 * 30 * 64 and "tb_h_std" in ds


def test_names_that_moved_warn_the_line_of_the_plugin(tmp_path, monkeypatch):
    """Also `xsm.tell` with the argument that it had."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "old_teller.py").write_text(
        "import xsm\nXSM_PLUGIN_API = 1\n"
        "def warn():\n    xsm.tell('a file is odd', stacklevel=3)\n"
        "INFO = xsm.SourceInfo('old_teller', 't', 'nowhere:Nothing', variables=('tb_h',))\n"
        "@xsm.hookimpl\ndef xsm_sources(register):\n    register(INFO)\n"
    )
    with pytest.warns(FutureWarning, match=r"xsm\.\w+ is now xsm\.plugin_api\.\w+") as caught:
        plugin = load([EntryPoint("old_teller", "old_teller", "xsm")], strict=True).plugins["old_teller"]
    assert (plugin.status, plugin.reason, plugin.api) == ("ok", ADAPTED, 1)
    assert {Path(w.filename).name for w in caught} == {"old_teller.py"}
    with pytest.warns(UserWarning, match="a file is odd"), pytest.warns(FutureWarning, match=r"xsm\.tell"):
        sys.modules["old_teller"].warn()
