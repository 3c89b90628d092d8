"""What a GIS shows of a cell: series with their spread, classes of drought, and the stations around it."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.json_numbers import DIGITS, json_numbers
from xsm.data.places import Places, places_of, values_at
from xsm.data.positions import edges, positions
from xsm.errors import DataError, UsageError, hear
from xsm.io import files
from xsm.io.styles import DROUGHT, style_of
from xsm.io.tables import as_reference
from xsm.ops.drought import drought
from xsm.reporting.score_tables import DEPTHS, label
from xsm.reporting.series_figures import look
from xsm.validation.matching import Sensors, Site
from xsm.validation.metrics import NORMAL_95
from xsm.validation.products import layer_of

REACH_KM = 25.0
MOST_STATIONS = 4
LEAST_YEARS = 5
"""Years that a rank among the same days of other years needs."""
SENSOR_DEPTHS = {5.0: "surface", 20.0: "subsurface"}
"""Depth in cm of the sensors that stand beside the maps of a layer."""


def cells(
    maps: Sequence[str],
    places: Sequence[Sequence[float]],
    stations: Sequence[str] = (),
    reach: float = REACH_KM,
) -> dict[str, Any]:
    """Take from files what a chart of some cells shows.

    Parameters
    ----------
    maps : sequence of str
        Files of maps; those without daily soil moisture at the places are passed over.
    places : sequence of (float, float)
        Latitude and longitude of each place, in degrees.
    stations : sequence of str
        Files of stations.
    reach : float
        Distance of stations in km, at most.

    Returns
    -------
    dict
        ``cells``, one for each place: ``lat`` and ``lon`` of the place, ``outline`` of its cell (pairs of longitude and
        latitude), and ``series`` of ``days``, ``values`` and ``half`` (half the width of the 95 percent interval; m3
        m-3), ``name``, ``depth``, ``colour``, ``dashed``, ``kind`` (``"map"`` or ``"station"``), ``shown``
        (false for a product that looks like an earlier one) and ``drought`` (numbers of classes, of five years).
        ``classes`` are colour and name of each class. Missing is null.

    Raises
    ------
    DataError
        Where no file has daily soil moisture at any of the places.

    Examples
    --------
    >>> import xsm, tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "cube.nc"
    >>> _ = files.write(xsm.example("cube", size=16, days=8), path)
    >>> (cell,) = cells([str(path)], [(35.9, -98.1)])["cells"]
    >>> [series["name"] for series in cell["series"]][:2], len(cell["outline"])
    (['SMAP DCA', 'SMAP SCA-V'], 5)
    """
    where = places_of(None, None, [tuple(place) for place in places])
    answers: list[dict[str, Any]] = [
        {"lat": float(lat), "lon": float(lon), "outline": [], "series": []}
        for lat, lon in zip(where.lat, where.lon, strict=True)
    ]
    days: list[np.ndarray] = []
    with hear(thread=True):
        for path in maps:
            with suppress(DataError, UsageError):
                days += _add_maps(_opened(path, _stamp(path)), where, answers)
        if not any(cell["series"] for cell in answers):
            raise DataError(
                "None of the maps has daily soil moisture here.",
                hint="Click on a map, or add files that have the variable and the dim time.",
            )
        every = np.concatenate(days)
        for path in stations:
            with suppress(DataError, UsageError):
                _add_stations(_sensors(path, _stamp(path), every.min(), every.max()), answers, reach)
    return {
        "cells": answers,
        "classes": [list(pair) for pair in zip(DROUGHT, ("", "D0", "D1", "D2", "D3", "D4"), strict=True)],
    }


def _stamp(path: str) -> tuple[int, int]:
    """What changes when a file is replaced."""
    try:
        stat = Path(path).stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=8)
def _opened(path: str, stamp: tuple[int, int]) -> xr.Dataset:
    return files.read(path)


@lru_cache(maxsize=8)
def _sensors(path: str, stamp: tuple[int, int], first: np.datetime64, last: np.datetime64) -> Sensors:
    return Sensors(as_reference(_opened(path, stamp)), np.arange(first, last + 1))


@atexit.register
def _forget() -> None:
    """Close the files before the libraries that do so are gone."""
    for kept in (_sensors, _opened):
        kept.cache_clear()


def _add_maps(ds: xr.Dataset, where: Places, answers: list[dict[str, Any]]) -> list[np.ndarray]:
    """Add the series of a file of maps to each cell; returns its days."""
    names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims and style_of(str(n)) == "soil_moisture"]
    names = [n for n in names if ds[n].ndim == 3 and ds[n].dtype.kind == "f"]
    if not names:
        return []
    spreads = [f"{n}_std" for n in names if f"{n}_std" in ds]
    at = values_at(ds, where, "nearest", [*names, *spreads]).load()
    days = at["time"].values.astype("M8[D]")
    classes = _drought(at[names], days)
    outlines = _outlines(ds, where)
    looks: list[set[tuple[str, str, str]]] = [set() for _ in answers]
    for i, cell in enumerate(answers):
        here = at.isel(place=i)
        if not np.isfinite(here["lat"]):
            continue
        cell["outline"] = cell["outline"] or outlines[i]
        for name in names:
            values = here[name].values
            if not np.isfinite(values).any():
                continue
            spread = NORMAL_95 * here[f"{name}_std"].values if f"{name}_std" in here else None
            style = look(name, ds)
            alike = (style["color"], style["linestyle"], DEPTHS.get(layer_of(ds, name) or "", "5 cm"))
            cell["series"].append(_series(days, values, {
                "name": label(name, ds), "depth": alike[2], "kind": "map", "shown": alike not in looks[i],
                "colour": style["color"], "dashed": style["linestyle"] != "-",
                "half": None if spread is None else json_numbers(spread),
                "drought": classes[name].isel(place=i).values.tolist() if name in classes else None,
            }))  # fmt: skip
            looks[i].add(alike)
    return [days]


def _drought(at: xr.Dataset, days: np.ndarray) -> dict[str, xr.DataArray]:
    """Classes of drought of series that are long enough."""
    if len(np.unique(days.astype("M8[Y]"))) < LEAST_YEARS:
        return {}
    return {str(n): drought(at[[n]])[f"{n}_drought"] for n in at.data_vars}


def _outlines(ds: xr.Dataset, where: Places) -> list[list[list[float]]]:
    """Corners of the cell of each place in degrees, closed."""
    rows, cols, _ = positions(ds, where.lon, where.lat)
    y, x = edges(ds)
    (south, north), (west, east) = y[rows.nearest].T, x[cols.nearest].T
    lon, lat = transformer(EASE, DEGREES).transform(
        np.stack([west, east, east, west, west], 1), np.stack([south, south, north, north, south], 1)
    )
    return [np.stack(corners, 1).round(DIGITS).tolist() for corners in zip(lon, lat, strict=True)]


def _add_stations(sensors: Sensors, answers: list[dict[str, Any]], reach: float) -> None:
    """Add the daily means of the nearest stations to each cell."""
    from pyproj import Geod

    station, network, lat, lon, depth = (sensors.coords[n] for n in ("station", "network", "lat", "lon", "depth"))
    for cell in answers:
        start = np.full(lat.shape, cell["lon"]), np.full(lat.shape, cell["lat"])
        away = Geod(ellps="WGS84").inv(*start, lon, lat)[2] / 1e3
        order = [int(i) for i in np.argsort(away, kind="stable") if away[i] <= reach]
        names = list(dict.fromkeys(station[order]))[:MOST_STATIONS]
        near = [i for i in order if station[i] in names and float(depth[i]) in SENSOR_DEPTHS]
        sensors.load([i for i in near if i not in sensors.hours and not sensors.reasons[i]])
        for i in (i for i in near if i in sensors.hours):
            layer = SENSOR_DEPTHS[float(depth[i])]
            site = Site(str(station[i]), str(network[i]), float(lat[i]), float(lon[i]), {layer: {i: 1.0}})
            (values,) = sensors.day_means([site], layer)
            if np.isfinite(values).any():
                cell["series"].append(_series(sensors.days, values, {
                    "name": f"{station[i]}, {away[i]:.0f} km", "depth": DEPTHS[layer], "kind": "station",
                    "shown": True, "colour": "#000000", "dashed": False, "half": None, "drought": None,
                }))  # fmt: skip


def _series(days: np.ndarray, values: np.ndarray, about: dict[str, Any]) -> dict[str, Any]:
    return {**about, "days": days.astype(str).tolist(), "values": json_numbers(values)}
