"""The model through its contract: gaps, causality, bad input, bundles, and the real lattice."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from xsm import Bundle, DataError, UsageError, gapfill_cru
from xsm.plugin_api import Samples, Spec
from xsm.testing import check_model
from xsm_cru.config import OPTIONS, Config
from xsm_cru.hide import distance, hide, neighbours
from xsm_cru.model import CRU

DAYS = np.arange("2019-01-01", "2019-07-20", dtype="datetime64[D]")
WEATHER = ("precipitation", "air_temperature")
QUICK = {"epochs": 2, "budget": 60.0}


def _world(cells: int = 24, seed: int = 0) -> dict[str, np.ndarray]:
    """Synthetic: a leaky bucket with rain, seen every second or third day with noise, and two blocks without sight."""
    rng = np.random.default_rng(seed)
    shape = (len(DAYS), cells)
    rain = np.where(rng.random(shape) < 0.2, rng.gamma(0.8, 12, shape), 0)
    warmth = 285 + 10 * np.sin(np.arange(shape[0]) / 58)[:, None] + rng.normal(0, 2, shape)
    water = np.full(shape, 20.0)
    for t in range(1, shape[0]):
        water[t] = 0.93 * water[t - 1] + 0.5 * rain[t]
    sm = 0.1 + 0.004 * water + rng.normal(0, 0.012, shape)
    gone = rng.random(shape) < 0.55
    gone[60:95] = gone[160:172] = True
    return {
        "sm_dca": np.where(gone, np.nan, sm).astype("f4"), "precipitation": rain.astype("f4"),
        "air_temperature": warmth.astype("f4"), "sand": rng.uniform(10, 90, cells).astype("f4"), "whole": sm,
    }  # fmt: skip


def _fit(world, weather=True, statics=("sand",), seed=0, use=None, mask=None, **options):
    inputs = ("sm_dca", *WEATHER) if weather else ("sm_dca",)
    spec = Spec("gapfill", inputs, ("sm_dca",), statics, units={"sm_dca": "m3 m-3"}, options=QUICK | options)
    days, cells = world["sm_dca"].shape
    use = np.ones(days, bool) if use is None else use
    samples = Samples(world, DAYS[:days], use, np.ones(cells, bool) if mask is None else mask)
    return CRU().fit(samples, spec, validation=None, seed=seed, progress=lambda share, text: None)


@pytest.fixture(scope="module")
def world():
    return _world()


@pytest.fixture(scope="module")
def bundle(world):
    return _fit(world)


def _fill(world, bundle, **change):
    return CRU().predict_block(world | change, bundle, device="cpu")


@pytest.mark.parametrize("cell", ["bank", "published"])
@pytest.mark.parametrize("weather", [True, False])
@pytest.mark.parametrize("mode", ["smoother", "filter"])
def test_fills_every_day_with_positive_spread(world, cell, weather, mode) -> None:
    small = {k: v[:80, :12] if v.ndim == 2 else v[:12] for k, v in world.items()}
    bundle = _fit(small, weather, cell=cell, mode=mode, mixtures=2, epochs=1)
    out = _fill(small, bundle)
    assert set(out) == {"sm_dca", "sm_dca_std", "sm_dca_obs_std"}
    assert all(v.shape == (80, 12) and v.dtype == np.float32 and np.isfinite(v).all() for v in out.values())
    assert (out["sm_dca_std"] > 0).all() and (out["sm_dca_obs_std"] > out["sm_dca_std"]).all()


def test_a_bundle_of_an_older_unit_is_told(world, bundle) -> None:
    """It lacked the arrays of the decoder, and torch listed them all."""
    older = Bundle(bundle.card, {k: v for k, v in bundle.weights.items() if "decoder" not in k})
    with pytest.raises(DataError, match=r"weights for 'sm_dca' are not .* differ in decoder\.\S+, .* and \d more\."):
        _fill(world, older)
    narrow = {k: v[:-1] if k.endswith("decoder.first.weight") else v for k, v in bundle.weights.items()}
    with pytest.raises(DataError, match="they differ in their shapes"):
        _fill(world, Bundle(bundle.card, narrow))


def test_beats_linear_interpolation_and_grows_in_gaps(world, bundle) -> None:
    out, seen = _fill(world, bundle), np.isfinite(world["sm_dca"])
    days = np.arange(len(DAYS))
    line = np.stack([np.interp(days, days[s], v[s]) for v, s in zip(world["sm_dca"].T, seen.T, strict=True)], 1)
    gap = slice(60, 95)
    error = lambda a: np.sqrt(((a - world["whole"])[gap] ** 2).mean())  # noqa: E731
    assert error(out["sm_dca"]) < 0.7 * error(line)
    own = _fill(world, _fit(world, weather=False, epochs=0))["sm_dca_std"]
    assert own[77].mean() > 1.5 * own[(days > 95) & (days < 160)].mean()
    inside = np.abs(out["sm_dca"] - world["whole"])[~seen] < 1.96 * out["sm_dca_obs_std"][~seen]
    assert 0.88 < inside.mean() < 0.995


@pytest.mark.parametrize("cell", ["bank", "published"])
def test_filter_sees_nothing_of_the_future(world, cell) -> None:
    bundle = _fit(world, mode="filter", cell=cell, epochs=1)
    rng, cut = np.random.default_rng(1), 120
    later = {}
    for name in ("sm_dca", *WEATHER):
        later[name] = world[name].copy()
        later[name][cut:] = rng.permutation(later[name][cut:]) * 1.1
    before, after = _fill(world, bundle), _fill(world, bundle, **later)
    for name, array in before.items():
        np.testing.assert_array_equal(array[:cut], after[name][:cut])
        assert (array[cut + 5 :] != after[name][cut + 5 :]).any()


def test_a_cell_does_not_depend_on_its_company(world, bundle) -> None:
    together = _fill(world, bundle)
    few = {k: v[..., 5:8] for k, v in world.items()}
    for name, array in _fill(few, bundle).items():
        # float32 matrix products may add in another order for another batch
        np.testing.assert_allclose(array, together[name][:, 5:8], rtol=2e-5, atol=2e-6)


def test_odd_cells_have_clear_outcomes(world, bundle) -> None:
    odd = world["sm_dca"].copy()
    odd[:, 0] = np.nan
    odd[:, 1] = np.where(np.isfinite(odd[:, 1]), 0.2, np.nan)
    odd[:, 2] = np.nan
    odd[50, 2] = 0.3
    odd[10:12, 3] = np.inf
    missing = odd.copy()
    missing[10:12, 3] = np.nan
    out = _fill(world, bundle, sm_dca=odd)
    for array in out.values():
        assert np.isnan(array[:, 0]).all() and np.isfinite(array[:, 1:]).all()
    assert np.abs(out["sm_dca"][:, 1] - 0.2).max() < 0.03
    assert np.abs(out["sm_dca"][50, 2] - 0.3) < 0.06
    for name, array in _fill(world, bundle, sm_dca=missing).items():
        np.testing.assert_array_equal(array[:, 3], out[name][:, 3])


def test_training_survives_a_constant_and_a_lonely_observation() -> None:
    world = _world(cells=3)
    world["sm_dca"][:, 0] = np.where(np.isfinite(world["sm_dca"][:, 0]), 0.2, np.nan)
    world["sm_dca"][:, 1:] = np.nan
    world["sm_dca"][7, 1] = np.inf
    world["sm_dca"][8, 1] = 0.25
    with pytest.warns(UserWarning, match="1 infinite value"):
        bundle = _fit(world, weather=False)
    out = _fill(world, bundle)
    assert np.isfinite(out["sm_dca"][:, :2]).all() and (out["sm_dca_obs_std"][:, :2] > 0).all()
    assert np.isnan(out["sm_dca"][:, 2]).all()


def test_refusals(world, bundle) -> None:
    with pytest.raises(DataError, match="No cell has an observation"):
        _fit(world | {"sm_dca": np.full_like(world["sm_dca"], np.nan)})
    holes = world["precipitation"].copy()
    holes[3, 4] = np.nan
    with pytest.raises(DataError, match="'precipitation' has gaps in 1 cells"):
        _fit(world | {"precipitation": holes})
    with pytest.raises(DataError, match="'precipitation' has gaps in 1 cells"):
        _fill(world, bundle, precipitation=holes)
    other = replace(bundle, card=bundle.card | {"options": bundle.card["options"] | {"mode": "filter"}})
    with pytest.raises(DataError, match="trained with mode 'smoother', wanted mode 'filter'"):
        _fill(world, other)
    with pytest.raises(UsageError, match="Unknown option 'epoch'"):
        _fit(world, epoch=3)
    with pytest.raises(UsageError, match="'modes' is 9"):
        _fit(world, modes=9)


def test_days_and_cells_out_of_use_teach_nothing(world) -> None:
    use, mask = np.arange(len(DAYS)) < 150, np.arange(24) < 20
    changed = world["sm_dca"].copy()
    changed[150:], changed[:, 20:] = changed[150:] * 3, 0.9
    one, two = (_fit(w, weather=False, use=use, mask=mask) for w in (world, world | {"sm_dca": changed}))
    assert all(np.array_equal(one.weights[k], two.weights[k]) for k in one.weights)


def test_bundle_is_complete_and_repeatable(world, bundle, tmp_path: Path) -> None:
    again = _fit(world)
    assert all(np.array_equal(again.weights[k], v) for k, v in bundle.weights.items())
    json.dumps(bundle.card)
    loaded = Bundle.load(bundle.save(tmp_path / "cru"))
    np.testing.assert_array_equal(_fill(world, loaded)["sm_dca"], _fill(world, bundle)["sm_dca"])
    assert Config.of(loaded.card["options"]) == replace(Config(), **QUICK, season=0), "less than 11 months: no season"


def _dataset(name: str, values: np.ndarray, units: str) -> xr.Dataset:
    time = DAYS[0].astype("M8[ns]") + np.arange(len(values)) * np.timedelta64(1, "D")
    return xr.Dataset({name: (("time", "cell"), values.astype("f4"), {"units": units})}, {"time": time})


def test_a_cell_beyond_what_training_saw_is_filled_at_its_own_level(world, bundle) -> None:
    wet = world["sm_dca"] + np.float32(0.3)
    assert np.nanmin(wet) > np.nanmax(world["sm_dca"])
    gap = np.isnan(wet)
    error = _fill(world, bundle, sm_dca=wet)["sm_dca"] - (world["whole"] + 0.3)
    as_trained = _fill(world, bundle)["sm_dca"] - world["whole"]
    assert np.sqrt((error[gap] ** 2).mean()) < 1.2 * np.sqrt((as_trained[gap] ** 2).mean())


def test_winter_temperatures_are_filled_with_frozen_days() -> None:
    rng = np.random.default_rng(0)
    truth = 268 + 14 * np.sin(np.arange(240) / 38)[:, None] + rng.normal(0, 2, (240, 40))
    gap = rng.random(truth.shape) < 0.5
    ds = _dataset("surface_temperature", np.where(gap, np.nan, truth), "K")
    filled = gapfill_cru(ds, epochs=0)
    cold = gap & (truth < 265)
    error = filled["surface_temperature"].values[cold] - truth[cold]
    assert abs(error.mean()) < 1 and np.sqrt((error**2).mean()) < 3
    inside = np.abs(error) < 1.96 * filled["surface_temperature_obs_std"].values[cold]
    assert 0.9 < inside.mean() < 0.99


@pytest.mark.parametrize("mode", ["smoother", "filter"])
def test_spread_is_that_of_the_value_beside_it(mode) -> None:
    """An Ornstein-Uhlenbeck truth of 0.05 and 12 days, seen on half of the days with white noise of 0.03."""
    rng = np.random.default_rng(3)
    keep = np.exp(-1 / 12)
    truth = 0.25 + 0.05 * _ou(rng, keep, (200, 50))
    seen = rng.random(truth.shape) < 0.5
    values = np.where(seen, truth + 0.03 * rng.standard_normal(truth.shape), np.nan)
    ds = _dataset("sm_dca", values, "m3 m-3")
    bundle = _learn(ds, mode)
    kept, clean = (gapfill_cru(ds, model=bundle, denoise=d) for d in (False, True))
    for filled in (kept, clean):
        error = np.abs(filled["sm_dca"].values - truth)
        for where in (seen, ~seen):
            inside = (error < 1.96 * filled["sm_dca_std"].values)[where].mean()
            assert 0.9 < inside < 0.99, "of the truth"
        again = np.abs(filled["sm_dca"].values - truth - 0.03 * rng.standard_normal(truth.shape))
        for where in (seen, ~seen):
            inside = (again < 1.96 * filled["sm_dca_obs_std"].values)[where].mean()
            assert 0.9 < inside < 0.99, "of another observation"
    assert abs(kept["sm_dca_std"].values[seen].mean() - 0.03) < 0.004
    assert clean["sm_dca_std"].values[seen].mean() < kept["sm_dca_std"].values[seen].mean()
    for name in ("sm_dca", "sm_dca_std", "sm_dca_obs_std"):
        np.testing.assert_array_equal(kept[name].values[~seen], clean[name].values[~seen])
    assert f"mode={mode}" in kept.attrs["history"].splitlines()[-1]


def _ou(rng: np.random.Generator, keep: float, shape: tuple[int, int]) -> np.ndarray:
    out = rng.standard_normal(shape)
    for t in range(1, shape[0]):
        out[t] = keep * out[t - 1] + np.sqrt(1 - keep**2) * out[t]
    return out


def _learn(ds: xr.Dataset, mode: str) -> Bundle:
    import torch

    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    bundle = ds.sm.fit(task="gapfill", variables=["sm_dca"], mode=mode, epochs=5)
    assert torch.rand(1) == wanted, "the user's generator goes on where it was"
    return bundle


def test_one_observation_in_each_cell_is_no_map() -> None:
    values = np.full((5, 400), np.nan)
    values[np.arange(400) % 5, np.arange(400)] = np.random.default_rng(0).uniform(0.1, 0.4, 400)
    filled = gapfill_cru(_dataset("sm_dca", values, "m3 m-3"), epochs=1)
    assert filled["sm_dca"].attrs["fill_method"].startswith("cru")
    assert (filled["sm_dca_std"].values > 0.01).all(), "cells of 0.1 to 0.4 tell no smaller spread"


def test_grid_samples_equal_cell_samples(world) -> None:
    grid = {k: v.reshape(*v.shape[:-1], 4, 6) for k, v in world.items()}
    spec = Spec("gapfill", ("sm_dca", *WEATHER), ("sm_dca",), ("sand",), units={}, options=QUICK | {"epochs": 0})
    flat, square = (
        CRU().fit(Samples(w, DAYS, np.ones(len(DAYS), bool), np.ones(shape, bool)), spec, validation=None, seed=0,
                  progress=lambda share, text: None)
        for w, shape in ((world, 24), (grid, (4, 6)))
    )  # fmt: skip
    assert all(np.array_equal(flat.weights[k], square.weights[k]) for k in flat.weights)


def test_contract(tmp_path: Path) -> None:
    check_model("cru", options={"epochs": 1}, tmp=tmp_path)


def test_options_are_described_once() -> None:
    assert {p.name: p.default for p in OPTIONS} == Config().to_json()


def _yearly(cells: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Synthetic: a yearly cycle of own size in each cell, noise, 40 % of days seen, all cells blind for 60."""
    rng = np.random.default_rng(8)
    days = np.arange("2019-01-01", "2020-02-01", dtype="datetime64[D]")
    wave = np.sin(2 * np.pi * np.arange(len(days)) / 365.25)[:, None]
    truth = 0.25 + 0.06 * wave * rng.uniform(0.5, 1.5, cells)
    gone = rng.random(truth.shape) < 0.6
    gone[60:120] = True
    return days, truth, np.where(gone, np.nan, truth + 0.02 * rng.standard_normal(truth.shape)).astype("f4")


def test_the_yearly_cycle_carries_a_long_outage() -> None:
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


def test_neighbours_against_a_loop() -> None:
    import torch

    rng = np.random.default_rng(0)
    observed = rng.random((80, 5)) < np.array([0.3, 0.05, 1, 0.02, 0])
    values = np.where(observed, rng.standard_normal(observed.shape), 0)
    both = neighbours(torch.tensor(values), torch.tensor(observed)).numpy()
    past = neighbours(torch.tensor(values), torch.tensor(observed), causal=True).numpy()
    np.testing.assert_array_equal(past, both[:, :4])
    for cell, seen in enumerate(observed.T):
        at = np.flatnonzero(seen)
        for day in range(len(seen)):
            want: list[float] = []
            for side in (at[at < day][::-1], at[at > day]):
                for k in range(2):
                    far = min(abs(day - side[k]), 60) if len(side) > k else 60
                    want += [values[side[k], cell] if len(side) > k else 0.0, np.log(far / 5)]
            np.testing.assert_allclose(both[day, :, cell], want, atol=1e-6)


def test_hiding_and_distance() -> None:
    import torch

    observed = np.random.default_rng(0).random((200, 60)) < 0.4
    hidden = hide(observed, np.random.default_rng(1))
    assert not (hidden & ~observed).any() and 0.05 < hidden.sum() / observed.sum() < 0.5
    left = observed & ~hidden
    want = np.array([[np.abs(np.flatnonzero(c) - t).min() for c in left.T] for t in range(200)])
    np.testing.assert_array_equal(distance(torch.tensor(left)), want)


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
        seen = np.isfinite(masked[:, c])
        line[:, c] = np.interp(days, days[seen], masked[seen, c])
    pick = hidden & some
    error = lambda a: float(np.sqrt(((a - sm)[pick] ** 2).mean()))  # noqa: E731
    assert error(out["sm"]) < 0.98 * error(line)
    inside = np.abs(out["sm"] - sm)[pick] < 1.96 * out["sm_obs_std"][pick]
    assert 0.92 < inside.mean() < 0.98


def test_long_series_are_learnt_from_fewer_cells() -> None:
    from xsm_cru.model import _choose

    days = np.arange("2018-01-01", "2023-01-01", dtype="M8[D]")
    samples = Samples({"sm_dca": np.ones((len(days), 600), "f4")}, days, np.ones(len(days), bool), np.ones(600, bool))
    spec = Spec("gapfill", ("sm_dca",), ("sm_dca",), units={"sm_dca": "m3 m-3"})
    assert _choose(samples, spec, 512).sum() == 200_000 // 1826
    assert _choose(samples, spec, 60).sum() == 60
