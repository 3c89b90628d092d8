"""Maps that hardly vary warn wherever they are trained, estimated, scored and reported."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.station_world import make_maps, make_stations
from xsm.data.variation import ratios
from xsm.ops.validate import validate


def warned(call) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught if "hardly varies" in str(w.message)]


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    ds = xsm.example("cube", size=16, days=60)
    noise = np.random.default_rng(0).normal(size=ds["tb_h"].shape)
    return ds.assign(noise=(ds["tb_h"].dims, noise, {"units": "1"}))


@pytest.mark.parametrize("lazy", [False, True])
def test_a_model_that_learnt_nothing_warns_in_fit_and_estimate(cube: xr.Dataset, lazy: bool) -> None:
    ds, bundles = cube.chunk() if lazy else cube, []
    fit = warned(lambda: bundles.append(ds.sm.fit(model="ridge", predictors=["noise"], target="sm_noah_0_10")))
    assert len(fit) == 1 and "from day to day is 0." in fit[0] and "sm_noah_0_10" in fit[0]
    assert bundles[0].card["metrics"]["std_ratio_time"] < 0.2
    maps: list[xr.Dataset] = []
    assert len(warned(lambda: maps.append(ds.sm.estimate(model=bundles[0])))) == 1
    assert maps[0]["sm_5cm"].attrs["std_ratio_time"] < 0.2
    without = ds.drop_vars("sm_noah_0_10")
    assert len(warned(lambda: without.sm.estimate(model=bundles[0]))) == 1


def test_a_model_that_learnt_something_does_not_warn(cube: xr.Dataset) -> None:
    bundles: list[xsm.Bundle] = []
    assert not warned(lambda: bundles.append(cube.sm.fit(model="ridge", depth=5, scenario=2)))
    assert not warned(lambda: cube.sm.estimate(model=bundles[0]))


@pytest.mark.parametrize("name", ["sm_5cm", "sm_noah_0_10"])
@pytest.mark.parametrize("factor", [0.001, 0.1, 1.0])
def test_validate_warns_and_gives_the_ratio(name: str, factor: float) -> None:
    maps, stations = make_maps(names=(name,)), make_stations(depths=(5,))
    maps[name] = 0.25 + factor * (maps[name] - 0.25)
    tables: list[xr.Dataset] = []
    sentences = warned(lambda: tables.append(validate(maps, stations)))
    assert bool(sentences) == (factor < 0.2) == ("hardly_varies" in tables[0].attrs)
    assert {"std_ratio_mean", "kge_mean"} <= set(tables[0])
    assert float(tables[0]["std_ratio_mean"][0]) == pytest.approx(1.1 * factor, rel=0.3)
    assert all(("model has learnt" in s) == (name == "sm_5cm") for s in sentences)


def test_the_report_says_so_and_shows_the_ratio_beside_r(tmp_path: Path) -> None:
    maps, stations = make_maps(names=("sm_5cm",)), make_stations(depths=(5,))
    maps["sm_5cm"] = (0.25 + 0.001 * (maps["sm_5cm"] - 0.25)).assign_attrs(units="m3 m-3", std_ratio_time=0.01)
    sentences = warned(lambda: xsm.report(maps, tmp_path / "r.html", stations=stations))
    assert any("reference in training" in s for s in sentences) and any("the stations" in s for s in sentences)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("Hardly any variation.") == 2 and "SD ratio mean" in page and "KGE mean" in page


def test_ratios_by_hand() -> None:
    reference = np.random.default_rng(0).normal(size=(50, 1)) + np.arange(20.0)
    flat = 0.1 * reference + 3
    assert ratios(flat, reference) == pytest.approx({"time": 0.1, "space": 0.1})
    flat[:, 5:] = np.nan
    reference[3] = np.nan
    assert ratios(flat, reference) == pytest.approx({"time": 0.1, "space": 0.1})
    assert ratios(flat * np.nan, reference) == {}
