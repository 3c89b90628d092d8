from __future__ import annotations

import types
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from nldas_files import SOURCE, UNITS, hourly, make, name, open_, read, values
from xsm import DataError, UsageError
from xsm.plugin_api import Area, daily_mean
from xsm_nldas.files import NAME


def test_daily_values_equal_an_independent_reading(two_days):
    ds = open_(two_days)
    assert ds.sizes == {"time": 2, "lat": 12, "lon": 16}
    assert ds["time"].values.astype("M8[D]").astype(str).tolist() == ["2018-03-01", "2018-03-02"]
    for day in range(2):
        files = two_days[24 * day : 24 * day + 24]
        mean = {n: np.mean([read(f, n) for f in files], axis=0) for n in UNITS}
        rain = np.sum([read(f, "Rainf") + read(f, "Snowf") for f in files], axis=0)
        # one rounding to float32 of a float64 mean; rain and snow are added in float32 first
        close = {"rtol": 2e-7, "equal_nan": True}
        np.testing.assert_allclose(ds["sm_noah_0_10"][day], mean["SoilM_0_10cm"] / 100, **close)
        np.testing.assert_allclose(ds["sm_noah_10_40"][day], mean["SoilM_10_40cm"] / 300, **close)
        np.testing.assert_allclose(ds["soil_temperature_0_10"][day], mean["SoilT_0_10cm"], **close)
        np.testing.assert_allclose(ds["precipitation"][day], rain, **close)
    assert np.isnan(ds["sm_noah_0_10"].values[:, :2, :3]).all()
    assert all(v.dtype == np.float32 for v in ds.data_vars.values())
    assert "incomplete_days" not in ds.attrs


def test_metadata(two_days):
    ds = open_(two_days)
    assert ds["lat"].attrs["standard_name"] == "latitude" and ds["lon"].attrs["axis"] == "X"
    assert (np.diff(ds["lat"]) > 0).all()
    assert ds["sm_noah_0_10"].attrs["units"] == "m3 m-3"
    assert ds["precipitation"].attrs["cell_methods"] == "time: sum"
    assert set(ds.data_vars) <= set(SOURCE.info.variables)


def test_nothing_but_headers_is_read_while_the_graph_is_built(two_days, monkeypatch):
    import xsm_nldas.source as source

    def fail(*args):
        raise AssertionError("a window was read")

    monkeypatch.setattr(source, "read_hours", fail)
    ds = open_(two_days)
    assert ds.chunks["time"] == (2,)
    with pytest.raises(AssertionError, match="window"):
        ds.compute(scheduler="synchronous")


def test_every_file_is_opened_once_for_all_variables(two_days, monkeypatch):
    import xsm_nldas.source as source

    reads, real = [], source.read_hours
    monkeypatch.setattr(source, "read_hours", lambda path, *a: (reads.append(path), real(path, *a))[1])
    open_(two_days).compute(scheduler="synchronous")
    assert sorted(reads) == sorted(two_days)


@pytest.mark.parametrize("drop, missing", [(4, False), (5, True)])
def test_a_day_needs_its_minimum_of_hours(two_days, drop, missing):
    with pytest.warns(UserWarning, match="1 of 2 days have fewer than 24 hours"):
        ds = open_(two_days[: 48 - drop])
    assert ds.attrs["incomplete_days"] == f"2018-03-02 ({24 - drop})"
    assert bool(np.isnan(ds["sm_noah_0_10"][1, 5, 5])) is missing
    assert np.isfinite(ds["sm_noah_0_10"].values[0, 5, 5])
    if not missing:  # the total of a day is estimated from the hours that are there
        hours = [read(f, "Rainf") + read(f, "Snowf") for f in two_days[24:44]]
        np.testing.assert_allclose(ds["precipitation"][1, 5:], np.mean(hours, axis=0)[5:] * 24, rtol=1e-6)


def test_min_hours_is_an_option(two_days):
    with pytest.warns(UserWarning, match="fewer than 24"):
        ds = open_(two_days[:30], min_hours=6)
    assert np.isfinite(ds["sm_noah_0_10"].values[:, 5:, 5:]).all()


def test_missing_days_are_there(two_days):
    with pytest.warns(UserWarning, match="3 of 5 days"):
        ds = open_(two_days, time=slice(np.datetime64("2018-02-27"), np.datetime64("2018-03-03")))
    assert ds.sizes["time"] == 5
    assert np.isfinite(ds["sm_noah_0_10"].values[:, 5, 5]).tolist() == [False, False, True, True, False]


def test_period_leaves_other_files_alone(two_days, tmp_path):
    broken = tmp_path / name(int(np.datetime64("2019-01-01", "h").astype(int)))
    broken.write_bytes(b"nothing")
    ds = open_([*two_days, broken], time=slice(np.datetime64("2018-03-02"), np.datetime64("2018-03-02")))
    assert ds["time"].values.astype("M8[D]").astype(str).tolist() == ["2018-03-02"]


def test_files_of_several_hours(two_days, tmp_path):
    start = int(np.datetime64("2018-03-01", "h").astype(int))
    one = make(tmp_path / "subset_noah.nc", np.arange(start, start + 48))
    xr.testing.assert_equal(open_([one]).compute(), open_(two_days).compute())


def test_several_hours_under_an_hourly_name_are_refused(two_days, tmp_path):
    start = int(np.datetime64("2018-03-01", "h").astype(int))
    one = make(tmp_path / name(start), [start, start + 1])
    with pytest.raises(DataError, match="contains 2 hours, the first 2018-03-01T00, expected the one of its name"):
        open_([one])


def test_duplicate_hours_warn_and_the_first_file_counts(two_days, tmp_path):
    other = make(tmp_path / two_days[0].name, [0])
    with pytest.warns(UserWarning, match="1 hours occur more than once"):
        ds = open_([*two_days, other])
    xr.testing.assert_equal(ds.compute(), open_(two_days).compute())


def test_region_takes_cells_that_touch_and_three_more(tmp_path):
    lat, lon = 25.0625 + 0.125 * np.arange(40), -124.9375 + 0.125 * np.arange(50)
    hour = int(np.datetime64("2018-03-01", "h").astype(int))
    path = tmp_path / name(hour)
    with netCDF4.Dataset(path, "w") as nc:
        for n, axis in (("time", [hour - 78888]), ("lat", lat), ("lon", lon)):
            nc.createDimension(n, len(axis))
            nc.createVariable(n, "f8", (n,))[:] = axis
        nc["time"].units = "hours since 1979-01-01 00:00:00"
        field = np.arange(2000.0).reshape(1, 40, 50) / 25
        nc.createVariable("SoilM_0_10cm", "f4", ("time", "lat", "lon"), fill_value=-9999.0)[:] = field
        nc["SoilM_0_10cm"].units = "kg m-2"
    region = Area((-123.0, 26.1, -122.2, 27.0), types.SimpleNamespace())
    with pytest.warns(UserWarning, match="fewer than 24"):
        ds = open_([path], region=region, min_hours=1)
    touched_lat = lat[(lat + 0.0625 > 26.1) & (lat - 0.0625 < 27.0)]
    touched_lon = lon[(lon + 0.0625 > -123.0) & (lon - 0.0625 < -122.2)]
    assert ds["lat"].values.tolist() == [*(touched_lat[0] - [0.375, 0.25, 0.125]), *touched_lat,
                                         *(touched_lat[-1] + [0.125, 0.25, 0.375])]  # fmt: skip
    assert ds.sizes["lon"] == touched_lon.size + 6
    rows, cols = np.searchsorted(lat, ds["lat"]), np.searchsorted(lon, ds["lon"])
    np.testing.assert_allclose(ds["sm_noah_0_10"][0], field[0][np.ix_(rows, cols)] / 100, rtol=1e-7)
    with pytest.raises(DataError, match=r"does not touch the region"):
        open_([path], region=Area((10, 40, 11, 41), types.SimpleNamespace()))


def test_forcing_fills_in_for_what_noah_lacks(tmp_path):
    noah = hourly(tmp_path, "2018-03-01", 24, names=("SoilM_0_10cm",))
    fora = hourly(tmp_path, "2018-03-01", 24, product="FORA", names=("Rainf", "Tair"))
    ds = open_([*noah, *fora])
    assert set(ds.data_vars) == {"sm_noah_0_10", "precipitation", "air_temperature"}
    np.testing.assert_allclose(ds["precipitation"][0], np.sum([read(f, "Rainf") for f in fora], 0), rtol=2e-7)
    np.testing.assert_allclose(ds["air_temperature"][0], np.mean([read(f, "Tair") for f in fora], 0), rtol=2e-7)


def test_rates_are_converted_and_strange_units_refused(tmp_path):
    files = hourly(tmp_path, "2018-03-01", 24, units=UNITS | {"Rainf": "kg m-2 s-1", "Snowf": "kg m-2 s-1"})
    total = np.sum([read(f, "Rainf") + read(f, "Snowf") for f in files], 0) * 3600
    np.testing.assert_allclose(open_(files)["precipitation"][0], total, rtol=1e-6)
    (tmp_path / "x").mkdir()
    files = hourly(tmp_path / "x", "2018-03-01", 1, units=UNITS | {"SoilM_0_10cm": "m3 m-3"})
    with pytest.raises(DataError, match="'SoilM_0_10cm' has the unit 'm3 m-3'"):
        open_(files)


def test_double_scale_factor_still_gives_float32(tmp_path):
    path = make(tmp_path / "NLDAS_NOAH0125_H.A20180302.0000.020.nc", [422208], scale=np.float64(0.5))
    with xr.open_dataset(path, engine="nldas") as ds:
        assert ds["SoilM_0_10cm"].dtype == np.float32
        assert ds.sizes["time"] == 1
        expected = np.where(values("SoilM_0_10cm", 422208) == -9999, np.nan, values("SoilM_0_10cm", 422208) / 2)
        np.testing.assert_allclose(ds["SoilM_0_10cm"][0], expected, rtol=1e-7)
    with pytest.warns(UserWarning, match="fewer"):
        daily = open_([path], variables=["sm_noah_0_10"], min_hours=1)  # half of a temperature is refused
    np.testing.assert_allclose(daily["sm_noah_0_10"][0], expected / 100, rtol=1e-6)


def test_variables_are_chosen(two_days):
    assert list(open_(two_days, variables=["sm_noah_10_40"]).data_vars) == ["sm_noah_10_40"]
    with pytest.raises(UsageError, match="no variable 'sm'"):
        open_(two_days, variables=["sm"])
    with pytest.raises(DataError, match=r"nothing to compute air_temperature from"):
        open_(two_days, variables=["air_temperature"])


def test_identify():
    assert SOURCE.identify(Path("a/NLDAS_NOAH0125_H.A20260205.0000.020.nc"))
    assert SOURCE.identify(Path("NLDAS_FORA0125_H.A20260205.2300.020.nc.SUB.nc4"))
    assert not SOURCE.identify(Path("SMAP_L3_SM_P_E_20220601_R19240_001.h5"))
    assert NAME.match("NLDAS_NOAH0125_M.A202602.020.nc") is None


def test_daily_mean_of_nothing_is_missing():
    assert np.isnan(daily_mean(np.full((24, 2), np.nan), 1)).all()
