"""Which NLDAS file contains which hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from xsm import DataError
from xsm.plugin_api import tell

from xsm_nldas.files import NAME, Header, check_whole, hour_of, near, read_header
from xsm_nldas.names import only_hourly

NOAH_ONLY = ("SoilM_0_10cm", "SoilM_10_40cm", "SoilT_0_10cm", "SoilT_10_40cm", "Snowf")
LOOKS = 5
"""Files of a product whose headers are read."""

Place = tuple[Path, int]
"""Where an hour lies: file and time step in it."""


@dataclass(frozen=True)
class Index:
    """The hours of each product, the header that its files share, the files left out with the reason, and their hours.

    The hour of a file that is left out is not known if its name does not contain it.
    """

    hours: dict[str, dict[int, Place]] = field(default_factory=dict)
    headers: dict[str, Header] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)


def index_files(paths: Iterable[Path], period: tuple[int, int], *, skip: bool) -> Index:
    """Find out which file contains which hour.

    Hourly files are placed by their name and only checked for being whole; headers are read of `LOOKS` files of each
    product, the first and the last among them, and of files with other names.

    Parameters
    ----------
    paths : iterable of Path
        Files of NLDAS_NOAH0125_H and NLDAS_FORA0125_H.
    period : tuple of int
        First hour and end (exclusive) in hours since 1970; files whose name lies outside are not touched.
    skip : bool
        Leave out damaged files, and those on another grid than most, instead of raising.

    Raises
    ------
    DataError
        For a file that is missing, truncated or not netCDF-4; for headers that differ.
    """
    index = Index()
    twice: list[str] = []
    for path in sorted(only_hourly(paths), key=lambda p: p.name):
        stamp = _stamp(path)
        if stamp is not None and not period[0] <= stamp < period[1]:
            continue
        try:
            check_whole(path)
            match = NAME.match(path.name)
            product = match[1] if match is not None else ""
            hours: Sequence[int] = () if stamp is None else (stamp,)
            if stamp is None:
                header = read_header(path)
                product = product or ("NOAH" if any(n in header.units for n in NOAH_ONLY) else "FORA")
                hours = header.hours.tolist()
        except DataError as error:
            if not skip:
                raise
            index.skipped.append(str(error))
            index.lost.extend([] if stamp is None else [stamp])
            continue
        table = index.hours.setdefault(product, {})
        for step, hour in enumerate(hours):
            if hour in table:
                twice.append(path.name)
            elif period[0] <= hour < period[1]:
                table[hour] = (path, step)
    for product in index.hours:
        while index.hours[product] and product not in index.headers:
            _look(index, product, skip=skip)
    if twice:
        tell(f"{len(twice)} hours occur more than once; the first of each is used ({', '.join(twice[:3])}).")
    return index


def _look(index: Index, product: str, *, skip: bool) -> None:
    """Read some headers of a product and take the one that most share; those on another grid stop or are left out."""
    table = index.hours[product]
    paths = list(dict.fromkeys(path for _, (path, _) in sorted(table.items())))
    headers: list[Header] = []
    odd: dict[Path, str] = {}
    for i in np.unique(np.linspace(0, len(paths) - 1, LOOKS).astype(int)):
        try:
            headers.append(_checked_header(paths[i]))
        except DataError as error:
            if not skip:
                raise
            odd[paths[i]] = str(error)
    kinds = [(h.lat.tobytes(), h.lon.tobytes(), frozenset(h.units.items()), h.zero) for h in headers]
    for common, _ in Counter(kinds).most_common(1):
        index.headers[product] = usual = headers[kinds.index(common)]
        for header, kind in zip(headers, kinds, strict=True):
            if kind[:2] != common[:2]:
                odd[header.path] = f"'{header.path}' is on another grid than other files."
            differ = sorted(set(header.units) ^ set(usual.units))
            if not skip and header.path in odd:
                raise DataError(odd[header.path], hint="Give the files of one region at a time.")
            if not skip and differ:
                raise DataError(
                    f"Of '{usual.path}' and '{header.path}' only one contains {', '.join(differ[:3])} as maps.",
                    hint="Download both again, or give files of one subset at a time.",
                )
    index.skipped.extend(odd.values())
    index.lost.extend(hour for hour, (path, _) in table.items() if path in odd)
    index.hours[product] = {hour: place for hour, place in table.items() if place[0] not in odd}


def _checked_header(path: Path) -> Header:
    """Read a header; that of an hourly file must have the hour of the name."""
    header, stamp = read_header(path), _stamp(path)
    if stamp is not None and (len(header.hours) != 1 or not near(int(header.hours[0]), stamp, path)):
        raise DataError(
            f"'{path}' contains {len(header.hours)} hours, the first {header.hours[0].astype('M8[h]')}, expected the "
            "one of its name.",
            hint="Give files of several hours another name.",
        )
    return header


def _stamp(path: Path) -> int | None:
    """Hour since 1970 in the name of an hourly file."""
    match = NAME.match(path.name)
    hourly = match is not None and (match[4] == "020" or path.suffix == ".grb")
    return hour_of(match[2], match[3]) if match is not None and hourly else None
