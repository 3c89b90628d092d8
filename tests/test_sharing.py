"""Studies whose results others open by an address, and that run unattended: catalogue, status, watch, notify."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rio_cogeo.cogeo import cog_validate

import xsm
from xsm.errors import DataError, UsageError
from xsm.faces.cli import main
from xsm.io import files
from xsm.study import config, template
from xsm.study.example import Size, make_files, study_changes
from xsm.study.health import faults_of, status_of
from xsm.study.pipeline import run_study
from xsm.study.unattended import notify, seconds_in

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


@pytest.fixture(scope="module")
def study(results):
    return config.load(results.parent / "study.toml")


@pytest.fixture(scope="module")
def states(study):
    """The status over all days, and over the last ones."""
    last = replace(study, health=config.Health(days=6))
    return {"all": status_of(study, today="2021-06-25"), "last": status_of(last, today="2021-06-25")}


def run(*args):
    """Exit code of a command."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in args])
    return stop.value.code


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
    maps = files.read(results / "estimates.nc")
    assert [item.id for item in items] == maps["time"].values.astype("M8[D]").astype(str).tolist()
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
    with pytest.raises(UsageError, match=r"'stac' of .study. is 'yes', expected true or false"):
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
    day = str(SMALL.dates[5])
    with rasterio.open(f"{address}/geotiff/sm_5cm_{day}.tif") as file:
        there = file.read(1)
    np.testing.assert_array_equal(there, files.read(results / "estimates.nc")["sm_5cm"].sel(time=day).squeeze())


def test_the_status_is_that_of_the_last_days(results, states):
    state = states["all"]
    maps, stations = files.read(results / "estimates.nc").load(), files.read(results / "data" / "stations.nc")
    assert (state.newest, state.age, state.faults) == ("2021-06-20", 5, [])
    assert set(state.products) == {"smap", "nldas"}
    smap = files.read(results / "data" / "smap.zarr")["sm_dca"]
    valued = smap["time"][np.isfinite(smap.values).any((1, 2))].values.astype("M8[D]")
    assert state.products["smap"] >= str(valued[-1])
    inside = np.isfinite(maps["sm_5cm"].values)
    assert state.observed == pytest.approx(maps["retrieval_observed"].values[inside].mean(), abs=1e-4)
    scores = xsm.validate(maps, stations, variables=("sm_5cm", "sm_25cm"))
    for name in ("sm_5cm", "sm_25cm"):
        assert state.skill[name]["ubrmse"] == pytest.approx(float(scores["ubrmse_mean"].sel(product=name)), abs=1e-4)
    assert json.loads(state.as_json())["newest"] == "2021-06-20"


def test_the_drift_is_about_the_days_before(results, states):
    spread = files.read(results / "estimates.nc")["sm_25cm_std"].values
    assert states["last"].drift["sm_25cm"] == pytest.approx(
        np.nanmean(spread[-6:]) / np.nanmean(spread[-12:-6]) - 1, abs=1e-3
    )


@pytest.mark.parametrize(
    ("limit", "crossed", "fine", "sentence"),
    [
        ("max_age", 4, 5, "The newest map is 5 days old, expected at most 4."),
        ("max_lag", 0, 3, "'smap' is 1 days behind the maps, expected at most 0."),
        ("min_observed", 0.99, 0.01, "The share observed is"),
        ("max_drift", 0.0, 9.0, "The spread of 'sm_5cm' changed by"),
        ("max_ubrmse", 0.001, 0.5, "The ubRMSE of 'sm_5cm' is"),
        ("min_r", 0.999, -1.0, "R of 'sm_5cm' is"),
    ],
)
def test_each_limit_is_watched(states, limit, crossed, fine, sentence):
    state = states["last"] if limit == "max_drift" else states["all"]
    faults = faults_of(config.Health(**{limit: crossed}), state)
    assert faults and faults[0].startswith(sentence)
    assert faults_of(config.Health(**{limit: fine}), state) == []


def test_the_exit_code_says_whether_a_limit_is_crossed(results, capsys):
    assert run("status", results.parent / "study.toml", "--json") == 0
    assert json.loads(capsys.readouterr().out)["newest"] == "2021-06-20"
    strict = results.parent / "strict.toml"
    strict.write_text((results.parent / "study.toml").read_text() + "[health]\nmax_age = 3\n")
    assert run("status", strict) == 4
    assert "expected at most 3" in capsys.readouterr().err
    strict.write_text(strict.read_text() + "max_lag = 'much'\n")
    assert run("status", strict) == 2
    assert "'max_lag' of [health] is 'much', expected a number" in " ".join(capsys.readouterr().err.split())


def test_a_study_without_results_says_so(study, tmp_path):
    with pytest.raises(DataError, match=r"has no results yet.*xsm run STUDY"):
        status_of(replace(study, out=tmp_path / "nothing"))


def test_each_update_is_a_line_that_a_program_gets(results, tmp_path, capsys):
    """One that works, and one that fails, of which the status then tells."""
    program = tmp_path / "program.py"
    program.write_text(f"import sys; open({str(tmp_path / 'lines')!r}, 'a').write(sys.stdin.read())")
    path, command = results.parent / "study.toml", shlex.join([sys.executable, str(program)])
    how = ["watch", path, "--every", "1s", "--json", "--notify", command, "--progress", "off"]
    assert run(*how, "--times", 2) == 0
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [json.loads(text) for text in (tmp_path / "lines").read_text().splitlines()] == lines
    assert [line["ok"] for line in lines] == [True, True]
    assert all(line["added"] == [] and line["faults"] == [] for line in lines)
    broken = results.parent / "broken.toml"
    broken.write_text(path.read_text().replace("files/NLDAS", "files/GONE"))
    assert run("update", broken, "--json", "--notify", command) == 1
    line = json.loads(capsys.readouterr().out)
    assert not line["ok"] and line["exit_code"] == 1 and "GONE" in line["error"]
    assert json.loads((tmp_path / "lines").read_text().splitlines()[-1]) == line
    assert "The last run failed" in status_of(config.load(path)).faults[0]
    assert run("update", path, "--json") == 0
    assert status_of(config.load(path)).faults == []


def test_no_shell_reads_the_program(tmp_path, recwarn):
    notify(f"{sys.executable} -c pass ; touch {tmp_path}/x", "{}")
    assert not (tmp_path / "x").exists()
    notify("no-such-program", "{}")
    notify(f"{sys.executable} -c 'raise SystemExit(3)'", "{}")
    assert [str(w.message)[-40:] for w in recwarn][-1].endswith("ended with exit code 3.")
    assert "could not be notified" in str(recwarn[-2].message)


@pytest.mark.parametrize("text", ["", "1", "0h", "1w", "h", "-1h", "1h30m"])
def test_an_interval_is_a_number_and_a_unit(text):
    with pytest.raises(UsageError, match=r"expected a number and s, m, h or d"):
        seconds_in(text)
