"""The source ``smap``: granules to one lazy daily dataset on the EASE-Grid 2.0."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import EASE2_M09, DataError, Grid
from xsm.plugin_api import Area, Request, tell

from xsm_smap import INFO, layout, products
from xsm_smap.daily import dataset, joined, lazy
from xsm_smap.granule import Granule, date_in_name, is_points, look, wanted_variables
from xsm_smap.read import opened

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest
    from xsm.twin import World

log = logging.getLogger("xsm")


class SmapSource:
    """SMAP Level-3 granules (SPL3SMP_E, SPL3SMP), Level-2 half orbits (SPL2SMP) and daily files of Level-3 points.

    Examples
    --------
    >>> from pathlib import Path
    >>> SmapSource().identify(Path("SMAP_L3_SM_P_E_20220601_R19240_001.h5"))
    True
    """

    info = INFO

    def identify(self, path: Path) -> bool:
        """Tell by the name, else by the groups of an HDF5 file, whether a file is one of SMAP's.

        Copies of SMAP that AppEEARS made are: `open` says what to request instead.
        """
        if layout.L3_NAME.match(path.name) or layout.L2_NAME.match(path.name) or products.is_appeears(path):
            return True
        try:
            with open(path, "rb") as file:
                if file.read(8) != layout.MAGIC:
                    return False
            with opened(path) as file:
                return any(
                    g in file for g in (*layout.L3_GROUPS.values(), *layout.POLAR_GROUPS.values(), layout.L2_GROUP)
                ) or is_points(file)
        except (OSError, DataError):
            return False

    def open(self, request: Request) -> xr.Dataset:
        """Open files lazily as one dataset ``(time, y, x)`` with every UTC day present.

        Parameters
        ----------
        request : Request
            Files of one level and one grid: of several files of one day the highest release, then the highest counter
            is read. Without a region the whole global grid is read (points: the window they fill). Options:

            overpass : {"AM", "PM", "both"}
                Pass; ``"both"`` takes per cell the pass nearest 12 UTC, never an average.
            quality : {"successful", "recommended", "attempted", "none"}
                Which retrievals are kept, each soil moisture under its own flag (documentation: Formats, SMAP, Flags).
            projection : {"global", "polar"}
                The cylindrical grid, or the northern polar grid (EPSG:6931) of the two polar groups of SPL3SMP_E.

        Returns
        -------
        xarray.Dataset
            Floats are float32, flags uint16 with 65534 for none, ``obs_time`` datetime64; one dask chunk per day.

        Raises
        ------
        xsm.DataError
            A file that cannot be used (with ``on_error="raise"``), no file in the period, files of unlike grids.
        xsm.UsageError
            An unknown variable or option.
        """
        time, passes = request.time, {n: request.options[n] for n in ("overpass", "quality")}
        span = (_edge(time.start, last=False), _edge(time.stop, last=True)) if time is not None else (None, None)
        granules, skipped = _look_all(request, span)
        granules, unlike = _alike(granules, request.on_error)
        skipped += unlike
        _check_pass(granules, passes["overpass"])
        names = wanted_variables(request.variables, granules[0].level)
        grid = _window(granules, request.region)
        latest = _latest(granules)
        present = sorted({d for g in latest for d in g.days if _inside(d, span)})
        if not present:
            raise DataError(f"None of the {len(request.paths)} SMAP files lies in the period {span[0]} to {span[1]}.")
        days = np.arange(present[0] if span[0] is None else span[0], (present[-1] if span[1] is None else span[1]) + 1)
        arrays = lazy(latest, days, names, grid, on_error=request.on_error, **passes)
        return dataset(arrays, days, grid, latest, skipped=skipped, **passes)

    def fetch(
        self,
        dest: Path,
        *,
        region: Area | None,
        time: slice | None,
        dry_run: bool,
        product: str = "SPL3SMP_E",
        version: str | None = None,
    ) -> Manifest:
        """Fetch one global granule per day; ``region`` cuts nothing off. See `xsm_smap.fetch.granules`."""
        from xsm.plugin_api import EARTHDATA, closed_period, download

        from xsm_smap.fetch import granules

        return download(granules(closed_period(time), product, version), dest, login=EARTHDATA, dry_run=dry_run)

    def write(self, world: World, dest: Path) -> list[Path]:
        """Write a synthetic world as SPL3SMP_E granules, see `xsm_smap.write.write`."""
        from xsm_smap.write import write

        return write(world, dest)


def _look_all(request: Request, span: tuple[Any, Any]) -> tuple[list[Granule], list[str]]:
    layout.check_variables(request.variables)
    granules: list[Granule] = []
    skipped: list[str] = []
    for path in map(Path, request.paths):
        day = date_in_name(path)
        after_midnight = day is not None and layout.L2_NAME.match(path.name) and _inside(day + 1, span)
        if not (_inside(day, span) or after_midnight):
            continue
        try:
            granules.append(look(path, request))
        except DataError as error:
            if request.on_error == "raise":
                raise
            skipped.append(str(error))
    if not granules:
        period = "" if span == (None, None) else f" in the period {span[0]} to {span[1]}"
        raise DataError(
            f"None of the {len(request.paths)} files is a readable SMAP file{period}.",
            hint=f"Left out: {' '.join(skipped)}" if skipped else "Check paths and period.",
        )
    return granules, skipped


def _alike(granules: Sequence[Granule], on_error: str) -> tuple[list[Granule], list[str]]:
    """Granules of one kind; with ``on_error="skip"`` those of the commonest, and a line for each other one."""
    kinds: dict[tuple[str, str], list[Granule]] = {}
    for g in granules:
        if g.grid is not None:
            kinds.setdefault((g.level, g.grid.name), []).append(g)
    if len(kinds) < 2:
        return list(granules), []
    most = sorted(kinds, key=lambda k: -len(kinds[k]))
    if on_error == "raise" or len(kinds[most[0]]) == len(kinds[most[1]]):
        listed = ", ".join(f"'{kinds[k][0].path}' ({k[0]}, {k[1]})" for k in sorted(kinds))
        raise DataError(f"The SMAP files are of different kinds: {listed}.", hint="Open each kind by itself.")
    kept = [g for g in granules if g.grid is None or (g.level, g.grid.name) == most[0]]
    expected = f"{most[0][0]} on {most[0][1]}"
    left = [f"'{g.path}' is {k[0]} on {k[1]}, most others are {expected}." for k in most[1:] for g in kinds[k]]
    return kept, left


def _check_pass(granules: Sequence[Granule], overpass: str) -> None:
    if granules[0].level == "points":
        if overpass != "both":
            message = (
                "the files of points do not contain the pass of a cell that occurs once; it is kept for AM and for PM"
            )
            tell(message)
        return
    if overpass != "both" and not any(overpass in g.passes for g in granules):
        there = joined(p for g in granules for p in g.passes)
        message = f"The SMAP files contain the {there} pass only, expected {overpass}."
        if granules[0].level == "L2":
            raise DataError(message, hint=f"Open them with <overpass={there}>.")
        tell(f"{message} All values are missing.")


def _latest(granules: Sequence[Granule]) -> list[Granule]:
    best: dict[str, Granule] = {}
    for g in granules:
        other = best.get(g.key)
        if other is not None and g.level == "points":
            raise DataError(
                f"'{other.path}' and '{g.path}' are of one day.", hint="Open the points of each place alone."
            )
        best[g.key] = newer = g if other is None else max(g, other, key=lambda item: item.rank)
        if other is not None and not all(_encloses(newer.grid, item.grid) for item in (g, other)):
            raise DataError(
                f"'{other.path}' and '{g.path}' are of one day and contain other windows of the grid.",
                hint="Open the subsets of each place alone.",
            )
        if other is not None and other.rank == g.rank:
            products.refuse_unlike(other.path, g.path)
        if other is not None:
            log.info("%s: %s is read, older files of the same %s are not", g.key, best[g.key].name, g.level)
    return [best[k] for k in sorted(best)]


def _window(granules: Sequence[Granule], region: Area | None) -> Grid:
    grids = [g.grid for g in granules if g.grid is not None]
    if not grids:
        raise DataError("None of the SMAP files contains a point or an observed cell.", hint="Open further days.")
    if region is not None:
        expected = region.grid if grids[0].name == EASE2_M09.name else grids[0].region(region.bbox)
        if not any(_overlap(g, expected) for g in grids):
            west, south, east, north = (round(v, 2) for v in grids[0].bbox)
            raise DataError(
                f"The region does not touch the files ({west}, {south}, {east}, {north}; west, south, east, north).",
                hint="Check its order and signs.",
            )
        return expected
    return grids[0].window(
        min(g.row0 for g in grids), max(g.row0 + g.rows for g in grids),
        min(g.col0 for g in grids), max(g.col0 + g.cols for g in grids),
    )  # fmt: skip


def _inside(day: np.datetime64 | None, span: tuple[Any, Any]) -> bool:
    return day is None or ((span[0] is None or day >= span[0]) and (span[1] is None or day <= span[1]))


def _edge(value: Any, *, last: bool) -> np.datetime64 | None:
    import pandas as pd

    if value is None:
        return None
    period = pd.Period(str(value))
    return np.datetime64((period.end_time if last else period.start_time).date(), "D")


def _encloses(a: Grid | None, b: Grid | None) -> bool:
    if a is None or b is None:
        return b is None
    rows = a.row0 <= b.row0 and b.row0 + b.rows <= a.row0 + a.rows
    return rows and a.col0 <= b.col0 and b.col0 + b.cols <= a.col0 + a.cols


def _overlap(a: Grid, b: Grid) -> bool:
    rows = min(a.row0 + a.rows, b.row0 + b.rows) - max(a.row0, b.row0)
    return rows > 0 and min(a.col0 + a.cols, b.col0 + b.cols) > max(a.col0, b.col0)
