"""A raster of somebody who means harm: nothing but the file itself is opened, and no address gets a request."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

import xsm
from xsm.errors import DataError
from xsm.faces.cli import main
from xsm.io import files
from xsm.plugin_api import open_raster


@pytest.fixture
def server():
    """A server that must get no request; gives its address and the list of what it got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            got.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_address[1]}", got
    http.shutdown()
    http.server_close()


def tiff(path: Path, **tags) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=1, height=40, width=50, crs="EPSG:5070",
        transform=from_origin(-200000, 1900000, 100, 100), nodata=255,
    ) as file:  # fmt: skip
        file.write(np.full((40, 50), 33, "u1"), 1)
        for ns, values in tags.items():
            file.update_tags(ns=ns, **values)
    return path


def vrt(source: str) -> str:
    return (
        '<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:5070</SRS>'
        "<GeoTransform>-200000, 100, 0, 1900000, 0, -100</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )


def raw(source: str) -> str:
    return (
        '<VRTDataset rasterXSize="10" rasterYSize="10"><SRS>EPSG:5070</SRS>'
        "<GeoTransform>-200000, 100, 0, 1900000, 0, -100</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename></VRTRasterBand></VRTDataset>'
    )


def wms(address: str) -> str:
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>'
        "<DataWindow><UpperLeftX>-20037508</UpperLeftX><UpperLeftY>20037508</UpperLeftY><LowerRightX>20037508"
        "</LowerRightX><LowerRightY>-20037508</LowerRightY><TileLevel>2</TileLevel></DataWindow>"
        "<Projection>EPSG:3857</Projection><BandsCount>1</BandsCount></GDAL_WMS>"
    )


TEXTS = {
    "vrt_of_file": (lambda secret, web: vrt(str(secret)), "is a VRT"),
    "vrt_after_blanks": (lambda secret, web: "\ufeff \n" + vrt(str(secret)), "is a VRT"),
    "vrt_after_a_comment": (lambda secret, web: "<!-- map -->" + vrt(str(secret)), "is a VRT"),
    "vrt_of_raw_bytes": (lambda secret, web: raw("/etc/passwd"), "is a VRT"),
    "vrt_of_web": (lambda secret, web: vrt(f"/vsicurl/{web}/a.tif"), "is a VRT"),
    "wms": (lambda secret, web: wms(web), "is a description of a web service"),
    "tiles": (lambda secret, web: f"WMTS:{web}/wmts", "cannot be read"),
}


def read_all(path: Path) -> None:
    files.read(path).load()


def regrid(path: Path) -> None:
    xsm.regrid_ease9km(files.read(path)).load()


def by_plugin(path: Path) -> None:
    array = open_raster(path, None)
    assert array is not None
    array.load()


def by_solus(path: Path) -> None:
    xsm.open("solus100", path, variables=["bulk_density"], soil_depth=5).load()


def by_modis(path: Path) -> None:
    xsm.open("modis_landcover", path, legend="MCD12Q1").load()


READERS = [read_all, regrid, by_plugin, by_solus, by_modis]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("what", TEXTS)
def test_texts_that_point_elsewhere_are_refused(tmp_path, server, what, reader):
    web, got = server
    make, reason = TEXTS[what]
    secret = tiff(tmp_path / "secret.tif")
    path = tmp_path / "dbovendry_5_cm_p.tif"
    path.write_text(make(secret, web), encoding="utf-8")
    with pytest.raises(DataError, match=f"{path.name}' {reason}.*expected a GeoTIFF"):
        reader(path)
    assert not got


def test_the_command_line_writes_nothing_of_a_system_file(tmp_path, server):
    path, out = tmp_path / "map.tif", tmp_path / "out.nc"
    path.write_text(raw("/etc/passwd"))
    with pytest.raises(SystemExit) as stop:
        main(["regrid-ease9km", str(path), str(out)])
    assert stop.value.code == 1 and not out.exists()


@pytest.mark.parametrize("reader", [read_all, by_plugin])
@pytest.mark.parametrize("ending", [".msk", ".ovr", ".MSK", ".msk.ovr"])
def test_a_mask_or_overview_that_is_no_tiff_is_refused(tmp_path, server, ending, reader):
    web, got = server
    path = tiff(tmp_path / "a.tif")
    (tmp_path / f"a.tif{ending}").write_text(vrt(f"/vsicurl/{web}/a.tif"))
    with pytest.raises(DataError, match=r"beside '.*a.tif' is not a GeoTIFF"):
        reader(path)
    assert not got


@pytest.mark.parametrize("reader", [read_all, by_plugin])
def test_overviews_elsewhere_are_not_followed(tmp_path, server, reader):
    web, got = server
    path = tiff(tmp_path / "tag.tif", OVERVIEWS={"OVERVIEW_FILE": f"/vsicurl/{web}/a.tif"})
    aux = tiff(tmp_path / "aux.tif")
    (tmp_path / "aux.tif.aux.xml").write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW&#95;FILE">'
        f"/vsicurl/{web}/a.tif</MDI></Metadata></PAMDataset>"
    )
    for one in (path, aux):
        with pytest.raises(DataError, match="names other files as its overviews"):
            reader(one)
    assert not got


@pytest.mark.parametrize("reader", [read_all, by_plugin])
def test_harmless_files_beside_a_raster_still_count(tmp_path, reader):
    path = tiff(tmp_path / "a.tif")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.nodata = None
        file.write_mask(np.arange(2000).reshape(40, 50) % 2 == 0)
        file.build_overviews([2])
    assert (tmp_path / "a.tif.msk").exists()
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><Scale>0.5</Scale></PAMRasterBand></PAMDataset>"
    )
    reader(path)
    array = xr.DataArray(files.read(path)["a"])
    assert np.isnan(array.values).mean() == 0.5 and np.nanmax(array.values) == 16.5
