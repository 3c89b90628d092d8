"""Stations from a user's table: a CSV with one row for each value, as spreadsheets and QGIS write it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm.data.cf import canonical_attrs, drop_impossible
from xsm.data.units import convert
from xsm.errors import DataError, tell
from xsm.io.table_clock import read_times
from xsm.io.table_columns import COLUMNS, MISSING, find_columns, is_series, without_units_row
from xsm.io.table_rows import SHARE, Rows, flagged, of_moisture, read_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "of_frame", "read"]
UNITS = {"soil_moisture": "m3 m-3", "depth": "cm"}
"""Units where a heading names none."""
SURFACE_CM = 5.0
APART = 0.02
"""Degrees that the coordinates of one station may differ."""
_AROUND = re.compile(r"[\s_°º]|deg(?:rees?)?|decimal|^dd$|wgs ?84|epsg:?4326")
"""What a unit of degrees has beside its direction."""
_DIRECTIONS = {
    "lat": {"": 1.0, "n": 1.0, "north": 1.0, "s": -1.0, "south": -1.0},
    "lon": {"": 1.0, "e": 1.0, "east": 1.0, "w": -1.0, "west": -1.0},
}


def read(path: str | Path) -> xr.Dataset:
    r"""Read a CSV of stations, or of a single series, which has ``time`` and ``soil_moisture`` alone.

    Parameters
    ----------
    path : str or Path
        Columns of `COLUMNS`: ``station``, ``time`` (UTC; a date is a UTC day, an offset is taken off),
        ``soil_moisture`` (m3 m-3), ``lat`` and ``lon`` (degrees); ``depth`` in cm (5 where absent, with a warning) and
        ``network``. Units in the headings or in a row below them are converted; comments start with ``#``. Days and
        clocks may have a column each, an offset from UTC too (``utc_offset``). Of a column ``flag`` the values are kept
        that it calls good or unknown, of a column ``variable`` the rows of soil moisture.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture(sensor, time)`` with the coordinates of stations (documentation: Decisions, "Stations"), or
        ``soil_moisture(time)`` of a series.

    Raises
    ------
    DataError
        For missing columns, values that are not a number or a time in more than `SHARE` of the rows, soil moisture in
        percent under a heading that says otherwise, a local clock without an offset, places outside the globe or not
        in degrees, or different values of one time.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "stations.csv"
    >>> _ = path.write_text("Station,Date,lat,lon,depth,sm\nA,2021-06-01,36,-98,5,0.21\nA,2021-06-02,36,-98,5,0.2\n")
    >>> dict(read(path).sizes)
    {'sensor': 1, 'time': 2}
    """
    rows = read_rows(Path(path))
    if not is_series(rows.header):
        return _stations(path, *_frame(path, rows))
    station = {"station": Path(path).stem, "lat": "0", "lon": "0", "depth": f"{SURFACE_CM:g}"}
    placed = rows._replace(header=[*rows.header, *station], rows=[[*row, *station.values()] for row in rows.rows])
    return _stations(path, *_frame(path, placed)).isel(sensor=0, drop=True)


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
    return _stations("stations", *_frame("stations", Rows(header, list(range(len(rows))), rows, [])))


def _stations(path: str | Path, frame: pd.DataFrame, stamps: str) -> xr.Dataset:
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
            "time": ("time", wide.columns.to_numpy("M8[ns]"), {"stamps": stamps} if stamps else {}),
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


def _frame(path: str | Path, table: Rows) -> tuple[pd.DataFrame, str]:
    """The rows with the names of `COLUMNS` and their types, and what the stamps are."""
    import pandas as pd

    columns = find_columns(path, table.header)
    if "depth" not in columns.places:
        tell(f"'{path}' has no column depth: {SURFACE_CM:g} cm is assumed.")
    lines, rows = without_units_row(columns, table.lines, table.rows)
    table = of_moisture(path, columns, table._replace(lines=lines, rows=rows))
    lines, rows, units = table.lines, table.rows, columns.units
    times = read_times(path, columns, rows, table.comments)
    texts = {n: [row[at] for row in rows] for n, at in columns.places.items()} | {"time": times.texts}
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
        values: Any = times.time
        if name != "time":
            values = pd.to_numeric(pd.Series(texts[name], dtype=object).where(there), errors="coerce").to_numpy("f8")
        new = there & np.asarray(pd.isna(values))
        if new.any() and (first is None or lines[int(new.argmax())] < first[0]):
            first = lines[int(new.argmax())], texts[name][int(new.argmax())], name
        wrong |= new
        frame[name] = values
    frame.loc[flagged(path, columns, table), "soil_moisture"] = np.nan
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
    frame = frame.assign(**{n: _degrees(path, n, frame[n], units[n]) for n in ("lat", "lon")})
    if (frame["lat"].abs() > 90).any() or not frame["lon"].between(-180, 360).all():
        raise DataError(f"'{path}' has places outside the globe.", hint="Give lat and lon in degrees (EPSG:4326).")
    if not frame["soil_moisture"].notna().any():
        tell(f"'{path}' has no value of soil moisture: check the column, its missing values and its flags.")
    return frame.assign(lon=frame["lon"].where(frame["lon"] <= 180, frame["lon"] - 360)), times.stamps


def _degrees(path: object, name: str, values: pd.Series, unit: str) -> pd.Series:
    """Latitude in degrees north or longitude in degrees east."""
    if unit in ("rad", "radian", "radians"):
        return np.rad2deg(values)
    sign = _DIRECTIONS[name].get(_AROUND.sub("", unit))
    if sign is None or (sign < 0 and (values < 0).any()):
        what = f"'{unit}'" if sign is None else f"'{unit}' and below zero, which is the other side"
        raise DataError(
            f"'{path}' has {name} in {what}, expected degrees {'north' if name == 'lat' else 'east'}.",
            hint=f"Convert it to degrees (EPSG:4326; south and west are negative) and name the column {name}.",
        )
    return sign * values


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
