"""Sensors, values and days that take no part in a validation, and the reasons that are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.station_world import DAYS, GRID, HOURS, PLACES, make_maps, make_stations
from xsm import DataError, UsageError
from xsm.ops.validate import validate


def test_frozen_days_and_frozen_soil_are_left_out() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm",))
    maps["frozen"][10:25] = True
    warm = np.full(stations["soil_moisture"].shape, 280.0, "f4")
    warm[1, 24 * 30 : 24 * 33] = 270
    stations["soil_temperature"] = ("sensor", "time"), warm, {"units": "K"}
    assert list(validate(maps, stations)["n"].values[0]) == [85, 82, 85]
    celsius = stations.assign(soil_temperature=stations["soil_temperature"] - 273.15)
    celsius["soil_temperature"].attrs["units"] = "degC"
    assert list(validate(maps, celsius)["n"].values[0]) == [85, 82, 85]
    with pytest.warns(UserWarning, match="no 'frozen'"):
        table = validate(maps.drop_vars("frozen"), stations)
    assert list(table["n"].values[0]) == [100, 97, 100] and table.attrs["days"] == "frozen days not left out"


def test_values_with_a_bad_ismn_flag_are_left_out() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm",))
    flag = np.zeros(stations["soil_moisture"].shape, "u1")
    flag[0, : 24 * 7] = 2
    flag[1] = 1
    stations["flag"] = ("sensor", "time"), flag, {"flag_values": np.arange(3), "flag_meanings": "G D01 C02"}
    table = validate(maps, stations)
    assert dict(zip(table["station"].values.tolist(), table["n"].values[0].tolist(), strict=True)) == {
        "S0": 93,
        "S2": 100,
    }
    assert list(table["excluded"].values) == ["", "every value is flagged", ""]


def test_every_excluded_sensor_has_its_reason() -> None:
    base, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm",))
    extra = base.isel(sensor=[0] * 8)
    values = extra["soil_moisture"].values.copy()
    names = [f"E{i}" for i in range(8)]
    lat, lon, depth = extra["lat"].values.copy(), extra["lon"].values.copy(), extra["depth"].values.copy()
    lat[0] = 60.0  # outside
    depth[1] = 50.0
    values[2] = np.nan
    values[3] = np.nan  # all flagged
    values[4] *= 100
    values[5] = 0.5 - values[5]
    values[5, 24 * 20 :] = np.nan
    values[6, 24 * 90 :] = np.nan  # the same as S0, fewer days: a duplicate
    names[7] = "S0"  # a second sensor of S0, fewer hours
    values[7, :1000] = np.nan
    extra = extra.assign_coords(
        station=("sensor", names), lat=("sensor", lat), lon=("sensor", lon), depth=("sensor", depth)
    )
    extra["soil_moisture"] = ("sensor", "time"), values, {"units": "m3 m-3"}
    stations = xr.concat([base, extra], "sensor")
    flag = np.where(np.isfinite(stations["soil_moisture"]), 1, 0).astype("u1")
    flag[6] = 4
    meanings = "missing good unknown out_of_range dubious"
    stations["flag"] = ("sensor", "time"), flag, {"flag_values": np.arange(5), "flag_meanings": meanings}
    table = validate(maps, stations)
    assert list(table["station"].values) == ["S0", "S1", "S2"]
    reasons = [str(r) for r in table["excluded"].values]
    assert reasons[:3] == ["", "", ""]
    wanted = [
        "outside the window",
        "depth is not compared (50 cm)",
        "no value in the period",
        "every value is flagged",
        "percent",
        "fewer than 33 days (20 left: sm_5cm 20)",
        "duplicate of another station (S0 A)",
        "another sensor of the station at 5 cm has more values",
    ]
    for got, part in zip(reasons[3:], wanted, strict=True):
        assert part in got
    assert list(table["sensor_station"].values) == list(stations["station"].values)


def test_a_short_period_needs_fewer_days_and_a_layer_without_scores_is_told() -> None:
    cube, stations = xsm.example("cube", size=24), xsm.example("stations", size=24)
    table = validate(cube, stations)
    assert cube.sizes["time"] == 90 and table.attrs["min_days"] == 30
    assert (table["count"] > 0).all() and int(table["n"].where(table["n"] > 0).min()) >= 30
    assert validate(make_maps(), make_stations()).attrs["min_days"] == 33
    most = int(table["n"].sel(product="sm_dca").max())
    with pytest.warns(UserWarning, match=rf"has 80 days of .*sm_dca.*Give min_days={most} or less, or common"):
        long = validate(cube, stations, min_days=80)
    assert int(long["count"].sel(product="sm_dca")) == 0 < int(long["count"].sel(product="sm_noah_10_40"))


def test_values_above_the_porosity_are_told() -> None:
    stations, maps = make_stations(), make_maps()
    density = np.full((2, *GRID.shape), 1.3, "f4")
    density[0][PLACES[0]] = 2.65 * (1 - 0.35)
    density[1][PLACES[1]] = 2.65 * (1 - 0.2)
    maps["bulk_density"] = ("soil_depth", "y", "x"), density
    table = validate(maps.assign_coords(soil_depth=[5, 30]), stations)
    above = int((stations["soil_moisture"][0] > 0.35).sum())
    assert 0 < above < len(HOURS) / 2 < int((stations["soil_moisture"][3] > 0.2).sum())
    assert str(table["remarks"][0].values) == f"values are above the porosity of the cell's soil ({above} above 0.35)"
    assert str(table["excluded"][0].values) == "" and int(table["n"].sel(product="sm_5cm", station="S0")) == 100
    assert str(table["excluded"][3].values).startswith("most values are above the porosity")
    assert int(table["n"].sel(product="sm_25cm", station="S1")) == 0
    assert [str(v) for v in table["remarks"].values[[2, 4, 5]]] == [""] * 3


def test_bad_input_is_told() -> None:
    stations, maps = make_stations(), make_maps()
    with pytest.raises(DataError, match="no day in common"):
        validate(maps.assign_coords(time=maps["time"] + np.timedelta64(5000, "D")), stations)
    with pytest.raises(DataError, match=r"No station lies in the maps \(longitude"):
        validate(maps, stations.assign_coords(lat=stations["lat"] + 40))
    with pytest.raises(DataError, match="expected 'm3 m-3'"):
        percent = (stations * 100).assign_coords(stations.coords)
        percent["soil_moisture"].attrs["units"] = "percent"
        validate(maps, percent)
    with pytest.raises(DataError, match=r"None of 6 sensors .*: values look like percent, expected m3 m-3 \(6\)"):
        validate(maps, (stations * 100).assign_coords(stations.coords))
    with pytest.raises(DataError, match="has a median of"):
        validate(maps.assign(sm_5cm=maps["sm_5cm"] * 100), stations)
    with pytest.raises(DataError, match=r"fewer than 200 days \(6\)\. The best .* 100 days: .* min_days=100"):
        validate(maps, stations, min_days=200)
    with pytest.raises(DataError, match="is soil moisture of a known depth"):
        validate(maps[["frozen"]], stations)
    with pytest.raises(DataError, match="several times in one UTC day"):
        validate(xr.concat([maps, maps.assign_coords(time=maps["time"] + np.timedelta64(9, "h"))], "time"), stations)
    with pytest.raises(UsageError, match="attribute depth"):
        validate(maps.assign(sm=maps["sm_5cm"]), stations, variables=("sm",))
    with pytest.raises(UsageError, match="at least 3"):
        validate(maps, stations, min_days=1)
    with pytest.raises(DataError, match="neither on an EASE-Grid"):
        validate(maps.assign_coords(x=maps["x"] + 100), stations)
    negative = stations.copy(deep=True)
    negative["soil_moisture"][0, :48] = -0.1
    with pytest.warns(UserWarning, match="48 station values lie outside 0 to 1"):
        table = validate(maps, negative)
    assert int(table["n"].sel(product="sm_5cm", station="S0")) == len(DAYS) - 2
    assert str(table["remarks"][0].values) == "values outside 0 to 1 m3 m-3 are left out (48)"


def test_the_files_of_the_stations_are_told(tmp_path: Path) -> None:
    from xsm.io.paths import in_history

    paths = [tmp_path / name for name in ("b.txt", "a.txt")]
    for path in paths:
        path.write_text(path.stem * 3)
    card = in_history(paths)
    assert (card["files"], card["to"]) == ("2 from a.txt", "b.txt")
    assert in_history(paths[::-1]) == card and in_history(paths[:1])["files"] == "b.txt"
    paths[0].write_text("longer than before")
    assert in_history(paths)["files_hash"] != card["files_hash"]
