"""Training through the core, with the numpy baseline: splits, predictors, tasks, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.data.period import split_days
from xsm.data.scenarios import scenario_of
from xsm.errors import DataError, UsageError
from xsm.learning.fitting import TASKS, arguments_of


def test_a_surface_that_learnt_from_other_days_warns(law_cube, ridge, recwarn):
    days = law_cube["time"].values.astype("M8[D]")
    split = {"train": np.isin(np.arange(60), [*range(10, 20), *range(25, 36)]), "validation": np.arange(60) >= 50}
    both = {"depth": 25, "scenario": 2, "model": "ridge"}
    bundle = law_cube.sm.fit(**both, **split)
    assert bundle.surface.card["training"]["periods"] == [f"{days[10]} to {days[19]}", f"{days[25]} to {days[35]}"]
    law_cube.sm.fit(**both, **split, surface=bundle.surface)
    assert not recwarn.list
    law_cube.sm.fit(**both, **split, surface=ridge[5, 2])
    assert ["model behind sm_5cm learnt from days other" in str(w.message) for w in recwarn] == [True]


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
    observed = references(filled, scenario_of(filled, 5, 1))["sm_dca"]
    np.testing.assert_array_equal(observed.notnull().values, law_cube["sm_dca"].notnull().values)


def test_free_predictors_and_target(law_cube):
    extra = law_cube.assign(moisture=law_cube["sm_noah_0_10"], slope=law_cube["clay"].isel(soil_depth=0, drop=True))
    bundle = extra.sm.fit(depth=5, model="ridge", predictors=["tb_h", "tb_v", "slope"], target="moisture")
    assert bundle.card["inputs"] == ["tb_h", "tb_v"]
    assert bundle.card["statics"] == ["slope"]
    assert bundle.card["references"] == ["moisture"]
    estimate = extra.sm.estimate(depth=5, model=bundle)
    assert float(abs(estimate["sm_5cm"] - extra["moisture"]).isel(time=slice(2, None)).max()) < 2e-3


def test_a_target_that_is_no_soil_moisture_is_refused(law_cube):
    with pytest.raises(DataError, match=r"The target 'tb_h' has the unit 'K', expected soil moisture in m3 m-3"):
        law_cube.sm.fit(depth=5, model="ridge", predictors=["tb_v"], target="tb_h")


@pytest.mark.parametrize("day", ["2021-06-10", "2021-06-18"])
def test_gaps_in_every_day_that_a_model_gets_are_refused(law_cube, day):
    """In the lead-in before the first training day, and between two runs of training days."""
    gappy = law_cube.copy(deep=True)
    gappy["tb_h"].loc[{"time": day}] = np.nan
    days = law_cube["time"].values.astype("M8[D]")
    train = (days >= np.datetime64("2021-06-11")) & (days <= np.datetime64("2021-06-30"))
    train &= days != np.datetime64("2021-06-18")
    with pytest.raises(DataError, match="needs predictors without gaps, but there are some in tb_h"):
        gappy.sm.fit(depth=5, scenario=1, model="boosting", train=train)


def test_split_by_date_defaults():
    days = np.arange("2018-01-01", "2022-12-31", dtype="M8[D]")
    training, validation = split_days(days, None, None)
    assert str(days[training][-1]) == "2020-12-31"
    assert (str(days[validation][0]), str(days[validation][-1])) == ("2021-01-01", "2021-12-31")
    short = days[:100]
    training, validation = split_days(short, None, None)
    assert (training.sum(), validation.sum()) == (60, 20)
    assert not (training & validation).any()


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
        (lambda d: d.isel(time=slice(None, None, -1)), {}, DataError, "repeated or out of order"),
        (lambda d: d.isel(time=np.r_[0:20, 19:60]), {}, DataError, "repeated or out of order"),
        (
            lambda d: d,
            {"train": np.arange(60)},
            UsageError,
            "train= has values of the type int64, expected True or False",
        ),
        (lambda d: d, {"train": slice("2010", "2010")}, DataError, "lies in train=2010-01-01/2010-12-31"),
        (lambda d: d, {"model": "cru"}, UsageError, "'cru' is for the task 'gapfill', expected one for 'estimate'"),
        (lambda d: d, {"predictors": ["sand"]}, DataError, "changes with time"),
        (lambda d: d, {"predictors": []}, DataError, "no names"),
        (
            lambda d: d.assign(bits=d["tb_h"].astype("u2").assign_attrs(flag_masks=[1])),
            {"predictors": ["tb_h", "bits"]},
            DataError,
            "predictors bits are bits or times, expected quantities",
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


def test_another_target_of_25_cm_scenario_2_still_gets_the_surface(law_cube, ridge):
    bundle = law_cube.sm.fit(depth=25, scenario=2, target="sm_noah_10_40", model="ridge")
    assert bundle.hash == ridge[25, 2].hash
    narrow = law_cube.sm.fit(depth=25, scenario=2, predictors=["tb_h", "sm_5cm"], model="ridge")
    assert narrow.card["inputs"] == ["tb_h", "sm_5cm"]
    assert narrow.surface.hash == ridge[5, 2].hash


def test_predictors_of_the_reference_s_product_warn(law_cube):
    for name in ("sm_noah_10_40", "sm_dca"):
        cube = law_cube.assign({name: law_cube[name].fillna(0.2)})
        with pytest.warns(UserWarning, match=f"The predictors {name} come from the product of a reference"):
            cube.sm.fit(predictors=["tb_h", name], model="ridge")


def test_fit_without_any_usable_cell_says_which_predictor_is_empty(law_cube):
    with pytest.raises(DataError, match=r"No cell can be used for training.*tb_v have no value"):
        law_cube.assign(tb_v=law_cube["tb_v"] * np.nan).sm.fit(depth=5, scenario=1, model="ridge")


LABELS = {"estimate": "Estimate", "gapfill": "Gap filling", "fuse": "Fusion"}


def test_each_argument_of_fit_belongs_to_a_task_and_its_help_says_to_which():
    params = {p.name: p for p in xsm.fit.operation.params if p.name not in ("ds", "task", "roles", "options")}
    assert set(params) == {name for task in TASKS for name in arguments_of(task)}
    assert set(xsm.fit.operation.param("task").choices) == set(TASKS)
    for name, param in params.items():
        owners = [task for task in TASKS if name in arguments_of(task)]
        expected = LABELS[owners[0]] if len(owners) == 1 else ""
        assert param.help.startswith(expected), name
        assert expected or not param.help.startswith(tuple(LABELS.values())), name


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        (
            {"variables": ["tb_h"]},
            "'variables' belongs to task='gapfill'; task='estimate' takes depth, scenario, model",
        ),
        ({"covariates": ["tb_h"]}, "'covariates' belongs to task='gapfill'"),
        ({"allow_target_leak": True}, "'allow_target_leak' belongs to task='gapfill'"),
        (
            {"task": "gapfill", "depth": 25},
            "'depth' belongs to task='estimate'; task='gapfill' takes model, train, var",
        ),
        ({"task": "gapfill", "validation": slice("2021-07-01", None)}, "'validation' belongs to task='estimate'"),
        ({"task": "gapfill", "stations": xr.Dataset()}, "'stations' belongs to task='estimate'"),
    ],
)
def test_an_argument_of_another_task_is_refused(law_cube, kwargs, text):
    with pytest.raises(UsageError, match=text):
        law_cube.sm.fit(**kwargs)


def test_arguments_of_another_task_may_be_at_their_defaults(law_cube):
    defaults = {"depth": 5, "scenario": 2, "predictors": None, "target": None, "surface": None, "stations": None}
    bundle = law_cube[["sm_dca"]].sm.fit(task="gapfill", model="linear", **defaults)
    assert bundle.hash == law_cube[["sm_dca"]].sm.fit(task="gapfill", model="linear").hash
    law_cube.sm.fit(model="ridge", variables=None, covariates=[], allow_target_leak=False)
