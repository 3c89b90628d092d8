"""Mosaics of GeoTIFF against GDAL's own driver, and what a VRT may not do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp
from hypothesis import given, settings
from hypothesis import strategies as st

from xsm import DataError
from xsm.plugin_api import Area, open_raster
from xsm.testing import window, write_layer

FILL = -32768
SRS = "EPSG:5070"


def vrt(folder: Path, tiles: list[tuple[str, tuple, tuple]], shape=(40, 60), body="", kind="ComplexSource") -> Path:
    """A VRT of tiles, each a name with its rectangles (left, top, width, height) in the file and in the mosaic."""
    text = "".join(
        f'<{kind}><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand>'
        + "".join(
            f'<{tag} xOff="{a}" yOff="{b}" xSize="{c}" ySize="{d}"/>'
            for tag, (a, b, c, d) in (("SrcRect", source), ("DstRect", target))
        )
        + f"<NODATA>{FILL}</NODATA></{kind}>"
        for name, source, target in tiles
    )
    path = folder / "mosaic.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{shape[1]}" rasterYSize="{shape[0]}"><SRS>{SRS}</SRS>'
        f"<GeoTransform>1000, 250, 0, 9000, 0, -250</GeoTransform>"
        f'<VRTRasterBand dataType="Int16" band="1"><NoDataValue>{FILL}</NoDataValue>{text}{body}</VRTRasterBand>'
        "</VRTDataset>"
    )
    return path


def tile(path: Path, shape: tuple[int, int], seed: int, place=(0, 0, 1)) -> Path:
    """A tile at a column and row of the mosaic, its pixels so many times as wide as those of the mosaic."""
    path.parent.mkdir(exist_ok=True)
    values = np.random.default_rng(seed).integers(1, 900, shape).astype("i2")
    values[values % 5 == 0] = FILL
    corner = (1000 + 250 * place[0], 9000 - 250 * place[1])
    return write_layer(path, values, SRS, corner, 250 * place[2], nodata=FILL)


place = st.tuples(st.integers(0, 59), st.integers(0, 39), st.integers(2, 30), st.integers(2, 30), st.integers(1, 3))


@settings(max_examples=25, deadline=None)
@given(st.lists(place, min_size=1, max_size=5), st.integers(0, 39), st.integers(0, 59))
def test_any_tiles_are_put_together_as_gdal_does(tmp_path_factory, places, row, col):
    """Overlapping ones too, cut by the edge, and coarser ones, whose pixels are repeated."""
    folder = tmp_path_factory.mktemp("mosaic")
    listed = []
    for i, (left, top, width, height, coarse) in enumerate(places):
        width, height = min(width, (60 - left) // coarse), min(height, (40 - top) // coarse)
        if width and height:
            name = f"t/tile-{i}.tif"
            tile(folder / name, (height, width), i, (left, top, coarse))
            listed.append((name, (0, 0, width, height), (left, top, width * coarse, height * coarse)))
    if not listed:
        return
    path = vrt(folder, listed)
    ours = open_raster(path, None, decode=False)
    with rasterio.open(path) as file:
        theirs = file.read(1)
        assert ours.rio.crs == file.crs and ours.rio.transform() == file.transform
    np.testing.assert_array_equal(ours.values, theirs)
    np.testing.assert_array_equal(ours[row:, col:].values, theirs[row:, col:])
    decoded = open_raster(path, None).values
    np.testing.assert_array_equal(np.isnan(decoded), theirs == FILL)


def test_only_tiles_under_the_window_are_opened(tmp_path):
    tile(tmp_path / "a.tif", (40, 30), 1)
    path = vrt(tmp_path, [("a.tif", (0, 0, 30, 40), (0, 0, 30, 40)), ("gone.tif", (0, 0, 30, 40), (30, 0, 30, 40))])
    west, south, east, north = rasterio.warp.transform_bounds(SRS, "EPSG:4326", 2500, 1000, 5000, 6000)
    part = open_raster(path, Area((west, south, east, north), window()), margin=2, decode=False)
    with rasterio.open(tmp_path / "a.tif") as file:
        cols = ((part["x"].values - 1000) // 250).astype(int)
        rows = ((9000 - part["y"].values) // 250).astype(int)
        np.testing.assert_array_equal(part.values, file.read(1)[np.ix_(rows, cols)])
    ours = open_raster(path, None, decode=False)
    with pytest.raises(DataError, match=r"gone.tif' does not exist"):
        ours.values  # noqa: B018
    with pytest.warns(UserWarning, match=r"left out: .*gone.tif"):
        assert (open_raster(path, None, decode=False, on_error="skip").values == FILL).all()


def named(file: str, relative: int = 1, more: str = "") -> str:
    return f'<ComplexSource><SourceFilename relativeToVRT="{relative}">{file}</SourceFilename>{more}</ComplexSource>'


ENEMIES = {
    "absolute": (named("/etc/passwd.tif", 0), "below its"),
    "rooted": (named("/etc/passwd.tif"), "below its"),
    "above": (named("../secret.tif"), "below its"),
    "inside and above": (named("a/../../secret.tif"), "below its"),
    "web": (named("/vsicurl/http://a.b/c.tif"), "below its"),
    "zip": (named("/vsizip/a.zip/c.tif"), "below its"),
    "database": (named("PG:dbname=x"), "below its"),
    "another": (named("other.vrt"), "below its"),
    "code": ("<PixelFunctionType>x</PixelFunctionType>", "PixelFunctionType"),
    "kernel": ("<KernelFilteredSource/>", "KernelFilteredSource"),
    "values": (named("a.tif", 1, "<ScaleRatio>2</ScaleRatio>"), "changes values"),
}


@pytest.mark.parametrize("what", ENEMIES)
def test_what_is_no_mosaic_of_files_beside_it_is_refused(tmp_path, what):
    body, why = ENEMIES[what]
    tile(tmp_path / "a.tif", (40, 60), 1)
    path = vrt(tmp_path, [("a.tif", (0, 0, 60, 40), (0, 0, 60, 40))], body=body)
    with pytest.raises(DataError, match=f"{path.name}' is not a VRT that xsm reads .*{why}"):
        open_raster(path, None)


def test_entities_pages_and_damage_are_refused(tmp_path):
    path = tmp_path / "mosaic.vrt"
    for text in ("<!DOCTYPE a><VRTDataset/>", "<html>log in</html>", "", "<VRTDataset", "<VRTDataset/>"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"mosaic.vrt' is not a VRT"):
            open_raster(path, None)
    with pytest.raises(DataError, match="cannot be read"):
        open_raster(tmp_path / "gone.vrt", None)
    tile(tmp_path / "a.tif", (10, 10), 1)
    path = vrt(tmp_path, [("a.tif", (0, 0, 60, 40), (0, 0, 60, 40))])
    with pytest.raises(DataError, match=r"than its VRT says.*a tile of .*mosaic.vrt"):
        open_raster(path, None).load()


@pytest.mark.parametrize("what", ["place", "crs", "size"])
def test_a_tile_that_lies_elsewhere_is_refused(tmp_path, what):
    shift, crs, wide = {"place": (3, SRS, 60), "crs": (0, "EPSG:3310", 60), "size": (0, SRS, 30)}[what]
    write_layer(tmp_path / "a.tif", np.ones((40, 60), "i2"), crs, (1000 + 250 * shift, 9000), 250, nodata=FILL)
    path = vrt(tmp_path, [("a.tif", (0, 0, wide, 40), (0, 0, 60, 40))])
    with pytest.raises(DataError, match=r"lies elsewhere, than its VRT says"):
        open_raster(path, None).load()
