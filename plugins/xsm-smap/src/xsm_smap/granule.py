"""Heads of files: what they are, of which day, of which passes; and the values of their windows."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from xsm import EASE2_M09, EASE2_M36, DataError, Grid
from xsm.plugin_api import Request

from xsm_smap import layout
from xsm_smap.l2 import scatter
from xsm_smap.points import DATASETS as POINT_DATASETS
from xsm_smap.points import grid_of_points, read_points
from xsm_smap.read import Owners, check_complete, check_magic, check_own_rows, decode, is_plain, opened, window


@dataclass(frozen=True)
class Granule:
    """A file whose head was read; `values` reads from it.

    ``days`` are its UTC days (two for a half orbit over midnight), ``rank`` orders files of one day, ``stamp``
    is time and size of the file, so that dask never takes an overwritten file for the old one.
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

    @property
    def name(self) -> str:
        """File name without folders."""
        return Path(self.path).name


def date_in_name(path: Path) -> np.datetime64 | None:
    """UTC day in the name of a file, or None."""
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
    overpass, quality = request.options["overpass"], request.options["quality"]
    check_magic(path)
    stat = os.stat(path)
    with opened(path) as file:
        groups = {p: g for p, g in layout.GROUPS[projection].items() if len(file.get(g, ()))}
        stamp = (stat.st_mtime_ns, stat.st_size)
        if groups:
            wanted = wanted_variables(variables, "L3")
            return _look_l3(path, file, groups, wanted, overpass, quality, stamp, projection)
        if projection == "global" and layout.L2_GROUP in file:
            return _look_l2(path, file, wanted_variables(variables, "L2"), quality, stamp)
        if projection == "global" and is_points(file):
            return _look_points(path, file, wanted_variables(variables, "points"), stamp)
        if projection == "polar":
            empty = [g for g in layout.POLAR_GROUPS.values() if g in file]
            content = f"{' and '.join(empty)} contain nothing" if empty else f"it contains {_members(file)}"
            raise DataError(
                f"'{path}' has no values on the polar grid ({content}).",
                hint="Only SPL3SMP_E has them; open it with <projection=global>.",
            )
        raise DataError(
            f"'{path}' contains no SMAP soil moisture group (it contains {_members(file)}).",
            hint=f"Expected {' or '.join([*layout.GROUPS[projection].values(), layout.L2_GROUP])}.",
        )


def _members(file: Any) -> str:
    return ", ".join(list(file)[:6]) or "nothing"


def wanted_variables(variables: Sequence[str] | None, level: str) -> tuple[str, ...]:
    """The requested canonical names; by default all that files of a level have."""
    return tuple(POINT_DATASETS) if variables is None and level == "points" else layout.check_variables(variables)


def is_points(file: Any) -> bool:
    """Whether an HDF5 file is a daily point file."""
    names = ("latitude", "longitude", *POINT_DATASETS.values())
    return all(n in file and getattr(file[n], "ndim", 0) == 1 for n in names)


def values(
    granule: Granule, variables: Sequence[str], grid: Grid, *, overpass: str, quality: str, day: np.datetime64
) -> list[dict[str, np.ndarray]]:
    """Read one window of every requested pass of a granule.

    Returns
    -------
    list of dict
        One mapping of canonical name to array ``(grid.rows, grid.cols)`` for each pass that the file has.
    """
    with opened(granule.path) as file:
        if granule.level == "points":
            return [{v: read_points(file, v, grid, overpass, granule.name) for v in variables}]
        passes = [p for p in granule.passes if overpass in (p, "both")]
        if granule.level == "L3":
            return [_read_l3(file, granule, p, variables, grid, quality) for p in passes]
        return [_read_l2(file, granule, variables, grid, quality, day) for _ in passes]


def _read_l3(
    file: Any, granule: Granule, overpass: str, variables: Sequence[str], grid: Grid, quality: str
) -> dict[str, np.ndarray]:
    group = file[layout.GROUPS[granule.projection][overpass]]

    suffix = layout.SUFFIX[overpass]
    observed = group.get(layout.OBSERVED + suffix)
    owners: Owners = {}

    @functools.cache
    def raw(dataset: str) -> np.ndarray:
        node = _dataset(group, dataset, granule.level, suffix, granule.crid, granule.path)
        check_own_rows(owners, node, (grid.row0, grid.row0 + grid.rows - 1))
        alike = observed is not None and (observed.shape, observed.chunks) == (node.shape, node.chunks)
        return window(node, grid, observed if alike else None)

    return {v: decode(raw, v, quality, where=granule.name, day=granule.days[0]) for v in variables}


def _read_l2(
    file: Any, granule: Granule, variables: Sequence[str], grid: Grid, quality: str, day: np.datetime64
) -> dict[str, np.ndarray]:
    group = file[layout.L2_GROUP]
    row, col = group["EASE_row_index"][:], group["EASE_column_index"][:]
    for name, index, size in zip(("row", "column"), (row, col), EASE2_M36.shape_global, strict=True):
        if ((index >= size) & (index != layout.NO_FLAG)).any():
            raise DataError(f"'{granule.path}' has a {name} index of {index.max()}, expected less than {size}.")

    @functools.cache
    def raw(dataset: str) -> np.ndarray:
        node = _dataset(group, dataset, granule.level, "", granule.crid, granule.path)
        return scatter(node[:], row, col, grid)

    context: dict[str, Any] = {"where": granule.name, "day": granule.days[0]}
    arrays = {v: decode(raw, v, quality, **context) for v in variables}
    if len(granule.days) > 1:
        other = decode(raw, "obs_time", quality, **context).astype("M8[D]") != day
        for v in variables:
            arrays[v][other] = layout.empty(v, ())
    return arrays


def _dataset(group: Any, dataset: str, level: str, suffix: str, crid: str, path: str | Path) -> Any:
    suffixes = (suffix, "") if "Polar" in group.name else (suffix,)  # documentation disagrees on the polar PM group
    names = (layout.resolve(dataset, group, level=level, suffix=s, crid=crid) for s in suffixes)
    present = next((n for n in names if n is not None), None)
    if present is None:
        why = (
            f"; its release {crid or '(unknown)'} may mean another algorithm by the generic name"
            if dataset.endswith("_dca") and dataset.removesuffix("_dca") + suffix in group
            else ""
        )
        raise DataError(
            f"'{path}' has no dataset {group.name}/{dataset}{suffix}{why}.",
            hint="Use release R18 or newer, or ask for other variables.",
        )
    node = group[present]
    if not is_plain(node, layout.type_class(dataset)):
        raise DataError(
            f"'{path}': {group.name}/{present} has the type {getattr(node, 'dtype', 'of a group')}, expected "
            f"{'unsigned integers' if layout.type_class(dataset) == 'u' else 'floats'}.",
            hint="Download the file again.",
        )
    return node


def _look_l3(
    path: Path,
    file: Any,
    groups: dict[str, str],
    variables: Sequence[str],
    overpass: str,
    quality: str,
    stamp: tuple[int, int],
    projection: str,
) -> Granule:
    match = layout.L3_NAME.match(path.name)
    meta = _metadata(file)
    crid = match["crid"] if match else meta["CompositeReleaseID"]
    wanted = dict.fromkeys(d for v in variables for d in layout.needs(v, quality=quality))
    grid = None
    grids = layout.GRIDS[projection]
    for which in [p for p in groups if overpass in (p, "both")] or groups:
        group = file[groups[which]]
        for dataset in wanted:
            shape = _dataset(group, dataset, "L3", layout.SUFFIX[which], crid, path).shape
            grid = grid or grids.get(shape)
            if grid is None or shape != grid.shape_global:
                known = " or ".join(f"{s[0]} x {s[1]}" for s in grids)
                raise DataError(
                    f"'{path}': {group.name}/{dataset} has the shape {' x '.join(map(str, shape))}, expected {known}.",
                    hint="Regional subsets without the global grid cannot be placed; take the whole granule.",
                )
    named = date_in_name(path) if match else None
    day_inside = _day_inside(path, meta["rangeBeginningDateTime"], named)
    day = day_inside if named is None else named
    if day is None:
        raise DataError(
            f"Neither the name of '{path}' nor its metadata contains its day.",
            hint="Keep the product's names.",
        )
    assert grid is not None  # noqa: S101
    rank = (crid, match["counter"] if match else "", -bool(match and match["service"]))
    return Granule(
        str(path), "L3", grid, (day,), tuple(groups), str(day), rank, crid, meta["ECSVersionID"], meta["shortName"],
        meta["synthetic"], stamp, projection,
    )  # fmt: skip


def _look_l2(path: Path, file: Any, variables: Sequence[str], quality: str, stamp: tuple[int, int]) -> Granule:
    match = layout.L2_NAME.match(path.name)
    if match is None:
        raise DataError(
            f"'{path}' is a Level-2 half orbit whose name contains no pass.",
            hint="Keep the name SMAP_L2_SM_P_<orbit>_<A or D>_<date>T<time>_R<release>_<counter>.h5.",
        )
    group, meta = file[layout.L2_GROUP], _metadata(file)
    cells = group["EASE_row_index"].shape
    if not 0 < math.prod(cells) <= math.prod(EASE2_M36.shape_global):
        raise DataError(f"'{path}' says it has {cells} cells.", hint="Download the file again.")
    needed = [d for v in variables for d in layout.needs(v, quality=quality)]
    names = dict.fromkeys([*needed, layout.OBSERVED, "EASE_column_index"])
    datasets = [_dataset(group, name, "L2", "", match["crid"], path) for name in names]
    for dataset in datasets:
        if dataset.shape != cells or len(cells) != 1:
            raise DataError(
                f"'{path}': {dataset.name} has the shape {dataset.shape}, expected {cells}.",
                hint="Download the file again.",
            )
    check_complete(datasets)
    if meta["shortName"] not in ("SPL2SMP", ""):
        raise DataError(
            f"'{path}' is {meta['shortName']}, expected SPL2SMP (36 km).", hint="Use the Level-3 product instead."
        )
    first = date_in_name(path)
    if first is None:
        raise DataError(f"The name of '{path}' contains no date.", hint="Keep the product's names.")
    _day_inside(path, meta["rangeBeginningDateTime"], first)
    last = _day_inside(path, meta["rangeEndingDateTime"], first)
    last = first if last is None else last
    node = "PM" if match["node"] == "A" else "AM"
    return Granule(
        str(path), "L2", EASE2_M36, tuple(np.arange(first, max(first, last) + 1)), (node,),
        f"{match['orbit']}{match['node']}", (match["crid"], match["counter"], -bool(match["service"])), match["crid"],
        meta["ECSVersionID"], meta["shortName"], meta["synthetic"], stamp,
    )  # fmt: skip


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
        raise DataError(f"'{path}' says it has {file['longitude'].size} points.", hint="Download the file again.")
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


def _day_inside(path: Path, text: str, named: np.datetime64 | None) -> np.datetime64 | None:
    """UTC day in the metadata of a file, None if there is none; it must be that of the name or a day next to it."""
    if not text:
        return None
    day: np.datetime64 = np.datetime64("NaT")
    with contextlib.suppress(ValueError):
        day = np.datetime64(text[:10], "D")
    if np.isnat(day) or (named is not None and abs(day - named) > np.timedelta64(1, "D")):
        known = "no day" if named is None else f"the day {named}"
        raise DataError(
            f"The metadata of '{path}' contain the time '{text}', its name {known}.",
            hint="Restore the product's name, or download it again.",
        )
    return day
