from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
import xsm
from hypothesis import given
from hypothesis import strategies as st
from xsm import DataError, UsageError
from xsm.data.roles import soil_slice
from xsm.testing import check_source, open_files, write_layer
from xsm.twin import make_world
from xsm_soilgrids.fetch import layers
from xsm_soilgrids.layout import IGH, LAYERS, NODATA, layer_of
from xsm_soilgrids.source import SoilGridsSource

SOURCE = SoilGridsSource()
open_ = functools.partial(open_files, SOURCE)
REGION = (-97.3, 35.9, -97.0, 36.2)
TEXTURE = ("sand", "silt", "clay")


@pytest.fixture(scope="module")
def world():
    return make_world(REGION, days=2)


@pytest.fixture(scope="module")
def written(world, tmp_path_factory) -> list[Path]:
    return SOURCE.write(world, tmp_path_factory.mktemp("soilgrids"))


def stored(name: str) -> np.ndarray:
    """Grams of a kilogram that sum to 1000, density around 130 cg cm-3; a lake."""
    rng = np.random.default_rng(3)
    shares = dict(zip(TEXTURE, np.moveaxis(np.rint(rng.dirichlet([4, 3, 2], (30, 40)) * 1000), -1, 0), strict=True))
    out = (shares | {"bdod": rng.integers(60, 180, (30, 40))})[name].astype("i2")
    out[5:9, 5:9] = NODATA
    return out


def make(folder: Path, name: str, values=None, layer="0-5", statistic="mean", nodata=NODATA) -> Path:
    values = stored(name) if values is None else values
    return write_layer(
        folder / f"{name}_{layer}cm_{statistic}.tif", values, IGH, (-11e6, 4e6), 250, nodata=nodata, compress="deflate"
    )


def test_contract_with_the_synthetic_twin(world, tmp_path):
    check_source("soilgrids", world=world, tmp=tmp_path)


def test_a_world_comes_back_through_the_mosaic(world, written):
    ds = xsm.open("soilgrids", written, region=world.grid, margin=0)
    x, y = np.meshgrid(ds["x"], ds["y"])
    lon, lat = rasterio.warp.transform(IGH, "EPSG:4326", x.ravel(), y.ravel())
    for name, twin, step in (
        ("sand", "sandtotal", 0.1),
        ("clay", "claytotal", 0.1),
        ("bulk_density", "dbovendry", 0.01),
    ):
        for depth in (2.5, 22.5):
            truth = world.soil_at(twin, depth, np.reshape(lon, x.shape), np.reshape(lat, x.shape))
            error = np.abs(ds[name].sel(soil_depth=depth).values - truth)
            assert np.isfinite(error).mean() > 0.5 and np.nanmax(error) <= 1.1 * step
    assert ds["soil_depth_bounds"].values.tolist() == [[0, 5], [15, 30]] and "twin" in ds.attrs["synthetic"]


def test_mosaic_is_what_gdal_reads(world, written):
    path = next(p for p in written if p.name == "bdod_0-5cm_mean.vrt")
    ds = open_([path], soil_depth=5, region=xsm.plugin_api.Area(world.bbox, world.grid))
    with rasterio.open(path) as file:
        window = rasterio.windows.from_bounds(*ds.rio.bounds(), file.transform).round_offsets().round_lengths()
        raw = file.read(1, window=window, masked=True).astype("f4").filled(np.nan)
    np.testing.assert_array_equal(ds["bulk_density"][0], raw / np.float32(100))


def test_on_the_9_km_grid_it_is_the_mean_of_its_pixels(world, written):
    soil = xsm.open("soilgrids", written, region=world.grid, margin=1)
    cells = soil.sm.regrid_ease9km(like=world.grid, method="average").load()
    truth = world.truth
    for name, near in (("sand", 1.5), ("clay", 1.0), ("bulk_density", 0.03)):
        error = np.abs(cells[name].isel(soil_depth=0) - truth[name].isel(soil_depth=0)).max()
        assert float(error) < near, name
    classes = cells.sm.texture()["texture"]
    assert set(np.unique(classes)) <= {*range(1, 13), 255} and (classes < 255).any()


def test_units_are_those_of_the_product(tmp_path):
    paths = [make(tmp_path, n) for n in (*TEXTURE, "bdod")]
    ds = open_(paths, soil_depth=5)
    raw = {n: np.where(stored(n) == NODATA, np.nan, stored(n).astype("f8")) for n in (*TEXTURE, "bdod")}
    total = sum(raw[n] for n in TEXTURE)
    for name in TEXTURE:
        np.testing.assert_allclose(ds[name][0], 100 * raw[name] / total, rtol=5e-7)
    np.testing.assert_allclose(ds["bulk_density"][0], raw["bdod"] / 100, rtol=1e-7)
    assert (ds["sand"].attrs["units"], ds["bulk_density"].attrs["units"]) == ("percent", "g cm-3")


@pytest.mark.parametrize(
    ("name", "factor", "why"),
    [
        ("bdod", 0.01, "in g cm-3 already"),
        ("bdod", 10, "in kg m-3"),
        ("all", 0.1, "sum to 10 \\("),
        ("sand", 10, "sand of"),
    ],
)
def test_copies_in_other_units_are_refused(tmp_path, name, factor, why):
    names = TEXTURE if name in ("all", "sand") else ("bdod",)
    for n in names:
        values = stored(n).astype("f4")
        changed = np.where(values == NODATA, -9999, values * (factor if name in ("all", n) else 1)).astype("f4")
        make(tmp_path, n, changed, nodata=-9999)
    with pytest.raises(DataError, match=why):
        open_(sorted(tmp_path.glob("*.tif")), soil_depth=5).load()


def test_zeros_of_the_coverage_service_are_missing(tmp_path):
    """It writes 0 over water, where no soil weighs nothing."""
    for n in (*TEXTURE, "bdod"):
        make(tmp_path, n, np.where(stored(n) == NODATA, 0, stored(n)).astype("i2"), nodata=None)
    with pytest.warns(UserWarning, match="no nodata value; every pixel but -32768 counts"):
        ds = open_(sorted(tmp_path.glob("*.tif")), soil_depth=5).load()
    lake = stored("sand") == NODATA
    for n in ds:
        np.testing.assert_array_equal(np.isnan(ds[n].values[0]), lake)


@given(st.integers(1, 200))
def test_a_depth_lies_in_its_layer(depth):
    top, bottom = LAYERS[layer_of(depth)]
    assert top < depth <= bottom


def test_layers_statistics_and_names(tmp_path):
    paths = [make(tmp_path, "clay", np.full((30, 40), v, "i2"), layer, stat) for v, layer, stat in (
        (100, "0-5", "mean"), (200, "15-30", "mean"), (300, "0-5", "Q0.5"), (400, "0-5", "Q0.05"))]  # fmt: skip
    with pytest.warns(UserWarning, match="not rescaled to 100, as sand, silt is missing"):
        assert open_(paths[:2], soil_depth="5,25,30")["clay"].values[:, 0, 0].tolist() == [10, 20]
    with pytest.warns(UserWarning, match="3 files are not layers of Q0.5 and are left out"):
        assert open_(paths, soil_depth=5, statistic="Q0.5")["clay"].values[0, 0, 0] == 30
    with pytest.raises(DataError, match=r"clay_5-15cm_mean is not among the files .* layers 0-5, 15-30"):
        open_(paths[:2], soil_depth=15)
    with pytest.raises(UsageError, match="no depth 300"):
        open_(paths, soil_depth=300)
    with pytest.raises(DataError, match="None of the files is a layer of SoilGrids"):
        open_([make(tmp_path, "sand", statistic="uncertainty")])
    assert SOURCE.identify(Path("clay_0-5cm_Q0.95.vrt")) and SOURCE.identify(Path("bdod_5-15cm_mean_1_2_3_4.tif"))
    for name in ("phh2o_0-5cm_mean.vrt", "clay_0-5cm_Q05.vrt", "clay_0-5cm_uncertainty.tif", "tileSG-001-002_1-1.tif"):
        assert not SOURCE.identify(Path(name)), name


def test_damage_is_named_and_skipped(written, world, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(written[0].parent, folder)
    bad = next((folder / "bdod_0-5cm_mean").rglob("*.tif"))
    bad.write_bytes(b"<html>")
    paths = sorted(folder.glob("bdod*.vrt"))
    with pytest.raises(DataError, match=f"{bad.name}' is an HTML page"):
        xsm.open("soilgrids", paths, region=world.grid).load()
    with pytest.warns(UserWarning, match="left out"):
        ds = xsm.open("soilgrids", paths, region=world.grid, on_error="skip").load()
    assert ds["bulk_density"][1].notnull().any()
    paths[0].write_text("<html>log in</html>")
    with pytest.warns(UserWarning, match=paths[0].name):
        ds = xsm.open("soilgrids", paths, region=world.grid, on_error="skip")
    assert paths[0].name in ds.attrs["skipped"][0]


def test_fetch_lists_cuts_of_the_region_on_the_pixels(tmp_path):
    plan = xsm.fetch(
        "soilgrids", tmp_path, region=REGION, variables="clay,bulk_density", soil_depth="5,25,30", dry_run=True
    )
    assert [r.name.split("_")[:3] for r in plan.remotes] == [
        ["clay", "0-5cm", "mean"], ["clay", "15-30cm", "mean"], ["bdod", "0-5cm", "mean"], ["bdod", "15-30cm", "mean"]
    ]  # fmt: skip
    url = plan.remotes[2].url
    assert (
        "map=/map/bdod.map" in url
        and "COVERAGEID=bdod_0-5cm_mean&" in url
        and all(SOURCE.identify(Path(r.name)) for r in plan.remotes)
    )
    west, east = (int(v) for v in url.split("SUBSET=X(")[1].split(")")[0].split(","))
    assert (west + 19949750) % 250 == 0 and (east - west) % 250 == 0
    box = rasterio.warp.transform_bounds("EPSG:4326", IGH, *REGION, densify_pts=21)
    assert west < box[0] and east > box[2]
    with pytest.raises(UsageError, match="expected a region"):
        layers(["clay"], [5], "mean", None)


SERVER = """
import http.server
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_layers_are_read_from_their_address(written, world):
    """The server is a process of its own, as GDAL keeps the GIL."""
    command = [sys.executable, "-c", SERVER]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=written[0].parent, **pipes) as server:
        try:
            base = f"http://127.0.0.1:{int(server.stdout.readline())}"
            urls = [f"{base}/{p.name}" for p in written if "bdod" in p.name]
            remote = xsm.open("soilgrids", urls, region=world.grid, margin=0).load()
        finally:
            server.kill()
    local = xsm.open("soilgrids", written, region=world.grid, margin=0, variables=["bulk_density"])
    xr.testing.assert_equal(remote.drop_attrs(), local.drop_attrs())


def test_scenarios_and_fusion_take_the_layer_of_their_depth(world, written):
    """5 cm lies in 0-5 cm, 25 cm in 15-30 cm, also on the 9 km grid."""
    cells = xsm.open("soilgrids", written, region=world.grid, margin=1).sm.regrid_ease9km(like=world.grid)
    assert cells["soil_depth_bounds"].values.tolist() == [[0, 5], [15, 30]] and cells["sand"].attrs["role"] == "soil"
    cube = xsm.cube(xsm.twin.make_world(world.grid, 2).smap, cells)
    assert soil_slice(cube, "sand", 5).equals(cube["sand"].isel(soil_depth=0, drop=True))
    assert soil_slice(cube, "sand", 25).equals(cube["sand"].isel(soil_depth=1, drop=True))
