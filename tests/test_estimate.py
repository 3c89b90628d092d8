"""Fit and estimate through the core, with the numpy baseline: scenarios, splits, masks, sentences."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import load_file, save_file

import xsm
from xsm.contracts.bundle import Bundle
from xsm.contracts.defaults import baseline
from xsm.data.period import split_days
from xsm.data.scenarios import SCENARIOS, get_scenario
from xsm.errors import DataError, UsageError
from xsm.testing import leaky_series, raise_if_computes


@pytest.fixture(scope="module")
def ridge(law_cube):
    """The four ridge bundles of the law cube."""
    return {p: law_cube.sm.fit(depth=p[0], scenario=p[1], model="ridge") for p in SCENARIOS}


@pytest.mark.parametrize("pair", sorted(SCENARIOS))
def test_linear_law_is_found_again(law_cube, ridge, pair):
    depth, number = pair
    made = law_cube.sm.estimate(depth=depth, scenario=number, model=ridge[pair])
    name = f"sm_{depth}cm"
    truth = law_cube["sm_noah_0_10" if depth == 5 else "sm_noah_10_40"]
    lead = get_scenario(depth, number).lead_in
    error = (made[name] - truth).isel(time=slice(lead, None), y=slice(3, None))
    # scenario 1 at 5 cm has no soil maps, whose share of the law has a spread of 0.02
    assert float(abs(error).max()) < (0.06 if pair == (5, 1) else 2e-3)
    assert bool(made[name].isel(y=slice(0, 3)).isnull().all())
    assert (made["mask_reason"].values[:3] == 2).all()
    assert made[name].attrs["units"] == "m3 m-3"
    assert made.attrs["model_hash"] == ridge[pair].hash
    assert bool((made[f"{name}_reference_std"].isel(time=10, y=slice(3, None)) > 0).all())
    assert "texture" in made.coords


def test_lazy_estimate_equals_eager(law_cube, ridge):
    eager = law_cube.sm.estimate(depth=25, scenario=2, model=ridge[25, 2])
    lazy = law_cube.chunk(time=13, y=9).sm.estimate(depth=25, scenario=2, model=ridge[25, 2])
    assert lazy["sm_25cm"].chunks is not None
    np.testing.assert_array_equal(lazy["sm_25cm"].compute().values, eager["sm_25cm"].values)
    np.testing.assert_array_equal(lazy["mask_reason"].compute().values, eager["mask_reason"].values)


def test_bundle_round_trip_holds_its_surface(ridge, tmp_path):
    path = ridge[25, 2].save(tmp_path / "25-2")
    back = Bundle.load(path)
    assert back.hash == ridge[25, 2].hash
    assert back.surface is not None
    assert back.surface.hash == back.card["surface"]
    assert back.card["training"]["days"] == ["2021-06-01", "2021-07-06"]
    with pytest.raises(DataError, match="exists already"):
        ridge[5, 1].save(path)
    shutil.rmtree(path / "surface")
    ridge[5, 1].save(path / "surface")
    with pytest.raises(DataError, match="was changed after it was written"):
        Bundle.load(path)


def spoiled(name, value, spot):
    def change(ds):
        ds = ds.copy(deep=True)
        ds[name][spot] = value
        return ds

    return change


NO_VALUES = {
    "infinite": (
        spoiled("tb_v", -np.inf, np.s_[[20, 30], 10, 10]),
        r"infinite values are in tb_v \((2 cell-days, the first on 2021-06-21)",
    ),
    "infinite map": (spoiled("clay", np.inf, np.s_[:, 10, 10]), r"infinite values are in clay \((1 cells)\)"),
    "fill value": (
        spoiled("surface_temperature", -9999, np.s_[40, 3:, 5]),
        r"surface_temperature \((37 cell-days, the first on 2021-07-11), with -9999 to -9999 instead of 200 to 350 K",
    ),
    "Celsius": (
        lambda d: d.assign(surface_temperature=(d["surface_temperature"] - 273.15).assign_attrs(units="K")),
        r"in surface_temperature \((79920 cell-days, .*) instead of 200 to 350 K\)\. Convert the unit",
    ),
    "percent": (
        lambda d: d.assign(albedo=(d["albedo"] * 100).assign_attrs(units="1")),
        r"in albedo \((79920 cell-days, .*) instead of 0 to 1\)",
    ),
}


@pytest.mark.parametrize("what", NO_VALUES)
@pytest.mark.parametrize("chunks", [{}, {"time": 13, "y": 9}], ids=["eager", "lazy"])
def test_values_that_are_none_are_refused(law_cube, ridge, what, chunks):
    change, text = NO_VALUES[what]
    bad = change(law_cube).chunk(chunks) if chunks else change(law_cube)
    with pytest.raises(DataError, match=text):
        bad.sm.fit(scenario=2, model="ridge")
    with pytest.raises(DataError, match=re.sub(r"\(\(.*?\)", r"(\\d+ cell.*?", text)):
        bad.sm.estimate(scenario=2, model=ridge[5, 2]).compute()


def test_values_outside_the_domain_do_not_matter(law_cube, ridge):
    water = spoiled("tb_v", np.inf, np.s_[20, 1, 10])(law_cube)
    for ds in (water, water.chunk(time=13)):
        made = ds.sm.estimate(scenario=1, model=ridge[5, 1])
        xr.testing.assert_equal(made.compute(), law_cube.sm.estimate(scenario=1, model=ridge[5, 1]))


def test_values_out_of_their_range_are_told(law_cube, ridge):
    odd = spoiled("tb_h", 350, np.s_[20, 10, 10])(law_cube)
    text = r"out of the range of their quantity: tb_h \(1 outside 0 to 340 K\)"
    with pytest.warns(UserWarning, match=text):
        made = odd.sm.estimate(scenario=1, model=ridge[5, 1])
    assert bool(made["sm_5cm"][20, 10, 10].notnull())
    with raise_if_computes():
        lazy = odd.chunk(time=13, y=9).sm.estimate(scenario=1, model=ridge[5, 1])
    with pytest.warns(UserWarning, match=text):
        xr.testing.assert_equal(lazy.compute(), made)


def test_units_that_are_missing_are_assumed_and_told(law_cube, ridge, recwarn):
    bare = law_cube.copy()
    for name in ("tb_h", "albedo", "clay"):
        bare[name] = bare[name].drop_attrs()
    assert bare.sm.fit(depth=25, scenario=2, model="ridge").hash == ridge[25, 2].hash
    bare.sm.estimate(scenario=2, model=ridge[5, 2])
    told = "The units in brackets are assumed of variables without 'units': tb_h (K), clay (percent)."
    assert [str(w.message) for w in recwarn] == [told, told]


def test_a_surface_that_saw_other_days_is_told(law_cube, ridge, recwarn):
    days = law_cube["time"].values.astype("M8[D]")
    split = {"train": np.isin(np.arange(60), [*range(10, 20), *range(25, 36)]), "validation": np.arange(60) >= 50}
    both = {"depth": 25, "scenario": 2, "model": "ridge"}
    own = law_cube.sm.fit(**both, **split)
    assert own.surface.card["training"]["periods"] == [f"{days[10]} to {days[19]}", f"{days[25]} to {days[35]}"]
    law_cube.sm.fit(**both, **split, surface=own.surface)
    assert not recwarn.list
    law_cube.sm.fit(**both, **split, surface=ridge[5, 2])
    assert ["model behind sm_5cm saw other days" in str(w.message) for w in recwarn] == [True]


def test_training_sees_no_other_day(law_cube):
    other = law_cube.copy(deep=True)
    for name in ("sm_noah_0_10", "tb_h"):
        other[name][40:] += 0.3
    days = {"train": slice("2021-06-01", "2021-07-05"), "validation": slice("2021-07-06", "2021-07-10")}
    one = law_cube.sm.fit(depth=5, scenario=2, model="ridge", **days)
    two = other.sm.fit(depth=5, scenario=2, model="ridge", **days)
    for key in one.weights:
        np.testing.assert_array_equal(one.weights[key], two.weights[key])


def test_filled_reference_days_do_not_count(law_cube):
    """With ``sm_dca_observed`` in the cube only observed DCA reaches the model."""
    from xsm.learning.predictors import references

    filled = law_cube.assign(sm_dca=law_cube["sm_noah_0_10"] * 0 + 0.3, sm_dca_observed=law_cube["sm_dca"].notnull())
    got = references(filled, get_scenario(5, 1))["sm_dca"]
    np.testing.assert_array_equal(got.notnull().values, law_cube["sm_dca"].notnull().values)


def test_free_predictors_and_target(law_cube):
    extra = law_cube.assign(moisture=law_cube["sm_noah_0_10"], slope=law_cube["clay"].isel(soil_depth=0, drop=True))
    bundle = extra.sm.fit(depth=5, model="ridge", predictors=["tb_h", "tb_v", "slope"], target="moisture")
    assert bundle.card["inputs"] == ["tb_h", "tb_v"]
    assert bundle.card["statics"] == ["slope"]
    assert bundle.card["references"] == ["moisture"]
    made = extra.sm.estimate(depth=5, model=bundle)
    assert float(abs(made["sm_5cm"] - extra["moisture"]).isel(time=slice(2, None)).max()) < 2e-3


def test_a_target_that_is_no_soil_moisture_is_refused(law_cube):
    with pytest.raises(DataError, match=r"The target 'tb_h' has the unit 'K', wanted soil moisture in m3 m-3"):
        law_cube.sm.fit(depth=5, model="ridge", predictors=["tb_v"], target="tb_h")


@pytest.mark.parametrize("day", ["2021-06-10", "2021-06-18"])
def test_gaps_in_every_day_that_a_model_gets_are_refused(law_cube, day):
    """In the lead-in before the first training day, and between two runs of training days."""
    gappy = law_cube.copy(deep=True)
    gappy["tb_h"].loc[{"time": day}] = np.nan
    days = law_cube["time"].values.astype("M8[D]")
    train = (days >= np.datetime64("2021-06-11")) & (days <= np.datetime64("2021-06-30"))
    train &= days != np.datetime64("2021-06-18")
    with pytest.raises(DataError, match="needs predictors without gaps, but some are in tb_h"):
        gappy.sm.fit(depth=5, scenario=1, model="boosting", train=train)


def test_split_by_date_defaults():
    days = np.arange("2018-01-01", "2022-12-31", dtype="M8[D]")
    used, held = split_days(days, None, None)
    assert str(days[used][-1]) == "2020-12-31"
    assert (str(days[held][0]), str(days[held][-1])) == ("2021-01-01", "2021-12-31")
    short = days[:100]
    used, held = split_days(short, None, None)
    assert (used.sum(), held.sum()) == (60, 20)
    assert not (used & held).any()


def without(name):
    return lambda d: d.drop_vars(name)


def with_gap(d):
    d = d.copy(deep=True)
    d["tb_v"][20, 10, 10] = np.nan
    return d


@pytest.mark.parametrize(
    ("change", "kwargs", "error", "text"),
    [
        (without("tb_h"), {}, DataError, "5 cm scenario 2 needs tb_h"),
        (without("bulk_density"), {"depth": 25, "scenario": 1}, DataError, "25 cm scenario 1 needs bulk_density"),
        (with_gap, {}, DataError, r"tb_v \(1 cell-days, the first on 2021-06-21\).*gapfill"),
        (lambda d: d.assign(tb_h=d["tb_h"].assign_attrs(units="degC")), {}, DataError, "unit 'degC'"),
        (lambda d: d.isel(soil_depth=[1]), {}, DataError, r"soil depths \[30\]"),
        (lambda d: d, {"train": slice("2010-01-01", "2010-12-31")}, DataError, "No day of the data"),
        (lambda d: d, {"train": [True, False]}, DataError, "60 days"),
        (lambda d: d.isel(time=slice(0, 2)), {}, DataError, "has 2 days"),
        (lambda d: d, {"depth": 10}, UsageError, "Known: 25, 5"),
        (lambda d: d, {"model": "rigde"}, UsageError, "Did you mean 'ridge'"),
        (lambda d: d, {"predictors": ["nope"]}, DataError, "'nope' is not in the dataset"),
        (lambda d: d, {"depth": 5, "surface": "x"}, UsageError, "surface="),
        (lambda d: d.isel(time=np.r_[0:20, 25:60]), {}, DataError, r"lacks 5 days \(the first after 2021-06-20\)"),
        (lambda d: d.isel(time=slice(None, None, -1)), {}, DataError, "twice or out of order"),
        (lambda d: d.isel(time=np.r_[0:20, 19:60]), {}, DataError, "twice or out of order"),
        (
            lambda d: d,
            {"train": np.arange(60)},
            UsageError,
            "train= has values of the type int64, expected True or False",
        ),
        (lambda d: d, {"train": slice("2010", "2010")}, DataError, "lies in train=2010-01-01/2010-12-31"),
        (lambda d: d, {"model": "cru"}, UsageError, "'cru' is for the task 'gapfill', wanted one for 'estimate'"),
        (lambda d: d, {"predictors": ["sand"]}, DataError, "changes with time"),
        (lambda d: d, {"predictors": []}, DataError, "none given"),
        (
            lambda d: d.assign(bits=d["tb_h"].astype("u2").assign_attrs(flag_masks=[1])),
            {"predictors": ["tb_h", "bits"]},
            DataError,
            "predictors bits are no quantities",
        ),
        (lambda d: d, {"predictors": ["tb_h", "sm_noah_0_10"]}, DataError, "'sm_noah_0_10' is both"),
        (
            lambda d: d.assign(sm_noah_0_10=d["sm_noah_0_10"] * np.nan),
            {},
            DataError,
            "'sm_noah_0_10' is nowhere observed",
        ),
        (lambda d: d.assign(frozen=d["tb_h"] > 0), {}, DataError, "nowhere observed on thawed days"),
    ],
)
def test_wrong_input_stops_before_the_work(law_cube, change, kwargs, error, text):
    with pytest.raises(error, match=text):
        xsm.fit(change(law_cube), **{"model": "ridge", **kwargs})


@pytest.mark.parametrize(
    ("change", "kwargs", "text"),
    [
        (without("sm_noah_10_40"), {}, "25 cm scenario 2 needs sm_noah_10_40"),
        (without("clay"), {}, "25 cm scenario 2 needs clay"),
        (lambda d: d, {"validation": slice("1999-01-01", "1999-12-31")}, "No day of the data"),
        (lambda d: d, {"stations": xr.Dataset()}, "stations lack soil_moisture"),
        (lambda d: d, {"penalties": 2.0}, "Did you mean 'penalty'"),
    ],
)
def test_the_surface_is_not_trained_first_where_the_subsurface_would_fail(law_cube, monkeypatch, change, kwargs, text):
    monkeypatch.setattr("xsm.contracts.defaults.baseline.Ridge.fit", lambda *a, **k: pytest.fail("it was trained"))
    with pytest.raises((DataError, UsageError), match=text):
        xsm.fit(change(law_cube), depth=25, scenario=2, model="ridge", **kwargs)


def test_bundle_of_another_depth_scenario_or_grid_is_refused(law_cube, ridge):
    with pytest.raises(DataError, match="5 cm scenario 1, wanted 5 cm scenario 2"):
        law_cube.sm.estimate(depth=5, scenario=2, model=ridge[5, 1])
    with pytest.raises(DataError, match="wanted 'estimate'"):
        gap = law_cube[["sm_dca"]].sm.fit(task="gapfill", model="linear")
        law_cube.sm.estimate(depth=5, model=gap)
    other = Bundle({**ridge[5, 2].card, "grid": {"name": "EASE2_M36"}}, ridge[5, 2].weights)
    with pytest.raises(DataError, match="trained on EASE2_M36"):
        law_cube.sm.estimate(depth=5, scenario=2, model=other)
    lone = Bundle(ridge[25, 2].card, ridge[25, 2].weights)
    with pytest.raises(DataError, match="lacks its 5 cm bundle"):
        law_cube.sm.estimate(depth=25, scenario=2, model=lone)


def change_card(folder, change):
    path = folder / "card.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def change_weights(folder, change, *, told=False):
    """Write other weights, with a card that does not tell of them or (``told``) does not tell of any."""
    save_file({k: change(v) for k, v in load_file(folder / "weights.safetensors").items()},
              folder / "weights.safetensors")  # fmt: skip
    card = json.loads((folder / "card.json").read_text())
    card = {k: v for k, v in card.items() if not told or k != "hash"}
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda p: (p / "card.json").write_text("{"), "damaged"),
        (lambda p: (p / "weights.safetensors").write_bytes((1 << 60).to_bytes(8, "little") + b"x" * 100), "damaged"),
        (lambda p: (p / "card.json").write_text('{"format": 1, "surprise": 2}'), "unknown keys"),
        (lambda p: (p / "card.json").unlink(), "no model bundle"),
        (lambda p: change_weights(p, lambda w: w + 1), "was changed after it was written"),
        (lambda p: change_card(p, lambda c: {**c, "inputs": c["inputs"][::-1]}), "was changed after it was written"),
        (
            lambda p: change_weights(p, lambda w: w * np.nan, told=True),
            "The weights mean, spread, std .* NaN or infinite",
        ),
    ],
)
def test_damaged_bundles_are_refused(ridge, tmp_path, spoil, text):
    path = ridge[5, 1].save(tmp_path / "b")
    spoil(path)
    with pytest.raises(DataError, match=text):
        Bundle.load(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda card: 3, "holds a int"),
        (lambda card: card.pop("depth") and card, r"lacks \['depth'\]"),
        (lambda card: card | {"inputs": None}, "no usable inputs"),
        (lambda card: card | {"targets": []}, "no usable targets"),
        (lambda card: card | {"units": None}, "no usable units"),
        (lambda card: card | {"spread": 3, "grid": "x"}, "no usable grid, spread"),
        (lambda card: card | {"options": None, "training": None}, "no usable options, training"),
        (lambda card: {k: v for k, v in card.items() if k != "options"}, r"lacks \['options'\]"),
    ],
)
def test_cards_of_other_types_are_refused(ridge, change, text):
    with pytest.raises(DataError, match=text):
        Bundle(change(dict(ridge[5, 1].card)), ridge[5, 1].weights)


@pytest.mark.parametrize(("model", "days"), [("ridge", 0), ("boosting", 6), ("lstm", 6)])
def test_days_that_lack_some_of_the_look_back_are_counted(model, days):
    short = {"boosting": {"trees": 5, "leaf_size": 5}, "lstm": {"epochs": 1, "hidden": 2}}.get(model, {})
    options = short and {"look_back": days + 1, **short}
    ds = leaky_series(12, 60)
    bundle = ds.sm.fit(model=model, predictors=("precipitation", "sand"), target="soil_moisture", **options)
    made = ds.sm.estimate(model=bundle)
    assert (made.attrs["lead_in_days"], made.attrs["warm_up_days"]) == (0, days)
    assert bool(made["sm_5cm"].notnull().all())


def test_weights_that_do_not_fit_the_card_are_refused(law_cube, ridge):
    short = Bundle(ridge[5, 1].card, {**ridge[5, 1].weights, "mean": np.zeros(2)})
    with pytest.raises(DataError, match="do not fit its card"):
        law_cube.sm.estimate(scenario=1, model=short)


@pytest.mark.parametrize(("name", "value"), [("sm_noah_0_10", -9999.0), ("sm_dca", -9999.0), ("sm_noah_0_10", 23.0)])
def test_references_with_fill_values_or_percent_are_refused(law_cube, name, value):
    spoilt = law_cube[name].where(law_cube["time"] != law_cube["time"][12], value)
    with pytest.raises(DataError, match=f"needs references in their range.*{name} .*first on 2021-06-13"):
        law_cube.assign({name: spoilt}).sm.fit(model="ridge")


def test_days_that_do_not_follow_each_other_are_not_estimated(law_cube, ridge):
    for days, text in ((np.r_[0:20, 25:60], "lacks 5 days"), (np.arange(60)[::-1], "out of order")):
        with pytest.raises(DataError, match=text):
            law_cube.isel(time=days).sm.estimate(scenario=1, model=ridge[5, 1])


def test_another_target_of_25_cm_scenario_2_still_gets_the_surface(law_cube, ridge):
    bundle = law_cube.sm.fit(depth=25, scenario=2, target="sm_noah_10_40", model="ridge")
    assert bundle.hash == ridge[25, 2].hash
    chosen = law_cube.sm.fit(depth=25, scenario=2, predictors=["tb_h", "sm_5cm"], model="ridge")
    assert chosen.card["inputs"] == ["tb_h", "sm_5cm"]
    assert chosen.surface.hash == ridge[5, 2].hash


def test_predictors_of_the_reference_s_product_warn(law_cube):
    for name in ("sm_noah_10_40", "sm_dca"):
        cube = law_cube.assign({name: law_cube[name].fillna(0.2)})
        with pytest.warns(UserWarning, match=f"The predictors {name} come from the product of a reference"):
            cube.sm.fit(predictors=["tb_h", name], model="ridge")


def test_estimates_join_a_cube_and_a_foreign_surface_is_not_silently_replaced(law_cube, ridge):
    own = law_cube.assign(land_cover=law_cube["tb_h"].isel(time=0, drop=True) * 0 + 10)
    surface = own.sm.estimate(model=ridge[5, 2])[["sm_5cm"]]
    assert "land_cover" in surface.coords
    joined = xsm.cube(own, surface)
    assert joined["sm_5cm"].attrs["model_hash"] == ridge[5, 2].hash
    made = joined.sm.estimate(depth=25, scenario=2, model=ridge[25, 2])["sm_25cm"]
    xr.testing.assert_equal(made, own.sm.estimate(depth=25, scenario=2, model=ridge[25, 2])["sm_25cm"])
    other = joined.assign(sm_5cm=joined["sm_5cm"].assign_attrs(model_hash="none"))
    with pytest.warns(UserWarning, match="is not used; it is estimated anew"):
        other.sm.fit(depth=25, scenario=2, model="ridge")


def test_the_region_that_was_opened_is_what_comes_out(law_cube, ridge):
    row0, col0 = 300, 1000
    cube = law_cube.assign_attrs(xsm_region=f"{row0 + 10} {row0 + 20} {col0 + 5} {col0 + 25}")
    made = cube.sm.estimate(depth=5, scenario=1, model=ridge[5, 1])
    assert made["sm_5cm"].shape[1:] == (10, 20)
    whole = law_cube.sm.estimate(depth=5, scenario=1, model=ridge[5, 1])
    xr.testing.assert_equal(made["sm_5cm"], whole["sm_5cm"].isel(y=slice(10, 20), x=slice(5, 25)))


def test_a_surface_of_another_bundle_is_refused(recwarn):
    cube = xsm.example("cube", size=16, days=10)
    for attrs, told in (({}, "no bundle"), ({"model_hash": "0123456789abcdef"}, "the bundle 0123456789abcdef")):
        surface = xr.full_like(cube["tb_h"], 0.2)
        surface.attrs = {"units": "m3 m-3", **attrs}
        with pytest.raises(DataError, match=f"{told}, wanted"):
            xsm.estimate(cube.assign(sm_5cm=surface), depth=25, scenario=2)
    assert not recwarn.list  # of a shipped model that was of no use


def test_fit_without_any_usable_cell_says_which_predictor_is_empty(law_cube):
    with pytest.raises(DataError, match=r"No cell can be trained on.*tb_v hold no value"):
        law_cube.assign(tb_v=law_cube["tb_v"] * np.nan).sm.fit(depth=5, scenario=1, model="ridge")


def test_a_model_may_clip_arrays_of_another_shape(law_cube, ridge, monkeypatch):
    """The share of clipped values was counted by the mask, whatever the shape."""
    own = xsm.plugin_api.clip_moisture
    monkeypatch.setattr(baseline, "clip_moisture", lambda v, card: own(v.ravel(), card).reshape(v.shape))
    made = law_cube.sm.estimate(scenario=1, model=ridge[5, 1])["sm_5cm"]
    assert bool(made.notnull().any()) and "clipped_share" not in made.attrs


def test_estimates_are_held_between_the_driest_soil_and_pores() -> None:
    ds = leaky_series(12, 120)
    wet = ds.assign(soil_moisture=(ds["soil_moisture"] * 3 - 0.2).assign_attrs(units="m3 m-3"))
    bundle = wet.sm.fit(model="ridge", target="soil_moisture", predictors=("precipitation", "sand"))
    held = wet.sm.estimate(model=bundle)["sm_5cm"]
    assert float(held.min()) >= 0.02 and float(held.max()) == pytest.approx(0.6)
    assert held.attrs["clipped_share"] == pytest.approx(float(((held <= 0.02) | (held >= 0.6)).mean()), abs=1e-6)
    assert 0 < held.attrs["clipped_share"] < 1
    assert "clipped_share" not in wet.chunk().sm.estimate(model=bundle)["sm_5cm"].attrs
