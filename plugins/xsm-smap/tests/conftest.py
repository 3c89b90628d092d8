"""A tiny hand-made world (no twin), its granules, and the real files."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from xsm import EASE2_M09, Grid
from xsm.plugin_api import Area
from xsm_smap.layout import FIELDS
from xsm_smap.write import write

RANGES = {"tb_h": (180, 280), "tb_v": (200, 300), "surface_temperature": (255, 310), "roughness": (0, 2.5)}


def make_pass(grid: Grid, days: np.ndarray, land: np.ndarray, *, hour: float, seed: int) -> xr.Dataset:
    """One pass in canonical form: a swath edge through the window, water cells, values beyond valid_max."""
    rng = np.random.default_rng(seed)
    shape = (len(days), *grid.shape)
    observed = np.arange(grid.cols) < rng.integers(1, grid.cols + 1, (len(days), 1, 1))
    observed = np.broadcast_to(observed, shape).copy()
    ok = observed & land
    fields = {}
    for name in FIELDS:
        low, high = RANGES.get(name, (0.02, 0.7))
        if name == "obs_time":
            spread = rng.integers(-5_400_000, 5_400_000, shape).astype("m8[ms]")
            times = days[:, None, None].astype("M8[ms]") + np.timedelta64(int(hour * 3600e3), "ms") + spread
            values = np.where(observed, times.astype("M8[ns]"), np.datetime64("NaT"))
        elif name == "retrieval_flag":
            values = np.where(ok, rng.choice([0, 1, 8, 9], shape), np.where(observed, 15, 65534)).astype("u2")
        elif name == "surface_flag":
            values = np.where(ok, rng.integers(0, 2048, shape), np.where(observed, 7, 65534)).astype("u2")
        else:
            values = np.where(ok, rng.uniform(low, high, shape), np.nan).astype("f4")
        fields[name] = (("time", "y", "x"), values)
    return grid.assign(xr.Dataset(fields, {"time": days.astype("M8[ns]")}))


def make_world(days: int = 4, *, outage: int | None = 2, seed: int = 1) -> SimpleNamespace:
    """Days of 6 x 9 cells in Iowa, one of them without any observation."""
    grid = EASE2_M09.window(300, 306, 920, 929)
    axis = np.datetime64("2022-06-01") + np.arange(days)
    land = np.ones(grid.shape, bool)
    land[2, 3:5] = False
    smap, evening = (make_pass(grid, axis, land, hour=h, seed=seed + i) for i, h in enumerate((12.5, 12.9)))
    if outage is not None:
        for values in smap.data_vars.values():
            values[outage] = {"u": 65534, "M": np.datetime64("NaT", "ns"), "f": np.nan}[values.dtype.kind]
    return SimpleNamespace(
        grid=grid,
        days=axis,
        seed=seed,
        bbox=grid.bbox,
        smap=smap,
        pm=evening,
        truth=xr.Dataset({"land": (("y", "x"), land)}),
        attrs={"synthetic": "hand-made for tests"},
    )


@pytest.fixture(scope="session")
def world() -> SimpleNamespace:
    return make_world()


@pytest.fixture(scope="session")
def area(world: SimpleNamespace) -> Area:
    return Area(world.grid.bbox, world.grid)


@pytest.fixture(scope="session")
def granules(world: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Granules with AM only; tests must not change them."""
    return write(world, tmp_path_factory.mktemp("smap"))


@pytest.fixture
def both(world: SimpleNamespace, tmp_path: Path) -> list[Path]:
    """Granules with AM and PM, new for each test."""
    return write(world, tmp_path / "both", pm=world.pm)


@pytest.fixture(scope="session")
def real() -> Path:
    folder = os.environ.get("XSM_TEST_DATA")
    if not folder:
        pytest.skip("XSM_TEST_DATA is not set: the real SMAP files are not here")
    return Path(folder)
