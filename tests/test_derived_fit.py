"""Derived predictors through training and estimating: skill, leaks, gaps, chunks, models of strangers, the shell."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.contracts.model import MEMORY, Block, ModelInfo, make_card, split_memory, with_memory
from xsm.contracts.registry import manager, model_info
from xsm.errors import DataError, UsageError
from xsm.faces.cli import main
from xsm.io import files
from xsm.series import filters
from xsm.testing import leaky_series

FREE = {"model": "ridge", "target": "soil_moisture"}
SMALL = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 2, "patch": 8, "stride": 8, "filters": "2", "attention": "1"}


class Nearest:
    """A model as a stranger writes it: the mean of the reference among days with like predictors."""

    info = with_memory(ModelInfo("nearest", "Nearest days", "estimate", f"{__name__}:Nearest"))

    def block(self, bundle):
        return Block("series")

    def fit(self, samples, spec, *, validation, seed, progress):
        assert "memory" not in spec.options
        names = (*spec.inputs, *spec.statics)
        counts = samples.counts(spec.references[0])
        x = np.stack([np.broadcast_to(samples.series(n), counts.shape)[counts] for n in names], -1)
        assert np.isfinite(x).all()
        progress(1.0, "nearest")
        weights = {"x": x[::5], "y": samples.series(spec.references[0])[counts][::5], "scale": x.std(0) + 1e-6}
        return xsm.Bundle(make_card(spec, "nearest", seed, limits="none"), weights)

    def predict_block(self, arrays, bundle, *, device):
        names, w = (*bundle.card["inputs"], *bundle.card["statics"]), bundle.weights
        shape = arrays[names[0]].shape
        x = np.stack([np.broadcast_to(arrays[n], shape).ravel() for n in names], -1)
        near = np.stack([np.argsort((((v - w["x"]) / w["scale"]) ** 2).sum(-1))[:9] for v in x])
        mean = w["y"][near].mean(-1).reshape(shape)
        return {"sm_5cm": mean, "sm_5cm_std": np.full(shape, 0.01, "f4")}


@pytest.fixture
def nearest(monkeypatch):
    monkeypatch.setitem(manager().models, "nearest", Nearest.info)
    return "nearest"


@pytest.fixture(scope="module")
def cube(law_cube) -> xr.Dataset:
    """The law's cube without the land model's references; DCA has gaps, and none of it is on the first four days."""
    dca = law_cube["sm_dca"].where(law_cube["time"] >= law_cube["time"][4])
    return law_cube.assign(sm_dca=dca.assign_attrs(law_cube["sm_dca"].attrs)).isel(y=slice(2, 20), x=slice(0, 16))


def rmse(maps: xr.Dataset, ds: xr.Dataset) -> float:
    return float(np.sqrt(((maps["sm_5cm"] - ds["soil_moisture"]) ** 2).sel(time=slice("2020-06-01", None)).mean()))


@pytest.mark.parametrize("model", ["ridge", "nearest"])
def test_memory_tells_a_model_of_the_day_what_the_weather_was(model, nearest):
    ds = leaky_series()
    scores = {}
    for name, predictors in {
        "plain": ("precipitation", "sand"),
        "memory": ("memory(precipitation,10)", "sand"),
    }.items():
        bundle = ds.sm.fit(**FREE | {"model": model}, predictors=predictors)
        scores[name] = rmse(ds.sm.estimate(model=bundle), ds)
    assert scores["memory"] < 0.5 * scores["plain"]


def test_the_card_has_the_text_its_units_and_the_warm_up(tmp_path):
    ds = leaky_series(12, 90)
    spelt = ["precipitation", " antecedent( precipitation,5 )", "distance(precipitation)", "memory(precipitation, 2e1)"]
    bundle = ds.sm.fit(**FREE, predictors=[*spelt, "mean( precipitation )", "sand"])
    names = ["precipitation", "antecedent(precipitation, 5)", "distance(precipitation)", "memory(precipitation, 20)"]
    assert bundle.card["inputs"] == names
    assert bundle.card["statics"] == ["mean(precipitation)", "sand"]
    assert [bundle.card["units"][n] for n in names] == ["kg m-2", "kg m-2", "day", "kg m-2"]
    loaded = xsm.Bundle.load(bundle.save(tmp_path / "b"))
    maps = ds.sm.estimate(model=loaded)
    assert (maps.attrs["lead_in_days"], maps.attrs["warm_up_days"]) == (0, 20)
    assert bool(maps["sm_5cm"].notnull().all())


def test_the_estimate_is_that_of_predictors_made_by_hand(nearest):
    ds = leaky_series(12, 90)
    rain = ds["precipitation"]
    by_hand = ds.assign(
        wet=rain.copy(data=filters.exponential_filter(rain.values.astype("f4"), 10)),
        days=ds["soil_moisture"].copy(data=filters.other_days(ds["soil_moisture"].values.astype("f4"), 3)),
    )
    one = ds.sm.fit(**FREE, predictors=["memory(precipitation, 10)", "others(soil_moisture, 3)", "sand"])
    two = by_hand.sm.fit(**FREE, predictors=["wet", "days", "sand"])
    for key in one.weights:
        np.testing.assert_array_equal(one.weights[key], two.weights[key])
    np.testing.assert_array_equal(ds.sm.estimate(model=one)["sm_5cm"], by_hand.sm.estimate(model=two)["sm_5cm"])


@pytest.mark.parametrize("model", ["ridge", "convlstm"])
def test_chunks_do_not_matter(cube, model):
    predictors = ["tb_h", "memory(tb_v, 5)", "others(neighbours(sm_dca, 3), 5)", 'distance(sm_dca, side="past")']
    how = {"model": model, "predictors": predictors, "target": "sm_noah_0_10", **(SMALL if model != "ridge" else {})}
    lazy = cube.chunk(time=13, y=7, x=5)
    bundle, again = cube.sm.fit(**how), lazy.sm.fit(**how)
    for key in bundle.weights:
        np.testing.assert_array_equal(bundle.weights[key], again.weights[key])
    assert bundle.card["fallback"] == again.card["fallback"]
    eager, later = cube.sm.estimate(model=bundle), lazy.sm.estimate(model=bundle)
    assert later["sm_5cm"].chunks is not None
    np.testing.assert_array_equal(later["sm_5cm"].compute().values, eager["sm_5cm"].values)
    np.testing.assert_array_equal(later["mask_reason"].compute().values, eager["mask_reason"].values)


@pytest.mark.parametrize(
    "text",
    ["{}", "memory({}, 5)", "antecedent({}, 5)", "mean({})", "neighbours({}, 3)", "memory(others({}, 5), 5)",
     "others(others({}, 5), 5)", "memory(memory({}, 2), 5)"],
)  # fmt: skip
def test_what_contains_the_target_of_the_day_is_refused(cube, text):
    with pytest.raises(DataError, match=r"(contains the day's value|both predictor and reference)") as error:
        cube.sm.fit(model="ridge", predictors=["tb_h", text.format("sm_dca")], target="sm_dca")
    assert "others(sm_dca, 5)" in error.value.hint


OTHER = [
    "others(sm_dca, 5)", 'others(sm_dca, 5, side="past")', "distance(sm_dca)", "others(neighbours(sm_dca, 3), 5)",
    'memory(others(sm_dca, 5, side="past"), 20)', "neighbours(others(sm_dca, 5), 3)",
]  # fmt: skip


@pytest.mark.parametrize("filled", [False, True])
def test_the_target_of_a_day_does_not_enter_its_own_estimate(cube, filled, recwarn):
    """Change all of DCA on a day, in all cells: the estimate of that day is the same to the bit."""

    def prepared(dca):
        ds = cube.assign(sm_dca=dca.assign_attrs(units="m3 m-3"))
        return ds.sm.gapfill("linear", variables=["sm_dca"]) if filled else ds

    bundle = prepared(cube["sm_dca"]).sm.fit(model="ridge", predictors=["tb_h", *OTHER], target="sm_dca")
    assert not [w for w in recwarn if "learn to copy" in str(w.message)]
    expected = prepared(cube["sm_dca"]).sm.estimate(model=bundle)["sm_5cm"]
    for t, value in ((20, 0.5), (20, np.nan), (33, 0.02)):
        changed = cube["sm_dca"].copy(deep=True)
        changed[t] = value
        estimate = prepared(changed).sm.estimate(model=bundle)["sm_5cm"]
        assert estimate[t].values.tobytes() == expected[t].values.tobytes()
        assert not np.array_equal(estimate[t + 1], expected[t + 1], equal_nan=True)


def test_gaps_of_what_is_behind_do_not_stop(cube):
    """Also at the start, where nothing was observed: the mean of the training days stands in, as the card says."""
    texts = ["memory(sm_dca, 5)", 'others(sm_dca, 5, side="past")']
    bundle = cube.sm.fit(model="ridge", predictors=["tb_h", *texts], target="sm_noah_0_10")
    assert set(bundle.card["fallback"]) == set(texts)
    assert float(bundle.card["fallback"][texts[0]]) == pytest.approx(float(cube["sm_dca"].mean()), abs=5e-3)
    maps = cube.sm.estimate(model=bundle)
    assert bool(maps["sm_5cm"].isel(y=slice(1, None)).notnull().all())
    never = cube.assign(sm_dca=cube["sm_dca"].where(cube["x"] > cube["x"][3]))
    assert (never.sm.estimate(model=bundle)["mask_reason"][1:, :4] == 3).all()


def test_much_that_is_missing_warns(cube):
    late = cube.assign(sm_dca=cube["sm_dca"].where(cube["time"] >= cube["time"][20]))
    with pytest.warns(UserWarning, match=r"missing on more than 10%.*memory\(sm_dca, 5\) \(5\d%\)"):
        late.sm.fit(model="ridge", predictors=["tb_h", "memory(sm_dca, 5)"], target="sm_noah_0_10")
    later = cube.assign(sm_dca=cube["sm_dca"].where(cube["time"] >= cube["time"][40]))
    with pytest.raises(DataError, match=r"memory\(sm_dca, 5\) has no value on the training days"):
        later.sm.fit(model="ridge", predictors=["tb_h", "memory(sm_dca, 5)"], target="sm_noah_0_10")


def test_means_are_those_of_the_training_days(cube):
    """What is changed on other days changes no weight; an estimate of other days takes its own, with a warning."""
    predictors = ["tb_h", "mean(tb_v)"]
    days = {"train": slice("2021-06-01", "2021-06-30"), "validation": slice("2021-07-01", "2021-07-10")}
    other = cube.copy(deep=True)
    other["tb_v"][30:] += 30
    one, two = (c.sm.fit(model="ridge", predictors=predictors, target="sm_noah_0_10", **days) for c in (cube, other))
    np.testing.assert_array_equal(one.weights["weights"], two.weights["weights"])
    with pytest.warns(UserWarning, match="none of the training days"):
        cube.isel(time=slice(40, None)).sm.estimate(model=one)


@pytest.mark.parametrize(
    ("predictors", "error", "text"),
    [
        (["tb_h", "memory(nope, 5)"], DataError, r"'memory\(nope, 5\)' is not in the dataset"),
        (["tb_h", "memry(tb_h, 5)"], DataError, r"is not in the dataset.*Derived predictors are memory\(v, days\)"),
        (["tb_h", "memory(tb_h)"], UsageError, "lacks the days"),
        (["tb_h", "memory(clay, 5)"], DataError, "needs a series"),
        (["mean(tb_h)", "clay"], DataError, "changes with time"),
        (["tb_h", "memory(frozen, 5)"], DataError, "needs a quantity"),
    ],
)
def test_wrong_predictors_stop_before_the_work(cube, predictors, error, text):
    with pytest.raises(error, match=text):
        cube.assign(frozen=cube["tb_h"] < 0).sm.fit(model="ridge", predictors=predictors, target="sm_noah_0_10")


def test_estimates_name_the_variable_behind(cube):
    bundle = cube.sm.fit(model="ridge", predictors=["tb_h", "memory(sm_dca, 5)"], target="sm_noah_0_10")
    assert bundle.card["sources"]["families"] == ["Noah", "SMAP brightness temperatures"]
    with pytest.raises(DataError, match="needs sm_dca, which the cube lacks"):
        cube.drop_vars("sm_dca").sm.estimate(model=bundle)
    with pytest.raises(DataError, match=r"'sm_dca' has the unit 'percent', expected 'm3 m-3'"):
        cube.assign(sm_dca=cube["sm_dca"].assign_attrs(units="percent")).sm.estimate(model=bundle)


def test_a_predictor_that_was_filled_on_other_days_warns_through_its_memory(cube):
    filled = cube.assign(tb_v=cube["tb_v"].assign_attrs(fill_training="2021-06-01 to 2021-07-30"))
    with pytest.warns(UserWarning, match=r"model behind memory\(tb_v, 5\) learnt from days other"):
        filled.sm.fit(model="ridge", predictors=["tb_h", "memory(tb_v, 5)"], target="sm_noah_0_10")


def test_the_option_memory_adds_filters(cube):
    how = {"depth": 25, "scenario": 1, "model": "ridge"}
    plain = list(cube.sm.fit(**how).card["inputs"])
    assert cube.sm.fit(**how, memory="5,20").card["inputs"] == [*plain, "memory(sm_dca, 5)", "memory(sm_dca, 20)"]
    assert cube.sm.fit(**how, memory=5).card["inputs"] == [*plain, "memory(sm_dca, 5)"]
    without = cube.drop_vars("sm_dca").sm.fit(**how, memory=(2.5,)).card["inputs"]
    assert without == [*plain, *(f"memory({n}, 2.5)" for n in plain)]
    at_5 = cube.sm.fit(depth=5, scenario=2, model="ridge", memory=[5]).card["inputs"]
    assert at_5 == without[:7] + [f"memory({n}, 5)" for n in plain]
    assert cube.sm.fit(**how, predictors=["tb_h", "memory(tb_h, 3)"], target="sm_dca", memory="3").card["inputs"] == [
        "tb_h", "memory(tb_h, 3)"
    ]  # fmt: skip
    for wrong in ("x", "0", "-5"):
        with pytest.raises(UsageError, match="memory"):
            cube.sm.fit(**how, memory=wrong)


def test_the_surface_of_25_cm_has_its_memory_alone(cube):
    bundle = cube.drop_vars("sm_dca").assign(sm_dca=cube["sm_noah_0_10"]).sm.fit(
        depth=25, scenario=2, model="ridge", memory="5"
    )  # fmt: skip
    assert bundle.surface.card["inputs"] == bundle.card["inputs"][:7]
    assert bundle.card["inputs"][-1] == "memory(sm_dca, 5)"
    free = cube.sm.fit(
        depth=25, scenario=2, model="ridge", surface=bundle.surface, target="sm_noah_10_40",
        predictors=["tb_h", "memory(sm_5cm, 5)", "mean(sm_5cm)"],
    )  # fmt: skip
    maps = cube.sm.estimate(depth=25, scenario=2, model=free)
    lazy = cube.chunk(time=20, y=6).sm.estimate(depth=25, scenario=2, model=free)
    assert bool(maps["sm_25cm"].isel(y=slice(1, None)).notnull().all())
    np.testing.assert_array_equal(maps["sm_25cm"], lazy["sm_25cm"].compute())


@pytest.mark.parametrize(
    ("model", "look_back", "options"),
    [
        ("boosting", 6, {"trees": 5, "leaf_size": 5, "look_back": 6, "memories": "3", "memory": "5,20,60"}),
        ("lstm", 6, {"epochs": 1, "hidden": 2, "look_back": 6, "memory": "5,20,60"}),
        ("convlstm", 3, {**SMALL, "memory": "5,20,60"}),
        ("convlstm", 3, {**SMALL, "preset": "rabiei2024-memory"}),
    ],
)
def test_our_models_take_it(cube, model, look_back, options, tmp_path):
    bundle = cube.sm.fit(depth=25, scenario=1, model=model, **options)
    assert bundle.card["inputs"][7:] == [f"memory(sm_dca, {days})" for days in (5, 20, 60)]
    assert "memory" not in bundle.card["options"]
    maps = cube.sm.estimate(depth=25, scenario=1, model=xsm.Bundle.load(bundle.save(tmp_path / "b")))
    assert maps.attrs["warm_up_days"] == look_back - 1 + 60
    assert bool(maps["sm_25cm"].isel(time=slice(2, None), y=slice(1, None)).notnull().all())


def test_every_model_that_estimates_has_the_option():
    for name, info in xsm.models().items():
        assert ("memory" in {p.name for p in info.options}) == (info.task == "estimate"), name


def test_presets_set_what_the_core_reads():
    info = with_memory(ModelInfo("m", "M", "estimate", "m:M", presets={"deep": {"memory": ("5",), "look_back": 4}}))
    assert split_memory(info, {"preset": "deep", "a": 1}) == (("5",), {"preset": "deep", "a": 1})
    assert split_memory(info, {"preset": "deep", "memory": ()})[0] == ()
    assert split_memory(info, {}) == ((), {})
    assert with_memory(info) == info and MEMORY in info.options
    assert model_info("convlstm").presets["rabiei2024-memory"]["memory"] == ("5", "20", "60")


def test_the_shell_does_not_split_inside_brackets(cube, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write(cube, tmp_path / "cube.nc")
    fit = ["fit", "cube.nc", "b", "--model", "ridge", "--target", "sm_noah_0_10", "-q"]
    texts = ['tb_h,memory(tb_h, 20), others(sm_dca,5,side="past")', "clay"]
    with pytest.raises(SystemExit) as stop:
        main([*fit, "--predictors", texts[0], "--predictors", texts[1], "-o", "memory=5,7"])
    assert stop.value.code == 0
    card = xsm.Bundle.load(tmp_path / "b").card
    assert card["inputs"] == [
        "tb_h", "memory(tb_h, 20)", 'others(sm_dca, 5, side="past")', "memory(sm_dca, 5)", "memory(sm_dca, 7)"
    ]  # fmt: skip
    assert card["statics"] == ["clay"]
