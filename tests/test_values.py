"""Impossible values and units in cubes: refused, or reported in a warning."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.errors import DataError
from xsm.learning.values import check_values
from xsm.testing import raise_if_computes


def spoiled(name, value, spot):
    def change(ds):
        ds = ds.copy(deep=True)
        ds[name][spot] = value
        return ds

    return change


IMPOSSIBLE = {
    "infinite": (
        spoiled("tb_v", -np.inf, np.s_[[20, 30], 10, 10]),
        r"there are infinite values in tb_v \((2 cell-days, the first on 2021-06-21)",
    ),
    "infinite map": (spoiled("clay", np.inf, np.s_[:, 10, 10]), r"there are infinite values in clay \((1 cells)\)"),
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


@pytest.mark.parametrize("what", IMPOSSIBLE)
@pytest.mark.parametrize("chunks", [{}, {"time": 13, "y": 9}], ids=["eager", "lazy"])
def test_impossible_values_are_refused(law_cube, ridge, what, chunks):
    change, text = IMPOSSIBLE[what]
    bad = change(law_cube).chunk(chunks) if chunks else change(law_cube)
    with pytest.raises(DataError, match=text):
        bad.sm.fit(scenario=2, model="ridge")
    with pytest.raises(DataError, match=re.sub(r"\(\(.*?\)", r"(\\d+ cell.*?", text)):
        bad.sm.estimate(scenario=2, model=ridge[5, 2]).compute()


def test_values_outside_the_domain_do_not_matter(law_cube, ridge):
    water = spoiled("tb_v", np.inf, np.s_[20, 1, 10])(law_cube)
    for ds in (water, water.chunk(time=13)):
        estimate = ds.sm.estimate(scenario=1, model=ridge[5, 1])
        xr.testing.assert_equal(estimate.compute(), law_cube.sm.estimate(scenario=1, model=ridge[5, 1]))


def test_values_outside_their_range_warn(law_cube, ridge):
    odd = spoiled("tb_h", 350, np.s_[20, 10, 10])(law_cube)
    text = r"outside the range of their quantity: tb_h \(1 outside 0 to 340 K\)"
    with pytest.warns(UserWarning, match=text):
        estimate = odd.sm.estimate(scenario=1, model=ridge[5, 1])
    assert bool(estimate["sm_5cm"][20, 10, 10].notnull())
    with raise_if_computes():
        lazy = odd.chunk(time=13, y=9).sm.estimate(scenario=1, model=ridge[5, 1])
    with pytest.warns(UserWarning, match=text):
        xr.testing.assert_equal(lazy.compute(), estimate)


def test_missing_units_are_assumed_with_a_warning(law_cube, ridge, recwarn):
    bare = law_cube.copy()
    for name in ("tb_h", "albedo", "clay"):
        bare[name] = bare[name].drop_attrs()
    assert bare.sm.fit(depth=25, scenario=2, model="ridge").hash == ridge[25, 2].hash
    bare.sm.estimate(scenario=2, model=ridge[5, 2])
    text = "These variables have no 'units' and are assumed to be in the units in brackets: tb_h (K), clay (percent)."
    assert [str(w.message) for w in recwarn] == [text, text]


@pytest.mark.parametrize(("name", "value"), [("sm_noah_0_10", -9999.0), ("sm_dca", -9999.0), ("sm_noah_0_10", 23.0)])
def test_references_with_fill_values_or_percent_are_refused(law_cube, name, value):
    changed = law_cube[name].where(law_cube["time"] != law_cube["time"][12], value)
    with pytest.raises(DataError, match=f"needs references in their range.*{name} .*first on 2021-06-13"):
        law_cube.assign({name: changed}).sm.fit(model="ridge")


@pytest.mark.parametrize("names", [["tb_h"], ["precipitation"], ["sm_noah_0_10", "precipitation"]])
def test_the_remedy_for_gaps_fills_them(names):
    """The land model is not filled by default, so the remedy names what has the gaps."""
    cube = xsm.example("cube", size=8, days=60)
    gappy = cube.assign({n: cube[n].where(cube["time"].dt.day != 3) for n in names})
    with pytest.raises(DataError, match="without gaps") as error:
        check_values(gappy[names], cube["land"].astype(bool), "It")
    (text,) = re.findall(r"gapfill_cru\(\) with variables='(.*)'", error.value.hint)
    check_values(xsm.gapfill(gappy, "linear", variables=text)[names], cube["land"].astype(bool), "It")


def test_maps_with_gaps_have_another_remedy():
    maps = xr.Dataset({"sand": ("x", [0.3, np.nan])})
    with pytest.raises(DataError, match="First leave these cells out"):
        check_values(maps, xr.DataArray([True, True], dims="x"), "It")
