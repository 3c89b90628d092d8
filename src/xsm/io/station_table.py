"""Stations from a user's table: a CSV with one row for each value, as spreadsheets and QGIS write it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xsm.data.cf import canonical_attrs
from xsm.errors import DataError, tell

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "station": ("station", "station_name", "name", "site", "id"),
    "time": ("time", "datetime", "date", "day"),
    "soil_moisture": ("soil_moisture", "sm", "value"),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "longitude", "x"),
    "depth": ("depth", "depth_cm"),
    "network": ("network",),
}
"""Names of the columns, upper or lower case; the first that a table has counts. The last two may be absent."""
OPTIONAL = ("depth", "network")
SURFACE_CM = 5.0
MISSING = ("", "na", "n/a", "nan", "null", "none", "<na>")
"""Words for a missing number or time, upper or lower case; a station may have such a name."""


def read(path: str | Path) -> xr.Dataset:
    r"""Read a CSV of stations.

    Parameters
    ----------
    path : str or Path
        Columns of `COLUMNS`: ``station``, ``time`` (UTC; a date is a UTC day), ``soil_moisture`` (m3 m-3), ``lat`` and
        ``lon`` (degrees); ``depth`` in cm (5 where absent, with a warning) and ``network``.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture(sensor, time)`` with the coordinates of docs/design/decisions.md, "Stations".

    Raises
    ------
    DataError
        For missing columns, values that are not a number or a time, places outside the globe, or repeated times.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "stations.csv"
    >>> _ = path.write_text("Station,Date,lat,lon,depth,sm\nA,2021-06-01,36,-98,5,0.21\nA,2021-06-02,36,-98,5,0.2\n")
    >>> dict(read(path).sizes)
    {'sensor': 1, 'time': 2}
    """
    frame = _frame(Path(path))
    keys = ["network", "station", "depth"]
    if twice := int(frame.duplicated([*keys, "time"]).sum()):
        raise DataError(
            f"'{path}' has {twice} rows that repeat a time of the same station and depth.", hint="Keep one of each."
        )
    wide = frame.pivot(index=keys, columns="time", values="soil_moisture")
    places = frame.groupby(keys)[["lat", "lon"]].first().loc[wide.index]
    named = wide.index.to_frame(index=False)
    return xr.Dataset(
        {"soil_moisture": (("sensor", "time"), wide.to_numpy("f4"), canonical_attrs("soil_moisture"))},
        {
            "time": wide.columns.to_numpy("M8[ns]"),
            "station": ("sensor", named["station"].to_numpy(str)),
            "network": ("sensor", named["network"].to_numpy(str)),
            "lat": ("sensor", places["lat"].to_numpy("f8"), {"units": "degrees_north"}),
            "lon": ("sensor", places["lon"].to_numpy("f8"), {"units": "degrees_east"}),
            "depth": ("sensor", named["depth"].to_numpy("f8"), {"units": "cm", "positive": "down"}),
        },
        {"title": f"Stations of {Path(path).name}"},
    )


def _frame(path: Path) -> pd.DataFrame:
    """The rows, with the names of `COLUMNS` and their types."""
    import pandas as pd

    try:
        table = pd.read_csv(
            path, sep=None, engine="python", encoding="utf-8-sig", dtype=str, keep_default_na=False, na_values=[""]
        )
    except (ValueError, OSError, csv.Error) as error:  # ValueError: also errors of pandas and wrong text encodings
        raise DataError(f"'{path}' cannot be read as CSV ({error}).", hint="Save it as CSV, UTF-8.") from None
    by_name = {str(c).strip().lower(): c for c in reversed(table.columns)}
    columns = {n: next((by_name[a] for a in alias if a in by_name), None) for n, alias in COLUMNS.items()}
    absent = [n for n, column in columns.items() if column is None and n not in OPTIONAL]
    if absent:
        raise DataError(
            f"'{path}' has the columns {', '.join(map(str, table.columns))}; {', '.join(absent)} is missing.",
            hint="A CSV of stations needs station, time, soil_moisture (m3 m-3), lat, lon and should have depth (cm).",
        )
    if columns["depth"] is None:
        tell(f"'{path}' has no column depth: {SURFACE_CM:g} cm is assumed.")
    frame = pd.DataFrame({n: table[c] for n, c in columns.items() if c is not None})
    for name in ("soil_moisture", "lat", "lon", "depth"):
        if name in frame:
            frame[name] = _parsed(path, frame[name], name, lambda text: pd.to_numeric(text, errors="coerce"))
    utc = _parsed(
        path, frame["time"], "time", lambda text: pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    )
    frame["time"] = utc.dt.tz_localize(None)
    frame = frame.assign(**{n: v for n, v in (("depth", SURFACE_CM), ("network", "")) if n not in frame})
    rows = len(frame)
    frame = frame.dropna(subset=["station", "time", "lat", "lon", "depth"])
    if frame.empty:
        raise DataError(f"'{path}' contains no row with station, time, lat and lon.", hint="Check the table.")
    if left_out := rows - len(frame):
        tell(f"{left_out} of {rows} rows of '{path}' lack station, time, lat, lon or depth and are left out.")
    if (frame["lat"].abs() > 90).any() or (frame["lon"].abs() > 180).any():
        raise DataError(f"'{path}' has places outside the globe.", hint="Give lat and lon in degrees (EPSG:4326).")
    return frame.fillna({"network": ""})


def _parsed(path: Path, text: pd.Series, name: str, parse: Callable[[pd.Series], pd.Series]) -> pd.Series:
    text = text.where(~text.str.strip().str.lower().isin(MISSING))
    parsed = parse(text)
    wrong = np.flatnonzero(parsed.isna() & text.notna())
    if len(wrong):
        raise DataError(
            f"'{path}' has {text.iloc[wrong[0]]!r} as {name} in row {wrong[0] + 2}, expected a "
            f"{'time such as 2021-06-01' if name == 'time' else 'number'}.",
            hint="Correct the table, or leave the value empty.",
        )
    return parsed
