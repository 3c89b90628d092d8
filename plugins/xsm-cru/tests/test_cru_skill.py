"""Fills against the truth: gaps, levels, winter, spread, the yearly cycle, and a real lattice."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from cru_world import DAYS, dataset, fill, fit, make_world
from xsm import Bundle, DataError, gapfill_cru
from xsm.plugin_api import Samples, Spec
from xsm_cru.model import CRU


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def bundle(world):
    return fit(world)


def test_beats_linear_interpolation_and_grows_in_gaps(world, bundle) -> None:
    out, observed = fill(world, bundle), np.isfinite(world["sm_dca"])
    days = np.arange(len(DAYS))
    line = np.stack([np.interp(days, days[o], v[o]) for v, o in zip(world["sm_dca"].T, observed.T, strict=True)], 1)
    gap = slice(60, 95)
    error = lambda a: np.sqrt(((a - world["whole"])[gap] ** 2).mean())  # noqa: E731
    assert error(out["sm_dca"]) < 0.7 * error(line)
    spread = fill(world, fit(world, weather=False, epochs=0))["sm_dca_std"]
    assert spread[77].mean() > 1.5 * spread[(days > 95) & (days < 160)].mean()
    inside = np.abs(out["sm_dca"] - world["whole"])[~observed] < 1.96 * out["sm_dca_obs_std"][~observed]
    assert 0.88 < inside.mean() < 0.995


def test_a_cell_wetter_than_any_in_training_is_filled_at_its_own_level(world, bundle) -> None:
    wet = world["sm_dca"] + np.float32(0.3)
    assert np.nanmin(wet) > np.nanmax(world["sm_dca"])
    gap = np.isnan(wet)
    error = fill(world, bundle, sm_dca=wet)["sm_dca"] - (world["whole"] + 0.3)
    as_trained = fill(world, bundle)["sm_dca"] - world["whole"]
    assert np.sqrt((error[gap] ** 2).mean()) < 1.2 * np.sqrt((as_trained[gap] ** 2).mean())


def test_winter_temperatures_are_filled_with_frozen_days() -> None:
    rng = np.random.default_rng(0)
    truth = 268 + 14 * np.sin(np.arange(240) / 38)[:, None] + rng.normal(0, 2, (240, 40))
    gap = rng.random(truth.shape) < 0.5
    ds = dataset("surface_temperature", np.where(gap, np.nan, truth), "K")
    filled = gapfill_cru(ds, epochs=0)
    cold = gap & (truth < 265)
    error = filled["surface_temperature"].values[cold] - truth[cold]
    assert abs(error.mean()) < 1 and np.sqrt((error**2).mean()) < 3
    inside = np.abs(error) < 1.96 * filled["surface_temperature_obs_std"].values[cold]
    assert 0.9 < inside.mean() < 0.99


@pytest.mark.parametrize("mode", ["smoother", "filter"])
def test_spread_is_that_of_its_value(mode) -> None:
    """An Ornstein-Uhlenbeck truth of 0.05 and 12 days, observed on half of the days with white noise of 0.03."""
    rng = np.random.default_rng(3)
    keep = np.exp(-1 / 12)
    truth = 0.25 + 0.05 * _ou(rng, keep, (200, 50))
    observed = rng.random(truth.shape) < 0.5
    values = np.where(observed, truth + 0.03 * rng.standard_normal(truth.shape), np.nan)
    ds = dataset("sm_dca", values, "m3 m-3")
    bundle = _learn(ds, mode)
    kept, clean = (gapfill_cru(ds, model=bundle, denoise=d) for d in (False, True))
    for filled in (kept, clean):
        error = np.abs(filled["sm_dca"].values - truth)
        for where in (observed, ~observed):
            inside = (error < 1.96 * filled["sm_dca_std"].values)[where].mean()
            assert 0.9 < inside < 0.99, "of the truth"
        again = np.abs(filled["sm_dca"].values - truth - 0.03 * rng.standard_normal(truth.shape))
        for where in (observed, ~observed):
            inside = (again < 1.96 * filled["sm_dca_obs_std"].values)[where].mean()
            assert 0.9 < inside < 0.99, "of another observation"
    assert abs(kept["sm_dca_std"].values[observed].mean() - 0.03) < 0.004
    assert clean["sm_dca_std"].values[observed].mean() < kept["sm_dca_std"].values[observed].mean()
    for name in ("sm_dca", "sm_dca_std", "sm_dca_obs_std"):
        np.testing.assert_array_equal(kept[name].values[~observed], clean[name].values[~observed])
    assert f"mode={mode}" in kept.attrs["history"].splitlines()[-1]


def _ou(rng: np.random.Generator, keep: float, shape: tuple[int, int]) -> np.ndarray:
    out = rng.standard_normal(shape)
    for t in range(1, shape[0]):
        out[t] = keep * out[t - 1] + np.sqrt(1 - keep**2) * out[t]
    return out


def _learn(ds: xr.Dataset, mode: str) -> Bundle:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    bundle = ds.sm.fit(task="gapfill", variables=["sm_dca"], mode=mode, epochs=5)
    assert torch.rand(1) == expected, "the user's generator is not advanced"
    return bundle


def test_one_observation_in_each_cell_is_not_a_map() -> None:
    values = np.full((5, 400), np.nan)
    values[np.arange(400) % 5, np.arange(400)] = np.random.default_rng(0).uniform(0.1, 0.4, 400)
    filled = gapfill_cru(dataset("sm_dca", values, "m3 m-3"), epochs=1)
    assert filled["sm_dca"].attrs["fill_method"].startswith("cru")
    assert (filled["sm_dca_std"].values > 0.01).all(), "cells of 0.1 to 0.4 do not give a smaller spread"


def _yearly(cells: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A yearly cycle of another size in each cell, noise, 40 % of the days observed, an outage of 60 days."""
    rng = np.random.default_rng(8)
    days = np.arange("2019-01-01", "2020-02-01", dtype="datetime64[D]")
    wave = np.sin(2 * np.pi * np.arange(len(days)) / 365.25)[:, None]
    truth = 0.25 + 0.06 * wave * rng.uniform(0.5, 1.5, cells)
    hidden = rng.random(truth.shape) < 0.6
    hidden[60:120] = True
    return days, truth, np.where(hidden, np.nan, truth + 0.02 * rng.standard_normal(truth.shape)).astype("f4")


def test_the_yearly_cycle_bridges_a_long_outage() -> None:
    days, truth, values = _yearly()
    whole = np.ones(len(days), bool), np.ones(values.shape[1], bool)
    errors = []
    for season in (0, 2):
        spec = Spec("gapfill", ("sm",), ("sm",), units={}, options={"epochs": 0, "season": season})
        samples = Samples({"sm": values}, days, *whole)
        bundle = CRU().fit(samples, spec, validation=None, seed=0, progress=lambda share, text: None)
        out = CRU().predict_block({"sm": values, "days": days}, bundle, device="cpu")
        errors.append(np.sqrt(((out["sm"] - truth)[60:120] ** 2).mean()))
    assert errors[1] < 0.6 * errors[0]
    wrong = CRU().predict_block({"sm": values, "days": days + 180}, bundle, device="cpu")
    assert np.abs(wrong["sm"] - out["sm"])[60:120].max() > 0.02, "the season follows the dates"
    with pytest.raises(DataError, match="the block has no 'days'"):
        CRU().predict_block({"sm": values}, bundle, device="cpu")


@pytest.mark.skipif("XSM_TEST_DATA" not in os.environ, reason="XSM_TEST_DATA is not set: no real lattice")
def test_real_lattice_before_training_beats_linear_interpolation() -> None:
    with xr.open_dataset(Path(os.environ["XSM_TEST_DATA"], "smap_conus_lattice.nc")) as ds:
        sm = ds.soil_moisture.transpose("time", "cell").values[:366, :200]
    hidden = np.isfinite(sm) & (np.random.default_rng(1).random(sm.shape) < 0.2)
    masked = np.where(hidden, np.nan, sm)
    samples = Samples({"sm": masked}, np.arange(366).astype("datetime64[D]"), np.ones(366, bool), np.ones(200, bool))
    spec = Spec("gapfill", ("sm",), ("sm",), options={"epochs": 0})
    bundle = CRU().fit(samples, spec, validation=None, seed=0, progress=lambda share, text: None)
    out = CRU().predict_block({"sm": masked, "days": samples.days}, bundle, device="cpu")
    days = np.arange(366)
    some = np.isfinite(masked).sum(0) >= 30
    line = np.full_like(sm, np.nan)
    for c in np.flatnonzero(some):
        observed = np.isfinite(masked[:, c])
        line[:, c] = np.interp(days, days[observed], masked[observed, c])
    pick = hidden & some
    error = lambda a: float(np.sqrt(((a - sm)[pick] ** 2).mean()))  # noqa: E731
    assert error(out["sm"]) < 0.98 * error(line)
    inside = np.abs(out["sm"] - sm)[pick] < 1.96 * out["sm_obs_std"][pick]
    assert 0.92 < inside.mean() < 0.98
