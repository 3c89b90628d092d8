"""A tiny data source: points in a CSV, placed on the 9 km grid; also the shortest example of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.hookspecs import hookimpl
from xsm.contracts.source import Request, SourceInfo
from xsm.data.cf import canonical_attrs
from xsm.data.grids import EASE2_M09
from xsm.data.units import convert
from xsm.errors import DataError, unknown

XSM_PLUGIN_API = 2
INFO = SourceInfo(
    name="tiny",
    title="Tiny daily soil moisture in CSV (columns date, lon, lat, soil_moisture)",
    factory="xsm.contracts.defaults.tiny:TinySource",
    variables=("soil_moisture",),
    licence="BSD-3-Clause",
)


@hookimpl
def xsm_sources(register: Any) -> None:
    """Register the source."""
    register(INFO)


class TinySource:
    """Points in a CSV, placed on the 9 km grid; several points in a cell are averaged."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Whether the file is a CSV with the expected header."""
        if path.suffix.lower() != ".csv":
            return False
        with path.open(encoding="utf-8", errors="replace") as file:
            return {"date", "lon", "lat", "soil_moisture"} <= set(file.readline().strip().lower().split(","))

    def open(self, request: Request) -> xr.Dataset:
        """Read the CSV files as one daily dataset on the window of their points or of the region."""
        import pandas as pd

        for name in request.variables or ():
            if name not in INFO.variables:
                raise unknown("variable of source 'tiny'", name, INFO.variables)
        frames, skipped = [], []
        for path in request.paths:
            try:
                frames.append(pd.read_csv(path, parse_dates=["date"])[["date", "lon", "lat", "soil_moisture"]])
            except (ValueError, KeyError, UnicodeDecodeError) as error:
                if request.on_error == "raise":
                    raise DataError(
                        f"'{path}' cannot be read ({error}).", hint="Expected the columns date,lon,lat,soil_moisture."
                    ) from None
                skipped.append(f"{path}: {error}")
        if not frames:
            raise DataError(
                "None of the CSV files can be read.", hint="Expected the columns date,lon,lat,soil_moisture."
            )
        table = pd.concat(frames)
        row, col = EASE2_M09.rowcol(table["lon"], table["lat"])
        day = table["date"].to_numpy().astype("datetime64[D]")
        region, time = request.region, request.time
        grid = region.grid if region else EASE2_M09.window(row.min(), row.max() + 1, col.min(), col.max() + 1)
        first, last = day.min(), day.max()
        if time is not None:
            first, last = np.datetime64(time.start or first, "D"), np.datetime64(time.stop or last, "D")
        days = np.arange(first, last + 1)
        t, y, x = (day - first).astype(int), row - grid.row0, col - grid.col0
        inside = (t >= 0) & (t < len(days)) & (y >= 0) & (y < grid.rows) & (x >= 0) & (x < grid.cols)
        inside &= np.isfinite(table["soil_moisture"].to_numpy())
        total, count = np.zeros((2, len(days), *grid.shape))
        index = t[inside], y[inside], x[inside]
        np.add.at(total, index, table["soil_moisture"].to_numpy()[inside])
        np.add.at(count, index, 1)
        with np.errstate(invalid="ignore"):
            mean = convert(total / count, request.units.get("soil_moisture", "m3 m-3"), "m3 m-3").astype("f4")
        ds = xr.Dataset(
            {"soil_moisture": (("time", "y", "x"), mean, canonical_attrs("soil_moisture"))},
            {"time": days.astype("datetime64[ns]")},
            {"source": "tiny", "skipped": skipped} if skipped else {"source": "tiny"},
        )
        return grid.assign(ds)
