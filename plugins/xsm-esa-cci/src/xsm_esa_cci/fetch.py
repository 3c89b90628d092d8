"""List daily files of ESA CCI soil moisture at CEDA, without an account (documentation: Formats, ESA CCI)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from xsm import FetchError
from xsm.plugin_api import Remote, read_url

ARCHIVE = "https://data.ceda.ac.uk/neodc/esacci/soil_moisture/data/daily_files"
ABOUT = 2_000_000
"""Bytes of a day, more or less."""
MAGIC = b"\x89HDF"


def days(time: tuple[np.datetime64, np.datetime64], product: str, version: str) -> list[Remote]:
    """List the global file of each day, by the archive's listing of each year.

    Parameters
    ----------
    time : tuple of datetime64
        First and last day.
    product : {"COMBINED", "PASSIVE", "ACTIVE"}
    version : str
        As in the archive, such as ``"v09.2"``.
    """
    first, last = (d.astype("M8[D]") for d in time)
    remotes = []
    for year in range(first.astype("M8[Y]").astype(int) + 1970, last.astype("M8[Y]").astype(int) + 1971):
        for item in _listing(f"{ARCHIVE}/{product}/{version}/{year}?json"):
            name = str(item.get("name", ""))
            text = name.rsplit(f"-{product}-", maxsplit=1)[-1][:8]
            if name.endswith(".nc") and text.isdigit():
                day = np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}")
                if first <= day <= last:
                    remotes.append(Remote(str(item["download"]), name, about=ABOUT, magic=(MAGIC,)))
    if not remotes:
        raise FetchError(
            f"CEDA lists no file of {product} {version} from {first} to {last}.",
            hint="Check the period and <version=>.",
        )
    return sorted(remotes, key=lambda r: r.name)


def _listing(url: str) -> list[dict[str, Any]]:
    try:
        return list(json.loads(read_url(url))["items"])
    except (ValueError, KeyError, TypeError):
        raise FetchError(f"The listing at {url} is not what CEDA sends.", hint="Try again later.") from None
