"""Genuine files: a Level-2 half orbit and Level-3 cells kept as points, against plain h5py and xarray."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from xsm import EASE2_M09, EASE2_M36, DataError
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_smap.l2 import scatter
from xsm_smap.source import SmapSource

open_ = functools.partial(open_files, SmapSource())
NAME = "SMAP_L2_SM_P_02801_A_20150811T013002_R18290_001.h5"


@pytest.fixture(scope="module")
def orbit(real: Path) -> Path:
    return real / "smap_l2" / NAME


@pytest.fixture(scope="module")
def cells(orbit: Path) -> dict[str, np.ndarray]:
    with h5py.File(orbit) as file:
        return {n: d[:] for n, d in file["Soil_Moisture_Retrieval_Data"].items()}


def place(values: np.ndarray, cells: dict[str, np.ndarray], fill: float) -> np.ndarray:
    """One cell after the other."""
    out = np.full(EASE2_M36.shape, fill, values.dtype)
    for value, row, col in zip(values, cells["EASE_row_index"], cells["EASE_column_index"], strict=True):
        out[row, col] = value
    return out


def test_half_orbit(orbit: Path, cells: dict[str, np.ndarray]) -> None:
    got = open_([orbit], overpass="PM").load()
    assert got.sizes == {"time": 1, "y": 406, "x": 964}
    assert got["time"].values[0] == np.datetime64("2015-08-11")
    assert (got.attrs["crid"], got.attrs["product_version"]) == ("R18290", "008")
    ancillary = {
        "albedo": "albedo_option3",
        "roughness": "roughness_coefficient_option3",
        "vegetation_opacity": "vegetation_opacity_option3",
        "vegetation_water_content": "vegetation_water_content",
        "surface_temperature": "surface_temperature",
    }
    for name, dataset in ancillary.items():
        truth = cells[dataset]
        np.testing.assert_array_equal(got[name][0], place(np.where(truth == -9999, np.nan, truth), cells, np.nan))
    for name, option in {"sm_dca": 3, "sm_scav": 2, "sm_scah": 1}.items():
        truth, flag = cells[f"soil_moisture_option{option}"], cells[f"retrieval_qual_flag_option{option}"]
        keep = (truth != -9999) & (flag & 6 == 0)
        np.testing.assert_array_equal(got[name][0], place(np.where(keep, truth, np.nan), cells, np.nan))
    for p in "hv":
        truth = cells[f"tb_{p}_corrected"]
        keep = (truth != -9999) & (cells[f"tb_qual_flag_{p}"] & 1 == 0) & (cells["grid_surface_status"] == 0)
        np.testing.assert_array_equal(got[f"tb_{p}"][0], place(np.where(keep, truth, np.nan), cells, np.nan))
    np.testing.assert_array_equal(got["retrieval_flag"][0], place(cells["retrieval_qual_flag_option3"], cells, 65534))
    np.testing.assert_array_equal(got["surface_flag"][0], place(cells["surface_flag"], cells, 65534))


def test_half_orbit_beyond_valid_max(orbit: Path, cells: dict[str, np.ndarray]) -> None:
    """The file's own ``valid_max`` would delete roughness and soil moisture that we keep."""
    got = open_([orbit], overpass="PM", variables=["roughness", "sm_dca"]).load()
    assert int((got["roughness"] > 1).sum()) == int((cells["roughness_coefficient_option3"] > 1).sum()) > 100
    assert int((got["sm_dca"] > 0.5).sum()) > 10


def test_half_orbit_time_agrees_with_its_text(orbit: Path, cells: dict[str, np.ndarray]) -> None:
    got = open_([orbit], overpass="PM", variables=["obs_time"])["obs_time"][0].values
    text = np.char.rstrip(cells["tb_time_utc"].astype(str), "Z")
    whole = np.char.count(text, "*") == 0  # a few genuine cells have *** for the milliseconds
    assert whole.mean() > 0.99
    apart = got[cells["EASE_row_index"], cells["EASE_column_index"]][whole] - text[whole].astype("M8[ms]")
    assert np.abs(apart).max() <= np.timedelta64(1, "ms")  # the text is rounded by the producer


def test_half_orbit_coordinates(orbit: Path, cells: dict[str, np.ndarray]) -> None:
    """The file's latitude and longitude are those of the grid definition, in float32."""
    assert np.abs(EASE2_M36.lat[cells["EASE_row_index"]] - cells["latitude"]).max() < 1e-5
    assert np.abs(EASE2_M36.lon[cells["EASE_column_index"]] - cells["longitude"]).max() < 1e-4


def test_half_orbit_in_a_region(orbit: Path) -> None:
    box = EASE2_M09.region((-125, 25, -110, 50))
    whole = open_([orbit], overpass="both", variables=["sm_dca", "surface_flag"]).load()
    part = open_([orbit], region=Area(box.bbox, box), overpass="both", variables=["sm_dca", "surface_flag"]).load()
    assert part["sm_dca"].notnull().sum() > 50
    xr.testing.assert_equal(part, whole.sel(x=part["x"], y=part["y"]))


def test_half_orbit_of_the_other_pass(orbit: Path) -> None:
    with pytest.raises(DataError, match=r"PM pass only, expected AM.*overpass='PM'"):
        open_([orbit])


def test_half_orbit_over_midnight(orbit: Path, cells: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Cells before and after midnight belong to their own UTC days."""
    late = tmp_path / NAME
    shutil.copy(orbit, late)
    seconds = cells["tb_time_seconds"] - 2 * 3600
    with h5py.File(late, "r+") as file:
        file["Soil_Moisture_Retrieval_Data/tb_time_seconds"][:] = seconds
        file["Metadata/Extent"].attrs["rangeEndingDateTime"] = np.bytes_(b"2015-08-11T00:23:23.652Z")
    late = late.rename(tmp_path / NAME.replace("20150811T013002", "20150810T233002"))
    got = open_([late], overpass="PM", variables=["surface_flag", "obs_time"]).load()
    midnight = (np.datetime64("2015-08-11") - np.datetime64("2000-01-01T12:00:00")) / np.timedelta64(1, "s")
    counts = [int((seconds < midnight).sum()), int((seconds >= midnight).sum())]
    assert min(counts) > 1000
    assert [int((d != 65534).sum()) for d in got["surface_flag"]] == counts
    assert np.nanmax(got["obs_time"].values) < np.datetime64("2015-08-12")


def test_half_orbit_under_another_day(orbit: Path, tmp_path: Path) -> None:
    wrong = tmp_path / NAME.replace("20150811", "20150611")
    shutil.copy(orbit, wrong)
    with pytest.raises(DataError, match=f"{wrong.name}' contain the time '2015-08-11T01:30.*the day 2015-06-11"):
        open_([wrong], overpass="PM")


def test_scatter_averages_values_and_takes_the_last_flag() -> None:
    grid = EASE2_M36.window(10, 12, 20, 22)
    row, col = np.array([10, 10, 11, 65534, 50], "u2"), np.array([20, 20, 21, 65534, 20], "u2")
    got = scatter(np.array([1, 2, 5, 7, 9], "f4"), row, col, grid)
    np.testing.assert_array_equal(got, [[1.5, -9999], [-9999, 5]])
    np.testing.assert_array_equal(scatter(np.array([1, -9999, 5, 7, 9], "f4"), row, col, grid)[0], [1, -9999])
    np.testing.assert_array_equal(scatter(np.array([1, 2, 5, 7, 9], "u2"), row, col, grid), [[2, 65534], [65534, 5]])


@pytest.fixture(scope="module")
def points(real: Path) -> list[Path]:
    return sorted((real / "smap_l3_9km_points").glob("*/*.nc"))


def test_points(points: list[Path]) -> None:
    with pytest.warns(UserWarning, match="do not contain the pass"):
        am, pm = (open_(points, overpass=p)["sm_dca"].load() for p in ("AM", "PM"))
        assert open_(points[:1]).attrs["overpass"] == "AM or unknown"
    assert am.shape == (46, 62, 65)
    np.testing.assert_array_equal(am["time"], np.arange("2020-01-01", "2020-02-16", dtype="M8[D]").astype("M8[ns]"))
    assert am.sel(time="2020-01-29").isnull().all()
    table = xr.open_dataset(points[0]).to_dataframe()
    assert len(table) == 5227
    for got, keep in ((am[0], "first"), (pm[0], "last")):
        cells = table.drop_duplicates(["latitude", "longitude"], keep=keep)
        row, col = EASE2_M09.rowcol(cells["longitude"], cells["latitude"])
        assert int(got.notnull().sum()) == len(cells) == 4018
        first_row, first_col = (int(v) for v in EASE2_M09.rowcol(*_corner(got)))
        np.testing.assert_array_equal(got.values[row - first_row, col - first_col], cells["soil_moisture_dca"])


def _corner(got: xr.DataArray) -> tuple[float, float]:
    from pyproj import Transformer

    return Transformer.from_crs(6933, 4326, always_xy=True).transform(float(got["x"][0]), float(got["y"][0]))


def test_points_both_takes_the_evening_in_western_australia(points: list[Path]) -> None:
    """At 119 degrees east 18:00 local solar time is 10 UTC, 06:00 is 22 UTC: the evening is nearer noon."""
    with pytest.warns(UserWarning):
        evening = open_(points[:9], overpass="PM")
    xr.testing.assert_equal(open_(points[:9], overpass="both").load(), evening.load())


def test_points_at_36_km_in_a_region(real: Path) -> None:
    paths = sorted((real / "smap_l3_36km_points").glob("*/*.nc"))
    box = EASE2_M09.region((-101, 29, -97, 32))
    got = open_(paths, region=Area(box.bbox, box), overpass="both")["sm_dca"].load()
    np.testing.assert_array_equal(got["y"], EASE2_M36.region(box.bbox).y)
    assert got.sizes["time"] == 3
    table = xr.open_dataset(paths[0]).to_dataframe()
    inside = EASE2_M36.region(box.bbox)
    row, col = EASE2_M36.rowcol(table["longitude"], table["latitude"])
    r, c = row - inside.row0, col - inside.col0
    keep = (r >= 0) & (r < inside.rows) & (c >= 0) & (c < inside.cols)
    assert int(got[0].notnull().sum()) == int(keep.sum()) > 0


def test_points_have_soil_moisture_only(points: list[Path]) -> None:
    with pytest.raises(DataError, match="points without tb_h"):
        open_(points[:1], variables=["tb_h"])


def test_points_that_are_fill_or_impossible_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "Iowa_2020-01-01.nc"
    window = EASE2_M09.window(300, 301, 920, 924)
    with h5py.File(path, "w") as file:
        file["longitude"], file["latitude"] = window.lon, np.repeat(window.lat, 4)
        file["soil_moisture_dca"] = np.array([-9999, 7.5, 0.2, np.nan], "f4")
    with pytest.warns(UserWarning, match=f"{path.name}: 1 of 4 values of 'sm_dca' are outside"):
        got = open_([path], overpass="both")["sm_dca"].load(scheduler="sync")
    np.testing.assert_array_equal(got[0, 0], np.array([np.nan, np.nan, 0.2, np.nan], "f4"))


def test_points_of_two_places(points: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "Elsewhere_2020-01-01.nc"
    shutil.copy(points[0], other)
    with pytest.raises(DataError, match="are of one day"):
        open_([*points[:2], other], overpass="both")


def test_points_off_the_cell_centres(tmp_path: Path) -> None:
    path = tmp_path / "Nowhere_2020-01-01.nc"
    with h5py.File(path, "w") as file:
        for name, value in (("latitude", 40.0), ("longitude", -100.0), ("soil_moisture_dca", 0.2)):
            file[name] = np.full(3, value, "f4")
    with pytest.raises(DataError, match="not cell centres"):
        open_([path])
