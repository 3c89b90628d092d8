"""The command line on bad input: one sentence with a remedy, the right exit code, no traceback, no output."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import xarray as xr

from xsm.contracts.registry import manager
from xsm.faces.cli import main
from xsm.io import files


@pytest.fixture
def inputs(law_cube, tmp_path, monkeypatch):
    """A folder with good and broken files, the current one."""
    monkeypatch.chdir(tmp_path)
    files.write(law_cube, tmp_path / "cube.nc")
    (tmp_path / "SMAP_L3_SM_P_E_20210601_R19240_001.h5").write_bytes(b"<!DOCTYPE html><html>Earthdata Login</html>")
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["Soil_Moisture_Retrieval_Data_AM/soil_moisture"] = np.zeros((1624, 100), "f4")
    data = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / "SMAP_L3_SM_P_E_20210602_R19240_001.h5").write_bytes(data[: len(data) // 2])
    xr.Dataset({"sand": (("a", "b"), np.ones((4, 5), "f4"))}).to_netcdf(tmp_path / "no_coords.nc")
    return tmp_path


def run(*args):
    """Run the command; gives the exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in args])
    return stop.value.code


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("estimate", "none.nc", "out.nc"), 1, "'none.nc' does not exist"),
        (("open", "smap", "nowhere/*.h5", "out.nc"), 1, "does not exist"),
        (("open", "smap", "SMAP_L3_SM_P_E_20210601_R19240_001.h5", "out.nc"), 1, "login page"),
        (("open", "smap", "SMAP_L3_SM_P_E_20210602_R19240_001.h5", "out.nc"), 1, "SMAP_L3_SM_P_E_20210602"),
        (("regrid-ease9km", "no_coords.nc", "out.nc"), 1, "coordinates"),
        (("open", "smapp", "cube.nc", "out.nc"), 2, "Did you mean 'smap'"),
        (("fit", "cube.nc", "out", "--model", "convlsmt"), 2, "Did you mean 'convlstm'"),
        (("gapfill", "cube.nc", "out.nc", "--variables", "tb_x"), 2, "Did you mean 'tb_"),
        (("estimate", "cube.nc", "out.nc", "--depth", "10"), 2, "10"),
        (("estimate", "cube.nc", "out.nc", "--scenario", "3"), 2, "3"),
        (("estimate", "cube.nc", "out.nc", "--model", "no-bundle"), 1, "not a model bundle"),
        (("estimate", "cube.nc", "out.xyz"), 2, "expected .nc"),
        (("estimate", "cube.nc"), 2, "OUTPUT"),
        (("estimat",), 2, "Did you mean 'estimate'"),
        (("example", "trut", "out.nc"), 2, "Did you mean 'truth'"),
        (("example", "truth", "out.nc", "--name", "cube"), 2, "given twice: truth and cube"),
        (("example", "truth", "out.nc", "more"), 2, "unexpected extra argument (more)"),
        (("example", "truth"), 2, "expected .nc"),
        (("gapfill", "cube.nc", "out.nc", "-o", "epochs"), 2, "name=value"),
        (("fetch", "smap"), 2, "DEST"),
        (("fetch", "smapp", "SMAP"), 2, "Did you mean 'smap'"),
        (("fetch", "ismn", "ISMN"), 3, "by hand from"),
        (("fetch", "smap", "SMAP", "--workers", "0"), 2, "expected at least 1 and at most 32"),
        (("fetch", "solus100", "SOLUS", "-o", "soil_depth"), 2, "name=value"),
        (("run", "none.toml"), 1, "xsm init rabiei2024"),
    ],
)
def test_bad_input_ends_with_a_sentence_and_its_code(inputs, capsys, args, code, text):
    before = sorted(p.name for p in inputs.iterdir())
    assert run(*args) == code
    printed = capsys.readouterr()
    assert text in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert sorted(p.name for p in inputs.iterdir()) == before


def test_missing_plugin_has_its_own_code(inputs, capsys, monkeypatch, fresh_plugins):
    monkeypatch.setenv("XSM_PLUGINS", "")
    manager.cache_clear()
    assert run("open", "smap", "cube.nc", "out.nc") == 3
    assert "xsm-smap" in capsys.readouterr().err


def test_debug_shows_the_traceback(inputs, capsys):
    assert run("estimate", "none.nc", "out.nc", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_leaves_nothing(inputs, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_write_netcdf", interrupted)
    assert run("texture", "cube.nc", "out.nc") == 130
    assert not (inputs / "out.nc").exists()
    assert not list(inputs.glob(".*"))


def test_lists_are_json_on_request(capsys):
    for name in ("plugins", "sources", "models", "ops"):
        assert run(name, "--json") == 0
        assert json.loads(capsys.readouterr().out)


def test_a_chain_of_commands(inputs, capsys):
    assert run("fit", "cube.nc", "bundle", "--model", "ridge", "--depth", "5", "-o", "penalty=2") == 0
    assert run("estimate", "cube.nc", "est.nc", "--depth", "5", "--model", "bundle") == 0
    assert run("inspect", "bundle") == 0
    card = capsys.readouterr().out
    assert '"penalty": 2.0' in card
    assert float(files.read("est.nc")["sm_5cm"].notnull().mean()) > 0.8
    assert run("estimate", "cube.nc", "est.nc", "--depth", "5", "--model", "bundle") == 2
    assert run("estimate", "cube.nc", "est.nc", "--depth", "5", "--model", "bundle", "--overwrite", "-q") == 0


@pytest.mark.parametrize("words", [("smap", "out.nc"), ("out.nc", "--name", "smap"), ("--name", "smap", "out.nc")])
def test_example_takes_its_name_in_front_or_as_an_option(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("example", *words, "--size", "8", "--days", "8") == 0
    assert capsys.readouterr().out == "out.nc\n"
    assert "land" not in files.read("out.nc")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["estimate", "cube.nc", "out.nc", "--depth", "10"], "'10' is not one of '5', '25'"),
        (["estimate", "cube.nc"], "Missing argument 'OUTPUT'"),
        (["estimate", "cube.nc", "out.nc", "--dept", "5"], "No such option"),
    ],
)
def test_usage_errors_are_a_sentence_and_a_hint(arguments, says, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert says in lines[0]
    assert lines[1:] == ["hint: See xsm estimate --help."]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["zonal", "maps.nc", "basins.geojson", "-o", "out.csv"], "The output is the last argument"),
        (["at", "maps.nc", "35.9", "-98.1", "out.csv"], "as in --lon -98.1"),
    ],
)
def test_habits_from_other_tools_get_advice(arguments, advice, capsys):
    assert run(*arguments) == 2
    hint = capsys.readouterr().err.splitlines()[1]
    assert advice in hint and hint.endswith(f"See xsm {arguments[0]} --help.")


@pytest.mark.parametrize("options", [["--by", "land_cover,texture"], ["--by", "land_cover", "--by", "texture"]])
def test_lists_take_commas_and_repeats(options):
    from xsm.contracts.registry import get_operation
    from xsm.faces.command import command

    context = command(get_operation("validate")).make_context("validate", ["a.nc", "b.nc", "c.nc", *options])
    assert context.params["by"] == "land_cover,texture"
