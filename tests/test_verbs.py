"""Every verb of series works on any dims, containers and gaps, and does not depend on chunks or on other cells.

`VERBS` has a row for each operation that keeps the type of its input; a verb without a row fails.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xsm
from xsm.contracts.loading import builtin

DAYS = pd.date_range("2018-01-01", "2020-12-31", name="time")
REFERENCE = xr.DataArray(
    (25 + 5 * np.cos(2 * np.pi * DAYS.day_of_year.to_numpy() / 365.25)).astype("f4"),
    {"time": DAYS}, "time", "station", {"units": "percent"},
)  # fmt: skip
"""A station for all cells."""
VERBS: dict[str, dict[str, object]] = {
    "anomaly": {},
    "climatology": {"std": True},
    "drought": {"min_years": 3},
    "percentile": {"min_years": 3},
    "swi": {"days": 10},
    "to_daily": {},
    "rescale": {"reference": REFERENCE, "method": "cdf"},
    "trend": {"by": "month", "min_years": 3},
    "lag": {"reference": REFERENCE, "max_lag": 5},
    "drydown": {},
}
"""Arguments for one call of each verb."""
SAME_NAMES = ("to_daily",)
"""Verbs whose results are still the quantity of their input, under its name."""
TYPE_KEEPERS = sorted(op.id for op in builtin().values() if op.keeps_type)


def series(shape=(2, 3), seed=0):
    """Soil moisture (time, y, x) with a season, a memory and gaps; the first cell is complete, the last one empty."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.02, (len(DAYS), *shape))
    for t in range(1, len(DAYS)):
        noise[t] += 0.9 * noise[t - 1]
    season = 0.06 * np.cos(2 * np.pi * DAYS.day_of_year.to_numpy() / 365.25)
    values = np.clip(0.25 + season[:, None, None] + noise, 0.02, 0.6)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 0, 0] = np.clip(0.25 + season + noise[:, 0, 0], 0.02, 0.6)
    values[:, -1, -1] = np.nan
    lat, lon = 40 - 0.25 * np.arange(shape[0]), -100 + 0.25 * np.arange(shape[1])
    attrs = {"units": "m3 m-3", "long_name": "Soil moisture"}
    return xr.DataArray(values, {"time": DAYS, "lat": lat, "lon": lon}, ("time", "lat", "lon"), "sm_dca", attrs)


def call(name, data):
    return getattr(xsm, name)(data, **VERBS[name])


def first(result):
    """The first array of a result, whatever contains it."""
    return result[next(iter(result.data_vars))] if isinstance(result, xr.Dataset) else result


def test_every_verb_has_a_row():
    assert sorted(VERBS) == TYPE_KEEPERS


@pytest.mark.parametrize("name", VERBS)
def test_dims_in_any_order_give_the_same(name):
    data = series()
    expected = first(call(name, data))
    for dims in [("lat", "lon", "time"), ("lat", "time", "lon")]:
        xr.testing.assert_allclose(first(call(name, data.transpose(*dims))).transpose(*expected.dims), expected)
    cells = xr.DataArray(data.values.reshape(len(DAYS), -1), {"time": DAYS}, ("time", "cell"), "sm_dca", data.attrs)
    maps = expected.transpose("lat", "lon", ...).values
    np.testing.assert_allclose(first(call(name, cells)).transpose("cell", ...).values.reshape(maps.shape), maps)


@pytest.mark.parametrize("name", VERBS)
def test_result_does_not_depend_on_chunks_and_stays_lazy(name):
    data = series((5, 7))
    expected = call(name, data)
    for chunks in [{"time": 100, "lat": 2, "lon": 3}, {"time": 7}, {"lon": 1}]:
        got = call(name, data.chunk(chunks))
        assert first(got).chunks is not None
        xr.testing.assert_identical(_bare(got.compute()), _bare(expected))


@pytest.mark.parametrize("name", VERBS)
def test_a_cell_does_not_depend_on_the_others(name):
    data = series((2, 3))
    whole = first(call(name, data)).isel(lat=1, lon=1)
    alone = first(call(name, data.isel(lat=[1], lon=[1]))).isel(lat=0, lon=0)
    xr.testing.assert_allclose(whole, alone)
    single = first(call(name, data.isel(lat=1, lon=1)))
    np.testing.assert_allclose(single.values, whole.values)


@pytest.mark.parametrize("name", VERBS)
def test_an_empty_cell_stays_empty(name):
    result = first(call(name, series()))
    empty = result.isel(lat=-1, lon=-1)
    assert not np.isfinite(empty.values.astype("f8")).any() or (empty.values == result.encoding["_FillValue"]).all()


@pytest.mark.parametrize("name", VERBS)
def test_containers_come_back_as_they_were(name):
    data = series()
    array = call(name, data)
    dataset = call(name, data.to_dataset())
    table = call(name, data.isel(lat=0, lon=0).to_series())
    assert isinstance(dataset, xr.Dataset)
    if len(dataset.data_vars) == 1:
        assert isinstance(array, xr.DataArray)
        assert isinstance(table, pd.Series)
        xr.testing.assert_identical(_bare(array), _bare(first(dataset)))
    else:
        assert isinstance(array, xr.Dataset)
        assert isinstance(table, pd.DataFrame | pd.Series)
    frame = call(name, data.isel(lat=0).drop_vars("lat").to_pandas().set_axis(["a", "b", "c"], axis=1))
    assert isinstance(frame, pd.DataFrame | pd.Series)
    by_accessor = getattr(data.sm, name)(**VERBS[name])
    xr.testing.assert_identical(_bare(by_accessor), _bare(array))


@pytest.mark.parametrize("name", VERBS)
def test_float32_stays_float32_and_the_input_is_not_changed(name):
    data = series().astype("f4")
    before = data.copy(deep=True)
    result = call(name, data)
    xr.testing.assert_identical(data, before)
    assert first(result).dtype in (np.float32, np.uint8)


@pytest.mark.parametrize("name", VERBS)
def test_results_name_their_source_and_have_units(name):
    data = series().assign_attrs(standard_name="volume_fraction_of_condensed_water_in_soil", valid_max=1.0)
    result = call(name, data.to_dataset())
    for variable in result.data_vars.values():
        if name in SAME_NAMES:
            assert variable.name == "sm_dca"
            assert "source_variable" not in variable.attrs
        else:
            assert variable.attrs["source_variable"] == "sm_dca"
            assert not {"standard_name", "valid_max"} & set(variable.attrs)
        assert variable.attrs["units"]
        assert variable.attrs["long_name"]
    assert f" {name}(" in result.attrs["history"]


def _bare(data):
    """Without attributes that carry the time of the call."""
    data = data.copy()
    data.attrs.pop("history", None)
    return data
