"""Credentials: where they come from, which hosts get them, and the errors when they are refused."""

from __future__ import annotations

import base64
import os
from dataclasses import replace

import pytest
import requests

from tests.web_server import BODY, PAGE, failure, names, ranged, reply
from xsm.plugin_api import Remote, download
from xsm.web.login import EARTHDATA, Keys, Login, find_keys

USER, PASSWORD, TOKEN = "someone", "pässword:with+signs", "tok3n.with-signs"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Provider:
    """Three hosts as NASA has them: data, log-in and storage."""

    def __init__(self, serve):
        self.data, self.login, self.storage = serve(), serve("localhost"), serve("localhost")
        self.remote = Remote(f"{self.data.url}/data/x.h5", "x.h5", magic=(BODY[:8],))
        self.data.routes = {"/data/x.h5": self.protected, "/data/y.h5": self.protected, "/login": self.back}
        self.login.routes = {"/oauth/authorize": self.authorize}
        self.storage.routes = {"/x.h5": ranged(), "/y.h5": ranged()}
        self.place = Login("Test", self.login.url, (self.data.url.removeprefix("http://"),), "EARTHDATA")

    def protected(self, request):
        name = request.path.rpartition("/")[2]
        signed = f"{self.storage.url}/{name}?X-Signature=s3cret"
        log_in = f"{self.login.url}/oauth/authorize?client_id=c&state={name}"
        known = "session=1" in (request.headers.get("Cookie") or "")
        bearer = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        reply(request, b"", 302, Location=signed if known or bearer else log_in)

    def authorize(self, request):
        if request.headers.get("Authorization") != BASIC:
            return reply(request, b"Basic: access denied", 401, WWW_Authenticate="Basic")
        return reply(request, b"", 302, Location=f"{self.data.url}/login?code=1&{request.path.partition('&')[2]}")

    def back(self, request):
        where = f"/data/{request.path.rpartition('=')[2]}"
        reply(request, b"", 302, Location=where, Set_Cookie="session=1; Path=/")


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
    assert provider.login.requests == []


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
    assert provider.data.requests == provider.login.requests == []
    assert not (tmp_path / "d").exists()
    assert len(download([provider.remote], tmp_path / "d", login=provider.place, dry_run=True)) == 1


def test_wrong_password_is_sent_once(provider, tmp_path):
    """Some hosts lock an account after a few wrong passwords."""
    write_netrc(tmp_path / "netrc", f"machine localhost login {USER} password mistaken\n")
    remotes = [provider.remote] + [Remote(f"{provider.data.url}/data/y.h5", f"{i}.h5") for i in range(20)]
    error = failure(remotes, tmp_path / "d", login=provider.place)
    assert "401" in str(error) and "though credentials were found in" in str(error) and "in a browser" in str(error)
    assert "mistaken" not in str(error)
    assert len(provider.login.requests) == 1
    assert names(tmp_path / "d") == []


def test_expired_token_is_named(provider, tmp_path, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", "expired")
    provider.data.routes["/data/x.h5"] = lambda r: reply(r, b"", 401)
    error = failure([provider.remote], tmp_path / "d", login=provider.place)
    assert "found in EARTHDATA_TOKEN" in str(error) and "60 days" in str(error) and "expired" not in str(error)


@pytest.mark.parametrize("how", ["page", "status"])
def test_approval_that_is_missing_is_named(provider, tmp_path, how):
    """GES DISC: the password is right, but the account has not approved the data centre's application."""
    write_netrc(tmp_path / "netrc", f"machine localhost login {USER} password {PASSWORD}\n")
    if how == "page":
        approve = f"{provider.login.url}/approve_app?client_id=c"
        provider.login.routes["/oauth/authorize"] = lambda r: reply(r, b"", 302, Location=approve)
        provider.login.routes["/approve_app"] = lambda r: reply(r, PAGE)
    else:
        provider.data.routes["/login"] = lambda r: reply(r, b"EULA", 403)
    error = failure([provider.remote], tmp_path / "d", login=provider.place)
    assert "approve the data centre's application" in str(error) and "NASA GESDISC DATA ARCHIVE" in str(error)
    assert names(tmp_path / "d") == []


@pytest.mark.parametrize("size", [None, 700_000_000])
def test_log_in_page_is_not_saved(provider, tmp_path, size):
    write_netrc(tmp_path / "netrc", f"machine localhost login {USER} password {PASSWORD}\n")
    provider.login.routes["/oauth/authorize"] = lambda r: reply(r, PAGE)
    error = failure([replace(provider.remote, size=size)], tmp_path / "d", login=provider.place)
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
        ({"EARTHDATA_TOKEN": "two words"}, "EARTHDATA_TOKEN contains blanks"),
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
        ("https://urs.earthdata.nasa.gov:443/oauth/authorize", "Basic"),
        ("https://urs.earthdata.nasa.gov:8443/oauth/authorize", None),
        ("https://data.nsidc.earthdatacloud.nasa.gov:443/x.h5", "Bearer"),
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
