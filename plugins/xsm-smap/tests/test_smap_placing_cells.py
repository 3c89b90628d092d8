"""Where the cells of half orbits and of Level 4 lie, cell by cell."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from xsm import EASE2_M09, EASE2_M36, DataError, Grid
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_smap import claims
from xsm_smap.l4 import SmapL4Source
from xsm_smap.placing import positions
from xsm_smap.source import SmapSource

open_ = functools.partial(open_files, SmapSource())
WINDOW = EASE2_M09.window(300, 312, 900, 917)
pytestmark = pytest.mark.filterwarnings("ignore:.*days have fewer")


def truth(row: Any, col: Any) -> np.ndarray:
    return (0.05 + ((7 * np.asarray(row) + 3 * np.asarray(col)) % 400) / 1000).astype("f4")


def half_orbit(path: Path, grid: Grid, wrong: dict[str, Any] | None = None) -> np.ndarray:
    row, col = (i.ravel() for i in np.meshgrid(np.arange(300, 330), np.arange(900, 930), indexing="ij"))
    if grid is EASE2_M36:
        row, col = row - 200, col - 700
    lat, lon = grid.lat[row], grid.lon[col]
    said = {"EASE_row_index": row, "EASE_column_index": col, "latitude": lat, "longitude": lon} | (wrong or {})
    with h5py.File(path, "w") as file:
        group = file.create_group("Soil_Moisture_Retrieval_Data")
        for name, values in said.items():
            if values is not None:
                group[name] = np.asarray(values).astype("u2" if "index" in name else "f4")
        group["soil_moisture_option3"] = truth(row, col)
        group["soil_moisture_option3"].attrs["units"] = "cm**3/cm**3"
        group["retrieval_qual_flag_option3"] = np.zeros(len(row), "u2")
    return np.stack([row, col])


L2 = {"EASE2_M09": "SMAP_L2_SM_P_E_32841_D_20210325T120000_R19240_001.h5",
      "EASE2_M36": "SMAP_L2_SM_P_32841_D_20210325T120000_R19240_001.h5"}  # fmt: skip


@pytest.mark.parametrize("degrees", [True, False])
@pytest.mark.parametrize("grid", [EASE2_M09, EASE2_M36], ids=lambda g: g.name)
def test_half_orbit_on_its_own_grid(grid: Grid, degrees: bool, tmp_path: Path) -> None:
    path = tmp_path / L2[grid.name]
    row, col = half_orbit(path, grid, {} if degrees else {"latitude": None})
    got = open_([path], variables=["sm_dca"])["sm_dca"].values[0]
    assert got.shape == grid.shape
    np.testing.assert_array_equal(got[row, col], truth(row, col))
    assert int(np.isfinite(got).sum()) == len(row)


@pytest.mark.parametrize("grid", [EASE2_M09, EASE2_M36], ids=lambda g: g.name)
@pytest.mark.parametrize(
    "wrong",
    [{"EASE_row_index": np.full(900, 5)}, {"EASE_column_index": np.full(900, 5)}, {"latitude": np.full(900, 45.0)}],
)
def test_half_orbit_that_contradicts_itself(grid: Grid, wrong: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / L2[grid.name]
    half_orbit(path, grid, wrong)
    with pytest.raises(DataError, match=r"contradicts itself|cannot be placed"):
        open_([path], variables=["sm_dca"])


@pytest.mark.parametrize("grid", [EASE2_M09, EASE2_M36], ids=lambda g: g.name)
def test_half_orbit_under_the_name_of_the_other_grid(grid: Grid, tmp_path: Path) -> None:
    path = tmp_path / L2["EASE2_M36" if grid is EASE2_M09 else "EASE2_M09"]
    half_orbit(path, grid)
    with pytest.raises(DataError, match=r"its file name .* against"):
        open_([path], variables=["sm_dca"])


@pytest.mark.parametrize("south_first", [False, True])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("claims", [{"y", "x"}, {"cell_row", "cell_column"}, {"cell_lat", "cell_lon"}])
def test_level_4(claims: set[str], whole: bool, south_first: bool, tmp_path: Path) -> None:
    window = EASE2_M09 if whole else WINDOW
    path = level_4(tmp_path, window, claims, south_first=south_first)
    got = open_files(SmapL4Source(), [path], variables=["sm_surface"], min_steps=1)["sm_surface"].values[0]
    np.testing.assert_allclose(got, truth(window.row[:, None], window.col), atol=1e-6)


@pytest.mark.parametrize("name", ["y", "x", "cell_row", "cell_column", "cell_lat", "cell_lon"])
def test_level_4_that_contradicts_itself(name: str, tmp_path: Path) -> None:
    path = level_4(tmp_path, WINDOW, {"y", "x", "cell_row", "cell_column", "cell_lat", "cell_lon"}, south_first=False)
    with h5py.File(path, "r+") as file:
        file[name][...] = file[name][...][::-1, ::-1] if file[name].ndim == 2 else file[name][...][::-1]
    with pytest.raises(DataError, match=rf"contradicts itself.*{name}"):
        open_files(SmapL4Source(), [path], min_steps=1)


def level_4(folder: Path, window: Grid, claims: set[str], *, south_first: bool) -> Path:
    step = -1 if south_first else 1
    row, col = np.meshgrid(window.row[::step], window.col, indexing="ij")
    lat, lon = np.meshgrid(window.lat[::step], window.lon, indexing="ij")
    said = {"y": window.y[::step], "x": window.x, "cell_row": row.astype("u4"), "cell_column": col.astype("u4"),
            "cell_lat": lat.astype("f4"), "cell_lon": lon.astype("f4")}  # fmt: skip
    path = folder / "SMAP_L4_SM_gph_20210402T013000_Vv7032_001.h5"
    with h5py.File(path, "w") as file:
        for name in claims:
            file[name] = said[name]
        for name in ("sm_surface", "sm_rootzone"):
            file[f"Geophysical_Data/{name}"] = truth(row, col)
            file[f"Geophysical_Data/{name}"].attrs["units"] = "m3 m-3"
    return path


@pytest.mark.parametrize("south_first", [False, True])
def test_gridded_level_2_is_placed(south_first: bool, tmp_path: Path) -> None:
    path = gridded(tmp_path, EASE2_M36.row[:: -1 if south_first else 1], EASE2_M36.lat)
    got = open_([path], variables=["sm_dca"])["sm_dca"].values[0]
    np.testing.assert_array_equal(got, truth(EASE2_M36.row[:, None], EASE2_M36.col))


def test_gridded_level_2_that_contradicts_itself_is_named(tmp_path: Path) -> None:
    path = gridded(tmp_path, EASE2_M36.row[::-1], EASE2_M36.lat[::-1])
    with pytest.raises(DataError, match=r"EASE_row_index .* against .*latitude .*gridded Level-2 output"):
        open_([path], variables=["sm_dca"])


def gridded(folder: Path, row: np.ndarray, lat: np.ndarray) -> Path:
    path = folder / L2["EASE2_M36"].replace(".h5", "_gridded.nc")
    rows, cols = np.meshgrid(row, EASE2_M36.col, indexing="ij")
    with h5py.File(path, "w") as file:
        group = file.create_group("Soil_Moisture_Retrieval_Data")
        group["soil_moisture_option3"] = truth(rows, cols)
        group["soil_moisture_option3"].attrs["units"] = "cm**3/cm**3"
        group["retrieval_qual_flag_option3"] = np.zeros(rows.shape, "u2")
        group["EASE_row_index"], group["EASE_column_index"] = rows.astype("u2"), cols.astype("u2")
        group["latitude"] = lat[rows].astype("f4")
        group["longitude"] = EASE2_M36.lon[cols].astype("f4")
    return path


def test_every_row_index_that_is_read_is_compared(
    granules: list[Path], area: Area, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole products are compared at a few rows when they are opened, at all others when a flag is read."""
    monkeypatch.setattr(claims, "SAMPLE", 2)
    path = tmp_path / granules[0].name
    path.write_bytes(granules[0].read_bytes())
    with h5py.File(path, "r+") as file:
        index = file["Soil_Moisture_Retrieval_Data_AM/EASE_row_index"]
        assert index.chunks[0] == 1 and index.size > claims.LARGE
        index[303] = np.where(index[303] == 65534, 65534, 304)
    ds = open_([path], region=area, variables=["surface_flag"])
    with pytest.raises(DataError, match=r"contradicts itself: EASE_row_index is 304 in row 303"):
        ds.load()


@settings(max_examples=60, deadline=None)
@given(
    arrays("f8", st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.sampled_from([0, 1, 2, 3, np.nan, 4e2])),
    st.booleans(), st.sampled_from(["lat", "lon"]), st.booleans(), st.floats(-0.2, 0.2),
)  # fmt: skip
def test_ends_of_lines_tell_what_all_cells_tell(
    numbers: np.ndarray, swapped: bool, kind: str, turned: bool, off: float
) -> None:
    """The comparison by lowest and highest value of each line is that of every cell."""
    grid = EASE2_M09
    lat, lon = grid.lat[1000:1004], grid.lon[2000:2004]
    centres = (lat if kind == "lat" else lon).ravel()[:4]
    known = np.isfinite(numbers) & (numbers < 4)
    degrees = np.where(known, centres[np.where(known, numbers, 0).astype(int)], numbers)
    degrees = np.where(known, degrees + off * abs(centres[1] - centres[0]), degrees)
    cells = claims.Cells(degrees, np.arange(len(degrees)), len(degrees), swapped)
    answer = claims._degree("v", cells, kind, None).answer(grid, turned)
    every = positions(0, degrees, grid)[0] if kind == "lat" else positions(degrees, 0, grid)[1]
    part = cells.lines(every, int((kind == "lat") == turned))
    if part is None:
        assert answer is None
    else:
        np.testing.assert_array_equal(answer[0 if kind == "lat" else 1], part)
