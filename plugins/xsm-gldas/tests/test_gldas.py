"""GLDAS-2 Noah against netCDF4, GDAL and the hours of a synthetic world."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
import xsm
from xsm import DataError
from xsm.testing import check_source, open_files
from xsm.twin import make_world
from xsm_gldas.source import GldasSource

REGION = (36.8, -0.6, 37.9, 0.4)
SOURCE = GldasSource()


@pytest.fixture(scope="module")
def world():
    return make_world(REGION, days=2)


@pytest.fixture(scope="module")
def files(world, tmp_path_factory) -> list[Path]:
    return SOURCE.write(world, tmp_path_factory.mktemp("gldas"))


@pytest.fixture
def real() -> list[Path]:
    folder = os.environ.get("XSM_TEST_DATA")
    if not folder:
        pytest.skip("XSM_TEST_DATA is not set: the folder with the real data files")
    return sorted((Path(folder) / "gldas_noah").glob("GLDAS_NOAH025_3H.A*.nc4"))


def quietly(paths, **request) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_files(SOURCE, paths, **request).compute(scheduler="synchronous")


def test_contract_with_the_synthetic_twin(world, tmp_path):
    check_source("gldas", world=world, tmp=tmp_path)


def test_days_are_those_of_the_hours_of_the_world(world, files):
    """States of 00, 03 .. 21 UTC are averaged; fluxes of the three hours that end at a time are those of the day."""
    ds = quietly(files)
    assert ds["time"].values.astype("M8[D]").tolist() == world.days.tolist()
    for i, day in enumerate(world.days):
        hours = world.nldas_hours(day).sel(lat=ds["lat"], lon=ds["lon"], method="nearest").astype("f8")
        times = hours.isel(time=slice(None, None, 3)).mean("time")
        expected = {
            "sm_gldas_0_10": times["SoilM_0_10cm"] / 100,
            "sm_gldas_10_40": times["SoilM_10_40cm"] / 300,
            "sm_gldas_100_200": times["SoilM_10_40cm"] / 300,
            "soil_temperature_10_40": times["SoilT_10_40cm"],
            "air_temperature": times["Tair"],
            "precipitation": (hours["Rainf"] + hours["Snowf"]).sum("time"),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(ds[name][i], values, rtol=2e-6, atol=1e-6, err_msg=name)


def test_rain_and_snow_stand_in_for_the_forcing(files, tmp_path):
    for path in files:
        with xr.open_dataset(path, decode_cf=False) as ds:
            ds.drop_vars("Rainf_f_tavg").to_netcdf(tmp_path / path.name)
    ours = quietly(sorted(tmp_path.iterdir()), variables=["precipitation"])
    np.testing.assert_allclose(ours["precipitation"], quietly(files)["precipitation"], rtol=1e-6, atol=1e-7)


def test_a_file_of_another_time_than_its_name_is_refused_or_left_out(files, tmp_path):
    paths = [Path(shutil.copy(p, tmp_path)) for p in files[:8]]
    shutil.copy(files[9], paths[3])
    shutil.copy(files[9], paths[0])
    with pytest.raises(DataError, match=f"{paths[0].name}' should be of 2021-04-01T00:00 and says 2021-04-02T03:00"):
        quietly(paths)
    with pytest.raises(DataError, match=f"{paths[3].name}' should be of 2021-04-01T09:00"):
        quietly(paths[1:])
    with pytest.warns(UserWarning, match=paths[3].name):
        ds = open_files(SOURCE, paths[1:], on_error="skip", min_hours=18).compute(scheduler="synchronous")
    assert np.isfinite(ds["sm_gldas_0_10"]).all()


@pytest.mark.parametrize(
    ("name", "words"),
    {
        "GLDAS_NOAH025_M.A202104.021.nc4": "monthly means of the model NOAH",
        "GLDAS_VIC10_3H.A20210401.0300.021.nc4": "model VIC",
        "GLDAS_CLSM025_D.A20210401.020.nc4": "daily maps of the model CLSM",
        "GLDAS_NOAH025_3H.A20211301.0300.021.nc4": "contains no date",
    }.items(),
)
def test_other_products_are_refused_by_their_names(files, tmp_path, name, words):
    path = Path(shutil.copy(files[0], tmp_path / name))
    assert SOURCE.identify(path)
    with pytest.raises(DataError, match=words):
        quietly([path])


def test_the_model_is_that_of_the_file(files, tmp_path):
    path = Path(shutil.copy(files[1], tmp_path))
    with netCDF4.Dataset(path, "a") as file:
        file.source = "CLSM-F2.5"
    with pytest.raises(DataError, match=r"of the model CLSM-F2\.5, expected Noah"):
        quietly([path])


def test_a_renamed_file_is_placed_by_its_own_time(files, tmp_path):
    paths = [Path(shutil.copy(p, tmp_path / f"{i}.nc4")) for i, p in enumerate(files)]
    xr.testing.assert_equal(quietly(paths), quietly(files))


def test_real_global_maps(real):
    """Seven times of a day against netCDF4 and, at places, GDAL; kg m-2 of 100 and 300 mm."""
    rasterio = pytest.importorskip("rasterio")
    ds = xsm.open("gldas", real)
    for name, variable, thickness in (("sm_gldas_0_10", "SoilMoi0_10cm_inst", 100),
                                      ("sm_gldas_10_40", "SoilMoi10_40cm_inst", 300)):  # fmt: skip
        maps = []
        for path in real:
            with netCDF4.Dataset(path) as file:
                maps.append(np.ma.filled(file[variable][0].astype("f8"), np.nan))
                np.testing.assert_array_equal(ds["lat"], file["lat"][:])
                np.testing.assert_array_equal(ds["lon"], file["lon"][:])
        np.testing.assert_allclose(ds[name][0], np.mean(maps, 0) / thickness, atol=1e-6)
    try:
        with rasterio.open(f"netcdf:{real[0]}:SoilMoi0_10cm_inst") as file:
            nairobi = file.index(36.8, -1.3)
            by_gdal = float(file.read(1)[nairobi])
    except rasterio.errors.RasterioIOError:
        return  # a GDAL without its netCDF driver
    ours = quietly(real[:1], min_hours=1)["sm_gldas_0_10"].sel(lat=-1.3, lon=36.8, method="nearest")
    np.testing.assert_allclose(ours, by_gdal / 100, rtol=1e-6)


def test_fewer_hours_than_min_hours_are_no_day(real):
    with pytest.warns(UserWarning, match=r"1 of 1 days have fewer than 24 hours .*2016-01-01 \(21 h\)"):
        ds = open_files(SOURCE, real, min_hours=24, region=None)
    assert not ds["sm_gldas_0_10"].notnull().any()
