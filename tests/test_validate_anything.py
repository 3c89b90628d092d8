"""Series, tables, single cells and any depth in a validation; the pairs are those that are scored."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pytesmo import metrics as theirs
from pytesmo import scaling

import xsm
from tests.station_world import DAYS, GRID, PLACES, day_means, make_maps, make_stations
from xsm.io import files
from xsm.validation.depths import Depth, read_depth

TIMES = pd.DatetimeIndex(DAYS, name="time")


def two(seed=0):
    """A product and a reference as series with gaps."""
    rng = np.random.default_rng(seed)
    wave = 0.25 + 0.1 * np.sin(np.arange(len(DAYS)) / 9)
    x, y = (pd.Series(wave + rng.normal(0, s, len(DAYS)), TIMES) for s in (0.03, 0.02))
    x[10:20], y[15:30] = np.nan, np.nan
    return x.rename("mine"), y.rename("probe")


def long_table(stations):
    frame = stations["soil_moisture"].to_dataframe().reset_index()
    return frame[["station", "network", "time", "lat", "lon", "depth", "soil_moisture"]]


def check(table, x, y):
    """Scores of one product and station are those of pytesmo."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    expected = {"r": theirs.pearson_r(x, y), "rmse": theirs.rmsd(x, y), "bias": theirs.bias(x, y),
                "ubrmse": theirs.ubrmsd(x, y), "spearman": theirs.spearman_r(x, y)}  # fmt: skip
    for name, value in expected.items():
        assert float(table[name].squeeze()) == pytest.approx(float(np.squeeze(value)), abs=1e-6), name
    assert int(table["n"].squeeze()) == both.sum()


@pytest.mark.parametrize("kind", ["series", "array", "dataset", "frame", "unnamed"])
def test_a_series_beside_a_series(kind):
    x, y = two()
    as_kind = {"series": lambda s: s, "array": lambda s: s.to_xarray(), "dataset": lambda s: s.to_xarray().to_dataset(),
               "frame": lambda s: s.to_frame(), "unnamed": lambda s: s.rename(None)}[kind]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = xsm.validate(as_kind(x), as_kind(y))
    check(table, x.to_numpy(), y.to_numpy())
    assert table["reference"].values.tolist() == ["depth not stated"]
    assert table["station"].values.tolist() == ["reference" if kind == "unnamed" else "probe"]


def test_wide_tables_have_a_product_or_a_station_for_each_column():
    x, y = two()
    other_x, other_y = two(1)
    products = pd.DataFrame({"one": x, "two": other_x})
    table = xsm.validate(products, pd.DataFrame({"A": y, "B": other_y}), common=False)
    assert table["r"].shape == (2, 2)
    check(table.sel(product="two", station="A"), other_x.to_numpy(), y.to_numpy())
    check(table.sel(product="one", station="B"), x.to_numpy(), other_y.to_numpy())


def test_cells_beside_equal_cells():
    maps = make_maps(names=("a", "b"))
    cells = maps[["a", "b"]].isel(y=3).rename(x="cell").isel(cell=slice(0, 5)).reset_coords(drop=True).drop_vars("cell")
    table = xsm.validate(cells["a"], cells["b"])
    assert table.sizes["station"] == 5
    for i in range(5):
        check(table.isel(station=i), cells["a"].values[:, i], cells["b"].values[:, i])
    with pytest.raises(xsm.DataError, match="has 4 series along 'cell', the data 5"):
        xsm.validate(cells["a"], cells["b"].isel(cell=slice(0, 4)))
    named = cells.assign_coords(cell=list("abcde"))
    turned = xsm.validate(named["a"], named["b"].isel(cell=[1, 0, 2, 3, 4]))
    assert turned["station"].values.tolist() == list("bacde")
    np.testing.assert_array_equal(turned["r"].values, table["r"].values[:, [1, 0, 2, 3, 4]])
    with pytest.raises(xsm.DataError, match="other values along 'cell'"):
        xsm.validate(named["a"], named["b"].assign_coords(cell=list("vwxyz")))


def test_a_long_table_is_read_as_its_csv(tmp_path):
    stations, maps = make_stations(), make_maps()
    daily = stations.resample(time="1D").mean()
    frame = long_table(daily)
    frame.to_csv(tmp_path / "stations.csv", index=False)
    from_file = xsm.validate(maps, files.read(tmp_path / "stations.csv"))
    for table in (frame, frame.set_index("time"), frame.rename(columns={"soil_moisture": "sm", "lat": "Latitude"})):
        result = xsm.validate(maps, table)
        xr.testing.assert_allclose(result["r"], from_file["r"])
        assert result["n"].equals(from_file["n"])


@pytest.mark.parametrize("grid", ["ease", "degrees"])
def test_a_single_cell_is_compared(grid):
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_5cm",))
    row, col = PLACES[0]
    whole = xsm.validate(maps, stations).sel(station="S0")
    if grid == "ease":
        one = maps.isel(y=[row], x=[col])
    else:
        place = {"lat": [float(GRID.lat[row])], "lon": [float(GRID.lon[col])]}
        values = maps[["sm_5cm", "frozen"]].isel(y=[row], x=[col]).reset_coords(drop=True)
        one = values.drop_vars(["y", "x"], errors="ignore").rename(y="lat", x="lon").assign_coords(place)
    if grid == "ease":
        table = xsm.validate(one, stations)
    else:
        with pytest.warns(UserWarning, match="size of the cells is not known .* up to 25 km .* is 1.4 km away"):
            table = xsm.validate(one, stations)
    assert "S0" in table["station"].values.tolist()
    for name in ("r", "rmse", "n"):
        assert float(table[name].sel(station="S0").squeeze()) == pytest.approx(float(whole[name].squeeze()))
    if grid == "degrees":
        with pytest.warns(UserWarning, match="25 km"):
            same = xsm.validate(one.squeeze(), stations)
        xr.testing.assert_allclose(same["r"], table["r"])
        with pytest.warns(UserWarning), pytest.raises(xsm.DataError, match=r"No station lies in the maps \(one point"):
            xsm.validate(one.assign_coords(lat=[10.0]), stations)


def test_one_row_of_degrees_has_the_step_of_its_columns():
    from tests.test_nearest_cell import maps_on
    from xsm.data.positions import inside, positions

    maps = maps_on(np.array([30.0]), np.array([-100.0, -99, -98]))
    rows, cols, _ = positions(maps, np.array([-99.1, -99.1]), np.array([30.4, 30.6]))
    assert inside(rows, cols).tolist() == [True, False]


DEEP = (5.08, 10.16, 20.32, 50.8, 101.6)


@pytest.mark.parametrize(
    ("depth", "method", "weights"),
    [
        (5, "nearest", [1, 0, 0, 0, 0]),
        ("50", "nearest", [0, 0, 0, 1, 0]),
        ("20 cm", "interpolate", [0, 0, 1, 0, 0]),
        (35, "interpolate", [0, 0, (50.8 - 35) / 30.48, (35 - 20.32) / 30.48, 0]),
        ("0-10", "nearest", [0.762, 0.238, 0, 0, 0]),
        ("0-100", "nearest", [0.0762, 0.0762, 0.2032, 0.4064, 0.238]),
        ("10-40", "nearest", [0, 5.24 / 30, 24.76 / 30, 0, 0]),
    ],
)
def test_any_depth_is_the_weighted_mean_of_its_sensors(depth, method, weights):
    if depth == "0-100":
        edges = [0, 7.62, 15.24, 35.56, 76.2, 100]
        weights = np.diff(edges) / 100
    stations, maps = make_stations(depths=DEEP), make_maps(names=("sm_5cm",))
    table = xsm.validate(maps, stations, depth=depth, depth_method=method)
    row, col = PLACES[1]
    hours = sum(w * stations["soil_moisture"].values[5 + i].astype("f8") for i, w in enumerate(weights))
    y = day_means(stations.assign(soil_moisture=(("sensor", "time"), np.tile(hours, (15, 1)))), 0)
    check(table.sel(station="S1"), maps["sm_5cm"].values[:, row, col].astype("f8"), y)
    shown = str(depth).removesuffix(" cm") + " cm"
    assert table["reference"].values.tolist() == [shown] == table["layer"].values.tolist()


def test_products_have_depths_of_their_own():
    stations, maps = make_stations(depths=DEEP), make_maps(names=("a", "b", "sm_5cm"))
    maps["a"].attrs["depth"] = "0-100 cm"
    maps["b"].attrs["depth"] = 50
    table = xsm.validate(maps, stations, variables=["a", "b", "sm_5cm"])
    assert dict(zip(table["product"].values, table["reference"].values, strict=True)) == {
        "sm_5cm": "5 cm", "a": "0-100 cm", "b": "50 cm"
    }  # fmt: skip
    by_call = xsm.validate(maps.drop_attrs(), stations, variables=["a", "b"], depth=["0-100", "50"])
    np.testing.assert_array_equal(by_call["r"], table["r"].sel(product=["a", "b"]))


@pytest.mark.parametrize(
    ("depth", "there", "expected"),
    [
        ("0-5", [5.08], {5.08: 1.0}),
        ("10-40", [20], {20: 1.0}),
        ("0-100", [5], {}),
        ("0-100", [5, 10, 20], {}),
        ("0-30", [50], {}),
        ("0-30", [5, 10], {5: 0.25, 10: 0.75}),
    ],
)
def test_a_range_needs_sensors_that_stand_for_it(depth, there, expected):
    assert read_depth(depth).sensors(there) == pytest.approx(expected)


def test_an_interpolated_depth_needs_sensors_on_both_sides():
    depth = Depth((30.0,), "interpolate")
    assert depth.sensors([5, 10]) == {} == depth.sensors([50])
    stations, maps = make_stations(depths=(5, 10)), make_maps(names=("sm_5cm",))
    with pytest.raises(xsm.DataError, match="depths do not suffice for 30 cm"):
        xsm.validate(maps, stations, depth=30, depth_method="interpolate")


def test_a_tolerance_takes_the_nearest_value_within():
    stations, maps = make_stations(depths=(5,)), make_maps(names=("sm_dca",))
    rng = np.random.default_rng(0)
    stations["soil_moisture"] = stations["soil_moisture"].where(rng.random(stations["soil_moisture"].shape) < 0.3)
    minutes = rng.integers(0, 24 * 60, maps["sm_dca"].shape)
    passes = (DAYS[:, None, None] + (minutes + (minutes % 30 == 0)).astype("m8[m]")).astype("M8[ns]")
    maps["obs_time"] = ("time", "y", "x"), passes
    table = xsm.validate(maps, stations, tolerance=2, min_days=20)
    assert table["matching"].values.tolist() == ["hour of obs_time within 2 h"]
    row, col = PLACES[0]
    series = stations["soil_moisture"][0].to_series().dropna()
    left = pd.DataFrame({"time": passes[:, row, col], "x": maps["sm_dca"].values[:, row, col]}).sort_values("time")
    pairs = pd.merge_asof(left, series.rename("y").reset_index(), on="time", direction="nearest",
                          tolerance=pd.Timedelta("2h")).dropna()  # fmt: skip
    check(table.sel(station="S0"), pairs["x"].to_numpy("f8"), pairs["y"].to_numpy("f8"))
    coarse = stations.isel(time=slice(0, None, 6))
    assert xsm.validate(maps, coarse, tolerance=3, min_days=5)["matching"].values[0].endswith("within 3 h")
    nothing = maps.assign(obs_time=maps["obs_time"] + np.timedelta64(4000, "D"))
    with pytest.raises(xsm.DataError, match="fewer than"):
        xsm.validate(nothing, stations, tolerance=2)


@pytest.mark.parametrize("how", ["mean_std", "linreg", "cdf"])
def test_rescaled_scores_are_those_of_pytesmo(how):
    x, y = two()
    both = (x.notna() & y.notna()).to_numpy()
    a, b = x.to_numpy()[both], y.to_numpy()[both]
    table = xsm.validate(x, y, rescale=how)
    expected = scaling.scale(
        pd.DataFrame({"x": a, "y": b}), method={"cdf": "cdf_match"}.get(how, how), reference_index=1
    )
    expected = expected["x"].to_numpy()
    assert float(table["rmse"].squeeze()) == pytest.approx(theirs.rmsd(expected, b), abs=1e-6)
    assert float(table["bias"].squeeze()) == pytest.approx((expected - b).mean(), abs=1e-6)
    assert float(table["r"].squeeze()) == pytest.approx(np.corrcoef(expected, b)[0, 1], abs=1e-6)
    assert how in table.attrs["rescale"]


def test_seasons_are_scored_on_their_own_days():
    days = pd.date_range("2019-01-01", "2020-12-31", name="time")
    rng = np.random.default_rng(0)
    x, y = (pd.Series(rng.uniform(0.1, 0.4, len(days)), days, name=n) for n in "xy")
    table = xsm.validate(x, y, by=["season"])
    assert table["r_by_season"].dims == ("product", "station", "season")
    for season, months in {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}.items():
        use = days.month.isin(months)
        one = table.sel(season=season)
        assert int(one["n_by_season"].squeeze()) == use.sum()
        assert float(one["rmse_by_season"].squeeze()) == pytest.approx(
            theirs.rmsd(x[use].to_numpy(), y[use].to_numpy()), abs=1e-6
        )
        assert float(one["r_by_season"].squeeze()) == pytest.approx(x[use].corr(y[use]), abs=1e-6)
    short = xsm.validate(x[:70], y[:70], by=["season"])
    assert np.isfinite(short["r_by_season"].values.ravel()).tolist() == [True, True, False, False]


def test_scores_of_the_pairs_are_those_of_validate():
    stations, maps = make_stations(), make_maps()
    maps["frozen"][10:20] = True
    for how in ({}, {"common": False}, {"rescale": "mean_std"}, {"method": "bilinear", "variables": ["sm_5cm"]}):
        scores, pairs = xsm.validate(maps, stations, **how), xsm.matchup(maps, stations, **how).sm.to_frame()
        for (product, station), group in pairs.groupby(["product", "station"]):
            one = scores.sel(product=product, station=station)
            away = group["value"].to_numpy() - group["reference"].to_numpy()
            assert int(one["n"]) == len(group)
            assert float(one["bias"]) == pytest.approx(away.mean(), abs=1e-14)
            assert float(one["rmse"]) == pytest.approx(np.sqrt((away**2).mean()), rel=1e-13)
            assert float(one["ubrmse"]) == pytest.approx(away.std(), rel=1e-12)
            assert float(one["r"]) == pytest.approx(np.corrcoef(group["value"], group["reference"])[0, 1], rel=1e-12)
        assert len(pairs) == int(scores["n"].sum())


def test_pairs_say_where_and_how():
    stations, maps = make_stations(), make_maps()
    stations["depth"][5] = 50
    table = xsm.matchup(maps, stations)
    frame = xsm.to_frame(table)
    assert list(frame.columns) == ["product", "station", "network", "time", "value", "reference", "depth", "matching",
                                   "lat", "lon", "distance"]  # fmt: skip
    assert set(frame["distance"].round(1)) == {1.4}
    assert set(frame.loc[frame["product"] == "sm_25cm", "depth"]) == {"20 cm"}
    assert table.attrs["left_out"] == "depth is not compared (1 sensors)"
    assert frame["time"].min() == TIMES[0] and "matchup(" in table.attrs["history"]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m, s, x, y: xsm.validate(s, m), "The stations stand where the data should be. Give the data first"),
        (lambda m, s, x, y: xsm.validate(x, m), "expected stations or series"),
        (lambda m, s, x, y: xsm.validate(m, y), "The reference has no lat and lon, and the data have the dims x, y"),
        (lambda m, s, x, y: xsm.validate(["a.nc", "b.nc"], s), "'ds' is a list of 2 files, expected an xarray.Dataset"),
        (lambda m, s, x, y: xsm.validate(m, ["a.csv"]), "'stations' is a list of 1 files"),
        (lambda m, s, x, y: xsm.validate(m, "a.csv"), "'stations' is 'a.csv', expected an xarray.Dataset"),
        (lambda m, s, x, y: xsm.validate(m, None), "'stations' is None"),
        (lambda m, s, x, y: xsm.validate(x * 100, y), "'mine' has a median of .*, expected m3 m-3"),
        (lambda m, s, x, y: xsm.validate(x, y * 100), "values look like percent, expected m3 m-3"),
        (lambda m, s, x, y: xsm.validate(x, y.shift(freq="4000D")), "no day in common"),
        (lambda m, s, x, y: xsm.validate(x.resample("6h").ffill(), y), "several times in one UTC day"),
        (lambda m, s, x, y: xsm.validate(x.reset_index(drop=True), y), "index of the type int64, expected times"),
        (lambda m, s, x, y: xsm.validate(x * np.nan, y), "None of 1 sensors can be used: fewer than 33 days"),
        (lambda m, s, x, y: xsm.validate(m, s, depth=30), "No sensor stands for 30 cm .*depth_method='?interpolate"),
        (lambda m, s, x, y: xsm.validate(m, s, depth="surface"), "The depth is 'surface', expected centimetres"),
        (lambda m, s, x, y: xsm.validate(m, s, depth="100-0"), "The depth is '100-0'"),
        (lambda m, s, x, y: xsm.validate(m, s, depth=[5, 20]), "There are 2 depths for 3 products"),
        (lambda m, s, x, y: xsm.validate(m, long_table(s).drop(columns="lat")), "'stations' has the columns .* lat is"),
        (lambda m, s, x, y: xsm.validate(m, s, rescale="qdm"), "Unknown rescale 'qdm'"),
        (lambda m, s, x, y: xsm.validate(m, s, tolerance=-1), "at least 0"),
        (lambda m, s, x, y: xsm.matchup(s, m), "The stations stand where the data should be"),
        (lambda m, s, x, y: xsm.validate(m.assign(sm=m["sm_5cm"]), s, variables=["sm"]), "no attribute depth"),
    ],
)
def test_natural_mistakes_end_in_one_sentence(call, sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(xsm.XsmError, match=sentence) as error:
            call(make_maps(), make_stations().assign_coords(depth=("sensor", [5.0, 20.0] * 3)), *two())
    assert error.value.hint


def test_uscrn_at_all_depths_beside_its_surface(real_data: Path):
    with xr.open_dataset(real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc") as ds:
        ds = ds.isel(station=slice(0, 12)).sel(time="2018").load()
    names = {int(d): f"soil_moisture_{d}cm" for d in (5, 10, 20, 50, 100)}
    frame = pd.concat([
        ds[name].to_dataframe().reset_index().rename(columns={name: "soil_moisture"}).assign(depth=depth)
        for depth, name in names.items()
    ])  # fmt: skip
    surface = ds[names[5]]
    for depth in (10, 50):
        with pytest.warns(UserWarning, match="12 points"):
            table = xsm.validate(surface, frame, depth=depth)
        assert table.sizes["station"] >= 7
        for station in table["station"].values:
            x, y = (ds[names[d]].sel(station=station).values.astype("f8") for d in (5, depth))
            check(table.sel(station=station), x, y)


def test_hawaii_smap_gldas_and_scan(real_data: Path):
    """Real series of one place: SMAP beside GLDAS."""
    smap = xr.open_dataset(real_data / "smap_l3_timeseries/hawaii_0165.nc")
    one = smap["soil_moisture"].where((smap["locationIndex"] == 3) & (smap["soil_moisture"] > 0)).to_series().dropna()
    daily = one.groupby(one.index.floor("D")).mean().rename_axis("time")
    model = xr.open_dataset(real_data / "gldas_noah/hawaii_0165.nc")["SoilMoi0_10cm_inst"].isel(locations=0) / 100
    model = model.to_series().resample("1D").mean().rename_axis("time")
    table = xsm.validate(daily, model, rescale="mean_std", by=["season"], interval="bootstrap")
    joined = pd.concat([daily, model], axis=1, join="inner").dropna().to_numpy()
    scaled = scaling.mean_std(joined[:, 0], joined[:, 1])
    assert int(table["n"].squeeze()) == len(joined)
    assert float(table["rmse"].squeeze()) == pytest.approx(theirs.rmsd(scaled, joined[:, 1]), abs=1e-6)
    assert float(table["r_low"].squeeze()) < float(table["r"].squeeze()) < float(table["r_high"].squeeze())
