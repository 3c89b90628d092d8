"""ERA5-Land and ERA5 in the forms of the old and the new store, against netCDF4 and the hours themselves."""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
import xsm
from xsm import DataError, UsageError
from xsm.plugin_api import Area
from xsm.testing import check_source, open_files, window
from xsm.twin import make_world
from xsm_era5 import GLOBE, LAND
from xsm_era5.fetch import requests_of
from xsm_era5.source import Era5, Era5Land

REGION = (-6.0, 38.4, -5.2, 39.2)
ALIKE = {"swvl1": "sm_era5_land_0_7", "tp": "precipitation", "t2m": "air_temperature"}


@pytest.fixture(scope="module")
def world():
    return make_world(REGION, days=slice("2021-03-31", "2021-04-02"))


@pytest.fixture(scope="module")
def archives(world, tmp_path_factory) -> list[Path]:
    return Era5Land().write(world, tmp_path_factory.mktemp("era5"))


@pytest.fixture(scope="module")
def members(archives, tmp_path_factory) -> list[Path]:
    """The archives unpacked, under the names that the store gives."""
    paths = []
    for archive in archives:
        folder = tmp_path_factory.mktemp(archive.stem)
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        paths += sorted(folder.iterdir())
    return paths


def quietly(*args, **kwargs) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_files(*args, **kwargs).compute(scheduler="synchronous")


@pytest.mark.parametrize("source", ["era5_land", "era5"])
def test_contract_with_the_synthetic_twin(world, source, tmp_path):
    check_source(source, world=world, tmp=tmp_path)


@pytest.mark.parametrize("source", [Era5Land(), Era5()], ids=["era5_land", "era5"])
def test_days_are_those_of_the_hours_of_the_world(world, source, tmp_path):
    """States are means of 00 to 23 UTC, rain is that of the 24 hours; over two months and the 00 UTC after them."""
    ds = quietly(source, source.write(world, tmp_path))
    assert ds["time"].values.astype("M8[D]").tolist() == world.days.tolist()
    name = source.info.name
    for i, day in enumerate(world.days):
        hours = world.nldas_hours(day).sel(lat=ds["lat"], lon=ds["lon"], method="nearest").astype("f8")
        expected = {
            f"sm_{name}_0_7": hours["SoilM_0_10cm"].mean("time") / 100,
            f"sm_{name}_7_28": hours["SoilM_10_40cm"].mean("time") / 300,
            "soil_temperature_0_7": hours["SoilT_0_10cm"].mean("time"),
            "air_temperature": hours["Tair"].mean("time"),
            "precipitation": (hours["Rainf"] + hours["Snowf"]).sum("time"),
        }
        for variable, values in expected.items():
            np.testing.assert_allclose(ds[variable][i], values, rtol=2e-6, atol=1e-6, err_msg=variable)
    assert (ds[f"sm_{name}_0_7"].dims, ds["lat"].values[0] > ds["lat"].values[-1]) == (("time", "lat", "lon"), True)


def test_an_archive_is_its_members(archives, members, tmp_path):
    disguised = tmp_path / "download.nc"
    disguised.write_bytes(archives[0].read_bytes())
    whole = quietly(Era5Land(), archives)
    xr.testing.assert_equal(quietly(Era5Land(), members), whole)
    xr.testing.assert_equal(quietly(Era5Land(), [disguised, *archives[1:]]), whole)
    assert all(Era5Land().identify(p) for p in (*archives, *members, disguised))


def old_form(members: list[Path], path: Path, *, mixed: bool) -> dict[str, xr.DataArray]:
    """One file of the retired store: netCDF-3, packed shorts, hours since 1900, 0 to 360 degrees, ``expver`` as dim."""
    parts = [xr.open_dataset(p).load() for p in members if "instant" in p.name or "accum" in p.name]
    ds = xr.merge([p[[n for n in ALIKE if n in p]] for p in parts], compat="no_conflicts", join="outer")
    hours = ((ds["valid_time"].values - np.datetime64("1900-01-01")) / np.timedelta64(1, "h")).astype("i4")
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as file:
        axes = {"longitude": (ds["longitude"].values % 360, "f4", "degrees_east"),
                "latitude": (ds["latitude"].values, "f4", "degrees_north"),
                "time": (hours, "i4", "hours since 1900-01-01 00:00:00.0")}  # fmt: skip
        if mixed:
            axes["expver"] = (np.array([1, 5]), "i4", "")
        for name, (values, kind, unit) in axes.items():
            file.createDimension(name, len(values))
            axis = file.createVariable(name, kind, (name,))
            axis.setncatts({"units": unit, "long_name": name} if unit else {"long_name": name})
            axis[:] = values
        dims = ("time", "expver", "latitude", "longitude") if mixed else ("time", "latitude", "longitude")
        stored = {}
        for name in ALIKE:
            values = ds[name].transpose("valid_time", "latitude", "longitude")
            low, high = float(values.min()), float(values.max())
            variable = file.createVariable(name, "i2", dims, fill_value=-32767)
            scale, offset = (high - low) / 65532, (high + low) / 2
            variable.setncatts({"scale_factor": scale, "add_offset": offset, "missing_value": np.int16(-32767),
                                "units": {"tp": "m", "t2m": "K"}.get(name, "m**3 m**-3")})  # fmt: skip
            variable.set_auto_maskandscale(False)
            packed = np.where(np.isnan(values), -32767, np.rint((values.values - offset) / scale)).astype("i2")
            stored[name] = values.copy(data=np.where(packed == -32767, np.nan, packed * scale + offset))
            if not mixed:
                variable[:] = packed
                continue
            late = hours >= hours[30]
            variable[:, 0] = np.where(late[:, None, None], np.int16(-32767), packed)
            variable[:, 1] = np.where(late[:, None, None], packed, np.int16(-32767))
    return stored


@pytest.mark.parametrize("mixed", [False, True])
def test_the_retired_store_gives_the_same_days(members, tmp_path, mixed):
    """Packed to 1/65532 of the range; final (expver 1) and preliminary hours (expver 5) make one series."""
    stored = old_form(members, tmp_path / "adaptor.mars.internal-1.nc", mixed=mixed)
    old, new = quietly(Era5Land(), [tmp_path / "adaptor.mars.internal-1.nc"]), quietly(Era5Land(), members)
    assert Era5Land().identify(tmp_path / "adaptor.mars.internal-1.nc")
    for coordinate in ("time", "lat", "lon"):
        np.testing.assert_allclose(old[coordinate].astype("f8"), new[coordinate].astype("f8"), atol=1e-9)
    for name, ours in ALIKE.items():
        if name == "tp":
            expected = stored[name].sel(valid_time=stored[name]["valid_time"].dt.hour == 0)[1:] * 1000
        else:
            expected = stored[name].groupby(stored[name]["valid_time"].dt.date).mean()[:3]
        np.testing.assert_allclose(old[ours], expected, rtol=3e-6, atol=2e-6, err_msg=name)
        span = float(stored[name].max() - stored[name].min()) * (1000 if name == "tp" else 1)
        np.testing.assert_allclose(old[ours], new[ours], atol=span / 65532, err_msg=name)


def test_without_the_midnight_after_it_the_last_day_has_its_share(archives):
    whole, short = quietly(Era5Land(), archives), quietly(Era5Land(), archives[:-1])
    with zipfile.ZipFile(archives[-2]) as file, netCDF4.Dataset("x", memory=file.read(file.namelist()[1])) as nc:
        last = nc["tp"][-1] * 1000.0
    np.testing.assert_allclose(short["precipitation"][-1], last * 24 / 23, rtol=1e-6)
    xr.testing.assert_equal(short["precipitation"][:-1], whole["precipitation"][:-1])
    assert short.attrs["incomplete_days"] == "2021-04-02 (23)"


def test_products_are_told_apart_by_their_spacing(world, archives, tmp_path):
    with pytest.raises(DataError, match=r"0\.1 degrees apart, expected 0\.25") as error:
        quietly(Era5(), archives)
    assert "era5_land" in error.value.hint
    with pytest.raises(DataError, match=r"0\.25 degrees apart, expected 0\.1"):
        quietly(Era5Land(), Era5().write(world, tmp_path))
    assert not Era5().identify(archives[0])


def test_the_sea_of_era5_has_no_soil(world, tmp_path):
    """By the share of land in the same file; where it is absent, soil moisture of zero is no soil moisture."""
    ds = xr.Dataset(
        {"swvl1": (("time", "latitude", "longitude"), np.full((24, 2, 3), 0.2, "f4"), {"units": "m**3 m**-3"})},
        {"time": np.datetime64("2021-06-01", "ns") + np.arange(24) * np.timedelta64(1, "h"),
         "latitude": [1.0, 0.75], "longitude": [9.0, 9.25, 9.5]},
    )  # fmt: skip
    ds["swvl1"][:, 0, 0] = 3e-6
    ds.to_netcdf(tmp_path / "era5.nc")
    assert (
        np.isnan(quietly(Era5(), [tmp_path / "era5.nc"])["sm_era5_0_7"]).values.ravel().tolist() == [True] + [False] * 5
    )
    ds["lsm"] = ("latitude", "longitude"), np.array([[0, 0.4, 0.6], [1, 1, 0]])
    ds["lsm"] = ds["lsm"].expand_dims(time=ds["time"])
    ds.to_netcdf(tmp_path / "era5_lsm.nc")
    masked = quietly(Era5(), [tmp_path / "era5_lsm.nc"])["sm_era5_0_7"]
    assert np.isnan(masked).values.ravel().tolist() == [True, True, False, False, False, True]


def damaged(path: Path, how: str, members: list[Path]) -> None:
    with xr.open_dataset(members[1]) as ds:
        match how:
            case "page":
                path.write_bytes(b"<html>log in</html>")
            case "grib":
                path.write_bytes(b"GRIB" + bytes(200))
            case "empty archive":
                with zipfile.ZipFile(path, "w") as file:
                    file.writestr("readme.txt", "nothing")
            case "broken archive":
                path.write_bytes(b"PK\x03\x04" + bytes(100))
            case "cut":
                path.write_bytes(members[1].read_bytes()[:3000])
            case "ensemble":
                ds.drop_vars("number").expand_dims(number=10).to_netcdf(path)


@pytest.mark.parametrize("how", ["page", "grib", "empty archive", "broken archive", "cut", "ensemble"])
def test_other_files_are_refused_by_name_or_left_out(members, tmp_path, how):
    path = tmp_path / "era5_land.nc"
    damaged(path, how, members)
    with pytest.raises(DataError, match=r"era5_land\.nc"):
        quietly(Era5Land(), [path])
    ds = quietly(Era5Land(), [path, *members], on_error="skip")
    assert "era5_land.nc" in ds.attrs["skipped"][0]
    xr.testing.assert_equal(ds, quietly(Era5Land(), members))


def test_nothing_stays_of_unpacked_archives(archives, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    quietly(Era5Land(), archives)
    assert list(tmp_path.iterdir()) == []


def test_requests_to_the_store():
    area = Area(REGION, window())
    period = np.datetime64("2020-02-28"), np.datetime64("2020-03-31")
    requests = requests_of(LAND, area, period, None)
    names = list(requests)
    assert [n.split("_")[2] for n in names] == ["2020-02-28", "2020-03-01", "2020-04-01T00"]
    february, march, end = requests.values()
    assert (february["month"], february["day"], len(march["day"])) == ("02", ["28", "29"], 31)
    assert (end["time"], end["variable"]) == (["00:00"], ["total_precipitation"])
    assert march["area"] == [39.7, -6.5, 37.9, -4.7]
    assert (
        "land_sea_mask" in requests_of(GLOBE, area, period, ("sm_era5_0_7",))[names[0].replace("_land", "")]["variable"]
    )
    with pytest.raises(UsageError, match="'rain'"):
        requests_of(LAND, area, period, ("rain",))


def test_fetch_lists_what_is_missing(tmp_path, archives):
    options = {"region": (-6.2, 38.2, -5, 39.4), "time": "2020-02-28/2020-03-31"}
    plan = xsm.fetch("era5_land", tmp_path, dry_run=True, **options)
    assert (len(plan), len(plan.missing)) == (3, 3)
    (tmp_path / plan.missing[0].name).write_bytes(archives[0].read_bytes())
    assert len(xsm.fetch("era5_land", tmp_path, dry_run=True, **options).missing) == 2
    with pytest.raises(UsageError, match="needs a region"):
        xsm.fetch("era5_land", tmp_path, dry_run=True, time=options["time"])


def test_real_era5_over_texas():
    """Daily means of hourly swvl1 of the new store, read by netCDF4."""
    folder = os.environ.get("XSM_TEST_DATA")
    if not folder:
        pytest.skip("XSM_TEST_DATA is not set: the folder with the real data files")
    path = Path(folder) / "era5/ERA5_Texas_2024_09_01_03.nc"
    ds = xsm.open("era5", path)
    with netCDF4.Dataset(path) as file:
        hours = file["swvl1"][:].filled(np.nan).astype("f8")
        sea = file["lsm"][0] < 0.5
        np.testing.assert_array_equal(ds["lat"], file["latitude"][:])
        np.testing.assert_array_equal(ds["lon"], file["longitude"][:])
    expected = np.where(sea, np.nan, hours.reshape(3, 24, *hours.shape[1:]).mean(1))
    np.testing.assert_allclose(ds["sm_era5_0_7"], expected, atol=1e-6)
    assert Era5().identify(path)
    renamed = xr.open_dataset(path)
    assert renamed.sizes["valid_time"] == 72 and not sea.all()
