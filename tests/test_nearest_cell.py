"""Stations meet the cell that contains them, whatever the axes of the maps look like."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.station_world import DAYS, make_maps, make_stations
from xsm import DataError
from xsm.data.cells import Cells, spots_of
from xsm.data.grids import EASE2_M09
from xsm.data.positions import inside, positions
from xsm.ops.validate import validate

GAUSS = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(64)[0]))
AXES = {
    "even": np.arange(20.25, 60, 0.5),
    "south first": np.arange(20.25, 60, 0.5)[::-1],
    "gaussian": GAUSS,
    "rows dropped": np.delete(np.arange(20.25, 60, 0.5), [3, 4, 20, 41]),
    "stretched": 20 + np.cumsum(np.geomspace(0.2, 2, 40)),
    "any order": np.random.default_rng(0).permutation(np.arange(20.25, 60, 0.5)),
    "float32": np.arange(20, 60, 0.125, dtype="f4"),
}


def maps_on(lat: np.ndarray, lon: np.ndarray, names: tuple[str, str] = ("lat", "lon")) -> xr.Dataset:
    row, col = np.meshgrid(np.arange(len(lat)), np.arange(len(lon)), indexing="ij")
    cell = (row * 1e-3 + col * 1e-6)[None]
    ds = xr.Dataset(
        {"sm_5cm": (("time", *names), cell)}, {"time": DAYS[:1].astype("M8[ns]"), names[0]: lat, names[1]: lon}
    )
    return ds


@pytest.mark.parametrize("kind", AXES)
@settings(max_examples=40, deadline=None)
@given(
    place=st.floats(0, 1), shift=st.sampled_from([-360.0, 0.0, 360.0]), method=st.sampled_from(["nearest", "bilinear"])
)
def test_the_nearest_cell_by_value_is_taken_and_no_other(kind: str, place: float, shift: float, method: str) -> None:
    lat, lon = AXES[kind], np.arange(-110, -90, 0.7)
    point = lat.min() - 1 + place * (np.ptp(lat) + 2)
    rows, cols, _ = positions(maps_on(lat, lon), np.array([-100.0 + shift]), np.array([point]))
    away = np.abs(lat - point)
    smallest = np.diff(np.sort(lat)).min()
    local = np.sort(np.abs(lat - lat[away.argmin()]))[1]
    assert rows.inside[0] == (away.min() <= local * 0.5) or local * 0.45 < away.min() < local * 1.0
    if away.min() < smallest * 0.49:
        assert rows.inside[0] and away[rows.nearest[0]] == away.min()
    if rows.inside[0]:
        assert away[rows.nearest[0]] <= away.min() + 1e-6
        spots = spots_of(maps_on(lat, lon), np.array([-100.0 + shift]), np.array([point]))
        value = Cells(maps_on(lat, lon), ["sm_5cm"], [], spots, method)
        if method == "nearest":
            assert value.values("sm_5cm")[0, 0] == pytest.approx(rows.nearest[0] * 1e-3 + 14e-6, abs=1e-7)
    assert inside(rows, cols)[0] == rows.inside[0]


LONGITUDES = {
    "0 to 360": np.arange(0, 360, 0.5),
    "-180 to 180": np.arange(-180, 180, 0.5),
    "across 180": np.concatenate([np.arange(170, 180, 0.5), np.arange(-180, -170, 0.5)]),
    "across 0": np.concatenate([np.arange(350, 360, 0.5), np.arange(0, 10, 0.5)]),
    "260 to 270": np.arange(260, 270, 0.5),
    "east first": np.arange(-110, -90, 0.5)[::-1],
}


@pytest.mark.parametrize("kind", LONGITUDES)
@settings(max_examples=60, deadline=None)
@given(point=st.floats(-180, 360))
def test_longitudes_meet_around_the_globe(kind: str, point: float) -> None:
    lon = LONGITUDES[kind]
    away = np.abs((lon - point + 180) % 360 - 180)
    _, cols, _ = positions(maps_on(AXES["even"], lon), np.array([point]), np.array([40.0]))
    assert cols.inside[0] == (away.min() <= 0.25) or abs(away.min() - 0.25) < 0.01
    assert away[cols.nearest[0]] <= away.min() + 1e-6 or not cols.inside[0]


def test_a_station_in_a_dropped_row_is_outside_and_the_others_keep_their_scores() -> None:
    stations, maps = make_stations(), make_maps()
    whole = validate(maps, stations)
    rows = [i for i in range(12) if i not in (5, 8)]
    for cut in (maps.isel(y=rows), maps.isel(y=rows[::-1]), maps.isel(y=[2, 9], x=slice(None, None, -1))):
        table = validate(cut, stations)
        assert list(table["station"].values) == ["S0", "S2"]
        assert "outside the window of the maps" in set(table["excluded"].values.tolist())
        np.testing.assert_allclose(table["r"].values, whole["r"].sel(station=["S0", "S2"]).values)


@pytest.mark.parametrize("names", [("lat", "lon"), ("latitude", "longitude"), ("y", "x")])
def test_names_of_axes_and_extra_coordinates_do_not_matter(names: tuple[str, str]) -> None:
    ds = maps_on(AXES["gaussian"], np.arange(0, 360, 2.8125), names)
    if names == ("y", "x"):
        with pytest.raises(DataError, match="neither on an EASE-Grid"):
            positions(ds, np.array([0.0]), np.array([40.0]))
        ds["y"].attrs["units"], ds["x"].attrs["units"] = "degrees_north", "degrees_east"
    rows, _, box = positions(ds, np.array([0.0]), np.array([40.0]))
    assert rows.inside[0] and box.startswith("longitude -1.4")
    renamed = ds.rename_dims({names[0]: "row", names[1]: "column"})
    assert positions(renamed, np.array([0.0]), np.array([40.0]))[0].dim == "row"


@pytest.mark.parametrize("bad", ["repeated", "missing", "metres", "fields"])
def test_axes_that_cannot_be_used_stop_with_a_sentence(bad: str) -> None:
    ds = maps_on(np.array([30.0, 31, 32]), np.array([-100.0, -99, -98]))
    match bad:
        case "repeated":
            ds = ds.assign_coords(lat=[30.0, 30, 32])
        case "missing":
            ds = ds.assign_coords(lat=[30.0, np.nan, 32])
        case "metres":
            ds = ds.assign_coords(lat=[30.0e5, 31e5, 32e5])
        case "fields":
            ds = ds.rename_dims(lat="r", lon="c").assign_coords(
                lat=(("r", "c"), np.full((3, 3), 30.0)), lon=(("r", "c"), np.full((3, 3), -99.0))
            )
    with pytest.raises(DataError) as error:
        positions(ds, np.array([-99.0]), np.array([31.0]))
    assert error.value.hint


def test_one_row_of_an_ease_grid_is_enough() -> None:
    grid = EASE2_M09.window(300, 312, 800, 816)
    ds = grid.assign(xr.Dataset({"v": (("y", "x"), np.zeros(grid.shape))})).isel(y=[4])
    rows, cols, _ = positions(ds, grid.lon[[3, 3]], grid.lat[[4, 5]])
    assert inside(rows, cols).tolist() == [True, False] and cols.nearest.tolist() == [3, 3]
