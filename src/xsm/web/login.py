"""Credentials for data providers: where they come from, and which hosts may see them."""

from __future__ import annotations

import netrc
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests

from xsm.errors import FetchError, tell


@dataclass(frozen=True)
class Login:
    """A log-in, and the hosts that its credentials may be sent to.

    Parameters
    ----------
    name : str
        For messages.
    url : str
        Scheme and host; user name and password are sent to no other.
    domains : tuple of str
        Domains whose hosts may get the token, over the scheme of ``url`` and its usual port; another port is named with
        the domain, ``"acme.org:8443"``.
    prefix : str
        Of the environment variables ``<prefix>_USERNAME``, ``<prefix>_PASSWORD`` and ``<prefix>_TOKEN``.

    Examples
    --------
    >>> Login("ACME", "https://login.acme.org", ("acme.org",), "ACME").prefix
    'ACME'
    """

    name: str
    url: str
    domains: tuple[str, ...]
    prefix: str


USUAL = {"https": 443, "http": 80}
"""Ports of the schemes."""
EARTHDATA = Login(
    "NASA Earthdata",
    "https://urs.earthdata.nasa.gov",
    ("earthdata.nasa.gov", "earthdatacloud.nasa.gov", "eosdis.nasa.gov"),
    "EARTHDATA",
)


@dataclass(frozen=True)
class Keys(requests.auth.AuthBase):
    """The credentials for a `Login`: they sign requests to its hosts, and no other request."""

    login: Login | None = None
    origin: str = ""
    basic: tuple[str, str] | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request if its host may see the credentials."""
        url = str(request.url)
        if self.is_login(url):
            if self.basic is not None:
                user, password = (text.encode() for text in self.basic)
                return requests.auth.HTTPBasicAuth(user, password)(request)
        elif self.token and self._may_see_token(url):
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    def is_login(self, url: str) -> bool:
        """Whether an address belongs to the log-in."""
        return self.login is not None and place_of(url) == place_of(self.login.url)

    def refused(self, message: str, *, approve: bool) -> FetchError:
        """Make the error for credentials that a provider refused."""
        assert self.login is not None  # noqa: S101
        if approve:
            hint = (
                f"Log in at {self.login.url} and approve the data centre's application under Applications > "
                "Authorized Apps (of GES DISC: 'NASA GESDISC DATA ARCHIVE'), and its terms under EULAs."
            )
        else:
            hint = f"Try them at {self.login.url} in a browser; a token expires after 60 days."
        return FetchError(f"{message}, though credentials were found in {self.origin}.", hint=hint)

    def _may_see_token(self, url: str) -> bool:
        assert self.login is not None  # noqa: S101
        scheme, host, port = place_of(url)
        allowed = [(d, int(p) if p else None) for d, _, p in (domain.partition(":") for domain in self.login.domains)]
        inside = any(port == p and (host == d or host.endswith(f".{d}")) for d, p in allowed)
        login_scheme, login_host, _ = place_of(self.login.url)
        return inside and scheme == login_scheme and host != login_host


def find_keys(login: Login | None) -> Keys:
    """Look for credentials in the environment, then in netrc; nobody is prompted and nothing is sent.

    Raises
    ------
    FetchError
        If there are none; says where they were looked for.
    """
    if login is None:
        return Keys()
    names = {what: f"{login.prefix}_{what}" for what in ("TOKEN", "USERNAME", "PASSWORD")}
    token, user, password = (os.environ.get(name, "").strip() for name in names.values())
    if bool(user) != bool(password):
        there, absent = ("USERNAME", "PASSWORD") if user else ("PASSWORD", "USERNAME")
        raise FetchError(f"{names[there]} is set, {names[absent]} is not.", hint="Set both, or neither.")
    if not token.isascii() or any(c.isspace() for c in token):
        raise FetchError(f"{names['TOKEN']} contains blanks or characters that no token has.", hint="Copy it again.")
    host = urlsplit(login.url).hostname or ""
    origins = [names["TOKEN"]] if token else []
    basic: tuple[str, str] | None = (user, password) if user else None
    if basic is not None:
        origins.append(names["USERNAME"])
    else:
        path = netrc_path()
        basic = _in_netrc(path, host)
        origins += [str(path)] if basic else []
    if not origins:
        raise FetchError(
            f"This download needs an account at {login.name}, and no credentials were found in {names['TOKEN']}, "
            f"{names['USERNAME']} and {names['PASSWORD']}, or {netrc_path()}.",
            hint=f"Register at {login.url}, then write 'machine {host} login NAME password SECRET' into the latter "
            "and let nobody else read it (chmod 600).",
        )
    return Keys(login, " and ".join(origins), basic, token)


def netrc_path() -> Path:
    """The file that ``NETRC`` names, else ``.netrc`` (Windows: also ``_netrc``) in the home folder."""
    if os.environ.get("NETRC"):
        return Path(os.environ["NETRC"])
    other = Path.home() / "_netrc"
    return other if os.name == "nt" and other.exists() else Path.home() / ".netrc"


def _in_netrc(path: Path, host: str) -> tuple[str, str] | None:
    """Name and password for a host; a ``default`` entry is ignored, since it was not written for this."""
    try:
        entry = netrc.netrc(str(path)).hosts.get(host)
    except FileNotFoundError:
        return None
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        line = f", line {error.lineno}" if isinstance(error, netrc.NetrcParseError) else ""
        raise FetchError(f"'{path}'{line} cannot be read as netrc.", hint="Correct it, or set the variables.") from None
    if entry is None or not entry[0] or not entry[2]:
        return None
    if os.name == "posix" and path.stat().st_mode & 0o077:
        tell(f"'{path}' can be read by others: chmod 600 {path}")
    return entry[0], entry[2]


def place_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; None for the port of the scheme."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:  # no number
        port = 0
    return parts.scheme, parts.hostname or "", None if port == USUAL.get(parts.scheme) else port
