"""The U.S. Climate Reference Network: NCEI text files and the daily CSV (docs/design/formats/stations.md, USCRN)."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from xsm import DataError
from xsm.plugin_api import Area, Request, tell

from xsm_insitu import USCRN
from xsm_insitu import series as sensors
from xsm_insitu.layout import DEPTHS, SYNTHETIC_STATE
from xsm_insitu.series import Series

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest
    from xsm.twin import World

LOCAL = (3, 4)
"""Columns of the local standard day and time in files that have both clocks."""

_NAME = re.compile(r"^CRN[HDS]\d{4}(?:-05)?-(?P<year>\d{4})-(?P<state>[A-Z]{2})_(?P<name>.+)\.txt$")


@dataclass(frozen=True)
class Layout:
    """The columns of a product; the soil columns follow each other, one per depth."""

    name: str
    step: np.timedelta64
    wban: int | str
    day: int | str
    clock: int | None
    lon: int | str
    lat: int | str
    moisture: tuple[int | str, ...]
    temperature: tuple[int | str, ...]


def _columns(first: int, count: int = 5) -> tuple[int, ...]:
    return tuple(range(first, first + count))


LAYOUTS = {
    38: Layout("hourly02", sensors.HOUR, 0, 1, 2, 6, 7, _columns(28), _columns(33)),
    28: Layout("daily01", np.timedelta64(1, "D"), 0, 1, None, 3, 4, _columns(18), _columns(23)),
    23: Layout("subhourly01", np.timedelta64(5, "m"), 0, 1, 2, 6, 7, _columns(17, 1), _columns(18, 1)),
}
CSV = Layout(
    "daily01", np.timedelta64(1, "D"), "wban", "lst_date", None, "longitude", "latitude",
    tuple(f"soil_moisture_{d:.0f}_daily" for d in DEPTHS), tuple(f"soil_temp_{d:.0f}_daily" for d in DEPTHS),
)  # fmt: skip


class UscrnSource:
    """Reads and writes USCRN files."""

    info = USCRN

    def identify(self, path: Path) -> bool:
        """By the name: ``CRNH0203-...txt`` and its like, or a ``crn*.csv``."""
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
        warm = sensors.wanted(request.variables)
        layouts: dict[Layout, Path] = {}

        def read(path: Path) -> Iterator[Series]:
            if _elsewhen(path, request.time):
                return
            layout = _layout(path)
            layouts.setdefault(layout, path)
            yield from _read(path, layout, request.region, warm)

        series, skipped = sensors.read_all(request.paths, read, request.on_error)
        if len({layout.name for layout in layouts}) > 1:
            listing = " and ".join(f"{layout.name} ({path.name})" for layout, path in layouts.items())
            raise DataError(f"The files are of several USCRN products: {listing}.", hint="Open one product at a time.")
        layout = next(iter(layouts), LAYOUTS[38])
        daily = layout.clock is None
        if daily:
            tell("USCRN daily files contain local standard days, not UTC days; hourly02 files match the maps better.")
        ds = sensors.assemble(
            series,
            step=layout.step,
            request=request,
            id_name="wban",
            stamps="local day" if daily else "end of hour",
            skipped=skipped,
        )
        ds.attrs |= {"title": "USCRN soil moisture", "source": f"USCRN {layout.name}"}
        if any((m := _NAME.match(p.name)) and m["state"] == SYNTHETIC_STATE for p in request.paths):
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
    name = _NAME.match(path.name)
    if name is None or time is None:
        return False
    year = int(name["year"])
    first = None if time.start is None else np.datetime64(time.start, "Y").astype(int) + 1970
    last = None if time.stop is None else np.datetime64(time.stop, "Y").astype(int) + 1970
    return (first is not None and year < first - 1) or (last is not None and year > last + 1)


def _layout(path: Path) -> Layout:
    if ".csv" in path.suffixes:
        return CSV
    try:
        with path.open("rb") as file:
            count = len(next((line for line in file if line.strip()), b"").split())
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    if count not in LAYOUTS:
        raise DataError(
            f"'{path}' has {count} columns, expected 38 (hourly02), 28 (daily01) or 23 (subhourly01).",
            hint="Download the file again; a web page may have been saved instead.",
        )
    return LAYOUTS[count]


def _read(path: Path, layout: Layout, region: Area | None, warm: bool) -> Iterator[Series]:
    try:
        table = _table(path, layout, warm)
        name = _NAME.match(path.name)
        when = _times(table, layout, name)
    except (ValueError, LookupError, OSError, EOFError, OverflowError, zlib.error) as error:
        raise DataError(f"'{path}' cannot be read as USCRN {layout.name}: {sensors.reason(error)}.") from None
    if name is not None and len(set(table[layout.wban])) > 1:
        raise DataError(f"'{path}' contains several stations, expected one.", hint="Download the file again.")
    for wban, rows in table.groupby(layout.wban, sort=False).indices.items():
        lon, lat = (_place(path, table[c].to_numpy()[rows]) for c in (layout.lon, layout.lat))
        sensors.check_place(path, lon, lat)
        sensors.check_times(path, when[rows])
        if not sensors.inside(region, lon, lat):
            continue
        for depth, m, t in zip(DEPTHS, layout.moisture, layout.temperature, strict=False):
            values = table[m].to_numpy("f8")[rows]
            moisture, flag = sensors.mask(values, np.full(len(rows), sensors.GOOD))
            kelvin = None
            if warm:
                kelvin = sensors.celsius_to_kelvin(table[t].to_numpy("f8")[rows], path.name)
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


def _table(path: Path, layout: Layout, warm: bool) -> pd.DataFrame:
    places = (layout.lon, layout.lat, *layout.moisture, *(layout.temperature if warm else ()))
    texts = (layout.wban, layout.day, *(() if layout.clock is None else (layout.clock, *LOCAL)))
    types: dict[Any, Any] = dict.fromkeys(texts, str) | dict.fromkeys(places, "f8")
    if layout is CSV:
        return pd.read_csv(path, usecols=list(types), dtype=types)
    width = next(n for n, known in LAYOUTS.items() if known is layout)
    types[width - 1] = str
    raw = path.read_bytes()
    table = pd.read_csv(
        io.BytesIO(raw), sep=r"\s+", header=None, names=range(width), index_col=False, usecols=list(types), dtype=types
    )
    short = table[width - 1].isna().to_numpy()
    if short.any() or len(raw.split()) != width * len(table):
        where = f"row {int(short.argmax()) + 1}" if short.any() else "a row"
        raise ValueError(f"{where} does not have {width} columns; the file may be cut short or damaged")
    return table.astype({width - 1: "f8"})


def _place(path: Path, values: np.ndarray) -> float:
    """The station's coordinate; other coordinates in some rows warn."""
    known, count = np.unique(values[~np.isnan(values)], return_counts=True)
    if not len(known):
        raise DataError(f"'{path}' has no coordinates.", hint="Download the file again.")
    usual = float(known[count.argmax()])
    if np.abs(known - usual).max() > 0.02:
        tell(f"'{path}' has coordinates that change; {usual} is used.")
    return usual


def _times(table: pd.DataFrame, layout: Layout, name: re.Match[str] | None) -> np.ndarray:
    """Stamps of the rows; UTC and local time must keep the distance that most rows have, and the year be the name's."""
    when = _clock(table, layout.day, layout.clock, layout)
    if layout.clock is not None:
        apart = when - _clock(table, *LOCAL, layout)
        known, count = np.unique(apart, return_counts=True)
        if len(known) > 1 or abs(known[0]) > np.timedelta64(14, "h"):
            row = int((apart != known[count.argmax()]).argmax()) + 1
            raise ValueError(f"the UTC and local times of row {row} do not agree; the file may be damaged")
    if name is not None and len(when):
        inner = when[:-1] if len(when) > 1 else when - np.timedelta64(1, "m")
        years = np.unique(inner.astype("M8[Y]").astype(int) + 1970)
        if abs(years - int(name["year"])).max() > (layout.clock is not None):
            raise ValueError(f"it contains times of {years.min()} to {years.max()}, its name says {name['year']}")
    return when


def _clock(table: pd.DataFrame, day: int | str, clock: int | None, layout: Layout) -> np.ndarray:
    days = table[day].astype("category")
    first = pd.to_datetime(days.cat.categories, format="%Y-%m-%d" if layout is CSV else "%Y%m%d").to_numpy("M8[ns]")
    when = first[days.cat.codes.to_numpy()]
    if clock is None:
        return when
    clocks = table[clock].astype("category")
    if wrong := [c for c in clocks.cat.categories if not re.fullmatch(r"([01]\d|2[0-4])[0-5]\d", c)]:
        raise ValueError(f"'{wrong[0]}' is not a time")
    minutes = np.array([int(c[:2]) * 60 + int(c[2:]) for c in clocks.cat.categories], "m8[m]")
    return when + minutes[clocks.cat.codes.to_numpy()]
