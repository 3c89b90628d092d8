"""Search NASA's catalogue (CMR) for the files of a product (documentation: File formats, Access)."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from xsm.errors import FetchError, MissingPlugin, tell
from xsm.web import http as web
from xsm.web.login import Keys
from xsm.web.manifest import Remote

CMR = "https://cmr.earthdata.nasa.gov/search/"
ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def search_earthdata(
    short_name: str,
    version: str,
    *,
    time: tuple[np.datetime64, np.datetime64],
    suffix: str,
    magic: tuple[bytes, ...],
    bbox: tuple[float, float, float, float] | None = None,
) -> list[Remote]:
    r"""Find the files of a NASA product; the search itself needs no account.

    Parameters
    ----------
    short_name, version : str
        As the catalogue spells them; versions are compared character by character (``"006"`` is not ``"6"``).
    time : tuple of datetime64
        First and last day.
    suffix : str
        Ending of the data file among a granule's links, such as ``".h5"``.
    magic : tuple of bytes
        What the files start with.
    bbox : tuple of float, optional
        West, south, east, north in degrees; for products in tiles.

    Returns
    -------
    list of Remote
        With length and checksum where the catalogue has them.

    Raises
    ------
    MissingPlugin
        Without the package earthaccess.
    FetchError
        If the catalogue does not answer, or has no such file.

    Examples
    --------
    >>> day = np.datetime64("2021-06-01")
    >>> search_earthdata(
    ...     "SPL3SMP_E", "006", time=(day, day), suffix=".h5", magic=(b"\x89HDF",)
    ... )  # doctest: +SKIP
    """
    try:
        import earthaccess
    except ImportError:
        raise MissingPlugin(
            "Searching NASA's catalogue needs the package earthaccess.", hint="pip install earthaccess"
        ) from None
    terms: dict[str, Any] = {"short_name": short_name, "version": version, "temporal": tuple(map(str, time))}
    if bbox is not None:
        terms["bounding_box"] = tuple(float(v) for v in bbox)
    with web.Session(Keys()) as session, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # which earthaccess gives about itself
        query: Any = earthaccess.DataGranules().mode(CMR).parameters(**terms)
        query.session = session
        granules = web.persist(lambda: _search(query), f"search for {short_name}", threading.Event())
        listed = [_remote(g["umm"], g.data_links("external"), suffix, magic) for g in granules]
    remotes = [r for r in listed if r is not None]
    if len(remotes) < len(listed):
        tell(f"{len(listed) - len(remotes)} of {len(listed)} granules of {short_name} have no {suffix} link.")
    if not remotes:
        where = "" if bbox is None else " in the region"
        raise FetchError(
            f"NASA's catalogue has no {suffix} file of {short_name} version '{version}' from {time[0]} to "
            f"{time[1]}{where}.",
            hint="Check the period, and the version character by character; older versions of a product are removed.",
        )
    return remotes


def _search(query: Any) -> Sequence[Any]:
    try:
        return query.get_all()
    except RuntimeError as error:
        response = getattr(error.__cause__, "response", None)
        if response is not None and response.status_code in web.PASSING:
            raise web.Again(f"the catalogue answers {response.status_code}") from None
        reason = " ".join(str(error).split())[:200]
        raise FetchError(
            f"NASA's catalogue refuses the search ({reason}).", hint="Check the region and the period."
        ) from None


def _remote(umm: Mapping[str, Any], links: Sequence[str], suffix: str, magic: tuple[bytes, ...]) -> Remote | None:
    url = next((u for u in links if urlsplit(u).path.endswith(suffix)), None)
    if url is None:
        return None
    name = PurePosixPath(urlsplit(url).path).name
    files = umm.get("DataGranule", {}).get("ArchiveAndDistributionInformation", [])
    listed = next((f for f in files if f.get("Name") == name), files[0] if len(files) == 1 else {})
    about = float(listed.get("Size", 0)) * UNITS.get(listed.get("SizeUnit", ""), 0)
    checksum = listed.get("Checksum", {})
    algorithm = ALGORITHMS.get(checksum.get("Algorithm", ""))
    return Remote(
        url,
        name,
        size=listed.get("SizeInBytes"),
        about=round(about) or None,
        checksum=f"{algorithm}:{checksum['Value']}" if algorithm else None,
        magic=magic,
    )
