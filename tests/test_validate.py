"""Scores of maps against stations: the cells, hours and days that are compared, and the results."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.station_world import DAYS, GRID, HOURS, PLACES, day_means, make_maps, make_stations
from xsm import DataError, UsageError
from xsm.data.grids import EASE2_M09
from xsm.ops.validate import validate
from xsm.testing import open_files
from xsm.validation import metrics
from xsm.validation.scoring import to_frame


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
    computed = []

    def block(values: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        if block_info:
            computed.append(block_info[0]["chunk-location"])
        return values

    lazy = maps.copy()
    lazy["sm_5cm"] = (
        maps["sm_5cm"].dims,
        da.from_array(maps["sm_5cm"].values, chunks=(50, 2, 2)).map_blocks(block, dtype="f4"),
    )
    table = validate(lazy, stations)
    xr.testing.assert_equal(table.drop_attrs(), expected.drop_attrs())
    assert {tuple(c[1:]) for c in computed} == {(r // 2, c // 2) for r, c in PLACES}


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


def test_own_variables_with_a_depth() -> None:
    stations, maps = make_stations(), make_maps()
    other = maps.rename(sm_25cm="root").drop_vars(["sm_5cm", "sm_noah_0_10"])
    other["root"].attrs["depth"] = 25
    xr.testing.assert_equal(
        validate(other, stations, variables=("root",))["rmse"].drop_vars("product"),
        validate(maps, stations, variables=("sm_25cm",))["rmse"].drop_vars("product"),
    )


def test_daily_uscrn_of_2020() -> None:
    """Real stations against maps made of their own values plus 0.02: correlation one, that bias."""
    root = os.environ.get("XSM_TEST_DATA")
    if not root:
        pytest.skip("XSM_TEST_DATA is not set (real files of the agencies)")
    uscrn = pytest.importorskip("xsm_insitu.uscrn")
    with pytest.warns(UserWarning, match="local standard days"):
        stations = open_files(uscrn.UscrnSource(), [Path(root) / "insitu/uscrn/crn_daily_2020_half.csv.gz"])
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
