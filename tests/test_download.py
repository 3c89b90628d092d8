"""Downloads against servers that misbehave: one sentence each, nothing half written under a final name."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import requests

import xsm
from xsm import Remote, download
from xsm.cli import main
from xsm.errors import DataError, FetchError, UsageError
from xsm.keys import EARTHDATA, Keys, Login, find_keys
from xsm.progress import show
from xsm.web import BLOCK

BODY = np.random.default_rng(5).bytes(300_000)
HALF = 170_000
KEPT = HALF // BLOCK * BLOCK
"""What is kept of a transfer cut after HALF: whole blocks."""
PAGE = b"<!DOCTYPE html><html><head><title>Earthdata Login</title></head><body>Please log in</body></html>"


def names(folder):
    """What lies in a folder, without the manifest."""
    return sorted(p.name for p in folder.iterdir() if p.name != "manifest.json") if folder.exists() else []


def parts(folder):
    """The parts in a folder; asserts that there is nothing else."""
    assert all(name.endswith(".part") for name in names(folder)), names(folder)
    return list(folder.glob("*.part"))


def ranged(serve, body=BODY, etag='"one"'):
    """A server that continues where it is asked to."""

    def answer(request):
        start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(body):
            return serve.reply(request, b"", 416, Content_Range=f"bytes */{len(body)}")
        where = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        return serve.reply(request, body[start:], 206 if start else 200, ETag=etag, **where)

    return answer


def cut(serve, body=BODY, at=HALF, etag='"one"', wait=None):
    """A server that announces all, sends less, and closes or falls silent."""

    def answer(request):
        serve.reply(request, body[:at], Content_Length=len(body), ETag=etag)
        request.wfile.flush()
        if wait is not None:
            wait()
        request.close_connection = True

    return answer


def in_turn(*answers):
    """One answer after the other; the last one again and again."""
    left = list(answers)

    def answer(request):
        (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


@pytest.fixture
def server(serve):
    """A server with one good file."""
    made = serve()
    made.routes["/good.bin"] = ranged(serve)
    return made


def one(server, name="x.bin", **kw):
    return Remote(f"{server.url}/{name}", name, **kw)


def failure(remotes, dest, **kw):
    """The error of a download."""
    with pytest.raises(FetchError) as caught:
        download(remotes, dest, **kw)
    return caught.value


def test_file_is_fetched_checked_and_recorded_once(server, tmp_path):
    dest = tmp_path / "new" / "folder"
    sha = hashlib.sha256(BODY).hexdigest()
    remote = one(server, "good.bin", size=len(BODY), checksum=f"md5:{hashlib.md5(BODY).hexdigest()}", magic=(BODY[:4],))
    manifest = download([remote, remote], dest)
    assert manifest.paths == [dest / "good.bin"]
    assert (dest / "good.bin").read_bytes() == BODY
    entry = json.loads((dest / "manifest.json").read_text())["files"]["good.bin"]
    assert (entry["url"], entry["bytes"], entry["sha256"]) == (remote.url, len(BODY), sha)
    assert np.datetime64(entry["time"][:19]) <= np.datetime64("now")
    assert names(dest) == ["good.bin"]
    again = download([remote], dest)
    assert str(again) == f"1 file, 300 kB in {dest}, complete"
    assert again.paths == manifest.paths and not again.missing
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (400, "answers 400"),
        (401, "wants a log-in"),
        (403, "blocks this machine"),
        (404, "not there"),
        (410, "not there"),
    ],
)
def test_refusal_is_told_at_once(server, serve, tmp_path, code, text):
    server.routes["/x.bin"] = serve.status(code)
    error = failure([one(server)], tmp_path / "d")
    assert "'x.bin'" in str(error) and str(code) in str(error) and text in str(error)
    assert error.exit_code == 1
    assert len(server.seen) == 1
    assert names(tmp_path / "d") == []


def test_server_that_wants_a_pause_gets_it(server, serve, tmp_path):
    server.routes["/x.bin"] = in_turn(serve.status(429, Retry_After=1), ranged(serve))
    begun = time.monotonic()
    download([one(server)], tmp_path)
    assert time.monotonic() - begun >= 1
    assert (tmp_path / "x.bin").read_bytes() == BODY


def test_pause_as_a_date_and_one_that_is_too_long(server, serve, tmp_path):
    server.routes["/x.bin"] = in_turn(serve.status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), ranged(serve))
    download([one(server)], tmp_path)
    server.routes["/y.bin"] = serve.status(429, Retry_After=3600)
    assert "asks for a pause of 3600 s" in str(failure([one(server, "y.bin")], tmp_path))


def test_server_error_passes_or_is_told_after_the_retries(server, serve, tmp_path, monkeypatch):
    server.routes["/x.bin"] = in_turn(serve.status(500), serve.status(502), ranged(serve))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    server.routes["/y.bin"] = serve.status(503)
    server.seen.clear()
    with xsm.set_options(retries=2):
        error = failure([one(server, "y.bin")], tmp_path)
    assert "answers 503, 3 times" in str(error)
    assert len(server.seen) == 3
    monkeypatch.setenv("XSM_RETRIES", "0")
    assert "answers 503." in str(failure([one(server, "y.bin")], tmp_path))
    assert len(server.seen) == 4
    assert names(tmp_path) == ["x.bin"]


def test_stall_is_noticed_and_the_rest_is_fetched(server, serve, tmp_path):
    server.routes["/x.bin"] = in_turn(cut(serve, wait=lambda: time.sleep(1)), ranged(serve))
    with xsm.set_options(timeout=0.3):
        download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    server.routes["/y.bin"] = lambda request: time.sleep(1)
    with xsm.set_options(timeout=0.2, retries=1):
        assert "nothing came for 0.2 s, 2 times" in str(failure([one(server, "y.bin")], tmp_path))
    assert names(tmp_path) == ["x.bin"]


def test_cut_transfer_goes_on_where_it_was_cut(server, serve, tmp_path):
    server.routes["/x.bin"] = in_turn(cut(serve), ranged(serve))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert server.headers("Range") == [None, f"bytes={KEPT}-"]
    assert names(tmp_path) == ["x.bin"]


def test_next_run_goes_on_with_the_part(server, serve, tmp_path):
    server.routes["/x.bin"] = cut(serve)
    with xsm.set_options(retries=0):
        assert "the transfer was cut" in str(failure([one(server)], tmp_path))
    assert [p.stat().st_size for p in parts(tmp_path)] == [KEPT]
    server.routes["/x.bin"] = ranged(serve)
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    assert server.headers("Range")[-1] == f"bytes={KEPT}-"


@pytest.mark.parametrize("other", ['"two"', 'W/"one"', None])
def test_part_of_another_state_of_the_file_is_not_continued(server, serve, tmp_path, other):
    """The provider replaced the file between two runs, or tells nothing by which to know it again."""
    new = BODY[::-1]
    server.routes["/x.bin"] = in_turn(cut(serve), ranged(serve, new, other))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == new
    assert names(tmp_path) == ["x.bin"]


def test_weak_tag_does_not_vouch_for_bytes(server, serve, tmp_path):
    """W/ says that two states mean the same, not that they are the same bytes; the date tells them apart."""
    new, weak = BODY[::-1], {"ETag": 'W/"one"'}
    old = serve.status(
        200, BODY[:HALF], **weak, Content_Length=len(BODY), Last_Modified="Mon, 01 Jun 2020 00:00:00 GMT"
    )
    date, rest = "Tue, 02 Jun 2020 00:00:00 GMT", f"bytes {KEPT}-{len(BODY) - 1}/{len(BODY)}"
    ask = (serve.status(206, new[KEPT:], **weak, Last_Modified=date, Content_Range=rest),
           serve.status(200, new, **weak, Last_Modified=date))  # fmt: skip

    def first(request):
        old(request)
        request.close_connection = True

    server.routes["/x.bin"] = in_turn(first, *ask)
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == new


def test_server_that_ignores_ranges_sends_all_again(server, serve, tmp_path):
    server.routes["/x.bin"] = in_turn(cut(serve), lambda request: serve.reply(request, BODY, ETag='"one"'))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY


def test_server_that_goes_on_at_another_place_is_asked_anew(server, serve, tmp_path):
    last = 100 + len(BODY) - KEPT
    wrong = serve.status(206, BODY[100:last], ETag='"one"', Content_Range=f"bytes 100-{last - 1}/{len(BODY)}")
    server.routes["/x.bin"] = in_turn(cut(serve), wrong, ranged(serve))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY


def test_part_longer_than_the_file_is_given_up(server, serve, tmp_path):
    server.routes["/x.bin"] = in_turn(cut(serve), ranged(serve, BODY[:1000], '"one"'))
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY[:1000]


def test_length_that_is_announced_but_never_comes(server, serve, tmp_path):
    server.routes["/x.bin"] = cut(serve, BODY[:2000], at=1500)
    with xsm.set_options(retries=2):
        assert "the transfer was cut, 3 times" in str(failure([one(server)], tmp_path))
    parts(tmp_path)


def test_length_and_checksum_of_the_catalogue_are_kept(server, serve, tmp_path):
    error = failure([one(server, "good.bin", size=299_999)], tmp_path)
    assert "has 300000 bytes" in str(error) and "wanted 299999" in str(error)
    wrong = hashlib.md5(b"other").hexdigest()
    assert f"wanted {wrong}" in str(failure([one(server, "good.bin", checksum=f"md5:{wrong}")], tmp_path))
    told = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    server.routes["/x.bin"] = lambda r: serve.reply(r, BODY, x_goog_hash=f"crc32c=AAAAAA==, md5={told}")
    assert "has the md5" in str(failure([one(server)], tmp_path))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "magic", "text"),
    [
        (PAGE, (b"\x89HDF",), "sent a web page ('Earthdata Login') instead of the file"),
        (PAGE, (), "sent a web page"),
        (b"\n\n <HTML>" + b" " * 5000, (), "sent a web page"),
        (b'{"error": "no such file"}', (b"\x89HDF",), 'starts with \'{"error": "no such file"}\''),
        (b"\x1f\x8b\x08\x00", (b"II*", b"MM"), "wanted b'II*'"),
        (b"", (), "is empty"),
    ],
)
def test_content_with_status_200_that_is_no_data(server, serve, tmp_path, body, magic, text):
    server.routes["/x.bin"] = lambda r: serve.reply(r, body, Content_Type="application/octet-stream")
    assert text in str(failure([one(server, magic=magic)], tmp_path))
    assert names(tmp_path) == []
    assert len(server.seen) == 1


def test_file_that_is_there_is_taken_or_left_alone(server, tmp_path):
    (tmp_path / "good.bin").write_bytes(BODY)
    download([one(server, "good.bin")], tmp_path)
    assert "good.bin" in json.loads((tmp_path / "manifest.json").read_text())["files"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "good.bin").write_bytes(b"mine")
    error = failure([one(server, "good.bin")], other)
    assert "exists already" in str(error) and "Move it away" in str(error)
    assert (other / "good.bin").read_bytes() == b"mine"


def test_file_that_changed_here_or_grows_there_is_fetched_again(server, serve, tmp_path, caplog):
    download([one(server, "good.bin")], tmp_path)
    (tmp_path / "good.bin").write_bytes(b"damaged")
    download([one(server, "good.bin")], tmp_path)
    assert "has changed since it was fetched" in caplog.text
    assert (tmp_path / "good.bin").read_bytes() == BODY
    server.routes["/good.bin"] = ranged(serve, BODY * 2, '"two"')
    assert download([one(server, "good.bin", changes=True)], tmp_path).paths == [tmp_path / "good.bin"]
    assert (tmp_path / "good.bin").read_bytes() == BODY * 2


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "..", ".", "", "C:x", ".hidden", "manifest.json", "a\nb"])
def test_name_with_a_path_is_refused(name):
    with pytest.raises(UsageError, match="no name for a file"):
        Remote("http://127.0.0.1/x", name)


@pytest.mark.parametrize(
    ("kw", "text"),
    [
        ({"url": "file:///etc/passwd"}, "no http"),
        ({"url": "http://me:secret@127.0.0.1/x"}, "holds a user name"),
        ({"url": "http://127.0.0.1/x", "checksum": "crc:12"}, "algorithm"),
    ],
)
def test_address_or_checksum_that_cannot_be(kw, text):
    with pytest.raises(UsageError, match=text) as caught:
        Remote(**kw, name="x")
    assert "secret" not in str(caught.value)


def test_two_files_of_one_name_are_refused(server, tmp_path):
    for name in ("x.bin", "X.bin"):
        with pytest.raises(UsageError, match="would both be"):
            download([one(server), Remote(f"{server.url}/other", name)], tmp_path / "d")
    with pytest.raises(FetchError, match="no file to fetch"):
        download([], tmp_path)
    assert server.seen == [] and not (tmp_path / "d").exists()


def test_what_one_file_lacks_does_not_keep_the_others_away(server, serve, tmp_path):
    for i in range(6):
        server.routes[f"/{i}.bin"] = ranged(serve, BODY[i:]) if i % 2 else serve.status(404)
    with xsm.set_options(workers=3):
        error = failure([one(server, f"{i}.bin") for i in range(6)], tmp_path)
    assert "3 of 6 files failed, the first: '0.bin'" in str(error)
    assert names(tmp_path) == ["1.bin", "3.bin", "5.bin"]
    assert set(json.loads((tmp_path / "manifest.json").read_text())["files"]) == set(names(tmp_path))


def test_many_files_at_once_are_all_right(server, serve, tmp_path):
    bodies = {f"{i}.bin": np.random.default_rng(i).bytes(1000 + 7000 * i) for i in range(30)}
    for name, body in bodies.items():
        flaky = cut(serve, body, len(body) * 2 // 3, f'"{name}"')
        server.routes[f"/{name}"] = in_turn(flaky, serve.status(503), ranged(serve, body, f'"{name}"'))
    events = []
    with xsm.set_options(workers=8), show("json", "test", events.append):
        manifest = download([one(server, n, size=len(b)) for n, b in bodies.items()], tmp_path)
    assert {p.name: p.read_bytes() for p in manifest.paths} == bodies
    shares = [e["value"] for e in events]
    assert shares == sorted(shares) and shares[-1] == 100
    assert events[-1]["text"].startswith("30 of 30 files")


def test_plan_writes_and_asks_nothing(server, tmp_path):
    remotes = [one(server, "good.bin", size=3_000_000), one(server, "b", about=2_000_000), one(server, "c")]
    told = str(download(remotes, tmp_path / "d", dry_run=True))
    assert told.splitlines()[0] == f"3 files, about 5 MB and 1 of unknown size to fetch into {tmp_path / 'd'}"
    assert "  good.bin  3 MB" in told and "  b  about 2 MB" in told and "  c  unknown size" in told
    assert server.seen == [] and not (tmp_path / "d").exists()


def test_folder_that_cannot_take_the_files(server, tmp_path):
    with pytest.raises(DataError, match=r"needs .* TB"):
        download([one(server, size=10**18)], tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        download([one(server)], tmp_path / "file")
    (tmp_path / "good.bin").mkdir()
    assert "cannot be written" in str(failure([one(server, "good.bin")], tmp_path))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="no manifest of xsm"):
        download([one(server)], tmp_path)


def test_lengths_that_are_not_told(server, serve, tmp_path):
    """Chunks without a length, one of them cut; a body that is compressed though nobody asked for it."""

    def chunked(request, end=b"0\r\n\r\n"):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for i in range(0, len(BODY), 1000):
            request.wfile.write(b"3e8\r\n" + BODY[i : i + 1000] + b"\r\n")
        request.wfile.write(end)
        request.close_connection = True

    server.routes["/x.bin"] = in_turn(lambda r: chunked(r, b""), chunked)
    server.routes["/y.bin"] = lambda r: serve.reply(r, gzip.compress(BODY), Content_Encoding="gzip")
    for path in download([one(server), one(server, "y.bin")], tmp_path).paths:
        assert path.read_bytes() == BODY


def test_nobody_answers(serve, tmp_path):
    gone = serve()
    gone.http.shutdown()
    gone.http.server_close()
    with xsm.set_options(retries=1):
        assert "no connection" in str(failure([one(gone)], tmp_path))


@pytest.mark.parametrize("to", ["/x.bin", "ftp://127.0.0.1/x.bin"])
def test_redirects_end(server, serve, tmp_path, to):
    server.routes["/x.bin"] = serve.status(302, Location=to)
    assert "redirect" in str(failure([one(server)], tmp_path))
    assert len(server.seen) <= 14
    assert names(tmp_path) == []


SCRIPT = """
import sys
import xsm_insitu.fetch as fetch
from xsm.cli import main
fetch.PRODUCTS = sys.argv[1]
main(["fetch", "uscrn", sys.argv[2], "--time", "2021-01-01/2021-01-02"])
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to another process")
def test_interrupt_leaves_parts_that_the_next_run_continues(server, serve, tmp_path):
    """A real signal to a real process that waits for a silent server."""
    name, row = "CRNH0203-2021-OK_Goodwell_2_E.txt", b"03055 20210101 0100" + BODY
    server.routes["/hourly02/2021/"] = lambda r: serve.reply(r, f'<a href="{name}">x</a>'.encode())
    silent = [True]
    server.routes[f"/hourly02/2021/{name}"] = cut(
        serve, row, wait=lambda: [time.sleep(0.05) for _ in range(400) if silent[0]]
    )
    command = [sys.executable, "-c", SCRIPT, server.url, str(tmp_path / "d")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        while not list((tmp_path / "d").glob("*.part")) or parts(tmp_path / "d")[0].stat().st_size < KEPT:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    silent[0] = False
    assert process.returncode == 130, told
    assert time.monotonic() - begun < 5
    assert "interrupted" in told and "Traceback" not in told and "run again to continue" in told
    assert len(parts(tmp_path / "d")) == 1
    server.routes[f"/hourly02/2021/{name}"] = ranged(serve, row)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "d" / name).read_bytes() == row
    assert server.headers("Range")[-1] == f"bytes={KEPT}-"


# --- log-ins ---------------------------------------------------------------------------------------------------------

USER, PASSWORD, TOKEN = "someone", "pässword:with+signs", "tok3n.with-signs"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Provider:
    """Three hosts as NASA has them: data, log-in and storage; who is sent where, and with what, is theirs to tell."""

    def __init__(self, serve):
        self.data, self.login, self.storage = serve(), serve("localhost"), serve("localhost")
        self.remote = Remote(f"{self.data.url}/data/x.h5", "x.h5", magic=(BODY[:8],))
        self.data.routes = {"/data/x.h5": self.protected, "/data/y.h5": self.protected, "/login": self.back}
        self.login.routes = {"/oauth/authorize": self.authorize}
        self.storage.routes = {"/x.h5": ranged(serve), "/y.h5": ranged(serve)}
        self.reply = serve.reply
        self.place = Login("Test", self.login.url, ("127.0.0.1",), "EARTHDATA")

    def protected(self, request):
        name = request.path.rpartition("/")[2]
        signed = f"{self.storage.url}/{name}?X-Signature=s3cret"
        asked = f"{self.login.url}/oauth/authorize?client_id=c&state={name}"
        known = "session=1" in (request.headers.get("Cookie") or "")
        bearer = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        self.reply(request, b"", 302, Location=signed if known or bearer else asked)

    def authorize(self, request):
        if request.headers.get("Authorization") != BASIC:
            return self.reply(request, b"Basic: access denied", 401, WWW_Authenticate="Basic")
        return self.reply(request, b"", 302, Location=f"{self.data.url}/login?code=1&{request.path.partition('&')[2]}")

    def back(self, request):
        where = f"/data/{request.path.rpartition('=')[2]}"
        self.reply(request, b"", 302, Location=where, Set_Cookie="session=1; Path=/")


@pytest.fixture
def provider(serve):
    return Provider(serve)


def write_netrc(path, text, mode=0o600):
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def test_password_goes_to_the_log_in_host_alone(provider, tmp_path, caplog):
    caplog.set_level("DEBUG", "xsm")
    write_netrc(tmp_path / "netrc", f"machine localhost login {USER} password {PASSWORD}\n"
                                    "machine 127.0.0.1 login other password elsewhere\n")  # fmt: skip
    manifest = download([provider.remote], tmp_path / "d", login=provider.place)
    assert manifest.paths[0].read_bytes() == BODY
    assert provider.login.headers("Authorization") == [BASIC]
    assert set(provider.data.headers("Authorization")) == {None}
    assert set(provider.storage.headers("Authorization")) == {None}
    for secret in (PASSWORD, TOKEN, "s3cret", BASIC):
        assert secret not in caplog.text
        assert secret not in (tmp_path / "d" / "manifest.json").read_text()


def test_token_goes_to_the_data_hosts_alone(provider, tmp_path, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    download([provider.remote], tmp_path / "d", login=provider.place)
    assert provider.data.headers("Authorization") == [f"Bearer {TOKEN}"]
    assert provider.storage.headers("Authorization") == [None]
    assert provider.login.seen == []


def test_environment_comes_before_netrc(provider, tmp_path, monkeypatch):
    write_netrc(tmp_path / "netrc", "machine localhost login old password mistaken\n")
    monkeypatch.setenv("EARTHDATA_USERNAME", USER)
    monkeypatch.setenv("EARTHDATA_PASSWORD", PASSWORD)
    download([provider.remote], tmp_path / "d", login=provider.place)
    assert provider.login.headers("Authorization") == [BASIC]


def test_credentials_are_asked_for_before_anything_is_sent(provider, tmp_path):
    write_netrc(tmp_path / "netrc", f"default login {USER} password {PASSWORD}\n")
    error = failure([provider.remote], tmp_path / "d", login=provider.place)
    for text in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", str(tmp_path / "netrc"), "machine localhost", "Register at"):
        assert text in str(error)
    assert provider.data.seen == provider.login.seen == []
    assert not (tmp_path / "d").exists()
    assert len(download([provider.remote], tmp_path / "d", login=provider.place, dry_run=True)) == 1


def test_wrong_password_is_sent_once(provider, tmp_path):
    """Some hosts lock an account after a few wrong passwords."""
    write_netrc(tmp_path / "netrc", f"machine localhost login {USER} password mistaken\n")
    remotes = [provider.remote] + [Remote(f"{provider.data.url}/data/y.h5", f"{i}.h5") for i in range(20)]
    error = failure(remotes, tmp_path / "d", login=provider.place)
    assert "401" in str(error) and "though credentials were found in" in str(error) and "in a browser" in str(error)
    assert "mistaken" not in str(error)
    assert len(provider.login.seen) == 1
    assert names(tmp_path / "d") == []


def test_expired_token_is_named(provider, tmp_path, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", "expired")
    provider.data.routes["/data/x.h5"] = lambda r: provider.reply(r, b"", 401)
    error = failure([provider.remote], tmp_path / "d", login=provider.place)
    assert "found in EARTHDATA_TOKEN" in str(error) and "60 days" in str(error) and "expired" not in str(error)


@pytest.mark.parametrize("how", ["page", "status"])
def test_approval_that_is_missing_is_named(provider, tmp_path, how):
    """GES DISC: the password is right, but the account has not approved the data centre's application."""
    write_netrc(tmp_path / "netrc", f"machine localhost login {USER} password {PASSWORD}\n")
    if how == "page":
        approve = f"{provider.login.url}/approve_app?client_id=c"
        provider.login.routes["/oauth/authorize"] = lambda r: provider.reply(r, b"", 302, Location=approve)
        provider.login.routes["/approve_app"] = lambda r: provider.reply(r, PAGE)
    else:
        provider.data.routes["/login"] = lambda r: provider.reply(r, b"EULA", 403)
    error = failure([provider.remote], tmp_path / "d", login=provider.place)
    assert "approve the data centre's application" in str(error) and "NASA GESDISC DATA ARCHIVE" in str(error)
    assert names(tmp_path / "d") == []


def test_log_in_page_is_not_saved(provider, tmp_path):
    write_netrc(tmp_path / "netrc", f"machine localhost login {USER} password {PASSWORD}\n")
    provider.login.routes["/oauth/authorize"] = lambda r: provider.reply(r, PAGE)
    error = failure([provider.remote], tmp_path / "d", login=provider.place)
    assert "sent a log-in page ('Earthdata Login'), though credentials were found" in str(error)
    assert names(tmp_path / "d") == []


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_netrc_that_others_can_read_or_nobody(provider, tmp_path):
    write_netrc(tmp_path / "netrc", f"machine localhost login {USER} password {PASSWORD}\n", 0o644)
    with pytest.warns(UserWarning, match="chmod 600"):
        download([provider.remote], tmp_path / "d", login=provider.place)
    write_netrc(tmp_path / "netrc", f"machine localhost\nlogin {USER}\nfoo {PASSWORD}\n")
    error = failure([provider.remote], tmp_path / "e", login=provider.place)
    assert "cannot be read as netrc" in str(error) and PASSWORD not in str(error)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"EARTHDATA_USERNAME": "me"}, "EARTHDATA_PASSWORD is not"),
        ({"EARTHDATA_TOKEN": "two words"}, "EARTHDATA_TOKEN holds blanks"),
    ],
)
def test_half_credentials_are_refused(provider, tmp_path, monkeypatch, values, text):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert text in str(failure([provider.remote], tmp_path / "d", login=provider.place))


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("https://urs.earthdata.nasa.gov/oauth/authorize", "Basic"),
        ("https://data.nsidc.earthdatacloud.nasa.gov/x.h5", "Bearer"),
        ("https://hydro1.gesdisc.eosdis.nasa.gov/x.nc", "Bearer"),
        ("http://urs.earthdata.nasa.gov/oauth/authorize", None),
        ("http://data.nsidc.earthdatacloud.nasa.gov/x.h5", None),
        ("https://urs.earthdata.nasa.gov.example.org/", None),
        ("https://urs.earthdata.nasa.gov@example.org/", None),
        ("https://otherearthdata.nasa.gov/", None),
        ("https://d1.cloudfront.net/x.h5", None),
    ],
)
def test_keys_sign_for_their_hosts_alone(url, scheme):
    keys = Keys(EARTHDATA, "test", (USER, PASSWORD), TOKEN)
    signed = keys(requests.Request("GET", url).prepare()).headers.get("Authorization")
    assert (signed and signed.split()[0]) == scheme


def test_keys_do_not_print_themselves(monkeypatch, provider):
    for name, value in {"USERNAME": USER, "PASSWORD": PASSWORD, "TOKEN": TOKEN}.items():
        monkeypatch.setenv(f"EARTHDATA_{name}", value)
    assert PASSWORD not in repr(find_keys(provider.place)) and TOKEN not in repr(find_keys(provider.place))


def test_listing_is_read_or_refused(server, serve):
    server.routes["/list/"] = in_turn(serve.status(503), lambda r: serve.reply(r, b"<html>list</html>"))
    assert xsm.read_url(f"{server.url}/list/", magic=(b"<",)) == b"<html>list</html>"
    with pytest.raises(FetchError, match="web page"):
        xsm.read_url(f"{server.url}/list/", magic=(b"[",))
    with pytest.raises(FetchError, match="404"):
        xsm.read_url(f"{server.url}/none?secret=1")


def test_command_line_gives_the_sentence_and_the_code(serve, tmp_path, capsys, monkeypatch):
    """The same through ``xsm fetch``: ok, run error, usage, missing plugin."""
    import xsm_solus100.fetch as bucket

    def run(*args):
        with pytest.raises(SystemExit) as stop:
            main(["fetch", *map(str, args)])
        return stop.value.code, capsys.readouterr()

    server = serve()
    monkeypatch.setattr(bucket, "BUCKET", server.url)
    monkeypatch.setattr(bucket, "ABOUT", 1000)
    dest, tif = tmp_path / "d", b"II*\0" + BODY
    ask = ("solus100", dest, "-o", "variables=sand", "-o", "soil-depth=5")
    code, told = run(*ask, "--dry-run")
    assert (code, server.seen) == (0, [])
    assert "1 file, about 1 kB" in told.out and "sandtotal_5_cm_p.tif" in told.out
    code, told = run(*ask)
    assert code == 1 and "error: 'sandtotal_5_cm_p.tif'" in told.err and "404" in told.err and "hint:" in told.err
    server.routes["/sandtotal_5_cm_p.tif"] = ranged(serve, tif)
    code, told = run(*ask, "--workers", 2)
    assert code == 0 and "1 file, 300 kB in" in told.out and "complete" in told.out
    assert (dest / "sandtotal_5_cm_p.tif").read_bytes() == tif
    assert run("solus100", dest, "-o", "depth=5")[0] == 2
    assert run("solus100", dest, "--workers", 0)[0] == 2
    assert run("solus10", dest)[0] == 2
    code, told = run("ismn", dest)
    assert code == 3 and "ismn.earth" in told.err
