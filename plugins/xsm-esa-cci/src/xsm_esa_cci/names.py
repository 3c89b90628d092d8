"""File names of ESA CCI and C3S soil moisture: product, day, version, and which of several files of a day counts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from xsm import DataError
from xsm.plugin_api import tell

CCI = re.compile(
    r"ESACCI-SOILMOISTURE-L3S-(?P<kind>SSMV|SSMS|RZSMV)-(?P<product>[A-Z0-9_]+)-(?P<date>\d{8})\d{6}-fv(?P<version>[\d.]+)\.nc$"
)
C3S = re.compile(
    r"C3S-(?:SOILMOISTURE|RZSM)-L3S-(?P<kind>SSMV|SSMS|RZSMV)-(?:(?P<product>ACTIVE|PASSIVE|COMBINED)-)?"
    r"(?P<step>[A-Z]+)-(?P<date>\d{8})\d{6}-(?P<record>TCDR|ICDR)-v(?P<version>[\d.]+)\.nc$"
)


class Name(NamedTuple):
    """What the name of a file says; ``rank`` orders files of one day."""

    series: str
    kind: str
    product: str
    day: np.datetime64
    step: str
    rank: tuple[object, ...]


def read_name(path: Path) -> Name | None:
    """Read a name; None for another product.

    Examples
    --------
    >>> name = read_name(Path("ESACCI-SOILMOISTURE-L3S-SSMS-ACTIVE-20210601000000-fv09.1.nc"))
    >>> name.product, str(name.day)
    ('ACTIVE', '2021-06-01')
    """
    cci, c3s = CCI.match(path.name), C3S.match(path.name)
    match = cci or c3s
    if match is None:
        return None
    text, about = match["date"], match.groupdict()
    try:
        day = np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}", "D")
    except ValueError:
        return None
    version = tuple(int(part) for part in match["version"].split(".") if part)
    product = about["product"] or "COMBINED"
    series = "ESA CCI" if cci else "C3S"
    return Name(
        series, match["kind"], product, day, about.get("step") or "DAILY", (version, about.get("record") == "TCDR")
    )


def by_day(paths: Iterable[Path]) -> tuple[Name, dict[np.datetime64, Path]]:
    """The file of each day: of several the highest version, then the climate record before the interim one.

    Raises
    ------
    DataError
        For files of other products, of several products, or of ten days and months.
    """
    best: dict[np.datetime64, tuple[Name, Path]] = {}
    kinds: dict[tuple[str, str], Path] = {}
    others = twice = 0
    every = sorted(map(Path, paths), key=lambda p: p.name)
    for path in every:
        name = read_name(path)
        if name is None:
            others += 1
            continue
        if name.step != "DAILY":
            raise DataError(
                f"'{path}' contains means of ten days or months ({name.step.lower()}), expected daily files.",
                hint="Order the daily product.",
            )
        kinds.setdefault((name.kind, name.product), path)
        if len(kinds) > 1:
            (one, first), (two, second) = kinds.items()
            raise DataError(
                f"'{first}' is {one[1]} ({one[0]}) and '{second}' {two[1]} ({two[0]}), expected one product.",
                hint="Open one product at a time.",
            )
        known = best.get(name.day)
        twice += known is not None
        if known is None or name.rank > known[0].rank:
            best[name.day] = name, path
    if not best:
        raise DataError(
            f"None of the files is a day of ESA CCI or C3S soil moisture ({', '.join(p.name for p in every[:3])}).",
            hint="Expected names like ESACCI-SOILMOISTURE-L3S-SSMV-COMBINED-20210601000000-fv09.1.nc.",
        )
    if others:
        tell(f"{others} files are not named as soil moisture of ESA CCI or C3S and are left out.")
    if twice:
        tell(f"{twice} days have more than one file; the highest version of each is read.")
    return next(iter(best.values()))[0], {day: path for day, (_, path) in best.items()}
