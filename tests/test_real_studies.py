"""The studies of real stations and of the real lattice: water is conserved, and nothing is learnt that is withheld."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm

pytest.importorskip("lightgbm")
benchmarks = pytest.importorskip("benchmarks", reason="needs a checkout")
from benchmarks import lattice, stations, water  # noqa: E402

DAYS, STATIONS, SPLIT = 600, 10, "2016-06-01"
SHORT = {"trees": 12, "learning_rate": 0.3, "leaves": 7, "leaf_size": 20, "memories": (), "lags": 0}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(stations, "OPTIONS", {"boosting": SHORT})
    monkeypatch.setattr(lattice, "OPTIONS", {"boosting": SHORT})
    with xsm.set_options(threads=1):
        yield


@given(st.integers(0, 10_000), st.sampled_from(water.CAPACITIES))
@settings(max_examples=20, deadline=None)
def test_water_is_conserved(seed, capacity):
    rng = np.random.default_rng(seed)
    rain, air = rng.gamma(0.3, 10.0, (80, 3)), rng.normal(273.0, 8.0, (80, 3))
    wet, snow = water.rain_and_melt(rain, air)
    np.testing.assert_allclose(wet.sum(0) + snow[-1], rain.sum(0))
    assert min(wet.min(), snow.min()) >= 0
    demand = water.evaporation(air, rng.uniform(2, 30, air.shape))
    filled = water.storage(wet, demand, capacity)
    assert 0 <= filled.min() <= filled.max() <= 1
    assert (np.diff(filled, axis=0) * capacity <= wet[1:] + 1e-9).all()


def test_snow_waits_for_warmth():
    air = np.full((10, 1), water.ZERO - 5)
    air[6:] += 10
    wet, snow = water.rain_and_melt(np.ones((10, 1)), air)
    assert wet[:6].sum() == 0
    assert snow[5, 0] == 6
    np.testing.assert_allclose(wet.sum() + snow[-1], 10)


def measurements(seed: int = 0) -> xr.Dataset:
    """Two years in the layout of the USCRN file."""
    rng = np.random.default_rng(seed)
    shape, time = (DAYS, STATIONS), np.datetime64("2015-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
    rain = rng.gamma(0.2, 15.0, shape)
    warmth = 12 - 14 * np.cos(2 * np.pi * np.arange(DAYS) / 365)[:, None] + rng.normal(0, 3, shape)
    wetness = water.storage(rain, np.full(shape, 3.0), 60.0)
    values = {
        "precipitation": rain, "air_temperature_mean": warmth, "solar_radiation": rng.uniform(4, 30, shape),
        "relative_humidity": rng.uniform(30, 95, shape),
        "surface_infrared_temperature": warmth + rng.normal(1, 1, shape),
        "soil_moisture_5cm": 0.1 + 0.2 * wetness + rng.normal(0, 0.01, shape),
        "soil_moisture_20cm": 0.15 + 0.1 * wetness + rng.normal(0, 0.01, shape),
    }  # fmt: skip
    for one in values.values():
        one[rng.random(shape) < 0.05] = np.nan
    ds = xr.Dataset({n: (("time", "station"), v.astype("f4")) for n, v in values.items()}, {"time": time})
    thawed = xr.DataArray(warmth > 1, dims=("time", "station"))
    ds = ds.assign(thawed_5cm=thawed, thawed_20cm=thawed)
    names = np.array([f"station {k}" for k in range(STATIONS)])
    return ds.assign_coords(
        station=names, lat=("station", rng.uniform(30, 48, STATIONS)), lon=("station", rng.uniform(-120, -75, STATIONS))
    )


def test_thawed_days_of_both_layouts():
    ds = measurements()
    warm = ds.assign(soil_temperature_5cm=xr.where(ds["thawed_5cm"], 5.0, 0.5)).drop_vars("thawed_5cm")
    xr.testing.assert_equal(stations.thawed(ds, 5), stations.thawed(warm, 5))


@pytest.mark.parametrize(("depth", "surface", "places"), [(5, False, False), (20, True, True), (20, False, False)])
def test_what_is_withheld_does_not_matter(depth, surface, places):
    ds, name = measurements(), f"soil_moisture_{depth}cm"
    unseen = np.isin(np.arange(STATIONS), [2, 7]) & places
    withheld = xr.DataArray((ds["time"] >= np.datetime64(SPLIT)).values[:, None] | unseen, dims=("time", "station"))
    other = ds.assign({name: xr.where(withheld, 0.5, ds[name])})
    one, two = (stations.predict(d, depth, surface, SPLIT, unseen, "boosting") for d in (ds, other))
    xr.testing.assert_identical(one[name], two[name])
    assert bool(one[name].notnull().all()) and bool((one[f"{name}_std"] > 0).all())
    scored = ds[name].where(withheld if not places else withheld & xr.DataArray(unseen, dims="station"))
    assert float(xr.corr(one[name], scored, "time").mean()) > 0.5


def lattice_series(seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    days, cells = 120, 12
    shape = (days, cells)
    series = dict.fromkeys((*lattice.WEATHER, "snow", "demand", "balance", "water"))
    series |= {f"storage_{c}": None for c in water.CAPACITIES}
    ds = xr.Dataset({n: (("time", "cell"), rng.gamma(1, 2, shape).astype("f4"), {"units": "1"}) for n in series})
    ds["precipitation"].attrs["units"] = "kg m-2"
    ds["air_temperature"] = (ds["air_temperature"] + 280).assign_attrs(units="K")
    units = {"clay": "percent", "sand": "percent", "silt": "percent"}
    ds = ds.assign({n: ("cell", rng.uniform(1, 2, cells), {"units": units.get(n, "1")}) for n in lattice.MAPS})
    moisture = 0.2 + 0.01 * ds["water"].rolling(time=5, min_periods=1).mean()
    moisture = moisture.where(xr.DataArray(rng.random(shape) < 0.5, dims=("time", "cell")))
    time = np.datetime64("2015-04-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    return ds.assign(soil_moisture=moisture.astype("f4").assign_attrs(units="m3 m-3")).assign_coords(time=time)


def test_cross_prediction_never_gets_the_day_itself():
    """Retrievals of a day change, and with them other days, but neither the training nor the estimate of that day."""
    ds, day = lattice_series(), 100
    train = np.arange(ds.sizes["time"]) < 90
    changed = ds.copy(deep=True)
    changed["soil_moisture"][day] = 0.9
    one, two = (lattice.predict(d, train, "boosting", 0, cross=True)["soil_moisture"].values for d in (ds, changed))
    np.testing.assert_array_equal(one[day], two[day])
    assert not np.array_equal(one[day + 1], two[day + 1])
