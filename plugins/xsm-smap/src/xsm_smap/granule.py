"""One look at the head of each file: what it is, which day, which passes; and the values of its windows."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from xsm import EASE2_M09, DataError, Grid
from xsm.plugin_api import Request

from xsm_smap import claims, layout, maps, products
from xsm_smap.hdf5 import Frame, frame, plane, shape, swapped
from xsm_smap.placing import OpenPlaceError, Place, grid_of_cells, place
from xsm_smap.points import DATASETS as POINT_DATASETS
from xsm_smap.points import grid_of_points
from xsm_smap.read import check_complete, check_magic, opened


@dataclass(frozen=True)
class Granule:
    """A file that was looked at; `values` reads from it.

    ``days`` are the UTC days it holds (two for a half orbit over midnight), ``rank`` orders files of one day, ``stamp``
    is time and size of the file, so that dask never takes an overwritten file for the old one. ``place`` is where the
    cells of a map lie unless the map is the whole grid as the product has it, ``frame`` the axes it counts on, and
    ``units`` are those of each pass; ``adrift`` is a map saved again without anything that tells its rows.
    """

    path: str
    level: Literal["L3", "L2", "points"]
    grid: Grid | None
    days: tuple[np.datetime64, ...]
    passes: tuple[str, ...]
    key: str
    rank: tuple[str, str, int]
    crid: str = ""
    version: str = ""
    product: str = ""
    synthetic: str = ""
    stamp: tuple[int, int] = (0, 0)
    projection: str = "global"
    place: Place | None = None
    frame: Frame = ((), None)
    units: tuple[tuple[str, str, maps.Unit], ...] = ()
    adrift: bool = False

    def converted(self, overpass: str, dataset: str, values: np.ndarray) -> np.ndarray:
        """Values of a dataset of a pass in the unit of the variable that is made from it."""
        mine = (u for p, v, u in self.units if p == overpass and layout.FIELDS[v].dataset == dataset)
        return next(mine, maps.Unit(1.0, 0.0, "")).convert(values)

    @property
    def name(self) -> str:
        """File name without folders."""
        return Path(self.path).name


def date_in_name(path: Path) -> np.datetime64 | None:
    """UTC day that the name of a file says, or None."""
    patterns = (layout.L3_NAME, layout.L2_NAME, layout.POINTS_NAME)
    match = next((m for m in (p.search(path.name) for p in patterns) if m), None)
    text = match["date"].replace("-", "") if match else ""
    try:
        return np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}", "D")
    except ValueError:
        return None


def look(path: Path, request: Request) -> Granule:
    """Look at the head of a file and check that it contains the variables of a request, by default all of its level.

    Raises
    ------
    DataError
        An empty file, a login page, no or a truncated HDF5 file, no known group, a missing dataset, a wrong shape.
    """
    variables, projection = request.variables, request.options["projection"]
    products.refuse_names(path, products.RADIOMETER)
    check_magic(path)
    stat = os.stat(path)
    with opened(path) as file:
        products.refuse_others(file, path, products.RADIOMETER)
        groups = {p: g for p, g in layout.GROUPS[projection].items() if len(file.get(g, ()))}
        stamp = (stat.st_mtime_ns, stat.st_size)
        if groups:
            expected = wanted_variables(variables, "L3")
            return _look_l3(path, file, groups, expected, request, stamp)
        if projection == "global" and layout.L2_GROUP in file:
            return _look_l2(path, file, wanted_variables(variables, "L2"), request, stamp)
        if projection == "global" and is_points(file):
            return _look_points(path, file, wanted_variables(variables, "points"), stamp)
        if projection == "polar":
            empty = [g for g in layout.POLAR_GROUPS.values() if g in file]
            reason = (
                f"{' and '.join(empty)} contain nothing"
                if empty
                else f"it contains {', '.join(list(file)[:6]) or 'nothing'}"
            )
            raise DataError(
                f"'{path}' has no values on the polar grid ({reason}).",
                hint="Only SPL3SMP_E has them; open it with <projection=global>.",
            )
        polar = [g for g in layout.POLAR_GROUPS.values() if len(file.get(g, ()))]
        if polar:
            raise DataError(
                f"'{path}' contains no SMAP soil moisture group of the global grid, only {' and '.join(polar)}.",
                hint="Open it with <projection=polar>.",
            )
        raise DataError(
            f"'{path}' contains no SMAP soil moisture group (found: {', '.join(list(file)[:6]) or 'nothing'}).",
            hint=f"Expected {' or '.join([*layout.GROUPS[projection].values(), layout.L2_GROUP])}.",
        )


def wanted_variables(variables: Sequence[str] | None, level: str) -> tuple[str, ...]:
    """Wanted canonical names; by default all that files of a level have."""
    return tuple(POINT_DATASETS) if variables is None and level == "points" else layout.check_variables(variables)


def is_points(file: Any) -> bool:
    """Whether an HDF5 file is a daily point file."""
    names = ("latitude", "longitude", *POINT_DATASETS.values())
    return all(n in file and getattr(file[n], "ndim", 0) == 1 for n in names)


def _look_l3(
    path: Path, file: Any, groups: dict[str, str], variables: Sequence[str], request: Request, stamp: tuple[int, int]
) -> Granule:
    overpass, projection = request.options["overpass"], request.options["projection"]
    name = layout.L3_NAME.match(path.name)
    meta = _metadata(file)
    crid = maps.release(name["crid"] if name else "", meta["CompositeReleaseID"])
    maps_of = {
        which: _maps(path, file[groups[which]], variables, request, "L3", layout.SUFFIX[which], crid)
        for which in [p for p in groups if overpass in (p, "both")] or groups
    }
    passes: tuple[str, ...] = tuple(groups)
    try:
        axes, placed, adrift = _placed(file, path, maps_of, projection)
    except OpenPlaceError:
        if not all(maps.is_empty(m) for datasets, _ in maps_of.values() for m in datasets.values()):
            raise
        (axes, placed, adrift), passes = (((), None), None, False), ()  # nothing is observed: nothing is to be placed
    units = tuple((which, v, unit) for which, (_, units) in maps_of.items() for v, unit in units.items())
    named = date_in_name(path) if name else None
    begins = _day_of(path, meta["rangeBeginningDateTime"], named)
    day = begins if named is None else named
    if day is None:
        raise DataError(
            f"Neither the name of '{path}' nor its metadata say its day.",
            hint="Keep the names that the product came with.",
        )
    rank = (crid, name["counter"] if name else "", -bool(name and name["service"]))
    return Granule(
        str(path), "L3", placed and placed.window, (day,), passes, str(day), rank, crid, meta["ECSVersionID"],
        meta["shortName"], meta["synthetic"], stamp, projection, None if placed is None or placed.plain else placed,
        axes, units, adrift,
    )  # fmt: skip


def _maps(
    path: Path, group: Any, variables: Sequence[str], request: Request, level: str, suffix: str, crid: str
) -> tuple[dict[str, Any], dict[str, maps.Unit]]:
    """Datasets of a group that are needed, and the units of the variables."""
    datasets: dict[str, Any] = {}
    units = {}
    for variable in variables:
        for name in layout.needs(variable, quality=request.options["quality"]):
            datasets[name] = maps.dataset_of(group, name, level, suffix, crid, path)
        units[variable] = maps.unit_in(datasets[layout.FIELDS[variable].dataset], variable, path, request.units)
    return datasets, units


def _placed(
    file: Any, path: Path, maps_of: dict[str, tuple[dict[str, Any], dict[str, maps.Unit]]], projection: str
) -> tuple[Frame, Place, bool]:
    """Axes and place of the maps of a file, and whether nothing but their shape says the order of rows."""
    firsts: list[tuple[Any, str]] = []
    for which, (datasets, _) in maps_of.items():
        suffix = layout.SUFFIX[which]
        first = next(iter(datasets.values()))
        axes = frame(firsts[0][0] if firsts else first)
        expected = axes[0] if first.size != 1 and len(axes[0]) == 2 else next(iter(layout.GRIDS[projection]))
        for dataset in datasets.values():
            if len(plane(dataset)) != 2 or swapped(dataset, axes) is None:
                raise DataError(
                    f"'{path}': {dataset.name} has the shape {' x '.join(map(str, dataset.shape))}, expected "
                    f"{' x '.join(map(str, expected))}.",
                    hint="All maps of a file are of one shape; use the file as it was downloaded.",
                )
        firsts.append((first, suffix))
    said = claims.collect(file, firsts, path)
    grids = tuple(layout.GRIDS[projection].values())
    first = firsts[0][0]
    adrift = maps.saved_again(first) and not any(c.tells_lines for c in said)
    return frame(first), place(said, grids, shape(first), f"'{path}'"), adrift


def _look_l2(path: Path, file: Any, variables: Sequence[str], request: Request, stamp: tuple[int, int]) -> Granule:
    name = layout.L2_NAME.match(path.name)
    if name is None:
        raise DataError(
            f"'{path}' is a Level-2 half orbit whose name does not say its pass.",
            hint="Keep the name SMAP_L2_SM_P_<orbit>_<A or D>_<date>T<time>_R<release>_<counter>.h5.",
        )
    group, meta = file[layout.L2_GROUP], _metadata(file)
    crid = maps.release(name["crid"], meta["CompositeReleaseID"])
    expected, units = _maps(path, group, variables, request, "L2", "", crid)
    placed: Place | None = None
    axes: Frame = ((), None)
    adrift = False
    if next(iter(expected.values())).ndim >= 2:
        try:
            axes, placed, adrift = _placed(file, path, {"AM": (expected, units)}, "global")
        except DataError as error:
            raise DataError(
                f"{error.message} It is gridded Level-2 output.", hint="Open the half orbit itself, or SPL3SMP."
            ) from None
        grid = placed.window
    else:
        grid = _grid_of_half_orbit(path, file, group, list(expected.values()), crid)
    first = date_in_name(path)
    if first is None:
        raise DataError(f"The name of '{path}' contains no date.", hint="Keep the names that the product came with.")
    _day_of(path, meta["rangeBeginningDateTime"], first)
    last = _day_of(path, meta["rangeEndingDateTime"], first)
    last = first if last is None else last
    node = "PM" if name["node"] == "A" else "AM"
    return Granule(
        str(path), "L2", grid, tuple(np.arange(first, max(first, last) + 1)), (node,),
        f"{name['orbit']}{name['node']}", (crid, name["counter"], -bool(name["service"])), crid,
        meta["ECSVersionID"], meta["shortName"], meta["synthetic"], stamp, "global", placed, axes,
        tuple((node, v, unit) for v, unit in units.items()),
        adrift,
    )  # fmt: skip


def _grid_of_half_orbit(path: Path, file: Any, group: Any, datasets: list[Any], crid: str) -> Grid:
    datasets += [maps.dataset_of(group, n, "L2", "", crid, path) for n in (layout.OBSERVED, "EASE_column_index")]
    cells = group[layout.OBSERVED].shape
    if not 0 < math.prod(cells) <= math.prod(EASE2_M09.shape_global):
        raise DataError(f"'{path}' claims to have {cells} cells.", hint="Download the file again.")
    for dataset in datasets:
        if dataset.shape != cells or len(cells) != 1:
            raise DataError(
                f"'{path}': {dataset.name} has the shape {dataset.shape}, expected {cells}.",
                hint="All datasets of a half orbit have one value a cell; use the file as it was downloaded.",
            )
    check_complete(datasets)
    said = claims.cell_claims(file, group, path)
    return grid_of_cells(said, layout.GRIDS["global"].values(), cells[0], f"'{path}'")


def _look_points(path: Path, file: Any, variables: Sequence[str], stamp: tuple[int, int]) -> Granule:
    absent = [v for v in variables if v not in POINT_DATASETS]
    if absent:
        raise DataError(
            f"'{path}' is a file of points without {', '.join(absent)}.",
            hint=f"Open it with <variables={','.join(POINT_DATASETS)}>.",
        )
    day = date_in_name(path)
    if day is None:
        raise DataError(f"The name '{path}' contains no date.", hint="Expected a name that ends in _YYYY-MM-DD.nc.")
    if file["longitude"].size > 2 * math.prod(EASE2_M09.shape_global):
        raise DataError(f"'{path}' claims to have {file['longitude'].size} points.", hint="Download the file again.")
    grid = grid_of_points(file["longitude"][:].astype("f8"), file["latitude"][:].astype("f8"), f"'{path}'")
    return Granule(str(path), "points", grid, (day,), ("AM", "PM"), str(day), ("", "", 0), stamp=stamp)


def _metadata(file: Any) -> dict[str, str]:
    def text(group: str, name: str) -> str:
        node = file.get(group)
        value = "" if node is None else node.attrs.get(name, "")
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    dataset, extent = "Metadata/DatasetIdentification", "Metadata/Extent"
    texts = {n: text(dataset, n) for n in ("ECSVersionID", "CompositeReleaseID", "shortName")}
    texts |= {n: text(extent, n) for n in ("rangeBeginningDateTime", "rangeEndingDateTime")}
    return texts | {"synthetic": text("/", "synthetic")}


def _day_of(path: Path, text: str, named: np.datetime64 | None) -> np.datetime64 | None:
    """UTC day that the metadata of a file say, None where there are none; it is that of the name or next to it."""
    if not text:
        return None
    day: np.datetime64 = np.datetime64("NaT")
    with contextlib.suppress(ValueError):
        day = np.datetime64(text[:10], "D")
    if np.isnat(day) or (named is not None and abs(day - named) > np.timedelta64(1, "D")):
        known = "no day" if named is None else f"the day {named}"
        raise DataError(
            f"The metadata of '{path}' contain the time '{text}', its name {known}.",
            hint="Give it the name that the product came with, or download it again.",
        )
    return day
