"""Stations from a user's table: a CSV with one row for each value, as spreadsheets and QGIS write it."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xsm.data.cf import canonical_attrs, drop_impossible
from xsm.data.stamps import read_stamps
from xsm.data.units import convert
from xsm.errors import DataError, tell

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "station": ("station", "station_name", "name", "site", "id"),
    "time": ("time", "datetime", "date", "day"),
    "soil_moisture": ("soil_moisture", "sm", "value"),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "longitude", "x"),
    "depth": ("depth",),
    "network": ("network",),
    "unit": ("unit", "units"),
}
"""Names of the columns, upper or lower case; the first that a table has counts. The last three may be absent.

A unit may follow: ``sm_percent``, ``depth_m``, ``Soil moisture [%]``, ``time_utc``.
"""
OPTIONAL = ("depth", "network", "unit")
UNITS = {"soil_moisture": "m3 m-3", "depth": "cm"}
"""Units where a heading names none."""
SURFACE_CM = 5.0
MISSING = ("", "na", "n/a", "nan", "null", "none", "<na>")
"""Words for a missing number or time, upper or lower case; a station may have such a name."""
SHARE = 0.1
"""Share of rows that may contain something other than a number or time; a table with more is refused."""
APART = 0.02
"""Degrees that the coordinates of one station may differ."""
_HEADING = re.compile(r"(?P<name>[^\[(]+?)\s*[\[(](?P<unit>[^\])]*)[\])]")
_SUFFIX = re.compile(r"(?P<name>.+)_(?P<unit>percent|pct|%|m3m3|m3_m3|m3_m-3|cm|mm|m|in|inches|utc|local|deg|degrees)")
_SPELT = {"m3m3": "m3 m-3", "m3_m3": "m3 m-3", "m3_m-3": "m3 m-3"}


def read(path: str | Path) -> xr.Dataset:
    r"""Read a CSV of stations.

    Parameters
    ----------
    path : str or Path
        Columns of `COLUMNS`: ``station``, ``time`` (UTC; a date is a UTC day, an offset is taken off),
        ``soil_moisture`` (m3 m-3), ``lat`` and ``lon`` (degrees); ``depth`` in cm (5 where absent, with a warning) and
        ``network``. Units in the headings are converted; comments start with ``#``.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture(sensor, time)`` with the coordinates of stations (documentation: Decisions, "Stations").

    Raises
    ------
    DataError
        For missing columns, values that are not a number or a time in more than `SHARE` of the rows, soil moisture in
        percent under a heading that says otherwise, places outside the globe, or different values of one time.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "stations.csv"
    >>> _ = path.write_text("Station,Date,lat,lon,depth,sm\nA,2021-06-01,36,-98,5,0.21\nA,2021-06-02,36,-98,5,0.2\n")
    >>> dict(read(path).sizes)
    {'sensor': 1, 'time': 2}
    """
    return _stations(path, _frame(path, *_rows(Path(path))))


def of_frame(frame: pd.DataFrame) -> xr.Dataset:
    """Stations of a long table in memory, with the columns and checks of a CSV.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row for each value, see `read`; times may be its index.

    Returns
    -------
    xarray.Dataset

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.date_range("2021-06-01", periods=2)
    >>> table = pd.DataFrame({"station": "A", "time": days, "lat": 36, "lon": -98, "depth": 5, "sm": [0.21, 0.2]})
    >>> of_frame(table)["soil_moisture"].dims
    ('sensor', 'time')
    """
    if frame.index.name is not None:
        frame = frame.reset_index()
    columns = [frame[c].map(str).where(frame[c].notna(), "") for c in frame]
    rows = [list(row) for row in zip(*columns, strict=True)]
    header = [str(c) for c in frame]
    return _stations("stations", _frame("stations", header, list(range(len(rows))), rows))


def _stations(path: str | Path, frame: pd.DataFrame) -> xr.Dataset:
    """Rows as ``soil_moisture(sensor, time)``."""
    keys = ["network", "station", "depth"]
    frame = _once(path, frame, keys)
    places = frame.groupby(keys)[["lat", "lon"]]
    if ((spread := places.max() - places.min()) > APART).to_numpy().any():
        name = spread.index[(spread > APART).any(axis=1).to_numpy()][0][1]
        raise DataError(
            f"'{path}' has the station '{name}' at places that are more than {APART} degrees apart.",
            hint="Give each place its own name, or correct the coordinates.",
        )
    wide = frame.pivot(index=keys, columns="time", values="soil_moisture")
    first = places.first().loc[wide.index]
    named = wide.index.to_frame(index=False)
    return xr.Dataset(
        {"soil_moisture": (("sensor", "time"), wide.to_numpy("f4"), canonical_attrs("soil_moisture"))},
        {
            "time": wide.columns.to_numpy("M8[ns]"),
            "station": ("sensor", named["station"].to_numpy(str)),
            "network": ("sensor", named["network"].to_numpy(str)),
            "lat": ("sensor", first["lat"].to_numpy("f8"), {"units": "degrees_north"}),
            "lon": ("sensor", first["lon"].to_numpy("f8"), {"units": "degrees_east"}),
            "depth": ("sensor", named["depth"].to_numpy("f8"), {"units": "cm", "positive": "down"}),
        },
        {"title": f"Stations of {Path(path).name}"},
    )


def _once(path: str | Path, frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows without those that are there twice; other values at the same time stop."""
    equal = frame.duplicated([*keys, "time", "soil_moisture"])
    once = frame[~equal]
    twice = once.duplicated([*keys, "time"])
    if twice.any():
        again = once[twice].iloc[0]
        same = (once[[*keys, "time"]] == again[[*keys, "time"]]).all(axis=1)
        raise DataError(
            f"'{path}' has {int(twice.sum())} rows that repeat a time of the same station and depth: "
            f"{again['station']} at {again['time']:%Y-%m-%d %H:%M} has {once[same]['soil_moisture'].iloc[0]:g} and "
            f"{again['soil_moisture']:g}.",
            hint="Keep one of each; daylight saving time repeats an hour: give UTC.",
        )
    if equal.any():
        tell(f"'{path}' repeats {int(equal.sum())} rows with equal values; one of each is kept.")
    return once


def _frame(path: str | Path, header: list[str], lines: list[int], rows: list[list[str]]) -> pd.DataFrame:
    """The rows, with the names of `COLUMNS` and their types."""
    import pandas as pd

    places, units = _columns(path, header)
    if "depth" not in places:
        tell(f"'{path}' has no column depth: {SURFACE_CM:g} cm is assumed.")
    texts = {n: [row[at] for row in rows] for n, at in places.items()}
    days = [i for i, h in enumerate(header) if _heading(h)[0] in ("date", "day") and i != places["time"]]
    if days and any(re.match(r"\d{1,2}:\d\d", t) for t in texts["time"]):
        texts["time"] = [f"{row[days[0]]} {t}" for row, t in zip(rows, texts["time"], strict=True)]
    if len(unit := {*texts.pop("unit", ())}) > 1 or (unit and units["soil_moisture"]):
        raise DataError(
            f"'{path}' has several units of soil moisture: {', '.join(sorted({*unit, units['soil_moisture']}))}.",
            hint="Convert all to m3 m-3.",
        )
    units["soil_moisture"] = unit.pop() if unit else units["soil_moisture"]
    frame = pd.DataFrame({n: texts[n] for n in ("station", "network") if n in texts}, dtype=object)
    wrong = np.zeros(len(rows), bool)
    first: tuple[int, str, str] | None = None
    for name in ("soil_moisture", "lat", "lon", "depth", "time"):
        if name not in texts:
            continue
        there = np.array([t.lower() not in MISSING for t in texts[name]], bool)
        if name == "time":
            stamps = read_stamps(texts[name], path)
            values = stamps.time
            if 0 < stamps.zoned[there].sum() < there.sum():
                tell(f"'{path}' has times with and without an offset from UTC; those without are taken as UTC.")
        else:
            values = pd.to_numeric(pd.Series(texts[name], dtype=object).where(there), errors="coerce").to_numpy("f8")
        new = there & np.asarray(pd.isna(values))
        if new.any() and (first is None or lines[int(new.argmax())] < first[0]):
            first = lines[int(new.argmax())], texts[name][int(new.argmax())], name
        wrong |= new
        frame[name] = values
    if first is not None:
        row, text, name = first
        expected = "time such as 2021-06-01" if name == "time" else "number"
        message = f"'{path}' has {text!r} as {name} in row {row}, expected a {expected}"
        if wrong.sum() > SHARE * len(rows):
            raise DataError(f"{message}.", hint="Correct the table, or leave the value empty.")
        tell(f"{message}; {int(wrong.sum())} of {len(rows)} rows cannot be read and are left out.")
        frame = frame[~wrong]
    frame = _converted(path, frame, units)
    frame = frame.assign(**{n: v for n, v in (("depth", SURFACE_CM), ("network", "")) if n not in frame})
    total = len(frame)
    frame = frame[(frame["station"] != "").to_numpy()].dropna(subset=["time", "lat", "lon", "depth"])
    if frame.empty:
        raise DataError(f"'{path}' contains no row with station, time, lat and lon.", hint="Check the table.")
    if left_out := total - len(frame):
        tell(f"{left_out} of {total} rows of '{path}' lack station, time, lat, lon or depth and are left out.")
    if (frame["lat"].abs() > 90).any() or not frame["lon"].between(-180, 360).all():
        raise DataError(f"'{path}' has places outside the globe.", hint="Give lat and lon in degrees (EPSG:4326).")
    return frame.assign(lon=frame["lon"].where(frame["lon"] <= 180, frame["lon"] - 360))


def _rows(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """The header, and the numbers and fields of the rows: without comments, blank ones and repeated headers.

    Rows with more or fewer fields than the header are left out with a warning.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        content = [line for line in text.splitlines(keepends=True) if line.strip() and line.lstrip()[0] != "#"]
        if not content:
            raise ValueError("it is empty")
        comma = max(",;\t|", key=content[0].count)
        reader = csv.reader(text.splitlines(keepends=True), delimiter=comma, skipinitialspace=True)
        header: list[str] = []
        lines, rows, bad = [], [], []
        for row in reader:
            if not any(f.strip() for f in row) or row[0].lstrip().startswith("#"):
                continue
            fields = [f.strip() for f in row]
            if not header:
                header = [f.lstrip("\ufeff") for f in fields]
                while not header[-1]:
                    header.pop()
            elif fields[: len(header)] != header:
                if len(fields) < len(header) or any(fields[len(header) :]):
                    bad.append(reader.line_num)
                    continue
                if comma != ",":
                    fields = [re.sub(r"^([-+]?\d+),(\d+)$", r"\1.\2", f) for f in fields]
                lines.append(reader.line_num)
                rows.append(fields)
    except (ValueError, OSError, csv.Error) as error:  # ValueError: also wrong text encodings
        raise DataError(f"'{path}' cannot be read as CSV ({error}).", hint="Save it as CSV, UTF-8.") from None
    if bad:
        message = f"Row {bad[0]} of '{path}' has other than {len(header)} fields"
        if len(bad) > SHARE * (len(rows) + len(bad)):
            raise DataError(f"{message}.", hint="Correct the table; texts with commas need quotes.")
        tell(f"{message}; {len(bad)} of {len(rows) + len(bad)} rows cannot be read and are left out.")
    return header, lines, rows


def _columns(path: str | Path, header: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Which column holds what, and the units that headings name."""
    plain = [_heading(h) for h in header]
    places: dict[str, int] = {}
    units: dict[str, str] = {}
    for name, alias in COLUMNS.items():
        hits = [i for a in alias for i, (p, _) in enumerate(plain) if p == a]
        if name == "soil_moisture":
            same = [i for i in hits if plain[i][0] != "value"]
        else:
            same = [i for i in hits if plain[i][0] == plain[hits[0]][0]]
        if len(same) > 1:
            raise DataError(
                f"'{path}' has two columns for {name}: '{header[same[0]]}' and '{header[same[1]]}'.",
                hint="Delete or rename the one that is not meant.",
            )
        if hits:
            places[name], units[name] = hits[0], plain[hits[0]][1]
    absent = [n for n in COLUMNS if n not in places and n not in OPTIONAL]
    if absent:
        raise DataError(
            f"'{path}' has the columns {', '.join(header)}; {', '.join(absent)} is missing.",
            hint="A CSV of stations needs station, time, soil_moisture (m3 m-3), lat, lon and should have depth (cm).",
        )
    if units["time"] not in ("", "utc", "gmt", "z"):
        raise DataError(
            f"'{path}' has the column '{header[places['time']]}', expected times in UTC.",
            hint="Convert them, write their offset behind each (2021-06-01 12:00-06:00), or name the column time_utc.",
        )
    return places, units


def _heading(text: str) -> tuple[str, str]:
    """Name and unit of a heading."""
    low = " ".join(text.split()).lower()
    known = {a for alias in COLUMNS.values() for a in alias}
    for pattern in (_HEADING, _SUFFIX):
        if match := pattern.fullmatch(low):
            name = match["name"].strip().replace(" ", "_")
            if name in known:
                return name, _SPELT.get(match["unit"], match["unit"].strip())
    return low.replace(" ", "_"), ""


def _converted(path: str | Path, frame: pd.DataFrame, units: dict[str, str]) -> pd.DataFrame:
    """Soil moisture in m3 m-3 and depth in cm; what their sizes contradict stops or warns."""
    try:
        for name, usual in UNITS.items():
            if name in units:
                frame = frame.assign(**{name: convert(frame[name], units[name] or usual, usual)})
    except DataError as error:
        raise DataError(f"'{path}', {name}: {error.message}", hint=f"Convert it to {usual}.") from None
    moisture = frame["soil_moisture"].to_numpy("f8").copy()
    moisture[moisture <= -9] = np.nan
    there = moisture[np.isfinite(moisture)]
    if len(there) and (middle := float(np.median(there))) > 1:
        raise DataError(
            f"'{path}' has soil moisture with a median of {middle:g}, expected 0 to 1 m3 m-3.",
            hint="If it is percent, name the column soil_moisture_percent.",
        )
    if units["soil_moisture"] and len(there) and 0 < there.max() <= 0.01:
        tell(f"'{path}' has soil moisture of at most {there.max():g} m3 m-3: check the unit in its heading.")
    frame = frame.assign(soil_moisture=drop_impossible(moisture, "soil_moisture", path))
    if "depth" in frame:
        depth = frame["depth"].dropna()
        if (depth < 0).any():
            raise DataError(f"'{path}' has the depth {depth.min():g} cm.", hint="Depths below ground are positive.")
        if len(depth) and 0 < depth.max() < 1 and units["depth"] != "cm":
            tell(f"'{path}' has depths of at most {depth.max():g} cm: if they are metres, name the column depth_m.")
    return frame
