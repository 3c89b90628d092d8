from __future__ import annotations

import re
import shutil
import types
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from xsm import DataError, UsageError
from xsm.plugin_api import Area
from xsm_nldas.files import NAME
from xsm_nldas.source import NldasSource, daily_mean

LAT = 35.0625 + 0.125 * np.arange(12)
LON = -100.9375 + 0.125 * np.arange(16)
UNITS = {"SoilM_0_10cm": "kg m-2", "SoilM_10_40cm": "kg m-2", "SoilT_0_10cm": "K", "Rainf": "kg m-2", "Snowf": "kg m-2"}
SOURCE = NldasSource()


def values(name: str, hour: int) -> np.ndarray:
    """Random field of an hour (since 1970) with a lake of fill values."""
    rng = np.random.default_rng([hour, sum(map(ord, name))])
    low, high = {"K": (260, 300)}.get(UNITS.get(name, "K"), (0, 99))
    field = rng.uniform(low, high, (LAT.size, LON.size)).astype("f4")
    field[:2, :3] = -9999
    return field


def make(path: Path, hours, names=tuple(UNITS), lat=LAT, lon=LON, units=UNITS, scale=None) -> Path:
    """A file by netCDF4, compressed and chunked, with scale, offset and both fill attributes."""
    with netCDF4.Dataset(path, "w") as nc:
        for name, axis in (("time", hours), ("lat", lat), ("lon", lon)):
            nc.createDimension(name, len(axis))
        time = nc.createVariable("time", "f8", ("time",))
        time.units = "hours since 1979-01-01 00:00:00"
        time[:] = np.asarray(hours) - 78888  # hours from 1970 to 1979
        for name, axis in (("lat", lat), ("lon", lon)):
            nc.createVariable(name, "f8", (name,))[:] = axis
        for name in names:
            v = nc.createVariable(name, "f4", ("time", "lat", "lon"), fill_value=-9999.0, zlib=True, complevel=1)
            v.set_auto_maskandscale(False)
            v.setncatts({"units": units.get(name, "K"), "missing_value": np.float32(-9999), "long_name": name})
            v.setncatts({"scale_factor": np.float32(1) if scale is None else scale, "add_offset": np.float32(0)})
            rate = units.get(name) == "kg m-2 s-1"
            fields = np.stack([values(name, h)[: len(lat), : len(lon)] for h in hours])
            v[:] = np.where(fields == -9999, -9999, fields / 3600) if rate else fields
    return path


def hourly(folder: Path, first: str, count: int, product="NOAH", **kwargs) -> list[Path]:
    start = int(np.datetime64(first, "h").astype(int))
    return [make(folder / name(h, product), [h], **kwargs) for h in range(start, start + count)]


def name(hour: int, product: str = "NOAH") -> str:
    text = str(np.datetime64(hour, "h")).replace("-", "")
    return f"NLDAS_{product}0125_H.A{text[:8]}.{text[9:]}00.020.nc"


@pytest.fixture(scope="module")
def two_days(tmp_path_factory) -> list[Path]:
    return hourly(tmp_path_factory.mktemp("nldas"), "2018-03-01", 48)


def read(path: Path, variable: str) -> np.ndarray:
    with netCDF4.Dataset(path) as nc:
        return np.ma.filled(nc[variable][0].astype("f8"), np.nan)


def test_daily_values_equal_an_independent_reading(two_days):
    ds = SOURCE.open(two_days)
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
    ds = SOURCE.open(two_days)
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
    ds = SOURCE.open(two_days)
    assert ds.chunks["time"] == (2,)
    with pytest.raises(AssertionError, match="window"):
        ds.compute(scheduler="synchronous")


def test_every_file_is_opened_once_for_all_variables(two_days, monkeypatch):
    import xsm_nldas.source as source

    opened, real = [], source.read_hours
    monkeypatch.setattr(source, "read_hours", lambda path, *a: (opened.append(path), real(path, *a))[1])
    SOURCE.open(two_days).compute(scheduler="synchronous")
    assert sorted(opened) == sorted(two_days)


@pytest.mark.parametrize("drop, missing", [(4, False), (5, True)])
def test_a_day_needs_its_minimum_of_hours(two_days, drop, missing):
    with pytest.warns(UserWarning, match="1 of 2 days have fewer than 24 hours"):
        ds = SOURCE.open(two_days[: 48 - drop])
    assert ds.attrs["incomplete_days"] == f"2018-03-02 ({24 - drop})"
    assert bool(np.isnan(ds["sm_noah_0_10"][1, 5, 5])) is missing
    assert np.isfinite(ds["sm_noah_0_10"].values[0, 5, 5])
    if not missing:  # the total of a day is estimated from the available hours
        hours = [read(f, "Rainf") + read(f, "Snowf") for f in two_days[24:44]]
        np.testing.assert_allclose(ds["precipitation"][1, 5:], np.mean(hours, axis=0)[5:] * 24, rtol=1e-6)


def test_min_hours_is_an_option(two_days):
    with pytest.warns(UserWarning, match="fewer than 24"):
        ds = SOURCE.open(two_days[:30], min_hours=6)
    assert np.isfinite(ds["sm_noah_0_10"].values[:, 5:, 5:]).all()


def test_missing_days_are_on_the_axis(two_days):
    with pytest.warns(UserWarning, match="3 of 5 days"):
        ds = SOURCE.open(two_days, time=slice(np.datetime64("2018-02-27"), np.datetime64("2018-03-03")))
    assert ds.sizes["time"] == 5
    assert np.isfinite(ds["sm_noah_0_10"].values[:, 5, 5]).tolist() == [False, False, True, True, False]


def test_period_leaves_other_files_alone(two_days, tmp_path):
    broken = tmp_path / name(int(np.datetime64("2019-01-01", "h").astype(int)))
    broken.write_bytes(b"nothing")
    ds = SOURCE.open([*two_days, broken], time=slice(np.datetime64("2018-03-02"), np.datetime64("2018-03-02")))
    assert ds["time"].values.astype("M8[D]").astype(str).tolist() == ["2018-03-02"]


def test_files_of_several_hours(two_days, tmp_path):
    start = int(np.datetime64("2018-03-01", "h").astype(int))
    one = make(tmp_path / "subset_noah.nc", np.arange(start, start + 48))
    xr.testing.assert_equal(SOURCE.open([one]).compute(), SOURCE.open(two_days).compute())


def test_several_hours_under_an_hourly_name_are_refused(two_days, tmp_path):
    start = int(np.datetime64("2018-03-01", "h").astype(int))
    one = make(tmp_path / name(start), [start, start + 1])
    with pytest.raises(DataError, match="holds 2 hours, the first 2018-03-01T00, wanted the one of its name"):
        SOURCE.open([one])


def test_duplicate_hours_warn_and_the_first_file_counts(two_days, tmp_path):
    other = make(tmp_path / two_days[0].name, [0])
    with pytest.warns(UserWarning, match="1 hours are there more than once"):
        ds = SOURCE.open([*two_days, other])
    xr.testing.assert_equal(ds.compute(), SOURCE.open(two_days).compute())


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
    region = Area((-123.0, 26.1, -122.2, 27.0), types.SimpleNamespace())
    with pytest.warns(UserWarning, match="fewer than 24"):
        ds = SOURCE.open([path], region=region, min_hours=1)
    touched_lat = lat[(lat + 0.0625 > 26.1) & (lat - 0.0625 < 27.0)]
    touched_lon = lon[(lon + 0.0625 > -123.0) & (lon - 0.0625 < -122.2)]
    assert ds["lat"].values.tolist() == [*(touched_lat[0] - [0.375, 0.25, 0.125]), *touched_lat,
                                         *(touched_lat[-1] + [0.125, 0.25, 0.375])]  # fmt: skip
    assert ds.sizes["lon"] == touched_lon.size + 6
    rows, cols = np.searchsorted(lat, ds["lat"]), np.searchsorted(lon, ds["lon"])
    np.testing.assert_allclose(ds["sm_noah_0_10"][0], field[0][np.ix_(rows, cols)] / 100, rtol=1e-7)
    with pytest.raises(DataError, match=r"does not touch the region"):
        SOURCE.open([path], region=Area((10, 40, 11, 41), types.SimpleNamespace()))


def test_forcing_fills_in_for_what_noah_lacks(tmp_path):
    noah = hourly(tmp_path, "2018-03-01", 24, names=("SoilM_0_10cm",))
    fora = hourly(tmp_path, "2018-03-01", 24, product="FORA", names=("Rainf", "Tair"))
    ds = SOURCE.open([*noah, *fora])
    assert set(ds.data_vars) == {"sm_noah_0_10", "precipitation", "air_temperature"}
    np.testing.assert_allclose(ds["precipitation"][0], np.sum([read(f, "Rainf") for f in fora], 0), rtol=2e-7)
    np.testing.assert_allclose(ds["air_temperature"][0], np.mean([read(f, "Tair") for f in fora], 0), rtol=2e-7)


def test_rates_are_converted_and_strange_units_refused(tmp_path):
    files = hourly(tmp_path, "2018-03-01", 24, units=UNITS | {"Rainf": "kg m-2 s-1", "Snowf": "kg m-2 s-1"})
    total = np.sum([read(f, "Rainf") + read(f, "Snowf") for f in files], 0) * 3600
    np.testing.assert_allclose(SOURCE.open(files)["precipitation"][0], total, rtol=1e-6)
    (tmp_path / "x").mkdir()
    files = hourly(tmp_path / "x", "2018-03-01", 1, units=UNITS | {"SoilM_0_10cm": "m3 m-3"})
    with pytest.raises(DataError, match="'SoilM_0_10cm' has the unit 'm3 m-3'"):
        SOURCE.open(files)


def test_double_scale_factor_still_gives_float32(tmp_path):
    path = make(tmp_path / "NLDAS_NOAH0125_H.A20180302.0000.020.nc", [422208], scale=np.float64(0.5))
    with xr.open_dataset(path, engine="nldas") as ds:
        assert ds["SoilM_0_10cm"].dtype == np.float32
        assert ds.sizes["time"] == 1
        expected = np.where(values("SoilM_0_10cm", 422208) == -9999, np.nan, values("SoilM_0_10cm", 422208) / 2)
        np.testing.assert_allclose(ds["SoilM_0_10cm"][0], expected, rtol=1e-7)
    with pytest.warns(UserWarning, match="fewer"):
        daily = SOURCE.open([path], min_hours=1)
    np.testing.assert_allclose(daily["sm_noah_0_10"][0], expected / 100, rtol=1e-6)


def test_variables_are_chosen(two_days):
    assert list(SOURCE.open(two_days, variables=["sm_noah_10_40"]).data_vars) == ["sm_noah_10_40"]
    with pytest.raises(UsageError, match="no variable 'sm'"):
        SOURCE.open(two_days, variables=["sm"])
    with pytest.raises(DataError, match=r"nothing to make air_temperature from"):
        SOURCE.open(two_days, variables=["air_temperature"])


BAD = {
    "an HTML page": b"<!DOCTYPE html><html>Earthdata Login</html>",
    "no whole NLDAS-2 GRIB1 file": b"GRIB" + bytes(80),
    "is empty": b"",
    "neither netCDF-4 nor HDF5": b"not found",
    "netCDF-3": b"CDF\x01" + bytes(80),
}


@pytest.mark.parametrize("kind", BAD)
def test_other_files_are_refused_by_name(two_days, tmp_path, kind):
    bad = tmp_path / name(int(np.datetime64("2018-03-03", "h").astype(int)))
    bad.write_bytes(BAD[kind])
    with pytest.raises(DataError, match=f"{bad.name}.*{kind}"):
        SOURCE.open([*two_days, bad])


@pytest.mark.parametrize("end", [8, 12, 63, -1])
def test_truncated_files_are_detected_before_anything_is_read(two_days, tmp_path, end):
    bad = tmp_path / name(int(np.datetime64("2018-03-03", "h").astype(int)))
    bad.write_bytes(two_days[0].read_bytes()[:end])
    with pytest.raises(DataError, match="is truncated"):
        SOURCE.open([*two_days, bad])
    with pytest.raises(DataError, match="No such file"):
        SOURCE.open([tmp_path / "nothing.nc"])


def test_values_without_a_place_in_the_file_are_lost_and_not_missing(two_days, tmp_path):
    bad = tmp_path / two_days[3].name
    shutil.copy(two_days[3], bad)
    with h5py.File(bad, "r+") as file:
        attrs = {k: file["SoilM_0_10cm"].attrs[k] for k in ("units", "scale_factor", "add_offset")}
        del file["SoilM_0_10cm"]
        new = file.create_dataset(
            "SoilM_0_10cm", (1, 12, 16), "f4", chunks=(1, 6, 16), compression="gzip", fillvalue=-9999
        )
        new.attrs.update(attrs)
        new[:, :6] = 20
    with pytest.raises(DataError, match=f"{bad.name}': a part of SoilM_0_10cm is lost"):
        SOURCE.open([*two_days[:3], bad, *two_days[4:24]], variables=["sm_noah_0_10"]).load()


@pytest.mark.parametrize("day", ["2018-02-27", "2018-03-04"])
def test_days_of_files_left_out_at_the_ends_are_incomplete(two_days, tmp_path, day):
    """Once, they were added to the axis later and missing from the attribute."""
    bad = tmp_path / name(int(np.datetime64(day, "h").astype(int)))
    bad.write_bytes(b"<html>")
    with pytest.warns(UserWarning, match="2 of 4 days have fewer than 24 hours"):
        ds = SOURCE.open([*two_days, bad], on_error="skip")
    assert len(ds.attrs["skipped"]) == 1 and bad.name in ds.attrs["skipped"][0]
    days = ds["time"].values.astype("M8[D]").astype(str)
    empty = [d for d in days if not d.startswith(("2018-03-01", "2018-03-02"))]
    assert day in empty and ds.attrs["incomplete_days"] == ", ".join(f"{d} (0)" for d in empty)
    assert ds["sm_noah_0_10"].sel(time=empty).isnull().all()


def with_other(files: list[Path], at: int, folder: Path, **kwargs) -> list[Path]:
    """The files, one of them replaced by a new one."""
    hour = int(np.datetime64("2018-03-01", "h").astype(int)) + at
    return [*files[:at], make(folder / files[at].name, [hour], **kwargs), *files[at + 1 :]]


def test_another_grid_is_detected_when_reading(two_days, tmp_path):
    files = with_other(two_days, 5, tmp_path, lat=LAT + 1)
    with pytest.raises(DataError, match=f"{files[5].name}' has another lat axis"):
        SOURCE.open(files).compute()
    with pytest.warns(UserWarning, match=f"left out: .*{files[5].name}' has another lat axis"):
        got = SOURCE.open(files, on_error="skip").compute()
    assert np.isfinite(got["sm_noah_0_10"].values[:, 5, 5]).all()


@pytest.mark.parametrize("at", [0, 47])
def test_the_grid_is_that_of_most_files(two_days, tmp_path, at):
    files = with_other(two_days, at, tmp_path, lat=LAT[:5])
    with pytest.raises(DataError, match=f"{files[at].name}' is on another grid"):
        SOURCE.open(files)
    with pytest.warns(UserWarning, match="1 of 2 days have fewer than 24 hours"):
        got = SOURCE.open(files, on_error="skip")
    assert re.findall(r"NLDAS_\S+nc", got.attrs["skipped"][0]) == [files[at].name]  # no sound file is named
    assert "(23)" in got.attrs["incomplete_days"]
    assert np.array_equal(got["lat"], LAT) and np.isfinite(got["sm_noah_0_10"].values[:, 5:, 5:]).all()


def test_where_all_headers_that_are_read_are_bad_others_are_read(two_days, tmp_path):
    files = list(two_days[:24])
    for at in np.linspace(0, 23, 5).astype(int):
        files = with_other(files, at, tmp_path)
        with h5py.File(files[at], "r+") as file:
            del file["lat"]
    with pytest.warns(UserWarning, match=r"2018-03-01 \(19 h\)"):
        got = SOURCE.open(files, on_error="skip", min_hours=19)
    assert len(got.attrs["skipped"]) == 5 and np.isfinite(got["sm_noah_0_10"].values[0, 5, 5])


def test_each_file_has_its_own_packing_and_units(two_days, tmp_path):
    rates = UNITS | {"Rainf": "kg m-2 s-1"}
    files = with_other(with_other(two_days, 5, tmp_path, units=rates), 9, tmp_path)
    with h5py.File(files[9], "r+") as file:
        for name, unit in UNITS.items():  # halved, with another fill
            stored = file[name]
            raw = stored[:]
            stored[:] = np.where(raw == -9999, -1, raw / 2)
            stored.attrs.modify("scale_factor", np.float64(2))
            stored.attrs["_FillValue"] = stored.attrs["missing_value"] = np.float32(-1)
            stored.attrs["units"] = unit  # a text of variable length
    got, wanted = SOURCE.open(files).compute(), SOURCE.open(two_days).compute()
    for name in wanted:  # a rate in float32 and its mean: some roundings of 6e-8
        np.testing.assert_allclose(got[name], wanted[name], rtol=5e-7, equal_nan=True)


def test_a_unit_of_one_file_that_is_unknown_is_refused(two_days, tmp_path):
    files = with_other(two_days, 5, tmp_path, units=UNITS | {"SoilM_0_10cm": "m3 m-3"})
    with pytest.raises(DataError, match=f"{files[5].name}' 'SoilM_0_10cm' has the unit 'm3 m-3', wanted one of"):
        SOURCE.open(files).compute()


def test_identify():
    assert SOURCE.identify(Path("a/NLDAS_NOAH0125_H.A20260205.0000.020.nc"))
    assert SOURCE.identify(Path("NLDAS_FORA0125_H.A20260205.2300.020.nc.SUB.nc4"))
    assert not SOURCE.identify(Path("SMAP_L3_SM_P_E_20220601_R19240_001.h5"))
    assert NAME.match("NLDAS_NOAH0125_M.A202602.020.nc") is None


def test_daily_mean_of_nothing_is_missing():
    assert np.isnan(daily_mean(np.full((24, 2), np.nan), 1)).all()


@pytest.fixture
def world():
    def hours(day):
        stamps = np.datetime64(day, "h") + np.arange(24)
        maps = {
            n: (("time", "lat", "lon"), np.stack([np.where((v := values(n, int(h.astype(int)))) < -999, np.nan, v)
                                                  for h in stamps]), {"units": UNITS[n]})
            for n in UNITS
        }  # fmt: skip
        return xr.Dataset(maps, coords={"time": stamps.astype("M8[ns]"), "lat": LAT, "lon": LON})

    return types.SimpleNamespace(days=np.arange("2018-03-01", "2018-03-03", dtype="M8[D]"), seed=7, nldas_hours=hours)


def test_written_world_equals_files_by_netcdf4(world, two_days, tmp_path):
    paths = SOURCE.write(world, tmp_path / "new" / "NLDAS")
    whole = paths[0].read_bytes()
    assert len(whole) == int.from_bytes(whole[28:36], "little")  # nothing behind the end that HDF5 records
    assert [p.name for p in paths] == [p.name for p in two_days]
    assert sorted(p.name for p in (tmp_path / "new" / "NLDAS").iterdir()) == [p.name for p in paths]
    for ours, theirs in zip(paths[::7], two_days[::7], strict=True):
        with netCDF4.Dataset(ours) as a, netCDF4.Dataset(theirs) as b:
            assert {k: len(d) for k, d in a.dimensions.items()} == {k: len(d) for k, d in b.dimensions.items()}
            assert a["time"].units == b["time"].units and a["time"][:] == b["time"][:]
            for n in UNITS:
                a[n].set_auto_maskandscale(False)
                b[n].set_auto_maskandscale(False)
                assert np.array_equal(a[n][:], b[n][:])
                assert a[n].dimensions == b[n].dimensions and a[n].dtype == b[n].dtype
                for attribute in ("_FillValue", "missing_value", "scale_factor", "add_offset", "units"):
                    assert a[n].getncattr(attribute) == b[n].getncattr(attribute)
                    assert type(a[n].getncattr(attribute)) is type(b[n].getncattr(attribute))


def test_round_trip_says_that_it_is_synthetic(world, two_days, tmp_path):
    ds = SOURCE.open(SOURCE.write(world, tmp_path))
    assert "twin" in ds.attrs.pop("synthetic")
    xr.testing.assert_equal(ds.compute(), SOURCE.open(two_days).compute())


def test_contract_with_the_synthetic_twin(tmp_path):
    from xsm.testing import check_source
    from xsm.twin import make_world

    check_source("nldas", world=make_world((-97.3, 35.9, -97.0, 36.2), days=2), tmp=tmp_path)
