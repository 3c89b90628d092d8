"""Input from outside: files that claim sizes they do not have, credentials, private files, no unsafe loaders."""

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
from xsm import atomic
from xsm.contracts.bundle import Bundle
from xsm.contracts.registry import get_source
from xsm.errors import DataError, XsmError
from xsm.io import files
from xsm.twin import default_grid, make_world

ROOT = Path(__file__).resolve().parents[1]
HUGE = (10**6, 10**6)


def test_a_netcdf_that_claims_a_trillion_cells_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.create_dataset("v", HUGE, "f4", chunks=(1000, 1000))
    assert (tmp_path / "a.nc").stat().st_size < 10_000
    with pytest.raises(DataError, match=r"a\.nc' claims 1e\+12 cells"):
        files.read(tmp_path / "a.nc")


@pytest.mark.parametrize("cells", [10**12, 10**11, 10**9])
def test_a_coordinate_that_claims_too_many_cells_is_refused(tmp_path, cells):
    """Opening a file makes xarray load the coordinates of its dimensions."""
    import zarr

    with h5py.File(tmp_path / "a.nc", "w") as file:
        axis = file.create_dataset("x", (cells,), "f8", chunks=(10**7,))
        axis.make_scale("x")
        file.create_dataset("v", (cells,), "f4", chunks=(10**7,)).dims[0].attach_scale(axis)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("x", shape=(cells,), chunks=(10**7,), dtype="f8", dimension_names=("x",))
    for name in ("a.nc", "a.zarr"):
        with pytest.raises(DataError, match=f"{name}' claims 1e"):
            files.read(tmp_path / name)


@pytest.mark.parametrize(("shape", "chunk"), [(HUGE, (1000, 1000)), ((10**5, 10**5), (1, 10))])
def test_a_zarr_store_that_claims_too_many_cells_is_refused(tmp_path, shape, chunk):
    import zarr

    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("v", shape=shape, chunks=chunk, dtype="f4", dimension_names=("y", "x"))
    with pytest.raises(DataError, match=r"claims 1e\+1[02] cells in .* chunks for 'v'"):
        files.read(tmp_path / "a.zarr")


def test_a_bundle_that_claims_too_many_weights_is_refused(tmp_path):
    card = {"format": 1, "task": "gapfill", "model": "x", "inputs": ["a"], "targets": ["a"], "units": {}}
    path = Bundle(card, {"w": np.zeros(4, "f4")}).save(tmp_path / "bundle")
    head = json.dumps({"w": {"dtype": "F32", "shape": HUGE, "data_offsets": [0, 4 * 10**12]}}).encode()
    (path / "weights.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(16))
    with pytest.raises(DataError, match="damaged"):
        Bundle.load(path)


def test_a_granule_that_claims_too_many_cells_is_refused(tmp_path):
    grid = default_grid(8)
    get_source("smap").write(make_world(grid, 2, seed=1), tmp_path)
    path = min(tmp_path.rglob("*.h5"))
    with h5py.File(path, "r+") as file:
        group = next(g for g in file.values() if "AM" in g.name)
        for name, dataset in list(group.items()):
            if dataset.ndim == 2:
                kind, attrs = dataset.dtype, dict(dataset.attrs)
                del group[name]
                group.create_dataset(name, HUGE, kind, chunks=(1000, 1000)).attrs.update(attrs)
    with pytest.raises(XsmError, match=path.name):
        xsm.open("smap", path, region=grid, margin=0).load()


def test_credentials_are_never_logged(serve, tmp_path, monkeypatch, caplog, capsys):
    from xsm.plugin_api import download
    from xsm.web.login import Login

    server = serve()
    server.routes["/a.bin"] = status(401)
    monkeypatch.setenv("SECRETIVE_USERNAME", "somebody")
    monkeypatch.setenv("SECRETIVE_PASSWORD", "pass-word-1234")
    monkeypatch.setenv("SECRETIVE_TOKEN", "token-5678")
    login = Login("Nobody", server.url, (server.url.removeprefix("http://"),), "SECRETIVE")
    with caplog.at_level(logging.DEBUG), pytest.raises(XsmError) as caught:
        download([one(server, "a.bin")], tmp_path / "out", login=login)
    assert any("Authorization" in headers for _, headers in server.requests)
    from xsm.web.login import find_keys

    said = caplog.text + "".join(capsys.readouterr()) + str(caught.value) + repr(find_keys(login))
    assert "pass-word-1234" not in said and "token-5678" not in said


def test_unfinished_files_are_private(tmp_path):
    with atomic.fresh(tmp_path / "a.nc") as part:
        assert part.parent.stat().st_mode & 0o077 == 0
        part.touch()
    with pytest.raises(DataError), atomic.fresh(tmp_path / "b.zarr", keep="mark") as part:
        assert part.parent.stat().st_mode & 0o077 == 0
        raise DataError("stop")


LOADERS = {"pickle", "pickle5", "cloudpickle", "dill", "marshal", "shelve", "yaml", "xml", "lxml", "joblib"}
HARMLESS = {"xml.sax.saxutils"}  # only escapes text
CALLS = {
    *("eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("tempfile.mktemp", "pandas.read_pickle"),
}


def unsafe(source: str) -> list[int]:
    """Lines that import one of `LOADERS`, call one of `CALLS` under any name, or loosen a safe loader."""
    lines, names = [], {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
                lines += [node.lineno] if root in LOADERS else []
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            lines += [node.lineno] if node.module.split(".")[0] in LOADERS and node.module not in HARMLESS else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            full = f"{names.get(first, first)}{'.' * bool(rest)}{rest}"
            options = {k.arg: ast.unparse(k.value) for k in node.keywords}
            loose = any(options.get(k, "False") != "False" for k in ("allow_pickle", "shell"))
            torch = full == "torch.load" and options.get("weights_only") != "True"
            if full in CALLS or loose or torch or full.rsplit(".", maxsplit=1)[-1] in ("extractall", "extract"):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "source",
    [
        "import xml.etree.ElementTree as ET", "from xml.etree.ElementTree import parse", "from yaml import load",
        "import torch\ntorch.load('x')", "from torch import load\nload('x')", "import pickle5", "import lxml.etree",
        "import numpy as np\nnp.load('x', allow_pickle=True)", "from os import system\nsystem('x')", "eval('1')",
        "import subprocess as s\ns.getoutput('x')", "import subprocess\nsubprocess.run('x', shell=True)",
        "import os as o\no.popen('x')", "import pandas as pd\npd.read_pickle('x')", "archive.extractall('.')",
    ],
)  # fmt: skip
def test_unsafe_code_is_recognised(source):
    assert unsafe(source)


def test_sources_load_nothing_that_runs_code():
    """No eval, exec, shell, yaml, torch.load of objects or allow_pickle; pickle only between the processes of a run."""
    sources = [p for part in ("src", "plugins", "qgis_provider") for p in (ROOT / part).rglob("*.py")]
    unsafe_lines = {
        path.relative_to(ROOT).as_posix(): lines
        for path in sources
        if "tests" not in path.parts and (lines := unsafe(path.read_text(encoding="utf-8")))
    }
    assert len(sources) > 150
    tables = {path: len(lines) for path, lines in unsafe_lines.items()}
    assert tables == {"src/xsm/compute/workers.py": 2, "src/xsm/io/vrt.py": 1}  # a VRT with entities is refused
