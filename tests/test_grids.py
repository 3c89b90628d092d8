"""EASE-Grid 2.0 geometry against NSIDC's arrays, a real granule and the numbers of docs/design/formats/ease_grid.md."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xsm.data.grids import EASE2_M03, EASE2_M09, EASE2_M36, GRIDS, X0, Y0, grid_of
from xsm.data.region import region_bbox
from xsm.data.windows import take
from xsm.errors import DataError, UsageError
from xsm.study.config import parse

DATA = Path(os.environ.get("XSM_TEST_DATA", ""))
needs_data = pytest.mark.skipif(not os.environ.get("XSM_TEST_DATA"), reason="XSM_TEST_DATA is not set")

GEOD_A, GEOD_E2 = 6378137.0, 0.0066943799901413165  # WGS84


def closed_form(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cylindrical equal-area with lat_ts = 30 (docs/design/formats/ease_grid.md, Formulas), without PROJ."""
    e, phi = np.sqrt(GEOD_E2), np.deg2rad(lat)
    k0 = np.cos(np.pi / 6) / np.sqrt(1 - GEOD_E2 * np.sin(np.pi / 6) ** 2)
    es = e * np.sin(phi)
    q = (1 - GEOD_E2) * (np.sin(phi) / (1 - es**2) - np.log((1 - es) / (1 + es)) / (2 * e))
    return GEOD_A * k0 * np.deg2rad(lon), GEOD_A * q / (2 * k0)


def grids_of(cells: int = 60) -> st.SearchStrategy:
    return st.builds(
        lambda name, row, col, rows, cols: GRIDS[name].window(row, row + rows, col, col + cols),
        st.sampled_from(sorted(GRIDS)),
        st.integers(0, 405),
        st.integers(0, 963),
        st.integers(1, cells),
        st.integers(1, cells),
    )


@needs_data
def test_latitudes_and_longitudes_are_those_of_nsidc():
    for name, values in (("lats", EASE2_M36.lat[:, None]), ("lons", EASE2_M36.lon[None, :])):
        theirs = np.fromfile(DATA / f"ease/EASE2_M36km.{name}.964x406x1.double").reshape(406, 964)
        assert np.abs(theirs - values).max() < 1e-10


@needs_data
def test_row_and_column_are_those_of_a_real_granule():
    import h5py

    path = next(iter(sorted((DATA / "smap_l2").glob("*.h5"))))
    with h5py.File(path) as f:
        g = f["Soil_Moisture_Retrieval_Data"]
        row, col = EASE2_M36.rowcol(g["longitude"][:], g["latitude"][:])
        assert len(row) > 10_000
        np.testing.assert_array_equal(row, g["EASE_row_index"][:])
        np.testing.assert_array_equal(col, g["EASE_column_index"][:])


@pytest.mark.parametrize(
    ("box", "rows", "cols"),
    [
        ((-124.848974, 24.396308, -66.885444, 49.384358), (194, 476), (590, 1211)),
        ((-125, 24, -66.5, 50), (188, 481), (589, 1215)),
        ("conus", (162, 468), (589, 1210)),
    ],
)
def test_conus_windows(box, rows, cols):
    grid = EASE2_M09.region(box)
    assert (grid.row[0], grid.row[-1]) == rows
    assert (grid.col[0], grid.col[-1]) == cols


@pytest.mark.parametrize("grid", list(GRIDS.values()), ids=list(GRIDS))
def test_coordinates_follow_the_closed_form(grid):
    x, y = closed_form(grid.lon, np.zeros(grid.cols))[0], closed_form(np.zeros(grid.rows), grid.lat)[1]
    assert np.abs(x - grid.x).max() < 1e-6  # metres
    assert np.abs(y - grid.y).max() < 5e-3  # PROJ, like NSIDC, inverts the latitude by a series good to 2 mm
    assert grid.shape == grid.shape_global
    np.testing.assert_allclose(grid.bounds, (X0, -Y0, -X0, Y0), atol=1e-4)  # cell sizes have 9 to 10 decimals


def test_grids_are_nested():
    assert EASE2_M36.cell == pytest.approx(4 * EASE2_M09.cell, abs=1e-8)
    assert EASE2_M09.cell == pytest.approx(3 * EASE2_M03.cell, abs=1e-8)
    np.testing.assert_allclose(EASE2_M36.x, EASE2_M09.x.reshape(-1, 4).mean(1), atol=1e-4)


@settings(deadline=None)
@given(grids_of())
def test_cells_and_coordinates_go_round(grid):
    lon, lat = np.meshgrid(grid.lon, grid.lat)
    row, col = grid.rowcol(lon, lat)
    np.testing.assert_array_equal(row, np.broadcast_to(grid.row[:, None], grid.shape))
    np.testing.assert_array_equal(col, np.broadcast_to(grid.col, grid.shape))
    assert grid.region(grid) == grid


@settings(deadline=None)
@given(grids_of(20), st.floats(-1e-4, 1e-4))
def test_a_window_is_found_from_its_coordinates(grid, shift):
    ds = grid.assign(xr.Dataset())
    ds = ds.assign_coords(x=("x", grid.x + shift, ds["x"].attrs), y=("y", grid.y + shift, ds["y"].attrs))
    assert grid_of(ds) == grid
    if min(grid.shape) > 1:
        assert grid_of(ds.drop_vars("spatial_ref")) == grid


def test_points_outside_have_no_cell():
    row, col = EASE2_M09.rowcol([0, np.nan, 10], [89.0, 0.0, np.nan])
    assert row.tolist() == [-1, -1, -1]
    assert col[1] == -1


@pytest.mark.parametrize("region", ["-100 30 -90 40", [-100, 30, -90, 40], np.array([-100, 30, -90, 40.0])])
def test_regions_are_read(region):
    assert region_bbox(region) == (-100, 30, -90, 40)


def test_a_geometry_is_a_region():
    class Triangle:
        __geo_interface__ = {  # noqa: RUF012
            "type": "Polygon",
            "coordinates": [[(-100.0, 30.0), (-90.0, 30.0), (-95.0, 40.0), (-100.0, 30.0)]],
        }

    assert region_bbox(Triangle()) == (-100, 30, -90, 40)


POLYGON = {"type": "Polygon", "coordinates": [[[-100, 30], [-90, 30, 7], [-95, 40], [-100, 30]]]}
FEATURE = {"type": "Feature", "properties": {}, "geometry": POLYGON}
NOWHERE = {"type": "Feature", "properties": {}, "geometry": None}


@pytest.mark.parametrize(
    "geo",
    [
        POLYGON,
        FEATURE,
        {"type": "FeatureCollection", "features": [NOWHERE, FEATURE], "crs": {"properties": {"name": "EPSG:4326"}}},
        {"type": "GeometryCollection", "geometries": [POLYGON, {"type": "Point", "coordinates": [-91, 31]}]},
    ],
)
def test_a_geojson_file_is_a_region(tmp_path, geo):
    """It was an unknown region."""
    path = tmp_path / "box.geojson"
    path.write_text(json.dumps(geo), encoding="utf-8")
    assert region_bbox(path) == region_bbox(str(path)) == (-100, 30, -90, 40)
    assert EASE2_M09.region(path) == EASE2_M09.region((-100, 30, -90, 40))
    geometry = type("Geometry", (), {"__geo_interface__": geo})()
    assert region_bbox(geometry) == (-100, 30, -90, 40)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("box.shp", "x", r"expected GeoJSON \(.geojson or .json\)"),
        ("box", "x", "expected GeoJSON"),
        ("none.json", None, "cannot be read.*No such file"),
        ("box.json", "<html>", "is not GeoJSON"),
        ("box.json", "[1, 2]", "is not GeoJSON"),
        ("box.json", '{"type": "FeatureCollection", "features": []}', "no positions"),
        ("box.json", '{"type": "Topology"}', "has no coordinates"),
        ("box.json", '{"type": "Point", "coordinates": ["a", 3]}', "is not GeoJSON"),
        ("box.json", json.dumps(POLYGON | {"crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::32614"}}}), "WGS 84"),
        ("box.json", '{"type": "LineString", "coordinates": [[4e5, 3e6], [5e5, 4e6]]}', "in degrees"),
    ],
)
def test_a_file_that_is_no_region_is_told(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_text(text, encoding="utf-8")
    for region in (path, str(path)):
        with pytest.raises((DataError, UsageError), match=message):
            region_bbox(region)


def test_an_unknown_region_tells_what_else_there_is():
    with pytest.raises(UsageError, match=r"Unknown region 'conuss'.*Did you mean 'conus'.*west,south,east,north"):
        region_bbox("conuss")


def test_a_study_knows_the_box_of_a_file(tmp_path):
    (tmp_path / "box.geojson").write_text(json.dumps(POLYGON), encoding="utf-8")
    study = parse({"inputs": {"smap": {"paths": "*.h5"}}, "region": "box.geojson"}, tmp_path)
    assert study.region == (-100, 30, -90, 40)


def test_what_is_not_a_region_is_named():
    """The message named the type alone."""
    with pytest.raises(UsageError, match=r"list \[-98\.6, 35\.0, -97\.9\]"):
        region_bbox("-98.6,35.0,-97.9")


@pytest.mark.parametrize(
    "region", ["conuss", (1, 2, 3), (10, 0, -10, 5), (0, 0, 10, 95), 7, list("wsen"), [1, 2, 3, [4]]]
)
def test_bad_regions_are_one_sentence(region):
    with pytest.raises(UsageError) as error:
        region_bbox(region)
    assert "\n" not in str(error.value)


def cube(grid, dtype="f4"):
    value = (grid.row[:, None] * 10_000 + grid.col).astype(dtype)
    return grid.assign(xr.Dataset({"v": (("y", "x"), value)}))


def test_take_places_by_row_and_column():
    ds, grid = cube(EASE2_M09.window(100, 120, 600, 640)), EASE2_M09.window(90, 110, 630, 650)
    out = take(ds, grid)
    expected = np.full(grid.shape, np.nan, "f4")
    expected[10:, :10] = cube(grid)["v"].values[10:, :10]
    np.testing.assert_array_equal(out["v"], expected)
    np.testing.assert_array_equal(out["x"], grid.x)
    with pytest.raises(DataError, match="overlap"):
        take(ds, EASE2_M09.window(0, 5, 0, 5))


def test_assign_writes_cf_coordinates():
    ds = cube(EASE2_M09.window(100, 120, 600, 640))
    assert ds["v"].encoding["grid_mapping"] == "spatial_ref"
    assert ds["spatial_ref"].attrs["grid_mapping_name"] == "lambert_cylindrical_equal_area"
    import rioxarray  # noqa: F401

    assert ds.rio.crs.to_epsg() == 6933
    np.testing.assert_allclose(ds.rio.transform().to_gdal(), EASE2_M09.window(100, 120, 600, 640).geotransform)
