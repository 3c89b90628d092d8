"""Downloads against servers that misbehave: one sentence each, nothing half written under a final name."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time

import numpy as np
import pytest

import xsm
from tests.web_server import BODY, PAGE, cut, failure, in_turn, names, one, parts, ranged, reply, status
from xsm import set_options
from xsm.errors import DataError, FetchError, UsageError
from xsm.faces.cli import main
from xsm.faces.progress_bar import show
from xsm.plugin_api import Remote, download


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
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (400, "answers 400"),
        (401, "requires a log-in"),
        (403, "blocks this machine"),
        (404, "not there"),
        (410, "not there"),
    ],
)
def test_refusal_is_reported_at_once(server, tmp_path, code, text):
    server.routes["/x.bin"] = status(code)
    error = failure([one(server)], tmp_path / "d")
    assert "'x.bin'" in str(error) and str(code) in str(error) and text in str(error)
    assert error.exit_code == 1
    assert len(server.requests) == 1
    assert names(tmp_path / "d") == []


def test_server_that_wants_a_pause_gets_it(server, tmp_path):
    server.routes["/x.bin"] = in_turn(status(429, Retry_After=1), ranged())
    begun = time.monotonic()
    download([one(server)], tmp_path)
    assert time.monotonic() - begun >= 1
    assert (tmp_path / "x.bin").read_bytes() == BODY


def test_pause_as_a_date_and_one_that_is_too_long(server, tmp_path):
    server.routes["/x.bin"] = in_turn(status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), ranged())
    download([one(server)], tmp_path)
    server.routes["/y.bin"] = status(429, Retry_After=3600)
    assert "asks for a pause of 3600 s" in str(failure([one(server, "y.bin")], tmp_path))


def test_server_error_passes_or_is_reported_after_the_retries(server, tmp_path, monkeypatch):
    server.routes["/x.bin"] = in_turn(status(500), status(502), ranged())
    download([one(server)], tmp_path)
    assert (tmp_path / "x.bin").read_bytes() == BODY
    server.routes["/y.bin"] = status(503)
    server.requests.clear()
    with xsm.set_options(retries=2):
        error = failure([one(server, "y.bin")], tmp_path)
    assert "answers 503, 3 times" in str(error)
    assert len(server.requests) == 3
    monkeypatch.setenv("XSM_RETRIES", "0")
    assert "answers 503." in str(failure([one(server, "y.bin")], tmp_path))
    assert len(server.requests) == 4
    assert names(tmp_path) == ["x.bin"]


def test_length_that_is_announced_but_never_comes(server, tmp_path):
    server.routes["/x.bin"] = cut(BODY[:2000], at=1500)
    with xsm.set_options(retries=2):
        assert "the transfer was cut, 3 times" in str(failure([one(server)], tmp_path))
    parts(tmp_path)


def test_length_and_checksum_of_the_catalogue_are_kept(server, tmp_path):
    error = failure([one(server, "good.bin", size=299_999)], tmp_path)
    assert "has 300000 bytes" in str(error) and "expected 299999" in str(error)
    wrong = hashlib.md5(b"other").hexdigest()
    assert f"expected {wrong}" in str(failure([one(server, "good.bin", checksum=f"md5:{wrong}")], tmp_path))
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    server.routes["/x.bin"] = lambda r: reply(r, BODY, x_goog_hash=f"crc32c=AAAAAA==, md5={md5}")
    assert "has the md5" in str(failure([one(server)], tmp_path))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "magic", "text"),
    [
        (PAGE, (b"\x89HDF",), "sent a web page ('Earthdata Login') instead of the file"),
        (PAGE, (), "sent a web page"),
        (b"\n\n <HTML>" + b" " * 5000, (), "sent a web page"),
        (b'{"error": "no such file"}', (b"\x89HDF",), 'starts with \'{"error": "no such file"}\''),
        (b"\x1f\x8b\x08\x00", (b"II*", b"MM"), "expected b'II*'"),
        (b"", (), "is empty"),
    ],
)
def test_content_with_status_200_that_is_no_data(server, tmp_path, body, magic, text):
    server.routes["/x.bin"] = lambda r: reply(r, body, Content_Type="application/octet-stream")
    assert text in str(failure([one(server, magic=magic)], tmp_path))
    assert names(tmp_path) == []
    assert len(server.requests) == 1


def test_a_page_in_place_of_a_file_of_known_size_is_named_as_a_page(server, tmp_path):
    """Its length differs from the catalogue's, which was all that the message said, for each file of a listing."""
    server.routes["/x.bin"] = server.routes["/y.bin"] = lambda r: reply(r, PAGE)
    files = [one(server, name, size=len(BODY), magic=(b"\x89HDF",)) for name in ("x.bin", "y.bin")]
    with set_options(workers=1):
        error = failure(files, tmp_path)
    assert "sent a web page ('Earthdata Login') instead of the file" in str(error)
    assert names(tmp_path) == [] and len(server.requests) == 1


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


def test_file_that_changed_here_or_grows_there_is_fetched_again(server, tmp_path):
    download([one(server, "good.bin")], tmp_path)
    (tmp_path / "good.bin").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="has changed since it was fetched"):
        download([one(server, "good.bin")], tmp_path)
    assert (tmp_path / "good.bin").read_bytes() == BODY
    server.routes["/good.bin"] = ranged(BODY * 2, '"two"')
    assert download([one(server, "good.bin", changes=True)], tmp_path).paths == [tmp_path / "good.bin"]
    assert (tmp_path / "good.bin").read_bytes() == BODY * 2


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "..", ".", "", "C:x", ".hidden", "manifest.json", "a\nb"])
def test_name_with_a_path_is_refused(name):
    with pytest.raises(UsageError, match="not a name for a file"):
        Remote("http://127.0.0.1/x", name)


@pytest.mark.parametrize(
    ("kw", "text"),
    [
        ({"url": "file:///etc/passwd"}, "not an http"),
        ({"url": "http://me:secret@127.0.0.1/x"}, "contains a user name"),
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
    assert server.requests == [] and not (tmp_path / "d").exists()


def test_what_one_file_lacks_does_not_keep_the_others_away(server, tmp_path):
    for i in range(6):
        server.routes[f"/{i}.bin"] = ranged(BODY[i:]) if i % 2 else status(404)
    with xsm.set_options(workers=3):
        error = failure([one(server, f"{i}.bin") for i in range(6)], tmp_path)
    assert "3 of 6 files failed, the first: '0.bin'" in str(error)
    assert names(tmp_path) == ["1.bin", "3.bin", "5.bin"]
    assert set(json.loads((tmp_path / "manifest.json").read_text())["files"]) == set(names(tmp_path))


def test_many_files_at_once_are_all_right(server, tmp_path):
    bodies = {f"{i}.bin": np.random.default_rng(i).bytes(1000 + 7000 * i) for i in range(30)}
    for name, body in bodies.items():
        flaky = cut(body, len(body) * 2 // 3, f'"{name}"')
        server.routes[f"/{name}"] = in_turn(flaky, status(503), ranged(body, f'"{name}"'))
    events = []
    with xsm.set_options(workers=8), show("json", "test", events.append):
        manifest = download([one(server, n, size=len(b)) for n, b in bodies.items()], tmp_path)
    assert {p.name: p.read_bytes() for p in manifest.paths} == bodies
    shares = [e["value"] for e in events]
    assert shares == sorted(shares) and shares[-1] == 100
    assert events[-1]["text"].startswith("30 of 30 files")


def test_plan_writes_and_requests_nothing(server, tmp_path):
    remotes = [one(server, "good.bin", size=3_000_000), one(server, "b", about=2_000_000), one(server, "c")]
    plan = str(download(remotes, tmp_path / "d", dry_run=True))
    assert plan.splitlines()[0] == f"3 files, about 5 MB and 1 of unknown size to fetch into {tmp_path / 'd'}"
    assert "  good.bin  3 MB" in plan and "  b  about 2 MB" in plan and "  c  unknown size" in plan
    assert server.requests == [] and not (tmp_path / "d").exists()


def test_folder_that_cannot_take_the_files(server, tmp_path):
    with pytest.raises(DataError, match=r"needs .* TB"):
        download([one(server, size=10**18)], tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        download([one(server)], tmp_path / "file")
    (tmp_path / "good.bin").mkdir()
    assert "cannot be written" in str(failure([one(server, "good.bin")], tmp_path))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not a manifest of xsm"):
        download([one(server)], tmp_path)


def test_lengths_that_are_not_announced(server, tmp_path):
    """Chunks without a length, one of them cut; a body that is compressed though that was not requested."""

    def chunked(request, end=b"0\r\n\r\n"):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for i in range(0, len(BODY), 1000):
            request.wfile.write(b"3e8\r\n" + BODY[i : i + 1000] + b"\r\n")
        request.wfile.write(end)
        request.close_connection = True

    server.routes["/x.bin"] = in_turn(lambda r: chunked(r, b""), chunked)
    server.routes["/y.bin"] = lambda r: reply(r, gzip.compress(BODY), Content_Encoding="gzip")
    for path in download([one(server), one(server, "y.bin")], tmp_path).paths:
        assert path.read_bytes() == BODY


def test_nobody_answers(serve, tmp_path):
    gone = serve()
    gone.http.shutdown()
    gone.http.server_close()
    with xsm.set_options(retries=1):
        assert "no connection" in str(failure([one(gone)], tmp_path))


@pytest.mark.parametrize("to", ["/x.bin", "ftp://127.0.0.1/x.bin"])
def test_redirects_end(server, tmp_path, to):
    server.routes["/x.bin"] = status(302, Location=to)
    assert "redirect" in str(failure([one(server)], tmp_path))
    assert len(server.requests) <= 14
    assert names(tmp_path) == []


def test_listing_is_read_or_refused(server):
    server.routes["/list/"] = in_turn(status(503), lambda r: reply(r, b"<html>list</html>"))
    assert xsm.plugin_api.read_url(f"{server.url}/list/", magic=(b"<",)) == b"<html>list</html>"
    with pytest.raises(FetchError, match="web page"):
        xsm.plugin_api.read_url(f"{server.url}/list/", magic=(b"[",))
    with pytest.raises(FetchError, match="404"):
        xsm.plugin_api.read_url(f"{server.url}/none?secret=1")


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
    code, output = run(*ask, "--dry-run")
    assert (code, server.requests) == (0, [])
    assert "1 file, about 1 kB" in output.out and "sandtotal_5_cm_p.tif" in output.out
    code, output = run(*ask)
    assert code == 1 and "error: 'sandtotal_5_cm_p.tif'" in output.err and "404" in output.err and "hint:" in output.err
    server.routes["/sandtotal_5_cm_p.tif"] = ranged(tif)
    code, output = run(*ask, "--workers", 2)
    assert code == 0 and "1 file, 300 kB in" in output.out and "complete" in output.out
    assert (dest / "sandtotal_5_cm_p.tif").read_bytes() == tif
    assert run("solus100", dest, "-o", "depth=5")[0] == 2
    assert run("solus100", dest, "--workers", 0)[0] == 2
    assert run("solus10", dest)[0] == 2
    code, output = run("ismn", dest)
    assert code == 3 and "ismn.earth" in output.err
