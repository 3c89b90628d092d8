"""A cube, stations and estimates of the twin, and the report of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.report_page import DAYS, TRAINED
from xsm.data.grids import grid_of
from xsm.ops.report import report
from xsm.reporting import theme


@pytest.fixture(scope="package", autouse=True)
def _coarse_images() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theme, "DPI", 40)
        yield


@pytest.fixture(scope="package")
def cube() -> xr.Dataset:
    cube = xsm.example("cube", size=24, days=DAYS).drop_vars("obs_time")  # else filled days drop out for want of a time
    cube["sm_dca"][:, :3, :3] = np.nan  # never observed
    cube["frozen"][70:74] = True
    cube["sm_dca_observed"] = np.isfinite(cube["sm_dca"])
    filled = cube["sm_dca"].interpolate_na("time")  # what a gap filling leaves: no longer what was observed
    cube["sm_dca"] = filled.assign_attrs(cube["sm_dca"].attrs)
    return cube


@pytest.fixture(scope="package")
def stations() -> xr.Dataset:
    stations = xsm.example("stations", size=24, days=DAYS)
    good = stations["flag"] == 0
    return stations.assign(soil_moisture=stations["soil_moisture"].where(good).assign_attrs(units="m3 m-3"))


@pytest.fixture(scope="package")
def estimates(cube: xr.Dataset) -> xr.Dataset:
    truth = xsm.example("truth", size=24, days=DAYS)
    rng = np.random.default_rng(0)
    attrs = {"model_training": TRAINED, "note": "<b>bold</b> & more"}
    out = xr.Dataset(attrs={"synthetic": cube.attrs["synthetic"], **attrs})
    for name, noise in (("sm_5cm_s1", 0.05), ("sm_5cm_s2", 0.04), ("sm_25cm_s1", 0.04), ("sm_25cm_s2", 0.03)):
        values = truth[name[:-3]] + rng.normal(0, noise, truth["sm_5cm"].shape)
        values[:2] = np.nan  # the look-back
        out[name] = values.clip(0.02, 0.6).astype("f4").assign_attrs(units="m3 m-3", model_hash=f"hash-of-{name}")
        out[f"{name}_std"] = xr.full_like(out[name], noise).where(np.isfinite(out[name]))
    return grid_of(cube).assign(out.assign(frozen=cube["frozen"]))  # type: ignore[union-attr]


@pytest.fixture(scope="package")
def full(
    tmp_path_factory: pytest.TempPathFactory, estimates: xr.Dataset, cube: xr.Dataset, stations: xr.Dataset
) -> Path:
    lazy = {"time": 40, "y": 12, "x": 12}
    folder = tmp_path_factory.mktemp("full")
    return report(
        estimates.chunk(lazy), folder / "new" / "report.html", cube=cube.chunk(lazy), stations=stations,
        title="Demo <script>alert(1)</script>",
    )  # fmt: skip
