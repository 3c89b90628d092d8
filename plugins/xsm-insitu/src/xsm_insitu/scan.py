"""The Soil Climate Analysis Network: JSON of the AWDB service, CSV of the Report Generator.

Documentation: Formats, Stations, SCAN.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import DataError, UsageError
from xsm.plugin_api import Area, Request, tell

from xsm_insitu import SCAN
from xsm_insitu import series as sensors
from xsm_insitu.layout import STATIONS, SYNTHETIC_STATE
from xsm_insitu.rows import EmptyFile, check_fractions, check_percent, in_unit, leave_out, settle
from xsm_insitu.scan_csv import is_report, read_csv
from xsm_insitu.scan_files import DAMAGE, Column, is_table, known, read_json
from xsm_insitu.series import Series

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest
    from xsm.twin import World

INCH = 2.54
QUALITY = {"V": sensors.GOOD, "E": sensors.GOOD, "N": sensors.UNKNOWN, "": sensors.UNKNOWN, "S": sensors.DUBIOUS,
           "B": sensors.DUBIOUS, "K": sensors.DUBIOUS, "X": sensors.DUBIOUS}  # fmt: skip
"""Flag of xsm by quality code: valid, edited, no profile, none, suspect, and three kinds of estimates."""


class ScanSource:
    """Reads SCAN (and SNOTEL) stations; ``stations.json`` beside the files says where they are."""

    info = SCAN

    def identify(self, path: Path) -> bool:
        """Tell by the first kilobytes: station triplets in JSON, or the comments of a report, or an old header."""
        if path.suffix not in (".json", ".csv"):
            return False
        try:
            with path.open("rb") as file:
                head = file.read(16384)
        except OSError:
            return False
        return b'"stationTriplet"' in head if path.suffix == ".json" else is_report(head)

    def fetch(self, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool) -> Manifest:
        """Fetch stations as answers of the AWDB service; see `xsm_insitu.fetch.scan_files`."""
        from xsm_insitu.fetch import fetch_scan

        return fetch_scan(dest, region=region, time=time, dry_run=dry_run)

    def open(self, request: Request) -> xr.Dataset:
        """Open station files, hourly or daily.

        Parameters
        ----------
        request : Request
            Answers of the AWDB service (``data``), CSV of the Report Generator, or older CSV. Coordinates and clocks
            come from a table of stations (the service's ``stations``), among the files or beside them as
            ``stations.json``. Days are UTC days, those of daily files local standard days. Variables:
            ``soil_moisture``, ``soil_temperature``; ``flag`` is always there. Options:

            keep : sequence of str
                Quality codes that are kept beside values without one; others become NaN, the reason stays in ``flag``.

        Returns
        -------
        xarray.Dataset
            ``soil_moisture`` (m3 m-3), ``flag`` and ``soil_temperature`` (K), dims ``(sensor, time)``, hours in UTC. A
            station whose offset is not known stays on its own clock, with a warning.

        Raises
        ------
        DataError
            For files that cannot be read, hourly and daily files together, or nothing in region and period.
        """
        warm, keep = sensors.expected(request.variables), request.options["keep"]
        for code in keep:
            if code not in QUALITY:
                raise UsageError(f"The code to keep is '{code}', expected one of {', '.join(filter(None, QUALITY))}.")
        files = [Path(p) for p in request.paths]
        tables = {p for p in files if p.suffix == ".json" and is_table(p)}
        beside = {p.parent / STATIONS for p in files if (p.parent / STATIONS).is_file()}
        if files and tables.issuperset(files):
            raise DataError(
                f"The {len(files)} files are tables of stations ({files[0].name}), expected values of sensors too.",
                hint="Fetch them, or give the folder where they lie.",
            )
        places, lost = _tables(sorted(tables | beside), request.on_error)

        def read(path: Path) -> Iterator[Series]:
            others: set[str] = set()
            columns = read_json(path, others) if path.suffix == ".json" else read_csv(path, others)
            for name in others:
                unread.setdefault(name, []).append(path)
            if not any(len(c.time) for c in columns):
                raise EmptyFile(f"'{path}' has no values of soil moisture or soil temperature.")
            daily.update(c.daily for c in columns if len(c.time) and (c.element == "SMS" or warm))
            yield from _series(path, columns, places, request, warm, keep, tables | beside)

        daily: set[bool] = set()
        unread: dict[str, list[Path]] = {}
        results, skipped = sensors.read_all([p for p in files if p not in tables], read, request.on_error, lost)
        if unread:
            names = ", ".join(f"'{n}'" for n in sorted(unread)[:5]) + (", ..." if len(unread) > 5 else "")
            first = next(iter(unread.values()))[0]
            tell(f"Left out, because they are not soil moisture or temperature: {names} ('{first.name}').")
        if len(daily) > 1:
            raise DataError("The SCAN files are hourly and daily.", hint="Open one kind at a time.")
        by_day = daily == {True}
        if by_day:
            tell(
                "SCAN daily values are of local standard days, by default their first hour; hourly files match the "
                "maps better."
            )
        ds = sensors.assemble(
            results,
            step=sensors.DAY if by_day else sensors.HOUR,
            request=request,
            id_name="instrument",
            stamps="local day" if by_day else "instant",
            skipped=skipped,
        )
        ds.attrs |= {"title": "SCAN soil moisture", "source": "SCAN", "flags_kept": ", ".join(keep)}
        if any(c.endswith(f":{SYNTHETIC_STATE}:SCAN") for c in places):
            ds.attrs["synthetic"] = "Stations of the synthetic world of xsm; no measurements."
        return ds

    def write(self, world: World, dest: Path) -> list[Path]:
        """Write the world's stations as answers of the AWDB service; see `xsm_insitu.write_scan.write_awdb`."""
        from xsm_insitu.write_scan import write_awdb

        return write_awdb(world.stations, Path(dest))


def _tables(paths: Sequence[Path], on_error: str) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Stations by triplet, from lists or mappings of them."""
    results: dict[str, Mapping[str, Any]] = {}
    lost: list[str] = []
    for path in paths:
        try:
            table = json.loads(path.read_bytes())
            rows = list(table.values()) if isinstance(table, dict) else table
            bad, why = [], ""
            for number, row in enumerate(rows, 1):
                try:
                    results |= _station(path, row)
                except DAMAGE as error:
                    bad.append(number)
                    why = why or sensors.reason(error)
            if bad and len(bad) == len(rows):
                raise ValueError(why)
            leave_out(path, bad, len(rows), "station")
        except (OSError, *DAMAGE) as error:
            message = f"'{path}' is no table of stations ({type(error).__name__}: {sensors.reason(error)})."
            if on_error == "raise":
                raise DataError(message, hint="Fetch it again.") from None
            lost.append(message)
    return results, lost


def _station(path: Path, row: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    place = dict(row, latitude=float(row["latitude"]), longitude=float(row["longitude"]))
    sensors.check_place(path, place["longitude"], place["latitude"])
    clock = row.get("dataTimeZone")
    if clock is not None and (clock * 2 % 1 or sensors.astray(clock, place["longitude"])):
        raise ValueError(f"{row['stationTriplet']} has the clock {clock} h and lies at {place['longitude']}")
    return {known(row["stationTriplet"]): place}


def _place(triplet: str, places: Mapping[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    """The station's row in the tables; older files name no state, so that number and network must do."""
    number, state, network = triplet.split(":")
    if state == "-":
        same = [t for t in places if t.startswith(f"{number}:") and t.endswith(f":{network}")]
        triplet = same[0] if len(same) == 1 else triplet
    return triplet, places.get(triplet, {})


def _series(
    path: Path,
    columns: Sequence[Column],
    places: Mapping[str, Mapping[str, Any]],
    request: Request,
    warm: bool,
    keep: Sequence[str],
    tables: Iterable[Path],
) -> Iterator[Series]:
    heat = {(c.triplet, c.inches, c.id): c for c in columns if c.element == "STO"} if warm else {}
    for column in columns:
        if column.element != "SMS":
            continue
        triplet, place = _place(column.triplet, places)
        if not place:
            tell(f"'{path}': the place of {triplet} is not known ({_listed(tables)}).")
        lon, lat = (float(place.get(n, math.nan)) for n in ("longitude", "latitude"))
        if not sensors.inside(request.region, lon, lat):
            continue
        shift = _offset(path, column, place, tables)
        fraction = in_unit(path, column.value, "soil_moisture", request.units, column.unit)
        if fraction is column.value:
            check_fractions(path, fraction, "If they are percent, correct the unit in the file; else leave it out.")
        else:
            check_percent(path, column.value)
        flag = np.array([QUALITY.get(f, sensors.DUBIOUS) for f in column.flag.tolist()], np.uint8)
        moisture, flag = sensors.mask(np.where(column.value <= -99, -99, fraction), flag)
        moisture[~np.isin(column.flag, ["", *keep])] = np.nan
        rows = settle(path, column.time, {column.heading: column.value, "quality code": column.flag}, column.headers)
        warmth = _warmth(path, column, heat.get((column.triplet, column.inches, column.id)), warm, request)
        yield Series(
            station=str(place.get("name") or column.name or triplet),
            network=triplet.rpartition(":")[2],
            lat=lat,
            lon=lon,
            depth=round(-column.inches * INCH, 2),
            id=f"{triplet} {column.id}",
            time=(column.time - shift)[rows],
            soil_moisture=moisture[rows],
            flag=flag[rows],
            soil_temperature=None if warmth is None else warmth[rows],
        )


def _listed(tables: Iterable[Path]) -> str:
    return ", ".join(sorted(map(str, tables))) or "there is no table of stations, stations.json, beside the file"


def _offset(path: Path, column: Column, place: Mapping[str, Any], tables: Iterable[Path]) -> np.timedelta64:
    """What is taken off local standard time; nothing for days, which are the station's own."""
    hours = place.get("dataTimeZone")
    if column.daily or column.utc:
        return np.timedelta64(0, "m")
    if not isinstance(hours, int | float) or not -14 <= hours <= 14:
        tell(
            f"'{path}': the clock of {column.triplet} is not known ({_listed(tables)}); its times stay local standard "
            "time."
        )
        return np.timedelta64(0, "m")
    return np.timedelta64(round(hours * 60), "m")


def _warmth(path: Path, column: Column, heat: Column | None, warm: bool, request: Request) -> np.ndarray | None:
    if heat is None:
        return np.full(len(column.time), np.nan, "f4") if warm else None
    kelvin = in_unit(
        path, np.where(heat.value <= -99, np.nan, heat.value), "soil_temperature", request.units, heat.unit
    )
    rows = settle(path, heat.time, {heat.heading: heat.value}, heat.headers)
    out = np.full(len(column.time), np.nan)
    at = np.searchsorted(heat.time[rows], column.time)
    there = at < len(rows)
    there[there] = heat.time[rows][at[there]] == column.time[there]
    out[there] = kelvin[rows][at[there]]
    return sensors.warmth(out, path.name)
