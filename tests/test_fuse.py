"""Fusion: what enters, what must not, weights, spread, faces."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm
from xsm.data.roles import RETRIEVAL, SURFACE
from xsm.data.scenarios import PREDICTORS
from xsm.faces.cli import main
from xsm.learning import fusing
from xsm.learning.fuse_inputs import in_roles
from xsm.learning.fusion_weights import MODEL_MEAN, SURFACE_WEIGHTS, corrected

QUICK = {"trees": 25, "leaf_size": 20, "samples": 8000}
DAYS = 120
TRAIN, VALIDATION = np.arange(DAYS) < 70, (np.arange(DAYS) >= 70) & (np.arange(DAYS) < 95)
SATELLITE = (*PREDICTORS, "sm_dca", "sm_scav", "sm_scah", "sm_surface", "sm_rootzone")


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """A cube of the twin with its gaps."""
    return xsm.example("cube", size=16, days=DAYS, seed=3).load()


@pytest.fixture(scope="module", params=["smoother", "filter"])
def bundle(request, cube) -> xsm.Bundle:
    return xsm.fit(cube, task="fuse", train=TRAIN, validation=VALIDATION, mode=request.param, **QUICK)


def changed(cube: xr.Dataset, days: np.ndarray, names=SATELLITE) -> xr.Dataset:
    """The cube with other values of the satellite on some days, present where they were missing."""
    rng = np.random.default_rng(1)
    out = {}
    for name in (n for n in names if n in cube):
        values = cube[name].values.copy()
        values[days] = rng.uniform(0.05, 0.5, values[days].shape)
        out[name] = cube[name].copy(data=values)
    return cube.assign(out)


def prediction(cube: xr.Dataset, bundle: xsm.Bundle) -> np.ndarray:
    return fusing.surface_parts(fusing.inputs_of(cube), bundle)["prediction"].values


@pytest.mark.parametrize("day", [20, 80, 110])
def test_prediction_of_a_day_knows_nothing_of_that_day_from_the_satellite(cube, bundle, day):
    other = prediction(changed(cube, np.arange(DAYS) == day), bundle)
    before = prediction(cube, bundle)
    np.testing.assert_array_equal(other[day], before[day])
    assert (other[day + 1 : day + 4] != before[day + 1 : day + 4]).any()


def test_a_filter_knows_nothing_of_later_days(cube, bundle):
    if bundle.card["options"]["mode"] != "filter":
        pytest.skip("smoother")
    later = np.arange(DAYS) > 60
    one, other = (xsm.fuse(c, model=bundle, mode="filter") for c in (cube, changed(cube, later)))
    for name in ("sm_5cm", "sm_25cm"):
        np.testing.assert_array_equal(one[name][:61], other[name][:61])


def test_nothing_of_the_test_days_enters_the_training(cube, bundle):
    test = ~(TRAIN | VALIDATION)
    names = [n for n in cube.data_vars if "time" in cube[n].dims and cube[n].dtype.kind == "f"]
    other = changed(cube, test, [n for n in names if n.startswith(("sm_", "tb_"))])
    mode = bundle.card["options"]["mode"]
    again = xsm.fit(other, task="fuse", train=TRAIN, validation=VALIDATION, mode=mode, **QUICK)
    for name, weight in bundle.weights.items():
        np.testing.assert_array_equal(weight, again.weights[name], err_msg=name)


@pytest.mark.parametrize("backwards", [False, True], ids=["test days last", "test days first"])
def test_stations_of_the_test_days_do_not_enter_either(cube, backwards):
    stations = xsm.example("stations", size=16, days=DAYS, seed=3).load()
    train, validation = (TRAIN[::-1], VALIDATION[::-1]) if backwards else (TRAIN, VALIDATION)
    test = ~(train | validation)
    hour = np.isin(stations["time"].values.astype("M8[D]"), cube["time"].values[test].astype("M8[D]"))
    noisy = stations.assign(soil_moisture=stations["soil_moisture"].where(~xr.DataArray(hour, dims="time"), 0.3))
    split = {"task": "fuse", "train": train, "validation": validation}
    fits = [xsm.fit(c, stations=s, **split, **QUICK) for c, s in ((cube, stations), (changed(cube, test), noisy))]
    for name, weight in fits[0].weights.items():
        np.testing.assert_array_equal(weight, fits[1].weights[name], err_msg=name)
    assert fits[0].card["sources"]["stations"]


def test_shuffled_retrievals_leave_the_skill_of_the_weather(cube):
    """A prediction that peeked at its own day would stay good when the order of retrievals has no meaning."""
    rng = np.random.default_rng(0)
    order = rng.permutation(DAYS)
    shuffled = cube.assign(sm_dca=cube["sm_dca"].copy(data=cube["sm_dca"].values[order]))
    scores = []
    for one in (cube, shuffled):
        fitted = xsm.fit(one, task="fuse", train=TRAIN, validation=VALIDATION, **QUICK)
        roles = fusing.inputs_of(one)
        estimate, retrieval = prediction(one, fitted)[95:], roles[RETRIEVAL].values[95:]
        both = np.isfinite(retrieval)
        scores.append(
            np.corrcoef((estimate - estimate.mean(0))[both], (retrieval - np.nanmean(retrieval, 0))[both])[0, 1]
        )
    assert scores[0] > scores[1] + 0.2
    assert abs(scores[1]) < 0.35  # 25 days of which neighbours repeat each other


def test_lazy_maps_equal_loaded_ones_whatever_the_chunks(cube, bundle):
    mode = bundle.card["options"]["mode"]
    whole = xsm.fuse(cube, model=bundle, mode=mode)
    for chunks in ({"time": 30, "y": 5, "x": 16}, {"time": -1, "y": 16, "x": 7}):
        lazy = xsm.fuse(cube.chunk(chunks), model=bundle, mode=mode)
        assert lazy["sm_25cm"].chunks is not None
        for name in ("sm_5cm", "sm_5cm_std", "sm_25cm", "sm_25cm_std", "mask_reason"):
            np.testing.assert_array_equal(lazy[name].values, whole[name].values, err_msg=name)


def test_filled_retrievals_are_as_good_as_none(cube, bundle):
    """A filled cube gives the same maps as the cube with its gaps: only observed values enter."""
    mode = bundle.card["options"]["mode"]
    filled = cube.assign(
        sm_dca=cube["sm_dca"].fillna(0.33).assign_attrs(cube["sm_dca"].attrs, fill_method="by hand"),
        sm_dca_observed=cube["sm_dca"].notnull(),
    )
    one, other = (xsm.fuse(c, model=bundle, mode=mode) for c in (cube, filled))
    np.testing.assert_array_equal(one["sm_5cm"], other["sm_5cm"])
    with pytest.raises(xsm.DataError, match="says where it was observed"):
        xsm.fuse(filled.drop_vars("sm_dca_observed"), model=bundle, mode=mode)


def test_the_result_says_what_it_rests_on(cube, bundle):
    maps = xsm.fuse(cube, model=bundle, mode=bundle.card["options"]["mode"])
    assert set(maps["weights_5cm"]["source_5cm"].values) == {"retrieval", "model_surface", "prediction"}
    np.testing.assert_allclose(maps["weights_5cm"].sum("source_5cm"), 1)
    assert float(maps["weights_5cm"].sel(retrieved=False, source_5cm="retrieval")) == 0
    np.testing.assert_allclose(maps["weights_25cm"].sum("source_25cm"), 1)
    assert maps.attrs["method"] == "fuse" and maps.attrs["model_hash"] == bundle.hash
    assert "Noah" in maps["sm_5cm"].attrs["family"] and "SMAP" in maps["sm_5cm"].attrs["family"]
    valid = maps["mask_reason"] == 0
    for name in ("sm_5cm", "sm_25cm"):
        assert not maps[name].where(valid, 0).isnull().any()
        assert (maps[f"{name}_std"].where(valid, 1) > 0).all()
    np.testing.assert_array_equal(
        maps["retrieval_observed"], in_roles(cube)[RETRIEVAL].transpose("time", "y", "x").notnull()
    )


def test_a_bundle_survives_its_file(cube, bundle, tmp_path):
    again = xsm.Bundle.load(bundle.save(tmp_path / "fused.xsm"))
    mode = bundle.card["options"]["mode"]
    one, other = (xsm.fuse(cube, model=b, mode=mode, depth=5) for b in (bundle, again))
    np.testing.assert_array_equal(one["sm_5cm"], other["sm_5cm"])
    assert "sm_25cm" not in one


def test_weather_soil_and_second_layer_may_be_absent(cube):
    bare = cube[["sm_dca", "sm_noah_0_10", "frozen", "land"]] if "frozen" in cube else cube[["sm_dca", "sm_noah_0_10"]]
    maps = xsm.fuse(bare, depth=5, train=TRAIN, validation=VALIDATION)
    assert float(maps["sm_5cm"].notnull().mean()) > 0.5
    with pytest.raises(xsm.DataError, match="sm_noah_10_40"):
        xsm.fuse(bare)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda c: c.drop_vars("sm_noah_0_10"), xsm.DataError, "sm_noah_0_10 .model surface."),
        (lambda c: c.assign(sm_noah_0_10=c["sm_noah_0_10"].where(c["time"] != c["time"][9])), xsm.DataError, "gaps"),
        (lambda c: c.isel(time=[*range(40), *range(50, DAYS)]), xsm.DataError, "lacks 10 days"),
        (lambda c: c.drop_vars("precipitation"), xsm.DataError, "precipitation"),
    ],
)
def test_a_cube_that_does_not_fit_is_refused_in_one_sentence(cube, bundle, change, error, words):
    with pytest.raises(error, match=words):
        xsm.fuse(change(cube), model=bundle, mode=bundle.card["options"]["mode"])


def test_the_shipped_bundle_fuses_both_depths_and_warns(cube):
    with pytest.warns(UserWarning, match="trained on synthetic data"):
        maps = xsm.fuse(cube, model="pretrained")
    assert {"sm_5cm", "sm_25cm"} <= set(maps) and maps.attrs["warm_up_days"] == 50


@pytest.mark.parametrize("value", [-9999.0, 1e20, 32.0])
def test_impossible_retrievals_are_refused_before_anything_is_learnt(cube, bundle, value):
    dca = cube["sm_dca"].copy(deep=True)
    dca[40, 3:6, 3:6] = value
    wrong = cube.assign(sm_dca=dca)
    for work in (
        lambda: xsm.fit(wrong, task="fuse"),
        lambda: xsm.fuse(wrong, model=bundle, mode=bundle.card["options"]["mode"]),
    ):
        with pytest.raises(xsm.DataError, match="Fusion needs retrievals in their range"):
            work()


def test_arguments_of_a_training_are_refused_beside_a_model(cube, bundle):
    with pytest.raises(xsm.UsageError, match="train only matter for training"):
        xsm.fuse(cube, model=bundle, mode=bundle.card["options"]["mode"], train=TRAIN)
    with pytest.raises(xsm.UsageError, match="model is a int"):
        xsm.fuse(cube, model=3)
    old = {n: w for n, w in bundle.weights.items() if n != "filter_25cm"}
    with pytest.raises(xsm.DataError, match="lacks filter_25cm"):
        xsm.fuse(cube, model=xsm.Bundle(bundle.card, old), mode=bundle.card["options"]["mode"])


def test_a_period_without_retrievals_enough_is_refused(cube):
    first = np.flatnonzero(cube["sm_dca"].notnull().any(["y", "x"]))[0]
    few = cube.assign(sm_dca=cube["sm_dca"].where(cube["time"] == cube["time"][first]))
    with pytest.raises(xsm.DataError, match="training days"):
        xsm.fit(few, task="fuse", train=TRAIN, **QUICK)


def test_stations_that_cannot_serve_are_named_with_the_reason(cube):
    away = xsm.example("stations", size=16, days=DAYS, seed=3).load()
    away = away.assign_coords(lon=away["lon"] + 20)
    with pytest.warns(UserWarning, match="default weights and spread are used: No station lies in the maps"):
        fitted = xsm.fit(cube, task="fuse", train=TRAIN, validation=VALIDATION, stations=away, **QUICK)
    assert fitted.card["sources"]["stations"] == []


def test_wrong_requests_are_refused(cube, bundle):
    with pytest.raises(xsm.UsageError, match="depth is empty"):
        xsm.fuse(cube, depth=None)
    with pytest.raises(xsm.UsageError, match="expected 5, 25 or both"):
        xsm.fuse(cube, depth=10)
    if bundle.card["options"]["mode"] == "smoother":
        with pytest.raises(xsm.DataError, match="trained as a smoother"):
            xsm.fuse(cube, model=bundle, mode="filter")
    with pytest.raises(xsm.UsageError, match="belongs to task='estimate'"):
        xsm.fit(cube, task="fuse", predictors=["tb_h"])
    with pytest.raises(xsm.DataError, match="expected 'estimate'"):
        xsm.estimate(cube, model=bundle)


def test_maps_are_not_scored_at_stations_that_taught_them(cube):
    stations = xsm.example("stations", size=16, days=DAYS, seed=3).load()
    fitted = xsm.fit(cube, task="fuse", train=TRAIN, validation=VALIDATION, stations=stations, **QUICK)
    maps = xsm.fuse(cube, model=fitted)
    assert maps.attrs["training_stations"]
    with pytest.raises(xsm.DataError, match="learnt from every station"):
        maps.sm.validate(stations, min_days=20)
    with pytest.warns(UserWarning, match="scores are too good"):
        table = maps.sm.validate(stations, min_days=20, include_training_stations=True)
    assert int(table["count"].max()) > 0


def test_the_accessor_and_the_command_give_the_same(cube, bundle, tmp_path):
    mode = bundle.card["options"]["mode"]
    cube.sm.fuse(model=bundle, mode=mode)
    cube.to_netcdf(tmp_path / "cube.nc")
    bundle.save(tmp_path / "bundle")
    arguments = ["fuse", str(tmp_path / "cube.nc"), str(tmp_path / "out.nc"), "--model", str(tmp_path / "bundle")]
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--mode", mode, "--depth", "5,25"])
    assert end.value.code == 0
    with xr.open_dataset(tmp_path / "out.nc") as maps:
        np.testing.assert_allclose(maps["sm_25cm"], xsm.fuse(cube, model=bundle, mode=mode)["sm_25cm"], atol=1e-6)


def test_surface_is_merged_as_written(cube, bundle):
    """The fused surface again by hand, from its parts and weights."""
    parts = fusing.surface_parts(fusing.inputs_of(cube), bundle)
    weights = bundle.weights["weights_5cm"]
    r, m, p, long = (parts[n].values for n in (RETRIEVAL, SURFACE, "prediction", "lasting"))
    observed = np.isfinite(r)
    with_retrieval = weights[1, 0] * np.nan_to_num(r) + weights[1, 1] * m + weights[1, 2] * p
    expected = np.where(observed, with_retrieval, weights[0, 1] * m + weights[0, 2] * p)
    expected = expected - (MODEL_MEAN - 0.2) * np.nan_to_num(long)
    np.testing.assert_allclose(fusing.merged_surface(parts, weights), np.clip(expected, 0.02, 0.6), atol=1e-6)


@given(st.integers(0, 10_000), st.lists(st.floats(0.005, 0.1), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_corrected_weights_sum_to_the_same_and_do_not_fit_worse(seed, noise):
    rng = np.random.default_rng(seed)
    truth, place = rng.normal(0.25, 0.06, 3000), rng.integers(0, 6, 3000)
    parts = truth + rng.normal(size=(3, 3000)) * np.array(noise)[:, None] + rng.normal(0, 0.05, (3, 6))[:, place]
    first = SURFACE_WEIGHTS[1]
    better = corrected(first, parts, truth, place)
    assert np.isclose(better.sum(), first.sum()) and (better >= 0).all()

    def miss(weights):
        rest = weights @ parts - truth
        return np.mean((rest - (np.bincount(place, rest) / np.bincount(place))[place]) ** 2)

    assert miss(better) <= miss(first) + 1e-12


def test_few_measurements_leave_the_weights_as_they_are():
    rng = np.random.default_rng(0)
    truth = rng.normal(0.25, 0.06, 40)
    parts = truth + rng.normal(size=(3, 40)) * np.array([[0.1], [0.1], [0.001]])
    weights = corrected(SURFACE_WEIGHTS[1], parts, truth, np.zeros(40, int))
    np.testing.assert_allclose(weights, SURFACE_WEIGHTS[1], atol=0.1)


def test_data_from_which_nothing_can_be_learnt_are_refused_or_told_of(cube, bundle):
    flat = cube.assign(sm_dca=(cube["sm_dca"] * 0 + 0.2).assign_attrs(cube["sm_dca"].attrs))
    with pytest.warns(UserWarning, match="retrieval 'sm_dca' hardly varies"):
        xsm.fuse(flat, depth=5, model=bundle)
    for scaled in (cube["sm_noah_0_10"], cube["sm_noah_0_10"] * 0.8 + 0.02):
        copy = cube.assign(sm_dca=scaled.where(cube["sm_dca"].notnull()).assign_attrs(cube["sm_dca"].attrs))
        for how in ({"model": bundle}, {}):
            with pytest.raises(xsm.DataError, match="is the land model 'sm_noah_0_10' under another name"):
                xsm.fuse(copy, depth=5, **how)
    with pytest.raises(xsm.DataError, match=r"has 3 training days .of 5., expected 30 or more"):
        xsm.fuse(cube.isel(time=slice(0, 5)), depth=5)
    with pytest.warns(UserWarning, match=r"training days only .of 20."):
        xsm.fuse(cube.isel(time=slice(0, 20)), depth=5)


@pytest.mark.parametrize("frozen, reason", [(1, "all ground is frozen"), (np.nan, "'frozen' has no value")])
@pytest.mark.parametrize("lazy", [False, True])
def test_frozen_ground_is_named_where_it_leaves_no_retrieval(cube, frozen, reason, lazy):
    mask = xr.full_like(cube["frozen"], frozen, "f4").astype("u1" if frozen == 1 else "f4")
    ds = cube.assign(frozen=mask)
    with pytest.raises(xsm.DataError, match=f"{reason}.*no retrieval of 'sm_dca' is left"):
        xsm.fuse(ds.chunk(time=-1) if lazy else ds, depth=5)
