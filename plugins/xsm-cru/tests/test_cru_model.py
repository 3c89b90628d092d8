"""The model through its contract: every day filled, causality, odd cells, refusals, bundles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cru_world import DAYS, QUICK, WEATHER, fill, fit, make_world
from xsm import Bundle, DataError, UsageError
from xsm.plugin_api import Samples, Spec
from xsm.testing import check_model
from xsm_cru.config import OPTIONS, Config
from xsm_cru.inputs import training_cells
from xsm_cru.model import CRU


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def bundle(world):
    return fit(world)


@pytest.mark.parametrize("cell", ["bank", "published"])
@pytest.mark.parametrize("weather", [True, False])
@pytest.mark.parametrize("mode", ["smoother", "filter"])
def test_fills_every_day_with_positive_spread(world, cell, weather, mode) -> None:
    small = {k: v[:80, :12] if v.ndim == 2 else v[:12] for k, v in world.items()}
    bundle = fit(small, weather, cell=cell, mode=mode, mixtures=2, epochs=1)
    out = fill(small, bundle)
    assert set(out) == {"sm_dca", "sm_dca_std", "sm_dca_obs_std"}
    assert all(v.shape == (80, 12) and v.dtype == np.float32 and np.isfinite(v).all() for v in out.values())
    assert (out["sm_dca_std"] > 0).all() and (out["sm_dca_obs_std"] > out["sm_dca_std"]).all()


def test_a_bundle_of_an_older_unit_is_refused(world, bundle) -> None:
    """It lacks the arrays of the decoder, which torch would all list."""
    older = Bundle(bundle.card, {k: v for k, v in bundle.weights.items() if "decoder" not in k})
    with pytest.raises(DataError, match=r"weights for 'sm_dca' are not .* differ in decoder\.\S+, .* and \d more\."):
        fill(world, older)
    narrow = {k: v[:-1] if k.endswith("decoder.first.weight") else v for k, v in bundle.weights.items()}
    with pytest.raises(DataError, match="they differ in their shapes"):
        fill(world, Bundle(bundle.card, narrow))


@pytest.mark.parametrize("cell", ["bank", "published"])
def test_filter_does_not_depend_on_the_future(world, cell) -> None:
    bundle = fit(world, mode="filter", cell=cell, epochs=1)
    rng, cut = np.random.default_rng(1), 120
    later = {}
    for name in ("sm_dca", *WEATHER):
        later[name] = world[name].copy()
        later[name][cut:] = rng.permutation(later[name][cut:]) * 1.1
    before, after = fill(world, bundle), fill(world, bundle, **later)
    for name, array in before.items():
        np.testing.assert_array_equal(array[:cut], after[name][:cut])
        assert (array[cut + 5 :] != after[name][cut + 5 :]).any()


def test_a_cell_does_not_depend_on_other_cells(world, bundle) -> None:
    together = fill(world, bundle)
    few = {k: v[..., 5:8] for k, v in world.items()}
    for name, array in fill(few, bundle).items():
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
    out = fill(world, bundle, sm_dca=odd)
    for array in out.values():
        assert np.isnan(array[:, 0]).all() and np.isfinite(array[:, 1:]).all()
    assert np.abs(out["sm_dca"][:, 1] - 0.2).max() < 0.03
    assert np.abs(out["sm_dca"][50, 2] - 0.3) < 0.06
    for name, array in fill(world, bundle, sm_dca=missing).items():
        np.testing.assert_array_equal(array[:, 3], out[name][:, 3])


def test_training_survives_a_constant_and_a_single_observation() -> None:
    world = make_world(cells=3)
    world["sm_dca"][:, 0] = np.where(np.isfinite(world["sm_dca"][:, 0]), 0.2, np.nan)
    world["sm_dca"][:, 1:] = np.nan
    world["sm_dca"][7, 1] = np.inf
    world["sm_dca"][8, 1] = 0.25
    with pytest.warns(UserWarning, match="1 infinite value"):
        bundle = fit(world, weather=False)
    out = fill(world, bundle)
    assert np.isfinite(out["sm_dca"][:, :2]).all() and (out["sm_dca_obs_std"][:, :2] > 0).all()
    assert np.isnan(out["sm_dca"][:, 2]).all()


def test_refusals(world, bundle) -> None:
    with pytest.raises(DataError, match="No cell has an observation"):
        fit(world | {"sm_dca": np.full_like(world["sm_dca"], np.nan)})
    holes = world["precipitation"].copy()
    holes[3, 4] = np.nan
    with pytest.raises(DataError, match="'precipitation' has gaps in 1 cells"):
        fit(world | {"precipitation": holes})
    with pytest.raises(DataError, match="'precipitation' has gaps in 1 cells"):
        fill(world, bundle, precipitation=holes)
    other = replace(bundle, card=bundle.card | {"options": bundle.card["options"] | {"mode": "filter"}})
    with pytest.raises(DataError, match="trained with mode 'smoother', expected mode 'filter'"):
        fill(world, other)
    with pytest.raises(UsageError, match="Unknown option 'epoch'"):
        fit(world, epoch=3)
    with pytest.raises(UsageError, match="'modes' is 9"):
        fit(world, modes=9)


def test_unused_days_and_cells_do_not_matter(world) -> None:
    use, mask = np.arange(len(DAYS)) < 150, np.arange(24) < 20
    changed = world["sm_dca"].copy()
    changed[150:], changed[:, 20:] = changed[150:] * 3, 0.9
    one, two = (fit(w, weather=False, use=use, mask=mask) for w in (world, world | {"sm_dca": changed}))
    assert all(np.array_equal(one.weights[k], two.weights[k]) for k in one.weights)


def test_bundle_is_complete_and_repeatable(world, bundle, tmp_path: Path) -> None:
    again = fit(world)
    assert all(np.array_equal(again.weights[k], v) for k, v in bundle.weights.items())
    json.dumps(bundle.card)
    loaded = Bundle.load(bundle.save(tmp_path / "cru"))
    np.testing.assert_array_equal(fill(world, loaded)["sm_dca"], fill(world, bundle)["sm_dca"])
    assert Config.of(loaded.card["options"]) == replace(Config(), **QUICK, season=0), "less than 11 months: no season"


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


def test_long_series_are_learnt_from_fewer_cells() -> None:
    days = np.arange("2018-01-01", "2023-01-01", dtype="M8[D]")
    samples = Samples({"sm_dca": np.ones((len(days), 600), "f4")}, days, np.ones(len(days), bool), np.ones(600, bool))
    spec = Spec("gapfill", ("sm_dca",), ("sm_dca",), units={"sm_dca": "m3 m-3"})
    assert training_cells(samples, spec, 512).sum() == 200_000 // 1826
    assert training_cells(samples, spec, 60).sum() == 60
