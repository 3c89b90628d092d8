"""The parts of the QGIS plugin that need no QGIS: the runner, the search for the interpreter, cancelling."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.qgis_process import most_seconds
from xsm import __version__
from xsm.faces.qgis import plugin_folder
from xsm.faces.worker import PROTOCOL

PLUGIN = plugin_folder()
posix = pytest.mark.skipif(os.name == "nt", reason="process groups and signals of POSIX")


@pytest.fixture(scope="module")
def runner():
    """The plugin's runner, imported as the plugin does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PLUGIN.parent))
        yield importlib.import_module("xsm_qgis.runner")


@pytest.fixture(scope="module")
def interpreter(runner):
    return importlib.import_module("xsm_qgis.interpreter")


@pytest.fixture
def play(runner, tmp_path):
    """Run a script in the place of the core; gives its result and the events."""

    def start(text, is_cancelled=lambda: False):
        script = tmp_path / "core.py"
        script.write_text("import json, os, signal, subprocess, sys, time\nline = sys.stdin.readline()\n" + text)
        events = []
        return runner.run([sys.executable, str(script)], {"values": {"x": 1}}, events.append, is_cancelled), events

    return start


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_protocol_is_the_same_on_both_sides(runner):
    assert runner.PROTOCOL == PROTOCOL


UNLOCKED = {"HDF5_USE_FILE_LOCKING": "FALSE"}


def test_clean_env_drops_what_breaks_the_core(runner):
    kept = {"HOME": "/h", "OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0", "XSM_THREADS": "1", "https_proxy": "p"}
    poison = dict.fromkeys(
        ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONEXECUTABLE",
         "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LD_PRELOAD", "QGIS_PREFIX_PATH", "QT_PLUGIN_PATH", "CONDA_PREFIX",
         "SSL_CERT_FILE", "__PYVENV_LAUNCHER__", "Proj_Lib", "DYLD_LIBRARY_PATH"), "/bad"
    )  # fmt: skip
    assert runner.clean_env({**kept, **poison, "PATH": "/usr/bin"}) == {**kept, **UNLOCKED, "PATH": "/usr/bin"}


def test_clean_env_drops_osgeo4w_from_path(runner):
    path = os.pathsep.join(["/osgeo/bin", "/usr/bin", "/osgeo/apps/qgis/bin"])
    assert runner.clean_env({"OSGEO4W_ROOT": "/osgeo", "PATH": path}) == {"PATH": "/usr/bin", **UNLOCKED}


def test_result_and_events_come_through_junk(play):
    result, events = play(
        "print('hello from a library'); print('[1, 2]'); print('{\"no\": \"event\"}')\n"
        "sys.stdout.flush(); os.write(1, b'\\xff\\xfe junk\\n')\n"
        "print(json.dumps({'event': 'progress', 'value': 50, 'text': 'half'}))\n"
        "print('warned', file=sys.stderr)\n"
        "print(json.dumps({'event': 'result', 'outputs': [json.loads(line)['values']['x']]}))\n"
    )
    assert result["outputs"] == [1]
    console = [e["text"] for e in events if e["event"] == "stderr"]
    assert [e["value"] for e in events if e["event"] == "progress"] == [50]
    assert {"hello from a library", "[1, 2]", '{"no": "event"}', "\ufffd\ufffd junk", "warned"} == set(console)


def test_flood_of_lines_does_not_block(play):
    result, events = play(
        "for i in range(60000): print('line', i, file=sys.stderr)\n"
        "print(json.dumps({'event': 'result', 'outputs': []}))\n"
    )
    assert result["outputs"] == []
    assert len(events) == 60000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("print('broken', file=sys.stderr); sys.exit(3)", "ended with exit code 3 without a result: broken"),
        ("pass", "ended with exit code 0 without a result"),
        ("print(json.dumps({'event': 'result', 'outputs': []})); sys.exit(1)", "exit code 1"),
        ("print(json.dumps({'event': 'error', 'text': 'No sand.', 'hint': 'Dig.'}))", "No sand. Dig."),
        ("print(json.dumps({'event': 'hello', 'protocol': 99, 'version': '9'}))", "older than xsm 9 in"),
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV without a result", marks=posix),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "out of memory", marks=posix),
    ],
)
def test_failing_core_is_an_error_with_its_reason(play, runner, text, sentence):
    with pytest.raises(runner.CoreError, match=sentence):
        play(text)


def test_interpreter_that_does_not_exist(runner, tmp_path):
    with pytest.raises(runner.CoreError, match="Cannot start"):
        runner.run([str(tmp_path / "python")], {}, print, lambda: False)


@posix
@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "ignores SIGTERM"])
def test_cancel_leaves_no_process(play, runner, tmp_path, stubborn):
    """A core and its child, both ignoring SIGTERM where stubborn, are gone when the runner returns."""
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else "pass"
    pids = tmp_path / "pids"
    child = f"import signal, time; {ignore}; print('up', flush=True); time.sleep(60)"
    text = (
        f"{ignore}\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        f"open({str(pids) + '.part'!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.replace({str(pids) + '.part'!r}, {str(pids)!r})\n"
        "time.sleep(60)\n"
    )
    with pytest.raises(runner.Cancelled):
        play(text, is_cancelled=pids.exists)
    begun, both = pids.stat().st_mtime, [int(pid) for pid in pids.read_text().split()]
    while any(map(alive, both)) and time.time() - begun < most_seconds():
        time.sleep(0.02)
    assert [pid for pid in both if alive(pid)] == []
    assert time.time() - begun < most_seconds()


def test_find_takes_the_first_that_is_named(interpreter, runner, tmp_path):
    pythons = {name: tmp_path / name / "bin" / "python" for name in ("variable", "setting", "record")}
    for path in pythons.values():
        path.parent.mkdir(parents=True)
        path.touch()
    state = tmp_path / "xsm"
    state.mkdir()
    (state / "python.json").write_text(json.dumps({"python": str(pythons["record"])}))
    env = {"XSM_PYTHON": str(pythons["variable"])}
    assert interpreter.find(state, str(pythons["setting"]), env) == str(pythons["variable"])
    assert interpreter.find(state, str(tmp_path / "setting"), {}) == str(pythons["setting"])
    assert interpreter.find(state, "", {}) == str(pythons["record"])
    with pytest.raises(runner.CoreError, match="which the environment variable XSM_PYTHON names"):
        interpreter.find(state, str(pythons["setting"]), {"XSM_PYTHON": str(tmp_path / "nothing")})
    with pytest.raises(runner.CoreError, match=r"not set up.*xsm qgis install"):
        interpreter.find(tmp_path, "", {})


def test_handshake_is_remembered_for_this_interpreter_only(interpreter, runner, tmp_path):
    core = interpreter.check(sys.executable, tmp_path)
    assert core["version"] == __version__
    assert core["problems"] == []
    assert interpreter.remembered(sys.executable, tmp_path) == core
    assert interpreter.remembered("/another/python", tmp_path) is None
    assert [p.name for p in tmp_path.iterdir()] == ["check.json"]


@posix
def test_handshake_is_done_again_where_the_environment_changed(interpreter, tmp_path):
    """The Python of a virtual environment is a link to the system's: its own time says nothing."""
    env, state = tmp_path / "env", tmp_path / "xsm"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", env], check=True)
    python, core = str(env / "bin" / "python"), {"version": "1"}
    assert Path(python).is_symlink()

    def changed():
        return interpreter.remembered(python, state, unchanged=True) is None

    interpreter.remember(python, state, core)
    assert not changed()
    (info,) = [p / "xsm-2.dist-info" for p in env.glob("lib/python3*/site-packages")]
    for change in (info.mkdir, (env / "pyvenv.cfg").unlink, Path(python).unlink):
        change()
        assert changed(), change
        assert interpreter.remembered(python, state) == core, "the toolbox keeps what it knew"
        interpreter.remember(python, state, core)
        assert not changed()


@posix
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("echo \"No module named 'xsm'\" >&2; exit 1", "cannot run xsm.*No module named 'xsm'"),
        ('echo \'{"event": "describe", "protocol": 99, "version": "9.0"}\'', "older than xsm 9.0 in"),
        (
            f'echo \'{{"event": "describe", "protocol": {PROTOCOL}, "problems": ["EPSG:6933: x", "y"]}}\'',
            "is broken: EPSG:6933: x; y",
        ),
        ("sleep 30", "did not answer within"),
    ],
    ids=["no xsm", "protocol", "broken", "silent"],
)
def test_handshake_refuses_an_environment_that_does_not_work(
    interpreter, runner, tmp_path, monkeypatch, answer, sentence
):
    monkeypatch.setattr(interpreter, "LIMIT_S", 5.0 if "sleep" not in answer else 0.3)
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{answer}\n")
    fake.chmod(0o755)
    with pytest.raises(runner.CoreError, match=sentence):
        interpreter.check(str(fake), tmp_path)
    assert interpreter.remembered(str(fake), tmp_path) is None


SLOW = """
import sys, time
from pathlib import Path
import xsm.faces.execute, xsm.faces.worker
from xsm import atomic

def slow(op, values, output, overwrite):
    with atomic.fresh(Path(output)) as part:
        part.write_text("half")
        print("writing", file=sys.stderr, flush=True)
        time.sleep(60)

xsm.faces.execute.execute = slow
sys.exit(xsm.faces.worker.main(["run"]))
"""


WATCHED = """
import sys, threading, time
from xsm.faces import worker
thread = threading.Thread(target=worker._end_with_caller, daemon=True)
thread.start()
time.sleep(3 * worker.POLL_S)
print(thread.is_alive(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("sent", ["", "more than a request\n"])
def test_watching_the_caller_ends_with_it_and_not_before(sent):
    argv, pipe = [sys.executable, "-c", WATCHED], subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as watching:
        watching.stdin.write(sent)
        watching.stdin.flush()
        assert watching.stdout.readline() == "True\n"
        watching.stdin.close()
        assert watching.wait(20) != 0


@posix
@pytest.mark.parametrize("how", ["terminate", "caller gone"])
def test_abandoned_worker_removes_what_it_had_half_written(tmp_path, how):
    request = {"operation": "texture", "values": {}, "output": str(tmp_path / "out.nc")}
    argv = [sys.executable, "-c", SLOW]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as worker:
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        assert worker.stderr.readline() == "writing\n"
        assert len(list(tmp_path.iterdir())) == 1
        if how == "terminate":
            worker.send_signal(signal.SIGTERM)
        else:
            worker.stdin.close()
        assert worker.wait(20) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_a_killed_core_leaves_nothing_beside_its_output(runner, tmp_path):
    script = tmp_path / "core.py"
    script.write_text(
        "import os, pathlib, subprocess, sys\nfrom xsm import atomic\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child.pid))\n"
        f"with atomic.fresh(pathlib.Path({str(tmp_path / 'out' / 'a.nc')!r})) as part:\n"
        "    part.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    other = tmp_path / "out" / ".a.nc.1.abc.part"
    other.mkdir(parents=True)
    with pytest.raises(runner.CoreError, match="without a result"):
        runner.run([sys.executable, str(script)], {"output": str(tmp_path / "out" / "a.nc")}, print, lambda: False)
    assert list((tmp_path / "out").iterdir()) == [other]
    time.sleep(0.2)
    state = Path(f"/proc/{(tmp_path / 'child').read_text()}/stat")
    assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"  # ended, its parent is gone
