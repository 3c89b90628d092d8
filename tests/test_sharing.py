"""Results that others open: a catalogue of the days, maps and archive behind a web server."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rio_cogeo.cogeo import cog_validate

from xsm.errors import UsageError
from xsm.io import files
from xsm.study import config, template
from xsm.study.example import Size, make_files, study_changes
from xsm.study.pipeline import run_study

SMALL = Size(12, "2021-06-01", 20)
FUSION = '[fuse]\nmodel = "pretrained"\nmode = "smoother"\n'


def small_study(folder, *, more=""):
    """A study that fuses with the shipped models, the fastest there is."""
    make_files(folder / "files", SMALL, seed=1)
    text = template.template(**study_changes(SMALL, "files"))
    path = folder / "study.toml"
    path.write_text(more + text[: text.index("[gapfill]")] + FUSION)
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    return run_study(config.load(small_study(folder, more="stac = true\n")))


SERVER = """
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
class Files(SimpleHTTPRequestHandler):
    def list_directory(self, path):
        self.send_error(404)
server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def address(results, monkeypatch):
    """The address of the results behind a plain web server, which lists no folders; a process, for GDAL locks ours."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, cwd=results, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


def test_the_catalogue_is_valid_and_leads_to_the_maps(results):
    """Core schemas travel with pystac; that of the projection extension is checked by hand, for it lies on the web."""
    validator = JsonSchemaSTACValidator()
    catalog = pystac.Catalog.from_file(str(results / "stac" / "catalog.json"))
    things = [catalog, *catalog.get_children(), *catalog.get_items(recursive=True)]
    for thing in things:
        about = thing.to_dict(transform_hrefs=False)
        validator.validate_core(about, thing.STAC_OBJECT_TYPE, about["stac_version"])
    items = things[2:]
    assert [item.id for item in items] == [str(day) for day in SMALL.dates]
    maps = files.read(results / "estimates.nc")
    for item in items[::7]:
        assert set(item.assets) == {"sm_5cm", "sm_25cm", "archive"}
        for name in ("sm_5cm", "sm_25cm"):
            path = item.assets[name].get_absolute_href()
            assert cog_validate(path, quiet=True)[0]
            with rasterio.open(path) as file:
                assert item.properties["proj:code"] == f"EPSG:{file.crs.to_epsg()}"
                assert item.properties["proj:shape"] == list(file.shape)
                np.testing.assert_allclose(item.properties["proj:transform"], list(file.transform))
                np.testing.assert_array_equal(file.read(1), maps[name].sel(time=item.id).values.squeeze())
        west, south, east, north = item.bbox
        assert west < -98 < east and south < 36 < north
        assert files.read(item.assets["archive"].get_absolute_href()).sizes["time"] == len(items)
    assert not any(link.get_href().startswith("/") for item in items for link in item.links if link.rel != "self")


def test_a_catalogue_needs_maps(tmp_path):
    source = {"inputs": {"smap": {"paths": "x"}}}
    with pytest.raises(UsageError, match=r"stac = true, but writes no GeoTIFF.*geotiff ="):
        config.parse(source | {"stac": True}, tmp_path)
    with pytest.raises(UsageError, match="'stac' of .study. is 'yes', expected true or false"):
        config.parse(source | {"stac": "yes"}, tmp_path)


def test_a_store_opens_by_its_address(results, address):
    """Without a listing of its folders, as from object storage; the metadata come with one request."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # xarray's, where the metadata are not in one file
        there = xr.open_zarr(f"{address}/data/fused.zarr", decode_coords="all")
    here = files.read(results / "data" / "fused.zarr")
    assert set(there.variables) == set(here.variables)
    for name in ("sm_5cm", "sm_25cm_std", "frozen"):
        np.testing.assert_array_equal(there[name].values, here[name].values)
    assert there.attrs["Conventions"] == here.attrs["Conventions"]


def test_attributes_that_come_last_are_at_the_address_too(results, address, tmp_path):
    store = results / "late.zarr"
    ds = files.read(results / "data" / "fused.zarr")[["sm_5cm"]].load()
    files.write(ds, store, overwrite=True)
    files._record_skipped(store, ["a.h5: truncated"])
    assert xr.open_zarr(f"{address}/late.zarr").attrs["skipped"] == ["a.h5: truncated"]


def test_maps_open_by_their_address(results, address):
    day = str(SMALL.dates[3])
    with rasterio.open(f"{address}/geotiff/sm_5cm_{day}.tif") as file:
        there = file.read(1)
    np.testing.assert_array_equal(there, files.read(results / "estimates.nc")["sm_5cm"].sel(time=day).squeeze())
