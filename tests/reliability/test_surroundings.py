"""What surrounds xsm fails: streams, plugins, devices, locales, other writers; the work is kept, the cause is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.metadata import EntryPoint

import pytest

import xsm
from tests.web_server import download, failure, one, reply
from xsm import atomic
from xsm.contracts import loading
from xsm.errors import DataError, FetchError, UsageError
from xsm.io import files
from xsm.options import check_device
from xsm.plugin_api import Remote
from xsm.study.config import parse
from xsm.web.http import Session, read_url
from xsm.web.login import Keys, Login

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="streams and links of POSIX")


def shell(command, folder, **environment):
    """Run a shell command in which $X is the xsm command."""
    environment = {**os.environ, "X": f"{sys.executable} -m xsm", **environment}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, check=False, text=True, timeout=120
    )


@pytest.mark.parametrize("stream", [">/dev/full", ">&-", "| true", ">&- 2>&- <&-", "2>/dev/full", "2>&-"])
def test_work_is_kept_where_a_stream_fails(soil, stream):
    if "full" in stream and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    done = shell(f"$X texture {soil.name} out.nc {stream}; echo ${{PIPESTATUS[0]}} >code", soil.parent)
    assert (soil.parent / "code").read_text() == "0\n"
    assert files.read(soil.parent / "out.nc").sizes
    assert len(done.stderr.splitlines()) <= 1 and "Traceback" not in done.stderr


def test_an_answer_that_is_lost_is_an_error(tmp_path):
    for command in ("plugins", "sources --json", "--help"):
        done = shell(f"$X {command} >&-", tmp_path)
        assert done.returncode == 1
        assert done.stderr.strip() == "error: The standard output could not be written (Bad file descriptor)."


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}, {"LC_ALL": "POSIX"}]
)
def test_names_with_accents_in_an_ascii_locale(soil, environment):
    os.rename(soil, soil.parent / "sól.nc")
    done = shell("$X texture sól.nc ergebnis-ü.nc", soil.parent, **environment)
    assert done.returncode == 0, done.stderr
    assert (soil.parent / "ergebnis-ü.nc").exists()


def test_optimised_python_starts(soil):
    done = shell(f"{sys.executable} -OO -m xsm texture {soil.name} out.nc", soil.parent)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise KeyboardInterrupt", "raise BaseException('x')", "exit()"])
@pytest.mark.parametrize("where", ["import", "register"])
def test_a_plugin_that_exits_does_not_end_xsm(tmp_path, monkeypatch, end, where):
    monkeypatch.syspath_prepend(tmp_path)
    text = f"import sys\nfrom xsm.plugin_api import hookimpl\n{end if where == 'import' else ''}\n"
    text += f"@hookimpl\ndef xsm_sources(register):\n    {end}\n"
    (tmp_path / "xp_exit.py").write_text(text)
    monkeypatch.delitem(sys.modules, "xp_exit", raising=False)
    plugin = loading.load([EntryPoint("xp_exit", "xp_exit", "xsm")]).plugins["xp_exit"]
    assert plugin.status == "failed" and plugin.reason


def installed(folder, distribution, point, module):
    """Install a plugin as pip lays it out."""
    info = folder / f"{distribution.replace('-', '_')}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[xsm]\n{point} = {module}\n")


def test_a_stranger_does_not_take_the_name_of_one_of_ours(tmp_path):
    (tmp_path / "aaa_stranger.py").write_text(
        "from xsm.plugin_api import SourceInfo, hookimpl\n@hookimpl\ndef xsm_sources(register):\n"
        "    register(SourceInfo(name='smap', title='t', factory='no:No', variables=('tb_h',)))\n"
    )
    installed(tmp_path, "aaa-stranger", "aaa", "aaa_stranger")
    installed(tmp_path, "bbb-stranger", "smap", "aaa_stranger")
    program = "import xsm; print(xsm.sources()['smap'].factory); print({n: p.status for n, p in xsm.plugins().items()})"
    done = shell(f'{sys.executable} -c "{program}"', tmp_path, PYTHONPATH=str(tmp_path))
    assert "xsm_smap" in done.stdout and "'aaa': 'failed'" in done.stdout and "'smap': 'ok'" in done.stdout, done
    assert "aaa-stranger is left out" in done.stderr and "bbb-stranger is left out" in done.stderr


def test_a_misspelt_plugin_is_told(monkeypatch):
    monkeypatch.setenv("XSM_PLUGINS", "tinny")
    with pytest.warns(UserWarning, match=r"XSM_PLUGINS: Unknown plugin 'tinny'. Did you mean 'tiny'?"):
        loading.load([])


@pytest.mark.parametrize("name", ["cuda:x", "cuda:", "gpu", "cuda:-1", "cpu:0"])
def test_devices_that_cannot_be_are_refused(name):
    with pytest.raises(UsageError, match="expected auto, cpu, cuda"):
        xsm.set_options(device=name)


def test_a_device_that_is_not_there_stops_before_work(law_cube):
    with xsm.set_options(device="cuda:97"):
        for work in (check_device, lambda: law_cube.sm.fit(model="ridge"), lambda: law_cube.sm.estimate(depth=5)):
            with pytest.raises(UsageError, match="The device 'cuda:97' is not there"):
                work()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("folder", [False, True])
def test_one_of_three_writers_wins(tmp_path, folder, overwrite):
    path, results = tmp_path / "out", []
    text = path / "text" if folder else path
    program = """
import sys
from pathlib import Path
from xsm import atomic
with atomic.fresh(Path("out"), sys.argv[3] == "True") as part:
    if sys.argv[2] == "True":
        part.mkdir()
        part = part / "text"
    part.write_text(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
"""
    if overwrite:
        text.parent.mkdir(exist_ok=True)
        text.write_text("old")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(i), str(folder), str(overwrite)],
            cwd=tmp_path, text=True, stdin=-1, stdout=-1, stderr=-1,
        )
        for i in range(3)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.close()
    results = [(w.wait(30), w.stderr.read()) for w in writers]
    for writer in writers:
        writer.stdout.close()
        writer.stderr.close()
    winners = [i for i, (code, _) in enumerate(results) if code == 0]
    assert len(winners) == 1 and text.read_text() == str(winners[0])
    assert sum("was written by another process in the meantime" in error for _, error in results) == 2
    assert os.listdir(tmp_path) == ["out"]


def test_writers_wait_for_each_other_and_never_for_long(tmp_path, monkeypatch):
    """The check that nobody else has written and the rename are one: a lock on the folder is held for both."""
    monkeypatch.setattr(atomic, "PATIENCE", 0.2)
    with atomic._alone(tmp_path):
        begun = time.monotonic()
        with atomic.fresh(tmp_path / "a") as part:
            part.write_text("x")
        assert 0.2 <= time.monotonic() - begun < 5


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_result_that_came_meanwhile_stays(tmp_path, folder, overwrite):
    def write(path, text):
        if folder:
            path.mkdir()
            path = path / "a"
        path.write_text(text)

    path = tmp_path / "out"
    with pytest.raises(DataError, match="by another process"), atomic.fresh(path, overwrite) as part:
        write(part, "mine")
        write(path, "theirs")
    assert (path / "a" if folder else path).read_text() == "theirs"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_request_of_a_megabyte_is_answered(soil):
    values = {"ds": str(soil), "sites": ["x" * 100] * 11_000}
    line = json.dumps({"operation": "texture", "values": values, "output": "out.nc"})
    worker = subprocess.Popen(
        [sys.executable, "-m", "xsm", "worker", "run"], cwd=soil.parent, text=True, stdin=-1, stdout=-1, stderr=-1
    )
    worker.stdin.write(line + "\n")
    worker.stdin.flush()
    answers = [json.loads(a) for a in worker.stdout]
    worker.communicate(timeout=30)
    assert answers[-1]["event"] == "error" and "sites" in answers[-1]["text"], answers[-1]


def test_a_long_request_is_read_at_once(monkeypatch):
    from xsm.faces import worker

    read, write = os.pipe()
    monkeypatch.setattr(worker.os, "read", lambda number, size, real=os.read: real(read, size))
    text = "x" * 3_000_000
    import threading

    threading.Thread(target=os.write, args=(write, (text + "\n").encode()), daemon=True).start()
    begun = time.monotonic()
    assert worker._first_line() == text
    assert time.monotonic() - begun < 1


def test_paths_of_a_study(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    study = {"inputs": {"smap": {"paths": "$SCRATCH/*.h5"}}}
    for out, wanted in (("$SCRATCH/a", "scratch/a"), ("${SCRATCH}/a", "scratch/a"), ("~/a", "home/a"), ("a", "a")):
        assert parse(study | {"out": out}, tmp_path).out == tmp_path / wanted
    with pytest.raises(UsageError, match=r"contains \$NOWHERE, an environment variable that is not set"):
        parse(study | {"out": "$NOWHERE/a"}, tmp_path)


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_drip_ends(serve, tmp_path, part):
    def drip(request):
        if part == "head":
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        else:
            reply(request, Content_Length=1000)
        for _ in range(200):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.1)

    server = serve()
    server.routes["/x.bin"] = drip
    begun = time.monotonic()
    with xsm.set_options(timeout=0.4, retries=0):
        with pytest.raises(FetchError, match=r"nothing came for 0.4 s|did not send all within"):
            read_url(f"{server.url}/x.bin")
        failure([one(server)], tmp_path / "d")
    assert time.monotonic() - begun < 12


def test_a_token_goes_to_the_ports_that_are_named(serve):
    first, other = serve(), serve()
    login = Login("Test", "http://localhost:9", (first.url.removeprefix("http://"),), "TEST")
    first.routes["/x"] = lambda r: reply(r, b"", 302, Location=f"{other.url}/y")
    other.routes["/y"] = lambda r: reply(r, b"", 302, Location=f"{first.url}/z")
    first.routes["/z"] = lambda r: reply(r, b"ok")
    with Session(Keys(login, "test", None, "secret")) as session:
        assert session.get(f"{first.url}/x").content == b"ok"
        assert session.get(f"{other.url}/y").content == b"ok"
    assert first.headers("Authorization") == ["Bearer secret"] * 3
    assert other.headers("Authorization") == [None] * 2
    assert Keys(login, "test", None, "secret")._may_see_token("http://127.0.0.1/x") is False
    usual = Keys(Login("Test", "https://a.org", ("b.org",), "TEST"), "test", None, "secret")
    for url, may in [("b.org/x", True), ("c.b.org:443/x", True), ("b.org:8443/x", False), ("b.org:x/", False)]:
        assert usual._may_see_token(f"https://{url}") is may


def test_signatures_and_passwords_are_written_nowhere(serve, tmp_path, caplog, capsys):
    server = serve()
    server.routes["/x.bin"] = lambda r: reply(r, b"data")
    download([Remote(f"{server.url}/x.bin?Signature=s3cret", "x.bin")], tmp_path / "d")
    place = server.url.removeprefix("http://")
    server.routes["/y.bin"] = lambda r: reply(r, b"", 302, Location=f"http://me:s3cret@{place}/no?X-Sig=s3cret")
    with xsm.set_options(retries=0):
        error = failure([Remote(f"{server.url}/y.bin?Signature=s3cret", "y.bin")], tmp_path / "d")
        with pytest.raises(FetchError) as listing:
            read_url(f"http://me:s3cret@{place}/no?token=s3cret")
    written = "".join(p.read_text(errors="replace") for p in (tmp_path / "d").iterdir())
    shown = "".join((str(error), str(listing.value), caplog.text, *capsys.readouterr()))
    assert "x.bin" in written and "s3cret" not in written + shown
