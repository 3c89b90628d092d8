from __future__ import annotations

import os
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xsm
from xsm import DataError, UsageError, metrics
from xsm.grids import EASE2_M09
from xsm.ops.validate import to_frame, validate

GRID = EASE2_M09.window(300, 312, 800, 816)
DAYS = np.arange("2022-03-01", "2022-06-09", dtype="M8[D]")
HOURS = np.arange(DAYS[0], DAYS[-1] + 1, dtype="M8[h]").astype("M8[ns]")
PLACES = [(2, 3), (5, 7), (9, 12)]


def point(row: int, col: int) -> dict[str, float]:
    return {"lon": float(GRID.lon[col]) + 0.01, "lat": float(GRID.lat[row]) - 0.01}


def make_stations(depths: tuple[float, ...] = (5.08, 20.32), seed: int = 0) -> xr.Dataset:
    """Three stations, each with a daily wave and hourly noise; times are instants."""
    rng = np.random.default_rng(seed)
    count = len(PLACES) * len(depths)
    phase = np.repeat(np.arange(len(PLACES)), len(depths))[:, None]
    wave = 0.25 + 0.1 * np.sin(np.arange(len(HOURS)) / 24 / 9 + phase)
    values = (wave + rng.normal(0, 0.02, wave.shape)).astype("f4")
    where = [point(*PLACES[i // len(depths)]) for i in range(count)]
    return xr.Dataset(
        {"soil_moisture": (("sensor", "time"), values, {"units": "m3 m-3"})},
        {
            "time": HOURS,
            "station": ("sensor", [f"S{i // len(depths)}" for i in range(count)]),
            "network": ("sensor", ["A" if i // len(depths) < 2 else "B" for i in range(count)]),
            "lat": ("sensor", [w["lat"] for w in where]),
            "lon": ("sensor", [w["lon"] for w in where]),
            "depth": ("sensor", list(np.tile(depths, len(PLACES)))),
        },
    )


def make_maps(seed: int = 1, names: tuple[str, ...] = ("sm_5cm", "sm_noah_0_10", "sm_25cm")) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    shape = (len(DAYS), *GRID.shape)
    ds = xr.Dataset({n: (("time", "y", "x"), rng.uniform(0.1, 0.4, shape).astype("f4")) for n in names})
    ds["frozen"] = ("time", "y", "x"), np.zeros(shape, bool)
    return GRID.assign(ds.assign_coords(time=DAYS.astype("M8[ns]")))


def day_means(stations: xr.Dataset, sensor: int) -> np.ndarray:
    series = pd.Series(stations["soil_moisture"].values[sensor].astype("f8"), index=stations["time"].values)
    counts = series.resample("1D").count()
    return series.resample("1D").mean().where(counts >= 20).to_numpy()


def test_scores_are_those_of_the_day_means_in_the_cell() -> None:
    stations, maps = make_stations(), make_maps()
    stations["soil_moisture"][0, 24 * 10 : 24 * 10 + 5] = np.nan  # 19 hours left: no day
    stations["soil_moisture"][0, 24 * 11 : 24 * 11 + 4] = np.nan  # 20 hours left: a day
    table = validate(maps, stations)
    assert list(table["product"].values) == ["sm_5cm", "sm_noah_0_10", "sm_25cm"]
    assert list(table["station"].values) == ["S0", "S1", "S2"]
    assert set(table["excluded"].values) == {""}
    for k, (row, col) in enumerate(PLACES):
        for product, sensor in (("sm_5cm", 2 * k), ("sm_noah_0_10", 2 * k), ("sm_25cm", 2 * k + 1)):
            y = day_means(stations, sensor)
            got = table.sel(product=product).isel(station=k)
            expected = metrics.scores(maps[product].values[:, row, col], y)
            assert int(got["n"]) == np.isfinite(y).sum()
            for name in ("r", "rmse", "bias", "ubrmse", "spearman", "n_eff", "r_low", "p_value"):
                # day means are float32 here, float64 in pandas
                assert float(got[name]) == pytest.approx(float(expected[name]), abs=1e-5), name
    assert int(table["n"].sel(product="sm_5cm", station="S0")) == len(DAYS) - 1
    assert float(table["r_mean"][0]) == pytest.approx(float(table["r"][0].mean()))
    assert float(table["rmse_median"][2]) == pytest.approx(float(table["rmse"][2].median()))


def test_stamps_at_the_end_of_the_hour_belong_to_the_hour_before() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm",))
    expected = validate(maps, stations)
    late = stations.assign_coords(time=stations["time"] + np.timedelta64(1, "h"))
    late["time"].attrs["stamps"] = "end of hour"
    xr.testing.assert_allclose(validate(maps, late)["rmse"], expected["rmse"])


def test_retrievals_meet_the_hour_of_their_pass() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_dca", "sm_noah_0_10"))
    rng = np.random.default_rng(2)
    minutes = rng.integers(0, 24 * 60, maps["sm_dca"].shape)
    minutes = (minutes + (minutes % 60 == 30)).astype("m8[m]")  # no tie between two hours
    passes = (DAYS[:, None, None] + minutes).astype("M8[ns]")
    passes[::3] = np.datetime64("NaT")
    maps["obs_time"] = ("time", "y", "x"), passes
    table = validate(maps, stations, min_days=30, common=False)
    assert dict(zip(table["product"].values.tolist(), table["matching"].values.tolist(), strict=True)) == {
        "sm_dca": "hour of obs_time",
        "sm_noah_0_10": "UTC-day mean",
    }
    assert list(table["n"].sel(product="sm_noah_0_10").values) == [len(DAYS)] * 3
    for k, (row, col) in enumerate(PLACES):
        x, y = [], []
        for d in range(len(DAYS)):
            moment = passes[d, row, col]
            gap = np.abs(HOURS - moment)
            if not np.isnat(moment) and gap.min() <= np.timedelta64(30, "m"):
                x.append(float(maps["sm_dca"][d, row, col]))
                y.append(float(stations["soil_moisture"][k, int(gap.argmin())]))
        got = table.sel(product="sm_dca").isel(station=k)
        assert int(got["n"]) == len(x)
        assert float(got["rmse"]) == pytest.approx(float(metrics.rmse(x, y)), abs=1e-6)
    shared = validate(maps, stations, min_days=30)
    assert (shared["n"].sel(product="sm_dca") == shared["n"].sel(product="sm_noah_0_10")).all()


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


def test_two_depths_are_averaged_where_both_are_there() -> None:
    stations, maps = make_stations(depths=(10, 20)), make_maps(names=("sm_25cm",))
    stations["soil_moisture"][4] = np.nan  # S2 has nothing at 10 cm
    table = validate(maps, stations, subsurface="10-20")
    assert list(table["station"].values) == ["S0", "S1"]
    assert [str(r) for r in table["excluded"].values[4:]] == [
        "no value in the period",
        "no sensor at 10 cm for subsurface",
    ]
    mean = (day_means(stations, 0) + day_means(stations, 1)) / 2
    row, col = PLACES[0]
    expected = metrics.rmse(maps["sm_25cm"].values[:, row, col], mean)
    assert float(table["rmse"][0, 0]) == pytest.approx(float(expected), abs=1e-6)


def test_groups() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm", "sm_noah_0_10"))
    cover = np.full(GRID.shape, 10, "u1")
    cover[PLACES[2]] = 12
    maps = maps.assign_coords(land_cover=(("y", "x"), cover))
    fractions = {"sand": 40.0, "silt": 40.0, "clay": 20.0}
    for name, value in fractions.items():
        layers = np.stack([np.full(GRID.shape, value), np.full(GRID.shape, 100 if name == "sand" else 0)])
        maps[name] = ("soil_depth", "y", "x"), layers
    maps = maps.assign_coords(soil_depth=[5, 30])
    table = validate(maps, stations, by=("network", "land_cover", "texture", "texture_group"))
    assert list(table["land_cover"].values) == ["grasslands", "grasslands", "croplands"]
    assert list(table["by_land_cover"].values) == ["croplands", "grasslands"]
    assert list(table["count_by_land_cover"].values[0]) == [1, 2]
    assert list(table["by_texture"].values) == ["loam"] and list(table["by_texture_group"].values) == ["medium"]
    for name in ("r", "rmse", "bias", "ubrmse"):
        means = table[f"{name}_by_network"].sel(product="sm_5cm")
        assert means.sel(by_network="A") == pytest.approx(float(table[name].sel(product="sm_5cm")[:2].mean()))
        assert means.sel(by_network="B") == pytest.approx(float(table[name].sel(product="sm_5cm")[2]))
    with pytest.raises(DataError, match="no 'land_cover'"):
        validate(maps.drop_vars("land_cover"), stations, by=("land_cover",))
    with pytest.raises(UsageError, match="Did you mean 'texture'"):
        validate(maps, stations, by=("textur",))


def test_bilinear_meets_a_linear_field_exactly() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm",))
    plane = 0.1 + 0.01 * np.arange(GRID.rows)[:, None] + 0.005 * np.arange(GRID.cols)
    maps["sm_5cm"] = maps["sm_5cm"] * 0 + plane
    table = validate(maps, stations, method="bilinear")
    from pyproj import Transformer

    x, y = Transformer.from_crs(4326, 6933, always_xy=True).transform(stations["lon"].values, stations["lat"].values)
    rows, cols = (GRID.y[0] - y) / GRID.cell, (x - GRID.x[0]) / GRID.cell
    for k in range(3):
        expected = 0.1 + 0.01 * rows[k] + 0.005 * cols[k] - np.mean(day_means(stations, k))
        assert float(table["bias"][0, k]) == pytest.approx(expected, abs=1e-6)
    nearest = validate(maps, stations)
    assert abs(float(nearest["bias"][0, 0] - table["bias"][0, 0])) > 1e-4


def test_latitude_longitude_maps() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_noah_0_10",))
    expected = validate(maps, stations)
    # a regular grid through the stations: its nearest cells are filled with the same series
    lat, lon = np.arange(20, 70, 0.125), np.arange(-130, -60, 0.125)
    values = np.full((len(DAYS), len(lat), len(lon)), np.nan, "f4")
    for k, (row, col) in enumerate(PLACES):
        i = int(np.abs(lat - float(stations["lat"][k])).argmin())
        j = int(np.abs(lon - float(stations["lon"][k])).argmin())
        values[:, i, j] = maps["sm_noah_0_10"].values[:, row, col]
    native = xr.Dataset(
        {"sm_noah_0_10": (("time", "lat", "lon"), values)}, {"time": maps["time"], "lat": lat, "lon": lon}
    )
    with pytest.warns(UserWarning, match="frozen"):
        table = validate(native, stations)
    xr.testing.assert_equal(table["rmse"], expected["rmse"])


def test_only_the_cells_of_stations_are_computed() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm",))
    expected = validate(maps, stations)
    asked = []

    def block(values: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        if block_info:
            asked.append(block_info[0]["chunk-location"])
        return values

    lazy = maps.copy()
    lazy["sm_5cm"] = (
        maps["sm_5cm"].dims,
        da.from_array(maps["sm_5cm"].values, chunks=(50, 2, 2)).map_blocks(block, dtype="f4"),
    )
    table = validate(lazy, stations)
    xr.testing.assert_equal(table.drop_attrs(), expected.drop_attrs())
    assert {tuple(c[1:]) for c in asked} == {(r // 2, c // 2) for r, c in PLACES}


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


def test_anomalies_and_bootstrap_are_there_when_asked_for() -> None:
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm", "sm_noah_0_10"))
    maps["sm_5cm"][40:52] = np.nan  # a gap: the moving mean goes by days, not by positions
    plain = validate(maps, stations)
    assert not {"r_anomaly", "rmse_low"} & set(plain)
    table = validate(maps, stations, anomaly=True, interval="bootstrap")
    for name in ("r", "rmse", "kge", "p_value"):
        xr.testing.assert_equal(table[name], plain[name])
    assert "bootstrap" in table["r_low"].attrs["long_name"] and not np.allclose(table["r_low"], plain["r_low"])
    for name in ("r", "rmse", "bias", "ubrmse"):
        assert ((table[f"{name}_low"] < table[name]) & (table[name] < table[f"{name}_high"])).all(), name
    row, col = PLACES[1]
    x, y = maps["sm_5cm"].values[:, row, col], day_means(stations, 1)
    parts = []
    for values in (x, y):
        one = pd.Series(np.where(np.isfinite(x), values, np.nan), pd.DatetimeIndex(DAYS))
        parts.append(one - one.rolling("35D", center=True, closed="both").mean())
    # pandas' window of 35 days with both ends holds day -17 to +17 of daily data
    assert float(table["r_anomaly"][0, 1]) == pytest.approx(parts[0].corr(parts[1]), abs=1e-5)
    assert "r_anomaly_mean" in table and "kge_median" in table


def test_level_4_has_its_layers() -> None:
    stations, maps = make_stations(), make_maps(names=("sm_5cm", "sm_surface", "sm_rootzone"))
    table = validate(maps, stations)
    assert dict(zip(table["product"].values.tolist(), table["layer"].values.tolist(), strict=True)) == {
        "sm_5cm": "surface", "sm_surface": "surface", "sm_rootzone": "subsurface"
    }  # fmt: skip


def test_result_is_saved_and_tidy(tmp_path: Path) -> None:
    stations, maps = make_stations(), make_maps()
    maps.attrs["synthetic"] = "yes"
    table = validate(maps, stations, by=("network",), time=slice("2022-03-11", "2022-05-31"))
    assert table.attrs["period"] == "2022-03-11/2022-05-31" and int(table["n"].max()) == 82
    assert table.attrs["synthetic"] == "yes" and "validate(" in table.attrs["history"]
    table.to_netcdf(tmp_path / "v.nc")
    with xr.open_dataset(tmp_path / "v.nc") as back:
        xr.testing.assert_allclose(back.load(), table)
    frame = to_frame(table)
    assert len(frame) == 9 and {"product", "station", "network", "lat", "r", "n", "reference"} <= set(frame.columns)
    frame.to_csv(tmp_path / "v.csv", index=False)
    again = pd.read_csv(tmp_path / "v.csv")
    assert again["rmse"].to_numpy() == pytest.approx(frame["rmse"].to_numpy())
    row = frame[(frame["product"] == "sm_25cm") & (frame["station"] == "S1")]
    assert float(row["bias"].iloc[0]) == float(table["bias"].sel(product="sm_25cm", station="S1"))


def test_bad_input_is_told() -> None:
    stations, maps = make_stations(), make_maps()
    with pytest.raises(DataError, match="no day in common"):
        validate(maps.assign_coords(time=maps["time"] + np.timedelta64(5000, "D")), stations)
    with pytest.raises(DataError, match=r"No station lies in the maps \(longitude"):
        validate(maps, stations.assign_coords(lat=stations["lat"] + 40))
    with pytest.raises(DataError, match="wanted 'm3 m-3'"):
        percent = (stations * 100).assign_coords(stations.coords)
        percent["soil_moisture"].attrs["units"] = "percent"
        validate(maps, percent)
    with pytest.raises(DataError, match=r"None of 6 sensors .*: values look like percent, wanted m3 m-3 \(6\)"):
        validate(maps, (stations * 100).assign_coords(stations.coords))
    with pytest.raises(DataError, match="has a median of"):
        validate(maps.assign(sm_5cm=maps["sm_5cm"] * 100), stations)
    with pytest.raises(DataError, match=r"fewer than 200 days \(6\)\. The most .* 100 days: .* min_days=100"):
        validate(maps, stations, min_days=200)
    with pytest.raises(DataError, match="has none of sm_5cm"):
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


def test_own_variables_with_a_depth() -> None:
    stations, maps = make_stations(), make_maps()
    other = maps.rename(sm_25cm="root").drop_vars(["sm_5cm", "sm_noah_0_10"])
    other["root"].attrs["depth"] = 25
    xr.testing.assert_equal(
        validate(other, stations, variables=("root",))["rmse"].drop_vars("product"),
        validate(maps, stations, variables=("sm_25cm",))["rmse"].drop_vars("product"),
    )


def test_the_files_of_the_stations_are_told(tmp_path: Path) -> None:
    from xsm.ops.open import told_files

    paths = [tmp_path / name for name in ("b.txt", "a.txt")]
    for path in paths:
        path.write_text(path.stem * 3)
    told = told_files(paths)
    assert (told["files"], told["to"]) == ("2 from a.txt", "b.txt")
    assert told_files(paths[::-1]) == told and told_files(paths[:1])["files"] == "b.txt"
    paths[0].write_text("longer than before")
    assert told_files(paths)["files_hash"] != told["files_hash"]


def test_daily_uscrn_of_2020() -> None:
    """Real stations against maps made of their own values plus 0.02: correlation one, that bias."""
    root = os.environ.get("XSM_TEST_DATA")
    if not root:
        pytest.skip("XSM_TEST_DATA is not set (real files of the agencies)")
    uscrn = pytest.importorskip("xsm_insitu.uscrn")
    with pytest.warns(UserWarning, match="local standard days"):
        stations = uscrn.UscrnSource().open([Path(root) / "insitu/uscrn/crn_daily_2020_half.csv.gz"])
    grid = EASE2_M09.region((-110, 30, -95, 42))
    row, col = grid.rowcol(stations["lon"].values, stations["lat"].values)
    row, col = row - grid.row0, col - grid.col0
    inside = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols) & (stations["depth"].values == 5)
    cube = np.full((366, *grid.shape), np.nan, "f4")
    for i in np.flatnonzero(inside):
        cube[:, row[i], col[i]] = stations["soil_moisture"].values[i] + 0.02
    maps = grid.assign(xr.Dataset({"sm_5cm": (("time", "y", "x"), cube)}, {"time": stations["time"].values}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        table = validate(maps, stations, min_days=100)
    assert table.sizes["station"] >= 10 and list(table["matching"].values) == ["local-day mean"]
    # float32 steps of 1e-8 at 0.3
    assert np.allclose(table["bias"], 0.02, atol=1e-6) and np.allclose(table["r"], 1, atol=1e-6)
    assert (table["excluded"] == "").sum() == table.sizes["station"]
