"""Write a synthetic world's stations as answers of the AWDB service: a table of stations and one file for each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm_insitu.layout import STATIONS, SYNTHETIC_STATE
from xsm_insitu.series import KELVIN
from xsm_insitu.write_uscrn import readings

INCHES = {5: -2, 10: -4, 20: -8, 50: -20, 100: -40}
"""Depth of the network's sensors by the world's, in cm."""


def write_awdb(stations: xr.Dataset, dest: Path) -> list[Path]:
    """Write hourly soil moisture (percent) and soil temperature (degree F), one decimal each, at local standard time.

    Parameters
    ----------
    stations : xarray.Dataset
        Dims ``(sensor, time)`` with the coordinates that the documentation lists (Decisions, "Stations"). Spikes and
        missing values are left out.
    dest : Path
        Folder; made where it does not exist.

    Returns
    -------
    list of Path
        ``SCAN_<id>_ZZ_<first>_<last>.json`` and ``stations.json``.
    """
    dest.mkdir(parents=True, exist_ok=True)
    when = stations["time"].values.astype("M8[m]")
    names = stations["station"].values.astype(str)
    table, written = [], []
    for number, name in enumerate(dict.fromkeys(names), 9001):
        one = stations.isel(sensor=np.flatnonzero(names == name))
        lat, lon = float(one["lat"][0]), float(one["lon"][0])
        offset = round(lon / 15)
        local = when + np.timedelta64(offset, "h")
        triplet = f"{number}:{SYNTHETIC_STATE}:SCAN"
        table.append(
            {
                "stationTriplet": triplet, "stationId": str(number), "stateCode": SYNTHETIC_STATE,
                "networkCode": "SCAN", "name": name, "elevation": 0.0, "latitude": lat, "longitude": lon,
                "dataTimeZone": float(offset), "beginDate": f"{local[0]}".replace("T", " "),
                "endDate": "2100-01-01 00:00",
            }
        )  # fmt: skip
        path = dest / f"SCAN_{number}_{SYNTHETIC_STATE}_{str(local[0])[:10]}_{str(local[-1])[:10]}.json"
        _dump([{"stationTriplet": triplet, "data": _elements(one, local)}], path)
        written.append(path)
    _dump(table, dest / STATIONS)
    return [*written, dest / STATIONS]


def _elements(station: xr.Dataset, local: np.ndarray) -> list[dict[str, Any]]:
    dates = np.char.replace(np.datetime_as_string(local, unit="m"), "T", " ").tolist()
    moisture = 100 * readings(station, np.nan)
    fields = {"SMS": ("pct", moisture)}
    if "soil_temperature" in station:
        fields["STO"] = ("degF", (station["soil_temperature"].values - KELVIN) * 1.8 + 32)
    parts = []
    for code, (unit, values) in fields.items():
        for row, depth in zip(values, station["depth"].values, strict=True):
            inches = INCHES[min(INCHES, key=lambda cm: abs(cm - depth))]
            element = {"elementCode": code, "ordinal": 1, "heightDepth": inches, "durationName": "HOURLY",
                       "dataPrecision": 1, "storedUnitCode": unit}  # fmt: skip
            parts.append(
                {
                    "stationElement": element,
                    "values": [
                        {"date": d, "value": round(float(v), 1), "qcFlag": "V", "qaFlag": "A"}
                        for d, v in zip(dates, row, strict=True)
                        if np.isfinite(v)
                    ],
                }
            )
    return parts


def _dump(content: list[dict[str, Any]], path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    os.replace(part, path)
