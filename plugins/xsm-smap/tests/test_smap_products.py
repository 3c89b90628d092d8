"""Files of other products and services: named, with what to request instead; among good ones left out and told."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from xsm import DataError
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_smap.l4 import SmapL4Source
from xsm_smap.source import SmapSource

open_ = functools.partial(open_files, SmapSource())
OTHERS = {
    "SMAP_L3_SM_AP_20150501_R13080_001.h5": "file of SPL3SMAP, .*Request SPL3SMP_E or SPL3SMP",
    "SMAP_L2_SM_AP_01234_D_20150501T000000_R13080_001.h5": "file of SPL2SMAP, .*Request SPL2SMP_E",
    "SMAP_L2_SM_SP_1AIWDV_20210325T120000_20210325T120000_100W35N_R19240_001.h5": "file of SPL2SMAP_S, .*Request",
    "SMAP_L4_SM_aup_20200128T150000_Vv4030_001.h5": "file of SPL4SMAU, .*Request SPL4SMGP",
    "SMAP_L4_SM_lmc_00000000T000000_Vv7030_001.h5": "file of SPL4SMLM, .*Request SPL4SMGP",
    "SMAP_L4_SM_gph_20210402T013000_Vv7032_001.h5": "file of SPL4SMGP, .*Open it with",
    "SMAP_L3_FT_P_20210402_R18290_001.h5": "file of SPL3FTP, .*Request",
    "SPL3SMP_E.006_9km_aid0001.nc": "AppEEARS.*Request the granules",
    "SPL3SMP_E.006_Soil_Moisture_Retrieval_Data_AM_soil_moisture_doy2021092000000_aid0001.tif": "AppEEARS.*Request",
    "test-SPL3SMP-E-006-results.csv": "AppEEARS.*Request",
}


@pytest.mark.parametrize("name", OTHERS)
def test_told_by_name(name: str, granules: list[Path], area: Area, tmp_path: Path) -> None:
    path = tmp_path / name
    shutil.copy(granules[0], path)
    with pytest.raises(DataError, match=OTHERS[name]) as caught:
        open_([path])
    assert "Download it again" not in str(caught.value)
    got = open_([*granules, path], region=area, variables=["tb_h"], on_error="skip")
    assert name in got.attrs["skipped"][0] and got["tb_h"].notnull().any()


@pytest.mark.parametrize("name", [*OTHERS][3:5])
def test_level_4_names_other_products(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"file of SPL4SM(AU|LM), expected SPL4SMGP"):
        open_files(SmapL4Source(), [path])


def tables(path: Path) -> None:
    path.write_text("ID,Latitude,Longitude,Date,SPL3SMP_E_006_soil_moisture\np1,36,-99,2021-04-02,0.25\n")


def titled(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["title"] = np.bytes_(b"SPL3SMP_E.006 for aid0001")


def named(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("Soil_Moisture_Retrieval_Data")["soil_moisture"] = np.zeros(3, "f4")
        file.require_group("Metadata/DatasetIdentification").attrs["shortName"] = np.bytes_(b"SPL3SMAP")


def groups(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("Analysis_Data")


def netcdf3(path: Path) -> None:
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(path, engine="scipy")


def tiff(path: Path) -> None:
    path.write_bytes(b"II*\0" + bytes(100))


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (tables, "points.csv", "AppEEARS"),
        (titled, "renamed.nc", "AppEEARS"),
        (named, "renamed.h5", "file of SPL3SMAP"),
        (groups, "renamed.h5", "file of SPL4SMAU"),
        (netcdf3, "day.nc", "netCDF-3"),
        (tiff, "day.tif", "TIFF"),
    ],
)
def test_told_by_content(make: Any, name: str, message: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(DataError, match=message) as caught:
        open_([tmp_path / name])
    assert "Download it again" not in str(caught.value)


def test_few_of_another_grid_are_left_out(granules: list[Path], area: Area, tmp_path: Path) -> None:
    coarse = tmp_path / "SMAP_L3_SM_P_20220603_R19240_001.h5"
    with h5py.File(coarse, "w") as file:
        file["Soil_Moisture_Retrieval_Data_AM/albedo_dca"] = np.zeros((406, 964), "f4")
    got = open_([*granules, coarse], region=area, variables=["albedo"], on_error="skip")
    (line,) = got.attrs["skipped"]
    assert coarse.name in line and "EASE2_M36" in line and got["albedo"].notnull().any()


def test_two_datasets_for_one_thing_stop(tmp_path: Path) -> None:
    path = tmp_path / "SMAP_L3_SM_P_E_20210402_R19240_001.h5"
    with h5py.File(path, "w") as file:
        for name in ("albedo_dca", "albedo_dca_pm"):
            file[f"Soil_Moisture_Retrieval_Data_Polar_PM/{name}"] = np.zeros((2000, 2000), "f4")
    with pytest.raises(DataError, match=r"albedo_dca_pm and albedo_dca in .*nothing says which"):
        open_([path], variables=["albedo"], projection="polar", overpass="PM")


def test_old_file_under_a_new_name_stays_old(granules: list[Path], area: Area, tmp_path: Path) -> None:
    path = tmp_path / granules[0].name
    shutil.copy(granules[0], path)
    with h5py.File(path, "r+") as file:
        file["Metadata/DatasetIdentification"].attrs["CompositeReleaseID"] = np.bytes_(b"R16510")
        del file["Soil_Moisture_Retrieval_Data_AM/soil_moisture_dca"]
    with pytest.raises(DataError, match="release R16510 may mean another algorithm"):
        open_([path], region=area, variables=["sm_dca"])
