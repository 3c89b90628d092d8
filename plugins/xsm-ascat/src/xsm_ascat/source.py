"""ASCAT as daily maps: swaths on the 9 km grid, the soil water index on its own (documentation: Formats, ASCAT)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xsm import EASE2_M09, DataError, Grid, UsageError
from xsm.plugin_api import DailyField, Request, Stored, canonical_attrs, open_day_files, tell

from xsm_ascat import INFO, SWATH
from xsm_ascat.layout import HIGHEST, STEP, SWATH_NAME, SWI_NAME, stamp
from xsm_ascat.swath import check_start, read_day

Swaths = list[tuple[Path, float, np.datetime64, np.datetime64]]
"""File, sampling in km, first and last day."""
ABOUT: Mapping[str, Mapping[str, str]] = {
    "saturation": {"long_name": "Degree of saturation of the surface soil", "units": "percent"},
    "saturation_std": {"long_name": "Standard deviation of the degree of saturation", "units": "percent"},
    "obs_time": canonical_attrs("obs_time"),
    "soil_moisture": {**canonical_attrs("soil_moisture"), "long_name": "Soil moisture, by a porosity that was stated"},
    "soil_moisture_std": {"long_name": "Standard deviation of soil moisture", "units": "m3 m-3"},
}


class AscatSource:
    """Swaths of H SAF and the daily soil water index of Copernicus Land."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Whether a file is one of these, by its name."""
        name = Path(path).name
        return SWATH_NAME.match(name) is not None or SWI_NAME.match(name) is not None

    def open(self, request: Request) -> xr.Dataset:
        """Open files lazily as daily maps; a day without a file is present and empty.

        Parameters
        ----------
        request : Request
            Swaths of H SAF, or files of the soil water index. Variables of swaths: ``saturation`` and
            ``saturation_std`` (the product's noise) in percent, ``obs_time``; with ``porosity`` ``soil_moisture`` and
            ``soil_moisture_std``. Of the index: ``swi`` in percent. Options:

            overpass : {"both", "descending", "ascending"}
                Pass of swaths; of both the observation nearest 12 UTC counts in each cell.
            quality : {"recommended", "all"}
                Whether observations of swaths are left out that flags and shares of water, ice and mountains doubt.
            porosity : float, optional
                Makes soil moisture of the degree of saturation.
            scale : int
                Days of the index.

        Returns
        -------
        xarray.Dataset
            Swaths: (time, y, x) on the 9 km grid, each cell with the nearest observation within three quarters of the
            sampling. Index: (time, lat, lon).

        Raises
        ------
        DataError
            For damaged files, other products, both kinds at once, or a period without a file.
        UsageError
            For an unknown variable, or a porosity with the index.
        """
        paths = list(map(Path, request.paths))
        swaths = [p for p in paths if SWATH_NAME.match(p.name)]
        index = [p for p in paths if SWI_NAME.match(p.name)]
        if not swaths and not index:
            raise DataError(
                f"None of the files is of ASCAT ({', '.join(p.name for p in paths[:3])}).",
                hint="Expected names like W_IT-HSAF-ROME,SAT,SSM-ASCAT-METOPB-12.5km-H121_*.nc or c_gls_SWI_*.nc.",
            )
        if swaths and index:
            raise DataError(
                f"'{swaths[0]}' is a swath and '{index[0]}' a map of the soil water index, expected one kind.",
                hint="Open one product at a time.",
            )
        if len(swaths) + len(index) < len(paths):
            tell(f"{len(paths) - len(swaths) - len(index)} files are not named as those of ASCAT and are left out.")
        for variable in request.variables or ():
            if variable not in INFO.variables:
                raise UsageError(f"ASCAT has no variable '{variable}'.", hint=f"It has: {', '.join(INFO.variables)}.")
        ds = _open_swaths(swaths, request) if swaths else _open_index(index, request)
        return ds.assign_attrs(references=f"https://doi.org/{INFO.doi}")

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as swaths of H121; see `xsm_ascat.write.write`."""
        from xsm.twin import NETCDF

        from xsm_ascat.write import write

        with NETCDF:
            return write(world, dest)


def _names(request: Request, able: Sequence[str]) -> list[str]:
    absent = [v for v in request.variables or () if v not in able]
    if absent:
        hint = "State <porosity=0.45> to make soil moisture of the degree of saturation."
        raise DataError(
            f"The files give {', '.join(able)}, not {', '.join(absent)}.",
            hint=hint if absent[0].startswith("soil_moisture") else "Choose of these.",
        )
    return list(dict.fromkeys(request.variables or able))


def _open_swaths(paths: Sequence[Path], request: Request) -> xr.Dataset:
    porosity = request.options["porosity"]
    names = _names(request, (*SWATH, *(("soil_moisture", "soil_moisture_std") if porosity else ())))
    swaths, skipped = _usable(paths, request)
    grid = EASE2_M09 if request.region is None else request.region.grid
    period = request.time or slice(None)
    first = min(s[2] for s in swaths) if period.start is None else np.datetime64(period.start, "D")
    last = max(s[3] for s in swaths) if period.stop is None else np.datetime64(period.stop, "D")
    days = np.arange(first, last + 1)
    plan = [(day, [(p, km) for p, km, start, end in swaths if start <= day <= end]) for day in days]
    placed = _lazy(plan, grid, request)
    maps = {
        "saturation": lambda: placed[:, 0].astype("f4"),
        "saturation_std": lambda: placed[:, 1].astype("f4"),
        "obs_time": lambda: placed[:, 2].map_blocks(_times, dtype="M8[ns]"),
        "soil_moisture": lambda: (placed[:, 0] * (porosity / 100)).astype("f4"),
        "soil_moisture_std": lambda: (placed[:, 1] * (porosity / 100)).astype("f4"),
    }
    stamps = {"standard_name": "time", "long_name": "UTC day", "axis": "T"}
    ds = xr.Dataset(
        {n: (("time", "y", "x"), maps[n](), dict(ABOUT[n])) for n in names},
        {"time": ("time", days.astype("M8[ns]"), stamps)},
    )
    products = sorted({m["product"] for p, *_ in swaths if (m := SWATH_NAME.match(p.name))})
    notes = {
        "title": "ASCAT surface soil moisture, swaths on the 9 km grid",
        "source": f"H SAF {', '.join(products)}",
        "overpass": request.options["overpass"],
        "skipped": skipped,
        "synthetic": _synthetic(swaths[0][0]),
    }
    return grid.assign(ds).assign_attrs({k: v for k, v in notes.items() if v})


def _usable(paths: Sequence[Path], request: Request) -> tuple[Swaths, list[str]]:
    """Swaths that touch the period and begin as netCDF-4 does, and why others are left out."""
    period, skipped = request.time or slice(None), list[str]()
    swaths: Swaths = []
    for path in sorted(paths, key=lambda p: p.name):
        match = SWATH_NAME.match(path.name)
        assert match is not None  # noqa: S101
        try:
            start, end = (stamp(match[k]).astype("M8[D]") for k in ("start", "end"))
        except ValueError:
            raise DataError(f"The name of '{path}' contains no time.", hint="Keep the product's names.") from None
        if (period.start is not None and end < period.start) or (period.stop is not None and start > period.stop):
            continue
        try:
            check_start(path)
        except DataError as error:
            if request.on_error == "raise":
                raise
            skipped.append(str(error))
            continue
        swaths.append((path, float(match["sampling"]), start, end))
    if not swaths:
        why = f" ({skipped[0]})" if skipped else ""
        raise DataError(
            f"None of the {len(paths)} swaths is of the period and can be read{why}.",
            hint="Check the period and paths.",
        )
    return swaths, skipped


def _lazy(plan: Sequence[tuple[np.datetime64, list[tuple[Path, float]]]], grid: Grid, request: Request) -> Any:
    """Lazy float64 (day, 3, row, column), a day a block."""
    import dask.array as da

    blocks = np.empty(len(plan), object)
    blocks[:] = plan
    read = functools.partial(
        read_day, grid=grid, options=dict(request.options), stated=dict(request.units), on_error=request.on_error
    )
    request.units.get("saturation"), request.units.get("surface_soil_moisture")  # what may be stated
    return da.map_blocks(
        lambda block: read(*block[0])[None],
        da.from_array(blocks, chunks=1, name=False), dtype="f8", meta=np.empty((0, 0, 0, 0)), new_axis=[1, 2, 3],
        chunks=((1,) * len(plan), (3,), (grid.rows,), (grid.cols,)),
    )  # fmt: skip


def _times(days: np.ndarray) -> np.ndarray:
    known = np.isfinite(days)
    nanoseconds = (np.where(known, days, 0) * 86400e9).astype("i8").astype("M8[ns]")
    return np.where(known, nanoseconds, np.datetime64("NaT", "ns"))


def _synthetic(path: Path) -> str:
    import h5py
    from xsm.plugin_api import text_of

    try:
        with h5py.File(path, "r") as file:
            return text_of(file.attrs.get("synthetic", ""))
    except (OSError, RuntimeError, ValueError, LookupError):  # said where its values are read
        return ""


def _open_index(paths: Sequence[Path], request: Request) -> xr.Dataset:
    if request.options["porosity"] is not None:
        raise UsageError(
            "The soil water index is no soil moisture, expected no porosity.", hint="Leave <porosity=> out."
        )
    _names(request, ("swi",))
    name = f"SWI_{request.options['scale']:03d}"
    files: dict[np.datetime64, Path] = {}
    for path in sorted(paths, key=_version):
        text = path.name.removeprefix("c_gls_SWI_")
        try:
            files[np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:8]}", "D")] = path
        except ValueError:
            raise DataError(f"The name of '{path}' contains no day.", hint="Keep the product's names.") from None
    if len(files) < len(paths):
        tell(f"{len(paths) - len(files)} days have more than one file; the highest version of each is read.")
    days = request.options["scale"]
    about = {"long_name": f"Soil water index, {days} days", "units": "percent"}

    def choose(maps: frozenset[str]) -> Mapping[str, DailyField]:
        if name not in maps:
            scales = ", ".join(sorted(n for n in maps if n.startswith("SWI_"))) or "none"
            raise DataError(
                f"The files have no {name} (of the index there are {scales}).", hint="Choose another <scale=5>."
            )
        return {"swi": DailyField((name,), functools.partial(_percent, name=name), about)}

    return open_day_files(files, choose, request).assign_attrs(
        title="ASCAT soil water index", source="Copernicus Land SWI"
    )


def _version(path: Path) -> tuple[int, ...]:
    match = SWI_NAME.match(path.name)
    return () if match is None else tuple(int(part) for part in match["version"].split(".") if part)


def _percent(stored: Mapping[str, Stored], *, name: str) -> np.ndarray:
    data = stored[name]
    if data.values.dtype.kind not in "iu" or data.values.dtype.itemsize != 1:
        raise DataError(f"In '{data.path}' {name} is {data.values.dtype}, expected bytes.", hint="Get the file again.")
    byte = data.values.astype("u1")
    return np.where(byte <= HIGHEST, byte * np.float32(STEP), np.float32(np.nan)).astype("f4")
