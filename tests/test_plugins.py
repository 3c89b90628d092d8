"""Plugins: isolation, clashes, blocking, strict mode, API number, missing dependencies, template."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import xsm
from xsm.contracts import hookspecs
from xsm.contracts import loading as plugin
from xsm.contracts.registry import get_model, get_source
from xsm.data.period import days
from xsm.errors import MissingPlugin, UsageError
from xsm.faces.new_plugin import render
from xsm.testing import check_model, check_source

GOOD = """
from xsm.plugin_api import SourceInfo, hookimpl
XSM_PLUGIN_API = {api}

@hookimpl
def xsm_sources(register):
    register(SourceInfo(name="{name}", title="t", factory="nowhere:Nothing", variables=("tb_h",)))
"""


def test_plugin_registers_through_its_hook(write_plugin):
    registry = plugin.load([write_plugin("xp_good", GOOD.format(api=2, name="mine"))])
    assert registry.plugins["xp_good"].status == "ok"
    assert registry.sources["mine"].factory == "nowhere:Nothing"
    assert {p.version for p in registry.plugins.values() if p.distribution == "xsm"} == {xsm.__version__}


@pytest.mark.parametrize(("module", "package"), [("xp_one", "xp_one"), ("xp_lab.hooks", "xp_lab")])
def test_no_warning_points_into_the_package_of_a_plugin(write_plugin, module, package):
    plugin.load([write_plugin(module, GOOD.format(api=2, name="mine"))])
    assert package in plugin.LIBRARIES


def test_broken_plugin_breaks_nothing_else(write_plugin, caplog):
    bad = write_plugin("xp_bad", "import a_module_that_is_not_there")
    good = write_plugin("xp_fine", GOOD.format(api=2, name="fine"))
    registry = plugin.load([bad, good])
    assert registry.plugins["xp_bad"].status == "failed"
    assert "a_module_that_is_not_there" in registry.plugins["xp_bad"].reason
    assert "fine" in registry.sources
    assert {"linear", "ridge"} <= set(registry.models)
    assert "xp_bad" in caplog.text


def test_half_registered_plugin_is_withdrawn(write_plugin):
    text = GOOD.format(api=2, name="half") + "    raise RuntimeError('later')\n"
    registry = plugin.load([write_plugin("xp_half", text)])
    assert registry.plugins["xp_half"].status == "failed"
    assert "half" not in registry.sources


def test_misspelt_hook_is_reported(write_plugin):
    text = GOOD.format(api=2, name="typo").replace("def xsm_sources", "def xsm_source")
    registry = plugin.load([write_plugin("xp_typo", text)])
    assert registry.plugins["xp_typo"].status == "failed"
    assert "xsm_source" in registry.plugins["xp_typo"].reason


def test_strict_mode_raises(write_plugin):
    with pytest.raises(ImportError):
        plugin.load([write_plugin("xp_strict", "import a_module_that_is_not_there")], strict=True)


def test_name_clash_names_both_owners(write_plugin):
    registry = plugin.load([write_plugin("xp_clash", GOOD.format(api=2, name="tiny"))])
    assert registry.plugins["xp_clash"].status == "failed"
    assert "xp_clash" in registry.plugins["xp_clash"].reason
    assert "'tiny'" in registry.plugins["xp_clash"].reason
    assert registry.sources["tiny"].factory.startswith("xsm.contracts.defaults")


@pytest.mark.parametrize("name", ["texture", "gapfill_cru", "gapfillcru", "regridease_9km"])
def test_operation_does_not_take_the_place_of_another(write_plugin, name):
    """QGIS has no underscore in its ids, so names that differ only in it clash too."""
    text = f"""
import xarray as xr
import xsm

@xsm.plugin_api.operation(title="Mine", group="Mine")
def {name}(ds: xr.Dataset) -> xr.Dataset:
    "Give nothing."

@xsm.plugin_api.hookimpl
def xsm_operations(register):
    register({name}.operation)
"""
    registry = plugin.load([write_plugin("xp_same", text)])
    assert registry.plugins["xp_same"].status == "failed"
    assert "is already registered by 'xsm'" in registry.plugins["xp_same"].reason
    assert registry.operations == {}


def test_other_api_number_is_not_loaded(write_plugin):
    registry = plugin.load([write_plugin("xp_api", GOOD.format(api=3, name="newer"))])
    assert registry.plugins["xp_api"].status == "incompatible"
    assert "newer" not in registry.sources


@pytest.mark.parametrize(
    ("variable", "value"), [("XSM_DISABLE_PLUGINS", "xp_off"), ("XSM_PLUGINS", "other"), ("XSM_PLUGINS", "")]
)
def test_blocked_plugin_is_never_imported(write_plugin, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    registry = plugin.load([write_plugin("xp_off", "raise RuntimeError('imported')")])
    assert registry.plugins["xp_off"].status == "blocked"


def test_unknown_and_missing_names_say_what_to_do(monkeypatch, fresh_plugins):
    monkeypatch.setenv("XSM_PLUGINS", "")
    with pytest.raises(MissingPlugin, match="xsm-smap"):
        get_source("smap")
    with pytest.raises(MissingPlugin, match="xsm-cru"):
        get_model("cru")
    with pytest.raises(UsageError, match="Did you mean 'tiny'"):
        get_source("tinny")


def test_missing_dependency_is_named():
    with pytest.raises(MissingPlugin, match="no_such_module"):
        plugin.load_factory("json:JSONDecoder", "thing", ["no_such_module"])


@pytest.mark.parametrize("name", ["linear", "ridge"])
def test_default_models_keep_the_contract(name, tmp_path):
    check_model(name, tmp=tmp_path)


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("2021-06-02/", "2021-06-02", None),
        ("/2021-06", None, "2021-06-30"),
        (np.datetime64("2021-06-02"), "2021-06-02", "2021-06-02"),
        (date(2021, 6, 2), "2021-06-02", "2021-06-02"),
        (np.array(["2021-06-01", "2021-06-02"], "M8[ns]"), "2021-06-01", "2021-06-02"),
    ],
)
def test_periods(period, first, last):
    bounds = days(period)
    assert [str(d) if d is not None else None for d in (bounds.start, bounds.stop)] == [first, last]


@pytest.mark.parametrize("period", [2021, ["2021-06-01", "2021-06-02", "2021-06-09"], slice("2021", "2022", 2)])
def test_what_is_no_period_stops(period):
    """Three days were read as the first two, and a number ended in a TypeError."""
    with pytest.raises(xsm.UsageError, match="not a pair of dates"):
        days(period)


@pytest.mark.parametrize("period", ["0001-01-01/9999-12-31", "0001-01-01/", "/2300", slice("2021-01-01", "2210-01-01")])
def test_absurd_periods_stop_at_once(period):
    """Every day of them was laid out, for minutes."""
    with pytest.raises(xsm.UsageError, match=r"has the day .*, expected days from 1900-01-01 to 2100-12-31"):
        days(period)


def test_a_huge_margin_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("date,lon,lat,soil_moisture\n2021-06-01,-98,36,0.2\n")
    with pytest.raises(xsm.UsageError, match="'margin' is 100000, expected at least 0 and at most 512"):
        xsm.open("tiny", tmp_path / "a.csv", region=(-99, 35, -97, 37), margin=100_000)


def test_folders_without_files_of_the_source_are_left_out_when_skipping(tmp_path):
    """Once, folders that the shell expands from a pattern stopped the run, whatever on_error was."""
    rows = "date,lon,lat,soil_moisture\n2021-06-01,-98,36,0.2\n"
    for name in ("a", "b", "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.csv").write_text(rows if name != "notes" else "hello\n")
    for paths in (sorted(tmp_path.iterdir()), tmp_path / "*"):
        with pytest.raises(xsm.DataError, match="notes' contains no file of source 'tiny'"):
            xsm.open("tiny", paths)
        with pytest.warns(UserWarning, match="notes' contains no file of source 'tiny' and is left out"):
            assert float(xsm.open("tiny", paths, on_error="skip")["soil_moisture"].max()) == pytest.approx(0.2)
    with pytest.raises(xsm.DataError, match="notes' contains no file"):
        xsm.open("tiny", tmp_path / "notes", on_error="skip")


def test_tiny_source_keeps_the_contract(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("date,lon,lat,soil_moisture\n2021-06-01,-98,36,0.2\n2021-06-03,-98,36,0.4\n2021-06-03,-97,35,0.1\n")
    check_source("tiny", files=[path])
    ds = xsm.open("tiny", path, variables=["soil_moisture"], margin=0, on_error="skip")
    assert "variables=soil_moisture, margin=0, on_error=skip" in ds.attrs["history"]
    assert ds.sizes["time"] == 3
    assert float(ds["soil_moisture"].isel(time=2).max()) == pytest.approx(0.4)
    assert int(ds["soil_moisture"].isel(time=1).count()) == 0


def test_contract_tests_refuse_a_bad_model(monkeypatch):
    from xsm.contracts.defaults.baseline import Linear

    right = Linear.predict_block
    monkeypatch.setattr(
        Linear,
        "predict_block",
        lambda self, a, b, device: {
            k: -v if k.endswith("_std") else v for k, v in right(self, a, b, device=device).items()
        },
    )
    with pytest.raises(AssertionError, match="negative spread"):
        check_model("linear")


def test_template_is_rendered_installed_and_listed(tmp_path):
    """As an outsider would: render, install into a scratch folder, look at ``xsm plugins``, run the plugin's test."""
    project = render("cygnsslike", tmp_path)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", site, project], check=True, timeout=120)
    env = {**os.environ, "PYTHONPATH": str(site)}
    listed = subprocess.run(
        [sys.executable, "-m", "xsm", "plugins"], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert "cygnsslike" in listed.stdout
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.raises(UsageError, match="not a name for a plugin"):
        render("Bad-Name", tmp_path)


HOOK_PLUGINS = {
    "xsm_sources": ("sources", 'SourceInfo(name="mine", title="t", factory="no:No", variables=("tb_h",))'),
    "xsm_models": ("models", 'ModelInfo("mine", "t", "gapfill", "no:No")'),
    "xsm_operations": ("operations", "mine.operation"),
}
HOOKS = [name for name in vars(hookspecs) if name.startswith("xsm_")]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_registers_and_is_documented(hook, write_plugin):
    kind, item = HOOK_PLUGINS[hook]
    text = f'''
import xarray as xr
from xsm.plugin_api import ModelInfo, SourceInfo, hookimpl, operation

@operation(title="Mine", group="Test")
def mine(ds: xr.Dataset) -> xr.Dataset:
    """Do nothing."""
    return ds

@hookimpl
def {hook}(register):
    register({item})
'''
    registry = plugin.load([write_plugin(f"xp_{hook}", text)], strict=True)
    assert "mine" in getattr(registry, kind)
    assert registry.plugins[f"xp_{hook}"].registers[kind] == ["mine"]
    page = Path(__file__).parents[1] / "docs/plugins/hooks.md"
    if page.exists():
        assert f"xsm.contracts.hookspecs.{hook}\n" in page.read_text(encoding="utf-8")
    assert inspect.getdoc(getattr(hookspecs, hook))
