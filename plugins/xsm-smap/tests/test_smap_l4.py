"""SPL4SMGP as daily means, and the polar groups of SPL3SMP_E."""

from __future__ import annotations

import functools
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from pyproj import CRS, Transformer
from xsm import EASE2_M09, DataError, UsageError
from xsm.plugin_api import Area
from xsm.testing import check_source, open_files
from xsm.twin import World, make_world
from xsm_smap.backend import SmapBackend
from xsm_smap.l4 import SmapL4Source
from xsm_smap.l4_backend import SmapL4Backend
from xsm_smap.layout import GROUP
from xsm_smap.polar import EASE2_N09
from xsm_smap.source import SmapSource

open_ = functools.partial(open_files, SmapL4Source())


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(days=2)


@pytest.fixture(scope="module")
def files(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return SmapL4Source().write(world, tmp_path_factory.mktemp("l4"))


@pytest.fixture(scope="module")
def area(world: World) -> Area:
    return Area(world.grid.bbox, world.grid)


def whole(path: Path, name: str, world: World) -> np.ndarray:
    """The window by plain h5py."""
    g = world.grid
    with h5py.File(path) as file:
        values = file[f"{GROUP}/{name}"][g.row0 : g.row0 + g.rows, g.col0 : g.col0 + g.cols].astype("f8")
    return np.where(values == -9999, np.nan, values)


@pytest.mark.parametrize("name", ["sm_surface", "sm_rootzone"])
def test_daily_means_equal_h5py(files: list[Path], area: Area, world: World, name: str) -> None:
    got = open_(files, region=area)
    assert got.sizes["time"] == 2 and got[name].chunks[0] == (1, 1)
    for day in range(2):
        mean = np.mean([whole(p, name, world) for p in files[8 * day : 8 * day + 8]], axis=0)
        np.testing.assert_allclose(got[name][day], mean, rtol=2e-7, equal_nan=True)  # one rounding to float32


def test_round_trip_of_the_land_model(files: list[Path], area: Area, world: World) -> None:
    """The files hold the model's hourly mean, to float32 of 3-hour means and of their mean."""
    got = open_(files, region=area)
    hours = world.nldas_hours(world.days[0]).sel(lat=world.grid.lat, lon=world.grid.lon, method="nearest")
    np.testing.assert_allclose(got["sm_surface"][0], hours["SoilM_0_10cm"].mean("time") / 100, atol=1e-6)
    assert "synthetic" in got.attrs


def test_missing_days_and_too_few_steps(files: list[Path], area: Area) -> None:
    with pytest.warns(UserWarning, match="3 of 3 days have fewer than 8 files; the 3 days with fewer"):
        got = open_(files[2:8], region=area, time=slice("2021-04-01", "2021-04-03"))
    assert got.sizes["time"] == 3 and got["sm_surface"].isnull().all()
    assert got.attrs["incomplete_days"].startswith("2021-04-01 (6)")
    with pytest.warns(UserWarning, match="incomplete|fewer"):
        assert open_(files[:7], region=area)["sm_surface"].notnull().any()


def test_newest_of_duplicates(files: list[Path], area: Area, tmp_path: Path) -> None:
    newer = tmp_path / files[0].name.replace("_001.h5", "_002.h5")
    newer.write_bytes(files[0].read_bytes())
    with h5py.File(newer, "r+") as file:
        file[f"{GROUP}/sm_surface"][area.grid.row0 + 3, area.grid.col0 + 3] = 0.9
    got = open_([newer, *files[:8]], region=area)["sm_surface"][0].values
    old = open_(files[:8], region=area)["sm_surface"][0].values
    assert got[3, 3] > old[3, 3]


def test_skip_and_refusals(files: list[Path], area: Area, tmp_path: Path) -> None:
    bad = tmp_path / files[7].name
    bad.write_bytes(files[7].read_bytes()[:5000])
    with pytest.raises(DataError, match=bad.name):
        open_([*files[:7], bad], region=area)
    with pytest.warns(UserWarning, match="1 of 1 days have fewer than 8 files"):
        got = open_([*files[:7], bad], region=area, on_error="skip")
    assert bad.name in got.attrs["skipped"][0] and got["sm_surface"].notnull().any()
    with pytest.raises(UsageError, match="sm_profile"):
        open_(files, variables=["sm_profile"])


def test_impossible_values_are_missing(files: list[Path], area: Area, tmp_path: Path) -> None:
    bad = tmp_path / files[0].name
    bad.write_bytes(files[0].read_bytes())
    with h5py.File(bad, "r+") as file:
        file[f"{GROUP}/sm_surface"][area.grid.row0, area.grid.col0] = 7.0
    with pytest.warns(UserWarning, match=r"1 of 1024 values of 'sm_surface' are outside 0 to 1"):
        got = open_([bad, *files[1:8]], region=area, min_steps=8)["sm_surface"].values
    assert np.isnan(got[0, 0, 0]) and np.isfinite(got).sum() > 900


def test_contract(world: World, tmp_path: Path) -> None:
    check_source("smap_l4", world=world, tmp=tmp_path)


def test_engine_concatenates_native_steps(files: list[Path], world: World) -> None:
    ds = xr.open_mfdataset(files[:3], engine=SmapL4Backend)
    assert ds["time"].values.astype("M8[m]").tolist() == [
        np.datetime64(f"2021-04-01T{h:02d}:30", "m").item() for h in (1, 4, 7)
    ]
    g = world.grid
    cut = ds["sm_surface"][1, g.row0 : g.row0 + g.rows, g.col0 : g.col0 + g.cols]
    np.testing.assert_array_equal(cut, whole(files[1], "sm_surface", world).astype("f4"))


def polar_file(path: Path, suffix: str) -> np.ndarray:
    """A granule with the PM polar group of 100 x 120 observed cells, under either naming."""
    rng = np.random.default_rng(3)
    field = rng.uniform(0.05, 0.6, (100, 120)).astype("f4")
    with h5py.File(path, "w") as file:
        group = file.create_group("Soil_Moisture_Retrieval_Data_Polar_PM")
        for name, dtype, fill, values in (
            ("soil_moisture_dca", "f4", -9999, field),
            ("retrieval_qual_flag_dca", "u2", 7, np.zeros_like(field)),
        ):
            d = group.create_dataset(
                name + suffix, (2000, 2000), dtype, chunks=(1, 2000), compression="gzip", fillvalue=fill
            )
            d[1300:1400, 700:820] = values
    return field


@pytest.mark.parametrize("suffix", ["_pm", ""])
def test_polar_group(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "SMAP_L3_SM_P_E_20220601_R19240_001.h5"
    field = polar_file(path, suffix)
    got = open_files(SmapSource(), [path], variables=["sm_dca"], overpass="PM", projection="polar")
    assert got.sizes == {"time": 1, "y": 2000, "x": 2000} and CRS.from_cf(got["spatial_ref"].attrs) == CRS(6931)
    np.testing.assert_array_equal(got["sm_dca"][0, 1300:1400, 700:820], field)
    assert got["sm_dca"].isnull().sum() == 2000 * 2000 - field.size
    one = SmapBackend().open_dataset(path, variables=["sm_dca"], overpass="PM", projection="polar")
    np.testing.assert_array_equal(one["sm_dca"][0, 1300:1400, 700:820], field)
    with pytest.raises(DataError, match="contains no SMAP soil moisture group"):
        open_files(SmapSource(), [path], variables=["sm_dca"], overpass="PM")


def test_polar_region_is_the_window_around_a_box(tmp_path: Path) -> None:
    path = tmp_path / "SMAP_L3_SM_P_E_20220601_R19240_001.h5"
    polar_file(path, "_pm")
    box = (-110.0, 55.0, -100.0, 62.0)
    got = open_files(
        SmapSource(), [path], region=Area(box, EASE2_N09), variables=["sm_dca"], overpass="PM", projection="polar"
    )
    x, y = Transformer.from_crs(4326, 6931, always_xy=True).transform([-110, -100, -105], [55, 62, 58])
    assert got["x"].values.min() - 4500 <= min(x) and max(x) <= got["x"].values.max() + 4500
    assert got["y"].values.min() - 4500 <= min(y) and max(y) <= got["y"].values.max() + 4500
    assert got.sizes["x"] < 300 and got.sizes["y"] < 300


def test_polar_maps_regrid_to_ease_9km(tmp_path: Path) -> None:
    import xsm

    path = tmp_path / "SMAP_L3_SM_P_E_20220601_R19240_001.h5"
    polar_file(path, "_pm")
    ds = open_files(SmapSource(), [path], variables=["sm_dca"], overpass="PM", projection="polar")
    cut = ds.isel(y=slice(1290, 1410), x=slice(690, 830)).load()
    regridded = xsm.regrid_ease9km(cut, method="nearest")
    valid = regridded["sm_dca"].values[np.isfinite(regridded["sm_dca"].values)]
    assert len(valid) > 1000 and np.isin(valid, cut["sm_dca"].values).all()


def test_files_outside_the_period_are_not_looked_at(files: list[Path], area: Area, tmp_path: Path) -> None:
    other = tmp_path / files[8].name
    other.write_bytes(b"damaged")
    got = open_([*files[:8], other], region=area, time=slice("2021-04-01", "2021-04-01"))
    assert got.sizes["time"] == 1


def test_one_file_of_a_day_in_another_unit_stops(tmp_path: Path) -> None:
    """Its values would be an eighth of the mean of the day."""
    paths = [tmp_path / f"SMAP_L4_SM_gph_20210401T{3 * i + 1:02}3000_Vv7032_001.h5" for i in range(8)]
    for i, path in enumerate(paths):
        with h5py.File(path, "w") as file:
            file["Geophysical_Data/sm_surface"] = np.full((1624, 3856), 0.2, "f4")
            file["Geophysical_Data/sm_surface"].attrs["units"] = "percent" if i == 5 else "m3 m-3"
    area = EASE2_M09.region((-98, 36, -97, 37))
    ds = open_files(SmapL4Source(), paths, region=Area(area.bbox, area), variables=["sm_surface"])
    with pytest.raises(DataError, match=rf"'sm_surface' of '.*{paths[5].name}' cannot be in m3 m-3"):
        ds.load()


@pytest.mark.parametrize("other", [1.0, 0.5])
def test_two_files_of_one_step_are_copies_or_refused(
    files: list[Path], area: Area, tmp_path: Path, other: float
) -> None:
    twin = tmp_path / files[0].name
    twin.write_bytes(files[0].read_bytes())
    if other == 1:
        assert open_([*files, twin], region=area).sizes["time"] == 2
        return
    with h5py.File(twin, "r+") as file:
        file[GROUP]["sm_surface"][...] *= other
    with pytest.raises(DataError, match="their contents differ"):
        open_([*files, twin], region=area)
