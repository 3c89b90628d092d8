"""Every warning points at the line of the user, in Python and in a notebook; the shell shows a sentence."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.errors import LIBRARIES, hear, tell
from xsm.faces.cli import main

CUBE = 'xsm.example("cube", size=16, days=20)'
DOUBTS = {
    "estimate": f"{CUBE}.sm.estimate(depth=5, scenario=2)",
    "function": f"xsm.estimate({CUBE}, depth=5, scenario=2)",
    "gapfill": 'xsm.example("smap", size=16, days=20).sm.gapfill_cru(model="pretrained")',
    "cube": f"xsm.cube({CUBE}[['tb_h']].isel(time=slice(5, None)), {CUBE}[['tb_v']].isel(time=slice(None, 9)))",
    "validate": f'{CUBE}.isel(time=slice(0, 9)).sm.validate(xsm.example("stations", size=16, days=20), min_days=5)',
}
"""Calls that warn, at depths of their own inside xsm."""


@pytest.mark.parametrize("call", DOUBTS.values(), ids=DOUBTS)
def test_a_warning_points_at_the_line_of_the_user(call, tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(f"import xsm\n\n\nresult = {call}\n")
    code = compile(script.read_text(), str(script), "exec")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(code, {"__name__": "mine"})
    ours = [w for w in caught if w.category is UserWarning]
    assert ours
    assert {(w.filename, w.lineno) for w in ours} == {(str(script), 4)}


RUN = "from xsm.plugin_api import tell\n\n\ndef test_run():\n    tell('odd')\n\n\n"
CALLERS = {
    "module": (RUN + "test_run()\n", ["-m", "mine"], 5),
    "thread": (RUN + "import threading\nthreading.Thread(target=test_run).start()\n", ["mine.py"], 5),
    "pool": (RUN + "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(1) as pool:\n"
             "    list(pool.map(tell, ['odd']))\n", ["mine.py"], 10),
    "click": (RUN + "import click\nclick.command()(test_run)([], standalone_mode=False)\n", ["mine.py"], 5),
    "pytest": (RUN, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "mine.py"], 5),
}  # fmt: skip
"""Scripts with their command line and the line that the warning points at."""


@pytest.mark.parametrize("caller", CALLERS)
def test_a_warning_points_at_the_line_of_the_user_whoever_runs_it(caller, tmp_path):
    text, arguments, line = CALLERS[caller]
    (tmp_path / "mine.py").write_text(text)
    command = [sys.executable, "-W", "default", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    shown = [row for row in (done.stdout + done.stderr).splitlines() if "UserWarning: odd" in row]
    assert len(shown) == 1, done.stdout + done.stderr
    assert f"mine.py:{line}: UserWarning" in shown[0]


def test_a_warning_of_a_plugin_points_at_the_line_of_the_user(monkeypatch):
    """Plugins may have any name; those of the core's template begin with xsm_."""
    monkeypatch.setattr("xsm.errors.LIBRARIES", {*LIBRARIES, "stranger.source"})
    for name in ("stranger.source", "stranger.source.files", "xsm_mysensor.read"):
        module = {"__name__": name, "tell": tell}
        exec("def read():\n    tell('odd')\n", module)
        with pytest.warns(UserWarning, match="odd") as shown:
            module["read"]()
        assert shown[0].filename == __file__


def test_a_name_that_moved_points_at_the_line_that_imports_it(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text("x = 1\nfrom xsm import Param\n")
    done = subprocess.run([sys.executable, "-W", "always", script], capture_output=True, text=True, check=True)
    assert f"{script}:2: FutureWarning: xsm.Param is now xsm.plugin_api.Param" in done.stderr


def test_a_notebook_shows_the_cell():
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(f"import xsm\nresult = {DOUBTS['estimate']}")]
    nbclient.NotebookClient(book, timeout=120).execute()
    text = "".join(o.text for o in book.cells[0].outputs if o.output_type == "stream" and o.name == "stderr")
    assert "trained on synthetic data" in text
    assert "/ipykernel_" in text and ":2: UserWarning" in text
    assert "site-packages" not in text and "src/xsm" not in text


def test_the_shell_shows_a_sentence_and_no_line(tmp_path, capsys):
    path = tmp_path / "cube.nc"
    xsm.example("cube", size=16, days=20).to_netcdf(path)
    with pytest.raises(SystemExit) as stop:
        main(["estimate", str(path), str(tmp_path / "out.nc")])
    shown = " ".join(capsys.readouterr().err.split())
    assert stop.value.code == 0
    assert "warning: The shipped model '5-2' was trained on synthetic data" in shown
    assert ".py" not in shown


def test_what_tasks_tell_is_collected_from_their_threads():
    def block(values):
        tell("odd")
        return values

    lazy = xr.DataArray(np.zeros(8), dims="x").chunk(x=2)
    with hear() as heard:
        xr.apply_ufunc(block, lazy, dask="parallelized", output_dtypes=[float]).compute(scheduler="threads")
    assert {str(w) for w in heard} == {"odd"}


def test_nothing_else_in_xsm_or_its_plugins_warns():
    root = Path(__file__).parents[1]
    sources = [*root.glob("src/xsm/**/*.py"), *root.glob("plugins/xsm-*/src/**/*.py")]
    direct = [p.name for p in sources if "warnings.warn(" in p.read_text() or "stacklevel" in p.read_text()]
    assert sorted(direct) == ["_lazy.py", "api1.py"]  # api1 accepts the argument that plugins used to pass
