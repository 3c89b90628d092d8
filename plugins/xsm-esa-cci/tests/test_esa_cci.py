from __future__ import annotations

import functools
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import xsm
from xsm import DataError, UsageError
from xsm.data.masks import with_masks
from xsm.testing import check_source, open_files
from xsm.twin import default_grid, make_world
from xsm_esa_cci.fetch import days
from xsm_esa_cci.names import read_name
from xsm_esa_cci.source import EsaCciSource
from xsm_esa_cci.write import write

SOURCE = EsaCciSource()
open_ = functools.partial(open_files, SOURCE)
LAT, LON = 36.125 - 0.25 * np.arange(4), -98.125 + 0.25 * np.arange(5)
DAYS = ("2021-06-01", "2021-06-03")
SM = np.linspace(0.1, 0.4, 20, dtype="f4").reshape(4, 5)


def make(folder: Path, day: str = DAYS[0], *, product="COMBINED", name=None, **changes) -> Path:
    """A file of the product's layout on a few cells; ``changes`` replace datasets, with their attributes."""
    kind, unit, scale = ("SSMS", "percent", 100) if product == "ACTIVE" else ("SSMV", "m3 m-3", 1)
    dims, since = ("time", "lat", "lon"), "days since 1970-01-01 00:00:00 UTC"
    start = float(np.datetime64(day, "D").astype(int))
    sm = (SM * scale).copy()
    sm[0, 0] = -9999
    ds = xr.Dataset(
        {
            "sm": (dims, sm[None], {"units": unit, "_FillValue": np.float32(-9999)}),
            "sm_uncertainty": (dims, np.full((1, 4, 5), 0.04 * scale, "f4"), {"units": unit}),
            "flag": (dims, np.zeros((1, 4, 5), "i1"), {"_FillValue": np.int8(127)}),
            "t0": (dims, np.full((1, 4, 5), start + 0.25), {"units": since, "_FillValue": -9999.0}),
        },
        {"time": ("time", [start], {"units": since}), "lat": LAT, "lon": LON},
    )
    for key, values in changes.items():
        ds[key] = (
            (dims, values[0][None], values[1]) if isinstance(values, tuple) else (dims, values[None], ds[key].attrs)
        )
    path = folder / (name or f"ESACCI-SOILMOISTURE-L3S-{kind}-{product}-{day.replace('-', '')}000000-fv09.1.nc")
    ds.to_netcdf(path, encoding={n: {"_FillValue": None} for n in ("lat", "lon", "time")})
    return path


@pytest.fixture(scope="module")
def world():
    return make_world(default_grid(10), 3, seed=1)


def test_contract_with_the_synthetic_twin(world, tmp_path):
    check_source("esa_cci_sm", world=world, tmp=tmp_path)


@pytest.mark.parametrize("product", ["COMBINED", "ACTIVE"])
def test_a_world_comes_back(world, tmp_path, product):
    """The truth within the errors that were added, of which the uncertainty tells."""
    ds = xsm.open("esa_cci_sm", write(world, tmp_path, product=product), region=world.grid, margin=0).load()
    name = "soil_moisture" if product == "COMBINED" else "saturation"
    assert ds[name].count() > 20 and "twin" in ds.attrs["synthetic"]
    truth = world.truth["sm_5cm"] / (1 if product == "COMBINED" else world.truth["porosity"].isel(soil_depth=0))
    scale = 1 if product == "COMBINED" else 100
    assert abs(float(ds[name].mean() - scale * truth.mean())) < 0.03 * scale  # 0.04 in each of some 35 cells
    assert float(ds[f"{name}_std"].max()) == pytest.approx(0.04 * scale, rel=1e-5)
    assert ds[name].attrs.get("role", "") == ("retrieval" if product == "COMBINED" else "")
    assert "ASCAT" in ds[name].attrs["family"] and ds["obs_time"].attrs["family"] == ds[name].attrs["family"]
    assert ("SMAP" in ds[name].attrs["family"]) == (product == "COMBINED")
    gone = np.isnat(ds["obs_time"].values)
    np.testing.assert_array_equal(gone, np.isnan(ds[name].values) & gone)
    assert (
        ds["obs_time"].values[~gone].astype("M8[D]") == np.broadcast_to(world.days[:, None, None], gone.shape)[~gone]
    ).all()


def test_values_days_and_axes_are_those_of_the_files(tmp_path):
    paths = [make(tmp_path, day) for day in DAYS]
    ds = open_(paths)
    assert dict(ds.sizes) == {"time": 3, "lat": 4, "lon": 5} and ds["lat"].values.tolist() == LAT.tolist()
    plain = xr.open_dataset(paths[0])["sm"].values[0]
    np.testing.assert_array_equal(ds["soil_moisture"][0], plain)
    np.testing.assert_array_equal(ds["soil_moisture"][2], plain)
    assert ds["soil_moisture"][1].isnull().all() and np.isnat(ds["obs_time"][1].values).all()
    assert (ds["flag"][1] == 65534).all() and "flag_masks" in ds["flag"].attrs
    assert (ds["obs_time"][0].values == np.datetime64("2021-06-01T06", "ns")).all()
    assert "sm" not in ds and ds["soil_moisture"].attrs["units"] == "m3 m-3"
    only = open_(
        paths, time=slice(np.datetime64("2021-06-02"), np.datetime64("2021-06-04")), variables=["soil_moisture"]
    )
    assert only["time"].values.astype("M8[D]").tolist() == [
        d.item() for d in np.arange("2021-06-02", "2021-06-05", dtype="M8[D]")
    ]


@pytest.mark.parametrize("bit", range(7))
def test_flags_leave_values_out_but_for_barren_ground(tmp_path, bit):
    flag = np.zeros((4, 5), "i1")
    flag[2, 2], flag[1, 1] = 1 << bit, 127
    path = make(tmp_path, flag=flag)
    ds = open_([path])
    assert bool(np.isnan(ds["soil_moisture"].values[0, 2, 2])) == (bit != 6) and np.isfinite(
        ds["soil_moisture"].values[0, 1, 1]
    )
    assert np.isfinite(open_([path], quality="all")["soil_moisture"].values[0, 2, 2])
    assert int(ds["flag"].values[0, 2, 2]) == 1 << bit and int(ds["flag"].values[0, 1, 1]) == 65534
    frozen = with_masks(ds)["frozen"].values
    assert bool(frozen[0, 2, 2]) == (bit == 0) and not frozen[0, 1, 1]


def test_active_is_saturation_and_by_porosity_soil_moisture(tmp_path):
    path = make(tmp_path, product="ACTIVE")
    ds = open_([path])
    assert set(ds.data_vars) == {"saturation", "saturation_std", "obs_time", "flag"}
    assert ds["saturation"].attrs["units"] == "percent"
    np.testing.assert_allclose(ds["saturation"].values[0][1:], 100 * SM[1:], rtol=1e-6)
    with pytest.raises(DataError, match=r"nothing to make soil_moisture of.*porosity=0.45"):
        open_([path], variables=["soil_moisture"])
    moist = open_([path], porosity=0.45)
    np.testing.assert_allclose(moist["soil_moisture"].values[0][1:], 0.45 * SM[1:], rtol=1e-6)
    np.testing.assert_allclose(moist["soil_moisture_std"].values, 0.45 * 0.04, rtol=1e-6)
    with pytest.raises(UsageError, match="expected no porosity"):
        open_([make(tmp_path)], porosity=0.45)


@pytest.mark.parametrize(
    ("product", "unit"), [("COMBINED", "percent"), ("COMBINED", "K"), ("ACTIVE", "m3 m-3"), ("ACTIVE", "mm")]
)
def test_another_unit_than_the_products_is_refused(tmp_path, product, unit):
    path = make(tmp_path, product=product, sm=(SM, {"units": unit}))
    with pytest.raises(DataError, match=r"unit"):
        open_([path]).load()
    (folder := tmp_path / "silent").mkdir()
    path = make(folder, product=product, sm=(SM, {}))
    with pytest.raises(DataError, match="'sm' has no unit"):
        open_([path]).load()


def test_root_zone_and_gap_filled(tmp_path):
    layers = {n: (SM + i / 10, {"units": "m3 m-3"}) for i, n in enumerate(("rzsm_1", "rzsm_2", "rzsm_3", "rzsm_1m"))}
    path = make(tmp_path, name="C3S-RZSM-L3S-RZSMV-COMBINED-DAILY-20210601000000-TCDR-v202505.0.0.nc", **layers)
    with h5py.File(path, "r+") as file:
        del file["sm"], file["sm_uncertainty"]
    ds = open_([path])
    np.testing.assert_allclose(ds["rzsm_10_40"].values[0], SM + 0.1, rtol=1e-6)
    assert ds["rzsm_40_100"].attrs["units"] == "m3 m-3" and "soil_moisture" not in ds
    opened = xsm.open("esa_cci_sm", path)
    assert (opened["rzsm_10_40"].attrs["role"], opened["rzsm_10_40"].attrs["depth"]) == ("comparison_root", "10-40 cm")
    mask = (np.arange(20).reshape(4, 5) % 2).astype("i1")
    filled = make(tmp_path, product="COMBINED_GAPFILLED", gapmask=(mask, {}))
    np.testing.assert_array_equal(open_([filled])["gap_filled"].values[0], mask)


def test_of_several_files_of_a_day_the_best_is_read(tmp_path):
    names = [f"C3S-SOILMOISTURE-L3S-SSMV-COMBINED-DAILY-20210601000000-{r}-v{v}.0.0.nc" for r, v in (
        ("TCDR", 202212), ("ICDR", 202312), ("TCDR", 202312))]  # fmt: skip
    paths = [
        make(tmp_path, name=n, sm=(np.full((4, 5), i / 10, "f4"), {"units": "m3 m-3"})) for i, n in enumerate(names)
    ]
    with pytest.warns(UserWarning, match="days have more than one file"):
        ds = open_(paths)
    assert float(ds["soil_moisture"].max()) == pytest.approx(0.2)
    assert ds.attrs["source"] == "C3S COMBINED"


def test_what_is_not_one_daily_product_is_refused(tmp_path):
    monthly = make(tmp_path, name="C3S-SOILMOISTURE-L3S-SSMV-COMBINED-MONTHLY-20210601000000-TCDR-v202312.0.0.nc")
    with pytest.raises(DataError, match="means of ten days or months"):
        open_([monthly])
    with pytest.raises(DataError, match=r"is ACTIVE .* and .* COMBINED .*expected one product"):
        open_([make(tmp_path), make(tmp_path, product="ACTIVE")])
    other = tmp_path / "a.nc"
    other.write_bytes(b"")
    with pytest.raises(DataError, match="None of the files is a day of"):
        open_([other])
    with pytest.raises(UsageError, match="no variable 'sm'"):
        open_([make(tmp_path)], variables=["sm"])
    assert read_name(Path("SMAP_L3_SM_P_20210401_R19240_001.h5")) is None
    assert read_name(Path("ESACCI-SOILMOISTURE-L3S-SSMV-COMBINED-20211301000000-fv09.1.nc")) is None


def test_damage_is_named_and_skipped(tmp_path):
    paths = [make(tmp_path, f"2021-06-0{d}") for d in (1, 2, 3)]
    paths[1].write_bytes(b"<html>log in</html>")
    with pytest.raises(DataError, match=f"{paths[1].name}' is an HTML page"):
        open_(paths)
    ds = open_(paths, on_error="skip")
    assert (
        paths[1].name in ds.attrs["skipped"][0]
        and ds["soil_moisture"][1].isnull().all()
        and ds["soil_moisture"][2].notnull().any()
    )
    moved = make(tmp_path, "2021-06-02")
    with h5py.File(moved, "r+") as file:
        file["lat"][...] = file["lat"][...] + 0.25
    with pytest.raises(DataError, match=r"20210602.*on another grid"):
        open_(paths)
    make(tmp_path, "2021-06-05", name=paths[1].name)
    with pytest.raises(DataError, match="another day than its name says"):
        open_(paths).load()


def test_region_reads_a_window_and_longitudes_of_360_count(tmp_path):
    path = make(tmp_path)
    grid = xsm.EASE2_M09.region((-97.7, 35.5, -97.3, 35.7))
    area = xsm.plugin_api.Area(grid.bbox, grid)
    part = open_([path], region=area)
    xr.testing.assert_equal(part.compute(), open_([path]).sel(lat=part["lat"], lon=part["lon"]).compute())
    with pytest.raises(DataError, match="does not touch the region"):
        open_([path], region=xsm.plugin_api.Area((10, 10, 11, 11), grid))
    with h5py.File(path, "r+") as file:
        file["lon"][...] = file["lon"][...] + 360
    assert open_([path])["lon"].values.tolist() == LON.tolist()


def test_fetch_takes_the_days_of_the_listing(monkeypatch):
    """The archive lists the files of a year as JSON."""
    import json

    def listing(url):
        year = url.split("/")[-1].removesuffix("?json")
        names = [
            f"ESACCI-SOILMOISTURE-L3S-SSMS-ACTIVE-{year}{m:02d}{d:02d}000000-fv09.2.nc"
            for m in (1, 12)
            for d in (1, 31)
        ]
        items = [{"name": n, "download": f"https://dap.example.org/{n}"} for n in names] + [
            {"name": "00README", "download": ""}
        ]
        return json.dumps({"items": items}).encode()

    monkeypatch.setattr("xsm_esa_cci.fetch.read_url", listing)
    got = days((np.datetime64("2020-12-31"), np.datetime64("2021-01-01")), "ACTIVE", "v09.2")
    assert [r.name.split("-")[5][:8] for r in got] == ["20201231", "20210101"]
    with pytest.raises(xsm.FetchError, match="CEDA lists no file"):
        days((np.datetime64("2020-02-01"), np.datetime64("2020-02-02")), "ACTIVE", "v09.2")
