from __future__ import annotations

import functools
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import xsm
from hypothesis import given, settings
from hypothesis import strategies as st
from xsm import DataError, UsageError
from xsm.plugin_api import Area
from xsm.testing import check_source, open_files, window
from xsm.twin import default_grid, make_world
from xsm_ascat.layout import BITS, SHARES
from xsm_ascat.source import AscatSource
from xsm_ascat.swath import Observations, place
from xsm_ascat.write import spiral, write, write_index

SOURCE = AscatSource()
open_ = functools.partial(open_files, SOURCE)
GRID = window(6, 7)
AREA = Area(GRID.bbox, GRID)
PACKED = {"scale_factor": 0.01, "units": "percent"}
NAME = "W_IT-HSAF-ROME,SAT,SSM-ASCAT-METOP{}-12.5km-H121_C_LIIB_20241015134956_{}_{}____.nc"


def make(folder: Path, hour: float = 15.5, day="2021-06-01", *, satellite="B", flag=1, value=None, **changes) -> Path:
    """A swath at the cells of the window; ``changes`` replace datasets, with their attributes."""
    lon, lat = (a.ravel() for a in np.meshgrid(GRID.lon, GRID.lat))
    ssm = 1000 + 100 * np.arange(lon.size) if value is None else np.full(lon.size, 100 * value)
    start = np.datetime64(day, "s") + round(hour * 3600)
    days = (start - np.datetime64("1970-01-01", "s")) / np.timedelta64(1, "D") + np.zeros(lon.size)
    datasets = {
        "latitude": (np.rint(lat * 1e6).astype("i4"), {"scale_factor": 1e-6}),
        "longitude": (np.rint(lon * 1e6).astype("i4"), {"scale_factor": 1e-6}),
        "time": (days, {"units": "days since 1970-01-01 00:00:00"}),
        "as_des_pass": (np.full(lon.size, flag, "i1"), {}),
        "surface_soil_moisture": (ssm.astype("i2"), PACKED | {"_FillValue": np.int16(-32768)}),
        "surface_soil_moisture_noise": (np.full(lon.size, 450, "i2"), PACKED),
        **{n: (np.zeros(lon.size, "u1"), {}) for n in BITS},
        **{n: (np.zeros(lon.size, "i1"), {"_FillValue": np.int8(-128)}) for n in SHARES},
    } | changes  # fmt: skip
    stamps = (str(t).translate(str.maketrans("", "", "-:T")) for t in (start, start + np.timedelta64(3599, "s")))
    path = folder / NAME.format(satellite, *stamps)
    ds = xr.Dataset({n: ("obs", v, a) for n, (v, a) in datasets.items() if v is not None})
    ds.to_netcdf(path, engine="netcdf4")
    return path


@pytest.fixture(scope="module")
def world():
    return make_world(default_grid(12), 3, seed=1)


def test_contract_with_the_synthetic_twin(world, tmp_path):
    check_source("ascat", world=world, tmp=tmp_path)


def test_contract_of_the_index(world, tmp_path):
    check_source("ascat", write_index(world, tmp_path), tmp=tmp_path)


def test_a_world_comes_back_on_the_grid(world, tmp_path):
    ds = xsm.open("ascat", write(world, tmp_path), region=world.grid, margin=0).load()
    truth = 100 * world.truth["sm_5cm"] / world.truth["porosity"].isel(soil_depth=0)
    error = (ds["saturation"] - truth).values
    assert np.isfinite(error).mean() > 0.4 and abs(np.nanmean(error)) < 2 and 3 < np.nanstd(error) < 9
    assert float(ds["saturation_std"].max()) == 6
    assert "role" not in ds["saturation"].attrs and ds["saturation"].attrs["family"] == "ASCAT backscatter"
    assert "twin" in ds.attrs["synthetic"] and ds.attrs["source"] == "H SAF H121"
    observed = ~np.isnat(ds["obs_time"].values)
    day = np.broadcast_to(world.days[:, None, None], observed.shape)
    assert (ds["obs_time"].values[observed].astype("M8[D]") == day[observed]).all()
    regridded = ds[["saturation"]].sm.regrid_ease9km(like=world.grid)
    xr.testing.assert_equal(regridded["saturation"].drop_attrs(), ds["saturation"].drop_attrs())


def test_values_times_and_units_are_those_of_the_file(tmp_path):
    ds = open_([make(tmp_path)], region=AREA)
    assert ds["saturation"].dims == ("time", "y", "x") and ds["saturation"].shape == (1, 6, 7)
    np.testing.assert_allclose(ds["saturation"].values.ravel(), 10 + np.arange(42), rtol=1e-6)
    assert (ds["saturation_std"].values == np.float32(4.5)).all() and ds["saturation"].attrs["units"] == "percent"
    assert abs(ds["obs_time"].values - np.datetime64("2021-06-01T15:30", "ns")).max() < np.timedelta64(1, "ms")
    moist = xsm.open("ascat", make(tmp_path), region=GRID, margin=0, porosity=0.5)
    assert moist["soil_moisture"].attrs["role"] == "retrieval"
    np.testing.assert_allclose(moist["soil_moisture"].values, 0.005 * ds["saturation"].values, rtol=1e-6)
    with pytest.raises(DataError, match=r"not soil_moisture.*porosity=0.45"):
        open_([make(tmp_path)], region=AREA, variables=["soil_moisture"])


def test_passes_and_the_one_nearest_noon(tmp_path):
    paths = [
        make(tmp_path, 15.5, value=30),
        make(tmp_path, 3.5, flag=0, value=60),
        make(tmp_path, 14, satellite="C", value=40),
    ]
    for overpass, expected in (("both", 40), ("ascending", 60), ("descending", 40)):
        assert (open_(paths, region=AREA, overpass=overpass)["saturation"].values == expected).all(), overpass
    other = np.zeros(42, "i1"), {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "descending ascending"}
    meant = make(tmp_path, 15.5, value=30, as_des_pass=other)
    assert (open_([meant], region=AREA, overpass="descending")["saturation"].values == 30).all()
    silent = make(tmp_path, 15.5, value=30, as_des_pass=(None, {}))
    with pytest.raises(DataError, match="does not tell ascending from descending"):
        open_([silent], region=AREA, overpass="descending").load()


def test_a_swath_over_midnight_belongs_to_two_days(tmp_path):
    late = np.datetime64("2021-06-01T23:30", "s")
    base = (late - np.datetime64("1970-01-01", "s")) / np.timedelta64(1, "D")
    days = base + np.where(np.arange(42) < 21, 0, 0.04), {"units": "days since 1970-01-01 00:00:00"}
    ds = open_([make(tmp_path, 23.5, time=days)], region=AREA)
    assert dict(ds.sizes)["time"] == 2
    got = np.isfinite(ds["saturation"].values.reshape(2, 42))
    np.testing.assert_array_equal(got, [np.arange(42) < 21, np.arange(42) >= 21])
    one = open_([make(tmp_path, 23.5, time=days)], region=AREA, time=slice(np.datetime64("2021-06-02"), None))
    assert one["time"].values.astype("M8[D]").tolist() == [np.datetime64("2021-06-02").item()]


@pytest.mark.parametrize("name", [*BITS, *SHARES])
def test_what_flags_and_shares_doubt_is_left_out(tmp_path, name):
    values = np.zeros(42, "u1" if name in BITS else "i1")
    values[5], values[6] = (BITS[name], 0) if name in BITS else (SHARES[name], SHARES[name] - 1)
    attrs = {} if name in BITS else {"_FillValue": np.int8(-128)}
    path = make(tmp_path, **{name: (values, attrs)})
    got = open_([path], region=AREA)["saturation"].values.ravel()
    assert got[5] != 15 and got[6] == 16  # another observation may be near enough to the cell
    assert open_([path], region=AREA, quality="all")["saturation"].values.ravel()[5] == 15


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 60))
def test_every_cell_has_its_nearest_observation(seed, count):
    """Against the distances from each cell to each observation."""
    rng = np.random.default_rng(seed)
    west, south, east, north = GRID.bbox
    lon, lat = rng.uniform(west, east, count), rng.uniform(south, north, count)
    swath = Observations(lon, lat, np.full(count, 18779.5), rng.uniform(0, 100, count), np.ones(count))
    got = place(swath, GRID, 12.5)[0]
    cells = [np.radians(a).ravel() for a in np.meshgrid(GRID.lon, GRID.lat)]
    for i, (x, y) in enumerate(zip(*cells, strict=True)):
        inner = (
            np.sin((np.radians(lat) - y) / 2) ** 2
            + np.cos(y) * np.cos(np.radians(lat)) * np.sin((np.radians(lon) - x) / 2) ** 2
        )
        far = 2 * 6371 * np.arcsin(np.sqrt(inner))
        if not count or far.min() > 9.38:
            assert np.isnan(got.ravel()[i])
        elif far.min() < 9.37:
            assert got.ravel()[i] == swath.saturation[far.argmin()]


def test_points_of_the_spiral_are_some_12_km_apart():
    from scipy.spatial import cKDTree

    lon, lat, _ = spiral((-98, 35, -96, 37))
    points = np.stack([lon * np.cos(np.radians(36)), lat], 1) * 111.2
    far = cKDTree(points).query(points, k=2)[0][:, 1]
    assert 10 < np.median(far) < 14


def test_the_index_in_percent_with_flags_as_gaps(tmp_path):
    byte = np.array([[0, 81], [200, 241]], "u1")
    path = tmp_path / "c_gls_SWI_202106011200_GLOBE_ASCAT_V3.1.1.nc"
    coords = {"time": [np.datetime64("2021-06-01T12", "ns")], "lat": [36.05, 35.95], "lon": [-98.05, -97.95]}
    xr.Dataset({"SWI_010": (("time", "lat", "lon"), byte[None])}, coords).to_netcdf(path)
    swi = open_([path])["swi"]
    np.testing.assert_array_equal(swi.values[0], np.array([[0, 40.5], [100, np.nan]], "f4"))
    assert swi.attrs["units"] == "percent"
    with pytest.raises(DataError, match=r"no SWI_005 .of the index there are SWI_010"):
        open_([path], scale=5)
    with pytest.raises(UsageError, match="expected no porosity"):
        open_([path], porosity=0.5)
    with pytest.raises(DataError, match=r"is a swath and .* expected one kind"):
        open_([path, make(tmp_path)])
    with pytest.raises(DataError, match="give swi, not saturation"):
        open_([path], variables=["saturation"])


def test_units_that_are_not_percent(tmp_path):
    ssm = (0.01 * (10 + np.arange(42))).astype("f4")
    ds = open_([make(tmp_path, surface_soil_moisture=(ssm, {"units": "1"}))], region=AREA)
    np.testing.assert_allclose(ds["saturation"].values.ravel(), 10 + np.arange(42), rtol=1e-6)
    (other := tmp_path / "other").mkdir()
    with pytest.raises(DataError, match=r"of .* percent .median., expected 0 to 100"):
        open_([make(other, surface_soil_moisture=(100 * ssm, {"units": "1"}))], region=AREA).load()
    (third := tmp_path / "third").mkdir()
    with pytest.raises(DataError, match=r"has the unit .K., expected percent"):
        open_([make(third, surface_soil_moisture=(ssm, {"units": "K"}))], region=AREA).load()


BAD = {
    "is an HTML page": lambda p: p.write_bytes(b"<html>log in</html>"),
    "is not netCDF-4": lambda p: p.write_bytes(b"CDF\x01"),
    "does not|cannot be read": lambda p: p.unlink(),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_named_and_skipped(tmp_path, what):
    paths = [make(tmp_path), make(tmp_path, day="2021-06-03"), make(tmp_path, day="2021-06-02")]
    BAD[what](paths[2])
    with pytest.raises(DataError, match=what) as error:
        open_(paths, region=AREA)
    assert paths[2].name in str(error.value)
    ds = open_(paths, region=AREA, on_error="skip")
    assert paths[2].name in ds.attrs["skipped"][0] and ds["saturation"][1].isnull().all() and ds.sizes["time"] == 3


def test_damage_inside_is_named_when_it_is_read(tmp_path):
    for name in ("surface_soil_moisture", "latitude", "time"):
        (folder := tmp_path / name).mkdir()
        path = make(folder)
        with h5py.File(path, "r+") as file:
            del file[name]
        ds = open_([path], region=AREA)
        with pytest.raises(DataError, match=f"has no {name}"):
            ds.load(scheduler="sync")
        with pytest.warns(UserWarning, match="left out"):
            assert open_([path], region=AREA, on_error="skip").load(scheduler="sync")["saturation"].isnull().all()


def test_names():
    good = NAME.format("A", "20210601000000", "20210601005959")
    assert SOURCE.identify(Path(good)) and SOURCE.identify(Path(good.replace("12.5km-H121", "6.25-H129")))
    assert SOURCE.identify(Path("c_gls_SWI_202106011200_GLOBE_ASCAT_V3.1.1.nc"))
    for name in (good.replace("SSM-", "SIG0-"), "c_gls_SSM1km_202106010000_CEURO_S1CSAR_V1.1.1.nc", "ASCAT.nc"):
        assert not SOURCE.identify(Path(name))
    with pytest.raises(DataError, match="None of the files is of ASCAT"):
        open_(["a.nc"])
    with pytest.raises(DataError, match="contains no time"):
        open_([NAME.format("A", "20219901000000", "20210601005959")])
