"""Download files of a product: the form in a real QGIS against a server of this machine, cancelled and continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

import xsm
from tests.test_qgis_runs import processes, wait_for
from tests.web_server import BODY, cut, in_turn, parts, ranged

pytestmark = [pytest.mark.qgis, pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the interpreter")]
NAME = "dbovendry_5_cm_p.tif"
LAYER = b"II*\0" + BODY
SOLUS = {"SOURCE": "solus100", "OPTIONS": "variables=bulk_density;soil_depth=5"}
ELSEWHERE = """#!/bin/sh
exec {python} -I -c 'import sys, xsm_solus100.fetch
xsm_solus100.fetch.BUCKET = "{url}"
from xsm.faces.worker import main
sys.exit(main(sys.argv[-1:]))' "$@"
"""


@pytest.fixture
def server(serve):
    """A server in the place of SOLUS100's bucket."""
    return serve()


@pytest.fixture
def elsewhere(qgis, server, tmp_path):
    """QGIS with a core that looks for SOLUS100 on the server."""
    python = tmp_path / "python"
    python.write_text(ELSEWHERE.format(python=sys.executable, url=server.url))
    python.chmod(0o755)
    return replace(qgis, env=qgis.env | {"XSM_PYTHON": str(python), "NO_PROXY": "*", "XSM_TEST_MARK": str(tmp_path)})


def test_files_come_into_the_folder(elsewhere, server, tmp_path):
    server.routes[f"/{NAME}"] = ranged(LAYER)
    folder = tmp_path / "SOLUS"
    plan = elsewhere(*elsewhere.arguments("xsm:fetch", SOLUS | {"DRY_RUN": "true", "DEST": folder})[1:])
    assert plan.returncode == 0, plan.stderr
    assert "1 file, about 337 MB to fetch into" in plan.stdout
    assert not folder.exists()
    assert elsewhere.results("xsm:fetch", **SOLUS, DEST=folder) == {"DEST": str(folder)}
    assert (folder / NAME).read_bytes() == LAYER
    again = elsewhere(*elsewhere.arguments("xsm:fetch", SOLUS | {"DEST": folder})[1:])
    assert "1 file, 300 kB in" in again.stdout
    assert f"Wrote {folder}" in again.stdout


def test_failure_is_a_sentence(elsewhere, tmp_path):
    done = elsewhere.run("xsm:fetch", SOURCE="ismn", DEST=tmp_path / "ISMN")
    assert done.returncode == 1
    assert "xsm cannot download the files of the source 'ismn'." in done.stderr
    assert not (tmp_path / "ISMN").exists()


def test_a_cancelled_download_goes_on_where_it_stopped(elsewhere, server, tmp_path):
    silent = threading.Event()
    server.routes[f"/{NAME}"] = in_turn(cut(LAYER, wait=lambda: silent.wait(60)), ranged(LAYER))
    folder = tmp_path / "SOLUS"
    argv = [elsewhere.executable, *elsewhere.arguments("xsm:fetch", SOLUS | {"DEST": folder})]
    pipe, mark = subprocess.PIPE, f"XSM_TEST_MARK={tmp_path}"
    with subprocess.Popen(argv, env=elsewhere.env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
        wait_for(lambda: folder.exists() and any(p.stat().st_size for p in folder.glob("*.part")), 120)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
        wait_for(lambda: not processes(mark), 20)
    silent.set()
    assert process.returncode == 1
    assert b"cancelled" in printed
    assert len(parts(folder)) == 1
    elsewhere.results("xsm:fetch", **SOLUS, DEST=folder)
    assert (folder / NAME).read_bytes() == LAYER
    assert server.headers("Range")[-1] is not None, "the rest alone was asked for"
    assert xsm.fetch("solus100", folder, variables="bulk_density", soil_depth=5, dry_run=True).missing == ()
