"""Shared fixtures: a small cube with a known law, real data where present, a clean plugin manager, web servers."""

from __future__ import annotations

import os
import socket
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests import qgis_process
from tests.qgis_process import QgisProcess
from tests.web_server import Server
from xsm import __version__
from xsm.contracts import loading
from xsm.contracts.registry import manager
from xsm.data.grids import EASE2_M09
from xsm.data.scenarios import PREDICTORS, SCENARIOS
from xsm.errors import LIBRARIES
from xsm.io import files

UNITS = {
    "tb_h": "K",
    "tb_v": "K",
    "surface_temperature": "K",
    "vegetation_water_content": "kg m-2",
    "bulk_density": "g cm-3",
}


PHYSICAL = {
    "tb_h": (240, 1),
    "tb_v": (260, 1),
    "albedo": (0.1, 0.01),
    "roughness": (1, 0.1),
    "vegetation_opacity": (1, 0.1),
    "vegetation_water_content": (8, 1),
    "surface_temperature": (295, 1),
}
"""Mean and standard deviation."""


@pytest.fixture
def real_data() -> Path:
    """Folder of the real data, or skip."""
    folder = os.environ.get("XSM_TEST_DATA")
    if not folder:
        pytest.skip("XSM_TEST_DATA is not set: the folder with the real data files")
    return Path(folder)


@pytest.fixture
def fresh_plugins():
    """Load plugins again before and after a test."""
    manager.cache_clear()
    yield
    manager.cache_clear()


@pytest.fixture
def write_plugin(tmp_path, monkeypatch):
    """Write a module and return its entry point."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("xsm.contracts.loading.LIBRARIES", set(LIBRARIES))
    monkeypatch.setattr("xsm.errors.LIBRARIES", loading.LIBRARIES)

    def write(module, text):
        file = tmp_path / f"{module.replace('.', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return EntryPoint(module.replace(".", "_"), module, "xsm")

    yield write
    for name in [m for m in sys.modules if m.startswith("xp_")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def law_cube() -> xr.Dataset:
    """A cube of 40 x 45 cells and 60 days whose soil moisture is a linear law of its predictors; first 3 rows water."""
    rng = np.random.default_rng(7)
    grid = EASE2_M09.window(300, 340, 1000, 1045)
    time = np.arange("2021-06-01", "2021-07-31", dtype="M8[D]").astype("M8[ns]")
    shape = (len(time), *grid.shape)
    base = {n: rng.normal(size=shape).astype("f4") for n in PREDICTORS}
    soil = {
        n: np.broadcast_to(rng.uniform(20, 40, (1, *grid.shape)), (2, *grid.shape)).astype("f4")
        for n in ("sand", "silt")
    }
    soil["clay"] = (100 - soil["sand"] - soil["silt"]).astype("f4")
    soil["bulk_density"] = np.full((2, *grid.shape), 1.3, "f4")
    sm = (0.25 + 0.02 * base["tb_h"] - 0.03 * base["tb_v"] + 0.002 * (soil["clay"][:1] - 40)).astype("f4")
    variables = {
        n: (("time", "y", "x"), (PHYSICAL[n][0] + PHYSICAL[n][1] * v).astype("f4"), {"units": UNITS.get(n, "1")})
        for n, v in base.items()
    }
    variables |= {n: (("soil_depth", "y", "x"), v, {"units": UNITS.get(n, "percent")}) for n, v in soil.items()}
    observed = rng.random(shape) < 0.4
    retrieved = np.where(observed, sm, np.nan)
    for name, values in {"sm_noah_0_10": sm, "sm_noah_10_40": 0.8 * sm, "sm_dca": retrieved}.items():
        variables[name] = (("time", "y", "x"), values.astype("f4"), {"units": "m3 m-3"})
    land = np.ones(grid.shape, bool)
    land[:3] = False
    variables["land"] = (("y", "x"), land)
    return grid.assign(xr.Dataset(variables, {"time": time, "soil_depth": [5, 30]}))


@pytest.fixture(scope="session")
def ridge(law_cube):
    """The four ridge bundles of the law cube."""
    return {p: law_cube.sm.fit(depth=p[0], scenario=p[1], model="ridge") for p in SCENARIOS}


@pytest.fixture(scope="session")
def gappy() -> xr.Dataset:
    """Smooth brightness temperatures with gaps, fixed albedo, one cell and one corner without any value."""
    rng = np.random.default_rng(3)
    grid = EASE2_M09.window(350, 362, 900, 911)
    time = np.arange("2021-01-01", "2021-05-01", dtype="M8[D]").astype("M8[ns]")
    shape = (len(time), *grid.shape)
    wave = 250 + 10 * np.sin(np.arange(len(time))[:, None, None] / 9 + rng.uniform(0, 6, (1, *grid.shape)))
    observed = rng.random(shape) < 0.45
    observed[:, 0, 0] = False
    return grid.assign(
        xr.Dataset(
            {
                "tb_h": (("time", "y", "x"), np.where(observed, wave, np.nan).astype("f4"), {"units": "K"}),
                "albedo": (
                    ("time", "y", "x"),
                    np.where(observed, np.linspace(0.03, 0.09, 11), np.nan).astype("f4"),
                    {"units": "1"},
                ),
            },
            {"time": time},
        )
    )


@pytest.fixture(scope="session")
def qgis(tmp_path_factory) -> QgisProcess:
    """Qgis_process with the plugin of this tree, this Python, and an environment poisoned as QGIS's launchers do."""
    program = qgis_process.executable()
    if program is None:
        if os.environ.get("XSM_REQUIRE_QGIS"):
            pytest.fail("qgis_process not found but XSM_REQUIRE_QGIS is set")
        pytest.skip("qgis_process not found: install QGIS, or set QGIS_PROCESS")
    process = QgisProcess(program, qgis_process.environment(tmp_path_factory.mktemp("qgis")))
    done = process("plugins")
    if "* xsm_qgis" not in done.stdout:
        pytest.fail(f"the plugin did not load:\n{done.stdout}\n{done.stderr}")
    return process


@pytest.fixture(scope="session")
def checked(qgis) -> QgisProcess:
    """QGIS after the check of the installation, when it knows the sources and models of this environment."""
    assert qgis.results("xsm:checkinstallation") == {"PYTHON": sys.executable, "VERSION": __version__}
    return qgis


@pytest.fixture
def soil(law_cube, tmp_path) -> Path:
    """A file of soil fractions on a window of the 9 km EASE-Grid."""
    path = tmp_path / "soil.nc"
    files.write(law_cube[["sand", "silt", "clay"]], path)
    return path


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Create web servers; only this machine can be reached, there are no credentials, pauses are short."""
    from xsm.web import http as web

    look_up = socket.getaddrinfo

    def local_only(host, *args, **kwargs):
        assert host in ("127.0.0.1", "localhost"), f"a test wants to reach {host}"
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", local_only)
    monkeypatch.setattr(web, "BACKOFF", 0.01)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "*")
    for name in ("TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"EARTHDATA_{name}", raising=False)
    servers = []

    def make(host="127.0.0.1"):
        servers.append(Server(host))
        return servers[-1]

    yield make
    for server in servers:
        server.http.shutdown()
        server.http.server_close()
