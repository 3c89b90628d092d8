"""The products of the synthetic world: passes, errors and noise against published statistics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

from xsm.data.cf import VARIABLES
from xsm.errors import UsageError
from xsm.twin import Hard, default_grid, make_world
from xsm.twin.errors_model import ERRORS, Errors, HardErrors, digest
from xsm.twin.smap import OUTAGES, passes

RECORDED = "3b5b4cd8594ba85a3e502045db496e6dda01ff9036b2f73fe17983cba71943dd"


def without(part: str, **changes):
    return dataclasses.replace(ERRORS, **{part: dataclasses.replace(getattr(ERRORS, part), **changes)})


def test_swath_revisits_and_local_time():
    lon, lat = np.arange(-120, -75, 3.0), np.array([45.0, 36.0, 27.0])
    seconds = passes(lon, lat)
    observed = np.isfinite(seconds)
    gaps = [np.diff(np.flatnonzero(np.tile(observed[:, r, c], 3))).max() for r in range(3) for c in range(len(lon))]
    assert max(gaps) <= 3 and min(gaps) >= 2  # the mission's 2 to 3 days
    assert observed.mean((0, 2))[0] > observed.mean((0, 2))[2] > 0.3  # swaths overlap towards the pole
    solar = (seconds / 3600 + lon / 15) % 24
    assert np.nanmin(solar) > 5 and np.nanmax(solar) < 8  # morning pass, node at 06:00


def test_outages_have_no_data():
    for start, stop in OUTAGES:
        first, last = np.datetime64(start) - 8, np.datetime64(stop) + 8
        days = np.arange(first, last + 1)
        world = make_world(default_grid(8), days)
        from xsm.twin.smap import overpasses

        observed = np.isfinite(overpasses(world)).any((1, 2))
        out = (days >= np.datetime64(start)) & (days <= np.datetime64(stop))
        assert not observed[out].any() and observed[~out].sum() >= 6


@pytest.mark.parametrize("errors", [ERRORS, Hard], ids=["default", "hard"])
def test_hours_sum_to_days(errors):
    spring = make_world(default_grid(24), 20, seed=3, errors=errors)
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
    observed = np.isfinite(smap["tb_h"].values)
    land = spring.truth["land"].values
    assert not observed[:, ~land].any() and 0.3 < observed[:, land].mean() < 0.6
    assert (np.isnat(smap["obs_time"].values) == ~observed).all()
    for name in ("retrieval_flag", "surface_flag"):
        assert smap[name].dtype == np.uint16 and ((smap[name].values == 65534) == ~observed).all()
    assert (smap["tb_v"].values[observed] > smap["tb_h"].values[observed]).mean() > 0.99
    for name in ("tb_h", "albedo", "roughness", "vegetation_opacity", "sm_dca", "surface_temperature"):
        values = smap[name].values[observed]
        assert smap[name].dtype == np.float32
        assert np.nanmin(values) >= VARIABLES[name].low and np.nanmax(values) <= VARIABLES[name].high
    for name in ("albedo", "roughness"):  # fixed maps
        assert np.nanmax(smap[name].max("time") - smap[name].min("time")) == 0
    dense = smap["vegetation_water_content"].values[observed] > 5
    assert ((smap["retrieval_flag"].values[observed] & 1) >= dense).all()
    hours = (smap["obs_time"] - smap["time"]).values[observed] / np.timedelta64(1, "h")
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


def model(size, days, land_model=ERRORS.land_model, **hard):
    """A land model with some errors of the hard world only, run on few cells."""
    errors = Errors(land_model=land_model, hard=HardErrors(**{"rain": 0.0, "root": 0.0} | hard))
    return make_world(default_grid(size), days, seed=1, errors=errors).land_model


def lagged(values, lag, axis):
    """Correlation of a field with itself, shifted along an axis."""
    a, b = (np.take(values, range(*r), axis) for r in ((lag, values.shape[axis]), (0, values.shape[axis] - lag)))
    both = np.isfinite(a) & np.isfinite(b)
    return np.corrcoef(a[both], b[both])[0, 1]


def test_a_hard_world_has_the_same_truth_smap_and_stations():
    usual, other = (make_world(default_grid(12), 10, seed=4, errors=e) for e in (ERRORS, Hard))
    for name in ("truth", "smap", "stations"):
        xr.testing.assert_equal(getattr(usual, name), getattr(other, name))
    assert other.truth.attrs["twin_errors_sha256"] == digest(Hard) != digest()
    assert not usual.nldas_daily["precipitation"].equals(other.nldas_daily["precipitation"])


def test_errors_that_are_switched_off_change_no_bit():
    off, usual = model(8, 20), make_world(default_grid(8), 20, seed=1).land_model
    np.testing.assert_array_equal(off.moisture, usual.moisture)
    np.testing.assert_array_equal(off.rain_factor, usual.rain_factor)


def test_storm_error_of_rain_has_its_size_length_and_memory():
    """The factor on rain beside the usual one: mean 1, standard deviation of the logarithm 0.9, 40 km, 1 day."""
    usual, stormy = model(24, 90), model(24, 90, rain=HardErrors().rain)
    log = np.log(stormy.rain_factor / usual.rain_factor)
    assert log.std() == pytest.approx(0.9, rel=0.05)
    assert np.exp(log).mean() == pytest.approx(1, abs=0.05)
    for axis, km in ((1, 13.9), (2, 11.3)):  # sides of a cell of 0.125 degree at 36 N
        for lag in (2, 4):
            assert lagged(log, lag, axis) == pytest.approx(np.exp(-((lag * km / 40) ** 2)), abs=0.05)
    assert lagged(log, 1, 0) == pytest.approx(np.exp(-1), abs=0.1)
    assert abs(lagged(log, 5, 0)) < 0.2  # 128 waves
    np.testing.assert_allclose(stormy.run.rain, usual.run.rain * np.exp(log), rtol=1e-3, atol=1e-4)
    assert (stormy.moisture != usual.moisture).any()  # the model runs on the rain that the forcing reports


def test_error_at_depth_has_its_size_and_memory_and_is_independent_of_the_first_layer():
    usual, other = model(4, 900), model(4, 900, root=HardErrors().root)
    extra = other.moisture - usual.moisture
    assert (extra[0] == 0).all()
    assert extra[1].std() == pytest.approx(ERRORS.land_model.state, rel=0.15)
    for lag in (5, 20):
        assert lagged(extra[1], lag, 0) == pytest.approx(np.exp(-lag / 20), abs=0.1)
    quiet = model(4, 900, land_model=dataclasses.replace(ERRORS.land_model, state=0.0))
    first = usual.moisture[0] - quiet.moisture[0]
    assert abs(np.corrcoef(first.ravel(), extra[1].ravel())[0, 1]) < 0.2


def test_without_bypass_the_second_layer_follows_the_first_one_less():
    """The depth physics of the land model can differ more from the truth's than by soil alone."""
    together = []
    for bypass in (1.0, 0.0):
        layers = model(4, 300, bypass=bypass).run.moisture[:2]
        together.append(np.corrcoef(*(layers - layers.mean(1, keepdims=True)).reshape(2, -1))[0, 1])
    assert together[1] < together[0] - 0.02


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
