"""Estimates through the core, with the numpy baseline: scenarios, masks, surfaces, regions."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.contracts.defaults import baseline
from xsm.data.scenarios import SCENARIOS, get_scenario
from xsm.errors import DataError
from xsm.testing import leaky_series


@pytest.mark.parametrize("pair", sorted(SCENARIOS))
def test_the_linear_law_is_recovered(law_cube, ridge, pair):
    depth, number = pair
    maps = law_cube.sm.estimate(depth=depth, scenario=number, model=ridge[pair])
    name = f"sm_{depth}cm"
    truth = law_cube["sm_noah_0_10" if depth == 5 else "sm_noah_10_40"]
    lead = get_scenario(depth, number).lead_in
    error = (maps[name] - truth).isel(time=slice(lead, None), y=slice(3, None))
    # scenario 1 at 5 cm has no soil maps, whose share of the law has a spread of 0.02
    assert float(abs(error).max()) < (0.06 if pair == (5, 1) else 2e-3)
    assert bool(maps[name].isel(y=slice(0, 3)).isnull().all())
    assert (maps["mask_reason"].values[:3] == 2).all()
    assert maps[name].attrs["units"] == "m3 m-3"
    assert maps.attrs["model_hash"] == ridge[pair].hash
    assert bool((maps[f"{name}_reference_std"].isel(time=10, y=slice(3, None)) > 0).all())
    assert "texture" in maps.coords


def test_lazy_estimate_equals_eager(law_cube, ridge):
    eager = law_cube.sm.estimate(depth=25, scenario=2, model=ridge[25, 2])
    lazy = law_cube.chunk(time=13, y=9).sm.estimate(depth=25, scenario=2, model=ridge[25, 2])
    assert lazy["sm_25cm"].chunks is not None
    np.testing.assert_array_equal(lazy["sm_25cm"].compute().values, eager["sm_25cm"].values)
    np.testing.assert_array_equal(lazy["mask_reason"].compute().values, eager["mask_reason"].values)


@pytest.mark.parametrize(("model", "days"), [("ridge", 0), ("boosting", 6), ("lstm", 6)])
def test_days_that_lack_some_of_the_look_back_are_counted(model, days):
    short = {"boosting": {"trees": 5, "leaf_size": 5}, "lstm": {"epochs": 1, "hidden": 2}}.get(model, {})
    options = short and {"look_back": days + 1, **short}
    ds = leaky_series(12, 60)
    bundle = ds.sm.fit(model=model, predictors=("precipitation", "sand"), target="soil_moisture", **options)
    maps = ds.sm.estimate(model=bundle)
    assert (maps.attrs["lead_in_days"], maps.attrs["warm_up_days"]) == (0, days)
    assert bool(maps["sm_5cm"].notnull().all())


def test_cubes_without_consecutive_days_are_not_estimated(law_cube, ridge):
    for days, text in ((np.r_[0:20, 25:60], "lacks 5 days"), (np.arange(60)[::-1], "out of order")):
        with pytest.raises(DataError, match=text):
            law_cube.isel(time=days).sm.estimate(scenario=1, model=ridge[5, 1])


def test_estimates_join_a_cube_and_a_foreign_surface_is_not_silently_replaced(law_cube, ridge):
    cube = law_cube.assign(land_cover=law_cube["tb_h"].isel(time=0, drop=True) * 0 + 10)
    surface = cube.sm.estimate(model=ridge[5, 2])[["sm_5cm"]]
    assert "land_cover" in surface.coords
    joined = xsm.cube(cube, surface)
    assert joined["sm_5cm"].attrs["model_hash"] == ridge[5, 2].hash
    maps = joined.sm.estimate(depth=25, scenario=2, model=ridge[25, 2])["sm_25cm"]
    xr.testing.assert_equal(maps, cube.sm.estimate(depth=25, scenario=2, model=ridge[25, 2])["sm_25cm"])
    other = joined.assign(sm_5cm=joined["sm_5cm"].assign_attrs(model_hash="none"))
    with pytest.warns(UserWarning, match="is replaced by a new estimate"):
        other.sm.fit(depth=25, scenario=2, model="ridge")


def test_an_estimate_covers_the_region_that_was_opened(law_cube, ridge):
    row0, col0 = 300, 1000
    cube = law_cube.assign_attrs(xsm_region=f"{row0 + 10} {row0 + 20} {col0 + 5} {col0 + 25}")
    maps = cube.sm.estimate(depth=5, scenario=1, model=ridge[5, 1])
    assert maps["sm_5cm"].shape[1:] == (10, 20)
    whole = law_cube.sm.estimate(depth=5, scenario=1, model=ridge[5, 1])
    xr.testing.assert_equal(maps["sm_5cm"], whole["sm_5cm"].isel(y=slice(10, 20), x=slice(5, 25)))


def test_a_surface_of_another_bundle_is_refused(recwarn):
    cube = xsm.example("cube", size=16, days=10)
    for attrs, source in (({}, "no bundle"), ({"model_hash": "0123456789abcdef"}, "the bundle 0123456789abcdef")):
        surface = xr.full_like(cube["tb_h"], 0.2)
        surface.attrs = {"units": "m3 m-3", **attrs}
        with pytest.raises(DataError, match=f"{source}, expected"):
            xsm.estimate(cube.assign(sm_5cm=surface), depth=25, scenario=2)
    assert not recwarn.list  # about a shipped model that was not used


def test_a_model_may_clip_arrays_of_another_shape(law_cube, ridge, monkeypatch):
    """The mask once was counted for any shape."""
    clip = xsm.plugin_api.clip_moisture
    monkeypatch.setattr(baseline, "clip_moisture", lambda v, card: clip(v.ravel(), card).reshape(v.shape))
    maps = law_cube.sm.estimate(scenario=1, model=ridge[5, 1])["sm_5cm"]
    assert bool(maps.notnull().any()) and "clipped_share" not in maps.attrs


def test_estimates_stay_between_the_driest_soil_and_pores() -> None:
    ds = leaky_series(12, 120)
    wet = ds.assign(soil_moisture=(ds["soil_moisture"] * 3 - 0.2).assign_attrs(units="m3 m-3"))
    bundle = wet.sm.fit(model="ridge", target="soil_moisture", predictors=("precipitation", "sand"))
    sm = wet.sm.estimate(model=bundle)["sm_5cm"]
    assert float(sm.min()) >= 0.02 and float(sm.max()) == pytest.approx(0.6)
    assert sm.attrs["clipped_share"] == pytest.approx(float(((sm <= 0.02) | (sm >= 0.6)).mean()), abs=1e-6)
    assert 0 < sm.attrs["clipped_share"] < 1
    assert "clipped_share" not in wet.chunk().sm.estimate(model=bundle)["sm_5cm"].attrs
