"""Values at places beside selection by hand, on every kind of maps that places are found on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

import xsm
from tests.test_faces import cli_run
from xsm.io import files

TIME = pd.date_range("2021-04-01", periods=5, name="time")


def degrees(rows=7, cols=9, north=41.0, west=-101.0, step=0.25, descending=True):
    """Maps on degrees whose value is the latitude times 1000 plus the longitude, plus the day."""
    lat = north - step * np.arange(rows)
    lat, lon = lat if descending else lat[::-1], west + step * np.arange(cols)
    values = (lat[:, None] * 1000 + lon + np.arange(5)[:, None, None]).astype("f8")
    return xr.Dataset({"v": (("time", "lat", "lon"), values, {"units": "1"})}, {"time": TIME, "lat": lat, "lon": lon})


def ease():
    grid = xsm.EASE2_M09.region((-101, 39, -99, 41))
    rng = np.random.default_rng(0)
    ds = xr.Dataset({"v": (("time", "y", "x"), rng.random((5, *grid.shape)), {"units": "m3 m-3"}),
                     "land": (("y", "x"), rng.random(grid.shape) < 0.5),
                     "kind": (("y", "x"), rng.integers(0, 3, grid.shape).astype("u1"), {"flag_values": [0, 1, 2]})},
                    {"time": TIME})  # fmt: skip
    return grid.assign(ds), grid


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("shift", [0, 360])
@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("lat", "lon", "time"), ("lon", "time", "lat")])
def test_one_place_is_the_nearest_cell(descending, shift, dims):
    ds = degrees(descending=descending).transpose(*dims)
    ds = ds.assign_coords(lon=ds["lon"] + shift)
    for lon in (-99.6, 260.4):
        got = ds.sm.at(lat=40.1, lon=lon)
        expected = ds["v"].sel(lat=40.0, lon=-99.5 + shift)
        assert got["v"].dims == ("time",)
        np.testing.assert_array_equal(got["v"], expected)
        assert got["lat"].item() == 40.0
        assert got["lon"].item() == -99.5 + shift
        away = Geod(ellps="WGS84").inv(-99.6, 40.1, -99.5, 40.0)[2] / 1000
        assert got["distance"].item() == pytest.approx(away)
        assert got["distance"].attrs["units"] == "km"
        assert got["v"].attrs["units"] == "1"
        assert set(got.coords) == {"time", "lat", "lon", "distance"}


def test_ease_grid_agrees_with_its_own_row_and_column():
    ds, grid = ease()
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(-100.9, -99.1, 50), rng.uniform(39.1, 40.9, 50)
    row, col = grid.rowcol(lon, lat)
    got = ds.sm.at(points={"lat": lat, "lon": lon})
    assert got["v"].dims == ("time", "place")
    np.testing.assert_array_equal(got["v"], ds["v"].values[:, row - grid.row0, col - grid.col0])
    np.testing.assert_array_equal(got["kind"], ds["kind"].values[row - grid.row0, col - grid.col0])
    assert got["land"].dtype == bool
    assert got["land"].dims == ("place",)
    np.testing.assert_allclose(got["lat"], grid.lat[row - grid.row0])
    assert (got["distance"] < grid.cell / 1000).all()


@settings(max_examples=30, deadline=None)
@given(st.floats(39.51, 40.99), st.floats(-100.99, -99.01))
def test_bilinear_is_exact_for_a_plane(lat, lon):
    got = degrees().sm.at(lat, lon, method="bilinear")
    np.testing.assert_allclose(got["v"], lat * 1000 + lon + np.arange(5), rtol=1e-12)


def test_bilinear_agrees_with_interp_and_leaves_classes_alone():
    ds = degrees()
    rng = np.random.default_rng(2)
    ds["v"] = ds["v"] * 0 + rng.random(ds["v"].shape)
    ds["kind"] = (("lat", "lon"), rng.integers(0, 3, (7, 9)).astype("u1"), {"flag_values": [0, 1, 2]})
    lat, lon = rng.uniform(39.6, 40.9, 20), rng.uniform(-100.9, -99.1, 20)
    got = ds.sm.at(lat=lat, lon=lon, method="bilinear")
    at = {"lat": xr.DataArray(lat, dims="place"), "lon": xr.DataArray(lon, dims="place")}
    np.testing.assert_allclose(got["v"], ds["v"].interp(at))
    np.testing.assert_array_equal(got["kind"], ds["kind"].sel(at, method="nearest"))


def test_bilinear_weighs_the_cells_that_have_a_value():
    ds = degrees()
    ds["v"][:, 0, 0] = np.nan
    got = ds.sm.at(40.9, -100.8, method="bilinear")["v"].values[0]
    cells = {(1, 0): 0.4 * 0.2, (0, 1): 0.6 * 0.8, (1, 1): 0.4 * 0.8}
    values = ds["v"].values[0]
    assert got == pytest.approx(sum(w * values[c] for c, w in cells.items()) / sum(cells.values()))
    with pytest.warns(UserWarning, match="on water, or beyond a mask"):
        assert np.isnan(ds.sm.at(41.05, -101.05, method="bilinear")["v"]).all()


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_lazy_maps_stay_lazy_and_only_the_cells_of_the_places_are_computed(method):
    ds = degrees(40, 40)
    computed = []

    def block(values, block_info=None):
        computed.append(block_info[0]["chunk-location"])
        return values

    lazy = ds.copy()
    lazy["v"] = ds["v"].chunk({"time": 2, "lat": 10, "lon": 10})
    lazy["v"].data = lazy["v"].data.map_blocks(block, dtype="f8", meta=np.empty((0, 0, 0)))
    places = [(40.1, -100.1), (40.3, -100.4)]
    got = lazy.sm.at(points=places, method=method)
    assert got["v"].chunks is not None
    assert not computed
    xr.testing.assert_equal(got.compute(), ds.sm.at(points=places, method=method))
    assert {c[1:] for c in computed} == {(0, 0)}


TABLE = pd.DataFrame({"name": ["a", "b", "far"], "lat": [40.1, 40.6, 10.0], "lon": [-100.1, -99.4, 20.0]})


def stations():
    coords = {"station": ["a", "a", "b", "far"], "lat": [40.1, 40.1, 40.6, 10], "lon": [-100.1, -100.1, -99.4, 20],
              "depth": [5, 10, 5, 5]}  # fmt: skip
    return xr.Dataset(coords={n: ("sensor", values) for n, values in coords.items()})


@pytest.mark.parametrize(
    "points",
    [
        TABLE,
        TABLE.rename(columns={"name": "Station", "lat": "Latitude", "lon": "LON"}),
        TABLE.set_index("name"),
        TABLE.to_dict("list"),
        stations(),
        "csv",
        "semicolons",
        "series",
    ],
    ids=["frame", "other names", "index", "mapping", "stations", "csv", "semicolons", "rows for each day"],
)
def test_tables_of_places(points, tmp_path):
    if isinstance(points, str):
        frame = pd.concat([TABLE.assign(sm=0.2), TABLE.assign(sm=0.3)]) if points == "series" else TABLE
        frame.to_csv(tmp_path / "p.csv", index=False, sep=";" if points == "semicolons" else ",")
        points = tmp_path / "p.csv"
    with pytest.warns(UserWarning, match=r"1 of 3 places lie outside the maps .* missing: far \(latitude 10"):
        got = degrees().sm.at(points=points)
    assert got["place"].values.tolist() == ["a", "b", "far"]
    assert np.isfinite(got["v"]).all("time").values.tolist() == [True, True, False]
    assert np.isnan(got["distance"].values).tolist() == [False, False, True]
    np.testing.assert_array_equal(got["v"].isel(place=1), degrees().sm.at(40.6, -99.4)["v"])


def test_lists_of_places_have_their_degrees_as_names():
    got = degrees().sm.at(lat=[40.1, 40.6], lon=[-100.1, -99.4])
    assert got["place"].values.tolist() == ["40.1,-100.1", "40.6,-99.4"]
    xr.testing.assert_equal(got, degrees().sm.at(points=[(40.1, -100.1), (40.6, -99.4)]))
    assert degrees().sm.at(lat=[40.1], lon=[-100.1]).sizes["place"] == 1


def test_maps_without_time_and_with_depths():
    ds = degrees().isel(time=0, drop=True)
    assert ds.sm.at(40, -100)["v"].item() == 39900
    deep = ds.expand_dims(depth=[5, 30])
    assert deep.sm.at(40, -100)["v"].dims == ("depth",)
    assert deep.sm.at(lat=[40], lon=[-100])["v"].dims == ("depth", "place")


def test_a_data_array_and_the_function():
    ds = degrees()
    assert isinstance(ds["v"].sm.at(40, -100), xr.DataArray)
    xr.testing.assert_equal(ds["v"].sm.at(40, -100), xsm.at(ds, 40, -100)["v"])


def test_flags_outside_get_their_missing_value():
    ds = degrees()
    ds["kind"] = (("lat", "lon"), np.ones((7, 9), "u1"), {"flag_values": np.array([0, 1], "u1")})
    ds["count"] = (("lat", "lon"), np.ones((7, 9), "i4"))
    with pytest.warns(UserWarning, match="1 of 2 places"):
        got = ds.sm.at(lat=[40, 80], lon=[-100, 0])
    assert got["kind"].dtype == np.uint8
    assert got["kind"].values.tolist() == [1, 255]
    assert np.isnan(got["count"].values[1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "needs a place"),
        ({"lat": 40}, "got no 'lon'"),
        ({"lat": 40, "lon": -100, "points": TABLE}, "a place and a table of places"),
        ({"lat": [40, 41], "lon": -100}, "2 latitudes and 1 longitudes"),
        ({"lat": -100, "lon": 40}, "Latitude and longitude are swapped"),
        ({"lat": "forty", "lon": 40}, "'lat' is 'forty', expected degrees"),
        ({"lat": np.nan, "lon": 40}, "latitude nan"),
        ({"lat": 10, "lon": 20}, r"lies outside the maps \(longitude -101.12 to -98.88, latitude 39.38 to 41.12\)"),
        ({"points": TABLE.iloc[2:]}, "All 1 places of 'points', such as far"),
        ({"points": TABLE.iloc[:0]}, "has no row"),
        ({"points": TABLE[["name", "lat"]]}, "has the columns name, lat, expected lat, lon and name"),
        ({"points": TABLE.assign(lat="north")}, "no numbers"),
        ({"points": "nowhere.csv"}, "does not exist"),
        ({"points": 5}, "is a int, expected a table"),
        ({"points": [1, 2, 3]}, "is a list, expected a table"),
        ({"points": TABLE, "method": "cubic"}, "Unknown method 'cubic'"),
        ({"lat": 40, "lon": -100, "variables": ["w"]}, "Unknown variable 'w'"),
        ({"lat": 40, "lon": -100, "variables": ["lat"]}, r"'lat' has the dims \('lat',\), expected a map"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        degrees().sm.at(**arguments)


def test_what_is_no_map_is_refused():
    with pytest.raises(xsm.DataError, match="neither on an EASE-Grid"):
        xr.Dataset({"v": ("time", np.zeros(5))}, {"time": TIME}).sm.at(40, -100)
    with pytest.raises(xsm.UsageError, match=r"expected an xarray\.Dataset"):
        xsm.at([degrees()], 40, -100)
    with pytest.raises(xsm.DataError, match="is a map"):
        degrees().drop_vars("v").sm.at(40, -100)


def test_empty_places_are_told():
    ds = degrees()
    ds["v"][:, 4, 4] = np.nan
    with pytest.warns(UserWarning, match="The place lies in a cell without any value"):
        ds.sm.at(40.0, -100.0)
    with pytest.warns(UserWarning, match="'v' has no value at 1 of 2 places: 40,-100"):
        ds.sm.at(lat=[40.0, 40.5], lon=[-100.0, -100.5])


def test_in_the_shell(tmp_path):
    files.write(degrees(), tmp_path / "maps.nc")
    assert cli_run("at", tmp_path / "maps.nc", "--lat", "40", "--lon", "-100", tmp_path / "one.csv") == 0
    one = pd.read_csv(tmp_path / "one.csv")
    assert one["v"].tolist() == [39900.0 + d for d in range(5)]
    assert {"time", "lat", "lon", "distance"} <= set(one)
    TABLE.iloc[:2].to_csv(tmp_path / "stations.csv", index=False)
    assert cli_run("at", tmp_path / "maps.nc", "--points", tmp_path / "stations.csv", tmp_path / "two.csv") == 0
    two = pd.read_csv(tmp_path / "two.csv")
    assert two["place"].unique().tolist() == ["a", "b"]
    assert len(two) == 10
    assert cli_run("at", tmp_path / "maps.nc", "--lat", "40,40.5", "--lon=-100,-99.5", tmp_path / "maps2.nc") == 0
    assert files.read(tmp_path / "maps2.nc").sizes == {"time": 5, "place": 2}
    assert cli_run("at", tmp_path / "maps.nc", "--lat", "80", "--lon", "-100", tmp_path / "three.csv") == 1
    assert not (tmp_path / "three.csv").exists()


def test_history_and_attributes():
    got = degrees().assign_attrs(title="mine").sm.at(40, -100)
    assert got.attrs["title"] == "mine"
    assert "at(lat=40, lon=-100, method=nearest)" in got.attrs["history"]
