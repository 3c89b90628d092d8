from __future__ import annotations

import csv
import functools
import os
import types
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401
from land_cover_maps import NAME, classes, make
from rasterio.warp import transform
from xsm import DataError, UsageError
from xsm.plugin_api import Area
from xsm.testing import check_source, open_files
from xsm_modis.source import CLASSES, LandCoverSource, legend_of, lookup

SOURCE = LandCoverSource()
open_ = functools.partial(open_files, SOURCE)
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
PIXEL = 463.312716525


def test_classes_and_metadata(tmp_path):
    values = classes(low=1)
    values[3, 4] = 255
    ds = open_([make(tmp_path / NAME, values)])
    assert np.array_equal(ds["land_cover"].values, values)
    assert ds["land_cover"].dtype == np.uint8 and ds["land_cover"].dims == ("y", "x")
    assert ds["land_cover"].attrs["flag_values"].tolist() == list(range(1, 18))
    assert len(ds["land_cover"].attrs["flag_meanings"].split()) == 17
    assert ds["land_cover"].attrs["long_name"] == "IGBP land cover class"
    assert ds["land_cover"].attrs["_FillValue"] == 255
    assert ds.attrs["year"] == 2020 and ds.attrs["source"] == "MCD12Q1"
    assert ds.rio.crs.to_epsg() == 4326
    assert ds["x"].attrs["standard_name"] == "longitude" and ds["y"].attrs["axis"] == "Y"
    np.testing.assert_allclose(ds["x"].values[:2], [-100 + 0.5 / 240, -100 + 1.5 / 240], rtol=1e-12)


@pytest.mark.parametrize(
    "name, options, water, other",
    [
        (NAME, {}, 17, 0),
        ("MCD12Q1.061_LC_Type1_doy2020001000000_aid0001.tif", {}, 17, 0),
        ("MCD12C1.A2020001.061.2022172062638.tif", {}, 0, 17),
        ("MCD12Q1.051_Land_Cover_Type_1_doy2010001_aid0001.tif", {}, 0, 17),
        ("MCD12Q1.A2010001.h08v05.051.2014288200441.tif", {}, 0, 17),
        ("map.tif", {"legend": "MCD12C1"}, 0, 17),
        ("map.tif", {"legend": "MCD12Q1"}, 17, 0),
    ],
)
def test_the_product_chooses_the_legend_not_the_values(tmp_path, name, options, water, other):
    values = classes()
    ds = open_([make(tmp_path / name, values)], **options)
    expected = np.where(values == water, 17, np.where(values == other, 255, values))
    assert np.array_equal(ds["land_cover"].values, expected)


def test_an_unknown_name_needs_a_legend(tmp_path):
    with pytest.raises(DataError, match=r"does not say its legend. Give legend="):
        open_([make(tmp_path / "map.tif", classes())])


def test_legend_is_not_fooled_by_dates_or_folders():
    assert legend_of(Path("/x/MCD12C1/MCD12Q1.A2005001.h08v05.061.2022171160153.tif")) == "MCD12Q1"
    assert legend_of(Path("MCD12Q1.006_LC_Type1_doy2005001_aid0001.tif")) == "MCD12Q1"


def test_nodata_of_the_file_is_unclassified():
    assert lookup("MCD12Q1", 0)[0] == 255 and lookup("MCD12C1", 255)[0] == 17
    assert lookup("MCD12C1", None)[[0, 254]].tolist() == [17, 255]
    assert lookup("MCD12C1", -9999.0)[0] == 17


def test_the_latest_year_with_a_warning_or_the_one_asked_for(tmp_path):
    paths = [make(tmp_path / NAME.replace("2020", str(y)), classes(seed=y)) for y in (2019, 2021, 2020)]
    with pytest.warns(UserWarning, match="There is land cover of 2019, 2020, 2021; that of 2021 is read"):
        assert np.array_equal(open_(paths)["land_cover"], np.where((v := classes(seed=2021)) == 0, 255, v))
    assert open_(paths, year=2019).attrs["year"] == 2019
    with pytest.raises(DataError, match=r"no land cover of 2018. Available: 2019, 2020, 2021"):
        open_(paths, year=2018)


TILE = "MCD12Q1.A2020001.h08v05"


@pytest.mark.parametrize(
    "older, newer",
    [
        (NAME.replace("061", "006"), NAME),
        (f"{TILE}.061.2021171160153.tif", f"{TILE}.061.2022171160153.tif"),
        (f"{TILE}.051.2022171160153.tif", f"{TILE}.006.2018053185652.tif"),
        (f"{TILE}.006.2022171160153.tif", f"{TILE}.061.2022171160152.tif"),
        ("MCD12C1.A2020001.006.2019171160153.tif", "MCD12C1.A2020001.061.2022172062638.tif"),
    ],
)
def test_of_versions_of_a_tile_the_latest_is_read(tmp_path, older, newer):
    last, first = make(tmp_path / newer, classes(low=1, high=17)), make(tmp_path / older, classes(low=1, seed=2))
    for paths in ([last, first], [first, last]):
        with pytest.warns(UserWarning, match=f"1 files are not read, .*'{older}'"):
            ds = open_(paths)
        assert np.array_equal(ds["land_cover"], classes(low=1, high=17))


def test_files_of_one_name_in_two_folders_are_two_areas(tmp_path):
    places = [tmp_path / n for n in "ab"]
    for folder in places:
        folder.mkdir()
    paths = [make(folder / NAME, classes(low=1), left=-100 + i * 50 / 240) for i, folder in enumerate(places)]
    assert open_(paths)["land_cover"].shape == (40, 100)


def test_tiles_in_the_sinusoidal_projection_are_put_together(tmp_path):
    whole = classes((60, 100), low=1)
    left, top = -8895604.157333, 4447802.078667  # corner of tile h10v05
    parts = {"h10v05": whole[:, :50], "h11v05": whole[:, 50:]}
    paths = [
        make(
            tmp_path / f"MCD12Q1.A2020001.{tile}.061.2022171160153.tif",
            values,
            crs=SINUSOIDAL,
            left=left + i * 50 * PIXEL,
            top=top,
            pixel=PIXEL,
        )
        for i, (tile, values) in enumerate(parts.items())
    ]
    for order in (paths, paths[::-1]):
        ds = open_(order)
        assert np.array_equal(ds["land_cover"].values, whole)
        np.testing.assert_allclose(ds["x"], left + (np.arange(100) + 0.5) * PIXEL, atol=1e-3)
        np.testing.assert_allclose(ds["y"], top - (np.arange(60) + 0.5) * PIXEL, atol=1e-3)
    assert "sinusoidal" in ds["spatial_ref"].attrs["crs_wkt"].lower()
    # the region cuts in the projection of the files
    lon, lat = transform(SINUSOIDAL, "EPSG:4326", [left + 50 * PIXEL], [top - 30 * PIXEL])
    area = Area((lon[0] - 0.03, lat[0] - 0.02, lon[0] + 0.03, lat[0] + 0.02), types.SimpleNamespace())
    cut = open_(paths, region=area)["land_cover"]
    assert cut.size < whole.size
    rows = np.rint((top - cut["y"].values) / PIXEL - 0.5).astype(int)
    cols = np.rint((cut["x"].values - left) / PIXEL - 0.5).astype(int)
    assert np.array_equal(cut.values, whole[np.ix_(rows, cols)])


def test_tiles_with_a_hole_between_them(tmp_path):
    a = make(tmp_path / "MCD12Q1.A2020001.h08v05.061.1.tif", classes(low=1))
    b = make(tmp_path / "MCD12Q1.A2020001.h10v05.061.1.tif", classes(low=1), left=-100 + 100 / 240)
    land_cover = open_([a, b])["land_cover"].values
    assert land_cover.shape == (40, 150) and (land_cover[:, 50:100] == 255).all() and (land_cover[:, 100:] != 255).all()
    c = make(tmp_path / "MCD12Q1.A2020001.h11v05.061.1.tif", classes(low=1), left=-99.4983)
    with pytest.raises(DataError, match="not on one pixel lattice"):
        open_([a, c])


def test_nothing_is_read_while_the_graph_is_built(tmp_path, monkeypatch):
    path = make(tmp_path / NAME, classes())

    def fail(*args, **kwargs):
        raise AssertionError("pixels were read")

    monkeypatch.setattr(rasterio.io.DatasetReader, "read", fail)
    ds = open_([path])
    with pytest.raises(AssertionError, match="pixels"):
        ds.compute(scheduler="synchronous")


BAD = {
    "is an HTML page": (DataError, lambda p: p.write_bytes(b"<!DOCTYPE html><html>")),
    "does not exist": (DataError, lambda p: None),
    "is truncated": (DataError, lambda p: p.write_bytes(make(p, classes((90, 90))).read_bytes()[:-200])),
    "has no CRS": (DataError, lambda p: make(p, classes(), crs=None)),
    "has 2 bands": (DataError, lambda p: make(p, classes(), count=2)),
    "contains int16": (DataError, lambda p: make(p, classes().astype("i2"))),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_named(tmp_path, what):
    error, spoil = BAD[what]
    spoil(tmp_path / NAME)
    with pytest.raises(error, match=f"{NAME}' {what}"):
        open_([tmp_path / NAME])
    good = make(tmp_path / NAME.replace("0001.tif", "0002.tif"), classes())
    ds = open_([tmp_path / NAME, good], on_error="skip")
    assert NAME in ds.attrs["skipped"][0]
    with pytest.raises(DataError, match=f"None of 1 files can be read, the first: .*{NAME}' {what}"):
        open_([tmp_path / NAME], on_error="skip")


def test_other_input_is_refused(tmp_path):
    with pytest.raises(DataError, match="another layer than IGBP"):
        open_([make(tmp_path / NAME.replace("Type1", "Type2"), classes())])
    path = make(tmp_path / NAME, classes())
    with pytest.raises(UsageError, match="no variable 'sand'"):
        open_([path], variables=["sand"])
    with pytest.raises(DataError, match="None of 1 files touches the region"):
        open_([path], region=Area((10, 40, 11, 41), types.SimpleNamespace()))


def test_identify():
    for name in (NAME, "MCD12C1.A2020001.061.2022172062638.tif", "MCD12Q1.A2020001.h08v05.061.2022171160153.hdf"):
        assert SOURCE.identify(Path(name))
    for name in (
        NAME.replace("LC_Type1", "QC"),
        NAME.replace("LC_Type1", "LC_Prop1_Assessment"),
        "MCD12Q1-061-QC-lookup.csv",
        NAME.replace(".tif", ".part"),
    ):
        assert not SOURCE.identify(Path(name))


def test_class_names_count_from_one():
    assert (CLASSES[9], CLASSES[11], CLASSES[16]) == ("grasslands", "croplands", "water_bodies")


@pytest.mark.skipif("XSM_TEST_DATA" not in os.environ, reason="XSM_TEST_DATA is not set")
def test_real_mcd12q1_codes(tmp_path):
    with open(Path(os.environ["XSM_TEST_DATA"]) / "landcover/mcd12q1_arcachon_lc_type1.csv") as file:
        rows = list(csv.DictReader(file))
    first = rows[0]
    rows = [r for r in rows if r["modis_date"] == first["modis_date"]]
    shape = int(first["nrows"]), int(first["ncols"])
    real = np.array([int(r["value"]) for r in rows], "u1").reshape(shape)
    left, bottom, pixel = (float(first[k]) for k in ("xllcorner", "yllcorner", "cellsize"))
    path = tmp_path / f"MCD12Q1.{first['modis_date']}.{first['tile']}.006.{first['proc_date']}.tif"
    make(path, real, crs=SINUSOIDAL, left=left, top=bottom + shape[0] * pixel, pixel=pixel)
    ds = open_([path])
    assert np.array_equal(ds["land_cover"].values, real)
    assert ds.attrs["year"] == int(first["calendar_date"][:4])
    assert (real == 17).any() and not (real == 0).any()


@pytest.fixture
def world():
    def land_cover_at(lon, lat):
        return (1 + (np.floor(lon * 8) + np.floor(lat * 8)) % 17).astype("u1")

    days = np.arange("2019-05-01", "2019-05-04", dtype="M8[D]")
    return types.SimpleNamespace(bbox=(-100.3, 35.1, -98.9, 36.4), days=days, seed=2, land_cover_at=land_cover_at)


def test_round_trip_of_a_world(world, tmp_path):
    (path,) = SOURCE.write(world, tmp_path / "MCD12")
    assert path.name == "MCD12Q1.061_LC_Type1_doy2019001_aid0001.tif" and SOURCE.identify(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with rasterio.open(path) as file:
        assert (file.dtypes, file.nodata, file.crs.to_epsg()) == (("uint8",), 255, 4326)
        assert file.bounds.left < -100.3 and file.bounds.top > 36.4
    ds = open_([path])
    lon, lat = np.meshgrid(ds["x"], ds["y"])
    assert np.array_equal(ds["land_cover"].values, world.land_cover_at(lon, lat))
    assert "twin" in ds.attrs["synthetic"] and ds.attrs["year"] == 2019


def test_contract_with_the_synthetic_twin(tmp_path):
    from xsm.twin import make_world

    check_source("modis_landcover", world=make_world((-97.3, 35.9, -97.0, 36.2), days=2), tmp=tmp_path)


@pytest.mark.parametrize(("at", "message"), [((0.0, 0.0), r"from \(0, 0\)"), ((-100.0, 40.0), "pixels of")])
def test_a_doubtful_georeference_warns(tmp_path, at, message):
    path = make(tmp_path / NAME, classes(), left=at[0], top=at[1])
    if at != (0.0, 0.0):
        with rasterio.open(path, "r+") as file:
            file.transform = rasterio.Affine(1 / 241, 0, -100, 0, -1 / 240, 40)
    with pytest.warns(UserWarning, match=f"{NAME}.*{message}.*doubtful"):
        open_([path])
