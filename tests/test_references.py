"""References in every shape: wide tables, paired by name, and stations ``(time, station)`` at their places."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xsm

DAYS = pd.date_range("2020-01-01", periods=120, name="time")
LAT, LON = np.array([36.875, 36.625, 36.375]), np.array([-98.875, -98.625])
AT = {"lat": ("station", [36.7, 36.3]), "lon": ("station", [-98.6, -98.9])}
pytestmark = pytest.mark.filterwarnings("ignore:The maps have no 'frozen'", "ignore:What .* rests on is not known")


def table(names="ABCD", seed=0):
    rng = np.random.default_rng(seed)
    wave = 0.25 + 0.1 * np.sin(np.arange(len(DAYS)) / 9)
    return pd.DataFrame({n: wave + rng.normal(0, 0.03, len(DAYS)) for n in names}, DAYS)


def maps():
    values = np.random.default_rng(2).uniform(0.1, 0.4, (len(DAYS), 3, 2))
    attrs = {"units": "m3 m-3", "depth": "5"}
    return xr.Dataset({"sm": (("time", "lat", "lon"), values, attrs)}, {"time": DAYS, "lat": LAT, "lon": LON})


def stations(**attrs):
    values = np.random.default_rng(3).uniform(0.1, 0.4, (len(DAYS), 2))
    coords = {"time": DAYS, "station": ["east", "west"], **AT}
    return xr.DataArray(values, coords, ("time", "station"), "soil_moisture", attrs | {"units": "m3 m-3"})


SHAPES = {
    "array": lambda one: one,
    "dataset": lambda one: one.to_dataset(),
    "other name": lambda one: one.rename("theta").to_dataset(),
    "long names": lambda one: one.rename(lat="latitude", lon="longitude"),
    "places as variables": lambda one: one.to_dataset().reset_coords(["lat", "lon"]),
    "names beside the dim": lambda one: one.rename(station="point").rename(point="name").swap_dims(name="point"),
    "dims turned": lambda one: one.transpose("station", "time"),
    "lazy": lambda one: one.chunk({"time": 30}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_stations_stand_at_their_places(shape):
    one, product = stations(), maps()
    reference = SHAPES[shape](one)
    scores = xsm.validate(product, reference, depth="5")
    assert scores["reference"].values.tolist() == ["5 cm"]
    assert scores["station"].values.tolist() == ["east", "west"]
    cells = product["sm"].values[:, 1, 1], product["sm"].values[:, 2, 0]
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(cells, one.values.T, strict=True)]
    np.testing.assert_allclose(scores["r"].values[0], expected, atol=1e-6)
    pairs = xsm.matchup(product, reference, depth="5")
    assert pairs.sizes["pair"] == 2 * len(DAYS)
    at = xsm.at(product, points=reference)
    assert at["place"].values.tolist() == ["east", "west"]
    np.testing.assert_array_equal(at["sm"].values, np.stack(cells, 1))


def test_the_depth_of_stations_is_their_attribute():
    both = xr.merge(
        [stations(depth="5").rename("top"), (stations(depth="50") + 0.1).assign_attrs(depth="50").rename("deep")]
    )
    both["deep"].attrs["units"] = "m3 m-3"
    for cm, name in (("5", "top"), ("50", "deep")):
        scores = xsm.validate(maps(), both, depth=cm)
        assert scores["station"].values.tolist() == ["east", "west"]
        one = xsm.validate(maps(), both[name], depth=cm)
        np.testing.assert_array_equal(scores["bias"].values, one["bias"].values)
    with pytest.raises(xsm.DataError, match="20 cm"):
        xsm.validate(maps(), both, depth="20")
    with pytest.raises(xsm.UsageError, match=r"several series \(top, deep\) whose depths are not stated"):
        xsm.validate(maps(), both.assign({n: v.drop_attrs().assign_attrs(units="m3 m-3") for n, v in both.items()}))


def test_triple_collocation_takes_stations_at_their_places():
    one, product = stations(), maps()
    truth = 0.25 + 0.1 * np.sin(np.arange(len(DAYS)) / 9)
    rng = np.random.default_rng(0)
    one[:] = truth[:, None] + rng.normal(0, 0.02, one.shape)
    for name in ("sm", "other"):
        product[name] = product["sm"].copy(data=truth[:, None, None] + rng.normal(0, 0.02, product["sm"].shape))
    result = xsm.triple_collocation(product, one, depth="5", min_days=50)
    assert result["station"].values.tolist() == ["east", "west"]
    assert (np.abs(result["error_std"] - 0.02) < 0.01).all()


def test_equal_columns_of_two_tables_are_paired_by_name():
    mine, theirs = table(seed=0), table("DCBA", seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = xsm.validate(mine, theirs)
    assert scores["r"].shape == (1, 4)
    for name in mine:
        assert scores["r"].sel(station=name).item() == pytest.approx(
            np.corrcoef(mine[name], theirs[name])[0, 1], abs=1e-6
        )
    as_arrays = [xr.DataArray(t.rename_axis(columns="station"), name="sm") for t in (mine, theirs)]
    again = xsm.validate(*as_arrays)["r"]
    np.testing.assert_allclose(again.values, scores["r"].sel(station=again["station"].values).values)
    assert xsm.matchup(mine, theirs).sizes["pair"] == 4 * len(DAYS)
    assert xsm.validate(mine, theirs, variables=["B"])["station"].values.tolist() == ["B"]
    with pytest.warns(UserWarning, match=r"2 are in one of the tables only \(C, D\)"):
        assert xsm.validate(mine, theirs[["A", "B"]])["station"].values.tolist() == ["A", "B"]
    with pytest.raises(xsm.UsageError, match="Unknown column of both tables 'X'"):
        xsm.validate(mine, theirs, variables=["X"])


def test_other_tables_are_crossed():
    assert xsm.validate(table("AB"), table("CD", 1))["r"].shape == (2, 2)
    assert xsm.validate(table("AB"), table("A", 1))["r"].shape == (2, 1)


def test_cells_are_compared_by_their_labels():
    one, other = (xr.DataArray(table(seed=s).rename_axis(columns="cell"), name="sm") for s in (0, 1))
    whole = xsm.validate(one, other)
    with pytest.warns(UserWarning, match="the 2 of the same name"):
        some = xsm.validate(one, other.sel(cell=["D", "B"]))
    np.testing.assert_array_equal(some["r"].values, whole["r"].sel(station=["D", "B"]).values)


@pytest.mark.parametrize("verb", [xsm.validate, xsm.matchup, xsm.triple_collocation])
def test_values_beyond_the_valid_range_of_the_data_are_told(verb):
    product = maps()
    product["sm"].attrs["valid_range"] = [0.0, 0.35]
    product["other"] = product["sm"][::-1].assign_coords(time=DAYS) * 0.5
    with pytest.warns(UserWarning, match="of 'sm' are outside 0 to 0.35, the valid range in its attributes"):
        verb(product, stations(), variables=["sm", "other"][: 1 + (verb is xsm.triple_collocation)], depth="5")


def test_fill_values_in_products_and_gappy_series_are_told():
    ds = table("ABC").to_xarray()
    ds = ds.assign({n: v.assign_attrs(units="m3 m-3", family=n) for n, v in ds.items()})
    ds["A"] = ds["A"].where(ds["time"] > DAYS[2], -9999)
    for data in (ds, ds.chunk(time=40)):
        for work in (xsm.triple_collocation, lambda d: xsm.gapfill(d, "linear", variables=["A"])):
            with pytest.warns(UserWarning, match="-9999.* of 'A' are outside 0 to 1, its physical range"):
                work(data).load()
