"""NLDAS-2 Noah as daily canonical maps on its native 0.125 degree grid (documentation: Formats, NLDAS)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import DataError, SkippedFile, UsageError
from xsm.plugin_api import Area, Request, canonical_attrs, daily_mean, drop_impossible, tell

from xsm_nldas import INFO
from xsm_nldas.decode import scale_of
from xsm_nldas.files import NAME, Header, read_hours
from xsm_nldas.index import Index, index_files
from xsm_nldas.names import is_named

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest

MARGIN = 3
BLOCK_BYTES, BLOCK_DAYS = 2**25, 16


@dataclass(frozen=True)
class Recipe:
    """A canonical variable: the daily mean of the sum of ``inputs``, times ``factor``."""

    name: str
    product: str
    inputs: tuple[str, ...]
    factor: float
    cell_methods: str = "time: mean"


RECIPES = (
    Recipe("sm_noah_0_10", "NOAH", ("SoilM_0_10cm",), 1 / 100),
    Recipe("sm_noah_10_40", "NOAH", ("SoilM_10_40cm",), 1 / 300),
    Recipe("soil_temperature_0_10", "NOAH", ("SoilT_0_10cm",), 1),
    Recipe("soil_temperature_10_40", "NOAH", ("SoilT_10_40cm",), 1),
    Recipe("precipitation", "NOAH", ("Rainf", "Snowf"), 24, "time: sum"),
    Recipe("precipitation", "FORA", ("Rainf",), 24, "time: sum"),
    Recipe("air_temperature", "NOAH", ("Tair",), 1),
    Recipe("air_temperature", "FORA", ("Tair",), 1),
)

Part = tuple[str, Path, list[int], list[int]]
"""Product, file, time steps in it, and the hours of the day that they are."""


class NldasSource:
    """NLDAS_NOAH0125_H, with NLDAS_FORA0125_H beside it for what Noah files lack."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Whether a file is of NLDAS-2, by its name; other models and time steps are refused by `open`."""
        return NAME.match(Path(path).name) is not None or is_named(Path(path))

    def open(self, request: Request) -> xr.Dataset:
        """Open hourly files as daily canonical maps; lazy, one task reads some days of all variables.

        A day is the mean of the hours stamped 00 to 23 UTC; precipitation is that mean times 24, which for a whole day
        is the sum. Request only the variables that you need: those of a day are read together, one opening per file.

        Parameters
        ----------
        request : Request
            Files of one hour (placed by their name) or of several hours (placed by their time axis); ``on_error`` holds
            also for a file on another grid than most. Cells that touch the region are read, with a margin of 3 cells
            for bicubic interpolation. Options:

            min_hours : int
                Hours with a value that a cell needs in a day.

        Returns
        -------
        xarray.Dataset
            float32 (time, lat, lon); rows as in the files (south first). Attribute ``incomplete_days``: days with fewer
            than 24 hours and their number of hours.

        Raises
        ------
        DataError
            For damaged files, files without the requested variables, or files that do not touch the region.
        UsageError
            For an unknown variable.
        """
        period, min_hours = request.time or slice(None, None), request.options["min_hours"]
        skip = request.on_error == "skip"
        index = index_files(map(Path, request.paths), _hours(period), skip=skip)
        if not any(index.hours.values()):
            why = f" ({index.skipped[0]})" if index.skipped else ""
            raise DataError(
                f"None of the {len(request.paths)} files contains an hour of {_name(period)} that can be read{why}.",
                hint="Check the period and the paths.",
            )
        recipes = choose(index, request.variables, request.units)
        products = list(dict.fromkeys(r.product for r in recipes))
        days = _days(period, [*index.lost, *(h for p in products for h in index.hours[p])])
        plan = _plan(index, products, days)
        header = index.headers[products[0]]
        window = _window(header, request.region, plan)
        values = _lazy(plan, recipes, index.headers, window, min_hours, skip, dict(request.units))
        ds = xr.Dataset(
            {
                r.name: (("time", "lat", "lon"), values[i], canonical_attrs(r.name) | {"cell_methods": r.cell_methods})
                for i, r in enumerate(recipes)
            },
            coords={
                "time": ("time", days.astype("M8[ns]"), {"standard_name": "time", "long_name": "UTC day", "axis": "T"}),
                "lat": ("lat", header.lat[window[0]].astype("f8"), _axis("latitude", "degrees_north", "Y")),
                "lon": ("lon", _east(header.lon)[window[1]].astype("f8"), _axis("longitude", "degrees_east", "X")),
            },
            attrs={
                "title": "NLDAS-2, daily from hourly values",
                "source": ", ".join(f"NLDAS_{p}0125_H" for p in products),
                "references": f"https://doi.org/{INFO.doi}",
                "daily_rule": f"mean of 00 to 23 UTC, at least {min_hours} hours; precipitation: that mean times 24",
            },
        )
        if header.synthetic:
            ds.attrs["synthetic"] = header.synthetic
        if index.skipped:
            ds.attrs["skipped"] = index.skipped
        return ds.assign_attrs(_incomplete(plan, products, days, min_hours))

    def fetch(
        self,
        dest: Path,
        *,
        region: Area | None,
        time: slice | None,
        dry_run: bool,
        product: str = "NLDAS_NOAH0125_H",
        version: str = "2.0",
    ) -> Manifest:
        """Fetch hourly files of the whole grid; ``region`` cuts nothing off. See `xsm_nldas.fetch.hours`."""
        from xsm.plugin_api import EARTHDATA, closed_period, download

        from xsm_nldas.fetch import hours

        return download(hours(closed_period(time), product, version), dest, login=EARTHDATA, dry_run=dry_run)

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as hourly NLDAS_NOAH0125_H files of version 2.0; see `xsm_nldas.write.write`."""
        from xsm_nldas.write import write

        return write(world, dest)


def choose(index: Index, variables: Sequence[str] | None, stated: Mapping[str, str]) -> list[Recipe]:
    """Pick for every requested variable the first recipe whose inputs the files contain."""
    unknown = [v for v in variables or () if v not in INFO.variables]
    if unknown:
        raise UsageError(f"NLDAS has no variable '{unknown[0]}'.", hint=f"It has: {', '.join(INFO.variables)}.")
    able: dict[str, Recipe] = {}
    for recipe in RECIPES:
        header = index.headers.get(recipe.product)
        if header is not None and all(n in header.units for n in recipe.inputs):
            able.setdefault(recipe.name, recipe)
    inside = sorted({n for h in index.headers.values() for n in h.units})
    absent = [v for v in variables or () if v not in able]
    if absent or not able:
        missing = ", ".join(absent or INFO.variables)
        raise DataError(
            f"The files ('{next(iter(index.headers.values())).path.name}') contain {', '.join(inside) or 'no maps'}, "
            f"nothing to compute {missing} from.",
            hint="Request the product's SoilM, SoilT, Rainf, Snowf or Tair when subsetting.",
        )
    recipes = [able[v] for v in dict.fromkeys(variables or able)]
    for recipe in recipes:
        for name in recipe.inputs:
            header = index.headers[recipe.product]
            scale_of(header.units[name], name, header.path, stated)
    for name in inside:  # what the files contain may be stated, whether it is read or not
        stated.get(name)
    return recipes


def read_days(
    plan: Sequence[Sequence[Part]],
    recipes: Sequence[Recipe],
    headers: dict[str, Header],
    window: tuple[slice, slice],
    min_hours: int,
    skip: bool,
    stated: Mapping[str, str],
) -> np.ndarray:
    """Read and average some days: float32 (recipe, day, lat, lon), NaN where a cell has too few hours."""
    shape = tuple(s.stop - s.start for s in window)
    inputs = {p: list(dict.fromkeys(n for r in recipes if r.product == p for n in r.inputs)) for p in headers}
    out = np.empty((len(recipes), len(plan), *shape), "f4")
    for day, parts in enumerate(plan):
        hourly = {p: np.full((len(names), 24, *shape), np.nan, "f4") for p, names in inputs.items() if names}
        for product, path, steps, hours in parts:
            try:
                fields = read_hours(path, steps, inputs[product], headers[product], window, stated)
            except DataError as error:
                if not skip:
                    raise
                tell(SkippedFile(path, error))
                continue
            for values, name in zip(fields, inputs[product], strict=True):
                recipe = next(r for r in recipes if r.product == product and name in r.inputs)
                factor = 1 if recipe.cell_methods == "time: sum" else recipe.factor
                drop_impossible(values, recipe.name, path.name, scale=factor)
            hourly[product][:, hours] = fields
        for i, recipe in enumerate(recipes):
            total = np.zeros((24, *shape), "f4")
            for name in recipe.inputs:
                total += hourly[recipe.product][inputs[recipe.product].index(name)]
            out[i, day] = daily_mean(total, min_hours) * recipe.factor
    return out


def _lazy(
    plan: Sequence[Sequence[Part]],
    recipes: Sequence[Recipe],
    headers: dict[str, Header],
    window: tuple[slice, slice],
    min_hours: int,
    skip: bool,
    stated: Mapping[str, str],
) -> Any:
    import dask
    import dask.array as da

    shape = tuple(s.stop - s.start for s in window)
    length = int(np.clip(BLOCK_BYTES // (4 * len(recipes) * shape[0] * shape[1]), 1, BLOCK_DAYS))
    read = dask.delayed(read_days, pure=False)
    by_product = {r.product: headers[r.product] for r in recipes}
    blocks = [
        da.from_delayed(
            read(dask.delayed(part, traverse=False), recipes, by_product, window, min_hours, skip, stated),
            (len(recipes), len(part), *shape),
            "f4",
        )
        for part in (plan[i : i + length] for i in range(0, len(plan), length))
    ]
    return da.concatenate(blocks, axis=1)


def _plan(index: Index, products: Iterable[str], days: np.ndarray) -> list[list[Part]]:
    first = int(days[0].astype(int))
    plan: list[list[Part]] = [[] for _ in days]
    for product in products:
        for hour, (path, step) in sorted(index.hours[product].items()):
            parts = plan[hour // 24 - first]
            if parts and parts[-1][:2] == (product, path) and parts[-1][2][-1] < step:
                parts[-1][2].append(step)
                parts[-1][3].append(hour % 24)
            else:
                parts.append((product, path, [step], [hour % 24]))
    return plan


def _window(header: Header, region: Area | None, plan: Sequence[Sequence[Part]]) -> tuple[slice, slice]:
    if region is None:
        return slice(0, header.lat.size), slice(0, header.lon.size)
    west, south, east, north = region.bbox
    lon = _east(header.lon)
    rows, cols = _touching(header.lat, south, north), _touching(lon, west, east)
    if rows is None or cols is None:
        path = next(parts[0][1] for parts in plan if parts)
        raise DataError(
            f"'{path}' covers {lon.min():g} to {lon.max():g} degrees east and {header.lat.min():g} to "
            f"{header.lat.max():g} north, which does not touch the region ({west:g}, {south:g}, {east:g}, {north:g}).",
            hint="Check the region.",
        )
    return rows, cols


def _east(lon: np.ndarray) -> np.ndarray:
    """Longitudes from -180 where a file counts them from 0."""
    return lon - 360 if lon.min() >= 180 else lon


def _touching(centres: np.ndarray, low: float, high: float) -> slice | None:
    half = abs(float(centres[-1]) - float(centres[0])) / max(centres.size - 1, 1) / 2
    inside = np.flatnonzero((centres + half > low) & (centres - half < high))
    if not inside.size:
        return None
    return slice(max(int(inside[0]) - MARGIN, 0), min(int(inside[-1]) + 1 + MARGIN, centres.size))


def _incomplete(
    plan: Sequence[Sequence[Part]], products: Sequence[str], days: np.ndarray, min_hours: int
) -> dict[str, str]:
    short = {}
    for day, parts in zip(days, plan, strict=True):
        count = Counter(dict.fromkeys(products, 0))
        for product, _, _, hours in parts:
            count[product] += len(hours)
        if min(count.values()) < 24:
            short[str(day)] = min(count.values())
    if not short:
        return {}
    examples = ", ".join(f"{day} ({hours} h)" for day, hours in list(short.items())[:3])
    missing = sum(hours < min_hours for hours in short.values())
    tell(
        f"{len(short)} of {len(days)} days have fewer than 24 hours ({examples}{', ...' if len(short) > 3 else ''}); "
        f"the {missing} days with fewer than {min_hours} are left empty."
    )
    return {"incomplete_days": ", ".join(f"{day} ({hours})" for day, hours in short.items())}


def _hours(period: slice) -> tuple[int, int]:
    start, stop = (None if d is None else int(np.datetime64(d, "D").astype(int)) for d in (period.start, period.stop))
    return (-(2**60) if start is None else start * 24), (2**60 if stop is None else (stop + 1) * 24)


def _days(period: slice, hours: Sequence[int]) -> np.ndarray:
    first = np.datetime64(min(hours) // 24, "D") if period.start is None else np.datetime64(period.start, "D")
    last = np.datetime64(max(hours) // 24, "D") if period.stop is None else np.datetime64(period.stop, "D")
    return np.arange(first, last + 1)


def _name(period: slice) -> str:
    return "any day" if period == slice(None) else f"{period.start or 'the first day'} to {period.stop or 'the last'}"


def _axis(standard_name: str, units: str, axis: str) -> dict[str, str]:
    return {"standard_name": standard_name, "long_name": standard_name, "units": units, "axis": axis}
