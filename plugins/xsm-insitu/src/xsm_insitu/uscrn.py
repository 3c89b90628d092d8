"""The U.S. Climate Reference Network: NCEI text files and the daily CSV (documentation: Formats, Stations, USCRN)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from xsm import DataError
from xsm.plugin_api import Area, Request, tell

from xsm_insitu import USCRN
from xsm_insitu import series as sensors
from xsm_insitu.layout import DEPTHS, SYNTHETIC_STATE
from xsm_insitu.rows import check_fractions, in_unit, settle
from xsm_insitu.series import Series
from xsm_insitu.uscrn_files import LAYOUTS, NAME, Layout, layout_of, read_table, read_times

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest
    from xsm.twin import World


class UscrnSource:
    """Reads and writes USCRN files."""

    info = USCRN

    def identify(self, path: Path) -> bool:
        """Tell by the name: ``CRNH0203-...txt`` and its like, or a ``crn*.csv``."""
        return re.match(r"(?i)^crn.*\.(txt|csv|csv\.gz)$", path.name) is not None

    def open(self, request: Request) -> xr.Dataset:
        """Open station files of one product.

        Parameters
        ----------
        request : Request
            Files of hourly02, daily01 or subhourly01, or the daily table as CSV. Days are UTC days, those of daily
            files local standard days. Variables: ``soil_moisture``, ``soil_temperature``; ``flag`` is always there.

        Returns
        -------
        xarray.Dataset
            ``soil_moisture`` (m3 m-3), ``flag`` and ``soil_temperature`` (K), dims ``(sensor, time)``. Hourly stamps
            are the end of the hour in UTC, as in the files.

        Raises
        ------
        DataError
            For files that cannot be read, products that are mixed, or nothing in region and period.
        """
        warm = sensors.expected(request.variables)
        layouts: dict[Layout, Path] = {}

        def read(path: Path) -> Iterator[Series]:
            if _elsewhen(path, request.time):
                return
            layout = layout_of(path)
            layouts.setdefault(layout, path)
            yield from _read(path, layout, request.region, warm, request.units)

        results, skipped = sensors.read_all(request.paths, read, request.on_error)
        if len({layout.name for layout in layouts}) > 1:
            message = " and ".join(f"{layout.name} ({path.name})" for layout, path in layouts.items())
            raise DataError(f"The files are of several USCRN products: {message}.", hint="Open one product at a time.")
        layout = next(iter(layouts), LAYOUTS[38])
        daily = layout.clock is None
        if daily:
            tell("USCRN daily files contain local standard days, not UTC days; hourly02 files match the maps better.")
        ds = sensors.assemble(
            results,
            step=layout.step,
            request=request,
            id_name="wban",
            stamps="local day" if daily else "end of hour",
            skipped=skipped,
        )
        ds.attrs |= {"title": "USCRN soil moisture", "source": f"USCRN {layout.name}"}
        if any((m := NAME.match(p.name)) and m["state"] == SYNTHETIC_STATE for p in request.paths):
            ds.attrs["synthetic"] = "Stations of the synthetic world of xsm; no measurements."
        return ds

    def fetch(
        self, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool, product: str = "hourly02"
    ) -> Manifest:
        """Fetch the yearly files of stations; see `xsm_insitu.fetch.uscrn_files`."""
        from xsm.plugin_api import download

        from xsm_insitu.fetch import uscrn_files

        return download(uscrn_files(time, region, product), dest, dry_run=dry_run)

    def write(self, world: World, dest: Path) -> list[Path]:
        """Write the world's stations as hourly02 files, one per station and year."""
        from xsm_insitu.write_uscrn import write_hourly

        return write_hourly(world.stations, Path(dest))


def _elsewhen(path: Path, time: slice | None) -> bool:
    """Whether the year in the name lies outside the period; the last stamp of a year belongs to the next file."""
    name = NAME.match(path.name)
    if name is None or time is None:
        return False
    year = int(name["year"])
    first = None if time.start is None else np.datetime64(time.start, "Y").astype(int) + 1970
    last = None if time.stop is None else np.datetime64(time.stop, "Y").astype(int) + 1970
    return (first is not None and year < first - 1) or (last is not None and year > last + 1)


def _read(path: Path, layout: Layout, region: Area | None, warm: bool, stated: Mapping[str, str]) -> Iterator[Series]:
    try:
        table, headers = read_table(path, layout, warm)
        name = NAME.match(path.name)
        table, when = read_times(path, table, layout, name)
    except (ValueError, LookupError, OSError, EOFError, OverflowError, zlib.error) as error:
        hint = error.hint if isinstance(error, DataError) else "Download the file again."
        why = sensors.reason(error) if not isinstance(error, DataError) else error.message.rstrip(".")
        raise DataError(f"'{path}' cannot be read as USCRN {layout.name}: {why}.", hint=hint) from None
    if name is not None and len(set(table[layout.wban])) > 1:
        raise DataError(
            f"'{path}' contains several stations, expected one.", hint="Split it by station, or download it again."
        )
    wet = in_unit(path, table[list(layout.moisture)].to_numpy("f8"), "soil_moisture", stated, usual="m3 m-3")
    check_fractions(path, wet)
    columns = (*layout.moisture, *(layout.temperature if warm else ()))
    for wban, rows in table.groupby(layout.wban, sort=False).indices.items():
        lon, lat = (_place(path, table[c].to_numpy()[rows]) for c in (layout.lon, layout.lat))
        sensors.check_place(path, lon, lat)
        rows = np.asarray(rows)[
            settle(path, when[rows], {f"column {c}": table[c].to_numpy("f8")[rows] for c in columns}, headers)
        ]
        if layout.step == sensors.HOUR:
            sensors.check_hours(path, when[rows])
        if not sensors.inside(region, lon, lat):
            continue
        for depth, m, t in zip(DEPTHS, layout.moisture, layout.temperature, strict=False):
            moisture, flag = sensors.mask(wet[rows, layout.moisture.index(m)], np.full(len(rows), sensors.GOOD))
            kelvin = None
            if warm:
                heat = in_unit(path, table[t].to_numpy("f8")[rows], "soil_temperature", stated, usual="degC")
                kelvin = sensors.warmth(heat, path.name)
            yield Series(
                station=name["name"].replace("_", " ") if name else str(wban),
                network="USCRN",
                lat=lat,
                lon=lon,
                depth=depth,
                id=str(wban),
                time=when[rows],
                soil_moisture=moisture,
                flag=flag,
                soil_temperature=kelvin,
            )


def _place(path: Path, values: np.ndarray) -> float:
    """The station's coordinate; rows that say another one warn."""
    known, count = np.unique(values[~np.isnan(values)], return_counts=True)
    if not len(known):
        raise DataError(f"'{path}' has no coordinates.", hint="Download the file again.")
    usual = float(known[count.argmax()])
    if np.abs(known - usual).max() > 0.02:
        tell(f"'{path}' has coordinates that change; {usual} is used.")
    return usual
