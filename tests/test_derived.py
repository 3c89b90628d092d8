"""Derived predictors: their text, what they are made from, and that chunks do not matter."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xsm.data.derived_text import FORMS, behind, is_derived, memory_days, parse, reach
from xsm.errors import DataError, UsageError
from xsm.learning.derived import canonical, with_derived
from xsm.series import filters

DAYS, ROWS, COLUMNS = 24, 9, 7


def make_cube(seed: int = 0, gaps: float = 0.5) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.3, 0.1, (DAYS, ROWS, COLUMNS)).astype("f4")
    values[rng.random(values.shape) < gaps] = np.nan
    time = (np.datetime64("2021-06-01") + np.arange(DAYS)).astype("M8[ns]")
    attrs = {"units": "m3 m-3", "long_name": "Soil moisture", "grid_mapping": "spatial_ref"}
    return xr.Dataset({"sm": (("time", "y", "x"), values, attrs)}, {"time": time})


def nested(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    days, sides = st.sampled_from(["1", "2.5", "20"]), st.sampled_from(["", ', side="past"'])
    return st.one_of(
        st.builds("memory({}, {})".format, of, days),
        st.builds("antecedent({}, {})".format, of, days),
        st.builds("others({}, {}{})".format, of, days, sides),
        st.builds("distance({}{})".format, of, sides),
        st.builds("neighbours({}, {})".format, of, st.sampled_from("35")),
        st.builds("standard({})".format, of),
    )


TEXTS = st.one_of(nested(st.just("sm")), nested(nested(st.just("sm"))), nested(nested(nested(st.just("sm")))))


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("tb_h", "tb_h"),
        ("height (m)", "height (m)"),
        ("memory(tb_h,20)", "memory(tb_h, 20)"),
        (" memory( tb_h , days = 20.0 )", "memory(tb_h, 20)"),
        ("memory(tb_h, 2.50)", "memory(tb_h, 2.5)"),
        ("others(sm, 5, side='both')", "others(sm, 5)"),
        ("others(sm, 5, 'past')", 'others(sm, 5, side="past")'),
        ("distance(sm, side='past')", 'distance(sm, side="past")'),
        ("distance(sm)", "distance(sm)"),
        ("mean(sm)", "mean(sm)"),
        ("neighbours(sm, 3.0)", "neighbours(sm, 3)"),
        ("others(neighbours(sm,3),5)", "others(neighbours(sm, 3), 5)"),
        ("memory('2 m, air', 5)", "memory('2 m, air', 5)"),
        ("memory('tb_h', 5)", "memory(tb_h, 5)"),
        ("memory('None', 5)", "memory('None', 5)"),
    ],
)
def test_one_spelling(text, spelling):
    assert canonical(text) == canonical(canonical(text)) == spelling


@given(TEXTS)
def test_the_spelling_is_a_fixed_point(text):
    assert canonical(text) == text
    assert behind(text) == "sm"
    assert parse(text) == parse(f"  {text} ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memory(tb_h)", "lacks the days of memory"),
        ("memory(tb_h, 0)", "has 0, expected days above 0"),
        ("memory(tb_h, -5)", "expected days above 0"),
        ("memory(tb_h, 1e9)", "expected days above 0 and up to 3650"),
        ("memory(tb_h, True)", "has True, expected days"),
        ("memory(tb_h, days)", "has None, expected days"),
        ("memory(tb_h, 5, 6)", "has other values than memory"),
        ("memory(tb_h, 5, days=5)", "has other values than memory"),
        ("memory(tb_h, 5, side='past')", "has other values than memory"),
        ("memory(*tb_h, 5)", "is not a derived predictor"),
        ("memory(tb_h, **{'days': 5})", "has other values than memory"),
        ("memory(tb_h + 1, 5)", "is not a derived predictor"),
        ("memory(open('x'), 5)", "is not a derived predictor"),
        ("memory(tb_h.values, 5)", "is not a derived predictor"),
        ("others(side='past', days=5, *[])", "is not a derived predictor"),
        ("memory(5, 5)", "is not a derived predictor"),
        ("memory()", "is not a derived predictor"),
        ("memory(tb_h, 5", "cannot be read"),
        ("memory(tb_h, 5) + 1", "is not a derived predictor"),
        ("memory(tb_h, 5); 1", "cannot be read"),
        ("memory(tb_h,\0 5)", "cannot be read"),
        ("others(sm, 5, side='future')", 'has \'future\', expected "both" or "past"'),
        ("neighbours(sm, 4)", "has 4, expected an odd number of cells from 3"),
        ("neighbours(sm, 1)", "expected an odd number of cells"),
        ("mean(sm, 5)", "has other values than mean"),
        ("memory(" * 100 + "sm" + ", 5)" * 100, "has 1102 letters, expected at most 200"),
        ("memory(" + "(" * 150 + "sm", "cannot be read"),
    ],
)
def test_other_text_is_refused_in_one_sentence(text, message):
    assert is_derived(text)
    with pytest.raises(UsageError, match=message.replace("(", r"\(")) as error:
        canonical(text)
    assert "\n" not in error.value.message
    assert all(form.usage in error.value.hint for form in FORMS.values())


@given(st.text(st.sampled_from("memory(tb_h, 5)others\"'[]{}*:=;.\\\n#"), max_size=60))
@settings(max_examples=300)
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(UsageError):
        parse("memory(" + text)


@given(TEXTS, st.integers(0, DAYS - 1), st.sampled_from([np.nan, 0.0, 9.0]))
@settings(max_examples=150, deadline=None)
def test_reach_says_which_days_enter(text, t, value):
    """A day's value is the same to the bit after a change of all days that the text does not reach."""
    cube = make_cube()
    value_of = with_derived(cube, [text])[text][t].values
    day = np.arange(DAYS)
    for sign, days in {-1: day < t, 0: day == t, 1: day > t}.items():
        if sign not in reach(text):
            changed = cube.copy(deep=True)
            changed["sm"][days] = value
            assert with_derived(changed, [text])[text][t].values.tobytes() == value_of.tobytes()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_reached_does_enter(form):
    """Reach is not larger than it must be: a change on each day that it names shows."""
    text = f"{form}(sm, 3)" if {"days", "cells"} & set(FORMS[form].parameters) else f"{form}(sm)"
    cube, t, day = make_cube(gaps=0), DAYS // 2, np.arange(DAYS)
    value = with_derived(cube, [text])[text].values
    at = t if value.ndim == 3 else slice(None)
    for sign in reach(text):
        changed = cube.copy(deep=True)
        changed["sm"][{-1: day < t, 0: day == t, 1: day > t}[sign]] = np.nan if form == "distance" else 9.0
        if form == "distance":
            changed["sm"][[t - 1, t + 1]] = np.nan
        assert not np.array_equal(value[at], with_derived(changed, [text])[text].values[at])


@given(TEXTS, st.data())
@settings(max_examples=40, deadline=None)
def test_chunks_do_not_matter(text, data):
    cube = make_cube()
    chunks = {d: data.draw(st.integers(1, n)) for d, n in cube.sizes.items()}
    lazy = with_derived(cube.chunk(chunks), [text])
    assert lazy[text].chunks is not None and lazy[text].dtype == "f4"
    xr.testing.assert_identical(lazy.compute(), with_derived(cube, [text]))


def test_nothing_is_computed_while_the_graph_is_built():
    import dask

    def stop(*_args, **_kwargs):
        raise AssertionError("computed")

    cube = make_cube().chunk(time=5, y=4)
    with dask.config.set(scheduler=stop):
        with_derived(cube, ["others(neighbours(sm, 3), 5)", "mean(sm)", "memory(sm, 5)"], train=np.arange(DAYS) < 9)


def test_values_are_those_of_the_filters():
    cube = make_cube()
    names = ["memory(sm, 5)", "mean(sm)", "spread(sm)", "standard(sm)", "neighbours(sm, 3)", "others(sm, 2)"]
    got = with_derived(cube, names, train=["2021-06-02 to 2021-06-11"])
    flat = cube["sm"].values.reshape(DAYS, -1)
    shape = cube["sm"].shape
    np.testing.assert_array_equal(got["memory(sm, 5)"], filters.exponential_filter(flat, 5).reshape(shape))
    np.testing.assert_array_equal(got["others(sm, 2)"], filters.other_days(flat, 2).reshape(shape))
    np.testing.assert_array_equal(got["neighbours(sm, 3)"], filters.neighbour_mean(cube["sm"].values, 3))
    np.testing.assert_allclose(got["mean(sm)"], cube["sm"][1:11].mean("time"), rtol=1e-6)
    assert got["mean(sm)"].dims == got["spread(sm)"].dims == ("y", "x")
    np.testing.assert_allclose(got["spread(sm)"], cube["sm"][1:11].std("time"), rtol=1e-5)
    expected = (cube["sm"] - cube["sm"][1:11].mean("time")) / cube["sm"][1:11].std("time")
    np.testing.assert_allclose(got["standard(sm)"], expected.where(got["spread(sm)"] > 0), rtol=1e-4, atol=1e-5)
    assert got["standard(sm)"].attrs["units"] == "1"


@pytest.mark.parametrize("dims", [("time", "y", "x"), ("y", "x", "time"), ("x", "time", "y")])
def test_any_order_of_dims(dims):
    cube, text = make_cube(), "others(neighbours(sm, 3), 5)"
    xr.testing.assert_identical(
        with_derived(cube.transpose(*dims), [text])[text].transpose(*cube["sm"].dims), with_derived(cube, [text])[text]
    )


def test_series_of_cells_and_of_one_place():
    cube, text = make_cube(), "memory(others(sm, 3), 5)"
    maps = with_derived(cube, [text])[text]
    cells = cube.stack(cell=("y", "x")).transpose("time", "cell").reset_index("cell")
    np.testing.assert_array_equal(with_derived(cells, [text])[text].values, maps.values.reshape(DAYS, -1))
    place = with_derived(cube.isel(y=2, x=3), [text])[text]
    assert place.dims == ("time",)
    np.testing.assert_array_equal(place, maps[:, 2, 3])


def test_names_units_and_what_it_rests_on():
    cube = make_cube().rename(sm="sm_dca")
    cube["sm_dca"].attrs |= {"fill_method": "cru", "fill_training": "2021-06-01 to 2021-06-05"}
    cube = cube.assign(sm_dca_observed=cube["sm_dca"].notnull())
    got = with_derived(
        cube, ["tb_h", "memory(sm_dca,5)", "others(sm_dca, 5, 'past')", "distance(neighbours(sm_dca,3))"]
    )
    names = ["memory(sm_dca, 5)", 'others(sm_dca, 5, side="past")', "distance(neighbours(sm_dca, 3))"]
    assert [n for n in got if n not in cube] == names
    memory, others, distance = (got[n].attrs for n in names)
    assert memory["long_name"] == "Soil moisture: exponential filter, 5 days"
    assert others["long_name"] == "Soil moisture: mean of the other days, 5 days, past only"
    assert (memory["units"], distance["units"]) == ("m3 m-3", "day")
    assert {a["family"] for a in (memory, others, distance)} == {"SMAP brightness temperatures"}
    assert memory["fill_training"] and "fill_training" not in others
    assert memory["role"] == "retrieval" and "role" not in distance


@given(st.integers(0, 1000), st.sampled_from(["others(sm, 5)", "distance(sm)", "others(neighbours(sm, 3), 5)"]))
@settings(max_examples=20, deadline=None)
def test_filled_values_do_not_enter_other_days(seed, text):
    cube = make_cube(seed)
    filled = cube.assign(
        sm=cube["sm"].fillna(7.0).assign_attrs(cube["sm"].attrs, fill_method="cru"), sm_observed=cube["sm"].notnull()
    )
    xr.testing.assert_equal(with_derived(filled, [text])[text], with_derived(cube, [text])[text])
    assert float(with_derived(filled, ["memory(sm, 5)"])["memory(sm, 5)"].max()) > 1


@pytest.mark.parametrize(
    ("change", "text", "message"),
    [
        (lambda d: d, "memory(nope, 5)", "needs 'nope', which the dataset lacks"),
        (lambda d: d.isel(time=0), "memory(sm, 5)", "needs a series"),
        (lambda d: d, "memory(mean(sm), 5)", "needs a series"),
        (lambda d: d.isel(y=0), "neighbours(sm, 3)", "needs maps with y and x"),
        (lambda d: d.isel(time=[0, 1, 5]), "memory(sm, 5)", "lacks 3 days"),
        (lambda d: d.assign(sm=d["sm"] > 0), "memory(sm, 5)", "needs a quantity"),
        (lambda d: d.assign(sm=d["sm"].assign_attrs(denoised=1)), "others(sm, 5)", "was denoised"),
        (lambda d: d.assign(sm=d["sm"].assign_attrs(fill_method="cru")), "distance(sm)", "needs 'sm_observed'"),
    ],
)
def test_what_cannot_be_derived_is_refused(change, text, message):
    with pytest.raises(DataError, match=message):
        with_derived(change(make_cube()), [text])


def test_mean_without_a_training_day_warns():
    cube = make_cube()
    with pytest.warns(UserWarning, match=r"none of the training days of 'mean\(sm\)'"):
        got = with_derived(cube, ["mean(sm)"], train=["2001-01-01 to 2001-12-31"])
    xr.testing.assert_equal(got, with_derived(cube, ["mean(sm)"]))


def test_the_longest_memory_counts():
    assert memory_days(["tb_h"]) == 0
    assert memory_days(["memory(a, 2.5)", "others(a, 60)", "distance(a)"]) == 3
    assert memory_days(["memory(others(a, 30, side='past'), 20)"]) == 50
