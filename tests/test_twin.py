"""The synthetic world: its physics against independent formulas, its statistics against published ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xsm.cf import VARIABLES
from xsm.errors import DataError, UsageError
from xsm.ops.example import example
from xsm.scenarios import SMAP_ANCILLARY
from xsm.twin import default_grid, make_world, write_world
from xsm.twin import radiometry as rad
from xsm.twin.errors_model import ERRORS, digest
from xsm.twin.fields import rough, smooth
from xsm.twin.products import OUTAGES, passes
from xsm.twin.soil import saxton_rawls
from xsm.twin.water import drained

RECORDED = "3b5b4cd8594ba85a3e502045db496e6dda01ff9036b2f73fe17983cba71943dd"


@pytest.fixture(scope="module")
def year():
    return make_world(default_grid(32), slice("2021-01-01", "2021-12-31"), seed=0)


@pytest.fixture(scope="module")
def spring():
    return make_world(default_grid(24), 20, seed=3)


def without(part: str, **changes):
    return dataclasses.replace(ERRORS, **{part: dataclasses.replace(getattr(ERRORS, part), **changes)})


@pytest.mark.parametrize(
    ("name", "sand", "clay", "wilting", "capacity", "porosity", "conductivity"),
    [  # Saxton and Rawls (2006), Table 3: 2.5 percent organic matter, printed to 1 percent and 0.1 mm/h
        ("sand", 88, 5, 0.05, 0.10, 0.46, 108.1),
        ("loam", 40, 20, 0.14, 0.28, 0.46, 15.5),
        ("silt loam", 20, 15, 0.11, 0.31, 0.48, 16.1),
        ("clay", 25, 50, 0.30, 0.42, 0.50, 1.1),
    ],
)
def test_saxton_rawls_gives_the_published_table(name, sand, clay, wilting, capacity, porosity, conductivity):
    got = saxton_rawls(np.array(float(sand)), np.array(float(clay)), np.array(2.5))
    assert got.wilting_point == pytest.approx(wilting, abs=0.006)
    assert got.field_capacity == pytest.approx(capacity, abs=0.006)
    assert got.porosity == pytest.approx(porosity, abs=0.006)
    assert got.conductivity == pytest.approx(conductivity, rel=0.05, abs=0.1)


def test_drainage_solves_its_equation():
    from scipy.integrate import solve_ivp

    for start, rate, exponent in ((0.95, 0.4, 12.0), (0.5, 2.0, 20.0), (0.3, 5.0, 9.0)):
        exact = solve_ivp(lambda _, s, r=rate, c=exponent: -r * s**c, (0, 1), [start], rtol=1e-10, atol=1e-12).y[0, -1]
        assert drained(np.array(start), np.array(rate), np.array(exponent)) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("moisture", [0.01, 0.05, 0.2, 0.45])
@pytest.mark.parametrize("clay", [3.0, 25.0, 60.0])
def test_mironov_against_a_transcription_in_real_numbers(moisture, clay):
    turn = 2 * np.pi * 1.41e9

    def water(static, tau, sigma):
        real = 4.9 + (static - 4.9) / (1 + (turn * tau) ** 2)
        loss = (static - 4.9) / (1 + (turn * tau) ** 2) * turn * tau + sigma / (turn * 8.854e-12)
        size = np.hypot(real, loss)
        return np.sqrt((size + real) / 2), np.sqrt((size - real) / 2)

    nb, kb = water(79.8 - 0.854 * clay + 0.00327 * clay**2, 1.062e-11 + 3.45e-14 * clay, 0.3112 + 0.00467 * clay)
    nu, ku = water(100, 8.5e-12, 0.3631 + 0.01217 * clay)
    most = 0.02863 + 0.0030673 * clay
    n, k = 1.634 - 0.00539 * clay + 2.748e-5 * clay**2, 0.03952 - 4.038e-4 * clay
    low, high = min(moisture, most), max(moisture - most, 0)
    n, k = n + (nb - 1) * low + (nu - 1) * high, k + kb * low + ku * high
    assert rad.mironov(moisture, clay) == pytest.approx(complex(n * n - k * k, 2 * n * k), rel=1e-5)


def test_fresnel_against_snell():
    eps = 16.0
    incident = np.radians(40)
    inside = np.arcsin(np.sin(incident) / np.sqrt(eps))
    h, v = rad.fresnel(np.array(eps, "c8"))
    assert h == pytest.approx((np.sin(incident - inside) / np.sin(incident + inside)) ** 2, rel=1e-5)
    assert v == pytest.approx((np.tan(incident - inside) / np.tan(incident + inside)) ** 2, rel=1e-5)


def test_emission_limits():
    bare = rad.emission(np.array(0.3), np.array(0.0), np.array(0.05), np.array(300.0))
    dense = rad.emission(np.array(0.3), np.array(50.0), np.array(0.05), np.array(300.0))
    assert bare == pytest.approx(210) and dense == pytest.approx(285)


def test_retrievals_return_what_went_in():
    g = np.random.default_rng(1)
    moisture, clay = g.uniform(0.04, 0.5, (2, 4000)).astype("f4") * np.float32([[1], [100]])
    tau = g.uniform(0.02, 0.6, 4000).astype("f4")
    rest = np.full(4000, 0.3, "f4"), np.full(4000, 0.06, "f4"), np.full(4000, 293, "f4")
    h, v = rad.brightness(moisture, clay, rest[0], tau, rest[1], rest[2])
    for tb, name in ((h, "h"), (v, "v")):
        found, _ = rad.retrieve_single(tb, name, clay, rest[0], tau, rest[1], rest[2], iterations=20)
        np.testing.assert_allclose(found, moisture, atol=2e-4)  # float32 brightness temperatures resolve about 3e-5 K
    found, opacity, _ = rad.retrieve_dual(h, v, clay, rest[0], tau * 0.5, rest[1], rest[2], weight=0.0, iterations=200)
    np.testing.assert_allclose(found, moisture, atol=2e-3)
    np.testing.assert_allclose(opacity, tau, atol=5e-3)


def test_swath_revisits_and_local_time():
    lon, lat = np.arange(-120, -75, 3.0), np.array([45.0, 36.0, 27.0])
    seconds = passes(lon, lat)
    seen = np.isfinite(seconds)
    gaps = [np.diff(np.flatnonzero(np.tile(seen[:, r, c], 3))).max() for r in range(3) for c in range(len(lon))]
    assert max(gaps) <= 3 and min(gaps) >= 2  # the mission's 2 to 3 days
    assert seen.mean((0, 2))[0] > seen.mean((0, 2))[2] > 0.3  # swaths overlap towards the pole
    solar = (seconds / 3600 + lon / 15) % 24
    assert np.nanmin(solar) > 5 and np.nanmax(solar) < 8  # morning pass, node at 06:00


def test_outages_have_no_data():
    for start, stop in OUTAGES:
        first, last = np.datetime64(start) - 8, np.datetime64(stop) + 8
        days = np.arange(first, last + 1)
        world = make_world(default_grid(8), days)
        from xsm.twin.products import overpasses

        any_seen = np.isfinite(overpasses(world)).any((1, 2))
        out = (days >= np.datetime64(start)) & (days <= np.datetime64(stop))
        assert not any_seen[out].any() and any_seen[~out].sum() >= 6


def test_fields_agree_in_every_way_of_asking():
    x, y = np.arange(-4e5, 4e5, 2e4), np.arange(1e6, 1.6e6, 2e4)
    for wave in (rough(1, "a", 60e3), smooth(1, "b", 60e3)):
        np.testing.assert_allclose(wave.at(*np.meshgrid(x, y)), wave.on(x, y)(0.0), atol=2e-2)  # float32 phases


def test_field_correlation_lengths():
    """Over many fields the correlation is 1/e at the length, and at the time, that was asked for."""
    x, y = np.array([0.0, 80e3]), np.array([0.0])
    for make in (rough, smooth):
        pairs = np.concatenate([make(s, "c", 80e3).on(x, y)(0.0) for s in range(1500)])
        assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(np.exp(-1), abs=0.08)
    later = [[float(smooth(s, "t", 80e3, days=10).on(x[:1], y)(t)[0, 0]) for t in (0, 10)] for s in range(1500)]
    assert np.corrcoef(np.array(later).T)[0, 1] == pytest.approx(np.exp(-1), abs=0.08)


def test_water_balance_closes(year):
    assert np.abs(year.scene.run.balance).max() < 0.01  # mm over 455 days, float32 sums


def test_truth_is_physical(year):
    truth = year.truth
    land = truth["land"].values
    assert 0.5 < land.mean() < 1 and truth["land_cover"].values[~land].tolist() == [17] * (~land).sum()
    np.testing.assert_allclose((truth["sand"] + truth["silt"] + truth["clay"]).values[:, land], 100, atol=1e-3)
    for name, porosity in (("sm_5cm", truth["porosity"][0]), ("sm_25cm", truth["porosity"][1])):
        values = truth[name].values[:, land]
        assert values.min() > 0.02 and (values <= porosity.values[land] + 1e-4).all()
        assert np.isnan(truth[name].values[:, ~land]).all()
    change = [float(truth[n].diff("time").std("time").median()) for n in ("sm_5cm", "sm_25cm")]
    assert change[0] > 2 * change[1]  # damped below
    for name in set(truth.data_vars) & set(VARIABLES):
        values = truth[name].values.astype("f8")
        assert np.nanmin(values) >= VARIABLES[name].low and np.nanmax(values) <= VARIABLES[name].high, name


def test_climate_is_that_of_the_southern_plains(year):
    """Oklahoma: 700 to 1000 mm a year, more in the warm half; July near 301 K, January near 275 K; storms cluster."""
    truth = year.truth
    rain = truth["precipitation"]
    assert 550 < float(rain.sum("time").where(truth["land"]).mean()) < 1200
    month = rain["time"].dt.month
    assert float(rain.where((month >= 4) & (month <= 9)).mean()) > float(rain.where((month < 4) | (month > 9)).mean())
    air = truth["air_temperature"].groupby("time.month").mean(...)
    assert 297 < air.sel(month=7) < 305 and 270 < air.sel(month=1) < 279
    wet = (rain > 1).where(truth["land"]).mean(("y", "x"))
    assert 50 < float(wet.sum()) < 150
    assert np.corrcoef(wet[1:], wet[:-1])[0, 1] > 0.1  # systems and regimes, not independent days


def test_a_larger_window_and_a_longer_period_hold_the_same_world():
    small = make_world(default_grid(8), slice("2021-06-05", "2021-06-10"), seed=5)
    large = make_world(default_grid(20), slice("2021-06-05", "2021-06-16"), seed=5)
    inside = large.grid.assign(large.truth).sel(x=small.truth["x"], y=small.truth["y"]).isel(time=slice(0, 6))
    for name in ("sand", "precipitation", "air_temperature", "sm_5cm", "land_cover"):
        np.testing.assert_allclose(small.truth[name], inside[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_worlds_repeat_by_seed(spring):
    again = make_world(default_grid(24), 20, seed=3)
    xr.testing.assert_identical(again.smap, spring.smap)
    xr.testing.assert_identical(again.stations, spring.stations)
    other = make_world(default_grid(24), 20, seed=4)
    assert not np.allclose(other.truth["sand"], spring.truth["sand"], equal_nan=True)


def test_soil_at_100_m_averages_to_the_truth(spring):
    from pyproj import Transformer

    grid, land = spring.grid, spring.truth["land"].values
    to_albers = Transformer.from_crs(6933, 5070, always_xy=True).transform
    errors, inside = [], np.argwhere(land & (spring.scene.ground.water[spring.scene.inner] == 0))
    for row, col in inside[:: len(inside) // 12]:
        edge_x, edge_y = (
            grid.x[col] + np.array([-0.5, 0.5]) * grid.cell,
            grid.y[row] + np.array([-0.5, 0.5]) * grid.cell,
        )
        ax, ay = to_albers(edge_x, edge_y)
        x, y = np.arange(ax[0] + 50, ax[1], 100), np.arange(ay[1] - 50, ay[0], -100)
        maps = {n: spring.soil100(n, 30, x, y) for n in ("sandtotal", "silttotal", "claytotal", "dbovendry")}
        np.testing.assert_allclose(maps["sandtotal"] + maps["silttotal"] + maps["claytotal"], 100, atol=1e-3)
        errors.append(maps["sandtotal"].mean() - spring.truth["sand"].values[1, row, col])
        assert maps["dbovendry"].min() >= 0.8 and maps["dbovendry"].max() <= 1.75
    assert np.sqrt(np.mean(np.square(errors))) < 1.5  # 16 points stand for the cell, slightly rotated against it


def test_land_cover_at_points_agrees_with_cells(spring):
    lon, lat = np.meshgrid(spring.grid.lon, spring.grid.lat)
    points = spring.land_cover_at(lon, lat)
    assert points.dtype == np.uint8 and set(np.unique(points)) <= set(range(1, 18))
    assert (points == spring.truth["land_cover"].values).mean() > 0.7  # centre of a cell against its majority


def test_coasts_are_where_they_are():
    """Cape Hatteras: the sea in the east, land in the west, in every product alike, and flagged beside the shore."""
    from pyproj import Transformer

    world = make_world(default_grid(24, lon=-76.0, lat=35.2), 4, seed=1)
    land, smap = world.truth["land"].values, world.smap
    assert land[:, :3].mean() > 0.8 and not land[:, -3:].any() and 0.2 < land.mean() < 0.8
    assert np.isnan(world.truth["sm_5cm"].values[:, ~land]).all() and np.isfinite(smap["tb_h"]).any()
    seen = smap["surface_flag"].values != 65534
    assert not seen[:, ~land].any()
    col = np.arange(24)
    coastal = (smap["surface_flag"].values & 0b100 > 0) & seen
    shore = np.abs(col - land.sum(1, keepdims=True)) < 3  # the last two or three cells before the sea
    assert coastal[:, shore & land].sum() > 0.8 * seen[:, shore & land].sum() > 0
    lon, lat = np.meshgrid(world.grid.lon, world.grid.lat)
    assert ((world.land_cover_at(lon, lat) == 17) == ~land).mean() > 0.95
    x, y = Transformer.from_crs(4326, 5070, always_xy=True).transform(lon[12], lat[12])
    soil = np.array([world.soil100("sandtotal", 5, x[[i]], y[[i]])[0, 0] for i in (0, 23)])
    assert np.isfinite(soil[0]) and np.isnan(soil[1])
    hour = world.nldas_hours(world.days[0])["SoilM_0_10cm"].isel(time=0)
    assert np.isfinite(hour.isel(lon=2)).mean() > 0.8 and np.isnan(hour.isel(lon=-2)).all()
    other = make_world(default_grid(24, lon=-76.0, lat=35.2), 4, seed=2).truth["land"].values
    assert 0 < (other != land).mean() < 0.2  # another seed, another shore along the same line
    for x, y in ((0.0, 1.9e6), (-5e5, 1.2e6)):  # the plains
        assert not world.landscape.sea_or_lake(np.array([x]), np.array([y])).all()


def test_a_region_without_land_is_refused():
    with pytest.raises(DataError, match="no land"):
        make_world(default_grid(8, lon=-65.0, lat=35.0), 3).truth  # noqa: B018


@pytest.mark.parametrize(
    ("days", "first", "count"), [("3", "2021-04-01", 3), ("2019-06-18/2019-06-19", "2019-06-18", 2)]
)
def test_the_command_takes_a_number_of_days_or_a_period(tmp_path, days, first, count):
    from xsm.cli import main

    with pytest.raises(SystemExit, match="0"):
        main(["twin", str(tmp_path / "w"), "--region", "-98,36,-97.5,36.5", "--days", days, "--seed", "5"])
    with xr.open_dataset(tmp_path / "w" / "truth.nc") as truth:
        assert truth["time"].size == count and truth["time"].values[0] == np.datetime64(first, "ns")
        assert truth.attrs["twin_seed"] == 5
    names = [p.name for p in (tmp_path / "w" / "SMAP").iterdir()]
    assert not any(n.startswith("SMAP_L3_SM_P_E_20190619") for n in names)  # first day of the outage
    assert len(list((tmp_path / "w" / "NLDAS").rglob("*.nc"))) == 24 * count


def test_hours_sum_to_days(spring):
    daily = spring.nldas_daily
    for day in (0, 7, 19):
        hours = spring.nldas_hours(spring.days[day])
        assert hours.sizes["time"] == 24 and (np.diff(hours["lat"]) > 0).all()
        np.testing.assert_allclose((hours["lon"] - 0.0625) / 0.125 % 1, 0, atol=1e-9)
        mean, one = hours.mean("time", skipna=False), daily.isel(time=day)
        np.testing.assert_allclose(mean["SoilM_0_10cm"] / 100, one["sm_noah_0_10"], atol=1e-5)
        np.testing.assert_allclose(mean["SoilM_10_40cm"] / 300, one["sm_noah_10_40"], atol=1e-5)
        np.testing.assert_allclose(mean["SoilT_0_10cm"], one["soil_temperature_0_10"], atol=1e-2)
        np.testing.assert_allclose(mean["Tair"], one["air_temperature"], atol=1e-2)
        rain = (hours["Rainf"] + hours["Snowf"]).sum("time", skipna=False)
        np.testing.assert_allclose(rain, one["precipitation"], rtol=1e-3, atol=1e-3)
        assert float(hours["Rainf"].min()) >= 0
    west, south, east, north = spring.bbox
    assert daily["lon"][0] < west < east < daily["lon"][-1] and daily["lat"][0] < south < north < daily["lat"][-1]
    with pytest.raises(UsageError, match="not in the world"):
        spring.nldas_hours("1999-01-01")


def test_smap_is_like_the_product(spring):
    smap = spring.smap
    seen = np.isfinite(smap["tb_h"].values)
    land = spring.truth["land"].values
    assert not seen[:, ~land].any() and 0.3 < seen[:, land].mean() < 0.6
    assert (np.isnat(smap["obs_time"].values) == ~seen).all()
    for name in ("retrieval_flag", "surface_flag"):
        assert smap[name].dtype == np.uint16 and ((smap[name].values == 65534) == ~seen).all()
    assert (smap["tb_v"].values[seen] > smap["tb_h"].values[seen]).mean() > 0.99
    for name in ("tb_h", "albedo", "roughness", "vegetation_opacity", "sm_dca", "surface_temperature"):
        values = smap[name].values[seen]
        assert smap[name].dtype == np.float32
        assert np.nanmin(values) >= VARIABLES[name].low and np.nanmax(values) <= VARIABLES[name].high
    for name in ("albedo", "roughness"):  # fixed maps
        assert np.nanmax(smap[name].max("time") - smap[name].min("time")) == 0
    dense = smap["vegetation_water_content"].values[seen] > 5
    assert ((smap["retrieval_flag"].values[seen] & 1) >= dense).all()
    hours = (smap["obs_time"] - smap["time"]).values[seen] / np.timedelta64(1, "h")
    assert ((hours >= 0) & (hours < 24)).all()


def test_instrument_noise_has_its_size_and_length():
    noisy = make_world(default_grid(24), 40)
    clean = make_world(default_grid(24), 40, errors=without("smap", tb_noise=0.0))
    noise = (noisy.smap["tb_h"] - clean.smap["tb_h"]).values
    assert np.nanstd(noise) == pytest.approx(1.3, rel=0.1)

    def lag(cells):
        a, b = noise[:, :, cells:], noise[:, :, :-cells]
        both = np.isfinite(a) & np.isfinite(b)
        return np.corrcoef(a[both], b[both])[0, 1]

    assert lag(3) > np.exp(-1) and lag(10) < 0.15  # 27 km, 90 km
    other = (noisy.smap["tb_v"] - clean.smap["tb_v"]).values
    both = np.isfinite(noise)
    assert abs(np.corrcoef(noise[both], other[both])[0, 1]) < 0.2  # about 500 independent footprints


def test_brightness_temperature_is_blurred_by_the_footprint():
    """Against an imaginary antenna of 9 km, neighbouring cells differ far less; the mean stays."""
    worlds = [
        make_world(default_grid(24), 20, seed=3, errors=without("smap", tb_noise=0.0, footprint=w)) for w in (9e3, 36e3)
    ]
    fine, coarse = (w.smap["tb_h"] for w in worlds)
    steps = [float(np.abs(tb.diff("x")).mean()) for tb in (fine, coarse)]
    assert steps[1] < 0.6 * steps[0]
    assert float(abs(fine.mean() - coarse.mean())) < 0.5


def test_land_model_errors_are_wide_and_slow():
    days = slice("2021-05-01", "2021-08-08")
    grid = default_grid(48)
    full = make_world(grid, days, seed=1)
    same = make_world(grid, days, seed=1, errors=without("land_model", state=0.0))
    error = (full.nldas_daily["sm_noah_0_10"] - same.nldas_daily["sm_noah_0_10"]).transpose("time", "lon", "lat").values
    assert np.nanstd(error) == pytest.approx(ERRORS.land_model.state, rel=0.5)

    def correlation(a, b):
        both = np.isfinite(a) & np.isfinite(b)
        return np.corrcoef(a[both], b[both])[0, 1]

    assert correlation(error[:, 18:], error[:, :-18]) > 0.35  # 18 cells of 0.125 degree are 200 km
    assert correlation(error[5:], error[:-5]) > 0.3


def test_frozen_winter():
    world = make_world(default_grid(8, lat=46.0), slice("2021-01-05", "2021-01-24"), seed=2)
    ice, smap = world.truth["ice_fraction"], world.smap
    assert float(ice.mean()) > 0.3
    seen = smap["retrieval_flag"].values != 65534
    assert ((smap["surface_flag"].values[seen] & 0b110000000) > 0).mean() > 0.5
    skipped = (smap["retrieval_flag"].values & 2) > 0
    assert skipped[seen].mean() > 0.3 and np.isnan(smap["sm_dca"].values[seen & skipped]).all()
    surface = world.stations.sel(sensor=world.stations["depth"] == 5)
    assert (surface["flag"] == 1).mean() > 0.3
    assert float(surface["soil_temperature"].where(surface["flag"] == 1).max()) < 273.15


def test_stations_are_like_records(year):
    st = year.stations
    assert set(np.unique(st["depth"])) == {5, 10, 20, 50, 100} and st.sizes["time"] == 365 * 24
    values = st["soil_moisture"].values
    assert np.nanmin(values) >= 0 and np.nanmax(values) < 0.8
    assert 0.005 < np.isnan(values).mean() < 0.1
    assert (np.isnan(values) == (st["flag"].values == 3)).all()
    assert all(len(w) == 5 for w in st["wban"].values)
    row, col = year.grid.rowcol(st["lon"], st["lat"])
    assert year.truth["land"].values[row - year.grid.row0, col - year.grid.col0].all()
    one = st.isel(sensor=0)
    cell = year.truth["precipitation"].values[:, row[0] - year.grid.row0, col[0] - year.grid.col0]
    daily = one["precipitation"].values.reshape(-1, 24).sum(1)
    assert np.corrcoef(daily, cell)[0, 1] > 0.8  # the point sees the storms of its cell


def test_station_errors_have_their_sizes():
    """Worlds that differ in one error size: what is left between them is that error."""
    grid, days = default_grid(32), slice("2021-05-01", "2021-09-27")
    full = make_world(grid, days).stations["soil_moisture"]
    years = np.arange(full.sizes["time"]) / (24 * 365.25)

    def left(**changes):
        values = (full - make_world(grid, days, errors=without("station", **changes)).stations["soil_moisture"]).values
        return values[:, np.isfinite(values).all(0)], years[np.isfinite(values).all(0)]

    drift, time = left(drift=0.0)
    slopes = np.polyfit(time, drift.T, 1)
    straight = np.abs(drift - np.polyval(slopes[:, :, None], time)).max(1) < 1e-5  # but for sensors at a bound
    assert straight.mean() > 0.8 and np.std(slopes[0, straight]) == pytest.approx(0.01, rel=0.3)  # 60 sensors
    noise, _ = left(noise=0.0)
    size = np.std(noise.reshape(12, 5, -1), 2)
    assert 0.7 * 0.04 < np.median(size[:, 0]) < 1.1 * 0.04
    assert (np.diff(np.median(size, 0)) < 0).all()  # less below


def test_vegetation_water_follows_a_fixed_cycle():
    june = [make_world(default_grid(8), slice(f"{y}-06-01", f"{y}-06-08")).smap for y in (2021, 2025)]
    here = [ds["vegetation_water_content"].mean("time", skipna=True).values for ds in june]
    april = make_world(default_grid(8), slice("2021-04-01", "2021-04-08")).smap["vegetation_water_content"]
    # the same maps but for days of the week that are seen; two months make far more
    np.testing.assert_allclose(*here, rtol=0.05)
    assert (here[0] > 1.1 * april.mean("time").values).mean() > 0.9


def matched(a, b):
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    return np.corrcoef(a, b)[0, 1], np.std(a - b), np.mean(a - b)


def test_skill_of_products_is_that_of_the_paper(year):
    """Medians over stations against Table 1 of Rabiei et al. (2024), all classes and both networks.

    SMAP DCA R 0.55-0.78, ubRMSE 0.042-0.069; Noah R 0.50-0.65, ubRMSE 0.044-0.066; |bias| up to 0.09 m3 m-3. Twelve
    stations of one year carry sampling errors of about 0.05 in R and 0.005 m3 m-3, which is the tolerance.
    """
    st = year.stations.sel(sensor=year.stations["depth"] == 5)
    hourly = np.where(st["flag"].values == 0, st["soil_moisture"].values, np.nan).reshape(st.sizes["sensor"], -1, 24)
    full = np.isfinite(hourly).sum(2) >= 20
    daily = np.where(full, np.nansum(hourly, 2) / np.maximum(np.isfinite(hourly).sum(2), 1), np.nan)
    row, col = year.grid.rowcol(st["lon"], st["lat"])
    good = (year.smap["retrieval_flag"] & 0b110) == 0
    dca = year.smap["sm_dca"].where(good).values[:, row - year.grid.row0, col - year.grid.col0].T
    here = {n: xr.DataArray(st[n].values, dims="sensor") for n in ("lon", "lat")}
    noah = year.nldas_daily["sm_noah_0_10"].sel(here, method="nearest").transpose("sensor", "time").values
    for values, against, (low, high), (small, large) in (
        (dca, hourly[:, :, 12], (0.55, 0.78), (0.042, 0.069)),
        (noah, daily, (0.50, 0.65), (0.044, 0.066)),
    ):
        r, ub, bias = np.median([matched(a, b) for a, b in zip(values, against, strict=True)], 0)
        assert low - 0.05 <= r <= high + 0.05
        assert small - 0.005 <= ub <= large + 0.005
        assert abs(bias) < 0.09
    runs = [np.diff(np.flatnonzero(np.isfinite(s))) for s in dca[:, 150:250]]
    assert 1 <= np.median(np.concatenate(runs)) <= 3 and np.max(np.concatenate(runs)) <= 9


def test_error_sizes_are_the_recorded_ones():
    """The hash is recorded before estimates are scored; whoever changes an error size changes it here and says why."""
    assert digest() == RECORDED
    assert digest(without("smap", tb_noise=1.31)) != digest()
    world = make_world(default_grid(8), 2)
    assert all(d.attrs["twin_errors_sha256"] == RECORDED for d in (world.truth, world.smap, world.nldas_daily))


def test_example_cube_is_complete_and_honest():
    cube, gappy, smap = (example(n, size=16, days=24) for n in ("cube", "gappy_cube", "smap"))
    land = cube["land"]
    for name in (*SMAP_ANCILLARY, "sm_noah_0_10", "sm_noah_10_40", "precipitation", "sand", "bulk_density"):
        assert not np.isnan(cube[name].where(land, 0)).any(), name
        assert cube[name].dtype == np.float32 and np.isnan(cube[name].where(~land)).all()
    assert np.isnan(gappy["tb_h"].where(land, 0)).any()
    assert set(cube.data_vars) <= set(VARIABLES) and cube["frozen"].dtype == bool
    for name in ("sm_dca", "retrieval_flag", "obs_time"):
        xr.testing.assert_equal(cube[name], smap[name])
    for name in SMAP_ANCILLARY:
        want = pd.DataFrame(smap[name].values.reshape(24, -1)).interpolate(limit_direction="both")
        np.testing.assert_allclose(cube[name].values.reshape(24, -1), want, rtol=2e-6)
        assert cube[name].attrs["fill_method"] == "linear (example)" and "fill_method" not in smap[name].attrs
    assert "synthetic" in cube.attrs and "example" in cube.attrs["history"]
    cube["tb_h"][:] = 0
    assert float(example("cube", size=16, days=24)["tb_h"].max()) > 100  # the cached world is not the caller's


@pytest.mark.parametrize("name", ["nldas", "solus100", "landcover", "stations", "truth"])
def test_examples_carry_their_origin(name):
    ds = example(name, size=16, days=24)
    assert "synthetic" in ds.attrs and "twin_errors_sha256" in ds.attrs
    if name == "solus100":
        assert ds["sand"].chunks is not None and list(ds["soil_depth"]) == [5, 30]
        part = ds[["sand", "silt", "clay"]].isel(y=slice(0, 50), x=slice(0, 50)).compute()
        np.testing.assert_allclose(part["sand"] + part["silt"] + part["clay"], 100, atol=1e-3)
    if name in ("solus100", "landcover"):
        assert "crs_wkt" in ds["spatial_ref"].attrs


def test_example_refuses_what_it_does_not_know():
    with pytest.raises(UsageError, match="smapp"):
        example("smapp")
    with pytest.raises(UsageError, match="at least 8"):
        example("cube", size=2)


def test_make_world_refuses_gaps_in_time_and_other_grids():
    from xsm.grids import EASE2_M36

    with pytest.raises(UsageError, match="contiguous"):
        make_world(default_grid(8), np.array(["2021-01-01", "2021-01-03"], "M8[D]"))
    with pytest.raises(UsageError, match="EASE2_M36"):
        make_world(EASE2_M36.window(100, 110, 200, 210), 3)


def test_write_world(tmp_path, monkeypatch):
    class Fake:
        def write(self, world, dest):
            (dest / "a.h5").write_text("a")
            return [dest / "a.h5"]

    monkeypatch.setattr("xsm.twin.write.get_source", lambda name: Fake() if name == "smap" else object())
    world = make_world(default_grid(8), 3)
    paths = write_world(world, tmp_path / "out", ["smap"])
    assert [str(p.relative_to(tmp_path / "out")) for p in paths] == ["SMAP/a.h5", "truth.nc", "README.txt"]
    assert "SYNTHETIC" in paths[-1].read_text()
    with xr.open_dataset(paths[1]) as back:
        np.testing.assert_array_equal(back["sm_5cm"], world.truth["sm_5cm"])
        assert back.attrs["twin_errors_sha256"] == digest()
    with pytest.raises(UsageError, match="cannot write"):
        write_world(world, tmp_path / "other", ["scan"])
    assert not (tmp_path / "other").exists()
