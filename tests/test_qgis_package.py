"""The QGIS plugin as a package: its generated description, its zip, installing it into a profile."""

from __future__ import annotations

import json
import sys
import zipfile

import pytest

from xsm import __version__
from xsm.contracts.registry import operations
from xsm.errors import UsageError
from xsm.faces.qgis import LARGEST_ZIP, build_zip, install, operations_json, plugin_folder

PLUGIN = plugin_folder()


def test_committed_operations_are_the_cores():
    committed = (PLUGIN / "operations.json").read_bytes()
    assert committed == operations_json().encode(), (
        "the operations changed: run `xsm qgis describe > qgis_provider/xsm_qgis/operations.json` and commit it"
    )


def test_ids_of_algorithms_are_fit_for_qgis():
    names = [op.id.replace("_", "") for op in operations().values() if op.analyst]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name.isalnum() and name.islower() for name in names)


def test_zip_has_one_top_folder_and_equal_bytes_each_time(tmp_path):
    path = build_zip(tmp_path / "a")
    assert path.name == f"xsm_qgis-{__version__}.zip"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert archive.read("xsm_qgis/operations.json") == (PLUGIN / "operations.json").read_bytes()
    assert {name.split("/")[0] for name in names} == {"xsm_qgis"}
    assert {f"xsm_qgis/{n}" for n in ("__init__.py", "metadata.txt", "LICENSE", "icon.svg", "runner.py")} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert path.stat().st_size < LARGEST_ZIP
    assert build_zip(tmp_path / "b").read_bytes() == path.read_bytes()


def test_install_copies_the_plugin_and_records_this_python(tmp_path, monkeypatch):
    monkeypatch.setenv("QGIS_CUSTOM_CONFIG_PATH", str(tmp_path))
    target = install("default", "3")
    assert target == tmp_path / "profiles/default/python/plugins/xsm_qgis"
    (target / "stale.py").write_text("left from an older version")
    assert install("default", "3") == target
    copied = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    shipped = {p.relative_to(PLUGIN).as_posix() for p in PLUGIN.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert copied == shipped
    assert json.loads((tmp_path / "profiles/default/xsm/python.json").read_text()) == {"python": sys.executable}
    assert [p.name for p in target.parent.iterdir()] == ["xsm_qgis"]


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
@pytest.mark.parametrize("version", ["3", "4"])
def test_install_finds_the_profile_of_each_qgis(tmp_path, monkeypatch, version):
    monkeypatch.delenv("QGIS_CUSTOM_CONFIG_PATH", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert install("default", version) == tmp_path / f"QGIS/QGIS{version}/profiles/default/python/plugins/xsm_qgis"


def test_install_refuses_an_unknown_profile_and_a_strange_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QGIS_CUSTOM_CONFIG_PATH", str(tmp_path))
    (tmp_path / "profiles/work").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"Unknown QGIS 3 profile 'wrok'.*Did you mean 'work'"):
        install("wrok", "3")
    mine = tmp_path / "profiles/work/python/plugins/xsm_qgis/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    with pytest.raises(UsageError, match="not a QGIS plugin"):
        install("work", "3")
    assert mine.read_text() == "precious"
