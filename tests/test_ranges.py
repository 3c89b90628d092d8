"""Values that cannot be the quantity that a variable says to be never pass in silence, in any verb, lazy or not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm
from xsm import DataError
from xsm.data.ranges import Range, impossible, range_of
from xsm.errors import hear

SOIL = "volume_fraction_of_condensed_water_in_soil"
FILLS = (-9999.0, -999.0, -99.0, 255.0, 32767.0, 65535.0, 9.96921e36, 1e20, 1e30)
MOIST = {"canonical": ("sm_dca", {}), "standard": ("wetness", {"standard_name": SOIL}), "unit": ("wetness", {})}


def series(values: np.ndarray, name: str = "sm_dca", **attrs: str) -> xr.Dataset:
    days = pd.date_range("2015-01-01", periods=len(values))
    return xr.Dataset({name: ("time", values, {"units": "m3 m-3"} | attrs)}, {"time": days})


def maps(values: np.ndarray, name: str = "sm_dca", **attrs: str) -> xr.Dataset:
    coords = {"lat": np.arange(40, 30, -0.25), "lon": np.arange(-100, -90, 0.25)}
    return xr.Dataset({name: (("lat", "lon"), values, {"units": "m3 m-3"} | attrs)}, coords)


def soil(days: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.4, days)


VERBS = {
    "swi": lambda ds, n: xsm.swi(ds, 10, variables=[n]),
    "climatology": lambda ds, n: xsm.climatology(ds, variables=[n]),
    "anomaly": lambda ds, n: xsm.anomaly(ds, variables=[n]),
    "percentile": lambda ds, n: xsm.percentile(ds, variables=[n]),
    "drought": lambda ds, n: xsm.drought(ds, variables=[n]),
    "trend": lambda ds, n: xsm.trend(ds, variables=[n]),
    "drydown": lambda ds, n: xsm.drydown(ds, variables=[n]),
    "rescale": lambda ds, n: xsm.rescale(ds, reference=ds[n] * 0.5 + 0.1, variables=[n]),
    "lag": lambda ds, n: xsm.lag(ds, reference=ds[n] * 0.5 + 0.1, variables=[n]),
    "reference": lambda ds, n: xsm.rescale((ds[n] * 0 + 0.2).to_dataset(name="other"), reference=ds, to=n),
    "to_daily": lambda ds, n: xsm.to_daily(ds, variables=[n]),
}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kind", MOIST)
@pytest.mark.parametrize("verb", VERBS)
def test_fill_values_in_series_are_told_of(verb: str, kind: str, lazy: bool) -> None:
    name, attrs = MOIST[kind]
    values = np.where(np.arange(5000) % 90 == 8, -9999.0, soil(5000))
    ds = series(values, name, **attrs)
    with pytest.warns(UserWarning, match=rf"values \(-9999 to -9999\) of '{name}' are outside 0 to 1"):
        VERBS[verb](ds.chunk(time=-1) if lazy else ds, name).compute()


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("kind", MOIST)
def test_fill_values_in_maps_are_told_of(kind: str, fill: float) -> None:
    name, attrs = MOIST[kind]
    values = np.full((40, 40), 0.2)
    values[3:7, 3:7] = fill
    ds = maps(values, name, **attrs)
    boxes = {"all": (-99, 31, -91, 39)}
    verbs = (xsm.regrid_ease9km, lambda d: xsm.zonal(d, boxes), lambda d: xsm.at(d, 39.1, -99.1))
    for verb in verbs:
        for one in (ds, ds.chunk(lat=40, lon=40)):
            with pytest.warns(UserWarning, match=f"of '{name}' are outside 0 to 1"):
                verb(one).compute()


@pytest.mark.parametrize("name, attrs", [MOIST["canonical"], MOIST["standard"]])
def test_percent_under_a_ratio_is_refused_where_the_name_says_what_it_is(name: str, attrs: dict[str, str]) -> None:
    for verb in (lambda: xsm.swi(series(soil(90) * 100, name, **attrs), 10),
                 lambda: xsm.regrid_ease9km(maps(np.full((40, 40), 25.0), name, **attrs))):  # fmt: skip
        with pytest.raises(DataError, match=r"cannot be in m3 m-3.*percent"):
            verb()


@pytest.mark.parametrize("name, attrs", [
    ("sm_dca_anomaly", {}), ("innovation", {"source_variable": "sm_dca"}), ("sm_bias", {}), ("sm_trend", {}),
    ("x", {"standard_name": f"{SOIL}_anomaly"}), ("analysis_increment", {}),
])  # fmt: skip
def test_changes_may_have_either_sign_and_are_never_refused(name: str, attrs: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xsm.swi(series(soil(90) - 0.25, name, **attrs), 10, variables=[name])
        xsm.swi(series(-soil(90), name, **attrs), 10, variables=[name])
        xsm.regrid_ease9km(maps(np.full((40, 40), -0.1), name, **attrs))
    with pytest.warns(UserWarning, match="outside -1 to 1"):
        xsm.swi(series(-100 * soil(90), name, **attrs), 10, variables=[name])


@settings(deadline=None)
@given(
    unit=st.sampled_from([("m3 m-3", 0, 1), ("K", 200, 340), ("percent", 0, 100), ("g cm-3", 0.05, 2.6)]),
    data=st.data(),
)
def test_what_is_possible_passes(unit: tuple[str, float, float], data: st.DataObject) -> None:
    text, low, high = unit
    values = np.array(data.draw(st.lists(st.floats(low, high), min_size=1, max_size=30)))
    assert impossible(values, range_of(xr.Variable("x", values, {"units": text}), "anything")) == []


def test_other_units_have_the_range_of_their_name() -> None:
    moist = range_of(xr.Variable("x", [20.0], {"units": "percent"}), "sm_dca")
    assert (moist.low, moist.high) == (0, 100)
    assert not range_of(xr.Variable("x", [20.0], {"units": "m s-1"}), "wind")
    assert not range_of(xr.Variable("x", [20]), "sm_dca")
    assert not range_of(xr.Variable("x", [2000], {"units": "m3 m-3", "scale_factor": 1e-4}), "sm_dca")


def test_single_values_near_the_range_are_no_news() -> None:
    some = np.full(5000, 0.2)
    some[0] = 1.01
    assert not impossible(some, Range("sm", "m3 m-3", 0.0, 1.0))
    some[0] = -9999
    assert impossible(some, Range("sm", "m3 m-3", 0.0, 1.0))[0].wrong == 1


@pytest.mark.parametrize("attrs, encoding, warns", [
    ({"valid_range": [0.0, 0.6]}, {}, True), ({"valid_min": 0.0, "valid_max": 0.6}, {}, True),
    ({"valid_range": np.array([0, 6000], "i2")}, {"dtype": "i2", "scale_factor": 1e-4}, True),
    ({"valid_range": np.array([0, 9000], "i2")}, {"dtype": "i2", "scale_factor": 1e-4}, False),
    ({"valid_range": [200.0, 6000.0]}, {}, False),  # stored numbers, whose scale is gone
])  # fmt: skip
def test_the_valid_range_of_a_variable_counts(attrs: dict, encoding: dict, warns: bool) -> None:
    ds = series(np.where(np.arange(90) % 9 == 8, 0.8, soil(90)))
    ds["sm_dca"].attrs |= attrs
    ds["sm_dca"].encoding = encoding
    with hear() as heard:
        xsm.swi(ds, 10)
    assert any("valid range in its attributes" in str(w) for w in heard) is warns
