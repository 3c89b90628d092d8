"""ISMN archives, written files in both layouts, and the `ismn` package as an independent reader."""

from __future__ import annotations

import functools
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ismn.filehandlers import DataFile
from xsm import DataError
from xsm.testing import check_source, open_files
from xsm.twin import World, make_world
from xsm_insitu.ismn import IsmnSource
from xsm_insitu.write_ismn import write_stm

SOURCE = IsmnSource()
open_ = functools.partial(open_files, SOURCE)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world((-98.0, 35.5, -96.8, 36.5), days=4)


@pytest.fixture(scope="module")
def files(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return SOURCE.write(world, tmp_path_factory.mktemp("ismn"))


def test_round_trip_to_four_decimals(files: list[Path], world: World) -> None:
    ds = open_(files, keep=("G", "D", "U", "C"))
    assert ds.sizes["sensor"] == world.stations.sizes["sensor"] and "no measurements" in ds.attrs["synthetic"]
    names = np.char.replace(world.stations["station"].values.astype(str), " ", "-")
    for i, depth in enumerate(world.stations["depth"].values):
        at = np.flatnonzero((ds["station"].values == names[i]) & (ds["depth"].values == depth))
        got = ds["soil_moisture"][int(at[0])].reindex(time=world.stations["time"])
        np.testing.assert_allclose(got, world.stations["soil_moisture"][i], atol=5.1e-5)


@pytest.mark.parametrize("form", ["header_values", "ceop"])
def test_equal_to_the_ismn_package(world: World, tmp_path: Path, form: str) -> None:
    for path in write_stm(world.stations, tmp_path, form=form)[:7]:  # type: ignore[arg-type]
        theirs = DataFile(tmp_path, path.relative_to(tmp_path)).read_data()
        mine = open_([path], keep=("G", "D", "U", "C"))
        there = np.isfinite(mine["soil_moisture"].values[0])
        np.testing.assert_allclose(mine["soil_moisture"].values[0][there], theirs["soil_moisture"], rtol=1e-6)
        assert (mine["time"].values[there] == theirs.index.values).all()


def test_real_files_equal_the_ismn_package() -> None:
    folder = os.environ.get("XSM_TEST_DATA")
    if not folder:
        pytest.skip("XSM_TEST_DATA is not set: the real ISMN files are not here")
    root = Path(folder) / "insitu" / "ismn"
    compared = 0
    for path in sorted(root.rglob("*.stm")):
        theirs = DataFile(root, path.relative_to(root)).read_data()
        mine = open_([path], keep=("G", "D", "U", "C"))["soil_moisture"][0].dropna("time")
        good = theirs["soil_moisture"].between(0, 1) & ~theirs["soil_moisture_flag"].str.startswith("M").to_numpy()
        np.testing.assert_allclose(mine, theirs["soil_moisture"][good], rtol=1e-6)
        assert (mine["time"].values == theirs.index[good].values).all()
        compared += len(mine)
    assert compared > 100_000


def pack(files: list[Path], path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, "/".join(file.parts[-3:]))
        archive.writestr("Metadata.xml", "<x/>")
        archive.writestr("XSMTWIN/a/XSMTWIN_XSMTWIN_a_static_variables.csv", "not read")
        archive.writestr("XSMTWIN/a/XSMTWIN_XSMTWIN_a_p_0.000000_0.000000_x_20210401_20210405.stm", "not read")
    return path


def test_an_archive_reads_as_its_folder(files: list[Path], tmp_path: Path) -> None:
    path = pack(files, tmp_path / "Data_separate_files_header_20210401_20210405.zip")
    assert SOURCE.identify(path) and not SOURCE.identify(files[0].with_suffix(".csv"))
    xr.testing.assert_identical(open_([path]), open_(files))


def test_damaged_archives_are_reported(files: list[Path], tmp_path: Path) -> None:
    path = pack(files, tmp_path / "a.zip")
    raw = path.read_bytes()
    cut, spoilt, other = tmp_path / "cut.zip", tmp_path / "spoilt.zip", tmp_path / "other.zip"
    cut.write_bytes(raw[:1000])
    at = raw.find(b".stm") + 40  # inside the first member's compressed rows
    spoilt.write_bytes(raw[:at] + bytes([raw[at] ^ 16]) + raw[at + 1 :])
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    for bad in (cut, spoilt, other):
        with pytest.raises(DataError, match=bad.name):
            open_([bad])
        ds = open_([bad, files[0]], on_error="skip")
        assert bad.name in ds.attrs["skipped"][0] and ds.sizes["sensor"] >= 1


def test_contract(world: World, tmp_path: Path) -> None:
    check_source("ismn", world=world, tmp=tmp_path)
