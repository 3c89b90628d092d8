"""The International Soil Moisture Network: ``.stm`` files, header+values and CEOP.

Documentation: Formats, Stations, ISMN.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import DataError, UsageError
from xsm.plugin_api import Request, tell

from xsm_insitu import ISMN
from xsm_insitu import series as sensors
from xsm_insitu.ismn_files import DAMAGE, NAME, Header, Item, read_header, read_rows
from xsm_insitu.layout import SYNTHETIC_NETWORK
from xsm_insitu.rows import check_fractions, in_unit, settle
from xsm_insitu.series import Series

if TYPE_CHECKING:
    from xsm.twin import World

_LETTERS = {"M": sensors.MISSING, "G": sensors.GOOD, "U": sensors.UNKNOWN, "C": sensors.OUT_OF_RANGE,
            "D": sensors.DUBIOUS}  # fmt: skip


class IsmnSource:
    """Reads ISMN files, in folders or in the archives that ISMN gives."""

    info = ISMN

    def identify(self, path: Path) -> bool:
        """Whether a file is an ``.stm`` of soil moisture or temperature, or an archive of such files."""
        if path.suffix == ".zip":
            try:
                with zipfile.ZipFile(path) as archive:
                    return any(n.endswith(".stm") for n in archive.namelist())
            except (OSError, zipfile.BadZipFile):
                return path.name.startswith(("Data_separate_files", "Data_seperate_files"))
        name = NAME.search(path.name)
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
        warm, keep = sensors.expected(request.variables), request.options["keep"]
        for letter in keep:
            if letter not in _LETTERS:
                raise UsageError(f"The flag to keep is '{letter}', expected one of {', '.join(_LETTERS)}.")

        def read(path: Item) -> Iterator[Series]:
            header, raw = read_header(path)
            if not sensors.inside(request.region, header.lon, header.lat):
                return
            if header.variable == "sm" or (header.variable == "ts" and warm):
                yield _series(path, header, raw, keep, request.units)

        items, lost = _unpacked([Path(p) for p in request.paths], request.on_error)
        results, skipped = sensors.read_all(items, read, request.on_error, lost)
        ds = sensors.assemble(
            _with_temperature(_with_names(results)),
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
            inside = [n for n in archive.namelist() if (m := NAME.search(n)) and m["variable"] in ("sm", "ts")]
            if not inside:
                raise DataError(
                    f"'{path}' contains no .stm file of soil moisture.", hint="Expected an archive of ISMN."
                )
            items += [zipfile.Path(archive, name) for name in inside]
        except (*DAMAGE, DataError) as error:
            message = (
                error
                if isinstance(error, DataError)
                else DataError(
                    f"'{path}' is not a complete archive ({sensors.reason(error)}).", hint="Download it again."
                )
            )
            if on_error == "raise":
                raise message from None
            lost.append(str(message))
    return items, lost


def _series(path: Item, header: Header, raw: bytes, keep: Sequence[str], stated: Mapping[str, str]) -> Series:
    rows, headers = read_rows(path, header, raw)
    order = settle(path, rows.time, {"value": rows.value, "flag": rows.flag}, headers)
    when, values = rows.time[order], rows.value[order]
    sensors.check_hours(path, when)
    name = NAME.search(path.name)
    if name is not None:
        first, last = (np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}", "D") for d in (name["first"], name["last"]))
        if not first <= when[0] <= when[-1] <= last + 1:
            raise DataError(
                f"'{path}' contains {when[0]} to {when[-1]}, not the period of its name.",
                hint="Give it its own name back, or download it again.",
            )
    flags, back = np.unique(rows.flag[order].astype(str), return_inverse=True)
    codes = np.array([_code(text) for text in flags.tolist()], np.uint8)[back]
    kept = np.isin(codes, [_LETTERS[letter] for letter in keep])
    temperature = None
    if header.variable == "sm":
        values = in_unit(path, values, "soil_moisture", stated, usual="m3 m-3")
        check_fractions(path, values[kept])
        values, codes = sensors.mask(values, codes)
        values = np.where(kept, values, np.float32(np.nan))
    else:
        values = in_unit(path, values, "soil_temperature", stated, usual="degC")
        temperature = sensors.warmth(np.where(kept, values, np.nan), path.name)
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
        file=name["sensor"] if name else path.name,
    )


def _with_names(series: Sequence[Series]) -> list[Series]:
    """Give probes whose headers are equal the names that their files say."""
    files: dict[Any, set[str]] = {}
    for one in series:
        if one.soil_temperature is None:
            files.setdefault(one.key, set()).add(one.file)
    several = {key for key, names in files.items() if len(names) > 1}
    if several:
        network, station, depth, sensor = min(several)
        tell(
            f"{len(several)} sensors have equal headers in several files, such as {network} {station} at {depth:g} cm, "
            f"{sensor}: they are told apart by the names of the files, {', '.join(sorted(files[min(several)]))}."
        )
    return [replace(one, id=f"{one.id} ({one.file})") if one.key in several else one for one in series]


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
