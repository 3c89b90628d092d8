"""What comes from outside: sizes that are claimed, not held; credentials; files of others; no unsafe loaders."""

from __future__ import annotations

import ast
import json
import logging
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

import xsm
from tests.web_server import one, status
from xsm import files
from xsm.bundle import Bundle
from xsm.errors import DataError, XsmError
from xsm.source import get_source
from xsm.twin import default_grid, make_world

ROOT = Path(__file__).resolve().parents[1]
HUGE = (10**6, 10**6)


def test_a_netcdf_that_claims_a_million_million_cells_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.create_dataset("v", HUGE, "f4", chunks=(1000, 1000))
    assert (tmp_path / "a.nc").stat().st_size < 10_000
    with pytest.raises(DataError, match=r"a\.nc' claims 1e\+12 cells"):
        files.read(tmp_path / "a.nc")


@pytest.mark.parametrize(("shape", "chunk"), [(HUGE, (1000, 1000)), ((10**5, 10**5), (1, 10))])
def test_a_zarr_store_that_claims_them_is_refused(tmp_path, shape, chunk):
    import zarr

    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("v", shape=shape, chunks=chunk, dtype="f4", dimension_names=("y", "x"))
    with pytest.raises(DataError, match=r"claims 1e\+1[02] cells in .* chunks for 'v'"):
        files.read(tmp_path / "a.zarr")


def test_a_bundle_that_claims_them_is_refused(tmp_path):
    card = {"format": 1, "task": "gapfill", "model": "x", "inputs": ["a"], "targets": ["a"], "units": {}}
    path = Bundle(card, {"w": np.zeros(4, "f4")}).save(tmp_path / "bundle")
    head = json.dumps({"w": {"dtype": "F32", "shape": HUGE, "data_offsets": [0, 4 * 10**12]}}).encode()
    (path / "weights.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(16))
    with pytest.raises(DataError, match="damaged"):
        Bundle.load(path)


def test_a_granule_that_claims_them_is_refused(tmp_path):
    grid = default_grid(8)
    get_source("smap").write(make_world(grid, 2, seed=1), tmp_path)
    path = min(tmp_path.rglob("*.h5"))
    with h5py.File(path, "r+") as file:
        group = next(g for g in file.values() if "AM" in g.name)
        for name, held in list(group.items()):
            if held.ndim == 2:
                kind, attrs = held.dtype, dict(held.attrs)
                del group[name]
                group.create_dataset(name, HUGE, kind, chunks=(1000, 1000)).attrs.update(attrs)
    with pytest.raises(XsmError, match=path.name):
        xsm.open("smap", path, region=grid, margin=0).load()


def test_credentials_are_never_logged(serve, tmp_path, monkeypatch, caplog, capsys):
    from xsm import download
    from xsm.keys import Login

    server = serve()
    server.routes["/a.bin"] = status(401)
    monkeypatch.setenv("SECRETIVE_USERNAME", "somebody")
    monkeypatch.setenv("SECRETIVE_PASSWORD", "pass-word-1234")
    monkeypatch.setenv("SECRETIVE_TOKEN", "token-5678")
    login = Login("Nobody", server.url, ("127.0.0.1",), "SECRETIVE")
    with caplog.at_level(logging.DEBUG), pytest.raises(XsmError) as caught:
        download([one(server, "a.bin")], tmp_path / "out", login=login)
    assert any("Authorization" in headers for _, headers in server.seen)
    from xsm.keys import find_keys

    said = caplog.text + "".join(capsys.readouterr()) + str(caught.value) + repr(find_keys(login))
    assert "pass-word-1234" not in said and "token-5678" not in said


def test_unfinished_files_are_private(tmp_path):
    with files.fresh(tmp_path / "a.nc") as part:
        assert part.parent.stat().st_mode & 0o077 == 0
        part.touch()
    with pytest.raises(DataError), files.fresh(tmp_path / "b.zarr", keep="mark") as part:
        assert part.parent.stat().st_mode & 0o077 == 0
        raise DataError("stop")


def test_loaders_that_run_code_are_not_used():
    """No eval, exec, shell, yaml.load, torch.load, allow_pickle; pickle only between the processes of a run."""
    found = []
    sources = [p for part in ("src", "plugins", "qgis_provider") for p in (ROOT / part).rglob("*.py")]
    for path in (p for p in sources if "tests" not in p.parts):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(ROOT).as_posix()}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {a.name for a in node.names} | {getattr(node, "module", None)}
                bad = names & {"pickle", "cloudpickle", "marshal", "shelve", "yaml", "xml.etree", "lxml", "joblib"}
                found += [where] if bad and path.name != "crew.py" else []
            elif isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                full = ast.unparse(node.func)
                loose = any(
                    k.arg in ("allow_pickle", "shell") and ast.unparse(k.value) != "False" for k in node.keywords
                )
                if name in ("eval", "exec") or full in ("os.system", "tempfile.mktemp") or loose:
                    found.append(where)
                if isinstance(node.func, ast.Attribute) and node.func.attr in ("extractall", "extract"):
                    found.append(where)
    assert not found
