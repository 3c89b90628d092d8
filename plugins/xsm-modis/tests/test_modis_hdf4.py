"""MCD12Q1 and MCD12C1 in HDF4: real files of the format, written by xsm and checked with pyhdf."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer
from xsm import DataError, MissingPlugin
from xsm.plugin_api import Area
from xsm.testing import check_canonical, open_files
from xsm.twin import World, make_world
from xsm_modis import INFO, hdf4
from xsm_modis.backend import LandCoverBackend
from xsm_modis.source import LandCoverSource
from xsm_modis.write_hdf4 import write_global, write_tiles

pyhdf = pytest.importorskip("pyhdf.SD")
SOURCE = LandCoverSource()
open_ = functools.partial(open_files, SOURCE)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world((-98.2, 39.9, -97.8, 40.1), days=1)  # over the edge of two tiles, at 40 N


@pytest.fixture(scope="module")
def tiles(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_tiles(world, tmp_path_factory.mktemp("q1"))


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_global(world, tmp_path_factory.mktemp("c1"))[0]


def plain(path: Path, name: str) -> np.ndarray:
    file = pyhdf.SD(str(path), pyhdf.SDC.READ)
    values = file.select(name).get()
    file.end()
    return values


def test_tiles_equal_pyhdf_and_the_world(tiles: list[Path], world: World) -> None:
    assert [p.name[17:23] for p in tiles] == ["h10v04", "h10v05"]
    ds = open_(tiles)
    check_canonical(ds, INFO)
    assert ds.sizes == {"y": 4800, "x": 2400} and ds.attrs["year"] == 2021 and ds.attrs["synthetic"]
    got = ds["land_cover"].values
    np.testing.assert_array_equal(got, np.vstack([plain(p, "LC_Type1") for p in tiles]))
    row, col = np.nonzero(got != 255)
    some = np.random.default_rng(1).choice(len(row), 500)
    to_degrees = Transformer.from_crs(hdf4.SINUSOIDAL, 4326, always_xy=True).transform
    lon, lat = to_degrees(ds["x"].values[col[some]], ds["y"].values[row[some]])
    np.testing.assert_array_equal(got[row[some], col[some]], world.land_cover_at(lon, lat))
    assert ds["y"].values[0] - ds["y"].values[1] == pytest.approx(463.312716525, abs=1e-6)


def test_region_reads_a_window(tiles: list[Path], world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    windows: list[list[str]] = []
    run = hdf4.subprocess.run
    monkeypatch.setattr(hdf4.subprocess, "run", lambda command, **k: windows.append(command[4:]) or run(command, **k))
    ds = open_(tiles, region=Area((-98.1, 39.95, -98.0, 40.05), world.grid))
    assert windows == [[], []]  # only the heads are read while the graph is built
    got = ds["land_cover"].load()
    assert all(int(w[2]) - int(w[1]) < 100 for w in windows[2:])
    full = open_(tiles)["land_cover"]
    np.testing.assert_array_equal(got, full.sel(y=got["y"], x=got["x"], method="nearest"))


def test_global_map_has_water_zero(whole: Path, world: World) -> None:
    ds = open_([whole])
    assert ds.sizes == {"y": 3600, "x": 7200} and ds["y"].values[0] == 89.975 and ds["x"].values[0] == -179.975
    stored = plain(whole, "Majority_Land_Cover_Type_1")
    got = ds["land_cover"].values
    np.testing.assert_array_equal(got, np.where(stored == 0, 17, stored))
    row, col = np.nonzero(got != 255)
    np.testing.assert_array_equal(got[row, col], world.land_cover_at(ds["x"].values[col], ds["y"].values[row]))


def test_water_is_17_in_tiles_and_0_in_the_global_map(tmp_path: Path) -> None:
    class Sea:
        bbox, days, seed = (-97.0, 41.0, -96.9, 41.1), np.array(["2020-01-01"], "M8[D]"), 0

        @staticmethod
        def land_cover_at(lon: Any, lat: Any) -> np.ndarray:
            return np.full(np.shape(lon), 17)

    (tile,), (whole,) = write_tiles(Sea, tmp_path), write_global(Sea, tmp_path)
    assert set(np.unique(plain(tile, "LC_Type1"))) == {17, 255}
    assert set(np.unique(plain(whole, "Majority_Land_Cover_Type_1"))) == {0, 255}
    for path in (tile, whole):
        assert set(np.unique(open_([path])["land_cover"])) == {17, 255}


def test_engine_concatenates_years(whole: Path, tmp_path: Path) -> None:
    later = tmp_path / whole.name.replace("A2021", "A2022")
    later.write_bytes(whole.read_bytes())
    ds = xr.open_mfdataset([whole, later], engine=LandCoverBackend)
    assert ds["time"].values.astype("M8[Y]").astype(str).tolist() == ["2021", "2022"]
    np.testing.assert_array_equal(ds["land_cover"][1], open_([whole])["land_cover"])


def rewrite(
    path: Path, metadata: str, name: str = "LC_Type1", values: np.ndarray | None = None, kind: Any = None
) -> None:
    from xsm_modis.write_hdf4 import write_dataset

    write_dataset(path, name, np.full((2400, 2400), 3, "u1") if values is None else values, metadata)


NAME = "MCD12Q1.A2021001.h10v05.061.2021365000000.hdf"
BAD: dict[str, Any] = {
    "empty": lambda p: p.write_bytes(b""),
    "page": lambda p: p.write_text("<html>Earthdata Login</html>"),
    "other dataset": lambda p: rewrite(p, hdf4.structure(10, 5), name="LC_Type2"),
    "other shape": lambda p: rewrite(p, hdf4.structure(10, 5), values=np.zeros((10, 20), "u1")),
    "other tile": lambda p: rewrite(p, hdf4.structure(11, 5)),
    "no place": lambda p: rewrite(p, "END\n"),
    "off the lattice": lambda p: rewrite(p, hdf4.structure(10, 5).replace("4447802", "4447700")),
}


@pytest.mark.parametrize("how", BAD)
def test_bad_files_are_named_and_skipped(tiles: list[Path], tmp_path: Path, how: str) -> None:
    bad = tmp_path / NAME
    BAD[how](bad)
    with pytest.raises(DataError, match=NAME):
        open_([bad])
    ds = open_([tiles[0], bad], on_error="skip")
    assert NAME in ds.attrs["skipped"][0] and ds.sizes["y"] == 2400


def test_flipped_bits_are_detected(tiles: list[Path], tmp_path: Path) -> None:
    """The HDF4 library ignores the checksum of a deflated element; xsm verifies it."""
    raw = tiles[1].read_bytes()
    at = raw.index(b"\x78\x5e") + 2000
    bad = tmp_path / tiles[1].name
    bad.write_bytes(raw[:at] + bytes([raw[at] ^ 8]) + raw[at + 1 :])
    with pytest.raises(DataError, match=f"{bad.name}.*zlib.error"):
        open_([bad])


def test_damage_that_shows_later_is_missing_when_skipped(tiles: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / tiles[1].name
    bad.write_bytes(tiles[1].read_bytes())
    strict, lenient = open_([bad]), open_([bad], on_error="skip")
    bad.write_bytes(b"gone")
    with pytest.raises(DataError, match=bad.name):
        strict.load()
    with pytest.warns(UserWarning, match=f"left out: .*{bad.name}"):
        assert (lenient["land_cover"].load() == 255).all()


def test_a_crash_and_a_hang_of_the_library_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child process is replaced by one that kills itself, then by one that never ends."""
    bad, child = tmp_path / NAME, tmp_path / "hdf4_child.py"
    bad.write_bytes(b"\x0e\x03\x13\x01")
    monkeypatch.setattr(hdf4, "__file__", str(tmp_path / "hdf4.py"))
    child.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(DataError, match=f"{NAME}.*crashed, signal 11"):
        open_([bad])
    child.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(hdf4, "SECONDS", 0.5)
    with pytest.raises(DataError, match=f"{NAME}.*could not be read within"):
        open_([bad])


def test_without_pyhdf_the_extra_is_named(tiles: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyhdf", None)
    monkeypatch.setattr(hdf4.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPlugin, match=r"xsm-modis\[hdf4\]"):
        open_(tiles)


def test_the_child_does_not_see_modules_beside_the_file(tiles: list[Path], tmp_path: Path) -> None:
    """Neither `source.py` and `write.py` beside it nor files in the working folder shadow a module."""
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)")
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert open_(tiles[:1])["land_cover"][0, 0].load() == 255
    finally:
        os.chdir(here)


def test_data_in_another_file_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(1, 17)) * (2400 * 2400 // 16))
    path = tmp_path / "MCD12Q1.A2020001.h10v05.061.2022171160153.hdf"
    file = pyhdf.SD(str(path), pyhdf.SDC.WRITE | pyhdf.SDC.CREATE)
    dataset = file.create("LC_Type1", pyhdf.SDC.UINT8, (2400, 2400))
    dataset.setexternalfile(str(secret), 0)
    dataset.endaccess()
    file.attr("StructMetadata.0").set(pyhdf.SDC.CHAR, hdf4.structure(10, 5))
    file.end()
    with pytest.raises(DataError, match="names another file for its data"):
        open_files(LandCoverSource(), [path])


def test_what_is_no_hdf4_is_not_given_to_the_library(tmp_path: Path) -> None:
    path = tmp_path / "MCD12Q1.A2020001.h10v05.061.2022171160153.hdf"
    xr.Dataset({"LC_Type1": (("y", "x"), np.ones((3, 3), "u1"))}).to_netcdf(path, format="NETCDF3_64BIT")
    with pytest.raises(DataError, match="does not begin as HDF4 does"):
        open_files(LandCoverSource(), [path])
