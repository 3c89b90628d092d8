"""Daily maps from files of hours on latitude and longitude: what every source of a regular product needs.

A source says in `DailyMap` of what each daily variable is made, and opens a file as parts with the dims
``(time, lat, lon)``; `open_daily` plans which steps make which day, and reads them block by block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from xsm.contracts.source import Request, SourceInfo
from xsm.data.cf import find_coord
from xsm.data.time import whole_hours
from xsm.errors import DataError, tell, unknown
from xsm.io.daily_reading import OpenParts, Reader, close, other_time, reading, scale_of
from xsm.io.day_plan import DailyMap, Part, Plan, days_of, plan_of
from xsm.io.lattice import SAME, degrees, east, is_even, window_of

__all__ = ["DailyMap", "maps_of", "open_daily"]
SHOWN = 3
"""Days that a warning names."""


def maps_of(file: xr.Dataset, where: object) -> xr.Dataset:
    """The maps of a dataset with the dims ``(time, lat, lon)``, however its axes are called and ordered; lazy.

    Parameters
    ----------
    file : Dataset
        As xarray opens it; closing the maps closes it. Other dims of one step are dropped, variables with longer ones
        left out.
    where : object
        File, for errors.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> axes = {"valid_time": np.array(["2021-04-01"], "M8[ns]"), "latitude": [1.0, 0.0], "longitude": [5.0]}
    >>> dict(maps_of(xr.Dataset({"t2m": (tuple(axes), np.zeros((1, 2, 1)))}, axes), "a.nc").sizes)
    {'time': 1, 'lat': 2, 'lon': 1}
    """
    axes = {"time": find_coord(file, "time"), "lat": find_coord(file, "y"), "lon": find_coord(file, "x")}
    if lacking := [new for new, name in axes.items() if name is None or file[name].ndim != 1]:
        raise DataError(f"'{where}' has no axis {lacking[0]}, expected maps in time, latitude and longitude.",
                        hint="Get the file again as maps on a regular grid.")  # fmt: skip
    ds = file.rename({name: new for new, name in axes.items() if name and name != new})
    single = [str(d) for d, size in ds.sizes.items() if size == 1 and d not in axes]
    ds = ds.squeeze(single, drop=True)
    maps = ds[[n for n, v in ds.data_vars.items() if set(v.dims) == set(axes) and v.dtype.kind in "fiu"]]
    maps.set_close(file.close)
    return maps


def open_daily(
    request: Request, info: SourceInfo, maps: Sequence[DailyMap], open_parts: OpenParts, *, step: float,
    time_of: Callable[[Path], np.datetime64 | None] | None = None, land: str = "",
) -> xr.Dataset:  # fmt: skip
    """Open files of hours as daily canonical maps, lazily; one task reads some days of all variables.

    Parameters
    ----------
    request : Request
        Its option ``min_hours`` says how many hours of a day a cell needs.
    info : SourceInfo
        Of the source.
    maps : sequence of DailyMap
        What it provides; of several ways to one variable the first one is taken of which the files have all inputs.
    open_parts : callable
        Path to its parts: datasets with the dims ``(time, lat, lon)``, see `maps_of`. Where two of them have a step,
        the values of the first count, and those of the other where it has none.
    step : float
        Hours between the times of the whole product.
    time_of : callable, optional
        The only time of a file by its name, where names say it: not every file is opened then.
    land : str
        Variable of the files with the share of land; cells with less than a half become missing.

    Returns
    -------
    Dataset
        float32 ``(time, lat, lon)``, rows as in the files, longitudes from -180.

    Raises
    ------
    DataError
        For files that cannot be read, have another grid, or do not touch the region or the period.

    Examples
    --------
    >>> from xsm.plugin_api import MIN_HOURS, make_request
    >>> hours = np.arange("2021-04-01T00", "2021-04-02T00", dtype="M8[h]").astype("M8[ns]")
    >>> axes = {"time": hours, "lat": [36.0, 36.1], "lon": [-98.0, -97.9]}
    >>> xr.Dataset({"T": (tuple(axes), np.full((24, 2, 2), 290.0), {"units": "K"})}, axes).to_netcdf("hours.nc")
    >>> info = SourceInfo("mine", "Mine", "mine:Mine", options=(MIN_HOURS,), variables=("air_temperature",))
    >>> request = make_request(info, [Path("hours.nc")])
    >>> air = [DailyMap("air_temperature", ("T",), "mean", "K")]
    >>> days = open_daily(request, info, air, lambda path: [maps_of(xr.open_dataset(path), path)], step=1)
    >>> days["air_temperature"].shape, float(days["air_temperature"].mean())
    ((1, 2, 2), 290.0)
    """
    maps = _requested(request, info, maps)
    parts, skipped = _look(request, open_parts, time_of)
    if not parts:
        why = f" ({skipped[0]})" if skipped else ""
        raise DataError(f"None of the {len(request.paths)} files can be read{why}.", hint="Check the paths.")
    maps = _able(maps, parts, request)
    least = request.options["min_hours"]
    plans = [plan_of(m, parts, step) for m in maps]
    days = days_of(plans, request.time)
    short = _incomplete(plans, days, least)
    window = window_of(parts[0].lat, parts[0].lon, request.region, parts[0].path)
    reader = Reader(tuple(maps), tuple((p.path, p.number) for p in parts), window, tuple(p.hours for p in plans), least,
                    open_parts, land, dict(request.units), request.on_error == "skip")  # fmt: skip
    values = reader.lazily([[plan.days.get(day, []) for plan in plans] for day in days])
    ds = xr.Dataset(
        {m.name: (("time", "lat", "lon"), values[i], m.metadata | {"cell_methods": m.cell_methods})
         for i, m in enumerate(maps)},
        {
            "time": ("time", days.astype("M8[ns]"), {"standard_name": "time", "long_name": "UTC day", "axis": "T"}),
            "lat": ("lat", window.lat, {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}),
            "lon": ("lon", window.lon, {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}),
        },
    )  # fmt: skip
    notes = {
        "title": info.title, "references": f"https://doi.org/{info.doi}" if info.doi else "",
        "daily_rule": f"mean of the values of the UTC day, amounts summed, at least {least} hours", **short,
        "synthetic": next((p.synthetic for p in parts if p.synthetic), ""), "skipped": skipped,
    }  # fmt: skip
    return ds.assign_attrs({k: v for k, v in notes.items() if v})


def _requested(request: Request, info: SourceInfo, maps: Sequence[DailyMap]) -> list[DailyMap]:
    for name in request.variables or ():
        if name not in info.variables:
            raise unknown(f"variable of source '{info.name}'", name, info.variables)
    return [m for m in maps if request.variables is None or m.name in request.variables]


def _look(
    request: Request, open_parts: OpenParts, time_of: Callable[[Path], np.datetime64 | None] | None
) -> tuple[list[Part], list[str]]:
    parts: list[Part] = []
    skipped: list[str] = []
    for path in map(Path, request.paths):
        try:
            stamp = time_of(path) if time_of else None
            if stamp is not None and parts and len(parts[0].times) == 1:
                parts.append(replace(parts[0], path=path, times=np.array([stamp], "M8[ns]")))
                continue
            with reading(path):
                datasets = open_parts(path)
                looked = [_part(path, i, ds) for i, ds in enumerate(datasets)]
                close(datasets)
            if stamp is not None and any(p.times.tolist() != [stamp.astype("M8[ns]").astype(int)] for p in looked):
                raise other_time(path, stamp, looked[0].times[0])
            for part in looked:
                _check_grid(part, parts[0] if parts else part)
            parts += looked
        except DataError as error:
            if request.on_error == "raise":
                raise
            skipped.append(str(error))
    return parts, skipped


def _part(path: Path, number: int, ds: xr.Dataset) -> Part:
    times = whole_hours(np.asarray(ds["time"].values))
    lat, lon = (degrees(ds[n].values) for n in ("lat", "lon"))
    if times.dtype.kind != "M" or np.isnat(times).any() or not len(times):
        raise DataError(f"'{path}' has times that are no days (type {times.dtype}).", hint="Get the file again.")
    if not (np.isfinite(lat).all() and np.isfinite(lon).all() and lat.size and lon.size and abs(lat).max() <= 90):
        raise DataError(f"'{path}' has latitudes or longitudes that are no degrees.", hint="Get the file again.")
    if not (is_even(lat) and is_even(lon)):
        raise DataError(f"'{path}' has latitudes or longitudes in unequal steps, expected a regular grid.",
                        hint="Get the file again.")  # fmt: skip
    units = {str(n): str(v.attrs.get("units", "")) for n, v in ds.data_vars.items()}
    return Part(path, number, times.astype("M8[ns]"), lat, east(lon), units, str(ds.attrs.get("synthetic", "")))


def _check_grid(part: Part, first: Part) -> None:
    for ours, theirs in ((part.lat, first.lat), (part.lon, first.lon)):
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > SAME:
            raise DataError(f"'{part.path}' is on another grid than '{first.path}'.",
                            hint="Open files of one area at a time.")  # fmt: skip


def _able(maps: Sequence[DailyMap], parts: Sequence[Part], request: Request) -> list[DailyMap]:
    """For each variable the first of its ways of which one part has all inputs; units are checked."""
    able: dict[str, DailyMap] = {}
    for one in maps:
        for part in parts:
            if all(n in part.units for n in one.inputs):
                able.setdefault(one.name, one)
                break
    absent = [n for n in request.variables or () if n not in able]
    if absent or not able:
        inside = sorted({n for part in parts for n in part.units})
        missing = absent or list(dict.fromkeys(m.name for m in maps))
        needs = dict.fromkeys(n for m in maps if m.name in missing for n in m.inputs)
        raise DataError(
            f"The files ('{parts[0].path.name}') contain {', '.join(inside) or 'no maps'}, nothing to make "
            f"{', '.join(missing)} of.",
            hint=f"Get files with {', '.join(needs)}.",
        )
    for one in able.values():
        for name in one.inputs:
            part = next(p for p in parts if name in p.units)
            scale_of(part.units[name], one, name, part.path, request.units)
    for name in {n for part in parts for n in part.units}:  # what the files contain may be stated, read or not
        request.units.get(name)
    return [able[n] for n in request.variables or able]


def _incomplete(plans: Sequence[Plan], days: np.ndarray, least: float) -> dict[str, str]:
    covered = {str(day): min(plan.covered(day) for plan in plans) for day in days}
    short = {day: hours for day, hours in covered.items() if hours < 24}
    if not short:
        return {}
    if lost := [day for day, hours in short.items() if hours < least]:
        more = ", ..." if len(lost) > SHOWN else ""
        tell(f"{len(lost)} of {len(days)} days have fewer than {least} hours and are left empty: "
             f"{', '.join(f'{day} ({short[day]:g} h)' for day in lost[:SHOWN])}{more}.")  # fmt: skip
    return {"incomplete_days": ", ".join(f"{day} ({hours:g})" for day, hours in short.items())}
