"""Classes of drought by a table, areas by hand on every kind of grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm
from tests.test_verbs import DAYS, series
from xsm.io import files
from xsm.io.styles import classes_of, qml, style_of

TABLE = [(0, 5), (2, 5), (2.01, 4), (5, 4), (7, 3), (10, 3), (15, 2), (20, 2), (25, 1), (30, 1), (30.01, 0), (100, 0)]
"""Percentiles and their classes (Svoboda et al., 2002)."""


def maps(values, **coords):
    attrs = {"units": "percent", "source_variable": "sm_dca"}
    return xr.DataArray(values, {"time": DAYS[: len(values)], **coords}, ("time", *coords), "sm_dca_percentile", attrs)


def test_classes_are_those_of_the_table():
    ranks, classes = zip(*TABLE, strict=True)
    data = pd.Series(ranks, DAYS[: len(ranks)], name="sm_percentile")
    got = xsm.drought(data)
    assert got.name == "sm_drought"
    assert got.tolist() == list(classes)


def test_soil_moisture_gives_the_classes_of_its_percentiles():
    data = series()
    options = {"method": "beta", "window": 41, "min_years": 2, "time": "2018-01-01/2019-12-31"}
    xr.testing.assert_equal(xsm.drought(data, **options), xsm.drought(xsm.percentile(data, **options)))


def test_missing_is_255_and_stays_so_in_a_file(tmp_path):
    got = xsm.drought(series(), min_years=3)
    drought = got["sm_dca_drought"]
    assert drought.dtype == np.uint8
    assert np.array_equal(drought == 255, np.isnan(series()))
    files.write(got, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", mask_and_scale=False) as ds:
        assert ds["sm_dca_drought"].attrs["_FillValue"] == 255
        assert ds["sm_dca_drought"].attrs["flag_meanings"] == "none D0 D1 D2 D3 D4"
        np.testing.assert_array_equal(ds["sm_dca_drought"], drought)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["latlon", "ease", "cell", "plain"]))
def test_area_is_the_weighted_share_of_the_cells_with_a_class(seed, kind):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((5, 6, 7)) < 0.3, np.nan, 100 * rng.random((5, 6, 7)) ** 3)
    values[4] = np.nan
    weight = np.ones(6)
    if kind == "latlon":
        lat = np.linspace(50, 20, 6)
        weight = np.cos(np.radians(lat))
        data = maps(values, lat=lat, lon=np.arange(7.0))
    elif kind == "ease":
        grid = xsm.EASE2_M09.window(300, 306, 900, 907)
        data = maps(values, y=grid.y, x=grid.x)
    elif kind == "cell":
        data, weight = maps(values.reshape(5, 42), cell=np.arange(42)), np.ones(6)
    else:
        data = maps(values, row=np.arange(6), column=np.arange(7))
    area = xsm.drought(data)["sm_dca_drought_area"]
    assert area.dims == ("time", "drought_class")
    assert list(area["drought_class"].values) == ["D0", "D1", "D2", "D3", "D4"]
    weights = np.repeat(weight, 7).reshape(6, 7)
    for t in range(4):
        for limit, name in zip((30, 20, 10, 5, 2), area["drought_class"].values, strict=True):
            valid = np.isfinite(values[t])
            expected = 100 * weights[valid & (values[t] <= limit)].sum() / weights[valid].sum()
            assert float(area.isel(time=t).sel(drought_class=name)) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(area.isel(time=4)).all()
    assert (area.diff("drought_class").isel(time=slice(4)) <= 0).all()


def test_area_says_how_cells_are_weighted():
    values = np.full((1, 2, 3), 4.0)
    grid = xsm.EASE2_M09.window(300, 302, 900, 903)
    comment = xsm.drought(maps(values, lat=[40.0, 30.0], lon=[1.0, 2.0, 3.0]))["sm_dca_drought_area"].attrs["comment"]
    assert "cosine" in comment
    assert "equal areas" in xsm.drought(maps(values, y=grid.y, x=grid.x))["sm_dca_drought_area"].attrs["comment"]
    assert "counts the same" in xsm.drought(maps(values[0], cell=[1, 2, 3]))["sm_dca_drought_area"].attrs["comment"]


def test_a_single_series_has_no_area():
    got = xsm.drought(series().isel(lat=0, lon=0).to_dataset(), min_years=3)
    assert list(got.data_vars) == ["sm_dca_drought"]


def test_percentiles_win_over_the_moisture_beside_them():
    data = series().to_dataset()
    both = data.merge(xsm.percentile(data, min_years=3))
    got = xsm.drought(both)
    assert list(got.data_vars) == ["sm_dca_drought", "sm_dca_drought_area"]
    xr.testing.assert_equal(got, xsm.drought(both, variables=["sm_dca_percentile"]))
    xr.testing.assert_equal(got, xsm.drought(both, variables=["sm_dca"], min_years=3))


def test_colours_are_those_of_the_drought_monitor():
    drought = xsm.drought(series(), min_years=3)["sm_dca_drought"]
    classes = classes_of("sm_dca_drought", drought.attrs)
    colours = {"D0": "#ffff00", "D1": "#fcd37f", "D2": "#ffaa00", "D3": "#e60000", "D4": "#730000"}
    assert {meaning: colour for _, colour, meaning in classes if meaning != "none"} == colours
    assert style_of("sm_dca_percentile") == "percentile"
    text = qml("sm_dca_percentile", {"units": "percent"}, 12, 80)
    assert all(f'value="{v}" color="{c}"' in text for v, c in zip((30, 20, 10, 5, 2), colours.values(), strict=True))


def test_maps_are_drawn_in_these_colours():
    data = xsm.example("cube", size=16, days=20)[["sm_noah_0_10"]]
    ranks = (100 * data["sm_noah_0_10"] / data["sm_noah_0_10"].max()).assign_attrs(units="percent")
    ds = data.assign(sm_noah_0_10_percentile=ranks)
    day = str(ds["time"].values[5])[:10]
    figure = ds.sm.plot_map(variable="sm_noah_0_10_percentile", day=day)
    assert figure.axes[0].images[0].get_clim() == (0, 100)
    figure = ds.sm.drought().sm.plot_map(variable="sm_noah_0_10_drought", day=day)
    assert figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.assign_attrs(units="1") / 100, "has the unit '1', expected percent"),
        (lambda d: (10 * d).assign_attrs(d.attrs), "expected percentiles from 0 to 100"),
    ],
)
def test_other_numbers_than_percentiles_are_refused(change, sentence):
    with xr.set_options(keep_attrs=True):
        wrong = change(xsm.percentile(series(), min_years=3))
    with pytest.raises(xsm.DataError, match=sentence):
        xsm.drought(wrong)


def test_options_of_percentiles_are_refused_for_percentiles():
    ranks = xsm.percentile(series(), min_years=3)
    with pytest.raises(xsm.UsageError, match="'sm_dca_percentile' is percentiles already"):
        xsm.drought(ranks, min_years=3)


def test_a_short_record_warns(recwarn):
    got = xsm.drought(series())
    assert (got["sm_dca_drought"] == 255).all()
    assert "has 3 years around a day of year, fewer than 5" in str(recwarn[0].message)


def test_a_wrong_variable_ends_in_one_sentence():
    with pytest.raises(xsm.UsageError, match="Did you mean 'sm_dca'"):
        xsm.drought(series().to_dataset(), variables=["sm_dac"])
    with pytest.raises(xsm.UsageError, match="is soil moisture in time"):
        xsm.drought(xr.Dataset({n: ("time", np.ones(3), {"units": "K"}) for n in "ab"}, {"time": DAYS[:3]}))
