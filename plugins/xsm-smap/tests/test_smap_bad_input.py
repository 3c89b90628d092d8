"""Bad files: one sentence that names the file; with ``on_error="skip"`` they are named and left out."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from xsm import DataError
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_smap.source import SmapSource

AM = "Soil_Moisture_Retrieval_Data_AM"
NAME = "SMAP_L3_SM_P_E_20220602_R19240_007.h5"
open_ = functools.partial(open_files, SmapSource())


def page(path: Path) -> None:
    path.write_text("\n<!DOCTYPE html>\n<html><title>Earthdata Login</title></html>")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def other_groups(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("Geophysical_Data")


def small(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file[AM]["albedo_dca"]
        file[AM]["albedo_dca"] = np.zeros((10, 20), "f4")


def without(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file[AM]["surface_temperature"]


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "login page": (page, "login page"),
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "text": (lambda p: p.write_text("not found"), "not an HDF5 file"),
    "truncated": (cut, "truncated"),
    "other product": (other_groups, "Geophysical_Data"),
    "wrong shape": (small, r"albedo_dca has the shape 10 x 20, expected 1624 x 3856"),
    "missing dataset": (without, "no dataset .*surface_temperature"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_file(case: str, granules: list[Path], area: Area, world: SimpleNamespace, tmp_path: Path) -> None:
    spoil, message = CASES[case]
    bad = tmp_path / NAME
    shutil.copy(granules[1], bad)
    spoil(bad)
    with pytest.raises(DataError, match=message) as caught:
        open_([*granules, bad], region=area)
    assert str(bad) in str(caught.value)
    got = open_([*granules, bad], region=area, on_error="skip")
    (entry,) = got.attrs["skipped"]
    assert re.search(message, entry) and str(bad) in entry  # with its folder
    np.testing.assert_array_equal(got["tb_h"], world.smap["tb_h"])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=NAME):
        open_([tmp_path / NAME])


def test_all_bad(tmp_path: Path) -> None:
    page(tmp_path / NAME)
    with pytest.raises(DataError, match=f"None of the 1 .*{NAME}"):
        open_([tmp_path / NAME], on_error="skip")


@pytest.mark.parametrize(
    ("groups", "message"), [(True, "Polar_AM and .*Polar_PM contain nothing"), (False, "it contains Meta")]
)
def test_no_polar_grid(granules: list[Path], tmp_path: Path, groups: bool, message: str) -> None:
    """Once, the hint suggested another release."""
    path = tmp_path / NAME
    shutil.copy(granules[1], path)
    if not groups:
        with h5py.File(path, "r+") as file:
            for name in [n for n in file if "Polar" in n]:
                del file[name]
    with pytest.raises(DataError, match=f"no values on the polar grid .*{message}.*projection='global'"):
        open_([path], projection="polar")


def test_old_release_without_dca(granules: list[Path], area: Area, tmp_path: Path) -> None:
    """Before R18 ``soil_moisture`` was the single channel algorithm: it is never read as DCA."""
    old = tmp_path / "SMAP_L3_SM_P_E_20220602_R17400_001.h5"
    shutil.copy(granules[1], old)
    with h5py.File(old, "r+") as file:
        del file[AM]["soil_moisture_dca"]
    with pytest.raises(DataError, match="R17400 may mean another algorithm"):
        open_([old], region=area, variables=["sm_dca"])


@pytest.mark.parametrize("spoilt", [b"no zlib stream", zlib.compress(bytes(100))])
def test_damaged_rows_fail_when_read(granules: list[Path], area: Area, tmp_path: Path, spoilt: bytes) -> None:
    bad = tmp_path / NAME
    shutil.copy(granules[1], bad)
    with h5py.File(bad, "r+") as file:
        file[AM]["albedo_dca"].id.write_direct_chunk((302, 0), spoilt)
    with pytest.raises(DataError, match=NAME):
        open_([bad], region=area, variables=["albedo"]).load(scheduler="sync")
    skipping = open_([bad], region=area, variables=["albedo"], on_error="skip")
    with pytest.warns(UserWarning, match=NAME):
        assert skipping["albedo"].load(scheduler="sync").isnull().all()


def test_nothing_in_the_period(granules: list[Path], area: Area) -> None:
    with pytest.raises(DataError, match="2019-01-01 to 2019-12-31"):
        open_(granules, region=area, time=slice("2019", "2019"))


def test_unlike_grids(granules: list[Path], tmp_path: Path) -> None:
    coarse = tmp_path / "SMAP_L3_SM_P_20200101_R19240_001.h5"
    with h5py.File(coarse, "w") as file:
        file[f"{AM}/albedo_dca"] = np.zeros((406, 964), "f4")
    with pytest.raises(DataError, match="different kinds"):
        open_([*granules, coarse], variables=["albedo"])


def test_identify(granules: list[Path], tmp_path: Path) -> None:
    identify = SmapSource().identify
    assert identify(granules[0])
    assert identify(Path("SMAP_L2_SM_P_02801_A_20150811T013002_R18290_001.h5"))
    assert identify(Path("SMAP_L3_SM_P_20150331_R18290_002.h5"))
    assert not identify(Path("NLDAS_NOAH0125_H.A20220601.0000.020.nc"))
    renamed, other, text = (tmp_path / n for n in ("day.h5", "other.h5", "text.h5"))
    shutil.copy(granules[0], renamed)
    other_groups(other)
    page(text)
    assert identify(renamed)
    assert not identify(other)
    assert not identify(text)


def test_day_of_a_renamed_file(granules: list[Path], area: Area, world: SimpleNamespace, tmp_path: Path) -> None:
    renamed = tmp_path / "day.h5"
    shutil.copy(granules[1], renamed)
    got = open_([renamed], region=area, variables=["tb_h"])
    np.testing.assert_array_equal(got["time"], world.days[1:2].astype("M8[ns]"))


def test_row_that_lies_where_another_dataset_lies(granules: list[Path], area: Area, tmp_path: Path) -> None:
    """A pointer to a row of values is overwritten with that to another dataset's row."""
    bad = tmp_path / NAME
    shutil.copy(granules[1], bad)
    with h5py.File(bad) as file:
        mine, other = (
            file[AM][name].id.get_chunk_info_by_coord((area.grid.row0, 0)).byte_offset.to_bytes(8, "little")
            for name in ("tb_h_corrected", "tb_v_corrected")
        )
    whole = bad.read_bytes()
    assert whole.count(mine) == 1
    bad.write_bytes(whole.replace(mine, other))
    with pytest.raises(DataError, match="contains the values of another dataset"):
        open_([bad], region=area, variables=["tb_h", "tb_v"]).load()


def test_day_of_the_name_against_the_metadata(granules: list[Path], area: Area, tmp_path: Path) -> None:
    """A file under the name of another day is refused; the metadata may begin a day before."""
    for day in ("20220620", "20220603"):
        shutil.copy(granules[0], tmp_path / NAME.replace("20220602", day))
    wrong, right = sorted(tmp_path.iterdir(), reverse=True)
    with pytest.raises(DataError, match=f"{wrong.name}' contain the time '2022-06-01T.*its name the day 2022-06-20"):
        open_([wrong], region=area, variables=["tb_h"])
    got = open_([wrong, granules[1]], region=area, variables=["tb_h"], on_error="skip")
    assert wrong.name in got.attrs["skipped"][0] and got.sizes["time"] == 1
    with h5py.File(right, "r+") as file:
        file["Metadata/Extent"].attrs["rangeBeginningDateTime"] = np.bytes_(b"2022-06-02T18:00:00.000Z")
    assert open_([right], region=area, variables=["tb_h"])["time"].values[0] == np.datetime64("2022-06-03")


@pytest.mark.parametrize("other", [1.0, 0.5])
def test_two_files_of_one_granule_are_copies_or_refused(
    granules: list[Path], area: Area, tmp_path: Path, other: float
) -> None:
    twin = tmp_path / granules[0].name
    shutil.copy(granules[0], twin)
    if other != 1:
        with h5py.File(twin, "r+") as file:
            file[AM]["soil_moisture_dca"][...] *= other
    for paths in ([granules[0], twin], [twin, granules[0]]):
        if other == 1:
            assert open_(paths, region=area, variables=["sm_dca"]).sizes["time"] == 1
        else:
            with pytest.raises(DataError, match="of one time, release and counter, but their contents differ"):
                open_(paths, region=area, variables=["sm_dca"])


def test_dims_without_names_are_no_traceback(granules: list[Path], area: Area, tmp_path: Path) -> None:
    """Dimension scales of which the file has lost the names: deleted, so that only their references are left."""
    bad = tmp_path / granules[0].name
    shutil.copy(granules[0], bad)
    with h5py.File(bad, "r+") as file:
        for name in ("a", "b"):
            file[name] = np.arange(5)
            file[name].make_scale(name)
        for dataset in file[AM].values():
            for axis, name in zip(dataset.dims, ("a", "b"), strict=False):
                axis.attach_scale(file[name])
        del file["a"], file["b"]
    with contextlib.suppress(DataError):
        assert open_([bad], region=area, variables=["sm_dca"])["sm_dca"].notnull().any()
