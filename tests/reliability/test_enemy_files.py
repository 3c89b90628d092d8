"""Files that an enemy made: they lead to other files, back to themselves, or claim absurd numbers of parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from xsm.contracts.bundle import Bundle
from xsm.contracts.registry import get_operation
from xsm.errors import DataError, UsageError
from xsm.faces.execute import execute
from xsm.io import files
from xsm.plugin_api import check_hdf5

SHAPE = (8, 8)


def external_link(file, name):
    file["v"] = h5py.ExternalLink("other.nc", "/v")


def link_to_itself(file, name):
    file["v"] = h5py.ExternalLink(name, "/v")


def deep_external_link(file, name):
    file.create_group("a/b/c")["v"] = h5py.ExternalLink("other.nc", "/v")


def external_storage(file, name):
    file.create_dataset("v", SHAPE, "f4", external=[("secret.bin", 0, 256)])


def virtual(file, source, dataset="v"):
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(source, dataset, SHAPE)
    file.create_virtual_dataset("v", layout)


def virtual_of_another(file, name):
    virtual(file, "other.nc")


def virtual_of_itself(file, name):
    virtual(file, ".")


def circle_of_virtuals(file, name):
    virtual(file, ".", "w")
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(".", "v", SHAPE)
    file.create_virtual_dataset("w", layout)


def soft_link_to_itself(file, name):
    file["v"] = h5py.SoftLink("/v")


def group_in_itself(file, name):
    group = file.create_group("g")
    group["g"] = group


def soft_link_upwards(file, name):
    file.create_group("g")["up"] = h5py.SoftLink("/")


def many_datasets(file, name):
    for i in range(20_000):
        file[f"d{i}"] = np.float32(i)


ENEMIES = {
    external_link: "external link",
    link_to_itself: "external link",
    deep_external_link: "external link",
    external_storage: "in another file",
    virtual_of_another: "made of other files",
    virtual_of_itself: "made of itself",
    circle_of_virtuals: "made of itself",
    soft_link_to_itself: "leads to itself",
    group_in_itself: "contains itself",
    soft_link_upwards: "contains itself",
    many_datasets: "more than 5000",
}
NAMES = ("a.nc", "SMAP_L3_SM_P_E_20210401_R19240_001.h5", "NLDAS_NOAH0125_H.A20210401.0000.020.nc")


@pytest.fixture
def others(tmp_path):
    """The files that an enemy wants to have read."""
    (tmp_path / "secret.bin").write_bytes(np.ones(SHAPE, "f4").tobytes())
    with h5py.File(tmp_path / "other.nc", "w") as file:
        file["v"] = np.ones(SHAPE, "f4")
    return tmp_path


@pytest.mark.parametrize("enemy", ENEMIES, ids=lambda e: e.__name__)
def test_an_enemys_hdf5_is_refused_by_every_reader(others, enemy):
    """In a process of its own: the library crashes on some."""
    for name in NAMES:
        with h5py.File(others / name, "w") as file:
            for axis in ("time", "lat", "lon"):
                file[axis] = np.arange(8.0)
            enemy(file, name)
    program = """
import sys, xsm
from xsm.io import files
for read in (files.read, lambda p: xsm.open("smap", p), lambda p: xsm.open("nldas", p)):
    try:
        read(sys.argv[1:][0]).load()
        print("READ")
    except xsm.DataError as error:
        print(error)
    sys.argv.pop(1)
"""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, *(str(others / n) for n in NAMES)],
        capture_output=True,
        check=False,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-500:]
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(ENEMIES[enemy] in line for line in lines), lines
    assert time.monotonic() - begun < 60


def test_links_inside_a_file_are_read(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["w"] = np.full(SHAPE, 3, "f4")
        file["s"] = h5py.SoftLink("/w")
        file["h"] = file["w"]
        file["nowhere"] = h5py.SoftLink("/no")
        virtual(file, ".", "w")
    check_hdf5(tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        del file["nowhere"]
    assert (files.read(tmp_path / "a.nc")["v"].values == 3).all()


def make_store(path, **kw):
    group = zarr.open_group(path, mode="w")
    array = group.create_array("v", shape=SHAPE, chunks=SHAPE, dtype="f4", dimension_names=("y", "x"), **kw)
    array[:] = 1
    return path


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_store_with_links_that_leave_it_is_refused(tmp_path):
    store = make_store(tmp_path / "a.zarr", compressors=None)
    chunk = store / "v/c/0/0"
    os.replace(chunk, tmp_path / "secret")
    chunk.symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="leads out of the store"):
        files.read(store)
    os.replace(tmp_path / "secret", chunk)
    (tmp_path / "b.zarr").symlink_to(store)
    assert (files.read(tmp_path / "b.zarr")["v"] == 1).all()


def test_a_store_with_pickles_or_absurd_chunks_is_refused(tmp_path):
    store = make_store(tmp_path / "a.zarr")
    meta = json.loads((store / "v/zarr.json").read_text())
    meta["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    (store / "v/zarr.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match="pickles"):
        files.read(store)
    zarr.open_group(tmp_path / "b.zarr", mode="w").create_array(
        "v", shape=(10**4, 10**4), chunks=(1, 1), dtype="f4", dimension_names=("y", "x")
    )
    with pytest.raises(DataError, match="chunks"):
        files.read(tmp_path / "b.zarr")


def spread(value):
    return lambda card, weights: (card | {"spread": {"of": "truth", "factor": value}}, weights)


@pytest.mark.parametrize(
    "change",
    [
        *(spread(v) for v in (-5, 0, float("inf"), float("nan"), 1e9, "2", True, None)),
        lambda card, weights: (card | {"normalisation": {"sm_5cm": {"std": -1.0}}}, weights),
        lambda card, weights: (card | {"normalisation": {"sm_5cm": {"mean": float("nan")}}}, weights),
        lambda card, weights: (card, {k: np.full_like(w, 1e300, "f8") for k, w in weights.items()}),
        lambda card, weights: (card, {k: np.ones(w.shape, "i8") for k, w in weights.items()}),
        lambda card, weights: (card, {k: np.ones(w.shape, "u1") for k, w in weights.items()}),
        lambda card, weights: (card, {k: np.ones(w.shape, bool) for k, w in weights.items()}),
    ],
)
def test_impossible_bundles_are_refused(ridge, change, tmp_path):
    card, weights = change(dict(ridge[5, 1].card), dict(ridge[5, 1].weights))
    with pytest.raises(DataError, match=r"unusable numbers|not floats or exceed"):
        Bundle(card, weights)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("way", ["same", "up", "soft", "hard", "folder"])
def test_an_output_that_is_the_input_is_refused(soil, way):
    output = {"same": soil, "up": soil.parent / "x" / ".." / soil.name, "folder": soil.parent / "y" / soil.name}.get(
        way, soil.parent / "other.nc"
    )
    (soil.parent / "x").mkdir()
    (soil.parent / "y").symlink_to(soil.parent)
    if way == "soft":
        output.symlink_to(soil)
    if way == "hard":
        os.link(soil, output)
    before = soil.read_bytes()
    with pytest.raises(UsageError, match="is an input and would be replaced"):
        execute(get_operation("texture"), {"ds": str(soil)}, output, overwrite=True)
    assert soil.read_bytes() == before


def test_a_file_of_a_pattern_is_not_replaced(tmp_path):
    (tmp_path / "points.csv").write_text("date,lon,lat,soil_moisture\n2021-06-01,-98,36,0.2\n")
    values = {"source": "tiny", "paths": [str(tmp_path / "*.csv")]}
    with pytest.raises(UsageError, match="is an input"):
        execute(get_operation("open"), values, tmp_path / "points.csv", overwrite=True)
    execute(get_operation("open"), values, Path(tmp_path / "other.csv"))
