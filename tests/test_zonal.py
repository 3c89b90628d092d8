"""Statistics of polygons beside rasters of fine cells, areas by hand and numpy."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry.polygon import orient

import xsm
from tests.test_faces import cli_run
from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.zones import zones_of
from xsm.io import files
from xsm.kernels.zones import shares_of

TIME = pd.date_range("2021-04-01", periods=4, name="time")
FINE = 50
BLOB = shapely.Polygon(
    [(-100.43, 39.61), (-99.82, 39.97), (-99.31, 39.72), (-99.17, 40.61), (-99.9, 40.18), (-100.61, 40.77)],
    [[(-100.21, 39.97), (-100.0, 40.02), (-100.12, 40.23)]],
)
"""A polygon with a bay and a hole."""


def degrees(step=0.25, lat0=38.0, lat1=42.0, west=-102.0, east=-98.0, seed=0):
    rng = np.random.default_rng(seed)
    lat, lon = np.arange(lat1, lat0 - 1e-9, -step), np.arange(west, east + 1e-9, step)
    values = rng.random((4, len(lat), len(lon)))
    values[rng.random(values.shape) < 0.2] = np.nan
    attrs = {"units": "m3 m-3", "long_name": "Soil moisture"}
    return xr.Dataset({"v": (("time", "lat", "lon"), values, attrs)}, {"time": TIME, "lat": lat, "lon": lon})


def ease(seed=0):
    grid = xsm.EASE2_M09.region((-102, 38, -98, 42))
    rng = np.random.default_rng(seed)
    values = rng.random((4, *grid.shape))
    values[rng.random(values.shape) < 0.2] = np.nan
    return grid.assign(xr.Dataset({"v": (("time", "y", "x"), values, {"units": "m3 m-3"})}, {"time": TIME}))


def raster_weights(ds, polygon):
    """Area of each cell in a polygon by counting the centres of `FINE` x `FINE` parts."""
    y, x = ("lat", "lon") if "lat" in ds.dims else ("y", "x")
    parts = [np.add.outer(ds[n].values, ((np.arange(FINE) + 0.5) / FINE - 0.5) * float(ds[n][1] - ds[n][0])).ravel()
             for n in (y, x)]  # fmt: skip
    rows, cols = np.meshgrid(*parts, indexing="ij")
    lon, lat = (cols, rows) if y == "lat" else transformer(EASE, DEGREES).transform(cols, rows)
    shapely.prepare(polygon)
    weight = shapely.contains_xy(polygon, lon, lat) * (np.cos(np.deg2rad(rows)) if y == "lat" else 1.0)
    return weight.reshape(ds.sizes[y], FINE, ds.sizes[x], FINE).sum((1, 3))


def by_hand(values, weight):
    valid = np.isfinite(values)
    share = (weight * valid).sum((1, 2)) / weight.sum()
    total = (weight * valid).sum((1, 2))
    mean = np.nansum(weight * np.where(valid, values, 0), (1, 2)) / total
    std = np.sqrt((weight * np.where(valid, values - mean[:, None, None], 0) ** 2).sum((1, 2)) / total)
    return mean, std, share


@pytest.mark.parametrize("make", [degrees, ease])
@pytest.mark.parametrize("polygon", [BLOB, shapely.MultiPolygon([BLOB, shapely.box(-101.9, 38.3, -101.2, 38.9)])],
                         ids=["hole and bay", "two parts"])  # fmt: skip
def test_equal_to_a_raster_of_fine_cells(make, polygon):
    ds = make()
    got = ds.sm.zonal(polygon, min_share=0)
    weight = raster_weights(ds, polygon)
    for name, expected in zip(("mean", "std", "share"), by_hand(ds["v"].values, weight), strict=True):
        np.testing.assert_allclose(got[f"v_{name}"].squeeze("region"), expected, atol=2e-4)


def test_shares_of_boxes_are_those_of_their_sides():
    """On degrees, a box takes from a cell the product of the shares of its sides; areas go with the sine."""
    ds = degrees(step=0.5)
    west, south, east, north = -100.9, 38.6, -99.05, 40.3
    got = ds.sm.zonal((west, south, east, north), min_share=0)

    def overlap(centre, low, high, measure):
        low, high = np.maximum(centre - 0.25, low), np.minimum(centre + 0.25, high)
        return np.where(high > low, measure(high) - measure(low), 0)

    q = transformer(DEGREES, EASE)
    rows = overlap(ds["lat"].values, south, north, lambda lat: np.asarray(q.transform(lat * 0, lat)[1]))
    cols = overlap(ds["lon"].values, west, east, lambda lon: lon)
    expected = by_hand(ds["v"].values, rows[:, None] * cols)
    for name, values in zip(("mean", "std", "share"), expected, strict=True):
        np.testing.assert_allclose(got[f"v_{name}"].squeeze("region"), values, rtol=1e-9)


def test_whole_cells_are_the_plain_mean_on_the_ease_grid():
    ds = ease()
    grid = xsm.grid_of(ds)
    part = grid.window(grid.row0 + 3, grid.row0 + 9, grid.col0 + 5, grid.col0 + 15)
    got = ds.sm.zonal(part, min_share=0)
    values = ds["v"].values[:, 3:9, 5:15].reshape(4, -1)
    np.testing.assert_allclose(got["v_mean"].squeeze(), np.nanmean(values, 1), rtol=1e-7)
    np.testing.assert_allclose(got["v_std"].squeeze(), np.nanstd(values, 1), rtol=1e-6)
    np.testing.assert_allclose(got["v_share"].squeeze(), np.isfinite(values).mean(1), rtol=1e-6)


def test_areas_are_geodesic():
    got = degrees().sm.zonal(BLOB)
    geodesic = abs(Geod(ellps="WGS84").geometry_area_perimeter(orient(shapely.segmentize(BLOB, 0.01)))[0]) / 1e6
    assert got["area"].item() == pytest.approx(geodesic, rel=1e-4)
    assert got["area"].attrs["units"] == "km2"


@settings(max_examples=25, deadline=None)
@given(st.floats(38.3, 41.7), st.floats(-101.7, -98.3), st.floats(0.02, 1.5), st.integers(3, 12))
def test_shares_add_up_to_the_area(lat, lon, radius, corners):
    polygon = shapely.Point(lon, lat).buffer(radius, quad_segs=corners)
    shares = shares_of(degrees(lat0=35, lat1=45, west=-105, east=-95), zones_of(polygon))
    assert shares.covered[0] == pytest.approx(1, abs=1e-9)
    assert len({*zip(shares.row, shares.col, strict=True)}) == len(shares.row)
    assert (shares.area > 0).all()


@pytest.mark.parametrize("west", [0.0, -180.0])
def test_longitudes_wrap(west):
    lon = west + 2.5 + np.arange(0, 360, 5.0)
    lat = np.arange(87.5, -90, -5.0)
    values = np.broadcast_to(np.cos(np.deg2rad(lon)), (len(lat), len(lon)))
    ds = xr.Dataset({"v": (("lat", "lon"), values, {"units": "1"})}, {"lat": lat, "lon": lon})
    boxes = {"greenwich": shapely.box(-15, 10, 15, 20), "date line": shapely.box(165, 10, 195, 20),
             "globe": shapely.box(-180, -90, 180, 90)}  # fmt: skip
    got = ds.sm.zonal(boxes)
    near = np.cos(np.deg2rad([2.5, 7.5, 12.5])).mean()
    np.testing.assert_allclose(got["v_mean"], [near, -near, 0], atol=1e-9)
    np.testing.assert_allclose(got["v_share"], 1)


@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("lon", "lat", "time"), ("lat", "time", "lon")])
@pytest.mark.parametrize("chunks", [None, {"time": 1}, {"time": 3, "lat": 4, "lon": 5}])
def test_order_of_dims_and_chunks_do_not_matter(dims, chunks):
    ds = degrees()
    expected = ds.sm.zonal(BLOB)
    other = ds.isel(lat=slice(None, None, -1)).transpose(*dims)
    got = (other if chunks is None else other.chunk(chunks)).sm.zonal(BLOB)
    assert got["v_mean"].dims == ("time", "region")
    assert (got["v_mean"].chunks is not None) == (chunks is not None)
    xr.testing.assert_allclose(got.compute(), expected)
    if chunks is not None:
        whole = other.chunk().sm.zonal(BLOB)
        xr.testing.assert_equal(got.compute(), whole.compute())


def test_maps_without_time_and_with_depths():
    ds = degrees().isel(time=0, drop=True)
    assert ds.sm.zonal(BLOB)["v_mean"].dims == ("region",)
    deep = degrees().expand_dims(depth=[5, 30])
    got = deep.sm.zonal(BLOB)["v_mean"]
    assert got.dims == ("time", "depth", "region")
    np.testing.assert_allclose(got.isel(depth=1), degrees().sm.zonal(BLOB)["v_mean"])


def test_a_step_with_too_few_values_is_missing():
    ds = degrees()
    ds["v"][1] = np.nan
    ds["v"][2, :8] = np.nan
    share = ds.sm.zonal(BLOB, min_share=0)["v_share"].values[:, 0]
    for least in (0.0, 0.5, 0.9):
        got = ds.sm.zonal(BLOB, min_share=least)
        assert np.isfinite(got["v_mean"].values[:, 0]).tolist() == ((share >= least) & (share > 0)).tolist()
        np.testing.assert_array_equal(np.isfinite(got["v_std"]), np.isfinite(got["v_mean"]))
        np.testing.assert_array_equal(got["v_share"].values[:, 0], share)
    with pytest.warns(UserWarning, match="no value in the result.*less of each region than min_share="):
        ds.sm.zonal(BLOB, min_share=1)


def classified(seed=0, fill=255):
    rng = np.random.default_rng(seed)
    numbers = degrees()
    classes = rng.choice([0, 1, 2, 7, fill], size=numbers["v"].shape).astype("u1")
    attrs = {"flag_values": np.array([0, 1, 2, 7], "u1"), "flag_meanings": "none D0 D1 Deep_soil"}
    return numbers.assign(v=(numbers["v"].dims, classes, attrs))


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_classes_beside_a_fine_raster(seed):
    ds = classified(seed)
    got = ds.sm.zonal(BLOB, min_share=0)
    weight, values = raster_weights(ds, BLOB), ds["v"].values
    valid = (weight * (values != 255)).sum((1, 2))
    words = {0: "v_none", 1: "v_d0", 2: "v_d1", 7: "v_deep_soil"}
    assert list(got.data_vars) == [*words.values(), "v_share"]
    for value, word in words.items():
        np.testing.assert_allclose(got[word][:, 0], (weight * (values == value)).sum((1, 2)) / valid, atol=2e-3)
        assert got[word].attrs["units"] == "1"
    np.testing.assert_allclose(got["v_share"][:, 0], valid / weight.sum(), atol=2e-3)
    np.testing.assert_allclose(sum(got[w] for w in words.values()), 1, atol=1e-6)
    xr.testing.assert_allclose(ds.chunk(time=1).sm.zonal(BLOB, min_share=0).compute(), got)


def test_numbers_go_before_classes_and_classes_need_names():
    ds = classified().assign(w=degrees()["v"])
    assert list(ds.sm.zonal(BLOB)) == ["w_mean", "w_std", "w_share"]
    both = ds.sm.zonal(BLOB, variables=["w", "v"], statistics=["mean"])
    assert list(both) == ["w_mean", "v_none", "v_d0", "v_d1", "v_deep_soil"]
    del ds["v"].attrs["flag_meanings"]
    with pytest.raises(xsm.errors.DataError, match="'v' has no flag_values with as many flag_meanings"):
        ds.sm.zonal(BLOB, variables=["v"])


def test_classes_of_drought_from_a_file(tmp_path):
    ds = classified()
    files.write(ds, tmp_path / "classes.nc")
    xr.testing.assert_allclose(files.read(tmp_path / "classes.nc").sm.zonal(BLOB).compute(), ds.sm.zonal(BLOB))


def test_a_constant_stays_itself():
    ds = degrees()
    ds["v"] = ds["v"] * 0 + 300.25
    got = ds.sm.zonal(BLOB)
    np.testing.assert_array_equal(got["v_mean"], 300.25)
    np.testing.assert_array_equal(got["v_std"], 0)


class Table:
    """What a GeoDataFrame shows of itself."""

    def __init__(self, crs="EPSG:4326", factor=1.0):
        self.crs, self.factor = crs, factor

    def to_crs(self, crs):
        assert crs == "EPSG:4326"
        return Table(crs)

    @property
    def __geo_interface__(self):
        return collection([shapely.transform(g, lambda p: p * self.factor) for g in (BLOB, BOX)])


BOX = shapely.box(-101, 39, -100, 40)


def collection(shapes=(BLOB, BOX), **properties):
    properties = properties or {"Name": ["upper", "lower"], "HUC8": [10, 11]}
    return {"type": "FeatureCollection", "features": [
        {"type": "Feature", "id": str(i), "geometry": json.loads(shapely.to_geojson(s)),
         "properties": {k: v[i] for k, v in properties.items()}} for i, s in enumerate(shapes)]}  # fmt: skip


@pytest.mark.parametrize(
    ("regions", "names"),
    [
        (collection(), ["upper", "lower"]),
        (collection(code=["x", "y"]), ["0", "1"]),
        (Table(), ["upper", "lower"]),
        (Table("EPSG:5070", 1e5), ["upper", "lower"]),
        ([BLOB, BOX], ["1", "2"]),
        ({"blob": BLOB, "box": BOX}, ["blob", "box"]),
        ({"blob": collection()["features"][0], "box": BOX.bounds}, ["blob", "box"]),
        ([BLOB, BOX.bounds], ["1", "2"]),
        (np.array([BLOB, BOX]), ["1", "2"]),
        ("file", ["upper", "lower"]),
    ],
    ids=["geojson", "ids", "table", "projected table", "shapes", "mapping", "mixed", "shape and box", "array", "file"],
)
def test_kinds_of_regions(regions, names, tmp_path):
    if isinstance(regions, str):
        (tmp_path / "basins.geojson").write_text(json.dumps(collection()))
        regions = tmp_path / "basins.geojson"
    got = degrees().sm.zonal(regions)
    assert got["region"].values.tolist() == names
    for i, shape in enumerate((BLOB, BOX)):
        np.testing.assert_allclose(got["v_mean"].isel(region=i), degrees().sm.zonal(shape)["v_mean"].squeeze("region"))


def test_names():
    assert degrees().sm.zonal(collection(), name="HUC8")["region"].values.tolist() == ["10", "11"]
    everywhere = degrees(step=5.0, lat0=-85, lat1=85, west=-177.5, east=177.5)
    assert everywhere.sm.zonal("conus")["region"].values.tolist() == ["conus"]
    assert everywhere.sm.zonal(["conus", BLOB])["region"].values.tolist() == ["conus", "2"]
    assert degrees().sm.zonal("-101,39,-100,40")["region"].values.tolist() == ["1"]
    assert list(degrees().sm.zonal(BLOB, statistics="mean").data_vars) == ["v_mean"]


def test_overlapping_polygons_do_not_share():
    got = degrees().sm.zonal({"a": BLOB, "b": BLOB})
    xr.testing.assert_equal(got.sel(region="a", drop=True), got.sel(region="b", drop=True))


def test_a_polygon_that_crosses_itself_is_repaired():
    bow = shapely.Polygon([(-101, 39), (-99, 41), (-99, 39), (-101, 41)])
    with pytest.warns(UserWarning, match="1 polygons, such as 1, cross themselves"):
        got = degrees().sm.zonal(bow)
    halves = shapely.MultiPolygon([shapely.Polygon([(-101, 39), (-100, 40), (-101, 41)]),
                                   shapely.Polygon([(-99, 39), (-99, 41), (-100, 40)])])  # fmt: skip
    np.testing.assert_allclose(got["v_mean"], degrees().sm.zonal(halves)["v_mean"])


def test_regions_beside_the_maps_are_told():
    with pytest.warns(UserWarning, match="1 of 2 regions do not lie on the maps and are missing: off"):
        got = degrees().sm.zonal({"on": BLOB, "off": shapely.box(0, 0, 1, 1)})
    assert np.isfinite(got["v_mean"]).all("time").values.tolist() == [True, False]
    with pytest.warns(UserWarning, match="1 of 1 regions lie only partly on the maps, '1' with 50% of its area"):
        degrees().sm.zonal(shapely.box(-103.125, 39, -101.125, 40))


def test_classes_are_left_out_and_the_mean_is_a_series_to_go_on_with():
    ds = degrees()
    ds["kind"] = (("lat", "lon"), np.ones((17, 17), "u1"), {"flag_values": [0, 1]})
    got = ds.sm.zonal(BLOB)
    assert set(got.data_vars) == {"v_mean", "v_std", "v_share"}
    assert got["v_mean"].attrs["units"] == "m3 m-3"
    assert got["v_mean"].attrs["long_name"] == "Mean of the region (Soil moisture)"
    assert got["v_share"].attrs["units"] == "1"
    assert list(got.sm.swi(5).data_vars) == ["v_mean_swi"]
    assert "zonal(regions=1" in got.attrs["history"]


@pytest.mark.parametrize(
    ("regions", "arguments", "sentence"),
    [
        ("conuss", {}, "Unknown region 'conuss'. Did you mean 'conus'"),
        ("nowhere.geojson", {}, "cannot be read"),
        ("basins.shp", {}, "Export it as GeoJSON"),
        (5, {}, "int 5 is not a region"),
        ([], {}, "no polygon"),
        (shapely.Point(-100, 40), {}, "is a Point, expected a polygon"),
        (shapely.Polygon(), {}, "expected a polygon"),
        (shapely.box(5e5, 4e6, 6e5, 5e6), {}, r"spans 500000 to 600000 and 4e\+06 to 5e\+06, expected degrees"),
        (shapely.box(40, -101, 41, -99), {}, "expected degrees"),
        (shapely.box(0, 0, 1, 1), {}, "does not lie on the maps"),
        ({"a": shapely.box(0, 0, 1, 1), "b": shapely.box(2, 0, 3, 1)}, {}, "None of the 2 regions, such as 'a'"),
        (collection(), {"name": "basin"}, "no property 'basin'. They have: HUC8, Name, id"),
        (collection(name=["a", "a"], no=[1, 2]), {}, "2 polygons are called 'a'. Name them by another .*: name='id'"),
        (BLOB, {"statistics": ["median"]}, "Unknown statistic 'median'"),
        (BLOB, {"min_share": 50}, "'min_share' is 50, expected at least 0 and at most 1"),
        (BLOB, {"variables": ["w"]}, "Unknown variable 'w'"),
        ({"type": "Polygon", "coordinates": [[1]]}, {}, "is not GeoJSON"),
    ],
)  # fmt: skip
def test_a_wrong_call_ends_in_one_sentence(regions, arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        degrees().sm.zonal(regions, **arguments)


def test_in_the_shell(tmp_path):
    files.write(degrees(), tmp_path / "maps.nc")
    (tmp_path / "basins.geojson").write_text(json.dumps(collection()))
    assert cli_run("zonal", tmp_path / "maps.nc", tmp_path / "basins.geojson", tmp_path / "out.csv") == 0
    table = pd.read_csv(tmp_path / "out.csv")
    assert len(table) == 8
    assert {"time", "region", "v_mean", "v_std", "v_share", "area"} <= set(table)
    np.testing.assert_allclose(table.query("region == 'lower'")["v_mean"], degrees().sm.zonal(BOX)["v_mean"].squeeze())
    everywhere = degrees(step=5.0, lat0=-85, lat1=85, west=-177.5, east=177.5)
    files.write(everywhere, tmp_path / "globe.nc")
    arguments = ("--statistics", "mean", "--min-share", "0")
    assert cli_run("zonal", tmp_path / "globe.nc", "conus", tmp_path / "conus.nc", *arguments) == 0
    assert list(files.read(tmp_path / "conus.nc").data_vars) == ["v_mean"]
