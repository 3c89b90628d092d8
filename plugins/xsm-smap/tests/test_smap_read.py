"""Level 3: values survive a round trip, and the numbered pitfalls of docs/design/formats/smap.md."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import h5py
import numpy as np
import pytest
import xarray as xr
import xsm_smap.passes
from hypothesis import given, settings
from hypothesis import strategies as st
from xsm import EASE2_M09, EASE2_M36, UsageError
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_smap.layout import FIELDS
from xsm_smap.read import window
from xsm_smap.source import SmapSource

AM, PM = "Soil_Moisture_Retrieval_Data_AM", "Soil_Moisture_Retrieval_Data_PM"
SM = {"sm_dca": "dca", "sm_scav": "scav", "sm_scah": "scah"}


def open_(paths: Sequence[Path], area: Area | None = None, **options: Any) -> xr.Dataset:
    return open_files(SmapSource(), paths, region=area, **options)


def edit(path: Path, group: str, name: str, values: Any, where: Any = np.s_[300:306, 920:929]) -> None:
    with h5py.File(path, "r+") as file:
        dataset = file[group][name]
        block = dataset[where]
        block[...] = values
        dataset[where] = block


def same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_round_trip(world: SimpleNamespace, granules: list[Path], area: Area) -> None:
    got = open_(granules, area)
    assert list(got) == list(FIELDS)
    assert dict(got.sizes) == {"time": 4, "y": 6, "x": 9}
    same(got["time"], world.smap["time"])
    for name in FIELDS:
        assert got[name].dtype == world.smap[name].dtype
        assert got[name].dims == ("time", "y", "x")
        same(got[name], world.smap[name])
    assert got.attrs["synthetic"] == "hand-made for tests"
    assert (got.attrs["product"], got.attrs["product_version"], got.attrs["crid"]) == ("SPL3SMP_E", "006", "R19240")
    assert (got.attrs["overpass"], got.attrs["quality"]) == ("AM", "successful")
    assert "skipped" not in got.attrs


def test_canonical_attributes(granules: list[Path], area: Area) -> None:
    got = open_(granules, area)
    assert got["tb_h"].attrs["units"] == "K"
    assert got["sm_dca"].attrs["units"] == "m3 m-3"
    flag = got["retrieval_flag"].attrs
    same(flag["flag_masks"], np.array([1, 2, 4, 8], "u2"))
    assert len(flag["flag_meanings"].split()) == 4
    assert len(got["surface_flag"].attrs["flag_meanings"].split()) == len(got["surface_flag"].attrs["flag_masks"]) == 12
    for name in FIELDS:
        assert got[name].encoding["grid_mapping"] == "spatial_ref"


def test_coordinates_are_generated_not_read(granules: list[Path], area: Area) -> None:
    """Pitfall 1: latitude and longitude are -9999 off the swath, without a fill; elsewhere they agree with the grid."""
    got = open_(granules, area)
    same(got["x"], area.grid.x)
    same(got["y"], area.grid.y)
    with h5py.File(granules[0]) as file:
        lat, lon = (file[AM][n][300:306, 920:929] for n in ("latitude", "longitude"))
        assert "_FillValue" not in file[AM]["latitude"].attrs
        assert file[AM]["latitude"][0, 0] == -9999
    observed = lat != -9999
    assert observed.any()
    assert not observed.all()
    float32_step = 1e-5  # degrees, at 100 degrees
    assert np.abs(lat - area.grid.lat[:, None])[observed].max() < float32_step
    assert np.abs(lon - area.grid.lon)[observed].max() < float32_step


def test_values_beyond_valid_max_survive(world: SimpleNamespace, granules: list[Path], area: Area) -> None:
    """Pitfall 2: soil moisture exceeds its valid_max of 0.5, roughness its 1."""
    got = open_(granules, area)
    with h5py.File(granules[0]) as file:
        assert file[AM]["soil_moisture_dca"].attrs["valid_max"] == np.float32(0.5)
        assert file[AM]["roughness_coefficient_dca"].attrs["valid_max"] == 1
    assert float(got["sm_dca"].max()) > 0.5
    assert float(got["roughness"].max()) > 1


def test_flags_stay_integers(granules: list[Path], area: Area) -> None:
    """Pitfall 3, and the off-swath codes 7 and 2047 are no observation."""
    got = open_(granules, area, variables=["retrieval_flag", "surface_flag", "obs_time"]).load()
    off = np.isnat(got["obs_time"].values)
    for name, code in (("retrieval_flag", "retrieval_qual_flag_dca"), ("surface_flag", "surface_flag")):
        assert got[name].dtype == np.uint16
        assert (got[name].values[off] == 65534).all()
        assert (got[name].values[~off] != 65534).all()
        with h5py.File(granules[0]) as file:
            assert file[AM][code][0, 0] == {"retrieval_flag": 7, "surface_flag": 2047}[name]


def test_time_is_utc_since_noon(both: list[Path], area: Area) -> None:
    """Pitfall 4 and the epoch: the pair of numbers is that of a true granule."""
    edit(both[0], AM, "tb_time_seconds", 775816570.006)
    with h5py.File(both[0], "r+") as file:
        file["Metadata/Extent"].attrs["rangeBeginningDateTime"] = np.bytes_(b"2024-08-01T00:00:00.000Z")
    granule = both[0].rename(both[0].with_name("SMAP_L3_SM_P_E_20240801_R19240_001.h5"))
    got = open_([granule], area, variables=["obs_time"])["obs_time"]
    assert got.dtype == "datetime64[ns]"
    assert (got.values == np.datetime64("2024-08-01T20:36:10.006")).all()


def test_every_day_is_there(world: SimpleNamespace, granules: list[Path], area: Area) -> None:
    """Pitfalls 6 and 8: the day comes from the name, a missing one is NaN."""
    assert len(granules) == 3
    got = open_(granules, area)
    assert got["tb_h"].isel(time=2).isnull().all()
    assert (got["surface_flag"].isel(time=2) == 65534).all()
    assert np.isnat(got["obs_time"].isel(time=2).values).all()
    longer = open_(granules, area, time=slice("2022-05-30", "2022-06"))
    same(longer["time"], np.arange("2022-05-30", "2022-07-01", dtype="M8[D]"))
    same(longer["tb_v"].sel(time=world.days), world.smap["tb_v"])
    same(open_(granules, area, time=slice(None, np.datetime64("2022-06-02")))["time"], world.days[:2])


def test_of_duplicates_the_newest(granules: list[Path], area: Area, tmp_path: Path) -> None:
    """Pitfall 8: highest release, then highest counter, then the original rather than a service's copy."""
    names = {"R18290_009": 0.1, "R19240_001": 0.2, "R19240_002": 0.3, "R19240_002_HEGOUT": 0.4}
    paths = []
    for name, value in names.items():
        paths.append(tmp_path / f"SMAP_L3_SM_P_E_20220601_{name}.h5")
        shutil.copy(granules[0], paths[-1])
        edit(paths[-1], AM, "albedo_dca", value)
    for order in (paths, paths[::-1]):
        got = open_(order, area, variables=["albedo"])
        assert got.sizes["time"] == 1
        same(got["albedo"], np.full((1, 6, 9), np.float32(0.3)))


def test_missing_group_is_no_data(granules: list[Path], both: list[Path], area: Area, world: SimpleNamespace) -> None:
    with pytest.warns(UserWarning, match="AM pass only, expected PM"):
        got = open_(granules, area, overpass="PM")
    assert got["tb_h"].isnull().all()
    assert (got["retrieval_flag"] == 65534).all()
    with h5py.File(both[1], "r+") as file:
        del file[PM]
    got = open_(both, area, overpass="PM").load()
    assert got["sm_dca"].isel(time=1).isnull().all()
    for name in FIELDS:
        same(got[name].isel(time=[0, 2, 3]), world.pm[name].isel(time=[0, 2, 3]))


def test_both_is_the_pass_nearest_noon(both: list[Path], area: Area, world: SimpleNamespace) -> None:
    got = open_(both, area, overpass="both").load()
    noon = world.days.astype("M8[ns]")[:, None, None] + np.timedelta64(12, "h")
    distance = [np.abs(p["obs_time"].values - noon).astype("f8") for p in (world.smap, world.pm)]
    morning, evening = (np.where(np.isnat(p["obs_time"].values), np.inf, d)
                        for p, d in zip((world.smap, world.pm), distance, strict=True))  # fmt: skip
    later = evening < morning
    assert later.any()
    assert (morning < evening).any()
    for name in FIELDS:
        same(got[name], np.where(later, world.pm[name].values, world.smap[name].values))


@pytest.mark.parametrize(("quality", "bits"), [("successful", 6), ("recommended", 1), ("attempted", 2), ("none", 0)])
def test_each_soil_moisture_under_its_own_flag(
    both: list[Path], area: Area, world: SimpleNamespace, quality: str, bits: int
) -> None:
    rng = np.random.default_rng(3)
    flags = {a: rng.integers(0, 16, area.grid.shape).astype("u2") for a in SM.values()}
    for algorithm, flag in flags.items():
        edit(both[0], AM, f"retrieval_qual_flag_{algorithm}", flag)
    got = open_(both[:1], area, quality=quality)
    for name, algorithm in SM.items():
        truth = world.smap[name].values[:1]
        same(got[name], np.where(flags[algorithm] & bits, np.nan, truth))


def test_brightness_temperature_needs_quality_and_land(both: list[Path], area: Area, world: SimpleNamespace) -> None:
    rng = np.random.default_rng(4)
    flag, status = (rng.integers(0, 2, area.grid.shape).astype("u2") for _ in range(2))
    edit(both[0], AM, "tb_qual_flag_h", flag | 4)
    edit(both[0], AM, "grid_surface_status", status)
    names = ["tb_h", "tb_v"]
    got, free = open_(both[:1], area, variables=names), open_(both[:1], area, variables=names, quality="none")
    truth = world.smap.isel(time=[0])
    same(got["tb_h"], truth["tb_h"].where((flag == 0) & (status == 0)))
    same(got["tb_v"], truth["tb_v"].where(status == 0))
    same(free["tb_h"], truth["tb_h"])


def test_always_dca_by_name(both: list[Path], area: Area, world: SimpleNamespace) -> None:
    """The generic name may hold another algorithm: where a file has both, ``_dca`` wins."""
    with h5py.File(both[0], "r+") as file:
        shape, chunks = file[AM]["soil_moisture"].shape, file[AM]["soil_moisture"].chunks
        del file[AM]["soil_moisture"]
        file[AM].create_dataset("soil_moisture", shape, "f4", chunks=chunks, fillvalue=0.33)
    same(open_(both[:1], area, variables=["sm_dca"])["sm_dca"], world.smap["sm_dca"].isel(time=[0]))
    with h5py.File(both[1], "r+") as file:
        del file[AM]["soil_moisture_dca"]
    same(open_(both[1:2], area, variables=["sm_dca"])["sm_dca"], world.smap["sm_dca"].isel(time=[1]))


def test_thirty_six_kilometres(tmp_path: Path) -> None:
    """The grid comes from the shape; the window of a region is that of the file's own grid."""
    path = tmp_path / "SMAP_L3_SM_P_20200101_R19240_001.h5"
    values = np.random.default_rng(0).uniform(0, 1, EASE2_M36.shape).astype("f4")
    with h5py.File(path, "w") as file:
        file.create_group(AM).create_dataset("albedo_dca", data=values, chunks=(1, 964), compression=2)
    box = EASE2_M09.window(400, 407, 1000, 1011)
    got = open_([path], Area(box.bbox, box), variables=["albedo"])
    inside = EASE2_M36.region(box.bbox)
    assert inside.shape == (2, 3)
    same(got["y"], inside.y)
    same(got["albedo"][0], values[inside.row0 :, inside.col0 :][:2, :3])


def test_nothing_is_read_while_opening(granules: list[Path], area: Area, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("read")

    with monkeypatch.context() as patch:
        patch.setattr(xsm_smap.passes, "window", refuse)
        got = open_(granules, area)
    assert all(got[n].chunks == ((1,) * 4, (6,), (9,)) for n in FIELDS)


def test_one_read_of_a_file_for_variables_of_a_group(
    granules: list[Path], area: Area, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def spy(dataset: Any, grid: Any, beside: Any) -> np.ndarray:
        read.append(dataset.name.rsplit("/", 1)[1])
        return window(dataset, grid, beside)

    monkeypatch.setattr(xsm_smap.passes, "window", spy)
    got = open_(granules[:1], area)
    dask.compute(got["tb_h"].data, got["tb_v"].data, scheduler="sync")
    assert sorted(read) == [
        "grid_surface_status",
        "tb_h_corrected",
        "tb_qual_flag_h",
        "tb_qual_flag_v",
        "tb_v_corrected",
    ]


def test_without_region_the_whole_grid(granules: list[Path], area: Area, world: SimpleNamespace) -> None:
    got = open_(granules[:1], variables=["sm_dca"])["sm_dca"].load()
    assert got.shape == (1, 1624, 3856)
    assert int(got.notnull().sum()) == int(world.smap["sm_dca"][0].notnull().sum())
    same(got[:, 300:306, 920:929], world.smap["sm_dca"][:1])


def test_unknown_names_are_guessed(granules: list[Path], area: Area) -> None:
    with pytest.raises(UsageError, match="Did you mean 'tb_h'"):
        open_(granules, area, variables=["tbh"])
    with pytest.raises(UsageError, match="Did you mean 'successful'"):
        open_(granules, area, quality="succesful")
    with pytest.raises(UsageError, match="overpass"):
        open_(granules, area, overpass="noon")


LAYOUTS: dict[str, dict[str, Any]] = {
    "as the product": {"chunks": (1, 3856), "compression": 2},
    "as the product, all rows": {"chunks": (1, 3856), "compression": 2},
    "three rows": {"chunks": (3, 3856), "compression": 2},
    "shuffled": {"chunks": (1, 3856), "compression": 2, "shuffle": True},
    "tiles": {"chunks": (16, 64), "compression": 2},
    "contiguous": {},
}


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows in every layout; rows beyond them were never allocated."""
    path = tmp_path_factory.mktemp("layouts") / "layouts.h5"
    rows = np.random.default_rng(0).integers(0, 9, (12, 3856)).astype("f4")
    with h5py.File(path, "w") as file:
        for name, how in LAYOUTS.items():
            dataset = file.create_dataset(name, (1624, 3856), "f4", fillvalue=-7, **how)
            dataset[100:112] = rows
            if name.endswith("all rows"):
                dataset[:100] = dataset[112:] = 1
    return path


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=12, deadline=None)
@given(row=st.integers(96, 113), col=st.integers(0, 3855), rows=st.integers(1, 9), cols=st.integers(1, 80))
def test_windows_equal_h5py(laid_out: Path, name: str, row: int, col: int, rows: int, cols: int) -> None:
    grid = EASE2_M09.window(row, row + rows, col, col + cols)
    with h5py.File(laid_out) as file:
        wanted = file[name][row : row + rows, col : col + cols]
        same(window(file[name], grid), wanted)


def test_threads_give_the_same(world: SimpleNamespace, granules: list[Path], area: Area) -> None:
    """Pitfall 7: whatever the scheduler."""
    one, many = (open_(granules, area).load(scheduler=s) for s in ("sync", "threads"))
    xr.testing.assert_identical(one, many)
