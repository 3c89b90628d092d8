"""The synthetic world: its truth, its climate, its examples and files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xsm.data.cf import VARIABLES
from xsm.data.scenarios import PREDICTORS
from xsm.errors import DataError, UsageError
from xsm.ops.example import example
from xsm.twin import default_grid, make_world, write_world
from xsm.twin.errors_model import digest
from xsm.twin.fields import rough, smooth


def test_fields_agree_in_every_way_of_asking():
    x, y = np.arange(-4e5, 4e5, 2e4), np.arange(1e6, 1.6e6, 2e4)
    for wave in (rough(1, "a", 60e3), smooth(1, "b", 60e3)):
        np.testing.assert_allclose(wave.at(*np.meshgrid(x, y)), wave.on(x, y)(0.0), atol=2e-2)  # float32 phases


def test_field_correlation_lengths():
    """Over many fields the correlation is 1/e at the given length and time."""
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
    observed = smap["surface_flag"].values != 65534
    assert not observed[:, ~land].any()
    col = np.arange(24)
    coastal = (smap["surface_flag"].values & 0b100 > 0) & observed
    shore = np.abs(col - land.sum(1, keepdims=True)) < 3  # the last two or three cells before the sea
    assert coastal[:, shore & land].sum() > 0.8 * observed[:, shore & land].sum() > 0
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
    from xsm.faces.cli import main

    with pytest.raises(SystemExit, match="0"):
        main(["twin", str(tmp_path / "w"), "--region", "-98,36,-97.5,36.5", "--days", days, "--seed", "5"])
    with xr.open_dataset(tmp_path / "w" / "truth.nc") as truth:
        assert truth["time"].size == count and truth["time"].values[0] == np.datetime64(first, "ns")
        assert truth.attrs["twin_seed"] == 5
    names = [p.name for p in (tmp_path / "w" / "SMAP").iterdir()]
    assert not any(n.startswith("SMAP_L3_SM_P_E_20190619") for n in names)  # first day of the outage
    assert len(list((tmp_path / "w" / "NLDAS").rglob("*.nc"))) == 24 * count


def test_frozen_winter():
    world = make_world(default_grid(8, lat=46.0), slice("2021-01-05", "2021-01-24"), seed=2)
    ice, smap = world.truth["ice_fraction"], world.smap
    assert float(ice.mean()) > 0.3
    observed = smap["retrieval_flag"].values != 65534
    assert ((smap["surface_flag"].values[observed] & 0b110000000) > 0).mean() > 0.5
    skipped = (smap["retrieval_flag"].values & 2) > 0
    assert skipped[observed].mean() > 0.3 and np.isnan(smap["sm_dca"].values[observed & skipped]).all()
    surface = world.stations.sel(sensor=world.stations["depth"] == 5)
    assert (surface["flag"] == 1).mean() > 0.3
    assert float(surface["soil_temperature"].where(surface["flag"] == 1).max()) < 273.15


def test_example_cube_is_complete_and_honest():
    cube, gappy, smap = (example(n, size=16, days=24) for n in ("cube", "gappy_cube", "smap"))
    land = cube["land"]
    for name in (*PREDICTORS, "sm_noah_0_10", "sm_noah_10_40", "precipitation", "sand", "bulk_density"):
        assert not np.isnan(cube[name].where(land, 0)).any(), name
        assert cube[name].dtype == np.float32 and np.isnan(cube[name].where(~land)).all()
    assert np.isnan(gappy["tb_h"].where(land, 0)).any()
    assert set(cube.data_vars) <= set(VARIABLES) and cube["frozen"].dtype == bool
    for name in ("sm_dca", "retrieval_flag", "obs_time"):
        xr.testing.assert_equal(cube[name], smap[name])
    for name in PREDICTORS:
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
    from xsm.data.grids import EASE2_M36

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
