"""Which station files there are: NCEI's listings for USCRN, the AWDB service for SCAN.

Documentation: Formats, Stations and Access.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from xsm import FetchError
from xsm.plugin_api import Area, Manifest, Remote, closed_period, download, read_url, tell

from xsm_insitu.series import inside

PRODUCTS = "https://www.ncei.noaa.gov/pub/data/uscrn/products"
AWDB = "https://wcc.sc.egov.usda.gov/awdbRestApi/services/v1"
DIGITS = tuple(b"%d" % digit for digit in range(10))
SETTLED = np.timedelta64(60, "D")
"""Values older than this change no more, so that their file is fetched once."""
LINE = {"hourly02": (8760, 244), "daily01": (365, 217), "subhourly01": (105120, 135)}
"""Lines of a year and bytes of a line, more or less."""
HOUR_BYTES = 600
"""Bytes of an hour of a SCAN station as JSON, more or less: five depths of moisture and temperature."""


def uscrn_files(time: slice | None, region: Area | None, product: str = "hourly02") -> list[Remote]:
    """List the yearly files of the stations in a region.

    Parameters
    ----------
    time : slice
        First and last UTC day; the file of each year that they touch.
    region : Area, optional
        Stations in its box; those that the table of stations lacks are kept, with a warning.
    product : {"hourly02", "daily01", "subhourly01"}
        As NCEI names its folders.
    """
    first, last = closed_period(time)
    lines, width = LINE[product]
    outside = _stations(region)
    strangers: set[str] = set()
    remotes = []
    for year in range(_year(first), _year(last) + 1):
        folder = f"{PRODUCTS}/{product}/{year}/"
        listing = read_url(folder, magic=(b"<",)).decode("latin-1")
        names = sorted(set(re.findall(rf'href="(CRN[HDS]\d{{4}}(?:-05)?-{year}-[^"/]+\.txt)"', listing)))
        if not names:
            raise FetchError(
                f"'{folder}' lists no station file.", hint="NCEI may be down, or have no data of that year."
            )
        for name in names:
            place = _plain(name.partition(f"-{year}-")[2].removesuffix(".txt"))
            if outside and place not in outside:
                strangers.add(place)
            if not outside.get(place, False):
                new = _unsettled(f"{year}-12-31")
                remotes.append(Remote(folder + name, name, about=lines * width, magic=DIGITS, changes=new))
    if strangers:
        tell(f"NCEI's table of stations lacks {', '.join(sorted(strangers))}: they are fetched, wherever they are.")
    return remotes


def scan_files(time: slice | None, region: Area | None) -> list[Remote]:
    """List ``stations.json`` and the hourly values of each SCAN station, one file for each year of the period.

    The files are the service's own JSON. Values stand under the station's local standard time, so the period is longer
    by a day at both ends; the files of two years share New Year's Day.

    Parameters
    ----------
    time : slice
        First and last UTC day.
    region : Area, optional
        Stations in its box.
    """
    first, last = closed_period(time)
    begin, end = first - 1, last + 1
    table = f"{AWDB}/stations?{_query(stationTriplets='*:*:SCAN', activeOnly='false')}"
    start = (b"[",)
    try:
        stations = json.loads(read_url(table, magic=start))
        periods = [
            (s["stationTriplet"], s["beginDate"][:10], s["endDate"][:10]) for s in stations if _inside(region, s)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"The table of stations of AWDB cannot be read ({type(error).__name__}: {error}).",
            hint="The service may have changed: report it.",
        ) from None
    remotes = [Remote(table, "stations.json", about=len(stations) * 450, magic=start, changes=True)]
    for triplet, opened, closed in sorted(periods):
        for year in range(_year(begin), _year(end) + 1):
            day0, day1 = max(begin, np.datetime64(f"{year}-01-01")), min(end, np.datetime64(f"{year + 1}-01-01"))
            if day0 >= day1 or opened > str(day1) or closed < str(day0):
                continue
            query = _query(
                stationTriplets=triplet,
                elements="SMS:*,STO:*",
                duration="HOURLY",
                beginDate=day0,
                endDate=day1,
                returnFlags="true",
            )
            number, state, network = triplet.split(":")
            remotes.append(
                Remote(
                    f"{AWDB}/data?{query}",
                    f"{network}_{number}_{state}_{day0}_{day1}.json",
                    about=int((day1 - day0).astype(int)) * 24 * HOUR_BYTES,
                    magic=start,
                    changes=_unsettled(day1),
                )
            )
    return remotes


def fetch_scan(dest: Path, *, region: Area | None, time: slice | None, dry_run: bool) -> Manifest:
    """Fetch SCAN stations; see `scan_files`."""
    return download(scan_files(time, region), dest, dry_run=dry_run)


def _stations(region: Area | None) -> dict[str, bool]:
    """Whether each USCRN station (``ST_Location_Vector``) lies outside a region; empty where there is none."""
    if region is None:
        return {}
    table = pd.read_csv(io.BytesIO(read_url(f"{PRODUCTS}/stations.tsv")), sep="\t", dtype=str, keep_default_na=False)
    absent = {"STATE", "LOCATION", "VECTOR", "LATITUDE", "LONGITUDE"} - set(table)
    if absent:
        raise FetchError(
            f"NCEI's stations.tsv has no column {', '.join(sorted(absent))}.", hint="Fetch without a region."
        )
    west, south, east, north = region.bbox
    lat, lon = (pd.to_numeric(table[c], errors="coerce") for c in ("LATITUDE", "LONGITUDE"))
    away = (lon < west) | (lon > east) | (lat < south) | (lat > north)
    names = (_plain("_".join(row)) for row in table[["STATE", "LOCATION", "VECTOR"]].itertuples(index=False))
    return dict(zip(names, away, strict=True))


def _inside(region: Area | None, station: dict[str, Any]) -> bool:
    return inside(region, float(station["longitude"]), float(station["latitude"]))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name)


def _year(day: np.datetime64) -> int:
    return int(str(day)[:4])


def _unsettled(day: np.datetime64 | str) -> bool:
    return bool(np.datetime64(day) > np.datetime64("now", "D") - SETTLED)


def _query(**parameters: object) -> str:
    return urlencode(parameters, safe="*:,")
