"""The International Soil Moisture Network: ``.stm`` files, header+values and CEOP.

The formats: docs/design/formats/stations.md, ISMN.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from xsm import DataError, UsageError
from xsm.plugin_api import Request, tell

from xsm_insitu import ISMN
from xsm_insitu import series as sensors
from xsm_insitu.layout import SYNTHETIC_NETWORK
from xsm_insitu.series import Series

if TYPE_CHECKING:
    from xsm.twin import World

_DAMAGE = (OSError, EOFError, RuntimeError, LookupError, ValueError, zlib.error, zipfile.BadZipFile)
_NAME = re.compile(
    r"_(?P<variable>[a-z]+)_(?P<top>-?\d+\.\d+)_(?P<bottom>-?\d+\.\d+)_(?P<sensor>.+)_(?P<first>\d{8})_(?P<last>\d{8})\.stm$"
)
_LARGEST = 2**28
"""Bytes of a member of an archive; 60 years of minutes are less."""
Item = Path | zipfile.Path
_DATE = re.compile(r"\d{4}/\d\d/\d\d$")
_LETTERS = {"M": sensors.MISSING, "G": sensors.GOOD, "U": sensors.UNKNOWN, "C": sensors.OUT_OF_RANGE,
            "D": sensors.DUBIOUS}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """A sensor as its file describes it; ``first`` is the column of the value, ``skip`` the number of header lines."""

    network: str
    station: str
    lat: float
    lon: float
    depth: float
    sensor: str
    variable: str
    first: int
    skip: int


class IsmnSource:
    """Reads ISMN files, in folders or in the archives that ISMN distributes."""

    info = ISMN

    def identify(self, path: Path) -> bool:
        """By the suffix; only soil moisture and soil temperature are read. An archive must contain ``.stm`` files."""
        if path.suffix == ".zip":
            try:
                with zipfile.ZipFile(path) as archive:
                    return any(n.endswith(".stm") for n in archive.namelist())
            except (OSError, zipfile.BadZipFile):
                return path.name.startswith(("Data_separate_files", "Data_seperate_files"))
        name = _NAME.search(path.name)
        return path.suffix == ".stm" and (name is None or name["variable"] in ("sm", "ts"))

    def open(self, request: Request) -> xr.Dataset:
        """Open the files of one or more networks.

        Parameters
        ----------
        request : Request
            ``.stm`` files, or archives of them; several sensors at one depth stay apart (coordinate ``instrument``).
            Of stations outside the region only the first line is read. Variables: ``soil_moisture``,
            ``soil_temperature``; ``flag`` is always there. Options:

            keep : sequence of str
                First letters of the quality flags that are kept; a value with any other flag becomes NaN, its reason
                stays in ``flag``.

        Returns
        -------
        xarray.Dataset
            ``soil_moisture`` (m3 m-3), ``flag`` and, where the station has it at the same depth, ``soil_temperature``
            (K), dims ``(sensor, time)``, hourly, UTC.

        Raises
        ------
        DataError
            For files that cannot be read or nothing in region and period.
        """
        warm, keep = sensors.wanted(request.variables), request.options["keep"]
        for letter in keep:
            if letter not in _LETTERS:
                raise UsageError(f"The flag to keep is '{letter}', expected one of {', '.join(_LETTERS)}.")

        def read(path: Item) -> Iterator[Series]:
            header, raw = _header(path)
            if not sensors.inside(request.region, header.lon, header.lat):
                return
            if header.variable == "sm" or (header.variable == "ts" and warm):
                yield _series(path, header, raw, keep)

        items, lost = _unpacked([Path(p) for p in request.paths], request.on_error)
        series, skipped = sensors.read_all(items, read, request.on_error, lost)
        ds = sensors.assemble(
            _with_temperature(series),
            step=sensors.HOUR,
            request=request,
            id_name="instrument",
            stamps="instant",
            skipped=skipped,
        )
        ds.attrs |= {"title": "ISMN soil moisture", "source": "ISMN", "flags_kept": ", ".join(keep)}
        if SYNTHETIC_NETWORK in ds["network"].values:
            ds.attrs["synthetic"] = "Stations of the synthetic world of xsm; no measurements."
        return ds

    def write(self, world: World, dest: Path) -> list[Path]:
        """Write the world's stations as header+values files; see `xsm_insitu.write_ismn.write_stm`."""
        from xsm_insitu.write_ismn import write_stm

        return write_stm(world.stations, Path(dest))


def _unpacked(paths: Sequence[Path], on_error: str) -> tuple[list[Item], list[str]]:
    """Replace archives by their soil moisture and soil temperature files."""
    items: list[Item] = []
    lost: list[str] = []
    for path in paths:
        if path.suffix != ".zip":
            items.append(path)
            continue
        try:
            archive = zipfile.ZipFile(path)  # stays open as long as its members are in use
            inside = [n for n in archive.namelist() if (m := _NAME.search(n)) and m["variable"] in ("sm", "ts")]
            if not inside:
                raise DataError(f"'{path}' contains no .stm file of soil moisture.", hint="Expected an ISMN archive.")
            items += [zipfile.Path(archive, name) for name in inside]
        except (*_DAMAGE, DataError) as error:
            problem = (
                error
                if isinstance(error, DataError)
                else DataError(
                    f"'{path}' is not a complete archive ({sensors.reason(error)}).", hint="Download it again."
                )
            )
            if on_error == "raise":
                raise problem from None
            lost.append(str(problem))
    return items, lost


def _bytes(item: Item) -> bytes:
    try:
        if isinstance(item, zipfile.Path) and item.root.getinfo(item.at).file_size > _LARGEST:
            raise DataError(f"'{item}' says it has more than {_LARGEST} bytes.", hint="Unpack the archive by hand.")
        return item.read_bytes()
    except _DAMAGE as error:
        raise DataError(f"'{item}' cannot be read: {sensors.reason(error)}.", hint="Download it again.") from None


def _header(path: Item) -> tuple[Header, bytes]:
    """Read a file, with uniform line ends, and its header from its first line and its name."""
    raw = _bytes(path).replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip()
    line = raw[: raw.find(b"\n") if b"\n" in raw else None].decode("latin-1")
    tokens = line.split()
    ceop = bool(tokens) and _DATE.match(tokens[0]) is not None
    start = 4 if ceop else 0
    try:
        network, station = tokens[start + 1 : start + 3]
        lat, lon, _, top, bottom = (float(t) for t in tokens[start + 3 : start + 8])
    except ValueError:
        raise DataError(
            f"'{path}' starts with '{line[:60]}', expected an ISMN header (network, station, lat, lon, elevation, "
            "depths) or CEOP rows.",
            hint="Download the file again or check that it is an ISMN .stm file.",
        ) from None
    name = _NAME.search(path.name)
    sensors.check_place(path, lon, lat)
    if name is not None and not path.name.startswith(f"{tokens[start]}_{network}_"):
        tell(f"'{path}' is of the network '{network}' according to its header, but not to its name.")
    if name is not None:  # the header rounds the depths
        if max(abs(top - float(name["top"])), abs(bottom - float(name["bottom"]))) > 0.01:
            raise DataError(
                f"'{path}' says {top:g} to {bottom:g} m in its header and other depths in its name.",
                hint="Download the file again.",
            )
        top, bottom = float(name["top"]), float(name["bottom"])
    sensor = (name["sensor"] if name else "") if ceop else " ".join(tokens[8:])
    header = Header(
        network,
        station,
        lat,
        lon,
        depth=round((top + bottom) * 50, 4),
        sensor=sensor,
        variable=name["variable"] if name else "sm",
        first=12 if ceop else 2,
        skip=0 if ceop else 1,
    )
    return header, raw


def _series(path: Item, header: Header, raw: bytes, keep: Sequence[str]) -> Series:
    value, flag = header.first, header.first + 1
    types: dict[Any, Any] = {0: "category", 1: "category", value: "f8", flag: "category"}
    places = range(4, value) if not header.skip else ()  # CEOP says in each row where it is
    types |= dict.fromkeys(places, "category")
    try:
        table = pd.read_csv(
            io.BytesIO(raw),
            sep=r"\s+",
            header=None,
            names=range(header.first + 3),
            index_col=False,
            skiprows=header.skip,
            usecols=list(types),
            dtype=types,
            quoting=3,
            encoding="latin-1",
        )
        days = pd.to_datetime(table[0].cat.categories, format="%Y/%m/%d").to_numpy("M8[ns]")
        clocks = pd.to_timedelta(table[1].cat.categories + ":00").to_numpy("m8[ns]")
    except (ValueError, AttributeError, LookupError, OverflowError, pd.errors.ParserError) as error:
        raise DataError(f"'{path}' cannot be read as an ISMN file: {sensors.reason(error)}.") from None
    if any(len(table[i].cat.categories) != 1 or table[i].isna().any() for i in places):
        raise DataError(f"'{path}' has rows of other stations or places.", hint="Download the file again.")
    if not len(table) or table[[0, 1, flag]].isna().to_numpy().any():
        raise DataError(
            f"'{path}' has {'an incomplete row' if len(table) else 'no rows'}, expected date, time, value and flag "
            "in each row.",
            hint="Download the file again.",
        )
    when = days[table[0].cat.codes] + clocks[table[1].cat.codes]
    sensors.check_times(path, when)
    name = _NAME.search(path.name)
    if name is not None:
        first, last = (np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}", "D") for d in (name["first"], name["last"]))
        if not first <= when[0] <= when[-1] <= last + 1:
            raise DataError(
                f"'{path}' contains {when[0]} to {when[-1]}, not the period in its name.", hint="Download it again."
            )
    codes = np.array([_code(text) for text in table[flag].cat.categories], np.uint8)[table[flag].cat.codes]
    kept = np.isin(codes, [_LETTERS[letter] for letter in keep])
    values = table[value].to_numpy()
    temperature = None
    if header.variable == "sm":
        values, codes = sensors.mask(values, codes)
        values = np.where(kept, values, np.float32(np.nan))
    else:
        temperature = sensors.celsius_to_kelvin(np.where(kept, values, np.nan), path.name)
        values, codes = np.full(len(values), np.nan, "f4"), np.zeros(len(values), np.uint8)
    return Series(
        station=header.station,
        network=header.network,
        lat=header.lat,
        lon=header.lon,
        depth=header.depth,
        id=header.sensor,
        time=when,
        soil_moisture=values,
        flag=codes,
        soil_temperature=temperature,
    )


def _code(flags: str) -> int:
    """The worst of a list such as ``C03,D02``; an unknown letter counts as dubious."""
    letters = {part[:1] for part in flags.split(",")}
    if not letters <= set(_LETTERS):
        return sensors.DUBIOUS
    return _LETTERS[next(letter for letter in "DCMUG" if letter in letters)]


def _with_temperature(series: Sequence[Series]) -> list[Series]:
    """Give each soil moisture sensor the temperature of the same station and depth."""
    warmth: dict[tuple[str, str, float], list[Series]] = {}
    for one in series:
        if one.soil_temperature is not None:
            warmth.setdefault((one.network, one.station, one.depth), []).append(one)
    joined = []
    for one in series:
        if one.soil_temperature is not None:
            continue
        temperature = None
        for other in warmth.get((one.network, one.station, one.depth), ()):
            if temperature is None:
                temperature = np.full(len(one.time), np.nan, "f4")
            _, mine, theirs = np.intersect1d(one.time, other.time, return_indices=True)
            gap = np.isnan(temperature[mine])
            temperature[mine[gap]] = other.soil_temperature[theirs[gap]]  # type: ignore[index]
        joined.append(replace(one, soil_temperature=temperature))
    return joined
