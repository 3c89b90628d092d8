"""List SMAP granules from NASA's catalogue (documentation: Formats, SMAP and Access)."""

from __future__ import annotations

import numpy as np
from xsm.plugin_api import Remote, search_earthdata

from xsm_smap import VERSIONS, layout


def granules(
    time: tuple[np.datetime64, np.datetime64], product: str = "SPL3SMP_E", version: str | None = None
) -> list[Remote]:
    """List one granule for each day: of several the one of the highest release, then of the highest counter.

    Parameters
    ----------
    time : tuple of datetime64
        First and last UTC day.
    product : {"SPL3SMP_E", "SPL3SMP"}
        9 or 36 km.
    version : str, optional
        As the catalogue writes it; the latest that xsm knows by default.
    """
    best: dict[np.datetime64, tuple[tuple[str, str], Remote]] = {}
    for remote in search_earthdata(
        product, version or VERSIONS[product], time=time, suffix=".h5", magic=(layout.MAGIC,)
    ):
        name = layout.L3_NAME.match(remote.name)
        if name is None:
            continue
        text = name["date"]
        day, rank = np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}"), (name["crid"], name["counter"])
        if time[0] <= day <= time[1] and (day not in best or rank > best[day][0]):
            best[day] = rank, remote
    return [best[day][1] for day in sorted(best)]
