"""The Soil Climate Analysis Network: JSON of the AWDB service, CSV of the Report Generator.

The formats: docs/design/formats/stations.md, SCAN.
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
from xsm_insitu.scan_files import DAMAGE, Column, is_table, known, read_csv, read_json
from xsm_insitu.series import Series

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest
    from xsm.twin import World

INCH = 2.54
ASTRAY = 2.5
"""Hours between the clock of a station and that of its longitude; Alaska comes to 2."""
QUALITY = {"V": sensors.GOOD, "E": sensors.GOOD, "N": sensors.UNKNOWN, "": sensors.UNKNOWN, "S": sensors.DUBIOUS,
           "B": sensors.DUBIOUS, "K": sensors.DUBIOUS, "X": sensors.DUBIOUS}  # fmt: skip
"""Flag of xsm by quality code: valid, edited, no profile, none, suspect, and three kinds of estimates."""


class ScanSource:
    """Reads SCAN (and SNOTEL) stations; their places are in ``stations.json`` beside the files."""

    info = SCAN

    def identify(self, path: Path) -> bool:
        """By the first kilobytes: station triplets in JSON, or the comments of the Report Generator."""
        if path.suffix not in (".json", ".csv"):
            return False
        try:
            with path.open("rb") as file:
                head = file.read(16384)
        except OSError:
            return False
        return b'"stationTriplet"' in head if path.suffix == ".json" else head[:1] == b"#" and b"Soil Moisture" in head

    def fetch(self, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool) -> Manifest:
        """Fetch stations as answers of the AWDB service; see `xsm_insitu.fetch.scan_files`."""
        from xsm_insitu.fetch import fetch_scan

        return fetch_scan(dest, region=region, time=time, dry_run=dry_run)

    def open(self, request: Request) -> xr.Dataset:
        """Open station files, hourly or daily.

        Parameters
        ----------
        request : Request
            Answers of the AWDB service (``data``), or CSV of the Report Generator. Coordinates and clocks come from a
            table of stations (the service's ``stations``), among the files or beside them as ``stations.json``. Days
            are UTC days, those of daily files local standard days. Variables: ``soil_moisture``,
            ``soil_temperature``; ``flag`` is always there. Options:

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
        warm, keep = sensors.wanted(request.variables), request.options["keep"]
        for code in keep:
            if code not in QUALITY:
                raise UsageError(f"The code to keep is '{code}', expected one of {', '.join(filter(None, QUALITY))}.")
        files = [Path(p) for p in request.paths]
        tables = {p for p in files if p.suffix == ".json" and is_table(p)}
        beside = {p.parent / STATIONS for p in files if (p.parent / STATIONS).is_file()}
        if files and tables.issuperset(files):
            raise DataError(
                f"The {len(files)} files are tables of stations ({files[0].name}), expected values of sensors too.",
                hint="Fetch them, or give the folder that contains them.",
            )
        places, lost = _tables(sorted(tables | beside), request.on_error)

        def read(path: Path) -> Iterator[Series]:
            columns = read_json(path) if path.suffix == ".json" else read_csv(path)
            daily.update(c.daily for c in columns)
            yield from _series(path, columns, places, request.region, warm, keep, tables | beside)

        daily: set[bool] = set()
        series, skipped = sensors.read_all([p for p in files if p not in tables], read, request.on_error, lost)
        if len(daily) > 1:
            raise DataError("The SCAN files are hourly and daily.", hint="Open one kind at a time.")
        by_day = daily == {True}
        if by_day:
            tell(
                "SCAN daily values are of local standard days, by default their first hour; hourly files match the "
                "maps better."
            )
        ds = sensors.assemble(
            series,
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
    stations: dict[str, Mapping[str, Any]] = {}
    lost: list[str] = []
    for path in paths:
        try:
            table = json.loads(path.read_bytes())
            rows = list(table.values()) if isinstance(table, dict) else table
            stations |= {
                known(r["stationTriplet"]): dict(r, latitude=float(r["latitude"]), longitude=float(r["longitude"]))
                for r in rows
            }
            for row in stations.values():
                sensors.check_place(path, row["longitude"], row["latitude"])
                clock = row.get("dataTimeZone")
                if clock is not None and (clock * 2 % 1 or abs(clock - row["longitude"] / 15) > ASTRAY):
                    raise ValueError(f"{row['stationTriplet']} has the clock {clock} h and lies at {row['longitude']}")
        except (OSError, *DAMAGE) as error:
            problem = f"'{path}' is not a table of stations ({type(error).__name__}: {sensors.reason(error)})."
            if on_error == "raise":
                raise DataError(problem, hint="Fetch it again.") from None
            lost.append(problem)
    return stations, lost


def _series(
    path: Path,
    columns: Sequence[Column],
    places: Mapping[str, Mapping[str, Any]],
    region: Area | None,
    warm: bool,
    keep: Sequence[str],
    tables: Iterable[Path],
) -> Iterator[Series]:
    heat = {(c.triplet, c.inches, c.id): c for c in columns if c.element == "STO"} if warm else {}
    for column in columns:
        if column.element != "SMS":
            continue
        if column.unit not in ("pct", "percent", "%"):
            raise DataError(f"'{path}' has soil moisture in '{column.unit}', expected percent.", hint="Fetch it again.")
        place = places.get(column.triplet, {})
        if not place:
            looked_in = ", ".join(sorted(str(p) for p in tables)) or "there is no table of stations"
            tell(f"The place of {column.triplet} is not known ({looked_in}).")
        lon, lat = (float(place.get(n, math.nan)) for n in ("longitude", "latitude"))
        if region is not None and not sensors.inside(region, lon, lat):
            continue
        shift = _offset(column, place, tables)
        flag = np.array([QUALITY.get(f, sensors.DUBIOUS) for f in column.flag.tolist()], np.uint8)
        moisture, flag = sensors.mask(column.value / 100, flag)
        moisture[~np.isin(column.flag, ["", *keep])] = np.nan
        when = column.time - shift
        sensors.check_times(path, when)
        yield Series(
            station=str(place.get("name") or column.name or column.triplet),
            network=column.triplet.rpartition(":")[2],
            lat=lat,
            lon=lon,
            depth=round(-column.inches * INCH, 2),
            id=f"{column.triplet} {column.id}",
            time=when,
            soil_moisture=moisture,
            flag=flag,
            soil_temperature=_warmth(path, column, heat.get((column.triplet, column.inches, column.id)), warm),
        )


def _offset(column: Column, place: Mapping[str, Any], tables: Iterable[Path]) -> np.timedelta64:
    """What is subtracted from local standard time to get UTC; nothing for days, which stay local."""
    hours = place.get("dataTimeZone")
    if column.daily:
        return np.timedelta64(0, "m")
    if not isinstance(hours, int | float) or not -14 <= hours <= 14:
        tell(
            f"The clock of {column.triplet} is not known ({', '.join(sorted(map(str, tables)))}); its times stay local "
            "standard time."
        )
        return np.timedelta64(0, "m")
    return np.timedelta64(round(hours * 60), "m")


def _warmth(path: Path, column: Column, heat: Column | None, warm: bool) -> np.ndarray | None:
    if heat is None:
        return np.full(len(column.time), np.nan, "f4") if warm else None
    if heat.unit not in ("degF", "degC"):
        raise DataError(
            f"'{path}' has soil temperature in '{heat.unit}', expected degF or degC.", hint="Fetch it again."
        )
    celsius = (heat.value - 32) / 1.8 if heat.unit == "degF" else heat.value
    out = np.full(len(column.time), np.nan)
    _, mine, theirs = np.intersect1d(column.time, heat.time, return_indices=True)
    out[mine] = celsius[theirs]
    return sensors.celsius_to_kelvin(out, path.name)
